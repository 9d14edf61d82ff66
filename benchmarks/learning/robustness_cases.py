"""What `robustness` tries: presets, learnable front-ends, and other libraries' features."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxspec import FrontEnd, presets, stages

RATE = 16000
SIZES = {"n_fft": 512, "hop_length": 160}
PLAIN = ("spectrogram", "log_mel", "mfcc", "pcen", "gammatone", "learnable_mel")


class Case(NamedTuple):
    """What is tried: ``make()`` gives a JAX function of parameters and a waveform, with them.

    For a peer on PyTorch it gives a function of a waveform, and parameters by name.
    """

    group: str
    name: str
    make: Callable[[], tuple[Callable[..., Any], dict[str, Any]]]
    sample_rate: float = RATE
    torch: bool = False


def _of(frontend: FrontEnd) -> tuple[Callable[..., Any], Any]:
    return frontend.apply, frontend.init(jax.random.key(0))


def preset_cases() -> Iterator[Case]:
    for name in presets.names():
        group = "plain presets" if name in PLAIN else "presets of models"
        rate = presets.sample_rate(name) or RATE
        yield Case(group, name, lambda name=name: _of(presets.get(name)), rate)


def learnable_cases() -> Iterator[Case]:
    stft = stages.STFT(**SIZES, win_length=400)
    adaptive = {**SIZES, "win_length": 400, "learn": "all"}
    banded = {"learn": "all", "n_bands": 20}

    def bank(layout="fixed", **options):
        options = {"shape": "gaussian"} | options
        return stages.Filterbank(
            sample_rate=RATE,
            n_fft=512,
            n_bands=20,
            layout=layout,
            f_min=60.0,
            f_max=7600.0,
            **options,
        )

    banks = {layout: bank(layout) for layout in ("scale", "warp", "gaps", "free")}
    banks["gaps, range and gains"] = bank("gaps", learn=("gaps", "widths", "range", "gains"))
    banks["exponents"] = bank("warp", shape="generalized_gaussian")
    for name, own in banks.items():
        chain = FrontEnd(stft, stages.Power(), own, stages.Ln())
        yield Case("learnable", f"Filterbank: {name}", partial(_of, chain))
    analyses = {
        f"AdaptiveSTFT: {family}": stages.AdaptiveSTFT(**adaptive, family=family)
        for family in ("hann", "gaussian", "kaiser", "cosine", "free")
    }
    analyses["AdaptiveSTFT: per bin"] = stages.AdaptiveSTFT(**adaptive, per_bin=True)
    analyses["AdaptiveHopSTFT"] = stages.AdaptiveHopSTFT(**adaptive, min_hop=100)
    analyses["BasisSTFT"] = stages.BasisSTFT(**SIZES, win_length=400)
    for name, own in analyses.items():
        chain = FrontEnd(own, stages.Power(), bank(), stages.Ln())
        yield Case("learnable", name, partial(_of, chain))
    compressions = {
        "PCEN": stages.PCEN(**banded),
        "PCEN: mix": stages.PCEN(**banded, mix=(0.015, 0.02, 0.04, 0.08)),
        "LogOffset": stages.LogOffset(**banded),
        "Root": stages.Root(**banded),
        "LogPowerBlend": stages.LogPowerBlend(**banded),
        "DynamicRange": stages.DynamicRange(**banded),
        "LogTBN": stages.LogTBN(**banded),
        "LogTBN: median": stages.LogTBN(**banded, over_time="append"),
        "LogTBN: normalize": stages.LogTBN(**banded, over_time="normalize"),
    }
    for name, own in compressions.items():
        chain = FrontEnd(stft, stages.Power(), bank(), own)
        yield Case("learnable", name, partial(_of, chain))


def librosax_cases() -> Iterator[Case]:
    from flax import nnx
    from librosax import feature, layers, power_to_db

    def mel(x, power=2.0):
        return feature.melspectrogram(y=x, sr=RATE, n_mels=40, power=power, **SIZES)

    def trained():
        spectrogram = layers.Spectrogram(**SIZES)
        bank = layers.LogMelFilterBank(sr=RATE, n_fft=512, n_mels=40, freeze_parameters=False)
        graph, params = nnx.split(bank)
        return lambda params, x: nnx.merge(graph, params)(spectrogram(x)), params

    chains = {
        "log-mel": lambda _, x: power_to_db(mel(x)),
        "log-mel of magnitudes": lambda _, x: jnp.log(jnp.maximum(mel(x, 1.0), 1e-5)),
        "mfcc": lambda _, x: feature.mfcc(y=x, sr=RATE, n_mels=40, **SIZES),
    }
    for name, chain in chains.items():
        yield Case("librosax", name, lambda chain=chain: (chain, {}))
    yield Case("librosax", "LogMelFilterBank, trained", trained)


def korvax_cases() -> Iterator[Case]:
    import korvax

    def mel(x, power=2.0):
        return korvax.mel_spectrogram(x, sr=RATE, n_mels=40, power=power, **SIZES)

    chains = {
        "log-mel": lambda _, x: korvax.power_to_db(mel(x)),
        "log-mel of magnitudes": lambda _, x: jnp.log(jnp.maximum(mel(x, 1.0), 1e-5)),
        "mfcc": lambda _, x: korvax.mfcc(x, sr=RATE, n_mels=40, **SIZES),
    }
    for name, chain in chains.items():
        yield Case("korvax", name, lambda chain=chain: (chain, {}))


def torchaudio_cases() -> Iterator[Case]:
    import torchaudio

    def mel(**options):
        made = {"n_mels": 40, **SIZES, **options}
        return torchaudio.transforms.MelSpectrogram(RATE, **made)

    def kaldi():
        options = {"num_mel_bins": 40, "sample_frequency": RATE}
        return lambda x: torchaudio.compliance.kaldi.fbank(x[None], **options), {}

    def log_mel():
        one, other = mel(), torchaudio.transforms.AmplitudeToDB()
        return lambda x: other(one(x)), {}

    def magnitudes():
        one = mel(power=1.0)
        return lambda x: one(x).clamp(min=1e-5).log(), {}

    chains = {"log-mel": log_mel, "log-mel of magnitudes": magnitudes, "kaldi.fbank": kaldi}
    for name, make in chains.items():
        yield Case("torchaudio", name, make, torch=True)


def nnaudio_cases() -> Iterator[Case]:
    from nnAudio import features

    def log_mel(**options):
        made = {"sr": RATE, "n_mels": 40, "verbose": False, **SIZES, **options}
        layer = features.mel.MelSpectrogram(**made)
        return lambda x: layer(x).clamp(min=1e-10).log(), dict(layer.named_parameters())

    def magnitude(**options):
        layer = features.stft.STFT(**SIZES, output_format="Magnitude", verbose=False, **options)
        return layer, dict(layer.named_parameters())

    chains = {
        "log-mel": log_mel,
        "log-mel, trained": partial(log_mel, trainable_mel=True, trainable_STFT=True),
        "STFT magnitude": magnitude,
        "STFT magnitude, trained": partial(magnitude, trainable=True),
    }
    for name, make in chains.items():
        yield Case("nnAudio", name, make, torch=True)


def speechbrain_cases() -> Iterator[Case]:
    from speechbrain.lobes.features import Fbank, Leaf

    def fbank(**options):
        layer = Fbank(sample_rate=RATE, n_mels=40, **options)
        return lambda x: layer(x[None]), dict(layer.named_parameters())

    def leaf():
        layer = Leaf(out_channels=40, in_channels=1, sample_rate=RATE)
        return lambda x: layer(x[None, :, None]), dict(layer.named_parameters())

    chains = {"Fbank": fbank, "Fbank, trained": partial(fbank, requires_grad=True), "Leaf": leaf}
    for name, make in chains.items():
        yield Case("speechbrain", name, make, torch=True)


PEERS = {
    "librosax": librosax_cases,
    "korvax": korvax_cases,
    "torchaudio": torchaudio_cases,
    "nnAudio": nnaudio_cases,
    "speechbrain": speechbrain_cases,
}


def all_cases() -> tuple[list[Case], list[str]]:
    """All that can be tried here, and the libraries that are not installed."""
    cases, missing = [*preset_cases(), *learnable_cases()], []
    for name, make in PEERS.items():
        try:
            importlib.import_module(name)
        except ImportError:
            missing.append(name)
        else:
            cases += make()
    return cases, missing
