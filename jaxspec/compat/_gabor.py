"""What the constructors of LEAF and its relatives share: starts, filters, pooling, compression."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from jaxspec._checks import check_number, check_positive_int
from jaxspec.filterbanks import band_edges
from jaxspec.stage import Stage
from jaxspec.stages import PCEN, Affine, Clip, Gabor, GaussianPool, Power

__all__ = [
    "PCEN_START",
    "Z",
    "apart",
    "check_filters",
    "counted_start",
    "floored_pcen",
    "gabor",
    "in_samples",
    "mel_edges",
    "per_filter",
    "pooled_gabor",
    "same_padding",
    "triangles",
]

Z = math.sqrt(2 * math.log(2)) / math.pi
"""Deviation in samples times the width of the magnitude response, in periods a sample."""

PCEN_START = {"alpha": 0.96, "delta": 2.0, "root": 2.0, "smooth_coef": 0.04}
"""LEAF's."""

_HALF_POWER = math.sqrt(math.log(2)) / math.pi
_APART = 0.01  # of a bin, between centres that the count of bins makes equal
_FLOOR = 1e-5
# Between which the quantities of PCEN can be learned here.
_LEARNED: dict[str, tuple[float, float]] = {
    "alpha": (0.0, 1.0),
    "delta": (0.0, math.inf),
    "root": (1.0, 100.0),
    "smooth_coef": (1e-4, 0.9999),
}
# Where the originals clip them.
_CLIPPED = {"alpha": (-math.inf, 1.0), "root": (1.0, math.inf), "smooth_coef": (0.0, 1.0)}


def same_padding(n: int, size: int, stride: int) -> tuple[int, int]:
    """The zeros that TensorFlow's ``"SAME"`` puts in front of and behind ``n`` samples.

    Example:
      >>> same_padding(16000, 401, 160), same_padding(4100, 401, 160)
      ((120, 121), (150, 151))
    """
    total = max(size - (n % stride or stride), 0)
    return total // 2, total - total // 2


