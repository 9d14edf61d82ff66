"""The entry points of `jaxspec.compat` against their originals; the tables of docs/migration.md.

librosa and kaldi_native_fbank run live; ``goldens/make_compat.py`` made torchaudio's values.
``python tests/test_compat.py`` measures again and writes the tables.
"""

import functools
import inspect
import json
import math
import operator
import pathlib
import pickle
import re
import sys
import warnings

import jax
import jax.numpy as jnp
import kaldi_native_fbank as knf
import librosa
import numpy as np
import pytest

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "goldens")]

from helpers import energies, relative_max_error, t2  # noqa: E402
from voice import signals  # noqa: E402

import jaxspec  # noqa: E402
from jaxspec import FrontEnd, compat  # noqa: E402

PAGE = HERE.parent / "docs" / "migration.md"
GOLDENS = np.load(HERE / "goldens" / "compat_torchaudio.npz")
CASES = json.loads(GOLDENS["cases"].item())
SIGNATURES = json.loads(GOLDENS["signatures"].item())
SR, PCM = 16000, 32768.0
VOICE = signals(SR)
# As in goldens/make_compat.py.
CLIPS = {"speech": VOICE["odd"][3000:15123], "gap": VOICE["gap"][2000:14123]}
# 128 bands, the default of some originals, leave some empty at a small n_fft. Both sides warn.
quiet = pytest.mark.filterwarnings("ignore:.*bands hold no FFT bin")


# What is compared. librosa, live: options, and functions of (ours, theirs) where they are not
# called alike.

BANDS = energies(40, 120)  # librosa's layout: (channels, frames)
BANDS[3:6, 20:40] = 0.0
POWER = np.abs(librosa.stft(CLIPS["speech"], n_fft=512)) ** 2

LIVE = {
    "stft": [
        {},
        {"n_fft": 512, "hop_length": 160, "win_length": 400},
        {"n_fft": 401, "window": ("kaiser", 8.0), "pad_mode": "edge"},
        {"n_fft": 512, "window": np.hanning, "center": False},
        {"n_fft": 400, "window": np.hamming(300), "win_length": 300, "pad_mode": "symmetric"},
    ],
    "melspectrogram": [
        {},
        {"sr": SR, "n_fft": 512, "hop_length": 160, "win_length": 400, "n_mels": 40, "htk": True},
        {"sr": 8000, "n_fft": 401, "power": 1.0, "n_mels": 32, "fmin": 60, "fmax": 3800.0},
        {"sr": SR, "n_fft": 512, "n_mels": 40, "norm": None, "center": False, "window": "hamming"},
        {"sr": SR, "n_fft": 512, "n_mels": 40, "norm": np.inf, "pad_mode": "edge"},
        {"sr": SR, "n_fft": 512, "n_mels": 40, "norm": 2},
    ],
    "mfcc": [
        {},
        {"sr": SR, "n_fft": 512, "hop_length": 160, "n_mels": 40, "n_mfcc": 13, "lifter": 22},
        {"sr": SR, "n_fft": 512, "n_mels": 40, "dct_type": 3, "norm": None, "mel_norm": None},
        {"sr": SR, "n_fft": 1024, "n_mels": 64, "dct_type": 1, "htk": True, "fmax": 7000},
        {"sr": SR, "n_fft": 1024, "n_mels": 64, "win_length": 800, "window": "hamming", "power": 1},
        {"sr": SR, "n_fft": 1024, "n_mels": 64, "fmin": 50, "center": False},
    ],
    "mel": [
        {"sr": SR, "n_fft": 512, "n_mels": 40},
        {"sr": 22050, "n_fft": 512, "n_mels": 30, "fmin": 40, "fmax": 9000, "htk": True},
        {"sr": SR, "n_fft": 512, "n_mels": 40, "norm": None},
    ],
    "power_to_db": [{}, {"ref": np.max}, {"ref": 1e-4, "amin": 1e-6, "top_db": None}],
    "amplitude_to_db": [{}, {"ref": np.max, "top_db": 30}, {"ref": 3.0, "amin": 1e-3}],
    "pcen": [
        {},
        {"sr": SR, "hop_length": 160, "gain": 0.5, "bias": 10, "power": 0.25, "eps": 1e-3},
        {"b": 0.3, "power": 0},
        {"time_constant": 0.06},
    ],
    "preemphasis": [{}, {"coef": 0.5}],
    "delta": [{}, {"width": 5}, {"width": 7, "order": 2}],
    "istft": [{"n_fft": 512, "hop_length": 160}, {"n_fft": 401, "hop_length": 100}],
    "db_to_power": [{}, {"ref": 3.0}],
}
# Functions without a stage: (ours, theirs, input in librosa's layout).
FUNCTIONS = {
    "preemphasis": (
        functools.partial(jaxspec.preemphasis, first="librosa"),
        librosa.effects.preemphasis,
        CLIPS["speech"],
    ),
    "delta": (functools.partial(jaxspec.delta, edge="interp"), librosa.feature.delta, BANDS),
    "istft": (
        lambda x, **o: jaxspec.istft(jaxspec.stft(x, **o), **o, length=12123),
        lambda x, **o: librosa.istft(librosa.stft(x, pad_mode="reflect", **o), **o, length=12123),
        CLIPS["speech"],
    ),
    "db_to_power": (jaxspec.db_to_power, librosa.db_to_power, np.log(BANDS + 1e-9)),
}


