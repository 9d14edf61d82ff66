"""What is done to the waveform before it is cut into frames."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_choice, check_number, check_real, check_time_axis
from jaxspec._dtypes import as_computed, as_returned
from jaxspec._items import check_key
from jaxspec._sizes import at_most

__all__ = ["FIRST_SAMPLE_RULES", "dither", "pcm_to_float", "preemphasis", "sample_before"]

FIRST_SAMPLE_RULES = ("zero", "replicate", "librosa")


def pcm_to_float(x: jax.Array | np.ndarray) -> jax.Array:
    """Integer PCM samples as float32 in [-1, 1).

    Signed integers of b bits are divided by ``2 ** (b - 1)``; unsigned ones (8-bit WAV) have
    ``2 ** (b - 1)`` taken off first. 24-bit samples come from most readers as int32 whose low
    byte is 0, which is right as it is.

    Args:
      x: int8, int16, int32, uint8 or uint16 array of any shape.

    Raises:
      TypeError: if ``x`` is not an integer array.

    Example:
      >>> import numpy as np, jaxspec
      >>> jaxspec.pcm_to_float(np.array([-32768, 16384], np.int16))
      Array([-1. ,  0.5], dtype=float32)
    """
    x = x if isinstance(x, jax.Array) else np.asarray(x)
    if not jnp.issubdtype(x.dtype, jnp.integer):
        raise TypeError(f"x must be an integer array of PCM samples, got x with dtype {x.dtype}")
    info = jnp.iinfo(x.dtype)
    half = 2 ** (info.bits - 1)
    offset = half if info.min == 0 else 0
    # Integers are exact in float32 up to 24 bits; the subtraction must come after the widening.
    return (jnp.asarray(x).astype(jnp.float32) - offset) / half


def dither(x: jax.Array, *, key: jax.Array, level: float) -> jax.Array:
    """Add white Gaussian noise, as Kaldi (1 for 16-bit samples) and NeMo (1e-5) do in training.

    No front-end of this library does that by itself: the same clip always gives the same features.

    Args:
      x: waveform ``(..., samples)``.
      key: a JAX random key. Every sample has noise of its own; under ``vmap`` split the key first.
      level: standard deviation of the noise in units of ``x``, at least 0.

    Returns:
      array of the shape and dtype of ``x``; its gradient with respect to ``x`` is 1.

    Raises:
      ValueError: without a key, or for a negative level.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> y = jaxspec.dither(jnp.zeros(1000), key=jax.random.key(0), level=0.1)
      >>> 0.09 < float(y.std()) < 0.11
      True
    """
    check_key(key)
    narrow = check_real("x", x)
    level = check_number("level", level, at_least=0)
    x = as_computed(narrow)
    noise = jax.random.normal(key, x.shape, x.dtype)
    return as_returned(x + level * noise, narrow.dtype)


def preemphasis(
    x: jax.Array,
    *,
    coef: float = 0.97,
    first: str = "zero",
    previous: jax.Array | None = None,
) -> jax.Array:
    """High-pass filter ``y[n] = x[n] - coef * x[n - 1]``.

    Args:
      x: waveform ``(..., samples)``.
      coef: in [0, 1].
      first: what stands for the sample before the first one: ``"zero"`` (the first sample stays
        as it is: torchaudio), ``"replicate"`` (the first sample itself: Kaldi) or ``"librosa"``
        (librosa's initial state, which makes the first output ``3 x[0] - x[1]``).
      previous: that sample given as an array ``(..., )``, such as the last sample of the chunk
        before (``chunk[..., -1]``); it then replaces ``first``.

    Returns:
      array of the shape and dtype of ``x``.

    Raises:
      ValueError: for a coefficient outside [0, 1] or an unknown rule.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.preemphasis(jnp.array([1.0, 2.0, 3.0])).round(4)
      Array([1.  , 1.03, 1.06], dtype=float32)
      >>> jaxspec.preemphasis(jnp.ones(3), first="replicate").round(4)
      Array([0.03, 0.03, 0.03], dtype=float32)
    """
    narrow = check_real("x", x)
    check_time_axis("x", narrow)
    coef = check_number("coef", coef, at_least=0, at_most=1)
    x = as_computed(narrow)
    if previous is None:
        before = sample_before(x, coef=coef, first=first)
    elif first != "zero":
        raise ValueError(f"first has no effect with a previous sample, got first={first!r}")
    else:
        before = jnp.broadcast_to(jnp.asarray(previous, x.dtype), x.shape[:-1])[..., None]
    extended = jnp.concatenate([before, x], axis=-1)
    return as_returned(extended[..., 1:] - coef * extended[..., :-1], narrow.dtype)


def sample_before(x: jax.Array, *, coef: float, first: str) -> jax.Array:
    """The sample that stands before the first one, ``(..., 1)``, for a rule of `preemphasis`."""
    check_choice("first", first, FIRST_SAMPLE_RULES)
    if first == "zero":
        return jnp.zeros_like(x[..., :1])
    if first == "replicate":
        return x[..., :1]
    if coef == 0:
        raise ValueError('coef must be > 0 with first="librosa", got coef=0')
    # librosa adds 2 x[0] - x[1] to the first output; of a single sample it would fail.
    place = at_most(x.shape[-1] - 1, 1)
    second = x[..., place : place + 1]
    return (second - 2 * x[..., :1]) / coef
