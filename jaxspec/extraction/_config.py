"""What a run is: front-end, sample rate, lengths of batches, inputs; written down and compared."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxspec import __version__, presets
from jaxspec._checks import check_positive_int
from jaxspec.extraction._batches import buckets_of
from jaxspec.extraction._decoding import header
from jaxspec.extraction._files import write_json
from jaxspec.extraction._inputs import Clip, digest
from jaxspec.stage import Params, Stage, leaves_by_path

__all__ = ["CONFIG", "Chosen", "Found", "agree", "describe", "front_end", "probe", "restored"]

CONFIG = "config.json"
LAYOUT = 1  # of the folder; another number is another layout

# Clips whose headers are looked at before a run, evenly spaced.
_PROBED = 512


class Found(NamedTuple):
    """What the headers of some files say.

    Attributes:
      rate: sample rate of the first one that can be read, Hz; ``None`` if none can.
      lengths: ``(samples, rate)`` of those that can be read.
    """

    rate: int | None
    lengths: list[tuple[int, int]]


class Chosen(NamedTuple):
    """A front-end and what it is fed with.

    Attributes:
      stage: the front-end.
      name: of the preset, if it is one.
      sample_rate: Hz.
      resample: whether files of other rates are resampled; otherwise they are refused.
    """

    stage: Stage
    name: str | None
    sample_rate: int
    resample: bool


def probe(clips: Sequence[Clip], workers: int) -> Found:
    """Look at the headers of the first clip that can be read and of some of all."""
    step = -(-len(clips) // _PROBED)
    with ThreadPoolExecutor(workers) as pool:
        lengths = [told for told in pool.map(header, clips[::step]) if told]
    first = header(clips[0]) or next(iter(lengths), None)
    return Found(first[1] if first else None, lengths)


def front_end(stage: Stage | str, asked: int | None, found: Found) -> Chosen:
    """The front-end for a run.

    Raises:
      TypeError: if it is no stage.
      ValueError: if it does not make features of waveforms, or is for another rate than asked.
    """
    if asked is not None:
        asked = check_positive_int("sample_rate", asked)
    name, stated = None, None
    if isinstance(stage, str):
        name, stage = stage, presets.get(stage)
        stated = presets.sample_rate(name)
    elif not isinstance(stage, Stage):
        raise TypeError(
            f"stage must be a stage, a FrontEnd or the name of a preset, got a "
            f"{type(stage).__name__}"
        )
    else:
        stated = getattr(stage, "sample_rate", None)
    if stage.takes != "waveform" or stage.gives in ("waveform", "spectrum"):
        raise ValueError(
            f"stage must make features of waveforms, got a {type(stage).__name__} from "
            f"{stage.takes} to {stage.gives}"
        )
    if stated is not None and (stated != int(stated) or asked not in (None, stated)):
        got = f"sample_rate={asked}" if asked is not None else f"one of {stated} Hz"
        raise ValueError(f"sample_rate must be the {stated:g} whole Hz of the front-end, got {got}")
    rate = int(stated) if stated is not None else asked or found.rate
    if rate is None:
        raise ValueError(
            "sample_rate must be given for a front-end for any rate where no file can be read"
        )
    if name and stated is None:
        stage = presets.get(name, sample_rate=rate)
    return Chosen(stage, name, rate, resample=stated is not None or asked is not None)


def describe(
    chosen: Chosen, params: Params, clips: Sequence[Clip], found: Found, **options: Any
) -> dict[str, Any]:
    """What ``config.json`` holds."""
    stage, rate = chosen.stage, chosen.sample_rate
    stage.check_params(params)
    lengths = [max(-(-n * rate // own), 1) for n, own in found.lengths]
    hours = sum(lengths) / max(len(lengths), 1) * len(clips) / (3600 * rate)
    buckets = buckets_of(lengths, hours)
    x = jax.ShapeDtypeStruct((max(*buckets, 2 * rate),), jnp.float32)
    channels = jax.eval_shape(stage.apply, params, x).shape[-1]
    config = {
        "layout": LAYOUT,
        "jaxspec": __version__,
        "preset": chosen.name,
        "sample_rate": rate,
        "resample": chosen.resample,
        **options,
        "stage": stage.to_dict(),
        "params": {
            path: {"dtype": str(np.asarray(leaf).dtype), "values": np.asarray(leaf).tolist()}
            for path, leaf in leaves_by_path(params).items()
        },
        "channels": channels,
        "clips": len(clips),
        "clips_sha256": digest(clips),
        "buckets": list(buckets),
    }
    return json.loads(json.dumps(config))  # as it is read again, with lists for tuples


def restored(params: dict[str, Any]) -> Params:
    """The parameters of a configuration as nested dictionaries of NumPy arrays."""
    nested: Params = {}
    for path, held in params.items():
        *folders, name = path.split("/")
        inner = nested
        for folder in folders:
            inner = inner.setdefault(folder, {})
        inner[name] = np.asarray(held["values"], jnp.dtype(held["dtype"]))
    return nested


def agree(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a folder: what it holds already, if that is the same, or this one.

    Raises:
      ValueError: if the folder holds features of another configuration or of other inputs.
      OSError: if it cannot be written.
    """
    path = folder / CONFIG
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(13, "Permission denied", str(folder))
    if not path.exists():
        write_json(path, config)
        return config
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"cannot read {path}: {error}") from error
    # Lengths of batches change no feature; those that a run began with are kept.
    other = _difference("", {**held, "buckets": None}, {**config, "buckets": None})
    if other:
        where, there, here = other
        if where.startswith("clips"):
            where, there, here = "inputs", f"{held['clips']} clips", f"{config['clips']} clips"
            if there == here:
                there, here = f"{there} of other names, parts or columns", "these"
        raise ValueError(
            f"{folder} holds features of another run: {where} is {there} there and {here} here; "
            f"choose another folder"
        )
    return held


def _difference(name: str, there: Any, here: Any) -> tuple[str, str, str] | None:
    """The first place where two configurations differ, and what stands there."""
    if there == here:
        return None
    if isinstance(there, dict) and isinstance(here, dict):
        pairs = [(f"{name}.{k}", there.get(k), here.get(k)) for k in {**there, **here}]
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        pairs = [(f"{name}[{i}]", *pair) for i, pair in enumerate(zip(there, here, strict=True))]
    else:
        return name.lstrip("."), _short(there), _short(here)
    return next(found for pair in pairs if (found := _difference(*pair)))


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 60 else f"{text[:56]} …"
