"""Evaluation in tiles of time: the framed copy of a long signal never exists as a whole.

On a CPU the chain from waveform to bands is bound by the memory traffic of its temporaries, not by
arithmetic. A tile of some hundred frames stays in the cache, which makes the forward pass two to
three times faster, and the backward pass computes each tile again instead of storing it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxspec._frames import frame_count

__all__ = ["over_tiles"]

# Samples of frames in one tile, over the whole batch: 1000 frames of 400. Smaller tiles pay for
# the loop, larger ones fall out of the cache.
_TILE = 400_000


def over_tiles(
    function: Callable[[jax.Array], jax.Array],
    x: jax.Array,
    *,
    frame_length: int,
    hop_length: int,
) -> jax.Array:
    """``function(x)``, tile by tile on a CPU and at once elsewhere.

    Args:
      function: from a signal ``(..., samples)`` to the features ``(..., frames, channels)`` of its
        whole frames, each frame by itself.
      x: signal ``(..., samples)``; the batch axes stay axes of every tile.
      frame_length, hop_length: samples in a frame, and from one to the next.

    Returns:
      what ``function(x)`` returns, up to rounding.
    """
    frames = frame_count(x.shape[-1], frame_length, hop_length)
    batch = math.prod(x.shape[:-1])
    tiles = round(frames * batch * frame_length / _TILE)
    # A tile must reach beyond its neighbour's first frames, for it is made of two pieces.
    if tiles < 2 or frames // tiles * hop_length < frame_length:
        return function(x)
    # Which way is taken is decided when the program is lowered for a platform.
    return jax.lax.platform_dependent(
        x,
        cpu=lambda x: _in_tiles(function, x, frames, tiles, frame_length, hop_length),
        default=function,
    )


def _in_tiles(
    function: Callable[[jax.Array], jax.Array],
    x: jax.Array,
    frames: int,
    tiles: int,
    frame_length: int,
    hop_length: int,
) -> jax.Array:
    function = jax.checkpoint(function)
    count = frames // tiles
    step = count * hop_length
    overlap = frame_length - hop_length
    #  x      | step 0     | step 1     | step 2     | rest
    #  tile   | step t     | overlap |    the first samples of step t + 1
    *batch, _ = x.shape
    steps = _steps(x, tiles, step)
    if overlap > 0:
        following = _steps(x[..., step:], tiles, step)[..., :overlap]
        steps = jnp.concatenate([steps, following], axis=-1)
    y = jax.lax.map(function, jnp.moveaxis(steps, -2, 0))
    y = jnp.moveaxis(y, 0, -3).reshape(*batch, tiles * count, y.shape[-1])
    if tiles * count < frames:
        y = jnp.concatenate([y, function(x[..., tiles * step :])], axis=-2)
    return y


def _steps(x: jax.Array, tiles: int, step: int) -> jax.Array:
    """The first ``tiles`` steps of ``x``, ``(..., tiles, step)``; zeros where it ends before."""
    missing = max(tiles * step - x.shape[-1], 0)
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)])[..., : tiles * step]
    return x.reshape(*x.shape[:-1], tiles, step)
