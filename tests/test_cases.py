"""Faults that audio libraries had, each with the numbers that are right.

The names are those of a collection of public bug reports: one test, or a few, for each.
"""

import math
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import noise, relative_max_error, silence, t2, tone

import jaxspec

pytestmark = pytest.mark.usefixtures("strict")

SR = 16000
x64 = pytest.mark.usefixtures("x64")


def f32(x):
    return jnp.asarray(np.asarray(x), jnp.float32)


def bank(n_mels, n_fft, *, sample_rate=SR, **options):
    return jaxspec.mel_filterbank(sample_rate=sample_rate, n_fft=n_fft, n_mels=n_mels, **options)


# Values that are not finite.


@pytest.mark.parametrize("scale", [1e-20, 1e-30])
def test_a03_magnitudes_of_tiny_spectra(scale):
    """Squares underflow long before the samples do; the modulus must not."""
    x = t2(4096) * scale
    mine = jaxspec.magnitude(jaxspec.stft(f32(x), n_fft=512, hop_length=160))
    whole = jaxspec.magnitude(jaxspec.stft(f32(t2(4096)), n_fft=512, hop_length=160))
    assert relative_max_error(np.asarray(mine, np.float64) / scale, whole) <= 1e-5


# Decibels.


def _loud_and_quiet():
    loud, quiet = tone(1000, 8000), tone(2000, 8000, amplitude=1e-4)
    return f32(np.stack([loud, quiet]))


DB = {"sample_rate": SR, "n_fft": 512, "hop_length": 160, "n_mels": 40, "top_db": 80.0}
HTK = {"mel_scale": "htk", "norm": None}


def test_a09_the_floor_in_decibels_belongs_to_one_clip():
    """A quiet clip keeps its range in the company of a loud one, whatever the leading axes."""
    both = _loud_and_quiet()
    decibels = jax.tree_util.Partial(jaxspec.log_mel_spectrogram, **DB, **HTK, log="db")
    alone = np.asarray(decibels(both[1]))
    assert alone.min() == pytest.approx(-100, abs=1e-4)
    assert alone.max() == pytest.approx(-36.5, abs=0.1)
    for together in (
        decibels(both)[1],
        decibels(both[:, None])[1, 0],
        decibels(both[None])[0, 1],
        jax.vmap(decibels)(both)[1],
    ):
        np.testing.assert_allclose(together, alone, atol=1e-3)
    # The maximum itself is above the floor of the loud clip, so a shared floor would show.
    assert np.asarray(decibels(both[0])).max() - 80 > alone.min() + 30


def test_a10_cepstra_and_references_belong_to_one_channel():
    """Neither the reference of 0 dB nor the range kept is shared between channels."""
    both = _loud_and_quiet()
    alone = jaxspec.mfcc(both[1], **DB)
    np.testing.assert_allclose(jaxspec.mfcc(both, **DB)[1], alone, atol=1e-3)
    powers = jaxspec.mel_spectrogram(both, **{k: v for k, v in DB.items() if k != "top_db"})
    relative = jaxspec.power_to_db(powers, ref="max", amin=1e-20)
    np.testing.assert_allclose(np.max(relative, axis=(1, 2)), [0, 0], atol=1e-5)


# Filterbanks.


