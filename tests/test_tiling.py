"""Evaluation in tiles gives what evaluation at once gives, with all derivatives."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspec
from jaxspec import FrontEnd, pieces, stages, tiling

AT_ONCE = 10**9

pytestmark = pytest.mark.usefixtures("few_tiles")


def _frontend(tile_frames, **stft):
    stft = {"n_fft": 64, "hop_length": 20} | stft
    return FrontEnd(
        stages.PreEmphasis(first="replicate"),
        stages.STFT(**stft),
        stages.Power(),
        stages.Filterbank(sample_rate=8000, n_fft=stft["n_fft"], n_bands=5, layout="gaps"),
        stages.Ln(amin=1e-3, floor="add"),
        stages.Deltas(width=3),
        stages.PCEN(),
        tile_frames=tile_frames,
    )


STFTS = {
    "centred": {},
    "whole frames": {"center": False},
    "odd": {"n_fft": 61, "hop_length": 17},
    "short window": {"win_length": 30},
    "zeros": {"pad_mode": "constant"},
    "edge, hop of a frame": {"hop_length": 64, "pad_mode": "edge"},
    "hop of a frame": {"hop_length": 64},
    "hop of half a frame": {"hop_length": 32},
    "hop > frame": {"hop_length": 90},
    "whole frames, hop > frame": {"hop_length": 90, "center": False},
    "hop 1": {"hop_length": 1},
}


def _params(frontend):
    return jax.tree.map(lambda leaf: leaf + 0.1, frontend.init(jax.random.key(0)))


def _value_and_gradients(frontend, params, x):
    def loss(params, x):
        y = frontend.apply(params, x)
        return jnp.sum(jnp.asarray(np.cos(np.arange(y.size))).reshape(y.shape) * y), y

    return jax.grad(loss, (0, 1), has_aux=True)(params, x)


def _assert_close(given, expected, tolerance=1e-4):
    for a, b in zip(jax.tree.leaves(given), jax.tree.leaves(expected), strict=True):
        assert a.shape == b.shape
        assert np.allclose(a, b, rtol=1e-4, atol=tolerance * float(np.abs(b).max()))


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("name", "batch"), [(name, (3,)) for name in STFTS] + [("centred", ()), ("centred", (2, 2))]
)
def test_tiles_make_the_whole(name, batch):
    samples = 153 if name == "hop 1" else 503
    x = np.random.default_rng(0).standard_normal((*batch, samples)).astype(np.float32)
    whole = _frontend(AT_ONCE, **STFTS[name])
    params = _params(whole)
    expected = _value_and_gradients(whole, params, x)
    for tile_frames in (7,) if batch == (3,) else (7, 40):
        tiled = _frontend(tile_frames, **STFTS[name])
        _assert_close(_value_and_gradients(tiled, params, x), expected)


@pytest.mark.exhaustive
@pytest.mark.parametrize("together", [1, 6])
@pytest.mark.parametrize("hop_length", [5, 16, 19])
def test_every_sample_of_every_length(monkeypatch, together, hop_length):
    """Gradients of all lengths, whatever remains after the tiles: each sample gets its own once."""
    stft = stages.STFT(n_fft=16, hop_length=hop_length)
    chain = pieces.Chain((stft, stages.Power()), ("stft", "power"))
    monkeypatch.setattr(pieces, "_CPU_TILES_IN_A_TURN", together)
    for samples in range(200, 213, 4):
        x = jnp.asarray(np.random.default_rng(samples).standard_normal(samples), jnp.float32)

        def gradient(tile_frames, x=x):
            def loss(x):
                y = tiling.over_tiles(chain, {}, x, tile_frames=tile_frames)
                return jnp.sum(jnp.asarray(np.cos(np.arange(y.size))).reshape(y.shape) * y)

            return jax.grad(loss)(x)

        _assert_close(gradient(3), gradient(AT_ONCE))


def test_float64_has_no_rounding_to_hide_behind():
    with jax.enable_x64(True):
        x = np.random.default_rng(0).standard_normal((2, 900))
        whole = _frontend(AT_ONCE)
        params = jax.tree.map(
            lambda leaf: leaf + 0.1, whole.init(jax.random.key(0), dtype="float64")
        )
        given = _value_and_gradients(_frontend(5), params, x)
        expected = _value_and_gradients(whole, params, x)
        for a, b in zip(jax.tree.leaves(given), jax.tree.leaves(expected), strict=True):
            assert a.dtype == np.float64
            assert np.allclose(a, b, rtol=1e-11, atol=1e-12 * np.abs(b).max())


def _while_loops(text):
    return text.count("stablehlo.while")


def test_the_tiled_program_has_a_loop_and_no_framed_copy():
    frontend = jaxspec.presets.get("log_mel")
    x = jax.ShapeDtypeStruct((160_000,), jnp.float32)

    def lowered(tile_frames):
        changed = dataclasses.replace(frontend, tile_frames=tile_frames)
        return jax.jit(changed).lower(x)

    framed = 1001 * 512 * 4
    whole = lowered(AT_ONCE)
    assert _while_loops(whole.as_text()) == 0
    assert whole.compile().memory_analysis().temp_size_in_bytes > framed
    tiled = lowered(50)
    assert _while_loops(tiled.as_text()) == 1
    assert tiled.compile().memory_analysis().temp_size_in_bytes < framed
    # Twenty tiles of one second of sixteen clips suit a CPU; one clip of a second is one tile.
    assert _while_loops(jax.jit(frontend).lower(jnp.zeros((16, 160_000))).as_text()) == 1
    assert _while_loops(jax.jit(frontend).lower(jnp.zeros(16_000)).as_text()) == 0


@pytest.mark.parametrize("platform", ["cpu", "tpu", "cuda"])
def test_lowers_for_every_platform(platform):
    frontend = jaxspec.presets.get("log_mel")

    def loss(x):
        return jnp.sum(frontend(x) ** 2)

    x = jax.ShapeDtypeStruct((16, 160_000), jnp.float32)
    text = jax.jit(jax.grad(loss)).trace(x).lower(lowering_platforms=(platform,)).as_text()
    # A tile fits the platform: elsewhere than on a CPU this is but one.
    assert (_while_loops(text) > 0) == (platform == "cpu")
    fft = "stablehlo.fft" in text
    assert fft == (platform != "tpu")
    long = jax.ShapeDtypeStruct((16, 16_000_000), jnp.float32)
    text = jax.jit(frontend).trace(long).lower(lowering_platforms=(platform,)).as_text()
    assert _while_loops(text) == 1


@pytest.mark.exhaustive
def test_every_transformation_of_tiles():
    frontend, whole = _frontend(4), _frontend(AT_ONCE)
    params = _params(frontend)
    x = jnp.asarray(np.random.default_rng(1).standard_normal((3, 500)), jnp.float32)

    def features(x, params=params, frontend=frontend):
        return frontend.apply(params, x)

    def loss(x, params=params, frontend=frontend):
        return jnp.sum(jnp.sin(features(x, params, frontend)))

    def reference(x, params=params):
        return loss(x, params, whole)

    rows = jnp.stack([features(row) for row in x])
    _assert_close(features(x), rows)
    _assert_close(jax.vmap(features)(x), rows)
    _assert_close(jax.vmap(features, in_axes=1)(x.T), rows)
    _, scanned = jax.lax.scan(lambda carry, x: (carry, features(x)), 0, x)
    _assert_close(scanned, rows)
    _assert_close(jax.checkpoint(features)(x), rows)

    gradient = jax.grad(loss)
    _assert_close(gradient(x), jax.grad(reference)(x))
    _assert_close(jax.vmap(gradient)(x), gradient(x))
    _assert_close(jax.grad(jax.checkpoint(loss))(x), gradient(x))
    along = jnp.cos(jnp.arange(500.0))
    tangent = jax.jvp(loss, (x[0],), (along,))[1]
    assert np.isclose(tangent, jnp.vdot(gradient(x[0]), along), rtol=1e-3)
    _assert_close(jax.jacfwd(features)(x[0]), jax.jacrev(features)(x[0]))
    # Second derivatives: forward over reverse, reverse over forward, reverse over reverse.
    hessian_along = jax.jvp(jax.grad(reference), (x[0],), (along,))[1]
    for product in (
        lambda x: jax.jvp(gradient, (x,), (along,))[1],
        jax.grad(lambda x: jax.jvp(loss, (x,), (along,))[1]),
        jax.grad(lambda x: jnp.vdot(gradient(x), along)),
        lambda x: jax.vmap(lambda v: jax.jvp(gradient, (x,), (v,))[1])(along[None])[0],
    ):
        _assert_close(product(x[0]), hessian_along)


@pytest.mark.exhaustive
def test_parameters_of_a_batch_of_models():
    """`vmap` over parameters, signals or both, with gradients to each."""
    frontend, whole = _frontend(4), _frontend(AT_ONCE)
    one = _params(frontend)
    many = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf + 0.2]), one)
    x = jnp.asarray(np.random.default_rng(2).standard_normal((2, 500)), jnp.float32)

    def gradients(frontend, axes, params, x):
        def loss(params, x):
            return jnp.sum(jnp.sin(frontend.apply(params, x)))

        return jax.vmap(jax.value_and_grad(loss, (0, 1)), in_axes=axes)(params, x)

    for axes, params, signal in [
        ((0, None), many, x[0]), ((0, 0), many, x), ((None, 0), one, x), ((0, None), many, x),
    ]:  # fmt: skip
        given = gradients(frontend, axes, params, signal)
        _assert_close(given, gradients(whole, axes, params, signal))

    def of_all(params, frontend=frontend):
        y = jax.vmap(frontend.apply, in_axes=(0, None))(params, x)
        return jnp.sum(jnp.sin(y))

    _assert_close(jax.grad(of_all)(many), jax.grad(lambda p: of_all(p, whole))(many))
    # Along one direction of the parameters and many.
    _, tangents = jax.vmap(
        lambda t: jax.jvp(lambda p: frontend.apply(p, x[0]), (one,), (t,))
    )(many)  # fmt: skip
    _, expected = jax.vmap(lambda t: jax.jvp(lambda p: whole.apply(p, x[0]), (one,), (t,)))(many)
    _assert_close(tangents, expected)


def test_only_what_is_asked_for_is_computed():
    """A gradient of parameters alone makes no gradient of the signal."""
    frontend = _frontend(4)
    params = _params(frontend)
    x = jnp.zeros((3, 500))

    def loss(params, x):
        return jnp.sum(frontend.apply(params, x))

    for argument, inverses in ((0, 0), (1, 1)):
        text = str(jax.make_jaxpr(jax.grad(loss, argument))(params, x))
        assert text.count("tiles_cotangents") == 1
        lowered = jax.jit(jax.grad(loss, argument)).lower(params, x).as_text()
        assert ("IRFFT" in lowered) == bool(inverses)


def test_tile_frames_is_kept_and_checked():
    frontend = _frontend(40)
    assert frontend.replace("stft", n_fft=64).tile_frames == 40
    assert FrontEnd.from_dict(frontend.to_dict()) == frontend != _frontend(41)
    assert "tile_frames=40" in repr(frontend)
    with pytest.raises(ValueError, match="tile_frames must be an int >= 1, got tile_frames=0"):
        _frontend(0)


def test_a_single_stft_is_tiled_if_asked_for():
    stft = stages.STFT(n_fft=64, hop_length=20)
    x = np.random.default_rng(0).standard_normal((2, 4_000)).astype(np.float32)
    whole, tiled = FrontEnd(stft), FrontEnd(stft, tile_frames=10)
    assert _while_loops(jax.jit(whole).lower(x).as_text()) == 0
    assert _while_loops(jax.jit(tiled).lower(x).as_text()) == 1
    _assert_close(tiled(x), whole(x))
