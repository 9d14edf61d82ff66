"""Make ``wavelets.npz``: Perch's Morlet transform, MuReNN and learnable STRF, with gradients.

The tests read only the ``.npz``. To make the file again, in a virtual environment of its own
(Python 3.11, CPU is enough; torch was the build ``2.13.0+cpu``)::

    pip install numpy==2.4.6 scipy six torch==2.13.0 jax==0.10.2 flax==0.12.8
    pip install --no-deps murenn==0.3.0 dtcwt==0.14.0
    OMP_NUM_THREADS=1 python tests/goldens/make_wavelets.py [--sources DIRECTORY]

(jax and flax are needed with ``--sources`` only.) Of MuReNN's wavelets nothing is stored but what
they make of the signal: ``dtcwt.coeffs.biort("near_sym_a")`` and ``("near_sym_b")`` and
``dtcwt.coeffs.qshift("qshift_a")`` of dtcwt 0.14.0 are the filters.

All values are those of recipes in torch, in float64, and all gradients torch's. The script refuses
to write the file unless ``murenn.MuReNNDirect`` gives the same values and gradients; and, given
``--sources``, two originals that are in no package. That directory holds modules with these
definitions, unchanged but for docstrings and options that are not used here:

- ``perch``: ``MorletWaveletTransform`` of ``chirp/models/frontend.py``, with what it needs of
  ``chirp/models/cwt.py`` (the signal cast to the dtype of the filters, not to complex64) and of
  ``chirp/signal.py``, ``pcen`` and ``log_scale`` of ``chirp/audio_utils.py``, from
  github.com/google-research/perch, commits 18401c5e83995fc8465e2a5a4bc45cedc71c1ad6,
  4dbce5b3ebcba7b35516f1ed3ea35fef79515370, 0fa3b98bc0752fa41fc1cd3f5171116638e2ebb3 and
  072bd1b4e45949981ed5200f91585b6d92af514283;
- ``strf``: ``STRFConv2d`` of the ``README.md`` of github.com/bootphon/learnable-strf, commit
  047b1c1b13a5ed84300b237e93c2a04a73257174.

Layout: features are (frames, bands); of MuReNN (frames, channels), the octaves one after the other
from the finest on; of STRF (filters, bands, frames). The loss of every gradient is
``sum(cos(i) y_i)`` over the ``i``-th values in that order. ``README.md`` says what each key is,
``parts.py`` how large arrays are stored in part and what the signal is.
"""

import argparse
import importlib
import sys

import dtcwt
import murenn
import numpy as np
import torch
import torch.nn.functional as F
from make_leaf import Z, energies, gabor, pads
from parts import Parts, clip, leaf, loss, same

torch.set_default_dtype(torch.float64)


def morlet_start(n_bands, f_min, f_max, sample_rate=16000):
    """Centres and widths of Perch: as wide at half the height as the roots of mel triangles."""
    ends = [1127 * np.log1p(f / 700) for f in (f_min, f_max)]
    edges = 2 * np.pi / sample_rate * 700 * np.expm1(np.linspace(*ends, n_bands + 2) / 1127)
    return edges[1:-1], 2 * np.pi * Z / (0.75 * (edges[2:] - edges[:-2]))


def pcen(energy, smooth, gain=0.5, bias=2.0, root=2.0, eps=1e-6, width=0):
    """PCEN of Perch, from the first frame on; with a ``width``, with its smoothing kernel."""
    smooth = smooth.clamp(0, 1)
    if width:
        kernel = torch.stack([(1 - smooth) ** k for k in range(width - 1)] + [smooth])
        before = energy[:1].expand(width - 1, -1)
        frames = torch.cat([before, energy]).unfold(0, width, 1)
        level = (frames * kernel.T).sum(-1)
    else:
        levels = [energy[0]]
        for e in energy[1:]:
            levels.append(smooth * e + (1 - smooth) * levels[-1])
        level = torch.stack(levels)
    return (energy / (eps + level) ** gain + bias) ** (1 / root) - bias ** (1 / root)


