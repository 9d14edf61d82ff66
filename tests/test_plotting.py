"""Pictures: where cells and ticks lie, what the labels say and which values are drawn."""

import io
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

import jaxspec
from jaxspec import FrontEnd, plotting, stages
from jaxspec.presets import basic, get

RATE = 16000


def tone(hz, *, rate=RATE, seconds=0.5):
    return np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate).astype(np.float32)


def ticks(axis):
    """The place of every label."""
    labels = [text.get_text() for text in axis.get_ticklabels()]
    return dict(zip(labels, axis.get_ticklocs(), strict=True))


def brightest_row(ax):
    image = ax.images[0]
    return int(np.argmax(np.asarray(image.get_array()).mean(axis=1)))


def pixels(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=50)
    file.seek(0)
    return imread(file)


# Features.


def test_cells_reach_half_way_to_their_neighbours():
    ax = plotting.plot_features(np.zeros((5, 3)), times=0.1 + 0.01 * np.arange(5))
    np.testing.assert_allclose(ax.images[0].get_extent(), (0.095, 0.145, -0.5, 2.5))
    np.testing.assert_allclose((*ax.get_xlim(), *ax.get_ylim()), (0.095, 0.145, -0.5, 2.5))


def test_without_times_and_frequencies_frames_and_channels_are_counted():
    ax = plotting.plot_features(np.arange(12.0).reshape(4, 3), label="x")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("frame", "channel")
    assert ax.images[0].get_extent() == [-0.5, 3.5, -0.5, 2.5]
    assert all(place == round(place) for place in ax.get_yticks())


def test_the_image_holds_the_values_with_channels_upwards():
    values = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
    image = plotting.plot_features(values).images[0]
    assert image.origin == "lower"
    np.testing.assert_array_equal(image.get_array(), values.T)


def test_uneven_times_have_uneven_cells():
    ax = plotting.plot_features(np.zeros((3, 2)), times=[0.0, 1.0, 3.0])
    mesh = ax.collections[0]
    np.testing.assert_allclose(mesh.get_coordinates()[0, :, 0], [-0.5, 0.5, 2.0, 4.0])


def test_a_long_clip_is_averaged_in_time_and_keeps_its_extent():
    values = np.repeat(np.arange(16000.0)[:, None], 2, axis=1)
    ax = plotting.plot_features(values, times=np.arange(16000) * 0.01, label="x")
    image = ax.images[0]
    np.testing.assert_allclose(image.get_extent()[:2], (-0.005, 159.995))
    # Rows are repeated: see draw_cells.
    np.testing.assert_array_equal(image.get_array()[0], np.arange(8000) * 2 + 0.5)


def test_ticks_of_mel_bands_are_octaves_at_interpolated_rows():
    frontend = get("log_mel")
    hz = frontend.frequencies()
    ax = plotting.plot_frontend(frontend, tone(440)).axes[1]
    found = ticks(ax.yaxis)
    assert list(found) == ["125", "250", "500", "1k", "2k", "4k"]
    for label, place in found.items():
        tick = float(label.replace("k", "e3"))
        row = int(place)
        assert hz[row] <= tick <= hz[row + 1]
        assert hz[row] + (place - row) * (hz[row + 1] - hz[row]) == pytest.approx(tick)


def test_ticks_of_fft_bins_are_even_steps():
    hz = jaxspec.fft_frequencies(sample_rate=RATE, n_fft=512)
    found = ticks(plotting.plot_features(np.zeros((9, 257)), frequencies=hz).yaxis)
    assert found == {f"{k}k" if k else "0": pytest.approx(k * 32) for k in range(9)}


def test_ticks_of_a_narrow_range_are_even_steps():
    ax = plotting.plot_features(np.zeros((9, 11)), frequencies=np.arange(590, 700, 10))
    found = ticks(ax.yaxis)
    assert found == {f"{hz}": pytest.approx((hz - 590) / 10) for hz in range(600, 700, 20)}


def test_ticks_of_frequencies_out_of_order_are_those_of_their_rows():
    ax = plotting.plot_features(np.zeros((9, 3)), frequencies=[300.0, 200.0, 1000.0])
    assert ticks(ax.yaxis) == {"300": 0, "200": 1, "1000": 2}


