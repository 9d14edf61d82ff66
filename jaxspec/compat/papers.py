"""Trainable front-ends that were published as papers, not as packages.

Each function returns a `jaxspec.FrontEnd` that gives, where its parameters are 0, what the paper's
gives before training, with the paper's conventions; what a paper leaves open is an argument. What
is learned is ours: without units, smooth and in order. The docstrings say what it stands for.
"""

from __future__ import annotations

from collections.abc import Sequence

from jaxspec._checks import check_choice, check_number, check_positive_int
from jaxspec.compat import torchaudio
from jaxspec.compat.speechbrain import hamming_frames, symmetric_bank
from jaxspec.frontend import FrontEnd
from jaxspec.stage import Stage
from jaxspec.stages import PCEN, STFT, AdaptiveSTFT, Filterbank, Ln, Power, PowerToDb, RemoveMean

__all__ = ["dmel", "fastaudio", "pcen_2017"]

_BANDS_AT_16K = (3.1, 603.7)  # Hz, the limits of FastAudio's bands at 16 kHz
_SMOOTHERS = (0.015, 0.02, 0.04, 0.08)
_DEVIATIONS = 6.0  # standard deviations in the length of a Gaussian window


def fastaudio(
    *,
    sample_rate: int = 16000,
    n_fft: int = 400,
    win_length: float = 25,
    hop_length: float = 10,
    n_mels: int = 40,
    f_min: float = 0,
    f_max: float | None = None,
    filter_shape: str = "gaussian",
) -> FrontEnd:
    """FastAudio: learned bands on a power spectrum, in decibels.

    Made from speechbrain's bands (`jaxspec.compat.speechbrain.Fbank`), with limits: centres are
    clipped to 0 to half the sample rate and bands to 3.1 to 603.7 Hz at 16 kHz (in proportion at
    other rates), and there is no gradient beyond. Bands that start outside, as the upper ones of
    20 filters do, start at the limit here, too, and can leave it.

    In its training a sorted variant sorts centres and bands by themselves, which hands bands on to
    other centres as soon as one is out of order. ``gaps`` keep the order without that. Decibels
    are held within 80 dB of the loudest of the whole batch there, here of each item.

    Args:
      sample_rate, n_fft: even numbers.
      win_length, hop_length: milliseconds; a Hamming window, zeros beyond the ends.
      n_mels: number of filters.
      f_min, f_max: Hz, default of the latter half the sample rate.
      filter_shape: ``"gaussian"``, as in the published recipe, or ``"triangular"``.

    The parameters are ``gaps`` and ``widths``, for ``f_central`` and ``band`` over the sample rate.

    Raises:
      ValueError: as `jaxspec.compat.speechbrain.Filterbank`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxspec.compat import papers
      >>> frontend = papers.fastaudio()
      >>> params = frontend.init(jax.random.key(0))
      >>> frontend.apply(params, jnp.ones((2, 16000))).shape
      (2, 101, 40)

    Reference:
      Q. Fu, Z. Teng, J. White, M. Powell and D. Schmidt, "FastAudio: a learnable audio front-end
      for spoof speech detection", ICASSP 2022, and the code that came with it.
    """
    check_choice("filter_shape", filter_shape, ("gaussian", "triangular"))
    check_positive_int("sample_rate", sample_rate, minimum=2)
    low, high = (sample_rate / 16000 * limit for limit in _BANDS_AT_16K)
    bank = symmetric_bank(
        n_mels,
        filter_shape,
        f_min,
        sample_rate / 2 if f_max is None else f_max,
        n_fft,
        sample_rate,
        learned=True,
        limits=(low, high),
    )
    frames = hamming_frames(sample_rate, n_fft, win_length, hop_length)
    return FrontEnd(*frames, bank, PowerToDb(top_db=80.0))


