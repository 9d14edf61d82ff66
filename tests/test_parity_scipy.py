"""The values of SciPy, compared live in float64: windows, transforms, filters, NOLA."""

import inspect

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
import scipy.signal
from helpers import energies, noise, relative_max_error

import jaxspec

pytestmark = pytest.mark.usefixtures("x64", "strict")

# Windows.

PARAMETERS = {
    "chebwin": (60.0,),
    "dpss": (2.5,),
    "exponential": (None, 20.0),
    "gaussian": (7.0,),
    "general_cosine": ([0.4, 0.4, 0.2],),
    "general_gaussian": (1.5, 7.0),
    "general_hamming": (0.6,),
    "kaiser": (8.6,),
    "kaiser_bessel_derived": (9.0,),
    "tukey": (0.3,),
}
NAMES = sorted(
    name
    for name, value in vars(scipy.signal.windows).items()
    if inspect.isfunction(value) and name != "get_window"
)


def test_scipy_has_the_windows_that_are_tested():
    """The names are collected from SciPy, so make sure that the collection works."""
    assert {"hann", "blackman", "taylor", "lanczos", *PARAMETERS} <= set(NAMES)


@pytest.mark.filterwarnings("ignore:This window is not suitable:UserWarning")
@pytest.mark.parametrize("length", [1, 2, 5, 8, 400])
@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_window(name, periodic, length):
    spec = (name, *PARAMETERS[name]) if name in PARAMETERS else name
    try:
        theirs = scipy.signal.get_window(spec, length, fftbins=periodic)
    except ValueError:
        # Some windows do not exist for every length; then there is none here either.
        with pytest.raises(ValueError, match="window must be a name"):
            jaxspec.window(spec, length, periodic=periodic)
        return
    mine = jaxspec.window(spec, length, periodic=periodic)
    assert mine.dtype == np.float64
    # SciPy leaves the zeros of some windows at -1e-17.
    np.testing.assert_allclose(mine, theirs, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("length", [1, 2, 5, 8, 400])
@pytest.mark.parametrize("periodic", [True, False])
def test_windows_with_names_of_their_own(periodic, length):
    hann = scipy.signal.get_window("hann", length, fftbins=periodic)
    hann = np.maximum(hann, 0)
    for name, theirs in [
        ("povey", hann**0.85),
        ("sqrt_hann", np.sqrt(hann)),
        ("rectangular", np.ones(length)),
        (8.6, scipy.signal.get_window(8.6, length, fftbins=periodic)),
        (("kaiser", 8.6), scipy.signal.get_window(("kaiser", 8.6), length, fftbins=periodic)),
    ]:
        mine = jaxspec.window(name, length, periodic=periodic)
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-12)


# Transforms.


@pytest.mark.parametrize("norm", ["ortho", None])
@pytest.mark.parametrize("dct_type", [1, 2, 3, 4])
def test_dct(dct_type, norm):
    x = noise(3, 6, 40)
    theirs = scipy.fft.dct(x, type=dct_type, norm=norm, axis=-1)
    mine = jaxspec.dct(jnp.asarray(x), dct_type=dct_type, norm=norm)
    assert relative_max_error(mine, theirs) <= 1e-13
    few = jaxspec.dct(jnp.asarray(x), n_out=13, dct_type=dct_type, norm=norm)
    assert relative_max_error(few, theirs[..., :13]) <= 1e-13


@pytest.mark.parametrize(("n_fft", "hop_length"), [(256, 100), (255, 64)])
def test_magnitude_scaling(n_fft, hop_length):
    x = noise(2000)
    window = scipy.signal.get_window(("tukey", 0.5), n_fft)
    transform = scipy.signal.ShortTimeFFT(
        window, hop_length, fs=1.0, scale_to="magnitude", fft_mode="onesided", phase_shift=None
    )
    count = jaxspec.num_frames(2000, n_fft=n_fft, hop_length=hop_length)
    theirs = transform.stft(x, p0=0, p1=count).T
    mine = jaxspec.stft(
        jnp.asarray(x),
        n_fft=n_fft,
        hop_length=hop_length,
        window=window,
        pad_mode="constant",
        normalized="magnitude",
    )
    assert relative_max_error(mine, theirs) <= 1e-13


