"""Trainable front-ends in the words of others against their originals, and the table of the docs.

``goldens/make_compat_learnable.py`` made the values and gradients. ``python
tests/test_compat_learnable.py`` measures again and writes the table of docs/migration.md.
"""

import functools
import inspect
import json
import math
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "goldens")]

from helpers import relative_max_error  # noqa: E402
from voice import signals  # noqa: E402

from jaxspec import FrontEnd, compat, stages  # noqa: E402
from jaxspec.layouts import band_widths  # noqa: E402

PAGE = HERE.parent / "docs" / "migration.md"
GOLDENS = np.load(HERE / "goldens" / "compat_learnable.npz")
CASES = json.loads(GOLDENS["cases"].item())
SIGNATURES = json.loads(GOLDENS["signatures"].item())
SR = 16000
VOICE = signals(SR)
# As in goldens/make_compat_learnable.py.
CLIPS = {"speech": VOICE["odd"][3000:7124], "gap": VOICE["gap"][5000:9124]}

N, B, D, P = compat.nnaudio, compat.speechbrain, compat.dstft, compat.papers
MAKERS = {
    "nnaudio.STFT": N.STFT,
    "nnaudio.MelSpectrogram": N.MelSpectrogram,
    "speechbrain.Filterbank": B.Filterbank,
    "speechbrain.Fbank": B.Fbank,
    "dstft.DSTFT": D.DSTFT,
    "papers.fastaudio": P.fastaudio,
    "papers.dmel": P.dmel,
    "papers.pcen_2017": P.pcen_2017,
}
# The defaults of some leave bands empty; their docstrings say so.
quiet = pytest.mark.filterwarnings("ignore:.*bands hold no FFT bin")


def spectrum():
    """As in goldens/make_compat_learnable.py."""
    rng = np.random.default_rng(3)
    return np.exp(2 * rng.standard_normal((2, 4, 201)) + np.array([[[0.0]], [[-9.0]]]))


def signal_of(key):
    name = key.split("/")[-1]
    return spectrum() if name == "spectrum" else CLIPS[name]


@functools.cache
def made(key):
    """Our front-end of a case."""
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in CASES[key]["options"].items()}
    return MAKERS[key.split("/")[0]](**options)


def start(frontend, dtype=jnp.float64):
    return frontend.init(jax.random.key(0), dtype=dtype)


def features(key, params, x):
    """What the original gives: without the empty frames of a learned hop."""
    y = made(key).apply(params, x)
    return y[: CASES[key]["shape"][0]] if "adaptive_hop_stft" in params else y


def values_error(key, dtype=np.float64):
    """The largest difference of what is kept and of the mean, relative to the largest value."""
    case, truth = CASES[key], GOLDENS[f"{key}/y"]
    x = jnp.asarray(signal_of(key), dtype)
    mine = np.asarray(features(key, start(made(key), dtype), x))
    assert list(mine.shape) == case["shape"]
    mean = abs(mine.mean(dtype=np.result_type(mine, np.float64)) - complex(*case["mean"]))
    error = relative_max_error(mine[np.ix_(*case["kept"])], truth)
    return max(error, float(mean / np.abs(truth).max()))


# Gradients: the parameters of the originals as functions of ours.


def loss(y):
    weights = np.cos(np.arange(y.size).reshape(y.shape))
    parts = (y.real, y.imag) if jnp.iscomplexobj(y) else (y,)
    return sum(jnp.sum(jnp.asarray(weights, part.dtype) * part) for part in parts)


def gradient(key):
    """By our parameters, at their start."""
    x = jnp.asarray(signal_of(key))
    return jax.jit(jax.grad(lambda params: loss(features(key, params, x))))(start(made(key)))


def of_kernels(key, mine):
    """Of nnAudio's kernels: (ours, theirs) of the samples that are kept."""
    for name, part, sign in (("wcos", "real", 1), ("wsin", "imag", -1)):
        yield sign * mine["basis_stft"][part].T[::9, ::7], GOLDENS[f"{key}/{name}"]


def of_nnaudio(key, mine):
    if "basis_stft" in mine:
        yield from of_kernels(key, mine)
    if "filterbank" in mine:
        peak = np.abs(made(key)["filterbank"].weights({}, dtype=jnp.float64)).max(axis=0)
        yield (mine["filterbank"]["weights"] / peak).T[::3, ::3], GOLDENS[f"{key}/mel_basis"]


