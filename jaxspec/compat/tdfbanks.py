"""Time-domain filterbanks: free complex filters and free low-pass windows.

The features of the class ``TDFbanks`` of facebookresearch/tdfbanks (commit 8cb4945), in the
layout of this library: ``(..., frames, filters)``, with any leading axes (there: one clip).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from jaxspec._checks import check_choice, check_number, check_positive_int
from jaxspec.filterbanks import band_edges
from jaxspec.frontend import FrontEnd
from jaxspec.stage import Stage
from jaxspec.stages import Abs, FreeFilters, FreePool, Ln, Normalize, Pad, Power, PreEmphasis
from jaxspec.table import Table

__all__ = ["TDFbanks", "start_filters"]

_Z = math.sqrt(2 * math.log(2)) / math.pi
MODES = ("fixed", "learnfbanks", "learnall", "randinit")


def TDFbanks(
    mode: str = "learnall",
    nfilters: int = 40,
    samplerate: int = 16000,
    wlen: float = 25,
    wstride: float = 10,
    *,
    preemp: bool = False,
    mvn: bool = False,
    alpha: float = 1.0,
    min_freq: float = 0.0,
    max_freq: float = 8000.0,
    nfft: int = 512,
    filters: Any = None,
    windows: Any = None,
) -> FrontEnd:
    """Energies of free filters, averaged by free windows, in logarithms.

    Every filter starts as the Gabor filter of a mel triangle, every window as a Hann window, which
    is two samples late there and here: its lowest value is the second one.

    Args:
      mode: ``"fixed"``: nothing is learned (the original's word is ``"Fixed"``; its README's
        ``"fixed"`` learns everything there); ``"learnfbanks"``: the filters alone; ``"learnall"``:
        windows, too; ``"randinit"``: both, the filters from noise.
      nfilters, samplerate: number of filters, Hz.
      wlen, wstride: milliseconds; filters have one sample more.
      preemp: pre-emphasis of 0.97 before, fixed here (there its two taps are learned in
        ``"learnall"``), which makes a clip one sample longer.
      mvn: the mean of every filter's clip taken off, divided by its deviation.
      alpha: what is added before the logarithm, 1 as in the paper.
      min_freq, max_freq, nfft: range of the triangles in Hz, and the transform whose bins their
        corners are rounded to; of 80 filters, 2 are nothing but 0 that way.
      filters, windows: trained ones to start at: complex ``(nfilters, taps)`` and real
        ``(nfilters, taps)``.

    The parameters are ``real`` and ``imag`` of the filters and ``weights`` of the windows, which
    are added to the start. Energies are of every sample, as published, which costs ``taps``
    multiplications for each; `jaxspec.stages.FreeFilters` with a ``hop_length`` of 10 costs a
    tenth.

    Raises:
      ValueError: for a range beyond half the sample rate.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxspec.compat import tdfbanks
      >>> frontend = tdfbanks.TDFbanks("learnfbanks", 40)
      >>> params = frontend.init(jax.random.key(0))
      >>> frontend.apply(params, jnp.zeros(16000)).shape, sorted(params)
      ((98, 40), ['free_filters'])

    Reference:
      N. Zeghidour, N. Usunier, I. Kokkinos, T. Schatz, G. Synnaeve and E. Dupoux, "Learning
      filterbanks from raw speech for phone recognition", ICASSP 2018.
    """
    check_choice("mode", mode, MODES)
    nfilters = check_positive_int("nfilters", nfilters)
    samplerate = check_positive_int("samplerate", samplerate)
    taps = int(samplerate * check_number("wlen", wlen, above=0) // 1000 + 1)
    stride = int(samplerate * check_number("wstride", wstride, above=0) // 1000)
    parts: dict[str, Any] = {"learn": () if mode == "fixed" else "all"}
    if filters is None and mode != "randinit":
        filters = start_filters(
            nfilters, taps, samplerate=samplerate, min_freq=min_freq, max_freq=max_freq, nfft=nfft
        )
    if filters is not None:
        filters = np.asarray(filters, np.complex128).T
        parts |= {"real": Table(filters.real), "imag": Table(filters.imag)}
    if windows is None:
        late = np.arange(taps) - 1
        windows = np.tile(0.5 - 0.5 * np.cos(2 * np.pi * late / (taps - 1)), (nfilters, 1))
    pool = FreePool(
        size=taps,
        stride=stride,
        edges="whole",
        weights=Table(np.asarray(windows, np.float64).T),
        learn="all" if mode in ("learnall", "randinit") else (),
    )
    # The original pads its pre-emphasis by a zero at either end.
    before: tuple[Stage, ...] = (Pad(before=0, after=1), PreEmphasis()) if preemp else ()
    after: tuple[Stage, ...] = (Normalize(eps=1e-5, eps_in="variance"),) if mvn else ()
    return FrontEnd(
        *before,
        FreeFilters(n_bands=nfilters, taps=taps, **parts),
        Power(),
        pool,
        Abs(),
        Ln(amin=check_number("alpha", alpha, above=0), floor="add"),
        *after,
        sample_rate=samplerate,
    )


def start_filters(
    nfilters: int,
    taps: int,
    *,
    samplerate: float = 16000,
    min_freq: float = 0.0,
    max_freq: float = 8000.0,
    nfft: int = 512,
) -> np.ndarray:
    """The filters before training, complex ``(nfilters, taps)``: Gabors of the triangles' energy.

    Example:
      >>> from jaxspec.compat import tdfbanks
      >>> tdfbanks.start_filters(40, 401).shape
      (40, 401)
    """
    check_number("max_freq", max_freq, above=min_freq, at_most=samplerate / 2)
    edges = band_edges(nfilters, f_min=min_freq, f_max=max_freq, scale="htk")
    corners = np.minimum(np.round(edges / (samplerate / nfft)), nfft // 2).astype(int)
    bins, n = np.arange(nfft // 2 + 1), np.arange(taps) - taps // 2
    found = []
    for left, middle, right in zip(corners, corners[1:], corners[2:], strict=False):
        triangle = np.where(bins == middle, float(left < middle), 0.0)
        rising, falling = (bins > left) & (bins < middle), (bins > middle) & (bins < right)
        triangle[rising] = (bins[rising] - left) / (middle - left)
        triangle[falling] = (right - bins[falling]) / (right - middle)
        roots = np.sqrt(triangle)
        half = np.flatnonzero(roots >= roots.max() / 2)
        deviation = _Z * nfft / max(half[-1] - half[0], 1)
        area = triangle.max() / 2 * ((triangle > 0).sum() + 2) * 2 * np.pi / nfft
        size = np.sqrt(area * 2 * np.sqrt(np.pi) * deviation) / (np.sqrt(2 * np.pi) * deviation)
        wave = np.exp(2j * np.pi * roots.argmax() / nfft * n)
        found.append(size * np.exp(-0.5 * (n / deviation) ** 2) * wave)
    return np.array(found)
