"""Spectrogram as a picture, in numpy: the bands of ``network.front_end``'s layers, without TensorFlow.

A test compares it to those layers. The network sees windows of it, normalised; the picture shows the whole recording
before normalisation.
"""

from functools import cache

import numpy as np

from pipeline.audio import band_filters
from pipeline.config import SAMPLE_RATE_HZ, FrontEndConfig
from pipeline.scoring.timeline import Pieces

RANGE_DB = 80.0
"""Range of the colours: levels further below the highest are drawn as the darkest."""
POWER_FLOOR = 1e-10
BLOCK_FRAMES = 2048


def kind(config: FrontEndConfig) -> str:
    """Kind of spectrogram: ``logspec`` if the network's bands are linear, else ``logmel``."""
    return "logspec" if config.front_end in ("logspec", "lfcc") else "logmel"


def bands_db(wave: np.ndarray, config: FrontEndConfig) -> np.ndarray:
    """Bands in dB ``[frames, bands]`` float32 of a recording ``[samples]``, frames centred, zeros around it."""
    padded = np.pad(wave, config.n_fft // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, config.n_fft)[:: config.hop_samples]
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(config.n_fft) / config.n_fft)).astype(np.float32)
    filters, _ = _bands(config)
    parts = []
    for first in range(0, len(frames), BLOCK_FRAMES):
        spectrum = np.fft.rfft(frames[first : first + BLOCK_FRAMES] * window)  # (frames, bins)
        power = spectrum.real**2 + spectrum.imag**2
        parts.append(10 * np.log10(np.maximum(power @ filters, POWER_FLOOR)).astype(np.float32))
    return np.concatenate(parts)


def picture(wave: np.ndarray, config: FrontEndConfig, *, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Levels ``[bands, columns]`` from 0 to 255, lowest band first, and the centre of each band in Hz.

    A column is a frame, or the loudest of several frames if there are more than ``columns``.
    """
    level_db = bands_db(wave, config)
    count = min(columns, len(level_db))
    edges = np.linspace(0, len(level_db), count + 1).astype(int)[:-1]
    return _levels(np.maximum.reduceat(level_db, edges, axis=0), config)


class Columns:
    """Picture of a recording that comes block by block; a column is the loudest frame of its own piece of time.

    Parameters
    ----------
    samples : of the whole recording.
    columns : most columns.
    """

    def __init__(self, samples: int, config: FrontEndConfig, columns: int):
        self._pieces = Pieces(max(config.hop_samples, -(-samples // columns)))
        self._config = config
        self._loudest: list[np.ndarray] = []

    def add(self, block: np.ndarray) -> None:
        """Add the next samples ``[samples]``."""
        self._loudest += [bands_db(piece, self._config).max(axis=0) for piece in self._pieces.add(block)]

    def picture(self) -> tuple[np.ndarray, np.ndarray]:
        """As ``picture``, after all samples were added."""
        rest = [self._pieces.rest] if len(self._pieces.rest) else []
        last = [bands_db(piece, self._config).max(axis=0) for piece in rest]
        return _levels(np.stack(self._loudest + last), self._config)


def _levels(loudest: np.ndarray, config: FrontEndConfig) -> tuple[np.ndarray, np.ndarray]:
    """Levels and centres of the bands, of dB ``[columns, bands]``."""
    scaled = 1 + (loudest - loudest.max()) / RANGE_DB
    _, centres_hz = _bands(config)
    return np.rint(255 * np.clip(scaled, 0, 1)).astype(np.uint8).T.copy(), centres_hz


@cache
def _bands(config: FrontEndConfig) -> tuple[np.ndarray, np.ndarray]:
    """Filters ``[bins, bands]`` and centres in Hz ``[bands]``."""
    bins, edges_hz = 1 + config.n_fft // 2, (config.fmin_hz, config.fmax_hz)
    if kind(config) == "logmel":
        return band_filters.mel(bins, config.n_mels, *edges_hz), band_filters.mel_centres_hz(config.n_mels, *edges_hz)
    filters = band_filters.linear(bins, config.n_bands, *edges_hz)
    return filters, np.linspace(0, SAMPLE_RATE_HZ / 2, bins) @ (filters / filters.sum(axis=0))
