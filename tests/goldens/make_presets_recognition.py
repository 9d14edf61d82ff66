"""Make ``presets_recognition.npz``: what the front-ends of speech recognition give.

The tests read only the ``.npz``. To make the file again, in a virtual environment of its own
(Python 3.11, CPU is enough)::

    pip install torch==2.13.0 numpy==2.4.6 transformers==5.24.0 librosa==0.11.0
    pip install --no-deps torchaudio==2.11.0
    rm "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"/torchaudio/lib/*.so
    pip install --no-deps openai-whisper==20250625 speechbrain==1.1.2
    pip install --no-deps nemo_toolkit==3.0.0 espnet==202511
    pip install tiktoken more-itertools tqdm hyperpyyaml
    pip install typeguard torch_complex humanfriendly packaging
    python tests/goldens/make_presets_recognition.py -o tests/goldens/presets_recognition.npz

A CPU build of torch (``2.13.0+cpu``) made the committed file; ``make_torch.py`` tells why a part of
torchaudio is deleted.

All values come from the packages' own classes and functions, each run twice, over a float waveform
in [-1, 1) (the factor 32768 of Phi-4 is a part of its features):

- as shipped, in float32;
- in float64: the same code, unchanged, while torch's default dtype is float64 and the name
  ``float32`` stands for float64 in the module that holds it (see `_float64`). The filterbanks and
  windows, which are shipped in float32, are float64 as well then, and so not rounded.

Every float64 result is compared with the one in float32 before it is kept. Two packages are not
imported in the usual way: of NeMo only the file with ``FilterbankFeatures`` is loaded, with empty
stand-ins for the three modules of NeMo that it imports and does not need here; and for
openai-whisper in float64 librosa's bank takes the place of the stored one, which librosa made in
float32.

Deviations from how the models are used: Cohere's dither is off. QuartzNet and MarbleNet have the
settings of NeMo's configurations (``examples/asr/conf``: quartznet_15x5.yaml,
marblenet_3x2x64_20ms.yaml), ECAPA's mean is taken as in SpeechBrain's recipe for VoxCeleb
(``InputNormalization(norm_type="sentence", std_norm=False)``).
"""

import argparse
import contextlib
import functools
import importlib
import importlib.metadata
import importlib.util
import sys
import types
from pathlib import Path
from unittest import mock

import librosa
import numpy as np
import torch
import transformers
from store import Store

SAMPLE_RATE = 16000
#: How far float32 may be from float64: only bins close to silence get near the last two.
MOST_MEDIAN, MOST_P999, MOST = 1e-5, 2e-3, 2e-2


class _StandIn(types.ModuleType):
    """A module in which some names mean something else."""

    def __init__(self, module, **names):
        super().__init__(module.__name__)
        self._module = module
        self.__dict__.update(names)

    def __getattr__(self, name):
        return getattr(self._module, name)


@contextlib.contextmanager
def _float64(*modules):
    """Let float32 mean float64 in ``modules``, in torch's defaults and in librosa's banks."""
    names = {
        "np": _StandIn(np, float32=np.float64),
        "torch": _StandIn(
            torch, float32=torch.float64, float=torch.float64, complex64=torch.complex128
        ),
    }
    mel = functools.partial(librosa.filters.mel, dtype=np.float64)
    with contextlib.ExitStack() as stack:
        for module in modules:
            for name, stand_in in names.items():
                if hasattr(module, name):
                    stack.enter_context(mock.patch.object(module, name, stand_in))
        stack.enter_context(mock.patch.object(librosa.filters, "mel", mel))
        stack.enter_context(mock.patch.object(torch.Tensor, "float", torch.Tensor.double))
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(torch.float32)


def _version(package):
    return f"{package} {importlib.metadata.version(package)}"


def _batch(x):
    """The waveform with a batch axis, as a tensor of the current default dtype."""
    return torch.from_numpy(x)[None].to(torch.get_default_dtype())


# Original by original: ``(modules, reference, features)``, where ``features`` maps a waveform to
# (frames, channels) and looks at nothing that was made before it is called.


def extractor(name, *, key="input_features", transpose=False, call=None, listed=False, **settings):
    """A feature extractor of transformers; ``call`` are arguments of its ``__call__``."""
    cls = getattr(transformers, name)

    def features(x):
        out = cls(**settings)([x] if listed else x, **(call or {}))
        y = np.asarray(out[key][0])
        return y.T if transpose else y

    modules = [sys.modules[cls.__module__], transformers.feature_extraction_sequence_utils]
    return modules, f"{_version('transformers')} {name}", features


def whisper(n_mels, n_samples):
    import whisper.audio

    def features(x):
        x = x if n_samples is None else whisper.audio.pad_or_trim(x, n_samples)
        whisper.audio.mel_filters.cache_clear()
        stored = whisper.audio.mel_filters("cpu", n_mels)
        bank = torch.from_numpy(librosa.filters.mel(sr=SAMPLE_RATE, n_fft=400, n_mels=n_mels))
        if torch.get_default_dtype() == torch.float64:
            assert torch.allclose(stored.double(), bank, rtol=1e-6, atol=1e-12)
            stored = bank
        with mock.patch.object(whisper.audio, "mel_filters", return_value=stored):
            return whisper.audio.log_mel_spectrogram(_batch(x)[0], n_mels).T

    return [whisper.audio], f"{_version('openai-whisper')} log_mel_spectrogram", features


