"""The same log-mel spectrogram by several libraries, side by side in one run.

    python benchmarks/compare.py [-o benchmarks] [--repeats 40] [--sizes first hour] [--quick]

Every peer has a process of its own, which is asked in turn to run once, round after round: one runs
at a time, all meet the same disturbances, and no thread pool of one takes time from another (those
of OpenMP are told not to spin). A turn is 50 ms of calls that bring back caches, clock and threads,
and one call that is timed; at the hour, only the latter. A ratio is the median of the ratios of the
rounds, with the range of the middle 80 %. Inputs lie ready on the device, outputs stay there. Peaks
of memory, first calls and imports are measured in fresh processes.

Peers that are not installed are left out. PyTorch's: ``pip install torch==2.13.0 nnAudio`` and
``pip install --no-deps torchaudio==2.11.0`` (delete ``torchaudio/lib/*.so`` if it does not import).
"""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import json
import os
import pathlib
import platform
from typing import Any

import chart
import fresh
import report
import speed
import worker
from peers import PEERS
from sizes import SIZES
from tqdm import tqdm

PARTS = ("speed", "memory", "first", "import", "compilations", "gpu")

ENVIRONMENT = {
    "OMP_WAIT_POLICY": "passive",
    "KMP_BLOCKTIME": "0",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    "TF_CPP_MIN_LOG_LEVEL": "2",
}


def memory(names: list[str]) -> dict[str, Any]:
    """Peaks for one hour."""
    found: dict[str, Any] = {}
    jobs = [(name, measure) for name in names for measure in ("forward", "gradient")]
    for name, measure in tqdm(jobs, desc="memory"):
        try:
            peak = speed.alone(fresh.memory, name, "hour", measure)
        except ImportError:
            continue
        except Exception as error:  # out of memory, say; the others go on
            tqdm.write(f"memory of {name}, {measure}: {type(error).__name__}: {error}")
            continue
        if peak:
            found.setdefault(name, {})[measure] = peak
    return found


def first_calls(names: list[str], repeats: int) -> dict[str, Any]:
    """Seconds of first calls, interleaved."""
    found: dict[str, Any] = {}
    jobs = [(name, measure) for name in names for measure in ("forward", "gradient")]
    for name, measure in tqdm(repeats * jobs, desc="first calls"):
        try:
            seconds = speed.alone(fresh.first_call, name, "first", measure)
        except ImportError:
            continue
        found.setdefault(measure, {}).setdefault(name, []).append(seconds)
    return found


def imports(repeats: int) -> dict[str, list[float]]:
    modules = ("jax", "jaxspec")
    for module in modules:
        fresh.import_seconds(module)  # writes the byte code, reads the files
    found: dict[str, list[float]] = {module: [] for module in modules}
    for _ in tqdm(range(repeats), desc="imports"):
        for module in modules:
            found[module].append(fresh.import_seconds(module))
    return found


def versions(names: list[str]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            pairs = [(p, importlib.metadata.version(p)) for p in PEERS[name].packages]
        except importlib.metadata.PackageNotFoundError:
            continue
        found[name] = ", ".join(f"{p.removesuffix('-audio')} {v}" for p, v in pairs)
    return found


def machine() -> dict[str, Any]:
    model = platform.processor() or platform.machine()
    cpu = pathlib.Path("/proc/cpuinfo")
    if cpu.exists():
        lines = [line for line in cpu.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].split(":")[1].strip() if lines else model
    return {
        "cores": os.cpu_count(),
        "processor": model,
        "python": platform.python_version(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "-o", "--out", type=pathlib.Path, help="folder for results.json, RESULTS.md and speed.png"
    )
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--only", nargs="+", choices=PEERS, help="peers beside jaxspec")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--quick", action="store_true", help="a look in a few minutes")
    parser.add_argument("--report", type=pathlib.Path, help="a results.json to write out again")
    options = parser.parse_args()

    if options.report:
        results = json.loads(options.report.read_text())
    else:
        os.environ.update(ENVIRONMENT)  # the processes inherit it
        results = measure(options)
    text = report.markdown(results)
    print(text)
    if options.out:
        save(results, options.out)
        (options.out / "RESULTS.md").write_text(text)
        chart.draw(results, options.out / "speed.png")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    names = [name for name in PEERS if not options.only or name in {"jaxspec", *options.only}]
    sizes, repeats = options.sizes, options.repeats
    if options.quick:
        sizes, repeats = [size for size in sizes if size != "hour"], 5
    with_programs = [name for name in names if "jax" in PEERS[name].packages and name != "floor"]
    parts = {
        "speed": lambda: speed.compare(names, sizes, repeats)._asdict(),
        "memory": lambda: memory(
            ["jaxspec"] if options.quick else [name for name in names if PEERS[name].same]
        ),
        "first": lambda: first_calls(with_programs, 1 if options.quick else 5),
        "import": lambda: imports(5 if options.quick else max(20, repeats)),
        "compilations": lambda: speed.alone(fresh.compilations),
        "gpu": functools.partial(gpu, names, sizes, repeats),
    }
    results = {"machine": machine(), "versions": versions(names), "repeats": repeats}
    for part in options.parts:
        results[part] = parts[part]()
        if options.out:
            save(results, options.out)
    return results


def save(results: dict[str, Any], folder: pathlib.Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")


def gpu(names: list[str], sizes: list[str], repeats: int) -> dict[str, Any] | None:
    """The speeds on a GPU; None where there is none."""
    if not speed.alone(worker.has_gpu, device="gpu"):
        return None
    return speed.compare(
        [name for name in names if PEERS[name].gpu], sizes, repeats, "gpu"
    )._asdict()


if __name__ == "__main__":
    main()
