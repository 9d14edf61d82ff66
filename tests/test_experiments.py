"""The experiments with learnable front-ends, run as a user runs them, for a few steps."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parents[1] / "benchmarks" / "learning"

pytestmark = pytest.mark.exhaustive


def _quick(name, folder):
    """The results of ``--quick`` and what it printed, after checking that it drew."""
    command = [sys.executable, str(EXPERIMENTS / f"{name}.py"), "--quick", "-o", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    return json.loads((folder / f"{name}.json").read_text()), done.stdout


def test_recovery_of_a_warped_bank(tmp_path):
    """A hundred steps are enough for gaps at a high rate; what is kept in order is in order."""
    results, printed = _quick("recovery", tmp_path)
    rows = {
        (row["student"], row["warp"]): row
        for row in results["rows"]
        if row["schedule"] == "constant"
    }
    assert len(rows) == 9 * 2
    assert results["learning_rates"] == [1e-3, 1e-1]
    for layout in ("gaps", "warp", "scale"):
        for warp in (0.75, 0.5):
            assert all(rows[layout, warp]["sorted"])
            assert not any(rows[layout, warp]["diverged"])
    assert 400 < results["start_hz"]["0.75"] < 500
    assert rows["gaps", 0.75]["max_hz"][1] < 20
    assert rows["warp", 0.75]["max_hz"][1] < 20
    assert rows["hz", 0.75]["mean_hz"][1] > 450  # 100 steps of 0.1 Hz
    least = results["closest_of_the_family_hz"]["0.5"]
    assert least["warp"] < 20 < 90 < least["scale"] < 100
    assert "start 1179 Hz" in printed


def test_window_length_of_chirps(tmp_path):
    """The closed form is found from both starts, but where 512 samples cut the window off."""
    results, printed = _quick("window_length", tmp_path)
    assert len(results["rows"]) == 4 * 2 * 2
    for row in results["rows"]:
        least = results["searched"][str(row["closed_form"])]
        for learned, best in zip(row["learned"], least, strict=True):
            assert abs(learned / best - 1) < 0.03
        if row["closed_form"] < 100:
            assert max(map(abs, row["deviation_percent"])) < 3
    assert "(+0.0 %)" in printed


def test_robustness(tmp_path):
    """All that the library has is finite, for whatever input, and takes every input."""
    results, printed = _quick("robustness", tmp_path)
    ours = {"plain presets", "presets of models", "learnable"}
    groups = {case["group"] for case in results["cases"]}
    assert ours <= groups
    for case in results["cases"]:
        assert len(case["found"]) == 8
        if case["group"] in ours:
            assert set(case["found"].values()) == {"finite"}
    assert "| plain presets | 1/1; 1/1 |" in printed


def test_hops_of_a_train_of_bursts(tmp_path):
    """From nearby, growing weights find the period; nothing is compiled again on the way."""
    results, printed = _quick("hops", tmp_path)
    assert len(results["rows"]) == 2 * 3 * 2
    (period,), (searched,) = results["periods"], results["searched"]
    assert max(abs(hop - period) for hop in searched) < 0.2
    by_weights = {name: reach[0] for name, reach in results["reach"].items()}
    assert 0.97 < by_weights["mean"][0] < 1 < by_weights["mean"][1] < 1.03
    assert by_weights["growing"][0] < 0.8
    assert by_weights["growing"][1] > 1.2
    found = [row for row in results["rows"] if row["weights"] == "growing" and row["start"] > 0.9]
    assert len(found) == 2
    for row in found:
        assert max(abs(hop - period) for hop in row["hop"]) < 1
    once = results["step_by_step"]
    assert once["compiled"] == 1
    assert once["hop"][1] - once["hop"][0] > 5
    assert once["valid_frames"][0] < once["valid_frames"][1] < once["frames"]
    assert "was compiled once" in printed


def test_imitation_of_other_systems(tmp_path):
    """A few steps bring every student nearer, and noise nearer to the recording."""
    results, printed = _quick("imitation", tmp_path)
    assert set(results["rows"]) == {"mel", "gammatone", "constant-Q"}
    for rows in results["rows"].values():
        for row in rows:
            assert max(row["db_end"]) < row["db_start"]
            assert max(row["centre_error_hz"]) < row["centre_error_hz_start"]
            assert row["sorted"]
    (row,) = results["waveform"]["rows"]
    for start, end in zip(row["start"], row["end"], strict=True):
        assert all(end[name] < start[name] for name in start)
    assert "| Piano | 0.003 |" in printed


def test_other_sample_rates(tmp_path):
    """What is in Hz and seconds agrees to 1 %, what is in samples does not."""
    results, printed = _quick("rates", tmp_path)
    assert set(results["rows"]) == {"Gabor", "STFT of 512", "STFT of 640"}
    for rows in results["rows"].values():
        for row in rows:
            if row["way"] == "exact":
                assert max(row["largest_percent"]) < 1
                assert max(row["centres_moved_hz"]) < 0.01
            if row["way"] == "in samples":
                assert min(row["mean_percent"]) > 20
                assert min(row["centres_moved_hz"]) > 300
    assert "48 kHz" in printed
