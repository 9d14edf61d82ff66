"""Where live audio comes from: files, standard input, a microphone; read piece by piece."""

from __future__ import annotations

import math
import struct
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from jaxspec._checks import check_choice, check_number, check_positive_int
from jaxspec.audio import _soundfile, _soxr, open_file, skip, unreadable

__all__ = ["PCM", "Source", "open_source"]

MICROPHONE_RATE = 16000  # Hz, where nothing asks for another one

# Samples without a header, by the names of ffmpeg: how NumPy reads them, and full scale.
PCM = {
    "u8": ("u1", 2.0**7),
    "s8": ("i1", 2.0**7),
    "s16le": ("<i2", 2.0**15),
    "s16be": (">i2", 2.0**15),
    "s24le": ("<i4", 2.0**31),  # three bytes, read as the upper ones of four
    "s32le": ("<i4", 2.0**31),
    "f32le": ("<f4", 1.0),
    "f64le": ("<f8", 1.0),
}
# What arecord calls the same.
_ALSO = {
    "U8": "u8",
    "S8": "s8",
    "S16_LE": "s16le",
    "S16_BE": "s16be",
    "S24_3LE": "s24le",
    "S32_LE": "s32le",
    "FLOAT_LE": "f32le",
    "FLOAT64_LE": "f64le",
}
_WAV = {(1, 8): "u8", (1, 16): "s16le", (1, 24): "s24le", (1, 32): "s32le"}
_WAV |= {(3, 32): "f32le", (3, 64): "f64le"}
_ENDLESS = 0x7FF00000  # bytes from which the size in the header of a stream is a placeholder


class Source:
    """Audio that is read piece by piece: mono, float32, full scale at 1.

    Attributes:
      name: what it is, for people.
      rate: Hz of what `read` gives.
      live: whether it comes at its own pace, as from a microphone or a pipe.
    """

    def __init__(
        self,
        name: str,
        rate: int,
        pull: Callable[[int], np.ndarray],
        *,
        live: bool,
        close: Callable[[], object],
        sample_rate: int | None,
        duration: float | None,
    ) -> None:
        self.name, self.rate, self.live = name, rate, live
        self._pull, self._close = pull, close
        self._resampler: _Resampler | None = None
        if sample_rate is not None and sample_rate != rate:
            self._pull = self._resampler = _Resampler(pull, rate, sample_rate)
            self.rate = sample_rate
        self._left = math.inf if duration is None else max(round(duration * self.rate), 1)

    @property
    def held_back(self) -> float:
        """How many seconds of audio have been read and wait, for the filter that resamples."""
        return self._resampler.held_back if self._resampler else 0.0

    def read(self, n: int) -> np.ndarray:
        """The next ``n`` samples; fewer at the end, then none."""
        n = int(min(n, self._left))
        samples = self._pull(n) if n else np.zeros(0, np.float32)
        self._left = self._left - n if len(samples) == n else 0
        return samples

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *error: object) -> None:
        self._close()


