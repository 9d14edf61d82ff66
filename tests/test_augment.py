"""Augmentation: the laws of its draws, true lengths and padding, signal-to-noise, mixtures, slopes.

Draws are drawn many at a time, as the items of one batch. Cases A42 and A43 are those of the
collection of public bug reports of `test_cases.py`; A37 is there.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from helpers import noise, t2

import jaxspec
from jaxspec._items import below, item_bits

pytestmark = pytest.mark.usefixtures("strict")

KEY = jax.random.key(0)
DRAWS = 10_000


def f32(x):
    return jnp.asarray(np.asarray(x), jnp.float32)


def runs(masked):
    """Start and width of the mask of each item, ``(items, positions)`` with one stretch each."""
    assert (np.abs(np.diff(masked.astype(int), axis=1)).sum(axis=1) <= 2).all()
    return masked.argmax(axis=1), masked.sum(axis=1)


def fits(places, cumulative):
    """The p-value of whole numbers under the law ``cumulative(n) = P(number < n)``.

    Each is spread over [n, n + 1), for the test of Kolmogorov and Smirnov is of continuous laws.
    """
    spread = places + np.random.default_rng(0).random(len(places))

    def law(x):
        whole = np.floor(x)
        return cumulative(whole) + (x - whole) * (cumulative(whole + 1) - cumulative(whole))

    return scipy.stats.kstest(spread, law).pvalue


def starts_law(n, widest):
    """P(start < s) of masks of widths uniform on 1 … ``widest``, uniform over where they fit."""
    widths = np.arange(1, widest + 1)
    return lambda s: np.minimum(np.asarray(s)[..., None] / (n - widths + 1), 1).mean(axis=-1)


def time_masked(key=KEY, *, items=DRAWS, frames=200, **options):
    """Where frames of ``items`` items are masked in time, ``(items, frames)``."""
    x = jnp.ones((items, frames, 1), jnp.float32)
    mask = jax.jit(partial(jaxspec.spec_augment, n_freq_masks=0, **options))
    return np.asarray(mask(key, x)[..., 0]) == 0


# Draws.


def test_a42_time_masks_lie_anywhere_in_the_true_length():
    """Starts follow the stated law over the true length, not over the padded one, nor at 0."""
    one = {"n_time_masks": 1, "time_mask_width": 20, "lengths": jnp.full(DRAWS, 120)}
    masked = time_masked(**one)
    assert not masked[:, 120:].any()
    start, width = runs(masked)
    # Of width 0, which happens once in 21 times, no start is seen.
    assert fits(width, lambda w: np.clip(w / 21, 0, 1)) > 0.01
    assert fits(start[width > 0], starts_law(120, 20)) > 0.01
    assert start.max() >= 118
    assert masked[:, [0, 119]].any(axis=0).all()
    masked = time_masked(**one | {"n_time_masks": 2})
    assert not masked[:, 120:].any()
    assert masked.any(axis=1).mean() > 0.995


def test_a42_masks_of_channels_follow_the_same_law():
    x = jnp.ones((DRAWS, 3, 80), jnp.float32)
    y = jaxspec.spec_augment(KEY, x, n_time_masks=0, n_freq_masks=1, lengths=jnp.full(DRAWS, 2))
    masked = np.asarray(y) == 0
    assert not masked[:, 2].any()
    assert (masked[:, 0] == masked[:, 1]).all()
    start, width = runs(masked[:, 0])
    assert fits(width, lambda w: np.clip(w / 28, 0, 1)) > 0.01
    assert fits(start[width > 0], starts_law(80, 27)) > 0.01


def test_a43_items_have_masks_of_their_own():
    """32 items of one call are masked in 32 ways, or, if one draw is shared, in one."""
    x = jnp.ones((32, 500, 80), jnp.float32)
    own = np.asarray(jaxspec.spec_augment(KEY, x)) == 0
    assert len({mask.tobytes() for mask in own}) == 32
    same = np.asarray(jaxspec.spec_augment(KEY, x, shared=True)) == 0
    assert len({mask.tobytes() for mask in same}) == 1
    assert (same[0] == own[0]).all()
    other = np.asarray(jaxspec.spec_augment(jax.random.key(1), x)) == 0
    assert not {mask.tobytes() for mask in own} & {mask.tobytes() for mask in other}


def test_a43_no_more_than_a_share_is_masked():
    """Of 50 frames at most 10 with a share of 0.2, and of each other true length likewise."""
    lengths = np.where(np.arange(DRAWS) % 2, 50, np.arange(DRAWS) % 51)
    masked = time_masked(frames=50, time_mask_share=0.2, n_time_masks=4, lengths=lengths)
    counts = masked.sum(axis=1)
    assert counts[lengths == 50].max() == 10
    bounds = np.floor(0.2 * np.arange(51) + 1e-9)
    assert [counts[lengths == n].max() for n in range(51)] == list(bounds)


def test_adaptive_masks():
    """Number and width follow the true length; both options of the name bound them still."""
    lengths = jnp.where(jnp.arange(DRAWS) < DRAWS // 2, 100, 20)
    masked = time_masked(adaptive_masks=0.04, adaptive_width=0.05, lengths=lengths)
    changes = np.diff(np.pad(masked, ((0, 0), (1, 1))).astype(int), axis=1)
    number = (changes == 1).sum(axis=1)
    assert number[: DRAWS // 2].max() == 4
    assert masked[: DRAWS // 2].sum(axis=1).max() == 4 * 5
    assert not masked[DRAWS // 2 :].any()  # 0.04 * 20 is less than one mask
    one = time_masked(adaptive_masks=0.04, adaptive_width=0.9, n_time_masks=1, time_mask_width=178)
    assert runs(one)[1].max() == 178
    assert fits(runs(one)[1], lambda w: np.clip(w / 179, 0, 1)) > 0.01


SMALL = {"time_mask_width": 9, "freq_mask_width": 3, "time_warp": 5}
AUGMENTATIONS = {
    "spec_augment": lambda key, x: jaxspec.spec_augment(key, x, **SMALL),
    "time_warp": partial(jaxspec.time_warp, max_shift=5),
    "random_gain": partial(jaxspec.random_gain, low=-6, high=6),
    "random_polarity": jaxspec.random_polarity,
    "random_shift": partial(jaxspec.random_shift, max_shift=9),
    "random_crop": partial(jaxspec.random_crop, length=4),
}


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
def test_random_bits_depend_on_key_and_number_alone(impl):
    """Also with generators whose bits under ``vmap`` depend on the whole batch."""
    key = jax.random.key(0, impl=impl)
    bits = np.asarray(item_bits(key, (2, 3), 4, shared=False)).reshape(6, 4)
    assert len(np.unique(bits)) == 24
    assert np.array_equal(item_bits(key, (3,), 4, shared=False), bits[:3])
    assert np.array_equal(item_bits(key, (), 4, shared=False), bits[0])
    assert np.array_equal(item_bits(key, (5,), 4, shared=True), np.tile(bits[0], (5, 1)))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_draw_depends_on_key_and_number_alone(name):
    """Fewer items, others beside it, other axes, half precision: an item's draw is the same."""
    function = AUGMENTATIONS[name]
    x = f32(noise(6, 40, 10)).astype(jnp.bfloat16).astype(jnp.float32)
    y = np.asarray(function(KEY, x))
    assert np.array_equal(function(KEY, x.at[3:].set(jnp.nan))[:3], y[:3])
    assert np.array_equal(function(KEY, x[None, :3])[0], y[:3])
    assert not np.array_equal(function(jax.random.key(1), x), y)
    half = function(KEY, x.astype(jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
    assert np.array_equal(half, jnp.asarray(y).astype(jnp.bfloat16))


def test_old_keys_are_taken():
    x = jnp.ones((6, 3), jnp.float32)
    y = jaxspec.random_polarity(jax.random.PRNGKey(0), x)
    assert np.array_equal(y, jaxspec.random_polarity(KEY, x))


def test_whole_numbers_of_random_bits():
    """The upper words of products of 64 bits, as NumPy has them."""
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 10_000, np.uint32)
    n = rng.integers(1, 2**31, 10_000, np.uint32)
    n[:10], bits[:5] = 2**31 - 1, 2**32 - 1
    expected = (bits.astype(np.uint64) * n) >> np.uint64(32)
    assert np.array_equal(below(jnp.asarray(bits), jnp.asarray(n.astype(np.int32))), expected)
    assert len(np.unique(item_bits(KEY, (1000,), 4, shared=False))) == 4000


# True lengths and padding.

PADDED = {
    "spec_augment": lambda x, n: jaxspec.spec_augment(KEY, x, lengths=n, **SMALL),
    "mean": lambda x, n: jaxspec.spec_augment(KEY, x, lengths=n, fill="mean", **SMALL),
    "time_warp": lambda x, n: jaxspec.time_warp(KEY, x, lengths=n, max_shift=9),
    "random_shift": lambda x, n: _along_time(jaxspec.random_shift, KEY, x, n, max_shift=9),
    "wrap": lambda x, n: _along_time(jaxspec.random_shift, KEY, x, n, max_shift=9, mode="wrap"),
    "add_noise": lambda x, n: _along_time(jaxspec.add_noise, x, f32(noise(60)), n, snr=3),
}


def _along_time(function, first, second, lengths, **options):
    """A function of waveforms, of each channel of features; the lengths are those of the items."""
    turned = [
        jnp.swapaxes(z, -1, -2) if isinstance(z, jax.Array) and z.ndim == 3 else z
        for z in (first, second)
    ]
    return jnp.swapaxes(function(*turned, lengths=lengths, **options), -1, -2)


@pytest.mark.parametrize("name", PADDED)
def test_padding_never_matters(name):
    """What lies beyond the true length stays, and neither it nor its amount is seen before."""
    lengths = jnp.array([0, 1, 4, 37, 60])
    x = f32(noise(5, 60, 4))
    inside = np.arange(60)[:, None] < np.asarray(lengths)[:, None, None]

    weights = f32(noise(5, 60, 4, seed=1))

    @jax.jit
    @partial(jax.grad, has_aux=True)
    def slopes_and_value(x, lengths):
        y = PADDED[name](x, lengths)
        return jnp.sum(jnp.where(inside, weights * y, 0)), y

    slopes, y = slopes_and_value(x, lengths)
    assert (y != x)[4].any()
    for filling in (0, np.nan, np.inf, 1e30):
        padded = jnp.where(inside, x, filling)
        slopes_now, z = slopes_and_value(padded, lengths)
        assert np.array_equal(np.where(inside, z, 0), np.where(inside, y, 0))
        assert np.array_equal(np.where(inside, 0, z), np.where(inside, 0, padded), equal_nan=True)
        # What is inside does not depend on the padding, which therefore has the slope 0.
        assert np.isfinite(slopes_now).all()
        assert np.array_equal(slopes_now, slopes)
        assert (np.where(inside, 0, slopes_now) == 0).all()


@pytest.mark.parametrize("name", ["mean", "wrap"])
def test_more_padding_changes_nothing(name):
    x = f32(noise(5, 60, 4))
    lengths = jnp.array([60, 1, 4, 37, 20])
    longer = PADDED[name](jnp.pad(x, ((0, 0), (0, 13), (0, 0))), lengths)
    inside = np.arange(60)[:, None] < np.asarray(lengths)[:, None, None]
    shorter = PADDED[name](x, lengths)
    assert np.allclose(np.where(inside, longer[:, :60], 0), np.where(inside, shorter, 0), atol=1e-6)


def test_traced_lengths_are_held_within_the_axis():
    x = f32(noise(2, 60))
    shift = jax.jit(lambda n: jaxspec.random_shift(KEY, x, max_shift=9, lengths=n))
    assert np.array_equal(shift(jnp.array([-5, 99])), shift(jnp.array([0, 60])))
    # Of a wider integer too, whose low half would be another number.
    with jax.enable_x64(True):
        wide = jnp.asarray([2**32 + 1, 60], jnp.int64)
        assert np.array_equal(shift(wide), shift(jnp.asarray([60, 60], jnp.int64)))


def test_lengths_of_the_first_axes():
    """A length for each clip of several channels, and one for all."""
    x = f32(noise(2, 3, 60))
    shift = partial(jaxspec.random_shift, KEY, x, max_shift=20)
    lengths = np.array([20, 50])
    assert np.array_equal(shift(lengths=lengths), shift(lengths=np.repeat(lengths[:, None], 3, 1)))
    for each in (30, np.int16(30), [30, 30], jnp.array(30)):
        assert np.array_equal(shift(lengths=each), shift(lengths=np.full((2, 3), 30)))


# Masks and warps of features.


def test_what_masks_are_filled_with():
    x = f32(3 + noise(4, 50, 20))
    lengths = jnp.array([50, 30, 20, 50])
    function = jax.jit(partial(jaxspec.spec_augment, KEY, time_mask_width=10))
    masked = np.asarray(function(jnp.ones_like(x), lengths=lengths)) == 0
    assert masked.any(axis=(1, 2)).all()
    assert np.array_equal(function(x, lengths=lengths), np.where(masked, 0, x))
    mean = jaxspec.spec_augment(KEY, x, lengths=lengths, time_mask_width=10, fill="mean")
    expected = [np.asarray(x)[item, :n].mean() for item, n in enumerate(lengths)]
    expected = np.where(masked, np.reshape(expected, (4, 1, 1)), x)
    assert np.allclose(mean, expected, atol=1e-5)
    assert np.array_equal(np.asarray(mean)[~masked], np.asarray(x)[~masked])
    # Slopes: exactly 0 under a mask, even of what is not finite, and exactly 1 beside it.
    slope = jax.jit(jax.grad(lambda x: function(x, lengths=lengths).sum()))
    for given in (x, jnp.where(masked, jnp.nan, x)):
        assert np.array_equal(slope(given), ~masked)
        assert np.isfinite(function(given, lengths=lengths)).all()


def test_features_of_waveforms_can_be_learned_through():
    """From waveform to loss in one compiled step, a batch of three lengths."""
    samples = np.array([8000, 5000, 3000])
    x = f32(np.where(np.arange(8000) < samples[:, None], noise(3, 8000), 0))

    def loss(x, key, samples):
        options = {"n_fft": 512, "hop_length": 160}
        y = jaxspec.log_mel_spectrogram(x, sample_rate=16000, n_mels=40, **options)
        lengths = jaxspec.num_frames(samples, **options)
        return jnp.mean(
            jaxspec.spec_augment(key, y, lengths=lengths, time_warp=5, fill="mean") ** 2
        )

    gradients = jax.jit(jax.grad(loss))(x, KEY, samples)
    assert np.isfinite(gradients).all()
    assert (np.abs(gradients).max(axis=1) > 0).all()


def test_a_warp_in_front_of_the_masks():
    x = f32(np.linspace(1, 2, 100)[:, None] * np.ones((8, 100, 4)))
    none = partial(jaxspec.spec_augment, KEY, x, n_time_masks=0, n_freq_masks=0)
    assert (np.abs(none(time_warp=20) - x).max(axis=(1, 2)) > 0).sum() >= 6
    assert np.array_equal(none(), x)


def test_time_warp_of_a_ramp():
    """Monotone, with its ends where they were; the bend follows the stated law."""
    lengths = np.where(np.arange(4000) % 2, 200, 120)
    ramp = f32(np.broadcast_to(np.arange(200.0)[:, None], (4000, 200, 1)))
    warp = jax.jit(partial(jaxspec.time_warp, KEY, max_shift=30))
    y = np.asarray(warp(ramp, lengths=lengths))[..., 0]
    assert (y[:, 0] == 0).all()
    for n in (200, 120):
        mine = y[lengths == n]
        assert (mine[:, n - 1] == n - 1).all()
        assert (mine[:, n:] == np.arange(n, 200)).all()
        steps = np.diff(mine[:, :n], axis=1)
        assert (steps > 0).all()
        # The largest distance is that of the point, which comes from there by a whole number.
        away = np.abs(mine[:, :n] - np.arange(n)).max(axis=1)
        assert np.allclose(away, np.round(away), atol=1e-3)
        assert (
            fits(np.round(away), lambda s: np.where(s > 0, (2 * s - 1) / 61, 0).clip(0, 1)) > 0.01
        )
        bent = np.round(away) > 0
        there = np.abs(mine[:, :n] - np.arange(n)).argmax(axis=1)
        source = np.round(mine[np.arange(len(mine)), there])
        assert source[bent].min() >= 31
        assert source[bent].max() <= n - 2 - 30
        positions = n - 2 - 60
        assert fits(source[bent] - 31, lambda s, k=positions: np.clip(s / k, 0, 1)) > 0.01


def test_time_warp_of_few_frames():
    """Short items are warped by less; fewer than 5 frames, and a shift of 0, change nothing."""
    x = f32(noise(200, 10, 3))
    assert np.array_equal(jaxspec.time_warp(KEY, x, max_shift=0), x)
    warp = jax.jit(partial(jaxspec.time_warp, KEY))
    for n in range(11):
        y = warp(x, lengths=np.full(200, n))
        assert np.isfinite(y).all()
        assert (np.array_equal(y, x)) == (n < 5)


def test_time_warp_keeps_a_nan_where_it_is():
    """Frames that are taken as they are never read their neighbours."""
    x = f32(noise(100, 50, 2)).at[:, 20].set(jnp.nan)
    y = np.asarray(jaxspec.time_warp(KEY, x, max_shift=10))
    assert np.isnan(y[..., 0]).sum(axis=1).max() <= 4
    same = np.asarray(jaxspec.time_warp(KEY, f32(noise(100, 50, 2)), max_shift=10))
    unmoved = (same == f32(noise(100, 50, 2))).all(axis=(1, 2))
    assert unmoved.any()
    assert (np.isnan(y[unmoved, :, 0]).sum(axis=1) == 1).all()


def test_time_warp_is_linear_interpolation():
    """Equal to NumPy's, at the places that a ramp tells."""
    x = noise(5, 80, 2)
    places = jaxspec.time_warp(KEY, f32(np.arange(80)[:, None] * np.ones((5, 80, 1))), max_shift=15)
    y = np.asarray(jaxspec.time_warp(KEY, f32(x), max_shift=15))
    for item in range(5):
        for channel in range(2):
            expected = np.interp(places[item, :, 0], np.arange(80), x[item, :, channel])
            assert np.allclose(y[item, :, channel], expected, atol=1e-4)


# Waveforms.


def test_random_gain():
    y = jaxspec.random_gain(KEY, jnp.ones((DRAWS, 2), jnp.float32), low=-12, high=3)
    assert (y[:, 0] == y[:, 1]).all()
    decibels = 20 * np.log10(np.asarray(y[:, 0], np.float64))
    assert scipy.stats.kstest(decibels, scipy.stats.uniform(-12, 15).cdf).pvalue > 0.01
    exact = jaxspec.random_gain(KEY, jnp.ones((DRAWS, 2), jnp.float32), low=20, high=20)
    assert np.allclose(exact, 10, rtol=1e-6)


def test_random_polarity():
    x = f32(noise(DRAWS, 3))
    for probability, expected in ((0, 0), (1, 1), (0.5, 0.5), (0.1, 0.1)):
        y = np.asarray(jaxspec.random_polarity(KEY, x, probability=probability))
        turned = (y == -x).all(axis=1)
        assert (turned | (y == x).all(axis=1)).all()
        assert abs(turned.mean() - expected) < 0.03
        assert probability in (0.5, 0.1) or turned.mean() == expected


@pytest.mark.parametrize("mode", ["zeros", "wrap"])
def test_random_shift(mode):
    """Uniform whole numbers, within the true length; what comes in is what the mode says."""
    n = 30
    x = f32(np.broadcast_to(1 + np.arange(40), (DRAWS, 40)))
    shift = partial(jaxspec.random_shift, KEY, mode=mode, lengths=np.full(DRAWS, n))
    y = np.asarray(shift(x, max_shift=7))
    assert (y[:, n:] == x[:, n:]).all()
    shifts = 15 - (y[:, 15].astype(int) - 1)
    assert fits(shifts + 7, lambda s: np.clip(s / 15, 0, 1)) > 0.01
    for item in range(50):
        expected = np.roll(np.asarray(x)[item, :n], shifts[item])
        if mode == "zeros":
            expected[: max(shifts[item], 0)] = 0
            expected[n + min(shifts[item], 0) :] = 0
        assert np.array_equal(y[item, :n], expected)
    assert np.array_equal(shift(x, max_shift=0), x)
    far = np.asarray(shift(x, max_shift=1000))
    assert (far[:, n:] == x[:, n:]).all()
    assert ((far[:, :n] == 0).all(axis=1).any()) == (mode == "zeros")


def test_random_crop():
    x = f32(np.broadcast_to(np.arange(100), (DRAWS, 100)))
    lengths = np.where(np.arange(DRAWS) % 2, 60, 5)
    pieces = np.asarray(jaxspec.random_crop(KEY, x, length=10, lengths=lengths))
    assert (pieces - pieces[:, :1] == np.arange(10)).all()
    starts = pieces[:, 0].astype(int)
    assert (starts[::2] == 0).all()
    assert fits(starts[1::2], lambda s: np.clip(s / 51, 0, 1)) > 0.01
    assert np.array_equal(jaxspec.random_crop(KEY, x, length=100), x)
    # Of a long clip every start can be drawn, those that are odd as well.
    long = np.asarray(item_bits(KEY, (1000,), 1, shared=False))
    starts = np.asarray(below(jnp.asarray(long), jnp.asarray(2**30, jnp.int32)))
    assert 0.4 < (starts % 2).mean() < 0.6


# Signal and noise.


def _ratio(x, added):
    """Signal to noise in dB, in float64."""
    x, added = np.asarray(x, np.float64), np.asarray(added, np.float64)
    return 10 * np.log10(np.sum(x**2, axis=-1) / np.sum((added - x) ** 2, axis=-1))


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1, 1e4, 1e25])
def test_the_ratio_of_signal_to_noise_is_reached(scale):
    """Over the true samples alone, at any level of either."""
    x = f32(scale * np.stack([t2(), noise(16000), t2(), 3 + noise(16000)]))
    other = f32(noise(4, 16000, seed=7) * np.array([1, 1e-6, 1e6, 1])[:, None])
    lengths = np.array([16000, 100, 9000, 1])
    snr = jnp.array([20.0, 0.0, -7.5, 40.0])
    add = jax.jit(jaxspec.add_noise)
    y = add(x, other, snr=snr, lengths=lengths)
    for item, n in enumerate(lengths[:3]):
        assert _ratio(x[item, :n], y[item, :n]) == pytest.approx(float(snr[item]), abs=1e-4)
        assert np.array_equal(y[item, n:], x[item, n:])
    # One sample at 40 dB: the sum is rounded to a part of 1e7, its difference to one of 1e5.
    assert _ratio(x[3, :1], y[3, :1]) == pytest.approx(40, abs=1e-3)
    assert np.allclose(y, add(x, other, snr=snr, lengths=jnp.asarray(lengths)), rtol=1e-6)
    assert np.isfinite(y).all()


