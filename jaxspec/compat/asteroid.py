"""The filterbanks of asteroid-filterbanks, as front-ends of this library.

Each function gives what ``Encoder(bank)`` gives in the package (0.4), in the layout of this
library: ``(..., frames, filters)``. The stride is half a filter where none is stated, and the
zeros at both ends are the argument ``padding``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxspec._checks import check_choice, check_positive_int
from jaxspec.frontend import FrontEnd
from jaxspec.stage import Stage
from jaxspec.stages import Affine, FreeFilters, Gammatone, Pad, RealParts
from jaxspec.table import Table

__all__ = ["AnalyticFreeFB", "FreeFB", "MultiphaseGammatoneFB"]

_KNEE = 24.7 * 9.265  # Hz, of the scale of equivalent rectangular bandwidths


def FreeFB(
    n_filters: int,
    kernel_size: int,
    stride: int | None = None,
    *,
    padding: int = 0,
    filters: Any = None,
) -> FrontEnd:
    """Free real filters: the encoder of ConvTasNet, before its rectifier.

    Args:
      n_filters, kernel_size, stride, padding: as in the package; ``stride`` defaults to half of
        ``kernel_size``.
      filters: ``(n_filters, kernel_size)``, trained filters to start at, with parameters 0;
        default: parameters that start as noise of the package's deviation.

    The parameter is ``real``: the filters, ``(kernel_size, n_filters)``.

    Raises:
      ValueError: as `jaxspec.stages.FreeFilters`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxspec import FrontEnd, stages
      >>> from jaxspec.compat import asteroid
      >>> encoder = FrontEnd(asteroid.FreeFB(512, 16), stages.Clip(low=0))  # ConvTasNet
      >>> params = encoder.init(jax.random.key(0))
      >>> encoder.apply(params, jnp.zeros(16000)).shape
      (1999, 512)

    Reference:
      Y. Luo and N. Mesgarani, "Conv-TasNet: surpassing ideal time-frequency magnitude masking for
      speech separation", IEEE/ACM TASLP 27(8), 2019.
    """
    free = FreeFilters(
        n_bands=n_filters, partner="none", center=False, **_free(kernel_size, stride, filters)
    )
    return FrontEnd(*pads(padding), free)


def AnalyticFreeFB(
    n_filters: int,
    kernel_size: int,
    stride: int | None = None,
    *,
    padding: int = 0,
    filters: Any = None,
    partner: str = "installed",
) -> FrontEnd:
    """Free filters and their partners: ``n_filters / 2`` filters, then as many partners.

    Args:
      n_filters: channels, an even number.
      kernel_size, stride, padding: as in `FreeFB`.
      filters: ``(n_filters / 2, kernel_size)``, to start at; default noise, of the package's
        deviation times the square root of 2.
      partner: ``"installed"``: the filters backwards in time, around their first sample, which is
        what version 0.4 computes with any torch of the last years: a pair is not analytic then;
        ``"hilbert"``: their Hilbert transforms, as it was meant.

    The parameter is ``real``: the filters, ``(kernel_size, n_filters / 2)``.

    Raises:
      ValueError: for an odd ``n_filters``, and as `jaxspec.stages.FreeFilters`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxspec.compat import asteroid
      >>> frontend = asteroid.AnalyticFreeFB(64, 32, partner="hilbert")
      >>> params = frontend.init(jax.random.key(0))
      >>> frontend.apply(params, jnp.zeros(16000)).shape
      (999, 64)

    Reference:
      M. Pariente, S. Cornell, A. Deleforge and E. Vincent, "Filterbank design for end-to-end speech
      separation", ICASSP 2020.
    """
    half = pairs(n_filters)
    check_choice("partner", partner, ("installed", "hilbert"))
    free = FreeFilters(
        n_bands=half,
        partner="hilbert" if partner == "hilbert" else "reversed",
        center=False,
        **_free(kernel_size, stride, filters),
    )
    return FrontEnd(*pads(padding), free, *both_parts(half))


def MultiphaseGammatoneFB(
    n_filters: int = 128,
    kernel_size: int = 16,
    sample_rate: float = 8000,
    stride: int | None = None,
    *,
    padding: int = 0,
) -> FrontEnd:
    """Gammatone filters of 24 bands from 100 Hz, one equivalent rectangular bandwidth apart.

    Each band has filters of phases spread over half a turn and their negatives; lower bands have
    one pair more where the number does not divide. All have the same energy.

    Args:
      n_filters: an even number, 48 at least for a pair in every band (fewer leave out upper bands).
      kernel_size, sample_rate: samples, Hz.
      stride, padding: as in `FreeFB`.

    They are fixed, as in the package; ``replace("gammatone", layout="gaps")``
    of the front-end learns centres and widths.

    Raises:
      ValueError: for an odd ``n_filters``, for bands above half the sample rate.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxspec.compat import asteroid
      >>> asteroid.MultiphaseGammatoneFB()(jnp.zeros(8000)).shape
      (999, 128)

    Reference:
      D. Ditter and T. Gerkmann, "A multi-phase gammatone filterbank for speech separation via
      TasNet", ICASSP 2020.
    """
    each = np.full(24, pairs(n_filters) // 24)
    each[: pairs(n_filters) % 24] += 1
    points = _KNEE * ((1 + 100 / _KNEE) * np.exp(np.arange(-1, 25) / 9.265) - 1)
    b = (24.7 + 0.108 * points[1:-1]) / (np.pi / 2)
    kernel_size = check_positive_int("kernel_size", kernel_size)
    gammatone = Gammatone(
        sample_rate=sample_rate,
        n_bands=24,
        points=Table(np.r_[points[:-1], min(points[-1], sample_rate / 2)]),
        bandwidths=Table(2 * np.sqrt(2**0.5 - 1) * b),
        taps=kernel_size,
        hop_length=kernel_size // 2 if stride is None else stride,
        center=False,
        order=2,
        phases=tuple(each.tolist()),
        norm="energy",
        direction="reversed",
    )
    t = np.arange(1, kernel_size + 1) / sample_rate
    largest = 0.0
    for frequency, width, count in zip(points[1:-1], b, each, strict=True):
        for phase in np.pi * np.arange(count) / count:
            wave = t * np.exp(-2 * np.pi * width * t) * np.cos(2 * np.pi * frequency * t + phase)
            largest = max(largest, float(np.linalg.norm(wave)))
    return FrontEnd(*pads(padding), gammatone, Affine(scale=largest))


def pads(padding: int) -> tuple[Stage, ...]:
    """The encoder's zeros at both ends."""
    n = check_positive_int("padding", padding, minimum=0)
    return (Pad(before=n, after=n),) if n else ()


def pairs(n_filters: int) -> int:
    """Half of an even number of filters."""
    n_filters = check_positive_int("n_filters", n_filters, minimum=2)
    if n_filters % 2:
        raise ValueError(f"n_filters must be even, half of them partners, got {n_filters=}")
    return n_filters // 2


def both_parts(n_bands: int) -> tuple[Stage, ...]:
    """Filters and then their partners, with the sign of the package."""
    return RealParts(), Affine(scale=Table(np.repeat([1.0, -1.0], n_bands)))


def _free(kernel_size: int, stride: int | None, filters: Any) -> dict[str, Any]:
    taps = check_positive_int("kernel_size", kernel_size, minimum=2)
    real = None if filters is None else Table(np.asarray(filters, np.float64).T)
    return {"taps": taps, "hop_length": taps // 2 if stride is None else stride, "real": real}
