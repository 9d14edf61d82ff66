"""Stages on the frames of a waveform, one by one: how a spectrum is made step by step.

`jaxspec.stages.STFT` does most of it in one stage; these are for front-ends that do something
to every frame before the Fourier transform, as Kaldi does, or count frames in another way.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_choice, check_number, check_positive_int, check_same
from jaxspec._sizes import at_least, either, is_symbol, surely_less
from jaxspec.fourier import check_method, rfft
from jaxspec.framing import frame, only_first, pad, pad_first, pad_unchecked, start_need
from jaxspec.reach import Reach
from jaxspec.stage import Length, Params, Stage
from jaxspec.stages.padding import with_zeros
from jaxspec.windows import WindowLike, held, window

__all__ = [
    "RFFT",
    "Frame",
    "FramePreEmphasis",
    "LogEnergy",
    "RealParts",
    "RemoveFrameMean",
    "Window",
]

EDGES = ("whole", "zeros", "mirror", "same")
SHORT = ("error", "empty")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Frame(Stage):
    """Cut the waveform into overlapping frames: `jaxspec.frame`, with a choice of edges.

    Args:
      frame_length: samples in a frame.
      hop_length: samples from one frame to the next.
      edges: which frames there are.
        ``"whole"``: those that lie in the clip, the first at sample 0:
        ``1 + (n - frame_length) // hop_length`` (Kaldi with ``snip_edges``).
        ``"zeros"``: one for every hop that begins in the clip, ``ceil(n / hop_length)``, continued
        with zeros (``tf.signal.frame`` with ``pad_end``).
        ``"mirror"``: one around the middle of every hop, ``(n + hop_length // 2) // hop_length``,
        continued by the mirror image, end samples repeated (Kaldi without ``snip_edges``).
        ``"same"``: ``ceil(n / hop_length)``, continued with as many zeros on both sides (XLA's
        SAME padding); where they begin depends on the length of the clip (reach ``"clip"``).
      lookahead: with ``edges="whole"``, a frame must be followed by so many more samples.
      short: with ``edges="whole"``, what a clip gives that holds no frame: ``"error"``, or
        ``"empty"``: no frames.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.Frame(frame_length=3, hop_length=2, edges="zeros")(jnp.arange(4.0))
      Array([[0., 1., 2.],
             [2., 3., 0.]], dtype=float32)
    """

    takes = "waveform"
    gives = "frames"

    frame_length: int
    hop_length: int
    edges: str = "whole"
    lookahead: int = 0
    short: str = "error"

    def __post_init__(self) -> None:
        self._set(
            frame_length=check_positive_int("frame_length", self.frame_length),
            hop_length=check_positive_int("hop_length", self.hop_length),
            lookahead=check_positive_int("lookahead", self.lookahead, minimum=0),
        )
        check_choice("edges", self.edges, EDGES)
        check_choice("short", self.short, SHORT)
        for name, value, default in (
            ("lookahead", self.lookahead, 0),
            ("short", self.short, "error"),
        ):
            if self.edges != "whole" and value != default:
                raise ValueError(
                    f'{name} has an effect only with edges="whole", got {name}={value!r} and '
                    f"edges={self.edges!r}"
                )

    @property
    def _before(self) -> int:
        """How many samples lie before the first sample of the clip (for SAME, at most)."""
        if self.edges == "mirror":
            return self.frame_length // 2 - self.hop_length // 2
        return max(self.frame_length - 1, 0) // 2 if self.edges == "same" else 0

    @property
    def reach(self) -> Reach:
        after = self.frame_length - 1 - self._before + self.lookahead
        before = self._before
        return Reach(stride=self.hop_length, before=before, after=after, clip=self.edges == "same")

    @property
    def edge_reach(self) -> int:
        return self.frame_length // 2 + self.hop_length if self.edges == "mirror" else 0

    @property
    def start_need(self) -> int:
        return start_need(self._before, "symmetric" if self.edges == "mirror" else "constant")

    @property
    def middle(self) -> float:
        return self.frame_length // 2 - self._before

    def channels(self, n: int | None) -> int:
        return self.frame_length

    def length(self, n: Any) -> Any:
        if self.edges == "whole":
            needed = self.frame_length + self.lookahead
            return at_least(1 + (n - needed) // self.hop_length, 0)
        if self.edges == "mirror":
            return (n + self.hop_length // 2) // self.hop_length
        return -(-n // self.hop_length)

    def extend(self, x: jax.Array, length: Length = None) -> jax.Array:
        n, before = x.shape[-1], self._before
        count = self.length(n)
        if self.edges == "whole":
            if count == 0 and self.short == "error":
                raise ValueError(
                    f"a clip of {n} samples holds no frame of {self.frame_length} samples"
                    + (f" and {self.lookahead} more" if self.lookahead else "")
                    + '; pad it, or use short="empty"'
                )
            return x
        total = self._covered(count)
        if self.edges == "same":
            return self._same(x, total, n if length is None else length)
        if before < 0:  # the middle of a hop lies behind its start by more than half a frame
            x = x[..., -before:]
            n, length, before = n + before, None if length is None else length + before, 0
        mode = "symmetric" if self.edges == "mirror" else "constant"
        after = at_least(total - n - before, 0)
        if length is None:
            return pad_unchecked(x, before=before, after=after, pad_mode=mode)[..., :total]
        # The end of a shorter clip may need more than that of the longest.
        after += self.hop_length
        x = pad_first(x, length=length, before=before, after=after, pad_mode=mode)
        return x[..., :total]

    def _covered(self, count: Any) -> Any:
        """How many samples so many frames cover."""
        covered = at_least((count - 1) * self.hop_length + self.frame_length, 0)
        return either(count, 0, covered)

    def _same(self, x: jax.Array, total: int, length: Any) -> jax.Array:
        """As many zeros before a clip as behind it, or one less."""
        own = at_least((self.length(length) - 1) * self.hop_length + self.frame_length - length, 0)
        if isinstance(length, int) or is_symbol(length):
            before = own // 2
            after = at_least(total - x.shape[-1] - before, 0)
            return pad_unchecked(x, before=before, after=after, pad_mode="constant")[..., :total]
        most = self._before
        x = pad(only_first(x, length), before=most, after=self.frame_length, pad_mode="constant")
        return jax.lax.dynamic_slice_in_dim(x, most - own // 2, total, axis=x.ndim - 1)

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        if surely_less(x.shape[-1], self.frame_length + self.lookahead):
            return jnp.zeros((*x.shape[:-1], 0, self.frame_length), x.dtype)
        x = x[..., : x.shape[-1] - self.lookahead]
        return frame(x, frame_length=self.frame_length, hop_length=self.hop_length)


class _OfFrames(Stage):
    takes = "frames"
    gives = "frames"


@dataclasses.dataclass(frozen=True, kw_only=True)
class RemoveFrameMean(_OfFrames):
    """Take the mean of every frame off its samples.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.RemoveFrameMean()(jnp.array([[1.0, 2.0, 6.0]]))
      Array([[-2., -1.,  3.]], dtype=float32)
    """

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return x - jnp.mean(x, axis=-1, keepdims=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FramePreEmphasis(_OfFrames):
    """High-pass filter of every frame by itself: ``y[n] = x[n] - coef * x[n - 1]``.

    Args:
      coef: above 0 and at most 1.
      first: the first sample of a frame, which has none before it: ``"replicate"``, as if that were
        the same (Kaldi: ``(1 - coef) x[0]``); ``"drop"``, frames become one sample shorter.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.FramePreEmphasis(coef=0.5)(jnp.array([[2.0, 2.0, 4.0]]))
      Array([[1., 1., 3.]], dtype=float32)
    """

    coef: float = 0.97
    first: str = "replicate"

    def __post_init__(self) -> None:
        self._set(coef=check_number("coef", self.coef, above=0, at_most=1))
        check_choice("first", self.first, ("replicate", "drop"))

    def channels(self, n: int | None) -> int | None:
        if n == 1 and self.first == "drop":
            raise ValueError('first must be "replicate" for frames of 1 sample, got first="drop"')
        return n if n is None or self.first == "replicate" else n - 1

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        if self.first == "drop":
            return x[..., 1:] - self.coef * x[..., :-1]
        before = jnp.concatenate([x[..., :1], x[..., :-1]], axis=-1)
        return x - self.coef * before


@dataclasses.dataclass(frozen=True, kw_only=True)
class Window(_OfFrames):
    """Multiply every frame by a window: `jaxspec.window`.

    Args:
      window, periodic: as in `jaxspec.window`; a window given as an array or a callable is held
        as a `jaxspec.Table`.
      win_length: samples in a frame, and in the window.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.Window(window="hann", win_length=4)(jnp.ones((1, 4)))
      Array([[0. , 0.5, 1. , 0.5]], dtype=float32)
    """

    win_length: int
    window: WindowLike = "hann"
    periodic: bool = True

    def __post_init__(self) -> None:
        win_length = check_positive_int("win_length", self.win_length)
        self._set(win_length=win_length, periodic=bool(self.periodic))
        self._set(window=held(self.window, win_length, periodic=self.periodic))

    def window_table(self) -> np.ndarray:
        """The window, float64 ``(win_length,)``."""
        return window(self.window, self.win_length, periodic=self.periodic)

    def channels(self, n: int | None) -> int:
        if n is not None:
            check_same("the number of samples in a frame", n, "win_length", self.win_length)
        return self.win_length

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return x * jnp.asarray(self.window_table(), x.dtype)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RFFT(Stage):
    """The Fourier transform of every frame, continued with zeros to ``n_fft`` samples.

    Args:
      n_fft: length of the transform, at least that of a frame.
      method, precision: as in `jaxspec.stft`.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.RFFT(n_fft=4)(jnp.ones((1, 3)))
      Array([[3.+0.j, 0.-1.j, 1.+0.j]], dtype=complex64)
    """

    takes = "frames"
    gives = "spectrum"

    n_fft: int
    method: str = "auto"
    precision: str = "highest"

    def __post_init__(self) -> None:
        self._set(n_fft=check_positive_int("n_fft", self.n_fft))
        check_method(self.method, self.precision)

    def channels(self, n: int | None) -> int:
        if n is not None and n > self.n_fft:
            raise ValueError(
                f"n_fft must be >= the number of samples in a frame, got n_fft={self.n_fft} and "
                f"{n} samples"
            )
        return self.n_fft // 2 + 1

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        x = with_zeros(x, self.n_fft - x.shape[-1], axis=-1)
        return rfft(x, method=self.method, precision=self.precision)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LogEnergy(Stage):
    """Natural logarithm of the energy of every frame, the sum of its squares: one channel.

    Args:
      amin: the floor of the energy, above 0.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.LogEnergy(amin=1.0)(jnp.array([[3.0, 4.0], [0.0, 0.0]])).round(3)
      Array([[3.219],
             [0.   ]], dtype=float32)
    """

    takes = "frames"
    gives = "features"

    amin: float

    def __post_init__(self) -> None:
        self._set(amin=check_number("amin", self.amin, above=0))

    def channels(self, n: int | None) -> int:
        return 1

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return jnp.log(jnp.maximum(jnp.sum(x**2, axis=-1, keepdims=True), self.amin))


@dataclasses.dataclass(frozen=True, kw_only=True)
class RealParts(Stage):
    """Real and imaginary parts of a spectrum as real channels.

    Args:
      parts: ``"both"``: all real parts, then all imaginary parts, twice as many channels as bins;
        ``"real"``: the real parts alone.
      n_bins: how many bins to keep, from 0 Hz up; ``None``: all.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.RealParts()(jnp.array([[1 + 2j, 3 + 4j]]))
      Array([[1., 3., 2., 4.]], dtype=float32)
    """

    takes = "spectrum"
    gives = "features"

    parts: str = "both"
    n_bins: int | None = None

    def __post_init__(self) -> None:
        check_choice("parts", self.parts, ("both", "real"))
        if self.n_bins is not None:
            self._set(n_bins=check_positive_int("n_bins", self.n_bins))

    def channels(self, n: int | None) -> int | None:
        if n is not None and self.n_bins is not None and self.n_bins > n:
            raise ValueError(
                f"n_bins must be <= the number of bins, got n_bins={self.n_bins} and {n} bins"
            )
        kept = n if self.n_bins is None else self.n_bins
        return kept if kept is None or self.parts == "real" else 2 * kept

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        x = x[..., : self.n_bins]
        return x.real if self.parts == "real" else jnp.concatenate([x.real, x.imag], axis=-1)
