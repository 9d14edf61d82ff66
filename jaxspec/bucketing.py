"""Clips of many lengths in a few compiled programs: lengths are rounded up to those of buckets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_positive_int
from jaxspec.framing import only_first
from jaxspec.stage import Params, Stage, apply_unchecked

__all__ = ["apply_bucketed", "bucket_length", "length_buckets"]

# Among more lengths than these, buckets end at quantiles: the cost of the search is quadratic.
_CANDIDATES = 512


def length_buckets(lengths: Iterable[int], *, n_buckets: int = 4) -> tuple[int, ...]:
    """The lengths of buckets that hold clips of these lengths with the least padding.

    Args:
      lengths: of the clips, in samples; each at least 1. Repeat a length that is more frequent.
      n_buckets: how many buckets there may be at most, each of which is a compilation.

    Returns:
      the lengths of the buckets in rising order, the last one that of the longest clip.

    Raises:
      ValueError: for no length, a length below 1, or fewer than 1 bucket.

    Example:
      >>> import jaxspec
      >>> jaxspec.length_buckets([900, 1000, 5000, 5100, 5200, 9000], n_buckets=3)
      (1000, 5200, 9000)
    """
    n_buckets = check_positive_int("n_buckets", n_buckets)
    clips = _each("lengths", lengths)
    ends, counts = np.unique(clips, return_counts=True)
    if len(ends) > _CANDIDATES:
        chosen = np.quantile(clips, np.linspace(0, 1, _CANDIDATES), method="higher")
        ends = np.unique(chosen.astype(np.int64))
        held = np.searchsorted(np.sort(clips), ends, side="right")
        counts = np.diff(held, prepend=0)
    # cost[i]: samples of the buckets so far, with the last one ending at ends[i].
    total = np.cumsum(counts)
    one_more = (total[None, :] - total[:, None]) * ends[None, :].astype(np.float64)
    cost = total * ends.astype(np.float64)
    before: list[np.ndarray] = []
    for _ in range(min(n_buckets, len(ends)) - 1):
        through = np.where(one_more > 0, cost[:, None] + one_more, np.inf)
        through[np.arange(len(ends)), np.arange(len(ends))] = cost  # a bucket less is allowed
        before.append(through.argmin(axis=0))
        cost = through.min(axis=0)
    path = [len(ends) - 1]
    for choice in reversed(before):
        path.append(int(choice[path[-1]]))
    return tuple(int(ends[i]) for i in sorted(set(path)))


def bucket_length(n_samples: int, *, buckets: Sequence[int] | None = None) -> int:
    """The smallest bucket that holds a clip.

    Args:
      n_samples: length of the clip in samples.
      buckets: lengths of the buckets, from `length_buckets`. ``None``: the powers of two, for clips
        whose lengths are not known before; they can double a short clip.

    Raises:
      ValueError: if no bucket is long enough.

    Example:
      >>> import jaxspec
      >>> jaxspec.bucket_length(4000, buckets=(1000, 5200, 9000)), jaxspec.bucket_length(4000)
      (5200, 4096)
    """
    n_samples = check_positive_int("n_samples", n_samples)
    if buckets is None:
        return int(2 ** (n_samples - 1).bit_length())
    fitting = [bucket for bucket in _each("buckets", buckets) if bucket >= n_samples]
    if not fitting:
        raise ValueError(
            f"a clip of {n_samples} samples is longer than the longest of buckets={tuple(buckets)}"
        )
    return min(fitting)


def _each(name: str, lengths: Any) -> list[int]:
    """Lengths in samples, each of which must be an int of at least 1."""
    if not isinstance(lengths, Iterable):
        raise TypeError(f"{name} must be a sequence of ints, got {name}={lengths!r}")
    checked = [check_positive_int(f"each of {name}", n) for n in lengths]
    if not checked:
        raise ValueError(f"{name} must hold at least one length, got none")
    return checked


def apply_bucketed(
    stage: Stage, params: Params, x: Any, *, buckets: Sequence[int] | None = None
) -> tuple[jax.Array, int]:
    """``stage.apply(params, x)`` by one compiled program for all clips of a bucket.

    The edge of the clip is where it ends, not where its bucket does: the features are those of
    `Stage.apply`, and differentiable. Clips are padded on the host, before they go to a device;
    under ``jit`` every length has its own program all the same, as shapes are part of a program.

    Args:
      stage: a stage or `FrontEnd` that takes waveforms and gives frames.
      params: as in `Stage.apply`.
      x: waveform ``(..., samples)``, all of one length.
      buckets: as in `bucket_length`.

    Returns:
      the features ``(..., frames of the bucket, channels)``, 0 after the frames of the clip, and
      the number of the clip's own frames.

    Raises:
      TypeError: as `Stage.apply`.
      ValueError: as `Stage.apply` and `bucket_length`, and for a stage that does not fit.

    Example:
      >>> import numpy as np, jaxspec
      >>> frontend = jaxspec.presets.get("log_mel")
      >>> buckets = jaxspec.length_buckets([12000, 15000, 16000], n_buckets=1)
      >>> y, n_frames = jaxspec.apply_bucketed(frontend, {}, np.ones(12000, "f"), buckets=buckets)
      >>> y.shape, n_frames
      ((101, 80), 76)
    """
    if not isinstance(stage, Stage):
        raise TypeError(f"stage must be a stage or a FrontEnd, got a {type(stage).__name__}")
    if stage.takes != "waveform" or stage.gives == "waveform":
        raise ValueError(
            f"apply_bucketed needs a stage from waveforms to frames, got a {type(stage).__name__} "
            f"from {stage.takes} to {stage.gives}"
        )
    stage.check_params(params)
    traced = isinstance(x, jax.core.Tracer)
    x = x if traced else np.asarray(x)  # on a device, padding would be a program for every length
    samples = jnp.shape(x)[-1] if jnp.ndim(x) else 0
    if samples == 0 or not stage.length(samples):
        stage.apply(params, x)  # raises what is wrong with it
    size = bucket_length(samples, buckets=buckets)
    padding = [(0, 0)] * (jnp.ndim(x) - 1) + [(0, size - samples)]
    padded = jnp.pad(x, padding) if traced else np.pad(x, padding)
    return _masked(stage, params, padded, samples), stage.length(samples)


@partial(jax.jit, static_argnums=0)
def _masked(stage: Stage, params: Params, x: jax.Array, length: jax.Array) -> jax.Array:
    y = apply_unchecked(stage, params, stage.check_input(x), length)
    return only_first(y, stage.length(length), axis=-2)
