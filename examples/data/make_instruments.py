"""Cut the mini-instruments data set out of the FluidR3 General MIDI sound font.

The sound font is the file ``FluidR3_GM.sf2`` of Debian's package ``fluid-soundfont-gm``. The script
reads its RIFF chunks with :mod:`struct`, walks presets -> instruments -> samples, keeps one-note
recordings of acoustic and electric instruments, names each by its General MIDI family, and writes
half a second of each at 8 kHz in 8-bit mu-law. README.md, beside this file, states every rule.

    python make_instruments.py FluidR3_GM.sf2 -o instruments.npz

It needs NumPy and SciPy, draws no random numbers, and writes the same bytes each time.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import struct
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, gcd
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import firwin, resample_poly

SAMPLE_RATE = 8000  # Hz, of the recordings written
LENGTH = 4000  # samples, half a second
MIN_RECORDED = 0.1  # seconds; a shorter recording is left out
MIN_PEAK = 0.01  # of full scale; a quieter recording is left out
ONSET_LEVEL = 0.01  # of the peak; the first sample this loud is the onset
ONSET_LEAD = 0.005  # seconds kept before the onset
PEAK = 0.9  # of full scale, of every recording written
MAX_MIDI = 106  # 3.7 kHz; a pitched note above has its fundamental outside the band of 8 kHz
MU = 255.0

FAMILIES = (
    "Strings",
    "Drumkit",
    "Reed",
    "Guitar",
    "Piano",
    "Organ",
    "ChromPerc",
    "Bass",
    "Brass",
    "Pipe",
)
# First program (counted from 0) of the General MIDI group of eight; the drum kits are bank 128.
GM_GROUPS = {
    0: "Piano",
    8: "ChromPerc",
    16: "Organ",
    24: "Guitar",
    32: "Bass",
    40: "Strings",
    56: "Brass",
    64: "Reed",
    72: "Pipe",
}
DRUM_BANK = 128
SYNTHETIC_PROGRAMS = {38, 39, 62, 63}  # synth basses and synth brass
SYNTHETIC_KITS = {24, 25}  # Electronic and TR-808
EFFECT_PROGRAMS = range(120, 128)  # sea shore, telephone, applause, ...

# SF2 2.01 generators, sample types and sample modes (the ones used here).
GEN_INSTRUMENT = 41
GEN_SAMPLE_ID = 53
GEN_SAMPLE_MODES = 54
GEN_ROOT_KEY = 58
RIGHT_SAMPLE = 2
LOOPED = (1, 3)

Generators = dict[int, int]
Row = tuple[Any, ...]


def mulaw_encode(x: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Quantise a signal in [-1, 1] to 8-bit mu-law codes 0..255 (mu = 255, zero is code 128)."""
    x = np.clip(x, -1.0, 1.0)
    compressed = np.sign(x) * np.log1p(MU * np.abs(x)) / np.log1p(MU)
    code: NDArray[np.uint8] = np.floor((compressed + 1.0) / 2.0 * MU + 0.5).astype(np.uint8)
    return code


