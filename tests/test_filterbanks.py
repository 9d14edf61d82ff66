"""Banks of bands, fixed and learnable: the properties that their descriptions promise."""

import dataclasses
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import energies, noise, relative_max_error

import jaxspec
from jaxspec.filterbanks import draw
from jaxspec.layouts import band_widths
from jaxspec.stages import Filterbank

pytestmark = pytest.mark.usefixtures("strict")

x64 = pytest.mark.usefixtures("x64")

SCALES = ["linear", "slaney", "htk", "kaldi", "bark", "erb", "octave"]
SHAPES = ["triangle", "gaussian", "rectangle", "gammatone"]
NORMS = [None, "slaney", "peak", 1.0, 2.0, 0.5, 7.0]
KINDS = [
    (shape, domain)
    for shape, domain in itertools.product(SHAPES, ["hz", "scale"])
    if not (shape == "gammatone" and domain == "scale")
]
# From 200 Hz on, and few enough bands that each of them holds a bin on every scale. No bin lies on
# an edge, where rounding decides.
BANK = {"sample_rate": 16000, "n_fft": 1024, "n_bands": 16, "f_min": 200.0, "f_max": 7010.0}
RANGE = {"f_min": BANK["f_min"], "f_max": BANK["f_max"]}
HERTZ = jaxspec.fft_frequencies(sample_rate=16000, n_fft=1024)[:, None]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("shape", "domain"), KINDS)
def test_weights(shape, domain, scale, norm):
    options = {"scale": scale, "shape": shape, "domain": domain}
    matrix = jaxspec.filterbank(**BANK, **options, norm=norm)
    assert matrix.shape == (513, 16)
    assert matrix.dtype == np.float64
    assert np.isfinite(matrix).all()
    assert (matrix >= 0).all()
    points = jaxspec.band_edges(16, **RANGE, scale=scale)
    left, centre, right = points[:-2], points[1:-1], points[2:]
    if shape == "triangle":
        np.testing.assert_array_equal(matrix > 0, (left < HERTZ) & (right > HERTZ))
    # Every band is largest at the bin, or one of the two bins, nearest to its centre.
    peaks = HERTZ[matrix.argmax(axis=0), 0]
    width = right - left if shape == "rectangle" else 16000 / 1024
    assert (np.abs(peaks - centre) <= width).all()
    # A norm scales whole bands.
    drawn = jaxspec.filterbank(**BANK, **options)
    np.testing.assert_allclose(matrix, drawn * (matrix.sum(axis=0) / drawn.sum(axis=0)), rtol=1e-12)
    if norm is None:
        assert matrix.max() <= 1
    elif norm == "slaney":
        np.testing.assert_allclose(matrix, drawn / ((right - left) / 2), rtol=1e-12)
    elif norm == "peak":
        np.testing.assert_allclose(matrix.max(axis=0), 1, rtol=1e-12)
    else:
        size = (matrix**norm).sum(axis=0) ** (1 / norm)
        np.testing.assert_allclose(size, 1, rtol=1e-12)


@pytest.mark.parametrize("scale", SCALES)
def test_band_edges_are_even_on_their_scale(scale):
    points = jaxspec.band_edges(16, **RANGE, scale=scale)
    assert points.shape == (18,)
    np.testing.assert_allclose(points[[0, -1]], [200, 7010], rtol=1e-12)
    steps = np.diff(jaxspec.hz_to_scale(points, scale=scale))
    np.testing.assert_allclose(steps, steps.mean(), rtol=1e-10)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    ("shape", "domain"), [(s, d) for s, d in KINDS if s in ("triangle", "rectangle")]
)
def test_bands_add_up_to_one(shape, domain, scale):
    """Between the first and the last centre, in the domain in which they are drawn."""
    matrix = jaxspec.filterbank(**BANK, shape=shape, domain=domain, scale=scale)
    centres = jaxspec.band_edges(16, **RANGE, scale=scale)[1:-1]
    between = (HERTZ[:, 0] > centres[0]) & (HERTZ[:, 0] < centres[-1])
    assert between.sum() > 100
    np.testing.assert_allclose(matrix[between].sum(axis=1), 1, atol=1e-11)


@pytest.mark.parametrize("scale", ["linear", "slaney", "htk"])
def test_slaney_gives_triangles_unit_area(scale):
    fine = BANK | {"n_fft": 16000 * 8}
    matrix = jaxspec.filterbank(**fine, scale=scale, norm="slaney")
    np.testing.assert_allclose(matrix.sum(axis=0) / 8, 1, atol=1e-4)


