"""The STFT and its inverse: round trips and the laws that any spectrum keeps."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import noise, relative_max_error, tone

import jaxspec

pytestmark = pytest.mark.usefixtures("strict")

x64 = pytest.mark.usefixtures("x64")

WINDOWS = ["hann", "hamming", "boxcar", ("kaiser", 8.0), "blackman", "povey"]
TOLERANCE = {np.float64: 1e-12, np.float32: 1e-6}


def _hops(win_length):
    """Every kind of hop up to the window: dividing it or not, half, more than half, all of it."""
    return sorted({3, win_length // 4, win_length // 2, win_length * 2 // 3, win_length})


def _envelope(count, *, n_fft, hop_length, win_length, window):
    """The sum of the squared windows over every sample of the framed signal."""
    table = np.zeros(n_fft)
    before = (n_fft - win_length) // 2
    table[before : before + win_length] = jaxspec.window(window, win_length)
    envelope = np.zeros((count - 1) * hop_length + n_fft)
    for t in range(count):
        envelope[t * hop_length : t * hop_length + n_fft] += table**2
    return envelope, table


def _check_round_trip(dtype, *, shape=(2, 211), normalized=None, center=True, **options):
    x = noise(*shape).astype(dtype)
    spectrum = jaxspec.stft(jnp.asarray(x), center=center, normalized=normalized, **options)
    window, hop = options["window"], options["hop_length"]
    table = jaxspec.window(window, options["win_length"])
    sums = np.pad(table**2, (0, -len(table) % hop)).reshape(-1, hop).sum(axis=0)
    inverse = {"center": center, "normalized": normalized, "length": shape[-1], **options}
    if sums.min() <= 1e-10 * sums.max():
        with pytest.raises(ValueError, match="NOLA"):
            jaxspec.istft(spectrum, **inverse)
        return False
    y = np.asarray(jaxspec.istft(spectrum, **inverse))
    assert y.dtype == dtype
    assert y.shape == shape
    start = options["n_fft"] // 2 if center else 0
    envelope, _ = _envelope(spectrum.shape[-2], **options)
    envelope = envelope[start : start + shape[-1]]
    # Samples under the very ends of all their windows are known only to the rounding divided by
    # the root of that weight; samples under none are 0.
    seen = np.zeros(shape[-1], bool)
    seen[: len(envelope)] = envelope > 1e-2 * envelope.max()
    assert seen.sum() >= 0.5 * min(len(envelope), shape[-1])
    assert np.abs(y - x)[..., seen].max() <= TOLERANCE[dtype] * np.abs(x).max()
    dark = np.ones(shape[-1], bool)
    dark[: len(envelope)] = envelope == 0
    assert not y[..., dark].any()
    return True


@x64
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("win_length", [None, 24])
@pytest.mark.parametrize("n_fft", [32, 33])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_round_trip(dtype, n_fft, win_length, center):
    """Every window with every hop, or the refusal where window and hop leave a gap."""
    win_length = win_length or n_fft
    invertible = 0
    for hop_length in _hops(win_length):
        for window in WINDOWS:
            invertible += _check_round_trip(
                dtype,
                n_fft=n_fft,
                hop_length=hop_length,
                win_length=win_length,
                window=window,
                center=center,
            )
    # The whole-window hop is only possible where the window has no zero.
    assert invertible == len(_hops(win_length)) * len(WINDOWS) - 3


@x64
@pytest.mark.parametrize("normalized", [None, "frame_length", "window", "magnitude"])
@pytest.mark.parametrize("shape", [(100,), (2, 100), (2, 3, 100), (1, 1, 2, 100)])
def test_round_trip_with_leading_dimensions_and_normalisation(shape, normalized):
    for dtype in (np.float64, np.float32):
        assert _check_round_trip(
            dtype,
            shape=shape,
            n_fft=32,
            hop_length=10,
            win_length=24,
            window="hann",
            normalized=normalized,
        )


@x64
@pytest.mark.parametrize("n", [1, 2, 5, 31, 32, 33])
def test_round_trip_of_clips_shorter_than_a_frame(n):
    for dtype in (np.float64, np.float32):
        options = {"n_fft": 64, "hop_length": 16, "win_length": 64, "window": "hann"}
        assert _check_round_trip(dtype, shape=(n,), **options)


@x64
def test_the_length_may_be_left_out():
    x = jnp.asarray(noise(500))
    n = 496
    for center in (True, False):
        options = {"n_fft": 32, "hop_length": 16, "center": center}
        y = jaxspec.istft(jaxspec.stft(x, **options), **options)
        assert y.shape == (n,)
        np.testing.assert_allclose(y[1:], x[1:n], rtol=0, atol=1e-11)


@x64
def test_the_inverse_is_the_least_squares_signal():
    """No signal has a spectrum nearer to a given one than its inverse has."""
    options = {"n_fft": 16, "hop_length": 6, "center": False, "window": "hamming"}
    spectrum = noise(9, 9) + 1j * noise(9, 9, seed=1)
    spectrum[:, [0, -1]] = spectrum[:, [0, -1]].real

    def spectrum_of(x):
        return np.asarray(jaxspec.stft(jnp.asarray(x), **options))

    # Two-sided: the inner bins count twice.
    weight = np.sqrt(np.where(np.isin(np.arange(9), [0, 8]), 1.0, 2.0))
    basis = np.stack([(spectrum_of(unit) * weight).ravel() for unit in np.eye(64)], axis=1)
    target = (spectrum * weight).ravel()
    stacked = np.concatenate([basis.real, basis.imag])
    solution = np.linalg.lstsq(stacked, np.concatenate([target.real, target.imag]), rcond=None)[0]
    mine = jaxspec.istft(jnp.asarray(spectrum), **options)
    assert relative_max_error(mine, solution) <= 1e-12


@x64
def test_a_window_given_as_an_array():
    """NumPy or JAX, it is the window of that name."""
    x = jnp.asarray(noise(300))
    options = {"n_fft": 64, "hop_length": 20, "win_length": 50}
    named = jaxspec.stft(x, **options, window="blackman")
    table = jaxspec.window("blackman", 50)
    for window in (table, jnp.asarray(table), table.tolist(), jaxspec.Table(table)):
        mine = jaxspec.stft(x, **options, window=window)
        assert relative_max_error(mine, named) <= 1e-15
        back = jaxspec.istft(mine, **options, window=window, length=300)
        assert relative_max_error(back, x) <= 1e-12


@x64
@pytest.mark.parametrize(("end", "known"), [(1e-4, True), (1e-7, False)])
def test_samples_that_a_window_hardly_sees(end, known):
    """Down to 1e-11 of the largest weight they come back; below, noise would, so they are 0."""
    x = noise(24)
    options = {"n_fft": 4, "hop_length": 2, "center": False, "window": [end, 1.0, 1.0, 1.0]}
    y = np.asarray(jaxspec.istft(jaxspec.stft(jnp.asarray(x), **options), **options))
    assert y[0] == pytest.approx(x[0] if known else 0.0, rel=1e-6, abs=0)
    np.testing.assert_allclose(y[1:], x[1:], rtol=0, atol=1e-14)


def test_hops_beyond_the_window_have_no_inverse():
    x = jnp.asarray(noise(400), jnp.float32)
    options = {"n_fft": 32, "hop_length": 45}
    spectrum = jaxspec.stft(x, **options, center=False)
    frames = np.lib.stride_tricks.sliding_window_view(np.asarray(x), 32)[::45]
    truth = np.fft.rfft(frames * jaxspec.window("hann", 32))
    assert relative_max_error(spectrum, truth) <= 1e-6
    with pytest.raises(ValueError, match="NOLA"):
        jaxspec.istft(spectrum, **options, center=False)


# Laws.


@x64
@pytest.mark.parametrize("n_fft", [32, 33])
def test_energy_is_kept(n_fft):
    """Parseval: frames side by side under no window."""
    x = noise(3, 5 * n_fft)
    spectrum = jaxspec.stft(
        jnp.asarray(x), n_fft=n_fft, hop_length=n_fft, window="boxcar", center=False
    )
    # All bins but the first, and the last of an even length, stand for two.
    twice = np.full(n_fft // 2 + 1, 2.0)
    twice[0] = 1
    if n_fft % 2 == 0:
        twice[-1] = 1
    energy = (np.asarray(jaxspec.power(spectrum)) * twice).sum(axis=(-2, -1)) / n_fft
    np.testing.assert_allclose(energy, (x**2).sum(axis=-1), rtol=1e-13)


@x64
@pytest.mark.parametrize(("normalized", "size"), [("window", "energy"), ("frame_length", "length")])
def test_normalised_noise_has_its_own_variance(normalized, size):
    """White noise of variance 1 has power 1 in every bin, with the window's energy divided out."""
    x = jnp.asarray(noise(200_000))
    spectrum = jaxspec.stft(x, n_fft=64, hop_length=32, normalized=normalized)
    window = jaxspec.window("hann", 64)
    wanted = 1.0 if size == "energy" else (window**2).sum() / 64
    power = np.asarray(jaxspec.power(spectrum))[:, 2:-2].mean()
    assert power == pytest.approx(wanted, rel=0.02)