def mulaw_decode(code: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn 8-bit mu-law codes back to a float32 signal in [-1, 1].

    Codes 127 and 128 stand for -8.6e-5 and +8.6e-5, as there is no code for zero.
    """
    compressed = code.astype(np.float64) / MU * 2.0 - 1.0
    x = np.sign(compressed) * np.expm1(np.abs(compressed) * np.log1p(MU)) / MU
    return np.asarray(x, dtype=np.float32)


def group_of(name: str, family: str) -> str:
    """Name the group of recordings that a split must keep together.

    The marks of a stereo half, such as ``(L)`` or the last letter of ``Strings G2R``, are cut off.
    Drums lose the name of their kit and their variant number as well, so that ``Snr 1-1`` and
    ``Std Snr 2`` are both ``Snr``: they may be strokes of different strength on one drum.
    """
    stem = re.sub(r"\s*\([LR]\)?$|(?<=\d)\s?[LR]$", "", name)
    if family == "Drumkit":
        stem = re.sub(r"^(Std|Room|Power) |\s*\d+(-\d+)?$", "", stem)
    return stem.strip()


def fold_of(group: str) -> int:
    """Return the fold, 0 to 4, in which a group is held out."""
    return zlib.crc32(group.encode("utf-8")) % 5


@dataclass(frozen=True)
class Header:
    """One row of the ``shdr`` chunk: where a sample lies and how it was recorded."""

    name: str
    start: int
    end: int
    loop_start: int
    loop_end: int
    rate: int
    kind: int


@dataclass(frozen=True)
class Use:
    """One use of a sample by an instrument of a preset."""

    bank: int
    program: int
    instrument: str
    generators: Generators


@dataclass(frozen=True)
class Recording:
    """One recording as it is written."""

    name: str
    family: str
    instrument: str
    group: str
    midi: int
    recorded: int
    x: NDArray[np.uint8]

    @property
    def order(self) -> tuple[int, str, int, bytes]:
        """Key of the order in which recordings are written."""
        return FAMILIES.index(self.family), self.name, self.midi, self.x.tobytes()


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("latin-1").strip()


class SoundFont:
    """The parts of an SF2 file that lead from presets to samples."""

    def __init__(self, path: Path) -> None:
        """Read the file whole."""
        self._data = path.read_bytes()
        if self._data[:4] != b"RIFF" or self._data[8:12] != b"sfbk":
            raise ValueError(f"{path} is not an SF2 sound font")
        self._chunks: dict[bytes, tuple[int, int]] = {}
        for kind, start, size in self._walk(12, len(self._data)):
            if kind == b"LIST":
                for sub, sub_start, sub_size in self._walk(start + 4, start + size):
                    self._chunks[sub] = (sub_start, sub_size)
        start, size = self._chunks[b"smpl"]
        self.pcm = np.frombuffer(self._data, dtype="<i2", count=size // 2, offset=start)
        self.headers = [
            Header(_text(row[0]), row[1], row[2], row[3], row[4], row[5], row[9])
            for row in self._rows(b"shdr", "20s5IBbHH")
        ]

    def _walk(self, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        """Yield the identifier, the start and the size of each RIFF chunk between two offsets."""
        while start + 8 <= end:
            kind, size = struct.unpack_from("<4sI", self._data, start)
            yield kind, start + 8, size
            start += 8 + size + size % 2

    def _rows(self, chunk: bytes, layout: str) -> list[Row]:
        start, size = self._chunks[chunk]
        return list(struct.iter_unpack("<" + layout, self._data[start : start + size]))

    @staticmethod
    def _zones(
        bags: Sequence[Row], generators: Sequence[Row], first: int, last: int, target: int
    ) -> Iterator[Generators]:
        """Yield the zones that name a target; a first zone that names none is their default."""
        default: Generators = {}
        for index in range(first, last):
            zone: Generators = dict(generators[bags[index][0] : bags[index + 1][0]])
            if target in zone:
                yield default | zone
            elif index == first:
                default = zone

    def uses(self) -> dict[int, list[Use]]:
        """Return, for each sample, the presets that use it, by bank and program."""
        presets, instruments = self._rows(b"phdr", "20sHHHIII"), self._rows(b"inst", "20sH")
        preset_bags, preset_generators = self._rows(b"pbag", "HH"), self._rows(b"pgen", "Hh")
        bags, generators = self._rows(b"ibag", "HH"), self._rows(b"igen", "Hh")
        found: dict[int, list[Use]] = defaultdict(list)
        order = sorted(range(len(presets) - 1), key=lambda i: (presets[i][2], presets[i][1]))
        for i in order:
            _, program, bank, first = presets[i][:4]
            last = presets[i + 1][3]
            for preset_zone in self._zones(
                preset_bags, preset_generators, first, last, GEN_INSTRUMENT
            ):
                k = preset_zone[GEN_INSTRUMENT]
                instrument, first_bag = instruments[k]
                last_bag = instruments[k + 1][1]
                for zone in self._zones(bags, generators, first_bag, last_bag, GEN_SAMPLE_ID):
                    found[zone[GEN_SAMPLE_ID]].append(Use(bank, program, _text(instrument), zone))
        return found


def family_of(use: Use) -> str | None:
    """Return the family a use stands for, or None where its program is left out."""
    if use.bank == DRUM_BANK:
        return None if use.program in SYNTHETIC_KITS else "Drumkit"
    if use.bank != 0 or use.program in SYNTHETIC_PROGRAMS:
        return None
    return GM_GROUPS.get(use.program // 8 * 8)


def cut(pcm: NDArray[np.int16], header: Header, looped: bool) -> tuple[NDArray[np.float64], float]:
    """Cut a sample from its onset on, at its own rate, with a little more than is needed.

    A sample that is too short goes on with its loop, as a synthesiser plays it, or else with zeros.
    Returns the signal and the seconds of it that were recorded.
    """
    whole = pcm[header.start : header.end].astype(np.float64) / 32768.0
    level = np.abs(whole)
    if whole.size == 0 or level.max() < MIN_PEAK:
        return np.zeros(0), 0.0
    onset = int(np.argmax(level >= ONSET_LEVEL * level.max()))
    onset = max(0, onset - round(ONSET_LEAD * header.rate))
    need = ceil((LENGTH / SAMPLE_RATE + 0.05) * header.rate)
    signal = whole[onset:]
    short = signal.size < LENGTH / SAMPLE_RATE * header.rate
    begin, end = header.loop_start - header.start, header.loop_end - header.start
    if short and looped and 0 <= begin < end <= whole.size and onset < end:
        signal = whole[onset:end]
        recorded = signal.size / header.rate
        repeats = ceil((need - signal.size) / (end - begin)) if signal.size < need else 0
        signal = np.concatenate([signal, np.tile(whole[begin:end], repeats)])
    else:
        recorded = signal.size / header.rate
    return np.pad(signal, (0, max(0, need - signal.size)))[:need], recorded


def resample(signal: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """Resample to 8 kHz behind a linear-phase low-pass that reaches -80 dB by about 4 kHz."""
    common = gcd(SAMPLE_RATE, rate)
    up, down = SAMPLE_RATE // common, rate // common
    widest = max(up, down)
    taps = firwin(2 * 48 * widest + 1, 0.94 / widest, window=("kaiser", 8.0))
    return np.asarray(resample_poly(signal, up, down, window=taps), dtype=np.float64)


def without_copies(recordings: Sequence[Recording]) -> list[Recording]:
    """Leave out recordings that are byte for byte the same as an earlier one."""
    kept: dict[bytes, Recording] = {}
    for recording in sorted(recordings, key=lambda r: r.order):
        kept.setdefault(recording.x.tobytes(), recording)
    return list(kept.values())


def choose(recordings: Sequence[Recording], most: int) -> list[Recording]:
    """Keep at most so many recordings of one family, taken in turn from each instrument.

    The first members of all groups come before the second ones, and so on; within an instrument a
    hash of the name orders the rest, which spreads the choice over the notes.
    """
    earlier: Counter[str] = Counter()
    by_instrument: dict[str, list[tuple[int, int, Recording]]] = defaultdict(list)
    for recording in sorted(recordings, key=lambda r: r.order):
        digest = zlib.crc32(recording.name.encode("utf-8"))
        by_instrument[recording.instrument].append((earlier[recording.group], digest, recording))
        earlier[recording.group] += 1
    turns: list[tuple[int, int, str, Recording]] = []
    for instrument, members in by_instrument.items():
        members.sort(key=lambda item: item[:2])
        turns += [(rank, turn, instrument, r) for turn, (rank, _, r) in enumerate(members)]
    turns.sort(key=lambda item: item[:3])
    return [item[3] for item in turns[:most]]


def collect(font: SoundFont) -> list[Recording]:
    """Return every recording that the rules keep, before the cap."""
    recordings: list[Recording] = []
    for index, uses in font.uses().items():
        header = font.headers[index]
        chosen = [use for use in uses if family_of(use) is not None]
        effect = any(use.bank == 0 and use.program in EFFECT_PROGRAMS for use in uses)
        if header.kind == RIGHT_SAMPLE or effect or not chosen:
            continue
        use = chosen[0]
        family = family_of(use)
        assert family is not None
        looped = use.generators.get(GEN_SAMPLE_MODES, 0) in LOOPED
        signal, seconds = cut(font.pcm, header, looped)
        midi = use.generators.get(GEN_ROOT_KEY, -1)
        if seconds < MIN_RECORDED or (family != "Drumkit" and midi > MAX_MIDI):
            continue
        x = resample(signal, header.rate)[:LENGTH]
        x = PEAK * x / np.abs(x).max()
        recordings.append(
            Recording(
                name=header.name,
                family=family,
                instrument=use.instrument,
                group=group_of(header.name, family),
                midi=midi,
                recorded=min(LENGTH, round(seconds * SAMPLE_RATE)),
                x=mulaw_encode(x),
            )
        )
    return without_copies(recordings)


def write(recordings: Sequence[Recording], output: Path) -> None:
    """Write the recordings, in a fixed order, to a compressed NumPy archive."""
    rows = sorted(recordings, key=lambda r: r.order)
    np.savez_compressed(
        output,
        x=np.stack([r.x for r in rows]),
        y=np.array([FAMILIES.index(r.family) for r in rows], dtype=np.int8),
        families=np.array(FAMILIES),
        name=np.array([r.name for r in rows]),
        midi=np.array([r.midi for r in rows], dtype=np.int16),
        sample_rate=np.array(SAMPLE_RATE, dtype=np.int32),
        group=np.array([r.group for r in rows]),
        fold=np.array([fold_of(r.group) for r in rows], dtype=np.int8),
        recorded=np.array([r.recorded for r in rows], dtype=np.int16),
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Read the sound font, choose, write, and print what was written."""
    parser = argparse.ArgumentParser(description="Cut mini-instruments out of FluidR3_GM.sf2.")
    parser.add_argument("soundfont", type=Path, help="path of FluidR3_GM.sf2")
    parser.add_argument("-o", "--output", type=Path, default=Path("instruments.npz"))
    parser.add_argument(
        "--most", type=int, default=60, help="recordings of a family to keep; 0 keeps all"
    )
    args = parser.parse_args(argv)
    output: Path = args.output
    if output.suffix != ".npz":
        parser.error("the output's name must end in .npz")

    found = collect(SoundFont(args.soundfont))
    kept: list[Recording] = []
    for family in FAMILIES:
        members = [r for r in found if r.family == family]
        chosen = choose(members, args.most or len(members))
        print(f"{family:10} {len(members):4} found {len(chosen):4} kept")
        kept += chosen
    write(kept, output)
    digest = hashlib.sha256(output.read_bytes()).hexdigest()
    print(f"{len(kept)} of {len(found)} recordings, {output.stat().st_size} bytes, sha256 {digest}")


if __name__ == "__main__":
    main()
