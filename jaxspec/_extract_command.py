"""``jaxspec extract``: the features of whole data sets from the command line."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from jaxspec._command_options import (
    add_frontend_options,
    config_rate,
    preset_rate,
    read_config,
)

if TYPE_CHECKING:
    from jaxspec.extraction import ClipDone, Report

__all__ = ["add_extract_options", "run_extract"]

# Without a terminal, seconds from one line to the next.
_INTERVAL = 30.0
_BAR = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} files{postfix} [{elapsed}<{remaining}]"


def add_extract_options(parser: argparse.ArgumentParser) -> None:
    """Add what ``jaxspec extract`` understands."""
    option = parser.add_argument
    option(
        "inputs",
        nargs="+",
        metavar="IN",
        help="folders, files, globs in quotes (** crosses folders) and manifests: .txt with a path "
        "a line, .csv or .tsv with a column path, .jsonl with path or audio_filepath",
    )
    option(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="OUT",
        help="the folder for the features; the same command again goes on where a run was stopped",
    )
    add_frontend_options(parser, in_python="extraction.extract")
    option(
        "--dtype",
        choices=("float32", "float16", "bfloat16"),
        default="float32",
        help="of the features on disk (default: float32)",
    )
    option(
        "--format",
        choices=("safetensors", "npz"),
        default="safetensors",
        help="of the shards (default: safetensors)",
    )
    option(
        "--shard-clips",
        type=int,
        default=256,
        metavar="N",
        help="clips in a shard, the unit that is finished or made again (default: 256)",
    )
    option("--workers", type=int, metavar="N", help="threads that decode (default: one a core)")
    option(
        "--processes",
        type=int,
        metavar="N",
        help="how many processes share the work, each started by itself with its --process",
    )
    option("--process", type=int, metavar="K", help="which of them this is, from 0")
    option(
        "--retry-failed",
        action="store_true",
        help="make shards anew that hold files that failed before",
    )
    option("--quiet", action="store_true", help="show no progress")


def run_extract(options: argparse.Namespace) -> int:
    """Run ``jaxspec extract``; the exit code is 1 if files failed."""
    import jax

    from jaxspec.extraction import extract

    stage: Any
    rate = options.sample_rate
    if options.config:
        stage = read_config(options.config)
        rate = config_rate(stage, options.config, options.sample_rate)
    else:
        stage = options.preset or "log_mel"
        preset_rate(stage, options.sample_rate)  # refuses in the words of the command line
    params = {} if isinstance(stage, str) else stage.init(jax.random.key(0))
    with _Progress(quiet=options.quiet) as progress:
        try:
            report = extract(
                options.inputs,
                options.output,
                stage=stage,
                params=params,
                sample_rate=rate,
                dtype=options.dtype,
                format=options.format,
                shard_clips=options.shard_clips,
                workers=options.workers,
                processes=options.processes,
                process=options.process,
                retry_failed=options.retry_failed,
                on_clip=progress.clip,
            )
        except OSError as error:
            cause = error.strerror or error
            raise ValueError(f"cannot write {error.filename or options.output}: {cause}") from error
        except KeyboardInterrupt:
            progress.say("stopped; the same command goes on from here")
            raise
    _tell(report, options.output, progress.failed)
    return 1 if report.failed else 0


class _Progress:
    """A bar on a terminal, a line now and then elsewhere; both on stderr, as the errors are."""

    def __init__(self, *, quiet: bool) -> None:
        self._seconds, self.failed, self._done = 0.0, 0, 0
        self._begin = self._last = time.perf_counter()
        self._quiet = quiet
        self._bar: Any = None

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            self._bar = _tqdm()(
                unit=" files", dynamic_ncols=True, bar_format=_BAR, postfix="", file=sys.stderr
            )
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def say(self, text: str) -> None:
        """Write a line, above the bar."""
        line = f"jaxspec extract: {text}"
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr, flush=True)

    def clip(self, clip: ClipDone) -> None:
        """Show that a clip is done."""
        self._done += 1
        self._seconds += clip.seconds
        if clip.error:
            self.failed += 1
            self.say(f"{clip.key}: {clip.error}")
        now = time.perf_counter()
        if self._bar is not None:
            self._bar.total = self._done + clip.left
            self._bar.set_postfix_str(_amount(self._seconds, now - self._begin), refresh=False)
            self._bar.update()
        elif not self._quiet and now - self._last > _INTERVAL and clip.left:
            self._last = now
            left = (now - self._begin) / self._done * clip.left
            self.say(
                f"{self._done} of {self._done + clip.left} files, "
                f"{_amount(self._seconds, now - self._begin)}, {left:.0f} s left"
            )


def _amount(audio: float, seconds: float) -> str:
    """How much audio in which time."""
    length = f"{audio / 3600:.2f} h" if audio >= 360 else f"{audio:.1f} s"
    return f"{length} of audio, {audio / max(seconds, 1e-9):.0f} × real time"


def _tell(report: Report, output: Path, failed_now: int) -> None:
    """The last line."""
    parts = [f"{report.done} files, {_amount(report.audio_seconds, report.seconds)}"]
    if report.skipped:
        parts.append(f"{report.skipped} were there already")
    if report.failed:
        before = len(report.failed) - failed_now
        earlier = f", {before} of them before (--retry-failed tries again)" if before else ""
        parts.append(f"{len(report.failed)} failed{earlier}")
    if not report.complete:
        parts.append("shards of other processes are missing still")
    print(f"{output}: {'; '.join(parts)}")


def _tqdm() -> Any:
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise ImportError(
            f'the progress bar needs tqdm ({error}): pip install "jaxspec-audio[extract]", or '
            f"--quiet"
        ) from error
    return tqdm
