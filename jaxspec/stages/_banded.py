"""What stages share whose quantities may differ from band to band and may be learned."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_number, check_positive_int, check_same
from jaxspec.learning import Names, check_learn, learned_names
from jaxspec.parametrize import ends_reached, interval, positive
from jaxspec.stage import Params, Stage
from jaxspec.table import Table

__all__ = ["Quantity", "check_per_band"]


@dataclasses.dataclass(frozen=True)
class Quantity:
    """A quantity of a stage: what it may be, and where it stays when it is learned.

    ``bounds`` are those of `check_number`. A learned quantity keeps strictly between ``low`` and
    ``high``; where only ``low`` is given, it is 0 and the quantity keeps within ``factor`` of its
    start; where neither is given, the quantity keeps within ``reach`` of it.
    """

    bounds: dict[str, Any]
    low: float | None = None
    high: float | None = None
    factor: float = 1e4
    reach: float = 1.0

    def at(self, z: jax.Array, start: float | np.ndarray) -> jax.Array:
        """The value at the parameter ``z``, ``start`` at 0."""
        if self.low is None:
            return jnp.asarray(start, z.dtype) + self.reach * jnp.tanh(z / self.reach)
        if self.high is None:
            return positive(z, start=start, factor=self.factor)
        return interval(z, start=start, low=self.low, high=self.high)

    def check_start(self, name: str, start: float | np.ndarray) -> None:
        """Refuse a value from which the quantity cannot be learned."""
        low, high = (
            infinite if bound is None else bound
            for bound, infinite in ((self.low, -np.inf), (self.high, np.inf))
        )
        for value in (float(np.min(start)), float(np.max(start))):
            if not low < value < high:
                raise ValueError(
                    f"{name} must lie strictly between {low:g} and {high:g} to be learned, got "
                    f"{name}={value:g}"
                )


def _held(value: np.ndarray) -> float | Table:
    return Table(value) if value.ndim else float(value)


def check_per_band(name: str, value: Any, **bounds: Any) -> float | Table:
    """A number, or a table ``(channels,)`` of numbers, inside the bounds."""
    if not (isinstance(value, Table | list | tuple) or np.ndim(value)):
        return check_number(name, value, **bounds)
    table = Table(value)
    if len(table.shape) != 1 or not table.values.size:
        raise ValueError(
            f"{name} must be a number or have shape (channels,), got {name} with shape "
            f"{table.shape}"
        )
    for extreme in (table.values.min(), table.values.max()):
        check_number(name, extreme, **bounds)
    return table


class _Banded(Stage):
    """Base of stages with quantities that are numbers or tables, fixed or learned from there."""

    takes = "features"
    gives = "features"

    quantities: ClassVar[dict[str, Quantity]]
    learn: Names
    n_bands: int | None

    def _names(self) -> tuple[str, ...]:
        """The quantities that there are with these choices, all of which may be learned."""
        return tuple(self.quantities)

    def _values_per_band(self, name: str) -> int:
        """How many values of a quantity belong to one band."""
        del name
        return 1

    def _check_quantities(self) -> None:
        """To be called in ``__post_init__``."""
        names = self._names()
        for name in names:
            if name in self.quantities:
                value = check_per_band(name, getattr(self, name), **self.quantities[name].bounds)
                self._set(**{name: value})
        self._set(learn=check_learn(self.learn, names, type(self).__name__))
        for name in learned_names(self.learn, names):
            if name in self.quantities:
                self.quantities[name].check_start(name, self._start(name))
        if self.n_bands is not None:
            self._set(n_bands=check_positive_int("n_bands", self.n_bands))
            if not self.learn:
                raise ValueError(
                    f"n_bands is the number of learned parameters and has no effect without "
                    f"learn, got n_bands={self.n_bands} and learn=()"
                )
        self._bands(None)

    def _start(self, name: str) -> Any:
        value = getattr(self, name)
        return value.values if isinstance(value, Table) else value

    def _bands(self, n: int | None) -> int | None:
        """The number of bands, of which all that is said must agree."""
        if self.n_bands is not None:
            if n is not None:
                check_same(
                    "the number of bands", n, "n_bands", self.n_bands, because=type(self).__name__
                )
            n = self.n_bands
        for name in self._names():
            value = getattr(self, name, None)
            if name in self.quantities and isinstance(value, Table):
                own, rest = divmod(value.shape[0], self._values_per_band(name))
                if rest or n not in (None, own):
                    raise ValueError(
                        f"{name} must be a number or hold {self._values_per_band(name)} for each "
                        f"band, got {value.shape[0]} values and {n} bands"
                    )
                n = own
        return n

    def channels(self, n: int | None) -> int | None:
        return self._bands(n)

    def _shape(self, name: str) -> tuple[int, ...]:
        return () if self.n_bands is None else (self.n_bands * self._values_per_band(name),)

    def init(self, key: jax.Array, *, dtype: Any = jnp.float32) -> Params:
        return {
            name: jnp.zeros(self._shape(name), dtype)
            for name in learned_names(self.learn, self._names())
        }

    def _frozen(self, params: Params) -> Stage:
        choices = {"learn": (), "n_bands": None} | self._fixed(params)
        return dataclasses.replace(self, **choices)  # type: ignore[type-var]

    def _fixed(self, params: Params) -> dict[str, Any]:
        """The quantities at these parameters as choices."""
        return {name: _held(value) for name, value in self.arrays(params).items()}

    def _arrays(self, params: Params) -> dict[str, Any]:
        return self.values(params)

    def _findings(self, params: Params) -> list[str]:
        moves = {name: partial(self._value, name) for name in params if name in self.quantities}
        return ends_reached(params, moves)

    def values(self, params: Params) -> dict[str, Any]:
        """The quantities at these parameters by name, each a number or an array."""
        self._check_known(params, stacked=True)
        return {name: self._value(name, params.get(name)) for name in self._names()}

    def _value(self, name: str, z: jax.Array | None) -> Any:
        start = self._start(name)
        return start if z is None else self.quantities[name].at(z, start)
