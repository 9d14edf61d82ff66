"""Which of eight tones is it, where mel bands are too wide to tell?

    python benchmarks/learning/tones.py

Eight tones 90 Hz apart lie between 5.2 and 5.9 kHz; the 16 mel bands are about 1 kHz apart there.
Every clip has one of them, a second tone elsewhere and noise, each at a random level. A small
network sees the mean over the frames of log bands and has to name the tone. The task is made so
that mel is the wrong start: does a learned bank get out of it, in which parametrisation, and at
which learning rate? About 5 minutes on two cores.

The learning rate of the front-end is that of the network times a multiplier. The best multiplier
of a row is chosen on clips of their own; the accuracies are those of other clips.
"""

from __future__ import annotations

import sys
from typing import Any

import common
import jax
import jax.numpy as jnp
import networks
import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from jaxspec import FrontEnd, stages

SAMPLE_RATE, N_FFT, N_BANDS = 16000, 512, 16
TONES = 5235.0 + 90.0 * np.arange(8)  # Hz; no tone lies on the middle of a bin
ELSEWHERE = ((200.0, 4700.0), (6400.0, 7800.0))  # Hz, where the second tone is
NOISE = 0.3  # standard deviation, where the loudest tones have an amplitude of 1
SECONDS = 0.25
LEARNING_RATE = 3e-3
MULTIPLIERS = (1.0, 10.0, 30.0, 100.0)
ROWS = ("fixed", "gaps", "warp", "scale", "free", "hz", "rate", "leaf", "mel", "matrix")
LEAST_ERROR = 0.01  # %, in the picture
LOG = stages.Ln(amin=1e-4, floor="add")  # noise has powers of about 10


