"""Kaldi's filterbank and MFCC features, and the models that are fed with them.

All but wav2letter cut frames of 25 ms every 10 ms and take, frame by frame, the mean off, then
pre-emphasis, a symmetric window, the power, Kaldi's mel bank and a logarithm. There is no dither.
"""

from __future__ import annotations

from jaxspec._checks import check_choice, check_number, check_positive_int
from jaxspec.frontend import FrontEnd
from jaxspec.presets._kaldi_steps import SAMPLES_16_BIT, fbank, fixed_frames, low_frame_rate, pairs
from jaxspec.presets._registry import trained_at
from jaxspec.stages import (
    DCT,
    RFFT,
    Affine,
    Filterbank,
    Frame,
    FramePreEmphasis,
    Lifter,
    Ln,
    Normalize,
    Pad,
    PadToMultiple,
    Power,
    RemoveFrameMean,
    RemoveMean,
    Scale,
    Window,
)

__all__ = [
    "ast",
    "audiomae",
    "beats",
    "eat",
    "fun_asr_nano",
    "funasr",
    "kaldi_fbank",
    "kaldi_mfcc",
    "neucodec",
    "seamless_m4t",
    "speech_to_text",
    "w2v_bert",
    "wav2letter",
    "wespeaker",
    "xcodec2",
]


@trained_at(16000)
def kaldi_fbank(
    *,
    n_mels: int = 80,
    f_min: float = 20.0,
    f_max: float | None = None,
    sample_rate: float = 16000,
    window: str = "povey",
    snip_edges: bool = True,
    scale: float = 32768.0,
) -> FrontEnd:
    """Kaldi's log-mel filterbank features.

    Icefall and sherpa, WeNet and many speaker models are fed with them.

    Input: 16 kHz (or ``sample_rate``) in [-1, 1).

    Output: ``(..., 1 + (n - 400) // 160, 80)``, no frames for a clip that holds none; without
    ``snip_edges`` ``(n + 80) // 160`` frames. Digital silence is at ln(2^-23) = -15.942385.

    Source: kaldi-asr/kaldi, ``src/feat``, with dither 0; equal to torchaudio 2.11.0
    (``compliance.kaldi.fbank``) in float64 and to kaldi-native-fbank 1.23.0.

    Trap: the scale of 16-bit samples cannot be made good for later, for the floor bites (1.5 off at
    most). A Hann window costs up to 6.4, pre-emphasis over the whole clip up to 6.7.

    Args:
      n_mels: number of bands (``--num-mel-bins``, there 23).
      f_min, f_max: Hz of the lowest and highest edge; ``f_max=None``: half the sample rate.
      sample_rate: Hz, at least 100. Frames have 25 ms every 10 ms, rounded down to whole samples,
        and the FFT the next power of two.
      window: ``"povey"``, ``"hamming"``, ``"hann"``, ``"blackman"`` or ``"rectangular"``.
      snip_edges: whether frames lie whole in the clip, or else around the middle of every hop,
        continued by the mirror image.
      scale: what the waveform is multiplied by, above 0: 1 if it is on the scale of 16-bit samples
        already (and for models that were trained on [-1, 1)). It is never guessed.
    """
    return FrontEnd(
        *fbank(
            n_mels=n_mels,
            f_min=f_min,
            f_max=f_max,
            sample_rate=sample_rate,
            window=window,
            snip_edges=snip_edges,
            scale=scale,
            short="empty",
        )
    )


