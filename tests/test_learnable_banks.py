"""Learnable banks: layouts, sampling, shapes, starts, and what they recover.

Goldens are those of speechbrain's trainable filterbank, made by goldens/make_learnable_banks.py.
"""

import dataclasses
import itertools
import json
import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import energies, relative_max_error

import jaxspec
from jaxspec.layouts import scale_warped, warp_moves
from jaxspec.shapes import draw
from jaxspec.stages import Filterbank

pytestmark = pytest.mark.usefixtures("strict")

x64 = pytest.mark.usefixtures("x64")

SCALES = ["linear", "slaney", "htk", "kaldi", "bark", "erb", "octave"]
SHAPES = [
    "triangle", "gaussian", "rectangle", "gammatone", "raised_cosine", "generalized_gaussian",
]  # fmt: skip
LAYOUTS = {
    "scale": ("scale", "widths", "range", "gains"),
    "warp": ("warp", "widths", "range", "gains"),
    "gaps": ("gaps", "widths", "range", "gains"),
}
BANK = {"sample_rate": 16000, "n_fft": 512, "n_bands": 12, "f_min": 110.0, "f_max": 7010.0}
RANGE = {"f_min": 110.0, "f_max": 7010.0}


def _options(shape, sampling):
    """As far as possible from the defaults."""
    options = {"shape": shape, "sampling": sampling}
    if shape == "generalized_gaussian":
        options["exponent"] = 3.0
    return options


def _kinds():
    for shape, domain, sampling in itertools.product(SHAPES, ["hz", "scale"], ["point", "area"]):
        if not (shape == "gammatone" and domain == "scale"):
            yield shape, domain, sampling


LEARNABLE = [kind for kind in _kinds() if (kind[0], kind[2]) != ("rectangle", "point")]
# Every kind of band with one layout, and the other layouts with some.
LAYOUTS_AND_KINDS = [
    (layout, *kind)
    for layout in LAYOUTS
    for kind in (LEARNABLE if layout == "gaps" else LEARNABLE[::5])
]


def _names(layout, shape):
    return LAYOUTS[layout] + (("exponents",) if shape == "generalized_gaussian" else ())


def _stage(layout, shape="gaussian", domain="hz", sampling="point", **changes):
    options = {
        "layout": layout, "domain": domain, "learn": _names(layout, shape),
        **_options(shape, sampling),
    }  # fmt: skip
    return Filterbank(**{**BANK, **options, **changes})


def _params(stage, size, seed=0, dtype=jnp.float32):
    rng = np.random.default_rng(seed)
    return {
        name: jnp.asarray(size * rng.standard_normal(leaf.shape), dtype)
        for name, leaf in stage.param_shapes().items()
    }


# Starts.


