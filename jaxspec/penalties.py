"""Penalties of a front-end's parameters, to be added to a loss.

Those of banks are 0 at the start and say how far training went wrong from there; those of filters
in time are 0 where a filter, or all of them together, are as good as any.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxspec._checks import check_number
from jaxspec.diagnostics import frame_bounds, negative_share
from jaxspec.scales import hz_to_scale
from jaxspec.stage import Params

__all__ = [
    "analyticity_penalty",
    "condition_penalty",
    "coverage_penalty",
    "distance_from_start",
    "overlap_penalty",
    "spacing_penalty",
]

_WORST = 1e-6


def distance_from_start(params: Params) -> jax.Array:
    """The sum of the squares of all parameters, which pulls every quantity to its start.

    Args:
      params: of a stage. (Those of its network are no matter of this penalty.)

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxspec import training
      >>> training.distance_from_start({"pcen": {"gain": jnp.array([3.0, 4.0])}})
      Array(25., dtype=float32)
    """
    return jnp.asarray(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params)))


def coverage_penalty(bank: Any, params: Params, *, least: float = 0.5) -> jax.Array:
    """Large where a bank leaves frequencies that it covered at its start.

    The mean, over the frequencies covered at the start, of the square of what their total weight
    lacks to ``least`` of that of the start, as a share of it.

    Args:
      bank: a `jaxspec.stages.Filterbank`, or what has its ``weights`` and ``init``.
      params: of the bank.
      least: above 0 and at most 1.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> from jaxspec import training
      >>> bank = jaxspec.stages.Filterbank(
      ...     sample_rate=16000, n_fft=512, n_bands=20, shape="gaussian", layout="gaps")
      >>> params = bank.init(jax.random.key(0))
      >>> float(training.coverage_penalty(bank, params))
      0.0
      >>> narrow = params | {"widths": jnp.full(20, -5.0)}
      >>> round(float(training.coverage_penalty(bank, narrow)), 2)
      0.7
    """
    least = check_number("least", least, above=0, at_most=1)
    before, after = (jnp.abs(w).sum(axis=-1) for w in before_and_after(bank, params))
    covered = before > 0.01 * jnp.max(before)
    share = jnp.where(covered, after / jnp.where(covered, before, 1), 1)
    lack = jnp.maximum(1 - share / least, 0)
    return jnp.sum(lack**2) / jnp.maximum(covered.sum(), 1)


def overlap_penalty(bank: Any, params: Params) -> jax.Array:
    """Large where bands have come to see the same frequencies.

    The sum, over all pairs of bands, of the square by which the cosine of the angle between their
    weights has grown, for each band.

    Args:
      bank, params: as in `coverage_penalty`.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> from jaxspec import training
      >>> bank = jaxspec.stages.Filterbank(
      ...     sample_rate=16000, n_fft=512, n_bands=20, shape="gaussian", layout="gaps")
      >>> params = bank.init(jax.random.key(0))
      >>> wide = params | {"widths": jnp.full(20, 1.0)}
      >>> bool(training.overlap_penalty(bank, wide) > training.overlap_penalty(bank, params))
      True
    """
    before, after = (_cosines(w) for w in before_and_after(bank, params))
    return jnp.sum(jnp.maximum(after - before, 0) ** 2) / before.shape[0]


def spacing_penalty(bank: Any, params: Params) -> jax.Array:
    """Large where bands crowd in one place and leave another.

    The relative entropy, in nats, of the gaps between neighbours at the start to those now, as
    shares of the range on the bank's scale.

    Args:
      bank, params: as in `coverage_penalty`, of a drawn layout (scale, warp, gaps).

    Example:
      >>> import jax, jaxspec
      >>> from jaxspec import training
      >>> bank = jaxspec.stages.Filterbank(sample_rate=16000, n_fft=512, n_bands=20, layout="gaps")
      >>> params = bank.init(jax.random.key(0))
      >>> params["gaps"] = params["gaps"].at[3].set(2.0)
      >>> round(float(training.spacing_penalty(bank, params)), 2)
      0.16
    """
    _check_has("edges", bank=bank, what="a stage with bands, such as frontend['filterbank']")

    def gaps(params: Params) -> jax.Array:
        edges = jnp.diff(hz_to_scale(bank.edges(params), scale=bank.scale))
        return edges / edges.sum()

    before = gaps(started(bank, params))
    return jnp.maximum(jnp.sum(before * jnp.log(before / gaps(params))), 0)


def analyticity_penalty(filters: Any, params: Params) -> jax.Array:
    """How far filters in time pass negative frequencies: the mean share of their energy there.

    0 for analytic filters, whose magnitude is an envelope; 1/2 for real ones, whose magnitude goes
    up and down within every period. Free filters lose this first.

    Args:
      filters: a stage with ``kernels``, such as `jaxspec.stages.FreeFilters` or ``Gabor``.
      params: of the stage.

    Example:
      >>> import jax, jaxspec
      >>> from jaxspec import training
      >>> gabor = jaxspec.stages.Gabor(sample_rate=16000, n_bands=40, f_min=300, taps=401)
      >>> bool(training.analyticity_penalty(gabor, {}) < 0.01)
      True
      >>> noise = jaxspec.stages.FreeFilters(n_bands=8, taps=64)
      >>> params = noise.init(jax.random.key(0))
      >>> round(float(training.analyticity_penalty(noise, params)), 2)
      0.48
    """
    return jnp.mean(negative_share(**_kernels(filters, params)))


def condition_penalty(filters: Any, params: Params) -> jax.Array:
    """How unequally filters in time pass the signals there are: ``log(B / A)`` of their bounds.

    ``A`` and ``B`` are the `jaxspec.diagnostics.frame_bounds` at the stage's hop. 0 for a tight
    frame, which keeps all energy alike. Filters with more than ``2 n_bands`` samples from frame to
    frame let some signals through to nothing (``A`` is 0), as do bands that leave frequencies out;
    ``A`` counts as at least 1e-6 of ``B``, so that the penalty has a largest value, 13.8.

    Args:
      filters, params: as in `analyticity_penalty`.

    Example:
      >>> import jax, jaxspec
      >>> from jaxspec import training
      >>> filters = jaxspec.stages.FreeFilters(n_bands=64, taps=16, hop_length=8, partner="none")
      >>> params = filters.init(jax.random.key(0))
      >>> penalty, slope = jax.value_and_grad(
      ...     lambda params: training.condition_penalty(filters, params))(params)
      >>> bool(1 < penalty < 4)
      True

    Reference:
      D. Haider, V. Lostanlen, M. Ehler and P. Balazs, "Instabilities in convnets for raw audio",
      IEEE Signal Processing Letters, 2024.
    """
    lower, upper = frame_bounds(**_kernels(filters, params), hop_length=filters.hop_length)
    share = lower / jnp.where(upper > 0, upper, 1)
    return jnp.log1p(_WORST) - jnp.log(share + _WORST)


def before_and_after(bank: Any, params: Params) -> tuple[jax.Array, jax.Array]:
    _check_has("weights", bank=bank, what="a filterbank, such as frontend['filterbank']")
    dtype = _dtype(params)
    start = started(bank, params)
    return bank.weights(start, dtype=dtype), bank.weights(params, dtype=dtype)


def started(bank: Any, params: Params) -> Params:
    return bank.init(jax.random.key(0), dtype=_dtype(params))


def _dtype(params: Params) -> Any:
    leaves = jax.tree.leaves(params)
    return jnp.result_type(*leaves) if leaves else jnp.float32


def _cosines(weights: jax.Array) -> jax.Array:
    size = jnp.sqrt((weights**2).sum(axis=0) + jnp.finfo(weights.dtype).tiny)
    unit = weights / size
    return jnp.matmul(unit.T, unit, precision=jax.lax.Precision.HIGHEST)


def _kernels(filters: Any, params: Params) -> dict[str, jax.Array]:
    what = "a stage of filters in time, such as frontend['free_filters']"
    _check_has("kernels", filters=filters, what=what)
    return filters.kernels(params, dtype=_dtype(params))


def _check_has(attribute: str, *, what: str, **stage: Any) -> None:
    """Refuse a stage, given under the name of the argument, that has not what is needed."""
    ((name, value),) = stage.items()
    if not hasattr(value, attribute):
        raise TypeError(
            f"{name} must be {what}, with its own parameters, got a {type(value).__name__}"
        )
