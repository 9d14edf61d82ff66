"""Padding, framing, overlap-add and the arithmetic of frames.

Frame ``t`` covers the ``n_fft`` samples from ``t * hop_length`` on: of the signal itself with
``center=False``, and of the signal padded by ``n_fft // 2`` on both sides with ``center=True``,
so that frame ``t`` then lies around sample ``t * hop_length``. Frames are whole: samples after
the last whole frame belong to none.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, TypeVar

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
from jaxspec._frames import frame_count, frame_p, overlap_add_p
from jaxspec._sizes import at_least, is_symbol, surely_less

__all__ = [
    "PAD_MODES",
    "fft_frequencies",
    "frame",
    "frame_times",
    "num_frames",
    "only_first",
    "overlap_add",
    "pad",
    "pad_first",
    "pad_unchecked",
    "repeat_ends",
    "samples_for_frames",
    "start_need",
]

PAD_MODES = ("reflect", "constant", "edge", "symmetric", "wrap")

_Count = TypeVar("_Count", int, jax.Array, np.ndarray)


def num_frames(n_samples: _Count, *, n_fft: int, hop_length: int, center: bool = True) -> _Count:
    """How many frames a signal has.

    ``1 + (n_samples + 2 * (n_fft // 2) - n_fft) // hop_length`` with ``center=True`` and
    ``1 + (n_samples - n_fft) // hop_length`` without, never less than 0.

    Args:
      n_samples: length in samples; an int, or an integer array (also traced) of lengths.
      n_fft: samples in a frame.
      hop_length: samples from one frame to the next.
      center: whether the signal is padded by ``n_fft // 2`` on both sides.

    Returns:
      An int for an int, an array for an array.

    Example:
      >>> import jaxspec
      >>> jaxspec.num_frames(16000, n_fft=400, hop_length=160)
      101
      >>> jaxspec.num_frames(16000, n_fft=400, hop_length=160, center=False)
      98
    """
    n_fft = check_positive_int("n_fft", n_fft)
    hop_length = check_positive_int("hop_length", hop_length)
    if isinstance(n_samples, int):
        check_positive_int("n_samples", n_samples, minimum=0)
    padding = 2 * (n_fft // 2) if center else 0
    count = frame_count(n_samples + padding, n_fft, hop_length)
    if isinstance(n_samples, int) or is_symbol(n_samples):
        return at_least(count, 0)
    return (jnp if isinstance(n_samples, jax.Array) else np).maximum(count, 0)


def samples_for_frames(n_frames: int, *, n_fft: int, hop_length: int, center: bool = True) -> int:
    """The smallest number of samples (at least 1) that gives ``n_frames`` frames.

    Example:
      >>> import jaxspec
      >>> jaxspec.samples_for_frames(98, n_fft=400, hop_length=160, center=False)
      15920
      >>> jaxspec.num_frames(15920, n_fft=400, hop_length=160, center=False)
      98
    """
    n_frames = check_positive_int("n_frames", n_frames)
    n_fft = check_positive_int("n_fft", n_fft)
    hop_length = check_positive_int("hop_length", hop_length)
    padding = 2 * (n_fft // 2) if center else 0
    return max((n_frames - 1) * hop_length + n_fft - padding, 1)


def frame_times(
    n_frames: int, *, sample_rate: float, n_fft: int, hop_length: int, center: bool = True
) -> np.ndarray:
    """The time in seconds of the middle of every frame (sample ``n_fft // 2`` of it).

    Returns:
      float64 array of shape ``(n_frames,)``.

    Example:
      >>> import jaxspec
      >>> jaxspec.frame_times(3, sample_rate=16000, n_fft=400, hop_length=160)
      array([0.  , 0.01, 0.02])
      >>> jaxspec.frame_times(2, sample_rate=16000, n_fft=400, hop_length=160, center=False)
      array([0.0125, 0.0225])
    """
    n_frames = check_positive_int("n_frames", n_frames, minimum=0)
    sample_rate = check_number("sample_rate", sample_rate, above=0)
    n_fft = check_positive_int("n_fft", n_fft)
    hop_length = check_positive_int("hop_length", hop_length)
    first = 0 if center else n_fft // 2
    return (first + hop_length * np.arange(n_frames)) / sample_rate


def fft_frequencies(*, sample_rate: float, n_fft: int) -> np.ndarray:
    """The frequency in Hz of every bin of a one-sided spectrum: ``k * sample_rate / n_fft``.

    For an odd ``n_fft`` the last bin lies below half the sample rate.

    Returns:
      float64 array of shape ``(n_fft // 2 + 1,)``.

    Example:
      >>> import jaxspec
      >>> jaxspec.fft_frequencies(sample_rate=8000, n_fft=4)
      array([   0., 2000., 4000.])
      >>> jaxspec.fft_frequencies(sample_rate=16000, n_fft=401)[-1].round(4)
      np.float64(7980.0499)
    """
    sample_rate = check_number("sample_rate", sample_rate, above=0)
    n_fft = check_positive_int("n_fft", n_fft)
    return np.arange(n_fft // 2 + 1) * (sample_rate / n_fft)


def pad(x: jax.Array, *, before: int, after: int, pad_mode: str = "reflect") -> jax.Array:
    """Lengthen the last axis at both ends.

    Args:
      x: array of shape ``(..., samples)`` with at least 1 sample, floating point.
      before: samples to add in front.
      after: samples to add at the end.
      pad_mode: what the new samples are, in NumPy's words: ``"reflect"`` (mirror image without
        repeating the end sample), ``"symmetric"`` (repeating it), ``"edge"`` (the end sample),
        ``"wrap"`` (the other end) or ``"constant"`` (zeros). Where more samples are asked for
        than the clip has, reflection and wrapping go on back and forth, as in NumPy.

    Returns:
      Array of shape ``(..., before + samples + after)`` and the dtype of ``x``.

    Raises:
      ValueError: for an empty time axis, a negative width or an unknown mode.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.pad(jnp.arange(4.0), before=2, after=2)
      Array([2., 1., 0., 1., 2., 3., 2., 1.], dtype=float32)
    """
    x = check_real("x", x)
    check_time_axis("x", x)
    before = check_positive_int("before", before, minimum=0)
    after = check_positive_int("after", after, minimum=0)
    check_choice("pad_mode", pad_mode, PAD_MODES)
    return pad_unchecked(x, before=before, after=after, pad_mode=pad_mode)


def pad_unchecked(x: jax.Array, *, before: int, after: Any, pad_mode: str) -> jax.Array:
    """`pad`, where ``after`` may be a symbol."""
    if pad_mode == "constant":
        return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(before, after)])
    n = x.shape[-1]
    parts = [
        _outside(x, -before, 0, pad_mode),
        x,
        _outside(x, n, n + after, pad_mode),
    ]
    return jnp.concatenate([part for part in parts if part.shape[-1] != 0], axis=-1)


def start_need(before: int, pad_mode: str) -> int:
    """The farthest sample that stands anywhere in front of a padded clip; -1 for none.

    Example:
      >>> [start_need(3, mode) for mode in ("reflect", "symmetric", "edge", "constant")]
      [3, 2, 0, -1]
    """
    farthest = {"reflect": before, "symmetric": before - 1, "edge": 0}
    return farthest.get(pad_mode, -1) if before > 0 else -1


def pad_first(
    x: jax.Array, *, length: jax.Array | int, before: int, after: int, pad_mode: str, axis: int = -1
) -> jax.Array:
    """`pad` of the first ``length`` positions of an axis, a number that may be traced.

    The result is ``before + after`` longer than ``x``; what stands in it behind the padded clip is
    of no account.
    """
    length = jnp.asarray(length, jnp.int32)

    def outside(position: jax.Array) -> jax.Array:
        mode = "wrap" if pad_mode == "constant" else pad_mode  # any position, for its zeros
        source = _source(position, length, mode, jnp)
        values = jnp.take(x, source, axis=axis, mode="clip")
        return jnp.zeros_like(values) if pad_mode == "constant" else values

    front, back = (
        outside(jnp.arange(before, dtype=jnp.int32) - before),
        outside(jnp.arange(after, dtype=jnp.int32) + length),
    )
    padded = jnp.concatenate([front, x, jnp.zeros_like(back)], axis=axis)
    return jax.lax.dynamic_update_slice_in_dim(padded, back, before + length, axis=axis)


def only_first(
    x: jax.Array, length: jax.Array | int | None, *, axis: int = -1, value: float = 0.0
) -> jax.Array:
    """``x`` with ``value`` behind its first ``length`` positions; ``None``: as it is."""
    if length is None:
        return x
    position = jnp.arange(x.shape[axis], dtype=jnp.int32)
    position = position.reshape((-1,) + (1,) * (-1 - axis if axis < 0 else x.ndim - 1 - axis))
    return jnp.where(position < length, x, jnp.asarray(value, x.dtype))


def repeat_ends(
    x: jax.Array, *, before: int, after: int, length: jax.Array | int | None = None
) -> jax.Array:
    """Features with their first and last frame so many times more; of no frames there are none.

    With ``length``, which may be traced, it is the first so many frames.
    """
    if x.shape[-2] == 0:
        return x
    if length is not None:
        widths = {"before": before, "after": after}
        return pad_first(x, length=length, pad_mode="edge", axis=x.ndim - 2, **widths)
    *batch, _, channels = x.shape
    first = jnp.broadcast_to(x[..., :1, :], (*batch, before, channels))
    last = jnp.broadcast_to(x[..., -1:, :], (*batch, after, channels))
    return jnp.concatenate([first, x, last], axis=-2)


def _outside(x: jax.Array, start: int, stop: int, pad_mode: str) -> jax.Array:
    """The samples at positions ``start … stop - 1``, all of them before or after the clip."""
    n = x.shape[-1]
    skip = {"reflect": 1, "symmetric": 0}.get(pad_mode)
    if skip is not None and surely_less(stop - start + skip - 1, n):
        # Once around the corner: a reversed slice, which has a cheap transpose.
        if start < 0:
            return jax.lax.rev(x[..., skip : skip - start], [x.ndim - 1])
        return jax.lax.rev(x[..., n - skip - (stop - start) : n - skip], [x.ndim - 1])
    if pad_mode == "edge":
        end = x[..., :1] if start < 0 else x[..., -1:]
        return jnp.broadcast_to(end, (*x.shape[:-1], stop - start))
    if is_symbol(n) or is_symbol(stop):
        position = jnp.arange(stop - start, dtype=jnp.int32) + start
        return x[..., _source(position, n, pad_mode, jnp)]
    return x[..., _source(np.arange(start, stop), n, pad_mode, np)]


def _source(position: Any, n: Any, pad_mode: str, xp: ModuleType) -> Any:
    """Which positions of a clip of ``n`` stand at these, which are before or after it."""
    if pad_mode == "edge":
        return xp.clip(position, 0, n - 1)
    if pad_mode == "wrap":
        return position % n
    period = xp.maximum(2 * (n - 1), 1) if pad_mode == "reflect" else 2 * n
    position = position % period
    mirrored = period - position - (0 if pad_mode == "reflect" else 1)
    return xp.minimum(xp.where(position < n, position, mirrored), n - 1)


def frame(x: jax.Array, *, frame_length: int, hop_length: int) -> jax.Array:
    """Cut a signal into overlapping frames, from the first sample on, whole frames only.

    Args:
      x: array of shape ``(..., samples)``.
      frame_length: samples in a frame.
      hop_length: samples from one frame to the next, smaller, equal or larger than a frame.

    Returns:
      Array of shape ``(..., frames, frame_length)``.

    Raises:
      ValueError: if the signal is shorter than one frame.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.frame(jnp.arange(7.0), frame_length=3, hop_length=2)
      Array([[0., 1., 2.],
             [2., 3., 4.],
             [4., 5., 6.]], dtype=float32)
    """
    x = jnp.asarray(x)
    if x.ndim == 0:
        raise ValueError("x must have at least 1 dimension (..., samples), got a scalar")
    frame_length = check_positive_int("frame_length", frame_length)
    hop_length = check_positive_int("hop_length", hop_length)
    if x.shape[-1] < frame_length:
        raise ValueError(
            f"a signal of {x.shape[-1]} samples holds no frame of {frame_length} samples; "
            f"pad the signal, or use center=True, or a shorter frame"
        )
    return frame_p.bind(x, frame_length=frame_length, hop_length=hop_length)


def overlap_add(frames: jax.Array, *, hop_length: int) -> jax.Array:
    """Add frames up at their places: the transpose of `frame`.

    Args:
      frames: array of shape ``(..., frames, frame_length)`` with at least 1 frame.
      hop_length: samples from one frame to the next.

    Returns:
      Array of shape ``(..., (frames - 1) * hop_length + frame_length)``.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.overlap_add(jnp.ones((3, 4)), hop_length=2)
      Array([1., 1., 2., 2., 2., 2., 1., 1.], dtype=float32)
    """
    frames = jnp.asarray(frames)
    if frames.ndim < 2:
        raise ValueError(
            f"frames must have shape (..., frames, frame_length), got frames with shape "
            f"{frames.shape}"
        )
    hop_length = check_positive_int("hop_length", hop_length)
    check_time_axis("frames", frames, axis=-2)
    total = (frames.shape[-2] - 1) * hop_length + frames.shape[-1]
    return overlap_add_p.bind(frames, hop_length=hop_length, length=total)
