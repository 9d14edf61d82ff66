"""Compression with quantities that are learned: goldens of others, start, bounds, gradients."""

import dataclasses
import json
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import noise, relative_max_error, tone

import jaxspec
from jaxspec import FrontEnd, stages

GOLDENS = dict(np.load(Path(__file__).parent / "goldens" / "compression.npz"))
CHOICES = json.loads(GOLDENS["options"].item())
PCEN_2017 = (0.015, 0.02, 0.04, 0.08)
SECONDS = {"time_constant": 0.4, "hop_length": 160, "sample_rate": 16000}
BANDS = 5

x64 = pytest.mark.usefixtures("x64")


# What others compute, and its gradients. The goldens are float64; see goldens/make_compression.py.


def _of_speechbrain(x, alpha, delta, root, smooth):
    return jaxspec.pcen(x, gain=alpha, bias=delta, power=1 / root, smoothing=smooth)


def _of_2017(x, logits, alpha, delta, root):
    return jaxspec.pcen(
        x, gain=alpha, bias=delta, power=1 / root, mix=PCEN_2017, mix_weights=jax.nn.softmax(logits)
    )


def _of_efficient_leaf(over_time):
    def features(x, a, gamma=1.0, beta=0.0):
        return jaxspec.log_tbn(x, log10_scale=a, scale=gamma, shift=beta, over_time=over_time)

    return features


PCEN_VALUES = {name: GOLDENS[f"pcen.{name}"] for name in ("alpha", "delta", "root", "smooth")}
THREE = {name: PCEN_VALUES[name] for name in ("alpha", "delta", "root")}
TBN = {name: GOLDENS[f"log_tbn.{name}"] for name in ("a", "gamma", "beta")}
OFFSET, POWER, EXPONENT = (GOLDENS[name] for name in ("offset", "power", "exponent"))
OTHERS = {
    "speechbrain": (_of_speechbrain, PCEN_VALUES),
    "asteroid": (_of_speechbrain, PCEN_VALUES),
    "mix": (_of_2017, {"logits": GOLDENS["mix.logits"], **THREE}),
    "log_offset": (lambda x, offset: jaxspec.log_offset(x, offset=offset), {"offset": OFFSET}),
    "dynamic_range": (
        lambda x, offset, power: jaxspec.dynamic_range(x, offset=offset, power=power),
        {"offset": OFFSET, "power": POWER},
    ),
    "blend": (
        lambda x, offset, exponent: jaxspec.log_power_blend(x, offset=offset, exponent=exponent),
        {"offset": OFFSET, "exponent": EXPONENT},
    ),
    "log_tbn.none": (_of_efficient_leaf("none"), {"a": TBN["a"]}),
    "log_tbn.median": (_of_efficient_leaf("median"), {"a": TBN["a"]}),
    "log_tbn.append": (_of_efficient_leaf("append"), {"a": TBN["a"]}),
    "log_tbn.normalize": (_of_efficient_leaf("normalize"), TBN),
}


