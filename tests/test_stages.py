"""Values of the small stages that have no function of their own, and what they do at the edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import noise, t2

import jaxspec
from jaxspec import FrontEnd, pieces, stages


def test_padding_and_trimming():
    x = jnp.arange(1.0, 6.0)
    assert stages.Pad(before=2, after=2, pad_mode="reflect")(x).tolist() == [
        3,
        2,
        1,
        2,
        3,
        4,
        5,
        4,
        3,
    ]
    assert stages.Pad(before=1)(x).tolist() == [0, 1, 2, 3, 4, 5]
    assert stages.Trim(before=1, after=2)(x).tolist() == [2, 3]
    assert stages.Trim(before=3, after=3)(x).shape == (0,)
    assert stages.PadToMultiple(multiple=5)(x).tolist() == x.tolist()
    assert stages.FitLength(n_samples=2)(x).tolist() == [1, 2]
    assert stages.Repeat(n_samples=11)(x).shape == (10,)
    assert stages.Repeat(n_samples=4)(x).tolist() == x.tolist()
    both = FrontEnd(stages.Pad(before=3, after=1), stages.Trim(before=3, after=1))
    assert both(x).tolist() == x.tolist()
    # A sample counts if the clip goes on for one more, which is left out.
    assert both.reach == jaxspec.Reach(after=1)


def test_levels():
    x = noise(3, 50).astype(np.float32)
    assert np.allclose(stages.RemoveMean()(x).mean(-1), 0, atol=1e-6)
    y = stages.ScaleToRange()(x)
    assert np.allclose(y.min(-1), -1)
    assert np.allclose(y.max(-1), 1, atol=1e-5)
    assert (stages.ScaleToRange()(jnp.ones(5)) == -1).all()


def _mirrored_frames(x, length, hop):
    """Kaldi's frames without ``snip_edges``, sample by sample."""
    n = len(x)

    def sample(i):
        while not 0 <= i < n:
            i = -i - 1 if i < 0 else 2 * n - 1 - i
        return x[i]

    count = (n + hop // 2) // hop
    starts = [t * hop + hop // 2 - length // 2 for t in range(count)]
    return np.array([[sample(s + i) for i in range(length)] for s in starts])


@pytest.mark.parametrize(("length", "hop"), [(50, 20), (25, 10), (8, 30), (31, 7)])
@pytest.mark.parametrize("n", [15, 40, 199, 203])
def test_edges_of_frames(n, length, hop):
    x = np.arange(1.0, n + 1, dtype=np.float32)
    mirror = stages.Frame(frame_length=length, hop_length=hop, edges="mirror")
    expected = _mirrored_frames(x, length, hop)
    assert mirror.length(n) == len(expected)
    if len(expected):
        assert np.array_equal(mirror(x), expected)
    zeros = stages.Frame(frame_length=length, hop_length=hop, edges="zeros")(x)
    padded = np.pad(x, (0, length + hop))
    assert len(zeros) == -(-n // hop)
    for t, values in enumerate(zeros):
        assert np.array_equal(values, padded[t * hop : t * hop + length])
    same = stages.Frame(frame_length=length, hop_length=hop, edges="same")(x)
    patches = jax.lax.conv_general_dilated_patches(
        jnp.asarray(x)[None, None], (length,), (hop,), "SAME"
    )
    assert np.array_equal(same, patches[0].T)


def test_a25_short_clips():
    """A25: no frame is no crash: none, or a clear error, as one chooses."""
    frame = {"frame_length": 400, "hop_length": 160}
    empty = stages.Frame(**frame, short="empty")
    assert [empty(t2(n)).shape for n in (342, 399, 400, 559, 560)] == [
        (count, 400) for count in (0, 0, 1, 1, 2)
    ]
    with pytest.raises(ValueError, match=r"342 samples holds no frame of 400.*short=\"empty\""):
        stages.Frame(**frame)(t2(342))
    mirror = stages.Frame(**frame, edges="mirror")
    assert [len(mirror(t2(n))) for n in (342, 400, 560)] == [2, 3, 4]
    assert np.isfinite(jax.grad(lambda x: empty(x).sum())(jnp.ones(342))).all()


def test_step_by_step_is_the_stft():
    x = t2(4000).astype(np.float32)
    steps = FrontEnd(
        stages.Frame(frame_length=400, hop_length=160),
        stages.Window(win_length=400),
        stages.RFFT(n_fft=400),
    )
    whole = stages.STFT(n_fft=400, hop_length=160, center=False)
    assert np.allclose(steps(x), whole(x), atol=1e-4)
    assert np.allclose(steps.frame_times(3, sample_rate=16000), [0.0125, 0.0225, 0.0325])
    assert (
        FrontEnd(steps, stages.Power()).frequencies(sample_rate=16000)
        == FrontEnd(whole, stages.Power()).frequencies(sample_rate=16000)
    ).all()


def test_normalize():
    x = noise(2, 30, 5) * 3 + 1
    with jax.enable_x64(True):
        assert np.allclose(
            stages.Normalize(eps=0.1)(x),
            (x - x.mean(1, keepdims=True)) / (x.std(1, keepdims=True) + 0.1),
        )
        y = stages.Normalize(over="clip", ddof=1, eps=0.1, eps_in="variance")(x)
        mean, variance = x.mean((1, 2), keepdims=True), x.var((1, 2), ddof=1, keepdims=True)
        assert np.allclose(y, (x - mean) / np.sqrt(variance + 0.1))
        y = stages.Normalize(leave_out=10, ddof=1)(x)
        seen = x[:, :20]
        assert np.allclose(
            y, (x - seen.mean(1, keepdims=True)) / (seen.std(1, ddof=1, keepdims=True) + 1e-5)
        )


@pytest.mark.parametrize("frames", [1, 4])
def test_constant_clips_are_normalized_to_zero(frames):
    """A single frame has no unbiased deviation (A39), a constant channel none at all."""
    x = jnp.full((frames, 3), 7.0)
    for stage in (
        stages.Normalize(eps=0),
        stages.Normalize(ddof=1),
        stages.Normalize(eps=0, over="clip"),
    ):
        assert (stage(x) == 0).all()
        assert np.isfinite(jax.grad(lambda x, s=stage: (s(x) ** 2).sum() + s(x).sum())(x)).all()


def test_a22_stacking_with_a_remainder():
    """A22: an odd number of frames has a defined result."""
    x = jnp.arange(10.0).reshape(5, 2)
    assert stages.Stack(n=2)(x).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    padded = stages.Stack(n=2, rest="pad", value=1.0)(x)
    assert padded.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 1, 1]]


def test_ends_that_depend_on_the_length():
    assert [stages.PadAt(multiple=4, remainder=1, after=2).length(n) for n in range(1, 6)] == [
        3, 2, 3, 4, 7,
    ]  # fmt: skip
    inner = FrontEnd(stages.STFT(n_fft=32, hop_length=10, center=False), stages.Power())
    masked = stages.MaskPadding(frontend=inner, multiple=64)
    x = jnp.asarray(noise(150), jnp.float32)
    padded = np.array(inner(jnp.pad(x, (0, 42))))
    padded[(np.arange(len(padded)) * 10 + 32) > 150] = 0
    assert np.allclose(masked(x), padded, atol=1e-5)
    assert (stages.LnFromMin(span=1, silent=-7.0)(jnp.zeros((3, 2))) == -7).all()


def test_low_frame_rate():
    """FunASR's stacking: 7 frames every 6, the first repeated 3 times in front."""
    x = np.arange(14.0, dtype=np.float32)[:, None]
    y = stages.Splice(before=3, after=3, stride=6)(x)
    assert y.tolist() == [
        [0, 0, 0, 0, 1, 2, 3],
        [3, 4, 5, 6, 7, 8, 9],
        [9, 10, 11, 12, 13, 13, 13],
    ]


def test_frame_times_follow_every_stage():
    frontend = FrontEnd(
        stages.Pad(before=100),
        stages.Frame(frame_length=400, hop_length=160),
        stages.Window(win_length=400),
        stages.RFFT(n_fft=512),
        stages.Power(),
        stages.DropFrames(first=1),
        stages.Stack(n=2),
    )
    times = frontend.frame_times(2, sample_rate=16000)
    # The first of the two frames of output 0 has its middle at 160 + 200 - 100.
    assert np.allclose(times, [(260 + 80) / 16000, (260 + 80 + 320) / 16000])
    with pytest.raises(ValueError, match="from waveforms to frames"):
        FrontEnd(stages.Ln()).frame_times(3, sample_rate=16000)


@pytest.mark.exhaustive
@pytest.mark.usefixtures("few_tiles")
@pytest.mark.parametrize(("edges", "samples"), [("whole", 6123), ("zeros", 6000), ("mirror", 6123)])
def test_tiles_of_step_by_step_chains(edges, samples):
    """A long clip in tiles gives the values and gradients of the clip at once."""
    steps = (
        stages.Trim(before=33, after=70),
        stages.Pad(before=120, after=50, pad_mode="reflect"),
        stages.Frame(frame_length=400, hop_length=160, edges=edges),
        stages.RemoveFrameMean(),
        stages.FramePreEmphasis(),
        stages.Window(win_length=400, window="povey", periodic=False),
        stages.RFFT(n_fft=512),
        stages.Power(),
        stages.Ln(),
        stages.DropFrames(first=1, last=2),
        stages.ZeroFrames(last=1),
        stages.Splice(before=1, after=2, stride=3),
        stages.Stack(n=2, rest="pad", value=3.0),
    )
    whole, tiled = FrontEnd(*steps, tile_frames=10**6), FrontEnd(*steps, tile_frames=1)
    x = jnp.asarray(noise(2, samples), jnp.float32)
    plan = pieces.Plan.of(pieces.Chain(tiled.stages, tiled.names), x.shape, 1, "cpu")
    assert plan.turns * plan.tiles_in_a_turn >= 3
    y = whole(x)
    assert np.allclose(tiled(x), y, atol=2e-4)
    weights = jnp.asarray(noise(*y.shape), jnp.float32)

    def gradient(frontend):
        return jax.grad(lambda x: jnp.sum(weights * frontend(x)))(x)

    expected = gradient(whole)
    assert np.allclose(gradient(tiled), expected, atol=1e-4 * float(jnp.abs(expected).max()))


@pytest.mark.usefixtures("few_tiles")
@pytest.mark.parametrize("edges", ["whole", "zeros", "mirror"])
def test_step_by_step_chains_in_buckets(edges):
    """Clips that share a program are continued where they end."""
    frontend = FrontEnd(
        stages.Pad(before=30, after=500, pad_mode="reflect"),
        stages.Frame(frame_length=400, hop_length=160, edges=edges),
        stages.Window(win_length=400),
        stages.RFFT(n_fft=400),
        stages.Power(),
        stages.Root(),
        stages.DropFrames(last=1),
        stages.ZeroFrames(last=2),
        stages.Splice(before=1, after=1, stride=2),
        stages.Stack(n=2, rest="pad"),
        tile_frames=4,
    )
    for samples in (8000, 12345, 15999):
        x = noise(samples).astype(np.float32)
        y, frames = jaxspec.apply_bucketed(frontend, {}, x, buckets=[16000])
        alone = frontend(x)
        assert frames == len(alone)
        assert np.allclose(y[:frames], alone, atol=1e-4)
        assert (y[frames:] == 0).all()
