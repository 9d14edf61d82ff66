"""Automatic gain control of every channel: PCEN, and the PCAN of TensorFlow's micro front-end."""

from __future__ import annotations

import math
from typing import Any, Literal, overload

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import (
    check_choice,
    check_number,
    check_positive_int,
    check_real,
    check_time_axis,
)
from jaxspec._dtypes import as_computed, as_returned
from jaxspec.framing import pad_first

__all__ = [
    "PCAN_BOUNDS",
    "STARTS",
    "check_taps",
    "exponential_smoothing",
    "frames_before",
    "pcan",
    "pcen",
    "pcen_of_windows",
    "smoothing_for_time_constant",
    "starting_level",
]

STARTS = ("first", "zeros", "librosa")
PCAN_BOUNDS: dict[str, dict[str, Any]] = {
    "smoothing_even": {"above": 0, "at_most": 1},
    "smoothing_odd": {"above": 0, "at_most": 1},
    "min_remaining": {"at_least": 0, "at_most": 1},
    "strength": {"at_least": 0},
    "offset": {"above": 0},
}


def smoothing_for_time_constant(
    time_constant: float, *, sample_rate: float, hop_length: int
) -> float:
    """The smoothing coefficient of a time constant in seconds.

    ``(sqrt(1 + 4 T^2) - 1) / (2 T^2)`` with ``T = time_constant * sample_rate / hop_length``
    frames, as ``librosa.pcen`` computes it.

    Example:
      >>> import jaxspec
      >>> s = jaxspec.smoothing_for_time_constant(0.4, sample_rate=16000, hop_length=160)
      >>> round(s, 5)
      0.02469
    """
    time_constant = check_number("time_constant", time_constant, above=0)
    sample_rate = check_number("sample_rate", sample_rate, above=0)
    frames = time_constant * sample_rate / check_number("hop_length", hop_length, above=0)
    return (math.sqrt(1 + 4 * frames**2) - 1) / (2 * frames**2)