@pytest.mark.parametrize("domain", ["hz", "scale"])
def test_gaussian_half_height(domain):
    """A Gaussian is at half its height where a triangle of the same edges is."""
    # Bins every 100 Hz, centres every 1000 Hz.
    matrix = jaxspec.filterbank(
        sample_rate=8000, n_fft=80, n_bands=3, scale="linear", shape="gaussian", domain=domain
    )
    for band in range(3):
        centre = 10 * (band + 1)
        assert matrix[centre, band] == pytest.approx(1)
        assert matrix[centre - 5, band] == pytest.approx(0.5)
        assert matrix[centre + 5, band] == pytest.approx(0.5)
        assert matrix[centre + 10, band] == pytest.approx(0.5**4)


def test_gaussian_half_height_on_the_scale():
    """Drawn over the scale, the width is that of the scale."""
    points = jaxspec.band_edges(16, **RANGE, scale="erb")
    rates = jaxspec.hz_to_erb(points)
    half = jaxspec.erb_to_hz(rates[1:-1] + np.diff(rates)[0] / 2)
    weights = draw(half, points, scale="erb", shape="gaussian", domain="scale", norm=None)
    np.testing.assert_allclose(np.diag(weights), 0.5, rtol=1e-10)


def test_gammatone_response():
    """The fourth-order gammatone: 1/16 one bandwidth off, and with the right ERB."""
    points = jaxspec.band_edges(16, **RANGE, scale="erb")
    centres = points[1:-1]
    bandwidths = 1.019 * jaxspec.erb_bandwidth(centres)
    options = {"scale": "erb", "shape": "gammatone", "domain": "hz", "norm": None}
    for offset, value in [(0, 1), (1, 1 / 16), (-1, 1 / 16), (3, 1e-4)]:
        weights = draw(centres + offset * bandwidths, points, **options)
        np.testing.assert_allclose(np.diag(weights), value, rtol=1e-12)
    hertz = np.arange(-50_000.0, 60_000.0, 0.5)
    areas = 0.5 * draw(hertz, points[:3], **options).sum(axis=0)
    np.testing.assert_allclose(areas, jaxspec.erb_bandwidth(centres[:1]), rtol=1e-3)


def test_rectangles_meet_half_way():
    matrix = jaxspec.filterbank(
        sample_rate=8000, n_fft=80, n_bands=3, scale="linear", shape="rectangle"
    )
    # From 500 to 1500 Hz and so on; a bin on the border belongs to the upper band.
    borders = [np.flatnonzero(matrix[:, band])[[0, -1]].tolist() for band in range(3)]
    assert borders == [[5, 14], [15, 24], [25, 34]]


def test_mel_filterbank_is_a_filterbank():
    options = {"sample_rate": 16000, "n_fft": 512, "f_min": 50.0, "norm": "peak"}
    for scale, domain in itertools.product(["slaney", "htk", "kaldi"], ["hz", "scale"]):
        np.testing.assert_array_equal(
            jaxspec.mel_filterbank(**options, n_mels=20, mel_scale=scale, domain=domain),
            jaxspec.filterbank(**options, n_bands=20, scale=scale, domain=domain),
        )


def test_a_matrix_that_is_changed_does_not_change_the_next():
    """The matrices are cached, so a copy must be given out."""
    first = jaxspec.filterbank(**BANK)
    kept = first.copy()
    first[:] = 7
    np.testing.assert_array_equal(jaxspec.filterbank(**BANK), kept)
    np.testing.assert_array_equal(
        Filterbank(**BANK, norm=None).weights({}), kept.astype(np.float32)
    )


def test_apply_filterbank():
    x, matrix = energies(2, 5, 513), jaxspec.filterbank(**BANK)
    mine = jaxspec.apply_filterbank(jnp.asarray(x, jnp.float32), matrix)
    assert mine.dtype == jnp.float32
    assert relative_max_error(mine, x @ matrix) <= 1e-6
    with jax.enable_x64(True):
        mine = jaxspec.apply_filterbank(jnp.asarray(x), matrix)
        assert relative_max_error(mine, x @ matrix) <= 1e-14


# Scales.


@x64
@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
@pytest.mark.parametrize("scale", SCALES)
def test_scales_round_trip(scale, kind):
    hertz = np.concatenate([[20.0, 999.99, 1000.0, 1000.01], np.linspace(1, 24000, 500)])
    if scale != "octave":
        hertz = np.concatenate([[0.0, 1e-6], hertz])
    values = jaxspec.hz_to_scale(kind(hertz), scale=scale)
    assert isinstance(values, jax.Array) == (kind is jnp.asarray)
    np.testing.assert_allclose(
        jaxspec.scale_to_hz(values, scale=scale), hertz, rtol=1e-10, atol=1e-10
    )
    assert (np.diff(np.sort(np.asarray(values))) >= 0).all()
    order = np.argsort(hertz)
    assert (np.diff(np.asarray(values)[order]) > 0).sum() >= len(hertz) - 2