@x64
def test_shifting_by_a_hop_shifts_by_a_frame():
    x = jnp.asarray(noise(1000))
    options = {"n_fft": 64, "hop_length": 24, "center": False}
    whole, shifted = jaxspec.stft(x, **options), jaxspec.stft(x[24:], **options)
    assert relative_max_error(shifted, whole[1:]) <= 1e-14


@x64
def test_linearity():
    x, y = jnp.asarray(noise(500)), jnp.asarray(noise(500, seed=1))
    options = {"n_fft": 64, "hop_length": 24}
    mixed = jaxspec.stft(3 * x - 0.5 * y, **options)
    parts = 3 * jaxspec.stft(x, **options) - 0.5 * jaxspec.stft(y, **options)
    assert relative_max_error(mixed, parts) <= 1e-14


@x64
@pytest.mark.parametrize("n_fft", [128, 125])
def test_a_tone_is_in_its_bin(n_fft):
    for k in (3, 10, n_fft // 2 - 3):
        x = jnp.asarray(tone(k / n_fft, 1000, amplitude=2.0, sample_rate=1))
        spectrum = jaxspec.stft(x, n_fft=n_fft, hop_length=50, center=False, normalized="magnitude")
        magnitudes = np.asarray(jaxspec.magnitude(spectrum))
        assert (magnitudes.argmax(axis=-1) == k).all()
        np.testing.assert_allclose(magnitudes[:, k], 1.0, rtol=1e-10)
        # The Hann window reaches one bin to each side and no further.
        np.testing.assert_allclose(magnitudes[:, k + 1], 0.5, rtol=1e-10)
        assert np.delete(magnitudes, [k - 1, k, k + 1], axis=-1).max() <= 1e-10


@x64
def test_a_gain_is_an_offset_of_the_logarithm():
    x = jnp.asarray(noise(4000))
    options = {"sample_rate": 16000, "n_fft": 512, "hop_length": 160, "n_mels": 20}
    for log, offset in [
        ("ln", 2 * np.log(8)),
        ("log10", 2 * np.log10(8)),
        ("db", 20 * np.log10(8)),
    ]:
        quiet = jaxspec.log_mel_spectrogram(x, **options, log=log)
        loud = jaxspec.log_mel_spectrogram(8 * x, **options, log=log)
        np.testing.assert_allclose(loud - quiet, offset, rtol=1e-11)
    # The cepstra but the first do not move at all.
    quiet = jaxspec.mfcc(x, **options, top_db=None)
    loud = jaxspec.mfcc(8 * x, **options, top_db=None)
    np.testing.assert_allclose(loud[:, 1:], quiet[:, 1:], atol=1e-10)
    np.testing.assert_allclose((loud - quiet)[:, 0], np.sqrt(20) * 20 * np.log10(8), rtol=1e-11)


@x64
@pytest.mark.parametrize("exponent", [0.3, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0])
def test_power_is_the_power_of_the_modulus(exponent):
    z = noise(40) * 10.0 ** np.linspace(-12, 12, 40) + 1j * noise(40, seed=1)
    mine = jaxspec.power(jnp.asarray(z), exponent=exponent)
    np.testing.assert_allclose(mine, np.abs(z) ** exponent, rtol=1e-13)
    assert jaxspec.power(jnp.zeros(1, jnp.complex128), exponent=exponent) == 0


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.5, 2.0, 3.0])
def test_powers_that_would_overflow_are_held(exponent):
    """At the largest finite value or just below, as the docstring says."""
    huge = jnp.asarray([3e38 + 0j, 1e30j, 2e20 - 1e20j, 1e13 + 1e13j], jnp.complex64)
    mine = np.asarray(jaxspec.power(huge, exponent=exponent), np.float64)
    assert np.isfinite(mine).all()
    truth = np.abs(np.asarray(huge, np.complex128)) ** exponent
    np.testing.assert_allclose(mine, np.minimum(truth, 3.4028e38), rtol=1e-4)


