"""The examples, run as a user runs them, for a few steps."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import soundfile

EXAMPLES = Path(__file__).parents[1] / "examples"
PICTURES = {"features.png", "filters.png"}
WRITTEN = {*PICTURES, "frontend.json", "model", "results.json", "settings.json"}


@pytest.fixture
def train_classifier(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("train_classifier")


@pytest.fixture
def recordings(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("recordings")


def _refused(train_classifier, capsys, *words):
    """The last line on stderr of a command that ends with exit code 2."""
    with pytest.raises(SystemExit) as stopped:
        train_classifier.main([str(word) for word in words])
    assert stopped.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def _write(root, label, *, n, seconds=0.5, rate=8000):
    """Noise in files of one label, and their paths."""
    (root / label).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    paths = [root / label / f"{number}.wav" for number in range(n)]
    for path in paths:
        soundfile.write(path, 0.1 * rng.standard_normal(round(seconds * rate)), rate)
    return paths


@pytest.fixture
def tones(tmp_path):
    """A folder of low and high tones of two speakers, and one file that is none."""
    rng = np.random.default_rng(0)
    root = tmp_path / "tones"
    for label, hertz in (("low", 300), ("high", 2500)):
        (root / label).mkdir(parents=True)
        for number in range(10):
            time = np.arange(3000 + 100 * number) / 8000
            tone = 0.3 * np.sin(2 * np.pi * hertz * rng.uniform(0.8, 1.2) * time)
            tone += 0.01 * rng.standard_normal(len(time))
            name = f"{label}_{'anna' if number % 2 else 'ben'}_{number}"
            soundfile.write(root / label / f"{name}.{'flac' if number % 3 else 'wav'}", tone, 8000)
    (root / "low" / "broken.wav").write_bytes(b"RIFF and then nothing")
    (root / "notes.txt").write_text("no label")
    return root


def _results(out, *, bands, model):
    """The rows of a run, after checking that everything was written."""
    assert {path.name for path in out.iterdir()} == WRITTEN
    for name in PICTURES:
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    results = json.loads((out / "results.json").read_text())
    assert results["settings"]["model"] == model
    rows = results["rows"]
    assert [(row["n_bands"], row["frontend"]) for row in rows] == [
        (n, frontend) for n in bands for frontend in ("fixed", "learned")
    ]
    for row in rows:
        assert len(row["train"]) == len(row["held_out"]) == results["settings"]["folds"]
        assert all(0 <= accuracy <= 1 for accuracy in row["train"] + row["held_out"])
        learned = row["frontend"] == "learned"
        assert [moved > 0 for moved in row["moved_hz"]] == [True] * len(row["train"]) * learned
    return results


@pytest.mark.exhaustive
def test_the_command_of_the_readme(tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, str(EXAMPLES / "train_classifier.py"), "--quick", "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    results = _results(out, bands=(4, 40), model="cnn")
    assert "562 recordings of 10 labels, 0.50 s at 8000 Hz" in done.stdout
    assert "too few folds to say" in done.stdout  # one fold proves nothing, and the text says so
    assert "predicts the same" in done.stdout
    assert "160/160" in done.stderr  # the progress bar
    assert "moved: mean distance of the centres from their start" in done.stdout
    # What was used, not the defaults of the options for other data.
    assert results["settings"]["sample_rate"] == 8000
    assert results["settings"]["seconds"] == 0.5
    # Forty steps already beat guessing (0.107) by far.
    assert all(row["held_out"][0] > 0.25 for row in results["rows"])


@pytest.mark.exhaustive
def test_a_folder_of_recordings_and_the_transformer(train_classifier, tones, tmp_path, capsys):
    out = tmp_path / "out"
    options = "--quick --model transformer --bands 4 --sample-rate 8000"
    train_classifier.main([*options.split(), "--data", str(tones), "-o", str(out)])
    results = _results(out, bands=(4,), model="transformer")
    assert results["labels"] == ["high", "low"]
    assert len(results["skipped"]) == 1
    assert "broken.wav" in results["skipped"][0]
    printed = capsys.readouterr()
    assert "skipped: cannot read" in printed.err
    assert "broken.wav" in printed.err
    assert "20 recordings of 2 labels" in printed.out
    assert "Skipped files: 1," in printed.out
    assert results["rows"][1]["train"][0] > 0.9  # the two tones are easy
    assert "Lengths: 2 cut, 18 padded with zeros to 0.48 s." in printed.out
    assert "Sample rates" not in printed.out  # nothing is lost

    # The model that was written knows its labels, its rate and its length.
    clip, rate = soundfile.read(tones / "high" / "high_ben_0.wav")
    high, low, doubled = (tmp_path / f"{name}.wav" for name in ("high", "low", "doubled"))
    soundfile.write(high, clip, rate)
    soundfile.write(low, soundfile.read(tones / "low" / "low_anna_9.wav")[0], rate)
    soundfile.write(doubled, np.repeat(clip, 2), 2 * rate)  # the same tone at another rate
    files = [str(path) for path in (low, high, doubled)]
    train_classifier.main(["-o", str(out), "--predict", *files])
    head, *lines = capsys.readouterr().out.splitlines()
    assert head == "The first 0.48 s of every file, at 8000 Hz:"
    said = [line.split() for line in lines]
    assert [words[:2] for words in said] == [
        [files[0], "low"],
        [files[1], "high"],
        [files[2], "high"],
    ]
    assert all(0.5 < float(chance) <= 1 for _, _, chance in said)
    error = _refused(train_classifier, capsys, "-o", out, "--predict", low, tmp_path / "none.wav")
    assert "none.wav: No such file" in error


def test_predicting_needs_a_trained_model(train_classifier, tmp_path, capsys):
    error = _refused(train_classifier, capsys, "-o", tmp_path, "--predict", "x.wav")
    assert f"{tmp_path} holds no trained model: settings.json is missing" in error


@pytest.mark.parametrize("case", ["missing", "empty", "one label", "unreadable", "group", "regex"])
def test_a_useless_folder_is_refused(train_classifier, tones, tmp_path, capsys, case):
    arguments = ["-o", tmp_path / "out", "--data", tones]
    if case == "missing":
        arguments[-1] = tmp_path / "none"
    elif case == "empty":
        arguments[-1] = tmp_path  # its only folder holds folders, so it is one label
    elif case == "one label":
        for path in (tones / "high").iterdir():
            path.unlink()
    elif case == "unreadable":
        for path in tones.rglob("*_*"):
            path.write_bytes(b"nothing")
    else:
        arguments += ["--group-by", "_([0-9]+)_" if case == "group" else "_(["]
    last = _refused(train_classifier, capsys, *arguments)
    expected = {
        "missing": "is not a folder",
        "group": "finds no group in the file name",
        "regex": "is no regular expression",
    }
    assert expected.get(case, "at least two labels") in last
    assert not (tmp_path / "out").exists()


def test_recordings_without_a_folder_of_their_label(recordings, tmp_path):
    _write(tmp_path, ".", n=3)
    with pytest.raises(ValueError, match=r"^3 recording\(s\) lie directly in .*LABEL/x\.wav"):
        recordings.folder(tmp_path, sample_rate=8000)
    _write(tmp_path, "a", n=5)
    _write(tmp_path, "b", n=5)
    found = recordings.folder(tmp_path, sample_rate=8000)
    assert found.notes == (f"Left out: 3 recording(s) directly in {tmp_path}, without a label.",)
    assert len(found.names) == 10


def test_what_resampling_drops_is_said(recordings, tmp_path):
    _write(tmp_path, "a", n=5, rate=8000)
    _write(tmp_path, "b", n=6, rate=16000)
    (note,) = recordings.folder(tmp_path, sample_rate=8000).notes
    assert note == (
        "Sample rates: 16000 Hz (6 file(s)), 8000 Hz (5 file(s)). All are resampled to 8000 Hz, "
        "which drops what lies above 4000 Hz (see --sample-rate)."
    )
    assert not recordings.folder(tmp_path, sample_rate=16000).notes


def test_cut_and_padded_files_are_counted(recordings, tmp_path):
    _write(tmp_path, "a", n=6, seconds=5)  # longer than what is read of a file by default
    _write(tmp_path, "b", n=5, seconds=4)
    _write(tmp_path, "c", n=5, seconds=0.3)
    soundfile.write(tmp_path / "c" / "3.wav", np.zeros(20), 8000)
    found = recordings.folder(tmp_path, sample_rate=8000)
    assert found.x.shape == (16, 32000)
    assert found.notes == (
        "Lengths: 6 cut, 5 padded with zeros to 4.00 s; 5 shorter than a tenth of it, the "
        "shortest c/3.wav with 0.0025 s.",
    )


def test_labels_with_few_recordings(recordings, tmp_path):
    for label, n in (("a", 5), ("b", 4), ("c", 1)):
        _write(tmp_path, label, n=n)
    (note,) = recordings.folder(tmp_path, sample_rate=8000).notes
    assert note.startswith("Warning: fewer than 5 recordings of b (4), c (1): ")


def test_nothing_to_learn_what_is_held_out_from(recordings, tones, tmp_path):
    for label in "abc":
        _write(tmp_path / "single", label, n=1)
    with pytest.raises(ValueError, match=r"every label of .*single has a single recording"):
        recordings.folder(tmp_path / "single", sample_rate=8000)
    with pytest.raises(ValueError, match="a single group of --group-by"):
        recordings.folder(tones, sample_rate=8000, group_by="(low|high)_")
    _write(tmp_path / "single", "a", n=2)
    assert recordings.folder(tmp_path / "single", sample_rate=8000).n_folds == 4


def test_pictures_say_which_training_they_show(train_classifier, recordings, monkeypatch, tmp_path):
    figures = []
    monkeypatch.setattr(
        train_classifier.Figure, "savefig", lambda self, path, **options: figures.append(self)
    )
    found = recordings.instruments()
    model = train_classifier.Classifier(train_classifier.make_frontend(8000, 4, learned=True), 10)
    params = {"features": model.frontend.init(jax.random.key(0))}
    trained = [(model, {"params": params})]
    train_classifier.draw_filters(trained, tmp_path)
    train_classifier.draw_features(trained, found, tmp_path)
    filters, features = figures
    assert filters.subfigs[0].get_suptitle() == "4 bands (fold 0, seed 0)"
    name, shown = features.subfigs[0].axes[0].get_title().split("\n")
    assert name == "Bass B3(L) (Strings)"
    assert shown == "4 learned bands (fold 0, seed 0)"


def test_folds_are_stratified_and_stable(recordings, tones):
    first = recordings.folder(tones, sample_rate=8000)
    again = recordings.folder(tones, sample_rate=8000)
    np.testing.assert_array_equal(first.fold, again.fold)
    for label in range(2):
        np.testing.assert_array_equal(np.bincount(first.fold[first.y == label]), [2] * 5)
    (tones / "low" / "low_ben_0.wav").unlink()  # not the last in any order: others may move ...
    assert recordings.folder(tones, sample_rate=8000).n_folds == 5  # ... but all folds stay


def test_groups_are_not_divided(recordings, tones):
    found = recordings.folder(tones, sample_rate=8000, group_by="_(anna|ben)_")
    assert found.n_folds == 2
    anna = np.array(["anna" in name for name in found.names])
    assert len(set(found.fold[anna])) == len(set(found.fold[~anna])) == 1


def test_clips_are_cut_and_padded(recordings, tones):
    found = recordings.folder(tones, sample_rate=8000)
    assert found.x.shape == (20, 3810)  # the 90th percentile of 3000, 3100, … 3900, twice each
    shortest = found.names.index("low/low_ben_0.wav")
    assert not found.x[shortest, 3000:].any()
    assert found.x[shortest, :3000].any()
    assert recordings.folder(tones, sample_rate=8000, seconds=0.1).x.shape == (20, 800)


def test_the_embedded_recordings(recordings):
    found = recordings.instruments()
    assert found.x.shape == (562, 4000)
    assert found.x.dtype == np.float32
    assert 0.85 < np.abs(found.x).max() <= 1.0
    assert len(found.labels) == 10
    assert found.n_folds == 5
    assert set(found.y) == set(range(10))


def test_a_wrong_option_is_refused(train_classifier, capsys):
    with pytest.raises(SystemExit):
        train_classifier.main(["--steps", "0"])
    assert "--steps must be above 0, got 0" in capsys.readouterr().err


def test_the_verdict_says_what_the_numbers_say(train_classifier):
    def said(fixed, learned):
        rows = (
            train_classifier.Row(4, name, held_out=values)
            for name, values in (("fixed", fixed), ("learned", learned))
        )
        return train_classifier.verdict(*rows)

    assert said([0.5, 0.5, 0.5], [0.6, 0.7, 0.5]).endswith("2 of 3 fold(s): no consistent gain.")
    assert said([0.5, 0.5, 0.5], [0.6, 0.7, 0.8]).endswith("3 of 3 fold(s): a gain in every fold.")
    assert "-0.100" in said([0.5], [0.4])


# A front-end for each clip.


@pytest.fixture
def adaptive(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("adaptive_frontend")


@pytest.mark.exhaustive
def test_a_front_end_for_each_clip(adaptive, capsys):
    accuracy = adaptive.main(["--quick"])
    assert list(accuracy) == ["fixed", "learned", "adaptive"]
    assert all(len(values) == 1 and values[0] > 0.12 for values in accuracy.values())
    printed = capsys.readouterr().out
    assert "562 recordings of 10 labels" in printed
    assert "adaptive " in printed


@pytest.mark.parametrize("learn", [("pcen",), ("pcen", "warp", "window")])
def test_the_controller_starts_at_the_fixed_front_end(adaptive, learn):
    """And then gives every clip parameters of its own, through which gradients reach it."""
    frontend = adaptive.make_frontend(8000, learn)
    model = adaptive.Controller(frontend, 8000)
    x = jax.random.normal(jax.random.key(0), (3, 2000)) * np.array([[0.01], [0.1], [1.0]])
    variables = model.init(jax.random.key(1), x)
    apply = jax.vmap(frontend.apply)
    shapes = jax.tree.map(lambda leaf: (3, *leaf.shape), frontend.param_shapes())
    params = model.apply(variables, x)
    assert jax.tree.map(np.shape, params) == shapes
    fixed = frontend.apply(frontend.init(jax.random.key(0)), x)
    np.testing.assert_allclose(apply(params, x), fixed, rtol=1e-5, atol=1e-6)

    def loss(variables):
        return apply(model.apply(variables, x), x).mean()

    gradient = jax.grad(loss)(variables)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    moved = jax.tree.map(lambda leaf, slope: leaf - 0.1 * np.sign(slope), variables, gradient)
    own = jax.tree.leaves(model.apply(moved, x))
    assert all(abs(leaf[0] - leaf[2]).max() > 1e-4 for leaf in own)


def test_degraded_clips_have_their_noise_and_level(adaptive):
    x = np.sin(np.arange(4000))[None] * np.ones((500, 1), np.float32)
    powers = 10 * np.log10(np.square(adaptive.degraded(jax.random.key(0), x)).mean(axis=1) / 0.5)
    assert -20 <= powers.min() < -15
    assert 15 < powers.max() < 23.2


# Words in a stream.


@pytest.fixture(scope="module")
def digit_spotter():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        return importlib.import_module("digit_spotter")


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Ten tones as the digits of two speakers, laid out as the data set is."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "fsdd").mkdir()
    time = np.arange(3200) / 8000
    lines, clips = ["start,stop,digit,speaker,index"], []
    for speaker in ("anna", "ben"):
        for digit in range(10):
            for index in range(12):
                start = 3200 * len(clips)
                clips.append(0.3 * np.sin(2 * np.pi * (300 + 300 * digit + index) * time))
                lines.append(f"{start},{start + 3200},{digit},{speaker},{index}")
    soundfile.write(folder / "fsdd" / "fsdd.flac", np.concatenate(clips), 8000)
    (folder / "fsdd" / "fsdd.csv").write_text("\n".join(lines))
    return folder


@pytest.mark.exhaustive
def test_a_spotter_is_trained_tested_and_used_live(digit_spotter, digits, tmp_path, capsys):
    model = tmp_path / "spotter.npz"
    words = ["--data", str(digits), "--quick", "-o", str(model)]
    result = digit_spotter.main(words)
    assert result.words == 100 // 20
    printed = capsys.readouterr().out
    assert "240 digits, recordings 0 to 4 of each speaker and digit in the test" in printed
    assert "5 words in" in printed
    assert model.exists()
    soundfile.write(tmp_path / "x.wav", 0.1 * np.random.default_rng(0).standard_normal(9000), 16000)
    digit_spotter.main(["-o", str(model), "--live", str(tmp_path / "x.wav"), "--speed", "0"])
    assert "0.6 s, 57 frames" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--steps", "0"], "--steps must be at least 1, got 0"),
        (["--leave-out", "carl"], "--leave-out must be one of anna, ben; got carl"),
        (["--live", "x.wav", "-o", "none.npz"], "none.npz is no spotter, train one first: "),
    ],
)
def test_a_spotter_refuses_wrong_options(digit_spotter, digits, capsys, words, said):
    with pytest.raises(SystemExit) as stopped:
        digit_spotter.main(["--data", str(digits), *words])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_instruments_where_there_are_no_digits(digit_spotter, tmp_path, capsys):
    words = digit_spotter.read_words(tmp_path, None)
    assert "No digits: " in capsys.readouterr().out
    assert (len(words.clips), len(words.labels)) == (562, 10)
    assert not (words.test & words.held_out).any()
    with pytest.raises(ValueError, match="--leave-out needs the digits"):
        digit_spotter.read_words(tmp_path, "anna")


def test_words_left_out_are_in_the_test_alone(digit_spotter, digits):
    words = digit_spotter.read_words(digits, "ben")
    assert words.test.sum() == 120
    assert words.held_out.sum() == 50
    assert not (words.test & words.held_out).any()


def test_the_ear_hears_chunks_as_the_whole(digit_spotter):
    """A network with a past, chunk by chunk, and the frames that report a word."""
    features = np.random.default_rng(0).standard_normal((100, 32)).astype(np.float32)
    params = digit_spotter.init_network(jax.random.key(0), 32, 4)
    params["last"]["kernel"] *= 10
    _, whole = digit_spotter.network(params, digit_spotter.no_past(), features)
    past, parts = digit_spotter.no_past(), []
    for start in range(0, 100, 5):
        chunk = np.pad(features[start : start + 5], ((0, 3), (0, 0)))
        past, scores = digit_spotter.network(params, past, chunk, 5)
        parts.append(scores[:5])
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-4)
    spotter = digit_spotter.Spotter(digit_spotter.make_frontend(), params, tuple("abcd"), 0.5)
    _, found = digit_spotter.heard(params, 0.5, digit_spotter.not_heard(4), features, 100)
    expected = ["abcd"[label] for label in np.asarray(found) if label >= 0]
    assert len(expected) > 1
    ear = digit_spotter.Ear(spotter)
    assert [word for start in range(0, 100, 13) for word in ear(features[start : start + 13])] == (
        expected
    )


def test_reports_are_scored(digit_spotter):
    said = [digit_spotter.Said(start, start + 4000, 0) for start in (1600, 16000, 32000)]
    said.append(digit_spotter.Said(48000, 52000, 1))
    found = np.full(400, -1)
    for sample, label in ((800, 0), (5760, 0), (6400, 0), (20000, 2), (52800, 1), (60000, 1)):
        found[sample // 160 - 1] = label
    result = digit_spotter.score(found, said, 64000)
    assert result[:4] == (4, 2, 1, 3)  # before, once more, and long after a word
    np.testing.assert_allclose(result.delays, [0.02, 0.1])
    assert "4 words in 0.1 min: 2 hits (50.0 %), 1 taken for another word, 1 missed" in str(result)
