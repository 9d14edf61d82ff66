"""The stage from FFT bins to bands, fixed or learnable."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_choice, check_number, check_positive_int, check_same
from jaxspec.filterbanks import (
    apply_filterbank,
    band_edges,
    bank_matrix,
    check_band_range,
    check_bank,
    warn_about_empty_bands,
)
from jaxspec.framing import fft_frequencies
from jaxspec.layouts import (
    MOVES,
    band_exponents,
    band_gains,
    band_widths,
    free_weights,
    moved_points,
    signed_weights,
)
from jaxspec.learning import Names, check_learn
from jaxspec.shapes import draw
from jaxspec.stage import Params, Stage
from jaxspec.stages._learned_bank import (
    BY_NAME,
    DRAWN,
    LAYOUTS,
    bank_findings,
    bank_names,
    bank_shapes,
    check_bandwidths,
    check_limits,
    check_points,
)
from jaxspec.table import Table

__all__ = ["Filterbank"]

_UNDRAWN = {"free": free_weights, "signed": signed_weights}
_KNOTS = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Filterbank(Stage):
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
        ``scale`` is still that on which gaps, warps and ranges are measured.
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
    sampling: str = "point"
    exponent: float = 2.0
    points: Table | None = None
    bandwidths: Table | None = None
    n_knots: int = _KNOTS
    limits: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        n_bands = check_positive_int("n_bands", self.n_bands)
        self._set(n_fft=check_positive_int("n_fft", self.n_fft), n_bands=n_bands)
        norm, exponent = check_bank(
            self.scale, self.shape, self.domain, self.norm, self.sampling, self.exponent
        )
        check_choice("layout", self.layout, tuple(LAYOUTS))
        self._set(sample_rate=check_number("sample_rate", self.sample_rate, above=0))
        if self.points is not None:
            self._check_points()
        f_min, f_max = (
            (self.f_min, self.f_max) if self.points is None else self.points.values[[0, -1]]
        )
        sample_rate, f_min, f_max = check_band_range(self.sample_rate, f_min, f_max, self.scale)
        self._set(sample_rate=sample_rate, norm=norm, exponent=exponent)
        if self.points is None:
            self._set(f_min=f_min, f_max=f_max)
        self._check_learned()
        if self.matrix is not None:
            self._check_matrix()
        if self.bandwidths is not None:
            self._set(bandwidths=check_bandwidths(self.bandwidths, n_bands=self.n_bands))
            if self.domain != "hz" or self.shape == "gammatone":
                raise ValueError(
                    f'bandwidths are in Hz, for the domain "hz", and gammatones have their own; '
                    f"got bandwidths with domain={self.domain!r} and shape={self.shape!r}"
                )
        # A learned bank moves; the warning is about features that are constant for ever.
        if self.layout == "fixed":
            warn_about_empty_bands(_start_matrix(self), stacklevel=4)

    def _check_points(self) -> None:
        self._set(points=check_points(self.points, n_bands=self.n_bands))
        # Half the sample rate is what a stage without points has filled in.
        for name, unset in (("f_min", (0.0,)), ("f_max", (None, self.sample_rate / 2))):
            if getattr(self, name) not in unset:
                raise ValueError(
                    f"{name} has no effect on points of your own, whose first and last are the "
                    f"range, got {name}={getattr(self, name)}"
                )
        self._set(f_max=None)

    def _check_learned(self) -> None:
        layout, sample_rate = self.layout, self.sample_rate
        names = bank_names(layout, self.shape, "all") + BY_NAME[layout]
        learn = check_learn(self.learn, names, f"layout={layout!r}")
        self._set(learn=learn)
        if layout == "fixed" and learn != "all":
            raise ValueError(f'learn has no effect with layout="fixed", got learn={learn!r}')
        if layout in DRAWN and self.shape == "rectangle" and self.sampling == "point":
            raise ValueError(
                f'shape must not be "rectangle" with layout="{layout}" and sampling="point": its '
                f'edges have no gradient; use "gaussian" or "triangle", or sampling="area"'
            )
        self._set(n_knots=check_positive_int("n_knots", self.n_knots))
        if self.n_knots != _KNOTS and layout != "warp":
            raise ValueError(
                f'n_knots has no effect but with layout="warp", got n_knots={self.n_knots}'
            )
        learned = self._learned()
        if "range" in learned:
            # Not the ends of the drawn points, which rounding may leave inside the limits.
            ends = (self.f_min, self.f_max) if self.points is None else self.points.values[[0, -1]]
            f_min, f_max = (float(end) for end in ends)  # type: ignore[arg-type]
            limits = check_limits(
                self.limits, f_min=f_min, f_max=f_max, scale=self.scale, sample_rate=sample_rate
            )
            self._set(limits=limits)
        elif self.limits is not None:
            raise ValueError(
                f'limits has no effect unless learn names "range", got limits={self.limits}'
            )
        measured = {"gaps", "warp", "range"} & set(learned) or self.domain == "scale"
        if self.points is not None and not measured and self.scale != "slaney":
            raise ValueError(
                f"scale has no effect on points of your own that are drawn over Hz and do not move "
                f"along it, got scale={self.scale!r}"
            )

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
            "scale", "shape", "domain", "norm", "f_min", "sampling", "exponent", "points",
            "bandwidths",
        )  # fmt: skip
        for field in dataclasses.fields(self):
            if field.name in drawn and getattr(self, field.name) != field.default:
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

    def _learned(self) -> tuple[str, ...]:
        """The names of the parameters."""
        return bank_names(self.layout, self.shape, self.learn)

    def _start_points(self) -> np.ndarray:
        """The points at the start of learning, Hz."""
        if self.points is not None:
            return self.points.values
        assert self.f_max is not None
        return band_edges(self.n_bands, f_min=self.f_min, f_max=self.f_max, scale=self.scale)

    def init(self, key: jax.Array, *, dtype: Any = jnp.float32) -> Params:
        shapes = bank_shapes(self)
        return {name: jnp.zeros(shapes[name], dtype) for name in self._learned()}

    def edges(self, params: Params, *, dtype: Any = jnp.float32) -> jax.Array:
        """The ``n_bands + 2`` points of the bank in Hz: band ``m`` is centred at point ``m + 1``.

        Not for a matrix of your own.
        """
        if self.matrix is not None:
            raise ValueError("a matrix of your own has no edges")
        start = self._start_points()
        if not any(name in params for name in MOVES):
            return jnp.asarray(start, dtype)
        return moved_points(params, points=start, scale=self.scale, limits=self.limits)

    def weights(self, params: Params, *, dtype: Any = jnp.float32) -> jax.Array:
        """The matrix ``(n_fft // 2 + 1, n_bands)`` at these parameters."""
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
            bandwidths=self._bandwidths(edges),
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

    def _bandwidths(self, edges: jax.Array) -> jax.Array | None:
        """The given bandwidths, grown as the distances of the neighbours have."""
        if self.bandwidths is None:
            return None
        start = self._start_points()
        rate = self.bandwidths.values / (start[2:] - start[:-2])
        return jnp.asarray(rate, edges.dtype) * (edges[2:] - edges[:-2])

    def centers(self, params: Params) -> jax.Array:
        """The centre of every band in Hz ``(n_bands,)``; of free weights their mean frequency.

        Weights below 0 count by their size.
        """
        if self.layout not in _UNDRAWN and self.matrix is None:
            return self.edges(params)[1:-1]
        weights = jnp.abs(self.weights(params))
        bins = fft_frequencies(sample_rate=self.sample_rate, n_fft=self.n_fft)
        total = jnp.maximum(weights.sum(axis=0), jnp.finfo(weights.dtype).tiny)
        return (jnp.asarray(bins[:, None], weights.dtype) * weights).sum(axis=0) / total

    def _frozen(self, params: Params) -> Stage:
        """By its matrix, for which few choices are needed."""
        signed: Any = {"layout": "signed", "learn": ()} if self.layout == "signed" else {}
        return Filterbank(
            sample_rate=self.sample_rate,
            n_fft=self.n_fft,
            n_bands=self.n_bands,
            matrix=Table(self.arrays(params)["weights"]),
            **signed,
        )

    def _arrays(self, params: Params) -> dict[str, Any]:
        weights = self.weights(params) if params else _start_matrix(self)
        return {"weights": weights, "centers": self.centers(params)}

    def _findings(self, params: Params) -> list[str]:
        points = None if self.matrix is not None or not params else self._start_points()
        return bank_findings(self, params, points)

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
