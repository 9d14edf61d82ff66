"""Random changes of waveforms for training, and mixtures of clips; each from an explicit key.

Every item of a batch has a draw of its own, which depends on the key and on the number of the item
alone. Features are changed by `jaxspec.spec_augment` and `jaxspec.time_warp`; `jaxspec.dither`
adds noise of a fixed level.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from jaxspec._checks import (
    check_choice,
    check_number,
    check_parameter,
    check_positive_int,
    check_real,
    check_same,
    check_time_axis,
)
from jaxspec._dtypes import as_computed, as_returned
from jaxspec._extremes import largest
from jaxspec._items import below, check_key, item_bits, item_lengths, over_items, unit

__all__ = [
    "SHIFT_MODES",
    "add_noise",
    "mixup",
    "random_crop",
    "random_gain",
    "random_polarity",
    "random_shift",
]

SHIFT_MODES = ("zeros", "wrap")
# A peak under this is silence: the slope of a gain is up to 1 over it, the curvature its square.
_SILENCE = 1e-15


def random_gain(
    key: jax.Array, x: jax.Array, *, low: float, high: float, shared: bool = False
) -> jax.Array:
    """Make each item louder or softer: a gain in dB, uniform from ``low`` to ``high``.

    Args:
      key: a JAX random key.
      x: waveform ``(..., samples)``.
      low: smallest gain in dB; at least -200.
      high: largest gain in dB, from ``low`` to 200.
      shared: one draw for all items, that of item 0.

    Returns:
      array of the shape and dtype of ``x``.

    Raises:
      ValueError: without a key, for ``high`` below ``low`` or gains beyond 200 dB.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> y = jaxspec.random_gain(jax.random.key(0), jnp.ones((4, 10)), low=-6, high=6)
      >>> bool(((y > 0.5) & (y < 2)).all()), len(set(y[:, 0].tolist()))
      (True, 4)
    """
    check_key(key)
    narrow = check_real("x", x)
    low = check_number("low", low, at_least=-200)
    high = check_number("high", high, at_least=low, at_most=200, because="low to 200 dB")
    bits = item_bits(key, narrow.shape[:-1], 1, shared=shared)
    x = as_computed(narrow)
    decibels = low + (high - low) * unit(bits, x.dtype)
    return as_returned(x * jnp.exp((math.log(10) / 20) * decibels), narrow.dtype)


def random_polarity(
    key: jax.Array, x: jax.Array, *, probability: float = 0.5, shared: bool = False
) -> jax.Array:
    """Turn the sign of each item round with a probability.

    Args:
      key: a JAX random key.
      x: waveform ``(..., samples)``.
      probability: of ``-x``, from 0 to 1.
      shared: one draw for all items, that of item 0.

    Returns:
      array of the shape and dtype of ``x``.

    Raises:
      ValueError: without a key, for a probability out of range.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> y = jaxspec.random_polarity(jax.random.key(1), jnp.ones((1000, 2)))
      >>> bool((abs(y) == 1).all()), bool(abs(y.mean()) < 0.1)
      (True, True)
    """
    check_key(key)
    x = check_real("x", x)
    probability = check_number("probability", probability, at_least=0, at_most=1)
    bits = item_bits(key, x.shape[:-1], 1, shared=shared)
    return jnp.where(unit(bits, jnp.float32) < probability, -x, x)


def random_shift(
    key: jax.Array,
    x: jax.Array,
    *,
    max_shift: int,
    mode: str = "zeros",
    lengths: jax.Array | None = None,
    shared: bool = False,
) -> jax.Array:
    """Move each item in time by whole samples, uniform from ``-max_shift`` to ``max_shift``.

    Args:
      key: a JAX random key.
      x: waveform ``(..., samples)``.
      max_shift: the furthest in samples, at least 0. An item shorter than that is moved by at most
        its length. Positive shifts are later.
      mode: what comes in at one end: ``"zeros"``, or ``"wrap"``: what went out at the other.
      lengths: true lengths in samples, integers of the shape of the leading axes of ``x`` or of
        the first of them, also traced (then held within 0 and the size of the axis). An item moves
        within its length; what lies beyond stays as it is.
      shared: one draw for all items, that of item 0.

    Returns:
      array of the shape and dtype of ``x``.

    Raises:
      ValueError: without a key, for a negative ``max_shift``, an unknown mode, lengths of another
        shape or, where they are known, out of range.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> x = jnp.arange(1.0, 6.0)
      >>> y = jaxspec.random_shift(jax.random.key(0), x, max_shift=2, mode="wrap", lengths=4)
      >>> sorted(y[:4].tolist()), float(y[4])
      ([1.0, 2.0, 3.0, 4.0], 5.0)
    """
    check_key(key)
    x = check_real("x", x)
    check_time_axis("x", x)
    max_shift = check_positive_int("max_shift", max_shift, minimum=0)
    check_choice("mode", mode, SHIFT_MODES)
    leading, size = x.shape[:-1], x.shape[-1]
    ends = item_lengths(lengths, leading, size)[..., None]
    most = jnp.minimum(ends, min(max_shift, size))
    shift = below(item_bits(key, leading, 1, shared=shared), 2 * most + 1) - most
    time = jnp.arange(size, dtype=jnp.int32)
    source = time - shift
    if mode == "wrap":
        source = source % jnp.maximum(ends, 1)
    inside = (source >= 0) & (source < ends)
    # Within the true length even where nothing is taken: padding is never touched.
    place = jnp.where(time < ends, jnp.clip(source, 0, jnp.maximum(ends - 1, 0)), time)
    moved = jnp.take_along_axis(x, place, axis=-1)
    return jnp.where((time < ends) & ~inside, jnp.zeros((), x.dtype), moved)


def random_crop(
    key: jax.Array,
    x: jax.Array,
    *,
    length: int,
    lengths: jax.Array | None = None,
    shared: bool = False,
) -> jax.Array:
    """Cut a piece out of each item, from a start that is uniform over where it fits.

    Args:
      key: a JAX random key.
      x: waveform ``(..., samples)``, such as noise that is longer than speech.
      length: of the piece in samples, at most those of ``x``.
      lengths: true lengths, as in `random_shift`: the piece ends within them, or, of an item that
        is shorter than ``length``, starts at 0.
      shared: one draw for all items, that of item 0.

    Returns:
      array ``(..., length)`` of the dtype of ``x``.

    Raises:
      ValueError: without a key, for a piece longer than ``x``, for wrong ``lengths``.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> piece = jaxspec.random_crop(jax.random.key(0), jnp.arange(100.0), length=3)
      >>> (piece - piece[0]).tolist()
      [0.0, 1.0, 2.0]
    """
    check_key(key)
    x = check_real("x", x)
    length = check_positive_int("length", length)
    leading, size = x.shape[:-1], x.shape[-1]
    if length > size:
        raise ValueError(
            f"length must be <= the samples of x, got length={length} and x with shape {x.shape}"
        )
    room = jnp.maximum(item_lengths(lengths, leading, size)[..., None] - length, 0)
    start = below(item_bits(key, leading, 1, shared=shared), room + 1)
    return jnp.take_along_axis(x, start + jnp.arange(length, dtype=jnp.int32), axis=-1)


def add_noise(
    x: jax.Array,
    noise: jax.Array,
    *,
    snr: float | jax.Array,
    lengths: jax.Array | None = None,
) -> jax.Array:
    """Add noise to each item, scaled to a ratio of signal to noise.

    The ratio is that of the powers over the samples within the true length. Where the signal or the
    noise is silent there (no sample of 1e-15 or more), the item stays as it is.

    Args:
      x: waveform ``(..., samples)``.
      noise: of as many samples (`random_crop` cuts it), with the same leading axes or with ones
        that broadcast to those of ``x``.
      snr: in dB, at least -200: a number, or an array with a value for every item, of the shape of
        the leading axes of ``x`` or of the first of them, whose values are not checked.
      lengths: true lengths, as in `random_shift`; nothing is added beyond them.

    Returns:
      array of the shape and dtype of ``x``. Its gradient knows that the gain follows the signal.

    Raises:
      ValueError: for noise of another number of samples or of axes that do not broadcast, a ratio
        out of range, ``snr`` or ``lengths`` of another shape.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> x, noise = jnp.ones(4), jnp.array([3.0, -3.0, 3.0, -3.0])
      >>> jaxspec.add_noise(x, noise, snr=20).round(4)
      Array([1.1, 0.9, 1.1, 0.9], dtype=float32)
    """
    narrow, noise = check_real("x", x), check_real("noise", noise)
    check_time_axis("x", narrow)
    shape, leading = narrow.shape, narrow.shape[:-1]
    check_same(
        "the samples of noise", noise.shape[-1], "those of x", shape[-1], because="random_crop cuts"
    )
    try:
        fits = jnp.broadcast_shapes(noise.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"the axes of noise must broadcast to those of x, got noise with shape {noise.shape} "
            f"and x with shape {shape}"
        )
    snr = check_parameter("snr", snr, at_least=-200)
    x = as_computed(narrow)
    decibels = over_items("snr", jnp.asarray(snr).astype(x.dtype), leading)[..., None]
    ends = item_lengths(lengths, leading, shape[-1])[..., None]
    inside = jnp.arange(shape[-1], dtype=jnp.int32) < ends
    noise = jnp.where(inside, jnp.broadcast_to(noise.astype(x.dtype), shape), 0)
    # Both are over the same samples, so their number drops out of the ratio.
    signal_heard, signal_norm = _norm(jnp.where(inside, x, 0))
    noise_heard, noise_norm = _norm(noise)
    level = signal_norm * jnp.exp((-math.log(10) / 20) * decibels)
    added = x + level * (noise / noise_norm)
    return as_returned(jnp.where(inside & signal_heard & noise_heard, added, x), narrow.dtype)


def _norm(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Whether there is sound, and the root of the sum of squares (of silence: of ones)."""
    # Squares of what is divided by its peak neither overflow nor vanish; the slope of the peak
    # drops out, for the norm does not depend on what it is divided by.
    peak = jax.lax.stop_gradient(largest(jnp.abs(x), -1))
    heard = peak >= _SILENCE
    peak = jnp.where(heard, peak, 1)
    share = jnp.where(heard, x / peak, 1)
    return heard, peak * jnp.sqrt(jnp.sum(share * share, axis=-1, keepdims=True))


