"""Learnable forms of a filterbank: from unconstrained parameters to points, widths, a matrix.

A layout says what is learned. Its parameters are zero at the start, where the matrix is that of
the fixed bank, whatever its points are. Frequencies are in Hz or shares of the range on a scale,
never in bins, so that the same parameters serve any sample rate and FFT length.

The points of a bank stay in order for all parameters: a layout is a monotone map of the range
onto itself, and its ends keep apart.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec.parametrize import interval, non_negative, positive, shares
from jaxspec.scales import hz_to_scale, scale_to_hz

__all__ = [
    "LEAK",
    "MOVES",
    "band_exponents",
    "band_gains",
    "band_widths",
    "corner_factor",
    "free_weights",
    "gap_moves",
    "inward_limits",
    "moved_points",
    "narrowest_gaps",
    "range_moves",
    "scale_warped",
    "signed_weights",
    "warp_moves",
]

MOVES = ("scale", "warp", "gaps", "range")
"""The parameters that move the points of a bank."""

_LEAST_GAP = 0.05
_WIDEST = 8.0
_STRONGEST = 1e4
_MOST_INWARD = 0.4
_CORNER_HZ = {"erb": 1000.0 / 4.37}  # of the other scales that of the HTK mel scale
_MEL_CORNER_HZ = 700.0
_CORNER_FACTOR = 100.0

LEAK = 1e-5
"""Where a fixed bank is 0, free weights start at this share of the band's largest weight."""


def moved_points(
    params: dict[str, jax.Array],
    *,
    points: np.ndarray,
    scale: str,
    limits: tuple[float, float] | None = None,
) -> jax.Array:
    """The points of a bank, moved by the parameters of a layout.

    Args:
      params: at least one of ``"gaps"`` or ``"warp"`` (see `gap_moves`, `warp_moves`), ``"scale"``
        (`scale_warped`) and ``"range"`` (`range_moves`); others have no effect.
      points: ``(n_bands + 2,)`` increasing, Hz: where they are if all parameters are 0.
      scale: on whose axis gaps, warps and ranges are measured, see `jaxspec.hz_to_scale`.
      limits: Hz, which a learned range keeps inside.

    Returns:
      ``(n_bands + 2,)`` increasing, Hz, in the dtype of the parameters.

    Example:
      >>> import jax.numpy as jnp, numpy as np
      >>> points = np.array([0.0, 1000.0, 2000.0, 4000.0])
      >>> moved_points({"scale": jnp.array(0.0)}, points=points, scale="linear")
      Array([   0., 1000., 2000., 4000.], dtype=float32)
    """
    own = [params[name] for name in MOVES if name in params]
    dtype = jnp.result_type(*own)
    moved = jnp.asarray(points, dtype)
    if any(name in params for name in ("gaps", "warp", "range")):
        # What is fixed is added in float64, so that the start is exact in float32 too.
        fixed = hz_to_scale(points, scale=scale)
        low, span = float(fixed[0]), float(fixed[-1] - fixed[0])
        share = (fixed - low) / span
        moves = jnp.zeros(len(points) - 2, dtype)
        if "gaps" in params:
            moves = gap_moves(params["gaps"], start=share)
        elif "warp" in params:
            moves = warp_moves(params["warp"], start=share)
        inner = jnp.asarray(fixed[1:-1], dtype) + span * moves
        ends = moved[:1], moved[-1:]
        if "range" in params:
            assert limits is not None
            ends_moved = range_moves(
                params["range"], f_min=points[0], f_max=points[-1], limits=limits, scale=scale
            )
            now = jnp.asarray(share[1:-1], dtype) + moves
            inner = inner + ends_moved[0] * (1 - now) + ends_moved[1] * now
            outer = scale_to_hz(jnp.asarray(fixed[[0, -1]], dtype) + ends_moved, scale=scale)
            ends = outer[:1], outer[1:]
        moved = jnp.concatenate([ends[0], scale_to_hz(inner, scale=scale), ends[1]])
    if "scale" in params:
        moved = scale_warped(params["scale"], moved, scale=scale)
    return moved


def gap_moves(gaps: jax.Array, *, start: np.ndarray) -> jax.Array:
    """How far centres move whose gaps are learned, so that they cannot cross.

    The gaps between neighbouring points are shares of the whole range:
    ``cumsum(softmax(gaps + …))``, each gap at least 5 % of an even one (or half of what it is at
    the start). One parameter moves all centres above it, and the order never changes.

    Args:
      gaps: ``(n_bands + 1,)``, 0 for the start.
      start: ``(n_bands + 2,)``, from 0 to 1, increasing.

    Returns:
      ``(n_bands,)``, what is added to ``start[1:-1]``.

    Example:
      >>> import jax.numpy as jnp, numpy as np
      >>> gap_moves(jnp.array([9.0, 0.0]), start=np.array([0.0, 0.25, 1.0])).round(3)
      Array([0.725], dtype=float32)
    """
    first = np.diff(start)
    share = shares(gaps, start=first, least=_least_gap(first))
    return jnp.cumsum(share - jnp.asarray(first, gaps.dtype))[:-1]


