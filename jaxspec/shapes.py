"""Shapes of bands over frequency: their weights at FFT bins, as points or as means over bins.

Written once for NumPy constants and for JAX arrays (learnable banks). A band has a left edge, a
centre and a right edge; every shape but the gammatone is at half its height half way from the
centre to an edge.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._extremes import largest
from jaxspec.scales import erb_bandwidth, hz_to_scale

__all__ = ["SHAPES", "draw"]

SHAPES = (
    "triangle", "gaussian", "rectangle", "gammatone", "raised_cosine", "generalized_gaussian",
)  # fmt: skip

# A Gaussian is half as wide at half its height as a triangle of the same edges is at its foot.
_EDGES_TO_SIGMA = 1 / (4 * float(np.sqrt(2 * np.log(2))))
_LN_2 = float(np.log(2))
_LOWEST_HZ = 1e-3
_GAMMATONE_ORDER = 4
_GAMMATONE_BANDWIDTH = 1.019  # of the ERB: a 4th-order gammatone then has that very ERB

# Means without a closed form are Gauss-Legendre sums: positions in (0, 1), and weights.
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(8)
_NODES, _NODE_WEIGHTS = (_NODES + 1) / 2, _NODE_WEIGHTS / 2
# More of them, after a change of variable that crowds them at 0, where |u|^p is not smooth.
_CROWDED, _CROWDED_WEIGHTS = np.polynomial.legendre.leggauss(10)
_CROWDED, _CROWDED_WEIGHTS = ((_CROWDED + 1) / 2) ** 2, (_CROWDED + 1) / 2 * _CROWDED_WEIGHTS
# Where a generalised Gaussian counts as over when its mean is taken: exp(-24) is -104 dB.
_OVER = 24.0


def draw(
    bins: np.ndarray,
    edges: Any,
    *,
    widths: Any = 1.0,
    bandwidths: Any = None,
    exponents: Any = 2.0,
    scale: str,
    shape: str,
    domain: str,
    norm: str | float | None,
    bin_width: float | None = None,
) -> Any:
    """The weights of every band at every bin.

    Args:
      bins: ``(n_bins,)``, Hz.
      edges: ``(n_bands + 2,)`` increasing, Hz; NumPy or JAX, which the result then is too.
      widths: factor on the width of every band, ``(n_bands,)`` or a number.
      bandwidths: Hz, width at half height of every band, ``(n_bands,)``: the bands are then
        symmetric, and of ``edges`` only the centres count. With the domain ``"hz"`` only.
      exponents: ``p`` of the generalised Gaussian ``exp(-ln 2 |u|^p)``, above 1, ``(n_bands,)`` or
        a number; ``u`` is 1 at half the height.
      scale, shape, domain, norm: as in `jaxspec.filterbank`.
      bin_width: Hz; the weights are then the means of the shape over bins of that width, over the
        axis of the domain. ``None``: the values of the shape at the bins.

    Returns:
      array of shape ``(n_bins, n_bands)``.

    Example:
      >>> draw(np.array([0.0, 50.0, 150.0]), np.array([0.0, 100.0, 200.0]),
      ...      scale="linear", shape="triangle", domain="hz", norm=None)[:, 0]
      array([0. , 0.5, 0.5])
    """
    xp: ModuleType = jnp if isinstance(edges, jax.Array) else np
    points = edges if domain == "hz" else hz_to_scale(edges, scale=scale)
    band = _sides(points, widths, bandwidths)
    if shape == "gammatone":
        spread = widths * _GAMMATONE_BANDWIDTH * erb_bandwidth(band[1])
    elif shape == "gaussian":
        spread = _EDGES_TO_SIGMA * (band[2] - band[0])
    else:
        spread = (band[2] - band[0]) / 4

    def on_axis(frequencies: np.ndarray) -> Any:
        """Constants on the axis of the domain; the scale is mirrored at 0 Hz."""
        if domain == "scale":
            least = _LOWEST_HZ if scale == "octave" else 0.0  # 0 Hz is infinitely far away
            zero = hz_to_scale(least, scale=scale)
            value = hz_to_scale(np.maximum(np.abs(frequencies), least), scale=scale)
            frequencies = np.where(frequencies < 0, 2 * zero - value, value)
        return xp.asarray(frequencies, edges.dtype)[:, None]

    bins = np.asarray(bins, np.float64)
    if bin_width is None:
        weights = _at_points(shape, on_axis(bins), band, spread, exponents, xp)
    else:
        # Both ends are rounded before they are subtracted, so that bins tile the axis.
        start, stop = on_axis(bins - bin_width / 2), on_axis(bins + bin_width / 2)
        weights = _over_bins(shape, start, stop, band, spread, exponents, xp)
    return weights / _size(weights, _sides(edges, widths, bandwidths), norm, xp)


def _sides(points: Any, widths: Any, bandwidths: Any) -> tuple[Any, Any, Any]:
    """Left edge, centre and right edge of every band, the edges moved away by ``widths``."""
    left, centre, right = points[:-2], points[1:-1], points[2:]
    below = centre - left if bandwidths is None else bandwidths
    above = right - centre if bandwidths is None else bandwidths
    return centre - widths * below, centre, centre + widths * above


def _at_points(
    shape: str, position: Any, band: tuple[Any, Any, Any], spread: Any, exponents: Any, xp: Any
) -> Any:
    left, centre, right = band
    if shape in ("triangle", "raised_cosine"):
        rise = (position - left) / (centre - left)
        fall = (right - position) / (right - centre)
        height = xp.maximum(xp.minimum(rise, fall), 0)
        return height if shape == "triangle" else xp.sin(np.pi / 2 * height) ** 2
    if shape == "gaussian":
        return xp.exp(-0.5 * ((position - centre) / spread) ** 2)
    if shape == "rectangle":
        inside = (position >= (left + centre) / 2) & (position < (centre + right) / 2)
        return xp.where(inside, 1, 0).astype(centre.dtype)
    if shape == "generalized_gaussian":
        return _generalized((position - centre) / spread, exponents, xp)
    return (1 + ((position - centre) / spread) ** 2) ** -_GAMMATONE_ORDER


def _generalized(u: Any, exponents: Any, xp: Any) -> Any:
    """``exp(-ln 2 |u|^p)``, whose derivatives at 0 are 0 for ``p`` above 1."""
    away = xp.abs(u)
    distance = xp.where(away > 0, away, 1)
    # The bound keeps the power finite; the result there is 0 long since.
    power = xp.exp(xp.minimum(exponents * xp.log(distance), 80))
    return xp.exp(-_LN_2 * xp.where(away > 0, power, 0))


def _over_bins(
    shape: str, start: Any, stop: Any, band: tuple[Any, Any, Any], spread: Any, exponents: Any,
    xp: Any,
) -> Any:  # fmt: skip
    """The mean of a shape over every bin, ``(n_bins, n_bands)``."""
    left, centre, right = band
    size = stop - start
    if shape == "rectangle":
        low, high = (left + centre) / 2, (centre + right) / 2
        return (xp.clip(stop, low, high) - xp.clip(start, low, high)) / size
    if shape == "gaussian":
        # Mirrored so that the bin lies above the centre: the difference of two small numbers.
        middle = (start + stop) / 2 - centre
        middle = middle * xp.where(middle < 0, -1, 1).astype(centre.dtype)
        unit = float(np.sqrt(2)) * spread
        near, far = (middle - size / 2) / unit, (middle + size / 2) / unit
        return float(np.sqrt(np.pi) / 2) * unit / size * (_erfc(near) - _erfc(far))
    if shape == "gammatone":
        # With u = tan(angle), du / (1 + u^2)^4 is cos(angle)^6 times the change of the angle.
        low, high = (start - centre) / spread, (stop - centre) / spread
        turn = xp.arctan2(high - low, 1 + low * high)
        angles = xp.arctan(low)[..., None] + turn[..., None] * xp.asarray(_NODES, centre.dtype)
        mean = _mean_of_nodes(xp.cos(angles) ** (2 * _GAMMATONE_ORDER - 2), _NODE_WEIGHTS, xp)
        return mean * turn / (high - low)
    if shape == "generalized_gaussian":
        reach = spread * (_OVER / _LN_2) ** (1 / exponents)
        left, right = centre - reach, centre + reach
    # The parts of the bin below and above the centre: their length times the mean over them.
    total = 0.0
    for low, high, foot in ((left, centre, left), (centre, right, right)):
        begin, end = xp.clip(start, low, high), xp.clip(stop, low, high)
        if shape == "generalized_gaussian":
            near, far = (end, begin) if low is left else (begin, end)
            nodes = xp.asarray(_CROWDED, centre.dtype)
            at = (near - centre)[..., None] + (far - near)[..., None] * nodes
            each = exponents if np.ndim(exponents) == 0 else exponents[:, None]
            values = _generalized(at / spread[:, None], each, xp)
            mean = _mean_of_nodes(values, _CROWDED_WEIGHTS, xp)
        else:
            height = ((begin + end) / 2 - foot) / (centre - foot)
            if shape == "triangle":
                mean = height
            else:
                extent = (end - begin) / (high - low)
                mean = 0.5 - 0.5 * xp.cos(np.pi * height) * _sinc(np.pi / 2 * extent)
        total = total + (end - begin) / size * mean
    return total


def _mean_of_nodes(values: Any, weights: np.ndarray, xp: Any) -> Any:
    return (values * xp.asarray(weights, values.dtype)).sum(axis=-1)


def _sinc(angle: Any) -> Any:
    """``sin(angle) / angle`` up to a right angle, as its series, which has no division by 0."""
    total = 0.0
    for k in range(10, -1, -1):
        total = (-1) ** k / math.factorial(2 * k + 1) + angle**2 * total
    return total


def _erfc(values: Any) -> Any:
    if isinstance(values, jax.Array):
        return jax.scipy.special.erfc(values)
    return np.vectorize(math.erfc, otypes=[np.float64])(values)


def _peak(weights: Any, xp: ModuleType) -> Any:
    return np.max(weights, axis=0) if xp is np else largest(weights, 0)[0]


def _size(
    weights: Any, edges: tuple[Any, Any, Any], norm: str | float | None, xp: ModuleType
) -> Any:
    """What the weights of every band are divided by."""
    if norm is None:
        return 1
    if norm == "slaney":
        return (edges[2] - edges[0]) / 2
    if isinstance(norm, str):  # "peak"
        size = _peak(weights, xp)
    else:
        # Relative to the largest weight, lest large p underflow; 0 has no defined power slope.
        peak = xp.maximum(_peak(weights, xp), float(xp.finfo(weights.dtype).tiny))
        share = weights / peak
        powers = xp.where(share > 0, xp.where(share > 0, share, 1) ** norm, 0)
        size = peak * xp.maximum(xp.sum(powers, axis=0), 1e-30) ** (1 / norm)
    return xp.where(size > 0, size, 1)
