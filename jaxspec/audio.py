"""Reading audio files (needs the extra ``jaxspec-audio[audio]``)."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from jaxspec._checks import check_number, check_positive_int

__all__ = ["AUDIO_SUFFIXES", "audio_files", "load"]

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
"""The suffixes that `audio_files` looks for; `load` reads whatever libsndfile can."""


def load(
    path: str | os.PathLike[str],
    *,
    sample_rate: int | None = None,
    mono: bool = True,
    start: float = 0.0,
    duration: float | None = None,
) -> tuple[np.ndarray, int]:
    """The samples of an audio file (WAV, FLAC, Ogg, MP3, …), with full scale at 1.

    Args:
      path: the file.
      sample_rate: Hz to resample to (soxr, high quality), or ``None`` for the file's own rate.
      mono: whether to take the mean of the channels.
      start: seconds to skip.
      duration: seconds to read, or ``None`` for all; a file that ends earlier gives fewer.

    Returns:
      ``(samples, sample_rate)``: float32 samples of shape ``(samples,)``, or
      ``(channels, samples)`` with ``mono=False``, and their rate in Hz.

    Raises:
      ImportError: without soundfile, or without soxr where the rate has to be changed.
      ValueError: for a file that cannot be read or holds no samples, a ``start`` behind its end,
        or a wrong argument.

    Example:
      >>> import pathlib, tempfile
      >>> import numpy as np, soundfile
      >>> from jaxspec import audio
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = pathlib.Path(folder, "stereo.wav")
      ...     soundfile.write(path, np.zeros((16000, 2)), 16000)
      ...     samples, rate = audio.load(path, sample_rate=8000, duration=0.5)
      >>> samples.shape, samples.dtype, rate
      ((4000,), dtype('float32'), 8000)
    """
    start = check_number("start", start, at_least=0)
    if duration is not None:
        duration = check_number("duration", duration, above=0)
    if sample_rate is not None:
        sample_rate = check_positive_int("sample_rate", sample_rate)
    samples, own_rate = _read(Path(path), start, duration)
    if mono:
        samples = samples.mean(axis=1)
    if sample_rate is not None and sample_rate != own_rate:
        samples = _soxr().resample(samples, own_rate, sample_rate)
        own_rate = sample_rate
    return np.ascontiguousarray(samples.T, dtype=np.float32), own_rate


def audio_files(folder: str | os.PathLike[str]) -> list[Path]:
    """The audio files of a folder and the folders in it, sorted by path.

    Args:
      folder: where to look.

    Returns:
      The paths whose suffix is in `AUDIO_SUFFIXES`, in capitals or not.

    Raises:
      ValueError: if ``folder`` is not a folder.

    Example:
      >>> import pathlib, tempfile
      >>> from jaxspec import audio
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     for name in ("b.wav", "a.FLAC", "notes.txt"):
      ...         pathlib.Path(folder, name).touch()
      ...     [path.name for path in audio.audio_files(folder)]
      ['a.FLAC', 'b.wav']
    """
    root = Path(folder)
    if not root.is_dir():
        raise ValueError(f"folder must be an existing folder, got folder={str(root)!r}")
    return sorted(
        path for path in root.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file()
    )


def open_file(path: Path) -> Any:
    """An audio file as ``soundfile.SoundFile``.

    Raises:
      ImportError: without soundfile.
      ValueError: for a file that cannot be read or holds no samples.
    """
    soundfile = _soundfile()
    try:
        # libsndfile says "System error" for all of a missing file, a folder and a forbidden one.
        with path.open("rb"):
            pass
        file = soundfile.SoundFile(str(path))
    except (OSError, soundfile.SoundFileError, TypeError) as error:
        raise unreadable(path, error) from error
    if file.frames == 0:
        file.close()
        raise ValueError(f"{path} holds no samples")
    return file


def unreadable(path: Path, error: Exception) -> ValueError:
    """What is said of a file that cannot be read."""
    if isinstance(error, OSError):
        return ValueError(f"cannot read {path}: {error.strerror or error}")
    # A TypeError is about samples without a header.
    cause = str(error).removeprefix(f"Error opening {str(path)!r}: ")
    return ValueError(f"cannot read {path}: {cause}")


def skip(file: Any, path: Path, start: float) -> None:
    """Go to the second ``start`` of an open file."""
    rate, length = int(file.samplerate), int(file.frames)
    if round(start * rate) >= length:
        raise ValueError(
            f"start must be < the {length / rate:g} s that {path} holds, got start={start:g}"
        )
    file.seek(round(start * rate))


def _read(path: Path, start: float, duration: float | None) -> tuple[np.ndarray, int]:
    """The samples ``(samples, channels)`` of a part of a file, and its rate."""
    with open_file(path) as file:
        rate = int(file.samplerate)
        try:
            skip(file, path, start)
            # At least one sample: a duration above 0 is never an empty clip.
            count = -1 if duration is None else max(round(duration * rate), 1)
            samples = file.read(count, dtype="float32", always_2d=True)
        except (OSError, _soundfile().SoundFileError) as error:
            raise unreadable(path, error) from error
    return samples, rate


def _soundfile() -> ModuleType:
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: the package without its library
        raise ImportError(
            f'reading audio files needs soundfile ({error}): pip install "jaxspec-audio[audio]"'
        ) from error
    return soundfile


def _soxr() -> ModuleType:
    try:
        import soxr
    except ImportError as error:
        raise ImportError(
            f'changing the sample rate needs soxr ({error}): pip install "jaxspec-audio[audio]"'
        ) from error
    return soxr
