"""`jaxspec.statistics`: a pass over a data set, against NumPy in float64."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import noise

import jaxspec
from jaxspec import FrontEnd, stages
from jaxspec.statistics import FeatureStatistics, feature_statistics, merge_statistics


def _assert_are(found, frames, rtol=1e-6):
    """Those of these frames ``(n, channels)``."""
    frames = np.asarray(frames, np.float64)
    assert found.count == len(frames)
    deviation = frames.std(0)
    assert (np.abs(found.mean - frames.mean(0)) <= rtol * deviation + 1e-12).all()
    np.testing.assert_allclose(found.m2, frames.var(0) * len(frames), rtol=rtol, atol=1e-12)
    np.testing.assert_array_equal(found.minimum, frames.min(0))
    np.testing.assert_array_equal(found.maximum, frames.max(0))
    np.testing.assert_allclose(found.variance(), frames.var(0), rtol=rtol, atol=1e-12)
    if len(frames) > 1:
        np.testing.assert_allclose(found.deviation(ddof=1), frames.std(0, ddof=1), rtol=rtol)


def _batches(n=7):
    """Padded batches with NaN behind the clips, and all of their frames one after the other."""
    rng = np.random.default_rng(0)
    batches, frames = [], []
    for _ in range(n):
        x = (rng.standard_normal((3, 20, 4)) * [1, 5, 0.1, 2] + [0, 100, -3, 1e3]).astype("f")
        lengths = rng.integers(0, 21, 3)
        for item, length in zip(x, lengths, strict=True):
            frames.append(item[:length].copy())
            item[length:] = np.nan
        batches.append((x, lengths))
    return batches, np.concatenate(frames)


def test_a_pass_over_padded_batches():
    batches, frames = _batches()
    total = FeatureStatistics.empty(4)
    for x, lengths in batches:
        total = total.merge(feature_statistics(x, lengths=lengths))
    _assert_are(total, frames)


def test_order_and_grouping_do_not_matter():
    batches, frames = _batches()
    parts = [feature_statistics(x, lengths=lengths) for x, lengths in batches]
    left = functools.reduce(merge_statistics, parts)
    right = functools.reduce(lambda a, b: b.merge(a), parts[::-1])
    tree = parts[0].merge(parts[1]).merge(parts[2].merge(parts[3])).merge(
        parts[4].merge(parts[5].merge(parts[6]))
    )  # fmt: skip
    for found in (left, right, tree):
        _assert_are(found, frames)
        for name in ("mean", "m2", "minimum", "maximum"):
            np.testing.assert_allclose(getattr(found, name), getattr(left, name), rtol=1e-13)


@pytest.mark.parametrize("pieces", [1, 1000])
def test_a_million_frames(pieces):
    """1000 ± 1 in float32: the variance to 1e-6, in one batch or in many."""
    x = 1000 + np.random.default_rng(0).uniform(-1, 1, (pieces, 1_000_000 // pieces, 2))
    x = x.astype("f")
    found = functools.reduce(merge_statistics, map(feature_statistics, x))
    wide = x.reshape(-1, 2).astype(np.float64)
    np.testing.assert_allclose(found.variance(), wide.var(0), rtol=1e-6)
    np.testing.assert_allclose(found.mean, wide.mean(0), rtol=1e-9)
    assert found.count == 1_000_000


def test_known_deviations():
    x = (3 + np.sin(np.arange(50.0)))[:, None]
    found = feature_statistics(x)
    assert np.isclose(found.deviation()[0], 0.707762, atol=5e-7)
    assert np.isclose(found.deviation(ddof=1)[0], 0.714947, atol=5e-7)


def test_nothing():
    """Items without frames, batches without items, and merging with either."""
    x = noise(3, 5, 2).astype("f")
    some = feature_statistics(x)
    for nothing in (
        FeatureStatistics.empty(2),
        feature_statistics(x, lengths=[0, 0, 0]),
        feature_statistics(np.full_like(x, np.nan), lengths=np.zeros(3, np.uint8)),
        feature_statistics(x[:0]),
        feature_statistics(x[:0], lengths=[]),
        feature_statistics(x[:, :0]),
        feature_statistics(x[0], lengths=0),
    ):
        assert nothing.count == 0
        assert (nothing.mean == 0).all()
        assert (nothing.m2 == 0).all()
        assert (nothing.minimum == np.inf).all()
        assert (nothing.maximum == -np.inf).all()
        for both in (some.merge(nothing), nothing.merge(some)):
            jax.tree.map(np.testing.assert_array_equal, both, some)
        assert nothing.merge(nothing).count == 0


def test_one_frame_and_constants():
    one = feature_statistics(np.array([[7.0, 1000.123]], "f"))
    constant = feature_statistics(np.full((999, 2), np.array([7.0, 1000.123], "f")))
    for found in (one, constant, one.merge(constant)):
        assert (found.variance() == 0).all()
        assert (found.variance(ddof=1) == 0).all()
        assert (found.mean == found.minimum).all()
    assert (one.stage(eps=0)(np.array([[7.0, 1000.123]], "f")) == 0).all()


def test_nan_in_a_frame_that_counts_is_not_hidden():
    x = noise(5, 2).astype("f")
    x[2, 1] = np.nan
    found = feature_statistics(x).merge(feature_statistics(noise(5, 2)))
    assert np.isfinite(found.variance()[0])
    assert np.isnan(found.variance()[1])
    with pytest.raises(ValueError, match="finite"):
        found.stage()


@pytest.mark.parametrize(
    "options",
    [{}, {"ddof": 1, "eps": 0}, {"eps": 0.1, "eps_in": "variance"}, {"deviation": False}],
)
def test_the_stage_is_normalize_of_all_frames(options):
    x = noise(60, 3).astype("f") * [1, 3, 0.5] + 2
    parts = (feature_statistics(part) for part in np.split(x, [10, 25]))
    stage = functools.reduce(merge_statistics, parts).stage(**options)
    with jax.enable_x64(True):
        expected = stages.Normalize(**options)(jnp.asarray(x))
        np.testing.assert_allclose(stage(jnp.asarray(x)), expected, rtol=1e-5, atol=1e-6)
    assert stages.Affine.from_dict(json.loads(json.dumps(stage.to_dict()))) == stage
    with pytest.raises(ValueError, match="no effect with deviation=False"):
        feature_statistics(x).stage(deviation=False, eps=0.1)


def test_in_a_front_end():
    frontend = FrontEnd(stages.STFT(n_fft=64), stages.Power(), stages.Ln())
    x = noise(4, 2000).astype("f")
    found = feature_statistics(frontend(x))
    y = FrontEnd(frontend, found.stage())(x)
    np.testing.assert_allclose(y.mean((0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std((0, 1)), 1, atol=1e-4)
    started = stages.RunningNormalize(
        mean=found.mean, deviation_start=found.deviation(), weight=1e9
    )
    np.testing.assert_allclose(FrontEnd(frontend, started)(x), y, atol=1e-4)


def test_json():
    for found in (feature_statistics(noise(9, 3)), FeatureStatistics.empty(3)):
        text = json.dumps(found.to_dict(), allow_nan=False)
        again = FeatureStatistics.from_dict(json.loads(text))
        jax.tree.map(np.testing.assert_array_equal, again, found)


def test_compiled_and_mapped():
    """Lengths that are not known are held within range; methods work once values are there."""
    (x, lengths), *_ = _batches(1)[0]
    compiled = jax.jit(lambda x, n: feature_statistics(x, lengths=n))(x, lengths)
    plain = feature_statistics(x, lengths=lengths)
    assert isinstance(compiled.mean, jax.Array)
    assert compiled.count == plain.count
    merged = compiled.merge(plain)
    assert merged.mean.dtype == np.float64
    np.testing.assert_allclose(merged.mean, plain.mean, rtol=1e-6)
    np.testing.assert_allclose(merged.variance(), plain.variance(), rtol=1e-6)
    full = np.nan_to_num(x)
    beyond = jax.jit(lambda n: feature_statistics(full, lengths=n))(np.array([99, -5, 3]))
    held = feature_statistics(full, lengths=[20, 0, 3])
    np.testing.assert_allclose(beyond.mean, held.mean, rtol=1e-6)
    each = jax.vmap(feature_statistics)(full)
    np.testing.assert_allclose(each.mean[1], feature_statistics(full[1]).mean, rtol=1e-6)
    with pytest.raises(ValueError, match="arrays of one shape"):
        each.variance()
    with pytest.raises(TypeError, match="a must hold concrete values"):
        jax.jit(lambda x: feature_statistics(x).merge(plain).mean)(full)


@pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16])
def test_half_precision_is_summed_in_float32(dtype):
    x = jnp.asarray(300 + noise(4000, 2), dtype)
    _assert_are(feature_statistics(x), np.asarray(x, np.float64))


def test_float64_stays_float64():
    x = 1e6 + noise(2000, 2)
    with jax.enable_x64(True):
        _assert_are(feature_statistics(x), x, rtol=1e-8)  # NumPy adds frame by frame


def test_gradients():
    x = jnp.asarray(noise(12, 2), jnp.float32)

    def variance(x):
        found = feature_statistics(x)
        return (found.m2 / found.count + found.mean + found.maximum).sum()

    n, gradient = len(x), jax.grad(variance)(x)
    expected = 2 * (x - x.mean(0)) / n + 1 / n + (x == x.max(0))
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)
    assert np.isfinite(jax.grad(variance)(jnp.ones((3, 2)))).all()


def test_is_a_value():
    found = feature_statistics(noise(5, 2))
    with pytest.raises(AttributeError):
        found.count = 3
    assert jaxspec.statistics.__all__ == sorted(jaxspec.statistics.__all__)
    assert len(jax.tree.leaves(found)) == 5