def of_bands(key, mine):
    """Of speechbrain's centres and bands, through the chain rule."""
    bank = made(key)["filterbank"]
    points = np.asarray(bank.edges({}, dtype=jnp.float64))
    shape_width = dict(B.SHAPES.values())[bank.shape]

    def theirs(params):
        edges = bank.edges(params, dtype=jnp.float64)
        grown = (edges[2:] - edges[:-2]) / (points[2:] - points[:-2])
        bands = bank.bandwidths.values / shape_width * grown * band_widths(params["widths"])
        return edges[1:-1] / bank.sample_rate, bands / bank.sample_rate

    cotangents = tuple(jnp.asarray(GOLDENS[f"{key}/{name}"]) for name in ("f_central", "band"))
    (expected,) = jax.jit(lambda params: jax.vjp(theirs, params)[1](cotangents))(start(bank))
    if key.startswith("papers.fastaudio/clipped"):  # where the original has no gradient
        free = (points[1:-1] - points[:-2]) < 603.7
        assert 10 < free.sum() < 20
        assert np.all(mine["filterbank"]["widths"][~free])
        assert not GOLDENS[f"{key}/band"][~free].any()
        yield mine["filterbank"]["widths"][free], expected["widths"][free]
        return
    for name in ("gaps", "widths"):
        yield mine["filterbank"][name], expected[name]


def of_logits(key, mine):
    """dstft's parameters are ours but for their start."""
    for name, value in next(iter(mine.values())).items():
        truth = GOLDENS[f"{key}/{name}"]
        yield value.reshape(truth.shape), truth


def of_sigma(key, mine):
    stage = made(key)["adaptive_stft"]
    slope = jax.grad(lambda z: stage.values({"win_length": z})["win_length"] / 6)(jnp.array(0.0))
    yield mine["adaptive_stft"]["win_length"] / slope, GOLDENS[f"{key}/sigma"]


def of_pcen(key, mine):
    stage = made(key)["pcen"]
    share = (stage.power - 0.01) / 0.99
    slopes = {
        "gain": 1 - stage.gain,
        "bias": 1.0,
        "power": 0.99 * share * (1 - share) / stage.power,
        "mix": 1.0,
    }
    for name, slope in slopes.items():
        yield mine["pcen"][name], slope * GOLDENS[f"{key}/{name}"]


COMPARED = {
    "nnaudio": of_nnaudio,
    "speechbrain": of_bands,
    "dstft": of_logits,
    "papers.fastaudio": of_bands,
    "papers.dmel": of_sigma,
    "papers.pcen_2017": of_pcen,
}
# Their start has bins on the corners of triangles, where rounding decides which slope is taken;
# goldens/learnable_banks.npz has gradients of triangles away from that.
ON_CORNERS = ("papers.fastaudio/triangular/speech", "speechbrain.Filterbank/bands/spectrum")
LEARNED = [
    key
    for key in CASES
    if key not in ON_CORNERS
    and not key.endswith("gap")
    and any(name.startswith(f"{key}/") and name[-2:] != "/y" for name in GOLDENS.files)
]


def gradient_error(key):
    system = key.split("/")[0]
    compare = COMPARED.get(system) or COMPARED[system.split(".")[0]]
    mine = gradient(key)
    assert all(np.abs(leaf).any() for leaf in jax.tree.leaves(mine))
    return max(relative_max_error(ours, theirs) for ours, theirs in compare(key, mine))


# The table: original, what is learned, what differs.

RECIPE = "paper and its code (recipe)"
ROWS = {
    "nnaudio.STFT": (
        "nnAudio 0.3.4 `STFT`", "the kernels (`real`, `imag`)",
        "a fixed magnitude has a gradient on silence; no `freq_scale`",
    ),
    "nnaudio.MelSpectrogram": (
        "nnAudio 0.3.4 `MelSpectrogram`", "the mel matrix (`weights`), the kernels",
        "weights are counted in peaks of their band",
    ),
    "speechbrain.Filterbank": (
        "speechbrain 1.1 `Filterbank`", "`gaps`, `widths`",
        "centres in order, inside the range; no `param_change_factor`",
    ),
    "speechbrain.Fbank": (
        "speechbrain 1.1 `Fbank`", "`gaps`, `widths`", "as above; no `deltas`, no `context`",
    ),
    "dstft.DSTFT": (
        "dstft 3.0 `DSTFT`", "`win_length` (for each bin), `hop_length`",
        "frames of the smallest hop, zeros after the clip; no lengths per frame",
    ),
    "papers.fastaudio": (
        f"FastAudio, {RECIPE}", "`gaps`, `widths`",
        "no clipping; `top_db` per item, not per batch",
    ),
    "papers.dmel": (
        f"DMEL, {RECIPE}", "`win_length`, 6 `sigma`", "the frame keeps its length",
    ),
    "papers.pcen_2017": (
        "PCEN of 2017, paper (recipe)", "`gain`, `bias`, `power`, `mix`, by band",
        "`gain` and `power` below 1",
    ),
}  # fmt: skip
MARKS = ("<!-- learnable: begin -->", "<!-- learnable: end -->")
HEAD = "| original | front-end | what is learned | what differs | values | gradients |"


