"""Learnable forms of a filterbank: from unconstrained parameters to a matrix.

A layout says what is learned. Its parameters are zero at the start, where the matrix is that of
the fixed bank. Frequencies are in Hz or on a scale, never in bins, so that the same parameters
serve any sample rate and FFT length.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec.parametrize import non_negative, positive, shares
from jaxspec.scales import hz_to_scale, scale_to_hz

__all__ = ["LEAK", "band_widths", "free_weights", "gap_edges"]

_LEAST_GAP = 0.05
_WIDEST = 8.0

LEAK = 1e-5
"""Where a fixed bank is 0, free weights start at this share of the band's largest weight."""


def gap_edges(
    gaps: jax.Array, *, n_bands: int, f_min: float, f_max: float, scale: str
) -> jax.Array:
    """The points of a bank whose centres are learned and cannot cross.

    The gaps between neighbouring points are shares of the whole range on ``scale``:
    ``points = low + (high - low) * cumsum(softmax(gaps + …))``, each gap at least 5 % of an even
    one. One parameter moves all centres above it, and the order never changes.

    Args:
      gaps: ``(n_bands + 1,)``, 0 for evenly spaced.
      n_bands, f_min, f_max, scale: as in `jaxspec.band_edges`.

    Returns:
      ``(n_bands + 2,)`` increasing, Hz, the first ``f_min`` and the last ``f_max``.

    Example:
      >>> import jax.numpy as jnp
      >>> gap_edges(jnp.zeros(4), n_bands=3, f_min=0.0, f_max=4000.0, scale="linear")
      Array([   0., 1000., 2000., 3000., 4000.], dtype=float32)
    """
    count = n_bands + 1
    even = np.full(count, 1 / count)
    share = shares(gaps, start=even, least=_LEAST_GAP / count)
    # Only the deviation from the even layout is summed in the computation dtype, so that the
    # start is exact in float32 too.
    moved = jnp.cumsum(share - jnp.asarray(even, gaps.dtype))[:-1]
    low, high = hz_to_scale([f_min, f_max], scale=scale)
    fixed = jnp.asarray(np.linspace(low, high, count + 1)[1:-1], gaps.dtype)
    inner = scale_to_hz(fixed + (high - low) * moved, scale=scale)
    ends = jnp.asarray([f_min, f_max], gaps.dtype)
    return jnp.concatenate([ends[:1], inner, ends[1:]])


def band_widths(widths: jax.Array) -> jax.Array:
    """Factors on the widths of the bands, 1 at 0, between 1/8 and 8.

    Example:
      >>> import jax.numpy as jnp
      >>> band_widths(jnp.zeros(2))
      Array([1., 1.], dtype=float32)
    """
    return positive(widths, start=1.0, factor=_WIDEST)


def free_weights(weights: jax.Array, *, start: np.ndarray) -> jax.Array:
    """A free non-negative matrix ``(bins, bands)`` that starts at ``start``.

    A smooth non-negative function has no slope where it is 0, so zeros of ``start`` are lifted
    to `LEAK` (1e-5) of their band's largest weight, from where they can grow.

    Example:
      >>> import jax.numpy as jnp, numpy as np
      >>> free_weights(jnp.zeros((2, 1)), start=np.array([[1.0], [0.0]]))[:, 0].round(6)
      Array([1.e+00, 1.e-05], dtype=float32)
    """
    peak = start.max(axis=0)
    peak = np.where(peak > 0, peak, 1.0)
    return non_negative(weights, start=np.maximum(start, LEAK * peak), unit=peak)
