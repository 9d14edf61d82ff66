"""Stages that smooth every channel over time and keep fewer frames."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_choice, check_positive_int
from jaxspec.learning import Names
from jaxspec.reach import Reach
from jaxspec.stage import Length, Params
from jaxspec.stages._banded import Quantity, _Banded
from jaxspec.stages.padding import at_least, with_zeros
from jaxspec.table import Table

__all__ = ["GaussianPool"]

NORMS = ("sum", "peak")


@dataclasses.dataclass(frozen=True, kw_only=True)
class GaussianPool(_Banded):
    """Gaussian averages over neighbouring frames, of every ``stride``-th one; fixed or learned.

    Args:
      size: frames that are seen, odd.
      stride: frames from one output to the next.
      deviation: standard deviation in frames, above 0, a number or an array with one for every
        channel (held as `jaxspec.Table`); learned, it starts there and keeps within a factor of
        100.
      offset: the frame in the middle of output 0, at least 0. Beyond the clip stand zeros.
      norm: ``"sum"``: the weights add up to 1 (before the zeros at the ends); ``"peak"``: the
        largest is 1, so that wider Gaussians give larger values.
      learn: ``"deviation"`` or ``"all"`` to learn it; default: not.
      n_bands: number of channels, each with a parameter of its own; ``None``: all share one.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> pool = jaxspec.stages.GaussianPool(size=41, stride=16, deviation=8.0)
      >>> pool(jnp.ones((2, 1600, 40))).shape
      (2, 100, 40)

    Reference:
      N. Zeghidour, O. Teboul, F. de Chaumont Quitry and M. Tagliasacchi, "LEAF: a learnable
      frontend for audio classification", ICLR 2021 (``norm="peak"``).
    """

    quantities: ClassVar[dict[str, Quantity]] = {
        "deviation": Quantity({"above": 0}, 0.0, factor=100.0)
    }

    size: int
    stride: int = 1
    deviation: float | Table
    offset: int = 0
    norm: str = "sum"
    learn: Names = ()
    n_bands: int | None = None

    def __post_init__(self) -> None:
        size = check_positive_int("size", self.size)
        if size % 2 == 0:
            raise ValueError(f"size must be odd, so that there is a middle, got size={size}")
        self._set(size=size, stride=check_positive_int("stride", self.stride))
        self._set(offset=check_positive_int("offset", self.offset, minimum=0))
        check_choice("norm", self.norm, NORMS)
        self._check_quantities()

    @property
    def reach(self) -> Reach:
        half = self.size // 2
        return Reach(stride=self.stride, before=half - self.offset, after=half + self.offset)

    @property
    def middle(self) -> float:
        return self.offset

    def length(self, n: Any) -> Any:
        return at_least((n - 1 - self.offset) // self.stride + 1, 0)

    def extend(self, x: jax.Array, length: Length = None) -> jax.Array:
        if length is not None:
            x = jnp.where(jnp.arange(x.shape[-2])[:, None] < length, x, 0)
        half = self.size // 2
        before = half - self.offset
        x = x[..., max(-before, 0) :, :]
        return jnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(max(before, 0), half), (0, 0)])

    def kernel(self, params: Params, *, dtype: Any = jnp.float32) -> jax.Array:
        """The weights at these parameters, ``(size, channels)``, or ``(size, 1)`` for all."""
        deviation = jnp.atleast_1d(jnp.asarray(self.values(params)["deviation"], dtype))
        position = jnp.asarray(np.arange(self.size) - self.size // 2, dtype)[:, None]
        weights = jnp.exp(-0.5 * (position / deviation) ** 2)
        return weights / weights.sum(axis=0) if self.norm == "sum" else weights

    def prepare(self, params: Params) -> Params:
        if not params:
            return {}
        return {"kernel": self.kernel(params, dtype=jnp.result_type(*params.values()))}

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        kernel = params["kernel"] if params else self.kernel({}, dtype=x.dtype)
        return _weighted_sums(x, kernel.astype(x.dtype), stride=self.stride)


# More blocks than that to a kernel are windows that are copied.
_MOST_BLOCKS = 16


def _weighted_sums(x: jax.Array, kernel: jax.Array, *, stride: int) -> jax.Array:
    """Every ``stride``-th sum of neighbouring frames, weighted by ``(size, channels)``.

    A kernel covers a few blocks of ``stride`` frames, so nothing is copied: blocks are weighted and
    added first, and then the frames of what they add up to.
    """
    size = kernel.shape[0]
    count, blocks = max((x.shape[-2] - size) // stride + 1, 0), -(-size // stride)
    if blocks > _MOST_BLOCKS:
        first = stride * np.arange(count)[:, None]
        return (x[..., first + np.arange(size), :] * kernel).sum(axis=-2)
    frames = (count + blocks - 1) * stride
    x = with_zeros(x[..., :frames, :], max(frames - x.shape[-2], 0), axis=-2)
    x = x.reshape(*x.shape[:-2], count + blocks - 1, stride, x.shape[-1])
    weights = with_zeros(kernel, blocks * stride - size, axis=0).reshape(blocks, stride, -1)
    sums = sum(
        (x[..., i : i + count, :, :] * weights[i] for i in range(1, blocks)),
        x[..., :count, :, :] * weights[0],
    )
    while sums.shape[-2] % 2 == 0:  # by halves, which a compiler finds easier than a reduction
        half = sums.shape[-2] // 2
        sums = sums[..., :half, :] + sums[..., half:, :]
    return sums.sum(axis=-2)
