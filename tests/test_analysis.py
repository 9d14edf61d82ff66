"""Band filters in time: Gabor and sinc filters against their formulas, Gaussian pooling, LEAF."""

import dataclasses
import json
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import noise
from scipy.signal import firwin

from jaxspec import FrontEnd, stages

sys.path.insert(0, str(pathlib.Path(__file__).parent / "goldens"))
from voice import signals

BANDS = {"sample_rate": 16000, "n_bands": 40, "f_min": 60.0, "f_max": 7800.0, "scale": "htk"}
X = noise(4000)

pytestmark = pytest.mark.usefixtures("x64")


def _zeros(stage):
    return stage.init(jax.random.key(0), dtype=jnp.float64)


def _random(stage, size=0.3, seed=0):
    rng = np.random.default_rng(seed)
    return {
        name: jnp.asarray(size * rng.standard_normal(leaf.shape))
        for name, leaf in stage.param_shapes().items()
    }


def _leaf_kernels(centers, deviations, taps):
    """The formula of LEAF's Gabor filters."""
    n = np.arange(taps)[:, None] - taps // 2
    mu = 2 * np.pi * np.asarray(centers) / 16000
    s = np.asarray(deviations)
    return np.exp(-(n**2) / (2 * s**2)) / (np.sqrt(2 * np.pi) * s) * np.exp(1j * mu * n)


@pytest.mark.parametrize("layout", ["gaps", "warp", "scale"])
def test_gabor_filters_are_those_of_leaf(layout):
    stage = stages.Gabor(**BANDS, layout=layout, taps=401, hop_length=7, method="direct")
    params = _random(stage)
    kernels = _leaf_kernels(stage.centers(params), stage.deviations(params), 401)
    padded = np.pad(X, 200)
    frames = np.lib.stride_tricks.sliding_window_view(padded, 401)[::7]
    # A correlation with a kernel of either sign of the exponent has the same magnitude.
    truth = frames @ kernels.conj()
    found = stage.apply(params, X)
    assert found.shape == (572, 40) == (stage.length(4000), 40)
    np.testing.assert_allclose(found, truth, atol=1e-12)
    own = stage.kernels(params, dtype=jnp.float64)
    np.testing.assert_allclose(own["real"] + 1j * own["imag"], kernels.conj(), atol=1e-15)


def test_the_frequency_response_is_a_gaussian():
    """It is 1 at the centre, and the power is half at half the width from it."""
    stage = stages.Gabor(**BANDS, taps=2001, method="direct")
    parts = stage.kernels({}, dtype=jnp.float64)
    kernels = np.asarray(parts["real"] - 1j * parts["imag"])
    centers = np.asarray(stage.edges({}, dtype=jnp.float64))[1:-1]
    widths = np.asarray(stage.widths({}, dtype=jnp.float64))
    n = np.arange(2001)[:, None] - 1000
    for away, power in ((0.0, 1.0), (0.5, 0.5), (1.0, 2.0**-4)):
        wave = np.exp(-2j * np.pi * (centers + away * widths) / 16000 * n)
        np.testing.assert_allclose(np.abs((kernels * wave).sum(axis=0)) ** 2, power, rtol=1e-6)


def test_gabor_and_filterbank_share_bands():
    """The same parameters, centres and widths; on stationary noise nearly the same energies."""
    options = {**BANDS, "n_bands": 12, "layout": "gaps"}
    gabor = stages.Gabor(**options, taps=401, hop_length=4)
    bank = stages.Filterbank(**options, n_fft=1024, shape="gaussian", norm=None)
    params = _random(gabor)
    assert gabor.param_shapes() == bank.param_shapes()
    np.testing.assert_array_equal(gabor.edges(params), bank.edges(params))
    np.testing.assert_array_equal(gabor.widths(params), bank.widths(params))
    x = jnp.asarray(noise(80000))
    energy = jnp.abs(gabor.apply(params, x)) ** 2
    spectrum = FrontEnd(stages.STFT(n_fft=1024, hop_length=512), stages.Power())(x)
    ratio = energy.mean(axis=0) / bank.apply(params, spectrum).mean(axis=0)
    np.testing.assert_allclose(ratio / ratio.mean(), 1, atol=0.05)


