"""Named front-ends. Each is nothing but a `jaxspec.FrontEnd` value."""

from __future__ import annotations

from collections.abc import Callable

from jaxspec._checks import check_choice, check_number
from jaxspec.frontend import FrontEnd
from jaxspec.stages import DCT, PCEN, STFT, Filterbank, Ln, Power, PowerToDb

__all__ = ["PRESETS", "preset"]


def preset(name: str, *, sample_rate: float = 16000) -> FrontEnd:
    """A front-end by name.

    All presets use Hann windows of 25 ms every 10 ms, centred, in an FFT of the next power of
    two samples:

    - ``"spectrogram"``: power in dB over all FFT bins.
    - ``"log_mel"``: 80 mel bands (Slaney) of the power, natural logarithm floored at 1e-10.
    - ``"mfcc"``: 13 cepstral coefficients of 40 mel bands in dB.
    - ``"pcen"``: 80 mel bands under per-channel energy normalisation, with an ``eps`` for
      waveforms in [-1, 1] and a time constant of 0.4 s.
    - ``"gammatone"``: 64 gammatone bands from 50 Hz on the ERB scale, natural logarithm.
    - ``"learnable_mel"``: ``"log_mel"`` with 40 Gaussian bands whose centres and widths learn.

    To change a choice, use `FrontEnd.replace`:
    ``preset("log_mel").replace("filterbank", n_bands=40)``.

    Args:
      name: one of these.
      sample_rate: Hz.

    Raises:
      ValueError: for an unknown name or a sample rate not above 0.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.preset("log_mel")(jnp.zeros(16000)).shape
      (101, 80)
    """
    check_choice("name", name, tuple(PRESETS))
    return PRESETS[name](check_number("sample_rate", sample_rate, above=0))


def _power(sample_rate: float) -> tuple[STFT, Power]:
    win_length = max(round(0.025 * sample_rate), 1)
    hop_length = max(round(0.010 * sample_rate), 1)
    n_fft = 1 << (win_length - 1).bit_length()
    return STFT(n_fft=n_fft, hop_length=hop_length, win_length=win_length), Power()


def _spectrogram(sample_rate: float) -> FrontEnd:
    return FrontEnd(*_power(sample_rate), PowerToDb())


def _log_mel(sample_rate: float) -> FrontEnd:
    stft, power = _power(sample_rate)
    bank = Filterbank(sample_rate=sample_rate, n_fft=stft.n_fft, n_bands=80)
    return FrontEnd(stft, power, bank, Ln())


def _mfcc(sample_rate: float) -> FrontEnd:
    stft, power = _power(sample_rate)
    bank = Filterbank(sample_rate=sample_rate, n_fft=stft.n_fft, n_bands=40)
    return FrontEnd(stft, power, bank, PowerToDb(), DCT(n_out=13))


def _pcen(sample_rate: float) -> FrontEnd:
    frontend = _log_mel(sample_rate)
    return FrontEnd(*frontend.stages[:-1], PCEN(eps=1e-10))


def _gammatone(sample_rate: float) -> FrontEnd:
    stft, power = _power(sample_rate)
    bank = Filterbank(
        sample_rate=sample_rate,
        n_fft=stft.n_fft,
        n_bands=64,
        f_min=50.0,
        scale="erb",
        shape="gammatone",
        norm=None,
    )
    return FrontEnd(stft, power, bank, Ln())


def _learnable_mel(sample_rate: float) -> FrontEnd:
    stft, power = _power(sample_rate)
    bank = Filterbank(
        sample_rate=sample_rate,
        n_fft=stft.n_fft,
        n_bands=40,
        shape="gaussian",
        layout="gaps",
    )
    return FrontEnd(stft, power, bank, Ln())


PRESETS: dict[str, Callable[[float], FrontEnd]] = {
    "spectrogram": _spectrogram,
    "log_mel": _log_mel,
    "mfcc": _mfcc,
    "pcen": _pcen,
    "gammatone": _gammatone,
    "learnable_mel": _learnable_mel,
}
