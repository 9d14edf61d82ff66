"""What the scripts of learnable analyses share: the signal, the loss, and arrays kept in part.

A file has, besides its arrays, three texts in JSON: ``meta`` maps the key of each array that is
stored in part to its whole ``shape`` and the stored ``index`` along each axis (a list, or null for
the whole axis), as in ``torch.npz``; ``cases`` maps a case to its options; ``versions`` are the
versions.
"""

import importlib.metadata
import json
import pathlib

import numpy as np
import torch
from voice import signals

__all__ = ["Parts", "clip", "leaf", "loss", "same"]


def clip(n=4800):
    """The first ``n`` samples, at 16 kHz, of a piece of the voice that starts quietly; float64."""
    return signals(16000)["odd"][3000 : 3000 + n]


def loss(y):
    """The scalar of the gradients."""
    return (torch.cos(torch.arange(y.numel()).to(y)).reshape(y.shape) * y).sum()


class Parts:
    """Arrays by key, and what is kept of the large ones."""

    def __init__(self):
        self.arrays, self.meta, self.cases = {}, {}, {}

    def add(self, key, value, *most):
        """Keep about ``most`` places of each axis (None: all), spread evenly."""
        value = value.detach().numpy() if torch.is_tensor(value) else np.asarray(value)
        if not np.isfinite(value).all() and not key.endswith("nan"):
            raise ValueError(f"{key}: not finite")
        index = [
            None if m is None or m >= n else np.unique(np.linspace(0, n - 1, m).round().astype(int))
            for n, m in zip(value.shape, most or [None] * value.ndim, strict=True)
        ]
        part = value
        for axis, i in enumerate(index):
            part = part if i is None else np.take(part, i, axis=axis)
        if any(i is not None for i in index):
            index = [i if i is None else i.tolist() for i in index]
            self.meta[key] = {"shape": value.shape, "index": index}
        self.arrays[key] = part

    def gradients(self, key, y, **variables):
        """Keep the gradients of the loss of ``y`` by ``variables``, those of ``x`` in part."""
        found = torch.autograd.grad(loss(y), list(variables.values()), retain_graph=True)
        for name, gradient in zip(variables, found, strict=True):
            most = [49 if n > 512 else None for n in gradient.shape]
            self.add(f"{key}/grad_{name}", gradient, *most)
        return dict(zip(variables, found, strict=True))

    def save(self, name, packages):
        """Write the file, next to this script."""
        path = pathlib.Path(__file__).with_name(name)
        texts = {
            "meta": self.meta,
            "cases": self.cases,
            "versions": {package: importlib.metadata.version(package) for package in packages},
        }
        texts = {key: np.array(json.dumps(value)) for key, value in texts.items()}
        np.savez_compressed(path, **self.arrays, **texts)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def leaf(value):
    """A float64 tensor that is differentiated."""
    return torch.tensor(np.asarray(value, np.float64), requires_grad=True)


def same(what, mine, other, tolerance):
    """Refuse values that differ by more than ``tolerance`` of the largest one."""
    scale = other.abs().max().item() or 1.0
    error = (mine - other).abs().max().item() / scale
    print(f"    {what}: {error:.1e}")
    if not error <= tolerance:
        raise ValueError(f"{what}: {error}")
