"""LEAF, EfficientLEAF and Perch's learned front-ends against their originals.

``goldens/make_leaf.py`` and ``goldens/make_wavelets.py`` made the values and gradients, in float64.
"""

import functools
import inspect
import json
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "goldens")]

from helpers import noise, relative_max_error  # noqa: E402
from voice import signals  # noqa: E402

from jaxspec import FrontEnd, stages  # noqa: E402
from jaxspec.compat import efficient_leaf, leaf_audio, perch, speechbrain  # noqa: E402

FILES = [np.load(HERE / "goldens" / f"{name}.npz") for name in ("leaf", "wavelets")]
GOLDENS = {key: file[key] for file in FILES for key in file.files}
META = functools.reduce(dict.__or__, (json.loads(file["meta"].item()) for file in FILES))
CASES = functools.reduce(dict.__or__, (json.loads(file["cases"].item()) for file in FILES))
VOICE = signals(16000)["odd"][3000:]
NAMES = ("mu", "sigma", "pool", "alpha", "delta", "root", "smooth")

EXHAUSTIVE = pytest.mark.exhaustive
pytestmark = pytest.mark.usefixtures("x64")


def clip(n=4800):
    return jnp.asarray(VOICE[:n])


def start(stage, dtype=jnp.float64):
    return stage.init(jax.random.key(0), dtype=dtype)


def kept(key, whole):
    """What a golden keeps of an array."""
    for axis, index in enumerate(META.get(key, {"index": []})["index"]):
        whole = whole if index is None else np.take(whole, index, axis=axis)
    return whole


def same(key, whole, most=1e-12):
    assert relative_max_error(kept(key, np.asarray(whole)), GOLDENS[key]) <= most, key


def loss(y, bands=slice(None), n=None):
    """That of the goldens, or the part of it that is of some of ``n`` bands."""
    weights = np.cos(np.arange(y.shape[0] * (n or y.shape[1]))).reshape(y.shape[0], -1)
    return jnp.sum(weights[:, bands] * y)


def evaluated(frontend, x, bands=slice(None), n=None):
    """Features, gradients by all parameters at the start, and by the signal."""

    def of(params, x):
        y = frontend.apply(params, x)
        return loss(y, bands, n), y

    slopes = jax.jit(jax.value_and_grad(of, argnums=(0, 1), has_aux=True))
    (_, y), (by_params, by_x) = slopes(start(frontend), x)
    return np.asarray(y), by_params, by_x


# The parameters of the originals as functions of ours: cotangents through the chain rule.


def of_filters(stage, mu, sigma):
    """Expected gradients by ``gaps`` and ``widths``, of those by ``mu`` and ``sigma``."""

    def theirs(params):
        return stage._radians(params, jnp.float64), stage.deviations(params, dtype=jnp.float64)

    params = start(stage)
    return jax.jit(lambda p: jax.vjp(theirs, p)[1]((jnp.asarray(mu), jnp.asarray(sigma))))(params)[
        0
    ]


def slopes_of_pcen(alpha, delta, root, smooth):
    """Derivatives of the originals' quantities by our parameters, at the start."""
    low, high = 1e-4, 0.9999
    share = (1 / root - 0.01) / 0.99
    return {
        "gain": alpha * (1 - alpha),
        "bias": delta,
        "power": -(root**2) * 0.99 * share * (1 - share),
        "smoothing": (smooth - low) * (high - smooth) / (high - low),
    }


def same_filters(stage, mine, mu, sigma, most=1e-9):
    expected = of_filters(stage, mu, sigma)
    for name in ("gaps", "widths"):
        assert relative_max_error(mine[name], expected[name]) <= most, name


# LEAF.


@pytest.mark.parametrize("n", [40, 80, 128])
def test_the_start_of_leaf(n):
    mu, sigma = leaf_audio.gabor_start(n)
    np.testing.assert_array_equal(mu, GOLDENS[f"leaf/init/{n}/mu"])
    np.testing.assert_array_equal(sigma, GOLDENS[f"leaf/init/{n}/sigma"])
    gabor = leaf_audio.Leaf(n_filters=n)["gabor"]
    centers = np.asarray(gabor._radians({}, jnp.float64))
    assert np.abs(centers - mu).max() <= 0.0101 * 2 * np.pi / 512
    if n == 40:  # no two are equal
        np.testing.assert_allclose(centers, mu, rtol=1e-14)
    assert (np.diff(centers) > 0).all()
    deviations = gabor.deviations({}, dtype=jnp.float64)
    z = np.sqrt(2 * np.log(2)) / np.pi
    np.testing.assert_allclose(deviations, np.clip(sigma, 4 * z, 401 * z), rtol=1e-14)