def put_perch(parts, perch):
    """Perch's transform, its two scalings, and the smoothing kernel."""
    for n_bands in (40, 160):
        for key, value in zip(("mean", "std"), morlet_start(n_bands, 60.0, 7800.0), strict=True):
            parts.add(f"perch/init/{n_bands}/{key}", value)
    rng = np.random.default_rng(31)
    start = morlet_start(12, 60.0, 7800.0)
    moved = [v * np.exp(0.1 * rng.standard_normal(12)) for v in start]
    moved[1][0] = 300.0  # the kernel cuts it off
    cases = {
        "start": (start, {"stride": 160, "kernel_size": 401, "power": 2.0}, 4800),
        "moved": (moved, {"stride": 64, "kernel_size": 320, "power": 1.0}, 4100),
    }
    for name, (values, options, n) in cases.items():
        key = f"perch/{name}"
        size, stride, power = options["kernel_size"], options["stride"], options["power"]
        mean, std, x = *(leaf(v) for v in values), leaf(clip(n))
        y = energies(x, gabor(mean, std, size), pads(n, size, stride), stride).T ** (power / 2)
        smooth = leaf(np.linspace(-0.02, 0.3, 12) if name == "moved" else np.full(12, 0.1))
        parts.cases[key] = options | {"samples": n}
        outputs = {
            "y": y,
            "log": 0.1 * torch.log(y.clamp(min=1e-2)),
            "pcen": pcen(y, smooth),
            "pcen kernel": pcen(y, smooth.clamp(min=1e-3), width=8),
        }
        for k, v in (("mean", mean), ("std", std), ("smooth", smooth)):
            parts.add(f"{key}/{k}", v)
        for k, v in outputs.items():
            parts.add(f"{key}/{k}", v, 12, None)
        gradients = parts.gradients(key, y, mean=mean, std=std, x=x)
        parts.gradients(f"{key}/pcen", outputs["pcen"], mean=mean, std=std, smooth=smooth, x=x)
        if perch:
            check_perch(perch, key, options, (mean, std, x, smooth), outputs, gradients)


