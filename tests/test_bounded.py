"""What must not grow: memory with the clip, programs with the calls, traffic with the devices."""

import json
import pathlib
import subprocess
import sys

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import t2

import jaxspec
from jaxspec.filterbanks import bank_matrix

HOUR = 3600 * 16_000
MIB = 2**20


def _log_mel(x, **options):
    sizes = {"sample_rate": 16_000, "n_fft": 400, "hop_length": 160, "n_mels": 80}
    return jaxspec.log_mel_spectrogram(x, **(sizes | options))


def _loss(x):
    return jnp.sum(_log_mel(x))


def _fresh(code):
    """What a fresh process prints, as JSON."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def compilations():
    """A list with an entry for every program that is compiled during the test."""
    found = []

    def listen(event, duration, **options):
        if event == "/jax/core/compile/backend_compile_duration":
            found.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield found
    jax.monitoring.unregister_event_duration_listener(listen)


# Memory.


@pytest.mark.parametrize("of", ["features", "gradient"])
def test_the_program_of_an_hour_needs_little_beside_its_input_and_output(of):
    x = jax.ShapeDtypeStruct((HOUR,), jnp.float32)
    compiled = jax.jit(_log_mel if of == "features" else jax.grad(_loss)).lower(x).compile()
    # The gradient begins with that of the features, as large as they are.
    beside = 0 if of == "features" else jax.eval_shape(_log_mel, x).size * 4
    assert compiled.memory_analysis().temp_size_in_bytes <= 64 * MIB + beside


_PEAK = """
import ctypes, json, pathlib
import jax, jax.numpy as jnp, numpy as np, jaxspec

def status(field):
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))

def features(x):
    return jaxspec.log_mel_spectrogram(x, sample_rate=16000, n_fft=400, hop_length=160, n_mels=80)

function = FUNCTION
shape = jax.ShapeDtypeStruct((3600 * 16000,), jnp.float32)
compiled = jax.jit(function).lower(shape).compile()
x = jax.device_put(np.tile(np.random.default_rng(0).standard_normal(16000, np.float32), 3600))
jax.block_until_ready(x)
ctypes.CDLL(None).malloc_trim(0)
before = status("VmRSS")
pathlib.Path("/proc/self/clear_refs").write_text("5")  # forgets the peak until now
y = jax.block_until_ready(compiled(x))
print(json.dumps(status("VmHWM") - before - y.nbytes))
"""


@pytest.mark.skipif(
    not pathlib.Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak"
)
@pytest.mark.parametrize("function", ["features", "jax.grad(lambda x: features(x).sum())"])
def test_a53_the_peak_of_an_hour(function):
    """The process above itself, its input and its output (features or gradient)."""
    assert _fresh(_PEAK.replace("FUNCTION", function)) <= 64 * MIB


def test_a53_in_blocks_as_in_one():
    """Half an hour in tiles equals its evaluation at once, to rounding."""
    options = {"n_fft": 512, "hop_length": 160}
    x = np.tile(t2(16_000), 120).astype(np.float32)
    stages = jaxspec.presets.get("log_mel").replace("stft", **options)
    stages = stages.replace("filterbank", n_fft=512)
    tiled, at_once = (
        jaxspec.FrontEnd(*stages.stages, tile_frames=frames) for frames in (None, 10**9)
    )
    assert "while" in jax.jit(tiled).lower(x).as_text()
    assert "while" not in jax.jit(at_once).lower(x).as_text()
    np.testing.assert_allclose(tiled(x), at_once(x), atol=1e-5 * 23)  # ln of 1e-10 is -23


def test_no_constant_grows_with_the_clip():
    for samples in (HOUR // 60, HOUR):
        x = jax.ShapeDtypeStruct((samples,), jnp.float32)
        for function in (_log_mel, jax.grad(_loss)):
            text = jax.jit(function).lower(x).as_text()
            constants = [line for line in text.splitlines() if "stablehlo.constant" in line]
            assert len(constants) > 5
            assert max(map(len, constants)) < MIB


# Programs.


def test_a54_equal_shapes_compile_once(compilations):
    x = np.random.default_rng(0).standard_normal((4, 8_000), np.float32)
    first = _log_mel(x)
    count = len(compilations)
    assert count >= 1
    for _ in range(100):
        y = _log_mel(x)
    assert len(compilations) == count
    assert np.array_equal(y, first)
    # An equal description made anew, as functions make it, is the same program.
    frontend = jaxspec.FrontEnd.from_dict(jaxspec.presets.get("log_mel").to_dict())
    frontend(x)
    count = len(compilations)
    jaxspec.FrontEnd.from_dict(frontend.to_dict())(x + 1)
    assert len(compilations) == count


def test_a54_fifty_lengths_in_four_programs(compilations):
    frontend = jaxspec.presets.get("log_mel")
    rng = np.random.default_rng(0)
    lengths = rng.integers(1_600, 48_000, 50).tolist()
    x = rng.standard_normal(48_000).astype(np.float32)
    frontend.param_shapes()  # compiles a random key, once for all
    compilations.clear()
    buckets = jaxspec.length_buckets(lengths, n_buckets=4)
    results = [jaxspec.apply_bucketed(frontend, {}, x[:n], buckets=buckets) for n in lengths]
    assert 1 <= len(compilations) <= 4
    for n, (y, n_frames) in list(zip(lengths, results, strict=True))[::10]:
        assert n_frames == frontend.length(n)
        # Logarithms of bands that hold next to nothing are not compared.
        assert np.allclose(np.exp(y[:n_frames]), np.exp(frontend(x[:n])), rtol=1e-4, atol=1e-6)


def test_eager_calls_build_their_constants_once():
    """The bank, the slowest of them, is cached by its configuration."""
    before = bank_matrix.cache_info()
    for samples in (2_000, 2_001, 2_002, 2_002):
        _log_mel(jnp.zeros(samples), n_mels=77)
    after = bank_matrix.cache_info()
    assert after.misses == before.misses + 1
    assert after.hits >= before.hits + 2


# Devices.

_SHARDED = """
import json
import jax, jax.numpy as jnp, numpy as np, jaxspec
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
jax.config.update("jax_num_cpu_devices", 2)