def turned(x):
    """From librosa's layout to ours, or back."""
    return np.swapaxes(x, -1, -2) if np.ndim(x) > 1 else x


def live(function, options, dtype=np.float64):
    """Values of librosa in float64, and ours."""
    if function in FUNCTIONS:
        ours, theirs, x = FUNCTIONS[function]
        mine = ours(jnp.asarray(turned(x), dtype), **options)
        return mine, turned(theirs(x, **options))
    mine = getattr(compat.librosa, function)(**options)
    wide = {"dtype": np.float64}  # of mel banks
    if function == "mel":
        theirs = librosa.filters.mel(**options, **wide) @ POWER
        return mine(jnp.asarray(POWER.T, dtype)), theirs.T
    if function in ("power_to_db", "amplitude_to_db", "pcen"):
        return mine(jnp.asarray(BANDS.T, dtype)), getattr(librosa, function)(BANDS, **options).T
    x = CLIPS["speech"]
    original = librosa.stft if function == "stft" else getattr(librosa.feature, function)
    theirs = original(y=x, **options, **({} if function == "stft" else wide))
    return mine(jnp.asarray(x, dtype)), theirs.T


def stand_ins(options):
    """Options of a golden with functions in place of those of torch, known by their names."""
    options = {k: stand_ins(v) if k.endswith("kwargs") else v for k, v in options.items()}
    if "window_fn" in options:

        def window_fn(n):
            raise AssertionError("torch's own windows are known by name")

        window_fn.__name__ = options["window_fn"]
        options["window_fn"] = window_fn
    return options


def golden(index, dtype=np.float64):
    """Our values of a golden, whole."""
    case = CASES[index]
    x = jnp.asarray(CLIPS[case["signal"]], dtype)
    library, function = getattr(compat, case["library"]), case["function"]
    options = stand_ins(case["options"])
    if case["library"] == "kaldi":
        return getattr(library, function)(**options)(PCM * x)
    if case["before"]:
        before = getattr(library, case["before"]["function"])
        x = before(**case["before"]["options"])(x)
    if function == "ComputeDeltas":
        return jaxspec.delta(x, width=options.get("win_length", 5))
    y = (
        jaxspec.istft(x, **options)
        if function == "InverseSpectrogram"
        else getattr(library, function)(**options)(x)
    )
    return y if y.ndim > 1 else y[:, None]


def golden_error(index, dtype=np.float64):
    """The largest difference of the kept frames and of the mean, relative to the largest value."""
    case, truth = CASES[index], GOLDENS[str(index)]
    mine = np.asarray(golden(index, dtype))
    assert list(mine.shape) == case["shape"]
    mean = abs(mine.mean(dtype=np.result_type(mine, np.float64)) - complex(*case["mean"]))
    return max(relative_max_error(mine[case["kept"]], truth), float(mean / np.abs(truth).max()))


