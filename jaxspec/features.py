"""From waveform to features in one call.

Each function builds a `jaxspec.FrontEnd` and calls it, so functions and stages share one path.
For training, or to evaluate many clips, build the front-end yourself.
"""

from __future__ import annotations

from typing import Any

import jax

from jaxspec._checks import check_choice, check_number, check_positive_int
from jaxspec.frontend import FrontEnd
from jaxspec.scales import MEL_SCALES
from jaxspec.stage import Stage
from jaxspec.stages import DCT, STFT, Filterbank, Lifter, Ln, Log10, Power, PowerToDb
from jaxspec.windows import WindowLike

__all__ = ["LOGS", "lfcc", "log_mel_spectrogram", "mel_spectrogram", "mfcc", "spectrogram"]

LOGS = ("ln", "log10", "db")


def spectrogram(
    x: jax.Array,
    *,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: WindowLike = "hann",
    periodic: bool = True,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: str | None = None,
    power: float = 2.0,
) -> jax.Array:
    """Magnitudes of the short-time Fourier transform to a power.

    Args:
      x: waveform ``(..., samples)``.
      n_fft, hop_length, win_length, window, periodic, center, pad_mode, normalized: as in
        `jaxspec.stft`.
      power: exponent of the magnitude, above 0; see `jaxspec.power`.

    Returns:
      real ``(..., frames, n_fft // 2 + 1)`` in the dtype of ``x``.

    Raises:
      TypeError: if ``x`` is integer or complex.
      ValueError: as `jaxspec.stft` and `jaxspec.power`.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.spectrogram(jnp.zeros((2, 16000)), n_fft=400, hop_length=160).shape
      (2, 101, 201)
    """
    stages = _spectrogram_stages(
        n_fft=n_fft,
        hop_length=hop_length,
        win_length=win_length,
        window=window,
        periodic=periodic,
        center=center,
        pad_mode=pad_mode,
        normalized=normalized,
        power=power,
    )
    return FrontEnd(*stages)(x)


def mel_spectrogram(
    x: jax.Array,
    *,
    sample_rate: float,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: WindowLike = "hann",
    periodic: bool = True,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: str | None = None,
    power: float = 2.0,
    n_mels: int = 80,
    f_min: float = 0.0,
    f_max: float | None = None,
    mel_scale: str = "slaney",
    norm: str | float | None = "slaney",
    domain: str = "hz",
) -> jax.Array:
    """A spectrogram in mel bands.

    Args:
      x: waveform ``(..., samples)``.
      sample_rate: Hz.
      n_fft, hop_length, win_length, window, periodic, center, pad_mode, normalized: as in
        `jaxspec.stft`.
      power: exponent of the magnitude before the bands.
      n_mels, f_min, f_max, mel_scale, norm, domain: as in `jaxspec.mel_filterbank`.

    Returns:
      real ``(..., frames, n_mels)`` in the dtype of ``x``.

    Raises:
      TypeError: if ``x`` is integer or complex.
      ValueError: as `jaxspec.stft` and `jaxspec.mel_filterbank`.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> x = jnp.zeros((2, 16000))
      >>> jaxspec.mel_spectrogram(x, sample_rate=16000, n_fft=400, hop_length=160).shape
      (2, 101, 80)

    Reference:
      ``librosa.feature.melspectrogram``, whose own defaults are ``n_fft=2048, hop_length=512,
      n_mels=128, pad_mode="constant"``;
      ``torchaudio.transforms.MelSpectrogram`` with ``mel_scale="htk", norm=None``.
    """
    stages = _spectrogram_stages(
        n_fft=n_fft,
        hop_length=hop_length,
        win_length=win_length,
        window=window,
        periodic=periodic,
        center=center,
        pad_mode=pad_mode,
        normalized=normalized,
        power=power,
    )
    bank = _mel_bank(
        sample_rate=sample_rate,
        n_fft=n_fft,
        n_mels=n_mels,
        f_min=f_min,
        f_max=f_max,
        mel_scale=mel_scale,
        norm=norm,
        domain=domain,
    )
    return FrontEnd(*stages, bank)(x)


