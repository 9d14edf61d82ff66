"""Front-ends of Whisper and of the speech models that scale their log-mels as it does."""

from __future__ import annotations

from jaxspec.frontend import FrontEnd
from jaxspec.presets._registry import trained_at
from jaxspec.stage import Stage
from jaxspec.stages import (
    STFT,
    Affine,
    Clip,
    Deltas,
    DropFrames,
    Filterbank,
    FitLength,
    FloorFromMax,
    Log10,
    PadAt,
    Power,
    Stack,
    WholeFrames,
)

__all__ = ["granite_speech", "granite_speech5", "voxtral_realtime", "whisper_80", "whisper_128"]


def _log_mel(n_bands: int, n_samples: int | None) -> list[Stage]:
    """Decadic logarithms of all frames but the last."""
    return [
        *([] if n_samples is None else [FitLength(n_samples=n_samples)]),
        STFT(n_fft=400, hop_length=160),
        Power(),
        DropFrames(last=1),
        Filterbank(sample_rate=16000, n_fft=400, n_bands=n_bands, f_max=8000),
        Log10(),
    ]


def _htk_log_mel() -> list[Stage]:
    """The same of all frames, with triangles on the HTK scale."""
    bank = Filterbank(sample_rate=16000, n_fft=512, n_bands=80, f_max=8000, scale="htk", norm=None)
    return [STFT(n_fft=512, win_length=400, hop_length=160), Power(), bank, Log10()]


def _from_max() -> list[Stage]:
    """8 decades below the maximum of the clip are kept, then ``(y + 4) / 4``."""
    return [FloorFromMax(span=8), Affine(scale=0.25, offset=1)]


@trained_at(16000)
def whisper_80(*, n_samples: int | None = 480000) -> FrontEnd:
    """Whisper's log-mel with 80 bands: tiny to large-v2.

    Input: 16 kHz in [-1, 1]; cut, or continued with zeros, to ``n_samples`` (30 s).

    Output: ``(..., 3000, 80)``; in general ``n_samples // 160`` frames.

    Source: openai/whisper, ``whisper/audio.py``; equal to openai-whisper 20250625 and to
    transformers 5.24.0 (``WhisperFeatureExtractor``).

    Trap: the last STFT frame is dropped before the maximum is taken, of each clip by itself. Values
    span 2: a symmetric Hann window costs up to 0.14, zeros instead of the mirror image at the ends
    0.36, an FFT of 512 1.2, torchaudio's default triangles 2.1 (0.4 on average).

    Args:
      n_samples: ``None``: the clip as it is.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.whisper_80()(jnp.zeros(16000)).shape
      (3000, 80)
    """
    return FrontEnd(*_log_mel(80, n_samples), *_from_max())


@trained_at(16000)
def whisper_128(*, n_samples: int | None = 480000) -> FrontEnd:
    """Whisper's log-mel with 128 bands: large-v3 and turbo, Qwen-Audio, Qwen-Omni, Voxtral.

    Used by Whisper large-v3 and turbo, Qwen2-Audio, Qwen2.5-Omni, Qwen3-Omni, Qwen3-ASR, Voxtral,
    Audio Flamingo 3 and GLM-ASR, each with a chunk length of its own (``n_samples``).

    Input: 16 kHz in [-1, 1]; cut, or continued with zeros, to ``n_samples`` (30 s).

    Output: ``(..., 3000, 128)``; in general ``n_samples // 160`` frames.

    Source: openai/whisper, ``whisper/audio.py``; equal to openai-whisper 20250625 and to
    transformers 5.24.0 (``WhisperFeatureExtractor``).

    Trap: those of `whisper_80`. The processor of a model may pad to 30 s or leave the clip as it
    is: away from its end the values are the same, but not the number of frames.

    Args:
      n_samples: ``None``: the clip as it is.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.whisper_128(n_samples=None)(jnp.zeros(16000)).shape
      (100, 128)
    """
    return FrontEnd(*_log_mel(128, n_samples), *_from_max())


@trained_at(16000)
def voxtral_realtime() -> FrontEnd:
    """Log-mel of Voxtral Realtime: Whisper's with a fixed maximum, for streams.

    Input: 16 kHz in [-1, 1], any length, no padding to 30 s.

    Output: ``(..., n // 160, 128)``.

    Source: huggingface/transformers, ``models/voxtral_realtime``; equal to transformers 5.24.0
    (``VoxtralRealtimeFeatureExtractor``).

    Trap: the maximum is the constant 1.5, not that of the clip as in `whisper_128`: values are at
    least -0.625 everywhere, and louder sounds than that maximum are not cut.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.voxtral_realtime()(jnp.zeros(16000)).min()
      Array(-0.625, dtype=float32)
    """
    return FrontEnd(*_log_mel(128, None), Clip(low=1.5 - 8), Affine(scale=0.25, offset=1))


@trained_at(16000)
def granite_speech() -> FrontEnd:
    """Log-mel of Granite Speech, two frames of 80 HTK bands side by side.

    Input: 16 kHz in [-1, 1], any length.

    Output: ``(..., (1 + n // 160) // 2, 160)``: the 80 bands of an even frame, then of the next.

    Source: huggingface/transformers, ``models/granite_speech``; equal to transformers 5.24.0
    (``GraniteSpeechFeatureExtractor`` on torchaudio 2.11.0). Granite Speech Plus has the same.

    Trap: looks like Whisper's, but the triangles are HTK's without a norm, the window lies in an
    FFT of 512, and the last frame is dropped only when one is left over, after the maximum.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.granite_speech()(jnp.zeros(16000)).shape
      (50, 160)
    """
    return FrontEnd(*_htk_log_mel(), *_from_max(), Stack(n=2))


@trained_at(16000)
def granite_speech5() -> FrontEnd:
    """Log-mel of Granite Speech 5 with deltas, two frames of 80 + 80 channels side by side.

    Input: 16 kHz in [-1, 1], any length.

    Output: ``(..., ceil(n // 160 / 2), 320)``: bands and deltas of an even frame, then of the next.

    Source: huggingface/transformers, ``models/granite_speech5``; equal to transformers 5.24.0
    (``GraniteSpeech5FeatureExtractor`` on torchaudio 2.11.0).

    Trap: unlike in `granite_speech` a frame left over is dropped before the maximum and the deltas;
    and clips of ``320 k + 160`` samples are lengthened by one zero before they are mirrored.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.granite_speech5()(jnp.zeros(16000)).shape
      (50, 320)
    """
    return FrontEnd(
        PadAt(multiple=320, remainder=160, after=1),
        *_htk_log_mel(),
        WholeFrames(multiple=2),
        *_from_max(),
        Deltas(width=3, order=1),
        Stack(n=2),
    )
