"""Settings that tests ask for with ``pytest.mark.usefixtures``. Warnings are errors everywhere."""

import jax
import pytest

from jaxspec import pieces


@pytest.fixture(autouse=True, scope="module")
def few_programs():
    """Compiled programs are forgotten after each module: thousands of them fill the memory."""
    yield
    jax.clear_caches()


@pytest.fixture
def x64():
    """float64 is float64 inside the test, and Python floats become float64."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def few_tiles(monkeypatch):
    """One tile in a turn of the loop, so that programs of many tiles compile sooner."""
    monkeypatch.setattr(pieces, "_CPU_TILES_IN_A_TURN", 1)


@pytest.fixture
def strict():
    """Mixing dtypes raises: nothing is widened or narrowed by accident."""
    with jax.numpy_dtype_promotion("strict"):
        yield
