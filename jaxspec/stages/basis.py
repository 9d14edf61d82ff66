"""A short-time Fourier transform whose basis is learned, sample by sample."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec.fourier import waves
from jaxspec.learning import Names, check_learn, learned_names
from jaxspec.spectrum import analysis_lengths, check_padding
from jaxspec.stage import Params, Stage
from jaxspec.stages.spectrum import _ShortTime, products
from jaxspec.table import Table
from jaxspec.windows import WindowLike, held, window_in_frame

__all__ = ["BasisSTFT"]

_PARTS = ("real", "imag")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BasisSTFT(_ShortTime):
    """Short-time Fourier transform whose basis is learned: every sample of every bin's waves.

    ``X[t, k] = sum_n x[t * hop_length + n] (real[n, k] + i imag[n, k])``, which starts as the
    windowed Fourier transform. Bins are then no frequencies any more, and neighbouring ones no
    longer related: ``2 n_fft (n_fft // 2 + 1)`` numbers are learned.

    Args:
      n_fft, hop_length, win_length, window, periodic, center, pad_mode: as in `jaxspec.stft`.
      real, imag: ``(n_fft, n_fft // 2 + 1)``, both or neither: a basis of your own instead of the
        windowed waves, whose window then must keep its default.
      learn: which parts exist as parameters: ``"real"``, ``"imag"`` or ``"all"``, each
        ``(n_fft, n_fft // 2 + 1)`` and 0 at the start; they are added to the basis, whose largest
        value is that of the window.

    A frame costs ``2 n_fft (n_fft // 2 + 1)`` multiplications, in full precision.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> stft = jaxspec.stages.BasisSTFT(n_fft=512, hop_length=160, win_length=400)
      >>> params = stft.init(jax.random.key(0))
      >>> jax.tree.map(jnp.shape, params)
      {'imag': (512, 257), 'real': (512, 257)}
      >>> stft.apply(params, jnp.zeros(16000)).shape
      (101, 257)

    Reference:
      K. W. Cheuk, H. Anderson, K. Agres and D. Herremans, "nnAudio: an on-the-fly GPU audio to
      spectrogram conversion toolbox using 1D convolutional neural networks", IEEE Access 8, 2020.
    """

    matrix_params = _PARTS

    n_fft: int
    hop_length: int | None = None
    win_length: int | None = None
    window: WindowLike = "hann"
    periodic: bool = True
    center: bool = True
    pad_mode: str = "reflect"
    real: Table | None = None
    imag: Table | None = None
    learn: Names = "all"

    def __post_init__(self) -> None:
        n_fft, hop_length, win_length = analysis_lengths(
            self.n_fft, self.hop_length, self.win_length
        )
        self._set(n_fft=n_fft, hop_length=hop_length, win_length=win_length)
        self._set(periodic=bool(self.periodic), center=bool(self.center))
        check_padding(self.center, self.pad_mode)
        self._set(window=held(self.window, win_length, periodic=self.periodic))
        self._set(learn=check_learn(self.learn, _PARTS, "BasisSTFT"))
        if self.real is not None or self.imag is not None:
            self._check_own()

    def _check_own(self) -> None:
        shape = (self.n_fft, self.n_fft // 2 + 1)
        for part in _PARTS:
            given = getattr(self, part)
            if given is None:
                raise ValueError(f"real and imag must be given together, got {part}=None")
            self._set(**{part: Table(given)})
            if getattr(self, part).shape != shape:
                raise ValueError(
                    f"{part} must have shape (n_fft, n_fft // 2 + 1) = {shape}, got "
                    f"{getattr(self, part).shape}"
                )
        for name, unset in (("window", "hann"), ("periodic", True), ("win_length", self.n_fft)):
            if getattr(self, name) != unset:
                raise ValueError(
                    f"{name} has no effect on a basis of your own, got "
                    f"{name}={getattr(self, name)!r}"
                )

    def init(self, key: jax.Array, *, dtype: Any = jnp.float32) -> Params:
        shape = (self.n_fft, self.n_fft // 2 + 1)
        return {part: jnp.zeros(shape, dtype) for part in learned_names(self.learn, _PARTS)}

    def basis(self, params: Params, *, dtype: Any = jnp.float32) -> dict[str, jax.Array]:
        """The basis at these parameters: ``"real"`` and ``"imag"``, ``(n_fft, n_fft // 2 + 1)``."""
        wide = jnp.result_type(dtype, *params.values())
        if self.real is not None and self.imag is not None:
            basis = {"real": jnp.asarray(self.real, wide), "imag": jnp.asarray(self.imag, wide)}
        else:
            cosine, sine = waves(self.n_fft, wide)
            window = jnp.asarray(self._window_table(), wide)[:, None]
            basis = {"real": window * cosine, "imag": -window * sine}
        return {part: start + params.get(part, 0) for part, start in basis.items()}

    def _frozen(self, params: Params) -> Stage:
        parts: dict[str, Any] = {part: Table(a) for part, a in self.arrays(params).items()}
        parts |= {"window": "hann", "periodic": True, "win_length": None, "learn": ()}
        return dataclasses.replace(self, **parts)

    def _arrays(self, params: Params) -> dict[str, Any]:
        return self.basis(params)

    def _window_table(self) -> np.ndarray:
        assert self.win_length is not None
        return window_in_frame(
            self.window, n_fft=self.n_fft, win_length=self.win_length, periodic=self.periodic
        )

    def prepare(self, params: Params) -> Params:
        if not params:
            return {}
        return dict(self.basis(params, dtype=jnp.result_type(*params.values())))

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        assert self.hop_length is not None
        basis = params or self.basis({}, dtype=x.dtype)
        return products(x, basis, hop_length=self.hop_length)
