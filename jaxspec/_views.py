"""What `jaxspec.live` shows: a picture that moves on, or lines of text."""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Sequence
from typing import IO

import numpy as np

from jaxspec import _terminal as terminal
from jaxspec._live import Piece, Scale, Summary, level_db

__all__ = ["Lines", "Picture"]

REDRAW = 0.05  # seconds between two pictures, at least
KEPT = 1000  # columns, and events
SMOOTHING = 0.1  # seconds, of the level


class Lines:
    """A line of text for every second, and one for every event."""

    def __init__(self, output: IO[str], title: str, hz: np.ndarray | None) -> None:
        self._output, self._hz = output, hz
        self._sum: np.ndarray | None = None
        self._power = self._computed = 0.0
        self._samples = self._chunks = 0
        self._due = 1.0
        self._print(title)

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def add(self, piece: Piece, texts: Sequence[str], total: Summary, chunk: float) -> None:
        """Take in what a chunk gave and what was found in it."""
        if len(piece.samples):
            self._power += float(np.square(piece.samples, dtype=np.float64).sum())
            self._samples += len(piece.samples)
            self._computed += piece.computed
            self._chunks += piece.computed > 0
        if len(piece.features):
            new = piece.features.sum(axis=0, dtype=np.float64)
            self._sum = new if self._sum is None else self._sum + new
        for text in texts:
            self._print(f"{terminal.clock(piece.seconds, tenths=True)}  {text}")
        if piece.seconds >= self._due - 1e-6 or (total.finished and self._samples):
            self._tell(piece.seconds)

    def _tell(self, seconds: float) -> None:
        level = level_db(self._power / max(self._samples, 1))
        text = f"{terminal.clock(seconds, tenths=True)}  level {level:6.1f} dB"
        if self._sum is not None:
            loudest = int(self._sum.argmax())
            at = f"channel {loudest}" if self._hz is None else _hertz(self._hz[loudest])
            text += f"  loudest at {at}"
        if self._chunks:
            text += f"  {1000 * self._computed / self._chunks:.2f} ms a chunk"
        self._print(text)
        self._sum, self._power, self._computed = None, 0.0, 0.0
        self._samples = self._chunks = 0
        self._due = np.floor(seconds + 1e-6) + 1.0

    def _print(self, text: str) -> None:
        encoding = getattr(self._output, "encoding", None) or "utf-8"
        known = text.encode(encoding, "replace").decode(encoding)
        print(known, file=self._output, flush=True)


