"""Stages on the values of features: scaling, limits, statistics of the clip."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_choice, check_number, check_positive_int, check_same
from jaxspec._extremes import smallest
from jaxspec.compression import FLOORS, item_max
from jaxspec.framing import only_first
from jaxspec.reach import Reach
from jaxspec.stage import Length, Params, Stage
from jaxspec.table import Table

__all__ = ["Abs", "Affine", "Clip", "FloorFromMax", "LnFromMin", "Normalize", "Replace", "Sqrt"]

PLACES = ("deviation", "variance")
OVER = ("time", "clip")


class _Values(Stage):
    takes = "features"
    gives = "features"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Affine(_Values):
    """Scale and move every value: ``scale * x + offset``.

    Args:
      scale, offset: numbers, or arrays with a number for every channel (held as `jaxspec.Table`):
        a mean m and a deviation s are ``scale=1 / s, offset=-m / s``.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.Affine(scale=0.5, offset=[0, 1])(jnp.ones((1, 2)))
      Array([[0.5, 1.5]], dtype=float32)
    """

    scale: float | Table = 1.0
    offset: float | Table = 0.0

    def __post_init__(self) -> None:
        for name in ("scale", "offset"):
            value = getattr(self, name)
            if isinstance(value, Table | list) or np.ndim(value):
                table = Table(value)
                if len(table.shape) != 1:
                    raise ValueError(
                        f"{name} must be a number or have shape (channels,), got {name} with "
                        f"shape {table.shape}"
                    )
                self._set(**{name: table})
            else:
                self._set(**{name: check_number(name, value)})

    def channels(self, n: int | None) -> int | None:
        for name in ("scale", "offset"):
            value = getattr(self, name)
            if isinstance(value, Table):
                (own,) = value.shape
                if n is not None:
                    check_same("the number of channels", n, f"that of {name}", own)
                n = own
        return n

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        scale, offset = (
            jnp.asarray(value.values, x.dtype) if isinstance(value, Table) else value
            for value in (self.scale, self.offset)
        )
        return x * scale + offset


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clip(_Values):
    """Hold every value inside fixed limits; there is no gradient beyond them.

    Args:
      low, high: the limits, or ``None`` for none; not both.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.Clip(low=0)(jnp.array([[-1.0, 2.0]]))
      Array([[0., 2.]], dtype=float32)
    """

    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            if getattr(self, name) is not None:
                self._set(**{name: check_number(name, getattr(self, name))})
        if self.low is None and self.high is None:
            raise ValueError("low or high must be a number, got low=None and high=None")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low must be < high, got low={self.low:g} and high={self.high:g}")

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return jnp.clip(x, self.low, self.high)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FloorFromMax(_Values):
    """Raise values more than ``span`` below the largest of their item to that (reach ``"clip"``).

    For decibels that is ``top_db``. Items are the last two axes.

    Args:
      span: above 0.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.FloorFromMax(span=8)(jnp.array([[-10.0, 0.0, 1.0]]))
      Array([[-7.,  0.,  1.]], dtype=float32)
    """

    span: float

    def __post_init__(self) -> None:
        self._set(span=check_number("span", self.span, above=0))

    @property
    def reach(self) -> Reach:
        return Reach(clip=True)

    def transform_clip(self, params: Params, x: jax.Array, length: Length = None) -> jax.Array:
        if x.shape[-2] == 0:
            return x
        seen = only_first(x, length, axis=-2, value=-np.inf)
        return jnp.maximum(x, item_max(seen) - self.span)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LnFromMin(_Values):
    """Natural logarithm; zeros lie below the smallest other value of their item.

    Items are the last two axes (reach ``"clip"``).

    Args:
      span: above 0, how far below.
      silent: the value of items that hold nothing but zeros.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.LnFromMin(span=3, silent=-9)(jnp.array([[1.0, 0.0]]))
      Array([[ 0., -3.]], dtype=float32)
    """

    span: float
    silent: float

    def __post_init__(self) -> None:
        self._set(span=check_number("span", self.span, above=0))
        self._set(silent=check_number("silent", self.silent))

    @property
    def reach(self) -> Reach:
        return Reach(clip=True)

    def transform_clip(self, params: Params, x: jax.Array, length: Length = None) -> jax.Array:
        above = x >= jnp.finfo(x.dtype).tiny  # below, the slope of the logarithm is not finite
        logarithm = jnp.log(jnp.where(above, x, 1))
        seen = only_first(jnp.where(above, logarithm, jnp.inf), length, axis=-2, value=np.inf)
        least = smallest(smallest(seen, -1), -2)
        least = jnp.where(jnp.isfinite(least), least, self.silent + self.span)
        return jnp.where(above, logarithm, least - self.span)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Normalize(_Values):
    """Take the mean of the clip off, and divide by its standard deviation (reach ``"clip"``).

    Args:
      over: ``"time"``: statistics of every channel by itself; ``"clip"``: one for all channels.
      deviation: whether to divide by the standard deviation.
      ddof: 0, or 1 for the unbiased estimate (of a single frame: 0).
      eps: at least 0; keeps constant channels finite. With 0, a deviation of 0 counts as 1.
      eps_in: what ``eps`` is added to, the ``"deviation"`` or the ``"variance"``.
      leave_out: so many frames at the end are not part of the statistics (where others remain).

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.Normalize(eps=0)(jnp.array([[1.0], [3.0]]))
      Array([[-1.],
             [ 1.]], dtype=float32)
    """

    over: str = "time"
    deviation: bool = True
    ddof: int = 0
    eps: float = 1e-5
    eps_in: str = "deviation"
    leave_out: int = 0

    def __post_init__(self) -> None:
        check_choice("over", self.over, OVER)
        check_choice("ddof", self.ddof, (0, 1))
        check_choice("eps_in", self.eps_in, PLACES)
        self._set(
            deviation=bool(self.deviation),
            eps=check_number("eps", self.eps, at_least=0),
            leave_out=check_positive_int("leave_out", self.leave_out, minimum=0),
        )
        if not self.deviation and (self.ddof, self.eps, self.eps_in) != (0, 1e-5, "deviation"):
            raise ValueError(
                f"ddof, eps and eps_in have no effect with deviation=False, got ddof={self.ddof}, "
                f"eps={self.eps:g} and eps_in={self.eps_in!r}"
            )

    @property
    def reach(self) -> Reach:
        return Reach(clip=True)

    def transform_clip(self, params: Params, x: jax.Array, length: Length = None) -> jax.Array:
        frames = x.shape[-2]
        if frames == 0:
            return x
        length = jnp.asarray(frames if length is None else length, jnp.int32)
        seen = jnp.where(length > self.leave_out, length - self.leave_out, length)
        axes = (-2,) if self.over == "time" else (-2, -1)
        count = seen.astype(x.dtype) * (1 if self.over == "time" else x.shape[-1])
        total = jnp.sum(only_first(x, seen, axis=-2), axis=axes, keepdims=True)
        x = x - total / jnp.maximum(count, 1)
        if not self.deviation:
            return x
        square = jnp.sum(only_first(x, seen, axis=-2) ** 2, axis=axes, keepdims=True)
        square = square / jnp.maximum(count - self.ddof, 1)
        return x / divisor(square, eps=self.eps, eps_in=self.eps_in)


def divisor(square: jax.Array, *, eps: float, eps_in: str) -> jax.Array:
    """The deviation of a variance, kept off 0 by ``eps`` in a word of `PLACES`; 1 where it is 0."""
    if eps_in == "variance":
        square = square + eps
    # The root of 0 has no slope: 0 is taken out before the root, and 1 put in for it.
    positive = square > 0
    deviation = jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), 0)
    if eps_in == "deviation":
        deviation = deviation + eps
    return jnp.where(deviation > 0, deviation, 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Replace(_Values):
    """Put a number in the place of every value that is not above 0.

    Args:
      value: above 0. Unlike a floor, smaller values above 0 stay as they are.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.Replace(value=0.5)(jnp.array([[0.0, 0.25]]))
      Array([[0.5 , 0.25]], dtype=float32)
    """

    value: float

    def __post_init__(self) -> None:
        self._set(value=check_number("value", self.value, above=0))

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return jnp.where(x > 0, x, self.value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sqrt(_Values):
    """Square root with a floor: ``sqrt(max(x, amin))``, or ``sqrt(max(x, 0) + amin)``.

    Args:
      amin: above 0.
      floor: ``"clamp"`` or ``"add"``.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.Sqrt(amin=1e-4)(jnp.array([[0.0, 4.0]]))
      Array([[0.01, 2.  ]], dtype=float32)
    """

    amin: float
    floor: str = "clamp"

    def __post_init__(self) -> None:
        self._set(amin=check_number("amin", self.amin, above=0))
        check_choice("floor", self.floor, FLOORS)

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        floored = jnp.maximum(x, self.amin) if self.floor == "clamp" else jnp.maximum(x, 0)
        return jnp.sqrt(floored if self.floor == "clamp" else floored + self.amin)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Abs(_Values):
    """The absolute value; its gradient at 0 is 0.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.Abs()(jnp.array([[-1.0, 2.0]]))
      Array([[1., 2.]], dtype=float32)
    """

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return jnp.abs(x)
