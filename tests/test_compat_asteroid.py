"""`jaxspec.compat.asteroid` against goldens/make_analyses.py: values, gradients, starts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parts_of_goldens import Goldens, clip, loss

from jaxspec.compat import asteroid

GOLDENS = Goldens("analyses")

pytestmark = pytest.mark.usefixtures("x64")


def _made(case, way):
    """The front-end of a case, starting at its filters."""
    options = {"stride": None} | GOLDENS.cases[case]
    filters = GOLDENS[f"{case}/weights"]
    if not way:
        return asteroid.FreeFB(len(filters), filters=filters, **options)
    return asteroid.AnalyticFreeFB(2 * len(filters), filters=filters, partner=way, **options)


@pytest.mark.parametrize(
    ("case", "way"),
    [("free/half", ""), ("free/padded", ""), ("free/tasnet", "")]
    + [(f"analytic/{n}", way) for n in ("even", "odd") for way in ("installed", "hilbert")],
)
def test_free_filters(case, way):
    frontend = _made(case, way)
    key, x = f"{case}/{way}" if way else case, jnp.asarray(clip(700))
    params = frontend.init(jax.random.key(0), dtype=jnp.float64)

    def features(params, x):
        y = frontend.apply(params, x)
        return jax.nn.relu(y) if case == "free/tasnet" else y

    GOLDENS.same(f"{key}/y", features(params, x))
    if way:
        partners = frontend["free_filters"].kernels({}, dtype=jnp.float64)["imag"]
        GOLDENS.same(f"{key}/partner", -partners.T)
    own, by_x = jax.grad(lambda p, x: loss(features(p, x)), argnums=(0, 1))(params, x)
    GOLDENS.same(f"{key}/grad_weights", own["free_filters"]["real"].T)
    GOLDENS.same(f"{key}/grad_x", by_x)


@pytest.mark.parametrize(("n", "taps", "rate"), [(128, 16, 8000), (60, 32, 16000)])
def test_multiphase_gammatones(n, taps, rate):
    frontend = asteroid.MultiphaseGammatoneFB(n, taps, rate)
    # An impulse picks one tap of every filter.
    filters = np.stack([frontend(jnp.eye(taps)[i])[0] for i in range(taps)], axis=1)
    GOLDENS.same(f"gammatone/{n}/filters", filters)


def test_odd_numbers_are_refused():
    with pytest.raises(ValueError, match="n_filters must be even"):
        asteroid.AnalyticFreeFB(5, 16)
    with pytest.raises(ValueError, match="partner must be one of"):
        asteroid.AnalyticFreeFB(6, 16, partner="sine")
