"""The Flax modules: thin, equal to `apply` bit for bit, and easy to save."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import linen as nn
from flax import nnx

import jaxspec
import jaxspec.linen
import jaxspec.nnx
from jaxspec import FrontEnd, stages


def _frontend(**changes):
    options = {"layout": "gaps"} | changes
    return FrontEnd(
        stages.STFT(n_fft=128, hop_length=40),
        stages.Power(),
        stages.Filterbank(sample_rate=16000, n_fft=128, n_bands=8, shape="gaussian", **options),
        stages.PCEN(learn=("gain", "power"), n_bands=8),
    )


FIXED = jaxspec.presets.get("log_mel", sample_rate=4000)
CASES = {
    "all": (_frontend(), "all"),
    "one stage": (_frontend(), ("filterbank",)),
    "two leaves": (_frontend(layout="free"), ("filterbank/weights", "pcen/gain")),
    "nothing": (_frontend(), ()),
    "fixed": (FIXED, "all"),
    "a single stage": (stages.PCEN(learn="all"), ("gain",)),
}


def _input(stage):
    x = np.random.default_rng(0).standard_normal((3, 900)).astype(np.float32)
    return jnp.asarray(x if stage.takes == "waveform" else np.abs(x.reshape(3, 100, 9)))


def _shift(tree):
    return jax.tree.map(lambda leaf: leaf + 0.1, tree)


@pytest.mark.parametrize("case", CASES)
def test_linen_and_nnx_equal_apply(case):
    stage, train = CASES[case]
    x = _input(stage)
    params = _shift(stage.init(jax.random.key(0)))
    trained, constant = jaxspec.split(params, train)
    expected = stage.apply(params, x)

    linen = jaxspec.linen.Features(stage, train=train)
    variables = linen.init(jax.random.key(0), x)
    assert jax.tree.map(jnp.shape, variables.get("params", {})) == jax.tree.map(jnp.shape, trained)
    assert jax.tree.map(jnp.shape, variables.get("constants", {})) == jax.tree.map(
        jnp.shape, constant
    )
    assert np.array_equal(linen.apply(_shift(variables), x), expected)

    module = jaxspec.nnx.Features(stage, train=train)
    nnx.update(module, _shift(nnx.state(module)))
    assert np.array_equal(module(x), expected)
    of_module = nnx.to_pure_dict(nnx.state(module, nnx.Param)).get("values", {})
    assert jax.tree.structure(of_module) == jax.tree.structure(trained)

    # Gradients too.
    weights = np.cos(np.arange(expected.size)).reshape(expected.shape)
    of_apply = jax.grad(lambda t: jnp.sum(weights * stage.apply(jaxspec.merge(t, constant), x)))(
        trained
    )
    shifted = _shift(variables)
    of_linen = jax.grad(lambda t: jnp.sum(weights * linen.apply(shifted | {"params": t}, x)))(
        shifted.get("params", {})
    )
    of_nnx = nnx.grad(lambda m: jnp.sum(weights * m(x)))(module)
    of_nnx = nnx.to_pure_dict(of_nnx).get("values", {})
    for other in (of_linen, of_nnx):
        for a, b in zip(jax.tree.leaves(of_apply), jax.tree.leaves(other), strict=True):
            assert np.allclose(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("case", CASES)
def test_a55_abstract_init_and_no_hidden_state(case):
    """Shapes are known from the description; nothing is made lazily; fixed means no leaves."""
    stage, train = CASES[case]
    x = _input(stage)
    linen = jaxspec.linen.Features(stage, train=train)
    abstract = jax.eval_shape(linen.init, jax.random.key(0), x)
    concrete = linen.init(jax.random.key(0), x)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), abstract) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), concrete
    )
    _, mutated = linen.apply(concrete, x, mutable=True)
    assert jax.tree.structure(mutated) == jax.tree.structure(concrete)

    shapes = nnx.state(nnx.eval_shape(lambda: jaxspec.nnx.Features(stage, train=train)))
    module = jaxspec.nnx.Features(stage, train=train, rngs=nnx.Rngs(0))
    before = nnx.state(module)
    module(x)
    assert jax.tree.structure(nnx.state(module)) == jax.tree.structure(before)
    assert jax.tree.map(jnp.shape, nnx.to_pure_dict(shapes)) == jax.tree.map(
        jnp.shape, nnx.to_pure_dict(before)
    )
    if case == "fixed":
        assert jax.tree.leaves((concrete, before)) == []
    if case in ("fixed", "nothing"):
        assert jax.tree.leaves((concrete.get("params", {}), nnx.state(module, nnx.Param))) == []


def test_a55_checkpoints_round_trip(tmp_path):
    """Saved before or after a call, trained or not: the same trees and the same output."""
    stage = _frontend()
    x = _input(stage)
    module = jaxspec.nnx.Features(stage, train=("pcen",))
    nnx.update(module, _shift(nnx.state(module)))
    expected = module(x)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "nnx", nnx.to_pure_dict(nnx.state(module)))
        checkpointer.wait_until_finished()
        fresh = jaxspec.nnx.Features(stage, train=("pcen",))
        assert not np.array_equal(fresh(x), expected)
        restored = checkpointer.restore(tmp_path / "nnx", nnx.to_pure_dict(nnx.state(fresh)))
        state = nnx.state(fresh)
        nnx.replace_by_pure_dict(state, restored)
        nnx.update(fresh, state)
        assert np.array_equal(fresh(x), expected)

        linen = jaxspec.linen.Features(stage, train=("pcen",))
        variables = _shift(linen.init(jax.random.key(0), x))
        checkpointer.save(tmp_path / "linen", variables)
        checkpointer.wait_until_finished()
        abstract = jax.eval_shape(linen.init, jax.random.key(1), x)
        again = checkpointer.restore(tmp_path / "linen", abstract)
        assert np.array_equal(linen.apply(again, x), linen.apply(variables, x))
        assert np.array_equal(linen.apply(again, x), expected)


class _Classifier(nn.Module):
    stage: jaxspec.Stage
    train: tuple = ("filterbank",)

    @nn.compact
    def __call__(self, x):
        features = jaxspec.linen.Features(self.stage, train=self.train, name="features")(x)
        return nn.Dense(2)(features.mean(axis=-2))


def test_training_moves_what_is_chosen_and_nothing_else():
    stage = _frontend()
    x = _input(stage)
    model = _Classifier(stage)
    variables = model.init(jax.random.key(0), x)
    constants = variables["constants"]
    optimiser = optax.adam(1e-2)
    params, state = variables["params"], optimiser.init(variables["params"])

    @jax.jit
    def step(params, state):
        gradient = jax.grad(
            lambda p: jnp.mean(model.apply({"params": p, "constants": constants}, x)[:, 0] ** 2)
        )(params)
        updates, state = optimiser.update(gradient, state)
        return optax.apply_updates(params, updates), state

    for _ in range(3):
        params, state = step(params, state)
    assert set(params["features"]) == {"filterbank"}
    assert all((np.abs(leaf) > 1e-3).all() for leaf in jax.tree.leaves(params["features"]))
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(constants))


def test_nnx_in_a_model_under_jit():
    class Model(nnx.Module):
        def __init__(self, rngs):
            self.features = jaxspec.nnx.Features(_frontend(), rngs=rngs)
            self.dense = nnx.Linear(8, 2, rngs=rngs)

        def __call__(self, x):
            return self.dense(self.features(x).mean(axis=-2))

    model = Model(nnx.Rngs(0))
    optimiser = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)
    x = _input(_frontend())

    @nnx.jit
    def step(model, optimiser):
        loss, gradient = nnx.value_and_grad(lambda m: jnp.mean(m(x) ** 2))(model)
        optimiser.update(model, gradient)
        return loss

    losses = [float(step(model, optimiser)) for _ in range(5)]
    assert losses[-1] < losses[0]
    assert np.abs(model.features.params()["filterbank"]["gaps"]).max() > 1e-3


def test_a_frozen_checkpoint_fits_a_trained_module():
    stage = _frontend()
    x = _input(stage)
    frozen = jaxspec.nnx.Features(stage, train=("pcen",))
    nnx.update(frozen, _shift(nnx.state(frozen)))
    thawed = jaxspec.nnx.Features(stage)
    assert not np.array_equal(thawed(x), frozen(x))
    thawed.set_params(frozen.params())
    assert np.array_equal(thawed(x), frozen(x))
    assert jax.tree.structure(nnx.to_pure_dict(nnx.state(thawed))) == jax.tree.structure(
        nnx.to_pure_dict(nnx.state(frozen))
    )
    with pytest.raises(ValueError, match="params must be those of"):
        thawed.set_params({"pcen": {}})


def test_half_precision_parameters():
    stage = _frontend()
    x = _input(stage)
    variables = jaxspec.linen.Features(stage, param_dtype=jnp.bfloat16).init(jax.random.key(0), x)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype(jnp.bfloat16)}
    module = jaxspec.nnx.Features(stage, param_dtype=jnp.bfloat16)
    assert module(x).dtype == jnp.float32
    assert np.allclose(module(x), stage.apply(stage.init(jax.random.key(0)), x), rtol=1e-4)


@pytest.mark.parametrize("wrapper", [jaxspec.linen.Features, jaxspec.nnx.Features])
def test_lengths(wrapper):
    frontend = _frontend()
    x, lengths = _input(frontend), np.array([900, 300, 0])
    wanted = jaxspec.apply_padded(
        frontend, frontend.init(jax.random.key(0)), x, lengths=lengths, fill=2.0, valid="center"
    )
    if wrapper is jaxspec.linen.Features:
        module = wrapper(frontend)
        call = functools.partial(module.apply, module.init(jax.random.key(0), x))
    else:
        call = wrapper(frontend)
    y = call(x, lengths=lengths, fill=2.0, valid="center")
    assert all((a == b).all() for a, b in zip(y, wanted, strict=True))
    with pytest.raises(ValueError, match="fill and valid have no effect without lengths"):
        call(x, fill=2.0)


@pytest.mark.parametrize("wrapper", [jaxspec.linen.Features, jaxspec.nnx.Features])
def test_unknown_names_are_refused(wrapper):
    stage = _frontend()
    with pytest.raises(ValueError, match=r"'mel' names no parameter; there are filterbank/gaps"):
        wrapper(stage, train=("mel",)).init(jax.random.key(0), _input(stage))