@trained_at(16000)
def kaldi_mfcc(
    *,
    n_mels: int = 23,
    n_mfcc: int = 13,
    lifter: float = 22.0,
    f_min: float = 20.0,
    f_max: float | None = None,
    sample_rate: float = 16000,
    window: str = "povey",
    snip_edges: bool = True,
    scale: float = 32768.0,
) -> FrontEnd:
    """Kaldi's mel-frequency cepstral coefficients, for its recipes and forced aligners.

    Input: 16 kHz (or ``sample_rate``) in [-1, 1).

    Output: ``(..., 1 + (n - 400) // 160, 13)``, frames as of ``kaldi_fbank``; the first
    coefficient is that of the cosine transform, as with ``--use-energy=false``.

    Source: kaldi-asr/kaldi, ``src/feat``, with dither 0; equal to torchaudio 2.11.0
    (``compliance.kaldi.mfcc``) in float64 and to kaldi-native-fbank 1.23.0.

    Trap: Kaldi's own default puts the energy in the place of the first coefficient.

    Args:
      n_mels: number of bands.
      n_mfcc: number of coefficients, at most ``n_mels``.
      lifter: of the coefficients; 0 for none.
      f_min, f_max, sample_rate, window, snip_edges, scale: as of ``kaldi_fbank``.
    """
    stages = fbank(
        n_mels=n_mels,
        f_min=f_min,
        f_max=f_max,
        sample_rate=sample_rate,
        window=window,
        snip_edges=snip_edges,
        scale=scale,
        short="empty",
    )
    n_mfcc = check_positive_int("n_mfcc", n_mfcc)
    check_number("n_mfcc", n_mfcc, at_most=n_mels, because=f"n_mels={n_mels}")
    lifter = check_number("lifter", lifter, at_least=0)
    return FrontEnd(*stages, DCT(n_out=n_mfcc), *([Lifter(lifter=lifter)] if lifter else []))


@trained_at(16000)
def wav2letter(
    *, n_mels: int = 80, power: float = 1.0, remove_dc: bool = False, normalize: bool = False
) -> FrontEnd:
    """wav2letter's and Flashlight's log-mel of the magnitude (MFSC), floored at 1.

    Input: 16 kHz in [-1, 1).

    Output: ``(..., 1 + (n - 400) // 160, 80)``.

    Source: flashlight/flashlight, ``flashlight/pkg/speech/audio/feature/Mfsc.cpp`` and its callers,
    read, not run; values of a recipe on torch 2.13.0.

    Trap: the defaults of the library (23 bands, ``power=2.0``, ``remove_dc=True``) are not those
    of the programs that train and run models, which also normalise.

    Args:
      n_mels: number of bands; 40 in older recipes.
      power: 1.0, the magnitude, or 2.0.
      remove_dc: whether to take the mean of every frame off.
      normalize: whether the clip gets mean 0 and deviation 1 over all frames and bands together,
        as networks are fed.
    """
    power = check_choice("power", check_number("power", power), (1.0, 2.0))
    return FrontEnd(
        Scale(factor=SAMPLES_16_BIT),
        Frame(frame_length=400, hop_length=160),
        *([RemoveFrameMean()] if remove_dc else []),
        FramePreEmphasis(coef=0.97),
        Window(window="hamming", win_length=400, periodic=False),
        RFFT(n_fft=512),
        Power(exponent=power),
        Filterbank(
            sample_rate=16000,
            n_fft=512,
            n_bands=check_positive_int("n_mels", n_mels),
            scale="htk",
            norm=None,
        ),
        Ln(amin=1.0),
        *([Normalize(over="clip", eps=0)] if normalize else []),
    )


@trained_at(16000)
def seamless_m4t() -> FrontEnd:
    """SeamlessM4T's normalised Kaldi log-mel, two frames side by side: v1 and v2.

    Input: 16 kHz in [-1, 1).

    Output: ``(..., ceil(T / 2), 160)`` of ``T = 1 + (n - 400) // 160`` frames.

    Source: huggingface/transformers, ``models/seamless_m4t``; equal to transformers 5.24.0
    (``SeamlessM4TFeatureExtractor``).

    Trap: the variance is the unbiased one, and a missing second frame is 0 after normalising;
    w2v-BERT 2.0 has 1 there.
    """
    return pairs(pad_value=0.0)


