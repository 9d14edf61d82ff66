"""Features while the sound comes: a stream of audio, drawn in the terminal as it is computed.

``jaxspec live`` on the command line. From Python, `watch` also shows what a function of yours finds
in the features.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import IO

import jax
import numpy as np

from jaxspec._checks import check_number
from jaxspec._live import Scale, Summary, colour_units, pieces
from jaxspec._sources import Source, open_source
from jaxspec._terminal import mode_of
from jaxspec._views import Lines, Picture
from jaxspec.frontend import FrontEnd
from jaxspec.stage import Params
from jaxspec.streaming import Stream

__all__ = ["Source", "Summary", "open_source", "watch"]


def watch(
    source: Source,
    frontend: FrontEnd,
    *,
    params: Params | None = None,
    chunk: float = 20.0,
    speed: float | None = None,
    seconds: float = 6.0,
    span: float = 60.0,
    events: Callable[[np.ndarray], Sequence[str]] | None = None,
    title: str = "",
    output: IO[str] | None = None,
) -> Summary:
    """Draw the features of a stream in the terminal until it ends or Ctrl-C.

    Where the output is no terminal, a line of text for every second. Memory does not grow.

    Args:
      source: as `open_source` gives it, at the rate of the front-end.
      frontend: no part of it may need the whole clip (`jaxspec.Stream`).
      params: of a front-end that learns; by default its start.
      chunk: milliseconds that are computed at once.
      speed: times real time, 0 for as fast as it can be computed; by default 1 for files, and 0 for
        what has its own pace.
      seconds: across a screen.
      span: dB between the darkest and the lightest colour, for features on a logarithmic scale.
      events: called with the new frames ``(frames, channels)`` of every chunk, in their order; the
        texts that it returns are shown at the time of the call.
      title: the line above; by default the name of the source.
      output: where to write; by default standard output.

    Returns:
      `Summary`. A line of it is written when all is over.

    Raises:
      ValueError: for a front-end that cannot stream or that does not give features of a waveform,
        a source without samples, or an option out of its range.

    Example:
      >>> import pathlib, tempfile
      >>> import numpy as np, soundfile, jaxspec
      >>> from jaxspec import live
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = pathlib.Path(folder, "tone.wav")
      ...     soundfile.write(path, 0.5 * np.sin(2 * np.pi * np.arange(32000) / 16), 16000)
      ...     with live.open_source(path) as source:
      ...         summary = live.watch(source, jaxspec.presets.get("log_mel"), speed=0)
      tone.wav...
      0:01.0  level  -9.0 dB  loudest at 1.0 kHz...
      >>> summary.seconds, summary.frames
      (2.0, 201)
    """
    chunk = check_number("chunk", chunk, above=0)
    seconds, span = check_number("seconds", seconds, above=0), check_number("span", span, above=0)
    speed = check_number("speed", float(not source.live) if speed is None else speed, at_least=0)
    stream = Stream(frontend)
    if frontend.takes != "waveform" or frontend.gives != "features":
        raise ValueError(
            f"frontend must make features of a waveform, got one from {frontend.takes} to "
            f"{frontend.gives}"
        )
    if params is None and frontend.param_shapes():
        params = frontend.init(jax.random.key(0))
    output = sys.stdout if output is None else output
    size = max(round(chunk * source.rate / 1000), 1)
    unit, quiet = colour_units(stream, chunk=size, params=params)  # before the clock runs
    hz = frontend.frequencies(params, sample_rate=frontend.sample_rate or source.rate)
    mode, title = mode_of(output, os.environ), title or source.name
    view: Lines | Picture
    if mode == "lines":
        view = Lines(output, title, hz)
    else:
        view = Picture(
            output,
            title,
            hz,
            mode=mode,
            frame_rate=source.rate / frontend.reach.stride,
            seconds=seconds,
            scale=Scale(unit, quiet, span),
            with_events=events is not None,
        )
    total = Summary(0.0, 0, 0.0, 0.0, stream.latency / source.rate + size / source.rate, False)
    try:
        with view:
            found = pieces(source, stream, chunk=size, params=params, speed=speed)
            for piece in found:
                texts = events(piece.features) if events and len(piece.features) else ()
                total = Summary(
                    piece.seconds,
                    total.frames + len(piece.features),
                    total.computed + piece.computed,
                    max(total.slowest, piece.computed),
                    (stream.latency + size) / source.rate + source.held_back,
                    not len(piece.samples),
                )
                view.add(piece, [str(text) for text in texts], total, size / source.rate)
    except KeyboardInterrupt:
        pass
    print(_summed(total, size / source.rate), file=output, flush=True)
    return total


def _summed(total: Summary, chunk: float) -> str:
    share = total.computed / max(total.seconds, 1e-9)
    return (
        f"{total.seconds:.1f} s, {total.frames} frames; {1000 * share * chunk:.2f} ms for a chunk "
        f"of {1000 * chunk:g} ms ({100 * share:.1f} % of real time, at most "
        f"{1000 * total.slowest:.1f} ms); delay {1000 * total.delay:.0f} ms"
    )
