"""What the pictures of `jaxspec.plotting` are made of: cells, ticks, units and arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from numpy.typing import ArrayLike

from jaxspec import stages
from jaxspec._checks import check_positive_int
from jaxspec.framing import fft_frequencies
from jaxspec.frontend import FrontEnd
from jaxspec.scales import hz_to_scale
from jaxspec.stage import Stage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

__all__ = [
    "CURVE_COLORS",
    "CURVE_COLORS_END",
    "LINE_COLOR",
    "as_axis",
    "as_bank",
    "cell_edges",
    "draw_cells",
    "draw_curve",
    "draw_waveform",
    "hz_label",
    "in_db",
    "label_rows",
    "new_figure",
    "row_positions",
    "shown_range",
]

LINE_COLOR = "#3b528b"
# Curves leave out the light end of the colours, which vanishes on white.
CURVE_COLORS, CURVE_COLORS_END = "viridis", 0.88
_DB_SHOWN = 80.0
_DB_FLOOR = 1e-10
_WAVEFORM_COLUMNS = 2000
_IMAGE_COLUMNS = 8000
_IMAGE_ROWS = 256
# Perceptually uniform.
_IMAGE_COLORS = "magma"


def new_figure(width: float, height: float) -> Figure:
    """A figure of this size in inches that belongs to no window."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            f'pictures need matplotlib ({error}): pip install "jaxspec-audio[plots]"'
        ) from error
    return Figure(figsize=(width, height), dpi=150, layout="constrained")


# Arguments.


def as_axis(name: str, values: ArrayLike | jax.Array, n: int, things: str) -> np.ndarray:
    """``values`` as one float64 number for each of the ``n`` things."""
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (n,):
        raise ValueError(
            f"{name} must hold one value for each of the {n} {things}, got {name} with shape "
            f"{array.shape}"
        )
    return array


def as_bank(
    name: str, weights: ArrayLike | jax.Array, sample_rate: float, n_fft: int
) -> tuple[np.ndarray, np.ndarray]:
    """A matrix ``(bins, bands)``, and the frequency of every bin."""
    hz = fft_frequencies(sample_rate=sample_rate, n_fft=check_positive_int("n_fft", n_fft))
    matrix = np.asarray(weights, dtype=np.float64)
    if matrix.ndim != 2 or len(matrix) != len(hz) or not matrix.size:
        raise ValueError(
            f"{name} must have the shape (n_fft // 2 + 1, n_bands) = ({len(hz)}, n_bands), got "
            f"{name} with shape {matrix.shape}"
        )
    return matrix, hz


# Values.


_KEEP_THE_UNIT = (
    stages.Filterbank, stages.Lifter, stages.Deltas, stages.Clip, stages.FloorFromMax,
    stages.Replace, stages.Channels, stages.Stack, stages.Splice, stages.DropFrames,
    stages.ZeroFrames, stages.FitFrames, stages.PadFrames, stages.WholeFrames,
)  # fmt: skip


def _steps(frontend: FrontEnd) -> list[Stage]:
    """The stages, those of a front-end inside of another one by one."""
    steps: list[Stage] = []
    for stage in frontend.stages:
        inner = stage.frontend if isinstance(stage, stages.MaskPadding) else None
        steps += _steps(inner) if isinstance(inner, FrontEnd) else [stage]
    return steps


def in_db(frontend: FrontEnd, features: np.ndarray) -> tuple[np.ndarray, str]:
    """Features in dB with the label ``"dB"`` where they are one, else as they are.

    The rule is stated in `jaxspec.plotting.plot_frontend`.
    """
    exponent, unit = 2.0, "linear"
    for stage in _steps(frontend):
        if isinstance(stage, stages.Power):
            exponent = stage.exponent
        elif isinstance(stage, stages.Sqrt) and unit == "linear":
            exponent /= 2
        elif isinstance(stage, stages.PowerToDb):
            unit = "dB"
        elif isinstance(stage, stages.Affine):
            unit = f"scaled {unit}"
        elif isinstance(stage, stages.Normalize | stages.RunningNormalize):
            unit = f"normalised {unit}"
        elif isinstance(stage, stages.Log10):  # before Ln, of which it is one
            unit = "log10" if unit == "linear" else f"log10 of {unit}"
        elif isinstance(stage, stages.Ln):
            unit = "ln" if unit == "linear" else f"ln of {unit}"
        elif isinstance(stage, stages.PCEN):
            unit = "PCEN"
        elif isinstance(stage, stages.DCT):
            unit = "coefficient"
        elif stage.gives == "features" and not isinstance(stage, _KEEP_THE_UNIT):
            unit = stage.name.replace("_", " ")
    if unit == "linear":
        return 20 / exponent * np.log10(np.maximum(features, _DB_FLOOR)), "dB"
    if unit == "ln":
        return 20 / (exponent * np.log(10)) * features, "dB"
    if unit == "log10":
        return 20 / exponent * features, "dB"
    return features, unit