def leaf_of(case, n_samples, **options):
    own = {name: GOLDENS[f"leaf/{case}/{name}"] for name in NAMES}
    own["smooth_coef"] = own.pop("smooth")
    return leaf_audio.Leaf(n_filters=len(own["mu"]), **own, n_samples=n_samples, **options)


@pytest.mark.parametrize("case", ["start", "moved"])
def test_leaf(case):
    """Values, and gradients by all parameters and by the signal."""
    key = f"leaf/{case}"
    frontend = leaf_audio.Leaf() if case == "start" else leaf_of(case, 4800)
    y, mine, of_x = evaluated(frontend, clip())
    same(f"{key}/y", y)
    pooled = frontend.without("clip", "pcen")
    same(f"{key}/pooled", pooled.apply(start(pooled), clip()))
    assert frontend.middle == 80
    same(f"{key}/grad_x", of_x, 1e-9)
    truth = {name: GOLDENS[f"{key}/grad_{name}"] for name in NAMES}
    same_filters(frontend["gabor"], mine["gabor"], truth["mu"], truth["sigma"])
    values = {name: GOLDENS[f"{key}/{name}"] for name in NAMES}
    of_pool = mine["gaussian_pool"]["deviation"]
    assert relative_max_error(of_pool, values["pool"] * truth["pool"]) <= 1e-9
    theirs = ("alpha", "delta", "root", "smooth")
    slopes = slopes_of_pcen(*(values[name] for name in theirs))
    for (name, slope), original in zip(slopes.items(), theirs, strict=True):
        assert relative_max_error(mine["pcen"][name], slope * truth[original]) <= 1e-9, name


def test_leaf_beyond_its_limits():
    """Clipped as there, but for centres at the ends and a smoothing of 0, which ours have not.

    Clips of 4100 samples: frames have their middle 30 samples earlier.
    """
    bands = [1, 3, 4]
    own = {name: GOLDENS[f"leaf/outside/{name}"][bands] for name in NAMES}
    own["smooth_coef"] = own.pop("smooth")
    fixed = {"learn_filters": False, "learn_pooling": False, "learn_compression": False}
    frontend = leaf_audio.Leaf(n_filters=3, **own, **fixed, n_samples=4100)
    assert not start(frontend)
    assert frontend.middle == 50
    y = np.asarray(frontend(clip(4100)))
    assert len(y) == 26
    truth = GOLDENS["leaf/outside/y"][:, bands]
    assert relative_max_error(kept("leaf/outside/y", y), truth) <= 1e-12
    learned = leaf_audio.Leaf(n_filters=3, **own | {"alpha": 0.9, "root": 2.0, "smooth_coef": 0.1})
    assert sorted(start(learned)) == ["gabor", "gaussian_pool", "pcen"]
    for name in ("alpha", "root", "smooth_coef"):
        options = {"alpha": 0.9, "root": 2.0, "smooth_coef": 0.1} | {name: own[name]}
        with pytest.raises(ValueError, match=f"{name} must lie strictly .*learn_compression=False"):
            leaf_audio.Leaf(n_filters=3, **own | options)


def test_the_start_is_for_16_khz():
    """Whatever the rate, in the original."""
    own, there = (
        leaf_audio.Leaf(sample_rate=8000, max_freq=3900.0, init_sample_rate=rate)["gabor"]
        for rate in (None, 16000)
    )
    assert float(own.centers({})[-1]) > 3500
    np.testing.assert_allclose(
        there.centers({}), leaf_audio.Leaf(max_freq=3900.0)["gabor"].centers({}) / 2, rtol=1e-6
    )
    assert own.taps == there.taps == 201


def test_fast_leaf():
    """As far apart as the docstring says, before the compression."""
    slow, fast = (
        leaf_audio.Leaf(**options).without("clip", "pcen")
        for options in ({}, {"method": "fft", "hop_length": 8})
    )
    x = 0.1 * noise(16000)
    a, b = (np.log(np.asarray(f.apply(start(f), x)))[3:-3] for f in (slow, fast))
    assert np.sqrt(np.mean((a - b) ** 2)) <= 0.01
    assert np.sqrt(np.mean((a - b) ** 2, axis=0)).max() <= 0.06
    np.testing.assert_array_equal(slow.frame_times(5), fast.frame_times(5))


