"""Train a small network end to end through a learnable front-end, on real recordings.

    python examples/train_classifier.py                    # the embedded instruments
    python examples/train_classifier.py --data DIR         # your own: DIR/label/*.wav
    python examples/train_classifier.py --predict FILE     # what does the trained model hear?

Trains with fixed log-mel bands and with bands whose centres and widths are learned, for each
number of bands and each fold, and prints what that does to the accuracy. Writes into ``out``:

- ``filters.png``: the filters before and after training
- ``features.png``: what the trained front-ends make of one held-out recording
- ``results.json``: all numbers
- ``frontend.json``, ``model/`` and ``settings.json``: the trained model with the first number of
  learned bands, of fold 0 and seed 0 (``--predict`` reads it from there)

It needs ``pip install "jaxspec-audio[examples]"``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import recordings as data
from flax import linen as nn
from matplotlib.figure import Figure
from tqdm import tqdm

from jaxspec import FrontEnd, plotting, stages
from jaxspec.linen import Features

WRITTEN = ("filters.png", "features.png", "results.json", "frontend.json", "settings.json", "model")
NO_SETTINGS = ("data", "out", "predict")  # options that say nothing about the experiment
LEARNING_RATES = {"cnn": 5e-3, "transformer": 2e-3}
BATCH = 64
CHUNK = 20  # steps compiled into one loop, between two updates of the progress bar


# The front-end and the networks.


def make_frontend(sample_rate: int, n_bands: int, *, learned: bool) -> FrontEnd:
    """Gaussian mel bands in 25 ms windows every 10 ms, and their logarithm."""
    window = round(0.025 * sample_rate)
    n_fft = 1 << (window - 1).bit_length()  # the next power of two
    return FrontEnd(
        stages.STFT(n_fft=n_fft, win_length=window, hop_length=round(0.010 * sample_rate)),
        stages.Power(),
        stages.Filterbank(
            sample_rate=sample_rate,
            n_fft=n_fft,
            n_bands=n_bands,
            shape="gaussian",
            norm=None,
            layout="gaps" if learned else "fixed",
        ),
        # A full-scale tone has a power of (window / 4)^2, 2,500 at 8 kHz: an offset of 1e-4 is
        # 74 dB below. It keeps noise below that from being blown up by the logarithm.
        stages.Ln(amin=1e-4, floor="add"),
    )


class Cnn(nn.Module):
    """Three 1-D convolutions over time, and the mean and the maximum over time."""

    width: int = 64
    kernel: int = 5

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for stride in (1, 2, 2):
            # A convolution as a matrix product over neighbouring frames: nn.Conv computes the
            # same, but its gradient inside a compiled loop is 7 to 10 times slower on a CPU.
            half = self.kernel // 2
            padded = jnp.pad(x, ((0, 0), (half, half), (0, 0)))
            shifted = [padded[:, i : i + x.shape[1] : stride] for i in range(self.kernel)]
            x = nn.relu(nn.Dense(self.width)(jnp.concatenate(shifted, axis=-1)))
        return jnp.concatenate([x.mean(axis=1), x.max(axis=1)], axis=-1)


class Transformer(nn.Module):
    """Two encoder blocks over tokens of four frames, and the mean over time.

    It shows that the features feed a transformer too; a few hundred clips are too few for it to
    come near the convolutions.
    """

    width: int = 64
    frames: int = 4

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        tokens = -(-x.shape[1] // self.frames)
        x = jnp.pad(x, ((0, 0), (0, tokens * self.frames - x.shape[1]), (0, 0)))
        x = nn.Dense(self.width)(x.reshape(len(x), tokens, -1))
        x = x + self.param("position", nn.initializers.normal(0.02), (tokens, self.width))
        for _ in range(2):
            y = nn.LayerNorm()(x)
            x = x + nn.MultiHeadDotProductAttention(num_heads=4)(y)
            y = nn.Dense(2 * self.width)(nn.LayerNorm()(x))
            x = x + nn.Dense(self.width)(nn.gelu(y))
        return nn.LayerNorm()(x).mean(axis=1)


class Classifier(nn.Module):
    """A front-end, a network on its features, and one logit for each label."""

    frontend: FrontEnd
    n_labels: int
    model: str = "cnn"

    @nn.compact
    def __call__(self, waveform: jax.Array) -> jax.Array:
        x = Features(self.frontend, name="features")(waveform)
        # Without the mean of the recording, its level hardly matters. What is left of a natural
        # logarithm of a power varies by about 3.
        x = (x - x.mean(axis=1, keepdims=True)) / 3
        x = (Cnn() if self.model == "cnn" else Transformer())(x)
        return nn.Dense(self.n_labels)(x)


# Training.


def make_optimizer(
    steps: int, learning_rate: float, frontend_factor: float
) -> optax.GradientTransformation:
    """Adam with a cosine schedule, and a learning rate of its own for the front-end."""

    def adam(rate: float) -> optax.GradientTransformation:
        return optax.adam(optax.cosine_decay_schedule(rate, steps))

    def kind(params: dict[str, Any]) -> dict[str, str]:
        return {name: "frontend" if name == "features" else "network" for name in params}

    return optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.multi_transform(
            {"frontend": adam(learning_rate * frontend_factor), "network": adam(learning_rate)},
            kind,
        ),
    )


def make_trainer(
    model: Classifier, optimizer: optax.GradientTransformation
) -> tuple[Callable[..., Any], Callable[..., tuple[Any, jax.Array]]]:
    """Two compiled functions: ``start(keys, x) -> state`` and ``run(state, x, y, rows)``.

    ``state`` is ``(params, state of the optimiser)`` of one seed for each key, stacked: seeds are
    trained side by side. Every row of indices in ``rows`` is a batch and one step; ``run`` returns
    the new state and the losses.
    """

    @jax.jit
    @partial(jax.vmap, in_axes=(0, None))
    def start(key: jax.Array, x: jax.Array) -> Any:
        params = model.init(key, x)["params"]
        return params, optimizer.init(params)

    @jax.jit
    def run(state: Any, x: jax.Array, y: jax.Array, rows: jax.Array) -> tuple[Any, jax.Array]:
        def loss(params: Any, batch: jax.Array) -> jax.Array:
            logits = model.apply({"params": params}, x[batch])
            return optax.softmax_cross_entropy_with_integer_labels(logits, y[batch]).mean()

        def step(state: Any, batch: jax.Array) -> tuple[Any, jax.Array]:
            params, memory = state
            value, gradient = jax.value_and_grad(loss)(params, batch)
            updates, memory = optimizer.update(gradient, memory, params)
            return (optax.apply_updates(params, updates), memory), value

        # The batch is the same for all seeds, and so is the spectrum, computed once.
        return jax.lax.scan(jax.vmap(step, in_axes=(0, None)), state, rows)

    return start, run


@partial(jax.jit, static_argnums=0)
def evaluate(model: Classifier, variables: Any, x: jax.Array) -> jax.Array:
    """The logits of every clip; computed batch by batch to bound the memory."""

    padded = jnp.pad(x, ((0, -len(x) % BATCH), (0, 0)))
    logits = jax.lax.map(partial(model.apply, variables), padded.reshape(-1, BATCH, x.shape[1]))
    return logits.reshape(len(padded), -1)[: len(x)]


def batches(chosen: np.ndarray, steps: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Chunks of ``(steps, batch)`` indices of chosen recordings: every one once, then again."""
    rows = np.flatnonzero(chosen)
    size = min(BATCH, len(rows))
    epochs = math.ceil(steps * size / len(rows))
    order = np.concatenate([rng.permutation(rows) for _ in range(epochs)])
    order = order[: steps * size].reshape(steps, size)
    for start in range(0, steps, CHUNK):
        yield order[start : start + CHUNK]


