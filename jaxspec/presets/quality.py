"""Front-ends of models for keywords, voice activity, speakers and the quality of speech."""

from __future__ import annotations

import math

import numpy as np

from jaxspec import stages
from jaxspec._checks import check_choice
from jaxspec.frontend import FrontEnd
from jaxspec.presets._registry import trained_at
from jaxspec.presets.tagging import over_mel

__all__ = [
    "aecmos", "dnsmos_p808", "microfrontend", "nisqa", "openwakeword", "plcmos", "resemblyzer",
    "silero",
]  # fmt: skip


@trained_at(16000)
def resemblyzer(*, pad_mode: str = "constant") -> FrontEnd:
    """Resemblyzer's mel energies with 40 bands, without a logarithm.

    Input: 16 kHz in [-1, 1]; the package raises the volume and cuts pauses out first.

    Output: ``(..., 1 + n // 160, 40)``; the speaker encoder takes 160 frames at a time.

    Source: resemble-ai/Resemblyzer, ``resemblyzer/audio.py``; equal to Resemblyzer 0.1.4 with
    librosa 0.11.0.

    Trap: the encoder was trained with librosa before 0.9, which padded by reflection; frames at the
    ends are off by up to 3.5 of 21.

    Args:
      pad_mode: ``"constant"`` as with librosa >= 0.9, or ``"reflect"`` as before.
    """
    check_choice("pad_mode", pad_mode, ("constant", "reflect"))
    return FrontEnd(
        stages.STFT(n_fft=400, hop_length=160, pad_mode=pad_mode),
        stages.Power(),
        stages.Filterbank(sample_rate=16000, n_fft=400, n_bands=40),
    )


@trained_at(16000)
def openwakeword() -> FrontEnd:
    """OpenWakeWord's mel in dB with 32 bands.

    livekit-wakeword has the same network, but feeds it samples in [-1, 1]: with
    ``.replace("scale", factor=1)`` this is its front-end.

    Input: 16 kHz in [-1, 1]; nothing is padded, at least 512 samples.

    Output: ``(..., 1 + (n - 512) // 160, 32)``; the embedding takes 76 frames at a time.

    Source: dscripka/openWakeWord, ``openwakeword/utils.py``; equal to its recipe on librosa 0.11.0,
    and to float32 rounding to ``melspectrogram.onnx`` of openwakeword 0.5.1.

    Trap: the floor lies 80 dB below the loudest value of the call: a stream cut into other pieces
    gives other features where it is quiet.
    """
    return FrontEnd(
        stages.Scale(factor=32768),
        stages.STFT(n_fft=512, hop_length=160, win_length=400, center=False),
        stages.Power(),
        stages.Filterbank(sample_rate=16000, n_fft=512, n_bands=32, f_min=60, f_max=3800),
        stages.PowerToDb(top_db=80),
        stages.Affine(scale=1 / 10, offset=2),
    )


@trained_at(16000)
def microfrontend() -> FrontEnd:
    """TensorFlow's micro front-end in floats: a differentiable approximation, 40 bands.

    For microWakeWord and keyword models of TensorFlow Lite for Microcontrollers.

    Input: 16 kHz in [-1, 1], at least 480 samples. Models with a hop of 20 ms take
    ``.replace("frame", hop_length=320)``.

    Output: ``(..., 1 + (n - 480) // 160, 40)``, 0 to 26; a clip starts with a noise estimate of 0.

    Source: tensorflow/tflite-micro, ``tensorflow/lite/experimental/microfrontend/lib``, which
    computes in integers of 16 bits. Compared with pymicro-features 2.0.2 on a synthetic voice, 64
    to 76 % of the values are equal (to 0.02), and 82 to 92 % differ by less than 0.08. Values above
    8 differ by 0.045 in the median, 99 % of them by less than 0.46, all by less than 1.4. Small
    ones, of which the integers keep few bits or none (0 up to 5.2), differ by up to 6.6.

    Trap: train a model that is to run on the original with the original, or fine-tune it there.
    """
    middles = (np.arange(480) + 0.5) / 480
    return FrontEnd(
        stages.Scale(factor=32768),
        stages.Frame(frame_length=480, hop_length=160),
        stages.Window(win_length=480, window=0.5 - 0.5 * np.cos(2 * np.pi * middles)),
        stages.RFFT(n_fft=512),
        stages.Power(),
        over_mel(16000, 512, 40, 125, 7500),
        stages.Root(exponent=0.5),
        stages.PCAN(),
        stages.Affine(scale=512),
        stages.Ln(amin=1),
        stages.Affine(scale=64 * 10 / 256),
    )


