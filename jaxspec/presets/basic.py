"""Plain front-ends for any sample rate, with Hann windows of 25 ms every 10 ms, centred.

The FFT has the next power of two samples.
"""

from __future__ import annotations

from jaxspec._checks import check_number
from jaxspec.frontend import FrontEnd
from jaxspec.presets._registry import preset
from jaxspec.stages import DCT, PCEN, STFT, Filterbank, Ln, Power, PowerToDb

__all__ = ["gammatone", "learnable_mel", "log_mel", "mfcc", "pcen", "spectrogram"]


def _power(sample_rate: float) -> tuple[STFT, Power]:
    sample_rate = check_number("sample_rate", sample_rate, above=0)
    win_length = max(round(0.025 * sample_rate), 1)
    hop_length = max(round(0.010 * sample_rate), 1)
    n_fft = 1 << (win_length - 1).bit_length()
    return STFT(n_fft=n_fft, hop_length=hop_length, win_length=win_length), Power()


@preset
def spectrogram(*, sample_rate: float = 16000) -> FrontEnd:
    """Power in dB over all FFT bins.

    Args:
      sample_rate: Hz.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.spectrogram()(jnp.zeros(16000)).shape
      (101, 257)
    """
    return FrontEnd(*_power(sample_rate), PowerToDb())


@preset
def log_mel(*, sample_rate: float = 16000) -> FrontEnd:
    """80 mel bands (Slaney) of the power, natural logarithm floored at 1e-10.

    Args:
      sample_rate: Hz.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.log_mel()(jnp.zeros(16000)).shape
      (101, 80)
    """
    stft, power = _power(sample_rate)
    bank = Filterbank(sample_rate=sample_rate, n_fft=stft.n_fft, n_bands=80)
    return FrontEnd(stft, power, bank, Ln())


@preset
def mfcc(*, sample_rate: float = 16000) -> FrontEnd:
    """13 cepstral coefficients of 40 mel bands in dB.

    Args:
      sample_rate: Hz.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.mfcc()(jnp.zeros(16000)).shape
      (101, 13)
    """
    stft, power = _power(sample_rate)
    bank = Filterbank(sample_rate=sample_rate, n_fft=stft.n_fft, n_bands=40)
    return FrontEnd(stft, power, bank, PowerToDb(), DCT(n_out=13))


@preset
def pcen(*, sample_rate: float = 16000) -> FrontEnd:
    """80 mel bands under per-channel energy normalisation, for waveforms in [-1, 1].

    Args:
      sample_rate: Hz.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.pcen()(jnp.zeros(16000)).shape
      (101, 80)
    """
    return FrontEnd(*log_mel(sample_rate=sample_rate).stages[:-1], PCEN(eps=1e-10))


@preset
def gammatone(*, sample_rate: float = 16000) -> FrontEnd:
    """64 gammatone bands from 50 Hz on the ERB scale, natural logarithm.

    Args:
      sample_rate: Hz.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.gammatone()(jnp.zeros(16000)).shape
      (101, 64)
    """
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


@preset
def learnable_mel(*, sample_rate: float = 16000) -> FrontEnd:
    """``log_mel`` with 40 Gaussian bands whose centres and widths learn.

    Args:
      sample_rate: Hz.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> frontend = jaxspec.presets.learnable_mel()
      >>> frontend.apply(frontend.init(jax.random.key(0)), jnp.zeros(16000)).shape
      (101, 40)
    """
    stft, power = _power(sample_rate)
    bank = Filterbank(
        sample_rate=sample_rate,
        n_fft=stft.n_fft,
        n_bands=40,
        shape="gaussian",
        layout="gaps",
    )
    return FrontEnd(stft, power, bank, Ln())
