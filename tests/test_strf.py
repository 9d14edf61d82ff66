"""Spectro-temporal filters against their formula, scipy's convolution and differences."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import noise
from scipy.signal import correlate

import jaxspec
from jaxspec import FrontEnd, stages
from jaxspec.modulation import modulated, positions, wave_packets

pytestmark = pytest.mark.usefixtures("x64")

FILTERS = {
    "rates": [0.24, -0.1, 0.02, 0.0],
    "scales": [0.07, 0.11, -0.2, 0.13],
    "frame_deviations": [3.0, 8.0, 2.5, 6.0],
    "band_deviations": [2.0, 5.0, 12.0, 3.0],
}
SIZE = {"frames_seen": 25, "bands_seen": 9}
X = noise(2, 30, 12)


def _random(stage, size=0.3, seed=0):
    rng = np.random.default_rng(seed)
    return {
        name: jnp.asarray(size * rng.standard_normal(leaf.shape))
        for name, leaf in stage.param_shapes().items()
    }


def _formula(values):
    """The filters as one complex array ``(filters, bands, frames)``, not as products."""
    f, t = np.meshgrid(np.arange(9.0) - 4, np.arange(25.0) - 12, indexing="ij")
    at = {name: np.asarray(value)[:, None, None] for name, value in values.items()}
    a, b = at["frame_deviations"], at["band_deviations"]
    envelope = np.exp(-0.5 * (t / a) ** 2 - 0.5 * (f / b) ** 2) / (2 * np.pi * a * b)
    return envelope * np.exp(2j * np.pi * (at["rates"] * t + at["scales"] * f))


def _filtered(x, kernels):
    """``(frames, filters, bands)``, complex."""
    own = [correlate(x.T + 0j, kernel.conj(), mode="same", method="direct") for kernel in kernels]
    return np.array(own).transpose(2, 0, 1)


def test_against_the_formula():
    """At the start and away from it, by scipy's convolution in two dimensions."""
    stage = stages.STRF(**FILTERS, **SIZE, parts="both")
    for size in (0.0, 0.5):
        params = _random(stage, size)
        kernels = _formula(stage.values(params))
        own = stage.kernels(params, dtype=jnp.float64)
        np.testing.assert_allclose(own["real"] + 1j * own["imag"], kernels, atol=1e-16)
        truth = np.array([_filtered(x, kernels) for x in X])
        y = stage.apply(params, X).reshape(2, 30, 2, 4, 12)
        np.testing.assert_allclose(y[:, :, 0] + 1j * y[:, :, 1], truth, atol=1e-13)
        for parts, value in (
            ("real", truth.real),
            ("imag", truth.imag),
            ("magnitude", np.abs(truth)),
        ):
            own = dataclasses.replace(stage, parts=parts).apply(params, X)
            np.testing.assert_allclose(own.reshape(2, 30, 4, 12), value, atol=1e-13)


def test_a_ripple_is_told_by_its_direction():
    """Filters answer to the sweep that they are made for, at half of its amplitude."""
    start = {"rates": [0.1, 0.1], "scales": [0.2, -0.2]}
    stage = stages.STRF(
        **start, frame_deviations=6.0, band_deviations=3.0, frames_seen=49, bands_seen=25,
        parts="magnitude", learn=(),
    )  # fmt: skip
    t, f = np.arange(100)[:, None], np.arange(64)
    falling = np.cos(2 * np.pi * (0.1 * t + 0.2 * f))  # constant along f = -t / 2
    y = np.asarray(stage(falling)).reshape(100, 2, 64)[30:70, :, 20:44]
    np.testing.assert_allclose(y[:, 0], 0.5, rtol=1e-3)
    assert y[:, 1].max() < 1e-3


@pytest.mark.parametrize("form", ["exact", "published"])
@pytest.mark.parametrize("parts", ["real", "imag", "both", "magnitude"])
def test_gradients(parts, form):
    """By every parameter and by the features, against differences."""
    stage = stages.STRF(**FILTERS, **SIZE, parts=parts, form=form)
    params, x = _random(stage), jnp.asarray(X[0])
    weights = jnp.asarray(noise(30, stage.channels(12), seed=1))

    @jax.jit
    def loss(params, x):
        return jnp.sum(weights * jnp.tanh(3 * stage.apply(params, x)))

    slopes, of_x = jax.jit(jax.grad(loss, argnums=(0, 1)))(params, x)
    for name, slope in slopes.items():
        assert (slope != 0).all(), name
        for place in range(4):
            step = jnp.zeros(4).at[place].set(1e-5)
            up, down = (loss(params | {name: params[name] + s * step}, x) for s in (1, -1))
            difference = (up - down) / 2e-5
            scale = jnp.abs(slope).max()
            assert abs(slope[place] - difference) <= 1e-5 * scale, (name, place)
    for place in ((0, 0), (14, 5), (29, 11)):
        step = jnp.zeros(x.shape).at[place].set(1e-5)
        difference = (loss(params, x + step) - loss(params, x - step)) / 2e-5
        np.testing.assert_allclose(of_x[place], difference, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("size", [0.0, 1e3, 1e30])
def test_finite_for_any_parameters_and_silence(dtype, size):
    stage = stages.STRF(
        rates=[0.4, 0.0], scales=[-0.4, 0.0], frame_deviations=0.1, band_deviations=[0.1, 90.0],
        parts="magnitude",
    )  # fmt: skip
    params = jax.tree.map(lambda z: z.astype(dtype), _random(stage, size))

    def loss(params, x):
        return jnp.sum(jnp.sin(stage.apply(params, x)))

    for x in (jnp.zeros((20, 12), dtype), jnp.asarray(X[0], dtype)):
        value, slopes = jax.value_and_grad(loss, argnums=(0, 1))(params, x)
        assert np.isfinite(value)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))


