"""Make ``torch.npz``: reference values of torch and torchaudio.

The tests read only the ``.npz``; torch and torchaudio are never needed to run them. To make the
file again, in a virtual environment of its own (Python 3.11, CPU is enough)::

    pip install torch==2.13.0 numpy
    pip install --no-deps torchaudio==2.11.0
    rm "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"/torchaudio/lib/*.so
    python tests/goldens/make_torch.py -o tests/goldens/torch.npz

The compiled extension of torchaudio 2.11.0 is built against another torch and fails to load; with
it deleted, torchaudio imports and uses its plain PyTorch code, which is all this script needs. A
CPU build of torch (``2.13.0+cpu``) made the committed file.

With ``--readme tests/goldens/README.md`` the table of keys in that file is rewritten too (the
part between the two ``make_torch`` marker comments; the rest of the file is kept).

Everything runs in float64 (it is also torch's default dtype meanwhile, so that the filterbanks
and DCT matrices, which torchaudio builds in the default dtype, are float64 as well), except the
keys that end in ``.f32``. Features are stored as (frames, channels); torch has (channels,
frames).

Large arrays are stored in part. The key ``meta``, read with ``json.loads(npz["meta"].item())``,
maps every partly stored key to ``shape`` (the whole array's shape) and ``index`` (one list of
indices for each axis, null for a whole axis, negative indices count from the end); ``select``
takes the same part of another array.
"""

import argparse
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchaudio
from numpy.typing import NDArray
from torchaudio import functional as F
from torchaudio import transforms as T

Array = NDArray[Any]
Index = Sequence[int] | None

SAMPLE_RATE = 16000
N_FFT, HOP, WIN = 512, 160, 400
N_MELS = 40
FLOOR = 1e-10

#: Frames that are stored of T2's large features: both padded ends and the middle.
T2_FRAMES = [0, 1, 2, 50, -2, -1]
#: Frames that are stored of V's large features: the ends, the edges of the exact zeros (samples
#: 5000 to 6999, so that frames 33 to 42 of n_fft 512, hop 160, window 400 see nothing else).
V_FRAMES = [0, 1, 2, 31, 32, 33, 37, 42, 43, 44, -2, -1]
#: Frames that are stored of deltas, whose edges are wider.
DELTA_FRAMES = [0, 1, 2, 3, 4, 29, 32, 35, 40, 44, -5, -4, -3, -2, -1]
#: (n_fft, hop, window) of the STFTs; one has an odd n_fft, one a short odd window.
STFT_SIZES = [(512, 160, 400), (400, 160, 400), (401, 100, 401), (300, 150, 201)]

BEGIN = "<!-- make_torch: begin -->"
END = "<!-- make_torch: end -->"


def two_tones() -> Array:
    """T2: two stationary sines, 1 s at 16 kHz."""
    n = np.arange(16000, dtype=np.float64)
    low = 0.3 * np.sin(2 * np.pi * 440 * n / SAMPLE_RATE)
    return low + 0.1 * np.sin(2 * np.pi * 3000 * n / SAMPLE_RATE + 0.5)


def voice() -> Array:
    """V: a gliding harmonic tone with noise and 2000 zeros in the middle, in float32."""
    size, zeros, ramp = 12000, slice(5000, 7000), 400
    n = np.arange(size, dtype=np.float64)
    phase = 2 * np.pi * np.cumsum(np.linspace(120.0, 180.0, size)) / SAMPLE_RATE
    tone = sum((np.sin(k * phase) / k for k in range(1, 21)), np.zeros(size))
    distance = np.minimum.reduce([n, size - 1 - n, np.where(n < 6000, 5000 - n, n - 6999)])
    envelope = np.sin(0.5 * np.pi * np.clip(distance / ramp, 0.0, 1.0)) ** 2
    out = 0.15 * envelope * tone + 1e-3 * np.random.default_rng(0).standard_normal(size)
    out[zeros] = 0.0
    rounded: Array = out.astype(np.float32)
    return rounded


def select(array: Array, index: Sequence[Index]) -> Array:
    """The part of ``array`` with the given indices along each axis (None keeps the axis)."""
    for axis, chosen in enumerate(index):
        if chosen is not None:
            kept = np.asarray(chosen) % array.shape[axis]
            array = np.take(array, kept, axis=axis)
    return np.array(array, order="C")


