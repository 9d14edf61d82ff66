"""Bulk extraction: values, every bad file, resuming, several processes, the reader, the command."""

import csv
import json
import os
import pickle
import re
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soundfile
from helpers import chirp, noise
from safetensors.numpy import load_file

import jaxspec
from jaxspec import FrontEnd, audio, cli, extraction, stages
from jaxspec.extraction import FeatureSet, extract
from jaxspec.extraction import _decoding as decoding

RATE = 8000
STAGE = FrontEnd(
    stages.STFT(n_fft=128, hop_length=80),
    stages.Power(),
    stages.Filterbank(sample_rate=RATE, n_fft=128, n_bands=6),
    stages.Ln(amin=1e-6),
)


def write(path, samples, rate=RATE, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **options)
    return path


@pytest.fixture
def clips(tmp_path):
    """A folder with five files of different lengths in two folders."""
    folder = tmp_path / "in"
    for number, name in enumerate(("a", "b", "sub/c", "sub/d", "sub/e")):
        write(folder / f"{name}.wav", 0.1 * noise(900 + 311 * number, seed=number))
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "frontend.json"
    path.write_text(json.dumps(STAGE.to_dict()))
    return path


def run(inputs, out, **options):
    return extract(inputs, out, **{"stage": STAGE, "shard_clips": 2, "workers": 2, **options})


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def alone(path, stage=STAGE, **options):
    return np.asarray(stage(audio.load(path, sample_rate=RATE, **options)[0]))


def test_features_are_those_of_every_clip_alone(clips, out):
    done = []
    report = run(clips, out, on_clip=done.append)
    assert (report.done, report.skipped, report.failed, report.complete) == (5, 0, (), True)
    assert report.audio_seconds == pytest.approx(sum(900 + 311 * n for n in range(5)) / RATE)
    assert {clip.key for clip in done} == {"a.wav", "b.wav", "sub/c.wav", "sub/d.wav", "sub/e.wav"}
    assert [clip.left for clip in done] == [4, 3, 2, 1, 0]
    features = FeatureSet(out)
    assert features.keys == ("a.wav", "b.wav", "sub/c.wav", "sub/d.wav", "sub/e.wav")
    for element in features:
        truth = alone(clips / element["key"])
        assert element["features"].dtype == np.float32
        np.testing.assert_allclose(element["features"], truth, atol=1e-6 * np.abs(truth).max())
    assert features.frames.tolist() == [len(element["features"]) for element in features]
    assert (features.stage, features.params, features.sample_rate) == (STAGE, {}, RATE)
    assert features[0]["seconds"] == 900 / RATE
    features.verify()


def test_statistics_are_those_of_all_frames(clips, out):
    report = run(clips, out)
    frames = np.concatenate([element["features"] for element in FeatureSet(out)]).astype(float)
    for found in (report.statistics, FeatureSet(out).statistics):
        assert found.count == len(frames)
        np.testing.assert_allclose(found.mean, frames.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(found.variance(), frames.var(axis=0), rtol=1e-6)
        np.testing.assert_array_equal(found.minimum, frames.min(axis=0))
        np.testing.assert_array_equal(found.maximum, frames.max(axis=0))
    normalised = FrontEnd(STAGE, FeatureSet(out).statistics.stage(eps=0))
    y = np.concatenate([alone(clips / key, normalised) for key in FeatureSet(out).keys])
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(axis=0), 1, rtol=1e-4)


def test_a_constant_channel_has_no_deviation(tmp_path, out):
    write(tmp_path / "a.wav", np.zeros(3000))
    report = run(tmp_path / "a.wav", out)
    assert report.statistics.m2.tolist() == [0] * 6
    assert report.statistics.mean == pytest.approx(np.full(6, np.log(1e-6)))


def test_others_can_read_it(clips, out, tmp_path):
    run(clips, out, shard_clips=10)
    held = load_file(out / "shard-00000-of-00001.safetensors")
    features = FeatureSet(out)
    assert set(held) == set(features.keys)
    for element in features:
        np.testing.assert_array_equal(held[element["key"]], element["features"])
    run(clips, tmp_path / "npz", shard_clips=10, format="npz")
    archive = np.load(tmp_path / "npz" / "shard-00000-of-00001.npz")
    for element in FeatureSet(tmp_path / "npz"):
        np.testing.assert_array_equal(archive[element["key"]], element["features"])
        np.testing.assert_array_equal(held[element["key"]], element["features"])
    index = json.loads((out / "index.json").read_text())
    assert index["clips"] == 5
    assert index["config"]["stage"] == json.loads(json.dumps(STAGE.to_dict()))
    assert index["config"]["jaxspec"] == jaxspec.__version__


@pytest.mark.parametrize(
    ("dtype", "format", "bits"),
    [("float16", "safetensors", 11), ("float16", "npz", 11), ("bfloat16", "safetensors", 8)],
)
def test_half_precision_is_the_rounded_value(clips, out, dtype, format, bits):
    report = run(clips, out, dtype=dtype, format=format)
    for element in FeatureSet(out):
        assert element["features"].dtype == jnp.dtype(dtype)
        truth = alone(clips / element["key"])
        np.testing.assert_allclose(element["features"].astype("f"), truth, rtol=2.0 ** (-bits + 1))
    assert report.statistics.count == FeatureSet(out).frames.sum()


