"""Recordings over devices along time, clips over devices, and devices of several processes.

That every stage and every preset can be divided, and without which traffic, is in
`test_everywhere.py`.
"""

import itertools
import json
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import collectives, noise, relative_rms_error
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from test_contract import EXAMPLES, _input, _params

import jaxspec
from jaxspec import FrontEnd, stages
from jaxspec.sharding import apply_sharded, shard_clips, sharded_length

LOG_MEL = jaxspec.presets.get("log_mel")
# A halo of samples and one of frames, a carry that is linear and one that is not.
CHAIN = FrontEnd(
    stages.PreEmphasis(),
    stages.STFT(n_fft=512, hop_length=160),
    stages.Power(),
    stages.Filterbank(sample_rate=16000, n_fft=512, n_bands=20, layout="gaps"),
    stages.PCEN(learn="all", n_bands=20),
    stages.Deltas(width=5),
    stages.RunningNormalize(eps=1.0),
)


def _mesh(*sizes, names=("time",), kind=AxisType.Auto):
    return jax.make_mesh(sizes, names, axis_types=(kind,) * len(names))


def _with_nan_behind(x, length):
    """Nothing may be seen of what stands in the padding."""
    held = np.array(x)
    held[..., length:] = np.nan
    return jax.device_put(held, x.sharding)


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit], ids=["auto", "explicit"])
@pytest.mark.parametrize("two_axes", [False, True], ids=["time", "data and time"])
def test_values_and_gradients_are_those_of_one_device(x64, kind, two_axes):
    names, sizes = (("data", "time"), (2, 2)) if two_axes else (("time",), (4,))
    mesh = _mesh(*sizes, names=names, kind=kind)
    batch_axis = "data" if two_axes else None
    x = 0.1 * noise(2, 20_001)
    params = CHAIN.init(jax.random.key(0), dtype=jnp.float64)
    weight = noise(*jax.eval_shape(CHAIN.apply, params, x).shape)

    def whole(params, x):
        return jnp.sum(CHAIN.apply(params, x) * weight)

    def divided(params, x, length):
        y = apply_sharded(CHAIN, params, x, lengths=length, mesh=mesh, batch_axis=batch_axis)
        other = np.pad(weight, [(0, 0), (0, y.features.shape[1] - weight.shape[1]), (0, 0)])
        if kind is AxisType.Explicit:
            other = jax.sharding.reshard(other, jax.typeof(y.features).sharding)
        return jnp.sum(y.features * other)

    sharded, length = shard_clips(CHAIN, x, mesh=mesh, batch_axis=batch_axis)
    sharded = _with_nan_behind(sharded, length)
    function = jax.jit(jax.value_and_grad(divided, argnums=(0, 1)))
    with jax.set_mesh(mesh):
        compiled = function.lower(params, sharded, length).compile()
        value, slopes = compiled(params, sharded, length)
    wanted, wanted_slopes = jax.value_and_grad(whole, argnums=(0, 1))(params, x)
    # The sums are those of the loss and of the gradients of the parameters.
    assert collectives(compiled) == {"collective-permute", "all-reduce"}
    np.testing.assert_allclose(value, wanted, rtol=1e-10)
    assert not np.any(np.asarray(slopes[1])[:, length:])
    assert relative_rms_error(np.asarray(slopes[1])[:, :length], wanted_slopes[1]) < 1e-10
    for found, expected in zip(*map(jax.tree.leaves, (slopes[0], wanted_slopes[0])), strict=True):
        assert relative_rms_error(found, expected) < 1e-9


@pytest.mark.parametrize("n", [1, 37, 160, 161, 600, 1000, 2049])
def test_any_length_over_more_devices_than_have_samples(n):
    """A frame may see the samples of several devices, and the true ends lie anywhere."""
    mesh, x = _mesh(4), noise(n).astype(np.float32)
    sharded, length = shard_clips(LOG_MEL, x, mesh=mesh)
    y = apply_sharded(LOG_MEL, {}, _with_nan_behind(sharded, length), lengths=length, mesh=mesh)
    wanted = LOG_MEL(x)
    assert y.lengths == len(wanted) == y.mask.sum()
    assert len(y.features.sharding.device_set) == 4
    assert relative_rms_error(y.features[: len(wanted)], wanted) < 1e-6


