"""Frozen front-ends, plain arrays, checks, and the helpers of `jaxspec.training`.

That every stage can be frozen is tested in test_contract.py.
"""

import dataclasses
import json
import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from flax import nnx
from helpers import energies, noise
from scipy.spatial.distance import jensenshannon

import jaxspec
import jaxspec.linen
import jaxspec.nnx
from jaxspec import FrontEnd, diagnostics, stages, training

BANK = {"sample_rate": 16000, "n_fft": 512, "n_bands": 20}


def _random(stage, size=0.5, seed=0):
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda leaf: jnp.asarray(size * rng.standard_normal(leaf.shape), jnp.float32),
        stage.param_shapes(),
    )


def _bank(layout="gaps", **options):
    stage = stages.Filterbank(**BANK, shape="gaussian", layout=layout, **options)
    return stage, stage.init(jax.random.key(0))


def _chain():
    return FrontEnd(
        stages.AdaptiveSTFT(n_fft=512, win_length=400, hop_length=160),
        stages.Power(),
        stages.Filterbank(**BANK, shape="gaussian", layout="gaps"),
        stages.PCEN(learn="all", n_bands=20),
    )


# Frozen stages.


def test_a_frozen_front_end():
    frontend = _chain()
    params = _random(frontend)
    fixed = frontend.freeze(params)
    x = jnp.asarray(noise(8000), jnp.float32)
    np.testing.assert_allclose(fixed(x), frontend.apply(params, x), rtol=1e-3, atol=1e-5)
    assert FrontEnd.from_dict(json.loads(json.dumps(fixed.to_dict()))) == fixed
    assert fixed.names == ("stft", "power", "filterbank", "pcen")
    np.testing.assert_allclose(fixed.frame_times(3), frontend.frame_times(3))
    with pytest.raises(ValueError, match="params must be those"):
        frontend.freeze({})


