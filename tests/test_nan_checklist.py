"""Expressions that give NaN, infinite or no gradients when they are written down naively.

For each of them: the naive expression does it still (so that the test tests something), what is
used here has the right gradient at the bad point. At the end, long and rough training.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import noise

import jaxspec
from jaxspec import FrontEnd, parametrize, stages

x64 = pytest.mark.usefixtures("x64")

N = 64
FRAMES = {"n_fft": N, "hop_length": N, "center": False, "window": "boxcar"}


def _slope(function, at, step=1e-6):
    """Central differences of 4th order."""
    near, far = (function(at + h) - function(at - h) for h in (step, 2 * step))
    return (8 * near - far) / (12 * step)


# The modulus of a spectrum, and its powers.


@pytest.mark.parametrize("power", [1.0, 2.0, 1.5])
def test_modulus_of_silence(power):
    """0, as JAX's own gives; the gradient of bins that are not 0 is that of mathematics."""
    silence = jnp.zeros(N)
    gradient = jax.grad(lambda x: jaxspec.spectrogram(x, power=power, **FRAMES).sum())(silence)
    assert (gradient == 0).all()
    gradient = jax.grad(lambda x: (jnp.abs(jnp.fft.rfft(x)) ** power).sum())(silence)
    assert (gradient == 0).all()


@pytest.mark.parametrize("power", [0.3, 0.5, 0.9])
def test_roots_of_the_modulus_of_silence(power):
    silence = jnp.zeros(N)
    naive = jax.grad(lambda x: (jnp.abs(jnp.fft.rfft(x)) ** power).sum())(silence)
    assert np.isnan(naive).any()
    gradient = jax.grad(lambda x: jaxspec.spectrogram(x, power=power, **FRAMES).sum())(silence)
    assert (gradient == 0).all()


def test_the_root_of_squares():
    """sqrt(re^2 + im^2) is NaN at 0, and infinite where the squares underflow."""
    naive = jax.grad(lambda re, im: jnp.sqrt(re**2 + im**2), (0, 1))(0.0, 0.0)
    assert np.isnan(naive).all()
    for re, im, expected in [(0.0, 0.0, (0, 0)), (3e-30, 4e-30, (0.6, 0.8)), (-2.0, 0.0, (-1, 0))]:
        gradient = jax.grad(lambda a, b: jaxspec.magnitude(jax.lax.complex(a, b)), (0, 1))(re, im)
        np.testing.assert_allclose(gradient, expected, rtol=1e-6)


@x64
@pytest.mark.parametrize("power", [0.3, 0.5, 1.0, 1.5, 2.0])
def test_powers_beside_silence_have_the_right_gradient(power):
    """One frame silent, one not: each as if the other were not there."""
    x = jnp.asarray(np.concatenate([np.zeros(N), noise(N)]))
    direction = jnp.asarray(noise(2 * N, seed=1)).at[:N].set(0)

    def loss(x):
        return jnp.sum(jnp.cos(jnp.arange(2.0)) @ jaxspec.spectrogram(x, power=power, **FRAMES))

    gradient = jax.grad(loss)(x)
    assert (gradient[:N] == 0).all()
    expected = _slope(lambda h: loss(x + h * direction), 0.0, step=1e-4)
    np.testing.assert_allclose(jnp.vdot(gradient, direction), expected, rtol=1e-8)


# The angle.


@x64
def test_angle_of_silence():
    def angle(re, im):
        return jaxspec.phase(jax.lax.complex(re, im))

    zero = jnp.asarray(0.0)
    naive = jax.grad(lambda re, im: jnp.angle(jax.lax.complex(re, im)), (0, 1))(zero, zero)
    assert np.isnan(naive).any()
    assert jax.grad(angle, (0, 1))(zero, zero) == (0, 0)
    gradient = jax.grad(angle, (0, 1))(jnp.asarray(3.0), jnp.asarray(4.0))
    np.testing.assert_allclose(gradient, (-4 / 25, 3 / 25), rtol=1e-12)
    x = jnp.zeros(N)
    gradient = jax.grad(lambda x: jaxspec.phase(jaxspec.stft(x, **FRAMES)).sum())(x)
    assert np.isfinite(gradient).all()


