"""The Fourier transform of real frames: by FFT or by matrix product, and sharded over the batch.

The FFT is the faster engine on CPUs and GPUs. The matrix product is for platforms whose FFT is slow
or imprecise (TPUs) and for exporters that know no FFT or no complex numbers; it costs ``n_fft``
times as many operations as there are samples, at a precision that can be stated.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.custom_partitioning import custom_partitioning
from jax.sharding import NamedSharding, PartitionSpec

from jaxspec._checks import check_choice
from jaxspec._primitives import PARTITIONS_FFT_ITSELF, Primitive, register_linear

__all__ = [
    "LONGEST_PRODUCT",
    "METHODS",
    "PRECISIONS",
    "check_method",
    "dft",
    "ifft",
    "irfft",
    "rfft",
    "waves",
]

METHODS = ("auto", "fft", "matmul")
PRECISIONS = ("highest", "high", "default")

# On a TPU the matrix product is taken up to this length; its cost per sample grows with the length.
LONGEST_PRODUCT = 2048

_STATIC = ("n", "method", "precision")


def check_method(method: str, precision: str) -> None:
    """Check the engine; only a matrix product has a precision."""
    check_choice("method", method, METHODS)
    check_choice("precision", precision, PRECISIONS)
    if method != "matmul" and precision != "highest":
        raise ValueError(
            f'precision is that of the matrix product and has an effect only with method="matmul", '
            f"got precision={precision!r} and method={method!r}"
        )


def rfft(x: jax.Array, *, method: str, precision: str) -> jax.Array:
    """One-sided spectrum of real frames ``(..., n)``: complex ``(..., n // 2 + 1)``."""
    return _rfft_p.bind(x, n=x.shape[-1], method=method, precision=precision)


def ifft(spectrum: jax.Array) -> jax.Array:
    """The complex signals ``(..., n)`` of whole spectra ``(..., n)``, by FFT."""
    return _ifft_p.bind(spectrum)


def irfft(spectrum: jax.Array, *, n: int, method: str, precision: str) -> jax.Array:
    """The real frames ``(..., n)`` of one-sided spectra ``(..., n // 2 + 1)``."""
    return _irfft_p.bind(spectrum, n=n, method=method, precision=precision)


# By FFT.


def _rfft_by_fft(x: jax.Array, *, n: int, **options: Any) -> jax.Array:
    del options
    return jnp.fft.rfft(x, n=n, axis=-1)


def _irfft_by_fft(spectrum: jax.Array, *, n: int, **options: Any) -> jax.Array:
    del options
    return jnp.fft.irfft(spectrum, n=n, axis=-1)


def _ifft_by_fft(spectrum: jax.Array) -> jax.Array:
    return jnp.fft.ifft(spectrum)


# By matrix product.


def _rfft_by_product(x: jax.Array, *, n: int, precision: str, **options: Any) -> jax.Array:
    del options
    cosine, sine = waves(n, x.dtype)
    product = partial(jnp.matmul, precision=precision)
    return jax.lax.complex(product(x, cosine), -product(x, sine))


def _irfft_by_product(spectrum: jax.Array, *, n: int, precision: str, **options: Any) -> jax.Array:
    del options
    cosine, sine = waves(n, spectrum.real.dtype)
    # Bins between the first and the one at half the sample rate stand for two of the whole circle.
    k = jax.lax.iota(jnp.int32, n // 2 + 1)
    weight = jnp.where((k == 0) | (2 * k == n), 1, 2).astype(cosine.dtype) / n
    product = partial(jnp.matmul, precision=precision)
    return product(spectrum.real * weight, cosine.T) - product(spectrum.imag * weight, sine.T)


def dft(real: jax.Array, imag: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The Fourier transform of the last axis of complex numbers by matrix products.

    Of a long axis whose length is a product of two numbers, transforms of these lengths are taken
    one after the other, as an FFT does.

    Example:
      >>> dft(jnp.array([1.0, 1.0]), jnp.zeros(2))
      (Array([2., 0.], dtype=float32), Array([0., 0.], dtype=float32))
    """
    n = real.shape[-1]
    one = _near_root(n) if n > LONGEST_PRODUCT else 1
    if one == 1:
        cosine, sine = circle(n, n, real.dtype, period=n)
        product = partial(jnp.matmul, precision="highest")
        return (
            product(real, cosine) + product(imag, sine),
            product(imag, cosine) - product(real, sine),
        )
    # x[j1 * other + j2] to X[k1 + one * k2]: over j1, then turned by k1 * j2, then over j2.
    other, shape = n // one, real.shape
    real, imag = dft(
        *(jnp.swapaxes(x.reshape(*shape[:-1], one, other), -1, -2) for x in (real, imag))
    )
    cosine, sine = circle(other, one, real.dtype, period=n)
    real, imag = real * cosine + imag * sine, imag * cosine - real * sine
    real, imag = dft(jnp.swapaxes(real, -1, -2), jnp.swapaxes(imag, -1, -2))
    return jnp.swapaxes(real, -1, -2).reshape(shape), jnp.swapaxes(imag, -1, -2).reshape(shape)


def _near_root(n: int) -> int:
    """The largest divisor of ``n`` that is no larger than its root."""
    return next(m for m in range(math.isqrt(n), 0, -1) if n % m == 0)


def waves(n: int, dtype: Any) -> tuple[jax.Array, jax.Array]:
    """``cos`` and ``sin`` of ``2 pi i k / n``, ``(n, n // 2 + 1)``.

    Made in the program, since as constants they would be 17 MB for 2048 samples.
    """
    return circle(n, n // 2 + 1, dtype, period=n)


def circle(rows: int, columns: int, dtype: Any, *, period: int) -> tuple[jax.Array, jax.Array]:
    """``cos`` and ``sin`` of ``2 pi i k / period``, ``(rows, columns)``.

    The angle is reduced in integers, so that it is as exact as the dtype.
    """
    i = jax.lax.iota(jnp.int32, rows)[:, None]
    k = jax.lax.iota(jnp.int32, columns)
    turn = i * k % period
    turn = jnp.where(2 * turn > period, turn - period, turn)
    angle = turn.astype(dtype) * (2 * jnp.pi / period)
    return jnp.cos(angle), jnp.sin(angle)


# As primitives.


def _complex(real: Any) -> Any:
    return jnp.complex128 if real == jnp.float64 else jnp.complex64


def _transposed(function: Any, frames: bool) -> Any:
    """The transpose of ``function`` as a function of the cotangent and the same options."""

    def transpose(cotangent: jax.Array, *, n: int, **options: Any) -> jax.Array:
        real = cotangent.real.dtype
        shape = (*cotangent.shape[:-1], n if frames else n // 2 + 1)
        # Of the cotangent, for inside of `shard_map` it says on which devices it differs.
        corner = jnp.zeros_like(cotangent[..., :1], real if frames else _complex(real))
        operand = jnp.broadcast_to(corner, shape)
        return jax.linear_transpose(partial(function, n=n, **options), operand)(cotangent)[0]

    return transpose


def _sharded(function: Any) -> Any:
    """``function`` of the last axis, on each device's share of the axes in front of it."""
    if PARTITIONS_FFT_ITSELF:
        return function

    def sharded(x: jax.Array, **options: Any) -> jax.Array:
        def one(x: jax.Array) -> jax.Array:
            return function(x, **options)

        def alike(mesh: Any, arguments: Any) -> NamedSharding:
            spec = (*arguments[0].sharding.spec, *[None] * x.ndim)[: x.ndim - 1]
            return NamedSharding(mesh, PartitionSpec(*spec, None))

        def infer(mesh: Any, arguments: Any, result: Any) -> NamedSharding:
            del result
            return alike(mesh, arguments)

        def partition(mesh: Any, arguments: Any, result: Any) -> Any:
            del result
            sharding = alike(mesh, arguments)
            return mesh, one, sharding, (sharding,)

        whole = custom_partitioning(one)
        whole.def_partition(
            partition,
            infer_sharding_from_operands=infer,
            sharding_rule="... i -> ... j",
            need_replication_factors=("i", "j"),
        )
        return whole(x)

    return sharded


def _define(
    name: str, by_fft: Any, by_product: Any, *, to_frames: bool
) -> tuple[Primitive, Primitive]:
    """The primitive of a transform and that of its transpose."""
    forward, backward = Primitive(name), Primitive(f"{name}_transpose")

    def real_frames(x: Any, *, n: int, method: str, precision: str) -> Any:
        del method, precision
        return x.update(shape=(*x.shape[:-1], n), dtype=jnp.finfo(x.dtype).dtype, weak_type=False)

    def half_spectra(x: Any, *, n: int, method: str, precision: str) -> Any:
        del method, precision
        dtype = _complex(x.dtype)
        return x.update(shape=(*x.shape[:-1], n // 2 + 1), dtype=dtype, weak_type=False)

    pairs = (
        (forward, backward, by_fft, by_product, to_frames),
        (
            backward,
            forward,
            _transposed(by_fft, not to_frames),
            _transposed(by_product, not to_frames),
            not to_frames,
        ),
    )
    for primitive, other, fft, product, gives_frames in pairs:
        register_linear(
            primitive,
            shape=real_frames if gives_frames else half_spectra,
            transpose=lambda ct, x, other=other, **options: [other.bind(ct, **options)],
            static=_STATIC,
            computes=_chosen(fft, product, longest=0),
            lowerings={
                None: _chosen(_sharded(fft), product, longest=0),
                "tpu": _chosen(_sharded(fft), product, longest=LONGEST_PRODUCT),
            },
        )
    return forward, backward


def _chosen(fft: Any, product: Any, *, longest: int) -> Any:
    """The engine of ``method``; ``"auto"`` is the product up to ``longest`` samples."""

    def transform(x: jax.Array, *, n: int, method: str, precision: str) -> jax.Array:
        automatic = "matmul" if n <= longest else "fft"
        engine = product if (automatic if method == "auto" else method) == "matmul" else fft
        return engine(x, n=n, precision=precision)

    return transform


_rfft_p, _ = _define("rfft", _rfft_by_fft, _rfft_by_product, to_frames=False)
_irfft_p, _ = _define("irfft", _irfft_by_fft, _irfft_by_product, to_frames=True)

_ifft_p = Primitive("ifft")  # its matrix is symmetric: it is its own transpose
register_linear(
    _ifft_p,
    shape=lambda spectrum: spectrum,
    transpose=lambda ct, _: [_ifft_p.bind(ct)],
    static=(),
    computes=_ifft_by_fft,
    lowerings={None: _sharded(_ifft_by_fft)},
)
