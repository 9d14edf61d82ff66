"""The stage protocol: frozen descriptions of one step of a front-end, with pure functions.

A stage is a frozen dataclass of static choices. It is hashable, comparable by value and printable,
so it can be a static argument of ``jax.jit``, and it knows no state: ``init(key)`` makes its
parameters (a dictionary, empty for a fixed stage) and ``apply(params, x)`` computes.

What a stage declares decides how it may be evaluated:

- ``takes`` and ``gives``: ``"waveform"`` (..., samples), ``"frames"`` (..., frames, samples),
  ``"spectrum"`` (..., frames, bins; complex) or ``"features"`` (..., frames, channels).
  *Positions* below are samples of a waveform, or else frames.
- ``reach``: which input positions an output position depends on (see `Reach`).

and `Stage.evaluate` is made of four pieces, which tiles, streams and shards put together anew:

    prepare(params)             what is computed from the parameters alone: the others' ``params``
    initial_carry(params, x)    the carry before the first position       (reach.past)
    extend(x, length)           the clip with its edges continued         (reach.before / after)
    advance(params, carry, x)   the carry after, and the outputs of all positions of an extended
                                clip or piece of one

or, of a stage that needs the whole clip, of ``prepare``, ``extend`` and ``transform_clip``.
"""

from __future__ import annotations

import abc
import dataclasses
import re
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_fields, check_real, check_spectrum, check_time_axis
from jaxspec._dtypes import as_computed, as_returned
from jaxspec._trees import leaves_by_path, listed, not_finite
from jaxspec.reach import Reach
from jaxspec.table import Table

__all__ = [
    "Carry",
    "Length",
    "Params",
    "Stage",
    "apply_unchecked",
    "leaves_by_path",
    "stage_from_dict",
    "stage_types",
]

Params = dict[str, Any]
Carry = Any
Length = jax.Array | int | None

_REGISTRY: dict[str, type[Stage]] = {}


