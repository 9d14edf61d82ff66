"""Make ``learnable_banks.npz``: speechbrain's trainable filterbank, its values and gradients.

The tests read only the ``.npz``. To make the file again, in a virtual environment of its own
(Python 3.11, CPU is enough; torch was the build ``2.13.0+cpu``)::

    pip install numpy==2.4.6 torch==2.13.0
    pip install --no-deps torchaudio==2.11.0 speechbrain==1.1.2
    pip install hyperpyyaml joblib sentencepiece scipy tqdm packaging huggingface_hub requests
    rm "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"/torchaudio/lib/*.so
    OMP_NUM_THREADS=1 python tests/goldens/make_learnable_banks.py

(``torchaudio``'s compiled extension is built against another torch; see ``make_torch.py``.)

``speechbrain.processing.features.Filterbank`` runs unchanged with torch's default dtype set to
float64, ``freeze=False``, ``param_change_factor=1`` and ``log_mel=False``. Its parameters are the
centre and the band of every filter over the sample rate: a filter is symmetric, a triangle falls
to 0 one band away from its centre, and a Gaussian has half a band as its standard deviation. Both
are moved off their start, so that no bin lies on a foot or a centre, where conventions decide.
"""

import importlib.metadata
import json
import pathlib

import numpy as np
import torch
from speechbrain.processing.features import Filterbank

torch.set_default_dtype(torch.float64)

SAMPLE_RATE, N_FFT, N_BANDS, F_MIN, F_MAX = 16000, 400, 20, 60, 7600


def main():
    """Write the file."""
    rng = np.random.default_rng(0)
    spectrum = np.exp(2 * rng.standard_normal((2, 5, N_FFT // 2 + 1)))
    cotangent = rng.standard_normal((2, 5, N_BANDS))
    shift = 1 + 0.03 * rng.standard_normal((2, N_BANDS))
    arrays = {"spectrum": spectrum, "cotangent": cotangent}
    for shape in ("triangular", "gaussian"):
        bank = Filterbank(
            n_mels=N_BANDS,
            log_mel=False,
            filter_shape=shape,
            f_min=F_MIN,
            f_max=F_MAX,
            n_fft=N_FFT,
            sample_rate=SAMPLE_RATE,
            param_change_factor=1.0,
            freeze=False,
        )
        for when in ("start", "moved"):
            if when == "moved":
                with torch.no_grad():
                    bank.f_central *= torch.tensor(shift[0])
                    bank.band *= torch.tensor(shift[1])
            bank.zero_grad()
            y = bank(torch.tensor(spectrum))
            (y * torch.tensor(cotangent)).sum().backward()
            key = f"{shape}.{when}"
            arrays[f"{key}.f_central"] = bank.f_central.detach().numpy().copy()
            arrays[f"{key}.band"] = bank.band.detach().numpy().copy()
            arrays[f"{key}.values"] = y.detach().numpy().copy()
            arrays[f"{key}.f_central.gradient"] = bank.f_central.grad.numpy().copy()
            arrays[f"{key}.band.gradient"] = bank.band.grad.numpy().copy()
    about = {
        "sample_rate": SAMPLE_RATE,
        "n_fft": N_FFT,
        "n_bands": N_BANDS,
        "f_min": F_MIN,
        "f_max": F_MAX,
        "versions": {
            name: importlib.metadata.version(name)
            for name in ("speechbrain", "torch", "torchaudio", "numpy")
        },
    }
    path = pathlib.Path(__file__).with_name("learnable_banks.npz")
    np.savez_compressed(path, about=np.array(json.dumps(about)), **arrays)
    print(path.name, path.stat().st_size, about)


if __name__ == "__main__":
    main()