@pytest.mark.parametrize(("hop", "worst"), [(1, 1e-12), (4, 1e-6), (8, 0.03)])
def test_both_methods_agree(hop, worst):
    """What is cut off in frequency is all that differs."""
    direct = stages.Gabor(**BANDS, layout="gaps", taps=1601, hop_length=hop, method="direct")
    fft = dataclasses.replace(direct, method="fft")
    params = _zeros(direct)
    a, b = direct.apply(params, X), fft.apply(params, X)
    assert np.abs(a - b).max() <= worst * np.abs(a).max()
    short = X[:37]  # shorter than a frame, and than a hop allows for evenly
    a, b = direct.apply(params, short), fft.apply(params, short)
    assert np.abs(a - b).max() <= worst * np.abs(a).max()


def _leaf(method, hop):
    pool = stages.GaussianPool(
        size=400 // hop + 1, stride=160 // hop, deviation=80 / hop, norm="sum", learn="all",
        n_bands=40,
    )  # fmt: skip
    return FrontEnd(
        stages.Gabor(**BANDS, layout="gaps", taps=1601, hop_length=hop, method=method),
        stages.Power(),
        pool,
    )


def test_leaf_energies_by_fft():
    """The logarithm of the pooled energies differs from direct convolution by 0.005 at most."""
    direct, fft = _leaf("direct", 1), _leaf("fft", 8)
    x = noise(16000)
    a, b = (f.apply(jax.tree.map(jnp.float64, f.init(jax.random.key(0))), x) for f in (direct, fft))
    assert a.shape == b.shape == (100, 40)
    inside = slice(3, -3)
    difference = jnp.log(a[inside]) - jnp.log(b[inside])
    assert jnp.sqrt(jnp.mean(difference**2)) <= 0.005
    np.testing.assert_allclose(fft.frame_times(3), [0, 0.01, 0.02])


@pytest.mark.parametrize("method", ["direct", "fft"])
def test_gradients(method):
    """By parameters and by the waveform, against differences."""
    stage = stages.Gabor(
        **{**BANDS, "n_bands": 5}, layout="gaps", learn=("gaps", "widths", "range"), taps=201,
        hop_length=4, method=method, limits=(20, 7990),
    )  # fmt: skip
    params, x = _random(stage), jnp.asarray(X[:600])
    weights = jnp.asarray(np.random.default_rng(1).standard_normal((150, 5)))

    @jax.jit
    def loss(params, x):
        return jnp.sum(weights * jnp.log(jnp.abs(stage.apply(params, x)) ** 2 + 1e-3))

    gradient = jax.jit(jax.grad(loss, argnums=(0, 1)))(params, x)
    for name, leaf in gradient[0].items():
        assert (leaf != 0).all(), name
        for place in range(0, leaf.size, 2):
            step = jnp.zeros(leaf.shape).at[place].set(1e-6)
            up, down = (loss(params | {name: params[name] + s * step}, x) for s in (1, -1))
            np.testing.assert_allclose(leaf[place], (up - down) / 2e-6, rtol=1e-5, atol=1e-6)
    for place in (0, 299, 599):
        step = jnp.zeros(600).at[place].set(1e-6)
        difference = (loss(params, x + step) - loss(params, x - step)) / 2e-6
        np.testing.assert_allclose(gradient[1][place], difference, rtol=1e-5, atol=1e-6)


def test_no_parameters_compile_anew():
    stage = stages.Gabor(**BANDS, layout="gaps", taps=801, hop_length=8)
    traces = []

    @jax.jit
    def apply(params):
        traces.append(1)
        return stage.apply(params, X)

    for size in (0.0, 0.5, 5.0, 100.0):
        assert np.isfinite(apply(_random(stage, size))).all()
    assert len(traces) == 1
    assert stage.check(_zeros(stage)) == []
    (text, *_) = stage.check(_zeros(stage) | {"widths": jnp.full(40, -4.0)})
    assert "cut off by 801 taps" in text
    found = stage.check(_zeros(stage) | {"widths": jnp.full(40, 1.0)})
    assert any("wider than hop_length=8 leaves room for" in text for text in found)


# Sinc filters.


