"""Learned windows, hops and bases: against dstft and nnAudio, fixed forms and closed forms."""

import dataclasses
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import noise, relative_max_error

import jaxspec
from jaxspec import FrontEnd, stages
from jaxspec.adaptive_windows import adaptive_window

GOLDENS = np.load(pathlib.Path(__file__).parent / "goldens" / "adaptive.npz")
CASES = json.loads(str(GOLDENS["cases"]))
X = GOLDENS["x"]

FAMILIES = {
    "hann": {},
    "gaussian": {"family": "gaussian"},
    "kaiser": {"family": "kaiser", "beta": 9.0},
    "cosine": {"family": "cosine", "coefficients": (0.42, 0.5, 0.08)},
    "free": {"family": "free", "n_knots": 6},
}
GENERIC = [
    stages.AdaptiveSTFT(n_fft=64, win_length=43.3, hop_length=20, norm=norm, **options)
    for norm, options in zip(
        ("peak", "sum", "energy", "length", "energy"), FAMILIES.values(), strict=True
    )
]
GENERIC += [
    stages.AdaptiveSTFT(
        n_fft=64, win_length=np.linspace(50.3, 30.7, 33), hop_length=20, per_bin=True, norm="sum"
    ),
    stages.AdaptiveSTFT(
        n_fft=65, win_length=41.2, hop_length=20, per_bin=True, **FAMILIES["kaiser"]
    ),
    stages.AdaptiveHopSTFT(n_fft=64, win_length=43.3, hop_length=20.3, min_hop=9),
    stages.AdaptiveHopSTFT(
        n_fft=64, win_length=43.3, hop_length=20.3, min_hop=9, max_hop=50, center=False,
        phase="clip", norm="energy", **FAMILIES["cosine"],
    ),
    stages.AdaptiveHopSTFT(
        n_fft=64, win_length=43.3, hop_length=17.9, min_hop=9, norm="sum", **FAMILIES["gaussian"]
    ),
    stages.BasisSTFT(n_fft=32, hop_length=20),
]  # fmt: skip
NAMES = [f"{i}-{type(s).__name__}-{getattr(s, 'family', '')}" for i, s in enumerate(GENERIC)]


def _loss(spectrum):
    i = np.arange(spectrum.size).reshape(spectrum.shape)
    return jnp.sum(np.cos(i) * spectrum.real + np.sin(0.7 * i) * spectrum.imag)


def _zeros(stage, dtype=jnp.float64):
    return stage.init(jax.random.key(0), dtype=dtype)


def _logit(value, low, high):
    share = (value - low) / (high - low)
    return np.log(share) - np.log1p(-share)


# dstft and nnAudio.


