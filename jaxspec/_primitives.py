"""Linear JAX primitives with a transpose of their own.

Where JAX's own transpose of an operation is slow, unordered or refuses a sharded batch, a
primitive states another one; forward mode, reverse mode and all higher orders follow from it, and
each platform may be given a lowering of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax.interpreters import ad, batching, mlir

if TYPE_CHECKING:
    from jax.extend.core import Primitive
else:  # the same class, whose own module imports half of Pallas
    Primitive = type(jax.lax.add_p)

__all__ = [
    "COMPUTES",
    "PARTITIONS_FFT_ITSELF",
    "Primitive",
    "register_linear",
    "register_lowerings",
]

COMPUTES: dict[Primitive, Callable[..., Any]] = {}
"""What each primitive computes, in terms of other functions of JAX, where no platform is known."""

# Before JAX 0.12 the partitioner gathers the whole batch on every device for an FFT; see `fourier`.
PARTITIONS_FFT_ITSELF = jax.__version_info__ >= (0, 12)


def register_linear(
    primitive: Primitive,
    *,
    shape: Callable[..., Any],
    transpose: Callable[..., list[Any]],
    static: tuple[str, ...],
    computes: Callable[..., Any],
    lowerings: Mapping[str | None, Callable[..., Any]],
) -> None:
    """Complete a primitive of one array operand that is linear in it.

    Args:
      primitive: what is completed; every axis of its operand that ``shape`` does not look at must
        be a batch axis in front of the others.
      shape: from the abstract operand and the options to the abstract result.
      transpose: from cotangent, operand and options to a list with the operand's cotangent.
      static: the names of the options.
      computes: what it computes, in terms of other JAX functions.
      lowerings: the same as it is compiled for the platform of this name; ``None``: for any other.
    """
    primitive.def_abstract_eval(shape)
    ad.deflinear2(primitive, transpose)

    def batch(args: Any, axes: Any, **options: Any) -> tuple[Any, int]:
        return primitive.bind(jnp.moveaxis(args[0], axes[0], 0), **options), 0

    batching.primitive_batchers[primitive] = batch
    register_lowerings(primitive, lowerings, static, computes=computes)


def register_lowerings(
    primitive: Primitive,
    lowerings: Mapping[str | None, Callable[..., Any]],
    static: tuple[str, ...],
    *,
    computes: Callable[..., Any],
) -> None:
    """What the primitive computes on each platform; outside ``jit`` it compiles itself."""
    if not PARTITIONS_FFT_ITSELF:
        # `custom_partitioning` must know the devices, and JAX does not see it inside of a lowering.
        from jax._src.dispatch import prim_requires_devices_during_lowering

        prim_requires_devices_during_lowering.add(primitive)
    COMPUTES[primitive] = computes
    for platform, function in lowerings.items():
        lowering = mlir.lower_fun(function, multiple_results=primitive.multiple_results)
        mlir.register_lowering(primitive, lowering, platform=platform)
    # Not the bound method itself, for jit looks for the names of the options in the signature.
    compiled = jax.jit(
        lambda *args, **options: primitive.bind(*args, **options), static_argnames=static
    )
    primitive.def_impl(compiled)
