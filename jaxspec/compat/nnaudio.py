"""Trainable transforms of nnAudio 0.3.4 as functions that return stages.

``nnAudio.features.MelSpectrogram(sr=16000, trainable_mel=True)(x)`` becomes
``compat.nnaudio.MelSpectrogram(sr=16000, trainable_mel=True).apply(params, x)``, with
``params = ….init(key)``. Names, argument names, their order and defaults are nnAudio's; the layout
is ours: ``(..., frames, channels)``, which is nnAudio's transposed, and spectra are complex arrays
where nnAudio has a last axis of two.

What is trained are nnAudio's own numbers, counted from their start: every sample of the kernels,
``wcos`` (our ``real``) and ``-wsin`` (our ``imag``), and every weight of the mel matrix. nnAudio
rounds both to float32, here they have the width of the signal.
"""

from __future__ import annotations

import math
from typing import Any

from jaxspec._checks import check_choice, check_number, check_positive_int
from jaxspec.compat._arguments import refuse_changed
from jaxspec.frontend import FrontEnd
from jaxspec.stage import Stage
from jaxspec.stages import STFT as _STFT
from jaxspec.stages import Affine, BasisSTFT, Filterbank, Power, Root
from jaxspec.windows import WindowLike

__all__ = ["STFT", "MelSpectrogram"]

_PAD_MODES = ("reflect", "constant")
_FORMATS = ("Complex", "Magnitude")
_UNDER_THE_ROOT = 1e-8  # of the magnitudes of a trainable transform


def STFT(
    n_fft: int = 2048,
    win_length: int | None = None,
    freq_bins: int | None = None,
    hop_length: int | None = None,
    window: WindowLike = "hann",
    freq_scale: str = "no",
    center: bool = True,
    pad_mode: str = "reflect",
    iSTFT: bool = False,
    fmin: float = 50,
    fmax: float = 6000,
    sr: float = 22050,
    trainable: bool = False,
    output_format: str = "Complex",
    verbose: bool = True,
) -> FrontEnd:
    """``nnAudio.features.STFT`` as a front-end: waveform to spectrum.

    Trainable, it is a `jaxspec.stages.BasisSTFT`: the sample of a kernel is nnAudio's at the start
    plus a parameter, so that gradients and steps of an optimiser are those of nnAudio. Nothing
    keeps kernels near sinusoids, nor a bin's two parts a quarter period apart; to learn a window or
    its length instead, replace the transform by `jaxspec.stages.AdaptiveSTFT`.

    A trainable magnitude is ``sqrt(re^2 + im^2 + 1e-8)``, 1e-4 on silence. nnAudio's fixed
    magnitude has no such floor, and its gradient is NaN there; here it is 0.

    Args:
      n_fft, win_length, center: as in nnAudio.
      hop_length: samples from frame to frame, default ``win_length // 4``.
      window: a name or a tuple, as in SciPy.
      pad_mode: ``"reflect"`` (here for clips of any length) or ``"constant"``; with ``center``
        only.
      trainable: whether the kernels are parameters, ``2 n_fft (n_fft // 2 + 1)`` numbers.
      output_format: ``"Complex"`` or ``"Magnitude"``; for the phase apply `jaxspec.phase` to the
        complex spectrum.
      freq_bins, freq_scale, iSTFT, fmin, fmax, sr, verbose: to be left as they are. All bins are
        computed, evenly spaced from 0 to half the sample rate; the inverse is `jaxspec.istft`.

    Raises:
      ValueError: for an argument that has no counterpart.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxspec.compat import nnaudio
      >>> stft = nnaudio.STFT(n_fft=512, trainable=True, output_format="Magnitude")
      >>> params = stft.init(jax.random.key(0))
      >>> jax.tree.map(jnp.shape, params)
      {'basis_stft': {'imag': (512, 257), 'real': (512, 257)}}
      >>> stft.apply(params, jnp.zeros(2048)).shape
      (17, 257)

    Reference:
      K. W. Cheuk, H. Anderson, K. Agres and D. Herremans, "nnAudio: an on-the-fly GPU audio to
      spectrogram conversion toolbox using 1D convolutional neural networks", IEEE Access 8, 2020.
    """
    cut = "take a range of its features, as in stages.Channels(stop=...)"
    refuse_changed("freq_bins", freq_bins, None, instead=cut)
    refuse_changed("freq_scale", freq_scale, "no", instead="lay out bands with stages.Filterbank")
    refuse_changed("iSTFT", iSTFT, False, instead="the inverse is the function jaxspec.istft")
    for name, value, default in (("fmin", fmin, 50), ("fmax", fmax, 6000), ("sr", sr, 22050)):
        refuse_changed(name, value, default, instead='it has no effect with freq_scale="no"')
    _refuse_verbose(verbose)
    check_choice("trainable", trainable, (False, True))
    check_choice("output_format", output_format, _FORMATS)
    transform = _transform(n_fft, win_length, hop_length, window, center, pad_mode, trainable)
    if output_format == "Complex":
        return FrontEnd(transform)
    return FrontEnd(transform, *_magnitude(1.0, trainable))


