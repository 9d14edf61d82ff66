"""Streams: the features of any chunks are those of the whole clip, and so are gradients."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_contract import EXAMPLES, _input, _params

import jaxspec
from jaxspec import FrontEnd, Stream, stages


def _axis(kind):
    return -1 if kind == "waveform" else -2


def _at(x, start, stop, kind):
    return x[..., start:stop] if kind == "waveform" else x[..., start:stop, :]


def _begun(stream, params, x):
    axis = _axis(stream.stage.takes)
    channels = None if axis == -1 else x.shape[-1]
    return stream.init_state(params, batch_shape=x.shape[:axis], channels=channels, dtype=x.dtype)


def _streamed(stage, params, x, sizes):
    """All outputs, for chunks of these sizes over and over again."""
    stream, takes, gives = Stream(stage), stage.takes, stage.gives
    state = _begun(stream, params, x)
    outputs, start, number = [], 0, 0
    while start < x.shape[_axis(takes)]:
        chunk = _at(x, start, start + sizes[number % len(sizes)], takes)
        start, number = start + chunk.shape[_axis(takes)], number + 1
        state, y, count = stream.step(state, chunk)
        assert y.shape[_axis(gives)] == stream.count(chunk.shape[_axis(takes)])
        assert not np.any(_at(y, int(count), None, gives))
        outputs.append(_at(y, 0, int(count), gives))
    _, y, count = stream.flush(state)
    outputs.append(_at(y, 0, int(count), gives))
    return jnp.concatenate(outputs, axis=_axis(gives))


def _assert_equal(streamed, whole, tolerance=1e-6):
    whole = np.asarray(whole)
    assert streamed.shape == whole.shape
    assert streamed.dtype == whole.dtype
    assert np.abs(streamed - whole).max(initial=0) <= tolerance * np.abs(whole).max(initial=1e-30)


_STREAMED = {type(s).__name__: s for s in reversed(EXAMPLES) if not s.reach.clip}


@pytest.mark.exhaustive
@pytest.mark.parametrize("stage", _STREAMED.values(), ids=_STREAMED)
def test_gradients_of_every_stage(stage):
    """Through all chunks, by the input and by the parameters."""
    x, params = _input(stage), _params(stage)
    sizes = (160, 70) if stage.takes == "waveform" else (4, 5)

    def loss(outputs, params, re, im):
        y = outputs(params, jax.lax.complex(re, im) if np.iscomplexobj(x) else re)
        weights = np.cos(np.arange(y.size)).reshape(y.shape)
        return jnp.sum(weights * (y.real + 0.5 * y.imag))

    def chunks(params, x):
        stream = Stream(stage)
        state, outputs = _begun(stream, params, x), []
        bounds = np.cumsum([0, *sizes * 9])
        n = x.shape[_axis(stage.takes)]
        counts = []
        for start, stop in zip(bounds[bounds < n], [*bounds[1:][bounds[1:] < n], n], strict=True):
            state, y, count = stream.step(state, _at(x, int(start), int(stop), stage.takes))
            outputs.append(y)
            counts.append(count)
        _, y, count = stream.flush(state)
        # Counts are known from the sizes alone, but traced here: gather the outputs by them.
        axis = _axis(stage.gives)
        total = sum(y.shape[axis] for y in outputs) + y.shape[axis]
        shape, at = list(y.shape), 0
        shape[axis] = total
        result = jnp.zeros(shape, y.dtype)
        for part, own in zip([*outputs, y], [*counts, count], strict=True):
            result = jax.lax.dynamic_update_slice_in_dim(result, part, at, axis=part.ndim + axis)
            at = at + own
        return _at(result, 0, stage.length(n), stage.gives)

    parts = (jnp.real(x), jnp.imag(x))
    of_chunks, of_whole = (
        jax.jit(jax.grad(functools.partial(loss, outputs), argnums=(0, 1)))(params, *parts)
        for outputs in (chunks, stage.apply)
    )
    for mine, wanted in zip(jax.tree.leaves(of_chunks), jax.tree.leaves(of_whole), strict=True):
        np.testing.assert_allclose(
            mine, wanted, rtol=2e-4, atol=2e-5 * max(np.abs(wanted).max(), 1e-3)
        )


def _chain(**stft):
    return FrontEnd(
        stages.PreEmphasis(),
        stages.STFT(**{"n_fft": 400, "hop_length": 160} | stft),
        stages.Power(),
        stages.Filterbank(sample_rate=16000, n_fft=400, n_bands=20, layout="gaps"),
        stages.PCEN(learn="all", n_bands=20),
        stages.Deltas(width=5),
        stages.RunningNormalize(),
    )


@pytest.mark.parametrize("sizes", [(1,), (37,), (160,), (1000,), (5, 700, 160, 1)], ids=str)
def test_chunks_of_any_size(x64, sizes):
    frontend = _chain()
    x = np.random.default_rng(0).standard_normal(1900 if sizes == (1,) else 5000)
    params = frontend.init(jax.random.key(0), dtype=np.float64)
    whole = frontend.apply(params, x)
    np.testing.assert_allclose(_streamed(frontend, params, x, sizes), whole, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "options",
    [{}, {"center": False}, {"pad_mode": "constant"}, {"pad_mode": "edge", "hop_length": 500}],
    ids=str,
)
def test_streams_that_end_early(x64, options):
    """Both edges of a clip may lie in the same frames, and a clip may hold none."""
    frontend = FrontEnd(
        stages.STFT(**{"n_fft": 400, "hop_length": 160} | options), stages.Power(),
        stages.Deltas(width=3, order=1),
    )  # fmt: skip
    stream = Stream(frontend)
    x = np.random.default_rng(0).standard_normal(1200)
    for n in (1, 2, 159, 160, 161, 199, 200, 201, 399, 400, 401, 559, 560, 561, 800, 1199):
        state = stream.init_state(dtype=np.float64)
        outputs = []
        for start in range(0, n, 100 if n > 2 else 1):
            # The last chunk is as long as the others, so that few programs are compiled.
            chunk = x[start : min(start + 100, n)] if n > 2 else x[start : start + 1]
            state, y, count = stream.step(state, chunk)
            outputs.append(y[:count])
        _, y, count = stream.flush(state)
        streamed = np.concatenate([*outputs, y[:count]])
        if frontend.length(n):
            np.testing.assert_allclose(streamed, frontend(x[:n]), rtol=1e-9, atol=1e-9)
        else:
            assert not len(streamed)


def test_a_stream_of_nothing():
    stream = Stream(_chain())
    state = stream.init_state(_chain().init(jax.random.key(0)))
    _, _, count = stream.flush(state)
    assert count == 0


def test_latency_and_receptive_field():
    """Frame t comes out with sample t * stride + latency, and not before."""
    for options, latency in (({}, 200), ({"pad_mode": "constant"}, 199), ({"center": False}, 399)):
        frontend = FrontEnd(stages.STFT(n_fft=400, hop_length=160, **options), stages.Power())
        stream = Stream(frontend)
        assert stream.latency == latency
        assert stream.receptive_field == 400
        state, counts = stream.init_state(), []
        for _ in range(1000):
            state, _, count = stream.step(state, np.zeros(1, np.float32))
            counts.append(int(count))
        assert np.flatnonzero(counts).tolist() == list(range(latency, 1000, 160))
    delayed = FrontEnd(*frontend.stages, stages.PCEN(), stages.Deltas(width=5))
    assert Stream(delayed).latency == 399 + 2 * 160
    stacked = FrontEnd(*frontend.stages, stages.Stack(n=3))
    assert (Stream(stacked).latency, Stream(stacked).receptive_field) == (399 + 320, 400 + 320)


def test_branches_wait_for_each_other():
    """Windows of different lengths, and gain control in one branch alone."""

    def branch(n_fft, *more):
        return FrontEnd(
            stages.STFT(n_fft=n_fft, hop_length=100), stages.Power(),
            stages.Filterbank(sample_rate=16000, n_fft=n_fft, n_bands=8), *more,
        )  # fmt: skip

    frontend = FrontEnd(
        stages.Scale(factor=2.0),
        stages.Beside(branches=(branch(1024), branch(256, stages.PCEN()), branch(512))),
        stages.Ln(),
    )
    assert Stream(frontend).latency == 512
    x = np.random.default_rng(0).standard_normal((2, 5000)).astype(np.float32)
    for sizes in ((100,), (37, 800), (3000,)):
        _assert_equal(_streamed(frontend, {}, x, sizes), frontend(x), 2e-6)


def test_inside_of_scan_and_vmap():
    frontend = _chain()
    params = frontend.init(jax.random.key(0))
    x = np.random.default_rng(0).standard_normal((3, 4800)).astype(np.float32)
    stream = Stream(frontend)

    def step(state, chunk):
        state, y, count = stream.step(state, chunk)
        return state, (y, count)

    @jax.jit
    def run(x):
        state = stream.init_state(params)
        state, (y, count) = jax.lax.scan(step, state, x.reshape(-1, 160))
        return y, count, stream.flush(state)[1:]

    y, count, (rest, left) = jax.vmap(run)(x)
    for item in range(3):
        found = [y[item][i][:n] for i, n in enumerate(count[item])] + [rest[item][: left[item]]]
        _assert_equal(np.concatenate(found), frontend.apply(params, x[item]), 2e-6)


def test_one_program_for_all_chunks_of_a_size():
    stream = Stream(_chain())
    params = _chain().init(jax.random.key(0))
    state, traces = stream.init_state(params), []

    @jax.jit
    def step(state, chunk):
        traces.append(1)
        return stream.step(state, chunk)

    shapes = []
    for _ in range(40):
        state, *_ = step(state, np.ones(160, np.float32))
        shapes.append([(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(state)])
    assert len(traces) == 1
    assert all(shape == shapes[0] for shape in shapes)


def test_an_hour_is_no_different():
    """The grid does not drift, and no number of the state grows with the stream."""
    frontend = FrontEnd(stages.STFT(n_fft=64, hop_length=50), stages.Power())
    stream = Stream(frontend)
    n, size = 3600 * 8000, 7919  # a chunk that no hop divides
    turns = n // size

    def sample(at):
        return jnp.sin(0.3 * (at % 1013).astype(jnp.float32)) * (1 + (at % 977) / 977)

    @jax.jit
    def run():
        def step(carry, number):
            state, total = carry
            at = number * size + jnp.arange(size, dtype=jnp.int32)
            state, y, count = stream.step(state, sample(at))
            return (state, total + count), y[0]

        start = (stream.init_state(), jnp.zeros((), jnp.int32))
        (state, total), first = jax.lax.scan(step, start, jnp.arange(turns, dtype=jnp.int32))
        return state, total, first[-1]

    state, total, last = run()
    delay = stream.latency
    assert total == (turns * size - 1 - delay) // 50 + 1
    ints = [leaf for leaf in jax.tree.leaves(state.parts) if leaf.dtype == jnp.int32]
    assert max(int(leaf) for leaf in ints) <= 2 * (64 + 50)
    frame = ((turns - 1) * size - 1 - delay) // 50 + 1
    piece = np.asarray(sample(jnp.arange(frame * 50 - 500, frame * 50 + 500, dtype=jnp.int32)))
    _assert_equal(np.asarray(last), frontend(piece)[10])


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_dtypes(dtype):
    with jax.enable_x64(dtype == np.float64):
        frontend = FrontEnd(stages.STFT(n_fft=64, hop_length=20), stages.Power(), stages.Ln())
        x = np.random.default_rng(0).standard_normal(500).astype(dtype)
        streamed, whole = _streamed(frontend, {}, x, (100,)), frontend(x)
        assert streamed.dtype == whole.dtype == dtype
        np.testing.assert_allclose(streamed, whole, rtol=1e-9 if dtype == np.float64 else 1e-2)


def test_a_nan_is_heard_no_longer_than_it_is_seen():
    frontend = FrontEnd(stages.STFT(n_fft=64, hop_length=20), stages.Power(), stages.Ln())
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    x[333] = np.nan
    streamed, whole = (np.asarray(y) for y in (_streamed(frontend, {}, x, (75,)), frontend(x)))
    assert (np.isnan(streamed) == np.isnan(whole)).all()
    assert 0 < np.isnan(whole).sum() < whole.size / 10


def test_a57_the_grid_of_a_stream_is_that_of_the_clip():
    """400 samples every 160: 98 frames of a second, whatever the chunks."""
    x = np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    frontend = FrontEnd(stages.STFT(n_fft=400, hop_length=160, center=False), stages.Power())
    whole = frontend(x)
    assert len(whole) == 98
    for size in (160, 1000, 2560):
        _assert_equal(_streamed(frontend, {}, x, (size,)), whole, 1e-6)
    stream = Stream(frontend)
    step = jax.jit(stream.step)
    state, frames = stream.init_state(), 0
    for start in range(900):
        state, _, count = step(state, x[start : start + 1])
        frames += int(count)
        (buffer, held, _), *_ = state.parts
        # What is carried after k frames are the samples from 160 k on.
        assert (buffer[:held] == x[160 * frames : start + 1]).all()


def test_refusals():
    stream = Stream(FrontEnd(stages.STFT(n_fft=64, hop_length=20), stages.Power()))
    with pytest.raises(TypeError, match="stage must be a stage or a FrontEnd, got 3"):
        Stream(3)
    state = stream.init_state(batch_shape=(2,))
    with pytest.raises(ValueError, match=r"have shape \(2, n\), got a chunk with shape \(3, 5"):
        stream.step(state, np.zeros((3, 50), np.float32))
    with pytest.raises(ValueError, match="dtype of the state, got a chunk of float16 for float32"):
        stream.step(state, np.zeros((2, 50), np.float16))
    with pytest.raises(ValueError, match="chunk must hold at least 1 position"):
        stream.step(state, np.zeros((2, 0), np.float32))
    with pytest.raises(ValueError, match=r"channels must be given .* and for no others"):
        stream.init_state(channels=3)
    with pytest.raises(ValueError, match="channels must be given"):
        Stream(stages.Ln()).init_state()
    with pytest.raises(ValueError, match=r"dtype must be floating .* got dtype=int16"):
        stream.init_state(dtype=np.int16)
    with pytest.raises(ValueError, match="params must be those of"):
        stream.init_state({"nonsense": 1})
    with pytest.raises(TypeError, match="state must be a StreamState, got a tuple"):
        stream.step((), np.zeros(3, np.float32))
    other = Stream(FrontEnd(stages.STFT(n_fft=64, hop_length=16), stages.Power()))
    with pytest.raises(ValueError, match=r"(?s)state must be one of Stream.*hop_length=16"):
        other.step(state, np.zeros((2, 50), np.float32))
    ended, *_ = stream.flush(state)
    for again in (lambda: stream.step(ended, np.zeros((2, 50), np.float32)),
                  lambda: stream.flush(ended)):  # fmt: skip
        with pytest.raises(ValueError, match=r"stream that has ended \(flush\)"):
            again()
    assert dataclasses.is_dataclass(ended)
    assert ended.finished


def test_stages_that_cut_the_start_off_do_not_hide_the_next_edge():
    """The frames of a chain that see an edge are not those of its reach where a stage trims."""
    x = np.random.default_rng(0).standard_normal(6000).astype(np.float32)
    frontend = FrontEnd(
        stages.Trim(before=1000, after=900), stages.STFT(n_fft=400, hop_length=160),
        stages.Power(), stages.DropFrames(first=3, last=2), stages.Deltas(width=5),
    )  # fmt: skip
    whole = x[1000:-900]
    for stage in frontend.stages[1:]:
        whole = stage(whole)
    tiled = FrontEnd(*frontend.stages, tile_frames=3)(x)
    for found in (frontend(x), tiled, _streamed(frontend, {}, x, (160,))):
        _assert_equal(np.asarray(found), whole, 2e-6)


def _resynthesized(stream, spectrum, sizes):
    state = stream.init_state(batch_shape=spectrum.shape[:-2], dtype=spectrum.dtype)
    outputs, start, number = [], 0, 0
    while start < spectrum.shape[-2]:
        chunk = spectrum[..., start : start + sizes[number % len(sizes)], :]
        start, number = start + chunk.shape[-2], number + 1
        state, y, count = stream.step(state, chunk)
        assert not np.any(y[..., int(count) :])
        outputs.append(y[..., : int(count)])
    _, y, count = stream.flush(state)
    return np.concatenate([*outputs, y[..., : int(count)]], axis=-1)


@pytest.mark.parametrize(
    "options",
    [
        {"n_fft": 64, "hop_length": 16},
        {"n_fft": 64, "hop_length": 16, "center": False, "normalized": "window"},
        {"n_fft": 65, "hop_length": 20, "win_length": 50, "window": "hamming"},
        {"n_fft": 64, "hop_length": 50, "window": "boxcar", "normalized": "magnitude"},
        {"n_fft": 64, "hop_length": 64, "window": "boxcar", "center": False},
    ],
    ids=str,
)
def test_the_inverse_transform_of_a_stream(x64, options):
    for n in (64, 70, 100, 1000):
        x = np.random.default_rng(0).standard_normal((2, n))
        spectrum = jaxspec.stft(x, **options)
        whole = jaxspec.istft(spectrum, **options)
        for sizes in ((1,), (3, 5)):
            found = _resynthesized(jaxspec.ISTFTStream(**options), spectrum, sizes)
            assert found.shape == whole.shape
            np.testing.assert_allclose(found, whole, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("size", [80, 128, 320])
def test_a_signal_through_both_streams(size):
    """What goes in comes out, with counts that are known inside of the program alone."""
    options = {"n_fft": 512, "hop_length": 128}
    analysis, synthesis = Stream(stages.STFT(**options)), jaxspec.ISTFTStream(**options)
    x = np.random.default_rng(0).standard_normal(128 * 40).astype(np.float32)

    @jax.jit
    def both(states, chunk):
        first, frames, count = analysis.step(states[0], chunk)
        second, samples, count = synthesis.step(states[1], frames, count=count)
        return (first, second), samples, count

    states, outputs = (analysis.init_state(), synthesis.init_state()), []
    for start in range(0, len(x), size):
        states, samples, count = both(states, x[start : start + size])
        outputs.append(samples[:count])
    _, frames, count = analysis.flush(states[0])
    second, samples, count = synthesis.step(states[1], frames, count=count)
    outputs += [samples[:count], synthesis.flush(second)[1]]
    y = np.concatenate(outputs)[: len(x)]
    assert len(y) == len(x)
    np.testing.assert_allclose(y, x, rtol=0, atol=1e-5)


def test_gradients_of_the_inverse_transform():
    options = {"n_fft": 64, "hop_length": 16}
    spectrum = jaxspec.stft(
        np.random.default_rng(0).standard_normal(200).astype(np.float32), **options
    )
    stream = jaxspec.ISTFTStream(**options)

    def streamed(re):
        z, state, parts = jax.lax.complex(re, spectrum.imag), stream.init_state(), []
        for start in range(0, len(z), 4):
            state, y, _ = stream.step(state, z[start : start + 4])
            parts.append(y)
        rest = stream.flush(state)[1]
        late = stream.latency
        # The first samples are left out of the first chunk, which shifts the rest of it.
        y = jnp.concatenate([parts[0][: 4 * 16 - late], *parts[1:], rest])
        return jnp.sum(jnp.sin(y[: (len(z) - 1) * 16]))

    def whole(re):
        z = jax.lax.complex(re, spectrum.imag)
        return jnp.sum(jnp.sin(jaxspec.istft(z, **options)))

    np.testing.assert_allclose(
        jax.grad(streamed)(spectrum.real), jax.grad(whole)(spectrum.real), rtol=1e-4, atol=1e-5
    )


def test_refusals_of_the_inverse_transform():
    with pytest.raises(ValueError, match="NOLA"):
        jaxspec.ISTFTStream(n_fft=64, hop_length=64)
    stream = jaxspec.ISTFTStream(n_fft=64)
    with pytest.raises(ValueError, match="dtype must be complex, got dtype=float32"):
        stream.init_state(dtype=np.float32)
    state = stream.init_state()
    with pytest.raises(ValueError, match=r"shape \(n, 33\), got a chunk with shape \(3, 32\)"):
        stream.step(state, np.zeros((3, 32), np.complex64))
    with pytest.raises(ValueError, match=r"count must be >= 0 and <= 3 .* got count=4"):
        stream.step(state, np.zeros((3, 33), np.complex64), count=4)
    with pytest.raises(TypeError, match="batch_shape must be a tuple of ints, got batch_shape=4"):
        stream.init_state(batch_shape=4)
    state, samples, count = stream.step(state, np.zeros((0, 33), np.complex64))
    assert samples.shape == (0,)
    ended, _, count = stream.flush(state)
    assert count == 0
    with pytest.raises(ValueError, match="has ended"):
        stream.step(ended, np.zeros((3, 33), np.complex64))
