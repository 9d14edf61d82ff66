"""Does a front-end that was trained at 16 kHz do the same at other sample rates?

Parameters of jaxspec have no unit and bands lie in Hz: with the same parameters and everything
that counts samples changed in proportion (`jaxspec.at_rate`, to the nearest whole numbers), a
front-end is to give the same at any rate. Here three
with 20 learned bands between 100 and 3900 Hz learn at 16 kHz to name one of eight tones in noise,
behind a linear layer: `stages.Gabor` with `stages.GaussianPool`, and `stages.STFT` with
`stages.Filterbank`, with frames of 512 samples every 160, and of 640 every 320, which are whole
numbers at all rates (22.05 kHz is 441 / 320 times 16 kHz). Then they and the layer are applied at
8, 22.05 and 48 kHz.

- "exact": clips are sums of harmonics of their length up to 3.6 kHz, and so known at any rate.
- "resampled": those of 48 kHz, by `scipy.signal.resample_poly`, whose filter begins to fall below
  half of the sample rate; "sharply": with a filter 8 times as long.
- "in samples", for contrast: centres in radians per sample, widths and windows in samples, as in
  the code published with LEAF, or a matrix over FFT bins: nothing is changed but the waveform.

The energy of a clip in a band is the sum over the frames times the time between them. What is
compared is that of every clip and band with the same at 16 kHz; nothing is left out.

    python benchmarks/learning/rates.py

takes about two minutes on one core.
"""

from __future__ import annotations

import sys
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import common
import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.signal
from matplotlib.figure import Figure

import jaxspec
from jaxspec import FrontEnd, stages

TRAINED, OTHERS = 16000, (8000, 22050, 48000)
SECONDS = 0.24  # a whole number of samples at all rates
HIGHEST = 3600.0  # Hz, of the clips
N_BANDS = 20
TONES = 624 + 14 * np.arange(8)  # harmonics of the clip: 58 Hz apart from 2600 Hz
SEEDS = (0, 1, 2)
STEPS, BATCH, N_TRAIN, N_TEST = 300, 16, 512, 128
LEARNING_RATE, MULTIPLIER = 0.003, 10.0
LEVEL = 1e-6  # added to energies; they are about 1e-3
BANK = {"n_bands": N_BANDS, "f_min": 100.0, "f_max": 3900.0, "scale": "htk", "layout": "gaps"}


def stft(n_fft: int, win_length: int, hop_length: int) -> FrontEnd:
    """Levels are those of the signal."""
    return FrontEnd(
        stages.STFT(
            n_fft=n_fft, win_length=win_length, hop_length=hop_length, normalized="magnitude"
        ),
        stages.Power(),
        stages.Filterbank(sample_rate=TRAINED, n_fft=n_fft, shape="gaussian", norm=None, **BANK),
    )


FRONTENDS = {
    "Gabor": FrontEnd(
        stages.Gabor(sample_rate=TRAINED, taps=801, hop_length=8, **BANK),
        stages.Power(),
        stages.GaussianPool(size=41, stride=20, deviation=8.0),
    ),
    "STFT of 512": stft(512, 400, 160),
    "STFT of 640": stft(640, 640, 320),
}


