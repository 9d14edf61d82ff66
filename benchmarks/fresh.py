"""What only a fresh process can tell: peaks of memory, first calls, compilations, imports."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from peers import PEERS
from sizes import SIZES, clips

MIB = 2**20


def memory(peer: str, size: str, measure: str) -> dict[str, float] | None:
    """MiB of input, output, and of the peak above the process with its input and the output.

    The program is compiled, or the peer warmed up on a short clip, before the input exists. Pages
    that the allocator holds free are given back first, lest they hide what the call needs. None
    where the peer has no such measure.
    """
    chosen = SIZES[size]
    job = PEERS[peer].make(chosen).get(measure)
    if job is None:
        return None
    job.prepare(chosen.shape)
    x = clips(chosen)
    job.load(x)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    before = _status("VmRSS")
    out, peak = _peak(job.run)
    return {
        "input": x.nbytes / MIB,
        "output": out.nbytes / MIB,
        "above": (peak - before - out.nbytes) / MIB,
    }


def _peak(run: Callable[[], Any]) -> tuple[Any, int]:
    """What ``run`` gives, and the largest resident set during it, in bytes; Linux only."""
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")  # sets VmHWM back to VmRSS
    except OSError:
        with _sampled() as samples:
            out = run()
        return out, max(samples)
    return run(), _status("VmHWM")


@contextlib.contextmanager
def _sampled(seconds: float = 1e-3) -> Iterator[list[int]]:
    samples, done = [_status("VmRSS")], threading.Event()

    def sample() -> None:
        while not done.wait(seconds):
            samples.append(_status("VmRSS"))

    thread = threading.Thread(target=sample)
    thread.start()
    yield samples
    done.set()
    thread.join()


def _status(field: str) -> int:
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"no {field}")


def first_call(peer: str, size: str, measure: str) -> float:
    """Seconds from a peer that is imported to its first features: trace, compile and run."""
    chosen = SIZES[size]
    job = PEERS[peer].make(chosen)[measure]
    job.load(clips(chosen))
    start = time.perf_counter()
    job.prepare(chosen.shape)
    job.run()
    return time.perf_counter() - start


def compilations(count: int = 50) -> int:
    """Programs that ``count`` clip lengths between 1 and 10 s need, with their lengths bucketed."""
    import jax.monitoring

    import jaxspec

    frontend = jaxspec.presets.get("log_mel")
    frontend.param_shapes()  # compiles a random key, once for all
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, _, **options: compiled.append(event) if "backend_compile" in event else None
    )
    lengths = np.random.default_rng(0).integers(16000, 160000, count).tolist()
    buckets = jaxspec.length_buckets(lengths)
    for length in lengths:
        jaxspec.apply_bucketed(frontend, {}, np.zeros(length, np.float32), buckets=buckets)
    return len(compiled)


def import_seconds(module: str) -> float:
    """Seconds that ``import module`` takes, measured inside a fresh interpreter.

    From byte code, as installed packages have it, also where the environment forbids to write it.
    """
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    settings = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return float(subprocess.check_output([sys.executable, "-c", code], text=True, env=settings))
