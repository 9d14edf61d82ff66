"""What is to be extracted: folders, files, globs and manifests become one list of clips."""

from __future__ import annotations

import csv
import glob
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from jaxspec.audio import AUDIO_SUFFIXES

__all__ = ["MANIFEST_SUFFIXES", "Clip", "clips_of", "digest"]

MANIFEST_SUFFIXES = (".txt", ".lst", ".csv", ".tsv", ".json", ".jsonl")

_PATHS = ("path", "audio_filepath")
_STARTS = ("start", "offset")
# What stands in an index and in an element of a reader under these names.
_RESERVED = ("features", "frames", "samples", "seconds", "bytes", "error")


class Clip(NamedTuple):
    """A file, or a part of one.

    Attributes:
      key: its name, which no other clip of a run has.
      path: where the file is.
      start, duration: the part in seconds; ``None`` for all that is left.
      columns: what else a manifest says of it.
    """

    key: str
    path: Path
    start: float = 0.0
    duration: float | None = None
    columns: Mapping[str, Any] = {}


def clips_of(inputs: Sequence[str | os.PathLike[str]]) -> list[Clip]:
    """The clips of all inputs, in their order and without duplicates.

    A folder's files are sorted by path, as are those of a glob; a manifest keeps its order. The key
    of a clip is its path, with slashes, relative to the deepest folder that holds all of the inputs
    (of a folder: itself; of a file or manifest: the folder that it lies in), and
    ``@start+duration`` behind it for a part.

    Raises:
      ValueError: for an input that is not there or holds nothing, or a manifest that cannot be
        read.
    """
    roots: list[Path] = []
    found: list[Clip] = []
    for given in inputs:
        root, clips = _expanded(os.fspath(given))
        roots.append(root)
        # Files that a manifest lists may lie elsewhere.
        outside = {clip.path.parent for clip in clips if not clip.path.is_relative_to(root)}
        roots.extend(sorted(outside))
        found.extend(clips)
    if not found:
        raise ValueError("inputs must name at least one file, got none")
    shared = _common(roots)
    unique: dict[str, Clip] = {}
    for clip in found:
        path = clip.path.relative_to(shared) if shared else clip.path
        named = clip._replace(key=path.as_posix() + _part(clip))
        other = unique.setdefault(named.key, named)
        if not other.columns:
            unique[named.key] = named
        elif named.columns and named.columns != other.columns:
            raise ValueError(
                f"{named.key} is listed twice, with columns that differ: {dict(other.columns)} and "
                f"{dict(named.columns)}"
            )
    return list(unique.values())


def digest(clips: Iterable[Clip]) -> str:
    """A checksum of what the list says, wherever its files lie."""
    total = hashlib.sha256()
    for clip in clips:
        line = [clip.key, clip.start, clip.duration, clip.columns]
        total.update(json.dumps(line, sort_keys=True).encode() + b"\n")
    return total.hexdigest()


def _part(clip: Clip) -> str:
    if not clip.start and clip.duration is None:
        return ""
    length = "" if clip.duration is None else _exact(clip.duration)
    return f"@{_exact(clip.start)}+{length}"


def _exact(seconds: float) -> str:
    """With all digits: parts that differ have other names."""
    return repr(float(seconds)).removesuffix(".0")


def _common(roots: list[Path]) -> Path | None:
    try:
        return Path(os.path.commonpath(roots))
    except ValueError:  # on several drives
        return None


def _expanded(given: str) -> tuple[Path, list[Clip]]:
    """The folder that holds an input, and its clips, which are not named yet."""
    path = Path(os.path.abspath(given))
    if path.is_dir():
        files = _audio_in(path)
        if not files:
            raise ValueError(f"{given} holds no audio files ({', '.join(AUDIO_SUFFIXES)})")
        return path, [Clip("", file) for file in files]
    if path.is_file():
        if path.suffix.lower() in MANIFEST_SUFFIXES:
            return path.parent, _listed(path)
        return path.parent, [Clip("", path)]
    if glob.has_magic(given):
        matched = sorted(Path(name) for name in glob.iglob(str(path), recursive=True))
        # A link to nowhere is told as a bad file later on.
        files = [file for file in matched if not file.is_dir() and not _in_circle(file.parent)]
        if not files:
            raise ValueError(f"no file matches {given}")
        fixed = path.parts[:-1]
        depth = next((i for i, part in enumerate(fixed) if glob.has_magic(part)), len(fixed))
        return Path(*fixed[:depth]), [Clip("", file) for file in files]
    raise ValueError(f"there is no file or folder {given}")


