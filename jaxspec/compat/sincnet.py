"""Sinc filters as SincNet, speechbrain and asteroid-filterbanks have them.

There, a lower edge and a band in Hz are learned for every filter, with a least value added and the
absolute value taken; here centres and widths, in order and without units. All start at the same
filters: the band is the distance to the next lower edge, but with both least values added, so that
neighbours overlap by them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxspec._checks import check_choice, check_number, check_positive_int
from jaxspec.compat.asteroid import both_parts, pads, pairs
from jaxspec.frontend import FrontEnd
from jaxspec.scales import hz_to_scale, scale_to_hz
from jaxspec.stage import Stage
from jaxspec.stages import Pad, RealParts, Sinc
from jaxspec.table import Table

__all__ = ["ParamSincFB", "SincConv", "SincConv_fast"]


def SincConv_fast(
    out_channels: int,
    kernel_size: int,
    sample_rate: float = 16000,
    *,
    stride: int = 1,
    padding: int = 0,
    min_low_hz: float = 50,
    min_band_hz: float = 50,
    low_hz: Any = None,
    band_hz: Any = None,
) -> FrontEnd:
    """The filters of SincNet, ``SincConv_fast`` of its code.

    Args:
      out_channels, kernel_size, sample_rate, stride: as there; an even ``kernel_size`` is
        raised by 1.
      padding: zeros at both ends.
      min_low_hz, min_band_hz: what is added to lower edges and bands, Hz.
      low_hz, band_hz: ``(out_channels,)``, trained values to start at; filters come in the order of
        their centres.

    The first layer of SincNet goes on with absolute values, `jaxspec.stages.MaxPool`
    (``size=3, stride=3, edges="whole"``), `jaxspec.stages.Normalize` (``ddof=1, eps=1e-6``)
    and a leaky rectifier. The parameters are ``gaps`` and ``widths``.

    Raises:
      ValueError: for two equal centres, and as `jaxspec.stages.Sinc`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxspec.compat import sincnet
      >>> frontend = sincnet.SincConv_fast(80, 251)
      >>> params = frontend.init(jax.random.key(0))
      >>> frontend.apply(params, jnp.zeros(3200)).shape
      (2950, 80)

    Reference:
      M. Ravanelli and Y. Bengio, "Speaker recognition from raw waveform with SincNet", SLT 2018.
    """
    sinc = _sinc(
        out_channels, kernel_size, sample_rate, stride, min_low_hz, min_band_hz, low_hz, band_hz,
        lowest=30, window="stretched",
    )  # fmt: skip
    return FrontEnd(*pads(padding), sinc, RealParts(parts="real"))


def SincConv(
    out_channels: int,
    kernel_size: int,
    *,
    stride: int = 1,
    padding: str = "same",
    padding_mode: str = "reflect",
    sample_rate: float = 16000,
    min_low_hz: float = 50,
    min_band_hz: float = 50,
    low_hz: Any = None,
    band_hz: Any = None,
) -> FrontEnd:
    """The ``nnet.CNN.SincConv`` of speechbrain, of a single channel.

    Args:
      out_channels, kernel_size, stride, sample_rate: as there, ``kernel_size`` odd.
      padding: ``"same"``: half a filter at both ends whatever the stride; ``"causal"``: all of it
        before the clip, with zeros; ``"valid"``: none.
      padding_mode: of ``"same"``, as ``pad_mode`` of `jaxspec.stages.Pad`.
      min_low_hz, min_band_hz, low_hz, band_hz: as in `SincConv_fast`; the first lower edge is
        ``min_low_hz`` here, before it is added once more.

    Raises:
      ValueError: for an even ``kernel_size``, and as `SincConv_fast`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxspec.compat import sincnet
      >>> frontend = sincnet.SincConv(40, 129, stride=10)
      >>> params = frontend.init(jax.random.key(0))
      >>> frontend.apply(params, jnp.zeros(3200)).shape
      (320, 40)
    """
    check_choice("padding", padding, ("same", "causal", "valid"))
    if check_positive_int("kernel_size", kernel_size) % 2 == 0:
        raise ValueError(f"kernel_size must be odd, got {kernel_size=}")
    if padding != "same" and padding_mode != "reflect":
        raise ValueError(
            f'padding_mode has no effect unless padding="same", got padding_mode={padding_mode!r}'
        )
    sinc = _sinc(
        out_channels, kernel_size, sample_rate, stride, min_low_hz, min_band_hz, low_hz, band_hz,
        lowest=min_low_hz, window="stretched",
    )  # fmt: skip
    half = kernel_size // 2
    before: dict[str, tuple[Stage, ...]] = {
        "same": (Pad(before=half, after=half, pad_mode=padding_mode),),
        "causal": (Pad(before=kernel_size - 1, after=0),),
        "valid": (),
    }
    return FrontEnd(*before[padding], sinc, RealParts(parts="real"))


def ParamSincFB(
    n_filters: int,
    kernel_size: int,
    stride: int | None = None,
    sample_rate: float = 16000,
    min_low_hz: float = 50,
    min_band_hz: float = 50,
    *,
    padding: int = 0,
    low_hz: Any = None,
    band_hz: Any = None,
) -> FrontEnd:
    """asteroid-filterbanks' ``ParamSincFB`` in an ``Encoder``: filters, then their odd partners.

    Args:
      n_filters: channels, an even number; half are partners.
      kernel_size, sample_rate, min_low_hz, min_band_hz, low_hz, band_hz: as in `SincConv_fast`.
      stride: default half of the ``kernel_size`` that is given.
      padding: zeros at both ends.

    Raises:
      ValueError: for an odd ``n_filters``, and as `SincConv_fast`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxspec.compat import sincnet
      >>> frontend = sincnet.ParamSincFB(64, 51, stride=10)
      >>> params = frontend.init(jax.random.key(0))
      >>> frontend.apply(params, jnp.zeros(3200)).shape
      (315, 64)

    Reference:
      M. Pariente, S. Cornell, A. Deleforge and E. Vincent, "Filterbank design for end-to-end speech
      separation", ICASSP 2020.
    """
    half = pairs(n_filters)
    kernel_size = check_positive_int("kernel_size", kernel_size, minimum=2)
    sinc = _sinc(
        half, kernel_size, sample_rate, kernel_size // 2 if stride is None else stride,
        min_low_hz, min_band_hz, low_hz, band_hz, lowest=30, window="hamming",
    )  # fmt: skip
    return FrontEnd(*pads(padding), sinc, *both_parts(half))


def _sinc(
    n: int,
    kernel_size: int,
    sample_rate: float,
    stride: int,
    min_low: float,
    min_band: float,
    low: Any,
    band: Any,
    *,
    lowest: float,
    window: str,
) -> Sinc:
    n = check_positive_int("the number of filters", n)
    sample_rate = check_number("sample_rate", sample_rate, above=0)
    min_low = check_number("min_low_hz", min_low, at_least=0)
    min_band = check_number("min_band_hz", min_band, at_least=0)
    if (low is None) != (band is None):
        raise ValueError("low_hz and band_hz must be given together")
    if low is None:
        top = sample_rate / 2 - (min_low + min_band)
        if top <= lowest:
            raise ValueError(
                f"min_low_hz + min_band_hz must leave room below half the sample rate, got "
                f"{min_low + min_band:g} Hz at {sample_rate:g} Hz"
            )
        start, stop = (float(hz_to_scale(f, scale="htk")) for f in (lowest, top))
        mel = np.linspace(start, stop, n + 1)
        hz = np.asarray(scale_to_hz(mel, scale="htk"))
        low, band = hz[:-1], np.diff(hz)
    low, band = (np.abs(Table(v).values) for v in (low, band))
    if low.shape != (n,) or band.shape != (n,):
        raise ValueError(
            f"low_hz and band_hz must have one value for each of {n} filters, got shapes "
            f"{low.shape} and {band.shape}"
        )
    low = min_low + low
    high = np.clip(low + min_band + band, min_low, sample_rate / 2)
    if not (high > low).all():
        raise ValueError(
            f"bands must begin below half the sample rate and have a width, got lower edges up to "
            f"{low.max():g} Hz (where the original gives NaN)"
        )
    order = np.argsort((low + high) / 2)
    low, high = low[order], high[order]
    centers = (low + high) / 2
    first = max(2 * low[0] - centers[0], 0)
    last = min(2 * high[-1] - centers[-1], sample_rate / 2)
    taps = check_positive_int("kernel_size", kernel_size) // 2 * 2 + 1
    return Sinc(
        sample_rate=sample_rate,
        n_bands=n,
        points=Table([first, *centers, last]),
        bandwidths=Table(high - low),
        layout="gaps",
        taps=taps,
        hop_length=stride,
        center=False,
        window=Table(_window(window, taps)),
    )


def _window(name: str, taps: int) -> np.ndarray:
    """SincNet's window is that of Hamming but for the place of its samples."""
    half = taps // 2
    if name == "hamming":
        side = np.hamming(taps)[:half]
    else:
        side = 0.54 - 0.46 * np.cos(2 * np.pi * np.linspace(0, taps / 2 - 1, half) / taps)
    return np.concatenate([side, [1.0], side[::-1]])
