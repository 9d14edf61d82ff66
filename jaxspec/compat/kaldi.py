"""Features of Kaldi that return front-ends, by the names of ``torchaudio.compliance.kaldi``.

``kaldi.fbank(waveform, num_mel_bins=80)`` becomes ``compat.kaldi.fbank(num_mel_bins=80)(x)``, where
``x`` may have any number of axes in front: a batch is computed at once, each clip by itself.
Argument names and defaults are those of torchaudio 2.11, lengths are in milliseconds; the layout
``(..., frames, channels)`` is Kaldi's own.

Samples are used as they are. Kaldi's features assume 16-bit samples, in -32768 … 32767; for
waveforms in [-1, 1) multiply by 32768 first, as ``stages.Scale(factor=32768)`` does. Otherwise
every value of a log-filterbank is lower by ``2 ln 32768 = 20.79``, and what was clearly above the
floors (``energy_floor``, and 1.2e-7 of the bands) may lie below them.

There is no dither: the same clip always gives the same features. A clip shorter than a frame gives
no frames, as in Kaldi, where torchaudio raises.
"""

from __future__ import annotations

import math

from jaxspec._checks import check_number, check_positive_int
from jaxspec.compat._arguments import refuse_changed, refuse_signal
from jaxspec.compat._kaldi import FLOOR, bands, front, mean_over_time, refuse_energy
from jaxspec.frontend import FrontEnd
from jaxspec.stage import Stage
from jaxspec.stages import DCT, RFFT, Affine, Beside, Channels, Lifter, Ln, Power

__all__ = ["fbank", "mfcc", "spectrogram"]


def fbank(
    waveform: None = None,
    *,
    blackman_coeff: float = 0.42,
    channel: int = -1,
    dither: float = 0.0,
    energy_floor: float = 1.0,
    frame_length: float = 25.0,
    frame_shift: float = 10.0,
    high_freq: float = 0.0,
    htk_compat: bool = False,
    low_freq: float = 20.0,
    min_duration: float = 0.0,
    num_mel_bins: int = 23,
    preemphasis_coefficient: float = 0.97,
    raw_energy: bool = True,
    remove_dc_offset: bool = True,
    round_to_power_of_two: bool = True,
    sample_frequency: float = 16000.0,
    snip_edges: bool = True,
    subtract_mean: bool = False,
    use_energy: bool = False,
    use_log_fbank: bool = True,
    use_power: bool = True,
    vtln_high: float = -500.0,
    vtln_low: float = 100.0,
    vtln_warp: float = 1.0,
    window_type: str = "povey",
) -> FrontEnd:
    """Mel filterbank features; see the top of this module about the scale of samples.

    Args:
      waveform: to be left out; call the result with it.
      blackman_coeff: of ``window_type="blackman"``.
      channel: to be left as it is: all channels are computed, as items of a batch.
      dither: to be left at 0; noise needs a key, see `jaxspec.dither`.
      frame_length, frame_shift: milliseconds.
      low_freq, high_freq: Hz, the edges of the bank; ``high_freq`` at or below 0 is counted from
        half the sample rate.
      min_duration: to be left at 0.
      num_mel_bins: number of bands, at least 4.
      preemphasis_coefficient: in [0, 1], inside each frame; 0 for none.
      remove_dc_offset: whether to take the mean of each frame off it.
      round_to_power_of_two: whether to fill frames up with zeros to a power of 2.
      sample_frequency: Hz.
      snip_edges: frames lie whole in the clip; else one for every hop, the ends mirrored.
      subtract_mean: whether to take the mean over time off every channel.
      use_energy: whether a channel with the log energy comes first.
      energy_floor, raw_energy, htk_compat: only with ``use_energy``: the least energy; whether it
        is taken before pre-emphasis and window; whether it comes last.
      use_log_fbank: whether to take natural logarithms.
      use_power: bands of the power; else of the magnitude.
      vtln_high, vtln_low, vtln_warp: to be left as they are.
      window_type: ``"povey"``, ``"hamming"``, ``"hanning"``, ``"blackman"`` or ``"rectangular"``.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxspec.compat import kaldi
      >>> kaldi.fbank()(jnp.zeros((2, 1600)))[:, 0, :2].round(4)
      Array([[-15.9424, -15.9424],
             [-15.9424, -15.9424]], dtype=float32)
    """
    refuse_signal("fbank", "waveform", waveform)
    start = front(
        blackman_coeff=blackman_coeff,
        channel=channel,
        dither=dither,
        frame_length=frame_length,
        frame_shift=frame_shift,
        min_duration=min_duration,
        preemphasis_coefficient=preemphasis_coefficient,
        remove_dc_offset=remove_dc_offset,
        round_to_power_of_two=round_to_power_of_two,
        sample_frequency=sample_frequency,
        snip_edges=snip_edges,
        window_type=window_type,
    )
    spectral = bands(
        start.n_fft,
        high_freq=high_freq,
        low_freq=low_freq,
        num_mel_bins=num_mel_bins,
        sample_frequency=sample_frequency,
        use_power=use_power,
        vtln_high=vtln_high,
        vtln_low=vtln_low,
        vtln_warp=vtln_warp,
    )
    if use_log_fbank:
        spectral.append(Ln(amin=FLOOR))
    if use_energy:
        stages = start.with_energy(spectral, raw_energy, energy_floor, last=htk_compat)
    else:
        refuse_energy(raw_energy, energy_floor)
        refuse_changed("htk_compat", htk_compat, False, instead="it needs use_energy=True")
        stages = [*start.to_frames, *start.to_windowed, *spectral]
    return FrontEnd(*stages, *mean_over_time(subtract_mean))