@functools.cache
def _nemo_features():
    """The file of NeMo that holds the front-end, without the package around it."""
    file = "nemo/collections/asr/parts/preprocessing/features.py"
    path = importlib.metadata.distribution("nemo_toolkit").locate_file(file)
    unused = {"perturb": "AudioAugmentor", "segment": "AudioSegment"}
    stubs = {"nemo.utils": types.ModuleType("nemo.utils")}
    stubs["nemo.utils"].logging = mock.MagicMock()
    for name, content in unused.items():
        full = f"nemo.collections.asr.parts.preprocessing.{name}"
        stubs[full] = types.ModuleType(full)
        setattr(stubs[full], content, None)
    parents = {name.rsplit(".", i)[0] for name in stubs for i in range(1, name.count(".") + 1)}
    stubs.update({name: types.ModuleType(name) for name in parents - set(stubs)})
    spec = importlib.util.spec_from_file_location("nemo_features", path)
    module = importlib.util.module_from_spec(spec)
    with mock.patch.dict(sys.modules, stubs):
        spec.loader.exec_module(module)
    return module


def nemo(**settings):
    module = _nemo_features()

    def features(x):
        layer = module.FilterbankFeatures(n_fft=512, **settings).eval()
        return layer(_batch(x), torch.tensor([len(x)]))[0][0].T

    return [module], f"{_version('nemo_toolkit')} FilterbankFeatures", features


def espnet():
    from espnet2.asr.frontend import default
    from espnet2.layers import log_mel, stft

    def features(x):
        frontend = default.DefaultFrontend().eval()
        return frontend(_batch(x), torch.tensor([len(x)]))[0][0].detach()

    return [default, log_mel, stft], f"{_version('espnet')} DefaultFrontend", features


def speechbrain(without_mean):
    from speechbrain.lobes import features as lobes
    from speechbrain.processing import features as processing

    def features(x):
        y = lobes.Fbank(n_mels=80)(_batch(x))
        if without_mean:
            y = processing.InputNormalization(norm_type="sentence", std_norm=False)(y)
        return y[0]

    reference = f"{_version('speechbrain')} Fbank"
    if without_mean:
        reference += " and InputNormalization"
    return [lobes, processing], reference, features


def check(preset, single, double):
    """Refuse a float64 result that differs from the float32 one by more than rounding."""
    if single.shape != double.shape or double.dtype != np.float64:
        raise ValueError(f"{preset}: {single.shape} {double.shape} {double.dtype}")
    error = np.abs(single - double)
    median, p999, most = np.median(error), np.quantile(error, 0.999), error.max()
    print(f"{preset:28} float32 - float64: {median:.1e} {p999:.1e} {most:.1e} {double.shape}")
    if median > MOST_MEDIAN or p999 > MOST_P999 or most > MOST:
        raise ValueError(f"{preset}: float32 and float64 differ too much")


def add(store, preset, original, *, double_only=False, **settings):
    """Keep the features of an original, as shipped and in float64."""
    modules, reference, features = original

    def single(x):
        return np.asarray(features(x.astype(np.float32)), np.float32)

    def double(x):
        with _float64(*modules):
            y = np.asarray(features(x))
        check(preset, single(x), y)
        return y

    settings["sample_rate"] = SAMPLE_RATE
    store.add(preset, double, reference=f"{reference}, in float64", **settings)
    if not double_only:
        store.add(preset, single, reference=reference, dtype="float32", **settings)


def make():
    """All goldens."""
    store = Store()
    keep = functools.partial(add, store)
    at16k = {"sampling_rate": SAMPLE_RATE}
    whisper_settings = {"call": at16k, "transpose": True}
    for n_mels in (80, 128):
        whisper_fe = extractor("WhisperFeatureExtractor", feature_size=n_mels, **whisper_settings)
        keep(f"whisper_{n_mels}", whisper(n_mels, 480000))
        keep(f"whisper_{n_mels}", whisper_fe, double_only=True)
        keep(f"whisper_{n_mels}", whisper(n_mels, None), options={"n_samples": None})
        parakeet_fe = extractor("ParakeetFeatureExtractor", feature_size=n_mels, call=at16k)
        parakeet = nemo(n_window_size=400, nfilt=n_mels, pad_to=0)
        keep(f"parakeet_{n_mels}", parakeet_fe)
        keep(f"parakeet_{n_mels}", parakeet, double_only=True)
        nemotron = "NemotronAsrStreamingFeatureExtractor"
        keep(f"nemotron_{n_mels}", extractor(nemotron, feature_size=n_mels, call=at16k))
    keep("quartznet", nemo(n_window_size=320, nfilt=64, pad_to=16))
    keep("marblenet", nemo(n_window_size=400, nfilt=80, pad_to=2, normalize="None"))
    keep("cohere_asr", extractor("CohereAsrFeatureExtractor", dither=0.0, call=at16k))
    keep(
        "voxtral_realtime",
        extractor("VoxtralRealtimeFeatureExtractor", call=at16k, transpose=True),
    )
    keep("granite_speech", extractor("GraniteSpeechFeatureExtractor"))
    keep("granite_speech5", extractor("GraniteSpeech5FeatureExtractor", call=at16k))
    phi4 = "Phi4MultimodalFeatureExtractor"
    keep("phi4_multimodal", extractor(phi4, key="audio_input_features", call=at16k))
    keep("gemma3n", extractor("Gemma3nAudioFeatureExtractor"))
    keep("gemma4", extractor("Gemma4AudioFeatureExtractor", listed=True))
    keep("lasr", extractor("LasrFeatureExtractor", call=at16k))
    keep("inkling", extractor("InklingFeatureExtractor", call=at16k))
    keep("espnet_asr", espnet())
    keep("speechbrain", speechbrain(without_mean=False))
    keep("ecapa", speechbrain(without_mean=True))
    return store


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description="Make the goldens of recognition front-ends.")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the .npz to write")
    args = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    make().save(args.output)


if __name__ == "__main__":
    main()
