"""Settings that tests ask for with ``pytest.mark.usefixtures``. Warnings are errors everywhere."""

import jax
import pytest


@pytest.fixture
def x64():
    """float64 is float64 inside the test, and Python floats become float64."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def strict():
    """Mixing dtypes raises: nothing is widened or narrowed by accident."""
    with jax.numpy_dtype_promotion("strict"):
        yield
