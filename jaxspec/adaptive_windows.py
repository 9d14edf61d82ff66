"""Windows whose length and shape may be learned: functions of a continuous position.

A window of ``length`` samples lies around the middle of a frame of ``n_fft`` samples, and any real
length is sampled at the same ``n_fft`` places:

    w[k] = h((k - n_fft / 2 - shift) / length),    h = 0 outside [-1/2, 1/2), but for a Gaussian

so no shape depends on a parameter, and values have a derivative by length, shape and shift. A
periodic Hann window of ``n_fft`` samples is exactly the one of length ``n_fft``.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import i0e
from numpy.typing import ArrayLike

from jaxspec._checks import check_choice, check_positive_int

__all__ = [
    "FAMILIES",
    "GAUSSIAN_WIDTH",
    "LEAST_COEFFICIENT",
    "WINDOW_NORMS",
    "adaptive_window",
    "between",
    "check_family_norm",
    "computed_once",
]

FAMILIES = ("hann", "gaussian", "kaiser", "cosine", "free")
WINDOW_NORMS = ("peak", "sum", "energy", "length")

GAUSSIAN_WIDTH = 6.0
"""The length of a Gaussian window in standard deviations."""

LEAST_COEFFICIENT = 1e-3
"""The least share of a cosine: the sum of a window is ``length`` times the first of them."""

# Which option gives the shape of a family.
_SHAPES = {"kaiser": "beta", "cosine": "coefficients", "free": "profile"}

# Below this argument, four terms of the series of I0 are exact in float64.
_SMALL = 1e-3


def adaptive_window(
    length: ArrayLike,
    *,
    n_fft: int,
    family: str = "hann",
    shift: ArrayLike = 0.0,
    beta: ArrayLike | None = None,
    coefficients: ArrayLike | None = None,
    profile: ArrayLike | None = None,
    norm: str = "peak",
) -> Any:
    """A window of any real length, sampled at the ``n_fft`` samples of a frame.

    Args:
      length: in samples, at least 2 (not checked, as it may be traced), a number or an array
        ``(...)``. What lies outside the frame is cut off.
      n_fft: samples in the frame; its middle is at ``n_fft / 2``.
      family: ``"hann"``; ``"gaussian"``, with a standard deviation of ``length / 6``, over the
        whole frame; ``"kaiser"``; ``"cosine"``, a sum of cosines; or ``"free"``, a symmetric window
        of any values.
      shift: by how many samples the window lies after the middle, a number or an array ``(...)``.
      beta: of a Kaiser window, at least 0.
      coefficients: of a sum of cosines, ``(n,)``: ``sum_i c[i] cos(2 pi i u / length)`` at distance
        ``u`` from the middle. A Hann window has ``(0.5, 0.5)``.
      profile: of a free window, ``(n,)``: what is added to a Hann window at the distances
        ``0, 1, …, n - 1`` times ``length / (2 n)`` from the middle (smoothly between these, and
        nothing at the ends).
      norm: ``"peak"``, 1 in the middle; ``"sum"``, divided by the sum of the samples;
        ``"energy"``, by the root of the sum of their squares; ``"length"``, by
        ``length / n_fft``.

    Windows that are not 0 at their ends (Kaiser, sums of cosines such as Hamming) jump where a
    sample enters or leaves: derivatives by the length are those between the jumps.

    Returns:
      ``(..., n_fft)``: float64 of NumPy, or a JAX array if one of the arguments is one.

    Raises:
      ValueError: for an unknown word, an option of another family or none of its own, and for
        ``norm="sum"`` of a free window, whose samples may add up to 0.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> adaptive_window(4, n_fft=4).round(3)
      array([0. , 0.5, 1. , 0.5])
      >>> adaptive_window(3, n_fft=4).round(3)
      array([0.  , 0.25, 1.  , 0.25])
      >>> jax.jacobian(lambda length: adaptive_window(length, n_fft=4))(jnp.array(3.0)).round(3)
      Array([0.   , 0.302, 0.   , 0.302], dtype=float32)

    Reference:
      M. Leiber, Y. Marnissi, A. Barrau and M. El Badaoui, "Differentiable short-time Fourier
      transform with respect to the hop length", SSP 2023. Families: F. J. Harris, "On the use of
      windows for harmonic analysis with the discrete Fourier transform", Proc. IEEE 66(1), 1978.
    """
    n_fft = check_positive_int("n_fft", n_fft)
    check_family_norm(family, norm)
    shapes = {"beta": beta, "coefficients": coefficients, "profile": profile}
    for name, value in shapes.items():
        own = _SHAPES.get(family) == name
        if own != (value is not None):
            rule = f"must be given with family={family!r}" if own else "has no effect"
            raise ValueError(f"{name} {rule}, got {name}={value!r} and family={family!r}")
    given = [v for v in (length, shift, *shapes.values()) if isinstance(v, jax.Array)]
    xp: ModuleType = jnp if given else np
    dtype: Any = jnp.result_type(*given) if given else np.float64
    extent: Any = xp.asarray(length, dtype)[..., None]
    distance = xp.asarray(np.arange(n_fft) - n_fft / 2, dtype) - xp.asarray(shift, dtype)[..., None]
    shape = {k: xp.asarray(v, dtype) for k, v in shapes.items() if v is not None}
    w = _values(family, distance / extent, xp, **shape)
    if norm == "sum":
        return w / w.sum(axis=-1, keepdims=True)
    if norm == "energy":
        return w / xp.sqrt((w**2).sum(axis=-1, keepdims=True))
    return w * (n_fft / extent) if norm == "length" else w


def check_family_norm(family: str, norm: str) -> None:
    """Check the words."""
    check_choice("family", family, FAMILIES)
    check_choice("norm", norm, WINDOW_NORMS)
    if family == "free" and norm == "sum":
        raise ValueError(
            'norm must not be "sum" with family="free" (the samples of a free window may add up to '
            '0), got norm="sum"; use "energy" or "length"'
        )


def _values(family: str, v: Any, xp: Any, **shape: Any) -> Any:
    """The window at distances of ``v`` lengths from its middle."""
    if family == "gaussian":
        return xp.exp(-0.5 * (GAUSSIAN_WIDTH * v) ** 2)
    inside = (v >= -0.5) & (v < 0.5)
    if family == "cosine":
        terms = shape["coefficients"]
        w = sum(terms[i] * xp.cos(2 * np.pi * i * v) for i in range(terms.shape[-1]))
    elif family == "kaiser":
        w = _kaiser(xp.where(inside, (1 - 2 * v) * (1 + 2 * v), 1), shape["beta"], xp)
    else:
        w = xp.cos(np.pi * v) ** 2  # not 0.5 + 0.5 cos(2 pi v), which is inexact near 0
        if family == "free":
            w = w + _between_knots(xp.where(inside, v, 0), shape["profile"], xp)
    return xp.where(inside, w, 0)


def _kaiser(q: Any, beta: Any, xp: Any) -> Any:
    """``I0(beta sqrt(q)) / I0(beta)``, whose slope is finite where ``q`` is 0."""
    scaled = _scaled_i0(xp)
    y = beta**2 * q / 4
    small = y < _SMALL
    root = xp.sqrt(xp.where(small, 1, q))
    large = scaled(beta * root) * xp.exp(beta * (root - 1))
    y = xp.where(small, y, 0)
    series = 1 + y * (1 + y / 4 * (1 + y / 9 * (1 + y / 16)))
    return xp.where(small, series * xp.exp(-beta), large) / scaled(beta)


def _scaled_i0(xp: Any) -> Any:
    """The function ``exp(-x) I0(x)``, which does not overflow."""
    if xp is jnp:
        return i0e
    from scipy.special import i0e as of_arrays

    return of_arrays


def _between_knots(v: Any, profile: Any, xp: Any) -> Any:
    """A symmetric curve through ``profile`` at knots, flat there, and 0 at the ends."""
    n = profile.shape[-1]
    position = 2 * n * xp.abs(v)
    first = xp.clip(xp.floor(position), 0, n - 1)
    weight, knot = xp.sin(0.5 * np.pi * (position - first)) ** 2, first.astype(np.int32)
    padded = xp.concatenate([profile, xp.zeros_like(profile[:1])])
    return padded[knot] * (1 - weight) + padded[knot + 1] * weight


def between(z: jax.Array, *, start: ArrayLike, low: float, high: float) -> jax.Array:
    """`jaxspec.parametrize.interval`, but exactly ``start`` at ``z = 0`` in every dtype.

    A length that is off by rounding would drop the first sample of a window that jumps there, and
    an integer hop would become a number just below it. In return it reaches the bounds up to
    rounding, on either side.

    Example:
      >>> import jax.numpy as jnp
      >>> between(jnp.array([-100.0, 0.0, 100.0]), start=160.0, low=80.0, high=512.0).round(3)
      Array([ 80., 160., 512.], dtype=float32)
    """
    start = np.asarray(start, np.float64)
    share = (start - low) / (high - low)
    # The difference of two sigmoids, by t = tanh(z / 2).
    t = jnp.tanh(z / 2)
    scale = jnp.asarray(2 * (high - low) * share * (1 - share), z.dtype)
    return jnp.asarray(start, z.dtype) + scale * t / (1 + jnp.asarray(2 * share - 1, z.dtype) * t)


def computed_once(window: jax.Array) -> jax.Array:
    """``window``, which a program for CPUs computes once and not for every frame it multiplies.

    XLA fuses what it thinks cheap, such as a cosine, into the multiplication of the frames; with a
    Kaiser window the derivative then takes 7 times as long. The CPU compiler drops optimisation
    barriers before it fuses, but does not look into a branch.

    Example:
      >>> import jax.numpy as jnp
      >>> computed_once(jnp.ones(2))
      Array([1., 1.], dtype=float32)
    """

    def behind_a_branch(w: jax.Array) -> jax.Array:
        total = jnp.sum(w)
        return jax.lax.cond(total == total, lambda w: w, lambda w: 0 * w, w)  # NaN stays NaN

    return jax.lax.platform_dependent(window, cpu=behind_a_branch, default=lambda w: w)
