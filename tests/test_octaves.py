"""Wavelet octaves: the filters' properties, alignment, edges, pieces, derivatives."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import noise

from jaxspec import FrontEnd, octaves, stages

X = noise(1600)
WIDE = {"n_octaves": 4, "filters_per_octave": 2}

pytestmark = pytest.mark.usefixtures("x64")


def _stage(**options):
    return stages.OctaveFilters(**{**WIDE, "taps": 6, **options})


def _params(stage, seed=0):
    shapes = stage.param_shapes()
    rng = np.random.default_rng(seed)
    return {name: jnp.asarray(rng.standard_normal(leaf.shape)) for name, leaf in shapes.items()}


# The wavelets.


def test_the_first_level_reconstructs_perfectly():
    """Low-pass and high-pass make a half-band product with their duals, as biorthogonal ones do."""
    low, high = octaves._FIRST_LOW, octaves._FIRST_HIGH
    signs = -((-1.0) ** np.arange(7))
    product = np.convolve(low, high * signs)  # the dual low-pass is the high-pass alternated
    np.testing.assert_allclose(product[1::2], [0, 0, 0.5, 0, 0], atol=1e-15)
    np.testing.assert_allclose([low.sum(), high.sum()], [1, 0], atol=1e-15)
    np.testing.assert_allclose((high * signs).sum(), 1, rtol=1e-14)


def test_the_further_levels_are_orthonormal():
    """Every filter has unit energy and is orthogonal to its shifts by two and to its partner."""
    for low, high in ((octaves._LOW_A, octaves._HIGH_A), (octaves._LOW_B, octaves._HIGH_B)):
        np.testing.assert_allclose([low.sum(), high.sum()], [np.sqrt(2), 0], atol=1e-7)
        for one, other, own in ((low, low, 1), (high, high, 1), (low, high, 0)):
            full = np.correlate(one, other, "full")
            products = full[1::2]  # of shifts by -8, -6, …, 8
            np.testing.assert_allclose(products, own * (np.arange(9) == 4), atol=1e-8)


def test_the_smoother():
    smooth = octaves._SMOOTH
    assert (smooth == smooth[::-1]).all()
    np.testing.assert_allclose(smooth.sum(), 1, rtol=1e-14)
    np.testing.assert_allclose((smooth * (-1) ** np.arange(13)).sum(), 0, atol=1e-14)


def test_octaves_hold_positive_frequencies_of_an_octave():
    """A tone is found in its octave, at frequencies of one sign: there the magnitude is smooth."""
    stage = _stage(taps=1)
    need = octaves.needed(20, taps=1, stride=16, shifts=stage._shifts, lags=stage._lags)
    n = np.arange(need.inputs[0].first, need.inputs[0].last + 1)
    for octave in range(4):
        tone = np.cos(2 * np.pi * 0.35 / 2**octave * n)
        parts = octaves.octaves(jnp.asarray(tone), need)
        size = [float(jnp.sqrt(jnp.mean(re**2 + im**2))) for re, im in parts]
        assert np.argmax(size) == octave
        if octave:
            re, im = parts[octave]
            level = np.sqrt(re**2 + im**2)
            assert np.std(level) <= 0.15 * np.mean(level)


@pytest.mark.parametrize("taps", [4, 5])
@pytest.mark.parametrize("align", ["frames", "octaves"])
def test_what_octaves_describe(align, taps):
    """The middle of the energy that impulses leave in frame t: `middles`, up to a sample."""
    stage = _stage(taps=taps, align=align, filters_per_octave=1, n_octaves=4)
    kernel = jnp.ones((taps, 4))
    reach = stage.reach
    at = np.arange(-reach.before, reach.after + 1)
    impulses = jnp.eye(len(at))
    y = np.asarray(stage.freeze({"filters": kernel}).transform({}, impulses))[:, 0]
    # Magnitudes are smoothed after the fact: of an impulse they add up as they are.
    centres = (at[:, None] * y**2).sum(axis=0) / (y**2).sum(axis=0)
    np.testing.assert_allclose(centres, stage.middles, atol=1.0)
    if align == "frames" and taps == 4:
        assert stage.middles == (-0.5,) * 4
        assert stage.middle == -0.5
        times = FrontEnd(stage).frame_times(3, sample_rate=16000)
        np.testing.assert_allclose(times * 16000, [-0.5, 15.5, 31.5])
    elif align == "frames":
        assert stage.middles == (6.5, 5.5, 3.5, 7.5)
        assert stage.middle == 7.5
    else:
        assert stage.middles == ((0.5, 1.5, 3.5, 7.5) if taps == 5 else (1.5, 3.5, 7.5, 15.5))
        assert stage.middle == (stage.middles[0] + stage.middles[-1]) / 2


# Frames, edges and pieces.


@pytest.mark.parametrize("taps", [1, 4, 7])
@pytest.mark.parametrize("align", ["frames", "octaves"])
def test_frames_do_not_depend_on_the_length(align, taps):
    stage = _stage(taps=taps, align=align, stride=32)
    params = _params(stage)
    whole = stage.apply(params, X)
    assert whole.shape == (50, 8) == (stage.length(1600), 8)
    inside = -(-stage.reach.after // 32)
    for n in (1599, 1200, 1017, 833):
        part = stage.apply(params, X[:n])
        assert len(part) == -(-n // 32)
        kept = (n - 1 - stage.reach.after) // 32 + 1
        assert kept >= len(part) - inside - 1
        np.testing.assert_allclose(part[:kept], whole[:kept], atol=1e-12)
    moved = stage.apply(params, X[64:])
    skip = -(-stage.reach.before // 32)
    np.testing.assert_allclose(moved[skip:], whole[skip + 2 :], atol=1e-12)


@pytest.mark.parametrize("pad_mode", ["symmetric", "reflect", "edge", "constant", "wrap"])
def test_edges_are_those_of_a_longer_clip(pad_mode):
    stage = _stage(pad_mode=pad_mode)
    params = _params(stage)
    longer = jnp.pad(jnp.asarray(X), 320, mode=pad_mode)
    np.testing.assert_allclose(
        stage.apply(params, X)[3:-3], stage.apply(params, longer)[23:-23], atol=1e-12
    )
    np.testing.assert_allclose(
        stage.apply(params, X), stage.apply(params, longer)[20:-20], atol=1e-12
    )
    short = X[:3]  # shorter than what the first frame sees
    assert np.isfinite(stage.apply(params, short)).all()


def test_alignment_is_a_shift_of_octaves():
    """With even taps: by one sample of every octave's own rate."""
    own = _stage(align="frames", stride=16)
    params = _params(own)
    published = dataclasses.replace(own, align="octaves")
    assert [a - b for a, b in zip(published.middles, own.middles, strict=True)] == [2, 4, 8, 16]
    # The coarsest octave is shifted by a whole frame.
    a, b = own.apply(params, X), published.apply(params, X)
    np.testing.assert_allclose(a[10:50, 6:], b[9:49, 6:], atol=1e-12)
    for octave in range(3):
        moved = own.apply(params, np.r_[np.zeros(0), X[2 ** (octave + 1) :]])
        mine = slice(2 * octave, 2 * octave + 2)
        np.testing.assert_allclose(moved[20:60, mine], b[20:60, mine], atol=1e-12)