def test_what_does_not_fit_float16_fails(tmp_path, out):
    write(tmp_path / "in/loud.wav", 0.9 * np.ones(2000))
    write(tmp_path / "in/soft.wav", 1e-3 * np.ones(2000))
    power = FrontEnd(
        stages.Scale(factor=16.0), stages.STFT(n_fft=512), stages.Power(), sample_rate=RATE
    )
    report = run(tmp_path / "in", out, stage=power, dtype="float16")
    assert report.failed == (("loud.wav", "its features do not fit float16"),)
    assert FeatureSet(out).keys == ("soft.wav",)
    assert report.statistics.maximum.max() < 65504


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_kinds_of_samples(tmp_path, out, subtype):
    path = write(tmp_path / "a.wav", 0.3 * noise(2000), subtype=subtype)
    assert run(path, out).failed == ()
    np.testing.assert_allclose(FeatureSet(out)[0]["features"], alone(path), atol=1e-5)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_formats_channels_and_rates(tmp_path, out, suffix, channels):
    """Channels are averaged and files of another rate resampled, as `jaxspec.audio.load` does."""
    if suffix == "mp3" and channels == 3:
        pytest.skip("MP3 has two channels")
    samples = 0.2 * np.stack([chirp(30000), noise(30000), noise(30000, seed=1)], axis=1)
    path = write(tmp_path / f"a.{suffix}", samples[:, :channels], 16000)
    assert run(path, out).failed == ()
    truth = alone(path)
    np.testing.assert_allclose(FeatureSet(out)[0]["features"], truth, atol=2e-5)
    assert len(FeatureSet(out)[0]["features"]) == 15000 // 80 + 1


def test_many_lengths_share_few_programs(tmp_path, out):
    for number in range(30):
        write(tmp_path / f"in/{number:02d}.wav", 0.1 * noise(500 + 97 * number))
    run(tmp_path / "in", out, shard_clips=7)
    buckets = json.loads((out / "config.json").read_text())["buckets"]
    assert len(buckets) == 2
    assert max(buckets) >= 500 + 97 * 29
    for element in FeatureSet(out):
        truth = alone(tmp_path / "in" / element["key"])
        np.testing.assert_allclose(element["features"], truth, atol=2e-5)


def test_clips_longer_than_those_looked_at(tmp_path, out, monkeypatch):
    """Lengths of batches come from the headers of some files; others may be longer."""
    monkeypatch.setattr("jaxspec.extraction._config._PROBED", 1)
    for number, n in enumerate((800, 9000, 3000)):
        write(tmp_path / f"in/{number}.wav", 0.1 * noise(n))
    run(tmp_path / "in", out)
    assert FeatureSet(out).frames.tolist() == [11, 113, 38]


def test_a_front_end_that_learns(clips, out):
    learned = FrontEnd(*STAGE.stages[:-1], stages.PCEN(learn="all", n_bands=6))
    with pytest.raises(ValueError, match=r"params must be those of"):
        run(clips, out, stage=learned)
    params = learned.init(jax.random.key(0))
    params = jax.tree.map(lambda leaf: leaf + 0.1, params)
    run(clips, out, stage=learned, params=params)
    features = FeatureSet(out)
    assert features.stage == learned
    assert jax.tree.structure(features.params) == jax.tree.structure(params)
    x, _ = audio.load(clips / "a.wav")
    truth = np.asarray(learned.apply(features.params, x))
    np.testing.assert_allclose(features[0]["features"], truth, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"another run: params.pcen/.* is .* there and .* here"):
        run(clips, out, stage=learned, params=jax.tree.map(lambda leaf: 2 * leaf, params))


# Sample rates.


def test_rate_of_a_front_end_for_any(tmp_path, out):
    """Without a rate of its own it is that of the first file, and others are refused."""
    write(tmp_path / "in/a.wav", 0.1 * noise(2000), RATE)
    write(tmp_path / "in/b.wav", 0.1 * noise(2000), 16000)
    for stage in ("log_mel", FrontEnd(stages.STFT(n_fft=64), stages.Power())):
        report = run(tmp_path / "in", out, stage=stage)
        assert report.failed[0][0] == "b.wav"
        assert "it has 16000 Hz and the first file 8000: give the sample" in report.failed[0][1]
        assert FeatureSet(out).keys == ("a.wav",)
        shutil.rmtree(out)
    assert run(tmp_path / "in", out, stage="log_mel", sample_rate=16000).failed == ()
    assert FeatureSet(out).stage == jaxspec.presets.get("log_mel", sample_rate=16000)
    assert FeatureSet(out).frames.tolist() == [26, 13]


@pytest.mark.parametrize("stage", ["whisper_80", STAGE])
def test_rate_of_a_front_end_is_not_to_be_changed(clips, out, stage):
    with pytest.raises(ValueError, match=r"sample_rate must be the .* Hz of the front-end, got"):
        run(clips, out, stage=stage, sample_rate=44100)