def test_what_leaf_may_have_besides():
    options = {"n_filters": 5, "method": "fft", "hop_length": 8}
    x = 0.1 * clip()
    plain = leaf_audio.Leaf(**options, compression_fn=None)
    y = np.asarray(plain.apply(start(plain), x))
    assert y.min() == 1e-5 < y.max()
    log = leaf_audio.Leaf(**options, compression_fn="log")
    np.testing.assert_allclose(log.apply(start(log), x), np.log(y + 1e-5), rtol=1e-12)
    own = leaf_audio.Leaf(**options, compression_fn=stages.Affine(scale=2.0))
    np.testing.assert_allclose(own.apply(start(own), x), 2 * y, rtol=1e-12)
    norm = leaf_audio.Leaf(**options, compression_fn=None, mean_var_norm=True)
    truth = (y - y.mean(axis=0)) / np.sqrt(y.var(axis=0) + 1e-6)
    np.testing.assert_allclose(norm.apply(start(norm), x), truth, rtol=1e-9)
    # TensorFlow's convolution with (-0.97, 1) begins at sample 1.
    first = leaf_audio.Leaf(**options, compression_fn=None, preemp=True)
    early = np.convolve(np.append(x, 0), [1, -0.97])[1:4801]
    np.testing.assert_allclose(
        first.apply(start(first), x), plain.apply(start(plain), early), rtol=1e-9
    )


# speechbrain's.


def test_leaf_of_speechbrain():
    kernel = GOLDENS["speechbrain/leaf/kernel"]
    own = speechbrain.Leaf(12)["gabor"]
    np.testing.assert_allclose(own._radians({}, jnp.float64), kernel[:, 0], rtol=1e-7)
    np.testing.assert_allclose(own.deviations({}, dtype=jnp.float64), kernel[:, 1], rtol=1e-7)
    frontend = speechbrain.Leaf(12, kernel=kernel)
    y, mine, of_x = evaluated(frontend, clip())
    same("speechbrain/leaf/y", y)
    assert frontend.middle == 0
    assert 0.23 < y.min() < y.max() < 0.421
    same("speechbrain/leaf/grad_x", of_x, 1e-9)
    same_filters(frontend["gabor"], mine["gabor"], *GOLDENS["speechbrain/leaf/grad_kernel"].T)
    clean = speechbrain.Leaf(12, bias=0)
    spread = clean.apply(start(clean), clip())
    assert np.ptp(spread) > 5 * np.ptp(y)


@pytest.mark.parametrize("n", [40, 80, 128])
def test_the_start_of_speechbrain(n):
    """Bins of triangles that are linear in Hz; equal centres are drawn apart."""
    gabor = speechbrain.Leaf(n, max_freq=7800.0)["gabor"]
    mu, sigma = GOLDENS[f"speechbrain/init/{n}"].T
    assert np.abs(gabor._radians({}, jnp.float64) - mu).max() <= 0.0101 * 2 * np.pi / 512
    z = np.sqrt(2 * np.log(2)) / np.pi
    truth = np.clip(sigma, 4 * z, 401 * z)
    np.testing.assert_allclose(gabor.deviations({}, dtype=jnp.float64), truth, rtol=1e-6)


# EfficientLEAF.


@pytest.mark.parametrize("n", [40, 128])
def test_the_start_of_efficient_leaf(n):
    mu, sigma = efficient_leaf.mel_filter_params(n, 60.0, 7800.0, 16000)
    np.testing.assert_allclose(mu, GOLDENS[f"eleaf/init/{n}/mu"], rtol=1e-12)
    np.testing.assert_allclose(sigma, GOLDENS[f"eleaf/init/{n}/sigma"], rtol=1e-12)


def moved(case):
    """Its parameters: those of the start, or the others."""
    names = NAMES[:3] if case not in ("eleaf/4G", "eleaf/8G-opt") else ()
    return {name: GOLDENS[f"eleaf/moved/{name}"] for name in names}


# The two that are farthest apart, and the others with the exhaustive tests.
GROUPED = [
    case if case in ("eleaf/8G-opt", "eleaf/3 groups") else pytest.param(case, marks=EXHAUSTIVE)
    for case in CASES
    if case.startswith("eleaf/")
]


