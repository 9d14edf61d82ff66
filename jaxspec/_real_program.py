"""Programs without complex numbers and without FFT, made of those with them.

A function is traced, and its steps are taken one by one with a pair of real arrays for every
complex one. Our primitives are replaced by what they compute, Fourier transforms by matrix
products. Nothing of it is known to the stages: it holds for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal
from jax.lax import FftType

from jaxspec._primitives import COMPUTES
from jaxspec.fourier import LONGEST_PRODUCT, dft

__all__ = ["Pair", "all_real"]


class Pair(NamedTuple):
    """A complex array."""

    real: Any
    imag: Any


def all_real(function: Callable[..., Any], *args: Any) -> Any:
    """``function(*args)``, with a `Pair` for every complex array that it takes or gives.

    Example:
      >>> all_real(lambda z: z * z, Pair(jnp.ones(1), jnp.full(1, 2.0)))
      Pair(real=Array([-3.], dtype=float32), imag=Array([4.], dtype=float32))
    """
    flat, tree = jax.tree.flatten(args, is_leaf=lambda leaf: isinstance(leaf, Pair))
    shapes = jax.tree.unflatten(tree, [_shape(value) for value in flat])
    closed, given = jax.make_jaxpr(function, return_shape=True)(*shapes)
    return jax.tree.unflatten(jax.tree.structure(given), _closed(closed, flat))


def _shape(value: Any) -> Any:
    """What stands for a value while the function is traced."""
    if not isinstance(value, Pair):
        return value
    real = jnp.result_type(value.real)
    return jax.ShapeDtypeStruct(jnp.shape(value.real), jnp.result_type(real, jnp.complex64))


def _closed(closed: ClosedJaxpr, values: Sequence[Any]) -> list[Any]:
    return _evaluate(closed.jaxpr, [_parts(c) for c in closed.consts], values)


def _parts(value: Any) -> Any:
    return Pair(np.real(value), np.imag(value)) if jnp.iscomplexobj(value) else value


def _evaluate(program: Jaxpr, constants: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    """What a traced function gives."""
    known: dict[Any, Any] = {}

    def read(atom: Any) -> Any:
        return _parts(atom.val) if isinstance(atom, Literal) else known[atom]

    known.update(zip(program.constvars, constants, strict=True))
    known.update(zip(program.invars, values, strict=True))
    for step in program.eqns:
        results = _step(step, [read(atom) for atom in step.invars])
        known.update(zip(step.outvars, results, strict=True))
    return [read(atom) for atom in program.outvars]


def _step(step: Any, values: list[Any]) -> list[Any]:
    """The results of one step."""
    primitive, options = step.primitive, step.params
    if primitive in COMPUTES:
        return _replaced(primitive, options, values)
    name = primitive.name
    if name in _LOOPS:
        return _LOOPS[name](values, **options)
    if name in _REWRITTEN:
        return [_REWRITTEN[name](*values, **options)]
    inner = next((options[key] for key in _INNER if key in options), None)
    if inner is not None:
        inner = inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, ())
        return _closed(inner, values)
    dtypes = [variable.aval.dtype for variable in step.outvars]
    if not any(isinstance(value, Pair) for value in values) and not any(
        jnp.issubdtype(dtype, jnp.complexfloating) for dtype in dtypes
    ):
        results = primitive.bind(*values, **options)
    elif name in _COMPLEX:
        results = _COMPLEX[name](*values, **options)
    elif name in _LINEAR:
        results = _in_parts(partial(primitive.bind, **options), values)
    elif name in _BILINEAR:
        results = _product(partial(primitive.bind, **options), *values)
    else:
        raise NotImplementedError(f"there is no all-real form of {name} of complex numbers")
    return list(results) if primitive.multiple_results else [results]


_INNER = ("jaxpr", "call_jaxpr", "fun_jaxpr")


def _replaced(primitive: Any, options: dict[str, Any], values: list[Any]) -> list[Any]:
    """What one of our primitives computes; the transform of frames by matrix product.

    Of long frames it is taken as an FFT, which `_fft` divides into products.
    """
    if "method" in options:
        method = "matmul" if options["n"] <= LONGEST_PRODUCT else "fft"
        options = options | {"method": method, "precision": "highest"}
    results = all_real(partial(COMPUTES[primitive], **options), *values)
    return list(results) if primitive.multiple_results else [results]


# Loops and branches: a pair goes through them as two arrays.


def _arrays(values: Sequence[Any]) -> list[Any]:
    return [part for v in values for part in (v if isinstance(v, Pair) else (v,))]


def _grouped(arrays: Sequence[Any], variables: Sequence[Any]) -> list[Any]:
    """Arrays as the values of these variables, in pairs where they are complex."""
    rest = iter(arrays)
    return [
        Pair(next(rest), next(rest))
        if jnp.issubdtype(v.aval.dtype, jnp.complexfloating)
        else next(rest)
        for v in variables
    ]


def _flat(closed: ClosedJaxpr) -> Callable[..., list[Any]]:
    """A traced function of arrays that gives arrays."""
    inputs = closed.jaxpr.invars
    return lambda arrays: _arrays(_closed(closed, _grouped(arrays, inputs)))


def _scan(
    values: list[Any],
    *,
    jaxpr: ClosedJaxpr,
    length: Any,
    reverse: bool,
    unroll: int,
    **options: Any,
) -> list[Any]:
    num_consts, num_carry = _counts(options)
    run, stop = _flat(jaxpr), num_consts + num_carry
    constants, carry = _arrays(values[:num_consts]), _arrays(values[num_consts:stop])

    def one(carry: list[Any], x: list[Any]) -> tuple[list[Any], list[Any]]:
        results = run([*constants, *carry, *x])
        return results[: len(carry)], results[len(carry) :]

    xs = _arrays(values[stop:])
    # An open length may not be said, but may be that of arrays.
    carry, found = jax.lax.scan(
        one, carry, xs, length=None if xs else length, reverse=reverse, unroll=unroll
    )
    return _grouped([*carry, *found], jaxpr.jaxpr.outvars)


def _counts(options: dict[str, Any]) -> tuple[int, int]:
    """How many constants and how many carried values a scan has."""
    if "num_consts" in options:
        return options["num_consts"], options["num_carry"]
    constants, carry, _ = options["ft_in"].unpack()  # from JAX 0.12 on
    return len(list(constants.vals)), len(list(carry.vals))


def _while(
    values: list[Any],
    *,
    cond_jaxpr: ClosedJaxpr,
    body_jaxpr: ClosedJaxpr,
    cond_nconsts: int,
    body_nconsts: int,
) -> list[Any]:
    goes_on, body = _flat(cond_jaxpr), _flat(body_jaxpr)
    stop = cond_nconsts + body_nconsts
    of_cond, of_body = _arrays(values[:cond_nconsts]), _arrays(values[cond_nconsts:stop])
    state = jax.lax.while_loop(
        lambda state: goes_on([*of_cond, *state])[0],
        lambda state: body([*of_body, *state]),
        _arrays(values[stop:]),
    )
    return _grouped(state, body_jaxpr.jaxpr.outvars)


def _cond(values: list[Any], *, branches: Sequence[ClosedJaxpr], **options: Any) -> list[Any]:
    del options
    which, *operands = values
    results = jax.lax.switch(which, [_flat(branch) for branch in branches], _arrays(operands))
    return _grouped(results, branches[0].jaxpr.outvars)


_LOOPS: dict[str, Callable[..., list[Any]]] = {"scan": _scan, "while": _while, "cond": _cond}


# Complex arithmetic.


def _in_parts(function: Callable[..., Any], values: Sequence[Any]) -> Any:
    """A function that is linear in its complex operands, of both parts; others stay as they are."""
    reals = function(*(v.real if isinstance(v, Pair) else v for v in values))
    imags = function(*(v.imag if isinstance(v, Pair) else v for v in values))
    if isinstance(reals, list | tuple):
        return [Pair(*parts) for parts in zip(reals, imags, strict=True)]
    return Pair(reals, imags)


def _product(multiply: Callable[..., Any], a: Any, b: Any) -> Pair:
    if not isinstance(a, Pair):
        return Pair(multiply(a, b.real), multiply(a, b.imag))
    if not isinstance(b, Pair):
        return Pair(multiply(a.real, b), multiply(a.imag, b))
    return Pair(
        multiply(a.real, b.real) - multiply(a.imag, b.imag),
        multiply(a.real, b.imag) + multiply(a.imag, b.real),
    )


def _converted(z: Any, *, new_dtype: Any, **options: Any) -> Any:
    del options
    if not isinstance(z, Pair):
        real = jnp.asarray(z, jnp.finfo(new_dtype).dtype)
        return Pair(real, jnp.zeros_like(real))
    if not jnp.issubdtype(new_dtype, jnp.complexfloating):
        return z.real.astype(new_dtype)
    dtype = jnp.finfo(new_dtype).dtype
    return Pair(z.real.astype(dtype), z.imag.astype(dtype))


def _magnitude(z: Pair) -> jax.Array:
    """Without squares that leave the range of the dtype."""
    real, imag = jnp.abs(z.real), jnp.abs(z.imag)
    larger, smaller = jnp.maximum(real, imag), jnp.minimum(real, imag)
    ratio = smaller / jnp.where(larger == 0, 1, larger)
    return larger * jnp.sqrt(1 + ratio * ratio)


def _quotient(a: Any, b: Any) -> Pair:
    if not isinstance(b, Pair):
        return Pair(a.real / b, a.imag / b)
    size = _magnitude(b)
    unit = Pair(b.real / size, -b.imag / size)
    whole = _product(jnp.multiply, a, unit)
    return Pair(whole.real / size, whole.imag / size)


def _exp(z: Pair, **options: Any) -> Pair:
    del options
    size = jnp.exp(z.real)
    return Pair(size * jnp.cos(z.imag), size * jnp.sin(z.imag))


def _power(z: Pair, *, y: int) -> Any:
    times = partial(_product, jnp.multiply)
    if y < 0:
        return _quotient(Pair(jnp.ones_like(z.real), jnp.zeros_like(z.real)), _power(z, y=-y))
    power = Pair(jnp.ones_like(z.real), jnp.zeros_like(z.real))
    for _ in range(y):
        power = times(power, z)
    return power


_COMPLEX: dict[str, Callable[..., Any]] = {
    "real": lambda z: z.real,
    "imag": lambda z: z.imag,
    "complex": Pair,
    "conj": lambda z, **_: Pair(z.real, -z.imag) if isinstance(z, Pair) else _real_as_pair(z),
    "abs": _magnitude,
    "convert_element_type": _converted,
    "div": _quotient,
    "exp": _exp,
    "log": lambda z, **_: Pair(jnp.log(_magnitude(z)), jnp.arctan2(z.imag, z.real)),
    "integer_pow": _power,
    "square": lambda z: _product(jnp.multiply, z, z),
    "eq": lambda a, b: (a.real == b.real) & (a.imag == b.imag),
    "ne": lambda a, b: (a.real != b.real) | (a.imag != b.imag),
    "is_finite": lambda z: jnp.isfinite(z.real) & jnp.isfinite(z.imag),
}

_BILINEAR = ("mul", "dot_general", "conv_general_dilated")

_LINEAR = (
    "add", "add_any", "broadcast_in_dim", "concatenate", "copy", "copy_p", "cumsum",
    "dynamic_slice", "dynamic_update_slice", "expand_dims", "gather", "neg", "pad",
    "reduce_sum", "reshape", "rev", "scatter", "scatter-add", "select_n", "slice", "split",
    "squeeze", "stop_gradient", "sub", "transpose", "optimization_barrier",
)  # fmt: skip


def _real_as_pair(x: jax.Array) -> Pair:
    return Pair(x, jnp.zeros_like(x))


# Fourier transforms.


def _fft(x: Any, *, fft_type: Any, fft_lengths: tuple[int, ...], **options: Any) -> Any:
    """`jax.lax.fft` over the last axis by matrix products."""
    del options
    (n,) = fft_lengths
    if fft_type == FftType.RFFT:
        bins = n // 2 + 1
        real, imag = dft(x[..., :n], jnp.zeros_like(x[..., :n]))
        return Pair(real[..., :bins], imag[..., :bins])
    if fft_type == FftType.IRFFT:
        # The other half of the spectrum is the conjugate of this one.
        mirrored = slice(1, n - n // 2)
        whole = Pair(
            jnp.concatenate([x.real, x.real[..., mirrored][..., ::-1]], axis=-1),
            jnp.concatenate([x.imag, -x.imag[..., mirrored][..., ::-1]], axis=-1),
        )
        return dft(whole.real, -whole.imag)[0] / n
    if fft_type == FftType.IFFT:
        real, imag = dft(x.real, -x.imag)
        return Pair(real / n, -imag / n)
    return Pair(*dft(x.real, x.imag))


# What is as well said in simpler steps, which converters take for sizes that are open, too.


def _pad(x: Any, value: Any, *, padding_config: Any) -> Any:
    """`jax.lax.pad` by known amounts as concatenations and slices."""
    if isinstance(x, Pair) or isinstance(value, Pair):
        return _in_parts(partial(_pad, padding_config=padding_config), (x, value))
    if any(between for _, _, between in padding_config) or not all(
        isinstance(size, int | np.integer)
        for low, high, _ in padding_config
        for size in (low, high)
    ):
        return jax.lax.pad(x, value, padding_config)
    for axis, (low, high, _) in enumerate(padding_config):
        x = _concatenate(
            _filled(x, axis, low, value), x, _filled(x, axis, high, value), dimension=axis
        )
        if low < 0 or high < 0:
            stop = x.shape[axis] - max(-high, 0)
            x = jax.lax.slice_in_dim(x, max(-low, 0), stop, axis=axis)
    return x


def _filled(x: jax.Array, axis: int, size: int, value: jax.Array) -> jax.Array:
    return jnp.broadcast_to(value, (*x.shape[:axis], max(size, 0), *x.shape[axis + 1 :]))


def _concatenate(*values: Any, dimension: int) -> Any:
    """`jax.lax.concatenate` of those that hold anything."""
    if any(isinstance(v, Pair) for v in values):
        return _in_parts(partial(_concatenate, dimension=dimension), values)
    sizes = [v.shape[dimension] for v in values]
    some = [
        v
        for v, n in zip(values, sizes, strict=True)
        if not (isinstance(n, int | np.integer) and n == 0)
    ]
    some = some or [values[0]]
    return jax.lax.concatenate(some, dimension) if len(some) > 1 else some[0]


_REWRITTEN: dict[str, Callable[..., Any]] = {"fft": _fft, "pad": _pad, "concatenate": _concatenate}
