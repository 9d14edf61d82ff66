"""Buckets of lengths: few programs, and the same features as without."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspec
from jaxspec import FrontEnd, stages

pytestmark = pytest.mark.usefixtures("few_tiles")

STFTS = {
    "reflect": {},
    "symmetric": {"pad_mode": "symmetric"},
    "edge": {"pad_mode": "edge"},
    "constant": {"pad_mode": "constant"},
    "whole frames": {"center": False},
    "hop > frame": {"hop_length": 90},
}


def _frontend(tile_frames=None, **stft):
    return FrontEnd(
        stages.PreEmphasis(),
        stages.STFT(**({"n_fft": 64, "hop_length": 20} | stft)),
        stages.Power(),
        stages.Filterbank(sample_rate=8000, n_fft=64, n_bands=5, layout="gaps"),
        stages.Ln(amin=1e-2, floor="add"),
        stages.Deltas(width=5),
        stages.PCEN(),
        tile_frames=tile_frames,
    )


@pytest.mark.exhaustive
@pytest.mark.parametrize("tile_frames", [None, 7])
@pytest.mark.parametrize("name", STFTS)
def test_the_features_of_the_clip_alone(x64, name, tile_frames):
    frontend = _frontend(tile_frames, **STFTS[name])
    params = frontend.init(jax.random.key(0), dtype="float64")
    for samples in (64, 83, 101, 443, 503, 600):
        x = np.random.default_rng(samples).standard_normal((2, samples))
        alone = frontend.apply(params, x)
        y, n_frames = jaxspec.apply_bucketed(frontend, params, x, buckets=(80, 600))
        assert n_frames == alone.shape[-2]
        assert y.shape[-2] == frontend.length(80 if samples <= 80 else 600)
        np.testing.assert_allclose(y[..., :n_frames, :], alone, rtol=1e-9, atol=1e-10)
        assert not np.any(y[..., n_frames:, :])


@pytest.mark.parametrize("samples", [1, 2, 20, 33])
@pytest.mark.parametrize("name", ["reflect", "symmetric", "edge", "constant"])
def test_clips_shorter_than_the_padding(x64, name, samples):
    frontend = _frontend(**STFTS[name])
    params = frontend.init(jax.random.key(0), dtype="float64")
    x = np.random.default_rng(0).standard_normal(samples)
    y, n_frames = jaxspec.apply_bucketed(frontend, params, x)
    np.testing.assert_allclose(y[:n_frames], frontend.apply(params, x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("tile_frames", [None, 7])
def test_the_gradients_of_the_clip_alone(x64, tile_frames):
    frontend = _frontend(tile_frames)
    params = frontend.init(jax.random.key(0), dtype="float64")
    x = np.random.default_rng(0).standard_normal((2, 503))

    def alone(params, x):
        return jnp.sum(jnp.sin(frontend.apply(params, x)))

    def bucketed(params, x):
        y, n_frames = jaxspec.apply_bucketed(frontend, params, x, buckets=(700,))
        return jnp.sum(jnp.sin(y[..., :n_frames, :]))

    for given, expected in zip(
        jax.tree.leaves(jax.grad(bucketed, (0, 1))(params, x)),
        jax.tree.leaves(jax.grad(alone, (0, 1))(params, x)),
        strict=True,
    ):
        np.testing.assert_allclose(given, expected, rtol=1e-8, atol=1e-10)


def test_half_precision_and_arrays_on_the_device():
    frontend = jaxspec.presets.get("log_mel")
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float16)
    for array in (x, jnp.asarray(x)):
        y, n_frames = jaxspec.apply_bucketed(frontend, {}, array, buckets=[1600])
        assert y.dtype == np.float16
        assert np.allclose(y[:n_frames], frontend(x), atol=0.02)


def test_buckets_have_the_least_padding():
    rng = np.random.default_rng(0)
    for _ in range(20):
        lengths = rng.integers(1, 60, 12).tolist()
        for n_buckets in (1, 2, 3, 20):
            ends = sorted(set(lengths))
            choices = (
                (*some, ends[-1])
                for count in range(min(n_buckets, len(ends)))
                for some in itertools.combinations(ends[:-1], count)
            )
            least = min(
                sum(jaxspec.bucket_length(n, buckets=choice) for n in lengths) for choice in choices
            )
            buckets = jaxspec.length_buckets(lengths, n_buckets=n_buckets)
            assert len(buckets) <= n_buckets
            assert sum(jaxspec.bucket_length(n, buckets=buckets) for n in lengths) == least


def test_buckets_of_a_large_data_set():
    lengths = np.random.default_rng(0).integers(16_000, 320_000, 50_000)
    buckets = jaxspec.length_buckets(lengths, n_buckets=8)
    assert len(buckets) == 8
    assert buckets[-1] == lengths.max()
    # Equal steps are best for equally frequent lengths, and waste half a step for each clip.
    padded = np.asarray(buckets)[np.searchsorted(buckets, lengths)]
    assert padded.sum() / lengths.sum() < 1 + 0.5 * (320 - 16) / 8 / lengths.mean() * 1000 * 1.05