@pytest.mark.parametrize("scale", SCALES)
def test_scales_in_float32(scale):
    hertz = np.linspace(30, 16000, 400)
    values = jaxspec.hz_to_scale(jnp.asarray(hertz, jnp.float32), scale=scale)
    assert values.dtype == jnp.float32
    np.testing.assert_allclose(values, jaxspec.hz_to_scale(hertz, scale=scale), rtol=3e-6)
    back = jaxspec.scale_to_hz(values, scale=scale)
    np.testing.assert_allclose(back, hertz, rtol=1e-5)


def test_scales_at_known_frequencies():
    """Definitions worked out by hand."""
    assert jaxspec.hz_to_bark(1960.0) == pytest.approx(26.81 / 2 - 0.53)
    assert jaxspec.bark_to_hz(-0.53) == pytest.approx(0, abs=1e-12)
    assert jaxspec.hz_to_erb(1000 / 4.37 * 9) == pytest.approx(21.4)
    assert jaxspec.erb_to_hz(21.4) == pytest.approx(9000 / 4.37)
    assert jaxspec.erb_bandwidth(0.0) == 24.7
    assert jaxspec.hz_to_octave(55.0) == 1
    assert jaxspec.octave_to_hz(-1) == 13.75
    assert jaxspec.hz_to_mel(700.0 * (math.e - 1), mel_scale="kaldi") == pytest.approx(1127)
    assert jaxspec.hz_to_mel(6300.0, mel_scale="htk") == pytest.approx(2595)
    assert jaxspec.mel_to_hz(15.0 + 27) == pytest.approx(6400)
    # The bandwidth is the slope of the rate: 1 / ERB a Hz, to the rounding of the constants.
    slope = (jaxspec.hz_to_erb(2001.0) - jaxspec.hz_to_erb(1999.0)) / 2
    assert slope * jaxspec.erb_bandwidth(2000.0) == pytest.approx(1, rel=5e-3)


# Learnable banks.

LEARNABLE = [
    (shape, domain, norm)
    for (shape, domain), norm in itertools.product(KINDS, [None, "slaney", "peak", 2.0])
    if shape != "rectangle"
]


def _stage(shape="gaussian", domain="hz", norm="slaney", scale="slaney", **changes):
    options = {"shape": shape, "domain": domain, "norm": norm, "scale": scale, "layout": "gaps"}
    return Filterbank(**BANK, **(options | changes))


def _wild(stage, seed=0, dtype=jnp.float32):
    """Parameters far outside anything that training would reach."""
    shapes = stage.param_shapes()
    keys = jax.random.split(jax.random.key(seed), len(shapes))
    return {
        name: 100 * jax.random.normal(key, shapes[name].shape, dtype)
        for name, key in zip(shapes, keys, strict=True)
    }


@pytest.mark.parametrize(("dtype", "tolerance"), [(jnp.float64, 1e-12), (jnp.float32, 1e-5)])
@pytest.mark.parametrize("scale", SCALES)
def test_learnable_bands_start_at_the_fixed_ones(scale, dtype, tolerance):
    with jax.enable_x64(dtype == jnp.float64):
        for shape, domain, norm in LEARNABLE:
            stage = _stage(shape, domain, norm, scale)
            fixed = jaxspec.filterbank(**BANK, shape=shape, domain=domain, norm=norm, scale=scale)
            params = stage.init(jax.random.key(0), dtype=dtype)
            assert {name: value.dtype for name, value in params.items()} == {
                "gaps": dtype,
                "widths": dtype,
            }
            start = stage.weights(params, dtype=dtype)
            assert start.dtype == dtype
            assert relative_max_error(start, fixed) <= tolerance, (shape, domain, norm)


@pytest.mark.parametrize(("dtype", "tolerance"), [(jnp.float64, 1e-12), (jnp.float32, 1e-5)])
@pytest.mark.parametrize("shape", SHAPES)
def test_free_weights_start_at_the_fixed_ones(shape, dtype, tolerance):
    with jax.enable_x64(dtype == jnp.float64):
        stage = _stage(shape, layout="free")
        fixed = jaxspec.filterbank(**BANK, shape=shape, norm="slaney")
        # Zeros start 50 dB below the band's largest weight.
        lifted = np.maximum(fixed, 1e-5 * fixed.max(axis=0))
        start = stage.weights(stage.init(jax.random.key(0), dtype=dtype), dtype=dtype)
        np.testing.assert_allclose(start, lifted, rtol=30 * tolerance)


