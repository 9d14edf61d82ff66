"""Derivatives as a promise: finite for every finite input, and equal to float64 differences.

Every public function that takes a signal or features is in `FUNCTIONS`; a test fails if one is
missing. Cases A01 to A05 and A08 of the collection of public bug reports are at the end.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspec
from jaxspec import stages

SAMPLES = 1200
STFT = {"n_fft": 256, "hop_length": 100}
MEL = {"sample_rate": 16000, "n_mels": 20, **STFT}
KEY = jax.random.key(0)
POWERS = (0.3, 0.5, 1.0, 1.5, 2.0, 3.0)


def _noise(seed=0, samples=SAMPLES):
    return np.random.default_rng(seed).standard_normal(samples)


def _inputs():
    noise = _noise()
    return {
        "silence": np.zeros(SAMPLES),
        "half silence": np.concatenate([np.zeros(SAMPLES // 2), noise[: SAMPLES // 2]]),
        "DC": np.ones(SAMPLES),
        "impulse": np.eye(1, SAMPLES, 300)[0],
        "scaled by 1e-20": noise * 1e-20,
        "scaled by 1e-30": noise * 1e-30,
        "denormal": np.full(SAMPLES, 1e-42),
        "scaled by 1e15": noise * 1e15,
    }


def _bands(function):
    """`function` of the mel bands of a waveform."""
    return lambda x: function(jaxspec.mel_spectrogram(x, **MEL))


def _learnable(layout):
    frontend = jaxspec.FrontEnd(
        stages.PreEmphasis(),
        stages.STFT(**STFT),
        stages.Power(),
        stages.Filterbank(
            sample_rate=16000, n_fft=256, n_bands=12, shape="gaussian", layout=layout
        ),
        stages.PCEN(learn="all", n_bands=12),
    )
    params = frontend.init(jax.random.key(0), dtype=jnp.result_type(float))
    return lambda x: frontend.apply(params, x)


FUNCTIONS = {
    "preemphasis": jaxspec.preemphasis,
    "dither": lambda x: jaxspec.dither(x, key=jax.random.key(0), level=0.1),
    "random_gain": partial(jaxspec.random_gain, KEY, low=-6, high=6),
    "random_polarity": partial(jaxspec.random_polarity, KEY),
    "random_shift": partial(jaxspec.random_shift, KEY, max_shift=30),
    "random_crop": partial(jaxspec.random_crop, KEY, length=500),
    "add_noise": lambda x: jaxspec.add_noise(x, _noise(9).astype(x.dtype), snr=3.0),
    "mixup": lambda x: jnp.concatenate(
        jaxspec.mixup(KEY, x.reshape(4, 300), x.reshape(4, 300)[:, :7], alpha=1.0), axis=1
    ),
    "spec_augment": lambda x: jaxspec.spec_augment(KEY, x.reshape(40, 30), time_warp=5),
    "spec_augment mean": lambda x: jaxspec.spec_augment(KEY, x.reshape(40, 30), fill="mean"),
    "time_warp": lambda x: jaxspec.time_warp(KEY, x.reshape(60, 20), max_shift=10),
    "pad": partial(jaxspec.pad, before=30, after=40),
    "frame": partial(jaxspec.frame, frame_length=256, hop_length=100),
    "overlap_add": lambda x: jaxspec.overlap_add(x.reshape(12, 100), hop_length=30),
    "stft": lambda x: _parts(jaxspec.stft(x, **STFT)),
    "istft": lambda x: jaxspec.istft(jaxspec.stft(x, **STFT), **STFT),
    "magnitude": lambda x: jaxspec.magnitude(jaxspec.stft(x, **STFT)),
    # The phase itself jumps by a turn.
    "phase": lambda x: jnp.sin(1 + jaxspec.phase(jaxspec.stft(x, **STFT))),
    **{
        f"power {p}": lambda x, p=p: jaxspec.power(jaxspec.stft(x, **STFT), exponent=p)
        for p in POWERS
    },
    **{f"spectrogram {p}": partial(jaxspec.spectrogram, power=p, **STFT) for p in POWERS},
    **{f"mel_spectrogram {p}": partial(jaxspec.mel_spectrogram, power=p, **MEL) for p in POWERS},
    "apply_filterbank": _bands(lambda x: x),
    "ln clamp": partial(jaxspec.log_mel_spectrogram, **MEL),
    "ln add": _bands(partial(jaxspec.ln, floor="add")),
    "log10": _bands(jaxspec.log10),
    "power_to_db": _bands(jaxspec.power_to_db),
    "power_to_db max": _bands(partial(jaxspec.power_to_db, ref="max", top_db=60)),
    "amplitude_to_db": _bands(jaxspec.amplitude_to_db),
    "db_to_power": jaxspec.db_to_power,
    "db_to_amplitude": jaxspec.db_to_amplitude,
    "root": _bands(jaxspec.root),
    "root 0.1": _bands(partial(jaxspec.root, exponent=0.1)),
    "log1p": _bands(partial(jaxspec.log1p, scale=10)),
    "exponential_smoothing": _bands(
        lambda x: jaxspec.exponential_smoothing(x, smoothing=0.1, level=jnp.zeros(20, x.dtype))[0]
    ),
    "pcen": _bands(jaxspec.pcen),
    "pcen zeros": _bands(partial(jaxspec.pcen, start="zeros")),
    "pcen librosa": _bands(partial(jaxspec.pcen, start="librosa")),
    "pcen power 0": _bands(partial(jaxspec.pcen, power=0)),
    "pcen bias 0": _bands(partial(jaxspec.pcen, bias=0)),
    "pcen mix": _bands(partial(jaxspec.pcen, mix=(0.02, 0.1, 0.5))),
    "pcen taps": _bands(partial(jaxspec.pcen, mix=(0.02, 0.1, 0.5), taps=4)),
    "RunningNormalize": _bands(stages.RunningNormalize()),
    "RunningNormalize eps 0": _bands(stages.RunningNormalize(eps=0, over="clip", ddof=1)),
    "RunningNormalize exponential": _bands(
        lambda x: stages.RunningNormalize(
            memory="exponential", smoothing=0.2, mean=-5.0, deviation_start=3.0, weight=4
        )(jaxspec.ln(x))
    ),
    "log_offset": _bands(jaxspec.log_offset),
    "log_power_blend": _bands(jaxspec.log_power_blend),
    "log_power_blend -0.4": _bands(partial(jaxspec.log_power_blend, exponent=-0.4, offset=0.01)),
    "log_power_blend 0.9": _bands(partial(jaxspec.log_power_blend, exponent=0.9)),
    "dynamic_range": _bands(jaxspec.dynamic_range),
    "dynamic_range 0.1": _bands(partial(jaxspec.dynamic_range, power=0.1, offset=1e-3)),
    "log_tbn": _bands(jaxspec.log_tbn),
    "log_tbn append": _bands(partial(jaxspec.log_tbn, over_time="append")),
    "dct": _bands(jaxspec.dct),
    "lifter": _bands(partial(jaxspec.lifter, lifter=22)),
    "delta": _bands(jaxspec.delta),
    "delta interp": _bands(partial(jaxspec.delta, width=5, edge="interp")),
    "log_mel_spectrogram": partial(jaxspec.log_mel_spectrogram, log="db", top_db=80, **MEL),
    "mfcc": partial(jaxspec.mfcc, lifter=22, **MEL),
    "lfcc": partial(jaxspec.lfcc, sample_rate=16000, n_bands=20, n_lfcc=10, **STFT),
    "front-end, gaps": _learnable("gaps"),
    "front-end, free": _learnable("free"),
    "front-end, signed": _learnable("signed"),
    "front-end, scale": _learnable("scale"),
    "front-end, warp": _learnable("warp"),
}


def _parts(z):
    return jnp.stack([z.real, z.imag])


def _difference(along, step=1e-6):
    """The slope at 0 of a function of a number, by central differences of 4th order."""
    near, far = along(step) - along(-step), along(2 * step) - along(-2 * step)
    return (8 * near - far) / (12 * step)


def _weighted(function, x):
    """A scalar function: the outputs under fixed weights that favour none."""
    shape = jax.eval_shape(function, x).shape
    weights = np.cos(np.arange(np.prod(shape))).reshape(shape)
    return lambda x: jnp.sum(jnp.asarray(weights, x.dtype) * function(x))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_finite_for_every_finite_input(name):
    function = FUNCTIONS[name]
    inputs = {k: jnp.asarray(v, jnp.float32) for k, v in _inputs().items()}
    scalar = _weighted(function, inputs["DC"])
    direction = jnp.asarray(_noise(1), jnp.float32)

    @jax.jit
    def everything(x):
        gradient = jax.grad(scalar)
        return {
            "value": function(x),
            "gradient": gradient(x),
            "jvp": jax.jvp(function, (x,), (direction,))[1],
            "vmap of gradient": jax.vmap(gradient)(jnp.stack([x, direction])),
            "Hessian-vector product": jax.jvp(gradient, (x,), (direction,))[1],
        }

    for kind, x in inputs.items():
        for what, value in everything(x).items():
            assert np.isfinite(value).all(), f"{what} for {kind}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_equal_to_float64_differences(name):
    with jax.enable_x64(True):
        function = FUNCTIONS[name]
        if name.startswith("front-end"):  # its parameters were made in float32
            function = _learnable(name.rsplit(" ", 1)[1])
        x = jnp.asarray(0.3 * _noise(2) + 0.1)
        scalar = jax.jit(_weighted(function, x))
        direction = jnp.asarray(_noise(3))
        expected = _difference(lambda h: scalar(x + h * direction))
        gradient = jax.jit(jax.grad(scalar))
        got = jnp.vdot(gradient(x), direction)
        _, forward = jax.jvp(scalar, (x,), (direction,))
        scale = jnp.linalg.norm(gradient(x)) * jnp.linalg.norm(direction)
        assert scale > 0
        assert abs(got - expected) <= 1e-6 * scale
        assert abs(forward - expected) <= 1e-6 * scale

        # Second order: the product with the Hessian against differences of the gradient.
        product = jax.jvp(gradient, (x,), (direction,))[1]
        difference = _difference(lambda h: gradient(x + h * direction))
        size = max(float(jnp.linalg.norm(difference)), 1e-3 * float(scale))
        assert float(jnp.linalg.norm(product - difference)) <= 1e-5 * size


def test_every_public_function_of_a_signal_is_listed():
    # Functions of static arguments, of frequencies or of integers, and what is not a function.
    others = {
        "FrontEnd", "ISTFTStream", "Padded", "Reach", "Stage", "Stream", "Table",
        "apply_bucketed", "apply_filterbank", "apply_padded", "at_rate",
            "band_edges",
        "bark_to_hz", "bucket_length", "length_buckets",
        "check_nola", "dct_matrix", "erb_bandwidth", "erb_to_hz", "fft_frequencies", "filterbank",
        "frame_times", "hz_to_bark", "hz_to_erb", "hz_to_mel", "hz_to_octave", "hz_to_scale",
        "lifter_weights", "mel_filterbank", "mel_to_hz", "merge", "num_frames", "octave_to_hz",
        "parametrize", "pcm_to_float", "presets", "random_edges", "random_modulations",
        "samples_for_frames",
        "scale_to_hz", "smoothing_for_time_constant", "split", "stage_from_dict", "stage_types",
        "stages", "window",
    }  # fmt: skip
    tested = {name.split(" ")[0].rstrip(",") for name in FUNCTIONS} | {"ln", "spectrogram"}
    public = {
        name
        for name, value in vars(jaxspec).items()
        if getattr(value, "__module__", "").startswith("jaxspec.") and not name.startswith("_")
    }
    assert public - others - tested == set()


SCALES = ("slaney", "htk", "kaldi", "bark", "erb", "octave", "linear")


@pytest.mark.parametrize("scale", SCALES)
def test_scales_have_finite_derivatives(scale):
    with jax.enable_x64(True):
        f = jnp.asarray([50.0, 440.0, 999.0, 1001.0, 8000.0])

        def there(f):
            return jaxspec.hz_to_scale(f, scale=scale)

        def back(z):
            return jaxspec.scale_to_hz(z, scale=scale)

        slope = jax.vmap(jax.grad(there))(f)
        step = 1e-4
        assert np.allclose(slope, (there(f + step) - there(f - step)) / (2 * step), rtol=1e-6)
        assert np.allclose(jax.vmap(jax.grad(back))(there(f)) * slope, 1, rtol=1e-9)
        zero = 0.0 if scale != "octave" else 1e-3
        assert np.isfinite(jax.grad(there)(jnp.asarray(zero)))


@pytest.mark.parametrize("power", POWERS)
def test_gradient_with_respect_to_the_window(power):
    with jax.enable_x64(True):
        x = jnp.asarray(_noise(4))
        window = jnp.asarray(jaxspec.window("hann", 256))

        def loss(window):
            spectrum = jaxspec.stft(x, window=window, **STFT)
            y = jaxspec.istft(spectrum, window=window, **STFT)
            return jnp.sum(jaxspec.power(spectrum, exponent=power)) + jnp.sum(jnp.sin(y))

        gradient = jax.grad(loss)(window)
        assert np.isfinite(gradient).all()
        direction = jnp.asarray(_noise(5, 256)) * window
        expected = _difference(lambda h: loss(window + h * direction))
        assert np.isclose(jnp.vdot(gradient, direction), expected, rtol=1e-6)


@pytest.mark.parametrize("normalized", [None, "frame_length", "window", "magnitude"])
def test_window_gradient_knows_the_normalisation(normalized):
    with jax.enable_x64(True):
        x = jnp.asarray(_noise(4))
        window = jnp.asarray(jaxspec.window("hamming", 256))

        def loss(window):
            return jnp.sum(
                jaxspec.power(jaxspec.stft(x, window=window, normalized=normalized, **STFT))
            )

        gradient = jax.grad(loss)(window)
        if normalized in ("window", "magnitude"):  # the scale of the window does not matter
            assert abs(jnp.vdot(gradient, window)) <= 1e-9 * jnp.linalg.norm(gradient)
        else:  # the loss is of degree 2 in the window
            assert np.isclose(jnp.vdot(gradient, window), 2 * loss(window), rtol=1e-9)


def _tone(samples=16000):
    n = np.arange(samples)
    return 0.3 * np.sin(2 * np.pi * 440 * n / 16000) + 0.1 * np.sin(
        2 * np.pi * 3000 * n / 16000 + 0.5
    )


def test_a01_magnitude_of_silence():
    """The magnitude of exact silence has the gradient 0; elsewhere it is what it should be."""

    def loss(x):
        return jaxspec.spectrogram(x, n_fft=2048, power=1.0).sum()

    assert (jax.grad(loss)(jnp.zeros(22050)) == 0).all()
    # A little noise, for in bins that hold nothing but rounding the phase is random.
    x = np.concatenate([np.zeros(4096), _tone(4096) + 1e-3 * _noise(0, 4096)])
    gradient = jax.grad(loss)(jnp.asarray(x, jnp.float32))
    assert np.isfinite(gradient).all()
    with jax.enable_x64(True):
        at = jnp.asarray(x)
        for n in (4200, 5000, 6144, 7777):
            unit = jnp.zeros_like(at).at[n].set(1e-6)
            expected = (loss(at + unit) - loss(at - unit)) / 2e-6
            assert np.isclose(gradient[n], expected, rtol=1e-3, atol=1e-3 * np.abs(gradient).max())


@pytest.mark.parametrize("power", POWERS)
def test_a02_any_power_of_silence(power):
    """Fractional powers of silence: 0, with finite gradients."""

    def spectrogram(x):
        return jaxspec.spectrogram(x, n_fft=512, hop_length=128, power=power)

    silence = jnp.zeros(4096)
    assert (spectrogram(silence) == 0).all()
    assert np.isfinite(jax.grad(lambda x: spectrogram(x).sum())(silence)).all()


@pytest.mark.parametrize("scale", [1e-20, 1e-30])
def test_a03_tiny_inputs_do_not_underflow(scale):
    """The modulus of a tiny number is right, and so is its gradient: of modulus 1."""
    x = jnp.asarray(_tone() * scale, jnp.float32)
    spectrum = jaxspec.stft(x, n_fft=512)
    expected = np.abs(np.asarray(spectrum, np.complex128))
    assert np.allclose(jaxspec.magnitude(spectrum), expected, rtol=1e-6, atol=0)

    def of_parts(re, im):
        return jaxspec.magnitude(jax.lax.complex(re, im)).sum()

    d_re, d_im = jax.grad(of_parts, (0, 1))(spectrum.real, spectrum.imag)
    size = np.hypot(np.asarray(d_re), np.asarray(d_im))
    assert (size <= 1 + 1e-6).all()
    # Below the smallest normal float32 number a value may count as 0.
    assert np.allclose(size[expected > 1e-37], 1, rtol=1e-5)
    gradient = jax.grad(lambda x: jaxspec.spectrogram(x, n_fft=512, power=1.0).sum())(x)
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0.1


@pytest.mark.parametrize("floor", ["clamp", "add"])
def test_a04_log_spectral_loss_with_silence(floor):
    """A log-spectral distance is finite when either signal is silent, and 0 between two."""

    def log_mel(x):
        return jaxspec.log_mel_spectrogram(
            x, sample_rate=16000, n_fft=512, hop_length=128, n_mels=40, floor=floor
        )

    def loss(a, b):
        return jnp.abs(log_mel(a) - log_mel(b)).mean()

    silence, tone = jnp.zeros(8192), jnp.asarray(_tone(8192), jnp.float32)
    for a, b in [(silence, tone), (tone, silence), (silence, silence)]:
        value, gradients = jax.value_and_grad(loss, (0, 1))(a, b)
        assert np.isfinite(value)
        assert np.isfinite(gradients).all()
    assert loss(silence, silence) == 0


def test_a05_inverse_has_finite_gradients_at_its_ends():
    """Uncentred frames leave a sample with no window over it; its gradient is 0, not NaN."""
    options = {"n_fft": 512, "hop_length": 128, "center": False}
    x = jnp.sin(0.3 * jnp.arange(4096))
    window = jnp.asarray(jaxspec.window("hann", 512), jnp.float32)
    spectrum = jaxspec.stft(x, **options)

    def loss(x, window):
        spectrum = jaxspec.stft(x, window=window, **options)
        return jnp.sum(jaxspec.istft(spectrum, window=window, **options) ** 2)

    gradients = jax.grad(loss, (0, 1))(x, window)
    assert all(np.isfinite(g).all() for g in gradients)
    # The envelope of sample 1 is 1.4e-9, and it is reconstructed.
    y = jaxspec.istft(spectrum, **options)
    assert abs(y[1] - x[1]) < 3e-3
    assert y[0] == 0
    # `length` keeps what is left of the padding trimmed off, and win_length < n_fft works.
    short = {"n_fft": 512, "hop_length": 100, "win_length": 300}
    z = jaxspec.istft(jaxspec.stft(x, **short), length=4096, **short)
    assert z.shape == (4096,)
    assert np.abs(z - x).max() < 1e-5
    assert jaxspec.istft(spectrum, length=5000, **options).shape == (5000,)


@pytest.mark.parametrize("seed", range(3))
def test_a08_learned_pcen_stays_finite_under_rough_training(seed):
    """200 steps of plain gradient descent at rate 1, half the batch silent: nothing escapes."""
    pcen = stages.PCEN(learn="all", n_bands=8)
    params = pcen.init(jax.random.key(0))
    rng = np.random.default_rng(seed)
    energies = np.abs(rng.standard_normal((4, 30, 8))) ** 4 * 10.0 ** rng.uniform(-3, 3, (4, 1, 1))
    energies[:2] = 0
    x = jnp.asarray(energies, jnp.float32)
    weights = jnp.asarray(rng.standard_normal((30, 8)), jnp.float32)

    def loss(params, x):
        y = pcen.apply(params, x)
        return jnp.mean(weights * y) + jnp.mean((y - 1) ** 2)

    @jax.jit
    def step(params):
        gradients, of_x = jax.grad(loss, (0, 1))(params, x)
        return jax.tree.map(lambda p, g: p - g, params, gradients), (gradients, of_x)

    for _ in range(200):
        params, gradients = step(params)
        largest = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(gradients))
        assert largest < 1e6
    values = pcen.values(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((params, values)))
    assert ((values["gain"] >= 0) & (values["gain"] <= 1)).all()
    assert ((values["smoothing"] > 0) & (values["smoothing"] < 1)).all()
    assert (values["power"] > 0).all()
    assert (values["bias"] > 0).all()
    assert any(jnp.abs(leaf).max() > 0.1 for leaf in jax.tree.leaves(params))
