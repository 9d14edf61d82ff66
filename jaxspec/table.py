"""Arrays as choices: constants that can be hashed and compared by value."""

from __future__ import annotations

import hashlib
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike

__all__ = ["Table"]


class Table:
    """A constant float64 array that is frozen, hashable and comparable by value.

    Stages hold every array-valued choice (a custom window, a filterbank matrix) as a table, so
    that the whole description of a front-end stays usable as a static argument of ``jax.jit``
    and as a key of a dictionary.

    Args:
      values: anything ``numpy.asarray`` takes, with concrete finite values.

    Raises:
      TypeError: if ``values`` is traced or complex.
      ValueError: if a value is not finite.

    Example:
      >>> import jaxspec
      >>> a, b = jaxspec.Table([0.5, 1.0]), jaxspec.Table([0.5, 1.0])
      >>> a == b, hash(a) == hash(b), a.shape
      (True, True, (2,))
    """

    __slots__ = ("_digest", "_values")

    def __init__(self, values: ArrayLike | Table) -> None:
        if isinstance(values, Table):
            values = values.values
        if isinstance(values, jax.core.Tracer):
            raise TypeError(
                "an array that is a choice of a front-end must be concrete, got a traced value; "
                "to differentiate with respect to it, call the function (such as jaxspec.stft)"
            )
        if np.iscomplexobj(values):
            raise TypeError("a table must be real, got complex values")
        array = np.array(values, dtype=np.float64)
        if not np.isfinite(array).all():
            raise ValueError(f"a table must hold finite values, got {array!r}")
        array += 0.0  # -0.0 equals 0.0, so the two must hash alike
        array.setflags(write=False)
        self._values = array
        self._digest = hashlib.sha256(repr(array.shape).encode() + array.tobytes()).hexdigest()

    @property
    def values(self) -> np.ndarray:
        """The read-only float64 array."""
        return self._values

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self._values.shape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._values, dtype=dtype, copy=copy)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Table):
            return NotImplemented
        return self._digest == other._digest

    def __hash__(self) -> int:
        return hash(self._digest)

    def __repr__(self) -> str:
        if self._values.size <= 8:
            return f"Table({self._values.tolist()})"
        return f"Table(shape={self.shape}, sha256='{self._digest[:12]}')"