def table(bounds):
    lines = [HEAD, "|---|---|---|---|---|---|"]
    for system, (original, learned, differs) in ROWS.items():
        values, gradients = bounds[system]
        cells = (original, f"`compat.{system}`", learned, differs, values, gradients)
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def committed():
    """The lines of the table in the page, and the bounds in it by system."""
    page = PAGE.read_text()
    lines = page[page.index(MARKS[0]) + len(MARKS[0]) : page.index(MARKS[1])].strip().splitlines()
    cells = [line.strip("| ").split(" | ")[-2:] for line in lines[2:]]
    return lines, {system: tuple(pair) for system, pair in zip(ROWS, cells, strict=True)}


def bound(error):
    """A power of ten that another machine's rounding keeps to as well."""
    return f"1e{math.ceil(math.log10(4 * max(error, 1e-15)))}"


def write():
    """Measure, and write the table into the page."""
    with jax.enable_x64(True):
        bounds = {}
        for system in ROWS:
            values = [values_error(key) for key in CASES if key.startswith(f"{system}/")]
            slopes = [gradient_error(key) for key in LEARNED if key.startswith(f"{system}/")]
            bounds[system] = (bound(max(values)), bound(max(slopes)))
            print(system, max(values), max(slopes))
    before, rest = PAGE.read_text().split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    PAGE.write_text("\n".join([before + MARKS[0], *table(bounds), MARKS[1]]) + after)


# Values and gradients.


@quiet
@pytest.mark.usefixtures("x64", "strict")
@pytest.mark.parametrize("key", CASES)
def test_the_start_is_the_original(key):
    """The values of the original before training, as closely as the page says."""
    params = start(made(key))
    assert all(not leaf.any() for leaf in jax.tree.leaves(params))
    claimed = float(committed()[1][key.split("/")[0]][0])
    assert claimed <= 1e-9
    assert values_error(key) <= claimed


@pytest.mark.exhaustive
@quiet
@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("key", [key for key in CASES if key.endswith("speech")])
def test_the_start_in_float32(key):
    assert values_error(key, np.float32) <= 2e-4


@quiet
@pytest.mark.usefixtures("x64", "strict")
@pytest.mark.parametrize("key", LEARNED)
def test_gradients_are_those_of_the_original(key):
    """By its parameters, which are functions of ours, and none is 0."""
    claimed = float(committed()[1][key.split("/")[0]][1])
    assert claimed <= 1e-8
    assert gradient_error(key) <= claimed


def test_everything_is_compared():
    systems = {key.split("/")[0] for key in CASES}
    assert systems == {key.split("/")[0] for key in LEARNED} == set(ROWS) == set(MAKERS)
    modules = ("nnaudio", "speechbrain", "dstft", "papers")
    others = {"speechbrain.Leaf"}  # tests/test_compat_leaf.py
    everything = {f"{m}.{name}" for m in modules for name in getattr(compat, m).__all__}
    assert systems | others == everything


def test_the_page_holds_the_table():
    lines, bounds = committed()
    assert lines == table(bounds), "run python tests/test_compat_learnable.py"


ONCE = {key.split("/")[0]: key for key in reversed(LEARNED)}
# One of each system, and the others with the exhaustive tests.
SOME = [
    key if key in ONCE.values() else pytest.param(key, marks=pytest.mark.exhaustive)
    for key in LEARNED
]