# NOLA.


@pytest.mark.parametrize(
    "window",
    ["hann", "hamming", "boxcar", "blackman", "bartlett", "sqrt_hann", ("kaiser", 12.0), "flattop"],
)
@pytest.mark.parametrize("length", [16, 33, 400])
def test_check_nola(window, length):
    table = jaxspec.window(window, length)
    for hop in sorted({1, length // 4, length // 3, length // 2, length // 2 + 1, length - 1}):
        invertible = bool(scipy.signal.check_NOLA(table, length, length - hop))
        assert _nola_holds(n_fft=length, hop_length=hop, window=window) == invertible
    # SciPy is not asked about frames side by side: there the window must have no zero.
    side_by_side = _nola_holds(n_fft=length, hop_length=length, window=window)
    assert side_by_side == bool(np.min(table**2) > 1e-10 * np.max(table**2))


def test_check_nola_of_windows_with_holes():
    generator = np.random.default_rng(0)
    seen = set()
    for _ in range(40):
        length = int(generator.integers(2, 24))
        table = generator.integers(0, 2, length).astype(np.float64)
        table[generator.integers(length)] = 1.0
        for hop in range(1, length):
            invertible = bool(scipy.signal.check_NOLA(table, length, length - hop))
            seen.add(invertible)
            assert _nola_holds(n_fft=length, hop_length=hop, window=table) == invertible
    assert seen == {True, False}


def _nola_holds(**options):
    try:
        jaxspec.check_nola(**options)
    except ValueError as error:
        assert "NOLA" in str(error)  # noqa: PT017
        return False
    return True


def test_check_nola_of_a_hop_beyond_the_window():
    # A short window in a long frame: hops up to the window's length are fine, not the frame's.
    jaxspec.check_nola(n_fft=64, hop_length=20, win_length=20, window="boxcar")
    with pytest.raises(ValueError, match="NOLA"):
        jaxspec.check_nola(n_fft=64, hop_length=21, win_length=20, window="boxcar")


# Filters.


@pytest.mark.parametrize(("edge", "mode"), [("interp", "interp"), ("edge", "nearest")])
@pytest.mark.parametrize(("width", "order"), [(3, 1), (5, 1), (9, 1), (5, 2), (9, 2), (7, 3)])
def test_delta_is_savitzky_golay(width, order, edge, mode):
    x = noise(2, 30, 3)
    theirs = scipy.signal.savgol_filter(x, width, order, deriv=order, axis=1, mode=mode)
    mine = jaxspec.delta(jnp.asarray(x), width=width, order=order, edge=edge)
    assert relative_max_error(mine, theirs) <= 1e-12


@pytest.mark.parametrize("coef", [0.0, 0.5, 0.97, 1.0])
def test_preemphasis_is_a_filter(coef):
    x = noise(2, 500)
    taps = [1.0, -coef]
    mine = jaxspec.preemphasis(jnp.asarray(x), coef=coef)
    assert relative_max_error(mine, scipy.signal.lfilter(taps, 1, x)) <= 1e-14
    # The state of the filter is -coef times the sample before.
    before = np.array([0.3, -2.0])
    state = -coef * before[:, None]
    theirs, _ = scipy.signal.lfilter(taps, 1, x, zi=state)
    mine = jaxspec.preemphasis(jnp.asarray(x), coef=coef, previous=jnp.asarray(before))
    assert relative_max_error(mine, theirs) <= 1e-14


@pytest.mark.parametrize("smoothing", [0.025, 0.5, 1.0])
def test_exponential_smoothing_is_a_filter(smoothing):
    x, level = energies(3, 80, 4), energies(3, 4, seed=1)
    mine, last = jaxspec.exponential_smoothing(
        jnp.asarray(x), smoothing=smoothing, level=jnp.asarray(level)
    )
    state = (1 - smoothing) * level[:, None]
    theirs, _ = scipy.signal.lfilter([smoothing], [1, smoothing - 1], x, axis=1, zi=state)
    assert relative_max_error(mine, theirs) <= 1e-13
    np.testing.assert_array_equal(last, mine[:, -1])