# Quotients of two functions that are 0 at the same point.


@x64
def test_removable_singularities():
    """As sin(t) / t: masked after the division it is NaN. Here: (exp(u) - 1) / u of the blend."""
    zero = jnp.asarray(0.0)
    assert np.isnan(jax.grad(lambda t: jnp.where(t == 0, 1, jnp.sin(t) / t))(zero))
    x = 5.0

    def naive(p):
        return jnp.where(p == 0, jnp.log(x), (x**p - 1) / p)

    def blend(p):
        return jaxspec.log_power_blend(jnp.asarray(x - 1), exponent=p, offset=1.0)

    assert np.isnan(jax.grad(naive)(zero))
    logarithm = np.log(x)
    np.testing.assert_allclose(blend(zero), logarithm, rtol=1e-14)
    np.testing.assert_allclose(jax.grad(blend)(zero), logarithm**2 / 2, rtol=1e-14)
    np.testing.assert_allclose(jax.grad(jax.grad(blend))(zero), logarithm**3 / 3, rtol=1e-14)
    for p in (-0.4, -1e-9, 1e-5, 0.3, 0.62, 0.63, 0.9):
        got = jax.grad(blend)(jnp.asarray(p))
        np.testing.assert_allclose(got, _slope(blend, p, step=1e-4), rtol=1e-10)


# Quantities with bounds.

MAPS = {
    "positive": lambda z: parametrize.positive(z, start=2.0),
    "interval": lambda z: parametrize.interval(z, start=0.98, low=0.0, high=1.0),
    "non_negative": lambda z: parametrize.non_negative(z, start=np.array(0.3)),
    "shares": lambda z: parametrize.shares(
        jnp.stack([z, 0 * z]), start=np.array([0.4, 0.6]), least=0.01
    )[0],
}


@x64
@pytest.mark.parametrize("name", MAPS)
def test_bounds_do_not_end_learning(name):
    """A clipped quantity has no gradient beyond its bound, and half of it there."""
    assert jax.grad(lambda v: jnp.clip(v, 0.0, 1.0))(1.2) == 0
    assert jax.grad(lambda v: jnp.clip(v, 0.0, 1.0))(1.0) == 0.5
    for z in (-12.0, -3.0, 0.0, 3.0, 12.0):
        slope = jax.grad(MAPS[name])(jnp.asarray(z))
        assert slope > 0
        np.testing.assert_allclose(
            slope, _slope(MAPS[name], jnp.asarray(z), step=1e-3), rtol=1e-6, atol=1e-14
        )


@pytest.mark.parametrize("quantity", ["gain", "power"])
@pytest.mark.parametrize("z", [-9.0, 9.0])
def test_gain_and_root_of_pcen_come_back_from_their_bounds(quantity, z):
    """min(gain, 1) and max(root, 1) have no gradient where they hold."""
    assert jax.grad(lambda gain: jnp.minimum(gain, 1.0))(1.1) == 0
    assert jax.grad(lambda root: 1 / jnp.maximum(root, 1.0))(0.9) == 0
    pcen = stages.PCEN(learn="all")
    params = pcen.init(jax.random.key(0)) | {quantity: jnp.asarray(z)}
    x = jnp.asarray(noise(20, 3) ** 2, jnp.float32)
    gradient = jax.grad(lambda p: jnp.mean(pcen.apply(p, x) ** 2))(params)
    assert abs(gradient[quantity]) > 1e-7
    assert all(np.isfinite(g).all() for g in gradient.values())


@pytest.mark.parametrize("z", [-1e30, -1e3, -10.0, 10.0, 1e3, 1e30])
def test_bias_of_pcen_stays_positive(z):
    """A bias below 0 is NaN forward."""
    x = jnp.asarray(noise(20, 3) ** 2, jnp.float32).at[:5].set(0)
    assert np.isnan(jaxspec.pcen(x, bias=jnp.asarray(-0.1))).any()
    pcen = stages.PCEN(learn="bias")
    params = {"bias": jnp.asarray(z)}
    assert pcen.values(params)["bias"] > 0
    value, gradient = jax.value_and_grad(lambda p: jnp.mean(pcen.apply(p, x)))(params)
    assert np.isfinite(value)
    assert np.isfinite(gradient["bias"])