def check_perch(perch, key, options, variables, outputs, gradients):
    """Compare with the original, in jax."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    mean, std, x, smooth = (jnp.asarray(v.detach().numpy()) for v in variables)
    module = perch.MorletWaveletTransform(
        features=12, sample_rate=16000, freq_range=(60.0, 7800.0), **options
    )
    begin = module.init(jax.random.key(0), x)["params"]
    if key.endswith("start"):
        for k, v in (("gabor_mean", variables[0]), ("gabor_std", variables[1])):
            same(f"{key}, {k}", v, torch.tensor(np.array(begin[k])), 1e-12)

    def value(mean, std, x):
        y = module.apply({"params": {"gabor_mean": mean, "gabor_std": std}}, x)
        return (jnp.cos(jnp.arange(y.size)).reshape(y.shape) * y).sum(), y

    found, y = jax.grad(value, (0, 1, 2), has_aux=True)(mean, std, x)
    theirs = {"y": y, "log": perch.log_scale(y, 1e-2, 0.0, 0.1)}
    scaling = {"gain": 0.5, "bias": 2.0, "root": 2.0, "eps": 1e-6}
    theirs["pcen"] = perch.pcen(y, jnp.clip(smooth, 0, 1), **scaling)[0]
    theirs["pcen kernel"] = perch.pcen(y[None], jnp.clip(smooth, 1e-3, 1), **scaling, conv_width=8)[
        0
    ][0]
    for k, v in theirs.items():
        same(f"{key}, {k}", outputs[k], torch.tensor(np.array(v)), 1e-12)
    for (k, v), gradient in zip(gradients.items(), found, strict=True):
        same(f"{key}, {k}", v, torch.tensor(np.array(gradient)), 1e-9)


def extended(x, n, mode):
    """``n`` samples more at either end."""
    if mode != "symmetric":
        return F.pad(x[None], (n, n), "constant" if mode == "zeros" else mode)[0]
    i = np.arange(-n, len(x) + n) % (2 * len(x))
    return x[np.minimum(i, 2 * len(x) - 1 - i)]


def correlated(x, h, stride=1):
    return F.conv1d(x[None, None], h[None, None], stride=stride)[0, 0]


def octaves(x, count, mode):
    """The complex octaves of the dual-tree transform, the finest first."""
    low, _, high, _ = (torch.from_numpy(h.ravel()) for h in dtcwt.coeffs.biort("near_sym_a"))
    lows_highs = [torch.from_numpy(h.ravel()) for h in dtcwt.coeffs.qshift("qshift_a")]
    low_a, low_b, _, _, high_a, high_b, _, _ = lows_highs
    if len(x) % 2:
        x = torch.cat([x, x[-1:]])
    fine = correlated(extended(x, len(high) // 2, mode), high)
    x = correlated(extended(x, len(low) // 2, mode), low)
    found = [torch.complex(fine[::2], fine[1::2])]
    for _ in range(1, count):
        if len(x) % 4:
            x = torch.cat([x[:1], x, x[-1:]])
        x = extended(x / np.sqrt(2), len(low_a), mode)
        even, odd = x[2::2], x[3::2]
        found.append(torch.complex(correlated(odd, high_b, 2), correlated(even, high_a, 2)))
        x = torch.stack([correlated(even, low_a, 2), correlated(odd, low_b, 2)], 1).flatten()
    return found


def halved(x):
    """Every other sample of a smoothed one."""
    low = torch.from_numpy(dtcwt.coeffs.biort("near_sym_b")[0].ravel())
    if len(x) % 2:
        x = torch.cat([x, x[-1:]])
    return correlated(extended(x, len(low) // 2, "symmetric"), low)[::2]


def murenn_features(x, weights, coarsest, mode):
    """``(frames, channels)``, and the octaves."""
    found, parts = [], octaves(x, len(weights), mode)
    for j, (octave, bank) in enumerate(zip(parts, weights, strict=True)):
        for w in bank:
            pad = (len(w) - 1) // 2, len(w) // 2
            re, im = (correlated(F.pad(v, pad), w) for v in (octave.real, octave.imag))
            y = torch.sqrt(re**2 + im**2)
            for _ in range(coarsest - j - 1):
                y = halved(y)
            found.append(F.relu(y))
    return torch.stack(found, dim=1), parts


def put_murenn(parts):
    """MuReNN with fixed small weights."""
    cases = {
        "even": {"J": 4, "Q": [2, 3, 2, 1], "T": 8, "samples": 1200},
        "odd": {"J": 3, "Q": [1, 2, 2], "T": 5, "J_phi": 5, "samples": 1001},
        "ragged": {"J": 4, "Q": [1, 1, 1, 1], "T": 4, "samples": 1030},
        "zeros": {"J": 3, "Q": [1, 1, 2], "T": 6, "padding_mode": "zeros", "samples": 900},
    }
    for name, case in cases.items():
        options = dict(case)
        x = leaf(clip(options.pop("samples")))
        rng = np.random.default_rng(32)
        shapes = [(q, options["T"]) for q in options["Q"]]
        weights = [leaf(rng.standard_normal(s) / np.sqrt(s[1])) for s in shapes]
        mode = options.get("padding_mode", "symmetric")
        y, found = murenn_features(x, weights, options.get("J_phi", options["J"]), mode)
        key = f"murenn/{name}"
        parts.cases[key] = case
        parts.add(f"{key}/y", y, 15, None)
        variables = {f"weights{j}": w for j, w in enumerate(weights)} | {"x": x}
        gradients = parts.gradients(key, y, **variables)
        for j, octave in enumerate(found):
            parts.add(f"{key}/octave{j}", octave, 16)
            parts.add(f"{key}/weights{j}", weights[j])
        module = murenn.MuReNNDirect(in_channels=1, **options)
        for conv, w in zip(module.conv1d, weights, strict=True):
            conv.weight.data = w.detach()[:, None]
        for j, octave in enumerate(module.dtcwt(x[None, None])[1]):
            same(f"{key}, octave {j}", found[j], octave[0, 0], 1e-13)
        theirs = module(x[None, None])[0, 0].T
        same(key, y, theirs, 1e-13)
        raw = [conv.weight for conv in module.conv1d]
        theirs = torch.autograd.grad(loss(theirs), [*raw, x])
        for (k, mine), gradient in zip(gradients.items(), theirs, strict=True):
            same(f"{key}, {k}", mine, gradient.reshape(mine.shape), 1e-9)


def strf_kernels(p, shape):
    """Even and odd kernels ``(filters, bands, frames)``."""
    # From 1 less than half to half, rounded up: an odd number of points is more than 1 apart.
    grid = [torch.linspace(1 - (n + 1) // 2, (n + 1) // 2, n) for n in shape]
    f, t = torch.meshgrid(*grid, indexing="ij")
    p = {k: v[:, None, None] for k, v in p.items()}
    envelope = (f / (p["sigma_x"] + 1e-3)) ** 2 + (t / (p["sigma_y"] + 1e-3)) ** 2
    envelope = torch.exp(-0.5 * envelope) / (2 * np.pi * p["sigma_x"] * p["sigma_y"])
    angle = p["freq"] * (t * torch.cos(p["gamma"]) + f * torch.sin(p["gamma"]))
    return envelope * torch.cos(angle), envelope * torch.sin(angle)


def put_strf(parts, strf):
    """Spectro-temporal filters over 12 bands and 30 frames."""
    rng = np.random.default_rng(33)
    features = leaf(rng.standard_normal((12, 30)))
    parts.add("strf/features", features)
    p = {
        "sigma_x": leaf([2.0, 5.0, 12.0, -3.0]),
        "sigma_y": leaf([3.0, 8.0, 2.5, 6.0]),
        "freq": leaf([1.5, 0.7, 0.3, 1.0]),
        "gamma": leaf([0.3, -2.0, 1.2, 3.0]),
    }
    for k, v in p.items():
        parts.add(f"strf/{k}", v)
    for name, shape in {"odd": (9, 25), "even": (8, 20)}.items():
        kernels = strf_kernels(p, shape)
        for part, kernel in zip(("real", "imag"), kernels, strict=True):
            key = f"strf/{name}/{part}"
            pad = [n // 2 for n in shape]
            y = F.conv2d(features[None, None], kernel[:, None], padding=pad)[0]
            parts.cases[key] = {"kernel_size": shape, "padding": pad}
            parts.add(f"{key}/kernels", kernel, None, None, 13)
            parts.add(f"{key}/y", y, None, 6, 6)
            gradients = parts.gradients(key, y, **p, features=features)
            if strf:
                module = strf.STRFConv2d(1, 4, shape, padding=pad, n_features=12)
                for k, v in p.items():
                    getattr(module, k).data = v.detach()[:, None]
                theirs = module(features[None], use_real=part == "real")[0]
                same(key, y, theirs, 1e-13)
                raw = [getattr(module, k) for k in p]
                found = torch.autograd.grad(loss(theirs), [*raw, features])
                for (k, mine), gradient in zip(gradients.items(), found, strict=True):
                    same(f"{key}, {k}", mine, gradient.reshape(mine.shape), 1e-11)


def main():
    """Make the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", help="directory of the originals that are in no package")
    directory = parser.parse_args().sources
    sources = dict.fromkeys(("perch", "strf"))
    if directory:
        sys.path.insert(0, directory)
        sources = {name: importlib.import_module(name) for name in sources}
    parts = Parts()
    put_perch(parts, sources["perch"])
    put_murenn(parts)
    put_strf(parts, sources["strf"])
    parts.save("wavelets.npz", ("torch", "murenn", "dtcwt", "numpy"))


if __name__ == "__main__":
    main()
