"""Live features: sources, the loop at the pace of the sound, and what is drawn."""

import io
import itertools
import os
import re
import signal
import struct
import sys
import types
import warnings

import numpy as np
import pytest
import soundfile

import jaxspec
from jaxspec import _live, _terminal, _views, audio, cli, live, presets

RATE = 16000
LOG_MEL = presets.get("log_mel")


def _tone(hz=1000.0, *, seconds=1.0, rate=RATE, amplitude=0.5):
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(
        np.float32
    )


@pytest.fixture
def wav(tmp_path):
    path = tmp_path / "tone.wav"
    soundfile.write(path, _tone(seconds=2.5), RATE)
    return path


@pytest.fixture
def stdin(monkeypatch):
    """Puts bytes into standard input."""

    def put(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return put


def run(capsys, *words):
    """The lines on stdout of a command that succeeds, and what is on stderr."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert cli.main(["live", *map(str, words)]) == 0
    out, err = capsys.readouterr()
    return out.splitlines(), err


def fails(capsys, *words):
    """The line on stderr of a command that ends with exit code 2."""
    assert cli.main(["live", *map(str, words)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("jaxspec live: error: ")
    return err


def _wav_bytes(samples, *, size=None, subtype="PCM_16", rate=RATE):
    """A WAV file as bytes, with another size of its samples stated if wanted."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype=subtype)
    data = buffer.getvalue()
    if size is not None:
        at = data.index(b"data") + 4
        data = data[:at] + struct.pack("<I", size) + data[at + 4 :]
    return data


# The command.


def test_a_file_gives_a_line_a_second(wav, capsys):
    lines, err = run(capsys, wav, "--speed", 0)
    assert err == ""
    assert lines[0] == "tone.wav – log_mel, 80 bands, 16 kHz"
    assert [line.split()[0] for line in lines[1:4]] == ["0:01.0", "0:02.0", "0:02.5"]
    assert all("level   -9.0 dB  loudest at 1.0 kHz" in line for line in lines[1:4])
    assert lines[4].startswith("2.5 s, 251 frames; ")
    assert "for a chunk of 20 ms" in lines[4]
    assert lines[4].endswith("delay 36 ms")  # half of 512 samples and a chunk
    assert len(lines) == 5


def test_options_change_what_is_heard(wav, capsys):
    words = ["--speed", 0, "--start", 1, "--duration", 0.5, "--chunk", 10, "--sample-rate", 8000]
    lines, _ = run(capsys, wav, *words, "--preset", "mfcc")
    assert lines[0] == "tone.wav – mfcc, 13 coefficients, 8 kHz"
    assert "loudest at channel" in lines[1]
    assert lines[-1].startswith("0.5 s, 51 frames; ")
    assert "chunk of 10 ms" in lines[-1]


@pytest.mark.parametrize("pcm", ["s16le", "S16_LE", "s24le", "f32le", "u8"])
def test_samples_without_a_header(stdin, capsys, pcm):
    stereo = np.repeat(_tone(2000, rate=8000)[:, None], 2, axis=1)
    whole = {
        "s16le": lambda x: (x * 2**15).astype("<i2").tobytes(),
        "f32le": lambda x: x.astype("<f4").tobytes(),
        "u8": lambda x: (128 + x * 127).astype(np.uint8).tobytes(),
        "s24le": lambda x: (x * 2**23).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes(),
    }
    stdin(whole[pcm.lower().replace("_", "")](stereo))
    words = ["--pcm", pcm, "--pcm-rate", 8000, "--pcm-channels", 2]
    lines, err = run(capsys, "-", *words)
    assert err == ""
    assert lines[0] == "standard input – log_mel, 80 bands, 8 kHz"
    assert re.match(r"0:01.0  level   -9.[01] dB  loudest at 2.0 kHz  ", lines[1])


@pytest.mark.parametrize("size", [None, 0, 0xFFFFFFFF, 0x7FFFF000])
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT", "PCM_24"])
def test_a_wav_stream(stdin, size, subtype):
    x = _tone(seconds=0.1)
    stdin(_wav_bytes(x, size=size, subtype=subtype))
    with live.open_source("-") as source:
        assert (source.rate, source.live) == (RATE, True)
        parts = list(iter(lambda: source.read(700).tolist(), []))
    assert [len(part) for part in parts] == [700, 700, 200]
    np.testing.assert_allclose(np.concatenate(parts), x, atol=1 / 2**15)


def test_what_follows_the_samples_of_a_wav_stream_is_no_sound(stdin):
    data = _wav_bytes(_tone(seconds=0.1))
    stdin(data + b"LIST\x04\x00\x00\x00abcd")
    with live.open_source("-") as source:
        assert len(source.read(10**6)) == 1600


def test_a_stream_that_ends_within_a_sample(stdin, capsys):
    stdin(bytes(2 * 800 + 1))
    lines, err = run(capsys, "-", "--pcm", "s16le", "--pcm-rate", RATE)
    said = "standard input ended within a sample: 1 of 2 bytes left out"
    assert err == f"jaxspec live: warning: {said}\n"
    assert lines[1].startswith("0:00.0  level -120.0 dB")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "standard input holds no samples"),
        (b"fLaC and so on", "must be a WAV stream, or pcm and pcm_rate must say what its samples"),
        (b"RIFF\0\0\0\0WAVEfmt \x10", "is a WAV stream that ends within its header"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "is a WAV stream that ends within its header"),
        (_wav_bytes(np.zeros(9), subtype="ULAW"), "format tag 7, 8 bits, 1 channels and 16000 Hz"),
        (_wav_bytes(np.zeros(0)), "standard input holds no samples"),
    ],
)
def test_streams_that_hold_no_sound(stdin, capsys, data, said):
    stdin(data)
    assert said in fails(capsys, "-")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--pcm", "s17le", "--pcm-rate", 8000], "pcm must be one of 'u8', 's8', 's16le', "),
        (["--pcm", "s16le"], "pcm_rate must be given with pcm=s16le"),
        (["--pcm-rate", 8000], "pcm_rate and pcm_channels have no effect without pcm"),
        (["--pcm", "s16le", "--pcm-rate", 0], "pcm_rate must be"),
        (["--pcm", "s16le", "--pcm-rate", 8000, "--pcm-channels", 0], "pcm_channels must be"),
        (["--start", 1], "start must be 0 but for audio files, got start=1"),
        (["--device", "USB"], "device has no effect but for mic, got device='USB'"),
        (["--duration", 0], "duration must be"),
        (["--preset", "ast"], "a stream cannot be given to FitFrames"),
        (["--preset", "mell"], "name must be one of the"),
        (["--preset", "vocos", "--sample-rate", 8000], "must be the 24000 Hz that vocos is for"),
    ],
)
def test_wrong_options(stdin, capsys, words, said):
    stdin(bytes(100))
    assert said in fails(capsys, "-", *words)


