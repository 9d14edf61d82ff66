"""A stage of spectro-temporal filters: features seen through waves over frames and bands."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_choice, check_number, check_positive_int
from jaxspec.framing import only_first, start_need
from jaxspec.learning import Names, check_learn, learned_names
from jaxspec.modulation import FORMS, PARTS, modulated, wave_packets
from jaxspec.parametrize import ends_reached
from jaxspec.reach import Reach
from jaxspec.stage import Length, Params, Stage
from jaxspec.stages._banded import Quantity, check_per_band
from jaxspec.table import Table

__all__ = ["STRF"]

_LEAST = 0.01
_LEAST_LEARNED = 0.1
_MODULATION = Quantity({"at_least": -0.5, "at_most": 0.5}, -0.5, 0.5)
_DEVIATION = Quantity({}, 0.0, factor=8.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class STRF(Stage):
    """Spectro-temporal filters: Gaussians times waves over frames and bands, learned or fixed.

    A filter answers to energy that comes and goes ``rate`` times a frame and rises and falls
    ``scale`` times a band: with both above 0 to sweeps that fall in frequency, with signs that
    differ to rising ones. Output ``[t, f]`` is the sum over frames ``t + k`` and bands ``f + j`` of

        x exp(-k^2 / 2 a^2 - j^2 / 2 b^2) / (2 pi a b) exp(2 pi i (rate k + scale j)),

    with zeros beyond the ends of both: as many frames and bands as of the input.

    The channels are the bands of filter 0, those of filter 1, …:
    ``y.reshape(*y.shape[:-1], n_filters, bands)``, with ``parts="both"`` ``(2, n_filters, bands)``.

    Args:
      rates: modulations in time at the start, cycles per frame (times frames per second: Hz), from
        -0.5 to 0.5, strictly inside if learned; a number or an array with one for every filter
        (held as `jaxspec.Table`). `jaxspec.random_modulations` draws a start.
      scales: modulations along the bands, cycles per band (times bands per octave: cycles per
        octave), likewise.
      frame_deviations: standard deviations of the Gaussians in frames, at least 0.01, likewise.
        Learned ones start from at least 0.1 and keep within a factor of 8 of their start.
      band_deviations: in bands, likewise.
      frames_seen, bands_seen: how many a filter sees, odd, at least 3.
      parts: ``"real"``, ``"imag"``, ``"both"`` (all real parts, then all imaginary ones) or
        ``"magnitude"``, whose gradient at 0 is 0.
      learn: ``"rates"``, ``"scales"``, ``"frame_deviations"``, ``"band_deviations"``, several or
        ``"all"``; ``()``: nothing. The real part of a filter whose rate and scale are both exactly
        0 has no slope by them.
      form: ``"exact"``, or ``"published"``: as in the code of the paper, where an odd number of
        frames (and of bands) is stretched, `n` of them from ``(1 - n) / 2`` to ``(n + 1) / 2``, so
        that a filter looks about half a frame and half a band back; where an even one, which is
        allowed then, has its 0 left of the middle and gives one frame (one band) more; where 0.001
        is added to the deviations in the exponent, but not in the divisor; and where negative
        deviations are allowed, which turn the sign.

    Raises:
      ValueError: for quantities out of these ranges, arrays of different lengths, or even sizes.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> start = jaxspec.random_modulations(jax.random.key(0), 8)
      >>> stage = jaxspec.stages.STRF(**start, frames_seen=41, parts="magnitude")
      >>> params = stage.init(jax.random.key(0))
      >>> stage.apply(params, jnp.zeros((2, 100, 64))).shape
      (2, 100, 512)

    Reference:
      R. Riad, J. Karadayi, A.-C. Bachoud-Lévi and E. Dupoux, "Learning spectro-temporal
      representations of complex sounds with parameterized neural networks", J. Acoust. Soc. Am.
      150, 2021.
    """

    takes = "features"
    gives = "features"
    quantities: ClassVar[dict[str, Quantity]] = {
        "rates": _MODULATION,
        "scales": _MODULATION,
        "frame_deviations": _DEVIATION,
        "band_deviations": _DEVIATION,
    }

    rates: float | Table
    scales: float | Table
    frame_deviations: float | Table
    band_deviations: float | Table
    frames_seen: int = 111
    bands_seen: int = 9
    parts: str = "real"
    learn: Names = "all"
    form: str = "exact"

    def __post_init__(self) -> None:
        check_choice("parts", self.parts, tuple(PARTS))
        check_choice("form", self.form, FORMS)
        for name in ("frames_seen", "bands_seen"):
            self._check_size(name)
        for name, quantity in self.quantities.items():
            self._set(**{name: check_per_band(name, getattr(self, name), **quantity.bounds)})
        self._set(learn=check_learn(self.learn, tuple(self.quantities), "STRF"))
        self._check_lengths()
        for name in self.quantities:
            self._check_start(name)

    def _check_lengths(self) -> None:
        lengths = {
            name: value.shape[0]
            for name in self.quantities
            if isinstance(value := getattr(self, name), Table)
        }
        if len(set(lengths.values())) > 1:
            raise ValueError(
                f"rates, scales and deviations must be numbers or hold one for every filter, got "
                f"{', '.join(f'{name} {n}' for name, n in lengths.items())}"
            )

    def _check_size(self, name: str) -> None:
        size = check_positive_int(name, getattr(self, name), minimum=2)
        if size % 2 == 0 and self.form == "exact":
            raise ValueError(f"{name} must be odd, so that there is a middle, got {name}={size}")
        self._set(**{name: size})

    def _check_start(self, name: str) -> None:
        learned = name in self._learned
        if self.quantities[name] is _MODULATION:
            if learned:
                _MODULATION.check_start(name, self._start(name))
            return
        start = self._start(name)
        least = _LEAST_LEARNED if learned else _LEAST
        for value in np.abs(start) if self.form == "published" else start:
            check_number(name, value, at_least=least, because="to be learned" if learned else "")

    @property
    def n_filters(self) -> int:
        """The number of filters."""
        return int(max(np.size(self._held(name)) for name in self.quantities))

    @property
    def _learned(self) -> tuple[str, ...]:
        return learned_names(self.learn, tuple(self.quantities))

    def _held(self, name: str) -> np.ndarray:
        value = getattr(self, name)
        return value.values if isinstance(value, Table) else np.array([value])

    def _start(self, name: str) -> np.ndarray:
        start: np.ndarray = np.broadcast_to(self._held(name), (self.n_filters,))
        return start

    @property
    def reach(self) -> Reach:
        before = self.frames_seen // 2
        return Reach(before=before, after=self.frames_seen - 1 - before)

    @property
    def start_need(self) -> int:
        return start_need(self.reach.before, "constant")

    @property
    def middle(self) -> float:
        if self.form == "exact":
            return 0.0
        # Where the published positions are 0.
        return -1.0 if self.frames_seen % 2 == 0 else 0.5 / self.frames_seen - 0.5

    def channels(self, n: int | None) -> int | None:
        if n is None:
            return None
        bands = n + (self.bands_seen % 2 == 0)
        return (2 if self.parts == "both" else 1) * self.n_filters * bands

    def length(self, n: Any) -> Any:
        return n + int(self.frames_seen % 2 == 0)

    def init(self, key: jax.Array, *, dtype: Any = jnp.float32) -> Params:
        return {name: jnp.zeros(self.n_filters, dtype) for name in self._learned}

    def values(self, params: Params) -> dict[str, Any]:
        """Rates, scales and deviations at these parameters by name, each ``(n_filters,)``."""
        self._check_known(params, stacked=True)
        return {name: self._value(name, params.get(name)) for name in self.quantities}

    def _value(self, name: str, z: jax.Array | None) -> Any:
        start = self._start(name)
        return start if z is None else self.quantities[name].at(z, start)

    def kernels(self, params: Params, *, dtype: Any = jnp.float32) -> dict[str, jax.Array]:
        """The filters, ``"real"`` and ``"imag"``, each ``(n_filters, bands_seen, frames_seen)``."""
        tables = self._tables(params, dtype)
        frames, bands = (
            jax.lax.complex(tables[axis]["real"], tables[axis]["imag"])
            for axis in ("over_frames", "over_bands")
        )
        kernels = bands.T[:, :, None] * frames.T[:, None, :]
        return {"real": kernels.real, "imag": kernels.imag}

    def _tables(self, params: Params, dtype: Any) -> Params:
        at = {name: jnp.asarray(value, dtype) for name, value in self.values(params).items()}
        packets = partial(wave_packets, form=self.form)
        return {
            "over_frames": packets(at["rates"], at["frame_deviations"], size=self.frames_seen),
            "over_bands": packets(at["scales"], at["band_deviations"], size=self.bands_seen),
        }

    def prepare(self, params: Params) -> Params:
        return self._tables(params, jnp.result_type(*params.values())) if params else {}

    def extend(self, x: jax.Array, length: Length = None) -> jax.Array:
        x = only_first(x, length, axis=-2)
        half = self.frames_seen // 2
        return jnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(half, half), (0, 0)])

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return modulated(x, **(params or self._tables({}, x.dtype)), parts=self.parts)

    def _frozen(self, params: Params) -> Stage:
        at: dict[str, Any] = {name: Table(value) for name, value in self.values(params).items()}
        return dataclasses.replace(self, learn=(), **at)

    def _arrays(self, params: Params) -> dict[str, Any]:
        return self.values(params) | self.kernels(params)

    def _findings(self, params: Params) -> list[str]:
        return ends_reached(params, {name: partial(self._value, name) for name in params})