def test_sinc_filters_against_scipy():
    """SincNet's: an ideal band-pass times a window, divided by twice its width."""
    stage = stages.Sinc(**{**BANDS, "n_bands": 6}, taps=251, layout="gaps")
    params = _random(stage)
    own = np.asarray(stage.kernels(params, dtype=jnp.float64)["real"])
    centers, widths = (np.asarray(a) for a in (stage.centers(params), stage.widths(params)))
    n = np.arange(251) - 125
    for band, (c, w) in enumerate(zip(centers, widths, strict=True)):
        low, high = (c - w / 2) / 16000, (c + w / 2) / 16000
        # 2 f2 sinc(2 f2 n) - 2 f1 sinc(2 f1 n), over 2 (f2 - f1), with frequencies as shares.
        ideal = 2 * high * np.sinc(2 * high * n) - 2 * low * np.sinc(2 * low * n)
        truth = ideal / (2 * (high - low)) * np.hamming(251)
        np.testing.assert_allclose(own[:, band], truth, atol=1e-12)
        if low > 0:
            scipy = firwin(251, [low, high], fs=1, pass_zero=False, window="hamming", scale=False)
            np.testing.assert_allclose(own[:, band] * 2 * (high - low), scipy, atol=1e-12)


def test_hilbert_partners():
    """The imaginary part is a quarter of a period later: the magnitude of a tone is constant."""
    stage = stages.Sinc(**{**BANDS, "n_bands": 6}, taps=251, center=False)
    for band, hz in enumerate(np.asarray(stage.centers({}))[1:], start=1):
        tone = jnp.sin(2 * jnp.pi * hz * jnp.arange(2000) / 16000)
        magnitude = jnp.abs(stage(tone))[:, band]
        assert magnitude.std() <= 0.01 * magnitude.mean()


def test_a06_a_learnable_sinc_filter():
    """Finite at the start, for bandwidths that vanish, and with an edge exactly on a bin."""
    for points in ([0.0, 1000.0, 2000.0, 4000.0, 8000.0], None):
        stage = stages.Sinc(
            sample_rate=16000, n_bands=3, taps=129, points=points, layout="gaps",
            bandwidths=[1e-12, 1000.0, 2000.0],
        )  # fmt: skip
        x = jnp.asarray(X[:500])

        def loss(params, x, stage=stage):
            return jnp.sum(jnp.abs(stage.apply(params, x)) ** 2)

        for size in (0.0, 1.0, 1e3):
            for dtype in (jnp.float64, jnp.float32):
                params = jax.tree.map(lambda z, d=dtype: z.astype(d), _random(stage, size))
                for clip in (x.astype(dtype), jnp.zeros(500, dtype)):
                    value, slopes = jax.value_and_grad(loss, argnums=(0, 1))(params, clip)
                    assert np.isfinite(value)
                    assert all(np.isfinite(s).all() for s in jax.tree.leaves(slopes))


# Pooling.


@pytest.mark.parametrize("norm", ["sum", "peak"])
@pytest.mark.parametrize("offset", [0, 3, 9])
def test_gaussian_pool(norm, offset):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((50, 3)) ** 2
    deviation = np.array([0.8, 2.0, 5.0])
    stage = stages.GaussianPool(size=11, stride=4, deviation=deviation, offset=offset, norm=norm)
    g = np.exp(-0.5 * ((np.arange(11) - 5)[:, None] / deviation) ** 2)
    g /= g.sum(axis=0) if norm == "sum" else 1
    padded = np.pad(x, ((5, 5), (0, 0)))
    truth = np.array([(padded[t : t + 11] * g).sum(axis=0) for t in range(offset, 50, 4)])
    np.testing.assert_allclose(stage(x), truth, rtol=1e-12)
    assert stage.length(50) == len(truth)
    assert stage.middle == offset


def test_leaf_pooling_widths():
    """LEAF states a share of half the window; its frames lie 80 samples later than ours."""
    size, share = 401, 0.4
    n = np.arange(size)
    truth = np.exp(-0.5 * ((n - (size - 1) / 2) / (share * (size - 1) / 2)) ** 2)
    pool = stages.GaussianPool(
        size=size, stride=160, deviation=share * (size - 1) / 2, norm="peak", offset=80
    )
    np.testing.assert_allclose(pool.kernel({}, dtype=jnp.float64)[:, 0], truth, rtol=1e-12)
    assert pool.length(16000) == 100
    # TensorFlow's "SAME" for 16000 samples: 241 zeros, 120 of them in front.
    total = 99 * 160 + size - 16000
    assert pool.reach.before == total // 2 == 120


# LEAF, against goldens/make_leaf.py: float64 recipes that equal speechbrain's and the original's.

GOLDENS = np.load(pathlib.Path(__file__).parent / "goldens" / "leaf.npz")
META = json.loads(GOLDENS["meta"].item())


def _same_as_golden(key, found):
    for axis, index in enumerate(META[key]["index"]):
        found = found if index is None else np.take(found, index, axis=axis)
    truth = GOLDENS[key]
    assert np.abs(found - truth).max() <= 1e-9 * np.abs(truth).max()


