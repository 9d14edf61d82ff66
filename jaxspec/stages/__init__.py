"""The steps of a front-end as stages: one class for each pure function, and small ones beside them.

See `jaxspec.stage` for the protocol. Every class is a frozen dataclass whose fields are the
keyword arguments of the function of the same name, where there is one.
"""

from jaxspec.stages.adaptive import AdaptiveSTFT as AdaptiveSTFT
from jaxspec.stages.adaptive_hop import AdaptiveHopSTFT as AdaptiveHopSTFT
from jaxspec.stages.analysis import Gabor as Gabor
from jaxspec.stages.analysis import Sinc as Sinc
from jaxspec.stages.bands import Filterbank as Filterbank
from jaxspec.stages.basis import BasisSTFT as BasisSTFT
from jaxspec.stages.branches import Beside as Beside
from jaxspec.stages.cepstrum import DCT as DCT
from jaxspec.stages.cepstrum import Deltas as Deltas
from jaxspec.stages.cepstrum import Lifter as Lifter
from jaxspec.stages.compression import AmplitudeToDb as AmplitudeToDb
from jaxspec.stages.compression import Ln as Ln
from jaxspec.stages.compression import Log1p as Log1p
from jaxspec.stages.compression import Log10 as Log10
from jaxspec.stages.compression import PowerToDb as PowerToDb
from jaxspec.stages.frames import RFFT as RFFT
from jaxspec.stages.frames import Frame as Frame
from jaxspec.stages.frames import FramePreEmphasis as FramePreEmphasis
from jaxspec.stages.frames import LogEnergy as LogEnergy
from jaxspec.stages.frames import RealParts as RealParts
from jaxspec.stages.frames import RemoveFrameMean as RemoveFrameMean
from jaxspec.stages.frames import Window as Window
from jaxspec.stages.free import FreeFilters as FreeFilters
from jaxspec.stages.gain_control import PCAN as PCAN
from jaxspec.stages.gain_control import PCEN as PCEN
from jaxspec.stages.gammatone import Gammatone as Gammatone
from jaxspec.stages.layout import Channels as Channels
from jaxspec.stages.layout import DropFrames as DropFrames
from jaxspec.stages.layout import FitFrames as FitFrames
from jaxspec.stages.layout import PadFrames as PadFrames
from jaxspec.stages.layout import Splice as Splice
from jaxspec.stages.layout import Stack as Stack
from jaxspec.stages.layout import WholeFrames as WholeFrames
from jaxspec.stages.layout import ZeroFrames as ZeroFrames
from jaxspec.stages.learned_compression import DynamicRange as DynamicRange
from jaxspec.stages.learned_compression import LogOffset as LogOffset
from jaxspec.stages.learned_compression import LogPowerBlend as LogPowerBlend
from jaxspec.stages.learned_compression import LogTBN as LogTBN
from jaxspec.stages.learned_compression import Root as Root
from jaxspec.stages.octaves import OctaveFilters as OctaveFilters
from jaxspec.stages.padding import FitLength as FitLength
from jaxspec.stages.padding import MaskPadding as MaskPadding
from jaxspec.stages.padding import Pad as Pad
from jaxspec.stages.padding import PadAt as PadAt
from jaxspec.stages.padding import PadToMultiple as PadToMultiple
from jaxspec.stages.padding import Repeat as Repeat
from jaxspec.stages.padding import Trim as Trim
from jaxspec.stages.pooling import Decimate as Decimate
from jaxspec.stages.pooling import ExponentialSmoothing as ExponentialSmoothing
from jaxspec.stages.pooling import FreePool as FreePool
from jaxspec.stages.pooling import GaussianPool as GaussianPool
from jaxspec.stages.pooling import MaxPool as MaxPool
from jaxspec.stages.running import RunningNormalize as RunningNormalize
from jaxspec.stages.spectrum import STFT as STFT
from jaxspec.stages.spectrum import Power as Power
from jaxspec.stages.strf import STRF as STRF
from jaxspec.stages.values import Abs as Abs
from jaxspec.stages.values import Affine as Affine
from jaxspec.stages.values import Clip as Clip
from jaxspec.stages.values import FloorFromMax as FloorFromMax
from jaxspec.stages.values import LnFromMin as LnFromMin
from jaxspec.stages.values import Normalize as Normalize
from jaxspec.stages.values import Replace as Replace
from jaxspec.stages.values import Sqrt as Sqrt
from jaxspec.stages.waveform import PreEmphasis as PreEmphasis
from jaxspec.stages.waveform import RemoveMean as RemoveMean
from jaxspec.stages.waveform import Scale as Scale
from jaxspec.stages.waveform import ScaleToRange as ScaleToRange

__all__ = [
    "DCT",
    "PCAN",
    "PCEN",
    "RFFT",
    "STFT",
    "STRF",
    "Abs",
    "AdaptiveHopSTFT",
    "AdaptiveSTFT",
    "Affine",
    "AmplitudeToDb",
    "BasisSTFT",
    "Beside",
    "Channels",
    "Clip",
    "Decimate",
    "Deltas",
    "DropFrames",
    "DynamicRange",
    "ExponentialSmoothing",
    "Filterbank",
    "FitFrames",
    "FitLength",
    "FloorFromMax",
    "Frame",
    "FramePreEmphasis",
    "FreeFilters",
    "FreePool",
    "Gabor",
    "Gammatone",
    "GaussianPool",
    "Lifter",
    "Ln",
    "LnFromMin",
    "Log1p",
    "Log10",
    "LogEnergy",
    "LogOffset",
    "LogPowerBlend",
    "LogTBN",
    "MaskPadding",
    "MaxPool",
    "Normalize",
    "OctaveFilters",
    "Pad",
    "PadAt",
    "PadFrames",
    "PadToMultiple",
    "Power",
    "PowerToDb",
    "PreEmphasis",
    "RealParts",
    "RemoveFrameMean",
    "RemoveMean",
    "Repeat",
    "Replace",
    "Root",
    "RunningNormalize",
    "Scale",
    "ScaleToRange",
    "Sinc",
    "Splice",
    "Sqrt",
    "Stack",
    "Trim",
    "WholeFrames",
    "Window",
    "ZeroFrames",
]
