"""The calls of other libraries, with their names, arguments and defaults, as stages of this one.

`jaxspec.compat.librosa`, `jaxspec.compat.torchaudio` and `jaxspec.compat.kaldi` hold functions
that are called as the originals are, but for the signal: they return a stage or a
`jaxspec.FrontEnd`, which is then called with the signal. Nothing of the originals is imported.

The layout stays ours: features are ``(..., frames, channels)``, where librosa and torchaudio have
``(..., channels, frames)``; axes in front are a batch whose items never touch each other.
"""

from jaxspec.compat import kaldi as kaldi
from jaxspec.compat import librosa as librosa
from jaxspec.compat import torchaudio as torchaudio

__all__ = ["kaldi", "librosa", "torchaudio"]
