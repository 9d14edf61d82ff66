"""The inverse short-time Fourier transform of a stream of frames."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_choice, check_spectrum
from jaxspec._items import item_lengths
from jaxspec.fourier import check_method, irfft
from jaxspec.framing import only_first, overlap_add
from jaxspec.spectrum import (
    EMPTY_ENVELOPE,
    NORMALIZATIONS,
    analysis_lengths,
    check_nola_of,
    window_scale,
)
from jaxspec.streaming import StreamState, check_state, checked_batch
from jaxspec.windows import WindowLike, held, window_in_frame

__all__ = ["ISTFTStream"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ISTFTStream:
    """`jaxspec.istft` of frames that come one after the other, in a state of fixed size.

    The samples of all steps and of `flush` are those of `jaxspec.istft` of all frames. Pure, as
    `jaxspec.Stream` is.

    Args:
      n_fft, hop_length, win_length, window, periodic, center, normalized, method, precision: as in
        `jaxspec.istft`.

    Raises:
      ValueError: as `jaxspec.istft`.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> stream = jaxspec.ISTFTStream(n_fft=512, hop_length=128)
      >>> state = stream.init_state()
      >>> for _ in range(3):
      ...     state, samples, count = stream.step(state, jnp.ones((1, 257), jnp.complex64))
      ...     print(samples.shape, count)
      (128,) 0
      (128,) 0
      (128,) 128
    """

    n_fft: int
    hop_length: int | None = None
    win_length: int | None = None
    window: WindowLike = "hann"
    periodic: bool = True
    center: bool = True
    normalized: str | None = None
    method: str = "auto"
    precision: str = "highest"

    def __post_init__(self) -> None:
        n_fft, hop_length, win_length = analysis_lengths(
            self.n_fft, self.hop_length, self.win_length
        )
        check_choice("normalized", self.normalized, NORMALIZATIONS)
        check_method(self.method, self.precision)
        window = held(self.window, win_length, periodic=self.periodic)
        for name, value in (
            ("n_fft", n_fft), ("hop_length", hop_length), ("win_length", win_length),
            ("window", window), ("periodic", bool(self.periodic)), ("center", bool(self.center)),
        ):  # fmt: skip
            object.__setattr__(self, name, value)
        check_nola_of(self._table, self._hop)

    @property
    def _hop(self) -> int:
        assert self.hop_length is not None
        return self.hop_length

    @property
    def _table(self) -> np.ndarray:
        assert self.win_length is not None
        return window_in_frame(
            self.window, n_fft=self.n_fft, win_length=self.win_length, periodic=self.periodic
        )

    @property
    def _start(self) -> int:
        """Samples of the first frame that stand before the clip, and of the last one behind it."""
        return self.n_fft // 2 if self.center else 0

    @property
    def latency(self) -> int:
        """Frame ``t`` brings the ``hop_length`` samples from ``t * hop_length - latency`` on."""
        # Of a last frame, samples behind the clip must not have come out.
        return self._start + max(self._hop + self._start - self.n_fft, 0)

    @property
    def _buffer(self) -> int:
        """Samples that later frames may change, or that may lie behind the clip."""
        return self.n_fft - self._hop + self.latency - self._start

    def init_state(
        self, *, batch_shape: tuple[int, ...] = (), dtype: Any = jnp.complex64
    ) -> StreamState:
        """The state before the first frame.

        Args:
          batch_shape: axes of chunks before time.
          dtype: of chunks, complex.
        """
        dtype = jnp.dtype(dtype)
        if not jnp.issubdtype(dtype, jnp.complexfloating):
            raise ValueError(f"dtype must be complex, got dtype={dtype}")
        batch_shape = checked_batch(batch_shape)
        real = jnp.finfo(dtype).dtype
        signal = jnp.zeros((*batch_shape, self._buffer), real)
        skipped = jnp.asarray(self.latency, jnp.int32)
        parts = (signal, jnp.zeros(self._buffer, real), skipped, jnp.zeros((), bool))
        return StreamState(parts, (), self, str(dtype), batch_shape, self.n_fft // 2 + 1)

    def step(
        self, state: StreamState, chunk: jax.Array, *, count: jax.Array | int | None = None
    ) -> tuple[StreamState, jax.Array, jax.Array]:
        """Take in some more frames.

        Args:
          state: as `init_state` or the last step gave it.
          chunk: complex ``(*batch_shape, frames, n_fft // 2 + 1)`` of the dtype of the state.
          count: how many of them there are, as `Stream.step` says, which may be traced (then held
            between 0 and all); default all.

        Returns:
          ``(state, samples, count)``: samples ``(*batch_shape, frames * hop_length)``, of which the
          first ``count`` are there, the others 0.

        Raises:
          ValueError: for a chunk of another shape or dtype, a count below 0 or above its frames,
            or after `flush`.
        """
        chunk = check_state(self, state, check_spectrum("chunk", chunk), least=0)
        frames = chunk.shape[-2]
        known = item_lengths(frames if count is None else count, (), frames, name="count")
        if not frames:
            return state, jnp.zeros((*state.batch_shape, 0), state.parts[0].dtype), known
        parts, y, ready = _synthesized(self, state.parts, chunk, known)
        return dataclasses.replace(state, parts=parts), y, ready

    def flush(self, state: StreamState) -> tuple[StreamState, jax.Array, jax.Array]:
        """The samples that were still to come: ``(state, samples, count)`` as `step`."""
        check_state(self, state)
        signal, envelope, skipped, begun = state.parts
        y = self._divided(signal, envelope)
        room = self._buffer - self._start
        count = jnp.where(begun, jnp.maximum(room - skipped, 0), 0)
        y = _from(y, skipped, count, room)
        return dataclasses.replace(state, finished=True), y, count

    def _divided(self, signal: jax.Array, envelope: jax.Array) -> jax.Array:
        """What was added up over the squares of the windows that reach it."""
        squares = self._table**2
        squares = np.pad(squares, (0, -len(squares) % self._hop)).reshape(-1, self._hop)
        seen = envelope > EMPTY_ENVELOPE * float(squares.sum(axis=0).max())
        return jnp.where(seen, signal / jnp.where(seen, envelope, 1), 0)


@partial(jax.jit, static_argnums=0)
def _synthesized(stream: ISTFTStream, parts: Any, chunk: jax.Array, frames_there: jax.Array) -> Any:
    signal, envelope, skipped, begun = parts
    table, hop = jnp.asarray(stream._table, signal.dtype), stream._hop
    frames = irfft(chunk, n=stream.n_fft, method=stream.method, precision=stream.precision)
    scale = jnp.asarray(window_scale(stream._table, stream.normalized), signal.dtype)
    frames = only_first(frames, frames_there, axis=-2)
    squares = only_first(jnp.broadcast_to(table**2, frames.shape[-2:]), frames_there, axis=-2)
    size, there = chunk.shape[-2] * hop, frames_there * hop
    held_back = stream.latency - stream._start
    signal, envelope = (
        _added(old, overlap_add(new, hop_length=hop), held_back)
        for old, new in ((signal, frames * (scale * table)), (envelope, squares))
    )
    y = stream._divided(signal[..., :size], envelope[:size])
    left = jnp.minimum(skipped, there)
    count = there - left
    kept = [
        jax.lax.dynamic_slice_in_dim(z, there, stream._buffer, axis=z.ndim - 1)
        for z in (signal, envelope)
    ]
    after = (*kept, skipped - left, begun | (there > 0))
    return after, _from(y, left, count, size), count


def _added(buffer: jax.Array, new: jax.Array, start: int) -> jax.Array:
    """What is held, and from the sample ``start`` on what is new."""
    lead, more = [(0, 0)] * (new.ndim - 1), start + new.shape[-1] - buffer.shape[-1]
    return jnp.pad(buffer, [*lead, (0, more)]) + jnp.pad(new, [*lead, (start, 0)])


def _from(y: jax.Array, start: jax.Array, count: jax.Array, size: int) -> jax.Array:
    """``count`` samples from ``start`` on, and zeros up to ``size``."""
    y = jnp.pad(y, [(0, 0)] * (y.ndim - 1) + [(0, size)])
    return only_first(jax.lax.dynamic_slice_in_dim(y, start, size, axis=y.ndim - 1), count)