def log_mel_spectrogram(
    x: jax.Array,
    *,
    sample_rate: float,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: WindowLike = "hann",
    periodic: bool = True,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: str | None = None,
    power: float = 2.0,
    n_mels: int = 80,
    f_min: float = 0.0,
    f_max: float | None = None,
    mel_scale: str = "slaney",
    norm: str | float | None = "slaney",
    domain: str = "hz",
    log: str = "ln",
    amin: float = 1e-10,
    floor: str = "clamp",
    top_db: float | None = None,
) -> jax.Array:
    """The logarithm of a mel spectrogram.

    Args:
      x: waveform ``(..., samples)``.
      sample_rate: Hz.
      n_fft, hop_length, win_length, window, periodic, center, pad_mode, normalized: as in
        `jaxspec.stft`.
      power: exponent of the magnitude before the bands.
      n_mels, f_min, f_max, mel_scale, norm, domain: as in `jaxspec.mel_filterbank`.
      log: ``"ln"`` (`jaxspec.ln`), ``"log10"`` (`jaxspec.log10`) or ``"db"``
        (`jaxspec.power_to_db`).
      amin: the floor, above 0.
      floor: ``"clamp"`` or ``"add"``; decibels are always clamped.
      top_db: range kept below the maximum of each item; only with ``log="db"``.

    Returns:
      real ``(..., frames, n_mels)`` in the dtype of ``x``.

    Raises:
      TypeError: if ``x`` is integer or complex.
      ValueError: as `jaxspec.mel_spectrogram`, and for an option that the kind of logarithm does
        not have.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> features = jaxspec.log_mel_spectrogram(
      ...     jnp.zeros(16000), sample_rate=16000, n_fft=400, hop_length=160, n_mels=40)
      >>> features.shape, features[0, 0].round(3)
      ((101, 40), Array(-23.026, dtype=float32))
    """
    stages = _spectrogram_stages(
        n_fft=n_fft,
        hop_length=hop_length,
        win_length=win_length,
        window=window,
        periodic=periodic,
        center=center,
        pad_mode=pad_mode,
        normalized=normalized,
        power=power,
    )
    bank = _mel_bank(
        sample_rate=sample_rate,
        n_fft=n_fft,
        n_mels=n_mels,
        f_min=f_min,
        f_max=f_max,
        mel_scale=mel_scale,
        norm=norm,
        domain=domain,
    )
    logarithm = _logarithm(log, amin=amin, floor=floor, top_db=top_db)
    return FrontEnd(*stages, bank, logarithm)(x)


def mfcc(
    x: jax.Array,
    *,
    sample_rate: float,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: WindowLike = "hann",
    periodic: bool = True,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: str | None = None,
    power: float = 2.0,
    n_mels: int = 80,
    f_min: float = 0.0,
    f_max: float | None = None,
    mel_scale: str = "slaney",
    norm: str | float | None = "slaney",
    domain: str = "hz",
    log: str = "db",
    amin: float = 1e-10,
    floor: str = "clamp",
    top_db: float | None = 80.0,
    n_mfcc: int = 13,
    dct_type: int = 2,
    dct_norm: str | None = "ortho",
    lifter: float | None = None,
    lifter_form: str = "kaldi",
) -> jax.Array:
    """Mel-frequency cepstral coefficients.

    Args:
      x: waveform ``(..., samples)``.
      sample_rate: Hz.
      n_fft, hop_length, win_length, window, periodic, center, pad_mode, normalized: as in
        `jaxspec.stft`.
      power: exponent of the magnitude before the bands.
      n_mels, f_min, f_max, mel_scale, norm, domain: as in `jaxspec.mel_filterbank`.
      log, amin, floor, top_db: as in `jaxspec.log_mel_spectrogram`; the default is librosa's.
        For ``"ln"`` and ``"log10"`` set ``top_db=None``.
      n_mfcc: number of coefficients, the 0th included; at most ``n_mels``.
      dct_type, dct_norm: ``dct_type`` and ``norm`` of `jaxspec.dct`.
      lifter: of `jaxspec.lifter`; default none.
      lifter_form: ``form`` of `jaxspec.lifter`; only with ``lifter``.

    Returns:
      real ``(..., frames, n_mfcc)`` in the dtype of ``x``.

    Raises:
      TypeError: if ``x`` is integer or complex.
      ValueError: as `jaxspec.log_mel_spectrogram`, and for ``n_mfcc > n_mels``.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> x = jnp.zeros((2, 16000))
      >>> jaxspec.mfcc(x, sample_rate=16000, n_fft=512, hop_length=160, n_mels=40).shape
      (2, 101, 13)

    Reference:
      S. Davis and P. Mermelstein, IEEE TASSP 28(4), 1980. Values as ``librosa.feature.mfcc``,
      whose own defaults are ``n_fft=2048, hop_length=512, n_mels=128, pad_mode="constant",
      n_mfcc=20``.
    """
    stages = _spectrogram_stages(
        n_fft=n_fft,
        hop_length=hop_length,
        win_length=win_length,
        window=window,
        periodic=periodic,
        center=center,
        pad_mode=pad_mode,
        normalized=normalized,
        power=power,
    )
    bank = _mel_bank(
        sample_rate=sample_rate,
        n_fft=n_fft,
        n_mels=n_mels,
        f_min=f_min,
        f_max=f_max,
        mel_scale=mel_scale,
        norm=norm,
        domain=domain,
    )
    cepstrum = _cepstrum(
        check_positive_int("n_mfcc", n_mfcc), dct_type, dct_norm, lifter, lifter_form
    )
    logarithm = _logarithm(log, amin=amin, floor=floor, top_db=top_db)
    return FrontEnd(*stages, bank, logarithm, *cepstrum)(x)