# Powers of 0.


@x64
@pytest.mark.parametrize(
    "function",
    [
        lambda x: jaxspec.root(x, exponent=0.3),
        lambda x: jaxspec.root(x, exponent=jnp.asarray(0.3)),
        lambda x: jaxspec.dynamic_range(x, power=0.3, offset=0.1),
        lambda x: jaxspec.log_power_blend(x, exponent=0.3, offset=0.1),
        lambda x: jaxspec.pcen(x[None, None], bias=0, power=0.3)[0, 0],
        lambda x: jaxspec.pcen(x[None, None], power=0.3)[0, 0],
        lambda x: jaxspec.ln(x, floor="add", amin=1e-3),
        lambda x: jaxspec.log_offset(x, offset=1e-3),
        lambda x: jaxspec.log1p(x, scale=10),
    ],
)
def test_compression_of_nothing(function):
    """Finite at 0, where it is the slope from above, and right beside it."""
    assert np.isinf(jax.grad(lambda x: x**0.3)(0.0))
    zero = jax.grad(function)(jnp.asarray(0.0))
    assert np.isfinite(zero)
    tiny = 1e-280  # where a root is a straight line
    above = (function(jnp.asarray(tiny)) - function(jnp.asarray(0.0))) / tiny
    if above:  # the difference is lost where the function is not 0 at 0
        np.testing.assert_allclose(zero, above, rtol=1e-9)
    else:
        step = 1e-7
        above = (function(jnp.asarray(step)) - function(jnp.asarray(0.0))) / step
        np.testing.assert_allclose(zero, above, rtol=1e-3)
    for x in (1e-3, 0.4, 7.0):
        got = jax.grad(function)(jnp.asarray(x))
        np.testing.assert_allclose(got, _slope(function, jnp.asarray(x), step=x * 1e-3), rtol=1e-8)


@x64
def test_logarithms_are_masked_before_and_not_after():
    """exp(beta ln f) masked where f = 0 is NaN in beta: 0 ln 0. Of a root it is the exponent."""
    f = jnp.asarray([0.0, 0.5, 2.0])

    def naive(beta):
        return jnp.where(f > 0, jnp.exp(beta * jnp.log(f)), 0).sum()

    assert np.isnan(jax.grad(naive)(0.7))
    gradient = jax.grad(lambda beta: jaxspec.root(f, exponent=beta).sum())(jnp.asarray(0.7))
    expected = sum(v**0.7 * np.log(v) for v in (0.5, 2.0))
    np.testing.assert_allclose(gradient, expected, rtol=1e-12)
    # Likewise the power law of PCEN, and the logarithm that leaves silence out.
    x = jnp.asarray([[0.0], [0.5], [2.0]])
    for stage in (stages.PCEN(bias=0), stages.LnFromMin(span=3.0, silent=-9.0)):
        gradient = jax.grad(lambda x, stage=stage: jnp.sum(stage(x)))(x)
        assert np.isfinite(gradient).all()


# Rounding.


def test_tiny_energies_do_not_lie_on_a_plateau():
    """At 1e-12 the sum with the bias leaves a handful of values of 4000."""
    x = jnp.asarray(np.linspace(1, 2, 4000) * 1e-12, jnp.float32)[:, None]
    gain = jnp.float32(1e-6) ** -0.98
    assert len(np.unique((x * gain + 2) ** 0.5 - jnp.sqrt(2.0))) < 40
    y = jaxspec.pcen(x, level=jnp.zeros(1), smoothing=1e-4)
    assert len(np.unique(y)) == 4000
    with jax.enable_x64(True):
        x = jnp.asarray(x, jnp.float64)
        wide = jaxspec.pcen(x, level=jnp.zeros(1), smoothing=1e-4)
    np.testing.assert_allclose(y, wide, rtol=2e-6)


# Long training.

