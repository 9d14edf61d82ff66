"""What runs in the process of one peer: its jobs wait there, and are asked in turn to run once.

A process for each peer keeps thread pools, allocators and compilers apart. The parent asks one
process at a time.
"""

from __future__ import annotations

import os
import time

import jobs
import numpy as np
from jobs import Job
from peers import PEERS
from sizes import SIZES, clips

_WARM = 0.05

_ready: dict[tuple[str, str], Job] = {}


def start(device: str) -> None:
    """Choose ``"cpu"`` or ``"gpu"`` before any library is imported."""
    jobs.DEVICE = device
    os.environ["JAX_PLATFORMS"] = "cpu" if device == "cpu" else ""  # "": JAX takes the best


def has_gpu() -> bool:
    import jax

    return jax.devices()[0].platform == "gpu"


def prepare(peer: str, size: str, measures: tuple[str, ...]) -> list[str]:
    """Compile and warm up the jobs of one size, and say which of ``measures`` the peer has."""
    chosen = SIZES[size]
    made = PEERS[peer].make(chosen)
    x = clips(chosen)
    for measure in measures:
        if measure in made:
            job = _ready[size, measure] = made[measure]
            job.prepare(chosen.shape)
            job.load(x)
            job.run()
    return [measure for measure in measures if measure in made]


def drop(size: str) -> None:
    """Let go of the clips and the programs of a size."""
    for key in [key for key in _ready if key[0] == size]:
        del _ready[key]


def milliseconds(size: str, measure: str, warm: bool) -> float:
    """Run once and time it; ``warm`` runs it for 50 ms before that: caches, clock, threads."""
    job = _ready[size, measure]
    until = time.perf_counter() + (_WARM if warm else 0)
    while time.perf_counter() < until:
        job.run()
    start = time.perf_counter()
    out = job.run()
    elapsed = time.perf_counter() - start
    del out
    return 1e3 * elapsed


def features(peer: str, size: str) -> np.ndarray:
    """``(clips, frames, bands)``."""
    out = _ready[size, "forward"].run()
    out = np.asarray(out.cpu() if hasattr(out, "cpu") else out)  # a tensor may lie on a GPU
    return out.swapaxes(-1, -2) if PEERS[peer].bands_first else out
