"""One way or another: called, compiled, over a batch, mapped or in a loop, the values agree."""

import inspect
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import energies, noise

import jaxspec

pytestmark = pytest.mark.usefixtures("strict")

FRAMES = {"n_fft": 64, "hop_length": 24}
MELS = FRAMES | {"sample_rate": 16000, "n_mels": 8}
BANK = jaxspec.mel_filterbank(sample_rate=16000, n_fft=64, n_mels=8)
KEY = jax.random.key(0)
NOISE = noise(300, seed=3)


# Inputs, with a batch of 3 in front.


def waveform(dtype):
    return noise(3, 300).astype(dtype)


def features(dtype):
    return energies(3, 12, 33).astype(dtype)


def decibels(dtype):
    return (20 * noise(3, 12, 33)).astype(dtype)


def spectrum(dtype):
    z = noise(3, 12, 33) + 1j * noise(3, 12, 33, seed=1)
    z[..., [0, -1]] = z[..., [0, -1]].real
    return z.astype(np.result_type(dtype, np.complex64))


def hertz(dtype):
    return (50 + 7000 * np.random.default_rng(0).random((3, 40))).astype(dtype)


def scale_values(dtype):
    return (20 * np.random.default_rng(0).random((3, 40))).astype(dtype)


def samples(dtype):
    return np.random.default_rng(0).integers(-(2**15), 2**15, (3, 50)).astype(np.int16)


def lengths(dtype):
    return np.random.default_rng(0).integers(1, 2000, (3, 50)).astype(np.int32)


TABLE = [
    ("pcm_to_float", jaxspec.pcm_to_float, samples),
    ("preemphasis", jaxspec.preemphasis, waveform),
    ("dither", lambda x: jaxspec.dither(x, key=jax.random.key(0), level=0.0), waveform),
    ("preemphasis", lambda x: jaxspec.preemphasis(x, first="librosa"), waveform),
    ("preemphasis", lambda x: jaxspec.preemphasis(x[..., 1:], previous=x[..., 0]), waveform),
    # One draw for all, for a mapped function takes every item for the first one.
    ("random_gain", lambda x: jaxspec.random_gain(KEY, x, low=-9, high=9, shared=True), waveform),
    ("random_polarity", lambda x: jaxspec.random_polarity(KEY, x, shared=True), waveform),
    ("random_shift", lambda x: jaxspec.random_shift(KEY, x, max_shift=9, shared=True), waveform),
    ("random_crop", lambda x: jaxspec.random_crop(KEY, x, length=50, shared=True), waveform),
    ("add_noise", lambda x: jaxspec.add_noise(x, NOISE.astype(x.dtype), snr=6.0), waveform),
    ("spec_augment", partial(jaxspec.spec_augment, KEY, time_warp=2, shared=True), decibels),
    ("spec_augment", partial(jaxspec.spec_augment, KEY, fill="mean", shared=True), decibels),
    ("time_warp", partial(jaxspec.time_warp, KEY, max_shift=3, shared=True), decibels),
    ("num_frames", lambda n: jaxspec.num_frames(n, **FRAMES), lengths),
    ("frame", lambda x: jaxspec.frame(x, frame_length=64, hop_length=24), waveform),
    ("frame", lambda x: jaxspec.frame(x, frame_length=130, hop_length=2), waveform),
    ("overlap_add", lambda x: jaxspec.overlap_add(x, hop_length=10), features),
    ("pad", lambda x: jaxspec.pad(x, before=20, after=700), waveform),
    ("magnitude", jaxspec.magnitude, spectrum),
    ("phase", jaxspec.phase, spectrum),
    ("power", jaxspec.power, spectrum),
    ("power", lambda z: jaxspec.power(z, exponent=0.3), spectrum),
    ("stft", lambda x: jaxspec.stft(x, **FRAMES), waveform),
    ("stft", lambda x: jaxspec.stft(x, **FRAMES, center=False, normalized="window"), waveform),
    ("istft", lambda z: jaxspec.istft(z, **FRAMES, length=300), spectrum),
    ("apply_filterbank", lambda x: jaxspec.apply_filterbank(x, BANK), features),
    ("hz_to_scale", lambda f: jaxspec.hz_to_scale(f, scale="slaney"), hertz),
    ("scale_to_hz", lambda z: jaxspec.scale_to_hz(z, scale="slaney"), scale_values),
    ("hz_to_mel", lambda f: jaxspec.hz_to_mel(f, mel_scale="htk"), hertz),
    ("mel_to_hz", lambda z: jaxspec.mel_to_hz(z, mel_scale="htk"), scale_values),
    ("hz_to_bark", jaxspec.hz_to_bark, hertz),
    ("bark_to_hz", jaxspec.bark_to_hz, scale_values),
    ("hz_to_erb", jaxspec.hz_to_erb, hertz),
    ("erb_to_hz", jaxspec.erb_to_hz, scale_values),
    ("erb_bandwidth", jaxspec.erb_bandwidth, hertz),
    ("hz_to_octave", jaxspec.hz_to_octave, hertz),
    ("octave_to_hz", jaxspec.octave_to_hz, scale_values),
    ("ln", jaxspec.ln, features),
    ("ln", lambda x: jaxspec.ln(x, floor="add"), features),
    ("log10", jaxspec.log10, features),
    ("log1p", lambda x: jaxspec.log1p(x, scale=1e4), features),
    ("root", jaxspec.root, features),
    ("power_to_db", jaxspec.power_to_db, features),
    ("power_to_db", lambda x: jaxspec.power_to_db(x, ref="max", top_db=30.0), features),
    ("amplitude_to_db", lambda x: jaxspec.amplitude_to_db(x, top_db=30.0), features),
    ("db_to_power", jaxspec.db_to_power, decibels),
    ("db_to_amplitude", jaxspec.db_to_amplitude, decibels),
    (
        "exponential_smoothing",
        lambda x: jaxspec.exponential_smoothing(x, smoothing=0.1, level=x[..., 0, :]),
        features,
    ),
    ("pcen", jaxspec.pcen, features),
    ("pcen", lambda x: jaxspec.pcen(x, bias=0.0, return_level=True), features),
    ("pcen", lambda x: jaxspec.pcen(x, power=0.0, level=x[..., 3, :]), features),
    ("pcen", lambda x: jaxspec.pcen(x, mix=(0.02, 0.3)), features),
    ("log_offset", jaxspec.log_offset, features),
    ("log_power_blend", lambda x: jaxspec.log_power_blend(x, exponent=0.3), features),
    ("dynamic_range", jaxspec.dynamic_range, features),
    ("log_tbn", jaxspec.log_tbn, features),
    ("log_tbn", lambda x: jaxspec.log_tbn(x, over_time="append"), features),
    ("dct", lambda x: jaxspec.dct(x, n_out=13), decibels),
    ("lifter", lambda x: jaxspec.lifter(x, lifter=22.0), decibels),
    ("delta", lambda x: jaxspec.delta(x, width=5), decibels),
    ("delta", lambda x: jaxspec.delta(x, width=5, order=2, edge="interp"), decibels),
    ("spectrogram", lambda x: jaxspec.spectrogram(x, **FRAMES, power=1.0), waveform),
    ("mel_spectrogram", lambda x: jaxspec.mel_spectrogram(x, **MELS), waveform),
    ("log_mel_spectrogram", lambda x: jaxspec.log_mel_spectrogram(x, **MELS), waveform),
    ("mfcc", lambda x: jaxspec.mfcc(x, **MELS, n_mfcc=5), waveform),
    (
        "lfcc",
        lambda x: jaxspec.lfcc(x, **FRAMES, sample_rate=16000, n_bands=8, n_lfcc=5),
        waveform,
    ),
]
IDS = [f"{name}-{position}" for position, (name, _, _) in enumerate(TABLE)]

