"""Flax NNX modules over stages. No signal processing happens here."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxspec.learning import Names, split
from jaxspec.padded import applied
from jaxspec.stage import Params, Stage, leaves_by_path

__all__ = ["Constant", "Features"]


class Constant(nnx.Variable):
    """A value that belongs to the state of a module but is not trained."""


class Features(nnx.Module):
    """A stage, such as a `jaxspec.FrontEnd`, as an NNX module.

    Args:
      stage: what is computed.
      train: which of its parameters are trained: ``"all"``, or paths such as
        ``("filterbank",)`` or ``("pcen/gain", "pcen/bias")``. These are `nnx.Param`; the others
        are `Constant`. A fixed stage has neither: its tables are part of the program.
      param_dtype: dtype of parameters and constants.
      rngs: its ``params`` stream seeds the start; not needed by stages that start at zero, as
        all of the library's do.

    The output is that of ``stage.apply`` for the same parameters, bit for bit. All values lie in
    one tree, ``values``, whatever ``train`` says: a checkpoint of a frozen front-end fits a
    trained one, and `set_params` takes parameters from anywhere.

    Raises:
      ValueError: if ``train`` names no parameter of the stage.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec, jaxspec.nnx
      >>> from flax import nnx
      >>> frontend = jaxspec.presets.get("learnable_mel")
      >>> features = jaxspec.nnx.Features(frontend, train=("filterbank/gaps",))
      >>> features(jnp.zeros((2, 16000))).shape
      (2, 101, 40)
      >>> jax.tree.map(jnp.shape, nnx.to_pure_dict(nnx.state(features, nnx.Param)))
      {'values': {'filterbank': {'gaps': (41,)}}}
    """

    def __init__(
        self,
        stage: Stage,
        *,
        train: Names = "all",
        param_dtype: Any = jnp.float32,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.stage = stage
        key = jax.random.key(0) if rngs is None else rngs.params()
        start = stage.init(key, dtype=param_dtype)
        trained, _ = split(start, train)
        self.values = _variables(start, set(leaves_by_path(trained)))

    def params(self) -> Params:
        """All parameters of the stage as plain nested dictionaries of arrays."""
        return _plain(self.values)

    def set_params(self, params: Params) -> None:
        """Take the values of all parameters from nested dictionaries, as `params` gives them."""
        self.stage.check_params(params)
        _assign(self.values, params)

    def __call__(
        self,
        x: jax.Array,
        *,
        lengths: jax.Array | None = None,
        fill: float = 0.0,
        valid: str = "own",
    ) -> Any:
        """``stage.apply`` with the module's parameters, or `jaxspec.apply_padded` with lengths."""
        return applied(self.stage, self.params(), x, lengths, fill=fill, valid=valid)


def _variables(params: Params, trained: set[str], prefix: str = "") -> nnx.Dict:
    return nnx.Dict(
        {
            name: _variables(value, trained, f"{prefix}{name}/")
            if isinstance(value, dict)
            else (nnx.Param if f"{prefix}{name}" in trained else Constant)(value)
            for name, value in params.items()
        }
    )


def _plain(variables: Any) -> Params:
    return {
        name: _plain(value) if isinstance(value, nnx.Dict) else value[...]
        for name, value in variables.items()
    }


def _assign(variables: Any, params: Params) -> None:
    for name, value in params.items():
        if isinstance(value, dict):
            _assign(variables[name], value)
        else:
            variables[name][...] = jnp.asarray(value, variables[name].dtype)
