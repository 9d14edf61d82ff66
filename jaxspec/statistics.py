"""Mean, variance and range of every channel over a whole data set, batch by batch.

`feature_statistics` of every batch, merged in any order and grouping, also across processes, are
those of all frames; `FeatureStatistics.stage` is the stage that normalises by them, to be appended
to a front-end:

    total = FeatureStatistics.empty(80)
    for x, lengths in batches:
        total = total.merge(feature_statistics(frontend(x), lengths=lengths))
    frontend = FrontEnd(frontend, total.stage())

No digits are lost on the way: a batch is summed up on the device around its own mean, pairwise, in
float32 (or the dtype of wide features), and everything after that is NumPy's float64 on the host,
counts are ints.

Reference:
  B. P. Welford, "Note on a method for calculating corrected sums of squares and products",
  Technometrics 4, 1962; T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the
  sample variance: analysis and recommendations", The American Statistician 37, 1983.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from jaxspec._checks import check_choice, check_number, check_positive_int, check_real
from jaxspec._dtypes import as_computed
from jaxspec._extremes import smallest
from jaxspec._items import item_lengths
from jaxspec.stages.values import PLACES, Affine

__all__ = ["FeatureStatistics", "feature_statistics", "merge_statistics"]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FeatureStatistics:
    """How many frames there were, and the mean, the spread and the range of every channel.

    It is made by `feature_statistics`, `empty`, `merge` and `from_dict`. A pytree: it can be what a
    compiled function gives, but then its arrays are JAX's, in the dtype of the features (without
    x64 mode at most float32), until `merge` takes them to the host.

    Args:
      count: the number of frames, an int.
      mean: ``(channels,)``, float64; 0 where there are no frames.
      m2: the sum of the squares of what is off the mean, ``(channels,)``, float64.
      minimum, maximum: the smallest and the largest values, ``(channels,)``, float64; infinite
        where there are no frames.

    The methods need concrete values (TypeError under ``jit``), and of one set of statistics:
    arrays of other than one axis, as ``jax.vmap`` gives them, raise a ValueError.

    Example:
      >>> import numpy as np
      >>> from jaxspec.statistics import feature_statistics
      >>> x = 3 + np.sin(np.arange(50.0))[:, None]
      >>> found = feature_statistics(x[:20]).merge(feature_statistics(x[20:]))
      >>> found.count, found.mean.round(5), found.maximum.round(5)
      (50, array([3.00327]), array([3.99991]))
      >>> found.deviation().round(6), found.deviation(ddof=1).round(6)
      (array([0.707762]), array([0.714947]))
    """

    count: int
    mean: np.ndarray
    m2: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray

    @classmethod
    def empty(cls, n_channels: int) -> Self:
        """The statistics of no frames; merging with them changes nothing.

        Example:
          >>> from jaxspec.statistics import FeatureStatistics
          >>> FeatureStatistics.empty(80).count
          0
        """
        zeros = np.zeros(check_positive_int("n_channels", n_channels))
        infinite = zeros + np.inf
        return cls(count=0, mean=zeros, m2=zeros, minimum=infinite, maximum=-infinite)

    def merge(self, other: FeatureStatistics) -> FeatureStatistics:
        """The statistics of the frames of both: `merge_statistics`."""
        return merge_statistics(self, other)

    def variance(self, *, ddof: int = 0) -> np.ndarray:
        """The variance of every channel, ``(channels,)``, float64.

        Args:
          ddof: 0, or 1 for the unbiased estimate (of a single frame: 0).

        Raises:
          ValueError: if there are no frames.
        """
        check_choice("ddof", ddof, (0, 1))
        own = _on_host("statistics", self)
        if not own.count:
            raise ValueError("statistics must be of at least 1 frame, got count=0")
        return own.m2 / max(own.count - ddof, 1)

    def deviation(self, *, ddof: int = 0) -> np.ndarray:
        """The standard deviation of every channel: the root of `variance`."""
        return np.sqrt(self.variance(ddof=ddof))

    def stage(
        self,
        *,
        deviation: bool = True,
        ddof: int = 0,
        eps: float = 1e-5,
        eps_in: str = "deviation",
    ) -> Affine:
        """The stage that takes the mean off and divides by the standard deviation.

        It is what `jaxspec.stages.Normalize` with these options does by the statistics of one clip:
        ``scale = 1 / (deviation + eps)``, ``offset = -mean * scale``.

        Args:
          deviation: whether to divide by the standard deviation.
          ddof: as in `variance`.
          eps: at least 0; keeps constant channels finite. With 0, a deviation of 0 counts as 1.
          eps_in: what ``eps`` is added to, the ``"deviation"`` or the ``"variance"``.

        Raises:
          ValueError: if there are no frames, values are not finite, or options have no effect.

        Example:
          >>> import numpy as np
          >>> from jaxspec.statistics import feature_statistics
          >>> feature_statistics(np.array([[1.0, 0.0], [3.0, 4.0]])).stage(eps=0)
          Affine(scale=Table([1.0, 0.5]), offset=Table([-2.0, -1.0]))
        """
        check_choice("eps_in", eps_in, PLACES)
        eps = check_number("eps", eps, at_least=0)
        variance, mean = self.variance(ddof=ddof), _on_host("statistics", self).mean
        if not deviation:
            if (ddof, eps, eps_in) != (0, 1e-5, "deviation"):
                raise ValueError(
                    f"ddof, eps and eps_in have no effect with deviation=False, got ddof={ddof}, "
                    f"eps={eps:g} and eps_in={eps_in!r}"
                )
            return Affine(offset=-mean)  # type: ignore[arg-type]
        divisor = np.sqrt(variance + eps) if eps_in == "variance" else np.sqrt(variance) + eps
        scale = 1 / np.where(divisor > 0, divisor, 1)
        return Affine(scale=scale, offset=-mean * scale)  # type: ignore[arg-type]

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary that ``json`` can write, for another process or for later.

        No digit is lost. Without frames, ``minimum`` and ``maximum`` are ``None``.

        Example:
          >>> import numpy as np
          >>> from jaxspec.statistics import feature_statistics
          >>> feature_statistics(np.array([[1.0], [3.0]])).to_dict()
          {'count': 2, 'mean': [2.0], 'm2': [2.0], 'minimum': [1.0], 'maximum': [3.0]}
        """
        own = _on_host("statistics", self)
        plain: dict[str, Any] = {name: getattr(own, name).tolist() for name in _ARRAYS}
        if not own.count:
            plain |= {"minimum": None, "maximum": None}
        return {"count": own.count} | plain

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> FeatureStatistics:
        """The statistics of a dictionary made by `to_dict`.

        Raises:
          TypeError: for what is no dictionary.
          ValueError: for other keys, a negative count or sum of squares, or numbers of channels
            that differ.

        Example:
          >>> from jaxspec.statistics import FeatureStatistics
          >>> again = FeatureStatistics.from_dict(FeatureStatistics.empty(2).to_dict())
          >>> again.count, again.mean
          (0, array([0., 0.]))
        """
        if not isinstance(description, Mapping):
            raise TypeError(
                f"description must be a dictionary as to_dict makes it (of JSON text, json.loads), "
                f"got a {type(description).__name__}"
            )
        if set(description) != {"count", *_ARRAYS}:
            raise ValueError(
                f"description must hold count, {', '.join(_ARRAYS)}; got "
                f"{', '.join(map(str, description)) or 'nothing'}"
            )
        fields = dict(description)
        count = check_positive_int("count", fields.pop("count"), minimum=0)
        if not count:
            return cls.empty(np.size(fields["mean"]))
        return _on_host("description", cls(count=count, **fields))


