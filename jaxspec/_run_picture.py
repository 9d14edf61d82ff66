"""The picture of a training run: where the bands of a bank were, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import numpy as np
from numpy.typing import ArrayLike

from jaxspec._checks import check_choice
from jaxspec._plotting import CURVE_COLORS, CURVE_COLORS_END, as_axis, label_rows, new_figure
from jaxspec.diagnostics import coverage
from jaxspec.framing import fft_frequencies
from jaxspec.scales import SCALES, hz_to_scale
from jaxspec.stage import Params
from jaxspec.stages import Filterbank

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_run"]

_LEAST_HZ = 1e-3  # on the octave scale, 0 Hz is infinitely far away


def plot_run(
    bank: Filterbank,
    history: Params | Sequence[Params],
    *,
    steps: ArrayLike | None = None,
    scale: str | None = None,
    figure: Figure | None = None,
) -> Figure:
    """The bands of a learned bank over training time, and which frequencies they cover.

    Every band is a line at its centre, in a shade between the frequencies where its weights are
    half of their largest. On the right is the coverage at the first and the last moment
    (`jaxspec.diagnostics.coverage`), each over its largest value.

    Args:
      bank: a learnable bank.
      history: its parameters at several moments: nested dictionaries whose leaves have one more
        axis in front, as ``jax.lax.scan`` collects them, or a list of parameters.
      steps: the step of every moment, increasing; without them the axis counts moments.
      scale: of the frequencies, as in `jaxspec.hz_to_scale`; default the bank's.
      figure: where to draw; a new figure if ``None``.

    Returns:
      The figure, with the axes of the bands and of the coverage.

    Raises:
      ImportError: without matplotlib.
      ValueError: for fewer than two moments, parameters of another bank, or steps that do not
        increase.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> from jaxspec import plotting
      >>> bank = jaxspec.stages.Filterbank(
      ...     sample_rate=16000, n_fft=512, n_bands=8, shape="gaussian", layout="gaps")
      >>> history = {"gaps": jnp.linspace(0, 1, 5)[:, None] * jnp.arange(9) / 4,
      ...            "widths": jnp.zeros((5, 8))}
      >>> figure = plotting.plot_run(bank, history, steps=range(0, 500, 100))
      >>> [ax.get_xlabel() for ax in figure.axes]
      ['step', 'coverage']
    """
    if not isinstance(bank, Filterbank):
        raise TypeError(
            f"bank must be a Filterbank, such as frontend['filterbank'], got a "
            f"{type(bank).__name__}"
        )
    scale = check_choice("scale", bank.scale if scale is None else scale, SCALES)
    moments = _moments(bank, history)
    if any(not np.isfinite(np.asarray(z)).all() for m in moments for z in jax.tree.leaves(m)):
        raise ValueError("history must be finite, got a NaN or an infinity")
    if len(moments) < 2:
        raise ValueError(f"history must hold two moments or more, got {len(moments)}")
    x = (
        np.arange(len(moments))
        if steps is None
        else as_axis("steps", steps, len(moments), "moments")
    )
    if (np.diff(x) <= 0).any():
        raise ValueError("steps must increase from moment to moment")
    bins = np.asarray(fft_frequencies(sample_rate=bank.sample_rate, n_fft=bank.n_fft))
    bins = np.maximum(bins, _LEAST_HZ if scale == "octave" else 0.0)
    matrices = [np.asarray(bank.weights(params)) for params in moments]
    low, high = (np.array(each) for each in zip(*(_half(m, bins) for m in matrices), strict=True))
    centers = np.array([np.asarray(bank.centers(params)) for params in moments])

    if figure is None:
        figure = new_figure(9, 5)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 1])
    from matplotlib import colormaps

    colors = colormaps[CURVE_COLORS](np.linspace(0, CURVE_COLORS_END, bank.n_bands))
    for band, color in enumerate(colors):
        place = [np.asarray(hz_to_scale(hz[:, band], scale=scale)) for hz in (low, centers, high)]
        left.fill_between(x, place[0], place[2], color=color, alpha=0.18, linewidth=0)
        left.plot(x, place[1], color=color, linewidth=1.2)
    left.set_xlim(x[0], x[-1])
    left.set_xlabel("moment" if steps is None else "step")
    rows = np.asarray(hz_to_scale(bins, scale=scale))
    for matrix, name, color, width in (
        (matrices[0], "first", "0.7", 3.0),
        (matrices[-1], "last", "C3", 1.2),
    ):
        share = np.asarray(coverage(matrix))
        right.plot(share / max(share.max(), 1e-30), rows, color=color, label=name, linewidth=width)
    right.set_xlabel("coverage")
    right.set_xlim(left=0)
    right.legend(frameon=False)
    left.set_ylim(rows[0], rows[-1])
    label_rows(left, rows, bins)
    return figure


def _moments(bank: Filterbank, history: Params | Sequence[Params]) -> list[Params]:
    if isinstance(history, dict):
        counts = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(history)}
        if len(counts) != 1 or counts == {()}:
            raise ValueError(
                f"all leaves of history must have the same number of moments in front, got "
                f"{sorted(counts)}"
            )
        (count,) = counts.pop()
        history = [jax.tree.map(lambda leaf, i=i: leaf[i], history) for i in range(count)]
    for params in history:
        bank.check_params(params)
    return list(history)


def _half(matrix: np.ndarray, bins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the weights of every band first and last reach half of their largest, in Hz."""
    above = matrix >= 0.5 * matrix.max(axis=0)
    return bins[above.argmax(axis=0)], bins[len(bins) - 1 - above[::-1].argmax(axis=0)]
