"""Normalisation by what was heard so far: statistics that are carried from frame to frame."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_choice, check_number, check_positive_int
from jaxspec._dtypes import as_computed, as_returned, compute_dtype
from jaxspec.reach import Reach
from jaxspec.smoothing import smoothing_for_time_constant
from jaxspec.stage import Carry, Params, Stage
from jaxspec.stages._banded import check_per_band
from jaxspec.stages.values import OVER, PLACES, divisor
from jaxspec.table import Table

__all__ = ["RunningNormalize"]

MEMORIES = ("all", "exponential")
_MOST_FRAMES = 2**31 - 1

_Pair = tuple[jax.Array, jax.Array]  # a sum, and what rounding has taken from it


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunningNormalize(Stage):
    """Take the mean so far off, and divide by the standard deviation so far (reach ``"past"``).

    The statistics of a frame are those of all frames up to it and of itself, so that features can
    be normalised while they come in; `jaxspec.stages.Normalize` waits for the end of the clip.
    Frame ``k`` moves the mean by ``(x[k] - mean) / n[k]``, and the variance accordingly.

    Args:
      memory: ``"all"``: every frame counts alike, ``n[k] = n[k - 1] + 1``; ``"exponential"``:
        a frame counts for less with every later one, ``n[k] = (1 - s) n[k - 1] + 1``, up to
        ``1 / s``. Both start at ``n = 0``, where they are the same: the first frames are weighed
        alike, and the first one becomes 0.
      over: ``"time"``: statistics of every channel by itself; ``"clip"``: one for all channels.
      deviation: whether to divide by the standard deviation.
      ddof: 0, or 1 for the unbiased estimate (of a single value: 0); with ``memory="all"``.
      eps: at least 0; keeps constant channels finite. With 0, a deviation of 0 counts as 1.
      eps_in: what ``eps`` is added to, the ``"deviation"`` or the ``"variance"``.
      smoothing: ``s``, between 0 and 1; with ``memory="exponential"``.
      time_constant: seconds, above 0, instead of ``smoothing``, as in
        `jaxspec.smoothing_for_time_constant`.
      hop_length, sample_rate: samples from frame to frame, and Hz; with ``time_constant`` only.
      mean, deviation_start: what the statistics are before the first frame, such as those of a
        data set (`jaxspec.statistics`), so that the first frames are normalised by more than
        themselves; numbers, or arrays with one for every channel (held as `jaxspec.Table`).
        Default: nothing. With ``deviation=False`` there is a ``mean`` alone.
      weight: for how many frames they count, above ``ddof``: the start of ``n``. With ``1 / s``,
        ``memory="exponential"`` is plain exponential smoothing from ``mean`` on.

    Raises:
      ValueError: for an option without an effect, and for what is missing beside another.

    The carry holds for each of the leading axes of ``x`` the number of frames (int32; from 2^31 - 1
    on, 248 days at 100 Hz, it stays there), the mean and the variance. These are held in two parts
    each: one float32 would stand still when what a frame adds is rounded away, a mean of 1000 after
    minutes. Values farther than 1e18 from the mean (in float32) count as that far in the variance.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> x = jnp.array([[1.0], [3.0], [8.0]])
      >>> jaxspec.stages.RunningNormalize(deviation=False)(x)[:, 0]
      Array([0., 1., 4.], dtype=float32)
      >>> started = jaxspec.stages.RunningNormalize(mean=2.0, deviation_start=1.0, weight=100)
      >>> started(x)[:, 0].round(1)
      Array([-1. ,  1. ,  5.1], dtype=float32)
      >>> slow = jaxspec.stages.RunningNormalize(
      ...     memory="exponential", time_constant=3.0, hop_length=160, sample_rate=16000)
      >>> slow(x)[:, 0].round(3)
      Array([0.   , 0.998, 1.355], dtype=float32)

    Reference:
      B. P. Welford, "Note on a method for calculating corrected sums of squares and products",
      Technometrics 4, 1962; T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing
      the sample variance", The American Statistician 37, 1983 (channels of a frame as a group).
    """

    takes = "features"
    gives = "features"

    memory: str = "all"
    over: str = "time"
    deviation: bool = True
    ddof: int = 0
    eps: float = 1e-5
    eps_in: str = "deviation"
    smoothing: float | None = None
    time_constant: float | None = None
    hop_length: int | None = None
    sample_rate: float | None = None
    mean: float | Table | None = None
    deviation_start: float | Table | None = None
    weight: float | None = None

    def __post_init__(self) -> None:
        check_choice("memory", self.memory, MEMORIES)
        check_choice("over", self.over, OVER)
        check_choice("ddof", self.ddof, (0, 1))
        check_choice("eps_in", self.eps_in, PLACES)
        self._set(deviation=bool(self.deviation), eps=check_number("eps", self.eps, at_least=0))
        if not self.deviation and (self.ddof, self.eps, self.eps_in) != (0, 1e-5, "deviation"):
            raise ValueError(
                f"ddof, eps and eps_in have no effect with deviation=False, got ddof={self.ddof}, "
                f"eps={self.eps:g} and eps_in={self.eps_in!r}"
            )
        self._check_memory()
        self._check_start()

    def _check_memory(self) -> None:
        fading = ("smoothing", "time_constant", "hop_length", "sample_rate")
        if self.memory == "all":
            self._refuse(fading, 'has no effect with memory="all"')
            return
        if self.ddof:
            raise ValueError(f'ddof has no effect with memory="exponential", got ddof={self.ddof}')
        if (self.smoothing is None) == (self.time_constant is None):
            raise ValueError(
                f'smoothing or time_constant must be given with memory="exponential", and not '
                f"both, got smoothing={self.smoothing} and time_constant={self.time_constant}"
            )
        if self.time_constant is None:
            self._set(smoothing=check_number("smoothing", self.smoothing, above=0, below=1))
            self._refuse(fading[2:], "has no effect without time_constant")
            return
        if self.hop_length is None or self.sample_rate is None:
            raise ValueError(
                f"hop_length and sample_rate must be given with time_constant, got "
                f"hop_length={self.hop_length} and sample_rate={self.sample_rate}"
            )
        self._set(
            time_constant=check_number("time_constant", self.time_constant, above=0),
            hop_length=check_positive_int("hop_length", self.hop_length),
            sample_rate=check_number("sample_rate", self.sample_rate, above=0),
        )

    def _check_start(self) -> None:
        if self.mean is None:
            self._refuse(("deviation_start", "weight"), "has no effect without mean")
            return
        self._set(mean=check_per_band("mean", self.mean))
        if self.weight is None:
            raise ValueError("weight must be given with mean, got weight=None")
        self._set(weight=check_number("weight", self.weight, above=self.ddof))
        if not self.deviation:
            self._refuse(("deviation_start",), "has no effect with deviation=False")
        elif self.deviation_start is None:
            raise ValueError(
                "deviation_start must be given with mean, or deviation=False, got "
                "deviation_start=None"
            )
        else:
            start = check_per_band("deviation_start", self.deviation_start, at_least=0)
            self._set(deviation_start=start)
        for name in ("mean", "deviation_start"):
            value = getattr(self, name)
            if self.over == "clip" and isinstance(value, Table):
                raise ValueError(
                    f'{name} must be a number with over="clip", got {name} with shape {value.shape}'
                )
        self.channels(None)

    def _refuse(self, names: tuple[str, ...], why: str) -> None:
        for name in names:
            if getattr(self, name) is not None:
                raise ValueError(f"{name} {why}, got {name}={getattr(self, name)!r}")

    @property
    def reach(self) -> Reach:
        return Reach(past=True)

    def channels(self, n: int | None) -> int | None:
        for name in ("mean", "deviation_start"):
            value = getattr(self, name)
            if isinstance(value, Table):
                (own,) = value.shape
                if n not in (None, own):
                    raise ValueError(
                        f"the number of channels must equal that of {name}, got {n} and {own}"
                    )
                n = own
        return n

    def initial_carry(self, params: Params, x: jax.Array) -> Carry:
        # Made of x, so that they are laid out over devices as it is.
        zeros = jnp.zeros_like(x[..., 0, :], compute_dtype(x.dtype))
        held = zeros if self.over == "time" else zeros[..., :1]
        carry = {
            "count": zeros[..., :1].astype(jnp.int32),
            "mean": _in_two_parts(_values(self.mean), held),
        }
        if self.deviation:
            square = _values(self.deviation_start) ** 2
            if self.weight is not None:
                count = self._values_in(self.weight, x)
                square = square * (count - self.ddof) / count
            square = np.minimum(square, _farthest(held.dtype) ** 2)
            carry["variance"] = _in_two_parts(square, held)
        return carry

    def advance(self, params: Params, carry: Carry, x: jax.Array) -> tuple[Carry, jax.Array]:
        narrow, x = x.dtype, jnp.moveaxis(as_computed(x), -2, 0)
        count = carry["count"]
        position = jnp.arange(x.shape[0], dtype=jnp.int32).reshape(-1, *[1] * count.ndim)
        # Not count + position, which may overflow.
        older = self._frames(count + jnp.minimum(position, _MOST_FRAMES - count), x.dtype)
        frames = older + 1
        values, spread = (x, None) if self.over == "time" else _of_channels(x)

        def step(before: Carry, now: tuple) -> tuple[Carry, Carry]:
            value, spread, frames, older = now
            after = {}
            mean, rest = before["mean"]
            difference = (value - mean) - rest
            after["mean"] = _added(before["mean"], difference / frames)
            if self.deviation:
                square = older / frames * _square(difference)
                square = square if spread is None else square + spread
                variance, rest = before["variance"]
                after["variance"] = _added(
                    before["variance"], ((square - variance) - rest) / frames
                )
            return after, after

        before = {name: carry[name] for name in carry if name != "count"}
        # A plain scan, as of `jaxspec.exponential_smoothing`.
        after, found = jax.lax.scan(step, before, (values, spread, frames, older))
        mean, rest = found["mean"]
        y = (x - mean) - rest
        if self.deviation:
            y = y / self._divisor(sum(found["variance"]), self._values_in(frames, x))
        after["count"] = count + jnp.minimum(x.shape[0], _MOST_FRAMES - count)
        return after, as_returned(jnp.moveaxis(y, 0, -2), narrow)

    def _frames(self, count: jax.Array, dtype: jnp.dtype) -> jax.Array:
        """For how many frames those before a frame count when it comes, ``n[k] - 1``."""
        number = count.astype(dtype)
        weight = 0.0 if self.weight is None else self.weight
        if self.memory == "all":
            return number + weight
        smoothing = self.smoothing
        if self.time_constant is not None:
            assert self.sample_rate is not None and self.hop_length is not None  # noqa: PT018
            smoothing = smoothing_for_time_constant(
                self.time_constant, sample_rate=self.sample_rate, hop_length=self.hop_length
            )
        assert smoothing is not None
        # Not frame by frame: such a sum would stand still before it comes to 1 / s.
        fading = number * math.log1p(-smoothing)
        heard = -jnp.expm1(fading) / smoothing
        return (1 - smoothing) * (heard + weight * jnp.exp(fading))

    def _values_in(self, frames: Any, x: jax.Array) -> Any:
        """How many values of a statistic so many frames hold."""
        return frames if self.over == "time" else frames * x.shape[-1]

    def _divisor(self, square: jax.Array, count: jax.Array) -> jax.Array:
        if self.ddof:
            square = square * (count / jnp.where(count > self.ddof, count - self.ddof, 1))
        return divisor(square, eps=self.eps, eps_in=self.eps_in)


def _farthest(dtype: Any) -> float:
    """Beyond it, values count as no farther from the mean: about 1e18 in float32."""
    return math.sqrt(float(jnp.finfo(dtype).max)) / 16


def _square(difference: jax.Array) -> jax.Array:
    farthest = _farthest(difference.dtype)
    return jnp.clip(difference, -farthest, farthest) ** 2


def _values(start: float | Table | None) -> np.ndarray:
    return np.asarray(start.values if isinstance(start, Table) else start or 0.0, np.float64)


def _in_two_parts(value: np.ndarray, zeros: jax.Array) -> _Pair:
    # Nothing is in the second part: what is not in the dtype, no constant input can equal.
    return zeros + jnp.asarray(value, zeros.dtype), zeros


def _added(parts: _Pair, more: jax.Array) -> _Pair:
    """A number in two parts and ``more``: the rounding error of the sum is kept (Knuth, TAOCP 2).

    The error has no slope, that of the sum is the whole.
    """
    high, low = parts
    more = more + low
    total = high + more
    added = total - high
    return total, jax.lax.stop_gradient((high - (total - added)) + (more - added))


def _of_channels(x: jax.Array) -> _Pair:
    """The mean and the variance of every frame over its channels, ``(..., 1)`` each."""
    # From a channel on, so that the mean of equal values is one of them.
    first = jax.lax.stop_gradient(x[..., :1])
    x = x - first
    mean = jnp.mean(x, axis=-1, keepdims=True)
    return first + mean, jnp.mean(_square(x - mean), axis=-1, keepdims=True)