@x64
@pytest.mark.parametrize("name", OTHERS)
def test_values_and_gradients_of_others(name):
    """Also with respect to energies of exactly 0, where the slope is the one from above."""
    function, quantities = OTHERS[name]
    variables = {"x": GOLDENS["x"], **quantities}
    variables = {key: jnp.asarray(value) for key, value in variables.items()}
    assert relative_max_error(function(**variables), GOLDENS[name]) <= 1e-12
    weights = np.tile(GOLDENS["weights"], GOLDENS[name].shape[-1] // BANDS)
    gradients = jax.grad(lambda v: jnp.sum(weights * function(**v)))(variables)
    for key, gradient in gradients.items():
        assert relative_max_error(gradient, GOLDENS[f"{name}.d_{key}"]) <= 1e-12


@x64
@pytest.mark.parametrize("name", CHOICES)
def test_pcen_of_librosa(name):
    options = dict(CHOICES[name])
    options["smoothing"] = options.pop("b")
    x = np.maximum(GOLDENS["x"], 1e-9) if name == "power law" else GOLDENS["x"]
    assert relative_max_error(jaxspec.pcen(x, **options), GOLDENS[f"librosa.{name}"]) <= 1e-12
    assert relative_max_error(stages.PCEN(**options)(x), GOLDENS[f"librosa.{name}"]) <= 1e-12


@x64
def test_time_constant_of_librosa():
    pcen = stages.PCEN(time_constant=0.2, hop_length=160, sample_rate=16000)
    assert relative_max_error(pcen(GOLDENS["x"]), GOLDENS["librosa.seconds"]) <= 1e-12


@x64
def test_blend_at_zero_is_the_logarithm():
    y = jaxspec.log_power_blend(GOLDENS["x"], exponent=0.0, offset=jnp.asarray(OFFSET))
    assert relative_max_error(y, GOLDENS["blend.log"]) <= 1e-12


@x64
def test_the_trainable_pcen_of_2017_is_a_stage():
    """Weights as the stage's start, then as parameters: z moves the logits."""
    weights = np.asarray(jax.nn.softmax(jnp.asarray(GOLDENS["mix.logits"])))
    fixed = {
        "mix": PCEN_2017,
        "gain": THREE["alpha"],
        "bias": THREE["delta"],
        "power": 1 / THREE["root"],
    }
    pcen = stages.PCEN(**fixed, mix_weights=weights)
    assert relative_max_error(pcen(GOLDENS["x"]), GOLDENS["mix"]) <= 1e-12
    pcen = stages.PCEN(**fixed, learn="mix", n_bands=BANDS)
    y = pcen.apply({"mix": jnp.asarray(GOLDENS["mix.logits"])}, GOLDENS["x"])
    assert relative_max_error(y, GOLDENS["mix"]) <= 1e-12


# The start, and what can be reached from there.

STAGES = {
    "pcen": stages.PCEN(),
    "pcen, other": stages.PCEN(gain=0.3, bias=0.1, power=0.9, smoothing=0.5),
    "pcen, mix": stages.PCEN(mix=PCEN_2017, mix_weights=(0.1, 0.2, 0.3, 0.4)),
    "pcen, mix, even": stages.PCEN(mix=PCEN_2017),
    "pcen, seconds": stages.PCEN(**SECONDS),
    "pcen, taps": stages.PCEN(mix=PCEN_2017, taps=5),
    "pcen, bands": stages.PCEN(gain=np.linspace(0.2, 0.9, BANDS), bias=np.linspace(1, 2, BANDS)),
    "log_offset": stages.LogOffset(),
    "log_offset, bands": stages.LogOffset(offset=np.linspace(1e-3, 1, BANDS)),
    "root": stages.Root(),
    "blend": stages.LogPowerBlend(),
    "blend, power": stages.LogPowerBlend(exponent=0.7, offset=0.1),
    "dynamic_range": stages.DynamicRange(),
    "log_tbn": stages.LogTBN(),
    "log_tbn, median": stages.LogTBN(over_time="median", log10_scale=2.0),
    "log_tbn, append": stages.LogTBN(over_time="append", log10_scale=2.0, scale=3.0, shift=-1.0),
    "log_tbn, none": stages.LogTBN(over_time="none", log10_scale=[1, 2, 3, 4, 5]),
}


def _learned(name, n_bands=BANDS):
    return dataclasses.replace(STAGES[name], learn="all", n_bands=n_bands)


def _moved(stage, size=0.5, dtype=None, seed=0):
    """Parameters away from their start."""
    rng = np.random.default_rng(seed)
    return {
        name: jnp.asarray(size * rng.standard_normal(z.shape), dtype or z.dtype)
        for name, z in stage.param_shapes().items()
    }


@pytest.mark.parametrize("n_bands", [None, BANDS])
@pytest.mark.parametrize("name", STAGES)
def test_starts_as_the_fixed_stage(name, n_bands):
    fixed, learned = STAGES[name], _learned(name, n_bands)
    for wide, tolerance in ((False, 3e-6), (True, 1e-13)):
        with jax.enable_x64(wide):
            params = learned.init(jax.random.key(0), dtype=jnp.result_type(float))
            assert all((z == 0).all() for z in params.values())
            x = jnp.asarray(GOLDENS["x"])
            assert relative_max_error(learned.apply(params, x), fixed(x)) <= tolerance
            for quantity, value in learned.values(params).items():
                start = fixed.values({})[quantity]
                np.testing.assert_allclose(value, np.broadcast_to(start, value.shape), atol=3e-7)


def test_parameters_of_pcen_stay_what_they_were():
    params = stages.PCEN(learn="all", n_bands=3).init(jax.random.key(0))
    assert {name: z.shape for name, z in params.items()} == dict.fromkeys(
        ("gain", "bias", "power", "smoothing"), (3,)
    )
    mixed = stages.PCEN(learn="all", n_bands=3, mix=PCEN_2017).param_shapes()
    assert mixed["mix"].shape == (3, 4)
    assert "smoothing" not in mixed
    assert stages.PCEN(learn="mix", mix=PCEN_2017).param_shapes()["mix"].shape == (4,)
    seconds = stages.PCEN(learn="all", n_bands=3, **SECONDS).param_shapes()
    assert set(seconds) == {"gain", "bias", "power", "time_constant"}


RANGES = {
    "gain": (0, 1), "bias": (0, math.inf), "power": (0.01, 1), "smoothing": (1e-4, 0.9999),
    "time_constant": (0, math.inf), "mix": (0, 1), "offset": (0, math.inf), "exponent": (-0.5, 1),
    "log10_scale": (-20, 20), "scale": (0, math.inf), "shift": (-11, 11),
}  # fmt: skip


@pytest.mark.parametrize("name", STAGES)
def test_no_parameter_leaves_the_range(name):
    """Values and gradients are finite wherever an optimiser may end."""
    stage = _learned(name)

    @jax.jit
    def everything(params, x):
        y = stage.apply(params, x)
        return y, jax.grad(lambda p, x: jnp.sum(jnp.sin(stage.apply(p, x))), (0, 1))(params, x)

    for z in (-1e30, -1e3, -30.0, 30.0, 1e3, 1e30):
        params = jax.tree.map(lambda s, z=z: jnp.full(s.shape, z, s.dtype), stage.param_shapes())
        for quantity, value in stage.values(params).items():
            low, high = RANGES[quantity]
            assert ((low <= value) & (value <= high * (1 + 1e-6))).all(), quantity  # rounding
            if math.isinf(high):
                assert (value > 0).all()
                assert np.isfinite(value).all()
        for scale in (1, 0, 1e30, 1e-30):
            x = jnp.asarray(scale * GOLDENS["x"], jnp.float32)
            assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(everything(params, x)))