# Which clips.


def keys(inputs, out, **options):
    run(inputs, out, **options)
    return FeatureSet(out).keys


def test_folders_files_and_globs(clips, out, tmp_path):
    assert keys([clips / "sub", clips / "a.wav"], out) == (
        "sub/c.wav", "sub/d.wav", "sub/e.wav", "a.wav",
    )  # fmt: skip
    assert keys(clips / "sub", tmp_path / "2") == ("c.wav", "d.wav", "e.wav")
    assert keys(f"{clips}/**/[a-c].wav", tmp_path / "3") == ("a.wav", "b.wav", "sub/c.wav")
    assert keys(f"{clips}/sub/*", tmp_path / "4") == ("c.wav", "d.wav", "e.wav")
    # The same file by several ways is one clip.
    assert keys([clips / "sub/c.wav", clips / "sub/../sub/c.wav", clips / "sub"], tmp_path / "5") \
        == ("c.wav", "d.wav", "e.wav")  # fmt: skip
    shutil.copytree(clips, tmp_path / "other")
    both = keys([clips, tmp_path / "other"], tmp_path / "6")
    assert both[:1] + both[5:6] == ("in/a.wav", "other/a.wav")


def test_manifest_of_paths(clips, out, tmp_path):
    manifest = tmp_path / "list.txt"
    manifest.write_text(f"in/sub/d.wav\n\n{clips / 'a.wav'}\n")
    assert keys(manifest, out) == ("in/sub/d.wav", "in/a.wav")


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json"])
def test_manifest_with_parts_and_columns(clips, out, tmp_path, kind):
    rows = [
        {"path": "in/sub/e.wav", "start": 0.05, "duration": 0.1, "text": "ü, one"},
        {"path": "in/sub/e.wav", "start": "", "duration": "", "text": "two"},
        {"path": "in/a.wav", "start": 0.01, "duration": "", "text": ""},
    ]
    manifest = tmp_path / f"list.{kind}"
    if kind in ("csv", "tsv"):
        with manifest.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, rows[0], delimiter="," if kind == "csv" else "\t")
            table.writeheader()
            table.writerows(rows)
    else:  # as NeMo has them
        rows = [
            {"audio_filepath": row.pop("path"), "offset": row.pop("start") or None, **row}
            for row in rows
        ]
        manifest.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    report = run(manifest, out)
    assert report.failed == ()
    features = FeatureSet(out)
    assert features.keys == ("in/sub/e.wav@0.05+0.1", "in/sub/e.wav", "in/a.wav@0.01+")
    assert [element["text"] for element in features] == ["ü, one", "two", ""]
    truth = alone(clips / "sub/e.wav", start=0.05, duration=0.1)
    np.testing.assert_allclose(features[0]["features"], truth, atol=2e-5)
    np.testing.assert_allclose(
        features[2]["features"], alone(clips / "a.wav", start=0.01), atol=2e-5
    )


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("m.csv", "file,text\na.wav,b\n", "must have a column path or audio_filepath"),
        ("m.csv", "", "must have a column path .* got nothing"),
        ("m.csv", "path,text\na.wav,b,c\n", "line 2: it must hold .* as many columns"),
        ("m.csv", "path,start\na.wav,soon\n", "line 2: start must be seconds, got 'soon'"),
        ("m.csv", "path,start\na.wav,-1\n", "line 2: start must be >= 0, got -1"),
        ("m.csv", "path,duration\na.wav,0\n", "line 2: duration must be > 0, got 0"),
        ("m.csv", "path,frames\na.wav,7\n", "line 2: a column must not be called frames"),
        ("m.jsonl", '{"path": "a.wav"}\nnothing\n', "line 2: it must hold a JSON object"),
        ("m.jsonl", '{"text": "b"}\n', "line 1: it must say a path or audio_filepath"),
        ("m.jsonl", '{"path": "a.wav", "start": true}\n', "start must be seconds, got True"),
        ("m.txt", "\n\n", "lists no file"),
        ("m.txt", b"\xff\xfe\x00", "cannot read the manifest"),
    ],
)
def test_bad_manifests(tmp_path, out, name, text, said):
    manifest = tmp_path / name
    manifest.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=said):
        run(manifest, out)
    assert not out.exists()


def test_parts_close_beside_each_other_are_not_mixed_up(tmp_path, out):
    """Names have all digits, however far from the start of a recording a part lies."""
    write(tmp_path / "long.wav", 0.1 * noise(1002 * RATE))
    manifest = tmp_path / "parts.csv"
    starts = ("1000.001", "1000.004", "1000.0011")
    rows = [f"long.wav,{start},0.25,{number}\n" for number, start in enumerate(starts)]
    manifest.write_text("path,start,duration,label\n" + "".join(rows))
    assert run(manifest, out).done == 3
    features = FeatureSet(out)
    assert features.keys == tuple(f"long.wav@{start}+0.25" for start in starts)
    assert [element["label"] for element in features] == ["0", "1", "2"]


