"""Spoken digits in noise at unknown levels: does it pay to learn the bank, or PCEN?

    python benchmarks/learning/digits.py

The Free Spoken Digit Dataset (3,000 clips of six speakers at 8 kHz; folder ``fsdd`` of what
``JAXSPEC_DATA`` names), its official split: recordings 0 to 4 of every speaker and digit are the
test. Every digit begins 0.1 to 0.25 s after the start of 0.8 s of white noise of the same power (0
dB), and the whole clip has a random level from -20 to +20 dB. In training each digit has four
noises and a new level every time; the test clips (four noises each) are the same for all rows.
16 mel bands, a small convolutional network over time, the same network, steps and learning rate
in all rows. About 8 minutes on two cores.

What the network sees is the features less one number and divided by another, both from training
clips behind the fixed front-end. That leaves it to the front-end to deal with the level, or to the
network, which learns to in time: so everything is trained for 200 and for 1,000 steps. The rows
"less the clip's mean" take the mean over the frames off each band instead, which removes the level
but needs the whole clip. Rate, steps and the length of the clips were chosen with recordings 5 to
9 held out of the training, not on the test; that PCEN leads early and not late was seen there.
The test was looked at once before, after 600 steps: fixed PCEN led by 1.0 points (0.2 to 2.1).
"""

from __future__ import annotations

import csv
import dataclasses
import sys
from collections.abc import Iterator
from typing import Any

import common
import jax
import jax.numpy as jnp
import networks
import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from jaxspec import FrontEnd, stages