def errors(library, function, dtype=np.float64, *, every=1):
    """The error of every comparison of a function, or some of them, by its options."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*bands hold no FFT bin")
        if library == "librosa":
            return {
                str(options): relative_max_error(*live(function, options, dtype))
                for options in LIVE[function][::every]
            }
        places = [
            index
            for index, case in enumerate(CASES)
            if (case["library"], case["function"]) == (library, function)
        ]
        return {
            f"{CASES[index]['options']} of {CASES[index]['signal']}": golden_error(index, dtype)
            for index in places[::every]
        }


# The tables: original, stage, function, what differs.

ZEROS = "zeros beyond the ends (reflection)"
ROWS = {
    "librosa": [
        ("stft", "librosa.stft", "jaxspec.stft", ZEROS),
        ("melspectrogram", "librosa.feature.melspectrogram", "jaxspec.mel_spectrogram",
         f"{ZEROS}; 128 bands (80); librosa's bank is float32 unless told `dtype`"),
        ("mfcc", "librosa.feature.mfcc", "jaxspec.mfcc",
         "20 coefficients (13); `top_db` per item, as in librosa 1.0"),
        ("mel", "librosa.filters.mel", "jaxspec.mel_filterbank",
         "transposed; `fmax` above half the sample rate is refused"),
        ("power_to_db", "librosa.power_to_db", "jaxspec.power_to_db",
         '`top_db=80` (none); `ref=np.max` (`"max"`), both per item'),
        ("amplitude_to_db", "librosa.amplitude_to_db", "jaxspec.amplitude_to_db",
         "as above; no complex input"),
        ("pcen", "librosa.pcen", 'jaxspec.pcen(x, start="librosa")',
         "starts from a level of 1 (the first frame); the smoothing as a time constant"),
        ("preemphasis", "librosa.effects.preemphasis", 'jaxspec.preemphasis(x, first="librosa")',
         'a function only; the stage has `first="zero"`'),
        ("delta", "librosa.feature.delta", 'jaxspec.delta(x, edge="interp")',
         "a function only; `stages.Deltas` keeps the features beside them"),
        ("istft", "librosa.istft", "jaxspec.istft", "a function only; `n_fft` must be given"),
        ("db_to_power", "librosa.db_to_power", "jaxspec.db_to_power", "a function only"),
    ],
    "torchaudio": [
        ("Spectrogram", "Spectrogram", "jaxspec.spectrogram", "hop `win_length // 2` (`// 4`)"),
        ("MelSpectrogram", "MelSpectrogram", "jaxspec.mel_spectrogram",
         "HTK scale, no norm, 128 bands (Slaney's for both, 80)"),
        ("MelScale", "MelScale", "jaxspec.mel_filterbank", "the same; `n_stft` bins"),
        ("AmplitudeToDB", "AmplitudeToDB", "jaxspec.power_to_db",
         "`top_db` per item, not per batch; the floor of magnitudes is 1e-10, too (1e-5)"),
        ("MFCC", "MFCC", "jaxspec.mfcc", "the bands of `MelSpectrogram`; `top_db` per item"),
        ("LFCC", "LFCC", "jaxspec.lfcc", "hop; `top_db` per item"),
        ("Preemphasis", "Preemphasis", "jaxspec.preemphasis", "`coeff` is `coef`"),
        ("ComputeDeltas", "ComputeDeltas", "jaxspec.delta(x, width=5)",
         "a function only; edges are repeated (`mode=\"replicate\"`)"),
        ("InverseSpectrogram", "InverseSpectrogram", "jaxspec.istft", "a function only"),
    ],
    "kaldi": [
        ("fbank", "fbank", "jaxspec.presets.kaldi_fbank",
         "23 bands; samples as they are, not times 32768; no frames for short clips"),
        ("mfcc", "mfcc", "jaxspec.presets.kaldi_mfcc", "samples as above"),
        ("spectrogram", "spectrogram", "jaxspec.spectrogram",
         "logarithms, and the log energy in bin 0; all that Kaldi does to frames"),
    ],
}  # fmt: skip
FUNCTIONS_ONLY = {*FUNCTIONS, "ComputeDeltas", "InverseSpectrogram"}
NAMES = [(library, row[0]) for library, rows in ROWS.items() for row in rows]
HEAD = "| {} | stage | function | what differs (in brackets: the function) | error |"
TITLES = {
    "librosa": "librosa 0.11, 1.0",
    "torchaudio": "torchaudio.transforms 2.11",
    "kaldi": "torchaudio.compliance.kaldi 2.11",
}


def table(library, bounds):
    """The lines of a table."""
    lines = [HEAD.format(TITLES[library]), "|---|---|---|---|---|"]
    for name, theirs, function, differs in ROWS[library]:
        stage = "–" if name in FUNCTIONS_ONLY else f"`compat.{library}.{name}`"
        lines.append(f"| `{theirs}` | {stage} | `{function}` | {differs} | {bounds[name]} |")
    return lines


def committed(library):
    """The lines of a table in the page, and the errors in it by name."""
    page = PAGE.read_text()
    begin, end = marks(library)
    lines = page[page.index(begin) + len(begin) : page.index(end)].strip().splitlines()
    cells = [line.rstrip(" |").rpartition("| ")[2] for line in lines[2:]]
    return lines, {row[0]: cell for row, cell in zip(ROWS[library], cells, strict=True)}


def marks(library):
    return f"<!-- {library}: begin -->", f"<!-- {library}: end -->"


def bound(error):
    """A power of ten that another machine's rounding keeps to as well."""
    return f"1e{math.ceil(math.log10(4 * max(error, 1e-15)))}"