@pytest.mark.parametrize("case", GROUPED)
def test_efficient_leaf(case):
    """Plan, values, and gradients by all parameters and by the signal."""
    about, own = CASES[case], moved(case)
    frontend = efficient_leaf.EfficientLeaf(
        num_groups=about["groups"],
        conv_win_factor=about["win_factor"],
        stride_factor=about["stride_factor"],
        compression=None,
        **own,
    )
    branches = frontend["beside"].branches
    found = [
        [b["gabor"].n_bands, b["gabor"].taps, b["gabor"].hop_length, b["gaussian_pool"].size]
        for b in branches
    ]
    assert found == [[stop - begin, *sizes] for begin, stop, *sizes in about["plan"]]
    x = clip(about["samples"])
    y, mine, of_x = evaluated(frontend, x)
    same(f"{case}/y", y)
    assert frontend.middle == 0
    same(f"{case}/grad_x", of_x, 1e-9)
    pool = own.get("pool", np.full(40, 0.4))
    for i, (begin, stop, *_) in enumerate(about["plan"]):
        truth = {name: GOLDENS[f"{case}/grad_{name}"][begin:stop] for name in NAMES[:3]}
        branch = mine["beside"][str(i)]
        same_filters(branches[i]["gabor"], branch["gabor"], truth["mu"], truth["sigma"])
        expected = pool[begin:stop] * truth["pool"]
        found = branch["gaussian_pool"]["deviation"]
        assert np.abs(found - expected).max() <= 1e-9 * np.abs(expected).max()


def test_groups_at_the_level_of_leaf():
    """Without the steps of gain, the energies are those of LEAF."""
    frontend = efficient_leaf.EfficientLeaf(gain_steps=False, compression=None)
    steps = efficient_leaf.EfficientLeaf(compression=None)
    leaf = efficient_leaf.Leaf(compression=None)
    x = 0.1 * noise(16000)
    a, b, c = (np.asarray(f.apply(start(f), x))[3:-3] for f in (frontend, leaf, steps))
    assert np.abs(np.log(a / b)).mean() <= 0.03
    ratio = np.exp(np.log(c / b).mean(axis=0)).reshape(4, 10).mean(axis=1)
    np.testing.assert_allclose(ratio, [0.1, 0.25, 0.5, 1.0], rtol=0.03)


def test_groups_keep_their_order():
    """Whatever is learned, no centre passes one of another group."""
    frontend = efficient_leaf.EfficientLeaf(n_filters=12, num_groups=3, compression=None)
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda z: 5 * rng.standard_normal(z.shape), start(frontend))
    centers = np.concatenate(
        [
            b["gabor"].centers(params["beside"][str(i)]["gabor"])
            for i, b in enumerate(frontend["beside"].branches)
        ]
    )
    assert (np.diff(centers) > 0).all()
    assert np.isfinite(frontend.apply(params, clip())).all()


def test_the_leaf_of_efficient_leaf():
    frontend = efficient_leaf.Leaf(**moved(""))
    same("eleaf/leaf/y", frontend.apply(start(frontend), clip(4100)))
    pooled = efficient_leaf.Leaf(**moved(""), compression=None)
    y, mine, of_x = evaluated(pooled, clip(4100))
    same("eleaf/leaf/pooled", y)
    same("eleaf/leaf/pooled/grad_x", of_x, 1e-9)
    truth = {name: GOLDENS[f"eleaf/leaf/pooled/grad_{name}"] for name in NAMES[:3]}
    same_filters(pooled["gabor"], mine["gabor"], truth["mu"], truth["sigma"])
    expected = GOLDENS["eleaf/moved/pool"] * truth["pool"]
    assert relative_max_error(mine["gaussian_pool"]["deviation"], expected) <= 1e-9


