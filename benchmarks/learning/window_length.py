"""Does a learned window find the length that is best by theory? Chirps, where theory has one.

With a Gaussian window the spectrum of a linear chirp is narrowest at a standard deviation of
``sample_rate / sqrt(2 pi slope)`` samples, ``slope`` in Hz per second. A window that is learned by
gradient descent to make spectra narrow (the least mean entropy of the frames) should come to the
same length, from shorter and from longer ones, at any learning rate.

- Chirps start at a random frequency and phase, one for each seed; frames have 512 samples.
- The slowest chirp asks for a window that 512 samples cut off, where the closed form does not
  hold: "searched" is the least entropy among fixed lengths, which does.
- Adam at a constant learning rate; the length is all that is learned, so there is no multiplier.

    python benchmarks/learning/window_length.py

takes about 20 seconds on two cores.
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

from jaxspec import power, stages

SAMPLE_RATE, N_FFT = 16000, 512
DEVIATIONS = (40.0, 58.3, 71.4, 142.7)  # samples, by the closed form
STARTS = (10.0, 100.0)
RATES = (0.01, 0.03, 0.1, 0.3)
SEEDS = (0, 1, 2)
STEPS = 600
GAUSSIAN = 6  # a window of win_length has a sixth of it as its standard deviation


def slope(deviation: float) -> float:
    """Of the chirp for which a deviation is best, Hz per second."""
    return SAMPLE_RATE**2 / (2 * np.pi * deviation**2)


def chirp(deviation: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    frequency, phase = rng.uniform(1500, 3500), rng.uniform(0, 2 * np.pi)
    time = np.arange(900) / SAMPLE_RATE
    return np.sin(phase + 2 * np.pi * (frequency * time + 0.5 * slope(deviation) * time**2))


def transform(start: float) -> stages.AdaptiveSTFT:
    return stages.AdaptiveSTFT(
        n_fft=N_FFT,
        win_length=GAUSSIAN * start,
        hop_length=97,
        family="gaussian",
        center=False,
        max_length=4 * N_FFT,
    )


def entropy(stft: stages.AdaptiveSTFT, params: Any, x: jax.Array) -> jax.Array:
    """The mean over frames of that of the power, as shares of its sum."""
    energy = power(stft.apply(params, x))
    share = energy / jnp.sum(energy, axis=-1, keepdims=True)
    return -jnp.mean(jnp.sum(share * jnp.log(share + 1e-12), axis=-1))


@partial(jax.jit, static_argnames=("start", "steps"))
def learn(start: float, steps: int, rates: jax.Array, x: jax.Array) -> jax.Array:
    """Deviations after every step, ``(clips, rates, steps)``."""
    stft = transform(start)

    def one(rate, x):
        adam = optax.adam(rate)

        def step(carry, _):
            params, state = carry
            updates, state = adam.update(jax.grad(lambda p: entropy(stft, p, x))(params), state)
            params = optax.apply_updates(params, updates)
            return (params, state), stft.values(params)["win_length"] / GAUSSIAN

        params = stft.init(jax.random.key(0))
        return jax.lax.scan(step, (params, adam.init(params)), length=steps)[1]

    return jax.vmap(jax.vmap(one, (0, None)), (None, 0))(rates, x)


def searched(clips: np.ndarray) -> np.ndarray:
    """The deviation of least entropy for every clip, among lengths 0.5 % apart."""
    stft = transform(50.0)
    z = jnp.linspace(-4, 4, 2001)
    lengths = np.asarray(jax.vmap(lambda z: stft.values({"win_length": z})["win_length"])(z))
    of_clip = jax.jit(lambda x: jax.lax.map(lambda z: entropy(stft, {"win_length": z}, x), z))
    return np.array([lengths[np.argmin(of_clip(x))] / GAUSSIAN for x in clips])


def run(quick: bool) -> dict[str, Any]:
    steps, rates = (100, (0.1, 0.3)) if quick else (STEPS, RATES)
    clips = np.float32([[chirp(best, seed) for seed in SEEDS] for best in DEVIATIONS])
    flat = clips.reshape(-1, clips.shape[-1])
    least = searched(flat).reshape(len(DEVIATIONS), len(SEEDS))
    shown = np.unique(np.geomspace(1, steps, 60).round().astype(int))
    rows = []
    for start in STARTS:
        found = np.asarray(learn(start, steps, jnp.asarray(rates), jnp.asarray(flat)))
        found = found.reshape(len(DEVIATIONS), len(SEEDS), len(rates), steps)
        for number, best in enumerate(DEVIATIONS):
            for at, rate in enumerate(rates):
                path = found[number, :, at]
                rows.append({
                    "closed_form": best,
                    "start": start,
                    "learning_rate": rate,
                    "learned": path[:, -1].tolist(),
                    "deviation_percent": (100 * (path[:, -1] / best - 1)).tolist(),
                    "path_of_first_seed": path[0, shown - 1].round(2).tolist(),
                })  # fmt: skip
    return {
        "settings": {"sample_rate": SAMPLE_RATE, "n_fft": N_FFT, "steps": steps},
        "seeds": list(SEEDS),
        "learning_rates": list(rates),
        "learning_rate_multiplier": 1,
        "slopes_hz_per_s": {str(best): slope(best) for best in DEVIATIONS},
        "searched": {str(best): of.tolist() for best, of in zip(DEVIATIONS, least, strict=True)},
        "shown_steps": shown.tolist(),
        "rows": rows,
    }


def _cell(row: dict[str, Any]) -> str:
    learned = np.array(row["learned"])
    off = float(np.mean(row["deviation_percent"]))
    return f"{_spread(learned)} ({round(off, 1) + 0.0:+.1f} %)"


def _spread(values: np.ndarray) -> str:
    half = np.ptp(values) / 2
    return f"{values.mean():.1f}" + (f" ± {half:.1f}" if half >= 0.05 else "")


def table(results: dict[str, Any]) -> str:
    cells = {
        (row["closed_form"], row["start"], row["learning_rate"]): _cell(row)
        for row in results["rows"]
    }
    rates, rows = results["learning_rates"], []
    for best in DEVIATIONS:
        slope = f"{results['slopes_hz_per_s'][str(best)]:.0f}"
        least = _spread(np.array(results["searched"][str(best)]))
        rows += [
            [slope, best, least, f"{start:g}", *(cells[best, start, rate] for rate in rates)]
            for start in STARTS
        ]
    steps, seeds = results["settings"]["steps"], len(results["seeds"])
    text = (
        f"Standard deviations of the window in samples after {steps} steps of Adam: the mean of "
        f"{seeds} seeds, ± half their range where it is 0.05 or more, and in brackets how far the "
        "mean is from the closed form. Columns are learning rates."
    )
    head = ["slope, Hz/s", "closed form", "searched", "start", *(f"{rate:g}" for rate in rates)]
    return f"{text}\n\n{common.markdown(head, rows)}"


COLOURS = {10.0: "#00798c", 100.0: "#d1495b"}


def _panel(axes: Any, results: dict[str, Any], best: float) -> None:
    rates = results["learning_rates"]
    for row in (row for row in results["rows"] if row["closed_form"] == best):
        strength = rates.index(row["learning_rate"])
        axes.plot(
            results["shown_steps"],
            row["path_of_first_seed"],
            color=COLOURS[row["start"]],
            alpha=0.3 + 0.7 * (strength + 1) / len(rates),
            linewidth=0.8 + 0.4 * strength,
            label=f"start {row['start']:g}, rate {row['learning_rate']:g}",
        )
    axes.axhline(best, color="black", linestyle="--", linewidth=1, label="closed form")
    least = np.mean(results["searched"][str(best)])
    axes.axhline(least, color="green", linestyle=":", linewidth=1.5, label="searched")
    axes.set_title(f"{results['slopes_hz_per_s'][str(best)]:.0f} Hz/s", fontsize=10)
    axes.set_xscale("log")
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def draw(results: dict[str, Any], path: Path) -> None:
    figure = Figure(figsize=(8.4, 5), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True)
    for axes, best in zip(panels.flat, DEVIATIONS, strict=True):
        _panel(axes, results, best)
    figure.supylabel("standard deviation of the window, samples", fontsize=9)
    figure.supxlabel("step of Adam", fontsize=9)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=7.5)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    common.command(sys.modules[__name__])