@pytest.mark.parametrize(
    ("mel_scale", "n_fft", "n_mels", "empty"),
    [("htk", 400, 128, [0, 3, 6, 13]), ("htk", 256, 80, [0, 3]), ("slaney", 400, 128, [])],
)
def test_a11_bands_without_a_bin_are_named(mel_scale, n_fft, n_mels, empty):
    """Too many bands for the FFT leave some of them 0: a warning says which."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        matrix = bank(n_mels, n_fft, mel_scale=mel_scale, norm=None)
    assert np.flatnonzero(matrix.sum(axis=0) == 0).tolist() == empty
    assert len(caught) == bool(empty)
    if empty:
        assert f"bands {', '.join(map(str, empty))})" in str(caught[0].message)


def test_a12_an_upper_edge_below_half_the_sample_rate_is_kept():
    """The bands end at ``f_max`` and are not stretched over the whole axis."""
    matrix = bank(128, 2048, sample_rate=22050, f_max=8000.0, **HTK)
    assert matrix.shape == (1025, 128)
    assert np.flatnonzero(matrix.any(axis=1)).max() == 743
    assert not matrix[744:].any()


def test_a13_scales_and_norms_can_be_chosen():
    """The two mel scales and the norms in use, by their numbers."""
    hertz = [440.0, 1000.0, 4000.0, 8000.0]
    slaney = jaxspec.hz_to_mel(hertz, mel_scale="slaney")
    np.testing.assert_allclose(slaney, [6.6, 15, 35.16376, 45.24564], atol=5e-6)
    htk = jaxspec.hz_to_mel(hertz, mel_scale="htk")
    np.testing.assert_allclose(htk, [549.6387, 999.9855, 2146.0645, 2840.0230], atol=5e-5)
    for mel_scale, norm, total in [
        ("slaney", "slaney", 1.27933),
        ("slaney", None, 245.41649),
        ("htk", "slaney", 1.27807),
        ("htk", None, 246.89891),
        ("slaney", 1, 40),
        ("htk", 1, 40),
    ]:
        matrix = bank(40, 512, mel_scale=mel_scale, norm=norm)
        assert matrix.sum() == pytest.approx(total, abs=5.1e-6)


@pytest.mark.parametrize(
    ("options", "bands"),
    [
        ({}, {5: 24.8029, 4: 2.92097}),
        (HTK, {7: 1744.856, 6: 312.498, 26: 220.417}),
    ],
)
def test_a13_mel_bands_of_two_tones(options, bands):
    mels = jaxspec.mel_spectrogram(
        f32(t2()), sample_rate=SR, n_fft=512, hop_length=160, n_mels=40, **options
    )
    assert mels.shape == (101, 40)
    for band, value in bands.items():
        assert mels[50, band] == pytest.approx(value, rel=1e-5)


def test_a14_triangles_lean_and_add_up_to_one():
    """Each side of a triangle ends at a neighbour's centre; peaks between bins stay below 1."""
    matrix = bank(40, 512, **HTK)
    centres = jaxspec.band_edges(40, f_min=0, f_max=8000, scale="htk")[1:-1]
    hertz = jaxspec.fft_frequencies(sample_rate=SR, n_fft=512)
    between = (hertz >= centres[0]) & (hertz <= centres[-1])
    assert between.sum() == 238
    np.testing.assert_allclose(matrix[between].sum(axis=1), 1, atol=1e-12)
    assert matrix[:, 20].max() == pytest.approx(0.993017, abs=5e-7)


def test_a15_bins_lie_at_multiples_of_the_bin_width():
    """Neither odd sample rates nor odd FFT lengths move the bins."""
    assert jaxspec.fft_frequencies(sample_rate=11025, n_fft=512)[-1] == 5512.5
    odd = jaxspec.fft_frequencies(sample_rate=SR, n_fft=401)
    assert odd[-1] == pytest.approx(7980.0499, abs=5e-5)
    # What the stretched axis of other libraries would give is another bank.
    mine = bank(40, 401, **HTK)
    edges = jaxspec.band_edges(40, f_min=0, f_max=8000, scale="htk")
    stretched = np.linspace(0, 8000, 201)[:, None]
    rise = (stretched - edges[:-2]) / np.diff(edges)[:-1]
    fall = (edges[2:] - stretched) / np.diff(edges)[1:]
    other = np.maximum(np.minimum(rise, fall), 0)
    assert np.abs(mine - other).max() == pytest.approx(0.038, abs=1e-3)


@pytest.mark.parametrize("mel_scale", ["slaney", "htk"])
def test_a16_bands_above_half_the_sample_rate_are_refused(mel_scale):
    """They would be dead for ever."""
    with pytest.raises(ValueError, match=r"f_max=14000 and sample_rate=16000"):
        bank(64, 1024, f_min=50.0, f_max=14000.0, mel_scale=mel_scale)


def test_a17_kaldi_triangles_over_the_mel_scale():
    """Kaldi's bank by its numbers: the bin width is the sample rate over the FFT length."""
    matrix = bank(80, 512, mel_scale="kaldi", domain="scale", norm=None, f_min=20.0, f_max=8000.0)
    assert matrix.sum() == pytest.approx(250.7508, abs=1e-4)
    rows = [0, 10, 40, 79]
    sums = matrix.sum(axis=0)[rows]
    np.testing.assert_allclose(sums, [0.6397, 0.9809, 2.5760, 8.2908], atol=6e-5)
    assert matrix.argmax(axis=0)[rows].tolist() == [1, 10, 59, 248]
    np.testing.assert_allclose(matrix[:4, 0], [0, 0.503982, 0.135723, 0], atol=2e-6)
    assert not matrix[4:, 0].any()
    assert not matrix[-1].any()  # the bin at half the sample rate


# Frames.


@pytest.mark.parametrize(
    ("pad_mode", "sums"),
    [
        # librosa's last sum is 106: it mirrors the end about the wrong sample, as it cuts the clip
        # to the last n_fft // 2 samples before. 12 + … + 15 + 14 + … + 11 is 104.
        ("reflect", [16, 28, 60, 92, 104]),
        ("constant", [6, 28, 60, 92, 54]),
        ("edge", [6, 28, 60, 92, 114]),
    ],
)
def test_a18_frames_begin_where_they_should(pad_mode, sums):
    """Visible with a window of ones and padding that is not 0."""
    x = f32(np.arange(16))
    spectrum = jaxspec.stft(x, n_fft=8, hop_length=4, window="boxcar", pad_mode=pad_mode)
    np.testing.assert_allclose(spectrum[:, 0], sums, atol=1e-5)


