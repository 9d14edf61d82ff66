"""The examples, run as a user runs them, for a few steps."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

EXAMPLES = Path(__file__).parents[1] / "examples"
WRITTEN = {"features.png", "filters.png", "frontend.json", "model", "results.json"}


@pytest.fixture
def train_classifier(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("train_classifier")


@pytest.fixture
def recordings(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("recordings")


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
    for name in ("features.png", "filters.png"):
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
    # Forty steps already beat guessing (0.107) by far.
    assert all(row["held_out"][0] > 0.25 for row in results["rows"])


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


@pytest.mark.parametrize("case", ["missing", "empty", "one label", "unreadable", "group", "regex"])
def test_a_useless_folder_is_refused(train_classifier, tones, tmp_path, capsys, case):
    arguments = ["-o", str(tmp_path / "out"), "--data", str(tones)]
    if case == "missing":
        arguments[-1] += "-not"
    elif case == "empty":
        arguments[-1] = str(tmp_path)  # its only folder holds folders, so it is one label
    elif case == "one label":
        for path in (tones / "high").iterdir():
            path.unlink()
    elif case == "unreadable":
        for path in tones.rglob("*_*"):
            path.write_bytes(b"nothing")
    else:
        arguments += ["--group-by", "_([0-9]+)_" if case == "group" else "_(["]
    with pytest.raises(SystemExit) as stopped:
        train_classifier.main(arguments)
    assert stopped.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    expected = {
        "missing": "is not a folder",
        "group": "finds no group in the file name",
        "regex": "is no regular expression",
    }
    assert expected.get(case, "at least two labels") in last
    assert not (tmp_path / "out").exists()


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
