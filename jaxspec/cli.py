"""The command line: ``jaxspec``, or ``python -m jaxspec``.

Every subcommand is a function that adds its options to a parser and a function that runs it;
`COMMANDS` lists them. Whatever a user can get wrong ends in one line on stderr and exit code 2.
"""

from __future__ import annotations

import argparse
import inspect
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jaxspec._command_options import (
    add_frontend_options,
    add_part_options,
    config_rate,
    preset_rate,
    read_config,
)
from jaxspec._extract_command import add_extract_options, run_extract

if TYPE_CHECKING:
    from jaxspec.frontend import FrontEnd

__all__ = ["COMMANDS", "main"]

# What is imported here is imported by every command, --help included: jax, matplotlib and the
# readers of files are left to the functions that need them.


class Command(NamedTuple):
    """A subcommand: what it does in a line, its options and the function that runs it.

    The function may give an exit code; by default it is 0.
    """

    summary: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int | None]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
      argv: the words after the name of the program; those of the process if ``None``.

    Returns:
      The exit code: 0, 1 if some of the files that were to be extracted could not be, 2 after an
      error, which is one line on stderr, or 130 after Ctrl-C.

    Raises:
      SystemExit: after ``--help`` and ``--version``, and with code 2 for words that are no
        command line (argparse).

    Example:
      >>> main(["presets"])
      spectrogram ...
      0
    """
    parser = argparse.ArgumentParser(
        prog="jaxspec", description="Audio features for JAX on the command line."
    )
    parser.add_argument("--version", action="version", version=f"jaxspec {_version()}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(
            name, help=command.summary, description=f"{command.summary}."
        )
        command.add_options(subparser)
    options = parser.parse_args(argv)
    prog = f"jaxspec {options.command}"
    try:
        with warnings.catch_warnings(record=True) as caught:
            code = COMMANDS[options.command].run(options)
    except BrokenPipeError:  # whoever reads has read enough
        sys.stdout = None  # type: ignore[assignment]
        return 0
    except KeyboardInterrupt:  # Ctrl-C
        return 130
    except (ValueError, TypeError, ImportError, OSError) as error:
        print(f"{prog}: error: {_one_line(error)}", file=sys.stderr)
        return 2
    for text in dict.fromkeys(_one_line(warning.message) for warning in caught):
        print(f"{prog}: warning: {text}", file=sys.stderr)
    return code or 0


# jaxspec plot


def _add_plot_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="WAV, FLAC, Ogg, MP3, …")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="OUT.png",
        help="the picture; its suffix says the format (png, pdf, svg, …)",
    )
    add_frontend_options(parser)
    add_part_options(parser)
    parser.add_argument(
        "--title",
        help="text above (default: the file, the front-end, its channels and the sample rate)",
    )


def _plot(options: argparse.Namespace) -> None:
    from jaxspec import presets
    from jaxspec.audio import load
    from jaxspec.plotting import plot_frontend

    name = options.config.name if options.config else options.preset or "log_mel"
    part = {"start": options.start, "duration": options.duration}
    if options.config:
        frontend = read_config(options.config)
        wanted = config_rate(frontend, options.config, options.sample_rate)
        samples, rate = load(options.file, sample_rate=wanted, **part)
    else:
        frontend = presets.get(name)  # an unknown name is refused before a long file is read
        wanted = preset_rate(name, options.sample_rate)
        samples, rate = load(options.file, sample_rate=wanted, **part)
        if presets.sample_rate(name) is None:
            frontend = presets.get(name, sample_rate=rate)
    _warn_of_a_short_part(frontend, len(samples), rate, options)
    title = options.title
    if title is None:
        shown = f"{name}, {_channels(frontend)}, {_hertz(rate)}"
        if frontend.param_shapes():
            shown += " (at its start, not trained)"
        # A line of the picture holds about 95 letters.
        joint = " – " if len(options.file.name) + len(shown) < 85 else "\n"
        title = f"{options.file.name}{joint}{shown}"
    figure = plot_frontend(frontend, samples, sample_rate=rate, start=options.start, title=title)
    try:
        figure.savefig(options.output)
    except OSError as error:
        cause = error.strerror or error
        raise ValueError(f"cannot write {options.output}: {cause}") from error


def _channels(frontend: FrontEnd) -> str:
    """How many channels a front-end gives, and what they are."""
    from jaxspec import stages

    words = {stages.STFT: "bins", stages.Filterbank: "bands", stages.DCT: "coefficients"}
    n, counted, word = None, None, "channels"
    for stage in frontend.stages:
        n = stage.channels(n)
        if type(stage) in words:
            counted, word = n, words[type(stage)]
    return f"{n} {word if n == counted else 'channels'}"


def _hertz(rate: int) -> str:
    return f"{rate / 1000:g} kHz" if rate >= 1000 else f"{rate} Hz"


def _warn_of_a_short_part(
    frontend: FrontEnd, samples: int, rate: int, options: argparse.Namespace
) -> None:
    """Say where what is drawn is mostly what the edge rule adds."""
    from jaxspec.stages import STFT, Frame

    for stage in frontend.stages:
        window = 0
        if isinstance(stage, STFT):
            window = stage.win_length or stage.n_fft
        elif isinstance(stage, Frame):
            window = stage.frame_length
        if samples < window:
            part = "the chosen part of " if options.start or options.duration else ""
            warnings.warn(
                f"{part}{options.file.name} holds {1000 * samples / rate:.3g} ms, less than one "
                f"window of {1000 * window / rate:.3g} ms",
                stacklevel=2,
            )


# jaxspec presets


def _add_presets_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="tell all about this one")


def _presets(chosen: argparse.Namespace) -> None:
    from jaxspec.presets import PRESETS, get

    if chosen.name:
        frontend = get(chosen.name)
        print(inspect.getdoc(PRESETS[chosen.name].function), frontend, sep="\n\n")
        return
    width = max(map(len, PRESETS))
    for name, preset in PRESETS.items():
        rate = f"{preset.sample_rate / 1000:g} kHz" if preset.sample_rate else "any rate"
        sentence = (preset.function.__doc__ or "").partition("\n")[0].removesuffix(".")
        options = inspect.signature(preset.function).parameters
        listed = ", ".join(options)
        print(f"{name:<{width}}  {rate:>9}  {sentence}" + (listed and f" [{listed}]"))


# jaxspec live


def _add_live_options(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument
    option("source", metavar="FILE|-|mic", help="a file, standard input, or a microphone")
    add_frontend_options(parser)
    add_part_options(parser)
    option("--chunk", type=float, default=20.0, metavar="MS", help="computed at once (default: 20)")
    option(
        "--speed",
        type=float,
        metavar="X",
        help="times real time; 0: as fast as it can be computed (default: 1 for files, 0 for what "
        "has its own pace)",
    )
    option("--seconds", type=float, default=6.0, metavar="S", help="across the screen (default: 6)")
    option("--range", type=float, default=60.0, metavar="DB", help="of the colours (default: 60)")
    option(
        "--pcm",
        metavar="FORMAT",
        help="samples without a header: s16le, f32le, … or as arecord says it, S16_LE, …; without "
        "it standard input must be a WAV stream",
    )
    option("--pcm-rate", type=int, metavar="HZ", help="their rate; must be given with --pcm")
    option("--pcm-channels", type=int, default=1, metavar="N", help="their channels (default: 1)")
    option("--device", metavar="NAME", help="the microphone: a part of its name, or its number")


def _live(options: argparse.Namespace) -> None:
    from jaxspec import Stream, live, presets

    name = options.config.name if options.config else options.preset or "log_mel"
    if options.config:
        frontend = read_config(options.config)
        wanted = config_rate(frontend, options.config, options.sample_rate)
    else:
        frontend = presets.get(name)
        wanted = preset_rate(name, options.sample_rate)
    Stream(frontend)  # what cannot stream is refused before a microphone is opened
    with live.open_source(
        options.source,
        sample_rate=wanted,
        pcm=options.pcm,
        pcm_rate=options.pcm_rate,
        pcm_channels=options.pcm_channels,
        start=options.start,
        duration=options.duration,
        device=options.device,
    ) as source:
        if not options.config and presets.sample_rate(name) is None:
            frontend = presets.get(name, sample_rate=source.rate)
        live.watch(
            source,
            frontend,
            chunk=options.chunk,
            speed=options.speed,
            seconds=options.seconds,
            span=options.range,
            title=f"{source.name} – {name}, {_channels(frontend)}, {_hertz(source.rate)}",
        )


COMMANDS: dict[str, Command] = {
    "plot": Command(
        "Draw the waveform of an audio file and its features", _add_plot_options, _plot
    ),
    "live": Command(
        "Draw the features of a recording or of a microphone while it is heard",
        _add_live_options,
        _live,
    ),
    "extract": Command(
        "Extract the features of many audio files into a folder", add_extract_options, run_extract
    ),
    "presets": Command(
        "List the named front-ends, or tell about one", _add_presets_options, _presets
    ),
}


def _version() -> str:
    from jaxspec import __version__

    return __version__


def _one_line(message: object) -> str:
    return " ".join(str(message).split())
