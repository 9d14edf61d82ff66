"""Every preset in other runtimes: which converters take it, and what its features differ by.

    python benchmarks/runtimes.py onnx     # jax2onnx, run by onnxruntime: pip install -e ".[onnx]"
    python benchmarks/runtimes.py litert   # jax2tf, TensorFlow's converter, LiteRT:
                                           # pip install tensorflow ai-edge-litert
    python benchmarks/runtimes.py jax      # `real_function` in JAX itself

The difference is the relative RMS error from `Stage.apply` in JAX, the largest of a few clips of
noise. Where a converter stops, the table has what it says. With ``jax --float64`` it is the error
of `real_function` and of `Stage.apply`, both in float32, from float64.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxspec
from jaxspec.export import real_function, to_onnx

SAMPLES = 16000
# Whole and broken numbers of every hop.
CLIPS = ((1, 16000), (3, 24321), (2, 38400))


def run_onnx(stage: jaxspec.Stage, params: Any, samples: str | int) -> Callable[..., Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "stage.onnx")
        to_onnx(stage, params, path, samples=samples)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {session.get_inputs()[0].name: x})


def run_litert(stage: jaxspec.Stage, params: Any, samples: str | int) -> Callable[..., Any]:
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter
    from jax.experimental import jax2tf

    function = tf.function(
        jax2tf.convert(real_function(stage, params)),
        input_signature=[tf.TensorSpec((1, samples), tf.float32)],
        autograph=False,
    )
    concrete = function.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], function)
    interpreter = Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()

    def call(x: np.ndarray) -> list[np.ndarray]:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
        interpreter.invoke()
        return [interpreter.get_tensor(o["index"]) for o in interpreter.get_output_details()]

    return call


def run_real(stage: jaxspec.Stage, params: Any, samples: str | int) -> Callable[..., Any]:
    function = jax.jit(real_function(stage, params))
    return lambda x: [np.asarray(part) for part in jax.tree.leaves(function(x))]


def run_apply(stage: jaxspec.Stage, params: Any, samples: str | int) -> Callable[..., Any]:
    return lambda x: [np.asarray(stage.apply(params, x))]


RUNTIMES = {
    "onnx": {"one length": (run_onnx, SAMPLES, ((2, SAMPLES),)),
             "any length": (run_onnx, "samples", CLIPS)},
    "litert": {"one length": (run_litert, SAMPLES, ((1, SAMPLES),))},
    "jax": {"real": (run_real, "samples", ((1, 4001),)),
            "apply": (run_apply, "samples", ((1, 4001),))},
}  # fmt: skip


def difference(run: Callable[..., Any], stage: jaxspec.Stage, params: Any, shape: Any) -> float:
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32) / 10
    exact = x.astype(np.float64) if jax.config.jax_enable_x64 else x
    wanted = np.asarray(stage.apply(params, exact))
    found = run(x)
    found = found[0] if len(found) == 1 else found[0] + 1j * found[1]
    if found.shape != wanted.shape:
        raise ValueError(f"the shape is {found.shape} in place of {wanted.shape}")
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runtime", choices=RUNTIMES)
    parser.add_argument("names", nargs="*", help="presets; default: all")
    parser.add_argument("--float64", action="store_true", help="take JAX in float64 for the truth")
    options = parser.parse_intermixed_args()
    jax.config.update("jax_enable_x64", options.float64)
    names = options.names or jaxspec.presets.names()
    errors: dict[str, list[float]] = {kind: [] for kind in RUNTIMES[options.runtime]}
    for name in names:
        stage = jaxspec.presets.get(name)
        params = stage.init(jax.random.key(0))
        for kind, (convert, samples, shapes) in RUNTIMES[options.runtime].items():
            try:
                run = convert(stage, params, samples)
                errors[kind].append(max(difference(run, stage, params, s) for s in shapes))
                print(f"{name:20} {kind:12} {errors[kind][-1]:.1e}", flush=True)
            except Exception as error:
                line = " ".join(str(error).split())[:240]
                print(f"{name:20} {kind:12} {type(error).__name__}: {line}", flush=True)
    for kind, found in errors.items():
        within = [sum(error <= limit for error in found) for limit in (1e-5, 1e-4)]
        print(
            f"{kind}: {len(found)} of {len(names)} run, {within[0]} within 1e-5, "
            f"{within[1]} within 1e-4"
        )


if __name__ == "__main__":
    sys.exit(main())