def dmel(
    *,
    sample_rate: int = 8000,
    sigma: float | None = None,
    n_fft: int | None = None,
    hop_length: int | None = None,
    n_mels: int = 128,
    f_min: float = 0.0,
    f_max: float | None = None,
    log: bool = True,
) -> FrontEnd:
    """DMEL: a mel spectrogram whose Gaussian window is learned.

    The mean of each clip is taken off; the window has unit energy, so that its length does not
    change the level of noise; zeros beyond the ends; mel bands as torchaudio's, without norm.

    The paper's code learns the deviation ``sigma`` in samples, and takes its magnitude. Its quick
    variant has a frame of the next power of two from ``6 sigma``, which is computed anew in every
    step: bins and mel bands change when a learned ``sigma`` crosses a power of two, and clips are
    taken one by one; its exact one has a frame of twice the clip. Here ``n_fft`` stays, and the
    parameter is ``win_length``: ``6 sigma``, by default between 2 samples and twice the frame,
    which then cuts the window. State a larger ``n_fft`` for room to grow, and for the bands: with
    the defaults, as in the paper's experiment on environmental sounds, a frame has 256 samples and
    6 of the 128 bands hold no bin; they are constant for ever.

    Args:
      sample_rate: Hz, an int.
      sigma: standard deviation of the window at the start, in samples; default a sixth of 25 ms.
      n_fft: samples in a frame, an even number; default the quick variant's, the next power of two
        from ``6 sigma``. Twice the clip is the exact one
        (of an odd clip, half a sample later).
      hop_length: samples, default 10 ms.
      n_mels, f_min, f_max: bands, and their range on HTK's mel scale in Hz, default of the last
        half the sample rate.
      log: ``ln(mel + 1e-10)``; else the bands.

    Raises:
      ValueError: for an odd ``n_fft`` and as `jaxspec.stages.AdaptiveSTFT`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxspec.compat import papers
      >>> frontend = papers.dmel(n_fft=1024, n_mels=40)
      >>> params = frontend.init(jax.random.key(0))
      >>> params
      {'adaptive_stft': {'win_length': Array(0., dtype=float32)}}
      >>> frontend.apply(params, jnp.ones(8000)).shape
      (101, 40)

    Reference:
      J. Martinsson and M. Sandsten, "DMEL: the differentiable log-mel spectrogram as a trainable
      layer in neural networks", ICASSP 2024, and the code that came with it.
    """
    sample_rate = check_positive_int("sample_rate", sample_rate, minimum=2)
    sigma = 0.025 * sample_rate / _DEVIATIONS if sigma is None else sigma
    length = _DEVIATIONS * check_number("sigma", sigma, above=0)
    if n_fft is None:
        n_fft = 1 << (int(length) - 1).bit_length()
    n_fft = check_positive_int("n_fft", n_fft, minimum=2)
    if n_fft % 2:
        raise ValueError(f"n_fft must be even (torchaudio's bands need it), got n_fft={n_fft}")
    transform = AdaptiveSTFT(
        n_fft=n_fft,
        win_length=length,
        hop_length=round(0.01 * sample_rate) if hop_length is None else hop_length,
        family="gaussian",
        norm="energy",
        max_length=2 * n_fft,
        pad_mode="constant",
    )
    bank = torchaudio.MelScale(n_mels, sample_rate, f_min=f_min, f_max=f_max, n_stft=n_fft // 2 + 1)
    check_choice("log", log, (True, False))
    logarithm: list[Stage] = [Ln(amin=1e-10, floor="add")] if log else []
    return FrontEnd(RemoveMean(), transform, Power(), bank, *logarithm)


def pcen_2017(
    *,
    sample_rate: float = 16000,
    n_fft: int = 512,
    win_length: int = 400,
    hop_length: int = 160,
    n_mels: int = 40,
    gain: float = 0.98,
    bias: float = 2.0,
    power: float = 0.5,
    mix: Sequence[float] = _SMOOTHERS,
    eps: float = 1e-6,
) -> FrontEnd:
    """The trainable PCEN of 2017: mel energies under a learned gain control, band by band.

    The level of each band is a learned mixture of smoothers of fixed speed, so that training needs
    no derivative through a recursion with a learned coefficient.

    The paper learns ``log alpha``, ``log delta`` and ``log r`` (here ``gain``, ``bias`` and
    ``power``) and the logits of the mixture (``mix``, the same) of every band. Logarithms let
    ``alpha`` and ``r`` grow beyond 1, where a louder sound gives less; here both keep below 1,
    and a step moves ``alpha`` in proportion to its distance from 1. The energies' scale matters:
    ``bias`` and ``eps`` are for samples in [-1, 1).

    Args:
      sample_rate, n_fft, win_length, hop_length, n_mels: of mel bands as in
        `jaxspec.mel_spectrogram`. The paper has 40 bands of frames of 25 ms every 10 ms; what
        else there is to choose of them is this library's default. The first level is the first
        frame.
      gain, bias, power: at the start, by default those of the paper's fixed variant, the same in
        all bands; in (0, 1), above 0, in (0.01, 1).
      mix: the smoothing coefficients, each in (0, 1], of equal weight at the start.
      eps: above 0.

    Raises:
      ValueError: as `jaxspec.stages.PCEN`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxspec.compat import papers
      >>> frontend = papers.pcen_2017()
      >>> params = frontend.init(jax.random.key(0))
      >>> {name: value.shape for name, value in params["pcen"].items()}
      {'gain': (40,), 'bias': (40,), 'power': (40,), 'mix': (40, 4)}
      >>> frontend.apply(params, jnp.ones(16000)).shape
      (101, 40)

    Reference:
      Y. Wang, P. Getreuer, T. Hughes, R. F. Lyon and R. A. Saurous, "Trainable frontend for robust
      and far-field keyword spotting", ICASSP 2017.
    """
    n_mels = check_positive_int("n_mels", n_mels)
    return FrontEnd(
        STFT(n_fft=n_fft, hop_length=hop_length, win_length=win_length),
        Power(),
        Filterbank(sample_rate=sample_rate, n_fft=n_fft, n_bands=n_mels),
        PCEN(
            gain=gain,
            bias=bias,
            power=power,
            mix=tuple(mix),
            eps=eps,
            learn="all",
            n_bands=n_mels,
        ),
    )
