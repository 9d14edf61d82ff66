"""The results as Markdown: tables of times, ratios and peaks, and what was promised."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from sizes import SIZES
from speed import Times

OURS = "jaxspec"
FORWARD = {
    "librosa": 0.30,
    "torchaudio": 0.15,
    "librosax": 0.25,
    "korvax": 0.30,
    "audioFlux": 0.45,
    "expert NumPy": 0.65,
}
GRADIENT = {"torchaudio": 0.10, "librosax": 0.30}
MEMORY, SECONDS, FLOOR, LONG, COMPILATIONS, IMPORT = 64, 0.8, 1.5, 1.3, 4, 1.15


class Ratio(NamedTuple):
    """The median of the ratios of the rounds, and the range of their middle 80 %."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}–{self.high:.2f})"


def ratio(ours: Iterable[float], theirs: Iterable[float]) -> Ratio:
    """Of two lists of times, round by round."""
    rounds = np.divide(list(ours), list(theirs))
    return Ratio(*np.percentile(rounds, (50, 10, 90)))


def ratios(times: Times, size: str, ours: str, theirs: str) -> dict[str, Ratio]:
    """Our measure over the one of every peer that has it."""
    at = times.get(size, {})
    mine = at.get(ours, {}).get(OURS)
    peers = {name: values for name, values in at.get(theirs, {}).items() if name != OURS}
    return {name: ratio(mine, values) for name, values in peers.items()} if mine else {}


def floor(times: Times) -> list[float]:
    """The floor of every round at the first size: the transform and the mel product."""
    at = times.get("first", {})
    parts = [at.get(part, {}).get("floor", []) for part in ("rfft", "mel")]
    return [sum(pair) for pair in zip(*parts, strict=True)]


def markdown(results: dict[str, Any]) -> str:
    machine = results["machine"]
    lines = [
        "# Log-mel spectrograms side by side",
        "",
        f"{machine['cores']} cores ({machine['processor']}), Python {machine['python']}; medians "
        f"of {results['repeats']} interleaved rounds (one hour: a fifth of them), best in "
        "brackets. Ratios are jaxspec ÷ peer: the median of the rounds, with the range of their "
        "middle 80 %." + _disturbances(results),
    ]
    lines += _promises(results)
    if "speed" in results:
        lines += _speed(results["speed"], results["versions"])
    if "memory" in results:
        lines += _memory(results["memory"])
    if "first" in results:
        lines += _first_calls(results["first"])
    if "gpu" in results:
        lines += ["", "# On a GPU"]
        found = results["gpu"]
        lines += _speed(found, results["versions"]) if found else ["", "No GPU here."]
    return "\n".join(lines) + "\n"


def _disturbances(results: dict[str, Any]) -> str:
    shares = results.get("speed", {}).get("disturbed", {}).values()
    worst = max(shares, default=0)
    return f" Up to {worst:.0%} of the turns met other work on the machine." if worst else ""


def _speed(speed: dict[str, Any], versions: dict[str, str]) -> list[str]:
    times: Times = speed["times"]
    lines: list[str] = []
    if "first" in times:
        lines += _first_size(times, speed["errors"]["first"], versions)
    for measure, title in (("forward", "Features"), ("gradient", "Gradient to the waveform")):
        lines += ["", f"## {title}, jaxspec ÷ peer", ""]
        lines += _by_size(times, measure, lambda size, m=measure: ratios(times, size, m, m))
    if any("gaps" in at for at in times.values()):
        lines += [
            "",
            "## Gradient to the filterbank, jaxspec ÷ peer",
            "",
            "jaxspec's `gaps` (Gaussian bands whose places and widths are learned), then `free` "
            "(every weight is learned); the peers' parameter is the mel matrix.",
            "",
            *_by_size(times, "gaps", lambda size: _banks(times, size)),
        ]
    if speed["left_out"]:
        lines += ["", "Left out:", "", *(f"- {reason}" for reason in speed["left_out"])]
    return lines


def _first_size(times: Times, errors: dict[str, float], versions: dict[str, str]) -> list[str]:
    at = times["first"]
    forward, gradient = (ratios(times, "first", m, m) for m in ("forward", "gradient"))
    rows = [
        [
            name,
            versions.get(name, ""),
            _milliseconds(at["forward"][name]),
            _cell(forward, name),
            _milliseconds(at["gradient"].get(name)),
            _cell(gradient, name),
            f"{errors[name]:.1e}" if name in errors else "–",
        ]
        for name in sorted(at["forward"], key=lambda name: np.median(at["forward"][name]))
    ]
    lines = ["", f"## {SIZES['first']}", ""]
    lines += _table(["", "version", "forward ms", "ratio", "gradient ms", "ratio", "error"], rows)
    lines += [
        "",
        "Error: the largest difference from librosa in float64, in natural-log units, over the "
        "bands within 80 dB of the loudest. Kaldi's features and audioFlux's (FFT of 512) are work "
        "of the same kind with other values.",
    ]
    if floor(times):
        rfft, mel = (_milliseconds(at[part]["floor"]) for part in ("rfft", "mel"))
        lines += ["", f"Floor: `rfft` {rfft} ms and mel product {mel} ms, in the cache."]
    return lines


