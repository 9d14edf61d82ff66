"""Every preset against its original, and what a preset must be besides.

The goldens are made by ``tests/goldens/make_presets_*.py``. ``docs/presets.md`` holds a table that
is written by ``python tests/test_presets.py`` and checked here.
"""

import functools
import inspect
import math
import pathlib
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).with_name("goldens")))

from store import load, stored_frames
from voice import signals

from jaxspec import FrontEnd, presets

ROOT = pathlib.Path(__file__).parents[1]
GOLDENS = [
    golden
    for name in ("recognition", "speech", "tagging")
    for golden in load(ROOT / f"tests/goldens/presets_{name}.npz")
]
PAGE = ROOT / "docs/presets.md"
MODELS = tuple(name for name in presets.names() if presets.sample_rate(name))

# Largest difference from an original that computes in float64, in the unit of the features.
IN_FLOAT64 = 1e-9
# Of float32 from float64, in natural-log units: median, p99.9 and largest value.
MEDIAN, MOST_OF_ALL, MOST = 1e-5, 1e-3, 2e-2


@functools.cache
def clip(sample_rate, name):
    """A signal of `voice`, or a part of one: ``"speech"``, ``"speech*2"``, ``"gap*2[100:300]"``."""
    signal, times, start, stop = re.fullmatch(
        r"(\w+)(?:\*(\d+))?(?:\[(\d+)?:(\d+)?\])?", name
    ).groups()
    x = np.tile(_signals(sample_rate)[signal], int(times or 1))
    return x[int(start or 0) : int(stop) if stop else None]


_signals = functools.cache(signals)


@functools.cache
def features(preset, options, sample_rate, signal, dtype):
    """What a preset gives for a clip, in this dtype."""
    x = clip(sample_rate, signal).astype(dtype)
    with jax.enable_x64(dtype == "float64"):
        y = presets.get(preset, **dict(options))(x)
    assert y.dtype == dtype
    return np.asarray(y)


def measured(golden):
    """The features where a golden is kept, and their mean, in the dtype of the original."""
    y = features(
        golden.preset,
        tuple(golden.options.items()),
        golden.sample_rate,
        golden.signal,
        golden.dtype,
    )
    assert y.shape == golden.shape
    return y[stored_frames(*y.shape)], float(y.mean(dtype=np.float64))


def unit(preset):
    """How many units of the features a natural-log unit is, for those that are logarithms."""
    steps = [type(stage).__name__ for stage in presets.get(preset).stages]
    names = {"PowerToDb": 10 / math.log(10), "AmplitudeToDb": 20 / math.log(10)}
    return max([names.get(step, 1.0) for step in steps])


def _ids(golden):
    options = "".join(f"-{k}={v}" for k, v in golden.options.items())
    return f"{golden.preset}{options}-{golden.signal}-{golden.dtype}"


@pytest.mark.parametrize("golden", GOLDENS, ids=_ids)
def test_equals_the_original(golden):
    y, mean = measured(golden)
    difference = np.abs(y - golden.frames)
    if golden.dtype == "float64":
        assert difference.max() <= IN_FLOAT64
        assert abs(mean - golden.mean) <= IN_FLOAT64
        return
    # Two roundings to float32 are compared, ours and the original's.
    scale = max(unit(golden.preset), 1e-3 * np.abs(golden.frames).max())
    assert np.median(difference) <= golden.tolerance.get("median", 2 * MEDIAN * scale)
    assert difference.max() <= golden.tolerance.get("most", 2 * MOST * scale)


def test_every_preset_of_a_model_has_goldens():
    assert {golden.preset for golden in GOLDENS} == set(MODELS)
    kinds = {(golden.preset, golden.dtype) for golden in GOLDENS}
    # The fixed-point frontend is an approximation; what it approximates has no float64.
    assert {name for name in MODELS if (name, "float64") not in kinds} == {"microfrontend"}


def _first(preset):
    return next(golden for golden in GOLDENS if golden.preset == preset)


@pytest.mark.exhaustive
@pytest.mark.parametrize("preset", MODELS)
def test_float32_is_close_to_float64(preset):
    """Rounding shows only in near-silent bins."""
    golden = _first(preset)
    place = (preset, tuple(golden.options.items()), golden.sample_rate, golden.signal)
    narrow, wide = features(*place, "float32"), features(*place, "float64")
    scale = max(unit(preset), 1e-3 * np.abs(wide).max())
    difference = np.abs(narrow.astype(np.float64) - wide) / scale
    assert np.median(difference) < MEDIAN
    assert np.quantile(difference, 0.999) < MOST_OF_ALL
    assert difference.max() < MOST


