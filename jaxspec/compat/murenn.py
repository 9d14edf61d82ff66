"""Multiresolution neural networks in the words of murenn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxspec._checks import check_choice, check_positive_int
from jaxspec.compat._arguments import refuse_changed
from jaxspec.stages import OctaveFilters
from jaxspec.table import Table

__all__ = ["MuReNNDirect"]

_PADDING = {"symmetric": "symmetric", "zeros": "constant", "replicate": "edge", "circular": "wrap"}


def MuReNNDirect(
    *,
    J: int,
    Q: int | Sequence[int],
    T: int,
    in_channels: int,
    J_phi: int | None = None,
    padding_mode: str = "symmetric",
    weights: Sequence[Any] | None = None,
    n_samples: int | None = None,
) -> OctaveFilters:
    """``murenn.MuReNNDirect``: filtered wavelet octaves, as a stage.

    Frames are those of the original but near the ends of a clip, where it continues every octave by
    zeros before its filters, and the magnitudes by their mirror image; here the waveform is
    continued, once. At either end so many frames differ as see beyond it, about
    ``(T / 2 + 13 * 2 ** (J_phi - J)) / 2 ** (J_phi - J)`` and, of filters with much weight in their
    middle, hardly more than one or two notably.

    The octaves do not describe the same time (`OctaveFilters.middles`): that of the original is
    ``align="octaves"``; with ``stage.align = "frames"``, by ``dataclasses.replace``, they do.

    Args:
      J: number of octaves.
      Q: filters per octave, an int or one for each, the finest first.
      T: taps of every filter.
      in_channels: 1. The axes in front are a batch, whose items share the filters.
      J_phi: frames are ``2 ** J_phi`` samples apart; default ``J``.
      padding_mode: ``"symmetric"``, ``"zeros"``, ``"replicate"`` or ``"circular"``.
      weights: the filters at the start, ``conv1d[j].weight`` of every octave, ``(Q, 1, T)`` or
        ``(Q, T)``, to which the parameters are added; default: drawn by ``init``, from the same
        distribution as the original's.
      n_samples: the length of the clips, if not a multiple of ``2 ** J``: the original puts a
        sample in front of levels whose length no 4 divides, which moves all coarser octaves.

    The parameters are ``filters``, ``(T, channels)``: the original's weights, transposed. It gives
    ``(batch, in_channels, channels, frames)``, here ``(..., frames, channels)``.

    Raises:
      ValueError: for more ``in_channels``, ``J_phi`` below ``J``, ``weights`` of another shape.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxspec.compat import murenn
      >>> stage = murenn.MuReNNDirect(J=4, Q=[2, 3, 2, 1], T=8, in_channels=1)
      >>> params = stage.init(jax.random.key(0))
      >>> stage.apply(params, jnp.ones(1600)).shape
      (100, 8)

    Reference:
      V. Lostanlen, D. Haider, H. Han, M. Lagrange, P. Balazs and M. Ehler, "Fitting auditory
      filterbanks with multiresolution neural networks", WASPAA 2023, and murenn 0.3.
    """
    refuse_changed(
        "in_channels",
        in_channels,
        1,
        instead="use one stage for each channel with filters of its own",
    )
    check_choice("padding_mode", padding_mode, tuple(_PADDING))
    J = check_positive_int("J", J)
    stride = check_positive_int("J_phi", J if J_phi is None else J_phi)
    if stride < J:
        raise ValueError(f"J_phi must be at least J={J}, got J_phi={J_phi}")
    options: dict[str, Any] = {
        "n_octaves": J,
        "filters_per_octave": Q if isinstance(Q, int) else tuple(Q),
        "taps": T,
        "stride": 2**stride,
        "align": "octaves",
        "n_samples": n_samples,
        "pad_mode": _PADDING[padding_mode],
    }
    stage = OctaveFilters(**options)
    if weights is None:
        return stage
    return OctaveFilters(**options, filters=Table(_joined(weights, stage.counts, stage.taps)))


def _joined(weights: Sequence[Any], counts: tuple[int, ...], taps: int) -> np.ndarray:
    """``(taps, channels)``."""
    banks = [np.asarray(bank, np.float64) for bank in weights]
    shapes = [(count, taps) for count in counts]
    if [bank.shape[:1] + bank.shape[-1:] for bank in banks] != shapes or any(
        bank.size != count * taps for bank, count in zip(banks, counts, strict=False)
    ):
        raise ValueError(
            f"weights must have shapes (Q, T) = {shapes}, got {[bank.shape for bank in banks]}"
        )
    return np.concatenate([bank.reshape(-1, taps) for bank in banks]).T
