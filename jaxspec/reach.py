"""What a stage must see of its input for an output."""

from __future__ import annotations

import dataclasses

from jaxspec._checks import check_positive_int

__all__ = ["Reach"]


@dataclasses.dataclass(frozen=True)
class Reach:
    """Which input positions an output position depends on.

    Output ``t`` depends on the positions ``t * stride - before … t * stride + after`` of the
    input (those at the ends possibly with a weight of 0, as under a window shorter than its frame);
    with ``past`` also on all earlier ones, through a carry; with ``clip`` on the whole clip.
    One of the two may be negative: padding by 3 samples in front has ``before=3, after=-3``.
    Beyond the ends of a clip stand positions that the stage's edge rule makes from the
    ``before + 1`` first or ``after + 1`` last ones (or, for padding, from `Stage.edge_reach`).

    Example:
      >>> import jaxspec
      >>> stft = jaxspec.stages.STFT(n_fft=400, hop_length=160)
      >>> stft.reach
      Reach(stride=160, before=200, after=199, past=False, clip=False)
      >>> stft.reach.then(jaxspec.stages.Deltas(width=5).reach)
      Reach(stride=160, before=520, after=519, past=False, clip=False)
    """

    stride: int = 1
    before: int = 0
    after: int = 0
    past: bool = False
    clip: bool = False

    def __post_init__(self) -> None:
        check_positive_int("stride", self.stride)
        check_positive_int("before + after", self.before + self.after, minimum=0)

    @property
    def kind(self) -> str:
        """``"frame"``, ``"neighbours"``, ``"past"`` or ``"clip"``: the farthest that holds."""
        if self.clip:
            return "clip"
        if self.past:
            return "past"
        return "frame" if self == Reach() else "neighbours"

    def then(self, following: Reach) -> Reach:
        """The reach of this stage followed by another: strides multiply, sides add up."""
        return Reach(
            stride=self.stride * following.stride,
            before=self.before + self.stride * following.before,
            after=self.after + self.stride * following.after,
            past=self.past or following.past,
            clip=self.clip or following.clip,
        )