@trained_at(16000)
def w2v_bert() -> FrontEnd:
    """w2v-BERT 2.0's normalised Kaldi log-mel, two frames side by side.

    Input: 16 kHz in [-1, 1).

    Output: ``(..., ceil(T / 2), 160)`` of ``T = 1 + (n - 400) // 160`` frames.

    Source: huggingface/transformers, ``models/seamless_m4t``; equal to transformers 5.24.0
    (``SeamlessM4TFeatureExtractor`` with ``padding_value=1``, as its checkpoint has it).

    Trap: a missing second frame is 1 after normalising; the default of the extractor is 0.
    """
    return pairs(pad_value=1.0)


@trained_at(16000)
def neucodec() -> FrontEnd:
    """NeuCodec's semantic input (NeuTTS): that of w2v-BERT 2.0, of whole hops of 20 ms.

    Input: 16 kHz in [-1, 1), lengthened by one zero and then to a multiple of 320 samples.

    Output: ``(..., n // 320, 160)``.

    Source: huggingface/transformers, ``models/neucodec``; equal to transformers 5.24.0
    (``NeuCodecFeatureExtractor``).

    Trap: a clip of whole hops becomes one hop longer, too.
    """
    return pairs(Pad(after=1), PadToMultiple(multiple=320), pad_value=1.0)


@trained_at(16000)
def xcodec2() -> FrontEnd:
    """X-Codec 2's semantic input (Llasa): NeuCodec's, with 10 ms of zeros at both ends.

    Input: 16 kHz in [-1, 1), lengthened as for ``neucodec``, then by 160 zeros at both ends.

    Output: ``(..., n // 320 + 1, 160)``.

    Source: huggingface/transformers, ``models/xcodec2``; equal to transformers 5.24.0
    (``Xcodec2FeatureExtractor``).

    Trap: the zeros at both ends come after the padding to whole hops.
    """
    whole_hops = (Pad(after=1), PadToMultiple(multiple=320))
    return pairs(*whole_hops, Pad(before=160, after=160), pad_value=1.0)


@trained_at(16000)
def speech_to_text() -> FrontEnd:
    """Kaldi log-mel of zero mean and unit variance: fairseq S2T, Speech2Text.

    Input: 16 kHz in [-1, 1).

    Output: ``(..., 1 + (n - 400) // 160, 80)``.

    Source: huggingface/transformers, ``models/speech_to_text``; equal to transformers 5.24.0
    (``Speech2TextFeatureExtractor``).

    Trap: nothing is added to the deviation; a band that is constant becomes NaN there and 0 here.
    """
    return FrontEnd(*fbank(), Normalize(eps=0))


@trained_at(16000)
def fun_asr_nano() -> FrontEnd:
    """Fun-ASR-Nano's Kaldi log-mel, seven frames side by side every 60 ms.

    Input: 16 kHz in [-1, 1).

    Output: ``(..., ceil(T / 6), 560)`` of ``T = 1 + (n - 400) // 160`` frames.

    Source: huggingface/transformers, ``models/fun_asr_nano``; equal to transformers 5.24.0
    (``FunAsrNanoFeatureExtractor``).

    Trap: the waveform is not scaled to 16-bit samples, as it is for the other FunASR models.
    """
    return low_frame_rate(scale=1.0)


@trained_at(16000)
def funasr() -> FrontEnd:
    """FunASR's Kaldi log-mel, seven frames side by side every 60 ms: Paraformer, SenseVoice.

    Input: 16 kHz in [-1, 1).

    Output: ``(..., ceil(T / 6), 560)`` of ``T = 1 + (n - 400) // 160`` frames, before the mean and
    variance that each checkpoint brings. Of the vectors of its ``am.mvn``, append
    ``stages.Affine(scale=rescale, offset=add_shift * rescale)``.

    Source: modelscope/FunASR, ``funasr/frontends/wav_frontend.py``, without dither; equal to
    funasr 1.4.16 (``WavFrontend``) in float64.

    Trap: Hamming, not Povey; and dither 1 is the default of the package.
    """
    return low_frame_rate(scale=SAMPLES_16_BIT)