@pytest.mark.parametrize("name", ["chunk", "seconds", "range", "speed"])
def test_numbers_out_of_their_range(wav, capsys, name):
    shown = {"range": "span"}.get(name, name)
    assert f"{shown} must be" in fails(capsys, wav, f"--{name}", -1)


def test_wrong_files(tmp_path, capsys):
    text = tmp_path / "text.wav"
    text.write_text("words")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE)
    soundfile.write(tmp_path / "nan.wav", np.full(900, np.nan), RATE, subtype="FLOAT")
    assert "none.wav: No such file" in fails(capsys, tmp_path / "none.wav")
    assert "cannot read" in fails(capsys, text)
    assert "empty.wav holds no samples" in fails(capsys, tmp_path / "empty.wav")
    said = "nan.wav holds a NaN or an infinite sample behind 0.00 s"
    assert said in fails(capsys, tmp_path / "nan.wav", "--speed", 0)


def test_a_microphone_needs_sounddevice(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert 'pip install "jaxspec-audio[live]"' in fails(capsys, "mic")


class _Microphone:
    """What sounddevice gives of itself: a tone, read too late once."""

    opened = None

    def __init__(self, **options):
        if options["device"] == 9:
            raise ValueError("no device 9")
        _Microphone.opened, self._numbers = options, itertools.count()

    def start(self):
        pass

    def read(self, n):
        return _tone(seconds=n / RATE)[:, None], next(self._numbers) == 1

    def close(self):
        _Microphone.opened["closed"] = True


def test_a_microphone(monkeypatch, capsys):
    module = types.SimpleNamespace(InputStream=_Microphone, PortAudioError=OSError)
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    lines, err = run(capsys, "mic", "--duration", 1, "--device", 3)
    assert lines[0] == "microphone – log_mel, 80 bands, 16 kHz"
    assert lines[1].startswith("0:01.0  level   -9.0 dB  loudest at 1.0 kHz")
    assert "read too late: some sound is missing" in err
    assert _Microphone.opened == {
        "samplerate": RATE, "channels": 1, "dtype": "float32", "device": 3, "closed": True,
    }  # fmt: skip
    assert "cannot open the microphone at 16000 Hz: no device 9" in fails(
        capsys, "mic", "--device", 9
    )


# The loop.


def test_frames_are_those_of_the_whole_clip(wav):
    x = soundfile.read(wav, dtype="float32")[0]
    stream = jaxspec.Stream(LOG_MEL)
    with live.open_source(wav) as source:
        found = list(_live.pieces(source, stream, chunk=320))
    features = np.concatenate([piece.features for piece in found])
    np.testing.assert_allclose(features, LOG_MEL(x), rtol=1e-4, atol=1e-4)
    assert [len(piece.samples) for piece in found] == [320] * 125 + [0]
    assert found[-1].seconds == 2.5


def test_resampling_piece_by_piece_is_that_of_the_whole(tmp_path):
    soundfile.write(tmp_path / "x.wav", _tone(440, rate=44100), 44100, subtype="FLOAT")
    with live.open_source(tmp_path / "x.wav", sample_rate=RATE) as source:
        assert source.held_back == 0
        parts = [source.read(320)]
        assert 0 < source.held_back < 0.1
        parts += iter(lambda: source.read(320).tolist(), [])
    assert {len(part) for part in parts} == {320}
    whole, _ = audio.load(tmp_path / "x.wav", sample_rate=RATE)
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-4)


