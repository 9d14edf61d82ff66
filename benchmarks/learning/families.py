"""Front-ends of every family on the same spoken digits, with the same network and budget.

    python benchmarks/learning/families.py

The task is that of ``digits.py``: spoken digits in noise at 0 dB, at a level anew for every clip
and step, the official split (recordings 0 to 4 of every speaker and digit are the test). Here all
begins with the waveform, so that windows and filters in time can be learned, too. 16 bands, 80
frames (wavelet octaves have 18 channels and 100 frames), the same small network, 400 steps, 3
seeds. Long: 55 minutes on two busy cores, half of it the last two.

Every front-end that learns is trained twice: as it is, and with a learning rate of 0, so that the
gain of learning is not that of having other filters. Features are normalised by one number for all
clips and one more, from training clips at the start; "less the clip's mean" takes the mean over the
frames off each band instead. The learning rate of the front-end is that of the network times a
multiplier, set beforehand: 10 for parameters without unit, 1 for free weights of a matrix and
filters of octaves, 0.1 for free filters in time, whose entries are about 0.02. Steps, rates and
levels were not tried out on the test.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from typing import Any

import common
import digits
import jax
import jax.numpy as jnp
import networks
import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

import jaxspec
from jaxspec import FrontEnd, stages
from jaxspec.stage import Stage, leaves_by_path

BANDS = {"sample_rate": digits.SAMPLE_RATE, "n_bands": digits.N_BANDS}
HOP, DIRECT_HOP = 8, 16  # samples between what filters give: by FFT, by matrix products
NOISES = 2  # of every clip
STEPS = 400
ROUNDS = 40  # of the timing
LEARNING_RATE = digits.LEARNING_RATE
QUICK = ("log-mel", "LEAF", "free filters, log")


@dataclasses.dataclass(frozen=True)
class Family:
    """A front-end and how it is trained; with a multiplier of 0 alone nothing is learned."""

    name: str
    frontend: FrontEnd
    multiplier: float = 0.0
    clip_mean: bool = False


def families() -> list[Family]:
    """All rows of the table."""
    log, pcen = stages.Ln(amin=1e-4, floor="add"), stages.PCEN(learn="all", n_bands=digits.N_BANDS)
    window = stages.AdaptiveSTFT(n_fft=digits.N_FFT, win_length=200, hop_length=80)
    gabor = _in_time(stages.Gabor(**BANDS, layout="gaps", taps=201, hop_length=HOP))
    leaf = stages.PCEN(gain=0.96, smoothing=0.04, eps=1e-12, learn="all", n_bands=digits.N_BANDS)
    power = stages.Power()
    # Without the gain of a window, filters give less: a response of 1 at the centre.
    quiet = stages.Ln(amin=4e-8, floor="add")
    sinc = stages.Sinc(**BANDS, layout="gaps", taps=129, hop_length=DIRECT_HOP)
    free = stages.FreeFilters.like(stages.Gabor(**BANDS, taps=129, hop_length=DIRECT_HOP))
    ear = {**BANDS, "f_min": 50, "scale": "erb", "layout": "gaps"}
    gammatone = stages.Gammatone(**ear, taps=257, hop_length=DIRECT_HOP)
    strided = stages.Gabor(**BANDS, layout="gaps", taps=201, hop_length=80, method="direct")
    octaves = stages.OctaveFilters(n_octaves=6, filters_per_octave=3, taps=8, stride=64)
    strf = stages.STRF(
        **jaxspec.random_modulations(jax.random.key(0), 6), frames_seen=41, parts="both"
    )
    return [
        Family("log-mel", _of_spectra("fixed", log)),
        Family("log-mel, less the clip's mean", _of_spectra("fixed", log), clip_mean=True),
        Family("PCEN on mel", _of_spectra("fixed", pcen), 10.0),
        Family("bank (gaps), log", _of_spectra("gaps", log), 10.0),
        Family("bank (gaps), PCEN", _of_spectra("gaps", pcen), 10.0),
        Family("window length, log-mel", _of_spectra("fixed", log, window), 10.0),
        Family("free matrix, log", _of_spectra("free", log), 1.0),
        Family("LEAF", FrontEnd(gabor, leaf), 10.0),
        Family("LEAF's filters, log", FrontEnd(gabor, quiet), 10.0),
        Family("EfficientLEAF: LogTBN", FrontEnd(gabor, _tbn(digits.N_BANDS)), 10.0),
        Family("Gabor filters, no averages, log", FrontEnd(strided, power, quiet), 10.0),
        Family("gammatone filters, log", FrontEnd(_in_time(gammatone), quiet), 10.0),
        Family("sinc filters, log", FrontEnd(_in_time(sinc), log), 10.0),
        Family("free filters, log", FrontEnd(_in_time(free), quiet), 0.1),
        Family("wavelet octaves, log", FrontEnd(octaves, stages.Ln(amin=1e-2, floor="add")), 1.0),
        Family("STRF on log-mel", FrontEnd(_of_spectra("fixed", log), strf), 10.0),
    ]


def _of_spectra(bank: str, compression: Stage, spectrum: Stage | None = None) -> FrontEnd:
    start = {**BANDS, "n_fft": digits.N_FFT}
    first = digits.SPECTRUM.stages[0] if spectrum is None else spectrum
    return FrontEnd(first, stages.Power(), networks.make_bank(bank, **start), compression)


def _in_time(filters: Stage) -> FrontEnd:
    """Filters, their power, and its average around every 80th sample."""
    hop = filters.reach.stride
    pool = stages.GaussianPool(
        size=2 * (100 // hop) + 1, stride=80 // hop, deviation=40 / hop, learn="all",
        n_bands=digits.N_BANDS,
    )  # fmt: skip
    return FrontEnd(filters, stages.Power(), pool)


def _tbn(n_bands: int) -> stages.LogTBN:
    return stages.LogTBN(over_time="append", learn="log10_scale", n_bands=n_bands)


def at_random_levels(key: jax.Array, x: jax.Array) -> jax.Array:
    """Waveforms, each times a gain."""
    decibels = jax.random.uniform(key, (len(x), 1), minval=-digits.GAIN_DB, maxval=digits.GAIN_DB)
    return x * 10 ** (decibels / 20)


def make_model(family: Family, x: jax.Array) -> networks.Model:
    """A model whose features are normalised by what its front-end makes of clips at the start."""
    fixed = family.frontend.apply(family.frontend.init(jax.random.key(0)), x)
    if family.clip_mean:
        offset, scale = None, float((fixed - fixed.mean(axis=1, keepdims=True)).std())
    else:
        offset, scale = float(fixed.mean()), float(fixed.std())
    return networks.Model(family.frontend, 10, offset=offset, scale=scale)


def run(quick: bool, corpus: digits.Corpus | None = None) -> dict[str, Any] | None:
    corpus = corpus or digits.read()
    if corpus is None:
        return None
    steps, seeds = (8, [0]) if quick else (STEPS, [0, 1, 2])
    # A few of the recordings are enough to see that it runs.
    held_out = corpus.index < (1 if quick else 5)
    chosen = (corpus.index >= 5) & (corpus.index < (8 if quick else np.inf))
    x = jnp.concatenate(list(digits.waveforms(corpus, chosen, 0, NOISES)))
    y = np.tile(corpus.digit[chosen], NOISES)
    x_test = jnp.concatenate(list(digits.waveforms(corpus, held_out, 1, NOISES)))
    x_test = at_random_levels(jax.random.key(1), x_test)
    y_test = np.tile(corpus.digit[held_out], NOISES)
    some = at_random_levels(jax.random.key(2), x[:256])
    order = np.stack([networks.batches(np.ones(len(x), bool), steps, seed) for seed in seeds])
    rows, models = [], []
    tried = [f for f in families() if not quick or f.name in QUICK]
    for family in tqdm(tried, unit="front-end", disable=quick):
        model = make_model(family, some)
        models.append(model)
        row: dict[str, Any] = {"name": family.name, "multiplier": family.multiplier}
        for multiplier in {0.0: "fixed", family.multiplier: "learned"}:
            params, losses = networks.train(
                model,
                x,
                y,
                rows=order,
                seeds=seeds,
                multipliers=[multiplier] * len(seeds),
                learning_rate=LEARNING_RATE,
                prepare=at_random_levels,
            )
            right = np.asarray(networks.predict(model, params, x_test)) == y_test
            row["learned" if multiplier else "fixed"] = {
                "accuracy": right.mean(axis=-1).tolist(),
                "loss": losses[:, -30:].mean(axis=-1).tolist(),
            }
        if family.multiplier:
            row["moved"] = movement(family.frontend, params["frontend"])
        rows.append(row)
    costs = step_costs(models, some[: networks.BATCH], rounds=3 if quick else ROUNDS)
    for row, cost in zip(rows, costs, strict=True):
        row["cost"] = cost
    return {
        "rows": rows,
        "seeds": seeds,
        "settings": {
            "clips": len(x), "test_clips": len(x_test), "steps": steps, "batch": networks.BATCH,
            "learning_rate": LEARNING_RATE, "gain_db": digits.GAIN_DB, "n_bands": digits.N_BANDS,
            "seconds": digits.SAMPLES / digits.SAMPLE_RATE, "noises": NOISES,
        },
    }  # fmt: skip


# What moved, and what a step costs.


def movement(frontend: FrontEnd, params: networks.Params) -> dict[str, float]:
    """How far a front-end is from its start, the mean over runs and bands.

    ``"hz"``: the centres; ``"window"``: the window in samples, with its sign; ``"weights"``: free
    weights or filters, the size of the change over that of the start; ``"parameters"``: the size of
    all others, which are 0 at the start.
    """
    found: dict[str, float] = {}
    for name, stage in zip(frontend.names, frontend.stages, strict=True):
        own = params.get(name)
        if not own:
            continue
        start = stage.init(jax.random.key(0))
        if isinstance(stage, stages.AdaptiveSTFT):
            lengths = jax.vmap(lambda params, stage=stage: stage.values(params)["win_length"])(own)
            found["window"] = float((lengths - stage.win_length).mean())
        elif stage.matrix_params or getattr(stage, "layout", "") == "free":
            found["weights"] = _relative_change(stage, own, start)
        elif hasattr(stage, "centers"):
            moved = jax.vmap(stage.centers)(own) - stage.centers(start)
            found["hz"] = float(jnp.abs(moved).mean())
        else:
            values = [jnp.abs(leaf).mean() for leaf in leaves_by_path(own).values()]
            found["parameters"] = max(found.get("parameters", 0.0), float(max(values)))
    return found


def _relative_change(stage: Any, params: networks.Params, start: networks.Params) -> float:
    # Octaves have neither: their parameters are the filters.
    table = getattr(stage, "kernels", getattr(stage, "weights", lambda params: params))
    change = jax.tree.map(jnp.subtract, jax.vmap(table)(params), table(start))
    runs = len(jax.tree.leaves(params)[0])
    size = sum(float(jnp.sum(leaf**2)) for leaf in jax.tree.leaves(change)) / runs
    return float(np.sqrt(size / sum(float(jnp.sum(v**2)) for v in jax.tree.leaves(table(start)))))


def step_costs(models: list[networks.Model], x: jax.Array, *, rounds: int) -> list[dict[str, Any]]:
    """The time of value and gradient by all parameters, and its ratio to that of the first model.

    Models take turns; a ratio is the median of the ratios of the rounds.
    """
    y = jnp.zeros(len(x), jnp.int32)
    calls = []
    for model in models:
        params = networks.of_run(model.start([0]), 0)
        step = jax.jit(jax.value_and_grad(networks.loss_of(model)))
        jax.block_until_ready(step(params, x, y))
        calls.append((step, params))
    times = np.zeros((rounds, len(calls)))
    for i in range(rounds):
        for j, (step, params) in enumerate(calls):
            begin = time.perf_counter()
            jax.block_until_ready(step(params, x, y))
            times[i, j] = 1e3 * (time.perf_counter() - begin)
    ratios = np.median(times / times[:, :1], axis=0)
    return [
        {"ms": round(float(ms), 3), "ratio": round(float(ratio), 3)}
        for ms, ratio in zip(np.median(times, axis=0), ratios, strict=True)
    ]


# The page.


def table(results: dict[str, Any]) -> str:
    lines = []
    for row in results["rows"]:
        cells = [row["name"], f"{row['multiplier']:g}" if row["multiplier"] else "–"]
        cells += [_accuracy(row["fixed"]), "–", "–"]
        if "learned" in row:
            gain = 100 * np.subtract(row["learned"]["accuracy"], row["fixed"]["accuracy"])
            cells[3] = _accuracy(row["learned"])
            cells[4] = f"{gain.mean():+.1f} [{gain.min():+.1f} to {gain.max():+.1f}]"
        lines.append([*cells, _moved(row.get("moved", {})), f"{row['cost']['ratio']:.2f}"])
    settings = results["settings"]
    return (
        f"Accuracy in % on {settings['test_clips']} test clips after {settings['steps']} steps, "
        f"mean ± standard deviation of {len(results['seeds'])} seeds; the gain of learning, seed "
        f"by seed, as mean [least to greatest]. Moved: centres in Hz, the window in samples, or "
        f"the change of free weights as a share of their size; else the largest mean size of a "
        f"parameter. Cost: a training step of {settings['batch']} clips over one of log-mel, "
        f"network included.\n\n"
        + common.markdown(
            ["front-end", "multiplier", "fixed", "learned", "gain", "moved", "cost"], lines
        )
    )


def _accuracy(found: dict[str, Any]) -> str:
    percent = 100 * np.asarray(found["accuracy"])
    return f"{percent.mean():.1f} ± {percent.std():.1f}"


def _moved(moved: dict[str, float]) -> str:
    if "hz" in moved:
        return f"{moved['hz']:.0f} Hz"
    if "window" in moved:
        return f"{moved['window']:+.0f} samples"
    if "weights" in moved:
        return f"{100 * moved['weights']:.0f} %"
    return f"{moved['parameters']:.2f}" if moved else "–"


def draw(results: dict[str, Any], path: Any) -> None:
    rows = results["rows"]
    figure = Figure(figsize=(11, 0.42 * len(rows) + 1.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2.2, 1))
    for height, row in enumerate(rows):
        for kind, shift, colour in (("fixed", -0.15, "0.5"), ("learned", 0.15, "C3")):
            if kind in row:
                values = 100 * np.asarray(row[kind]["accuracy"])
                at = np.full(len(values), height + shift)
                left.plot(values, at, "o", color=colour, alpha=0.5, markersize=5)
                left.plot([values.mean()] * 2, [at[0] - 0.13, at[0] + 0.13], color=colour, lw=3)
        right.barh(height, row["cost"]["ratio"], color="#5ec0a0")
    for colour, label in (("0.5", "fixed"), ("C3", "learned")):
        left.plot([], [], "o", color=colour, label=label)
    left.axvline(100 * np.mean(rows[0]["fixed"]["accuracy"]), color="0.5", lw=0.8, ls="--")
    left.set_yticks(range(len(rows)), [row["name"] for row in rows])
    left.invert_yaxis()
    left.legend(loc="center left")
    left.grid(axis="x", alpha=0.3)
    left.set_xlabel("accuracy, %: seeds (●) and their mean (|)")
    right.axvline(1, color="0.5", linewidth=0.8)
    right.set_xlabel("training step ÷ that of log-mel")
    figure.suptitle(f"Spoken digits in noise after {results['settings']['steps']} steps")
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    common.command(sys.modules[__name__])
