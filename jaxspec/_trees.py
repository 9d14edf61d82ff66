"""Nested dictionaries of parameters: their leaves by path, and words about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

__all__ = ["leaves_by_path", "listed", "not_finite"]


def leaves_by_path(params: Any) -> dict[str, Any]:
    """The leaves of nested dictionaries under paths such as ``"filterbank/gaps"``."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {"/".join(str(getattr(key, "key", key)) for key in keys): leaf for keys, leaf in leaves}


def not_finite(params: Any) -> list[str]:
    """The paths of leaves that hold a NaN or an infinity."""
    leaves = leaves_by_path(params).items()
    return [path for path, leaf in leaves if not np.isfinite(np.asarray(leaf, np.float64)).all()]


def listed(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Names with their shapes, in one line."""
    return ", ".join(f"{path} {shape}" for path, shape in shapes.items()) or "none"
