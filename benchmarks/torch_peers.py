"""The peers on PyTorch: torchaudio, ``torch.stft`` with a mel product, and nnAudio."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jobs import Job, TorchJob, torch_device
from sizes import FLOOR, Size, mel_bank


def torchaudio_jobs(size: Size) -> dict[str, Job]:
    import torch
    import torchaudio

    transform = torchaudio.transforms.MelSpectrogram(
        size.sample_rate,
        n_fft=size.n_fft,
        hop_length=size.hop_length,
        n_mels=size.n_mels,
        norm="slaney",
        mel_scale="slaney",
    ).to(torch_device())
    return _jobs(lambda x: torch.log(torch.clamp(transform(x), min=FLOOR)))


def stft_jobs(size: Size) -> dict[str, Job]:
    """The power as the sum of two squares, the fastest of several ways to write it."""
    import torch

    device = torch_device()
    window = torch.hann_window(size.n_fft, device=device)
    bank = torch.from_numpy(mel_bank(size)).to(device)

    def features(x: Any, bank: Any = bank) -> Any:
        spectrum = torch.stft(
            x, size.n_fft, size.hop_length, window=window, return_complex=True, pad_mode="reflect"
        )
        power = spectrum.real.square() + spectrum.imag.square()
        return torch.log(torch.clamp(torch.matmul(bank, power), min=FLOOR))

    learned = bank.clone().requires_grad_()
    jobs = _jobs(features)
    jobs["bank"] = TorchJob(lambda x: torch.autograd.grad(features(x, learned).sum(), learned)[0])
    return jobs


def nnaudio_jobs(size: Size) -> dict[str, Job]:
    """A Fourier transform by convolution."""
    import torch
    from nnAudio.features.mel import MelSpectrogram

    def layer(**options: bool) -> Any:
        return MelSpectrogram(
            sr=size.sample_rate,
            n_fft=size.n_fft,
            hop_length=size.hop_length,
            n_mels=size.n_mels,
            verbose=False,
            **options,
        ).to(torch_device())

    fixed, learned = layer(), layer(trainable_mel=True)

    def features(x: Any, layer: Any = fixed) -> Any:
        return torch.log(torch.clamp(layer(x), min=FLOOR))

    jobs = _jobs(features)
    jobs["bank"] = TorchJob(
        lambda x: torch.autograd.grad(features(x, learned).sum(), learned.mel_basis)[0]
    )
    return jobs


def _jobs(features: Callable[[Any], Any]) -> dict[str, Job]:
    import torch

    def forward(x: Any) -> Any:
        with torch.no_grad():
            return features(x)

    def gradient(x: Any) -> Any:
        at = x.detach().requires_grad_()
        return torch.autograd.grad(features(at).sum(), at)[0]

    return {"forward": TorchJob(forward), "gradient": TorchJob(gradient)}