def write():
    """Measure, and write the tables into the page."""
    page = PAGE.read_text()
    for library, rows in ROWS.items():
        with jax.enable_x64(True):
            bounds = {row[0]: bound(max(errors(library, row[0]).values())) for row in rows}
        begin, end = marks(library)
        before, after = page.split(begin)[0], page.split(end)[1]
        page = "\n".join([before + begin, *table(library, bounds), end]) + after
    PAGE.write_text(page)


# Values.


@pytest.mark.usefixtures("x64", "strict")
@pytest.mark.parametrize(("library", "function"), NAMES)
def test_float64(library, function):
    """The values of the original, as closely as the page says."""
    found = errors(library, function)
    assert len(found) >= 2
    claimed = float(committed(library)[1][function])
    assert claimed <= 1e-9
    assert max(found.values()) <= claimed, max(found, key=found.get)


@pytest.mark.exhaustive
@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize(("library", "function"), NAMES)
def test_float32(library, function):
    # Single bins far below the loudest of their frame hold its rounding, and logarithms show it.
    bare = function in ("AmplitudeToDB", "spectrogram")
    found = errors(library, function, np.float32, every=3)
    assert max(found.values()) <= (1e-3 if bare else 4e-5), max(found, key=found.get)


@pytest.mark.parametrize("library", ROWS)
def test_the_page_holds_the_tables(library):
    lines, bounds = committed(library)
    assert lines == table(library, bounds), "run python tests/test_compat.py"
    for _, _, function, _ in ROWS[library]:
        (path,) = re.findall(r"jaxspec\.([\w.]+)", function)
        assert callable(operator.attrgetter(path)(jaxspec))


def test_every_golden_and_every_function_is_compared():
    made = {(case["library"], case["function"]) for case in CASES}
    assert made == {pair for pair in NAMES if pair[0] != "librosa"}
    for library in ROWS:
        stages = set(getattr(compat, library).__all__)
        assert stages | FUNCTIONS_ONLY >= {row[0] for row in ROWS[library]} >= stages


def test_decibels_of_a_batch_are_those_of_each_item():
    """librosa 0.11 and torchaudio would hold the quiet clip to 80 dB below the loud one."""
    x = jnp.asarray(np.stack([CLIPS["speech"], 1e-4 * CLIPS["speech"]]), jnp.float32)
    for frontend in (
        compat.librosa.mfcc(sr=SR, n_fft=512, n_mels=40),
        compat.torchaudio.MFCC(n_mfcc=20, melkwargs={"n_fft": 512, "n_mels": 40}),
    ):
        y = frontend(x)
        assert np.allclose(y[1], frontend(x[1]), atol=1e-3)


