"""The same front-end for waveforms of another sample rate, with the same parameters."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from jaxspec import stages
from jaxspec._checks import check_choice, check_number
from jaxspec.frontend import FrontEnd
from jaxspec.stage import Stage
from jaxspec.table import Table
from jaxspec.windows import WindowLike, window

__all__ = ["at_rate"]

LENGTHS = ("exact", "nearest")
_MOST_ROUNDED = 0.02

# Choices that count samples and are whole numbers.
_WHOLE: dict[type[Stage], tuple[str, ...]] = {
    stages.Pad: ("before", "after"),
    stages.Trim: ("before", "after"),
    stages.PadToMultiple: ("multiple",),
    stages.PadAt: ("multiple", "remainder", "after"),
    stages.MaskPadding: ("multiple",),
    stages.FitLength: ("n_samples",),
    stages.Repeat: ("n_samples",),
    stages.Frame: ("frame_length", "hop_length", "lookahead"),
    stages.Window: ("win_length",),
    stages.RFFT: ("n_fft",),
    stages.STFT: ("n_fft", "hop_length", "win_length"),
    stages.AdaptiveSTFT: ("n_fft", "hop_length"),
    stages.AdaptiveHopSTFT: ("n_fft", "min_hop"),
    stages.Filterbank: ("n_fft",),
    stages.Gabor: ("hop_length",),
    stages.Sinc: ("hop_length",),
    stages.Gammatone: ("hop_length",),
    stages.PCEN: ("hop_length",),
    stages.RunningNormalize: ("hop_length",),
}
# Those that need not be whole.
_ANY: dict[type[Stage], tuple[str, ...]] = {
    stages.AdaptiveSTFT: ("win_length", "min_length", "max_length"),
    stages.AdaptiveHopSTFT: ("win_length", "min_length", "max_length", "hop_length", "max_hop"),
}
# What cannot be had at another rate, and why.
_REFUSED: dict[type[Stage], str] = {
    stages.PreEmphasis: "a difference of neighbouring samples is another filter at another rate",
    stages.FramePreEmphasis: "a difference of neighbouring samples is another filter at another "
    "rate",
    stages.LogEnergy: "the sum over a frame has another level than its spectrum",
    stages.BasisSTFT: "its kernels are samples",
    stages.FreeFilters: "its filters are samples",
    stages.OctaveFilters: "its octaves count from half the sample rate",
}
# Those to which channels that are more or fewer are another input.
_ACROSS: tuple[type[Stage], ...] = (
    stages.Channels,
    stages.DCT,
    stages.Lifter,
    stages.LnFromMin,
    stages.Normalize,
    stages.PCAN,
    stages.Splice,
    stages.STRF,
    stages.Stack,
)
# Those that take and give frames, or change samples one by one, or all of them alike.
_UNCHANGED: tuple[type[Stage], ...] = (
    *_ACROSS,
    stages.Abs,
    stages.Affine,
    stages.AmplitudeToDb,
    stages.Clip,
    stages.Decimate,
    stages.Deltas,
    stages.DropFrames,
    stages.DynamicRange,
    stages.ExponentialSmoothing,
    stages.FitFrames,
    stages.FloorFromMax,
    stages.FreePool,
    stages.GaussianPool,
    stages.Ln,
    stages.Log10,
    stages.Log1p,
    stages.LogOffset,
    stages.LogPowerBlend,
    stages.LogTBN,
    stages.MaxPool,
    stages.PadFrames,
    stages.Power,
    stages.PowerToDb,
    stages.RealParts,
    stages.RemoveFrameMean,
    stages.RemoveMean,
    stages.Replace,
    stages.Root,
    stages.Scale,
    stages.ScaleToRange,
    stages.Sqrt,
    stages.WholeFrames,
    stages.ZeroFrames,
)


def at_rate(frontend: FrontEnd, sample_rate: float, *, lengths: str = "exact") -> FrontEnd:
    """The same front-end for waveforms of another sample rate.

    It takes the same parameters, and of a sound that both rates hold it gives the same frames at
    the same times: what counts samples (hops, windows, ``n_fft``, paddings) is multiplied by the
    quotient of the rates, bands stay where they are in Hz, and where a level follows the number of
    samples (that of an unnormalised Fourier transform does) a `jaxspec.stages.Scale` makes up for
    it. What remains is what sampling itself makes of filters and windows, and of bands that reach
    beyond half of one of the rates.

    A spectrum without bands has the same frequencies, but more or fewer of them.

    Args:
      frontend: it, or a stage of it, states its sample rate.
      sample_rate: Hz.
      lengths: ``"exact"``, or ``"nearest"``: where a length is no whole number at the other rate,
        the nearest one, if it is off by no more than 2 %. Frames are then apart by a little more or
        less than before, as ``frame_times`` says. (Where a filter is cut off is rounded up in both
        cases.)

    Raises:
      ValueError: if bands reach beyond half of the sample rate, if a length is no whole number, or
        for what is given in samples: filters and kernels, matrices and free weights, windows of
        your own, pre-emphasis.

    Example:
      >>> import jax, jax.numpy as jnp, jaxspec
      >>> from jaxspec import FrontEnd, stages
      >>> frontend = FrontEnd(
      ...     stages.Gabor(
      ...         sample_rate=16000, n_bands=40, f_max=7800, layout="gaps", taps=801, hop_length=8),
      ...     stages.Power(),
      ...     stages.GaussianPool(size=51, stride=20, deviation=10.0),
      ... )
      >>> params = frontend.init(jax.random.key(0))  # and trained
      >>> studio = jaxspec.at_rate(frontend, 48000)
      >>> studio["gabor"].taps, studio["gabor"].hop_length
      (2401, 24)
      >>> studio.apply(params, jnp.zeros(48000)).shape
      (100, 40)
    """
    if not isinstance(frontend, FrontEnd):
        raise TypeError(f"frontend must be a FrontEnd, got a {type(frontend).__name__}")
    check_choice("lengths", lengths, LENGTHS)
    for name, stage in zip(frontend.names, frontend.stages, strict=True):
        _refuse(name, stage)  # a better reason than that no rate is known
    old = frontend.checked_rate(None)
    new = check_number("sample_rate", sample_rate, above=0)
    return frontend if new == old else _chain(frontend, _Change(old, new, lengths))


@dataclasses.dataclass(frozen=True)
class _Change:
    """From one rate to another."""

    old: float
    new: float
    lengths: str

    @property
    def factor(self) -> float:
        return self.new / self.old

    def whole(self, name: str, field: str, value: int) -> int:
        """So many samples at the new rate."""
        exact = value * self.new / self.old
        if self.lengths == "exact" and abs(exact - round(exact)) > 1e-6:
            raise ValueError(
                f"{name}: {field}={value} would be {exact:.6g} samples at "
                f"sample_rate={self.new:g}, which is no whole number; change it, or use "
                f'lengths="nearest"'
            )
        nearest = math.floor(exact + 0.5)
        if abs(nearest - exact) > _MOST_ROUNDED * exact:
            raise ValueError(
                f"{name}: {field}={value} would be {exact:.6g} samples at "
                f"sample_rate={self.new:g}, and the nearest whole number is off by "
                f"{abs(nearest / exact - 1):.0%}; start from a larger {field}"
            )
        return nearest

    def end(self, taps: int) -> int:
        """As many samples that reach as far to both sides of the middle, or a little farther."""
        half = math.ceil(taps // 2 * self.factor - 1e-6)
        return 2 * half + taps % 2


def _refuse(name: str, stage: Stage) -> None:
    """Whatever the rates, some stages are for one alone."""
    if type(stage) in _REFUSED:
        raise ValueError(f"{name}: cannot be had at another sample rate: {_REFUSED[type(stage)]}")


def _looks_across(stage: Stage) -> bool:
    """Whether channels that are more or fewer are another input."""
    running = isinstance(stage, stages.RunningNormalize) and stage.over == "clip"
    return running or isinstance(stage, _ACROSS)


def _chain(frontend: FrontEnd, change: _Change) -> FrontEnd:
    found: list[Stage] = []
    before: int | None = None
    after: int | None = None
    for name, stage in zip(frontend.names, frontend.stages, strict=True):
        if before != after and _looks_across(stage):
            raise ValueError(
                f"{name}: looks across channels, of which there would be {after} at "
                f"sample_rate={change.new:g}, and not {before}"
            )
        found.append(_converted(name, stage, change, _stride(found)))
        before, after = stage.channels(before), found[-1].channels(after)
    gain = _gain(found) / _gain(frontend.stages)
    if frontend.takes == "waveform" and abs(gain - 1) > 1e-12:
        place = next(i for i, s in enumerate(found) if s.takes == "waveform" != s.gives)
        found.insert(place, stages.Scale(factor=1 / gain))
    own = None if frontend.sample_rate is None else change.new
    return FrontEnd(stages=tuple(found), tile_frames=frontend.tile_frames, sample_rate=own)


def _stride(found: list[Stage]) -> int | None:
    """Samples between the frames that these stages make; ``None`` where they make none."""
    if not found or found[0].takes != "waveform" or found[-1].gives == "waveform":
        return None
    return FrontEnd(stages=tuple(found)).reach.stride


def _converted(name: str, stage: Stage, change: _Change, stride: int | None) -> Stage:
    kind = type(stage)
    if isinstance(stage, FrontEnd):
        return _chain(stage, change)
    if isinstance(stage, stages.Beside):
        branches = [
            _converted(f"{name}/{place}", branch, change, stride)
            for place, branch in enumerate(stage.branches)
        ]
        for one, other in zip(stage.branches, branches, strict=True):
            if not isinstance(one, FrontEnd) and abs(_gain([other]) / _gain([one]) - 1) > 1e-12:
                raise ValueError(
                    f"{name}: a {type(one).__name__} alone has another level at another sample "
                    f"rate; make the branch a FrontEnd"
                )
        return stages.Beside(branches=tuple(branches))
    if kind in _UNCHANGED:
        return stage
    _refuse(name, stage)
    if kind not in _WHOLE:
        raise ValueError(f"{name}: how a {kind.__name__} depends on the sample rate is not known")
    _check_no_samples(name, stage)
    changes: dict[str, Any] = {}
    for field in _WHOLE[kind]:
        value = getattr(stage, field)
        if value is not None:
            changes[field] = change.whole(name, field, value)
    for field in _ANY.get(kind, ()):
        value = getattr(stage, field)
        if value is not None:
            changes[field] = value * change.factor
    if isinstance(stage, stages.MaskPadding):
        changes["frontend"] = _converted(name, stage.frontend, change, stride)
    seconds = isinstance(stage, stages.PCEN | stages.RunningNormalize)
    if seconds and changes.get("hop_length") is not None and stride is not None:
        changes["hop_length"] = stride
    if isinstance(stage, stages.Gabor | stages.Gammatone):
        changes["taps"] = change.end(stage.taps)
    if isinstance(stage, stages.Sinc):  # its window is as long as its filter
        changes["taps"] = 1 + 2 * change.whole(name, "(taps - 1) / 2", stage.taps // 2)
    if getattr(stage, "sample_rate", None) is not None:
        changes["sample_rate"] = change.new
    try:
        with warnings.catch_warnings():
            # Of bands that hold no bin, which the bank has said when it was made.
            warnings.simplefilter("ignore", UserWarning)
            return dataclasses.replace(cast(Any, stage), **changes)
    except ValueError as error:
        raise ValueError(f"{name}, at sample_rate={change.new:g}: {error}") from error


def _gain(chain: Sequence[Stage]) -> float:
    """How much larger than at another rate a sinusoid becomes, in units that do not matter."""
    gain = 1.0
    windowed = any(isinstance(stage, stages.Window) for stage in chain)
    for stage in chain:
        if isinstance(stage, stages.STFT):
            table = stage.window_table()
            norm = {"frame_length": len(table), "window": (table**2).sum()}
            gain *= table.sum() / np.sqrt(norm.get(stage.normalized or "", 1.0))
            gain /= table.sum() if stage.normalized == "magnitude" else 1.0
        elif isinstance(stage, stages.AdaptiveSTFT | stages.AdaptiveHopSTFT):
            gain *= stage.n_fft ** {"sum": 0.0, "energy": 0.5}.get(stage.norm, 1.0)
        elif isinstance(stage, stages.Window):
            gain *= stage.window_table().sum()
        elif isinstance(stage, stages.Frame) and not windowed:
            gain *= stage.frame_length
        elif isinstance(stage, stages.Sinc):
            gain *= stage.sample_rate
        elif isinstance(stage, stages.Gammatone) and stage.norm == "energy":
            gain *= np.sqrt(stage.sample_rate)
    return float(gain)


def _check_no_samples(name: str, stage: Stage) -> None:
    """Refuse what is given, or learned, sample by sample or bin by bin."""
    for field in ("window", "matrix", "win_length"):
        if isinstance(getattr(stage, field, None), Table):
            raise ValueError(
                f"{name}: {field} is given by values, which cannot be had at another sample rate"
            )
    named = getattr(stage, "window", None)
    if named is not None and not _stretches(named):
        raise ValueError(
            f"{name}: the window {named!r} has a width in samples; give one whose width follows "
            f"its length"
        )
    if isinstance(stage, stages.AdaptiveSTFT) and stage.per_bin:
        raise ValueError(
            f"{name}: has a window for each bin, of which there would be another number"
        )
    if isinstance(stage, stages.Filterbank) and stage.layout in ("free", "signed"):
        raise ValueError(
            f"{name}: layout={stage.layout!r} learns a weight for each bin, of which there would "
            f"be another number"
        )


def _stretches(named: WindowLike) -> bool:
    """Whether a window of twice the length is the same, drawn out."""
    short, long = window(named, 64), window(named, 128)
    return bool(np.allclose(short, long[::2], atol=0.02))