def lfcc(
    x: jax.Array,
    *,
    sample_rate: float,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: WindowLike = "hann",
    periodic: bool = True,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: str | None = None,
    power: float = 2.0,
    n_bands: int = 128,
    f_min: float = 0.0,
    f_max: float | None = None,
    log: str = "db",
    amin: float = 1e-10,
    floor: str = "clamp",
    top_db: float | None = 80.0,
    n_lfcc: int = 40,
    dct_type: int = 2,
    dct_norm: str | None = "ortho",
    lifter: float | None = None,
    lifter_form: str = "kaldi",
) -> jax.Array:
    """Linear-frequency cepstral coefficients: `mfcc` with triangles evenly spaced in Hz.

    Args:
      x: waveform ``(..., samples)``.
      sample_rate: Hz.
      n_fft, hop_length, win_length, window, periodic, center, pad_mode, normalized: as in
        `jaxspec.stft`.
      power: exponent of the magnitude before the bands.
      n_bands, f_min, f_max: as in `jaxspec.filterbank`, with ``scale="linear"``.
      log, amin, floor, top_db, dct_type, dct_norm, lifter, lifter_form: as in `jaxspec.mfcc`.
      n_lfcc: number of coefficients, the 0th included; at most ``n_bands``.

    Returns:
      real ``(..., frames, n_lfcc)`` in the dtype of ``x``.

    Raises:
      TypeError: if ``x`` is integer or complex.
      ValueError: as `jaxspec.mfcc`.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> x = jnp.zeros((2, 16000))
      >>> jaxspec.lfcc(x, sample_rate=16000, n_fft=512, hop_length=160).shape
      (2, 101, 40)

    Reference:
      ``torchaudio.transforms.LFCC``.
    """
    stages = _spectrogram_stages(
        n_fft=n_fft,
        hop_length=hop_length,
        win_length=win_length,
        window=window,
        periodic=periodic,
        center=center,
        pad_mode=pad_mode,
        normalized=normalized,
        power=power,
    )
    bank = Filterbank(
        sample_rate=sample_rate,
        n_fft=n_fft,
        n_bands=n_bands,
        f_min=f_min,
        f_max=f_max,
        scale="linear",
        norm=None,
    )
    cepstrum = _cepstrum(
        check_positive_int("n_lfcc", n_lfcc), dct_type, dct_norm, lifter, lifter_form
    )
    logarithm = _logarithm(log, amin=amin, floor=floor, top_db=top_db)
    return FrontEnd(*stages, bank, logarithm, *cepstrum)(x)


def _spectrogram_stages(*, power: float, **options: Any) -> tuple[Stage, Stage]:
    check_number("power", power, above=0)
    return STFT(**options), Power(exponent=power)


def _mel_bank(*, n_mels: int, mel_scale: str, **options: Any) -> Filterbank:
    check_choice("mel_scale", mel_scale, MEL_SCALES)
    n_mels = check_positive_int("n_mels", n_mels)
    return Filterbank(n_bands=n_mels, scale=mel_scale, **options)


def _logarithm(log: str, *, amin: float, floor: str, top_db: float | None) -> Stage:
    check_choice("log", log, LOGS)
    if log == "db":
        if floor != "clamp":
            raise ValueError(f'floor must be "clamp" with log="db", got floor={floor!r}')
        return PowerToDb(amin=amin, top_db=top_db)
    if top_db is not None:
        raise ValueError(f'top_db must be None with log="{log}", got top_db={top_db!r}')
    return (Ln if log == "ln" else Log10)(amin=amin, floor=floor)


def _cepstrum(
    n_out: int, dct_type: int, dct_norm: str | None, lifter: float | None, lifter_form: str
) -> list[Stage]:
    stages: list[Stage] = [DCT(n_out=n_out, dct_type=dct_type, norm=dct_norm)]
    if lifter is not None:
        stages.append(Lifter(lifter=lifter, form=lifter_form))
    elif lifter_form != "kaldi":
        raise ValueError(f"lifter_form has no effect without lifter, got {lifter_form!r}")
    return stages
