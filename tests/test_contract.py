"""The contract that every stage keeps: one test over all of them.

A new stage class must be given an example here; `test_every_stage_has_an_example` fails otherwise.
"""

import dataclasses
import json
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspec
from jaxspec import FrontEnd, stages

BANK = {"sample_rate": 16000, "n_fft": 64, "n_bands": 6}


def _hat(n):
    return np.minimum(np.arange(n) + 1, n - np.arange(n)) / n


def _waveform_examples():
    stft = stages.STFT
    return [
        stages.Scale(factor=3),
        stages.RemoveMean(),
        stages.ScaleToRange(),
        stages.Pad(before=5, after=9),
        stages.Pad(before=7, after=3, pad_mode="reflect"),
        stages.Pad(before=2, after=0, pad_mode="wrap"),
        stages.Trim(before=4, after=3),
        stages.PadToMultiple(multiple=64),
        stages.FitLength(n_samples=333),
        stages.FitLength(n_samples=512),
        stages.Repeat(n_samples=1000),
        stages.PadAt(multiple=200, remainder=0, after=3),
        stages.MaskPadding(
            frontend=FrontEnd(stft(n_fft=64, hop_length=20, center=False), stages.Power()),
            multiple=128,
        ),
    ]


def _frame_examples():
    return [
        stages.Frame(frame_length=50, hop_length=20),
        stages.Frame(frame_length=50, hop_length=20, lookahead=3, short="empty"),
        stages.Frame(frame_length=50, hop_length=21, edges="zeros"),
        stages.Frame(frame_length=50, hop_length=20, edges="mirror"),
        stages.Frame(frame_length=8, hop_length=30, edges="mirror"),
        stages.Frame(frame_length=50, hop_length=20, edges="same"),
        stages.RemoveFrameMean(),
        stages.FramePreEmphasis(),
        stages.FramePreEmphasis(coef=0.5, first="drop"),
        stages.LogEnergy(amin=0.1),
        stages.Beside(
            branches=(
                stages.LogEnergy(amin=0.1),
                FrontEnd(stages.RFFT(n_fft=8), stages.Power(), stages.Ln(amin=0.1)),
            )
        ),
        stages.Window(win_length=6),
        stages.Window(win_length=6, window=_hat(6)),
        stages.Window(win_length=6, window="povey", periodic=False),
        stages.RFFT(n_fft=8),
        stages.RealParts(),
        stages.RealParts(parts="real", n_bins=4),
    ]


def _value_examples():
    return [
        stages.Abs(),
        stages.Affine(scale=2.0, offset=-1.0),
        stages.Affine(scale=np.arange(1.0, 7.0), offset=[0, 1, 2, 3, 4, 5]),
        stages.Clip(low=0.5),
        stages.Clip(low=0.1, high=1.5),
        stages.FloorFromMax(span=7),
        stages.Normalize(),
        stages.Normalize(over="clip", ddof=1, eps=1e-3, eps_in="variance"),
        stages.Normalize(deviation=False, leave_out=2),
        stages.Replace(value=0.5),
        stages.LnFromMin(span=4.0, silent=-8.0),
        stages.Sqrt(amin=1e-3),
        stages.Sqrt(amin=1e-3, floor="add"),
    ]


def _running_examples():
    running, fading = stages.RunningNormalize, {"memory": "exponential"}
    start = {"mean": np.linspace(0.5, 1.5, 6), "deviation_start": 1.0, "weight": 3.5}
    return [
        running(),
        running(over="clip", ddof=1, eps=1e-3, eps_in="variance"),
        running(deviation=False, mean=1.0, weight=2),
        running(ddof=1, **start),
        running(over="clip", mean=0.8, deviation_start=2.0, weight=4, ddof=1),
        running(**fading, smoothing=0.2),
        running(**fading, time_constant=0.05, hop_length=160, sample_rate=16000, **start),
        running(**fading, over="clip", smoothing=0.1, deviation=False),
    ]


def _layout_examples():
    return [
        stages.Channels(start=1, stop=4),
        stages.Channels(step=-1),
        stages.DropFrames(last=1),
        stages.DropFrames(first=2, last=1),
        stages.ZeroFrames(last=2),
        stages.FitFrames(n_frames=11),
        stages.FitFrames(n_frames=20, value=1.0),
        stages.PadFrames(multiple=8),
        stages.WholeFrames(multiple=4),
        stages.Splice(before=3, after=3, stride=6),
        stages.Splice(before=1, after=0),
        stages.Stack(n=3),
        stages.Stack(n=4, rest="pad", value=2.0),
    ]


