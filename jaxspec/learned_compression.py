"""Compression whose quantities may be learned: numbers, or arrays with one for every band.

Every function is smooth in its quantities and finite in its derivatives for every finite input,
silence and signals of 1e15 included. What is below 0 is treated as 0. The stages of the same names
bound the quantities and let them start at given values; PCEN is in `jaxspec.gain_control`.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_choice, check_number, check_parameter, check_real, check_time_axis
from jaxspec._dtypes import as_computed, as_returned
from jaxspec.framing import only_first
from jaxspec.powers import not_negative

__all__ = ["OVER_TIME", "dynamic_range", "log_offset", "log_power_blend", "log_tbn"]

OVER_TIME = ("none", "median", "append", "normalize")


def log_offset(x: jax.Array, *, offset: float | jax.Array = 1e-5) -> jax.Array:
    """Natural logarithm of values plus an offset: ``ln(max(x, 0) + offset)``.

    Args:
      x: real array of any shape, such as energies ``(..., frames, channels)``.
      offset: above 0, the level at which silence begins; a number, or an array that broadcasts
        against ``x``, such as ``(channels,)``, whose values are not checked. The derivative at 0
        is ``1 / offset``.

    Returns:
      array of the shape and dtype of ``x``.

    Raises:
      ValueError: if a number ``offset`` is not above 0.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.log_offset(jnp.array([0.0, 1.0]), offset=1e-3).round(4)
      Array([-6.9078e+00,  1.0000e-03], dtype=float32)
    """
    narrow, x = _energies(x)
    offset = _array("offset", offset, x, at_least=float(jnp.finfo(x.dtype).tiny))
    return as_returned(jnp.log(x + offset), narrow.dtype)


def log_power_blend(
    x: jax.Array, *, exponent: float | jax.Array = 0.0, offset: float | jax.Array = 1e-5
) -> jax.Array:
    """Between the logarithm and a power: ``((max(x, 0) + offset) ** exponent - 1) / exponent``.

    At an exponent of 0 that is the natural logarithm, at 1 it is linear. The transition is smooth:
    value and derivatives, those with respect to the exponent included, are exact on both sides of
    0 and at it.

    Args:
      x: real array of any shape.
      exponent: in [-0.5, 1]; a number, or an array that broadcasts against ``x``, whose values are
        not checked.
      offset: above 0; a number or an array likewise. The derivative at 0 is
        ``offset ** (exponent - 1)``.

    Returns:
      array of the shape and dtype of ``x``.

    Raises:
      ValueError: for a number outside its range.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> x = jnp.array([0.0, 1.0, 100.0])
      >>> jaxspec.log_power_blend(x, exponent=0.0, offset=1e-3).round(3)
      Array([-6.908,  0.001,  4.605], dtype=float32)
      >>> jaxspec.log_power_blend(x, exponent=0.5, offset=1e-3).round(3)
      Array([-1.937e+00,  1.000e-03,  1.800e+01], dtype=float32)

    Reference:
      G. Box and D. Cox, "An analysis of transformations", J. R. Stat. Soc. B 26(2), 1964.
    """
    narrow, x = _energies(x)
    exponent = _array("exponent", exponent, x, at_least=-0.5, at_most=1)
    offset = _array("offset", offset, x, at_least=float(jnp.finfo(x.dtype).tiny))
    base = x + offset
    near = jnp.abs(exponent * jnp.log(base)) < 1
    # The derivatives of the quotient cancel near 0, not only at it, hence the power series there.
    inner = jnp.log(jnp.where(near, base, 1))
    y = inner * _expm1_over(jnp.where(near, exponent, 0) * inner)
    power = jnp.where(near, 1, base) ** jnp.where(near, 1, exponent)
    return as_returned(jnp.where(near, y, (power - 1) / jnp.where(near, 1, exponent)), narrow.dtype)


def _expm1_over(u: jax.Array) -> jax.Array:
    """``(exp(u) - 1) / u`` for ``|u| < 1`` by its power series, with exact derivatives."""
    terms = 12 if u.dtype == jnp.float32 else 19
    series = jnp.full_like(u, 1 / math.factorial(terms))
    for k in range(terms - 1, 0, -1):
        series = 1 / math.factorial(k) + series * u
    return series


def dynamic_range(
    x: jax.Array, *, offset: float | jax.Array = 2.0, power: float | jax.Array = 0.5
) -> jax.Array:
    """Dynamic range compression: ``(max(x, 0) + offset) ** power - offset ** power``.

    PCEN without its gain. Small values are kept apart: near 0 it is computed as
    ``offset ** power * expm1(power * log1p(x / offset))``.

    Args:
      x: real array of any shape.
      offset: above 0; linear well below it, a power law above. A number, or an array that
        broadcasts against ``x``, such as ``(channels,)``, whose values are not checked.
      power: in (0, 1]; a number or an array likewise.

    Returns:
      array of the shape and dtype of ``x``, 0 where that is 0.

    Raises:
      ValueError: for a number outside its range.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.dynamic_range(jnp.array([0.0, 2.0, 14.0])).round(4)
      Array([0.    , 0.5858, 2.5858], dtype=float32)

    Reference:
      X. Liu, M. Sahidullah and T. Kinnunen, "Learnable nonlinear compression for robust speaker
      verification", ICASSP 2022.
    """
    narrow, x = _energies(x)
    offset = _array("offset", offset, x, at_least=float(jnp.finfo(x.dtype).tiny))
    power = _array("power", power, x, above=0, at_most=1)
    # Far above the offset the quotient could overflow, and nothing cancels any more.
    far = x > 1e17 * offset
    below, above = jnp.where(far, 0, x), jnp.where(far, x, 1)
    start = offset**power
    near = start * jnp.expm1(power * jnp.log1p(below / offset))
    return as_returned(jnp.where(far, (above + offset) ** power - start, near), narrow.dtype)


def log_tbn(
    x: jax.Array,
    *,
    log10_scale: float | jax.Array = 5.0,
    over_time: str = "normalize",
    scale: float | jax.Array = 1.0,
    shift: float | jax.Array = 0.0,
    eps: float = 1e-5,
) -> jax.Array:
    """Logarithm through 0, then what is common to all frames taken off.

    ``y = ln(1 + 10 ** log10_scale * max(x, 0))``, then with ``over_time``

    - ``"none"``: no more;
    - ``"median"``: minus the median over the frames (of an even number the lower of the two in the
      middle);
    - ``"append"``: ``y`` and, as further channels, ``y`` minus the median;
    - ``"normalize"``: minus the mean over the frames, divided by ``sqrt(variance + eps)``,

    and finally ``scale * y + shift``.

    Args:
      x: energies ``(..., frames, channels)`` with at least 1 frame.
      log10_scale: a number, or an array ``(channels,)``.
      over_time: one of the words above. Clips and bands never touch each other; batch normalisation
        after it, as in EfficientLEAF, is for the network.
      scale, shift: numbers, or arrays with a value for every output channel.
      eps: above 0; with ``over_time="normalize"`` only.

    Returns:
      array of the shape and dtype of ``x``; twice the channels with ``"append"``.

    Raises:
      ValueError: for an unknown word or a number outside its range.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> x = jnp.array([[0.0], [1e-4], [1.0]])
      >>> jaxspec.log_tbn(x, over_time="median").shape, jaxspec.log_tbn(x, over_time="append").shape
      ((3, 1), (3, 2))

    Reference:
      J. Schlüter and G. Gutenbrunner, "EfficientLEAF: a faster learnable audio frontend of
      questionable use", EUSIPCO 2022.
    """
    narrow, x = _energies(x, ndim=2)
    check_time_axis("x", narrow, axis=-2)
    check_choice("over_time", over_time, OVER_TIME)
    eps = check_number("eps", eps, above=0)
    y = tbn(
        x, log10_scale=log10_scale, scale=scale, shift=shift, over_time=over_time, eps=eps
    )  # fmt: skip
    return as_returned(y, narrow.dtype)


def tbn(
    x: jax.Array,
    *,
    log10_scale: float | jax.Array,
    scale: float | jax.Array,
    shift: float | jax.Array,
    over_time: str,
    eps: float,
    length: jax.Array | int | None = None,
) -> jax.Array:
    """`log_tbn`, for which the first ``length`` frames alone count, a number that may be traced."""
    x = not_negative(x)
    decades = _array("log10_scale", log10_scale, x)
    y = _log1p_scaled(x, jnp.exp(math.log(10) * decades))
    frames = jnp.maximum(jnp.asarray(y.shape[-2] if length is None else length, jnp.int32), 1)
    count = frames.astype(y.dtype)
    if over_time == "normalize":
        y = y - jnp.sum(only_first(y, length, axis=-2), axis=-2, keepdims=True) / count
        square = jnp.sum(only_first(y, length, axis=-2) ** 2, axis=-2, keepdims=True) / count
        y = y * jax.lax.rsqrt(square + eps)
    elif over_time != "none":
        less = y - _in_order(only_first(y, length, axis=-2, value=np.inf), (frames - 1) // 2)
        y = less if over_time == "median" else jnp.concatenate([y, less], axis=-1)
    return _array("scale", scale, x) * y + _array("shift", shift, x)


def _in_order(y: jax.Array, place: jax.Array) -> jax.Array:
    """The frame at this place of every channel, from the smallest on: ``(..., 1, channels)``.

    As a sum, whose transpose is no scatter, and with indices that are laid out as ``y`` is: the
    derivative of ``jnp.sort`` refuses a sharded batch.
    """
    held = jax.lax.stop_gradient(y)
    index = jnp.zeros_like(held, jnp.int32) + jnp.arange(y.shape[-2], dtype=jnp.int32)[:, None]
    _, order = jax.lax.sort((held, index), dimension=y.ndim - 2, num_keys=1)
    chosen = index == jnp.take(order, place[None], axis=-2)
    return jnp.sum(jnp.where(chosen, y, 0), axis=-2, keepdims=True)


def _log1p_scaled(x: jax.Array, scale: jax.Array) -> jax.Array:
    """``log1p(scale * x)`` whose product does not overflow."""
    far = x > 1 / (float(jnp.finfo(x.dtype).eps) * scale)
    below, above = jnp.where(far, 0, x), jnp.where(far, x, 1)
    return jnp.where(far, jnp.log(above) + jnp.log(scale), jnp.log1p(scale * below))


def _energies(x: Any, *, ndim: int = 0) -> tuple[jax.Array, jax.Array]:
    """``x`` as it was given, and not negative in its computation dtype."""
    narrow = check_real("x", x, ndim=ndim)
    return narrow, not_negative(as_computed(narrow))


def _array(name: str, value: Any, x: jax.Array, **bounds: Any) -> jax.Array:
    """A quantity in the dtype of ``x``: numbers are checked, arrays taken as they are."""
    return jnp.asarray(check_parameter(name, value, **bounds), x.dtype)
