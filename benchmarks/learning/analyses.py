"""What do front-ends of filters in time cost, and how near is the fast way to the direct one?

    python benchmarks/learning/analyses.py

LEAF (40 Gabor filters, their power, Gaussian averages every 10 ms, PCEN) in several ways: as
jaxspec computes it, by a Fourier transform of the clip of which only the bins around each centre
are transformed back, at every 8th or 10th sample, at two rates (every 16th sample for the 28 lower
bands) or at three (every 32nd for the 14 lowest, every 20th for 16 more); and the usual way, by
convolutions with kernels of 401 samples at every sample, complex numbers as twice as many channels,
in ``jax.lax``, the averages as convolutions of every band by itself, too, or else by jaxspec's
sums. Beside them log-mel with and without PCEN, and other filters in time. Clips of 1 s at 16 kHz.

Measured are the forward pass; the gradient of the mean square of the features by all parameters
with the step that it makes (a training step without a network); the gradient by the waveform; the
time to compile the training step; and the memory that it asks for beside its arguments. Methods
take turns, round after round; a ratio is the median of the ratios of the rounds. The convolutions
take part in one round, and in the smaller batch only. About 5 minutes; it should be the only thing
that runs.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import time
from collections.abc import Callable
from typing import Any

import common
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from jaxspec import FrontEnd, pcen, stages

RATE, N_BANDS, TAPS = 16000, 40, 401
HOP, POOL = 160, 401  # samples between frames, and in an average
DEVIATION = 80.0  # of an average, in samples
BATCHES = (8, 32)
ROUNDS = 60
BASE = "log-mel + PCEN"
DIRECT = ("LEAF, convolutions", "LEAF, convolutions and sums")
KINDS = ("forward", "training step", "gradient to x")
# Clips are lengthened so that the widest Gaussian, of 59 samples, has ended.
BANDS: dict[str, Any] = {
    "sample_rate": RATE, "n_bands": N_BANDS, "f_min": 60.0, "f_max": 7800.0, "layout": "gaps"
}  # fmt: skip
PCEN = stages.PCEN(gain=0.96, smoothing=0.04, eps=1e-12, learn="all", n_bands=N_BANDS)
Function = Callable[[Any, jax.Array], jax.Array]


def pool(hop: int, n_bands: int = N_BANDS) -> stages.GaussianPool:
    """LEAF's averages of what is there at every ``hop``-th sample, their weights adding up to 1."""
    size = 2 * (POOL // 2 // hop) + 1
    return stages.GaussianPool(
        size=size, stride=HOP // hop, deviation=DEVIATION / hop, learn="all", n_bands=n_bands
    )


def energies(hop: int) -> FrontEnd:
    return FrontEnd(stages.Gabor(**BANDS, taps=TAPS, hop_length=hop), stages.Power(), pool(hop))


def at_rates(*groups: tuple[int, int]) -> FrontEnd:
    """The bands up to a number at every so many samples, in groups: lower ones are narrower."""
    ends, hops = zip(*groups, strict=True)
    parts = stages.Gabor(**BANDS, taps=TAPS).split(*ends[:-1])
    branches = (
        FrontEnd(dataclasses.replace(part, hop_length=hop), stages.Power(), pool(hop, part.n_bands))
        for part, hop in zip(parts, hops, strict=True)
    )
    return FrontEnd(stages.Beside(branches=tuple(branches)))


def gabors() -> dict[str, FrontEnd]:
    """LEAF's energies, at one rate or at several."""
    return {
        "LEAF, every 10th": energies(10),
        "LEAF, every 8th": energies(8),
        "LEAF, two rates": at_rates((28, 16), (N_BANDS, 10)),
        "LEAF, three rates": at_rates((14, 32), (30, 20), (N_BANDS, 10)),
    }


def frontends() -> dict[str, FrontEnd]:
    """What jaxspec computes."""
    mel = FrontEnd(
        stages.STFT(n_fft=512, hop_length=HOP, win_length=400),
        stages.Power(),
        stages.Filterbank(**BANDS, n_fft=512, shape="gaussian", norm=None),
    )
    sinc = stages.Sinc(**BANDS, taps=251, hop_length=10)
    free = stages.FreeFilters.like(stages.Gabor(**BANDS, taps=TAPS, hop_length=10))
    return {
        BASE: FrontEnd(mel, PCEN),
        "log-mel": FrontEnd(mel, stages.Ln(amin=1e-5, floor="add")),
        **{name: FrontEnd(found, PCEN) for name, found in gabors().items()},
        "sinc filters + PCEN": FrontEnd(sinc, stages.Power(), pool(10), PCEN),
        "free filters + PCEN": FrontEnd(free, stages.Power(), pool(10), PCEN),
    }


# LEAF by convolutions.


def direct_powers(params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """The power of every band at every sample."""
    n = jnp.arange(TAPS, dtype=x.dtype)[:, None] - TAPS // 2
    centre, deviation = params["centre"], params["deviation"]
    envelope = jnp.exp(-0.5 * (n / deviation) ** 2) / (np.sqrt(2 * np.pi) * deviation)
    kernels = jnp.concatenate(
        [envelope * jnp.cos(centre * n), envelope * jnp.sin(centre * n)], axis=1
    )
    y = _convolved(x[..., None], kernels[:, None], stride=1, half=TAPS // 2)
    return y[..., :N_BANDS] ** 2 + y[..., N_BANDS:] ** 2


def direct_energies(params: dict[str, jax.Array], x: jax.Array, *, sums: bool) -> jax.Array:
    """Their averages ``(clips, frames, bands)``: by `pool`, or by a convolution, too."""
    power = direct_powers(params, x)
    if sums:
        deviation = jnp.log(params["pool"] / DEVIATION)
        return pool(1).apply({"deviation": deviation}, power)
    n = jnp.arange(POOL, dtype=x.dtype)[:, None] - POOL // 2
    weights = jnp.exp(-0.5 * (n / params["pool"]) ** 2)
    weights = weights / weights.sum(axis=0)
    return _convolved(power, weights[:, None], stride=HOP, half=POOL // 2, groups=N_BANDS)


def _convolved(
    x: jax.Array, kernels: jax.Array, *, stride: int, half: int, groups: int = 1
) -> jax.Array:
    return jax.lax.conv_general_dilated(
        x, kernels, (stride,), [(half, half)], dimension_numbers=("NWC", "WIO", "NWC"),
        feature_group_count=groups, precision=jax.lax.Precision.HIGHEST,
    )  # fmt: skip


def direct_start(dtype: Any = jnp.float32) -> dict[str, jax.Array]:
    """The parameters of LEAF, in its own units, where `energies` starts."""
    gabor = stages.Gabor(**BANDS, taps=TAPS)
    centre = 2 * np.pi / RATE * gabor.edges({}, dtype=jnp.dtype(dtype))[1:-1]
    deviation = gabor.deviations({}, dtype=jnp.dtype(dtype))
    return {
        "centre": centre, "deviation": deviation, "pool": jnp.full(N_BANDS, DEVIATION, dtype)
    }  # fmt: skip


def direct(params: Any, x: jax.Array, *, sums: bool) -> jax.Array:
    values = {name: jnp.exp(params[name]) for name in ("alpha", "bias", "power", "smoothing")}
    y = direct_energies(params, x, sums=sums)
    return pcen(
        y, gain=values["alpha"], bias=values["bias"], power=values["power"],
        smoothing=values["smoothing"], eps=1e-12,
    )  # fmt: skip


def methods() -> dict[str, tuple[Function, Any]]:
    """Every method: a function of parameters and clips, and the parameters."""
    found: dict[str, tuple[Function, Any]] = {
        name: (frontend.apply, frontend.init(jax.random.key(0)))
        for name, frontend in frontends().items()
    }
    start = {"alpha": 0.96, "bias": 2.0, "power": 0.5, "smoothing": 0.04}
    own = {name: jnp.full(N_BANDS, np.log(value), jnp.float32) for name, value in start.items()}
    for name, sums in zip(DIRECT, (False, True), strict=True):
        found[name] = (functools.partial(direct, sums=sums), direct_start() | own)
    return found


# Measuring.


def compiled(function: Function, params: Any, x: jax.Array, kind: str) -> tuple[Any, float, float]:
    """A compiled call, the seconds that compiling took, and MiB beside the arguments."""

    def loss(params: Any, x: jax.Array) -> jax.Array:
        return jnp.mean(function(params, x) ** 2)

    def step(params: Any, x: jax.Array) -> Any:
        return jax.tree.map(lambda p, g: p - 1e-3 * g, params, jax.grad(loss)(params, x))

    call = {"forward": function, "training step": step, "gradient to x": jax.grad(loss, 1)}[kind]
    lowered = jax.jit(call).lower(params, x)
    begin = time.perf_counter()
    ready = lowered.compile()
    seconds = time.perf_counter() - begin
    memory = ready.memory_analysis()
    room = 0.0 if memory is None else (memory.temp_size_in_bytes + memory.output_size_in_bytes)
    return functools.partial(ready, params, x), seconds, room / 2**20


def measured(batch: int, rounds: int, names: list[str]) -> list[dict[str, Any]]:
    """A row for each method: everything at this batch."""
    x = jax.random.normal(jax.random.key(0), (batch, RATE))
    every = methods()
    rows = [{"batch": batch, "name": name} for name in names]
    for kind in KINDS:
        calls = {}
        for row in rows:
            call, seconds, room = compiled(*every[row["name"]], x, kind)
            calls[row["name"]] = call
            if kind == "training step":
                row |= {"compile_s": round(seconds, 2), "mib": round(room, 1)}
        times: dict[str, list[float]] = {name: [] for name in names}
        for number in range(rounds + 1):
            for name, call in calls.items():
                if name in DIRECT and number != 1:
                    continue
                begin = time.perf_counter()
                jax.block_until_ready(call())
                if number:  # the first call allocates
                    times[name].append(1e3 * (time.perf_counter() - begin))
        for row in rows:
            own = np.array(times[row["name"]])
            base = np.array(times[BASE][: len(own)])
            low, middle, high = np.quantile(own / base, [0.1, 0.5, 0.9])
            row[kind] = {
                "ms": round(float(np.median(own)), 3),
                "ratio": round(float(middle), 3),
                "range": [round(float(low), 3), round(float(high), 3)],
            }
    return rows


def errors() -> dict[str, float]:
    """The root mean square of the difference of logarithms from the direct energies.

    Of white noise, 2 s, without the frames at the ends, which see zeros.
    """
    x = jax.random.normal(jax.random.key(1), (2 * RATE,))
    truth = jnp.log(direct_energies(direct_start(), x[None], sums=False)[0, 5:-5])
    found = {}
    for name, frontend in gabors().items():
        own = frontend.apply(frontend.init(jax.random.key(0)), x)[5:-5]
        found[name] = float(jnp.sqrt(jnp.mean((jnp.log(own) - truth) ** 2)))
    return found


def run(quick: bool) -> dict[str, Any]:
    if quick:
        rows = measured(1, 2, [BASE, "LEAF, every 10th", DIRECT[1]])
    else:
        names = list(frontends())
        rows = measured(BATCHES[0], ROUNDS, [*names, *DIRECT])
        rows += measured(BATCHES[1], ROUNDS, names)
    return {
        "rows": rows,
        "log_rms_error": errors(),
        "device": jax.devices()[0].device_kind,
        "settings": {"rounds": 2 if quick else ROUNDS, "n_bands": N_BANDS},
    }


# The page.


def table(results: dict[str, Any]) -> str:
    header = ["clips", "front-end"]
    for kind in KINDS:
        header += [f"{kind}, ms", "ratio"]
    lines = []
    for row in results["rows"]:
        cells = [row["batch"], row["name"]]
        for kind in KINDS:
            found = row[kind]
            cells += [f"{found['ms']:.2f}", "–" if row["name"] == BASE else f"{found['ratio']:.2f}"]
        error = results["log_rms_error"].get(row["name"])
        cells += [f"{row['compile_s']:.1f}", f"{row['mib']:.0f}"]
        lines.append([*cells, f"{error:.4f}" if error is not None else "–"])
    return (
        f"Median times on {results['device']} of {results['settings']['rounds']} rounds "
        f"(convolutions: of one); ratios are to {BASE}, medians of those of the rounds. Compile "
        f"and memory: of the training step. Error: root mean square of the difference of log "
        f"energies from the convolutions, on white noise.\n\n"
        + common.markdown([*header, "compile, s", "MiB", "error"], lines)
        + "\n\n"
        + _against_direct(results)
    )


def _against_direct(results: dict[str, Any]) -> str:
    """How many times as long the convolutions take."""
    rows = {
        row["name"]: row for row in results["rows"] if row["batch"] == results["rows"][0]["batch"]
    }
    lines = []
    for slow in DIRECT:
        for name in rows:
            if slow in rows and name in results["log_rms_error"]:
                ratios = [rows[slow][kind]["ms"] / rows[name][kind]["ms"] for kind in KINDS]
                lines.append([slow, name, *(f"{ratio:.0f}" for ratio in ratios)])
    return "How many times as long the convolutions take:\n\n" + common.markdown(
        ["", "than", *KINDS], lines
    )


def draw(results: dict[str, Any], path: Any) -> None:
    batch = results["rows"][0]["batch"]
    rows = [row for row in results["rows"] if row["batch"] == batch]
    figure = Figure(figsize=(10, 0.5 * len(rows) + 1.2), layout="constrained")
    panels = figure.subplots(1, len(KINDS), sharey=True)
    for axes, kind in zip(panels, KINDS, strict=True):
        values = [row[kind]["ms"] for row in rows]
        bars = axes.barh([row["name"] for row in rows], values, color="#5ec0a0")
        axes.bar_label(
            bars,
            [f" {value:.3g}" if value < 1000 else f" {value:.0f}" for value in values],
            fontsize=8,
        )
        axes.set_xscale("log")
        axes.set_xlim(right=20 * max(values))
        axes.set_title(kind, fontsize=10)
        axes.set_xlabel(f"ms for {batch} × 1 s")
    panels[0].invert_yaxis()
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    common.command(sys.modules[__name__])
