"""Labelled recordings for the examples: the embedded instruments, or a folder of your own."""

from __future__ import annotations

import dataclasses
import re
import sys
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxspec import audio

__all__ = ["N_FOLDS", "Recordings", "folder", "instruments", "of_one_length", "read"]

N_FOLDS = 5
LONGEST = 4.0  # seconds, where no other length is asked for

INSTRUMENTS = Path(__file__).parent / "data" / "instruments.npz"


@dataclasses.dataclass(frozen=True)
class Recordings:
    """Clips of one length with their labels, and the fold in which each one is held out.

    Attributes:
      x: float32 ``(clips, samples)``, full scale at 1.
      y: int32 ``(clips,)``, index into ``labels``.
      fold: int32 ``(clips,)``; fold ``k`` is held out where ``fold == k``.
      names: the name of every clip.
      labels: the name of every label.
      sample_rate: Hz.
      skipped: files that could not be read, with the reason.
      notes: what was done to the files and may matter, in one line each.
    """

    x: np.ndarray
    y: np.ndarray
    fold: np.ndarray
    names: tuple[str, ...]
    labels: tuple[str, ...]
    sample_rate: int
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def n_folds(self) -> int:
        """How many folds there are: `N_FOLDS`, or fewer for fewer groups."""
        return int(self.fold.max()) + 1

    @property
    def largest_share(self) -> float:
        """What always answering the most common label would get right."""
        return float(np.bincount(self.y).max() / len(self.y))


def instruments() -> Recordings:
    """The 562 one-note recordings in ``examples/data``; its README says what they are."""
    data = np.load(INSTRUMENTS)
    codes = data["x"].astype(np.float32) / 127.5 - 1.0  # mu-law
    return Recordings(
        x=np.sign(codes) * np.expm1(np.abs(codes) * np.float32(np.log(256.0))) / 255.0,
        y=data["y"].astype(np.int32),
        fold=data["fold"].astype(np.int32),
        names=tuple(str(name) for name in data["name"]),
        labels=tuple(str(family) for family in data["families"]),
        sample_rate=int(data["sample_rate"]),
    )


def folder(
    root: Path,
    *,
    sample_rate: int = 16000,
    seconds: float | None = None,
    group_by: str | None = None,
) -> Recordings:
    """The recordings ``root/label/*.wav`` (or flac, ogg, mp3), read, cut and padded.

    A file that cannot be read is named on stderr and left out. Several channels are averaged.

    Args:
      root: a folder with one folder for each label.
      sample_rate: Hz to resample to.
      seconds: the length that all clips are cut or padded with zeros to; by default the 90th
        percentile of the durations, at most 4 s.
      group_by: a regular expression with one group, searched in the name of each file. Files in
        which the group matches the same text are never on both sides of a split: give the speaker
        or the instrument there. By default every file is a group by itself.

    Raises:
      ValueError: if fewer than two labels or fewer than two groups have a readable file, or no
        label has files in two folds.
    """
    root = Path(root)
    if not root.is_dir():
        raise ValueError(f"{root} is not a folder")
    direct = sum(path.parent == root for path in audio.audio_files(root))
    clips: list[np.ndarray] = []
    paths: list[Path] = []
    rates: list[int] = []
    lengths: list[float] = []
    skipped: list[str] = []
    folders = sorted(path for path in root.iterdir() if path.is_dir())
    for path in (path for label in folders for path in audio.audio_files(label)):
        try:
            clip = read(path, sample_rate=sample_rate, seconds=seconds or LONGEST)
            rate, length = _rate_and_seconds(path)
        except ValueError as error:
            skipped.append(str(error))
            print(f"skipped: {error}", file=sys.stderr)
            continue
        clips.append(clip)
        paths.append(path.relative_to(root))
        rates.append(rate)
        lengths.append(length)
    labels = sorted({path.parts[0] for path in paths})
    if len(labels) < 2 and direct:
        raise ValueError(
            f"{direct} recording(s) lie directly in {root}: each belongs in a subfolder named "
            f"after its label ({root / 'LABEL' / 'x.wav'}), of which there must be at least two"
        )
    if len(labels) < 2:
        raise ValueError(
            f"{root} must hold a folder of readable recordings for each of at least two labels; "
            f"found {len(labels)} ({', '.join(labels) or 'none'}), skipped {len(skipped)} files"
        )
    if seconds is None:
        samples = int(np.percentile([len(clip) for clip in clips], 90))
    else:
        samples = max(round(sample_rate * seconds), 1)
    names = [path.as_posix() for path in paths]
    y = np.array([labels.index(path.parts[0]) for path in paths], np.int32)
    fold = _folds(paths, group_by)
    if all(len(set(fold[y == label])) == 1 for label in range(len(labels))):
        raise ValueError(
            f"every label of {root} has a single recording (or a single group of --group-by): "
            f"what is held out would be of labels without any training"
        )
    notes = (
        _note_direct(direct, root),
        _note_rates(rates, sample_rate),
        _note_lengths(lengths, names, samples, sample_rate),
        _note_few(np.bincount(y), labels),
    )
    return Recordings(
        x=of_one_length(clips, samples),
        y=y,
        fold=fold,
        names=tuple(names),
        labels=tuple(labels),
        sample_rate=sample_rate,
        skipped=tuple(skipped),
        notes=tuple(note for note in notes if note),
    )


