"""Octaves by a dual-tree complex wavelet transform, each filtered at a rate of its own.

Octave ``j``, counted from the finest on, lies around frequencies from a quarter to half of the
rate ``sample_rate / 2^j`` and has one complex sample for every ``2^(j + 1)`` of the waveform.

Signals here are pieces: an array whose first element is the sample ``first``, counted at the
signal's own rate from where frame 0 is counted. All filters see whole samples of their piece, so
that nothing depends on where the clip ends; `needed` says which samples some frames need.

Reference:
  N. Kingsbury, "A dual-tree complex wavelet transform with improved orthogonality and symmetry
  properties", ICIP 2000 (the filters with a quarter of a sample's shift), and "Complex wavelets
  for shift invariant analysis and filtering of signals", Appl. Comput. Harmon. Anal. 10, 2001
  (the symmetric ones).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec.framing import frame
from jaxspec.polar import magnitude

__all__ = [
    "Needed",
    "Span",
    "filtered_octaves",
    "needed",
    "octave_middles",
    "octave_shifts",
    "octaves",
    "published_lags",
]

# The first level: symmetric low-pass and high-pass filters of 5 and 7 taps, the same in both trees,
# which take the even and the odd samples.
_FIRST_LOW = np.array([-1, 5, 12, 5, -1]) / 20
_FIRST_HIGH = np.array([3, -15, -73, 170, -73, -15, 3]) / 280
# Further levels: an orthonormal low-pass filter of tree a, whose delay is a quarter of a sample off
# the middle. All other filters follow from it.
_LOW_A = np.array(
    [
        0.05113040528383166, -0.01397537024688884, -0.10983605166597087, 0.26383956105893763,
        0.7666284677930372, 0.5636557101270515, 0.0008736226952171, -0.1002312195074762,
        -0.00168968127252815, -0.00618188189211644,
    ]
)  # fmt: skip
_LOW_B = _LOW_A[::-1]
_HIGH_A = _LOW_B * (-1.0) ** np.arange(10)
_HIGH_B = _HIGH_A[::-1]
# What is computed of one block of the input: real and imaginary part of a sample of the octave, and
# two samples of the input of the next level, one of each tree. Beyond the first level, the trees
# take every other sample; the division keeps the loudness.
_FIRST = np.zeros((8, 4))
_FIRST[:7, 0] = _FIRST[1:, 1] = _FIRST_HIGH
_FIRST[1:6, 2] = _FIRST[2:7, 3] = _FIRST_LOW
_NEXT = np.zeros((20, 4))
_NEXT[1::2, 0], _NEXT[::2, 1], _NEXT[::2, 2], _NEXT[1::2, 3] = _HIGH_B, _HIGH_A, _LOW_A, _LOW_B
_NEXT /= np.sqrt(2)
# Smoothing of magnitudes before every other one is dropped: symmetric, of 13 taps and unit sum.
_HALF = np.array([-9, 0, 114, -240, -247, 1520])
_SMOOTH = np.concatenate([_HALF, [2844], _HALF[::-1]]) / 5120


class _Level(NamedTuple):
    """A block begins ``before`` samples before ``hop`` times its number."""

    matrix: np.ndarray
    hop: int
    before: int


_LEVELS = (_Level(_FIRST, 2, 3), _Level(_NEXT, 4, 8))


class Span(NamedTuple):
    """The samples ``first … last`` of a signal."""

    first: int
    last: int

    def joined(self, other: Span) -> Span:
        """From the first to the last of both."""
        return Span(min(self.first, other.first), max(self.last, other.last))


class Needed(NamedTuple):
    """What some frames need: of the input of every level, and of every octave."""

    inputs: tuple[Span, ...]
    octaves: tuple[Span, ...]


def octave_shifts(*, n_octaves: int, taps: int, align: str) -> tuple[int, ...]:
    """By how many samples of its own rate each octave is read later.

    Args:
      n_octaves: how many; taps: of the filters of every octave.
      align: ``"octaves"``: none, or ``"frames"``: so that the octaves describe the same time.

    Example:
      >>> octave_shifts(n_octaves=4, taps=8, align="frames")
      (-1, -1, -1, -1)
      >>> octave_shifts(n_octaves=4, taps=5, align="frames")
      (3, 1, 0, 0)
    """
    if align == "octaves":
        return (0,) * n_octaves
    if taps % 2 == 0:
        return (-1,) * n_octaves
    return tuple(max(2 ** (n_octaves - 2 - j) - 1, 0) if j < n_octaves - 1 else 0
                 for j in range(n_octaves))  # fmt: skip


def octave_middles(
    *, taps: int, shifts: Sequence[int], lags: Sequence[int] | None = None
) -> tuple[float, ...]:
    """The position in the waveform, in samples, that frame 0 of every octave describes.

    Args:
      taps, shifts, lags: as in `needed`.

    Example:
      >>> octave_middles(taps=5, shifts=(0, 0, 0))
      (0.5, 1.5, 3.5)
      >>> octave_middles(taps=8, shifts=(-1, -1, -1))
      (-0.5, -0.5, -0.5)
    """
    own = [2 ** (j + 1) * shift + 2**j * (2 - taps % 2) - 0.5 for j, shift in enumerate(shifts)]
    lags = lags or (0,) * len(own)
    late = np.cumsum([lag * 2 ** max(j - 1, 0) for j, lag in enumerate(lags)])
    return tuple(float(middle - sample) for middle, sample in zip(own, late, strict=True))


def published_lags(n_samples: int, *, n_octaves: int) -> tuple[int, ...]:
    """The samples that MuReNN puts in front of each level of a clip.

    It repeats the first and the last sample of a low-pass whose length no 4 divides, and with them
    all further octaves come later.

    Args:
      n_samples: length of the clip; n_octaves: how many.

    Example:
      >>> published_lags(1030, n_octaves=4), published_lags(1024, n_octaves=4)
      ((0, 1, 0, 1), (0, 0, 0, 0))
    """
    lags, length = [0], n_samples + n_samples % 2
    for _ in range(1, n_octaves):
        lags.append(int(length % 4 != 0))
        length = (length + 2 * lags[-1]) // 2
    return tuple(lags)


def needed(
    n_frames: int, *, taps: int, stride: int, shifts: Sequence[int], lags: Sequence[int]
) -> Needed:
    """Which samples of everything ``n_frames`` frames need, from frame 0 on.

    Args:
      n_frames: at least 1.
      taps: of the filters of every octave.
      stride: samples of the waveform from frame to frame, a power of 2, at least 2 to the number of
        octaves.
      shifts: as `octave_shifts` gives them.
      lags: by how many samples of its own rate the input of each level comes later.

    Example:
      >>> needed(1, taps=5, stride=4, shifts=(0, 0), lags=(0, 0)).inputs[0]
      Span(first=-19, last=22)
    """
    halvings = stride.bit_length() - 1
    found = []
    for j, shift in enumerate(shifts):
        first, last = 0, n_frames - 1
        for _ in range(halvings - j - 1):
            first, last = 2 * first - 6, 2 * last + 6
        found.append(Span(first + shift - (taps - 1) // 2, last + shift + taps // 2))
    inputs: list[Span] = []
    for j in reversed(range(len(found))):
        blocks = _blocks(found[j], inputs[0] if inputs else None)
        matrix, hop, before = _LEVELS[min(j, 1)]
        start = -before - lags[j]
        last = hop * blocks.last + start + len(matrix) - 1
        inputs.insert(0, Span(hop * blocks.first + start, last))
    return Needed(tuple(inputs), tuple(found))


def _blocks(octave: Span, low: Span | None) -> Span:
    """The blocks of a level that give these samples of its octave and of the next level's input."""
    return octave if low is None else octave.joined(Span(low.first // 2, low.last // 2))


def octaves(x: jax.Array, need: Needed) -> list[tuple[jax.Array, jax.Array]]:
    """The real and the imaginary part of every octave, the finest first.

    Args:
      x: ``(..., samples)``, from ``need.inputs[0].first`` on; need: as `needed` gives it.

    Returns:
      for octave ``j`` two arrays ``(..., n)``, of the samples ``need.octaves[j]``.

    Example:
      >>> import jax.numpy as jnp
      >>> need = needed(1, taps=1, stride=4, shifts=(0, 0), lags=(0, 0))
      >>> [real.shape for real, _ in octaves(jnp.ones(44), need)]
      [(13,), (1,)]
    """
    found = []
    for level, octave in enumerate(need.octaves):
        low = need.inputs[level + 1] if level + 1 < len(need.inputs) else None
        blocks = _blocks(octave, low)
        matrix, hop, _ = _LEVELS[min(level, 1)]
        count = blocks.last - blocks.first + 1
        y = _products(x[..., : hop * (count - 1) + len(matrix)], matrix, hop)
        own = y[..., octave.first - blocks.first : octave.last - blocks.first + 1, :]
        found.append((own[..., 0], own[..., 1]))
        if low is not None:
            x = y[..., 2:].reshape(*y.shape[:-2], 2 * count)
            first = 2 * blocks.first
            x = x[..., low.first - first : low.last - first + 1]
    return found


def _products(x: jax.Array, matrix: np.ndarray, hop: int) -> jax.Array:
    """Frames of ``len(matrix)`` every ``hop`` of the last axis, times the matrix."""
    frames = frame(x, frame_length=len(matrix), hop_length=hop)
    return jnp.matmul(frames, jnp.asarray(matrix, x.dtype), precision=jax.lax.Precision.HIGHEST)


def filtered_octaves(
    x: jax.Array,
    kernels: jax.Array,
    *,
    counts: Sequence[int],
    stride: int,
    shifts: Sequence[int],
    lags: Sequence[int],
) -> jax.Array:
    """The magnitude of every filtered octave, smoothed to one frame every ``stride`` samples.

    Args:
      x: ``(..., samples)``, from the first sample on that frame 0 needs (`needed`).
      kernels: ``(taps, sum of counts)``, the same for real and imaginary parts.
      counts: the number of filters of every octave.
      stride, shifts, lags: as in `needed`.

    Returns:
      ``(..., frames, sum of counts)``, as many frames as the samples hold; not negative. The
      gradient of a magnitude of 0 is 0.

    Example:
      >>> import jax.numpy as jnp
      >>> options = {"stride": 4, "shifts": (0, 0), "lags": (0, 0)}
      >>> filtered_octaves(jnp.ones(44), jnp.ones((5, 3)), counts=(1, 2), **options).shape
      (1, 3)
    """
    options = {"taps": kernels.shape[0], "stride": stride, "shifts": shifts, "lags": lags}
    first, last = needed(1, **options).inputs[0]  # type: ignore[arg-type]
    n_frames = (x.shape[-1] - (last - first + 1)) // stride + 1
    need = needed(n_frames, **options)  # type: ignore[arg-type]
    ends = np.cumsum([0, *counts])
    y = None  # (..., channels, positions)
    for j, parts in enumerate(octaves(x, need)):
        own = kernels[:, ends[j] : ends[j + 1]].astype(x.dtype)
        windows = frame(jnp.stack(parts), frame_length=own.shape[0], hop_length=1)
        real, imag = jnp.matmul(windows, own, precision=jax.lax.Precision.HIGHEST)
        found = jnp.swapaxes(magnitude(jax.lax.complex(real, imag)), -1, -2)
        # The finer octaves come down to the rate of this one and go on with it.
        y = found if y is None else jnp.concatenate([_halved(y), found], axis=-2)
    assert y is not None
    while y.shape[-1] > n_frames:
        y = _halved(y)
    # The smoothing filter has negative lobes.
    return jax.nn.relu(jnp.swapaxes(y, -1, -2))


def _halved(y: jax.Array) -> jax.Array:
    """Every other sample of the smoothed ones that see whole ones."""
    return _products(y, _SMOOTH[:, None], 2)[..., 0]
