"""Every wrong argument is refused, naming the argument, its value and the rule; also under jit."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspec
from jaxspec import FrontEnd, stages, statistics
from jaxspec.adaptive_windows import adaptive_window

X = np.zeros(1000, np.float32)
FEATURES = np.zeros((2, 30, 8), np.float32)
KEY = jax.random.key(0)
STFT = {"n_fft": 400, "hop_length": 160}
BANK = {"sample_rate": 16000, "n_fft": 400}


def _log_mel(x, **options):
    return jaxspec.log_mel_spectrogram(x, **{"sample_rate": 16000, "n_mels": 20, **STFT, **options})


def _adaptive(**options):
    return stages.AdaptiveSTFT(**{"win_length": 300, **STFT, **options})


def _adaptive_hop(**options):
    return stages.AdaptiveHopSTFT(**{"win_length": 300, "min_hop": 80, **STFT, **options})


def _strf(**options):
    start = {"rates": 0.1, "scales": 0.1, "frame_deviations": 2.0, "band_deviations": 2.0}
    return stages.STRF(**start | options)


def _octaves(**options):
    return stages.OctaveFilters(**{"n_octaves": 4, "filters_per_octave": 2, "taps": 6, **options})


def _padded(**options):
    given = {"lengths": [1000, 7], **options}
    return jaxspec.apply_padded(stages.Scale(factor=2), {}, np.zeros((2, 1000), "f"), **given)


def _running(**options):
    return stages.RunningNormalize(**options)


def _fading(**options):
    return stages.RunningNormalize(**{"memory": "exponential", "smoothing": 0.1, **options})


def _statistics(**options):
    return statistics.feature_statistics(np.ones((2, 5, 3), np.float32), **options)


def _none_of(n_channels):
    return statistics.FeatureStatistics.empty(n_channels)


def _restored(**changes):
    held = {"count": 2, "mean": [2.0], "m2": [2.0], "minimum": [1.0], "maximum": [3.0]} | changes
    held = {name: value for name, value in held.items() if value is not ...}
    return statistics.FeatureStatistics.from_dict(held)


def _spectrum(frames=3, bins=201):
    return jnp.ones((frames, bins), jnp.complex64)


# (error, what its message says, call); every call gets no argument.
CASES = {
    # Signals.
    "int16": (TypeError, "floating point, got x with dtype int16.*pcm_to_float",
              lambda: jaxspec.stft(np.zeros(1000, np.int16), **STFT)),
    "bool": (TypeError, "floating point, got x with dtype bool",
             lambda: _log_mel(np.zeros(1000, bool))),
    "complex": (TypeError, "x must be real, got x with dtype complex64",
                lambda: jaxspec.stft(X + 0j, **STFT)),
    "complex features": (TypeError, "x must be real.*magnitude",
                         lambda: jaxspec.ln(_spectrum())),
    "integer features": (TypeError, "floating point, got x with dtype int32",
                         lambda: jaxspec.pcen(jnp.ones((3, 4), jnp.int32))),
    "real spectrum": (TypeError, "complex", lambda: jaxspec.power(X)),
    "real spectrum to istft": (TypeError, "complex spectrum", lambda: jaxspec.istft(
        jnp.ones((3, 201)), **STFT)),
    "scalar": (ValueError, r"at least 1 dimension \(..., samples\)",
               lambda: jaxspec.stft(np.float32(1), **STFT)),
    "one axis": (ValueError, r"at least 2 dimensions \(..., frames, channels\)",
                 lambda: jaxspec.dct(X)),
    "empty time": (ValueError, r"time axis of x must hold at least 1 position.*\(2, 0\)",
                   lambda: _log_mel(np.zeros((2, 0), np.float32))),
    "empty time to pad": (ValueError, "time axis", lambda: jaxspec.pad(X[:0], before=1, after=1)),
    "no frames to pcen": (ValueError, "time axis", lambda: jaxspec.pcen(jnp.ones((0, 3)))),
    "float PCM": (TypeError, "integer array of PCM", lambda: jaxspec.pcm_to_float(X)),
    "short clip": (ValueError, "1000 samples holds no frame of n_fft=2000.*center=True",
                   lambda: jaxspec.stft(X, n_fft=2000, center=False)),
    "short signal to frame": (ValueError, "1000 samples holds no frame of 2000",
                              lambda: jaxspec.frame(X, frame_length=2000, hop_length=10)),
    # Frames.
    "n_fft 0": (ValueError, "n_fft must be an int >= 1, got n_fft=0",
                lambda: jaxspec.stft(X, n_fft=0)),
    "hop 0": (ValueError, "hop_length must be an int >= 1, got hop_length=0",
              lambda: _log_mel(X, hop_length=0)),
    "hop negative": (ValueError, "hop_length=-3", lambda: jaxspec.frame(
        X, frame_length=10, hop_length=-3)),
    "hop float": (TypeError, "hop_length must be an int, got hop_length=160.0",
                  lambda: _log_mel(X, hop_length=160.0)),
    "win > n_fft": (ValueError, "win_length must be <= n_fft.*win_length=1103 and n_fft=512",
                    lambda: jaxspec.stft(X, n_fft=512, win_length=1103)),
    "pad_mode": (ValueError, "pad_mode must be one of 'reflect', .*got pad_mode='mirror'",
                 lambda: _log_mel(X, pad_mode="mirror")),
    "pad_mode uncentred": (ValueError, "pad_mode has no effect with center=False",
                           lambda: _log_mel(X, center=False, pad_mode="edge")),
    "normalized": (ValueError, "normalized must be one of None, 'frame_length'.*got .*=True",
                   lambda: jaxspec.stft(X, normalized=True, **STFT)),
    "window name": (ValueError, "window='hannn'", lambda: _log_mel(X, window="hannn")),
    "window length": (ValueError, r"win_length values, got a window of shape \(10,\)",
                      lambda: jaxspec.stft(X, window=np.ones(10), **STFT)),
    "JAX window length": (ValueError, r"win_length values, got a window of shape \(10,\)",
                          lambda: jaxspec.stft(X, window=jnp.ones(10), **STFT)),
    "window NaN": (ValueError, "finite", lambda: jaxspec.window(np.full(4, np.nan), 4)),
    "periodic array": (ValueError, "periodic=False has no effect", lambda: jaxspec.stft(
        X, window=np.ones(400), periodic=False, **STFT)),
    "before": (ValueError, "before must be an int >= 0, got before=-1",
               lambda: jaxspec.pad(X, before=-1, after=0)),
    # Inverse.
    "bins": (ValueError, r"bins must equal n_fft // 2 \+ 1, got .*=552 and .*=513",
             lambda: jaxspec.istft(_spectrum(bins=552), n_fft=1024)),
    "NOLA": (ValueError, "NOLA: at hop_length=400 .* add up to 0 at sample 0",
             lambda: jaxspec.istft(_spectrum(), n_fft=400, hop_length=400)),
    "hop > win": (ValueError, "NOLA: at hop_length=500", lambda: jaxspec.istft(
        _spectrum(), n_fft=400, hop_length=500, window="boxcar")),
    "length": (ValueError, "length must be an int >= 1, got length=0",
               lambda: jaxspec.istft(_spectrum(), length=0, **STFT)),
    "no frames": (ValueError, "time axis", lambda: jaxspec.istft(_spectrum(0), **STFT)),
    # Bands.
    "n_mels 0": (ValueError, "n_mels must be an int >= 1, got n_mels=0",
                 lambda: _log_mel(X, n_mels=0)),
    "f_max": (ValueError, "f_max must be <= sample_rate / 2.*f_max=14000 and sample_rate=16000",
              lambda: _log_mel(X, f_max=14000)),
    "f_min negative": (ValueError, "f_min must be >= 0, got f_min=-1",
                       lambda: _log_mel(X, f_min=-1)),
    "f_min > f_max": (ValueError, "f_min must be < f_max, got f_min=5000 and f_max=4000",
                      lambda: _log_mel(X, f_min=5000, f_max=4000)),
    "sample_rate": (ValueError, "sample_rate must be > 0, got sample_rate=0",
                    lambda: _log_mel(X, sample_rate=0)),
    "sample_rate word": (TypeError, "sample_rate must be a real number, got .*'16k'",
                         lambda: _log_mel(X, sample_rate="16k")),
    "sample_rate nan": (ValueError, "sample_rate must be finite",
                        lambda: _log_mel(X, sample_rate=float("nan"))),
    "mel_scale": (ValueError, "mel_scale must be one of 'slaney', 'htk', 'kaldi'; got .*'mel'",
                  lambda: _log_mel(X, mel_scale="mel")),
    "norm": (ValueError, "norm must be one of None, 'slaney', 'peak'; got norm='area'",
             lambda: _log_mel(X, norm="area")),
    "norm number": (ValueError, "norm must be > 0", lambda: _log_mel(X, norm=-1)),
    "norm bool": (TypeError, "norm must be a real number", lambda: _log_mel(X, norm=True)),
    "shape": (ValueError, "shape must be one of 'triangle'", lambda: jaxspec.filterbank(
        n_bands=4, shape="square", **BANK)),
    "domain": (ValueError, "domain must be one of 'hz', 'scale'", lambda: jaxspec.filterbank(
        n_bands=4, domain="mel", **BANK)),
    "gammatone domain": (ValueError, 'domain must be "hz" for shape="gammatone"',
                         lambda: jaxspec.filterbank(
                             n_bands=4, domain="scale", shape="gammatone", **BANK)),
    "octave": (ValueError, "f_min must be > 0 on the octave scale", lambda: jaxspec.filterbank(
        n_bands=4, scale="octave", **BANK)),
    "scale": (ValueError, "scale must be one of 'linear'", lambda: jaxspec.hz_to_scale(
        1.0, scale="mels")),
    "negative Hz": (ValueError, "frequencies must be >= 0", lambda: jaxspec.hz_to_mel([-1.0])),
    "weights": (ValueError, r"weights must have shape \(bins, bands\)",
                lambda: jaxspec.apply_filterbank(jnp.ones((3, 4)), jnp.ones(4))),
    "weights bins": (ValueError, "bins of x must equal that of weights, got .*=4 and .*=5",
                     lambda: jaxspec.apply_filterbank(jnp.ones((3, 4)), jnp.ones((5, 2)))),
    # Compression.
    "power 0": (ValueError, "power must be > 0, got power=0",
                lambda: jaxspec.spectrogram(X, power=0, **STFT)),
    "exponent": (ValueError, "exponent must be > 0, got exponent=-2",
                 lambda: jaxspec.power(_spectrum(), exponent=-2)),
    "amin": (ValueError, "amin must be >= 1.17549e-38, got amin=0", lambda: jaxspec.ln(X, amin=0)),
    "amin of a stage": (ValueError, "amin must be > 0, got amin=0", lambda: _log_mel(X, amin=0)),
    "floor": (ValueError, "floor must be one of 'clamp', 'add'", lambda: _log_mel(X, floor="max")),
    "floor of dB": (ValueError, 'floor must be "clamp" with log="db"',
                    lambda: _log_mel(X, log="db", floor="add")),
    "log": (ValueError, "log must be one of 'ln', 'log10', 'db'", lambda: _log_mel(X, log="log")),
    "top_db": (ValueError, "top_db must be > 0, got top_db=-80",
               lambda: _log_mel(X, log="db", top_db=-80)),
    "top_db of ln": (ValueError, 'top_db must be None with log="ln"',
                     lambda: _log_mel(X, top_db=80)),
    "ref": (ValueError, "ref must be one of 'max'; got ref='min'",
            lambda: jaxspec.power_to_db(X[None], ref="min")),
    "ref 0": (ValueError, "ref must be > 0", lambda: jaxspec.power_to_db(X, ref=0)),
    "root": (ValueError, "exponent must be <= 1", lambda: jaxspec.root(X, exponent=2)),
    "log1p": (ValueError, "scale must be > 0", lambda: jaxspec.log1p(X, scale=0)),
    "gain": (ValueError, "gain must be <= 1, got gain=1.5",
             lambda: jaxspec.pcen(X[:, None], gain=1.5)),
    "smoothing": (ValueError, "smoothing must be > 0", lambda: jaxspec.pcen(
        X[:, None], smoothing=0)),
    "start": (ValueError, "start must be one of 'first'", lambda: jaxspec.pcen(
        X[:, None], start="last")),
    "start and level": (ValueError, "start has no effect with a level", lambda: jaxspec.pcen(
        X[:, None], start="zeros", level=jnp.zeros(1))),
    "taps": (ValueError, "taps must be an int >= 2, got taps=1", lambda: jaxspec.pcen(
        X[:, None], taps=1)),
    "taps and start": (ValueError, 'start must be "first" with taps, got start=\'zeros\'',
                       lambda: stages.PCEN(taps=4, start="zeros")),
    "taps and level": (ValueError, "there is no level with taps", lambda: jaxspec.pcen(
        X[:, None], taps=4, return_level=True)),
    "offset of PCAN": (ValueError, "offset must be > 0, got offset=0",
                       lambda: stages.PCAN(offset=0)),
    "smoothing of PCAN": (ValueError, "smoothing_odd must be <= 1, got smoothing_odd=2",
                          lambda: stages.PCAN(smoothing_odd=2)),
    "n_mels of a preset": (ValueError, "n_mels must be an int >= 1, got n_mels=0",
                           lambda: jaxspec.presets.perch_mel(n_mels=0)),
    "pad_mode of a preset": (ValueError, "pad_mode must be one of 'reflect', 'constant'; got",
                             lambda: jaxspec.presets.musicnn(pad_mode="edge")),
    "time_constant": (ValueError, "time_constant must be > 0",
                      lambda: jaxspec.smoothing_for_time_constant(
                          0, sample_rate=16000, hop_length=160)),
    "coef": (ValueError, "coef must be <= 1, got coef=1.5",
             lambda: jaxspec.preemphasis(X, coef=1.5)),
    "first": (ValueError, "first must be one of 'zero'", lambda: jaxspec.preemphasis(
        X, first="same")),
    "first and previous": (ValueError, "first has no effect with a previous sample",
                           lambda: jaxspec.preemphasis(
                               X, first="replicate", previous=jnp.zeros(()))),
    # Cepstra.
    "n_mfcc": (ValueError, "n_out must be <= the number of channels, got n_out=30 and 20",
               lambda: jaxspec.mfcc(X, n_mels=20, n_mfcc=30, sample_rate=16000, **STFT)),
    "dct_type": (ValueError, "dct_type must be one of 1, 2, 3, 4; got dct_type=5",
                 lambda: jaxspec.dct(X[None], dct_type=5)),
    "dct norm": (ValueError, "norm must be one of 'ortho', None", lambda: jaxspec.dct(
        X[None], norm="forward")),
    "n_out": (ValueError, "n_out must be <= n_in, got n_out=5 and n_in=4",
              lambda: jaxspec.dct(jnp.ones((2, 4)), n_out=5)),
    "lifter": (ValueError, "lifter must be > 0", lambda: jaxspec.lifter(X[None], lifter=0)),
    "lifter form": (ValueError, "form must be one of 'kaldi', 'librosa'",
                    lambda: jaxspec.lifter(X[None], lifter=22, form="htk")),
    "lifter_form": (ValueError, "lifter_form has no effect without lifter",
                    lambda: jaxspec.mfcc(
                        X, n_mels=20, lifter_form="librosa", sample_rate=16000, **STFT)),
    "width even": (ValueError, "width must be odd and > order, got width=4 and order=1",
                   lambda: jaxspec.delta(X[:, None], width=4)),
    "width order": (ValueError, "width=3 and order=3",
                    lambda: jaxspec.delta(X[:, None], width=3, order=3)),
    "width frames": (ValueError, "width must be <= the number of frames.*width=9 and 5 frames",
                     lambda: jaxspec.delta(X[:5, None], edge="interp")),
    "edge": (ValueError, "edge must be one of 'edge', 'interp'", lambda: jaxspec.delta(
        X[:, None], edge="wrap")),
    # Stages and front-ends.
    "no stages": (ValueError, "at least one stage", lambda: FrontEnd()),
    "not a stage": (TypeError, "made of stages, got 'mel'", lambda: FrontEnd("mel")),
    "order": (ValueError, r"stage 1 \(STFT\) takes waveform, but Ln gives features",
              lambda: FrontEnd(stages.Ln(), stages.STFT(**STFT))),
    "bins of a bank": (ValueError, r"stage 2 \(Filterbank\) does not fit: .*=201 .*=257",
                       lambda: FrontEnd(stages.STFT(**STFT), stages.Power(), stages.Filterbank(
                           sample_rate=16000, n_fft=512, n_bands=20))),
    "n_fft of a bank": (ValueError, "all stages must state the same n_fft, got .*400.*401",
                        lambda: FrontEnd(stages.STFT(**STFT), stages.Power(), stages.Filterbank(
                            sample_rate=16000, n_fft=401, n_bands=20))),
    "bands": (ValueError, "number of bands must equal n_bands, got .*=20 and n_bands=10",
              lambda: FrontEnd(stages.Filterbank(n_bands=20, **BANK), stages.PCEN(
                  learn="all", n_bands=10))),
    "unknown stage": (ValueError, "stage must be one of .*got stage='Mel'",
                      lambda: jaxspec.stage_from_dict({"stage": "Mel"})),
    "no stage": (ValueError, "stage must be one of .*got stage=None",
                 lambda: jaxspec.stage_from_dict({})),
    "unknown field": (ValueError, "fields of Ln are amin, floor; got eps",
                      lambda: jaxspec.stage_from_dict({"stage": "Ln", "eps": 1})),
    "other class": (ValueError, "must be of a FrontEnd, got one of a Ln",
                    lambda: FrontEnd.from_dict({"stage": "Ln"})),
    "name": (ValueError, "name must be one of 'stft'; got name='mel'",
             lambda: FrontEnd(stages.STFT(**STFT)).replace("mel", n_bands=3)),
    "layout": (ValueError, "layout must be one of 'fixed', 'scale', 'warp', 'gaps', 'free'",
               lambda: stages.Filterbank(n_bands=4, layout="warp-speed", **BANK)),
    "learn": (ValueError, "learn must be 'all' or name parameters among .*'gaps', 'widths'",
              lambda: stages.Filterbank(n_bands=4, layout="gaps", learn="centers", **BANK)),
    "learn fixed": (ValueError, 'learn has no effect with layout="fixed"',
                    lambda: stages.Filterbank(n_bands=4, learn=(), **BANK)),
    "rectangle": (ValueError, 'shape must not be "rectangle" with layout="gaps"',
                  lambda: stages.Filterbank(n_bands=4, shape="rectangle", layout="gaps", **BANK)),
    "sampling": (ValueError, "sampling must be one of 'point', 'area'; got sampling='mean'",
                 lambda: jaxspec.filterbank(n_bands=4, sampling="mean", **BANK)),
    "exponent 1": (ValueError, "exponent must be > 1, got exponent=1", lambda: jaxspec.filterbank(
        n_bands=4, shape="generalized_gaussian", exponent=1, **BANK)),
    "exponent of a triangle": (ValueError, "exponent is that of .* no effect on shape='triangle'",
                               lambda: jaxspec.filterbank(n_bands=4, exponent=3, **BANK)),
    "learn exponents": (ValueError, "learn must be .* got learn='exponents'",
                        lambda: stages.Filterbank(
                            n_bands=4, layout="gaps", learn="exponents", **BANK)),
    "n_knots": (ValueError, 'n_knots has no effect but with layout="warp", got n_knots=4',
                lambda: stages.Filterbank(n_bands=4, n_knots=4, **BANK)),
    "n_knots 0": (ValueError, "n_knots must be an int >= 1", lambda: stages.Filterbank(
        n_bands=4, layout="warp", n_knots=0, **BANK)),
    "points shape": (ValueError, r"points must have shape \(n_bands \+ 2,\) = \(6,\), got \(4,\)",
                     lambda: stages.Filterbank(n_bands=4, points=[1, 2, 3, 4], **BANK)),
    "points order": (ValueError, "points must increase, got", lambda: stages.Filterbank(
        n_bands=1, points=[1, 3, 3], **BANK)),
    "points and f_min": (ValueError, "f_min has no effect on points of your own, .*f_min=2",
                         lambda: stages.Filterbank(n_bands=1, points=[1, 2, 3], f_min=2, **BANK)),
    "points above": (ValueError, "f_max must be <= sample_rate / 2", lambda: stages.Filterbank(
        n_bands=1, points=[1, 2, 8001], **BANK)),
    "points and scale": (ValueError, "scale has no effect on points of your own",
                         lambda: stages.Filterbank(
                             n_bands=1, points=[1, 200, 300], scale="htk", **BANK)),
    "bandwidths shape": (ValueError, r"bandwidths must have shape .* \(4,\), got \(2,\)",
                         lambda: stages.Filterbank(n_bands=4, bandwidths=[1, 2], **BANK)),
    "bandwidths 0": (ValueError, "bandwidths must be > 0, got 0", lambda: stages.Filterbank(
        n_bands=2, bandwidths=[1, 0], **BANK)),
    "bandwidths over the scale": (ValueError, "bandwidths are in Hz", lambda: stages.Filterbank(
        n_bands=2, bandwidths=[100, 100], domain="scale", **BANK)),
    "limits alone": (ValueError, 'limits has no effect unless learn names "range"',
               lambda: stages.Filterbank(n_bands=4, layout="gaps", limits=(0, 8000), **BANK)),
    "limits of one": (ValueError, r"limits must be \(low, high\) in Hz, got limits=\(3,\)",
                      lambda: stages.Filterbank(
                          n_bands=4, layout="gaps", learn="range", limits=(3,), **BANK)),
    "limits at the start": (ValueError, r"f_min and f_max must lie strictly inside the limits",
                            lambda: stages.Filterbank(
                                n_bands=4, layout="gaps", learn="range", **BANK)),
    "limits above": (ValueError, r"limits\[1\] must be <= 8000", lambda: stages.Filterbank(
        n_bands=4, layout="gaps", learn="range", f_min=50, f_max=7000, limits=(0, 9000), **BANK)),
    "limits in octaves": (ValueError, r"limits\[0\] must be > 0 on the octave scale",
                          lambda: stages.Filterbank(
                              n_bands=4, layout="gaps", learn="range", f_min=50, f_max=7000,
                              scale="octave", limits=(0, 8000), **BANK)),
    "strf even": (ValueError, "frames_seen must be odd, so that there is a middle, got "
                  "frames_seen=20", lambda: _strf(frames_seen=20)),
    "strf one band": (ValueError, "bands_seen must be an int >= 2, got bands_seen=1",
                      lambda: _strf(bands_seen=1)),
    "strf parts": (ValueError, "parts must be one of 'real', 'imag', 'both', 'magnitude'",
                   lambda: _strf(parts="abs")),
    "strf form": (ValueError, "form must be one of 'exact', 'published'; got form='paper'",
                  lambda: _strf(form="paper")),
    "strf rate": (ValueError, "rates must be <= 0.5, got rates=0.6", lambda: _strf(rates=0.6)),
    "strf rate at the end": (ValueError, "rates must lie strictly between -0.5 and 0.5 to be "
                             "learned, got rates=-0.5", lambda: _strf(rates=[-0.5, 0.1])),
    "strf narrow": (ValueError, r"band_deviations must be >= 0.1, .*=0.05 \(to be learned\)",
                    lambda: _strf(band_deviations=0.05)),
    "strf negative": (ValueError, "frame_deviations must be >= 0.01, got frame_deviations=-2",
                      lambda: _strf(frame_deviations=-2, learn="rates")),
    "strf lengths": (ValueError, "must be numbers or hold one for every filter, got rates 2, "
                     "scales 3", lambda: _strf(rates=[0.1, 0.2], scales=[0.1, 0.2, 0.3])),
    "strf learn": (ValueError, "learn must be 'all' or name parameters among .*learn='gamma'",
                   lambda: _strf(learn="gamma")),
    "random modulations": (ValueError, "n_filters must be an int >= 1, got n_filters=0",
                           lambda: jaxspec.random_modulations(jax.random.key(0), 0)),
    "random range": (ValueError, "f_min must be < f_max", lambda: jaxspec.random_edges(
        jax.random.key(0), 4, f_min=100, f_max=50)),
    "matrix sampling": (ValueError, "sampling has no effect on a matrix of your own",
                        lambda: stages.Filterbank(
                            n_bands=4, sampling="area", matrix=np.ones((201, 4)), **BANK)),
    "matrix shape": (ValueError, r"matrix must have shape .* \(201, 4\), got \(3, 4\)",
                     lambda: stages.Filterbank(n_bands=4, matrix=np.ones((3, 4)), **BANK)),
    "range at the limit": (ValueError, "f_max must lie strictly inside the limits",
                           lambda: stages.Filterbank(
                               n_bands=4, layout="gaps", learn=("gaps", "range"), f_min=50.0,
                               scale="htk", **BANK)),
    "matrix negative": (ValueError, "matrix must not be negative, got -1 with layout='fixed'",
                        lambda: stages.Filterbank(n_bands=4, matrix=-np.ones((201, 4)), **BANK)),
    "matrix gaps": (ValueError, "layout must be .* with a matrix",
                    lambda: stages.Filterbank(
                        n_bands=4, layout="gaps", matrix=np.ones((201, 4)), **BANK)),
    "matrix scale": (ValueError, "scale has no effect on a matrix of your own",
                     lambda: stages.Filterbank(
                         n_bands=4, scale="htk", matrix=np.ones((201, 4)), **BANK)),
    "edges of a matrix": (ValueError, "no edges", lambda: stages.Filterbank(
        n_bands=4, matrix=np.ones((201, 4)), **BANK).edges({})),
    "n_bands of pcen": (ValueError, "n_bands is the number of learned parameters",
                        lambda: stages.PCEN(n_bands=4)),
    "gain of 1 learned": (ValueError, "gain must lie strictly between 0 and 1 to be learned",
                          lambda: stages.PCEN(gain=1, learn="gain")),
    "one smoother": (ValueError, "mix must hold at least 2 different coefficients",
                     lambda: jaxspec.pcen(X[:, None], mix=(0.1, 0.1))),
    "mixed smoother": (ValueError, "mix must be <= 1, got mix=2",
                       lambda: stages.PCEN(mix=(0.1, 2))),
    "mix and smoothing": (ValueError, "smoothing has no effect with mix, got smoothing=0.1",
                          lambda: stages.PCEN(mix=(0.1, 0.2), smoothing=0.1)),
    "weights without mix": (ValueError, "mix_weights has no effect without mix",
                            lambda: jaxspec.pcen(X[:, None], mix_weights=jnp.ones(2))),
    "weights of PCEN without mix": (ValueError, "mix_weights has no effect without mix",
                                    lambda: stages.PCEN(mix_weights=(0.5, 0.5))),
    "shape of weights": (ValueError, r"mix_weights must have .*\(2,\) or \(1, 2\), got .*\(3,\)",
                         lambda: jaxspec.pcen(X[:, None], mix=(0.1, 0.2), mix_weights=jnp.ones(3))),
    "shape of weights of PCEN": (ValueError, r"mix_weights must have .* with n=2, got .*\(3,\)",
                                 lambda: stages.PCEN(mix=(0.1, 0.2), mix_weights=(0.2, 0.3, 0.5))),
    "sum of weights": (ValueError, "mix_weights must add up to 1",
                       lambda: stages.PCEN(mix=(0.1, 0.2), mix_weights=(0.5, 0.4))),
    "negative weights": (ValueError, "mix_weights must not be negative",
                         lambda: stages.PCEN(mix=(0.1, 0.2), mix_weights=(1.5, -0.5))),
    "learned weight of 0": (ValueError, "nor 0 to be learned, got 0", lambda: stages.PCEN(
        mix=(0.1, 0.2), mix_weights=(1, 0), learn="mix")),
    "bands of weights": (ValueError, "number of bands must equal that of mix_weights, got 3 and 2",
                         lambda: stages.PCEN(
                             mix=(0.1, 0.2), mix_weights=np.full((2, 2), 0.5))(jnp.ones((4, 3)))),
    "time_constant alone": (ValueError, "hop_length and sample_rate must be given",
                            lambda: stages.PCEN(time_constant=0.4)),
    "time_constant 0": (ValueError, "time_constant must be > 0", lambda: stages.PCEN(
        time_constant=0, hop_length=160, sample_rate=16000)),
    "hop without time_constant": (ValueError, "hop_length has no effect without time_constant",
                                  lambda: stages.PCEN(hop_length=160)),
    "rate without time_constant": (ValueError, "sample_rate has no effect without time_constant",
                                   lambda: stages.PCEN(sample_rate=16000)),
    "hop of time_constant": (ValueError, r"stage 2 \(PCEN\).*hop_length=100 and frames 160 samples",
                             lambda: FrontEnd(
                                 stages.STFT(**STFT), stages.Power(), stages.PCEN(
                                     time_constant=0.4, hop_length=100, sample_rate=16000))),
    "smoothing and time_constant": (ValueError, "smoothing has no effect with time_constant",
                                    lambda: stages.PCEN(smoothing=0.1, time_constant=0.1)),
    "mix and time_constant": (ValueError, "mix has no effect with time_constant",
                              lambda: stages.PCEN(mix=(0.1, 0.2), time_constant=0.1)),
    "learn smoothing of mix": (ValueError, "learn must be 'all' or name parameters among .*'mix'",
                               lambda: stages.PCEN(mix=(0.1, 0.2), learn="smoothing")),
    "bias of a band": (ValueError, "bias must be > 0 in every band, got 0",
                       lambda: stages.PCEN(bias=[2, 0])),
    "shape of an offset": (ValueError, r"offset must be a number or have shape \(channels,\)",
                           lambda: stages.LogOffset(offset=np.ones((2, 2)))),
    "offset of a band": (ValueError, "offset must be > 0, got offset=0",
                         lambda: stages.LogOffset(offset=[1, 0])),
    "bands of an offset": (ValueError, "offset must be .* 1 for each band, got 2 values and 3",
                           lambda: stages.LogOffset(offset=[1, 2])(jnp.ones((4, 3)))),
    "bands of two quantities": (ValueError, "power must be .* got 3 values and 2 bands",
                                lambda: stages.DynamicRange(offset=[1, 2], power=[1, 1, 1])),
    "n_bands of Root": (ValueError, "number of bands must equal n_bands, got .*=3 .*=4.*Root",
                        lambda: stages.Root(learn="all", n_bands=4).channels(3)),
    "n_bands without learn": (ValueError, "no effect without learn, got n_bands=4",
                              lambda: stages.LogOffset(n_bands=4)),
    "exponent of 1 learned": (ValueError, "exponent must lie strictly between 0.01 and 1",
                              lambda: stages.Root(exponent=1, learn="all")),
    "offset of log_offset": (ValueError, "offset must be >= 1.17549e-38, got offset=0",
                             lambda: jaxspec.log_offset(X, offset=0)),
    "exponent of a blend": (ValueError, "exponent must be <= 1, got exponent=2",
                            lambda: jaxspec.log_power_blend(X, exponent=2)),
    "power of dynamic_range": (ValueError, "power must be > 0, got power=0",
                               lambda: jaxspec.dynamic_range(X, power=0)),
    "over_time": (ValueError, "over_time must be one of 'none', 'median', 'append', 'normalize'",
                  lambda: jaxspec.log_tbn(X[:, None], over_time="mean")),
    "eps of a median": (ValueError, "eps has no effect but with over_time=\"normalize\"",
                        lambda: stages.LogTBN(over_time="median", eps=1e-3)),
    "no frames to log_tbn": (ValueError, "time axis", lambda: jaxspec.log_tbn(jnp.ones((0, 3)))),
    "log10_scale": (ValueError, "log10_scale must be <= 20", lambda: stages.LogTBN(log10_scale=99)),
    "learned scale": (ValueError, "scale must lie strictly between 0 and inf to be learned",
                      lambda: stages.LogTBN(scale=-1, learn="scale")),
    "librosa's first sample": (ValueError, "first must be one of 'zero', 'replicate'",
                               lambda: stages.PreEmphasis(first="librosa")),
    "table NaN": (ValueError, "finite values", lambda: jaxspec.Table([np.nan])),
    "table complex": (TypeError, "real", lambda: jaxspec.Table([1j])),
    "preset": (ValueError, "name must be one of the .*names.., got name='mel'.*did you mean",
               lambda: jaxspec.presets.get("mel")),
    "split": (ValueError, "'c' names no parameter; there are a/b",
              lambda: jaxspec.split({"a": {"b": 1}}, ("c",))),
    "reach": (ValueError, "stride must be an int >= 1", lambda: jaxspec.Reach(stride=0)),
    "start share": (ValueError, "strictly between 0 and 1", lambda: jaxspec.parametrize.interval(
        jnp.zeros(1), start=1.0, low=0, high=1)),
    "JSON text": (TypeError, "description must be a dictionary.*json.loads.*got a str",
                  lambda: jaxspec.stage_from_dict('{"stage": "Ln"}')),
    "no lengths": (ValueError, "lengths must hold at least one length, got none",
                   lambda: jaxspec.length_buckets([])),
    "length 0": (ValueError, "each of lengths must be an int >= 1, got each of lengths=0",
                 lambda: jaxspec.length_buckets([3, 0])),
    "no buckets": (ValueError, "n_buckets must be an int >= 1, got n_buckets=0",
                   lambda: jaxspec.length_buckets([3], n_buckets=0)),
    "buckets too short": (ValueError, r"longer than the longest of buckets=\(10, 999\)",
                          lambda: jaxspec.apply_bucketed(
                              jaxspec.presets.get("log_mel"), {}, X, buckets=[10, 999])),
    "bucket of features": (ValueError, "from waveforms to frames, got a Ln from features",
                           lambda: jaxspec.apply_bucketed(stages.Ln(), {}, np.ones((3, 4)))),
    "padded with what": (TypeError, "stage must be a stage or a FrontEnd, got a dict",
                         lambda: jaxspec.apply_padded({}, {}, X, lengths=3)),
    "padded lengths": (ValueError, "lengths must be >= 0 and <= 1000 .*got lengths=1001",
                       lambda: _padded(lengths=[3, 1001])),
    "padded fill": (ValueError, "fill must be finite, got fill=nan",
             lambda: _padded(fill=float("nan"))),
    "padded valid": (ValueError, "valid must be one of 'own', 'any', 'all', 'center'",
                     lambda: _padded(valid="both")),
    "bucket of integers": (TypeError, "x with dtype int16", lambda: jaxspec.apply_bucketed(
        jaxspec.presets.get("log_mel"), {}, np.zeros(1000, np.int16))),
    "bucket of nothing": (ValueError, "time axis", lambda: jaxspec.apply_bucketed(
        jaxspec.presets.get("log_mel"), {}, X[:0])),
    "method": (ValueError, "method must be one of 'auto', 'fft', 'matmul'.*got method='dft'",
               lambda: jaxspec.stft(X, method="dft", **STFT)),
    "precision": (ValueError, "precision must be one of 'highest', 'high', 'default'",
                  lambda: stages.STFT(method="matmul", precision="low", **STFT)),
    "precision of an FFT": (ValueError, 'an effect only with method="matmul"',
                            lambda: jaxspec.istft(_spectrum(), precision="high", **STFT)),
    "tile_frames": (ValueError, "tile_frames must be an int >= 1, got tile_frames=0",
                    lambda: FrontEnd(stages.STFT(**STFT), tile_frames=0)),
    "pieces of a front-end": (NotImplementedError, "evaluated as a whole",
                              lambda: jaxspec.presets.get("log_mel").extend(X)),
    # Small stages.
    "factor": (ValueError, "factor must not be 0, got factor=0", lambda: stages.Scale(factor=0)),
    "pad of a stage": (ValueError, "pad_mode must be one of .*got pad_mode='mirror'",
                       lambda: stages.Pad(before=1, pad_mode="mirror")),
    "no pad": (ValueError, r"before \+ after must be >= 1", lambda: stages.Pad()),
    "no trim": (ValueError, r"before \+ after must be >= 1", lambda: stages.Trim()),
    "trim": (ValueError, "after must be an int >= 0, got after=-1", lambda: stages.Trim(after=-1)),
    "multiple": (ValueError, "multiple must be an int >= 2, got multiple=1",
                 lambda: stages.PadToMultiple(multiple=1)),
    "remainder": (ValueError, "remainder must be < multiple, got remainder=4 and multiple=4",
                  lambda: stages.PadAt(multiple=4, remainder=4, after=1)),
    "n_samples": (ValueError, "n_samples must be an int >= 1", lambda: stages.FitLength(
        n_samples=0)),
    "repeat": (ValueError, "n_samples must be an int >= 2", lambda: stages.Repeat(n_samples=1)),
    "range eps": (ValueError, "eps must be > 0", lambda: stages.ScaleToRange(eps=0)),
    "masked": (ValueError, "frontend must lead from waveform to features.*reach 'clip'",
               lambda: stages.MaskPadding(frontend=FrontEnd(
                   stages.STFT(n_fft=4), stages.Power(), stages.Normalize()), multiple=2)),
    "masked parameters": (ValueError, "frontend must be fixed", lambda: stages.MaskPadding(
        frontend=FrontEnd(stages.STFT(**STFT), stages.Power(), stages.Filterbank(
            n_bands=4, layout="gaps", **BANK)), multiple=2)),
    "masked nothing": (TypeError, "frontend must be a stage, got 3",
                       lambda: stages.MaskPadding(frontend=3, multiple=2)),
    "edges": (ValueError, "edges must be one of 'whole', 'zeros', 'mirror', 'same'",
              lambda: stages.Frame(frame_length=4, hop_length=2, edges="reflect")),
    "lookahead": (ValueError, 'lookahead has an effect only with edges="whole", got lookahead=1',
                  lambda: stages.Frame(frame_length=4, hop_length=2, edges="zeros", lookahead=1)),
    "short": (ValueError, "short must be one of 'error', 'empty'",
              lambda: stages.Frame(frame_length=4, hop_length=2, short="none")),
    "short edges": (ValueError, 'short has an effect only with edges="whole"',
                    lambda: stages.Frame(
                        frame_length=4, hop_length=2, edges="mirror", short="empty")),
    "no frame": (ValueError, "1000 samples holds no frame of 2000 samples and 3 more",
                 lambda: stages.Frame(frame_length=2000, hop_length=9, lookahead=3)(X)),
    "coef of frames": (ValueError, "coef must be > 0", lambda: stages.FramePreEmphasis(coef=0)),
    "first of frames": (ValueError, "first must be one of 'replicate', 'drop'",
                        lambda: stages.FramePreEmphasis(first="zero")),
    "frames of one sample": (ValueError, "'replicate'|\"replicate\" for frames of 1 sample",
                             lambda: stages.FramePreEmphasis(first="drop")(jnp.ones((3, 1)))),
    "window of frames": (ValueError, "in a frame must equal win_length, got .*=400 and .*=9",
                         lambda: FrontEnd(stages.Frame(frame_length=400, hop_length=160),
                                          stages.Window(win_length=9))),
    "fft of frames": (ValueError, "n_fft must be >= the number of samples.*n_fft=256 and 400",
                      lambda: FrontEnd(stages.Frame(frame_length=400, hop_length=160),
                                       stages.RFFT(n_fft=256))),
    "frames are no features": (ValueError, r"stage 1 \(Ln\) takes features, but Frame gives frames",
                               lambda: FrontEnd(stages.Frame(frame_length=4, hop_length=2),
                                                stages.Ln())),
    "no branches": (ValueError, "branches must be stages", lambda: stages.Beside(branches=())),
    "branches": (ValueError, "branches must lead alike to features",
                 lambda: stages.Beside(branches=(stages.Ln(), stages.Power()))),
    "branches of other hops": (ValueError, "branches must give frames equally far apart",
                               lambda: stages.Beside(branches=[
                                   FrontEnd(stages.STFT(n_fft=64, hop_length=hop), stages.Power())
                                   for hop in (16, 20)])),
    "branches of other times": (ValueError, "branches must give frames with their middles at",
                                lambda: stages.Beside(branches=[
                                    FrontEnd(stages.STFT(n_fft=64, center=c), stages.Power())
                                    for c in (True, False)])),
    "branches of other rates": (ValueError, "branches must state the same sample_rate",
                                lambda: stages.Beside(branches=[
                                    stages.Filterbank(sample_rate=rate, n_fft=64, n_bands=4)
                                    for rate in (8000, 16000)])),
    "branches of other lengths": (ValueError, "branches must give equally many frames",
                                  lambda: stages.Beside(branches=[
                                      stages.Deltas(), stages.DropFrames(last=1)])(
                                          jnp.ones((9, 2)))),
    "pool offset": (ValueError, "offset must be an int >= 2",
                    lambda: stages.MaxPool(size=5, edges="whole", offset=1)),
    "pool edges": (ValueError, "edges must be one of 'shorter', 'whole'",
                   lambda: stages.MaxPool(size=5, edges="zeros")),
    "pool weights": (ValueError, r"weights must have shape \(size,\) or \(size, channels\)",
                     lambda: stages.FreePool(size=5, weights=np.ones(4))),
    "pool bands": (ValueError, "n_bands must be that of weights",
                   lambda: stages.FreePool(size=5, weights=np.ones((5, 2)), n_bands=3)),
    "pool channels": (ValueError, "the number of channels must be n_bands",
                      lambda: stages.FreePool(size=5, n_bands=3, learn="all").apply(
                          {"weights": jnp.zeros((5, 3))}, jnp.ones((9, 2)))),
    "pool bands of fixed": (ValueError, "n_bands has no effect on fixed weights",
                            lambda: stages.FreePool(size=5, n_bands=3, learn=())),
    "decimate": (ValueError, "stride must be", lambda: stages.Decimate(stride=0)),
    "smoothing stage": (ValueError, "smoothing must be > 0",
                        lambda: stages.ExponentialSmoothing(smoothing=0)),
    "free start": (ValueError, "the start must be given for real and imag",
                   lambda: stages.FreeFilters(n_bands=2, taps=3, real=np.ones((3, 2)))),
    "free shape": (ValueError, r"real must have shape \(taps, n_bands\) = \(3, 2\)",
                   lambda: stages.FreeFilters(n_bands=2, taps=3, partner="none",
                                              real=np.ones((2, 2)))),
    "free and fixed": (ValueError, "filters without a start must all be learned",
                       lambda: stages.FreeFilters(n_bands=2, taps=3, learn="real")),
    "partner": (ValueError, "partner must be one of",
                lambda: stages.FreeFilters(n_bands=2, taps=3, partner="sine")),
    "kernels of nothing": (ValueError, "filters must be a stage that has kernels",
                           lambda: stages.FreeFilters.like(stages.Power())),
    "free without params": (ValueError, "params must hold 'imag'",
                            lambda: stages.FreeFilters(n_bands=2, taps=3).kernels(
                                {"real": jnp.ones((3, 2))})),
    "gammatone norm": (ValueError, 'norm must be "energy" with phases',
                       lambda: stages.Gammatone(sample_rate=8000, n_bands=4, taps=9, phases=2)),
    "gammatone phases": (ValueError, "phases must be a number or one for each of n_bands=4",
                         lambda: stages.Gammatone(sample_rate=8000, n_bands=4, taps=9,
                                                  phases=(2, 2), norm="energy")),
    "no phases": (ValueError, "phases must not all be 0",
                  lambda: stages.Gammatone(sample_rate=8000, n_bands=4, taps=9, phases=0,
                                           norm="energy")),
    "gammatone order": (ValueError, "order must be",
                        lambda: stages.Gammatone(sample_rate=8000, n_bands=4, taps=9, order=0)),
    "log energy": (ValueError, "amin must be > 0", lambda: stages.LogEnergy(amin=0)),
    "parts": (ValueError, "parts must be one of 'both', 'real'",
              lambda: stages.RealParts(parts="imag")),
    "n_bins": (ValueError, "n_bins must be <= the number of bins, got n_bins=300 and 201",
               lambda: stages.RealParts(n_bins=300)(_spectrum())),
    "affine": (ValueError, r"scale must be a number or have shape \(channels,\)",
               lambda: stages.Affine(scale=np.ones((2, 2)))),
    "affine channels": (ValueError, "number of channels must equal that of offset, got .*=3",
                        lambda: stages.Affine(offset=[1, 2])(jnp.ones((4, 3)))),
    "no limit": (ValueError, "low or high must be a number", lambda: stages.Clip()),
    "limits": (ValueError, "low must be < high, got low=2 and high=1",
               lambda: stages.Clip(low=2, high=1)),
    "span": (ValueError, "span must be > 0", lambda: stages.FloorFromMax(span=0)),
    "span of zeros": (ValueError, "span must be > 0", lambda: stages.LnFromMin(
        span=-1, silent=0)),
    "over": (ValueError, "over must be one of 'time', 'clip'",
             lambda: stages.Normalize(over="batch")),
    "ddof": (ValueError, "ddof must be one of 0, 1", lambda: stages.Normalize(ddof=2)),
    "ddof of a mean": (ValueError, "have no effect with deviation=False",
                       lambda: stages.Normalize(deviation=False, ddof=1)),
    "eps_in": (ValueError, "eps_in must be one of 'deviation', 'variance'",
               lambda: stages.Normalize(eps_in="std")),
    "memory": (ValueError, "memory must be one of 'all', 'exponential'; got memory='window'",
               lambda: _running(memory="window")),
    "running over": (ValueError, "over must be one of 'time', 'clip'",
                     lambda: _running(over="batch")),
    "running ddof": (ValueError, "ddof must be one of 0, 1", lambda: _running(ddof=2)),
    "running eps": (ValueError, "eps must be >= 0, got eps=-1", lambda: _running(eps=-1)),
    "running eps_in": (ValueError, "eps_in must be one of 'deviation', 'variance'",
                       lambda: _running(eps_in="std")),
    "ddof of a running mean": (ValueError, "have no effect with deviation=False, got ddof=1",
                               lambda: _running(deviation=False, ddof=1)),
    "smoothing of all": (ValueError, 'smoothing has no effect with memory="all", got smoothing=0.1',
                         lambda: _running(smoothing=0.1)),
    "rate of all": (ValueError, 'sample_rate has no effect with memory="all"',
                    lambda: _running(sample_rate=16000)),
    "ddof of a fading memory": (ValueError, 'ddof has no effect with memory="exponential"',
                                lambda: _fading(ddof=1)),
    "fading by nothing": (ValueError, "smoothing or time_constant must be given",
                          lambda: _running(memory="exponential")),
    "fading twice": (ValueError, "and not both, got smoothing=0.1 and time_constant=2",
                     lambda: _fading(time_constant=2)),
    "smoothing of 1": (ValueError, "smoothing must be < 1, got smoothing=1",
                       lambda: _fading(smoothing=1)),
    "hop of smoothing": (ValueError, "hop_length has no effect without time_constant, got .*=160",
                         lambda: _fading(hop_length=160)),
    "running time_constant alone": (ValueError, "hop_length and sample_rate must be given",
                                    lambda: _fading(smoothing=None, time_constant=2)),
    "running time_constant": (ValueError, "time_constant must be > 0, got time_constant=0",
                              lambda: _fading(smoothing=None, time_constant=0, hop_length=160,
                                              sample_rate=16000)),
    "running hop": (ValueError, r"stage 2 \(RunningNormalize\).*hop_length=100 and frames 160",
                    lambda: FrontEnd(stages.STFT(**STFT), stages.Power(), _fading(
                        smoothing=None, time_constant=2, hop_length=100, sample_rate=16000))),
    "weight without mean": (ValueError, "weight has no effect without mean, got weight=3",
                            lambda: _running(weight=3)),
    "deviation without mean": (ValueError, "deviation_start has no effect without mean",
                               lambda: _running(deviation_start=3)),
    "mean without weight": (ValueError, "weight must be given with mean, got weight=None",
                            lambda: _running(mean=3, deviation_start=1)),
    "mean without deviation": (ValueError, "deviation_start must be given with mean, or",
                               lambda: _running(mean=3, weight=1)),
    "deviation of a mean": (ValueError, "deviation_start has no effect with deviation=False",
                            lambda: _running(
                                mean=3, weight=1, deviation_start=1, deviation=False)),
    "weight of a start": (ValueError, "weight must be > 1, got weight=1",
                          lambda: _running(mean=3, weight=1, deviation_start=1, ddof=1)),
    "deviation of a start": (ValueError, "deviation_start must be >= 0, got deviation_start=-1",
                             lambda: _running(mean=3, weight=1, deviation_start=-1)),
    "means of a start": (ValueError, r'mean must be a number with over="clip", got .*\(2,\)',
                         lambda: _running(mean=[1, 2], weight=1, deviation_start=1, over="clip")),
    "channels of a start": (ValueError, "number of channels must equal that of mean, got 3 and 2",
                            lambda: _running(
                                mean=[1, 2], weight=1, deviation_start=1)(jnp.ones((4, 3)))),
    "two starts": (ValueError, "number of channels must equal that of deviation_start, got 2 and 3",
                   lambda: _running(mean=[1, 2], weight=1, deviation_start=[1, 2, 3])),
    "lengths of statistics": (ValueError, "lengths must be >= 0 and <= 5 .*got lengths=6",
                              lambda: _statistics(lengths=[1, 6])),
    "statistics of a waveform": (ValueError, "x must have at least 2 dimensions",
                                 lambda: statistics.feature_statistics(X)),
    "statistics of integers": (TypeError, "floating point, got x with dtype int",
                               lambda: statistics.feature_statistics(np.ones((3, 4), int))),
    "merged channels": (ValueError, "must be of the same number of channels, got 4 and 3",
                        lambda: _none_of(4).merge(_none_of(3))),
    "merged with an array": (TypeError, "b must be FeatureStatistics, got a ndarray",
                             lambda: _none_of(4).merge(np.ones(4))),
    "channels of nothing": (ValueError, "n_channels must be an int >= 1, got n_channels=0",
                            lambda: _none_of(0)),
    "variance of nothing": (ValueError, "must be of at least 1 frame, got count=0",
                            lambda: _none_of(4).variance()),
    "stage of nothing": (ValueError, "must be of at least 1 frame", lambda: _none_of(4).stage()),
    "ddof of statistics": (ValueError, "ddof must be one of 0, 1",
                           lambda: _none_of(4).deviation(ddof=2)),
    "eps of statistics": (ValueError, "eps must be >= 0, got eps=-1",
                          lambda: _none_of(4).stage(eps=-1)),
    "eps_in of statistics": (ValueError, "eps_in must be one of",
                             lambda: _none_of(4).stage(eps_in="std")),
    "statistics of text": (TypeError, "description must be a dictionary as to_dict makes it",
                           lambda: statistics.FeatureStatistics.from_dict("{}")),
    "statistics without m2": (ValueError, "must hold count, mean, m2, minimum, maximum; got",
                              lambda: _restored(m2=...)),
    "restored count": (ValueError, "count must be an int >= 0, got count=-1",
                       lambda: _restored(count=-1)),
    "restored channels": (ValueError, r"of one shape \(channels,\), got mean \(1,\), m2 \(2,",
                          lambda: _restored(m2=[1, 2])),
    "restored squares": (ValueError, "m2 of description must not be negative, got -1",
                         lambda: _restored(m2=[-1])),
    "value of zeros": (ValueError, "value must be > 0", lambda: stages.Replace(value=0)),
    "amin of a root": (ValueError, "amin must be > 0", lambda: stages.Sqrt(amin=0)),
    "floor of a root": (ValueError, "floor must be one of 'clamp', 'add'",
                        lambda: stages.Sqrt(amin=1, floor="max")),
    "no channels": (ValueError, "start, stop or step must choose", lambda: stages.Channels()),
    "step": (ValueError, "step must not be 0", lambda: stages.Channels(step=0)),
    "all channels": (ValueError, "must leave at least 1 of 4 channels",
                     lambda: stages.Channels(start=4)(jnp.ones((3, 4)))),
    "stack": (ValueError, "n must be an int >= 2, got n=1", lambda: stages.Stack(n=1)),
    "rest": (ValueError, "rest must be one of 'drop', 'pad'",
             lambda: stages.Stack(n=2, rest="keep")),
    "value of a stack": (ValueError, 'value has no effect with rest="drop"',
                         lambda: stages.Stack(n=2, value=1)),
    "splice": (ValueError, "stride must be an int >= 1", lambda: stages.Splice(
        before=1, after=1, stride=0)),
    "no drop": (ValueError, r"first \+ last must be >= 1", lambda: stages.DropFrames()),
    "zero frames": (ValueError, "last must be an int >= 1", lambda: stages.ZeroFrames(last=0)),
    "n_frames": (ValueError, "n_frames must be an int >= 1", lambda: stages.FitFrames(n_frames=0)),
    "negative reach": (ValueError, r"before \+ after must be an int >= 0, got before \+ after=-1",
                       lambda: jaxspec.Reach(before=-2, after=1)),
    "dither": (ValueError, "level must be >= 0, got level=-1",
               lambda: jaxspec.dither(X, key=jax.random.key(0), level=-1)),
    "dither without key": (ValueError, "key must be a JAX random key.*got key=None",
                           lambda: jaxspec.dither(X, key=None, level=1)),
    "preset option": (ValueError, "n_samples must be an int >= 1, got n_samples=0",
                      lambda: jaxspec.presets.get("whisper_80", n_samples=0)),
    "preset without option": (TypeError, "vocos has no option 'n_samples', it has none",
                              lambda: jaxspec.presets.get("vocos", n_samples=0)),
    "rate of a preset": (ValueError, "name must be one of .*got name='mel'",
                         lambda: jaxspec.presets.sample_rate("mel")),
    "preset in other letters": (ValueError, "did you mean hifigan", lambda: jaxspec.presets.get(
        "HiFi-GAN")),
    "rate of a front-end": (ValueError, "sample_rate must be that of the stages.*=8000 and 16000",
                            lambda: FrontEnd(stages.Filterbank(n_bands=4, **BANK),
                                             sample_rate=8000)),
    "nothing left": (ValueError, "at least one stage", lambda: FrontEnd(stages.Ln()).without("ln")),
    "no such stage": (ValueError, "name must be one of 'ln'", lambda: FrontEnd(
        stages.Ln()).without("pad")),
    "no change": (ValueError, "replace must change something", lambda: FrontEnd(
        stages.Ln()).replace("ln")),
    # Learned windows, hops and bases.
    "family": (ValueError, "family must be one of 'hann', 'gaussian'.*got family='hamming'",
               lambda: _adaptive(family="hamming")),
    "window norm": (ValueError, "norm must be one of 'peak', 'sum'.*got norm='slaney'",
                    lambda: _adaptive(norm="slaney")),
    "sum of a free window": (ValueError, 'norm must not be "sum" with family="free"',
                             lambda: _adaptive(family="free", norm="sum")),
    "beta of a Hann window": (ValueError, 'beta has an effect only with family="kaiser", got beta=',
                              lambda: _adaptive(beta=3)),
    "beta": (ValueError, "beta must be > 0, got beta=0",
             lambda: _adaptive(family="kaiser", beta=0)),
    "coefficients of a Hann window": (ValueError, 'coefficients has an effect only with family=',
                                      lambda: _adaptive(coefficients=(0.5, 0.5))),
    "coefficients": (ValueError, r"2 or more that add up to 1 .*got coefficients=\(0.5, 0.4\)",
                     lambda: _adaptive(family="cosine", coefficients=(0.5, 0.4))),
    "negative coefficient": (ValueError, "each of coefficients must be > 0.001, got .*=-0.1",
                             lambda: _adaptive(family="cosine", coefficients=(1.1, -0.1))),
    "knots of a Hann window": (ValueError, 'n_knots has an effect only with family="free"',
                               lambda: _adaptive(n_knots=3)),
    "knots": (ValueError, "n_knots must be an int >= 1",
              lambda: _adaptive(family="free", n_knots=0)),
    "full window": (ValueError, "win_length must lie strictly between min_length=2 and "
                    "max_length=400 .*got win_length=400.*larger n_fft",
                    lambda: _adaptive(win_length=400)),
    "short window": (ValueError, "strictly between min_length=350", lambda: _adaptive(
        min_length=350)),
    "shortest window": (ValueError, "min_length must be >= 2, got min_length=1",
                        lambda: _adaptive(min_length=1)),
    "shortest fixed window": (ValueError, "win_length must be >= 2, got win_length=1",
                              lambda: _adaptive(win_length=1, learn=())),
    "bounds of a fixed length": (ValueError, "max_length bounds a learned length and has no effect",
                                 lambda: _adaptive(max_length=500, learn=())),
    "lengths": (ValueError, r"win_length must be a number or, with per_bin=True, hold .* = 201",
                lambda: _adaptive(win_length=np.full(201, 300.0))),
    "number of lengths": (ValueError, r"hold n_fft // 2 \+ 1 = 201 of them", lambda: _adaptive(
        win_length=(300.0, 200.0), per_bin=True)),
    "learned shape": (ValueError, "learn must be 'all' or name .*'win_length'.*family='hann'",
                      lambda: _adaptive(learn="beta")),
    "method per bin": (ValueError, "method has no effect with per_bin=True", lambda: _adaptive(
        per_bin=True, method="fft")),
    "hop": (ValueError, "hop_length must lie strictly between min_hop=160 and max_hop=400 ",
            lambda: _adaptive_hop(min_hop=160)),
    "largest hop": (ValueError, "between min_hop=80 and max_hop=100 ", lambda: _adaptive_hop(
        max_hop=100)),
    "hop per bin": (ValueError, "win_length must be a number", lambda: _adaptive_hop(
        win_length=np.full(201, 300.0))),
    "phase of a hop": (ValueError, "phase must be one of 'frame', 'clip'", lambda: _adaptive_hop(
        phase="zero")),
    "no frame for a hop": (ValueError, "100 samples holds no frame of n_fft=400", lambda: (
        lambda stage: stage.apply(stage.init(jax.random.key(0)), X[:100]))(
            _adaptive_hop(center=False))),
    "times of a hop": (ValueError, "frame times follow the learned hop", lambda: FrontEnd(
        _adaptive_hop()).frame_times(3, sample_rate=16000)),
    "basis": (ValueError, r"learn must be 'all' or name parameters among \('real', 'imag'\)",
              lambda: stages.BasisSTFT(learn="cosine", **STFT)),
    "filters of octaves": (ValueError, "filters_per_octave must be an int or have n_octaves=4 of",
                           lambda: _octaves(filters_per_octave=(1, 2))),
    "stride of octaves": (ValueError, r"power of 2, at least 2 \*\* n_octaves = 16, got stride=24",
                          lambda: _octaves(stride=24)),
    "alignment of octaves": (ValueError, "align must be one of 'frames', 'octaves'",
                             lambda: _octaves(align="samples")),
    "length of aligned octaves": (ValueError, "n_samples has no effect but with align=.octaves",
                                  lambda: _octaves(n_samples=100)),
    "no filters of octaves": (ValueError, r"learn must name filters where none are given",
                              lambda: _octaves(learn=())),
    "shape of octaves' filters": (ValueError, r"\(taps, channels\) = \(6, 8\), got \(8, 6\)",
                                  lambda: _octaves(filters=np.ones((8, 6)))),
    "shape of a window": (ValueError, "beta must be given with family='kaiser', got beta=None",
                          lambda: adaptive_window(30, n_fft=64, family="kaiser")),
    "shape of another window": (ValueError, "profile has no effect, got profile=.*family='hann'",
                                lambda: adaptive_window(30, n_fft=64, profile=np.ones(3))),
    "missing field": (ValueError, "a STFT needs n_fft; got hop_length",
                      lambda: jaxspec.stage_from_dict({"stage": "STFT", "hop_length": 4})),
    # Augmentation.
    "no key": (ValueError, "key must be a JAX random key.*got key=None",
               lambda: jaxspec.random_polarity(None, X)),
    "key second": (ValueError, "key must be a JAX random key.*an array with dtype float32",
                   lambda: jaxspec.random_polarity(X, KEY)),
    "keys": (ValueError, r"key must be one key, got key with shape \(2,\); use jax.vmap",
             lambda: jaxspec.time_warp(jax.random.split(KEY), FEATURES)),
    "no key to dither": (ValueError, "key must be a JAX random key.*got key=0",
                         lambda: jaxspec.dither(X, key=0, level=1)),
    "integer audio to augment": (TypeError, "floating point, got x with dtype int16.*pcm_to_float",
                                 lambda: jaxspec.random_gain(
                                     KEY, X.astype(np.int16), low=0, high=1)),
    "shared": (ValueError, "shared must be one of False, True; got shared='batch'",
               lambda: jaxspec.random_polarity(KEY, X, shared="batch")),
    "high gain": (ValueError, "high must be >= 3, got high=1",
                  lambda: jaxspec.random_gain(KEY, X, low=3, high=1)),
    "low gain": (ValueError, "low must be >= -200, got low=-300",
                 lambda: jaxspec.random_gain(KEY, X, low=-300, high=1)),
    "probability": (ValueError, "probability must be <= 1, got probability=1.5",
                    lambda: jaxspec.random_polarity(KEY, X, probability=1.5)),
    "max_shift": (ValueError, "max_shift must be an int >= 0, got max_shift=-1",
                  lambda: jaxspec.random_shift(KEY, X, max_shift=-1)),
    "shift mode": (ValueError, "mode must be one of 'zeros', 'wrap'; got mode='roll'",
                   lambda: jaxspec.random_shift(KEY, X, max_shift=1, mode="roll")),
    "crop": (ValueError, r"length must be <= the samples of x, got length=1001 .*\(1000,\)",
             lambda: jaxspec.random_crop(KEY, X, length=1001)),
    "noise length": (ValueError, "samples of noise must equal those of x.*=999 and .*=1000.*crop",
                     lambda: jaxspec.add_noise(X, X[1:], snr=0)),
    "noise axes": (ValueError, r"axes of noise must broadcast.*\(2, 1000\) and x .*\(1000,\)",
                   lambda: jaxspec.add_noise(X, np.stack([X, X]), snr=0)),
    "noise batch": (ValueError, r"axes of noise must broadcast.*\(2, 1000\) and .*\(3, 1000\)",
                    lambda: jaxspec.add_noise(np.stack([X] * 3), np.stack([X, X]), snr=0)),
    "snr": (ValueError, "snr must be >= -200, got snr=-300",
            lambda: jaxspec.add_noise(X, X, snr=-300)),
    "snr shape": (ValueError, r"snr must have the shape of the leading axes of x.*\(2,\).*\(\)",
                  lambda: jaxspec.add_noise(X, X, snr=np.zeros(2))),
    "lengths shape": (ValueError, r"lengths must have the shape of the leading.*\(3,\).*\(2,\)",
                      lambda: jaxspec.time_warp(KEY, FEATURES, lengths=np.array([1, 2, 3]))),
    "lengths above": (ValueError, "lengths must be >= 0 and <= 30 .*got lengths=31",
                      lambda: jaxspec.spec_augment(KEY, FEATURES, lengths=np.array([30, 31]))),
    "lengths below": (ValueError, "lengths must be >= 0 and <= 1000 .*got lengths=-1",
                      lambda: jaxspec.random_shift(KEY, X, max_shift=1, lengths=-1)),
    "float lengths": (TypeError, "lengths must be integers, got lengths with dtype float64",
                      lambda: jaxspec.spec_augment(KEY, FEATURES, lengths=np.array([3.0, 4.0]))),
    "n_time_masks": (ValueError, "n_time_masks must be an int >= 0, got n_time_masks=-1",
                     lambda: jaxspec.spec_augment(KEY, FEATURES, n_time_masks=-1)),
    "time_mask_width": (ValueError, "time_mask_width must be an int >= 1, got time_mask_width=0",
                        lambda: jaxspec.spec_augment(KEY, FEATURES, time_mask_width=0)),
    "time_mask_share": (ValueError, "time_mask_share must be <= 1, got time_mask_share=1.2",
                        lambda: jaxspec.spec_augment(KEY, FEATURES, time_mask_share=1.2)),
    "adaptive_masks": (ValueError, "adaptive_masks must be > 0, got adaptive_masks=0",
                       lambda: jaxspec.spec_augment(KEY, FEATURES, adaptive_masks=0)),
    "adaptive_width": (ValueError, "adaptive_width must be <= 1, got adaptive_width=4",
                       lambda: jaxspec.spec_augment(KEY, FEATURES, adaptive_width=4)),
    "n_freq_masks": (ValueError, "n_freq_masks must be an int >= 0, got n_freq_masks=-1",
                     lambda: jaxspec.spec_augment(KEY, FEATURES, n_freq_masks=-1)),
    "freq_mask_width": (ValueError, "freq_mask_width must be an int >= 1, got freq_mask_width=0",
                        lambda: jaxspec.spec_augment(KEY, FEATURES, freq_mask_width=0)),
    "fill": (ValueError, "fill must be one of 'zero', 'mean'; got fill=0",
             lambda: jaxspec.spec_augment(KEY, FEATURES, fill=0)),
    "time_warp": (ValueError, "time_warp must be an int >= 0, got time_warp=-1",
                  lambda: jaxspec.spec_augment(KEY, FEATURES, time_warp=-1)),
    "warp too far": (ValueError, r"max_shift times the number of frames must be < 2\*\*31",
                     lambda: jaxspec.time_warp(KEY, FEATURES, max_shift=2**30)),
    "no frames to mask": (ValueError, "time axis of x", lambda: jaxspec.spec_augment(
        KEY, FEATURES[:, :0])),
    "integer targets": (TypeError, "y must be floating point.*dtype int(32|64).*one_hot",
                        lambda: jaxspec.mixup(KEY, FEATURES, np.arange(2))),
    "targets of another batch": (ValueError, "batch of y must equal that of x, got .*=3 and .*=2",
                                 lambda: jaxspec.mixup(KEY, FEATURES, np.ones(3, np.float32))),
    "one target": (ValueError, r"y must have the batch as its first axis, got .*shape \(\)",
                   lambda: jaxspec.mixup(KEY, FEATURES, np.float32(1))),
    "alpha": (ValueError, "alpha must be > 0, got alpha=0", lambda: jaxspec.mixup(
        KEY, FEATURES, np.ones(2, np.float32), alpha=0)),
    "pairs": (ValueError, "return_pairs must be one of False, True; got return_pairs=2",
              lambda: jaxspec.mixup(KEY, FEATURES, np.ones(2, np.float32), return_pairs=2)),
    "other sample rate": (ValueError, "sample_rate must be that of the stages.*=8000 and 16000",
                          lambda: jaxspec.presets.get("log_mel").frame_times(
                              3, sample_rate=8000)),
    "frame times": (ValueError, "sample_rate must be given", lambda: FrontEnd(
        stages.STFT(**STFT)).frame_times(3)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_is_refused(name):
    error, message, call = CASES[name]
    with pytest.raises(error, match=message):
        call()
    # The same under jit: checks look at what is static only.
    with pytest.raises(error, match=message):
        jax.jit(call)()


@pytest.mark.parametrize("option", ["n_fft", "hop_length", "win_length"])
def test_traced_options_are_refused_by_name(option):
    def call(value):
        return jaxspec.stft(X, **{"n_fft": 400, option: value})

    with pytest.raises(TypeError, match=f"{option} must be known when the program is traced"):
        jax.jit(call)(100)


def test_a_traced_window_is_no_choice_of_a_stage():
    def call(window):
        return stages.STFT(n_fft=400, window=window)(X)

    with pytest.raises(TypeError, match=r"must be concrete.*jaxspec\.stft"):
        jax.jit(call)(jnp.ones(400))


def test_params_must_belong_to_the_stage():
    bank = stages.Filterbank(n_bands=4, layout="gaps", **BANK)
    x = jnp.ones((3, 201))
    for params in ({}, {"gaps": jnp.zeros(5)}, {"gaps": jnp.zeros(4), "widths": jnp.zeros(4)}):
        with pytest.raises(
            ValueError, match=r"params must be those of Filterbank.init: gaps \(5,\), widths \(4,\)"
        ):
            bank.apply(params, x)
    with pytest.raises(ValueError, match=r"has parameters \(gaps, widths\)"):
        bank(x)


def test_stages_check_what_they_take():
    with pytest.raises(TypeError, match="complex spectrum"):
        stages.Power()(jnp.ones((3, 4)))
    with pytest.raises(TypeError, match="real"):
        stages.Ln()(_spectrum())
    with pytest.raises(ValueError, match="at least 2 dimensions"):
        stages.Ln()(X)
    with pytest.raises(ValueError, match=r"number of bins must equal n_fft // 2 \+ 1"):
        stages.Filterbank(n_bands=4, **BANK)(jnp.ones((3, 4)))


def test_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        stages.Ln().amin = 1
