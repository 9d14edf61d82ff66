"""Numbers that say what became of a bank: how it covers the frequencies, and how it changed.

Those of banks take matrices ``(n_bins, n_bands)``, as `jaxspec.stages.Filterbank.weights` gives
them, those of filters in time the ``kernels`` of a stage, ``(taps, n_bands)``. All can be compiled
and differentiated.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from jaxspec._checks import check_positive_int
from jaxspec._extremes import largest, smallest

__all__ = [
    "coverage",
    "coverage_divergence",
    "dead_bands",
    "filter_divergence",
    "frame_bounds",
    "negative_share",
]

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


def negative_share(real: ArrayLike, *, imag: ArrayLike | None = None) -> jax.Array:
    """The share of every filter's energy that lies at negative frequencies, ``(n_bands,)``.

    0 for analytic filters, 1/2 for real ones, 1 for filters that turn backwards. What lies at 0 and
    at half the sample rate is neither positive nor negative, and left out.

    Args:
      real, imag: of filters that frames are multiplied with, ``(taps, n_bands)``; without ``imag``
        they are real.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxspec import diagnostics
      >>> wave = 2 * jnp.pi / 8 * jnp.arange(16.0)[:, None]
      >>> diagnostics.negative_share(jnp.cos(wave), imag=-jnp.sin(wave)).round(3)
      Array([0.], dtype=float32)
      >>> diagnostics.negative_share(jnp.cos(wave)).round(3)
      Array([0.5], dtype=float32)
    """
    parts = _parts(real, imag)
    first = parts[0]
    half = (first.shape[0] - 1) // 2
    # A frame times exp(-i w t) answers to exp(i w t): what the transform finds at positive
    # frequencies is the answer to negative ones.
    response = jnp.fft.fft(first if imag is None else jax.lax.complex(*parts), axis=0)
    powers = response.real**2 + response.imag**2
    negative = powers[1 : half + 1].sum(axis=0)
    positive = powers[powers.shape[0] - half :].sum(axis=0)
    total = negative + positive
    return negative / jnp.where(total > 0, total, 1)


def frame_bounds(
    real: ArrayLike, *, imag: ArrayLike | None = None, hop_length: int = 1
) -> tuple[jax.Array, jax.Array]:
    """By how much the energy of a signal can shrink or grow in filters: the frame bounds ``A, B``.

    ``A |x|^2 <= sum |y|^2 <= B |x|^2`` for the outputs ``y`` of all filters of real signals ``x``
    (with a period of a few filters); ``A`` is 0 where some signal gets lost. First derivatives are
    exact, second ones are not.

    Args:
      real, imag: as in `negative_share`.
      hop_length: samples from frame to frame.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxspec import diagnostics
      >>> haar = jnp.array([[1.0, 1.0], [1.0, -1.0]]) / jnp.sqrt(2.0)
      >>> [round(float(bound), 4) for bound in diagnostics.frame_bounds(haar, hop_length=2)]
      [1.0, 1.0]
      >>> [round(float(bound), 4) for bound in diagnostics.frame_bounds(haar[:, :1])]
      [0.0, 2.0]
    """
    hop_length = check_positive_int("hop_length", hop_length)
    filters = jnp.concatenate(_parts(real, imag), axis=1)
    # Per frequency, what a hop folds on one another: Gram matrices of their responses.
    n = 2 * hop_length * -(-filters.shape[0] // hop_length)
    responses = jnp.fft.fft(filters, n, axis=0).reshape(hop_length, n // hop_length, -1)
    grams = jnp.einsum(
        "iwk,jwk->wij", responses, responses.conj(), precision=jax.lax.Precision.HIGHEST
    )
    # Eigenvectors as constants give the derivatives of eigenvalues, of equal ones, too.
    _, vectors = jnp.linalg.eigh(jax.lax.stop_gradient(grams))
    bounds = jnp.einsum(
        "wie,wij,wje->we", vectors.conj(), grams, vectors, precision=jax.lax.Precision.HIGHEST
    ).real
    bounds /= hop_length
    lower, upper = smallest(bounds.ravel(), 0)[0], largest(bounds.ravel(), 0)[0]
    return jnp.maximum(lower, 0), upper


def _parts(real: ArrayLike, imag: ArrayLike | None) -> list[jax.Array]:
    """The kernels of filters, checked."""
    parts = {"real": jnp.asarray(real)}
    if imag is not None:
        parts["imag"] = jnp.asarray(imag)
    for name, part in parts.items():
        if part.ndim != 2 or part.shape != parts["real"].shape or not part.shape[0]:
            raise ValueError(
                f"{name} must have shape (taps, n_bands), the same for both parts, got "
                f"{name} with shape {part.shape}"
            )
    return list(parts.values())


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