def test_ticks_do_not_overlap_in_small_axes():
    figure = Figure(figsize=(4, 2), layout="constrained")
    ax = figure.subplots()
    hz = get("log_mel", sample_rate=48000).frequencies()
    plotting.plot_features(np.zeros((9, 80)), frequencies=hz, ax=ax)
    figure.draw_without_rendering()
    heights = ax.transData.transform([(0, place) for place in ax.get_yticks()])[:, 1]
    assert len(heights) >= 4
    # The digits of a font of 10 points are 7.3 points high.
    assert (np.diff(heights) * 72 / figure.dpi > 8).all()


@pytest.mark.parametrize("scale", ["slaney", "htk", "bark", "erb"])
def test_rows_may_lie_on_a_frequency_scale(scale):
    hz = jaxspec.fft_frequencies(sample_rate=RATE, n_fft=64)
    ax = plotting.plot_features(np.zeros((9, 33)), frequencies=hz, scale=scale)
    places = jaxspec.hz_to_scale(hz, scale=scale)
    edges = ax.collections[0].get_coordinates()[:, 0, 1]
    np.testing.assert_allclose(edges[1:-1], (places[1:] + places[:-1]) / 2)
    # Between bins of 250 Hz the tick is interpolated; these fall on bins.
    for label, tick in (("1k", 1000), ("2k", 2000), ("4k", 4000)):
        assert ticks(ax.yaxis)[label] == pytest.approx(jaxspec.hz_to_scale(tick, scale=scale))


@pytest.mark.parametrize(
    ("values", "label", "expected"),
    [
        (np.linspace(-200, 0, 200).reshape(100, 2), "dB", (-80, 0)),
        (np.linspace(-20, 0, 200).reshape(100, 2), "dB", (-20, 0)),
        (np.linspace(0, 100, 101)[:, None], "PCEN", (1, 99)),
        (np.full((3, 2), -100.0), "dB", (-101, -99)),
    ],
)
def test_range_of_colours(values, label, expected):
    image = plotting.plot_features(values, label=label).images[0]
    assert image.get_clim() == pytest.approx(expected)


def test_range_and_label_as_asked():
    ax = plotting.plot_features(np.zeros((3, 2)), label="sone", value_range=(-3, 7))
    assert ax.images[0].get_clim() == (-3, 7)
    assert ax.figure.axes[1].get_ylabel() == "sone"


def test_features_are_drawn_on_the_given_axes():
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert plotting.plot_features(np.zeros((3, 2)), ax=right) is right
    assert len(figure.axes) == 3
    assert not left.images


@pytest.mark.parametrize(
    ("features", "options", "message"),
    [
        (
            np.zeros((2, 3, 4)),
            {},
            r"features must have the shape \(frames, channels\).*\(2, 3, 4\)",
        ),
        (np.zeros((0, 4)), {}, r"neither of them 0, got features with shape \(0, 4\)"),
        (
            np.zeros((3, 4)),
            {"times": [0, 1]},
            r"times must hold one value for each of the 3 frames",
        ),
        (np.zeros((3, 4)), {"times": [0, 1, 1]}, "times must increase"),
        (np.zeros((3, 4)), {"frequencies": [1]}, "frequencies must hold one .* of the 4 channels"),
        (np.zeros((3, 4)), {"scale": "mel"}, "scale must be one of 'rows', .*got scale='mel'"),
        (np.zeros((3, 4)), {"scale": "bark"}, "frequencies must be given with scale='bark'"),
        (
            np.zeros((3, 2)),
            {"scale": "bark", "frequencies": [2, 1]},
            "frequencies must increase with scale='bark'",
        ),
    ],
)
def test_wrong_features(features, options, message):
    with pytest.raises(ValueError, match=message):
        plotting.plot_features(features, **options)


# Front-ends.


@pytest.mark.parametrize("name", basic.__all__)
def test_every_preset_has_a_picture(name):
    figure = plotting.plot_frontend(get(name), tone(1000), sample_rate=RATE, title="a $ b $")
    waveform, features, bar = figure.axes[:3]
    assert waveform.get_title() == "a $ b $"
    assert waveform.get_ylabel() == "amplitude"
    assert features.get_xlabel() == "time (s)"
    assert features.get_ylabel() == ("coefficient" if name == "mfcc" else "frequency (Hz)")
    assert bar.get_ylabel() == {"mfcc": "coefficient", "pcen": "PCEN"}.get(name, "dB")
    assert waveform.get_xlim() == features.get_xlim() == (0, 0.5)
    image = pixels(figure)
    assert image.shape[:2] == (275, 450)
    assert len(np.unique(image[..., 0])) > 50


