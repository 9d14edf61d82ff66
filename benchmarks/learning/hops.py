"""Does a learned hop find the period of a train of onsets, off the grid of samples?

A clip is a train of bursts in noise, each of 16 tones with random phases, one burst every
``period`` samples, a real number, the first one at the first sample.
`jaxspec.stages.AdaptiveHopSTFT` is to place one frame on every burst: it learns the hop that
brings most energy of the tones into its frames.

For Gaussian bursts and windows, of deviations b and s, the energy of a frame that lies d samples
from a burst falls as ``exp(-(d / r)**2)``, ``r**2 = b**2 + s**2``. With weights ``w[n]`` on the
frames, the energy at a hop h is in proportion to

    1 + 2 sum_k exp(-(pi k r / period)**2) sum_n w[n] cos(2 pi k n h / period)

on average over phases and noise, which is largest at ``h = period``. How many other maxima there
are depends on the weights:

- "mean": all frames in the clip alike. About every 1 / n of the period there is a maximum, where
  gradients end.
- "fading": ``w[n]`` falls by ``exp(-1 / 4)`` from frame to frame. For k = 1 the sum then grows
  steadily with the cosine, for any such weights: half a period around, there is one maximum.
  Terms of k = 2 add one at 1/2 and 3/2 periods, where every second burst is met.
- "growing": fading weights whose length grows from 2 frames to all of them while it learns.

"reach" in the results is from where the right maximum is the next one uphill, by the formula.

In a second round the window is learned as well. Its energy is normalised, so noise does not tell
its length, and the frame on a burst sees ``s b**2 / (b**2 + s**2)`` of it: most at ``s = b``.

    python benchmarks/learning/hops.py

takes about 2 minutes on one core.
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

N_FFT = 512
BINS = 20 + 14 * np.arange(16)  # in the middle of each lies a tone
MIN_HOP, MAX_HOP = 100, 520
N_SAMPLES = 6000
BURST = 24.0  # deviation of a burst, samples
WINDOW = 80.0  # that of the window at the start
GAUSSIAN = 6  # a window of win_length has a sixth of it as its standard deviation
NOISE = 0.5  # standard deviation, where each tone of a burst has an amplitude of 1
PERIODS = (203.81, 247.59, 288.23, 331.07)
STARTS = (0.6, 0.8, 0.95, 1.05, 1.2, 1.4)  # hop at the start, in periods
RATES = (0.01, 0.03, 0.1)
SEEDS = (0, 1, 2)
STEPS = 300
WEIGHTS = ("mean", "fading", "growing")
LEARNED = {"hop": ("hop_length",), "hop and window": ("hop_length", "win_length")}
FADING = 4.0  # frames
SHORTEST, LONGEST = 2.0, 1000.0  # frames, of growing weights
GROWTH = 0.6  # of the steps; then the weights stay
FOUND = 1.0  # samples


def train_of_bursts(period: float, seed: int) -> np.ndarray:
    """Bursts with random phases of the tones, in white noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(N_SAMPLES)
    count = int(N_SAMPLES / period) + 2
    x = NOISE * rng.standard_normal(N_SAMPLES)
    for at in np.arange(count) * period:
        phases = rng.uniform(0, 2 * np.pi, (len(BINS), 1))
        tones = np.cos(2 * np.pi / N_FFT * BINS[:, None] * time + phases)
        x += np.exp(-0.5 * ((time - at) / BURST) ** 2) * tones.sum(axis=0)
    return x


def transform(learned: str) -> stages.AdaptiveHopSTFT:
    return stages.AdaptiveHopSTFT(
        n_fft=N_FFT,
        win_length=GAUSSIAN * WINDOW,
        hop_length=200.0,
        min_hop=MIN_HOP,
        max_hop=MAX_HOP,
        family="gaussian",
        norm="energy",
        pad_mode="constant",
        learn=LEARNED[learned],
    )


def parameter_of(hop: Any) -> Any:
    """With which the hop is so long: the inverse of the stage's sigmoid."""

    def logit(hop):
        return np.log((hop - MIN_HOP) / (MAX_HOP - hop))

    return logit(np.asarray(hop)) - logit(200.0)


