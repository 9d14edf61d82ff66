"""The contract of every stage and every preset: one test of all that they promise together.

The same features alone, compiled, in a batch, among padded clips, chunk by chunk and divided over
devices, with gradients that are finite, in every dtype. Each promise has tests of its own, too
(`test_contract.py` with the reach, `test_padded.py`, `test_streaming.py`, `test_sharding.py`,
`test_presets.py`).
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import collectives
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from test_contract import EXAMPLES, _input, _params

import jaxspec
from jaxspec import Stream, stages
from jaxspec.export import export
from jaxspec.sharding import apply_sharded, shard_clips

PRESETS = [name for name in jaxspec.presets.names() if jaxspec.presets.sample_rate(name)]
CASES = [
    *(pytest.param(s, id=f"{i}-{type(s).__name__}") for i, s in enumerate(EXAMPLES)),
    *(
        pytest.param(jaxspec.presets.get(name), id=name, marks=pytest.mark.exhaustive)
        for name in PRESETS
    ),
]
FILL = -3.0


def _is_preset(stage):
    return stage not in EXAMPLES


def _sizes(stage):
    """The padded length, the lengths of clips, and the sizes of chunks."""
    if _is_preset(stage):
        return 9000, (8001, 5000), (3000, 1000)
    if stage.takes == "waveform":
        return 400, (333, 97), (37, 160)
    return 14, (13, 9), (1, 4)


def _axis(kind):
    return -1 if kind == "waveform" else -2


def _cut(x, start, stop, kind):
    return x[..., start:stop] if kind == "waveform" else x[..., start:stop, :]


def _equal(stage, found, wanted):
    """Equal but for rounding in float32, which stands out where a mean is taken off."""
    normalized = any(isinstance(part, stages.Normalize) for part in getattr(stage, "stages", ()))
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape
    error, size = np.abs(found - wanted), np.abs(wanted).max(initial=1e-30)
    # What is computed of parameters is computed in float32, in each program with its own rounding.
    tolerance = 1e-5 if normalized else 3e-6 if stage.param_shapes() else 1e-6
    assert np.linalg.norm(error) <= tolerance * max(np.linalg.norm(wanted), 1e-30)
    assert error.max(initial=0) <= 2e-5 * size


@pytest.mark.parametrize("stage", CASES)
def test_contract(stage):
    longest, lengths, chunks = _sizes(stage)
    x, params = _input(stage, batch=(2,), positions=longest), _params(stage)
    x = x / 10 if _is_preset(stage) else x
    clips = [_cut(x[i], 0, n, stage.takes).copy() for i, n in enumerate(lengths)]
    alone = [stage.apply(params, clip) if stage.length(n) else None
             for clip, n in zip(clips, lengths, strict=True)]  # fmt: skip
    _check_padded(stage, params, x, lengths, alone)
    _check_stream(stage, params, clips[0], chunks, alone[0])
    _check_dtypes(stage, params, clips[0])
    _check_sharded_batch(stage, params, x)
    _check_sharded_time(stage, params, clips[0], alone[0])
    _check_export(stage, params, x)


def _check_padded(stage, params, x, lengths, alone):
    """Compiled, mapped over the clips, differentiated, with NaN in the padding."""
    x = np.array(x)
    for item, n in zip(x, lengths, strict=True):
        item[n:] = np.nan

    def loss(params, x, lengths):
        padded = jaxspec.apply_padded(stage, params, x, lengths=lengths, fill=FILL)
        y = padded.features.reshape(len(x), -1)
        y = y.real + 0.5 * y.imag
        return jnp.sum(y * jnp.cos(jnp.arange(y.shape[1]))), padded

    of_both = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))
    slopes, padded = of_both(params, x, np.asarray(lengths))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))
    for i, n in enumerate(lengths):
        count = 0 if alone[i] is None else alone[i].shape[_axis(stage.gives)]
        assert padded.lengths[i] == count
        assert (padded.mask[i] == (np.arange(padded.mask.shape[1]) < count)).all()
        if alone[i] is not None:
            _equal(stage, _cut(padded.features[i], 0, count, stage.gives), alone[i])
            assert np.any(slopes[1][i, :n])
        assert (_cut(padded.features[i], count, None, stage.gives) == FILL).all()
        assert not np.any(slopes[1][i, n:])


def _check_stream(stage, params, x, sizes, alone):
    """Chunk by chunk; or refused, with the name of a stage that needs the whole clip."""
    if stage.reach.clip:
        parts = getattr(stage, "stages", (stage,))
        name = next(type(part).__name__ for part in parts if part.reach.clip)
        with pytest.raises(ValueError, match=f"cannot be given to {name} "):
            Stream(stage)
        return
    stream, axis = Stream(stage), _axis(stage.takes)
    channels = None if axis == -1 else x.shape[-1]
    state = stream.init_state(params, channels=channels, dtype=x.dtype)
    outputs, start, number = [], 0, 0
    while start < x.shape[axis]:
        chunk = _cut(x, start, start + sizes[number % len(sizes)], stage.takes)
        start, number = start + chunk.shape[axis], number + 1
        state, y, count = stream.step(state, chunk)
        assert y.shape[_axis(stage.gives)] == stream.count(chunk.shape[axis])
        assert not np.any(_cut(y, int(count), None, stage.gives))
        outputs.append(_cut(y, 0, int(count), stage.gives))
    _, y, count = stream.flush(state)
    outputs.append(_cut(y, 0, int(count), stage.gives))
    found = jnp.concatenate(outputs, axis=_axis(stage.gives))
    if alone is None:
        assert not found.size
        return
    assert found.dtype == alone.dtype
    _equal(stage, found, alone)


def _check_sharded_batch(stage, params, x):
    """Clips stay on their devices, forward and backward, however the mesh has been made."""

    def loss(params, x):
        y = stage.apply(params, x)
        return jnp.sum(jnp.abs(y)), y

    function = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))
    whole = function(params, x)
    for kind in (AxisType.Auto, AxisType.Explicit):
        mesh = jax.make_mesh((2,), ("data",), axis_types=(kind,))
        with jax.set_mesh(mesh):
            sharded = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
            compiled = function.lower(params, sharded).compile()
            slopes, y = compiled(params, sharded)
        assert collectives(compiled) <= {"all-reduce"}  # of the gradients of parameters
        for array in (y, slopes[1]):
            assert {part.data.shape[0] for part in array.addressable_shards} == {len(x) // 2}
        _equal(stage, y, whole[1])
        size = np.abs(whole[0][1]).max()
        np.testing.assert_allclose(slopes[1], whole[0][1], rtol=0, atol=1e-3 * size)


def _check_sharded_time(stage, params, x, alone):
    """A clip over three devices; or refused, with the name of a stage that needs the whole clip."""
    mesh = jax.make_mesh((3,), ("time",), axis_types=(AxisType.Auto,))
    if stage.reach.clip:
        with pytest.raises(ValueError, match="cannot be given to "):
            apply_sharded(stage, params, x, mesh=mesh)
        return
    sharded, length = shard_clips(stage, x, mesh=mesh)
    function = jax.jit(lambda *args: apply_sharded(stage, *args[:2], lengths=args[2], mesh=mesh))
    compiled = function.lower(params, sharded, length).compile()
    assert collectives(compiled) <= {"collective-permute"}
    y, count, mask = compiled(params, sharded, length)
    axis = _axis(stage.gives)
    assert len(y.devices()) == 3
    assert count == (0 if alone is None else alone.shape[axis])
    assert (mask == (np.arange(len(mask)) < count)).all()
    assert not np.any(_cut(y, int(count), None, stage.gives))
    if alone is not None:
        _equal(stage, _cut(y, 0, int(count), stage.gives), alone)


def _check_dtypes(stage, params, x):
    """What comes out has the dtype of what goes in."""
    with jax.enable_x64(True):
        for dtype in (np.float16, jnp.bfloat16, np.float32, np.float64):
            if stage.takes == "spectrum":
                dtype = np.complex128 if dtype is np.float64 else np.complex64
            y = jax.eval_shape(stage.apply, params, jax.ShapeDtypeStruct(x.shape, dtype))
            if stage.gives == "spectrum":
                wide = dtype in (np.float64, np.complex128)
                assert y.dtype == (np.complex128 if wide else np.complex64)
            elif stage.takes == "spectrum":
                assert y.dtype == jnp.finfo(dtype).dtype
            else:
                assert y.dtype == dtype


def _check_export(stage, params, x):
    """Lowered for all platforms and any size, and read again; lowered without FFT."""
    channels = None if stage.takes == "waveform" else x.shape[-1]
    exported = export(stage, params, channels=channels)
    again = jax.export.deserialize(exported.serialize())
    wanted, found = np.asarray(stage.apply(params, x)), np.asarray(again.call(x))
    assert found.shape == wanted.shape
    assert np.linalg.norm(found - wanted) <= 1e-5 * max(np.linalg.norm(wanted), 1e-30)
    real = export(stage, params, channels=channels, numbers="real", platforms=("cpu",))
    assert "complex<" not in real.mlir_module()
    assert "stablehlo.fft" not in real.mlir_module()
