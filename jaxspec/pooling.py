"""Pooling over time: weighted sums and maxima of neighbouring frames, channel by channel."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxspec._extremes import largest
from jaxspec._frames import positions
from jaxspec._sizes import at_least

__all__ = ["largest_of_windows", "weighted_windows"]

_MOST_TERMS = 64


def weighted_windows(x: jax.Array, kernel: jax.Array, *, stride: int) -> jax.Array:
    """The weighted sums of every whole window of frames: a depthwise convolution.

    Args:
      x: ``(..., frames, channels)``.
      kernel: ``(size, channels)``, or ``(size, 1)`` for all channels alike.
      stride: frames from one window to the next.

    Returns:
      ``(..., windows, channels)``.

    Example:
      >>> import jax.numpy as jnp
      >>> weighted_windows(jnp.arange(5.0)[:, None], jnp.ones((3, 1)), stride=2)[:, 0]
      Array([3., 9.], dtype=float32)
    """
    size = kernel.shape[0]
    terms = -(-size // stride)
    if terms > _MOST_TERMS:
        return (_windows(x, size, stride) * kernel).sum(axis=-2)
    # A window is a few blocks of `stride` frames: no frame is copied, in the gradient neither.
    *batch, frames, channels = x.shape
    count = at_least((frames - size) // stride + 1, 0)
    rows = (count + terms - 1) * stride
    lead = [(0, 0)] * len(batch)
    x = jnp.pad(x[..., :rows, :], [*lead, (0, at_least(rows - frames, 0)), (0, 0)])
    blocks = x.reshape(*batch, count + terms - 1, stride, channels)
    kernel = jnp.pad(kernel, [(0, terms * stride - size), (0, 0)])
    kernel = kernel.reshape(terms, stride, kernel.shape[-1])
    parts = [blocks[..., i : i + count, :, :] * kernel[i] for i in range(terms)]
    return _sum_by_halves(sum(parts[1:], parts[0]))


def _sum_by_halves(x: jax.Array) -> jax.Array:
    """``x.sum(axis=-2)``, several times as fast on a CPU as a reduction over that axis."""
    while x.shape[-2] % 2 == 0:
        half = x.shape[-2] // 2
        x = x[..., :half, :] + x[..., half:, :]
    return x.sum(axis=-2)


def largest_of_windows(x: jax.Array, *, size: int, stride: int) -> jax.Array:
    """The largest value of every whole window of frames. The gradient goes to the first of equals.

    Args:
      x: ``(..., frames, channels)``.
      size, stride: frames in a window, and from one to the next.

    Returns:
      ``(..., windows, channels)``.

    Example:
      >>> import jax.numpy as jnp
      >>> largest_of_windows(jnp.array([[1.0], [3.0], [2.0], [0.0]]), size=2, stride=2)[:, 0]
      Array([3., 2.], dtype=float32)
    """
    return largest(_windows(x, size, stride), -2)[..., 0, :]


def _windows(x: jax.Array, size: int, stride: int) -> jax.Array:
    """``(..., windows, size, channels)``."""
    *batch, frames, channels = x.shape
    count = at_least((frames - size) // stride + 1, 0)
    if stride == size:
        return x[..., : count * size, :].reshape(*batch, count, size, channels)
    return x[..., positions(count, size, stride), :]