def clips(count: int, seed: int, rates: tuple[int, ...]) -> tuple[dict[int, np.ndarray], Any]:
    """The same clips at several rates, and which tone they have."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, len(TONES), count)
    harmonics = np.zeros((count, int(HIGHEST * SECONDS) + 1), complex)
    harmonics[:, 1:] = rng.standard_normal((count, harmonics.shape[1] - 1, 2)) @ [1, 1j]
    level = 10 ** (rng.uniform(-10, 0, (2, count)) / 20)
    harmonics *= 0.02 * level[0][:, None]
    phases = np.exp(2j * np.pi * rng.uniform(size=count))
    harmonics[np.arange(count), TONES[y]] += level[1] * phases
    found = {}
    for rate in rates:
        n = round(rate * SECONDS)
        time = np.arange(n) / rate
        # In and out within 30 ms each, so that no frame sees an edge.
        fade = np.sin(np.pi / 2 * np.clip(np.minimum(time, SECONDS - time) / 0.03, 0, 1)) ** 4
        found[rate] = (np.fft.irfft(harmonics, n) * n / 2 * fade).astype(np.float32)
    return found, y


def resampled(x: np.ndarray, rate: int, sharply: bool) -> np.ndarray:
    up, down = Fraction(rate, 48000).as_integer_ratio()
    longer = scipy.signal.firwin(
        2 * 80 * max(up, down) + 1, 1 / max(up, down), window=("kaiser", 8)
    )
    window = longer if sharply else ("kaiser", 5.0)  # the latter is SciPy's own
    return scipy.signal.resample_poly(x, up, down, axis=1, window=window).astype(np.float32)


def energies(frontend: FrontEnd, params: Any, x: Any, rate: float) -> jax.Array:
    """Of every clip in every band, ``(clips, bands)``; ``rate`` is that of ``x``."""
    between = frontend.reach.stride / rate
    return frontend.apply(params, x).sum(axis=-2) * (between / SECONDS)


def logits(params: Any, energies: Any) -> jax.Array:
    y = jnp.log(energies + LEVEL)
    return (y - params["offset"]) @ params["weights"] + params["bias"]


def train(frontend: FrontEnd, x: np.ndarray, y: np.ndarray, seed: int, steps: int) -> Any:
    """Front-end and linear layer, at the rate that it is for."""
    x, y = jnp.asarray(x), jnp.asarray(y)
    own = frontend.init(jax.random.key(0))
    adam = optax.multi_transform(
        {
            "layer": optax.adam(LEARNING_RATE),
            "frontend": optax.adam(MULTIPLIER * LEARNING_RATE),
            "fixed": optax.set_to_zero(),
        },
        {"frontend": "frontend", "weights": "layer", "bias": "layer", "offset": "fixed"},
    )
    params = {
        "frontend": own,
        "weights": jnp.zeros((N_BANDS, len(TONES))),
        "bias": jnp.zeros(len(TONES)),
        # A layer learns slowly behind features that are far from 0.
        "offset": jnp.log(energies(frontend, own, x[:64], TRAINED) + LEVEL).mean(axis=0),
    }

    def step(carry, key):
        params, state = carry
        rows = jax.random.randint(key, (BATCH,), 0, len(x))

        def loss(params):
            guess = logits(params, energies(frontend, params["frontend"], x[rows], TRAINED))
            return optax.softmax_cross_entropy_with_integer_labels(guess, y[rows]).mean()

        updates, state = adam.update(jax.grad(loss)(params), state, params)
        return (optax.apply_updates(params, updates), state), None

    keys = jax.random.split(jax.random.key(seed), steps)
    learn = jax.jit(lambda carry, keys: jax.lax.scan(step, carry, keys)[0][0])
    return learn((params, adam.init(params)), keys)


def compared(trained: FrontEnd, all_params: list[Any], waves: dict[Any, Any], y: Any) -> list[Any]:
    """At every other rate, with everything scaled or nothing; lists are over seeds."""

    def judged(frontend, x, rate):
        of = jax.jit(partial(energies, frontend))
        found = [np.asarray(of(params["frontend"], x, rate), np.float64) for params in all_params]
        guesses = map(logits, all_params, found)
        return np.stack(found), [float((guess.argmax(axis=-1) == y).mean()) for guess in guesses]

    before, accuracy = judged(trained, waves["exact", TRAINED], TRAINED)
    centers = [np.asarray(_bank(trained, p["frontend"], "centers")) for p in all_params]
    rows = [{"way": "trained", "rate": TRAINED, "accuracy": accuracy}]
    for (way, rate), x in waves.items():
        if rate == TRAINED:
            continue
        frontend = trained
        if way != "in samples":
            frontend = jaxspec.at_rate(trained, rate, lengths="nearest")
        now, accuracy = judged(frontend, x, rate)
        off = 100 * np.abs(now / before - 1)
        factor = rate / TRAINED if way == "in samples" else 1.0
        heard = [factor * np.asarray(_bank(frontend, p["frontend"], "centers")) for p in all_params]
        moved = np.abs(np.array(heard) - centers)
        rows.append({
            "way": way, "rate": rate, "accuracy": accuracy,
            "mean_percent": off.mean(axis=(1, 2)).tolist(),
            "largest_percent": off.max(axis=(1, 2)).tolist(),
            "percent_by_band": off.mean(axis=(0, 1)).tolist(),
            "largest_percent_by_band": off.max(axis=(0, 1)).tolist(),
            "centres_moved_hz": moved.mean(axis=1).tolist(),
        })  # fmt: skip
    return rows


def _bank(frontend: FrontEnd, params: Any, what: str) -> jax.Array:
    """``centers`` or ``widths`` of the stage that has bands."""
    stage = next(stage for stage in frontend.stages if hasattr(stage, what))
    return getattr(stage, what)(params[stage.name])


def run(quick: bool) -> dict[str, Any]:
    steps, n_test = (20, 16) if quick else (STEPS, N_TEST)
    learned_from, y = clips(64 if quick else N_TRAIN, 0, (TRAINED,))
    heard, y_test = clips(n_test, 1, (TRAINED, *OTHERS))
    waves: dict[Any, Any] = {("exact", rate): x for rate, x in heard.items()}
    for rate in OTHERS:
        if rate != 48000:
            waves["resampled", rate] = resampled(heard[48000], rate, sharply=False)
            waves["sharply", rate] = resampled(heard[48000], rate, sharply=True)
        waves["in samples", rate] = heard[rate]
    rows = {}
    bands = {}
    for name, trained in FRONTENDS.items():
        params = [train(trained, learned_from[TRAINED], y, seed, steps) for seed in SEEDS]
        rows[name] = compared(trained, params, waves, y_test)
        start = trained.init(jax.random.key(0))
        centers = np.array([_bank(trained, p["frontend"], "centers") for p in params])
        bands[name] = {
            "start": np.asarray(_bank(trained, start, "centers")).round(1).tolist(),
            "learned": centers.round(1).tolist(),
            "findings": [trained.check(p["frontend"]) for p in params],
            "widths": np.array([_bank(trained, p["frontend"], "widths") for p in params])
            .round(1)
            .tolist(),
        }
    return {
        "settings": {
            "trained_at": TRAINED, "seconds": SECONDS, "highest_hz": HIGHEST, **BANK,
            "steps": steps, "batch": BATCH, "clips": len(y), "test_clips": n_test,
        },
        "seeds": list(SEEDS),
        "learning_rate": LEARNING_RATE,
        "learning_rate_multiplier": MULTIPLIER,
        "rows": rows,
        "bands": bands,
    }  # fmt: skip


def _spread(values: list[float], form: str) -> str:
    mean, low, high = (format(v, form) for v in (np.mean(values), min(values), max(values)))
    return mean if low == high else f"{mean} [{low}–{high}]"


def table(results: dict[str, Any]) -> str:
    lines = []
    for name, rows in results["rows"].items():
        for row in rows:
            line = [name, row["way"], f"{row['rate'] / 1000:g} kHz"]
            if row["way"] == "trained":
                line += ["–"] * 3
            else:
                line += [
                    f"{np.mean(row['mean_percent']):.3g} %",
                    f"{max(row['largest_percent']):.3g} %",
                    f"{np.mean(row['centres_moved_hz']):.0f} Hz",
                ]
            lines.append([*line, _spread([100 * a for a in row["accuracy"]], ".1f")])
    head = ["front-end", "signal", "rate", "energies, mean", "largest", "centres", "accuracy, %"]
    settings = results["settings"]
    moved = ", ".join(
        f"{name} {np.abs(np.array(band['learned']) - band['start']).mean():.0f} Hz"
        for name, band in results["bands"].items()
    )
    text = (
        f"How far energies are from those at 16 kHz: the mean over {settings['test_clips']} clips, "
        f"{settings['n_bands']} bands and {len(results['seeds'])} seeds, and the largest of any "
        f"clip, band and seed. By how much centres lie elsewhere in Hz, and how many tones are "
        f"named right, mean [least–greatest] of the seeds. Trained for {settings['steps']} steps "
        f"with a multiplier of {results['learning_rate_multiplier']:g}, which moved the centres "
        f"by, on average: {moved}."
    )
    return f"{text}\n\n{common.markdown(head, lines)}"


STYLES = {"exact": "-", "resampled": "--", "sharply": "-.", "in samples": ":"}


def draw(results: dict[str, Any], path: Path) -> None:
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    panels = figure.subplots(1, len(FRONTENDS), sharey=True)
    for axes, (name, rows) in zip(panels, results["rows"].items(), strict=True):
        for row in rows:
            if row["way"] == "trained":
                continue
            axes.plot(
                np.arange(1, N_BANDS + 1), row["largest_percent_by_band"], STYLES[row["way"]],
                color=f"C{OTHERS.index(row['rate'])}", linewidth=1.4,
                label=f"{row['way']}, {row['rate'] / 1000:g} kHz",
            )  # fmt: skip
        axes.axhline(1, color="grey", linewidth=0.8)
        axes.set_yscale("log")
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("band")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("largest difference of energies, %")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=8)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    common.command(sys.modules[__name__])
