"""What stages of filters in time share: frames of samples, and products with kernels."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxspec._checks import check_positive_int
from jaxspec._sizes import at_least
from jaxspec.framing import only_first, pad, start_need
from jaxspec.reach import Reach
from jaxspec.stage import Length, Params, Stage
from jaxspec.stages.spectrum import products

__all__: list[str] = []


@dataclasses.dataclass(frozen=True, kw_only=True)
class _InTime(Stage):
    """Filters of ``taps`` samples at every ``hop_length``-th sample of a waveform."""

    takes = "waveform"
    gives = "spectrum"

    n_bands: int
    taps: int
    hop_length: int = 1
    center: bool = True

    def _check_frames(self) -> None:
        """To be called in ``__post_init__``."""
        self._set(taps=check_positive_int("taps", self.taps))
        self._set(hop_length=check_positive_int("hop_length", self.hop_length))
        self._set(center=bool(self.center))

    @property
    def reach(self) -> Reach:
        before = self.taps // 2 if self.center else 0
        return Reach(stride=self.hop_length, before=before, after=self.taps - 1 - before)

    @property
    def start_need(self) -> int:
        return start_need(self.reach.before, "constant")

    @property
    def middle(self) -> float:
        return 0 if self.center else self.taps // 2

    def channels(self, n: int | None) -> int:
        return self.n_bands

    def length(self, n: Any) -> Any:
        room = n - 1 if self.center else n - self.taps
        return at_least(room // self.hop_length + 1, 0)

    def extend(self, x: jax.Array, length: Length = None) -> jax.Array:
        if not self.center:
            if x.shape[-1] < self.taps:
                raise ValueError(
                    f"a clip of {x.shape[-1]} samples holds no frame of taps={self.taps} samples "
                    f"with center=False; pad it, or use center=True"
                )
            return x
        x = only_first(x, length)
        half = self.taps // 2
        return pad(x, before=half, after=self.taps - 1 - half, pad_mode="constant")

    def kernels(self, params: Params, *, dtype: Any = jnp.float32) -> dict[str, jax.Array]:
        """The filters at these parameters: ``"real"`` and ``"imag"``, each ``(taps, n_bands)``."""
        raise NotImplementedError

    def prepare(self, params: Params) -> Params:
        return self._tables(params, jnp.result_type(*params.values())) if params else {}

    def _tables(self, params: Params, dtype: Any) -> Params:
        """What the transform needs of the parameters."""
        return dict(self.kernels(params, dtype=dtype))

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        tables = params or self._tables({}, x.dtype)
        return products(x, tables, hop_length=self.hop_length)