def mixup(
    key: jax.Array, x: jax.Array, y: jax.Array, *, alpha: float = 0.2, return_pairs: bool = False
) -> tuple[Any, ...]:
    """Mix each item of a batch, and its target, with those of another item.

    ``w * x[i] + (1 - w) * x[j]``, and the same of ``y``: ``j`` is the place of ``i`` in a random
    permutation (which may be ``i`` itself), ``w`` is drawn from Beta(alpha, alpha) for each item.

    Args:
      key: a JAX random key.
      x: waveforms or features ``(batch, ...)``. The one function of this library in which
        items touch: what is not finite in one reaches another.
      y: floating point targets ``(batch, ...)``: one-hot vectors (`jax.nn.one_hot`), probabilities,
        values.
      alpha: above 0: small for weights near 0 and 1, 1 for uniform ones.
      return_pairs: also return the weights and the permutation, for losses of other targets.

    Returns:
      ``(x, y)``, of the shapes and dtypes given; with ``return_pairs`` ``(x, y, weight, partner)``
      with the float32 weight ``w`` and the int32 index ``j`` of each item, ``(batch,)``.

    Raises:
      ValueError: without a key, for batches of different sizes, for ``alpha`` not above 0.
      TypeError: for integer targets.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> x, y = jnp.ones((4, 100)), jax.nn.one_hot(jnp.arange(4), 10)
      >>> mixed, target = jaxspec.mixup(jax.random.key(0), x, y)
      >>> mixed.shape, target.sum(axis=1).round(4).tolist()
      ((4, 100), [1.0, 1.0, 1.0, 1.0])

    Reference:
      H. Zhang, M. Cisse, Y. N. Dauphin and D. Lopez-Paz, "mixup: Beyond empirical risk
      minimization", ICLR 2018.
    """
    check_key(key)
    x, y = check_real("x", x), jnp.asarray(y)
    if not jnp.issubdtype(y.dtype, jnp.floating):
        raise TypeError(
            f"y must be floating point targets, got y with dtype {y.dtype}; numbers of classes "
            f"become vectors by jax.nn.one_hot"
        )
    if not y.ndim:
        raise ValueError(f"y must have the batch as its first axis, got y with shape {y.shape}")
    check_same("the batch of y", y.shape[0], "that of x", x.shape[0])
    alpha = check_number("alpha", alpha, above=0)
    check_choice("return_pairs", return_pairs, (False, True))
    for_weight, for_pairs = jax.random.split(key)
    partner = jax.random.permutation(for_pairs, jnp.arange(x.shape[0], dtype=jnp.int32))
    weight = jax.random.beta(for_weight, alpha, alpha, x.shape[:1], jnp.float32)
    mixed = (_mixture(x, weight, partner), _mixture(y, weight, partner))
    return (*mixed, weight, partner) if return_pairs else mixed


def _mixture(narrow: jax.Array, weight: jax.Array, partner: jax.Array) -> jax.Array:
    x = as_computed(narrow)
    weight = weight.astype(x.dtype).reshape(-1, *(1,) * (x.ndim - 1))
    return as_returned(weight * x + (1 - weight) * x[partner], narrow.dtype)