def test_what_is_named_twice(clips, out, tmp_path):
    manifest = tmp_path / "in" / "twice.csv"
    manifest.write_text("path,label\na.wav,x\na.wav,x\n")
    assert run([clips, manifest], out).done == 5  # in the folder, too, without columns
    assert FeatureSet(out)[0]["label"] == "x"
    manifest.write_text("path,label\na.wav,x\na.wav,y\n")
    with pytest.raises(ValueError, match=r"a\.wav is listed twice, with columns that differ"):
        run(manifest, tmp_path / "other")


def test_nothing_is_passed_over(clips, tmp_path, monkeypatch):
    """Links to nowhere are bad files, folders that cannot be read end the run."""
    (clips / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    for number, given in enumerate((clips, f"{clips}/*.wav")):
        report = run(given, tmp_path / f"out{number}")
        assert report.failed == (("gone.wav", "cannot read it: No such file or directory"),)
    if os.geteuid() == 0:  # who may read everything
        scandir = os.scandir

        def refuse(path):
            if str(path).endswith("sub"):
                raise PermissionError(13, "Permission denied", str(path))
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refuse)
    else:
        (clips / "sub").chmod(0)
    try:
        with pytest.raises(ValueError, match=r"cannot read the folder .*sub: Permission denied"):
            run(clips, tmp_path / "denied")
    finally:
        monkeypatch.undo()
        (clips / "sub").chmod(0o755)


def test_a_glob_does_not_go_in_circles(clips, out):
    (clips / "sub" / "loop").symlink_to(clips, target_is_directory=True)
    assert run(f"{clips}/**/*.wav", out).done == 5


def test_inputs_that_are_not_there(tmp_path, out):
    (tmp_path / "empty").mkdir()
    for inputs, said in (
        (tmp_path / "none", "no file or folder"),
        (f"{tmp_path}/*.wav", "no file matches"),
        (tmp_path / "empty", "holds no audio files"),
        ([], "at least one"),
    ):
        with pytest.raises(ValueError, match=said):
            run(inputs, out)


# Bad files.


def cut(path, share):
    """The file without its end."""
    held = path.read_bytes()
    path.write_bytes(held[: int(len(held) * share)])


def bad_files(folder):
    """A folder with two good files and bad ones of every kind; what is said of them."""
    good = 0.1 * noise(8000)
    write(folder / "good 1.wav", good)
    write(folder / "good 2.flac", good)
    # What can be decoded is, whatever it is called.
    write(folder / "x.flac", good).rename(folder / "good 3.wav")
    said = {}
    for suffix in ("wav", "flac", "ogg", "mp3"):
        cut(write(folder / f"cut.{suffix}", 0.1 * noise(80000)), 0.6)
        said[f"cut.{suffix}"] = "truncated|lost sync"
    said["cut.mp3"] = "truncated: .* of 10.00 s"
    cut(write(folder / "header.wav", good), 0.001)
    said["header.wav"] = "cannot read it: .*WAV file"
    (folder / "empty.wav").touch()
    said["empty.wav"] = r"the file is empty \(0 bytes\)"
    (folder / "text.wav").write_text("no sound at all\n" * 30)
    said["text.wav"] = "cannot read it: Format not recognised"
    write(folder / "none.wav", good[:0])
    said["none.wav"] = "holds no samples"
    for name, value in (("nan", np.nan), ("inf", -np.inf)):
        write(folder / f"{name}.wav", np.where(np.arange(8000) == 70, value, good), subtype="FLOAT")
        said[f"{name}.wav"] = f"sample 70 is -?{name}"
    return said


def test_bad_files_are_told_and_the_run_goes_on(tmp_path, out):
    said = bad_files(tmp_path / "in")
    report = run(tmp_path / "in", out, shard_clips=4)
    assert FeatureSet(out).keys == ("good 1.wav", "good 2.flac", "good 3.wav")
    assert dict(report.failed).keys() == said.keys()
    for key, pattern in said.items():
        assert re.search(pattern, dict(report.failed)[key]), key
        assert str(tmp_path) not in dict(report.failed)[key]
    assert FeatureSet(out).failed == dict(report.failed)
    assert report.statistics.count == FeatureSet(out).frames.sum()


def test_a_file_that_a_manifest_only_lists(clips, out, tmp_path):
    manifest = tmp_path / "list.csv"
    manifest.write_text(
        "path,start,duration\nin/a.wav,,\nin/gone.wav,,\nin/b.wav,9,\nin/b.wav,0,5\nin,,\n"
    )
    report = run(manifest, out)
    assert FeatureSet(out).keys == ("in/a.wav",)
    assert [error for _, error in report.failed] == [
        "cannot read it: No such file or directory",
        "start must be < the 0.151375 s that the file holds, got start=9",
        "it ends at 0.15 s, before the end of the part at 5.00 s",
        "cannot read it: Is a directory",
    ]


def test_a_clip_without_a_frame_is_told(tmp_path, out):
    write(tmp_path / "in/a.wav", 0.1 * noise(100))
    write(tmp_path / "in/b.wav", 0.1 * noise(300))
    inside = FrontEnd(stages.STFT(n_fft=128, center=False), stages.Power(), sample_rate=RATE)
    report = run(tmp_path / "in", out, stage=inside)
    assert report.failed == (("a.wav", "it is too short: 100 samples hold no frame"),)


