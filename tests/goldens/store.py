"""How goldens of presets are kept: a few frames, the shape and the mean of each, in one file.

A script that makes such a file runs originals over the signals of `voice` and hands the features to
`Store.add`; ``tests/test_presets.py`` reads the file with `load`. Only NumPy is needed.
"""

import json
import pathlib
from typing import NamedTuple

import numpy as np
from voice import signals

__all__ = ["Golden", "Store", "load", "stored_frames"]

_MOST_FRAMES = 9
_MOST_VALUES = 1200  # of one signal: fewer frames where a frame has many channels


class Golden(NamedTuple):
    """What an original gave for one signal."""

    preset: str
    options: dict
    sample_rate: int
    signal: str
    reference: str
    dtype: str
    tolerance: dict
    shape: tuple
    mean: float
    frames: np.ndarray


def stored_frames(n_frames, n_channels):
    """Which frames are kept: both ends, and a few between."""
    most = max(min(_MOST_FRAMES, _MOST_VALUES // n_channels), 2)
    return np.unique(np.round(np.linspace(0, n_frames - 1, min(most, n_frames))).astype(int))


class Store:
    """Collects goldens and writes them."""

    def __init__(self):
        self._arrays = {}
        self._records = []

    def add(
        self,
        preset,
        original,
        *,
        sample_rate,
        reference,
        dtype="float64",
        tolerance=None,
        options=None,
        clips=None,
    ):
        """Keep what an original gives for the three signals.

        Args:
          preset: the name of the preset, as in ``jaxspec.presets.names()``.
          original: a function from a float64 waveform ``(samples,)`` in [-1, 1) at ``sample_rate``
            to features ``(frames, channels)``.
          sample_rate: Hz.
          reference: what ran, with its version: one line for the table of the docs.
          dtype: in which the original computes, ``"float64"`` or ``"float32"``.
          tolerance: for originals that compute more coarsely: ``{"median": …, "most": …}``,
            absolute, with the reason in the script.
          options: of the preset.
          clips: instead of the signals of `voice`: name to waveform.
        """
        for signal, x in (clips or signals(sample_rate)).items():
            y = np.asarray(original(x.copy()), np.float64)
            if y.ndim != 2 or not np.isfinite(y).all():
                raise ValueError(f"{preset}: features must be finite (frames, channels), {y.shape}")
            key = f"{len(self._records)}"
            self._arrays[key] = y[stored_frames(*y.shape)]
            self._records.append(
                {
                    "preset": preset,
                    "options": options or {},
                    "sample_rate": sample_rate,
                    "signal": signal,
                    "reference": reference,
                    "dtype": dtype,
                    "tolerance": tolerance or {},
                    "shape": y.shape,
                    "mean": float(y.mean()),
                }
            )
            print(f"{preset:28} {signal:8} {y.shape} mean {y.mean():.6g}")

    def save(self, path):
        """Write all to ``path``."""
        text = json.dumps(self._records)
        np.savez_compressed(path, records=np.array(text), **self._arrays)
        print(f"{path}: {pathlib.Path(path).stat().st_size / 1024:.0f} KiB")


def load(path):
    """All goldens of a file."""
    with np.load(path) as npz:
        records = json.loads(str(npz["records"]))
        return [
            Golden(**{**record, "shape": tuple(record["shape"]), "frames": npz[str(i)]})
            for i, record in enumerate(records)
        ]
