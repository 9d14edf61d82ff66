"""The values of librosa, compared live in float64; and its float32 error as a yardstick."""

import inspect

import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import scipy.fft
from helpers import chirp, energies, noise, relative_max_error, relative_rms_error, t2

import jaxspec

pytestmark = pytest.mark.usefixtures("x64", "strict")

SR = 16000
# Longer than any frame, no multiple of any hop.
CLIP = noise(3001)
VOICE = 0.1 * noise(8000, seed=3) + t2(8000)

HOPS = {"100": 100, "160": 160, "frame": 0, "beyond": 57}


def _hop(name, n_fft):
    return HOPS[name] if HOPS[name] > 60 else n_fft + HOPS[name]


# Spectrum.


@pytest.mark.parametrize("edges", ["reflect", "constant", "edge", "symmetric", "uncentered"])
@pytest.mark.parametrize("win_length", [None, 201])
@pytest.mark.parametrize("hop", HOPS)
@pytest.mark.parametrize("n_fft", [400, 401, 512])
def test_stft(n_fft, hop, win_length, edges):
    center = edges != "uncentered"
    options = {"n_fft": n_fft, "hop_length": _hop(hop, n_fft), "win_length": win_length}
    options |= {"center": True, "pad_mode": edges} if center else {"center": False}
    mine = jaxspec.stft(jnp.asarray(CLIP), **options)
    assert mine.dtype == jnp.complex128
    assert relative_max_error(mine, librosa.stft(CLIP, **options).T) <= 1e-10


