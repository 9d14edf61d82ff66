"""The samples of clips, decoded ahead by threads and handed out in order.

Threads are enough: libsndfile and soxr work outside of Python's lock.
"""

from __future__ import annotations

import os
import re
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from jaxspec.audio import _soxr, open_file, skip, unreadable
from jaxspec.extraction._inputs import Clip

__all__ = ["Decoded", "decode", "decoded", "header"]

_BLOCK = 2**18  # frames that are read at once where they have to be averaged
_SLACK = 0.1  # seconds that a file may end before the part that a manifest asks for
_UNKNOWN = 2**62  # frames of a stream whose header does not say how many there are
# Samples that are decoded before they are needed: 128 MiB.
_AHEAD = 2**25


class Decoded(NamedTuple):
    """What became of a clip: its samples, or why there are none.

    Attributes:
      samples: float32 ``(samples,)``.
      bytes: size of the file, ``None`` where it is not known.
      error: what is wrong with it; empty where nothing is.
    """

    samples: np.ndarray
    bytes: int | None
    error: str = ""


def header(clip: Clip) -> tuple[int, int] | None:
    """The number of samples that a clip says it has, and its rate; ``None`` if unreadable."""
    try:
        with open_file(clip.path) as file:
            rate, n = int(file.samplerate), int(file.frames)
    except ValueError:
        return None
    if n >= _UNKNOWN:
        return None
    n = max(n - round(clip.start * rate), 1)
    return (n if clip.duration is None else min(n, max(round(clip.duration * rate), 1))), rate


def decode(
    clip: Clip,
    sample_rate: int,
    *,
    resample: bool,
    admit: Callable[[int], None] = lambda size: None,
) -> Decoded:
    """The samples of a clip: the mean of its channels, at this rate.

    Args:
      clip: what to read.
      sample_rate: Hz.
      resample: whether a file of another rate is resampled, or refused.
      admit: called with the number of samples before they are decoded; may wait.
    """
    size = None
    try:
        size = os.stat(clip.path).st_size
        if not size:
            raise ValueError("the file is empty (0 bytes)")
        samples = _read(clip, sample_rate, resample, admit)
        if not np.isfinite(samples).all():
            bad = int(np.flatnonzero(~np.isfinite(samples))[0])
            raise ValueError(f"sample {bad} is {samples[bad]}")
    except OSError as error:
        return Decoded(np.empty(0, np.float32), size, f"cannot read it: {error.strerror or error}")
    except ValueError as error:
        text = str(error).replace(f"cannot read {clip.path}", "cannot read it")
        text = text.removeprefix(f"{clip.path} ").replace(str(clip.path), "the file")
        return Decoded(np.empty(0, np.float32), size, text)
    return Decoded(samples, size)