def mfcc(
    waveform: None = None,
    *,
    blackman_coeff: float = 0.42,
    cepstral_lifter: float = 22.0,
    channel: int = -1,
    dither: float = 0.0,
    energy_floor: float = 1.0,
    frame_length: float = 25.0,
    frame_shift: float = 10.0,
    high_freq: float = 0.0,
    htk_compat: bool = False,
    low_freq: float = 20.0,
    num_ceps: int = 13,
    min_duration: float = 0.0,
    num_mel_bins: int = 23,
    preemphasis_coefficient: float = 0.97,
    raw_energy: bool = True,
    remove_dc_offset: bool = True,
    round_to_power_of_two: bool = True,
    sample_frequency: float = 16000.0,
    snip_edges: bool = True,
    subtract_mean: bool = False,
    use_energy: bool = False,
    vtln_high: float = -500.0,
    vtln_low: float = 100.0,
    vtln_warp: float = 1.0,
    window_type: str = "povey",
) -> FrontEnd:
    """Mel-frequency cepstra; see the top of this module about the scale of samples.

    The defaults are torchaudio's; Kaldi itself has ``use_energy=True``.

    Args:
      waveform: to be left out; call the result with it.
      cepstral_lifter: 0 for none.
      num_ceps: number of coefficients, the 0th included; at most ``num_mel_bins``.
      use_energy: whether the log energy stands for the 0th coefficient.
      energy_floor, raw_energy: only with ``use_energy``, as in `fbank`.
      htk_compat: whether the 0th comes last, times the root of 2 unless it is the energy.
      blackman_coeff, channel, dither, frame_length, frame_shift, high_freq, low_freq, min_duration,
        num_mel_bins, preemphasis_coefficient, remove_dc_offset, round_to_power_of_two,
        sample_frequency, snip_edges, subtract_mean, vtln_high, vtln_low, vtln_warp, window_type:
        as in `fbank`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxspec.compat import kaldi
      >>> kaldi.mfcc(sample_frequency=8000)(jnp.ones((2, 800))).shape
      (2, 8, 13)
    """
    refuse_signal("mfcc", "waveform", waveform)
    start = front(
        blackman_coeff=blackman_coeff,
        channel=channel,
        dither=dither,
        frame_length=frame_length,
        frame_shift=frame_shift,
        min_duration=min_duration,
        preemphasis_coefficient=preemphasis_coefficient,
        remove_dc_offset=remove_dc_offset,
        round_to_power_of_two=round_to_power_of_two,
        sample_frequency=sample_frequency,
        snip_edges=snip_edges,
        window_type=window_type,
    )
    spectral = bands(
        start.n_fft,
        high_freq=high_freq,
        low_freq=low_freq,
        num_mel_bins=num_mel_bins,
        sample_frequency=sample_frequency,
        use_power=True,
        vtln_high=vtln_high,
        vtln_low=vtln_low,
        vtln_warp=vtln_warp,
    )
    num_ceps = check_positive_int(
        "num_ceps", num_ceps, minimum=2 if use_energy or htk_compat else 1
    )
    cepstra: list[Stage] = [DCT(n_out=num_ceps)]
    cepstral_lifter = check_number("cepstral_lifter", cepstral_lifter, at_least=0)
    if cepstral_lifter:
        cepstra.append(Lifter(lifter=cepstral_lifter))
    log_bands = [*spectral, Ln(amin=FLOOR)]
    others = [*cepstra, Channels(start=1)]
    if use_energy:
        stages = start.with_energy([*log_bands, *others], raw_energy, energy_floor, last=htk_compat)
    else:
        refuse_energy(raw_energy, energy_floor)
        if htk_compat:
            zeroth = FrontEnd(DCT(n_out=1), Affine(scale=math.sqrt(2)))
            cepstra = [Beside(branches=(FrontEnd(*others), zeroth))]
        stages = [*start.to_frames, *start.to_windowed, *log_bands, *cepstra]
    return FrontEnd(*stages, *mean_over_time(subtract_mean))