class Picture:
    """A spectrogram that moves on to the left, with the newest column at the right."""

    def __init__(
        self,
        output: IO[str],
        title: str,
        hz: np.ndarray | None,
        *,
        mode: str,
        frame_rate: float,
        seconds: float,
        scale: Scale,
        with_events: bool,
    ) -> None:
        self._screen = terminal.Screen(output)
        self._title, self._hz, self._mode = title, hz, mode
        self._scale, self._with_events = scale, with_events
        width = max(shutil.get_terminal_size().columns - 1 - terminal.LABEL_WIDTH, 1)
        self._frames_a_column = max(round(seconds * frame_rate / width), 1)
        self._columns_a_second = frame_rate / self._frames_a_column
        self._columns: deque[np.ndarray] = deque(maxlen=KEPT)
        self._events: deque[tuple[int, str]] = deque(maxlen=KEPT)
        self._waiting: list[np.ndarray] = []
        self._count = self._drawn_count = 0  # of columns
        self._power, self._drawn_at = 0.0, 0.0
        self._status: Sequence[str] = ()

    def __enter__(self) -> Picture:
        self._screen.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        try:
            if self._columns:
                self._draw()
        finally:
            self._screen.__exit__(*error)

    def add(self, piece: Piece, texts: Sequence[str], total: Summary, chunk: float) -> None:
        """Take in what a chunk gave and what was found in it."""
        if len(piece.samples):
            new = float(np.square(piece.samples, dtype=np.float64).mean())
            share = np.exp(-chunk / SMOOTHING)
            self._power = share * self._power + (1 - share) * new
            self._status = _status(piece, level_db(self._power), total, chunk)
        for frame in piece.features:
            self._waiting.append(frame)
            if len(self._waiting) == self._frames_a_column:
                self._columns.append(np.mean(self._waiting, axis=0))
                self._waiting.clear()
                self._count += 1
        self._events.extend((self._count, text) for text in texts)
        now = time.monotonic()
        if self._count > self._drawn_count and now >= self._drawn_at + REDRAW:
            self._draw()
            self._drawn_at = now

    def _draw(self) -> None:
        size = shutil.get_terminal_size()
        passed = (self._count - self._drawn_count) / self._columns_a_second
        self._drawn_count = self._count
        self._screen.draw(
            self.lines(size.columns - 1, size.lines, passed), (size.columns, size.lines)
        )

    def lines(self, width: int, height: int, passed: float = 0.0) -> list[str]:
        """The whole screen, so many seconds after the last one."""
        around = [height > 4, self._with_events and height > 3, height > 2, height > 1]
        rows, inner = max(height - sum(around), 1), max(width - terminal.LABEL_WIDTH, 1)
        columns = np.array(list(self._columns)[-inner:])
        drawn = terminal.painted(
            columns,
            rows=rows,
            width=inner,
            limits=self._scale.limits(columns, passed),
            mode=self._mode,
        )
        labels = terminal.row_labels(self._hz, columns.shape[1], rows)
        side, first = " " * terminal.LABEL_WIDTH, self._count - inner  # the column at the left
        events = [(at - 1 - first, text) for at, text in self._events]
        parts = (
            [self._head(width)],
            [side + terminal.ticked(events, inner)],
            [side + terminal.ticked(self._seconds(first), inner)],
            [_fitting(self._status, width)],
        )
        head, found, axis, status = (
            part * shown for part, shown in zip(parts, around, strict=True)
        )
        picture = [label + line for label, line in zip(labels, drawn, strict=True)]
        return head + picture + found + axis + status

    def _head(self, width: int) -> str:
        legend, taken = terminal.legend(self._mode, self._scale.words)
        room = width - taken - 2
        if room < 10:
            return self._title[:width]
        return f"{self._title[:room]:<{room}}  {legend}"

    def _seconds(self, first: int) -> list[tuple[int, str]]:
        """The columns of round times, and what they are called."""
        step = next((s for s in (1, 2, 5, 10, 30, 60) if s * self._columns_a_second >= 8), 300)
        begin = max(first, 0) / self._columns_a_second
        end = self._count / self._columns_a_second
        times = np.arange(np.ceil(begin / step), end / step) * step
        return [(round(t * self._columns_a_second) - first, terminal.clock(t)) for t in times]


def _status(piece: Piece, level: float, total: Summary, chunk: float) -> list[str]:
    """The parts of the line below, the most important ones first."""
    full = round(float(np.clip((level + 60) / 6, 0, 10)))
    return [
        terminal.clock(piece.seconds, tenths=True),
        f"level {level:6.1f} dB {'█' * full}{'░' * (10 - full)}",
        f"delay {1000 * total.delay:.0f} ms",
        f"computing {1000 * total.computed * chunk / total.seconds:.2f} of {1000 * chunk:g} ms "
        f"({100 * total.computed / total.seconds:.1f} %)",
        "Ctrl-C ends",
    ]


def _fitting(parts: Sequence[str], width: int) -> str:
    """As many of the parts as fit into a line."""
    line = ""
    for part in parts:
        longer = f"{line}   {part}" if line else part
        if len(longer) > width:
            break
        line = longer
    return line


def _hertz(hz: float) -> str:
    return f"{hz / 1000:.1f} kHz" if hz >= 1000 else f"{hz:.0f} Hz"
