"""Front-ends of other models and toolkits for speech: Gemma, Phi-4, ESPnet, SpeechBrain, …."""

from __future__ import annotations

import numpy as np

from jaxspec.filterbanks import band_edges
from jaxspec.framing import fft_frequencies
from jaxspec.frontend import FrontEnd
from jaxspec.presets._registry import trained_at
from jaxspec.stage import Stage
from jaxspec.stages import (
    RFFT,
    STFT,
    DropFrames,
    Filterbank,
    Frame,
    FramePreEmphasis,
    Ln,
    Log10,
    MaskPadding,
    Normalize,
    Pad,
    PadToMultiple,
    Power,
    PowerToDb,
    Scale,
    Sqrt,
    Window,
)
from jaxspec.table import Table

__all__ = [
    "ecapa",
    "espnet_asr",
    "gemma3n",
    "gemma4",
    "inkling",
    "lasr",
    "lingvo",
    "phi4_multimodal",
    "speechbrain",
]


def _mel(n_fft: int, n_bands: int, f_min: float, f_max: float, *, domain: str) -> Filterbank:
    """Triangles of height 1 on the HTK scale, drawn over Hz or over mel."""
    return Filterbank(
        sample_rate=16000,
        n_fft=n_fft,
        n_bands=n_bands,
        f_min=f_min,
        f_max=f_max,
        scale="htk",
        domain=domain,
        norm=None,
    )


@trained_at(16000)
def espnet_asr() -> FrontEnd:
    """ESPnet's default log-mel for recognition: 80 bands every 8 ms.

    Input: 16 kHz in [-1, 1], any length.

    Output: ``(..., 1 + n // 128, 80)``.

    Source: espnet/espnet, ``espnet2/asr/frontend/default.py`` and ``espnet2/layers/log_mel.py``;
    equal to espnet 202511 (``DefaultFrontend``).

    Trap: models normalise with their own mean and deviation behind this (`Normalize`, or `Affine`
    with the numbers of a checkpoint), and some recipes set a window of 400 and a hop of 160.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.espnet_asr()(jnp.zeros(16000)).shape
      (126, 80)
    """
    bank = Filterbank(sample_rate=16000, n_fft=512, n_bands=80, f_max=8000)
    return FrontEnd(STFT(n_fft=512, hop_length=128), Power(), bank, Ln())


@trained_at(16000)
def gemma3n() -> FrontEnd:
    """Log-mel of Gemma 3n's audio encoder (USM): 128 bands of the magnitude.

    Input: 16 kHz in [-1, 1], at least 513 samples and at most 30 s (the original cuts there); zeros
    are added up to a multiple of 128.

    Output: ``(..., 1 + (128 * ceil(n / 128) - 513) // 160, 128)``.

    Source: huggingface/transformers, ``models/gemma3n``; equal to transformers 5.24.0
    (``Gemma3nAudioFeatureExtractor``). A checkpoint's mean and deviation per band, none by default,
    are an `Affine` behind this.

    Trap: magnitudes, not powers; pre-emphasis within each frame; frames of 512 count by the
    sample that follows them; the FFT has 1024.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.gemma3n()(jnp.zeros(16000)).shape
      (97, 128)
    """
    return FrontEnd(
        PadToMultiple(multiple=128),
        Frame(frame_length=512, hop_length=160, lookahead=1),
        FramePreEmphasis(coef=0.97),
        Window(win_length=512),
        RFFT(n_fft=1024),
        Power(exponent=1),
        _mel(1024, 128, 125, 7600, domain="hz"),
        Ln(amin=1e-5),
    )


