"""A front-end: stages in a row, which is again a stage."""

from __future__ import annotations

import dataclasses
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec._checks import check_choice, check_number, check_positive_int
from jaxspec.framing import fft_frequencies
from jaxspec.pieces import Chain
from jaxspec.reach import Reach
from jaxspec.stage import Carry, Length, Params, Stage
from jaxspec.stages import DCT, AdaptiveHopSTFT, Beside, Channels, LogTBN, MaskPadding
from jaxspec.tiling import over_tiles

__all__ = ["FrontEnd"]

# Choices that several stages state, and must state alike.
_COMMON = ("sample_rate", "n_fft")


# Tiles compute anew what stages after the frames see of their neighbours; more than so many frames
# (the 256 of a PCEN with taps, say) would cost more than all the rest.
_MOST_NEIGHBOURS = 32


def _fits_tiles(stage: Stage) -> bool:
    reach = stage.reach
    if isinstance(stage, Beside) and stage.whole:
        return False  # its branches make tiles of their own
    narrow = stage.takes == "waveform" or reach.before + reach.after <= _MOST_NEIGHBOURS
    return narrow and reach.kind in ("frame", "neighbours")


@dataclasses.dataclass(frozen=True, init=False, repr=False)
class FrontEnd(Stage):
    """Stages applied one after the other.

    Args:
      *stages: at least one; each must take what the one before gives. A `FrontEnd` among them
        stands for its stages.
      tile_frames: how many frames, over all clips of a batch, are computed at once; results are the
        same up to rounding. ``None``: as many as suit the platform. From the waveform to the first
        stage that needs all earlier frames or the whole clip, long signals are evaluated in such
        tiles, forward and backward, so that memory is input + output + a few tiles.
      sample_rate: Hz, where no stage states it: what `frame_times` and `frequencies` go by.

    Parameters are a dictionary with one entry for each stage that has any, under the stage's
    name: its class name in snake case (``"filterbank"``, ``"pcen"``), with ``_2``, ``_3``, …
    for repeated ones.

    Raises:
      TypeError: if something is not a stage.
      ValueError: if two stages do not fit together: one gives a spectrum and the next takes
        features, the numbers of channels differ, or they state different sample rates or FFT
        lengths, or another than ``sample_rate``; for ``tile_frames`` below 1.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxspec import FrontEnd, stages
      >>> frontend = FrontEnd(
      ...     stages.STFT(n_fft=512, hop_length=160, win_length=400),
      ...     stages.Power(),
      ...     stages.Filterbank(sample_rate=16000, n_fft=512, n_bands=40, layout="gaps"),
      ...     stages.Ln(amin=1e-6),
      ... )
      >>> params = frontend.init(jax.random.key(0))
      >>> jax.tree.map(jnp.shape, params)
      {'filterbank': {'gaps': (41,), 'widths': (40,)}}
      >>> frontend.apply(params, jnp.zeros((2, 16000))).shape
      (2, 101, 40)
      >>> FrontEnd.from_dict(frontend.to_dict()) == frontend
      True
    """

    stages: tuple[Stage, ...]
    tile_frames: int | None = None
    sample_rate: float | None = None

    # dataclasses.replace and from_dict give the stages by name, people one after the other.
    def __init__(
        self,
        *args: Stage,
        stages: tuple[Stage, ...] = (),
        tile_frames: int | None = None,
        sample_rate: float | None = None,
    ) -> None:
        flat: list[Stage] = []
        for stage in (*args, *stages):
            if not isinstance(stage, Stage):
                raise TypeError(f"a front-end is made of stages, got {stage!r}")
            flat.extend(stage.stages if isinstance(stage, FrontEnd) else [stage])
            if isinstance(stage, FrontEnd) and sample_rate is None:
                sample_rate = stage.sample_rate
        if not flat:
            raise ValueError("a front-end needs at least one stage, got none")
        if tile_frames is not None:
            tile_frames = check_positive_int("tile_frames", tile_frames)
        self._set(stages=tuple(flat), tile_frames=tile_frames)
        self._check_fit()
        self._set(sample_rate=_agreeing(self._stated_rate(), sample_rate))

    def _check_fit(self) -> None:
        kind, channels, reach = self.stages[0].takes, None, Reach()
        for position, stage in enumerate(self.stages):
            where = f"stage {position} ({type(stage).__name__})"
            if stage.takes != kind:
                before = type(self.stages[position - 1]).__name__
                raise ValueError(f"{where} takes {stage.takes}, but {before} gives {kind}")
            try:
                channels = stage.channels(channels)
            except ValueError as error:
                raise ValueError(f"{where} does not fit: {error}") from error
            own, hop = getattr(stage, "hop_length", None), reach.stride
            if stage.takes == "features" and own not in (None, hop) and hop > 1:
                raise ValueError(
                    f"{where} must state how far the frames before it are apart, got "
                    f"hop_length={own} and frames {hop} samples apart"
                )
            kind, reach = stage.gives, reach.then(stage.reach)
        for field in _COMMON:
            stated = {getattr(s, field, None): s for s in self.stages}
            stated.pop(None, None)
            if len(stated) > 1:
                values = ", ".join(f"{type(s).__name__}({field}={v})" for v, s in stated.items())
                raise ValueError(f"all stages must state the same {field}, got {values}")

    def __repr__(self) -> str:
        lines = "".join(f"    {stage!r},\n" for stage in self.stages)
        if self.tile_frames is not None:
            lines += f"    tile_frames={self.tile_frames},\n"
        if self.sample_rate != self._stated_rate():
            lines += f"    sample_rate={self.sample_rate},\n"
        return f"FrontEnd(\n{lines})"

    # What the chain declares.

    @property
    def takes(self) -> str:  # type: ignore[override]
        """What the first stage takes."""
        return self.stages[0].takes

    @property
    def gives(self) -> str:  # type: ignore[override]
        """What the last stage gives."""
        return self.stages[-1].gives

    @property
    def reach(self) -> Reach:
        return Chain(self.stages, self.names).reach

    @property
    def edge_reach(self) -> int:
        return Chain(self.stages, self.names).edge_reach

    @property
    def middle(self) -> float:
        return Chain(self.stages, self.names).middle

    def channels(self, n: int | None) -> int | None:
        for stage in self.stages:
            n = stage.channels(n)
        return n

    def length(self, n: Any) -> Any:
        return Chain(self.stages, self.names).length(n)

    @property
    def names(self) -> tuple[str, ...]:
        """The name of every stage, under which its parameters are found."""
        names: list[str] = []
        for position, stage in enumerate(self.stages):
            before = sum(other.name == stage.name for other in self.stages[:position])
            names.append(f"{stage.name}_{before + 1}" if before else stage.name)
        return tuple(names)

    def __getitem__(self, name: str | int) -> Any:
        """The stage of this name or position."""
        if isinstance(name, int):
            return self.stages[name]
        check_choice("name", name, self.names)
        return self.stages[self.names.index(name)]

    def replace(self, name: str, **changes: Any) -> Self:
        """The front-end with some choices of one stage changed.

        Example:
          >>> from jaxspec import FrontEnd, stages
          >>> frontend = FrontEnd(stages.STFT(n_fft=512), stages.Power())
          >>> frontend.replace("power", exponent=1.0)["power"]
          Power(exponent=1.0)
        """
        if not changes:
            raise ValueError(
                f"replace must change something of {name!r}, got no changes; without({name!r}) "
                f"leaves it out"
            )
        changed = dataclasses.replace(self[name], **changes)  # type: ignore[type-var]
        place = self.names.index(name)
        return self._of((*self.stages[:place], changed, *self.stages[place + 1 :]))

    def without(self, *names: str) -> Self:
        """The front-end with some stages left out.

        Example:
          >>> import jaxspec
          >>> frontend = jaxspec.presets.get("whisper_80").without("fit_length")
          >>> frontend.length(16000)
          100
        """
        for name in names:
            check_choice("name", name, self.names)
        kept = (s for n, s in zip(self.names, self.stages, strict=True) if n not in names)
        return self._of(tuple(kept))

    def _of(self, stages: tuple[Stage, ...]) -> Self:
        """This front-end with other stages."""
        own = self.sample_rate if self._stated_rate() is None else None
        return type(self)(stages=stages, tile_frames=self.tile_frames, sample_rate=own)

    # What the chain computes.

    def init(self, key: jax.Array, *, dtype: Any = jnp.float32) -> Params:
        keys = jax.random.split(key, len(self.stages))
        params = {
            name: stage.init(stage_key, dtype=dtype)
            for name, stage, stage_key in zip(self.names, self.stages, keys, strict=True)
        }
        return {name: value for name, value in params.items() if value}

    def _frozen(self, params: Params) -> Stage:
        return self._of(tuple(stage.freeze(own) for _, stage, own in self._each(params)))

    def _arrays(self, params: Params) -> dict[str, Any]:
        arrays = {name: stage.arrays(own) for name, stage, own in self._each(params)}
        return {name: value for name, value in arrays.items() if value}

    def _findings(self, params: Params) -> list[str]:
        return [f"{n}: {text}" for n, stage, own in self._each(params) for text in stage.check(own)]

    def _each(self, params: Params) -> list[tuple[str, Stage, Params]]:
        """Every stage with its name and its parameters."""
        return [(n, s, params.get(n, {})) for n, s in zip(self.names, self.stages, strict=True)]

    def extend(self, x: jax.Array, length: Length = None) -> jax.Array:
        raise NotImplementedError(self._as_a_whole("extend"))

    def initial_carry(self, params: Params, x: jax.Array) -> Carry:
        raise NotImplementedError(self._as_a_whole("initial_carry"))

    def advance(self, params: Params, carry: Carry, x: jax.Array) -> tuple[Carry, jax.Array]:
        raise NotImplementedError(self._as_a_whole("advance"))

    def _as_a_whole(self, method: str) -> str:
        return (
            f"FrontEnd.{method}: a front-end is evaluated as a whole (apply); to compute piece by "
            f"piece, use the {method} of its stages one after the other"
        )

    def evaluate(self, params: Params, x: jax.Array, length: Length = None) -> jax.Array:
        position = 0
        while position < len(self.stages):
            stop = self._end_of_chain(position)
            named = list(zip(self.names, self.stages, strict=True))[position : stop or position + 1]
            chain = Chain(tuple(s for _, s in named), tuple(name for name, _ in named))
            if stop is not None:
                prepared = {name: s.prepare(params[name]) for name, s in named if name in params}
                x = over_tiles(chain, prepared, x, tile_frames=self.tile_frames, length=length)
            else:
                ((name, stage),) = named
                x = stage.evaluate(params.get(name, {}), x, length)
            length = None if length is None else chain.length(length)
            position += len(named)
        return x

    def _end_of_chain(self, position: int) -> int | None:
        """Where the stages end that make frames of a waveform and see a known neighbourhood.

        ``None`` where this stage begins no such chain that is worth tiles.
        """
        stop = position
        while stop < len(self.stages) and _fits_tiles(self.stages[stop]):
            stop += 1
        if stop - position < (2 if self.tile_frames is None else 1):
            return None
        return (
            stop
            if self.stages[position].takes == "waveform" != self.stages[stop - 1].gives
            else None
        )

    # What its axes mean.

    def _stated_rate(self) -> float | None:
        """Hz, as far as a stage states it."""
        for stage in self.stages:
            inner = stage.frontend if isinstance(stage, MaskPadding) else stage
            rate = getattr(inner, "sample_rate", None)
            if rate is not None:
                return rate
        return None

    def frame_times(self, n_frames: int, *, sample_rate: float | None = None) -> np.ndarray:
        """The time in seconds of the middle of every frame, float64 ``(n_frames,)``.

        ``sample_rate`` must be given where no stage states it.
        """
        if self.takes != "waveform" or self.gives == "waveform":
            raise ValueError(
                f"frame times need stages from waveforms to frames, got a front-end from "
                f"{self.takes} to {self.gives}"
            )
        for stage in self.stages:
            if isinstance(stage, AdaptiveHopSTFT):
                raise ValueError(
                    "frame times follow the learned hop: use frame_positions(params, n_samples) of "
                    "the AdaptiveHopSTFT"
                )
        n_frames = check_positive_int("n_frames", n_frames, minimum=0)
        positions = self.middle + self.reach.stride * np.arange(n_frames)
        return positions / self.checked_rate(sample_rate)

    def frequencies(
        self, params: Params | None = None, *, sample_rate: float | None = None
    ) -> np.ndarray | None:
        """The frequency in Hz of every channel, or ``None`` where channels are no frequencies.

        Example:
          >>> from jaxspec import FrontEnd, stages
          >>> FrontEnd(stages.STFT(n_fft=4)).frequencies(sample_rate=8000)
          array([   0., 2000., 4000.])
        """
        if params is not None:
            self.check_params(params)
        frequencies: np.ndarray | None = None
        for name, stage in zip(self.names, self.stages, strict=True):
            n_fft = getattr(stage, "n_fft", None)
            if stage.gives == "spectrum" and n_fft:
                rate = self.checked_rate(sample_rate)
                frequencies = fft_frequencies(sample_rate=rate, n_fft=n_fft)
            elif isinstance(stage, MaskPadding) and isinstance(stage.frontend, FrontEnd):
                frequencies = stage.frontend.frequencies(sample_rate=sample_rate)
            elif isinstance(stage, Channels) and frequencies is not None:
                frequencies = frequencies[stage.slice]
            elif isinstance(stage, Beside):
                frequencies = _of_branches(stage, (params or {}).get(name, {}), sample_rate)
            elif isinstance(stage, DCT):
                return None
            elif isinstance(stage, LogTBN) and frequencies is not None:
                # It may append the same bands once more.
                count = len(frequencies)
                frequencies = np.tile(frequencies, (stage.channels(count) or count) // count)
            elif hasattr(stage, "centers"):
                own = (params or {}).get(name, stage.init(jax.random.key(0)))
                frequencies = np.asarray(stage.centers(own))
        if frequencies is not None and self.channels(None) != len(frequencies):
            return None
        return frequencies

    def checked_rate(self, sample_rate: float | None) -> float:
        """Hz: what a stage states or, where none does, ``sample_rate``, which must not differ."""
        rate = _agreeing(self.sample_rate, sample_rate)
        if rate is None:
            raise ValueError("sample_rate must be given: no stage states it")
        return rate


def _of_branches(stage: Beside, params: Params, sample_rate: float | None) -> np.ndarray | None:
    """The frequencies of the channels of all branches, if all have any."""
    found = [
        branch.frequencies(own or None, sample_rate=sample_rate)
        for _, branch, own in stage.each(params)
        if isinstance(branch, FrontEnd)
    ]
    if len(found) < len(stage.branches) or any(f is None for f in found):
        return None
    return np.concatenate([f for f in found if f is not None])


def _agreeing(own: float | None, sample_rate: float | None) -> float | None:
    """The one of two rates that is given, or both, which then must not differ."""
    if sample_rate is None:
        return own
    sample_rate = check_number("sample_rate", sample_rate, above=0)
    if own not in (None, sample_rate):
        raise ValueError(
            f"sample_rate must be that of the stages or left out, got "
            f"sample_rate={sample_rate:g} and {own:g} in the stages"
        )
    return sample_rate
