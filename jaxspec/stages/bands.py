"""The stage from FFT bins to bands, fixed or learnable."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_positive_int, check_same
from jaxspec.diagnostics import dead_bands
from jaxspec.filterbanks import (
    apply_filterbank,
    bank_matrix,
    check_bank,
    warn_about_empty_bands,
)
from jaxspec.framing import fft_frequencies
from jaxspec.layouts import (
    band_exponents,
    band_gains,
    band_widths,
    free_weights,
    signed_weights,
)
from jaxspec.shapes import draw
from jaxspec.stage import Params, Stage
from jaxspec.stages._bands import _Bands
from jaxspec.stages._learned_bank import DRAWN, LAYOUTS
from jaxspec.table import Table

__all__ = ["Filterbank"]

_UNDRAWN = {"free": free_weights, "signed": signed_weights}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Filterbank(_Bands):
    """From FFT bins to bands: `jaxspec.filterbank`, fixed or learned from there.

    The defaults are mel bands as in librosa.

    Args:
      sample_rate, n_fft, n_bands, f_min, f_max, scale, shape, domain, norm, sampling, exponent: as
        in `jaxspec.filterbank`; the start of what is learned.
      layout: what can be learned. All parameters are 0 at the start, where the bank is the fixed
        one; centres never cross and keep inside the range.

        - ``"fixed"``: nothing.
        - ``"scale"``: on which scale ``log1p(f / f_b)`` the centres are laid out (``scale``, one
          number: the logarithm of the corner ``f_b`` over its start). Whatever the start, centres
          keep their places while the scale is stretched below them.
        - ``"warp"``: a smooth monotone map of the range (``warp``, ``n_knots + 1``), which moves
          neighbours together.
        - ``"gaps"``: every centre, as gaps between neighbours that stay positive (``gaps``,
          ``n_bands + 1``), and the width of every band (``widths``, ``n_bands``).
        - ``"free"``: every weight, non-negative (``weights``, ``(n_fft // 2 + 1, n_bands)``); where
          the fixed bank is 0, they start 50 dB below their band's largest.
        - ``"signed"``: every weight, of either sign (``weights``, as above): what is added to it,
          in units of the largest of its band. Bands may then be negative, which few logarithms
          bear: follow it by a stage with a floor.
      learn: which of these parameters exist, by name, or ``"all"``; the others keep their start.
        The shape ``"generalized_gaussian"`` has ``exponents``, ``(n_bands,)``, too. Only if they
        are named, for the layouts scale, warp and gaps: ``widths``, factors from 1/8 to 8;
        ``range``, the lower and the upper end; and ``gains``, a factor on every band.
      matrix: a bank of your own, ``(n_fft // 2 + 1, n_bands)``, instead of what describes one,
        which then must keep its defaults; with the layout ``"fixed"``, ``"free"`` or ``"signed"``,
        of which only the last takes negative ones.
      points: Hz, ``(n_bands + 2,)``, increasing: the lower end, the centres and the upper end of a
        bank of your own, instead of ``f_min`` and ``f_max``; such as of `jaxspec.random_edges`.
        ``scale`` is still that on which gaps, warps and ranges are measured. With a fixed
        ``matrix`` they only say what `centers` and a front-end's ``frequencies`` are, else mean
        frequencies.
      bandwidths: Hz, ``(n_bands,)``: the widths of the bands at half their height, about their
        centres, instead of reaching to the neighbours. Under a learned layout they grow with the
        distance of the neighbours. Not for gammatones, and over the domain ``"hz"`` only.
      n_knots: between the ends of the range, for the layout ``"warp"``.
      limits: Hz, ``(low, high)``, inside which a learned ``range`` keeps; default 0 (on the octave
        scale half of ``f_min``) and half the sample rate. Inwards, each end goes up to 40 % of the
        range on the scale.

    The parameters have no unit and frequencies are in Hz: ``dataclasses.replace`` with another
    sample rate and ``n_fft`` makes a stage that takes the same parameters (but free weights).

    Raises:
      ValueError: as `jaxspec.filterbank`, and for a shape that cannot be learned, points that do
        not increase, or an option that has no effect.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> bank = jaxspec.stages.Filterbank(
      ...     sample_rate=16000, n_fft=512, n_bands=40, shape="gaussian", layout="gaps")
      >>> params = bank.init(jax.random.key(0))
      >>> {name: value.shape for name, value in params.items()}
      {'gaps': (41,), 'widths': (40,)}
      >>> bank.apply(params, jnp.ones((98, 257))).shape
      (98, 40)
      >>> linear = jaxspec.stages.Filterbank(
      ...     sample_rate=16000, n_fft=512, n_bands=3, points=[0, 2000, 4000, 6000, 8000],
      ...     layout="scale")
      >>> linear.centers({"scale": jnp.array(-1.0)}).round()
      Array([1401., 3292., 5514.], dtype=float32)
    """

    takes = "features"
    gives = "features"
    matrix_params = ("weights",)
    layouts = tuple(LAYOUTS)

    n_fft: int
    shape: str = "triangle"
    domain: str = "hz"
    norm: str | float | None = "slaney"
    matrix: Table | None = None
    sampling: str = "point"
    exponent: float = 2.0

    def __post_init__(self) -> None:
        self._set(n_fft=check_positive_int("n_fft", self.n_fft))
        norm, exponent = check_bank(
            self.scale, self.shape, self.domain, self.norm, self.sampling, self.exponent
        )
        self._set(norm=norm, exponent=exponent)
        self._check_bands()
        if self.layout in DRAWN and self.shape == "rectangle" and self.sampling == "point":
            raise ValueError(
                f'shape must not be "rectangle" with layout="{self.layout}" and sampling="point": '
                f'its edges have no gradient; use "gaussian" or "triangle", or sampling="area"'
            )
        if self.matrix is not None:
            self._check_matrix()
        if self.bandwidths is not None and (self.domain != "hz" or self.shape == "gammatone"):
            raise ValueError(
                f'bandwidths are in Hz, for the domain "hz", and gammatones have their own; '
                f"got bandwidths with domain={self.domain!r} and shape={self.shape!r}"
            )
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
        if self.layout != "signed" and (matrix.values < 0).any():
            raise ValueError(
                f"matrix must not be negative, got {matrix.values.min():g} with "
                f'layout={self.layout!r}: use layout="signed"'
            )
        if self.layout in DRAWN:
            raise ValueError(
                f'layout must be "fixed", "free" or "signed" with a matrix, got '
                f"layout={self.layout!r}"
            )
        drawn = (
            "scale", "shape", "domain", "norm", "f_min", "sampling", "exponent", "bandwidths",
        )  # fmt: skip
        for field in dataclasses.fields(self):
            if field.name in drawn and getattr(self, field.name) != field.default:
                raise ValueError(
                    f"{field.name} has no effect on a matrix of your own, got "
                    f"{field.name}={getattr(self, field.name)!r}"
                )
        if self.points is not None and self.layout != "fixed":
            raise ValueError(
                f"points say where the bands of a fixed matrix lie and have no effect with "
                f"layout={self.layout!r}, got points={self.points!r}"
            )
        if self.points is None and self.f_max != self.sample_rate / 2:
            raise ValueError(f"f_max has no effect on a matrix of your own, got {self.f_max}")

    def channels(self, n: int | None) -> int:
        if n is not None:
            check_same(
                "the number of bins", n, "n_fft // 2 + 1", self.n_fft // 2 + 1,
                because=f"Filterbank with n_fft={self.n_fft}",
            )  # fmt: skip
        return self.n_bands

    @property
    def _extra_names(self) -> tuple[str, ...]:
        return ("exponents",) if self.shape == "generalized_gaussian" else ()

    @property
    def _scale_matters(self) -> bool:
        return self.domain == "scale"

    def edges(self, params: Params, *, dtype: Any = jnp.float32) -> jax.Array:
        """The ``n_bands + 2`` points of the bank in Hz: band ``m`` is centred at point ``m + 1``.

        Not for a matrix of your own.
        """
        if self.matrix is not None and self.points is None:
            raise ValueError("a matrix of your own has no edges, unless points state them")
        return super().edges(params, dtype=dtype)

    def weights(self, params: Params, *, dtype: Any = jnp.float32) -> jax.Array:
        """The matrix ``(n_fft // 2 + 1, n_bands)`` at these parameters."""
        self._check_known(params)
        if "weights" in params:
            weights = _UNDRAWN[self.layout](params["weights"], start=_start_matrix(self))
            return weights.astype(dtype)
        if not params:
            return jnp.asarray(_start_matrix(self), dtype)
        wide = jnp.promote_types(dtype, jnp.result_type(*params.values()))
        params = {name: jnp.asarray(value, wide) for name, value in params.items()}
        edges = self.edges(params, dtype=wide)
        exponents: Any = self.exponent
        if "exponents" in params:
            exponents = band_exponents(params["exponents"], start=self.exponent)
        matrix = draw(
            fft_frequencies(sample_rate=self.sample_rate, n_fft=self.n_fft),
            edges,
            widths=band_widths(params["widths"]) if "widths" in params else 1.0,
            bandwidths=self._grown_bandwidths(edges),
            exponents=exponents,
            scale=self.scale,
            shape=self.shape,
            domain=self.domain,
            norm=self.norm,
            bin_width=self.sample_rate / self.n_fft if self.sampling == "area" else None,
        )
        if "gains" in params:
            matrix = matrix * band_gains(params["gains"])
        return matrix.astype(dtype)

    def centers(self, params: Params) -> jax.Array:
        """The centre of every band in Hz ``(n_bands,)``; of free weights their mean frequency.

        Weights below 0 count by their size.
        """
        if self.layout not in _UNDRAWN and (self.matrix is None or self.points is not None):
            return super().centers(params)
        weights = jnp.abs(self.weights(params))
        bins = fft_frequencies(sample_rate=self.sample_rate, n_fft=self.n_fft)
        total = jnp.maximum(weights.sum(axis=0), jnp.finfo(weights.dtype).tiny)
        return (jnp.asarray(bins[:, None], weights.dtype) * weights).sum(axis=0) / total

    def _frozen(self, params: Params) -> Stage:
        """By its matrix, for which few choices are needed."""
        own: Any = {"layout": "signed", "learn": ()} if self.layout == "signed" else {}
        if self.layout in DRAWN:
            edges = np.clip(np.asarray(self.edges(params), np.float64), 0, self.sample_rate / 2)
            own = {"points": Table(edges)}
        return Filterbank(
            sample_rate=self.sample_rate,
            n_fft=self.n_fft,
            n_bands=self.n_bands,
            matrix=Table(self.arrays(params)["weights"]),
            **own,
        )

    def _arrays(self, params: Params) -> dict[str, Any]:
        weights = self.weights(params) if params else _start_matrix(self)
        return {"weights": weights, "centers": self.centers(params)}

    def _findings(self, params: Params) -> list[str]:
        centers = np.asarray(self.centers(params))
        found = [
            f"band {band} at {centers[band]:.0f} Hz takes in next to nothing: a larger n_fft, or "
            f'sampling="area", lets narrow bands see a bin'
            for band in np.flatnonzero(self._dead(params))
        ]
        return found if self.matrix is not None else found + super()._findings(params)

    def _dead(self, params: Params) -> np.ndarray:
        """Bands that take in next to nothing beside the others, or all beside their start."""
        weights = np.asarray(self.weights(params))
        start = np.abs(_start_matrix(self)).sum(axis=0)
        lost = np.abs(weights).sum(axis=0) < 1e-4 * np.median(start)
        return np.asarray(dead_bands(weights)) | lost

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
        stage.sampling,
        stage.exponent,
        stage.points,
        stage.bandwidths,
    )
