"""Write docs/reference.md: every public function and stage in a line, from the docstrings.

python docs/make_reference.py
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import jaxspec
import jaxspec.export
import jaxspec.extraction
import jaxspec.sharding

TARGET = Path(__file__).parent / "reference.md"


def first_sentence(value: object) -> str:
    """The first sentence of a docstring, on one line."""
    text = " ".join((inspect.getdoc(value) or "").split("\n\n")[0].split())
    text = re.sub(r"`(?:jaxspec\.)?([\w.]+)`(?!`)", r"`\1`", text)
    return text.replace("``", "`").replace("|", "\\|")


def reference() -> str:
    """The page."""
    source = Path(inspect.getfile(jaxspec)).read_text()
    lines = [
        "# All functions and stages",
        "",
        "Made by `python docs/make_reference.py`; `help(jaxspec.stft)` tells the rest. Options are",
        "keyword-only; the layout is `(…, frames, channels)`.",
    ]
    table = ["", "| | |", "|---|---|"]
    for line in source.splitlines():
        if line.startswith("# "):
            lines += ["", f"## {line[2:].rstrip('.')}", *table]
        name = re.fullmatch(r"from jaxspec\.\S+ import (\w+) as \1", line)
        if name:
            value = getattr(jaxspec, name[1])
            lines.append(f"| `jaxspec.{name[1]}` | {first_sentence(value)} |")
    for title, module in (
        ("Stages", jaxspec.stages),
        ("Training", jaxspec.training),
        ("Diagnostics", jaxspec.diagnostics),
        ("Statistics of a data set", jaxspec.statistics),
        ("Long recordings over devices", jaxspec.sharding),
        ("Whole data sets", jaxspec.extraction),
        ("Export", jaxspec.export),
    ):
        lines += ["", f"## {title}", *table]
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value):
                lines.append(f"| `{module.__name__}.{name}` | {first_sentence(value)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(reference())
