"""Choosing by name what is learned: inside a stage, and among the leaves of its parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jaxspec.stage import Params, leaves_by_path

__all__ = ["Names", "check_learn", "learned_names", "merge", "split"]

Names = str | tuple[str, ...]
"""``"all"``, one name or several."""


def check_learn(learn: Names | list[str], names: tuple[str, ...], context: str) -> Names:
    """``learn`` as ``"all"`` or a tuple of names, all of them among ``names``."""
    if learn == "all":
        return "all"
    chosen = (learn,) if isinstance(learn, str) else tuple(learn)
    unknown = [name for name in chosen if name not in names]
    if unknown:
        raise ValueError(
            f"learn must be 'all' or name parameters among {names} ({context}), got learn={learn!r}"
        )
    return chosen


def learned_names(learn: Names, names: tuple[str, ...]) -> tuple[str, ...]:
    """The chosen ones of ``names``, in their order."""
    return tuple(name for name in names if learn == "all" or name in learn)


def split(params: Params, names: Names | Iterable[str]) -> tuple[Params, Params]:
    """Divide nested dictionaries into the leaves that are named and the rest.

    Args:
      params: nested dictionaries of arrays, as `jaxspec.Stage.init` returns.
      names: ``"all"``, or paths of leaves or of whole dictionaries: ``"pcen"`` names
        ``"pcen/gain"`` and ``"pcen/bias"``.

    Returns:
      ``(named, rest)``, nested dictionaries without empty ones; `merge` joins them again.

    Raises:
      ValueError: for a name that names nothing.

    Example:
      >>> split({"pcen": {"gain": 1, "bias": 2}, "scale": 3}, ("pcen/gain",))
      ({'pcen': {'gain': 1}}, {'pcen': {'bias': 2}, 'scale': 3})
    """
    flat = leaves_by_path(params)
    if isinstance(names, str):
        names = tuple(flat) if names == "all" else (names,)
    named = set()
    for name in names:
        found = {path for path in flat if path == name or path.startswith(f"{name}/")}
        if not found:
            raise ValueError(f"{name!r} names no parameter; there are {', '.join(flat) or 'none'}")
        named |= found
    return (
        _nested({path: leaf for path, leaf in flat.items() if path in named}),
        _nested({path: leaf for path, leaf in flat.items() if path not in named}),
    )


def merge(named: Params, rest: Params) -> Params:
    """The inverse of `split`.

    Args:
      named, rest: nested dictionaries without a leaf in common.

    Example:
      >>> merge({"pcen": {"gain": 1}}, {"pcen": {"bias": 2}})
      {'pcen': {'gain': 1, 'bias': 2}}
    """
    return _nested(leaves_by_path(named) | leaves_by_path(rest))


def _nested(flat: dict[str, Any]) -> Params:
    nested: Params = {}
    for path, leaf in flat.items():
        *parents, last = path.split("/")
        place = nested
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = leaf
    return nested
