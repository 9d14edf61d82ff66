"""Reading what was extracted: random access to the features of every clip."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxspec.extraction._config import restored
from jaxspec.extraction._files import ShardReader, checksum, open_shard
from jaxspec.stage import Params, Stage, stage_from_dict
from jaxspec.statistics import FeatureStatistics

__all__ = ["INDEX", "FeatureSet"]

INDEX = "index.json"


class FeatureSet:
    """The features that `extract` has written, clip by clip.

    ``len(features)`` is the number of clips, those that failed left out; ``features[i]`` is a
    dictionary of

    - ``"features"``: ``(frames, channels)`` of the dtype of the run; of safetensors a read-only
      view of the file, of which only the pages that are used are read;
    - ``"key"``: the name of the clip, ``"seconds"``: its length;
    - the other columns of the manifest, if it came from one.

    It can be pickled (as the folder's name), read from several threads and processes, and is a
    data source for Grain and other loaders with random access.

    Args:
      folder: where `extract` has written.

    Raises:
      ValueError: if there is nothing, or not all of it yet.

    Example:
      >>> import pathlib, tempfile
      >>> import numpy as np, soundfile
      >>> from jaxspec import extraction
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     soundfile.write(pathlib.Path(folder, "a.wav"), np.ones(8000), 16000)
      ...     _ = extraction.extract(folder, folder, stage="log_mel")
      ...     features = extraction.FeatureSet(folder)
      ...     frames = features[0]["features"]
      >>> len(features), features.keys, frames.shape, features.sample_rate
      (1, ('a.wav',), (51, 80), 16000)
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        index = _json(self.folder / INDEX)
        self._config: dict[str, Any] = index["config"]
        self._statistics = index["statistics"]
        self._shards: list[dict[str, Any]] = index["shards"]
        self._open: dict[int, ShardReader] = {}
        self.failed: dict[str, str] = {bad["key"]: bad["error"] for bad in index["failed"]}
        self._entries: list[tuple[int, dict[str, Any]]] = [
            (number, entry)
            for number, shard in enumerate(self._shards)
            for entry in _json(self.folder / shard["index"])["clips"]
            if "error" not in entry
        ]
        self.keys: tuple[str, ...] = tuple(entry["key"] for _, entry in self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, i: int) -> dict[str, Any]:
        number, entry = self._entries[i]
        if number not in self._open:
            self._open[number] = open_shard(self.folder / self._shards[number]["file"])
        return {
            "features": self._open[number][entry["key"]],
            "key": entry["key"],
            "seconds": entry["seconds"],
            **entry.get("columns", {}),
        }

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[i] for i in range(len(self)))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.folder,)

    def __repr__(self) -> str:
        return f"FeatureSet({str(self.folder)!r})"

    @property
    def stage(self) -> Stage:
        """The front-end that made the features."""
        return stage_from_dict(self._config["stage"])

    @property
    def params(self) -> Params:
        """Its parameters, NumPy arrays; ``{}`` for a fixed one."""
        return restored(self._config["params"])

    @property
    def sample_rate(self) -> int:
        """The rate of the waveforms that it took, Hz."""
        return self._config["sample_rate"]

    @property
    def frames(self) -> np.ndarray:
        """How many frames each clip has, int64 ``(clips,)``, without reading any."""
        return np.asarray([entry["frames"] for _, entry in self._entries], np.int64)

    @property
    def statistics(self) -> FeatureStatistics:
        """Count, mean, deviation and range of every channel over all frames.

        They are of the features before these were rounded to a ``dtype`` of 16 bits.

        Raises:
          ValueError: if all clips failed.
        """
        if not self._statistics:
            raise ValueError(f"{self.folder} holds no features: all of its clips failed")
        return FeatureStatistics.from_dict(self._statistics)

    def verify(self) -> None:
        """Read everything and compare it with the checksums.

        Raises:
          ValueError: naming the first shard that is not what was written.
        """
        for shard in self._shards:
            path = self.folder / shard["file"]
            try:
                with path.open("rb") as file:
                    found = checksum(file)
            except OSError as error:
                raise ValueError(f"cannot read {path}: {error.strerror or error}") from error
            if found != shard["sha256"]:
                raise ValueError(
                    f"{path} is damaged: its SHA-256 is {found}, that of the index "
                    f"{shard['sha256']}"
                )


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(
            f"{path.parent} holds no extracted features, or not all of them yet: there is no "
            f"{path.name}"
        ) from None
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read {path}: {error}") from error