@pytest.mark.usefixtures("x64")
def test_windows_of_torchaudio():
    def half(n, scale=1.0):
        return scale * np.full(n, 0.5)

    named = compat.torchaudio.Spectrogram(window_fn="hamming", wkwargs={"periodic": False})
    assert named["stft"].window == "hamming"
    assert not named["stft"].periodic
    own = compat.torchaudio.Spectrogram(n_fft=4, window_fn=half, wkwargs={"scale": 2.0})
    assert own["stft"].window == jaxspec.Table(np.ones(4))
    kaiser = compat.torchaudio.Spectrogram(window_fn="kaiser")
    assert kaiser["stft"].window == ("kaiser", 12.0)  # the beta of torch.kaiser_window


# Kaldi's own implementation, in float32.


def _kaldi(computer, x):
    computer.accept_waveform(SR, x.astype(np.float32))
    computer.input_finished()
    return np.stack([computer.get_frame(t) for t in range(computer.num_frames_ready)])


KALDI = [
    {},
    {"snip_edges": False, "window_type": "hamming", "frame_shift": 12.0},
    {"use_energy": True, "num_mel_bins": 40},
    {"use_energy": True, "htk_compat": True, "raw_energy": False, "low_freq": 60.0},
    {"high_freq": -400.0, "remove_dc_offset": False, "preemphasis_coefficient": 0.9},
]


def _kaldi_options(options, kind):
    theirs = (knf.FbankOptions if kind == "fbank" else knf.MfccOptions)()
    theirs.frame_opts.dither = 0.0
    theirs.mel_opts = knf.MelBanksOptions(
        num_bins=options.get("num_mel_bins", 23),
        low_freq=options.get("low_freq", 20.0),
        high_freq=options.get("high_freq", 0.0),
    )
    theirs.use_energy = False
    theirs.energy_floor = 1.0
    places = {"frame_shift": "frame_shift_ms", "preemphasis_coefficient": "preemph_coeff"}
    for name, value in options.items():
        if name in ("use_energy", "htk_compat", "raw_energy"):
            setattr(theirs, name, value)
        elif name not in ("num_mel_bins", "low_freq", "high_freq"):
            setattr(theirs.frame_opts, places.get(name, name), value)
    return theirs


@pytest.mark.usefixtures("x64", "strict")
@pytest.mark.parametrize("kind", ["fbank", "mfcc"])
@pytest.mark.parametrize("options", KALDI, ids=str)
def test_kaldi_itself(options, kind):
    x = np.round(PCM * CLIPS["speech"])
    computer = knf.OnlineFbank if kind == "fbank" else knf.OnlineMfcc
    theirs = _kaldi(computer(_kaldi_options(options, kind)), x)
    mine = np.asarray(getattr(compat.kaldi, kind)(**options)(jnp.asarray(x)))
    assert mine.shape == theirs.shape
    if kind == "fbank":
        assert np.abs(mine - theirs).max() <= 2e-3  # the rounding of Kaldi's bank
    else:
        assert relative_max_error(mine, theirs) <= 3e-5


@pytest.mark.usefixtures("x64", "strict")
def test_a36_scale_of_kaldi_features():
    x = t2(8000)
    y = np.asarray(compat.kaldi.fbank()(jnp.asarray(PCM * x)))
    assert y.shape == (48, 23)
    assert y.mean() == pytest.approx(11.3812, abs=1e-4)
    assert y[20, [0, 3, 9, 20]] == pytest.approx([9.9068, 24.2496, 6.0036, 3.1901], abs=1e-4)
    louder = y - np.asarray(compat.kaldi.fbank()(jnp.asarray(x)))
    above = y > 8  # 24 above the floor before the scale
    assert above.sum() > 500
    assert louder[above] == pytest.approx(20.7944, abs=1e-4)
    shifted = np.asarray(compat.kaldi.fbank()(jnp.asarray(PCM * (x + 0.25))))
    assert np.abs(shifted - y).max() < 0.01
    kept = compat.kaldi.fbank(remove_dc_offset=False)
    assert np.abs(kept(jnp.asarray(PCM * (x + 0.25))) - kept(jnp.asarray(PCM * x))).max() > 9
    silence = compat.kaldi.fbank()(jnp.zeros(8000))
    np.testing.assert_allclose(silence, -15.942385, atol=1e-6)


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize(("kind", "channels"), [("fbank", 23), ("mfcc", 13), ("spectrogram", 257)])
def test_a41_a_batch_of_kaldi_features(kind, channels):
    rng = np.random.default_rng(0)
    clips = jnp.asarray(PCM * rng.uniform(-0.5, 0.5, (4, 16000)), jnp.float32)
    frontend = getattr(compat.kaldi, kind)()
    y = frontend(clips)
    assert y.shape == (4, 98, channels)
    single = np.stack([frontend(clip) for clip in clips])
    assert np.abs(single[0] - single[1]).max() > 1
    np.testing.assert_allclose(y, single, rtol=0, atol=1e-4)
    np.testing.assert_allclose(jax.vmap(frontend)(clips), single, rtol=0, atol=1e-4)
    np.testing.assert_allclose(jax.jit(frontend)(clips), single, rtol=0, atol=1e-4)


