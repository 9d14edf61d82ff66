"""The steps that Kaldi's features and those of the models after them have in common."""

from __future__ import annotations

from jaxspec._checks import check_choice, check_number, check_positive_int
from jaxspec.frontend import FrontEnd
from jaxspec.stage import Stage
from jaxspec.stages import (
    RFFT,
    Affine,
    Filterbank,
    FitFrames,
    Frame,
    FramePreEmphasis,
    Ln,
    Normalize,
    Power,
    RemoveFrameMean,
    Scale,
    Splice,
    Stack,
    Window,
)

__all__ = ["SAMPLES_16_BIT", "fbank", "fixed_frames", "low_frame_rate", "pairs"]

SAMPLES_16_BIT = 32768.0
_FLOAT32_EPS = 2.0**-23  # the floor of the logarithm
_WINDOWS = ("povey", "hamming", "hann", "blackman", "rectangular")


def fbank(
    *,
    n_mels: int = 80,
    f_min: float = 20.0,
    f_max: float | None = None,
    sample_rate: float = 16000,
    window: str = "povey",
    snip_edges: bool = True,
    scale: float = SAMPLES_16_BIT,
    short: str = "error",
) -> list[Stage]:
    """Log-mel frames; ``short`` as of `jaxspec.stages.Frame`."""
    sample_rate = check_number("sample_rate", sample_rate, at_least=100)  # a hop of 1 sample
    scale = check_number("scale", scale, above=0)
    check_choice("window", window, _WINDOWS)
    win_length, hop_length = int(sample_rate // 40), int(sample_rate // 100)
    n_fft = 1 << (win_length - 1).bit_length()
    if snip_edges:
        frame = Frame(frame_length=win_length, hop_length=hop_length, short=short)
    else:
        frame = Frame(frame_length=win_length, hop_length=hop_length, edges="mirror")
    return [
        *([Scale(factor=scale)] if scale != 1 else []),
        frame,
        RemoveFrameMean(),
        FramePreEmphasis(coef=0.97),
        Window(window=window, win_length=win_length, periodic=False),
        RFFT(n_fft=n_fft),
        Power(),
        Filterbank(
            sample_rate=sample_rate,
            n_fft=n_fft,
            n_bands=check_positive_int("n_mels", n_mels),
            f_min=f_min,
            f_max=f_max,
            scale="kaldi",
            domain="scale",
            norm=None,
        ),
        Ln(amin=_FLOAT32_EPS),
    ]


def pairs(*before: Stage, pad_value: float) -> FrontEnd:
    """Mel frames of zero mean and unit variance in time, two side by side."""
    return FrontEnd(
        *before,
        *fbank(),
        Normalize(ddof=1, eps=1e-7, eps_in="variance"),
        Stack(n=2, rest="pad", value=pad_value),
    )


def low_frame_rate(*, scale: float) -> FrontEnd:
    """Seven frames side by side, six frames apart."""
    return FrontEnd(*fbank(window="hamming", scale=scale), Splice(before=3, after=3, stride=6))


def fixed_frames(*before: Stage, n_frames: int, mean: float, deviation: float) -> FrontEnd:
    """The fixed number of frames that transformers cut into patches."""
    return FrontEnd(
        *before,
        *fbank(n_mels=128, window="hann", scale=1.0),
        FitFrames(n_frames=n_frames),
        Affine(scale=1 / (2 * deviation), offset=-mean / (2 * deviation)),
    )