@trained_at(16000)
def wespeaker() -> FrontEnd:
    """WeSpeaker's Kaldi log-mel, its mean in time taken off: ResNet34, CAM++, ECAPA-TDNN.

    Input: 16 kHz in [-1, 1).

    Output: ``(..., 1 + (n - 400) // 160, 80)``.

    Source: wenet-e2e/wespeaker, ``wespeaker/dataset/processor.py``, a recipe of its calls on
    torchaudio 2.11.0 in float64, without the dither of training.

    Trap: Hamming, not Povey.
    """
    return FrontEnd(*fbank(window="hamming"), Normalize(deviation=False))


@trained_at(16000)
def ast(*, n_frames: int = 1024) -> FrontEnd:
    """The Audio Spectrogram Transformer's Kaldi log-mel with 128 bands.

    Input: 16 kHz in [-1, 1), not scaled.

    Output: ``(..., n_frames, 128)``.

    Source: huggingface/transformers, ``models/audio_spectrogram_transformer``; equal to
    transformers 5.24.0 (``ASTFeatureExtractor``). For checkpoints with other statistics
    ``replace("affine", …)``: Speech Commands v2 has mean -6.845978 and deviation 5.5654526.

    Trap: frames are padded with 0 before the statistics are applied, so that padding is 0.467;
    after them it costs 0.47 at most and 0.33 on average.

    Args:
      n_frames: frames are cut, or continued, to so many; 128 for Speech Commands.
    """
    return fixed_frames(n_frames=n_frames, mean=-4.2677393, deviation=4.5689974)


@trained_at(16000)
def audiomae(*, n_frames: int = 1024) -> FrontEnd:
    """AudioMAE's Kaldi log-mel with 128 bands, the mean of the clip taken off first.

    Input: 16 kHz in [-1, 1), not scaled.

    Output: ``(..., n_frames, 128)``.

    Source: facebookresearch/AudioMAE, ``dataset.py``, a recipe of its calls on torchaudio 2.11.0 in
    float64. The statistics are AudioSet's; those of other data sets by ``replace("affine", …)``.

    Trap: as of ``ast``, padding comes before the statistics.

    Args:
      n_frames: frames are cut, or continued, to so many.
    """
    return fixed_frames(RemoveMean(), n_frames=n_frames, mean=-4.2677393, deviation=4.5689974)


@trained_at(16000)
def eat(*, n_frames: int = 1024) -> FrontEnd:
    """EAT's (Efficient Audio Transformer) Kaldi log-mel with 128 bands.

    Input: 16 kHz in [-1, 1), not scaled; the mean of the clip is taken off.

    Output: ``(..., n_frames, 128)``.

    Source: cwx-worst-one/EAT, ``data/raw_audio_dataset.py``, a recipe of its calls on torchaudio
    2.11.0 in float64. The statistics are AudioSet's; those of other data sets by
    ``replace("affine", …)``.

    Trap: its statistics are ``audiomae``'s rounded to three places.

    Args:
      n_frames: frames are cut, or continued, to so many.
    """
    return fixed_frames(RemoveMean(), n_frames=n_frames, mean=-4.268, deviation=4.569)


@trained_at(16000)
def beats() -> FrontEnd:
    """BEATs's normalised Kaldi log-mel with 128 bands.

    Input: 16 kHz in [-1, 1).

    Output: ``(..., 1 + (n - 400) // 160, 128)``.

    Source: microsoft/unilm, ``beats/BEATs.py``, a recipe of its calls on torchaudio 2.11.0 in
    float64.

    Trap: the statistics are those of waveforms scaled to 16-bit samples, unlike ``ast``'s.
    """
    deviation = 2 * 6.55582
    affine = Affine(scale=1 / deviation, offset=-15.41663 / deviation)
    return FrontEnd(*fbank(n_mels=128), affine)