@x64
@pytest.mark.parametrize("n_bands", [None, BANDS])
@pytest.mark.parametrize("name", STAGES)
def test_every_entry_learns(name, n_bands):
    """No entry has a gradient of 0, and each equals central differences."""
    stage = _learned(name, n_bands)
    params, x = _moved(stage, dtype=jnp.float64), jnp.asarray(GOLDENS["x"])
    weights = noise(*stage.apply(params, x).shape, seed=3)

    @jax.jit
    def loss(params):
        return jnp.sum(weights * stage.apply(params, x))

    gradients = jax.grad(loss)(params)
    step = 1e-5
    for quantity, gradient in gradients.items():
        scale = np.abs(gradient).max()
        for at in np.ndindex(gradient.shape):
            more, less = (
                loss(params | {quantity: params[quantity].at[at].add(h)}) for h in (step, -step)
            )
            assert abs(gradient[at]) > 1e-8 * scale
            assert abs(gradient[at] - (more - less) / (2 * step)) <= 1e-5 * scale


@pytest.mark.parametrize("name", STAGES)
def test_far_from_the_start_there_is_still_a_slope(name):
    """A clipped quantity would have none. At z = ±6 a share of 0.2 % is left of a sigmoid."""
    stage = _learned(name)
    x = jnp.asarray(GOLDENS["x"], jnp.float32)
    for z in (-6.0, 6.0):
        params = jax.tree.map(lambda s, z=z: jnp.full(s.shape, z, s.dtype), stage.param_shapes())
        shares = {q: z * (1 + 0.1 * noise(*v.shape)) for q, v in params.items() if q == "mix"}
        params |= {q: jnp.asarray(v, jnp.float32) for q, v in shares.items()}
        gradients = jax.grad(lambda p: jnp.sum(jnp.sin(stage.apply(p, x))))(params)
        for quantity, gradient in gradients.items():
            assert (gradient != 0).all(), quantity


