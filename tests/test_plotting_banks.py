"""Pictures of filter banks and windows: the curves, and how far the centres moved."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspec
from jaxspec import plotting, stages

RATE = 16000


def ticks(axis):
    """The place of every label."""
    labels = [text.get_text() for text in axis.get_ticklabels()]
    return dict(zip(labels, axis.get_ticklocs(), strict=True))


# Filter banks.


def test_filterbank_curves_are_the_weights():
    weights = jaxspec.mel_filterbank(sample_rate=RATE, n_fft=512, n_mels=12)
    ax = plotting.plot_filterbank(weights, sample_rate=RATE, n_fft=512)
    assert len(ax.lines) == 12
    for line, band in zip(ax.lines, weights.T, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), band)
        np.testing.assert_array_equal(line.get_xdata(), np.arange(257) * 31.25)
    assert ax.get_xlim() == (0, 8000)
    assert ax.get_xlabel() == "frequency (Hz)"
    ax.figure.draw_without_rendering()
    assert "2k" in ticks(ax.xaxis)


def test_displacement_of_the_centres():
    bank = stages.Filterbank(
        sample_rate=RATE, n_fft=512, n_bands=10, shape="gaussian", layout="gaps"
    )
    start = bank.init(jax.random.key(0))
    trained = {**start, "gaps": jnp.linspace(-0.5, 0.5, 11)}
    figure = plotting.plot_filters_before_after(
        bank.weights(start),
        bank.weights(trained),
        sample_rate=RATE,
        n_fft=512,
        centers_before=bank.centers(start),
        centers_after=bank.centers(trained),
    )
    before, after, moved = figure.axes
    assert len(before.lines) == len(after.lines) == 10
    assert before.get_ylim() == after.get_ylim()
    np.testing.assert_array_equal(after.lines[3].get_ydata(), bank.weights(trained)[:, 3])
    points = moved.lines[-1]
    np.testing.assert_allclose(points.get_xdata(), bank.centers(start))
    np.testing.assert_allclose(
        points.get_ydata(), bank.centers(trained) - bank.centers(start), atol=1e-3
    )


def test_centres_default_to_the_mean_frequency():
    before, after = np.zeros((257, 2)), np.zeros((257, 2))
    before[[10, 20], [0, 1]] = 1
    after[[12, 20], [0, 1]] = 3
    figure = plotting.plot_filters_before_after(before, after, sample_rate=RATE, n_fft=512)
    points = figure.axes[2].lines[-1]
    np.testing.assert_allclose(points.get_xdata(), [312.5, 625])
    np.testing.assert_allclose(points.get_ydata(), [62.5, 0])
    figure.draw_without_rendering()


@pytest.mark.parametrize(
    ("before", "after", "options", "message"),
    [
        (
            np.ones((9, 2)),
            np.ones((8, 2)),
            {},
            r"after must have .* = \(9, n_bands\), got .*\(8, 2\)",
        ),
        (np.ones(9), np.ones((9, 2)), {}, r"before must have the shape .*\(9,\)"),
        (np.ones((9, 2)), np.ones((9, 3)), {}, "bands before must equal bands after"),
        (np.ones((9, 2)), np.ones((9, 2)), {"centers_after": [1]}, "centers_after must hold one"),
    ],
)
def test_wrong_filters(before, after, options, message):
    with pytest.raises(ValueError, match=message):
        plotting.plot_filters_before_after(before, after, sample_rate=RATE, n_fft=16, **options)


# Windows.


def test_window_in_time_and_frequency():
    window = jaxspec.window("hann", 400)
    left, right = plotting.plot_window(window, sample_rate=RATE).axes
    np.testing.assert_array_equal(left.lines[0].get_ydata(), window)
    np.testing.assert_allclose(left.lines[0].get_xdata(), np.arange(400) / 16)
    hz, db = right.lines[0].get_data()
    assert db[0] == 0
    # Hann falls to 1/2 one bin (40 Hz) from its middle, and its first side lobe to -31.5 dB.
    assert np.interp(40, hz, db) == pytest.approx(-6.02, abs=0.02)
    assert db[hz > 80].max() == pytest.approx(-31.5, abs=0.1)
    assert right.get_xlim() == (0, 640)


def test_window_without_a_rate_counts_samples_and_bins():
    figure = plotting.plot_window(np.ones(31))
    left, right = figure.axes
    assert (left.get_xlabel(), right.get_xlabel()) == ("sample", "bin")
    bins, db = right.lines[0].get_data()
    assert np.interp(1.43, bins, db) == pytest.approx(-13.2, abs=0.1)
    assert right.get_xlim() == (0, 15.5)
    assert left.get_ylim()[0] == 0
    figure.draw_without_rendering()


@pytest.mark.parametrize("values", [np.zeros(4), np.ones((2, 2)), []])
def test_wrong_windows(values):
    with pytest.raises(ValueError, match=r"window_values must have the shape \(samples,\)"):
        plotting.plot_window(values)


# A training run.


def _run(n=6):
    bank = stages.Filterbank(
        sample_rate=RATE, n_fft=512, n_bands=10, shape="gaussian", layout="gaps"
    )
    time = jnp.linspace(0, 1, n)[:, None]
    return bank, {"gaps": time * jnp.linspace(0, 2, 11), "widths": -time * jnp.ones(10)}


def test_run_shows_the_centres_over_the_steps():
    bank, history = _run()
    figure = plotting.plot_run(bank, history, steps=range(0, 60, 10), scale="linear")
    left, right = figure.axes
    assert len(left.lines) == 10
    for moment in (0, 5):
        params = jax.tree.map(lambda leaf, i=moment: leaf[i], history)
        drawn = [line.get_ydata()[moment] for line in left.lines]
        np.testing.assert_allclose(drawn, bank.centers(params), rtol=1e-6)
    assert left.lines[0].get_xdata().tolist() == [0, 10, 20, 30, 40, 50]
    assert left.get_xlim() == (0, 50)
    # The shades reach from where a band is at half its height to where it is so again.
    shade = left.collections[4].get_paths()[0].vertices
    last = shade[shade[:, 0] == 50][:, 1]
    weights = np.asarray(bank.weights(jax.tree.map(lambda leaf: leaf[-1], history)))[:, 4]
    inside = np.flatnonzero(weights >= 0.5 * weights.max()) * 31.25
    assert (last.min(), last.max()) == (inside[0], inside[-1])
    assert [line.get_label() for line in right.lines] == ["first", "last"]
    figure.draw_without_rendering()


def test_run_takes_a_list_and_the_scale_of_the_bank():
    bank, history = _run(3)
    moments = [jax.tree.map(lambda leaf, i=i: leaf[i], history) for i in range(3)]
    one, other = (plotting.plot_run(bank, h).axes[0] for h in (history, moments))
    assert one.get_xlabel() == "moment"
    for a, b in zip(one.lines, other.lines, strict=True):
        np.testing.assert_array_equal(a.get_ydata(), b.get_ydata())
    mel = jaxspec.hz_to_mel(np.asarray(bank.centers(moments[0]))[3])
    np.testing.assert_allclose(one.lines[3].get_ydata()[0], mel, rtol=1e-6)


def test_run_refuses_what_is_none():
    bank, history = _run()
    with pytest.raises(ValueError, match="two moments or more, got 1"):
        plotting.plot_run(bank, [bank.init(jax.random.key(0))])
    with pytest.raises(ValueError, match="steps must increase"):
        plotting.plot_run(bank, history, steps=[0, 1, 1, 2, 3, 4])
    with pytest.raises(ValueError, match="same number of moments"):
        plotting.plot_run(bank, history | {"gaps": jnp.zeros((3, 11))})
    with pytest.raises(ValueError, match="params must be those of Filterbank"):
        plotting.plot_run(bank, {"gaps": history["gaps"]})
    with pytest.raises(ValueError, match="scale must be"):
        plotting.plot_run(bank, history, scale="cents")
    with pytest.raises(ValueError, match="history must be finite"):
        plotting.plot_run(bank, history | {"gaps": jnp.nan * history["gaps"]})
    with pytest.raises(TypeError, match="bank must be a Filterbank"):
        plotting.plot_run(stages.Power(), history)
