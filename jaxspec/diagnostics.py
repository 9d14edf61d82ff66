"""Numbers that say what became of a bank: how it covers the frequencies, and how it changed.

All take matrices ``(n_bins, n_bands)``, as `jaxspec.stages.Filterbank.weights` gives them, and
can be compiled and differentiated.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

__all__ = ["coverage", "coverage_divergence", "dead_bands", "filter_divergence"]

_DEAD = 1e-3


def coverage(weights: ArrayLike | jax.Array) -> jax.Array:
    """How a bank divides itself among the frequencies: shares ``(n_bins,)`` that add up to 1.

    Every band counts alike, whatever its gain. Negative weights count by their magnitude.

    Args:
      weights: ``(n_bins, n_bands)``.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxspec import diagnostics
      >>> diagnostics.coverage(jnp.array([[1.0, 0.0], [1.0, 0.0], [0.0, 3.0]]))
      Array([0.25, 0.25, 0.5 ], dtype=float32)
    """
    return _shares(weights).mean(axis=-1)


def coverage_divergence(before: ArrayLike | jax.Array, after: ArrayLike | jax.Array) -> jax.Array:
    """How far the coverage has changed: the Jensen-Shannon divergence in bits, from 0 to 1.

    It is blind to bands that change places.

    Args:
      before, after: ``(n_bins, n_bands)``.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxspec import diagnostics
      >>> diagnostics.coverage_divergence(jnp.eye(2)[:, :1], jnp.eye(2)[:, 1:])
      Array(1., dtype=float32)
    """
    return _divergence(coverage(before), coverage(after))


def filter_divergence(before: ArrayLike | jax.Array, after: ArrayLike | jax.Array) -> jax.Array:
    """How far every band has changed: Jensen-Shannon divergences in bits, ``(n_bands,)``.

    A band counts as a distribution over frequencies; 0 is the same shape at the same place, 1 no
    bin in common.

    Args:
      before, after: ``(n_bins, n_bands)``.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxspec import diagnostics
      >>> diagnostics.filter_divergence(jnp.eye(2), 3 * jnp.eye(2))
      Array([0., 0.], dtype=float32)

    Reference:
      M. Anderson, T. Kinnunen and N. Harte, "Learnable frontends that do not learn: quantifying
      sensitivity to filterbank initialisation", ICASSP 2023.
    """
    return _divergence(_shares(before), _shares(after))


def dead_bands(weights: ArrayLike | jax.Array) -> jax.Array:
    """Which bands take in next to nothing, booleans ``(n_bands,)``.

    Those whose weights add up to less than a thousandth of the median band's: they lie between
    two bins, or were learned away.

    Args:
      weights: ``(n_bins, n_bands)``.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxspec import diagnostics
      >>> diagnostics.dead_bands(jnp.array([[1.0, 1e-9, 1.0], [1.0, 1e-9, 0.0]]))
      Array([False,  True, False], dtype=bool)
    """
    total = jnp.abs(jnp.asarray(weights)).sum(axis=0)
    return total <= _DEAD * jnp.median(total)


def _shares(weights: ArrayLike | jax.Array) -> jax.Array:
    """Every band as a distribution over the bins; one without any weight stays 0."""
    size = jnp.abs(jnp.asarray(weights))
    return size / jnp.maximum(size.sum(axis=0), jnp.finfo(size.dtype).tiny)


def _divergence(p: jax.Array, q: jax.Array) -> jax.Array:
    middle = (p + q) / 2

    def relative(p: jax.Array) -> jax.Array:
        # The logarithm never sees a 0, nor does its derivative; half of a tiny number is 0.
        there = (p > 0) & (middle > 0)
        ratio = jnp.where(there, p, 1) / jnp.where(there, middle, 1)
        return jnp.where(there, p * jnp.log2(ratio), 0).sum(axis=0)

    # Rounding can leave it just below 0.
    return jnp.maximum((relative(p) + relative(q)) / 2, 0)
