"""What a device computes that holds one part of a recording, and what it gets from the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._dtypes import as_computed
from jaxspec.framing import only_first
from jaxspec.frontend import FrontEnd
from jaxspec.padded import Padded
from jaxspec.pieces import Chain
from jaxspec.stage import Params, Stage
from jaxspec.stream_parts import Branches, Past, Segment, axis_of, cut, parts_of
from jaxspec.streaming import returned

__all__ = ["Shard", "part_of_one", "room"]


def room(parts: Any, n: Any, stride: int = 1) -> Any:
    """How many positions hold those of the input and the outputs of every part, each at its own."""
    need = n * stride
    for part in parts:
        if isinstance(part, Branches):
            for branch in part.stage.branches:
                need = np.maximum(need, room(parts_of(branch), n, stride))
        n = part.length(n)
        stride *= part.stride
        need = np.maximum(need, n * stride)
    return need


@lru_cache(maxsize=256)
def _beyond(chain: Chain, delay: int) -> int:
    """How far behind the last position of the input an output can lie."""
    stride = chain.reach.stride
    # From some length on it depends on the length modulo the stride alone.
    n = np.arange(1, 2 * (delay + stride * (chain.first + 4)))
    with jax.ensure_compile_time_eval():
        return int(np.max((np.asarray(chain.length(n)) - 1) * stride - n + 1, initial=0))


@dataclasses.dataclass(frozen=True)
class Shard:
    """The part of a recording that a device holds."""

    axis: str
    count: int
    tile_frames: int | None

    @property
    def index(self) -> jax.Array:
        return jax.lax.axis_index(self.axis)

    def passed_on(self, tree: Any, *, by: int) -> Any:
        """What the device ``by`` places before holds, behind where it is negative; else zeros."""
        pairs = [(i, i + by) for i in range(self.count) if 0 <= i + by < self.count]
        return jax.tree.map(lambda leaf: jax.lax.ppermute(leaf, self.axis, pairs), tree)

    def only_first(self, x: jax.Array, length: jax.Array, axis: int) -> jax.Array:
        """Of this part, what lies in the first ``length`` positions of the whole."""
        return only_first(x, length - self.index * x.shape[axis], axis=axis)

    def beside(self, x: jax.Array, width: int, axis: int, *, by: int) -> jax.Array:
        """The ``width`` positions before this part (``by=1``) or behind it (``by=-1``)."""
        size, found = x.shape[axis], []
        block, left = x, width
        for _ in range(self.count - 1):
            if not left:
                break
            if left < size:  # it goes no farther
                start = block.shape[axis] - left if by > 0 else 0
                block = jax.lax.slice_in_dim(block, start, start + left, axis=x.ndim + axis)
            block = self.passed_on(block, by=by)
            found.append(block)
            left -= block.shape[axis]
        shape = list(x.shape)
        shape[axis] = left
        found.append(jnp.zeros(shape, x.dtype))  # beyond the first device and the last one
        return jnp.concatenate(found[::-by], axis=axis)


def part_of_one(
    stage: Stage, params: Params, x: jax.Array, length: jax.Array, shard: Shard
) -> Padded:
    narrow = x.dtype
    x = x if stage.takes == "spectrum" else as_computed(x)
    y, count = _through(
        stage, params, shard.only_first(x, length, axis_of(stage.takes)), length, shard
    )
    axis = axis_of(stage.gives)
    count = jnp.where(length > 0, count, 0).astype(jnp.int32)
    position = shard.index * y.shape[axis] + jnp.arange(y.shape[axis], dtype=jnp.int32)
    return Padded(returned(shard.only_first(y, count, axis), narrow), count, position < count)


def _through(
    stage: Stage, params: Params, x: jax.Array, length: jax.Array, shard: Shard
) -> tuple[jax.Array, jax.Array]:
    """The outputs of all parts of a stage at the positions of this shard, and how many in all."""
    for part in parts_of(stage):
        if isinstance(part, Segment):
            x = _through_segment(part, params, x, length, shard)
        elif isinstance(part, Past):
            x = _through_past(part, params, x, shard)
        else:
            own = params.get(part.keys[0], {}) if part.keys else params
            each = [_through(b, p, x, length, shard)[0] for _, b, p in part.stage.each(own)]
            x = jnp.concatenate(each, axis=-1)
        length = part.length(length)
    return x, length


def _through_segment(
    segment: Segment, params: Params, x: jax.Array, length: jax.Array, shard: Shard
) -> jax.Array:
    """The outputs at the positions of this shard, from these and those beside them.

    They are computed as the last ones of a clip that starts where the first of them sees no edge,
    or at the true start, and ends at the true end if that is near.
    """
    chain, stride = segment.chain, segment.stride
    axis = axis_of(chain.stages[0].takes)
    size = x.shape[axis]
    steps = -(-(segment.delay + _beyond(chain, segment.delay)) // stride) + segment.back + 1
    left = steps * stride
    right = max(chain.reach.after + 1 - stride, chain.start_need + 1, 0)
    window = segment.enough((left + size) // stride, left + size + right)
    around = [shard.beside(x, left, axis, by=1), x, shard.beside(x, right, axis, by=-1)]
    z = jnp.concatenate(around, axis=axis)
    widths = [(0, 0)] * x.ndim
    widths[axis] = (0, left + window - z.shape[axis])
    start = shard.index * size
    begin = jnp.maximum(start - left, 0)
    z = cut(jnp.pad(z, widths), begin - (start - left), window, axis)
    y = _evaluated(segment, params, z, jnp.clip(length - begin, 1, window), shard.tile_frames)
    return cut(y, (start - begin) // stride, size // stride, axis_of(chain.stages[-1].gives))


def _evaluated(
    segment: Segment, params: Params, x: jax.Array, length: jax.Array, tile_frames: int | None
) -> jax.Array:
    stages = segment.chain.stages
    if not segment.keys:
        return stages[0].evaluate(params, x, length)
    frontend = FrontEnd(*stages, tile_frames=tile_frames)  # of long clips it makes tiles
    names = zip(frontend.names, segment.keys, strict=True)
    return frontend.evaluate({new: params[old] for new, old in names if old in params}, x, length)


def _through_past(past: Past, params: Params, x: jax.Array, shard: Shard) -> jax.Array:
    """The outputs at the positions of this shard, with the carry after those before it."""
    stage, prepared = past.stage, past.prepare(params)
    first = stage.initial_carry(prepared, x)

    def after(carry: Any) -> Any:
        return stage.advance(prepared, carry, x)[0]

    hand_on = _at_once if getattr(stage, "linear_carry", False) else _one_by_one
    before = hand_on(after, first, shard)
    carry = jax.tree.map(partial(jnp.where, shard.index == 0), first, before)
    return stage.advance(prepared, carry, x)[1]


def _one_by_one(after: Callable[[Any], Any], first: Any, shard: Shard) -> Any:
    """The carry before every shard: each waits for that of the one before it."""

    def turn(number: jax.Array, carry: Any) -> Any:
        done = jax.lax.cond(shard.index == number, after, lambda carry: carry, carry)
        come = shard.passed_on(done, by=1)
        return jax.tree.map(partial(jnp.where, shard.index == number + 1), come, carry)

    carry, _ = jax.lax.scan(
        lambda carry, number: (turn(number, carry), None), first, jnp.arange(shard.count - 1)
    )
    return carry


def _at_once(after: Callable[[Any], Any], first: Any, shard: Shard) -> Any:
    """The carry before every shard, where it is linear, element by element, in that before.

    Every shard begins with a carry of 0 and finds out what is left of one of 1; these are combined
    in a number of steps that is the logarithm of that of the shards.
    """
    begin = jax.tree.map(lambda leaf: jnp.where(shard.index == 0, leaf, 0), first)
    carry, rest = jax.jvp(after, (begin,), (jax.tree.map(jnp.ones_like, begin),))
    by = 1
    while by < shard.count:
        older, older_rest = shard.passed_on((carry, rest), by=by)  # zeros where there is none
        carry = jax.tree.map(lambda a, b, c: a + b * c, carry, rest, older)
        rest = jax.tree.map(jnp.multiply, rest, older_rest)
        by *= 2
    return shard.passed_on(carry, by=1)