@trained_at(16000)
def gemma4() -> FrontEnd:
    """Log-mel of Gemma 4's audio encoder: 128 bands of the magnitude, windows of 20 ms.

    Input: 16 kHz in [-1, 1], at least 129 samples and at most 30 s (the original cuts there); zeros
    are added up to a multiple of 128, and 160 in front.

    Output: ``(..., 1 + (128 * ceil(n / 128) - 161) // 160, 128)``; the frames that reach into the
    zeros at the end are 0.

    Source: huggingface/transformers, ``models/gemma4``; equal to transformers 5.24.0
    (``Gemma4AudioFeatureExtractor``). Embedding Gemma 2 has the same.

    Trap: unlike in `gemma3n` there is no pre-emphasis, 1e-3 is added, not clamped, and the bank
    spans 0 to 8000 Hz. Its lowest band holds no bin and is constant.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.gemma4()(jnp.zeros(16000)).shape
      (99, 128)
    """
    seen = FrontEnd(
        Pad(before=160),
        Frame(frame_length=320, hop_length=160, lookahead=1, short="empty"),
        Window(win_length=320),
        RFFT(n_fft=512),
        Power(exponent=1),
        _mel(512, 128, 0, 8000, domain="hz"),
        Ln(amin=1e-3, floor="add"),
    )
    return FrontEnd(MaskPadding(frontend=seen, multiple=128))


@trained_at(16000)
def inkling() -> FrontEnd:
    """Log-mel of Inkling: 80 bands of the magnitude, windows of 100 ms every 50 ms.

    Input: 16 kHz in [-1, 1], any length; 800 zeros are added in front, and at the end up to a
    multiple of 800.

    Output: ``(..., ceil(n / 800), 80)``.

    Source: huggingface/transformers, ``models/inkling``; equal to transformers 5.24.0
    (``InklingFeatureExtractor``) for single clips, where its mask leaves out nothing.

    Trap: the root is taken of the power of at least 1e-10, before the bank, and the floor of the
    logarithm is 1e-10 as well, far below.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.inkling()(jnp.zeros(16000)).shape
      (20, 80)
    """
    return FrontEnd(
        Pad(before=800),
        Frame(frame_length=1600, hop_length=800, edges="zeros"),
        Window(win_length=1600),
        RFFT(n_fft=1600),
        Power(),
        DropFrames(last=1),  # the one that begins in the last hop of the clip
        Sqrt(amin=1e-10),
        Filterbank(sample_rate=16000, n_fft=1600, n_bands=80, f_max=8000),
        Log10(),
    )


@trained_at(16000)
def lasr() -> FrontEnd:
    """Log-mel of LASR (MedASR): 128 bands of the power, drawn over mel.

    Input: 16 kHz in [-1, 1], at least 400 samples.

    Output: ``(..., 1 + (n - 400) // 160, 128)``.

    Source: huggingface/transformers, ``models/lasr``; equal to transformers 5.24.0
    (``LasrFeatureExtractor``), which computes in float64.

    Trap: the window is symmetric, frames are not centred, and triangles are straight over mel, not
    over Hz. The lowest band holds no bin and is constant.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.lasr()(jnp.zeros(16000)).shape
      (98, 128)
    """
    return FrontEnd(
        Frame(frame_length=400, hop_length=160),
        Window(win_length=400, periodic=False),
        RFFT(n_fft=512),
        Power(),
        _mel(512, 128, 125, 7500, domain="scale"),
        Ln(amin=1e-5),
    )


@trained_at(16000)
def lingvo() -> FrontEnd:
    """Log-mel of Lingvo's MelAsrFrontend: 80 bands of the magnitude on the 16-bit scale.

    Of Google's recognisers, and the ancestor of USM's.

    Input: 16 kHz in [-1, 1], at least 401 samples; the factor 32768 is a part of it.

    Output: ``(..., 1 + (n - 401) // 160, 80)``.

    Source: tensorflow/lingvo, ``lingvo/tasks/asr/frontend.py``; equal to a recipe of its calls on
    tf.signal of TensorFlow 2.21.0 (read, not run), without the noise of training, with mean 0,
    deviation 1 and no stacking. The numbers of a model are an `Affine` behind this.

    Trap: the floor 1 is for the 16-bit scale; frames have 401 samples, which pre-emphasis makes
    400; the FFT has 1024; magnitudes, not powers.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.lingvo()(jnp.zeros(16000)).shape
      (98, 80)
    """
    return FrontEnd(
        Scale(factor=32768),
        Frame(frame_length=401, hop_length=160),
        FramePreEmphasis(coef=0.97, first="drop"),
        Window(win_length=400),
        RFFT(n_fft=1024),
        Power(exponent=1),
        _mel(1024, 80, 125, 7600, domain="scale"),
        Ln(amin=1.0),
    )


