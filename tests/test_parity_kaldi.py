"""The values of Kaldi, compared live with kaldi_native_fbank, which computes in float32."""

import jax.numpy as jnp
import kaldi_native_fbank as knf
import numpy as np
import pytest
from helpers import noise, relative_max_error, t2

import jaxspec

pytestmark = pytest.mark.usefixtures("x64", "strict")

SR = 16000
# Kaldi works at the scale of 16-bit samples.
CLIP = np.round(32768 * (0.5 * t2(8000) + 0.01 * noise(8000)))


def _frame_options(**changes):
    options = knf.FrameExtractionOptions()
    options.dither = 0.0
    for name, value in changes.items():
        setattr(options, name, value)
    return options


def _features(computer, x):
    computer.accept_waveform(SR, x.astype(np.float32))
    computer.input_finished()
    return np.stack([computer.get_frame(t) for t in range(computer.num_frames_ready)])


@pytest.mark.parametrize(
    ("n_mels", "f_min", "f_max"),
    [(23, 20.0, 8000.0), (40, 20.0, 8000.0), (80, 20.0, 7600.0), (64, 125.0, 7500.0)],
)
def test_mel_filterbank(n_mels, f_min, f_max):
    options = knf.MelBanksOptions(num_bins=n_mels, low_freq=f_min, high_freq=f_max)
    theirs = knf.MelBanks(options, _frame_options()).get_matrix().T
    mine = jaxspec.mel_filterbank(
        sample_rate=SR,
        n_fft=512,
        n_mels=n_mels,
        f_min=f_min,
        f_max=f_max,
        mel_scale="kaldi",
        domain="scale",
        norm=None,
    )
    # Kaldi takes differences of mel values near 2840 in float32: 2e-4 mel of rounding, on
    # triangles that are at least 30 mel wide.
    assert np.abs(mine - theirs).max() <= 2e-5
    np.testing.assert_array_equal(mine[1:-1] > 1e-5, theirs[1:-1] > 1e-5)


def test_mel_scale():
    for hertz in (20.0, 440.0, 1000.0, 8000.0):
        theirs = knf.MelBanks.mel_scale(hertz)
        assert jaxspec.hz_to_mel(hertz, mel_scale="kaldi") == pytest.approx(theirs, rel=1e-5)
        back = jaxspec.mel_to_hz(float(theirs), mel_scale="kaldi")
        assert back == pytest.approx(hertz, rel=1e-5)


@pytest.mark.parametrize(
    ("theirs", "mine"),
    [
        ("povey", "povey"),
        ("hanning", "hann"),
        ("hamming", "hamming"),
        ("blackman", "blackman"),
        ("rectangular", "rectangular"),
    ],
)
def test_windows(theirs, mine):
    table = knf.FeatureWindowFunction(_frame_options(window_type=theirs)).window
    symmetric = jaxspec.window(mine, 400, periodic=False)
    np.testing.assert_allclose(symmetric, table, rtol=0, atol=1e-6)


def _log_bands(x, *, n_mels, preemphasis=0.97):
    """Kaldi's filterbank features from the pieces of this library, in float64."""
    frames = jaxspec.frame(jnp.asarray(x), frame_length=400, hop_length=160)
    frames = frames - frames.mean(axis=-1, keepdims=True)
    # Pre-emphasis inside every frame: the frames stand where a batch would.
    frames = jaxspec.preemphasis(frames, coef=preemphasis, first="replicate")
    frames = frames * jaxspec.window("povey", 400, periodic=False)
    # The window at the left of the FFT buffer, not in its middle.
    spectrum = jnp.fft.rfft(frames, n=512)
    bank = jaxspec.mel_filterbank(
        sample_rate=SR,
        n_fft=512,
        n_mels=n_mels,
        f_min=20.0,
        mel_scale="kaldi",
        domain="scale",
        norm=None,
    )
    bands = jaxspec.apply_filterbank(jaxspec.power(spectrum), bank)
    return jaxspec.ln(bands, amin=float(np.finfo(np.float32).eps))


@pytest.mark.parametrize("n_mels", [23, 80])
def test_log_filterbank_features(n_mels):
    options = knf.FbankOptions()
    options.frame_opts = _frame_options()
    options.mel_opts = knf.MelBanksOptions(num_bins=n_mels, low_freq=20, high_freq=0)
    theirs = _features(knf.OnlineFbank(options), CLIP)
    mine = _log_bands(CLIP, n_mels=n_mels)
    assert mine.shape == theirs.shape == (48, n_mels)
    # In nepers; the rounding of Kaldi's weights shows in bands that hold one bin's edge.
    assert np.abs(np.asarray(mine) - theirs).max() <= 1e-3


def test_silence_is_at_the_floor():
    options = knf.FbankOptions()
    options.frame_opts = _frame_options()
    theirs = _features(knf.OnlineFbank(options), np.zeros(8000))
    mine = _log_bands(np.zeros(8000), n_mels=23)
    np.testing.assert_allclose(mine, theirs, rtol=1e-6)
    np.testing.assert_allclose(mine, -15.942385, atol=1e-6)


@pytest.mark.parametrize("lifter", [22.0, 0.0, 10.0])
def test_mfcc(lifter):
    options = knf.MfccOptions()
    options.frame_opts = _frame_options()
    options.mel_opts = knf.MelBanksOptions(num_bins=23, low_freq=20, high_freq=0)
    options.use_energy = False
    options.cepstral_lifter = lifter
    theirs = _features(knf.OnlineMfcc(options), CLIP)
    mine = jaxspec.dct(_log_bands(CLIP, n_mels=23), n_out=13)
    if lifter:
        mine = jaxspec.lifter(mine, lifter=lifter)
    assert relative_max_error(mine, theirs) <= 1e-5
    if lifter:
        # The other count of the coefficients is another filter.
        other = jaxspec.lifter(
            jaxspec.dct(_log_bands(CLIP, n_mels=23), n_out=13), lifter=lifter, form="librosa"
        )
        assert relative_max_error(other, theirs) > 0.1


def test_deltas():
    """Kaldi's first derivative is the regression; its edges repeat the first and last frame."""
    features = noise(30, 4).astype(np.float32)
    theirs = knf.compute_deltas(knf.DeltaOptions(order=2, window=2), features)
    first = jaxspec.delta(jnp.asarray(features.astype(np.float64)), width=5, edge="edge")
    assert relative_max_error(first, theirs[:, 4:8]) <= 1e-6
    # The second is the first of the first, but for the edges, which Kaldi extends only once.
    second = jaxspec.delta(first, width=5, edge="edge")
    assert relative_max_error(second[2:-2], theirs[2:-2, 8:]) <= 1e-6