class Stage(abc.ABC):
    """Base class of all stages. Subclasses are frozen dataclasses with keyword-only fields.

    A fixed stage that looks at every frame by itself defines ``takes``, ``gives`` and
    ``transform``. Other stages override ``reach`` and, as it says, ``extend`` (neighbours) or
    ``initial_carry`` and ``advance`` (past); learnable ones override ``init``.
    """

    takes: ClassVar[str]
    gives: ClassVar[str]
    name: ClassVar[str]
    matrix_params: ClassVar[tuple[str, ...]] = ()  # those of its parameters that are matrices

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        if not cls.__name__.startswith("_"):
            _REGISTRY[cls.__name__] = cls

    # What a stage declares.

    @property
    def reach(self) -> Reach:
        """Which input positions an output position depends on; every position by itself."""
        return Reach()

    @property
    def edge_reach(self) -> int:
        """How far into a clip the rule of `extend` looks from an end; 0 if within ``reach``."""
        return 0

    @property
    def start_need(self) -> int:
        """The farthest input position that the rule of `extend` reads at the start; -1 for none."""
        return max(self.reach.before, self.edge_reach) if self.reach.before > 0 else -1

    @property
    def middle(self) -> float:
        """The input position in the middle of what output 0 describes."""
        return 0.0

    def channels(self, n: int | None) -> int | None:
        """Number of output channels for ``n`` input channels (``None``: not known).

        Raises:
          ValueError: if the stage cannot take that many.
        """
        return n

    def length(self, n: Any) -> Any:
        """Number of output positions for ``n`` input positions, a traced number if ``n`` is one."""
        return n

    # What a stage computes.

    def init(self, key: jax.Array, *, dtype: Any = jnp.float32) -> Params:
        """Parameters at their start: a dictionary of arrays, empty for a fixed stage."""
        del key, dtype
        return {}

    def prepare(self, params: Params) -> Params:
        """What the methods below take as ``params``: computed once for all pieces of a clip."""
        return params

    def extend(self, x: jax.Array, length: Length = None) -> jax.Array:
        """``x`` continued beyond its ends as the edge rule says, ready for `advance`.

        With ``length``, which may be traced, the clip is the first so many positions of ``x``; what
        stands behind its continuation is of no account.
        """
        del length
        return x

    def initial_carry(self, params: Params, x: jax.Array) -> Carry:
        """The carry before the first position of a clip ``x``; ``None`` if there is no past."""
        del params, x
        return None

    def advance(self, params: Params, carry: Carry, x: jax.Array) -> tuple[Carry, jax.Array]:
        """The carry after an extended clip or piece of one, and its outputs."""
        return carry, self.transform(params, x)

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        """The outputs of an extended clip, for a stage without a past."""
        raise NotImplementedError(f"{type(self).__name__} must define transform or advance")

    def transform_clip(self, params: Params, x: jax.Array, length: Length = None) -> jax.Array:
        """The outputs of an extended clip whose first ``length`` positions count (reach clip)."""
        del length
        return self.transform(params, x)

    def evaluate(self, params: Params, x: jax.Array, length: Length = None) -> jax.Array:
        """The outputs of a clip: the methods above together, unchecked.

        With ``length``, as in `extend`, the outputs of the clip come first.
        """
        params = self.prepare(params)
        if self.reach.clip:
            return self.transform_clip(params, self.extend(x, length), length)
        return self.advance(params, self.initial_carry(params, x), self.extend(x, length))[1]

    # How a stage is used.

    def apply(self, params: Params, x: jax.Array) -> jax.Array:
        """Compute the outputs of a clip.

        Args:
          params: from `init`, of any floating dtype; ``{}`` for a fixed stage.
          x: what the stage ``takes``: a waveform ``(..., samples)``, a complex spectrum
            ``(..., frames, bins)`` or real features ``(..., frames, channels)``. Half precision
            is computed in float32 and returned in its own dtype (a spectrum as complex64).

        Returns:
          what the stage ``gives``.

        Raises:
          TypeError: if ``x`` has the wrong kind of dtype.
          ValueError: if ``x`` has the wrong shape or ``params`` do not belong to this stage.
        """
        x = self.check_input(x)
        self.check_params(params)
        return apply_unchecked(self, params, x)

    def __call__(self, x: jax.Array) -> jax.Array:
        """``apply({}, x)`` for a stage without parameters."""
        if self.param_shapes():
            raise ValueError(
                f"{type(self).__name__} has parameters ({', '.join(self.param_shapes())}); make "
                f"them with params = stage.init(key) and call stage.apply(params, x)"
            )
        return self.apply({}, x)

    def param_shapes(self) -> Params:
        """The structure of the parameters, with ``jax.ShapeDtypeStruct`` leaves."""
        return _param_shapes(self)

    def check_input(self, x: Any) -> jax.Array:
        """``x`` as an array, if it is what the stage takes."""
        if self.takes == "spectrum":
            array = check_spectrum("x", x)
        else:
            array = check_real("x", x, ndim=1 if self.takes == "waveform" else 2)
        check_time_axis("x", array, axis=-1 if self.takes == "waveform" else -2)
        if self.takes != "waveform":
            self.channels(array.shape[-1])
        return array

    def check_params(self, params: Any) -> None:
        """Refuse parameters whose names or shapes are not those of `init`."""
        if not isinstance(params, Mapping):
            raise TypeError(
                f"params must be a dictionary, as {type(self).__name__}.init makes it ({{}} where "
                f"there are none), got a {type(params).__name__}"
            )
        wanted = {path: leaf.shape for path, leaf in leaves_by_path(self.param_shapes()).items()}
        given = {path: jnp.shape(leaf) for path, leaf in leaves_by_path(params).items()}
        if wanted != given:
            raise ValueError(
                f"params must be those of {type(self).__name__}.init: {listed(wanted)}; got "
                f"{listed(given)}"
            )

    # What becomes of its parameters.

    def freeze(self, params: Params) -> Stage:
        """The fixed stage that computes the same as this one at these parameters, up to rounding.

        Args:
          params: as in `apply`, concrete values.

        Example:
          >>> import jax.numpy as jnp, jaxspec
          >>> learned = jaxspec.stages.Root(exponent=0.5, learn="all")
          >>> learned.freeze({"exponent": jnp.array(0.0)})
          Root(exponent=0.5, learn=(), n_bands=None)
        """
        self._check_concrete(params, "freeze")
        bad = not_finite(params)
        if bad:
            raise ValueError(
                f"params must be finite to be frozen, got {', '.join(bad)} that are not"
            )
        return self._frozen(params) if params else self

    def _frozen(self, params: Params) -> Stage:
        raise NotImplementedError(f"{type(self).__name__} must define _frozen")

    def arrays(self, params: Params) -> dict[str, Any]:
        """What it computes with at these parameters, as plain float64 arrays and numbers.

        A window, a matrix, quantities of every band, under their names; empty for stages without
        any. Those of a front-end lie under the names of its stages.
        """
        self._check_concrete(params, "arrays")
        return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), self._arrays(params))

    def _arrays(self, params: Params) -> dict[str, Any]:
        del params
        return {}

    def check(self, params: Params) -> list[str]:
        """What is wrong with these parameters, a sentence each; empty where nothing is.

        No parameters make a stage raise or give NaN, but learning may leave some where they do no
        work any more: a band between two bins, a width at the end of its range.
        """
        self._check_concrete(params, "check")
        bad = [f"{path} holds values that are not finite" for path in not_finite(params)]
        return bad or self._findings(params)

    def _findings(self, params: Params) -> list[str]:
        del params
        return []

    def _check_concrete(self, params: Params, method: str) -> None:
        self.check_params(params)
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(params)):
            raise TypeError(
                f"params must be concrete values for {type(self).__name__}.{method}, got traced "
                f"ones; call it outside of jit, vmap and grad"
            )

    def _check_known(self, params: Params, *, stacked: bool = False) -> None:
        """Refuse parameters that are none of this stage's; some or all may be missing.

        Those of several models may be ``stacked`` where every element is taken by itself.
        """
        wanted = {name: leaf.shape for name, leaf in self.param_shapes().items()}
        for name, value in params.items():
            shape = jnp.shape(value) if name in wanted else None
            if shape is None or shape[stacked * (len(shape) - len(wanted[name])) :] != wanted[name]:
                got = repr(name) if shape is None else f"{name} {shape}"
                raise ValueError(
                    f"params must be those of {type(self).__name__}.init: {listed(wanted)}; got "
                    f"{got}"
                )

    # How a stage is written down.

    def to_dict(self) -> dict[str, Any]:
        """The description as a plain dictionary that ``json`` can write.

        Example:
          >>> import jaxspec
          >>> jaxspec.stages.Ln(amin=1e-5).to_dict()
          {'stage': 'Ln', 'amin': 1e-05, 'floor': 'clamp'}
        """
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]
        return {"stage": type(self).__name__} | {k: _plain(v) for k, v in fields.items()}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> Self:
        """The stage of a dictionary made by `to_dict`.

        Raises:
          ValueError: for an unknown stage or an unknown field, or a stage of another class.

        Example:
          >>> import jaxspec
          >>> jaxspec.stages.Ln.from_dict({"stage": "Ln", "amin": 1e-5})
          Ln(amin=1e-05, floor='clamp')
        """
        stage = stage_from_dict(description)
        if not isinstance(stage, cls):
            raise ValueError(
                f"the description must be of a {cls.__name__}, got one of a {type(stage).__name__}"
            )
        return stage

    def _set(self, **values: Any) -> None:
        """Set fields in ``__post_init__`` (checked or filled in), which frozen classes forbid."""
        for field, value in values.items():
            object.__setattr__(self, field, value)


