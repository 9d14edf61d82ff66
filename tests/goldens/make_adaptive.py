"""Make ``adaptive.npz``: transforms with learned windows, hops and bases, and their gradients.

The tests read only the ``.npz``. To make the file again, in a virtual environment of its own
(Python 3.11, CPU is enough)::

    pip install torch==2.13.0 numpy scipy librosa matplotlib
    pip install --no-deps dstft==3.0.0 nnAudio==0.3.4
    python tests/goldens/make_adaptive.py -o tests/goldens/adaptive.npz

dstft runs in float64. Its conventions: frames have their middle at ``n * hop`` and see zeros
beyond the clip; there are ``1 + floor(n_samples / hop)``; the window is a Hann window of continuous
length around ``n_fft / 2``; spectra are turned by ``exp(-2 pi i k floor(t) / n_fft)``, so that
phases count from the first sample of the first frame; ``normalization`` is none, ``"unit"`` (sum 1)
or ``"paper"`` (times ``n_fft / length``); the parameters are logits of the place between bounds (of
the window: the initial hop and ``n_fft``, unless given). With one length for every bin its windows
all stand at the fraction of the first frame, so that case has an integer hop. A fixed hop goes
through its logit, too: where that rounds below the integer (50 becomes 49.99999…, as do 20 of the
hops from 2 to 126 here), all frames but the first are cut one sample early, under a window that
does not follow; the cases keep to hops that survive.

nnAudio holds its kernels in float32 (the transform is then computed in float64): ``wcos`` and
``wsin`` of ``(bins, 1, n_fft)``, the imaginary part being ``-wsin``. A trainable one adds 1e-8
under the root of its magnitude, a fixed one does not.

The loss of every gradient is ``sum(a * re + b * im)`` over the spectrum, with ``a = cos(i)`` and
``b = sin(0.7 i)`` for the ``i``-th of its values, frames before bins. The key ``cases`` is JSON:
the arguments of every case; ``versions`` the versions.
"""

import argparse
import importlib.metadata
import json

import numpy as np
import torch
from dstft import DSTFT
from nnAudio.features import STFT

SAMPLES = 1500

#: What is kept of the cases: arguments of dstft, and the raw parameters at which they are computed.
DSTFTS = {
    "window": {"win_length": 90, "hop_length": 32, "win_length_min": 16, "raw_win": 0.4},
    "window unit": {
        "win_length": 90, "hop_length": 32, "win_length_min": 16, "normalization": "unit",
        "raw_win": 1.3,
    },
    "window paper": {
        "win_length": 70, "hop_length": 48, "normalization": "paper", "raw_win": -0.7,
    },
    "window per bin": {
        "win_length": 90, "hop_length": 40, "win_length_min": 16, "window_mode": "frequency",
        "raw_win": 0.4,
    },
    "window per bin unit": {
        "win_length": 90, "hop_length": 40, "win_length_min": 16, "window_mode": "frequency",
        "normalization": "unit", "raw_win": 0.4,
    },
    "hop": {
        "win_length": 90, "hop_length": 45, "win_length_min": 16, "hop_mode": "constant",
        "hop_length_min": 24, "raw_win": 0.4, "raw_hop": -1.1,
    },
    "hop unit": {
        "win_length": 100, "hop_length": 60, "win_length_min": 20, "hop_mode": "constant",
        "hop_length_min": 30, "hop_length_max": 96, "normalization": "unit", "raw_win": 0.9,
        "raw_hop": 0.35,
    },
}  # fmt: skip

NNAUDIOS = {
    "hann": {"n_fft": 128, "hop_length": 48},
    "short": {"n_fft": 128, "hop_length": 40, "win_length": 100, "window": "hamming"},
    "zeros": {"n_fft": 128, "hop_length": 64, "window": "blackman", "pad_mode": "constant"},
    "uncentered": {"n_fft": 129, "hop_length": 43, "center": False},
}


def signal():
    """Noise and a rising tone, float64."""
    n = np.arange(SAMPLES)
    noise = np.random.default_rng(5).standard_normal(SAMPLES)
    return 0.3 * noise + np.sin(2 * np.pi * (0.02 * n + 4e-5 * n**2))