@trained_at(16000)
def silero() -> FrontEnd:
    """The magnitude spectrum inside Silero VAD 5 and 6, of one chunk.

    Input: 16 kHz in [-1, 1], chunks ``(..., 576)``: 64 samples of the chunk before, then 512. A
    stream is cut by ``jaxspec.frame(jaxspec.pad(x, before=64, after=0, pad_mode="constant"),
    frame_length=576, hop_length=512)``: the first chunk has zeros before it.

    Output: ``(..., 4, 129)``.

    Source: silero-vad (its graph); equal to its recipe on librosa 0.11.0, and to float32 rounding
    to ``silero_vad_16k_op15.onnx`` of silero-vad 6.2.3.

    Trap: a chunk is mirrored at its right end alone.
    """
    return FrontEnd(
        stages.Pad(after=64, pad_mode="reflect"),
        stages.STFT(n_fft=256, hop_length=128, center=False),
        stages.Power(exponent=1),
    )


def _below_loudest(n_fft: int, hop_length: int, n_bands: int) -> FrontEnd:
    """DB below the loudest value of the clip, 80 of them scaled to [-1, 1]."""
    return FrontEnd(
        stages.STFT(n_fft=n_fft, hop_length=hop_length, pad_mode="constant"),
        stages.Power(),
        stages.Filterbank(sample_rate=16000, n_fft=n_fft, n_bands=n_bands),
        stages.PowerToDb(ref="max", top_db=80),
        stages.Affine(scale=1 / 40, offset=1),
    )


@trained_at(16000)
def dnsmos_p808() -> FrontEnd:
    """DNSMOS P.808's mel in dB with 120 bands, scaled to [-1, 1].

    Input: 16 kHz in [-1, 1]; callers repeat a shorter clip to 9.01 s and take 144000 samples.

    Output: ``(..., 1 + (n - 1) // 160, 120)``: 900 frames of 144000 samples.

    Source: microsoft/DNS-Challenge, ``DNSMOS/dnsmos_local.py``; equal to speechmos 0.0.1.1.

    Trap: the FFT has 321 samples; with 320, values are off by up to 1.1 of 2 (0.06 on average).
    """
    return _below_loudest(321, 160, 120)


@trained_at(16000)
def aecmos() -> FrontEnd:
    """AECMOS's mel in dB with 160 bands at 16 kHz, scaled to [-1, 1].

    Input: 16 kHz in [-1, 1]: the far end, the microphone and the output each by itself.

    Output: ``(..., 1 + (n - 1) // 256, 160)``; the marker frames are the caller's.

    Source: microsoft/AEC-Challenge; equal to speechmos 0.0.1.1 (its model for 16 kHz).

    Trap: the FFT has 513 samples.
    """
    return _below_loudest(513, 256, 160)


@trained_at(16000)
def plcmos() -> FrontEnd:
    """PLCMOS's logarithmic power spectrum with 257 bins.

    Input: 16 kHz in [-1, 1].

    Output: ``(..., ceil((n + 256) / 256), 257)``.

    Source: microsoft/PLC-Challenge; equal to speechmos 0.0.1.1 (PLCMOS v2).

    Trap: there is no floor: exact zeros, which mark lost packets, lie 120 dB below the smallest
    other value of the clip.
    """
    return FrontEnd(
        stages.Pad(before=256),
        stages.Frame(frame_length=512, hop_length=256, edges="zeros"),
        stages.Window(win_length=512, window="hamming"),
        stages.RFFT(n_fft=512),
        stages.Power(),
        stages.LnFromMin(span=12 * math.log(10), silent=-8 * math.log(10)),
        stages.Affine(scale=1 / 20),
    )


@trained_at(48000)
def nisqa() -> FrontEnd:
    """NISQA's mel in dB with 48 bands up to 20 kHz.

    Input: 48 kHz in [-1, 1].

    Output: ``(..., 1 + n // 480, 48)``; the model takes segments of 15 frames.

    Source: gabrielmittag/NISQA, ``nisqa/NISQA_lib.py``; equal to nisqa 2.0.post2.

    Trap: windows of 20 ms in an FFT of 4096 samples, magnitudes, and ``top_db`` over the whole
    clip.
    """
    return FrontEnd(
        stages.STFT(n_fft=4096, hop_length=480, win_length=960),
        stages.Power(exponent=1),
        stages.Filterbank(sample_rate=48000, n_fft=4096, n_bands=48, f_max=20000),
        stages.AmplitudeToDb(amin=1e-4, top_db=80),
    )
