"""PCEN as a stage, fixed or learned, and PCAN."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxspec._checks import check_choice, check_number, check_positive_int, check_same
from jaxspec.gain_control import (
    PCAN_BOUNDS,
    STARTS,
    check_taps,
    frames_before,
    pcan,
    pcen,
    pcen_of_windows,
    starting_level,
)
from jaxspec.learning import Names, check_learn, learned_names
from jaxspec.parametrize import interval, positive
from jaxspec.stage import Carry, Length, Params, Reach, Stage

__all__ = ["PCAN", "PCEN"]

_NAMES = ("gain", "bias", "power", "smoothing")
# Learned values stay inside these; the bias inside its start times or divided by 1e4.
_BOUNDS = {"gain": (0.0, 1.0), "power": (0.01, 1.0), "smoothing": (1e-4, 0.9999)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class PCEN(Stage):
    """Per-channel energy normalisation: `jaxspec.pcen`, fixed or learned from there.

    Args:
      gain, bias, power, smoothing, eps, start: as in `jaxspec.pcen`; the start of what is
        learned.
      learn: which of the four first are learned, by name, or ``"all"``; default none. Learned
        ones keep to gain in (0, 1), power in (0.01, 1), smoothing in (0.0001, 0.9999) and bias
        within a factor of 1e4 of its start, whatever the parameters, which are 0 at the start.
      n_bands: number of bands, each with parameters of its own; ``None``: all bands share one.
      taps: as in `jaxspec.pcen`: with it, a frame sees the ``taps - 1`` frames before it, else all.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> pcen = jaxspec.stages.PCEN(learn="all", n_bands=2)
      >>> params = pcen.init(jax.random.key(0))
      >>> sorted(params), params["gain"].shape
      (['bias', 'gain', 'power', 'smoothing'], (2,))
      >>> pcen.apply(params, 3 * jnp.ones((4, 2)))[0].round(5)
      Array([0.32424, 0.32424], dtype=float32)
    """

    takes = "features"
    gives = "features"

    gain: float = 0.98
    bias: float = 2.0
    power: float = 0.5
    smoothing: float = 0.025
    eps: float = 1e-6
    start: str = "first"
    learn: Names = ()
    n_bands: int | None = None
    taps: int | None = None

    def __post_init__(self) -> None:
        self._set(
            gain=check_number("gain", self.gain, at_least=0, at_most=1),
            bias=check_number("bias", self.bias, at_least=0),
            power=check_number("power", self.power, at_least=0, at_most=1),
            smoothing=check_number("smoothing", self.smoothing, above=0, at_most=1),
            eps=check_number("eps", self.eps, above=0),
            learn=check_learn(self.learn, _NAMES, "PCEN"),
        )
        check_choice("start", self.start, STARTS)
        if self.taps is not None:
            self._set(taps=check_taps(self.taps, start=self.start))
        for name in learned_names(self.learn, _NAMES):
            value = getattr(self, name)
            low, high = _BOUNDS.get(name, (0.0, float("inf")))
            if not low < value < high:
                raise ValueError(
                    f"{name} must lie strictly between {low:g} and {high:g} to be learned, got "
                    f"{name}={value:g}"
                )
        if self.n_bands is not None:
            self._set(n_bands=check_positive_int("n_bands", self.n_bands))
            if not self.learn:
                raise ValueError(
                    f"n_bands is the number of learned parameters and has no effect without "
                    f"learn, got n_bands={self.n_bands} and learn=()"
                )

    @property
    def reach(self) -> Reach:
        return Reach(past=True) if self.taps is None else Reach(before=self.taps - 1)

    def channels(self, n: int | None) -> int | None:
        if self.n_bands is not None and n is not None:
            check_same("the number of bands", n, "n_bands", self.n_bands, because="PCEN")
        return n if n is not None else self.n_bands

    def init(self, key: jax.Array, *, dtype: Any = jnp.float32) -> Params:
        shape = () if self.n_bands is None else (self.n_bands,)
        return {name: jnp.zeros(shape, dtype) for name in learned_names(self.learn, _NAMES)}

    def values(self, params: Params) -> dict[str, Any]:
        """Gain, bias, power and smoothing at these parameters, each a number or an array."""
        values: dict[str, Any] = {name: getattr(self, name) for name in _NAMES}
        for name, z in params.items():
            if name == "bias":
                values[name] = positive(z, start=self.bias)
            else:
                low, high = _BOUNDS[name]
                values[name] = interval(z, start=values[name], low=low, high=high)
        return values

    def extend(self, x: jax.Array, length: Length = None) -> jax.Array:
        if self.taps is None or x.shape[-2] == 0:
            return x
        return frames_before(x, n=self.taps - 1)

    def initial_carry(self, params: Params, x: jax.Array) -> Carry:
        return starting_level(x, start=self.start) if self.taps is None else None

    def advance(self, params: Params, carry: Carry, x: jax.Array) -> tuple[Carry, jax.Array]:
        values = self.values(params)
        if self.taps is not None:
            return None, pcen_of_windows(x, **values, eps=self.eps, taps=self.taps)
        y, level = pcen(x, **values, eps=self.eps, level=carry, return_level=True)
        return level, y


@dataclasses.dataclass(frozen=True, kw_only=True)
class PCAN(Stage):
    """Noise suppression and automatic gain control of TensorFlow's micro front-end, in floats.

    The noise of every channel is estimated by smoothing from 0 on, with one number for even
    channels and another for odd ones, and taken off; what is left is divided by a power of the
    estimate. The result is ``r ** 2 / 4`` below ``r = 2``, and ``r - 1`` above.

    Args:
      smoothing_even, smoothing_odd: of channels 0, 2, … and 1, 3, …; above 0 and at most 1.
      min_remaining: the share of a value that is left at least, in [0, 1].
      strength: the power of the estimate, at least 0.
      offset: added to the estimate, above 0. The scale of the magnitudes matters: the default is
        for 16-bit samples.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.PCAN()(jnp.array([[1000.0, 1000.0], [10.0, 10.0]])).round(1)
      Array([[10.7,  7.6],
             [ 0. ,  0. ]], dtype=float32)
    """

    takes = "features"
    gives = "features"

    smoothing_even: float = 409 / 16384
    smoothing_odd: float = 983 / 16384
    min_remaining: float = 819 / 16384
    strength: float = 0.95
    offset: float = 80.0

    def __post_init__(self) -> None:
        for name, bounds in PCAN_BOUNDS.items():
            self._set(**{name: check_number(name, getattr(self, name), **bounds)})

    @property
    def reach(self) -> Reach:
        return Reach(past=True)

    def initial_carry(self, params: Params, x: jax.Array) -> Carry:
        return jnp.zeros_like(x[..., 0, :])

    def advance(self, params: Params, carry: Carry, x: jax.Array) -> tuple[Carry, jax.Array]:
        options = {name: getattr(self, name) for name in PCAN_BOUNDS}
        y, level = pcan(x, level=carry, **options)
        return level, y