def test_efficient_leaf_compressed():
    """The logarithm, and the same less its median; a batch normalisation is the network's."""
    energies = efficient_leaf.EfficientLeaf(compression=None)
    frontend = efficient_leaf.EfficientLeaf()
    y = np.asarray(energies.apply(start(energies), clip()))
    log = np.log1p(1e5 * y)
    truth = np.concatenate([log, log - np.sort(log, axis=0)[(len(log) - 1) // 2]], axis=1)
    params = start(frontend)
    np.testing.assert_allclose(frontend.apply(params, clip()), truth, rtol=1e-9, atol=1e-12)
    assert params["log_tbn"]["log10_scale"].shape == (40,)


# Perch.


@pytest.mark.parametrize("n", [40, 160])
def test_the_start_of_perch(n):
    mean, std = perch.melspec_params(n, 16000, 60.0, 7800.0)
    np.testing.assert_allclose(mean, GOLDENS[f"perch/init/{n}/mean"], rtol=1e-12)
    np.testing.assert_allclose(std, GOLDENS[f"perch/init/{n}/std"], rtol=1e-12)


def morlet(case, bands=slice(None), **options):
    """Its transform at the parameters of a case, and the length of the clip."""
    sizes = {"sample_rate": 16000, "features": 12} | CASES[f"perch/{case}"]
    n = sizes.pop("samples")
    if case == "start":
        return perch.MorletWaveletTransform(**sizes, freq_range=(60.0, 7800.0), **options), n
    mean, std = (GOLDENS[f"perch/{case}/{name}"][bands] for name in ("mean", "std"))
    sizes |= {"features": len(mean), "gabor_mean": mean, "gabor_std": std, "n_samples": n}
    return perch.MorletWaveletTransform(**sizes, **options), n


@pytest.mark.parametrize("case", ["start", "moved"])
def test_morlet_transform(case):
    key = f"perch/{case}"
    frontend, n = morlet(case)
    y, mine, of_x = evaluated(frontend, clip(n))
    same(f"{key}/y", y)
    log, _ = morlet(case, scaling_config=perch.LogScalingConfig())
    same(f"{key}/log", log.apply(start(log), clip(n)))
    same(f"{key}/grad_x", of_x, 1e-9)
    truth = (GOLDENS[f"{key}/grad_{name}"] for name in ("mean", "std"))
    same_filters(frontend["gabor"], mine["gabor"], *truth)


@pytest.mark.parametrize("case", ["start", "moved"])
def test_pcen_of_perch(case):
    """The first band of the moved case has its smoothing clipped to 0, which ours has not."""
    key, bands = f"perch/{case}/pcen", slice(int(case == "moved"), None)
    smooth = GOLDENS[f"perch/{case}/smooth"][bands]
    config = perch.PCENScalingConfig(smoothing_coef=smooth, spcen=True)
    frontend, n = morlet(case, bands, scaling_config=config)
    y, mine, of_x = evaluated(frontend, clip(n), bands, 12)
    assert relative_max_error(kept(key, y), GOLDENS[key][:, bands]) <= 1e-12
    if case == "start":
        same(f"{key}/grad_x", of_x, 1e-9)
        truth = (GOLDENS[f"{key}/grad_{name}"] for name in ("mean", "std"))
        same_filters(frontend["gabor"], mine["gabor"], *truth)
    slope = slopes_of_pcen(0.5, 2.0, 2.0, smooth)["smoothing"]
    truth = slope * GOLDENS[f"{key}/grad_smooth"][bands]
    assert relative_max_error(mine["pcen"]["smoothing"], truth) <= 1e-9


def test_scalings_of_perch():
    x = jnp.array([[0.0, 1e-3, 0.5]])
    y = perch.LogScalingConfig(floor=1e-2, offset=0.1, scalar=2.0)(x)
    np.testing.assert_allclose(y, 2 * np.log(np.maximum(x, 1e-2) + 0.1), rtol=1e-12)


@pytest.mark.parametrize(("n", "bias"), [(800, None), (811, np.arange(3.0))])
def test_learned_frontend_of_perch(n, bias):
    """Flax's convolution."""
    kernel = noise(25, 1, 3)
    frontend = perch.LearnedFrontend(3, 10, 25, kernel=kernel, bias=bias, n_samples=n)
    x = clip(n)
    truth = jax.lax.conv_general_dilated(
        x[None, :, None],
        jnp.asarray(kernel),
        (10,),
        "SAME",
        dimension_numbers=("NWC", "WIO", "NWC"),
    )[0]
    found = frontend.apply(start(frontend), x)
    assert found.shape == (-(-n // 10), 3)
    np.testing.assert_allclose(found, truth + (0 if bias is None else bias), atol=1e-12)
    drawn = perch.LearnedFrontend(3, 10, 25)
    params = drawn.init(jax.random.key(1))
    assert params["free_filters"]["real"].shape == (25, 3)


# All of them.

SHORT = {"n_filters": 6, "method": "fft", "hop_length": 8}
MORLET = {"features": 6, "stride": 160, "kernel_size": 401, "sample_rate": 16000}
MAKERS = {
    "leaf_audio.Leaf": (leaf_audio.Leaf, SHORT),
    "speechbrain.Leaf": (
        speechbrain.Leaf, {"out_channels": 6, "method": "fft", "hop_length": 8},
    ),
    "efficient_leaf.EfficientLeaf": (
        efficient_leaf.EfficientLeaf, {"n_filters": 6, "num_groups": 2},
    ),
    "efficient_leaf.Leaf": (efficient_leaf.Leaf, SHORT),
    "perch.MorletWaveletTransform": (
        perch.MorletWaveletTransform,
        MORLET | {"freq_range": (60, 7800), "scaling_config": perch.PCENScalingConfig(spcen=True)},
    ),
    "perch.LearnedFrontend": (
        perch.LearnedFrontend, {"features": 6, "stride": 160, "kernel_size": 401},
    ),
}  # fmt: skip
CHANGED = {
    "alpha": 0.5, "bias": 0.5, "compression": "pcen", "compression_fn": "log",
    "conv_win_factor": 3.0, "delta": 1.0, "features": 5, "freq_range": (100, 7800),
    "gabor_mean": np.arange(1, 7) / 3, "gabor_std": np.full(6, 20.0), "gain_steps": False,
    "hop_length": 4, "in_channels": 2, "init_sample_rate": 20000, "input_shape": (2, 800),
    "kernel": np.stack([np.arange(1, 7) / 3, np.full(6, 20.0)], axis=1), "kernel_size": 301,
    "learn_compression": False, "learn_filters": False, "learn_pooling": False,
    "learnable_pcen": False, "max_freq": 7000.0, "mean_var_norm": True, "method": "direct",
    "min_freq": 100.0, "mu": np.arange(1, 7) / 3, "n_fft": 1024, "n_filters": 5,
    "n_samples": 4100, "num_groups": 3, "out_channels": 5, "pool": 0.3, "power": 1.0,
    "preemp": True, "root": 3.0, "sample_rate": 8000, "scaling_config": perch.LogScalingConfig(),
    "sigma": np.full(6, 20.0), "skip_transpose": True, "smooth_coef": 0.1, "spec_augment": True,
    "stride": 80, "stride_factor": 0.5, "use_legacy_complex": True, "use_pcen": False,
    "window_len": 20.0, "window_stride": 5.0,
}  # fmt: skip
ELSEWHERE = {"efficient_leaf.Leaf": {"compression": "logtbn"}, "perch.LearnedFrontend": {
    "kernel": noise(401, 6), "bias": np.ones(6)}}  # fmt: skip


@pytest.mark.parametrize("system", MAKERS)
def test_every_argument_counts(system):
    """Changed, it is refused or makes another front-end."""
    make, base = MAKERS[system]
    frontend = make(**base)
    assert make(**base) == frontend
    for name in inspect.signature(make).parameters:
        value = ELSEWHERE.get(system, {}).get(name, CHANGED[name])
        try:
            changed = make(**base | {name: value})
        except ValueError as error:
            changed, message = None, str(error)
        assert changed != frontend, name
        assert changed or name in message, name


@pytest.mark.parametrize("system", MAKERS)
def test_any_front_end(system):
    """Described and made again; batches; finite gradients on silence, in float32."""
    make, base = MAKERS[system]
    frontend = make(**base)
    again = FrontEnd.from_dict(json.loads(json.dumps(frontend.to_dict())))
    assert again == frontend
    params = jax.tree.map(lambda z: z + 0.1, start(frontend, jnp.float32))
    x = jnp.asarray(VOICE[:3200], jnp.float32)
    batch = jnp.stack([x, 1e-3 * x])
    y = frontend.apply(params, batch)
    assert np.array_equal(again.apply(params, batch), y)
    one = frontend.apply(params, batch[1])
    assert np.allclose(y[1], one, rtol=1e-4, atol=1e-5 * float(np.abs(one).max()))

    @jax.jit
    def slopes(params, x):
        return jax.grad(lambda p, x: jnp.sum(frontend.apply(p, x)), argnums=(0, 1))(params, x)

    for signal in (jnp.zeros_like(x), 1e-20 * x, 1e4 * x):
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes(params, signal)))


L, E, S, P = leaf_audio, efficient_leaf, speechbrain, perch
TWO = {"n_filters": 2, "sigma": 20.0}
REFUSED = {
    "order": ("mu must increase and lie strictly between 0 and pi.*got mu=",
              lambda: L.Leaf(mu=[1.0, 0.5], **TWO)),
    "ends": ("mu must increase and lie strictly between 0 and pi",
             lambda: L.Leaf(mu=[0.0, 0.5], **TWO)),
    "one of two": ("mu and sigma must be given together", lambda: L.Leaf(sigma=20.0)),
    "counts": ("mu must be a number or hold 40 finite numbers.*shape \\(2,\\)",
               lambda: L.Leaf(mu=[0.1, 0.2], sigma=20.0)),
    "not a width": ("sigma must be > 0, got a minimum of 0",
                    lambda: L.Leaf(n_filters=2, mu=[0.1, 0.2], sigma=0.0)),
    "even window": ("window_len must make an odd number.*got 552 samples",
                    lambda: L.Leaf(sample_rate=22050)),
    "hop": ("hop_length must divide the stride of 160.*got hop_length=7",
            lambda: L.Leaf(hop_length=7)),
    "hop and middle": ("first frame's middle, 50, got hop_length=4",
                       lambda: L.Leaf(hop_length=4, n_samples=4100)),
    "augment": ("spec_augment must be False here", lambda: L.Leaf(spec_augment=True)),
    "words": ("compression_fn must be one of", lambda: L.Leaf(compression_fn="root")),
    "no PCEN": ('alpha must be 0.96 here, got alpha=0.5: it is of compression_fn="pcen"',
                lambda: L.Leaf(compression_fn="log", alpha=0.5)),
    "given filters": ("min_freq must be 60.0 here.*no effect on given filters",
                      lambda: L.Leaf(mu=[0.1, 0.2], min_freq=50.0, **TWO)),
    "empty filters": ("every filter holds a bin, got n_fft=64",
                      lambda: L.gabor_start(40, n_fft=64)),
    "beyond half the rate": ("max_freq must be <= 4000.*got max_freq=7800",
                             lambda: L.Leaf(sample_rate=8000, init_sample_rate=None)),
    "no band": ("min_freq must be < max_freq, got 9 and 8",
                lambda: E.Leaf(min_freq=9, max_freq=8)),
    "odd fft": ("n_fft must be even", lambda: L.gabor_start(40, n_fft=513)),
    "channels": ("in_channels must be None or 1, got in_channels=2",
                 lambda: S.Leaf(6, in_channels=2)),
    "kernel": (r"kernel must have shape \(6, 2\), got \(2, 6\)",
               lambda: S.Leaf(6, kernel=np.ones((2, 6)))),
    "kernel and range": ("max_freq must be None here.*no effect with a kernel",
                         lambda: S.Leaf(1, kernel=[[1.0, 9.0]], max_freq=7000.0)),
    "odd rate": ("sample_rate must be even.*got 11025", lambda: S.Leaf(6, sample_rate=11025)),
    "unused PCEN": ("root must be 2.0 here.*no effect with use_pcen=False",
                    lambda: S.Leaf(6, use_pcen=False, root=3.0)),
    "groups": ("num_groups must be at most 3, got num_groups=4", lambda: E.EfficientLeaf(3)),
    "compression": ("compression must be one of", lambda: E.EfficientLeaf(compression="tbn")),
    "wrong weights": ("conv_width must be 0 here.*wrong order",
                      lambda: P.PCENScalingConfig(conv_width=256)),
    "no range": ("freq_range must be .*got freq_range=None",
                 lambda: P.MorletWaveletTransform(**MORLET)),
    "range and filters": ("freq_range must be None here", lambda: P.MorletWaveletTransform(
        **MORLET | {"features": 1}, freq_range=(60, 7800), gabor_mean=[1.0], gabor_std=[9.0])),
    "kernel of perch": (r"kernel must have shape \(25, 3\), got \(3, 25\)",
                        lambda: P.LearnedFrontend(3, 10, 25, kernel=np.ones((3, 25)))),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    message, call = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        call()
    with pytest.raises(TypeError, match="scaling_config must be a stage or None"):
        P.LearnedFrontend(3, 10, 25, "log")