def spectrogram(
    waveform: None = None,
    *,
    blackman_coeff: float = 0.42,
    channel: int = -1,
    dither: float = 0.0,
    energy_floor: float = 1.0,
    frame_length: float = 25.0,
    frame_shift: float = 10.0,
    min_duration: float = 0.0,
    preemphasis_coefficient: float = 0.97,
    raw_energy: bool = True,
    remove_dc_offset: bool = True,
    round_to_power_of_two: bool = True,
    sample_frequency: float = 16000.0,
    snip_edges: bool = True,
    subtract_mean: bool = False,
    window_type: str = "povey",
) -> FrontEnd:
    """Log power spectra, with the log energy in the place of bin 0, as in Kaldi.

    See the top of this module about the scale of samples.

    Args:
      waveform: to be left out; call the result with it.
      energy_floor: the least energy; 0 for none.
      raw_energy: whether the energy is taken before pre-emphasis and window.
      blackman_coeff, channel, dither, frame_length, frame_shift, min_duration,
        preemphasis_coefficient, remove_dc_offset, round_to_power_of_two, sample_frequency,
        snip_edges, subtract_mean, window_type: as in `fbank`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxspec.compat import kaldi
      >>> kaldi.spectrogram()(jnp.zeros(1600))[0, :3].round(4)
      Array([  0.    , -15.9424, -15.9424], dtype=float32)
    """
    refuse_signal("spectrogram", "waveform", waveform)
    start = front(
        blackman_coeff=blackman_coeff,
        channel=channel,
        dither=dither,
        frame_length=frame_length,
        frame_shift=frame_shift,
        min_duration=min_duration,
        preemphasis_coefficient=preemphasis_coefficient,
        remove_dc_offset=remove_dc_offset,
        round_to_power_of_two=round_to_power_of_two,
        sample_frequency=sample_frequency,
        snip_edges=snip_edges,
        window_type=window_type,
    )
    bins = [RFFT(n_fft=start.n_fft), Power(), Channels(start=1), Ln(amin=FLOOR)]
    stages = start.with_energy(bins, raw_energy, energy_floor, last=False)
    return FrontEnd(*stages, *mean_over_time(subtract_mean))
