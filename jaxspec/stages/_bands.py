"""What stages with bands share: where the bands lie, how wide they are, what is learned of it."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_choice, check_number, check_positive_int
from jaxspec.filterbanks import band_edges, check_band_range
from jaxspec.layouts import MOVES, band_widths, moved_points
from jaxspec.learning import Names, check_learn
from jaxspec.stage import Params, Stage
from jaxspec.stages._learned_bank import (
    BY_NAME,
    DRAWN,
    bank_findings,
    bank_names,
    bank_shapes,
    check_bandwidths,
    check_limits,
    check_points,
)
from jaxspec.table import Table

__all__: list[str] = []

_KNOTS = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Bands(Stage):
    """Centres and widths of bands in Hz, laid out on a scale or given, fixed or learned."""

    layouts: ClassVar[tuple[str, ...]] = ("fixed", *DRAWN)

    sample_rate: float
    n_bands: int
    f_min: float = 0.0
    f_max: float | None = None
    scale: str = "slaney"
    layout: str = "fixed"
    learn: Names = "all"
    points: Table | None = None
    bandwidths: Table | None = None
    n_knots: int = _KNOTS
    limits: tuple[float, float] | None = None

    @property
    def _extra_names(self) -> tuple[str, ...]:
        """Parameters of a drawn layout besides those of all."""
        return ()

    @property
    def _by_name(self) -> tuple[str, ...]:
        """Parameters that there are only if they are named."""
        return BY_NAME[self.layout]

    @property
    def _scale_matters(self) -> bool:
        """Whether the scale has an effect on given points that do not move."""
        return False

    def _check_bands(self) -> None:
        """To be called in ``__post_init__``."""
        self._set(n_bands=check_positive_int("n_bands", self.n_bands))
        check_choice("layout", self.layout, self.layouts)
        self._set(sample_rate=check_number("sample_rate", self.sample_rate, above=0))
        if self.points is not None:
            self._check_points()
        f_min, f_max = (
            (self.f_min, self.f_max) if self.points is None else self.points.values[[0, -1]]
        )
        sample_rate, f_min, f_max = check_band_range(self.sample_rate, f_min, f_max, self.scale)
        self._set(sample_rate=sample_rate)
        if self.points is None:
            self._set(f_min=f_min, f_max=f_max)
        self._check_learned()
        if self.bandwidths is not None:
            self._set(bandwidths=check_bandwidths(self.bandwidths, n_bands=self.n_bands))

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
        names = bank_names(layout, self._extra_names, "all") + self._by_name
        learn = check_learn(self.learn, names, f"layout={layout!r}")
        self._set(learn=learn)
        if layout == "fixed" and learn != "all":
            raise ValueError(f'learn has no effect with layout="fixed", got learn={learn!r}')
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
        measured = {"gaps", "warp", "range"} & set(learned) or self._scale_matters
        if self.points is not None and not measured and self.scale != "slaney":
            raise ValueError(
                f"scale has no effect on points of your own that are drawn over Hz and do not move "
                f"along it, got scale={self.scale!r}"
            )

    def _learned(self) -> tuple[str, ...]:
        """The names of the parameters."""
        return bank_names(self.layout, self._extra_names, self.learn)

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
        """The ``n_bands + 2`` points in Hz: band ``m`` is centred at point ``m + 1``."""
        self._check_known(params)
        start = self._start_points()
        if not any(name in params for name in MOVES):
            return jnp.asarray(start, dtype)
        return moved_points(params, points=start, scale=self.scale, limits=self.limits)

    def centers(self, params: Params) -> jax.Array:
        """The centre of every band in Hz ``(n_bands,)``."""
        return self.edges(params)[1:-1]

    def widths(self, params: Params, *, dtype: Any = jnp.float32) -> jax.Array:
        """The width of every band in Hz ``(n_bands,)``, where it is at half of its height."""
        edges = self.edges(params, dtype=dtype)
        own = self._grown_bandwidths(edges)
        width = (edges[2:] - edges[:-2]) / 2 if own is None else own
        return width * band_widths(params["widths"]) if "widths" in params else width

    def _grown_bandwidths(self, edges: jax.Array) -> jax.Array | None:
        """The given bandwidths, grown as the distances of the neighbours have."""
        if self.bandwidths is None:
            return None
        start = self._start_points()
        rate = self.bandwidths.values / (start[2:] - start[:-2])
        return jnp.asarray(rate, edges.dtype) * (edges[2:] - edges[:-2])

    def _findings(self, params: Params) -> list[str]:
        return bank_findings(self, params, self._start_points())