# Kaldi's front-ends as stages.


def test_energy_beside_the_bands_is_a_stage_like_others():
    x = jnp.asarray(PCM * CLIPS["speech"], jnp.float32)
    frontend = compat.kaldi.mfcc(use_energy=True, htk_compat=True)
    assert frontend == compat.kaldi.mfcc(use_energy=True, htk_compat=True)
    assert hash(frontend) == hash(compat.kaldi.mfcc(use_energy=True, htk_compat=True))
    assert pickle.loads(pickle.dumps(frontend)) == frontend
    assert (frontend.channels(None), frontend.length(16000)) == (13, 98)
    assert frontend.reach == compat.kaldi.mfcc().reach
    tiled = FrontEnd(frontend, tile_frames=7)
    np.testing.assert_allclose(tiled(x), frontend(x), rtol=1e-4, atol=1e-4)
    gradient = jax.grad(lambda x: jnp.sum(frontend(x)))
    assert np.isfinite(gradient(x)).all()
    assert np.isfinite(gradient(jnp.zeros(2000))).all()
    assert FrontEnd.from_dict(json.loads(json.dumps(frontend.to_dict()))) == frontend


@pytest.mark.parametrize("kind", ["fbank", "mfcc", "spectrogram"])
def test_clips_without_a_frame(kind):
    """Kaldi gives no frames; without snip_edges one for every whole hop."""
    make = getattr(compat.kaldi, kind)
    assert make()(jnp.zeros(399)).shape[0] == 0
    assert make(subtract_mean=True)(jnp.zeros(399)).shape[0] == 0
    assert make(snip_edges=False)(jnp.zeros(399)).shape[0] == 2


@quiet
@pytest.mark.parametrize(
    ("library", "function"),
    [pair for pair in NAMES if pair[1] not in (*FUNCTIONS_ONLY, "spectrogram", "mel")],
)
def test_defaults_survive_json(library, function):
    stage = getattr(getattr(compat, library), function)()
    text = json.dumps(stage.to_dict())
    assert jaxspec.stage_from_dict(json.loads(text)) == stage


# Signatures.


def ours(library, function):
    parameters = inspect.signature(getattr(getattr(compat, library), function)).parameters
    return {name: p.default for name, p in parameters.items()}


@pytest.mark.parametrize(("library", "function"), [p for p in NAMES if p[0] != "librosa"])
def test_arguments_are_those_of_torchaudio(library, function):
    if function in FUNCTIONS_ONLY:
        return
    theirs = {
        name: default[0] if default else None  # the waveform, which must be left out here
        for name, *default in SIGNATURES[library][function]
    }
    if "window_fn" in theirs:
        assert theirs["window_fn"] == "hann_window"
        theirs["window_fn"] = "hann"
    mine = ours(library, function)
    assert list(mine) == list(theirs)
    assert mine == theirs
    assert [type(v) for v in mine.values()] == [type(v) for v in theirs.values()]


def _of_librosa(function):
    where = {"mel": librosa.filters, "melspectrogram": librosa.feature, "mfcc": librosa.feature}
    parameters = inspect.signature(getattr(where.get(function, librosa), function)).parameters
    own = {
        name: None if p.default is inspect.Parameter.empty and name in ("y", "S") else p.default
        for name, p in parameters.items()
        if p.kind is not inspect.Parameter.VAR_KEYWORD
    }
    # What librosa hands on as **kwargs, under the names that are free.
    if function == "melspectrogram":
        own = own | {k: v for k, v in _of_librosa("mel").items() if k not in own}
    if function == "mfcc":
        own = own | {k: v for k, v in _of_librosa("melspectrogram").items() if k not in own}
    return own


