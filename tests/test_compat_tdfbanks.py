"""`jaxspec.compat.tdfbanks` against goldens/make_analyses.py: start, values, gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parts_of_goldens import Goldens, clip, loss

from jaxspec.compat import tdfbanks

GOLDENS = Goldens("analyses")
FILTERS = 8

pytestmark = pytest.mark.usefixtures("x64")


def test_start_of_forty_filters():
    GOLDENS.same("tdfbanks/init/filters", tdfbanks.start_filters(40, 401), 1e-12)


def test_filters_of_triangles_without_bins_are_zero():
    """The original's defect: two of its 80 filters."""
    assert (np.abs(tdfbanks.start_filters(80, 401)).max(axis=1) == 0).sum() == 2


def _moved():
    moves = 0.02 * np.random.default_rng(13).standard_normal((2, FILTERS, 401))
    np.testing.assert_array_equal(moves[..., :3], GOLDENS["tdfbanks/moves"])
    late = np.arange(401) - 1
    windows = 0.5 * (1 - np.cos(2 * np.pi * late / 400))
    filters = tdfbanks.start_filters(FILTERS, 401) + 0.05 * moves[0] + 0.05j * moves[1]
    return {"filters": filters, "windows": windows + moves[0]}


@pytest.mark.parametrize("case", ["start", "moved", "moved preemp mvn"])
def test_features(case):
    key = f"tdfbanks/{case}"
    given = _moved() if "moved" in case else {}
    frontend = tdfbanks.TDFbanks("learnall", FILTERS, **GOLDENS.cases[key], **given)
    params, x = frontend.init(jax.random.key(0), dtype=jnp.float64), jnp.asarray(clip())
    GOLDENS.same(f"{key}/y", frontend.apply(params, x))
    own, by_x = jax.grad(lambda p, x: loss(frontend.apply(p, x)), argnums=(0, 1))(params, x)
    GOLDENS.same(f"{key}/grad_real", own["free_filters"]["real"].T)
    GOLDENS.same(f"{key}/grad_imag", own["free_filters"]["imag"].T)
    GOLDENS.same(f"{key}/grad_windows", own["free_pool"]["weights"].T)
    GOLDENS.same(f"{key}/grad_x", by_x)


def test_what_is_learned():
    names = {"fixed": [], "learnfbanks": ["free_filters"]}
    names |= {mode: ["free_filters", "free_pool"] for mode in ("learnall", "randinit")}
    for mode, wanted in names.items():
        frontend = tdfbanks.TDFbanks(mode, 4)
        params = frontend.init(jax.random.key(0))
        assert sorted(params) == wanted
        drawn = any((leaf != 0).any() for leaf in jax.tree.leaves(params))
        assert drawn == (mode == "randinit")
    times = tdfbanks.TDFbanks("fixed", 4).frame_times(2)
    np.testing.assert_allclose(times, [200 / 16000, 360 / 16000])
