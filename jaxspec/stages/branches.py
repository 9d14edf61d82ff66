"""The stage that lays side by side what several stages or chains make of the same input."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxspec.reach import Reach
from jaxspec.stage import Carry, Length, Params, Stage

__all__ = ["Beside"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Beside(Stage):
    """What several stages or chains make of the same input, one after the other on the channels.

    Args:
      branches: at least one stage or `FrontEnd`; all take the same and give features, with frames
        equally far apart, as many of them, and their middles at the same times.

    Parameters are a dictionary with one entry for each branch that has any, under its number:
    ``"0"``, ``"1"``, …

    Raises:
      ValueError: for branches that do not fit together, for clips of which they make different
        numbers of frames, too.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxspec import FrontEnd, stages
      >>> spectrum = FrontEnd(stages.RFFT(n_fft=2), stages.Power())
      >>> both = stages.Beside(branches=(stages.LogEnergy(amin=1.0), spectrum))
      >>> both(jnp.array([[1.0, 1.0]])).round(3)
      Array([[0.693, 4.   , 0.   ]], dtype=float32)
      >>> long, short = (
      ...     FrontEnd(
      ...         stages.STFT(n_fft=n_fft, hop_length=160),
      ...         stages.Power(),
      ...         stages.Filterbank(sample_rate=16000, n_fft=n_fft, n_bands=20, layout="gaps"),
      ...     )
      ...     for n_fft in (1024, 256)
      ... )
      >>> two = stages.Beside(branches=(long, short))
      >>> params = two.init(jax.random.key(0))
      >>> two.apply(params, jnp.zeros(16000)).shape, sorted(params)
      ((101, 40), ['0', '1'])
    """

    gives = "features"

    branches: tuple[Stage, ...]

    def __post_init__(self) -> None:
        self._set(branches=tuple(self.branches))
        if not self.branches or not all(isinstance(branch, Stage) for branch in self.branches):
            raise ValueError(f"branches must be stages, got branches={self.branches!r}")
        for branch in self.branches:
            if (branch.takes, branch.gives) != (self.takes, "features"):
                raise ValueError(f"branches must lead alike to features, got {branch}")
        for name, values in (
            ("frames equally far apart", [b.reach.stride for b in self.branches]),
            ("frames with their middles at the same positions", [b.middle for b in self.branches]),
        ):
            if len(set(values)) > 1:
                raise ValueError(f"branches must give {name}, got {values}")
        rates = {r for r in (_rate(branch) for branch in self.branches) if r is not None}
        if len(rates) > 1:
            raise ValueError(f"branches must state the same sample_rate, got {sorted(rates)}")

    @property
    def takes(self) -> str:  # type: ignore[override]
        """What the branches take."""
        return self.branches[0].takes

    @property
    def sample_rate(self) -> float | None:
        """Hz, as far as a branch states it."""
        return next((r for r in (_rate(branch) for branch in self.branches) if r is not None), None)

    @property
    def whole(self) -> bool:
        """Whether every branch must be evaluated on a whole clip, with edges of its own."""
        return self.reach != Reach()

    @property
    def reach(self) -> Reach:
        reaches = [branch.reach for branch in self.branches]
        return Reach(
            stride=reaches[0].stride,
            before=max(r.before for r in reaches),
            after=max(r.after for r in reaches),
            past=any(r.past for r in reaches),
            clip=any(r.clip for r in reaches),
        )

    @property
    def edge_reach(self) -> int:
        return max(branch.edge_reach for branch in self.branches)

    @property
    def middle(self) -> float:
        return self.branches[0].middle

    def length(self, n: Any) -> Any:
        lengths = [branch.length(n) for branch in self.branches]
        if all(isinstance(length, int) for length in lengths) and len(set(lengths)) > 1:
            raise ValueError(
                f"branches must give equally many frames, got {lengths} of {n} positions"
            )
        return lengths[0]

    def channels(self, n: int | None) -> int | None:
        counts = [branch.channels(n) for branch in self.branches]
        return None if None in counts else sum(c for c in counts if c is not None)

    def init(self, key: jax.Array, *, dtype: Any = jnp.float32) -> Params:
        keys = jax.random.split(key, len(self.branches))
        params = {
            str(number): branch.init(own, dtype=dtype)
            for number, (branch, own) in enumerate(zip(self.branches, keys, strict=True))
        }
        return {name: own for name, own in params.items() if own}

    def each(self, params: Params) -> list[tuple[str, Stage, Params]]:
        """Every branch with its number and its parameters."""
        return [(str(i), b, params.get(str(i), {})) for i, b in enumerate(self.branches)]

    def _frozen(self, params: Params) -> Stage:
        return type(self)(
            branches=tuple(branch.freeze(own) for _, branch, own in self.each(params))
        )

    def _arrays(self, params: Params) -> dict[str, Any]:
        arrays = {number: branch.arrays(own) for number, branch, own in self.each(params)}
        return {number: own for number, own in arrays.items() if own}

    def _findings(self, params: Params) -> list[str]:
        return [f"{i}: {text}" for i, b, own in self.each(params) for text in b.check(own)]

    def evaluate(self, params: Params, x: jax.Array, length: Length = None) -> jax.Array:
        self.length(x.shape[-1] if self.takes == "waveform" else x.shape[-2])
        outputs = [branch.evaluate(own, x, length) for _, branch, own in self.each(params)]
        return jnp.concatenate(outputs, axis=-1)

    def extend(self, x: jax.Array, length: Length = None) -> jax.Array:
        self._refuse_pieces("extend")
        return x

    def initial_carry(self, params: Params, x: jax.Array) -> Carry:
        self._refuse_pieces("initial_carry")

    def advance(self, params: Params, carry: Carry, x: jax.Array) -> tuple[Carry, jax.Array]:
        self._refuse_pieces("advance")
        return carry, self.evaluate(params, x)

    def _refuse_pieces(self, method: str) -> None:
        if self.whole:
            raise NotImplementedError(
                f"Beside.{method}: branches with edges of their own are evaluated as a whole, by "
                f"apply"
            )


def _rate(branch: Stage) -> float | None:
    return getattr(branch, "sample_rate", None)
