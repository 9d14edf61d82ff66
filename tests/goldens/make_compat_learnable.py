"""Make ``compat_learnable.npz``: trainable front-ends before training, and their gradients.

The tests read only the ``.npz``. To make the file again, in a virtual environment of its own
(Python 3.11, CPU is enough; torch was the build ``2.13.0+cpu``)::

    pip install numpy==2.4.6 scipy torch==2.13.0 librosa==0.11.0 matplotlib
    pip install --no-deps torchaudio==2.11.0 speechbrain==1.1.2 nnAudio==0.3.4 dstft==3.0.0
    pip install hyperpyyaml joblib sentencepiece tqdm packaging huggingface_hub requests
    rm "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"/torchaudio/lib/*.so
    OMP_NUM_THREADS=1 python tests/goldens/make_compat_learnable.py

Everything runs in float64, with torch's default dtype set to it.

What runs unchanged: ``speechbrain.processing.features.Filterbank``, ``speechbrain.lobes.features
.Fbank`` (but that the zeros and ones of its rectangular filters are float32, and are widened) and
``dstft.DSTFT``. ``nnAudio.features.STFT`` and ``MelSpectrogram`` run unchanged, too,
but their numbers, which they round to float32, are put in again in float64: the kernels by the
formula, the mel matrix by ``nnAudio.librosa_functions.get_mel`` with another dtype; the script
checks that they differ by the rounding only.

What is a recipe of a paper's formula, in torch:

- FastAudio: the code that came with the paper needs a GPU. Bands of speechbrain with centres
  clipped to [0, 1/2] and bands to [3.1, 603.7] / 16000, both over the sample rate. Where no limit
  is met, the script checks it against speechbrain.
- DMEL: a Gaussian window with unit energy, ``torch.stft`` with zeros beyond the ends, and
  ``torchaudio.functional.melscale_fbanks``, of the clip less its mean; the quick variant (a frame
  of the next power of two) and the exact one (a window as long as the clip in a frame twice that).
- PCEN of 2017: ``torch.stft`` with a periodic Hann window and reflection, ``librosa.filters.mel``,
  a recursion for each smoother from the first frame on, their mixture, the formula as printed.

Losses are ``sum(cos(i) y_i)`` over the ``i``-th values of the features, frames before channels. The
key ``cases`` is JSON: for each system and case the arguments and the signal; ``signatures`` the
arguments of the packages' functions with their defaults; ``versions`` the versions.
"""

import importlib.metadata
import inspect
import json
import pathlib

import librosa
import numpy as np
import torch
import torchaudio
from dstft import DSTFT
from nnAudio import features as nnaudio
from nnAudio.librosa_functions import get_mel, pad_center
from scipy.signal import get_window
from speechbrain.lobes.features import Fbank
from speechbrain.processing.features import Filterbank
from voice import signals

torch.set_default_dtype(torch.float64)

SR = 16000

