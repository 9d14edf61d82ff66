"""Does a bad start matter, and do learned filters move?

    python benchmarks/learning/starts.py

Anderson, Kinnunen and Harte ("Learnable front-ends that do not learn", ICASSP 2023) found filters
that hardly left their start. Here five starts meet six parametrisations, on two tasks with few
bands: the family of an instrument (the recordings of the examples; notes of three folds held out
in turn) and, where the data are there, a spoken digit by a speaker who is not in the training
(three speakers held out in turn). Two seeds for each, the front-end learns 10 times as fast as the
network. About 10 minutes on two cores.

Starts: centres evenly spaced on the mel scale, in Hz or in bark; drawn at random, once; or all
packed between 1.8 and 2.2 kHz ("packed"). Widths follow the neighbours, so the two outermost
packed bands are broad, the others narrow.

For every run: the accuracy; how far the centres moved, in Hz; and two Jensen-Shannon divergences
between start and end, in bits from 0 to 1: of the coverage (the sum of all filters, each with unit
sum, as a distribution over frequency) and the mean over bands of that of each filter, which is the
figure of that paper.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import common
import digits
import jax
import jax.numpy as jnp
import networks
import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from jaxspec import FrontEnd, band_edges, random_edges, stages
from jaxspec.diagnostics import coverage_divergence, filter_divergence

SAMPLE_RATE, N_FFT, N_BANDS = 8000, 256, 8
KINDS = ("fixed", "gaps", "warp", "scale", "leaf", "hz")
LEARNING_RATE, MULTIPLIER = 5e-3, 10.0
SPECTRUM = FrontEnd(stages.STFT(n_fft=N_FFT, win_length=200, hop_length=80), stages.Power())
LOG = stages.Ln(amin=1e-4, floor="add")


@dataclasses.dataclass(frozen=True)
class Task:
    """Power spectra, labels, and what is held out in turn: for each part, by clip."""

    x: jax.Array
    y: np.ndarray
    held_out: list[np.ndarray]


def starts() -> dict[str, np.ndarray]:
    """The points of each start, Hz: the lower end, the centres and the upper end."""
    top = SAMPLE_RATE / 2
    scales = {"mel": "slaney", "linear": "linear", "bark": "bark"}
    even = {
        name: band_edges(N_BANDS, f_min=0.0, f_max=top, scale=scale)
        for name, scale in scales.items()
    }
    random = random_edges(jax.random.key(0), N_BANDS, f_min=0.0, f_max=top, scale="linear")
    packed = np.concatenate([[0.0], np.linspace(1800.0, 2200.0, N_BANDS), [top]])
    return even | {"random": random, "packed": packed}


def instruments(parts: int) -> Task:
    sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
    import recordings

    data = recordings.instruments()
    held_out = [data.fold == part for part in range(parts)]
    return Task(SPECTRUM(jnp.asarray(data.x)), data.y, held_out)


def spoken_digits(parts: int) -> Task | None:
    corpus = digits.read()
    if corpus is None:
        return None
    every = np.ones(len(corpus.digit), bool)
    x = 0.1 * corpus.clips(every, 4800, np.zeros(len(every), int))
    speakers = sorted(set(corpus.speaker.tolist()))[:parts]
    held_out = [corpus.speaker == speaker for speaker in speakers]
    return Task(SPECTRUM(jnp.asarray(x)), corpus.digit, held_out)


def divergences(before: np.ndarray, after: np.ndarray) -> dict[str, float]:
    """Between two banks ``(bins, bands)``: of the coverage, and the mean over the bands."""
    return {
        "coverage": float(coverage_divergence(before, after)),
        "filters": float(filter_divergence(before, after).mean()),
    }


def run(quick: bool) -> dict[str, Any]:
    steps, parts, seeds = (20, 1, [0]) if quick else (300, 3, [0, 1])
    kinds = ("fixed", "gaps") if quick else KINDS
    points = starts()
    if quick:
        points = {name: points[name] for name in ("mel", "packed")}
    tasks = {"instruments": instruments(parts)}
    if not quick and (spoken := spoken_digits(parts)) is not None:
        tasks["digits, new speaker"] = spoken
    cells = [(task, start, kind) for task in tasks for start in points for kind in kinds]
    rows = []
    for task, start, kind in tqdm(cells, unit="bank", disable=quick):
        found = list(_runs(tasks[task], points[start], kind, steps, seeds))
        rows.append({"task": task, "start": start, "kind": kind, "runs": found})
    return {
        "rows": rows,
        "seeds": seeds,
        "settings": {
            "steps": steps, "batch": networks.BATCH, "parts": parts, "n_bands": N_BANDS,
            "learning_rate": LEARNING_RATE, "multiplier": MULTIPLIER,
            "points_hz": {name: values.tolist() for name, values in points.items()},
        },
    }  # fmt: skip


def _runs(
    task: Task, points: np.ndarray, kind: str, steps: int, seeds: list[int]
) -> Iterator[dict[str, Any]]:
    """Train one bank with every part held out, and every seed."""
    bank = networks.make_bank(
        kind, sample_rate=SAMPLE_RATE, n_fft=N_FFT, n_bands=N_BANDS, points=points
    )
    model = networks.Model(FrontEnd(bank, LOG), int(task.y.max()) + 1)
    cells = [(part, seed) for part in range(len(task.held_out)) for seed in seeds]
    rows = [networks.batches(~task.held_out[part], steps, seed) for part, seed in cells]
    params, _ = networks.train(
        model,
        task.x,
        task.y,
        rows=np.stack(rows),
        seeds=[seed for _, seed in cells],
        multipliers=[MULTIPLIER] * len(cells),
        learning_rate=LEARNING_RATE,
    )
    right = np.asarray(networks.predict(model, params, task.x)) == task.y
    before = np.asarray(bank.weights(bank.init(jax.random.key(0))))
    for number, (part, seed) in enumerate(cells):
        own = networks.of_run(params, number)
        found = {
            "part": part,
            "seed": seed,
            "accuracy": float(right[number, task.held_out[part]].mean()),
            "finite": networks.is_finite(own),
        }
        if found["finite"]:
            found["moved_hz"] = float(model.moved(own).mean())
            found |= divergences(before, np.asarray(bank.weights(model.bank(own)[1])))
        yield found


# What is shown.


def _row(results: dict[str, Any], task: str, start: str, kind: str) -> dict[str, Any]:
    keys = {"task": task, "start": start, "kind": kind}
    return next(row for row in results["rows"] if all(row[k] == keys[k] for k in keys))


def _values(row: dict[str, Any], name: str) -> np.ndarray:
    """One number of every run that has it."""
    return np.array([run[name] for run in row["runs"] if name in run])


def _names(results: dict[str, Any], field: str) -> list[str]:
    return list(dict.fromkeys(row[field] for row in results["rows"]))


def name_of(kind: str) -> str:
    return kind if kind in networks.OURS else f"published {kind}"


def _moves(row: dict[str, Any]) -> str:
    moved, coverage, filters = (_values(row, n) for n in ("moved_hz", "coverage", "filters"))
    lost = len(row["runs"]) - len(moved)
    note = f" ({lost} not finite)" * (lost > 0)
    if not len(moved):
        return f"–{note}"
    return f"{moved.mean():.0f} Hz, {coverage.mean():.2f}, {filters.mean():.2f}{note}"


def _accuracies(row: dict[str, Any], fixed: dict[str, Any]) -> str:
    own, its = _values(row, "accuracy"), _values(fixed, "accuracy")
    if row is fixed:
        return networks.spread(own)
    return f"{networks.spread(own)}, up in {(own > its).sum()}"


def table(results: dict[str, Any]) -> str:
    kinds, names = _names(results, "kind"), _names(results, "start")
    texts = []
    for task in _names(results, "task"):
        accuracies, moves = [], []
        for start in names:
            rows = [_row(results, task, start, kind) for kind in kinds]
            accuracies.append([start, *(_accuracies(row, rows[0]) for row in rows)])
            moves.append([start, *map(_moves, rows[1:])])
        n_runs = len(results["rows"][0]["runs"])
        texts += [
            f"Accuracy in %, {task}: mean [least–greatest] of {n_runs} runs (what is held out × "
            f"seeds), and in how many of them it is above that of the fixed bank; multiplier "
            f"{MULTIPLIER:g}.",
            common.markdown(["start", *map(name_of, kinds)], accuracies),
            f"Movement, {task}: mean displacement of the centres; divergence of the coverage; mean "
            f"divergence of the filters.",
            common.markdown(["start", *map(name_of, kinds[1:])], moves),
        ]
    return "\n\n".join(texts)


def draw(results: dict[str, Any], path: Any) -> None:
    tasks, names = _names(results, "task"), _names(results, "start")
    kinds = _names(results, "kind")
    figure = Figure(figsize=(6 * len(tasks), 7.5), layout="constrained")
    panels = figure.subplots(2, len(tasks), squeeze=False)
    colours = dict(zip(KINDS, ("black", "C0", "C2", "C4", "C1", "grey"), strict=True))
    for (upper, lower), task in zip(panels.T, tasks, strict=True):
        for place, kind in enumerate(kinds):
            rows = [_row(results, task, start, kind) for start in names]
            x = np.arange(len(names)) + (place - (len(kinds) - 1) / 2) * 0.12
            style = {"color": colours[kind], "label": name_of(kind)}
            _points(upper, x, [100 * _values(row, "accuracy") for row in rows], style)
            _points(lower, x, [_values(row, "moved_hz") for row in rows], style)
        upper.set_title(task)
        upper.set_ylabel("accuracy on what is held out, %")
        lower.set_ylabel("mean displacement of the centres, Hz")
        for axes in (upper, lower):
            axes.set_xticks(range(len(names)), names)
            axes.grid(axis="y", alpha=0.3)
            for border in np.arange(len(names) - 1) + 0.5:
                axes.axvline(border, color="lightgrey", linewidth=0.8)
        lower.set_xlabel("start of the filters")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    title = "mean over runs, and least to greatest"
    figure.legend(handles, labels, loc="outside lower center", ncols=6, fontsize=9, title=title)
    figure.savefig(path, dpi=90)


def _points(axes: Any, x: np.ndarray, values: list[np.ndarray], style: dict[str, Any]) -> None:
    known = [v if len(v) else np.array([np.nan]) for v in values]
    means = np.array([v.mean() for v in known])
    ends = [means - [v.min() for v in known], [v.max() for v in known] - means]
    axes.errorbar(x, means, yerr=ends, fmt="o", markersize=6, elinewidth=1.2, **style)


if __name__ == "__main__":
    common.command(sys.modules[__name__])
