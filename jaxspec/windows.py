"""Analysis windows as NumPy float64 tables, computed once and cast to the dtype of the signal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxspec._checks import check_positive_int
from jaxspec.table import Table

__all__ = ["WindowLike", "held", "window", "window_in_frame"]

WindowLike = str | float | tuple[Any, ...] | np.ndarray | Table | Callable[[int], Any]
"""What a ``window=`` argument takes: see `window`."""

# Sums of cosines sum_k (-1)^k a_k cos(2 pi k n / N) need no SciPy, whose signal package takes
# longer to import than JAX itself; every other name is asked of SciPy.
_COSINES = {
    "boxcar": (1.0,),
    "rectangular": (1.0,),
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.50, 0.08),
}


def window(name: WindowLike, length: int, *, periodic: bool = True) -> np.ndarray:
    """An analysis window.

    Args:
      name: one of
        - a name or a ``(name, parameter, …)`` tuple that ``scipy.signal.get_window`` knows
          (a bare number is the beta of a Kaiser window, as in SciPy);
        - ``"povey"`` (Kaldi: Hann to the power 0.85), ``"sqrt_hann"``, ``"rectangular"``;
        - an array of ``length`` values, taken as it is;
        - a callable ``f(length)`` that returns such an array.
      length: number of samples, at least 1.
      periodic: ``True`` for spectral analysis (the window of ``length + 1`` samples without its
        last one), ``False`` for the symmetric form. It has no effect on arrays and callables,
        so it is refused there.

    Returns:
      float64 array of shape ``(length,)``.

    Raises:
      ValueError: for an unknown name, an array of another length, or values that are not finite.

    Example:
      >>> import jaxspec
      >>> jaxspec.window("hann", 4)
      array([0. , 0.5, 1. , 0.5])
      >>> jaxspec.window("hann", 5, periodic=False)
      array([0. , 0.5, 1. , 0.5, 0. ])

    Reference:
      F. J. Harris, "On the use of windows for harmonic analysis with the discrete Fourier
      transform", Proc. IEEE 66(1), 1978. Povey: ``FeatureWindowFunction`` in Kaldi.
    """
    length = check_positive_int("length", length)
    if _holds_values(name):
        if not periodic:
            raise ValueError(
                "periodic=False has no effect on a window given as an array or a callable; give "
                "the values of the symmetric window"
            )
        return _from_values(name(length) if callable(name) else name, length)
    if name == "povey":
        return _named("hann", length, periodic) ** 0.85
    if name == "sqrt_hann":
        return np.sqrt(_named("hann", length, periodic))
    return _named(name, length, periodic)


def held(name: WindowLike, length: int, *, periodic: bool) -> WindowLike:
    """A window as a choice of a stage: checked, and an array or a callable as a `Table`."""
    values = window(name, length, periodic=periodic)  # an unknown name is refused here
    return Table(values) if _holds_values(name) else name


def _holds_values(name: Any) -> bool:
    """Whether a window is given by its values (an array, or a callable that makes one)."""
    return callable(name) or isinstance(name, Table | list) or hasattr(name, "__array__")


def _from_values(values: Any, length: int) -> np.ndarray:
    array = np.array(Table(values).values)
    if array.shape != (length,):
        raise ValueError(
            f"window must hold win_length values, got a window of shape {array.shape} for "
            f"win_length={length}"
        )
    return array


def _named(name: Any, length: int, periodic: bool) -> np.ndarray:
    if isinstance(name, str) and name in _COSINES:
        if length == 1:
            return np.ones(1)
        period = length if periodic else length - 1
        turns = 2 * np.pi * np.arange(length) / period
        table = np.zeros(length)
        for k, coefficient in enumerate(_COSINES[name]):
            table += (-1) ** k * coefficient * np.cos(k * turns)
        return np.maximum(table, 0.0)  # rounding leaves -1e-17 where the window is 0
    from scipy.signal import get_window

    try:
        return np.asarray(get_window(name, length, fftbins=periodic), dtype=np.float64)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"window must be a name that scipy.signal.get_window knows, 'povey', 'sqrt_hann', "
            f"'rectangular', an array or a callable; got window={name!r}: {error}"
        ) from error


def window_in_frame(
    name: WindowLike, *, n_fft: int, win_length: int, periodic: bool = True
) -> np.ndarray:
    """The window of ``win_length`` samples in the middle of ``n_fft`` (zeros around it).

    Example:
      >>> window_in_frame("boxcar", n_fft=5, win_length=2)
      array([0., 1., 1., 0., 0.])
    """
    table = window(name, win_length, periodic=periodic)
    before = (n_fft - win_length) // 2
    return np.pad(table, (before, n_fft - win_length - before))
