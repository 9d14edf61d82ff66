"""Every preset in other runtimes: which converters take it, and what its features differ by.

    python benchmarks/runtimes.py onnx     # jax2onnx, run by onnxruntime: pip install -e ".[onnx]"
    python benchmarks/runtimes.py litert   # jax2tf, TensorFlow's converter: pip install tensorflow

The difference is the relative RMS error from `Stage.apply` in JAX, the largest of a few clips of
noise. Where a converter stops, the table has what it says.
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
    from jax.experimental import jax2tf

    function = tf.function(
        jax2tf.convert(real_function(stage, params)),
        input_signature=[tf.TensorSpec((1, samples), tf.float32)],
        autograph=False,
    )
    concrete = function.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], function)
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()

    def call(x: np.ndarray) -> list[np.ndarray]:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
        interpreter.invoke()
        return [interpreter.get_tensor(o["index"]) for o in interpreter.get_output_details()]

    return call


RUNTIMES = {
    "onnx": {"one length": (run_onnx, SAMPLES, ((2, SAMPLES),)),
             "any length": (run_onnx, "samples", CLIPS)},
    "litert": {"one length": (run_litert, SAMPLES, ((1, SAMPLES),))},
}  # fmt: skip


def difference(run: Callable[..., Any], stage: jaxspec.Stage, params: Any, shape: Any) -> float:
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32) / 10
    wanted = np.asarray(stage.apply(params, x))
    found = run(x)
    found = found[0] if len(found) == 1 else found[0] + 1j * found[1]
    if found.shape != wanted.shape:
        raise ValueError(f"the shape is {found.shape} in place of {wanted.shape}")
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runtime", choices=RUNTIMES)
    parser.add_argument("names", nargs="*", help="presets; default: all")
    options = parser.parse_args()
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