SAMPLE_RATE, N_FFT, N_BANDS = 8000, 256, 16
SAMPLES, LEAD = 6400, (800, 2000)
LEVEL, GAIN_DB = 0.1, 20.0  # root of the mean square of a digit in the middle of the levels
NOISES = 4  # of every clip
LEARNING_RATE = 3e-3
LENGTHS = (200, 1000)  # steps
SPECTRUM = FrontEnd(stages.STFT(n_fft=N_FFT, win_length=200, hop_length=80), stages.Power())
# Bank, compression, multipliers of the front-end's learning rate, whether the clip's mean is off.
ROWS = (
    ("fixed", "log", (1.0,), False),
    ("gaps", "log", (1.0, 10.0), False),
    ("warp", "log", (1.0, 10.0), False),
    ("free", "log", (1.0, 10.0), False),
    ("leaf", "log", (1.0, 10.0), False),
    ("fixed", "fixed PCEN", (1.0,), False),
    ("fixed", "learned PCEN", (1.0, 10.0), False),
    ("gaps", "learned PCEN", (1.0, 10.0), False),
    ("fixed", "log", (1.0,), True),
    ("gaps", "log", (10.0,), True),
    ("fixed", "fixed PCEN", (1.0,), True),
    ("fixed", "learned PCEN", (10.0,), True),
)


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Digits end to end: samples, and for each digit where it is and what it is."""

    x: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    digit: np.ndarray
    index: np.ndarray
    speaker: np.ndarray

    def clips(self, chosen: np.ndarray, samples: int, leads: np.ndarray) -> np.ndarray:
        """Chosen digits after some silence, ``(clips, samples)``, their mean square 1."""
        out = np.zeros((len(leads), samples), np.float32)
        for row, number, lead in zip(out, np.flatnonzero(chosen), leads, strict=True):
            digit = self.x[self.start[number] : self.stop[number]]
            digit = digit / np.sqrt(np.mean(np.square(digit)))
            row[lead : lead + len(digit)] = digit[: samples - lead]
        return out


def read() -> Corpus | None:
    """The data set; ``None``, after saying so, where it is not there."""
    folder = common.data_folder()
    if folder is None or not (folder / "fsdd" / "fsdd.flac").exists():
        print("The digits are not here: JAXSPEC_DATA must name a folder with fsdd/fsdd.flac.")
        return None
    import soundfile

    x, _ = soundfile.read(folder / "fsdd" / "fsdd.flac", dtype="float32")
    with (folder / "fsdd" / "fsdd.csv").open() as file:
        lines = list(csv.DictReader(file))
    numbers = {
        name: np.array([int(line[name]) for line in lines], np.int32)
        for name in ("start", "stop", "digit", "index")
    }
    return Corpus(x=x, speaker=np.array([line["speaker"] for line in lines]), **numbers)


def noisy(corpus: Corpus, chosen: np.ndarray, seed: int) -> tuple[jax.Array, jax.Array]:
    """Power spectra of chosen digits in `NOISES` noises each, and their labels."""
    powers = [SPECTRUM(x) for x in waveforms(corpus, chosen, seed, NOISES)]
    return jnp.concatenate(powers), jnp.asarray(np.tile(corpus.digit[chosen], NOISES))


def waveforms(corpus: Corpus, chosen: np.ndarray, seed: int, noises: int) -> Iterator[jax.Array]:
    """Chosen digits ``(clips, samples)`` in one noise after the other, in the middle level."""
    rng = np.random.default_rng(seed)
    for _ in range(noises):
        x = corpus.clips(chosen, SAMPLES, rng.integers(*LEAD, chosen.sum(), endpoint=True))
        yield jnp.asarray(LEVEL * (x + rng.standard_normal(x.shape, np.float32)))


def at_random_levels(key: jax.Array, x: jax.Array) -> jax.Array:
    """Power spectra, each times a gain."""
    decibels = jax.random.uniform(key, (len(x), 1, 1), minval=-GAIN_DB, maxval=GAIN_DB)
    return x * 10 ** (decibels / 10)


def make_frontend(bank: str, compression: str) -> FrontEnd:
    filters = networks.make_bank(bank, sample_rate=SAMPLE_RATE, n_fft=N_FFT, n_bands=N_BANDS)
    after = {
        "log": stages.Ln(amin=1e-4, floor="add"),  # noise at the least level has about 0.01
        "fixed PCEN": stages.PCEN(),
        "learned PCEN": stages.PCEN(learn="all", n_bands=N_BANDS),
    }
    return FrontEnd(filters, after[compression])


def make_model(bank: str, compression: str, clip_mean: bool, x: jax.Array) -> networks.Model:
    """A model whose features are normalised by what its fixed front-end makes of clips."""
    fixed = make_frontend("fixed", compression.replace("learned", "fixed"))(x)
    if clip_mean:
        offset, scale = None, float((fixed - fixed.mean(axis=1, keepdims=True)).std())
    else:
        offset, scale = float(fixed.mean()), float(fixed.std())
    return networks.Model(make_frontend(bank, compression), 10, offset=offset, scale=scale)


def run(quick: bool, corpus: Corpus | None = None) -> dict[str, Any] | None:
    corpus = corpus or read()
    if corpus is None:
        return None
    lengths, seeds = ((10, 20), [0]) if quick else (LENGTHS, list(range(5)))
    rows = (ROWS[0], ROWS[7]) if quick else ROWS
    # A few of the recordings are enough to see that it runs.
    held_out, used = corpus.index < 5, corpus.index < (10 if quick else np.inf)
    x, y = noisy(corpus, ~held_out & used, 0)
    x_test, y_test = noisy(corpus, held_out, 1)
    x_test = at_random_levels(jax.random.key(1), x_test)
    some = at_random_levels(jax.random.key(2), x[:1000])
    results = []
    cells = [(*row, multiplier) for row in rows for multiplier in row[2][-1 if quick else 0 :]]
    for bank, compression, _, clip_mean, multiplier in tqdm(cells, unit="row", disable=quick):
        model = make_model(bank, compression, clip_mean, some)
        found = {}
        for steps in lengths:
            every = np.ones(len(x), bool)
            params, losses = networks.train(
                model,
                x,
                y,
                rows=np.stack([networks.batches(every, steps, seed) for seed in seeds]),
                seeds=seeds,
                multipliers=[multiplier] * len(seeds),
                learning_rate=LEARNING_RATE,
                prepare=at_random_levels,
            )
            right = np.asarray(networks.predict(model, params, x_test)) == np.asarray(y_test)
            found[str(steps)] = {
                "accuracy": right.mean(axis=-1).tolist(),
                "moved_hz": networks.moved(model, params),
                "loss": losses[:, -30:].mean(axis=-1).tolist(),
                "pcen": _pcen_values(model, params),
            }
        results.append(
            {
                "bank": bank,
                "compression": compression,
                "multiplier": multiplier,
                "clip_mean": clip_mean,
                "steps": found,
            }
        )
    return {
        "rows": results,
        "seeds": seeds,
        "settings": {
            "clips": len(x), "test_clips": len(x_test), "steps": lengths, "batch": networks.BATCH,
            "learning_rate": LEARNING_RATE, "gain_db": GAIN_DB, "n_bands": N_BANDS,
            "seconds": SAMPLES / SAMPLE_RATE, "noises": NOISES,
        },
    }  # fmt: skip


def _pcen_values(model: networks.Model, params: networks.Params) -> dict[str, list[float]]:
    """Mean, least and greatest of the learned quantities over bands and seeds."""
    learned = params["frontend"].get("pcen")
    if not learned:
        return {}
    values = jax.vmap(model.frontend["pcen"].values)(learned)
    return {
        name: [float(function(value)) for function in (jnp.mean, jnp.min, jnp.max)]
        for name, value in values.items()
    }


def name_of(row: dict[str, Any]) -> str:
    bank = row["bank"] if row["bank"] in networks.OURS else f"published {row['bank']}"
    bank = "fixed mel" if bank == "fixed" else bank
    return f"{bank}, {row['compression']}" + ", less the clip's mean" * row["clip_mean"]


def _learns(row: dict[str, Any]) -> bool:
    return row["bank"] != "fixed" or row["compression"].startswith("learned")


def table(results: dict[str, Any]) -> str:
    rows, lengths, lines = results["rows"], list(results["rows"][0]["steps"]), []
    for row in rows:
        line = [name_of(row), f"{row['multiplier']:g}" if _learns(row) else "–"]
        for steps in lengths:
            line += _accuracy_cells(rows, row, steps)
        moved = networks.mean_hertz(row["steps"][lengths[-1]]["moved_hz"])
        lines.append([*line, moved if row["bank"] != "fixed" else "–"])
    header = ["front-end", "multiplier"]
    for steps in lengths:
        header += [f"{steps} steps", "difference"]
    text = (
        f"Accuracy in % on {results['settings']['test_clips']} test clips, mean ± standard "
        f"deviation of {len(results['seeds'])} seeds; the difference from the fixed mel bank with "
        f"the logarithm that is normalised alike, seed by seed, as mean [least to greatest]. "
        f"Moved: the centres, after {lengths[-1]} steps.\n\n"
        + common.markdown([*header, "moved"], lines)
    )
    return text + "\n\n" + _learned_values(rows, lengths[-1])


def _accuracy_cells(rows: list[dict[str, Any]], row: dict[str, Any], steps: str) -> list[str]:
    base = next(other for other in rows if other["clip_mean"] == row["clip_mean"])
    own, its = (100 * np.asarray(each["steps"][steps]["accuracy"]) for each in (row, base))
    gain = own - its
    difference = f"{gain.mean():+.1f} [{gain.min():+.1f} to {gain.max():+.1f}]"
    return [f"{own.mean():.1f} ± {own.std():.1f}", "–" if row is base else difference]


def _learned_values(rows: list[dict[str, Any]], steps: str) -> str:
    learned = [(row, row["steps"][steps]["pcen"]) for row in rows if row["steps"][steps]["pcen"]]
    names = list(learned[0][1])
    lines = [["start", "", *(f"{getattr(stages.PCEN(), name):.3g}" for name in names)]]
    for row, values in learned:
        cells = [f"{m:.3g} [{least:.3g}–{most:.3g}]" for m, least, most in values.values()]
        lines.append([name_of(row), f"{row['multiplier']:g}", *cells])
    return (
        f"What PCEN learned in {steps} steps, mean [least–greatest] over bands and seeds.\n\n"
        + common.markdown(["front-end", "multiplier", *names], lines)
    )


def draw(results: dict[str, Any], path: Any) -> None:
    rows, lengths = results["rows"], list(results["rows"][0]["steps"])
    figure = Figure(figsize=(12, 0.33 * len(rows) + 1.6), layout="constrained")
    panels = figure.subplots(1, len(lengths), sharey=True)
    for axes, steps in zip(panels, lengths, strict=True):
        _draw_length(axes, rows, steps)
    names = [name_of(row) + f", × {row['multiplier']:g}" * _learns(row) for row in rows]
    panels[0].set_yticks(range(len(rows)), names)
    panels[0].invert_yaxis()
    figure.suptitle("Spoken digits in noise at 0 dB, level random within ±20 dB")
    figure.supxlabel("accuracy, %: seeds (●) and their mean (|); dashed: fixed mel, log")
    figure.savefig(path, dpi=90)


def _draw_length(axes: Any, rows: list[dict[str, Any]], steps: str) -> None:
    """One panel: every row after so many steps."""
    colours = {"log": "C0", "fixed PCEN": "C1", "learned PCEN": "C3"}
    means = []
    for height, row in enumerate(rows):
        values = 100 * np.asarray(row["steps"][steps]["accuracy"])
        colour = colours[row["compression"]]
        axes.plot(values, np.full(len(values), height), "o", color=colour, alpha=0.45, markersize=5)
        axes.plot([values.mean()] * 2, [height - 0.3, height + 0.3], color=colour, linewidth=3)
        means.append(values.mean())
    groups = [row["clip_mean"] for row in rows]
    border = groups.index(True) if True in groups else len(rows)
    axes.plot([means[0]] * 2, [-0.5, border - 0.5], "--", color="C0", linewidth=1)
    if border < len(rows):
        axes.axhline(border - 0.5, color="grey", linewidth=0.8)
        axes.plot([means[border]] * 2, [border - 0.5, len(rows) - 0.5], "--", color="C0", lw=1)
    axes.set_title(f"{steps} steps")
    axes.grid(axis="x", alpha=0.3)


if __name__ == "__main__":
    common.command(sys.modules[__name__])
