"""Stages from log bands to cepstra and their derivatives in time."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxspec import cepstrum
from jaxspec._checks import check_choice, check_number, check_positive_int
from jaxspec._sizes import at_least, either
from jaxspec.framing import start_need
from jaxspec.reach import Reach
from jaxspec.stage import Length, Params, Stage

__all__ = ["DCT", "Deltas", "Lifter"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DCT(Stage):
    """Discrete cosine transform over the channels: `jaxspec.dct`.

    Args:
      n_out: how many of the first coefficients to keep, or ``None`` for all.
      dct_type: 1, 2, 3 or 4.
      norm: ``"ortho"`` or ``None``.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.DCT(n_out=13)(jnp.ones((98, 40))).shape
      (98, 13)
    """

    takes = "features"
    gives = "features"

    n_out: int | None = None
    dct_type: int = 2
    norm: str | None = "ortho"

    def __post_init__(self) -> None:
        if self.n_out is not None:
            self._set(n_out=check_positive_int("n_out", self.n_out))
        check_choice("dct_type", self.dct_type, cepstrum.DCT_TYPES)
        check_choice("norm", self.norm, ("ortho", None))

    def channels(self, n: int | None) -> int | None:
        if n is not None and self.n_out is not None and self.n_out > n:
            raise ValueError(
                f"n_out must be <= the number of channels, got n_out={self.n_out} and {n} channels"
            )
        return n if self.n_out is None else self.n_out

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return cepstrum.dct(x, n_out=self.n_out, dct_type=self.dct_type, norm=self.norm)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lifter(Stage):
    """Sinusoidal liftering of cepstra: `jaxspec.lifter`.

    Args:
      lifter: above 0; 22 in Kaldi and HTK.
      form: ``"kaldi"`` or ``"librosa"``.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.Lifter(lifter=22)(jnp.ones((1, 2))).round(4)
      Array([[1.    , 2.5655]], dtype=float32)
    """

    takes = "features"
    gives = "features"

    lifter: float = 22.0
    form: str = "kaldi"

    def __post_init__(self) -> None:
        self._set(lifter=check_number("lifter", self.lifter, above=0))
        check_choice("form", self.form, cepstrum.LIFTER_FORMS)

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return cepstrum.lifter(x, lifter=self.lifter, form=self.form)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Deltas(Stage):
    """The features and their derivatives in time, side by side: `jaxspec.delta`.

    Args:
      width: number of frames in the fit, odd, at least 3 and above ``order``.
      order: highest derivative; channels become ``order + 1`` times as many: the features, then
        the first derivatives, …
      edge: ``"edge"``, or ``"interp"`` (which needs whole clips of ``width`` frames or more:
        reach ``"clip"``).

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.Deltas(width=3, order=1)(jnp.arange(3.0)[:, None])
      Array([[0. , 0.5],
             [1. , 1. ],
             [2. , 0.5]], dtype=float32)
    """

    takes = "features"
    gives = "features"

    width: int = 9
    order: int = 2
    edge: str = "edge"

    def __post_init__(self) -> None:
        width, order = cepstrum.check_delta(self.width, self.order, self.edge)
        self._set(width=width, order=order)

    @property
    def reach(self) -> Reach:
        if self.edge == "interp":
            return Reach(clip=True)
        return Reach(before=self.width // 2, after=self.width // 2)

    @property
    def start_need(self) -> int:
        return start_need(self.reach.before, "edge")

    def channels(self, n: int | None) -> int | None:
        return None if n is None else n * (self.order + 1)

    def length(self, n: Any) -> Any:
        return either(at_least(self.width - n, 0), n, 0) if self.edge == "interp" else n

    def extend(self, x: jax.Array, length: Length = None) -> jax.Array:
        if self.edge == "interp":
            return x
        return cepstrum.delta_edges(x, width=self.width, length=length)

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        half = self.width // 2
        orders = range(1, self.order + 1)
        derivatives = [cepstrum.delta_taps(x, width=self.width, order=order) for order in orders]
        return jnp.concatenate([x[..., half:-half, :], *derivatives], axis=-1)

    def transform_clip(self, params: Params, x: jax.Array, length: Length = None) -> jax.Array:
        derivatives = [
            cepstrum.delta_interp(x, width=self.width, order=order, length=length)
            for order in range(1, self.order + 1)
        ]
        return jnp.concatenate([x, *derivatives], axis=-1)
