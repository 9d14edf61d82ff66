"""Options that several commands share, and what they mean."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxspec.frontend import FrontEnd

__all__ = ["add_frontend_options", "add_part_options", "config_rate", "preset_rate", "read_config"]


def add_frontend_options(
    parser: argparse.ArgumentParser, *, in_python: str = "plotting.plot_frontend"
) -> None:
    """Add the choice of a front-end; the function ``in_python`` takes learned values, too."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--preset",
        metavar="NAME",
        help='a front-end that "jaxspec presets" lists (default: log_mel)',
    )
    group.add_argument(
        "--config",
        type=Path,
        metavar="FRONTEND.json",
        help="a front-end of your own: the JSON of FrontEnd.to_dict(). The JSON holds choices, no "
        "learned values: bands that can learn are at their start. From Python: "
        f"{in_python}(..., params=...)",
    )
    parser.add_argument(
        "--sample-rate",
        type=int,
        metavar="HZ",
        help="resample to this (by default the front-end's rate if it has one, else the file's)",
    )


def add_part_options(parser: argparse.ArgumentParser) -> None:
    """Add the choice of a part of a file."""
    parser.add_argument("--start", type=float, default=0.0, metavar="S", help="seconds to skip")
    parser.add_argument(
        "--duration", type=float, metavar="S", help="seconds to read (default: all)"
    )


def read_config(path: Path) -> FrontEnd:
    """The front-end that a file describes."""
    from jaxspec.frontend import FrontEnd

    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(description, dict):
            raise ValueError("it must hold a JSON object, as FrontEnd.to_dict() makes")
        if "stage" not in description:
            raise ValueError('it has no "stage" key, so FrontEnd.to_dict() did not write it')
        return FrontEnd.from_dict(description)
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is no front-end: {error}") from error


def preset_rate(name: str, asked: int | None) -> int | None:
    """The rate that a preset is to be fed with; ``None``: any."""
    from jaxspec.presets import sample_rate

    trained = sample_rate(name)
    if asked is not None and trained not in (None, asked):
        raise ValueError(f"--sample-rate must be the {trained} Hz that {name} is for, got {asked}")
    return trained or asked


def config_rate(frontend: FrontEnd, path: Path, asked: int | None) -> int | None:
    """The rate that a front-end is to be fed with; ``None``: any."""
    stated = frontend.sample_rate
    if stated is None:
        return asked
    if asked is not None and asked != stated:
        raise ValueError(f"--sample-rate must be the {stated:g} Hz that {path} states, got {asked}")
    if stated != int(stated):
        raise ValueError(f"the sample rate of {path} must be whole Hz, got {stated}")
    return int(stated)