def _learned_compression_examples():
    return [
        stages.LogOffset(),
        stages.LogOffset(offset=np.linspace(0.1, 0.6, 6)),
        stages.LogOffset(offset=0.3, learn="all", n_bands=6),
        stages.Root(exponent=np.linspace(0.2, 1, 6)),
        stages.Root(learn="exponent"),
        stages.Root(learn="all", n_bands=6),
        stages.LogPowerBlend(),
        stages.LogPowerBlend(exponent=[-0.5, -0.1, 0, 0.1, 0.5, 1], offset=0.2),
        stages.LogPowerBlend(learn="all", n_bands=6),
        stages.DynamicRange(),
        stages.DynamicRange(offset=0.1, power=0.3, learn="all", n_bands=6),
        stages.LogTBN(),
        stages.LogTBN(over_time="none", log10_scale=1.0, learn="all", n_bands=6),
        stages.LogTBN(over_time="median", log10_scale=1.0, learn="all", n_bands=6),
        stages.LogTBN(over_time="append", log10_scale=1.0, learn="all", n_bands=6),
        stages.LogTBN(log10_scale=0.5, learn="all"),
    ]


def _learned_spectrum_examples():
    adaptive, hop = stages.AdaptiveSTFT, stages.AdaptiveHopSTFT
    return [
        adaptive(n_fft=64, win_length=50, hop_length=20),
        adaptive(
            n_fft=65, win_length=60.7, hop_length=20, family="gaussian", norm="sum", center=False
        ),
        adaptive(n_fft=64, win_length=64, hop_length=16, family="kaiser", beta=6.0, max_length=90),
        adaptive(
            n_fft=64, win_length=60, hop_length=20, family="cosine", min_length=30,
            coefficients=(0.42, 0.5, 0.08), norm="energy", pad_mode="edge",
        ),
        adaptive(n_fft=64, win_length=60, hop_length=20, family="free", n_knots=5, norm="length"),
        adaptive(n_fft=64, win_length=np.linspace(60.0, 40.0, 33), hop_length=20, per_bin=True),
        adaptive(n_fft=64, win_length=45.5, hop_length=20, family="gaussian", learn=()),
        hop(n_fft=64, win_length=50, hop_length=20, min_hop=12),
        hop(
            n_fft=64, win_length=50, hop_length=20.6, min_hop=15, max_hop=40, phase="clip",
            family="kaiser", norm="energy", pad_mode="constant",
        ),
        stages.BasisSTFT(n_fft=64, hop_length=20),
        stages.BasisSTFT(
            n_fft=65, hop_length=16, win_length=60, window=_hat(60), center=False, learn="real"
        ),
    ]  # fmt: skip


def _filter_examples():
    bands = {"sample_rate": 16000, "n_bands": 6, "f_min": 500, "f_max": 7500, "scale": "linear"}
    return [
        stages.Gabor(**bands, taps=81, hop_length=2),
        stages.Gabor(**bands, taps=81, hop_length=2, layout="gaps", center=False),
        stages.Gabor(**bands, taps=35, hop_length=5, layout="scale", method="direct"),
        stages.Gabor(
            sample_rate=16000, n_bands=6, points=np.arange(8.0) * 1000 + 300, taps=51,
            hop_length=3, bandwidths=np.arange(2.0, 8) * 400, layout="warp", method="direct",
            learn=("warp", "range", "widths"),
        ),
        stages.Sinc(**bands, taps=41, hop_length=5, layout="gaps"),
        stages.Sinc(**bands, taps=31, hop_length=3, window=_hat(31), center=False),
        stages.GaussianPool(size=5, deviation=1.0),
        stages.GaussianPool(
            size=7, stride=3, deviation=2.0, offset=1, norm="peak", learn="all", n_bands=6
        ),
        stages.GaussianPool(
            size=5, stride=4, deviation=np.linspace(0.7, 1.5, 6), offset=4, learn="deviation"
        ),
    ]  # fmt: skip


def _pooling_examples():
    rng = np.random.default_rng(1)
    return [
        stages.GaussianPool(size=5, stride=2, deviation=1.5, edges="whole"),
        stages.GaussianPool(size=3, stride=2, deviation=1.5, edges="whole", offset=4),
        stages.FreePool(size=5, stride=2, weights=[0.2, 0.5, 1, 0.6, 0.3]),
        stages.FreePool(size=4, stride=3, weights=rng.random((4, 6)), offset=1),
        stages.FreePool(size=6, weights="boxcar", n_bands=6, edges="whole"),
        stages.FreePool(size=5, weights=rng.random((5, 6)), learn=()),
        stages.MaxPool(size=3, stride=3, edges="whole"),
        stages.MaxPool(size=4, stride=2),
        stages.MaxPool(size=3, stride=2, offset=2),
        stages.Decimate(stride=3),
        stages.Decimate(stride=2, offset=3),
        stages.ExponentialSmoothing(smoothing=0.2),
        stages.ExponentialSmoothing(smoothing=0.3, start="zeros", learn="all", n_bands=6),
    ]


