"""The front-ends with learned filters of Perch (google-research/perch), as functions.

``chirp.models.frontend.MorletWaveletTransform(features=…, …)`` becomes
``compat.perch.MorletWaveletTransform(features=…, …)``, to which ``params = ….init(key)`` belongs.
Names and defaults are the original's. Its fixed front-ends are presets (``perch_mel`` and
``perch_simple``, see `jaxspec.presets`).

In Perch there are ``ceil(samples / stride)`` frames, and where they have their middle depends on
the length of the clip. Here it is fixed: ``n_samples`` is the length for which frames are as there;
the default is any multiple of the stride.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from jaxspec._checks import check_choice, check_number, check_positive_int
from jaxspec.compat._arguments import refuse_changed
from jaxspec.compat._gabor import Z, check_filters, gabor, mel_edges, same_padding
from jaxspec.frontend import FrontEnd
from jaxspec.stage import Stage
from jaxspec.stages import PCEN, Affine, Clip, FreeFilters, Ln, Pad, Power

__all__ = [
    "LearnedFrontend",
    "LogScalingConfig",
    "MorletWaveletTransform",
    "PCENScalingConfig",
    "melspec_params",
]

_SLIMMER = 0.75  # how much narrower roots of triangles are at half height than their bases


def LogScalingConfig(floor: float = 1e-2, offset: float = 0.0, scalar: float = 0.1) -> FrontEnd:
    """Perch's logarithm, ``scalar * ln(max(x, floor) + offset)``.

    Args:
      floor: above 0. Powers of speech behind filters of unit response are often below the default.
      offset: at least 0.
      scalar: a factor.

    Example:
      >>> import jax.numpy as jnp
      >>> LogScalingConfig()(jnp.array([[0.0, 1.0]])).round(4)
      Array([[-0.4605,  0.    ]], dtype=float32)
    """
    scale = Affine(scale=check_number("scalar", scalar))
    floor = check_number("floor", floor, above=0)
    if not check_number("offset", offset, at_least=0):
        return FrontEnd(Ln(amin=floor), scale)
    return FrontEnd(Clip(low=floor), Ln(amin=offset, floor="add"), scale)


def PCENScalingConfig(
    smoothing_coef: Any = 0.1,
    gain: float = 0.5,
    bias: float = 2.0,
    root: float = 2.0,
    eps: float = 1e-6,
    spcen: bool = False,
    conv_width: int = 0,
) -> PCEN:
    """Perch's PCEN, of which the speed may be learned.

    Args:
      smoothing_coef: in (0, 1], a number or one for every band; strictly between 1e-4 and 0.9999 to
        be learned.
      gain, bias, root, eps: in [0, 1], above 0, at least 1, above 0.
      spcen: whether the speed of every band is learned. There it is clipped to 0 to 1, with no
        gradient beyond.
      conv_width: to be left at 0. In Perch, it is meant to approximate the smoothing by so many
        weights, but they are in the wrong order: the oldest frame has the weight 1, the last but
        one next to none, and the sum is not 1. `jaxspec.stages.PCEN` with ``taps`` has the weights
        that were meant.

    Example:
      >>> import jax.numpy as jnp
      >>> PCENScalingConfig()(jnp.ones((2, 1))).round(4)
      Array([[0.3178],
             [0.3178]], dtype=float32)
    """
    check_choice("spcen", spcen, (False, True))
    meant = "its weights are in the wrong order; use stages.PCEN(taps=…), which has those meant"
    refuse_changed("conv_width", conv_width, 0, instead=meant)
    return PCEN(
        smoothing=smoothing_coef,
        gain=gain,
        bias=bias,
        power=1 / check_number("root", root, at_least=1),
        eps=eps,
        learn="smoothing" if spcen else (),
    )


def melspec_params(
    num_mel_bins: int, sample_rate: float, lower_edge: float, upper_edge: float
) -> tuple[np.ndarray, np.ndarray]:
    """The filters that Perch starts from: as wide at half the height as roots of mel triangles.

    Args:
      num_mel_bins: how many.
      sample_rate: Hz.
      lower_edge, upper_edge: Hz, the range on the mel scale.

    Returns:
      ``(mean, std)``: centres in radians per sample and deviations in samples, float64
      ``(num_mel_bins,)``.

    Example:
      >>> mean, std = melspec_params(40, 16000, 60.0, 7800.0)
      >>> mean[:2].round(4).tolist(), std[:2].round(2).tolist()
      ([0.0417, 0.0609], [84.16, 79.35])
    """
    rate = check_number("sample_rate", sample_rate, above=0)
    number = check_positive_int("num_mel_bins", num_mel_bins)
    names = ("lower_edge", "upper_edge")
    hz = mel_edges(number, lower_edge, upper_edge, sample_rate=rate, names=names)
    edges = 2 * np.pi / rate * hz
    return edges[1:-1], 2 * np.pi * Z / (_SLIMMER * (edges[2:] - edges[:-2]))


def MorletWaveletTransform(
    features: int,
    stride: int,
    kernel_size: int,
    sample_rate: int,
    freq_range: tuple[float, float] | None = None,
    power: float = 2.0,
    scaling_config: Stage | None = None,
    *,
    gabor_mean: Any = None,
    gabor_std: Any = None,
    n_samples: int | None = None,
) -> FrontEnd:
    """``MorletWaveletTransform`` as a front-end: waveform to ``(…, frames, features)``.

    A power of the magnitude of Gabor filters, taken every so many samples with no smoothing before:
    what a band holds between two frames is not seen, and what changes faster than they can tell is
    taken for something slower. `jaxspec.stages.GaussianPool` behind a smaller stride helps.

    Perch learns ``gabor_mean`` and ``gabor_std`` without limits; here ``gaps`` and ``widths`` are
    learned, see `jaxspec.stages.Gabor`.

    Args:
      features: number of filters.
      stride: samples from frame to frame.
      kernel_size: samples in a filter, even or odd.
      sample_rate: Hz.
      freq_range: Hz, of the filters at the start, as `melspec_params`.
      power: of the magnitude, above 0.
      scaling_config: `LogScalingConfig`, `PCENScalingConfig` or a stage of your own; ``None``: the
        powers as they are.
      gabor_mean, gabor_std: the filters at the start in place of ``freq_range``, ``(features,)``,
        in radians per sample, increasing, and in samples.
      n_samples: length of the clips, see above.

    Raises:
      ValueError: for an argument that is out of its range or has no effect.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxspec.compat import perch
      >>> frontend = perch.MorletWaveletTransform(
      ...     features=40, stride=160, kernel_size=401, sample_rate=16000, freq_range=(60, 7800),
      ...     scaling_config=perch.PCENScalingConfig(spcen=True))
      >>> params = frontend.init(jax.random.key(0))
      >>> jax.tree.map(jnp.shape, params)
      {'gabor': {'gaps': (41,), 'widths': (40,)}, 'pcen': {'smoothing': (40,)}}
      >>> frontend.apply(params, jnp.zeros((2, 16000))).shape
      (2, 100, 40)
    """
    features = check_positive_int("features", features)
    sample_rate = check_positive_int("sample_rate", sample_rate)
    names = ("gabor_mean", "gabor_std")
    mean, std = check_filters(gabor_mean, gabor_std, features, names)
    if mean is not None:
        refuse_changed("freq_range", freq_range, None, instead="it has no effect on given filters")
    elif freq_range is None or np.shape(freq_range) != (2,):
        raise ValueError(f"freq_range must be (low, high) in Hz, got freq_range={freq_range!r}")
    else:
        mean, std = melspec_params(features, sample_rate, *freq_range)
    padding, sizes = _padding(n_samples, kernel_size, stride)
    filters = gabor(mean, std, sample_rate=sample_rate, learned=True, center=False, **sizes)
    return FrontEnd(*padding, filters, Power(exponent=power), *_scaling(scaling_config, features))


def LearnedFrontend(
    features: int,
    stride: int,
    kernel_size: int,
    scaling_config: Stage | None = None,
    *,
    kernel: Any = None,
    bias: Any = None,
    n_samples: int | None = None,
) -> FrontEnd:
    """``LearnedFrontend`` as a front-end: a convolution whose filters are free.

    Args:
      features: number of filters.
      stride: samples from frame to frame.
      kernel_size: samples in a filter.
      scaling_config: as in `MorletWaveletTransform`. Both scalings take values below 0 for 0.
      kernel: the filters at the start, ``(kernel_size, features)`` (or with the axis of length 1
        that Flax has between). By default they are drawn by ``init``, normal with the deviation of
        `jaxspec.stages.FreeFilters`; Perch's are ``1 / sqrt(kernel_size)``, that is
        ``sqrt((features + 1) / 2)`` times as large.
      bias: added, ``(features,)``, learned there and 0 at its start, fixed here.
      n_samples: length of the clips, see above.

    Raises:
      ValueError: for an argument that is out of its range.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxspec.compat import perch
      >>> frontend = perch.LearnedFrontend(features=32, stride=80, kernel_size=160)
      >>> params = frontend.init(jax.random.key(0))
      >>> frontend.apply(params, jnp.zeros((2, 16000))).shape
      (2, 200, 32)
    """
    features = check_positive_int("features", features)
    padding, sizes = _padding(n_samples, kernel_size, stride)
    if kernel is not None:
        kernel = np.asarray(kernel, np.float64)
        kernel = kernel[:, 0] if kernel.ndim == 3 and kernel.shape[1] == 1 else kernel
        if kernel.shape != (kernel_size, features):
            raise ValueError(
                f"kernel must have shape {(kernel_size, features)}, got {kernel.shape}"
            )
    filters = FreeFilters(n_bands=features, center=False, partner="none", real=kernel, **sizes)
    level = [] if bias is None else [Affine(offset=bias)]
    return FrontEnd(*padding, filters, *level, *_scaling(scaling_config, features))


def _padding(n_samples: int | None, kernel_size: int, stride: int) -> tuple[list[Stage], Any]:
    """TensorFlow's zeros as a stage, and the sizes of the filters in the words of ours."""
    taps = check_positive_int("kernel_size", kernel_size)
    hop_length = check_positive_int("stride", stride)
    n = hop_length if n_samples is None else check_positive_int("n_samples", n_samples)
    before, after = same_padding(n, taps, hop_length)
    padding: list[Stage] = [Pad(before=before, after=after)] if after else []
    return padding, {"taps": taps, "hop_length": hop_length}


def _scaling(stage: Stage | None, features: int) -> list[Stage]:
    if stage is None:
        return []
    if not isinstance(stage, Stage):
        raise TypeError(f"scaling_config must be a stage or None, got {stage!r}")
    if isinstance(stage, PCEN) and stage.learn and stage.n_bands is None:
        return [dataclasses.replace(stage, n_bands=features)]
    return [stage]