STFTS = {
    "defaults": {},
    "magnitude": {"n_fft": 256, "hop_length": 96, "output_format": "Magnitude"},
    "trainable": {"n_fft": 128, "win_length": 100, "window": "hamming", "trainable": True},
    "trainable magnitude": {
        "n_fft": 129,
        "hop_length": 50,
        "pad_mode": "constant",
        "trainable": True,
        "output_format": "Magnitude",
    },
    "uncentered": {"n_fft": 256, "window": ("kaiser", 8.0), "center": False},
}
MELS = {
    "defaults": {},
    "mel": {"sr": SR, "n_fft": 256, "hop_length": 128, "n_mels": 24, "trainable_mel": True},
    "both": {
        "sr": SR,
        "n_fft": 128,
        "hop_length": 80,
        "n_mels": 12,
        "trainable_mel": True,
        "trainable_STFT": True,
        "htk": True,
        "norm": None,
        "fmin": 50.0,
        "fmax": 7000.0,
    },
    "magnitude": {
        "sr": SR,
        "n_fft": 128,
        "hop_length": None,
        "win_length": 96,
        "n_mels": 12,
        "power": 1.0,
        "trainable_STFT": True,
        "pad_mode": "constant",
        "window": "hamming",
    },
    "power": {
        "sr": SR,
        "n_fft": 128,
        "n_mels": 12,
        "power": 1.5,
        "trainable_mel": True,
        "trainable_STFT": True,
        "center": False,
        "hop_length": 64,
    },
}
FBANKS = {
    "defaults": {},
    "learned": {"requires_grad": True},
    "gaussian": {"requires_grad": True, "filter_shape": "gaussian", "n_mels": 23, "f_min": 60},
    "rectangular": {"filter_shape": "rectangular", "n_mels": 30, "f_min": 50, "f_max": 7000},
    "long frame": {"requires_grad": True, "n_mels": 10, "n_fft": 512, "f_min": 30},
    "8 kHz": {
        "requires_grad": True,
        "sample_rate": 8000,
        "n_fft": 256,
        "n_mels": 16,
        "hop_length": 12.5,
        "win_length": 20,
        "f_min": 30,
    },
}
BANKS = {
    "defaults": {},
    "bands": {"log_mel": False, "freeze": False, "n_mels": 20},
    "magnitudes": {
        "freeze": False,
        "power_spectrogram": 1,
        "amin": 1e-3,
        "ref_value": 2.0,
        "top_db": 30.0,
        "n_mels": 20,
        "filter_shape": "gaussian",
    },
}
DSTFTS = {
    "fixed": {"n_fft": 128, "window_mode": "fixed"},
    "constant": {"n_fft": 128, "win_length": 90, "hop_length": 64, "window_mode": "constant"},
    "default length": {"n_fft": 128, "hop_length": 64, "window_mode": "constant"},
    "unit": {
        "n_fft": 128, "win_length": 70.5, "hop_length": 64, "window_mode": "constant",
        "normalization": "unit", "win_length_min": 20.0, "magnitude_power": 2.0, "eps": 1e-3,
    },
    "frequency": {
        "n_fft": 64, "win_length": 58, "hop_length": 48, "window_mode": "frequency",
        "normalization": "paper", "win_length_min": 10.0,
    },
    "hop": {
        "n_fft": 128, "win_length": 90, "hop_length": 70.3, "window_mode": "constant",
        "hop_mode": "constant", "hop_length_min": 40.0, "normalization": "contract",
        "magnitude_power": 1.5, "win_length_min": 16.0,
    },
    "hop alone": {
        "n_fft": 128, "win_length": 100, "hop_length": 65.2, "window_mode": "fixed",
        "hop_mode": "constant", "hop_length_min": 40.0, "hop_length_max": 100.0,
    },
}  # fmt: skip
FASTAUDIOS = {
    "defaults": {},
    "clipped": {"n_mels": 20, "f_min": 30, "f_max": 7900},
    "triangular": {"filter_shape": "triangular", "sample_rate": 8000, "n_fft": 256, "n_mels": 32},
}
DMELS = {
    "quick": {"sample_rate": SR, "n_mels": 24, "hop_length": 200},
    "bands": {"sigma": 25.0, "n_mels": 20, "f_min": 50.0, "f_max": 3800.0, "log": False},
    "exact": {"sigma": 20.0, "n_mels": 16, "hop_length": 200, "n_fft": 2 * 4124},
}
PCENS = {
    "defaults": {},
    "other": {
        "sample_rate": 8000,
        "n_fft": 256,
        "win_length": 200,
        "hop_length": 80,
        "n_mels": 20,
        "gain": 0.8,
        "bias": 0.5,
        "power": 0.25,
        "mix": [0.05, 0.3],
        "eps": 1e-4,
    },
}


def clips():
    """The signals, float64: name to ``(samples,)``; ``tests/test_compat_learnable.py`` as well."""
    voice = signals(SR)
    return {"speech": voice["odd"][3000:7124], "gap": voice["gap"][5000:9124]}


def spectrum():
    """Powers of 201 bins, over many orders of magnitude, two items."""
    rng = np.random.default_rng(3)
    return np.exp(2 * rng.standard_normal((2, 4, 201)) + np.array([[[0.0]], [[-9.0]]]))


def loss(y):
    """The scalar of the gradients."""
    return (torch.cos(torch.arange(y.numel()).to(y).reshape(y.shape)) * y).sum()