def test_plain_arrays_suffice_to_compute_the_features():
    """NumPy alone makes the features of a trained front-end from its arrays."""
    frontend = _chain()
    params = _random(frontend)
    x = noise(4000)
    arrays = frontend.arrays(params)
    assert set(arrays) == {"adaptive_stft", "filterbank", "pcen"}
    padded = np.pad(x, 256, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, 512)[::160]
    power = np.abs(np.fft.rfft(frames * arrays["adaptive_stft"]["window"])) ** 2
    energy = power @ arrays["filterbank"]["weights"]
    gain, bias, root, s = (arrays["pcen"][k] for k in ("gain", "bias", "power", "smoothing"))
    level, wanted = energy[0], []
    for e in energy:
        level = (1 - s) * level + s * e
        wanted.append((e / (1e-6 + level) ** gain + bias) ** root - bias**root)
    got = frontend.apply(params, jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(got, wanted, rtol=2e-3, atol=1e-4)


def test_arrays_of_fixed_stages():
    frontend = jaxspec.presets.get("log_mel")
    arrays = frontend.arrays({})
    np.testing.assert_array_equal(arrays["stft"]["window"], frontend["stft"].window_table())
    np.testing.assert_array_equal(
        arrays["filterbank"]["weights"],
        jaxspec.mel_filterbank(sample_rate=16000, n_fft=512, n_mels=80),
    )


def test_a_learned_hop_is_rounded():
    stage = stages.AdaptiveHopSTFT(n_fft=512, win_length=300, hop_length=160, min_hop=80)
    params = {"hop_length": jnp.array(0.1), "win_length": jnp.array(0.2)}
    fixed = stage.rounded(params)
    assert fixed.hop_length == round(float(stage.hop(params)))
    assert fixed.hop_length != 160
    np.testing.assert_array_equal(fixed.window_table(), stage.window_table(params).values)


def test_a_hop_need_not_be_learned():
    options = {"n_fft": 64, "win_length": 50, "hop_length": 20.5, "min_hop": 10}
    fixed = stages.AdaptiveHopSTFT(**options, learn=())
    learned = stages.AdaptiveHopSTFT(**options)
    x = jnp.asarray(noise(400), jnp.float32)
    start = learned.init(jax.random.key(0))
    np.testing.assert_allclose(fixed(x), learned.apply(start, x), atol=1e-5)


def test_a_basis_of_ones_own():
    rng = np.random.default_rng(0)
    real, imag = rng.standard_normal((2, 8, 5))
    stage = stages.BasisSTFT(n_fft=8, hop_length=4, real=real, imag=imag, center=False, learn=())
    x = noise(16)
    frames = np.lib.stride_tricks.sliding_window_view(x, 8)[::4]
    truth = frames @ (real + 1j * imag)
    np.testing.assert_allclose(stage(jnp.asarray(x, jnp.float32)), truth, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="real and imag must be given together"):
        stages.BasisSTFT(n_fft=8, real=real)
    with pytest.raises(ValueError, match=r"imag must have shape .*\(8, 5\)"):
        stages.BasisSTFT(n_fft=8, real=real, imag=imag[:4])
    with pytest.raises(ValueError, match="window has no effect on a basis of your own"):
        stages.BasisSTFT(n_fft=8, real=real, imag=imag, window="hamming")


def test_a_profile_of_ones_own():
    options = {"n_fft": 64, "win_length": 50, "hop_length": 20, "family": "free"}
    stage = stages.AdaptiveSTFT(**options, n_knots=4)
    params = {"win_length": jnp.array(0.0), "profile": jnp.array([0.1, 0.2, -0.1, 0.0])}
    own = stages.AdaptiveSTFT(**options, profile=params["profile"], learn=())
    np.testing.assert_allclose(
        own.window_table({}).values, stage.window_table(params).values, atol=1e-7
    )
    with pytest.raises(ValueError, match=r"profile must have shape \(n,\), which says n_knots"):
        stages.AdaptiveSTFT(**options, profile=[0.1], n_knots=1)


def test_a_frozen_bank_keeps_its_centres():
    frontend = _chain()
    params = _random(frontend)
    fixed = frontend.freeze(params)
    np.testing.assert_allclose(
        fixed.frequencies(), frontend.frequencies(params), rtol=1e-6, atol=1e-3
    )


def test_points_of_a_matrix_are_its_centres():
    matrix, points = np.eye(257, 20), np.arange(22) * 300.0
    bank = stages.Filterbank(**BANK, matrix=matrix, points=points)
    np.testing.assert_allclose(bank.centers({}), points[1:-1])
    for layout in ("free", "signed"):
        with pytest.raises(ValueError, match=r"points say where .* have no effect with layout="):
            stages.Filterbank(**BANK, matrix=matrix, points=points, layout=layout)


def test_parameters_of_something_else_are_refused():
    frontend = _chain()
    params = frontend.init(jax.random.key(0))
    bank, pcen = frontend["filterbank"], frontend["pcen"]
    for call in (bank.centers, bank.edges, bank.widths, bank.weights, pcen.values):
        with pytest.raises(ValueError, match=r"params must be those of \w+.init"):
            call(params)
    with pytest.raises(ValueError, match=r"params must be those of Filterbank.*got gaps \(3,\)"):
        bank.weights({"gaps": jnp.zeros(3)})
    with pytest.raises(ValueError, match="params must be those of FrontEnd"):
        frontend.frequencies({"filterbank": params["filterbank"]})
    for method in ("freeze", "arrays", "check"):
        with pytest.raises(TypeError, match=f"FrontEnd.{method}, got traced ones; call it outside"):
            jax.jit(lambda p, m=method: getattr(frontend, m)(p))(params)
    broken = jax.tree.map(lambda z: z * jnp.nan, params)
    with pytest.raises(ValueError, match="finite to be frozen, got gaps, widths that"):
        bank.freeze(broken["filterbank"])
    with pytest.raises(TypeError, match="bank must be a filterbank, such as"):
        training.coverage_penalty(frontend, params)
    assert training.coverage_penalty(bank.freeze(params["filterbank"]), {}) == 0


# What may be wrong.


@pytest.mark.parametrize(
    ("stage", "params", "message"),
    [
        (
            stages.Filterbank(**BANK, layout="gaps", f_min=100.0),
            {"gaps": np.zeros(21), "widths": np.r_[np.zeros(4), 9.0, np.zeros(15)]},
            r"^widths\[4\] 7.99: at the end of the range",
        ),
        (
            stages.Filterbank(sample_rate=16000, n_fft=64, n_bands=20, layout="gaps"),
            {"gaps": np.zeros(21), "widths": np.r_[-6.0, np.zeros(19)]},
            r"^band 0 at 144 Hz takes in next to nothing",
        ),
        (
            stages.PCEN(learn=("gain",), n_bands=2),
            {"gain": np.array([0.0, 9.0])},
            r"^gain\[1\] 1: at the end of the range",
        ),
        (
            stages.AdaptiveSTFT(n_fft=512, win_length=400, hop_length=160),
            {"win_length": np.array(-20.0)},
            r"^win_length 2: at the end of the range",
        ),
        (
            stages.AdaptiveSTFT(n_fft=512, win_length=400, hop_length=160, max_length=800.0),
            {"win_length": np.array(1.5)},
            r"^win_length 6\d\d\.\d is longer than the frame of n_fft=512 samples",
        ),
        (
            stages.AdaptiveHopSTFT(n_fft=512, win_length=400, hop_length=160, min_hop=80),
            {"win_length": np.array(0.0), "hop_length": np.array(-20.0)},
            r"^hop_length 80: at the end of the range",
        ),
        (
            stages.Root(learn="all"),
            {"exponent": np.array(np.nan)},
            "^exponent holds values that are not finite",
        ),
    ],
)
def test_check_says_what_is_wrong(stage, params, message):
    params = jax.tree.map(partial(jnp.asarray, dtype=jnp.float32), params)
    text, *more = stage.check(params)
    assert re.search(message, text), text
    frontend = FrontEnd(stage)
    assert frontend.check({stage.name: params}) == (
        [f"{stage.name}/{text}"]
        if "finite" in text
        else [f"{stage.name}: {each}" for each in (text, *more)]
    )


# Labels.


def _linen():
    class Model(nn.Module):
        @nn.compact
        def __call__(self, x):
            y = jaxspec.linen.Features(_chain(), train=("filterbank", "pcen/gain"))(x)
            return nn.Dense(2)(y.mean(axis=-2))

    x = jnp.zeros((1, 4000))
    return Model().init(jax.random.key(0), x)["params"]


def _nnx():
    class Model(nnx.Module):
        def __init__(self):
            self.features = jaxspec.nnx.Features(_chain(), train=("filterbank", "pcen/gain"))
            self.dense = nnx.Linear(20, 2, rngs=nnx.Rngs(0))

    return nnx.state(Model(), nnx.Param)


@pytest.mark.parametrize("make", [_linen, _nnx])
def test_labels_of_models(make):
    params = make()
    labels = training.param_labels(params, _chain())
    assert jax.tree.structure(labels) == jax.tree.structure(params)
    flat = jax.tree_util.tree_leaves_with_path(labels)
    for keys, label in flat:
        path = jax.tree_util.keystr(keys)
        own = any(name in path for name in ("gaps", "widths", "gain"))
        assert label == ("frontend" if own else "network"), path
    assert sum(label == "frontend" for _, label in flat) == 3


def test_labels_of_coefficients():
    frontend = FrontEnd(
        stages.BasisSTFT(n_fft=64, hop_length=16, learn="real"),
        stages.Power(),
        stages.Filterbank(sample_rate=16000, n_fft=64, n_bands=6, layout="free"),
        stages.LogOffset(learn="all"),
    )
    labels = training.param_labels(frontend.init(jax.random.key(0)), frontend)
    assert labels == {
        "basis_stft": {"real": "coefficients"},
        "filterbank": {"weights": "coefficients"},
        "log_offset": {"offset": "frontend"},
    }
    bank = frontend["filterbank"]
    assert training.param_labels({"weights": jnp.zeros((33, 6)), "w": 1.0}, bank) == {
        "weights": "coefficients", "w": "network",
    }  # fmt: skip
    with pytest.raises(ValueError, match="params must hold parameters of the stage"):
        training.param_labels({"dense": jnp.zeros(3)}, frontend)
    with pytest.raises(ValueError, match="params must hold parameters of the stage"):
        training.param_labels({"weights": jnp.zeros((3, 6))}, bank)  # of another shape
    other = {"filterbank": {"weights": jnp.zeros((3, 6))}}
    with pytest.raises(ValueError, match=r"must hold filterbank/weights with shape \(33, 6\)"):
        training.param_labels(other, frontend)
    pcen = stages.PCEN(learn="all", n_bands=16)
    params = {"norm": {"bias": jnp.ones(16)}, "pcen": pcen.init(jax.random.key(0))}
    with pytest.raises(ValueError, match=r"at one place, found .* at norm, pcen"):
        training.param_labels(params, pcen)


def test_the_front_end_learns_at_its_own_rate():
    params = {"features": _random(_chain()), "dense": jnp.ones(3)}
    optimizer = optax.multi_transform(
        {label: optax.sgd(factor) for label, factor in training.RATE_FACTORS.items()},
        partial(training.param_labels, stage=_chain()),
    )
    ones = jax.tree.map(jnp.ones_like, params)
    updates, _ = jax.jit(optimizer.update)(ones, optimizer.init(params), params)
    assert all((leaf == -10).all() for leaf in jax.tree.leaves(updates["features"]))
    assert (updates["dense"] == -1).all()


# Projections.


def test_keep_within_in_a_training_step():
    optimizer = optax.chain(optax.adam(1.0), training.keep_within(2.0))
    params = {"a": jnp.zeros(3), "b": jnp.array(1.5)}
    state = optimizer.init(params)
    for _ in range(9):
        gradient = {"a": jnp.array([1.0, -1.0, 0.0]), "b": jnp.array(-1.0)}
        updates, state = jax.jit(optimizer.update)(gradient, state, params)
        params = optax.apply_updates(params, updates)
    np.testing.assert_allclose(params["a"], [-2, 2, 0], rtol=1e-6)
    np.testing.assert_allclose(params["b"], 2, rtol=1e-6)
    with pytest.raises(ValueError, match="params must be given"):
        optimizer.update(gradient, state)
    with pytest.raises(ValueError, match="limit must be > 0"):
        training.keep_within(0)


def test_projection_of_a_part():
    """Under labels, only the parameters of its own are seen."""
    optimizer = optax.multi_transform(
        {
            "frontend": optax.chain(optax.sgd(1.0), training.keep_within(0.5)),
            "coefficients": optax.sgd(1.0),
            "network": optax.sgd(1.0),
        },
        partial(training.param_labels, stage=_bank()[0]),
    )
    params = {**_bank()[1], "dense": jnp.zeros(2)}
    gradient = jax.tree.map(jnp.ones_like, params)
    updates, _ = optimizer.update(gradient, optimizer.init(params), params)
    assert (updates["gaps"] == -0.5).all()
    assert (updates["dense"] == -1).all()


# Penalties.

PENALTIES = {
    "coverage": training.coverage_penalty,
    "overlap": training.overlap_penalty,
    "spacing": training.spacing_penalty,
}


@pytest.mark.parametrize("layout", ["scale", "warp", "gaps"])
@pytest.mark.parametrize("name", PENALTIES)
def test_penalties(name, layout, x64):
    penalty = PENALTIES[name]
    bank = _bank(layout, **({} if layout == "gaps" else {"learn": (layout, "widths")}))[0]
    start = bank.init(jax.random.key(0), dtype=jnp.float64)
    assert penalty(bank, start) <= 1e-12
    loss = jax.jit(partial(penalty, bank))
    gradient = jax.jit(jax.grad(partial(penalty, bank)))
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradient(start)))
    rng = np.random.default_rng(0)
    size = 3.0 if name == "coverage" else 1.0
    params = jax.tree.map(lambda z: jnp.asarray(size * rng.standard_normal(z.shape)), start)
    assert loss(params) > 1e-4
    way = jax.tree.map(lambda z: jnp.asarray(rng.standard_normal(z.shape)), start)

    def along(step):
        return loss(jax.tree.map(lambda z, d: z + step * d, params, way))

    difference = (along(1e-6) - along(-1e-6)) / 2e-6
    slope = sum(jax.tree.leaves(jax.tree.map(jnp.vdot, gradient(params), way)))
    np.testing.assert_allclose(slope, difference, rtol=1e-5)


