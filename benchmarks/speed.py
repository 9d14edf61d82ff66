"""Times side by side: one process per peer, asked in turn to run once, round after round."""

from __future__ import annotations

import multiprocessing
import pathlib
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, NamedTuple

import worker
from peers import PEERS
from sizes import SIZES, largest_error, reference
from tqdm import tqdm

MEASURES = ("forward", "gradient", "bank", "gaps", "free", "rfft", "mel")

# Thread pools spin for a while after a call, and would take cores from the process that is next:
# a turn waits until nothing works for 50 ms, and after ten such pauses it goes on all the same.
_PAUSE = 0.05
_PAUSES = 10

Times = dict[str, dict[str, dict[str, list[float]]]]
"""Milliseconds of every round, by size, measure and peer."""


class Speed(NamedTuple):
    """What `compare` found; ``disturbed`` is the share of turns before which others were busy."""

    times: Times
    errors: dict[str, dict[str, float]]
    disturbed: dict[str, float]
    left_out: list[str]


def process(device: str = "cpu") -> ProcessPoolExecutor:
    """A process of its own, which starts with the first task."""
    return ProcessPoolExecutor(
        1,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=worker.start,
        initargs=(device,),
    )


def alone(function: Callable[..., Any], *arguments: Any, device: str = "cpu") -> Any:
    """``function(*arguments)`` in a fresh process."""
    with process(device) as pool:
        return pool.submit(function, *arguments).result()


def compare(names: list[str], sizes: list[str], repeats: int, device: str = "cpu") -> Speed:
    """Time every peer at every size; the hour with a fifth of the repeats."""
    found = Speed({}, {}, {}, [])
    pools = {name: process(device) for name in names}
    try:
        for size in sizes:
            _compare_size(pools, size, repeats, found)
    finally:
        for pool in pools.values():
            pool.shutdown()
    return found


def _compare_size(
    pools: dict[str, ProcessPoolExecutor], size: str, repeats: int, found: Speed
) -> None:
    jobs = []
    bar = tqdm(list(pools), desc=f"{size}: prepare", leave=False)
    for name in bar:
        bar.set_postfix_str(name)
        measures = _measures(name, size)
        for extra in _beside(name, size):
            jobs += _prepare(pools, name, extra, ("forward", "gradient"), found)
        jobs += _prepare(pools, name, size, measures, found) if measures else []
    if size != "hour":
        found.errors[size] = _errors(pools, size, jobs)

    times: dict[tuple[str, str, str], list[float]] = {job: [] for job in jobs}
    rounds = repeats if size != "hour" else max(2, repeats // 5)
    disturbed = 0
    with tqdm(total=rounds * len(jobs), desc=size) as bar:
        for _ in range(rounds):
            for name, at, measure in jobs:
                disturbed += not _quiet()
                task = pools[name].submit(worker.milliseconds, at, measure, at != "hour")
                times[name, at, measure].append(task.result())
                bar.update()
    found.disturbed[size] = disturbed / max(1, rounds * len(jobs))
    result = found.times.setdefault(size, {})
    for (name, at, measure), values in times.items():
        label = measure if at == size else f"{measure} of {at}"
        result.setdefault(label, {})[name] = values
    for pool in pools.values():
        for at in SIZES:
            pool.submit(worker.drop, at).result()


def _quiet() -> bool:
    """Wait until the cores are idle, and say whether they became so."""
    for _ in range(_PAUSES):
        before = _busy_ticks()
        time.sleep(_PAUSE)
        if _busy_ticks() - before <= 1:
            return True
    return False


def _busy_ticks() -> int:
    """Hundredths of a second that all cores have worked; 0 where the system does not tell."""
    stat = pathlib.Path("/proc/stat")
    if not stat.exists():
        return 0
    user, nice, system, _, _, *rest = map(int, stat.read_text().split("\n", 1)[0].split()[1:])
    return user + nice + system + sum(rest[:3])  # interrupts, and what the host took


def _measures(name: str, size: str) -> tuple[str, ...]:
    if name == "floor":
        return ("rfft", "mel") if size == "first" else ()
    return ("forward", "gradient") if size == "hour" else MEASURES


def _beside(name: str, size: str) -> tuple[str, ...]:
    """Other sizes to time in the same rounds: the hour is compared with clips of 10 s."""
    return ("first",) if (name, size) == ("jaxspec", "hour") else ()


def _prepare(
    pools: dict[str, ProcessPoolExecutor],
    name: str,
    size: str,
    measures: tuple[str, ...],
    found: Speed,
) -> list[tuple[str, str, str]]:
    try:
        has = pools[name].submit(worker.prepare, name, size, measures).result()
    except (ImportError, BrokenProcessPool) as error:  # not installed, or killed
        found.left_out.append(f"{name}: {error}")
        pools.pop(name).shutdown()
        return []
    except Exception as error:  # whatever a peer raises, the others go on
        found.left_out.append(f"{name} at {SIZES[size]}: {type(error).__name__}: {error}")
        return []
    return [(name, size, measure) for measure in has]


def _errors(
    pools: dict[str, ProcessPoolExecutor], size: str, jobs: list[tuple[str, str, str]]
) -> dict[str, float]:
    truth = alone(reference, SIZES[size])
    return {
        name: largest_error(pools[name].submit(worker.features, name, size).result(), truth)
        for name, _, measure in jobs
        if measure == "forward" and PEERS[name].same
    }