@dataclasses.dataclass
class Row:
    """The results of one front-end: for each fold, the mean over its seeds."""

    n_bands: int
    frontend: str
    train: list[float] = dataclasses.field(default_factory=list)
    held_out: list[float] = dataclasses.field(default_factory=list)
    moved_hz: list[float] = dataclasses.field(default_factory=list)
    seconds: float = 0.0


def train_row(
    model: Classifier, recordings: data.Recordings, args: argparse.Namespace, bar: tqdm
) -> tuple[Row, Any]:
    """Train a model on every fold; its results, and the variables of the first fold and seed."""
    bank = model.frontend["filterbank"]
    learned = bank.layout != "fixed"
    row = Row(bank.n_bands, "learned" if learned else "fixed")
    optimizer = make_optimizer(args.steps, args.learning_rate, args.frontend_learning_rate_factor)
    start, run = make_trainer(model, optimizer)
    x, y = jnp.asarray(recordings.x), jnp.asarray(recordings.y)
    evaluate_seeds = jax.vmap(partial(evaluate, model), in_axes=(0, None))
    begun = time.perf_counter()
    for fold in range(args.folds):
        bar.set_description(f"{row.n_bands} bands, {row.frontend}, fold {fold}")
        held_out = recordings.fold == fold
        # The same starts and the same order of batches for all front-ends.
        state = start(jax.random.split(jax.random.key(fold), args.seeds), x[:1])
        for chunk in batches(~held_out, args.steps, np.random.default_rng(fold)):
            state, losses = run(state, x, y, chunk)
            bar.update(len(chunk))
            bar.set_postfix(loss=f"{float(losses.mean()):.3f}")
        variables = {"params": state[0]}
        right = np.asarray(evaluate_seeds(variables, x).argmax(axis=-1)) == recordings.y
        row.train.append(float(right[:, ~held_out].mean()))
        row.held_out.append(float(right[:, held_out].mean()))
        if learned:
            before, after = bank_params(model, variables)
            moved = jax.vmap(bank.centers)(after) - bank.centers(before)
            row.moved_hz.append(float(jnp.abs(moved).mean()))
        if fold == 0:
            first = jax.tree.map(lambda leaf: leaf[0], variables)
    row.seconds = time.perf_counter() - begun
    return row, first


