"""What becomes of arguments that the originals have and a stage has not."""

from __future__ import annotations

from typing import Any

__all__ = ["refuse_changed", "refuse_signal"]


def refuse_changed(name: str, value: Any, default: Any, *, instead: str) -> None:
    """Refuse anything but the default, and say what to do instead."""
    try:
        same = value is default or bool(value == default)
    except (TypeError, ValueError):  # an array, of which == makes an array
        same = False
    if not same:
        kind = type(value).__name__
        got = f"{name} of type {kind}" if hasattr(value, "shape") else f"{name}={value!r}"
        raise ValueError(f"{name} must be {default!r} here, got {got}: {instead}")


def refuse_signal(function: str, name: str, value: Any) -> None:
    """Refuse the signal, which the original takes in the same call."""
    if value is not None:
        raise ValueError(
            f"{name} must be left out here, got {name} of type {type(value).__name__}: {function} "
            f"returns a stage, which is called with the signal, as in {function}(...)(x)"
        )
