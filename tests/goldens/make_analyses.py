"""Make ``analyses.npz``: sinc filters, free filters and TD-filterbanks, with gradients.

The tests read only the ``.npz``. To make the file again, in a virtual environment of its own
(Python 3.11, CPU is enough; torch was the build ``2.13.0+cpu``)::

    pip install numpy==2.4.6 scipy torch==2.13.0
    pip install --no-deps torchaudio==2.11.0 speechbrain==1.1.2 asteroid-filterbanks==0.4.0
    pip install hyperpyyaml joblib sentencepiece tqdm packaging huggingface_hub requests
    rm "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"/torchaudio/lib/*.so
    OMP_NUM_THREADS=1 python tests/goldens/make_analyses.py [--sources DIRECTORY]

(``torchaudio``'s compiled extension is built against another torch; see ``make_torch.py``.)

All values are those of recipes in torch, in float64, and all gradients torch's. The script refuses
to write the file unless ``speechbrain.nnet.CNN.SincConv`` and asteroid's ``ParamSincFB``,
``FreeFB`` and ``AnalyticFreeFB`` give the same values and gradients. Of ``ParamSincFB`` the buffer
with the window, which it rounds to float32, is put in again in float64; its initial edges, rounded
as well, are compared only to 1e-6. ``generate_mpgtf`` runs unchanged, but needs names that NumPy
has dropped: ``np.float`` and ``np.math``.

``AnalyticFreeFB`` means to add the Hilbert transform of each filter. With any torch from 1.8 on it
adds the filter backwards in time (around its first sample, circularly), because its stand-in for
the old ``torch.rfft`` conjugates where it should multiply by -i. Both are here: ``installed`` is
what the package gives, ``hilbert`` the recipe of what it means.

Given ``--sources``, the recipes are compared with two originals that are in no package, as well.
That directory holds modules with these definitions, unchanged but for docstrings:

- ``sincnet``: ``SincConv_fast`` and ``sinc_conv`` (without its ``.cuda()``) of ``dnn_models.py``,
  from github.com/mravanelli/SincNet, commit 70326fdddf037fa151dd7749883fa639355f9a39;
- ``tdfbanks``: ``TDFbanks`` of ``model.py``, ``window`` of ``utils.py`` and ``Gabor`` of
  ``melfilters.py``, from github.com/facebookresearch/tdfbanks, commits
  8cb494580d781bde97633f604dacbc576d5430dd and (the last) 3c9544c7282a88db4d36f9e14e00aabb1e1cb9cc.

Layout: features are (frames, channels). The loss of every gradient is ``sum(cos(i) y_i)`` over the
``i``-th values of the features, frames before channels. ``README.md`` says what each key is,
``parts.py`` how large arrays are stored in part and what the signal is.
"""

import argparse
import importlib
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F
from asteroid_filterbanks import AnalyticFreeFB, Encoder, FreeFB, ParamSincFB
from asteroid_filterbanks.multiphase_gammatone_fb import generate_mpgtf
from make_leaf import Z, energies, gabor, pooled
from parts import Parts, clip, leaf, loss, same
from speechbrain.nnet.CNN import SincConv

torch.set_default_dtype(torch.float64)


def convolved(x, filters, pad=0, stride=1, mode="constant"):
    """``(frames, channels)``."""
    x = F.pad(x[None, None], (pad, pad), mode=mode)
    return F.conv1d(x, filters[:, None], stride=stride)[0].T


def sinc_start(n_filters, lowest, sample_rate=16000, min_low=50, min_band=50):
    """Initial lower edges and bands, before the least ones are added."""
    ends = [2595 * np.log10(1 + f / 700) for f in (lowest, sample_rate / 2 - min_low - min_band)]
    hz = 700 * (10 ** (np.linspace(*ends, n_filters + 1) / 2595) - 1)
    return hz[:-1], np.diff(hz)