def every(size: int, step: int, edge: int = 1) -> list[int]:
    """Every ``step``-th index below ``size``, with the first and last ``edge`` in full."""
    return sorted({*range(0, size, step), *range(edge), *range(size - edge, size)})


def some_bins(n_fft: int) -> list[int]:
    """Every ninth bin, the last, and those around the two tones of T2."""
    peaks = [round(tone * n_fft / SAMPLE_RATE) for tone in (440, 3000)]
    around = {peak + step for peak in peaks for step in (-1, 0, 1)}
    return sorted({*every(n_fft // 2 + 1, 9), *around})


class Goldens:
    """Collects arrays, what made them, and which part of them is stored."""

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}
        self.meta: dict[str, dict[str, Any]] = {}
        self.rows: list[str] = []

    def put(
        self,
        key: str,
        value: torch.Tensor | Array,
        call: str,
        layout: str,
        index: Sequence[Index] = (),
    ) -> None:
        """Store ``value``, or the part of it at ``index``, and its line of the table."""
        if key in self.arrays:
            raise ValueError(f"{key} is there already")
        whole = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
        if whole.dtype.kind in "fc" and not np.isfinite(whole).all():
            raise ValueError(f"{key} is not finite")
        part = select(whole, index)
        self.arrays[key] = part
        shape = str(part.shape)
        if part.shape != whole.shape:
            padded = [*index, *[None] * (whole.ndim - len(index))]
            self.meta[key] = {"shape": list(whole.shape), "index": padded}
            shape += f" of {whole.shape}"
        dtype = {"S": "bytes", "U": "str"}.get(part.dtype.kind, part.dtype.name)
        self.rows.append(f"| `{key}` | {call} | {shape} | {dtype} | {layout} |")

    def table(self) -> str:
        """The Markdown table with one line per key."""
        head = "| key | made by | stored shape | dtype | layout |\n|---|---|---|---|---|\n"
        return head + "\n".join(self.rows) + "\n"


def as_tensor(array: Array) -> torch.Tensor:
    """A float64 tensor with a copy of ``array``."""
    return torch.from_numpy(array.astype(np.float64))


def mel_transform(mel_scale: str, norm: str | None, power: float, dtype: torch.dtype) -> Any:
    """The MelSpectrogram of the goldens, with its window in ``dtype``."""
    return T.MelSpectrogram(
        **mel_kwargs(dtype, mel_scale=mel_scale, norm=norm, power=power), sample_rate=SAMPLE_RATE
    )


def mel_kwargs(dtype: torch.dtype, **more: Any) -> dict[str, Any]:
    """Keyword arguments of MelSpectrogram without the sample rate (melkwargs of MFCC)."""
    sizes = {"n_fft": N_FFT, "win_length": WIN, "hop_length": HOP, "n_mels": N_MELS}
    return {**sizes, "pad_mode": "reflect", "wkwargs": {"dtype": dtype}, **more}


def log_mel(mel: torch.Tensor) -> torch.Tensor:
    """Natural logarithm with a floor, as (frames, channels)."""
    return torch.log(torch.clamp(mel, min=FLOOR)).transpose(-1, -2)


def put_windows(goldens: Goldens) -> None:
    """Window functions at an even and an odd length."""
    makers: dict[str, tuple[Callable[..., torch.Tensor], str, dict[str, float]]] = {
        "hann": (torch.hann_window, "", {}),
        "hamming": (torch.hamming_window, "", {}),
        "blackman": (torch.blackman_window, "", {}),
        "bartlett": (torch.bartlett_window, "", {}),
        "kaiser": (torch.kaiser_window, ", beta=12.0", {"beta": 12.0}),
    }
    for name, (make, shown, extra) in makers.items():
        for periodic, kind in ((True, "periodic"), (False, "symmetric")):
            for size in (8, 5):
                goldens.put(
                    f"window.{name}.{kind}.{size}",
                    make(size, periodic=periodic, dtype=torch.float64, **extra),
                    f"`torch.{name}_window({size}, periodic={periodic}{shown})`",
                    "(samples,)",
                )


def put_stft(goldens: Goldens, t2: torch.Tensor, v: torch.Tensor) -> None:
    """torch.stft in every padding mode, and torch.istft."""
    for sizes in STFT_SIZES:
        n_fft, hop, win = sizes
        name = "{}.{}.{}".format(*sizes)
        window = torch.hann_window(win)
        shown = f"n_fft={n_fft}, hop_length={hop}, win_length={win}, window=hann_window({win})"
        some = some_bins(n_fft)

        def transform(
            x: torch.Tensor,
            center: bool,
            pad_mode: str,
            sizes: tuple[int, int, int] = sizes,
            window: torch.Tensor = window,
        ) -> torch.Tensor:
            return torch.stft(
                x, *sizes, window=window, center=center, pad_mode=pad_mode, return_complex=True
            )

        # Interior frames do not depend on the padding, so they are stored once.
        for pad_mode, frames in (
            ("reflect", T2_FRAMES),
            ("constant", [0, 1, -1]),
            ("replicate", [0, 1, -1]),
        ):
            whole = sizes == STFT_SIZES[0] and pad_mode == "reflect"
            goldens.put(
                f"stft.{name}.{pad_mode}.t2",
                transform(t2, True, pad_mode).T,
                f'`torch.stft(T2, {shown}, center=True, pad_mode="{pad_mode}")`',
                "(frames, bins)",
                (frames, None if whole else some),
            )
        goldens.put(
            f"stft.{name}.uncentered.t2",
            transform(t2, False, "reflect").T,
            f"`torch.stft(T2, {shown}, center=False)`",
            "(frames, bins)",
            ([0, 50, -1], some),
        )
        goldens.put(
            f"stft.{name}.reflect.v",
            transform(v, True, "reflect").T,
            f'`torch.stft(V, {shown}, center=True, pad_mode="reflect")`',
            "(frames, bins)",
            ([0, 2, -1], some),
        )

    window = torch.hann_window(WIN)
    shown = f"n_fft={N_FFT}, hop_length={HOP}, win_length={WIN}, window=hann_window({WIN})"
    spectrum = torch.stft(t2, N_FFT, HOP, WIN, window=window, return_complex=True)
    # An STFT that no signal has: what istft makes of it depends on its exact weighting.
    low = spectrum.clone()
    low[40:] = 0
    for key, value, what, length in (
        ("istft.t2", spectrum, "", 16000),
        ("istft.lowpass.t2", low, ", with its bins 40 and up set to 0", 16000),
        ("istft.lowpass.short.t2", low, ", with its bins 40 and up set to 0", 15950),
    ):
        out = torch.istft(value, N_FFT, HOP, WIN, window=window, center=True, length=length)
        goldens.put(
            key,
            out,
            f"`torch.istft(S, {shown}, center=True, length={length})`, S: `torch.stft(T2, ...)` "
            f"with the same arguments and reflect padding{what}",
            "(samples,)",
            (every(length, 61, 100),),
        )


def put_spectrograms(goldens: Goldens, t2: torch.Tensor, v: torch.Tensor) -> None:
    """Spectrogram of torchaudio with its three normalizations and three powers."""
    some = some_bins(N_FFT)
    norms: tuple[bool | str, ...] = (False, True, "frame_length")
    for normalized in norms:
        for power in (2.0, 1.0, 0.5):
            spec = T.Spectrogram(N_FFT, WIN, HOP, power=power, normalized=normalized)
            same = T.Spectrogram(N_FFT, WIN, HOP, power=power, normalized="window")
            if normalized is True and not torch.equal(spec(t2), same(t2)):
                raise AssertionError('normalized=True is not normalized="window"')
            name = normalized if isinstance(normalized, str) else ("none", "window")[normalized]
            shown = (
                f"n_fft={N_FFT}, win_length={WIN}, hop_length={HOP}, power={power}, "
                f"normalized={normalized!r}"
            )
            for label, x, frames in (("t2", t2, T2_FRAMES), ("v", v, V_FRAMES)):
                if label == "v" and normalized is not False:
                    continue
                whole = label == "t2" and normalized is False and power == 2.0
                goldens.put(
                    f"spectrogram.{name}.power{power:g}.{label}",
                    spec(x).T,
                    f"`T.Spectrogram({shown})({label.upper()})`",
                    "(frames, bins)",
                    (frames, None if whole else some),
                )


def put_filterbanks(goldens: Goldens) -> None:
    """Mel and linear filterbanks and DCT matrices."""
    for mel_scale in ("htk", "slaney"):
        for norm in (None, "slaney"):
            goldens.put(
                f"melscale_fbanks.{mel_scale}.{norm or 'none'}",
                F.melscale_fbanks(257, 0.0, 8000.0, N_MELS, SAMPLE_RATE, norm, mel_scale),
                f"`F.melscale_fbanks(n_freqs=257, f_min=0.0, f_max=8000.0, n_mels={N_MELS}, "
                f'sample_rate={SAMPLE_RATE}, norm={norm!r}, mel_scale="{mel_scale}")`',
                "(bins, channels)",
            )
    goldens.put(
        "linear_fbanks",
        F.linear_fbanks(257, 0.0, 8000.0, N_MELS, SAMPLE_RATE),
        f"`F.linear_fbanks(n_freqs=257, f_min=0.0, f_max=8000.0, n_filter={N_MELS}, "
        f"sample_rate={SAMPLE_RATE})`",
        "(bins, channels)",
    )
    for norm in ("ortho", None):
        goldens.put(
            f"create_dct.{norm or 'none'}",
            F.create_dct(13, N_MELS, norm),
            f"`F.create_dct(n_mfcc=13, n_mels={N_MELS}, norm={norm!r})`",
            "(channels, coefficients)",
        )


def put_mels(goldens: Goldens, t2: torch.Tensor, v: torch.Tensor) -> None:
    """Mel spectrograms, their logarithms in float64 and float32, decibels and deltas."""
    for label, x, frames in (("t2", t2, T2_FRAMES), ("v", v, V_FRAMES)):
        for mel_scale, norm in (("htk", None), ("slaney", "slaney")):
            name = f"{mel_scale}.{norm or 'none'}"
            shown = (
                f"sample_rate={SAMPLE_RATE}, n_fft={N_FFT}, win_length={WIN}, hop_length={HOP}, "
                f'n_mels={N_MELS}, power=2.0, pad_mode="reflect", mel_scale="{mel_scale}", '
                f"norm={norm!r}"
            )
            mel = mel_transform(mel_scale, norm, 2.0, torch.float64)(x)
            goldens.put(
                f"mel.{name}.{label}",
                mel.T,
                f"`T.MelSpectrogram({shown})({label.upper()})`",
                "(frames, channels)",
                (frames, None),
            )
            # V's is whole for htk: it is the input of the deltas.
            whole = label == "v" and mel_scale == "htk"
            goldens.put(
                f"log_mel.{name}.{label}",
                log_mel(mel),
                f"`log(clamp(mel, min=1e-10))` of `mel.{name}.{label}`",
                "(frames, channels)",
                () if whole else (frames, None),
            )
            torch.set_default_dtype(torch.float32)
            single = log_mel(mel_transform(mel_scale, norm, 2.0, torch.float32)(x.float()))
            torch.set_default_dtype(torch.float64)
            goldens.put(
                f"log_mel.{name}.{label}.f32",
                single,
                f"as `log_mel.{name}.{label}`, all in float32 (input rounded to float32)",
                "(frames, channels)",
                (frames, None),
            )
            worst = float((single.double() - log_mel(mel)).abs().max())
            print(f"log_mel.{name}.{label}: float32 is off by at most {worst:.3g}")

        power = mel_transform("htk", None, 2.0, torch.float64)(x)
        magnitude = mel_transform("htk", None, 1.0, torch.float64)(x)
        for stype, mel in (("power", power), ("magnitude", magnitude)):
            for top_db in (None, 80.0):
                goldens.put(
                    f"decibel.{stype}.{'none' if top_db is None else 'top80'}.{label}",
                    T.AmplitudeToDB(stype, top_db)(mel).T,
                    f'`T.AmplitudeToDB("{stype}", top_db={top_db})` of the whole MelSpectrogram '
                    f"(htk, None) with power={2.0 if stype == 'power' else 1.0}",
                    "(frames, channels)",
                    (frames, None),
                )
    logs = log_mel(mel_transform("htk", None, 2.0, torch.float64)(v)).T
    for win_length in (3, 5, 9):
        goldens.put(
            f"deltas.{win_length}.v",
            F.compute_deltas(logs, win_length=win_length).T,
            f'`F.compute_deltas(x, win_length={win_length}, mode="replicate")` along time, '
            "x: `log_mel.htk.none.v`",
            "(frames, channels)",
            (DELTA_FRAMES, None),
        )


def put_cepstra(goldens: Goldens, t2: torch.Tensor, v: torch.Tensor) -> None:
    """MFCC and LFCC."""
    sizes = f"n_fft={N_FFT}, win_length={WIN}, hop_length={HOP}"
    for label, x, frames in (("t2", t2, T2_FRAMES), ("v", v, V_FRAMES)):
        for log_mels in (False, True):
            mfcc = T.MFCC(SAMPLE_RATE, 13, log_mels=log_mels, melkwargs=mel_kwargs(torch.float64))
            goldens.put(
                f"mfcc.{'log' if log_mels else 'db'}.{label}",
                mfcc(x).T,
                f'`T.MFCC(sample_rate={SAMPLE_RATE}, n_mfcc=13, dct_type=2, norm="ortho", '
                f"log_mels={log_mels}, melkwargs=dict({sizes}, n_mels={N_MELS}))"
                f"({label.upper()})` (mel_scale htk, norm None; "
                + ("log(mel + 1e-6))" if log_mels else "dB with top_db 80)"),
                "(frames, coefficients)",
                (frames, None),
            )
        lfcc = T.LFCC(
            SAMPLE_RATE,
            n_filter=N_MELS,
            n_lfcc=13,
            speckwargs={"n_fft": N_FFT, "win_length": WIN, "hop_length": HOP},
        )
        goldens.put(
            f"lfcc.db.{label}",
            lfcc(x).T,
            f"`T.LFCC(sample_rate={SAMPLE_RATE}, n_filter={N_MELS}, n_lfcc=13, dct_type=2, "
            f'norm="ortho", log_lf=False, speckwargs=dict({sizes}))({label.upper()})` '
            "(dB with top_db 80)",
            "(frames, coefficients)",
            (frames, None),
        )


def put_emphasis(goldens: Goldens, t2: torch.Tensor, v: torch.Tensor) -> None:
    """Pre-emphasis and de-emphasis."""
    for label, x in (("t2", t2), ("v", v)):
        index = (every(len(x), 97, 50),)
        name = label.upper()
        goldens.put(
            f"preemphasis.{label}",
            F.preemphasis(x, 0.97),
            f"`F.preemphasis({name}, coeff=0.97)`",
            "(samples,)",
            index,
        )
        goldens.put(
            f"deemphasis.{label}",
            F.deemphasis(x, 0.97),
            f"`F.deemphasis({name}, coeff=0.97)`, which clips its output to [-1, 1]",
            "(samples,)",
            index,
        )
        quiet = F.deemphasis(0.05 * x, 0.97)
        if float(quiet.abs().max()) >= 1.0:
            raise AssertionError("the quiet de-emphasis is clipped")
        goldens.put(
            f"deemphasis.quiet.{label}",
            quiet,
            f"`F.deemphasis(0.05 * {name}, coeff=0.97)`, quiet enough not to be clipped",
            "(samples,)",
            index,
        )


def put_gradients(goldens: Goldens, t2: torch.Tensor, v: torch.Tensor) -> None:
    """Gradients with respect to the waveform."""
    mel_htk = mel_transform("htk", None, 2.0, torch.float64)
    for seed, (label, x) in enumerate((("t2", t2), ("v", v)), start=1):
        wave = x.clone().requires_grad_()
        mel = mel_htk(wave)
        nearest = float((torch.log(mel.detach().clamp(min=1e-300)) - math.log(FLOOR)).abs().min())
        print(f"gradient.log_mel.{label}: nearest log mel to the floor is {nearest:.3g} from it")
        # Multiples of 1/8: exact in every dtype, and small in the file.
        shape = (mel.shape[1], mel.shape[0])
        weights = np.random.default_rng(seed).integers(-16, 17, shape) / 8.0
        goldens.put(
            f"gradient.weights.{label}",
            weights,
            f"R: `default_rng({seed}).integers(-16, 17, {shape}) / 8`",
            "(frames, channels)",
        )
        (log_mel(mel) * as_tensor(weights)).sum().backward()
        if wave.grad is None:
            raise AssertionError("no gradient")
        goldens.put(
            f"gradient.log_mel.{label}",
            wave.grad,
            f"gradient of `sum(log(clamp(mel, min=1e-10)) * R)` with respect to {label.upper()}, "
            f"mel: the whole of `mel.htk.none.{label}`, R: `gradient.weights.{label}`",
            "(samples,)",
            (every(len(x), 31, 200),),
        )
    wave = t2.clone().requires_grad_()
    T.Spectrogram(N_FFT, N_FFT, HOP, power=1.0)(wave).sum().backward()
    if wave.grad is None:
        raise AssertionError("no gradient")
    goldens.put(
        "gradient.magnitude.t2",
        wave.grad,
        f"gradient of `sum(T.Spectrogram(n_fft={N_FFT}, win_length={N_FFT}, hop_length={HOP}, "
        "power=1.0)(T2))` with respect to T2",
        "(samples,)",
        (every(len(t2), 31, 200),),
    )


def make() -> Goldens:
    """All goldens."""
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    goldens = Goldens()
    stored = voice()
    goldens.put("voice", stored, "V: `voice()` of the script", "(samples,)")
    t2, v = as_tensor(two_tones()), as_tensor(stored)
    put_windows(goldens)
    put_stft(goldens, t2, v)
    put_spectrograms(goldens, t2, v)
    put_filterbanks(goldens)
    put_mels(goldens, t2, v)
    put_cepstra(goldens, t2, v)
    put_emphasis(goldens, t2, v)
    put_gradients(goldens, t2, v)
    versions = {
        "torch": str(torch.__version__),
        "torchaudio": str(torchaudio.__version__),
        "numpy": np.__version__,
    }
    goldens.put("versions", np.array(json.dumps(versions)), "versions, a JSON string", "()")
    goldens.put(
        "meta",
        np.array(json.dumps(goldens.meta).encode()),
        "which parts are stored, JSON in ASCII bytes",
        "()",
    )
    return goldens


def check(path: Path, goldens: Goldens) -> None:
    """Read the file again and compare it with what was meant to be in it."""
    with np.load(path, allow_pickle=False) as loaded:
        if set(loaded.files) != set(goldens.arrays):
            raise AssertionError("the keys differ")
        for key, array in goldens.arrays.items():
            back = loaded[key]
            if back.dtype != array.dtype or not np.array_equal(back, array):
                raise AssertionError(f"{key} differs")
        for key, meta in json.loads(loaded["meta"].item()).items():
            shape = tuple(
                size if chosen is None else len(chosen)
                for size, chosen in zip(meta["shape"], meta["index"], strict=True)
            )
            if shape != loaded[key].shape:
                raise AssertionError(f"{key} and its meta differ")
    print(f"{path.name}: {len(goldens.arrays)} keys, {path.stat().st_size} bytes")


def write_table(path: Path, table: str) -> None:
    """Replace the table between the markers in the README."""
    text = path.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, marker, tail = rest.partition(END)
    if not marker:
        raise SystemExit(f"{path.name} lacks the lines {BEGIN} and {END}")
    path.write_text(f"{head}{BEGIN}\n{table}{END}{tail}", encoding="utf-8")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Make the goldens of torch and torchaudio.")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the .npz to write")
    parser.add_argument("--readme", type=Path, help="the README.md whose table to rewrite")
    args = parser.parse_args()
    goldens = make()
    np.savez_compressed(args.output, allow_pickle=False, **goldens.arrays)
    check(args.output, goldens)
    if args.readme is not None:
        write_table(args.readme, goldens.table())


if __name__ == "__main__":
    main()
