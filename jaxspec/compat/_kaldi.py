"""How Kaldi's features are put together: from its arguments to stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxspec._checks import check_choice, check_number, check_positive_int
from jaxspec.compat._arguments import refuse_changed
from jaxspec.frontend import FrontEnd
from jaxspec.stage import Stage
from jaxspec.stages import (
    RFFT,
    Beside,
    Filterbank,
    Frame,
    FramePreEmphasis,
    LogEnergy,
    Normalize,
    Power,
    RemoveFrameMean,
    Window,
)

__all__ = ["FLOOR", "Front", "bands", "front", "mean_over_time", "refuse_energy"]

FLOOR = float(np.finfo(np.float32).eps)  # of every logarithm, whatever the dtype
_WINDOWS = {
    "hamming": "hamming",
    "hanning": "hann",
    "povey": "povey",
    "rectangular": "rectangular",
    "blackman": "blackman",
}


class Front(NamedTuple):
    """The stages before the Fourier transform, and its length."""

    to_frames: list[Stage]
    to_windowed: list[Stage]
    n_fft: int

    def with_energy(
        self, spectral: Sequence[Stage], raw: bool, floor: float, *, last: bool
    ) -> list[Stage]:
        """The stages from waveform to features, the log energy of frames beside them."""
        floor = check_number("energy_floor", floor, at_least=0)
        energy = LogEnergy(amin=max(floor, FLOOR))
        before, inside = self.to_frames, [*self.to_windowed, *spectral]
        if not raw:
            before, inside = [*self.to_frames, *self.to_windowed], [*spectral]
        branches: tuple[Stage, ...] = (energy, FrontEnd(*inside))
        return [*before, Beside(branches=branches[::-1] if last else branches)]


def front(
    *,
    blackman_coeff: float,
    channel: int,
    dither: float,
    frame_length: float,
    frame_shift: float,
    min_duration: float,
    preemphasis_coefficient: float,
    remove_dc_offset: bool,
    round_to_power_of_two: bool,
    sample_frequency: float,
    snip_edges: bool,
    window_type: str,
) -> Front:
    """What all features begin with; arguments as in the originals."""
    noise = "noise needs an explicit key; use jaxspec.dither(x, key=..., level=...) on the waveform"
    refuse_changed("dither", dither, 0.0, instead=noise)
    refuse_changed("channel", channel, -1, instead="choose it of the waveform, as in x[channel]")
    refuse_changed("min_duration", min_duration, 0.0, instead="leave shorter clips out yourself")
    size = _samples("frame_length", frame_length, sample_frequency, minimum=2)
    shift = _samples("frame_shift", frame_shift, sample_frequency, minimum=1)
    n_fft = 2 ** (size - 1).bit_length() if round_to_power_of_two else size
    if n_fft % 2:
        raise ValueError(
            f"frame_length must be an even number of samples with round_to_power_of_two=False, got "
            f"frame_length={frame_length:g} ms, which is {size} samples"
        )
    coef = check_number("preemphasis_coefficient", preemphasis_coefficient, at_least=0, at_most=1)
    edges, short = ("whole", "empty") if snip_edges else ("mirror", "error")
    cut = Frame(frame_length=size, hop_length=shift, edges=edges, short=short)
    to_frames: list[Stage] = [cut]
    if remove_dc_offset:
        to_frames.append(RemoveFrameMean())
    to_windowed: list[Stage] = [FramePreEmphasis(coef=coef)] if coef else []
    to_windowed.append(_window(window_type, size, blackman_coeff))
    return Front(to_frames, to_windowed, n_fft)


def _samples(name: str, milliseconds: float, rate: float, *, minimum: int) -> int:
    """The whole samples in so many milliseconds, rounded as the original does."""
    rate = check_number("sample_frequency", rate, above=0)
    samples = int(rate * check_number(name, milliseconds, above=0) * 0.001)
    if samples < minimum:
        raise ValueError(
            f"{name} must be at least {minimum} sample{'s' if minimum > 1 else ''}, got "
            f"{name}={milliseconds:g} ms at sample_frequency={rate:g}"
        )
    return samples


def _window(window_type: str, size: int, blackman_coeff: float) -> Window:
    check_choice("window_type", window_type, tuple(_WINDOWS))
    name = _WINDOWS[window_type]
    if name != "blackman":
        only = 'it is a choice of window_type="blackman"'
        refuse_changed("blackman_coeff", blackman_coeff, 0.42, instead=only)
    if blackman_coeff == 0.42:
        return Window(win_length=size, window=name, periodic=False)
    a = check_number("blackman_coeff", blackman_coeff)
    turns = 2 * np.pi * np.arange(size) / (size - 1)
    values = a - 0.5 * np.cos(turns) + (0.5 - a) * np.cos(2 * turns)
    return Window(win_length=size, window=values)


def bands(
    n_fft: int,
    *,
    high_freq: float,
    low_freq: float,
    num_mel_bins: int,
    sample_frequency: float,
    use_power: bool,
    vtln_high: float,
    vtln_low: float,
    vtln_warp: float,
) -> list[Stage]:
    """From windowed frames to mel bands."""
    own_bank = (
        "frequencies cannot be warped; give jaxspec.stages.Filterbank(matrix=...) your own bank"
    )
    refuse_changed("vtln_warp", vtln_warp, 1.0, instead=own_bank)
    refuse_changed("vtln_low", vtln_low, 100.0, instead="it has no effect with vtln_warp=1")
    refuse_changed("vtln_high", vtln_high, -500.0, instead="it has no effect with vtln_warp=1")
    high = check_number("high_freq", high_freq)
    bank = Filterbank(
        sample_rate=sample_frequency,
        n_fft=n_fft,
        n_bands=check_positive_int("num_mel_bins", num_mel_bins, minimum=4),
        f_min=check_number("low_freq", low_freq, at_least=0),
        f_max=high if high > 0 else sample_frequency / 2 + high,
        scale="kaldi",
        domain="scale",
        norm=None,
    )
    return [RFFT(n_fft=n_fft), Power(exponent=2.0 if use_power else 1.0), bank]


def refuse_energy(raw_energy: bool, energy_floor: float) -> None:
    """Refuse choices about an energy that is not asked for."""
    unused = "it has an effect only with use_energy=True"
    refuse_changed("raw_energy", raw_energy, True, instead=unused)
    refuse_changed("energy_floor", energy_floor, 1.0, instead=unused)


def mean_over_time(subtract_mean: bool) -> list[Stage]:
    """The stage that takes the mean over time off every channel, if asked for."""
    return [Normalize(deviation=False)] if subtract_mean else []
