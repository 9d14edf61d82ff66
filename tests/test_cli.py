"""The command line: pictures on disk, exit codes and one clear line for every error."""

import json
import subprocess
import sys
import warnings

import numpy as np
import pytest
import soundfile
from matplotlib.image import imread

import jaxspec
from jaxspec import FrontEnd, cli, plotting, stages
from jaxspec.presets import get, names

RATE = 16000


@pytest.fixture
def wav(tmp_path):
    path = tmp_path / "tone $1$.wav"
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE), RATE)
    return path


@pytest.fixture
def drawn(monkeypatch):
    """The arguments of every call of plot_frontend."""
    calls = []

    def record(frontend, x, **options):
        calls.append((frontend, np.asarray(x), options))
        return original(frontend, x, **options)

    original = plotting.plot_frontend
    monkeypatch.setattr(plotting, "plot_frontend", record)
    return calls


def write_config(tmp_path, frontend):
    path = tmp_path / "frontend.json"
    path.write_text(json.dumps(frontend.to_dict()))
    return path


def fails(capsys, *words):
    """The line on stderr of a command that ends with exit code 2."""
    assert cli.main([str(word) for word in words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith(f"jaxspec {words[0]}: error: ")
    return err


def test_plot_writes_a_picture(tmp_path, wav, capsys, drawn):
    output = tmp_path / "out.png"
    assert cli.main(["plot", str(wav), "-o", str(output)]) == 0
    assert capsys.readouterr() == ("", "")
    assert output.read_bytes().startswith(b"\x89PNG\r\n")
    image = imread(output)
    assert image.shape[:2] == (825, 1350)
    assert len(np.unique(image[..., 0])) > 50
    frontend, x, options = drawn[0]
    assert frontend == get("log_mel", sample_rate=RATE)
    assert x.shape == (RATE,)
    assert options["title"] == "tone $1$.wav – log_mel, 80 bands, 16 kHz"


@pytest.mark.parametrize(
    ("frontend", "rest"),
    [
        (get("mfcc", sample_rate=11025), "frontend.json, 13 coefficients, 11.025 kHz"),
        (FrontEnd(stages.STFT(n_fft=256), stages.Power()), "frontend.json, 129 bins, 16 kHz"),
        # Derivatives are no bands of their own.
        (
            FrontEnd(
                stages.STFT(n_fft=128),
                stages.Power(),
                stages.Filterbank(sample_rate=800, n_fft=128, n_bands=8),
                stages.Deltas(order=1),
            ),
            "frontend.json, 16 channels, 800 Hz",
        ),
        (
            get("learnable_mel"),
            "frontend.json, 40 bands, 16 kHz (at its start, not trained)",
        ),
    ],
)
def test_title_says_what_is_drawn(tmp_path, wav, drawn, frontend, rest):
    config = write_config(tmp_path, frontend)
    words = ["plot", str(wav), "-o", str(tmp_path / "out.png"), "--config", str(config)]
    assert cli.main(words) == 0
    assert drawn[0][2]["title"] == f"tone $1$.wav – {rest}"


def test_title_of_a_long_name_takes_two_lines(tmp_path, wav, drawn):
    long = wav.rename(wav.with_name("x" * 80 + ".wav"))
    assert cli.main(["plot", str(long), "-o", str(tmp_path / "out.png")]) == 0
    assert drawn[0][2]["title"] == f"{long.name}\nlog_mel, 80 bands, 16 kHz"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--duration", "0.004"], "the chosen part of tone $1$.wav holds 4 ms, less than"),
        (["--start", "0.98"], "the chosen part of tone $1$.wav holds 20 ms, less than"),
        (["--duration", "0.025"], None),
    ],
)
def test_less_than_a_window_is_drawn_with_a_warning(tmp_path, wav, capsys, words, said):
    output = tmp_path / "out.png"
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert cli.main(["plot", str(wav), "-o", str(output), *words]) == 0
    assert output.read_bytes().startswith(b"\x89PNG")
    expected = f"jaxspec plot: warning: {said} one window of 25 ms\n" if said else ""
    assert capsys.readouterr().err == expected