def clips(key: jax.Array, n: int) -> tuple[jax.Array, jax.Array]:
    """``n`` power spectra and labels."""
    label, place, levels, phases, noise = jax.random.split(key, 5)
    y = jax.random.randint(label, (n,), 0, len(TONES))
    (low, below), (above, high) = ELSEWHERE
    share = jax.random.uniform(place, (n,)) * (below - low + high - above)
    other = jnp.where(share < below - low, low + share, above + share - (below - low))
    hertz = jnp.stack([jnp.asarray(TONES, jnp.float32)[y], other])
    amplitude = 10 ** (jax.random.uniform(levels, (2, n), minval=-10.0, maxval=0.0) / 20)
    phase = 2 * jnp.pi * jax.random.uniform(phases, (2, n))
    time = jnp.arange(round(SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    waves = jnp.sin(2 * jnp.pi * hertz[..., None] * time + phase[..., None])
    x = (amplitude[..., None] * waves).sum(axis=0)
    x = x + NOISE * jax.random.normal(noise, x.shape)
    spectrum = FrontEnd(stages.STFT(n_fft=N_FFT, win_length=400, hop_length=160), stages.Power())
    return spectrum(x), y


def make_model(kind: str, **normalisation: float) -> networks.Model:
    bank = networks.make_bank(kind, sample_rate=SAMPLE_RATE, n_fft=N_FFT, n_bands=N_BANDS)
    frontend = FrontEnd(bank, LOG)
    return networks.Model(frontend, len(TONES), network="mlp", width=64, **normalisation)


def run(quick: bool) -> dict[str, Any]:
    n, n_test, steps = (512, 256, 40) if quick else (4096, 2048, 1500)
    rows = ("fixed", "gaps", "leaf") if quick else ROWS
    multipliers = MULTIPLIERS[:2] if quick else MULTIPLIERS
    seeds = list(range(1 if quick else 5))
    make = jax.jit(clips, static_argnums=1)
    x, y = make(jax.random.key(0), n)
    chosen_on, tested_on = (make(jax.random.key(key), n_test) for key in (1, 2))
    # The same for all rows: what the fixed front-end makes of the training clips.
    fixed = make_model("fixed").frontend(x)
    normalisation = {"offset": float(fixed.mean()), "scale": float(fixed.std())}
    orders = np.stack([networks.batches(np.ones(n, bool), steps, seed) for seed in seeds])
    results = []
    for kind in tqdm(rows, unit="row", disable=quick):
        model = make_model(kind, **normalisation)
        tried = (1.0,) if kind == "fixed" else multipliers
        cells = [(multiplier, seed) for multiplier in tried for seed in seeds]
        params, losses = networks.train(
            model,
            x,
            y,
            rows=np.concatenate([orders] * len(tried)),
            seeds=[seed for _, seed in cells],
            multipliers=[multiplier for multiplier, _ in cells],
            learning_rate=LEARNING_RATE,
        )
        results.append(_row(kind, model, params, losses, tried, chosen_on, tested_on))
    return {
        "rows": results,
        "seeds": seeds,
        "multipliers": list(multipliers),
        "settings": {
            "clips": n, "test_clips": n_test, "steps": steps, "batch": networks.BATCH,
            "learning_rate": LEARNING_RATE, "noise": NOISE, "tones_hz": TONES.tolist(),
            "n_bands": N_BANDS, **normalisation,
        },
    }  # fmt: skip


def _row(kind, model, params, losses, tried, chosen_on, tested_on) -> dict[str, Any]:
    """All numbers of one parametrisation: nested lists are ``[multiplier][seed]``."""

    def by_multiplier(values: Any) -> list[list[Any]]:
        return [list(part) for part in np.array_split(np.asarray(values, object), len(tried))]

    def accuracy(x: jax.Array, y: jax.Array) -> list[list[float]]:
        right = np.asarray(networks.predict(model, params, x)) == np.asarray(y)
        return by_multiplier(right.mean(axis=-1).tolist())

    selection = accuracy(*chosen_on)
    best = int(np.argmax([np.mean(values) for values in selection]))
    bank, _ = model.bank(params)
    first = networks.of_run(params, best * len(selection[0]))  # the first seed
    return {
        "kind": kind,
        "multipliers": list(tried),
        "accuracy": accuracy(*tested_on),
        "accuracy_on_selection": selection,
        "moved_hz": by_multiplier(networks.moved(model, params)),
        "loss": by_multiplier(losses[:, -50:].mean(axis=-1).tolist()),
        "best": best,
        "centres_start": np.asarray(bank.centers(bank.init(jax.random.key(0)))).tolist(),
        "centres_end": np.asarray(bank.centers(model.bank(first)[1])).tolist(),
    }


def name_of(kind: str) -> str:
    return {"fixed": "fixed mel"}.get(kind, kind if kind in networks.OURS else f"published {kind}")


def table(results: dict[str, Any]) -> str:
    header = ["bank", *(f"× {m:g}" for m in results["multipliers"]), "best", "moved"]
    lines = []
    for row in results["rows"]:
        cells = [networks.spread(values) for values in row["accuracy"]]
        best = row["best"]
        moved = networks.mean_hertz(row["moved_hz"][best])
        if row["kind"] == "fixed":
            cells += ["–"] * (len(results["multipliers"]) - 1)
            lines.append([name_of("fixed"), *cells, cells[0], "–"])
            continue
        cells.append(f"{cells[best]} at × {row['multipliers'][best]:g}")
        lines.append([name_of(row["kind"]), *cells, moved])
    settings = results["settings"]
    return (
        f"Accuracy in % on {settings['test_clips']} new clips, mean [least–greatest] of "
        f"{len(results['seeds'])} seeds, by the multiplier of the front-end's learning rate; the "
        f"best one was chosen on other clips. Moved: the centres, mean over bands and seeds, at "
        f"the best multiplier. {settings['steps']} steps of Adam at "
        f"{settings['learning_rate']:g}.\n\n" + common.markdown(header, lines)
    )


def draw(results: dict[str, Any], path: Any) -> None:
    rows = results["rows"]
    figure = Figure(figsize=(12, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    colours = dict(zip(ROWS, ["black", *(f"C{i}" for i in range(9))], strict=True))
    for row in rows:
        kind, errors = row["kind"], [100 - 100 * np.mean(values) for values in row["accuracy"]]
        errors = np.maximum(errors, LEAST_ERROR)
        if kind == "fixed":
            left.axhline(errors[0], color="black", linewidth=1, label=name_of(kind))
            continue
        style = {"linestyle": "-" if kind in networks.OURS else "--", "color": colours[kind]}
        left.plot(row["multipliers"], errors, marker="o", label=name_of(kind), **style)
    left.set_xscale("log")
    left.set_yscale("log")
    left.set_yticks([0.01, 0.1, 1, 10, 100], ["none", "0.1", "1", "10", "100"])
    left.set_xlabel("learning rate of the front-end ÷ that of the network")
    left.set_ylabel("errors, % (mean over seeds)")
    left.set_title("Naming one of eight tones 90 Hz apart")
    left.grid(alpha=0.3)
    figure.legend(fontsize=9, loc="outside lower center", ncols=5)
    right.axvspan(TONES[0] / 1000, TONES[-1] / 1000, color="gold", alpha=0.4)
    for height, row in enumerate(rows):
        start, end = (np.asarray(row[name]) / 1000 for name in ("centres_start", "centres_end"))
        right.plot(start, np.full(len(start), height), "|", color="grey", markersize=12)
        right.plot(end, np.full(len(end), height), "o", color=colours[row["kind"]], markersize=5)
    right.set_yticks(range(len(rows)), [name_of(row["kind"]) for row in rows])
    right.invert_yaxis()
    right.set_xlim(0, SAMPLE_RATE / 2000)
    right.set_xlabel("kHz (yellow: the tones; some centres may lie outside)")
    right.set_title("Centres before (|) and after (●), best multiplier, seed 0")
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    common.command(sys.modules[__name__])
