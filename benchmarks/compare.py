"""The same log-mel spectrogram by several libraries: time as a ratio in one run, and error.

    python benchmarks/compare.py [-o benchmarks/RESULTS.md] [--repeats 30]

Work: 16 clips of 10 s at 16 kHz, n_fft 400, hop 160, 80 mel bands, ln(max(x, 1e-10)). Repeats are
interleaved, so that every library meets the same disturbances. Libraries that are not installed
are left out: `pip install librosax` and, for the torch ones, `pip install torch==2.13.0` and
`pip install --no-deps torchaudio==2.11.0` (delete `torchaudio/lib/*.so` if it does not import).
The error is the largest difference from a float64 librosa over the bands within 80 dB of the
loudest one, in natural-log units.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import pathlib
import platform
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import librosa
import numpy as np
from tqdm import tqdm

import jaxspec

RATE, N_FFT, HOP, MELS, FLOOR = 16000, 400, 160, 80, 1e-10
Run = Callable[[], np.ndarray]


def clips(seed: int = 0) -> np.ndarray:
    """16 × 10 s of notes that glide and fade over faint noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(10 * RATE) / RATE
    pitch = rng.uniform(80, 400, (16, 1)) * (1 + 0.3 * np.sin(2 * np.pi * 0.3 * t))
    phase = 2 * np.pi * np.cumsum(pitch, axis=1) / RATE
    voice = sum(np.sin(k * phase) / k for k in range(1, 20)) * (0.5 + 0.5 * np.sin(2 * np.pi * t))
    return (0.1 * voice + 1e-3 * rng.standard_normal(voice.shape)).astype(np.float32)


def reference(x: np.ndarray) -> np.ndarray:
    """librosa, in the dtype of ``x``; (clips, frames, bands)."""
    mel = librosa.feature.melspectrogram(
        y=x, sr=RATE, n_fft=N_FFT, hop_length=HOP, n_mels=MELS, pad_mode="reflect", dtype=x.dtype
    )
    return np.log(np.maximum(mel, FLOOR)).swapaxes(-1, -2)


def jaxspec_runs(x: np.ndarray) -> tuple[Run, Run]:
    def features(x: jax.Array) -> jax.Array:
        return jaxspec.log_mel_spectrogram(
            x, sample_rate=RATE, n_fft=N_FFT, hop_length=HOP, n_mels=MELS, amin=FLOOR
        )

    return _jax_runs(features, x)


def librosax_runs(x: np.ndarray) -> tuple[Run, Run]:
    import librosax

    def features(x: jax.Array) -> jax.Array:
        mel = librosax.feature.melspectrogram(
            y=x, sr=RATE, n_fft=N_FFT, hop_length=HOP, n_mels=MELS, pad_mode="reflect"
        )
        return jnp.log(jnp.maximum(mel, FLOOR)).swapaxes(-1, -2)

    return _jax_runs(features, x)


def _jax_runs(features: Callable[[jax.Array], jax.Array], x: np.ndarray) -> tuple[Run, Run]:
    at = jnp.asarray(x)
    forward = jax.jit(features)
    gradient = jax.jit(jax.grad(lambda x: features(x).sum()))
    return (
        lambda: np.asarray(forward(at).block_until_ready()),
        lambda: np.asarray(gradient(at).block_until_ready()),
    )


def torchaudio_runs(x: np.ndarray) -> tuple[Run, Run]:
    import torch
    import torchaudio

    transform = torchaudio.transforms.MelSpectrogram(
        RATE, n_fft=N_FFT, hop_length=HOP, n_mels=MELS, norm="slaney", mel_scale="slaney"
    )

    def features(x: torch.Tensor) -> torch.Tensor:
        return torch.log(torch.clamp(transform(x), min=FLOOR)).transpose(-1, -2)

    def gradient() -> np.ndarray:
        at = torch.from_numpy(x).requires_grad_()
        features(at).sum().backward()
        return at.grad.numpy()

    def forward() -> np.ndarray:
        with torch.no_grad():
            return features(torch.from_numpy(x)).numpy()

    return forward, gradient


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-o", "--out", type=pathlib.Path, help="Markdown file to write")
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()

    x = clips()
    truth = reference(x.astype(np.float64))
    heard = truth > truth.max() - np.log(10) * 8
    runs: dict[str, tuple[Run, Run | None]] = {"librosa": (lambda: reference(x), None)}
    makers = {"jaxspec": jaxspec_runs, "librosax": librosax_runs, "torchaudio": torchaudio_runs}
    for name, make in makers.items():
        try:
            runs[name] = make(x)
        except ImportError:
            print(f"{name} is not installed, left out")

    error = {name: np.abs(forward() - truth)[heard].max() for name, (forward, _) in runs.items()}
    jobs = [
        (name, kind, run) for name, pair in runs.items() for kind, run in enumerate(pair) if run
    ]
    for _, _, run in jobs:
        run()
    times: dict[tuple[str, int], list[float]] = {(name, kind): [] for name, kind, _ in jobs}
    for _ in tqdm(range(options.repeats)):
        for name, kind, run in jobs:
            start = time.perf_counter()
            run()
            times[name, kind].append(1e3 * (time.perf_counter() - start))

    packages = {"jaxspec": "jax", "torchaudio": "torch"}
    lines = [
        "# Log-mel spectrogram of 16 × 10 s at 16 kHz (n_fft 400, hop 160, 80 bands)",
        "",
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}; median "
        f"of {options.repeats} interleaved repeats, best in brackets.",
        "",
        "| | version | forward ms | ÷ librosa | gradient ms | largest error |",
        "|---|---|---|---|---|---|",
    ]
    base = np.median(times["librosa", 0])
    for name in sorted(runs, key=lambda name: np.median(times[name, 0])):
        forward, gradient = times[name, 0], times.get((name, 1))
        package = packages.get(name, name)
        version = f"{package} {importlib.metadata.version(package)}"
        cell = f"{np.median(gradient):.1f} ({min(gradient):.1f})" if gradient else "–"
        lines.append(
            f"| {name} | {version} | {np.median(forward):.1f} ({min(forward):.1f}) | "
            f"{np.median(forward) / base:.2f} | {cell} | {error[name]:.1e} |"
        )
    table = "\n".join(lines) + "\n"
    print(table)
    if options.out:
        options.out.write_text(table)


if __name__ == "__main__":
    main()
