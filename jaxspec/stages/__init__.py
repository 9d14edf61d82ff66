"""The steps of a front-end as stages: one class for each pure function.

See `jaxspec.stage` for the protocol. Every class is a frozen dataclass whose fields are the
keyword arguments of the function of the same name.
"""

from jaxspec.stages.bands import Filterbank as Filterbank
from jaxspec.stages.cepstrum import DCT as DCT
from jaxspec.stages.cepstrum import Deltas as Deltas
from jaxspec.stages.cepstrum import Lifter as Lifter
from jaxspec.stages.compression import AmplitudeToDb as AmplitudeToDb
from jaxspec.stages.compression import Ln as Ln
from jaxspec.stages.compression import Log1p as Log1p
from jaxspec.stages.compression import Log10 as Log10
from jaxspec.stages.compression import PowerToDb as PowerToDb
from jaxspec.stages.compression import Root as Root
from jaxspec.stages.gain_control import PCEN as PCEN
from jaxspec.stages.spectrum import STFT as STFT
from jaxspec.stages.spectrum import Power as Power
from jaxspec.stages.waveform import PreEmphasis as PreEmphasis

__all__ = [
    "DCT",
    "PCEN",
    "STFT",
    "AmplitudeToDb",
    "Deltas",
    "Filterbank",
    "Lifter",
    "Ln",
    "Log1p",
    "Log10",
    "Power",
    "PowerToDb",
    "PreEmphasis",
    "Root",
]