def test_penalties_see_what_they_are_for():
    bank, start = _bank()
    half = jnp.where(jnp.arange(21) < 10, 3.0, 0.0)  # the upper bands crowd at the top
    crowded = start | {"gaps": half}
    narrow = start | {"widths": jnp.full(20, -4.0)}
    wide = start | {"widths": jnp.full(20, 1.5)}
    for name, worst in (("coverage", narrow), ("overlap", wide), ("spacing", crowded)):
        values = {
            key: float(PENALTIES[name](bank, params))
            for key, params in (("narrow", narrow), ("wide", wide), ("crowded", crowded))
        }
        assert PENALTIES[name](bank, worst) == max(values.values()), (name, values)
    least = [float(training.coverage_penalty(bank, narrow, least=v)) for v in (0.1, 0.5, 1.0)]
    assert least == sorted(least)
    with pytest.raises(ValueError, match="least must be"):
        training.coverage_penalty(bank, start, least=2.0)
    assert training.distance_from_start(wide) == 20 * 1.5**2
    assert training.distance_from_start({}) == 0


# Numbers of a run.


def test_jitter():
    frontend = _chain()
    params = _random(frontend)
    moved = training.jitter(params, jax.random.key(1), std=0.3, names=("filterbank", "pcen/gain"))
    change = jax.tree.map(lambda a, b: np.asarray(a - b), moved, params)
    assert not np.any(change["adaptive_stft"]["win_length"])
    assert not np.any(change["pcen"]["bias"])
    values = np.concatenate([*change["filterbank"].values(), change["pcen"]["gain"]])
    assert 0.2 < values.std() < 0.4
    assert len(np.unique(values)) == len(values)
    again = training.jitter(params, jax.random.key(2), std=0.3)
    assert (again["pcen"]["gain"] != moved["pcen"]["gain"]).all()
    with pytest.raises(ValueError, match="std must be > 0"):
        training.jitter(params, jax.random.key(1), std=0)
    with pytest.raises(ValueError, match="names no parameter"):
        training.jitter(params, jax.random.key(1), std=1, names="gaps")