KINDS = ("silence", "noise", "clipped", "half silent")
SAMPLES, BANDS = 512, 6
TRAINED = {
    "pcen": stages.PCEN(learn="all", n_bands=BANDS),
    "mix": stages.PCEN(learn="all", n_bands=BANDS, mix=(0.015, 0.02, 0.04, 0.08)),
    "seconds": stages.PCEN(
        learn="all", time_constant=0.1, hop_length=64, sample_rate=16000, start="zeros"
    ),
    "log_offset": stages.LogOffset(learn="all", n_bands=BANDS),
    "root": stages.Root(learn="all", n_bands=BANDS),
    "blend": stages.LogPowerBlend(learn="all", n_bands=BANDS),
    "dynamic_range": stages.DynamicRange(learn="all", n_bands=BANDS),
    "log_tbn": stages.LogTBN(learn="all", n_bands=BANDS),
    "log_tbn, append": stages.LogTBN(learn="all", n_bands=BANDS, over_time="append"),
}


@pytest.mark.exhaustive
def test_ten_thousand_steps_without_nan():
    """Adam at 0.1, 10 times what suits, on silence, noise and clipped tones of any level."""
    bank = FrontEnd(
        stages.STFT(n_fft=64, hop_length=64),
        stages.Power(),
        stages.Filterbank(
            sample_rate=16000, n_fft=64, n_bands=BANDS, shape="gaussian", layout="gaps"
        ),
    )
    columns = BANDS * (len(TRAINED) + 1)
    params = {name: stage.init(jax.random.key(0)) for name, stage in TRAINED.items()}
    params |= {"bank": bank.init(jax.random.key(0))}
    params |= {"network": 0.1 * jax.random.normal(jax.random.key(1), (columns, len(KINDS)))}

    def batch(key):
        """A clip of every kind, at a level between -120 dB and 40 dB."""
        level, noises, pitch = jax.random.split(key, 3)
        level = 10 ** jax.random.uniform(level, (len(KINDS), 1), minval=-6, maxval=2)
        noises = jax.random.normal(noises, (len(KINDS), SAMPLES))
        turns = jnp.arange(SAMPLES) * jax.random.uniform(pitch, minval=0.01, maxval=0.4)
        clipped = jnp.clip(30 * jnp.sin(2 * jnp.pi * turns), -1, 1)
        half = jnp.where(jnp.arange(SAMPLES) < SAMPLES // 2, 0, noises[3])
        return level * jnp.stack([jnp.zeros(SAMPLES), noises[1], clipped, half])

    def loss(params, x):
        energies = bank.apply(params["bank"], x)
        features = [stage.apply(params[name], energies) for name, stage in TRAINED.items()]
        pooled = jnp.concatenate([y.mean(axis=-2) for y in features], axis=-1)
        logits = jnp.dot(pooled, params["network"], precision=jax.lax.Precision.HIGHEST)
        return -jnp.mean(jnp.diag(jax.nn.log_softmax(logits)))

    def step(state, key):
        params, mean, square, count = state
        x = batch(key)
        value, (gradient, of_x) = jax.value_and_grad(loss, (0, 1))(params, x)
        finite = jnp.isfinite(value) & jnp.isfinite(of_x).all()
        for leaf in jax.tree.leaves(gradient):
            finite &= jnp.isfinite(leaf).all()
        count = count + 1
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradient)
        square = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g**2, square, gradient)
        params = jax.tree.map(
            lambda p, m, s: p - 0.1 * (m / (1 - 0.9**count))
            / (jnp.sqrt(s / (1 - 0.999**count)) + 1e-8),
            params, mean, square,
        )  # fmt: skip
        return (params, mean, square, count), (value, finite)

    zeros = jax.tree.map(jnp.zeros_like, params)
    keys = jax.random.split(jax.random.key(2), 10_000)
    state = (params, zeros, zeros, jnp.zeros(()))
    (params, *_), (values, finite) = jax.jit(lambda s, k: jax.lax.scan(step, s, k))(state, keys)
    assert finite.all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))
    # It was training: silence, at least, is told from the rest.
    assert np.mean(values[-1000:]) < np.log(len(KINDS))
    for name in ("bank", *TRAINED):
        moved = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(params[name]))
        assert moved > 0.5, name
