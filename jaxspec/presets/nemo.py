"""Front-ends of NVIDIA NeMo: Parakeet, Canary, Nemotron, QuartzNet, MarbleNet and their kin."""

from __future__ import annotations

from jaxspec.frontend import FrontEnd
from jaxspec.presets._registry import trained_at
from jaxspec.stage import Stage
from jaxspec.stages import (
    STFT,
    Filterbank,
    Ln,
    Normalize,
    PadFrames,
    Power,
    PreEmphasis,
    ZeroFrames,
)

__all__ = [
    "cohere_asr",
    "marblenet",
    "nemotron_80",
    "nemotron_128",
    "parakeet_80",
    "parakeet_128",
    "quartznet",
]


def _log_mel(n_bands: int, *, win_length: int = 400) -> list[Stage]:
    """Natural logarithms of ``1 + n // 160`` frames."""
    return [
        PreEmphasis(coef=0.97),
        STFT(
            n_fft=512,
            win_length=win_length,
            hop_length=160,
            periodic=False,
            pad_mode="constant",
        ),
        Power(),
        Filterbank(sample_rate=16000, n_fft=512, n_bands=n_bands, f_max=8000),
        Ln(amin=2.0**-24, floor="add"),
    ]


def _normalize() -> Normalize:
    """Statistics of the ``n // 160`` frames that count: all but the last."""
    return Normalize(ddof=1, eps=1e-5, leave_out=1)


@trained_at(16000)
def parakeet_80() -> FrontEnd:
    """NeMo's normalised log-mel with 80 bands: Parakeet, TitaNet.

    Input: 16 kHz in [-1, 1], at least 320 samples.

    Output: ``(..., 1 + n // 160, 80)``, the last frame 0. (NeMo itself puts frames last.)

    Source: NVIDIA/NeMo, ``nemo/collections/asr/parts/preprocessing/features.py``; equal to
    nemo_toolkit 3.0.0 (``FilterbankFeatures``, dither off as in inference) and to transformers
    5.24.0 (``ParakeetFeatureExtractor``).

    Trap: values span about 7. Mirror images instead of zeros at the ends cost up to 1.8, a floor
    that clamps 0.18, a periodic window 0.056, statistics over all frames instead of ``n // 160``
    0.018, a deviation with ddof=0 0.006. Pre-emphasis is over the clip, not in each frame.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.parakeet_80()(jnp.zeros(16000)).shape
      (101, 80)
    """
    return FrontEnd(*_log_mel(80), _normalize(), ZeroFrames(last=1))


@trained_at(16000)
def parakeet_128() -> FrontEnd:
    """NeMo's normalised log-mel with 128 bands: Parakeet, Canary.

    Input: 16 kHz in [-1, 1], at least 320 samples.

    Output: ``(..., 1 + n // 160, 128)``, the last frame 0. (NeMo itself puts frames last.)

    Source: NVIDIA/NeMo, ``nemo/collections/asr/parts/preprocessing/features.py``; equal to
    nemo_toolkit 3.0.0 (``FilterbankFeatures``, dither off as in inference) and to transformers
    5.24.0 (``ParakeetFeatureExtractor``).

    Trap: those of `parakeet_80`; which of the two a checkpoint needs is in its configuration.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.parakeet_128()(jnp.zeros(16000)).shape
      (101, 128)
    """
    return FrontEnd(*_log_mel(128), _normalize(), ZeroFrames(last=1))


@trained_at(16000)
def cohere_asr() -> FrontEnd:
    """Normalised log-mel of Cohere's speech recognition: NeMo's with 128 bands.

    Input: 16 kHz in [-1, 1], at least 320 samples and at most 30 s: longer clips the original first
    divides in quiet places.

    Output: ``(..., 1 + n // 160, 128)``, the last frame 0.

    Source: huggingface/transformers, ``models/cohere_asr``; equal to transformers 5.24.0
    (``CohereAsrFeatureExtractor``) with its dither off.

    Trap: as shipped the original adds noise of 1e-5, from a seed that is the number of samples; it
    is no part of this front-end. Otherwise the traps of `parakeet_80`.

    Example:
      >>> import jaxspec
      >>> jaxspec.presets.cohere_asr() == jaxspec.presets.parakeet_128()
      True
    """
    return parakeet_128()