def loss(real, imag):
    """The scalar of the gradients; the spectrum is (frames, bins)."""
    i = torch.arange(real.numel(), dtype=torch.float64).reshape(real.shape)
    return (torch.cos(i) * real + torch.sin(0.7 * i) * imag).sum()


def raw(value, shape):
    """The raw parameter, with a little spread where there are many."""
    size = int(np.prod(shape))
    spread = 0.5 * np.cos(np.arange(size)) if size > 1 else np.zeros(1)
    return torch.nn.Parameter(torch.from_numpy((value + spread).reshape(shape)))


def put_dstft(arrays, name, options):
    """One case of dstft."""
    options = dict(options)
    raw_win, raw_hop = options.pop("raw_win"), options.pop("raw_hop", None)
    options.setdefault("window_mode", "constant")
    x = torch.from_numpy(signal())[None].requires_grad_()
    module = DSTFT(n_fft=128, **options).double()
    module.initialize(x)
    if raw_hop is None and module.hop_length.item() < options["hop_length"]:
        raise ValueError(f"{name}: a hop of {module.hop_length.item()}")
    module._raw_win_length = raw(raw_win, module._raw_win_length.shape)
    if raw_hop is not None:
        module._raw_hop_length = raw(raw_hop, module._raw_hop_length.shape)
    spectrum = module(x)[1][0].T
    loss(spectrum.real, spectrum.imag).backward()
    found = {
        "raw_win": module._raw_win_length,
        "win_length": module.win_length,
        "grad_win": module._raw_win_length.grad,
        "grad_x": x.grad[0],
    }
    # The many windows are kept in part: every sixth bin.
    found["spectrum"] = spectrum[:, ::6] if "per bin" in name else spectrum[::2, ::4]
    if raw_hop is not None:
        found |= {
            "raw_hop": module._raw_hop_length,
            "hop_length": module.hop_length,
            "grad_hop": module._raw_hop_length.grad,
        }
    for key, value in found.items():
        arrays[f"dstft/{name}/{key}"] = np.squeeze(value.detach().numpy())
    print(name, tuple(spectrum.shape), module.win_length.flatten()[0].item())


def put_nnaudio(arrays, name, options):
    """One case of nnAudio, at the start and with changed kernels."""
    x = torch.from_numpy(signal())[None].requires_grad_()
    module = STFT(**options, trainable=True, verbose=False).double()
    with torch.no_grad():
        spectrum = module(x)[0]
        arrays[f"nnaudio/{name}/start"] = torch.view_as_complex(spectrum.contiguous()).T[::3, ::5]
        arrays[f"nnaudio/{name}/magnitude"] = module(x, output_format="Magnitude")[0].T[::3, ::5]
        n = np.arange(module.wcos.numel()).reshape(module.wcos.shape)
        module.wcos += torch.from_numpy(0.01 * np.cos(n))
        module.wsin += torch.from_numpy(0.01 * np.sin(0.3 * n))
    re, im = module(x)[0].transpose(0, 1).unbind(-1)
    loss(re, im).backward()
    arrays[f"nnaudio/{name}/changed"] = torch.complex(re, im).detach()[::3, ::5]
    for key, value in (("wcos", module.wcos), ("wsin", module.wsin)):
        arrays[f"nnaudio/{name}/grad_{key}"] = value.grad[::5, 0, ::4]
    arrays[f"nnaudio/{name}/grad_x"] = x.grad[0]
    print(name, tuple(re.shape))


def main():
    """Make the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", required=True)
    arrays = {}
    torch.set_default_dtype(torch.float64)
    for name, options in DSTFTS.items():
        put_dstft(arrays, name, options)
    torch.set_default_dtype(torch.float32)
    for name, options in NNAUDIOS.items():
        put_nnaudio(arrays, name, options)
    cases = {"dstft": DSTFTS, "nnaudio": NNAUDIOS}
    versions = {p: importlib.metadata.version(p) for p in ("torch", "dstft", "nnAudio")}
    np.savez_compressed(
        parser.parse_args().output,
        cases=np.array(json.dumps(cases)),
        versions=np.array(json.dumps(versions)),
        x=signal(),
        **{key: np.asarray(value) for key, value in arrays.items()},
    )


if __name__ == "__main__":
    main()
