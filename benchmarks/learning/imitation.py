"""Can a front-end, or a waveform, be fitted until features are those of another system?

Three kinds, with Adam at a constant learning rate and three seeds each:

- "mel": bands at other places. The target has 40 triangles on the HTK scale from 64 to 7800 Hz,
  drawn and applied with NumPy and SciPy; the student is `jaxspec.stages.Filterbank` with learned
  gaps, widths and range, triangles or Gaussians, that starts on the slaney or the linear scale
  between 20 and 7900 Hz. Inputs are power spectra of noise.
- "gammatone" and "constant-Q": filters in time. Targets are 24 gammatones of SciPy on the ERB
  scale and 24 Gaussian filters, 5.5 to an octave, by SciPy's convolution; the student is
  `jaxspec.stages.Gabor`, which starts and learns as above. What counts is the energy of a clip.
- "waveform": noise is changed, sample by sample, until its log-mel features are those of a
  recording.

Noise has a random smooth spectrum; what is reported is measured on clips that were not learned
from. Bands are compared one to one. Distances are root mean squares of differences in dB.

    python benchmarks/learning/imitation.py

takes about 2 minutes on one core.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import common
import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.signal
from imitation_waveform import draw_waveforms, run_waveforms, table_waveforms
from matplotlib.figure import Figure

from jaxspec import FrontEnd, stages

SAMPLE_RATE, N_FFT, N_SAMPLES = 16000, 1024, 2000
N_TRAIN, N_TEST, BATCH = 256, 64, 4
HOP = 8  # of the filters in time
LEVEL = 1e-3  # added to energies before the logarithm; they are about 1
RATES = (0.003, 0.01, 0.03)
SEEDS = (0, 1, 2)
START = {"n_bands": 40, "f_min": 20.0, "f_max": 7900.0, "layout": "gaps"}
LEARN = ("gaps", "widths", "range")


@dataclasses.dataclass(frozen=True)
class Target:
    """A system to imitate.

    Attributes:
      energies: of clips ``(clips, samples)``, ``(examples, bands)``.
      inputs: what the student sees of the same examples.
      centers, widths: of the bands in Hz, the latter at half their height.
      students: by name.
      steps: of training.
    """

    energies: Callable[[np.ndarray], np.ndarray]
    inputs: Callable[[np.ndarray], np.ndarray]
    centers: np.ndarray
    widths: np.ndarray
    students: dict[str, Any]
    steps: int


def noise(count: int, seed: int) -> np.ndarray:
    """Clips of noise with random smooth spectra, whose logarithms deviate by 1.5."""
    rng = np.random.default_rng(seed)
    bins = N_SAMPLES // 2 + 1
    smooth = np.hanning(75)  # of 8 Hz each
    level = np.apply_along_axis(
        np.convolve, 1, rng.standard_normal((count, bins)), smooth / np.linalg.norm(smooth), "same"
    )
    white = rng.standard_normal((count, bins)) + 1j * rng.standard_normal((count, bins))
    x = np.fft.irfft(white * np.exp(0.75 * level), N_SAMPLES)
    return x * np.sqrt(N_SAMPLES)


def spectra(x: np.ndarray) -> np.ndarray:
    """Power spectra of one frame in the middle of every clip, of SciPy."""
    first = (N_SAMPLES - N_FFT) // 2
    window = scipy.signal.get_window("hann", N_FFT)
    frames = x[:, first : first + N_FFT] * window
    return np.abs(scipy.fft.rfft(frames)) ** 2 / N_FFT


def htk() -> tuple[np.ndarray, np.ndarray]:
    """The points of the target in Hz, and its triangles ``(bins, bands)``."""
    mel = np.linspace(*(2595 * np.log10(1 + np.array([64.0, 7800.0]) / 700)), 42)
    points = 700 * (10 ** (mel / 2595) - 1)
    bins = np.arange(N_FFT // 2 + 1) * SAMPLE_RATE / N_FFT
    rise = (bins[:, None] - points[:-2]) / np.diff(points)[:-1]
    fall = (points[2:] - bins[:, None]) / np.diff(points)[1:]
    return points, np.maximum(np.minimum(rise, fall), 0)


def mel_target() -> Target:
    points, matrix = htk()
    bank = partial(
        stages.Filterbank, sample_rate=SAMPLE_RATE, n_fft=N_FFT, norm=None, learn=LEARN, **START
    )
    students = {
        f"{shape}, from {scale}": bank(shape=shape, scale=scale)
        for shape in ("triangle", "gaussian")
        for scale in ("slaney", "linear")
    }
    widths = (points[2:] - points[:-2]) / 2
    return Target(lambda x: spectra(x) @ matrix, spectra, points[1:-1], widths, students, 3000)


def gabors(n_bands: int) -> dict[str, Any]:
    bank = partial(
        stages.Gabor, sample_rate=SAMPLE_RATE, learn=LEARN, **START | {"n_bands": n_bands}
    )
    return {
        f"Gabor, from {scale}": FrontEnd(
            bank(scale=scale, taps=801, hop_length=HOP), stages.Power()
        )
        for scale in ("slaney", "linear")
    }


def filtered(kernels: list[np.ndarray], x: np.ndarray) -> np.ndarray:
    """The mean energy of every clip behind every filter; half of it if the filter is real."""
    found = []
    for kernel in kernels:
        y = scipy.signal.fftconvolve(x, kernel[None], axes=1)
        factor = 1 if np.iscomplexobj(kernel) else 0.5
        found.append(factor * (np.abs(y) ** 2).sum(axis=1) / N_SAMPLES)
    return np.stack(found, axis=1)


def gammatone_target() -> Target:
    """Evenly spaced on the ERB scale."""
    rate = np.linspace(*(21.4 * np.log10(1 + 0.00437 * np.array([240.0, 4500.0]))), 24)
    centers = (10 ** (rate / 21.4) - 1) / 0.00437
    kernels = [
        scipy.signal.gammatone(f, "fir", order=4, numtaps=1600, fs=SAMPLE_RATE)[0] for f in centers
    ]
    # Its power is (1 + (f / b)^2)^-4 at f from the centre.
    widths = 2 * 1.019 * 24.7 * (1 + 0.00437 * centers) * np.sqrt(2**0.25 - 1)
    return Target(partial(filtered, kernels), np.asarray, centers, widths, gabors(24), 1200)


def constant_q_target() -> Target:
    """From 240 Hz, as wide as neighbours are apart."""
    centers = 240.0 * 2 ** (np.arange(24) / 5.5)
    widths = centers * (2 ** (1 / 5.5) - 2 ** (-1 / 5.5)) / 2
    deviations = np.sqrt(np.log(2)) / np.pi * SAMPLE_RATE / widths
    n = np.arange(-400, 401)
    kernels = [
        np.exp(-0.5 * (n / s) ** 2 + 2j * np.pi * f / SAMPLE_RATE * n) / (np.sqrt(2 * np.pi) * s)
        for f, s in zip(centers, deviations, strict=True)
    ]
    return Target(partial(filtered, kernels), np.asarray, centers, widths, gabors(24), 1200)


TARGETS = {
    "mel": mel_target,
    "gammatone": gammatone_target,
    "constant-Q": constant_q_target,
}


def energies_of(student: Any, params: Any, x: jax.Array) -> jax.Array:
    y = student.apply(params, x)
    return y.sum(axis=1) * (HOP / N_SAMPLES) if isinstance(student, FrontEnd) else y


def bank_of(student: Any, params: Any) -> tuple[Any, Any]:
    if not isinstance(student, FrontEnd):
        return student, params
    return student["gabor"], params["gabor"]


def log(energies: Any) -> jax.Array:
    return jnp.log(energies + LEVEL)


def decibels(student: Any, params: Any, x: jax.Array, wanted: jax.Array) -> jax.Array:
    difference = log(energies_of(student, params, x)) - wanted
    return 10 / np.log(10) * jnp.sqrt(jnp.mean(difference**2))


@partial(jax.jit, static_argnames=("student", "steps"))
def learn(student: Any, steps: int, rates: Any, keys: Any, x: Any, wanted: Any) -> Any:
    """The parameters of all runs, ``(seeds, rates, …)``."""
    batch = BATCH if isinstance(student, FrontEnd) else 8 * BATCH

    def one(rate, key):
        adam = optax.adam(rate)
        params = student.init(jax.random.key(0))

        def step(carry, key):
            params, state = carry
            rows = jax.random.randint(key, (batch,), 0, len(x))

            def loss(params):
                return jnp.mean((log(energies_of(student, params, x[rows])) - wanted[rows]) ** 2)

            updates, state = adam.update(jax.grad(loss)(params), state)
            return (optax.apply_updates(params, updates), state), None

        keys = jax.random.split(key, steps)
        return jax.lax.scan(step, (params, adam.init(params)), keys)[0][0]

    # One after the other: together they would not fit into the caches.
    return jax.lax.map(lambda key: jax.lax.map(lambda rate: one(rate, key), rates), keys)


def fit(target: Target, quick: bool) -> list[dict[str, Any]]:
    """All students of a target, at all rates."""
    steps, rates = (20, RATES[1:2]) if quick else (target.steps, RATES)
    examples = [noise(count, seed) for count, seed in ((N_TRAIN, 100), (N_TEST, 101))]
    if len(target.students) > 2:  # of single frames there are more
        examples[0] = noise(8 * N_TRAIN, 100)
    x, x_test = (jnp.asarray(target.inputs(clips), jnp.float32) for clips in examples)
    wanted, wanted_test = (
        log(jnp.asarray(target.energies(clips), jnp.float32)) for clips in examples
    )
    keys = jnp.stack([jax.random.key(seed) for seed in SEEDS])
    found = []
    for name, student in list(target.students.items())[: 1 if quick else None]:
        fitted = learn(student, steps, jnp.asarray(rates), keys, x, wanted)
        start = student.init(jax.random.key(0))
        judge = jax.jit(partial(decibels, student, x=x_test, wanted=wanted_test))
        for at, rate in enumerate(rates):
            runs = [_of_run(fitted, seed, at) for seed in range(len(SEEDS))]
            found.append({
                "student": name, "learning_rate": rate, "steps": steps,
                "db_start": float(judge(start)), "db_end": [float(judge(run)) for run in runs],
                **measured(target, student, start, runs),
            })  # fmt: skip
    return found


def _of_run(params: Any, seed: int, rate: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[seed, rate], params)


def measured(target: Target, student: Any, start: Any, runs: list[Any]) -> dict[str, Any]:
    """How far centres and widths are from the target's."""

    def bands(params):
        bank, own = bank_of(student, params)
        return np.asarray(bank.centers(own)), np.asarray(bank.widths(own))

    centers, widths = (np.stack(part) for part in zip(*map(bands, [start, *runs]), strict=True))
    errors = np.abs(centers - target.centers)
    octaves = np.abs(np.log2(centers / target.centers))
    percent = 100 * (widths / target.widths - 1)
    return {
        "centre_error_hz_start": float(errors[0].mean()),
        "centre_error_hz": errors[1:].mean(axis=1).tolist(),
        "centre_error_hz_largest": errors[1:].max(axis=1).tolist(),
        "centre_error_octaves": octaves[1:].mean(axis=1).tolist(),
        "width_deviation_percent_start": float(percent[0].mean()),
        "width_deviation_percent": percent[1:].mean(axis=1).tolist(),
        "sorted": bool((np.diff(centers, axis=1) > 0).all()),
        "centres_start": centers[0].round(1).tolist(),
        "centres_end": centers[1].round(1).tolist(),
    }


