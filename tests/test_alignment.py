"""Where frames lie in time: as `FrontEnd.frame_times` says, whatever the length of the clip."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspec
from jaxspec import FrontEnd, stages

RATE = 16000
BANK = {"sample_rate": RATE, "n_bands": 24, "f_min": 400, "f_max": 4000}
POWER = stages.Power()
POOL = stages.GaussianPool(size=41, stride=20, deviation=8.0)
# Bands that are narrow enough for the hop: a cut in frequency depends on the length.
GABOR = stages.Gabor(**BANK, taps=801, hop_length=8)
FILTERBANK = stages.Filterbank(**BANK, n_fft=512)
HANN = jaxspec.window("hann", 21, periodic=False)
FREE = stages.FreeFilters.like(stages.Gabor(**BANK, taps=201, hop_length=16), learn=())
SYSTEMS = {
    "STFT": FrontEnd(stages.STFT(n_fft=512, hop_length=160), POWER, FILTERBANK),
    "STFT, not centred": FrontEnd(
        stages.STFT(n_fft=512, hop_length=160, center=False), POWER, FILTERBANK
    ),
    "padded": FrontEnd(
        stages.Pad(before=37, after=300),
        stages.STFT(n_fft=512, hop_length=160, center=False),
        POWER,
        FILTERBANK,
    ),
    "Kaldi's frames": FrontEnd(
        stages.Frame(frame_length=400, hop_length=160, edges="mirror"),
        stages.Window(window="povey", win_length=400, periodic=False),
        stages.RFFT(n_fft=512),
        POWER,
        FILTERBANK,
    ),
    "adaptive": FrontEnd(
        stages.AdaptiveSTFT(n_fft=512, win_length=300, hop_length=160, learn=()), POWER, FILTERBANK
    ),
    "Gabor": FrontEnd(GABOR, POWER, POOL),
    "Gabor, direct": FrontEnd(
        stages.Gabor(**BANK, taps=401, hop_length=16, method="direct"), POWER, POOL
    ),
    "Gabor, not centred": FrontEnd(
        stages.Gabor(**BANK, taps=401, hop_length=16, center=False), POWER, POOL
    ),
    "Gabor with a stride": FrontEnd(
        stages.Gabor(**BANK, taps=401, hop_length=80, method="direct"), POWER
    ),
    "whole averages": FrontEnd(
        GABOR, POWER, stages.GaussianPool(size=39, stride=20, deviation=8.0, edges="whole")
    ),
    "moved averages": FrontEnd(
        GABOR, POWER, stages.GaussianPool(size=41, stride=20, offset=7, deviation=8.0)
    ),
    "free averages": FrontEnd(
        GABOR, POWER, stages.FreePool(size=21, stride=10, weights=HANN, learn=())
    ),
    "decimated": FrontEnd(GABOR, POWER, stages.Decimate(stride=10, offset=3)),
    "sinc": FrontEnd(stages.Sinc(**BANK, taps=251, hop_length=16), POWER, POOL),
    "free filters": FrontEnd(FREE, POWER, POOL),
    "two rates": FrontEnd(
        stages.Beside(
            branches=tuple(
                FrontEnd(
                    stages.Gabor(**BANK, taps=401, hop_length=hop),
                    POWER,
                    stages.GaussianPool(
                        size=2 * (200 // hop) + 1, stride=160 // hop, deviation=80 / hop
                    ),
                )
                for hop in (8, 10)
            )
        )
    ),
    "octaves": FrontEnd(
        stages.OctaveFilters(
            n_octaves=4,
            filters_per_octave=1,
            taps=2,
            stride=64,
            filters=np.ones((2, 4)),
            learn=(),
        ),
        stages.Affine(scale=1.0),
    ),
}  # fmt: skip


def pulse(n, middle):
    """Of a few frequencies, the same on both sides of its middle."""
    t = np.arange(n) - middle
    waves = sum(np.cos(2 * np.pi * f / RATE * t) for f in (700, 1500, 3100))
    return (np.exp(-0.5 * (t / 200) ** 2) * waves).astype(np.float32)


@pytest.mark.parametrize("name", SYSTEMS)
def test_energy_is_where_it_was(name):
    """The centre of gravity of the features is the middle of the pulse."""
    frontend = SYSTEMS[name]
    lengths = (8000, 8001, 8095, 8160)
    for middle in (4000, 4037):
        found = []
        for n in lengths:
            y = np.asarray(frontend(jnp.asarray(pulse(n, middle))), np.float64)
            times = frontend.frame_times(len(y), sample_rate=RATE)
            energy = y.sum(axis=-1)
            energy[energy < 1e-4 * energy.max()] = 0
            found.append((times * energy).sum() / energy.sum())
        # Within a sample and a half, the steps in which octaves can lie apart.
        np.testing.assert_allclose(found, middle / RATE, atol=1.5 / RATE)


@pytest.mark.parametrize("name", SYSTEMS)
def test_frames_inside_do_not_depend_on_the_length(name):
    frontend = SYSTEMS[name]
    x = jax.random.normal(jax.random.key(0), (8161,))
    whole = np.asarray(frontend(x))
    reach = frontend.reach
    for n in (8000, 8001, 8095):
        y = np.asarray(frontend(x[:n]))
        inside = [t for t in range(len(y)) if t * reach.stride + reach.after < n]
        assert len(inside) > 20
        np.testing.assert_allclose(
            y[inside], whole[inside], rtol=1e-3, atol=1e-4 * np.abs(whole).max()
        )
