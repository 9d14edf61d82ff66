"""Stages from waveform to spectrum, and from spectrum to features."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_choice, check_number
from jaxspec.fourier import check_method
from jaxspec.framing import frame, num_frames, start_need
from jaxspec.polar import power
from jaxspec.reach import Reach
from jaxspec.spectrum import NORMALIZATIONS, analysis_lengths, analyze, center_pad, check_padding
from jaxspec.stage import Length, Params, Stage
from jaxspec.windows import WindowLike, held, window_in_frame

__all__ = ["STFT", "Power", "products"]


class _ShortTime(Stage):
    """The frames of a spectrum: ``n_fft`` samples every ``hop_length``."""

    takes = "waveform"
    gives = "spectrum"

    n_fft: int
    hop_length: Any
    center: bool
    pad_mode: str

    @property
    def reach(self) -> Reach:
        before = self.n_fft // 2 if self.center else 0
        return Reach(
            stride=self.hop_length,
            before=before,
            after=self.n_fft - before - 1,
            clip=self.center and self.pad_mode == "wrap",
        )

    @property
    def start_need(self) -> int:
        return start_need(self.reach.before, self.pad_mode)

    @property
    def middle(self) -> float:
        return 0 if self.center else self.n_fft // 2

    def channels(self, n: int | None) -> int:
        return self.n_fft // 2 + 1

    def length(self, n: Any) -> Any:
        return num_frames(n, n_fft=self.n_fft, hop_length=self.hop_length, center=self.center)

    def extend(self, x: jax.Array, length: Length = None) -> jax.Array:
        return center_pad(
            x,
            n_fft=self.n_fft,
            hop_length=self.hop_length,
            center=self.center,
            pad_mode=self.pad_mode,
            length=length,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class STFT(_ShortTime):
    """Short-time Fourier transform: `jaxspec.stft`.

    Args:
      n_fft, hop_length, win_length, window, periodic, center, pad_mode, normalized, method,
        precision: as in `jaxspec.stft`. A window given as an array or a callable is held as a
        `jaxspec.Table`.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> stft = jaxspec.stages.STFT(n_fft=512, hop_length=160)
      >>> stft(jnp.zeros((2, 16000))).shape
      (2, 101, 257)
    """

    n_fft: int
    hop_length: int | None = None
    win_length: int | None = None
    window: WindowLike = "hann"
    periodic: bool = True
    center: bool = True
    pad_mode: str = "reflect"
    normalized: str | None = None
    method: str = "auto"
    precision: str = "highest"

    def __post_init__(self) -> None:
        n_fft, hop_length, win_length = analysis_lengths(
            self.n_fft, self.hop_length, self.win_length
        )
        self._set(n_fft=n_fft, hop_length=hop_length, win_length=win_length)
        self._set(periodic=bool(self.periodic), center=bool(self.center))
        check_padding(self.center, self.pad_mode)
        check_choice("normalized", self.normalized, NORMALIZATIONS)
        check_method(self.method, self.precision)
        self._set(window=held(self.window, win_length, periodic=self.periodic))

    def window_table(self) -> np.ndarray:
        """The window in its frame, float64 ``(n_fft,)``."""
        assert self.win_length is not None
        return window_in_frame(
            self.window, n_fft=self.n_fft, win_length=self.win_length, periodic=self.periodic
        )

    def _arrays(self, params: Params) -> dict[str, Any]:
        return {"window": self.window_table()}

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        assert self.hop_length is not None
        return analyze(
            x,
            self.window_table(),
            hop_length=self.hop_length,
            normalized=self.normalized,
            method=self.method,
            precision=self.precision,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Power(Stage):
    """Power of the magnitude of every bin: `jaxspec.power`.

    Args:
      exponent: above 0; 2 for a power spectrum, 1 for a magnitude spectrum.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.Power(exponent=1)(jnp.array([[3 + 4j]]))
      Array([[5.]], dtype=float32)
    """

    takes = "spectrum"
    gives = "features"

    exponent: float = 2.0

    def __post_init__(self) -> None:
        self._set(exponent=check_number("exponent", self.exponent, above=0))

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return power(x, exponent=self.exponent)


def products(x: jax.Array, basis: Params, *, hop_length: int) -> jax.Array:
    """The spectrum of every whole frame of ``x`` by a basis of ``(n_fft, bins)``.

    ``basis`` holds its ``"real"`` and ``"imag"`` parts, window included.
    """
    real, imag = (jnp.asarray(basis[part], x.dtype) for part in ("real", "imag"))
    frames = frame(x, frame_length=real.shape[0], hop_length=hop_length)
    return jax.lax.complex(
        jnp.matmul(frames, real, precision=jax.lax.Precision.HIGHEST),
        jnp.matmul(frames, imag, precision=jax.lax.Precision.HIGHEST),
    )


def real_products(x: jax.Array, kernels: jax.Array, *, hop_length: int) -> jax.Array:
    """The products of every whole frame of ``x`` with real kernels ``(taps, channels)``."""
    frames = frame(x, frame_length=kernels.shape[0], hop_length=hop_length)
    kernels = jnp.asarray(kernels, x.dtype)
    return jnp.matmul(frames, kernels, precision=jax.lax.Precision.HIGHEST)
