"""Cepstra: the discrete cosine transform, liftering and derivatives in time (deltas)."""

from __future__ import annotations

import math
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import (
    check_choice,
    check_number,
    check_positive_int,
    check_real,
    check_time_axis,
)
from jaxspec._dtypes import as_computed, as_returned
from jaxspec.filterbanks import apply_filterbank
from jaxspec.framing import repeat_ends

__all__ = [
    "DCT_TYPES",
    "DELTA_EDGES",
    "LIFTER_FORMS",
    "check_delta",
    "dct",
    "dct_matrix",
    "delta",
    "delta_edges",
    "delta_taps",
    "lifter",
    "lifter_weights",
]

DCT_TYPES = (1, 2, 3, 4)
LIFTER_FORMS = ("kaldi", "librosa")
DELTA_EDGES = ("edge", "interp")


def dct_matrix(
    n_in: int, *, n_out: int | None = None, dct_type: int = 2, norm: str | None = "ortho"
) -> np.ndarray:
    """The discrete cosine transform as a matrix ``(n_in, n_out)``, so that ``x @ matrix`` is it.

    Args:
      n_in: number of values, at least 1 (2 for type 1).
      n_out: how many of the first coefficients to keep; default all.
      dct_type: 1, 2, 3 or 4.
      norm: ``"ortho"`` or ``None``, as in ``scipy.fft.dct``.

    Example:
      >>> import jaxspec
      >>> jaxspec.dct_matrix(3, n_out=1).round(4)
      array([[0.5774],
             [0.5774],
             [0.5774]])
    """
    check_choice("dct_type", dct_type, DCT_TYPES)
    check_choice("norm", norm, ("ortho", None))
    n_in = check_positive_int("n_in", n_in, minimum=2 if dct_type == 1 else 1)
    n_out = n_in if n_out is None else check_positive_int("n_out", n_out)
    if n_out > n_in:
        raise ValueError(f"n_out must be <= n_in, got n_out={n_out} and n_in={n_in}")
    return _dct_matrix(n_in, dct_type, norm)[:, :n_out].copy()


@lru_cache(maxsize=16)
def _dct_matrix(n_in: int, dct_type: int, norm: str | None) -> np.ndarray:
    from scipy.fft import dct as scipy_dct

    return scipy_dct(np.eye(n_in), type=dct_type, norm=norm, axis=1)


def dct(
    x: jax.Array, *, n_out: int | None = None, dct_type: int = 2, norm: str | None = "ortho"
) -> jax.Array:
    """Discrete cosine transform over the channels.

    Args:
      x: real ``(..., frames, channels)``.
      n_out, dct_type, norm: see `jaxspec.dct_matrix`.

    Returns:
      real ``(..., frames, n_out)``.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.dct(jnp.arange(1.0, 9.0)[None])[0, :2].round(4)
      Array([12.7279, -6.4423], dtype=float32)
    """
    x = check_real("x", x, ndim=2)
    matrix = dct_matrix(x.shape[-1], n_out=n_out, dct_type=dct_type, norm=norm)
    return apply_filterbank(x, matrix)


def lifter_weights(n: int, *, lifter: float, form: str = "kaldi") -> np.ndarray:
    """Weights of sinusoidal liftering: ``1 + lifter / 2 * sin(pi * i / lifter)``.

    Args:
      n: number of coefficients.
      lifter: above 0.
      form: whether ``i`` counts the coefficients from 0 (``"kaldi"``, HTK) or from 1
        (``"librosa"``).

    Returns:
      float64 array of shape ``(n,)``.

    Example:
      >>> import jaxspec
      >>> jaxspec.lifter_weights(3, lifter=22).round(4)
      array([1.    , 2.5655, 4.0991])
    """
    n = check_positive_int("n", n)
    lifter = check_number("lifter", lifter, above=0)
    check_choice("form", form, LIFTER_FORMS)
    index = np.arange(n) + (1 if form == "librosa" else 0)
    return 1 + lifter / 2 * np.sin(np.pi * index / lifter)


def lifter(x: jax.Array, *, lifter: float, form: str = "kaldi") -> jax.Array:
    """Scale cepstral coefficients by `jaxspec.lifter_weights`.

    Args:
      x: cepstra ``(..., frames, coefficients)``.
      lifter: above 0; 22 in Kaldi and HTK.
      form: ``"kaldi"`` or ``"librosa"``.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.lifter(jnp.ones((1, 3)), lifter=22).round(4)
      Array([[1.    , 2.5655, 4.0991]], dtype=float32)
    """
    x = check_real("x", x, ndim=2)
    wide = as_computed(x)
    weights = lifter_weights(x.shape[-1], lifter=lifter, form=form)
    return as_returned(wide * jnp.asarray(weights, wide.dtype), x.dtype)