@pytest.mark.parametrize(("dtype", "tolerance"), [(jnp.float64, 1e-11), (jnp.float32, 2e-5)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_start_is_the_fixed_bank(layout, dtype, tolerance):
    with jax.enable_x64(dtype == jnp.float64):
        for (shape, domain, sampling), norm in zip(
            LEARNABLE, itertools.cycle(["slaney", None, "peak", 2.0]), strict=False
        ):
            stage = _stage(layout, shape, domain, sampling, norm=norm)
            options = {"domain": domain, "norm": norm, **_options(shape, sampling)}
            fixed = jaxspec.filterbank(**BANK, **options)
            start = stage.weights(stage.init(jax.random.key(0), dtype=dtype), dtype=dtype)
            assert start.dtype == dtype
            # The rounding of an edge counts in bins.
            most = tolerance * (4 if sampling == "area" else 1)
            assert relative_max_error(start, fixed) <= most, (shape, domain, sampling)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_points_start_where_they_are_told(layout, scale):
    """On any scale: evenly spaced, or points of one's own."""
    random = jaxspec.random_edges(jax.random.key(3), 12, **RANGE, scale="bark")
    for own, x64 in itertools.product([None, random], [False, True]):
        with jax.enable_x64(x64):
            dtype = jnp.float64 if x64 else jnp.float32
            changes = {"scale": scale}
            if own is not None:
                changes |= {"points": own, "f_min": 0.0, "f_max": None}
            stage = _stage(layout, **changes)
            truth = jaxspec.band_edges(12, **RANGE, scale=scale) if own is None else own
            points = stage.edges(stage.init(jax.random.key(0), dtype=dtype))
            assert points.dtype == dtype
            np.testing.assert_allclose(points, truth, rtol=1e-12 if x64 else 3e-6)
            np.testing.assert_array_equal(stage.centers(stage.init(jax.random.key(0))).shape, 12)


def test_the_scale_alone_starts_exactly():
    points = jaxspec.random_edges(jax.random.key(1), 12, **RANGE)
    stage = Filterbank(sample_rate=16000, n_fft=512, n_bands=12, points=points, layout="scale")
    params = stage.init(jax.random.key(0))
    assert {name: leaf.shape for name, leaf in params.items()} == {"scale": ()}
    np.testing.assert_array_equal(jax.jit(stage.edges)(params), points.astype(np.float32))


def test_parameters_by_layout():
    """The trees of the layouts; range and gains only where they are named."""
    bank = {"sample_rate": 16000, "n_fft": 64, "n_bands": 6}
    per_band = (6,)
    for layout, shapes in {
        "fixed": {},
        "scale": {"scale": ()},
        "warp": {"warp": (9,)},
        "gaps": {"gaps": (7,), "widths": per_band},
        "free": {"weights": (33, 6)},
        "signed": {"weights": (33, 6)},
    }.items():
        options = bank if layout == "fixed" else bank | {"shape": "gaussian"}
        stage = Filterbank(**options, layout=layout, **({"n_knots": 8} if layout == "warp" else {}))
        assert {k: v.shape for k, v in stage.param_shapes().items()} == shapes
        if layout in LAYOUTS:
            general = dataclasses.replace(stage, shape="generalized_gaussian")
            names = {k: v.shape for k, v in general.param_shapes().items()}
            assert names == shapes | {"exponents": per_band}
            every = dataclasses.replace(stage, learn=LAYOUTS[layout], f_min=20.0, f_max=7000.0)
            assert set(every.param_shapes()) == set(shapes) | {"widths", "range", "gains"}
    assert Filterbank(**bank, layout="warp", n_knots=3).param_shapes()["warp"].shape == (4,)


@x64
@pytest.mark.parametrize("shape", ["triangle", "gaussian"])
def test_signed_weights(shape):
    """Exactly the fixed bank at the start, and as free as nnAudio's matrix from there."""
    stage = Filterbank(**BANK, shape=shape, layout="signed")
    fixed = jaxspec.filterbank(**BANK, shape=shape, norm="slaney")
    for dtype in (jnp.float32, jnp.float64):
        start = stage.init(jax.random.key(0), dtype=dtype)
        exact = fixed.astype(dtype)  # but for subnormal numbers
        np.testing.assert_allclose(stage.weights(start, dtype=dtype), exact, rtol=0, atol=1e-37)
    params = _params(stage, 1.0, dtype=jnp.float64)
    moved = fixed + fixed.max(axis=0) * np.asarray(params["weights"])
    np.testing.assert_allclose(stage.weights(params, dtype=jnp.float64), moved, rtol=1e-12)
    assert (moved < 0).any()
    x = energies(3, 257)
    assert relative_max_error(stage.apply(params, jnp.asarray(x)), x @ moved) <= 1e-12
    # Zeros have a slope, too.
    slope = jax.grad(lambda params: stage.apply(params, jnp.asarray(x)).sum())(params)
    assert (np.abs(slope["weights"]) > 0).all()


@x64
def test_a_signed_matrix_of_your_own():
    matrix = np.random.default_rng(0).standard_normal((257, 12))
    matrix[:, 3] = 0.0
    options = {"sample_rate": 16000, "n_fft": 512, "n_bands": 12, "matrix": jaxspec.Table(matrix)}
    stage = Filterbank(**options, layout="signed")
    start = stage.init(jax.random.key(0), dtype=jnp.float64)
    np.testing.assert_array_equal(stage.weights(start, dtype=jnp.float64), matrix)
    assert np.isfinite(stage.centers(start)).all()
    one = jax.tree.map(jnp.ones_like, start)
    peaks = np.where(np.arange(12) == 3, 1, np.abs(matrix).max(axis=0))
    np.testing.assert_allclose(stage.weights(one, dtype=jnp.float64) - matrix, peaks + 0 * matrix)
    with pytest.raises(ValueError, match=r"matrix must not be negative, got .* with layout='free'"):
        Filterbank(**options, layout="free")
    with pytest.raises(ValueError, match='layout must be "fixed", "free" or "signed" with a matr'):
        Filterbank(**options | {"matrix": jaxspec.Table(np.abs(matrix) + 1)}, layout="gaps")


def test_points_can_replace_a_range():
    points = jaxspec.random_edges(jax.random.key(1), 12, **RANGE)
    bank = Filterbank(sample_rate=16000, n_fft=512, n_bands=12, layout="gaps")
    made = Filterbank(sample_rate=16000, n_fft=512, n_bands=12, layout="gaps", points=points)
    assert dataclasses.replace(bank, points=points) == made
    assert dataclasses.replace(made, sample_rate=48000, n_fft=1024).points == made.points
    assert made.points == jaxspec.Table(points)


# What the parameters do.


@x64
@pytest.mark.parametrize(("scale", "corner"), [("htk", 700), ("kaldi", 700), ("erb", 1000 / 4.37)])
def test_scale_is_a_scale_with_another_corner(scale, corner):
    """Evenly spaced on log1p(f / f_b), with f_b = start * exp(z)."""
    points = jaxspec.band_edges(12, **RANGE, scale=scale)
    for z in (-3.0, -0.3, 0.0, 0.5, 2.0, 50.0, -50.0):
        own = corner * math.exp(math.log(100) * math.tanh(z / math.log(100)))
        even = np.linspace(*np.log1p(np.array([110.0, 7010.0]) / own), 14)
        moved = scale_warped(jnp.asarray(z), jnp.asarray(points), scale=scale)
        np.testing.assert_allclose(moved, own * np.expm1(even), rtol=1e-10)


@x64
def test_warp_is_a_monotone_rational_quadratic():
    z = np.random.default_rng(0).standard_normal(9)
    share = np.exp(z) / np.exp(z).sum()
    share = 0.05 / 9 + 0.95 * share
    slope = 9 * share
    knots = np.concatenate([[0], np.cumsum(share)])
    inner = 2 / (1 / slope[1:] + 1 / slope[:-1])
    d = np.concatenate([slope[:1], inner, slope[-1:]])

    def warp(x):
        k = min(int(9 * x), 8)
        t = 9 * x - k
        top = slope[k] * t**2 + d[k] * t * (1 - t)
        return knots[k] + share[k] * top / (
            slope[k] + (d[k] + d[k + 1] - 2 * slope[k]) * t * (1 - t)
        )

    start = np.linspace(0, 1, 402)
    moved = start[1:-1] + np.asarray(warp_moves(jnp.asarray(z), start=start))
    np.testing.assert_allclose(moved, [warp(x) for x in start[1:-1]], rtol=1e-11)
    assert (np.diff(moved) > 0).all()
    # Its slope has no jump, at the knots neither.
    fine = np.linspace(0, 1, 90_002)
    moved = fine[1:-1] + np.asarray(warp_moves(jnp.asarray(z), start=fine))
    slopes = np.diff(moved) * 90_001
    assert np.abs(np.diff(slopes)).max() < 2e-3 * slopes.max()


@pytest.mark.exhaustive
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_centres_never_cross(layout, scale):
    stage = _stage(layout, scale=scale)
    low, high = jaxspec.hz_to_scale([110.0, 7010.0], scale=scale)
    inward = jaxspec.scale_to_hz(
        np.array([0.6 * low + 0.4 * high, 0.4 * low + 0.6 * high]), scale=scale
    )
    still = jaxspec.band_edges(12, **RANGE, scale=scale)
    for size, seed in itertools.product([0.5, 3.0, 100.0], range(5)):
        points = np.asarray(stage.edges(_params(stage, size, seed)), np.float64)
        assert (np.diff(points) > 0).all()
        assert -1e-3 <= points[0] <= inward[0] * (1 + 1e-5)
        assert inward[1] * (1 - 1e-5) <= points[-1] <= 8000 * (1 + 1e-5)
        assert np.abs(points - still)[1:-1].max() > 10
    # Without a learned range the ends stay.
    stage = _stage(layout, scale=scale, learn=layout)
    points = np.asarray(stage.edges(_params(stage, 3.0)))
    np.testing.assert_allclose(points[[0, -1]], [110, 7010], rtol=1e-6)


def test_limits_of_a_learned_range():
    stage = _stage("gaps", learn=("range",), limits=(100.0, 7500.0), scale="linear")
    for z, ends in [(-1.0, (100, 4250)), (1.0, (2870, 7500))]:
        points = stage.edges({"range": jnp.full(2, 1e3 * z)})
        np.testing.assert_allclose(points[jnp.array([0, -1])], ends, rtol=1e-5)
    # Centres keep their share of the range.
    moved = np.asarray(stage.edges({"range": jnp.array([0.7, -0.4])}))
    np.testing.assert_allclose(np.diff(moved), np.diff(moved).mean(), rtol=1e-4)
    # The default is kept in the description, so that another rate means the same.
    own = _stage("gaps", learn=("range",))
    assert own.limits == (0.0, 8000.0)
    assert dataclasses.replace(own, sample_rate=48000.0).limits == (0.0, 8000.0)
    assert _stage("gaps", learn=("range",), scale="octave").limits == (55.0, 8000.0)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("sampling", ["point", "area"])
def test_parameters_mean_the_same_at_another_rate_and_length(layout, sampling):
    stage = _stage(layout, sampling=sampling)
    params = _params(stage, 0.7)
    # Twice the rate and twice the length: the bins of the first are among those of the second.
    twice = dataclasses.replace(stage, sample_rate=32000, n_fft=1024)
    other = dataclasses.replace(stage, sample_rate=22050, n_fft=600)
    for changed in (twice, other):
        np.testing.assert_array_equal(changed.edges(params), stage.edges(params))
    np.testing.assert_array_equal(twice.weights(params)[:257], stage.weights(params))
    x = np.ones((1, 301), np.float32)
    assert np.isfinite(other.apply(params, x)).all()


@x64
def test_gains_and_exponents():
    stage = _stage("gaps", "generalized_gaussian", learn=("gains", "exponents"), norm=None)
    params = stage.init(jax.random.key(0), dtype=jnp.float64)
    start = stage.weights(params, dtype=jnp.float64)
    louder = stage.weights(params | {"gains": jnp.full(12, 0.5)}, dtype=jnp.float64)
    np.testing.assert_allclose(louder, math.exp(0.5) * start, rtol=1e-3)
    own = params | {"exponents": jnp.linspace(-1, 1, 12)}
    matrix = np.asarray(stage.weights(own, dtype=jnp.float64))
    reach = math.log(8)
    p = 1 + 2 * np.exp(reach * np.tanh(np.linspace(-1, 1, 12) / reach))
    points = jaxspec.band_edges(12, **RANGE)
    half = (points[2:] - points[:-2]) / 4
    bins = jaxspec.fft_frequencies(sample_rate=16000, n_fft=512)[:, None]
    truth = 0.5 ** (np.abs((bins - points[1:-1]) / half) ** p)
    np.testing.assert_allclose(matrix, truth, rtol=1e-9, atol=1e-300)


def test_the_exponent_goes_from_the_gaussian_to_the_rectangle():
    options = {**BANK, "n_fft": 4096, "scale": "linear"}
    for sampling in ("point", "area"):
        same = jaxspec.filterbank(**options, shape="generalized_gaussian", sampling=sampling)
        gaussian = jaxspec.filterbank(**options, shape="gaussian", sampling=sampling)
        np.testing.assert_allclose(same, gaussian, atol=1e-10)
        steep = jaxspec.filterbank(
            **options, shape="generalized_gaussian", sampling=sampling, exponent=200
        )
        rectangle = jaxspec.filterbank(**options, shape="rectangle", sampling=sampling)
        # But for a bin or two at the borders.
        assert (np.abs(steep - rectangle) > 0.02).sum(axis=0).max() <= 6


@x64
def test_bandwidths_grow_with_the_distance_of_the_neighbours():
    widths = np.linspace(60, 300, 12)
    options = {"norm": None, "bandwidths": widths}
    stage = _stage("gaps", "triangle", learn=("gaps", "widths"), **options)
    params = stage.init(jax.random.key(0), dtype=jnp.float64)
    points = jaxspec.band_edges(12, **RANGE)
    bins = jaxspec.fft_frequencies(sample_rate=16000, n_fft=512)[:, None]
    truth = np.maximum(1 - np.abs(bins - points[1:-1]) / widths, 0)
    np.testing.assert_allclose(stage.weights(params, dtype=jnp.float64), truth, atol=1e-10)
    fixed = Filterbank(**BANK, **options)
    np.testing.assert_allclose(fixed.weights({}, dtype=jnp.float64), truth, atol=1e-12)
    params["gaps"] = jnp.asarray(np.random.default_rng(0).standard_normal(13))
    moved = np.asarray(stage.edges(params))
    now = widths * (moved[2:] - moved[:-2]) / (points[2:] - points[:-2])
    truth = np.maximum(1 - np.abs(bins - moved[1:-1]) / now, 0)
    np.testing.assert_allclose(stage.weights(params, dtype=jnp.float64), truth, atol=1e-10)


@pytest.mark.parametrize("shape", ["triangle", "gaussian", "raised_cosine", "generalized_gaussian"])
def test_a_bandwidth_is_the_width_at_half_height(shape):
    edges = np.array([0.0, 1000.0, 5000.0])
    weights = draw(
        np.array([850.0, 1000.0, 1150.0]), edges, bandwidths=np.array([300.0]), scale="linear",
        shape=shape, domain="hz", norm=None,
    )  # fmt: skip
    np.testing.assert_allclose(weights[:, 0], [0.5, 1, 0.5], rtol=1e-12)


def test_a_trained_bank_is_a_fixed_one():
    """What was learned as a fixed bank: by its points, or by its matrix."""
    stage = _stage("warp", learn=("warp",))
    params = _params(stage, 0.5)
    options = {k: v for k, v in BANK.items() if k not in RANGE}
    fixed = Filterbank(**options, shape="gaussian", points=jaxspec.Table(stage.edges(params)))
    assert relative_max_error(fixed.weights({}), stage.weights(params)) <= 2e-5
    table = jaxspec.Table(stage.weights(params))
    x = jnp.asarray(energies(3, 257), jnp.float32)
    matrix = Filterbank(**options, matrix=table)
    np.testing.assert_allclose(matrix(x), stage.apply(params, x), rtol=1e-5)


# Means over bins.


def _fine_means(shape, domain, scale, n_fft, rate=16000, n=2000):
    """The shape at many places in every bin, averaged over the axis of the domain."""
    bins = jaxspec.fft_frequencies(sample_rate=rate, n_fft=n_fft)
    half = rate / n_fft / 2
    points = jaxspec.band_edges(12, **RANGE, scale=scale)
    ends = np.stack([bins - half, bins + half])
    if domain == "scale":
        value = jaxspec.hz_to_scale(np.abs(ends), scale=scale)
        zero = float(jaxspec.hz_to_scale(0.0, scale=scale))
        ends = np.where(ends < 0, 2 * zero - value, value)
        points = jaxspec.hz_to_scale(points, scale=scale)
    places = ends[0] + (np.arange(n)[:, None] + 0.5) / n * (ends[1] - ends[0])
    options = {"shape": shape, "scale": "linear", "domain": "hz", "norm": None, "exponents": 3.0}
    drawn = draw(places.reshape(-1), points, **options)
    return drawn.reshape(n, len(bins), 12).mean(axis=0)


@pytest.mark.exhaustive
@pytest.mark.parametrize("n_fft", [64, 512])
@pytest.mark.parametrize(
    ("shape", "domain", "scale"),
    [
        *((shape, "hz", "slaney") for shape in SHAPES if shape != "gammatone"),
        *((shape, "scale", "bark") for shape in ("triangle", "gaussian", "raised_cosine")),
        ("generalized_gaussian", "scale", "htk"),
    ],
)
def test_area_is_the_mean_over_the_bin(shape, domain, scale, n_fft):
    options = BANK | {"n_fft": n_fft, "scale": scale, "domain": domain}
    exponent = {"exponent": 3.0} if shape == "generalized_gaussian" else {}
    matrix = jaxspec.filterbank(**options, shape=shape, sampling="area", **exponent)
    truth = _fine_means(shape, domain, scale, n_fft)
    tolerance = 6e-4 if shape == "rectangle" else 2e-5 if exponent else 1e-6
    np.testing.assert_allclose(matrix, truth, atol=tolerance)


@pytest.mark.parametrize("n_fft", [64, 512, 4096])
def test_area_of_a_gammatone(n_fft):
    options = {"n_fft": n_fft, "scale": "erb", "shape": "gammatone"}
    matrix = jaxspec.filterbank(**(BANK | options), sampling="area")
    fine = 16000 // n_fft * 50
    bins = jaxspec.fft_frequencies(sample_rate=16000, n_fft=n_fft)
    offsets = (np.arange(fine) + 0.5) / fine - 0.5
    places = (bins + offsets[:, None] * 16000 / n_fft).reshape(-1)
    points = jaxspec.band_edges(12, **RANGE, scale="erb")
    drawn = draw(places, points, scale="erb", shape="gammatone", domain="hz", norm=None)
    truth = drawn.reshape(fine, len(bins), 12).mean(axis=0)
    np.testing.assert_allclose(matrix, truth, rtol=1e-3, atol=1e-6)
    # As the values where bins are narrow.
    points = jaxspec.filterbank(**(BANK | options))
    assert n_fft < 4096 or relative_max_error(matrix, points) <= 3e-3


@pytest.mark.parametrize("shape", ["triangle", "raised_cosine", "rectangle"])
def test_area_leaves_no_band_empty(shape):
    """128 bands of 257 bins: each has the weight of its area, and they add up to 1."""
    options = {"sample_rate": 16000, "n_fft": 512, "n_bands": 128, "scale": "htk", "shape": shape}
    with pytest.warns(UserWarning, match="hold no FFT bin"):
        points = jaxspec.filterbank(**options)
    areas = jaxspec.filterbank(**options, sampling="area")
    edges = jaxspec.band_edges(128, f_min=0, f_max=8000, scale="htk")
    truth = (edges[2:] - edges[:-2]) / 2 / (16000 / 512)
    np.testing.assert_allclose(areas.sum(axis=0), truth, rtol=1e-10)
    assert np.abs(points.sum(axis=0) / truth - 1).max() >= 1
    bins = jaxspec.fft_frequencies(sample_rate=16000, n_fft=512)
    whole = (bins - 16 > edges[1]) & (bins + 16 < edges[-2])
    np.testing.assert_allclose(areas[whole].sum(axis=1), 1, atol=1e-12)
    # A band far narrower than a bin.
    narrow = Filterbank(
        sample_rate=16000, n_fft=512, n_bands=1, points=[2000.0, 2001.0, 2001.5], shape=shape,
        norm=None, sampling="area",
    )  # fmt: skip
    np.testing.assert_allclose(narrow.weights({}).sum(), 0.75 / 31.25, rtol=1e-5)


@pytest.mark.parametrize("shape", ["gaussian", "gammatone", "generalized_gaussian"])
def test_area_of_narrow_bands_in_float32(shape):
    """Never negative, never empty and near the truth, from far below a bin to far above."""
    for n_fft, factor in itertools.product([64, 512, 8192], [1e-3, 1.0, 8.0]):
        bins = jaxspec.fft_frequencies(sample_rate=16000, n_fft=n_fft)
        edges = jaxspec.band_edges(20, f_min=50, f_max=7900, scale="erb")
        options = {"scale": "erb", "shape": shape, "domain": "hz", "norm": None}
        options |= {"bin_width": 16000 / n_fft, "widths": factor}
        truth = draw(bins, edges, **options)
        mine = np.asarray(draw(bins, jnp.asarray(edges, jnp.float32), **options))
        assert (mine >= 0).all()
        assert (mine.max(axis=0) > 0).all()
        if factor >= 1:
            assert relative_max_error(mine, truth) <= 1e-4 * factor


@x64
@pytest.mark.parametrize("shape", [s for s in SHAPES if s != "rectangle"])
def test_area_is_smooth_in_the_edges(shape):
    """The slope has no jump where an edge or a centre passes the border of a bin."""
    bins = jaxspec.fft_frequencies(sample_rate=16000, n_fft=64)  # borders at 125 + 250 k

    def weights(shift):
        edges = jnp.array([875.0, 1375.0, 2125.0]) + shift
        return draw(
            bins, edges, exponents=jnp.array([1.5]), scale="linear", shape=shape, domain="hz",
            norm=None, bin_width=250.0,
        )[:, 0]  # fmt: skip

    slope = jax.jit(jax.jacfwd(weights))
    below, at, above = (np.asarray(slope(jnp.array(h))) for h in (-1e-6, 0.0, 1e-6))
    size = np.abs(at).max()
    assert size > 1e-4
    np.testing.assert_allclose(below, above, atol=1e-5 * size)
    np.testing.assert_allclose(at, above, atol=1e-5 * size)


# Derivatives.


@pytest.mark.exhaustive
@x64
@pytest.mark.parametrize(("layout", "shape", "domain", "sampling"), LAYOUTS_AND_KINDS)
def test_every_entry_has_the_gradient_of_differences(layout, shape, domain, sampling):
    norm = {"scale": "slaney", "warp": None, "gaps": 2.0}[layout]
    stage = _stage(layout, shape, domain, sampling, norm=norm, scale="htk")
    params = _params(stage, 0.2, dtype=jnp.float64)
    rng = np.random.default_rng(1)
    target = rng.standard_normal((257, 12))
    if norm != 2.0:
        target *= 50  # of weights below 1e-2

    def loss(params):
        return jnp.sum(target * stage.weights(params, dtype=jnp.float64))

    flat, back = jax.flatten_util.ravel_pytree(params)
    gradient = np.asarray(jax.grad(lambda z: loss(back(z)))(flat))
    assert (np.abs(gradient) > 1e-8 * np.abs(gradient).max()).all()
    value = jax.jit(jax.vmap(lambda z: loss(back(z))))
    # Triangles drawn at points have kinks, which a step must not cross.
    step = 1e-6
    shifts = step * np.eye(len(flat))
    differences = (np.asarray(value(flat + shifts)) - np.asarray(value(flat - shifts))) / (2 * step)
    np.testing.assert_allclose(gradient, differences, atol=1e-5 * np.abs(differences).max())
    # And where it starts, none is 0.
    start = jax.grad(loss)(jax.tree.map(jnp.zeros_like, params))
    assert all((np.abs(leaf) > 0).all() for leaf in jax.tree.leaves(start))


@pytest.mark.exhaustive
@pytest.mark.parametrize(("layout", "shape", "domain", "sampling"), LAYOUTS_AND_KINDS)
def test_finite_for_wild_parameters(layout, shape, domain, sampling):
    stage = _stage(layout, shape, domain, sampling)
    target = np.random.default_rng(1).standard_normal((257, 12)).astype(np.float32)
    matrix = jax.jit(stage.weights)
    loss = jax.jit(jax.value_and_grad(lambda p: jnp.sum(target * stage.weights(p))))
    for size, seed in itertools.product([1.0, 10.0, 100.0], range(2)):
        params = _params(stage, size, seed)
        weights = np.asarray(matrix(params))
        assert np.isfinite(weights).all()
        assert (weights >= 0).all()
        value, gradient = loss(params)
        assert np.isfinite(value)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_gradients_reach_every_entry_through_logarithms():
    """Silence, DC, loud and tiny input under a logarithm: finite."""
    x = np.stack([np.zeros(257), np.eye(257)[0], 1e15 * np.ones(257), 1e-20 * np.ones(257)])
    for layout in LAYOUTS:
        stage = _stage(layout, "raised_cosine", sampling="area")

        def loss(params, stage=stage):
            return jaxspec.ln(stage.apply(params, jnp.asarray(x, jnp.float32))).sum()

        gradient = jax.jit(jax.grad(loss))(stage.init(jax.random.key(0)))
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


# Starts at random.


@pytest.mark.parametrize("scale", SCALES)
def test_random_edges(scale):
    seen = set()
    for seed in range(5):
        edges = jaxspec.random_edges(jax.random.key(seed), 20, **RANGE, scale=scale)
        assert edges.shape == (22,)
        assert edges.dtype == np.float64
        np.testing.assert_allclose(edges[[0, -1]], [110, 7010], rtol=1e-12)
        steps = np.diff(jaxspec.hz_to_scale(edges, scale=scale))
        assert steps.min() >= 0.1 * steps.mean() * (1 - 1e-9)
        assert steps.max() > 1.5 * steps.mean()
        seen.add(edges[5])
    assert len(seen) == 5


# speechbrain.

GOLDENS = pathlib.Path(__file__).with_name("goldens") / "learnable_banks.npz"
# Half of speechbrain's band is the deviation of its Gaussian.
WIDTH = {"triangle": 1.0, "gaussian": math.sqrt(2 * math.log(2))}


@x64
@pytest.mark.parametrize("when", ["start", "moved"])
@pytest.mark.parametrize(
    ("theirs", "shape"), [("triangular", "triangle"), ("gaussian", "gaussian")]
)
def test_speechbrain(theirs, shape, when):
    """Symmetric bands of their own centre and width, values and gradients."""
    with np.load(GOLDENS) as npz:
        about = json.loads(str(npz["about"]))
        x, cotangent = npz["spectrum"], npz["cotangent"]
        own = {
            key: npz[f"{theirs}.{when}.{key}"]
            for key in ("f_central", "band", "values", "f_central.gradient", "band.gradient")
        }
    rate, n_fft, n_bands = about["sample_rate"], about["n_fft"], about["n_bands"]
    points = np.concatenate([[about["f_min"]], rate * own["f_central"], [about["f_max"]]])
    bank = Filterbank(
        sample_rate=rate, n_fft=n_fft, n_bands=n_bands, points=points, shape=shape, norm=None,
        bandwidths=WIDTH[shape] * rate * own["band"],
    )  # fmt: skip
    assert relative_max_error(bank(jnp.asarray(x)), own["values"]) <= 1e-12
    # The start of every layout that learns.
    for layout in LAYOUTS:
        learned = dataclasses.replace(bank, layout=layout)
        start = learned.apply(learned.init(jax.random.key(0), dtype=jnp.float64), jnp.asarray(x))
        assert relative_max_error(start, own["values"]) <= 1e-10

    def loss(centres, band):
        edges = jnp.concatenate([points[:1], rate * centres, points[-1:]])
        matrix = draw(
            jaxspec.fft_frequencies(sample_rate=rate, n_fft=n_fft), edges,
            bandwidths=WIDTH[shape] * rate * band, scale="linear", shape=shape, domain="hz",
            norm=None,
        )  # fmt: skip
        return jnp.sum(cotangent * jaxspec.apply_filterbank(jnp.asarray(x), matrix))

    gradients = jax.grad(loss, argnums=(0, 1))(
        jnp.asarray(own["f_central"]), jnp.asarray(own["band"])
    )
    for mine, name in zip(gradients, ("f_central", "band"), strict=True):
        assert relative_max_error(mine, own[f"{name}.gradient"]) <= 1e-11


# What can be recovered.

E1 = {"sample_rate": 16000, "n_fft": 256, "n_bands": 12, "shape": "gaussian", "norm": None}


def _teacher(power):
    """A bank whose centres are at ``u ** power`` of the mel axis, and its centres."""
    mel = jaxspec.hz_to_mel([50.0, 7600.0], mel_scale="htk")
    u = np.linspace(0, 1, 14) ** power
    points = jaxspec.mel_to_hz(mel[0] + (mel[1] - mel[0]) * u, mel_scale="htk")
    bank = Filterbank(**E1, points=points)
    return np.asarray(bank.weights({})), points[1:-1]


@pytest.mark.parametrize(
    ("layout", "rate", "most"), [("gaps", 0.03, 10.0), ("warp", 0.03, 20.0), ("scale", 0.03, 60.0)]
)
@pytest.mark.parametrize("sampling", ["point", "area"])
def test_layouts_recover_a_warped_bank(layout, rate, most, sampling):
    """A start on the mel scale finds a bank that is warped, from what it does to rough spectra."""
    teacher, truth = _teacher(0.75)
    stage = Filterbank(**E1, f_min=50, f_max=7600, scale="htk", layout=layout, sampling=sampling)
    optimiser = optax.adam(optax.cosine_decay_schedule(rate, 500))
    params = stage.init(jax.random.key(0))

    def loss(params, x):
        mine, wanted = (jnp.log(x @ matrix + 1e-3) for matrix in (stage.weights(params), teacher))
        return jnp.mean((mine - wanted) ** 2)

    def step(carry, key):
        params, state = carry
        x = jax.random.exponential(key, (64, 129))
        updates, state = optimiser.update(jax.grad(loss)(params, x), state)
        return (optax.apply_updates(params, updates), state), jnp.diff(stage.edges(params)).min()

    keys = jax.random.split(jax.random.key(1), 500)
    with jax.numpy_dtype_promotion("standard"):
        (trained, _), gaps = jax.jit(lambda p, k: jax.lax.scan(step, p, k))(
            (params, optimiser.init(params)), keys
        )
    assert (gaps > 0).all()
    before = np.abs(stage.centers(params) - truth).mean()
    after = np.abs(stage.centers(trained) - truth).mean()
    assert before > 300
    assert after <= most