@pytest.mark.parametrize("speed", [1.0, 2.0])
def test_the_pace_is_that_of_the_sound(wav, speed):
    time = [0.0]

    def sleep(seconds):
        time[0] += seconds

    with live.open_source(wav) as source:
        found = _live.pieces(
            source, jaxspec.Stream(LOG_MEL), chunk=320, speed=speed, now=lambda: time[0],
            sleep=sleep,
        )  # fmt: skip
        for piece in found:
            if len(piece.samples):  # what is still to come at the end comes at once
                assert time[0] == pytest.approx(piece.seconds / speed)
            time[0] += 0.01 / speed  # what computing took is made up for


def test_events_see_every_frame_and_are_shown(wav):
    seen, output = [], io.StringIO()

    def events(features):
        before = sum(map(len, seen))
        seen.append(features)
        return ["a second"] if before < 99 <= before + len(features) else []

    with live.open_source(wav) as source:
        summary = live.watch(source, LOG_MEL, speed=0, events=events, output=output)
    assert np.concatenate(seen).shape == (251, 80)
    assert summary.finished
    assert summary.frames == 251
    assert re.search(r"^0:01\.0  a second$", output.getvalue(), re.MULTILINE)


def test_features_of_no_waveform_are_refused(wav):
    frontend = jaxspec.FrontEnd(jaxspec.stages.Power())
    with (
        live.open_source(wav) as source,
        pytest.raises(ValueError, match="frontend must make feat"),
    ):
        live.watch(source, frontend, speed=0)


def test_ctrl_c_ends_in_peace(wav):
    output = io.StringIO()

    def events(features):
        raise KeyboardInterrupt

    with live.open_source(wav) as source:
        summary = live.watch(source, LOG_MEL, speed=0, events=events, output=output)
    assert not summary.finished
    assert "Traceback" not in output.getvalue()


