"""A run: its description, its shards, and the pipeline that decodes, computes and writes them."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxspec.extraction._batches import Computer, Sums, batches
from jaxspec.extraction._decoding import Decoded, decoded
from jaxspec.extraction._files import DTYPES, checksum, shard_writer, whole_file, write_json
from jaxspec.extraction._inputs import Clip
from jaxspec.padded import Padded
from jaxspec.stage import Params, Stage

__all__ = ["Job", "OnClip", "run"]


# Key, seconds, frames and error of a clip that is done.
OnClip = Callable[[str, float, int, str], None]


@dataclasses.dataclass(frozen=True)
class Job:
    """What is to be done, the same in all processes.

    Args:
      output: the folder.
      clips: all of them.
      stage, params: the front-end.
      config: what ``config.json`` holds.
    """

    output: Path
    clips: Sequence[Clip]
    stage: Stage
    params: Params
    config: dict[str, Any]

    @property
    def n_shards(self) -> int:
        """How many shards there are."""
        return -(-len(self.clips) // self.config["shard_clips"])

    @property
    def digest(self) -> str:
        """A checksum of the configuration, which all of its shards state."""
        return hashlib.sha256(json.dumps(self.config, sort_keys=True).encode()).hexdigest()

    def part(self, number: int) -> Sequence[Clip]:
        """The clips of a shard."""
        size = self.config["shard_clips"]
        return self.clips[number * size : (number + 1) * size]

    def data_path(self, number: int) -> Path:
        """Where the features of a shard are."""
        return self._path(number, self.config["format"])

    def index_path(self, number: int) -> Path:
        """Where it is said what a shard holds: a shard that has one is whole."""
        return self._path(number, "json")

    def _path(self, number: int, suffix: str) -> Path:
        return self.output / f"shard-{number:05d}-of-{self.n_shards:05d}.{suffix}"

    def index(self, number: int) -> dict[str, Any] | None:
        """What a shard's index says; ``None`` for one that is still to be made.

        Raises:
          ValueError: for one of another configuration.
        """
        try:
            held = json.loads(self.index_path(number).read_text(encoding="utf-8"))
            size = self.data_path(number).stat().st_size
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise ValueError(f"cannot read {self.index_path(number)}: {error}") from error
        if held["config"] != self.digest:
            raise ValueError(
                f"{self.index_path(number)} is of another configuration than "
                f"{self.output / 'config.json'}"
            )
        return held if size == held["bytes"] else None


def run(job: Job, numbers: Sequence[int], *, workers: int, on_clip: OnClip) -> None:
    """Make these shards: threads decode ahead, devices compute, another thread writes."""
    compute = Computer(job.stage, job.params)
    clips = (clip for number in numbers for clip in job.part(number))
    stream = decoded(
        clips, job.config["sample_rate"], resample=job.config["resample"], workers=workers
    )
    with ThreadPoolExecutor(1, thread_name_prefix="write") as pool, contextlib.closing(stream):
        written: list[Future[None]] = []
        for number in numbers:
            shard = _Shard(job, number, on_clip)
            writing = pool.submit(shard.write)
            written.append(writing)
            try:
                _fill(shard, stream, compute)
                shard.put(None)
            except BaseException:
                shard.abandon(writing)
                raise
            # Errors of writing end the run here and not at its end.
            while written and written[0].done():
                written.pop(0).result()
        for future in written:
            future.result()


def _fill(shard: _Shard, stream: Iterator[Decoded], compute: Computer) -> None:
    """Compute the clips of a shard and hand them to its writer."""
    config = shard.job.config
    usable = _usable(shard, stream)
    for batch in batches(usable, config["buckets"], config["shard_clips"], compute.devices):
        shard.put((batch.numbers, batch.lengths, compute(batch)))


def _usable(shard: _Shard, stream: Iterator[Decoded]) -> Iterator[tuple[int, np.ndarray]]:
    """The samples of the clips that have frames; of others the writer is told why."""
    for number, _ in enumerate(shard.clips):
        clip = next(stream)
        error = clip.error
        if not error and shard.job.stage.length(len(clip.samples)) < 1:
            error = f"it is too short: {len(clip.samples)} samples hold no frame"
        shard.sizes[number] = clip.bytes
        if error:
            shard.put((number, error))
        else:
            yield number, clip.samples


class _Stopped(Exception):
    """Somebody else has failed."""


class _Shard:
    """A shard that is being made: filled by one thread, written by another."""

    def __init__(self, job: Job, number: int, on_clip: OnClip) -> None:
        self.job, self.number, self.clips = job, number, job.part(number)
        self.sizes: dict[int, int | None] = {}
        # Two batches in flight keep the devices busy; more would only take memory.
        self.results: queue.Queue[Any] = queue.Queue(maxsize=2)
        self._on_clip, self._dtype = on_clip, DTYPES[job.config["dtype"]]
        self._entries: dict[int, dict[str, Any]] = {}
        self._sums = Sums()
        self._failed = False

    def put(self, result: Any) -> None:
        """Hand a result to the writer, or raise if there is none any more."""
        while not self._failed:
            with contextlib.suppress(queue.Full):
                return self.results.put(result, timeout=0.2)
        raise _Stopped

    def abandon(self, writing: Future[None]) -> None:
        """Let the writer remove what it has; raise what has stopped it, if it was the first."""
        while not (writing.cancel() or writing.done()):
            with contextlib.suppress(queue.Full):
                self.results.put(_Stopped(), timeout=0.2)
                break
        if self._failed:
            writing.result()

    def write(self) -> None:
        """Write the shard, then its index."""
        try:
            self._write()
        except BaseException:
            self._failed = True
            raise

    def _write(self) -> None:
        config, path = self.job.config, self.job.data_path(self.number)
        self.job.index_path(self.number).unlink(missing_ok=True)  # of an earlier attempt
        with whole_file(path) as file:
            keys = [clip.key for clip in self.clips]
            writer = shard_writer(config["format"], file, keys, config["dtype"])
            while (result := self.results.get()) is not None:
                if isinstance(result, _Stopped):
                    raise result
                if len(result) == 2:
                    self._note(result[0], 0, 0, result[1])
                else:
                    self._add(writer, *result)
            writer.close()
            written = {"bytes": file.seek(0, 2), "sha256": checksum(file)}
        entries = [self._entries[number] for number in range(len(self.clips))]
        statistics = self._sums.statistics()
        index = {
            "shard": self.number,
            "shards": self.job.n_shards,
            "config": self.job.digest,
            "made_with": {"jax": jax.__version__, "platform": jax.default_backend()},
            "file": path.name,
            **written,
            "seconds": sum(entry.get("seconds", 0) for entry in entries),
            "frames": sum(entry.get("frames", 0) for entry in entries),
            "statistics": statistics.to_dict() if statistics else None,
            "clips": entries,
        }
        write_json(self.job.index_path(self.number), index)

    def _add(self, writer: Any, numbers: list[int], lengths: np.ndarray, of: Padded) -> None:
        """Write the features of a batch."""
        features, counts = np.asarray(of.features), np.asarray(of.lengths)
        for row, number in enumerate(numbers):
            own = features[row, : counts[row]]
            with np.errstate(over="ignore"):  # told below
                rounded = own.astype(self._dtype, copy=False)
            # NaN is the largest of anything that holds one.
            if not np.isfinite([rounded.min(), rounded.max()]).all():
                self._note(number, 0, 0, f"its features do not fit {self._dtype}")
                continue
            self._sums.add(own)
            writer.add(self.clips[number].key, rounded)
            self._note(number, int(lengths[row]), len(own), "")

    def _note(self, number: int, samples: int, frames: int, error: str) -> None:
        """What the index says of a clip."""
        clip, seconds = self.clips[number], samples / self.job.config["sample_rate"]
        entry: dict[str, Any] = {"key": clip.key, "bytes": self.sizes[number]}
        if error:
            entry["error"] = error
        else:
            entry |= {"seconds": seconds, "samples": samples, "frames": frames}
        if clip.columns:
            entry["columns"] = dict(clip.columns)
        self._entries[number] = entry
        self._on_clip(clip.key, seconds, frames, error)
