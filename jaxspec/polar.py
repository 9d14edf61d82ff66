"""Magnitude, power and phase of a complex spectrum, with derivatives that are always finite.

This is the only place where a square root or an angle touches a spectrum.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxspec._checks import check_number
from jaxspec.powers import magnitude_to_power, smallest_base

__all__ = ["magnitude", "phase", "power"]

_One = tuple[jax.Array]  # what a rule for one argument gets


def magnitude(spectrum: jax.Array) -> jax.Array:
    """``|X|``, with finite first and second derivatives everywhere, silence included.

    Args:
      spectrum: complex array of any shape.

    Returns:
      real array of that shape. The gradient at exactly 0 is 0; elsewhere it has modulus 1, also
      where the squares of the parts would underflow.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> jaxspec.magnitude(jnp.array([3 + 4j, 0j]))
      Array([5., 0.], dtype=float32)
    """
    return power(spectrum, exponent=1.0)


def power(spectrum: jax.Array, *, exponent: float = 2.0) -> jax.Array:
    """``|X| ** exponent``, with finite first and second derivatives everywhere.

    Args:
      spectrum: complex array of any shape.
      exponent: above 0; 2 for a power spectrum, 1 for a magnitude spectrum.

    Returns:
      real array of that shape. For exponents below 2 other than 1, magnitudes under 1e-17
      (float32; 1e-138 in float64) follow a straight line to 0 instead of the power law, whose
      slope there is infinite. Magnitudes whose power would overflow are held at the largest
      finite value.

    Raises:
      TypeError: if ``spectrum`` is not complex.
      ValueError: if ``exponent`` is not above 0.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.power(jnp.array([3 + 4j, 0j]))
      Array([25.,  0.], dtype=float32)
      >>> jaxspec.power(jnp.array([3 + 4j, 0j]), exponent=0.5).round(4)
      Array([2.2361, 0.    ], dtype=float32)
    """
    exponent = check_number("exponent", exponent, above=0)
    spectrum = _check_complex(spectrum)
    if exponent == 2:
        square = spectrum.real**2 + spectrum.imag**2
        return jnp.minimum(square, float(jnp.finfo(square.dtype).max))
    return magnitude_to_power(_magnitude(spectrum), exponent)


def phase(spectrum: jax.Array) -> jax.Array:
    """The angle of ``X`` in radians, in (-pi, pi], with finite derivatives everywhere.

    The phase of 0 is 0 with gradient 0; the gradient of a bin of magnitude m has modulus 1 / m,
    and is 0 where m is below 1e-17 (float32; 1e-138 in float64).

    Args:
      spectrum: complex array of any shape.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.phase(jnp.array([1j, -1 + 0j, 0j])).round(4)
      Array([1.5708, 3.1416, 0.    ], dtype=float32)
    """
    return _phase(_check_complex(spectrum))


def _check_complex(spectrum: Any) -> jax.Array:
    spectrum = jnp.asarray(spectrum)
    if not jnp.issubdtype(spectrum.dtype, jnp.complexfloating):
        raise TypeError(f"spectrum must be complex, got spectrum with dtype {spectrum.dtype}")
    return spectrum


# Derivatives of modulus and angle, in terms of the unit phasor u = X / |X| (0 where X is 0):
#   d|X| = Re(conj(u) dX)     d angle = Im(conj(u) dX) / |X|     du = i u d angle
# Each rule is written with functions that have such a rule themselves, so that every order of
# derivative is finite; JAX's own rule for |X| divides by |X|^2, which underflows.


@jax.custom_jvp
def _magnitude(spectrum: jax.Array) -> jax.Array:
    return jnp.abs(spectrum)


@_magnitude.defjvp
def _magnitude_jvp(primals: _One, tangents: _One) -> tuple[jax.Array, jax.Array]:
    (spectrum,), (change,) = primals, tangents
    unit = _unit(spectrum)
    return _magnitude(spectrum), unit.real * change.real + unit.imag * change.imag


@jax.custom_jvp
def _unit(spectrum: jax.Array) -> jax.Array:
    size = jnp.abs(spectrum)
    safe = jnp.where(size > 0, size, 1)
    unit = jax.lax.complex(spectrum.real / safe, spectrum.imag / safe)
    return jnp.where(size > 0, unit, 0)


@_unit.defjvp
def _unit_jvp(primals: _One, tangents: _One) -> tuple[jax.Array, jax.Array]:
    (spectrum,), (change,) = primals, tangents
    unit = _unit(spectrum)
    turn = (unit.real * change.imag - unit.imag * change.real) * _reciprocal(_magnitude(spectrum))
    return unit, jax.lax.complex(-unit.imag * turn, unit.real * turn)


@jax.custom_jvp
def _phase(spectrum: jax.Array) -> jax.Array:
    # An imaginary part of -0 would turn the phase of a negative number from pi to -pi.
    imag = jnp.where(spectrum.imag == 0, 0, spectrum.imag)
    return jnp.arctan2(imag, spectrum.real)


@_phase.defjvp
def _phase_jvp(primals: _One, tangents: _One) -> tuple[jax.Array, jax.Array]:
    (spectrum,), (change,) = primals, tangents
    unit = _unit(spectrum)
    turn = unit.real * change.imag - unit.imag * change.real
    return _phase(spectrum), turn * _reciprocal(_magnitude(spectrum))


def _reciprocal(size: jax.Array) -> jax.Array:
    """``1 / size``, and 0 where its square would overflow."""
    usable = size > smallest_base(size.dtype)
    return jnp.where(usable, 1 / jnp.where(usable, size, 1), 0)
