"""What all experiments share: the command line, result files, versions, the page."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PAGE = HERE / "README.md"


def data_folder() -> Path | None:
    """Where recordings lie that the repository does not hold, if they are there."""
    folder = Path(os.environ.get("JAXSPEC_DATA", HERE.parents[1].parent / "shared" / "data"))
    return folder if folder.is_dir() else None


def command(experiment: ModuleType, argv: Sequence[str] | None = None) -> None:
    """Run an experiment from the command line and write its results.

    An experiment is a module with a docstring, ``run(quick) -> results`` (what ``json`` can
    write; ``None`` where something is missing, after saying so), ``table(results) -> Markdown``
    and ``draw(results, path)``.
    """
    name = Path(experiment.__file__ or "").stem
    parser = argparse.ArgumentParser(
        description=experiment.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    option = parser.add_argument
    option("--quick", action="store_true", help="a few steps: does it run?")
    option("--report", action="store_true", help="table and picture of the results that are there")
    option("-o", "--out", type=Path, default=RESULTS, help="folder to write")
    args = parser.parse_args(argv)
    if args.quick and args.out == RESULTS:
        parser.error("--quick needs a folder of its own: -o DIR")
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"{name}.json"
    if args.report:
        results = json.loads(path.read_text())
    else:
        begin = time.perf_counter()
        results = experiment.run(args.quick)
        if results is None:
            return
        results |= {"seconds": round(time.perf_counter() - begin), "versions": versions()}
        path.write_text(json.dumps(results, indent=1) + "\n")
    experiment.draw(results, path.with_suffix(".png"))
    text = experiment.table(results)
    print(text)
    if args.out == RESULTS:
        write_into_page(name, text)


def versions() -> dict[str, str]:
    """What the results were measured with."""
    packages = ("jax", "flax", "optax", "numpy")
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in packages
    }


def write_into_page(name: str, text: str) -> None:
    """Put a table between its markers in the page."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    page = PAGE.read_text() if PAGE.exists() else ""
    if begin not in page:
        page += f"\n{begin}\n{end}\n"
    before, rest = page.split(begin)
    PAGE.write_text(f"{before}{begin}\n{text.strip()}\n{end}{rest.split(end)[1]}")


def markdown(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