def _free_filter_examples():
    free, gammatone = stages.FreeFilters, stages.Gammatone
    rng = np.random.default_rng(0)
    real, imag = rng.standard_normal((2, 21, 6)) / 5
    bands = {"sample_rate": 16000, "n_bands": 6, "f_min": 300, "f_max": 6000, "scale": "erb"}
    return [
        free(n_bands=6, taps=20, hop_length=8),
        free(n_bands=6, taps=21, hop_length=5, center=False, partner="none"),
        free(n_bands=6, taps=21, hop_length=4, real=real, imag=imag, learn="imag"),
        free(n_bands=6, taps=21, real=real, partner="hilbert", hop_length=30),
        free(n_bands=6, taps=20, hop_length=3, real=real[:20], partner="reversed"),
        free(n_bands=6, taps=21, real=real, partner="none", learn=(), hop_length=2),
        gammatone(**bands, taps=64, hop_length=3),
        gammatone(**bands, taps=50, hop_length=4, layout="gaps", center=False),
        gammatone(
            **bands, taps=33, hop_length=5, order=2, phases=2, norm="energy", layout="warp",
            direction="reversed",
        ),
        gammatone(**bands, taps=33, hop_length=5, phases=(3, 2, 2, 1, 1, 0), norm="energy"),
        stages.Beside(
            branches=tuple(
                FrontEnd(
                    stages.STFT(n_fft=n_fft, hop_length=20),
                    stages.Power(),
                    stages.Filterbank(sample_rate=16000, n_fft=n_fft, n_bands=6, layout="warp"),
                )
                for n_fft in (32, 64)
            )
        ),
    ]  # fmt: skip


def _strf_examples():
    filters = {"rates": [0.1, -0.23], "scales": [0.05, 0.3], "frame_deviations": 1.5}
    filters["band_deviations"] = [1.0, 2.0]
    return [
        stages.STRF(**filters, frames_seen=5, bands_seen=3),
        stages.STRF(**filters, frames_seen=9, bands_seen=5, parts="magnitude", learn="rates"),
        stages.STRF(**filters, frames_seen=7, bands_seen=3, parts="imag", learn=()),
        stages.STRF(**filters, frames_seen=7, bands_seen=5, form="published"),
        stages.STRF(
            rates=0.2, scales=0.1, frame_deviations=[2.0, -1.0, 1.0], band_deviations=2.0,
            frames_seen=6, bands_seen=4, parts="both", form="published",
        ),
    ]  # fmt: skip


def _octave_examples():
    octave = stages.OctaveFilters
    filters = np.random.default_rng(0).standard_normal((5, 6))
    return [
        octave(n_octaves=2, filters_per_octave=3, taps=4),
        octave(n_octaves=3, filters_per_octave=(1, 3, 2), taps=5, filters=filters),
        octave(n_octaves=2, filters_per_octave=3, taps=4, filters=filters[1:], learn=(), stride=8),
        octave(
            n_octaves=3, filters_per_octave=2, taps=3, align="octaves", n_samples=10,
            pad_mode="edge",
        ),
        octave(n_octaves=1, filters_per_octave=1, taps=2, pad_mode="wrap"),
    ]  # fmt: skip


