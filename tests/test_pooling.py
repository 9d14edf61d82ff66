"""Pooling stages against their formulas; that of Gaussians is in test_analysis.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import noise
from scipy.signal import lfilter

from jaxspec import FrontEnd, stages
from jaxspec.pooling import weighted_windows

pytestmark = pytest.mark.usefixtures("x64")


@pytest.mark.parametrize(
    ("size", "stride"), [(1, 1), (5, 1), (5, 2), (7, 3), (4, 4), (3, 8), (70, 1), (70, 40)]
)
def test_weighted_windows_are_a_depthwise_convolution(size, stride):
    x, kernel = noise(2, 83, 3), noise(size, 3, seed=1)
    windows = np.lib.stride_tricks.sliding_window_view(x, size, axis=1)[:, ::stride]
    truth = np.einsum("btck,kc->btc", windows, kernel)
    np.testing.assert_allclose(
        weighted_windows(jnp.asarray(x), jnp.asarray(kernel), stride=stride), truth, atol=1e-12
    )
    shared = weighted_windows(jnp.asarray(x), jnp.asarray(kernel[:, :1]), stride=stride)
    np.testing.assert_allclose(shared, np.einsum("btck,k->btc", windows, kernel[:, 0]), atol=1e-12)


def test_windows_longer_than_the_clip():
    assert weighted_windows(jnp.ones((3, 2)), jnp.ones((5, 1)), stride=2).shape == (0, 2)
    assert stages.MaxPool(size=5, edges="whole")(jnp.ones((3, 2))).shape == (0, 2)


@pytest.mark.parametrize("offset", [0, 2, 7])
@pytest.mark.parametrize("size", [4, 5])
def test_max_pool(size, offset):
    x = noise(30, 2)
    padded = np.pad(x, ((size // 2, size), (0, 0)), constant_values=-np.inf)
    truth = [padded[t : t + size].max(axis=0) for t in range(offset, 30, 3)]
    np.testing.assert_array_equal(stages.MaxPool(size=size, stride=3, offset=offset)(x), truth)
    if offset == 7:
        starts = range(offset - size // 2, 30 - size + 1, 3)
        truth = [x[t : t + size].max(axis=0) for t in starts]
        whole = stages.MaxPool(size=size, stride=3, offset=offset, edges="whole")
        np.testing.assert_array_equal(whole(x), truth)
        assert whole.length(30) == len(truth)


def test_the_first_of_equal_largest_values_has_the_gradient():
    pool = stages.MaxPool(size=2, stride=2, edges="whole")
    slopes = jax.grad(lambda x: pool(x).sum())(jnp.zeros((4, 1)))
    np.testing.assert_array_equal(slopes[:, 0], [1, 0, 1, 0])


def test_free_pool_starts_at_its_window():
    x = noise(50, 3)
    pool = stages.FreePool(size=9, stride=4, n_bands=3)
    params = {"weights": noise(9, 3, seed=2)}
    kernel = np.hanning(9)[:, None] + params["weights"]
    padded = np.pad(x, ((4, 4), (0, 0)))
    truth = [(padded[t : t + 9] * kernel).sum(axis=0) for t in range(0, 50, 4)]
    np.testing.assert_allclose(pool.apply(params, x), truth, atol=1e-12)
    whole = stages.FreePool(size=9, stride=4, n_bands=3, edges="whole")
    truth = [(x[t : t + 9] * kernel).sum(axis=0) for t in range(0, 42, 4)]
    np.testing.assert_allclose(whole.apply(params, x), truth, atol=1e-12)
    assert whole.middle == 4


@pytest.mark.parametrize("start", ["first", "zeros"])
def test_smoothing_and_decimation(start):
    """Together they are the pooling by an exponential moving average."""
    x = noise(40, 2)
    smooth = stages.ExponentialSmoothing(smoothing=0.3, start=start)
    initial = 0.7 * (x[:1] if start == "first" else np.zeros((1, 2)))
    truth, _ = lfilter([0.3], [1, -0.7], x, axis=0, zi=initial)
    pooled = FrontEnd(smooth, stages.Decimate(stride=5, offset=2))
    np.testing.assert_allclose(pooled(x), truth[2::5], atol=1e-12)