def test_noise_is_broadcast_over_the_batch():
    x, other = f32(noise(2, 3, 500)), f32(noise(500, seed=5))
    snr = jnp.array([3.0, 30.0])
    y = jaxspec.add_noise(x, other, snr=snr)
    for clip in range(2):
        for channel in range(3):
            alone = jaxspec.add_noise(x[clip, channel], other, snr=snr[clip])
            assert np.allclose(y[clip, channel], alone, atol=1e-6)
            assert _ratio(x[clip, channel], alone) == pytest.approx(float(snr[clip]), abs=1e-4)
    whole = jaxspec.add_noise(x, other, snr=jnp.array([3, 30]))
    assert np.array_equal(whole, y)


def test_silence_stays_as_it_is():
    sound, none = f32(noise(400)), jnp.zeros(400, jnp.float32)

    @jax.jit
    @partial(jax.grad, argnums=(0, 1, 2), has_aux=True)
    def slopes_and_value(x, other, snr):
        y = jaxspec.add_noise(x, other, snr=snr)
        return jnp.sum(y), y

    for x, other in ((sound, none), (none, sound), (none, none), (sound, none + 1e-20)):
        slopes, y = slopes_and_value(x, other, jnp.float32(10))
        assert np.array_equal(y, x)
        assert (slopes[0] == 1).all()
        assert (slopes[1] == 0).all()
        assert slopes[2] == 0
    # Sound in the padding does not count as sound.
    padded = jnp.where(jnp.arange(400) < 100, 0, sound)
    assert np.array_equal(jaxspec.add_noise(padded, sound, snr=0, lengths=100), padded)


