"""Drawing in a terminal: pictures of half-block characters, the text around them, the screen.

Everything but `Screen` is a pure function from arrays to text.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping, Sequence
from typing import IO, Any

import numpy as np

__all__ = ["Screen", "clock", "mode_of", "painted", "pixels", "row_labels", "ticked"]

LEVELS = 32  # of brightness
SHADES = " ░▒▓█"
HALF = "▀"
RESET = "\x1b[0m"
LABEL_WIDTH = 6  # columns of the text at the side

# From silence to the loudest: ever lighter, so that the order also reads without any colour.
_ANCHORS = np.array(
    [(8, 8, 24), (38, 22, 96), (98, 28, 128), (168, 44, 104), (222, 84, 62), (246, 154, 48),
     (250, 214, 104), (255, 252, 220)],
    float,
)  # fmt: skip


def mode_of(output: Any, environ: Mapping[str, str]) -> str:
    """How to draw: ``"true"`` or ``"256"`` colours, ``"shades"`` of no colour, or ``"lines"``.

    Lines of text where the output is no terminal or cannot show the characters; shades where
    ``NO_COLOR`` is set and not empty.
    """
    if not output.isatty() or environ.get("TERM", "") in ("", "dumb"):
        return "lines"
    try:
        (HALF + SHADES + "╵").encode(getattr(output, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return "lines"
    if environ.get("NO_COLOR"):
        return "shades"
    return "true" if environ.get("COLORTERM", "") in ("truecolor", "24bit") else "256"


def ramp(n: int = LEVELS) -> np.ndarray:
    """Red, green and blue of ``n`` levels, ints from 0 to 255 ``(n, 3)``."""
    at = np.linspace(0, len(_ANCHORS) - 1, n)
    whole = [np.interp(at, np.arange(len(_ANCHORS)), channel) for channel in _ANCHORS.T]
    return np.stack(whole, axis=1).round().astype(int)


def _codes(mode: str) -> list[str]:
    """What selects the colour of every level, behind 38; or 48;."""
    colours = ramp()
    if mode == "true":
        return [f"2;{r};{g};{b}" for r, g, b in colours]
    # The 256 colours: a cube of six steps a side, and greys.
    steps = np.array([0, 95, 135, 175, 215, 255])
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    greys = np.repeat(8 + 10 * np.arange(24), 3).reshape(-1, 3)
    known = np.concatenate([cube, greys])
    apart = np.square(known - colours[:, None]).sum(axis=-1)
    return [f"5;{16 + index}" for index in apart.argmin(axis=-1)]


_tables: dict[str, np.ndarray] = {}


def _table(mode: str) -> np.ndarray:
    """The text of a cell by the levels of its upper and its lower half ``(LEVELS, LEVELS)``."""
    if mode not in _tables:
        table = np.empty((LEVELS, LEVELS), object)
        codes = _codes(mode) if mode != "shades" else []
        for upper in range(LEVELS):
            for lower in range(LEVELS):
                if mode == "shades":
                    table[upper, lower] = SHADES[(upper + lower) * len(SHADES) // (2 * LEVELS)]
                else:
                    table[upper, lower] = f"\x1b[38;{codes[upper]};48;{codes[lower]}m{HALF}"
        _tables[mode] = table
    return _tables[mode]


def pixels(columns: np.ndarray, n_pixels: int) -> np.ndarray:
    """Features ``(columns, channels)`` as an image ``(n_pixels, columns)``, channel 0 below.

    Several channels that share a pixel are averaged; where there are fewer channels than pixels,
    neighbouring pixels show the same one.
    """
    channels = columns.shape[1]
    if channels < n_pixels:
        image = columns[:, np.arange(n_pixels) * channels // n_pixels]
    else:
        edges = np.arange(n_pixels) * channels // n_pixels
        counts = np.diff(np.append(edges, channels))
        image = np.add.reduceat(columns, edges, axis=1) / counts
    return image.T[::-1]


def painted(
    columns: np.ndarray, *, rows: int, width: int, limits: tuple[float, float], mode: str
) -> list[str]:
    """Lines of text that show features ``(columns, channels)``, the newest column at the right.

    Args:
      columns: at most ``width`` of them.
      rows: number of lines, each with two pixels (one in ``"shades"``).
      width: characters of a line; where there are fewer columns it begins with spaces.
      limits: the values of the darkest and of the lightest level.
      mode: ``"true"``, ``"256"`` or ``"shades"``.
    """
    low, high = limits
    image = pixels(columns, 2 * rows)
    share = (image - low) / max(high - low, 1e-30)
    levels = (np.clip(np.nan_to_num(share), 0, 1) * (LEVELS - 1)).round().astype(int)
    upper, lower = levels[0::2], levels[1::2]
    cells = _table(mode)[upper, lower]
    if mode != "shades" and cells.shape[1]:
        same = np.zeros(cells.shape, bool)
        same[:, 1:] = (upper[:, 1:] == upper[:, :-1]) & (lower[:, 1:] == lower[:, :-1])
        cells[same] = HALF
    empty, reset = " " * (width - len(columns)), RESET if mode != "shades" else ""
    return [empty + "".join(row) + reset for row in cells.tolist()]


def row_labels(hz: np.ndarray | None, channels: int, rows: int) -> list[str]:
    """The text at the side of ``rows`` lines: frequencies in Hz, or numbers of channels."""
    first = channels - (np.arange(rows) + 1) * channels / rows  # the lowest channel of a line
    middle = np.clip(first + channels / rows / 2, 0, channels - 1)
    texts = [" " * LABEL_WIDTH] * rows
    every = max(rows // 6, 2) if rows > 3 else max(rows - 1, 1)
    for row in range(0, rows, every):
        channel = middle[row]
        if hz is None:
            text = f"{channel:.0f}"
        else:
            at = float(np.interp(channel, np.arange(channels), hz))
            text = f"{at / 1000:.1f}k" if at >= 1000 else f"{at:.0f}"
        texts[row] = text.rjust(LABEL_WIDTH - 1)[: LABEL_WIDTH - 1] + " "
    return texts


def clock(seconds: float, *, tenths: bool = False) -> str:
    """``"1:02:03"`` for hours, minutes and seconds; with tenths of a second if asked for."""
    count = int(seconds * 10 + 1e-6)
    hours, minutes, rest = count // 36000, count // 600 % 60, count % 600
    text = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{text}:{rest // 10:02}" + (f".{rest % 10}" if tenths else "")


def ticked(marks: Sequence[tuple[int, str]], width: int, *, sign: str = "╵") -> str:
    """A line of ``width`` characters with texts at their columns; a text that finds no room waits.

    Texts that begin left of the line, or would run out of it or into the one before, are left out.
    """
    line = ""
    for column, text in sorted(marks):
        text = sign + text
        if column >= (len(line) + 1 if line else 0) and column + len(text) <= width:
            line = line.ljust(column) + text
    return line.ljust(width)


def legend(mode: str, text: str) -> tuple[str, int]:
    """The scale of colours with a text before it, and how many characters it takes."""
    if mode == "shades":
        return f"{text} {SHADES}", len(text) + 1 + len(SHADES)
    chosen = np.linspace(0, LEVELS - 1, 12).round().astype(int)
    codes = _codes(mode)
    return f"{text} " + "".join(f"\x1b[48;{codes[i]}m " for i in chosen) + RESET, len(text) + 13


class Screen:
    """A terminal that is drawn on and left as it was found, with the last picture on it.

    Drawing happens on the alternate screen with the cursor hidden. When the block ends, also by an
    error, Ctrl-C or the signal that ends a process, the terminal gets its own screen back. Signals
    wait until a picture is whole: what is half written could be taken for a command.
    """

    def __init__(self, output: IO[str]) -> None:
        self._output, self._size = output, (0, 0)
        self._last: list[str] = []
        self._handlers: dict[int, Any] = {}
        self._writing, self._came = False, 0

    def __enter__(self) -> Screen:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._signal)
        self._write("\x1b[?1049h\x1b[?25l\x1b[2J")
        return self

    def draw(self, lines: Sequence[str], size: tuple[int, int]) -> None:
        """Show lines, each no longer than the terminal is wide less one."""
        clear, self._size = "\x1b[2J" if size != self._size else "", size
        self._last = list(lines)
        self._write(clear + "\x1b[H" + "\r\n".join(f"{line}\x1b[K" for line in lines))

    def __exit__(self, *error: object) -> None:
        self._writing = True  # nothing interrupts this
        self._output.write(f"{RESET}\x1b[?25h\x1b[?1049l")
        self._output.write("".join(f"{line}\n" for line in self._last))
        self._output.flush()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _write(self, text: str) -> None:
        self._writing = True
        self._output.write(text)
        self._output.flush()
        self._writing = False
        came, self._came = self._came, 0
        if came:
            _stop(came)

    def _signal(self, number: int, _: object) -> None:
        if self._writing:
            self._came = number
        else:
            _stop(number)


def _stop(number: int) -> None:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
