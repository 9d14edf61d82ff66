"""What does learning the bank cost? The time of a training step over that of the fixed bank.

A step is the forward and the backward pass and the update, of 8 clips of 1 s at 16 kHz through
STFT, 40 bands and a logarithm, into a network: three convolutions of width 64 over the frames, or
one linear layer alone, which is next to nothing. The gradient goes to the network and to the
parameters of the bank. Banks take turns, round after round; a ratio is the median of the ratios of
the rounds.

    python benchmarks/learning/cost.py

takes about a minute. It should be the only thing that runs.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from networks import make_bank

from jaxspec import FrontEnd, stages

BANKS = ("fixed", "scale", "warp", "gaps", "free", "leaf")
NETWORKS = {"convolutions": (64, 64, 64), "linear": ()}
CLIPS, RATE, N_FFT, BANDS = 8, 16000, 512, 40
ROUNDS = 300


def frontend(kind: str) -> FrontEnd:
    return FrontEnd(
        stages.STFT(n_fft=N_FFT, hop_length=160, win_length=400),
        stages.Power(),
        make_bank(kind, sample_rate=RATE, n_fft=N_FFT, n_bands=BANDS),
        stages.Ln(floor="add", amin=1e-5),
    )


def network(widths: tuple[int, ...]) -> list[jax.Array]:
    rng = np.random.default_rng(0)
    sizes = [BANDS, *widths]
    layers = [(5 * a, b) for a, b in itertools.pairwise(sizes)]
    return [
        jnp.asarray(0.1 * rng.standard_normal(s), jnp.float32) for s in [*layers, (sizes[-1], 8)]
    ]


def output(layers: list[jax.Array], y: jax.Array) -> jax.Array:
    for layer in layers[:-1]:
        frames = y.shape[1] - 4
        y = jnp.concatenate([y[:, i : i + frames] for i in range(5)], axis=-1)
        y = jax.nn.relu(y @ layer)
    return y.mean(axis=1) @ layers[-1]


def make_step(kind: str, widths: tuple[int, ...]) -> tuple[Callable[..., Any], Any]:
    front = frontend(kind)

    def loss(params: Any, x: jax.Array) -> jax.Array:
        return jnp.mean(output(params[1], front.apply(params[0], x)) ** 2)

    @jax.jit
    def step(params: Any, x: jax.Array) -> Any:
        gradient = jax.grad(loss)(params, x)
        return jax.tree.map(lambda p, g: p - 1e-3 * g, params, gradient)

    return step, (front.init(jax.random.key(0)), network(widths))


def run(quick: bool) -> dict[str, Any]:
    x = jax.random.normal(jax.random.key(0), (CLIPS, RATE))
    rounds = 5 if quick else ROUNDS
    rows = []
    for name, widths in NETWORKS.items():
        steps = {kind: make_step(kind, widths) for kind in BANKS}
        times: dict[str, list[float]] = {kind: [] for kind in BANKS}
        for number in range(rounds + 2):
            for kind, (step, params) in steps.items():
                begin = time.perf_counter()
                jax.block_until_ready(step(params, x))
                if number >= 2:  # after compiling and one more
                    times[kind].append(1e3 * (time.perf_counter() - begin))
        for kind in BANKS:
            ratios = np.divide(times[kind], times["fixed"])
            low, middle, high = np.quantile(ratios, [0.1, 0.5, 0.9])
            rows.append(
                {
                    "network": name,
                    "bank": kind,
                    "ms": round(float(np.median(times[kind])), 3),
                    "best_ms": round(min(times[kind]), 3),
                    "ratio": round(float(middle), 3),
                    "range": [round(float(low), 3), round(float(high), 3)],
                }
            )
    settings = {"clips": CLIPS, "bands": BANDS, "n_fft": N_FFT, "rounds": rounds}
    return {"rows": rows, "settings": settings, "device": jax.devices()[0].device_kind}


def table(results: dict[str, Any]) -> str:
    names = list(dict.fromkeys(row["network"] for row in results["rows"]))
    rows = []
    for kind in BANKS:
        cells = [kind if kind != "leaf" else "published leaf"]
        for name in names:
            row = next(r for r in results["rows"] if (r["network"], r["bank"]) == (name, kind))
            cells += [f"{row['ms']:.2f}"]
            low, high = row["range"]
            cells += ["–" if kind == "fixed" else f"{row['ratio']:.2f} [{low:.2f}–{high:.2f}]"]
        rows.append(cells)
    header = ["bank", *(f"{name}{what}" for name in names for what in (", ms", ", ratio"))]
    rounds, device = results["settings"]["rounds"], results["device"]
    return (
        f"Time of a training step, median of {rounds} rounds on {device}; in brackets the middle "
        f"80 % of the ratios of the rounds.\n\n{common.markdown(header, rows)}"
    )


def draw(results: dict[str, Any], path: Path) -> None:
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots(1, len(NETWORKS), sharey=True)
    for ax, name in zip(axes, NETWORKS, strict=True):
        rows = [r for r in results["rows"] if r["network"] == name]
        ratio = np.array([r["ratio"] for r in rows])
        spread = np.abs(np.array([r["range"] for r in rows]).T - ratio)
        ax.barh([r["bank"] for r in rows], ratio, xerr=spread, color="#5ec0a0", ecolor="0.4")
        ax.axvline(1, color="0.5", linewidth=0.8)
        ax.axvline(1.2, color="C3", linewidth=0.8, linestyle="--")
        ax.set_title(f"network: {name}", fontsize=9)
        ax.set_xlabel("step ÷ step with the fixed bank")
        ax.invert_yaxis() if ax is axes[0] else None
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    common.command(sys.modules[__name__])