def in_samples(sample_rate: Any, window_len: float, window_stride: float) -> tuple[int, int, int]:
    """The rate in Hz, and LEAF's window and stride, given in milliseconds, in samples."""
    rate = check_positive_int("sample_rate", sample_rate)
    size = int(rate * check_number("window_len", window_len, above=0) // 1000 + 1)
    stride = int(rate * check_number("window_stride", window_stride, above=0) // 1000)
    return rate, size, check_positive_int("window_stride in samples", stride)


def mel_edges(
    n: int, low: Any, high: Any, *, sample_rate: float, names: tuple[str, str]
) -> np.ndarray:
    """``n + 2`` frequencies in Hz, evenly spaced on the mel scale."""
    low = check_number(names[0], low, at_least=0)
    high = check_number(names[1], high, at_most=sample_rate / 2, because="half the sample rate")
    if not low < high:
        raise ValueError(f"{names[0]} must be < {names[1]}, got {low:g} and {high:g}")
    return band_edges(n, f_min=low, f_max=high, scale="htk")


def triangles(edges: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Triangles of height 1 between every other edge, at the bins, ``(bins, n_filters)``."""
    rise = (bins[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    fall = (edges[2:] - bins[:, None]) / np.diff(edges)[1:]
    return np.maximum(0, np.minimum(rise, fall))


def counted_start(bank: np.ndarray, n_fft: int) -> tuple[np.ndarray, np.ndarray]:
    """LEAF's first filters, by a mel matrix ``(n_fft // 2 + 1, n_filters)``.

    The centre is the bin of the largest weight; the width at half the height of the response is
    the number of bins whose root weight is at least half of the largest.

    Returns:
      ``(mu, sigma)`` in radians per sample and in samples.
    """
    roots = np.sqrt(bank)
    if not roots.any(axis=0).all():
        raise ValueError(
            f"n_fft must be so large that every filter holds a bin, got n_fft={n_fft} and "
            f"{bank.shape[1]} filters"
        )
    count = (roots >= roots.max(axis=0) / 2).sum(axis=0)
    return 2 * np.pi / n_fft * roots.argmax(axis=0), Z * n_fft / count


def apart(mu: np.ndarray, n_fft: int) -> np.ndarray:
    """Centres of which no two are equal: those on one bin are drawn a little apart."""
    bins, place, count = np.unique(mu, return_index=True, return_counts=True)
    turn = np.arange(len(mu)) - np.repeat(place, count)
    shift = turn - (np.repeat(count, count) - 1) / 2
    return np.repeat(bins, count) + 2 * np.pi / n_fft * _APART * shift


def per_filter(name: str, value: Any, n: int) -> float | np.ndarray:
    """A finite number, or an array of one for every filter."""
    if np.ndim(value) == 0:
        return check_number(name, value)
    array = np.asarray(value, np.float64)
    if array.shape != (n,) or not np.isfinite(array).all():
        raise ValueError(
            f"{name} must be a number or hold {n} finite numbers, one for every filter, got "
            f"{name} with shape {array.shape}"
        )
    return array


def check_filters(mu: Any, sigma: Any, n: int, names: tuple[str, str]) -> tuple[Any, Any]:
    """Centres in radians per sample and deviations in samples, ``(n,)`` both; or both ``None``."""
    if (mu is None) != (sigma is None):
        raise ValueError(f"{names[0]} and {names[1]} must be given together, got one of them")
    if mu is None:
        return None, None
    mu, sigma = (
        np.broadcast_to(per_filter(name, value, n), n)
        for name, value in zip(names, (mu, sigma), strict=True)
    )
    if not (np.diff([0.0, *mu, np.pi]) > 0).all():
        raise ValueError(
            f"{names[0]} must increase and lie strictly between 0 and pi (ours keep in order), got "
            f"{names[0]}={mu.tolist()}"
        )
    if not (sigma > 0).all():
        raise ValueError(f"{names[1]} must be > 0, got a minimum of {sigma.min():g}")
    return mu, sigma


def gabor(
    mu: np.ndarray,
    sigma: np.ndarray,
    *,
    sample_rate: float,
    learned: bool,
    ends: tuple[float, float] = (0.0, math.pi),
    **choices: Any,
) -> Gabor:
    """Gabor filters of given centres in radians per sample and deviations in samples.

    ``ends`` is the range that learned centres keep inside, in radians per sample; ``choices`` are
    others of the stage.
    """
    to_hz = sample_rate / (2 * math.pi)
    points = to_hz * np.concatenate([[ends[0]], mu, [ends[1]]])
    points[-1] = min(points[-1], sample_rate / 2)
    learning: dict[str, Any] = {"layout": "gaps", "scale": "htk"} if learned else {}
    return Gabor(
        sample_rate=sample_rate,
        n_bands=len(mu),
        points=points,  # type: ignore[arg-type]
        bandwidths=_HALF_POWER * sample_rate / np.asarray(sigma),  # type: ignore[arg-type]
        **learning,
        **{"method": "direct"} | choices,
    )


def pooled_gabor(
    mu: np.ndarray,
    sigma: np.ndarray,
    pool: float | np.ndarray,
    *,
    sample_rate: float,
    taps: int,
    stride: int,
    offset: int,
    learn_filters: bool,
    learn_pooling: bool,
    method: str,
    hop_length: int,
) -> list[Stage]:
    """LEAF up to its energies: filters, squares, Gaussian windows with a peak of 1.

    With a ``hop_length``, of which stride and offset are multiples, energies are taken so far
    apart; sums over fewer of them are multiplied by it.
    """
    if taps % 2 == 0:
        raise ValueError(
            f"window_len must make an odd number of samples at this sample_rate, one more than the "
            f"milliseconds have, so that there is a middle; got {taps} samples"
        )
    hop_length = check_positive_int("hop_length", hop_length)
    if stride % hop_length or offset % hop_length:
        raise ValueError(
            f"hop_length must divide the stride of {stride} samples and the first frame's middle, "
            f"{offset}, got hop_length={hop_length}"
        )
    half, n = taps // 2, len(mu)
    if method == "fft":  # which does not cut filters off, and wants room for them
        taps = max(taps, 2 * math.ceil(4 * float(np.max(sigma))) + 1)
    window = GaussianPool(
        size=2 * (half // hop_length) + 1,
        stride=stride // hop_length,
        deviation=np.clip(pool, 2 / (2 * half + 1), 0.5) * half / hop_length,  # type: ignore[arg-type]
        offset=offset // hop_length,
        norm="peak",
        learn="all" if learn_pooling else (),
        n_bands=n if learn_pooling else None,
    )
    filters = gabor(
        mu,
        sigma,
        sample_rate=sample_rate,
        learned=learn_filters,
        taps=taps,
        hop_length=hop_length,
        method=method,
    )
    level = [Affine(scale=hop_length)] if hop_length > 1 else []
    return [filters, Power(), window, *level]


def floored_pcen(
    n: int, *, learned: bool, flag: str, eps: float = 1e-12, **quantities: float | np.ndarray
) -> list[Stage]:
    """LEAF's floor and PCEN: ``alpha``, ``delta``, ``root`` and ``smooth_coef``.

    ``flag`` is what the caller calls ``learned``.
    """
    values = {name: per_filter(name, value, n) for name, value in quantities.items()}
    for name, (low, high) in _LEARNED.items() if learned else ():
        least, most = np.min(values[name]), np.max(values[name])
        if not (low < least and most < high):
            raise ValueError(
                f"{name} must lie strictly between {low:g} and {high:g} to be learned, got {name} "
                f"from {least:g} to {most:g}; with {flag}=False it may lie beyond"
            )
    for name, limits in _CLIPPED.items():
        values[name] = np.clip(values[name], *limits)
    pcen = PCEN(
        gain=_plain(values["alpha"]),
        bias=_plain(values["delta"]),
        power=_plain(1 / values["root"]),
        smoothing=_plain(values["smooth_coef"]),
        eps=eps,
        learn="all" if learned else (),
        n_bands=n if learned else None,
    )
    return [Clip(low=_FLOOR), pcen]


def _plain(value: Any) -> Any:
    """A number as a Python number."""
    return value if np.ndim(value) else float(value)
