"""The largest differences from the references, which docs/conventions.md and docs/design.md quote.

    python benchmarks/accuracy.py

The tests hold these differences to bounds; this prints how large they are.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import scipy.fft
import scipy.signal

import jaxspec

RATE = 16000
WINDOWS = ("hann", "hamming", "blackman", "nuttall", "flattop", "bartlett", ("kaiser", 8.0))


def clip() -> np.ndarray:
    n = np.arange(RATE)
    tones = 0.3 * np.sin(2 * np.pi * 440 * n / RATE) + 0.1 * np.sin(2 * np.pi * 3000 * n / RATE)
    return tones + 0.1 * np.random.default_rng(0).standard_normal(RATE)


def difference(mine: jax.Array, theirs: np.ndarray) -> float:
    """The largest difference over the largest value."""
    return float(np.abs(np.asarray(mine) - theirs).max() / np.abs(theirs).max())


def rms(mine: np.ndarray, truth: np.ndarray) -> float:
    """The RMS of the difference over that of the truth."""
    return float(np.sqrt(np.mean(np.abs(mine - truth) ** 2) / np.mean(np.abs(truth) ** 2)))


def in_float64(x: np.ndarray) -> dict[str, float]:
    stft, mel, cepstra, banks = [], [], [], []
    options = {"hop_length": 160, "pad_mode": "constant"}
    for n_fft in (400, 401, 512):
        for win_length in (None, 201):
            sizes = {"n_fft": n_fft, "win_length": win_length, **options}
            mine = jaxspec.stft(jnp.asarray(x), **sizes)
            stft.append(difference(mine, librosa.stft(x, **sizes).T))
    for scale in ("slaney", "htk"):
        for norm, theirs in (("slaney", "slaney"), (None, None), (1, 1), (2, 2), ("peak", np.inf)):
            mine = jaxspec.mel_filterbank(
                sample_rate=RATE, n_fft=512, n_mels=40, mel_scale=scale, norm=norm
            )
            bank = librosa.filters.mel(
                sr=RATE, n_fft=512, n_mels=40, htk=scale == "htk", norm=theirs, dtype=np.float64
            )
            banks.append(difference(mine, bank.T))
    # librosa rounds its mel bank to float32 unless it is told not to.
    sizes = {"n_fft": 512, "n_mels": 40, **options}
    mel.append(
        difference(
            jaxspec.mel_spectrogram(jnp.asarray(x), sample_rate=RATE, **sizes),
            librosa.feature.melspectrogram(y=x, sr=RATE, dtype=np.float64, **sizes).T,
        )
    )
    cepstra.append(
        difference(
            jaxspec.mfcc(jnp.asarray(x), sample_rate=RATE, **sizes),
            librosa.feature.mfcc(y=x, sr=RATE, n_mfcc=13, dtype=np.float64, **sizes).T,
        )
    )
    energies = librosa.feature.melspectrogram(y=x, sr=RATE, **sizes)
    level = (1 - 0.025) * energies[:, :1]
    theirs = librosa.pcen(energies, b=0.025, zi=level)
    at = jnp.asarray(energies.T)
    mel += [
        difference(jaxspec.pcen(at), theirs.T),
        difference(jaxspec.delta(at, edge="interp"), librosa.feature.delta(energies).T),
        difference(jaxspec.power_to_db(at, top_db=80), librosa.power_to_db(energies).T),
    ]
    sizes = {"n_fft": 512, "hop_length": 100}
    spectrum = librosa.stft(x, **sizes)
    mine = jaxspec.istft(jnp.asarray(spectrum.T), **sizes, length=RATE)
    own = jaxspec.istft(jaxspec.stft(jnp.asarray(x), **sizes), **sizes, length=RATE)
    windows = [
        difference(jaxspec.window(name, 400), scipy.signal.get_window(name, 400))
        for name in WINDOWS
    ]
    return {
        "stft, librosa": max(stft),
        "istft, librosa": difference(mine, librosa.istft(spectrum, **sizes, length=RATE)),
        "round trip, the input": difference(own, x),
        "mel banks, librosa": max(banks),
        "mel, pcen, delta, dB, librosa": max(mel),
        "mfcc, librosa": max(cepstra),
        "windows, SciPy": max(windows),
        "dct, SciPy": difference(jaxspec.dct(at), scipy.fft.dct(energies.T, norm="ortho")),
    }


def in_float32(x: np.ndarray, n_fft: int) -> dict[str, float]:
    """Relative RMS errors of a float32 STFT against float64."""
    x = x.astype(np.float32)
    padded = np.pad(x, n_fft // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::160][:-1]
    window = jaxspec.window("hann", n_fft)
    truth = np.fft.rfft(frames.astype(np.float64) * window)
    rounded = frames * window.astype(np.float32)
    theirs = librosa.stft(x, n_fft=n_fft, hop_length=160, pad_mode="reflect").T[:-1]
    return {
        "jaxspec": rms(np.asarray(jaxspec.stft(x, n_fft=n_fft, hop_length=160))[:-1], truth),
        "SciPy, float32 throughout": rms(scipy.fft.rfft(rounded), truth),
        "librosa, float64 inside": rms(theirs, truth),
        "float64 FFT of frames rounded to float32": rms(
            np.fft.rfft(rounded.astype(np.float64)).astype(np.complex64), truth
        ),
    }


def main() -> None:
    x = clip()
    with jax.enable_x64(True):
        print("float64, largest difference over the largest value")
        for name, value in in_float64(x).items():
            print(f"  {name:<32} {value:.1e}")
    own = jaxspec.istft(jaxspec.stft(x.astype(np.float32), n_fft=512), n_fft=512, length=RATE)
    print(f"float32 round trip: {difference(own, x.astype(np.float32)):.1e}")
    for n_fft in (400, 401, 512):
        print(f"float32 STFT, n_fft {n_fft}, relative RMS")
        for name, value in in_float32(x, n_fft).items():
            print(f"  {name:<42} {value:.1e}")


if __name__ == "__main__":
    main()
