"""The dtype rule: half precision is computed in float32, everything else in its own dtype."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["as_computed", "as_returned", "compute_dtype"]


def compute_dtype(dtype: Any) -> Any:
    """The dtype in which an input of ``dtype`` is computed."""
    if not jnp.issubdtype(dtype, jnp.inexact):
        raise TypeError(f"signals and parameters must be floating point, got dtype {dtype}")
    return jnp.dtype(jnp.float32) if jnp.finfo(dtype).bits < 32 else jnp.dtype(dtype)


def as_computed(x: jax.Array) -> jax.Array:
    """``x`` in its computation dtype (see `compute_dtype`)."""
    return x.astype(compute_dtype(x.dtype))


def as_returned(y: jax.Array, dtype: Any) -> jax.Array:
    """``y`` in the dtype of the input; in half precision held inside its finite range.

    float16 ends at 65504, which the power of a loud tone exceeds.
    """
    if compute_dtype(dtype) == dtype:
        return y.astype(dtype)
    most = float(jnp.finfo(dtype).max)
    return jnp.clip(y, -most, most).astype(dtype)