@x64
@pytest.mark.parametrize("pad_mode", ["reflect", "constant", "edge", "symmetric", "wrap"])
@pytest.mark.parametrize("n_fft", [8, 9])
def test_a18_frames_of_every_hop_and_mode(n_fft, pad_mode):
    x = 1.0 + np.arange(21.0)
    padded = np.pad(x, n_fft // 2, mode=pad_mode)
    for hop in (1, 2, 3, n_fft // 2, n_fft):
        frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
        mine = jaxspec.stft(
            jnp.asarray(x), n_fft=n_fft, hop_length=hop, window="boxcar", pad_mode=pad_mode
        )
        assert relative_max_error(mine, np.fft.rfft(frames)) <= 1e-14


def test_a19_frames_are_counted_with_the_fft_length():
    """The rule of librosa and torch, also for windows shorter than the FFT."""
    count = {
        (n_fft, center): jaxspec.num_frames(2300, n_fft=n_fft, hop_length=100, center=center)
        for n_fft in (200, 400)
        for center in (True, False)
    }
    assert count == {(200, False): 22, (400, False): 20, (200, True): 24, (400, True): 24}
    for (n_fft, center), frames in count.items():
        options = {"n_fft": n_fft, "hop_length": 100, "win_length": 200, "center": center}
        assert jaxspec.stft(f32(noise(2300)), **options).shape[0] == frames
    # Hence a click in the first sample lies outside every window here.
    click = f32(np.eye(1, 2300)[0])
    spectrum = jaxspec.stft(click, n_fft=200, hop_length=100, win_length=100, center=False)
    assert not np.abs(spectrum).any()


def test_a20_the_number_of_frames_is_published():
    """Centred and whole frames of three clips."""
    clips = (224800, 121632, 143440)
    options = {"n_fft": 400, "hop_length": 160}
    assert [jaxspec.num_frames(n, **options) for n in clips] == [1406, 761, 897]
    whole = [jaxspec.num_frames(n, **options, center=False) for n in clips]
    assert whole == [1403, 758, 895]


def test_a23_uncentred_frames_add_no_padding():
    """Padding by hand and no centring is the same as centring."""
    x = f32(t2())
    by_hand = jaxspec.stft(
        jaxspec.pad(x, before=256, after=256), n_fft=512, hop_length=160, center=False
    )
    centred = jaxspec.stft(x, n_fft=512, hop_length=160)
    assert by_hand.shape == centred.shape == (101, 257)
    assert np.abs(by_hand - centred).max() < 1e-5


# Short clips.


@x64
@pytest.mark.parametrize("n", [1, 2, 5, 7, 200, 201])
def test_a24_clips_shorter_than_the_padding_are_mirrored_back_and_forth(n):
    """As NumPy does; values and gradients are defined down to one sample."""
    x = noise(n)
    mine = jaxspec.stft(jnp.asarray(x), n_fft=400, hop_length=160)
    assert mine.shape[0] == jaxspec.num_frames(n, n_fft=400, hop_length=160) == 1 + n // 160
    padded = np.pad(x, 200, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, 400)[::160]
    truth = np.fft.rfft(frames * jaxspec.window("hann", 400))
    assert relative_max_error(mine, truth) <= 1e-13
    gradient = jax.grad(lambda x: jaxspec.log_mel_spectrogram(x, **LOG_MEL).sum())(jnp.asarray(x))
    assert np.isfinite(gradient).all()


LOG_MEL = {"sample_rate": SR, "n_fft": 400, "hop_length": 160, "n_mels": 20}


def test_a24_an_empty_clip_is_refused():
    with pytest.raises(ValueError, match=r"time axis of x .* shape \(0,\)"):
        jaxspec.stft(f32([]), n_fft=400, hop_length=160)


def test_a25_a_clip_without_a_whole_frame_is_refused_with_its_numbers():
    """The count is 0 and can be asked for first; computing the features says what to do."""
    options = {"n_fft": 400, "hop_length": 160, "center": False}
    counts = [jaxspec.num_frames(n, **options) for n in (342, 399, 400, 559, 560)]
    assert counts == [0, 0, 1, 1, 2]
    with pytest.raises(ValueError, match="342 samples holds no frame of n_fft=400"):
        jaxspec.stft(f32(noise(342)), **options)
    assert jaxspec.stft(f32(noise(400)), **options).shape[0] == 1


# Windows.


def test_a26_the_periodic_window_is_not_the_symmetric_one():
    """Only the periodic Hann windows add up to 1."""
    eight = jaxspec.window("hann", 8)
    half = [0, 0.146447, 0.5, 0.853553, 1, 0.853553, 0.5, 0.146447]
    np.testing.assert_allclose(eight, half, atol=5e-7)
    five = jaxspec.window("hann", 5)
    np.testing.assert_allclose(five, [0, 0.345492, 0.904508, 0.904508, 0.345492], atol=5e-7)
    np.testing.assert_allclose(eight[:4] + eight[4:], 1, atol=1e-15)
    symmetric = jaxspec.window("hann", 8, periodic=False)
    np.testing.assert_allclose(
        symmetric[:4] + symmetric[4:], [0.950, 0.800, 0.800, 0.950], atol=5e-3
    )


def test_a27_a_window_longer_than_the_fft_is_refused():
    """Cutting it silently would lose most of the frame."""
    with pytest.raises(ValueError, match="win_length=1103 and n_fft=512"):
        jaxspec.stft(f32(noise(4000)), n_fft=512, hop_length=441, win_length=1103)
    with pytest.raises(ValueError, match="win_length=1103 and n_fft=512"):
        jaxspec.stages.STFT(n_fft=512, hop_length=441, win_length=1103)


# The inverse.


def _round_trip(x, *, length=None, **options):
    return jaxspec.istft(jaxspec.stft(f32(x), **options), **options, length=length)


def test_a28_one_unknown_sample_does_not_spoil_the_rest():
    """A Hann window sees nothing of the first sample, and everything else."""
    x = noise(2816)
    options = {"n_fft": 1024, "hop_length": 256, "center": False}
    assert jaxspec.num_frames(2816, **options) == 8
    y = np.asarray(_round_trip(x, **options))
    assert y.shape == (2816,)
    assert y[0] == 0
    assert np.abs(y - x)[1:2815].max() <= 3e-3
    assert np.abs(y - x)[512:-512].max() <= 1e-6


def test_a29_the_length_asked_for_is_the_length_returned():
    """Even where the last frame does not reach the end: the rest is 0."""
    x = noise(150079)
    y = np.asarray(_round_trip(x, n_fft=512, hop_length=320, length=150079))
    assert y.shape == (150079,)
    assert not y[-63:].any()
    assert np.abs(y - x)[:150010].max() <= 1e-4


@pytest.mark.parametrize("window", ["boxcar", "hann"])
def test_a30_the_overlap_is_divided_out(window):
    """The amplitude stays, for windows that add up to 4 as for those that add up to 1."""
    x = np.sin(np.arange(2048) / 100)
    y = _round_trip(x, n_fft=512, hop_length=128, window=window, length=2048)
    assert np.abs(y - x).max() < 1e-5


def test_a31_default_lengths():
    """Without a length: all samples the frames cover, less the padding."""
    x = noise(5119)
    options = {"n_fft": 4096, "hop_length": 1024}
    assert jaxspec.num_frames(5119, **options) == 5
    assert _round_trip(x, **options).shape == (4096,)
    y = _round_trip(x, **options, length=5119)
    assert y.shape == (5119,)
    assert np.abs(y - x).max() < 1e-5
    options = {"n_fft": 1024, "hop_length": 256, "center": False}
    assert jaxspec.num_frames(25600, **options) == 97
    assert _round_trip(noise(25600), **options).shape == (25600,)


def test_a32_leading_dimensions_with_a_window_shorter_than_the_fft():
    """One clip, a batch, and a batch of channels agree."""
    x = f32(noise(8, 2001))
    options = {"n_fft": 300, "hop_length": 150, "win_length": 201}
    spectra = jaxspec.stft(x, **options)
    grouped = jaxspec.stft(x.reshape(2, 4, -1), **options)
    single = np.stack([jaxspec.stft(clip, **options) for clip in x])
    np.testing.assert_allclose(grouped.reshape(spectra.shape), spectra, atol=1e-5)
    np.testing.assert_allclose(single, spectra, atol=1e-5)
    options["length"] = 2001
    back = jaxspec.istft(spectra, **options)
    np.testing.assert_allclose(
        jaxspec.istft(grouped, **options).reshape(back.shape), back, atol=1e-6
    )
    np.testing.assert_allclose([jaxspec.istft(s, **options) for s in spectra], back, atol=1e-6)
    np.testing.assert_allclose(back, x, atol=3e-6)


def test_a33_the_fft_length_cannot_be_guessed_from_the_bins():
    """1102 and 1103 samples both have 552 bins."""
    x = noise(44100)
    spectrum = jaxspec.stft(f32(x), n_fft=1103, hop_length=441)
    assert spectrum.shape == (100, 552)
    y = jaxspec.istft(spectrum, n_fft=1103, hop_length=441, length=44100)
    assert np.abs(y - x).max() < 1e-5
    guessed = jaxspec.istft(spectrum, n_fft=1102, hop_length=441, length=44100)
    assert np.abs(guessed - x).max() > 4
    with pytest.raises(TypeError, match="n_fft"):
        jaxspec.istft(spectrum, hop_length=441)
    with pytest.raises(ValueError, match="552"):
        jaxspec.istft(spectrum, n_fft=1104, hop_length=441)


# Dtypes.


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_a34_half_precision_is_computed_in_float32(dtype):
    """A power of 65536 is infinite in float16, and a floor of 1e-10 is 0."""
    x = jnp.asarray(np.asarray(tone(1000, 8000), np.float32)).astype(dtype)
    options = {"sample_rate": SR, "n_fft": 1024, "hop_length": 256, "n_mels": 40}
    peak = jaxspec.power(jaxspec.stft(x, n_fft=1024, hop_length=256))[15].max()
    assert peak == pytest.approx(65536, rel=2e-3)
    mine = jaxspec.log_mel_spectrogram(x, **options)
    assert mine.dtype == dtype
    wide = jaxspec.log_mel_spectrogram(x.astype(jnp.float32), **options)
    assert np.isfinite(mine.astype(jnp.float32)).all()
    # Half a unit in the last place of bfloat16 is 0.0625 at 16 to 32.
    limit = 0.05 if dtype == jnp.float16 else 0.0625
    assert np.abs(mine.astype(jnp.float32) - wide).max() <= limit
    quiet = jaxspec.log_mel_spectrogram(jnp.zeros(8000, dtype), **options)
    np.testing.assert_allclose(quiet.astype(jnp.float32), math.log(1e-10), rtol=4e-3)


def test_a35_float32_stays_float32():
    """No step widens the dtype, not even while float64 is allowed."""
    for allowed in (False, True):
        with jax.enable_x64(allowed):
            x = f32(noise(2000))
            spectrum = jaxspec.stft(x, n_fft=256, hop_length=100)
            assert spectrum.dtype == jnp.complex64
            assert jaxspec.istft(spectrum, n_fft=256, hop_length=100).dtype == jnp.float32
            options = {"sample_rate": SR, "n_fft": 256, "hop_length": 100, "n_mels": 20}
            assert jaxspec.log_mel_spectrogram(x, **options).dtype == jnp.float32
            assert jaxspec.mfcc(x, **options).dtype == jnp.float32


@x64
def test_a35_float64_is_float64():
    x = noise(2000)
    mine = jaxspec.stft(jnp.asarray(x), n_fft=256, hop_length=100)
    assert mine.dtype == jnp.complex128
    padded = np.pad(x, 128, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, 256)[::100]
    truth = np.fft.rfft(frames * jaxspec.window("hann", 256))
    assert relative_max_error(mine, truth) < 1e-12
    back = jaxspec.istft(mine, n_fft=256, hop_length=100)
    assert back.dtype == jnp.float64
    matrix = bank(20, 256)
    mels = jaxspec.mel_spectrogram(
        jnp.asarray(x), sample_rate=SR, n_fft=256, hop_length=100, n_mels=20
    )
    assert mels.dtype == jnp.float64
    assert relative_max_error(mels, np.abs(truth) ** 2 @ matrix) < 1e-12


# Cepstra, PCEN, pre-emphasis.


def test_a44_deltas_of_a_ramp():
    """The regression, with the edge rule stated, and no mixing of channels."""
    ramp = f32(np.stack([np.arange(5.0), np.arange(5.0), silence(5)], axis=1))
    for width, edge, values in [
        (3, "edge", [0.5, 1, 1, 1, 0.5]),
        (5, "edge", [0.5, 0.8, 1, 0.8, 0.5]),
        (5, "interp", [1, 1, 1, 1, 1]),
    ]:
        deltas = jaxspec.delta(ramp, width=width, edge=edge)
        np.testing.assert_allclose(deltas[:, 0], values, atol=1e-6)
        np.testing.assert_array_equal(deltas[:, 0], deltas[:, 1])
        assert not np.asarray(deltas[:, 2]).any()


def test_a45_cosine_transforms_and_lifters():
    """Which transform and which lifter is meant, by their numbers."""
    x = f32(np.arange(1, 9))[None]
    for dct_type, norm, values in [
        (2, "ortho", [12.727922, -6.442323, 0, -0.673455]),
        (2, None, [72, -25.769292, 0, -2.693819]),
        (3, "ortho", [9.937328, -8.797115, 3.750489, -2.948673]),
    ]:
        mine = jaxspec.dct(x, n_out=4, dct_type=dct_type, norm=norm)[0]
        np.testing.assert_allclose(mine, values, rtol=1e-6, atol=1e-5)
    kaldi = jaxspec.lifter_weights(4, lifter=22)
    np.testing.assert_allclose(kaldi, [1, 2.565463, 4.099058, 5.569565], atol=5e-7)
    librosa = jaxspec.lifter_weights(3, lifter=22, form="librosa")
    np.testing.assert_allclose(librosa, kaldi[1:], atol=1e-12)
    np.testing.assert_allclose(
        jaxspec.lifter(x[:, :4], lifter=22)[0], kaldi * [1, 2, 3, 4], rtol=1e-6
    )


def test_a45_cepstra_of_two_tones():
    mine = jaxspec.mfcc(f32(t2()), sample_rate=SR, n_fft=512, hop_length=160, n_mels=40)
    np.testing.assert_allclose(mine[50, :4], [-343.458, 39.8265, 28.5545, 53.4062], rtol=2e-5)


def test_a46_gain_control_does_not_start_with_a_burst():
    """A constant input is at its steady state from the first frame on; other starts are choices."""
    x = f32(np.full((50, 1), 3.0))
    np.testing.assert_allclose(jaxspec.pcen(x)[:, 0], 0.324238, atol=1e-6)
    # librosa's defaults.
    slow = {
        "smoothing": jaxspec.smoothing_for_time_constant(0.4, sample_rate=22050, hop_length=512)
    }
    assert jaxspec.pcen(x, start="zeros", **slow)[0, 0] == pytest.approx(2.9578, abs=5e-5)
    assert jaxspec.pcen(x, start="librosa", **slow)[0, 0] == pytest.approx(0.7541, abs=5e-5)
    given = jaxspec.pcen(x, level=jnp.full(1, 3.0, jnp.float32))
    np.testing.assert_allclose(given[:, 0], 0.324238, atol=1e-6)


def test_a47_the_first_sample_of_preemphasis():
    """Its rule is a choice, and the sample before the clip can be given."""
    ramp, ones = f32([1, 2, 3, 4]), f32(np.ones(4))
    for x, first, values in [
        (ramp, "zero", [1, 1.03, 1.06, 1.09]),
        (ramp, "replicate", [0.03, 1.03, 1.06, 1.09]),
        (ramp, "librosa", [1, 1.03, 1.06, 1.09]),
        (ones, "librosa", [2, 0.03, 0.03, 0.03]),
    ]:
        np.testing.assert_allclose(jaxspec.preemphasis(x, first=first), values, atol=1e-6)
    rest = jaxspec.preemphasis(ramp[2:], previous=ramp[1])
    np.testing.assert_allclose(rest, [1.06, 1.09], atol=1e-6)


# Normalisation of the spectrum.


@pytest.mark.parametrize(
    ("normalized", "peak"),
    [(None, 256), ("frame_length", 8.0), ("window", 13.0639), ("magnitude", 0.5)],
)
def test_a52_normalisations_have_names(normalized, peak):
    """A sine on a bin has the height that the word promises."""
    x = f32(tone(125, SR))
    spectrum = jaxspec.stft(x, n_fft=1024, hop_length=256, normalized=normalized)
    assert np.abs(spectrum[30, 8]) == pytest.approx(peak, rel=1e-5)


def test_a52_every_argument_changes_the_result():
    """No option is accepted and then forgotten on the way down."""
    x = f32(noise(4000))
    base = {"sample_rate": SR, "n_fft": 512, "hop_length": 160, "n_mels": 20, "log": "db"}
    changes = {
        "win_length": 400,
        "window": "hamming",
        "periodic": False,
        "center": False,
        "pad_mode": "constant",
        "normalized": "window",
        "power": 1.0,
        "f_min": 100.0,
        "f_max": 7000.0,
        "mel_scale": "htk",
        "norm": None,
        "domain": "scale",
        "log": "ln",
        "amin": 1.0,
        "top_db": 10.0,
        "n_mels": 21,
        "hop_length": 200,
        "n_fft": 500,
        "sample_rate": 22050,
    }
    before = np.asarray(jaxspec.log_mel_spectrogram(x, **base))
    for name, value in changes.items():
        after = np.asarray(jaxspec.log_mel_spectrogram(x, **(base | {name: value})))
        assert after.shape != before.shape or np.abs(after - before).max() > 1e-4, name
    added = jaxspec.log_mel_spectrogram(x, **(base | {"log": "ln", "floor": "add", "amin": 1.0}))
    clamped = jaxspec.log_mel_spectrogram(x, **(base | {"log": "ln", "amin": 1.0}))
    assert np.abs(added - clamped).max() > 1e-4
    cepstra = {key: value for key, value in base.items() if key != "log"}
    before = np.asarray(jaxspec.mfcc(x, **cepstra))
    for name, value in {
        "dct_type": 3,
        "dct_norm": None,
        "lifter": 22.0,
        "n_mfcc": 12,
        "top_db": 10.0,
    }.items():
        after = np.asarray(jaxspec.mfcc(x, **(cepstra | {name: value})))
        assert after.shape != before.shape or np.abs(after - before).max() > 1e-4, name
    kaldi = jaxspec.mfcc(x, **cepstra, lifter=22.0)
    librosa = jaxspec.mfcc(x, **cepstra, lifter=22.0, lifter_form="librosa")
    assert np.abs(kaldi - librosa).max() > 1e-4


# Front-ends of models.


WHISPER = jaxspec.presets.get("whisper_80", n_samples=None)


def test_a07_one_nan_stays_where_it_is():
    """One bad sample spoils the frames that see it, and no other frame or item."""
    damaged = t2().copy()
    damaged[8000] = np.nan
    both = f32(np.stack([damaged, t2()]))
    spoilt = ~np.isfinite(np.asarray(WHISPER(both))).all(axis=-1)
    assert np.flatnonzero(spoilt[0]).tolist() == [49, 50, 51]
    assert not spoilt[1].any()
    assert np.array_equal(WHISPER(both)[1], WHISPER(both[1:])[0])
    top_db = jaxspec.power_to_db(f32([[1.0, np.nan], [1e-12, 1.0]]), top_db=80)
    assert np.array_equal(top_db, [[0, np.nan], [-80, 0]], equal_nan=True)


def test_a21_features_of_whisper():
    y = np.asarray(WHISPER(f32(t2())))
    assert y.shape == (100, 80)
    assert y.mean() == pytest.approx(-0.51766, abs=1e-5)
    assert (y.min(), y.max()) == pytest.approx((-0.67272, 1.32728), abs=2e-5)
    assert y[50, [11, 10, 12, 9]] == pytest.approx(
        [1.327279, 1.237814, 1.182599, 1.048467], abs=2e-5
    )
    assert np.allclose(WHISPER(f32(silence(16000))), -1.5)
    # What others get wrong shows.
    zeros = np.abs(WHISPER.replace("stft", pad_mode="constant")(f32(t2())) - y)
    assert np.flatnonzero(zeros.max(axis=1) > 1e-3).tolist() == [0, 1, 99]
    assert zeros.max() == pytest.approx(0.347, abs=1e-3)
    symmetric = WHISPER.replace("stft", periodic=False)(f32(t2()))
    assert np.abs(symmetric - y).max() == pytest.approx(0.48, abs=0.01)


def test_a22_frames_and_their_number_agree():
    for samples, frames in ((799, 4), (800, 5), (801, 5)):
        assert WHISPER.length(samples) == frames
        assert len(WHISPER(f32(t2(samples)))) == frames
        assert WHISPER.length(jnp.asarray([samples])).tolist() == [frames]
        padded = jaxspec.apply_padded(WHISPER, {}, f32(t2(1600)), lengths=samples)
        assert padded.lengths == padded.mask.sum() == frames
    # An odd number of frames, two by two: the last one is left out, or filled up.
    for rest, frames in (("drop", 2), ("pad", 3)):
        stacked = jaxspec.FrontEnd(WHISPER, jaxspec.stages.Stack(n=2, rest=rest))
        padded = jaxspec.apply_padded(stacked, {}, f32(t2(1600)), lengths=800)
        assert padded.lengths == padded.mask.sum() == len(stacked(f32(t2(800)))) == frames


def test_a25_kaldi_gives_no_frame_for_a_clip_that_holds_none():
    """Kaldi's answer to a clip shorter than a window is an empty matrix of the right width."""
    snipped = jaxspec.presets.get("kaldi_fbank")
    mirrored = jaxspec.presets.get("kaldi_fbank", snip_edges=False)
    for samples, frames in ((342, 0), (399, 0), (400, 1), (559, 1), (560, 2)):
        assert snipped(f32(t2(samples))).shape == (frames, 80)
        assert snipped.length(samples) == frames
    for samples, frames in ((342, 2), (400, 3), (560, 4)):
        assert mirrored(f32(t2(samples))).shape == (frames, 80)


def test_a36_the_scale_of_kaldi_is_said_and_never_guessed():
    x = t2(8000)
    scaled = jaxspec.presets.get("kaldi_fbank", n_mels=23)
    plain = jaxspec.presets.get("kaldi_fbank", n_mels=23, scale=1)
    y = np.asarray(scaled(f32(x)))
    assert y.shape == (48, 23)
    assert y.mean() == pytest.approx(11.3812, abs=3e-4)
    assert y[20, [0, 3, 9, 20]] == pytest.approx([9.9068, 24.2496, 6.0036, 3.1901], abs=2e-3)
    assert np.allclose(plain(f32(x * 32768)), y, atol=1e-4)
    assert np.median(y - plain(f32(x))) == pytest.approx(20.7944, abs=2e-3)
    # A louder clip is louder: no data decides about the scale.
    assert np.median(scaled(f32(2 * x)) - y) == pytest.approx(2 * math.log(2), abs=1e-3)
    assert np.abs(scaled(f32(x + 0.25)) - y).max() < 0.01
    assert np.allclose(scaled(f32(silence(8000))), -15.942385, atol=1e-5)
    with pytest.raises(TypeError, match="pcm_to_float"):
        scaled(np.zeros(8000, np.int16))


def test_a37_noise_is_added_only_with_a_key():
    x = f32(t2(8000))
    frontend = jaxspec.presets.get("kaldi_fbank")
    assert np.array_equal(frontend(x), frontend(x))
    keys = jax.random.split(jax.random.key(0))
    level = 1 / 32768
    first, again, second = (jaxspec.dither(x, key=k, level=level) for k in (keys[0], *keys))
    assert np.array_equal(first, again)
    assert np.std(first - second) == pytest.approx(np.sqrt(2) * level, rel=0.05)
    assert not np.array_equal(frontend(first), frontend(second))
    gradient = jax.grad(lambda x: jaxspec.dither(x, key=keys[0], level=level).sum())(x)
    assert (gradient == 1).all()
    with pytest.raises(ValueError, match="key must be a JAX random key"):
        jaxspec.dither(x, key=None, level=level)
    with pytest.raises(TypeError, match="key"):
        jaxspec.dither(x, level=level)


def test_a41_kaldi_features_of_a_batch():
    """Every row of a batch is computed, and is what it is alone."""
    frontend = jaxspec.presets.get("kaldi_fbank", n_mels=23)
    batch = f32(np.stack([t2(), 0.1 * noise(16000), tone(440, 16000), silence(16000)]))
    alone = np.stack([frontend(x) for x in batch])
    assert alone.shape == (4, 98, 23)
    for y in (frontend(batch), jax.vmap(frontend)(batch), jax.jit(frontend)(batch)):
        assert np.allclose(y, alone, atol=1e-4)
    assert len({row.tobytes() for row in alone}) == 4


@pytest.mark.parametrize("ddof", [0, 1])
def test_a39_a_clip_of_one_frame_has_no_deviation(ddof):
    stage = jaxspec.stages.Normalize(ddof=ddof)
    constant, one = f32(np.full((50, 3), 3.0)), f32(np.arange(3.0)[None])
    for x in (one, constant):
        assert np.all(stage(x) == 0)
        assert np.isfinite(jax.grad(lambda x: stage(x).sum())(x)).all()

    def padded(x, n):
        return jaxspec.apply_padded(stage, {}, x, lengths=n).features

    for n in (0, 1):
        assert np.all(padded(constant.at[n:].set(np.nan), n) == 0)
        slope = jax.grad(lambda x, n=n: padded(x, n).sum())(constant.at[n:].set(np.nan))
        assert np.isfinite(slope).all()
    # Biased or not, as said.
    x = 3 + np.sin(np.arange(50.0))
    deviation = {0: 0.707762, 1: 0.714947}[ddof]
    y = jaxspec.stages.Normalize(ddof=ddof, eps=0)(f32(x[:, None]))[:, 0]
    assert np.allclose(y, (x - x.mean()) / deviation, atol=1e-5)


@pytest.mark.parametrize("pad_mode", ["constant", "reflect"])
def test_a40_padding_does_not_change_a_clip(pad_mode):
    stages = jaxspec.stages
    frontend = jaxspec.FrontEnd(
        stages.STFT(n_fft=512, hop_length=160, pad_mode=pad_mode), stages.Power(), stages.Ln(),
    )  # fmt: skip
    x = np.zeros(16000)
    x[:8000] = t2(8000)
    alone, longer = np.asarray(frontend(f32(x[:8000]))), np.asarray(frontend(f32(x)))
    differ = np.flatnonzero(np.abs(longer[:51] - alone).max(axis=1) > 0.1)
    assert differ.tolist() == ([] if pad_mode == "constant" else [49, 50])
    padded = jaxspec.apply_padded(frontend, {}, f32(x), lengths=8000)
    assert padded.lengths == len(alone) == 51
    assert np.allclose(padded.features[:51], alone, atol=1e-5)
    assert np.all(padded.features[51:] == 0)


def test_a40_statistics_are_those_of_the_clip():
    x = np.full(200, -11.5)
    x[:50] = 3 + np.sin(np.arange(50.0))
    assert x.mean() == pytest.approx(-7.874, abs=1e-3)
    stage = jaxspec.stages.Normalize(eps=0)
    y = jaxspec.apply_padded(stage, {}, f32(x[:, None]), lengths=50).features[:50, 0]
    assert np.allclose(y * 0.7078 + 3.0033, x[:50], atol=1e-3)


@pytest.mark.parametrize("n_fft", [400, 512])
def test_a56_real_and_reloaded_programs(n_fft):
    """pytorch/audio#3897: complex types block exports; a program without them gives the same."""
    from jaxspec.export import export

    stft, x = jaxspec.stages.STFT(n_fft=n_fft, hop_length=160), t2().astype(np.float32)[None]
    wanted = np.asarray(stft(x))
    exported = export(stft, {}, numbers="real")
    assert "complex<" not in exported.mlir_module()
    real, imag = exported.call(x)
    assert (
        np.abs(np.asarray(real) + 1j * np.asarray(imag) - wanted).max()
        <= 1e-4 * np.abs(wanted).max()
    )
    again = jax.export.deserialize(export(stft, {}).serialize())
    assert np.array_equal(again.call(x), jax.jit(stft)(x))
