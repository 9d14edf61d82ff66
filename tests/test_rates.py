"""`jaxspec.at_rate`: the same features of the same sound at another sample rate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspec
from jaxspec import FrontEnd, rates, stages

RATE = 16000
SECONDS = 0.32
BANK = {"sample_rate": RATE, "n_bands": 12, "f_min": 100, "f_max": 3900, "scale": "htk"}
ENERGY = {"phases": 2, "norm": "energy"}
ADAPTIVE = {"n_fft": 640, "win_length": 500.0, "learn": "win_length"}


def sound(rate):
    """Harmonics below 3 kHz that fade in and out, known at any rate; ``(2, samples)``, float64."""
    rng = np.random.default_rng(0)
    n = round(rate * SECONDS)
    harmonics = np.zeros((2, n // 2 + 1), complex)
    top = int(3000 * SECONDS)
    harmonics[:, 20:top] = rng.standard_normal((2, top - 20, 2)) @ [1, 1j]
    fade = np.sin(np.pi * np.arange(n) / n) ** 2
    return 0.1 * np.fft.irfft(harmonics, n) * n / np.sqrt(top) * fade


def stft(**options):
    return stages.STFT(**{"n_fft": 640, "hop_length": 320, **options})


def bank(**options):
    return stages.Filterbank(**BANK, n_fft=640, **options)


def adaptive(**options):
    return stages.AdaptiveSTFT(hop_length=320, **ADAPTIVE, **options)


POWER = stages.Power()
GABOR = stages.Gabor(**BANK, taps=801, hop_length=16, layout="gaps")
POOL = stages.GaussianPool(size=41, stride=20, deviation=8.0, learn="all", n_bands=12)
FRAMES = (
    stages.Pad(before=160, after=160),
    stages.Frame(frame_length=640, hop_length=320),
    stages.RemoveFrameMean(),
)
PCEN = stages.PCEN(
    time_constant=0.1, hop_length=320, sample_rate=RATE, learn="all", n_bands=12, power=0.9
)
RUNNING = stages.RunningNormalize(
    memory="exponential", time_constant=0.1, hop_length=320, sample_rate=RATE, over="clip"
)
# A chain, and how far its features may be from those at 16 kHz, of the largest.
CHAINS = {
    "stft": ((stft(), POWER, bank(layout="gaps", shape="gaussian", norm=None)), 1e-6),
    "magnitude": ((stft(), stages.Power(exponent=1), bank(layout="warp")), 1e-3),
    "frame_length": ((stft(normalized="frame_length"), POWER, bank(layout="scale")), 1e-6),
    "normalized_window": ((stft(normalized="window"), POWER, bank()), 1e-6),
    "normalized_magnitude": ((stft(normalized="magnitude"), POWER, bank()), 1e-6),
    "not_centred": ((stft(center=False), POWER, bank()), 1e-6),
    "pcen": ((stft(), POWER, bank(), PCEN), 1e-5),
    "running": ((stft(), POWER, bank(), stages.Ln(amin=1e-3), RUNNING), 1e-4),
    "frames": (
        (*FRAMES, stages.Window(win_length=640), stages.RFFT(n_fft=640), POWER, bank()),
        1e-6,
    ),
    "no_window": ((*FRAMES, stages.RFFT(n_fft=640), POWER, bank()), 3e-2),
    "symmetric": ((stft(periodic=False), POWER, bank()), 1e-2),
    "adaptive": ((adaptive(), POWER, bank()), 1e-4),
    "adaptive_sum": (
        (adaptive(norm="sum", max_length=600), POWER, bank()),
        1e-4,
    ),
    "adaptive_energy": (
        (adaptive(norm="energy", min_length=64), POWER, bank()),
        1e-4,
    ),
    "hop": (
        (
            stages.AdaptiveHopSTFT(hop_length=320.0, min_hop=160, max_hop=400.0, **ADAPTIVE),
            POWER,
            bank(),
        ),
        1e-4,
    ),
    "gabor": ((GABOR, POWER, POOL), 1e-3),
    "sinc": (
        (stages.Sinc(**BANK, taps=641, hop_length=16, layout="gaps"), POWER, POOL),
        2e-3,
    ),
    "gammatone": (
        (stages.Gammatone(**BANK, taps=1601, hop_length=16, layout="gaps"), POWER, POOL),
        1e-1,
    ),
    "phases": (
        (
            stages.Gammatone(**BANK, taps=800, hop_length=160, **ENERGY),
            stages.MaxPool(size=2, stride=2),
        ),
        3e-1,
    ),
    "beside": (
        (
            stages.Scale(factor=3.0),
            stages.Beside(
                branches=(
                    FrontEnd(GABOR, POWER, POOL),
                    FrontEnd(stft(pad_mode="constant"), POWER, bank()),
                )
            ),
            stages.Ln(amin=1.0),
        ),
        1e-3,
    ),
    "fitted": (
        (
            stages.FitLength(n_samples=4800),
            stages.Trim(before=160, after=320),
            stages.PadToMultiple(multiple=3200),
            stft(),
            POWER,
            bank(),
        ),
        1e-2,
    ),
    "repeated": ((stages.Repeat(n_samples=6400), stft(), POWER, bank()), 1e-6),
    "masked": (
        (
            stages.MaskPadding(frontend=FrontEnd(stft(center=False), POWER, bank()), multiple=1600),
        ),
        1e-6,
    ),
}  # fmt: skip


def moved(frontend, scale=0.3):
    leaves, tree = jax.tree.flatten(frontend.param_shapes())
    rng = np.random.default_rng(1)
    return jax.tree.unflatten(tree, [scale * rng.standard_normal(leaf.shape) for leaf in leaves])


def features(frontend, params, rate):
    x = sound(rate)
    # Frames around every 320th sample, and around every 16th in groups of 20, are as many of a
    # clip that is no multiple of 320.
    x = x[..., : -round(0.005 * rate)] if "beside" in frontend.names else x
    with jax.enable_x64(True):
        return np.asarray(frontend.apply(params, jnp.asarray(x)))


@pytest.mark.parametrize("rate", [8000, 48000])
@pytest.mark.parametrize("name", CHAINS)
def test_features_agree(name, rate):
    chain, limit = CHAINS[name]
    frontend = FrontEnd(*chain)
    other = jaxspec.at_rate(frontend, rate)
    params = moved(frontend)
    wanted, found = features(frontend, params, RATE), features(other, params, rate)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < limit * np.abs(wanted).max()
    if name != "hop":
        n = wanted.shape[-2]
        np.testing.assert_allclose(other.frame_times(n), frontend.frame_times(n), rtol=1e-12)


@pytest.mark.parametrize("name", ["stft", "adaptive_sum", "pcen"])
def test_lengths_that_are_whole_at_another_family_of_rates(name):
    chain, limit = CHAINS[name]
    frontend = FrontEnd(*chain)
    other, params = jaxspec.at_rate(frontend, 22050), moved(frontend)
    wanted, found = features(frontend, params, RATE), features(other, params, 22050)
    assert np.abs(found - wanted).max() < limit * np.abs(wanted).max()


@pytest.mark.parametrize("name", ["gabor", "sinc", "frames"])
def test_energies_with_nearest_lengths(name):
    """Frames are a little off: what they add up to is not."""
    frontend = FrontEnd(*CHAINS[name][0])
    with pytest.raises(ValueError, match="no whole number"):
        jaxspec.at_rate(frontend, 22050)
    other, params = jaxspec.at_rate(frontend, 22050, lengths="nearest"), moved(frontend)
    wanted, found = (
        features(f, params, rate).sum(axis=-2) * f.reach.stride / rate
        for f, rate in ((frontend, RATE), (other, 22050))
    )
    assert np.abs(found - wanted).max() < 0.03 * np.abs(wanted).max()


def test_every_stage_is_known():
    own = {cls for cls in jaxspec.stage_types().values() if cls.__module__.startswith("jaxspec.")}
    sorts = [set(rates._WHOLE), set(rates._REFUSED), set(rates._UNCHANGED)]
    assert sum(map(len, sorts)) == len(set.union(*sorts))
    assert own - set.union(*sorts) == {FrontEnd, stages.Beside}
    assert set(rates._ANY) <= set(rates._WHOLE)
    for kind, fields in [*rates._WHOLE.items(), *rates._ANY.items()]:
        assert set(fields) <= set(kind.__dataclass_fields__), kind


def test_the_same_rate_and_back():
    frontend = FrontEnd(*CHAINS["stft"][0])
    assert jaxspec.at_rate(frontend, RATE) is frontend
    other = jaxspec.at_rate(frontend, 48000)
    assert other["stft"] == stft(n_fft=1920, hop_length=960, win_length=1920)
    assert other["filterbank"].f_max == 3900
    assert other["filterbank"].sample_rate == 48000
    again = jaxspec.at_rate(other, RATE)
    assert again.without("scale", "scale_2") == frontend
    assert again["scale"].factor * again["scale_2"].factor == pytest.approx(1)


def test_bands_keep_their_upper_end():
    """The default upper end is half the sample rate: of the rate that the bank was for."""
    frontend = FrontEnd(stft(), POWER, stages.Filterbank(sample_rate=RATE, n_fft=640, n_bands=12))
    assert jaxspec.at_rate(frontend, 48000)["filterbank"].f_max == RATE / 2


def test_bins_without_bands():
    frontend = FrontEnd(stft(), POWER, stages.Ln(), sample_rate=RATE)
    other = jaxspec.at_rate(frontend, 48000)
    assert other.sample_rate == 48000
    np.testing.assert_allclose(other.frequencies()[:321], frontend.frequencies())
    assert other.channels(None) == 961


def test_even_taps_keep_the_middle():
    gammatone = stages.Gammatone(**BANK, taps=32, hop_length=16, center=False, **ENERGY)
    frontend = FrontEnd(gammatone, stages.Clip(low=0.0))
    other = jaxspec.at_rate(frontend, 48000)
    assert other["gammatone"].taps == 96
    np.testing.assert_allclose(other.frame_times(3), frontend.frame_times(3))


def test_rounding_that_is_too_coarse():
    leaf = jaxspec.compat.leaf_audio.Leaf()
    with pytest.raises(ValueError, match=r"hop_length=1 would be 1\.378.* off by 27%"):
        jaxspec.at_rate(leaf, 22050, lengths="nearest")


def test_a_reason_before_a_rate():
    free = FrontEnd(stages.FreeFilters(n_bands=4, taps=16))
    with pytest.raises(ValueError, match="free_filters: cannot be had at another sample rate"):
        jaxspec.at_rate(free, 8000)


def test_nearest_lengths():
    frontend = FrontEnd(stages.STFT(n_fft=512, hop_length=160, win_length=400), sample_rate=RATE)
    other = jaxspec.at_rate(frontend, 22050, lengths="nearest")
    assert (other["stft"].n_fft, other["stft"].hop_length, other["stft"].win_length) == (
        706,
        221,
        551,
    )
    pcen = stages.PCEN(time_constant=0.1, hop_length=320, sample_rate=RATE)
    chain = FrontEnd(GABOR, POWER, stages.GaussianPool(size=41, stride=20, deviation=8.0), pcen)
    other = jaxspec.at_rate(chain, 22050, lengths="nearest")
    assert other["pcen"].hop_length == 22 * 20
    assert other["pcen"].sample_rate == 22050


REFUSED = {
    "no whole number": ((stages.STFT(n_fft=512), POWER), 22050, r"stft: n_fft=512 would be 705.6"),
    "taps": (
        (stages.Sinc(**BANK, taps=251, hop_length=2),),
        24000,
        r"sinc: \(taps - 1\) / 2=125 would be 187.5",
    ),
    "beyond": ((stft(), POWER, bank()), 4000, "filterbank, at sample_rate=4000: .*f_max"),
    "free": ((stft(), POWER, bank(layout="free")), 8000, "layout='free' learns a weight for each"),
    "window": ((stft(window=np.ones(640)), POWER), 8000, "window is given by values"),
    "width": ((stft(window=("gaussian", 100.0)), POWER), 8000, "width in samples"),
    "matrix": (
        (
            stft(),
            POWER,
            stages.Filterbank(
                sample_rate=RATE, n_fft=640, n_bands=2, norm="slaney", matrix=np.ones((321, 2))
            ),
        ),
        8000,
        "matrix is given by values",
    ),
    "per_bin": (
        (stages.AdaptiveSTFT(n_fft=640, hop_length=320, win_length=400.0, per_bin=True), POWER),
        8000,
        "a window for each bin",
    ),
    "kernels": ((stages.FreeFilters(n_bands=4, taps=16),), 8000, "its filters are samples"),
    "basis": ((stages.BasisSTFT(n_fft=64), POWER), 8000, "its kernels are samples"),
    "octaves": (
        (stages.OctaveFilters(n_octaves=2, filters_per_octave=2, taps=8),),
        8000,
        "its octaves count",
    ),
    "pre-emphasis": ((stages.PreEmphasis(coef=0.97), stft()), 8000, "another filter"),
    "across": ((stft(), POWER, stages.DCT(n_out=13)), 8000, "dct: looks across channels"),
    "running across": (
        (stft(), POWER, stages.RunningNormalize(over="clip")),
        8000,
        "running_normalize: looks across channels",
    ),
    "level": (
        (stages.Beside(branches=(stages.Gammatone(**BANK, taps=160, hop_length=160, **ENERGY),)),),
        8000,
        "make the branch a FrontEnd",
    ),
    "energy": ((*FRAMES, stages.LogEnergy(amin=1e-6)), 8000, "another level"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    chain, rate, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        jaxspec.at_rate(FrontEnd(*chain, sample_rate=RATE), rate)


def test_wrong_arguments():
    frontend = FrontEnd(stft())
    with pytest.raises(ValueError, match="sample_rate must be given: no stage states it"):
        jaxspec.at_rate(frontend, 8000)
    frontend = FrontEnd(stft(), sample_rate=RATE)
    with pytest.raises(ValueError, match="sample_rate must be > 0"):
        jaxspec.at_rate(frontend, 0)
    with pytest.raises(ValueError, match="lengths must be one of"):
        jaxspec.at_rate(frontend, 8000, lengths="round")
    with pytest.raises(TypeError, match="frontend must be a FrontEnd, got a STFT"):
        jaxspec.at_rate(stft(), 8000)

    class Strange(stages.Abs):
        pass

    with pytest.raises(ValueError, match="how a Strange depends on the sample rate is not known"):
        jaxspec.at_rate(FrontEnd(stft(), POWER, Strange(), sample_rate=RATE), 8000)
    del jaxspec.stage._REGISTRY["Strange"]


def test_presets_or_a_reason():
    """Every preset gives as many frames of twice the rate, or says why it cannot."""
    reasons = ("cannot be had", "looks across", "by values", "must be given")
    found = []
    for name in sorted(jaxspec.presets.PRESETS):
        preset = jaxspec.presets.get(name)
        try:
            other = jaxspec.at_rate(preset, 2 * (preset.sample_rate or RATE))
        except ValueError as error:
            if not any(reason in str(error) for reason in reasons):
                raise
            continue
        n = round(preset.sample_rate)
        assert abs(int(other.length(2 * n)) - int(preset.length(n))) <= 1, name
        found.append(name)
    assert len(found) > len(jaxspec.presets.PRESETS) / 3
