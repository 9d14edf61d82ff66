"""SpecAugment: masks over time and channels of features, and a warp of their time axis.

Masks and warps lie within the true length of each item and never depend on its padding. Every item
has a draw of its own, which depends on the key and on the number of the item alone.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

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
from jaxspec._items import below, check_key, item_bits, item_lengths, portions

__all__ = ["FILLS", "spec_augment", "time_warp"]

FILLS = ("zero", "mean")


def spec_augment(
    key: jax.Array,
    x: jax.Array,
    *,
    lengths: jax.Array | None = None,
    n_time_masks: int | None = None,
    time_mask_width: int | None = None,
    time_mask_share: float = 1.0,
    adaptive_masks: float | None = None,
    adaptive_width: float | None = None,
    n_freq_masks: int = 2,
    freq_mask_width: int = 27,
    fill: str = "zero",
    time_warp: int = 0,
    shared: bool = False,
) -> jax.Array:
    """SpecAugment: mask some stretches of time and some bands of neighbouring channels.

    The law, for an item of ``n`` true frames: the first time mask is as wide as a whole number that
    is uniform from 0 to the smaller of ``time_mask_width`` and ``floor(time_mask_share * n)``;
    of each further one the second bound is what the widths before it have left of that. The start
    of a mask of width ``w`` is uniform from 0 to ``n - w``. Masks of channels likewise: a width
    uniform from 0 to ``freq_mask_width`` (or the number of channels), a start uniform over
    where it fits; over all true frames. Masks may overlap.

    Args:
      key: a JAX random key.
      x: features ``(..., frames, channels)``, best with a mean near 0 (as zeros are filled in).
      lengths: true numbers of frames, integers of the shape of the leading axes of ``x`` or of
        the first of them, also traced (then held within 0 and the size of the axis). Frames
        beyond stay as they are, and nothing depends on what they hold.
      n_time_masks: number of time masks, also 0; 2 unless given, 20 with ``adaptive_masks``.
      time_mask_width: the widest one in frames, at least 1; 100 unless given, with
        ``adaptive_width`` no bound of its own.
      time_mask_share: in [0, 1]: of the true frames no more than this share is masked, by all time
        masks together. (The paper bounds the width of each mask so.)
      adaptive_masks: above 0 and at most 1: only the first ``floor(adaptive_masks * n)`` of the
        ``n_time_masks`` are there. 0.04 in the second paper.
      adaptive_width: above 0 and at most 1: time masks of at most ``floor(adaptive_width * n)``
        frames. 0.04 in the second paper.
      n_freq_masks: number of masks of channels, also 0.
      freq_mask_width: the widest one in channels, at least 1.
      fill: ``"zero"``, or ``"mean"``: the mean over the true frames and channels of the item.
      time_warp: if above 0, `jaxspec.time_warp` comes first, with this ``max_shift``; 80 in the
        first paper, none in the second.
      shared: one draw for all items, that of item 0: the same masks for items of the same length,
        at the same relative place in others.

    Returns:
      array of the shape and dtype of ``x``. With ``fill="zero"`` the gradient is exactly 0 where
      there is a mask and 1 elsewhere (without a warp).

    Raises:
      ValueError: without a key, for an option out of its range, lengths of another shape or, where
        they are known, out of range.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> x = jnp.ones((2, 400, 80))
      >>> y = jaxspec.spec_augment(
      ...     jax.random.key(0), x, lengths=jnp.array([400, 120]), time_mask_share=0.2
      ... )
      >>> masked = (y == 0).all(axis=-1).sum(axis=-1)
      >>> bool((masked <= jnp.array([80, 24])).all()), bool((y[1, 120:] == 1).all())
      (True, True)

    Reference:
      D. S. Park et al., "SpecAugment: a simple data augmentation method for automatic speech
      recognition", Interspeech 2019 (the defaults are its policy LD, without the warp); D. S. Park
      et al., "SpecAugment on large scale datasets", ICASSP 2020 (``adaptive_masks`` and
      ``adaptive_width``).
    """
    check_key(key)
    narrow = check_real("x", x, ndim=2)
    check_time_axis("x", narrow, axis=-2)
    check_choice("fill", fill, FILLS)
    check_choice("shared", shared, (False, True))
    n_freq_masks = check_positive_int("n_freq_masks", n_freq_masks, minimum=0)
    return _augmented(
        key,
        narrow,
        item_lengths(lengths, narrow.shape[:-2], narrow.shape[-2]),
        over_time=_over_time(
            n_time_masks, time_mask_width, time_mask_share, adaptive_masks, adaptive_width
        ),
        over_channels=_Masks(n_freq_masks, check_positive_int("freq_mask_width", freq_mask_width)),
        fill=fill,
        max_shift=_check_shift("time_warp", time_warp, narrow.shape[-2]),
        shared=shared,
    )


class _Masks(NamedTuple):
    """Of the masks over one axis: their number, the widest, and shares of the true length."""

    number: int
    width: int | None
    together: float | None = None
    masks: float | None = None
    each: float | None = None


def _over_time(
    number: int | None,
    width: int | None,
    together: float,
    masks: float | None,
    each: float | None,
) -> _Masks:
    """The time masks that the options ask for, checked, with their defaults."""
    if number is None:
        number = 2 if masks is None else 20
    if width is None and each is None:
        width = 100
    if masks is not None:
        masks = check_number("adaptive_masks", masks, above=0, at_most=1)
    if each is not None:
        each = check_number("adaptive_width", each, above=0, at_most=1)
    return _Masks(
        check_positive_int("n_time_masks", number, minimum=0),
        None if width is None else check_positive_int("time_mask_width", width),
        check_number("time_mask_share", together, at_least=0, at_most=1),
        masks,
        each,
    )


# Compiled as one, and not step by step where it is called outside of any jit.
@partial(jax.jit, static_argnames=("over_time", "over_channels", "fill", "max_shift", "shared"))
def _augmented(
    key: jax.Array,
    narrow: jax.Array,
    ends: jax.Array,
    *,
    over_time: _Masks,
    over_channels: _Masks,
    fill: str,
    max_shift: int,
    shared: bool,
) -> jax.Array:
    frames, channels = narrow.shape[-2:]
    counts = np.cumsum([2, 2 * over_time.number, 2 * over_channels.number])
    bits = item_bits(key, ends.shape, int(counts[-1]), shared=shared)
    for_warp, for_frames, for_channels = jnp.split(bits, counts[:-1], axis=-1)
    masked_frames = _masked(for_frames, ends, frames, over_time)
    every = jnp.full_like(ends, channels)
    masked_channels = _masked(for_channels, every, channels, over_channels)
    x = as_computed(narrow)
    if max_shift:
        x = _warped(x, for_warp, ends, max_shift)
    inside = (jnp.arange(frames, dtype=jnp.int32) < ends[..., None])[..., None]
    masked = inside & (masked_frames[..., None] | masked_channels[..., None, :])
    value = jnp.zeros((), x.dtype)
    if fill == "mean":
        # Divided before they are added, so that the sum does not overflow.
        share = 1 / (jnp.maximum(ends, 1) * channels).astype(x.dtype)
        kept = jnp.where(inside, x, 0) * share[..., None, None]
        value = jnp.sum(kept, axis=(-2, -1), keepdims=True)
    return as_returned(jnp.where(masked, value, x), narrow.dtype)


def _masked(bits: jax.Array, ends: jax.Array, size: int, masks: _Masks) -> jax.Array:
    """Where any mask is, ``(..., size)``, of random bits ``(..., 2 * masks.number)``."""

    def at_most(share: float | None) -> jax.Array | None:
        return None if share is None else jnp.asarray(portions(share, size))[ends]

    widest = ends if masks.width is None else jnp.minimum(ends, masks.width)
    each, left, number = at_most(masks.each), at_most(masks.together), at_most(masks.masks)
    widest = widest if each is None else jnp.minimum(widest, each)
    masked = jnp.zeros((*ends.shape, size), bool)
    place = jnp.arange(size, dtype=jnp.int32)
    for k in range(masks.number):
        most = widest if left is None else jnp.minimum(widest, left)
        most = most if number is None else jnp.where(k < number, most, 0)
        width = below(bits[..., 2 * k], most + 1)
        left = None if left is None else left - width
        start = below(bits[..., 2 * k + 1], ends - width + 1)[..., None]
        masked = masked | ((place >= start) & (place < start + width[..., None]))
    return masked


def time_warp(
    key: jax.Array,
    x: jax.Array,
    *,
    lengths: jax.Array | None = None,
    max_shift: int = 80,
    shared: bool = False,
) -> jax.Array:
    """Stretch one part of the time axis and compress the other, about a random point.

    In an item of ``n`` true frames the frame ``c``, uniform from ``max_shift + 1`` to
    ``n - 2 - max_shift``, moves to ``c + s``, with ``s`` uniform from ``-max_shift`` to
    ``max_shift``; the first and the last frame stay. In between frames are taken at evenly spaced
    places on either side, by linear interpolation. Where an item is too short,
    ``max_shift`` is ``(n - 3) // 2`` for it; fewer than 5 frames stay as they are.

    Args:
      key: a JAX random key.
      x: features ``(..., frames, channels)``.
      lengths: true numbers of frames, as in `spec_augment`; frames beyond stay as they are.
      max_shift: the furthest a frame is moved, at least 0: exactly ``x``.
      shared: one draw for all items, that of item 0.

    Returns:
      array of the shape and dtype of ``x``.

    Raises:
      ValueError: without a key, for a negative ``max_shift``, or one that times the number of
        frames is 2**31 or more; lengths of another shape or, where they are known, out of range.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> x = jnp.arange(200.0)[:, None]
      >>> y = jaxspec.time_warp(jax.random.key(0), x)
      >>> y[0, 0] == 0, y[-1, 0] == 199, bool((jnp.diff(y[:, 0]) > 0).all())
      (Array(True, dtype=bool), Array(True, dtype=bool), True)

    Reference:
      D. S. Park et al., "SpecAugment: a simple data augmentation method for automatic speech
      recognition", Interspeech 2019.
    """
    check_key(key)
    narrow = check_real("x", x, ndim=2)
    check_time_axis("x", narrow, axis=-2)
    leading, frames = narrow.shape[:-2], narrow.shape[-2]
    max_shift = _check_shift("max_shift", max_shift, frames)
    ends = item_lengths(lengths, leading, frames)
    bits = item_bits(key, leading, 2, shared=shared)
    if not max_shift:
        return narrow
    return as_returned(_warped(as_computed(narrow), bits, ends, max_shift), narrow.dtype)


def _check_shift(name: str, max_shift: int, frames: int) -> int:
    max_shift = check_positive_int(name, max_shift, minimum=0)
    if max_shift * frames >= 2**31:
        raise ValueError(
            f"{name} times the number of frames must be < 2**31, got {name}={max_shift} and "
            f"{frames} frames"
        )
    return max_shift


@partial(jax.jit, static_argnums=3)
def _warped(x: jax.Array, bits: jax.Array, ends: jax.Array, max_shift: int) -> jax.Array:
    # Frame t of the result is at t - s * d in the item, where d rises from 0 at the first frame to
    # 1 at the point's new place, and falls to 0 at the last. In whole numbers, so that ends and
    # unmoved frames are exact.
    last = ends[..., None] - 1
    most = jnp.clip((ends[..., None] - 3) // 2, 0, max_shift)
    shift = below(bits[..., :1], 2 * most + 1) - most
    point = most + 1 + below(bits[..., 1:], jnp.maximum(last - 2 * most - 1, 1))
    there = point + shift
    time = jnp.arange(x.shape[-2], dtype=jnp.int32)
    away = jnp.where(time <= there, time, last - time)
    span = jnp.maximum(jnp.where(time <= there, there, last - there), 1)
    moved = jnp.where(time <= last, -shift * away, 0)
    lower = time + moved // span
    # A neighbour with no weight is not read: it may be padding, or not finite.
    upper = jnp.where(moved % span > 0, lower + 1, lower)
    weight = ((moved % span).astype(x.dtype) / span.astype(x.dtype))[..., None]
    left = jnp.take_along_axis(x, lower[..., None], axis=-2)
    right = jnp.take_along_axis(x, upper[..., None], axis=-2)
    return jnp.where(weight > 0, (1 - weight) * left + weight * right, left)