# What takes no arrays of data: tables of constants, counts, and the parts of front-ends, which
# the contract of the stages covers.
WITHOUT_DATA = {
    "apply_bucketed",  # in test_bucketing
    "apply_padded",  # in test_padded
    "at_rate",
    "band_edges",
    "bucket_length",
    "check_nola",
    "dct_matrix",
    "fft_frequencies",
    "filterbank",
    "frame_times",
    "length_buckets",
    "lifter_weights",
    "mel_filterbank",
    "merge",
    "mixup",  # in test_augment: it mixes the items of a batch
    "random_edges",
    "random_modulations",
    "samples_for_frames",
    "smoothing_for_time_constant",
    "split",
    "stage_from_dict",
    "stage_types",
    "window",
}


def test_every_function_is_in_the_table():
    exported = {
        name
        for name, value in vars(jaxspec).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }
    assert exported == {name for name, _, _ in TABLE} | WITHOUT_DATA


def _assert_same(mine, truth, dtype):
    """Equal but for rounding, as a share of the largest value."""
    assert jax.tree.structure(mine) == jax.tree.structure(truth)
    for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(truth), strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        largest = np.abs(np.asarray(b)).max()
        np.testing.assert_allclose(a, b, rtol=0, atol=32 * np.finfo(dtype).eps * largest)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "call", "maker"), TABLE, ids=IDS)
def test_called_compiled_mapped_or_looped(name, call, maker, dtype):
    with jax.enable_x64(dtype == np.float64):
        x = jnp.asarray(maker(dtype))
        together = call(x)
        _assert_same(jax.jit(call)(x), together, dtype)
        _assert_same(jax.vmap(call)(x), together, dtype)
        _assert_same(
            jax.vmap(jax.jit(call))(x[:, None]), jax.tree.map(lambda y: y[:, None], together), dtype
        )
        loop = [call(item) for item in x]
        _assert_same(jax.tree.map(lambda *items: jnp.stack(items), *loop), together, dtype)


@pytest.mark.parametrize(("name", "call", "maker"), TABLE, ids=IDS)
def test_numpy_input_is_taken_and_left_alone(name, call, maker):
    x = maker(np.float32)
    kept = x.copy()
    y = call(x)
    np.testing.assert_array_equal(x, kept)
    # The frequency scales compute NumPy input in float64, with NumPy.
    if name != "erb_bandwidth" and "_to_" in name and "db" not in name and "float" not in name:
        assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(y))
    _assert_same(
        jax.tree.map(lambda leaf: jnp.asarray(leaf, leaf.dtype), jax.jit(call)(jnp.asarray(x))),
        jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), y),
        np.float32,
    )


@pytest.mark.parametrize(("name", "call", "maker"), TABLE, ids=IDS)
def test_an_empty_batch(name, call, maker):
    """No items in, no items out, in the shape that any item would have."""
    x = jnp.asarray(maker(np.float32))
    full = jax.eval_shape(call, x)
    for empty in (call(x[:0]), jax.jit(call)(x[:0])):
        for mine, whole in zip(jax.tree.leaves(empty), jax.tree.leaves(full), strict=True):
            assert mine.shape == (0, *whole.shape[1:])
            assert mine.dtype == whole.dtype
