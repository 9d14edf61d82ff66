"""What a learned bank may have: its parameters, its start, and where they do no work any more."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from jaxspec._checks import check_number
from jaxspec.layouts import (
    band_exponents,
    band_gains,
    band_widths,
    corner_factor,
    narrowest_gaps,
    range_moves,
)
from jaxspec.learning import Names, learned_names
from jaxspec.parametrize import ends_reached
from jaxspec.stage import Params
from jaxspec.table import Table

__all__ = [
    "BY_NAME",
    "DRAWN",
    "LAYOUTS",
    "bank_findings",
    "bank_names",
    "bank_shapes",
    "check_bandwidths",
    "check_limits",
    "check_points",
]

# The parameters of every layout, then those that it has if they are named.
LAYOUTS: dict[str, tuple[str, ...]] = {
    "fixed": (),
    "scale": ("scale",),
    "warp": ("warp",),
    "gaps": ("gaps", "widths"),
    "free": ("weights",),
    "signed": ("weights",),
}
BY_NAME: dict[str, tuple[str, ...]] = {
    "fixed": (),
    "scale": ("widths", "range", "gains"),
    "warp": ("widths", "range", "gains"),
    "gaps": ("range", "gains"),
    "free": (),
    "signed": (),
}
DRAWN = tuple(layout for layout, others in BY_NAME.items() if others)


def bank_names(layout: str, extra: tuple[str, ...], learn: Names) -> tuple[str, ...]:
    """The names of the parameters; ``extra`` ones are among the first of a drawn layout.

    Example:
      >>> bank_names("gaps", (), "all")
      ('gaps', 'widths')
      >>> bank_names("scale", (), ("scale", "gains"))
      ('scale', 'gains')
    """
    own = LAYOUTS[layout] + (extra if layout in DRAWN else ())
    return own if learn == "all" else learned_names(learn, own + BY_NAME[layout])


def bank_shapes(bank: Any) -> dict[str, tuple[int, ...]]:
    """The shapes of all parameters that there may be."""
    per_band = (bank.n_bands,)
    return {
        "scale": (),
        "warp": (bank.n_knots + 1,),
        "gaps": (bank.n_bands + 1,),
        "weights": (getattr(bank, "n_fft", 0) // 2 + 1, bank.n_bands),
        "range": (2,),
        "widths": per_band,
        "gains": per_band,
        "exponents": per_band,
    }


def check_points(points: Any, *, n_bands: int) -> Table:
    """The points of a bank of one's own as a table of ``(n_bands + 2,)`` increasing numbers."""
    table = Table(points)
    if table.shape != (n_bands + 2,):
        raise ValueError(
            f"points must have shape (n_bands + 2,) = {(n_bands + 2,)}, got {table.shape}"
        )
    if not (np.diff(table.values) > 0).all():
        raise ValueError(f"points must increase, got {table.values.tolist()}")
    return table


def check_bandwidths(bandwidths: Any, *, n_bands: int) -> Table:
    """Bandwidths as a table of ``(n_bands,)`` positive numbers."""
    table = Table(bandwidths)
    if table.shape != (n_bands,):
        raise ValueError(f"bandwidths must have shape (n_bands,) = {(n_bands,)}, got {table.shape}")
    if not (table.values > 0).all():
        raise ValueError(f"bandwidths must be > 0, got {table.values.min():g}")
    return table


def check_limits(
    limits: Any, *, f_min: float, f_max: float, scale: str, sample_rate: float
) -> tuple[float, float]:
    """The limits of a learned range; ``None`` is as wide as the frequencies are."""
    if limits is None:
        limits = (f_min / 2 if scale == "octave" else 0.0, sample_rate / 2)
    if not (isinstance(limits, (tuple, list)) and len(limits) == 2):
        raise ValueError(f"limits must be (low, high) in Hz, got limits={limits!r}")
    low = check_number("limits[0]", limits[0], at_least=0)
    high = check_number(
        "limits[1]", limits[1], at_most=sample_rate / 2, because="half the sample rate"
    )
    if low == 0 and scale == "octave":
        raise ValueError("limits[0] must be > 0 on the octave scale, got limits[0]=0")
    if not low < f_min or not f_max < high:
        raise ValueError(
            f"f_min and f_max must lie strictly inside the limits ({low:g}, {high:g}) to be "
            f"learned, got f_min={f_min:g} and f_max={f_max:g}"
        )
    return low, high


def bank_findings(bank: Any, params: Params, points: np.ndarray) -> list[str]:
    """Where the parameters do no work any more, as `jaxspec.Stage.check` says it.

    ``points`` are those at the start, in Hz.
    """
    found: list[str] = []
    for name in ("gaps", "warp"):
        if name in params:
            crowded = narrowest_gaps(name, params[name], points=points, scale=bank.scale)
            found += [
                f"{name}[{place}] is as narrow as it may be: it hardly learns any more"
                for place in crowded
            ]
    moves: dict[str, Any] = {
        "scale": corner_factor,
        "widths": band_widths,
        "gains": band_gains,
        "exponents": partial(band_exponents, start=getattr(bank, "exponent", 2.0)),
    }
    if "range" in params:
        ends = {"f_min": points[0], "f_max": points[-1]}
        moves["range"] = partial(range_moves, **ends, limits=bank.limits, scale=bank.scale)
    return found + ends_reached(params, {k: v for k, v in moves.items() if k in params})
