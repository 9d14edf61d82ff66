"""Goldens of which large arrays are kept in part, as goldens/parts.py writes them."""

import json
import pathlib
import sys

import jax.numpy as jnp
import numpy as np

HERE = pathlib.Path(__file__).parent / "goldens"
sys.path.insert(0, str(HERE))

from voice import signals  # noqa: E402


def clip(n=4800):
    """The signal of the goldens, float64."""
    return signals(16000)["odd"][3000 : 3000 + n]


def loss(y):
    """The scalar whose gradients are kept."""
    return (jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape) * y).sum()


class Goldens:
    """A file of goldens: ``goldens[key]`` are the kept values."""

    def __init__(self, name):
        self._file = np.load(HERE / f"{name}.npz")
        self._meta, self.cases = (json.loads(self._file[k].item()) for k in ("meta", "cases"))

    def __getitem__(self, key):
        return self._file[key]

    def kept(self, key, whole):
        """What is kept of a whole array."""
        whole = np.asarray(whole)
        meta = self._meta.get(key)
        if meta is None:
            assert whole.shape == self[key].shape
            return whole
        assert list(whole.shape) == meta["shape"]
        for axis, index in enumerate(meta["index"]):
            whole = whole if index is None else np.take(whole, index, axis=axis)
        return whole

    def index(self, key, axis=0):
        """Which places of an axis are kept."""
        return self._meta[key]["index"][axis]

    def error(self, key, found):
        """The largest difference, as a share of the largest value."""
        return np.abs(self.kept(key, found) - self[key]).max() / np.abs(self[key]).max()

    def same(self, key, found, tolerance=1e-9):
        """Assert that a whole array agrees with what is kept of it."""
        error = self.error(key, found)
        assert error <= tolerance, f"{key}: {error:.1e}"
