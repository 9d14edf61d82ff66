"""Make ``leaf.npz``: LEAF and EfficientLEAF, stage by stage, with gradients.

The tests read only the ``.npz``. To make the file again, in a virtual environment of its own
(Python 3.11, CPU is enough; torch was the build ``2.13.0+cpu``)::

    pip install numpy==2.4.6 scipy torch==2.13.0
    pip install --no-deps torchaudio==2.11.0 speechbrain==1.1.2
    pip install hyperpyyaml joblib sentencepiece tqdm packaging huggingface_hub requests
    rm "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"/torchaudio/lib/*.so
    OMP_NUM_THREADS=1 python tests/goldens/make_leaf.py [--sources DIRECTORY]

(``torchaudio``'s compiled extension is built against another torch; see ``make_torch.py``.)

All values are those of recipes in torch, in float64, and all gradients torch's. The script refuses
to write the file unless speechbrain's ``Leaf`` (float64, ``use_legacy_complex``) gives the same
values and gradients once its bias is taken out, its pooling padded as TensorFlow does and the
parameters put in; and, given ``--sources``, unless the originals do that are in no package. That
directory holds two modules with these definitions, unchanged but for docstrings and options that
are not used here (``og_leaf`` computes in float32, hence the larger tolerance):

- ``eleaf``: ``mel_filter_params``, ``gabor_filters``, ``gauss_windows``, ``GaborFilterbank`` and
  ``PCEN`` of ``model/leaf.py`` and ``GroupedGaborFilterbank`` of ``model/efficientleaf.py``, from
  github.com/CPJKU/EfficientLEAF, commit 6a48248a4a9fa21208e4d5a71470380eed76fa34;
- ``og_leaf``: ``Leaf`` and what it needs of ``model/OG_leaf.py``, the same commit.

LEAF's initial parameters count bins of a mel matrix of TensorFlow; the recipe of that matrix gave
the same bins and counts as ``tf.signal.linear_to_mel_weight_matrix`` of TensorFlow 2.21.0, for 40,
80 and 128 filters (not checked again here).

Layout: features are (frames, bands). The loss of every gradient is ``sum(cos(i) y_i)`` over the
``i``-th values of what it is the gradient of, frames before bands. ``README.md`` says what each key
is, ``parts.py`` how large arrays are stored in part and what the signal is.
"""

import argparse
import importlib
import importlib.metadata
import itertools
import sys

import numpy as np
import torch
import torch.nn.functional as F
from parts import Parts, clip, leaf, loss, same
from speechbrain.lobes.features import Leaf

torch.set_default_dtype(torch.float64)

Z = np.sqrt(2 * np.log(2)) / np.pi
NAMES = ("mu", "sigma", "pool", "alpha", "delta", "root", "smooth")


def pads(n, size, stride):
    """What TensorFlow's "SAME" puts before and after ``n`` samples."""
    total = max(size - (n % stride or stride), 0)
    return total // 2, total - total // 2