def _examples():
    bank, stft = stages.Filterbank, stages.STFT
    return [
        stages.PreEmphasis(),
        stages.PreEmphasis(coef=0.5, first="replicate"),
        stft(n_fft=64, hop_length=20),
        stft(n_fft=65, hop_length=80, center=False, window="boxcar"),
        stft(n_fft=64, hop_length=16, win_length=40, window=("kaiser", 8.0), pad_mode="constant"),
        stft(n_fft=64, hop_length=32, window=_hat(64), normalized="window", pad_mode="edge"),
        stft(n_fft=48, hop_length=12, window=np.hanning, pad_mode="wrap"),
        stft(n_fft=48, pad_mode="symmetric", periodic=False),
        *_learned_spectrum_examples(),
        *_filter_examples(),
        *_free_filter_examples(),
        *_pooling_examples(),
        *_strf_examples(),
        *_octave_examples(),
        stages.Power(),
        stages.Power(exponent=0.3),
        bank(**BANK),
        bank(**BANK, shape="gaussian", layout="gaps"),
        bank(**BANK, scale="erb", f_min=50, shape="gammatone", norm=None, layout="gaps"),
        bank(**BANK, domain="scale", norm=2, layout="gaps", learn=("widths",)),
        bank(**BANK, layout="free"),
        bank(**BANK, shape="raised_cosine", sampling="area"),
        bank(**BANK, layout="scale", points=np.arange(8.0) * 1000 + 50, domain="scale"),
        bank(
            **BANK, shape="generalized_gaussian", exponent=3, layout="warp", n_knots=3, norm="peak"
        ),
        bank(
            **BANK | {"f_min": 100, "f_max": 7000, "shape": "rectangle", "sampling": "area"},
            layout="warp",
            learn=("warp", "range", "widths", "gains"),
            limits=(50, 7500),
        ),
        bank(**BANK, layout="scale", bandwidths=np.arange(1.0, 7) * 200, shape="gaussian"),
        bank(**BANK, matrix=jaxspec.Table(np.eye(33, 6) + 0.1), layout="free"),
        bank(**BANK, layout="signed"),
        bank(**BANK, matrix=jaxspec.Table(np.eye(33, 6) - 0.1), layout="signed"),
        stages.Ln(),
        stages.Ln(floor="add", amin=1e-3),
        stages.Log10(),
        stages.PowerToDb(),
        stages.PowerToDb(ref="max", top_db=40),
        stages.AmplitudeToDb(),
        stages.Root(),
        stages.Log1p(scale=10),
        stages.PCEN(),
        stages.PCEN(start="zeros", smoothing=0.2),
        stages.PCEN(learn="all"),
        stages.PCEN(learn=("gain", "smoothing"), n_bands=6, smoothing=0.3, start="librosa"),
        stages.PCEN(taps=4, smoothing=0.2),
        stages.PCEN(taps=6, learn="all", n_bands=6),
        stages.PCEN(gain=np.linspace(0.5, 0.9, 6), smoothing=np.linspace(0.1, 0.5, 6)),
        stages.PCEN(mix=(0.1, 0.3, 0.6), mix_weights=(0.2, 0.3, 0.5), start="librosa"),
        stages.PCEN(mix=(0.05, 0.2, 0.5), learn="all", n_bands=6),
        stages.PCEN(mix=(0.1, 0.6), learn="mix", taps=4),
        stages.PCEN(time_constant=0.05, hop_length=160, sample_rate=16000),
        stages.PCEN(time_constant=0.03, hop_length=160, sample_rate=16000, learn="all", n_bands=6),
        *_learned_compression_examples(),
        stages.PCAN(),
        stages.DCT(),
        stages.DCT(n_out=3, dct_type=3, norm=None),
        stages.Lifter(),
        stages.Lifter(lifter=10, form="librosa"),
        stages.Deltas(width=5),
        stages.Deltas(width=3, order=1, edge="interp"),
        *_waveform_examples(),
        *_frame_examples(),
        *_value_examples(),
        *_running_examples(),
        *_layout_examples(),
        FrontEnd(
            stages.PreEmphasis(),
            stft(n_fft=64, hop_length=20),
            stages.Power(),
            bank(**BANK, layout="gaps"),
            stages.PCEN(learn="all", n_bands=6),
            stages.Deltas(width=3),
        ),
    ]


EXAMPLES = _examples()


@pytest.fixture(params=EXAMPLES, ids=[f"{i}-{type(s).__name__}" for i, s in enumerate(EXAMPLES)])
def stage(request):
    return request.param


_FIRST = {type(stage).__name__: stage for stage in reversed(EXAMPLES)}


@pytest.fixture(params=_FIRST.values(), ids=_FIRST)
def one_of_each(request):
    return request.param


def _input(stage, *, batch=(), positions=None, seed=0, dtype=np.float32):
    """A generic input: what the stage takes, non-negative where it takes features."""
    rng = np.random.default_rng(seed)
    if stage.takes == "waveform":
        return rng.standard_normal((*batch, positions or 400)).astype(dtype)
    channels = 33 if isinstance(stage, stages.Filterbank) else 6
    shape = (*batch, positions or 14, channels)
    if stage.takes == "spectrum":
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)
    x = (rng.standard_normal(shape) ** 2).astype(dtype)
    return np.maximum(x - 0.3, 0) if isinstance(stage, stages.Replace | stages.LnFromMin) else x


def _params(stage, seed=0):
    """Parameters away from their start."""
    params = stage.init(jax.random.key(0))
    leaves, tree = jax.tree.flatten(params)
    rng = np.random.default_rng(seed)
    return jax.tree.unflatten(
        tree, [jnp.asarray(0.3 * rng.standard_normal(leaf.shape), leaf.dtype) for leaf in leaves]
    )


def test_every_stage_has_an_example():
    own = {n: c for n, c in jaxspec.stage_types().items() if c.__module__.startswith("jaxspec.")}
    assert {type(stage).__name__ for stage in EXAMPLES} == set(own)
    assert set(stages.__all__) | {"FrontEnd"} == set(own)


def test_is_a_value(stage):
    """Frozen, hashable, comparable, printable, static under jit, and picklable."""
    field = dataclasses.fields(stage)[0].name if dataclasses.fields(stage) else "name"
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(stage, field, 1)
    again = dataclasses.replace(stage)
    assert again is not stage
    assert again == stage
    assert hash(again) == hash(stage)
    assert pickle.loads(pickle.dumps(stage)) == stage
    parts = stage.stages if isinstance(stage, FrontEnd) else (stage,)
    for part in parts:
        for f in dataclasses.fields(part):
            assert f"{f.name}={getattr(part, f.name)!r}" in repr(stage)
    # An equal description compiles nothing new.
    x = _input(stage)
    params = stage.init(jax.random.key(0))
    traces = []

    @jax.jit
    def outer(x):
        return x

    apply = jax.jit(lambda s, p, x: (traces.append(1), s.apply(p, x))[1], static_argnums=0)
    apply(stage, params, x)
    apply(again, params, outer(x))
    assert len(traces) == 1