# Parameters.


def test_drawn_or_given_filters():
    drawn = _stage()
    params = drawn.init(jax.random.key(0))
    assert params["filters"].shape == (6, 8)
    assert abs(float(params["filters"].std()) - 1) < 0.3
    other = drawn.init(jax.random.key(1))
    assert (params["filters"] != other["filters"]).all()
    filters = np.asarray(params["filters"], np.float64)
    given = _stage(filters=filters)
    start = given.init(jax.random.key(0), dtype=jnp.float64)
    assert (start["filters"] == 0).all()
    expected = drawn.apply({"filters": jnp.asarray(filters)}, X)
    np.testing.assert_allclose(given.apply(start, X), expected, rtol=1e-12)
    fixed = given.freeze(start)
    assert fixed == _stage(filters=filters, learn=())
    np.testing.assert_allclose(fixed(X), expected, rtol=1e-12)
    np.testing.assert_array_equal(fixed.arrays({})["filters"], filters)
    (text,) = drawn.check({"filters": params["filters"].at[:, 3].set(0)})
    assert text == "filter 3 is 0, and its channel with it"


def test_counts_differ_between_octaves():
    stage = _stage(filters_per_octave=[1, 3, 2, 4])
    assert stage.counts == (1, 3, 2, 4)
    params = _params(stage)
    y = stage.apply(params, X)
    assert y.shape == (100, 10) == (100, stage.channels(None))
    alone = _stage(filters_per_octave=1)
    first = alone.apply({"filters": params["filters"][:, [0, 1, 4, 6]]}, X)
    np.testing.assert_allclose(first, y[:, [0, 1, 4, 6]], rtol=1e-12)


