"""The calls of other libraries, with their names, arguments and defaults, as stages of this one.

`jaxspec.compat.librosa`, `jaxspec.compat.torchaudio` and `jaxspec.compat.kaldi` hold functions
that are called as the originals are, but for the signal: they return a stage or a
`jaxspec.FrontEnd`, which is then called with the signal. Nothing of the originals is imported.

`jaxspec.compat.nnaudio`, `jaxspec.compat.speechbrain`, `jaxspec.compat.dstft` and
`jaxspec.compat.strf` do the same for trainable front-ends, `jaxspec.compat.papers` for some that
were published without a package. They start at what the originals start at, with all parameters
at 0.
`jaxspec.compat.nnaudio`, `jaxspec.compat.speechbrain` and `jaxspec.compat.dstft` do the same for
trainable front-ends, `jaxspec.compat.papers` for some that were published without a package. They
start at what the originals start at, with all parameters at 0; the filters of
`jaxspec.compat.murenn`, unless they are given, are drawn.
trainable front-ends, `jaxspec.compat.leaf_audio`, `jaxspec.compat.efficient_leaf` and
`jaxspec.compat.perch` for those with filters in time, `jaxspec.compat.papers` for some that were
published without a package. They start at what the originals start at, with all parameters at 0.

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
    "kaldi",
    "librosa",
    "nnaudio",
    "papers",
    "speechbrain",
    "torchaudio",
]
__all__ = ["dstft", "kaldi", "librosa", "nnaudio", "papers", "speechbrain", "strf", "torchaudio"]
__all__ = ["dstft", "kaldi", "librosa", "murenn", "nnaudio", "papers", "speechbrain", "torchaudio"]
    "dstft",
    "efficient_leaf",
    "kaldi",
    "leaf_audio",
    "librosa",
    "nnaudio",
    "papers",
    "perch",
    "speechbrain",
    "torchaudio",
]
