"""What belongs to each item of a batch alone: its random draws, its true length, its quantities.

A draw depends on the key and on the number of the item (its place among the flattened leading
axes), never on how many other items there are or on what they hold.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_choice

__all__ = ["below", "check_key", "item_bits", "item_lengths", "over_items", "portions", "unit"]


def check_key(key: Any) -> None:
    """Refuse what is not one random key of JAX, typed or as words.

    To be called before data are checked: where both were exchanged, the message says so.
    """
    is_key = isinstance(key, jax.Array) and (
        jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or key.dtype == jnp.uint32
    )
    if not is_key:
        # Data given in its place would fill the screen.
        got = f"an array with dtype {key.dtype}" if hasattr(key, "dtype") else f"key={key!r}"
        raise ValueError(f"key must be a JAX random key (jax.random.key(seed)), got {got}")
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.ndim:
        raise ValueError(f"key must be one key, got key with shape {key.shape}; use jax.vmap")


def item_bits(key: jax.Array, leading: tuple[int, ...], count: int, *, shared: bool) -> jax.Array:
    """``count`` words of random bits for each item, uint32 ``(*leading, count)``.

    With ``shared``, the words of item 0 for all.
    """
    check_choice("shared", shared, (False, True))
    return _item_bits(key, leading, count, shared)


# Compiled as one, and not step by step where it is called outside of any jit.
@partial(jax.jit, static_argnums=(1, 2, 3))
def _item_bits(key: jax.Array, leading: tuple[int, ...], count: int, shared: bool) -> jax.Array:
    # Bits of some generators depend on the whole batch under vmap; those of threefry never do.
    words = jax.random.bits(key, (2,), jnp.uint32)
    own = jax.random.wrap_key_data(words, impl="threefry2x32")

    def of_item(number: jax.Array) -> jax.Array:
        return jax.random.bits(jax.random.fold_in(own, number), (count,), jnp.uint32)

    if shared:
        return jnp.broadcast_to(of_item(jnp.uint32(0)), (*leading, count))
    numbers = jnp.arange(math.prod(leading), dtype=jnp.uint32)
    return jax.vmap(of_item)(numbers).reshape(*leading, count)


@jax.jit
def below(bits: jax.Array, n: jax.Array) -> jax.Array:
    """Whole numbers from 0 to ``n - 1``, ``floor(bits * n / 2**32)``: int32, each as likely.

    The same bits give the same place in a long range and in a short one.

    Example:
      >>> below(jnp.uint32([0, 2**31, 2**32 - 1]), jnp.int32([7, 7, 7]))
      Array([0, 3, 6], dtype=int32)
    """
    # The upper half of a product of 64 bits, from four products of 16 by 16 bits.
    n = n.astype(jnp.uint32)
    half, low = jnp.uint32(16), jnp.uint32(0xFFFF)
    b1, b0, n1, n0 = bits >> half, bits & low, n >> half, n & low
    one, other = b1 * n0, b0 * n1
    carry = ((b0 * n0) >> half) + (one & low) + (other & low)
    return (b1 * n1 + (one >> half) + (other >> half) + (carry >> half)).astype(jnp.int32)


def unit(bits: jax.Array, dtype: Any) -> jax.Array:
    """Numbers in [0, 1) of random bits; the same in every dtype."""
    return (bits >> jnp.uint32(8)).astype(dtype) * jnp.asarray(2.0**-24, dtype)


def over_items(name: str, value: Any, leading: tuple[int, ...]) -> jax.Array:
    """An array with a value for every item, or for all that share their first indices."""
    value = jnp.asarray(value)
    if value.shape != leading[: value.ndim]:
        raise ValueError(
            f"{name} must have the shape of the leading axes of x or of the first of them, got "
            f"{name} with shape {value.shape} for leading axes {leading}"
        )
    return jnp.broadcast_to(
        value.reshape(value.shape + (1,) * (len(leading) - value.ndim)), leading
    )


def item_lengths(
    lengths: Any, leading: tuple[int, ...], size: int, *, name: str = "lengths"
) -> jax.Array:
    """True lengths as int32 ``leading``: those given, held within 0 and ``size``, or ``size``.

    What is known now and is out of range is refused; what is traced is held at the ends.
    """
    if lengths is None:
        return jnp.full(leading, size, jnp.int32)
    known = None if isinstance(lengths, jax.core.Tracer) else np.asarray(lengths)
    dtype = lengths.dtype if known is None else known.dtype
    empty = known is not None and known.size == 0  # an empty list has no dtype of its own
    if not empty and not jnp.issubdtype(dtype, jnp.integer):
        raise TypeError(f"{name} must be integers, got {name} with dtype {dtype}")
    if known is not None and known.size and (known.min() < 0 or known.max() > size):
        wrong = known[(known < 0) | (known > size)]
        raise ValueError(
            f"{name} must be >= 0 and <= {size} (the size of the time axis), got "
            f"{name}={wrong.flat[0]}"
        )
    spread = over_items(name, lengths if known is None else known, leading)
    # Clipped first: a wider integer could turn into another on the way to int32.
    return jnp.clip(spread, 0, size).astype(jnp.int32)


def portions(share: float, size: int) -> np.ndarray:
    """Whole parts of ``share * n`` for ``n`` from 0 to ``size``, int32, to be read at lengths.

    A table, for products in float32 would miss 0.29 * 100 = 29 by one.

    Example:
      >>> portions(0.29, 100)[[0, 50, 100]]
      array([ 0, 14, 29], dtype=int32)
    """
    return np.floor(share * np.arange(size + 1) + 1e-9).astype(np.int32)