def warp_moves(warp: jax.Array, *, start: np.ndarray) -> jax.Array:
    """How far centres move under a smooth monotone map of the range onto itself.

    The map goes through knots that are evenly spaced along the range and whose images have gaps
    as in `gap_moves`; between knots it is a monotone rational quadratic, with the harmonic mean
    of the slopes on both sides as the slope at a knot. All bands share the few parameters.

    Args:
      warp: ``(n_knots + 1,)``, 0 for the identity; the knots at 0 and 1 stay.
      start: as in `gap_moves`.

    Returns:
      as `gap_moves`.

    Example:
      >>> import jax.numpy as jnp, numpy as np
      >>> warp_moves(jnp.array([0.0, 1.0]), start=np.linspace(0, 1, 5)) < 0
      Array([ True,  True,  True], dtype=bool)

    Reference:
      J. A. Gregory and R. Delbourgo, "Piecewise rational quadratic interpolation to monotonic
      data", IMA J. Numerical Analysis 2, 1982.
    """
    count = warp.shape[0]
    even = np.full(count, 1 / count)
    share = shares(warp, start=even, least=_least_gap(even))
    grown = share - jnp.asarray(1 / count, warp.dtype)
    knots = jnp.concatenate([jnp.zeros(1, warp.dtype), jnp.cumsum(grown)[:-1]])
    slope = count * share
    inner = 2 * slope[:-1] * slope[1:] / (slope[:-1] + slope[1:])
    at_knots = jnp.concatenate([slope[:1], inner, slope[-1:]])
    # Which piece a centre lies in is known from the start alone.
    piece = np.minimum((count * start[1:-1]).astype(int), count - 1)
    part = jnp.asarray(count * start[1:-1] - piece, warp.dtype)
    bend = part * (1 - part)
    before, after, own = at_knots[piece], at_knots[piece + 1], slope[piece]
    curve = (before - own) * (1 - part) - (after - own) * part
    curve = share[piece] * bend * curve / (own + (before + after - 2 * own) * bend)
    return knots[piece] + grown[piece] * part + curve


def _least_gap(first: np.ndarray) -> float:
    """The least that a gap may become, whatever the parameters."""
    return min(_LEAST_GAP / len(first), 0.5 * float(first.min()))


def narrowest_gaps(name: str, z: jax.Array, *, points: np.ndarray, scale: str) -> list[int]:
    """Which of the gaps or of the pieces of a warp are as narrow as they may be.

    Args:
      name: ``"gaps"`` or ``"warp"``.
      z: the parameters, as in `gap_moves` and `warp_moves`.
      points, scale: as in `moved_points`.

    Example:
      >>> import jax.numpy as jnp, numpy as np
      >>> narrowest_gaps("gaps", jnp.array([-20.0, 0.0]), points=np.arange(3.0), scale="linear")
      [0]
    """
    first = np.full(z.shape[0], 1 / z.shape[0])
    if name == "gaps":
        first = np.diff(hz_to_scale(points, scale=scale))
        first = first / first.sum()
    least = _least_gap(first)
    share = np.asarray(shares(z, start=first, least=least))
    return np.flatnonzero(share - least <= 0.01 * (first - least)).tolist()


def inward_limits(f_min: float, f_max: float, *, scale: str) -> tuple[float, float]:
    """How far inwards a learned range can shrink, on the scale: by 40 % from either side.

    Example:
      >>> inward_limits(0.0, 1000.0, scale="linear")
      (400.0, 600.0)
    """
    low, high = (float(end) for end in hz_to_scale([f_min, f_max], scale=scale))
    return low + _MOST_INWARD * (high - low), high - _MOST_INWARD * (high - low)


def range_moves(
    edges: jax.Array,
    *,
    f_min: float,
    f_max: float,
    limits: tuple[float, float],
    scale: str,
) -> jax.Array:
    """How far the lower and the upper end of a bank move on the scale.

    Args:
      edges: ``(2,)``, 0 for the start.
      f_min, f_max: Hz, the start, strictly inside the limits.
      limits: Hz, which the ends keep inside; inwards they go no farther than `inward_limits`.
      scale: as in `jaxspec.hz_to_scale`.

    Returns:
      ``(2,)``, what is added to the ends on the scale.

    Example:
      >>> import jax.numpy as jnp
      >>> range_moves(jnp.array([-9.0, 9.0]), f_min=50, f_max=900, limits=(0, 1000),
      ...             scale="linear").astype(int)
      Array([-49,  99], dtype=int32)
    """
    start = hz_to_scale([f_min, f_max], scale=scale)
    outer = hz_to_scale(list(limits), scale=scale)
    inner = inward_limits(f_min, f_max, scale=scale)
    # Both intervals as one: of length 1, with bounds that differ.
    low = np.array([outer[0], inner[1]])
    size = np.array([inner[0], outer[1]]) - low
    share = (start - low) / size
    moved = interval(edges, start=share, low=0.0, high=1.0) - jnp.asarray(share, edges.dtype)
    return jnp.asarray(size, edges.dtype) * moved


