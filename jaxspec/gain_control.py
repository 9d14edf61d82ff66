"""Automatic gain control of every channel: PCEN, and the PCAN of TensorFlow's micro front-end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, overload

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import (
    check_choice,
    check_number,
    check_parameter,
    check_positive_int,
    check_real,
    check_time_axis,
    is_array,
)
from jaxspec._dtypes import as_computed, as_returned
from jaxspec.framing import repeat_ends
from jaxspec.powers import not_negative, root_of
from jaxspec.smoothing import exponential_smoothing, mixed_smoothing, smoothing_of_windows

__all__ = [
    "PCAN_BOUNDS",
    "SMOOTHING",
    "STARTS",
    "check_mix",
    "check_taps",
    "pcan",
    "pcen",
    "pcen_of_windows",
    "starting_level",
]

STARTS = ("first", "zeros", "librosa")
SMOOTHING = 0.025
PCAN_BOUNDS: dict[str, dict[str, Any]] = {
    "smoothing_even": {"above": 0, "at_most": 1},
    "smoothing_odd": {"above": 0, "at_most": 1},
    "min_remaining": {"at_least": 0, "at_most": 1},
    "strength": {"at_least": 0},
    "offset": {"above": 0},
}


def starting_level(x: jax.Array, *, start: str) -> jax.Array:
    """The smoother's state before the first frame of ``x``, for a word of `STARTS`.

    ``"first"``: the first frame, as if the sound had always been there (LEAF); ``"zeros"``:
    silence, which bursts at the start; ``"librosa"``: the steady state of an input of 1.
    """
    check_choice("start", start, STARTS)
    first = not_negative(x[..., 0, :])
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
    mix: Sequence[float] | None = ...,
    mix_weights: jax.Array | None = ...,
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
    mix: Sequence[float] | None = ...,
    mix_weights: jax.Array | None = ...,
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
    smoothing: float | jax.Array = SMOOTHING,
    mix: Sequence[float] | None = None,
    mix_weights: jax.Array | None = None,
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
      bias: above 0, or exactly 0 for the pure power law ``(x (eps + M)^-gain)^power``, continued
        to 0 as in `jaxspec.root`.
      power: root exponent in (0, 1], or exactly 0 for ``log1p(x (eps + M)^-gain)``.
      smoothing: in (0, 1]; see `jaxspec.smoothing_for_time_constant` for one in seconds.
      mix: several coefficients, each in (0, 1], instead of ``smoothing``: ``M`` is a weighted sum
        of what they give.
      mix_weights: the weights, ``(n,)`` or ``(channels, n)``, which should be positive and add up
        to 1; ``None``: all the same.
      eps: above 0, the energy below which the gain stays what it is.
      start: the smoother's state before the first frame: ``"first"`` (the first frame),
        ``"zeros"``, or ``"librosa"`` (1, the steady state of an input of 1).
      level: that state given as an array ``(..., channels)``, which then replaces ``start``;
        with ``mix`` that of every smoother, ``(..., n, channels)``.
      taps: the smoother sees so many frames, at least 2, and forgets those before: for every frame
        it is started anew at the oldest of them, before the clip the first frame (Perch). There is
        no level then. ``None``: it sees all earlier frames.
      return_level: also return the state after the last frame, the ``level`` of a next chunk.

    The first four may be numbers or arrays that broadcast against ``(channels,)``; the values of
    arrays are not checked.

    Returns:
      features of the shape and dtype of ``x``, or ``(features, level)``.

    Raises:
      ValueError: for a number outside its range, an unknown ``start``, or options that exclude each
        other.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.pcen(3 * jnp.ones((4, 1)))[:, 0].round(6)
      Array([0.324238, 0.324238, 0.324238, 0.324238], dtype=float32)

    Reference:
      Y. Wang et al., "Trainable frontend for robust and far-field keyword spotting", ICASSP
      2017 (``mix`` included); the stable form: V. Lostanlen et al., IEEE SPL 26(1), 2019.
    """
    narrow = check_real("x", x, ndim=2)
    check_time_axis("x", narrow, axis=-2)
    x = not_negative(as_computed(narrow))
    gain = check_parameter("gain", gain, at_least=0, at_most=1)
    bias = check_parameter("bias", bias, at_least=0)
    power = check_parameter("power", power, at_least=0, at_most=1)
    if mix is None:
        smoothing = check_parameter("smoothing", smoothing, above=0, at_most=1)
        if mix_weights is not None:
            raise ValueError("mix_weights has no effect without mix, got mix=None and mix_weights")
    else:
        mix = check_mix(mix, smoothing)
        mix_weights = _weights(mix_weights, n=len(mix), channels=x.shape[-1])
    eps = check_number("eps", eps, at_least=float(jnp.finfo(x.dtype).tiny))
    check_choice("start", start, STARTS)
    if level is not None and start != "first":
        raise ValueError(f"start has no effect with a level, got start={start!r}")
    if taps is not None:
        taps = check_taps(taps, start=start)
        if level is not None or return_level:
            raise ValueError(f"there is no level with taps, got taps={taps} and a level")
        x = repeat_ends(x, before=taps - 1, after=0)
        y = pcen_of_windows(
            x, gain=gain, bias=bias, power=power, smoothing=smoothing, eps=eps, taps=taps, mix=mix,
            mix_weights=mix_weights,
        )  # fmt: skip
        return as_returned(y, narrow.dtype)
    if level is None:
        level = starting_level(x, start=start)
        level = level if mix is None else level[..., None, :]
    if mix is None:
        smoothed, last = exponential_smoothing(x, smoothing=smoothing, level=level)
    else:
        assert mix_weights is not None
        smoothed, last = mixed_smoothing(x, smoothers=mix, weights=mix_weights, level=level)
        last = as_returned(last, narrow.dtype)
    y = as_returned(_compress(x, smoothed, gain, bias, power, eps), narrow.dtype)
    return (y, last) if return_level else y