@pytest.mark.parametrize("hz", [1000, 4000])
@pytest.mark.parametrize("name", ["spectrogram", "log_mel", "gammatone", "learnable_mel"])
def test_a_tone_is_brightest_at_its_tick(name, hz):
    ax = plotting.plot_frontend(get(name), tone(hz), sample_rate=RATE).axes[1]
    assert abs(brightest_row(ax) - ticks(ax.yaxis)[f"{hz // 1000}k"]) <= 0.75


def test_a_click_is_brightest_at_its_time():
    x = np.zeros(RATE, np.float32)
    x[4000] = 1
    image = plotting.plot_frontend(get("log_mel"), x).axes[1].images[0]
    left, right, _, _ = image.get_extent()
    values = np.asarray(image.get_array()).mean(axis=0)
    width = (right - left) / len(values)
    assert left + (np.argmax(values) + 0.5) * width == pytest.approx(0.25, abs=1e-6)
    assert width == pytest.approx(0.01)


def test_the_time_of_the_first_sample_moves_both_axes():
    x = tone(440, seconds=0.25)
    upper, lower, _ = plotting.plot_frontend(get("log_mel"), x, start=2.0).axes
    assert lower.get_xlim() == (2.0, 2.25)
    assert lower.images[0].get_extent()[0] == pytest.approx(1.995)
    assert upper.lines[0].get_xdata()[0] == 2.0


BANK = (
    stages.STFT(n_fft=512, hop_length=160),
    stages.Power(),
    stages.Filterbank(sample_rate=RATE, n_fft=512, n_bands=20),
)