@x64
@pytest.mark.parametrize("name", STAGES)
def test_learned_values_are_choices_of_a_fixed_stage(name):
    """A trained stage is frozen by its own values, band by band."""
    learned = _learned(name)
    params = _moved(learned, dtype=jnp.float64)
    values = {q: np.asarray(v) for q, v in learned.values(params).items()}
    if "mix" in values:
        values["mix_weights"] = values.pop("mix")
    fixed = dataclasses.replace(learned, learn=(), n_bands=None, **values)
    y = learned.apply(params, GOLDENS["x"])
    assert relative_max_error(fixed(GOLDENS["x"]), y) <= 1e-12
    assert hash(fixed) == hash(type(fixed).from_dict(fixed.to_dict()))


# Details.


def test_tiny_energies_stay_apart_in_float32():
    """The formula as it is written gives 19 values for these 4000, the stable form all of them."""
    x = jnp.asarray(np.linspace(1, 2, 4000) * 1e-7, jnp.float32)[:, None]
    options = {"gain": 0.98, "bias": 2.0, "power": 0.5, "eps": 1e-6}
    level = jnp.zeros(1)  # so that the level does not follow: gain eps ** -0.98
    written = (x / (1e-6 + 0 * x) ** 0.98 * 1e-5 + 2) ** 0.5 - 2**0.5
    assert len(np.unique(written)) < 40
    for y in (
        jaxspec.pcen(x * 1e-5, level=level, smoothing=1e-4, **options),
        jaxspec.dynamic_range(x),
    ):
        assert len(np.unique(y)) == 4000
        assert (np.diff(y[:, 0]) > 0).all()
    with jax.enable_x64(True):
        wide = jaxspec.dynamic_range(jnp.asarray(x, jnp.float64))
    assert np.allclose(jaxspec.dynamic_range(x), wide, rtol=1e-6, atol=0)


@x64
def test_blend_is_smooth_through_zero():
    """Value and derivatives in the exponent are L, L^2 / 2, L^3 / 3 with L = ln(x + offset)."""
    x = jnp.asarray([0.0, 1e-3, 0.5, 1.0, 30.0, 1e6])
    logarithm = np.log(np.asarray(x) + 1e-5)

    def blend(p):
        return jaxspec.log_power_blend(x, exponent=p, offset=1e-5)

    derivative = blend
    for order, expected in enumerate((logarithm, logarithm**2 / 2, logarithm**3 / 3)):
        for p in (0.0, 1e-12, -1e-12, 1e-300):
            np.testing.assert_allclose(
                derivative(jnp.asarray(p)), expected, rtol=1e-9, err_msg=str(order)
            )
        derivative = jax.jacfwd(derivative)
    # Across the switch from the series to the quotient, |exponent * L| = 1.
    for value in logarithm[np.abs(logarithm) > 1]:
        for p in (1 / value, -1 / value):
            if -0.5 < p < 1:
                near = [jax.jacfwd(blend)(jnp.asarray(p + h)) for h in (-1e-9, 1e-9)]
                np.testing.assert_allclose(near[0], near[1], rtol=1e-7)


def test_blend_derivatives_in_float32():
    x = jnp.asarray([0.0, 1e-4, 0.3, 0.9, 3.0, 1e4])
    for p in (-0.4, -1e-4, 0.0, 1e-6, 0.05, 0.3, 0.9):
        slopes = []
        for wide in (False, True):
            with jax.enable_x64(wide):
                at = jnp.asarray(np.asarray(x), jnp.result_type(float))
                exponent = jnp.asarray(p, at.dtype)
                slopes.append(jax.jacfwd(lambda p, at=at: jaxspec.log_power_blend(at, exponent=p))(
                    exponent
                ))  # fmt: skip
        np.testing.assert_allclose(slopes[0], slopes[1], rtol=1e-4, atol=1e-6)


@x64
def test_root_learns_through_silence():
    """The derivative of x ** p in p is 0 at 0, not NaN."""
    x = jnp.asarray([0.0, 1e-300, 1e-3, 2.0])
    slope = jax.jacfwd(lambda p: jaxspec.root(x, exponent=p))(jnp.asarray(0.4))
    expected = np.array([0, 0, 1e-3**0.4 * np.log(1e-3), 2**0.4 * np.log(2)])
    np.testing.assert_allclose(slope, expected, rtol=1e-12, atol=1e-50)