def test_all_files_bad(tmp_path, out):
    (tmp_path / "a.wav").touch()
    report = run(tmp_path / "a.wav", out)
    assert (report.done, len(report.failed), report.complete) == (0, 1, True)
    assert len(FeatureSet(out)) == 0
    with pytest.raises(ValueError, match="all of its clips failed"):
        _ = FeatureSet(out).statistics
    with pytest.raises(ValueError, match=r"sample_rate must be given .* no file can be read"):
        run(tmp_path / "a.wav", out, stage="log_mel")


def test_a_wav_from_a_pipe_is_whole(tmp_path, out):
    """Its header does not know how long it is: the sizes are the largest that there are."""
    path = write(tmp_path / "a.wav", 0.1 * noise(2000))
    held = bytearray(path.read_bytes())
    held[4:8] = held[40:44] = b"\xff" * 4
    path.write_bytes(held)
    assert run(path, out).failed == ()


def test_decoding_does_not_run_away(tmp_path, monkeypatch):
    """Samples that are decoded ahead are bounded, but for the clip that is due."""
    monkeypatch.setattr(decoding, "_AHEAD", 2500)
    files = [write(tmp_path / f"{n}.wav", 0.1 * noise(1000 * (1 + n % 4))) for n in range(12)]
    listed = extraction.clips_of(files)
    most = 0
    room = decoding._Room

    class Watched(room):
        def take(self, number, size):
            nonlocal most
            super().take(number, size)
            most = max(most, sum(self._sizes.values()) - (size if number == self._due else 0))

    monkeypatch.setattr(decoding, "_Room", Watched)
    found = list(decoding.decoded(listed, RATE, resample=False, workers=3))
    assert [len(clip.samples) for clip in found] == [1000 * (1 + n % 4) for n in range(12)]
    assert 1000 <= most <= 2500 + 4000


# Resuming.


def test_a_second_call_makes_nothing_again(clips, out):
    run(clips, out)
    before = contents(out), {path.name: path.stat().st_mtime_ns for path in out.glob("shard*")}
    report = run(clips, out)
    assert (report.done, report.skipped, report.complete) == (0, 5, True)
    after = contents(out), {path.name: path.stat().st_mtime_ns for path in out.glob("shard*")}
    assert before == after


@pytest.mark.parametrize("format", ["safetensors", "npz"])
@pytest.mark.parametrize("lost", ["0.json", "1.data", "index.json", "leftovers", "cut"])
def test_what_is_lost_is_made_again(clips, out, tmp_path, lost, format):
    run(clips, out, format=format)
    whole = contents(out)
    data = out / f"shard-00001-of-00003.{format}"
    if lost == "0.json":
        (out / "shard-00000-of-00003.json").unlink()
    elif lost == "1.data":
        data.unlink()
    elif lost == "index.json":
        (out / "index.json").unlink()
    elif lost == "cut":
        cut(data, 0.9)
    else:
        for name in (data.name, "index.json"):
            (out / f"{name}.4711.tmp").write_bytes(b"half")
    report = run(clips, out, format=format)
    assert report.done == (0 if lost in ("index.json", "leftovers") else 2)
    assert contents(out) == whole


def test_failed_files_are_tried_again_when_asked(clips, out):
    held = (clips / "b.wav").read_bytes()
    cut(clips / "b.wav", 0.5)
    assert len(run(clips, out).failed) == 1
    (clips / "b.wav").write_bytes(held)
    report = run(clips, out)
    assert (report.done, report.skipped, len(report.failed)) == (0, 4, 1)
    report = run(clips, out, retry_failed=True)
    assert (report.done, report.skipped, report.failed) == (2, 3, ())
    assert FeatureSet(out).keys[:2] == ("a.wav", "b.wav")
    FeatureSet(out).verify()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dtype": "float16"}, 'dtype is "float32" there and "float16" here'),
        ({"format": "npz"}, 'format is "safetensors" there and "npz" here'),
        ({"shard_clips": 3}, "shard_clips is 2 there and 3 here"),
        (
            {"stage": STAGE.replace("stft", hop_length=40)},
            r"stages\[0\].hop_length is 80 there and",
        ),
        ({"stage": FrontEnd(*STAGE.stages[:3])}, r"stage.stages is \[.* … there"),
        ({"stage": "log_mel"}, 'preset is null there and "log_mel" here'),
    ],
)
def test_another_configuration_is_refused(clips, out, options, said):
    run(clips, out)
    whole = contents(out)
    with pytest.raises(ValueError, match=f"{out} holds features of another run: .*{said}"):
        run(clips, out, **options)
    assert contents(out) == whole


def test_another_version_is_refused(clips, out, monkeypatch):
    run(clips, out)
    monkeypatch.setattr("jaxspec.extraction._config.__version__", "99.0")
    with pytest.raises(ValueError, match=r'jaxspec is ".*" there and "99.0" here'):
        run(clips, out)


