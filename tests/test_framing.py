"""Framing, overlap-add, padding and the arithmetic of frames, against plain NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import noise, relative_max_error

import jaxspec

pytestmark = pytest.mark.usefixtures("x64", "strict")

# (samples, frame, hop): every remainder of the last hop, hops beyond the frame, one frame only,
# and more hops in a frame than are unrolled (the gather).
SIZES = [
    (50, 8, 4),
    (51, 8, 3),
    (52, 9, 4),
    (50, 8, 8),
    (50, 8, 11),
    (50, 50, 7),
    (50, 1, 1),
    (300, 64, 1),
    (300, 65, 1),
    (301, 200, 3),
]


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
@pytest.mark.parametrize(("n", "frame_length", "hop_length"), SIZES)
def test_frame(n, frame_length, hop_length, lead):
    x = noise(*lead, n)
    truth = np.lib.stride_tricks.sliding_window_view(x, frame_length, axis=-1)
    truth = truth[..., ::hop_length, :]
    mine = jaxspec.frame(jnp.asarray(x), frame_length=frame_length, hop_length=hop_length)
    np.testing.assert_array_equal(mine, truth)


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
@pytest.mark.parametrize(("n", "frame_length", "hop_length"), SIZES)
def test_overlap_add(n, frame_length, hop_length, lead):
    count = 1 + (n - frame_length) // hop_length
    frames = noise(*lead, count, frame_length)
    truth = np.zeros((*lead, (count - 1) * hop_length + frame_length))
    for t in range(count):
        truth[..., t * hop_length : t * hop_length + frame_length] += frames[..., t, :]
    mine = jaxspec.overlap_add(jnp.asarray(frames), hop_length=hop_length)
    assert relative_max_error(mine, truth) <= 1e-15


@pytest.mark.parametrize(("n", "frame_length", "hop_length"), SIZES)
def test_overlap_add_is_the_transpose_of_frame(n, frame_length, hop_length):
    """``<frame(x), y> = <x, overlap_add(y)>``, and each is the derivative of the other's."""
    count = 1 + (n - frame_length) // hop_length
    covered = (count - 1) * hop_length + frame_length
    x, y = jnp.asarray(noise(n)), jnp.asarray(noise(count, frame_length, seed=1))

    def cut(x):
        return jaxspec.frame(x, frame_length=frame_length, hop_length=hop_length)

    added = jaxspec.overlap_add(y, hop_length=hop_length)
    left, right = float(jnp.vdot(cut(x), y)), float(jnp.vdot(x[:covered], added))
    assert left == pytest.approx(right, rel=1e-12)
    (pulled,) = jax.vjp(cut, x)[1](y)
    np.testing.assert_allclose(pulled[:covered], added, rtol=0, atol=1e-13)
    assert not np.asarray(pulled[covered:]).any()


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize(("n_fft", "hop_length"), [(400, 160), (401, 100), (64, 64), (33, 50)])
def test_num_frames_for_all_lengths(n_fft, hop_length, center):
    """Counted one by one, for ints, NumPy and JAX arrays alike."""
    lengths = np.arange(1, 2001)
    padding = n_fft // 2 if center else 0
    actual = [len(range(0, n + 2 * padding - n_fft + 1, hop_length)) for n in lengths]
    options = {"n_fft": n_fft, "hop_length": hop_length, "center": center}
    assert [jaxspec.num_frames(int(n), **options) for n in lengths] == actual
    np.testing.assert_array_equal(jaxspec.num_frames(lengths, **options), actual)
    np.testing.assert_array_equal(jaxspec.num_frames(jnp.asarray(lengths), **options), actual)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize(("n_fft", "hop_length"), [(16, 6), (17, 5), (8, 11)])
def test_num_frames_is_what_stft_gives(n_fft, hop_length, center):
    options = {"n_fft": n_fft, "hop_length": hop_length, "center": center}
    for n in range(1, 60):
        count = jaxspec.num_frames(n, **options)
        x = jax.ShapeDtypeStruct((n,), jnp.float32)
        if count:
            shape = jax.eval_shape(lambda x: jaxspec.stft(x, **options), x).shape
            assert shape == (count, n_fft // 2 + 1)
        else:
            with pytest.raises(ValueError, match="holds no frame"):
                jax.eval_shape(lambda x: jaxspec.stft(x, **options), x)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize(("n_fft", "hop_length"), [(400, 160), (401, 100), (33, 50)])
def test_samples_for_frames_is_the_least_that_gives_them(n_fft, hop_length, center):
    options = {"n_fft": n_fft, "hop_length": hop_length, "center": center}
    for n_frames in range(1, 40):
        n = jaxspec.samples_for_frames(n_frames, **options)
        assert jaxspec.num_frames(n, **options) == n_frames
        assert n == 1 or jaxspec.num_frames(n - 1, **options) == n_frames - 1


PAD_MODES = ["reflect", "constant", "edge", "symmetric", "wrap"]


@pytest.mark.parametrize("pad_mode", PAD_MODES)
@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_pad(n, pad_mode):
    """Below, at and above every corner, up to several times the length of the clip."""
    x = noise(2, n)
    widths = [
        (0, 0),
        (1, 0),
        (0, 1),
        (n - 1, n),
        (n, n - 1),
        (n + 1, 2 * n),
        (3 * n + 2, 4 * n + 1),
    ]
    for before, after in widths:
        mine = jaxspec.pad(jnp.asarray(x), before=before, after=after, pad_mode=pad_mode)
        truth = np.pad(x, [(0, 0), (before, after)], mode=pad_mode)
        np.testing.assert_array_equal(mine, truth)


def test_pad_reflects_by_default():
    x = noise(9)
    mine = jaxspec.pad(jnp.asarray(x), before=3, after=2)
    np.testing.assert_array_equal(mine, np.pad(x, (3, 2), mode="reflect"))


def test_frame_times():
    options = {"sample_rate": 8000, "hop_length": 100}
    np.testing.assert_allclose(
        jaxspec.frame_times(4, n_fft=256, **options), [0, 0.0125, 0.025, 0.0375], atol=1e-15
    )
    # The middle of a frame of 255 samples is its sample 127.
    np.testing.assert_allclose(
        jaxspec.frame_times(2, n_fft=255, center=False, **options), [127 / 8000, 227 / 8000]
    )
    assert jaxspec.frame_times(0, n_fft=256, **options).shape == (0,)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("n_fft", [64, 65])
def test_frame_times_say_where_a_click_is(n_fft, center):
    """The frame whose time is that of a click sees it in the middle of its window."""
    options = {"n_fft": n_fft, "hop_length": 10, "center": center}
    times = jaxspec.frame_times(20, sample_rate=1000, **options)
    click = np.zeros(300)
    click[round(times[7] * 1000)] = 1.0
    spectrum = jaxspec.stft(jnp.asarray(click), **options)
    assert int(np.abs(np.asarray(spectrum[:20, 0])).argmax()) == 7