def test_true_lengths_of_several_recordings():
    """One program for recordings of every length, each as if it were alone."""
    mesh = _mesh(2, 2, names=("data", "time"))
    lengths = np.array([9_000, 431, 8_000, 700])
    x = np.full((4, sharded_length(CHAIN, 9_000, shards=2)), np.nan, np.float32)
    for row, n in zip(x, lengths, strict=True):
        row[:n] = 0.1 * noise(n, seed=n)
    params = CHAIN.init(jax.random.key(0))
    x = jax.device_put(x, NamedSharding(mesh, P("data", "time")))
    function = jax.jit(
        lambda x, n: apply_sharded(CHAIN, params, x, lengths=n, mesh=mesh, batch_axis="data")
    )
    y = function(x, lengths)
    for i, n in enumerate(lengths):
        wanted = CHAIN.apply(params, np.asarray(x)[i, :n])
        assert y.lengths[i] == len(wanted)
        assert relative_rms_error(y.features[i, : len(wanted)], wanted) < 3e-6
        assert not np.any(y.features[i, len(wanted) :])
    most = x.shape[1] - 1  # a frame more would have no room
    clamped = function(x, np.array([10**6, -3, 0, 5]))
    assert clamped.lengths.tolist() == [CHAIN.length(most), 0, 0, 1]
    assert function._cache_size() == 1


def test_long_recordings_are_evaluated_in_tiles_on_every_device(few_tiles):
    tiled = FrontEnd(*LOG_MEL.stages, tile_frames=40)
    mesh, x = _mesh(2), noise(60_000).astype(np.float32)
    sharded, length = shard_clips(tiled, x, mesh=mesh)

    def loss(x):
        y = apply_sharded(tiled, {}, x, lengths=length, mesh=mesh).features
        return jnp.sum(jnp.sin(y)), y

    compiled = jax.jit(jax.grad(loss, has_aux=True)).lower(sharded).compile()
    assert " while(" in compiled.as_text()
    assert collectives(compiled) == {"collective-permute"}
    slope, y = compiled(sharded)
    wanted = LOG_MEL(x)
    assert relative_rms_error(y[: len(wanted)], wanted) < 1e-6
    expected = jax.grad(lambda x: jnp.sum(jnp.sin(LOG_MEL(x))))(x)
    assert relative_rms_error(slope[:length], expected) < 1e-4


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_comes_back_in_its_dtype(dtype):
    mesh, x = _mesh(2), jnp.asarray(noise(4000), dtype)
    sharded, length = shard_clips(LOG_MEL, x, mesh=mesh)
    y = apply_sharded(LOG_MEL, {}, sharded, lengths=length, mesh=mesh)
    assert sharded.dtype == y.features.dtype == dtype
    wanted = np.asarray(LOG_MEL(x), np.float32)
    found = np.asarray(y.features[: len(wanted)], np.float32)
    np.testing.assert_allclose(found, wanted, rtol=2 * float(jnp.finfo(dtype).eps))


def test_only_the_own_part_is_read(tmp_path):
    """A recording on a disk may be larger than the memory."""

    class Recording:
        shape, dtype, read = (10_000,), np.dtype(np.float64), []

        def __getitem__(self, index):
            self.read.append(index[0].indices(10_000)[:2])
            return np.arange(10_000.0)[index]

    recording = Recording()
    x, length = shard_clips(LOG_MEL, recording, mesh=_mesh(4))
    size = x.shape[0] // 4
    starts = [min(i * size, 10_000) for i in range(5)]
    assert sorted(recording.read) == list(itertools.pairwise(starts))
    assert length == 10_000
    assert x.dtype == np.float32
    assert (np.asarray(x) == np.pad(np.arange(10_000.0), (0, x.shape[0] - 10_000))).all()