def test_metrics():
    frontend = _chain()
    params = _random(frontend, 1.0)
    found = jax.jit(partial(training.metrics, frontend))(params)
    bank, own = frontend["filterbank"], params["filterbank"]
    start = bank.init(jax.random.key(0))
    moved = np.abs(np.asarray(bank.centers(own)) - np.asarray(bank.centers(start)))
    np.testing.assert_allclose(found["filterbank/moved_hz"], moved.mean(), rtol=1e-4)
    np.testing.assert_allclose(found["filterbank/most_moved_hz"], moved.max(), rtol=1e-4)
    before, after = (np.asarray(bank.weights(p), np.float64) for p in (start, own))
    each = jensenshannon(before, after, base=2) ** 2
    np.testing.assert_allclose(found["filterbank/filter_divergence"], each.mean(), rtol=1e-4)
    total = [(w / w.sum(axis=0)).mean(axis=1) for w in (before, after)]
    np.testing.assert_allclose(
        found["filterbank/coverage_divergence"], jensenshannon(*total, base=2) ** 2, rtol=1e-3
    )
    assert found["filterbank/dead_bands"] == 0
    gain = frontend["pcen"].values(params["pcen"])["gain"]
    np.testing.assert_allclose(found["pcen/gain"], gain.mean(), rtol=1e-6)
    assert found["adaptive_stft/win_length"] != 400
    hop = stages.AdaptiveHopSTFT(n_fft=512, win_length=300, hop_length=160, min_hop=80)
    assert training.metrics(hop, hop.init(jax.random.key(0)))["hop_length"] == 160
    with pytest.raises(ValueError, match=r"params must be those of FrontEnd.init"):
        training.metrics(frontend, {"features": params})
    single = training.metrics(bank, own)
    np.testing.assert_allclose(single["moved_hz"], found["filterbank/moved_hz"], rtol=1e-6)
    assert training.metrics(jaxspec.presets.get("log_mel"), {}) == {}


