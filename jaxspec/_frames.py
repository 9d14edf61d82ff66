"""Framing and overlap-add as a pair of linear JAX primitives, each the other's transpose.

A gather is the fastest framing on a CPU (it fuses with the window), but its own transpose is a
scatter, which is slow on accelerators, adds in no fixed order on GPUs, and is refused over a
sharded batch. With a primitive, the transpose is ours to state.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxspec._primitives import Primitive, register_linear

__all__ = ["frame_count", "frame_p", "overlap_add_p", "positions"]

# Up to this many hops in a frame, overlap-add is a sum of shifted hop blocks; beyond it the
# program would grow with n_fft / hop_length, so a scatter is used.
_MAX_BLOCKS = 64

frame_p = Primitive("frame")
overlap_add_p = Primitive("overlap_add")


def frame_count(samples: Any, frame_length: int, hop_length: int) -> Any:
    """How many whole frames a signal has; 0 or less where it is shorter than one."""
    return 1 + (samples - frame_length) // hop_length


def positions(count: int, frame_length: int, hop_length: int) -> jax.Array:
    """Where the samples of every frame lie, ``(count, frame_length)``; made by iota, so that no
    table that grows with the clip is kept in the program.
    """
    start = jax.lax.iota(jnp.int32, count)[:, None] * hop_length
    return start + jax.lax.iota(jnp.int32, frame_length)


def _frame(x: jax.Array, *, frame_length: int, hop_length: int) -> jax.Array:
    count = frame_count(x.shape[-1], frame_length, hop_length)
    return x[..., positions(count, frame_length, hop_length)]


def _overlap_add(frames: jax.Array, *, hop_length: int, length: int) -> jax.Array:
    *batch, count, frame_length = frames.shape
    blocks = -(-frame_length // hop_length)
    if blocks > _MAX_BLOCKS:
        position = positions(count, frame_length, hop_length)
        return jnp.zeros((*batch, length), frames.dtype).at[..., position].add(frames)
    # Each frame is cut into hops; the j-th hops of all frames together are the signal moved by
    # j hops, so the result is the sum of `blocks` shifted copies.
    lead = [(0, 0)] * len(batch)
    frames = jnp.pad(frames, [*lead, (0, 0), (0, blocks * hop_length - frame_length)])
    hops = frames.reshape(*batch, count, blocks, hop_length)
    moved = [jnp.pad(hops[..., j, :], [*lead, (j, blocks - 1 - j), (0, 0)]) for j in range(blocks)]
    summed = sum(moved[1:], start=moved[0])
    signal = summed.reshape(*batch, (count + blocks - 1) * hop_length)[..., :length]
    return jnp.pad(signal, [*lead, (0, length - signal.shape[-1])])


def _frame_shape(x: Any, *, frame_length: int, hop_length: int) -> Any:
    count = frame_count(x.shape[-1], frame_length, hop_length)
    sharding = x.sharding.update(spec=(*x.sharding.spec, None))
    return x.update(shape=(*x.shape[:-1], count, frame_length), sharding=sharding)


def _overlap_add_shape(frames: Any, *, hop_length: int, length: int) -> Any:
    sharding = frames.sharding.update(spec=frames.sharding.spec[:-1])
    return frames.update(shape=(*frames.shape[:-2], length), sharding=sharding)


def _frame_transpose(frames: Any, x: Any, *, frame_length: int, hop_length: int) -> list[Any]:
    del frame_length
    return [overlap_add_p.bind(frames, hop_length=hop_length, length=x.aval.shape[-1])]


def _overlap_add_transpose(x: Any, frames: Any, *, hop_length: int, length: int) -> list[Any]:
    del length
    *_, count, frame_length = frames.aval.shape
    out = frame_p.bind(x, frame_length=frame_length, hop_length=hop_length)
    return [out[..., :count, :]]  # a signal longer than the frames reach may hold one more


register_linear(
    frame_p,
    shape=_frame_shape,
    transpose=_frame_transpose,
    static=("frame_length", "hop_length"),
    computes=_frame,
    lowerings={None: _frame},
)
register_linear(
    overlap_add_p,
    shape=_overlap_add_shape,
    transpose=_overlap_add_transpose,
    static=("hop_length", "length"),
    computes=_overlap_add,
    lowerings={None: _overlap_add},
)