def test_the_mesh_of_the_context():
    mesh = _mesh(2)
    x, length = shard_clips(LOG_MEL, noise(3200).astype(np.float32), mesh=mesh)
    with jax.set_mesh(mesh):
        y = apply_sharded(LOG_MEL, {}, x, lengths=length)
    assert relative_rms_error(y.features[:21], LOG_MEL(np.asarray(x)[:3200])) < 1e-6
    with pytest.raises(ValueError, match="its axes: none"):
        apply_sharded(LOG_MEL, {}, x, lengths=length)


def test_without_lengths_all_of_x_counts():
    """Where all frames have room, as they have where none lies around the end."""
    frontend = LOG_MEL.replace("stft", center=False)
    mesh, x = _mesh(2), noise(3200).astype(np.float32)
    y = apply_sharded(frontend, {}, x, mesh=mesh)
    assert y.lengths == 17
    assert relative_rms_error(y.features[:17], frontend(x)) < 1e-6
    with pytest.raises(ValueError, match=r"sharded_length\(stage, 3200, shards=2\) = 3520"):
        apply_sharded(LOG_MEL, {}, x, mesh=mesh)


@pytest.mark.parametrize("n", [1, 159, 160, 16_000, 16_001])
@pytest.mark.parametrize("shards", [1, 3])
def test_sharded_length_is_the_smallest(n, shards):
    length = sharded_length(LOG_MEL, n, shards=shards)
    frames = length // 160
    assert length % (160 * shards) == 0
    assert length >= n
    assert frames >= LOG_MEL.length(n) > frames - 160 * shards / 160 - 1
    less = length - 160 * shards
    assert less < n or less // 160 < LOG_MEL.length(n)


def test_linear_carries_are_linear():
    """What is declared of them: a carry on top of another comes out scaled, element by element."""
    declared = [s for s in EXAMPLES if getattr(s, "linear_carry", False) and s.reach.past]
    assert {type(s) for s in declared} == {
        stages.PCEN, stages.PCAN, stages.ExponentialSmoothing,
    }  # fmt: skip
    for stage in declared:
        x, params = _input(stage, batch=(2,), positions=9), _params(stage)
        prepared = stage.prepare(params)
        first = stage.initial_carry(prepared, x)

        def after(carry, stage=stage, prepared=prepared, x=x):
            return stage.advance(prepared, carry, x)[0]

        base = jax.tree.map(jnp.zeros_like, first)
        _, slope = jax.jvp(after, (base,), (jax.tree.map(jnp.ones_like, base),))
        for carry in (first, jax.tree.map(lambda c: 3 + 2 * c, first)):
            wanted = jax.tree.map(lambda a, s, c: a + s * c, after(base), slope, carry)
            jax.tree.map(
                lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), after(carry), wanted
            )


def test_what_cannot_be_divided_is_refused():
    mesh, x = _mesh(2), jnp.zeros(3200)
    with pytest.raises(ValueError, match="a part of a recording cannot be given to Normalize"):
        apply_sharded(FrontEnd(*LOG_MEL.stages, stages.Normalize()), {}, x, mesh=mesh)
    with pytest.raises(ValueError, match="axis must be an axis of the mesh, got 'data'"):
        apply_sharded(LOG_MEL, {}, x, lengths=3000, mesh=mesh, axis="data")
    with pytest.raises(ValueError, match="batch_axis must be an axis of the mesh"):
        apply_sharded(LOG_MEL, {}, x[None], lengths=3000, mesh=mesh, batch_axis="data")
    both = _mesh(2, 2, names=("data", "time"))
    with pytest.raises(ValueError, match="batch_axis divides the first axis"):
        apply_sharded(LOG_MEL, {}, x, lengths=3000, mesh=both, batch_axis="data")
    with pytest.raises(ValueError, match="the same number of whole steps"):
        apply_sharded(LOG_MEL, {}, x[:3100], mesh=mesh)
    with pytest.raises(ValueError, match=r"3200, shards=2\) = 3520 for lengths=3200"):
        apply_sharded(LOG_MEL, {}, x, lengths=3200, mesh=mesh)
    with pytest.raises(ValueError, match="the same number of whole steps"):
        jax.jit(lambda n: apply_sharded(LOG_MEL, {}, x[:3100], lengths=n, mesh=mesh))(3000)
    with pytest.raises(ValueError, match="lengths must be >= 0 and <= 3199"):
        apply_sharded(LOG_MEL, {}, x, lengths=-1, mesh=mesh)
    with pytest.raises(TypeError, match="lengths must be integers"):
        apply_sharded(LOG_MEL, {}, x, lengths=3000.0, mesh=mesh)
    with pytest.raises(TypeError, match="stage must be a stage"):
        apply_sharded(jnp.sin, {}, x, lengths=3000, mesh=mesh)