@pytest.mark.parametrize("n_fft", [400, 401])
def test_stft_of_a_clip_continued_periodically(n_fft):
    # librosa.stft refuses this mode; what it means is what NumPy does.
    mine = jaxspec.stft(jnp.asarray(CLIP), n_fft=n_fft, hop_length=160, pad_mode="wrap")
    padded = np.pad(CLIP, n_fft // 2, mode="wrap")
    theirs = librosa.stft(padded, n_fft=n_fft, hop_length=160, center=False).T
    assert relative_max_error(mine, theirs) <= 1e-10


@pytest.mark.parametrize("window", ["hamming", "blackman", ("kaiser", 8.0), ("tukey", 0.25)])
def test_stft_with_other_windows(window):
    options = {"n_fft": 512, "hop_length": 160, "win_length": 400, "window": window}
    mine = jaxspec.stft(jnp.asarray(CLIP), **options, pad_mode="constant")
    assert relative_max_error(mine, librosa.stft(CLIP, **options).T) <= 1e-10


@pytest.mark.parametrize("length", [None, 3001, 2950])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize(
    ("n_fft", "hop_length", "win_length"),
    [(400, 100, None), (401, 160, None), (512, 100, 201), (400, 50, 201)],
)
def test_istft(n_fft, hop_length, win_length, center, length):
    options = {"n_fft": n_fft, "hop_length": hop_length, "win_length": win_length, "center": center}
    spectrum = librosa.stft(CLIP, **options)
    spectrum[100:] = 0  # a spectrum that belongs to no signal
    mine = jaxspec.istft(jnp.asarray(spectrum.T), **options, length=length)
    theirs = librosa.istft(spectrum, **options, length=length)
    if not center:
        # Where the squared window is far below 1 both only scale up rounding and the ends of the
        # filter; the comparison is for samples that a window sees.
        theirs, mine = theirs[8:-8], np.asarray(mine)[8:-8]
    assert relative_max_error(mine, theirs) <= 1e-10


SIGNALS = {"t2": t2(16000), "noise": noise(16000, seed=1), "chirp": chirp(16000)}


@pytest.mark.parametrize("n_fft", [256, 400, 401, 512, 2048])
@pytest.mark.parametrize("signal", SIGNALS)
def test_stft_in_float32(signal, n_fft):
    x = SIGNALS[signal].astype(np.float32)
    padded = np.pad(x, n_fft // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::160]
    window = jaxspec.window("hann", n_fft)
    truth = np.fft.rfft(frames.astype(np.float64) * window)
    mine = jaxspec.stft(jnp.asarray(x), n_fft=n_fft, hop_length=160)
    assert mine.dtype == jnp.complex64
    error = relative_rms_error(mine, truth)
    assert error <= 3e-7
    # Both librosa and NumPy compute float32 input in float64 and round the result. The fair
    # yardstick is an FFT that is float32 throughout.
    theirs = scipy.fft.rfft(frames * window.astype(np.float32))
    assert theirs.dtype == np.complex64
    assert error <= 1.5 * relative_rms_error(theirs, truth)
    # Not the last frame: librosa mirrors the padding of the end about the wrong sample where
    # that frame starts exactly n_fft // 2 samples before the end.
    rounded = librosa.stft(x, n_fft=n_fft, hop_length=160, pad_mode="reflect").T
    assert relative_rms_error(mine[:-1], rounded[:-1]) <= 3e-7


# Bands.


NORMS = {"slaney": "slaney", "none": None, "l1": 1, "l2": 2, "peak": np.inf}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("mel_scale", ["slaney", "htk"])
@pytest.mark.parametrize(
    ("sample_rate", "n_fft", "n_mels", "f_min", "f_max"),
    [
        (16000, 512, 40, 0.0, None),
        (16000, 401, 23, 20.0, 7600.0),
        (22050, 2048, 128, 0.0, 8000.0),
        (11025, 1024, 64, 50.0, None),
        (44100, 2048, 96, 30.0, 16000.0),
    ],
)
def test_mel_filterbank(sample_rate, n_fft, n_mels, f_min, f_max, mel_scale, norm):
    mine = jaxspec.mel_filterbank(
        sample_rate=sample_rate,
        n_fft=n_fft,
        n_mels=n_mels,
        f_min=f_min,
        f_max=f_max,
        mel_scale=mel_scale,
        norm="peak" if norm == "peak" else NORMS[norm],
    )
    theirs = librosa.filters.mel(
        sr=sample_rate,
        n_fft=n_fft,
        n_mels=n_mels,
        fmin=f_min,
        fmax=f_max,
        htk=mel_scale == "htk",
        norm=NORMS[norm],
        dtype=np.float64,
    )
    assert relative_max_error(mine, theirs.T) <= 1e-12


@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize(("mel_scale", "norm"), [("slaney", "slaney"), ("htk", None)])
def test_mel_spectrogram(mel_scale, norm, power):
    options = {"n_fft": 512, "hop_length": 160, "win_length": 400, "n_mels": 40, "power": power}
    mine = jaxspec.mel_spectrogram(
        jnp.asarray(VOICE),
        sample_rate=SR,
        **options,
        pad_mode="constant",
        mel_scale=mel_scale,
        norm=norm,
    )
    theirs = librosa.feature.melspectrogram(
        y=VOICE, sr=SR, **options, htk=mel_scale == "htk", norm=norm, dtype=np.float64
    )
    assert relative_max_error(mine, theirs.T) <= 1e-10


def test_fft_frequencies():
    for sample_rate, n_fft in [(16000, 512), (16000, 401), (11025, 512), (44100, 1)]:
        mine = jaxspec.fft_frequencies(sample_rate=sample_rate, n_fft=n_fft)
        theirs = librosa.fft_frequencies(sr=sample_rate, n_fft=n_fft)
        np.testing.assert_allclose(mine, theirs, rtol=1e-14)


@pytest.mark.parametrize("center", [True, False])
def test_frame_times(center):
    mine = jaxspec.frame_times(9, sample_rate=SR, n_fft=401, hop_length=160, center=center)
    theirs = librosa.frames_to_time(
        np.arange(9), sr=SR, hop_length=160, n_fft=None if center else 401
    )
    np.testing.assert_allclose(mine, theirs, rtol=1e-14)


# Frequencies on both sides of the corner of the Slaney scale, and on it.
HERTZ = np.concatenate([[0.0, 1e-3, 999.999, 1000.0, 1000.001], np.linspace(5, 22050, 200)])


@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
@pytest.mark.parametrize("mel_scale", ["slaney", "htk"])
def test_mel_scales(mel_scale, kind):
    htk = mel_scale == "htk"
    mels = librosa.hz_to_mel(HERTZ, htk=htk)
    mine = jaxspec.hz_to_mel(kind(HERTZ), mel_scale=mel_scale)
    np.testing.assert_allclose(mine, mels, rtol=1e-12, atol=1e-12)
    back = jaxspec.mel_to_hz(kind(mels), mel_scale=mel_scale)
    np.testing.assert_allclose(back, librosa.mel_to_hz(mels, htk=htk), rtol=1e-12, atol=1e-9)


def test_octaves():
    hertz = HERTZ[HERTZ > 0]
    octaves = librosa.hz_to_octs(hertz)
    np.testing.assert_allclose(jaxspec.hz_to_octave(hertz), octaves, rtol=1e-12, atol=1e-12)
    back = jaxspec.octave_to_hz(octaves)
    np.testing.assert_allclose(back, librosa.octs_to_hz(octaves), rtol=1e-12)


# Compression.

BANDS = energies(40, 120)  # librosa's layout: (channels, frames)
BANDS[3:6, 20:40] = 0.0


@pytest.mark.parametrize("top_db", [None, 80.0, 20.0])
@pytest.mark.parametrize("amin", [1e-10, 1e-3])
@pytest.mark.parametrize("ref", [1.0, 1e-4, "max"])
def test_decibels(ref, amin, top_db):
    reference = np.max if ref == "max" else ref
    for mine, theirs in [
        (jaxspec.power_to_db, librosa.power_to_db),
        (jaxspec.amplitude_to_db, librosa.amplitude_to_db),
    ]:
        got = mine(jnp.asarray(BANDS.T), ref=ref, amin=amin, top_db=top_db)
        want = theirs(BANDS, ref=reference, amin=amin, top_db=top_db).T
        assert relative_max_error(got, want) <= 1e-10


@pytest.mark.parametrize("ref", [1.0, 1e-4])
def test_decibels_back(ref):
    decibels = noise(5, 7) * 40
    got = jaxspec.db_to_power(jnp.asarray(decibels), ref=ref)
    np.testing.assert_allclose(got, librosa.db_to_power(decibels, ref=ref), rtol=1e-10)
    got = jaxspec.db_to_amplitude(jnp.asarray(decibels), ref=ref)
    np.testing.assert_allclose(got, librosa.db_to_amplitude(decibels, ref=ref), rtol=1e-10)


PCEN_CHOICES = {
    "defaults": {},
    "log": {"power": 0.0},
    "power law": {"bias": 0.0},
    "other": {"gain": 0.5, "bias": 10.0, "power": 0.25, "eps": 1e-3},
}


@pytest.mark.parametrize("start", ["first", "librosa", "zeros"])
@pytest.mark.parametrize("choices", PCEN_CHOICES)
def test_pcen(choices, start):
    smoothing = jaxspec.smoothing_for_time_constant(0.4, sample_rate=SR, hop_length=160)
    options = {"gain": 0.98, "bias": 2.0, "power": 0.5, "eps": 1e-6} | PCEN_CHOICES[choices]
    # librosa warns about the logarithm of 0 on the way to the power law.
    bands = np.maximum(BANDS, 1e-12) if choices == "power law" else BANDS
    mine = jaxspec.pcen(jnp.asarray(bands.T), smoothing=smoothing, start=start, **options)
    # librosa's state is what the filter adds to its next output, one value for each channel.
    state = {"librosa": None, "zeros": np.zeros((40, 1)), "first": (1 - smoothing) * bands[:, :1]}
    theirs = librosa.pcen(
        bands, sr=SR, hop_length=160, time_constant=0.4, zi=state[start], **options
    )
    assert relative_max_error(mine, theirs.T) <= 1e-10


# Cepstra.


@pytest.mark.parametrize("lifter", [None, 22.0])
@pytest.mark.parametrize("dct_type", [1, 2, 3])
def test_mfcc(dct_type, lifter):
    options = {"n_fft": 512, "hop_length": 160, "n_mels": 40, "n_mfcc": 13, "dct_type": dct_type}
    liftered = {} if lifter is None else {"lifter": lifter, "lifter_form": "librosa"}
    mine = jaxspec.mfcc(
        jnp.asarray(VOICE), sample_rate=SR, **options, **liftered, pad_mode="constant"
    )
    theirs = librosa.feature.mfcc(y=VOICE, sr=SR, **options, lifter=lifter or 0, dtype=np.float64)
    assert relative_max_error(mine, theirs.T) <= 1e-10


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("width", [3, 5, 9])
def test_delta(width, order):
    features = noise(4, 30)
    mine = jaxspec.delta(jnp.asarray(features.T), width=width, order=order, edge="interp")
    theirs = librosa.feature.delta(features, width=width, order=order, mode="interp")
    assert relative_max_error(mine, theirs.T) <= 1e-10


@pytest.mark.parametrize("coef", [0.97, 0.5, 1.0])
def test_preemphasis(coef):
    mine = jaxspec.preemphasis(jnp.asarray(CLIP), coef=coef, first="librosa")
    assert relative_max_error(mine, librosa.effects.preemphasis(CLIP, coef=coef)) <= 1e-10


def test_the_default_of_the_mel_functions_is_that_of_librosa():
    """Slaney's scale and norm are the defaults on both sides, so a bare call agrees."""
    theirs = librosa.filters.mel(sr=SR, n_fft=512, n_mels=40, dtype=np.float64)
    mine = jaxspec.mel_filterbank(sample_rate=SR, n_fft=512, n_mels=40)
    assert relative_max_error(mine, theirs.T) <= 1e-12
    assert inspect.signature(librosa.filters.mel).parameters["norm"].default == "slaney"
