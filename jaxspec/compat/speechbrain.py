"""Trainable mel bands, and the LEAF, of speechbrain 1.1 as functions that return stages.

``speechbrain.lobes.features.Fbank(requires_grad=True)(x)`` becomes
``compat.speechbrain.Fbank(requires_grad=True).apply(params, x)``, with ``params = ….init(key)``.
Names, argument names, their order and defaults are speechbrain's, and so is the layout of a batch
of clips, ``(..., frames, channels)``.

Filters are symmetric: each has a centre and a band of its own, at the start the distance to the
centre below, and mel triangles drawn so do not add up to 1. A triangle is 0 one band away from its
centre, a Gaussian has half a band as its deviation, a rectangle reaches one band to either side.

speechbrain trains ``f_central`` and ``band``, both over the sample rate. Here ``gaps`` and
``widths`` are trained: centres stay in order and inside the range, bands are factors of their start
that grow with the distance of the neighbours, and both may be trained with the same rate as
anything else. Of speechbrain's, a step of 1e-3 of Adam is 16 Hz at 16 kHz, a third of a low band:
centres cross, and a band that passes 0 turns its triangle inside out.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from jaxspec._checks import check_choice, check_number, check_positive_int
from jaxspec.compat._arguments import refuse_changed
from jaxspec.compat._gabor import (
    PCEN_START,
    Z,
    apart,
    check_filters,
    counted_start,
    floored_pcen,
    in_samples,
    mel_edges,
    per_filter,
    pooled_gabor,
    triangles,
)
from jaxspec.filterbanks import band_edges, check_band_range
from jaxspec.frontend import FrontEnd
from jaxspec.stages import STFT, Affine, AmplitudeToDb, Clip, Power, PowerToDb
from jaxspec.stages import Filterbank as _Filterbank

__all__ = ["Fbank", "Filterbank", "Leaf"]

# Shapes, and widths at half height over speechbrain's band.
SHAPES = {
    "triangular": ("triangle", 1.0),
    "rectangular": ("rectangle", 2.0),
    "gaussian": ("gaussian", math.sqrt(2 * math.log(2))),
}
_CHANGE = (
    "it scales the start of all frequencies in speechbrain; ours have no unit, so scale the rate "
    "of the optimiser for them"
)
_RANDOM = "it needs a random number for every step, and has an effect on frozen filters only"


def Filterbank(
    n_mels: int = 40,
    log_mel: bool = True,
    filter_shape: str = "triangular",
    f_min: float = 0,
    f_max: float = 8000,
    n_fft: int = 400,
    sample_rate: int = 16000,
    power_spectrogram: int = 2,
    amin: float = 1e-10,
    ref_value: float = 1.0,
    top_db: float = 80.0,
    param_change_factor: float = 1.0,
    param_rand_factor: float = 0.0,
    freeze: bool = True,
) -> FrontEnd:
    """``speechbrain.processing.features.Filterbank`` as a front-end: spectrogram to bands.

    Args:
      n_mels, f_min, f_max: number of filters, and their range on HTK's mel scale in Hz.
      log_mel: decibels, held within ``top_db`` of the largest value of each item; else the bands.
      filter_shape: ``"triangular"``, ``"rectangular"`` (frozen only: its edges have no gradient,
        which speechbrain does not say) or ``"gaussian"``.
      n_fft, sample_rate: even numbers; of others speechbrain's bins lie beside those of the FFT.
      power_spectrogram: 2 if the spectrogram is one of powers, 1 if of magnitudes: the factor of
        the decibels, 10 or 20. Nothing is raised to that power.
      amin: the floor under the logarithm, above 0.
      ref_value: of 0 dB, above 0.
      param_change_factor, param_rand_factor: to be left as they are. The former is meant as a
        factor on the speed of learning, but multiplies the frequencies of trained filters: 0.1 puts
        40 filters between 4 and 748 Hz. The latter has no effect on trained ones.
      freeze: whether nothing is learned; else ``gaps`` and ``widths`` of a
        `jaxspec.stages.Filterbank` are parameters.

    Raises:
      ValueError: for an argument that has no counterpart or no effect.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxspec.compat import speechbrain
      >>> bank = speechbrain.Filterbank(filter_shape="gaussian", freeze=False)
      >>> params = bank.init(jax.random.key(0))
      >>> jax.tree.map(jnp.shape, params)
      {'filterbank': {'gaps': (41,), 'widths': (40,)}}
      >>> bank.apply(params, jnp.ones((98, 201))).shape
      (98, 40)

    Reference:
      M. Ravanelli et al., "SpeechBrain: a general-purpose speech toolkit", 2021.
    """
    refuse_changed("param_change_factor", param_change_factor, 1.0, instead=_CHANGE)
    refuse_changed("param_rand_factor", param_rand_factor, 0.0, instead=_RANDOM)
    check_choice("log_mel", log_mel, (True, False))
    check_choice("freeze", freeze, (True, False))
    check_choice("power_spectrogram", power_spectrogram, (2, 1))
    bank = symmetric_bank(
        n_mels, filter_shape, f_min, f_max, n_fft, sample_rate, learned=not freeze
    )
    if log_mel:
        cls = PowerToDb if power_spectrogram == 2 else AmplitudeToDb
        return FrontEnd(bank, cls(ref=ref_value, amin=amin, top_db=top_db))
    of_decibels = (
        ("power_spectrogram", power_spectrogram, 2),
        ("amin", amin, 1e-10),
        ("ref_value", ref_value, 1.0),
        ("top_db", top_db, 80.0),
    )
    for name, value, default in of_decibels:
        refuse_changed(name, value, default, instead="it has no effect with log_mel=False")
    return FrontEnd(bank)


def Fbank(
    deltas: bool = False,
    context: bool = False,
    requires_grad: bool = False,
    sample_rate: int = 16000,
    f_min: float = 0,
    f_max: float | None = None,
    n_fft: int = 400,
    n_mels: int = 40,
    filter_shape: str = "triangular",
    param_change_factor: float = 1.0,
    param_rand_factor: float = 0.0,
    left_frames: int = 5,
    right_frames: int = 5,
    win_length: float = 25,
    hop_length: float = 10,
) -> FrontEnd:
    """``speechbrain.lobes.features.Fbank`` as a front-end: waveform to bands in decibels.

    A Hamming window over frames that are centred, with zeros beyond the ends; powers; `Filterbank`.

    Args:
      requires_grad: whether the filters are learned, as in `Filterbank`.
      sample_rate, f_min, n_fft, n_mels, filter_shape: as in `Filterbank`.
      f_max: Hz, default half the sample rate.
      win_length, hop_length: milliseconds, rounded to samples; a window as long as ``n_fft`` at
        most.
      param_change_factor, param_rand_factor: to be left as they are, see `Filterbank`.
      deltas, context, left_frames, right_frames: to be left as they are. `jaxspec.stages.Deltas` of
        width 5 has the same first derivatives, but second ones of its own (speechbrain: the first
        of the first); frames side by side are `jaxspec.stages.Splice`, in another order.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxspec.compat import speechbrain
      >>> fbank = speechbrain.Fbank(requires_grad=True)
      >>> params = fbank.init(jax.random.key(0))
      >>> fbank.apply(params, jnp.ones((2, 16000))).shape
      (2, 101, 40)
    """
    splice = "put stages.Splice behind; its neighbours are side by side, not channel by channel"
    fit = "put stages.Deltas behind, whose second derivatives are not the first taken twice"
    refuse_changed("deltas", deltas, False, instead=fit)
    refuse_changed("context", context, False, instead=splice)
    for name, value in (("left_frames", left_frames), ("right_frames", right_frames)):
        refuse_changed(name, value, 5, instead="it has no effect with context=False")
    check_choice("requires_grad", requires_grad, (False, True))
    bands = Filterbank(
        n_mels=n_mels,
        filter_shape=filter_shape,
        f_min=f_min,
        f_max=sample_rate // 2 if f_max is None else f_max,
        n_fft=n_fft,
        sample_rate=sample_rate,
        param_change_factor=param_change_factor,
        param_rand_factor=param_rand_factor,
        freeze=not requires_grad,
    )
    return FrontEnd(*hamming_frames(sample_rate, n_fft, win_length, hop_length), bands)


def Leaf(
    out_channels: int,
    window_len: float = 25.0,
    window_stride: float = 10.0,
    sample_rate: int = 16000,
    input_shape: Any = None,
    in_channels: int | None = None,
    min_freq: float = 60.0,
    max_freq: float | None = None,
    use_pcen: bool = True,
    learnable_pcen: bool = True,
    use_legacy_complex: bool = False,
    skip_transpose: bool = False,
    n_fft: int = 512,
    *,
    kernel: Any = None,
    pool: Any = 0.4,
    bias: float = 1.0,
    alpha: Any = 0.96,
    delta: Any = 2.0,
    root: Any = 2.0,
    smooth_coef: Any = 0.04,
    method: str = "direct",
    hop_length: int = 1,
) -> FrontEnd:
    """``speechbrain.lobes.features.Leaf`` as a front-end: waveform to ``out_channels`` bands.

    It differs from LEAF as published (`jaxspec.compat.leaf_audio.Leaf`): frames have their
    middle at multiples of the stride, not 80 samples later; the mel triangles whose bins are
    counted for the start are linear in Hz and reach up to half the rate; and a number is added to
    the energies, which at its start of 1 leaves little of them: 12 bands of speech then lie between
    0.23 and 0.42. LEAF has none, so that it is hardly meant; ``bias=0`` leaves it out.

    Args:
      out_channels: number of filters.
      window_len, window_stride: milliseconds; the window, one sample longer than that, must have an
        odd number of samples.
      sample_rate: Hz.
      input_shape, use_legacy_complex, skip_transpose: to be left out.
      in_channels: to be left out, or 1.
      min_freq, max_freq: Hz, of the filters at the start; default of the latter half the rate.
      use_pcen: else energies of at least 1e-5.
      learnable_pcen: whether ``gain``, ``bias``, ``power`` and ``smoothing`` are learned.
      n_fft: whose bins are counted for the start, an even number.
      kernel: ``(out_channels, 2)``, the filters at the start, as those of ``complex_conv``:
        increasing centres in radians per sample, and deviations in samples.
      pool: the deviations of the windows over half their length.
      bias: added to the energies, learned there, fixed here.
      alpha, delta, root, smooth_coef: of PCEN, as in `jaxspec.compat.leaf_audio.Leaf`.
      method, hop_length: as there; ``method="fft", hop_length=8`` is for use.

    Raises:
      ValueError: for an argument that has no counterpart or no effect.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxspec.compat import speechbrain
      >>> leaf = speechbrain.Leaf(12)
      >>> params = leaf.init(jax.random.key(0))
      >>> leaf.apply(params, jnp.ones((2, 8000))).shape
      (2, 50, 12)
    """
    unused: list[tuple[str, Any, Any, str]] = [
        ("input_shape", input_shape, None, "any number of axes may stand in front"),
        ("use_legacy_complex", use_legacy_complex, False, "numbers are real or complex as fits"),
        ("skip_transpose", skip_transpose, False, "the layout is (..., frames, channels)"),
    ]
    if in_channels not in (None, 1):
        raise ValueError(f"in_channels must be None or 1, got in_channels={in_channels}")
    check_choice("use_pcen", use_pcen, (True, False))
    check_choice("learnable_pcen", learnable_pcen, (True, False))
    n = check_positive_int("out_channels", out_channels)
    sample_rate, taps, stride = in_samples(sample_rate, window_len, window_stride)
    if kernel is None:
        mu, sigma = _leaf_start(n, min_freq, max_freq, sample_rate, n_fft)
    else:
        instead = "it has no effect with a kernel"
        unused += [
            ("min_freq", min_freq, 60.0, instead),
            ("max_freq", max_freq, None, instead),
            ("n_fft", n_fft, 512, instead),
        ]
        if np.shape(kernel) != (n, 2):
            raise ValueError(f"kernel must have shape ({n}, 2), got {np.shape(kernel)}")
        own = np.asarray(kernel, np.float64)
        mu, sigma = check_filters(own[:, 0], own[:, 1], n, ("kernel[:, 0]", "kernel[:, 1]"))
    energies = pooled_gabor(
        mu,
        np.clip(sigma, 4 * Z, taps * Z),
        per_filter("pool", pool, n),
        sample_rate=sample_rate,
        taps=taps,
        stride=stride,
        offset=0,
        learn_filters=True,
        learn_pooling=True,
        method=method,
        hop_length=hop_length,
    )
    bias = check_number("bias", bias)
    level = [Affine(offset=bias)] if bias else []
    quantities = {"alpha": alpha, "delta": delta, "root": root, "smooth_coef": smooth_coef}
    if use_pcen:
        last = floored_pcen(n, learned=learnable_pcen, flag="learnable_pcen", **quantities)
    else:
        last = [Clip(low=1e-5)]
        instead = "it has no effect with use_pcen=False"
        unused += [(name, value, PCEN_START[name], instead) for name, value in quantities.items()]
        unused.append(("learnable_pcen", learnable_pcen, True, instead))
    for name, value, default, instead in unused:
        refuse_changed(name, value, default, instead=instead)
    return FrontEnd(*energies, *level, *last)


def _leaf_start(
    n: int, min_freq: float, max_freq: float | None, sample_rate: int, n_fft: int
) -> tuple[np.ndarray, np.ndarray]:
    """The first filters: bins counted of torchaudio's mel bands."""
    for name, value in (("n_fft", n_fft), ("sample_rate", sample_rate)):
        if check_positive_int(name, value, minimum=2) % 2:
            raise ValueError(f"{name} must be even, so that half the rate is a bin, got {value}")
    max_freq = sample_rate / 2 if max_freq is None else max_freq
    names = ("min_freq", "max_freq")
    edges = mel_edges(n, min_freq, max_freq, sample_rate=sample_rate, names=names)
    bank = triangles(edges, np.linspace(0, sample_rate / 2, n_fft // 2 + 1))
    mu, sigma = counted_start(bank, n_fft)
    return apart(mu, n_fft), sigma


def hamming_frames(
    sample_rate: int, n_fft: int, win_length: float, hop_length: float
) -> tuple[STFT, Power]:
    """The power spectrum of speechbrain; lengths in milliseconds."""
    stft = STFT(
        n_fft=n_fft,
        hop_length=_samples("hop_length", hop_length, sample_rate),
        win_length=_samples("win_length", win_length, sample_rate),
        window="hamming",
        pad_mode="constant",
    )
    return stft, Power()


def symmetric_bank(
    n_mels: int,
    filter_shape: str,
    f_min: float,
    f_max: float,
    n_fft: int,
    sample_rate: int,
    *,
    learned: bool,
    limits: tuple[float, float] = (0.0, math.inf),
) -> _Filterbank:
    """Filters around centres on HTK's mel scale, as wide as it is to the centre below.

    ``limits`` are those of the bands at the start, Hz.
    """
    check_choice("filter_shape", filter_shape, tuple(SHAPES))
    n_mels = check_positive_int("n_mels", n_mels)
    for name, value in (("n_fft", n_fft), ("sample_rate", sample_rate)):
        if check_positive_int(name, value, minimum=2) % 2:
            raise ValueError(
                f"{name} must be even, got {name}={value}: speechbrain lays bins evenly from 0 to "
                f"sample_rate // 2, where those of the FFT lie only for even numbers"
            )
    shape, width = SHAPES[filter_shape]
    _, f_min, f_max = check_band_range(sample_rate, f_min, f_max, "htk")
    edges = band_edges(n_mels, f_min=f_min, f_max=f_max, scale="htk")
    bands = (edges[1:-1] - edges[:-2]).clip(*limits)
    return _Filterbank(
        sample_rate=sample_rate,
        n_fft=n_fft,
        n_bands=n_mels,
        f_min=f_min,
        f_max=f_max,
        scale="htk",
        shape=shape,
        norm=None,
        bandwidths=width * bands,  # type: ignore[arg-type]
        layout="gaps" if learned else "fixed",
    )


def _samples(name: str, milliseconds: float, sample_rate: int) -> int:
    """Milliseconds as speechbrain rounds them."""
    samples = round(sample_rate / 1000 * check_number(name, milliseconds, above=0))
    if samples < 1:
        raise ValueError(f"{name} must be at least 1 sample, got {name}={milliseconds:g} ms")
    return samples