def fading(weights: str, steps: int) -> np.ndarray:
    """Over how many frames weights fall to 1/e, at every step; infinitely many: they are alike."""
    if weights != "growing":
        return np.full(steps, np.inf if weights == "mean" else FADING)
    grown = np.minimum(np.arange(steps) / (GROWTH * steps), 1)
    return SHORTEST * (LONGEST / SHORTEST) ** grown


def energy(stft: Any, params: Any, x: jax.Array, frames: Any) -> jax.Array:
    """That of the tones' bins, a weighted mean over the frames in the clip."""
    of_frames = power(stft.apply(params, x))[:, BINS].sum(axis=1)
    weights = jnp.exp(-jnp.arange(len(of_frames)) / frames)
    weights = weights * stft.frame_mask(params, x.shape[-1])
    return jnp.sum(weights * of_frames) / jnp.sum(weights)


@partial(jax.jit, static_argnames="learned")
def learn(learned: str, frames: jax.Array, rates: jax.Array, start: jax.Array, x: jax.Array):
    """Hop and deviation after every step, two arrays ``(clips, starts, rates, steps)``."""
    stft = transform(learned)

    def one(rate, z, x):
        adam = optax.adam(rate)

        def step(carry, frames):
            params, state = carry
            slope = jax.grad(lambda p: -energy(stft, p, x, frames))(params)
            updates, state = adam.update(slope, state)
            params = optax.apply_updates(params, updates)
            values = stft.values(params)
            return (params, state), (stft.hop(params), values["win_length"] / GAUSSIAN)

        params = stft.init(jax.random.key(0)) | {"hop_length": z}
        hops, deviations = jax.lax.scan(step, (params, adam.init(params)), frames)[1]
        return hops, jnp.broadcast_to(deviations, hops.shape)

    by_rate = jax.vmap(one, (0, None, None))
    by_start = jax.vmap(by_rate, (None, 0, None))
    return jax.lax.map(lambda zx: by_start(rates, *zx), (start, x))


