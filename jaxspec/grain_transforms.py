"""Features on the way to training, as a transform of Grain (extra ``jaxspec-audio[grain]``).

Features that were extracted once are read by `jaxspec.extraction.FeatureSet`, which is a source of
Grain by itself; this computes them anew every time, behind random changes of the waveform, say.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxspec.bucketing import apply_bucketed
from jaxspec.stage import Params, Stage

try:
    from grain import transforms
except ImportError as error:
    raise ImportError(
        f'jaxspec.grain_transforms needs grain ({error}): pip install "jaxspec-audio[grain]"'
    ) from error

__all__ = ["Features"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Features(transforms.Map):
    """A map from elements with samples to elements with features, on the processor.

    It works in Grain's threads and in its worker processes (``mp_prefetch``). These start Python
    anew; jax in them is told to leave accelerators alone, which belong to training.

    Args:
      stage: a stage or `jaxspec.FrontEnd` from waveforms to features.
      params: of one that learns, concrete values.
      field: where an element, a dictionary, has its samples ``(..., samples)``; floating point.
      into: where the features ``(..., frames, channels)`` are put, NumPy, of the same dtype; the
        samples are left out.
      buckets: padded lengths, each of which is compiled once, as in `jaxspec.bucket_length`.

    Raises:
      TypeError: if ``stage`` is none.
      ValueError: if ``params`` do not belong to it.

    Example:
      >>> import grain, numpy as np, jaxspec
      >>> from jaxspec.grain_transforms import Features
      >>> clips = [{"samples": np.zeros(n, np.float32), "label": n % 7} for n in (9000, 16000)]
      >>> log_mel = Features(stage=jaxspec.presets.get("log_mel"))
      >>> elements = grain.MapDataset.source(clips).map(log_mel)
      >>> elements[0]["features"].shape, elements[1]["label"]
      ((57, 80), 5)
    """

    stage: Stage
    params: Params = dataclasses.field(default_factory=dict)
    field: str = "samples"
    into: str = "features"
    buckets: Sequence[int] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.stage, Stage):
            raise TypeError(
                f"stage must be a stage or a FrontEnd, got a {type(self.stage).__name__}"
            )
        self.stage.check_params(self.params)
        # In a worker process, arrays of jax would choose a device before anybody can say which.
        object.__setattr__(self, "params", jax.tree.map(np.asarray, self.params))

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A worker process gets the pickled transform before anything there has used jax, which
        # would take memory of every accelerator at its first use.
        self.__dict__.update(state)
        if multiprocessing.current_process().daemon:
            jax.config.update("jax_platforms", "cpu")

    def map(self, element: Mapping[str, Any]) -> dict[str, Any]:
        """The element with features in place of samples."""
        with jax.default_device(jax.local_devices(backend="cpu")[0]):
            y, frames = apply_bucketed(
                self.stage, self.params, element[self.field], buckets=self.buckets
            )
            # The cut is made by NumPy: by jax it would be a program for every length.
            features = np.asarray(y)[..., :frames, :]
        rest = {name: value for name, value in element.items() if name != self.field}
        return rest | {self.into: features}