def scale_warped(scale_z: jax.Array, points: jax.Array, *, scale: str) -> jax.Array:
    """Points on a frequency scale ``log1p(f / f_b)`` whose corner ``f_b`` is learned.

    Points keep their share of the range while the scale on which it is measured changes from the
    corner at the start, 700 Hz (of ``"erb"`` 229 Hz), to ``f_b = corner * exp(z)``. If they are
    evenly spaced on the mel or the ERB-rate scale, they are so on the new scale; other layouts
    are bent in the same way. Small corners are near octaves, large ones near linear.

    Args:
      scale_z: ``()``, 0 for the start; the corner keeps within a factor of 100.
      points: ``(n_bands + 2,)`` increasing, Hz; the first and the last stay.
      scale: says which corner to start from.

    Returns:
      as ``points``.

    Example:
      >>> import jax.numpy as jnp
      >>> scale_warped(jnp.array(1.0), jnp.array([0.0, 700.0, 4000.0]), scale="htk").round(1)
      Array([   0. ,  966.3, 4000. ], dtype=float32)
    """
    corner = _CORNER_HZ.get(scale, _MEL_CORNER_HZ)
    low, high, inner = points[0], points[-1], points[1:-1]
    # f = (f_b + low) (exp(share * log((f_b + high) / (f_b + low))) - 1) + low, as its difference
    # from the start, so that it is exact there.
    change = corner * jnp.expm1(_bounded(scale_z))  # corner_factor less 1
    rise = (inner - low) / (corner + low)
    share = jnp.log1p(rise) / jnp.log1p((high - low) / (corner + low))
    longer = jnp.log1p(change / (corner + high)) - jnp.log1p(change / (corner + low))
    moved = change * rise + (corner + low + change) * (1 + rise) * jnp.expm1(share * longer)
    return jnp.concatenate([points[:1], inner + moved, points[-1:]])


def corner_factor(scale_z: jax.Array) -> jax.Array:
    """By what the corner of the frequency scale is multiplied, 1 at 0.

    Example:
      >>> import jax.numpy as jnp
      >>> corner_factor(jnp.zeros(()))
      Array(1., dtype=float32)
    """
    return jnp.exp(_bounded(scale_z))


def _bounded(z: jax.Array) -> jax.Array:
    """The logarithm of `positive` with a start of 1: as ``z`` around 0."""
    reach = float(np.log(_CORNER_FACTOR))
    return reach * jnp.tanh(z / reach)


def band_widths(widths: jax.Array) -> jax.Array:
    """Factors on the widths of the bands, 1 at 0, between 1/8 and 8.

    Example:
      >>> import jax.numpy as jnp
      >>> band_widths(jnp.zeros(2))
      Array([1., 1.], dtype=float32)
    """
    return positive(widths, start=1.0, factor=_WIDEST)


def band_exponents(exponents: jax.Array, *, start: float) -> jax.Array:
    """Exponents of generalised Gaussians: ``p - 1`` within a factor of 8 of its start.

    Example:
      >>> import jax.numpy as jnp
      >>> band_exponents(jnp.zeros(2), start=2.0)
      Array([2., 2.], dtype=float32)
    """
    return 1 + positive(exponents, start=start - 1, factor=_WIDEST)


def band_gains(gains: jax.Array) -> jax.Array:
    """Factors on the weights of the bands, 1 at 0, between 1e-4 and 1e4.

    Example:
      >>> import jax.numpy as jnp
      >>> band_gains(jnp.zeros(2))
      Array([1., 1.], dtype=float32)
    """
    return positive(gains, start=1.0, factor=_STRONGEST)


def free_weights(weights: jax.Array, *, start: np.ndarray) -> jax.Array:
    """A free non-negative matrix ``(bins, bands)`` that starts at ``start``.

    A smooth non-negative function has no slope where it is 0, so zeros of ``start`` are lifted
    to `LEAK` (1e-5) of their band's largest weight, from where they can grow.

    Example:
      >>> import jax.numpy as jnp, numpy as np
      >>> free_weights(jnp.zeros((2, 1)), start=np.array([[1.0], [0.0]]))[:, 0].round(6)
      Array([1.e+00, 1.e-05], dtype=float32)
    """
    peak = _peaks(start)
    return non_negative(weights, start=np.maximum(start, LEAK * peak), unit=peak)


def signed_weights(weights: jax.Array, *, start: np.ndarray) -> jax.Array:
    """A free matrix ``(bins, bands)`` of either sign that starts exactly at ``start``.

    ``start + peak * weights``, where ``peak`` is the largest magnitude of each band at the start.

    Example:
      >>> import jax.numpy as jnp, numpy as np
      >>> signed_weights(jnp.full((2, 1), -0.5), start=np.array([[4.0], [0.0]]))[:, 0]
      Array([ 2., -2.], dtype=float32)
    """
    return jnp.asarray(start, weights.dtype) + jnp.asarray(_peaks(start), weights.dtype) * weights


def _peaks(start: np.ndarray) -> np.ndarray:
    """The largest magnitude of every band, 1 for empty ones."""
    peak = np.abs(start).max(axis=0)
    return np.where(peak > 0, peak, 1.0)