def test_other_inputs_are_refused(clips, out):
    run(clips, out)
    write(clips / "f.wav", noise(100))
    with pytest.raises(ValueError, match=r"inputs is 5 clips there and 6 clips here"):
        run(clips, out)
    (clips / "a.wav").unlink()
    said = r"inputs is 5 clips of other names, parts or columns there and these here"
    with pytest.raises(ValueError, match=said):
        run(clips, out)


def test_a_file_that_was_changed_is_refused(clips, out):
    run(clips, out)
    write(clips / "b.wav", noise(555))
    with pytest.raises(ValueError, match=r"b.wav was changed since .* bytes then, .* now"):
        run(clips, out)


def test_shards_of_another_configuration_are_refused(clips, out, tmp_path):
    run(clips, out)
    run(clips, tmp_path / "half", dtype="float16")
    (out / "config.json").write_bytes((tmp_path / "half" / "config.json").read_bytes())
    with pytest.raises(ValueError, match="is of another configuration than"):
        run(clips, out, dtype="float16")


# Several processes.


def test_processes_share_the_shards(clips, out, tmp_path):
    run(clips, tmp_path / "one")
    made = []
    for process in (1, 0, 2):
        with pytest.raises(ValueError, match=r"or not all of them yet: there is no index.json"):
            FeatureSet(out)
        report = run(
            clips, out, processes=3, process=process, on_clip=lambda clip: made.append(clip.key)
        )
        assert report.complete == (process == 2)
    assert sorted(made) == sorted(FeatureSet(out).keys)
    assert contents(out) == contents(tmp_path / "one")


def test_leftovers_of_others_are_not_touched(clips, out):
    out.mkdir()
    theirs = out / "shard-00001-of-00003.safetensors.4711.tmp"
    theirs.write_bytes(b"being written")
    run(clips, out, processes=2, process=0)
    assert theirs.exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"processes": 2}, "processes and process must be given together"),
        ({"process": 0}, "processes and process must be given together"),
        ({"processes": 2, "process": 2}, r"process must be < processes .* got process=2"),
        ({"processes": 0, "process": 0}, "processes must be an int >= 1"),
        ({"workers": 0}, "workers must be an int >= 1"),
        ({"shard_clips": 0}, "shard_clips must be an int >= 1"),
        ({"dtype": "int8"}, "dtype must be one of"),
        ({"format": "hdf5"}, "format must be one of"),
        ({"format": "npz", "dtype": "bfloat16"}, "holds float32 or float16"),
        ({"retry_failed": 1}, "retry_failed must be one of"),
        ({"stage": stages.STFT(n_fft=64)}, "stage must make features of waveforms"),
        ({"stage": stages.Ln()}, "stage must make features of waveforms, got a Ln from features"),
        ({"stage": "log_mal"}, "log_mal"),
        ({"sample_rate": 0, "stage": "log_mel"}, "sample_rate must be an int >= 1"),
    ],
)
def test_wrong_arguments(clips, out, options, said):
    with pytest.raises(ValueError, match=said):
        run(clips, out, **options)
    assert not out.exists()


def test_wrong_stage(clips, out):
    with pytest.raises(TypeError, match="stage must be a stage, a FrontEnd or the name"):
        run(clips, out, stage=7)


# The reader.


def test_reader(clips, out):
    run(clips, out)
    features = FeatureSet(out)
    again = pickle.loads(pickle.dumps(features))
    assert again.keys == features.keys
    np.testing.assert_array_equal(again[-1]["features"], features[4]["features"])
    with pytest.raises(IndexError):
        features[5]
    # What is mapped is not copied, and cannot be changed by accident.
    assert not features[0]["features"].flags.owndata
    assert not features[0]["features"].flags.writeable
    assert repr(features) == f"FeatureSet({str(out)!r})"


def test_damage_is_found(clips, out):
    run(clips, out)
    path = out / "shard-00001-of-00003.safetensors"
    held = bytearray(path.read_bytes())
    held[-5] ^= 1
    path.write_bytes(held)
    with pytest.raises(ValueError, match=r"00001-of-00003.safetensors is damaged: its SHA-256 is"):
        FeatureSet(out).verify()
    path.write_bytes(held[:-100])
    with pytest.raises(ValueError, match=r"00001.* it is damaged: \d+ of \d+ bytes are there"):
        FeatureSet(out)[2]
    path.unlink()
    with pytest.raises(ValueError, match=r"cannot read .*00001"):
        FeatureSet(out).verify()
    with pytest.raises(ValueError, match=r"cannot read the shard .*00001"):
        FeatureSet(out)[2]


def test_no_features(tmp_path):
    with pytest.raises(ValueError, match=r"holds no extracted features, .* no index.json"):
        FeatureSet(tmp_path)


# The command.


def command(capsys, *words):
    """Exit code, standard output and lines on standard error."""
    code = cli.main(["extract", *map(str, words)])
    out, err = capsys.readouterr()
    return code, out, err.splitlines()


def test_command(clips, out, config, capsys):
    code, told, errors = command(capsys, clips, "-o", out, "--config", config)
    assert (code, errors) == (0, [])
    assert told.startswith(f"{out}: 5 files, 1.0 s of audio, ")
    assert told.endswith(" × real time\n")
    assert FeatureSet(out).stage == STAGE
    code, told, errors = command(capsys, clips, "-o", out, "--config", config)
    assert (code, errors) == (0, [])
    assert told.endswith("; 5 were there already\n")