def _dstft(name):
    """The stage of a case of dstft, its parameters and how they are named in the golden."""
    case = CASES["dstft"][name]
    low = case.get("win_length_min", case["hop_length"])
    norm = {None: "peak", "unit": "sum", "paper": "length"}[case.get("normalization")]
    options = {
        "n_fft": 128, "win_length": case["win_length"], "min_length": low, "norm": norm,
        "hop_length": case["hop_length"], "pad_mode": "constant",
    }  # fmt: skip
    golden = {k.split("/")[-1]: v for k, v in GOLDENS.items() if k.startswith(f"dstft/{name}/")}
    params = {"win_length": golden["raw_win"] - _logit(case["win_length"], low, 128)}
    if "hop_mode" not in case:
        stage = stages.AdaptiveSTFT(**options, per_bin="window_mode" in case)
    else:
        low, high = case["hop_length_min"], case.get("hop_length_max", 128)
        stage = stages.AdaptiveHopSTFT(**options, min_hop=low, max_hop=high, phase="clip")
        params["hop_length"] = golden["raw_hop"] - _logit(case["hop_length"], low, high)
    return stage, jax.tree.map(jnp.asarray, params), golden


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", CASES["dstft"])
def test_dstft(name):
    """Values and gradients of dstft 3.0.0, by the phases and the padding of its conventions."""
    stage, params, golden = _dstft(name)
    values = stage.values(params)
    assert np.allclose(values["win_length"], golden["win_length"], rtol=1e-12)
    frames = len(X) // stage.hop_length + 1
    if "hop_length" in params:
        assert np.isclose(stage.hop(params), golden["hop_length"], rtol=1e-12)
        frames = int(stage.frame_mask(params, len(X)).sum())
        assert frames == 1 + int(len(X) // golden["hop_length"])

    def spectrum(params, x):
        y = stage.apply(params, x)
        if isinstance(stage, stages.AdaptiveHopSTFT):
            assert (y[frames:] == 0).all()
            return y[:frames]
        # Of fixed hops, phases count from each frame.
        turns = np.arange(frames)[:, None] * stage.hop_length * np.arange(65) / 128
        return y * np.exp(-2j * np.pi * turns)

    y = spectrum(params, jnp.asarray(X))
    part = y[:, ::6] if "per bin" in name else y[::2, ::4]
    assert relative_max_error(part, golden["spectrum"]) <= 1e-12
    of_params, of_x = jax.grad(lambda p, x: _loss(spectrum(p, x)), argnums=(0, 1))(
        params, jnp.asarray(X)
    )
    assert relative_max_error(of_x, golden["grad_x"]) <= 1e-10
    assert relative_max_error(of_params["win_length"], golden["grad_win"]) <= 1e-9
    if "hop_length" in params:
        assert relative_max_error(of_params["hop_length"], golden["grad_hop"]) <= 1e-9


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", CASES["nnaudio"])
def test_nnaudio(name):
    """A trainable STFT of nnAudio 0.3.4: at its start and with changed kernels, with gradients."""
    case = CASES["nnaudio"][name]
    golden = {k.split("/")[-1]: v for k, v in GOLDENS.items() if k.startswith(f"nnaudio/{name}/")}
    stage = stages.BasisSTFT(**case)
    params, x = _zeros(stage), jnp.asarray(X)
    assert relative_max_error(stage.apply(params, x)[::3, ::5], golden["start"]) <= 1e-6
    magnitude = FrontEnd(stage, stages.Power(), stages.Sqrt(amin=1e-8, floor="add"))
    y = magnitude.apply({"basis_stft": params}, x)
    assert relative_max_error(y[::3, ::5], golden["magnitude"]) <= 1e-6

    shape = (case["n_fft"] // 2 + 1, case["n_fft"])
    n = np.arange(np.prod(shape)).reshape(shape)
    changed = {"real": 0.01 * np.cos(n).T, "imag": -0.01 * np.sin(0.3 * n).T}
    changed = jax.tree.map(jnp.asarray, changed)
    assert relative_max_error(stage.apply(changed, x)[::3, ::5], golden["changed"]) <= 1e-6
    of_params, of_x = jax.grad(lambda p, x: _loss(stage.apply(p, x)), argnums=(0, 1))(changed, x)
    assert relative_max_error(of_params["real"].T[::5, ::4], golden["grad_wcos"]) <= 1e-10
    assert relative_max_error(-of_params["imag"].T[::5, ::4], golden["grad_wsin"]) <= 1e-10
    assert relative_max_error(of_x, golden["grad_x"]) <= 1e-6


# Fixed forms.


@pytest.mark.exhaustive
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("n_fft", [64, 65])
@pytest.mark.parametrize(
    ("family", "fixed"),
    [
        ({}, "hann"),
        ({"family": "cosine"}, "hann"),
        ({"family": "cosine", "coefficients": (0.54, 0.46)}, "hamming"),
        ({"family": "cosine", "coefficients": (0.42, 0.5, 0.08)}, "blackman"),
        ({"family": "kaiser"}, ("kaiser", 8.0)),
        ({"family": "kaiser", "beta": 12.0}, ("kaiser", 12.0)),
        ({"family": "free"}, "hann"),
        ({"family": "free", "n_knots": 32}, "hann"),
    ],
)
def test_starts_as_the_fixed_window(n_fft, family, fixed):
    """At 0 the transform is that of stages.STFT, for windows as long as the frame and shorter."""
    x = jnp.asarray(noise(2, 500))
    options = {"n_fft": n_fft, "hop_length": 20, "max_length": 2 * n_fft, **family}
    for win_length in (n_fft, n_fft - 20):
        stft = stages.STFT(n_fft=n_fft, hop_length=20, win_length=win_length, window=fixed)
        mine = stages.AdaptiveSTFT(**options, win_length=win_length)
        table = mine.window_table(_zeros(mine)).values
        assert np.abs(table - stft.window_table()).max() <= 2e-15
        fixed_too = dataclasses.replace(mine, learn=(), max_length=None)
        assert relative_max_error(fixed_too(x), stft(x)) <= 1e-14
    assert relative_max_error(mine.apply(_zeros(mine), x), stft(x)) <= 1e-14
    per_bin = dataclasses.replace(mine, per_bin=True)
    assert relative_max_error(per_bin.apply(_zeros(per_bin), x), stft(x)) <= 1e-13
    hop = stages.AdaptiveHopSTFT(**options, win_length=n_fft - 20, min_hop=10)
    y = hop.apply(_zeros(hop), x)
    frames = stft.length(500)
    assert relative_max_error(y[:, :frames], stft(x)) <= 1e-14
    assert (y[:, frames + n_fft % 2 :] == 0).all()
    # In float32 the length is exact, so that no sample at an end is lost.
    narrow = mine.window_table(_zeros(mine, jnp.float32)).values
    assert np.abs(narrow - stft.window_table()).max() <= 1e-6


@pytest.mark.usefixtures("x64")
def test_gaussian_has_six_deviations():
    mine = stages.AdaptiveSTFT(n_fft=64, win_length=60, hop_length=9, family="gaussian")
    table = mine.window_table(_zeros(mine)).values
    assert np.abs(table - np.exp(-0.5 * ((np.arange(64) - 32) / 10) ** 2)).max() <= 1e-15


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("center", [True, False])
def test_basis_starts_as_the_fourier_transform(center):
    options = {"n_fft": 65, "hop_length": 20, "win_length": 41, "window": "hamming"}
    x = jnp.asarray(noise(2, 500))
    stft = stages.STFT(**options, center=center)
    mine = stages.BasisSTFT(**options, center=center)
    assert relative_max_error(mine.apply(_zeros(mine), x), stft(x)) <= 1e-13
    assert relative_max_error(dataclasses.replace(mine, learn=())(x), stft(x)) <= 1e-13


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("options", FAMILIES.values(), ids=FAMILIES)
def test_a_learned_window_can_be_frozen(options):
    mine = stages.AdaptiveSTFT(n_fft=64, win_length=40, hop_length=20, **options)
    params = {name: z + 0.3 for name, z in _zeros(mine).items()}
    frozen = stages.STFT(n_fft=64, hop_length=20, window=mine.window_table(params))
    x = jnp.asarray(noise(500))
    assert relative_max_error(mine.apply(params, x), frozen(x)) <= 1e-14


@pytest.mark.usefixtures("x64")
def test_norms():
    table = {
        norm: adaptive_window(np.array([20.5, 50.2]), n_fft=64, norm=norm)
        for norm in ("peak", "sum", "energy", "length")
    }
    assert np.allclose(table["peak"].max(axis=-1), 1)
    assert np.allclose(table["sum"].sum(axis=-1), 1)
    assert np.allclose((table["energy"] ** 2).sum(axis=-1), 1)
    assert np.allclose(table["length"].sum(axis=-1), 64 / 2, rtol=1e-3)
    # One length after the other is the same as both at once, and JAX the same as NumPy.
    assert np.array_equal(table["sum"][1], adaptive_window(50.2, n_fft=64, norm="sum"))
    for options in (
        {"family": "kaiser", "beta": 300.0},
        {"family": "kaiser", "beta": 1e-3},
        {"family": "gaussian"},
        {"family": "free", "profile": np.array([0.1, -0.2, 0.3])},
    ):
        own = adaptive_window(50.2, n_fft=64, **options)
        traced = jax.jit(lambda length, o=options: adaptive_window(length, n_fft=64, **o))(50.2)
        assert np.abs(own - traced).max() <= 1e-14


@pytest.mark.usefixtures("x64")
def test_parameters_serve_any_sample_rate():
    """With lengths scaled alike, a window is as long in seconds."""
    params = {"win_length": jnp.asarray(0.7)}
    seconds = []
    for rate in (8000, 16000, 44100):
        stage = stages.AdaptiveSTFT(
            n_fft=int(0.032 * rate) + 3, win_length=0.025 * rate, hop_length=rate // 100,
            min_length=0.002 * rate, max_length=0.032 * rate,
        )  # fmt: skip
        seconds.append(stage.values(params)["win_length"] / rate)
    assert np.ptp(seconds) <= 1e-15


# Derivatives.


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("stage", GENERIC, ids=NAMES)
def test_a58_every_parameter_has_the_gradient_of_differences(stage):
    """Case A58: none is 0, and each is that of float64 central differences."""
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda z: jnp.asarray(0.2 * rng.standard_normal(z.shape)), _zeros(stage))
    x = jnp.asarray(noise(250))

    @jax.jit
    def scalar(params, x):
        return _loss(stage.apply(params, x))

    of_params, of_x = jax.grad(scalar, argnums=(0, 1))(params, x)
    flat, tree = jax.flatten_util.ravel_pytree(params)
    got = jax.flatten_util.ravel_pytree(of_params)[0]
    assert (np.abs(got) > 0).all()
    step = 1e-6
    some = range(0, flat.size, max(flat.size // 60, 1))  # of a basis, one in many
    differences = [
        (scalar(tree(flat.at[i].add(step)), x) - scalar(tree(flat.at[i].add(-step)), x))
        / (2 * step)
        for i in some
    ]
    assert np.abs(got[np.array(some)] - np.array(differences)).max() <= 1e-5 * np.abs(got).max()
    along = jnp.asarray(noise(250, seed=3))
    expected = (scalar(params, x + step * along) - scalar(params, x - step * along)) / (2 * step)
    assert np.isclose(jnp.vdot(of_x, along), expected, rtol=1e-6)


@pytest.mark.exhaustive
@pytest.mark.parametrize("stage", GENERIC, ids=NAMES)
def test_no_signal_and_no_parameter_gives_nan(stage):
    """Silence, DC, loud and tiny signals, a sample alone, and parameters at their far ends."""
    n = np.arange(250)
    signals = {
        "silence": 0 * n, "DC": 1 + 0 * n, "loud": 1e15 * np.cos(n), "tiny": 1e-30 * np.cos(n),
        "impulse": n == 100, "noise": noise(250),
    }  # fmt: skip

    @jax.jit
    def gradients(params, x):
        def scalar(params, x):
            power = jaxspec.power(stage.apply(params, x), exponent=0.5)
            return jnp.sum(jnp.log(power + 1e-6))

        return jax.value_and_grad(scalar, argnums=(0, 1))(params, x)

    zeros = _zeros(stage, jnp.float32)
    for name, x in signals.items():
        for offset in (0, -3, 3, -30, 30, -1e6, 1e6):
            if offset and isinstance(stage, stages.BasisSTFT):
                continue  # its parameters are samples
            params = jax.tree.map(lambda z, o=offset: z + o, zeros)
            for leaf in jax.tree.leaves(gradients(params, jnp.asarray(x, jnp.float32))):
                assert np.isfinite(leaf).all(), (name, offset)


def test_ten_thousand_large_steps():
    """Parameters stay finite whatever the signal, at a rate far too large."""
    frontend = FrontEnd(
        stages.AdaptiveHopSTFT(
            n_fft=32, win_length=20, hop_length=10, min_hop=6, family="kaiser", norm="energy"
        ),
        stages.Power(),
        stages.Ln(amin=1e-6),
    )
    noisy = noise(120)
    x = jnp.asarray(np.stack([0 * noisy, noisy, np.clip(9 * noisy, -1, 1)]), jnp.float32)
    params = frontend.init(jax.random.key(0))
    optimiser = optax.adam(0.3)

    @jax.jit
    def train(params):
        def step(carry, i):
            params, state = carry

            def loss(params):
                return jnp.mean(jnp.sin(frontend.apply(params, x * (1 + i % 7)) - i % 5))

            gradient = jax.grad(loss)(params)
            updates, state = optimiser.update(gradient, state)
            finite = jnp.all(jnp.stack([jnp.isfinite(g) for g in jax.tree.leaves(gradient)]))
            return (optax.apply_updates(params, updates), state), finite

        return jax.lax.scan(step, (params, optimiser.init(params)), jnp.arange(10000.0))

    (params, _), finite = train(params)
    assert finite.all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))


# The hop.


@pytest.mark.usefixtures("x64")
def test_frames_lie_at_multiples_of_the_hop():
    """A frame at a fraction is that of the window there, as a sum over the samples says."""
    stage = stages.AdaptiveHopSTFT(
        n_fft=64, win_length=50, hop_length=20.3, min_hop=9, pad_mode="constant", phase="clip"
    )
    params = {"hop_length": jnp.asarray(0.4), "win_length": jnp.asarray(-0.3)}
    x = noise(300)
    y, mask = stage.apply(params, jnp.asarray(x)), stage.frame_mask(params, 300)
    places, hop = stage.frame_positions(params, 300), float(stage.hop(params))
    length = float(stage.values(params)["win_length"])
    assert np.allclose(places, hop * np.arange(34), rtol=1e-14)
    assert np.array_equal(mask, places <= 300)
    n, k = np.arange(300), np.arange(33)
    for t, frame, inside in zip(places, y, mask, strict=True):
        u = (n - t) / length
        weighted = x * np.where(np.abs(u) < 0.5, np.cos(np.pi * u) ** 2, 0)
        expected = weighted @ np.exp(-2j * np.pi * (n[:, None] + 32) * k / 64)
        assert np.allclose(frame, inside * expected, atol=1e-12)


@pytest.mark.usefixtures("x64")
def test_magnitudes_are_continuous_in_the_hop():
    """Across integers, where frames are cut at another sample; phases with phase="clip" too."""
    options = {"n_fft": 64, "win_length": 50, "hop_length": 20, "min_hop": 9}
    x = jnp.asarray(noise(290))  # no frame lies at its end
    for phase in ("frame", "clip"):
        stage = stages.AdaptiveHopSTFT(**options, phase=phase)
        below, above = (
            stage.apply({"hop_length": jnp.asarray(z), "win_length": jnp.asarray(0.0)}, x)
            for z in (-1e-7, 1e-7)
        )
        assert np.abs(np.abs(below) - np.abs(above)).max() <= 1e-3
        assert (np.abs(below - above).max() <= 1e-3) == (phase == "clip")


def test_places_are_exact_after_an_hour():
    stage = stages.AdaptiveHopSTFT(n_fft=512, win_length=400, hop_length=160, min_hop=80)
    n = 3600 * 16000
    places, _ = stage._places(_zeros(stage, jnp.float32), stage.length(n))
    assert np.array_equal(places, 160 * np.arange(n // 80 + 1))


def test_no_program_depends_on_a_parameter():
    """One compiled program serves every hop and length."""
    stage = stages.AdaptiveHopSTFT(n_fft=64, win_length=50, hop_length=20, min_hop=9)
    traces = []

    @jax.jit
    def apply(params, x):
        traces.append(1)
        return stage.apply(params, x)

    for z in (-3.0, 0.0, 2.0):
        params = {"hop_length": jnp.asarray(z), "win_length": jnp.asarray(z)}
        assert apply(params, jnp.ones(300)).shape == (34, 33)
        assert int(stage.frame_mask(params, 300).sum()) == 1 + int(300 // stage.hop(params))
    assert len(traces) == 1


# Experiment E2.


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("start", [60.0, 500.0])
@pytest.mark.parametrize("deviation", [71.4, 58.3])
def test_window_length_of_a_chirp(deviation, start):
    """The length of a Gaussian window with which the spectra of a chirp have the least entropy.

    Its closed form is a standard deviation of ``sample_rate / sqrt(2 pi slope)``, ``slope`` in
    Hz per second.
    """
    slope = 16000**2 / (2 * np.pi * deviation**2)
    time = np.arange(900) / 16000
    x = jnp.asarray(np.sin(2 * np.pi * (2500 * time + 0.5 * slope * time**2)))
    stft = stages.AdaptiveSTFT(
        n_fft=512, win_length=start, hop_length=97, family="gaussian", center=False
    )

    def entropy(params):
        power = jaxspec.power(stft.apply(params, x))
        share = power / jnp.sum(power, axis=-1, keepdims=True)
        return -jnp.mean(jnp.sum(share * jnp.log(share + 1e-12), axis=-1))

    optimiser = optax.adam(0.1)

    @jax.jit
    def train(params):
        def step(carry, _):
            params, state = carry
            updates, state = optimiser.update(jax.grad(entropy)(params), state)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (params, optimiser.init(params)), length=200)[0][0]

    learned = stft.values(train(_zeros(stft)))["win_length"] / 6
    assert abs(learned / deviation - 1) <= 0.01


# In a front-end.


@pytest.mark.usefixtures("few_tiles")
def test_in_a_front_end():
    """Tiles, frequencies and frame times; only a learned hop is computed at once."""
    bank = stages.Filterbank(sample_rate=16000, n_fft=512, n_bands=20)
    x = jnp.asarray(noise(20000), jnp.float32)
    for stft in (
        stages.AdaptiveSTFT(n_fft=512, win_length=400, hop_length=160),
        stages.AdaptiveSTFT(n_fft=512, win_length=400, hop_length=160, per_bin=True),
        stages.BasisSTFT(n_fft=512, hop_length=160, win_length=400),
    ):
        frontend = FrontEnd(stft, stages.Power(), bank, stages.Ln(amin=1e-6), tile_frames=50)
        whole = dataclasses.replace(frontend, tile_frames=10**9)
        params = frontend.init(jax.random.key(0))
        assert frontend.frame_times(3).tolist() == [0, 0.01, 0.02]
        assert FrontEnd(stft).frequencies(sample_rate=16000)[-1] == 8000

        def loss(params, frontend):
            return jnp.mean(frontend.apply(params, x) ** 2)

        one, other = (jax.grad(loss)(params, f) for f in (frontend, whole))
        for mine, expected in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
            assert relative_max_error(mine, expected) <= 1e-4
    hop = stages.AdaptiveHopSTFT(n_fft=512, win_length=400, hop_length=160, min_hop=120)
    frontend = FrontEnd(hop, stages.Power(), bank, stages.Ln(amin=1e-6))
    assert frontend.reach.clip
    assert frontend.apply(frontend.init(jax.random.key(0)), x).shape == (167, 20)
    with pytest.raises(ValueError, match="frame times follow the learned hop"):
        frontend.frame_times(3)
