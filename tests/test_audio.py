"""Reading audio files: values, channels, parts of files, resampling and errors."""

import sys

import numpy as np
import pytest
import soundfile

from jaxspec import audio

RATE = 8000


@pytest.fixture
def stereo(tmp_path):
    """A file of one second whose samples are known exactly: multiples of 2**-15."""
    rng = np.random.default_rng(0)
    samples = rng.integers(-(2**15), 2**15, (RATE, 2)).astype(np.int16)
    path = tmp_path / "stereo.wav"
    soundfile.write(path, samples, RATE)
    return path, samples.T / np.float32(2**15)


def test_all_channels_are_the_samples_of_the_file(stereo):
    path, expected = stereo
    samples, rate = audio.load(path, mono=False)
    assert rate == RATE
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples, expected)


def test_mono_is_the_mean_of_the_channels(stereo):
    path, expected = stereo
    samples, _ = audio.load(str(path))
    assert samples.shape == (RATE,)
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, expected.mean(axis=0), atol=1e-7)


def test_a_part_is_those_samples(stereo):
    path, expected = stereo
    samples, _ = audio.load(path, mono=False, start=0.25, duration=0.125)
    np.testing.assert_array_equal(samples, expected[:, 2000:3000])


def test_a_part_behind_the_end_is_shorter(stereo):
    path, expected = stereo
    samples, _ = audio.load(path, mono=False, start=0.75, duration=10)
    np.testing.assert_array_equal(samples, expected[:, 6000:])


@pytest.mark.parametrize("new_rate", [16000, 11025])
def test_resampling_keeps_a_tone(tmp_path, new_rate):
    path = tmp_path / "tone.wav"
    time = np.arange(RATE) / RATE
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 440 * time), RATE, subtype="FLOAT")
    samples, rate = audio.load(path, sample_rate=new_rate)
    assert (rate, samples.shape, samples.dtype) == (new_rate, (new_rate,), np.float32)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(new_rate) / new_rate)
    middle = slice(new_rate // 10, -new_rate // 10)  # the tone starts and ends with a jump
    np.testing.assert_allclose(samples[middle], expected[middle], atol=1e-3)


def test_resampling_keeps_the_channels_apart(tmp_path):
    path = tmp_path / "left.wav"
    left = np.zeros((RATE, 2))
    left[:, 0] = np.sin(np.arange(RATE) / 10)
    soundfile.write(path, left, RATE)
    samples, _ = audio.load(path, sample_rate=RATE * 2, mono=False)
    assert samples.shape == (2, RATE * 2)
    assert np.abs(samples[0]).max() > 0.9
    assert np.abs(samples[1]).max() == 0


def test_the_same_rate_is_not_resampled(stereo, monkeypatch):
    monkeypatch.setitem(sys.modules, "soxr", None)
    path, expected = stereo
    np.testing.assert_array_equal(audio.load(path, sample_rate=RATE, mono=False)[0], expected)


@pytest.mark.parametrize("suffix", audio.AUDIO_SUFFIXES)
def test_formats(tmp_path, suffix):
    path = tmp_path / f"tone{suffix}"
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    soundfile.write(path, tone, 16000)
    samples, rate = audio.load(path)
    assert rate == 16000
    spectrum = np.abs(np.fft.rfft(samples[2000:10000]))
    assert 2 * np.argmax(spectrum) == 440


def test_missing_file(tmp_path):
    with pytest.raises(ValueError, match=r"cannot read .*none\.wav: No such file"):
        audio.load(tmp_path / "none.wav")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ValueError, match=r"cannot read .*: Is a directory"):
        audio.load(tmp_path)


@pytest.mark.parametrize("name", ["text.wav", "text.txt", "text.raw"])
def test_a_file_that_is_no_audio(tmp_path, name):
    path = tmp_path / name
    path.write_text("no audio at all, only words")
    with pytest.raises(ValueError, match=rf"cannot read .*{name}: \w+"):
        audio.load(path)


def test_an_empty_recording(tmp_path):
    path = tmp_path / "empty.wav"
    soundfile.write(path, np.zeros(0), RATE)
    with pytest.raises(ValueError, match=r"empty\.wav holds no samples"):
        audio.load(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 1.0}, r"start must be < the 1 s that .*stereo\.wav holds, got start=1"),
        ({"start": -1.0}, "start must be >= 0, got start=-1"),
        ({"duration": 0.0}, "duration must be > 0, got duration=0"),
        ({"duration": float("nan")}, "duration must be finite"),
        ({"sample_rate": 0}, "sample_rate must be an int >= 1, got sample_rate=0"),
    ],
)
def test_wrong_arguments(stereo, options, message):
    with pytest.raises(ValueError, match=message):
        audio.load(stereo[0], **options)


@pytest.mark.parametrize("package", ["soundfile", "soxr"])
def test_missing_packages_name_the_extra(stereo, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf'{package}.*pip install "jaxspec-audio\[audio\]"'):
        audio.load(stereo[0], sample_rate=16000)


def test_files_of_a_folder(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("c.ogg", "b/a.WAV", "a.mp3", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder.wav").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in audio.audio_files(tmp_path)]
    assert found == ["a.mp3", "b/a.WAV", "c.ogg"]


def test_files_of_no_folder(tmp_path):
    with pytest.raises(ValueError, match=r"folder must be an existing folder, got folder='.*none'"):
        audio.audio_files(tmp_path / "none")