def test_divergences_against_scipy():
    before, after = np.abs(energies(2 * 30, 12)).reshape(2, 30, 12)
    after[:10] = 0
    before[:, 3] = 0
    before[5, 3] = 1
    got = diagnostics.filter_divergence(before, after)
    np.testing.assert_allclose(got, jensenshannon(before, after, base=2) ** 2, rtol=1e-4)
    np.testing.assert_allclose(diagnostics.coverage(before).sum(), 1, rtol=1e-6)
    gradient = jax.grad(lambda w: diagnostics.coverage_divergence(w, after))(jnp.asarray(before))
    assert np.isfinite(gradient).all()
    assert diagnostics.coverage_divergence(before, before) == 0
    # Gaussians far from their centres, down to the smallest numbers of float32.
    bins = np.arange(200.0)
    one, other = (np.exp(-0.5 * (bins - c) ** 2 / 9)[:, None].astype(np.float32) for c in (60, 62))
    assert ((one > 0) & (one < 1e-38)).any()
    distance = jensenshannon(one[:, 0], other[:, 0], base=2) ** 2
    np.testing.assert_allclose(diagnostics.filter_divergence(one, other), distance, rtol=1e-4)
    dead = before * np.where(np.arange(12) == 7, 1e-9, 1)
    assert np.flatnonzero(diagnostics.dead_bands(dead)).tolist() == [7]


