"""Stages that change the samples of a waveform, not their number."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_choice, check_number
from jaxspec._extremes import largest, smallest
from jaxspec.framing import only_first, start_need
from jaxspec.reach import Reach
from jaxspec.stage import Length, Params, Stage
from jaxspec.waveform import sample_before

__all__ = ["PreEmphasis", "RemoveMean", "Scale", "ScaleToRange"]


class _Waveform(Stage):
    takes = "waveform"
    gives = "waveform"


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreEmphasis(_Waveform):
    """High-pass filter of the waveform: `jaxspec.preemphasis`.

    Args:
      coef: in [0, 1].
      first: ``"zero"`` or ``"replicate"``. (librosa's rule makes the first output depend on the
        second sample; it is offered by the function.)

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.PreEmphasis()(jnp.ones(3)).round(4)
      Array([1.  , 0.03, 0.03], dtype=float32)
    """

    coef: float = 0.97
    first: str = "zero"

    def __post_init__(self) -> None:
        self._set(coef=check_number("coef", self.coef, at_least=0, at_most=1))
        check_choice("first", self.first, ("zero", "replicate"))

    @property
    def reach(self) -> Reach:
        return Reach(before=1)

    @property
    def start_need(self) -> int:
        return start_need(1, "edge" if self.first == "replicate" else "constant")

    def extend(self, x: jax.Array, length: Length = None) -> jax.Array:
        return jnp.concatenate([sample_before(x, coef=self.coef, first=self.first), x], axis=-1)

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return x[..., 1:] - self.coef * x[..., :-1]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scale(_Waveform):
    """Multiply the waveform by a number, such as 32768 for the scale of 16-bit samples.

    Args:
      factor: not 0.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.Scale(factor=32768)(jnp.array([0.5, -1.0]))
      Array([ 16384., -32768.], dtype=float32)
    """

    factor: float

    def __post_init__(self) -> None:
        self._set(factor=check_number("factor", self.factor))
        if self.factor == 0:
            raise ValueError("factor must not be 0, got factor=0")

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return x * self.factor


@dataclasses.dataclass(frozen=True, kw_only=True)
class RemoveMean(_Waveform):
    """Take the mean of the clip off every sample (reach ``"clip"``).

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.RemoveMean()(jnp.array([1.0, 2.0, 6.0]))
      Array([-2., -1.,  3.], dtype=float32)
    """

    @property
    def reach(self) -> Reach:
        return Reach(clip=True)

    def transform_clip(self, params: Params, x: jax.Array, length: Length = None) -> jax.Array:
        count = jnp.maximum(jnp.asarray(x.shape[-1] if length is None else length, x.dtype), 1)
        return x - jnp.sum(only_first(x, length), axis=-1, keepdims=True) / count


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScaleToRange(_Waveform):
    """Move and scale each clip to [-1, 1]: ``2 (x - min) / (max - min + eps) - 1``.

    Args:
      eps: above 0; keeps a constant clip finite (at -1).

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.ScaleToRange()(jnp.array([1.0, 2.0, 5.0])).round(4)
      Array([-1. , -0.5,  1. ], dtype=float32)
    """

    eps: float = 1e-6

    def __post_init__(self) -> None:
        self._set(eps=check_number("eps", self.eps, above=0))

    @property
    def reach(self) -> Reach:
        return Reach(clip=True)

    def transform_clip(self, params: Params, x: jax.Array, length: Length = None) -> jax.Array:
        x = x - smallest(only_first(x, length, value=np.inf), -1)
        return (x / (largest(only_first(x, length, value=-np.inf), -1) + self.eps) - 0.5) * 2
