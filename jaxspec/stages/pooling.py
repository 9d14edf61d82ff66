"""Stages that pool every channel over time and keep fewer frames."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_choice, check_positive_int, told
from jaxspec._sizes import at_least
from jaxspec.framing import only_first, start_need
from jaxspec.learning import Names, check_learn, learned_names
from jaxspec.pooling import largest_of_windows, weighted_windows
from jaxspec.reach import Reach
from jaxspec.smoothing import exponential_smoothing
from jaxspec.stage import Carry, Length, Params, Stage
from jaxspec.stages._banded import Quantity, _Banded
from jaxspec.table import Table
from jaxspec.windows import window

__all__ = ["Decimate", "ExponentialSmoothing", "FreePool", "GaussianPool", "MaxPool"]

NORMS = ("sum", "peak")
STARTS = ("first", "zeros")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Pool(Stage):
    """Windows of ``size`` frames, of every ``stride``-th frame."""

    takes = "features"
    gives = "features"
    edge_choices: ClassVar[tuple[str, ...]] = ("zeros", "whole")
    beyond: ClassVar[float] = 0.0  # what stands beyond the ends

    size: int
    stride: int = 1
    offset: int | None = None
    edges: str | None = None

    def _check_windows(self) -> None:
        """To be called in ``__post_init__``."""
        self._set(size=check_positive_int("size", self.size))
        self._set(stride=check_positive_int("stride", self.stride))
        self._set(edges=self.edge_choices[0] if self.edges is None else self.edges)
        check_choice("edges", self.edges, self.edge_choices)
        least = self.size // 2 if self.edges == "whole" else 0
        offset = least if self.offset is None else self.offset
        self._set(offset=check_positive_int("offset", offset, minimum=least))

    @property
    def reach(self) -> Reach:
        before = self.size // 2 - self._offset
        return Reach(stride=self.stride, before=before, after=self.size - 1 - before)

    @property
    def _offset(self) -> int:
        assert self.offset is not None
        return self.offset

    @property
    def _behind(self) -> int:
        """Frames of a window after its middle."""
        return self.size - 1 - self.size // 2

    @property
    def start_need(self) -> int:
        return start_need(self.reach.before, "constant")

    @property
    def middle(self) -> float:
        return self._offset

    def length(self, n: Any) -> Any:
        behind = self._behind if self.edges == "whole" else 0
        return at_least((n - 1 - self._offset - behind) // self.stride + 1, 0)

    def extend(self, x: jax.Array, length: Length = None) -> jax.Array:
        before = self.size // 2 - self._offset
        if self.edges != "whole":
            x = only_first(x, length, axis=-2, value=self.beyond)
            ends = [(0, 0)] * (x.ndim - 2) + [(max(before, 0), self._behind), (0, 0)]
            return jnp.pad(x[..., max(-before, 0) :, :], ends, constant_values=self.beyond)
        return x[..., -before:, :]

    def prepare(self, params: Params) -> Params:
        if not params:
            return {}
        return {"kernel": self.kernel(params, dtype=jnp.result_type(*params.values()))}

    def kernel(self, params: Params, *, dtype: Any = jnp.float32) -> jax.Array:
        """The weights at these parameters, ``(size, channels)``, or ``(size, 1)`` for all."""
        raise NotImplementedError

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        kernel = params["kernel"] if params else self.kernel({}, dtype=x.dtype)
        return weighted_windows(x, kernel.astype(x.dtype), stride=self.stride)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GaussianPool(_Pool, _Banded):
    """Gaussian averages over neighbouring frames, of every ``stride``-th one; fixed or learned.

    Args:
      size: frames that are seen, odd.
      stride: frames from one output to the next.
      deviation: standard deviation in frames, above 0, a number or an array with one for every
        channel (held as `jaxspec.Table`); learned, it starts there and keeps within a factor of
        100.
      offset: the frame in the middle of output 0, at least 0; default 0, and ``size // 2`` with
        ``edges="whole"``, where it is the least.
      edges: ``"zeros"``: beyond the clip stand zeros; ``"whole"``: windows lie within the clip.
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

    deviation: float | Table
    norm: str = "sum"
    learn: Names = ()
    n_bands: int | None = None

    def __post_init__(self) -> None:
        self._check_windows()
        if self.size % 2 == 0:
            raise ValueError(f"size must be odd, so that there is a middle, got size={self.size}")
        check_choice("norm", self.norm, NORMS)
        self._check_quantities()

    def kernel(self, params: Params, *, dtype: Any = jnp.float32) -> jax.Array:
        """The weights at these parameters, ``(size, channels)``, or ``(size, 1)`` for all."""
        deviation = jnp.atleast_1d(jnp.asarray(self.values(params)["deviation"], dtype))
        position = jnp.asarray(np.arange(self.size) - self.size // 2, dtype)[:, None]
        weights = jnp.exp(-0.5 * (position / deviation) ** 2)
        return weights / weights.sum(axis=0) if self.norm == "sum" else weights


@dataclasses.dataclass(frozen=True, kw_only=True)
class FreePool(_Pool):
    """Weighted sums of neighbouring frames, of every ``stride``-th one, with free weights.

    Args:
      size: frames that are seen.
      stride, offset, edges: as in `GaussianPool`.
      weights: the weights at the start: a name as of `jaxspec.window` (symmetric), or values
        ``(size,)`` or ``(size, channels)``.
      learn: ``"weights"`` or ``"all"``: parameters that are added to them, 0 at the start; or
        ``()``.
      n_bands: number of channels, each with weights of its own; ``None``: all share them (or as
        many as ``weights`` has).

    Raises:
      ValueError: for weights of another shape.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> pool = jaxspec.stages.FreePool(size=401, stride=160, n_bands=40)
      >>> params = pool.init(jax.random.key(0))
      >>> pool.apply(params, jnp.ones((2, 16000, 40))).shape, params["weights"].shape
      ((2, 100, 40), (401, 40))

    Reference:
      N. Zeghidour, N. Usunier, I. Kokkinos, T. Schatz, G. Synnaeve and E. Dupoux, "Learning
      filterbanks from raw speech for phone recognition", ICASSP 2018.
    """

    matrix_params = ("weights",)

    weights: str | Table = "hann"
    learn: Names = "all"
    n_bands: int | None = None

    def __post_init__(self) -> None:
        self._check_windows()
        self._set(learn=check_learn(self.learn, ("weights",), "FreePool"))
        if self.n_bands is not None:
            self._set(n_bands=check_positive_int("n_bands", self.n_bands))
        if not isinstance(self.weights, str):
            self._check_weights()
        elif self.n_bands is not None and not self.learn:
            raise ValueError(
                f"n_bands has no effect on fixed weights of all bands, got n_bands={self.n_bands}"
            )
        self._start()

    def _check_weights(self) -> None:
        self._set(weights=Table(self.weights))
        assert isinstance(self.weights, Table)
        shape = self.weights.shape
        own = shape[1] if len(shape) == 2 else None
        if len(shape) not in (1, 2) or shape[0] != self.size:
            raise ValueError(
                f"weights must have shape (size,) or (size, channels) with size={self.size}, got "
                f"{shape}"
            )
        if own is not None and self.n_bands not in (None, own):
            raise ValueError(
                f"n_bands must be that of weights or left out, got n_bands={self.n_bands} and "
                f"weights of {own}"
            )
        if own is not None:
            self._set(n_bands=own)

    def _start(self) -> np.ndarray:
        """``(size, 1)`` or ``(size, channels)``."""
        if isinstance(self.weights, str):
            return window(self.weights, self.size, periodic=False)[:, None]
        values = self.weights.values
        return values[:, None] if values.ndim == 1 else values

    def channels(self, n: int | None) -> int | None:
        if self.n_bands is not None and n not in (None, self.n_bands):
            raise ValueError(
                f"the number of channels must be n_bands, got {n} and n_bands={self.n_bands}"
            )
        return n if self.n_bands is None else self.n_bands

    def init(self, key: jax.Array, *, dtype: Any = jnp.float32) -> Params:
        shape = (self.size, self.n_bands or 1)
        return {n: jnp.zeros(shape, dtype) for n in learned_names(self.learn, ("weights",))}

    def kernel(self, params: Params, *, dtype: Any = jnp.float32) -> jax.Array:
        """The weights at these parameters, ``(size, channels)``, or ``(size, 1)`` for all."""
        self._check_known(params)
        wide = jnp.result_type(dtype, *params.values())
        return jnp.asarray(self._start(), wide) + params.get("weights", 0)

    def _arrays(self, params: Params) -> dict[str, Any]:
        return {"weights": self.kernel(params)}

    def _findings(self, params: Params) -> list[str]:
        sums = np.asarray(self.kernel(params)).sum(axis=0)
        negative = np.flatnonzero(sums <= 0)
        if not negative.size:
            return []
        return [
            f"{told(negative, what='channel')} averaged with weights that add up to "
            f"{sums[negative].min():.3g}, not to more than 0"
        ]

    def _frozen(self, params: Params) -> Stage:
        weights = self.arrays(params)["weights"]
        shared = self.n_bands is None
        fixed = Table(weights[:, 0] if shared else weights)
        return dataclasses.replace(self, weights=fixed, learn=())


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaxPool(_Pool):
    """The largest of neighbouring frames, of every ``stride``-th one.

    Args:
      size: frames that are seen.
      stride, offset: as in `GaussianPool`; ``edges="whole"`` starts with the first ``size`` frames.
      edges: ``"shorter"``: what lies beyond the clip does not count; ``"whole"``: windows lie
        within the clip.

    Where several are the largest, the gradient goes to the first.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> pool = jaxspec.stages.MaxPool(size=3, stride=3, edges="whole")
      >>> pool(jnp.array([[1.0], [3.0], [2.0], [5.0]]))[:, 0]
      Array([3.], dtype=float32)
    """

    edge_choices: ClassVar[tuple[str, ...]] = ("shorter", "whole")
    beyond: ClassVar[float] = float("-inf")

    def __post_init__(self) -> None:
        self._check_windows()

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return largest_of_windows(x, size=self.size, stride=self.stride)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decimate(Stage):
    """Every ``stride``-th frame, nothing of the others; after `ExponentialSmoothing` for instance.

    Args:
      stride: frames from one that is kept to the next.
      offset: the first that is kept, at least 0.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.stages.Decimate(stride=2, offset=1)(jnp.arange(5.0)[:, None])[:, 0]
      Array([1., 3.], dtype=float32)
    """

    takes = "features"
    gives = "features"

    stride: int
    offset: int = 0

    def __post_init__(self) -> None:
        self._set(stride=check_positive_int("stride", self.stride))
        self._set(offset=check_positive_int("offset", self.offset, minimum=0))

    @property
    def reach(self) -> Reach:
        return Reach(stride=self.stride, before=-self.offset, after=self.offset)

    @property
    def middle(self) -> float:
        return self.offset

    def length(self, n: Any) -> Any:
        return at_least((n - 1 - self.offset) // self.stride + 1, 0)

    def extend(self, x: jax.Array, length: Length = None) -> jax.Array:
        return x[..., self.offset :, :]

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return x[..., :: self.stride, :]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExponentialSmoothing(_Banded):
    """Exponential moving averages of every channel, fixed or learned (reach ``"past"``).

    ``m[t] = (1 - s) m[t - 1] + s x[t]``, as `jaxspec.exponential_smoothing`.

    Args:
      smoothing: ``s``, above 0 and at most 1, a number or an array with one for every channel;
        learned, it keeps between 0.0001 and 0.9999.
      start: what ``m[-1]`` is: the ``"first"`` frame, as if it had always been there, or
        ``"zeros"``.
      learn: ``"smoothing"`` or ``"all"`` to learn it; default: not.
      n_bands: number of channels, each with a parameter of its own; ``None``: all share one.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> smooth = jaxspec.stages.ExponentialSmoothing(smoothing=0.5)
      >>> smooth(jnp.array([[1.0], [3.0]]))[:, 0]
      Array([1., 2.], dtype=float32)
    """

    quantities: ClassVar[dict[str, Quantity]] = {
        "smoothing": Quantity({"above": 0, "at_most": 1}, 1e-4, 0.9999)
    }

    linear_carry: ClassVar[bool] = True

    smoothing: float | Table
    start: str = "first"
    learn: Names = ()
    n_bands: int | None = None

    def __post_init__(self) -> None:
        check_choice("start", self.start, STARTS)
        self._check_quantities()

    @property
    def reach(self) -> Reach:
        return Reach(past=True)

    def initial_carry(self, params: Params, x: jax.Array) -> Carry:
        first = x[..., 0, :]
        return first if self.start == "first" else jnp.zeros_like(first)

    def advance(self, params: Params, carry: Carry, x: jax.Array) -> tuple[Carry, jax.Array]:
        smoothing = self.values(params)["smoothing"]
        y, level = exponential_smoothing(x, smoothing=smoothing, level=carry)
        return level, y
