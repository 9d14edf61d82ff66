"""How features scale over devices: clips over the batch, a recording along time, and what travels.

    python benchmarks/scaling.py                # host devices, two by default; about two minutes
    python benchmarks/scaling.py --devices 8    # on a machine with as many cores or accelerators

On a CPU the devices are made of its cores, so no more of them can pay than there are cores, and one
device uses several cores already. What a device sends is read from the compiled program.
"""

from __future__ import annotations

import argparse
import re
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import jaxspec
from jaxspec import FrontEnd, stages
from jaxspec.sharding import apply_sharded, shard_clips

RATE = 16000
LOG_MEL = FrontEnd(
    stages.STFT(n_fft=400, hop_length=160),
    stages.Power(),
    stages.Filterbank(sample_rate=RATE, n_fft=400, n_bands=80),
    stages.Ln(),
)
PCEN = FrontEnd(*LOG_MEL.stages[:-1], stages.PCEN())


def rounds(functions: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """The median time of each in ms, one after the other in every round."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(repeats + 1):
        for name, function in functions.items():
            begin = time.perf_counter()
            jax.block_until_ready(function())
            if number:  # the first round warms up
                times[name].append(1e3 * (time.perf_counter() - begin))
    return {name: statistics.median(own) for name, own in times.items()}


def sent(compiled: Any) -> dict[str, int]:
    """Bytes of every kind of traffic between devices, of one device."""
    sizes = {"f32": 4, "s32": 4, "c64": 8, "f64": 8, "pred": 1}
    found: dict[str, int] = {}
    kinds = r"all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter"
    for result, kind in re.findall(rf"= (.+?) ({kinds})(?:-start)?\(", compiled.as_text()):
        for dtype, shape in re.findall(r"(\w+)\[([\d,]*)\]", result):
            n = int(np.prod([int(d) for d in shape.split(",") if d], initial=1))
            found[kind] = found.get(kind, 0) + n * sizes[dtype]
    return found


def gradient(frontend: FrontEnd) -> Callable[[jax.Array], jax.Array]:
    """Of the sum of sines of the features to the samples."""
    return jax.grad(lambda x: jnp.sum(jnp.sin(frontend(x))))


def over_the_batch(devices: int, repeats: int) -> None:
    """16 clips of 10 s on one device and on all."""
    x = np.random.default_rng(0).standard_normal((16, 10 * RATE)).astype(np.float32)
    print("\n16 clips of 10 s, log-mel, over the batch\n")
    print("| devices | mesh | forward ms | gradient ms | sent forward | sent backward |")
    print("|---|---|---|---|---|---|")
    kinds = [(1, AxisType.Auto), (devices, AxisType.Auto), (devices, AxisType.Explicit)]
    functions, rows = {}, []
    for count, kind in kinds:
        mesh = jax.make_mesh((count,), ("data",), axis_types=(kind,), devices=jax.devices()[:count])
        with jax.set_mesh(mesh):
            sharded = jax.device_put(x, NamedSharding(mesh, P("data")))
            compiled = [
                jax.jit(f).lower(sharded).compile() for f in (LOG_MEL.__call__, gradient(LOG_MEL))
            ]
        name = f"{count} {kind.name}"
        for part, program in zip(("forward", "gradient"), compiled, strict=True):
            functions[f"{name} {part}"] = lambda p=program, x=sharded: p(x)
        rows.append((count, kind.name.lower(), name, [sent(program) for program in compiled]))
    times = rounds(functions, repeats)
    for count, kind, name, traffic in rows:
        ms = [f"{times[f'{name} {part}']:.1f}" for part in ("forward", "gradient")]
        print(f"| {count} | {kind} | {' | '.join(ms)} | {traffic[0] or 0} | {traffic[1] or 0} |")


def along_time(devices: int, repeats: int, seconds: int) -> None:
    """One long recording on one device and on all."""
    x = np.random.default_rng(0).standard_normal(seconds * RATE).astype(np.float32)
    print(f"\nA recording of {seconds / 60:g} min along time; bytes that a device sends\n")
    print("| front-end | devices | forward ms | difference | sent |")
    print("|---|---|---|---|---|")
    for label, frontend in (("log-mel", LOG_MEL), ("PCEN", PCEN)):
        whole = jax.jit(frontend.__call__).lower(x).compile()
        functions: dict[str, Callable[[], Any]] = {"whole": lambda p=whole: p(x)}
        programs = {}
        for count in sorted({1, devices}):
            mesh = jax.make_mesh(
                (count,), ("time",), axis_types=(AxisType.Auto,), devices=jax.devices()[:count]
            )
            sharded, length = shard_clips(frontend, x, mesh=mesh)

            def divided(
                x: jax.Array, n: Any, frontend: FrontEnd = frontend, mesh: Any = mesh
            ) -> Any:
                return apply_sharded(frontend, {}, x, lengths=n, mesh=mesh)

            program = jax.jit(divided).lower(sharded, length).compile()
            programs[count] = program
            functions[str(count)] = lambda p=program, x=sharded, n=length: p(x, n)
        times = rounds(functions, repeats)
        wanted = np.asarray(whole(x))
        print(f"| {label} | whole | {times['whole']:.0f} | – | – |")
        for count, program in programs.items():
            y = np.asarray(functions[str(count)]().features)[: len(wanted)]
            error = np.linalg.norm(y - wanted) / np.linalg.norm(wanted)
            print(
                f"| {label} | {count} | {times[str(count)]:.0f} | {error:.1e} | "
                f"{sent(program).get('collective-permute', 0)} |"
            )


def of_a_second(n_fft: int = 400, hop_length: int = 160, n_mels: int = 80) -> None:
    """What a second of audio costs: the arithmetic of docs/scale.md."""
    frames, bins = RATE / hop_length, n_fft // 2 + 1
    products = 2 * bins * n_mels
    by_fft = frames * (2.5 * n_fft * np.log2(n_fft) + n_fft + 3 * bins + products + n_mels)
    by_product = frames * (4 * n_fft * bins + n_fft + 3 * bins + products + n_mels)
    ends = 4 * (RATE + frames * n_mels)
    # Frames, spectrum, power and bands are each written once and read once.
    between = 8 * frames * (n_fft + 2 * bins + bins + n_mels)
    print("\nLog-mel features of a second of audio\n")
    print("| | |")
    print("|---|---|")
    print(f"| operations, by FFT | {by_fft / 1e6:.1f} million |")
    print(f"| operations, by matrix product | {by_product / 1e6:.1f} million |")
    print(f"| bytes in and out | {ends / 1e3:.0f} thousand |")
    print(
        f"| bytes moved if no step is fused with another | {(ends + between) / 1e3:.0f} thousand |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--devices", type=int, default=2, help="how many (default: 2)")
    parser.add_argument("--repeats", type=int, default=20, help="rounds (default: 20)")
    parser.add_argument("--seconds", type=int, default=3600, help="of the recording")
    options = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", options.devices)
    print(f"jax {jax.__version__}, jaxspec {jaxspec.__version__}, {jax.devices()[0].device_kind}")
    of_a_second()
    over_the_batch(options.devices, options.repeats)
    along_time(options.devices, max(options.repeats // 4, 3), options.seconds)


if __name__ == "__main__":
    main()
