"""Presets beside packages that run here: transformers' NumPy extractors, Kaldi's features, librosa.

The goldens of ``test_presets.py`` say more; these tests notice when a new release of a package
differs from the one that the goldens were made with.
"""

import logging
import sys
from pathlib import Path

import kaldi_native_fbank as knf
import librosa
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).with_name("goldens")))

from voice import signals

from jaxspec import presets

logging.getLogger("transformers").setLevel(logging.ERROR)  # that there is no torch


def _extract(name, **options):
    """An extractor of transformers, called with the waveform alone."""
    transformers = pytest.importorskip("transformers")
    return getattr(transformers, name)(**options)


def _whisper(x, n_mels):
    extractor = _extract("WhisperFeatureExtractor", feature_size=n_mels)
    return extractor(x, sampling_rate=16000, return_tensors="np").input_features[0].T


def _gemma3n(x):
    extractor = _extract("Gemma3nAudioFeatureExtractor")
    return extractor(x, sampling_rate=16000, return_tensors="np").input_features[0]


def _gemma4(x):
    extractor = _extract("Gemma4AudioFeatureExtractor")
    return extractor([x], sampling_rate=16000, return_tensors="np").input_features[0]


def _seamless(x, pad_value):
    extractor = _extract("SeamlessM4TFeatureExtractor", padding_value=pad_value)
    return extractor(x, sampling_rate=16000, return_tensors="np").input_features[0]


def _speech_to_text(x):
    return _extract("Speech2TextFeatureExtractor")(x, sampling_rate=16000).input_features[0]


def _speecht5(x):
    return _extract("SpeechT5FeatureExtractor")(audio_target=x, sampling_rate=16000).input_values[0]


def _univnet(x):
    extractor = _extract("UnivNetFeatureExtractor")
    return extractor(x, sampling_rate=24000, return_noise=False).input_features[0]


def _clvp(x):
    extractor = _extract("ClvpFeatureExtractor")
    y = extractor(x, sampling_rate=22050, max_length=len(x), return_tensors="np")
    return y.input_features[0].T


def _kaldi(x, kind, n_mels, snip_edges=True):
    options = knf.FbankOptions() if kind == "fbank" else knf.MfccOptions()
    options.frame_opts.dither = 0
    options.frame_opts.snip_edges = snip_edges
    options.mel_opts.num_bins = n_mels
    options.use_energy = False
    run = (knf.OnlineFbank if kind == "fbank" else knf.OnlineMfcc)(options)
    run.accept_waveform(16000, (x * 32768).tolist())
    run.input_finished()
    return np.stack([run.get_frame(t) for t in range(run.num_frames_ready)])


def _librosa_mel(x, *, sample_rate, n_fft, hop_length, power, floor, log, **bank):
    mel = librosa.feature.melspectrogram(
        y=x.astype(np.float64), sr=sample_rate, n_fft=n_fft, hop_length=hop_length, power=power,
        pad_mode="reflect", dtype=np.float64, **bank,
    )  # fmt: skip
    return log(np.maximum(mel.T, floor))


def _tacotron2(x):
    return _librosa_mel(
        x, sample_rate=22050, n_fft=1024, hop_length=256, power=1, n_mels=80, fmax=8000,
        floor=1e-5, log=np.log,
    )  # fmt: skip


def _panns(x):
    return _librosa_mel(
        x, sample_rate=32000, n_fft=1024, hop_length=320, power=2, n_mels=64, fmin=50, fmax=14000,
        floor=1e-10, log=lambda mel: 10 * np.log10(mel),
    )  # fmt: skip


def _rmvpe(x):
    return _librosa_mel(
        x, sample_rate=16000, n_fft=1024, hop_length=160, power=1, n_mels=128, fmin=30, fmax=8000,
        htk=True, floor=1e-5, log=np.log,
    )  # fmt: skip


# What runs, with the largest median and the largest difference there may be.
LIVE = {
    "whisper_80": (lambda x: _whisper(x, 80), {}, 1e-6, 1e-4),
    "whisper_128": (lambda x: _whisper(x, 128), {}, 1e-6, 1e-4),
    "gemma3n": (_gemma3n, {}, 1e-5, 1e-2),
    "gemma4": (_gemma4, {}, 1e-5, 1e-3),
    "seamless_m4t": (lambda x: _seamless(x, 0.0), {}, 1e-5, 5e-3),
    "w2v_bert": (lambda x: _seamless(x, 1.0), {}, 1e-5, 5e-3),
    "speech_to_text": (_speech_to_text, {}, 1e-5, 5e-3),
    "speecht5": (_speecht5, {}, 1e-5, 5e-3),
    "univnet": (_univnet, {}, 1e-5, 5e-3),
    "clvp": (_clvp, {}, 1e-5, 5e-3),
    "kaldi_fbank": (lambda x: _kaldi(x, "fbank", 80), {}, 2e-5, 2e-2),
    "kaldi_fbank mirrored": (
        lambda x: _kaldi(x, "fbank", 40, False), {"snip_edges": False, "n_mels": 40}, 2e-5, 2e-2
    ),
    "kaldi_mfcc": (lambda x: _kaldi(x, "mfcc", 23), {}, 1e-4, 2e-2),
    "tacotron2": (_tacotron2, {}, 1e-5, 1e-2),
    "panns_32k": (_panns, {}, 5e-5, 5e-2),
    "rmvpe": (_rmvpe, {}, 1e-5, 1e-2),
}  # fmt: skip


@pytest.mark.parametrize("name", LIVE)
@pytest.mark.parametrize("signal", ["odd", "gap"])
def test_equals_the_package(name, signal):
    original, options, median, most = LIVE[name]
    preset = name.split(" ")[0]
    x = signals(presets.sample_rate(preset))[signal].astype(np.float32)
    y = np.asarray(presets.get(preset, **options)(x), np.float64)
    expected = np.asarray(original(x.copy()), np.float64)
    assert y.shape == expected.shape
    difference = np.abs(y - expected)
    assert np.median(difference) <= median
    assert difference.max() <= most