# Several processes.

_WORKER = """
import json, sys
import jax, jax.numpy as jnp, numpy as np
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(f"127.0.0.1:{sys.argv[1]}", num_processes=2, process_id=int(sys.argv[2]))
import jaxspec
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from jaxspec import FrontEnd, stages
from jaxspec.sharding import apply_sharded, shard_clips

frontend = FrontEnd(
    *jaxspec.presets.get("log_mel").without("ln").stages, stages.PCEN(learn="all", n_bands=80)
)
params = frontend.init(jax.random.key(0))
x = np.random.default_rng(0).standard_normal((4, 16_001)).astype(np.float32)
wanted = np.asarray(frontend.apply(params, x))

def difference(array, whole):
    return max(
        float(np.abs(np.asarray(part.data) - whole[part.index]).max() / np.abs(whole).max())
        for part in array.addressable_shards
    )

found = {"processes": jax.process_count(), "devices": jax.device_count()}

def loss(params, x):
    y = frontend.apply(params, x)
    return jnp.sum(jnp.sin(y)), y

whole_slopes, _ = jax.tree.map(np.asarray, jax.grad(loss, (0, 1), has_aux=True)(params, x))
for name, kind in (("auto", AxisType.Auto), ("explicit", AxisType.Explicit)):
    mesh = jax.make_mesh((4,), ("data",), axis_types=(kind,))
    with jax.set_mesh(mesh):
        sharding = NamedSharding(mesh, P("data"))
        sharded = jax.make_array_from_callback(x.shape, sharding, x.__getitem__)
        slopes, y = jax.jit(jax.grad(loss, (0, 1), has_aux=True))(params, sharded)
    found[name] = difference(y, wanted)
    found[name + " gradient"] = difference(slopes[1], whole_slopes[1])
    found[name + " parameters"] = max(
        difference(a, b) for a, b in zip(*map(jax.tree.leaves, (slopes[0], whole_slopes[0])))
    )

mesh = jax.make_mesh((4,), ("time",), axis_types=(AxisType.Auto,))
sharded, length = shard_clips(frontend, x, mesh=mesh)
y = apply_sharded(frontend, params, sharded, lengths=length, mesh=mesh)
padded = np.zeros((4, y.features.shape[1], 80), np.float32)
padded[:, : wanted.shape[1]] = wanted
found["time"] = difference(y.features, padded)
found["held"] = sum(part.data.shape[1] for part in y.features.addressable_shards)
found["frames"] = y.features.shape[1]
print(json.dumps(found))
"""


def test_two_processes_with_two_devices_each():
    """The same in every process as on one device: over the batch and along time."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(port), str(number)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(2)
    ]  # fmt: skip
    for process in started:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        found = json.loads(out.splitlines()[-1])
        assert (found["processes"], found["devices"]) == (2, 4)
        assert found["held"] == found["frames"] // 2
        for name in ("auto", "explicit", "time"):
            assert found[name] < 1e-6, name
        for name in ("auto", "explicit"):
            assert found[name + " gradient"] < 1e-4
            assert found[name + " parameters"] < 1e-4