def bank_params(model: Classifier, variables: Any) -> tuple[Any, Any]:
    """The parameters of the filter bank before and after training."""
    before = model.frontend.init(jax.random.key(0))
    return before["filterbank"], variables["params"]["features"]["filterbank"]


# What is shown and kept.


def table(rows: Sequence[Row]) -> str:
    """The results as text."""

    def spread(values: Sequence[float]) -> str:
        return f"{np.mean(values):.3f} [{min(values):.3f}–{max(values):.3f}]"

    heads = f"{'train':<21}  {'held out':<21}  {'moved':>7}  {'time':>5}"
    lines = [f"{'bands':>5}  {'front-end':<9}  {heads}"]
    for row in rows:
        moved = f"{np.mean(row.moved_hz):.0f} Hz" if row.moved_hz else "–"
        lines.append(
            f"{row.n_bands:>5}  {row.frontend:<9}  {spread(row.train):<21}  "
            f"{spread(row.held_out):<21}  {moved:>7}  {row.seconds:>3.0f} s"
        )
    return "\n".join(lines)


def verdict(fixed: Row, learned: Row) -> str:
    """What two rows say about learning, and no more than that."""
    gain = np.subtract(learned.held_out, fixed.held_out)
    better, n = int((gain > 0).sum()), len(gain)
    text = (
        f"{fixed.n_bands} bands: learning changes the held-out accuracy by {gain.mean():+.3f} "
        f"[{gain.min():+.3f} to {gain.max():+.3f}], better in {better} of {n} fold(s): "
    )
    if n < 3:
        return text + "too few folds to say."
    if better == n:
        return text + "a gain in every fold."
    return text + "no consistent gain."


def draw_filters(trained: Sequence[tuple[Classifier, Any]], path: Path) -> None:
    """The filters before and after training, a column for each number of bands."""
    figure = Figure(figsize=(6.5 * len(trained), 6.5), layout="constrained")
    columns = np.atleast_1d(figure.subfigures(1, len(trained)))
    for column, (model, variables) in zip(columns, trained, strict=True):
        bank = model.frontend["filterbank"]
        before, after = bank_params(model, variables)
        plotting.plot_filters_before_after(
            bank.weights(before),
            bank.weights(after),
            sample_rate=bank.sample_rate,
            n_fft=bank.n_fft,
            centers_before=bank.centers(before),
            centers_after=bank.centers(after),
            figure=column,
        )
        column.suptitle(f"{bank.n_bands} bands (fold 0, seed 0)")
    figure.savefig(path, dpi=120)


def draw_features(
    trained: Sequence[tuple[Classifier, Any]], recordings: data.Recordings, path: Path
) -> None:
    """What the trained front-ends make of one recording, held out from them."""
    clip = int(np.flatnonzero(recordings.fold == 0)[0])
    name = f"{recordings.names[clip]} ({recordings.labels[recordings.y[clip]]})"
    figure = Figure(figsize=(6.5 * len(trained), 5), layout="constrained")
    columns = np.atleast_1d(figure.subfigures(1, len(trained)))
    for column, (model, variables) in zip(columns, trained, strict=True):
        plotting.plot_frontend(
            model.frontend,
            recordings.x[clip],
            params=variables["params"]["features"],
            title=f"{name}\n{model.frontend['filterbank'].n_bands} learned bands (fold 0, seed 0)",
            figure=column,
        )
    figure.savefig(path, dpi=120)