def test_survives_json(stage):
    text = json.dumps(stage.to_dict())
    assert type(stage).from_dict(json.loads(text)) == stage
    assert jaxspec.stage_from_dict(json.loads(text)) == stage


def test_init_and_apply(stage):
    """Shapes known from the description alone; init is abstract-safe and deterministic."""
    x = _input(stage, batch=(2, 3))
    params = stage.init(jax.random.key(0))
    shapes = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), stage.param_shapes())
    assert shapes == jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), params)
    y = stage.apply(params, x)
    positions = x.shape[-1] if stage.takes == "waveform" else x.shape[-2]
    channels = None if stage.takes == "waveform" else x.shape[-1]
    expected = (2, 3, stage.length(positions))
    if stage.gives != "waveform":
        expected += (stage.channels(channels),)
    assert y.shape == expected
    assert jnp.iscomplexobj(y) == (stage.gives == "spectrum")
    assert np.isfinite(y).all()
    if params:
        with pytest.raises(ValueError, match="has parameters"):
            stage(x)
    else:
        assert (stage(x) == y).all()
    with pytest.raises(ValueError, match="params must be those of"):
        stage.apply(params | {"nonsense": jnp.zeros(3)}, x)


def test_transforms_agree(stage):
    """eager = jit = vmap = loop, and items of a batch do not touch."""
    x, params = _input(stage, batch=(3,)), _params(stage)
    y = stage.apply(params, x)
    tolerance = {"rtol": 2e-5, "atol": 2e-6 * float(np.abs(y).max())}
    assert np.allclose(jax.jit(stage.apply)(params, x), y, **tolerance)
    assert np.allclose(jax.vmap(lambda x: stage.apply(params, x))(x), y, **tolerance)
    for item, alone in zip(y, x, strict=True):
        assert np.allclose(stage.apply(params, alone), item, **tolerance)
    # Loud, NaN and other company changes nothing, to the last bit.
    company = x.copy()
    company[1], company[2] = np.nan, 1e6 * x[2]
    assert np.array_equal(stage.apply(params, company)[0], y[0])
    assert stage.apply(params, x[:0]).shape == (0, *y.shape[1:])


@pytest.mark.exhaustive
@pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16, np.float64])
def test_dtypes(one_of_each, dtype):
    stage = one_of_each
    if stage.takes == "spectrum":
        if dtype is not np.float64:
            pytest.skip("there are no half-precision complex numbers")
        dtype = np.complex128
    x, params = _input(stage), _params(stage)
    if dtype in (np.float64, np.complex128):
        with jax.enable_x64(True):
            narrow = stage.apply(params, jnp.asarray(x))
            wide = stage.apply(params, jnp.asarray(x, dtype))
            assert wide.dtype == (np.complex128 if stage.gives == "spectrum" else np.float64)
            assert np.allclose(narrow, wide, rtol=1e-4, atol=1e-5 * float(np.abs(wide).max()))
        return
    # Loud input does not leave the finite range of the dtype, which float16 has little of.
    loud = jnp.asarray(x * 3000, dtype)
    assert np.isfinite(loud).all()
    assert np.isfinite(stage.apply(params, loud)).all()
    half = jnp.asarray(x, dtype)
    y = stage.apply(params, half)
    expected = stage.apply(params, half.astype(jnp.float32))
    if stage.gives == "spectrum":
        assert y.dtype == np.complex64
        assert np.array_equal(y, expected)
    else:
        assert y.dtype == dtype
        # XLA may round once more where a cast fuses with the last operation.
        assert np.allclose(y.astype(jnp.float32), expected, rtol=1.6e-2, atol=1e-3)


def test_gradients(stage):
    """Finite for silence and for a generic input, and not 0 for any parameter."""
    generic = _input(stage)
    for x, params in [
        (generic, _params(stage)),
        (np.zeros_like(generic), stage.init(jax.random.key(0))),
    ]:

        def loss(params, re, im, x=x):
            y = stage.apply(params, jax.lax.complex(re, im) if np.iscomplexobj(x) else re)
            weights = np.cos(np.arange(y.size)).reshape(y.shape)
            return jnp.sum(weights * (y.real + 0.5 * y.imag))

        parts = (jnp.real(x), jnp.imag(x))
        of_params, *of_x = jax.grad(loss, argnums=(0, 1, 2))(params, *parts)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((of_params, of_x)))
        if x is generic:
            assert np.abs(of_x[0]).max() > 0
            for path, leaf in jax.tree_util.tree_leaves_with_path(of_params):
                assert (np.abs(leaf) > 0).all(), path