_PARTS = 16
_ARRAYS = tuple(f.name for f in dataclasses.fields(FeatureStatistics) if f.name != "count")


def merge_statistics(a: FeatureStatistics, b: FeatureStatistics) -> FeatureStatistics:
    """The statistics of the frames of both.

    Up to float64 rounding, neither the order nor the grouping matters, so that processes may each
    go through a part of a data set. (Exchange `FeatureStatistics.to_dict`, or the int and the NumPy
    arrays: JAX's own exchanges would round them to float32.)

    Args:
      a, b: of the same number of channels, with concrete values; those without frames change
        nothing.

    Returns:
      statistics whose arrays are NumPy's, float64.

    Raises:
      TypeError: if values are traced.
      ValueError: if they are of different numbers of channels.

    Example:
      >>> import numpy as np
      >>> from jaxspec.statistics import feature_statistics, merge_statistics
      >>> a, b = (feature_statistics(np.array([[value]])) for value in (1.0, 3.0))
      >>> merged = merge_statistics(a, b)
      >>> merged.mean, merged.variance()
      (array([2.]), array([1.]))

    Reference:
      Chan, Golub and LeVeque, 1983 (see `jaxspec.statistics`).
    """
    a, b = _on_host("a", a), _on_host("b", b)
    if a.mean.shape != b.mean.shape:
        raise ValueError(
            f"a and b must be of the same number of channels, got {a.mean.size} and {b.mean.size}"
        )
    if not a.count or not b.count:
        return a if not b.count else b
    count = a.count + b.count
    apart = b.mean - a.mean
    return FeatureStatistics(
        count=count,
        mean=a.mean + apart * (b.count / count),
        m2=a.m2 + b.m2 + apart**2 * (a.count * (b.count / count)),
        minimum=np.minimum(a.minimum, b.minimum),
        maximum=np.maximum(a.maximum, b.maximum),
    )


