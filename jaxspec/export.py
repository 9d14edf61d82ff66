"""Front-ends as programs that other processes, machines and runtimes run without this library.

`export` makes a `jax.export.Exported` of any stage, for clips and batches of any size and for
several platforms at once; its bytes are a file that needs JAX alone to be run. `to_onnx` writes a
file for runtimes of ONNX (needs the extra ``jaxspec-audio[onnx]``).
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import jaxpr_as_fun

from jaxspec._checks import check_choice, check_positive_int
from jaxspec._real_program import Pair, all_real
from jaxspec.frontend import FrontEnd
from jaxspec.padded import apply_padded
from jaxspec.stage import Params, Stage
from jaxspec.stages import Beside, MaskPadding

__all__ = ["PLATFORMS", "export", "real_function", "shortest_clip", "to_onnx"]

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
"""What `export` lowers for when nothing else is asked for; none of them must be at hand."""

PARAMETERS = ("constants", "argument")
NUMBERS = ("complex", "real")

# A clip that is no longer than so many positions holds nothing, or the stage takes none.
_LONGEST = 2**30


def export(
    stage: Stage,
    params: Params,
    *,
    batch: str | int | Sequence[str | int] = "batch",
    samples: str | int = "samples",
    shortest: int | None = None,
    channels: int | None = None,
    dtype: Any = None,
    parameters: str = "constants",
    lengths: bool = False,
    numbers: str = "complex",
    platforms: Sequence[str] = PLATFORMS,
) -> jax.export.Exported:
    """``stage.apply`` as a program that is lowered once and runs without this library.

    Args:
      stage: any stage or `FrontEnd`.
      params: as in `Stage.apply`; ``{}`` for a fixed stage.
      batch: the axes in front of the time axis: a name for a size that is open until the program is
        called, or a number; several of them in a tuple; ``()`` for one clip.
      samples: the time axis, samples of a waveform or else frames: a name or a number. With a
        number, a long clip is computed in tiles of time; one of any length is computed at once.
      shortest: of an open time axis, the shortest that the program takes; default
        `shortest_clip`.
      channels: how many channels there are, of a stage that takes features, frames or a spectrum.
      dtype: of ``x``; default float32, and complex64 for a spectrum.
      parameters: ``"constants"``: their values are part of the program, which is called with
        ``x``; ``"argument"``: it is called with ``params, x``.
      lengths: whether it is `jaxspec.apply_padded`: called with ``x, lengths`` in the end, int32 of
        the shape of the batch axes, it gives ``(features, lengths, mask)``.
      numbers: ``"complex"``, or ``"real"``: without complex numbers and without FFT, as
        `real_function`; a spectrum is then a pair of arrays.
      platforms: what it is lowered for, words of JAX.

    Returns:
      the program: ``exported.serialize()`` gives its bytes (needs the package flatbuffers; with
      ``vjp_order=1`` its gradient, too), ``jax.export.deserialize(data).call(x)`` runs them.

    Raises:
      ValueError: for a wrong option, and for clips of open length where JAX cannot decide what it
        must know of it: the message says what to give.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> from jaxspec.export import export
      >>> frontend = jaxspec.presets.get("log_mel")
      >>> exported = export(frontend, {}, platforms=("cpu",))
      >>> exported.in_avals[0].shape
      (batch, samples)
      >>> exported.call(jnp.zeros((3, 8000))).shape
      (3, 51, 80)
    """
    if not isinstance(stage, Stage):
        raise TypeError(f"stage must be a stage or a FrontEnd, got a {type(stage).__name__}")
    stage.check_params(params)
    check_choice("parameters", parameters, PARAMETERS)
    check_choice("lengths", lengths, (False, True))
    check_choice("numbers", numbers, NUMBERS)
    operands = _operands(stage, batch, samples, shortest, channels, dtype, lengths)
    function = _padded(stage) if lengths else stage.apply
    if numbers == "real":
        function = _all_real(function)
        operands = tuple(map(_in_parts, operands))
    if parameters == "argument":
        shapes = jax.tree.map(lambda p: jax.ShapeDtypeStruct(jnp.shape(p), p.dtype), params)
        operands = (shapes, *operands)
    else:
        function = _with_constants(function, params)
    with _explained(stage):
        return jax.export.export(jax.jit(function), platforms=_checked_platforms(platforms))(
            *operands
        )


def real_function(stage: Stage, params: Params) -> Callable[..., Any]:
    """``stage.apply`` as a function of JAX without complex numbers and without FFT.

    For converters and runtimes that know neither. Fourier transforms are matrix products, in full
    precision; the results are the same up to rounding. It is for inference: derivatives of it are
    those that JAX finds, which may be NaN where the stage's own are not.

    Args:
      stage: any stage or `FrontEnd`.
      params: as in `Stage.apply`; they become constants of the function.

    Returns:
      a function of what the stage takes, that gives what it gives, with a pair of real arrays
      ``(real, imaginary)`` for a spectrum.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> from jaxspec.export import real_function
      >>> spectrum = real_function(jaxspec.stages.STFT(n_fft=4), {})
      >>> real, imag = spectrum(jnp.ones(8))
      >>> real.shape, real.dtype, real[2]
      ((9, 3), dtype('float32'), Array([ 2., -1.,  0.], dtype=float32))
    """
    stage.check_params(params)
    return _with_constants(_all_real(stage.apply), params)


def to_onnx(
    stage: Stage,
    params: Params,
    path: str | os.PathLike[str],
    *,
    batch: str | int | Sequence[str | int] = "batch",
    samples: str | int = "samples",
    shortest: int | None = None,
    channels: int | None = None,
) -> None:
    """Write a stage to an ONNX file, in float32, without complex numbers and FFT.

    The package jax2onnx converts `real_function`. The program is traced before, so that what
    jax2onnx replaces within JAX while it converts leaves no trace in this process.

    Args:
      stage: any stage or `FrontEnd`.
      params: as in `Stage.apply`; they become constants of the file.
      path: the file.
      batch: as in `export`.
      samples: as in `export`. Not every stage converts with an open length; all presets do with a
        number.
      shortest: as in `export`.
      channels: as in `export`.

    Raises:
      ImportError: without jax2onnx.
      ValueError: for a wrong option, and for what jax2onnx cannot convert; the message has the
        reason that it gives.

    Example:
      >>> import jaxspec
      >>> from jaxspec.export import to_onnx
      >>> to_onnx(jaxspec.presets.get("log_mel"), {}, "log_mel.onnx")  # doctest: +SKIP
    """
    if not isinstance(stage, Stage):
        raise TypeError(f"stage must be a stage or a FrontEnd, got a {type(stage).__name__}")
    stage.check_params(params)
    (x,) = _operands(stage, batch, samples, shortest, channels, None, False)
    operands = _in_parts(x) if stage.takes == "spectrum" else (x,)
    function = real_function(stage, params)
    whole = (lambda *parts: function(parts)) if len(operands) == 2 else function
    with _explained(stage):
        program = jax.make_jaxpr(whole)(*operands)
    Path(path).write_bytes(_converted(stage, program, operands))


def shortest_clip(stage: Stage) -> int:
    """The fewest samples (or frames) of which a stage, and each within it, makes an output.

    Example:
      >>> import jaxspec
      >>> from jaxspec.export import shortest_clip
      >>> shortest_clip(jaxspec.presets.get("kaldi_fbank"))
      400
      >>> shortest_clip(jaxspec.presets.get("log_mel"))
      1
    """
    enough = 1
    while not _makes_any(stage, enough):
        enough *= 2
        if enough > _LONGEST:
            raise ValueError(f"{type(stage).__name__} makes an output of no clip")
    too_few = enough // 2
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        too_few, enough = (too_few, middle) if _makes_any(stage, middle) else (middle, enough)
    return enough


def _makes_any(stage: Stage, n: int) -> bool:
    """Whether a clip of ``n`` positions has any left after each step."""
    if isinstance(stage, MaskPadding):
        return _makes_any(stage.frontend, n)
    if isinstance(stage, Beside):
        return all(_makes_any(branch, n) for branch in stage.branches)
    if not isinstance(stage, FrontEnd):
        return bool(stage.length(n))
    for step in stage.stages:
        if not _makes_any(step, n):
            return False
        n = step.length(n)
    return True


def _padded(stage: Stage) -> Callable[..., Any]:
    def padded(params: Params, x: jax.Array, lengths: jax.Array) -> tuple[jax.Array, ...]:
        # Not the named tuple, which a process without this library does not know.
        return tuple(apply_padded(stage, params, x, lengths=lengths))

    return padded


def _all_real(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function with pairs of arrays, which are plain tuples, for its complex ones."""

    def real(params: Params, x: Any, *more: jax.Array) -> Any:
        y = all_real(function, params, Pair(*x) if isinstance(x, tuple) else x, *more)
        return tuple(y) if isinstance(y, Pair) else y

    return real


