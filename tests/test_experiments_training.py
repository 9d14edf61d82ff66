"""The experiments that train networks behind front-ends, for a few steps."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.exhaustive

LEARNING = ROOT / "benchmarks" / "learning"


@pytest.fixture
def experiment(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    monkeypatch.syspath_prepend(str(LEARNING))
    return importlib.import_module


def _quick(name, out):
    """The results of ``--quick``, run as a user runs it; ``None`` where it wrote none."""
    command = [sys.executable, str(LEARNING / f"{name}.py"), "--quick", "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    path = out / f"{name}.json"
    if not path.exists():
        return None
    assert "| --- |" in done.stdout
    assert 0 < path.with_suffix(".png").stat().st_size < 150_000
    return json.loads(path.read_text())


def test_tones(tmp_path):
    results = _quick("tones", tmp_path)
    rows = {row["kind"]: row for row in results["rows"]}
    assert set(rows) == {"fixed", "gaps", "leaf"}
    for kind, row in rows.items():
        assert np.shape(row["accuracy"]) == (1 if kind == "fixed" else 2, 1)
        assert (np.asarray(row["accuracy"]) > 0.15).all()  # chance is 1 in 8
        assert (np.asarray(row["moved_hz"]) > 1).all() == (kind != "fixed")


def _check_digits(results):
    fixed, learned = results["rows"]
    assert (fixed["bank"], learned["bank"]) == ("fixed", "gaps")
    for found in fixed["steps"].values():
        assert (found["moved_hz"], found["pcen"]) == ([0.0], {})
    for found in learned["steps"].values():
        assert found["moved_hz"][0] > 0.1
        mean, least, most = found["pcen"]["gain"]
        assert 0 < least < mean < most < 1
        assert 0 < found["accuracy"][0] < 1


def test_digits(tmp_path):
    results = _quick("digits", tmp_path)
    if results is None:
        pytest.skip("the spoken digits are not here: JAXSPEC_DATA names no folder with fsdd")
    _check_digits(results)
    assert results["settings"]["test_clips"] == 4 * 300


@pytest.fixture
def corpus(experiment):
    """Ten "digits" of one speaker, ten recordings each: tones, one after the other."""
    rng, samples = np.random.default_rng(0), 1200
    digit, index = (values.ravel() for values in np.divmod(np.arange(100), 10))
    hertz = 300 + 300 * digit + rng.uniform(-30, 30, 100)
    x = np.sin(2 * np.pi * hertz[:, None] * np.arange(samples) / 8000).astype(np.float32)
    start = samples * np.arange(100)
    speaker = np.array(["anna"] * 100)
    return experiment("digits").Corpus(
        x=x.ravel(), start=start, stop=start + samples, digit=digit, index=index, speaker=speaker
    )


def test_digits_without_the_data(experiment, corpus, monkeypatch, tmp_path, capsys):
    digits = experiment("digits")
    _check_digits(digits.run(True, corpus))
    monkeypatch.setenv("JAXSPEC_DATA", str(tmp_path / "nowhere"))
    assert digits.run(True) is None
    assert "JAXSPEC_DATA" in capsys.readouterr().out


def test_digits_are_as_loud_as_their_noise(experiment, corpus):
    chosen = corpus.index == 3
    clips = corpus.clips(chosen, 6400, np.full(10, 800))
    assert clips.shape == (10, 6400)
    assert not clips[:, :800].any()
    assert not clips[:, 2000:].any()
    np.testing.assert_allclose(np.square(clips[:, 800:2000]).mean(axis=1), 1, rtol=1e-5)


def _check_families(results):
    log_mel, leaf, free = results["rows"]
    assert [row["name"] for row in results["rows"]] == ["log-mel", "LEAF", "free filters, log"]
    assert log_mel.keys() == {"name", "multiplier", "fixed", "cost"}
    assert log_mel["cost"]["ratio"] == 1
    assert leaf["moved"]["hz"] > 1
    assert leaf["moved"]["parameters"] > 1e-3
    assert 1e-4 < free["moved"]["weights"] < 1
    for row in (leaf, free):
        assert row["fixed"]["loss"] != row["learned"]["loss"]
        assert row["cost"]["ms"] > 0


def test_families(tmp_path):
    results = _quick("families", tmp_path)
    if results is None:
        pytest.skip("the spoken digits are not here: JAXSPEC_DATA names no folder with fsdd")
    _check_families(results)


def test_families_without_the_data(experiment, corpus):
    _check_families(experiment("families").run(True, corpus))


def test_every_family_gives_the_same_frames(experiment):
    families = experiment("families")
    for family in families.families():
        x = jax.random.normal(jax.random.key(0), (1, 6400))
        shape = jax.eval_shape(
            lambda x, f=family.frontend: f.apply(f.init(jax.random.key(0)), x), x
        ).shape
        assert shape[1] in (80, 81, 100), family.name
        assert shape[2] in (16, 18, 32, 192), family.name


def test_analyses(tmp_path):
    results = _quick("analyses", tmp_path)
    log_mel, leaf, direct = results["rows"]
    assert (log_mel["name"], leaf["name"]) == ("log-mel + PCEN", "LEAF, every 10th")
    for kind in ("forward", "training step", "gradient to x"):
        assert direct[kind]["ms"] > leaf[kind]["ms"]
    assert max(results["log_rms_error"].values()) <= 0.005


def test_leaf_by_convolutions_is_ours(experiment):
    """Both ways to average, and the direct filters of the library."""
    analyses = experiment("analyses")
    x = jax.random.normal(jax.random.key(0), (2, 2000))
    frontend = analyses.energies(1).replace("gabor", method="direct")
    ours = frontend.apply(frontend.init(jax.random.key(0)), x)
    for sums in (True, False):
        found = analyses.direct_energies(analyses.direct_start(), x, sums=sums)
        np.testing.assert_allclose(found, ours, rtol=1e-4)


def test_starts(tmp_path):
    results = _quick("starts", tmp_path)
    assert [(row["start"], row["kind"]) for row in results["rows"]] == [
        ("mel", "fixed"), ("mel", "gaps"), ("packed", "fixed"), ("packed", "gaps")
    ]  # fmt: skip
    for row in results["rows"]:
        (run,) = row["runs"]
        assert run["finite"]
        assert 0 < run["accuracy"] < 1
        moves = [run["moved_hz"], run["coverage"], run["filters"]]
        if row["kind"] == "gaps":
            assert min(moves) > 1e-3
            assert run["coverage"] < run["filters"] < 1  # it is convex
        else:
            assert max(moves) < 1e-5


def test_divergences(experiment):
    starts = experiment("starts")
    bank = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 3.0], [0.0, 3.0]])
    assert starts.divergences(bank, 5 * bank) == pytest.approx({"coverage": 0, "filters": 0})
    # Bands that change places: each is elsewhere, together they cover the same.
    assert starts.divergences(bank, bank[:, ::-1]) == pytest.approx({"coverage": 0, "filters": 1})
    half = np.roll(bank, 1, axis=0)
    assert starts.divergences(bank, half) == pytest.approx({"coverage": 0, "filters": 0.5})
    low = starts.divergences(bank, bank[:, :1].repeat(2, axis=1))
    assert low["filters"] == pytest.approx(0.5)
    assert 0 < low["coverage"] < 0.5


def test_published_banks_start_at_the_fixed_one(experiment):
    networks = experiment("networks")
    start = {"sample_rate": 16000, "n_fft": 512, "n_bands": 16}
    x = 1 + jax.random.uniform(jax.random.key(0), (3, 5, 257))
    fixed = networks.make_bank("fixed", **start)(x)
    for kind in ("hz", "rate", "leaf", "mel", "matrix", "gaps", "warp", "scale", "free"):
        bank = networks.make_bank(kind, **start)
        found = jax.jit(bank.apply)(bank.init(jax.random.key(0)), x)
        np.testing.assert_allclose(found, fixed, rtol=1e-3)  # free weights leak a little


def test_a_multiplier_of_zero_is_a_fixed_bank(experiment):
    networks, tones = experiment("networks"), experiment("tones")
    x, y = tones.clips(jax.random.key(0), 128)
    rows = np.stack([networks.batches(np.ones(128, bool), 5, seed) for seed in (0, 0, 1)])
    run = {"rows": rows, "seeds": [0, 0, 1], "learning_rate": 1e-3}
    model = tones.make_model("gaps", offset=3.0, scale=2.0)
    params, losses = networks.train(model, x, y, multipliers=[0.0, 1.0, 1.0], **run)
    assert losses.shape == (3, 5)
    moved = networks.moved(model, params)
    assert moved[0] == 0
    assert moved[1] > 0
    assert not np.allclose(losses[1], losses[2])  # another seed is another network
    broken = jax.tree.map(lambda leaf: leaf.at[1].set(jnp.nan), params["frontend"])
    assert networks.moved(model, {**params, "frontend": broken})[1] is None
