"""MuReNN against its original (``goldens/make_wavelets.py``), in float64."""

import functools
import json
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "goldens"))
from voice import signals

from jaxspec.compat import murenn

GOLDENS = np.load(pathlib.Path(__file__).parent / "goldens" / "wavelets.npz")
CASES = {k: v for k, v in json.loads(GOLDENS["cases"].item()).items() if k.startswith("murenn/")}
META = json.loads(GOLDENS["meta"].item())
# How many frames at the beginning and at the end see beyond the clip.
ENDS = {
    "murenn/even": (7, 8),
    "murenn/odd": (6, 6),
    "murenn/ragged": (6, 7),
    "murenn/zeros": (6, 7),
}

pytestmark = pytest.mark.usefixtures("x64")


def _clip(key):
    return signals(16000)["odd"][3000 : 3000 + CASES[key]["samples"]]


@functools.cache
def _stage(key):
    options = dict(CASES[key])
    n = options.pop("samples")
    weights = [GOLDENS[f"{key}/weights{j}"] for j in range(options["J"])]
    return murenn.MuReNNDirect(in_channels=1, weights=weights, n_samples=n, **options)


def _start(stage):
    return stage.init(jax.random.key(0), dtype=jnp.float64)


@pytest.mark.parametrize("key", CASES)
def test_values_in_the_interior(key):
    """All frames but those at the ends that see beyond the clip."""
    stage, x = _stage(key), _clip(key)
    y = np.asarray(stage.apply(_start(stage), x))
    meta, truth = META[f"{key}/y"], GOLDENS[f"{key}/y"]
    assert list(y.shape) == meta["shape"]
    index = np.array(meta["index"][0])
    errors = np.abs(y[index] - truth).max(axis=1) / np.abs(truth).max()
    reach, stride = stage.reach, stage.reach.stride
    first, last = -(-reach.before // stride), (len(x) - 1 - reach.after) // stride
    assert (first, len(y) - 1 - last) == ENDS[key]
    inside = (index >= first) & (index <= last)
    assert inside.sum() >= 6
    assert errors[inside].max() <= 1e-12


@pytest.mark.parametrize("key", CASES)
def test_gradients_by_the_waveform(key):
    """Of samples that only interior frames see, the same gradient of the same loss."""
    stage, x = _stage(key), jnp.asarray(_clip(key))

    def loss(x):
        y = stage.apply(_start(stage), x)
        return jnp.sum(jnp.cos(jnp.arange(y.size)).reshape(y.shape) * y)

    (index,) = META[f"{key}/grad_x"]["index"]
    found, truth = np.asarray(jax.grad(loss)(x))[index], GOLDENS[f"{key}/grad_x"]
    index, reach = np.array(index), stage.reach
    # Frames that see a sample lie within the reach of it; they see as far again.
    far = reach.before + reach.after + reach.stride
    inside = (index >= far) & (index < len(x) - far)
    assert inside.sum() >= 9
    assert np.abs(found - truth)[inside].max() <= 1e-12 * np.abs(truth).max()


def test_the_words_of_the_original():
    stage = murenn.MuReNNDirect(J=3, Q=2, T=7, in_channels=1)
    assert stage.counts == (2, 2, 2)
    assert stage.align == "octaves"
    assert stage.stride == 8
    assert murenn.MuReNNDirect(J=3, Q=[2, 1, 1], T=7, in_channels=1, J_phi=5).stride == 32
    modes = ("symmetric", "zeros", "replicate", "circular")
    assert [
        murenn.MuReNNDirect(J=1, Q=1, T=1, in_channels=1, padding_mode=mode).pad_mode
        for mode in modes
    ] == ["symmetric", "constant", "edge", "wrap"]
    bank = np.arange(7.0)[None, None]  # as a convolution of torch has it
    given = murenn.MuReNNDirect(J=1, Q=1, T=7, in_channels=1, weights=[bank])
    np.testing.assert_array_equal(given.filters.values[:, 0], np.arange(7))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"in_channels": 2}, "in_channels must be 1 here"),
        ({"J_phi": 2}, "J_phi must be at least J=3, got J_phi=2"),
        ({"Q": [1, 2]}, "n_octaves=3 of them"),
        ({"padding_mode": "reflect"}, "padding_mode must be one of"),
        ({"weights": [np.ones((2, 5))] * 3}, r"weights must have shapes \(Q, T\)"),
        ({"weights": [np.ones((2, 2, 4))] * 3}, r"weights must have shapes \(Q, T\)"),
        ({"weights": [np.ones((2, 4))] * 2}, r"weights must have shapes \(Q, T\)"),
    ],
)
def test_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        murenn.MuReNNDirect(**{"J": 3, "Q": 2, "T": 4, "in_channels": 1, **options})