@x64
def test_mixtures_are_sums_of_what_each_smoother_gives():
    """Checked by an energy that is divided out fully and not compressed: x / (eps + M)."""
    x = jnp.asarray(GOLDENS["x"])
    weights = np.array([0.2, 0.5, 0.3])
    smoothers = (0.05, 0.2, 0.7)
    plain = {"gain": 1.0, "bias": 1.0, "power": 1.0, "eps": 1e-3}
    level = sum(
        w * jaxspec.exponential_smoothing(x, smoothing=s, level=x[0])[0]
        for w, s in zip(weights, smoothers, strict=True)
    )
    y = jaxspec.pcen(x, mix=smoothers, mix_weights=weights, **plain)
    np.testing.assert_allclose(y, x / (1e-3 + level), rtol=1e-12, atol=1e-14)
    # With all of the weight on one, it is that one; also with a bounded memory.
    for taps in (None, 6):
        one = jaxspec.pcen(x, mix=smoothers, mix_weights=np.array([0.0, 1.0, 0.0]), taps=taps)
        alone = jaxspec.pcen(x, smoothing=0.2, taps=taps)
        np.testing.assert_allclose(one, alone, rtol=1e-12)
    # The state of every smoother is handed on.
    first, state = jaxspec.pcen(x[:15], mix=smoothers, return_level=True)
    assert state.shape == (3, BANDS)
    second = jaxspec.pcen(x[15:], mix=smoothers, level=state)
    whole = jaxspec.pcen(x, mix=smoothers)
    np.testing.assert_allclose(jnp.concatenate([first, second]), whole, rtol=1e-12)