gaps = jaxspec.FrontEnd(
    *jaxspec.presets.get("log_mel").replace("filterbank", layout="gaps").stages, tile_frames=50
)
params = gaps.init(jax.random.key(0))

def loss(params, x):
    y = gaps.apply(params, x)
    return jnp.sum(y * jnp.cos(jnp.arange(y.shape[-1], dtype=y.dtype))), y

function = jax.grad(loss, (0, 1), has_aux=True)
x = np.random.default_rng(0).standard_normal((4, 64_000)).astype(np.float32)
expected = jax.tree.map(np.asarray, jax.jit(function)(params, x))
found = {}
for name, kind in (("auto", AxisType.Auto), ("explicit", AxisType.Explicit)):
    mesh = jax.make_mesh((2,), ("data",), axis_types=(kind,))
    with jax.set_mesh(mesh):
        sharded = jax.device_put(x, NamedSharding(mesh, P("data")))
        compiled = jax.jit(function).lower(params, sharded).compile()
        result = compiled(params, sharded)
        mapped = jax.jit(jax.shard_map(
            lambda params, x: gaps.apply(params, x),
            mesh=mesh, in_specs=(P(), P("data")), out_specs=P("data"),
        ))(params, sharded)
    text = compiled.as_text()
    found[name] = {
        "gathers": text.count("all-gather") + text.count("all-to-all"),
        "sums": text.count("all-reduce"),
        "loops": text.count(" while("),
        "devices": [len(leaf.devices()) for leaf in (result[0][1], result[1])],
        "replicated": result[0][1].sharding.is_fully_replicated,
        "differences": [
            float(np.abs(a - b).max() / np.abs(b).max())
            for a, b in zip(jax.tree.leaves(result), jax.tree.leaves(expected), strict=True)
        ] + [float(np.abs(mapped - expected[1]).max())],
    }
print(json.dumps(found))
"""


def test_a_sharded_batch_stays_where_it_is():
    """No device sees the clips of another one, forward or backward; only sums travel."""
    for name, found in _fresh(_SHARDED).items():
        assert found["gathers"] == 0, name
        assert found["sums"] >= 1
        assert found["loops"] >= 2
        assert found["devices"] == [2, 2]
        assert not found["replicated"]
        assert max(found["differences"]) < 2e-4, name
