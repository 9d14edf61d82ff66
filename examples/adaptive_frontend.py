"""A front-end for each clip: a small network chooses its parameters, trained end to end.

    python examples/adaptive_frontend.py                       # PCEN for each clip
    python examples/adaptive_frontend.py --learn pcen warp     # and a warp of the bands
    python examples/adaptive_frontend.py --learn pcen window   # and the length of the window

The embedded recordings of instruments, each at a random level and in noise of a random strength,
are named by a small network behind three front-ends: a fixed one, one whose parameters are learned,
the same for all clips, and one whose parameters another network, the controller, chooses for every
clip from the mean and the deviation of its log energies. All start as the fixed one. A front-end is
a pure function of its parameters, so parameters for each clip are one ``jax.vmap``. Prints the
accuracy on held-out notes; about half a minute on two quiet cores.

It needs ``pip install "jaxspec-audio[examples]"``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import recordings as data
from flax import linen as nn
from jax.flatten_util import ravel_pytree
from tqdm import tqdm
from train_classifier import Cnn, batches, make_optimizer

from jaxspec import FrontEnd, stages
from jaxspec.linen import Features

KINDS = ("fixed", "learned", "adaptive")
N_BANDS = 16
LEVEL_DB = 20.0  # clips are as much louder or softer than they were, at most
SNR_DB = (0.0, 30.0)  # the power of a clip over that of its noise
LEARNING_RATE = 5e-3
AT_ONCE = 64  # clips of an evaluation


def make_frontend(sample_rate: int, learn: Sequence[str]) -> FrontEnd:
    """Mel bands of 25 ms windows every 10 ms, and PCEN; what ``learn`` names has parameters."""
    window, hop = round(0.025 * sample_rate), round(0.010 * sample_rate)
    n_fft = 1 << (window - 1).bit_length()
    spectrum: Any = stages.STFT(n_fft=n_fft, win_length=window, hop_length=hop)
    if "window" in learn:
        spectrum = stages.AdaptiveSTFT(n_fft=n_fft, win_length=window, hop_length=hop)
    bank = stages.Filterbank(
        sample_rate=sample_rate,
        n_fft=n_fft,
        n_bands=N_BANDS,
        shape="gaussian",
        norm=None,
        layout="warp" if "warp" in learn else "fixed",
    )
    pcen = stages.PCEN(learn="all", n_bands=N_BANDS) if "pcen" in learn else stages.PCEN()
    return FrontEnd(spectrum, stages.Power(), bank, pcen)


class Controller(nn.Module):
    """Parameters of a front-end for each clip; 0, which is its start, before any training."""

    frontend: FrontEnd
    sample_rate: int
    width: int = 32

    @nn.compact
    def __call__(self, waveform: jax.Array) -> Any:
        look = FrontEnd(
            *make_frontend(self.sample_rate, learn=()).without("pcen").stages,
            stages.Ln(amin=1e-6, floor="add"),
        )
        bands = look(waveform)
        seen = jnp.concatenate([bands.mean(axis=-2) + 5, bands.std(axis=-2)], axis=-1) / 5
        zeros, as_params = ravel_pytree(self.frontend.init(jax.random.key(0)))
        x = nn.tanh(nn.Dense(self.width)(seen))
        return jax.vmap(as_params)(nn.Dense(zeros.size, kernel_init=nn.initializers.zeros)(x))


class Classifier(nn.Module):
    """One of the three front-ends, a network on its features, and one logit for each label."""

    frontend: FrontEnd
    sample_rate: int
    n_labels: int
    kind: str

    @nn.compact
    def __call__(self, waveform: jax.Array) -> jax.Array:
        if self.kind == "adaptive":
            params = Controller(self.frontend, self.sample_rate, name="controller")(waveform)
            x = jax.vmap(self.frontend.apply)(params, waveform)
        elif self.kind == "learned":
            x = Features(self.frontend, name="features")(waveform)
        else:
            x = self.frontend.apply(self.frontend.init(jax.random.key(0)), waveform)
        return nn.Dense(self.n_labels)(Cnn()(x))


def degraded(key: jax.Array, x: jax.Array) -> jax.Array:
    """Clips in white noise of random strength, each at a random level."""
    keys = jax.random.split(key, 3)
    level, snr = (
        jax.random.uniform(k, (len(x), 1), minval=low, maxval=high)
        for k, low, high in ((keys[0], -LEVEL_DB, LEVEL_DB), (keys[1], *SNR_DB))
    )
    size = jnp.sqrt(jnp.mean(x**2, axis=-1, keepdims=True) + 1e-12)
    noise = size * 10 ** (-snr / 20) * jax.random.normal(keys[2], x.shape)
    return (x + noise) * 10 ** (level / 20)


def train(
    model: Classifier, recordings: data.Recordings, args: argparse.Namespace, bar: tqdm
) -> list[float]:
    """Train on all folds but one, for each fold; the accuracies on the one that is left out."""
    optimizer = make_optimizer(args.steps, LEARNING_RATE, args.frontend_learning_rate_factor)
    x, y = jnp.asarray(recordings.x), jnp.asarray(recordings.y)

    @jax.jit
    def start(key: jax.Array) -> Any:
        params = model.init(key, x[:1])["params"]
        return params, optimizer.init(params)

    def loss(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        chances = nn.log_softmax(model.apply({"params": params}, x))
        return -jnp.take_along_axis(chances, y[:, None], axis=-1).mean()

    @jax.jit
    def run(state: Any, x: jax.Array, y: jax.Array, rows: jax.Array, key: jax.Array) -> Any:
        def step(state: Any, now: Any) -> Any:
            (params, memory), (batch, key) = state, now
            gradient = jax.grad(loss)(params, degraded(key, x[batch]), y[batch])
            updates, memory = optimizer.update(gradient, memory, params)
            return (optax.apply_updates(params, updates), memory), None

        return jax.lax.scan(step, state, (rows, jax.random.split(key, len(rows))))[0]

    accuracy = []
    for fold in range(args.folds):
        held_out, key = recordings.fold == fold, jax.random.key(fold)
        state = start(key)
        chunks = batches(~held_out, args.steps, np.random.default_rng(fold))
        for number, rows in enumerate(chunks):
            state = run(state, x, y, rows, jax.random.fold_in(key, number))
            bar.update(len(rows))
        found = _labels(model, state[0], degraded(jax.random.key(1), x))
        accuracy.append(float((found == recordings.y)[held_out].mean()))
    return accuracy


@partial(jax.jit, static_argnums=0)
def _logits(model: Classifier, params: Any, x: jax.Array) -> jax.Array:
    return model.apply({"params": params}, x)


def _labels(model: Classifier, params: Any, x: jax.Array) -> np.ndarray:
    """The most likely label of every clip."""
    parts = [_logits(model, params, x[i : i + AT_ONCE]) for i in range(0, len(x), AT_ONCE)]
    return np.concatenate([np.asarray(part.argmax(axis=-1)) for part in parts])


def table(accuracy: dict[str, list[float]]) -> str:
    """The results as text, and how each front-end compares with the fixed one."""
    lines = [f"{'front-end':<9}  {'held out':<21}  over fixed, fold by fold"]
    for kind, values in accuracy.items():
        gain = np.subtract(values, accuracy["fixed"])
        spread = f"{np.mean(values):.3f} [{min(values):.3f}–{max(values):.3f}]"
        change = f"{gain.mean():+.3f} [{gain.min():+.3f} to {gain.max():+.3f}]"
        lines.append(f"{kind:<9}  {spread:<21}  {change if kind != 'fixed' else '–'}")
    return "\n".join(lines)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Learn a front-end, and one for each clip, and compare with a fixed one."
    )
    option = parser.add_argument
    option(
        "--learn",
        nargs="+",
        choices=("pcen", "warp", "window"),
        default=["pcen"],
        help="what has parameters (default pcen)",
    )
    option("--folds", type=int, default=data.N_FOLDS, help="how many are held out (default 5)")
    option("--steps", type=int, default=300, help="of 64 clips (default 300)")
    option(
        "--frontend-learning-rate-factor",
        type=float,
        default=10.0,
        metavar="F",
        help="learning rate of what all clips share over that of the networks (default 10)",
    )
    option("--quick", action="store_true", help="20 steps, one fold: does it run?")
    args = parser.parse_args(argv)
    if args.quick:
        args.steps, args.folds = min(args.steps, 20), 1
    for name in ("steps", "folds"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(args, name)}")
    return args


def main(argv: Sequence[str] | None = None) -> dict[str, list[float]]:
    args = parse_args(argv)
    recordings = data.instruments()
    args.folds = min(args.folds, recordings.n_folds)
    frontend = make_frontend(recordings.sample_rate, args.learn)
    print(
        f"{len(recordings.x)} recordings of {len(recordings.labels)} labels, each within "
        f"±{LEVEL_DB:g} dB, in noise {SNR_DB[0]:g} to {SNR_DB[1]:g} dB below it; "
        f"learned: {', '.join(args.learn)}"
    )
    accuracy: dict[str, list[float]] = {}
    with tqdm(total=len(KINDS) * args.folds * args.steps, unit="step") as bar:
        for kind in KINDS:
            model = Classifier(frontend, recordings.sample_rate, len(recordings.labels), kind)
            bar.set_description(kind)
            accuracy[kind] = train(model, recordings, args, bar)
    print(f"\nAccuracy, mean [least–greatest] of {args.folds} fold(s):\n\n{table(accuracy)}")
    return accuracy


if __name__ == "__main__":
    main()