class Results:
    """Arrays under the names of a system and a case, and what the cases are."""

    def __init__(self):
        self.arrays, self.cases = {}, {}

    def add(self, system, case, options, signal, y, **gradients):
        """Keep features (some frames and channels of many), their mean and gradients.

        Of the second signal fewer frames, and no gradients.
        """
        if system != "nnaudio.STFT" and y.dtype != torch.float64:
            raise ValueError(f"{system}, {case}: {y.dtype}")
        key = f"{system}/{case}/{signal}"
        y = y.detach().numpy()
        most = [2, 5 if signal == "gap" else 12, 12][-y.ndim :]
        kept = [
            np.unique(np.round(np.linspace(0, n - 1, min(n, m))).astype(int))
            for n, m in zip(y.shape, most, strict=True)
        ]
        self.arrays[f"{key}/y"] = y[np.ix_(*kept)]
        mean = y.mean()
        for name, gradient in gradients.items() if signal != "gap" else ():
            self.arrays[f"{key}/{name}"] = gradient.numpy()
        self.cases[key] = {
            "options": options,
            "shape": y.shape,
            "kept": [k.tolist() for k in kept],
            "mean": [float(mean.real), float(mean.imag)],
        }
        print(key, y.shape, mean)


def of(x, batch=True):
    x = torch.from_numpy(x)
    return x[None] if batch else x