def delta(x: jax.Array, *, width: int = 9, order: int = 1, edge: str = "edge") -> jax.Array:
    """Derivative in time of every channel, per frame (local polynomial fit).

    A polynomial of degree ``order`` is fitted to ``width`` frames and differentiated ``order``
    times (Savitzky-Golay). For order 1 that is the regression
    ``sum_n n (x[t + n] - x[t - n]) / (2 sum_n n^2)`` of HTK and torchaudio. (Their second
    derivative is this one applied twice.)

    Args:
      x: real ``(..., frames, channels)`` with at least 1 frame.
      width: number of frames in the fit, odd, at least 3 and above ``order``.
      order: of the derivative, at least 1.
      edge: what stands beyond the ends: ``"edge"``, the first and last frame repeated
        (torchaudio); ``"interp"``, nothing: the fit of the first and last ``width`` frames is
        used there (librosa), for which there must be that many.

    Returns:
      real array of the shape of ``x``.

    Raises:
      ValueError: for an even or too small width, or too few frames for ``"interp"``.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.delta(jnp.arange(5.0)[:, None], width=3)[:, 0]
      Array([0.5, 1. , 1. , 1. , 0.5], dtype=float32)

    Reference:
      A. Savitzky and M. J. E. Golay, Analytical Chemistry 36(8), 1964; ``librosa.feature.delta``
      for ``edge="interp"``, ``torchaudio.functional.compute_deltas`` for ``edge="edge"``.
    """
    width, order = check_delta(width, order, edge)
    narrow = check_real("x", x, ndim=2)
    check_time_axis("x", narrow, axis=-2)
    x = as_computed(narrow)
    if edge == "edge":
        y = delta_taps(delta_edges(x, width=width), width=width, order=order)
    else:
        y = delta_interp(x, width=width, order=order)
    return as_returned(y, narrow.dtype)


def delta_interp(
    x: jax.Array, *, width: int, order: int, length: jax.Array | int | None = None
) -> jax.Array:
    """The derivative whose ends are those of the fit of the first and last ``width`` frames.

    With ``length``, which may be traced, of the first so many frames.
    """
    if x.shape[-2] < width:
        raise ValueError(
            f'width must be <= the number of frames with edge="interp", got width={width} and '
            f"{x.shape[-2]} frames"
        )
    # The order-th derivative of a polynomial of degree order is constant: what the fit of the first
    # and last window says of its middle holds for its ends.
    inner = None if length is None else jnp.maximum(length - width + 1, 1)
    return delta_edges(delta_taps(x, width=width, order=order), width=width, length=inner)


def check_delta(width: int, order: int, edge: str) -> tuple[int, int]:
    """``(width, order)`` of `delta`, checked."""
    order = check_positive_int("order", order)
    width = check_positive_int("width", width, minimum=3)
    check_choice("edge", edge, DELTA_EDGES)
    if width % 2 == 0 or width <= order:
        raise ValueError(f"width must be odd and > order, got width={width} and order={order}")
    return width, order


def delta_edges(x: jax.Array, *, width: int, length: jax.Array | int | None = None) -> jax.Array:
    """``x`` with its first and its last frame repeated ``width // 2`` times more.

    With ``length``, which may be traced, it is the first so many frames.
    """
    half = width // 2
    return repeat_ends(x, before=half, after=half, length=length)


def delta_taps(x: jax.Array, *, width: int, order: int) -> jax.Array:
    """The derivative at every frame that has ``width // 2`` frames on both sides."""
    count = x.shape[-2] - width + 1
    return sum(
        (float(tap) * x[..., n : n + count, :] for n, tap in enumerate(_taps(width, order)) if tap),
        start=jnp.zeros_like(x[..., :count, :]),
    )


@lru_cache(maxsize=16)
def _taps(width: int, order: int) -> np.ndarray:
    """How the frames of the window enter the derivative at its middle."""
    position = np.arange(width) - width // 2
    powers = np.vander(position, order + 1, increasing=True).astype(np.float64)
    # The highest coefficient of the fitted polynomial times order!. Odd or even symmetry makes
    # some taps 0, which rounding leaves at 1e-17.
    taps = np.linalg.pinv(powers)[order] * math.factorial(order)
    taps[np.abs(taps) < 1e-12 * np.abs(taps).max()] = 0.0
    return taps
