"""EfficientLEAF and the LEAF of its authors (CPJKU/EfficientLEAF), as functions.

``EfficientLeaf()`` becomes ``compat.efficient_leaf.EfficientLeaf()``, to which ``params =
….init(key)`` belongs. Names and defaults are the original's.

Filters are divided into groups of neighbours. Those of a group are as long as its longest needs,
and are evaluated as seldom as its highest allows. In the original lengths and strides are read
from the parameters at every step: one step of training may change the shapes of everything, the
level of a group (see ``gain_steps``) and the time that a step takes. Here this plan is made once,
from the filters at the start; make a new front-end of the trained filters for another plan.

There, centres, deviations and pooling widths are learned and written back into their limits at
every step. Here, a group is a branch of `jaxspec.stages.Beside` with ``gaps``, ``widths`` and
``deviation``: centres keep in order, between the groups beside theirs.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from jaxspec._checks import check_choice, check_number, check_positive_int
from jaxspec.compat._arguments import refuse_changed
from jaxspec.compat._gabor import (
    PCEN_START,
    Z,
    check_filters,
    floored_pcen,
    gabor,
    mel_edges,
    per_filter,
    pooled_gabor,
)
from jaxspec.frontend import FrontEnd
from jaxspec.stage import Stage
from jaxspec.stages import Affine, Beside, GaussianPool, LogTBN, Power

__all__ = ["EfficientLeaf", "Leaf", "mel_filter_params", "plan"]


def mel_filter_params(
    n_filters: int, min_freq: float, max_freq: float, sample_rate: float
) -> tuple[np.ndarray, np.ndarray]:
    """The filters that both start from: peaks of mel triangles, and widths of half their bases.

    Args:
      n_filters: how many.
      min_freq, max_freq: Hz, the range on the mel scale.
      sample_rate: Hz.

    Returns:
      ``(mu, sigma)``: centres in radians per sample and deviations in samples, float64
      ``(n_filters,)``.

    Example:
      >>> mu, sigma = mel_filter_params(40, 60.0, 7800.0, 16000)
      >>> mu[:2].round(4).tolist(), sigma[:2].round(2).tolist()
      ([0.0417, 0.0609], [84.21, 79.4])
    """
    rate = check_number("sample_rate", sample_rate, above=0)
    number = check_positive_int("n_filters", n_filters)
    names = ("min_freq", "max_freq")
    hz = mel_edges(number, min_freq, max_freq, sample_rate=rate, names=names)
    return 2 * np.pi / rate * hz[1:-1], rate / 2 / (hz[2:] - hz[:-2])


def plan(
    mu: np.ndarray,
    sigma: np.ndarray,
    *,
    num_groups: int,
    conv_win_factor: float,
    stride_factor: float,
    window_size: int,
    window_stride: int,
) -> list[dict[str, int]]:
    """What EfficientLEAF computes in each group.

    Args:
      mu, sigma: ``(n_filters,)``, increasing radians per sample, and samples.
      num_groups: how many groups, each of a filter at least.
      conv_win_factor: samples in a filter over its deviation.
      stride_factor: samples between energies over half a period of the highest centre, at most.
      window_size, window_stride: samples that are pooled, and from frame to frame.

    Returns:
      a dictionary for every group: its filters are ``start`` to ``stop - 1``, of ``kernel``
      samples, at every ``stride``-th sample, a divisor of ``window_stride``; ``window`` energies
      are pooled.

    Example:
      >>> mu, sigma = mel_filter_params(40, 60.0, 7800.0, 16000)
      >>> for group in plan(mu, sigma, num_groups=2, conv_win_factor=4.77, stride_factor=1.0,
      ...                   window_size=401, window_stride=160):
      ...     print(group)
      {'start': 0, 'stop': 20, 'kernel': 401, 'stride': 4, 'window': 101}
      {'start': 20, 'stop': 40, 'kernel': 123, 'stride': 1, 'window': 401}
    """
    number = check_positive_int("num_groups", num_groups)
    if number > len(mu):
        raise ValueError(f"num_groups must be at most {len(mu)}, got num_groups={number}")
    win_factor = check_number("conv_win_factor", conv_win_factor, above=0)
    stride_factor = check_number("stride_factor", stride_factor, above=0)
    ends = np.arange(number + 1) * len(mu) // number
    groups = []
    for start, stop in itertools.pairwise(ends.tolist()):
        most = max(1, np.pi / mu[start:stop].max() * stride_factor)
        divisors = [n for n in range(1, window_stride + 1) if window_stride % n == 0]
        stride = max(n for n in divisors if n <= most)
        groups.append(
            {
                "start": start,
                "stop": stop,
                "kernel": _odd(int(sigma[start:stop].max() * win_factor)),
                "stride": stride,
                "window": _odd(int(window_size / stride + 0.5)),
            }
        )
    return groups


def EfficientLeaf(
    n_filters: int = 40,
    num_groups: int = 4,
    min_freq: float = 60.0,
    max_freq: float = 7800.0,
    sample_rate: int = 16000,
    window_len: float = 25.0,
    window_stride: float = 10.0,
    conv_win_factor: float = 4.77,
    stride_factor: float = 1.0,
    compression: str | Stage | None = "logtbn",
    *,
    mu: Any = None,
    sigma: Any = None,
    pool: Any = 0.4,
    gain_steps: bool = True,
) -> FrontEnd:
    """``EfficientLeaf`` as a front-end: waveform to features, frames at multiples of the stride.

    The variant that the authors call 8G-opt is ``num_groups=8, conv_win_factor=6,
    stride_factor=16``. Its lowest groups take one energy for a frame and pool next to nothing.

    Args:
      n_filters: number of filters, in increasing order.
      num_groups: groups of as many filters, nearly.
      min_freq, max_freq: Hz, of the filters at the start, as `mel_filter_params`.
      sample_rate: Hz.
      window_len, window_stride: milliseconds; the window gets one sample more where it had an even
        number.
      conv_win_factor, stride_factor: as in `plan`.
      compression: ``"logtbn"``: ``ln(1 + 10^a x)`` with ``a`` learned for every band from 5, and
        behind these the same less their median over time, ``(…, frames, 2 n_filters)``; put a batch
        normalisation of every channel behind, which belongs to the original. ``"pcen"``: LEAF's,
        over a floor of 1e-5. A stage of your own. ``None``: energies.
      mu, sigma: the filters at the start instead, ``(n_filters,)``, in radians per sample,
        increasing, and in samples; held between 0.75 and (of 401 samples) 150 samples as in the
        original. Half of the filters' samples that 4.77 deviations make lie within 2.4 deviations.
      pool: of the windows, the deviation over half their length, held between ``2 / 401`` and 0.5;
        a number or ``(n_filters,)``.
      gain_steps: energies of a group are summed with weights of 1 in the middle, however few there
        are: with four groups at the start, the lowest is a tenth as loud as it is in LEAF, the
        highest as loud. The default is the original's; ``False`` puts the groups at LEAF's level.

    Raises:
      ValueError: for an argument that is out of its range or has no effect.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxspec.compat import efficient_leaf
      >>> frontend = efficient_leaf.EfficientLeaf()
      >>> params = frontend.init(jax.random.key(0))
      >>> sorted(params), sorted(params["beside"]["0"])
      (['beside', 'log_tbn'], ['gabor', 'gaussian_pool'])
      >>> frontend.apply(params, jnp.zeros((2, 16000))).shape
      (2, 100, 80)

    Reference:
      J. Schlüter and G. Gutenbrunner, "EfficientLEAF: a faster learnable audio frontend of
      questionable use", EUSIPCO 2022, and the code that came with it.
    """
    check_choice("gain_steps", gain_steps, (True, False))
    size, stride = _samples(window_len, window_stride, sample_rate)
    mu, sigma = _filters(mu, sigma, n_filters, min_freq, max_freq, sample_rate)
    sigma = np.clip(sigma, 2 * Z, size * Z)
    shares = np.clip(np.broadcast_to(per_filter("pool", pool, n_filters), n_filters), 2 / size, 0.5)
    groups = plan(
        mu,
        sigma,
        num_groups=num_groups,
        conv_win_factor=conv_win_factor,
        stride_factor=stride_factor,
        window_size=size,
        window_stride=stride,
    )
    between = [(mu[g["start"] - 1] + mu[g["start"]]) / 2 for g in groups[1:]]
    branches = []
    for group, *ends in zip(groups, [0.0, *between], [*between, math.pi], strict=True):
        own, step, window = slice(group["start"], group["stop"]), group["stride"], group["window"]
        filters = gabor(
            mu[own],
            sigma[own],
            sample_rate=sample_rate,
            learned=True,
            ends=(ends[0], ends[1]),
            taps=group["kernel"],
            hop_length=step,
        )
        windows = GaussianPool(
            size=window,
            stride=stride // step,
            # A share of a window of whole samples, then of the one that there is.
            deviation=shares[own] / step * size / window * (window - 1) / 2,
            norm="peak",
            learn="all",
            n_bands=group["stop"] - group["start"],
        )
        level = [] if gain_steps or step == 1 else [Affine(scale=step)]
        branches.append(FrontEnd(filters, Power(), windows, *level))
    return FrontEnd(Beside(branches=tuple(branches)), *_compression(compression, n_filters))


def Leaf(
    n_filters: int = 40,
    min_freq: float = 60.0,
    max_freq: float = 7800.0,
    sample_rate: int = 16000,
    window_len: float = 25.0,
    window_stride: float = 10.0,
    compression: str | Stage | None = "pcen",
    *,
    mu: Any = None,
    sigma: Any = None,
    pool: Any = 0.4,
    method: str = "direct",
    hop_length: int = 1,
) -> FrontEnd:
    """The LEAF of EfficientLEAF's authors as a front-end: waveform to features.

    As `jaxspec.compat.leaf_audio.Leaf`, but for its start (`mel_filter_params`), which has no equal
    centres, and for its frames, which have their middle at multiples of the stride.

    Args:
      n_filters, min_freq, max_freq, sample_rate, window_len, window_stride: as in `EfficientLeaf`.
      compression: as there, but ``"pcen"`` by default.
      mu, sigma, pool: as there; deviations are held between 1.5 and 150 samples.
      method, hop_length: as in `jaxspec.compat.leaf_audio.Leaf`.

    Raises:
      ValueError: for an argument that is out of its range or has no effect.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxspec.compat import efficient_leaf
      >>> leaf = efficient_leaf.Leaf(method="fft", hop_length=8)
      >>> leaf.apply(leaf.init(jax.random.key(0)), jnp.zeros((2, 16000))).shape
      (2, 100, 40)
    """
    size, stride = _samples(window_len, window_stride, sample_rate)
    mu, sigma = _filters(mu, sigma, n_filters, min_freq, max_freq, sample_rate)
    check_choice("method", method, ("direct", "fft"))
    energies = pooled_gabor(
        mu,
        np.clip(sigma, 4 * Z, size * Z),
        per_filter("pool", pool, n_filters),
        sample_rate=sample_rate,
        taps=size,
        stride=stride,
        offset=0,
        learn_filters=True,
        learn_pooling=True,
        method=method,
        hop_length=hop_length,
    )
    return FrontEnd(*energies, *_compression(compression, n_filters))


def _odd(n: int) -> int:
    return n + 1 - n % 2


def _samples(window_len: float, window_stride: float, sample_rate: int) -> tuple[int, int]:
    """Window and stride in samples."""
    sample_rate = check_positive_int("sample_rate", sample_rate)
    size = int(sample_rate * check_number("window_len", window_len, above=0) / 1000)
    stride = int(sample_rate * check_number("window_stride", window_stride, above=0) / 1000)
    return _odd(size), check_positive_int("window_stride in samples", stride)


def _filters(
    mu: Any, sigma: Any, n: int, min_freq: float, max_freq: float, sample_rate: int
) -> tuple[np.ndarray, np.ndarray]:
    """The filters at the start, given ones or those on the mel scale."""
    n = check_positive_int("n_filters", n)
    mu, sigma = check_filters(mu, sigma, n, ("mu", "sigma"))
    if mu is None:
        return mel_filter_params(n, min_freq, max_freq, sample_rate)
    for name, value, default in (("min_freq", min_freq, 60.0), ("max_freq", max_freq, 7800.0)):
        refuse_changed(name, value, default, instead="it has no effect on given filters")
    return mu, sigma


def _compression(word: str | Stage | None, n: int) -> list[Stage]:
    if word is None:
        return []
    if isinstance(word, Stage):
        return [word]
    check_choice("compression", word, ("logtbn", "pcen", None))
    if word == "pcen":
        return floored_pcen(n, learned=True, flag="", **PCEN_START)
    return [LogTBN(over_time="append", learn="log10_scale", n_bands=n)]
