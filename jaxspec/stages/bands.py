"""The stage from FFT bins to bands, fixed or learnable."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_choice, check_positive_int, check_same
from jaxspec.filterbanks import (
    apply_filterbank,
    band_edges,
    bank_matrix,
    check_band_range,
    check_bank,
    draw,
    warn_about_empty_bands,
)
from jaxspec.framing import fft_frequencies
from jaxspec.layouts import band_widths, free_weights, gap_edges
from jaxspec.learning import Names, check_learn, learned_names
from jaxspec.stage import Params, Stage
from jaxspec.table import Table

__all__ = ["LAYOUTS", "Filterbank"]

# The parameters of every layout; their shapes are in Filterbank._shapes.
LAYOUTS: dict[str, tuple[str, ...]] = {
    "fixed": (),
    "gaps": ("gaps", "widths"),
    "free": ("weights",),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Filterbank(Stage):
    """From FFT bins to bands: `jaxspec.filterbank`, fixed or learned from there.

    The defaults are mel bands as in librosa.

    Args:
      sample_rate, n_fft, n_bands, f_min, f_max, scale, shape, domain, norm: as in
        `jaxspec.filterbank`.
      layout: what can be learned. ``"fixed"``: nothing. ``"gaps"``: the centres, as gaps between
        neighbours that stay positive, so that centres never cross (parameter ``gaps``,
        ``n_bands + 1``), and the width of every band relative to its neighbours' distance
        (``widths``, ``n_bands``). ``"free"``: every weight, non-negative (``weights``,
        ``(n_fft // 2 + 1, n_bands)``). All parameters are 0 at the start, where the bank is the
        fixed one (free weights of 0 start 50 dB below their band's largest).
      learn: which of these parameters exist, by name, or ``"all"``; the others keep their start.
      matrix: a bank of your own, ``(n_fft // 2 + 1, n_bands)``, instead of scale, shape, domain
        and norm, which then must keep their defaults; with the layout ``"fixed"`` or ``"free"``.

    The parameters have no unit and frequencies are in Hz: ``dataclasses.replace`` with another
    sample rate and ``n_fft`` makes a stage that takes the same parameters (but free weights).

    Raises:
      ValueError: as `jaxspec.filterbank`, and for a shape that cannot be learned.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> bank = jaxspec.stages.Filterbank(
      ...     sample_rate=16000, n_fft=512, n_bands=40, shape="gaussian", layout="gaps")
      >>> params = bank.init(jax.random.key(0))
      >>> {name: value.shape for name, value in params.items()}
      {'gaps': (41,), 'widths': (40,)}
      >>> bank.apply(params, jnp.ones((98, 257))).shape
      (98, 40)
    """

    takes = "features"
    gives = "features"

    sample_rate: float
    n_fft: int
    n_bands: int
    f_min: float = 0.0
    f_max: float | None = None
    scale: str = "slaney"
    shape: str = "triangle"
    domain: str = "hz"
    norm: str | float | None = "slaney"
    layout: str = "fixed"
    learn: Names = "all"
    matrix: Table | None = None

    def __post_init__(self) -> None:
        n_bands = check_positive_int("n_bands", self.n_bands)
        self._set(n_fft=check_positive_int("n_fft", self.n_fft), n_bands=n_bands)
        norm = check_bank(self.scale, self.shape, self.domain, self.norm)
        sample_rate, f_min, f_max = check_band_range(
            self.sample_rate, self.f_min, self.f_max, self.scale
        )
        self._set(sample_rate=sample_rate, f_min=f_min, f_max=f_max, norm=norm)
        check_choice("layout", self.layout, tuple(LAYOUTS))
        self._set(learn=check_learn(self.learn, LAYOUTS[self.layout], f"layout={self.layout!r}"))
        if self.layout == "fixed" and self.learn != "all":
            raise ValueError(f'learn has no effect with layout="fixed", got learn={self.learn!r}')
        if self.layout == "gaps" and self.shape == "rectangle":
            raise ValueError(
                'shape must not be "rectangle" with layout="gaps": its edges have no gradient; '
                'use "gaussian" or "triangle"'
            )
        if self.matrix is not None:
            self._check_matrix()
        # A learned bank moves; the warning is about features that are constant for ever.
        if self.layout == "fixed":
            warn_about_empty_bands(_start_matrix(self), stacklevel=4)

    def _check_matrix(self) -> None:
        matrix = Table(self.matrix)  # type: ignore[arg-type]
        self._set(matrix=matrix)
        wanted = (self.n_fft // 2 + 1, self.n_bands)
        if matrix.shape != wanted:
            raise ValueError(
                f"matrix must have shape (n_fft // 2 + 1, n_bands) = {wanted}, got {matrix.shape}"
            )
        if (matrix.values < 0).any():
            raise ValueError(f"matrix must not be negative, got {matrix.values.min():g}")
        if self.layout == "gaps":
            raise ValueError('layout must be "fixed" or "free" with a matrix, got layout="gaps"')
        for field in dataclasses.fields(self):
            drawn = field.name in ("scale", "shape", "domain", "norm", "f_min")
            if drawn and getattr(self, field.name) != field.default:
                raise ValueError(
                    f"{field.name} has no effect on a matrix of your own, got "
                    f"{field.name}={getattr(self, field.name)!r}"
                )
        if self.f_max != self.sample_rate / 2:
            raise ValueError(f"f_max has no effect on a matrix of your own, got {self.f_max}")

    def channels(self, n: int | None) -> int:
        if n is not None:
            check_same(
                "the number of bins", n, "n_fft // 2 + 1", self.n_fft // 2 + 1,
                because=f"Filterbank with n_fft={self.n_fft}",
            )  # fmt: skip
        return self.n_bands

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {
            "gaps": (self.n_bands + 1,),
            "widths": (self.n_bands,),
            "weights": (self.n_fft // 2 + 1, self.n_bands),
        }

    def init(self, key: jax.Array, *, dtype: Any = jnp.float32) -> Params:
        shapes = self._shapes()
        return {
            name: jnp.zeros(shapes[name], dtype)
            for name in learned_names(self.learn, LAYOUTS[self.layout])
        }

    def edges(self, params: Params, *, dtype: Any = jnp.float32) -> jax.Array:
        """The ``n_bands + 2`` points of the bank in Hz: band ``m`` is centred at point ``m + 1``.

        Not for a matrix of your own.
        """
        if self.matrix is not None:
            raise ValueError("a matrix of your own has no edges")
        assert self.f_max is not None
        options = {"f_min": self.f_min, "f_max": self.f_max, "scale": self.scale}
        if "gaps" in params:
            return gap_edges(params["gaps"], n_bands=self.n_bands, **options)  # type: ignore[arg-type]
        return jnp.asarray(band_edges(self.n_bands, **options), dtype)  # type: ignore[arg-type]

    def weights(self, params: Params, *, dtype: Any = jnp.float32) -> jax.Array:
        """The matrix ``(n_fft // 2 + 1, n_bands)`` at these parameters."""
        if "weights" in params:
            return free_weights(params["weights"], start=_start_matrix(self)).astype(dtype)
        if not params:
            return jnp.asarray(_start_matrix(self), dtype)
        wide = jnp.promote_types(dtype, jnp.result_type(*params.values()))
        params = {name: jnp.asarray(value, wide) for name, value in params.items()}
        matrix = draw(
            fft_frequencies(sample_rate=self.sample_rate, n_fft=self.n_fft),
            self.edges(params, dtype=wide),
            widths=band_widths(params["widths"]) if "widths" in params else 1.0,
            scale=self.scale,
            shape=self.shape,
            domain=self.domain,
            norm=self.norm,
        )
        return matrix.astype(dtype)

    def centers(self, params: Params) -> jax.Array:
        """The centre of every band in Hz ``(n_bands,)``; of free weights their mean frequency."""
        if self.layout != "free" and self.matrix is None:
            return self.edges(params)[1:-1]
        weights = self.weights(params)
        bins = jnp.asarray(fft_frequencies(sample_rate=self.sample_rate, n_fft=self.n_fft))
        total = jnp.maximum(weights.sum(axis=0), jnp.finfo(weights.dtype).tiny)
        return (bins[:, None] * weights).sum(axis=0) / total

    def prepare(self, params: Params) -> Params:
        if not params:
            return {}
        return {"matrix": self.weights(params, dtype=jnp.result_type(*params.values()))}

    def transform(self, params: Params, x: jax.Array) -> jax.Array:
        return apply_filterbank(x, params["matrix"] if params else self.weights({}, dtype=x.dtype))


def _start_matrix(stage: Filterbank) -> np.ndarray:
    """The float64 matrix at the start of learning."""
    if stage.matrix is not None:
        return stage.matrix.values
    return bank_matrix(
        stage.sample_rate,
        stage.n_fft,
        stage.n_bands,
        stage.f_min,
        stage.f_max,  # type: ignore[arg-type]
        stage.scale,
        stage.shape,
        stage.domain,
        stage.norm,
    )
