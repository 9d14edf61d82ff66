"""The two engines of the Fourier transform, and what a platform chooses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspec

SIZES = (2, 3, 16, 25, 400, 512, 1999)


def _noise(n, seed=0):
    return np.random.default_rng(seed).standard_normal((2, 5 * n)).astype(np.float32)


def _relative(given, expected):
    return np.abs(np.asarray(given) - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("n", SIZES)
def test_the_product_equals_the_fft(n):
    x = _noise(n)
    options = {"n_fft": n, "hop_length": max(n // 2, 1), "window": "hamming"}
    spectra = {m: jaxspec.stft(x, method=m, **options) for m in ("fft", "matmul")}
    exact = np.asarray(spectra["fft"])
    assert spectra["matmul"].dtype == np.complex64
    assert _relative(spectra["matmul"], exact) < 1e-5
    given, expected = (
        jaxspec.istft(exact, method=m, length=x.shape[-1], **options) for m in ("matmul", "fft")
    )
    assert given.dtype == np.float32
    assert _relative(given, np.asarray(expected)) < 1e-5


@pytest.mark.parametrize("n", [3, 16, 25])
def test_the_product_in_float64(x64, n):
    x = _noise(n).astype(np.float64)
    options = {"n_fft": n, "hop_length": max(n // 2, 1), "window": "hamming"}
    spectra = [jaxspec.stft(x, method=m, **options) for m in ("fft", "matmul")]
    assert spectra[1].dtype == np.complex128
    assert _relative(spectra[1], np.asarray(spectra[0])) < 1e-13


@pytest.mark.parametrize("n", [16, 25, 400])
def test_derivatives_of_both_engines_agree(n):
    x, along = _noise(n), _noise(n, seed=1)
    options = {"n_fft": n, "hop_length": n // 2, "window": "hamming"}

    def results(method):
        def back_and_forth(x):
            spectrum = jaxspec.stft(x, method=method, **options)
            weighted = spectrum * jnp.exp(1j * jnp.arange(n // 2 + 1.0))
            y = jaxspec.istft(weighted, method=method, length=x.shape[-1], **options)
            return jnp.sum(jnp.sin(y))

        gradient = jax.grad(back_and_forth)
        return gradient(x), *jax.jvp(gradient, (x,), (along,))

    for given, expected in zip(results("matmul"), results("fft"), strict=True):
        assert _relative(given, np.asarray(expected)) < 2e-5


def _lowered(platform, **options):
    def power(x):
        return jnp.sum(jnp.abs(jaxspec.stft(x, hop_length=100, **options)) ** 2)

    x = jax.ShapeDtypeStruct((2, 10_000), jnp.float32)
    return jax.jit(jax.grad(power)).trace(x).lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.parametrize(
    ("platform", "n_fft", "product"),
    [("cpu", 400, False), ("cuda", 400, False), ("tpu", 400, True), ("tpu", 4096, False)],
)
def test_auto_decides_when_the_program_is_lowered(platform, n_fft, product):
    text = _lowered(platform, n_fft=n_fft)
    assert ("stablehlo.dot_general" in text) == product
    assert ("stablehlo.fft" in text) == (not product)


@pytest.mark.parametrize("platform", ["cpu", "tpu", "cuda"])
def test_the_engine_and_the_precision_asked_for_are_used(platform):
    assert "stablehlo.fft" in _lowered(platform, n_fft=400, method="fft")
    for precision in ("highest", "high", "default"):
        text = _lowered(platform, n_fft=400, method="matmul", precision=precision)
        products = [line for line in text.splitlines() if "stablehlo.dot_general" in line]
        assert "stablehlo.fft" not in text
        assert len(products) == 4  # two forward, two backward
        assert all(f"precision = [{precision.upper()}, " in line for line in products)


def test_the_matrices_are_no_constants():
    """They would be 17 MB for 2048 samples."""
    assert len(_lowered("tpu", n_fft=2048)) < 200_000
