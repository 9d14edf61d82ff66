"""Matrices from FFT bins to bands: any scale, any shape, any norm.

A bank of ``M`` bands is laid out by ``M + 2`` points, evenly spaced on a frequency scale: band
``m`` has its centre at point ``m + 1`` and its neighbours' centres as edges. `jaxspec.shapes.draw`
evaluates the shapes.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_choice, check_number, check_positive_int, check_real, check_same
from jaxspec._dtypes import as_computed, as_returned
from jaxspec.framing import fft_frequencies
from jaxspec.scales import MEL_SCALES, SCALES, hz_to_scale, scale_to_hz
from jaxspec.shapes import SHAPES, draw
from jaxspec.table import Table

__all__ = [
    "DOMAINS",
    "SAMPLINGS",
    "SHAPES",
    "apply_filterbank",
    "band_edges",
    "bank_matrix",
    "check_band_range",
    "check_bank",
    "draw",
    "filterbank",
    "mel_filterbank",
    "random_edges",
    "warn_about_empty_bands",
]

DOMAINS = ("hz", "scale")
SAMPLINGS = ("point", "area")

# Random centres keep at least this share of an even distance.
_LEAST_RANDOM_GAP = 0.1


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


def check_bank(
    scale: str, shape: str, domain: str, norm: str | float | None, sampling: str, exponent: Any
) -> tuple[str | float | None, float]:
    """Check the words that describe a bank; ``(norm, exponent)``, numbers as floats."""
    check_choice("scale", scale, SCALES)
    check_choice("shape", shape, SHAPES)
    check_choice("domain", domain, DOMAINS)
    if shape == "gammatone" and domain == "scale":
        raise ValueError(
            'domain must be "hz" for shape="gammatone" (its response is a function of Hz), got '
            'domain="scale"'
        )
    check_choice("sampling", sampling, SAMPLINGS)
    exponent = check_number("exponent", exponent, above=1)
    if exponent != 2 and shape != "generalized_gaussian":
        raise ValueError(
            f'exponent is that of shape="generalized_gaussian" and has no effect on '
            f"shape={shape!r}, got exponent={exponent:g}"
        )
    if norm is None or isinstance(norm, str):
        return check_choice("norm", norm, (None, "slaney", "peak")), exponent
    norm = check_number("norm", norm, above=0, because='None, "slaney", "peak" or a p > 0')
    return norm, exponent


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


def random_edges(
    key: jax.Array, n_bands: int, *, f_min: float, f_max: float, scale: str = "slaney"
) -> np.ndarray:
    """The points of a bank with random centres, as a start for ``Filterbank(points=...)``.

    The distances between neighbours on ``scale`` are random parts of the whole (exponential, so
    that centres are as if drawn evenly and sorted), each at least a tenth of an even distance.

    Args:
      key: from `jax.random.key`; concrete, for the result is a choice of a front-end.
      n_bands: number of bands.
      f_min, f_max: Hz, the first and the last point.
      scale: as in `jaxspec.hz_to_scale`.

    Returns:
      float64 array of shape ``(n_bands + 2,)``, increasing, Hz, as `jaxspec.band_edges`.

    Raises:
      ValueError: as `jaxspec.band_edges`.

    Example:
      >>> import jax, jaxspec
      >>> edges = jaxspec.random_edges(jax.random.key(0), 3, f_min=0, f_max=4000, scale="linear")
      >>> edges[[0, -1]], bool((edges[1:] - edges[:-1] >= 100).all())
      (array([   0., 4000.]), True)
    """
    even = band_edges(n_bands, f_min=f_min, f_max=f_max, scale=scale)
    parts = np.asarray(jax.random.exponential(key, (n_bands + 1,)), np.float64)
    least = _LEAST_RANDOM_GAP / len(parts)
    gaps = least + (1 - _LEAST_RANDOM_GAP) * parts / parts.sum()
    low, high = hz_to_scale([f_min, f_max], scale=scale)
    inner = scale_to_hz(low + (high - low) * np.cumsum(gaps)[:-1], scale=scale)
    return np.concatenate([even[:1], inner, even[-1:]])


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
    sampling: str = "point",
    exponent: float = 2.0,
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
        ``"raised_cosine"`` between the centres of the neighbours; ``"generalized_gaussian"``,
        ``exp(-ln 2 |u|^p)`` with the exponent ``p`` and ``u = 1`` at the triangle's half height;
        ``"gammatone"``, the power response ``(1 + ((f - c) / b)^2)^-4`` of a 4th-order gammatone
        with ``b = 1.019 ERB(c)``, whatever the neighbours.
      domain: whether shapes are drawn over ``"hz"`` (librosa, torchaudio) or over the
        ``"scale"`` (Kaldi, TensorFlow).
      norm: ``None`` (peak of the drawn shape is 1); ``"slaney"``, divide by half the distance
        of the edges in Hz, which gives triangles over Hz unit area; ``"peak"``, divide by the
        largest sample; a number p, divide by the L-p norm of the samples.
      sampling: ``"point"``, the value of the shape at every bin; ``"area"``, its mean over the
        bin, from half a bin below to half a bin above, on the axis of ``domain``. Then no band
        is empty, however narrow, and the weights of a band sum to its area in bins.
      exponent: ``p`` of the generalised Gaussian, above 1; 2 is the Gaussian, large ones are
        nearly rectangles.

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
    norm, exponent = check_bank(scale, shape, domain, norm, sampling, exponent)
    sample_rate, f_min, f_max = check_band_range(sample_rate, f_min, f_max, scale)
    # A copy, for the cached matrix must stay as it is.
    matrix = bank_matrix(
        sample_rate, n_fft, n_bands, f_min, f_max, scale, shape, domain, norm, sampling, exponent
    )
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
    sampling: str,
    exponent: float,
    points: Table | None = None,
    bandwidths: Table | None = None,
) -> np.ndarray:
    """The matrix of `filterbank` for checked arguments: made once, read-only.

    With ``points`` the bank is laid out by these, whatever ``n_bands``, ``f_min`` and ``f_max``.
    """
    if points is None:
        edges = band_edges(n_bands, f_min=f_min, f_max=f_max, scale=scale)
    else:
        edges = points.values
    matrix = draw(
        fft_frequencies(sample_rate=sample_rate, n_fft=n_fft),
        edges,
        bandwidths=None if bandwidths is None else bandwidths.values,
        exponents=exponent,
        scale=scale,
        shape=shape,
        domain=domain,
        norm=norm,
        bin_width=sample_rate / n_fft if sampling == "area" else None,
    )
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
