"""A picture of the ratios: how many times as long as jaxspec every peer takes."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
from report import OURS, Ratio, ratios
from sizes import SIZES

COLOURS = {"forward": "#2a6f97", "gradient": "#c8553d"}
TITLES = {"forward": "features", "gradient": "gradient to the waveform"}


def draw(results: dict[str, Any], path: pathlib.Path) -> None:
    """Bars for the first size, on a logarithmic axis; the lines are the middle 80 % of the rounds.

    Nothing is drawn where the first size was not measured.
    """
    times = results.get("speed", {}).get("times", {})
    found = {measure: ratios(times, "first", measure, measure) for measure in COLOURS}
    if not found["forward"]:
        return
    from matplotlib.figure import Figure

    names = sorted(found["forward"], key=lambda name: found["forward"][name].median)
    figure = Figure(figsize=(8, 0.42 * len(names) + 1.5), layout="constrained")
    axes = figure.subplots()
    for measure, at in found.items():
        both = {"forward": 0.2, "gradient": -0.2}[measure]  # features lie above gradients
        rows = [
            (row + (both if name in found["gradient"] else 0), at[name])
            for row, name in enumerate(names)
            if name in at
        ]
        _bars(axes, measure, rows)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    ticks = [0.5, 1, 2, 5, 10, 20, 50]
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.8), high * 1.25)
    axes.set_xticks([tick for tick in ticks if low <= tick <= high * 1.25])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    axes.minorticks_off()
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel(f"time ÷ {OURS}'s")
    cores = results["machine"]["cores"]
    axes.set_title(f"Log-mel of {SIZES['first']}, {cores} CPU cores", loc="left", fontsize=11)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=150)


def _bars(axes: Any, measure: str, rows: list[tuple[float, Ratio]]) -> None:
    """The inverse of our ratios, from 1."""
    if not rows:
        return
    at = np.array([row for row, _ in rows])
    median, low, high = (1 / np.array(values) for values in zip(*(r for _, r in rows), strict=True))
    axes.barh(at, median - 1, left=1, height=0.36, color=COLOURS[measure], label=TITLES[measure])
    axes.hlines(at, high, low, color="black", linewidth=0.8, alpha=0.6)
    for y, value, end in zip(at, median, np.maximum(low, median), strict=True):
        axes.annotate(
            f"{value:.1f}",
            (max(end, 1), y),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