def _in_parts(operand: jax.ShapeDtypeStruct) -> Any:
    """What is given in place of a complex array."""
    if not jnp.issubdtype(operand.dtype, jnp.complexfloating):
        return operand
    part = jax.ShapeDtypeStruct(operand.shape, jnp.finfo(operand.dtype).dtype)
    return part, part


def _with_constants(function: Callable[..., Any], params: Params) -> Callable[..., Any]:
    def with_constants(*operands: jax.Array) -> Any:
        return function(params, *operands)

    return with_constants


def _converted(stage: Stage, program: Any, operands: Sequence[jax.ShapeDtypeStruct]) -> bytes:
    """The bytes of the ONNX file of a traced program."""
    try:
        import jax2onnx
    except ImportError as error:
        raise ImportError(
            f'ONNX files need jax2onnx ({error}): pip install "jaxspec-audio[onnx]"'
        ) from error
    # It warns of intermediate values whose type it leaves to the runtime to infer.
    logger = logging.getLogger("onnx_ir.serde")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        model = jax2onnx.to_onnx(
            jaxpr_as_fun(program),
            operands,
            model_name=type(stage).__name__,
            input_names=_names("x", len(operands)),
            output_names=_names("y", len(program.out_avals)),
        )
    except Exception as error:  # whatever its rule for an operation runs into
        first = str(error).split("\n", maxsplit=1)[0]
        raise ValueError(
            f"jax2onnx cannot convert {type(stage).__name__} for these sizes; if one is open, give "
            f"a number ({type(error).__name__}: {first})"
        ) from error
    finally:
        logger.setLevel(level)
    return model.SerializeToString()


