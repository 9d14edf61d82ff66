"""Checks of arguments: all error wording of the library lives here.

Only what is static (Python values, shapes, dtypes) is checked, so that every check works the same
under ``jit``; the values of traced arrays are never looked at.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import operator
from collections.abc import Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

__all__ = [
    "check_choice",
    "check_fields",
    "check_number",
    "check_parameter",
    "check_positive_int",
    "check_real",
    "check_same",
    "check_spectrum",
    "check_time_axis",
    "is_array",
]


def _refuse_traced(name: str, value: Any) -> None:
    if isinstance(value, jax.core.Tracer):
        raise TypeError(
            f"{name} must be known when the program is traced, got a traced value; "
            f"pass it as a static argument"
        )


def check_positive_int(name: str, value: Any, *, minimum: int = 1) -> int:
    """``value`` as a Python int of at least ``minimum``."""
    _refuse_traced(name, value)
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, got {name}={value!r}") from None
    if number < minimum:
        raise ValueError(f"{name} must be an int >= {minimum}, got {name}={number}")
    return number


def check_number(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
    because: str = "",
) -> float:
    """``value`` as a finite Python float inside the stated bounds."""
    _refuse_traced(name, value)
    if isinstance(value, bool) or not (isinstance(value, numbers.Real) or hasattr(value, "dtype")):
        raise TypeError(f"{name} must be a real number, got {name}={value!r}")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a real number, got {name}={value!r}") from None
    tail = f" ({because})" if because else ""
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {name}={number}{tail}")
    if above is not None and not number > above:
        raise ValueError(f"{name} must be > {above:g}, got {name}={number:g}{tail}")
    if at_least is not None and not number >= at_least:
        raise ValueError(f"{name} must be >= {at_least:g}, got {name}={number:g}{tail}")
    if below is not None and not number < below:
        raise ValueError(f"{name} must be < {below:g}, got {name}={number:g}{tail}")
    if at_most is not None and not number <= at_most:
        raise ValueError(f"{name} must be <= {at_most:g}, got {name}={number:g}{tail}")
    return number


def is_array(value: Any) -> bool:
    """Whether a quantity is given as an array, whose values are not looked at."""
    return isinstance(value, jax.Array) or (isinstance(value, np.ndarray) and value.ndim > 0)


def check_parameter(name: str, value: Any, **bounds: Any) -> Any:
    """A quantity that may be learned: numbers are checked, arrays, also traced, are not."""
    return value if is_array(value) else check_number(name, value, **bounds)


def check_choice(name: str, value: Any, allowed: Collection[Any]) -> Any:
    """``value`` if it is one of the words in ``allowed``."""
    if not any(value is word or (type(value) is type(word) and value == word) for word in allowed):
        words = ", ".join(repr(word) for word in allowed)
        raise ValueError(f"{name} must be one of {words}; got {name}={value!r}")
    return value


def check_same(name: str, value: int, other_name: str, other: int, *, because: str = "") -> None:
    """Refuse two static numbers that must agree and do not."""
    if value != other:
        tail = f" ({because})" if because else ""
        raise ValueError(
            f"{name} must equal {other_name}, got {name}={value} and {other_name}={other}{tail}"
        )


def _as_array(name: str, x: Any) -> jax.Array:
    if isinstance(x, Mapping):
        raise TypeError(
            f"{name} must be an array, got a {type(x).__name__}; parameters come first: "
            f"apply(params, x)"
        )
    return jnp.asarray(x)


def check_real(name: str, x: Any, *, ndim: int = 1) -> jax.Array:
    """``x`` as a real floating-point array of at least ``ndim`` dimensions."""
    array = _as_array(name, x)
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise TypeError(
            f"{name} must be real, got {name} with dtype {array.dtype}; take the real part, the "
            f"magnitude or the power first"
        )
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(
            f"{name} must be floating point, got {name} with dtype {array.dtype}; integer samples "
            f"have no stated scale: convert them with jaxspec.pcm_to_float"
        )
    _check_ndim(name, array, ndim)
    return array


def check_spectrum(name: str, x: Any) -> jax.Array:
    """``x`` as a complex array (..., frames, bins)."""
    array = _as_array(name, x)
    if not jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise TypeError(
            f"{name} must be a complex spectrum (..., frames, bins), got {name} with dtype "
            f"{array.dtype}"
        )
    _check_ndim(name, array, 2)
    return array


def _check_ndim(name: str, array: jax.Array, ndim: int) -> None:
    if array.ndim < ndim:
        layout = "(..., frames, channels)" if ndim == 2 else "(..., samples)"
        raise ValueError(
            f"{name} must have at least {ndim} dimension{'s' if ndim > 1 else ''} {layout}, got "
            f"{name} with shape {array.shape}"
        )


def check_time_axis(name: str, x: jax.Array, axis: int = -1) -> None:
    """Refuse an empty time axis (an empty batch is fine)."""
    if x.shape[axis] == 0:
        raise ValueError(
            f"the time axis of {name} must hold at least 1 position, got {name} with shape "
            f"{x.shape}"
        )


def told(places: np.ndarray, *, what: str = "band") -> str:
    """Which of many, at most three of them by number, up to the verb.

    Example:
      >>> told(np.array([4])), told(np.array([0, 2, 5, 6, 7]))
      ('band 4 is', '5 bands (0, 2, 5, …) are')
    """
    if len(places) == 1:
        return f"{what} {places[0]} is"
    numbers = ", ".join(str(place) for place in places[:3])
    return f"{len(places)} {what}s ({numbers}{', …' if len(places) > 3 else ''}) are"


def check_fields(cls: Any, fields: Collection[str]) -> None:
    """Refuse names that are no fields of a dataclass, and missing ones that have no default."""
    known = {f.name: f.default is dataclasses.MISSING for f in dataclasses.fields(cls)}
    unknown = sorted(set(fields) - set(known))
    if unknown:
        raise ValueError(
            f"the fields of {cls.__name__} are {', '.join(sorted(known))}; got {', '.join(unknown)}"
        )
    missing = sorted({name for name, needed in known.items() if needed} - set(fields))
    if missing:
        raise ValueError(
            f"a {cls.__name__} needs {', '.join(missing)}; got {', '.join(fields) or 'no field'}"
        )