def test_ctrl_c_before_any_sound(wav, capsys, monkeypatch):
    def interrupted(*_, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(live, "watch", interrupted)
    assert cli.main(["live", str(wav)]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("name", "unit"), [("log_mel", np.log(10) / 10), ("pcen", 0), ("mfcc", 0)])
def test_units_of_a_decibel(name, unit):
    found, _ = _live.colour_units(jaxspec.Stream(presets.get(name)), chunk=320)
    assert found == pytest.approx(unit, rel=0.01)


def test_colours_follow_the_loudest_on_the_screen():
    scale = _live.Scale(0.1, -20.0, 60.0)
    assert scale.limits(np.zeros((3, 4)), 0.0) == (-6.0, 0.0)
    assert scale.limits(np.full((3, 4), -5.0), 1.0) == (-7.0, -1.0)  # 10 dB a second
    assert scale.limits(np.full((3, 4), 2.0), 1.0) == (-4.0, 2.0)  # at once
    assert scale.limits(np.full((3, 4), -50.0), 100.0) == (-26.0, -20.0)  # silence stays dark
    scale = _live.Scale(0.0, 0.0, 60.0)
    assert scale.limits(np.arange(101.0)[None], 0.0) == (1.0, 99.0)


# What is drawn.


def test_the_brightest_row_is_that_of_the_frequency():
    y = np.asarray(LOG_MEL(_tone(1000)))[20:40]
    hz = LOG_MEL.frequencies()
    image = _terminal.pixels(y, 40)
    assert image.shape == (40, 20)
    near = np.abs(hz - 1000).argmin()
    assert set(image.argmax(axis=0)) == {39 - near // 2}
    lines = _terminal.painted(y, rows=20, width=30, limits=(y.min(), y.max()), mode="shades")
    assert {len(line) for line in lines} == {30}
    assert [row for row, line in enumerate(lines) if "█" in line] == [19 - near // 4]
    labels = _terminal.row_labels(hz, 80, 20)
    assert {len(label) for label in labels} == {_terminal.LABEL_WIDTH}
    said = [_hz(label) for label in labels if label.strip()]
    assert said == sorted(said, reverse=True)
    row = 19 - near // 4
    around = [r for r, label in enumerate(labels) if label.strip()]
    above, below = max(r for r in around if r <= row), min(r for r in around if r >= row)
    assert _hz(labels[below]) * 0.95 <= 1000 <= _hz(labels[above]) * 1.05


def _hz(label):
    text = label.strip()
    return 1000 * float(text[:-1]) if text.endswith("k") else float(text)


@pytest.mark.parametrize("mode", ["true", "256", "shades"])
@pytest.mark.parametrize("channels", [1, 7, 80, 257])
def test_pictures_of_any_number_of_channels(mode, channels):
    y = np.random.default_rng(0).standard_normal((25, channels))
    lines = _terminal.painted(y, rows=9, width=40, limits=(-1, 1), mode=mode)
    shown = [re.sub("\x1b\\[[0-9;]*m", "", line) for line in lines]
    assert [len(line) for line in shown] == [40] * 9
    assert all(line.startswith(" " * 15) for line in shown)
    assert ("\x1b" in "".join(lines)) == (mode != "shades")


def test_levels_are_ever_lighter():
    lightness = _terminal.ramp() @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > 0).all()
    assert _terminal.ramp().min() >= 0
    assert _terminal.ramp().max() <= 255


class _Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("environ", "mode"),
    [
        ({"TERM": "xterm"}, "256"),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, "true"),
        ({"TERM": "xterm", "NO_COLOR": "1"}, "shades"),
        ({"TERM": "xterm", "NO_COLOR": ""}, "256"),
        ({"TERM": "dumb"}, "lines"),
        ({}, "lines"),
    ],
)
def test_modes(environ, mode):
    assert _terminal.mode_of(_Terminal(), environ) == mode
    assert _terminal.mode_of(io.StringIO(), environ) == "lines"
    ascii_only = _Terminal()
    ascii_only.encoding = "ascii"
    assert _terminal.mode_of(ascii_only, environ) == "lines"


