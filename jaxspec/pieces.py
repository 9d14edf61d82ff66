"""Which piece of a clip gives which of its frames: how a chain of stages is evaluated in tiles."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from jaxspec._sizes import is_symbol
from jaxspec.reach import Reach
from jaxspec.stage import Length, Params, Stage

__all__ = ["Chain", "Piece", "Plan"]

# On a CPU: samples of frames in a tile, over the whole batch (800 frames of 400 samples, half of a
# core's cache), and tiles in one turn of the loop. Smaller tiles pay for the loop and give XLA too
# little to share among cores, larger ones fall out of the cache.
_CPU_TILE = 320_000
_CPU_TILES_IN_A_TURN = 6
# Elsewhere the tiles only bound the memory: 256 MiB of frames in float32.
_OTHER_TILE = 2**26


@dataclasses.dataclass(frozen=True)
class Chain:
    """Stages in a row and their names; those of tiles make frames and see a known neighbourhood."""

    stages: tuple[Stage, ...]
    names: tuple[str, ...]

    @property
    def reach(self) -> Reach:
        """Of all stages together."""
        reach = Reach()
        for stage in self.stages:
            reach = reach.then(stage.reach)
        return reach

    @property
    def edge_reach(self) -> int:
        """How far into the clip the edge rules look from an end, as `Stage.edge_reach`."""
        farthest, reach = 0, Reach()
        for stage in self.stages:
            if stage.edge_reach:
                own = reach.before + reach.after + reach.stride * stage.edge_reach
                farthest = max(farthest, own)
            reach = reach.then(stage.reach)
        return farthest

    @property
    def first(self) -> int:
        """The first frame that sees no edge at the start."""
        first = 0
        for stage in self.stages:
            reach = stage.reach
            first = max(-(-(first + reach.before) // reach.stride), 0)
        return first

    @property
    def start_need(self) -> int:
        """The farthest sample that a frame sees by an edge rule at the start; -1 for none."""
        need, after, stride = -1, 0, 1
        for stage in self.stages:
            if stage.start_need >= 0:
                need = max(need, stride * stage.start_need + after)
            after += stride * stage.reach.after
            stride *= stage.reach.stride
        return need

    @property
    def middle(self) -> float:
        """The sample in the middle of what frame 0 describes."""
        middle, stride = 0.0, 1
        for stage in self.stages:
            middle += stride * stage.middle
            stride *= stage.reach.stride
        return middle

    @property
    def least_piece(self) -> int:
        """Samples that a piece should have at least, or its overlap with the next costs too much.

        Of stages that transform a piece as a whole; others cost as much for every frame anyway.
        """
        return max(map(_least_piece, self.stages))

    def length(self, n: Any) -> Any:
        """How many frames a clip of ``n`` samples has, which may be a traced number."""
        for stage in self.stages:
            n = stage.length(n)
        return n

    def whole(self, prepared: Params, x: jax.Array, length: Length = None) -> jax.Array:
        """The frames of a clip; with ``length``, those of its first so many samples come first."""
        for name, stage in zip(self.names, self.stages, strict=True):
            x = stage.advance(prepared.get(name, {}), None, stage.extend(x, length))[1]
            length = None if length is None else stage.length(length)
        return x

    def piece(self, prepared: Params, x: jax.Array) -> jax.Array:
        """The frames of a piece of a clip that see nothing beyond the piece."""
        for name, stage in zip(self.names, self.stages, strict=True):
            x = stage.advance(prepared.get(name, {}), None, x)[1]
        return x


def _least_piece(stage: Any) -> int:
    """`Chain.least_piece` of one stage, or of those that it is made of."""
    inner = (*getattr(stage, "branches", ()), *getattr(stage, "stages", ()))
    return max((getattr(stage, "least_piece", 0), *map(_least_piece, inner)))


class Plan(NamedTuple):
    """Which piece of a clip gives which of its frames.

        frames    0 … first | tile | tile | … | tile | the rest
        by        whole       piece of a clip          whole

    The first frames and the rest are those of a clip that is cut off well after or before them. The
    first see no sample further than one reach from the start, the rest none further from the end.
    """

    chain: Any
    first: int  # the first frame that sees no edge
    frames: int  # of a clip
    tile: int  # frames of a clip in a tile
    turns: int
    tiles_in_a_turn: int

    @staticmethod
    def of(chain: Any, shape: Sequence[int], tile_frames: int | None, platform: str) -> Plan | None:
        """The plan for clips of this shape; ``None`` where one tile holds all."""
        *batch, samples = shape
        if is_symbol(samples):
            return None  # nor would the number of tiles be known
        # A batch of any size is taken for one clip: its tiles hold as many as there are.
        reach, clips = chain.reach, math.prod(n for n in batch if not is_symbol(n))
        width = reach.before + reach.after + 1
        frames = chain.length(samples)
        first = chain.first
        inner = min((samples - 1 - reach.after) // reach.stride, frames - 1) - first
        # Edge rules that look farther than a frame would need longer pieces at the ends.
        if clips == 0 or inner <= 0 or chain.edge_reach >= width:
            return None
        together = _CPU_TILES_IN_A_TURN if platform == "cpu" else 1
        if tile_frames is None:
            wanted = (_CPU_TILE if platform == "cpu" else _OTHER_TILE) / (width * clips)
            wanted = max(wanted, chain.least_piece / reach.stride)
        else:
            wanted = tile_frames / clips
        tiles = min(round(inner / wanted), inner)
        if tiles < 2:
            return None
        together = min(together, tiles)
        turns = min(max(round(tiles / together), 1), inner // together)
        return Plan(chain, first, frames, inner // (turns * together), turns, together)

    @property
    def head(self) -> int:
        """The sample at which the first tile starts."""
        reach = self.chain.reach
        return self.first * reach.stride - reach.before

    @property
    def overlap(self) -> int:
        """How far a piece may reach into the samples of the next one."""
        reach = self.chain.reach
        return max(reach.before + reach.after + 1 - (self.head if self.first else reach.stride), 0)

    def fold(self, visit: Callable[..., Any], carry: Any, samples: int) -> Any:
        """``carry`` after ``visit(carry, piece)`` of all pieces in their order."""
        reach, chain = self.chain.reach, self.chain
        width = reach.before + reach.after + 1
        if self.first:

            def head(prepared: Params, x: jax.Array) -> jax.Array:
                return chain.whole(prepared, x)[..., : self.first, :]

            size = min(self.first * reach.stride + max(reach.before, 0) + reach.after + 1, samples)
            carry = visit(carry, Piece(head, 0, size, 0, self.first, 0, self.head))

        step = self.tile * reach.stride
        size = step - reach.stride + width
        inside = jax.jit(chain.piece)  # traced once for all tiles

        def turn(number: Any, carry: Any) -> Any:
            for i in range(self.tiles_in_a_turn):
                index = number * self.tiles_in_a_turn + i
                start, frame = self.head + index * step, self.first + index * self.tile
                own = min(step, size)
                carry = visit(carry, Piece(inside, start, size, frame, self.tile, 0, own))
            return carry

        carry = turn(0, carry) if self.turns == 1 else jax.lax.fori_loop(0, self.turns, turn, carry)

        def tail(prepared: Params, x: jax.Array) -> jax.Array:
            return chain.whole(prepared, x)[..., self.first :, :]

        last = self.first + self.turns * self.tiles_in_a_turn * self.tile
        start = (last - self.first) * reach.stride
        size, left = samples - start, self.frames - last
        return visit(carry, Piece(tail, start, size, last, left, self.head, size - self.head))


class Piece(NamedTuple):
    """``n_frames`` frames from ``frame`` on are ``function(prepared, x[start : start + size])``.

    They see no sample before ``start + skip``, and ``own`` samples from there on that no later
    piece sees.
    """

    function: Callable[[Params, jax.Array], jax.Array]
    start: Any
    size: int
    frame: Any
    n_frames: int
    skip: int
    own: int

    def samples(self, x: jax.Array) -> jax.Array:
        """What the function sees of the signal."""
        return jax.lax.dynamic_slice_in_dim(x, self.start, self.size, axis=-1)

    def frames(self, y: jax.Array) -> jax.Array:
        """Its part of the frames of the clip."""
        return jax.lax.dynamic_slice_in_dim(y, self.frame, self.n_frames, axis=-2)

    def write_frames(self, y: jax.Array, values: jax.Array) -> jax.Array:
        """``y`` with this part replaced."""
        return jax.lax.dynamic_update_slice_in_dim(y, values, self.frame, axis=y.ndim - 2)