def feature_statistics(
    x: ArrayLike | jax.Array, *, lengths: ArrayLike | jax.Array | None = None
) -> FeatureStatistics:
    """The statistics of every channel over all frames of a batch.

    Called as it is, it gives NumPy arrays, float64. Under ``jit`` it gives JAX's in the dtype of
    the computation, with a mean that is rounded to it; a batch may hold up to 2^31 - 1 frames.
    Every new shape is compiled once.

    Args:
      x: features ``(..., frames, channels)``; half precision is computed in float32. What is off
        the mean by more than 1e18 or so has no square in float32.
      lengths: how many frames of each item are its own, ints ``(...)`` of the leading axes or the
        first of them, from 0 to ``frames``; what stands behind them does not count, even if it is
        NaN. Default: all. Traced ones are not checked, but held within this range.

    Returns:
      `FeatureStatistics`; of no frames, if there are none.

    Raises:
      TypeError: if ``x`` is not floating point or ``lengths`` are no ints.
      ValueError: if ``x`` has fewer than 2 axes, or ``lengths`` another shape than the leading axes
        of ``x`` or values out of range.

    Example:
      >>> import numpy as np
      >>> from jaxspec.statistics import feature_statistics
      >>> x = np.array([[[1.0], [3.0]], [[5.0], [np.nan]]])
      >>> found = feature_statistics(x, lengths=[2, 1])
      >>> found.count, found.mean, found.variance(ddof=1)
      (3, array([3.]), array([4.]))

    Reference:
      Chan, Golub and LeVeque, 1983 (see `jaxspec.statistics`): the corrected two-pass algorithm,
      with pairwise sums.
    """
    array = check_real("x", x, ndim=2)
    sums = _sums(array, item_lengths(lengths, array.shape[:-2], array.shape[-2]))
    if any(isinstance(leaf, jax.core.Tracer) for leaf in sums.values()):
        return _of_sums(jnp, **sums)
    wide: dict[str, Any] = {name: np.asarray(leaf, np.float64) for name, leaf in sums.items()}
    return _of_sums(np, **wide | {"count": int(sums["count"])})


def _of_sums(
    xp: Any, *, count: Any, middle: Any, first: Any, second: Any, minimum: Any, maximum: Any
) -> FeatureStatistics:
    """The statistics of sums of differences from ``middle`` and of their squares."""
    off = first / xp.maximum(count, 1).astype(first.dtype)
    square = second - off * first
    # Exactly, so that a constant channel is one in all of the data set.
    constant = minimum == maximum
    return FeatureStatistics(
        count=count,
        mean=xp.where(constant, minimum, middle + off),
        m2=xp.where(constant | (square < 0), 0, square),
        minimum=minimum,
        maximum=maximum,
    )


@jax.jit
def _sums(x: jax.Array, lengths: jax.Array) -> dict[str, jax.Array]:
    """The sums of a batch around its mean, which are small: in float32 they keep their digits."""
    x = as_computed(x)
    frames, channels = x.shape[-2:]
    own = jnp.arange(frames) < lengths[..., None]
    x, own = x.reshape(-1, channels), own.reshape(-1, 1)
    count = jnp.sum(lengths, dtype=jnp.int32)
    middle = _sum(jnp.where(own, x, 0)) / jnp.maximum(count, 1).astype(x.dtype)
    # Of half the digits: a compiler may compute the mean anew where it is taken off, and round
    # otherwise than here. What is left of it is in the first sum, its slope too.
    kind = jnp.finfo(x.dtype)
    middle = jax.lax.stop_gradient(jax.lax.reduce_precision(middle, kind.nexp, kind.nmant // 2))
    off = jnp.where(own, x - middle, 0)
    return {
        "count": count,
        "middle": middle,
        "first": _sum(off),
        "second": _sum(off**2),
        "minimum": _smallest(jnp.where(own, x, jnp.inf)),
        "maximum": -_smallest(jnp.where(own, -x, jnp.inf)),
    }


def _smallest(x: jax.Array) -> jax.Array:
    return smallest(x, 0)[0] if len(x) else jnp.full(x.shape[1:], jnp.inf, x.dtype)


def _sum(x: jax.Array) -> jax.Array:
    """The sum over the first axis, in parts of parts: the rounding of n terms grows as log n.

    A sum by XLA may add one after the other, and loses digits of millions.
    """
    while len(x) > _PARTS:
        size = len(x) // _PARTS
        part = sum(x[k * size : (k + 1) * size] for k in range(_PARTS))
        x = jnp.concatenate([part, x[_PARTS * size :]])
    return jnp.sum(x, axis=0)


def _on_host(name: str, statistics: FeatureStatistics) -> FeatureStatistics:
    """With an int and NumPy's float64 arrays, if they belong together."""
    if not isinstance(statistics, FeatureStatistics):
        raise TypeError(f"{name} must be FeatureStatistics, got a {type(statistics).__name__}")
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(statistics)):
        raise TypeError(
            f"{name} must hold concrete values, got traced ones; merge statistics outside of jit"
        )
    arrays = {field: np.asarray(getattr(statistics, field), np.float64) for field in _ARRAYS}
    shapes = {field: array.shape for field, array in arrays.items()}
    if len(set(shapes.values())) > 1 or arrays["mean"].ndim != 1:
        raise ValueError(
            f"{name} must hold arrays of one shape (channels,), got "
            f"{', '.join(f'{field} {shape}' for field, shape in shapes.items())}"
        )
    if (arrays["m2"] < 0).any():
        raise ValueError(f"m2 of {name} must not be negative, got {arrays['m2'].min():g}")
    return FeatureStatistics(count=int(statistics.count), **arrays)