def _names(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}_real", f"{name}_imag"]


def _operands(
    stage: Stage,
    batch: str | int | Sequence[str | int],
    samples: str | int,
    shortest: int | None,
    channels: int | None,
    dtype: Any,
    lengths: bool,
) -> tuple[jax.ShapeDtypeStruct, ...]:
    """The shapes and dtypes that the program is called with, behind the parameters."""
    leading = (batch,) if isinstance(batch, str | int) else tuple(batch)
    sizes = [_size("batch", size) for size in leading]
    time = _size("samples", samples)
    if isinstance(time, int):
        if shortest is not None:
            raise ValueError(
                f"shortest has an effect only where samples is a name, got shortest={shortest} and "
                f"samples={samples}"
            )
        least = shortest_clip(stage)
        if time < least:
            raise ValueError(
                f"samples must be >= {least}, of which the stage makes an output, got "
                f"samples={samples}"
            )
    else:
        least = shortest_clip(stage)
        shortest = least if shortest is None else check_positive_int("shortest", shortest)
        if shortest < least:
            raise ValueError(
                f"shortest must be >= {least}, of which the stage makes an output, got "
                f"shortest={shortest}"
            )
    more: list[str | int] = []
    if stage.takes != "waveform":
        if channels is None:
            raise ValueError(f"channels must be given for a stage that takes {stage.takes}")
        more = [check_positive_int("channels", channels)]
    elif channels is not None:
        raise ValueError(f"channels has no effect for waveforms, got channels={channels}")
    names = {size for size in (*sizes, time) if isinstance(size, str)}
    constraints = [f"{name} >= 1" for name in sorted(names - {time})]
    if isinstance(time, str):
        constraints.append(f"{time} >= {shortest}")
    text = ", ".join(str(size) for size in (*sizes, time, *more))
    shape = jax.export.symbolic_shape(text, constraints=constraints)
    default = jnp.complex64 if stage.takes == "spectrum" else jnp.float32
    x = jax.ShapeDtypeStruct(shape, default if dtype is None else dtype)
    if not lengths:
        return (x,)
    return x, jax.ShapeDtypeStruct(shape[: len(sizes)], jnp.int32)


def _size(name: str, size: str | int) -> str | int:
    if not isinstance(size, str):
        return check_positive_int(name, size)
    if not size.isidentifier():
        raise ValueError(f"{name} must be a name or a number, got {name}={size!r}")
    return size


def _checked_platforms(platforms: Sequence[str]) -> tuple[str, ...]:
    if isinstance(platforms, str) or not platforms:
        raise ValueError(f"platforms must be at least one word in a tuple, got {platforms!r}")
    for platform in platforms:
        check_choice("each of platforms", platform, (*PLATFORMS, "METAL"))
    return tuple(platforms)


@contextlib.contextmanager
def _explained(stage: Stage) -> Iterator[None]:
    """What JAX cannot decide of an open size, in words that say the way out."""
    try:
        yield
    except Exception as error:
        if type(error).__name__ != "InconclusiveDimensionOperation":
            raise
        first = str(error).split("\n", maxsplit=1)[0]
        raise ValueError(
            f"{type(stage).__name__} cannot be exported for clips of this open length: give a "
            f"larger shortest, or samples as a number ({first})"
        ) from error