def test_command_with_a_preset(clips, out, capsys):
    words = [f"{clips}/*.wav", "-o", out, "--preset", "mfcc", "--sample-rate", 16000]
    words += ["--format", "npz", "--dtype", "float16", "--shard-clips", 1, "--workers", 1]
    assert command(capsys, *words)[0] == 0
    features = FeatureSet(out)
    assert features.stage == jaxspec.presets.get("mfcc", sample_rate=16000)
    assert features[0]["features"].dtype == np.float16
    assert len(list(out.glob("shard-*.npz"))) == 2


def test_command_with_a_front_end_that_learns(clips, out, capsys, tmp_path):
    learned = FrontEnd(*STAGE.stages[:-1], stages.PCEN(learn="all", n_bands=6))
    path = tmp_path / "learned.json"
    path.write_text(json.dumps(learned.to_dict()))
    assert command(capsys, clips, "-o", out, "--config", path)[0] == 0
    assert FeatureSet(out).params.keys() == {"pcen"}


def test_command_tells_of_bad_files(tmp_path, out, config, capsys):
    said = bad_files(tmp_path / "in")
    words = [tmp_path / "in", "-o", out, "--config", config]
    code, told, errors = command(capsys, *words)
    assert code == 1
    assert f"; {len(said)} failed\n" in told
    assert sorted(line.split(": ")[1] for line in errors) == sorted(said)
    assert all(line.startswith("jaxspec extract: ") for line in errors)
    code, told, errors = command(capsys, *words)
    assert (code, errors) == (1, [])
    assert f"; {len(said)} failed, {len(said)} of them before (--retry-failed tries" in told
    code, told, errors = command(capsys, *words, "--retry-failed")
    assert (code, len(errors)) == (1, len(said))


def test_command_of_one_process_of_two(clips, out, config, capsys):
    words = [clips, "-o", out, "--config", config, "--shard-clips", 2, "--processes", 2]
    code, told, _ = command(capsys, *words, "--process", 1)
    assert code == 0
    assert "shards of other processes are missing still" in told
    code, told, _ = command(capsys, *words, "--process", 0)
    assert "missing" not in told
    assert len(FeatureSet(out)) == 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--preset", "nothing"], "nothing"),
        (["--preset", "whisper_80", "--sample-rate", "8000"], "--sample-rate must be the 16000 Hz"),
        (["--processes", "2"], "processes and process must be given together"),
        (["--format", "npz", "--dtype", "bfloat16"], "holds float32 or float16"),
    ],
)
def test_command_errors_are_one_line(clips, out, capsys, words, said):
    code, told, errors = command(capsys, clips, "-o", out, *words)
    assert (code, told, len(errors)) == (2, "", 1)
    assert errors[0].startswith("jaxspec extract: error: ")
    assert said in errors[0]


