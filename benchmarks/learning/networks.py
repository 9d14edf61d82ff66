"""The small networks of the experiments, and the loop that trains them behind a front-end."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from published import PublishedBank

from jaxspec import FrontEnd, stages
from jaxspec.stage import Stage

Params = dict[str, Any]
Prepare = Callable[[jax.Array, jax.Array], jax.Array]
BATCH = 64  # clips of a step
OURS = ("fixed", "gaps", "warp", "scale", "free")
_AT_ONCE = 256  # clips of an evaluation


@dataclasses.dataclass(frozen=True)
class Model:
    """A front-end, a network on its features and one logit for each label.

    Attributes:
      frontend: of power spectra, ``(…, frames, bins)``, if the bank is its first stage as `bank`
        and `moved` want it; else of anything.
      n_labels: number of labels.
      network: ``"mlp"`` on the mean over the frames, or ``"cnn"`` over time.
      width: of the network.
      offset: taken off the features; ``None``: the mean over the frames of each clip, after which
        the level of a clip no longer matters.
      scale: what the rest is divided by.
    """

    frontend: FrontEnd
    n_labels: int
    network: str = "cnn"
    width: int = 32
    offset: float | None = None
    scale: float = 3.0

    def start(self, seeds: Sequence[int]) -> Params:
        """The fixed front-end and a network of its own for each seed, stacked."""
        n, width = self.frontend.channels(None), self.width
        sizes = {
            "mlp": [(n, width), (width, width), (width, self.n_labels)],
            "cnn": [(5 * n, width), *[(5 * width, width)] * 2, (2 * width, self.n_labels)],
        }[self.network]
        # Drawn with NumPy: compiling random numbers takes longer than most of these trainings.
        networks = [_layers(sizes, np.random.default_rng(seed)) for seed in seeds]
        frontend = self.frontend.init(jax.random.key(0))
        return {
            "frontend": jax.tree.map(lambda leaf: jnp.stack([leaf] * len(seeds)), frontend),
            "network": jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *networks),
        }

    def logits(self, params: Params, x: jax.Array) -> jax.Array:
        """Clips to ``(clips, labels)``."""
        y = self.frontend.apply(params["frontend"], x)
        offset = y.mean(axis=1, keepdims=True) if self.offset is None else self.offset
        network = {"mlp": _mlp, "cnn": _cnn}[self.network]
        return network(params["network"], (y - offset) / self.scale)

    def bank(self, params: Params) -> tuple[Any, Params]:
        """The bank and its parameters."""
        bank = self.frontend.stages[0]
        return bank, params["frontend"].get(bank.name, {})

    def moved(self, params: Params) -> jax.Array:
        """How far the centre of every band is from its start, Hz."""
        bank, now = self.bank(params)
        return jnp.abs(bank.centers(now) - bank.centers(bank.init(jax.random.key(0))))


def make_bank(kind: str, **start: Any) -> Stage:
    """A Gaussian bank that is learned in one of our layouts or as one of `published.UNITS`."""
    bank = stages.Filterbank(shape="gaussian", norm=None, **start)
    if kind in OURS:
        return dataclasses.replace(bank, layout=kind)
    return PublishedBank(bank=bank, units=kind)


def _layers(sizes: Sequence[tuple[int, int]], rng: np.random.Generator) -> list[Params]:
    return [
        {
            "weights": (rng.standard_normal(size) * np.sqrt(2 / size[0])).astype(np.float32),
            "bias": np.zeros(size[1], np.float32),
        }
        for size in sizes
    ]


def _dense(layer: Params, x: jax.Array) -> jax.Array:
    return x @ layer["weights"] + layer["bias"]


def _mlp(layers: Sequence[Params], x: jax.Array) -> jax.Array:
    x = x.mean(axis=1)
    for layer in layers[:-1]:
        x = jax.nn.relu(_dense(layer, x))
    return _dense(layers[-1], x)


def _cnn(layers: Sequence[Params], x: jax.Array) -> jax.Array:
    """Three convolutions over time, then the mean and the maximum over time."""
    for layer, stride in zip(layers[:-1], (1, 2, 2), strict=True):
        # As matrix products: gradients of convolutions inside a compiled loop are slow on a CPU.
        padded = jnp.pad(x, ((0, 0), (2, 2), (0, 0)))
        shifted = [padded[:, i : i + x.shape[1] : stride] for i in range(5)]
        x = jax.nn.relu(_dense(layer, jnp.concatenate(shifted, axis=-1)))
    return _dense(layers[-1], jnp.concatenate([x.mean(axis=1), x.max(axis=1)], axis=-1))


def as_they_are(key: jax.Array, x: jax.Array) -> jax.Array:
    """Clips are what the front-end takes already."""
    return x


def train(
    model: Model,
    x: jax.Array,
    y: jax.Array | np.ndarray,
    *,
    rows: np.ndarray,
    seeds: Sequence[int],
    multipliers: Sequence[float],
    learning_rate: float,
    prepare: Prepare = as_they_are,
) -> tuple[Params, jax.Array]:
    """Train runs of one model, each with a seed and a learning-rate multiplier of its own.

    Adam with a cosine schedule. The steps of the front-end are ``multipliers`` times those of the
    network, and the gradients of both are clipped to a norm of 1, each by itself.

    Args:
      model: what is trained.
      x, y: clips and labels.
      rows: ``(runs, steps, batch)`` indices of clips.
      seeds: one for each run, for the starting values and what ``prepare`` draws.
      multipliers: one for each run.
      learning_rate: of the network.
      prepare: ``(key, clips) -> what the front-end takes``, anew for every batch.

    Returns:
      The parameters, stacked, and the losses ``(runs, steps)``.
    """
    runs = (
        jnp.asarray(rows),
        model.start(seeds),
        jnp.asarray(seeds, jnp.uint32),
        jnp.asarray(multipliers, jnp.float32),
    )
    return _train(model, prepare, x, jnp.asarray(y), runs, learning_rate)


def loss_of(model: Model) -> Callable[[Params, jax.Array, jax.Array], jax.Array]:
    """The mean cross-entropy as a function of the parameters, clips and labels."""

    def loss(params: Params, x: jax.Array, y: jax.Array) -> jax.Array:
        logits = model.logits(params, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    return loss


@partial(jax.jit, static_argnames=("model", "prepare"))
def _train(
    model: Model, prepare: Prepare, x: jax.Array, y: jax.Array, runs: Any, learning_rate: float
) -> tuple[Params, jax.Array]:
    steps = runs[0].shape[1]
    adam = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))
    part = optax.chain(optax.clip_by_global_norm(1.0), adam)
    optimizer = optax.multi_transform(
        {"frontend": part, "network": optax.flatten(part)},
        {"frontend": "frontend", "network": "network"},
    )

    loss = loss_of(model)

    # One run after the other: a product of stacked matrices is slower than its parts on a CPU.
    def one(run: tuple[jax.Array, Params, jax.Array, jax.Array]) -> tuple[Params, jax.Array]:
        rows, params, seed, multiplier = run

        def step(state: Any, now: tuple[jax.Array, jax.Array]) -> tuple[Any, jax.Array]:
            (params, memory), (row, key) = state, now
            value, gradient = jax.value_and_grad(loss)(params, prepare(key, x[row]), y[row])
            updates, memory = optimizer.update(gradient, memory, params)
            faster = jax.tree.map(lambda leaf: multiplier * leaf, updates["frontend"])
            updates = {**updates, "frontend": faster}
            return (optax.apply_updates(params, updates), memory), value

        keys = jax.random.split(jax.random.key(seed), len(rows))
        state, losses = jax.lax.scan(step, (params, optimizer.init(params)), (rows, keys))
        return state[0], losses

    return jax.lax.map(one, runs)


@partial(jax.jit, static_argnames="model")
def predict(model: Model, params: Params, x: jax.Array) -> jax.Array:
    """The most likely label ``(runs, clips)`` of every clip, by every run."""
    padded = jnp.pad(x, ((0, -len(x) % _AT_ONCE), *[(0, 0)] * (x.ndim - 1)))
    parts = padded.reshape(-1, _AT_ONCE, *x.shape[1:])

    def one(params: Params) -> jax.Array:
        return jax.lax.map(lambda part: model.logits(params, part).argmax(axis=-1), parts)

    return jax.lax.map(one, params).reshape(-1, len(padded))[:, : len(x)]


def batches(chosen: np.ndarray, steps: int, seed: int) -> np.ndarray:
    """``(steps, BATCH)`` indices of chosen clips, every one once, then again in another order."""
    clips = np.flatnonzero(chosen)
    rng = np.random.default_rng(seed)
    size = min(BATCH, len(clips))
    epochs = -(-steps * size // len(clips))
    order = np.concatenate([rng.permutation(clips) for _ in range(epochs)])
    return order[: steps * size].reshape(steps, size)


def of_run(params: Params, run: int) -> Params:
    """The parameters of one run."""
    return jax.tree.map(lambda leaf: leaf[run], params)


def moved(model: Model, params: Params) -> list[float | None]:
    """How far the centres are from their start in every run: Hz, the mean over the bands.

    ``None`` where a parameter of the front-end is no number any more.
    """
    hertz = np.asarray(jax.vmap(model.moved)(params).mean(axis=-1), np.float64)
    return [
        float(value) if np.isfinite(value) and is_finite(of_run(params, run)["frontend"]) else None
        for run, value in enumerate(hertz)
    ]


def is_finite(params: Params) -> bool:
    """Whether all parameters are numbers."""
    return all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(params))


def spread(values: Sequence[float]) -> str:
    """Shares as percent: the mean, the least and the greatest."""
    mean, least, most = (100 * float(f(values)) for f in (np.mean, np.min, np.max))
    return f"{mean:.1f} [{least:.1f}–{most:.1f}]"


def mean_hertz(values: Sequence[float | None]) -> str:
    """The mean of what `moved` returns, as text."""
    known = [value for value in values if value is not None]
    lost = len(values) - len(known)
    text = f"{np.mean(known):.0f} Hz" if known else "–"
    return text + f" ({lost} not finite)" * (lost > 0)
