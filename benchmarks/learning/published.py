"""Parametrisations of learnable banks in published systems, as stages: what ours is compared with.

All of them learn a centre and a width for every Gaussian band by itself, in the unit that the
system stores, and start at the very matrix of a fixed `jaxspec.stages.Filterbank`. Nothing keeps
the centres in order, inside the range or apart. What systems clip is not clipped here, so that no
filter dies: the comparison is about units and coordinates.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec import apply_filterbank, fft_frequencies, stages
from jaxspec import hz_to_mel as to_mel
from jaxspec import mel_to_hz as to_hz
from jaxspec.stage import Params, Stage

UNITS = {
    "hz": "Hz (SincNet, nnAudio's layers)",
    "rate": "share of the sample rate (speechbrain, FastAudio)",
    "leaf": "radians and samples (LEAF)",
    "mel": "offsets in units of 100 mel",
    "matrix": "free matrix (nnAudio)",
}
_EDGES_TO_SIGMA = 1 / (4 * np.sqrt(2 * np.log(2)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedBank(Stage):
    """A bank that is learned as published.

    Args:
      bank: a fixed Gaussian bank with ``norm=None``: the start.
      units: in what the parameters are, a key of `UNITS`.
    """

    takes = "features"
    gives = "features"

    bank: stages.Filterbank
    units: str

    def channels(self, n):
        return self.bank.channels(n)

    @property
    def sample_rate(self):
        return self.bank.sample_rate

    def _start(self):
        """Centres and standard deviations in Hz."""
        with jax.ensure_compile_time_eval():  # known while a training loop is compiled, too
            edges = np.asarray(self.bank.edges({}), np.float64)
        return edges[1:-1], _EDGES_TO_SIGMA * (edges[2:] - edges[:-2])

    def init(self, key, *, dtype=jnp.float32) -> Params:
        if self.units == "matrix":
            return {"weights": jnp.asarray(self.bank.weights({}), dtype)}
        centre, sigma = self._start()
        rate = self.bank.sample_rate
        values = {
            "hz": (centre, sigma),
            "rate": (centre / rate, sigma / rate),
            "leaf": (2 * np.pi * centre / rate, rate / (2 * np.pi * sigma)),
            "mel": (np.zeros_like(centre), np.zeros_like(sigma)),
        }[self.units]
        return {
            name: jnp.asarray(value, dtype)
            for name, value in zip(("centres", "widths"), values, strict=True)
        }

    def _bands(self, params):
        """Centres and standard deviations in Hz at these parameters."""
        centre, width = params["centres"], params["widths"]
        rate = self.bank.sample_rate
        if self.units == "hz":
            return centre, width
        if self.units == "rate":
            return centre * rate, width * rate
        if self.units == "leaf":
            return centre * rate / (2 * np.pi), rate / (2 * np.pi * width)
        start, sigma = self._start()
        mel = jnp.asarray(to_mel(start, mel_scale="htk"), centre.dtype) + 100 * centre
        return to_hz(mel, mel_scale="htk"), jnp.asarray(sigma, width.dtype) * jnp.exp(width)

    def centers(self, params):
        """Hz, ``(n_bands,)``; of a free matrix the mean frequencies of its magnitudes."""
        if self.units != "matrix":
            return self._bands(params)[0]
        weights = jnp.abs(params["weights"])
        return self._bins() @ weights / jnp.maximum(weights.sum(axis=0), 1e-30)

    def _bins(self):
        return jnp.asarray(
            fft_frequencies(sample_rate=self.bank.sample_rate, n_fft=self.bank.n_fft), jnp.float32
        )

    def weights(self, params, *, dtype=jnp.float32):
        """The matrix ``(n_fft // 2 + 1, n_bands)``."""
        if self.units == "matrix":
            return params["weights"].astype(dtype)
        centre, sigma = self._bands(params)
        return jnp.exp(-0.5 * ((self._bins()[:, None] - centre) / sigma) ** 2).astype(dtype)

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return apply_filterbank(x, self.weights(params))
