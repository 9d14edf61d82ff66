"""Signals and error measures that the tests share. Signals are float64 NumPy arrays."""

import re

import numpy as np

SAMPLE_RATE = 16000


def t2(n=16000):
    """Two tones, 440 Hz and 3 kHz, the test signal of the recipes and of the goldens."""
    # In the order of goldens/make_torch.py: the rounding of the phase shows in float64.
    n = np.arange(n)
    low = 0.3 * np.sin(2 * np.pi * 440 * n / SAMPLE_RATE)
    return low + 0.1 * np.sin(2 * np.pi * 3000 * n / SAMPLE_RATE + 0.5)


def silence(n):
    return np.zeros(n)


def tone(frequency, n, *, amplitude=1.0, sample_rate=SAMPLE_RATE):
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(n) / sample_rate)


def chirp(n, *, start=50.0, stop=7500.0):
    """A sine whose frequency rises evenly from ``start`` to ``stop`` (Hz)."""
    time = np.arange(n) / SAMPLE_RATE
    slope = (stop - start) / time[-1]
    return 0.5 * np.sin(2 * np.pi * (start * time + 0.5 * slope * time**2))


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def energies(*shape, seed=0):
    """Non-negative features that span many orders of magnitude, as band energies do."""
    return np.exp(4 * np.random.default_rng(seed).standard_normal(shape) - 6)


def relative_max_error(mine, truth):
    """The largest difference, as a share of the largest value."""
    mine, truth = np.asarray(mine), np.asarray(truth)
    assert mine.shape == truth.shape, f"shapes differ: {mine.shape} and {truth.shape}"
    if not truth.size:
        return 0.0
    return float(np.max(np.abs(mine - truth)) / np.max(np.abs(truth)))


def relative_rms_error(mine, truth):
    """The root mean square of the difference, as a share of that of the values."""
    mine, truth = np.asarray(mine), np.asarray(truth)
    assert mine.shape == truth.shape, f"shapes differ: {mine.shape} and {truth.shape}"
    difference = mine.astype(np.result_type(truth, np.float64)) - truth
    return float(np.linalg.norm(difference) / np.linalg.norm(truth))


def collectives(compiled):
    """The kinds of traffic between devices in a compiled program."""
    kinds = (
        r"(all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter|collective-broadcast)"
    )
    return set(re.findall(kinds + r"(?:-start)?\(", compiled.as_text()))
