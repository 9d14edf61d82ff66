"""Frequency scales: Hz to mel (Slaney, HTK, Kaldi), Bark, ERB rate, octaves, and back.

One formula serves both worlds: NumPy input is computed in float64 with NumPy (constants), JAX
input in its own dtype with JAX (learnable frequencies), differentiably and without NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from jaxspec._checks import check_choice

__all__ = [
    "MEL_SCALES",
    "SCALES",
    "bark_to_hz",
    "erb_bandwidth",
    "erb_to_hz",
    "hz_to_bark",
    "hz_to_erb",
    "hz_to_mel",
    "hz_to_octave",
    "hz_to_scale",
    "mel_to_hz",
    "octave_to_hz",
    "scale_to_hz",
]

_Formula = Callable[[Any, ModuleType], Any]


class _Scale(NamedTuple):
    from_hz: _Formula
    to_hz: _Formula


# Slaney: 200/3 Hz a mel up to 1000 Hz, then 27 steps to a factor of 6.4.
_SLANEY_HZ_PER_MEL = 200.0 / 3.0
_SLANEY_CORNER_HZ = 1000.0
_SLANEY_CORNER = _SLANEY_CORNER_HZ / _SLANEY_HZ_PER_MEL
_SLANEY_STEP = float(np.log(6.4)) / 27.0


def _slaney_from_hz(f: Any, xp: ModuleType) -> Any:
    above = xp.log(xp.maximum(f, _SLANEY_CORNER_HZ) / _SLANEY_CORNER_HZ) / _SLANEY_STEP
    return xp.where(f < _SLANEY_CORNER_HZ, f / _SLANEY_HZ_PER_MEL, _SLANEY_CORNER + above)


def _slaney_to_hz(mel: Any, xp: ModuleType) -> Any:
    above = xp.exp(_SLANEY_STEP * (xp.maximum(mel, _SLANEY_CORNER) - _SLANEY_CORNER))
    below = mel * _SLANEY_HZ_PER_MEL
    return xp.where(mel < _SLANEY_CORNER, below, _SLANEY_CORNER_HZ * above)


def _log_scale(factor: float, corner: float) -> _Scale:
    """``factor * ln(1 + f / corner)``: linear up to about ``corner`` Hz, then logarithmic."""
    return _Scale(
        lambda f, xp: factor * xp.log1p(f / corner),
        lambda z, xp: corner * xp.expm1(z / factor),
    )


_OCTAVE_ZERO_HZ = 27.5  # the note A0

_SCALES: dict[str, _Scale] = {
    "linear": _Scale(lambda f, xp: 1.0 * f, lambda z, xp: 1.0 * z),
    "slaney": _Scale(_slaney_from_hz, _slaney_to_hz),
    "htk": _log_scale(2595.0 / float(np.log(10.0)), 700.0),
    "kaldi": _log_scale(1127.0, 700.0),
    "bark": _Scale(
        lambda f, xp: 26.81 * f / (1960.0 + f) - 0.53,
        lambda z, xp: 1960.0 * (z + 0.53) / (26.28 - z),
    ),
    "erb": _log_scale(21.4 / float(np.log(10.0)), 1000.0 / 4.37),
    "octave": _Scale(
        lambda f, xp: xp.log2(f / _OCTAVE_ZERO_HZ),
        lambda z, xp: _OCTAVE_ZERO_HZ * xp.exp2(z),
    ),
}

SCALES = tuple(_SCALES)
MEL_SCALES = ("slaney", "htk", "kaldi")


def _prepare(values: ArrayLike | jax.Array) -> tuple[Any, ModuleType]:
    if isinstance(values, jax.Array):
        is_float = jnp.issubdtype(values.dtype, jnp.floating)
        return values if is_float else values.astype(jnp.float32), jnp
    return np.asarray(values, dtype=np.float64), np


def hz_to_scale(frequencies: ArrayLike | jax.Array, *, scale: str) -> Any:
    """Frequencies in Hz on another scale.

    Args:
      frequencies: Hz, any shape; at least 0, above 0 for ``"octave"``.
      scale: ``"linear"`` (Hz), ``"slaney"``, ``"htk"``, ``"kaldi"`` (mel scales), ``"bark"``
        (Traunmüller 1990), ``"erb"`` (ERB rate, Glasberg and Moore 1990) or ``"octave"``
        (octaves above A0 = 27.5 Hz).

    Returns:
      An array of that shape: float64 NumPy for NumPy input and numbers, JAX for JAX input.

    Raises:
      ValueError: for an unknown scale, a negative frequency, or 0 Hz on the octave scale (the
        values of JAX arrays are not checked).

    Example:
      >>> import jaxspec
      >>> jaxspec.hz_to_scale([440.0, 1000.0, 4000.0], scale="slaney").round(3)
      array([ 6.6  , 15.   , 35.164])
      >>> jaxspec.hz_to_scale(440.0, scale="octave")
      np.float64(4.0)

    Reference:
      Slaney: M. Slaney, "Auditory Toolbox", Interval Research TR 1998-010. HTK: S. Young et al.,
      "The HTK Book". Bark: H. Traunmüller, JASA 88(1), 1990. ERB: B. R. Glasberg and B. C. J.
      Moore, Hearing Research 47, 1990.
    """
    check_choice("scale", scale, SCALES)
    values, xp = _prepare(frequencies)
    if xp is np:
        low = values.min() if values.size else 1.0
        if not (low > 0 if scale == "octave" else low >= 0):
            bound = "> 0 on the octave scale" if scale == "octave" else ">= 0"
            raise ValueError(f"frequencies must be {bound} (Hz), got a frequency of {low:g}")
    return _SCALES[scale].from_hz(values, xp)


def scale_to_hz(values: ArrayLike | jax.Array, *, scale: str) -> Any:
    """The inverse of `hz_to_scale`.

    Args:
      values: positions on the scale, any shape.
      scale: as in `hz_to_scale`.

    Example:
      >>> import jaxspec
      >>> jaxspec.scale_to_hz(jaxspec.hz_to_scale(4000.0, scale="erb"), scale="erb").round(6)
      np.float64(4000.0)
    """
    check_choice("scale", scale, SCALES)
    array, xp = _prepare(values)
    return _SCALES[scale].to_hz(array, xp)


def hz_to_mel(frequencies: ArrayLike | jax.Array, *, mel_scale: str = "slaney") -> Any:
    """Hz to mel: `hz_to_scale` for ``mel_scale`` in ``"slaney"``, ``"htk"``, ``"kaldi"``.

    Args:
      frequencies: Hz, any shape.
      mel_scale: one of these three.

    Example:
      >>> import jaxspec
      >>> jaxspec.hz_to_mel(440.0, mel_scale="htk").round(4)
      np.float64(549.6387)
    """
    check_choice("mel_scale", mel_scale, MEL_SCALES)
    return hz_to_scale(frequencies, scale=mel_scale)


def mel_to_hz(mels: ArrayLike | jax.Array, *, mel_scale: str = "slaney") -> Any:
    """Mel to Hz, the inverse of `hz_to_mel`.

    Args:
      mels: any shape.
      mel_scale: as in `hz_to_mel`.

    Example:
      >>> import jaxspec
      >>> jaxspec.mel_to_hz(15.0).round(6)
      np.float64(1000.0)
    """
    check_choice("mel_scale", mel_scale, MEL_SCALES)
    return scale_to_hz(mels, scale=mel_scale)


def hz_to_bark(frequencies: ArrayLike | jax.Array) -> Any:
    """Hz to Bark: ``26.81 f / (1960 + f) - 0.53`` (Traunmüller 1990, without end corrections).

    Args:
      frequencies: Hz, any shape.

    Example:
      >>> import jaxspec
      >>> jaxspec.hz_to_bark(1000.0).round(3)
      np.float64(8.527)
    """
    return hz_to_scale(frequencies, scale="bark")


def bark_to_hz(barks: ArrayLike | jax.Array) -> Any:
    """Bark to Hz, the inverse of `hz_to_bark`.

    Args:
      barks: below 26.28, any shape.

    Example:
      >>> import jaxspec
      >>> jaxspec.bark_to_hz(jaxspec.hz_to_bark(1000.0)).round(6)
      np.float64(1000.0)
    """
    return scale_to_hz(barks, scale="bark")


def hz_to_erb(frequencies: ArrayLike | jax.Array) -> Any:
    """Hz to ERB rate (Cams): ``21.4 log10(1 + 0.00437 f)`` (Glasberg and Moore 1990).

    Args:
      frequencies: Hz, any shape.

    Example:
      >>> import jaxspec
      >>> jaxspec.hz_to_erb(1000.0).round(3)
      np.float64(15.621)
    """
    return hz_to_scale(frequencies, scale="erb")


def erb_to_hz(erbs: ArrayLike | jax.Array) -> Any:
    """ERB rate (Cams) to Hz, the inverse of `hz_to_erb`.

    Args:
      erbs: any shape.

    Example:
      >>> import jaxspec
      >>> jaxspec.erb_to_hz(jaxspec.hz_to_erb(1000.0)).round(6)
      np.float64(1000.0)
    """
    return scale_to_hz(erbs, scale="erb")


def erb_bandwidth(frequencies: ArrayLike | jax.Array) -> Any:
    """The equivalent rectangular bandwidth in Hz at a frequency: ``24.7 (0.00437 f + 1)``.

    Args:
      frequencies: Hz, any shape.

    Example:
      >>> import jaxspec
      >>> jaxspec.erb_bandwidth(1000.0).round(3)
      np.float64(132.639)
    """
    values, _ = _prepare(frequencies)
    return 24.7 * (0.00437 * values + 1.0)


def hz_to_octave(frequencies: ArrayLike | jax.Array) -> Any:
    """Hz to octaves above A0 = 27.5 Hz: ``log2(f / 27.5)``; as ``librosa.hz_to_octs``.

    Args:
      frequencies: Hz, above 0, any shape.

    Example:
      >>> import jaxspec
      >>> jaxspec.hz_to_octave(440.0)
      np.float64(4.0)
    """
    return hz_to_scale(frequencies, scale="octave")


def octave_to_hz(octaves: ArrayLike | jax.Array) -> Any:
    """Octaves above A0 = 27.5 Hz to Hz, the inverse of `hz_to_octave`.

    Args:
      octaves: any shape.

    Example:
      >>> import jaxspec
      >>> jaxspec.octave_to_hz(4.0)
      np.float64(440.0)
    """
    return scale_to_hz(octaves, scale="octave")
