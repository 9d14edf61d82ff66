"""Features of a stream, chunk by chunk: those of the whole clip, with a state of fixed size.

A chain of stages is divided where a stage has a past. Between two such stages, the frames of a
segment are computed from a buffer of its last inputs, as soon as all that they see has come; the
carry of a past is handed on from frame to frame. All counts are relative to the buffer, so that
nothing grows or loses digits however long a stream is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxspec._checks import check_positive_int
from jaxspec._dtypes import as_computed, as_returned, compute_dtype
from jaxspec.stage import Params, Stage
from jaxspec.stream_parts import delay_of, parts_of, room_of, started, through

__all__ = ["Stream", "StreamState"]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["parts", "prepared"],
    meta_fields=["stream", "dtype", "batch_shape", "channels", "finished"],
)
@dataclasses.dataclass(frozen=True)
class StreamState:
    """The state of a `Stream`: arrays whose shapes never change.

    Attributes:
      parts: buffers, counts and carries.
      prepared: what is computed of the parameters once for all chunks.
      stream: whose state it is.
      dtype: of chunks.
      batch_shape: the axes of chunks before time.
      channels: of chunks, for streams of features; else ``None``.
      finished: whether `Stream.flush` has been called.
    """

    parts: Any
    prepared: Any
    stream: Any
    dtype: str
    batch_shape: tuple[int, ...]
    channels: int | None
    finished: bool = False


@dataclasses.dataclass(frozen=True)
class Stream:
    """A stage or `FrontEnd` evaluated on chunks of a stream.

    The frames that come out of any chunks, one after the other, are those of ``stage.apply`` of the
    whole clip, and so are gradients. Pure: it runs inside ``jax.jit``, ``jax.vmap`` and
    ``jax.lax.scan``. Chunks may have any size, each of which is compiled once.

    Args:
      stage: of which no part needs the whole clip (`jaxspec.Reach.clip`).

    Raises:
      TypeError: if it is no stage.
      ValueError: if a stage needs the whole clip, with its name.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> stream = jaxspec.Stream(jaxspec.presets.get("log_mel"))
      >>> stream.latency, stream.receptive_field
      (256, 512)
      >>> state = stream.init_state()
      >>> for _ in range(3):
      ...     state, features, count = stream.step(state, jnp.zeros(160))
      ...     print(features.shape, count)
      (1, 80) 0
      (1, 80) 1
      (1, 80) 1
      >>> state, features, count = stream.flush(state)
      >>> features[:count].shape
      (2, 80)
    """

    stage: Stage

    def __post_init__(self) -> None:
        if not isinstance(self.stage, Stage):
            raise TypeError(f"stage must be a stage or a FrontEnd, got {self.stage!r}")
        refuse_clips(self.stage, "a stream")

    @property
    def latency(self) -> int:
        """How many samples after the one it lies at a frame comes out.

        Frame ``t`` lies at sample ``t * stride`` (its middle, where the analysis is centred), with
        the stride of ``stage.reach``, and comes out with the chunk that holds sample ``t * stride +
        latency``. For streams of features, counted in frames of the input.
        """
        return delay_of(parts_of(self.stage))

    @property
    def receptive_field(self) -> int:
        """How many samples a frame sees, a past that is handed on left out."""
        reach = self.stage.reach
        return reach.before + reach.after + 1

    def count(self, chunk: int) -> int:
        """How many frames have room in what a step on a chunk of this size returns."""
        return room_of(parts_of(self.stage), check_positive_int("chunk", chunk))

    def init_state(
        self,
        params: Params | None = None,
        *,
        batch_shape: tuple[int, ...] = (),
        channels: int | None = None,
        dtype: Any = jnp.float32,
    ) -> StreamState:
        """The state before the first chunk.

        Args:
          params: as in `Stage.apply`; may be left out for a fixed stage. What is computed from them
            is computed here, once.
          batch_shape: axes of chunks before time: streams that run beside each other.
          channels: of chunks; for stages that take features or a spectrum, and only for these.
          dtype: of chunks. Half precision is computed in float32.
        """
        params = {} if params is None else params
        self.stage.check_params(params)
        params = jax.tree.map(lambda leaf: as_computed(jnp.asarray(leaf)), params)
        dtype = jnp.dtype(dtype)
        batch_shape = checked_batch(batch_shape)
        waveform = self.stage.takes == "waveform"
        if waveform != (channels is None):
            raise ValueError(
                f"channels must be given for streams of features or spectra and for no others, got "
                f"channels={channels} for a stage that takes a {self.stage.takes}"
            )
        if channels is not None:
            self.stage.channels(check_positive_int("channels", channels))
        shape = (*batch_shape, 1) if channels is None else (*batch_shape, 1, channels)
        kind = jnp.complexfloating if self.stage.takes == "spectrum" else jnp.floating
        if not jnp.issubdtype(dtype, kind):
            raise ValueError(
                f"dtype must be {kind.__name__} for a stage that takes a {self.stage.takes}, got "
                f"dtype={dtype}"
            )
        x = jax.ShapeDtypeStruct(shape, compute_dtype(dtype))
        parts = parts_of(self.stage)
        prepared = [part.prepare(params) for part in parts]
        states, _ = started(parts, prepared, x)
        return StreamState(states, tuple(prepared), self, str(dtype), batch_shape, channels)

    def step(
        self, state: StreamState, chunk: jax.Array
    ) -> tuple[StreamState, jax.Array, jax.Array]:
        """Take in one more chunk.

        Args:
          state: as `init_state` or the last step gave it.
          chunk: ``(*batch_shape, samples)`` of the dtype of the state (or ``(*batch_shape, frames,
            channels)``), with at least 1 sample.

        Returns:
          ``(state, features, count)``: the state after it; features ``(*batch_shape, frames,
          channels)``, whose number of frames depends on the size of the chunk alone; and how many
          of them there are, the others being 0.

        Raises:
          ValueError: for a chunk of another shape or dtype, or after `flush`.
        """
        chunk = check_state(self, state, chunk)
        parts, y, count = _advanced(self.stage, state.parts, state.prepared, chunk)
        return dataclasses.replace(state, parts=parts), y, count

    def flush(self, state: StreamState) -> tuple[StreamState, jax.Array, jax.Array]:
        """The frames that were still to come, as the stream has ended.

        Returns:
          ``(state, features, count)`` as `step`. The state takes no more chunks.

        Raises:
          ValueError: if it has been called before.
        """
        check_state(self, state)
        y, count = _finished(self.stage, state)
        return dataclasses.replace(state, finished=True), y, count


def checked_batch(batch_shape: Any) -> tuple[int, ...]:
    """``batch_shape`` as a tuple of ints."""
    if not isinstance(batch_shape, (tuple, list)):
        raise TypeError(f"batch_shape must be a tuple of ints, got batch_shape={batch_shape!r}")
    return tuple(check_positive_int("batch_shape", n, minimum=0) for n in batch_shape)


def check_state(stream: Any, state: StreamState, chunk: Any = None, *, least: int = 1) -> Any:
    """Refuse states of other streams and of those that have ended, and chunks that do not fit.

    Returns:
      the chunk as an array.
    """
    if not isinstance(state, StreamState):
        raise TypeError(f"state must be a StreamState, got a {type(state).__name__}")
    if state.stream is not stream and state.stream != stream:
        raise ValueError(f"state must be one of {stream!r}, got one of {state.stream!r}")
    if state.finished:
        raise ValueError(
            "state belongs to a stream that has ended (flush): begin another one with init_state"
        )
    if chunk is None:
        return None
    chunk = jnp.asarray(chunk)
    if str(chunk.dtype) != state.dtype:
        raise ValueError(
            f"chunk must have the dtype of the state, got a chunk of {chunk.dtype} for "
            f"{state.dtype}"
        )
    rest = () if state.channels is None else (state.channels,)
    place = len(state.batch_shape)
    if chunk.shape != (*state.batch_shape, *chunk.shape[place : place + 1], *rest):
        wanted = ", ".join([*map(str, state.batch_shape), "n", *map(str, rest)])
        raise ValueError(f"chunk must have shape ({wanted}), got a chunk with shape {chunk.shape}")
    if chunk.shape[place] < least:
        raise ValueError(f"chunk must hold at least 1 position, got shape {chunk.shape}")
    return chunk


def refuse_clips(stage: Stage, what: str) -> None:
    """Refuse a stage that needs the whole clip, and so cannot be given ``what``."""
    found = list(_clips(stage))
    if found:
        names = " and ".join(f"{type(part).__name__} ({part.name!r})" for part in found)
        raise ValueError(
            f"{what} cannot be given to {names}, which must see the whole clip (reach 'clip'). "
            f"Leave such stages out (FrontEnd.without; n_samples=None of a preset), or make a "
            f"front-end with others in their places: RunningNormalize for Normalize, Clip for "
            f"FloorFromMax, a fixed ref and no top_db for decibels"
        )


def _clips(stage: Stage) -> Iterator[Stage]:
    """The stages that need the whole clip."""
    inner = (*getattr(stage, "stages", ()), *getattr(stage, "branches", ()))
    for part in inner:
        yield from _clips(part)
    if not inner and stage.reach.clip:
        yield stage


@partial(jax.jit, static_argnums=0)
def _advanced(stage: Stage, states: Any, prepared: Any, chunk: jax.Array) -> Any:
    x = as_computed(chunk) if stage.takes != "spectrum" else chunk
    count = jnp.asarray(x.shape[-1 if stage.takes == "waveform" else -2], jnp.int32)
    after, x, count = through(parts_of(stage), states, prepared, x, count, last=False)
    return after, returned(x, chunk.dtype), count


@partial(jax.jit, static_argnums=0)
def _finished(stage: Stage, state: StreamState) -> Any:
    shape = (*state.batch_shape, 0) + (() if state.channels is None else (state.channels,))
    x = jnp.zeros(shape, compute_dtype(state.dtype))
    count = jnp.zeros((), jnp.int32)
    _, x, count = through(parts_of(stage), state.parts, state.prepared, x, count, last=True)
    return returned(x, state.dtype), count


def returned(x: jax.Array, dtype: Any) -> jax.Array:
    complex_ = jnp.iscomplexobj(x) or jnp.issubdtype(dtype, jnp.complexfloating)
    return x if complex_ else as_returned(x, dtype)
