"""Make ``compression.npz``: what others make of band energies, and their gradients, in float64.

The tests read only the ``.npz``. To make the file again, in a virtual environment of its own
(Python 3.11, CPU is enough)::

    pip install torch==2.13.0 numpy==2.4.6 scipy==1.17.1 librosa==0.11.0
    pip install --no-deps speechbrain==1.1.2 asteroid-filterbanks==0.4.0
    pip install hyperpyyaml sentencepiece huggingface_hub tqdm joblib packaging
    python tests/goldens/make_compression.py -o tests/goldens/compression.npz

speechbrain imports torchaudio where it can; what is used here does not need it.

Layout: energies and features are (frames, channels). ``x`` holds energies of many magnitudes, three
frames of which are exactly 0; ``weights`` are those of the scalar ``sum(weights * features)`` whose
gradients are stored.

- ``librosa.*``: ``librosa.pcen`` with ``zi = (1 - b) x[0]``, with the options under ``options``;
  ``librosa.seconds`` with a time constant instead of ``b``.
- ``speechbrain.*``: ``speechbrain.nnet.normalization.PCEN`` with parameters of every band.
- ``asteroid.*``: ``asteroid_filterbanks.pcen.PCEN``, whose channels are our bands.
- ``mix.*``: the trainable PCEN of 2017: speechbrain's ``ExponentialMovingAverage`` four times,
  mixed with the softmax of ``mix.logits``, then its formula.
- ``log_offset.*``, ``dynamic_range.*``: the formulas, differentiated by torch.
- ``blend.*``: ``scipy.special.boxcox`` of ``x + offset``; the gradient is that of the formula in
  torch, whose exponents keep away from 0.
- ``log_tbn.*``: ``torch.log1p`` of ``10 ** a * x``, minus ``torch.median`` over time, or after it
  ``torch.nn.BatchNorm1d`` in training with a batch of this one clip: the recipe of EfficientLEAF.
"""

import argparse
import importlib.metadata
import json

import librosa
import numpy as np
import scipy.special
import torch
from asteroid_filterbanks.pcen import PCEN as AsteroidPCEN
from speechbrain.nnet.normalization import PCEN, ExponentialMovingAverage

FRAMES, BANDS = 40, 5
SMOOTHERS = (0.015, 0.02, 0.04, 0.08)
CHOICES = {
    "defaults": {"gain": 0.98, "bias": 2.0, "power": 0.5, "b": 0.025, "eps": 1e-6},
    "log": {"gain": 0.8, "bias": 2.0, "power": 0.0, "b": 0.1, "eps": 1e-6},
    "power law": {"gain": 0.9, "bias": 0.0, "power": 0.25, "b": 0.04, "eps": 1e-4},
    "leaf": {"gain": 0.96, "bias": 2.0, "power": 0.5, "b": 0.04, "eps": 1e-12},
    "other": {"gain": 0.5, "bias": 10.0, "power": 0.3, "b": 0.3, "eps": 1e-3},
}
PACKAGES = ("torch", "numpy", "scipy", "librosa", "speechbrain", "asteroid-filterbanks")


def leaf(array):
    """A float64 tensor that is differentiated."""
    return torch.tensor(np.asarray(array, np.float64), requires_grad=True)