def formula(hop: Any, period: float, frames: float, count: int | None = None) -> np.ndarray:
    """The energy at a hop as above, with so many frames or those that lie in the clip."""
    n = np.arange(count or 1 + N_SAMPLES // MIN_HOP)
    inside = np.ones((len(hop), 1)) if count else n * hop[:, None] <= N_SAMPLES
    weights = np.exp(-n / frames) * inside
    weights /= weights.sum(axis=1, keepdims=True)
    spread = np.hypot(BURST, WINDOW) / period
    total = np.ones(len(hop))
    for k in range(1, 6):
        cosines = np.cos(2 * np.pi * k * n * hop[:, None] / period)
        total += 2 * np.exp(-((np.pi * k * spread) ** 2)) * (weights * cosines).sum(axis=1)
    return total


def reach(period: float, frames: float) -> list[float]:
    """Between which hops, in periods, the energy rises towards the period, by the formula."""
    share = np.linspace(0, 0.45, 4501)
    ends = []
    for sign in (-1, 1):
        hops = period * (1 + sign * share)
        # As many frames as at the period: one that leaves the clip makes a step, not a slope.
        change = np.diff(formula(hops, period, frames, count=1 + int(N_SAMPLES / period)))
        rises = np.flatnonzero(change > 0)
        ends.append(float(1 + sign * share[rises[0] if len(rises) else -1]))
    return ends


def searched(x: np.ndarray, period: float) -> float:
    """The hop of most energy, all frames alike: by 0.2 samples, then by 0.01 around the best."""
    stft = transform("hop")

    def of(z):
        return energy(stft, {"hop_length": z}, jnp.asarray(x), jnp.inf)

    of_all = jax.jit(lambda z: jax.lax.map(of, z, batch_size=64))
    best, reach, apart = period, 0.45 * period, 0.2
    for _ in range(2):
        hops = np.arange(best - reach, min(best + reach, MAX_HOP - 1), apart)
        best = float(hops[np.argmax(of_all(jnp.asarray(parameter_of(hops), jnp.float32)))])
        reach, apart = 0.5, 0.01
    return best


def step_by_step(x: np.ndarray, period: float, steps: int) -> dict[str, Any]:
    """One jitted step called again and again: how often is it compiled while the hop moves?"""
    stft, adam = transform("hop"), optax.adam(0.1)

    @jax.jit
    def step(params, state, frames):
        slope = jax.grad(lambda p: -energy(stft, p, jnp.asarray(x), frames))(params)
        updates, state = adam.update(slope, state)
        return optax.apply_updates(params, updates), state

    params = {"hop_length": jnp.float32(parameter_of(STARTS[0] * period))}
    state = adam.init(params)
    hops, valid = [], []
    for frames in fading("growing", steps):
        params, state = step(params, state, jnp.float32(frames))
        hops.append(float(stft.hop(params)))
        valid.append(int(stft.frame_mask(params, N_SAMPLES).sum()))
    return {
        "compiled": step._cache_size(),
        "steps": steps,
        "hop": [min(hops), max(hops)],
        "valid_frames": [min(valid), max(valid)],
        "frames": stft.length(N_SAMPLES),
    }


def run(quick: bool) -> dict[str, Any]:
    steps, rates = (60, (0.1,)) if quick else (STEPS, RATES)
    periods, starts = (PERIODS[1:2], STARTS[1:3]) if quick else (PERIODS, STARTS)
    clips = np.float32([[train_of_bursts(period, seed) for seed in SEEDS] for period in periods])
    flat = jnp.asarray(clips.reshape(-1, N_SAMPLES))
    hops = np.repeat(np.outer(periods, starts), len(SEEDS), axis=0)
    at_start = jnp.asarray(parameter_of(hops), jnp.float32)
    shown = np.unique(np.geomspace(1, steps, 40).round().astype(int))
    rows = []
    for learned in LEARNED:
        for weights in WEIGHTS:
            frames = jnp.asarray(fading(weights, steps), jnp.float32)
            paths = learn(learned, frames, jnp.asarray(rates), at_start, flat)
            shape = (len(periods), len(SEEDS), len(starts), len(rates), steps)
            hop, deviation = (np.asarray(path).reshape(shape) for path in paths)
            for p, s, r in np.ndindex(len(periods), len(starts), len(rates)):
                rows.append({
                    "learned": learned, "weights": weights, "period": periods[p],
                    "start": starts[s], "learning_rate": rates[r],
                    "hop": hop[p, :, s, r, -1].round(3).tolist(),
                    "deviation": deviation[p, :, s, r, -1].round(2).tolist(),
                })  # fmt: skip
                if learned == "hop" and p == len(periods) - 1 and r == len(rates) // 2:
                    path = hop[p, 0, s, r, shown - 1]  # of the first seed, for the picture
                    rows[-1]["path"] = path.round(1).tolist()
    return {
        "settings": {
            "n_fft": N_FFT, "min_hop": MIN_HOP, "max_hop": MAX_HOP, "n_samples": N_SAMPLES,
            "burst": BURST, "window": WINDOW, "noise": NOISE, "steps": steps, "fading": FADING,
        },
        "seeds": list(SEEDS),
        "learning_rates": list(rates),
        "learning_rate_multiplier": 1,
        "periods": list(periods),
        "starts": list(starts),
        "reach": {
            name: [reach(period, frames) for period in periods]
            for name, frames in (("mean", np.inf), ("fading", FADING), ("growing", SHORTEST))
        },
        "searched": [
            [searched(x, period) for x in of_period]
            for of_period, period in zip(clips, periods, strict=True)
        ],
        "step_by_step": step_by_step(clips[0, 0], periods[0], steps),
        "shown_steps": shown.tolist(),
        "rows": rows,
    }  # fmt: skip


def _of(results: dict[str, Any], **wanted: Any) -> list[dict[str, Any]]:
    rows = results["rows"]
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def _errors(rows: list[dict[str, Any]]) -> np.ndarray:
    """Of the hops in samples, ``(rows, seeds)``."""
    return np.array([np.array(row["hop"]) - row["period"] for row in rows])


def _found(results: dict[str, Any]) -> str:
    lines = []
    for learned in LEARNED:
        for weights in WEIGHTS:
            line = [learned, weights]
            for start in results["starts"]:
                error = np.abs(_errors(_of(results, learned=learned, weights=weights, start=start)))
                line.append(f"{(error <= FOUND).sum()}/{error.size}")
            lines.append(line)
    head = ["learned", "weights", *(f"{start:g} periods" for start in results["starts"])]
    return common.markdown(head, lines)


def _precision(results: dict[str, Any]) -> str:
    """How exact the found ones are, by learning rate."""
    lines = []
    for learned in LEARNED:
        for weights in WEIGHTS:
            for rate in results["learning_rates"]:
                rows = _of(results, learned=learned, weights=weights, learning_rate=rate)
                error = np.abs(_errors(rows))
                found = error <= FOUND
                percent = 100 * error / np.array([[row["period"]] for row in rows])
                deviation = np.array([row["deviation"] for row in rows])[found]
                line = [learned, weights, f"{rate:g}", f"{found.sum()}/{found.size}"]
                if not found.any():
                    lines.append([*line, "–", "–", "–"])
                    continue
                line += [
                    f"{error[found].mean():.2f} (most {error[found].max():.2f})",
                    f"{percent[found].mean():.2f} %",
                    "fixed"
                    if learned == "hop"
                    else f"{deviation.mean():.1f} [{deviation.min():.1f}–{deviation.max():.1f}]",
                ]
                lines.append(line)
    head = ["learned", "weights", "rate", "found", "error, samples", "error", "deviation"]
    return common.markdown(head, lines)


def _truth(results: dict[str, Any]) -> str:
    lines = []
    for at, (period, best) in enumerate(zip(results["periods"], results["searched"], strict=True)):
        ends = [results["reach"][weights][at] for weights in WEIGHTS]
        hops = ", ".join(f"{hop:.2f}" for hop in best)
        lines.append([period, hops, *(f"{low:.2f}–{high:.2f}" for low, high in ends)])
    head = ["period", "searched, every seed", *(f"reach, {weights}" for weights in WEIGHTS)]
    return common.markdown(head, lines)


def table(results: dict[str, Any]) -> str:
    settings, once = results["settings"], results["step_by_step"]
    seeds = len(results["seeds"])
    times = "once" if once["compiled"] == 1 else f"{once['compiled']} times"
    return "\n\n".join([
        "What is to be found: the period in samples, by the closed form; the hop of most energy "
        "among all from 0.55 to 1.45 periods, all frames alike; and from where, in periods, the "
        "right maximum is the next one by the formula (growing: at the first step).",
        _truth(results),
        f"Runs that end within {FOUND:g} sample of the period after {settings['steps']} steps of "
        f"Adam, by the hop at the start: {len(results['periods'])} periods, {seeds} seeds, "
        f"{len(results['learning_rates'])} learning rates.",
        _found(results),
        "How exact they are, those that are found: the mean error of the hop in samples (the "
        "largest) and in percent of the period, and the learned deviation of the window, mean "
        f"[least–greatest]; best is that of the bursts, {settings['burst']:g}.",
        _precision(results),
        f"A jitted step that was called {once['steps']} times was compiled {times} while the hop "
        f"went between {once['hop'][0]:.0f} and {once['hop'][1]:.0f} samples; of "
        f"{once['frames']} frames {once['valid_frames'][0]} to {once['valid_frames'][1]} were "
        "in the clip.",
    ])  # fmt: skip


COLOURS = {"mean": "#d1495b", "fading": "#edae49", "growing": "#00798c"}


def draw(results: dict[str, Any], path: Path) -> None:
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    period = results["periods"][-1]
    hops = np.linspace(0.55, 1.45, 1500) * period
    for weights, frames in (("mean", np.inf), ("fading", FADING)):
        values = formula(hops, period, frames)
        left.plot(hops, values, color=COLOURS[weights], label=weights, linewidth=1)
    left.axvline(period, color="black", linestyle="--", linewidth=1, label="period")
    left.set_xlabel("hop, samples")
    left.set_ylabel("energy, by the formula")
    left.legend(frameon=False, fontsize=8)
    rate = results["learning_rates"][len(results["learning_rates"]) // 2]
    for weights in WEIGHTS:
        rows = _of(results, learned="hop", weights=weights, period=period, learning_rate=rate)
        for number, row in enumerate(rows):
            right.plot(
                results["shown_steps"],
                row["path"],
                color=COLOURS[weights],
                linewidth=1.2,
                label=None if number else f"{weights} (rate {rate:g})",
            )
    right.axhline(period, color="black", linestyle="--", linewidth=1)
    right.set_xscale("log")
    right.set_xlabel("step of Adam")
    right.set_ylabel("hop, samples (first seed)")
    right.set_ylim(top=1.68 * period)
    right.legend(frameon=False, fontsize=8, ncols=3, loc="upper center")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    common.command(sys.modules[__name__])
