"""Stages from waveform to waveform."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from jaxspec._checks import check_choice, check_number
from jaxspec.stage import Length, Params, Reach, Stage
from jaxspec.waveform import sample_before

__all__ = ["PreEmphasis"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreEmphasis(Stage):
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

    takes = "waveform"
    gives = "waveform"

    coef: float = 0.97
    first: str = "zero"

    def __post_init__(self) -> None:
        self._set(coef=check_number("coef", self.coef, at_least=0, at_most=1))
        check_choice("first", self.first, ("zero", "replicate"))

    @property
    def reach(self) -> Reach:
        return Reach(before=1)

    def extend(self, x: jax.Array, length: Length = None) -> jax.Array:
        return jnp.concatenate([sample_before(x, coef=self.coef, first=self.first), x], axis=-1)

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return x[..., 1:] - self.coef * x[..., :-1]