def check_mix(mix: Any, smoothing: Any = SMOOTHING) -> tuple[float, ...]:
    """The coefficients of mixed smoothers, which exclude a single one."""
    smoothers = tuple(check_number("mix", s, above=0, at_most=1) for s in mix)
    if len(smoothers) < 2 or len(set(smoothers)) < len(smoothers):
        raise ValueError(f"mix must hold at least 2 different coefficients, got mix={smoothers}")
    if is_array(smoothing) or smoothing != SMOOTHING:
        raise ValueError(f"smoothing has no effect with mix, got smoothing={smoothing!r}")
    return smoothers


def _weights(weights: Any, *, n: int, channels: int) -> jax.Array:
    if weights is None:
        return np.full(n, 1 / n)  # type: ignore[return-value]
    if np.shape(weights) not in ((n,), (channels, n)):
        raise ValueError(
            f"mix_weights must have shape (n,) or (channels, n), here ({n},) or "
            f"({channels}, {n}), got mix_weights with shape {np.shape(weights)}"
        )
    return weights


def check_taps(taps: Any, *, start: str) -> int:
    """The number of frames that a smoother sees, which then must start with the first one."""
    taps = check_positive_int("taps", taps, minimum=2)
    if start != "first":
        raise ValueError(f'start must be "first" with taps, got start={start!r} and taps={taps}')
    return taps


def pcen_of_windows(
    x: jax.Array,
    *,
    gain: Any,
    bias: Any,
    power: Any,
    smoothing: Any,
    eps: float,
    taps: int,
    mix: tuple[float, ...] | None = None,
    mix_weights: jax.Array | None = None,
) -> jax.Array:
    """`pcen` with ``taps``, unchecked: ``x`` holds ``taps - 1`` frames before the first output."""
    x = not_negative(x)
    smoothed = smoothing_of_windows(x, smoothing=mix or smoothing, weights=mix_weights, taps=taps)
    return _compress(x[..., taps - 1 :, :], smoothed, gain, bias, power, eps)


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
        return root_of(energy, power)
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
