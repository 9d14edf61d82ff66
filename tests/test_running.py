"""`stages.RunningNormalize`: statistics so far, against NumPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import noise

import jaxspec
from jaxspec import stages

running = stages.RunningNormalize
FADING = {"memory": "exponential", "smoothing": 0.15}
FORMS = {
    "all": {},
    "unbiased": {"ddof": 1, "eps": 0},
    "one for all channels": {"over": "clip", "ddof": 1, "eps_in": "variance"},
    "mean": {"deviation": False},
    "start": {"mean": 0.5, "deviation_start": 2.0, "weight": 3, "ddof": 1},
    "fading": FADING | {"eps": 0.1},
    "fading from a start": FADING | {"mean": [0.5, 1, 2], "deviation_start": 2.0, "weight": 2.5},
    "fading over channels": FADING | {"over": "clip", "eps_in": "variance"},
}


def _by_definition(x, stage):
    """Weighted means and variances of all frames up to each, one frame after the other."""
    y = []
    keep = 1 - (stage.smoothing or 0)
    for k, now in enumerate(x):
        weights = keep ** np.arange(k, -1, -1.0)
        seen = x[: k + 1] if stage.over == "time" else x[: k + 1].reshape(-1, 1)
        weights = np.repeat(weights, len(seen) // (k + 1))[:, None]
        total, first, second = weights.sum(), (weights * seen).sum(0), (weights * seen**2).sum(0)
        if stage.weight:
            w = stage.weight * keep ** (k + 1) * len(seen) / (k + 1)
            mean, deviation = np.asarray(stage.mean), stage.deviation_start or 0
            of_start = stage.weight * len(seen) / (k + 1)
            square = deviation**2 * (of_start - stage.ddof) / of_start
            total, first = total + w, first + w * mean
            second = second + w * (mean**2 + square)
        centred = now - first / total
        if stage.deviation:
            square = second - first**2 / total
            square = np.maximum(square, 0) / max(total - stage.ddof, 1)
            if stage.eps_in == "variance":
                centred = centred / np.sqrt(square + stage.eps)
            else:
                divisor = np.sqrt(square) + stage.eps
                centred = centred / np.where(divisor > 0, divisor, 1)
        y.append(centred)
    return np.stack(y)


@pytest.mark.parametrize("name", FORMS)
def test_definition(name):
    stage, x = running(**FORMS[name]), noise(2, 30, 3) * [1, 3, 0.5] + 1
    expected = np.stack([_by_definition(item, stage) for item in x])
    if "eps" in FORMS[name] and not FORMS[name]["eps"]:
        expected[:, 0] = 0  # a mean by sums leaves some rounding, which nothing would hold down
    with jax.enable_x64(True):
        np.testing.assert_allclose(stage(jnp.asarray(x)), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(stage(x.astype("f")), expected, rtol=2e-5, atol=2e-5)


def test_the_last_frame_is_that_of_normalize():
    """Deviations of 50 frames 3 + sin(n): 0.707762, unbiased 0.714947."""
    x = (3 + np.sin(np.arange(50.0)))[:, None].astype("f")
    for ddof, deviation in ((0, 0.707762), (1, 0.714947)):
        y = running(ddof=ddof, eps=0)(x)[-1, 0]
        assert np.isclose(y, (x[-1, 0] - x.mean()) / deviation, rtol=2e-6)
        assert np.isclose(y, stages.Normalize(ddof=ddof, eps=0)(x)[-1, 0], rtol=2e-6)


@pytest.mark.parametrize("ddof", [0, 1])
def test_a_start_stands_for_the_frames_it_was_computed_from(ddof):
    x = noise(60, 3) + np.array([0, 5, -7])
    first = x[:20]
    start = {"mean": first.mean(0), "deviation_start": first.std(0, ddof=ddof), "weight": 20}
    with jax.enable_x64(True):
        whole = running(ddof=ddof)(jnp.asarray(x))
        rest = running(ddof=ddof, **start)(jnp.asarray(x[20:]))
    np.testing.assert_allclose(rest, whole[20:], rtol=1e-9, atol=1e-12)


def test_plain_exponential_smoothing():
    """From a start that weighs as much as all frames do in the end."""
    x = noise(2, 40, 3).astype("f")
    smoothing, mean = 0.1, np.array([0.5, -1.0, 2.0])
    stage = running(
        memory="exponential", smoothing=smoothing, mean=mean, weight=1 / smoothing, deviation=False
    )
    level, expected = mean, []
    for now in np.moveaxis(x.astype(np.float64), 1, 0):
        level = level + smoothing * (now - level)
        expected.append(now - level)
    np.testing.assert_allclose(stage(x), np.stack(expected, 1), rtol=1e-5, atol=1e-6)


def test_a_time_constant_is_a_smoothing():
    x = noise(30, 2).astype("f")
    time = {"time_constant": 0.4, "sample_rate": 16000, "hop_length": 160}
    seconds = running(memory="exponential", **time)
    frames = running(memory="exponential", smoothing=jaxspec.smoothing_for_time_constant(**time))
    np.testing.assert_allclose(seconds(x), frames(x), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", FORMS)
def test_pieces_make_the_whole(name):
    """Also to the last bit, and for the items of a batch at different places of theirs."""
    stage, x = running(**FORMS[name]), jnp.asarray(noise(2, 30, 3) + 100, jnp.float32)
    advance = jax.jit(stage.advance)
    start = stage.initial_carry({}, x)
    assert all(leaf.shape[:1] == (2,) for leaf in jax.tree.leaves(start))
    end, whole = advance({}, start, x)
    carry, pieces = start, []
    for a, b in ((0, 1), (1, 1), (1, 12), (12, 30)):
        carry, y = advance({}, carry, x[:, a:b])
        assert jax.tree.map(jnp.shape, carry) == jax.tree.map(jnp.shape, start)
        pieces.append(y)
    np.testing.assert_allclose(jnp.concatenate(pieces, 1), whole, rtol=1e-6, atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-4), carry, end)
    assert (carry["count"] == end["count"]).all()
    # The second item begins anew where the first goes on.
    mixed = jax.tree.map(lambda a, b: jnp.stack([a[0], b[1]]), end, start)
    again = advance({}, mixed, x)[1]
    np.testing.assert_allclose(again[1], whole[1], rtol=1e-6, atol=1e-6)
    assert np.abs(again[0] - whole[0]).max() > 0.1


@pytest.mark.parametrize("memory", ["all", "exponential"])
def test_ten_million_frames(memory):
    """The mean and the variance do not stand still in float32, nor does the number of frames.

    Half-way through, everything moves by 1: the mean follows, to less than its float32 spacing.
    """
    n, smoothing = 10_000_000, 1e-6
    x = 1000 + np.random.default_rng(0).standard_normal((n, 1)).astype("f")
    x[n // 2 :] += 1
    options = {"memory": memory} | ({} if memory == "all" else {"smoothing": smoothing})
    stage = running(**options)
    carry = jax.jit(lambda x: stage.advance({}, stage.initial_carry({}, x), x)[0])(x)
    wide = x[:, 0].astype(np.float64)
    weights = None if memory == "all" else (1 - smoothing) ** np.arange(n - 1, -1, -1.0)
    mean = np.average(wide, weights=weights)
    variance = np.average((wide - mean) ** 2, weights=weights)
    assert carry["count"].item() == n
    high, low = (np.asarray(part, np.float64).item() for part in carry["mean"])
    assert abs(high + low - mean) < 1e-6
    assert abs(sum(carry["variance"]).item() / variance - 1) < 1e-6


@pytest.mark.parametrize("memory", [{}, FADING])
def test_the_number_of_frames_does_not_overflow(memory):
    stage, x = running(**memory), jnp.asarray(noise(5, 2), jnp.float32)
    carry = stage.advance({}, stage.initial_carry({}, x), x)[0]
    carry["count"] = jnp.full_like(carry["count"], 2**31 - 3)
    after, y = stage.advance({}, carry, x)
    assert after["count"].item() == 2**31 - 1
    assert np.isfinite(y).all()
    again = stage.advance({}, after, 2 * x)[0]
    assert again["count"].item() == 2**31 - 1
    assert (again["mean"][0] - carry["mean"][0] != 0).any() == bool(memory)


@pytest.mark.parametrize("frames", [1, 4])
@pytest.mark.parametrize("options", [{}, {"ddof": 1}, {"over": "clip", "ddof": 1}, FADING])
def test_a39_constants_and_single_frames(frames, options):
    """Zeros, with finite gradients, also where nothing is added to the deviation."""
    options = {"ddof": 0} | options
    x = jnp.asarray([0.1, 0.0, -7e8], jnp.float32)[:, None, None] * jnp.ones((frames, 3))
    for start in ({}, {"mean": 0.1, "deviation_start": 0.0, "weight": 2}):
        for eps in (0, 1e-5):
            stage = running(**options, **start, eps=eps)
            y = stage(x)
            assert np.isfinite(y).all()
            assert (y[: 1 if start else 3] == 0).all()
            gradient = jax.grad(lambda x, s=stage: (s(x) ** 2 + s(x)).sum())(x)
            assert np.isfinite(gradient).all()


def test_the_first_frame_is_0_and_no_later_one_has_an_effect():
    x = jnp.asarray(noise(10, 3), jnp.float32)
    assert (running()(x)[0] == 0).all()
    later = x.at[6].set(jnp.nan)
    assert np.array_equal(running()(later)[:6], running()(x)[:6])


def test_extreme_values_stay_finite():
    x = jnp.asarray([[1e30], [-1e30], [1e-30], [3.0]], jnp.float32)
    for options in ({}, {"over": "clip"}, FADING):
        both = jnp.concatenate([x, -2 * x], 1)
        stage = running(**options)
        y, gradient = jax.value_and_grad(lambda x, s=stage: s(x).sum())(both)
        assert np.isfinite(y)
        assert np.isfinite(gradient).all()