def test_a_bar_on_a_terminal(clips, out, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    cut(clips / "b.wav", 0.5)
    words = [clips, "-o", out, "--preset", "log_mel"]
    code, _, errors = command(capsys, *words)
    assert code == 1
    text = "\n".join(errors)
    assert "5/5 files" in text
    assert "× real time" in text
    assert "jaxspec extract: b.wav: it is truncated" in text
    shutil.rmtree(out)
    assert len(command(capsys, *words, "--quiet")[2]) == 1


def test_lines_without_a_terminal(clips, out, config, capsys, monkeypatch):
    monkeypatch.setattr("jaxspec._extract_command._INTERVAL", -1.0)
    code, _, errors = command(capsys, clips, "-o", out, "--config", config)
    assert code == 0
    assert len(errors) == 4
    assert errors[0].startswith("jaxspec extract: 1 of 5 files, ")
    assert errors[0].endswith(" s left")


def test_ctrl_c_is_clean(clips, out, config, capsys, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    words = [clips, "-o", out, "--config", config, "--shard-clips", 2]
    with monkeypatch.context() as patch:
        patch.setattr("jaxspec.extraction._batches.Computer.__call__", interrupt)
        code, told, errors = command(capsys, *words)
    assert (code, told) == (130, "")
    assert errors == ["jaxspec extract: stopped; the same command goes on from here"]
    assert [path.name for path in out.iterdir()] == ["config.json"]
    assert command(capsys, *words)[0] == 0


# What the system has against it.


def test_an_output_that_is_a_file(clips, config, capsys, tmp_path):
    (tmp_path / "file").touch()
    for output in (tmp_path / "file", tmp_path / "file" / "below"):
        code, _, errors = command(capsys, clips, "-o", output, "--config", config)
        assert (code, len(errors)) == (2, 1)
        assert f"error: cannot write {output}: " in errors[0]


def test_an_output_that_must_not_be_written(clips, out, config, capsys, monkeypatch):
    out.mkdir()
    if os.geteuid() == 0:  # who may write everywhere
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    out.chmod(0o555)
    code, _, errors = command(capsys, clips, "-o", out, "--config", config)
    assert (code, errors) == (2, [f"jaxspec extract: error: cannot write {out}: Permission denied"])
    assert not list(out.iterdir())


def test_a_full_disk(tmp_path, out):
    """A limit of the size of files is met as a full disk is, in the middle of a shard."""
    write(tmp_path / "in/a.wav", 0.1 * noise(2000))
    write(tmp_path / "in/b.wav", 0.1 * noise(200000))
    words = ["extract", str(tmp_path / "in"), "-o", str(out), "--sample-rate", "8000"]
    words += ["--shard-clips", "1"]
    code = "import resource, signal, sys; from jaxspec import cli; "
    limited = "resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000)); "
    limited += "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    run_it = f"sys.exit(cli.main({words!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code + limited + run_it], capture_output=True, text=True
    )
    assert done.returncode == 2
    path = out / "shard-00001-of-00002.safetensors"
    assert done.stderr == f"jaxspec extract: error: cannot write {path}: File too large\n"
    assert sorted(path.name for path in out.iterdir()) == [
        "config.json", "shard-00000-of-00002.json", "shard-00000-of-00002.safetensors",
    ]  # fmt: skip
    assert cli.main(words) == 0
    assert len(FeatureSet(out)) == 2


# A process that is killed at random moments, again and again, in a process of its own: what was
# imported once is there in every fork, so that 20 kills take seconds.
KILLED = """
import json, os, random, signal, sys, time
from pathlib import Path
from jaxspec import cli, extraction  # all that takes long
words, out, kills = json.loads(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])

def start(out):
    child = os.fork()
    if child:
        return child
    os._exit(cli.main([*words, "-o", str(out)]))

def shards(out):
    return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in out.glob("shard-*.json")}

def over(child):
    return os.waitpid(child, os.WNOHANG) != (0, 0)

os.waitpid(start(out.with_name("compiled")), 0)  # and cached
begin, first = time.monotonic(), None
child = start(out.with_name("undisturbed"))
while not over(child):
    if first is None and shards(out.with_name("undisturbed")):
        first = time.monotonic() - begin
    time.sleep(0.001)
n = len(shards(out.with_name("undisturbed")))
each = (time.monotonic() - begin - first) / n

random.seed(0)
held, counts = {}, []
while len(counts) < kills:
    child = start(out)
    # Some time before the first shard is made, or in the middle of the second, say, after it.
    more = random.choice((0, 1, 2, 3))
    while more and len(shards(out)) < len(held) + more and not over(child):
        time.sleep(0.0005)
    time.sleep(random.uniform(0, 1.5 * each if more else first))
    os.kill(child, signal.SIGKILL)
    if not os.WIFSIGNALED(os.waitpid(child, 0)[1]):
        break
    now = shards(out)
    assert held.items() <= now.items(), "a shard was made twice"
    held = now
    counts.append(len(now))
code = os.waitstatus_to_exitcode(os.waitpid(start(out), 0)[1])
assert held.items() <= shards(out).items(), "a shard was made twice"
print(json.dumps({"shards": n, "counts": counts, "code": code}))
"""


@pytest.mark.parametrize("format", ["safetensors", "npz"])
def test_killed_again_and_again(tmp_path, config, format):
    """Nothing is lost, nothing made twice, and what is there in the end is what would have been."""
    for number in range(200):
        write(tmp_path / f"in/{number:03d}.wav", 0.1 * noise(400 + 37 * (number % 11), seed=number))
    cut(tmp_path / "in/007.wav", 0.5)
    words = ["extract", str(tmp_path / "in"), "--config", str(config), "--quiet"]
    words += ["--shard-clips", "2", "--workers", "2", "--format", format]
    kills = 20 if format == "safetensors" else 5
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(
        [sys.executable, "-c", KILLED, json.dumps(words), str(tmp_path / "out"), str(kills)],
        capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["code"] == 1  # of the file that is cut
    assert told["shards"] == 100
    # All were killed before the end, and most of them in the middle of it.
    assert len(told["counts"]) == kills
    assert len(set(told["counts"])) > kills // 3
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")
    assert len(FeatureSet(tmp_path / "out")) == 199


def test_two_devices_give_the_same(tmp_path, clips, out, config):
    """Rows of a batch are shared by all local devices, also where there are fewer clips."""
    run(clips, out)
    words = ["extract", str(clips), "-o", str(tmp_path / "two"), "--config", str(config)]
    code = f"import jax; from jaxspec import cli; assert cli.main({words!r}) == 0; "
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=3"}
    subprocess.run(
        [sys.executable, "-c", code + "assert jax.device_count() == 3"], check=True, env=environment
    )
    for one, two in zip(FeatureSet(out), FeatureSet(tmp_path / "two"), strict=True):
        truth = one["features"]
        np.testing.assert_allclose(two["features"], truth, atol=1e-6 * np.abs(truth).max())


def test_reading_needs_no_package(clips, out):
    run(clips, out)
    code = (
        "import sys, jaxspec.extraction as e; "
        f"print(e.FeatureSet({str(out)!r})[0]['key'], "
        "sorted({'soundfile', 'tqdm', 'safetensors', 'grain', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "a.wav []\n"
