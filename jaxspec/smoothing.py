"""First-order smoothing over time: one coefficient, a mixture of several, a bounded memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, overload

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_number, check_real, is_array
from jaxspec._dtypes import as_computed, as_returned

__all__ = [
    "exponential_smoothing",
    "mixed_smoothing",
    "smoothing_for_time_constant",
    "smoothing_of_windows",
]


@overload
def smoothing_for_time_constant(
    time_constant: float, *, sample_rate: float, hop_length: int
) -> float: ...


@overload
def smoothing_for_time_constant(
    time_constant: jax.Array, *, sample_rate: float, hop_length: int
) -> jax.Array: ...


def smoothing_for_time_constant(
    time_constant: float | jax.Array, *, sample_rate: float, hop_length: int
) -> float | jax.Array:
    """The smoothing coefficient of a time constant in seconds.

    ``(sqrt(1 + 4 T^2) - 1) / (2 T^2)`` with ``T = time_constant * sample_rate / hop_length``
    frames, as ``librosa.pcen`` computes it.

    Args:
      time_constant: seconds, above 0; a number, or an array, whose values are not checked.
      sample_rate: Hz.
      hop_length: samples from frame to frame.

    Returns:
      a number in (0, 1), or an array of them.

    Example:
      >>> import jaxspec
      >>> s = jaxspec.smoothing_for_time_constant(0.4, sample_rate=16000, hop_length=160)
      >>> round(s, 5)
      0.02469
    """
    sample_rate = check_number("sample_rate", sample_rate, above=0)
    rate = sample_rate / check_number("hop_length", hop_length, above=0)
    # Multiplied out, so that long time constants keep their digits in float32.
    if is_array(time_constant):
        return 2 / (1 + jnp.sqrt(1 + 4 * (jnp.asarray(time_constant) * rate) ** 2))
    frames = check_number("time_constant", time_constant, above=0) * rate
    return 2 / (1 + math.sqrt(1 + 4 * frames**2))


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


def mixed_smoothing(
    x: jax.Array, *, smoothers: Sequence[float], weights: jax.Array, level: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Smoothing with several coefficients at once, of which the weighted sum is kept.

    Args:
      x: ``(..., frames, channels)``, in its computation dtype.
      smoothers: the ``n`` coefficients.
      weights: of the smoothers, ``(n,)`` or ``(channels, n)``.
      level: the state of every smoother before the first frame, ``(..., n, channels)``.

    Returns:
      ``(smoothed, last)``, the latter ``(..., n, channels)``.
    """
    each = jnp.asarray(np.asarray(smoothers), x.dtype)[:, None]
    weights = _weights_in_front(weights, x.dtype)
    level = jnp.broadcast_to(
        jnp.asarray(level, x.dtype), (*x.shape[:-2], len(smoothers), x.shape[-1])
    )

    def step(before: jax.Array, now: jax.Array) -> tuple[jax.Array, jax.Array]:
        after = before + each * (now[..., None, :] - before)
        return after, jnp.sum(weights * after, axis=-2)

    last, smoothed = jax.lax.scan(step, level, jnp.moveaxis(x, -2, 0))
    return jnp.moveaxis(smoothed, 0, -2), last


def _weights_in_front(weights: jax.Array, dtype: Any) -> jax.Array:
    """``(n,)`` or ``(channels, n)`` as ``(n, 1)`` or ``(n, channels)``."""
    weights = jnp.asarray(weights, dtype)
    return weights[:, None] if weights.ndim == 1 else weights.T


def smoothing_of_windows(
    x: jax.Array, *, smoothing: Any, taps: int, weights: jax.Array | None = None
) -> jax.Array:
    """Exponential smoothing of every ``taps`` frames, started at the first of them.

    In blocks of ``taps - 1`` frames, such a window is the end of one block and the beginning of the
    next. Each is a running sum: no cost grows with ``taps``, nothing that was forgotten leaves its
    rounding behind, as it would if it were subtracted. With ``weights``, ``smoothing`` holds the
    coefficients of `mixed_smoothing`.
    """
    if weights is not None:
        each = [smoothing_of_windows(x, smoothing=float(s), taps=taps) for s in smoothing]
        weights = _weights_in_front(weights, x.dtype)
        return sum((w * one for w, one in zip(weights, each, strict=True)), jnp.zeros_like(each[0]))
    smoothing = jnp.asarray(smoothing, x.dtype)
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
