"""Listen for spoken digits: a small causal network on a stream of features.

    python examples/digit_spotter.py                     # train, test, write out/spotter.npz
    python examples/digit_spotter.py --live FILE         # or "-", or "mic": show what it hears

The network is trained offline on padded batches (`jaxspec.apply_padded`): words with pauses between
them, in noise, at random levels, with masks over time and bands. Some of the words run backwards:
they are no words. It is then tested as it is used, on one long stream of words that it has not
heard, 20 ms at a time (`jaxspec.Stream`): which words were found, what was heard where there was
none, and how long after the end of a word the answer came.

The digits are those of the Free Spoken Digit Dataset: recordings 0 to 4 of each speaker and digit
are the test, as the data set has it, and 5 to 9 set the threshold. The speakers are the same in
training and test; ``--leave-out SPEAKER`` trains without one and tests on that one alone. The
folder ``fsdd`` (one file of all clips and a table of them) is looked for in ``--data`` or the
folder that the environment variable ``JAXSPEC_DATA`` names. Without it the example listens for the
families of the instruments that come with the repository. About 2 minutes on two cores.

It needs ``pip install "jaxspec-audio[examples]"``.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import recordings
from tqdm import tqdm

import jaxspec
from jaxspec import FrontEnd, audio, live, stages

RATE, HOP = 8000, 80  # Hz, samples
CHUNK = 160  # samples that are listened to at once
WIDTH, TAPS, DILATIONS = 48, 3, (1, 2, 4, 8, 16, 16)  # 0.95 s of the past
SECONDS, BATCH = 3.0, 24  # of training
BACKWARDS = 0.2  # share of the words of the training that run backwards
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SMOOTHING = 0.25  # of the chances, from frame to frame
DATA = Path(os.environ.get("JAXSPEC_DATA", Path(__file__).parents[2] / "shared" / "data"))

Params = Any


def make_frontend() -> FrontEnd:
    """Mel bands every 10 ms and PCEN, which takes out the level as it goes."""
    return FrontEnd(
        stages.STFT(n_fft=256, win_length=200, hop_length=HOP),
        stages.Power(),
        stages.Filterbank(sample_rate=RATE, n_fft=256, n_bands=32),
        stages.PCEN(),
    )


# The words.


@dataclasses.dataclass(frozen=True)
class Words:
    """Clips, what is said in them, and which of them are for what.

    Attributes:
      clips: float32, one array a word.
      y: int32 ``(clips,)``, index into ``labels``.
      labels: the words.
      test: booleans ``(clips,)``: the test.
      held_out: booleans ``(clips,)``: those that set the threshold.
      what: in a line.
    """

    clips: list[np.ndarray]
    y: np.ndarray
    labels: tuple[str, ...]
    test: np.ndarray
    held_out: np.ndarray
    what: str


def read_words(folder: Path, leave_out: str | None) -> Words:
    """The digits in a folder or, where there are none, the instruments of the examples."""
    table = folder / "fsdd" / "fsdd.csv"
    if not table.exists():
        if leave_out:
            raise ValueError(f"--leave-out needs the digits, and {table} does not exist")
        notes = recordings.instruments()
        print(f"No digits: {table} does not exist (see --data). Instruments instead.")
        return Words(
            list(notes.x), notes.y, notes.labels, notes.fold == 0, notes.fold == 1,
            "notes of instruments, the test of other notes of the same instruments",
        )  # fmt: skip
    x, _ = audio.load(table.with_name("fsdd.flac"), sample_rate=RATE)
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    index = np.array([int(row["index"]) for row in rows])
    speaker = np.array([row["speaker"] for row in rows])
    test, what = index < 5, "digits, recordings 0 to 4 of each speaker and digit in the test"
    if leave_out:
        if leave_out not in speaker:
            known = ", ".join(sorted(set(speaker)))
            raise ValueError(f"--leave-out must be one of {known}; got {leave_out}")
        test, what = speaker == leave_out, f"digits, all of {leave_out} in the test"
    return Words(
        [x[int(row["start"]) : int(row["stop"])] for row in rows],
        np.array([int(row["digit"]) for row in rows], np.int32),
        DIGITS, test, (index >= 5) & (index < 10) & ~test, what,
    )  # fmt: skip


class Said(NamedTuple):
    """A word in a stream: its first sample, the one behind its last, and its label (or -1)."""

    start: int
    stop: int
    label: int


def spoken(
    words: Words, chosen: np.ndarray, rng: np.random.Generator, *, pause: tuple[float, float],
    backwards: float = 0.0, room: int | None = None,
) -> tuple[np.ndarray, list[Said]]:  # fmt: skip
    """Words one after the other with pauses, all of them or as many as there is room for."""
    parts, said, at = [], [], 0
    for number in chosen:
        gap = round(rng.uniform(*pause) * RATE)
        clip, label = words.clips[number], int(words.y[number])
        if room is not None and at + gap + len(clip) > room - RATE // 5:
            break
        if rng.uniform() < backwards:
            clip, label = clip[::-1], -1
        # Clips of all loudnesses, as from one distance.
        clip = 0.05 * clip / np.sqrt(np.mean(clip**2) + 1e-8)
        parts += [np.zeros(gap, np.float32), clip]
        said.append(Said(at + gap, at + gap + len(clip), label))
        at += gap + len(clip)
    return np.concatenate([*parts, np.zeros(RATE // 5, np.float32)]).astype(np.float32), said


def targets(said: Sequence[Said], frames: int, none: int) -> np.ndarray:
    """What each frame should say: ``none``, a word about its end, -1 where both are right."""
    target = np.full(frames, none, np.int32)
    for word in said:
        if word.label >= 0:
            begin = (word.start + 2 * (word.stop - word.start) // 5) // HOP
            end = word.stop // HOP
            target[begin : end - 8] = -1
            target[max(end - 8, begin) : end + 12] = word.label
            target[end + 12 : end + 20] = -1
    return target


def batch_of(words: Words, chosen: np.ndarray, rng: np.random.Generator) -> Any:
    """Padded waveforms, their lengths, and the targets of their frames."""
    room = round(SECONDS * RATE)
    x, lengths = np.zeros((BATCH, room), np.float32), np.zeros(BATCH, np.int32)
    y = np.full((BATCH, room // HOP + 1), -1, np.int32)
    for row in range(BATCH):
        picked = rng.choice(chosen, 6)
        one, said = spoken(words, picked, rng, pause=(0.1, 0.6), backwards=BACKWARDS, room=room)
        x[row, : len(one)], lengths[row] = one, len(one)
        frames = len(one) // HOP + 1
        y[row, :frames] = targets(said, frames, len(words.labels))
    return x, lengths, y


# The network: causal convolutions, which carry their past from call to call.


def init_network(key: jax.Array, bands: int, n_labels: int) -> Params:
    keys = jax.random.split(key, len(DILATIONS) + 2)

    def dense(key: jax.Array, n_in: int, n_out: int, taps: int = 1) -> Params:
        kernel = jax.random.normal(key, (taps, n_in, n_out)) / np.sqrt(taps * n_in)
        return {"kernel": kernel, "bias": jnp.zeros(n_out)}

    return {
        "first": dense(keys[0], bands, WIDTH),
        "layers": [dense(k, WIDTH, WIDTH, TAPS) for k in keys[1:-1]],
        "last": dense(keys[-1], WIDTH, n_labels + 1),
    }


def no_past() -> list[jax.Array]:
    """What the layers remember before the first frame."""
    return [jnp.zeros(((TAPS - 1) * dilation, WIDTH)) for dilation in DILATIONS]


def network(
    params: Params, past: list[jax.Array], x: jax.Array, count: Any = None
) -> tuple[list[jax.Array], jax.Array]:
    """Scores of all labels and of none for features ``(frames, bands)``, of which ``count`` count.

    Returns the past for the next call, and the scores ``(frames, labels + 1)``.
    """
    count = len(x) if count is None else count
    x = x @ params["first"]["kernel"][0] + params["first"]["bias"]
    after = []
    for layer, dilation, own in zip(params["layers"], DILATIONS, past, strict=True):
        seen = jnp.concatenate([own, normal(x)])
        taps = [seen[k * dilation : k * dilation + len(x)] for k in range(TAPS)]
        y = sum(tap @ kernel for tap, kernel in zip(taps, layer["kernel"], strict=True))
        x = x + jax.nn.relu(y + layer["bias"])
        after.append(jax.lax.dynamic_slice_in_dim(seen, count, len(own)))
    return after, normal(x) @ params["last"]["kernel"][0] + params["last"]["bias"]


def normal(x: jax.Array) -> jax.Array:
    """Each frame less its mean and over its deviation."""
    return (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-3)


# A trained spotter.


@dataclasses.dataclass(frozen=True)
class Spotter:
    """What is needed to listen: the front-end, the network, and when a word counts as heard."""

    frontend: FrontEnd
    params: Params
    labels: tuple[str, ...]
    threshold: float

    def save(self, path: Path) -> None:
        """Write all of it into one ``.npz``."""
        leaves, _ = jax.tree.flatten(self.params)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            path,
            frontend=json.dumps(self.frontend.to_dict()),
            labels=np.array(self.labels),
            threshold=self.threshold,
            **{f"leaf_{i:02}": np.asarray(leaf) for i, leaf in enumerate(leaves)},
        )

    @classmethod
    def load(cls, path: Path) -> Spotter:
        """What `save` has written."""
        try:
            with np.load(path) as data:
                frontend = FrontEnd.from_dict(json.loads(str(data["frontend"])))
                labels = tuple(map(str, data["labels"]))
                leaves = [data[name] for name in sorted(data.files) if name.startswith("leaf_")]
                threshold = float(data["threshold"])
        except (OSError, KeyError, ValueError) as error:
            raise ValueError(f"{path} is no spotter, train one first: {error}") from error
        bands = frontend.channels(None)
        shapes = jax.eval_shape(partial(init_network, bands=bands, n_labels=len(labels)),
                                jax.random.key(0))  # fmt: skip
        params = jax.tree.unflatten(jax.tree.structure(shapes), leaves)
        return cls(frontend, params, labels, threshold)


def not_heard(n_labels: int) -> Any:
    """The state of `heard` before the first frame: past, smoothed chances, whether one may come."""
    return no_past(), jnp.zeros(n_labels), jnp.array(True)


def heard(params: Params, threshold: Any, state: Any, features: jax.Array, count: Any) -> Any:
    """The label that each of the first ``count`` frames reports, or -1, after the state.

    A word is reported when its smoothed chance passes the threshold, and no other one until all
    chances have fallen below half of it.
    """
    past, smoothed, ready = state
    past, scores = network(params, past, features, count)

    def frame(carry: Any, now: Any) -> Any:
        (smoothed, ready), (chances, real) = carry, now
        new = smoothed + SMOOTHING * (chances - smoothed)
        found = ready & (new.max() > threshold) & real
        again = jnp.where(ready, ~found, new.max() < threshold / 2)
        kept = (jnp.where(real, new, smoothed), jnp.where(real, again, ready))
        return kept, jnp.where(found, new.argmax(), -1)

    chances = jax.nn.softmax(scores)[:, :-1]
    real = jnp.arange(len(features)) < count
    (smoothed, ready), found = jax.lax.scan(frame, (smoothed, ready), (chances, real))
    return (past, smoothed, ready), found


@partial(jax.jit, static_argnums=0)
def listen(frontend: FrontEnd, params: Params, threshold: Any, x: jax.Array) -> jax.Array:
    """What is reported in each chunk of a long waveform, or -1: ``(chunks,)``."""
    stream = jaxspec.Stream(frontend)
    n_labels = params["last"]["bias"].shape[0] - 1

    def step(state: Any, chunk: jax.Array) -> Any:
        stream_state, own = state
        stream_state, features, count = stream.step(stream_state, chunk)
        own, found = heard(params, threshold, own, features, count)
        return (stream_state, own), found.max()

    chunks = x[: len(x) // CHUNK * CHUNK].reshape(-1, CHUNK)
    return jax.lax.scan(step, (stream.init_state(), not_heard(n_labels)), chunks)[1]


class Ear:
    """For `jaxspec.live.watch`: called with new frames, says which words they end."""

    ROOM = 8  # frames a call, so that all calls are compiled as one

    def __init__(self, spotter: Spotter) -> None:
        self._spotter, self._state = spotter, not_heard(len(spotter.labels))
        self._heard = jax.jit(heard)
        bands = spotter.params["first"]["kernel"].shape[1]
        self._call(np.zeros((0, bands), np.float32))  # compiles it before the sound begins

    def __call__(self, features: np.ndarray) -> list[str]:
        parts = range(0, len(features), self.ROOM)
        return [word for at in parts for word in self._call(features[at : at + self.ROOM])]

    def _call(self, features: np.ndarray) -> list[str]:
        padded = np.pad(features, ((0, self.ROOM - len(features)), (0, 0)))
        own = self._spotter
        self._state, found = self._heard(
            own.params, own.threshold, self._state, padded, len(features)
        )
        return [own.labels[label] for label in np.asarray(found) if label >= 0]


# Training and test.


def train(words: Words, frontend: FrontEnd, steps: int) -> Params:
    """A network that has learned from all words but those of the test and those held out."""
    rng = np.random.default_rng(0)
    chosen = np.flatnonzero(~words.test & ~words.held_out)
    optimizer = optax.adamw(
        optax.warmup_cosine_decay_schedule(0.0, 3e-3, steps // 10 + 1, steps + 1)
    )

    def loss(params: Params, key: jax.Array, x: jax.Array, lengths: jax.Array, y: jax.Array) -> Any:
        keys = jax.random.split(key, 4)
        snr = jax.random.uniform(keys[0], (BATCH,), minval=5, maxval=35)
        x = jaxspec.add_noise(x, jax.random.normal(keys[1], x.shape), snr=snr, lengths=lengths)
        x = jaxspec.random_gain(keys[2], x, low=-20, high=10)
        padded = jaxspec.apply_padded(frontend, {}, x, lengths=lengths)
        features = jaxspec.spec_augment(
            keys[3], padded.features, lengths=padded.lengths, time_mask_width=6,
            n_freq_masks=1, freq_mask_width=4, fill="mean",
        )  # fmt: skip
        _, scores = jax.vmap(partial(network, params, no_past()))(features)
        counts = padded.mask & (y >= 0)
        losses = optax.softmax_cross_entropy_with_integer_labels(scores, jnp.maximum(y, 0))
        return jnp.where(counts, losses, 0).sum() / counts.sum()

    @jax.jit
    def update(state: Any, key: jax.Array, batch: Any) -> Any:
        params, memory = state
        value, gradient = jax.value_and_grad(loss)(params, key, *batch)
        updates, memory = optimizer.update(gradient, memory, params)
        return (optax.apply_updates(params, updates), memory), value

    params = init_network(jax.random.key(0), frontend.channels(None), len(words.labels))
    state = params, optimizer.init(params)
    with tqdm(range(steps), unit="step") as bar:
        for step in bar:
            key = jax.random.fold_in(jax.random.key(1), step)
            state, value = update(state, key, batch_of(words, chosen, rng))
            if step % 20 == 0:
                bar.set_postfix(loss=f"{value:.3f}")
    return state[0]


class Score(NamedTuple):
    """What was heard in a stream: words, hits, other words instead, alarms, and delays in s."""

    words: int
    hits: int
    wrong: int
    alarms: int
    minutes: float
    delays: np.ndarray

    def __str__(self) -> str:
        missed = self.words - self.hits - self.wrong
        text = (
            f"{self.words} words in {self.minutes:.1f} min: {self.hits} hits "
            f"({100 * self.hits / self.words:.1f} %), {self.wrong} taken for another word, "
            f"{missed} missed; {self.alarms} false alarms "
            f"({self.alarms / self.minutes:.1f} a minute)"
        )
        if len(self.delays):
            middle, late = 1000 * np.quantile(self.delays, (0.5, 0.9))
            text += f"; {middle:.0f} ms from the end of a word (median; 90 % within {late:.0f} ms)"
        return text


def score(found: np.ndarray, said: Sequence[Said], samples: int) -> Score:
    """Compare what each chunk reported with what was said.

    A report belongs to the word that it comes in, or within 0.4 s of whose end it comes before the
    next one begins. The first report for a word counts; further ones are false alarms.
    """
    reports = [((i + 1) * CHUNK, int(label)) for i, label in enumerate(found) if label >= 0]
    starts = np.array([word.start for word in said])
    first: dict[int, tuple[int, int]] = {}
    alarms = 0
    for at, label in reports:
        place = int(np.searchsorted(starts, at, side="right")) - 1
        if place < 0 or at > said[place].stop + 0.4 * RATE or place in first:
            alarms += 1
        else:
            first[place] = (at, label)
    right = {k: at for k, (at, label) in first.items() if label == said[k].label}
    delays = np.array([(at - said[k].stop) / RATE for k, at in right.items()])
    minutes = samples / RATE / 60
    return Score(len(said), len(right), len(first) - len(right), alarms, minutes, delays)


def long_stream(words: Words, chosen: np.ndarray, seed: int) -> tuple[np.ndarray, list[Said]]:
    """Words in random order with pauses, in noise 20 dB below them."""
    rng = np.random.default_rng(seed)
    x, said = spoken(words, rng.permutation(chosen), rng, pause=(0.4, 1.0))
    noise = 0.05 * 10 ** (-20 / 20) * rng.standard_normal(len(x), np.float32)
    return x + noise, said


def choose_threshold(frontend: FrontEnd, params: Params, words: Words, every: int) -> float:
    """The one with the most hits less errors in a stream of the words held out for this."""
    x, said = long_stream(words, np.flatnonzero(words.held_out)[::every], seed=1)
    found = jax.vmap(partial(listen, frontend, params), (0, None))(jnp.array(THRESHOLDS), x)
    scores = [score(reports, said, len(x)) for reports in np.asarray(found)]
    return THRESHOLDS[int(np.argmax([s.hits - s.wrong - s.alarms for s in scores]))]


def other_speech(spotter: Spotter, folder: Path) -> None:
    """Say how often digits are heard where hardly any are: in recordings of other speech."""
    paths = [path for path in audio.audio_files(folder) if path.parent.name in ("speech", "clips")]
    paths = [path for path in paths if path.stem.startswith(("jfk", "libri"))]
    alarms = seconds = 0.0
    for path in paths:
        x, _ = audio.load(path, sample_rate=RATE)
        found = listen(spotter.frontend, spotter.params, spotter.threshold, jnp.asarray(x))
        alarms, seconds = alarms + int((found >= 0).sum()), seconds + len(x) / RATE
    if paths:
        print(
            f"Other speech, of which it has never heard any: {alarms:.0f} reports in "
            f"{seconds:.0f} s ({60 * alarms / seconds:.0f} a minute)."
        )


# The command.


def parse_args(argv: Sequence[str] | None) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser(description="Train a network that listens for spoken digits.")
    option = parser.add_argument
    option(
        "-o",
        "--output",
        type=Path,
        default=Path("out/spotter.npz"),
        metavar="MODEL.npz",
        help="where the model is written, and read from with --live (default out/spotter.npz)",
    )
    option("--data", type=Path, default=DATA, metavar="DIR", help="the folder that holds fsdd")
    option("--leave-out", metavar="SPEAKER", help="test on this one, train on the others")
    option("--steps", type=int, default=900, help=f"of {BATCH} streams (default 900)")
    option("--live", metavar="FILE|-|mic", help="listen to this and show what is heard")
    option("--speed", type=float, metavar="X", help="of --live, times real time (as jaxspec live)")
    option("--quick", action="store_true", help="4 steps and few words: does it run?")
    args = parser.parse_args(argv)
    if args.steps < 1:
        parser.error(f"--steps must be at least 1, got {args.steps}")
    return parser, args


def show(path: Path, where: str, speed: float | None) -> None:
    """Draw a stream, with the words that are heard in it."""
    spotter = Spotter.load(path)
    with live.open_source(where, sample_rate=RATE) as source:
        live.watch(source, spotter.frontend, events=Ear(spotter), speed=speed)


def main(argv: Sequence[str] | None = None) -> Score | None:
    parser, args = parse_args(argv)
    try:
        if args.live:
            show(args.output, args.live, args.speed)
            return None
        words = read_words(args.data, args.leave_out)
    except (ValueError, ImportError) as error:
        parser.error(str(error))
    frontend = make_frontend()
    steps, every = (4, 20) if args.quick else (args.steps, 1)
    print(f"{len(words.clips)} {words.what}")
    params = train(words, frontend, steps)
    threshold = choose_threshold(frontend, params, words, every)
    spotter = Spotter(frontend, params, words.labels, threshold)
    x, said = long_stream(words, np.flatnonzero(words.test)[::every], seed=2)
    result = score(np.asarray(listen(frontend, params, threshold, x)), said, len(x))
    print(f"Threshold {threshold:g}. Test: {result}.")
    if args.data.is_dir() and not args.quick:
        other_speech(spotter, args.data)
    spotter.save(args.output)
    print(f"Written: {args.output}")
    return result


if __name__ == "__main__":
    main()