# The declared reach.


def _positions(stage, y):
    """The outputs with their positions in front."""
    return np.asarray(y) if stage.gives == "waveform" else np.moveaxis(np.asarray(y), -2, 0)


def _n(stage, x):
    return x.shape[-1] if stage.takes == "waveform" else x.shape[-2]


def _cut(stage, x, start, stop):
    return x[..., start:stop] if stage.takes == "waveform" else x[..., start:stop, :]


_LEARNED = [stage for stage in EXAMPLES if stage.param_shapes()]


@pytest.mark.parametrize("stage", _LEARNED, ids=[type(s).__name__ for s in _LEARNED])
def test_frozen_it_computes_the_same(stage):
    params = _params(stage)
    x = _input(stage)
    fixed = stage.freeze(params)
    assert not fixed.param_shapes()
    assert fixed.freeze({}) is fixed or isinstance(fixed, FrontEnd)
    learned = np.asarray(stage.apply(params, x))
    np.testing.assert_allclose(fixed(x), learned, rtol=2e-4, atol=2e-5 * np.abs(learned).max())
    assert type(fixed).from_dict(json.loads(json.dumps(fixed.to_dict()))) == fixed
    # The numbers that it computes with are those that it was frozen from.
    arrays = stage.arrays(params)
    assert arrays
    assert all(leaf.dtype == np.float64 for leaf in jax.tree.leaves(arrays))
    if not isinstance(stage, FrontEnd | stages.Beside):
        for name, value in fixed.arrays({}).items():
            if name != "centers":  # those of a matrix are its mean frequencies
                np.testing.assert_allclose(value, arrays[name], rtol=1e-5, atol=1e-7)


@pytest.mark.filterwarnings("ignore:.*bands hold no FFT bin")
@pytest.mark.parametrize("stage", _LEARNED, ids=[type(s).__name__ for s in _LEARNED])
def test_any_parameters_can_be_checked_and_frozen(stage):
    """At the start, where nothing is wrong, and where float32 is at the ends of all ranges."""
    assert stage.check(stage.init(jax.random.key(0))) == []
    far = jax.tree.map(lambda z: 1e3 * z, _params(stage))
    fixed = stage.freeze(far)
    assert np.isfinite(np.asarray(fixed(_input(stage)))).all()
    if not any(name in stage.matrix_params for name in stage.param_shapes()):
        assert stage.check(far)


