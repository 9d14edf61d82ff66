"""Named front-ends: plain ones, and those that real models were trained with.

Each is a function without side effects that returns a `jaxspec.FrontEnd` value, by name or as
``jaxspec.presets.whisper_80()``. Change a choice with `FrontEnd.replace`.
"""

from __future__ import annotations

import difflib
import inspect
from typing import Any

from jaxspec.frontend import FrontEnd
from jaxspec.presets._registry import PRESETS as PRESETS
from jaxspec.presets._registry import Preset
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
    function = _known(name).function
    own = inspect.signature(function).parameters
    unknown = [option for option in options if option not in own]
    if unknown:
        raise TypeError(
            f"{name} has no option {unknown[0]!r}, it has {', '.join(own) or 'none'}; change other "
            f"choices of its stages with FrontEnd.replace, as in "
            f'get({name!r}).replace("stft", window="hamming")'
        )
    return function(**options)


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
    return _known(name).sample_rate


def _known(name: str) -> Preset:
    """The preset of this name, or an error that names similar ones."""
    if name in PRESETS:
        return PRESETS[name]
    written = str(name).lower().replace("-", "_").replace(" ", "_")
    similar = difflib.get_close_matches(written, PRESETS, n=3)
    similar += [n for n in PRESETS if n.startswith(written) and n not in similar]
    hint = f"did you mean {' or '.join(similar[:4])}? " if similar else ""
    raise ValueError(
        f"name must be one of the {len(PRESETS)} of jaxspec.presets.names(), got name={name!r}; "
        f"{hint}The command `jaxspec presets` lists them"
    )
