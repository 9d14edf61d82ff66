"""ONNX files, run by onnxruntime; without the extra ``onnx``, most of it is skipped."""

import sys

import jax
import numpy as np
import pytest
from helpers import noise, relative_rms_error

import jaxspec
from jaxspec import stages
from jaxspec.export import to_onnx

LOG_MEL = jaxspec.presets.get("log_mel")


@pytest.fixture
def run(tmp_path):
    """A function that converts a stage and runs the file."""
    for package in ("jax2onnx", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package} is not installed: the extra onnx")
    import onnxruntime

    def convert(stage, params, **options):
        path = tmp_path / "stage.onnx"
        to_onnx(stage, params, path, **options)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [value.name for value in session.get_inputs()]

        def call(*values):
            results = session.run(None, dict(zip(names, values, strict=True)))
            return results[0] if len(results) == 1 else results[0] + 1j * results[1]

        return call

    return convert


def _x(*shape):
    return noise(*shape).astype(np.float32) / 10


# With what each shows: a constant and a reflected edge, parameters, recursion, whole frames alone.
@pytest.mark.parametrize("name", ["log_mel", "learnable_mel", "pcen", "kaldi_fbank", "tacotron2"])
def test_any_batch_and_length(run, name):
    stage = jaxspec.presets.get(name)
    params = jax.tree.map(lambda p: p + 0.1, stage.init(jax.random.key(0)))
    call = run(stage, params)
    for shape in [(1, 16000), (3, 4321)]:
        x = _x(*shape)
        assert relative_rms_error(call(x), stage.apply(params, x)) <= 1e-5


@pytest.mark.parametrize("name", ["whisper_80", "clap", "perch_simple", "gemma4"])
def test_a_known_length(run, name):
    stage = jaxspec.presets.get(name)
    call = run(stage, {}, samples=16000)
    x = _x(2, 16000)
    assert relative_rms_error(call(x), stage(x)) <= 1e-5


def test_spectra_are_pairs(run):
    stft = stages.STFT(n_fft=400, hop_length=160)
    x = _x(2, 4000)
    spectrum = run(stft, {})(x)
    assert relative_rms_error(spectrum, stft(x)) <= 1e-5
    power = run(stages.Power(), {}, channels=201)
    assert relative_rms_error(power(spectrum.real, spectrum.imag), stages.Power()(spectrum)) <= 1e-5


def test_jax_is_left_as_it_was(run):
    """What is traced after a conversion, of sizes not seen before, is compiled as ever."""
    run(LOG_MEL, {}, batch=(), samples=3210)
    for n in (3210, 3211):
        assert np.isfinite(LOG_MEL(_x(n))).all()
        assert np.isfinite(jax.jit(jax.grad(lambda x: LOG_MEL(x).sum()))(_x(n))).all()


def test_what_cannot_be_converted_is_said(run):
    with pytest.raises(ValueError, match=r"jax2onnx cannot convert .* give a number \("):
        run(jaxspec.presets.get("whisper_80"), {})


def test_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    with pytest.raises(ImportError, match=r'pip install "jaxspec-audio\[onnx\]"'):
        to_onnx(LOG_MEL, {}, tmp_path / "log_mel.onnx")
    assert not any(tmp_path.iterdir())


def test_what_is_wrong_is_said(tmp_path):
    path = tmp_path / "log_mel.onnx"
    for options, message in [
        ({"batch": 0}, "batch must be an int >= 1"),
        ({"samples": "a b"}, "samples must be a name or a number"),
        ({"samples": 100, "shortest": 3}, "shortest has an effect only where samples is a name"),
        ({"channels": 3}, "channels has no effect for waveforms"),
    ]:
        with pytest.raises(ValueError, match=message):
            to_onnx(LOG_MEL, {}, path, **options)
    with pytest.raises(TypeError, match="stage must be a stage"):
        to_onnx("log_mel", {}, path)