def half_window(kind, size):
    """What the taps before the middle one are weighted with."""
    if kind == "stretched":  # SincNet and speechbrain
        n = np.linspace(0, size / 2 - 1, size // 2)
        return torch.from_numpy(0.54 - 0.46 * np.cos(2 * np.pi * n / size))
    return torch.from_numpy(np.hamming(size)[: size // 2])


def sincs(low, band, size, kind, sample_rate=16000, min_low=50, min_band=50, partner=False):
    """Band-pass filters ``(bands, size)``, and after them their odd partners."""
    low = min_low + low.abs()
    high = (low + min_band + band.abs()).clamp(min_low, sample_rate / 2)
    t = 2 * np.pi * torch.arange(-(size // 2), 0).to(low) / sample_rate
    low, high = low[:, None], high[:, None]
    scale = half_window(kind, size) / (t * (high - low))
    even = (torch.sin(high * t) - torch.sin(low * t)) * scale
    even = torch.cat([even, torch.ones_like(low), even.flip(1)], dim=1)
    if not partner:
        return even
    odd = (torch.cos(low * t) - torch.cos(high * t)) * scale
    odd = torch.cat([odd, torch.zeros_like(low), -odd.flip(1)], dim=1)
    return torch.cat([even, odd])


def put_sinc(parts, source):
    """Sinc filters of speechbrain, asteroid and SincNet."""
    rng = np.random.default_rng(21)
    start = sinc_start(10, 50)
    moved = [v * np.exp(0.2 * rng.standard_normal(10)) for v in start]
    moved[0][2] *= -1  # the absolute value is taken
    moved[1][3] *= -1
    moved[1][9] = 2000.0  # ends above half the rate
    cases = {
        "speechbrain/start": (start, {"kernel_size": 65}),
        "speechbrain/moved": (moved, {"kernel_size": 101, "stride": 5}),
        "speechbrain/valid": (moved, {"kernel_size": 51, "stride": 2, "padding": "valid"}),
        "speechbrain/8 kHz": (
            sinc_start(10, 20, 8000, 20, 30),
            {"kernel_size": 33, "sample_rate": 8000, "min_low_hz": 20, "min_band_hz": 30,
             "padding_mode": "constant"},
        ),
        "asteroid/start": (sinc_start(10, 30), {"kernel_size": 65, "stride": 20}),
        "asteroid/moved": (moved, {"kernel_size": 51, "stride": 4, "padding": 25}),
    }  # fmt: skip
    for name, (values, options) in cases.items():
        theirs_is = name.split("/")[0]
        low, band, x = *(leaf(v) for v in values), leaf(clip(1000))
        limits = {
            "sample_rate": options.get("sample_rate", 16000),
            "min_low": options.get("min_low_hz", 50),
            "min_band": options.get("min_band_hz", 50),
        }
        size, stride = options["kernel_size"], options.get("stride", 1)
        if theirs_is == "speechbrain":
            filters = sincs(low, band, size, "stretched", **limits)
            pad = 0 if options.get("padding") == "valid" else size // 2
            y = convolved(x, filters, pad, stride, options.get("padding_mode", "reflect"))
            module = SincConv(10, in_channels=1, **options)
            raw = module.low_hz_, module.band_hz_
        else:
            filters = sincs(low, band, size, "hamming", **limits, partner=True)
            y = convolved(x, filters, options.get("padding", 0), stride)
            bank = ParamSincFB(20, size, stride)
            bank.window_ = half_window("hamming", size)
            raw = bank.low_hz_, bank.band_hz_
            module = Encoder(bank, padding=options.get("padding", 0))
        if name.endswith(("start", "8 kHz")):
            for own, value in zip(raw, values, strict=True):
                same(f"{name}, edges", torch.from_numpy(value), own.detach()[:, 0],
                     1e-13 if theirs_is == "speechbrain" else 1e-6)  # fmt: skip
        for own, value in zip(raw, (low, band), strict=True):
            own.data = value.detach()[:, None]
        theirs = module(x[None])[0] if theirs_is == "speechbrain" else module(x[None, None])[0].T
        same(name, y, theirs, 1e-12)
        parts.cases[f"sinc/{name}"] = options
        parts.add(f"sinc/{name}/low", low)
        parts.add(f"sinc/{name}/band", band)
        parts.add(f"sinc/{name}/filters", filters, None, 17)
        parts.add(f"sinc/{name}/y", y, 9, None)
        gradients = parts.gradients(f"sinc/{name}", y, low=low, band=band, x=x)
        found = torch.autograd.grad(loss(theirs), (*raw, x))
        for (key, mine), gradient in zip(gradients.items(), found, strict=True):
            same(f"{name}, {key}", mine, gradient.reshape(mine.shape), 1e-9)
    # SincNet's own: 80 filters of 251 taps; the block is that of its first layer.
    for lowest, name in ((30, "sincnet"), (50, "speechbrain")):
        for key, value in zip(("low", "band"), sinc_start(80, lowest), strict=True):
            parts.add(f"sinc/init/{name}/{key}", value)
    low, band = (leaf(v) for v in sinc_start(80, 30))
    filters = sincs(low, band, 251, "stretched")
    parts.add("sinc/sincnet/filters", filters, 8, 31)
    low, band, x = *(leaf(v[::16]) for v in sinc_start(80, 30)), leaf(clip(800))
    y = F.max_pool1d(convolved(x, sincs(low, band, 251, "stretched")).T.abs(), 3)
    y = (y - y.mean(-1, keepdim=True)) / (y.std(-1, keepdim=True) + 1e-6)
    y = F.leaky_relu(y, 0.2).T
    parts.add("sinc/sincnet block/y", y, 9, None)
    parts.gradients("sinc/sincnet block", y, low=low, band=band, x=x)
    if source:
        module = source.SincConv_fast(80, 251)
        module(x[None, None])
        same("SincNet", filters, module.filters[:, 0], 1e-12)
        module = source.sinc_conv(20, 101, 16000)
        module(x[None, None])
        lows, bands = (v.detach() * 16000 for v in (module.filt_b1, module.filt_band))
        # Its first version: stored over the rate, another window, no limit at half the rate.
        mine = sincs(lows[:-2], bands[:-2], 101, "hamming")
        same("SincNet's first version, float32", mine, module.made[:-2], 1e-5)


def put_free(parts):
    """Free filters, analytic ones, ConvTasNet's encoder, multi-phase gammatones."""
    rng = np.random.default_rng(22)
    cases = {
        "free/half": (FreeFB, 6, {"kernel_size": 20}, {}),
        "free/padded": (FreeFB, 6, {"kernel_size": 21, "stride": 8}, {"padding": 5}),
        "free/tasnet": (FreeFB, 16, {"kernel_size": 16, "stride": 8}, {}),
        "analytic/even": (AnalyticFreeFB, 5, {"kernel_size": 20, "stride": 7}, {}),
        "analytic/odd": (AnalyticFreeFB, 4, {"kernel_size": 21}, {"padding": 10}),
    }
    for name, (kind, n, options, encoder) in cases.items():
        size = options["kernel_size"]
        weights, x = leaf(rng.standard_normal((n, size)) / np.sqrt(size)), leaf(clip(700))
        parts.cases[name] = options | encoder
        parts.add(f"{name}/weights", weights)
        analytic = kind is AnalyticFreeFB
        turned = {}
        if analytic:
            turned["installed"] = weights.flip(1).roll(1, 1)
            turned["hilbert"] = torch.fft.irfft(-1j * torch.fft.rfft(weights), n=size)
        bank = kind(2 * n if analytic else n, **options)
        bank._filters.data = weights.detach()[:, None]
        module = Encoder(bank, **encoder)
        for way, second in turned.items() or [("", None)]:
            key = f"{name}/{way}" if way else name
            filters = weights if second is None else torch.cat([weights, second])
            y = convolved(x, filters, encoder.get("padding", 0), module.stride)
            theirs = module(x[None, None])[0].T
            if name == "free/tasnet":
                y, theirs = F.relu(y), F.relu(theirs)
            if second is not None:
                parts.add(f"{key}/partner", second)
            parts.add(f"{key}/y", y, 9, None)
            gradients = parts.gradients(key, y, weights=weights, x=x)
            if way == "hilbert":
                continue
            same(key, y, theirs, 1e-12)
            found = torch.autograd.grad(loss(theirs), (bank._filters, x))
            same(f"{key}, weights", gradients["weights"], found[0][:, 0], 1e-9)
            same(f"{key}, x", gradients["x"], found[1], 1e-9)
    for name, value in {"float": float, "math": math}.items():
        setattr(np, name, value)
    for n, size, rate in ((128, 16, 8000.0), (60, 32, 16000.0)):
        filters = generate_mpgtf(rate, size / rate, n)
        same(f"gammatone, {n}", torch.from_numpy(gammatones(n, size, rate)),
             torch.from_numpy(filters), 1e-12)  # fmt: skip
        parts.add(f"gammatone/{n}/filters", filters, 11, None)


def gammatones(n_filters, size, sample_rate, f_min=100, n_centres=24, order=2):
    """Filters ``(n_filters, size)``: pairs of either sign at phases spread over half a turn."""
    pairs = np.full(n_centres, n_filters // 2 // n_centres)
    pairs[: (n_filters - 2 * pairs.sum()) // 2] += 1
    t = np.linspace(1 / sample_rate, size / sample_rate, size)
    at = 24.7 * 9.265  # Hz of the scale's knee
    scale = math.factorial(2 * order - 2) * 2.0 ** (2 - 2 * order) / math.factorial(order - 1) ** 2
    found = []
    for i, count in enumerate(pairs):
        centre = at * ((1 + f_min / at) * np.exp(i / 9.265) - 1)
        width = (24.7 + 0.108 * centre) / (np.pi * scale)
        phases = np.pi * np.arange(count)[:, None] / count
        y = t ** (order - 1) * np.exp(-2 * np.pi * width * t)
        y = y * np.cos(2 * np.pi * centre * t + phases)
        found += [y, -y]
    y = np.concatenate(found)
    rms = np.sqrt((y**2).mean(1, keepdims=True))
    return y / rms * rms.max()


def td_triangles(n_filters, f_min, f_max, sample_rate, n_fft):
    """Triangles whose corners are rounded to bins: left, middle, right."""
    ends = [2595 * np.log10(1 + f / 700) for f in (f_min, f_max)]
    step = (ends[1] - ends[0]) / (n_filters + 1)
    edges = 700 * (np.power(10, (ends[0] + step * np.arange(n_filters + 2)) / 2595) - 1)
    corners = [min(round(f / (sample_rate / n_fft)), n_fft // 2) for f in edges]
    return list(zip(corners[:-2], corners[1:-1], corners[2:], strict=True))


def td_start(n_filters, f_min=0, f_max=8000, sample_rate=16000, n_fft=512, size=401):
    """Centres, widths and filters of TD-filterbanks."""
    bins = np.arange(n_fft // 2 + 1)
    found = []
    for left, middle, right in td_triangles(n_filters, f_min, f_max, sample_rate, n_fft):
        triangle = np.zeros(len(bins))
        triangle[middle] = left < middle  # no peak where two corners are on one bin
        for a, end in ((left, middle), (right, middle)):
            between = (bins - a) * (end - bins) > 0
            triangle[between] = ((bins - a) / (end - a if end != a else 1))[between]
        roots = np.sqrt(triangle)
        half = np.where(roots >= roots.max() / 2)[0]
        area = 0.5 * triangle.max() * ((triangle > 0).sum() + 2) * 2 * np.pi / n_fft
        sigma = Z * n_fft / max(half[-1] - half[0], 1)
        found.append((2 * np.pi * roots.argmax() / n_fft, sigma, area))
    mu, sigma, area = (np.array(v) for v in zip(*found, strict=True))
    filters = gabor(torch.tensor(mu), torch.tensor(sigma), size).numpy()
    return mu, sigma, filters * np.sqrt(area * 2 * np.sqrt(np.pi) * sigma)[:, None]


def hann(size):
    """Their window: its lowest value is at 1, its first and third are equal."""
    return 0.5 * (1 - np.cos(2 * np.pi * (np.arange(size) - 1) / (size - 1)))


def tdfbanks(x, filters, windows, preemphasis=None, norm=False, hop=160):
    """Features of TD-filterbanks."""
    if preemphasis is not None:
        x = F.conv1d(x[None, None], preemphasis[None, None], padding=1)[0, 0]
    size = filters.shape[-1]
    energy = energies(x, filters, (size // 2, size // 2))
    y = torch.log(1 + pooled(energy, windows, (0, 0), hop).abs())
    if norm:
        y = (y - y.mean(0)) / torch.sqrt(y.var(0, unbiased=False) + 1e-5)
    return y


def put_tdfbanks(parts, source):
    """TD-filterbanks at the start, and with every weight moved."""
    mu, sigma, filters = td_start(40)
    parts.add("tdfbanks/init/mu", mu)
    parts.add("tdfbanks/init/sigma", sigma)
    parts.add("tdfbanks/init/filters", filters, 8, 41)
    for m in (40, 80) if source else ():
        theirs = torch.tensor(np.array(source.Gabor(m).gaborfilters))
        same(f"tdfbanks, {m} filters", torch.tensor(td_start(m)[2]), theirs, 1e-13)
    rng = np.random.default_rng(13)
    n, size = 8, 401
    moved = 0.02 * rng.standard_normal((2, n, size))
    cases = {
        "start": {"preemp": False, "mvn": False},
        "moved": {"preemp": False, "mvn": False},
        "moved preemp mvn": {"preemp": True, "mvn": True},
    }
    x = leaf(clip())
    for name, options in cases.items():
        key = f"tdfbanks/{name}"
        weights = td_start(n)[2]
        windows = np.tile(hann(size), (n, 1))
        if "moved" in name:
            weights = weights + 0.05 * moved[0] + 0.05j * moved[1]
            windows = windows + moved[0]
        re, im, windows = leaf(weights.real), leaf(weights.imag), leaf(windows)
        preemphasis = leaf([-0.97, 1.0])
        variables = {"real": re, "imag": im, "windows": windows, "x": x}
        if options["preemp"]:
            variables["preemphasis"] = preemphasis
        y = tdfbanks(
            x, torch.complex(re, im), windows, variables.get("preemphasis"), options["mvn"]
        )
        parts.cases[key] = options
        parts.add(f"{key}/y", y, 10, None)
        found = torch.autograd.grad(loss(y), list(variables.values()))
        for k, gradient in zip(variables, found, strict=True):
            most = {1: [49 if k == "x" else None], 2: [4, 21]}[gradient.ndim]
            parts.add(f"{key}/grad_{k}", gradient, *most)
        if source:
            module = source.TDFbanks("learnall", n, **options)
            module.initialize()
            own = module.complex_conv.weight.detach()[:, 0]
            start = td_start(n)[2]
            same(f"{key}, start", own, torch.tensor(np.stack([start.real, start.imag], 1)).reshape(
                2 * n, -1), 1e-13)  # fmt: skip
            same(f"{key}, window", module.lowpass.weight[0, 0], torch.tensor(hann(size)), 1e-13)
            own = torch.stack([re, im], 1).detach().reshape(2 * n, 1, -1)
            module.complex_conv.weight.data = own
            module.lowpass.weight.data = windows.detach()[:, None]
            theirs = module(x)[0].T
            same(key, y, theirs, 1e-11)
            raw = [module.complex_conv.weight, module.lowpass.weight, x]
            gradients = torch.autograd.grad(loss(theirs), raw)
            same(f"{key}, real", found[0], gradients[0][::2, 0], 1e-9)
            same(f"{key}, imag", found[1], gradients[0][1::2, 0], 1e-9)
            same(f"{key}, windows", found[2], gradients[1][:, 0], 1e-9)
            same(f"{key}, x", found[3], gradients[2], 1e-9)
    moved = torch.tensor(moved)
    parts.add("tdfbanks/moves", moved[..., :3])  # to see that the same numbers are drawn


def main():
    """Make the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", help="directory of the originals that are in no package")
    directory = parser.parse_args().sources
    sources = dict.fromkeys(("sincnet", "tdfbanks"))
    if directory:
        sys.path.insert(0, directory)
        sources = {name: importlib.import_module(name) for name in sources}
    parts = Parts()
    put_sinc(parts, sources["sincnet"])
    put_free(parts)
    put_tdfbanks(parts, sources["tdfbanks"])
    packages = ("torch", "torchaudio", "speechbrain", "asteroid-filterbanks", "numpy")
    parts.save("analyses.npz", packages)


if __name__ == "__main__":
    main()