@partial(jax.jit, static_argnums=0)
def apply_unchecked(stage: Stage, params: Params, x: jax.Array, length: Length = None) -> jax.Array:
    """`Stage.apply`, compiled; of the first ``length`` positions alone, the outputs come first."""
    params = jax.tree.map(lambda leaf: as_computed(jnp.asarray(leaf)), params)
    if stage.takes == "spectrum":
        return stage.evaluate(params, x, length)
    y = stage.evaluate(params, as_computed(x), length)
    return y if jnp.iscomplexobj(y) else as_returned(y, x.dtype)


@lru_cache(maxsize=1024)
def _param_shapes(stage: Stage) -> Params:
    return jax.eval_shape(stage.init, jax.random.key(0))


def stage_types() -> dict[str, type[Stage]]:
    """All stage classes by name, those of other packages included once they are imported."""
    return dict(_REGISTRY)


def stage_from_dict(description: Mapping[str, Any]) -> Stage:
    """The stage of a dictionary made by `Stage.to_dict`.

    Args:
      description: with the class name under ``"stage"``, and the fields of that class.

    Raises:
      ValueError: for an unknown stage, an unknown field or a missing one.

    Example:
      >>> import jaxspec
      >>> jaxspec.stage_from_dict({"stage": "Power", "exponent": 1.0})
      Power(exponent=1.0)
    """
    if not isinstance(description, Mapping):
        raise TypeError(
            f"description must be a dictionary as to_dict makes it (of JSON text, json.loads), got "
            f"a {type(description).__name__}"
        )
    fields = dict(description)
    name = fields.pop("stage", None)
    if name not in _REGISTRY:
        raise ValueError(f"stage must be one of {', '.join(sorted(_REGISTRY))}; got stage={name!r}")
    cls = _REGISTRY[name]
    check_fields(cls, fields)
    return cls(**{k: _restored(v) for k, v in fields.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, Stage):
        return value.to_dict()
    if isinstance(value, Table):
        return {"table": value.values.tolist()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _restored(value: Any) -> Any:
    if isinstance(value, Mapping):
        return Table(value["table"]) if "table" in value else stage_from_dict(value)
    if isinstance(value, (list, tuple)):
        return tuple(_restored(item) for item in value)
    return value