def _banks(times: Times, size: str) -> dict[str, str]:
    gaps, free = (ratios(times, size, layout, "bank") for layout in ("gaps", "free"))
    return {name: f"{gaps[name].median:.2f}, {free[name].median:.2f}" for name in gaps}


def _by_size(times: Times, measure: str, cells: Callable[[str], dict[str, Any]]) -> list[str]:
    """A table with a row per peer and a column per size; jaxspec's own row is in ms."""
    sizes = [size for size in times if OURS in times[size].get(measure, {})]
    columns = {size: cells(size) for size in sizes}
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    ours = ["jaxspec, ms", *(_milliseconds(times[size][measure][OURS]) for size in sizes)]
    rows = [[name, *(_cell(columns[size], name) for size in sizes)] for name in names]
    return _table(["", *(str(SIZES[size]) for size in sizes)], [ours, *rows])


def _memory(memory: dict[str, Any]) -> list[str]:
    rows = [
        [name, *(f"{at[m]['above']:.0f}" if m in at else "–" for m in ("forward", "gradient"))]
        for name, at in memory.items()
    ]
    return [
        "",
        f"## Peak memory, {SIZES['hour']}",
        "",
        "MiB above the process with its input and the output.",
        "",
        *_table(["", "forward", "gradient"], rows),
    ]


def _first_calls(first: dict[str, Any]) -> list[str]:
    rows = [
        [name, *(_seconds(first.get(m, {}).get(name)) for m in ("forward", "gradient"))]
        for name in first["forward"]
    ]
    return [
        "",
        "## First call",
        "",
        "Seconds to trace, compile and run, in a fresh process that has imported the library.",
        "",
        *_table(["", "forward", "gradient"], rows),
    ]


def _promises(results: dict[str, Any]) -> list[str]:
    rows = []
    for what, target, measured, shown in _measured(results):
        met = "–" if measured is None else "yes" if measured <= target else "no"
        rows.append([what, f"≤ {target:g}", "not measured" if measured is None else shown, met])
    return ["", "## Promises", "", *_table(["", "target", "measured", "met"], rows)]


def _measured(results: dict[str, Any]) -> Iterable[tuple[str, float, float | None, str]]:
    """What was promised, the target, the measured value and how to write it."""
    times: Times = results.get("speed", {}).get("times", {})
    for measure, targets in (("forward", FORWARD), ("gradient", GRADIENT)):
        found = ratios(times, "first", measure, measure)
        for name, target in targets.items():
            yield f"{measure} ÷ {name}", target, *_median(found.get(name))
    for measure in ("forward", "gradient"):
        every = [
            (value, name, size)
            for size in times
            for name, value in ratios(times, size, measure, measure).items()
        ]
        worst = max(every, default=None)
        shown = f"{worst[0]}, {worst[1]}, {SIZES[worst[2]]}" if worst else ""
        what = f"{measure} ÷ any peer, the largest of {len(times)} sizes"
        yield what, 1.0, worst[0].median if worst else None, shown
    ours = times.get("first", {}).get("forward", {}).get(OURS)
    least = floor(times)
    yield "forward ÷ floor", FLOOR, *_median(ratio(ours, least) if ours and least else None)
    for measure in ("forward", "gradient"):
        hour = times.get("hour", {})
        pair = hour.get(measure, {}).get(OURS), hour.get(f"{measure} of first", {}).get(OURS)
        found = None
        if all(pair):
            share = SIZES["first"].audio_seconds / SIZES["hour"].audio_seconds
            found = ratio([share * ms for ms in pair[0]], pair[1])
        yield f"{measure}, a second of one hour ÷ of clips of 10 s", LONG, *_median(found)
    for measure in ("forward", "gradient"):
        peak = results.get("memory", {}).get(OURS, {}).get(measure)
        above = peak["above"] if peak else None
        what = f"{measure}, one hour: peak MiB above process, input and output"
        beside = peak["output"] if peak and measure == "gradient" else 0  # one gradient array
        yield what, round(MEMORY + beside), above, f"{above:.0f}" if peak else ""
    first = results.get("first", {}).get("forward", {}).get(OURS)
    yield "first call, s", SECONDS, np.median(first) if first else None, _seconds(first)
    count = results.get("compilations")
    yield "compilations for 50 clip lengths, bucketed", COMPILATIONS, count, str(count)
    both = results.get("import")
    yield (
        "import ÷ `import jax`",
        IMPORT,
        *_median(ratio(both[OURS], both["jax"]) if both else None),
    )


def _median(found: Ratio | None) -> tuple[float | None, str]:
    return (found.median, str(found)) if found else (None, "")


def _milliseconds(values: list[float] | None) -> str:
    return f"{np.median(values):.1f} ({min(values):.1f})" if values else "–"


def _seconds(values: list[float] | None) -> str:
    return f"{np.median(values):.2f} ({min(values):.2f})" if values else "–"


def _cell(column: dict[str, Any], name: str) -> str:
    return str(column[name]) if name in column else "–"


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]
