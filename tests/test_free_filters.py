"""Free filters and gammatones, against goldens/make_analyses.py and the formulas."""

import json
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import noise
from scipy.signal import hilbert

from jaxspec import FrontEnd, stages
from jaxspec.analysis import gammatone_kernels, hilbert_transform

sys.path.insert(0, str(pathlib.Path(__file__).parent / "goldens"))
from voice import signals

GOLDENS = np.load(pathlib.Path(__file__).parent / "goldens" / "analyses.npz")
META, CASES = (json.loads(GOLDENS[name].item()) for name in ("meta", "cases"))

pytestmark = pytest.mark.usefixtures("x64")


def _clip(n):
    return jnp.asarray(signals(16000)["odd"][3000 : 3000 + n])


def _same_as_golden(key, found, tolerance=1e-9):
    found = np.asarray(found)
    if key in META:
        assert list(found.shape) == META[key]["shape"]
        for axis, index in enumerate(META[key]["index"]):
            found = found if index is None else np.take(found, index, axis=axis)
    assert np.abs(found - GOLDENS[key]).max() <= tolerance * np.abs(GOLDENS[key]).max()


def _loss(y):
    return (jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape) * y).sum()


def _as_asteroid(case, partner, real):
    """The front-end of a case: its stride is half a filter where none is stated."""
    options = CASES[case]
    taps = real.shape[1]
    free = stages.FreeFilters(
        n_bands=real.shape[0], taps=taps, hop_length=options.get("stride", taps // 2),
        center=False, partner=partner, real=real.T,
    )  # fmt: skip
    padding = options.get("padding", 0)
    pads = (stages.Pad(before=padding, after=padding),) if padding else ()
    return FrontEnd(*pads, free)


def _both(y):
    """Real parts, and the partners with asteroid's sign."""
    return jnp.concatenate([y.real, -y.imag], axis=-1) if jnp.iscomplexobj(y) else y


@pytest.mark.parametrize(
    ("case", "way"),
    [("free/half", ""), ("free/padded", ""), ("free/tasnet", "")]
    + [(f"analytic/{n}", way) for n in ("even", "odd") for way in ("installed", "hilbert")],
)
def test_free_filters_are_those_of_asteroid(case, way):
    partner = {"": "none", "installed": "reversed"}.get(way, way)
    weights = GOLDENS[f"{case}/weights"]
    frontend = _as_asteroid(case, partner, weights)
    key, x = f"{case}/{way}" if way else case, _clip(700)
    params = jax.tree.map(jnp.float64, frontend.init(jax.random.key(0)))

    def features(params, x):
        y = _both(frontend.apply(params, x))
        return jax.nn.relu(y) if case == "free/tasnet" else y

    _same_as_golden(f"{key}/y", features(params, x))
    if way:
        partners = frontend["free_filters"].kernels({}, dtype=jnp.float64)["imag"]
        _same_as_golden(f"{key}/partner", -partners.T)
    own, by_x = jax.grad(lambda p, x: _loss(features(p, x)), argnums=(0, 1))(params, x)
    _same_as_golden(f"{key}/grad_weights", own["free_filters"]["real"].T)
    _same_as_golden(f"{key}/grad_x", by_x)


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


def test_multiphase_gammatones_are_those_of_the_paper():
    """Their filters, unit energy times a constant: the largest of the original."""
    for n, taps, rate in ((128, 16, 8000), (60, 32, 16000)):
        pairs = np.full(24, n // 2 // 24)
        pairs[: (n - 2 * pairs.sum()) // 2] += 1
        knee = 24.7 * 9.265
        centers = knee * ((1 + 100 / knee) * np.exp(np.arange(-1, 25) / 9.265) - 1)
        erb = 24.7 + 0.108 * centers[1:-1]
        stage = stages.Gammatone(
            sample_rate=rate, n_bands=24, taps=taps, order=2, phases=tuple(pairs.tolist()),
            norm="energy", direction="reversed", hop_length=taps // 2, center=False,
            points=np.r_[max(centers[0], 0), np.minimum(centers[1:], rate / 2)],
            bandwidths=2 * np.sqrt(2**0.5 - 1) * erb / (np.pi / 2),
        )  # fmt: skip
        # An impulse picks one tap of every filter.
        found = np.stack([stage(jnp.eye(taps)[i])[0] for i in range(taps)], axis=1)
        truth = np.zeros((n, taps))
        index = META[f"gammatone/{n}/filters"]["index"][0]
        truth[index] = GOLDENS[f"gammatone/{n}/filters"]
        scale = np.sqrt((truth[index[0]] ** 2).sum())
        np.testing.assert_allclose(found[index] * scale, truth[index], atol=1e-9)


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