@pytest.mark.parametrize("function", compat.librosa.__all__)
def test_arguments_are_those_of_librosa(function):
    mine, theirs = ours("librosa", function), _of_librosa(function)
    if "axes" in mine and "axes" not in theirs:
        del mine["axes"]  # new in librosa 1.0
    assert mine == theirs


# Every argument counts: changed, it is refused or makes another stage.

CHANGED = {
    "amin": 1e-3, "axes": None, "axis": 0, "b": 0.3, "bias": 3.0, "blackman_coeff": 0.3,
    "center": False, "cepstral_lifter": 10.0, "channel": 0, "coeff": 0.5, "dct_type": 3,
    "dither": 1.0, "dtype": np.complex64, "energy_floor": 2.0, "eps": 1e-3, "f_max": 3000.0,
    "f_min": 100.0, "fmax": 3000.0, "fmin": 100.0, "frame_length": 20.0, "frame_shift": 5.0,
    "gain": 0.5, "high_freq": -100.0, "hop_length": 64, "htk": True, "htk_compat": True,
    "lifter": 22, "log_lf": True, "log_mels": True, "low_freq": 50.0, "max_axis": 0,
    "max_size": 3, "mel_norm": None, "mel_scale": "slaney", "melkwargs": {"n_mels": 50},
    "min_duration": 0.5, "n_fft": 512, "n_filter": 50, "n_lfcc": 12, "n_mels": 50, "n_mfcc": 12,
    "n_stft": 257, "norm": None, "normalized": True, "num_ceps": 12, "num_mel_bins": 30,
    "onesided": False, "out": np.zeros(3), "pad": 5, "pad_mode": "replicate", "power": 1.0,
    "preemphasis_coefficient": 0.5, "raw_energy": False, "ref": 2.0, "remove_dc_offset": False,
    "return_complex": True, "return_zf": True, "round_to_power_of_two": False, "S": np.ones(3),
    "sample_frequency": 8000.0, "sample_rate": 8000, "snip_edges": False,
    "speckwargs": {"n_fft": 512}, "sr": 16000, "stype": "magnitude", "subtract_mean": True,
    "time_constant": 0.1, "top_db": 40.0, "use_energy": True, "use_log_fbank": False,
    "use_power": False, "vtln_high": -100.0, "vtln_low": 50.0, "vtln_warp": 1.1,
    "waveform": np.ones(3), "win_length": 300, "window": "hamming", "window_fn": "hamming",
    "window_type": "hamming", "wkwargs": {"periodic": False}, "y": np.ones(3), "zi": np.zeros(3),
}  # fmt: skip
ALL = [(library, name) for library in ROWS for name in getattr(compat, library).__all__]


@quiet
@pytest.mark.parametrize(("library", "function"), ALL)
def test_every_argument_counts(library, function):
    make = getattr(getattr(compat, library), function)
    needed = {"sr": 22050, "n_fft": 1024} if function == "mel" else {}
    stage = make(**needed)
    for name, default in ours(library, function).items():
        value = CHANGED[name]
        if name == "power" and default == 0.5:
            value = 0.25
        if name == "norm" and default is None:
            value = "slaney"
        if name == "pad_mode" and library == "librosa":
            value = "edge"
        try:
            changed = make(**needed | {name: value})
        except ValueError as error:
            changed, message = None, str(error)
        assert changed != stage, name
        assert changed or name in message


