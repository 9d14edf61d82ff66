"""The list of all presets, which the modules of this package fill."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from jaxspec.frontend import FrontEnd

__all__ = ["PRESETS", "Preset", "preset", "trained_at"]


class Preset(NamedTuple):
    """A function that makes a front-end, and the sample rate that it is for (``None``: any)."""

    function: Callable[..., FrontEnd]
    sample_rate: int | None


PRESETS: dict[str, Preset] = {}


def preset(function: Callable[..., FrontEnd]) -> Callable[..., FrontEnd]:
    """Register a preset for any sample rate under the name of its function."""
    PRESETS[function.__name__] = Preset(function, None)
    return function


def trained_at(sample_rate: int) -> Callable[[Callable[..., Any]], Callable[..., FrontEnd]]:
    """Register the front-end of a model.

    Some of their banks hold bands that no FFT bin falls into; the models were trained with them, so
    nobody is warned.
    """

    def register(function: Callable[..., Any]) -> Callable[..., FrontEnd]:
        @functools.wraps(function)
        def quiet(**options: Any) -> FrontEnd:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".* bands hold no FFT bin")
                frontend = function(**options)
                # Some have no stage that states the rate.
                rate = frontend.sample_rate or float(sample_rate)
                return FrontEnd(frontend, sample_rate=rate)

        PRESETS[function.__name__] = Preset(quiet, sample_rate)
        return quiet

    return register