def test_everything_together():
    """Labels, clipping, a penalty and a projection in one compiled training step."""
    bank = dataclasses.replace(_bank()[0], norm=None)
    params = bank.init(jax.random.key(0))
    x = jnp.asarray(energies(64, 257), jnp.float32)
    teacher = stages.Filterbank(**BANK, shape="gaussian", norm=None, scale="htk", f_max=6000.0)
    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0), optax.adam(0.05), training.keep_within(5.0)
    )

    def loss(params):
        error = jnp.log(bank.apply(params, x) + 1e-3) - jnp.log(teacher(x) + 1e-3)
        return jnp.mean(error**2) + 1e-4 * training.coverage_penalty(bank, params)

    @jax.jit
    def train(params):
        def step(carry, _):
            params, state = carry
            value, gradient = jax.value_and_grad(loss)(params)
            updates, state = optimizer.update(gradient, state, params)
            return (optax.apply_updates(params, updates), state), value

        return jax.lax.scan(step, (params, optimizer.init(params)), length=100)

    (params, _), losses = train(params)
    assert losses[-1] < 0.1 * losses[0]
    assert bank.check(params) == []


def _branches():
    """Two Gabor banks side by side, and a compression that gives every band twice."""
    parts = stages.Gabor(sample_rate=16000, n_bands=6, layout="gaps", taps=201).split(2)
    branches = [
        FrontEnd(dataclasses.replace(part, hop_length=160), stages.Power()) for part in parts
    ]
    return FrontEnd(
        stages.Beside(branches=tuple(branches)),
        stages.LogTBN(over_time="append", learn="log10_scale", n_bands=6),
    )


def test_labels_and_numbers_of_branches():
    frontend = _branches()
    params = _random(frontend)
    labels = training.param_labels({"features": params, "dense": np.ones(3)}, frontend)
    assert labels["dense"] == "network"
    assert set(jax.tree.leaves(labels["features"])) == {"frontend"}
    numbers = training.metrics(frontend, params)
    gabor = frontend["beside"].branches[1]["gabor"]
    moved = gabor.centers(params["beside"]["1"]["gabor"]) - gabor.centers({})
    np.testing.assert_allclose(numbers["beside/1/gabor/moved_hz"], np.abs(moved).mean(), rtol=1e-5)
    assert numbers["beside/0/gabor/most_moved_hz"] > 0
    assert "log_tbn/log10_scale" in numbers


def test_frequencies_of_bands_that_are_there_twice():
    frequencies = _branches().frequencies()
    whole = stages.Gabor(sample_rate=16000, n_bands=6, layout="gaps", taps=201).centers({})
    np.testing.assert_allclose(frequencies, np.tile(whole, 2), rtol=1e-6)


def test_what_is_dead_altogether_is_named():
    """Free bands that all have become next to nothing; averages of negative weights."""
    bank = stages.Filterbank(**BANK, layout="free")
    assert len(bank.check({"weights": jnp.full((257, 20), -50.0)})) == 20
    assert bank.check(bank.init(jax.random.key(0))) == []
    pool = stages.FreePool(size=5, learn="all", n_bands=3)
    assert pool.check(pool.init(jax.random.key(0))) == []
    params = {"weights": jnp.zeros((5, 3)).at[:, :2].set(-50.0)}
    (text,) = pool.check(params)
    assert text.startswith("2 channels (0, 1) are averaged with weights that add up to -24")


def test_findings_are_listed_together():
    leaf = jaxspec.compat.leaf_audio.Leaf()
    (text,) = leaf.check(leaf.init(jax.random.key(0)))
    assert text.startswith("gabor: 7 bands (0, 1, 2, …) are cut off by 401 taps")


def test_what_is_no_array():
    frontend = _branches()
    with pytest.raises(TypeError, match=r"x must be an array, got a dict; parameters come first"):
        frontend.apply(jnp.zeros(16000), frontend.init(jax.random.key(0)))
    params = jax.tree.map(lambda z: z.astype(jnp.int32), frontend.init(jax.random.key(0)))
    with pytest.raises(TypeError, match="parameters must be floating point, got dtype int32"):
        frontend.apply(params, jnp.zeros(16000))
    with pytest.raises(TypeError, match="bank must be a stage with bands"):
        training.spacing_penalty(stages.FreeFilters(n_bands=2, taps=4), {})