def main():
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", required=True)
    path = parser.parse_args().o
    torch.set_default_dtype(torch.float64)
    rng = np.random.default_rng(0)
    energies = np.exp(3 * rng.standard_normal((FRAMES, BANDS)) - 2)
    energies[17:20] = 0
    weights = rng.integers(-16, 17, (FRAMES, BANDS)) / 8
    out = {"x": energies, "weights": weights}

    def keep(name, y, **variables):
        y = torch.as_tensor(y)
        out[name] = y.detach().numpy().copy()
        if variables:
            w = torch.tensor(np.concatenate([weights] * (y.shape[-1] // BANDS), axis=-1))
            gradients = torch.autograd.grad(
                (w * y).sum(), list(variables.values()), retain_graph=True
            )
            for variable, gradient in zip(variables, gradients, strict=True):
                out[f"{name}.d_{variable}"] = gradient.numpy().copy()

    # librosa warns about log(0) on the way to the power law, which has no zeros therefore.
    for name, options in CHOICES.items():
        bands = np.maximum(energies, 1e-9) if name == "power law" else energies
        zi = (1 - options["b"]) * bands.T[:, :1]
        keep(f"librosa.{name}", librosa.pcen(bands.T, zi=zi, **options).T)
    b = (np.sqrt(1 + 4 * 20.0**2) - 1) / (2 * 20.0**2)  # 0.2 s are 20 frames
    keep(
        "librosa.seconds",
        librosa.pcen(
            energies.T, sr=16000, hop_length=160, time_constant=0.2, zi=(1 - b) * energies.T[:, :1]
        ).T,
    )

    values = {
        "alpha": rng.uniform(0.3, 0.99, BANDS), "delta": rng.uniform(0.1, 3, BANDS),
        "root": rng.uniform(1.2, 5, BANDS), "smooth": rng.uniform(0.02, 0.5, BANDS),
    }  # fmt: skip
    out |= {f"pcen.{name}": value for name, value in values.items()}
    for library in ("speechbrain", "asteroid"):
        x = leaf(energies)
        if library == "speechbrain":
            pcen = PCEN(BANDS, floor=1e-6)
            weight = pcen.ema._weights
        else:
            pcen = AsteroidPCEN(
                n_channels=BANDS, floor=1e-6, trainable=True, per_channel_smoothing=True
            )
            weight = pcen.ema.weights
        owned = {"alpha": pcen.alpha, "delta": pcen.delta, "root": pcen.root, "smooth": weight}
        for name, parameter in owned.items():
            parameter.data = torch.tensor(values[name])
        y = pcen(x[None])[0] if library == "speechbrain" else pcen(x.T[None, :, None])[0, :, 0].T
        keep(library, y, x=x, **owned)

    x, logits = leaf(energies), leaf(rng.standard_normal((BANDS, len(SMOOTHERS))))
    alpha, delta, root = (leaf(values[name]) for name in ("alpha", "delta", "root"))
    smoothed = [
        ExponentialMovingAverage(BANDS, coeff_init=s, per_channel=True)(x[None])[0]
        for s in SMOOTHERS
    ]
    level = (torch.stack(smoothed, -1) * torch.softmax(logits, -1)).sum(-1)
    y = (x / (1e-6 + level) ** alpha + delta) ** (1 / root) - delta ** (1 / root)
    out |= {"mix.smoothers": np.array(SMOOTHERS), "mix.logits": logits.detach().numpy().copy()}
    keep("mix", y, x=x, logits=logits, alpha=alpha, delta=delta, root=root)

    x, offset = leaf(energies), leaf(rng.uniform(1e-3, 1, BANDS))
    power, exponent = leaf(rng.uniform(0.05, 0.9, BANDS)), leaf([-0.4, -0.1, 0.1, 0.5, 0.9])
    out |= {"offset": offset.detach().numpy().copy(), "power": power.detach().numpy().copy()}
    out["exponent"] = exponent.detach().numpy().copy()
    keep("log_offset", torch.log(x + offset), x=x, offset=offset)
    keep("dynamic_range", (x + offset) ** power - offset**power, x=x, offset=offset, power=power)
    y = ((x + offset) ** exponent - 1) / exponent
    keep("blend", y, x=x, offset=offset, exponent=exponent)
    boxcox = scipy.special.boxcox(energies + out["offset"], out["exponent"])
    np.testing.assert_allclose(out["blend"], boxcox, rtol=1e-12)
    out["blend"] = boxcox
    out["blend.log"] = scipy.special.boxcox(energies + out["offset"], 0.0)

    x, a = leaf(energies), leaf(rng.uniform(1, 5, BANDS))
    gamma, beta = leaf(rng.uniform(0.5, 2, BANDS)), leaf(rng.standard_normal(BANDS))
    out |= {"log_tbn.a": a.detach().numpy().copy()}
    out |= {"log_tbn.gamma": gamma.detach().numpy().copy()}
    out |= {"log_tbn.beta": beta.detach().numpy().copy()}
    y = torch.log1p(10**a * x)
    less = y - y.median(0, keepdim=True).values
    keep("log_tbn.none", y, x=x, a=a)
    keep("log_tbn.median", less, x=x, a=a)
    keep("log_tbn.append", torch.cat([y, less], -1), x=x, a=a)
    norm = torch.nn.BatchNorm1d(BANDS)
    norm.weight.data, norm.bias.data = gamma.data, beta.data
    variables = {"x": x, "a": a, "gamma": norm.weight, "beta": norm.bias}
    keep("log_tbn.normalize", norm(y.T[None])[0].T, **variables)

    out["options"] = np.array(json.dumps(CHOICES))
    out["versions"] = np.array(json.dumps({n: importlib.metadata.version(n) for n in PACKAGES}))
    for name, value in out.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise ValueError(f"{name} is not finite")
    np.savez_compressed(path, **out)
    print(f"{path}: {len(out)} arrays, {out['versions']}")


if __name__ == "__main__":
    main()
