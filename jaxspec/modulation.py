"""Filters over frames and bands at once, each tuned to a modulation in time and along the bands.

A filter is a Gaussian envelope times a plane wave. Both are products of a function of the frame and
one of the band,

    exp(-t^2 / 2 a^2) exp(2 pi i r t)  times  exp(-f^2 / 2 b^2) exp(2 pi i s f),

so that a complex filter is a short one over the frames, then a short one over the bands.
"""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_choice, check_positive_int
from jaxspec._sizes import surely_less
from jaxspec.framing import frame
from jaxspec.polar import magnitude

__all__ = ["FORMS", "PARTS", "modulated", "positions", "random_modulations", "wave_packets"]

FORMS = ("exact", "published")
PARTS = {"real": slice(0, 1), "imag": slice(1, 2), "both": slice(0, 2), "magnitude": slice(0, 2)}
_PUBLISHED_MARGIN = 1e-3
_BLOCK = 32  # frames
_HIGHEST = jax.lax.Precision.HIGHEST


def random_modulations(key: jax.Array, n_filters: int) -> dict[str, np.ndarray]:
    """Modulations of filters drawn at random, as a start for ``STRF(**random_modulations(...))``.

    The direction of the wave is uniform on the circle; its frequency is ``1.41^-u / 4`` cycles with
    ``u`` uniform in (0, 5), the standard deviations are ``2 * 1.41^u`` with ``u`` in (0, 6), 2 to
    15.7 frames or bands.

    Args:
      key: from `jax.random.key`; concrete, for the result is a choice of a front-end.
      n_filters: number of filters.

    Returns:
      ``rates``, ``scales``, ``frame_deviations`` and ``band_deviations``, float64 arrays of shape
      ``(n_filters,)``, the arguments of that name of `jaxspec.stages.STRF`.

    Raises:
      ValueError: if ``n_filters`` is less than 1.

    Example:
      >>> import jax, jaxspec
      >>> start = jaxspec.random_modulations(jax.random.key(0), 64)
      >>> stage = jaxspec.stages.STRF(**start)
      >>> {name: value.shape for name, value in stage.init(jax.random.key(0)).items()}
      {'rates': (64,), 'scales': (64,), 'frame_deviations': (64,), 'band_deviations': (64,)}

    Reference:
      R. Riad, J. Karadayi, A.-C. Bachoud-Lévi and E. Dupoux, "Learning spectro-temporal
      representations of complex sounds with parameterized neural networks", J. Acoust. Soc. Am.
      150, 2021, and the code that came with it.
    """
    n_filters = check_positive_int("n_filters", n_filters)
    draws = np.asarray(jax.random.uniform(key, (4, n_filters)), np.float64)
    cycles = 0.25 * 1.41 ** (-5 * draws[0])
    direction = 2 * np.pi * draws[1]
    return {
        "rates": cycles * np.cos(direction),
        "scales": cycles * np.sin(direction),
        "frame_deviations": 2 * 1.41 ** (6 * draws[2]),
        "band_deviations": 2 * 1.41 ** (6 * draws[3]),
    }


