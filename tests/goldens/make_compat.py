"""Make ``compat_torchaudio.npz``: what the originals of ``jaxspec.compat`` give.

The tests read only the ``.npz``. To make the file again, in a virtual environment of its own
(Python 3.11, CPU is enough), as ``make_torch.py`` says for its file::

    pip install torch==2.13.0 numpy
    pip install --no-deps torchaudio==2.11.0
    rm "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"/torchaudio/lib/*.so
    python tests/goldens/make_compat.py -o tests/goldens/compat_torchaudio.npz

``torchaudio.transforms`` and ``torchaudio.compliance.kaldi`` run in float64, banks and windows
included. Of every result a few frames are kept, its shape, and the mean of all its values. The key
``cases`` is JSON: one record for each array, with the call that made it. The key ``signatures``
is JSON, too: the arguments of every function with their defaults.
"""

import argparse
import inspect
import json
import pathlib
import warnings

import numpy as np
import torch
import torchaudio
from torchaudio import transforms
from torchaudio.compliance import kaldi
from voice import signals

SR = 16000
#: At this scale ``compliance.kaldi`` sees 16-bit samples.
PCM = 32768.0

STFTS = [
    {},
    {"n_fft": 512, "win_length": 400, "hop_length": 160},
    {"n_fft": 401, "hop_length": 100, "power": 1.0},
    {"n_fft": 256, "pad": 77, "window_fn": "hamming_window"},
    {"n_fft": 256, "window_fn": "kaiser_window", "wkwargs": {"beta": 8.0, "periodic": False}},
    {"n_fft": 300, "win_length": 201, "wkwargs": {"periodic": False}},
    {"n_fft": 512, "normalized": True, "power": 1.5},
    {"n_fft": 512, "win_length": 300, "normalized": "frame_length"},
    {"n_fft": 512, "center": False, "window_fn": "blackman_window"},
    {"n_fft": 512, "pad_mode": "replicate", "window_fn": "bartlett_window"},
    {"n_fft": 512, "pad_mode": "circular"},
    {"n_fft": 512, "pad_mode": "constant", "normalized": "window"},
    {"n_fft": 256, "power": None},
]
MELS = [
    {"n_mels": 40},
    {"n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 40, "f_min": 20.0},
    {"n_fft": 1024, "n_mels": 80, "norm": "slaney", "mel_scale": "slaney", "f_max": 7000.0},
    {"sample_rate": 8000, "n_fft": 512, "n_mels": 23, "power": 1.0, "center": False},
    {"n_fft": 401, "n_mels": 32, "norm": "slaney", "pad": 50},
    {"sample_rate": 11025, "n_fft": 512, "n_mels": 40, "f_min": 50.0, "normalized": True},
    {"n_fft": 512, "n_mels": 40, "window_fn": "hamming_window", "pad_mode": "constant"},
]
DECIBELS = [
    {},
    {"top_db": 80.0},
    {"stype": "magnitude"},
    {"stype": "magnitude", "top_db": 40.0},
]
SCALES = [
    {"n_mels": 40, "n_stft": 257},
    {"n_mels": 40, "n_stft": 257, "f_min": 100.0, "f_max": 6000.0, "norm": "slaney"},
    {"n_mels": 23, "n_stft": 257, "sample_rate": 22051, "mel_scale": "slaney"},
]
CEPSTRA = [
    {"n_mfcc": 13, "melkwargs": {"n_fft": 512, "hop_length": 160, "n_mels": 40}},
    {"melkwargs": {"n_fft": 1024, "n_mels": 64, "mel_scale": "slaney"}},
    {"n_mfcc": 20, "log_mels": True, "norm": None, "melkwargs": {"n_fft": 512, "n_mels": 40}},
    {"sample_rate": 8000, "n_mfcc": 13, "melkwargs": {"n_mels": 23, "center": False}},
]
LINEAR = [
    {},
    {"n_filter": 60, "n_lfcc": 20, "f_min": 100.0, "f_max": 7000.0, "log_lf": True},
    {"n_filter": 40, "n_lfcc": 13, "norm": None, "speckwargs": {"n_fft": 512, "hop_length": 160}},
    {"sample_rate": 11025, "n_filter": 40, "n_lfcc": 13, "speckwargs": {"n_fft": 401}},
]
#: Of frames and windows: for all three functions of compliance.kaldi.
FRAMES = [
    {},
    {"frame_length": 20.0, "frame_shift": 12.5, "window_type": "hamming"},
    {"snip_edges": False, "window_type": "hanning"},
    {"snip_edges": False, "frame_length": 5.0, "frame_shift": 30.0},
    {"window_type": "blackman", "remove_dc_offset": False},
    {"window_type": "blackman", "blackman_coeff": 0.4, "preemphasis_coefficient": 0.5},
    {"window_type": "rectangular", "preemphasis_coefficient": 0.0},
    {"round_to_power_of_two": False, "subtract_mean": True},
    {"sample_frequency": 8000.0},
    {"sample_frequency": 11025.0, "frame_shift": 7.3},
]
BANDS = [
    {"num_mel_bins": 40, "low_freq": 0.0, "high_freq": -400.0},
    {"num_mel_bins": 30, "low_freq": 125.0, "high_freq": 7500.0},
    {"use_energy": True},
    {"use_energy": True, "raw_energy": False, "energy_floor": 0.0},
    {"use_energy": True, "htk_compat": True, "energy_floor": 1e9},
]
FBANKS = [
    *(FRAMES + BANDS),
    {"num_mel_bins": 80},
    {"use_log_fbank": False},
    {"use_power": False},
    {"use_log_fbank": False, "use_power": False, "use_energy": True, "subtract_mean": True},
]
MFCCS = [
    *(FRAMES + BANDS),
    {"num_ceps": 20, "cepstral_lifter": 0.0},
    {"num_ceps": 7, "cepstral_lifter": 10.0, "subtract_mean": True},
    {"htk_compat": True},
    {"use_energy": True, "htk_compat": True, "raw_energy": False, "subtract_mean": True},
]
SPECTROGRAMS = [
    *FRAMES,
    {"raw_energy": False},
    {"energy_floor": 0.0, "subtract_mean": True},
    {"energy_floor": 1e8, "raw_energy": False, "snip_edges": False},
]


def clips():
    """The signals, float64: name to ``(samples,)``; ``tests/test_compat.py`` has the same."""
    voice = signals(SR)
    return {
        "speech": voice["odd"][3000:15123],
        "gap": voice["gap"][2000:14123],  # its second half is digital silence
    }


def kept_frames(n_frames, n_channels):
    """Which frames are kept: both ends, and where there are few channels some between."""
    return np.unique(np.round(np.linspace(0, n_frames - 1, 5 if n_channels < 100 else 3)))


def torch_options(options):
    """Options as torchaudio takes them: a window function by its name is that of torch."""
    options = {k: torch_options(v) if k.endswith("kwargs") else v for k, v in options.items()}
    if "window_fn" in options:
        options["window_fn"] = getattr(torch, options["window_fn"])
    return options


def transform(function, options, before=None):
    """A function from a waveform to ``(frames, channels)`` by a transform (after another)."""

    def run(x):
        y = torch.from_numpy(x)
        if before:
            y = getattr(transforms, before["function"])(**torch_options(before["options"]))(y)
        y = getattr(transforms, function)(**torch_options(options))(y)
        return y.numpy().T if y.ndim > 1 else y.numpy()[:, None]

    return run


def compliance(function, options):
    """The same by ``torchaudio.compliance.kaldi``, at the scale of 16-bit samples."""
    return lambda x: getattr(kaldi, function)(PCM * torch.from_numpy(x)[None], **options).numpy()


def signature(function):
    """The arguments with their defaults; those without one are ``[name]``."""
    arguments = []
    for p in inspect.signature(function).parameters.values():
        default = p.default
        if callable(default) and default is not inspect.Parameter.empty:
            default = default.__name__
        arguments.append([p.name] if default is inspect.Parameter.empty else [p.name, default])
    return arguments


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True)
    output = parser.parse_args().output
    torch.set_default_dtype(torch.float64)

    power = {"function": "Spectrogram", "options": {"n_fft": 512, "hop_length": 160}}
    magnitude = {"function": "Spectrogram", "options": power["options"] | {"power": 1.0}}
    mels = {"function": "MelSpectrogram", "options": {"n_fft": 512, "n_mels": 23}}
    plan = [("Spectrogram", options, None) for options in STFTS]
    plan += [("MelSpectrogram", options, None) for options in MELS]
    plan += [("MelScale", options, power) for options in SCALES]
    plan += [("AmplitudeToDB", o, magnitude if "stype" in o else power) for o in DECIBELS]
    plan += [("MFCC", options, None) for options in CEPSTRA]
    plan += [("LFCC", options, None) for options in LINEAR]
    plan += [("ComputeDeltas", options, mels) for options in ({}, {"win_length": 9})]
    spectrum = {"n_fft": 512, "hop_length": 160}
    before = {"function": "Spectrogram", "options": spectrum | {"power": None}}
    plan.append(("InverseSpectrogram", spectrum, before))
    plan += [("Preemphasis", options, None) for options in ({}, {"coeff": 0.5})]
    calls = [("torchaudio", *step) for step in plan]
    compliances = {"fbank": FBANKS, "mfcc": MFCCS, "spectrogram": SPECTROGRAMS}
    for function, all_options in compliances.items():
        calls += [("kaldi", function, options, None) for options in all_options]

    arrays, cases = {}, []
    warnings.filterwarnings("ignore", message="At least one mel filterbank")
    for library, function, options, before in calls:
        of_kaldi = library == "kaldi"
        run = compliance(function, options) if of_kaldi else transform(function, options, before)
        for signal, x in clips().items():
            y = run(x)
            if y.dtype not in (np.float64, np.complex128) or not np.isfinite(y).all():
                raise ValueError(f"{function}({options}): {y.dtype}")
            kept = kept_frames(*y.shape).astype(int)
            arrays[str(len(cases))] = y[kept]
            cases.append(
                {
                    "library": library,
                    "function": function,
                    "options": options,
                    "before": before,
                    "signal": signal,
                    "shape": y.shape,
                    "kept": kept.tolist(),
                    "mean": [float(y.mean().real), float(y.mean().imag)],
                }
            )
    names = {"torchaudio": (transforms, {c[1] for c in calls if c[0] == "torchaudio"})}
    names["kaldi"] = (kaldi, {c[1] for c in calls if c[0] == "kaldi"})
    signatures = {
        library: {name: signature(getattr(module, name)) for name in sorted(functions)}
        for library, (module, functions) in names.items()
    }
    texts = {
        "cases": json.dumps(cases),
        "signatures": json.dumps(signatures),
        "versions": json.dumps({"torch": torch.__version__, "torchaudio": torchaudio.__version__}),
    }
    np.savez_compressed(output, **arrays, **{k: np.array(v) for k, v in texts.items()})
    print(f"{output}: {len(cases)} arrays, {output.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