def run(quick: bool) -> dict[str, Any]:
    targets = {name: make() for name, make in TARGETS.items()}
    return {
        "settings": {
            "sample_rate": SAMPLE_RATE, "n_fft": N_FFT, "n_samples": N_SAMPLES,
            "train": N_TRAIN, "test": N_TEST, "batch": BATCH, "added": LEVEL, **START,
        },
        "seeds": list(SEEDS),
        "learning_rate_multiplier": 1,
        "targets": {
            name: {"centres": target.centers.tolist(), "widths": target.widths.tolist()}
            for name, target in targets.items()
        },
        "rows": {name: fit(target, quick) for name, target in targets.items()},
        "waveform": run_waveforms(quick),
    }  # fmt: skip


def _spread(values: list[float], form: str = ".2f") -> str:
    mean, low, high = np.mean(values), min(values), max(values)
    if format(low, form) == format(high, form):
        return format(mean, form)
    return f"{mean:{form}} [{low:{form}}–{high:{form}}]"


def table(results: dict[str, Any]) -> str:
    lines = []
    for name, rows in results["rows"].items():
        for row in rows:
            lines.append([
                name, row["student"], f"{row['learning_rate']:g}",
                f"{row['db_start']:.1f}", _spread(row["db_end"]),
                f"{row['centre_error_hz_start']:.0f}", _spread(row["centre_error_hz"], ".1f"),
                f"{max(row['centre_error_hz_largest']):.0f}",
                _spread(row["width_deviation_percent"], "+.0f"),
            ])  # fmt: skip
    head = [
        "target", "student", "rate", "dB, start", "dB, end", "Hz, start", "Hz, end", "Hz, largest",
        "widths, %",
    ]  # fmt: skip
    steps = {row["steps"] for rows in results["rows"].values() for row in rows}
    text = (
        f"Front-ends, after {' or '.join(f'{n}' for n in sorted(steps))} steps (the latter for "
        f"mel): the distance of log energies on clips not learned from, in dB; the mean error of "
        f"the centres in Hz, and the largest of any band and seed; how much wider bands are than "
        f"the target's, at half their height. Mean of {len(results['seeds'])} seeds "
        "[least–greatest]."
    )
    return f"{text}\n\n{common.markdown(head, lines)}\n\n{table_waveforms(results['waveform'])}"


def draw(results: dict[str, Any], path: Path) -> None:
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    upper, lower = figure.subfigures(2, 1)
    for axes, (name, rows) in zip(upper.subplots(1, 3), results["rows"].items(), strict=True):
        truth = np.array(results["targets"][name]["centres"])
        best = {}
        for row in rows:  # at the best rate of every student
            key = row["student"]
            if key not in best or np.mean(row["db_end"]) < np.mean(best[key]["db_end"]):
                best[key] = row
        for colour, (student, row) in enumerate(best.items()):
            axes.plot(truth, row["centres_start"], ":", color=f"C{colour}", linewidth=1)
            axes.plot(
                truth, row["centres_end"], ".", color=f"C{colour}", markersize=9 - 2 * colour,
                label=student,
            )  # fmt: skip
        axes.plot(truth, truth, color="black", linewidth=0.6)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_title(f"{name}: centres, Hz (dotted: start)", fontsize=9)
        axes.set_xlabel("target's, Hz", fontsize=8)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("")
        axes.tick_params(labelsize=8)
        axes.legend(frameon=False, fontsize=7)
    draw_waveforms(lower, results["waveform"])
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    common.command(sys.modules[__name__])
