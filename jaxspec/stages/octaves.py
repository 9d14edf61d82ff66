"""A stage of wavelet octaves with learned filters, from a waveform to features."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_choice, check_positive_int
from jaxspec._sizes import at_least
from jaxspec.framing import PAD_MODES, pad, pad_first, start_need
from jaxspec.learning import Names, check_learn, learned_names
from jaxspec.octaves import (
    filtered_octaves,
    needed,
    octave_middles,
    octave_shifts,
    published_lags,
)
from jaxspec.reach import Reach
from jaxspec.stage import Length, Params, Stage
from jaxspec.table import Table

__all__ = ["OctaveFilters"]

_ALIGN = ("frames", "octaves")
_NAMES = ("filters",)
_LEAST_PIECE = 16  # in units of the reach: pieces overlap by one, computed anew at every level


@dataclasses.dataclass(frozen=True, kw_only=True)
class OctaveFilters(Stage):
    """Wavelet octaves, each with short learned filters: the magnitudes of MuReNN.

    A dual-tree complex wavelet transform divides the waveform into octaves: octave ``j``, from the
    finest on, holds frequencies from about ``sample_rate / 2^(j + 2)`` to twice that, and has a
    sample for every ``2^(j + 1)`` of the waveform. Each is filtered by real filters, the same for
    its real and imaginary part; the magnitudes are smoothed and halved in rate until all octaves
    have the same frames. Filters that see long times at low frequencies are thus short.

    Channels are the filters of the finest octave, then those of the next coarser one, …

    Args:
      n_octaves: how many.
      filters_per_octave: an int, or a tuple with one for every octave, the finest first.
      taps: of every filter, in samples of its octave. Take an even number (see ``align``).
      stride: samples of the waveform from frame to frame, a power of 2, at least and by default
        ``2 ** n_octaves``.
      align: ``"frames"``: every octave is read where it describes the middle of the frame, as far
        as whole samples of its rate go. With even ``taps`` these are the samples
        ``t * stride - 1/2``, for all octaves; with odd ones
        ``t * stride + 2^(n_octaves - 1) - 1/2`` for the coarsest, and half a sample of its own,
        ``2^j``, earlier for octave ``j`` (up to two octaves are published so).
        ``"octaves"``: as published, sample 0 of every octave belongs to frame 0: octave ``j`` then
        describes ``t * stride + 2^j - 1/2`` with odd taps and ``t * stride + 2^(j + 1) - 1/2`` with
        even ones. Up to a sample, by which the wavelets themselves are off; `middles` has the
        numbers.
      n_samples: with ``align="octaves"``, the length of the clips for which the alignment is that
        of the original, which puts a sample in front of a level whose length no 4 divides;
        ``None``: of clips whose length ``2 ** n_octaves`` divides.
      pad_mode: how the waveform goes on beyond its ends, as in `jaxspec.pad`.
      filters: ``(taps, channels)``, the start (held as `jaxspec.Table`), to which parameters that
        are 0 at the start are added; ``None``: the parameters are the filters, drawn from the
        standard normal distribution by the key of ``init``.
      learn: ``"filters"`` or ``"all"``; ``()``, with given filters, for a fixed stage.

    There are ``ceil(samples / stride)`` frames, whose place does not depend on the clip's length.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> stage = jaxspec.stages.OctaveFilters(n_octaves=6, filters_per_octave=4, taps=8)
      >>> params = stage.init(jax.random.key(0))
      >>> jax.tree.map(jnp.shape, params)
      {'filters': (8, 24)}
      >>> stage.apply(params, jnp.zeros((2, 16000))).shape
      (2, 250, 24)

    Reference:
      V. Lostanlen, D. Haider, H. Han, M. Lagrange, P. Balazs and M. Ehler, "Fitting auditory
      filterbanks with multiresolution neural networks", WASPAA 2023.
    """

    takes = "waveform"
    gives = "features"
    matrix_params = _NAMES

    n_octaves: int
    filters_per_octave: int | tuple[int, ...]
    taps: int
    stride: int | None = None
    align: str = "frames"
    n_samples: int | None = None
    pad_mode: str = "symmetric"
    filters: Table | None = None
    learn: Names = "all"

    def __post_init__(self) -> None:
        self._set(n_octaves=check_positive_int("n_octaves", self.n_octaves))
        self._set(taps=check_positive_int("taps", self.taps))
        self._set(filters_per_octave=self._checked_counts())
        self._set(stride=self._checked_stride())
        check_choice("align", self.align, _ALIGN)
        check_choice("pad_mode", self.pad_mode, PAD_MODES)
        if self.n_samples is not None:
            self._set(n_samples=check_positive_int("n_samples", self.n_samples))
            if self.align != "octaves":
                raise ValueError(
                    f'n_samples has no effect but with align="octaves", got '
                    f"n_samples={self.n_samples}"
                )
        self._set(learn=check_learn(self.learn, _NAMES, "OctaveFilters"))
        self._check_filters()

    def _checked_counts(self) -> int | tuple[int, ...]:
        given = self.filters_per_octave
        if not isinstance(given, (tuple, list)):
            return check_positive_int("filters_per_octave", given)
        if len(given) != self.n_octaves:
            raise ValueError(
                f"filters_per_octave must be an int or have n_octaves={self.n_octaves} of them, "
                f"got filters_per_octave={given}"
            )
        return tuple(check_positive_int("filters_per_octave", count) for count in given)

    def _checked_stride(self) -> int:
        least = 2**self.n_octaves
        stride = least if self.stride is None else check_positive_int("stride", self.stride)
        if stride < least or stride & (stride - 1):
            raise ValueError(
                f"stride must be a power of 2, at least 2 ** n_octaves = {least}, got "
                f"stride={stride}"
            )
        return stride

    def _check_filters(self) -> None:
        if self.filters is None:
            if not learned_names(self.learn, _NAMES):
                raise ValueError(
                    "learn must name filters where none are given (filters=None), got learn=()"
                )
            return
        self._set(filters=Table(self.filters))
        shape = (self.taps, sum(self.counts))
        if self.filters.shape != shape:
            raise ValueError(
                f"filters must have shape (taps, channels) = {shape}, got {self.filters.shape}"
            )

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of filters of every octave, the finest first."""
        given = self.filters_per_octave
        return given if isinstance(given, tuple) else (given,) * self.n_octaves

    @property
    def _shifts(self) -> tuple[int, ...]:
        return octave_shifts(n_octaves=self.n_octaves, taps=self.taps, align=self.align)

    @property
    def _lags(self) -> tuple[int, ...]:
        return published_lags(self.n_samples or 2**self.n_octaves, n_octaves=self.n_octaves)

    @property
    def reach(self) -> Reach:
        assert self.stride is not None
        first, last = needed(
            1, taps=self.taps, stride=self.stride, shifts=self._shifts, lags=self._lags
        ).inputs[0]
        return Reach(stride=self.stride, before=-first, after=last, clip=self.pad_mode == "wrap")

    @property
    def least_piece(self) -> int:
        """The samples of the pieces that are worth their overlap."""
        return _LEAST_PIECE * (self.reach.before + self.reach.after)

    @property
    def start_need(self) -> int:
        return start_need(self.reach.before, self.pad_mode)

    @property
    def middles(self) -> tuple[float, ...]:
        """The position in the waveform, in samples, that frame 0 of every octave describes."""
        return octave_middles(taps=self.taps, shifts=self._shifts, lags=self._lags)

    @property
    def middle(self) -> float:
        """Halfway between the octaves farthest apart; aligned, where the coarsest is."""
        middles = self.middles
        return middles[-1] if self.align == "frames" else (min(middles) + max(middles)) / 2

    def channels(self, n: int | None) -> int:
        return sum(self.counts)

    def length(self, n: Any) -> Any:
        return at_least((n - 1) // self.stride + 1, 0)

    def extend(self, x: jax.Array, length: Length = None) -> jax.Array:
        reach = self.reach
        widths: dict[str, Any] = {"before": reach.before, "after": reach.after}
        if length is not None:
            return pad_first(x, length=length, pad_mode=self.pad_mode, **widths)
        return pad(x, pad_mode=self.pad_mode, **widths)

    def init(self, key: jax.Array, *, dtype: Any = jnp.float32) -> Params:
        shape = (self.taps, sum(self.counts))
        if self.filters is None:
            return {"filters": jax.random.normal(key, shape, dtype)}
        return {name: jnp.zeros(shape, dtype) for name in learned_names(self.learn, _NAMES)}

    def kernels(self, params: Params, *, dtype: Any = jnp.float32) -> jax.Array:
        """The filters at these parameters, ``(taps, channels)``."""
        wide = jnp.result_type(dtype, *params.values())
        start = 0 if self.filters is None else jnp.asarray(self.filters, wide)
        return start + params["filters"] if params else jnp.asarray(start)

    def _frozen(self, params: Params) -> Stage:
        return dataclasses.replace(self, filters=Table(self._float64(params)), learn=())

    def _arrays(self, params: Params) -> dict[str, Any]:
        return {"filters": self._float64(params)}

    def _float64(self, params: Params) -> np.ndarray:
        start = 0.0 if self.filters is None else self.filters.values
        return start + np.asarray(params.get("filters", 0.0), np.float64)

    def _findings(self, params: Params) -> list[str]:
        silent = np.flatnonzero((self._float64(params) == 0).all(axis=0))
        return [f"filter {channel} is 0, and its channel with it" for channel in silent]

    def prepare(self, params: Params) -> Params:
        if not params:
            return {}
        return {"kernels": self.kernels(params, dtype=jnp.result_type(*params.values()))}

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        assert self.stride is not None
        return filtered_octaves(
            x,
            params["kernels"] if params else self.kernels({}, dtype=x.dtype),
            counts=self.counts,
            stride=self.stride,
            shifts=self._shifts,
            lags=self._lags,
        )
