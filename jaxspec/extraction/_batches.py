"""Clips of many lengths in batches of few shapes, through a front-end on all local devices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from jaxspec.bucketing import length_buckets
from jaxspec.padded import Padded, apply_padded
from jaxspec.stage import Params, Stage
from jaxspec.statistics import FeatureStatistics

__all__ = ["Batch", "Computer", "Sums", "batches", "buckets_of", "rows_of"]

# Samples of a batch on one device, about a minute at 16 kHz: more are no faster on a processor.
_SAMPLES = 2**20
_SAMPLES_ON_ACCELERATORS = 2**24
_GROWTH = 1.25  # of the lengths behind the longest bucket
_GRAIN = 256  # samples: lengths of buckets are multiples
_FRAMES = 2**9  # that are summed up at once: they stay in a cache
_FEW = 32  # frames that are summed up in float32


class Batch(NamedTuple):
    """Clips of similar lengths.

    Attributes:
      x: ``(rows, samples)``, float32; rows without a clip are 0.
      lengths: int32 ``(rows,)``, 0 for those without a clip.
      numbers: of the clips within their shard, those of the first rows.
    """

    x: np.ndarray
    lengths: np.ndarray
    numbers: list[int]


def buckets_of(lengths: Sequence[int], hours: float) -> tuple[int, ...]:
    """The padded lengths of a run over so many hours, from lengths of some of its clips.

    More of them waste less, but each costs a compilation, as long as many minutes of audio take.
    """
    if not lengths:
        return (_GRAIN,)
    ends = length_buckets(lengths, n_buckets=2 if hours < 10 else 4 if hours < 100 else 8)
    return tuple(sorted({-(-end // _GRAIN) * _GRAIN for end in ends}))


def _bucket(n: int, buckets: Sequence[int]) -> int:
    """The padded length of a clip."""
    fitting = [bucket for bucket in buckets if bucket >= n]
    if fitting:
        return min(fitting)
    bucket = max(buckets)
    while bucket < n:
        bucket = -(-int(bucket * _GROWTH) // _GRAIN) * _GRAIN
    return bucket


def rows_of(bucket: int, most: int, devices: Sequence[jax.Device]) -> int:
    """How many clips of a padded length make a batch, a multiple of the number of devices."""
    on_processor = devices[0].platform == "cpu"
    held = _SAMPLES if on_processor else _SAMPLES_ON_ACCELERATORS
    each = max(min(held // bucket, -(-most // len(devices))), 1)
    return each * len(devices)


def batches(
    clips: Iterable[tuple[int, np.ndarray]],
    buckets: Sequence[int],
    most: int,
    devices: Sequence[jax.Device],
) -> Iterator[Batch]:
    """The clips of a shard, given with their numbers, in batches that depend on nothing else."""
    open_batches: dict[int, Batch] = {}
    for number, samples in clips:
        bucket = _bucket(len(samples), buckets)
        batch = open_batches.get(bucket)
        if batch is None:
            rows = rows_of(bucket, most, devices)
            batch = Batch(np.zeros((rows, bucket), np.float32), np.zeros(rows, np.int32), [])
            open_batches[bucket] = batch
        row = len(batch.numbers)
        batch.x[row, : len(samples)] = samples
        batch.lengths[row] = len(samples)
        batch.numbers.append(number)
        if len(batch.numbers) == len(batch.x):
            yield open_batches.pop(bucket)
    yield from open_batches.values()


class Computer:
    """A front-end on all local devices, which share the rows of a batch."""

    def __init__(self, stage: Stage, params: Params) -> None:
        self.devices = jax.local_devices()
        mesh = jax.sharding.Mesh(np.asarray(self.devices), ("rows",))
        spread = jax.sharding.PartitionSpec("rows")
        self._rows = jax.sharding.NamedSharding(mesh, spread)
        everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
        self._params = jax.device_put(params, everywhere)
        self._stage = stage

    def __call__(self, batch: Batch) -> Padded:
        """Start the computation of a batch."""
        x, lengths = jax.device_put((batch.x, batch.lengths), self._rows)
        return _compute(self._stage, self._params, x, lengths)


@partial(jax.jit, static_argnums=0)
def _compute(stage: Stage, params: Params, x: jax.Array, lengths: jax.Array) -> Padded:
    return apply_padded(stage, params, x, lengths=lengths)


class Sums:
    """Statistics of features that are on the host, in float64 but for sums of a few frames.

    `jaxspec.statistics.feature_statistics` would be one more program for every shape.
    """

    def __init__(self) -> None:
        self._count = 0
        self._shift = self._first = self._second = np.zeros(0)
        self._minimum = self._maximum = self._room = np.zeros(0)

    def add(self, features: np.ndarray) -> None:
        """Count float32 features ``(frames, channels)``, which must be finite."""
        if not self._count:
            # Off its own first frame, a constant channel is exactly 0.
            self._shift = features[0]
            self._first, self._second = np.zeros((2, features.shape[1]))
            self._minimum = self._maximum = features[0]
            self._room = np.empty((_FRAMES, features.shape[1]), np.float32)
        self._count += len(features)
        for begin in range(0, len(features), _FRAMES):
            part = features[begin : begin + _FRAMES]
            self._minimum = np.minimum(self._minimum, part.min(axis=0))
            self._maximum = np.maximum(self._maximum, part.max(axis=0))
            off = np.subtract(part, self._shift, out=self._room[: len(part)])
            self._first += _sum(off)
            self._second += _sum(np.square(off, out=off))

    def statistics(self) -> FeatureStatistics | None:
        """The statistics of all that was added, ``None`` of nothing."""
        if not self._count:
            return None
        off = self._first / self._count
        return FeatureStatistics(
            count=self._count,
            mean=self._shift.astype(np.float64) + off,
            m2=np.maximum(self._second - off * self._first, 0),
            minimum=self._minimum.astype(np.float64),
            maximum=self._maximum.astype(np.float64),
        )


def _sum(x: np.ndarray) -> np.ndarray:
    """The sum over the frames."""
    few = np.add.reduceat(x, np.arange(0, len(x), _FEW), axis=0)
    return few.sum(axis=0, dtype=np.float64)
