"""Every learnable entry of every stage: its gradient, and that its value never recompiles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_contract import _LEARNED, _input, _params

from jaxspec import stages

pytestmark = pytest.mark.usefixtures("x64")

# Triangles have kinks where a corner passes a bin; frames of a learned hop jump from sample to
# sample, which its gradient leaves out by definition.
_SMOOTH = [
    stage
    for stage in _LEARNED
    if not isinstance(stage, stages.AdaptiveHopSTFT) and getattr(stage, "shape", "") != "triangle"
]


def _real(y):
    return jnp.abs(y) ** 2 if jnp.iscomplexobj(y) else y


@pytest.mark.parametrize("stage", _SMOOTH, ids=[type(s).__name__ for s in _SMOOTH])
def test_gradients_equal_differences(stage):
    """Central differences in float64, for entries of every leaf and along a random direction."""
    x = jnp.asarray(_input(stage, dtype=np.complex128 if stage.takes == "spectrum" else np.float64))
    params = jax.tree.map(lambda z: jnp.asarray(z, jnp.float64), _params(stage))
    weights = np.random.default_rng(5).standard_normal(stage.apply(params, x).shape)

    @jax.jit
    def loss(params):
        return (weights * _real(stage.apply(params, x))).sum()

    gradient = jax.grad(loss)(params)
    leaves, tree = jax.tree.flatten(params)
    rng = np.random.default_rng(6)
    for at, slopes in enumerate(jax.tree.leaves(gradient)):
        size = leaves[at].size
        places = np.unique(np.linspace(0, size - 1, 7).astype(int))
        directions = [np.eye(1, size, place)[0] for place in places]
        for direction in [*directions, rng.standard_normal(size)]:
            step = 1e-5 * direction.reshape(leaves[at].shape)
            ends = [
                loss(jax.tree.unflatten(tree, [*leaves[:at], leaves[at] + s, *leaves[at + 1 :]]))
                for s in (step, -step)
            ]
            numeric = (ends[0] - ends[1]) / 2e-5
            analytic = (np.asarray(slopes).ravel() * direction).sum()
            largest = np.abs(slopes).max() * np.abs(direction).max()
            assert largest > 0
            assert abs(numeric - analytic) <= 1e-5 * largest
    for factor in (0.0, 3.0, -100.0):
        assert np.isfinite(loss(jax.tree.map(lambda z, f=factor: f * z, params)))
    assert loss._cache_size() == 1