def _audio_in(folder: Path) -> list[Path]:
    """`jaxspec.audio.audio_files`, but with links to nowhere, and no folder is passed over."""

    def refuse(error: OSError) -> None:
        raise ValueError(f"cannot read the folder {error.filename}: {error.strerror}")

    return sorted(
        Path(root, name)
        for root, _, names in os.walk(folder, onerror=refuse)
        for name in names
        if Path(name).suffix.lower() in AUDIO_SUFFIXES
    )


@lru_cache(maxsize=4096)
def _in_circle(folder: Path) -> bool:
    """Whether a path leads through a link to a folder that it has passed before."""
    return any(
        part.is_symlink() and part.parent.resolve().is_relative_to(part.resolve())
        for part in (folder, *folder.parents)
    )


def _listed(manifest: Path) -> list[Clip]:
    clips = []
    try:
        for number, row in _rows(manifest):
            try:
                clips.append(_clip(row, manifest.parent))
            except ValueError as error:
                raise ValueError(f"{manifest}, line {number}: {error}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        cause = getattr(error, "strerror", None) or error
        raise ValueError(f"cannot read the manifest {manifest}: {cause}") from error
    if not clips:
        raise ValueError(f"the manifest {manifest} lists no file")
    return clips


def _rows(manifest: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The lines of a manifest with their numbers, as dictionaries with a path."""
    suffix = manifest.suffix.lower()
    with manifest.open(encoding="utf-8-sig", newline="") as file:
        if suffix in (".csv", ".tsv"):
            table = csv.DictReader(file, dialect="excel" if suffix == ".csv" else "excel-tab")
            if not set(_PATHS) & set(table.fieldnames or ()):
                raise ValueError(
                    f"the manifest {manifest} must have a column {' or '.join(_PATHS)} in its "
                    f"first line, got {', '.join(table.fieldnames or ()) or 'nothing'}"
                )
            for row in table:
                yield table.line_num, row
            return
        for number, line in enumerate(file, 1):
            text = line.strip("\r\n")
            if not text.strip():
                continue
            yield number, _parsed(text) if suffix.startswith(".json") else {"path": text}


def _parsed(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    # An error of _clip, which names the line.
    return row if isinstance(row, dict) else {"": line}


def _clip(row: dict[str, Any], folder: Path) -> Clip:
    if "" in row or None in row:
        raise ValueError("it must hold a JSON object, or as many columns as the first line")
    name = next((row[column] for column in _PATHS if row.get(column)), None)
    if not isinstance(name, str):
        raise ValueError(f"it must say a {' or '.join(_PATHS)}")
    reserved = [column for column in _RESERVED if column in row]
    if reserved:
        raise ValueError(f"a column must not be called {reserved[0]}: features come with it")
    start = next((row[column] for column in _STARTS if row.get(column) not in (None, "")), 0)
    duration = row.get("duration")
    known = (*_PATHS, *_STARTS, "duration", "key")
    return Clip(
        "",
        Path(os.path.abspath(folder / os.path.expanduser(name))),
        _seconds("start", start, least=0.0),
        None if duration in (None, "") else _seconds("duration", duration, least=1e-9),
        {column: value for column, value in row.items() if column not in known},
    )


def _seconds(name: str, value: Any, *, least: float) -> float:
    """A number of JSON or the text of one."""
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not plain and not re.fullmatch(r"\s*[-+]?[0-9.]+([eE][-+]?\d+)?\s*", str(value)):
        raise ValueError(f"{name} must be seconds, got {value!r}")
    seconds = float(value)
    if not least <= seconds < 1e9:
        raise ValueError(f"{name} must be {'>= 0' if not least else '> 0'}, got {value}")
    return seconds
