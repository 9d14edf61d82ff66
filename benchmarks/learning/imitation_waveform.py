"""The part of `imitation` that changes a waveform: noise that comes to sound like a recording."""

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
import scipy.signal

from jaxspec import FrontEnd, stages

SAMPLE_RATE, STEPS = 8000, 1500
RATES = (0.001, 0.003, 0.01)
SEEDS = (0, 1, 2)
FAMILIES = ("Piano", "Brass", "Strings")  # the first recording of each
LEVEL = 1e-3  # added to energies; the largest are about 1e3
MEL = FrontEnd(
    stages.STFT(n_fft=256, win_length=200, hop_length=80),
    stages.Power(),
    stages.Filterbank(sample_rate=SAMPLE_RATE, n_fft=256, n_bands=40, norm=None, sampling="area"),
)


def recordings_of_notes() -> dict[str, np.ndarray]:
    """One of each family ``(samples,)``, with a peak of 1."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
    import recordings

    data = recordings.instruments()
    families = np.array(data.labels)[data.y]
    chosen = {name: data.x[np.flatnonzero(families == name)[0]] for name in FAMILIES}
    return {name: np.float64(x) / np.abs(x).max() for name, x in chosen.items()}


def log_mel(x: jax.Array) -> jax.Array:
    return jnp.log(MEL(x) + LEVEL)


@partial(jax.jit, static_argnames="steps")
def learn(steps: int, rates: Any, starts: jax.Array, target: jax.Array) -> Any:
    """Waveforms ``(seeds, rates, samples)``, and their losses after every step."""
    wanted = log_mel(target)

    def one(rate, x):
        adam = optax.adam(rate)

        def step(carry, _):
            x, state = carry
            loss, slope = jax.value_and_grad(lambda x: jnp.mean((log_mel(x) - wanted) ** 2))(x)
            updates, state = adam.update(slope, state)
            return (optax.apply_updates(x, updates), state), loss

        (x, _), losses = jax.lax.scan(step, (x, adam.init(x)), length=steps)
        return x, losses

    return jax.vmap(jax.vmap(one, (0, None)), (None, 0))(rates, starts)


def by_scipy(x: np.ndarray) -> np.ndarray:
    """Power on other frames, without bands and not with this library."""
    window = scipy.signal.get_window("hann", 400)
    transform = scipy.signal.ShortTimeFFT(window, hop=100, fs=SAMPLE_RATE, mfft=512)
    return np.abs(transform.stft(x)) ** 2


def distances(x: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """Spectral convergence, ``|A - B| / |B|`` of magnitudes, and the distance of logs in dB."""
    found = {}
    for name, energies in (("mel", MEL), ("scipy", by_scipy)):
        a, b = (np.asarray(energies(np.asarray(v)), np.float64) for v in (x, target))
        found[f"{name}_convergence"] = float(
            np.linalg.norm(np.sqrt(a) - np.sqrt(b)) / np.linalg.norm(np.sqrt(b))
        )
        log = 10 * np.log10((a + LEVEL) / (b + LEVEL))
        found[f"{name}_db"] = float(np.sqrt(np.mean(log**2)))
    return found


def run_waveforms(quick: bool) -> dict[str, Any]:
    steps, rates = (50, RATES[1:2]) if quick else (STEPS, RATES)
    rows, shown = [], {}
    for name, target in list(recordings_of_notes().items())[: 1 if quick else None]:
        starts = np.stack([
            np.random.default_rng(seed).standard_normal(len(target)) * target.std()
            for seed in SEEDS
        ]).astype(np.float32)  # fmt: skip
        found, losses = learn(
            steps, jnp.asarray(rates), jnp.asarray(starts), jnp.asarray(target, jnp.float32)
        )
        at_start = [distances(x, target.astype(np.float32)) for x in starts]
        for at, rate in enumerate(rates):
            ends = [distances(np.asarray(x), target.astype(np.float32)) for x in found[:, at]]
            rows.append({
                "recording": name, "learning_rate": rate, "start": at_start, "end": ends,
                "loss_end": np.asarray(losses[:, at, -1]).tolist(),
            })  # fmt: skip
        if not shown:
            best = int(np.argmin(np.asarray(losses[:, :, -1]).mean(axis=0)))
            waves = {"recording": target, "start": starts[0], "end": found[0, best]}
            shown = {
                # Every second frame, for the picture.
                title: np.asarray(10 / np.log(10) * log_mel(jnp.asarray(x, jnp.float32)))[::2]
                .round()
                .tolist()
                for title, x in waves.items()
            }
            shown = {"name": name, "learning_rate": rates[best], "log_mel_db": shown}
    return {
        "settings": {"sample_rate": SAMPLE_RATE, "steps": steps, "added": LEVEL},
        "learning_rates": list(rates),
        "rows": rows,
        "shown": shown,
    }


def table_waveforms(results: dict[str, Any]) -> str:
    columns = ("mel_db", "mel_convergence", "scipy_db", "scipy_convergence")
    lines = []
    for row in results["rows"]:
        line = [row["recording"], f"{row['learning_rate']:g}"]
        for name in columns:
            start, end = ([run[name] for run in row[when]] for when in ("start", "end"))
            digits = 2 if name.endswith("convergence") else 1
            end_text = f"{np.mean(end):.{digits + 1}f} (most {max(end):.{digits + 1}f})"
            line.append(f"{np.mean(start):.{digits}f} → {end_text}")
        lines.append(line)
    head = ["recording", "rate", "log-mel, dB", "convergence", "SciPy, dB", "SciPy, convergence"]
    text = (
        f"Waveforms, {results['settings']['steps']} steps from noise: the distance of log-mel "
        "features, which is what is learned, and the spectral convergence of mel magnitudes, at "
        "the start → at the end, mean of 3 seeds (the greatest); and both with an STFT of SciPy, "
        "which has other frames and no bands."
    )
    return f"{text}\n\n{common.markdown(head, lines)}"


def draw_waveforms(figure: Any, results: dict[str, Any]) -> None:
    shown = results["shown"]
    levels = np.array(shown["log_mel_db"]["recording"])
    titles = {
        "recording": f"a recording ({shown['name']}), log-mel",
        "start": "noise at the start",
        "end": f"the same noise, {results['settings']['steps']} steps later",
    }
    for axes, (name, title) in zip(figure.subplots(1, 3), titles.items(), strict=True):
        axes.imshow(
            np.array(shown["log_mel_db"][name]).T, origin="lower", aspect="auto", cmap="magma",
            vmin=levels.min(), vmax=levels.max(),
        )  # fmt: skip
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("every second frame", fontsize=8)
        axes.set_ylabel("band", fontsize=8)
        axes.tick_params(labelsize=8)
