"""Powers of non-negative numbers with finite derivatives, shared by spectra and compression."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["largest_base", "magnitude_to_power", "not_negative", "root_of", "smallest_base"]


def not_negative(x: jax.Array) -> jax.Array:
    """``max(x, 0)``, whose slope at 0 is that of positive numbers, 1 (a maximum has 1/2 there)."""
    return jnp.where(x < 0, 0, x)


def smallest_base(dtype: Any) -> float:
    """Below this, ``x ** -2`` nears the largest finite value (8e-18 in float32)."""
    return float(jnp.finfo(dtype).tiny) ** 0.45


def largest_base(dtype: Any, exponent: float) -> float:
    """The largest ``x`` whose ``x ** exponent`` is surely finite."""
    info = jnp.finfo(dtype)
    return min(float(info.max) ** (1 / exponent) * (1 - 1e-5), float(info.max))


def magnitude_to_power(x: jax.Array, exponent: float) -> jax.Array:
    """``x ** exponent`` for ``x >= 0`` and a static ``exponent > 0``, any order differentiable.

    The slope of ``x ** exponent`` at 0 is infinite below an exponent of 1, its curvature below
    2. Under `smallest_base` the power law is therefore continued as the straight line to 0, and
    above `largest_base` it stays what it is there.
    """
    if exponent == 1:
        return x
    if exponent > 1:
        x = jnp.minimum(x, largest_base(x.dtype, exponent))
    if exponent >= 2:
        return x ** (int(exponent) if exponent.is_integer() else exponent)
    return root_of(x, exponent)


def root_of(x: jax.Array, exponent: float | jax.Array) -> jax.Array:
    """`magnitude_to_power` for exponents below 2, which may be an array and learned."""
    low = smallest_base(x.dtype)
    inside = x > low
    return jnp.where(inside, jnp.where(inside, x, low) ** exponent, x * low ** (exponent - 1))