@x64
def test_seconds_do_not_depend_on_the_rate():
    """The same parameters at half the hop: the same seconds, and the same decay in time."""
    params = {"time_constant": jnp.asarray([-1.0, 0.5])}
    levels = {}
    for hop in (160, 40):
        rate = {"hop_length": hop, "sample_rate": 16000}
        pcen = stages.PCEN(time_constant=0.1, learn="time_constant", n_bands=2, **rate)
        seconds = pcen.values(params)["time_constant"]
        np.testing.assert_allclose(np.log(seconds / 0.1), [-0.984, 0.498], atol=2e-3)
        smoothing = jaxspec.smoothing_for_time_constant(seconds, **rate)
        expected = [jaxspec.smoothing_for_time_constant(float(t), **rate) for t in seconds]
        np.testing.assert_allclose(smoothing, expected, rtol=1e-14)
        step = jnp.zeros((16000 // hop + 1, 2))
        levels[hop], _ = jaxspec.exponential_smoothing(step, smoothing=smoothing, level=jnp.ones(2))
        with pytest.raises(ValueError, match="params must be those of"):
            pcen.apply({"smoothing": jnp.zeros(2)}, step)
    # After t seconds exp(-t / T) is left, but for the coarseness of the frames.
    times = np.arange(0, 31, 5) / 100
    for hop, level in levels.items():
        left = np.asarray(level)[np.round(times * 16000 / hop).astype(int)]
        np.testing.assert_allclose(left, np.exp(-times[:, None] / np.asarray(seconds)), atol=0.25)
        before = np.log(left[1:3] / left[:2])
        np.testing.assert_allclose(before, -0.05 / np.broadcast_to(seconds, (2, 2)), rtol=0.03)


def test_a_front_end_states_one_rate():
    """A sample rate that a stage leaves open is not one of 0 Hz, nor another one."""
    bank = stages.Filterbank(sample_rate=16000, n_fft=512, n_bands=8)
    stft = stages.STFT(n_fft=512, hop_length=160)
    assert FrontEnd(stft, stages.Power(), stages.PCEN()).sample_rate is None
    assert FrontEnd(stft, stages.Power(), bank, stages.PCEN()).sample_rate == 16000
    assert FrontEnd(stft, stages.Power(), bank, stages.PCEN(**SECONDS)).sample_rate == 16000
    with pytest.raises(ValueError, match="all stages must state the same sample_rate"):
        FrontEnd(stft, stages.Power(), bank, stages.PCEN(**SECONDS | {"sample_rate": 8000}))


# A08: PCEN under rough training.


def _half_silent(n_mels):
    """Mel energies of 4 clips, 2 of them silent."""
    x = np.zeros((4, 4000))
    x[2] = tone(440, 4000, amplitude=0.3) + 0.01 * noise(4000)
    x[3] = 0.5 * noise(4000, seed=1)
    options = {"sample_rate": 16000, "n_fft": 512, "hop_length": 160, "n_mels": n_mels}
    return jaxspec.mel_spectrogram(jnp.asarray(x, jnp.float32), **options)


def _any_loss(shape):
    """Weights of a sum over all features, how much of it is a mean square, and the names."""
    one, cosine = np.ones(shape), np.broadcast_to(np.cos(np.arange(shape[-1])), shape)
    silence = np.where(np.arange(shape[0]) < 2, 1, -1)[:, None, None] * one
    losses = {
        "mean": (one / one.size, 0), "minus mean": (-one / one.size, 0), "square": (0 * one, 1),
        "contrast of silence": (silence / one.size, 0), "weights": (cosine / one.size, 0),
        "sum": (one, 0), "minus sum": (-one, 0), "sum of weights": (cosine, 0),
    }  # fmt: skip
    weights, squares = (np.stack(part) for part in zip(*losses.values(), strict=True))
    return jnp.asarray(weights, jnp.float32), jnp.asarray(squares, jnp.float32), list(losses)


VARIANTS = {
    "bands": stages.PCEN(learn="all", n_bands=8),
    "shared": stages.PCEN(learn="all"),
    "mix": stages.PCEN(learn="all", n_bands=8, mix=PCEN_2017),
    "seconds": stages.PCEN(learn="all", n_bands=8, **SECONDS),
    "LEAF": stages.PCEN(learn="all", n_bands=8, gain=0.96, smoothing=0.04, eps=1e-12),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a08_trained_gain_control_stays_finite_and_in_range(variant):
    """Half the batch silent, 200 steps of gradient descent at rate 1, whatever the loss."""
    pcen, energies = VARIANTS[variant], _half_silent(8)
    weights, squares, names = _any_loss(energies.shape)

    def train(weights, square):
        def loss(params, energies):
            y = pcen.apply(params, energies)
            return jnp.sum(weights * y) + square * jnp.mean((y - 1) ** 2)

        def step(params, _):
            of_params, of_energies = jax.grad(loss, (0, 1))(params, energies)
            largest = jnp.stack([jnp.max(jnp.abs(leaf)) for leaf in jax.tree.leaves(of_params)])
            params = jax.tree.map(lambda p, g: p - g, params, of_params)
            return params, (jnp.max(largest), jnp.max(jnp.abs(of_energies)))

        return jax.lax.scan(step, pcen.init(jax.random.key(0)), None, length=200)

    params, (of_params, of_energies) = jax.jit(jax.vmap(train))(weights, squares)
    assert all(np.isfinite(z).all() for z in params.values())
    assert np.max(of_params) <= 1e6
    # The slope in an energy is up to eps ** -gain where there is silence: 1e6 with eps=1e-6, by
    # the formula, and of a sum of that the weights are no fraction.
    assert np.isfinite(of_energies).all()
    if pcen.eps >= 1e-6:
        means = ["sum" not in name for name in names]
        assert np.max(np.asarray(of_energies)[means]) <= 1e6
    values = pcen.values(params)
    assert ((values["gain"] >= 0) & (values["gain"] <= 1)).all()
    assert ((values["power"] > 0) & (values["power"] <= 1)).all()
    assert (values["bias"] > 0).all()
    if "smoothing" in values:
        assert ((values["smoothing"] > 0) & (values["smoothing"] < 1)).all()
    if "time_constant" in values:
        assert ((values["time_constant"] > 0.0039) & (values["time_constant"] < 41)).all()
    if "mix" in values:
        assert (values["mix"] >= 0).all()
        np.testing.assert_allclose(values["mix"].sum(-1), 1, rtol=1e-5)
    moved = jnp.stack([jnp.abs(z).reshape(len(names), -1).max(-1) for z in params.values()])
    assert (moved.max(axis=0) > 0.1).all()