def read(path: Path, *, sample_rate: int, seconds: float) -> np.ndarray:
    """The first seconds of a file, its channels averaged: float32 ``(samples,)``.

    Raises:
      ValueError: if it cannot be read, is empty or holds a NaN or an infinite sample.
    """
    clip, _ = audio.load(path, sample_rate=sample_rate, duration=seconds)
    if not np.isfinite(clip).all():
        raise ValueError(f"cannot use {path}: it holds NaN or infinite samples")
    return clip


def of_one_length(clips: Sequence[np.ndarray], samples: int) -> np.ndarray:
    """Clips cut, or padded with zeros: float32 ``(clips, samples)``."""
    x = np.zeros((len(clips), samples), np.float32)
    for row, clip in zip(x, clips, strict=True):
        row[: len(clip)] = clip[:samples]
    return x


def _rate_and_seconds(path: Path) -> tuple[int, float]:
    """The sample rate of a file that `audio.load` could read, and the duration of all of it."""
    import soundfile

    info = soundfile.info(str(path))
    return info.samplerate, info.frames / info.samplerate


# What was done to the files, each in one line or none.


def _note_direct(direct: int, root: Path) -> str:
    return f"Left out: {direct} recording(s) directly in {root}, without a label." * (direct > 0)


def _note_rates(rates: Sequence[int], sample_rate: int) -> str:
    if max(rates) <= sample_rate:
        return ""
    counts = sorted(Counter(rates).items(), reverse=True)
    found = ", ".join(f"{rate} Hz ({count} file(s))" for rate, count in counts)
    return (
        f"Sample rates: {found}. All are resampled to {sample_rate} Hz, which drops what lies "
        f"above {sample_rate / 2:g} Hz (see --sample-rate)."
    )


def _note_lengths(
    lengths: Sequence[float], names: Sequence[str], samples: int, sample_rate: int
) -> str:
    wanted = samples / sample_rate
    # In samples: a duration may differ by a part of one.
    counts = np.array([round(length * sample_rate) for length in lengths])
    cut, padded = int((counts > samples).sum()), int((counts < samples).sum())
    if not cut + padded:
        return ""
    note = f"Lengths: {cut} cut, {padded} padded with zeros to {wanted:.2f} s"
    tiny = int((counts < samples / 10).sum())
    if tiny:
        shortest = int(np.argmin(lengths))
        note += (
            f"; {tiny} shorter than a tenth of it, the shortest {names[shortest]} with "
            f"{lengths[shortest]:.3g} s"
        )
    return f"{note}."


def _note_few(counts: np.ndarray, labels: Sequence[str]) -> str:
    few = [f"{label} ({n})" for label, n in zip(labels, counts, strict=True) if n < N_FOLDS]
    if not few:
        return ""
    return (
        f"Warning: fewer than {N_FOLDS} recordings of {', '.join(few)}: such a label may be "
        f"missing in training or in what is held out."
    )


def _folds(paths: list[Path], group_by: str | None) -> np.ndarray:
    """The fold of every file: groups in the order of a hash of their name, dealt out in turn.

    Without ``group_by``, label by label, so that each has its share in every fold. The hash knows
    nothing of the order of files or of the machine: another run gives the same folds.
    """
    groups = [_group(path, group_by) for path in paths]
    order = sorted(set(groups), key=lambda group: (group[0], zlib.crc32(group[1].encode()), group))
    if len(order) < 2:
        raise ValueError(f"all files are of one group, {order[0][1]!r}: nothing can be held out")
    place = {group: position % N_FOLDS for position, group in enumerate(order)}
    return np.array([place[group] for group in groups], np.int32)


def _group(path: Path, group_by: str | None) -> tuple[str, str]:
    """What must not be divided: ``(label, file)``, or ``("", what the expression found)``."""
    if group_by is None:
        return path.parts[0], path.relative_to(path.parts[0]).as_posix()
    try:
        match = re.search(group_by, path.name)
    except re.error as error:
        raise ValueError(f"--group-by {group_by!r} is no regular expression: {error}") from error
    if match is None or not match.groups() or match.group(1) is None:
        raise ValueError(f"--group-by {group_by!r} finds no group in the file name {path.name!r}")
    return "", match.group(1)
