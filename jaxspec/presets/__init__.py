"""Named front-ends: plain ones, and those that real models were trained with.

Each is a function without side effects that returns a `jaxspec.FrontEnd` value, by name or as
``jaxspec.presets.whisper_80()``. Change a choice with `FrontEnd.replace`.
"""

from __future__ import annotations

from typing import Any

from jaxspec._checks import check_choice
from jaxspec.frontend import FrontEnd
from jaxspec.presets._registry import PRESETS as PRESETS
from jaxspec.presets.basic import *  # noqa: F403
from jaxspec.presets.kaldi import *  # noqa: F403
from jaxspec.presets.nemo import *  # noqa: F403
from jaxspec.presets.quality import *  # noqa: F403
from jaxspec.presets.speech import *  # noqa: F403
from jaxspec.presets.synthesis import *  # noqa: F403
from jaxspec.presets.tagging import *  # noqa: F403
from jaxspec.presets.whisper import *  # noqa: F403

__all__ = ["get", "names", "sample_rate"]


def names() -> tuple[str, ...]:
    """The names of all presets, family by family.

    Example:
      >>> import jaxspec
      >>> jaxspec.presets.names()[:2]
      ('spectrogram', 'log_mel')
    """
    return tuple(PRESETS)


def get(name: str, **options: Any) -> FrontEnd:
    """A front-end by name.

    Args:
      name: one of `names`.
      **options: those of the function of this name, which says what it expects and gives
        (``help(jaxspec.presets.whisper_80)``). The plain ones take a ``sample_rate``.

    Raises:
      ValueError: for an unknown name, or a value that an option cannot have.
      TypeError: for an option that the preset does not have.

    Example:
      >>> import jax.numpy as jnp, jaxspec
      >>> jaxspec.presets.get("log_mel", sample_rate=8000)(jnp.zeros(8000)).shape
      (101, 80)
    """
    check_choice("name", name, names())
    return PRESETS[name].function(**options)


def sample_rate(name: str) -> int | None:
    """The sample rate in Hz that a preset is for; ``None`` if for any.

    Args:
      name: one of `names`.

    Raises:
      ValueError: for an unknown name.

    Example:
      >>> import jaxspec
      >>> jaxspec.presets.sample_rate("log_mel")
    """
    check_choice("name", name, names())
    return PRESETS[name].sample_rate
