"""Sizes of axes: Python ints, symbols of a program that is exported, or traced numbers.

`jax.export` knows of a symbol what it is told of it (``samples >= 400``): it may not know whether
that is more than another size. Each function here says what it does then.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import export

__all__ = ["at_least", "at_most", "either", "is_symbol", "surely_less"]


def is_symbol(n: Any) -> bool:
    """Whether a size stands for any number, in a program that is exported."""
    return export.is_symbolic_dim(n)


def at_least(n: Any, least: int) -> Any:
    """``max(n, least)`` for an int, a symbol or an integer array, which may be traced."""
    if isinstance(n, int):
        return max(n, least)
    return jax.core.max_dim(n, least) if is_symbol(n) else jnp.maximum(n, least)


def at_most(n: Any, most: int) -> Any:
    """``min(n, most)`` for an int or a symbol."""
    return min(n, most) if isinstance(n, int) else jax.core.min_dim(n, most)


def either(remainder: Any, then: Any, otherwise: Any) -> Any:
    """``then`` where ``remainder``, a number of at least 0, is 0, and else ``otherwise``."""
    if isinstance(remainder, int):
        return otherwise if remainder else then
    if is_symbol(remainder):
        return then + (otherwise - then) * at_most(remainder, 1)
    return jnp.where(remainder == 0, then, otherwise)


def surely_less(n: Any, other: Any) -> bool:
    """Whether ``n < other``; ``False`` also where that may be so and may not."""
    more = other - n
    return more >= 1 if isinstance(more, int) else jax.core.max_dim(more, 1) == more
