"""Stages of band filters in time: from a waveform to complex bands, every few samples."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_choice, check_positive_int, told
from jaxspec.analysis import filtered_by_fft, gaussian_envelope, sinc_envelope, wave_kernels
from jaxspec.stage import Params, Stage
from jaxspec.stages._bands import _Bands
from jaxspec.stages._in_time import _InTime
from jaxspec.table import Table
from jaxspec.windows import WindowLike, held, window

__all__ = ["Gabor", "Sinc"]

_HALF_POWER = float(np.sqrt(np.log(2)) / np.pi)
METHODS = ("fft", "direct")
_LEAST_PIECE = 100  # in units of taps: pieces overlap by one, and are computed anew backwards


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Filters(_InTime, _Bands):
    """Filters with a symmetric envelope, at every ``hop_length``-th sample."""

    @property
    def _by_name(self) -> tuple[str, ...]:
        return tuple(name for name in super()._by_name if name != "gains")

    def _check_frames(self) -> None:
        super()._check_frames()
        self._check_odd()

    def _check_odd(self) -> None:
        taps = self.taps
        if taps % 2 == 0:
            raise ValueError(f"taps must be odd, so that a frame has a middle, got taps={taps}")

    def _envelope(self, params: Params, dtype: Any) -> jax.Array:
        raise NotImplementedError

    def kernels(self, params: Params, *, dtype: Any = jnp.float32) -> dict[str, jax.Array]:
        """The filters at these parameters: ``"real"`` and ``"imag"``, each ``(taps, n_bands)``."""
        return wave_kernels(self._envelope(params, dtype), self._radians(params, dtype))

    def split(self, *ends: int) -> tuple[Self, ...]:
        """As several stages of neighbouring bands, each of which may have a rate of its own.

        Low bands are narrow, and need fewer samples: `Beside` lays them side by side again. Learned
        ones keep to the range of their part.

        Args:
          *ends: how many bands come before each of the further parts, increasing.

        Raises:
          ValueError: for other ends, or a learned ``range``, which parts cannot share.

        Example:
          >>> import dataclasses, jaxspec
          >>> from jaxspec import stages
          >>> gabor = stages.Gabor(sample_rate=16000, n_bands=40, f_min=60, taps=801, layout="gaps")
          >>> low, high = gabor.split(24)
          >>> low.n_bands, high.n_bands
          (24, 16)
          >>> def averaged(part, hop):
          ...     pool = stages.GaussianPool(
          ...         size=400 // hop + 1, stride=160 // hop, deviation=80 / hop)
          ...     part = dataclasses.replace(part, hop_length=hop)
          ...     return jaxspec.FrontEnd(part, stages.Power(), pool)
          >>> both = stages.Beside(branches=(averaged(low, 20), averaged(high, 10)))
          >>> both.reach.stride
          160
        """
        bounds = [0, *(check_positive_int("each of ends", end) for end in ends), self.n_bands]
        if any(low >= high for low, high in itertools.pairwise(bounds)):
            raise ValueError(
                f"ends must increase and lie between 0 and n_bands={self.n_bands}, got ends={ends}"
            )
        if "range" in self._learned():
            raise ValueError(f'parts cannot share a learned "range", got learn={self.learn!r}')
        points, widths = np.asarray(self._start_points()), np.asarray(self.widths({}), np.float64)
        unset: dict[str, Any] = {"f_min": 0.0, "f_max": None}
        if self.layout == "fixed":
            unset["scale"] = "slaney"
        return tuple(
            dataclasses.replace(
                self,
                n_bands=high - low,
                points=Table(points[low : high + 2]),
                bandwidths=Table(widths[low:high]),
                **unset,
            )
            for low, high in itertools.pairwise(bounds)
        )

    def _radians(self, params: Params, dtype: Any) -> jax.Array:
        centers = self.edges(params, dtype=dtype)[1:-1]
        return (2 * np.pi / self.sample_rate) * centers

    def _arrays(self, params: Params) -> dict[str, Any]:
        own = {"centers": self.centers(params), "widths": self.widths(params)}
        return self.kernels(params) | own

    def _frozen(self, params: Params) -> Stage:
        """By its points and widths."""
        points = np.clip(np.asarray(self.edges(params), np.float64), 0, self.sample_rate / 2)
        fixed: dict[str, Any] = {"points": Table(points), "bandwidths": self.widths(params)}
        unset: dict[str, Any] = {"f_min": 0.0, "f_max": None, "scale": "slaney", "layout": "fixed"}
        unset |= {"learn": "all", "limits": None, "n_knots": type(self).n_knots}
        return dataclasses.replace(self, **fixed, **unset)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gabor(_Filters):
    """Gabor filters: Gaussian envelopes times waves, fixed or learned.

    Followed by `Power`, a band is the power of a Gaussian band-pass filter of the same centre and
    width as one of `Filterbank` with ``shape="gaussian", norm=None`` behind a power spectrum, and
    the two have the same parameters.

    Args:
      sample_rate, n_bands, f_min, f_max, scale, layout, learn, points, bandwidths, n_knots, limits:
        as in `Filterbank`, with the layouts fixed, scale, warp and gaps, without ``gains``.
      taps: samples in a frame: where the Gaussians end; of an even number one more lies before the
        middle than behind. They have a standard deviation of
        ``sqrt(ln 2) / pi * sample_rate / width`` samples for a width in Hz.
      hop_length: samples from frame to frame. 1 is the signal's own rate; a smoothing stage such as
        `GaussianPool` needs fewer.
      center: frames have their middle at the samples 0, ``hop_length``, … of the clip, with zeros
        beyond it; or, ``False``, begin there.
      method: ``"fft"``: of the spectrum of the clip, the bins around each centre; Gaussians are
        then not cut off at ``taps``, which should be at least 8 standard deviations, but in
        frequency at ``sample_rate / (2 hop_length)`` from the centre; one NaN makes all of its clip
        NaN. ``"direct"``: matrix products with the kernels, which cost ``taps`` for every number.

    Raises:
      ValueError: as `Filterbank`.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> gabor = jaxspec.stages.Gabor(
      ...     sample_rate=16000, n_bands=40, f_min=60, f_max=7800, layout="gaps", taps=401,
      ...     hop_length=10)
      >>> params = gabor.init(jax.random.key(0))
      >>> gabor.apply(params, jnp.zeros((2, 16000))).shape
      (2, 1600, 40)

    Reference:
      N. Zeghidour, O. Teboul, F. de Chaumont Quitry and M. Tagliasacchi, "LEAF: a learnable
      frontend for audio classification", ICLR 2021.
    """

    method: str = "fft"

    def __post_init__(self) -> None:
        self._check_bands()
        self._check_frames()
        check_choice("method", self.method, METHODS)

    @property
    def least_piece(self) -> int:
        """Samples that are worth a Fourier transform of their own, see `jaxspec.pieces`."""
        return _LEAST_PIECE * self.taps if self.method == "fft" else 0

    def _check_odd(self) -> None:
        """Nothing: no sample of a Gaussian must mirror another."""

    def deviations(self, params: Params, *, dtype: Any = jnp.float32) -> jax.Array:
        """The standard deviation of every filter in samples ``(n_bands,)``."""
        return _HALF_POWER * self.sample_rate / self.widths(params, dtype=dtype)

    def _envelope(self, params: Params, dtype: Any) -> jax.Array:
        return gaussian_envelope(self.deviations(params, dtype=dtype), taps=self.taps)

    def _findings(self, params: Params) -> list[str]:
        found = super()._findings(params)
        wide = np.asarray(self.deviations(params))
        long = np.flatnonzero(4 * wide > self.taps // 2 + 1)
        if long.size:
            found.append(
                f"{told(long)} cut off by {self.taps} taps, with Gaussians of up to "
                f"{wide[long].max():.0f} samples"
            )
        edge = np.exp(-0.5 * (np.pi * wide / self.hop_length) ** 2)
        broad = np.flatnonzero(edge > 0.05)
        if self.method == "fft" and broad.size:
            found.append(
                f"{told(broad)} wider than hop_length={self.hop_length} leaves room for: "
                f"the response at the edge is up to {edge[broad].max():.2f}"
            )
        return found

    def _tables(self, params: Params, dtype: Any) -> Params:
        if self.method == "direct":
            return super()._tables(params, dtype)
        deviation = self.deviations(params, dtype=dtype)
        return {"frequency": self._radians(params, dtype), "deviation": deviation}

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        if self.method == "direct":
            return super().transform(params, x)
        tables = params or self._tables({}, x.dtype)
        tables = {name: value.astype(x.dtype) for name, value in tables.items()}
        return filtered_by_fft(x, **tables, taps=self.taps, hop_length=self.hop_length)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sinc(_Filters):
    """Ideal band-pass filters cut by a window, fixed or learned, with their Hilbert partners.

    The real part is the filter of SincNet (`RealParts` with ``parts="real"`` gives it alone), the
    imaginary one its partner a quarter of a period later, with which `Power` gives an envelope.

    Args:
      sample_rate, n_bands, f_min, f_max, scale, layout, learn, points, bandwidths, n_knots, limits:
        as in `Gabor`; a band passes what is within half of its width from its centre.
      taps, hop_length, center: as in `Gabor`.
      window: as in `jaxspec.window`, symmetric, of ``taps`` samples.

    The largest value of a filter is 1, its response in the pass band the reciprocal of its width
    as a share of the sample rate. Value and slopes are finite for any width, 0 included.

    Raises:
      ValueError: as `Filterbank`, and for an even number of taps.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> sinc = jaxspec.stages.Sinc(
      ...     sample_rate=16000, n_bands=80, f_min=30, taps=251, center=False)
      >>> sinc(jnp.zeros(3200)).shape
      (2950, 80)

    Reference:
      M. Ravanelli and Y. Bengio, "Speaker recognition from raw waveform with SincNet", SLT 2018.
      Partners: M. Pariente, S. Cornell, A. Deleforge and E. Vincent, "Filterbank design for
      end-to-end speech separation", ICASSP 2020.
    """

    window: WindowLike = "hamming"

    def __post_init__(self) -> None:
        self._check_bands()
        self._check_frames()
        self._set(window=held(self.window, self.taps, periodic=not self._named))

    def _envelope(self, params: Params, dtype: Any) -> jax.Array:
        shares = self.widths(params, dtype=dtype) / self.sample_rate
        values = window(self.window, self.taps, periodic=not self._named)
        return sinc_envelope(shares, window=values)

    @property
    def _named(self) -> bool:
        """Whether the window is a name; given values are what they are."""
        return isinstance(self.window, str | float | int) or (
            isinstance(self.window, tuple) and isinstance(self.window[0], str)
        )
