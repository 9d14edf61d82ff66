"""Pictures of features, filter banks and windows (needs the extra ``jaxspec-audio[plots]``).

Every function draws on the axes or the figure that it is given, or on a new figure, and returns
it. Nothing is shown and no backend is chosen: save with ``figure.savefig``. In a notebook a
figure that is the last value of a cell is displayed once ``%matplotlib inline`` has run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from jaxspec._checks import check_choice, check_number, check_same
from jaxspec._plotting import (
    CURVE_COLORS,
    CURVE_COLORS_END,
    LINE_COLOR,
    as_axis,
    as_bank,
    draw_cells,
    draw_curve,
    draw_waveform,
    hz_label,
    in_db,
    label_rows,
    new_figure,
    row_positions,
    shown_range,
)
from jaxspec._run_picture import plot_run
from jaxspec.frontend import FrontEnd
from jaxspec.scales import SCALES
from jaxspec.stage import Params

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "plot_features",
    "plot_filterbank",
    "plot_filters_before_after",
    "plot_frontend",
    "plot_run",
    "plot_window",
]


def plot_features(
    features: ArrayLike | jax.Array,
    *,
    times: ArrayLike | None = None,
    frequencies: ArrayLike | None = None,
    ax: Axes | None = None,
    label: str = "dB",
    scale: str = "rows",
    value_range: tuple[float, float] | None = None,
) -> Axes:
    """A picture of features: time to the right, channels upwards, with a colour bar.

    Args:
      features: ``(frames, channels)``.
      times: the middle of every frame in seconds, increasing, as `FrontEnd.frame_times` returns;
        without them the axis counts frames.
      frequencies: Hz of every channel, as `FrontEnd.frequencies` returns; without them (cepstra)
        the axis counts channels. Ticks stand at round frequencies, interpolated between the
        channels; where the frequencies are not in order, every tick is a channel's own.
      ax: where to draw; a new figure if ``None``.
      label: the unit, written at the colour bar.
      scale: ``"rows"``: every channel is one row, all of the same height. ``"linear"``,
        ``"slaney"``, ``"htk"``, ``"kaldi"``, ``"bark"``, ``"erb"`` or ``"octave"``: channels lie
        at their frequency on that scale, which needs ``frequencies``.
      value_range: the values at the ends of the colour bar. By default the upper 80 dB for
        ``label="dB"``, and all but the outermost percent at both ends for others.

    Returns:
      The axes.

    Raises:
      ImportError: without matplotlib.
      ValueError: if shapes do not fit, times do not increase, or for an unknown scale.

    Example:
      >>> import jaxspec, numpy as np
      >>> from jaxspec import plotting
      >>> ax = plotting.plot_features(
      ...     np.zeros((98, 257)), frequencies=jaxspec.fft_frequencies(sample_rate=8000, n_fft=512))
      >>> [text.get_text() for text in ax.get_yticklabels()]
      ['0', '500', '1k', '1.5k', '2k', '2.5k', '3k', '3.5k', '4k']
    """
    check_choice("scale", scale, ("rows", *SCALES))
    values = np.asarray(features, dtype=np.float32)
    if values.ndim != 2 or not values.size:
        raise ValueError(
            f"features must have the shape (frames, channels), neither of them 0, got features "
            f"with shape {values.shape}"
        )
    n_frames, n_channels = values.shape
    x = np.arange(n_frames) if times is None else as_axis("times", times, n_frames, "frames")
    if (np.diff(x) <= 0).any():
        raise ValueError("times must increase from frame to frame")
    hz = None
    if frequencies is not None:
        hz = as_axis("frequencies", frequencies, n_channels, "channels")
    y = row_positions(n_channels, hz, scale)
    low, high = shown_range(values, label) if value_range is None else value_range
    if ax is None:
        ax = new_figure(9, 4).add_subplot()
    picture = draw_cells(
        ax, values, x, y, width=1.0 if times is None else 0.01, value_range=(low, high)
    )
    below, above = bool(values.min() < low), bool(values.max() > high)
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}
    ax.get_figure(root=False).colorbar(  # type: ignore[union-attr]
        picture, ax=ax, label=label, extend=extend.get((below, above), "neither"), pad=0.02
    )
    ax.set_xlabel("frame" if times is None else "time (s)")
    label_rows(ax, y, hz)
    return ax


def plot_frontend(
    frontend: FrontEnd,
    x: ArrayLike | jax.Array,
    *,
    sample_rate: float | None = None,
    params: Params | None = None,
    start: float = 0.0,
    figure: Figure | None = None,
    title: str | None = None,
) -> Figure:
    """The waveform, and below it what a front-end makes of it, on one time axis.

    The colour bar is in dB wherever a logarithm or nothing follows the power: with
    ``Power(exponent=p)``, ``y`` is drawn as ``20 / p * log10(y)`` (floored at 1e-10), ``ln`` as
    ``20 / (p ln 10)`` times its value and ``log10`` as ``20 / p`` times. Other features keep
    their values and are labelled by what made them (PCEN, coefficient, …). Of cepstra,
    coefficient 0 is the level, far from all others: it is a curve of its own between the two.

    Args:
      frontend: from a waveform to features.
      x: one clip, ``(samples,)``.
      sample_rate: Hz; must be given where no stage states it.
      params: the parameters; by default those of the start.
      start: the time of the first sample in seconds.
      figure: where to draw; a new figure if ``None``.
      title: plain text above the waveform.

    Returns:
      The figure, with the axes of the waveform, the features and the colour bar, and for cepstra
      those of coefficient 0.

    Raises:
      ImportError: without matplotlib.
      ValueError: if ``x`` is not one clip of at least one frame, the sample rate is missing or
        another than the front-end's, or the front-end gives no features.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> from jaxspec import plotting
      >>> frontend = jaxspec.presets.get("log_mel")
      >>> figure = plotting.plot_frontend(frontend, jnp.zeros(16000))
      >>> [ax.get_ylabel() for ax in figure.axes]
      ['amplitude', 'frequency (Hz)', 'dB']
    """
    rate = frontend.checked_rate(sample_rate)
    start = check_number("start", start)
    waveform = np.asarray(x)
    if waveform.ndim != 1 or frontend.takes != "waveform" or frontend.gives != "features":
        raise ValueError(
            f"plot_frontend takes one clip (samples,) and a front-end from waveform to features, "
            f"got x with shape {waveform.shape} and a front-end from {frontend.takes} to "
            f"{frontend.gives}"
        )
    if frontend.length(len(waveform)) < 1:
        raise ValueError(f"x must be long enough for one frame, got {len(waveform)} samples")
    if params is None:
        params = frontend.init(jax.random.key(0))
    features = np.asarray(frontend.apply(params, jnp.asarray(x)), dtype=np.float32)
    shown, label = in_db(frontend, features)
    if figure is None:
        figure = new_figure(9, 5.5)
    cepstra = label == "coefficient"
    with_curve = cepstra and shown.shape[1] > 1
    heights = [1, 0.7, 3] if with_curve else [1, 3]
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    upper = figure.add_subplot(grid[0])
    lower = figure.add_subplot(grid[-1], sharex=upper)
    draw_waveform(upper, waveform, rate, start)
    if title is not None:
        upper.set_title(title, parse_math=False)  # names of files may hold dollars
    times = start + frontend.frame_times(len(shown), sample_rate=rate)
    hz = frontend.frequencies(params, sample_rate=rate)
    if hz is not None and len(hz) > 1 and hz[0] > hz[-1]:  # channels from high to low
        shown, hz = shown[:, ::-1], hz[::-1]
    plot_features(
        shown,
        times=times,
        frequencies=hz,
        ax=lower,
        label=label,
        value_range=shown_range(shown[:, 1:], label) if with_curve else None,
    )
    if cepstra:
        lower.set_ylabel("coefficient")
    if with_curve:
        lower.set_ylim(bottom=0.5)
        draw_curve(figure.add_subplot(grid[1], sharex=upper), times, shown[:, 0])
    lower.set_xlim(start, start + len(waveform) / rate)
    return figure


def plot_filterbank(
    weights: ArrayLike | jax.Array, *, sample_rate: float, n_fft: int, ax: Axes | None = None
) -> Axes:
    """The weights of a filter bank over frequency, one curve for each band.

    Args:
      weights: ``(n_fft // 2 + 1, n_bands)``, as `jaxspec.filterbank` returns.
      sample_rate: Hz.
      n_fft: samples in a frame.
      ax: where to draw; a new figure if ``None``.

    Returns:
      The axes, with one line for each band.

    Raises:
      ImportError: without matplotlib.
      ValueError: if the number of bins does not fit ``n_fft``.

    Example:
      >>> import jaxspec
      >>> from jaxspec import plotting
      >>> bank = jaxspec.mel_filterbank(sample_rate=16000, n_fft=512, n_mels=20)
      >>> len(plotting.plot_filterbank(bank, sample_rate=16000, n_fft=512).lines)
      20
    """
    matrix, hz = as_bank("weights", weights, sample_rate, n_fft)
    if ax is None:
        ax = new_figure(9, 3.2).add_subplot()
    from matplotlib import colormaps

    colors = colormaps[CURVE_COLORS](np.linspace(0, CURVE_COLORS_END, matrix.shape[1]))
    for band, color in zip(matrix.T, colors, strict=True):
        ax.plot(hz, band, color=color, linewidth=1.2)
    ax.set_xlim(hz[0], hz[-1])
    ax.set_ylim(bottom=min(0.0, float(matrix.min())))
    ax.xaxis.set_major_formatter(lambda value, _: hz_label(value))
    ax.set_xlabel("frequency (Hz)")
    ax.set_ylabel("weight")
    return ax


def plot_filters_before_after(
    before: ArrayLike | jax.Array,
    after: ArrayLike | jax.Array,
    *,
    sample_rate: float,
    n_fft: int,
    centers_before: ArrayLike | None = None,
    centers_after: ArrayLike | None = None,
    figure: Figure | None = None,
) -> Figure:
    """A filter bank before and after training, and how far its centres moved.

    Args:
      before, after: ``(n_fft // 2 + 1, n_bands)``, as `stages.Filterbank.weights` returns.
      sample_rate: Hz.
      n_fft: samples in a frame.
      centers_before, centers_after: Hz ``(n_bands,)``, as `stages.Filterbank.centers` returns;
        by default the mean frequency of each band's weights.
      figure: where to draw; a new figure if ``None``.

    Returns:
      The figure, with the axes before, after and of the displacement.

    Raises:
      ImportError: without matplotlib.
      ValueError: if shapes do not fit.

    Example:
      >>> import jaxspec
      >>> from jaxspec import plotting
      >>> options = {"sample_rate": 16000, "n_fft": 512, "n_mels": 20}
      >>> figure = plotting.plot_filters_before_after(
      ...     jaxspec.mel_filterbank(**options),
      ...     jaxspec.mel_filterbank(**options, mel_scale="htk"),
      ...     sample_rate=16000, n_fft=512)
      >>> [ax.get_ylabel() for ax in figure.axes]
      ['weight before', 'weight after', 'centre moved (Hz)']
    """
    banks, centers = [], []
    for name, weights, given in (
        ("before", before, centers_before),
        ("after", after, centers_after),
    ):
        matrix, hz = as_bank(name, weights, sample_rate, n_fft)
        total = np.maximum(matrix.sum(axis=0), np.finfo(np.float64).tiny)
        mean = hz @ matrix / total
        if given is not None:
            mean = as_axis(f"centers_{name}", given, matrix.shape[1], "bands")
        banks.append(matrix)
        centers.append(mean)
    check_same("bands before", banks[0].shape[1], "bands after", banks[1].shape[1])
    if figure is None:
        figure = new_figure(9, 6.5)
    axes = figure.subplots(3, 1, sharex=True, height_ratios=[2, 2, 1.5])
    top = 1.05 * max(bank.max() for bank in banks)
    for ax, bank, name in zip(axes, banks, ("before", "after"), strict=False):
        plot_filterbank(bank, sample_rate=sample_rate, n_fft=n_fft, ax=ax)
        ax.set(xlabel="", ylabel=f"weight {name}")
        if top > 0:
            ax.set_ylim(top=top)  # the same for both, so that heights can be compared
    moved = centers[1] - centers[0]
    axes[2].axhline(0, color="0.6", linewidth=0.8)
    axes[2].vlines(centers[0], 0, moved, color=LINE_COLOR, linewidth=1.2)
    axes[2].plot(centers[0], moved, "o", color=LINE_COLOR, markersize=3.5)
    axes[2].set(xlabel="frequency before (Hz)", ylabel="centre moved (Hz)")
    figure.align_ylabels(axes)
    return figure


def plot_window(
    window_values: ArrayLike | jax.Array,
    *,
    sample_rate: float | None = None,
    figure: Figure | None = None,
) -> Figure:
    """A window in time, and its spectrum in dB below its largest value.

    Args:
      window_values: ``(samples,)``, as `jaxspec.window` returns.
      sample_rate: Hz; without it the axes count samples and bins (of an FFT as long as the
        window).
      figure: where to draw; a new figure if ``None``.

    Returns:
      The figure, with the axes of the window and of the first 16 bins of its spectrum.

    Raises:
      ImportError: without matplotlib.
      ValueError: for values of another shape, or all zero.

    Example:
      >>> import jaxspec
      >>> from jaxspec import plotting
      >>> figure = plotting.plot_window(jaxspec.window("hann", 400), sample_rate=16000)
      >>> [ax.get_xlabel() for ax in figure.axes]
      ['time (ms)', 'frequency (Hz)']
    """
    values = np.asarray(window_values, dtype=np.float64)
    if values.ndim != 1 or not values.any():
        raise ValueError(
            f"window_values must have the shape (samples,) and a value other than 0, got "
            f"window_values with shape {values.shape}"
        )
    if sample_rate is not None:
        sample_rate = check_number("sample_rate", sample_rate, above=0)
    length = len(values)
    n_fft = 32 << (length - 1).bit_length()  # zeros after it: at least 32 points a bin
    spectrum = np.abs(np.fft.rfft(values, n_fft))
    db = 20 * np.log10(np.maximum(spectrum / spectrum.max(), 1e-8))
    bins = np.arange(len(db)) * (length / n_fft)
    last = min(16.0, length / 2)
    if figure is None:
        figure = new_figure(9, 3.4)
    left, right = figure.subplots(1, 2)
    samples = np.arange(length)
    left.plot(
        samples if sample_rate is None else 1000 * samples / sample_rate, values, color=LINE_COLOR
    )
    left.set(xlabel="sample" if sample_rate is None else "time (ms)", ylabel="window")
    left.margins(x=0)
    left.set_ylim(min(0.0, 1.05 * float(values.min())), max(0.0, 1.05 * float(values.max())))
    bin_width = 1.0 if sample_rate is None else sample_rate / length
    right.plot(bins * bin_width, db, color=LINE_COLOR)
    right.set(xlabel="bin" if sample_rate is None else "frequency (Hz)", ylabel="magnitude (dB)")
    right.set_xlim(0, last * bin_width)
    right.set_ylim(max(-140.0, float(db[bins <= last].min()) - 5), 5)
    for ax in (left, right):
        ax.grid(alpha=0.3)
    return figure
