"""PCEN as a stage, fixed or learned, and PCAN."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_choice, check_number, check_positive_int
from jaxspec.framing import repeat_ends, start_need
from jaxspec.gain_control import (
    PCAN_BOUNDS,
    SMOOTHING,
    STARTS,
    check_mix,
    check_taps,
    pcan,
    pcen,
    pcen_of_windows,
    starting_level,
)
from jaxspec.learning import Names, learned_names
from jaxspec.parametrize import shares
from jaxspec.reach import Reach
from jaxspec.smoothing import smoothing_for_time_constant
from jaxspec.stage import Carry, Length, Params, Stage
from jaxspec.stages._banded import Quantity, _Banded
from jaxspec.table import Table

__all__ = ["PCAN", "PCEN"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PCEN(_Banded):
    """Per-channel energy normalisation: `jaxspec.pcen`, fixed or learned from there.

    Args:
      gain, bias, power, smoothing: as in `jaxspec.pcen`, a number or an array with one for every
        band (held as `jaxspec.Table`); the start of what is learned.
      eps, start: as in `jaxspec.pcen`.
      learn: what is learned, by name, or ``"all"``; default nothing. There are ``"gain"``,
        ``"bias"``, ``"power"`` and ``"smoothing"`` or what takes its place. Learned ones keep to
        gain in (0, 1), power in (0.01, 1), smoothing in (0.0001, 0.9999), bias within a factor of
        1e4 of its start and the time constant within one of 100, whatever the parameters, which
        are 0 at the start.
      n_bands: number of bands, each with parameters of its own; ``None``: all bands share one.
      taps: as in `jaxspec.pcen`: with it, a frame sees the ``taps - 1`` frames before it, else all.
      mix: several fixed smoothing coefficients instead of ``smoothing``, whose results are added
        with weights; ``"mix"`` in ``learn`` means the weights, which stay positive and add up to 1.
        The trainable PCEN of 2017 is ``mix=(0.015, 0.02, 0.04, 0.08), learn="all"``.
      mix_weights: these weights, ``(n,)`` or ``(bands, n)``, or their start; default all the same.
      time_constant: seconds, above 0, instead of ``smoothing``, as in
        `jaxspec.smoothing_for_time_constant`: what is learned of it does not depend on the rate
        of the frames. A number or an array with one for every band.
      hop_length, sample_rate: samples from frame to frame, and Hz; with ``time_constant`` only.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> pcen = jaxspec.stages.PCEN(learn="all", n_bands=2)
      >>> params = pcen.init(jax.random.key(0))
      >>> sorted(params), params["gain"].shape
      (['bias', 'gain', 'power', 'smoothing'], (2,))
      >>> pcen.apply(params, 3 * jnp.ones((4, 2)))[0].round(5)
      Array([0.32424, 0.32424], dtype=float32)
      >>> mixed = jaxspec.stages.PCEN(mix=(0.015, 0.02, 0.04, 0.08), learn="mix", n_bands=2)
      >>> mixed.values(mixed.init(jax.random.key(0)))["mix"][0]
      Array([0.25, 0.25, 0.25, 0.25], dtype=float32)

    Reference:
      Y. Wang et al., "Trainable frontend for robust and far-field keyword spotting", ICASSP 2017.
    """

    quantities: ClassVar[dict[str, Quantity]] = {
        "gain": Quantity({"at_least": 0, "at_most": 1}, 0.0, 1.0),
        "bias": Quantity({"at_least": 0}, 0.0),
        "power": Quantity({"at_least": 0, "at_most": 1}, 0.01, 1.0),
        "smoothing": Quantity({"above": 0, "at_most": 1}, 1e-4, 0.9999),
        "time_constant": Quantity({"above": 0}, 0.0, factor=100.0),
    }

    linear_carry: ClassVar[bool] = True

    gain: float | Table = 0.98
    bias: float | Table = 2.0
    power: float | Table = 0.5
    smoothing: float | Table = SMOOTHING
    eps: float = 1e-6
    start: str = "first"
    learn: Names = ()
    n_bands: int | None = None
    taps: int | None = None
    mix: tuple[float, ...] | None = None
    mix_weights: Table | None = None
    time_constant: float | Table | None = None
    hop_length: int | None = None
    sample_rate: float | None = None

    def __post_init__(self) -> None:
        self._set(eps=check_number("eps", self.eps, above=0))
        check_choice("start", self.start, STARTS)
        if self.taps is not None:
            self._set(taps=check_taps(self.taps, start=self.start))
        self._check_seconds()
        if self.mix is not None:
            self._set(mix=check_mix(self.mix, self.smoothing))
        if self.mix_weights is not None:
            self._set(mix_weights=Table(self.mix_weights))
        self._check_quantities()
        for name in ("bias", "power"):
            value = getattr(self, name)
            if isinstance(value, Table) and not (value.values > 0).all():
                raise ValueError(f"{name} must be > 0 in every band, got {value.values.min():g}")
        self._check_weights()

    def _check_seconds(self) -> None:
        if self.time_constant is None:
            for name in ("hop_length", "sample_rate"):
                if getattr(self, name) is not None:
                    raise ValueError(
                        f"{name} has no effect without time_constant, got "
                        f"{name}={getattr(self, name)!r}"
                    )
            return
        if self.mix is not None or self.smoothing != SMOOTHING:
            name = "smoothing" if self.mix is None else "mix"
            raise ValueError(
                f"{name} has no effect with time_constant, got {name}={getattr(self, name)!r}"
            )
        if self.hop_length is None or self.sample_rate is None:
            raise ValueError(
                f"hop_length and sample_rate must be given with time_constant, got "
                f"hop_length={self.hop_length} and sample_rate={self.sample_rate}"
            )
        self._set(hop_length=check_positive_int("hop_length", self.hop_length))
        self._set(sample_rate=check_number("sample_rate", self.sample_rate, above=0))

    def _check_weights(self) -> None:
        if self.mix_weights is None:
            return
        if self.mix is None:
            raise ValueError("mix_weights has no effect without mix, got mix=None and mix_weights")
        weights = self.mix_weights.values
        if weights.ndim not in (1, 2) or weights.shape[-1] != len(self.mix):
            raise ValueError(
                f"mix_weights must have shape (n,) or (bands, n) with n={len(self.mix)}, got "
                f"mix_weights with shape {weights.shape}"
            )
        learned = "mix" in learned_names(self.learn, self._names())
        if weights.min() < 0 or (learned and weights.min() == 0):
            raise ValueError(
                f"mix_weights must not be negative, nor 0 to be learned, got {weights.min():g}"
            )
        if not np.allclose(weights.sum(axis=-1), 1, rtol=0, atol=1e-6):
            raise ValueError(f"mix_weights must add up to 1, got {weights.tolist()}")

    def _names(self) -> tuple[str, ...]:
        smoother = "smoothing" if self.time_constant is None else "time_constant"
        return ("gain", "bias", "power", smoother if self.mix is None else "mix")

    @property
    def reach(self) -> Reach:
        return Reach(past=True) if self.taps is None else Reach(before=self.taps - 1)

    @property
    def start_need(self) -> int:
        return start_need(self.reach.before, "edge")

    def _bands(self, n: int | None) -> int | None:
        n = super()._bands(n)
        if self.mix_weights is not None and len(self.mix_weights.shape) == 2:
            own = self.mix_weights.shape[0]
            if n not in (None, own):
                raise ValueError(
                    f"the number of bands must equal that of mix_weights, got {n} and {own}"
                )
            n = own
        return n

    def _shape(self, name: str) -> tuple[int, ...]:
        shape = super()._shape(name)
        return (*shape, len(self.mix)) if name == "mix" and self.mix is not None else shape

    def _value(self, name: str, z: jax.Array | None) -> Any:
        if name != "mix" or self.mix is None:
            return super()._value(name, z)
        n = len(self.mix)
        start = np.full(n, 1 / n) if self.mix_weights is None else self.mix_weights.values
        return start if z is None else shares(z, start=start, least=0.0)

    def _fixed(self, params: Params) -> dict[str, Any]:
        values = super()._fixed(params)
        if self.mix is not None:
            values["mix_weights"] = values.pop("mix")
        return values

    def _findings(self, params: Params) -> list[str]:
        found = super()._findings(params)
        if "mix" in params:
            share = np.asarray(self._value("mix", params["mix"]))
            gone = np.argwhere(share < 0.01 * self._value("mix", None)).tolist()
            found += [f"mix{place} is next to nothing: it hardly learns any more" for place in gone]
        return found

    def _options(self, params: Params) -> dict[str, Any]:
        """The quantities in the words of `jaxspec.pcen`."""
        values = self.values(params)
        if self.mix is not None:
            values["mix_weights"] = values.pop("mix")
            values["mix"] = self.mix
        elif self.time_constant is not None:
            assert self.sample_rate is not None and self.hop_length is not None  # noqa: PT018
            rate = {"sample_rate": self.sample_rate, "hop_length": self.hop_length}
            values["smoothing"] = smoothing_for_time_constant(values.pop("time_constant"), **rate)  # type: ignore[call-overload]
        return values | {"eps": self.eps}

    def extend(self, x: jax.Array, length: Length = None) -> jax.Array:
        if self.taps is None:
            return x
        return repeat_ends(x, before=self.taps - 1, after=0)

    def initial_carry(self, params: Params, x: jax.Array) -> Carry:
        if self.taps is not None:
            return None
        level = starting_level(x, start=self.start)
        if self.mix is None:
            return level
        return jnp.repeat(level[..., None, :], len(self.mix), axis=-2)

    def advance(self, params: Params, carry: Carry, x: jax.Array) -> tuple[Carry, jax.Array]:
        options = self._options(params)
        if self.taps is not None:
            options.setdefault("smoothing", None)
            return None, pcen_of_windows(x, **options, taps=self.taps)
        y, level = pcen(x, **options, level=carry, return_level=True)
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

    linear_carry: ClassVar[bool] = True

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
