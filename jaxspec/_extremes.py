"""The largest and the smallest of an array, with slopes that no compiler can turn into NaN.

JAX finds where the slope of a maximum goes by looking for what equals it, and divides by how many
do. Where a compiler computes the array anew for that, and rounds otherwise, nothing does.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

__all__ = ["largest", "smallest"]


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def largest(x: jax.Array, axis: int) -> jax.Array:
    """The largest along an axis, which is kept; the slope goes to the first of equals.

    Example:
      >>> largest(jnp.array([1.0, 3.0, 2.0]), -1)
      Array([3.], dtype=float32)
      >>> jax.grad(lambda x: largest(x, -1).sum())(jnp.array([3.0, 3.0]))
      Array([1., 0.], dtype=float32)
    """
    return jnp.max(x, axis=axis, keepdims=True)


@largest.defjvp
def _largest_jvp(axis: int, primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    (x,), (slope,) = primals, tangents
    place = jnp.argmax(x, axis=axis, keepdims=True)
    here = jax.lax.broadcasted_iota(place.dtype, x.shape, axis % x.ndim) == place
    return largest(x, axis), jnp.sum(jnp.where(here, slope, 0), axis=axis, keepdims=True)


def smallest(x: jax.Array, axis: int) -> jax.Array:
    """The smallest along an axis, which is kept, as `largest`."""
    return -largest(-x, axis)
