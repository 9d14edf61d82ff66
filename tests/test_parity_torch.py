"""The values of torch and torchaudio, from the committed arrays in ``goldens`` (see its README)."""

import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import relative_max_error, t2

import jaxspec

GOLDENS = dict(np.load(Path(__file__).parent / "goldens" / "torch.npz"))
META = json.loads(GOLDENS.pop("meta").item())
VOICE = GOLDENS.pop("voice")
del GOLDENS["versions"]
CLIPS = {"t2": t2(), "v": VOICE.astype(np.float64)}
SR = 16000


def stored(whole, key):
    """The part of an array that the file holds."""
    whole = np.asarray(whole)
    part = META.get(key)
    if part is None:
        return whole
    assert list(whole.shape) == list(part["shape"])
    for axis, index in enumerate(part["index"]):
        if index is not None:
            whole = np.take(whole, np.asarray(index) % whole.shape[axis], axis=axis)
    return whole


# How every array is made here: name (without the clip) -> function of the clip.

FRAMES = {"n_fft": 512, "hop_length": 160, "win_length": 400}
BANDS = FRAMES | {"sample_rate": SR, "n_mels": 40, "mel_scale": "htk", "norm": None}
SLANEY = BANDS | {"mel_scale": "slaney", "norm": "slaney"}
CEPSTRA = BANDS | {"n_mfcc": 13}
LOGS = {"htk.none": BANDS, "slaney.slaney": SLANEY}

MAKERS = {
    "preemphasis": partial(jaxspec.preemphasis, coef=0.97),
    "mfcc.db": partial(jaxspec.mfcc, **CEPSTRA),
    "mfcc.log": partial(jaxspec.mfcc, **CEPSTRA, log="ln", floor="add", amin=1e-6, top_db=None),
    "lfcc.db": partial(jaxspec.lfcc, **FRAMES, sample_rate=SR, n_bands=40, n_lfcc=13),
}
for n_fft, hop, win in [(512, 160, 400), (400, 160, 400), (401, 100, 401), (300, 150, 201)]:
    name = f"stft.{n_fft}.{hop}.{win}"
    stft = partial(jaxspec.stft, n_fft=n_fft, hop_length=hop, win_length=win)
    MAKERS[f"{name}.uncentered"] = partial(stft, center=False)
    for theirs, mine in [("reflect", "reflect"), ("constant", "constant"), ("replicate", "edge")]:
        MAKERS[f"{name}.{theirs}"] = partial(stft, pad_mode=mine)
for normalized in (None, "window", "frame_length"):
    for power in ("2", "1", "0.5"):
        name = f"spectrogram.{str(normalized).lower()}.power{power}"
        options = FRAMES | {"normalized": normalized, "power": float(power)}
        MAKERS[name] = partial(jaxspec.spectrogram, **options)
for name, options in LOGS.items():
    MAKERS[f"mel.{name}"] = partial(jaxspec.mel_spectrogram, **options)
    MAKERS[f"log_mel.{name}"] = partial(jaxspec.log_mel_spectrogram, **options)
for width in (3, 5, 9):
    MAKERS[f"deltas.{width}"] = lambda x, width=width: jaxspec.delta(
        jaxspec.log_mel_spectrogram(x, **BANDS), width=width
    )
for name, top_db in [("none", None), ("top80", 80.0)]:
    MAKERS[f"decibel.power.{name}"] = partial(
        jaxspec.log_mel_spectrogram, **BANDS, log="db", top_db=top_db
    )
    # torchaudio floors magnitudes at 1e-10, too.
    MAKERS[f"decibel.magnitude.{name}"] = lambda x, top_db=top_db: jaxspec.amplitude_to_db(
        jaxspec.mel_spectrogram(x, **BANDS, power=1.0), amin=1e-10, top_db=top_db
    )


def _lowpassed(x, length):
    spectrum = jaxspec.stft(x, **FRAMES).at[:, 40:].set(0)
    return jaxspec.istft(spectrum, **FRAMES, length=length)


MAKERS["istft"] = lambda x: jaxspec.istft(jaxspec.stft(x, **FRAMES), **FRAMES, length=16000)
MAKERS["istft.lowpass"] = partial(_lowpassed, length=16000)
MAKERS["istft.lowpass.short"] = partial(_lowpassed, length=15950)

TABLES = {
    "linear_fbanks": partial(
        jaxspec.filterbank, sample_rate=SR, n_fft=512, n_bands=40, scale="linear"
    ),
    "create_dct.ortho": partial(jaxspec.dct_matrix, 40, n_out=13),
    "create_dct.none": partial(jaxspec.dct_matrix, 40, n_out=13, norm=None),
}
for scale in ("htk", "slaney"):
    for name, norm in [("none", None), ("slaney", "slaney")]:
        TABLES[f"melscale_fbanks.{scale}.{name}"] = partial(
            jaxspec.mel_filterbank, sample_rate=SR, n_fft=512, n_mels=40, mel_scale=scale, norm=norm
        )
for name in ("hann", "hamming", "blackman", "bartlett", "kaiser"):
    for kind in ("periodic", "symmetric"):
        for length in (8, 5):
            TABLES[f"window.{name}.{kind}.{length}"] = partial(
                jaxspec.window,
                ("kaiser", 12.0) if name == "kaiser" else name,
                length,
                periodic=kind == "periodic",
            )

