"""Clips of different lengths in one padded array; for every stage and preset, `test_everywhere`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_contract import EXAMPLES, _input, _params

import jaxspec
from jaxspec import FrontEnd, stages

_IDS = [f"{i}-{type(s).__name__}" for i, s in enumerate(EXAMPLES)]
PRESETS = [name for name in jaxspec.presets.names() if jaxspec.presets.sample_rate(name)]


def _all_lengths(stage):
    """Numbers of frames of clips of 1 to 2000 samples: known, and inside a program."""
    n = np.arange(1, 2001)
    inside = jax.jit(lambda n: jnp.broadcast_to(stage.length(n), n.shape))(n)
    return [int(stage.length(int(i))) for i in n], np.asarray(inside)


@pytest.mark.parametrize("stage", EXAMPLES, ids=_IDS)
def test_known_and_traced_lengths_agree(stage):
    known, inside = _all_lengths(stage)
    assert (known == inside).all()


@pytest.mark.parametrize("name", PRESETS)
def test_known_and_traced_lengths_of_presets_agree(name):
    known, inside = _all_lengths(jaxspec.presets.get(name))
    assert (known == inside).all()


@pytest.mark.parametrize(
    "options", [{}, {"center": False}, {"pad_mode": "symmetric", "hop_length": 90}]
)
def test_equally_many_frames_for_all_lengths(options):
    """What clips of 1 to 2000 samples give, whether alone or in an array of 2000."""
    frontend = FrontEnd(
        stages.STFT(**{"n_fft": 400, "hop_length": 160} | options), stages.Power(), stages.Ln()
    )
    n = np.arange(1, 2001)
    padded = jaxspec.apply_padded(frontend, {}, np.zeros((2000, 2000), np.float32), lengths=n)
    for samples, count in zip(n, padded.lengths, strict=True):
        if frontend.length(int(samples)):
            shape = jax.eval_shape(frontend, jax.ShapeDtypeStruct((samples,), jnp.float32)).shape
            assert count == shape[0]
        else:
            assert count == 0


def test_values_are_those_of_the_clip_alone_in_float64(x64):
    frontend = FrontEnd(
        stages.STFT(n_fft=64, hop_length=20), stages.Power(), stages.PCEN(), stages.Deltas(width=5)
    )
    x = np.random.default_rng(0).standard_normal((3, 2, 503))
    lengths = np.array([[503, 33], [1, 250], [20, 499]])
    y = jaxspec.apply_padded(frontend, {}, x, lengths=lengths)
    for place in np.ndindex(3, 2):
        alone = frontend(x[place][: lengths[place]])
        assert y.lengths[place] == len(alone)
        np.testing.assert_allclose(y.features[place][: len(alone)], alone, rtol=1e-9, atol=1e-10)


def test_one_length_for_several_channels():
    x = np.random.default_rng(0).standard_normal((2, 3, 1000)).astype(np.float32)
    frontend = FrontEnd(stages.STFT(n_fft=64, hop_length=20), stages.Power(), stages.Normalize())
    y = jaxspec.apply_padded(frontend, {}, x, lengths=np.array([600, 1000]))
    assert (y.lengths == np.array([[31] * 3, [51] * 3])).all()
    np.testing.assert_allclose(y.features[0, 1, :31], frontend(x[0, 1, :600]), rtol=2e-5, atol=2e-5)


def test_which_frames_the_mask_counts():
    stft = stages.STFT(n_fft=40, hop_length=10)
    x, lengths = np.zeros((1, 200), np.float32), np.array([75])
    counted = {
        valid: np.flatnonzero(
            jaxspec.apply_padded(stft, {}, x, lengths=lengths, valid=valid).mask[0]
        )
        for valid in ("own", "any", "all", "center")
    }
    assert counted["own"].tolist() == list(range(8))  # at 0, 10, …, 70
    assert counted["all"].tolist() == [2, 3, 4, 5]  # 5 covers 30 … 69, 6 would need sample 79
    assert counted["any"].tolist() == counted["center"].tolist() == list(range(8))
    # A frame in the middle of sample 80 is one of a clip of 80 samples, but lies behind it.
    more = jaxspec.apply_padded(stft, {}, x, lengths=np.array([80]), valid="center")
    assert more.lengths.tolist() == [9]
    assert more.mask.sum() == 8
    # A clip of 30 s for Whisper has as many frames as any, of which most see nothing but zeros.
    whisper = jaxspec.presets.get("whisper_80")
    clip = np.zeros((1, 16000), np.float32)
    sums = {
        valid: int(jaxspec.apply_padded(whisper, {}, clip, lengths=[8000], valid=valid).mask.sum())
        for valid in ("own", "any", "all", "center")
    }
    assert sums == {"own": 3000, "any": 52, "all": 46, "center": 50}


def test_traced_lengths_are_held_to_what_there_is():
    stage = stages.Scale(factor=1.0)
    x = np.arange(1.0, 4.0, dtype=np.float32)
    apply = jax.jit(lambda n: jaxspec.apply_padded(stage, {}, x, lengths=n))
    assert apply(7).features.tolist() == [1, 2, 3]
    assert apply(2).features.tolist() == [1, 2, 0]
    assert apply(-2).features.tolist() == [0, 0, 0]
    assert apply(-2).lengths == 0


def test_empty_clips_and_clips_without_a_frame():
    """They have no frames, and spoil no gradient."""
    for stage in (stages.ScaleToRange(), stages.Repeat(n_samples=9), stages.RemoveMean()):
        slope = jax.grad(
            lambda x, s=stage: jaxspec.apply_padded(s, {}, x, lengths=[0, 3]).features.sum()
        )(np.ones((2, 4), np.float32))
        assert np.isfinite(slope).all()
    frontend = FrontEnd(
        stages.STFT(n_fft=64, hop_length=20, center=False), stages.Power(), stages.Normalize(),
        stages.FloorFromMax(span=3.0), stages.Deltas(width=3, edge="interp"),
    )  # fmt: skip
    x = np.random.default_rng(0).standard_normal((4, 200)).astype(np.float32)
    lengths = np.array([0, 63, 103, 104])
    y = jaxspec.apply_padded(frontend, {}, x, lengths=lengths)
    assert y.lengths.tolist() == [0, 0, 0, 3]
    slope = jax.grad(
        lambda x: jaxspec.apply_padded(frontend, {}, x, lengths=lengths).features.sum()
    )(x)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("stage", EXAMPLES, ids=_IDS)
def test_no_dtype_is_widened_by_accident(strict, stage):
    """Mixing dtypes raises here: alone, padded and as a stream, forward and backward."""
    x, params = _input(stage), _params(stage)
    positions = x.shape[-1 if stage.takes == "waveform" else -2]

    def streamed(params, x):
        stream = jaxspec.Stream(stage)
        channels = None if stage.takes == "waveform" else x.shape[-1]
        state = stream.init_state(params, channels=channels, dtype=x.dtype)
        state, y, _ = stream.step(state, x)
        return y, stream.flush(state)[1]

    def padded(params, x):
        return jaxspec.apply_padded(stage, params, x, lengths=positions - 3).features

    for function in (stage.apply, padded, *[streamed] * (not stage.reach.clip)):
        if stage.takes == "spectrum":
            jax.eval_shape(function, params, x)
            continue

        def total(params, x, function=function):
            return sum(jnp.sum(jnp.abs(y)) for y in jax.tree.leaves(function(params, x)))

        jax.eval_shape(jax.grad(total, argnums=(0, 1)), params, x)