def save(model: Classifier, variables: Any, recordings: data.Recordings, out: Path) -> None:
    """Write a model and what it takes: two JSON files, and its variables with Orbax."""
    settings = {
        "model": model.model,
        "labels": recordings.labels,
        "sample_rate": recordings.sample_rate,
        "samples": recordings.x.shape[1],
    }
    write_json(out / "settings.json", settings)
    write_json(out / "frontend.json", model.frontend.to_dict())
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(out.resolve() / "model", variables, force=True)


def load(out: Path) -> tuple[Classifier, Any, dict[str, Any]]:
    """Read what `save` wrote: a model, its variables and its settings."""
    for name in ("settings.json", "frontend.json", "model"):
        if not (out / name).exists():
            raise ValueError(
                f"{out} holds no trained model: {name} is missing (-o names the folder that an "
                f"earlier run has written)"
            )
    settings = json.loads((out / "settings.json").read_text())
    frontend = FrontEnd.from_dict(json.loads((out / "frontend.json").read_text()))
    model = Classifier(frontend, len(settings["labels"]), settings["model"])
    x = jnp.zeros((1, settings["samples"]))
    shapes = jax.eval_shape(model.init, jax.random.key(0), x)
    with ocp.StandardCheckpointer() as checkpointer:
        return model, checkpointer.restore(out.resolve() / "model", shapes), settings


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file that people can read."""
    path.write_text(json.dumps(content, indent=2) + "\n")


def predict(out: Path, files: Sequence[Path]) -> str:
    """The most likely label of every file, and its probability, as text."""
    model, variables, settings = load(out)
    labels, samples, rate = (settings[name] for name in ("labels", "samples", "sample_rate"))
    clips = [data.read(path, sample_rate=rate, seconds=samples / rate) for path in files]
    logits = evaluate(model, variables, jnp.asarray(data.of_one_length(clips, samples)))
    width = max(len(str(path)) for path in files)
    lines = [f"The first {samples / rate:.2f} s of every file, at {rate} Hz:"]
    for path, chances in zip(files, np.asarray(nn.softmax(logits)), strict=True):
        best = int(chances.argmax())
        lines.append(f"{path!s:<{width}}  {labels[best]}  {chances[best]:.3f}")
    return "\n".join(lines)


# The command.


def parse_args(argv: Sequence[str] | None) -> tuple[argparse.Namespace, argparse.ArgumentParser]:
    """The options, and the parser that reports what is wrong with them."""
    parser = argparse.ArgumentParser(
        description="Train a small network through fixed and through learned bands, and compare."
    )
    option = parser.add_argument
    option("--model", choices=("cnn", "transformer"), default="cnn", help="default cnn")
    option("--bands", type=int, nargs="+", default=[4, 40], metavar="N", help="default 4 40")
    option(
        "--folds",
        type=int,
        default=data.N_FOLDS,
        metavar="N",
        help="how many of the five fifths of the data are held out in turn (default 5)",
    )
    option("--steps", type=int, default=300, help=f"steps of {BATCH} clips (default 300)")
    option("--learning-rate", type=float, help="default 0.005, for the transformer 0.002")
    option(
        "--frontend-learning-rate-factor",
        type=float,
        default=10.0,
        metavar="F",
        help="learning rate of the front-end over that of the network (default 10)",
    )
    option("--seeds", type=int, default=3, metavar="N", help="starts for each fold (default 3)")
    option("-o", "--out", type=Path, default=Path("out"), help="folder to write (default out)")
    option("--quick", action="store_true", help="40 steps, one fold, one seed: does it run?")
    option(
        "--predict",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="train nothing: print the most likely label of every file and its probability, by "
        "the model that an earlier run has written into the folder of -o",
    )

    option = parser.add_argument_group(
        "your own recordings", "Several channels are averaged."
    ).add_argument
    option("--data", type=Path, metavar="DIR", help="a folder DIR/label/*.wav|flac|ogg|mp3")
    option(
        "--sample-rate",
        type=int,
        default=16000,
        metavar="HZ",
        help="what all files are resampled to (default 16000): what lies above half of it is lost",
    )
    option(
        "--seconds",
        type=float,
        help="length that clips are cut or padded to (default: the 90th percentile of their "
        "durations, at most 4)",
    )
    option(
        "--group-by",
        metavar="REGEX",
        help="searched in every file name; files in which its first group finds the same text "
        "(the speaker, the instrument) are not divided between training and held-out part: "
        "'_(.+)_' for 7_anna_3.wav. Without it every file stands alone, and the accuracy says "
        "nothing about new speakers.",
    )
    args = parser.parse_args(argv)
    if args.quick:
        args.steps, args.folds, args.seeds = min(args.steps, 40), 1, 1
    if args.learning_rate is None:
        args.learning_rate = LEARNING_RATES[args.model]
    for name in ("steps", "folds", "seeds", "learning_rate", "sample_rate", "seconds"):
        value = getattr(args, name)
        if value is not None and not value > 0:
            parser.error(f"--{name.replace('_', '-')} must be above 0, got {value}")
    return args, parser


def main(argv: Sequence[str] | None = None) -> None:
    args, parser = parse_args(argv)
    if args.predict:
        try:
            print(predict(args.out, args.predict))
        except (ImportError, ValueError) as error:
            parser.error(str(error))
        return
    try:
        if args.data is None:
            recordings = data.instruments()
        else:
            recordings = data.folder(
                args.data,
                sample_rate=args.sample_rate,
                seconds=args.seconds,
                group_by=args.group_by,
            )
        frontends = [
            make_frontend(recordings.sample_rate, n_bands, learned=learned)
            for n_bands in args.bands
            for learned in (False, True)
        ]
    except (ImportError, ValueError) as error:
        parser.error(str(error))
    # What is used, not what was asked for: the report says so.
    args.folds = min(args.folds, recordings.n_folds)
    args.sample_rate = recordings.sample_rate
    args.seconds = recordings.x.shape[1] / recordings.sample_rate
    args.out.mkdir(parents=True, exist_ok=True)
    print(
        f"{len(recordings.x)} recordings of {len(recordings.labels)} labels, "
        f"{args.seconds:.2f} s at {args.sample_rate} Hz; "
        f"always guessing the most common label: {recordings.largest_share:.3f}"
    )
    for note in recordings.notes:
        print(note)

    rows, trained = [], []
    with tqdm(total=len(frontends) * args.folds * args.steps, unit="step") as bar:
        for frontend in frontends:
            model = Classifier(frontend, len(recordings.labels), args.model)
            row, variables = train_row(model, recordings, args, bar)
            rows.append(row)
            if row.frontend == "learned":
                trained.append((model, variables))

    counts = f"{args.folds} fold(s), {args.seeds} seed(s) each"
    print(f"\nAccuracy, mean [least–greatest] of {counts}:\n\n{table(rows)}\n")
    print("moved: mean distance of the centres from their start, over bands, folds and seeds\n")
    for fixed, learned in zip(rows[::2], rows[1::2], strict=True):
        print(verdict(fixed, learned))
    draw_filters(trained, args.out / "filters.png")
    draw_features(trained, recordings, args.out / "features.png")

    model, variables = trained[0]
    save(model, variables, recordings, args.out)
    x = jnp.asarray(recordings.x)
    again, variables_again, _ = load(args.out)
    expected = evaluate(model, variables, x).argmax(axis=-1)
    if not np.array_equal(evaluate(again, variables_again, x).argmax(axis=-1), expected):
        raise RuntimeError(f"the model read from {args.out} predicts something else")
    report = {
        "data": "instruments" if args.data is None else str(args.data),
        "labels": recordings.labels,
        "settings": {name: value for name, value in vars(args).items() if name not in NO_SETTINGS},
        "rows": [dataclasses.asdict(row) for row in rows],
        "skipped": recordings.skipped,
        "notes": recordings.notes,
    }
    write_json(args.out / "results.json", report)
    print(f"\nWritten into {args.out}: {', '.join(WRITTEN)}.")
    print(f"The learned {rows[1].n_bands}-band model, read again from there, predicts the same.")
    print(f"Use it: --predict FILE [FILE …] -o {args.out}")
    if recordings.skipped:
        print(f"Skipped files: {len(recordings.skipped)}, named above.")


if __name__ == "__main__":
    main()
