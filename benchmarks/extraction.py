"""How fast `jaxspec extract` is, beside decoding alone and a loop with librosa, and what it holds.

    python benchmarks/extraction.py                  # an hour in 400 files, a few minutes
    python benchmarks/extraction.py --rounds 1 --hours 0.1

The recordings are made here: harmonics with a pitch that moves and a loudness that comes and goes,
with noise; 3 to 15 s each. The loop reads file after file with soundfile, changes its rate with
soxr where it has to, computes the same log-mel features with librosa and writes them with NumPy.
Decoding alone is what `jaxspec extract` does of it, by the same number of threads. Rounds are
interleaved and medians are told; everything is on a warm file cache.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path

import numpy as np

RATE = 16000
KINDS = {  # suffix and sample rate of the files
    "FLAC": (".flac", 16000),
    "WAV": (".wav", 16000),
    "Ogg Vorbis": (".ogg", 16000),
    "MP3": (".mp3", 16000),
    "FLAC, 44.1 kHz": (".flac", 44100),
}


def recording(seconds: float, rate: int, seed: int) -> np.ndarray:
    """Something like a voice."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitch = 120 + 60 * rng.random() + 20 * np.sin(2 * np.pi * 0.7 * time + rng.random())
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    voice = sum(np.sin(k * phase) / k**1.5 for k in range(1, 20))
    loudness = np.clip(np.sin(2 * np.pi * 1.5 * time + 6 * rng.random()) + 0.5, 0, 1)
    return 0.2 * loudness * voice + 0.003 * rng.standard_normal(len(time))


def make_files(folder: Path, suffix: str, rate: int, lengths: np.ndarray) -> None:
    """Write recordings of so many seconds."""
    import soundfile

    folder.mkdir(parents=True)
    for number, seconds in enumerate(lengths):
        path = folder / f"{number // 100:03d}" / f"{number:05d}{suffix}"
        path.parent.mkdir(exist_ok=True)
        # What is long repeats its first minute.
        samples = recording(min(seconds, 60), rate, number)
        soundfile.write(path, np.resize(samples, round(seconds * rate)), rate)


# What is timed, each in a process of its own: the time of the work, without imports.


def decoding(folder: Path, out: Path, workers: int) -> float:
    """Decoding alone."""
    from jaxspec.extraction._decoding import decoded
    from jaxspec.extraction._inputs import clips_of

    begin = time.perf_counter()
    deque(decoded(clips_of([folder]), RATE, resample=True, workers=workers), maxlen=0)
    return time.perf_counter() - begin


def librosa_loop(folder: Path, out: Path, workers: int) -> float:
    """One file after the other."""
    import librosa
    import soundfile
    import soxr

    import jaxspec

    frontend = jaxspec.presets.get("log_mel", sample_rate=RATE)
    stft = frontend.stages[0]
    bank = next(stage for stage in frontend.stages if stage.name == "filterbank")
    out.mkdir(parents=True)
    begin = time.perf_counter()
    for number, path in enumerate(sorted(folder.rglob("*.*"))):
        samples, rate = soundfile.read(path, dtype="float32")
        if rate != RATE:
            samples = soxr.resample(samples, rate, RATE)
        mel = librosa.feature.melspectrogram(
            y=samples,
            sr=RATE,
            n_fft=stft.n_fft,
            win_length=stft.win_length,
            hop_length=stft.hop_length,
            n_mels=bank.n_bands,
        )
        np.save(out / f"{number}.npy", np.log(np.maximum(mel, 1e-10)).T)
    return time.perf_counter() - begin


def extraction(folder: Path, out: Path, workers: int) -> list[float]:
    """`jaxspec.extraction.extract`, with the compilation and once more without."""
    from jaxspec.extraction import extract

    times = []
    for turn in ("first", "second"):
        report = extract(folder, out / turn, stage="log_mel", sample_rate=RATE, workers=workers)
        assert report.complete
        assert not report.failed
        times.append(report.seconds)
    return times


