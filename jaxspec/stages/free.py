"""The stage of filters in time that are free: learned sample by sample."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_choice, check_positive_int, told
from jaxspec.analysis import hilbert_transform
from jaxspec.learning import Names, check_learn, learned_names
from jaxspec.stage import Params, Stage
from jaxspec.stages._in_time import _InTime
from jaxspec.stages.spectrum import real_products
from jaxspec.table import Table

__all__ = ["FreeFilters"]

PARTNERS = ("learned", "hilbert", "reversed", "none")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FreeFilters(_InTime):
    """Filters in time that are learned sample by sample: a strided convolution of the waveform.

    ``X[t, k] = sum_n x[t * hop_length + n] (real[n, k] + i imag[n, k])``

    Args:
      n_bands: number of filters.
      taps: samples in a frame, even or odd.
      hop_length: samples from frame to frame.
      center: frames have their sample ``taps // 2`` at the samples 0, ``hop_length``, … of the
        clip, with zeros beyond it; or, ``False``, begin there.
      partner: what the imaginary parts are: ``"learned"`` like the real ones; ``"hilbert"``, the
        negative Hilbert transform of the real parts, so that a filter passes no negative
        frequencies; ``"reversed"``, the negative of the real parts backwards around their first
        sample, which is what asteroid-filterbanks 0.4 computes in place of the former; ``"none"``:
        there are none, and the stage gives real features.
      real, imag: ``(taps, n_bands)``, the start, to which the parameters are added (``imag`` goes
        with ``partner="learned"`` alone); `like` takes them from other filters. Without, the
        parameters are the filters, and start as normal noise with the deviation
        ``sqrt(2 / (taps (n_bands + 1)))``.
      learn: which parts are parameters: ``"real"``, ``"imag"`` or ``"all"``; ``()`` for none.

    Raises:
      ValueError: for a start of another shape, for one part without the other, or if a part without
        a start is not learned.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> encoder = jaxspec.stages.FreeFilters(
      ...     n_bands=512, taps=16, hop_length=8, center=False, partner="none")  # ConvTasNet
      >>> params = encoder.init(jax.random.key(0))
      >>> encoder.apply(params, jnp.zeros(16000)).shape
      (1999, 512)

    Reference:
      N. Zeghidour, N. Usunier, I. Kokkinos, T. Schatz, G. Synnaeve and E. Dupoux, "Learning
      filterbanks from raw speech for phone recognition", ICASSP 2018. Partners: M. Pariente,
      S. Cornell, A. Deleforge and E. Vincent, "Filterbank design for end-to-end speech
      separation", ICASSP 2020.
    """

    matrix_params = ("real", "imag")

    partner: str = "learned"
    real: Table | None = None
    imag: Table | None = None
    learn: Names = "all"

    def __post_init__(self) -> None:
        self._set(n_bands=check_positive_int("n_bands", self.n_bands))
        self._check_frames()
        check_choice("partner", self.partner, PARTNERS)
        self._set(learn=check_learn(self.learn, self._parts, f"partner={self.partner!r}"))
        given = tuple(part for part in ("real", "imag") if getattr(self, part) is not None)
        if given and given != self._parts:
            raise ValueError(
                f"the start must be given for {' and '.join(self._parts)} with "
                f"partner={self.partner!r}, got {' and '.join(given)}"
            )
        for part in given:
            self._set(**{part: Table(getattr(self, part))})
            shape = getattr(self, part).shape
            if shape != (self.taps, self.n_bands):
                raise ValueError(
                    f"{part} must have shape (taps, n_bands) = {(self.taps, self.n_bands)}, got "
                    f"{shape}"
                )
        if not given and learned_names(self.learn, self._parts) != self._parts:
            raise ValueError(
                f"filters without a start must all be learned, got learn={self.learn!r}; give "
                f"{' and '.join(self._parts)}"
            )

    @classmethod
    def like(cls, filters: Any, params: Mapping[str, Any] | None = None, **choices: Any) -> Self:
        """Free filters that start at those of another stage, `Gabor` or `Sinc` for instance.

        Args:
          filters: a stage with a method ``kernels``.
          params: its parameters, all or some; what is missing is at its start.
          **choices: of the new stage, where it is not as the other one.

        Example:
          >>> import jaxspec
          >>> sinc = jaxspec.stages.Sinc(sample_rate=16000, n_bands=8, taps=51, hop_length=4)
          >>> free = jaxspec.stages.FreeFilters.like(sinc, partner="hilbert")
          >>> free.n_bands, free.taps, free.hop_length, free.real.shape
          (8, 51, 4, (51, 8))
        """
        kernels = getattr(filters, "kernels", None)
        if kernels is None:
            raise ValueError(
                f"filters must be a stage that has kernels, got a {type(filters).__name__}"
            )
        own = kernels({} if params is None else params, dtype=jnp.zeros(()).dtype)
        parts = {name: Table(np.asarray(part)) for name, part in own.items()}
        same = {name: getattr(filters, name) for name in ("n_bands", "hop_length", "center")}
        if choices.get("partner", "learned") != "learned":
            del parts["imag"]
        return cls(**{"taps": parts["real"].shape[0], **parts, **same, **choices})

    @property
    def gives(self) -> str:  # type: ignore[override]
        """A spectrum, or features where there are no partners."""
        return "features" if self.partner == "none" else "spectrum"

    @property
    def _parts(self) -> tuple[str, ...]:
        """The parts that may be learned."""
        return ("real", "imag") if self.partner == "learned" else ("real",)

    def init(self, key: jax.Array, *, dtype: Any = jnp.float32) -> Params:
        names, shape = learned_names(self.learn, self._parts), (self.taps, self.n_bands)
        if self.real is not None:
            return {name: jnp.zeros(shape, dtype) for name in names}
        deviation = float(np.sqrt(2 / (self.taps * (self.n_bands + 1))))
        keys = jax.random.split(key, len(names))
        return {
            name: deviation * jax.random.normal(own, shape, dtype)
            for name, own in zip(names, keys, strict=True)
        }

    def kernels(self, params: Params, *, dtype: Any = jnp.float32) -> dict[str, jax.Array]:
        """The filters at these parameters: ``"real"`` and, with partners, ``"imag"``."""
        self._check_known(params)
        parts = {}
        for name in self._parts:
            start = getattr(self, name)
            own = params.get(name)
            if own is None and start is None:
                raise ValueError(f"params must hold {name!r}, for filters without a start")
            wide = dtype if own is None else own.dtype
            part = jnp.zeros((), wide) if start is None else jnp.asarray(start, wide)
            parts[name] = part if own is None else part + own
        if self.partner == "hilbert":
            parts["imag"] = -hilbert_transform(parts["real"])
        elif self.partner == "reversed":
            parts["imag"] = -jnp.roll(jnp.flip(parts["real"], axis=0), 1, axis=0)
        return parts

    def _arrays(self, params: Params) -> dict[str, Any]:
        return self.kernels(params)

    def _frozen(self, params: Params) -> Stage:
        arrays = self.arrays(params)
        parts: dict[str, Any] = {name: Table(arrays[name]) for name in self._parts}
        return dataclasses.replace(self, **parts, learn=())

    def _findings(self, params: Params) -> list[str]:
        """Filters that became 0."""
        sizes = sum(np.abs(np.asarray(part)).sum(axis=0) for part in self.kernels(params).values())
        zero = np.flatnonzero(sizes == 0)
        return [f"{told(zero, what='filter')} 0"] if zero.size else []

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        if self.partner != "none":
            return super().transform(params, x)
        tables = params or self._tables({}, x.dtype)
        return real_products(x, tables["real"], hop_length=self.hop_length)