def bin_counts(n_filters, f_min=60.0, f_max=7800.0, sample_rate=16000, n_fft=512):
    """The middle bin of each mel filter, and how many reach half the root of its peak."""

    def mel(f):
        return 1127 * np.log1p(f / 700)

    edges = np.linspace(mel(f_min), mel(f_max), n_filters + 2)[:, None]
    bins = mel(np.linspace(0, sample_rate / 2, n_fft // 2 + 1))
    rise = (bins - edges[:-2]) / np.diff(edges[:-1], axis=0)
    fall = (edges[2:] - bins) / np.diff(edges[1:], axis=0)
    roots = np.sqrt(np.maximum(0, np.minimum(rise, fall)))
    roots[:, 0] = 0
    return roots.argmax(1), (roots >= roots.max(1, keepdims=True) / 2).sum(1)


def leaf_start(n_filters, n_fft=512, **options):
    """LEAF's initial centres and widths."""
    middle, count = bin_counts(n_filters, n_fft=n_fft, **options)
    return 2 * np.pi * middle / n_fft, Z * n_fft / count


def gabor(mu, sigma, size):
    """Filters ``(bands, size)``, the time 0 at ``size // 2``."""
    t = torch.arange(-(size // 2), (size + 1) // 2).to(mu)
    scale = 1 / (np.sqrt(2 * np.pi) * sigma)
    envelope = torch.exp(-(t**2) / (2 * sigma[:, None] ** 2))
    return scale[:, None] * envelope * torch.exp(1j * mu[:, None] * t)


def gaussian(width, size):
    """Pooling windows ``(bands, size)`` with peak 1; ``width`` is of half their length."""
    t = torch.arange(size).to(width) * 2 / (size - 1) - 1
    return torch.exp(-0.5 * (t / width[:, None]) ** 2)


def energies(x, filters, pad, stride=1):
    """|x * h|^2 for each filter, ``(bands, time)``."""
    x = F.pad(x, pad)[None, None]
    parts = [F.conv1d(x, h[:, None], stride=stride)[0] for h in (filters.real, filters.imag)]
    return parts[0] ** 2 + parts[1] ** 2


def pooled(energy, windows, pad, stride):
    """Each band weighted by its own window, ``(frames, bands)``."""
    energy = F.pad(energy, pad)[None]
    return F.conv1d(energy, windows[:, None], stride=stride, groups=len(windows))[0].T


def spcen(energy, alpha, delta, root, smooth, eps=1e-12, floor=1e-5):
    """LEAF's compression: energies of at least ``floor``, PCEN from the first frame on."""
    energy = energy.clamp(min=floor)
    smooth = smooth.clamp(0, 1)
    levels = [energy[0]]
    for e in energy[1:]:
        levels.append(smooth * e + (1 - smooth) * levels[-1])
    gained = energy / (eps + torch.stack(levels)) ** alpha.clamp(max=1)
    power = 1 / root.clamp(min=1)
    return (gained + delta) ** power - delta**power


def leaf_stages(x, p, size=401, hop=160, least=4.0):
    """Filters, energies, pooled energies and features of LEAF."""
    filters = gabor(p["mu"].clamp(0, np.pi), p["sigma"].clamp(least * Z, size * Z), size)
    energy = energies(x, filters, pads(len(x), size, 1))
    windows = gaussian(p["pool"].clamp(2 / size, 0.5), size)
    pool = pooled(energy, windows, pads(len(x), size, hop), hop)
    return filters, energy, pool, spcen(pool, *(p[name] for name in NAMES[3:]))


def leaf_cases():
    """The parameters of each case, and how many samples it has."""
    rng = np.random.default_rng(11)
    mu, sigma = leaf_start(40)
    usual = {"pool": 0.4, "alpha": 0.96, "delta": 2.0, "root": 2.0, "smooth": 0.04}
    start = {"mu": mu, "sigma": sigma} | {k: np.full(40, v) for k, v in usual.items()}
    some = np.arange(1, 40, 4)
    moved = {
        "mu": mu[some] * np.exp(0.05 * rng.standard_normal(10)),
        "sigma": sigma[some] * np.exp(0.1 * rng.standard_normal(10)),
        "pool": rng.uniform(0.2, 0.48, 10),
        "alpha": rng.uniform(0.6, 0.98, 10),
        "delta": rng.uniform(0.5, 4, 10),
        "root": rng.uniform(1.2, 4, 10),
        "smooth": rng.uniform(0.01, 0.3, 10),
    }
    outside = {
        "mu": [-0.1, 0.05, 0.3, 1.0, 2.5, 3.3],
        "sigma": [200.0, 140.0, 30.0, 0.5, 4.0, 1.2],
        "pool": [0.4, 0.001, 0.3, 0.9, 0.5, 0.45],
        "alpha": [1.2, 0.9, 0.8, 1.01, 0.3, 0.96],
        "delta": [2.0, 0.1, 1.0, 3.0, 2.0, 1.5],
        "root": [2.0, 0.7, 1.5, 3.0, 0.9, 2.0],
        "smooth": [0.04, 0.1, -0.1, 1.2, 0.9, 0.02],
    }
    return {"start": (start, 4800), "moved": (moved, 4800), "outside": (outside, 4100)}


def their_leaf(p, n, **options):
    """speechbrain's ``Leaf`` with these parameters, no bias and TensorFlow's padding."""
    module = Leaf(len(p["mu"]), in_channels=1, use_legacy_complex=True, **options)
    ema = module.compression.ema
    module.pooling._bias = None
    pad = pads(n, module.pooling.kernel_size, module.pooling.stride)
    module.pooling._manage_padding = lambda x, _: F.pad(x, pad)
    module.complex_conv.kernel.data = torch.stack([p["mu"], p["sigma"]], dim=1).detach()
    module.pooling.weights.data = p["pool"].detach().reshape(1, 1, -1, 1)
    for name in ("alpha", "delta", "root"):
        getattr(module.compression, name).data = p[name].detach()
    ema._weights.data = p["smooth"].detach()
    return module


def check_leaf(name, x, p, y, gradients, og_leaf):
    """Compare with speechbrain and the port of LEAF."""
    module = their_leaf(p, len(x))
    theirs = module(x[None])[0]
    same(f"{name}, speechbrain", y, theirs, 1e-12)
    pc = module.compression
    raw = (module.complex_conv.kernel, module.pooling.weights, pc.alpha, pc.delta, pc.root)
    found = torch.autograd.grad(loss(theirs), (*raw, pc.ema._weights, x))
    found = (*found[0].unbind(1), found[1].flatten(), *found[2:])
    for key, gradient in zip((*NAMES, "x"), found, strict=True):
        same(f"{name}, speechbrain, {key}", gradients[key], gradient, 1e-9)
    if og_leaf:
        module = og_leaf.Leaf(len(p["mu"])).float()
        pc = module._compress_fn
        module._complex_conv._kernel.data = torch.stack([p["mu"], p["sigma"]], 1).detach().float()
        module._pooling.kernel.data = p["pool"].detach().float().reshape(-1, 1, 1, 1)
        for key in ("alpha", "delta", "root"):
            getattr(pc, key).data = p[key].detach().float()
        pc._weights.data = p["smooth"].detach().float()
        same(f"{name}, port, float32", y, module(x[None].float())[0].T.double(), 1e-5)


def put_leaf(parts, og_leaf):
    """The initial parameters, and LEAF at several ones."""
    for n_filters in (40, 80, 128):
        for key, value in zip(("mu", "sigma"), leaf_start(n_filters), strict=True):
            parts.add(f"leaf/init/{n_filters}/{key}", value)
        theirs = Leaf(n_filters, in_channels=1, min_freq=60.0, max_freq=7800.0).complex_conv.kernel
        parts.add(f"speechbrain/init/{n_filters}", theirs)
        mine = np.stack(leaf_start(n_filters), axis=1)
        equal = np.isclose(theirs.detach().numpy(), mine, rtol=1e-6).all(1)
        print(f"    of speechbrain's {n_filters} filters {equal.sum()} are those of LEAF")
        if og_leaf:
            bank = og_leaf.Gabor(n_filters).gabor_params_from_mels.numpy()
            equal = np.isclose(bank, mine, rtol=1e-6).all(1)
            print(f"    of the port's {n_filters} filters {equal.sum()} are those of LEAF")
    for name, (values, n) in leaf_cases().items():
        key = f"leaf/{name}"
        p = {k: leaf(v) for k, v in values.items()}
        x = leaf(clip(n))
        filters, energy, pool, y = leaf_stages(x, p)
        for k, v in p.items():
            parts.add(f"{key}/{k}", v)
        gradients = parts.gradients(key, y, **p, x=x)
        check_leaf(name, x, p, y, gradients, og_leaf)
        parts.add(f"{key}/y", y, 10, None if name != "start" else 14)
        parts.add(f"{key}/pooled", pool, 10, None if name != "start" else 14)
        if name == "start":
            continue
        parts.add(f"{key}/filters", filters, None, 25)
        parts.add(f"{key}/energies", energy.T, 15, None)
        few = {k: p[k] for k in ("mu", "sigma", "pool")} | {"x": x}
        parts.gradients(f"{key}/pooled", pool, **few)
        few.pop("pool")
        parts.gradients(f"{key}/energies", energy.T, **few)
    # As speechbrain has it: a bias of 1, both ends padded alike, bands up to half the rate.
    module = Leaf(12, in_channels=1, use_legacy_complex=True)
    x = leaf(clip())
    y = module(x[None])[0]
    parts.add("speechbrain/leaf/kernel", module.complex_conv.kernel)
    parts.add("speechbrain/leaf/y", y, 10, None)
    kernel, bias = module.complex_conv.kernel, module.pooling._bias
    parts.gradients("speechbrain/leaf", y, kernel=kernel, bias=bias, x=x)
    print(f"    speechbrain at its start: {y.min().item():.4f} to {y.max().item():.4f}")


def mel_start(n_filters, f_min=60.0, f_max=7800.0, sample_rate=16000):
    """EfficientLEAF's initial centres and widths."""
    ends = [1127 * np.log1p(f / 700) for f in (f_min, f_max)]
    hz = 700 * np.expm1(np.linspace(*ends, n_filters + 2) / 1127)
    return 2 * np.pi * hz[1:-1] / sample_rate, sample_rate / 2 / (hz[2:] - hz[:-2])


def plan(mu, sigma, groups, win_factor, stride_factor, size=401, hop=160):
    """Of every group the filters, the kernel's length, its stride and that of the pooling."""
    ends = np.arange(groups + 1) * len(mu) // groups
    found = []
    for a, b in itertools.pairwise(ends):
        kernel = int(max(sigma[a:b]) * win_factor) // 2 * 2 + 1
        wanted = max(1, np.pi / max(mu[a:b]) * stride_factor)
        stride = max(i for i in range(1, hop + 1) if hop % i == 0 and i <= wanted)
        window = int(size / stride + 0.5) // 2 * 2 + 1
        found.append([int(a), int(b), kernel, stride, window])
    return found


def grouped(x, p, groups, size=401, hop=160):
    """EfficientLEAF's pooled energies; parameters must be within their limits."""
    found = []
    for a, b, kernel, stride, window in groups:
        filters = gabor(p["mu"][a:b], p["sigma"][a:b], kernel)
        energy = energies(x, filters, (kernel // 2, kernel // 2), stride)
        windows = gaussian(p["pool"][a:b] / stride * size / window, window)
        found.append(pooled(energy, windows, (window // 2, window // 2), hop // stride))
    return torch.cat(found, dim=1)


def put_efficientleaf(parts, eleaf):
    """The initial parameters, groups of filters, and their version of LEAF."""
    rng = np.random.default_rng(12)
    for n_filters in (40, 128):
        for key, value in zip(("mu", "sigma"), mel_start(n_filters), strict=True):
            parts.add(f"eleaf/init/{n_filters}/{key}", value)
            if eleaf:
                theirs = eleaf.mel_filter_params(n_filters, 60.0, 7800.0, 16000)[key == "sigma"]
                same(f"eleaf, start, {key}", torch.tensor(value), theirs, 1e-13)
    mu, sigma = mel_start(40)
    start = {"mu": mu, "sigma": sigma, "pool": np.full(40, 0.4)}
    moved = {
        "mu": np.sort(mu * np.exp(0.05 * rng.standard_normal(40))).clip(max=3.1),
        "sigma": sigma * np.exp(0.1 * rng.standard_normal(40)),
        "pool": rng.uniform(0.2, 0.48, 40),
    }
    for key, value in moved.items():
        parts.add(f"eleaf/moved/{key}", value)
    cases = {
        "4G": (start, 4, 4.77, 1.0, 4800),
        "8G-opt": (start, 8, 6.0, 16.0, 4800),
        "4G moved": (moved, 4, 4.77, 1.0, 4100),
        "8G-opt moved": (moved, 8, 6.0, 16.0, 4100),
        "3 groups": (moved, 3, 3.0, 2.5, 4100),
    }
    for name, (values, n_groups, win_factor, stride_factor, n) in cases.items():
        p, x = {k: leaf(v) for k, v in values.items()}, leaf(clip(n))
        groups = plan(values["mu"], values["sigma"], n_groups, win_factor, stride_factor)
        y = grouped(x, p, groups)
        parts.cases[f"eleaf/{name}"] = {
            "groups": n_groups, "win_factor": win_factor, "stride_factor": stride_factor,
            "samples": n, "plan": groups,
        }  # fmt: skip
        parts.add(f"eleaf/{name}/y", y, 7, 20)
        gradients = parts.gradients(f"eleaf/{name}", y, **p, x=x)
        if eleaf:
            module = eleaf.GroupedGaborFilterbank(
                40, n_groups, 60.0, 7800.0, 16000, 401, 160, 0.4, win_factor, stride_factor
            )  # fmt: skip
            raw = (module.center_freqs, module.bandwidths, module.pooling_widths)
            for own, key in zip(raw, p, strict=True):
                own.data = p[key].detach()
            theirs = module(x[None, None])[0].T
            same(f"eleaf, {name}", y, theirs, 1e-12)
            found = torch.autograd.grad(loss(theirs), (*raw, x))
            for key, gradient in zip(gradients, found, strict=True):
                same(f"eleaf, {name}, {key}", gradients[key], gradient, 1e-10)
    # Their LEAF: both convolutions are padded by 200 samples on either side.
    p, x = {k: leaf(v) for k, v in moved.items()}, leaf(clip(4100))
    energy = energies(x, gabor(p["mu"], p["sigma"].clamp(4 * Z, 401 * Z), 401), (200, 200))
    y = pooled(energy, gaussian(p["pool"], 401), (200, 200), 160)
    parts.add("eleaf/leaf/pooled", y, 7, 20)
    parts.gradients("eleaf/leaf/pooled", y, **p, x=x)
    last = [torch.full((40,), v) for v in (0.96, 2.0, 2.0, 0.04)]
    compressed = spcen(y, *last)
    parts.add("eleaf/leaf/y", compressed, 7, 20)
    if eleaf:
        module = eleaf.GaborFilterbank(40, 60.0, 7800.0, 16000, 401, 401, 160)
        raw = (module.center_freqs, module.bandwidths, module.pooling_widths)
        for own, key in zip(raw, p, strict=True):
            own.data = p[key].detach()
        theirs = module(x[None, None])
        same("eleaf, leaf", y, theirs[0].T, 1e-12)
        pcen = eleaf.PCEN(40, 0.04, 0.96, 2, 0.5, 1e-12, False, 1e-5)
        same("eleaf, leaf, pcen", compressed, pcen(theirs)[0].T, 1e-12)


def main():
    """Make the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", help="directory of the originals that are in no package")
    directory = parser.parse_args().sources
    sources = dict.fromkeys(("og_leaf", "eleaf"))
    if directory:
        sys.path.insert(0, directory)
        sources = {name: importlib.import_module(name) for name in sources}
    parts = Parts()
    put_leaf(parts, sources["og_leaf"])
    put_efficientleaf(parts, sources["eleaf"])
    parts.save("leaf.npz", ("torch", "torchaudio", "speechbrain", "numpy"))


if __name__ == "__main__":
    main()