def shown_range(values: np.ndarray, label: str) -> tuple[float, float]:
    """The values at the ends of the colour bar, not equal even where all values are."""
    if label == "dB":
        high = float(values.max())
        low = max(float(values.min()), high - _DB_SHOWN)
    else:
        low, high = (float(v) for v in np.percentile(values, [1, 99]))
    return (low, high) if high > low else (low - 1, high + 1)


# Cells and ticks.


def cell_edges(centers: np.ndarray, *, width: float) -> np.ndarray:
    """The edges of cells around these centres, half way to their neighbours.

    ``width`` is that of a cell without neighbours.

    Example:
      >>> cell_edges(np.array([0.0, 1.0, 3.0]), width=1.0)
      array([-0.5,  0.5,  2. ,  4. ])
    """
    if len(centers) == 1:
        return np.array([centers[0] - width / 2, centers[0] + width / 2])
    middles = (centers[1:] + centers[:-1]) / 2
    return np.concatenate([[2 * centers[0] - middles[0]], middles, [2 * centers[-1] - middles[-1]]])


def _evenly_spaced(centers: np.ndarray) -> bool:
    """Whether all steps are the same, up to a thousandth of one."""
    steps = np.diff(centers)
    return len(steps) == 0 or float(np.ptp(steps)) <= 1e-3 * abs(float(steps.mean()))


