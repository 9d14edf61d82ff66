"""Helpers for training front-ends: labels for optimisers, penalties, projections, numbers to log.

All are functions of the parameters, nested dictionaries as `jaxspec.Stage.init` makes them.
Optax is needed by `project` and `keep_within` alone (extra ``jaxspec-audio[examples]``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from jaxspec._checks import check_number
from jaxspec.diagnostics import coverage_divergence, dead_bands, filter_divergence
from jaxspec.frontend import FrontEnd
from jaxspec.learning import Names, merge, split
from jaxspec.penalties import analyticity_penalty as analyticity_penalty
from jaxspec.penalties import before_and_after, started
from jaxspec.penalties import condition_penalty as condition_penalty
from jaxspec.penalties import coverage_penalty as coverage_penalty
from jaxspec.penalties import distance_from_start as distance_from_start
from jaxspec.penalties import overlap_penalty as overlap_penalty
from jaxspec.penalties import spacing_penalty as spacing_penalty
from jaxspec.stage import Params, Stage, leaves_by_path
from jaxspec.stages import Beside

if TYPE_CHECKING:
    import optax

__all__ = [
    "RATE_FACTORS",
    "analyticity_penalty",
    "condition_penalty",
    "coverage_penalty",
    "distance_from_start",
    "jitter",
    "keep_within",
    "metrics",
    "overlap_penalty",
    "param_labels",
    "project",
    "spacing_penalty",
]

RATE_FACTORS = {"frontend": 10.0, "coefficients": 1.0, "network": 1.0}
"""For every label of `param_labels`, by what to multiply the learning rate of the network."""


# For optimisers.


def param_labels(params: Any, stage: Stage) -> Any:
    """What kind of parameter every leaf is, for ``optax.multi_transform``.

    - ``"frontend"``: a quantity of the stage, which starts at 0 and has no unit;
    - ``"coefficients"``: one of the many entries of a matrix of the stage (the weights of a free
      bank, a learned basis), which is moved like the weights of a network;
    - ``"network"``: everything else.

    Args:
      params: the parameters of the stage, or of a model that has them anywhere inside: nested
        dictionaries, a Linen tree or an ``nnx.State``. Those that are not trained may be absent.
      stage: the front-end.

    Returns:
      a tree as ``params`` with a label for every leaf.

    Raises:
      ValueError: if no parameter of the stage is found, or one of another shape, or those of a
        stage that is no front-end at several places.

    Example:
      >>> import jax, jaxspec, optax
      >>> from jaxspec import training
      >>> frontend = jaxspec.presets.get("learnable_mel")
      >>> params = {"features": frontend.init(jax.random.key(0)), "dense": jax.numpy.ones(3)}
      >>> training.param_labels(params, frontend)
      {'dense': 'network', 'features': {'filterbank': {'gaps': 'frontend', 'widths': 'frontend'}}}
      >>> optimizer = optax.multi_transform(
      ...     {label: optax.adam(f * 1e-3) for label, f in training.RATE_FACTORS.items()},
      ...     lambda params: training.param_labels(params, frontend))
    """
    own = leaves_by_path(stage.param_shapes())
    kinds = _kinds(stage)
    found: dict[tuple[str, ...], list[str]] = {}

    def label(keys: Any, leaf: Any) -> str:
        path = [_name(key) for key in keys]
        if path and path[-1] in ("value", "raw_value"):  # of a variable of NNX
            path.pop()
        for name, wanted in own.items():
            tail = name.split("/")
            if path[-len(tail) :] != tail:
                continue
            if jnp.shape(leaf) == wanted.shape:
                found.setdefault(tuple(path[: -len(tail)]), []).append(name)
                return kinds[name]
            if len(tail) > 1:
                raise ValueError(
                    f"params must hold {name} with shape {wanted.shape}, as the stage has it, got "
                    f"{'/'.join(path)} with shape {jnp.shape(leaf)}"
                )
        return "network"

    labels = jax.tree_util.tree_map_with_path(label, params)
    if not found:
        raise ValueError(
            f"params must hold parameters of the stage, {', '.join(own) or 'which has none'}, got "
            f"{', '.join(leaves_by_path(params)) or 'none'}"
        )
    if "" in _stages(stage) and len(found) > 1:
        places = ", ".join("/".join(place) or "the top" for place in found)
        raise ValueError(
            f"params must hold the stage at one place, found names and shapes of its parameters at "
            f"{places}; give the front-end that it is in instead"
        )
    return labels


def _name(key: Any) -> str:
    for attribute in ("key", "name", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def _kinds(stage: Stage) -> dict[str, str]:
    """The label of every parameter of a stage by its path."""
    kinds = {}
    for prefix, each in _stages(stage).items():
        for name in each.param_shapes():
            path = f"{prefix}/{name}" if prefix else name
            kinds[path] = "coefficients" if name in each.matrix_params else "frontend"
    return kinds


def _stages(stage: Stage) -> dict[str, Stage]:
    """The stages of a front-end and of branches by path; any other by itself, under no name."""
    if isinstance(stage, FrontEnd):
        parts = {name: stage[name] for name in stage.names}
    elif isinstance(stage, Beside):
        parts = {str(place): branch for place, branch in enumerate(stage.branches)}
    else:
        return {"": stage}
    return {
        f"{name}/{path}" if path else name: each
        for name, part in parts.items()
        for path, each in _stages(part).items()
    }


def project(function: Callable[[Any], Any]) -> optax.GradientTransformation:
    """After every step, replace the parameters by a function of them: last in ``optax.chain``.

    Args:
      function: from parameters to allowed ones, such as the nearest.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jaxspec import training
      >>> optimizer = optax.chain(
      ...     optax.sgd(1.0), training.project(lambda p: jax.tree.map(jnp.abs, p)))
      >>> params = {"a": jnp.array(0.25)}
      >>> updates, _ = optimizer.update({"a": jnp.array(1.0)}, optimizer.init(params), params)
      >>> optax.apply_updates(params, updates)
      {'a': Array(0.75, dtype=float32)}
    """
    import optax

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        if params is None:
            raise ValueError(
                "params must be given to update for a projection, as the third argument"
            )
        allowed = function(optax.apply_updates(params, updates))
        return jax.tree.map(lambda new, old: new - old, allowed, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def keep_within(limit: float) -> optax.GradientTransformation:
    """After every step, bring parameters back to between ``-limit`` and ``limit``.

    Quantities never leave their ranges whatever the parameters are, but far from 0 they hardly
    move any more: with a limit of about 5, none is out of reach of the next steps.

    Args:
      limit: above 0; parameters have no unit.

    Example:
      >>> import jax.numpy as jnp, optax
      >>> from jaxspec import training
      >>> optimizer = optax.chain(optax.sgd(1.0), training.keep_within(5.0))
      >>> params = {"gaps": jnp.zeros(2)}
      >>> updates, _ = optimizer.update(
      ...     {"gaps": jnp.array([1.0, 100.0])}, optimizer.init(params), params)
      >>> optax.apply_updates(params, updates)
      {'gaps': Array([-1., -5.], dtype=float32)}
    """
    limit = check_number("limit", limit, above=0)
    return project(lambda params: jax.tree.map(lambda z: jnp.clip(z, -limit, limit), params))


# During training.


def jitter(params: Params, key: jax.Array, *, std: float, names: Names = "all") -> Params:
    """Parameters with noise added, drawn anew for every batch: augmentation by other filters.

    With ``names="filterbank/warp"`` or ``"filterbank/scale"`` it is a random warp of the frequency
    axis (vocal tract length perturbation).

    Args:
      params: of a stage.
      key: of ``jax.random``.
      std: the standard deviation, above 0; parameters have no unit.
      names: which are moved, as in `jaxspec.split`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxspec import training
      >>> params = {"filterbank": {"scale": jnp.zeros(())}, "pcen": {"gain": jnp.zeros(())}}
      >>> moved = training.jitter(params, jax.random.key(0), std=0.1, names="filterbank")
      >>> moved["filterbank"]["scale"] != 0, moved["pcen"]["gain"]
      (Array(True, dtype=bool), Array(0., dtype=float32))

    Reference:
      N. Jaitly and G. E. Hinton, "Vocal tract length perturbation (VTLP) improves speech
      recognition", ICML Workshop on Deep Learning for Audio, Speech and Language Processing, 2013.
    """
    std = check_number("std", std, above=0)
    chosen, rest = split(params, names)
    leaves, tree = jax.tree.flatten(chosen)
    keys = jax.random.split(key, max(len(leaves), 1))
    moved = [
        leaf + std * jax.random.normal(own, leaf.shape, leaf.dtype)
        for own, leaf in zip(keys, leaves, strict=False)
    ]
    return merge(jax.tree.unflatten(tree, moved), rest)


def metrics(stage: Stage, params: Params) -> dict[str, jax.Array]:
    """What has become of every learned stage, in a few numbers to be logged while training.

    - Of bands, of a bank or of filters in time: ``moved_hz`` and ``most_moved_hz``, the mean and
      largest distance of their centres from their start.
    - Of a bank, too: ``coverage_divergence`` and ``filter_divergence`` (the mean over the bands)
      from the start, as in `jaxspec.diagnostics`; ``dead_bands``, how many.
    - Of other stages: the mean of every quantity that their ``values`` give (a window's length in
      samples, PCEN's gain, …).

    Args:
      stage: the front-end, or one stage.
      params: its parameters, all of them.

    Returns:
      scalars under ``"name of the stage/number"``; it can be compiled.

    Example:
      >>> import jax, jaxspec
      >>> from jaxspec import training
      >>> frontend = jaxspec.presets.get("learnable_mel")
      >>> sorted(training.metrics(frontend, frontend.init(jax.random.key(0))))
      ['filterbank/coverage_divergence', 'filterbank/dead_bands', 'filterbank/filter_divergence',
      'filterbank/most_moved_hz', 'filterbank/moved_hz']
    """
    stage.check_params(params)
    found: dict[str, jax.Array] = {}
    for prefix, each in _stages(stage).items():
        own = params
        for name in filter(None, prefix.split("/")):
            own = own.get(name, {})
        if not own:
            continue
        numbers: dict[str, Any] = {}
        if hasattr(each, "centers"):
            numbers = _movement(each, own)
            numbers |= _bank_metrics(each, own) if hasattr(each, "weights") else {}
        elif hasattr(each, "values"):
            numbers = {k: jnp.mean(jnp.asarray(v)) for k, v in each.values(own).items()}
        found |= {f"{prefix}/{k}" if prefix else k: v for k, v in numbers.items()}
    return found


def _movement(bank: Any, params: Params) -> dict[str, jax.Array]:
    moved = jnp.abs(bank.centers(params) - bank.centers(started(bank, params)))
    return {"moved_hz": moved.mean(), "most_moved_hz": moved.max()}


def _bank_metrics(bank: Any, params: Params) -> dict[str, jax.Array]:
    before, after = before_and_after(bank, params)
    return {
        "coverage_divergence": coverage_divergence(before, after),
        "filter_divergence": filter_divergence(before, after).mean(),
        "dead_bands": dead_bands(after).sum(),
    }
