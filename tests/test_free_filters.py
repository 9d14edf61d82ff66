"""Free filters, gammatones and branches of front-ends against their formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import noise
from scipy.signal import hilbert

from jaxspec import FrontEnd, stages
from jaxspec.analysis import gammatone_kernels, hilbert_transform

pytestmark = pytest.mark.usefixtures("x64")


@pytest.mark.parametrize("taps", [20, 21])
def test_the_partner_is_the_hilbert_transform(taps):
    kernels = np.random.default_rng(0).standard_normal((taps, 3))
    truth = hilbert(kernels, axis=0).imag
    np.testing.assert_allclose(hilbert_transform(jnp.asarray(kernels)), truth, atol=1e-14)


def test_drawn_filters_have_the_stated_deviation():
    stage = stages.FreeFilters(n_bands=200, taps=400)
    params = stage.init(jax.random.key(3))
    for part in ("real", "imag"):
        assert np.std(params[part]) == pytest.approx(np.sqrt(2 / (400 * 201)), rel=0.02)
    assert not np.array_equal(params["real"], params["imag"])


def test_like_starts_at_the_other_filters():
    gabor = stages.Gabor(
        sample_rate=16000, n_bands=6, f_min=200, taps=401, hop_length=40, layout="gaps",
        method="direct",
    )  # fmt: skip
    moved = {"gaps": jnp.linspace(-1, 1, 7), "widths": jnp.linspace(0.3, -0.3, 6)}
    x = jnp.asarray(noise(2000))
    zeros = jax.tree.map(jnp.zeros_like, moved)
    for params in (None, moved):
        free = stages.FreeFilters.like(gabor, params)
        wanted = gabor.apply(params or zeros, x)
        start = free.init(jax.random.key(0), dtype=jnp.float64)
        assert all((leaf == 0).all() for leaf in jax.tree.leaves(start))
        np.testing.assert_allclose(free.apply(start, x), wanted, atol=1e-12)
    every = stages.FreeFilters.like(gabor, hop_length=5, learn=())(x)
    np.testing.assert_allclose(every[::8], gabor.apply(zeros, x), atol=1e-12)
    with pytest.raises(ValueError, match="must be a stage that has kernels"):
        stages.FreeFilters.like(stages.Power())


# Gammatones.


def test_gammatone_widths_and_gain():
    """The response is 1 at the centre and half the power at half the width from it."""
    stage = stages.Gammatone(
        sample_rate=16000, n_bands=12, f_min=200, f_max=6000, scale="erb", taps=4001
    )
    for direction in ("causal", "reversed"):
        parts = stages.Gammatone(
            sample_rate=16000, n_bands=12, f_min=200, f_max=6000, scale="erb", taps=4001,
            direction=direction,
        ).kernels({}, dtype=jnp.float64)  # fmt: skip
        kernels = np.asarray(parts["real"] + 1j * parts["imag"])
        n = np.arange(4001)[:, None]
        centers = np.asarray(stage.edges({}, dtype=jnp.float64))[1:-1]
        widths = np.asarray(stage.widths({}, dtype=jnp.float64))
        for away, power in ((0.0, 1.0), (0.5, 0.5), (-0.5, 0.5)):
            wave = np.exp(2j * np.pi * (centers + away * widths) / 16000 * n)
            # What a sum over samples leaves of the formula in continuous time: under 4 %.
            response = np.abs((kernels * wave).sum(axis=0)) ** 2
            np.testing.assert_allclose(response, power, rtol=1e-9 if away == 0 else 0.04)


def test_a_causal_gammatone_is_a_filter():
    """The convolution of the signal with the impulse response."""
    stage = stages.Gammatone(sample_rate=16000, n_bands=5, f_min=300, taps=100, center=False)
    x = noise(1000)
    centers = stage.edges({}, dtype=jnp.float64)[1:-1] / 16000
    per_width = 1 / (2 * np.sqrt(2**0.25 - 1) * 16000)
    bandwidths = stage.widths({}, dtype=jnp.float64) * per_width
    parts = gammatone_kernels(centers, bandwidths, order=4, taps=100)
    for band in range(5):
        response = parts["real"][:, band] + 1j * parts["imag"][:, band]
        truth = np.convolve(x, response, mode="valid")
        np.testing.assert_allclose(stage(x)[:, band], truth, atol=1e-12)


def test_branches_are_what_they_are_alone():
    """Edges, tiles and parameters of every branch are its own; centres are known."""
    bank = {"sample_rate": 16000, "n_bands": 7, "layout": "gaps"}
    gabor = FrontEnd(
        stages.Gabor(**bank, f_min=50, f_max=900, taps=801, hop_length=40),
        stages.Power(),
        stages.GaussianPool(size=11, stride=4, deviation=2.0),
    )
    stft = FrontEnd(
        stages.STFT(n_fft=512, hop_length=160),
        stages.Power(),
        stages.Filterbank(**bank, n_fft=512, f_min=900),
    )
    frontend = FrontEnd(stages.Beside(branches=(gabor, stft)), stages.PCEN())
    params = jax.tree.map(
        lambda leaf: jnp.linspace(-0.3, 0.3, leaf.size), frontend.init(jax.random.key(0))
    )
    own = params["beside"]
    x = jnp.asarray(noise(32078)).reshape(2, -1)
    both = jnp.concatenate([gabor.apply(own["0"], x), stft.apply(own["1"], x)], axis=-1)
    np.testing.assert_allclose(frontend.apply(params, x), stages.PCEN()(both), rtol=1e-12)
    centers = [branch.frequencies(own[str(i)]) for i, branch in enumerate((gabor, stft))]
    np.testing.assert_array_equal(frontend.frequencies(params), np.concatenate(centers))
    assert frontend.sample_rate == 16000
    np.testing.assert_allclose(frontend.frame_times(3), [0, 0.01, 0.02])
    assert (
        frontend.frequencies() == FrontEnd(frontend).frequencies(frontend.init(jax.random.key(0)))
    ).all()


@pytest.mark.parametrize("kind", ["Gabor", "Sinc", "Gammatone"])
def test_frequencies_of_filters_in_time(kind):
    stage = getattr(stages, kind)(
        sample_rate=16000, n_bands=5, f_min=100, taps=101, hop_length=8, layout="gaps"
    )
    params = {"gaps": jnp.linspace(-1, 1, 6), "widths": jnp.zeros(5)}
    frontend = FrontEnd(stage, stages.Power())
    found = frontend.frequencies({stage.name: params})
    np.testing.assert_array_equal(found, stage.centers(params))