K, L, T = compat.kaldi, compat.librosa, compat.torchaudio
REFUSED = {
    "signal": (r"y must be left out here, got y of type ndarray.*stft\(...\)\(x\)",
               lambda: L.stft(np.zeros(3000))),
    "waveform": ("waveform must be left out", lambda: K.fbank(np.zeros((1, 3000)))),
    "S": (r"S must be None here, got S of type Array.*apply mel\(sr=",
          lambda: L.melspectrogram(S=jnp.ones((3, 4)))),
    "out": ("out must be None", lambda: L.stft(out=np.zeros(3))),
    "bank dtype": ("dtype=<class 'numpy.float64'>.*takes the dtype",
                   lambda: L.mel(sr=SR, n_fft=512, dtype=np.float64)),
    "bank dtype None": ("dtype=None", lambda: L.mel(sr=SR, n_fft=512, dtype=None)),
    "bank dtype word": ("dtype='wide'", lambda: L.mel(sr=SR, n_fft=512, dtype="wide")),
    "pad without center": ("pad_mode has no effect with center=False",
                           lambda: L.stft(center=False, pad_mode="edge")),
    "fmax": ("f_max must be <= sample_rate / 2", lambda: L.mel(sr=8000, n_fft=512, fmax=5000)),
    "lifter": ("lifter must be >= 0, got lifter=-1", lambda: L.mfcc(lifter=-1)),
    "ref": ("ref must be a number or numpy.max, got ref=<function median",
            lambda: L.power_to_db(ref=np.median)),
    "axes": ("axes must be 'auto' here, got axes=None", lambda: L.amplitude_to_db(axes=None)),
    "zi": (r"zi must be None.*jaxspec.pcen\(x, level=", lambda: L.pcen(zi=np.zeros((1, 1)))),
    "b and sr": ("sr must be 22050 here, got sr=16000: b is the smoothing", lambda: L.pcen(
        b=0.1, sr=SR)),
    "onesided": ("onesided must be True", lambda: T.Spectrogram(onesided=False)),
    "mel onesided": ("onesided must be None", lambda: T.MelSpectrogram(onesided=True)),
    "complex bands": ("power must be a number", lambda: T.LFCC(speckwargs={"power": None})),
    "torch pad mode": ("pad_mode must be one of 'reflect', 'constant', 'replicate', 'circular'",
                       lambda: T.Spectrogram(pad_mode="edge")),
    "normalized": ("normalized must be one of False, True", lambda: T.Spectrogram(
        normalized="magnitude")),
    "wkwargs": ("wkwargs of a named window may hold 'periodic'.*alpha", lambda: T.Spectrogram(
        window_fn="hamming", wkwargs={"alpha": 0.5})),
    "norm": ("norm must be one of None, 'slaney'", lambda: T.MelScale(norm="peak")),
    "kaldi scale": ("mel_scale must be one of 'htk', 'slaney'", lambda: T.MelScale(
        mel_scale="kaldi")),
    "dct_type": ("dct_type must be 2 here, got dct_type=3", lambda: T.MFCC(
        dct_type=3, melkwargs={"n_mels": 40})),
    "stype": ("stype must be one of 'power', 'magnitude'", lambda: T.AmplitudeToDB("ln")),
    "n_stft": ("n_stft must be an int >= 2", lambda: T.MelScale(n_stft=1)),
    "dither": (r"dither must be 0.0 here, got dither=1.0.*explicit key.*jaxspec.dither\(x, key=",
               lambda: K.mfcc(dither=1.0)),
    "channel": ("channel must be -1", lambda: K.fbank(channel=1)),
    "vtln": ("vtln_warp must be 1.0 here, got vtln_warp=1.1.*Filterbank", lambda: K.fbank(
        vtln_warp=1.1)),
    "window_type": ("window_type must be one of 'hamming', 'hanning', 'povey'", lambda: K.fbank(
        window_type="hann")),
    "blackman": ("blackman_coeff must be 0.42", lambda: K.fbank(blackman_coeff=0.3)),
    "energy": ("energy_floor must be 1.0.*use_energy=True", lambda: K.mfcc(energy_floor=0.0)),
    "odd frame": ("even number of samples.*frame_length=25 ms, which is 275 samples",
                  lambda: K.fbank(sample_frequency=11025.0, round_to_power_of_two=False)),
    "no shift": ("frame_shift must be at least 1 sample, got frame_shift=0.01 ms", lambda: K.fbank(
        frame_shift=0.01)),
    "bands": ("num_mel_bins must be an int >= 4", lambda: K.fbank(num_mel_bins=3)),
    "num_ceps": ("n_out must be <= the number of channels", lambda: K.mfcc(num_ceps=24)),
    "high_freq": ("f_max must be <= sample_rate / 2", lambda: K.fbank(high_freq=9000.0)),
}  # fmt: skip


@quiet
@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    message, call = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        call()


if __name__ == "__main__":
    write()
