"""Analysis by band filters in time: kernels, and the same filters in the frequency domain.

A filter is an envelope that is symmetric about its middle, times a wave: at frame ``t``

    X[t, k] = sum_n x[t * hop + n] envelope_k[n] exp(-2 pi i f_k n / sample_rate)

for ``n`` from ``-(taps // 2)`` on; phases count from the middle of the frame.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from scipy.fft import next_fast_len

from jaxspec._sizes import is_symbol
from jaxspec.fourier import ifft, rfft
from jaxspec.framing import frame

__all__ = [
    "filtered_by_fft",
    "gammatone_kernels",
    "gaussian_envelope",
    "hilbert_transform",
    "sinc_envelope",
    "wave_kernels",
]

_BLOCK = 16  # in units of taps: where the length of a clip is not known


def gaussian_envelope(deviation: jax.Array, *, taps: int) -> jax.Array:
    """Gaussians of unit area ``(taps, n_bands)``: their frequency response is 1 at the centre.

    Args:
      deviation: standard deviations in samples, ``(n_bands,)``, above 0.
      taps: how many; the middle is at ``taps // 2``.

    Example:
      >>> import jax.numpy as jnp
      >>> gaussian_envelope(jnp.array([1.0]), taps=3).round(3)[:, 0]
      Array([0.242, 0.399, 0.242], dtype=float32)
    """
    n = _positions(taps, deviation)
    return jnp.exp(-0.5 * (n / deviation) ** 2) / (float(np.sqrt(2 * np.pi)) * deviation)


def sinc_envelope(bandwidth: jax.Array, *, window: np.ndarray) -> jax.Array:
    """Ideal band-pass filters cut by a window, ``(taps, n_bands)``, 1 in the middle.

    ``sinc(bandwidth * n) * window``, whose value and slopes are finite for a bandwidth of 0, too.
    The response in the pass band is about ``1 / bandwidth``.

    Args:
      bandwidth: as a share of the sample rate, ``(n_bands,)``.
      window: ``(taps,)``, of an odd number of taps.

    Example:
      >>> import jax.numpy as jnp, numpy as np
      >>> sinc_envelope(jnp.array([0.5]), window=np.ones(5)).round(3)[:, 0]
      Array([0.   , 0.637, 1.   , 0.637, 0.   ], dtype=float32)
    """
    n = _positions(len(window), bandwidth)
    return _sinc(bandwidth * n) * jnp.asarray(window, bandwidth.dtype)[:, None]


def _sinc(v: jax.Array) -> jax.Array:
    """As ``jnp.sinc``, whose slope is NaN where the square of ``v`` is 0 though ``v`` is not."""
    y = np.pi * v
    small = jnp.abs(y) < 1e-3
    square = jnp.where(small, y, 0) ** 2
    series = 1 - square / 6 * (1 - square / 20)  # exact in float64
    y = jnp.where(small, 1, y)
    return jnp.where(small, series, jnp.sin(y) / y)


def wave_kernels(envelope: jax.Array, frequency: jax.Array) -> dict[str, jax.Array]:
    """The real and imaginary parts of the kernels, each ``(taps, n_bands)``.

    Args:
      envelope: ``(taps, n_bands)``.
      frequency: radians per sample, ``(n_bands,)``.

    Example:
      >>> import jax.numpy as jnp
      >>> wave_kernels(jnp.ones((3, 1)), jnp.array([jnp.pi / 2]))["imag"].round(3)[:, 0]
      Array([ 1., -0., -1.], dtype=float32)
    """
    angle = _positions(envelope.shape[0], frequency) * frequency
    return {"real": envelope * jnp.cos(angle), "imag": -envelope * jnp.sin(angle)}


def gammatone_kernels(
    frequency: jax.Array, bandwidth: jax.Array, *, order: int, taps: int
) -> dict[str, jax.Array]:
    """Gammatone impulse responses, ``"real"`` and ``"imag"``, each ``(taps, n_bands)``.

    ``t^(order - 1) exp(-2 pi bandwidth t) exp(2 pi i frequency t)`` at ``t`` from 1 to ``taps``,
    over the sum of its envelope, so that the response is 1 at the centre.

    Args:
      frequency, bandwidth: as shares of the sample rate, ``(n_bands,)``; a bandwidth is above 0.
      order: 1, 2, …
      taps: samples.

    Example:
      >>> import jax.numpy as jnp
      >>> parts = gammatone_kernels(jnp.zeros(1), jnp.array([0.2]), order=2, taps=3)
      >>> parts["real"][:, 0].round(2)
      Array([0.55, 0.31, 0.13], dtype=float32)

    Reference:
      R. D. Patterson, K. Robinson, J. Holdsworth, D. McKeown, C. Zhang and M. Allerhand, "Complex
      sounds and auditory images", Auditory Physiology and Perception, 1992.
    """
    t = jnp.asarray(1.0 + np.arange(taps), bandwidth.dtype)[:, None]
    logarithm = (order - 1) * jnp.log(t) - 2 * np.pi * bandwidth * t
    envelope = jax.nn.softmax(logarithm, axis=0)
    angle = 2 * np.pi * frequency * t
    return {"real": envelope * jnp.cos(angle), "imag": envelope * jnp.sin(angle)}


def hilbert_transform(kernels: jax.Array) -> jax.Array:
    """The Hilbert transforms of kernels ``(taps, n_bands)``, taken as periods: the same shape.

    ``kernels + i hilbert_transform(kernels)`` has no negative frequencies. The mean and, for an
    even number of taps, half the sample rate have no partner.

    Example:
      >>> import jax.numpy as jnp
      >>> hilbert_transform(jnp.array([[1.0], [0.0], [-1.0], [0.0]]))[:, 0]
      Array([ 0.,  1.,  0., -1.], dtype=float32)

    Reference:
      M. Pariente, S. Cornell, A. Deleforge and E. Vincent, "Filterbank design for end-to-end speech
      separation", ICASSP 2020.
    """
    taps = kernels.shape[0]
    inner = np.full((taps // 2 + 1, 1), 1.0)
    inner[0] = 0
    if taps % 2 == 0:
        inner[-1] = 0
    spectrum = jnp.fft.rfft(kernels, axis=0)
    spectrum = spectrum * jnp.asarray(inner, spectrum.dtype)
    return jnp.fft.irfft(jax.lax.complex(spectrum.imag, -spectrum.real), taps, axis=0)


def _positions(taps: int, like: jax.Array) -> jax.Array:
    return jnp.asarray(np.arange(taps) - taps // 2, like.dtype)[:, None]


def filtered_by_fft(
    x: jax.Array, frequency: jax.Array, deviation: jax.Array, *, taps: int, hop_length: int
) -> jax.Array:
    """Gaussian filters of every whole frame, by one Fourier transform and one short one for each.

    The spectrum of a filter's output is next to nothing but around its centre: only
    ``1 / hop_length`` of it is kept, the nearest bins, and transformed back, which gives the
    output at every ``hop_length``-th sample. What is cut off must not matter: the response at
    half of the kept width from the centre is ``exp(-(pi * deviation / hop_length)^2 / 2)``.

    Args:
      x: ``(..., samples)``, with the samples that the first and the last frame see.
      frequency: centres in radians per sample, ``(n_bands,)``; deviation: in samples.
      taps: samples in a frame, so many that the Gaussians have ended.
      hop_length: samples from frame to frame.

    Returns:
      complex ``(..., frames, n_bands)``.

    Reference:
      P. Balazs, M. Dörfler, F. Jaillet, N. Holighaus and G. Velasco, "Theory, implementation and
      applications of nonstationary Gabor frames", J. Comput. Appl. Math. 236, 2011.
    """
    half = taps // 2
    frames = (x.shape[-1] - taps) // hop_length + 1
    if is_symbol(frames):
        return _block_by_block(x, frequency, deviation, taps=taps, hop_length=hop_length)
    before = -half % hop_length  # so that middles of frames are multiples of the hop
    kept = next_fast_len(-(-(x.shape[-1] + before) // hop_length))
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(before, 0)])
    near = _near_centres(x, frequency, deviation, kept=kept, size=kept * hop_length)
    y = ifft(near)
    start = (half + before) // hop_length
    return jnp.swapaxes(y[..., start : start + frames], -1, -2)


def _block_by_block(
    x: jax.Array, frequency: jax.Array, deviation: jax.Array, *, taps: int, hop_length: int
) -> jax.Array:
    """`filtered_by_fft` of a clip whose length, and so that of its transform, is a symbol."""
    own = -(-_BLOCK * taps // hop_length)  # frames of a block
    frames = (x.shape[-1] - taps) // hop_length + 1
    count = -(-frames // own)
    x = x[..., : (frames - 1) * hop_length + taps]
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, (count * own - frames) * hop_length)])
    size = (own - 1) * hop_length + taps
    blocks = frame(x, frame_length=size, hop_length=own * hop_length)
    y = filtered_by_fft(blocks, frequency, deviation, taps=taps, hop_length=hop_length)
    return y.reshape(*y.shape[:-3], count * own, y.shape[-1])[..., :frames, :]


def _near_centres(
    x: jax.Array, frequency: jax.Array, deviation: jax.Array, *, kept: int, size: int
) -> jax.Array:
    """Filtered spectra, the ``kept`` bins around every centre: ``(..., n_bands, kept)``.

    Bin ``k`` lands at ``k`` modulo ``kept``, as when every ``size // kept``-th sample is taken. So
    the kept bins are the ends of one row of the spectrum and the beginning of the next, if rows
    are ``kept`` bins long, and whole rows are copied instead of bins.
    """
    unit = 2 * np.pi / size
    rows, place = size // kept, jnp.arange(kept, dtype=jnp.int32)
    first = jnp.round(jax.lax.stop_gradient(frequency) / unit).astype(jnp.int32) - kept // 2
    row = first // kept
    wrapped = place < (first - row * kept)[:, None]
    bins = row[:, None] * kept + place + jnp.where(wrapped, kept, 0)
    away = unit * bins.astype(x.dtype) - frequency[:, None]
    response = jnp.exp(-0.5 * (deviation[:, None] * away) ** 2) * (kept / size)
    spectrum = _whole_spectrum(x, size).reshape(*x.shape[:-1], rows, kept)
    return response.astype(spectrum.dtype) * jnp.where(
        wrapped, spectrum[..., (row + 1) % rows, :], spectrum[..., row % rows, :]
    )


def _whole_spectrum(x: jax.Array, size: int) -> jax.Array:
    """The Fourier transform of a real signal, conjugate half included: ``(..., size)``."""
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, size - x.shape[-1])])
    half = rfft(x, method="fft", precision="highest")
    return jnp.concatenate([half, half[..., 1 : size - size // 2][..., ::-1].conj()], axis=-1)
