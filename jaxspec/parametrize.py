"""Smooth maps from unconstrained parameters to constrained quantities.

Every map is defined for all real ``z``, has a finite derivative everywhere, never clips, and
gives the stated starting value at ``z = 0``: parameters start at zero, whatever they stand for,
and pulling them to zero pulls the quantity to its start. They have no unit, so one step of an
optimiser such as Adam means a comparable change for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from jaxspec._checks import check_number

__all__ = ["ends_reached", "interval", "non_negative", "positive", "shares"]

_FLAT = 0.01
_NAMED = 3


def positive(z: jax.Array, *, start: ArrayLike, factor: float = 1e4) -> jax.Array:
    """A positive quantity: ``start * exp(L tanh(z / L))`` with ``L = ln(factor)``.

    Like ``start * exp(z)`` around ``z = 0``, but it stays between ``start / factor`` and
    ``start * factor``, so no step of an optimiser can make it 0 or infinite.

    Example:
      >>> import jax.numpy as jnp
      >>> positive(jnp.zeros(2), start=3.0)
      Array([3., 3.], dtype=float32)
    """
    reach = math.log(check_number("factor", factor, above=1))
    return jnp.asarray(start, z.dtype) * jnp.exp(reach * jnp.tanh(z / reach))


def interval(z: jax.Array, *, start: ArrayLike, low: float, high: float) -> jax.Array:
    """A quantity between two bounds: ``low + (high - low) sigmoid(z + z0)``.

    Raises:
      ValueError: if ``start`` is not strictly inside the bounds.

    Example:
      >>> import jax.numpy as jnp
      >>> interval(jnp.array([-100.0, 0.0, 100.0]), start=0.5, low=0.0, high=2.0)
      Array([0. , 0.5, 2. ], dtype=float32)
    """
    share = (np.asarray(start, np.float64) - low) / (high - low)
    if not ((share > 0) & (share < 1)).all():
        raise ValueError(f"start must lie strictly between {low:g} and {high:g}, got {start!r}")
    offset = np.log(share) - np.log1p(-share)
    return low + (high - low) * jax.nn.sigmoid(z + jnp.asarray(offset, z.dtype))


def non_negative(z: jax.Array, *, start: np.ndarray, unit: ArrayLike = 1.0) -> jax.Array:
    """A non-negative quantity: ``unit * softplus(z + z0)``; ``start`` must be above 0.

    Large values move in proportion to ``z``, small ones by factors.

    Example:
      >>> import jax.numpy as jnp, numpy as np
      >>> non_negative(jnp.zeros(2), start=np.array([0.25, 1.0])).round(6)
      Array([0.25, 1.  ], dtype=float32)
    """
    ratio = np.asarray(start, np.float64) / np.asarray(unit, np.float64)
    if not (ratio > 0).all():
        raise ValueError(f"start must be above 0, got a minimum of {ratio.min():g}")
    offset = ratio + np.log(-np.expm1(-ratio))  # the inverse of softplus
    return jnp.asarray(unit, z.dtype) * jax.nn.softplus(z + jnp.asarray(offset, z.dtype))


def shares(z: jax.Array, *, start: np.ndarray, least: float) -> jax.Array:
    """Positive shares that add up to 1, each at least ``least``.

    ``least + (1 - n least) softmax(z + z0)``.

    Example:
      >>> import jax.numpy as jnp, numpy as np
      >>> shares(jnp.zeros(2), start=np.array([0.25, 0.75]), least=0.01).round(6)
      Array([0.25, 0.75], dtype=float32)
    """
    start = np.asarray(start, np.float64)
    room = 1 - start.size * least
    if not (start > least).all():
        raise ValueError(f"every share must start above {least:g}, got {start.min():g}")
    offset = np.log((start - least) / room)
    return least + room * jax.nn.softmax(z + jnp.asarray(offset, z.dtype))


def ends_reached(
    params: Mapping[str, jax.Array], moves: Mapping[str, Callable[[jax.Array], jax.Array]]
) -> list[str]:
    """Which parameters have brought their quantity to the end of its range, a sentence each.

    There the quantity moves less than a hundredth as far for the same step as at its start.

    Args:
      params: the parameters by name.
      moves: of some of them the quantity as a function of the parameter, each element by itself.

    Example:
      >>> import jax.numpy as jnp
      >>> def width(z): return positive(z, start=1.0, factor=8.0)
      >>> ends_reached({"widths": jnp.array([0.0, 9.0])}, {"widths": width})
      ['widths[1] 7.99: at the end of the range, where it hardly learns any more']
    """
    found = []
    for name, move in moves.items():
        z = jnp.asarray(params[name])
        value, slope = jax.jvp(move, (z,), (jnp.ones_like(z),))
        first = jax.jvp(move, (jnp.zeros_like(z),), (jnp.ones_like(z),))[1]
        places = np.argwhere(np.asarray(jnp.abs(slope) < _FLAT * jnp.abs(first))).tolist()
        if not places:
            continue
        shown = [f"{place if place else ''} {float(value[tuple(place)]):.3g}" for place in places]
        more = f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
        found.append(
            f"{name}{', '.join(shown[:_NAMED])}{more}: at the end of the range, where it hardly "
            f"learns any more"
        )
    return found