@pytest.mark.parametrize(
    "compression",
    [
        (),
        (stages.Ln(),),
        (stages.Log10(),),
        (stages.PowerToDb(),),
        (stages.Log10(), stages.Lifter()),
    ],
)
def test_logarithms_of_power_are_drawn_in_db(compression):
    x = tone(700) + 0.1
    figure = plotting.plot_frontend(FrontEnd(*BANK, *compression), x)
    expected = FrontEnd(*BANK, stages.PowerToDb())(jnp.asarray(x))
    if len(compression) == 2:
        expected = jaxspec.lifter(expected, lifter=22)
    assert figure.axes[2].get_ylabel() == "dB"
    shown = np.asarray(figure.axes[1].images[0].get_array()).T
    np.testing.assert_allclose(shown, expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("compression", [(), (stages.Ln(amin=1e-5),), (stages.AmplitudeToDb(),)])
def test_logarithms_of_magnitude_are_drawn_in_db(compression):
    x = tone(700) + 0.1
    stft, _, bank = BANK
    frontend = FrontEnd(stft, stages.Power(exponent=1), bank, *compression)
    figure = plotting.plot_frontend(frontend, x)
    expected = 20 * np.log10(FrontEnd(*frontend.stages[:3])(jnp.asarray(x)))
    shown = np.asarray(figure.axes[1].images[0].get_array()).T
    floor = -100 if compression else -200
    assert figure.axes[2].get_ylabel() == "dB"
    np.testing.assert_allclose(shown, np.maximum(expected, floor), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize(
    ("compression", "label"),
    [
        ((stages.Root(),), "root"),
        ((stages.Log10(), stages.FloorFromMax(span=8), stages.Affine(scale=2)), "scaled log10"),
        ((stages.Ln(), stages.Normalize(), stages.ZeroFrames(last=1)), "normalised ln"),
        ((stages.Log1p(),), "log1p"),
        ((stages.PCEN(), stages.Ln()), "ln of PCEN"),
        ((stages.Root(), stages.Log10()), "log10 of root"),
        ((stages.Ln(), stages.DCT(n_out=5), stages.Deltas()), "coefficient"),
    ],
)
def test_other_features_keep_their_values_and_name(compression, label):
    frontend = FrontEnd(*BANK, *compression)
    figure = plotting.plot_frontend(frontend, tone(700))
    assert figure.axes[2].get_ylabel() == label
    shown = np.asarray(figure.axes[1].images[0].get_array()).T
    np.testing.assert_array_equal(shown, frontend(jnp.asarray(tone(700))))


@pytest.mark.parametrize("last", [(), (stages.Lifter(),), (stages.Lifter(), stages.Deltas())])
def test_coefficient_0_is_a_curve_of_its_own(last):
    frontend = FrontEnd(*get("mfcc").stages, *last)
    x = tone(700) * np.linspace(0, 1, RATE // 2, dtype=np.float32)
    figure = plotting.plot_frontend(frontend, x)
    expected = np.asarray(frontend(jnp.asarray(x)))
    upper, lower, _, curve = figure.axes
    np.testing.assert_allclose(curve.lines[0].get_ydata(), expected[:, 0], rtol=1e-6)
    np.testing.assert_allclose(curve.lines[0].get_xdata(), frontend.frame_times(len(expected)))
    # Not in the picture of the others, nor in the range of its colours.
    assert lower.get_ylim() == (0.5, expected.shape[1] - 0.5)
    assert lower.images[0].get_clim() == pytest.approx(np.percentile(expected[:, 1:], [1, 99]))
    assert (curve.get_ylabel(), lower.get_ylabel()) == ("coeff. 0", "coefficient")
    assert upper.get_xlim() == curve.get_xlim() == lower.get_xlim()
    figure.draw_without_rendering()
    places = [ax.get_position().y0 for ax in (upper, curve, lower)]
    assert places == sorted(places, reverse=True)


def test_a_single_coefficient_is_a_picture():
    figure = plotting.plot_frontend(FrontEnd(*BANK, stages.Ln(), stages.DCT(n_out=1)), tone(700))
    assert len(figure.axes) == 3
    assert figure.axes[1].get_ylabel() == "coefficient"
    assert figure.axes[1].get_ylim() == (-0.5, 0.5)


def test_trained_parameters_are_drawn():
    frontend = get("learnable_mel")
    params = frontend.init(jax.random.key(0))
    moved = jax.tree.map(lambda leaf: leaf + jnp.linspace(-1, 1, len(leaf)), params)
    start, trained = (
        plotting.plot_frontend(frontend, tone(1000), params=p).axes[1] for p in (None, moved)
    )
    hz = frontend.frequencies(moved)
    assert brightest_row(start) != brightest_row(trained)
    assert abs(brightest_row(trained) - np.argmin(np.abs(hz - 1000))) <= 1
    assert ticks(trained.yaxis)["1k"] == pytest.approx(np.interp(1000, hz, np.arange(40)))


def test_silence_has_a_picture():
    figure = plotting.plot_frontend(get("log_mel"), np.zeros(RATE))
    assert figure.axes[0].get_ylim() == (-1, 1)
    assert figure.axes[1].images[0].get_clim() == pytest.approx((-101, -99))


def test_a_long_waveform_is_drawn_by_its_range():
    x = np.zeros(30 * RATE, np.float32)
    x[100] = 0.5  # a single sample must not be lost
    figure = plotting.plot_frontend(get("log_mel"), x)
    assert not figure.axes[0].lines
    vertices = figure.axes[0].collections[0].get_paths()[0].vertices
    assert vertices[:, 1].max() == 0.5


def test_a_figure_is_used_and_returned():
    figure = Figure(layout="constrained")
    assert plotting.plot_frontend(get("log_mel"), tone(440), figure=figure) is figure
    assert len(figure.axes) == 3


@pytest.mark.parametrize(
    ("frontend", "x", "options", "message"),
    [
        (get("log_mel"), np.zeros((2, 800)), {}, r"one clip \(samples,\).*shape \(2, 800\)"),
        (FrontEnd(*BANK[:1]), np.zeros(800), {"sample_rate": RATE}, "from waveform to spectrum"),
        (FrontEnd(*BANK[:2]), np.zeros(800), {}, "sample_rate must be given"),
        (
            get("log_mel"),
            np.zeros(800),
            {"sample_rate": 8000},
            "that of the stages.*=8000 and 16000",
        ),
        (
            FrontEnd(stages.STFT(n_fft=512, center=False), *BANK[1:]),
            np.zeros(511),
            {},
            "x must be long enough for one frame, got 511 samples",
        ),
    ],
)
def test_wrong_clips(frontend, x, options, message):
    with pytest.raises(ValueError, match=message):
        plotting.plot_frontend(frontend, x, **options)


# The package.


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plotting.plot_features(np.zeros((3, 2))),
        lambda: plotting.plot_frontend(get("log_mel"), np.zeros(800)),
        lambda: plotting.plot_filterbank(np.zeros((9, 2)), sample_rate=RATE, n_fft=16),
        lambda: plotting.plot_window(np.ones(4)),
    ],
)
def test_missing_matplotlib_names_the_extra(monkeypatch, draw):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "jaxspec-audio\[plots\]"'):
        draw()