def test_positions():
    for size in (3, 9, 111):
        np.testing.assert_array_equal(positions(size), np.arange(size) - size // 2)
    np.testing.assert_allclose(np.diff(positions(9, form="published")), 9 / 8)
    assert positions(9, form="published")[0] == -4
    np.testing.assert_array_equal(positions(8, form="published"), np.arange(8) - 3)


@pytest.mark.parametrize(
    ("frames_seen", "form"), [(21, "exact"), (21, "published"), (20, "published")]
)
def test_the_middle_is_where_an_impulse_answers(frames_seen, form):
    """In frames, to which the published positions lie askew."""
    stage = stages.STRF(
        rates=0.0, scales=0.0, frame_deviations=2.0, band_deviations=1.0, frames_seen=frames_seen,
        bands_seen=5, form=form, learn=(),
    )  # fmt: skip
    x = jnp.zeros((60, 5)).at[30, 2].set(1.0)
    y = np.asarray(stage(x))[:, 2]
    answered = (np.arange(len(y)) * y).sum() / y.sum()
    # Output t describes the input position t + middle.
    assert answered + stage.middle == pytest.approx(30, abs=1e-3)
    assert len(y) == stage.length(60)


def test_drawn_starts():
    start = jaxspec.random_modulations(jax.random.key(1), 2000)
    cycles = np.hypot(start["rates"], start["scales"])
    assert cycles.max() <= 0.25
    assert cycles.min() >= 0.25 * 1.41**-5
    u = -np.log(4 * cycles) / np.log(1.41) / 5
    assert u.mean() == pytest.approx(0.5, abs=0.03)
    angle = np.arctan2(start["scales"], start["rates"])
    assert abs(np.exp(1j * angle).mean()) < 0.05
    for name in ("frame_deviations", "band_deviations"):
        u = np.log(start[name] / 2) / np.log(1.41) / 6
        assert (u.min() >= 0, u.max() <= 1) == (True, True)
        assert u.mean() == pytest.approx(0.5, abs=0.03)
    again = jaxspec.random_modulations(jax.random.key(1), 2000)
    assert all((again[name] == value).all() for name, value in start.items())
    other = jaxspec.random_modulations(jax.random.key(2), 2000)
    assert (other["rates"] != start["rates"]).all()


def test_quantities_keep_within_their_ranges():
    stage = stages.STRF(**FILTERS, **SIZE)
    assert all(
        (np.asarray(value) == FILTERS[name]).all() for name, value in stage.values({}).items()
    )
    far = stage.values({name: jnp.full(4, 1e6) for name in FILTERS})
    assert (far["rates"] <= 0.5).all()
    np.testing.assert_allclose(far["frame_deviations"], 8 * np.array(FILTERS["frame_deviations"]))
    assert stage.check({name: jnp.zeros(4) for name in FILTERS}) == []
    assert len(stage.check({name: jnp.full(4, 1e6) for name in FILTERS})) == 4


def test_behind_a_mel_spectrogram():
    """In a front-end, in tiles of time, of many lengths in one program, ."""
    frontend = FrontEnd(
        stages.STFT(n_fft=512, hop_length=160),
        stages.Power(),
        stages.Filterbank(sample_rate=16000, n_fft=512, n_bands=24),
        stages.PowerToDb(),
        stages.STRF(**jaxspec.random_modulations(jax.random.key(0), 5), frames_seen=21),
    )
    x = noise(12000)
    params = frontend.init(jax.random.key(0), dtype=jnp.float64)
    y = frontend.apply(params, x)
    assert y.shape == (76, 5 * 24)
    tiled = FrontEnd(*frontend.stages, tile_frames=20)
    np.testing.assert_allclose(tiled.apply(params, x), y, atol=1e-10)
    bucketed, count = jaxspec.apply_bucketed(frontend, params, x, buckets=[16000])
    assert count == 76
    np.testing.assert_allclose(bucketed[:76], y, atol=1e-10)


def test_functions_by_themselves():
    """Products of the two axes, filter by filter."""
    rng = np.random.default_rng(0)
    frames, bands = (
        {part: jnp.asarray(rng.standard_normal((size, 3))) for part in ("real", "imag")}
        for size in (5, 4)
    )
    x = jnp.asarray(X[0])
    y = modulated(x, frames, bands, parts="both").reshape(26, 2, 3, 13)
    a, b = (own["real"] + 1j * own["imag"] for own in (frames, bands))
    padded = np.pad(X[0], ((0, 0), (2, 2)))
    for t, c, f in ((0, 0, 0), (7, 1, 5), (25, 2, 12)):
        truth = (padded[t : t + 5, f : f + 4] * np.outer(a[:, c], b[:, c])).sum()
        np.testing.assert_allclose(y[t, 0, c, f] + 1j * y[t, 1, c, f], truth, atol=1e-12)
    packet = wave_packets(jnp.array([0.1]), jnp.array([1.5]), size=31)
    total = (packet["real"] * jnp.cos(0.2 * jnp.pi * jnp.asarray(positions(31)))[:, None]).sum()
    total += (packet["imag"] * jnp.sin(0.2 * jnp.pi * jnp.asarray(positions(31)))[:, None]).sum()
    np.testing.assert_allclose(total, 1, rtol=1e-10)  # unit gain for its own modulation