def open_source(
    where: str | Path,
    *,
    sample_rate: int | None = None,
    pcm: str | None = None,
    pcm_rate: int | None = None,
    pcm_channels: int = 1,
    start: float = 0.0,
    duration: float | None = None,
    device: str | int | None = None,
) -> Source:
    """Open audio to be read piece by piece; several channels are averaged.

    Args:
      where: a file (WAV, FLAC, Ogg, MP3, …), ``"-"`` for standard input, which carries a WAV stream
        or, with ``pcm``, samples alone, or ``"mic"`` for a microphone (needs sounddevice).
      sample_rate: Hz to resample to (soxr); a microphone is opened at it.
      pcm: the format of samples without a header, in standard input or the file, in the words of
        ffmpeg (``"s16le"``) or arecord (``"S16_LE"``).
      pcm_rate: their rate in Hz, which must be given with ``pcm``.
      pcm_channels: their channels.
      start: seconds of a file to skip.
      duration: seconds to read, or ``None`` for all.
      device: of the microphone: a number or a part of a name that sounddevice knows.

    Raises:
      ImportError: without soundfile, soxr or sounddevice where it is needed.
      ValueError: for what cannot be read, or an option that is wrong or has no effect here.

    Example:
      >>> import pathlib, tempfile
      >>> from jaxspec import live
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = pathlib.Path(folder, "x.raw")
      ...     _ = path.write_bytes(bytes(1000))
      ...     with live.open_source(path, pcm="s16le", pcm_rate=8000) as source:
      ...         [len(source.read(320)) for _ in range(3)]
      [320, 180, 0]
    """
    if sample_rate is not None:
        sample_rate = check_positive_int("sample_rate", sample_rate)
    start = check_number("start", start, at_least=0)
    if duration is not None:
        duration = check_number("duration", duration, above=0)
    pcm_channels = check_positive_int("pcm_channels", pcm_channels)
    if pcm is not None:
        pcm = check_choice("pcm", _ALSO.get(pcm, pcm), tuple(PCM))
        if pcm_rate is None:
            raise ValueError(f"pcm_rate must be given with pcm={pcm}: such samples do not state it")
        pcm_rate = check_positive_int("pcm_rate", pcm_rate)
    elif pcm_rate is not None or pcm_channels != 1:
        raise ValueError("pcm_rate and pcm_channels have no effect without pcm")
    kind = str(where) if where in ("-", "mic") else "file"
    if start and (kind != "file" or pcm):
        raise ValueError(f"start must be 0 but for audio files, got start={start:g}")
    if device is not None and kind != "mic":
        raise ValueError(f"device has no effect but for mic, got device={device!r}")
    rest: Any = {"sample_rate": sample_rate, "duration": duration}
    if kind == "mic":
        if pcm:
            raise ValueError(f"pcm has no effect for mic, got pcm={pcm}")
        return _microphone(device, sample_rate or MICROPHONE_RATE, rest)
    if kind == "-" or pcm:
        stream, name = _stdin() if kind == "-" else _bytes_of(Path(where))
        layout = (pcm, pcm_rate, pcm_channels, math.inf) if pcm else _wav_header(stream, name)
        return _of_bytes(stream, name, layout, kind == "-", rest)
    return _audio_file(Path(where), start, rest)


def _audio_file(path: Path, start: float, rest: Any) -> Source:
    file = open_file(path)
    try:
        skip(file, path, start)
    except ValueError:
        file.close()
        raise

    def pull(n: int) -> np.ndarray:
        try:
            return _mono(file.read(n, dtype="float32", always_2d=True))
        except (OSError, _soundfile().SoundFileError) as error:
            raise unreadable(path, error) from error

    return Source(path.name, int(file.samplerate), pull, live=False, close=file.close, **rest)


def _mono(samples: np.ndarray) -> np.ndarray:
    """Float32 ``(samples,)`` of ``(samples, channels)``."""
    return np.ascontiguousarray(samples.mean(axis=1), dtype=np.float32)


class _Resampler:
    """Pulls at one rate, gives at another."""

    def __init__(self, pull: Callable[[int], np.ndarray], rate: int, new_rate: int) -> None:
        self._stream = _soxr().ResampleStream(rate, new_rate, 1)
        self._pull, self._rates = pull, (rate, new_rate)
        self._ready = np.zeros(0, np.float32)
        self._ended, self.held_back = False, 0.0

    def __call__(self, n: int) -> np.ndarray:
        rate, new_rate = self._rates
        while len(self._ready) < n and not self._ended:
            wanted = math.ceil((n - len(self._ready)) * rate / new_rate)
            block = self._pull(wanted)
            self._ended = len(block) < wanted
            more = self._stream.resample_chunk(block, last=self._ended)
            self._ready = np.concatenate([self._ready, more])
            self.held_back += len(block) / rate - len(more) / new_rate
        samples, self._ready = self._ready[:n], self._ready[n:]
        return samples


