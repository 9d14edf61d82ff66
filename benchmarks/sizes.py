"""The sizes of the comparison, their clips, and the values that every peer should give."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

FLOOR = 1e-10


class Size(NamedTuple):
    """So many clips of so many seconds, and the settings of their log-mel spectrogram."""

    clips: int
    seconds: int
    sample_rate: int
    n_fft: int
    hop_length: int
    n_mels: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.clips, self.seconds * self.sample_rate

    @property
    def audio_seconds(self) -> int:
        return self.clips * self.seconds

    def __str__(self) -> str:
        length = "1 h" if self.seconds == 3600 else f"{self.seconds} s"
        rate = f"{self.sample_rate / 1000:g} kHz"
        settings = f"{self.n_fft}/{self.hop_length}/{self.n_mels}"
        return f"{self.clips} × {length} at {rate}, {settings}"


SIZES = {
    "first": Size(16, 10, 16000, 400, 160, 80),
    "short": Size(64, 1, 16000, 400, 160, 80),
    "hour": Size(1, 3600, 16000, 400, 160, 80),
    "music": Size(8, 10, 44100, 2048, 512, 128),
    "speech": Size(8, 10, 22050, 1024, 256, 80),
}


def clips(size: Size, seed: int = 0) -> np.ndarray:
    """Notes that glide and fade over faint noise; a long clip repeats its first 10 s."""
    rng = np.random.default_rng(seed)
    seconds = min(size.seconds, 10)
    t = np.arange(seconds * size.sample_rate) / size.sample_rate
    pitch = rng.uniform(80, 400, (size.clips, 1)) * (1 + 0.3 * np.sin(2 * np.pi * 0.3 * t))
    phase = 2 * np.pi * np.cumsum(pitch, axis=1) / size.sample_rate
    voice = sum(np.sin(k * phase) / k for k in range(1, 20)) * (0.5 + 0.5 * np.sin(2 * np.pi * t))
    x = (0.1 * voice + 1e-3 * rng.standard_normal(voice.shape)).astype(np.float32)
    return np.tile(x, (1, size.seconds // seconds))


def mel_bank(size: Size, dtype: type = np.float32) -> np.ndarray:
    """librosa's mel bank, ``(bands, bins)``."""
    import librosa

    return librosa.filters.mel(
        sr=size.sample_rate, n_fft=size.n_fft, n_mels=size.n_mels, dtype=dtype
    )


def reference(size: Size) -> np.ndarray:
    """librosa in float64, ``(clips, frames, bands)``.

    The clips are padded here, because librosa mirrors the end of some clips about another sample
    than NumPy does (docs/conventions.md).
    """
    import librosa

    half = size.n_fft // 2
    mel = librosa.feature.melspectrogram(
        y=np.pad(clips(size).astype(np.float64), ((0, 0), (half, half)), mode="reflect"),
        sr=size.sample_rate,
        n_fft=size.n_fft,
        hop_length=size.hop_length,
        n_mels=size.n_mels,
        center=False,
        dtype=np.float64,
    )
    return np.log(np.maximum(mel, FLOOR)).swapaxes(-1, -2)


def largest_error(features: np.ndarray, truth: np.ndarray) -> float:
    """The largest difference over the bands within 80 dB of the loudest, in natural-log units."""
    heard = truth > truth.max() - np.log(10) * 8
    return float(np.abs(features - truth)[heard].max())