def _read(clip: Clip, sample_rate: int, resample: bool, admit: Callable[[int], None]) -> np.ndarray:
    import soundfile

    with open_file(clip.path) as file:
        rate, length = int(file.samplerate), int(file.frames)
        if rate != sample_rate and not resample:
            raise ValueError(
                f"it has {rate} Hz and the first file {sample_rate}: give the sample rate that all "
                f"are resampled to (--sample-rate)"
            )
        _refuse_cut(file, clip)
        if clip.start:
            skip(file, clip.path, clip.start)
        wanted = length - round(clip.start * rate)
        if clip.duration is not None:
            part = max(round(clip.duration * rate), 1)
            if part - wanted > _SLACK * rate:
                raise ValueError(
                    f"it ends at {length / rate:.2f} s, before the end of the part at "
                    f"{clip.start + part / rate:.2f} s"
                )
            wanted = min(part, wanted)
        admit(wanted if wanted < _UNKNOWN // 2 else 0)
        try:
            samples = _mono(file, wanted)
        except (OSError, soundfile.SoundFileError) as error:
            raise unreadable(clip.path, error) from error
        if len(samples) < wanted < _UNKNOWN // 2:
            raise ValueError(
                f"it is truncated: {len(samples) / rate:.2f} of {wanted / rate:.2f} s are there"
            )
    if rate != sample_rate:
        samples = _soxr().resample(samples, rate, sample_rate)
    if not len(samples):
        raise ValueError("it holds no samples")
    return samples


def _mono(file: Any, count: int) -> np.ndarray:
    """The mean of the channels of the next ``count`` frames, or of those that there are."""
    if file.channels == 1 and count < _UNKNOWN // 2:
        return file.read(out=np.empty(count, np.float32))
    parts = []
    while count > 0:
        block = file.read(min(count, _BLOCK), dtype="float32", always_2d=True)
        if not len(block):
            break
        # As mean(axis=1), whose inner loop over two numbers is slow.
        total = block[:, 0].copy()
        for channel in block.T[1:]:
            total += channel
        parts.append(np.divide(total, file.channels, out=total))
        count -= len(block)
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def _refuse_cut(file: Any, clip: Clip) -> None:
    """Refuse a file that is shorter than it says: libsndfile reads what is there and says nothing.

    What cannot be known: whether MP3 without a header of its length, or W64, was cut.
    """
    if file.format == "OGG":
        if not _ogg_ends(clip):
            raise ValueError("it is truncated: the last page of an Ogg stream is missing")
        return
    told = file.extra_info
    for stated, there in re.findall(
        r"^ *(?:data|SSND|Data Size) *: (\d+) \(should be (\d+)\)", told, flags=re.MULTILINE
    ):
        # The largest sizes are written by programs that did not know it yet.
        if int(there) < int(stated) < 2**31 - 2**16:
            raise ValueError(f"it is truncated: {there} of {stated} bytes of samples are there")
    for stated in re.findall(r"^ *Frames *: (\d+)", told, flags=re.MULTILINE):
        if file.frames < int(stated):
            raise ValueError(f"it is truncated: {file.frames} of {stated} samples are there")


def _ogg_ends(clip: Clip) -> bool:
    """Whether the last page is whole and says that it is the last one."""
    with clip.path.open("rb") as file:
        file.seek(max(file.seek(0, os.SEEK_END) - 2**17, 0))
        tail = file.read()
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + 27:
        return False
    table = tail[at + 27 : at + 27 + tail[at + 26]]
    return bool(tail[at + 5] & 4) and len(tail) >= at + 27 + tail[at + 26] + sum(table)


class _Room:
    """Bounds the samples that were decoded and not used yet; the clip that is due always fits."""

    def __init__(self, limit: int) -> None:
        self._limit, self._due, self._open = limit, 0, True
        self._sizes: dict[int, int] = {}
        self._changed = threading.Condition()

    def take(self, number: int, size: int) -> None:
        """Wait until there is room for the samples of a clip."""
        with self._changed:
            self._changed.wait_for(lambda: self._fits(number, size))
            self._sizes[number] = size

    def _fits(self, number: int, size: int) -> bool:
        used = sum(self._sizes.values())
        return used + size <= self._limit or number == self._due or not self._open

    def give(self) -> None:
        """The clip that was due is used, and the next one is due."""
        with self._changed:
            self._sizes.pop(self._due, None)
            self._due += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Let all in: nobody waits for them any more."""
        with self._changed:
            self._open = False
            self._changed.notify_all()


def decoded(
    clips: Iterable[Clip], sample_rate: int, *, resample: bool, workers: int
) -> Generator[Decoded, None, None]:
    """`decode` of every clip in order, by so many threads that work ahead."""
    room = _Room(_AHEAD)

    def work(number: int, clip: Clip) -> Decoded:
        admit = partial(room.take, number)
        return decode(clip, sample_rate, resample=resample, admit=admit)

    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        waiting: deque[Future[Decoded]] = deque()
        try:
            for number, clip in enumerate(clips):
                waiting.append(pool.submit(work, number, clip))
                if len(waiting) > 8 * workers:
                    yield waiting.popleft().result()
                    room.give()
            while waiting:
                yield waiting.popleft().result()
                room.give()
        finally:
            room.close()
            for future in waiting:
                future.cancel()
