"""Stages that choose, join and count frames and channels of features."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxspec._checks import check_choice, check_number, check_positive_int
from jaxspec._sizes import at_least
from jaxspec.framing import only_first, repeat_ends, start_need
from jaxspec.reach import Reach
from jaxspec.stage import Length, Params, Stage
from jaxspec.stages.padding import with_zeros

__all__ = [
    "Channels",
    "DropFrames",
    "FitFrames",
    "PadFrames",
    "Splice",
    "Stack",
    "WholeFrames",
    "ZeroFrames",
]


class _Layout(Stage):
    takes = "features"
    gives = "features"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Channels(_Layout):
    """Some of the channels, or all in another order: ``x[..., start:stop:step]``.

    Args:
      start, stop, step: as in a Python slice; ``step=-1`` turns the channels round.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.Channels(stop=-1)(jnp.array([[1.0, 2.0, 3.0]]))
      Array([[1., 2.]], dtype=float32)
    """

    start: int | None = None
    stop: int | None = None
    step: int | None = None

    def __post_init__(self) -> None:
        for name in ("start", "stop", "step"):
            value = getattr(self, name)
            if value is not None:
                least = -(2**31)
                self._set(**{name: check_positive_int(name, value, minimum=least)})
        if self.step == 0:
            raise ValueError("step must not be 0, got step=0")
        if self.start is None and self.stop is None and self.step in (None, 1):
            raise ValueError("start, stop or step must choose something, got none of them")

    @property
    def slice(self) -> slice:
        """The choice as a slice."""
        return slice(self.start, self.stop, self.step)

    def channels(self, n: int | None) -> int | None:
        if n is None:
            return None
        count = len(range(n)[self.slice])
        if not count:
            raise ValueError(
                f"start, stop and step must leave at least 1 of {n} channels, got {self!r}"
            )
        return count

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return x[..., self.slice]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stack(_Layout):
    """Every ``n`` frames side by side as one: ``n`` times fewer frames, ``n`` times more channels.

    Args:
      n: at least 2.
      rest: what becomes of frames that are left at the end: ``"drop"``, or ``"pad"``, filled up
        with ``value``.
      value: with ``rest="pad"``.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.Stack(n=2)(jnp.arange(5.0)[:, None])
      Array([[0., 1.],
             [2., 3.]], dtype=float32)
    """

    n: int
    rest: str = "drop"
    value: float = 0.0

    def __post_init__(self) -> None:
        n = check_positive_int("n", self.n, minimum=2)
        self._set(n=n, value=check_number("value", self.value))
        check_choice("rest", self.rest, ("drop", "pad"))
        if self.rest == "drop" and self.value != 0:
            raise ValueError(
                f'value has no effect with rest="drop" (nothing is filled up), got '
                f"value={self.value:g}"
            )

    @property
    def reach(self) -> Reach:
        return Reach(stride=self.n, after=self.n - 1)

    @property
    def middle(self) -> float:
        return (self.n - 1) / 2

    def channels(self, n: int | None) -> int | None:
        return None if n is None else self.n * n

    def length(self, n: Any) -> Any:
        return n // self.n if self.rest == "drop" else -(-n // self.n)

    def extend(self, x: jax.Array, length: Length = None) -> jax.Array:
        if self.rest == "drop":
            return x
        n = x.shape[-2]
        missing = self.length(n) * self.n - n
        x = only_first(x, length, axis=-2, value=self.value)
        return with_zeros(x, missing, axis=-2, value=self.value)

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        *batch, frames, channels = x.shape
        count = frames // self.n
        # In two steps, as a sharded batch wants it.
        groups = x[..., : count * self.n, :].reshape(*batch, count, self.n, channels)
        return groups.reshape(*batch, count, self.n * channels)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Splice(_Layout):
    """Every frame with its neighbours side by side; end frames stand for missing ones.

    Args:
      before, after: how many neighbours on each side.
      stride: every so many frames there is an output: ``ceil(frames / stride)`` of them.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.Splice(before=1, after=1, stride=2)(jnp.arange(3.0)[:, None])
      Array([[0., 0., 1.],
             [1., 2., 2.]], dtype=float32)
    """

    before: int
    after: int
    stride: int = 1

    def __post_init__(self) -> None:
        before = check_positive_int("before", self.before, minimum=0)
        after = check_positive_int("after", self.after, minimum=0)
        self._set(before=before, after=after, stride=check_positive_int("stride", self.stride))

    @property
    def reach(self) -> Reach:
        return Reach(stride=self.stride, before=self.before, after=self.after)

    @property
    def start_need(self) -> int:
        return start_need(self.before, "edge")

    def channels(self, n: int | None) -> int | None:
        return None if n is None else n * (self.before + self.after + 1)

    def length(self, n: Any) -> Any:
        return -(-n // self.stride)

    def extend(self, x: jax.Array, length: Length = None) -> jax.Array:
        return repeat_ends(x, before=self.before, after=self.after, length=length)

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        reach = self.before + self.after
        count = -(-at_least(x.shape[-2] - reach, 0) // self.stride)
        last = at_least((count - 1) * self.stride + 1, 0)
        places = [x[..., i : i + last : self.stride, :] for i in range(reach + 1)]
        return jnp.concatenate(places, axis=-1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DropFrames(_Layout):
    """Leave out frames at the ends, all of them where there are fewer.

    Args:
      first, last: how many to leave out in front and at the end.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.DropFrames(last=1)(jnp.arange(3.0)[:, None])
      Array([[0.],
             [1.]], dtype=float32)
    """

    first: int = 0
    last: int = 0

    def __post_init__(self) -> None:
        first = check_positive_int("first", self.first, minimum=0)
        last = check_positive_int("last", self.last, minimum=0)
        self._set(first=first, last=last)
        if not first and not last:
            raise ValueError("first + last must be >= 1, got first=0 and last=0")

    @property
    def reach(self) -> Reach:
        # Whether the clip goes on for so long that a frame is none of the last.
        return Reach(before=-self.first, after=self.first + self.last)

    @property
    def middle(self) -> float:
        return self.first

    def length(self, n: Any) -> Any:
        return at_least(n - self.first - self.last, 0)

    def extend(self, x: jax.Array, length: Length = None) -> jax.Array:
        return x[..., self.first :, :]

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return x[..., : at_least(x.shape[-2] - self.last, 0), :]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ZeroFrames(_Layout):
    """Set the last frames to 0.

    Args:
      last: how many.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.ZeroFrames(last=1)(jnp.ones((2, 1)))
      Array([[1.],
             [0.]], dtype=float32)
    """

    last: int

    def __post_init__(self) -> None:
        self._set(last=check_positive_int("last", self.last))

    @property
    def reach(self) -> Reach:
        return Reach(after=self.last)  # whether the clip goes on for so long

    def extend(self, x: jax.Array, length: Length = None) -> jax.Array:
        kept = (x.shape[-2] if length is None else length) - self.last
        return with_zeros(only_first(x, kept, axis=-2), self.last, axis=-2)

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return x[..., : -self.last, :]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FitFrames(_Layout):
    """Cut the frames, or continue them with a value, to a number of frames (reach ``"clip"``).

    Args:
      n_frames: at least 1.
      value: of all channels of the added frames.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.FitFrames(n_frames=3, value=-1)(jnp.ones((2, 1)))
      Array([[ 1.],
             [ 1.],
             [-1.]], dtype=float32)
    """

    n_frames: int
    value: float = 0.0

    def __post_init__(self) -> None:
        n_frames = check_positive_int("n_frames", self.n_frames)
        self._set(n_frames=n_frames, value=check_number("value", self.value))

    @property
    def reach(self) -> Reach:
        return Reach(clip=True)

    def length(self, n: Any) -> int:
        return self.n_frames

    def transform_clip(self, params: Params, x: jax.Array, length: Length = None) -> jax.Array:
        x = only_first(x, length, axis=-2, value=self.value)[..., : self.n_frames, :]
        return with_zeros(x, self.n_frames - x.shape[-2], axis=-2, value=self.value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PadFrames(_Layout):
    """Continue the frames with a value to the next multiple of a number (reach ``"clip"``).

    Args:
      multiple: at least 2.
      value: of all channels of the added frames.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.PadFrames(multiple=4)(jnp.ones((2, 1))).shape
      (4, 1)
    """

    multiple: int
    value: float = 0.0

    def __post_init__(self) -> None:
        multiple = check_positive_int("multiple", self.multiple, minimum=2)
        self._set(multiple=multiple, value=check_number("value", self.value))

    @property
    def reach(self) -> Reach:
        return Reach(clip=True)

    def length(self, n: Any) -> Any:
        return -(-n // self.multiple) * self.multiple

    def transform_clip(self, params: Params, x: jax.Array, length: Length = None) -> jax.Array:
        missing = self.length(x.shape[-2]) - x.shape[-2]
        x = only_first(x, length, axis=-2, value=self.value)
        return with_zeros(x, missing, axis=-2, value=self.value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class WholeFrames(_Layout):
    """Leave out frames at the end that do not make up a multiple of a number (reach ``"clip"``).

    Args:
      multiple: at least 2.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.WholeFrames(multiple=2)(jnp.ones((5, 1))).shape
      (4, 1)
    """

    multiple: int

    def __post_init__(self) -> None:
        self._set(multiple=check_positive_int("multiple", self.multiple, minimum=2))

    @property
    def reach(self) -> Reach:
        return Reach(clip=True)

    def length(self, n: Any) -> Any:
        return n // self.multiple * self.multiple

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return x[..., : self.length(x.shape[-2]), :]