def positions(size: int, *, form: str = "exact") -> np.ndarray:
    """Where the ``size`` frames or bands lie that a filter sees, float64.

    Args:
      size: how many.
      form: ``"exact"``: a step apart, 0 in the middle (one right of it for even sizes);
        ``"published"``: from ``1 - ceil(size / 2)`` to ``ceil(size / 2)``, evenly. Even sizes have
        0 left of the middle then, odd ones are stretched and have no 0.

    Example:
      >>> positions(5), positions(5, form="published"), positions(4, form="published")
      (array([-2., -1.,  0.,  1.,  2.]), array([-2.  , -0.75,  0.5 ,  1.75,  3.  ]),
      array([-1.,  0.,  1.,  2.]))
    """
    if form == "exact":
        return np.arange(size) - np.float64(size // 2)
    half = (size + 1) // 2
    return np.linspace(1 - half, half, size)


def wave_packets(
    frequency: jax.Array, deviation: jax.Array, *, size: int, form: str = "exact"
) -> dict[str, jax.Array]:
    """Waves under Gaussians of unit area over one axis: ``"real"`` and ``"imag"`` parts.

    Args:
      frequency: cycles per step, ``(n_filters,)``.
      deviation: standard deviation in steps, likewise.
      size: how many steps are seen.
      form: of the `positions`; ``"published"`` also adds 0.001 to the deviation in the Gaussian,
        but not in the factor that gives it unit area; that keeps its sign.

    Returns:
      ``{"real": (size, n_filters), "imag": (size, n_filters)}``.

    Example:
      >>> import jax.numpy as jnp
      >>> wave_packets(jnp.array([0.25]), jnp.array([1.0]), size=3)["imag"].round(3)[:, 0]
      Array([-0.242,  0.   ,  0.242], dtype=float32)
    """
    t = jnp.asarray(positions(size, form=form), frequency.dtype)[:, None]
    width = deviation + _PUBLISHED_MARGIN if form == "published" else deviation
    envelope = jnp.exp(-0.5 * (t / width) ** 2) / (float(np.sqrt(2 * np.pi)) * deviation)
    angle = 2 * np.pi * (t * frequency)
    return {"real": envelope * jnp.cos(angle), "imag": envelope * jnp.sin(angle)}


def modulated(
    x: jax.Array,
    over_frames: dict[str, jax.Array],
    over_bands: dict[str, jax.Array],
    *,
    parts: str = "both",
) -> jax.Array:
    """Features seen through filters over frames and bands: products, as in a neural network.

    ``y[t, c, f] = sum_kj x[t + k, f + j] over_frames[k, c] over_bands[j, c]``, where beyond the
    lowest and the highest band stand zeros, half as many as a filter sees.

    Args:
      x: real ``(..., frames, bands)``, with the frames that the first and the last output see.
      over_frames, over_bands: ``"real"`` and ``"imag"`` parts as of `wave_packets`.
      parts: ``"real"``, ``"imag"``, ``"both"`` or ``"magnitude"``.

    Returns:
      real ``(..., frames, channels)``: the bands of filter 0, those of filter 1, …, of ``"both"``
      all real parts, then all imaginary ones.

    Raises:
      ValueError: for another word.

    Example:
      >>> import jax.numpy as jnp
      >>> wave = wave_packets(jnp.zeros(7), jnp.ones(7), size=5)
      >>> modulated(jnp.ones((2, 14, 6)), wave, wave).shape
      (2, 10, 84)
    """
    check_choice("parts", parts, tuple(PARTS))
    seen_frames, seen_bands = (own["real"].shape[0] for own in (over_frames, over_bands))
    half, count = seen_bands // 2, x.shape[-2] - seen_frames + 1
    blocks = -(-count // _BLOCK)
    one = surely_less(blocks, 2)
    more = 0 if one else blocks * _BLOCK - count
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(0, more), (half, half)])
    x = jnp.swapaxes(x, -1, -2)
    if one:
        return _products(x, over_frames, over_bands, parts)
    # Block by block, forward and backward: what is between the axes is larger than the output.
    pieces = frame(x, frame_length=_BLOCK + seen_frames - 1, hop_length=_BLOCK)
    products = jax.checkpoint(partial(_products, parts=parts))
    y = jax.lax.map(
        lambda piece: products(piece, over_frames, over_bands), jnp.moveaxis(pieces, -2, 0)
    )
    y = jnp.moveaxis(y, 0, -3)
    return y.reshape(*y.shape[:-3], blocks * _BLOCK, y.shape[-1])[..., :count, :]


def _products(
    x: jax.Array, over_frames: dict[str, jax.Array], over_bands: dict[str, jax.Array], parts: str
) -> jax.Array:
    """`modulated` of ``x`` of shape ``(..., bands, frames)``, with zeros beyond the bands."""
    seen_frames = over_frames["real"].shape[0]
    frames = frame(x, frame_length=seen_frames, hop_length=1)
    waves = jnp.stack([over_frames["real"], over_frames["imag"]], axis=1).astype(x.dtype)
    # Frames first, with one product for all bands; then bands, with one matrix for each filter.
    y = jnp.einsum("...jtk,kpc->...tpcj", frames, waves, precision=_HIGHEST)
    matrices = _band_matrices(over_bands, x.shape[-2])[..., PARTS[parts], :].astype(x.dtype)
    y = jnp.einsum("...tpcj,pcjqf->...tqcf", y, matrices, precision=_HIGHEST)
    if parts == "magnitude":
        y = magnitude(jax.lax.complex(y[..., 0, :, :], y[..., 1, :, :]))[..., None, :, :]
    return y.reshape(*y.shape[:-3], math.prod(y.shape[-3:]))


def _band_matrices(over_bands: dict[str, jax.Array], n: int) -> jax.Array:
    """The filters over ``n`` bands as matrices ``(parts in, filters, bands, parts out, bands)``.

    Of the complex product: the real part times ``[real, imag]``, the imaginary ``[-imag, real]``.
    """
    real, imag = (_toeplitz(over_bands[part], n) for part in ("real", "imag"))
    return jnp.stack([jnp.stack([real, imag], axis=2), jnp.stack([-imag, real], axis=2)])


def _toeplitz(kernels: jax.Array, n: int) -> jax.Array:
    """``(filters, n, n - size + 1)`` with entry ``j - f`` of a kernel at ``[j, f]``, else 0."""
    size, n_filters = kernels.shape
    count = n - size + 1
    # Rows of length n of something with the period n + 1 are each moved by one.
    period = jnp.pad(kernels.T, ((0, 0), (0, n + 1 - size)))
    rows = jnp.tile(period, (1, count))[:, : count * n].reshape(n_filters, count, n)
    return jnp.swapaxes(rows, 1, 2)
