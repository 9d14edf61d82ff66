"""The stage of gammatone filters, complex or in several phases."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_choice, check_positive_int
from jaxspec.analysis import gammatone_kernels
from jaxspec.stage import Params
from jaxspec.stages.analysis import _Filters
from jaxspec.stages.spectrum import real_products

__all__ = ["Gammatone"]

NORMS = ("response", "energy")
DIRECTIONS = ("causal", "reversed")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gammatone(_Filters):
    """Gammatone filters, fixed or learned: complex ones, or real ones in several phases.

    ``t^(order - 1) exp(-2 pi b t) cos(2 pi f t + phase)`` for ``taps`` samples ``t`` from 1 on,
    where ``b`` gives the band its width at half of its power, ``2 b sqrt(2^(1 / order) - 1)``.

    Args:
      sample_rate, n_bands, f_min, f_max, scale, layout, learn, points, bandwidths, n_knots, limits:
        as in `Gabor`. With ``scale="erb"`` and bands one ERB apart, widths are those of the ear.
      taps, hop_length, center: as in `Gabor`; any number of taps.
      order: 1, 2, …; 4 for the ear.
      phases: ``None``: complex filters of phases 0 and -90 degrees, and the stage gives a
        spectrum. Otherwise how many phases between 0 and 180 degrees a band has, a number or one
        for each; the stage gives real features: the phases of the first band, the negatives of
        these (as a following rectifier needs them), the phases of the second, …
      norm: ``"response"``: the response at the centre is 1; ``"energy"``: the squares of each real
        filter add up to 1.
      direction: ``"causal"``: the newest sample of a frame meets the start of the filter, as in a
        filter; ``"reversed"``: the oldest one does, as in a layer of a network.

    Raises:
      ValueError: as `Gabor`, for phases without ``norm="energy"`` or the reverse.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> gammatone = jaxspec.stages.Gammatone(
      ...     sample_rate=16000, n_bands=32, f_min=50, scale="erb", taps=801, hop_length=8)
      >>> gammatone(jnp.zeros(16000)).shape
      (2000, 32)
      >>> multiphase = jaxspec.stages.Gammatone(
      ...     sample_rate=8000, n_bands=24, f_min=100, scale="erb", taps=16, hop_length=8, order=2,
      ...     phases=2, norm="energy", direction="reversed", center=False)
      >>> multiphase(jnp.zeros(8000)).shape
      (999, 96)

    Reference:
      R. D. Patterson, K. Robinson, J. Holdsworth, D. McKeown, C. Zhang and M. Allerhand, "Complex
      sounds and auditory images", Auditory Physiology and Perception, 1992. Phases: D. Ditter and
      T. Gerkmann, "A multi-phase gammatone filterbank for speech separation via TasNet", ICASSP
      2020.
    """

    order: int = 4
    phases: int | tuple[int, ...] | None = None
    norm: str = "response"
    direction: str = "causal"

    def __post_init__(self) -> None:
        self._check_bands()
        self._check_frames()
        self._set(order=check_positive_int("order", self.order))
        check_choice("norm", self.norm, NORMS)
        check_choice("direction", self.direction, DIRECTIONS)
        if self.phases is not None:
            self._check_phases()
        if (self.norm == "energy") != (self.phases is not None):
            raise ValueError(
                f'norm must be "energy" with phases and "response" without, got '
                f"norm={self.norm!r} and phases={self.phases}"
            )

    def _check_odd(self) -> None:
        """Gammatones have no middle."""

    def _check_phases(self) -> None:
        several = isinstance(self.phases, tuple | list)
        given = tuple(self.phases) if several else (self.phases,)  # type: ignore[arg-type]
        checked = tuple(check_positive_int("phases", n, minimum=0) for n in given)
        if several and len(checked) != self.n_bands:
            raise ValueError(
                f"phases must be a number or one for each of n_bands={self.n_bands}, got "
                f"{len(checked)}"
            )
        if not any(checked):
            raise ValueError(f"phases must not all be 0, got phases={self.phases}")
        self._set(phases=checked if several else checked[0])

    @property
    def gives(self) -> str:  # type: ignore[override]
        """A spectrum, or features in several phases."""
        return "spectrum" if self.phases is None else "features"

    def channels(self, n: int | None) -> int:
        return self.n_bands if self.phases is None else 2 * len(self._angles()[0])

    def _angles(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each of the first half of the real filters: its band and its phase."""
        phases = self.phases
        each = np.full(self.n_bands, phases) if isinstance(phases, int) else np.array(phases)
        angles = [np.pi * np.arange(count) / count for count in each if count]
        return np.repeat(np.arange(self.n_bands), each), np.concatenate(angles)

    def _order(self) -> tuple[np.ndarray, np.ndarray]:
        """Of every channel: which real filter it is, and its sign."""
        bands, _ = self._angles()
        signs = np.repeat([1, -1], len(bands))
        places = np.lexsort((np.tile(np.arange(len(bands)), 2), -signs, np.tile(bands, 2)))
        return places % len(bands), signs[places]

    def kernels(self, params: Params, *, dtype: Any = jnp.float32) -> dict[str, jax.Array]:
        """The filters: ``"real"`` and ``"imag"``; with phases ``"real"`` without the negatives."""
        centers = self.edges(params, dtype=dtype)[1:-1] / self.sample_rate
        per_width = 1 / (2 * np.sqrt(2 ** (1 / self.order) - 1) * self.sample_rate)
        bandwidths = self.widths(params, dtype=dtype) * per_width
        parts = gammatone_kernels(centers, bandwidths, order=self.order, taps=self.taps)
        if self.phases is not None:
            bands, angles = self._angles()
            cosine, sine = (jnp.asarray(f(angles), centers.dtype) for f in (np.cos, np.sin))
            real = parts["real"][:, bands] * cosine - parts["imag"][:, bands] * sine
            energy = (real**2).sum(axis=0)
            # A filter far beyond half the sample rate, or of one tap and a phase of 90 degrees.
            parts = {"real": real * jax.lax.rsqrt(jnp.where(energy > 0, energy, 1))}
        if self.direction == "causal":
            parts = {name: jnp.flip(part, axis=0) for name, part in parts.items()}
        elif self.phases is None:
            # Backwards in time a wave turns the other way.
            parts["imag"] = -parts["imag"]
        return parts

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        if self.phases is None:
            return super().transform(params, x)
        tables = params or self._tables({}, x.dtype)
        y = real_products(x, tables["real"], hop_length=self.hop_length)
        place, sign = self._order()
        return y[..., place] * jnp.asarray(sign, y.dtype)
