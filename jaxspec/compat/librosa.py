"""Functions of librosa 0.11 and 1.0 that return stages.

A call such as ``librosa.feature.melspectrogram(y=y, sr=sr)`` becomes
``compat.librosa.melspectrogram(sr=sr)(y)``. Names, argument names and defaults are librosa's (what
it takes as ``**kwargs`` is spelled out); the layout is ours: ``(..., frames, channels)``, which is
librosa's transposed. Where librosa looks at a whole array (``top_db``, ``ref=np.max``), a stage
looks at each item of a batch, as librosa 1.0 does.

librosa computes its mel banks in float32 unless told otherwise; here everything has the dtype of
the signal. ``librosa.effects.preemphasis`` and ``librosa.feature.delta`` are the functions
``jaxspec.preemphasis(x, first="librosa")`` and ``jaxspec.delta(x, edge="interp")``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_number
from jaxspec.compat._arguments import refuse_changed, refuse_signal
from jaxspec.frontend import FrontEnd
from jaxspec.smoothing import smoothing_for_time_constant
from jaxspec.stages import DCT, PCEN, STFT, AmplitudeToDb, Filterbank, Lifter, Power, PowerToDb
from jaxspec.windows import WindowLike

__all__ = [
    "amplitude_to_db",
    "mel",
    "melspectrogram",
    "mfcc",
    "pcen",
    "power_to_db",
    "stft",
]

Reference = float | str | Callable[..., Any]


def stft(
    y: None = None,
    *,
    n_fft: int = 2048,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: WindowLike = "hann",
    center: bool = True,
    dtype: None = None,
    pad_mode: str = "constant",
    out: None = None,
) -> STFT:
    """``librosa.stft`` as a stage: waveform to complex spectrum.

    The padding differs from that of `jaxspec.stft`, ``"reflect"``.

    Args:
      y: to be left out; call the result with it.
      n_fft, hop_length, win_length, window, center: as in librosa and `jaxspec.stft`.
      dtype, out: to be left out; the spectrum is as wide as the signal.
      pad_mode: as in librosa; a mode of `jaxspec.stft`. With ``center=False`` it has no effect.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxspec.compat import librosa
      >>> librosa.stft(n_fft=512)(jnp.zeros(1024)).shape
      (9, 257)
    """
    refuse_signal("stft", "y", y)
    refuse_changed("dtype", dtype, None, instead="cast the signal, or the spectrum")
    refuse_changed("out", out, None, instead="arrays are never written to; use the result")
    return STFT(
        n_fft=n_fft,
        hop_length=hop_length,
        win_length=win_length,
        window=window,
        center=center,
        # The default of librosa has no effect without padding, ours is the only one allowed.
        pad_mode="reflect" if not center and pad_mode == "constant" else pad_mode,
    )


def mel(
    *,
    sr: float,
    n_fft: int,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    htk: bool = False,
    norm: str | float | None = "slaney",
    dtype: Any = np.float32,
) -> Filterbank:
    """``librosa.filters.mel`` as a stage: spectrogram to mel bands.

    The matrix is ``jaxspec.mel_filterbank`` (transposed). ``fmax`` above half the sample rate,
    which librosa allows, is refused.

    Args:
      sr, n_fft, n_mels, fmin, fmax, norm: as in librosa.
      htk: HTK's mel scale in place of Slaney's.
      dtype: to be left as it is; the bank takes the dtype of what it is applied to.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxspec.compat import librosa
      >>> librosa.mel(sr=16000, n_fft=512, n_mels=40)(jnp.ones((98, 257))).shape
      (98, 40)
    """
    _refuse_dtype(dtype)
    return Filterbank(
        sample_rate=sr,
        n_fft=n_fft,
        n_bands=n_mels,
        f_min=fmin,
        f_max=fmax,
        scale="htk" if htk else "slaney",
        norm="peak" if isinstance(norm, float) and norm == math.inf else norm,
    )


def melspectrogram(
    *,
    y: None = None,
    sr: float = 22050,
    S: None = None,
    n_fft: int = 2048,
    hop_length: int | None = 512,
    win_length: int | None = None,
    window: WindowLike = "hann",
    center: bool = True,
    pad_mode: str = "constant",
    power: float = 2.0,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    htk: bool = False,
    norm: str | float | None = "slaney",
    dtype: Any = np.float32,
) -> FrontEnd:
    """``librosa.feature.melspectrogram`` as a front-end: waveform to mel bands.

    `jaxspec.mel_spectrogram` has other defaults: 80 bands, reflection at the edges, a hop of
    ``win_length // 4``, and no sample rate and no ``n_fft`` at all.

    Args:
      y, S: to be left out; call the result with the waveform. For a spectrogram use `mel`.
      sr, n_mels, fmin, fmax, htk, norm, dtype: as in `mel`.
      n_fft, hop_length, win_length, window, center, pad_mode: as in `stft`.
      power: exponent of the magnitude, above 0.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxspec.compat import librosa
      >>> librosa.melspectrogram(sr=16000, n_fft=512, n_mels=40)(jnp.zeros((2, 1024))).shape
      (2, 3, 40)
    """
    refuse_signal("melspectrogram", "y", y)
    refuse_changed("S", S, None, instead="apply mel(sr=..., n_fft=...) to a spectrogram")
    spectrum = stft(
        n_fft=n_fft,
        hop_length=hop_length,
        win_length=win_length,
        window=window,
        center=center,
        pad_mode=pad_mode,
    )
    bank = mel(
        sr=sr, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax, htk=htk, norm=norm, dtype=dtype
    )
    return FrontEnd(spectrum, Power(exponent=power), bank)


def mfcc(
    *,
    y: None = None,
    sr: float = 22050,
    S: None = None,
    n_mfcc: int = 20,
    dct_type: int = 2,
    norm: str | None = "ortho",
    lifter: float = 0,
    mel_norm: str | float | None = "slaney",
    n_fft: int = 2048,
    hop_length: int | None = 512,
    win_length: int | None = None,
    window: WindowLike = "hann",
    center: bool = True,
    pad_mode: str = "constant",
    power: float = 2.0,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    htk: bool = False,
    dtype: Any = np.float32,
) -> FrontEnd:
    """``librosa.feature.mfcc`` as a front-end: waveform to cepstra.

    Decibels are held within 80 dB of the largest value of each item. `jaxspec.mfcc` has other
    defaults: 13 coefficients of 80 bands, and those of `jaxspec.mel_spectrogram`.

    Args:
      y, S: to be left out; call the result with the waveform. For log-mel bands use
        ``stages.DCT(n_out=n_mfcc)``.
      n_mfcc: number of coefficients, the 0th included; at most ``n_mels``.
      dct_type, norm: of the discrete cosine transform.
      lifter: 0 for none; librosa counts the coefficients from 1.
      mel_norm: ``norm`` of `mel`.
      sr, n_mels, fmin, fmax, htk, dtype: as in `mel`.
      n_fft, hop_length, win_length, window, center, pad_mode, power: as in `melspectrogram`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxspec.compat import librosa
      >>> librosa.mfcc(sr=16000, n_fft=512, n_mels=40, n_mfcc=13)(jnp.ones(1024)).shape
      (3, 13)
    """
    refuse_signal("mfcc", "y", y)
    refuse_changed("S", S, None, instead="apply jaxspec.stages.DCT(n_out=...) to log-mel bands")
    bands = melspectrogram(
        sr=sr,
        n_fft=n_fft,
        hop_length=hop_length,
        win_length=win_length,
        window=window,
        center=center,
        pad_mode=pad_mode,
        power=power,
        n_mels=n_mels,
        fmin=fmin,
        fmax=fmax,
        htk=htk,
        norm=mel_norm,
        dtype=dtype,
    )
    lifter = check_number("lifter", lifter, at_least=0)
    liftering = [Lifter(lifter=lifter, form="librosa")] if lifter else []
    cepstrum = DCT(n_out=n_mfcc, dct_type=dct_type, norm=norm)
    return FrontEnd(bands, power_to_db(), cepstrum, *liftering)


def power_to_db(
    S: None = None,
    *,
    ref: Reference = 1.0,
    amin: float = 1e-10,
    top_db: float | None = 80.0,
    axes: str = "auto",
) -> PowerToDb:
    """``librosa.power_to_db`` as a stage.

    `jaxspec.power_to_db` has no ``top_db`` unless told.

    Args:
      S: to be left out; call the result with it.
      ref: the power of 0 dB: a number above 0, or ``numpy.max`` (or ``"max"``) for the largest
        value of each item.
      amin: the floor.
      top_db: the range kept below the largest value of each item, or ``None``. librosa 0.11 takes
        that of the whole array.
      axes: (librosa 1.0) to be left as it is: items are the last two axes.

    Example:
      >>> import jax.numpy as jnp, numpy as np
      >>> from jaxspec.compat import librosa
      >>> librosa.power_to_db(ref=np.max)(jnp.array([[10.0, 1.0, 0.0]])).round(3)
      Array([[ -0., -10., -80.]], dtype=float32)
    """
    refuse_signal("power_to_db", "S", S)
    _refuse_axes(axes)
    return PowerToDb(ref=_reference(ref), amin=amin, top_db=top_db)


def amplitude_to_db(
    S: None = None,
    *,
    ref: Reference = 1.0,
    amin: float = 1e-5,
    top_db: float | None = 80.0,
    axes: str = "auto",
) -> AmplitudeToDb:
    """``librosa.amplitude_to_db`` as a stage, of magnitudes (not of a complex spectrum).

    `jaxspec.amplitude_to_db` has no ``top_db`` unless told.

    Args:
      S: to be left out; call the result with it.
      ref, amin, top_db, axes: as in `power_to_db`, of magnitudes.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxspec.compat import librosa
      >>> librosa.amplitude_to_db()(jnp.array([[1.0, 0.1, 0.0]])).round(2)
      Array([[  0., -20., -80.]], dtype=float32)
    """
    refuse_signal("amplitude_to_db", "S", S)
    _refuse_axes(axes)
    return AmplitudeToDb(ref=_reference(ref), amin=amin, top_db=top_db)


def pcen(
    S: None = None,
    *,
    sr: float = 22050,
    hop_length: int = 512,
    gain: float = 0.98,
    bias: float = 2,
    power: float = 0.5,
    time_constant: float = 0.4,
    eps: float = 1e-6,
    b: float | None = None,
    max_size: int = 1,
    ref: None = None,
    axis: int = -1,
    max_axis: None = None,
    zi: None = None,
    return_zf: bool = False,
) -> PCEN:
    """``librosa.pcen`` as a stage.

    It starts from the steady state of an input of 1, as librosa does; `jaxspec.pcen` starts from
    the first frame unless told ``start="librosa"``. ``gain`` and ``power`` are at most 1.

    Args:
      S: to be left out; call the result with it.
      sr, hop_length, time_constant: the smoothing, by its time constant in seconds.
      gain, bias, power, eps: as in librosa.
      b: the smoothing coefficient itself; then the three above must keep their defaults.
      max_size, ref, axis, max_axis, zi, return_zf: to be left as they are. For a state, and one
        to go on with, there is ``jaxspec.pcen(x, level=..., return_level=True)``.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxspec.compat import librosa
      >>> librosa.pcen(sr=16000, hop_length=160)(3 * jnp.ones((2, 1))).round(3)
      Array([[0.791],
             [0.763]], dtype=float32)
    """
    refuse_signal("pcen", "S", S)
    filtered = "smooth over frequency before, as a step of your own"
    refuse_changed("max_size", max_size, 1, instead=filtered)
    refuse_changed("max_axis", max_axis, None, instead=filtered)
    refuse_changed("ref", ref, None, instead="a stage sees one input; smooth and divide yourself")
    refuse_changed("axis", axis, -1, instead="time is the last axis but one here; transpose")
    refuse_changed("zi", zi, None, instead="use jaxspec.pcen(x, level=...), level = zi / (1 - b)")
    refuse_changed("return_zf", return_zf, False, instead="use jaxspec.pcen(x, return_level=True)")
    if b is None:
        b = smoothing_for_time_constant(time_constant, sample_rate=sr, hop_length=hop_length)
    else:
        unused = "b is the smoothing itself; leave out one of the two"
        refuse_changed("sr", sr, 22050, instead=unused)
        refuse_changed("hop_length", hop_length, 512, instead=unused)
        refuse_changed("time_constant", time_constant, 0.4, instead=unused)
    return PCEN(gain=gain, bias=bias, power=power, smoothing=b, eps=eps, start="librosa")


def _reference(ref: Reference) -> float | str:
    if callable(ref):
        if ref in (np.max, np.amax, jnp.max):
            return "max"
        raise ValueError(
            f"ref must be a number or numpy.max, got ref={ref!r}: take the decibels of another "
            f"reference off the result"
        )
    return ref


def _refuse_axes(axes: Any) -> None:
    refuse_changed("axes", axes, "auto", instead="items are the last two axes; reshape")


def _refuse_dtype(dtype: Any) -> None:
    try:
        same = np.dtype(dtype) == np.float32 and dtype is not None
    except TypeError:
        same = False
    if not same:
        raise ValueError(
            f"dtype must be numpy.float32 here, got dtype={dtype!r}: the bank takes the dtype of "
            f"what it is applied to; for a matrix call jaxspec.mel_filterbank (float64)"
        )
