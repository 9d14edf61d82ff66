"""What a step of a stream takes, and whether a day of it is like its first second.

    python benchmarks/streaming.py            # a few minutes; on Linux, on one core
    python benchmarks/streaming.py --hours 1

First the time of one step of 10 ms: called from Python, compiled once more around (as in a larger
program), and inside of a scan. Then a stream of some hours, in chunks whose size no hop divides:
peak memory after the first minute and at the end, the number of frames, and how far the last frames
are from those of the last second alone.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxspec

RATE, CHUNK = 16000, 160
SIZE = 15991  # samples of a chunk of the long stream: a prime number
AT_ONCE = 60  # of these chunks in a call


def of_steps(step: Any, state: Any, chunks: list[jax.Array]) -> np.ndarray:
    """Milliseconds of every step."""
    times = []
    for chunk in chunks:
        begin = time.perf_counter()
        state, features, _ = step(state, chunk)
        features.block_until_ready()
        times.append(1e3 * (time.perf_counter() - begin))
    return np.asarray(times[len(times) // 5 :])


def step_times(stream: jaxspec.Stream, rounds: int = 5000) -> None:
    """Print what a step takes."""
    x = np.random.default_rng(0).standard_normal((rounds, CHUNK)).astype(np.float32)
    chunks = [jnp.asarray(chunk) for chunk in x]
    for name, step in (("called", stream.step), ("called, in jit", jax.jit(stream.step))):
        times = of_steps(step, stream.init_state(), chunks)
        print(f"{name}: median {np.median(times):.3f} ms, 99 % {np.quantile(times, 0.99):.3f} ms")
    scan = jax.jit(lambda state, x: jax.lax.scan(partial(_step, stream), state, x))
    stacked = jnp.asarray(x)
    jax.block_until_ready(scan(stream.init_state(), stacked))
    begin = time.perf_counter()
    jax.block_until_ready(scan(stream.init_state(), stacked))
    print(f"in a scan: {1e3 * (time.perf_counter() - begin) / rounds:.4f} ms")


def _step(stream: jaxspec.Stream, state: Any, chunk: jax.Array) -> Any:
    state, features, count = stream.step(state, chunk)
    return state, (features, count)


def samples(number: Any) -> jax.Array:
    """A chunk of the long stream, from its number alone."""
    key = jax.random.fold_in(jax.random.key(0), number)
    return jax.random.normal(key, (SIZE,), jnp.float32)


def long_stream(stream: jaxspec.Stream, hours: float) -> None:
    """Print what is left of a long stream."""

    @jax.jit
    def run(state: Any, total: jax.Array, first: jax.Array) -> Any:
        def one(carry: Any, number: jax.Array) -> Any:
            state, total, _, _ = carry
            state, features, count = stream.step(state, samples(number))
            return (state, total + count, features, count), None

        numbers = first + jnp.arange(AT_ONCE, dtype=jnp.int32)
        room = stream.count(SIZE)
        last = jnp.zeros((room, stream.stage.channels(None)), jnp.float32)
        carry = (state, total, last, jnp.zeros((), jnp.int32))
        return jax.lax.scan(one, carry, numbers)[0]

    turns = round(hours * 3600 * RATE / SIZE / AT_ONCE)
    state, total = stream.init_state(), jnp.zeros((), jnp.int32)
    begin, early = time.perf_counter(), 0.0
    for turn in range(turns):
        state, total, last, count = run(state, total, jnp.asarray(turn * AT_ONCE, jnp.int32))
        total.block_until_ready()
        if turn == 1:
            early = peak_mib()
    seconds = time.perf_counter() - begin
    n = turns * AT_ONCE * SIZE
    wanted = (n - 1 - stream.latency) // stream.stage.reach.stride + 1
    print(
        f"{n / RATE / 3600:.1f} h in {seconds:.0f} s: {int(total)} frames ({wanted} expected), "
        f"peak memory {early:.0f} MiB early and {peak_mib():.0f} MiB at the end"
    )
    # The last frames again, from the last chunks alone, on the grid of the whole stream.
    stride, kept = stream.stage.reach.stride, 3
    first = turns * AT_ONCE - kept
    tail = np.concatenate([np.asarray(samples(first + i)) for i in range(kept)])
    start = -(-first * SIZE // stride)
    features = np.asarray(stream.stage.apply({}, tail[start * stride - first * SIZE :]))
    last = np.asarray(last)[: int(count)]
    again = features[int(total) - int(count) - start : int(total) - start]
    print(f"largest difference of the last {len(last)} frames: {np.abs(last - again).max():.2g}")


def peak_mib() -> float:
    """The largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=24.0, help="length of the long stream")
    args = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    stream = jaxspec.Stream(jaxspec.presets.get("log_mel"))
    step_times(stream)
    long_stream(stream, args.hours)


if __name__ == "__main__":
    main()
