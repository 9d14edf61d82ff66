"""Draw the pictures of the README and the docs from the embedded recordings.

python docs/make_pictures.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import jaxspec
from jaxspec import plotting

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "examples"))
from recordings import instruments  # noqa: E402

FAMILIES = ("Piano", "Guitar", "Strings", "Brass", "Drumkit")


def features() -> Figure:
    """One note of each of five families, one after the other."""
    data = instruments()
    notes = [data.x[np.flatnonzero(data.y == data.labels.index(name))[3]] for name in FAMILIES]
    frontend = jaxspec.presets.get("log_mel", sample_rate=data.sample_rate)
    frontend = frontend.replace("filterbank", n_bands=48)
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    return plotting.plot_frontend(
        frontend, np.concatenate(notes), figure=figure, title=" · ".join(FAMILIES)
    )


def main() -> None:
    """Write ``docs/images``."""
    images = HERE / "images"
    images.mkdir(exist_ok=True)
    features().savefig(images / "features.png", dpi=110)


if __name__ == "__main__":
    main()