def exponential_smoothing(
    x: jax.Array, *, smoothing: float | jax.Array, level: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """First-order smoothing over time: ``m[t] = (1 - s) m[t - 1] + s x[t]``.

    Args:
      x: ``(..., frames, channels)``.
      smoothing: ``s`` in (0, 1], a number or ``(channels,)``.
      level: the state before the first frame, ``m[-1]``, shape ``(..., channels)``.

    Returns:
      ``(smoothed, last)``: the smoothed features and their last frame, which is the ``level``
      of a following chunk.

    Example:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[1.0], [1.0]])
      >>> smoothed, last = exponential_smoothing(x, smoothing=0.5, level=jnp.zeros(1))
      >>> smoothed[:, 0], last
      (Array([0.5 , 0.75], dtype=float32), Array([0.75], dtype=float32))
    """
    narrow = check_real("x", x, ndim=2)
    x = as_computed(narrow)
    smoothing = jnp.asarray(smoothing, x.dtype)
    level = jnp.broadcast_to(jnp.asarray(level, x.dtype), (*x.shape[:-2], x.shape[-1]))

    # A plain scan: on a CPU its backward pass is several times faster than an associative scan's.
    def step(before: jax.Array, now: jax.Array) -> tuple[jax.Array, jax.Array]:
        after = before + smoothing * (now - before)
        return after, after

    last, smoothed = jax.lax.scan(step, level, jnp.moveaxis(x, -2, 0))
    smoothed = as_returned(jnp.moveaxis(smoothed, 0, -2), narrow.dtype)
    return smoothed, as_returned(last, narrow.dtype)


def starting_level(x: jax.Array, *, start: str) -> jax.Array:
    """The smoother's state before the first frame of ``x``, for a word of `STARTS`.

    ``"first"``: the first frame, as if the sound had always been there (LEAF); ``"zeros"``:
    silence, which bursts at the start; ``"librosa"``: the steady state of an input of 1.
    """
    check_choice("start", start, STARTS)
    first = jnp.maximum(x[..., 0, :], 0)
    if start == "first":
        return first
    if start == "zeros":
        return jnp.zeros_like(first)
    # librosa's filter state z makes m[0] = s x[0] + z with z = 1 - s, that is m[-1] = 1.
    return jnp.ones_like(first)


@overload
def pcen(
    x: jax.Array,
    *,
    gain: float | jax.Array = ...,
    bias: float | jax.Array = ...,
    power: float | jax.Array = ...,
    smoothing: float | jax.Array = ...,
    eps: float = ...,
    start: str = ...,
    level: jax.Array | None = ...,
    taps: int | None = ...,
    return_level: Literal[False] = ...,
) -> jax.Array: ...


@overload
def pcen(
    x: jax.Array,
    *,
    gain: float | jax.Array = ...,
    bias: float | jax.Array = ...,
    power: float | jax.Array = ...,
    smoothing: float | jax.Array = ...,
    eps: float = ...,
    start: str = ...,
    level: jax.Array | None = ...,
    taps: int | None = ...,
    return_level: Literal[True],
) -> tuple[jax.Array, jax.Array]: ...


def pcen(
    x: jax.Array,
    *,
    gain: float | jax.Array = 0.98,
    bias: float | jax.Array = 2.0,
    power: float | jax.Array = 0.5,
    smoothing: float | jax.Array = 0.025,
    eps: float = 1e-6,
    start: str = "first",
    level: jax.Array | None = None,
    taps: int | None = None,
    return_level: bool = False,
) -> jax.Array | tuple[jax.Array, jax.Array]:
    """Per-channel energy normalisation.

    With the smoothed energy ``M[t] = (1 - smoothing) M[t - 1] + smoothing x[t]``:

        y = (x / (eps + M) ** gain + bias) ** power - bias ** power

    computed as ``bias ** power * expm1(power * log1p(x (eps + M) ** -gain / bias))`` with the
    gain in the log domain, which keeps tiny energies apart in float32.

    Args:
      x: non-negative energies ``(..., frames, channels)`` with at least 1 frame; what is below 0
        is treated as 0.
      gain: how much of the level is divided out, in [0, 1].
      bias: above 0, or exactly 0 for the pure power law ``(x (eps + M)^-gain)^power``.
      power: root exponent in (0, 1], or exactly 0 for ``log1p(x (eps + M)^-gain)``.
      smoothing: in (0, 1]; see `jaxspec.smoothing_for_time_constant` for one in seconds.
      eps: above 0, the energy below which the gain stays what it is.
      start: the smoother's state before the first frame: ``"first"`` (the first frame),
        ``"zeros"``, or ``"librosa"`` (1, the steady state of an input of 1).
      level: that state given as an array ``(..., channels)``, which then replaces ``start``.
      taps: the smoother sees so many frames, at least 2, and forgets those before: for every frame
        it is started anew at the oldest of them, before the clip the first frame (Perch). There is
        no level then. ``None``: it sees all earlier frames.
      return_level: also return the state after the last frame, the ``level`` of a next chunk.

    The four parameters may be numbers or arrays that broadcast against ``(channels,)``; the
    values of arrays are not checked.

    Returns:
      features of the shape and dtype of ``x``, or ``(features, level)``.

    Raises:
      ValueError: for a number outside its range or an unknown ``start``.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.pcen(3 * jnp.ones((4, 1)))[:, 0].round(6)
      Array([0.324238, 0.324238, 0.324238, 0.324238], dtype=float32)

    Reference:
      Y. Wang et al., "Trainable frontend for robust and far-field keyword spotting", ICASSP
      2017; the stable form: V. Lostanlen et al., IEEE SPL 26(1), 2019.
    """
    narrow = check_real("x", x, ndim=2)
    check_time_axis("x", narrow, axis=-2)
    x = jnp.maximum(as_computed(narrow), 0)
    gain = _parameter("gain", gain, at_least=0, at_most=1)
    bias = _parameter("bias", bias, at_least=0)
    power = _parameter("power", power, at_least=0, at_most=1)
    smoothing = _parameter("smoothing", smoothing, above=0, at_most=1)
    eps = check_number("eps", eps, at_least=float(jnp.finfo(x.dtype).tiny))
    check_choice("start", start, STARTS)
    if level is not None and start != "first":
        raise ValueError(f"start has no effect with a level, got start={start!r}")
    if taps is not None:
        taps = check_taps(taps, start=start)
        if level is not None or return_level:
            raise ValueError(f"there is no level with taps, got taps={taps} and a level")
        x = frames_before(x, n=taps - 1)
        options = {"gain": gain, "bias": bias, "power": power, "smoothing": smoothing}
        return as_returned(pcen_of_windows(x, **options, eps=eps, taps=taps), narrow.dtype)
    if level is None:
        level = starting_level(x, start=start)
    smoothed, last = exponential_smoothing(x, smoothing=smoothing, level=level)
    y = as_returned(_compress(x, smoothed, gain, bias, power, eps), narrow.dtype)
    return (y, last) if return_level else y


def check_taps(taps: Any, *, start: str) -> int:
    """The number of frames that a smoother sees, which then must start with the first one."""
    taps = check_positive_int("taps", taps, minimum=2)
    if start != "first":
        raise ValueError(f'start must be "first" with taps, got start={start!r} and taps={taps}')
    return taps


def frames_before(x: jax.Array, *, n: int) -> jax.Array:
    """``x`` with its first frame ``n`` more times in front."""
    return pad_first(x, length=x.shape[-2], before=n, after=0, pad_mode="edge", axis=-2)


def pcen_of_windows(
    x: jax.Array, *, gain: Any, bias: Any, power: Any, smoothing: Any, eps: float, taps: int
) -> jax.Array:
    """`pcen` with ``taps``, unchecked: ``x`` holds ``taps - 1`` frames before the first output."""
    x = jnp.maximum(x, 0)
    smoothed = _smoothing_of_windows(x, smoothing=jnp.asarray(smoothing, x.dtype), taps=taps)
    return _compress(x[..., taps - 1 :, :], smoothed, gain, bias, power, eps)


def _smoothing_of_windows(x: jax.Array, *, smoothing: jax.Array, taps: int) -> jax.Array:
    """Exponential smoothing of every ``taps`` frames, started at the first of them.

    In blocks of ``taps - 1`` frames, such a window is the end of one block and the beginning of the
    next. Each is a running sum: no cost grows with ``taps``, nothing that was forgotten leaves its
    rounding behind, as it would if it were subtracted.
    """
    size = taps - 1
    *batch, frames, channels = x.shape
    if frames <= size:
        return x[..., :0, :]
    blocks = -(-frames // size)
    x = jnp.pad(x, [*[(0, 0)] * len(batch), (0, blocks * size - frames), (0, 0)])
    x = x.reshape(*batch, blocks, size, channels)
    begun, _ = exponential_smoothing(x, smoothing=smoothing, level=jnp.zeros_like(x[..., 0, :]))
    position = jnp.arange(size, dtype=x.dtype)[:, None]
    kept = x * (1 - smoothing) ** (size - 1 - position)  # at the end of its block
    later = jax.lax.cumsum(kept, axis=kept.ndim - 2, reverse=True)[..., 1:, :]
    later = jnp.concatenate([later, jnp.zeros_like(kept[..., :1, :])], axis=-2)
    ended = (kept + smoothing * later) * (1 - smoothing) ** (position + 1)
    smoothed = begun[..., 1:, :, :] + ended[..., :-1, :, :]
    smoothed = smoothed.reshape(*batch, (blocks - 1) * size, channels)
    return smoothed[..., : frames - size, :]


def _parameter(name: str, value: Any, **bounds: Any) -> Any:
    """Numbers are checked, arrays (also traced) taken as they are."""
    if isinstance(value, (jax.Array, np.ndarray)) and np.ndim(value):
        return value
    if isinstance(value, jax.Array):
        return value
    return check_number(name, value, **bounds)


def _compress(
    x: jax.Array, smoothed: jax.Array, gain: Any, bias: Any, power: Any, eps: float
) -> jax.Array:
    # log(eps + M) without losing M below eps, nor overflowing M / eps.
    larger, smaller = jnp.maximum(smoothed, eps), jnp.minimum(smoothed, eps)
    log_level = jnp.log(larger) + jnp.log1p(smaller / larger)
    gain, bias, power = (
        value if isinstance(value, float) else jnp.asarray(value, x.dtype)
        for value in (gain, bias, power)
    )
    energy = x * jnp.exp(-gain * log_level)
    if isinstance(power, float) and power == 0:
        return jnp.log1p(energy)
    if isinstance(bias, float) and bias == 0:
        floor = jnp.finfo(x.dtype).tiny
        heard = energy > floor
        return jnp.where(heard, jnp.where(heard, energy, 1) ** power, 0)
    return bias**power * jnp.expm1(power * jnp.log1p(energy / bias))


def pcan(
    x: jax.Array,
    *,
    level: jax.Array,
    smoothing_even: float = 409 / 16384,
    smoothing_odd: float = 983 / 16384,
    min_remaining: float = 819 / 16384,
    strength: float = 0.95,
    offset: float = 80.0,
) -> tuple[jax.Array, jax.Array]:
    """Per-channel amplitude normalisation: noise suppression, then automatic gain control.

    With the noise estimate ``N[t] = (1 - s) N[t - 1] + s x[t]``, where ``s`` is one number for even
    channels and another for odd ones:

        r = max(x - N, min_remaining * x) * (N + offset) ** -strength
        y = r ** 2 / 4 where r < 2, else r - 1

    Args:
      x: non-negative magnitudes ``(..., frames, channels)``; what is below 0 is treated as 0.
      level: the noise estimate before the first frame, ``(..., channels)``.
      smoothing_even: in (0, 1], of channels 0, 2, …
      smoothing_odd: in (0, 1], of channels 1, 3, …
      min_remaining: the share of ``x`` that is left at least, in [0, 1].
      strength: how much of the noise is divided out, at least 0.
      offset: above 0, the noise below which the gain stays what it is.

    Returns:
      ``(features, level)``: features of the shape and dtype of ``x``, and the noise estimate after
      the last frame, which is the ``level`` of a following chunk.

    Raises:
      ValueError: for a number outside its range.

    Example:
      >>> import jax.numpy as jnp
      >>> y, level = pcan(jnp.array([[1000.0, 1000.0]]), level=jnp.zeros(2))
      >>> y.round(1), level.round(1)
      (Array([[10.7,  7.6]], dtype=float32), Array([25., 60.], dtype=float32))

    Reference:
      ``noise_reduction.c`` and ``pcan_gain_control.c`` of TensorFlow's micro front-end.
    """
    narrow = check_real("x", x, ndim=2)
    check_time_axis("x", narrow, axis=-2)
    x = jnp.maximum(as_computed(narrow), 0)
    numbers = {
        "smoothing_even": smoothing_even, "smoothing_odd": smoothing_odd,
        "min_remaining": min_remaining, "strength": strength, "offset": offset,
    }  # fmt: skip
    for name, value in numbers.items():
        numbers[name] = check_number(name, value, **PCAN_BOUNDS[name])
    even = np.arange(x.shape[-1]) % 2 == 0
    smoothing = np.where(even, numbers["smoothing_even"], numbers["smoothing_odd"])
    noise, last = exponential_smoothing(x, smoothing=jnp.asarray(smoothing, x.dtype), level=level)
    left = jnp.maximum(x - noise, numbers["min_remaining"] * x)
    ratio = left * jnp.exp(-numbers["strength"] * jnp.log(noise + numbers["offset"]))
    return as_returned(jnp.where(ratio < 2, ratio**2 / 4, ratio - 1), narrow.dtype), last
