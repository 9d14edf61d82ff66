"""The loop of live features: chunks of a source through a stream, and the scale of the colours."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._sources import Source
from jaxspec.stage import Params
from jaxspec.streaming import Stream

__all__ = ["Piece", "Scale", "Summary", "colour_units", "level_db", "pieces"]

FALL_DB = 10.0  # by how much the top of the colours falls in a second, at most
QUIET_DB = -60.0  # noise of this level is never as light as the lightest colour


class Piece(NamedTuple):
    """What one chunk gave.

    Attributes:
      samples: of the chunk; none of the last piece, which is what was still to come.
      features: the frames that came out, float32 ``(frames, channels)``.
      seconds: where the chunk ends in what has been heard.
      computed: how many seconds it took; 0 for a last, shorter chunk, which is compiled anew.
    """

    samples: np.ndarray
    features: np.ndarray
    seconds: float
    computed: float


class Summary(NamedTuple):
    """A stream that has ended.

    Attributes:
      seconds: how much was heard.
      frames: how many frames came out.
      computed: seconds that computing took, the preparation left out.
      slowest: of which the slowest chunk.
      delay: seconds from a sound to its frame: of the front-end, of a chunk, and of resampling.
      finished: whether the audio ended, and not the user.
    """

    seconds: float
    frames: int
    computed: float
    slowest: float
    delay: float
    finished: bool


def pieces(
    source: Source,
    stream: Stream,
    *,
    chunk: int,
    params: Params | None = None,
    speed: float = 0.0,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Piece]:
    """The features of a source, chunk by chunk, at the pace of the sound.

    Args:
      source: where the audio comes from.
      stream: what computes.
      chunk: samples.
      params: as in `Stream.init_state`.
      speed: times real time, or 0: as fast as the source gives.
      now: the clock, in seconds.
      sleep: waits for so many seconds.

    Raises:
      ValueError: for a source without samples, or with one that is no finite number.
    """
    state = stream.init_state(params)
    heard, begin = 0, now()
    while len(samples := source.read(chunk)):
        if not np.isfinite(samples).all():
            raise ValueError(
                f"{source.name} holds a NaN or an infinite sample behind {heard / source.rate:.2f} "
                f"s: audio must be finite"
            )
        heard += len(samples)
        if speed:  # what is spoken in a chunk is there when it has been spoken
            sleep(max(begin + heard / source.rate / speed - now(), 0.0))
        start = time.perf_counter()
        state, y, count = stream.step(state, jnp.asarray(samples))
        features = np.asarray(y)[: int(count)]
        computed = (time.perf_counter() - start) * (len(samples) == chunk)
        yield Piece(samples, features, heard / source.rate, computed)
    if not heard:
        raise ValueError(f"{source.name} holds no samples")
    _, y, count = stream.flush(state)
    yield Piece(samples, np.asarray(y)[: int(count)], heard / source.rate, 0.0)


def colour_units(
    stream: Stream, *, chunk: int, params: Params | None = None
) -> tuple[float, float]:
    """How features follow the level: their change for a dB, and their value for quiet noise.

    A logarithm shifts all channels alike when the sound is louder; of front-ends that do otherwise
    (no logarithm, gain control, cepstra) the first number is 0. Computes two stretches of noise,
    which also compiles `Stream.step`.
    """
    noise = jax.random.normal(jax.random.key(0), (chunk,))
    steps = min(3 + 2 * stream.receptive_field // chunk, 300)
    heard: list[np.ndarray] = []
    for level in (QUIET_DB, QUIET_DB + 20):
        state, last = stream.init_state(params), None
        for _ in range(steps):
            state, y, count = stream.step(state, 10 ** (level / 20) * noise)
            if int(count):
                last = np.asarray(y)[int(count) - 1]
        if last is None:
            return 0.0, 0.0
        heard.append(last)
    quiet, louder = heard
    change = (louder - quiet) / 20
    typical = float(np.median(change))
    if typical <= 0 or (np.abs(change - typical) > 0.1 * typical).mean() > 0.1:
        return 0.0, 0.0
    return typical, float(np.median(quiet))


class Scale:
    """Between which values the colours lie, of what is on the screen.

    Of features on a logarithmic scale, ``span`` dB up to the greatest value on the screen; when
    that leaves it, the top falls by 10 dB a second. Of others, from the first to the last hundredth
    of the values, followed within about a second.
    """

    def __init__(self, unit: float, quiet: float, span: float) -> None:
        self._unit, self._quiet, self._span = unit, quiet, span
        self._limits: tuple[float, float] | None = None

    @property
    def words(self) -> str:
        """What the colours span."""
        return f"{self._span:g} dB" if self._unit else "scaled"

    def limits(self, columns: np.ndarray, seconds: float) -> tuple[float, float]:
        """Those for features ``(columns, channels)``, so many seconds after the last ones."""
        if self._unit:
            top = max(float(columns.max()), self._quiet)
            if self._limits:
                top = max(top, self._limits[1] - FALL_DB * seconds * self._unit)
            self._limits = (top - self._span * self._unit, top)
        else:
            new = np.quantile(columns, (0.01, 0.99))
            old, share = (self._limits or new), np.exp(-max(seconds, 0.0))
            low, high = share * np.asarray(old) + (1 - share) * new
            self._limits = (float(low), float(high))
        return self._limits


def level_db(power: float) -> float:
    """A mean square in dB below full scale, at least -120."""
    return 10 * float(np.log10(max(power, 1e-12)))