# Shorter than the goldens' clips, where the preset takes any length.
def _short(preset):
    golden = _first(preset)
    x = clip(golden.sample_rate, golden.signal)
    return x if preset == "silero" else x[: round(0.25 * golden.sample_rate)]


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore:.*hold no FFT bin")  # of what is made anew, as of any bank
@pytest.mark.parametrize("preset", MODELS)
def test_batches_values_and_gradients(preset):
    """Items do not touch; the gradient is finite on speech and on silence; values are values."""
    golden = _first(preset)
    frontend = presets.get(preset, **golden.options)
    assert frontend == presets.get(preset, **golden.options)
    assert FrontEnd.from_dict(frontend.to_dict()) == frontend
    assert not frontend.param_shapes()
    x = jnp.asarray(_short(preset), jnp.float32)
    batch = jnp.stack(
        [x, jnp.zeros_like(x), jnp.concatenate([x[: x.size // 2], 0 * x[x.size // 2 :]])]
    )

    @jax.jit
    def both(batch):
        y, pull = jax.vjp(frontend, batch)
        weights = jnp.cos(jnp.arange(y[0].size, dtype=y.dtype)).reshape(y[0].shape)
        return y, pull(jnp.broadcast_to(weights, y.shape))[0]

    y, gradient = both(batch)
    alone = frontend(x)
    assert y.shape[1:] == alone.shape == (frontend.length(x.size), frontend.channels(None))
    scale = max(unit(preset), 1e-3 * float(jnp.abs(alone).max()))
    assert np.median(np.abs(y[0] - alone)) <= 2 * MEDIAN * scale
    assert np.abs(y[0] - alone).max() <= 2 * MOST * scale
    assert np.isfinite(y).all()
    assert np.isfinite(gradient).all()
    assert np.abs(gradient[0]).max() > 0


@pytest.mark.parametrize("preset", MODELS)
def test_is_documented(preset):
    """The docstring says what goes in and out, where it is from and what people get wrong."""
    text = presets.PRESETS[preset].function.__doc__
    first, _, rest = text.partition("\n")
    assert first.endswith(".")
    assert len(first) <= 90
    for part in ("Input:", "Output:", "Source:", "Trap:"):
        assert part in rest, part
    rate = presets.sample_rate(preset)
    assert f"{rate / 1000:g} kHz" in text or f"{rate} Hz" in text
    times = presets.get(preset).frame_times(3, sample_rate=rate)
    assert (np.diff(times) > 0).all()


# The table of the docs.


def _row(preset):
    """Reference by reference: what ran, and the largest difference."""
    worst = {}
    for golden in GOLDENS:
        if golden.preset == preset:
            y, _ = measured(golden)
            key = (golden.dtype, golden.reference)
            worst[key] = max(worst.get(key, 0.0), float(np.abs(y - golden.frames).max()))
    rate = presets.sample_rate(preset)
    frontend = presets.get(preset, **_first(preset).options)
    lines = []
    for (dtype, reference), error in sorted(worst.items(), reverse=True):
        first = not lines
        name = f"`{preset}` | {rate} | {frontend.channels(None)}" if first else " |  | "
        lines.append(f"| {name} | {reference} | {dtype} | {_rounded_up(error, dtype)} |")
    return lines


def _rounded_up(error, dtype):
    """A bound that another machine keeps: one digit above the measured error."""
    if dtype == "float64":
        return "< 1e-9" if error > 1e-10 else "< 1e-10"
    digits = math.floor(math.log10(error))
    return f"{math.ceil(error / 10**digits) * 10.0**digits:.0e}"


def _table():
    lines = [
        "| preset | Hz | channels | reference | computed in | largest difference |",
        "|---|---|---|---|---|---|",
    ]
    for preset in MODELS:
        lines.extend(_row(preset))
    return "\n".join(lines) + "\n"


def _list():
    lines = ["| preset | | Hz | options |", "|---|---|---|---|"]
    for name, preset in presets.PRESETS.items():
        sentence = " ".join(preset.function.__doc__.partition("\n\n")[0].split())
        options = ", ".join(
            f"`{option}`" for option in inspect.signature(preset.function).parameters
        )
        rate = preset.sample_rate or "any"
        lines.append(f"| `{name}` | {sentence.replace('``', '`')} | {rate} | {options} |")
    return "\n".join(lines) + "\n"


def _between(what):
    """The page before, inside of and after the markers of a part."""
    begin, end = (f"<!-- {what} of presets: {place} -->\n" for place in ("begin", "end"))
    before, _, rest = PAGE.read_text().partition(begin)
    inside, _, after = rest.partition(end)
    return before + begin, inside, end + after


def test_the_docs_say_what_every_preset_is_for():
    assert _between("list")[1] == _list()


def test_the_docs_list_every_preset():
    """Names, rates and references are those of the goldens, and the differences still hold."""
    rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")]
        for line in _between("table")[1].splitlines()[2:]
    ]
    listed = [row[0] for row in rows if row[0]]
    assert listed == list(MODELS)
    references = {(golden.reference, golden.dtype) for golden in GOLDENS}
    assert {(row[3], row[4]) for row in rows} == references
    for row in rows:
        bound = float(row[5].strip("< "))
        assert bound <= (1e-9 if row[4] == "float64" else math.inf)


if __name__ == "__main__":
    for what, text in (("list", _list()), ("table", _table())):
        before, _, after = _between(what)
        PAGE.write_text(before + text + after)