@pytest.mark.exhaustive
def test_reach_is_true_and_tight(stage):
    """Changing one input position changes the outputs that reach it, and no other."""
    x, params, reach = _input(stage), _params(stage), stage.reach
    n = _n(stage, x)
    y = _positions(stage, stage.apply(params, x))
    seen_before = seen_after = 0
    edge = max(reach.before, reach.after, stage.edge_reach)
    left_out = range(-reach.before), range((len(y) - 1) * reach.stride + reach.after + 1, n)
    # Of these positions it only counts whether there are any.
    counted = getattr(stage, "lookahead", 0) or (
        stage.last if isinstance(stage, stages.ZeroFrames | stages.DropFrames) else 0
    )
    apply = jax.jit(stage.apply)
    # One transform of the whole clip rounds everywhere.
    by_fft = isinstance(stage, stages.Gabor) and stage.method == "fft"
    rounding = 2e-5 * np.abs(y).max() if by_fft else 0
    for at in range(0, n, max(n // 40, 1)):
        changed = np.array(x)
        place = (..., at) if stage.takes == "waveform" else (..., at, slice(None))
        changed[place] = changed[place] * 2 + 1
        moved = np.abs(_positions(stage, apply(params, changed)) - y) > rounding
        moved = np.flatnonzero(moved.reshape(len(moved), -1).any(axis=1))
        if any(at in positions for positions in left_out):
            assert not moved.size
        elif not by_fft and (not counted or at < n - reach.stride - counted):
            assert moved.size or reach.stride > reach.before + reach.after + 1
        if reach.clip or not moved.size:
            continue
        centre = moved * reach.stride
        # Near an end, the edge rule may look one position further than the reach.
        first, last = at - reach.after, at + reach.before
        if at <= edge + 1:
            last = max(last, at + 2 * edge + 1)
            first = min(first, -reach.stride)
        if at >= n - edge - 2:
            first = min(first, n - 1 - 2 * edge - max(reach.before, 0) - 2)
            last = max(last, n + 2 * edge + reach.stride)
        assert centre.min() >= first
        if not reach.past:
            assert centre.max() <= last
        inside = centre[(centre >= reach.before) & (centre < n - reach.after)]
        if inside.size:
            seen_after = max(seen_after, at - inside.min())
            seen_before = max(seen_before, inside.max() - at)
    if not reach.clip:
        # A window may be 0 at its ends, and only some positions were tried.
        slack = reach.stride + max(n // 40, 1) + 16
        assert seen_after >= reach.after - slack
        if not reach.past:
            assert seen_before >= reach.before - slack
        else:
            assert seen_before > reach.before


_WITH_A_PAST = stages.PCAN | FrontEnd | stages.ExponentialSmoothing | stages.RunningNormalize


def test_kind_of_reach(stage):
    kind = stage.reach.kind
    neighbours = (
        stages.PreEmphasis, stages.STFT, stages.AdaptiveSTFT, stages.BasisSTFT, stages.Deltas,
        stages.Pad, stages.Trim, stages.Frame, stages.Splice, stages.Stack, stages.ZeroFrames,
        stages.PCEN, stages.Gabor, stages.Sinc, stages.GaussianPool, stages.FreeFilters,
        stages.Gammatone, stages.FreePool, stages.MaxPool, stages.Decimate,
        stages.STRF, stages.OctaveFilters,
    )  # fmt: skip
    if isinstance(stage, stages.Beside):
        assert kind == ("neighbours" if stage.takes == "waveform" else "frame")
    elif isinstance(stage, _WITH_A_PAST) or getattr(stage, "taps", 0) is None:
        assert kind == "past"
    elif (isinstance(stage, neighbours) and not stage.reach.clip) or (
        isinstance(stage, stages.DropFrames)
    ):
        assert kind == "neighbours"
    else:
        assert kind == ("clip" if stage.reach.clip else "frame")


def test_pieces_make_the_whole(stage):
    """An extended clip may be cut at any output position, handing on the carry.

    This is what tiles, streams and shards are made of.
    """
    if isinstance(stage, FrontEnd) or stage.reach.clip or getattr(stage, "whole", False):
        pytest.skip("evaluated as a whole")
    x, params, reach = _input(stage, batch=(2,)), _params(stage), stage.reach
    whole = stage.apply(params, x)
    extended = stage.extend(jnp.asarray(x))
    params = stage.prepare(params)
    carry = stage.initial_carry(params, jnp.asarray(x))
    count = whole.shape[-1] if stage.gives == "waveform" else whole.shape[-2]
    outputs, position = [], 0
    for size in (1, 3, 2, count):
        size = min(size, count - position)
        if not size:
            break
        start = position * reach.stride
        stop = start + (size - 1) * reach.stride + reach.before + reach.after + 1
        carry, y = stage.advance(params, carry, _cut(stage, extended, start, stop))
        outputs.append(y)
        position += size
    pieces = jnp.concatenate(outputs, axis=-1 if stage.gives == "waveform" else -2)
    assert pieces.shape == whole.shape
    assert np.allclose(pieces, whole, rtol=1e-5, atol=4e-6 * float(np.abs(whole).max()))


@pytest.mark.exhaustive
def test_every_field_changes_the_output_or_raises(stage):
    """No option is accepted and ignored."""
    if isinstance(stage, FrontEnd):
        pytest.skip("its only field are its stages")
    other = {
        "coef": 0.3, "first": "replicate", "n_fft": 50, "hop_length": 7, "win_length": 30,
        "window": "hamming", "periodic": False, "center": False, "pad_mode": "constant",
        "normalized": "frame_length", "exponent": 0.7, "sample_rate": 17000.0, "n_bands": 5,
        "f_min": 123.0, "f_max": 7000.0, "scale": "htk", "shape": "gaussian", "domain": "scale",
        "norm": 1.0, "layout": "free", "learn": (), "matrix": jaxspec.Table(np.ones((33, 6))),
        "amin": 0.4, "floor": "add", "ref": 3.0, "top_db": 7.0, "gain": 0.5, "bias": 1.0,
        "power": 0.3, "smoothing": 0.11, "eps": 0.1, "start": "zeros", "n_out": 4, "dct_type": 3,
        "lifter": 9.0, "form": "librosa", "width": 7, "order": 1,
        "edge": "interp", "method": "matmul", "precision": "high", "factor": 2.0, "before": 6,
        "after": 6, "n_samples": 40, "multiple": 9, "frame_length": 40, "edges": "zeros",
        "lookahead": 15, "parts": "real", "offset": 2.0, "low": 0.7, "high": 1.0, "span": 1.0,
        "over": "clip", "deviation": False, "ddof": 1, "eps_in": "variance", "leave_out": 5,
        "value": 0.8, "stop": 5, "step": 2, "last": 3, "n": 2, "rest": "pad", "stride": 2,
        "family": "gaussian", "beta": 3.0, "coefficients": (0.6, 0.4), "n_knots": 7,
        "min_length": 8.0, "max_length": 62.0, "per_bin": True, "min_hop": 10, "max_hop": 50.0,
        "phase": "clip", "n_frames": 9, "remainder": 100, "n_bins": 5, "taps": 5,
        "smoothing_even": 0.3,
        "smoothing_odd": 0.3, "min_remaining": 0.4, "strength": 0.7, "mix": (0.15, 0.4, 0.5),
        "mix_weights": jaxspec.Table([0.5, 0.3, 0.2]), "time_constant": 0.02, "log10_scale": 3.0,
        "over_time": "median", "shift": 0.5, "sampling": "area", "limits": (40, 7200),
        "points": jaxspec.Table(np.arange(8.0) ** 2 * 100),
        "bandwidths": jaxspec.Table(np.full(6, 300.0)),
        "profile": jaxspec.Table(np.linspace(-0.1, 0.2, 16)), "partner": "hilbert",
        "real": jaxspec.Table(np.ones((21, 6))), "imag": jaxspec.Table(np.ones((21, 6))),
        "phases": 2, "direction": "reversed",
        "rates": 0.15, "scales": -0.15,
        "frame_deviations": 1.7, "band_deviations": 1.6, "frames_seen": 11, "bands_seen": 7,
        "n_octaves": 2,
        "memory": "exponential", "mean": 0.7, "deviation_start": 1.5, "weight": 9.0,
        "filters_per_octave": 2, "align": "frames", "filters": jaxspec.Table(np.ones((5, 6))),
    }  # fmt: skip
    own = {
        stages.Affine: {"scale": 3.0}, stages.Log1p: {"scale": 3.0},
        stages.Channels: {"start": 2, "step": -2}, stages.DropFrames: {"first": 1},
        stages.FramePreEmphasis: {"first": "drop"}, stages.Window: {"win_length": 5},
        stages.RFFT: {"n_fft": 10}, stages.LogTBN: {"scale": 3.0},
        stages.Filterbank: {"exponent": 4.0}, stages.Gabor: {"taps": 33},
        stages.Sinc: {"taps": 33}, stages.FreeFilters: {"taps": 19},
        stages.Gammatone: {"order": 3, "norm": "energy", "taps": 44},
        stages.GaussianPool: {"deviation": 1.7, "offset": 5, "size": 7, "stride": 4},
        stages.FreePool: {"weights": "hamming", "offset": 5, "size": 7, "stride": 4},
        stages.MaxPool: {"edges": "shorter", "offset": 5, "size": 5, "stride": 4},
        stages.Decimate: {"offset": 2},
        stages.STRF: {"form": "published"},
        stages.OctaveFilters: {"taps": 6, "stride": 16},
    }  # fmt: skip
    second = {
        "first": "zero", "scale": "bark", "shape": "triangle", "domain": "hz", "floor": "clamp",
        "start": "first", "form": "kaldi", "edge": "edge", "layout": "gaps", "periodic": True,
        "center": True, "pad_mode": "reflect", "dct_type": 2, "n_out": 2, "order": 2,
        "learn": "all", "norm": None, "width": 3, "sample_rate": 15000.0, "n_fft": 66,
        "family": "hann", "phase": "frame", "per_bin": False, "min_hop": 11, "edges": "whole",
        "parts": "both", "over": "time", "deviation": True, "ddof": 0,
        "eps_in": "deviation", "rest": "drop", "frame_length": 30, "over_time": "none",
        "sampling": "point", "n_knots": 9, "partner": "reversed", "direction": "causal",
        "phases": 3, "stride": 5, "offset": 6, "size": 9,
        "n_octaves": 1, "filters_per_octave": 3,
        "align": "octaves", "memory": "all",
    }  # fmt: skip
    x, params = _input(stage), _params(stage)
    y = stage.apply(params, x)
    for field in dataclasses.fields(stage):
        name = field.name
        if name == "periodic" and stage.window == "boxcar":
            continue  # a rectangular window is the same either way
        if name in ("short", "silent", "remainder", "frontend", "branches") or (
            isinstance(stage, stages.FitFrames) and stage.n_frames < 14
        ):
            continue  # has an effect on shorter clips: tested with them
        if name == "edges" and getattr(stage, "offset", 0) > 0:
            continue  # first windows lie within the clip; the last ones may or may not
        value = own.get(type(stage), other).get(name, other.get(name))
        if isinstance(stage, stages.DCT) and name == "norm":
            value = None if stage.norm else "ortho"
        if getattr(stage, name) == value:
            value = second.get(name, 0.6)
        assert value is not None or name == "norm", name
        try:
            changed = dataclasses.replace(stage, **{name: value})
            fresh = changed.init(jax.random.key(0))
            if jax.tree.map(jnp.shape, fresh) != jax.tree.map(jnp.shape, params):
                continue  # other parameters: a change of the interface
            z = changed.apply(params, x)
        except ValueError:
            continue
        assert z.shape != y.shape or not np.array_equal(z, y), f"{name}={value!r} is ignored"
