"""Stages that change the length of a waveform before it is cut into frames."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxspec._checks import check_choice, check_positive_int
from jaxspec._sizes import at_least, either, is_symbol
from jaxspec.framing import PAD_MODES, only_first, pad, pad_first, start_need
from jaxspec.reach import Reach
from jaxspec.stage import Length, Params, Stage

__all__ = [
    "FitLength",
    "MaskPadding",
    "Pad",
    "PadAt",
    "PadToMultiple",
    "Repeat",
    "Trim",
]


class _Waveform(Stage):
    takes = "waveform"
    gives = "waveform"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pad(_Waveform):
    """Lengthen the waveform at both ends: `jaxspec.pad`.

    Args:
      before, after: samples to add in front and at the end.
      pad_mode: ``"constant"`` (zeros) or another mode of `jaxspec.pad`; ``"wrap"`` needs the whole
        clip.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.Pad(before=2, after=1)(jnp.ones(2))
      Array([0., 0., 1., 1., 0.], dtype=float32)
    """

    before: int = 0
    after: int = 0
    pad_mode: str = "constant"

    def __post_init__(self) -> None:
        before = check_positive_int("before", self.before, minimum=0)
        after = check_positive_int("after", self.after, minimum=0)
        self._set(before=before, after=after)
        check_choice("pad_mode", self.pad_mode, PAD_MODES)
        if not before and not after:
            raise ValueError("before + after must be >= 1, got before=0 and after=0")

    @property
    def reach(self) -> Reach:
        return Reach(before=self.before, after=-self.before, clip=self.pad_mode == "wrap")

    @property
    def edge_reach(self) -> int:
        return 0 if self.pad_mode == "constant" else max(self.before, self.after)

    @property
    def start_need(self) -> int:
        return start_need(self.before, self.pad_mode)

    @property
    def middle(self) -> float:
        return -self.before

    def length(self, n: Any) -> Any:
        return n + self.before + self.after

    def extend(self, x: jax.Array, length: Length = None) -> jax.Array:
        widths = {"before": self.before, "after": self.after, "pad_mode": self.pad_mode}
        if length is not None:
            return pad_first(x, length=length, **widths)  # type: ignore[arg-type]
        return pad(x, **widths)  # type: ignore[arg-type]

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return x


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trim(_Waveform):
    """Leave out samples at the ends of the waveform, all of it where it is shorter.

    Args:
      before, after: how many samples to leave out in front and at the end.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.Trim(before=1)(jnp.arange(4.0))
      Array([1., 2., 3.], dtype=float32)
    """

    before: int = 0
    after: int = 0

    def __post_init__(self) -> None:
        before = check_positive_int("before", self.before, minimum=0)
        after = check_positive_int("after", self.after, minimum=0)
        self._set(before=before, after=after)
        if not before and not after:
            raise ValueError("before + after must be >= 1, got before=0 and after=0")

    @property
    def reach(self) -> Reach:
        # Whether the clip goes on for so long that a sample is none of the last.
        return Reach(before=-self.before, after=self.before + self.after)

    @property
    def middle(self) -> float:
        return self.before

    def length(self, n: Any) -> Any:
        return at_least(n - self.before - self.after, 0)

    def extend(self, x: jax.Array, length: Length = None) -> jax.Array:
        return x[..., self.before :]

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return x[..., : at_least(x.shape[-1] - self.after, 0)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PadToMultiple(_Waveform):
    """Lengthen the waveform with zeros to the next multiple of a number of samples.

    Its length decides (reach ``"clip"``).

    Args:
      multiple: at least 2.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.PadToMultiple(multiple=4)(jnp.ones(5))
      Array([1., 1., 1., 1., 1., 0., 0., 0.], dtype=float32)
    """

    multiple: int

    def __post_init__(self) -> None:
        self._set(multiple=check_positive_int("multiple", self.multiple, minimum=2))

    @property
    def reach(self) -> Reach:
        return Reach(clip=True)

    def length(self, n: Any) -> Any:
        return -(-n // self.multiple) * self.multiple

    def transform_clip(self, params: Params, x: jax.Array, length: Length = None) -> jax.Array:
        more = self.length(x.shape[-1]) - x.shape[-1]
        return with_zeros(only_first(x, length), more, axis=-1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PadAt(_Waveform):
    """Lengthen the waveform with zeros where its length leaves a remainder, and else not.

    Its length decides (reach ``"clip"``).

    Args:
      multiple, remainder: clips of ``k * multiple + remainder`` samples are lengthened.
      after: by how many samples.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> stage = jaxspec.stages.PadAt(multiple=4, remainder=2, after=1)
      >>> [stage(jnp.ones(n)).size for n in (5, 6, 7)]
      [5, 7, 7]
    """

    multiple: int
    remainder: int
    after: int

    def __post_init__(self) -> None:
        self._set(
            multiple=check_positive_int("multiple", self.multiple, minimum=2),
            remainder=check_positive_int("remainder", self.remainder, minimum=0),
            after=check_positive_int("after", self.after),
        )
        if self.remainder >= self.multiple:
            raise ValueError(
                f"remainder must be < multiple, got remainder={self.remainder} and "
                f"multiple={self.multiple}"
            )

    @property
    def reach(self) -> Reach:
        return Reach(clip=True)

    def length(self, n: Any) -> Any:
        return n + either((n - self.remainder) % self.multiple, self.after, 0)

    def transform_clip(self, params: Params, x: jax.Array, length: Length = None) -> jax.Array:
        # Any shorter clip may be one that is lengthened.
        more = self.length(x.shape[-1]) - x.shape[-1] if length is None else self.after
        return with_zeros(only_first(x, length), more, axis=-1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskPadding(Stage):
    """The features of a clip padded to a multiple of samples, 0 where they see the padding.

    Args:
      frontend: fixed stages from waveform to features that pad nothing at the end of a clip and
        see a known neighbourhood.
      multiple: of samples, at least 2.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxspec import FrontEnd, stages
      >>> frontend = FrontEnd(
      ...     stages.STFT(n_fft=2, hop_length=1, center=False), stages.Power())
      >>> stages.MaskPadding(frontend=frontend, multiple=4)(jnp.ones(3))[:, 0]
      Array([1., 1., 0.], dtype=float32)
    """

    takes = "waveform"
    gives = "features"

    frontend: Stage
    multiple: int

    def __post_init__(self) -> None:
        if not isinstance(self.frontend, Stage):
            raise TypeError(f"frontend must be a stage, got {self.frontend!r}")
        inner = self.frontend
        if (inner.takes, inner.gives) != ("waveform", "features") or inner.reach.clip:
            raise ValueError(
                f"frontend must lead from waveform to features and need no whole clip, got one "
                f"from {inner.takes} to {inner.gives} with reach {inner.reach.kind!r}"
            )
        if inner.param_shapes():
            raise ValueError("frontend must be fixed, got one with parameters")
        self._set(multiple=check_positive_int("multiple", self.multiple, minimum=2))

    @property
    def reach(self) -> Reach:
        return Reach(stride=self.frontend.reach.stride, clip=True)

    @property
    def middle(self) -> float:
        return self.frontend.middle

    def channels(self, n: int | None) -> int | None:
        return self.frontend.channels(n)

    def length(self, n: Any) -> Any:
        return self.frontend.length(-(-n // self.multiple) * self.multiple)

    def transform_clip(self, params: Params, x: jax.Array, length: Length = None) -> jax.Array:
        y = self.frontend.evaluate({}, x, length)
        if length is not None:
            y = only_first(y, self.frontend.length(length), axis=-2)
        return with_zeros(y, self.length(x.shape[-1]) - y.shape[-2], axis=-2)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FitLength(_Waveform):
    """Cut the waveform, or lengthen it with zeros, to a number of samples.

    Its length decides (reach ``"clip"``).

    Args:
      n_samples: at least 1.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.FitLength(n_samples=3)(jnp.ones(2))
      Array([1., 1., 0.], dtype=float32)
    """

    n_samples: int

    def __post_init__(self) -> None:
        self._set(n_samples=check_positive_int("n_samples", self.n_samples))

    @property
    def reach(self) -> Reach:
        return Reach(clip=True)

    def length(self, n: Any) -> int:
        return self.n_samples

    def transform_clip(self, params: Params, x: jax.Array, length: Length = None) -> jax.Array:
        x = only_first(x, length)[..., : self.n_samples]
        return with_zeros(x, self.n_samples - x.shape[-1], axis=-1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Repeat(_Waveform):
    """Repeat a short waveform as often as it fits whole into a number of samples.

    Clips that do not fit twice stay as they are. The length decides (reach ``"clip"``).

    Args:
      n_samples: at least 2.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.Repeat(n_samples=5)(jnp.array([1.0, 2.0]))
      Array([1., 2., 1., 2.], dtype=float32)
    """

    n_samples: int

    def __post_init__(self) -> None:
        self._set(n_samples=check_positive_int("n_samples", self.n_samples, minimum=2))

    @property
    def reach(self) -> Reach:
        return Reach(clip=True)

    def length(self, n: Any) -> Any:
        return n * at_least(self.n_samples // at_least(n, 1), 1)

    def transform_clip(self, params: Params, x: jax.Array, length: Length = None) -> jax.Array:
        if length is None:
            n = x.shape[-1]
            times = at_least(self.n_samples // n, 1)
            if is_symbol(n):
                return x[..., jnp.arange(n * times, dtype=jnp.int32) % n]
            return jnp.tile(x, times)
        # A shorter clip may be repeated to n_samples, a longer one stays as it is.
        position = jnp.arange(at_least(x.shape[-1], self.n_samples), dtype=jnp.int32)
        return jnp.take(x, position % jnp.maximum(length, 1), axis=-1)


def with_zeros(x: jax.Array, n: int, *, axis: int, value: float = 0.0) -> jax.Array:
    """``x`` with ``n`` more positions at the end of an axis, all of one value."""
    if n == 0:
        return x
    widths = [(0, 0)] * x.ndim
    widths[axis] = (0, n)
    return jnp.pad(x, widths, constant_values=value)