def test_a_file_shorter_than_a_window_is_named(tmp_path, capsys):
    soundfile.write(tmp_path / "x.wav", np.ones(64) / 2, RATE)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert cli.main(["plot", str(tmp_path / "x.wav"), "-o", str(tmp_path / "out.png")]) == 0
    said = "jaxspec plot: warning: x.wav holds 4 ms, less than one window of 25 ms\n"
    assert capsys.readouterr().err == said


def test_help_says_that_a_config_is_not_trained(capsys):
    with pytest.raises(SystemExit):
        cli.main(["plot", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "The JSON holds choices, no learned values" in text
    assert "plotting.plot_frontend(..., params=...)" in text


def test_other_formats_follow_the_suffix(tmp_path, wav):
    output = tmp_path / "out.svg"
    assert cli.main(["plot", str(wav), "-o", str(output), "--duration", "0.1"]) == 0
    assert b"<svg" in output.read_bytes()


@pytest.mark.parametrize("name", ["mfcc", "learnable_mel"])
def test_plot_takes_every_preset(tmp_path, wav, name, drawn):
    output = tmp_path / "out.png"
    words = ["--preset", name, "--duration", "0.2", "--title", "A title"]
    assert cli.main(["plot", str(wav), "-o", str(output), *words]) == 0
    assert output.stat().st_size > 10_000
    assert drawn[0][0] == get(name, sample_rate=RATE)
    assert drawn[0][2]["title"] == "A title"


def test_presets_of_models_state_the_rate(tmp_path, wav, drawn, capsys):
    words = ["plot", str(wav), "-o", str(tmp_path / "out.png"), "--preset", "vocos"]
    assert cli.main(words) == 0
    frontend, x, options = drawn[0]
    assert frontend == get("vocos")
    assert x.shape == (24000,)
    assert options["sample_rate"] == 24000
    assert cli.main([*words, "--sample-rate", "16000"]) == 2
    assert "must be the 24000 Hz that vocos is for, got 16000" in capsys.readouterr().err


def test_part_and_rate(tmp_path, wav, drawn):
    words = ["--start", "0.25", "--duration", "0.5", "--sample-rate", "8000"]
    assert cli.main(["plot", str(wav), "-o", str(tmp_path / "out.png"), *words]) == 0
    frontend, x, options = drawn[0]
    assert frontend == get("log_mel", sample_rate=8000)
    assert x.shape == (4000,)
    assert options["start"] == 0.25


def test_config_states_the_rate(tmp_path, wav, drawn):
    frontend = get("gammatone", sample_rate=8000)
    config = write_config(tmp_path, frontend)
    words = ["plot", str(wav), "-o", str(tmp_path / "out.png"), "--config", str(config)]
    assert cli.main(words) == 0
    assert drawn[0][0] == frontend
    assert drawn[0][1].shape == (8000,)
    assert drawn[0][2]["title"] == "tone $1$.wav – frontend.json, 64 bands, 8 kHz"
    assert cli.main([*words, "--sample-rate", "8000"]) == 0


@pytest.mark.parametrize(("words", "samples"), [([], RATE), (["--sample-rate", "8000"], 8000)])
def test_config_without_a_rate_takes_any(tmp_path, wav, drawn, words, samples):
    frontend = FrontEnd(stages.STFT(n_fft=256), stages.Power())
    config = write_config(tmp_path, frontend)
    output = str(tmp_path / "out.png")
    assert cli.main(["plot", str(wav), "-o", output, "--config", str(config), *words]) == 0
    assert drawn[0][1].shape == (samples,)
    assert drawn[0][2]["sample_rate"] == samples


def test_rate_against_the_config(tmp_path, wav, capsys):
    config = write_config(tmp_path, get("log_mel"))
    words = ("plot", wav, "-o", tmp_path / "o.png", "--config", config, "--sample-rate", 8000)
    assert "--sample-rate must be the 16000 Hz that" in fails(capsys, *words)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "frontend.json is no front-end: Expecting property name"),
        ("[]", "frontend.json is no front-end: it must hold a JSON object"),
        ('{"rows": []}', 'frontend.json is no front-end: it has no "stage" key, so FrontEnd.to_di'),
        ('{"stage": "Nothing"}', "frontend.json is no front-end: stage must be one of"),
        ('{"stage": "STFT", "n_fft": 512}', "frontend.json is no front-end"),
        ('{"stage": "FrontEnd", "stages": [{"stage": "STFT"}]}', "n_fft"),
        (None, "frontend.json: No such file"),
    ],
)
def test_wrong_configs(tmp_path, wav, capsys, text, message):
    config = tmp_path / "frontend.json"
    if text is not None:
        config.write_text(text)
    assert message in fails(capsys, "plot", wav, "-o", tmp_path / "o.png", "--config", config)


