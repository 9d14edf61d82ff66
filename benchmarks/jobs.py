"""One call of a peer, in four steps: prepare, load the clips, run, and run again.

`prepare` compiles or warms up, so that neither a time nor a peak of memory contains it. `run`
returns when the output is there, and leaves it as the peer's own array on its own device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

DEVICE = "cpu"
"""Where the jobs of this process run: ``"cpu"`` or ``"gpu"``; set by `worker.start`."""


class Job:
    """``function(x)`` of a NumPy waveform, or of what ``place`` makes of it."""

    def __init__(
        self, function: Callable[[Any], Any], place: Callable[[np.ndarray], Any] = lambda x: x
    ) -> None:
        self.function = function
        self.place = place

    def prepare(self, shape: tuple[int, ...]) -> None:
        short = (*shape[:-1], min(shape[-1], 16000))
        noise = np.random.default_rng(0).standard_normal(short, dtype=np.float32)
        self.load(noise)
        self.run()

    def load(self, x: np.ndarray) -> None:
        self.x = self.place(x)

    def run(self) -> Any:
        return self.function(self.x)


class JaxJob(Job):
    """A compiled ``function(*constants, x)``; the constants are made before it is compiled."""

    def __init__(
        self, function: Callable[..., Any], constants: Callable[[], tuple[Any, ...]] = tuple
    ) -> None:
        self.function = function
        self.constants = constants

    def prepare(self, shape: tuple[int, ...]) -> None:
        import jax

        self.arguments = jax.device_put(self.constants())
        x = jax.ShapeDtypeStruct(shape, np.float32)
        self.compiled = jax.jit(self.function).lower(*self.arguments, x).compile()

    def load(self, x: np.ndarray) -> None:
        import jax

        self.x = jax.block_until_ready(jax.device_put(x))

    def run(self) -> Any:
        import jax

        return jax.block_until_ready(self.compiled(*self.arguments, self.x))


class TorchJob(Job):
    """``function(x)`` of a tensor on this process's device."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        import torch

        device = torch_device()
        super().__init__(function, lambda x: torch.from_numpy(x).to(device))

    def run(self) -> Any:
        import torch

        out = self.function(self.x)
        if DEVICE == "gpu":
            torch.cuda.synchronize()
        return out


def torch_device() -> str:
    import torch

    if DEVICE == "gpu" and not torch.cuda.is_available():
        raise RuntimeError("this torch has no CUDA")
    return "cuda" if DEVICE == "gpu" else "cpu"
