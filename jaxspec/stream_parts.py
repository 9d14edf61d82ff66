"""The parts of a stream: segments without a past, stages with one, branches side by side.

A part takes the first ``count`` positions of an array whose size is known, ``count`` may be traced,
and gives its outputs in the same form. What it keeps from chunk to chunk has a fixed size.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec.framing import only_first
from jaxspec.frontend import FrontEnd
from jaxspec.pieces import Chain
from jaxspec.stage import Params, Stage
from jaxspec.stages import Beside

__all__ = [
    "Branches",
    "Past",
    "Segment",
    "axis_of",
    "cut",
    "delay_of",
    "parts_of",
    "room_of",
    "started",
    "through",
]

State = Any


@dataclasses.dataclass(frozen=True)
class Segment:
    """Stages in a row that see a known neighbourhood.

    Output ``t`` is computed once position ``t * stride + delay`` has come. The buffer holds all
    that outputs still to come will see, from a multiple of the stride on.
    """

    chain: Chain
    keys: tuple[str, ...]  # of the parameters; none: they are those of the only stage

    @property
    def stride(self) -> int:
        """Positions of the input from output to output."""
        return self.chain.reach.stride

    @property
    def delay(self) -> int:
        """By how many positions of the input an output comes late."""
        return max(self.chain.reach.after, self.chain.start_need, 0)

    @property
    def back(self) -> int:
        """The outputs before the next one from whose positions on inputs are kept."""
        return self.chain.first - (-self.chain.edge_reach // self.stride)

    @property
    def _buffer(self) -> int:
        return max(self.delay + self.back * self.stride, self.stride - 1)

    @property
    def _latest(self) -> int:
        """The largest number that the next output can have in the buffer."""
        return max(self.back, 1)

    @property
    def _axis(self) -> int:
        return axis_of(self.chain.stages[0].takes)

    @property
    def _out_axis(self) -> int:
        return axis_of(self.chain.stages[-1].gives)

    def length(self, n: Any) -> Any:
        """How many outputs there are for ``n`` inputs."""
        return self.chain.length(n)

    def room(self, size: int) -> int:
        """The most outputs that so many inputs can lead to."""
        return -(-size // self.stride)

    def prepare(self, params: Params) -> Params:
        """What is computed of the parameters of its stages, by name."""
        named = zip(self.chain.names, self.chain.stages, strict=True)
        own = params if self.keys else {self.chain.names[0]: params}
        return {name: stage.prepare(own[name]) for name, stage in named if own.get(name)}

    def start(self, prepared: Params, x: jax.ShapeDtypeStruct) -> tuple[State, Any]:
        """The state before the first of inputs like ``x``, and what outputs are like."""
        shape = list(x.shape)
        shape[self._axis] = self._buffer
        zero = jnp.zeros((), jnp.int32)
        state = (jnp.zeros(shape, x.dtype), zero, zero)
        return state, self._outputs(prepared, x, 1)

    def _outputs(self, prepared: Params, x: Any, count: int) -> jax.ShapeDtypeStruct:
        """Shape and dtype of so many outputs."""
        shape = list(x.shape)
        shape[self._axis] = self.enough(1, 1)
        inputs = jax.ShapeDtypeStruct(tuple(shape), x.dtype)
        y = jax.eval_shape(self.chain.whole, prepared, inputs)
        shape = list(y.shape)
        shape[self._out_axis] = count
        return jax.ShapeDtypeStruct(tuple(shape), y.dtype)

    def advance(
        self, prepared: Params, state: State, x: jax.Array, count: jax.Array, *, last: bool
    ) -> tuple[State, jax.Array, jax.Array]:
        """The state after the first ``count`` inputs, and the outputs; all of them at the last."""
        buffer, held, following = state
        size = x.shape[self._axis]
        room = self._rest(size) if last else self.room(size)
        if room == 0:
            none = self._outputs(prepared, x, 0)
            return state, jnp.zeros(none.shape, none.dtype), jnp.zeros((), jnp.int32)
        z = self._joined(buffer, x, held, self._latest + room)
        held = held + count
        if last:
            whole = self.chain.whole(prepared, z, jnp.maximum(held, 1))
            y = self._frames(whole, following, room)
            end = jnp.where(held > 0, self.chain.length(held), 0).astype(jnp.int32)
            count = jnp.maximum(end - following, 0)
            return state, only_first(y, count, axis=self._out_axis), count
        end = jnp.maximum((held - 1 - self.delay) // self.stride + 1, following)
        y = self._next(prepared, z, following, room)
        count = end - following
        dropped = jnp.clip(end - self.back, 0, held // self.stride)
        buffer = cut(z, dropped * self.stride, buffer.shape[self._axis], self._axis)
        state = (buffer, held - dropped * self.stride, end - dropped)
        return state, only_first(y, count, axis=self._out_axis), count

    def _joined(self, buffer: jax.Array, x: jax.Array, held: jax.Array, outputs: int) -> jax.Array:
        """The inputs that are held and ``x`` behind them, enough for so many outputs."""
        size = buffer.shape[self._axis] + x.shape[self._axis] + self.stride
        size = self.enough(outputs, size)
        widths = [(0, 0)] * buffer.ndim
        widths[self._axis] = (0, size - buffer.shape[self._axis])
        z = jnp.pad(buffer, widths)
        return jax.lax.dynamic_update_slice_in_dim(z, x, held, axis=x.ndim + self._axis)

    def enough(self, outputs: int, size: int) -> int:
        """At least ``size`` inputs, of which the chain makes at least so many outputs."""
        size = max(size, outputs * self.stride + self.chain.reach.after + 1, 1)
        while self.chain.length(size) < outputs:
            size += self.stride
        return size

    def _next(self, prepared: Params, z: jax.Array, following: jax.Array, room: int) -> jax.Array:
        """Outputs from the one called ``following`` on."""
        reach = self.chain.reach
        size = (room - 1) * reach.stride + reach.before + reach.after + 1

        def inside() -> jax.Array:
            start = following * reach.stride - reach.before
            return self.chain.piece(prepared, cut(z, start, size, self._axis))

        if not self.chain.first:
            return inside()
        # The first outputs see the edge that the chain makes at the start.
        return jax.lax.cond(
            following < self.chain.first,
            lambda: self._frames(self.chain.whole(prepared, z), following, room),
            inside,
        )

    def _frames(self, y: jax.Array, start: jax.Array, count: int) -> jax.Array:
        return cut(y, start, count, self._out_axis)

    def _rest(self, size: int) -> int:
        """The most outputs that are left when a stream ends with so many inputs."""
        return _rest(self.chain, self.delay, self._buffer, size)


@lru_cache(maxsize=512)
def _rest(chain: Chain, delay: int, buffer: int, size: int) -> int:
    stride = chain.reach.stride
    # From some length on, what is left depends on the length modulo the stride alone.
    n = np.arange(1, 2 * buffer + size + 4 * stride + 2)
    before = np.maximum((n - size - 1 - delay) // stride + 1, 0)
    with jax.ensure_compile_time_eval():
        return int(np.max(np.asarray(chain.length(n)) - before, initial=0))


@dataclasses.dataclass(frozen=True)
class Past:
    """A stage with a carry, one position after the other."""

    stage: Stage
    keys: tuple[str, ...]

    stride = 1
    delay = 0

    def length(self, n: Any) -> Any:
        """As many outputs as inputs."""
        return n

    def room(self, size: int) -> int:
        """As many outputs as inputs."""
        return size

    def prepare(self, params: Params) -> Params:
        """What is computed of the parameters."""
        return self.stage.prepare(params.get(self.keys[0], {}) if self.keys else params)

    def start(self, prepared: Params, x: jax.ShapeDtypeStruct) -> tuple[State, Any]:
        """The state before the first of inputs like ``x``, and what outputs are like."""
        carry = jax.eval_shape(self.stage.initial_carry, prepared, x)
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), carry)
        _, y = jax.eval_shape(self.stage.advance, prepared, carry, x)
        return (zeros, jnp.zeros((), bool)), y

    def advance(
        self, prepared: Params, state: State, x: jax.Array, count: jax.Array, *, last: bool
    ) -> tuple[State, jax.Array, jax.Array]:
        """The state after the first ``count`` inputs, and the outputs."""
        del last
        carry, begun = state
        axis = axis_of(self.stage.takes)
        if x.shape[axis] == 0:
            shape = jax.ShapeDtypeStruct(
                (*x.shape[:axis], 1, *x.shape[x.ndim + axis + 1 :]), x.dtype
            )
            _, y = jax.eval_shape(self.stage.advance, prepared, carry, shape)
            return state, jnp.zeros((*y.shape[:-2], 0, y.shape[-1]), y.dtype), count
        first = self.stage.initial_carry(prepared, x)
        carry = jax.tree.map(lambda old, new: jnp.where(begun, old, new), carry, first)

        def one(carry: Any, place: jax.Array) -> tuple[Any, jax.Array]:
            after, y = self.stage.advance(prepared, carry, cut(x, place, 1, axis))
            kept = jax.tree.map(lambda old, new: jnp.where(place < count, new, old), carry, after)
            return kept, y

        if x.shape[axis] == 1:
            carry, y = one(carry, jnp.zeros((), jnp.int32))
        else:
            carry, y = jax.lax.scan(one, carry, jnp.arange(x.shape[axis], dtype=jnp.int32))
            y = jnp.moveaxis(jnp.squeeze(y, axis), 0, axis)
        return (carry, begun | (count > 0)), only_first(y, count, axis=axis), count


@dataclasses.dataclass(frozen=True)
class Branches:
    """Streams of the same input side by side; the earlier outputs wait for the later ones."""

    stage: Beside
    keys: tuple[str, ...]

    @property
    def _each(self) -> list[tuple[Any, ...]]:
        return [parts_of(branch) for branch in self.stage.branches]

    @property
    def stride(self) -> int:
        """Positions of the input from output to output."""
        return self.stage.reach.stride

    @property
    def delay(self) -> int:
        """That of the latest branch."""
        return max(map(delay_of, self._each))

    @property
    def _waiting(self) -> list[int]:
        """How many outputs of each branch may have to wait for the others."""
        return [-(-(self.delay - delay_of(parts)) // self.stride) for parts in self._each]

    def length(self, n: Any) -> Any:
        """How many outputs there are for ``n`` inputs."""
        return self.stage.length(n)

    def room(self, size: int) -> int:
        """The most outputs that so many inputs can lead to."""
        each = zip(self._each, self._waiting, strict=True)
        return min(room_of(parts, size) + waiting for parts, waiting in each)

    def prepare(self, params: Params) -> list[list[Params]]:
        """What is computed of the parameters of every branch."""
        own = params.get(self.keys[0], {}) if self.keys else params
        return [
            [part.prepare(branch) for part in parts]
            for parts, (_, _, branch) in zip(self._each, self.stage.each(own), strict=True)
        ]

    def start(self, prepared: Any, x: jax.ShapeDtypeStruct) -> tuple[State, Any]:
        """The state before the first of inputs like ``x``, and what outputs are like."""
        states, outputs = [], []
        for parts, own, waiting in zip(self._each, prepared, self._waiting, strict=True):
            inside, y = started(parts, own, x)
            queue = jnp.zeros((*y.shape[:-2], waiting, y.shape[-1]), y.dtype)
            states.append((inside, queue, jnp.zeros((), jnp.int32)))
            outputs.append(y)
        shape = (*outputs[0].shape[:-1], sum(y.shape[-1] for y in outputs))
        return tuple(states), jax.ShapeDtypeStruct(shape, outputs[0].dtype)

    def advance(
        self, prepared: Any, state: State, x: jax.Array, count: jax.Array, *, last: bool
    ) -> tuple[State, jax.Array, jax.Array]:
        """The state after the first ``count`` inputs, and the outputs; all of them at the last."""
        found = []
        for parts, own, (inside, queue, held) in zip(self._each, prepared, state, strict=True):
            inside, y, new = through(parts, inside, own, x, count, last=last)
            room = queue.shape[-2] + y.shape[-2]
            joined = jnp.pad(queue, [(0, 0)] * (queue.ndim - 2) + [(0, y.shape[-2]), (0, 0)])
            joined = jax.lax.dynamic_update_slice_in_dim(joined, y, held, axis=y.ndim - 2)
            found.append((inside, joined, held + new, room))
        ready = jnp.stack([held for _, _, held, _ in found]).min()
        room = min(room for *_, room in found)
        y = jnp.concatenate([joined[..., :room, :] for _, joined, _, _ in found], axis=-1)
        after = []
        for (inside, joined, held, _), waiting in zip(found, self._waiting, strict=True):
            joined = jnp.pad(joined, [(0, 0)] * (joined.ndim - 2) + [(0, waiting), (0, 0)])
            after.append((inside, cut(joined, ready, waiting, -2), held - ready))
        return tuple(after), only_first(y, ready, axis=-2), ready


def started(parts: Any, prepared: Any, x: jax.ShapeDtypeStruct) -> tuple[State, Any]:
    """The states of all parts before the first of inputs like ``x``, and what outputs are like."""
    states = []
    for part, own in zip(parts, prepared, strict=True):
        state, x = part.start(own, x)
        states.append(state)
    return tuple(states), x


def room_of(parts: Any, size: int) -> int:
    """The most outputs of all parts that so many inputs can lead to."""
    for part in parts:
        size = part.room(size)
    return size


def through(
    parts: Any, states: Any, prepared: Any, x: jax.Array, count: jax.Array, *, last: bool
) -> tuple[Any, jax.Array, jax.Array]:
    """What comes out of all parts for the first ``count`` positions of ``x``, and their states."""
    after = []
    for part, state, own in zip(parts, states, prepared, strict=True):
        state, x, count = part.advance(own, state, x, count, last=last)
        after.append(state)
    return tuple(after), x, count


def delay_of(parts: Any) -> int:
    """By how many positions of the input the outputs of all parts come late."""
    delay, stride = 0, 1
    for part in parts:
        delay += stride * part.delay
        stride *= part.stride
    return delay


@lru_cache(maxsize=256)
def parts_of(stage: Stage) -> tuple[Any, ...]:
    """A stage, or the stages of a chain, as parts of a stream."""
    if not isinstance(stage, FrontEnd):
        return (_part([(stage, "")]),)
    groups: list[list[tuple[Stage, str]]] = [[]]
    for own in zip(stage.stages, stage.names, strict=True):
        if own[0].reach.past or getattr(own[0], "whole", False):
            groups += [[own], []]
        else:
            groups[-1].append(own)
    return tuple(_part(group) for group in groups if group)


def _part(named: list[tuple[Stage, str]]) -> Any:
    stages = tuple(stage for stage, _ in named)
    keys = tuple(name for _, name in named if name)
    first = stages[0]
    if isinstance(first, Beside) and first.whole:
        return Branches(first, keys)
    if first.reach.past:
        return Past(first, keys)
    return Segment(Chain(stages, keys or (first.name,)), keys)


def axis_of(kind: str) -> int:
    """The axis of time of a waveform or of frames."""
    return -1 if kind == "waveform" else -2


def cut(x: jax.Array, start: jax.Array, size: int, axis: int) -> jax.Array:
    """So many positions of an axis (-1 or -2), from a traced one on."""
    return jax.lax.dynamic_slice_in_dim(x, start, size, axis=x.ndim + axis)