def test_slopes_of_noise_and_ratio():
    """Equal to differences, in float64, with respect to all three."""
    with jax.enable_x64(True):
        x, other = jnp.asarray(noise(50)), jnp.asarray(noise(50, seed=1))
        weights = jnp.asarray(noise(50, seed=2))

        @jax.jit
        def loss(x, other, snr):
            return jnp.vdot(weights, jaxspec.add_noise(x, other, snr=snr, lengths=40))

        at = (x, other, jnp.asarray(3.0))
        towards = (jnp.asarray(noise(50, seed=3)), jnp.asarray(noise(50, seed=4)), jnp.asarray(0.7))
        slopes = jax.jit(jax.grad(loss, (0, 1, 2)))(*at)
        for position in range(3):
            step = [1e-6 * d if i == position else 0 * d for i, d in enumerate(towards)]
            up = loss(*(a + s for a, s in zip(at, step, strict=True)))
            down = loss(*(a - s for a, s in zip(at, step, strict=True)))
            expected = (up - down) / 2e-6
            got = jnp.vdot(slopes[position], towards[position])
            assert got == pytest.approx(float(expected), rel=1e-6)


def test_noise_cut_at_random_and_added():
    """The two together, in one compiled function with a new key for each step."""
    x, recording = f32(noise(4, 1000)), f32(noise(5000, seed=3))

    @jax.jit
    def noisy(key, x):
        for_piece, for_ratio = jax.random.split(key)
        shape = (x.shape[0], recording.shape[0])
        pieces = jaxspec.random_crop(for_piece, jnp.broadcast_to(recording, shape), length=1000)
        snr = jax.random.uniform(for_ratio, x.shape[:1], minval=0.0, maxval=20.0)
        return jaxspec.add_noise(x, pieces, snr=snr), snr

    y, snr = noisy(KEY, x)
    assert np.allclose(_ratio(x, y), snr, atol=1e-4)