@pytest.mark.parametrize("scale", SCALES)
def test_centres_never_cross(scale):
    for seed in range(5):
        stage = _stage(scale=scale)
        params = _wild(stage, seed)
        points = np.asarray(stage.edges(params))
        assert points.dtype == np.float32
        assert (np.diff(points) > 0).all()
        np.testing.assert_allclose(points[[0, -1]], [200, 7010], rtol=1e-6)
        np.testing.assert_array_equal(stage.centers(params), points[1:-1])
        # And they do move.
        still = jaxspec.band_edges(16, **RANGE, scale=scale)
        assert np.abs(points - still).max() > 100


@pytest.mark.parametrize(("shape", "domain"), [kind for kind in KINDS if kind[0] != "rectangle"])
def test_weights_are_finite_for_wild_parameters(shape, domain):
    for norm, seed in itertools.product([None, "slaney", "peak", 2.0], range(3)):
        stage = _stage(shape, domain, norm)
        weights = np.asarray(stage.weights(_wild(stage, seed)))
        assert np.isfinite(weights).all()
        assert (weights >= 0).all()
        assert weights.any()


def test_widths_stay_within_a_factor_of_eight():
    wild = 100 * jax.random.normal(jax.random.key(0), (1000,))
    widths = np.asarray(band_widths(wild))
    assert widths.min() == pytest.approx(1 / 8, rel=1e-5)
    assert widths.max() == pytest.approx(8, rel=1e-5)
    small = np.asarray(band_widths(jnp.asarray([-0.1, 0.0, 0.1])))
    np.testing.assert_allclose(small, np.exp([-0.1, 0.0, 0.1]), rtol=1e-3)


@x64
def test_widths_scale_the_bands():
    """A width of 2 makes a band twice as wide about its centre."""
    stage = _stage("triangle", norm=None)
    params = stage.init(jax.random.key(0), dtype=jnp.float64)
    reach = math.log(8)
    params["widths"] = jnp.full(16, reach * math.atanh(math.log(2) / reach))
    weights = np.asarray(stage.weights(params, dtype=jnp.float64))
    points = jaxspec.band_edges(16, **RANGE)
    left = 2 * points[:-2] - points[1:-1]
    right = 2 * points[2:] - points[1:-1]
    truth = np.minimum(
        (HERTZ - left) / (points[1:-1] - left), (right - HERTZ) / (right - points[1:-1])
    )
    np.testing.assert_allclose(weights, np.maximum(truth, 0), atol=1e-10)


def test_parameters_mean_the_same_at_another_sample_rate():
    """Frequencies are in Hz: the same parameters, the same edges, the same band at a bin."""
    stage = _stage()
    # Twice the rate and twice the length: the bins of the first are among those of the second.
    other = dataclasses.replace(stage, sample_rate=32000, n_fft=2048)
    third = dataclasses.replace(stage, sample_rate=24000, n_fft=600)
    params = jax.tree.map(lambda z: z / 100, _wild(stage))
    for changed in (other, third):
        np.testing.assert_array_equal(changed.edges(params), stage.edges(params))
    np.testing.assert_array_equal(other.weights(params)[:513], stage.weights(params))


def test_free_weights_are_never_negative():
    for shape, seed in itertools.product(["triangle", "gaussian"], range(3)):
        stage = _stage(shape, layout="free")
        weights = np.asarray(stage.weights(_wild(stage, seed)))
        assert weights.shape == (513, 16)
        assert np.isfinite(weights).all()
        assert (weights >= 0).all()


def test_only_what_is_named_is_learned():
    for learn, names in [("gaps", {"gaps"}), (("widths",), {"widths"}), ((), set())]:
        stage = _stage(learn=learn)
        params = stage.init(jax.random.key(0))
        assert set(params) == names
        fixed = jaxspec.filterbank(**BANK, shape="gaussian", norm="slaney")
        assert relative_max_error(stage.weights(params), fixed) <= 1e-5


@x64
def test_a_matrix_of_your_own():
    matrix = np.abs(noise(513, 16))
    table = jaxspec.Table(matrix)
    x = energies(4, 513)
    fixed = Filterbank(sample_rate=16000, n_fft=1024, n_bands=16, matrix=table)
    assert relative_max_error(fixed(jnp.asarray(x)), x @ matrix) <= 1e-14
    free = dataclasses.replace(fixed, layout="free")
    params = free.init(jax.random.key(0), dtype=jnp.float64)
    assert relative_max_error(free.apply(params, jnp.asarray(x)), x @ matrix) <= 1e-4
