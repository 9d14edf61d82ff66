"""Clips of different lengths in one padded array: each gives what it would give alone."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxspec._checks import check_choice, check_number
from jaxspec._items import item_lengths
from jaxspec.framing import only_first
from jaxspec.stage import Params, Stage, apply_unchecked

__all__ = ["Padded", "apply_padded"]

VALID = ("own", "any", "all", "center")


class Padded(NamedTuple):
    """Features of clips of different lengths.

    Attributes:
      features: ``(..., frames, channels)``, for a stage that gives waveforms ``(..., samples)``.
      lengths: int32 ``(...)``: how many frames each clip has; they come first.
      mask: booleans ``(..., frames)``: which frames count.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> scale = jaxspec.stages.Scale(factor=2)
      >>> features, lengths, mask = jaxspec.apply_padded(scale, {}, jnp.ones(3), lengths=2)
      >>> features, int(lengths)
      (Array([2., 2., 0.], dtype=float32), 2)
    """

    features: jax.Array
    lengths: jax.Array
    mask: jax.Array


def apply_padded(
    stage: Stage,
    params: Params,
    x: jax.Array,
    *,
    lengths: jax.Array,
    fill: float = 0.0,
    valid: str = "own",
) -> Padded:
    """``stage.apply`` of clips that are padded to a common length, each as if it were alone.

    Edges lie where a clip ends, statistics are those of its own frames. What stands in the padding
    is never looked at: NaN there changes nothing, and its gradient is exactly 0.

    Args:
      stage: any stage or `FrontEnd`.
      params: as in `Stage.apply`.
      x: what the stage takes, padded behind the end of each clip with anything: waveforms ``(...,
        samples)``, or features or a spectrum ``(..., frames, channels)``.
      lengths: ints, how many samples (or frames) each clip has: of the shape of the batch axes of
        ``x`` or of the first ones of them, such as ``(clips,)`` for ``(clips, microphones,
        samples)``. Traced lengths are held to the range from 0 to the padded length, others must
        lie in it.
      fill: the value of all frames behind those of a clip.
      valid: which of a clip's own frames the mask counts.
        ``"own"``: all of them. By what the frame sees, apart from a past that is handed on,
        ``"any"``: frames that see at least one sample of the clip; ``"all"``: those whose reach
        lies within it (`jaxspec.Reach`, which is a frame longer where the last frame of a clip is
        left out); ``"center"``: those whose middle lies in the clip. The features
        are the same with all of them. They differ where a stage lengthens clips: of the 3000
        frames of a clip for Whisper, ``"center"`` are those of its own duration.

    Returns:
      `Padded` ``(features, lengths, mask)``. There are as many frames as the padded length gives,
      or more where shorter clips can give more. A clip of which `Stage.apply` says that it holds no
      frame has none.

    Raises:
      TypeError: as `Stage.apply`, and for lengths that are no ints.
      ValueError: as `Stage.apply`, and for lengths of another shape, below 0 or above the padded
        length.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> frontend = jaxspec.presets.get("log_mel")
      >>> y = jaxspec.apply_padded(frontend, {}, jnp.ones((2, 16000)), lengths=[16000, 4000])
      >>> y.features.shape, y.lengths, y.mask.sum(axis=-1)
      ((2, 101, 80), Array([101,  26], dtype=int32), Array([101,  26], dtype=int32))
    """
    if not isinstance(stage, Stage):
        raise TypeError(f"stage must be a stage or a FrontEnd, got a {type(stage).__name__}")
    x = stage.check_input(x)
    stage.check_params(params)
    items = 1 if stage.takes == "waveform" else 2
    lengths = item_lengths(lengths, x.shape[:-items], x.shape[-items])
    fill = check_number("fill", fill)
    check_choice("valid", valid, VALID)
    return _padded(stage, params, x, lengths, fill, valid)


def applied(
    stage: Stage, params: Params, x: jax.Array, lengths: Any, *, fill: float, valid: str
) -> Any:
    """``stage.apply`` or, where there are lengths, `apply_padded`: what the modules call."""
    if lengths is not None:
        return apply_padded(stage, params, x, lengths=lengths, fill=fill, valid=valid)
    if (fill, valid) != (0.0, "own"):
        raise ValueError(
            f"fill and valid have no effect without lengths, got fill={fill} and valid={valid!r}"
        )
    return stage.apply(params, x)


@partial(jax.jit, static_argnums=(0, 4, 5))
def _padded(
    stage: Stage, params: Params, x: jax.Array, lengths: jax.Array, fill: float, valid: str
) -> Padded:
    one = partial(_one, stage, params, fill, valid)
    for _ in range(lengths.ndim):
        one = jax.vmap(one)
    return one(x, lengths)


def _one(
    stage: Stage, params: Params, fill: float, valid: str, x: jax.Array, length: jax.Array
) -> Padded:
    """The features of the first ``length`` positions of one item."""
    x = only_first(x, length, axis=-1 if stage.takes == "waveform" else -2)
    # Without any sample, statistics and edges would not be defined; such a clip has no frames.
    y = apply_unchecked(stage, params, x, jnp.maximum(length, 1))
    axis = -1 if stage.gives == "waveform" else -2
    count = jnp.where(length > 0, stage.length(length), 0).astype(jnp.int32)
    position = jnp.arange(y.shape[axis], dtype=jnp.int32)
    mask = position < count
    features = only_first(y, count, axis=axis, value=fill)
    if valid != "own":
        mask &= _seen(stage, valid, position, length)
    return Padded(features, count, mask)


def _seen(stage: Stage, valid: str, position: jax.Array, length: jax.Array) -> jax.Array:
    """Whether outputs see the clip as one of the words of `VALID` says."""
    reach = stage.reach
    at = position * reach.stride
    if valid == "center":
        middle = math.floor(stage.middle)
        return (at >= -middle) & (at < length - middle)
    if valid == "all":
        return (at >= reach.before) & (at < length - reach.after)
    return (at >= -reach.after) & (at < length + reach.before)
