"""The calls of other libraries, with their names, arguments and defaults, as stages of this one.

`jaxspec.compat.librosa`, `jaxspec.compat.torchaudio` and `jaxspec.compat.kaldi` hold functions
that are called as the originals are, but for the signal: they return a stage or a
`jaxspec.FrontEnd`, which is then called with the signal. Nothing of the originals is imported.

`jaxspec.compat.nnaudio`, `jaxspec.compat.speechbrain` and `jaxspec.compat.dstft` do the same for
trainable front-ends, `jaxspec.compat.papers` for some that were published without a package, and
these for filters in time and after the bands: `jaxspec.compat.leaf_audio`,
`jaxspec.compat.efficient_leaf`, `jaxspec.compat.perch`, `jaxspec.compat.asteroid`,
`jaxspec.compat.sincnet`, `jaxspec.compat.tdfbanks`, `jaxspec.compat.murenn` and
`jaxspec.compat.strf`. They start at what the originals start at, with all parameters at 0; free
filters, unless they are given, are drawn.

The layout stays ours: features are ``(..., frames, channels)``, where librosa, torchaudio, nnAudio
and dstft have ``(..., channels, frames)``; axes in front are a batch whose items never touch each
other.
"""

from jaxspec.compat import asteroid as asteroid
from jaxspec.compat import dstft as dstft
from jaxspec.compat import efficient_leaf as efficient_leaf
from jaxspec.compat import kaldi as kaldi
from jaxspec.compat import leaf_audio as leaf_audio
from jaxspec.compat import librosa as librosa
from jaxspec.compat import murenn as murenn
from jaxspec.compat import nnaudio as nnaudio
from jaxspec.compat import papers as papers
from jaxspec.compat import perch as perch
from jaxspec.compat import speechbrain as speechbrain
from jaxspec.compat import strf as strf
from jaxspec.compat import torchaudio as torchaudio

__all__ = [
    "asteroid",
    "dstft",
    "efficient_leaf",
    "kaldi",
    "leaf_audio",
    "librosa",
    "murenn",
    "nnaudio",
    "papers",
    "perch",
    "speechbrain",
    "strf",
    "torchaudio",
]
