"""Are features and their gradients finite for clips that break things?

Every preset, learnable front-ends, and other libraries' features as their users write them get
silence, a constant, a full-scale square wave, noise of 1e-20 and of 1e10, bfloat16 noise, a single
sample of 1, and the shortest clip of noise that gives a frame. Counted is where all values are
finite, and where the gradients to the waveform and to every parameter are, of a sum of the features
with fixed weights.

- Clips have a quarter of a second, but the shortest ones.
- An input that is refused with an error is not counted as tried, only named in the results.
- Of the other libraries those that can be imported take part; the table says which could not.

    python benchmarks/learning/robustness.py

takes about 4 minutes on two cores, most of it compiling.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import common
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from robustness_cases import RATE, Case, all_cases
from tqdm import tqdm

INPUTS = (
    "silence", "constant", "square wave", "noise of 1e-20", "noise of 1e10", "bfloat16", "impulse",
    "shortest clip",
)  # fmt: skip


# How it is tried.


def clips(n: int) -> dict[str, np.ndarray]:
    noise = np.random.default_rng(0).standard_normal(n)
    values = {
        "silence": np.zeros(n),
        "constant": np.ones(n),
        "square wave": np.where(np.arange(n) // 40 % 2, -1.0, 1.0),
        "noise of 1e-20": 1e-20 * noise,
        "noise of 1e10": 1e10 * noise,
        "bfloat16": 0.1 * noise,
        "impulse": np.arange(n) == n // 2,
    }
    return {name: np.asarray(value, np.float32) for name, value in values.items()}


def jax_judge(function: Callable[..., Any], params: Any) -> Callable[[np.ndarray, bool], list[str]]:
    """What of ``function(params, x)`` and its gradients is not finite, by name."""

    @jax.jit
    def both(params, x):
        def loss(params, x):
            y = function(params, x)
            parts = jnp.stack([y.real, y.imag]) if jnp.iscomplexobj(y) else y
            weights = jnp.cos(jnp.arange(parts.size)).reshape(parts.shape)
            return jnp.sum(parts * weights), parts

        gradients, y = jax.grad(loss, (0, 1), has_aux=True)(params, x)
        return jax.tree.map(
            lambda value: jnp.isfinite(value).all(), (gradients[0], gradients[1], y)
        )

    def judge(x, half):
        of_params, of_x, y = both(params, jnp.asarray(x, jnp.bfloat16 if half else jnp.float32))
        found = {"values": y, "waveform": of_x}
        found |= {
            jax.tree_util.keystr(path): ok for path, ok in jax.tree.leaves_with_path(of_params)
        }
        return [name for name, ok in found.items() if not ok]

    return judge


def torch_judge(function: Callable[[Any], Any], params: dict[str, Any]) -> Callable[..., list[str]]:
    import torch

    def judge(x, half):
        waveform = torch.tensor(x, dtype=torch.bfloat16 if half else torch.float32)
        waveform.requires_grad_()
        y = function(waveform)
        weights = torch.cos(torch.arange(y.numel(), dtype=torch.float32)).reshape(y.shape)
        learned = {name: value for name, value in params.items() if value.requires_grad}
        inputs = [waveform, *learned.values()]
        gradients = torch.autograd.grad((y * weights).sum(), inputs, allow_unused=True)
        found = dict(zip(["waveform", *learned], gradients, strict=True)) | {"values": y}
        finite = {name: v is None or bool(v.isfinite().all()) for name, v in found.items()}
        return [name for name, ok in finite.items() if not ok]

    return judge


def shortest(case: Case, function: Callable[..., Any], params: Any) -> int:
    """The least number of samples that gives a frame."""

    def gives_frames(n):
        try:
            if case.torch:
                import torch

                return function(torch.zeros(n)).numel() > 0
            x = jax.ShapeDtypeStruct((n,), jnp.float32)
            return jax.eval_shape(function, params, x).size > 0
        except Exception:  # whatever a library raises
            return False

    most = 1
    while not gives_frames(most):
        most *= 2
        if most > 1 << 20:
            raise RuntimeError(f"{case.group}, {case.name}: no clip gives a frame")
    least = most // 2
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if gives_frames(middle) else (middle, most)
    return most


def examine(case: Case) -> dict[str, Any]:
    """For every input ``"finite"``, ``"not finite: …"`` or ``"refused: …"``."""
    function, params = case.make()
    judge = (torch_judge if case.torch else jax_judge)(function, params)
    least = shortest(case, function, params)
    tried = clips(round(case.sample_rate / 4))
    tried["shortest clip"] = 0.1 * np.random.default_rng(1).standard_normal(least)
    found = {}
    for name in INPUTS:
        try:
            bad = judge(tried[name], name == "bfloat16")
        except Exception as error:  # whatever a library raises
            found[name] = f"refused: {type(error).__name__}: {str(error)[:150]}"
        else:
            found[name] = "not finite: " + ", ".join(sorted(bad)) if bad else "finite"
    return {"group": case.group, "name": case.name, "shortest_samples": least, "found": found}


def run(quick: bool) -> dict[str, Any]:
    cases, missing = all_cases()
    if quick:  # the first of every group
        cases = list({case.group: case for case in reversed(cases)}.values())[::-1]
    with ThreadPoolExecutor(2) as pool:
        results = list(tqdm(pool.map(examine, cases), total=len(cases), disable=quick))
    seeds = "none: noise is fixed, parameters are at their start; nothing is trained"
    return {"sample_rate": RATE, "seeds": seeds, "not_installed": missing, "cases": results}


# Results.


class Count(NamedTuple):
    tried: int
    values: int
    gradients: int
    refused: int


def count(results: dict[str, Any], group: str, name: str) -> Count:
    found = [case["found"][name] for case in results["cases"] if case["group"] == group]
    tried = [text for text in found if not text.startswith("refused")]
    bad = [set(text.removeprefix("not finite: ").split(", ")) - {"finite"} for text in tried]
    values = sum("values" not in names for names in bad)
    gradients = sum(not names - {"values"} for names in bad)
    return Count(len(tried), values, gradients, len(found) - len(tried))


def _groups(results: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(case["group"] for case in results["cases"]))


def _words(counted: Count) -> str:
    if not counted.tried:
        return "refused"
    both = (f"{number}/{counted.tried}" for number in (counted.values, counted.gradients))
    return "; ".join(both) + (f" ({counted.refused} refused)" if counted.refused else "")


def table(results: dict[str, Any]) -> str:
    rows = [
        [group, *(_words(count(results, group, name)) for name in INPUTS)]
        for group in _groups(results)
    ]
    text = [
        "How many have finite values; finite gradients to the waveform and every parameter, of how "
        "many that take the input:",
        common.markdown(["", *INPUTS], rows),
    ]
    bad = [
        f"- {case['group']}, {case['name']}: "
        + "; ".join(
            f"{name} ({text[12:]})" for name, text in case["found"].items() if text[:3] == "not"
        )
        for case in results["cases"]
        if any(text.startswith("not finite") for text in case["found"].values())
    ]
    text.append("Not finite, and what:\n\n" + "\n".join(bad) if bad else "All is finite.")
    if results["not_installed"]:
        missing = ", ".join(results["not_installed"])
        text.append(f"Not installed where this ran, and so left out: {missing}.")
    return "\n\n".join(text)


def draw(results: dict[str, Any], path: Path) -> None:
    groups = _groups(results)
    figure = Figure(figsize=(9.5, 1.3 + 0.5 * len(groups)), layout="constrained")
    axes = figure.subplots()
    for y, group in enumerate(groups):
        for x, name in enumerate(INPUTS):
            counted = count(results, group, name)
            good = counted.values == counted.gradients == counted.tried
            colour = "#7fb685" if good else "#e07a5f"
            if not counted.tried:
                colour = "0.85"
            axes.add_patch(_square(x, y, colour))
            words = _words(counted).replace(" (", "\n(")
            axes.text(x, y, words, ha="center", va="center", fontsize=7.5)
    axes.set_xticks(range(len(INPUTS)), [name.replace(" ", "\n", 1) for name in INPUTS], fontsize=8)
    axes.set_yticks(range(len(groups)), groups, fontsize=9)
    axes.set_xlim(-0.5, len(INPUTS) - 0.5)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("finite values; finite gradients / tried", fontsize=8)
    figure.savefig(path, dpi=120)


def _square(x: float, y: float, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=colour, edgecolor="none")


if __name__ == "__main__":
    common.command(sys.modules[__name__])
