"""Per-channel energy normalisation (PCEN): automatic gain control, then root compression."""

from __future__ import annotations

import math
from typing import Any, Literal, overload

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_choice, check_number, check_real, check_time_axis
from jaxspec._dtypes import as_computed, as_returned

__all__ = [
    "STARTS",
    "exponential_smoothing",
    "pcen",
    "smoothing_for_time_constant",
    "starting_level",
]

STARTS = ("first", "zeros", "librosa")


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
    if level is None:
        level = starting_level(x, start=start)
    smoothed, last = exponential_smoothing(x, smoothing=smoothing, level=level)
    y = as_returned(_compress(x, smoothed, gain, bias, power, eps), narrow.dtype)
    return (y, last) if return_level else y


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
