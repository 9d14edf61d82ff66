"""Transforms of torchaudio 2.11 as functions that return stages.

``torchaudio.transforms.MelSpectrogram(16000)(x)`` becomes
``compat.torchaudio.MelSpectrogram(16000)(x)``. Names, argument names, their order and defaults are
torchaudio's; the layout is ours: ``(..., frames, channels)``, which is torchaudio's transposed.

``window_fn`` takes torch's functions without importing torch: those that it has by name
(``torch.hann_window``) are made in float64; any other is called with the length of the window. It
also takes what `jaxspec.window` does. ``torchaudio.transforms.ComputeDeltas`` is the function
``jaxspec.delta(x, width=5)``, ``InverseSpectrogram`` is `jaxspec.istft`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxspec._checks import check_choice, check_number, check_positive_int
from jaxspec.compat._arguments import refuse_changed
from jaxspec.filterbanks import band_edges, check_band_range, draw
from jaxspec.frontend import FrontEnd
from jaxspec.stage import Stage
from jaxspec.stages import DCT, STFT, Filterbank, Ln, Pad, Power, PowerToDb, PreEmphasis
from jaxspec.stages import AmplitudeToDb as _AmplitudeToDb
from jaxspec.table import Table
from jaxspec.windows import WindowLike

__all__ = [
    "LFCC",
    "MFCC",
    "AmplitudeToDB",
    "MelScale",
    "MelSpectrogram",
    "Preemphasis",
    "Spectrogram",
]

Options = Mapping[str, Any] | None

_PAD_MODES = {"reflect": "reflect", "constant": "constant", "replicate": "edge", "circular": "wrap"}
_NORMALIZED = {False: None, True: "window", "window": "window", "frame_length": "frame_length"}
_WINDOWS = {
    "hann_window": "hann",
    "hamming_window": "hamming",
    "blackman_window": "blackman",
    "bartlett_window": "bartlett",
    "kaiser_window": "kaiser",
}
_TOP_DB = 80.0  # of the cepstra
_LOG_OFFSET = 1e-6  # of the cepstra, with natural logarithms


def Spectrogram(
    n_fft: int = 400,
    win_length: int | None = None,
    hop_length: int | None = None,
    pad: int = 0,
    window_fn: WindowLike = "hann",
    power: float | None = 2.0,
    normalized: bool | str = False,
    wkwargs: Options = None,
    center: bool = True,
    pad_mode: str = "reflect",
    onesided: bool = True,
    return_complex: None = None,
) -> FrontEnd:
    """``torchaudio.transforms.Spectrogram`` as a front-end: waveform to spectrogram.

    The hop is ``win_length // 2`` unless given; that of `jaxspec.spectrogram` is
    ``win_length // 4``. Reflection works for clips of any length.

    Args:
      n_fft, win_length, hop_length, center: as in torchaudio.
      pad: zeros added at both ends of the waveform first.
      window_fn: a window function of torch, or what `jaxspec.window` takes.
      power: exponent of the magnitude, or ``None`` for the complex spectrum.
      normalized: ``True`` is ``"window"``; or ``"frame_length"``.
      wkwargs: ``periodic`` of a named window, ``beta`` of Kaiser's; anything for a function that is
        called.
      pad_mode: ``"reflect"``, ``"constant"``, ``"replicate"`` or ``"circular"``; only with
        ``center``.
      onesided, return_complex: to be left as they are.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxspec.compat import torchaudio
      >>> torchaudio.Spectrogram(n_fft=256)(jnp.zeros((2, 1024))).shape
      (2, 9, 129)
    """
    mirrored = "the other bins of a real signal are the conjugates of these"
    refuse_changed("onesided", onesided, True, instead=mirrored)
    refuse_changed("return_complex", return_complex, None, instead="use power=None")
    check_choice("normalized", normalized, tuple(_NORMALIZED))
    check_choice("pad_mode", pad_mode, tuple(_PAD_MODES))
    n_fft = check_positive_int("n_fft", n_fft)
    win_length = n_fft if win_length is None else check_positive_int("win_length", win_length)
    window, periodic = _window(window_fn, wkwargs)
    stages: list[Stage] = []
    if check_positive_int("pad", pad, minimum=0):
        stages.append(Pad(before=pad, after=pad))
    stages.append(
        STFT(
            n_fft=n_fft,
            hop_length=win_length // 2 if hop_length is None else hop_length,
            win_length=win_length,
            window=window,
            periodic=periodic,
            center=center,
            pad_mode=_PAD_MODES[pad_mode],
            normalized=_NORMALIZED[normalized],
        )
    )
    if power is not None:
        stages.append(Power(exponent=check_number("power", power, above=0)))
    return FrontEnd(*stages)


def MelScale(
    n_mels: int = 128,
    sample_rate: int = 16000,
    f_min: float = 0.0,
    f_max: float | None = None,
    n_stft: int = 201,
    norm: str | None = None,
    mel_scale: str = "htk",
) -> Filterbank:
    """``torchaudio.transforms.MelScale`` as a stage: spectrogram to mel bands.

    Scale and norm differ from `jaxspec.mel_filterbank`, which has ``"slaney"`` for both. ``f_max``
    above half the sample rate is refused.

    Args:
      n_mels, sample_rate, f_min, f_max, norm: as in torchaudio.
      n_stft: number of bins, at least 2.
      mel_scale: ``"htk"`` or ``"slaney"``.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxspec.compat import torchaudio
      >>> torchaudio.MelScale(n_mels=40)(jnp.ones((98, 201))).shape
      (98, 40)
    """
    n_stft = check_positive_int("n_stft", n_stft, minimum=2)
    return _mel_bank(2 * (n_stft - 1), n_mels, sample_rate, f_min, f_max, norm, mel_scale)


def MelSpectrogram(
    sample_rate: int = 16000,
    n_fft: int = 400,
    win_length: int | None = None,
    hop_length: int | None = None,
    f_min: float = 0.0,
    f_max: float | None = None,
    pad: int = 0,
    n_mels: int = 128,
    window_fn: WindowLike = "hann",
    power: float = 2.0,
    normalized: bool | str = False,
    wkwargs: Options = None,
    center: bool = True,
    pad_mode: str = "reflect",
    onesided: None = None,
    norm: str | None = None,
    mel_scale: str = "htk",
) -> FrontEnd:
    """``torchaudio.transforms.MelSpectrogram`` as a front-end: waveform to mel bands.

    Scale, norm, number of bands and hop differ from the defaults of `jaxspec.mel_spectrogram`. 128
    bands, the default, leave some empty at ``n_fft=400``, as torchaudio warns, too.

    Args:
      sample_rate, f_min, f_max, n_mels, norm, mel_scale: as in `MelScale`.
      n_fft, win_length, hop_length, pad, window_fn, normalized, wkwargs, center, pad_mode: as in
        `Spectrogram`.
      power: exponent of the magnitude, above 0.
      onesided: to be left out.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxspec.compat import torchaudio
      >>> torchaudio.MelSpectrogram(16000, n_fft=512, n_mels=40)(jnp.zeros(1024)).shape
      (5, 40)
    """
    refuse_changed("onesided", onesided, None, instead="it has no effect in torchaudio either")
    spectrogram = Spectrogram(
        n_fft=n_fft,
        win_length=win_length,
        hop_length=hop_length,
        pad=pad,
        window_fn=window_fn,
        power=check_number("power", power, above=0),
        normalized=normalized,
        wkwargs=wkwargs,
        center=center,
        pad_mode=pad_mode,
    )
    bank = _mel_bank(n_fft, n_mels, sample_rate, f_min, f_max, norm, mel_scale)
    return FrontEnd(spectrogram, bank)


def AmplitudeToDB(stype: str = "power", top_db: float | None = None) -> PowerToDb:
    """``torchaudio.transforms.AmplitudeToDB`` as a stage.

    ``top_db`` is counted from the largest value of each item, the last two axes. torchaudio takes
    one value for all channels, and for a whole batch of three axes.

    Args:
      stype: ``"power"``, or ``"magnitude"`` (or ``"amplitude"``); the floor is 1e-10 of either,
        where `jaxspec.amplitude_to_db` has 1e-5.
      top_db: above 0, or ``None``.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxspec.compat import torchaudio
      >>> torchaudio.AmplitudeToDB("magnitude", top_db=80)(jnp.array([[1.0, 0.1, 0.0]])).round(2)
      Array([[  0., -20., -80.]], dtype=float32)
    """
    check_choice("stype", stype, ("power", "magnitude", "amplitude"))
    cls = PowerToDb if stype == "power" else _AmplitudeToDb
    return cls(amin=1e-10, top_db=top_db)


def MFCC(
    sample_rate: int = 16000,
    n_mfcc: int = 40,
    dct_type: int = 2,
    norm: str | None = "ortho",
    log_mels: bool = False,
    melkwargs: Options = None,
) -> FrontEnd:
    """``torchaudio.transforms.MFCC`` as a front-end: waveform to cepstra.

    Decibels are held within 80 dB of the largest value of each item (torchaudio: of the whole
    batch). `jaxspec.mfcc` has other bands and 13 coefficients.

    Args:
      sample_rate, norm: as in torchaudio.
      n_mfcc: number of coefficients, at most that of the bands.
      dct_type: 2, as in torchaudio; for others use ``stages.DCT``.
      log_mels: ``ln(mel + 1e-6)`` in place of decibels.
      melkwargs: arguments of `MelSpectrogram`, but for ``sample_rate``.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxspec.compat import torchaudio
      >>> mfcc = torchaudio.MFCC(n_mfcc=13, melkwargs={"n_fft": 512, "n_mels": 40})
      >>> mfcc(jnp.zeros(1024)).shape
      (5, 13)
    """
    bands = MelSpectrogram(sample_rate, **dict(melkwargs or {}))
    return FrontEnd(bands, *_cepstrum("n_mfcc", n_mfcc, dct_type, norm, log_mels))


def LFCC(
    sample_rate: int = 16000,
    n_filter: int = 128,
    f_min: float = 0.0,
    f_max: float | None = None,
    n_lfcc: int = 40,
    dct_type: int = 2,
    norm: str | None = "ortho",
    log_lf: bool = False,
    speckwargs: Options = None,
) -> FrontEnd:
    """``torchaudio.transforms.LFCC`` as a front-end: cepstra of bands evenly spaced in Hz.

    Decibels as in `MFCC`. `jaxspec.lfcc` has a shorter hop.

    Args:
      sample_rate, f_min, f_max, norm: as in torchaudio.
      n_filter: number of bands.
      n_lfcc: number of coefficients, at most that of the bands.
      dct_type: 2, as in torchaudio.
      log_lf: ``ln(bands + 1e-6)`` in place of decibels.
      speckwargs: arguments of `Spectrogram`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxspec.compat import torchaudio
      >>> torchaudio.LFCC(n_filter=40, n_lfcc=13)(jnp.zeros(1000)).shape
      (6, 13)
    """
    options = dict(speckwargs or {})
    if options.get("power", 2.0) is None:
        raise ValueError("power must be a number above 0, got power=None: bands add up energies")
    bank = _bank(options.get("n_fft", 400), n_filter, sample_rate, f_min, f_max, None, "linear")
    return FrontEnd(
        Spectrogram(**options), bank, *_cepstrum("n_lfcc", n_lfcc, dct_type, norm, log_lf)
    )


def Preemphasis(coeff: float = 0.97) -> PreEmphasis:
    """``torchaudio.transforms.Preemphasis`` as a stage: the first sample stays as it is.

    Args:
      coeff: in [0, 1].

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxspec.compat import torchaudio
      >>> torchaudio.Preemphasis()(jnp.ones(3)).round(4)
      Array([1.  , 0.03, 0.03], dtype=float32)
    """
    return PreEmphasis(coef=check_number("coeff", coeff, at_least=0, at_most=1))


def _window(window_fn: Any, wkwargs: Options) -> tuple[WindowLike, bool]:
    """The window as `jaxspec.window` takes it, and whether it is periodic."""
    options = dict(wkwargs or {})
    if callable(window_fn):
        name = _WINDOWS.get(getattr(window_fn, "__name__", ""))
        if name is None:
            return functools.partial(window_fn, **options), True
        window_fn = name
    periodic = options.pop("periodic", True)
    check_choice("wkwargs['periodic']", periodic, (True, False))
    if window_fn == "kaiser":
        window_fn = ("kaiser", check_number("beta", options.pop("beta", 12.0)))
    if options:
        raise ValueError(
            f"wkwargs of a named window may hold 'periodic' (and 'beta' of Kaiser's), got "
            f"wkwargs={wkwargs!r}: give the values of the window, or a function that makes them"
        )
    return window_fn, periodic


def _mel_bank(
    n_fft: int,
    n_mels: int,
    sample_rate: int,
    f_min: float,
    f_max: float | None,
    norm: str | None,
    mel_scale: str,
) -> Filterbank:
    check_choice("norm", norm, (None, "slaney"))
    check_choice("mel_scale", mel_scale, ("htk", "slaney"))
    n_mels = check_positive_int("n_mels", n_mels)
    return _bank(n_fft, n_mels, sample_rate, f_min, f_max, norm, mel_scale)


def _bank(
    n_fft: int,
    n_bands: int,
    sample_rate: int,
    f_min: float,
    f_max: float | None,
    norm: str | None,
    scale: str,
) -> Filterbank:
    n_fft = check_positive_int("n_fft", n_fft)
    sample_rate = check_positive_int("sample_rate", sample_rate, minimum=2)
    if f_max is None:
        f_max = sample_rate // 2
    if n_fft % 2 == 0 and sample_rate % 2 == 0:
        return Filterbank(
            sample_rate=sample_rate,
            n_fft=n_fft,
            n_bands=n_bands,
            f_min=f_min,
            f_max=f_max,
            scale=scale,
            norm=norm,
        )
    # torchaudio lays its bins evenly from 0 to sample_rate // 2, which is a little off where
    # either number is odd. To meet its values, its bank is drawn at those places.
    _, f_min, f_max = check_band_range(sample_rate, f_min, f_max, scale)
    bins = np.linspace(0, sample_rate // 2, n_fft // 2 + 1)
    edges = band_edges(n_bands, f_min=f_min, f_max=f_max, scale=scale)
    matrix = draw(bins, edges, scale=scale, shape="triangle", domain="hz", norm=norm)
    return Filterbank(sample_rate=sample_rate, n_fft=n_fft, n_bands=n_bands, matrix=Table(matrix))


def _cepstrum(name: str, n_out: int, dct_type: int, norm: str | None, log: bool) -> list[Stage]:
    refuse_changed("dct_type", dct_type, 2, instead="build a FrontEnd with jaxspec.stages.DCT")
    n_out = check_positive_int(name, n_out)
    logarithm = Ln(amin=_LOG_OFFSET, floor="add") if log else PowerToDb(top_db=_TOP_DB)
    return [logarithm, DCT(n_out=n_out, norm=norm)]