@trained_at(16000)
def phi4_multimodal() -> FrontEnd:
    """Log-mel of Phi-4 Multimodal: 80 bands of the power on the 16-bit scale.

    Input: 16 kHz in [-1, 1], at least 400 samples; the factor 32768 is a part of it.

    Output: ``(..., 1 + (n - 400) // 160, 80)``.

    Source: huggingface/transformers, ``models/phi4_multimodal``; equal to transformers 5.24.0
    (``Phi4MultimodalFeatureExtractor``).

    Trap: nearly Kaldi's, but the bank ends at 7690 Hz and begins at 0, the floor is 1 on the 16-bit
    scale, the window is Hamming's (symmetric), and no mean is taken off the frames.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.phi4_multimodal()(jnp.zeros(16000)).shape
      (98, 80)
    """
    return FrontEnd(
        Scale(factor=32768),
        Frame(frame_length=400, hop_length=160),
        FramePreEmphasis(coef=0.97),
        Window(window="hamming", win_length=400, periodic=False),
        RFFT(n_fft=512),
        Power(),
        _mel(512, 80, 0, 7690, domain="scale"),
        Ln(amin=1.0),
    )


def _symmetric_triangles() -> Table:
    """As wide above the centre as below, where the neighbour is nearer: SpeechBrain's."""
    points = band_edges(80, f_min=0, f_max=8000, scale="htk")
    widths, centers = np.diff(points)[:-1], points[1:-1]
    bins = fft_frequencies(sample_rate=16000, n_fft=400)[:, None]
    return Table(np.maximum(0, 1 - np.abs(bins - centers) / widths))


def _speechbrain() -> list[Stage]:
    return [
        STFT(n_fft=400, hop_length=160, window="hamming", pad_mode="constant"),
        Power(),
        Filterbank(sample_rate=16000, n_fft=400, n_bands=80, matrix=_symmetric_triangles()),
        PowerToDb(top_db=80),
    ]


@trained_at(16000)
def speechbrain() -> FrontEnd:
    """SpeechBrain's Fbank with 80 bands, in decibels.

    Input: 16 kHz in [-1, 1], any length.

    Output: ``(..., 1 + n // 160, 80)``, at most 80 dB below the largest value of the clip.

    Source: speechbrain/speechbrain, ``speechbrain/lobes/features.py``; equal to speechbrain 1.1.2
    (``Fbank(n_mels=80)``).

    Trap: triangles are symmetric, as wide above their centre as below: those of HTK cost up to
    4.6 dB. The window is Hamming's, and the ends continue with zeros.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.speechbrain()(jnp.zeros(16000)).shape
      (101, 80)
    """
    return FrontEnd(*_speechbrain())


@trained_at(16000)
def ecapa() -> FrontEnd:
    """SpeechBrain's speaker embeddings by ECAPA-TDNN: `speechbrain` without its mean over time.

    Input: 16 kHz in [-1, 1], any length.

    Output: ``(..., 1 + n // 160, 80)``, dB.

    Source: speechbrain/speechbrain, ``recipes/VoxCeleb``; equal to speechbrain 1.1.2 (``Fbank`` and
    ``InputNormalization(norm_type="sentence", std_norm=False)``).

    Trap: only the mean is taken off, after the limit of 80 dB; the deviation stays. Otherwise those
    of `speechbrain`.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.ecapa()(jnp.zeros(16000)).shape
      (101, 80)
    """
    return FrontEnd(*_speechbrain(), Normalize(deviation=False))
