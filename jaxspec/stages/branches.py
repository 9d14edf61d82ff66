"""The stage that lays side by side what several stages make of the same frames."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from jaxspec.reach import Reach
from jaxspec.stage import Params, Stage

__all__ = ["Beside"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Beside(Stage):
    """What several fixed stages make of the same frames, one after the other on the channel axis.

    Args:
      branches: at least one stage or `FrontEnd`; all take the same and give features, every frame
        by itself.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxspec import FrontEnd, stages
      >>> spectrum = FrontEnd(stages.RFFT(n_fft=2), stages.Power())
      >>> both = stages.Beside(branches=(stages.LogEnergy(amin=1.0), spectrum))
      >>> both(jnp.array([[1.0, 1.0]])).round(3)
      Array([[0.693, 4.   , 0.   ]], dtype=float32)
    """

    gives = "features"

    branches: tuple[Stage, ...]

    def __post_init__(self) -> None:
        self._set(branches=tuple(self.branches))
        if not self.branches or not all(isinstance(branch, Stage) for branch in self.branches):
            raise ValueError(f"branches must be stages, got branches={self.branches!r}")
        for branch in self.branches:
            if (branch.takes, branch.gives) != (self.takes, "features") or branch.param_shapes():
                raise ValueError(f"branches must lead alike to features and be fixed, got {branch}")
            if branch.reach != Reach():
                raise ValueError(f"branches must look at every frame by itself, got {branch}")

    @property
    def takes(self) -> str:  # type: ignore[override]
        """What the branches take."""
        return self.branches[0].takes

    def channels(self, n: int | None) -> int | None:
        counts = [branch.channels(n) for branch in self.branches]
        return None if None in counts else sum(c for c in counts if c is not None)

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return jnp.concatenate([branch.evaluate({}, x) for branch in self.branches], axis=-1)
