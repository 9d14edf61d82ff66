"""jaxspec: from audio waveforms to the features that models learn from, in JAX.

Pure functions that ``jit`` and ``vmap`` compile, with gradients through every step, and the same
steps as stages of a `FrontEnd`. The layout is ``(..., frames, channels)`` everywhere.
"""

from jaxspec import compat as compat
from jaxspec import diagnostics as diagnostics
from jaxspec import parametrize as parametrize
from jaxspec import presets as presets
from jaxspec import stages as stages
from jaxspec import statistics as statistics
from jaxspec import training as training

# Waveform.
from jaxspec.waveform import dither as dither
from jaxspec.waveform import pcm_to_float as pcm_to_float
from jaxspec.waveform import preemphasis as preemphasis

# Frames.
from jaxspec.framing import fft_frequencies as fft_frequencies
from jaxspec.framing import frame as frame
from jaxspec.framing import frame_times as frame_times
from jaxspec.framing import num_frames as num_frames
from jaxspec.framing import overlap_add as overlap_add
from jaxspec.framing import pad as pad
from jaxspec.framing import samples_for_frames as samples_for_frames
from jaxspec.windows import window as window

# Spectrum.
from jaxspec.polar import magnitude as magnitude
from jaxspec.polar import phase as phase
from jaxspec.polar import power as power
from jaxspec.spectrum import check_nola as check_nola
from jaxspec.spectrum import istft as istft
from jaxspec.spectrum import stft as stft

# Bands.
from jaxspec.filterbanks import apply_filterbank as apply_filterbank
from jaxspec.filterbanks import band_edges as band_edges
from jaxspec.filterbanks import filterbank as filterbank
from jaxspec.filterbanks import mel_filterbank as mel_filterbank
from jaxspec.filterbanks import random_edges as random_edges
from jaxspec.scales import bark_to_hz as bark_to_hz
from jaxspec.scales import erb_bandwidth as erb_bandwidth
from jaxspec.scales import erb_to_hz as erb_to_hz
from jaxspec.scales import hz_to_bark as hz_to_bark
from jaxspec.scales import hz_to_erb as hz_to_erb
from jaxspec.scales import hz_to_mel as hz_to_mel
from jaxspec.scales import hz_to_octave as hz_to_octave
from jaxspec.scales import hz_to_scale as hz_to_scale
from jaxspec.scales import mel_to_hz as mel_to_hz
from jaxspec.scales import octave_to_hz as octave_to_hz
from jaxspec.scales import scale_to_hz as scale_to_hz

# Compression.
from jaxspec.compression import amplitude_to_db as amplitude_to_db
from jaxspec.compression import db_to_amplitude as db_to_amplitude
from jaxspec.compression import db_to_power as db_to_power
from jaxspec.compression import ln as ln
from jaxspec.compression import log1p as log1p
from jaxspec.compression import log10 as log10
from jaxspec.compression import power_to_db as power_to_db
from jaxspec.compression import root as root
from jaxspec.gain_control import pcen as pcen
from jaxspec.learned_compression import dynamic_range as dynamic_range
from jaxspec.learned_compression import log_offset as log_offset
from jaxspec.learned_compression import log_power_blend as log_power_blend
from jaxspec.learned_compression import log_tbn as log_tbn
from jaxspec.smoothing import exponential_smoothing as exponential_smoothing
from jaxspec.smoothing import smoothing_for_time_constant as smoothing_for_time_constant

# Cepstra.
from jaxspec.cepstrum import dct as dct
from jaxspec.cepstrum import dct_matrix as dct_matrix
from jaxspec.cepstrum import delta as delta
from jaxspec.cepstrum import lifter as lifter
from jaxspec.cepstrum import lifter_weights as lifter_weights

# From waveform to features in one call.
from jaxspec.features import lfcc as lfcc
from jaxspec.features import log_mel_spectrogram as log_mel_spectrogram
from jaxspec.features import mel_spectrogram as mel_spectrogram
from jaxspec.features import mfcc as mfcc
from jaxspec.features import spectrogram as spectrogram

# Augmentation.
from jaxspec.augment import add_noise as add_noise
from jaxspec.augment import mixup as mixup
from jaxspec.augment import random_crop as random_crop
from jaxspec.augment import random_gain as random_gain
from jaxspec.augment import random_polarity as random_polarity
from jaxspec.augment import random_shift as random_shift
from jaxspec.augment_features import spec_augment as spec_augment
from jaxspec.augment_features import time_warp as time_warp

# Modulations.
from jaxspec.modulation import random_modulations as random_modulations

# Front-ends.
from jaxspec.bucketing import apply_bucketed as apply_bucketed
from jaxspec.bucketing import bucket_length as bucket_length
from jaxspec.bucketing import length_buckets as length_buckets
from jaxspec.frontend import FrontEnd as FrontEnd
from jaxspec.learning import merge as merge
from jaxspec.learning import split as split
from jaxspec.padded import Padded as Padded
from jaxspec.padded import apply_padded as apply_padded
from jaxspec.streaming import Stream as Stream
from jaxspec.synthesis_stream import ISTFTStream as ISTFTStream
from jaxspec.rates import at_rate as at_rate
from jaxspec.reach import Reach as Reach
from jaxspec.stage import Stage as Stage
from jaxspec.stage import stage_from_dict as stage_from_dict
from jaxspec.stage import stage_types as stage_types
from jaxspec.table import Table as Table

__version__ = "0.1.0"
