"""A short-time Fourier transform whose window is learned, one for all bins or one for each."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_number, check_positive_int
from jaxspec.adaptive_windows import (
    LEAST_COEFFICIENT,
    adaptive_window,
    between,
    check_family_norm,
    computed_once,
)
from jaxspec.fourier import check_method, waves
from jaxspec.learning import Names, check_learn, learned_names
from jaxspec.parametrize import ends_reached, positive, shares
from jaxspec.spectrum import analyze, check_padding
from jaxspec.stage import Params, Stage
from jaxspec.stages.spectrum import STFT, _ShortTime, products
from jaxspec.table import Table

__all__ = ["AdaptiveSTFT"]

_SHORTEST = 2.0
_BETA = 8.0
_BETA_FACTOR = 100.0
_HANN = (0.5, 0.5)
_KNOTS = 16

# What can be learned of every family.
_NAMES: dict[str, tuple[str, ...]] = {
    "hann": ("win_length",),
    "gaussian": ("win_length",),
    "kaiser": ("win_length", "beta"),
    "cosine": ("win_length", "coefficients"),
    "free": ("win_length", "profile"),
}
_SHAPES = ("beta", "coefficients", "profile")
# The option that belongs to one family only.
_OWN = {"beta": "kaiser", "coefficients": "cosine", "n_knots": "free", "profile": "free"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Windowed(_ShortTime):
    """The window of a transform, its choices and its parameters."""

    n_fft: int
    win_length: float | Table
    family: str = "hann"
    beta: float | None = None
    coefficients: tuple[float, ...] | None = None
    n_knots: int | None = None
    profile: Table | None = None
    norm: str = "peak"
    min_length: float | None = None
    max_length: float | None = None
    learn: Names = "all"
    center: bool = True
    pad_mode: str = "reflect"

    def _names(self) -> tuple[str, ...]:
        return _NAMES[self.family]

    def __post_init__(self) -> None:
        self._set(n_fft=check_positive_int("n_fft", self.n_fft, minimum=2))
        self._set(center=bool(self.center))
        check_padding(self.center, self.pad_mode)
        check_family_norm(self.family, self.norm)
        self._check_shape()
        learn = check_learn(self.learn, self._names(), f"family={self.family!r}")
        self._set(learn=learn)
        self._check_length()

    def _check_shape(self) -> None:
        for name, family in _OWN.items():
            value = getattr(self, name)
            if value is not None and self.family != family:
                raise ValueError(
                    f'{name} has an effect only with family="{family}", got {name}={value!r} and '
                    f"family={self.family!r}"
                )
        if self.beta is not None:
            self._set(beta=check_number("beta", self.beta, above=0))
        if self.n_knots is not None:
            self._set(n_knots=check_positive_int("n_knots", self.n_knots))
        if self.profile is not None:
            self._set(profile=Table(self.profile))
            if self.n_knots is not None or len(self.profile.shape) != 1:
                raise ValueError(
                    f"profile must have shape (n,), which says n_knots, got profile with shape "
                    f"{self.profile.shape} and n_knots={self.n_knots}"
                )
        if self.coefficients is not None:
            # A learned share stays above the least, so it must start there.
            learned = self.learn == "all" or "coefficients" in self.learn
            least: dict[str, Any] = {"above": LEAST_COEFFICIENT} if learned else {"at_least": 0.0}
            each = tuple(
                check_number("each of coefficients", c, **least) for c in self.coefficients
            )
            if len(each) < 2 or abs(sum(each) - 1) > 1e-6:
                raise ValueError(
                    f"coefficients must be 2 or more that add up to 1 (the window is 1 in the "
                    f"middle), got coefficients={each}"
                )
            self._set(coefficients=each)

    def _check_length(self) -> None:
        given = self.win_length
        several = isinstance(given, Table | np.ndarray | tuple | list)
        self._set(win_length=Table(given) if several else check_number("win_length", given))
        values = self._start_length
        if several and (not self._per_bin or np.shape(values) != (self.n_fft // 2 + 1,)):
            raise ValueError(
                f"win_length must be a number or, with per_bin=True, hold n_fft // 2 + 1 = "
                f"{self.n_fft // 2 + 1} of them, got win_length={self.win_length!r}"
            )
        for name in ("min_length", "max_length"):
            bound = getattr(self, name)
            if bound is not None:
                self._set(**{name: check_number(name, bound, at_least=_SHORTEST)})
                if "win_length" not in self._learned:
                    raise ValueError(
                        f"{name} bounds a learned length and has no effect without one, got "
                        f"{name}={bound:g} and learn={self.learn!r}"
                    )
        low, high = self._bounds
        smallest, largest = np.min(values), np.max(values)
        if "win_length" not in self._learned:
            if smallest < _SHORTEST:
                raise ValueError(
                    f"win_length must be >= {_SHORTEST:g}, got win_length={smallest:g}"
                )
        elif not (low < smallest and largest < high):
            raise ValueError(
                f"win_length must lie strictly between min_length={low:g} and max_length={high:g} "
                f"(n_fft where it is not given) to be learned, got win_length={self.win_length}; "
                f"use a larger n_fft, or a max_length beyond it (the frame then cuts the window)"
            )

    @property
    def _per_bin(self) -> bool:
        return False

    @property
    def _start_length(self) -> Any:
        return self.win_length.values if isinstance(self.win_length, Table) else self.win_length

    @property
    def _start_profile(self) -> np.ndarray:
        return np.zeros(self.n_knots or _KNOTS) if self.profile is None else self.profile.values

    @property
    def _bounds(self) -> tuple[float, float]:
        return self.min_length or _SHORTEST, self.max_length or float(self.n_fft)

    @property
    def _learned(self) -> tuple[str, ...]:
        return learned_names(self.learn, self._names())

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {
            "win_length": (self.n_fft // 2 + 1,) if self._per_bin else (),
            "beta": (),
            "coefficients": (len(self.coefficients or _HANN),),
            "profile": self._start_profile.shape,
            "hop_length": (),
        }

    def init(self, key: jax.Array, *, dtype: Any = jnp.float32) -> Params:
        shapes = self._shapes()
        return {name: jnp.zeros(shapes[name], dtype) for name in self._learned}

    def values(self, params: Params) -> dict[str, Any]:
        """Length in samples and shape of the window at these parameters, numbers or arrays."""
        self._check_known(params)
        start: dict[str, Any] = {
            "win_length": np.full(self._shapes()["win_length"], self._start_length),
            "beta": self.beta or _BETA,
            "coefficients": np.array(self.coefficients or _HANN),
            "profile": self._start_profile,
        }
        values = {name: start[name] for name in _NAMES[self.family]}
        for name in values:
            if name not in params:
                continue
            z = jnp.asarray(params[name])
            if name == "win_length":
                low, high = self._bounds
                values[name] = between(z, start=start[name], low=low, high=high)
            elif name == "beta":
                values[name] = positive(z, start=start[name], factor=_BETA_FACTOR)
            elif name == "coefficients":
                values[name] = shares(z, start=start[name], least=LEAST_COEFFICIENT)
            else:
                values[name] = jnp.asarray(start[name], z.dtype) + z
        return values

    def _window(self, params: Params, **options: Any) -> Any:
        """``(n_fft,)`` or ``(bins, n_fft)``; in NumPy where nothing is learned."""
        return self._sampled(self.values(params), **options)

    def _sampled(self, values: dict[str, Any], **options: Any) -> Any:
        shape = {name: value for name, value in values.items() if name in _SHAPES}
        return adaptive_window(
            values["win_length"],
            n_fft=self.n_fft,
            family=self.family,
            norm=self.norm,
            **shape,
            **options,
        )

    def window_table(self, params: Params) -> Table:
        """The window at these parameters as a constant: ``(n_fft,)``, or ``(bins, n_fft)`` per bin.

        A `jaxspec.stages.STFT` takes the former as its ``window``.
        """
        values = self.values(params)
        return Table(self._sampled({k: np.asarray(v, np.float64) for k, v in values.items()}))

    def _with_start(self, params: Params) -> dict[str, Any]:
        """Choices with which a fixed window is the one at these parameters."""
        values = {k: np.asarray(v, np.float64) for k, v in self.values(params).items()}
        if "coefficients" in values:
            values["coefficients"] /= values["coefficients"].sum()  # in float32 1 up to rounding
        values["win_length"] = np.maximum(values["win_length"], _SHORTEST)  # rounding again
        held = {
            name: value.tolist() if name == "coefficients" or not value.ndim else Table(value)
            for name, value in values.items()
        }
        return held | {"learn": (), "min_length": None, "max_length": None, "n_knots": None}

    def _arrays(self, params: Params) -> dict[str, Any]:
        return {"window": self.window_table(params).values} | self.values(params)

    def _findings(self, params: Params) -> list[str]:
        def value(name: str, z: jax.Array) -> Any:
            return self.values({name: z})[name]

        bounded = [name for name in params if name in ("win_length", "beta")]
        found = ends_reached(params, {name: partial(value, name) for name in bounded})
        length = float(np.max(np.asarray(self.values(params)["win_length"])))
        if length > self.n_fft:
            found.append(
                f"win_length {length:.1f} is longer than the frame of n_fft={self.n_fft} samples, "
                f"which cuts the window"
            )
        return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdaptiveSTFT(_Windowed):
    """Short-time Fourier transform whose window is learned: its length, its shape or both.

    Args:
      n_fft: samples in a frame and length of the FFT: all that a window can see.
      win_length: length of the window at the start, in samples; any real number. With
        ``per_bin=True`` also one for each of the ``n_fft // 2 + 1`` bins.
      hop_length, center, pad_mode, method, precision: as in `jaxspec.stft`.
      family: ``"hann"``, ``"gaussian"`` (standard deviation ``win_length / 6``, not cut at its
        length), ``"kaiser"``, ``"cosine"`` (a sum of cosines) or ``"free"`` (symmetric, starts as a
        Hann window), as in `jaxspec.adaptive_windows.adaptive_window`.
      beta: of a Kaiser window at the start, above 0; default 8.
      coefficients: of a sum of cosines at the start, two or more above 0.001 (or at least 0, if
        they are not learned) that add up to 1; default ``(0.5, 0.5)``, a Hann window.
      n_knots: how many values describe a free window from its middle to its end; default 16.
      profile: ``(n_knots,)``, a free window at the start, as in
        `jaxspec.adaptive_windows.adaptive_window`; default a Hann window.
      norm: ``"peak"``: 1 in the middle, as the windows of `jaxspec.stages.STFT`; ``"sum"`` or
        ``"energy"``: sum or energy of the samples is 1, so that the length does not change the
        level of tones or of noise; ``"length"``: divided by ``win_length / n_fft``, much as
        ``"sum"``.
      min_length, max_length: bounds of the learned length, in samples; default 2 and ``n_fft``.
        Beyond ``n_fft`` the frame cuts the window.
      learn: which of these exist as parameters, by name, or ``"all"``: ``win_length`` (a number;
        with ``per_bin``, ``(bins,)``), and by family ``beta``, ``coefficients`` ``(n,)`` or
        ``profile`` ``(n_knots,)``. All are 0 at the start.
      per_bin: one length for every bin. Spectra are then a product with a matrix
        ``(n_fft, bins)`` that is made once for a clip, ``4 n_fft bins`` operations for a frame
        (an FFT takes about ``2.5 n_fft log2(n_fft)``); the window is never copied per frame.

    The window has its middle at ``n_fft / 2``; a periodic window of `jaxspec.stages.STFT` is the
    same where ``n_fft - win_length`` is even, else it lies half a sample before.

    Parameters have no unit, and lengths move in proportion to the bounds: a stage for another
    sample rate, with ``n_fft``, ``hop_length``, ``win_length`` and the stated bounds scaled alike,
    takes the same parameters, and its windows are as long in seconds.

    Raises:
      ValueError: for a length outside its bounds, a window as long as the frame without a
        ``max_length`` beyond it, and an option of another family.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> stft = jaxspec.stages.AdaptiveSTFT(n_fft=512, win_length=400, hop_length=160)
      >>> params = stft.init(jax.random.key(0))
      >>> params
      {'win_length': Array(0., dtype=float32)}
      >>> stft.apply(params, jnp.zeros((2, 16000))).shape
      (2, 101, 257)
      >>> stft.values({"win_length": jnp.array(-1.0)})["win_length"].round(1)
      Array(291., dtype=float32)

    Reference:
      M. Leiber, A. Barrau, Y. Marnissi and D. Abboud, "A differentiable short-time Fourier
      transform with respect to the window length", EUSIPCO 2022. Gaussian: J. Martinsson and
      M. Sandsten, "DMEL: the differentiable log-mel spectrogram", ICASSP 2024.
    """

    hop_length: int
    per_bin: bool = False
    method: str = "auto"
    precision: str = "highest"

    def __post_init__(self) -> None:
        self._set(hop_length=check_positive_int("hop_length", self.hop_length))
        self._set(per_bin=bool(self.per_bin))
        check_method(self.method, self.precision)
        if self.per_bin and self.method != "auto":
            raise ValueError(
                f"method has no effect with per_bin=True (always a matrix product), got "
                f"method={self.method!r}"
            )
        super().__post_init__()

    @property
    def _per_bin(self) -> bool:
        return self.per_bin

    def _frozen(self, params: Params) -> Stage:
        if self.per_bin:
            return dataclasses.replace(self, **self._with_start(params))
        return STFT(
            n_fft=self.n_fft,
            hop_length=self.hop_length,
            window=self.window_table(params),
            center=self.center,
            pad_mode=self.pad_mode,
            method=self.method,
            precision=self.precision,
        )

    def _tables(self, params: Params, dtype: Any) -> dict[str, jax.Array]:
        window = jnp.asarray(self._window(params), dtype)
        if not self.per_bin:
            return {"window": computed_once(window)}
        cosine, sine = waves(self.n_fft, dtype)
        return {"real": window.T * cosine, "imag": -window.T * sine}

    def prepare(self, params: Params) -> Params:
        return self._tables(params, jnp.result_type(*params.values())) if params else {}

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        tables = params or self._tables({}, x.dtype)
        if self.per_bin:
            return products(x, tables, hop_length=self.hop_length)
        return analyze(
            x,
            tables["window"],
            hop_length=self.hop_length,
            normalized=None,
            method=self.method,
            precision=self.precision,
        )
