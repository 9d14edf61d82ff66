"""Can a learned bank find the bands of another one? Centres over learning rates.

A teacher bank has 40 Gaussian bands whose centres are warped: at ``u ** warp`` of the mel axis
instead of ``u``, from 0 to 1. A student starts at ``u`` and learns with Adam to give the same log
energies, band by band, for random spectra. Students are the layouts of
`jaxspec.stages.Filterbank` and the parametrisations of published systems (`published.UNITS`). What
counts is how far the centres are from the teacher's in the end.

- Spectra: "rough", exponential noise in every bin by itself; "smooth", whose logarithm is Gaussian
  noise smoothed over about 20 bins, with a deviation of 2.
- All parameters of a student have the same learning rate, without a multiplier. It is constant;
  in a second round it decays along a cosine in the last fifth of the steps, for all alike.
- Energies below 0, which only a free matrix can have, count as 0, so that it does not end in NaN.
- Bands are matched one to one with the teacher's. A classifier would not ask for that.

    python benchmarks/learning/recovery.py

takes about 6 minutes on two cores.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import common
import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure
from published import UNITS, PublishedBank
from tqdm import tqdm

from jaxspec import hz_to_mel, mel_to_hz, stages
from jaxspec.stage import Stage

F_MIN, F_MAX, N_BINS = 50.0, 7600.0, 257
BANK = {"sample_rate": 16000, "n_fft": 512, "n_bands": 40, "shape": "gaussian", "norm": None}
LAYOUTS = {
    "gaps": "gaps and widths",
    "warp": "warp of 8 knots",
    "scale": "corner of the scale",
    "free": "free, not negative",
}
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
SEEDS = (0, 1, 2)
STEPS, BATCH = 3000, 32
WARPS = (0.75, 0.5)
FLOOR = 1e-3  # added to energies before the logarithm; they are about 1
FOUND = 20.0  # Hz; bins are 31 Hz apart
DIVERGED = 2.0  # times the error at the start


def bank(points: np.ndarray | None = None, layout: str = "fixed") -> stages.Filterbank:
    own = {"f_min": F_MIN, "f_max": F_MAX, "scale": "htk"} if points is None else {"points": points}
    return stages.Filterbank(**BANK, **own, layout=layout)


def teacher(warp: float) -> stages.Filterbank:
    """The bank to find; its widths follow its own neighbours."""
    low, high = hz_to_mel([F_MIN, F_MAX], mel_scale="htk")
    u = np.linspace(0, 1, BANK["n_bands"] + 2) ** warp
    points = np.asarray(mel_to_hz(low + (high - low) * u, mel_scale="htk"))
    points[[0, -1]] = F_MIN, F_MAX  # exactly
    return bank(points)


def students() -> dict[str, Stage]:
    ours = {name: bank(layout=name) for name in LAYOUTS}
    return ours | {units: PublishedBank(bank=bank(), units=units) for units in UNITS}


def rough(key: jax.Array) -> jax.Array:
    return jax.random.exponential(key, (BATCH, N_BINS))


def smooth(key: jax.Array) -> jax.Array:
    bins = np.arange(N_BINS)
    kernel = np.exp(-0.5 * ((bins[:, None] - bins) / 10) ** 2)
    kernel = jnp.asarray(kernel / np.linalg.norm(kernel, axis=0), jnp.float32)
    return jnp.exp(2 * jax.random.normal(key, (BATCH, N_BINS)) @ kernel)


SPECTRA = {"rough": rough, "smooth": smooth}


@partial(jax.jit, static_argnames=("student", "spectra"))
def learn(student: Stage, spectra: str, target: jax.Array, rates: jax.Array, keys: jax.Array):
    """The centres in the end, ``(seeds, rates, bands)``; ``rates`` are those of every step."""

    def log_energies(x, weights):
        return jnp.log(jnp.maximum(x @ weights, 0) + FLOOR)

    def one(rates, key):
        adam = optax.scale_by_adam()
        params = student.init(key)

        def step(carry, now):
            params, state = carry
            rate, key = now
            x = SPECTRA[spectra](key)
            wanted = log_energies(x, target)

            def loss(params):
                return jnp.mean((log_energies(x, student.weights(params)) - wanted) ** 2)

            updates, state = adam.update(jax.grad(loss)(params), state)
            updates = jax.tree.map(lambda update: -rate * update, updates)
            return (optax.apply_updates(params, updates), state), None

        start = (params, adam.init(params))
        now = (rates, jax.random.split(key, rates.shape[0]))
        return student.centers(jax.lax.scan(step, start, now)[0][0])

    return jax.vmap(jax.vmap(one, (0, None)), (None, 0))(rates, keys)


def schedules(rates: tuple[float, ...], steps: int) -> dict[str, jax.Array]:
    """The learning rate of every step, ``(rates, steps)``."""
    last = steps // 5
    decay = np.ones(steps)
    decay[-last:] = 0.5 + 0.5 * np.cos(np.pi * np.arange(last) / last)
    factors = {"constant": np.ones(steps), "decay": decay}
    return {
        name: jnp.asarray(np.outer(rates, factor), jnp.float32) for name, factor in factors.items()
    }


def judged(centres: np.ndarray, truth: np.ndarray, start: float) -> dict[str, Any]:
    """What is reported of the centres ``(seeds, rates, bands)``: lists over the rates."""
    errors = np.abs(centres - truth).mean(axis=-1)
    finite = np.isfinite(errors).all(axis=0)
    shown = np.where(np.isfinite(errors), errors, 0)

    def numbers(values):
        return [float(v) if ok else None for v, ok in zip(values, finite, strict=True)]

    return {
        "mean_hz": numbers(shown.mean(axis=0)),
        "max_hz": numbers(shown.max(axis=0)),
        "by_seed_hz": [numbers(row) for row in shown],
        "sorted": (np.diff(centres, axis=-1) > 0).all(axis=(0, 2)).tolist(),
        "diverged": (~finite | (shown > DIVERGED * start).any(axis=0)).tolist(),
    }


def closest(layout: str, truth: np.ndarray, steps: int = 4000) -> float:
    """The least error that a layout can have, fitted to the centres themselves, Hz."""
    stage = bank(layout=layout)

    def error(params):
        return jnp.mean(jnp.abs(stage.centers(params) - truth))

    if layout == "scale":  # one parameter: all of them
        return float(jax.vmap(lambda z: error({"scale": z}))(jnp.linspace(-15, 15, 10001)).min())
    adam = optax.adam(optax.cosine_decay_schedule(0.03, steps))

    def step(carry, _):
        params, state = carry
        value, gradient = jax.value_and_grad(error)(params)
        updates, state = adam.update(gradient, state)
        return (optax.apply_updates(params, updates), state), value

    params = stage.init(jax.random.key(0))
    fit = jax.jit(lambda p: jax.lax.scan(step, (p, adam.init(p)), length=steps)[1].min())
    return float(fit(params))


def run(quick: bool) -> dict[str, Any]:
    steps, rates = (100, (1e-3, 1e-1)) if quick else (STEPS, RATES)
    kinds = ("rough",) if quick else tuple(SPECTRA)
    keys = jnp.stack([jax.random.key(seed) for seed in SEEDS])
    starts, families, rows = {}, {}, []
    centres = np.asarray(bank().centers({}))
    for warp in WARPS:
        truth = np.asarray(teacher(warp).centers({}))
        starts[str(warp)] = float(np.abs(centres - truth).mean())
        families[str(warp)] = {name: closest(name, truth) for name in ("warp", "scale")}
    todo = [(spectra, name) for spectra in kinds for name in students()]
    for spectra, name in tqdm(todo, disable=quick):
        student = students()[name]
        for warp in WARPS:
            truth = np.asarray(teacher(warp).centers({}))
            target = jnp.asarray(teacher(warp).weights({}))
            for schedule, by_step in schedules(rates, steps).items():
                found = np.asarray(learn(student, spectra, target, by_step, keys))
                which = {"student": name, "spectra": spectra, "warp": warp, "schedule": schedule}
                rows.append(which | judged(found, truth, starts[str(warp)]))
    return {
        "settings": BANK | {"f_min": F_MIN, "f_max": F_MAX, "steps": steps, "batch": BATCH},
        "learning_rates": list(rates),
        "learning_rate_multiplier": 1,
        "seeds": list(SEEDS),
        "spectra": list(kinds),
        "start_hz": starts,
        "closest_of_the_family_hz": families,
        "rows": rows,
    }


def _hz(value: float) -> str:
    return f"{value:.0f}" if value >= 99.5 else f"{value:.1f}" if value >= 9.95 else f"{value:.2f}"


def _cell(row: dict[str, Any], at: int) -> str:
    if row["diverged"][at]:
        return "div"
    mean, most = _hz(row["mean_hz"][at]), _hz(row["max_hz"][at])
    star = "" if row["sorted"][at] else "\\*"
    return mean + star + (f" ({most})" if most != mean else "")


def _named(name: str) -> str:
    if name in LAYOUTS:
        return f"**{name}**: {LAYOUTS[name]}"
    return UNITS[name]


def _of(results: dict[str, Any], spectra: str, warp: float, schedule: str) -> dict[str, Any]:
    """The rows of one setting by student."""
    wanted = (spectra, warp, schedule)
    rows = results["rows"]
    return {r["student"]: r for r in rows if (r["spectra"], r["warp"], r["schedule"]) == wanted}


def _summary(results: dict[str, Any]) -> str:
    """At how many rates a student finds the teacher, constant and decaying."""
    panels = [(spectra, warp) for spectra in results["spectra"] for warp in WARPS]
    count = len(results["learning_rates"])
    lines = []
    for name in (*LAYOUTS, *UNITS):
        line = [_named(name)]
        for panel in panels:
            found = []
            for schedule in ("constant", "decay"):
                row = _of(results, *panel, schedule)[name]
                most = zip(row["max_hz"], row["sorted"], row["diverged"], strict=True)
                found.append(sum(not div and ok and hz <= FOUND for hz, ok, div in most))
            line.append(f"{found[0]} / {found[1]}")
        lines.append(line)
    head = [f"of {count} learning rates", *(f"{s}, u^{w:g}" for s, w in panels)]
    return common.markdown(head, lines)


def table(results: dict[str, Any]) -> str:
    seeds, steps = len(results["seeds"]), results["settings"]["steps"]
    text = [
        f"Mean absolute error of the centres in Hz after {steps} steps of Adam at a constant "
        f"learning rate, the same for all parameters: mean of {seeds} seeds (the largest, where "
        "it reads otherwise). \\*: centres out of order with some seed; div: more than twice the "
        "error at the start, or not finite. Bold: jaxspec's layouts. In brackets after a name: "
        "the least error that the family can have, fitted to the centres themselves."
    ]
    rates = [f"{rate:g}" for rate in results["learning_rates"]]
    for spectra in results["spectra"]:
        for warp in WARPS:
            least = results["closest_of_the_family_hz"][str(warp)]
            rows = [
                [_named(name) + (f" [{_hz(least[name])}]" if name in least else "")]
                + [_cell(row, at) for at in range(len(rates))]
                for name, row in _of(results, spectra, warp, "constant").items()
            ]
            start = _hz(results["start_hz"][str(warp)])
            head = f"{spectra} spectra, u^{warp:g}, start {start} Hz"
            text.append(common.markdown([head, *rates], rows))
    text.append(
        f"At how many of the learning rates every seed ends within {FOUND:g} Hz and in order, with "
        "a constant rate / with a decay in the last fifth of the steps:"
    )
    return "\n\n".join([*text, _summary(results)])


STYLES = {
    "gaps": {"color": "#d1495b", "marker": "o"},
    "warp": {"color": "#00798c", "marker": "s"},
    "scale": {"color": "#edae49", "marker": "^"},
    "free": {"color": "#5f3dc4", "marker": "D"},
    "hz": {"color": "0.72", "marker": "v", "linestyle": ":"},
    "rate": {"color": "0.60", "marker": "x", "linestyle": "--"},
    "leaf": {"color": "0.48", "marker": "+", "linestyle": "-."},
    "mel": {"color": "0.30", "marker": "*", "linestyle": "--"},
    "matrix": {"color": "0.10", "marker": "1", "linestyle": ":"},
}
LOWEST = 0.01


def _panel(axes: Any, results: dict[str, Any], spectra: str, warp: float) -> None:
    start = results["start_hz"][str(warp)]
    rates = results["learning_rates"]
    for name, row in reversed(_of(results, spectra, warp, "constant").items()):
        # What diverged is not drawn: a line ends where it does.
        shown = [
            np.nan if diverged else max(hz, LOWEST)
            for hz, diverged in zip(row["mean_hz"], row["diverged"], strict=True)
        ]
        label = f"jaxspec: {LAYOUTS[name]}" if name in LAYOUTS else UNITS[name]
        wide = 2.0 if name in LAYOUTS else 1.2
        axes.loglog(rates, shown, label=label, linewidth=wide, markersize=5, **STYLES[name])
    axes.axhline(start, color="black", linewidth=1, linestyle=(0, (1, 2)))
    axes.axhline(10, color="green", linewidth=0.8)
    for words, hz, colour in (("start", start, "black"), ("10 Hz", 10, "green")):
        at = {"xy": (1.01, hz), "xycoords": ("axes fraction", "data")}
        axes.annotate(words, **at, fontsize=7, color=colour, va="center", annotation_clip=False)
    axes.set_ylim(0.7 * LOWEST, 3000)
    axes.set_yticks([0.01, 0.1, 1, 10, 100, 1000], ["≤0.01", "0.1", "1", "10", "100", "1000"])
    axes.set_title(f"{spectra} spectra, centres at u^{warp:g}", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def draw(results: dict[str, Any], path: Path) -> None:
    kinds = results["spectra"]
    figure = Figure(figsize=(8.2, 1.5 + 2.7 * len(kinds)), layout="constrained")
    panels = figure.subplots(len(kinds), len(WARPS), sharex=True, sharey=True, squeeze=False)
    for line, spectra in zip(panels, kinds, strict=True):
        for axes, warp in zip(line, WARPS, strict=True):
            _panel(axes, results, spectra, warp)
    for axes in panels[-1]:
        axes.set_xlabel("learning rate of Adam (a line ends where it diverges)", fontsize=8)
    figure.supylabel("mean error of the centres in the end, Hz", fontsize=9)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(
        handles[::-1], labels[::-1], loc="outside lower center", ncols=3, frameon=False, fontsize=8
    )
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    common.command(sys.modules[__name__])
