"""Settings that tests ask for with ``pytest.mark.usefixtures``. Warnings are errors everywhere."""

import collections

import jax
import pytest

from jaxspec import pieces

# Several devices on every machine, for what is divided over devices.
jax.config.update("jax_num_cpu_devices", 4)


def pytest_addoption(parser):
    option = parser.addoption
    option("--share", type=int, default=1, metavar="N", help="of every test, each N-th case alone")
    option("--first", type=int, default=0, metavar="K", help="with --share, from case K on")


def pytest_collection_modifyitems(config, items):
    """With ``--share N --first K``, keep the cases K, K + N, … of tests with at least N cases."""
    share, first = config.getoption("--share"), config.getoption("--first")
    functions = [item.nodeid.split("[")[0] for item in items]
    cases = collections.Counter(functions)
    seen = collections.Counter()
    kept, left = [], []
    for item, function in zip(items, functions, strict=True):
        mine = seen[function] % share == first or cases[function] < share
        (kept if mine else left).append(item)
        seen[function] += 1
    config.hook.pytest_deselected(items=left)
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