# Samples as bytes.


def _stdin() -> tuple[IO[bytes], str]:
    stream = sys.stdin.buffer
    if stream.isatty():
        raise ValueError("standard input is a terminal: pipe audio into it, or name a file")
    return stream, "standard input"


def _bytes_of(path: Path) -> tuple[IO[bytes], str]:
    try:
        return path.open("rb"), path.name
    except OSError as error:
        raise unreadable(path, error) from error


def _wav_header(stream: IO[bytes], name: str) -> tuple[str, int, int, float]:
    """Format, rate, channels and number of bytes of a WAV stream, which stands at its samples."""
    head = stream.read(12)
    if not head:
        raise ValueError(f"{name} holds no samples")
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        raise ValueError(
            f"{name} must be a WAV stream, or pcm and pcm_rate must say what its samples are, got "
            f"{head[:4]!r} at its start"
        )
    layout: tuple[str, int, int] | None = None
    while len(chunk := stream.read(8)) == 8:
        key, size = chunk[:4], struct.unpack("<I", chunk[4:])[0]
        if key == b"data":
            if layout is None:
                break
            return (*layout, math.inf if size == 0 or size >= _ENDLESS else size)
        body = stream.read(size + size % 2)
        if key == b"fmt " and len(body) >= 16:
            tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", body[:16])
            if tag == 0xFFFE and len(body) >= 26:
                tag = struct.unpack("<H", body[24:26])[0]
            if (tag, bits) not in _WAV or not channels or not rate:
                raise ValueError(
                    f"{name} must hold PCM or floating-point samples, got a WAV stream with format "
                    f"tag {tag}, {bits} bits, {channels} channels and {rate} Hz"
                )
            layout = (_WAV[tag, bits], rate, channels)
    raise ValueError(f"{name} is a WAV stream that ends within its header")


def _of_bytes(
    stream: IO[bytes], name: str, layout: tuple[Any, Any, int, float], live: bool, rest: Any
) -> Source:
    pcm, rate, channels, left = layout
    size = channels * (3 if pcm == "s24le" else np.dtype(PCM[pcm][0]).itemsize)

    def pull(n: int) -> np.ndarray:
        nonlocal left
        # Bytes come late or not at all, so that a size in the header is only a bound.
        data = stream.read(int(min(n * size, left)))
        left -= len(data)
        if len(data) % size:
            warnings.warn(
                f"{name} ended within a sample: {len(data) % size} of {size} bytes left out",
                stacklevel=2,
            )
        return _mono(decode(data[: len(data) // size * size], pcm).reshape(-1, channels))

    close = (lambda: None) if live else stream.close  # standard input is not ours to close
    return Source(name, rate, pull, live=live, close=close, **rest)


def decode(data: bytes, pcm: str) -> np.ndarray:
    """Samples of a format of `PCM` as float64, full scale at 1."""
    dtype, full = PCM[pcm]
    if pcm == "s24le":
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        data = wide.tobytes()
    samples = np.frombuffer(data, dtype).astype(np.float64)
    return (samples - full * (pcm == "u8")) / full


# Microphones.


def _microphone(device: str | int | None, rate: int, rest: Any) -> Source:
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: the package without PortAudio
        raise ImportError(
            f'a microphone needs sounddevice ({error}): pip install "jaxspec-audio[live]"'
        ) from error
    device = int(device) if isinstance(device, str) and device.isdigit() else device
    try:
        stream = sounddevice.InputStream(
            samplerate=rate, channels=1, dtype="float32", device=device
        )
        stream.start()
    except (sounddevice.PortAudioError, ValueError) as error:
        raise ValueError(f"cannot open the microphone at {rate} Hz: {error}") from error

    def pull(n: int) -> np.ndarray:
        samples, lost = stream.read(n)
        if lost:
            warnings.warn("the microphone was read too late: some sound is missing", stacklevel=2)
        return _mono(samples)

    return Source("microphone", rate, pull, live=True, close=stream.close, **rest)
