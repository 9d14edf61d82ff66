"""Matrices from FFT bins to bands: any scale, any shape, any norm.

A bank of ``M`` bands is laid out by ``M + 2`` points, evenly spaced on a frequency scale: band
``m`` has its centre at point ``m + 1`` and its neighbours' centres as edges. `draw` evaluates the
shapes; it is written once for NumPy constants and for JAX arrays (learnable banks).
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_choice, check_number, check_positive_int, check_real, check_same
from jaxspec._dtypes import as_computed, as_returned
from jaxspec.framing import fft_frequencies
from jaxspec.scales import MEL_SCALES, SCALES, erb_bandwidth, hz_to_scale, scale_to_hz

__all__ = [
    "DOMAINS",
    "SHAPES",
    "apply_filterbank",
    "band_edges",
    "bank_matrix",
    "check_band_range",
    "check_bank",
    "draw",
    "filterbank",
    "mel_filterbank",
    "warn_about_empty_bands",
]

SHAPES = ("triangle", "gaussian", "rectangle", "gammatone")
DOMAINS = ("hz", "scale")

# A Gaussian is half as wide at half its height as a triangle of the same edges is at its foot.
_EDGES_TO_SIGMA = 1 / (4 * float(np.sqrt(2 * np.log(2))))
_LOWEST_HZ = 1e-3
_GAMMATONE_ORDER = 4
_GAMMATONE_BANDWIDTH = 1.019  # of the ERB: a 4th-order gammatone then has that very ERB


def check_band_range(
    sample_rate: Any, f_min: Any, f_max: Any, scale: str
) -> tuple[float, float, float]:
    """``(sample_rate, f_min, f_max)`` checked; ``f_max=None`` is half the sample rate."""
    sample_rate = check_number("sample_rate", sample_rate, above=0)
    f_max = sample_rate / 2 if f_max is None else f_max
    f_min, f_max = _check_range(f_min, f_max, scale)
    if f_max > sample_rate / 2:
        raise ValueError(
            f"f_max must be <= sample_rate / 2 (bands above it would be empty), got "
            f"f_max={f_max:g} and sample_rate={sample_rate:g}"
        )
    return sample_rate, f_min, f_max


def _check_range(f_min: Any, f_max: Any, scale: str) -> tuple[float, float]:
    f_min = check_number("f_min", f_min, at_least=0)
    f_max = check_number("f_max", f_max, above=0)
    if scale == "octave" and f_min == 0:
        raise ValueError("f_min must be > 0 on the octave scale, got f_min=0")
    if not f_min < f_max:
        raise ValueError(f"f_min must be < f_max, got f_min={f_min:g} and f_max={f_max:g}")
    return f_min, f_max


def check_bank(scale: str, shape: str, domain: str, norm: str | float | None) -> str | float | None:
    """Check the words that describe a bank; the norm is returned, a number as a float."""
    check_choice("scale", scale, SCALES)
    check_choice("shape", shape, SHAPES)
    check_choice("domain", domain, DOMAINS)
    if shape == "gammatone" and domain == "scale":
        raise ValueError(
            'domain must be "hz" for shape="gammatone" (its response is a function of Hz), got '
            'domain="scale"'
        )
    if norm is None or isinstance(norm, str):
        return check_choice("norm", norm, (None, "slaney", "peak"))
    return check_number("norm", norm, above=0, because='None, "slaney", "peak" or a p > 0')


def band_edges(n_bands: int, *, f_min: float, f_max: float, scale: str = "slaney") -> np.ndarray:
    """The ``n_bands + 2`` points of a bank in Hz, evenly spaced on ``scale``.

    Band ``m`` starts at point ``m``, has its centre at point ``m + 1`` and ends at ``m + 2``.

    Example:
      >>> import jaxspec
      >>> jaxspec.band_edges(3, f_min=0, f_max=4000, scale="linear")
      array([   0., 1000., 2000., 3000., 4000.])
    """
    n_bands = check_positive_int("n_bands", n_bands)
    check_choice("scale", scale, SCALES)
    f_min, f_max = _check_range(f_min, f_max, scale)
    low, high = hz_to_scale([f_min, f_max], scale=scale)
    return scale_to_hz(np.linspace(low, high, n_bands + 2), scale=scale)


def filterbank(
    *,
    sample_rate: float,
    n_fft: int,
    n_bands: int,
    f_min: float = 0.0,
    f_max: float | None = None,
    scale: str = "slaney",
    shape: str = "triangle",
    domain: str = "hz",
    norm: str | float | None = None,
) -> np.ndarray:
    """A bank of overlapping bands as a matrix from FFT bins to bands.

    Args:
      sample_rate: Hz.
      n_fft: length of the FFT; bin ``k`` lies at ``k * sample_rate / n_fft``.
      n_bands: number of bands.
      f_min: Hz, lower edge of the first band.
      f_max: Hz, upper edge of the last band; default half the sample rate.
      scale: on which the bands are evenly spaced, see `jaxspec.hz_to_scale`.
      shape: ``"triangle"`` between the centres of the neighbours; ``"gaussian"`` with the
        triangle's width at half height; ``"rectangle"`` between the midpoints to the neighbours;
        ``"gammatone"``, the power response ``(1 + ((f - c) / b)^2)^-4`` of a 4th-order gammatone
        with ``b = 1.019 ERB(c)``, whatever the neighbours.
      domain: whether shapes are drawn over ``"hz"`` (librosa, torchaudio) or over the
        ``"scale"`` (Kaldi, TensorFlow).
      norm: ``None`` (peak of the drawn shape is 1); ``"slaney"``, divide by half the distance
        of the edges in Hz, which gives triangles over Hz unit area; ``"peak"``, divide by the
        largest sample; a number p, divide by the L-p norm of the samples.

    Returns:
      float64 array of shape ``(n_fft // 2 + 1, n_bands)``, so that
      ``power @ filterbank`` is ``(..., frames, n_bands)``.

    Raises:
      ValueError: for ``f_max`` above half the sample rate, ``f_min >= f_max``, no bands, or an
        unknown word.

    Warns:
      UserWarning: naming the bands that hold no FFT bin.

    Example:
      >>> import jaxspec
      >>> bank = jaxspec.filterbank(sample_rate=8000, n_fft=8, n_bands=3, scale="linear")
      >>> bank
      array([[0., 0., 0.],
             [1., 0., 0.],
             [0., 1., 0.],
             [0., 0., 1.],
             [0., 0., 0.]])

    Reference:
      Triangles over Hz as ``librosa.filters.mel`` (transposed); over the scale as Kaldi's
      ``MelBanks``. Gammatone: M. Slaney, Apple Computer TR 35, 1993.
    """
    n_fft = check_positive_int("n_fft", n_fft)
    n_bands = check_positive_int("n_bands", n_bands)
    norm = check_bank(scale, shape, domain, norm)
    sample_rate, f_min, f_max = check_band_range(sample_rate, f_min, f_max, scale)
    # A copy, for the cached matrix must stay as it is.
    matrix = bank_matrix(sample_rate, n_fft, n_bands, f_min, f_max, scale, shape, domain, norm)
    warn_about_empty_bands(matrix)
    return matrix.copy()


@lru_cache(maxsize=64)
def bank_matrix(
    sample_rate: float,
    n_fft: int,
    n_bands: int,
    f_min: float,
    f_max: float,
    scale: str,
    shape: str,
    domain: str,
    norm: str | float | None,
) -> np.ndarray:
    """The matrix of `filterbank` for checked arguments: made once, read-only."""
    edges = band_edges(n_bands, f_min=f_min, f_max=f_max, scale=scale)
    bins = fft_frequencies(sample_rate=sample_rate, n_fft=n_fft)
    matrix = draw(bins, edges, scale=scale, shape=shape, domain=domain, norm=norm)
    matrix.setflags(write=False)
    return matrix


def mel_filterbank(
    *,
    sample_rate: float,
    n_fft: int,
    n_mels: int,
    f_min: float = 0.0,
    f_max: float | None = None,
    mel_scale: str = "slaney",
    norm: str | float | None = "slaney",
    domain: str = "hz",
) -> np.ndarray:
    """Triangular mel filters: `filterbank` in the words of librosa and torchaudio.

    The defaults are librosa's. torchaudio's are ``mel_scale="htk", norm=None``; Kaldi's are
    ``mel_scale="kaldi", domain="scale", norm=None, f_min=20``.

    Args:
      sample_rate, n_fft, f_min, f_max, norm, domain: as in `filterbank`.
      n_mels: number of bands.
      mel_scale: ``"slaney"``, ``"htk"`` or ``"kaldi"``.

    Returns:
      float64 array of shape ``(n_fft // 2 + 1, n_mels)``.

    Example:
      >>> import jaxspec
      >>> bank = jaxspec.mel_filterbank(sample_rate=16000, n_fft=512, n_mels=40)
      >>> bank.shape, bank.sum().round(5)
      ((257, 40), np.float64(1.27933))
    """
    check_choice("mel_scale", mel_scale, MEL_SCALES)
    n_mels = check_positive_int("n_mels", n_mels)
    return filterbank(
        sample_rate=sample_rate,
        n_fft=n_fft,
        n_bands=n_mels,
        f_min=f_min,
        f_max=f_max,
        scale=mel_scale,
        domain=domain,
        norm=norm,
    )


def draw(
    bins: Any,
    edges: Any,
    *,
    widths: Any = 1.0,
    scale: str,
    shape: str,
    domain: str,
    norm: str | float | None,
) -> Any:
    """The weights of every band at every bin.

    Args:
      bins: ``(n_bins,)``, Hz.
      edges: ``(n_bands + 2,)`` increasing, Hz; NumPy or JAX, which the result then is too.
      widths: factor on the width of every band, ``(n_bands,)`` or a number.
      scale, shape, domain, norm: as in `filterbank`.

    Returns:
      array of shape ``(n_bins, n_bands)``.
    """
    xp: ModuleType = jnp if isinstance(edges, jax.Array) else np
    bins = xp.asarray(bins, edges.dtype)
    if domain == "scale" and scale == "octave":
        bins = xp.maximum(bins, _LOWEST_HZ)  # 0 Hz is infinitely many octaves away
    position, points = (
        (bins, edges)
        if domain == "hz"
        else (hz_to_scale(bins, scale=scale), hz_to_scale(edges, scale=scale))
    )
    left, centre, right = _widened(points, widths)
    position = position[:, None]
    if shape == "triangle":
        rise = (position - left) / (centre - left)
        fall = (right - position) / (right - centre)
        weights = xp.maximum(xp.minimum(rise, fall), 0)
    elif shape == "gaussian":
        deviation = _EDGES_TO_SIGMA * (right - left)
        weights = xp.exp(-0.5 * ((position - centre) / deviation) ** 2)
    elif shape == "rectangle":
        inside = (position >= (left + centre) / 2) & (position < (centre + right) / 2)
        weights = xp.where(inside, 1, 0).astype(edges.dtype)
    else:
        bandwidth = widths * _GAMMATONE_BANDWIDTH * erb_bandwidth(centre)
        weights = (1 + ((position - centre) / bandwidth) ** 2) ** -_GAMMATONE_ORDER
    return weights / _size(weights, _widened(edges, widths), norm, xp)


def _widened(points: Any, widths: Any) -> tuple[Any, Any, Any]:
    """Left edge, centre and right edge of every band, the edges moved away by ``widths``."""
    left, centre, right = points[:-2], points[1:-1], points[2:]
    return centre - widths * (centre - left), centre, centre + widths * (right - centre)


def _size(
    weights: Any, edges: tuple[Any, Any, Any], norm: str | float | None, xp: ModuleType
) -> Any:
    """What the weights of every band are divided by."""
    if norm is None:
        return 1
    if norm == "slaney":
        return (edges[2] - edges[0]) / 2
    if isinstance(norm, str):  # "peak"
        size = xp.max(weights, axis=0)
    else:
        # Relative to the largest weight, lest large p underflow; 0 has no defined power slope.
        peak = xp.maximum(xp.max(weights, axis=0), float(xp.finfo(weights.dtype).tiny))
        share = weights / peak
        powers = xp.where(share > 0, xp.where(share > 0, share, 1) ** norm, 0)
        size = peak * xp.maximum(xp.sum(powers, axis=0), 1e-30) ** (1 / norm)
    return xp.where(size > 0, size, 1)


def warn_about_empty_bands(matrix: np.ndarray, stacklevel: int = 3) -> None:
    """Warn about bands that hold no FFT bin: they would be constant features."""
    empty = np.flatnonzero(~matrix.any(axis=0))
    if empty.size:
        named = ", ".join(str(band) for band in empty[:10]) + (", …" if empty.size > 10 else "")
        warnings.warn(
            f"{empty.size} of {matrix.shape[1]} bands hold no FFT bin and are 0 (bands {named}); "
            f"use fewer bands, a larger n_fft or a higher f_min",
            stacklevel=stacklevel,
        )


def apply_filterbank(x: jax.Array, weights: jax.Array | np.ndarray) -> jax.Array:
    """Band energies: ``x @ weights``, in the dtype of ``x`` and at full precision.

    Args:
      x: real ``(..., frames, bins)``, such as a power spectrum.
      weights: ``(bins, bands)``.

    Returns:
      real ``(..., frames, bands)``.

    Raises:
      TypeError: if ``x`` is complex or integer.
      ValueError: if the numbers of bins differ.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> bank = jaxspec.mel_filterbank(sample_rate=16000, n_fft=512, n_mels=40)
      >>> jaxspec.apply_filterbank(jnp.ones((2, 98, 257)), bank).shape
      (2, 98, 40)
    """
    x = check_real("x", x, ndim=2)
    if getattr(weights, "ndim", 0) != 2:
        raise ValueError(
            f"weights must have shape (bins, bands), got weights with shape "
            f"{getattr(weights, 'shape', None)}"
        )
    check_same("the number of bins of x", x.shape[-1], "that of weights", weights.shape[0])
    wide = as_computed(x)
    bands = jnp.matmul(wide, jnp.asarray(weights, wide.dtype), precision=jax.lax.Precision.HIGHEST)
    return as_returned(bands, x.dtype)
