"""Long recordings divided over devices along time: the features of the whole, a part on each device.

Every device holds as many samples as the others and computes the frames that lie on them. From its
neighbours it gets what these frames see beyond, as wide as the declared reach says; edges lie at the
two true ends of a recording, wherever these are; a past is handed on from device to device. (A
batch of clips that is divided over devices needs nothing of this module: see the page on scale.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec

from jaxspec._checks import check_positive_int
from jaxspec._dtypes import as_computed
from jaxspec._items import item_lengths
from jaxspec.framing import only_first
from jaxspec.frontend import FrontEnd
from jaxspec.padded import Padded
from jaxspec.pieces import Chain
from jaxspec.stage import Params, Stage
from jaxspec.stream_parts import Branches, Past, Segment, axis_of, cut, parts_of
from jaxspec.streaming import refuse_clips, returned

__all__ = ["apply_sharded", "shard_clips", "sharded_length"]


def apply_sharded(
    stage: Stage,
    params: Params,
    x: jax.Array,
    *,
    lengths: Any = None,
    axis: str = "time",
    batch_axis: str | None = None,
    mesh: Mesh | AbstractMesh | None = None,
) -> Padded:
    """``stage.apply`` of recordings that are divided over devices along time.

    Nothing is gathered: samples go to neighbours alone, as many as a frame sees beyond those of its
    device, and the carry of a past. Differentiable, with the same traffic backward.

    Args:
      stage: a stage or `FrontEnd` of which no part needs the whole clip (`jaxspec.Reach.clip`).
      params: as in `Stage.apply`.
      x: what the stage takes: waveforms ``(..., samples)``, or features or a spectrum ``(...,
        frames, channels)``, padded behind their ends with anything to a length from
        `sharded_length`. `shard_clips` makes it of an array on the host.
      lengths: ints, how many samples (or frames) each recording has, as in `apply_padded`, from 0
        to the most whose frames all have room in ``x``; traced ones are held to that range.
        ``None``: all of ``x``.
      axis: the axis of the mesh that divides time.
      batch_axis: the axis of the mesh that divides the first axis of ``x``, if one does.
      mesh: the devices; ``None``: those of ``jax.set_mesh``.

    Returns:
      `Padded` ``(features, lengths, mask)``, features and mask divided over ``axis`` as ``x`` is:
      every device has ``samples / stride / devices`` frames of each recording; those behind the
      last are 0.

    Raises:
      TypeError: as `Stage.apply`, and for lengths that are no ints.
      ValueError: as `Stage.apply`; for a stage that needs the whole clip, with its name; for an
        axis that the mesh has not; for an ``x`` that cannot be divided evenly, or has no room for
        the frames of ``lengths``.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> from jaxspec.sharding import apply_sharded, shard_clips
      >>> mesh = jax.make_mesh((1,), ("time",))  # of as many devices as there are
      >>> log_mel = jaxspec.presets.get("log_mel")
      >>> x, length = shard_clips(log_mel, jnp.zeros(16000), mesh=mesh)
      >>> features, n_frames, mask = apply_sharded(log_mel, {}, x, lengths=length, mesh=mesh)
      >>> features.shape, int(n_frames)
      ((101, 80), 101)
    """
    if not isinstance(stage, Stage):
        raise TypeError(f"stage must be a stage or a FrontEnd, got a {type(stage).__name__}")
    refuse_clips(stage, "a part of a recording")
    x = stage.check_input(x)
    stage.check_params(params)
    mesh = jax.sharding.get_abstract_mesh() if mesh is None else mesh
    shards = _shards(mesh, axis)
    items = -axis_of(stage.takes)
    leading, size = x.shape[:-items], x.shape[-items]
    if batch_axis is not None:
        _shards(mesh, batch_axis, name="batch_axis")
        if not leading:
            raise ValueError(
                f"batch_axis divides the first axis of several recordings, got "
                f"batch_axis={batch_axis!r} for x with shape {x.shape}"
            )
    most = _most(stage, size, shards)
    if lengths is None and most < size:
        raise ValueError(
            f"x must be padded to sharded_length(stage, {size}, shards={shards}) = "
            f"{sharded_length(stage, size, shards=shards)} with lengths={size}, so that "
            f"{shards} devices hold the same number of whole steps and every frame has room; got x "
            f"with shape {x.shape}"
        )
    lengths = item_lengths(lengths, leading, most)
    return _applied(stage, params, x, lengths, mesh, axis, batch_axis)


def sharded_length(stage: Stage, n_samples: int, *, shards: int) -> int:
    """The smallest length to which a recording must be padded to be divided over devices.

    A multiple of ``shards`` and of the samples from frame to frame, with room for all frames: frame
    ``t`` lies on the device that holds sample ``t * stride``.

    Args:
      stage: as in `apply_sharded`.
      n_samples: length of the recording in samples (of features: in frames), or of the longest.
      shards: number of devices along time.

    Example:
      >>> import jaxspec
      >>> from jaxspec.sharding import sharded_length
      >>> log_mel = jaxspec.presets.get("log_mel")
      >>> sharded_length(log_mel, 16000, shards=4)  # 101 frames, of which a device has 26
      16640
    """
    n_samples = check_positive_int("n_samples", n_samples)
    step = check_positive_int("shards", shards) * stage.reach.stride
    need = int(_room(parts_of(stage), n_samples))
    return -(-need // step) * step


def shard_clips(
    stage: Stage,
    x: Any,
    *,
    mesh: Mesh,
    axis: str = "time",
    batch_axis: str | None = None,
) -> tuple[jax.Array, int]:
    """Recordings on the host, padded with zeros and divided over the devices of a mesh.

    Args:
      stage: as in `apply_sharded`.
      x: as in `apply_sharded`, but of any length: an array, or what can be sliced and has a shape
        and a dtype, such as ``numpy.memmap``. Only what the devices of this process hold is read.
      mesh, axis, batch_axis: as in `apply_sharded`.

    Returns:
      the array, and how long it was before: the ``lengths`` of `apply_sharded`.

    Raises:
      ValueError: for an axis that the mesh has not.

    Example:
      >>> import jax, numpy as np, jaxspec
      >>> from jaxspec.sharding import shard_clips
      >>> mesh = jax.make_mesh((1,), ("time",))
      >>> x, length = shard_clips(jaxspec.presets.get("log_mel"), np.zeros(15999), mesh=mesh)
      >>> x.shape, length
      ((16000,), 15999)
    """
    place = len(x.shape) + axis_of(stage.takes)
    if place < 0:
        raise ValueError(f"x must have an axis of time, got x with shape {x.shape}")
    n = x.shape[place]
    shape = list(x.shape)
    shape[place] = sharded_length(stage, n, shards=_shards(mesh, axis))
    sharding = NamedSharding(mesh, _spec(len(shape), place, axis, batch_axis))
    # As JAX would have it: float32, unless x64 mode is on.
    dtype = jax.dtypes.canonicalize_dtype(x.dtype)

    def part(index: tuple[slice, ...]) -> np.ndarray:
        held = np.asarray(x[index], dtype)
        start, stop, _ = index[place].indices(shape[place])
        widths = [(0, 0)] * held.ndim
        widths[place] = (0, stop - start - held.shape[place])
        return np.pad(held, widths)

    return jax.make_array_from_callback(tuple(shape), sharding, part), n


def _shards(mesh: Any, axis: str, *, name: str = "axis") -> int:
    """How many devices an axis of the mesh has."""
    if axis not in mesh.axis_names:
        names = ", ".join(map(repr, mesh.axis_names)) or "none (see jax.set_mesh, or give a mesh)"
        raise ValueError(f"{name} must be an axis of the mesh, got {axis!r}; its axes: {names}")
    return int(mesh.shape[axis])


def _spec(ndim: int, place: int, axis: str, batch_axis: str | None) -> PartitionSpec:
    parts: list[str | None] = [None] * ndim
    parts[place] = axis
    if batch_axis is not None and place > 0:
        parts[0] = batch_axis
    return PartitionSpec(*parts)


def _room(parts: Any, n: Any, stride: int = 1) -> Any:
    """How many positions hold those of the input and the outputs of every part, each at its own."""
    need = n * stride
    for part in parts:
        if isinstance(part, Branches):
            for branch in part.stage.branches:
                need = np.maximum(need, _room(parts_of(branch), n, stride))
        n = _length(part, n)
        stride *= part.stride
        need = np.maximum(need, n * stride)
    return need


def _length(part: Any, n: Any) -> Any:
    """How many outputs a part has for ``n`` inputs."""
    if isinstance(part, Past):
        return n
    return (part.chain if isinstance(part, Segment) else part.stage).length(n)


@lru_cache(maxsize=256)
def _most(stage: Stage, size: int, shards: int) -> int:
    """The longest recording for which there is room in ``size`` positions; -1 for none."""
    if size % (shards * stage.reach.stride):
        return -1
    n = np.arange(size, -1, -1)
    for some in np.array_split(n, max(len(n) // 4096, 1)):
        with jax.ensure_compile_time_eval():
            fits = np.asarray(_room(parts_of(stage), some)) <= size
        if fits.any():
            return int(some[fits.argmax()])
    return -1


@lru_cache(maxsize=256)
def _beyond(chain: Chain, delay: int) -> int:
    """How far behind the last position of the input an output can lie."""
    stride = chain.reach.stride
    # From some length on it depends on the length modulo the stride alone.
    n = np.arange(1, 2 * (delay + stride * (chain.first + 4)))
    with jax.ensure_compile_time_eval():
        return int(np.max((np.asarray(chain.length(n)) - 1) * stride - n + 1, initial=0))


@partial(jax.jit, static_argnums=(0, 4, 5, 6))
def _applied(
    stage: Stage,
    params: Params,
    x: jax.Array,
    lengths: jax.Array,
    mesh: Any,
    axis: str,
    batch_axis: str | None,
) -> Padded:
    params = jax.tree.map(lambda leaf: as_computed(jnp.asarray(leaf)), params)

    def one(params: Params, x: jax.Array, length: jax.Array) -> Padded:
        shard = _Shard(axis, _shards(mesh, axis), getattr(stage, "tile_frames", None))
        return _part_of_one(stage, params, x, length, shard)

    for _ in range(lengths.ndim):
        one = jax.vmap(one, in_axes=(None, 0, 0))
    first = () if batch_axis is None else (batch_axis,)
    place = x.ndim + axis_of(stage.takes)
    features = x.ndim + (stage.takes == "waveform") - (stage.gives == "waveform")
    of_x, of_lengths = _spec(x.ndim, place, axis, batch_axis), PartitionSpec(*first)
    mapped = jax.shard_map(
        one,
        mesh=mesh,
        in_specs=(PartitionSpec(), of_x, of_lengths),
        out_specs=Padded(
            _spec(features, place, axis, batch_axis),
            of_lengths,
            _spec(place + 1, place, axis, batch_axis),
        ),
    )
    if any(mesh.axis_types[mesh.axis_names.index(a)] is AxisType.Explicit for a in (axis, *first)):
        x, lengths = (
            jax.sharding.reshard(array, NamedSharding(mesh, spec))
            for array, spec in ((x, of_x), (lengths, of_lengths))
        )
    return mapped(params, x, lengths)


@dataclasses.dataclass(frozen=True)
class _Shard:
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

    def only_first(self, x: jax.Array, length: jax.Array, axis: int, value: float = 0.0) -> Any:
        """Of this part, what lies in the first ``length`` positions of the whole."""
        return only_first(x, length - self.index * x.shape[axis], axis=axis, value=value)

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


def _part_of_one(
    stage: Stage, params: Params, x: jax.Array, length: jax.Array, shard: _Shard
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
    stage: Stage, params: Params, x: jax.Array, length: jax.Array, shard: _Shard
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
        length = _length(part, length)
    return x, length


def _through_segment(
    segment: Segment, params: Params, x: jax.Array, length: jax.Array, shard: _Shard
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


def _through_past(past: Past, params: Params, x: jax.Array, shard: _Shard) -> jax.Array:
    """The outputs at the positions of this shard, with the carry after those before it."""
    stage, prepared = past.stage, past.prepare(params)
    first = stage.initial_carry(prepared, x)

    def after(carry: Any) -> Any:
        return stage.advance(prepared, carry, x)[0]

    hand_on = _at_once if getattr(stage, "linear_carry", False) else _one_by_one
    before = hand_on(after, first, shard)
    carry = jax.tree.map(partial(jnp.where, shard.index == 0), first, before)
    return stage.advance(prepared, carry, x)[1]


def _one_by_one(after: Callable[[Any], Any], first: Any, shard: _Shard) -> Any:
    """The carry before every shard: each waits for that of the one before it."""

    def turn(number: jax.Array, carry: Any) -> Any:
        done = jax.lax.cond(shard.index == number, after, lambda carry: carry, carry)
        come = shard.passed_on(done, by=1)
        return jax.tree.map(partial(jnp.where, shard.index == number + 1), come, carry)

    carry, _ = jax.lax.scan(
        lambda carry, number: (turn(number, carry), None), first, jnp.arange(shard.count - 1)
    )
    return carry


def _at_once(after: Callable[[Any], Any], first: Any, shard: _Shard) -> Any:
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
