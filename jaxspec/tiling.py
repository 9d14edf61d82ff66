"""Evaluation in tiles of time: the framed copy of a long signal never exists as a whole.

On a CPU the chain from waveform to bands is bound by the memory traffic of its temporaries, not by
arithmetic. A tile of some hundred frames stays in the cache, which makes the forward pass two to
three times faster, and the backward pass computes each tile again instead of storing it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxspec._frames import frame_count
from jaxspec.stage import Params

__all__ = ["over_tiles"]

# Samples of frames in one tile, over the whole batch: 1000 frames of 400. Smaller tiles pay for
# the loop, larger ones fall out of the cache.
_TILE = 400_000


def over_tiles(
    function: Callable[[Params, jax.Array], jax.Array],
    params: Params,
    x: jax.Array,
    *,
    frame_length: int,
    hop_length: int,
) -> jax.Array:
    """``function(params, x)``, tile by tile on a CPU and at once elsewhere.

    Args:
      function: from parameters and a signal ``(..., samples)`` to the features
        ``(..., frames, channels)`` of its whole frames, each frame by itself.
      params: its parameters.
      x: signal ``(..., samples)``; the batch axes stay axes of every tile.
      frame_length, hop_length: samples in a frame, and from one to the next.

    Returns:
      what ``function(params, x)`` returns, up to rounding.
    """
    frames = frame_count(x.shape[-1], frame_length, hop_length)
    tiles = round(frames * math.prod(x.shape[:-1]) * frame_length / _TILE)
    # A tile must reach beyond its neighbour's first frames, for `_copied` makes it of two pieces.
    if tiles < 2 or frames // tiles * hop_length < frame_length:
        return function(params, x)
    plan = _Plan(tiles, frames, frame_length, hop_length)

    @jax.custom_jvp
    def tiled(params: Params, x: jax.Array) -> jax.Array:
        return _in_place(function, params, x, plan)

    @tiled.defjvp
    def tiled_jvp(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
        return jax.jvp(partial(_copied, function, plan=plan), primals, tangents)

    # Which way is taken is decided when the program is lowered for a platform.
    return jax.lax.platform_dependent(params, x, cpu=tiled, default=function)


class _Plan(NamedTuple):
    tiles: int
    frames: int
    frame_length: int
    hop_length: int

    @property
    def step(self) -> int:
        """Samples from one tile to the next."""
        return self.frames // self.tiles * self.hop_length


# Two ways to the same values. Without derivatives, each tile is read straight from the signal. The
# transpose of such a read would add a signal of zeros for every tile, so that the time would grow
# with the square of the length; what is differentiated gets the tiles as the inputs of the loop.


def _in_place(
    function: Callable[[Params, jax.Array], jax.Array], params: Params, x: jax.Array, plan: _Plan
) -> jax.Array:
    size = plan.step + plan.frame_length - plan.hop_length

    def tile(start: jax.Array) -> jax.Array:
        return function(params, jax.lax.dynamic_slice_in_dim(x, start, size, axis=-1))

    y = jax.lax.map(tile, plan.step * jax.lax.iota(jnp.int32, plan.tiles))
    return _joined(function, params, x, y, plan)


def _copied(
    function: Callable[[Params, jax.Array], jax.Array], params: Params, x: jax.Array, plan: _Plan
) -> jax.Array:
    function = jax.checkpoint(function)  # computed again in the backward pass, not stored
    overlap = plan.frame_length - plan.hop_length
    #  x      | step 0     | step 1     | step 2     | rest
    #  tile   | step t     | overlap |    the first samples of step t + 1
    tiles = _steps(x, plan)
    if overlap > 0:
        following = _steps(x[..., plan.step :], plan)[..., :overlap]
        tiles = jnp.concatenate([tiles, following], axis=-1)
    y = jax.lax.map(partial(function, params), jnp.moveaxis(tiles, -2, 0))
    return _joined(function, params, x, y, plan)


def _steps(x: jax.Array, plan: _Plan) -> jax.Array:
    """The first steps of ``x``, ``(..., tiles, step)``; zeros where it ends before."""
    needed = plan.tiles * plan.step
    missing = max(needed - x.shape[-1], 0)
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)])[..., :needed]
    return x.reshape(*x.shape[:-1], plan.tiles, plan.step)


def _joined(
    function: Callable[[Params, jax.Array], jax.Array],
    params: Params,
    x: jax.Array,
    y: jax.Array,
    plan: _Plan,
) -> jax.Array:
    """The features ``(tiles, ..., frames, channels)`` in one row, and those of the rest."""
    y = jnp.moveaxis(y, 0, -3)
    y = y.reshape(*y.shape[:-3], -1, y.shape[-1])
    if y.shape[-2] < plan.frames:
        rest = function(params, x[..., plan.tiles * plan.step :])
        y = jnp.concatenate([y, rest], axis=-2)
    return y
