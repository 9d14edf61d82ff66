"""Features of whole data sets: extracted once, in shards on disk, and read for training.

`extract` (``jaxspec extract`` on the command line) decodes, computes and writes; `FeatureSet` reads
what it wrote. What lies in the folder, and how several processes share the work, is told in
``docs/extraction.md``. It needs the extra ``jaxspec-audio[extract]``; reading needs nothing.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxspec._checks import check_choice, check_positive_int
from jaxspec.audio import _soundfile
from jaxspec.extraction._config import CONFIG, agree, describe, front_end, probe
from jaxspec.extraction._files import DTYPES, FORMATS, remove_leftovers, write_json
from jaxspec.extraction._inputs import Clip, clips_of
from jaxspec.extraction._reader import INDEX, FeatureSet
from jaxspec.extraction._run import Job, run
from jaxspec.stage import Params, Stage
from jaxspec.statistics import FeatureStatistics

__all__ = ["ClipDone", "FeatureSet", "Report", "extract"]


class ClipDone(NamedTuple):
    """What became of a clip.

    Attributes:
      key: its name.
      seconds: how long it is, 0 for one that failed.
      frames: how many frames of features were written.
      error: why there are none; empty where there are.
      left: how many clips this call has still to do.
    """

    key: str
    seconds: float
    frames: int
    error: str
    left: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """What `extract` did.

    Attributes:
      done: how many clips were extracted by this call.
      skipped: how many were there already.
      failed: ``(key, reason)`` of the clips that could not be used, those of earlier calls too.
      audio_seconds: of the clips extracted by this call.
      seconds: that it took.
      complete: whether all shards are there, those of other processes too, and the index.
      statistics: of all features, once they are complete.
    """

    done: int
    skipped: int
    failed: tuple[tuple[str, str], ...]
    audio_seconds: float
    seconds: float
    complete: bool
    statistics: FeatureStatistics | None = dataclasses.field(repr=False)


def extract(
    inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    stage: Stage | str,
    params: Params | None = None,
    sample_rate: int | None = None,
    dtype: str = "float32",
    format: str = "safetensors",
    shard_clips: int = 256,
    workers: int | None = None,
    processes: int | None = None,
    process: int | None = None,
    retry_failed: bool = False,
    on_clip: Callable[[ClipDone], None] | None = None,
) -> Report:
    """Extract the features of audio files into a folder that `FeatureSet` reads.

    A run that was stopped, however, is continued by the same call; what is there is not made again,
    and the folder is in the end the same, byte for byte. A file that cannot be used is
    recorded, and the run goes on.

    Args:
      inputs: one or more folders (searched for `jaxspec.audio.AUDIO_SUFFIXES`), files, globs
        (``**`` crosses folders) and manifests: ``.txt`` with a path a line, ``.csv`` and ``.tsv``
        with a column ``path``, ``.jsonl`` with ``path`` or ``audio_filepath``; ``start`` and
        ``duration`` (seconds) choose a part, and other columns are kept.
      output: the folder; it is made.
      stage: a stage or `FrontEnd` from waveforms to features, or the name of a preset.
      params: of a front-end that learns.
      sample_rate: Hz that files are resampled to; by default the one that the front-end is for.
        For one that is for any rate, that of the first file, and files of another rate fail.
      dtype: of the features on disk, ``"float32"``, ``"float16"`` or ``"bfloat16"``.
      format: of the shards, ``"safetensors"`` or ``"npz"``.
      shard_clips: how many clips make a shard, of which one at a time may be lost.
      workers: threads that decode; by default one for each processor core.
      processes: how many processes share the work, each with a call of its own; by default those
        of ``jax.distributed``.
      process: which of them this is, from 0. It makes every ``processes``-th shard.
      retry_failed: whether shards with files that failed before are made again.
      on_clip: called with a `ClipDone` for every clip.

    Returns:
      `Report`.

    Raises:
      ImportError: without the extra ``jaxspec-audio[audio]``.
      TypeError: if ``stage`` is none.
      ValueError: for inputs that are not there, wrong arguments, or an ``output`` that holds
        features of another configuration or of other inputs.
      OSError: if ``output`` cannot be written.

    Example:
      >>> import pathlib, tempfile
      >>> import numpy as np, soundfile
      >>> from jaxspec import extraction
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     for name in ("a.wav", "b.wav"):
      ...         soundfile.write(pathlib.Path(folder, name), np.zeros(16000), 16000)
      ...     out = pathlib.Path(folder, "features")
      ...     report = extraction.extract(folder, out, stage="log_mel")
      ...     features = extraction.FeatureSet(out)
      ...     element = features[1]
      >>> report.done, report.failed, element["key"], element["features"].shape
      (2, (), 'b.wav', (101, 80))
    """
    begin = time.perf_counter()
    _soundfile()
    check_choice("dtype", dtype, tuple(DTYPES))
    check_choice("format", format, FORMATS)
    if format == "npz" and dtype == "bfloat16":
        raise ValueError("format='npz' holds float32 or float16, got dtype='bfloat16'")
    shard_clips = check_positive_int("shard_clips", shard_clips)
    workers = check_positive_int("workers", len(_cores()) if workers is None else workers)
    processes, process = _share(processes, process)
    check_choice("retry_failed", retry_failed, (False, True))
    folder = Path(output)
    listed = [inputs] if isinstance(inputs, (str, os.PathLike)) else list(inputs)
    clips = clips_of(listed)
    found = probe(clips, workers)
    chosen = front_end(stage, sample_rate, found)
    config = describe(
        chosen, params or {}, clips, found, dtype=dtype, format=format, shard_clips=shard_clips
    )
    config = agree(folder, config)
    job = Job(folder, clips, chosen.stage, params or {}, config)
    mine = range(process, job.n_shards, processes)
    failed: list[tuple[str, str]] = []
    numbers, skipped = _still_to_do(job, mine, retry_failed, failed)
    done, audio_seconds = 0, 0.0
    left = sum(len(job.part(number)) for number in numbers)

    def note(key: str, seconds: float, frames: int, error: str) -> None:
        nonlocal done, audio_seconds, left
        left -= 1
        if error:
            failed.append((key, error))
        else:
            done, audio_seconds = done + 1, audio_seconds + seconds
        if on_clip:
            on_clip(ClipDone(key, seconds, frames, error, left))

    if numbers:
        (folder / INDEX).unlink(missing_ok=True)
        run(job, numbers, workers=workers, on_clip=note)
    statistics = _finish(job)
    return Report(
        done=done,
        skipped=skipped,
        failed=tuple(failed),
        audio_seconds=audio_seconds,
        seconds=time.perf_counter() - begin,
        complete=(folder / INDEX).exists(),
        statistics=statistics,
    )


def _cores() -> Sequence[int]:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return range(os.cpu_count() or 1)


def _share(processes: int | None, process: int | None) -> tuple[int, int]:
    """How many processes there are, and which one this is."""
    if processes is None and process is None:
        return jax.process_count(), jax.process_index()
    if processes is None or process is None:
        raise ValueError(
            f"processes and process must be given together, got processes={processes} and "
            f"process={process}"
        )
    processes = check_positive_int("processes", processes)
    process = check_positive_int("process", process, minimum=0)
    if process >= processes:
        raise ValueError(
            f"process must be < processes (they count from 0), got process={process} and "
            f"processes={processes}"
        )
    return processes, process


def _still_to_do(
    job: Job, mine: Sequence[int], retry_failed: bool, failed: list[tuple[str, str]]
) -> tuple[list[int], int]:
    """The shards that are not there, and how many clips of the others are good.

    The clips of the others that failed are added to ``failed``.
    """
    missing, good = [], 0
    for number in mine:
        index = job.index(number)
        if index is None:
            missing.append(number)
            continue
        errors = [(e["key"], e["error"]) for e in index["clips"] if "error" in e]
        if errors and retry_failed:
            missing.append(number)
            continue
        failed.extend(errors)
        good += len(index["clips"]) - len(errors)
        for clip, entry in zip(job.part(number), index["clips"], strict=True):
            _refuse_changed(job, clip, entry)
    names = [path.name for n in mine for path in (job.data_path(n), job.index_path(n))]
    remove_leftovers(job.output, [*names, CONFIG, INDEX])
    return missing, good


def _refuse_changed(job: Job, clip: Clip, entry: dict[str, Any]) -> None:
    """Refuse to go on where a file was changed: the features would be of two data sets."""
    try:
        size = clip.path.stat().st_size
    except OSError:
        return  # what is gone was extracted while it was there
    if "error" not in entry and size != entry["bytes"]:
        raise ValueError(
            f"{clip.path} was changed since its features were extracted into {job.output} "
            f"({entry['bytes']} bytes then, {size} now): choose another folder"
        )


def _finish(job: Job) -> FeatureStatistics | None:
    """Write the index of the whole, if all shards are there; the last process does."""
    total: FeatureStatistics | None = None
    shards, failed = [], []
    for number in range(job.n_shards):
        index = job.index(number)
        if index is None:
            return None
        if index["statistics"]:
            own = FeatureStatistics.from_dict(index["statistics"])
            total = total.merge(own) if total else own
        errors = [entry for entry in index["clips"] if "error" in entry]
        failed += [{"key": entry["key"], "error": entry["error"]} for entry in errors]
        told = {name: index[name] for name in ("file", "sha256", "bytes", "seconds", "frames")}
        shards.append(
            told
            | {"index": job.index_path(number).name, "clips": len(index["clips"]) - len(errors)}
        )
    write_json(
        job.output / INDEX,
        {
            "layout": job.config["layout"],
            "jaxspec": job.config["jaxspec"],
            "config": job.config,
            "clips": sum(shard["clips"] for shard in shards),
            "failed": failed,
            "seconds": sum(shard["seconds"] for shard in shards),
            "frames": sum(shard["frames"] for shard in shards),
            "statistics": total.to_dict() if total else None,
            "shards": shards,
        },
    )
    return total