GRADIENTS = {
    "gradient.log_mel": lambda x, weights: jnp.sum(
        jaxspec.log_mel_spectrogram(x, **BANDS) * weights
    ),
    "gradient.magnitude": lambda x, weights: jnp.sum(
        jaxspec.spectrogram(x, n_fft=512, hop_length=160, power=1.0)
    ),
}

SINGLE = [key for key in GOLDENS if key.endswith(".f32")]
WEIGHTS = [key for key in GOLDENS if key.startswith("gradient.weights")]
GRADIENT_KEYS = [k for k in GOLDENS if k.startswith("gradient") and k not in WEIGHTS]
DEEMPHASIS = [key for key in GOLDENS if key.startswith("deemphasis")]
DOUBLE = [
    key for key in GOLDENS if key not in {*TABLES, *SINGLE, *WEIGHTS, *GRADIENT_KEYS, *DEEMPHASIS}
]

# Where bins are 0 but for rounding, or bands near the floor, the README says how closely any
# float64 program can meet the values.
LOOSE = {
    "spectrogram.none.power0.5.t2": 1e-8,
    "spectrogram.window.power0.5.t2": 1e-8,
    "spectrogram.frame_length.power0.5.t2": 1e-8,
    "log_mel.htk.none.t2": 1e-10,
    "log_mel.slaney.slaney.t2": 1e-10,
    "decibel.power.none.t2": 1e-10,
    "decibel.magnitude.none.t2": 1e-10,
    "decibel.power.top80.t2": 1e-12,
    "decibel.magnitude.top80.t2": 1e-12,
    "mfcc.db.t2": 1e-12,
    "lfcc.db.t2": 1e-12,
    "gradient.log_mel.t2": 1e-7,
    "gradient.magnitude.t2": 1e-8,
}


def test_every_array_is_compared():
    made = {key.rpartition(".")[0] for key in DOUBLE}
    assert made == set(MAKERS)
    assert set(TABLES) <= set(GOLDENS)
    assert {key.rpartition(".")[0] for key in GRADIENT_KEYS} == set(GRADIENTS)


@pytest.mark.parametrize("key", TABLES)
def test_tables(key):
    mine = TABLES[key]()
    assert mine.dtype == np.float64
    assert relative_max_error(stored(mine, key), GOLDENS[key]) <= 1e-13


@pytest.mark.usefixtures("x64", "strict")
@pytest.mark.parametrize("key", DOUBLE)
def test_float64(key):
    name, _, clip = key.rpartition(".")
    mine = MAKERS[name](jnp.asarray(CLIPS[clip]))
    assert relative_max_error(stored(mine, key), GOLDENS[key]) <= LOOSE.get(key, 1e-13)


@pytest.mark.usefixtures("x64", "strict")
@pytest.mark.parametrize("key", GRADIENT_KEYS)
def test_gradient(key):
    name, _, clip = key.rpartition(".")
    weights = jnp.asarray(GOLDENS[f"gradient.weights.{clip}"])
    mine = jax.jit(jax.grad(GRADIENTS[name]))(jnp.asarray(CLIPS[clip]), weights)
    assert relative_max_error(stored(mine, key), GOLDENS[key]) <= LOOSE.get(key, 1e-13)


@pytest.mark.usefixtures("x64", "strict")
@pytest.mark.parametrize("key", DEEMPHASIS)
def test_preemphasis_undoes_deemphasis(key):
    clip = CLIPS[key.rpartition(".")[2]] * (0.05 if ".quiet." in key else 1.0)
    index = np.asarray(META[key]["index"][0]) % META[key]["shape"][0]
    filtered = GOLDENS[key]
    before = filtered[np.flatnonzero(np.diff(index) == 1)]
    here = 1 + np.flatnonzero(np.diff(index) == 1)
    # torchaudio clips the result, from which there is no way back.
    usable = (np.abs(before) < 1) & (np.abs(filtered[here]) < 1)
    assert usable.sum() > 20
    pairs = jnp.asarray(np.stack([before, filtered[here]], axis=-1)[usable])
    mine = jaxspec.preemphasis(pairs, coef=0.97)[:, 1]
    np.testing.assert_allclose(mine, clip[index[here][usable]], rtol=0, atol=1e-14)


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("key", SINGLE)
def test_float32_is_as_precise_as_torchaudio(key):
    """Log mel of V, within rounding; of T2, whose bands lie near the floor, as good as theirs."""
    double = key.removesuffix(".f32")
    name, _, clip = double.rpartition(".")
    mine = MAKERS[name](jnp.asarray(CLIPS[clip].astype(np.float32)))
    assert mine.dtype == jnp.float32
    # The float64 twin is stored at the same places or whole.
    truth = GOLDENS[double]
    if truth.shape != GOLDENS[key].shape:
        truth = stored(truth, key)
    error = np.abs(stored(mine, key) - truth).max()
    theirs = np.abs(GOLDENS[key] - truth).max()
    assert error <= 2 * theirs
    if clip == "v":
        assert np.abs(stored(mine, key) - GOLDENS[key]).max() <= 1e-4


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("key", [key for key in DOUBLE if key.endswith(".v")])
def test_float32(key):
    """V keeps clear of every floor, so float32 meets the float64 values within rounding."""
    mine = MAKERS[key.removesuffix(".v")](jnp.asarray(VOICE))
    assert mine.dtype in (jnp.float32, jnp.complex64)
    assert relative_max_error(stored(mine, key), GOLDENS[key]) <= 2e-6