def test_clock_and_ticks():
    assert _terminal.clock(59.96, tenths=True) == "0:59.9"
    assert _terminal.clock(61) == "1:01"
    assert _terminal.clock(3600 * 2 + 60 + 2) == "2:01:02"
    assert _terminal.ticked([(0, "a"), (3, "bc"), (4, "x"), (9, "end")], 12) == "╵a ╵bc      "


@pytest.fixture
def screen(monkeypatch):
    """A terminal of a size that can be set, and what is written to it."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)

    def resize(columns, lines):
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("LINES", str(lines))

    resize(60, 16)
    return _Terminal(), resize


def test_a_picture_fills_the_terminal_and_gives_it_back(wav, screen):
    output, _ = screen
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with live.open_source(wav) as source:
        live.watch(source, LOG_MEL, speed=0, events=lambda _: (), title="A title", output=output)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    text = output.getvalue()
    assert text.startswith("\x1b[?1049h\x1b[?25l")
    left = text.partition("\x1b[?25h\x1b[?1049l")[2]  # the last picture stays
    lines = [re.sub("\x1b\\[[0-9;]*m", "", line) for line in left.splitlines()]
    assert len(lines) == 16 + 1
    assert lines[0].startswith("A title")
    assert lines[0].rstrip().endswith("60 dB")
    assert lines[1].count("▀") == 2.5 * 100 // 11  # columns of 11 frames
    assert "╵0:01" in lines[14]
    assert "level   -9.0 dB" in lines[15]
    assert lines[16].startswith("2.5 s, 251 frames")


def test_a_terminal_that_changes_its_size(wav, screen):
    output, resize = screen
    picture = _views.Picture(
        output, "title", None, mode="256", frame_rate=100, seconds=6,
        scale=_live.Scale(1, 0, 60), with_events=True,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    summary = live.Summary(1.0, 1, 0.1, 0.1, 0.1, False)
    piece = _live.Piece(np.ones(320, np.float32), rng.standard_normal((30, 9)), 1.0, 0.1)
    picture.add(piece, ["word"], summary, 0.02)
    for columns, lines in ((60, 16), (20, 3), (200, 50), (1, 1), (9, 2)):
        resize(columns, lines)
        picture.add(piece, ["x" * 50], summary, 0.02)
        drawn = picture.lines(columns, lines)
        assert len(drawn) == lines
        shown = [re.sub("\x1b\\[[0-9;]*m", "", line) for line in drawn]
        assert all(len(line) <= max(columns, _terminal.LABEL_WIDTH + 1) for line in shown)


def test_memory_does_not_grow():
    picture = _views.Picture(
        _Terminal(), "title", None, mode="256", frame_rate=100, seconds=6,
        scale=_live.Scale(1, 0, 60), with_events=True,
    )  # fmt: skip
    summary = live.Summary(1.0, 1, 0.1, 0.1, 0.1, False)
    piece = _live.Piece(np.ones(320, np.float32), np.zeros((100, 4)), 1.0, 0.1)
    for _ in range(300):
        picture.add(piece, ["x"] * 10, summary, 0.02)
    kept = [len(value) for value in vars(picture).values() if hasattr(value, "__len__")]
    assert max(kept) <= _views.KEPT


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_signals_in_the_middle_of_a_picture(wav, screen, name):
    """The picture is finished, the terminal is restored, and then the process ends."""
    number = getattr(signal, name)

    class Interrupted(_Terminal):
        asked = False

        def write(self, text):
            if "╵" in text and not self.asked:
                self.asked = True
                os.kill(os.getpid(), number)
            return super().write(text)

    output = Interrupted()
    with live.open_source(wav) as source:
        if name == "SIGINT":
            assert not live.watch(source, LOG_MEL, speed=0, output=output).finished
        else:
            with pytest.raises(SystemExit) as stopped:
                live.watch(source, LOG_MEL, speed=0, output=output)
            assert stopped.value.code == 128 + signal.SIGTERM
    text = output.getvalue()
    assert text.count("\x1b[?1049h") == text.count("\x1b[?25h\x1b[?1049l") == 1
    left = text.partition("\x1b[?1049l")[2].splitlines()
    assert len(left) == 15 + 1 + (name == "SIGINT")
    assert "delay 36 ms" in left[15 if name == "SIGINT" else -1]
