"""Evaluation in tiles gives what evaluation at once gives, with all derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspec
from jaxspec import FrontEnd, stages, tiling


@pytest.fixture
def tile(monkeypatch):
    """Small tiles, so that short clips have many."""
    return lambda samples: monkeypatch.setattr(tiling, "_TILE", samples)


def _frontend(**stft):
    stft = {"n_fft": 64, "hop_length": 20} | stft
    return FrontEnd(
        stages.PreEmphasis(),
        stages.STFT(**stft),
        stages.Power(),
        stages.Filterbank(sample_rate=8000, n_fft=stft["n_fft"], n_bands=5, layout="gaps"),
        stages.Ln(amin=1e-3, floor="add"),
        stages.PCEN(),
        stages.Deltas(width=3),
    )


STFTS = {
    "centred": {},
    "whole frames": {"center": False},
    "odd": {"n_fft": 61, "hop_length": 17},
    "short window": {"win_length": 30},
    "hop of a frame": {"hop_length": 64},
    "hop > frame": {"hop_length": 90},
    "hop 1": {"hop_length": 1},
}


@pytest.mark.parametrize(
    ("name", "batch"), [(name, (3,)) for name in STFTS] + [("centred", ()), ("centred", (2, 2))]
)
def test_tiles_make_the_whole(tile, name, batch):
    frontend = _frontend(**STFTS[name])
    params = jax.tree.map(lambda leaf: leaf + 0.1, frontend.init(jax.random.key(0)))
    x = np.random.default_rng(0).standard_normal((*batch, 503)).astype(np.float32)

    def both():
        # `evaluate` under a jit of its own: `apply` would remember the program of another tile.
        def loss(params, x):
            y = frontend.evaluate(params, x)
            return jnp.sum(jnp.asarray(np.cos(np.arange(y.size))).reshape(y.shape) * y), y

        return jax.jit(jax.grad(loss, (0, 1), has_aux=True))(params, x)

    tile(10**9)
    whole = both()
    for size in (300, 2000):
        tile(size)
        for a, b in zip(jax.tree.leaves(both()), jax.tree.leaves(whole), strict=True):
            assert np.allclose(a, b, rtol=1e-4, atol=2e-5 * float(np.abs(b).max())), size


def test_the_tiled_program_has_a_loop_and_no_framed_copy(tile):
    frontend = jaxspec.presets.preset("log_mel")
    x = jax.ShapeDtypeStruct((160_000,), jnp.float32)

    def temporaries():
        compiled = jax.jit(lambda x: frontend.evaluate({}, x)).lower(x).compile()
        return compiled.memory_analysis().temp_size_in_bytes, compiled.as_text().count(" while(")

    tile(10**9)
    whole, loops = temporaries()
    assert loops == 0
    framed = 1001 * 512 * 4
    assert whole > framed
    tile(40_000)
    tiled, loops = temporaries()
    assert loops >= 1
    assert tiled < framed


def test_every_transformation_of_tiles(tile):
    tile(1500)
    frontend = _frontend()
    params = frontend.init(jax.random.key(0))
    x = jnp.asarray(np.random.default_rng(1).standard_normal((3, 500)), jnp.float32)
    features = jax.jit(lambda x: frontend.evaluate(params, x))

    def loss(x):
        return jnp.sum(jnp.sin(features(x)))

    rows = jnp.stack([features(row) for row in x])
    assert np.allclose(features(x), rows, rtol=1e-4, atol=1e-5)
    assert np.allclose(jax.vmap(features)(x), rows, rtol=1e-4, atol=1e-5)
    _, scanned = jax.lax.scan(lambda carry, x: (carry, features(x)), 0, x)
    assert np.allclose(scanned, rows, rtol=1e-4, atol=1e-5)
    gradient = jax.grad(loss)
    forward = jax.jvp(loss, (x,), (x,))[1]
    assert np.isclose(forward, jnp.vdot(gradient(x), x), rtol=1e-3)
    assert np.allclose(jax.vmap(gradient)(x), gradient(x), rtol=1e-3, atol=1e-5)
    assert np.isfinite(jax.jvp(gradient, (x,), (x,))[1]).all()
