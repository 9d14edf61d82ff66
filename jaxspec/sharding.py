"""Long recordings over several devices along time: a part of the features on each device.

Every device holds as many samples as the others and computes the frames that lie on them. From its
neighbours it gets what these frames see beyond, as wide as the declared reach says; edges lie at
the two true ends of a recording, wherever these are; a past is handed on from device to device. (A
batch of clips that is divided over devices needs nothing of this module: see the page on scale.)
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec

from jaxspec._checks import check_positive_int
from jaxspec._dtypes import as_computed
from jaxspec._items import item_lengths
from jaxspec._time_shard import Shard, part_of_one, room
from jaxspec.padded import Padded
from jaxspec.stage import Params, Stage
from jaxspec.stream_parts import axis_of, parts_of
from jaxspec.streaming import refuse_clips

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
    wanted = size if lengths is None else _longest(lengths)
    if most < max(wanted, 0):
        wanted = max(wanted, 1)
        raise ValueError(
            f"x must be padded to sharded_length(stage, {wanted}, shards={shards}) = "
            f"{sharded_length(stage, wanted, shards=shards)} for lengths={wanted}, as shard_clips "
            f"does, so that {shards} devices hold the same number of whole steps and every frame "
            f"has room; got x with shape {x.shape}"
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
    need = int(room(parts_of(stage), n_samples))
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

    def part(index: Any) -> np.ndarray:
        held = np.asarray(x[index], dtype)
        start, stop, _ = index[place].indices(shape[place])
        widths = [(0, 0)] * held.ndim
        widths[place] = (0, stop - start - held.shape[place])
        return np.pad(held, widths)

    return jax.make_array_from_callback(tuple(shape), sharding, part), n


def _longest(lengths: Any) -> int:
    """The longest recording, as far as it is known."""
    known = 0 if isinstance(lengths, jax.core.Tracer) else np.max(lengths, initial=0)
    return int(known) if np.issubdtype(np.asarray(known).dtype, np.integer) else 0


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


@lru_cache(maxsize=256)
def _most(stage: Stage, size: int, shards: int) -> int:
    """The longest recording for which there is room in ``size`` positions; -1 for none."""
    if size % (shards * stage.reach.stride):
        return -1
    n = np.arange(size, -1, -1)
    for some in np.array_split(n, max(len(n) // 4096, 1)):
        with jax.ensure_compile_time_eval():
            fits = np.asarray(room(parts_of(stage), some)) <= size
        if fits.any():
            return int(some[fits.argmax()])
    return -1


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
        shard = Shard(axis, _shards(mesh, axis), getattr(stage, "tile_frames", None))
        return part_of_one(stage, params, x, length, shard)

    for _ in range(lengths.ndim):
        one = jax.vmap(one, in_axes=(None, 0, 0))
    first = () if batch_axis is None else (batch_axis,)
    place = x.ndim + axis_of(stage.takes)
    features = x.ndim + (stage.takes == "waveform") - (stage.gives == "waveform")
    of_x, of_lengths = _spec(x.ndim, place, axis, batch_axis), PartitionSpec(*first)
    of_padded: Any = (
        _spec(features, place, axis, batch_axis),
        of_lengths,
        _spec(place + 1, place, axis, batch_axis),
    )
    mapped = jax.shard_map(
        one,
        mesh=mesh,
        in_specs=(PartitionSpec(), of_x, of_lengths),
        out_specs=Padded(*of_padded),
    )
    if any(mesh.axis_types[mesh.axis_names.index(a)] is AxisType.Explicit for a in (axis, *first)):
        x, lengths = (
            jax.sharding.reshard(array, NamedSharding(mesh, spec))
            for array, spec in ((x, of_x), (lengths, of_lengths))
        )
    return mapped(params, x, lengths)