@quiet
@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("key", SOME)
def test_gradients_are_finite_on_silence(key):
    """In float32; nnAudio's fixed magnitude, for one, has none there."""
    frontend = made(key)
    params = start(frontend, jnp.float32)
    gradients = jax.jit(jax.grad(lambda params, x: loss(frontend.apply(params, x)), argnums=(0, 1)))
    x = jnp.asarray(signal_of(key), jnp.float32)
    for clip in (jnp.zeros_like(x), 1e-20 * x, 1e6 * x):
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients(params, clip)))


@quiet
@pytest.mark.parametrize("key", ONCE.values(), ids=ONCE)
def test_a_description_and_parameters_make_the_same(key):
    """Saved and restored, after a step of training."""
    frontend = made(key)
    again = FrontEnd.from_dict(json.loads(json.dumps(frontend.to_dict())))
    assert again == frontend
    assert hash(again) == hash(frontend)
    zeros = start(frontend, jnp.float32)
    moved = jax.tree.map(lambda z: z + 0.1, zeros)
    x = jnp.asarray(signal_of(key), jnp.float32)
    assert np.array_equal(again.apply(moved, x), frontend.apply(moved, x))
    assert not np.allclose(frontend.apply(moved, x), frontend.apply(zeros, x), rtol=1e-3)


@quiet
@pytest.mark.parametrize("key", ONCE.values(), ids=ONCE)
def test_items_of_a_batch_never_touch(key):
    frontend = made(key)
    x = jnp.asarray(signal_of(key), jnp.float32)
    x = x[0] if frontend.takes == "features" else x
    batch = jnp.stack([x, 1e-3 * x])
    params = start(frontend, jnp.float32)
    y = frontend.apply(params, batch)
    one = frontend.apply(params, batch[1])
    assert np.allclose(y[1], one, rtol=1e-4, atol=1e-5 * float(np.abs(one).max()))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("layout", ["gaps", "warp", "signed"])
def test_torchaudio_made_learnable(layout):
    """``replace`` makes the mel bands of torchaudio, or librosa, trainable, from their start."""
    x = jnp.asarray(CLIPS["speech"])
    for fixed in (
        compat.torchaudio.MelSpectrogram(SR, n_fft=512, n_mels=30),
        compat.librosa.melspectrogram(sr=SR, n_fft=512, n_mels=30),
    ):
        learned = fixed.replace("filterbank", layout=layout)
        params = start(learned)
        assert relative_max_error(learned.apply(params, x), fixed(x)) <= 1e-12
        slopes = jax.jit(jax.grad(lambda p, f=learned: loss(f.apply(p, x))))(params)
        assert all(np.abs(leaf).any() for leaf in jax.tree.leaves(slopes))


def test_a_fixed_magnitude_has_a_slope_on_silence():
    stft = N.STFT(n_fft=128, output_format="Magnitude")
    assert not jax.grad(lambda x: stft(x).sum())(jnp.zeros(500)).any()


@pytest.mark.usefixtures("x64")
def test_the_first_stage_of_dstft_is_its_spectrum():
    """Whose phases count from the first frame where the hop is learned."""
    options = {"n_fft": 64, "win_length": 50, "hop_length": 24, "window_mode": "constant"}
    fixed = D.DSTFT(**options)["adaptive_stft"]
    moving = D.DSTFT(**options, hop_mode="constant", hop_length_min=20)["adaptive_hop_stft"]
    x = jnp.asarray(CLIPS["speech"][:500])
    y, z = fixed.apply(start(fixed), x), moving.apply(start(moving), x)
    turns = np.arange(21)[:, None] * 24 * np.arange(33) / 64
    assert relative_max_error(z[:21], y * np.exp(-2j * np.pi * turns)) <= 1e-12
    assert not z[21:].any()


# Signatures, and every argument counts.


@pytest.mark.parametrize("system", SIGNATURES)
def test_arguments_are_those_of_the_original(system):
    parameters = inspect.signature(MAKERS[system]).parameters
    mine = [
        [name] if p.default is inspect.Parameter.empty else [name, p.default]
        for name, p in parameters.items()
    ]
    assert mine == SIGNATURES[system]
    kinds = {p.kind for p in parameters.values()}
    only = system.startswith("dstft")  # as in dstft itself
    assert kinds == {inspect._ParameterKind.KEYWORD_ONLY if only
                     else inspect._ParameterKind.POSITIONAL_OR_KEYWORD}  # fmt: skip


