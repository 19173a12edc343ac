"""Filters that sum a power spectrum into bands, used by the front ends and by the page's spectrogram.

They are pure numpy, as the page imports no TensorFlow.
"""

import numpy as np

from pipeline.config import SAMPLE_RATE_HZ


def mel(bins: int, n_mels: int, fmin_hz: float, fmax_hz: float) -> np.ndarray:
    """Mel filters ``[bins, n_mels]`` on Slaney's scale with his area normalisation, librosa's default."""
    import librosa

    n_fft = 2 * (bins - 1)
    filters = librosa.filters.mel(sr=SAMPLE_RATE_HZ, n_fft=n_fft, n_mels=n_mels, fmin=fmin_hz, fmax=fmax_hz)
    return np.ascontiguousarray(filters.T)


def mel_centres_hz(n_mels: int, fmin_hz: float, fmax_hz: float) -> np.ndarray:
    """Centre of each mel band ``[n_mels]``."""
    import librosa

    return librosa.mel_frequencies(n_mels=n_mels + 2, fmin=fmin_hz, fmax=fmax_hz)[1:-1]


def linear(bins: int, n_bands: int, fmin_hz: float, fmax_hz: float) -> np.ndarray:
    """Triangular filters ``[bins, n_bands]`` at equal distances, each column summing to 1.

    With ``n_bands=0`` every bin between the edges is a band.
    """
    frequency_hz = np.linspace(0, SAMPLE_RATE_HZ / 2, bins)
    if n_bands == 0:
        inside = (frequency_hz >= fmin_hz) & (frequency_hz <= fmax_hz)
        return np.eye(bins, dtype="float32")[:, inside]
    edges_hz = np.linspace(fmin_hz, fmax_hz, n_bands + 2)
    # A triangle spans at least two bins; a narrower one might hold no bin.
    half_hz = max(edges_hz[1] - edges_hz[0], frequency_hz[1])
    triangles = np.maximum(1 - np.abs(frequency_hz[:, None] - edges_hz[None, 1:-1]) / half_hz, 0)
    return (triangles / triangles.sum(axis=0)).astype("float32")
