"""What filters in time do to energies and to negative frequencies, and the penalties of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import jaxspec
from jaxspec import diagnostics, stages, training


def frame_operator(filters, hop, n):
    """The matrix of ``sum_k sum_t <x, h_kt> h_kt`` on signals of period ``n``."""
    operator = np.zeros((n, n))
    for k in range(filters.shape[1]):
        row = np.zeros(n)
        np.add.at(row, np.arange(len(filters)) % n, filters[:, k])
        for t in range(0, n, hop):
            moved = np.roll(row, t)
            operator += np.outer(moved, moved)
    return operator


@pytest.mark.parametrize(("hop", "taps", "n_bands"), [(1, 9, 3), (2, 8, 3), (4, 10, 5), (6, 7, 2)])
def test_frame_bounds_are_those_of_the_frame_operator(hop, taps, n_bands):
    rng = np.random.default_rng(hop)
    real, imag = rng.standard_normal((2, taps, n_bands))
    n = 2 * hop * -(-taps // hop)
    for parts in ({"real": real}, {"real": real, "imag": imag}):
        both = np.concatenate(list(parts.values()), axis=1)
        values = np.linalg.eigvalsh(frame_operator(both, hop, n))
        with jax.enable_x64(True):
            lower, upper = diagnostics.frame_bounds(**parts, hop_length=hop)
        np.testing.assert_allclose(upper, values[-1], rtol=1e-10)
        np.testing.assert_allclose(lower, max(values[0], 0), rtol=1e-8, atol=1e-10)


def test_frame_bounds_hold():
    """Energies of the outputs of a stage lie between the bounds."""
    filters = stages.FreeFilters(n_bands=12, taps=16, hop_length=4)
    params = filters.init(jax.random.key(1))
    lower, upper = diagnostics.frame_bounds(**filters.kernels(params), hop_length=4)
    rng = np.random.default_rng(0)
    x = np.zeros((50, 400), np.float32)
    x[:, 100:300] = rng.standard_normal((50, 200))
    y = filters.apply(params, jnp.asarray(x))
    ratios = np.sum(np.abs(y) ** 2, axis=(1, 2)) / np.sum(x**2, axis=1)
    assert 0 < lower < ratios.min() < ratios.max() < upper


def test_negative_share():
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        for taps in (16, 17):
            real = rng.standard_normal((taps, 4))
            np.testing.assert_allclose(diagnostics.negative_share(real), 0.5, atol=1e-12)
            hilbert = jaxspec.analysis.hilbert_transform(jnp.asarray(real))
            shares = diagnostics.negative_share(real, imag=-hilbert)
            assert (shares < 1e-12).all()
            np.testing.assert_allclose(
                diagnostics.negative_share(real, imag=hilbert) + shares, 1, atol=1e-12
            )
    assert diagnostics.negative_share(np.zeros((8, 2), np.float32)).tolist() == [0, 0]


ANALYTIC = stages.FreeFilters(n_bands=3, taps=16, partner="hilbert")
FREE = stages.FreeFilters(n_bands=8, taps=12, hop_length=3)
GABOR = stages.Gabor(
    sample_rate=8000, n_bands=6, f_min=300, layout="gaps", taps=65, hop_length=4, method="direct"
)


def test_analytic_filters_have_no_penalty():
    assert training.analyticity_penalty(ANALYTIC, ANALYTIC.init(jax.random.key(0))) < 1e-6
    real = stages.FreeFilters(n_bands=3, taps=16, partner="none")
    penalty = training.analyticity_penalty(real, real.init(jax.random.key(0)))
    assert penalty == pytest.approx(0.5, abs=1e-6)


def test_a_tight_frame_has_no_penalty():
    """The rows of an orthonormal DCT, in time."""
    size = 16
    matrix = np.asarray(jaxspec.dct_matrix(size, n_out=size, norm="ortho"), np.float64)
    filters = stages.FreeFilters(
        n_bands=size, taps=size, hop_length=size, partner="none", real=matrix, learn=()
    )
    assert training.condition_penalty(filters, {}) < 1e-5


def test_the_worst_penalty_is_finite():
    """Fewer filters than samples from frame to frame; none at all."""
    few = stages.FreeFilters(n_bands=2, taps=16, hop_length=8)
    params = few.init(jax.random.key(0))
    for values in (params, jax.tree.map(jnp.zeros_like, params)):
        for penalty in (training.condition_penalty, training.analyticity_penalty):
            value, slope = jax.value_and_grad(lambda p, f=penalty: f(few, p))(values)
            assert np.isfinite(value)
            assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))
    assert training.condition_penalty(few, params) == pytest.approx(np.log(1e6), rel=0.02)


@pytest.mark.parametrize("penalty", [training.analyticity_penalty, training.condition_penalty])
@pytest.mark.parametrize("stage", [FREE, GABOR], ids=["free", "gabor"])
def test_gradients(penalty, stage):
    if stage is GABOR and penalty is training.analyticity_penalty:
        shapes = {"widths": 3 * np.ones(6), "gaps": np.zeros(7)}
    else:
        rng = np.random.default_rng(3)
        shapes = {k: 0.3 * rng.standard_normal(v.shape) for k, v in stage.param_shapes().items()}
    with jax.enable_x64(True):
        params = jax.tree.map(jnp.asarray, shapes)
        check_grads(
            lambda params: penalty(stage, params), (params,), order=1, modes=["rev"], rtol=1e-5
        )


@pytest.mark.parametrize("penalty", [training.analyticity_penalty, training.condition_penalty])
def test_descent_lowers_the_penalty(penalty):
    params = FREE.init(jax.random.key(2))
    step = jax.jit(jax.value_and_grad(lambda params: penalty(FREE, params)))
    first, _ = step(params)
    for _ in range(200):
        _, slope = step(params)
        params = jax.tree.map(lambda z, d: z - 0.01 * d, params, slope)
    assert step(params)[0] < 0.7 * first


def test_wrong_arguments():
    with pytest.raises(TypeError, match="filters must be a stage of filters in time"):
        training.analyticity_penalty(stages.Power(), {})
    with pytest.raises(TypeError, match="filters must be a stage of filters in time"):
        training.condition_penalty(stages.Power(), {})
    with pytest.raises(ValueError, match="hop_length must be an int >= 1"):
        diagnostics.frame_bounds(np.ones((4, 2)), hop_length=0)
    with pytest.raises(ValueError, match=r"imag must have shape \(taps, n_bands\)"):
        diagnostics.frame_bounds(np.ones((4, 2)), imag=np.ones((4, 3)))
    with pytest.raises(ValueError, match=r"real must have shape \(taps, n_bands\)"):
        diagnostics.negative_share(np.ones(4))