def draw_cells(
    ax: Axes,
    values: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    *,
    width: float,
    value_range: tuple[float, float],
) -> ScalarMappable:
    """A cell for every value of ``(frames, channels)`` around its place; a lone frame's width."""
    x_edges, y_edges = cell_edges(x, width=width), cell_edges(y, width=1.0)
    style: dict[str, Any] = {"cmap": _IMAGE_COLORS, "vmin": value_range[0], "vmax": value_range[1]}
    if not (_evenly_spaced(x) and _evenly_spaced(y)):
        # Rasterised: a file of vectors would hold one rectangle for every value.
        return ax.pcolormesh(x_edges, y_edges, values.T, rasterized=True, **style)
    if len(values) > _IMAGE_COLUMNS:
        bounds = np.linspace(0, len(values), _IMAGE_COLUMNS + 1).astype(int)
        values = np.add.reduceat(values, bounds[:-1], axis=0) / np.diff(bounds)[:, None]
    image = values.T
    smooth = len(values) > ax.get_window_extent().width
    if smooth:
        # With fewer pixels than frames the filter against aliasing works in both directions and
        # would blur the rows into each other: every row is repeated, so that only its edge is.
        image = np.repeat(image, max(_IMAGE_ROWS // len(image), 1), axis=0)
    return ax.imshow(
        image,
        origin="lower",
        aspect="auto",
        extent=(x_edges[0], x_edges[-1], y_edges[0], y_edges[-1]),
        interpolation="hanning" if smooth else "nearest",
        **style,
    )


def row_positions(n_channels: int, hz: np.ndarray | None, scale: str) -> np.ndarray:
    """Where on the vertical axis the middle of every channel lies."""
    if scale == "rows":
        return np.arange(n_channels, dtype=np.float64)
    if hz is None:
        raise ValueError(f"frequencies must be given with scale={scale!r}")
    if (np.diff(hz) <= 0).any():
        raise ValueError(f"frequencies must increase with scale={scale!r}")
    return np.asarray(hz_to_scale(hz, scale=scale))


def hz_label(hz: float) -> str:
    """A frequency as a short word.

    Example:
      >>> [hz_label(hz) for hz in (0, 125, 1000, 2500)]
      ['0', '125', '1k', '2.5k']
    """
    return f"{hz / 1000:g}k" if abs(hz) >= 1000 else f"{hz:g}"


def label_rows(ax: Axes, positions: np.ndarray, hz: np.ndarray | None) -> None:
    """Ticks on the vertical axis: round frequencies, or numbers of channels."""
    from matplotlib.ticker import MaxNLocator

    if hz is None:
        ax.set_ylabel("channel")
        ax.yaxis.set_major_locator(MaxNLocator("auto", integer=True))
        return
    ax.set_ylabel("frequency (Hz)")
    if len(hz) < 2 or (np.diff(hz) < 0).any() or hz[-1] == hz[0]:
        rows = np.unique(np.linspace(0, len(hz) - 1, min(len(hz), 8)).round().astype(int))
        ax.set_yticks(positions[rows], [f"{hz[row]:.0f}" for row in rows])
        return
    span = positions[-1] - positions[0]
    height = ax.get_window_extent().height * 72 / ax.figure.dpi
    # The digits of a label are 7 points high, and a layout rarely makes the axes lower.
    apart = span * 8.5 / height
    ticks: list[float] = []
    places: list[float] = []
    for tick in reversed(_round_hz(hz, positions, apart)):
        place = float(np.interp(tick, hz, positions))
        if not places or places[-1] - place >= apart:
            ticks.append(tick)
            places.append(place)
    ax.set_yticks(places[::-1], [hz_label(tick) for tick in ticks[::-1]])


def _round_hz(hz: np.ndarray, positions: np.ndarray, apart: float) -> list[float]:
    """Round frequencies inside ``hz``: octaves, or even steps where the axis is linear in Hz."""
    octaves = [o for o in 125 * 2.0 ** np.arange(14) if hz[0] <= o <= hz[-1]]
    straight = np.interp(positions, positions[[0, -1]], hz[[0, -1]])
    if np.abs(hz - straight).max() > 0.02 * (hz[-1] - hz[0]) and len(octaves) > 2:
        return octaves
    # The smallest of 1, 2 and 5 times a power of ten that gives at most 9 ticks, 2 labels apart.
    least = (hz[-1] - hz[0]) * max(1 / 9, 2 * apart / (positions[-1] - positions[0]))
    power = 10.0 ** np.floor(np.log10(least))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)
    first, last = np.ceil(hz[0] / step - 1e-9), np.floor(hz[-1] / step + 1e-9)
    return [float(step * k) for k in range(int(first), int(last) + 1)]


# The waveform and other curves.


def draw_waveform(ax: Axes, waveform: np.ndarray, rate: float, start: float) -> None:
    """The waveform as a line, or where it is long as the range of every column of the picture."""
    waveform = np.asarray(waveform, dtype=np.float32)
    per_column = len(waveform) // _WAVEFORM_COLUMNS
    if per_column < 4:
        times = start + np.arange(len(waveform)) / rate
        ax.plot(times, waveform, color=LINE_COLOR, linewidth=0.6)
    else:
        firsts = np.arange(0, len(waveform), per_column)
        lowest = np.minimum.reduceat(waveform, firsts)
        highest = np.maximum.reduceat(waveform, firsts)
        middles = start + (firsts + per_column / 2) / rate
        ax.fill_between(middles, lowest, highest, color=LINE_COLOR, linewidth=0.4)
    ax.set_ylabel("amplitude")
    low, high = min(0.0, float(waveform.min())), max(0.0, float(waveform.max()))
    margin = 0.05 * (high - low) if high > low else 1.0
    ax.set_ylim(low - margin, high + margin)
    ax.tick_params(labelbottom=False)


def draw_curve(ax: Axes, times: np.ndarray, values: np.ndarray) -> None:
    """The first of the cepstral coefficients as a line, between the waveform and the others."""
    ax.plot(times, values, color=LINE_COLOR, linewidth=1, marker="." if len(values) == 1 else "")
    ax.set_ylabel("coeff. 0")
    ax.tick_params(labelbottom=False)