@x64
def test_phase_is_the_angle():
    z = noise(50) + 1j * noise(50, seed=1)
    z[:4] = [-1, 1, 1j, -1j]
    np.testing.assert_allclose(jaxspec.phase(jnp.asarray(z)), np.angle(z), rtol=0, atol=1e-15)
    size, angle = jaxspec.magnitude(jnp.asarray(z)), jaxspec.phase(jnp.asarray(z))
    assert relative_max_error(np.asarray(size) * np.exp(1j * np.asarray(angle)), z) <= 1e-15


# Short clips and short windows.


@pytest.mark.parametrize("pad_mode", ["reflect", "constant", "edge", "symmetric", "wrap"])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_clips_of_a_few_samples(n, pad_mode):
    x = jnp.asarray(noise(2, n), jnp.float32)
    spectrum = jaxspec.stft(x, n_fft=400, hop_length=160, pad_mode=pad_mode)
    padded = np.pad(np.asarray(x), [(0, 0), (200, 200)], mode=pad_mode)[:, None, :400]
    truth = np.fft.rfft(padded * jaxspec.window("hann", 400))
    assert spectrum.shape == (2, 1, 201)
    assert relative_max_error(spectrum, truth) <= 1e-6
    y = jaxspec.istft(spectrum, n_fft=400, hop_length=160, length=n)
    np.testing.assert_allclose(y, x, atol=1e-6)


@x64
def test_the_smallest_frames():
    x = jnp.asarray(noise(7))
    one = jaxspec.stft(x, n_fft=1, hop_length=1)
    assert one.dtype == jnp.complex128
    np.testing.assert_array_equal(one[:, 0], x.astype(jnp.complex128))
    np.testing.assert_array_equal(jaxspec.istft(one, n_fft=1, hop_length=1), x)
    two = jaxspec.stft(x, n_fft=2, hop_length=1, window="boxcar", center=False)
    np.testing.assert_allclose(two[:, 0].real, x[:-1] + x[1:], rtol=1e-15)
    np.testing.assert_allclose(two[:, 1].real, x[:-1] - x[1:], rtol=1e-15)