CHANGED = {
    "amin": 1e-3, "bias": 1.0, "center": False, "context": True, "deltas": True, "eps": 1e-3,
    "f_max": 3000.0, "f_min": 100.0, "filter_shape": "triangular", "fmax": 3000.0, "fmin": 100.0,
    "freeze": False, "freq_bins": 100, "freq_scale": "log", "gain": 0.5, "hop_length": 64,
    "hop_length_max": 300.0, "hop_length_min": 30.0, "hop_mode": "constant", "htk": True,
    "iSTFT": True, "left_frames": 3, "log": False, "log_mel": False, "magnitude_power": 2.0,
    "mix": (0.1, 0.2), "n_fft": 512, "n_mels": 20, "norm": None, "normalization": "unit",
    "output_format": "Magnitude", "pad_mode": "constant", "param_change_factor": 0.5,
    "param_rand_factor": 0.1, "power": 1.0, "power_spectrogram": 1, "ref_value": 2.0,
    "requires_grad": True, "right_frames": 3, "sample_rate": 8000, "sigma": 20.0, "sr": 16000,
    "top_db": 40.0, "trainable": True, "trainable_STFT": True, "trainable_mel": True,
    "verbose": False, "win_length": 200, "win_length_max": 240.0, "win_length_min": 40.0,
    "window": "hamming", "window_mode": "fixed",
}  # fmt: skip
#: Where the arguments start from, and what else they are changed to.
FROM = {
    "dstft.DSTFT": {"n_fft": 256, "win_length": 150, "window_mode": "constant"},
    "papers.dmel": {"n_fft": 1024, "n_mels": 40},
}
OTHERS = {
    "speechbrain.Filterbank": {"filter_shape": "gaussian", "f_max": 4000.0, "sample_rate": 22050},
    "speechbrain.Fbank": {"filter_shape": "gaussian", "win_length": 20, "hop_length": 5},
    "papers.fastaudio": {"win_length": 20, "hop_length": 5},
    "papers.dmel": {"sample_rate": 16000, "n_fft": 512},
    "dstft.DSTFT": {"hop_length": 50},
    "papers.pcen_2017": {"power": 0.3, "n_fft": 1024},
}


@quiet
@pytest.mark.parametrize("system", MAKERS)
def test_every_argument_counts(system):
    """Changed, it is refused or makes another front-end."""
    make, base = MAKERS[system], FROM.get(system, {})
    frontend = make(**base)
    assert make(**base) == frontend
    for name in inspect.signature(make).parameters:
        value = OTHERS.get(system, {}).get(name, CHANGED[name])
        try:
            changed = make(**base | {name: value})
        except ValueError as error:
            changed, message = None, str(error)
        assert changed != frontend, name
        assert changed or name in message, name