def test_wrong_names_and_files(tmp_path, wav, capsys):
    output = tmp_path / "out.png"
    text = tmp_path / "text.wav"
    text.write_text("words")
    error = fails(capsys, "plot", wav, "-o", output, "--preset", "mell")
    assert "name must be one of the" in error
    assert "'mell'" in error
    assert "none.wav: No such file" in fails(capsys, "plot", tmp_path / "none.wav", "-o", output)
    assert "cannot read" in fails(capsys, "plot", text, "-o", output)
    assert "start must be <" in fails(capsys, "plot", wav, "-o", output, "--start", 9)
    assert "sample_rate must be" in fails(capsys, "plot", wav, "-o", output, "--sample-rate", 0)
    assert not output.exists()


def test_wrong_outputs(tmp_path, wav, capsys):
    nowhere = tmp_path / "none" / "out.png"
    assert "cannot write" in fails(capsys, "plot", wav, "-o", nowhere, "--duration", 0.1)
    unknown = tmp_path / "out.xyz"
    assert "'xyz' is not supported" in fails(capsys, "plot", wav, "-o", unknown, "--duration", 0.1)
    folder = tmp_path / "out.png"
    folder.mkdir()
    assert "Is a directory" in fails(capsys, "plot", wav, "-o", folder, "--duration", 0.1)


@pytest.mark.parametrize(
    ("module", "extra"), [("soundfile", "audio"), ("matplotlib.figure", "plots")]
)
def test_missing_extras(tmp_path, wav, capsys, monkeypatch, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    error = fails(capsys, "plot", wav, "-o", tmp_path / "out.png")
    assert f'pip install "jaxspec-audio[{extra}]"' in error


def test_warnings_are_one_line(tmp_path, wav, capsys):
    bank = stages.Filterbank(sample_rate=RATE, n_fft=256, n_bands=128, layout="free")
    frontend = FrontEnd(stages.STFT(n_fft=256), stages.Power(), bank)
    description = frontend.to_dict()
    description["stages"][2]["layout"] = "fixed"  # bands between the bins are empty for ever
    config = tmp_path / "frontend.json"
    config.write_text(json.dumps(description))
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        words = ["plot", str(wav), "-o", str(tmp_path / "o.png"), "--config", str(config)]
        assert cli.main(words) == 0
    err = capsys.readouterr().err
    assert err.startswith("jaxspec plot: warning: ")
    assert err.count("\n") == 1


def test_presets_are_listed(capsys):
    assert cli.main(["presets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(names())
    assert all("  " in line and len(line) <= 240 for line in lines)
    assert lines[1].split(maxsplit=3)[1:3] == ["any", "rate"]
    assert "80 mel bands (Slaney) of the power" in lines[1]
    whisper = next(line for line in lines if line.startswith("whisper_80"))
    assert whisper.split()[1:3] == ["16", "kHz"]
    assert whisper.endswith("[n_samples]")
    assert cli.main(["presets", "vocos"]) == 0
    text = capsys.readouterr().out
    assert "Trap:" in text
    assert "sample_rate=24000" in text


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["draw"],
        ["plot", "a.wav"],
        ["plot", "a.wav", "-o", "b.png", "--preset", "log_mel", "--config", "c.json"],
        ["plot", "a.wav", "-o", "b.png", "--sample-rate", "fast"],
    ],
)
def test_words_that_are_no_command_line(words, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    assert end.value.code == 2
    assert "usage: jaxspec" in capsys.readouterr().err


def test_module_can_be_run():
    words = [sys.executable, "-m", "jaxspec", "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == f"jaxspec {jaxspec.__version__}\n"


def test_importing_the_command_line_is_cheap():
    program = (
        "import sys, jaxspec.cli; print([m for m in "
        "('matplotlib', 'soundfile', 'soxr', 'flax', 'scipy.signal') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