# Mixtures.


MIX = 2000


def test_mixup_mixes_pairs():
    """Of each item and its partner, ``x`` and ``y`` by the same weight, exactly the convex sum."""
    x, y = f32(noise(MIX, 5, 4)), jax.nn.one_hot(jnp.arange(MIX) % 10, 10, dtype=jnp.float32)
    mixed, target, weight, partner = jaxspec.mixup(KEY, x, y, alpha=1.0, return_pairs=True)
    assert np.array_equal(np.sort(partner), np.arange(MIX))
    assert (np.asarray(partner) == np.arange(MIX)).sum() < 10
    assert len(set(weight.tolist())) > 0.99 * MIX
    w, j = np.asarray(weight, np.float64), np.asarray(partner)
    expected = w[:, None, None] * x + (1 - w)[:, None, None] * np.asarray(x)[j]
    assert np.allclose(mixed, expected, atol=1e-6)
    expected = w[:, None] * y + (1 - w)[:, None] * np.asarray(y)[j]
    assert np.allclose(target, expected, atol=1e-6)
    assert np.allclose(target.sum(axis=1), 1, atol=1e-6)
    assert (target >= 0).all()
    low, high = np.minimum(x, x[j]), np.maximum(x, x[j])
    assert ((mixed >= low - 1e-6) & (mixed <= high + 1e-6)).all()
    plain = jaxspec.mixup(KEY, x.astype(jnp.bfloat16), y[:, 0], alpha=1.0)
    assert len(plain) == 2
    assert plain[0].dtype == jnp.bfloat16
    assert np.allclose(plain[0].astype(jnp.float32), mixed, atol=0.05)
    assert np.allclose(plain[1], target[:, 0], atol=1e-6)


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_mixup_weights_are_beta(alpha):
    x = jnp.ones((MIX, 1), jnp.float32)
    _, _, weight, _ = jaxspec.mixup(KEY, x, x, alpha=alpha, return_pairs=True)
    law = scipy.stats.beta(alpha, alpha).cdf
    assert scipy.stats.kstest(np.asarray(weight, np.float64), law).pvalue > 0.01
    assert weight.dtype == jnp.float32


def test_mixup_of_an_empty_batch():
    x = jnp.ones((0, 30), jnp.float32)
    shapes = jax.eval_shape(lambda x: jaxspec.mixup(KEY, x, x[:, 0], return_pairs=True), x)
    assert [shape.shape for shape in shapes] == [(0, 30), (0,), (0,), (0,)]


def test_slopes_of_mixup():
    """The weights with which each item goes into the mixtures: they add up over all of them."""
    x, y = f32(noise(MIX, 3)), f32(noise(MIX, 2))
    mixed, _, weight, partner = jaxspec.mixup(KEY, x, y, return_pairs=True)
    compiled = jax.jit(jax.value_and_grad(lambda x: jaxspec.mixup(KEY, x, y)[0].sum()))
    total, slopes = compiled(x)
    assert np.isclose(total, mixed.sum(), rtol=1e-4)
    expected = np.asarray(weight).copy()
    np.add.at(expected, np.asarray(partner), 1 - np.asarray(weight))
    assert np.allclose(slopes, expected[:, None], atol=1e-6)
