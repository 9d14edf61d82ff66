"""Settings that tests ask for with ``pytest.mark.usefixtures``. Warnings are errors everywhere."""

import collections

import jax
import pytest

from jaxspec import pieces


def pytest_addoption(parser):
    parser.addoption(
        "--share", type=int, default=1, metavar="N", help="of every test, each N-th case alone"
    )


def pytest_collection_modifyitems(config, items):
    """With ``--share N``, keep the cases 0, N, 2 N, … of every test function."""
    share = config.getoption("--share")
    seen = collections.Counter()
    kept = []
    for item in items:
        function = item.nodeid.split("[")[0]
        if seen[function] % share == 0:
            kept.append(item)
        seen[function] += 1
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


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
