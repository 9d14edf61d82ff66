"""Stages of compression whose quantities may differ from band to band and may be learned.

All of them start at the values that are stated, where the parameters are 0, and the values keep
inside the ranges that are stated, whatever the parameters.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax

from jaxspec import compression, learned_compression
from jaxspec._checks import check_choice, check_number
from jaxspec.learning import Names
from jaxspec.reach import Reach
from jaxspec.stage import Length, Params
from jaxspec.stages._banded import Quantity, _Banded
from jaxspec.table import Table

__all__ = ["DynamicRange", "LogOffset", "LogPowerBlend", "LogTBN", "Root"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LogOffset(_Banded):
    """Natural logarithm of values plus an offset: `jaxspec.log_offset`, fixed or learned.

    Args:
      offset: above 0, a number or an array with one for every band (held as `jaxspec.Table`); the
        start of what is learned, which keeps within a factor of 1e4 of it.
      learn: ``"offset"`` or ``"all"`` to learn it; default: not.
      n_bands: number of bands, each with a parameter of its own; ``None``: all bands share one.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> stage = jaxspec.stages.LogOffset(offset=1e-3, learn="all", n_bands=2)
      >>> params = stage.init(jax.random.key(0))
      >>> stage.apply(params, jnp.array([[0.0, 1.0]])).round(3)
      Array([[-6.908e+00,  1.000e-03]], dtype=float32)
    """

    quantities: ClassVar[dict[str, Quantity]] = {"offset": Quantity({"above": 0}, 0.0)}

    offset: float | Table = 1e-5
    learn: Names = ()
    n_bands: int | None = None

    def __post_init__(self) -> None:
        self._check_quantities()

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return learned_compression.log_offset(x, **self.values(params))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Root(_Banded):
    """Root compression: `jaxspec.root`, fixed or learned.

    Args:
      exponent: above 0 and at most 1, a number or an array with one for every band (held as
        `jaxspec.Table`); the start of what is learned, which keeps to (0.01, 1).
      learn: ``"exponent"`` or ``"all"`` to learn it; default: not.
      n_bands: number of bands, each with a parameter of its own; ``None``: all bands share one.

    The slope of a root at 0 is finite but steep (1e11 for a cubic root in float32); that of
    `DynamicRange` is as gentle as its offset is large.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.Root()(jnp.array([[0.0, 8.0]])).round(4)
      Array([[0., 2.]], dtype=float32)
    """

    quantities: ClassVar[dict[str, Quantity]] = {
        "exponent": Quantity({"above": 0, "at_most": 1}, 0.01, 1.0)
    }

    exponent: float | Table = 1 / 3
    learn: Names = ()
    n_bands: int | None = None

    def __post_init__(self) -> None:
        self._check_quantities()

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return compression.root(x, **self.values(params))


@dataclasses.dataclass(frozen=True, kw_only=True)
class LogPowerBlend(_Banded):
    """Between the logarithm and a power: `jaxspec.log_power_blend`, fixed or learned.

    Args:
      exponent: 0 for the logarithm, 1 for the values as they are, in [-0.5, 1]; a number or an
        array with one for every band (held as `jaxspec.Table`). Learned, it starts there and keeps
        to (-0.5, 1).
      offset: above 0, a number or an array likewise; learned, it keeps within a factor of 1e4.
      learn: ``"exponent"``, ``"offset"``, both or ``"all"``; default nothing.
      n_bands: number of bands, each with parameters of its own; ``None``: all bands share one.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> stage = jaxspec.stages.LogPowerBlend(learn="all", n_bands=2)
      >>> params = stage.init(jax.random.key(0))
      >>> stage.apply(params, jnp.array([[1.0, 100.0]])).round(3)  # a logarithm at the start
      Array([[0.   , 4.605]], dtype=float32)
    """

    quantities: ClassVar[dict[str, Quantity]] = {
        "exponent": Quantity({"at_least": -0.5, "at_most": 1}, -0.5, 1.0),
        "offset": Quantity({"above": 0}, 0.0),
    }

    exponent: float | Table = 0.0
    offset: float | Table = 1e-5
    learn: Names = ()
    n_bands: int | None = None

    def __post_init__(self) -> None:
        self._check_quantities()

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return learned_compression.log_power_blend(x, **self.values(params))


@dataclasses.dataclass(frozen=True, kw_only=True)
class DynamicRange(_Banded):
    """Dynamic range compression: `jaxspec.dynamic_range`, fixed or learned.

    Args:
      offset: above 0, a number or an array with one for every band (held as `jaxspec.Table`);
        learned, it starts there and keeps within a factor of 1e4.
      power: in (0, 1], a number or an array likewise; learned, it keeps to (0.01, 1).
      learn: ``"offset"``, ``"power"``, both or ``"all"``; default nothing.
      n_bands: number of bands, each with parameters of its own; ``None``: all bands share one.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.DynamicRange(offset=[2, 16])(jnp.array([[14.0, 9.0]])).round(3)
      Array([[2.586, 1.   ]], dtype=float32)

    Reference:
      X. Liu, M. Sahidullah and T. Kinnunen, "Learnable nonlinear compression for robust speaker
      verification", ICASSP 2022.
    """

    quantities: ClassVar[dict[str, Quantity]] = {
        "offset": Quantity({"above": 0}, 0.0),
        "power": Quantity({"above": 0, "at_most": 1}, 0.01, 1.0),
    }

    offset: float | Table = 2.0
    power: float | Table = 0.5
    learn: Names = ()
    n_bands: int | None = None

    def __post_init__(self) -> None:
        self._check_quantities()

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return learned_compression.dynamic_range(x, **self.values(params))


@dataclasses.dataclass(frozen=True, kw_only=True)
class LogTBN(_Banded):
    """Logarithm through 0 without what all frames have in common: `jaxspec.log_tbn`.

    The whole clip is looked at (reach ``"clip"``), but with ``over_time="none"``.

    Args:
      log10_scale: decades by which energies are scaled, a number or an array with one for every
        band (held as `jaxspec.Table`), in [-20, 20]; learned, it keeps within 4 of its start.
      over_time: ``"none"``, ``"median"``, ``"append"`` or ``"normalize"``.
      scale, shift: of the output, numbers or arrays with a value for every output channel; learned,
        the scale must start above 0 and keeps within a factor of 1e4, the shift within 10.
      eps: above 0, added to the variance; with ``over_time="normalize"`` only.
      learn: ``"log10_scale"``, ``"scale"``, ``"shift"``, several or ``"all"``; default nothing.
      n_bands: number of bands, each with parameters of its own (of scale and shift, every output
        channel); ``None``: all share one.

    EfficientLEAF is ``over_time="append", learn="log10_scale", n_bands=n`` followed by a batch
    normalisation, which is the network's.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> stage = jaxspec.stages.LogTBN(over_time="append", learn="all", n_bands=2)
      >>> params = stage.init(jax.random.key(0))
      >>> {name: value.shape for name, value in params.items()}
      {'log10_scale': (2,), 'scale': (4,), 'shift': (4,)}
      >>> stage.apply(params, jnp.ones((98, 2))).shape
      (98, 4)
    """

    quantities: ClassVar[dict[str, Quantity]] = {
        "log10_scale": Quantity({"at_least": -20, "at_most": 20}, reach=4.0),
        "scale": Quantity({}, 0.0),
        "shift": Quantity({}, reach=10.0),
    }

    log10_scale: float | Table = 5.0
    over_time: str = "normalize"
    scale: float | Table = 1.0
    shift: float | Table = 0.0
    eps: float = 1e-5
    learn: Names = ()
    n_bands: int | None = None

    def __post_init__(self) -> None:
        check_choice("over_time", self.over_time, learned_compression.OVER_TIME)
        self._set(eps=check_number("eps", self.eps, above=0))
        if self.over_time != "normalize" and self.eps != 1e-5:
            raise ValueError(
                f'eps has no effect but with over_time="normalize", got eps={self.eps:g}'
            )
        self._check_quantities()

    def _values_per_band(self, name: str) -> int:
        return 2 if self.over_time == "append" and name != "log10_scale" else 1

    @property
    def reach(self) -> Reach:
        return Reach(clip=self.over_time != "none")

    def channels(self, n: int | None) -> int | None:
        n = super().channels(n)
        return n if n is None or self.over_time != "append" else 2 * n

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return self.transform_clip(params, x)

    def transform_clip(self, params: Params, x: jax.Array, length: Length = None) -> jax.Array:
        return learned_compression.tbn(
            x, **self.values(params), over_time=self.over_time, eps=self.eps, length=length
        )
