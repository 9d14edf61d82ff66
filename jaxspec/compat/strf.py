"""Learnable spectro-temporal filters in the words of the code of their paper.

``STRFConv2d`` of learnable-strf as a stage, to which ``params = ….init(key)`` belongs. The layout
is ours: features are ``(..., frames, bands)``, and one call gives both parts of the filters.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike

from jaxspec._checks import check_choice, check_positive_int
from jaxspec.compat._arguments import refuse_changed
from jaxspec.modulation import random_modulations
from jaxspec.stages import STRF

__all__ = ["STRFConv2d"]

_PARTS = {"concat": "both", "real": "real", "imag": "imag", "abs": "magnitude"}


def STRFConv2d(
    in_channels: int = 1,
    out_channels: int = 64,
    kernel_size: tuple[int, int] = (9, 111),
    *,
    stride: int | tuple[int, int] = 1,
    padding: tuple[int, int] | None = None,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
    bias: bool = False,
    padding_mode: str = "zeros",
    gabor_mode: str = "concat",
    sigma_x: ArrayLike | None = None,
    sigma_y: ArrayLike | None = None,
    freq: ArrayLike | None = None,
    gamma: ArrayLike | None = None,
    key: jax.Array | None = None,
    defects: bool = True,
) -> STRF:
    """``STRFConv2d`` of learnable-strf as a stage: features to filtered features.

    Filters are given or drawn by ``key`` as the original draws them. It learns ``sigma_x`` (bands),
    ``sigma_y`` (frames), ``freq`` (radians) and ``gamma`` (its angle); here the parameters are
    ``band_deviations``, ``frame_deviations``, and for the other two ``rates`` and ``scales``,
    ``freq * cos(gamma)`` and ``freq * sin(gamma)`` over 2 pi, in cycles. Its ``theta`` and ``psi``
    are learned parameters without any effect, and not here.

    What the original gives as ``(batch, filters, bands, frames)`` is ``(..., frames, channels)``
    here, with all bands of a filter together; ``"concat"`` has all real parts, then all imaginary
    ones. The network of the paper reads these numbers, in the same order, as so many filters of
    twice the bands, whereby the real parts of filters 0 and 1 make a pair, and so on, the
    imaginary ones in the later half; ``y.reshape(frames, 2, filters, bands)`` pairs the parts of a
    filter.

    Args:
      in_channels: 1.
      out_channels: number of filters.
      kernel_size: bands and frames that a filter sees.
      stride, dilation, groups, bias, padding_mode: as they are; other values are refused.
      padding: of bands and frames, half of the kernel as in the network of the paper (the class by
        itself pads nothing); other values are refused.
      gabor_mode: as in that network, ``"concat"``, ``"real"``, ``"imag"`` or ``"abs"``. The
        gradient of the last is NaN on silence there, 0 here.
      sigma_x, sigma_y, freq, gamma: the filters, each ``(out_channels,)``, all or none of them.
        ``freq`` must lie strictly between -pi and pi.
      key: from `jax.random.key`, to draw them.
      defects: as in the original: an odd number of positions is stretched (9 of them lie from -4 to
        5), with no sample at 0; even ones have 0 left of the middle, and give one band or frame
        more; 0.001 is added to the sigmas in the exponent and not in the divisor; a negative sigma
        turns the sign. ``False``: none of that; sizes must be odd and sigmas above 0.

    Returns:
      `jaxspec.stages.STRF`; the network of the paper has it behind decibels of 64 mel bands.

    Raises:
      ValueError: for values that are refused, if not all filters are given, and as the stage.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxspec import FrontEnd, compat, stages
      >>> mel = compat.nnaudio.MelSpectrogram(16000, n_fft=2048, n_mels=64, hop_length=160,
      ...                                     center=False)
      >>> strf = compat.strf.STRFConv2d(1, 16, (9, 111), key=jax.random.key(0))
      >>> frontend = FrontEnd(*mel.stages, stages.PowerToDb(top_db=80.0), strf)
      >>> params = frontend.init(jax.random.key(0))
      >>> frontend.apply(params, jnp.ones(8000)).shape
      (38, 2048)

    Reference:
      github.com/bootphon/learnable-strf, of R. Riad, J. Karadayi, A.-C. Bachoud-Lévi and E. Dupoux,
      "Learning spectro-temporal representations of complex sounds with parameterized neural
      networks", J. Acoust. Soc. Am. 150, 2021.
    """
    bands, frames = (check_positive_int("kernel_size", n) for n in kernel_size)
    n_filters = check_positive_int("out_channels", out_channels)
    refuse_changed("in_channels", in_channels, 1, instead="filter each channel by itself")
    if padding is not None:
        why = "cut off what is too much, with stages.DropFrames and stages.Channels"
        refuse_changed("padding", padding, (bands // 2, frames // 2), instead=why)
    if stride != (1, 1):
        refuse_changed("stride", stride, 1, instead="take every so many outputs")
    if dilation != (1, 1):
        refuse_changed("dilation", dilation, 1, instead="the original's kernels know no other")
    refuse_changed("groups", groups, 1, instead="there is one channel")
    refuse_changed("bias", bias, False, instead="add one in the network")
    refuse_changed("padding_mode", padding_mode, "zeros", instead="pad before")
    check_choice("gabor_mode", gabor_mode, tuple(_PARTS))
    check_choice("defects", defects, (True, False))
    own = {"sigma_x": sigma_x, "sigma_y": sigma_y, "freq": freq, "gamma": gamma}
    return STRF(
        **_start(own, n_filters, key),
        frames_seen=frames,
        bands_seen=bands,
        parts=_PARTS[gabor_mode],
        form="published" if defects else "exact",
    )


def _start(own: dict[str, Any], n_filters: int, key: jax.Array | None) -> dict[str, Any]:
    """The filters that are given, or drawn ones, in the words of the stage."""
    given = [name for name, value in own.items() if value is not None]
    if (key is None) == (not given) or 0 < len(given) < len(own):
        raise ValueError(
            f"give either key, to draw the filters, or all of {', '.join(own)}, got "
            f"{', '.join((['key'] if key is not None else []) + given) or 'none'}"
        )
    if key is not None:
        return random_modulations(key, n_filters)
    values = {name: np.asarray(value, np.float64) for name, value in own.items()}
    for name, value in values.items():
        if value.shape != (n_filters,):
            raise ValueError(
                f"{name} must have shape (out_channels,) = ({n_filters},), got {name} with shape "
                f"{value.shape}"
            )
    cycles = values["freq"] / (2 * np.pi)
    if not (np.abs(cycles) < 0.5).all():
        raise ValueError(
            f"freq must lie strictly between -pi and pi, got freq={values['freq'].tolist()}"
        )
    return {
        "rates": cycles * np.cos(values["gamma"]),
        "scales": cycles * np.sin(values["gamma"]),
        "frame_deviations": values["sigma_y"],
        "band_deviations": values["sigma_x"],
    }