def widened(stft):
    """An STFT of nnAudio with its kernels in float64."""
    window = get_window(stft.window, stft.win_length, fftbins=True)
    window = pad_center(window, stft.n_fft)
    n = np.arange(stft.n_fft)
    angles = 2 * np.pi * np.arange(stft.n_fft // 2 + 1)[:, None] * n / stft.n_fft
    for name, wave in (("wcos", np.cos(angles)), ("wsin", np.sin(angles))):
        kernel = torch.from_numpy((wave * window)[:, None])
        own = getattr(stft, name)
        # 2 pi k s / n is rounded where it is large.
        if own.shape != kernel.shape or (own - kernel).abs().max() > 3e-7:
            raise ValueError(f"kernels are not those of the formula: {name}")
        own.data = kernel
    return stft


def put_nnaudio(results, signal, x):
    """STFT and MelSpectrogram of nnAudio."""
    for case, options in STFTS.items():
        stft = widened(nnaudio.STFT(**options, verbose=False))
        y = stft(of(x))[0].transpose(0, 1)
        gradients = {}
        if options.get("trainable"):
            parts = y.unbind(-1) if y.ndim == 3 else (y,)
            sum(loss(part) for part in parts).backward()
            gradients = {k: getattr(stft, k).grad[::9, 0, ::7] for k in ("wcos", "wsin")}
        y = y.detach()
        y = torch.view_as_complex(y.contiguous()) if y.ndim == 3 else y
        results.add("nnaudio.STFT", case, options, signal, y, **gradients)
    for case, options in MELS.items():
        mel = nnaudio.MelSpectrogram(**options, verbose=False)
        widened(mel.stft)
        sr, n_fft, n_mels = options.get("sr", 22050), mel.n_fft, options.get("n_mels", 128)
        bank = {k: v for k, v in options.items() if k in ("fmin", "fmax", "htk", "norm")}
        basis = torch.from_numpy(get_mel(sr, n_fft, n_mels, **bank, dtype=np.float64))
        if (mel.mel_basis - basis).abs().max() > 1e-6 * basis.max():
            raise ValueError(f"{case}: the matrix is not that of the formula")
        mel.mel_basis.data = basis
        y = mel(of(x))[0].T
        gradients = {}
        if y.requires_grad:
            loss(y).backward()
        if options.get("trainable_mel"):
            gradients["mel_basis"] = mel.mel_basis.grad[::3, ::3]
        if options.get("trainable_STFT"):
            gradients |= {k: getattr(mel.stft, k).grad[::9, 0, ::7] for k in ("wcos", "wsin")}
        results.add("nnaudio.MelSpectrogram", case, options, signal, y, **gradients)


def put_speechbrain(results, signal, x):
    """Fbank of a waveform."""
    for case, options in FBANKS.items():
        fbank = Fbank(**options)
        bank = fbank.compute_fbanks
        if options.get("filter_shape") == "rectangular":
            zeros_and_ones = bank._rectangular_filters
            bank._rectangular_filters = lambda *a, make=zeros_and_ones: make(*a).double()
        y = fbank(of(x))[0]
        gradients = {}
        if options.get("requires_grad"):
            loss(y).backward()
            gradients = {"f_central": bank.f_central.grad, "band": bank.band.grad}
        results.add("speechbrain.Fbank", case, options, signal, y, **gradients)


def put_banks(results):
    """Filterbank of spectra."""
    for case, options in BANKS.items():
        bank = Filterbank(**options)
        y = bank(torch.from_numpy(spectrum()))
        gradients = {}
        if not options.get("freeze", True):
            loss(y).backward()
            gradients = {"f_central": bank.f_central.grad, "band": bank.band.grad}
        results.add("speechbrain.Filterbank", case, options, "spectrum", y, **gradients)


def put_dstft(results, signal, x):
    """The magnitudes of dstft."""
    for case, options in DSTFTS.items():
        module = DSTFT(**options)
        module.initialize(of(x))
        if "hop_mode" not in options:
            wanted = options.get("hop_length", options["n_fft"] // 4)
            if module._effective_hop_length(device="cpu", dtype=torch.float64).item() < wanted:
                raise ValueError(f"{case}: the hop rounds to below {wanted}")
        y = module(of(x))[0][0].T
        if y.requires_grad:
            loss(y).backward()
        gradients = {
            name: raw.grad.flatten()
            for name, raw in (
                ("win_length", module._raw_win_length), ("hop_length", module._raw_hop_length)
            )
            if raw.grad is not None
        }  # fmt: skip
        results.add("dstft.DSTFT", case, options, signal, y, **gradients)


def fastaudio(
    x, sample_rate=SR, n_fft=400, win_length=25, hop_length=10, n_mels=40, f_min=0, f_max=None,
    filter_shape="gaussian",
):  # fmt: skip
    """The features of FastAudio, and its parameters."""
    window = torch.hamming_window(round(sample_rate / 1000 * win_length))
    hop = round(sample_rate / 1000 * hop_length)
    power = torch.stft(
        x, n_fft, hop, len(window), window, center=True, pad_mode="constant", return_complex=True
    ).abs() ** 2  # fmt: skip
    ends = [2595 * np.log10(1 + f / 700) for f in (f_min, f_max or sample_rate / 2)]
    hz = 700 * (10 ** (torch.linspace(*ends, n_mels + 2) / 2595) - 1)
    f_central = (hz[1:-1] / sample_rate).requires_grad_()
    band = ((hz[1:-1] - hz[:-2]) / sample_rate).requires_grad_()
    centres = sample_rate * f_central.clamp(0, 0.5)
    bands = sample_rate * band.clamp(3.1 / 16000, 603.7 / 16000)
    away = (torch.linspace(0, sample_rate / 2, n_fft // 2 + 1)[:, None] - centres) / bands
    shapes = {"gaussian": lambda v: torch.exp(-2 * v**2), "triangular": lambda v: 1 - v.abs()}
    decibels = 10 * torch.log10((power.T @ shapes[filter_shape](away).clamp(min=0)).clamp(1e-10))
    return decibels.clamp(min=(decibels.max() - 80).item()), f_central, band


def dmel(
    x, sample_rate=8000, sigma=None, n_fft=None, hop_length=None, n_mels=128, f_min=0.0, f_max=None,
    log=True,
):  # fmt: skip
    """The features of DMEL, and its parameter; ``n_fft`` means the exact variant."""
    x = x - x.mean()
    sigma = torch.tensor(0.025 * sample_rate / 6 if sigma is None else sigma).requires_grad_()
    length = 1 << (int(6 * sigma.item()) - 1).bit_length() if n_fft is None else len(x)
    window = torch.exp(-0.5 * ((torch.arange(length) - length / 2) / sigma) ** 2)
    window = window / (window**2).sum().sqrt()
    n_fft = n_fft or length
    hop = hop_length or round(0.01 * sample_rate)
    y = torch.stft(x, n_fft, hop, length, window, pad_mode="constant", return_complex=True)
    bank = torchaudio.functional.melscale_fbanks(
        n_fft // 2 + 1, f_min, f_max or sample_rate // 2, n_mels, sample_rate
    )
    y = (y.abs() ** 2).T @ bank
    return torch.log(y + 1e-10) if log else y, sigma


def pcen_2017(
    x, sample_rate=SR, n_fft=512, win_length=400, hop_length=160, n_mels=40, gain=0.98, bias=2.0,
    power=0.5, mix=(0.015, 0.02, 0.04, 0.08), eps=1e-6,
):  # fmt: skip
    """The features of the trainable PCEN, and its parameters by our names."""
    window = torch.hann_window(win_length)
    spectrum = torch.stft(x, n_fft, hop_length, win_length, window, return_complex=True)
    bank = librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=n_mels, dtype=np.float64)
    energies = (spectrum.abs() ** 2).T @ torch.from_numpy(bank.T)
    logs = {
        name: torch.full((n_mels,), float(np.log(value))).requires_grad_()
        for name, value in (("gain", gain), ("bias", bias), ("power", power))
    }
    logits = torch.zeros(n_mels, len(mix)).requires_grad_()
    smoothed = []
    for s in mix:
        levels = [energies[0]]
        for energy in energies[1:]:
            levels.append((1 - s) * levels[-1] + s * energy)
        smoothed.append(torch.stack(levels))
    level = (torch.stack(smoothed, dim=-1) * torch.softmax(logits, dim=-1)).sum(-1)
    alpha, delta, r = (z.exp() for z in logs.values())
    y = (energies / (eps + level) ** alpha + delta) ** r - delta**r
    return y, logs | {"mix": logits}


def put_papers(results, signal, x):
    """The recipes."""
    for case, options in FASTAUDIOS.items():
        y, f_central, band = fastaudio(of(x, batch=False), **options)
        if case != "clipped":
            theirs = {"filter_shape": "gaussian", "requires_grad": True} | options
            if (Fbank(**theirs)(of(x))[0] - y).abs().max() > 1e-10:
                raise ValueError(f"{case}: not speechbrain's")
        loss(y).backward()
        gradients = {"f_central": f_central.grad, "band": band.grad}
        results.add("papers.fastaudio", case, options, signal, y, **gradients)
    for case, options in DMELS.items():
        y, sigma = dmel(of(x, batch=False), **options)
        loss(y).backward()
        results.add("papers.dmel", case, options, signal, y, sigma=sigma.grad)
    for case, options in PCENS.items():
        y, params = pcen_2017(of(x, batch=False), **options)
        loss(y).backward()
        gradients = {name: z.grad for name, z in params.items()}
        results.add("papers.pcen_2017", case, options, signal, y, **gradients)


def signature(function):
    """The arguments with their defaults; those without one are ``[name]``."""
    return [
        [p.name] if p.default is inspect.Parameter.empty else [p.name, p.default]
        for p in inspect.signature(function).parameters.values()
        if p.kind is not inspect.Parameter.VAR_KEYWORD
    ]


def main():
    """Make the file."""
    results = Results()
    for signal, x in clips().items():
        put_nnaudio(results, signal, x)
        put_speechbrain(results, signal, x)
        put_dstft(results, signal, x)
        put_papers(results, signal, x)
    put_banks(results)
    originals = {
        "nnaudio.STFT": nnaudio.STFT,
        "nnaudio.MelSpectrogram": nnaudio.MelSpectrogram,
        "speechbrain.Filterbank": Filterbank,
        "speechbrain.Fbank": Fbank,
        "dstft.DSTFT": DSTFT,
    }
    packages = ("torch", "torchaudio", "speechbrain", "nnAudio", "dstft", "librosa", "numpy")
    texts = {
        "cases": results.cases,
        "signatures": {name: signature(function) for name, function in originals.items()},
        "versions": {package: importlib.metadata.version(package) for package in packages},
    }
    path = pathlib.Path(__file__).with_name("compat_learnable.npz")
    texts = {key: np.array(json.dumps(value)) for key, value in texts.items()}
    np.savez_compressed(path, **results.arrays, **texts)
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
