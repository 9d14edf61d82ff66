"""learnable-strf's filters against its own values: goldens/make_wavelets.py, in float64."""

import dataclasses
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import relative_max_error

from jaxspec import compat

pytestmark = pytest.mark.usefixtures("x64")

GOLDENS = np.load(pathlib.Path(__file__).parent / "goldens" / "wavelets.npz")
META = json.loads(GOLDENS["meta"].item())
FILTERS = {name: GOLDENS[f"strf/{name}"] for name in ("sigma_x", "sigma_y", "freq", "gamma")}
X = GOLDENS["strf/features"].T  # (frames, bands)
SIZES = {"odd": (9, 25), "even": (8, 20)}
CASES = [(size, part) for size in SIZES for part in ("real", "imag")]


def _made(size, mode, **options):
    return compat.strf.STRFConv2d(1, 4, SIZES[size], gabor_mode=mode, **{**FILTERS, **options})


def _zeros(stage):
    return stage.init(jax.random.key(0), dtype=jnp.float64)


def _in_their_order(size, y):
    """``(filters, bands, frames)``; even sizes give one band more."""
    return jnp.moveaxis(y.reshape(-1, 4, 12 + (size == "even")), 0, -1)


def _loss(size, y):
    y = _in_their_order(size, y)
    return jnp.sum(jnp.cos(jnp.arange(y.size)).reshape(y.shape) * y)


def _error(key, found):
    for axis, index in enumerate(META.get(key, {"index": []})["index"]):
        found = found if index is None else np.take(found, index, axis=axis)
    return relative_max_error(found, GOLDENS[key])


@pytest.mark.parametrize(("size", "part"), CASES)
def test_values(size, part):
    stage = _made(size, part)
    key = f"strf/{size}/{part}"
    assert _error(f"{key}/kernels", stage.kernels({}, dtype=jnp.float64)[part]) <= 1e-13
    y = _in_their_order(size, stage.apply(_zeros(stage), X))
    assert y.shape == tuple(META[f"{key}/y"]["shape"])
    assert _error(f"{key}/y", y) <= 1e-13


@pytest.mark.parametrize(("size", "part"), CASES)
def test_gradients(size, part):
    """By the features; by the filters through those quantities that ours are functions of."""
    stage = _made(size, part)
    params, key = _zeros(stage), f"strf/{size}/{part}"
    loss = jax.grad(lambda params, x: _loss(size, stage.apply(params, x)), argnums=(0, 1))
    ours, of_x = loss(params, jnp.asarray(X))
    assert _error(f"{key}/grad_features", of_x.T) <= 1e-13

    def quantities(sigma_x, sigma_y, freq, gamma):
        cycles = freq / (2 * jnp.pi)
        return {
            "rates": cycles * jnp.cos(gamma),
            "scales": cycles * jnp.sin(gamma),
            "frame_deviations": sigma_y,
            "band_deviations": sigma_x,
        }

    # What a step of our parameters does to the quantities, each filter by itself.
    slopes = jax.jvp(stage.values, (params,), (jax.tree.map(jnp.ones_like, params),))[1]
    by_quantity = {name: ours[name] / slopes[name] for name in ours}
    chain = jax.vjp(quantities, *(jnp.asarray(value) for value in FILTERS.values()))[1]
    for name, found in zip(FILTERS, chain(by_quantity), strict=True):
        assert _error(f"{key}/grad_{name}", found) <= 1e-12


def test_modes():
    """The parts after each other; the magnitude."""
    real, imag = (
        _made("odd", mode).apply(_zeros(_made("odd", mode)), X) for mode in ("real", "imag")
    )
    both, size = (
        _made("odd", mode).apply(_zeros(_made("odd", mode)), X) for mode in ("concat", "abs")
    )
    np.testing.assert_array_equal(both, jnp.concatenate([real, imag], axis=-1))
    np.testing.assert_allclose(size, jnp.hypot(real, imag), rtol=1e-12)
    # As the network of the paper reads it: filter 0 is the real parts of ours 0 and 1.
    theirs = np.asarray(both).reshape(30, 4, 2 * 12)
    np.testing.assert_array_equal(theirs[:, 0], np.asarray(real)[:, :24])
    np.testing.assert_array_equal(theirs[:, 2], np.asarray(imag)[:, :24])


def test_without_defects():
    """As many frames and bands as there were, in the middle, and gently different."""
    sigmas = {"sigma_x": np.abs(FILTERS["sigma_x"])}
    theirs, ours = (_made("odd", "abs", defects=d, **sigmas) for d in (True, False))
    assert (theirs.form, ours.form) == ("published", "exact")
    assert dataclasses.replace(theirs, form="exact") == ours
    assert ours.middle == 0
    assert theirs.middle == pytest.approx(-12 / 25)
    with pytest.raises(ValueError, match="frames_seen must be odd"):
        _made("even", "real", defects=False)
    with pytest.raises(ValueError, match=r"band_deviations must be >= 0\.1"):
        _made("odd", "real", defects=False)


def test_drawn_filters():
    stage = compat.strf.STRFConv2d(key=jax.random.key(0))
    assert stage.n_filters == 64
    assert (stage.bands_seen, stage.frames_seen, stage.parts) == (9, 111, "both")
    assert compat.strf.STRFConv2d(1, 3, (9, 111), padding=(4, 55), key=jax.random.key(0))
    with pytest.raises(ValueError, match="give either key, to draw the filters, or all of"):
        compat.strf.STRFConv2d()
    with pytest.raises(ValueError, match="got key, sigma_x"):
        compat.strf.STRFConv2d(1, 4, key=jax.random.key(0), sigma_x=FILTERS["sigma_x"])
    with pytest.raises(ValueError, match="or all of sigma_x, sigma_y, freq, gamma, got sigma_x"):
        compat.strf.STRFConv2d(1, 4, sigma_x=FILTERS["sigma_x"])
    with pytest.raises(ValueError, match=r"sigma_x must have shape \(out_channels,\) = \(3,\)"):
        compat.strf.STRFConv2d(1, 3, **FILTERS)
    with pytest.raises(ValueError, match="freq must lie strictly between -pi and pi"):
        compat.strf.STRFConv2d(1, 4, **FILTERS | {"freq": np.full(4, 4.0)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("in_channels", 2), ("stride", (1, 2)), ("padding", (0, 0)), ("dilation", 2),
        ("groups", 4), ("bias", True), ("padding_mode", "reflect"), ("gabor_mode", "pass"),
        ("defects", "some"),
    ],
)  # fmt: skip
def test_what_is_refused(name, value):
    with pytest.raises(ValueError, match=name):
        compat.strf.STRFConv2d(**{"key": jax.random.key(0), name: value})
