"""A short-time Fourier transform whose hop is learned."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_choice, check_number, check_positive_int
from jaxspec._sizes import at_least
from jaxspec.adaptive_windows import between, computed_once
from jaxspec.fourier import rfft
from jaxspec.framing import pad, pad_first
from jaxspec.parametrize import ends_reached
from jaxspec.reach import Reach
from jaxspec.stage import Length, Params, Stage
from jaxspec.stages.adaptive import _Windowed
from jaxspec.stages.spectrum import STFT

__all__ = ["AdaptiveHopSTFT"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdaptiveHopSTFT(_Windowed):
    """Short-time Fourier transform whose hop is learned, and its window too.

    Frame ``n`` lies at ``t = n * hop``, any real number: it is cut at ``floor(t)``, and the rest
    moves the window. There are always as many frames as the smallest hop would give,
    ``1 + n_samples // min_hop``; those that begin beyond the clip are 0 (`frame_mask` says which),
    so no shape depends on a parameter. Cost and memory are those of the smallest hop, and a clip
    is computed at once, not in tiles (reach ``"clip"``).

    Args:
      n_fft, win_length, family, beta, coefficients, n_knots, profile, norm, min_length, max_length:
        as in `jaxspec.stages.AdaptiveSTFT`; ``win_length`` is one number.
      hop_length: at the start, in samples; any real number between the bounds.
      min_hop: the smallest hop, an int.
      max_hop: the largest, default ``n_fft``.
      center: whether frame ``n`` has its middle at ``t``, or begins there.
      pad_mode: as in `jaxspec.stft`, for ``center=True``.
      phase: from where phases count. ``"frame"``: from the first sample of each frame, as in
        `jaxspec.stft`; the phase then jumps where ``floor(t)`` does, the magnitude does not.
        ``"clip"``: from the first sample of the first frame, for losses that look at the phase.
      learn: as in `jaxspec.stages.AdaptiveSTFT`, and ``hop_length``.

    At the start, with an integer hop, the frames in the clip are those of
    `jaxspec.stages.STFT` (with ``center``, for an even ``n_fft``). A magnitude depends on the hop
    by the place of the frame alone: its derivative is that of sliding frame ``n`` by ``n``
    samples for one of the hop.

    Raises:
      ValueError: as `jaxspec.stages.AdaptiveSTFT`, for a hop outside its bounds, and for a clip
        that holds no frame.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> stft = jaxspec.stages.AdaptiveHopSTFT(
      ...     n_fft=512, win_length=400, hop_length=160, min_hop=80)
      >>> params = stft.init(jax.random.key(0))
      >>> stft.apply(params, jnp.zeros(16000)).shape
      (201, 257)
      >>> int(stft.frame_mask(params, 16000).sum())
      101

    Reference:
      M. Leiber, Y. Marnissi, A. Barrau and M. El Badaoui, "Differentiable short-time Fourier
      transform with respect to the hop length", SSP 2023.
    """

    hop_length: float
    min_hop: int
    max_hop: float | None = None
    phase: str = "frame"

    def _names(self) -> tuple[str, ...]:
        return (*super()._names(), "hop_length")

    def __post_init__(self) -> None:
        check_choice("phase", self.phase, ("frame", "clip"))
        self._set(min_hop=check_positive_int("min_hop", self.min_hop))
        if self.max_hop is not None:
            self._set(max_hop=check_number("max_hop", self.max_hop, above=0))
        self._set(hop_length=check_number("hop_length", self.hop_length, above=0))
        super().__post_init__()
        high = self.max_hop or self.n_fft
        if not self.min_hop < self.hop_length < high:
            raise ValueError(
                f"hop_length must lie strictly between min_hop={self.min_hop} and "
                f"max_hop={high:g} (n_fft where it is not given), got "
                f"hop_length={self.hop_length:g}"
            )

    @property
    def reach(self) -> Reach:
        """The whole clip, as frames lie where a parameter says; the stride is that of the start."""
        before = self.n_fft // 2 if self.center else 0
        after = self.n_fft - before - 1
        return Reach(stride=max(round(self.hop_length), 1), before=before, after=after, clip=True)

    def _room(self, n: Any) -> Any:
        """The last place where a frame may lie."""
        return n if self.center else n - self.n_fft

    def length(self, n: Any) -> Any:
        return at_least(1 + self._room(n) // self.min_hop, 0)

    def hop(self, params: Params) -> jax.Array:
        """The hop in samples at these parameters."""
        return self._hop(params)[0] + self._hop(params)[1]

    def _hop(self, params: Params) -> tuple[jax.Array, jax.Array]:
        """The hop as an int and the rest, in [0, 1), which alone has a derivative."""
        hop = self._hop_at(jnp.asarray(params.get("hop_length", 0.0)))
        whole = jnp.floor(jax.lax.stop_gradient(hop))
        return whole.astype(jnp.int32), hop - whole

    def _hop_at(self, z: jax.Array) -> jax.Array:
        high = self.max_hop or float(self.n_fft)
        return between(z, start=self.hop_length, low=self.min_hop, high=high)

    def _frozen(self, params: Params) -> Stage:
        # Rounding may have brought it to a bound, where a start must not lie.
        high = self.max_hop or float(self.n_fft)
        low, high = np.nextafter(self.min_hop, high), np.nextafter(high, self.min_hop)
        hop = float(np.clip(float(self.hop(params)), low, high))
        return dataclasses.replace(self, **self._with_start(params) | {"hop_length": hop})

    def values(self, params: Params) -> dict[str, Any]:
        """Hop and length of the window in samples, and its shape, numbers or arrays."""
        hop = self._hop_at(jnp.asarray(params["hop_length"])) if "hop_length" in params else None
        return super().values(params) | {"hop_length": self.hop_length if hop is None else hop}

    def _findings(self, params: Params) -> list[str]:
        hop = {"hop_length": self._hop_at} if "hop_length" in params else {}
        return super()._findings(params) + ends_reached(params, hop)

    def rounded(self, params: Params) -> STFT:
        """The fixed transform with the nearest whole hop, and the window at these parameters.

        Its frames are as many as fit, without those beyond the clip.
        """
        return STFT(
            n_fft=self.n_fft,
            hop_length=round(float(self.hop(params))),
            window=self.window_table(params),
            center=self.center,
            pad_mode=self.pad_mode,
        )

    def _places(self, params: Params, count: int) -> tuple[jax.Array, jax.Array]:
        """``floor(t)`` of the first frames and the rest of ``t``.

        Multiples of the whole hop are exact integers: in float32, ``t`` itself would be known to
        1/16 of a sample only after a minute.
        """
        whole, rest = self._hop(params)
        n = jnp.arange(count, dtype=jnp.int32)
        beyond = n.astype(rest.dtype) * rest
        floor = jnp.floor(jax.lax.stop_gradient(beyond))
        return n * whole + floor.astype(jnp.int32), beyond - floor

    def frame_positions(self, params: Params, n_samples: int) -> jax.Array:
        """Where the frames lie, ``t`` in samples, ``(frames,)``: their middles with ``center``."""
        floor, rest = self._places(params, self.length(n_samples))
        return floor + rest

    def frame_mask(self, params: Params, n_samples: int) -> jax.Array:
        """Which frames lie in a clip of so many samples, booleans ``(frames,)``.

        Constant: it has no derivative by the hop.
        """
        floor, rest = self._places(params, self.length(n_samples))
        return self._inside(floor, rest, n_samples)

    def _inside(self, floor: jax.Array, rest: jax.Array, length: Any) -> jax.Array:
        return floor + (rest > 0).astype(floor.dtype) <= self._room(length)

    def extend(self, x: jax.Array, length: Length = None) -> jax.Array:
        if not self.length(x.shape[-1]):
            raise ValueError(
                f"a clip of {x.shape[-1]} samples holds no frame of n_fft={self.n_fft} samples "
                f"with center=False; pad it, or use center=True or a smaller n_fft"
            )
        return x

    def transform_clip(self, params: Params, x: jax.Array, length: Length = None) -> jax.Array:
        n = x.shape[-1]
        floor, rest = self._places(params, self.length(n))
        before = self.n_fft // 2 if self.center else 0
        if before:
            widths: dict[str, Any] = {"before": before, "after": self.n_fft - before}
            if length is None:
                x = pad(x, **widths, pad_mode=self.pad_mode)
            else:
                x = pad_first(x, length=length, **widths, pad_mode=self.pad_mode)
        # A frame beyond the clip is read from within it, and then set to 0.
        inside = self._inside(floor, rest, n if length is None else length)[:, None]
        first = jnp.where(inside, floor[:, None], 0)
        frames = x[..., first + jnp.arange(self.n_fft, dtype=jnp.int32)]
        window = computed_once(self._window(params, shift=rest).astype(x.dtype))
        frames = jnp.where(inside, frames, 0) * window
        spectrum = rfft(frames, method="auto", precision="highest")
        if self.phase == "clip":
            # exp(-2 pi i k floor(t) / n_fft), the angle reduced in integers.
            k = jnp.arange(self.n_fft // 2 + 1, dtype=jnp.int32)
            turns = floor[:, None] % self.n_fft * k % self.n_fft
            angle = (2 * np.pi / self.n_fft) * turns.astype(x.dtype)
            spectrum = spectrum * jax.lax.complex(jnp.cos(angle), -jnp.sin(angle))
        return spectrum
