"""The differentiable transform of dstft 3.0 as a function that returns a front-end.

``dstft.DSTFT(n_fft=512, win_length=300, hop_length=128, window_mode="constant")`` becomes
``compat.dstft.DSTFT(…)``, to which ``params = ….init(key)`` belongs. Names and defaults are
dstft's; the layout is ours, ``(..., frames, bins)``, which is dstft's transposed, and nothing has
to be told the length of a clip in advance.
"""

from __future__ import annotations

from typing import Any

from jaxspec._checks import check_choice, check_number, check_positive_int
from jaxspec.compat._arguments import refuse_changed
from jaxspec.frontend import FrontEnd
from jaxspec.stage import Stage
from jaxspec.stages import AdaptiveHopSTFT, AdaptiveSTFT, Affine, Power

__all__ = ["DSTFT"]

_WINDOW_MODES = ("fixed", "constant", "frequency")
_HOP_MODES = ("fixed", "constant")
_NORMS = {None: "peak", "unit": "sum", "paper": "length", "contract": "length"}
_NEAREST = 1e-4  # how near to its bounds, as a share of their distance, dstft starts a quantity


def DSTFT(
    *,
    n_fft: int,
    win_length: float | None = None,
    hop_length: float | None = None,
    window_mode: str = "time",
    hop_mode: str = "fixed",
    window: str = "hann",
    normalization: str | None = None,
    hop_length_min: float = 1.0,
    hop_length_max: float | None = None,
    win_length_min: float | None = None,
    win_length_max: float | None = None,
    magnitude_power: float = 1.0,
    eps: float = 1e-12,
) -> FrontEnd:
    """``dstft.DSTFT`` as a front-end: waveform to a power of the magnitude.

    dstft returns the complex spectrum as well: here the first stage gives it,
    ``DSTFT(…)["adaptive_stft"]`` (or ``["adaptive_hop_stft"]``). Phases count from the first sample
    of the first frame, as in dstft, where the hop is learned, else from that of each frame.

    What is learned, ``win_length`` and ``hop_length``, are dstft's logits less their start: a
    sigmoid between the same bounds, so that gradients and steps are those of dstft. Frames have
    their middle at multiples of the hop and see zeros beyond the clip.

    Args:
      n_fft: samples in a frame, an even number.
      win_length: length of the window at the start, real, default ``n_fft``. dstft holds it inside
        its bounds by 1e-4 of their distance; so near, its slope is 1e-4 of that distance: start
        well inside to learn it.
      hop_length: at the start, default ``n_fft // 4``: an int, or any real number if it is
        learned. A fixed hop goes through a logit in dstft, too; where that rounds below the int,
        dstft cuts all frames but the first a sample early, which is not followed here.
      window_mode: ``"fixed"``, ``"constant"`` (one length is learned) or ``"frequency"`` (one for
        every bin, with a fixed hop). ``"time"``, the default of dstft, and ``"time-frequency"``
        have a length for every frame and serve clips of one length only.
      hop_mode: ``"fixed"`` or ``"constant"`` (one hop is learned). ``"time"`` is as above.
      window: ``"hann"``; for others use `jaxspec.stages.AdaptiveSTFT`.
      normalization: of the window: ``None`` (1 in the middle), ``"unit"`` (samples add up to 1),
        ``"paper"`` or ``"contract"`` (both times ``n_fft`` over its length).
      hop_length_min, hop_length_max: bounds of a learned hop, default ``n_fft`` above; the lower
        one an int. There are always as many frames as it would give, zeros from the end of the clip
        on (plus ``eps``), so state it. dstft keeps the number of the start, and raises when a
        learned hop would change it.
      win_length_min, win_length_max: bounds of a learned length, default the hop at the start and
        ``n_fft``. dstft takes the upper one for pictures only, and ``n_fft`` as the bound.
      magnitude_power: exponent of the magnitude, above 0.
      eps: added to it, above 0.

    Raises:
      ValueError: for an argument that has no counterpart or no effect.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxspec.compat import dstft
      >>> module = dstft.DSTFT(n_fft=512, win_length=300, hop_length=128, window_mode="constant")
      >>> params = module.init(jax.random.key(0))
      >>> params
      {'adaptive_stft': {'win_length': Array(0., dtype=float32)}}
      >>> module.apply(params, jnp.zeros(16000)).shape
      (126, 257)

    Reference:
      M. Leiber, A. Barrau, Y. Marnissi and D. Abboud, "A differentiable short-time Fourier
      transform with respect to the window length", EUSIPCO 2022; of the hop: M. Leiber, Y.
      Marnissi, A. Barrau and M. El Badaoui, SSP 2023.
    """
    check_choice("window_mode", window_mode, _WINDOW_MODES)
    check_choice("hop_mode", hop_mode, _HOP_MODES)
    check_choice("normalization", normalization, tuple(_NORMS))
    refuse_changed("window", window, "hann", instead="use stages.AdaptiveSTFT(family=...)")
    n_fft = check_positive_int("n_fft", n_fft, minimum=2)
    if n_fft % 2:
        raise ValueError(f"n_fft must be even (a frame's middle is a sample), got n_fft={n_fft}")
    if hop_length is None:
        hop_length = n_fft // 4
    options: dict[str, Any] = {
        "n_fft": n_fft,
        "norm": _NORMS[normalization],
        "pad_mode": "constant",
    }
    low = check_number("win_length_min", hop_length if win_length_min is None else win_length_min)
    high = check_number("win_length_max", n_fft if win_length_max is None else win_length_max)
    length = _start(n_fft if win_length is None else win_length, low, n_fft)
    learned = [] if window_mode == "fixed" else ["win_length"]
    if learned:
        options |= {"min_length": low, "max_length": high}
    else:
        for name, value in (("win_length_min", win_length_min), ("win_length_max", win_length_max)):
            refuse_changed(name, value, None, instead="it bounds a learned length")
    options["win_length"] = length
    stage: Stage
    if hop_mode == "fixed":
        for name, value, default in (
            ("hop_length_min", hop_length_min, 1.0),
            ("hop_length_max", hop_length_max, None),
        ):
            refuse_changed(name, value, default, instead="it bounds a learned hop")
        stage = AdaptiveSTFT(
            **options,
            hop_length=_whole("hop_length", hop_length),
            learn=tuple(learned),
            per_bin=window_mode == "frequency",
        )
    else:
        if window_mode == "frequency":
            raise ValueError(
                'window_mode must be "fixed" or "constant" with hop_mode="constant", got '
                'window_mode="frequency": no frame may lie between samples for every bin'
            )
        smallest = _whole("hop_length_min", hop_length_min)
        largest = float(n_fft) if hop_length_max is None else hop_length_max
        stage = AdaptiveHopSTFT(
            **options,
            hop_length=_start(hop_length, smallest, largest),
            min_hop=smallest,
            max_hop=largest,
            phase="clip",
            learn=(*learned, "hop_length"),
        )
    power = Power(exponent=check_number("magnitude_power", magnitude_power, above=0))
    return FrontEnd(stage, power, Affine(offset=check_number("eps", eps, above=0)))


def _start(value: float, low: float, high: float) -> float:
    """Where dstft starts a quantity: inside its bounds by a share of their distance."""
    value = float(value)
    near = _NEAREST * (high - low)
    return min(max(value, low + near), high - near) if low < high else value


def _whole(name: str, value: float) -> int:
    """A number without a fraction as an int."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return check_positive_int(name, value)
