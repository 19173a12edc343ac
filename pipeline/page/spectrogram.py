"""Spectrogram as a picture: the whole recording, of which the network sees windows, normalised."""

import numpy as np

from pipeline.audio import bands
from pipeline.config import FrontEndConfig
from pipeline.scoring.timeline import Pieces

RANGE_DB = 80.0
"""Range of the colours: levels further below the highest are drawn as the darkest."""


def picture(wave: np.ndarray, config: FrontEndConfig, *, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Levels ``[bands, columns]`` from 0 to 255, lowest band first, and the centre of each band in Hz.

    A column is a frame, or the loudest of several frames if there are more than ``columns``.
    """
    level_db = bands.in_db(wave, config)
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
        self._loudest += [bands.in_db(piece, self._config).max(axis=0) for piece in self._pieces.add(block)]

    def picture(self) -> tuple[np.ndarray, np.ndarray]:
        """As ``picture``, after all samples were added."""
        rest = [self._pieces.rest] if len(self._pieces.rest) else []
        last = [bands.in_db(piece, self._config).max(axis=0) for piece in rest]
        return _levels(np.stack(self._loudest + last), self._config)


def _levels(loudest: np.ndarray, config: FrontEndConfig) -> tuple[np.ndarray, np.ndarray]:
    """Levels and centres of the bands, of dB ``[columns, bands]``."""
    scaled = 1 + (loudest - loudest.max()) / RANGE_DB
    _, centres_hz = bands.filters(config)
    return np.rint(255 * np.clip(scaled, 0, 1)).astype(np.uint8).T.copy(), centres_hz
