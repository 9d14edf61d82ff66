"""Flax Linen modules over stages. No signal processing happens here."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxspec.learning import Names, merge, split
from jaxspec.padded import applied
from jaxspec.stage import Params, Stage

__all__ = ["Features"]


class Features(nn.Module):
    """A stage, such as a `jaxspec.FrontEnd`, as a Linen module.

    Attributes:
      stage: what is computed.
      train: which of its parameters are trained: ``"all"``, or paths such as
        ``("filterbank",)`` or ``("pcen/gain", "pcen/bias")``. These are Linen parameters
        (collection ``"params"``); the others are variables of the collection ``"constants"``. A
        fixed stage has neither: its tables are part of the program.
      param_dtype: dtype of parameters and constants.

    The output is that of ``stage.apply`` for the same parameters, bit for bit. To train something
    else later, join the collections and divide them anew:
    ``jaxspec.split(jaxspec.merge(variables["params"], variables["constants"]), train)``.

    Raises:
      ValueError: if ``train`` names no parameter of the stage.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec, jaxspec.linen
      >>> frontend = jaxspec.presets.get("learnable_mel")
      >>> features = jaxspec.linen.Features(frontend, train=("filterbank/gaps",))
      >>> x = jnp.zeros((2, 16000))
      >>> variables = features.init(jax.random.key(0), x)
      >>> jax.tree.map(jnp.shape, variables)
      {'constants': {'filterbank': {'widths': (40,)}}, 'params': {'filterbank': {'gaps': (41,)}}}
      >>> features.apply(variables, x).shape
      (2, 101, 40)
    """

    stage: Stage
    train: Names = "all"
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        *,
        lengths: jax.Array | None = None,
        fill: float = 0.0,
        valid: str = "own",
    ) -> Any:
        """``stage.apply`` with the module's parameters, or `jaxspec.apply_padded` with lengths."""
        # The structure is known from the stage alone; values are only made when initialising.
        trained, constant = split(self.stage.param_shapes(), self.train)
        trained_start, constant_start = (
            split(self._start(), self.train) if self.is_initializing() else (trained, constant)
        )
        params = {name: self.param(name, lambda _, n=name: trained_start[n]) for name in trained}
        constants = {
            name: self.variable("constants", name, lambda n=name: constant_start[n]).value
            for name in constant
        }
        return applied(self.stage, merge(params, constants), x, lengths, fill=fill, valid=valid)

    def _start(self) -> Params:
        return self.stage.init(self.make_rng("params"), dtype=self.param_dtype)
