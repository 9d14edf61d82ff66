"""LEAF as its authors published it (google-research/leaf-audio), as a function.

``leaf_audio.frontend.Leaf()`` becomes ``compat.leaf_audio.Leaf()``, to which ``params =
….init(key)`` belongs. Names and defaults are the original's; what is handed over there as an
initialiser is here an argument, in the original's units.

The original learns centres ``mu`` in radians per sample, deviations ``sigma`` in samples, shares
of half a window ``pool`` and the quantities of PCEN, and clips them: beyond the limits there is no
gradient. Here ``gaps`` and ``widths``, ``deviation``, ``gain``, ``bias``, ``power`` and
``smoothing`` are learned: centres stay in order, nothing is clipped, and all may be trained with
the same rate. A step of 1e-4 of Adam, as in the original's examples, moves a centre by 0.25 Hz.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxspec._checks import check_choice, check_number, check_positive_int
from jaxspec.compat._arguments import refuse_changed
from jaxspec.compat._gabor import (
    PCEN_START,
    Z,
    apart,
    check_filters,
    counted_start,
    floored_pcen,
    in_samples,
    mel_edges,
    per_filter,
    pooled_gabor,
    same_padding,
    triangles,
)
from jaxspec.frontend import FrontEnd
from jaxspec.scales import hz_to_scale
from jaxspec.stage import Stage
from jaxspec.stages import Clip, Ln, Normalize, Pad, PreEmphasis, Trim

__all__ = ["Leaf", "gabor_start"]

_LEAST, _EPS_OF_NORM = 4.0, 1e-6


def gabor_start(
    n_filters: int = 40,
    *,
    min_freq: float = 60.0,
    max_freq: float = 7800.0,
    sample_rate: float = 16000,
    n_fft: int = 512,
) -> tuple[np.ndarray, np.ndarray]:
    """The filters that LEAF starts from, before its limits.

    They are measured on the roots of mel triangles at the bins of a Fourier transform: the centre
    is the bin where one is largest, the width the number of bins where it is at least half of
    that. From about 80 filters on, some centres are equal, and some deviations longer than the
    window.

    Args:
      n_filters: at least 1.
      min_freq, max_freq: Hz, the range on the mel scale.
      sample_rate: Hz.
      n_fft: whose bins are counted, an even number.

    Returns:
      ``(mu, sigma)``: centres in radians per sample and deviations in samples, float64
      ``(n_filters,)``.

    Raises:
      ValueError: for a range that is none, or filters between two bins.

    Example:
      >>> mu, sigma = gabor_start(40)
      >>> (mu[:3] * 16000 / (2 * np.pi)).tolist(), sigma[:3].round(2).tolist()
      ([93.75, 156.25, 218.75], [95.94, 63.96, 63.96])
    """
    n_filters = check_positive_int("n_filters", n_filters)
    n_fft = check_positive_int("n_fft", n_fft, minimum=2)
    if n_fft % 2:
        raise ValueError(f"n_fft must be even, so that half the rate is a bin, got n_fft={n_fft}")
    sample_rate = check_number("sample_rate", sample_rate, above=0)
    names = ("min_freq", "max_freq")
    hz = mel_edges(n_filters, min_freq, max_freq, sample_rate=sample_rate, names=names)
    edges = hz_to_scale(hz, scale="htk")
    bins = hz_to_scale(np.linspace(0, sample_rate / 2, n_fft // 2 + 1), scale="htk")
    bank = triangles(edges, bins)
    bank[0] = 0
    return counted_start(bank, n_fft)


def Leaf(
    learn_pooling: bool = True,
    learn_filters: bool = True,
    n_filters: int = 40,
    sample_rate: int = 16000,
    window_len: float = 25.0,
    window_stride: float = 10.0,
    compression_fn: str | Stage | None = "pcen",
    preemp: bool = False,
    mean_var_norm: bool = False,
    spec_augment: bool = False,
    *,
    min_freq: float = 60.0,
    max_freq: float = 7800.0,
    init_sample_rate: float | None = 16000,
    mu: Any = None,
    sigma: Any = None,
    pool: Any = 0.4,
    learn_compression: bool = True,
    alpha: Any = 0.96,
    delta: Any = 2.0,
    root: Any = 2.0,
    smooth_coef: Any = 0.04,
    n_samples: int | None = None,
    method: str = "direct",
    hop_length: int = 1,
) -> FrontEnd:
    """``leaf_audio.frontend.Leaf`` as a front-end: waveform to features ``(…, frames, n_filters)``.

    Gabor filters at every sample, squared magnitudes, Gaussian windows, a floor of 1e-5, PCEN.
    The default gives the published numbers, and multiplies 401 samples for every filter and sample,
    as the original does. For use there is ``method="fft", hop_length=8``, about twenty times faster
    in training on a CPU: filters are not cut off after 401 samples, which LEAF does as early as 2
    deviations from their middle. The logarithms of energies then differ by 0.008 (root mean square,
    on noise; 0.05 in the lowest band).

    Args:
      learn_pooling, learn_filters, learn_compression: what is learned.
      n_filters: number of filters.
      sample_rate: Hz.
      window_len, window_stride: milliseconds. The window, one sample longer than that, must have an
        odd number of samples, as at 8, 16 and 44.1 kHz.
      compression_fn: ``"pcen"``; ``"log"``, ``ln(x + 1e-5)``; a stage of your own; or ``None``.
      preemp: subtract 0.97 of the sample before, fixed (learned with the filters there). As there,
        what comes out is one sample early.
      mean_var_norm: every band over time to mean 0 and variance 1, without the learned factors.
      spec_augment: to be left out; it needs a random number for every step.
      min_freq, max_freq: Hz, of the filters at the start, as `gabor_start`.
      init_sample_rate: Hz, for which the start is computed: 16000 whatever ``sample_rate`` in the
        original, so that at 8 kHz filters lie half as high. ``None``: ``sample_rate``.
      mu, sigma: the filters at the start, ``(n_filters,)``, in radians per sample, increasing, and
        in samples; the default is `gabor_start`, whose equal centres (2 pairs of 80 filters) are
        drawn a hundredth of a bin apart, since ours keep in order. As in the original, deviations
        are held between 1.5 and (of 401 samples) 150 samples; ours can leave that in training.
      pool: of the windows, the deviation over half their length, held between ``2 / 401`` and 0.5.
      alpha, delta, root, smooth_coef: of PCEN, numbers or ``(n_filters,)``. To be learned they lie
        strictly inside the limits that are clipped to in the original, else they may lie beyond.
      n_samples: length of the clips, which matters modulo the stride. In the original, where frames
        have their middle depends on it: TensorFlow pads so that there are ``ceil(n / stride)``
        frames. Here it is fixed; the default is that of multiples of the stride: at 16 kHz,
        ``80 + 160 t``.
      method, hop_length: of `jaxspec.stages.Gabor`; energies of every ``hop_length``-th sample,
        a divisor of the stride and of the first frame's middle, are pooled.

    Raises:
      ValueError: for an argument that has no counterpart or no effect, or that is out of its range.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxspec.compat import leaf_audio
      >>> leaf = leaf_audio.Leaf(method="fft", hop_length=8)
      >>> params = leaf.init(jax.random.key(0))
      >>> leaf.apply(params, jnp.ones((2, 16000))).shape
      (2, 100, 40)

    Reference:
      N. Zeghidour, O. Teboul, F. de Chaumont Quitry and M. Tagliasacchi, "LEAF: a learnable
      frontend for audio classification", ICLR 2021, and the code that came with it.
    """
    refuse_changed("spec_augment", spec_augment, False, instead="it is for the training loop")
    flags = {
        "learn_pooling": learn_pooling,
        "learn_filters": learn_filters,
        "learn_compression": learn_compression,
        "preemp": preemp,
        "mean_var_norm": mean_var_norm,
    }
    for name, flag in flags.items():
        check_choice(name, flag, (True, False))
    check_choice("method", method, ("direct", "fft"))
    n_filters = check_positive_int("n_filters", n_filters)
    sample_rate, taps, stride = in_samples(sample_rate, window_len, window_stride)
    mu, sigma = check_filters(mu, sigma, n_filters, ("mu", "sigma"))
    if mu is None:
        rate = float(sample_rate)
        if init_sample_rate is not None:
            rate = check_number("init_sample_rate", init_sample_rate, above=0)
        mu, sigma = gabor_start(n_filters, min_freq=min_freq, max_freq=max_freq, sample_rate=rate)
        mu = apart(mu, 512)
    else:
        of_start: list[tuple[str, Any, Any]] = [
            ("min_freq", min_freq, 60.0),
            ("max_freq", max_freq, 7800.0),
            ("init_sample_rate", init_sample_rate, 16000),
        ]
        for name, value, default in of_start:
            refuse_changed(name, value, default, instead="it has no effect on given filters")
    clip = stride if n_samples is None else check_positive_int("n_samples", n_samples)
    energies = pooled_gabor(
        mu,
        np.clip(sigma, _LEAST * Z, taps * Z),
        per_filter("pool", pool, n_filters),
        sample_rate=sample_rate,
        taps=taps,
        stride=stride,
        offset=taps // 2 - same_padding(clip, taps, stride)[0],
        learn_filters=learn_filters,
        learn_pooling=learn_pooling,
        method=method,
        hop_length=hop_length,
    )
    quantities = {"alpha": alpha, "delta": delta, "root": root, "smooth_coef": smooth_coef}
    last = _compression(compression_fn, n_filters, learn_compression, quantities)
    norm = [Normalize(eps=_EPS_OF_NORM, eps_in="variance")] if mean_var_norm else []
    first = [Pad(after=1), PreEmphasis(), Trim(before=1)] if preemp else []
    return FrontEnd(*first, *energies, *last, *norm)


def _compression(
    function: str | Stage | None, n: int, learned: bool, quantities: dict[str, Any]
) -> list[Stage]:
    """What follows the energies, the floor of 1e-5 included."""
    if isinstance(function, str) and function == "pcen":
        return floored_pcen(n, learned=learned, flag="learn_compression", **quantities)
    for name, value in quantities.items():
        refuse_changed(name, value, PCEN_START[name], instead='it is of compression_fn="pcen"')
    refuse_changed("learn_compression", learned, True, instead='it is of compression_fn="pcen"')
    floor: list[Stage] = [Clip(low=1e-5)]
    if function is None:
        return floor
    if isinstance(function, Stage):
        return [*floor, function]
    check_choice("compression_fn", function, ("pcen", "log", None))
    return [*floor, Ln(amin=1e-5, floor="add")]
