"""The short-time Fourier transform and its inverse.

Conventions: frame ``t``, bin ``k`` of the spectrum of ``x`` is

    X[t, k] = sum_n w[n] x[t * hop_length + n - offset] exp(-2 pi i k n / n_fft),  0 <= n < n_fft

with ``offset = n_fft // 2`` where ``center=True`` and 0 otherwise, no scaling unless asked for,
and a window shorter than ``n_fft`` placed in the middle of the frame.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import (
    check_choice,
    check_positive_int,
    check_real,
    check_same,
    check_spectrum,
    check_time_axis,
)
from jaxspec._dtypes import as_computed
from jaxspec.fourier import check_method, irfft, rfft
from jaxspec.framing import PAD_MODES, frame, num_frames, overlap_add, pad, pad_first
from jaxspec.windows import WindowLike, window_in_frame

__all__ = [
    "NORMALIZATIONS",
    "analysis_lengths",
    "analyze",
    "center_pad",
    "check_nola",
    "check_padding",
    "istft",
    "stft",
]

NORMALIZATIONS = (None, "frame_length", "window", "magnitude")

# An overlap-added squared window below this share of its maximum holds no usable sample. It is
# far below the first sample of a long Hann window (1e-9 of the maximum), which does.
EMPTY_ENVELOPE = 1e-11
_NOLA_TOLERANCE = 1e-10


def analysis_lengths(
    n_fft: Any, hop_length: Any = None, win_length: Any = None
) -> tuple[int, int, int]:
    """``(n_fft, hop_length, win_length)`` checked, with the defaults filled in."""
    n_fft = check_positive_int("n_fft", n_fft)
    win_length = n_fft if win_length is None else check_positive_int("win_length", win_length)
    if win_length > n_fft:
        raise ValueError(
            f"win_length must be <= n_fft (the rest of the window would be lost), got "
            f"win_length={win_length} and n_fft={n_fft}"
        )
    if hop_length is None:
        return n_fft, max(win_length // 4, 1), win_length
    return n_fft, check_positive_int("hop_length", hop_length), win_length


def stft(
    x: jax.Array,
    *,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: WindowLike | jax.Array = "hann",
    periodic: bool = True,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: str | None = None,
    method: str = "auto",
    precision: str = "highest",
) -> jax.Array:
    """Short-time Fourier transform of a real signal, one-sided.

    Args:
      x: waveform ``(..., samples)``, real floating point, at least 1 sample. float16 and
        bfloat16 are computed in float32.
      n_fft: samples in a frame and length of the FFT.
      hop_length: samples from one frame to the next; default ``win_length // 4``.
      win_length: samples in the window, at most ``n_fft`` (the default); a shorter window lies
        in the middle of the frame. Frames are counted with ``n_fft``, as in librosa and torch.
      window: see `jaxspec.window`. An array of ``win_length`` values may be traced, and the
        result is differentiable with respect to it.
      periodic: whether a named window is periodic (for analysis) or symmetric.
      center: whether the signal is padded by ``n_fft // 2`` at both ends, so that frame ``t``
        lies around sample ``t * hop_length``.
      pad_mode: what it is padded with, see `jaxspec.pad`; only with ``center=True``.
        A clip shorter than the padding is mirrored back and forth, as in NumPy.
      normalized: ``None``, or divide by the square root of the frame length
        (``"frame_length"``), by the square root of the window's energy (``"window"``), both as
        in torchaudio, or by the window's sum (``"magnitude"``, as in SciPy: a sine of
        amplitude 1 then has magnitude 0.5).
      method: ``"fft"``; ``"matmul"``, a matrix product (equal to 1e-5 of the largest value in
        float32); or ``"auto"``, the product on TPUs up to ``n_fft=2048`` and the FFT elsewhere,
        chosen when the program is lowered for a platform.
      precision: of the matrix product, ``"highest"``, ``"high"`` or ``"default"`` in JAX's words
        (accelerators round to bfloat16 or TF32 below ``"highest"``); only with
        ``method="matmul"``.

    Returns:
      complex array ``(..., frames, n_fft // 2 + 1)``, complex128 for float64 and complex64
      otherwise; the number of frames is `jaxspec.num_frames`.

    Raises:
      TypeError: if ``x`` is integer or complex.
      ValueError: for an empty time axis, a clip shorter than a frame with ``center=False``,
        ``win_length > n_fft``, a non-positive length, or an unknown word.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> x = jnp.sin(2 * jnp.pi * 1000 * jnp.arange(16000) / 16000)
      >>> spectrum = jaxspec.stft(x, n_fft=512, hop_length=160)
      >>> spectrum.shape, int(jnp.argmax(jnp.abs(spectrum[50])))
      ((101, 257), 32)

    Reference:
      J. B. Allen and L. R. Rabiner, "A unified approach to short-time Fourier analysis and
      synthesis", Proc. IEEE 65(11), 1977. Values as ``librosa.stft`` (transposed).
    """
    n_fft, hop_length, win_length = analysis_lengths(n_fft, hop_length, win_length)
    check_method(method, precision)
    x = check_real("x", x)
    table = _window_array(window, n_fft, win_length, periodic)
    x = center_pad(x, n_fft=n_fft, hop_length=hop_length, center=center, pad_mode=pad_mode)
    return analyze(
        x, table, hop_length=hop_length, normalized=normalized, method=method, precision=precision
    )


def check_padding(center: bool, pad_mode: str) -> None:
    """Check ``pad_mode``, which only ``center=True`` looks at."""
    check_choice("pad_mode", pad_mode, PAD_MODES)
    if not center and pad_mode != "reflect":
        raise ValueError(
            f"pad_mode has no effect with center=False (nothing is padded), got "
            f"pad_mode={pad_mode!r}"
        )


def center_pad(
    x: jax.Array,
    *,
    n_fft: int,
    hop_length: int,
    center: bool,
    pad_mode: str,
    length: jax.Array | int | None = None,
) -> jax.Array:
    """The signal that is cut into frames: padded at both ends where ``center`` says so.

    With ``length``, which may be traced, the signal is the first so many samples.
    """
    check_padding(center, pad_mode)
    check_time_axis("x", x)
    if not num_frames(x.shape[-1], n_fft=n_fft, hop_length=hop_length, center=center):
        raise ValueError(
            f"a clip of {x.shape[-1]} samples holds no frame of n_fft={n_fft} samples with "
            f"center=False; pad it, or use center=True or a smaller n_fft"
        )
    if not center:
        return x
    half = n_fft // 2
    if length is not None:
        return pad_first(x, length=length, before=half, after=half, pad_mode=pad_mode)
    return pad(x, before=half, after=half, pad_mode=pad_mode)


def analyze(
    x: jax.Array,
    table: np.ndarray | jax.Array,
    *,
    hop_length: int,
    normalized: str | None,
    method: str = "auto",
    precision: str = "highest",
) -> jax.Array:
    """The spectrum of every whole frame of ``x`` under a window as long as the frame."""
    check_choice("normalized", normalized, NORMALIZATIONS)
    return _analyze(as_computed(x), table, hop_length, normalized, method, precision)


@partial(jax.jit, static_argnums=(2, 3, 4, 5))
def _analyze(
    x: jax.Array,
    table: jax.Array,
    hop_length: int,
    normalized: str | None,
    method: str,
    precision: str,
) -> jax.Array:
    table = jnp.asarray(table, x.dtype) / jnp.asarray(window_scale(table, normalized), x.dtype)
    frames = frame(x, frame_length=table.shape[-1], hop_length=hop_length) * table
    return rfft(frames, method=method, precision=precision)


def window_scale(table: jax.Array | np.ndarray, normalized: str | None) -> jax.Array | float:
    """What the spectrum is divided by."""
    if normalized == "frame_length":
        return float(np.sqrt(table.shape[-1]))
    if normalized == "window":
        return jnp.sqrt(jnp.sum(table**2))
    if normalized == "magnitude":
        return jnp.sum(table)
    return 1.0


def _window_array(
    window: WindowLike | jax.Array, n_fft: int, win_length: int, periodic: bool
) -> np.ndarray | jax.Array:
    """The window in its frame of ``n_fft`` samples; stays a JAX array if it is one."""
    if not isinstance(window, jax.Array):
        return window_in_frame(window, n_fft=n_fft, win_length=win_length, periodic=periodic)
    if not periodic:
        raise ValueError("periodic=False has no effect on a window given as an array")
    window = check_real("window", window)
    if window.shape != (win_length,):
        raise ValueError(
            f"window must hold win_length values, got a window of shape {window.shape} for "
            f"win_length={win_length}"
        )
    before = (n_fft - win_length) // 2
    return jnp.pad(window, (before, n_fft - win_length - before))


def istft(
    spectrum: jax.Array,
    *,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: WindowLike | jax.Array = "hann",
    periodic: bool = True,
    center: bool = True,
    length: int | None = None,
    normalized: str | None = None,
    method: str = "auto",
    precision: str = "highest",
) -> jax.Array:
    """Inverse short-time Fourier transform: the least-squares signal of a spectrum.

    Every sample that at least one window reaches is reconstructed, edges included; the others
    are 0.

    Args:
      spectrum: complex array ``(..., frames, n_fft // 2 + 1)``.
      n_fft: as in the analysis. It must be given: 552 bins belong to 1102 as well as to 1103.
      hop_length, win_length, window, periodic, center, normalized, method, precision: as in
        `jaxspec.stft`.
      length: number of samples wanted. The result is cut, or filled up with zeros where no
        frame reaches. Default: all samples the frames cover, less the padding of ``center``.

    Returns:
      real array ``(..., length)``.

    Raises:
      TypeError: if ``spectrum`` is not complex.
      ValueError: if the number of bins does not belong to ``n_fft``, or if window and hop leave
        samples that no frame sees (see `jaxspec.check_nola`; not checked for a traced window).

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> x = jnp.sin(0.1 * jnp.arange(1000))
      >>> spectrum = jaxspec.stft(x, n_fft=256, hop_length=100)
      >>> y = jaxspec.istft(spectrum, n_fft=256, hop_length=100, length=1000)
      >>> y.shape, bool(jnp.max(jnp.abs(x - y)) < 1e-6)
      ((1000,), True)

    Reference:
      D. W. Griffin and J. S. Lim, "Signal estimation from modified short-time Fourier
      transform", IEEE TASSP 32(2), 1984, eq. 6.
    """
    n_fft, hop_length, win_length = analysis_lengths(n_fft, hop_length, win_length)
    check_choice("normalized", normalized, NORMALIZATIONS)
    check_method(method, precision)
    spectrum = check_spectrum("spectrum", spectrum)
    check_time_axis("spectrum", spectrum, axis=-2)
    check_same(
        "the number of bins",
        spectrum.shape[-1],
        "n_fft // 2 + 1",
        n_fft // 2 + 1,
        because=f"n_fft={n_fft}",
    )
    table = _window_array(window, n_fft, win_length, periodic)
    if not isinstance(table, jax.core.Tracer):
        check_nola_of(np.asarray(table), hop_length)
    if length is not None:
        length = check_positive_int("length", length)
    start = n_fft // 2 if center else 0
    covered = (spectrum.shape[-2] - 1) * hop_length + n_fft - 2 * start
    frames = _frames_of(spectrum, n_fft, method, precision)
    return _synthesize(frames, table, hop_length, start, max(covered, 0), length, normalized)


@partial(jax.jit, static_argnums=(1, 2, 3))
def _frames_of(spectrum: jax.Array, n_fft: int, method: str, precision: str) -> jax.Array:
    return irfft(spectrum, n=n_fft, method=method, precision=precision)


@partial(jax.jit, static_argnums=(2, 3, 4, 5, 6))
def _synthesize(
    frames: jax.Array,
    table: jax.Array,
    hop_length: int,
    start: int,
    covered: int,
    length: int | None,
    normalized: str | None,
) -> jax.Array:
    dtype = frames.dtype
    table = jnp.asarray(table, dtype)
    frames = frames * (jnp.asarray(window_scale(table, normalized), dtype) * table)
    signal = overlap_add(frames, hop_length=hop_length)
    squares = jnp.broadcast_to(table**2, frames.shape[-2:])
    envelope = overlap_add(squares, hop_length=hop_length)
    floor = EMPTY_ENVELOPE * jax.lax.stop_gradient(jnp.max(envelope))
    # The division is safe on both sides of the choice, or its gradient would be NaN.
    seen = envelope > floor
    signal = jnp.where(seen, signal / jnp.where(seen, envelope, 1), 0)
    # With a length given, samples up to the true end of the last frame are kept.
    stop = start + covered if length is None else start + length
    signal = signal[..., start:stop]
    missing = 0 if length is None else length - signal.shape[-1]
    return jnp.pad(signal, [(0, 0)] * (signal.ndim - 1) + [(0, missing)])


def check_nola(
    *,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: WindowLike = "hann",
    periodic: bool = True,
) -> None:
    """Check that window and hop leave no sample unseen ("nonzero overlap-add").

    The squares of all windows over one sample must add up to more than 1e-10 of the largest such
    sum; otherwise no inverse exists. `jaxspec.istft` makes this check itself.

    Args:
      n_fft, hop_length, win_length, window, periodic: as in `jaxspec.stft`.

    Raises:
      ValueError: with the numbers, if they do not.

    Example:
      >>> import jaxspec
      >>> jaxspec.check_nola(n_fft=512, hop_length=384)
      >>> jaxspec.check_nola(n_fft=512, hop_length=512)
      Traceback (most recent call last):
      ...
      ValueError: window and hop_length must satisfy NOLA: at hop_length=512 the squares of the \
window add up to 0 at sample 0 of every hop, 0 of the maximum 1; use a smaller \
hop_length
    """
    n_fft, hop_length, win_length = analysis_lengths(n_fft, hop_length, win_length)
    table = window_in_frame(window, n_fft=n_fft, win_length=win_length, periodic=periodic)
    check_nola_of(table, hop_length)


def check_nola_of(table: np.ndarray, hop_length: int) -> None:
    squares = np.asarray(table, np.float64) ** 2
    squares = np.pad(squares, (0, -len(squares) % hop_length))
    sums = squares.reshape(-1, hop_length).sum(axis=0)
    worst = int(np.argmin(sums))
    if not sums[worst] > _NOLA_TOLERANCE * sums.max():
        share = sums[worst] / sums.max() if sums.max() else 0.0
        raise ValueError(
            f"window and hop_length must satisfy NOLA: at hop_length={hop_length} the squares of "
            f"the window add up to {sums[worst]:.3g} at sample {worst} of every hop, "
            f"{share:.3g} of the maximum {sums.max():.3g}; use a smaller hop_length"
        )