def _leaf_with_the_parameters_of(case, *, method="direct"):
    mu, sigma, pool, alpha, delta, root, smooth = (
        GOLDENS[f"{case}/{name}"]
        for name in ("mu", "sigma", "pool", "alpha", "delta", "root", "smooth")
    )
    gabor = stages.Gabor(
        sample_rate=16000, n_bands=len(mu), taps=401, layout="gaps", method=method,
        points=np.r_[0, mu * 16000 / (2 * np.pi), 8000],
        bandwidths=np.sqrt(np.log(2)) / np.pi * 16000 / sigma,
    )  # fmt: skip
    return FrontEnd(
        gabor,
        stages.Power(),
        stages.GaussianPool(
            size=401, stride=160, deviation=pool * 200, offset=80, norm="peak", learn="all",
            n_bands=len(mu),
        ),
        stages.Clip(low=1e-5),
        stages.PCEN(
            gain=alpha, bias=delta, power=1 / root, smoothing=smooth, eps=1e-12, learn="all",
            n_bands=len(mu),
        ),
    )  # fmt: skip


def test_leaf_is_that_of_the_paper():
    """Energies and features at LEAF's own start; its frames lie at 80 + 160 t."""
    frontend = _leaf_with_the_parameters_of("leaf/start")
    x = signals(16000)["odd"][3000 : 3000 + 4800]
    params = jax.tree.map(jnp.float64, frontend.init(jax.random.key(0)))
    _same_as_golden("leaf/start/y", frontend.apply(params, x))
    pooled = FrontEnd(*frontend.stages[:3])
    own = {name: params[name] for name in ("gabor", "gaussian_pool")}
    _same_as_golden("leaf/start/pooled", pooled.apply(own, x))
    np.testing.assert_allclose(frontend.frame_times(2), [80 / 16000, 240 / 16000])


@pytest.mark.parametrize("center", [True, False])
def test_an_even_number_of_taps(center):
    """One more lies before the middle; cut off in frequency or in time, filters are the same."""
    options = {**BANDS, "taps": 800, "hop_length": 4, "center": center}
    direct, fft = (stages.Gabor(**options, method=method) for method in ("direct", "fft"))
    a, b = direct(X), fft(X)
    assert a.shape == b.shape == (direct.length(4000), 40)
    np.testing.assert_allclose(a, b, atol=1e-3 * np.abs(a).max())
    odd = stages.Gabor(**{**options, "taps": 801, "method": "direct"})
    assert direct.middle == odd.middle == (0 if center else 400)
    np.testing.assert_allclose(a[: len(odd(X))], odd(X), atol=1e-3 * np.abs(a).max())


# In parts.


@pytest.mark.parametrize("layout", ["fixed", "gaps"])
@pytest.mark.parametrize("kind", [stages.Gabor, stages.Sinc, stages.Gammatone])
def test_parts_are_the_whole(kind, layout):
    options = {"f_min": 100, "f_max": 7000, "scale": "htk", "layout": layout}
    whole = kind(sample_rate=16000, n_bands=9, taps=201, hop_length=10, **options)
    parts = whole.split(2, 6)
    assert [part.n_bands for part in parts] == [2, 4, 3]
    x = jnp.asarray(noise(2000), jnp.float32)
    params = [part.init(jax.random.key(0)) for part in parts]
    found = [part.apply(own, x) for part, own in zip(parts, params, strict=True)]
    truth = whole.apply(whole.init(jax.random.key(0)), x)
    np.testing.assert_allclose(
        jnp.concatenate(found, axis=-1), truth, atol=2e-6 * np.abs(truth).max()
    )
    centers = [part.centers(own) for part, own in zip(parts, params, strict=True)]
    np.testing.assert_allclose(np.concatenate(centers), whole.centers({}), rtol=1e-6)


def test_parts_that_cannot_be():
    gabor = stages.Gabor(sample_rate=16000, n_bands=9, taps=201, hop_length=10)
    for ends in ((0,), (9,), (4, 4), (5, 3)):
        with pytest.raises(ValueError, match="ends must"):
            gabor.split(*ends)
    ranged = stages.Gabor(
        sample_rate=16000, n_bands=9, f_min=60, f_max=7000, taps=201, layout="gaps",
        learn=("gaps", "range"),
    )  # fmt: skip
    with pytest.raises(ValueError, match='cannot share a learned "range"'):
        ranged.split(3)