@pytest.mark.parametrize("align", ["frames", "octaves"])
def test_gradients(align):
    """By the filters and by the waveform, against differences."""
    stage = stages.OctaveFilters(
        n_octaves=3, filters_per_octave=(1, 2, 1), taps=4, stride=16, align=align
    )
    params, x = _params(stage), jnp.asarray(X[:200])
    weights = jnp.asarray(np.random.default_rng(1).standard_normal((13, 4)))

    @jax.jit
    def loss(filters, x):
        return jnp.sum(weights * stage.apply({"filters": filters}, x))

    filters = params["filters"]
    slopes = jax.jit(jax.grad(loss, argnums=(0, 1)))(filters, x)
    for place in np.ndindex(filters.shape):
        step = jnp.zeros(filters.shape).at[place].set(1e-6)
        difference = (loss(filters + step, x) - loss(filters - step, x)) / 2e-6
        np.testing.assert_allclose(slopes[0][place], difference, rtol=1e-6, atol=1e-8)
    for place in (0, 7, 100, 199):
        step = jnp.zeros(200).at[place].set(1e-6)
        difference = (loss(filters, x + step) - loss(filters, x - step)) / 2e-6
        np.testing.assert_allclose(slopes[1][place], difference, rtol=1e-6, atol=1e-8)


def test_silence_and_dead_filters_have_finite_slopes():
    """The first and the second ones."""
    stage = stages.OctaveFilters(n_octaves=2, filters_per_octave=1, taps=3, stride=8)

    @jax.jit
    def slopes(filters, x):
        def loss(filters, x):
            return jnp.sum(stage.apply({"filters": filters}, x) ** 2)

        first = jax.grad(loss, argnums=(0, 1))
        return first(filters, x), jax.jacfwd(first, argnums=(0, 1))(filters, x)

    for filters in (jnp.ones((3, 2)), jnp.zeros((3, 2))):
        for x in (jnp.zeros(50), jnp.asarray(X[:50]), jnp.full(50, 1e-30)):
            assert all(np.isfinite(s).all() for s in jax.tree.leaves(slopes(filters, x)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_octaves": 0}, "n_octaves must be an int >= 1"),
        ({"taps": 0}, "taps must be an int >= 1"),
        ({"filters_per_octave": 0}, "filters_per_octave must be an int >= 1"),
        ({"filters_per_octave": (1, 2)}, "or have n_octaves=4 of them"),
        ({"stride": 8}, r"stride must be a power of 2, at least 2 \*\* n_octaves = 16.*stride=8"),
        ({"stride": 48}, "stride must be a power of 2.*stride=48"),
        ({"align": "samples"}, "align must be one of"),
        ({"pad_mode": "mirror"}, "pad_mode must be one of"),
        ({"n_samples": 100}, "n_samples has no effect but with align=.octaves"),
        ({"learn": ()}, "learn must name filters where none are given"),
        ({"learn": "weights"}, "learn must be 'all' or name"),
        ({"filters": np.ones((8, 6))}, r"filters must have shape .taps, channels. = \(6, 8\)"),
    ],
)
def test_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        _stage(**options)
