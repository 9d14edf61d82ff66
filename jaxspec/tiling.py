"""Evaluation in tiles of time: the framed copy of a long signal never exists as a whole.

A chain of stages that reach only to neighbours is evaluated piece by piece, each piece read
straight from the signal and its outputs written straight into the result; only the pieces at the
two ends are continued beyond them. Memory is input + output + a few tiles, forward and backward:
the backward pass computes every tile again. On a CPU it is also two to three times faster, for a
tile stays in the cache, and several tiles in one turn of the loop keep all cores busy (XLA runs an
FFT on one).

Three primitives do it, so that the tiles fit the shapes and the platform that a program is lowered
for, after all of `vmap`: the chain itself, its derivative along tangents, and that one's transpose.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.interpreters import ad, batching

from jaxspec._primitives import Primitive, register_lowerings
from jaxspec.pieces import Chain, Piece, Plan
from jaxspec.reach import Reach
from jaxspec.stage import Length, Params

__all__ = ["over_tiles"]


def over_tiles(
    chain: Chain,
    prepared: Params,
    x: jax.Array,
    *,
    tile_frames: int | None,
    length: Length = None,
) -> jax.Array:
    """``chain.whole(prepared, x)``, tile by tile where the clip is long.

    Args:
      chain: what is evaluated.
      prepared: by stage name, what `Stage.prepare` made of the parameters.
      x: waveform ``(..., samples)``; the batch axes stay axes of every tile.
      tile_frames: frames in a tile, over all clips; ``None``: as many as suit the platform.
      length: where given, which may be traced, the clips are the first so many samples.

    Returns:
      the frames ``(..., frames, channels)``; those of the clips come first.
    """
    smallest = Plan.of(chain, x.shape, tile_frames, "cpu")
    if smallest is None:
        return chain.whole(prepared, x, length)
    y = _bind(chain, prepared, x, tile_frames)
    return y if length is None else _with_end(chain, prepared, x, y, length)


def _with_end(
    chain: Chain, prepared: Params, x: jax.Array, y: jax.Array, length: jax.Array | int
) -> jax.Array:
    """The frames ``y`` of a signal, those replaced that see where its first ``length`` samples end.

    They are evaluated once more, as frames of the last samples before that end.
    """
    reach = chain.reach
    first = chain.first
    # As many as see the end of a clip of this length, give or take one.
    anew = chain.length(x.shape[-1]) - max((x.shape[-1] - 1 - reach.after) // reach.stride, 0) + 2
    samples = (first + anew) * reach.stride + max(reach.before, 0) + reach.after + 1
    samples += (x.shape[-1] - samples) % reach.stride
    if samples >= x.shape[-1]:
        return chain.whole(prepared, x, length)
    length = jnp.asarray(length, jnp.int32)
    last_start = (x.shape[-1] - samples) // reach.stride
    start = jnp.clip(chain.length(length) - first - anew, 0, last_start)
    piece = jax.lax.dynamic_slice_in_dim(x, start * reach.stride, samples, axis=x.ndim - 1)
    frames = chain.whole(prepared, piece, length - start * reach.stride)
    # The first ones would see a false start, unless it is the true one.
    position = jnp.arange(frames.shape[-2], dtype=jnp.int32)[:, None]
    old = jax.lax.dynamic_slice_in_dim(y, start, frames.shape[-2], axis=y.ndim - 2)
    frames = jnp.where((position >= first) | (start == 0), frames, old)
    return jax.lax.dynamic_update_slice_in_dim(y, frames, start, axis=y.ndim - 2)


def _bind(chain: Chain, prepared: Params, x: jax.Array, tile_frames: int | None) -> jax.Array:
    leaves, tree = jax.tree.flatten(prepared)
    leaves = [_varying_like(leaf, x) for leaf in leaves]
    return _tiles_p.bind(*leaves, x, tree=tree, chain=chain, tile_frames=tile_frames)


def _varying_like(leaf: jax.Array, x: jax.Array) -> jax.Array:
    """``leaf`` as different from device to device as ``x`` is, inside of ``shard_map``."""
    own, wanted = (jax.typeof(array).manual_axis_type.varying for array in (leaf, x))
    missing = tuple(wanted - own)
    return jax.lax.pcast(leaf, missing, to="varying") if missing else leaf


# The three primitives. Their operands are the leaves of `prepared`, the signal, and then tangents
# or the cotangent; `mask` says to which of the first a tangent belongs.

_tiles_p = Primitive("tiles")
_tangent_p = Primitive("tiles_tangent")
_cotangents_p = Primitive("tiles_cotangents")
_cotangents_p.multiple_results = True


def _tiles(*operands: jax.Array, platform: str, tree: Any, chain: Any, tile_frames: Any) -> Any:
    prepared, x = _unflattened(tree, operands)
    plan = Plan.of(chain, x.shape, tile_frames, platform)
    if plan is None:
        return chain.whole(prepared, x)

    def visit(y: jax.Array, piece: Piece) -> jax.Array:
        return piece.write_frames(y, piece.function(prepared, piece.samples(x)))

    return plan.fold(visit, _empty(x, _abstract(chain, tree, operands)), x.shape[-1])


def _tangent(
    *operands: jax.Array, platform: str, tree: Any, chain: Any, tile_frames: Any, mask: Any
) -> Any:
    primals, tangents = operands[: len(mask)], operands[len(mask) :]
    *leaves, x = primals
    plan = Plan.of(chain, x.shape, tile_frames, platform)
    if plan is None:
        return _pushed(chain.whole, tree, primals, tangents, mask)

    def visit(y: jax.Array, piece: Piece) -> jax.Array:
        along = [*tangents[:-1], piece.samples(tangents[-1])] if mask[-1] else tangents
        inputs = [*leaves, piece.samples(x)]
        return piece.write_frames(y, _pushed(piece.function, tree, inputs, along, mask))

    return plan.fold(visit, _empty(x, _abstract(chain, tree, primals)), x.shape[-1])


def _cotangents(
    *operands: jax.Array, platform: str, tree: Any, chain: Any, tile_frames: Any, mask: Any
) -> Any:
    *primals, cotangent = operands
    *leaves, x = primals
    plan = Plan.of(chain, x.shape, tile_frames, platform)
    if plan is None:
        return _pulled(chain.whole, tree, primals, cotangent, mask)

    def visit(state: Any, piece: Piece) -> Any:
        sums, signal = state
        inputs = [*leaves, piece.samples(x)]
        new = _pulled(piece.function, tree, inputs, piece.frames(cotangent), mask)
        if mask[-1]:
            signal = _added(signal, new.pop(), piece)
        return [a + b for a, b in zip(sums, new, strict=True)], signal

    zeros = [jnp.zeros_like(p) for p in _chosen(primals, mask)]
    signal = (zeros.pop(), jnp.zeros_like(x[..., : plan.overlap])) if mask[-1] else ()
    sums, signal = plan.fold(visit, (zeros, signal), x.shape[-1])
    return [*sums, *signal[:1]]


def _added(
    signal: tuple[jax.Array, jax.Array], part: jax.Array, piece: Piece
) -> tuple[jax.Array, jax.Array]:
    """The gradient of a signal with that of one more piece.

    What reaches into the next piece is kept beside it, so that samples are written once and never
    read: for an addition to a part of it, XLA may copy the whole signal.
    """
    total, pending = signal
    overlap = pending.shape[-1]
    part = part[..., piece.skip :]
    lead = [(0, 0)] * (part.ndim - 1)
    part = part + jnp.pad(pending, [*lead, (0, part.shape[-1] - overlap)])
    total = jax.lax.dynamic_update_slice_in_dim(
        total, part[..., : piece.own], piece.start + piece.skip, axis=total.ndim - 1
    )
    rest = part[..., piece.own : piece.own + overlap]
    return total, jnp.pad(rest, [*lead, (0, overlap - rest.shape[-1])])


def _chosen(operands: Sequence[Any], mask: Sequence[bool]) -> list[Any]:
    return [o for o, moves in zip(operands, mask, strict=True) if moves]


def _replaced(operands: Sequence[Any], mask: Sequence[bool], values: Sequence[Any]) -> list[Any]:
    """The operands, those that ``mask`` chooses replaced by ``values``."""
    given = iter(values)
    return [next(given) if moves else o for o, moves in zip(operands, mask, strict=True)]


def _pushed(function: Any, tree: Any, primals: Any, tangents: Any, mask: Any) -> jax.Array:
    """The derivative of a function of parameters and signal along the tangents."""
    chosen = _of_chosen(function, tree, primals, mask)
    return jax.jvp(chosen, _chosen(primals, mask), list(tangents))[1]


def _pulled(
    function: Any, tree: Any, primals: Any, cotangent: jax.Array, mask: Any
) -> list[jax.Array]:
    """The cotangents of the operands that ``mask`` chooses."""
    chosen = _of_chosen(function, tree, primals, mask)
    return list(jax.vjp(chosen, *_chosen(primals, mask))[1](cotangent))


def _of_chosen(function: Any, tree: Any, primals: Any, mask: Any) -> Any:
    """A function of parameters and signal as one of the chosen operands alone."""
    return lambda *values: function(*_unflattened(tree, _replaced(primals, mask, values)))


def _unflattened(tree: Any, operands: Sequence[Any]) -> tuple[Params, jax.Array]:
    *leaves, x = operands
    return jax.tree.unflatten(tree, leaves), x


def _empty(x: jax.Array, aval: Any) -> jax.Array:
    """Zeros of this shape, laid out over devices as ``x`` is."""
    corner = jnp.zeros_like(x[..., :1, None], aval.dtype)
    return jnp.broadcast_to(corner, aval.shape)


# Their rules.


def _abstract(chain: Any, tree: Any, operands: Sequence[Any]) -> Any:
    """Shape and dtype of the frames."""
    avals = [jax.ShapeDtypeStruct(o.shape, o.dtype) for o in operands]
    return _shape(chain, tree, tuple(avals))


@lru_cache(maxsize=256)
def _shape(chain: Any, tree: Any, avals: tuple[jax.ShapeDtypeStruct, ...]) -> Any:
    return jax.eval_shape(lambda *o: chain.whole(*_unflattened(tree, o)), *avals)


def _frames_aval(x: Any, frames: Any) -> Any:
    sharding = x.sharding.update(spec=(*x.sharding.spec, None))
    return x.update(shape=frames.shape, dtype=frames.dtype, sharding=sharding, weak_type=False)


@_tiles_p.def_abstract_eval
def _tiles_shape(*operands: Any, tree: Any, chain: Any, tile_frames: Any) -> Any:
    del tile_frames
    return _frames_aval(operands[-1], _abstract(chain, tree, operands))


@_tangent_p.def_abstract_eval
def _tangent_shape(*operands: Any, mask: Any, **options: Any) -> Any:
    return _tiles_shape(*operands[: len(mask)], **options)


@_cotangents_p.def_abstract_eval
def _cotangents_shape(*operands: Any, mask: Any, **options: Any) -> Any:
    del options
    return [o for o, moves in zip(operands, mask, strict=False) if moves]


def _moving(tangents: Sequence[Any]) -> tuple[tuple[bool, ...], list[Any]]:
    mask = tuple(not isinstance(t, ad.Zero) for t in tangents)
    return mask, _chosen(tangents, mask)


def _tiles_jvp(primals: Any, tangents: Any, **options: Any) -> Any:
    mask, moving = _moving(tangents)
    y = _tiles_p.bind(*primals, **options)
    return y, _tangent_p.bind(*primals, *moving, mask=mask, **options)


def _tangent_transpose(cotangent: Any, *operands: Any, mask: Any, **options: Any) -> list[Any]:
    primals = operands[: len(mask)]
    if isinstance(cotangent, ad.Zero):
        return [None] * len(operands)
    of_tangents = _cotangents_p.bind(*primals, cotangent, mask=mask, **options)
    return [None] * len(mask) + list(of_tangents)


def _cotangents_transpose(tangents: Any, *operands: Any, mask: Any, **options: Any) -> list[Any]:
    *primals, _ = operands
    given = [ad.instantiate_zeros(t) for t in tangents]
    return [None] * len(mask) + [_tangent_p.bind(*primals, *given, mask=mask, **options)]


# Derivatives of the derivatives are those of the chain evaluated at once: exact, but with the
# memory of the whole.


def _linear_jvp(primitive: Primitive, at_once: Any) -> Any:
    def rule(operands: Any, tangents: Any, *, mask: Any, **options: Any) -> Any:
        n = len(mask)
        bind = partial(primitive.bind, mask=mask, **options)
        results = bind(*operands)
        moves_first, first = _moving(tangents[:n])
        tangent = None
        if not all(isinstance(t, ad.Zero) for t in tangents[n:]):
            second = [ad.instantiate_zeros(t) for t in tangents[n:]]
            tangent = bind(*operands[:n], *second)
        if first:
            primals = operands[:n]

            def of_chosen(*values: Any) -> Any:
                moved = _replaced(primals, moves_first, values)
                return at_once(*moved, *operands[n:], mask=mask, **options)

            other = jax.jvp(of_chosen, _chosen(primals, moves_first), first)[1]
            tangent = other if tangent is None else jax.tree.map(jnp.add, tangent, other)
        return results, tangent

    return rule


def _tangent_at_once(*operands: Any, chain: Any, tree: Any, mask: Any, **options: Any) -> Any:
    del options
    return _pushed(chain.whole, tree, operands[: len(mask)], operands[len(mask) :], mask)


def _cotangents_at_once(*operands: Any, chain: Any, tree: Any, mask: Any, **options: Any) -> Any:
    del options
    *primals, cotangent = operands
    return _pulled(chain.whole, tree, primals, cotangent, mask)


def _batch(
    primitive: Primitive, operands: Any, axes: Any, *, chain: Any, tree: Any, **options: Any
) -> Any:
    """Another batch axis of the signal goes in front of the others; where clips have parameters or
    tangents of parameters of their own, the chain is mapped over it.
    """
    n = tree.num_leaves
    mask = options.get("mask", (False,) * (n + 1))
    size = next(o.shape[a] for o, a in zip(operands, axes, strict=True) if a is not None)
    own = tuple(a is not None or m for a, m in zip(axes[:n], mask[:n], strict=True))
    if any(own):
        chain = _Mapped(chain, tree, own)
    in_front = [
        o if position < n and not own[position] else batching.bdim_at_front(o, axis, size)
        for position, (o, axis) in enumerate(zip(operands, axes, strict=True))
    ]
    y = primitive.bind(*in_front, chain=chain, tree=tree, **options)
    return (y, [0] * len(y)) if primitive.multiple_results else (y, 0)


@dataclasses.dataclass(frozen=True)
class _Mapped:
    """A chain over one more axis, which some of the parameters have too."""

    chain: Any
    tree: Any
    own: tuple[bool, ...]

    @property
    def reach(self) -> Reach:
        return self.chain.reach

    @property
    def edge_reach(self) -> int:
        return self.chain.edge_reach

    @property
    def first(self) -> int:
        return self.chain.first

    @property
    def least_piece(self) -> int:
        return self.chain.least_piece

    def length(self, n: int) -> int:
        return self.chain.length(n)

    def _map(self, function: Any, prepared: Params, x: jax.Array) -> jax.Array:
        axes = jax.tree.unflatten(self.tree, [0 if own else None for own in self.own])
        return jax.vmap(function, in_axes=(axes, 0))(prepared, x)

    def whole(self, prepared: Params, x: jax.Array) -> jax.Array:
        return self._map(self.chain.whole, prepared, x)

    def piece(self, prepared: Params, x: jax.Array) -> jax.Array:
        return self._map(self.chain.piece, prepared, x)


ad.primitive_jvps[_tiles_p] = _tiles_jvp
ad.primitive_jvps[_tangent_p] = _linear_jvp(_tangent_p, _tangent_at_once)
ad.primitive_jvps[_cotangents_p] = _linear_jvp(_cotangents_p, _cotangents_at_once)
ad.primitive_transposes[_tangent_p] = _tangent_transpose
ad.primitive_transposes[_cotangents_p] = _cotangents_transpose

for _primitive, _function in (
    (_tiles_p, _tiles), (_tangent_p, _tangent), (_cotangents_p, _cotangents),
):  # fmt: skip
    batching.primitive_batchers[_primitive] = partial(_batch, _primitive)
    register_lowerings(
        _primitive,
        {None: partial(_function, platform="other"), "cpu": partial(_function, platform="cpu")},
        static=("tree", "chain", "tile_frames", "mask"),
        computes=partial(_function, platform="other"),
    )
