"""Stages that compress every value by itself, and decibels."""

from __future__ import annotations

import dataclasses

import jax

from jaxspec import compression
from jaxspec._checks import check_choice, check_number
from jaxspec.framing import only_first
from jaxspec.reach import Reach
from jaxspec.stage import Length, Params, Stage

__all__ = ["AmplitudeToDb", "Ln", "Log1p", "Log10", "PowerToDb"]


class _Compression(Stage):
    takes = "features"
    gives = "features"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ln(_Compression):
    """Natural logarithm with a floor: `jaxspec.ln`.

    Args:
      amin: the floor, above 0.
      floor: ``"clamp"`` or ``"add"``.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.Ln(amin=1e-3)(jnp.array([[0.0, 1.0]])).round(4)
      Array([[-6.9078,  0.    ]], dtype=float32)
    """

    amin: float = 1e-10
    floor: str = "clamp"

    def __post_init__(self) -> None:
        self._set(amin=check_number("amin", self.amin, above=0))
        check_choice("floor", self.floor, compression.FLOORS)

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return compression.ln(x, amin=self.amin, floor=self.floor)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Log10(Ln):
    """Decadic logarithm with a floor: `jaxspec.log10`; arguments as `Ln`.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.Log10()(jnp.array([[0.0, 100.0]])).round(3)
      Array([[-10.,   2.]], dtype=float32)
    """

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return compression.log10(x, amin=self.amin, floor=self.floor)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PowerToDb(_Compression):
    """Decibels of a power: `jaxspec.power_to_db`.

    With ``ref="max"`` or ``top_db`` the whole clip is looked at (reach ``"clip"``).

    Args:
      ref: the power of 0 dB, or ``"max"``.
      amin: the floor, above 0.
      top_db: the range kept below the largest value of each item, or ``None``.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.PowerToDb(top_db=80)(jnp.array([[1.0, 0.1, 0.0]]))
      Array([[  0., -10., -80.]], dtype=float32)
    """

    ref: float | str = 1.0
    amin: float = 1e-10
    top_db: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.ref, str):
            check_choice("ref", self.ref, compression.REFERENCES)
        else:
            self._set(ref=check_number("ref", self.ref, above=0))
        self._set(amin=check_number("amin", self.amin, above=0))
        if self.top_db is not None:
            self._set(top_db=check_number("top_db", self.top_db, above=0))

    @property
    def reach(self) -> Reach:
        return Reach(clip=self.ref == "max" or self.top_db is not None)

    def transform_clip(self, params: Params, x: jax.Array, length: Length = None) -> jax.Array:
        # The amplitudes and powers of what does not count are no larger than any other.
        return self.transform(params, only_first(x, length, axis=-2))

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return compression.power_to_db(x, ref=self.ref, amin=self.amin, top_db=self.top_db)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AmplitudeToDb(PowerToDb):
    """Decibels of a magnitude: `jaxspec.amplitude_to_db`; arguments as `PowerToDb`.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.AmplitudeToDb()(jnp.array([[1.0, 0.1, 0.0]])).round(2)
      Array([[   0.,  -20., -100.]], dtype=float32)
    """

    amin: float = 1e-5

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return compression.amplitude_to_db(x, ref=self.ref, amin=self.amin, top_db=self.top_db)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Log1p(_Compression):
    """Logarithmic compression through 0: `jaxspec.log1p`.

    Args:
      scale: above 0.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.Log1p(scale=10)(jnp.array([[0.0, 1.0]])).round(4)
      Array([[0.    , 2.3979]], dtype=float32)
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        self._set(scale=check_number("scale", self.scale, above=0))

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return compression.log1p(x, scale=self.scale)
