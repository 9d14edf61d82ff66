"""Compression of the dynamic range, sample by sample: logarithms, decibels, roots.

All functions take non-negative features of any real dtype and have finite derivatives at 0. What
is below 0 (rounding, free filters) is treated as 0. PCEN, which looks at the past, is in
`jaxspec.gain_control`.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from jaxspec._checks import (
    check_choice,
    check_number,
    check_parameter,
    check_real,
    check_time_axis,
    is_array,
)
from jaxspec._dtypes import as_computed, as_returned
from jaxspec._extremes import largest
from jaxspec.powers import magnitude_to_power, not_negative, root_of

__all__ = [
    "FLOORS",
    "REFERENCES",
    "amplitude_to_db",
    "db_to_amplitude",
    "db_to_power",
    "item_max",
    "ln",
    "log1p",
    "log10",
    "power_to_db",
    "root",
]

FLOORS = ("clamp", "add")
REFERENCES = ("max",)


def ln(x: jax.Array, *, amin: float = 1e-10, floor: str = "clamp") -> jax.Array:
    """Natural logarithm with a floor.

    ``ln(max(x, amin))`` with ``floor="clamp"``; ``ln(max(x, 0) + amin)`` with ``floor="add"``,
    whose gradient does not vanish below the floor but is as large as ``1 / amin`` there.

    Args:
      x: real array of any shape.
      amin: the floor, above 0 and representable in the computation dtype.
      floor: ``"clamp"`` or ``"add"``.

    Returns:
      array of the shape and dtype of ``x`` (half precision is computed in float32, so that a
      floor of 1e-10 holds there too).

    Raises:
      ValueError: if ``amin`` is not above 0, or for an unknown ``floor``.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.ln(jnp.array([0.0, 1.0]), amin=1e-3).round(4)
      Array([-6.9078,  0.    ], dtype=float32)
    """
    return as_returned(_log(x, amin, floor), jnp.asarray(x).dtype)


def log10(x: jax.Array, *, amin: float = 1e-10, floor: str = "clamp") -> jax.Array:
    """Decadic logarithm with a floor: `ln` divided by ln 10.

    Args:
      x, amin, floor: as in `ln`.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.log10(jnp.array([0.0, 100.0])).round(3)
      Array([-10.,   2.], dtype=float32)
    """
    return as_returned(_log(x, amin, floor) / math.log(10), jnp.asarray(x).dtype)


def _log(x: jax.Array, amin: float, floor: str) -> jax.Array:
    check_choice("floor", floor, FLOORS)
    x = as_computed(check_real("x", x, ndim=0))
    amin = check_number("amin", amin, at_least=float(jnp.finfo(x.dtype).tiny))
    return jnp.log(jnp.maximum(x, amin) if floor == "clamp" else not_negative(x) + amin)


def power_to_db(
    x: jax.Array, *, ref: float | str = 1.0, amin: float = 1e-10, top_db: float | None = None
) -> jax.Array:
    """Decibels of a power: ``10 log10(max(x, amin) / max(ref, amin))``.

    Args:
      x: power features ``(..., frames, channels)``.
      ref: the power of 0 dB, or ``"max"``: the largest value of each item.
      amin: the floor, above 0.
      top_db: if given, values more than ``top_db`` below the largest value of their item are
        raised to that. An item is the last two axes, whatever the number of axes before them:
        batch and channels never touch each other.

    Returns:
      array of the shape and dtype of ``x``, in dB.

    Raises:
      ValueError: if ``ref``, ``amin`` or ``top_db`` is not above 0.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.power_to_db(jnp.array([[1.0, 0.1, 0.0]]), top_db=80)
      Array([[  0., -10., -80.]], dtype=float32)

    Reference:
      ``librosa.power_to_db`` for one clip.
    """
    return _decibel(x, ref, amin, top_db, per_decade=10.0)


def amplitude_to_db(
    x: jax.Array, *, ref: float | str = 1.0, amin: float = 1e-5, top_db: float | None = None
) -> jax.Array:
    """Decibels of a magnitude: ``20 log10(max(x, amin) / max(ref, amin))``.

    Args:
      x: magnitude features ``(..., frames, channels)``.
      ref, amin, top_db: as in `power_to_db`, but of magnitudes.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.amplitude_to_db(jnp.array([[1.0, 0.1, 0.0]])).round(2)
      Array([[   0.,  -20., -100.]], dtype=float32)
    """
    return _decibel(x, ref, amin, top_db, per_decade=20.0)


def _decibel(
    x: jax.Array,
    ref: float | str,
    amin: float,
    top_db: float | None,
    *,
    per_decade: float,
) -> jax.Array:
    per_item = ref == "max" or top_db is not None
    narrow = check_real("x", x, ndim=2 if per_item else 0)
    x = as_computed(narrow)
    amin = check_number("amin", amin, at_least=float(jnp.finfo(x.dtype).tiny))
    factor = per_decade / math.log(10)
    decibels = factor * jnp.log(jnp.maximum(x, amin))
    if isinstance(ref, str):
        check_choice("ref", ref, REFERENCES)
        check_time_axis("x", x, axis=-2)
        decibels = decibels - item_max(decibels)
    else:
        ref = check_number("ref", ref, above=0)
        decibels = decibels - factor * math.log(max(ref, amin))
    if top_db is not None:
        top_db = check_number("top_db", top_db, above=0)
        check_time_axis("x", x, axis=-2)
        decibels = jnp.maximum(decibels, item_max(decibels) - top_db)
    return as_returned(decibels, narrow.dtype)


def item_max(x: jax.Array) -> jax.Array:
    """The largest value of each item (the last two axes), NaN left out: damage stays local."""
    return largest(largest(jnp.where(jnp.isnan(x), -jnp.inf, x), -1), -2)


def db_to_power(x: jax.Array, *, ref: float = 1.0) -> jax.Array:
    """Power of decibels: ``ref * 10 ** (x / 10)``, the inverse of `power_to_db` above the floor.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.db_to_power(jnp.array([0.0, -10.0])).round(6)
      Array([1. , 0.1], dtype=float32)
    """
    return _from_decibel(x, ref, per_decade=10.0)


def db_to_amplitude(x: jax.Array, *, ref: float = 1.0) -> jax.Array:
    """Magnitude of decibels: ``ref * 10 ** (x / 20)``, the inverse of `amplitude_to_db`.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.db_to_amplitude(jnp.array([0.0, -20.0])).round(6)
      Array([1. , 0.1], dtype=float32)
    """
    return _from_decibel(x, ref, per_decade=20.0)


def _from_decibel(x: jax.Array, ref: float, *, per_decade: float) -> jax.Array:
    x = check_real("x", x, ndim=0)
    ref = check_number("ref", ref, above=0)
    wide = as_computed(x)
    # Held at the largest finite value; the margin covers the rounding of the exponential.
    most = math.log(float(jnp.finfo(wide.dtype).max)) - max(math.log(ref), 0) - 1e-3
    y = ref * jnp.exp(jnp.minimum(wide * (math.log(10) / per_decade), most))
    return as_returned(y, x.dtype)


def root(x: jax.Array, *, exponent: float | jax.Array = 1 / 3) -> jax.Array:
    """Root compression: ``max(x, 0) ** exponent``, with finite derivatives at 0.

    Args:
      x: real array of any shape.
      exponent: above 0 and at most 1; 1/3 is the cubic root of perceived loudness. A number, or
        an array that broadcasts against ``x``, whose values are not checked. Values of ``x`` under
        1e-17 (float32) follow a straight line to 0, as in `jaxspec.power`.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.root(jnp.array([0.0, 8.0])).round(4)
      Array([0., 2.], dtype=float32)

    Reference:
      H. Hermansky, "Perceptual linear predictive analysis of speech", JASA 87(4), 1990.
    """
    x = check_real("x", x, ndim=0)
    exponent = check_parameter("exponent", exponent, above=0, at_most=1)
    wide = not_negative(as_computed(x))
    if is_array(exponent):
        return as_returned(root_of(wide, jnp.asarray(exponent, wide.dtype)), x.dtype)
    return as_returned(magnitude_to_power(wide, exponent), x.dtype)  # type: ignore[arg-type]


def log1p(x: jax.Array, *, scale: float = 1.0) -> jax.Array:
    """Logarithmic compression through 0: ``ln(1 + scale * max(x, 0))``.

    Args:
      x: real array of any shape.
      scale: above 0; linear well below ``1 / scale``, logarithmic above.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.log1p(jnp.array([0.0, 1.0]), scale=10).round(4)
      Array([0.    , 2.3979], dtype=float32)
    """
    x = check_real("x", x, ndim=0)
    scale = check_number("scale", scale, above=0)
    return as_returned(jnp.log1p(scale * not_negative(as_computed(x))), x.dtype)
