"""Bands of a recording in dB, in numpy: those of ``network.front_end``'s layers, for pictures without TensorFlow.

A test compares them to those layers.
"""

from functools import cache

import numpy as np

from pipeline.audio import band_filters
from pipeline.config import SAMPLE_RATE_HZ, FrontEndConfig

POWER_FLOOR = 1e-10
BLOCK_FRAMES = 2048


def kind(config: FrontEndConfig) -> str:
    """Kind of spectrogram: ``logspec`` if the network's bands are linear, else ``logmel``."""
    return "logspec" if config.front_end in ("logspec", "lfcc") else "logmel"


def in_db(wave: np.ndarray, config: FrontEndConfig) -> np.ndarray:
    """Bands in dB ``[frames, bands]`` float32 of a recording ``[samples]``, frames centred, zeros around it."""
    padded = np.pad(wave, config.n_fft // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, config.n_fft)[:: config.hop_samples]
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(config.n_fft) / config.n_fft)).astype(np.float32)
    weights, _ = filters(config)
    parts = []
    for first in range(0, len(frames), BLOCK_FRAMES):
        spectrum = np.fft.rfft(frames[first : first + BLOCK_FRAMES] * window)  # (frames, bins)
        power = spectrum.real**2 + spectrum.imag**2
        parts.append(10 * np.log10(np.maximum(power @ weights, POWER_FLOOR)).astype(np.float32))
    return np.concatenate(parts)


@cache
def filters(config: FrontEndConfig) -> tuple[np.ndarray, np.ndarray]:
    """Filters ``[bins, bands]`` and centres in Hz ``[bands]``."""
    bins, edges_hz = 1 + config.n_fft // 2, (config.fmin_hz, config.fmax_hz)
    if kind(config) == "logmel":
        return band_filters.mel(bins, config.n_mels, *edges_hz), band_filters.mel_centres_hz(config.n_mels, *edges_hz)
    linear = band_filters.linear(bins, config.n_bands, *edges_hz)
    return linear, np.linspace(0, SAMPLE_RATE_HZ / 2, bins) @ (linear / linear.sum(axis=0))
