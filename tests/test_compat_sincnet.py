"""`jaxspec.compat.sincnet` against goldens/make_analyses.py: filters, values, gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parts_of_goldens import Goldens, clip, loss

from jaxspec import FrontEnd, stages
from jaxspec.analysis import sinc_envelope, wave_kernels
from jaxspec.compat import sincnet

GOLDENS = Goldens("analyses")
MAKERS = {"speechbrain": (sincnet.SincConv, 10), "asteroid": (sincnet.ParamSincFB, 20)}

pytestmark = pytest.mark.usefixtures("x64")


def _zeros(frontend):
    return frontend.init(jax.random.key(0), dtype=jnp.float64)


def _kernels(low, band, *, window, partner, sample_rate=16000, min_low=50, min_band=50):
    """The filters as functions of what is learned in the originals, from the same pieces."""
    low = min_low + jnp.abs(low)
    high = jnp.minimum(low + min_band + jnp.abs(band), sample_rate / 2)
    envelope = sinc_envelope((high - low) / sample_rate, window=window)
    parts = wave_kernels(envelope, np.pi * (low + high) / sample_rate)
    return jnp.concatenate([parts["real"], *([-parts["imag"]] if partner else [])], axis=1)


@pytest.mark.parametrize(
    "case",
    ["speechbrain/start", "speechbrain/moved", "speechbrain/valid", "speechbrain/8 kHz",
     "asteroid/start", "asteroid/moved"],
)  # fmt: skip
def test_filters_values_and_gradients(case):
    key, options = f"sinc/{case}", GOLDENS.cases[f"sinc/{case}"]
    maker, n = MAKERS[case.split("/")[0]]
    low, band = jnp.asarray(GOLDENS[f"{key}/low"]), jnp.asarray(GOLDENS[f"{key}/band"])
    given = {} if case.endswith(("start", "8 kHz")) else {"low_hz": low, "band_hz": band}
    frontend = maker(n, **options, **given)
    least = options.get("min_low_hz", 50), options.get("min_band_hz", 50)
    lower = least[0] + np.abs(low)
    upper = np.minimum(lower + least[1] + np.abs(band), options.get("sample_rate", 16000) / 2)
    place = np.argsort(np.argsort(lower + upper))  # ours are in the order of their centres
    place = np.r_[place, 10 + place] if n == 20 else place
    params, x = _zeros(frontend), jnp.asarray(clip(1000))
    parts = frontend["sinc"].kernels(params["sinc"], dtype=jnp.float64)
    partner = n == 20
    filters = np.concatenate([parts["real"], *([-parts["imag"]] if partner else [])], axis=1)
    filters = filters[:, place]
    GOLDENS.same(f"{key}/filters", filters.T, 1e-12)
    GOLDENS.same(f"{key}/y", frontend.apply(params, x)[:, place])
    GOLDENS.same(f"{key}/grad_x", jax.grad(lambda x: loss(frontend.apply(params, x)[:, place]))(x))

    # By what is learned there: from the gradients by the taps, and the filters' own derivatives.
    free = stages.FreeFilters(
        n_bands=n, taps=filters.shape[0], hop_length=frontend["sinc"].hop_length, center=False,
        partner="none", real=filters,
    )  # fmt: skip
    chain = FrontEnd(*(s for s in frontend.stages if s.takes == "waveform" == s.gives), free)
    by_taps = jax.grad(lambda p: loss(chain.apply(p, x)))(_zeros(chain))["free_filters"]["real"]
    limits = {k: options[n] for k, n in (("sample_rate", "sample_rate"), ("min_low", "min_low_hz"),
              ("min_band", "min_band_hz")) if n in options}  # fmt: skip
    window = frontend["sinc"].window.values
    own, pull = jax.vjp(
        lambda low, band: _kernels(low, band, window=window, partner=partner, **limits), low, band
    )
    np.testing.assert_allclose(own, filters, atol=1e-9)
    for name, slopes in zip(("low", "band"), pull(by_taps), strict=True):
        GOLDENS.same(f"{key}/grad_{name}", slopes, 1e-8)


def test_sincnet_start():
    filters = sincnet.SincConv_fast(80, 251)
    parts = filters["sinc"].kernels({}, dtype=jnp.float64)
    GOLDENS.same("sinc/sincnet/filters", parts["real"].T, 1e-12)
    for name, low in (("sincnet", 30), ("speechbrain", 50)):
        edges = GOLDENS[f"sinc/init/{name}/low"], GOLDENS[f"sinc/init/{name}/band"]
        assert edges[0][0] == pytest.approx(low)
        given = sincnet.SincConv_fast(80, 251, low_hz=edges[0], band_hz=edges[1])["sinc"]
        own = (sincnet.SincConv_fast if low == 30 else sincnet.SincConv)(80, 251)["sinc"]
        np.testing.assert_allclose(own.points.values, given.points.values, rtol=1e-12)
        np.testing.assert_allclose(own.bandwidths.values, given.bandwidths.values, rtol=1e-9)


def test_first_layer_of_sincnet():
    """Every 16th filter, absolute values, the largest of three, normalised over time."""
    low, band = (GOLDENS[f"sinc/init/sincnet/{name}"][::16] for name in ("low", "band"))
    frontend = FrontEnd(
        sincnet.SincConv_fast(5, 251, low_hz=low, band_hz=band),
        stages.Abs(),
        stages.MaxPool(size=3, stride=3, edges="whole"),
        stages.Normalize(ddof=1, eps=1e-6),
    )
    params = _zeros(frontend)

    def features(x):
        return jax.nn.leaky_relu(frontend.apply(params, x), 0.2)

    x = jnp.asarray(clip(800))
    GOLDENS.same("sinc/sincnet block/y", features(x))
    GOLDENS.same("sinc/sincnet block/grad_x", jax.grad(lambda x: loss(features(x)))(x), 1e-8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sincnet.SincConv(8, 64), "kernel_size must be odd"),
        (lambda: sincnet.SincConv(8, 65, padding="full"), "padding must be one of"),
        (lambda: sincnet.SincConv(8, 65, padding="valid", padding_mode="edge"), "has no effect"),
        (lambda: sincnet.ParamSincFB(7, 65), "n_filters must be even"),
        (lambda: sincnet.SincConv_fast(8, 65, 180), "must leave room below half"),
        (lambda: sincnet.SincConv_fast(2, 65, low_hz=[1, 2]), "must be given together"),
        (lambda: sincnet.SincConv_fast(2, 65, low_hz=[9000, 50], band_hz=[1, 1]), "begin below"),
        (lambda: sincnet.SincConv_fast(2, 65, low_hz=[50, 50], band_hz=[1, 1]), "must increase"),
        (lambda: sincnet.SincConv_fast(2, 65, low_hz=[9], band_hz=[1]), "one value for each of 2"),
    ],
)  # fmt: skip
def test_wrong_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
