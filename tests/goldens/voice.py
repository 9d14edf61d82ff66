"""A synthetic voice: the signals that the goldens of presets were made from and are compared on.

Both the scripts that make goldens and the tests call `signals`, so that no waveform is stored. The
samples are rounded to 16 bits, which makes them the same wherever they are computed. Only NumPy is
needed.
"""

import numpy as np

__all__ = ["SECONDS", "signals"]

SECONDS = 2.0
# Hz of the first three formants of the vowels, spoken one after the other.
_VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (570, 840, 2410), (300, 870, 2240))
_WIDTHS = (80.0, 110.0, 160.0)
_HIGHEST_HZ = 7600.0


def signals(sample_rate):
    """The three signals of a sample rate, float64 in [-1, 1): name to ``(samples,)``.

    - ``"speech"``: two seconds of vowels with a gliding pitch, and hissing consonants;
    - ``"odd"``: the same, 123 samples longer;
    - ``"gap"``: ``"speech"`` with one second of digital silence in the middle.
    """
    n = round(SECONDS * sample_rate)
    odd = _voice(n + 123, sample_rate)
    speech = odd[:n]
    gap = speech.copy()
    gap[n // 4 : n // 4 + sample_rate] = 0
    return {"speech": speech, "odd": odd, "gap": gap}


def _voice(n, sample_rate):
    time = np.arange(n) / sample_rate
    pitch = 130 + 35 * np.sin(2 * np.pi * 0.7 * time) - 15 * time
    turns = np.cumsum(pitch) / sample_rate
    place = np.clip(time / SECONDS * len(_VOWELS) - 0.5, 0, len(_VOWELS) - 1)
    formants = [
        np.interp(place, np.arange(len(_VOWELS)), [vowel[i] for vowel in _VOWELS]) for i in range(3)
    ]
    voiced = np.zeros(n)
    for harmonic in range(1, int(_HIGHEST_HZ / 80)):
        hertz = harmonic * pitch
        gain = sum(
            1 / (1 + ((hertz - f) / width) ** 2) for f, width in zip(formants, _WIDTHS, strict=True)
        )
        gain *= np.clip((_HIGHEST_HZ - hertz) / 500, 0, 1) * (hertz < 0.45 * sample_rate)
        voiced += gain / harmonic**0.5 * np.sin(2 * np.pi * harmonic * turns + harmonic**2)
    syllables = np.sin(np.pi * 2.5 * time) ** 2
    hiss = np.diff(np.random.default_rng(7).random(n + 1)) * (1 - syllables) ** 4
    x = 0.25 * syllables * voiced / np.abs(voiced).max() * 2 + 0.05 * hiss
    x += 2e-4 * (np.random.default_rng(8).random(n) - 0.5)  # the room
    return np.round(np.clip(x, -0.99, 0.99) * 32768) / 32768