def MelSpectrogram(
    sr: float = 22050,
    n_fft: int = 2048,
    win_length: int | None = None,
    n_mels: int = 128,
    hop_length: int | None = 512,
    window: WindowLike = "hann",
    center: bool = True,
    pad_mode: str = "reflect",
    power: float = 2.0,
    htk: bool = False,
    fmin: float = 0.0,
    fmax: float | None = None,
    norm: float | None = 1,
    trainable_mel: bool = False,
    trainable_STFT: bool = False,
    verbose: bool = True,
) -> FrontEnd:
    """``nnAudio.features.MelSpectrogram`` as a front-end: waveform to mel bands.

    A trainable mel matrix is ``Filterbank(layout="signed")``: weights of any sign, as nnAudio's.
    Bands may become negative in training, whose logarithm is NaN in nnAudio; the logarithms of this
    library have floors. The parameters differ from nnAudio's by a unit, the largest weight of each
    band at the start: with Slaney's norm that is 0.002 to 0.04, so that in nnAudio a step of 1e-3
    of Adam is up to half a band's peak, for the zeros around it, too. ``.replace("filterbank",
    layout="free")`` keeps weights from becoming negative, ``layout="gaps"`` keeps bands.

    Args:
      sr, n_mels, fmin, fmax: as in nnAudio; ``fmax`` above half the sample rate is refused.
      n_fft, win_length, hop_length, window, center, pad_mode: as in `STFT`; a hop of ``None`` is
        ``win_length // 4``.
      power: exponent of the magnitude, above 0; at most 2 with ``trainable_STFT``.
      htk: HTK's mel scale in place of Slaney's.
      norm: 1, each band over half its width; ``None``, peaks of 1, which ``numpy.inf`` means in
        nnAudio, too.
      trainable_mel: whether every weight of the matrix is a parameter.
      trainable_STFT: as ``trainable`` in `STFT`, whose magnitudes are then never below 1e-4.
      verbose: to be left out.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxspec.compat import nnaudio
      >>> mel = nnaudio.MelSpectrogram(16000, n_fft=512, n_mels=40, trainable_mel=True)
      >>> params = mel.init(jax.random.key(0))
      >>> jax.tree.map(jnp.shape, params)
      {'filterbank': {'weights': (257, 40)}}
      >>> mel.apply(params, jnp.zeros(2048)).shape
      (5, 40)
    """
    _refuse_verbose(verbose)
    for name, value in (("trainable_mel", trainable_mel), ("trainable_STFT", trainable_STFT)):
        check_choice(name, value, (False, True))
    power = check_number("power", power, above=0)
    if norm not in (None, 1, math.inf):
        raise ValueError(f"norm must be one of None, 1, numpy.inf; got norm={norm!r}")
    bank = Filterbank(
        sample_rate=sr,
        n_fft=n_fft,
        n_bands=check_positive_int("n_mels", n_mels),
        f_min=fmin,
        f_max=fmax,
        scale="htk" if htk else "slaney",
        norm="slaney" if norm == 1 else None,
        layout="signed" if trainable_mel else "fixed",
    )
    transform = _transform(n_fft, win_length, hop_length, window, center, pad_mode, trainable_STFT)
    return FrontEnd(transform, *_magnitude(power, trainable_STFT), bank)


def _transform(
    n_fft: int,
    win_length: int | None,
    hop_length: int | None,
    window: WindowLike,
    center: bool,
    pad_mode: str,
    trainable: bool,
) -> Stage:
    check_choice("pad_mode", pad_mode, _PAD_MODES)
    n_fft = check_positive_int("n_fft", n_fft)
    win_length = n_fft if win_length is None else check_positive_int("win_length", win_length)
    options: dict[str, Any] = {
        "n_fft": n_fft,
        "hop_length": win_length // 4 if hop_length is None else hop_length,
        "win_length": win_length,
        "window": window,
        "center": center,
        "pad_mode": pad_mode,
    }
    return BasisSTFT(**options) if trainable else _STFT(**options)


def _magnitude(power: float, trainable: bool) -> list[Stage]:
    """A power of the magnitude, from the spectrum."""
    if not trainable:
        return [Power(exponent=power)]
    check_number("power", power, at_most=2, because="the magnitude is a root with trainable_STFT")
    floor: list[Stage] = [Power(), Affine(offset=_UNDER_THE_ROOT)]
    return floor if power == 2 else [*floor, Root(exponent=power / 2)]


def _refuse_verbose(verbose: bool) -> None:
    refuse_changed("verbose", verbose, True, instead="leave it out; nothing is ever printed")