@trained_at(16000)
def quartznet() -> FrontEnd:
    """NeMo's normalised log-mel with 64 bands and windows of 20 ms: QuartzNet.

    Input: 16 kHz in [-1, 1], at least 320 samples.

    Output: ``(..., 16 * ceil((1 + n // 160) / 16), 64)``; frames from ``n // 160`` on are 0.

    Source: NVIDIA/NeMo, ``examples/asr/conf/quartznet/quartznet_15x5.yaml``; equal to
    nemo_toolkit 3.0.0 (``FilterbankFeatures``, dither off as in inference) with those settings.

    Trap: the window has 320 samples, not 400 as in NeMo's other models, and frames of zeros fill up
    a multiple of 16. Otherwise the traps of `parakeet_80`.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.quartznet()(jnp.zeros(16000)).shape
      (112, 64)
    """
    return FrontEnd(
        *_log_mel(64, win_length=320), _normalize(), ZeroFrames(last=1), PadFrames(multiple=16)
    )


@trained_at(16000)
def marblenet() -> FrontEnd:
    """NeMo's log-mel with 80 bands, not normalised: voice activity by MarbleNet.

    Input: 16 kHz in [-1, 1], any length.

    Output: ``(..., 2 * ceil((1 + n // 160) / 2), 80)``; frames from ``n // 160`` on are 0.

    Source: NVIDIA/NeMo, ``examples/asr/conf/marblenet/marblenet_3x2x64_20ms.yaml``; equal to
    nemo_toolkit 3.0.0 (``FilterbankFeatures``, dither off as in inference) with those settings.

    Trap: no normalisation, against most of NeMo. Exports of the model may hold a front-end of their
    own (one on PyPI takes the clip's mean off and has a periodic window and a floor of 1e-7).

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.marblenet()(jnp.zeros(16000)).shape
      (102, 80)
    """
    return FrontEnd(*_log_mel(80), ZeroFrames(last=1), PadFrames(multiple=2))


@trained_at(16000)
def nemotron_80() -> FrontEnd:
    """NeMo's log-mel with 80 bands, not normalised: streaming Nemotron models.

    Input: 16 kHz in [-1, 1], any length.

    Output: ``(..., 1 + n // 160, 80)``, the last frame 0.

    Source: huggingface/transformers, ``models/nemotron_asr_streaming``; equal to transformers
    5.24.0 (``NemotronAsrStreamingFeatureExtractor``) for whole clips.

    Trap: not normalised, as is right for streams, but the last frame is still set to 0. Some
    checkpoints round window and bank to bfloat16 (``mel_filters_dtype``), which this does not do.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.nemotron_80()(jnp.zeros(16000)).shape
      (101, 80)
    """
    return FrontEnd(*_log_mel(80), ZeroFrames(last=1))


@trained_at(16000)
def nemotron_128() -> FrontEnd:
    """NeMo's log-mel with 128 bands, not normalised: streaming Nemotron models.

    Input: 16 kHz in [-1, 1], any length.

    Output: ``(..., 1 + n // 160, 128)``, the last frame 0.

    Source: huggingface/transformers, ``models/nemotron_asr_streaming``; equal to transformers
    5.24.0 (``NemotronAsrStreamingFeatureExtractor``) for whole clips.

    Trap: those of `nemotron_80`.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.nemotron_128()(jnp.zeros(16000)).shape
      (101, 128)
    """
    return FrontEnd(*_log_mel(128), ZeroFrames(last=1))