WORK = {"decoding": decoding, "librosa": librosa_loop, "extraction": extraction}


def timed(name: str, folder: Path, workers: int) -> tuple[list[float], float, float]:
    """Seconds of some work, of its process, and the most memory that it held in MiB."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as out:
        words = [sys.executable, __file__, "--do", name, str(folder), f"{out}/out", str(workers)]
        begin = time.perf_counter()
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        whole = time.perf_counter() - begin
    told = json.loads(done.stdout.splitlines()[-1])
    return np.atleast_1d(told["seconds"]).tolist(), whole, told["mib"]


def command(folder: Path, workers: int) -> float:
    """Seconds of the whole command."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as out:
        words = [sys.executable, "-m", "jaxspec", "extract", str(folder), "-o", f"{out}/out"]
        words += ["--sample-rate", str(RATE), "--workers", str(workers), "--quiet"]
        begin = time.perf_counter()
        subprocess.run(words, check=True, capture_output=True)
        return time.perf_counter() - begin


def compare(work: Path, hours: float, rounds: int, workers: int) -> None:
    """Print the table of times."""
    n = round(400 * hours)
    lengths = np.random.default_rng(0).uniform(3, 15, n)
    lengths *= 3600 * hours / lengths.sum()
    print(
        f"{hours:g} h in {n} files, {workers} threads that decode; seconds, medians of {rounds}\n"
    )
    head = ["files", "decoding alone", "librosa loop", "extract", "÷ decoding", "÷ loop"]
    head += ["first time", "command"]
    print("| " + " | ".join(head) + " |")
    print("|---" * len(head) + "|")
    for kind, (suffix, rate) in KINDS.items():
        folder = work / kind.replace(" ", "_")
        make_files(folder, suffix, rate, lengths)
        found: dict[str, list[float]] = {}
        for _ in range(rounds):
            for name in WORK:
                seconds, _, _ = timed(name, folder, workers)
                found.setdefault(name, []).append(seconds[-1])
                if name == "extraction":
                    found.setdefault("first", []).append(seconds[0])
            found.setdefault("command", []).append(command(folder, workers))
        m = {name: statistics.median(values) for name, values in found.items()}
        row = [kind, f"{m['decoding']:.2f}", f"{m['librosa']:.2f}", f"{m['extraction']:.2f}"]
        row += [f"{m['extraction'] / m[name]:.2f}" for name in ("decoding", "librosa")]
        row += [f"{m['first']:.2f}", f"{m['command']:.2f}"]
        print("| " + " | ".join(row) + " |", flush=True)


def memory(work: Path, workers: int) -> None:
    """Print what is held for few files, for many, and for long ones."""
    print("\npeak resident memory, MiB:\n")
    for told, lengths in (
        ("400 files of 1 to 3 s", np.random.default_rng(0).uniform(1, 3, 400)),
        ("4000 files of 1 to 3 s", np.random.default_rng(0).uniform(1, 3, 4000)),
        ("4 files of 1 h", np.full(4, 3600.0)),
    ):
        folder = work / told.replace(" ", "_")
        make_files(folder, ".flac", RATE, lengths)
        seconds, _, mib = timed("extraction", folder, workers)
        print(f"- {told}: {mib:.0f} ({seconds[-1]:.1f} s)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, help="of files (default: all)")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--do", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.do:
        name, folder, out, workers = options.do
        seconds = WORK[name](Path(folder), Path(out), int(workers))
        mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "mib": mib}))
        return
    for kind in set(KINDS) - set(options.kinds or KINDS):
        KINDS.pop(kind)
    with tempfile.TemporaryDirectory() as work:
        compare(Path(work), options.hours, options.rounds, options.workers)
        if not options.no_memory:
            memory(Path(work), options.workers)


if __name__ == "__main__":
    main()