REFUSED = {
    "bins": ("freq_bins must be None here, got freq_bins=100: take a range",
             lambda: N.STFT(freq_bins=100)),
    "scale": ("freq_scale must be 'no' here, got freq_scale='log': lay out bands",
              lambda: N.STFT(freq_scale="log")),
    "fmin": ('fmin must be 50 here, got fmin=20: it has no effect with freq_scale="no"',
             lambda: N.STFT(fmin=20)),
    "inverse": ("iSTFT must be False.*jaxspec.istft", lambda: N.STFT(iSTFT=True)),
    "verbose": ("verbose must be True here, got verbose=False: leave it out",
                lambda: N.MelSpectrogram(verbose=False)),
    "phase": ("output_format must be one of 'Complex', 'Magnitude'; got output_format='Phase'",
              lambda: N.STFT(output_format="Phase")),
    "trainable": ("trainable must be one of False, True; got trainable='yes'",
                  lambda: N.STFT(trainable="yes")),
    "trainable_mel": ("trainable_mel must be one of", lambda: N.MelSpectrogram(trainable_mel=1)),
    "padding": ("pad_mode must be one of 'reflect', 'constant'; got pad_mode='edge'",
                lambda: N.STFT(pad_mode="edge")),
    "power": ("power must be <= 2, got power=3.*trainable_STFT",
              lambda: N.MelSpectrogram(power=3, trainable_STFT=True)),
    "norm": ("norm must be one of None, 1, numpy.inf; got norm='slaney'",
             lambda: N.MelSpectrogram(norm="slaney")),
    "change": ("param_change_factor must be 1.0 here, got param_change_factor=0.1: it scales",
               lambda: B.Fbank(param_change_factor=0.1)),
    "random": ("param_rand_factor must be 0.0 here", lambda: B.Filterbank(param_rand_factor=0.1)),
    "shape": ("filter_shape must be one of 'triangular', 'rectangular', 'gaussian'; got",
              lambda: B.Filterbank(filter_shape="triangle")),
    "rectangles": ('shape must not be "rectangle" with layout="gaps".*no gradient',
                   lambda: B.Fbank(filter_shape="rectangular", requires_grad=True)),
    "odd rate": ("sample_rate must be even, got sample_rate=11025",
                 lambda: B.Fbank(sample_rate=11025)),
    "odd fft": ("n_fft must be even, got n_fft=401", lambda: B.Filterbank(n_fft=401)),
    "decibels": ("top_db must be 80.0 here, got top_db=30.*log_mel=False",
                 lambda: B.Filterbank(log_mel=False, top_db=30)),
    "exponent": ("power_spectrogram must be one of 2, 1; got power_spectrogram=3",
                 lambda: B.Filterbank(power_spectrogram=3)),
    "deltas": ("deltas must be False here, got deltas=True.*stages.Deltas",
               lambda: B.Fbank(deltas=True)),
    "context": ("context must be False here.*stages.Splice", lambda: B.Fbank(context=True)),
    "left": ("left_frames must be 5 here, got left_frames=3", lambda: B.Fbank(left_frames=3)),
    "short": ("hop_length must be at least 1 sample, got hop_length=0.01 ms",
              lambda: B.Fbank(hop_length=0.01)),
    "f_max": ("f_max must be <= sample_rate / 2", lambda: B.Filterbank(sample_rate=8000)),
    "per frame": ("window_mode must be one of 'fixed', 'constant', 'frequency'; got "
                  "window_mode='time'", lambda: D.DSTFT(n_fft=256)),
    "hops": ("hop_mode must be one of 'fixed', 'constant'; got hop_mode='time'",
             lambda: D.DSTFT(n_fft=256, window_mode="fixed", hop_mode="time")),
    "both": ('window_mode must be "fixed" or "constant" with hop_mode="constant"',
             lambda: D.DSTFT(n_fft=256, window_mode="frequency", hop_mode="constant")),
    "fixed length": ("win_length_min must be None here, got win_length_min=20: it bounds",
                     lambda: D.DSTFT(n_fft=256, window_mode="fixed", win_length_min=20)),
    "fixed hop": ("hop_length_min must be 1.0 here, got hop_length_min=20: it bounds",
                  lambda: D.DSTFT(n_fft=256, window_mode="fixed", hop_length_min=20)),
    "odd frame": ("n_fft must be even.*got n_fft=255",
                  lambda: D.DSTFT(n_fft=255, window_mode="fixed")),
    "window": ("window must be 'hann' here, got window='kaiser': use stages.AdaptiveSTFT",
               lambda: D.DSTFT(n_fft=256, window_mode="fixed", window="kaiser")),
    "eps": ("eps must be > 0, got eps=0",
            lambda: D.DSTFT(n_fft=256, window_mode="fixed", eps=0.0)),
    "flat": ("filter_shape must be one of 'gaussian', 'triangular'; got",
             lambda: P.fastaudio(filter_shape="rectangular")),
    "sigma": ("sigma must be > 0, got sigma=0", lambda: P.dmel(sigma=0.0)),
    "dmel's frame": ("n_fft must be even.*got n_fft=401", lambda: P.dmel(n_fft=401)),
    "log": ("log must be one of True, False; got log='ln'", lambda: P.dmel(n_fft=1024, log="ln")),
    "gain": ("gain must lie strictly between 0 and 1 to be learned, got gain=1",
             lambda: P.pcen_2017(gain=1.0)),
    "mix": ("mix", lambda: P.pcen_2017(mix=())),
}  # fmt: skip


@quiet
@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    message, call = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        call()


def test_a_fixed_hop_is_an_int():
    with pytest.raises(TypeError, match=r"hop_length must be an int, got hop_length=64.5"):
        D.DSTFT(n_fft=256, window_mode="fixed", hop_length=64.5)
    whole = D.DSTFT(n_fft=256, window_mode="fixed", hop_length=64.0)
    assert whole == D.DSTFT(n_fft=256, window_mode="fixed", hop_length=64)
    assert isinstance(whole["adaptive_stft"], stages.AdaptiveSTFT)


if __name__ == "__main__":
    write()
