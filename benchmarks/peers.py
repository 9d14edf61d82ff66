"""The peers: how each computes a log-mel spectrogram, and its gradients where it has them.

Each function makes the jobs of one peer at one size, named by what they measure:

- ``forward``: the features of the clips;
- ``gradient``: of the sum of the features, to the waveform;
- ``bank``: of the sum of the features, to the filterbank. A peer takes the mel matrix as its
  parameter; jaxspec has the two jobs ``gaps`` (Gaussian bands whose places and widths are learned)
  and ``free`` (every weight is learned).

Features stay in the layout that the peer prefers. Where a library has no mel spectrogram or no
logarithm of its own, those are written as an expert would. Libraries are imported where they are
used, because every peer runs in a process of its own. PyTorch's peers are in `torch_peers`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import floor
import numpy as np
import torch_peers
from jobs import JaxJob, Job
from sizes import FLOOR, Size, mel_bank

Jobs = dict[str, Job]


class Peer(NamedTuple):
    """How to make the jobs of a peer, and what the tables should say about it."""

    make: Callable[[Size], Jobs]
    packages: tuple[str, ...]  # whose versions the table names, the first one's in the first place
    bands_first: bool = True  # its features are (…, bands, frames)
    same: bool = True  # it computes the same features, so that an error can be stated
    gpu: bool = True  # it can run on a GPU


def jaxspec_jobs(size: Size) -> Jobs:
    import jax

    import jaxspec
    from jaxspec import FrontEnd, stages

    sizes = {"n_fft": size.n_fft, "hop_length": size.hop_length}

    def features(x: jax.Array) -> jax.Array:
        return jaxspec.log_mel_spectrogram(
            x, sample_rate=size.sample_rate, n_mels=size.n_mels, amin=FLOOR, **sizes
        )

    def learned(**options: str) -> Job:
        frontend = FrontEnd(
            stages.STFT(**sizes),
            stages.Power(),
            stages.Filterbank(
                sample_rate=size.sample_rate, n_fft=size.n_fft, n_bands=size.n_mels, **options
            ),
            stages.Ln(amin=FLOOR),
        )
        return JaxJob(
            jax.grad(lambda params, x: frontend.apply(params, x).sum()),
            lambda: (frontend.init(jax.random.key(0)),),
        )

    return {
        "forward": JaxJob(features),
        "gradient": JaxJob(jax.grad(lambda x: features(x).sum())),
        "gaps": learned(shape="gaussian", layout="gaps"),
        "free": learned(layout="free"),
    }


def librosax_jobs(size: Size) -> Jobs:
    import jax.numpy as jnp
    import librosax

    sizes = {"n_fft": size.n_fft, "hop_length": size.hop_length, "pad_mode": "reflect"}

    def features(x: Any) -> Any:
        mel = librosax.feature.melspectrogram(y=x, sr=size.sample_rate, n_mels=size.n_mels, **sizes)
        return jnp.log(jnp.maximum(mel, FLOOR))

    def with_bank(bank: Any, x: Any) -> Any:
        spectrum = librosax.stft(x, **sizes)
        return _log_mel(bank, spectrum.real**2 + spectrum.imag**2)

    return _jax_jobs(size, features, with_bank)


def korvax_jobs(size: Size) -> Jobs:
    import jax.numpy as jnp
    import korvax

    sizes = {"n_fft": size.n_fft, "hop_length": size.hop_length}
    sizes["pad_kwargs"] = {"mode": "reflect"}

    def features(x: Any) -> Any:
        mel = korvax.mel_spectrogram(x, sr=size.sample_rate, n_mels=size.n_mels, **sizes)
        return jnp.log(jnp.maximum(mel, FLOOR))

    def with_bank(bank: Any, x: Any) -> Any:
        return _log_mel(bank, korvax.spectrogram(x, **sizes))

    return _jax_jobs(size, features, with_bank)


def jax_scipy_jobs(size: Size) -> Jobs:
    """``jax.scipy.signal.stft``, which divides by the sum of the window: the bank undoes that."""
    import jax.numpy as jnp
    import jax.scipy.signal

    half = size.n_fft // 2
    bank = mel_bank(size) * np.float32(half**2)  # a periodic Hann window sums to n_fft / 2

    def with_bank(bank: Any, x: Any) -> Any:
        _, _, spectrum = jax.scipy.signal.stft(
            jnp.pad(x, ((0, 0), (half, half)), mode="reflect"),
            window="hann",
            nperseg=size.n_fft,
            noverlap=size.n_fft - size.hop_length,
            boundary=None,
            padded=False,
        )
        return _log_mel(bank, spectrum.real**2 + spectrum.imag**2)

    return _jax_jobs(size, lambda x: with_bank(bank, x), with_bank)


def librosa_jobs(size: Size) -> Jobs:
    import librosa

    def features(x: np.ndarray) -> np.ndarray:
        mel = librosa.feature.melspectrogram(
            y=x,
            sr=size.sample_rate,
            n_fft=size.n_fft,
            hop_length=size.hop_length,
            n_mels=size.n_mels,
            pad_mode="reflect",
        )
        np.maximum(mel, FLOOR, out=mel)
        return np.log(mel, out=mel)

    return {"forward": Job(features)}


def numpy_jobs(size: Size) -> Jobs:
    """What an expert would write: clip by clip, in pieces that stay near the cache, in place."""
    import scipy.fft
    import scipy.signal

    window = scipy.signal.get_window("hann", size.n_fft).astype(np.float32)
    bank = np.ascontiguousarray(mel_bank(size).T)
    half, cores, piece = size.n_fft // 2, os.cpu_count(), 2048

    def features(x: np.ndarray) -> np.ndarray:
        padded_length = x.shape[-1] + 2 * half
        frames = 1 + (padded_length - size.n_fft) // size.hop_length
        out = np.empty((len(x), frames, size.n_mels), np.float32)
        for clip, mel in zip(x, out, strict=True):
            padded = np.pad(clip, half, mode="reflect")
            framed = np.lib.stride_tricks.sliding_window_view(padded, size.n_fft)
            framed = framed[:: size.hop_length]
            for start in range(0, frames, piece):
                at = slice(start, start + piece)
                spectrum = scipy.fft.rfft(framed[at] * window, workers=cores)
                power = spectrum.real**2
                power += spectrum.imag**2
                np.matmul(power, bank, out=mel[at])
        np.maximum(out, FLOOR, out=out)
        return np.log(out, out=out)

    return {"forward": Job(features)}


def audioflux_jobs(size: Size) -> Jobs:
    """FFT lengths are powers of two, so 400 becomes 512; frames are not centred."""
    import audioflux
    from audioflux import type as kinds

    transform = audioflux.BFT(
        num=size.n_mels,
        radix2_exp=(size.n_fft - 1).bit_length(),
        samplate=size.sample_rate,
        slide_length=size.hop_length,
        window_type=kinds.WindowType.HANN,
        scale_type=kinds.SpectralFilterBankScaleType.MEL,
        style_type=kinds.SpectralFilterBankStyleType.SLANEY,
        normal_type=kinds.SpectralFilterBankNormalType.AREA,
        data_type=kinds.SpectralDataType.POWER,
    )

    def features(x: np.ndarray) -> np.ndarray:
        mel = transform.bft(x, result_type=1)
        np.maximum(mel, FLOOR, out=mel)
        return np.log(mel, out=mel)

    return {"forward": Job(features)}


def kaldi_jobs(size: Size) -> Jobs:
    """kaldi-native-fbank's own features: work of the same kind, with its own window and bank.

    It pads frames to powers of two, and takes lists of floats faster than arrays. The lists are
    made, and the frames fetched one by one, outside the time.
    """
    import kaldi_native_fbank

    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = size.sample_rate
    options.frame_opts.frame_length_ms = 1000 * size.n_fft / size.sample_rate
    options.frame_opts.frame_shift_ms = 1000 * size.hop_length / size.sample_rate
    options.frame_opts.snip_edges = False
    options.frame_opts.dither = 0
    options.mel_opts.num_bins = size.n_mels

    def features(lists: list[list[float]]) -> list[Any]:
        banks = []
        for clip in lists:
            bank = kaldi_native_fbank.OnlineFbank(options)
            bank.accept_waveform(size.sample_rate, clip)
            bank.input_finished()
            banks.append(bank)
        return banks

    return {"forward": Job(features, np.ndarray.tolist)}


def _log_mel(bank: Any, power: Any) -> Any:
    import jax.numpy as jnp

    return jnp.log(jnp.maximum(jnp.matmul(bank, power), FLOOR))


def _jax_jobs(
    size: Size, features: Callable[[Any], Any], with_bank: Callable[[Any, Any], Any]
) -> Jobs:
    import jax

    return {
        "forward": JaxJob(features),
        "gradient": JaxJob(jax.grad(lambda x: features(x).sum())),
        "bank": JaxJob(
            jax.grad(lambda bank, x: with_bank(bank, x).sum()), lambda: (mel_bank(size),)
        ),
    }


PEERS = {
    "jaxspec": Peer(jaxspec_jobs, ("jaxspec-audio", "jax"), bands_first=False),
    "expert NumPy": Peer(numpy_jobs, ("scipy", "numpy"), bands_first=False, gpu=False),
    "torch.stft": Peer(torch_peers.stft_jobs, ("torch",)),
    "audioFlux": Peer(audioflux_jobs, ("audioflux",), same=False, gpu=False),
    "torchaudio": Peer(torch_peers.torchaudio_jobs, ("torchaudio", "torch")),
    "librosa": Peer(librosa_jobs, ("librosa", "numpy"), gpu=False),
    "librosax": Peer(librosax_jobs, ("librosax", "jax")),
    "korvax": Peer(korvax_jobs, ("korvax", "jax")),
    "jax.scipy.signal": Peer(jax_scipy_jobs, ("jax",)),
    "nnAudio": Peer(torch_peers.nnaudio_jobs, ("nnAudio", "torch")),
    "kaldi-native-fbank": Peer(kaldi_jobs, ("kaldi-native-fbank",), same=False, gpu=False),
    "floor": Peer(floor.jobs, ("jax",), same=False, gpu=False),
}
