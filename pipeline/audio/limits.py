"""Bounds on the cost of decoding a file, checked before memory or time is spent on it."""

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline.errors import AudioError, AudioFault

Source = str | os.PathLike | bytes
"""A recording: its path, or the bytes of its file."""
MIN_RATE_HZ = 4000
"""Lower sample rates are taken for damage."""
OVERSHOOT = 4.0
"""Largest float sample that is clipped to full scale, 1; beyond it, an uncompressed file has another scale."""


@dataclass(frozen=True)
class Limits:
    """Bounds on one file.

    ``max_samples`` counts all channels, before resampling. ``set_by`` names for some limits what sets them, for errors.
    """

    max_bytes: float = math.inf
    max_s: float = math.inf
    max_channels: int = 32
    max_rate_hz: int = 384000
    max_samples: float = math.inf
    set_by: Mapping[str, str] = field(default_factory=dict)

    def _source(self, limit: str) -> str:
        return f" ({self.set_by[limit]})" if limit in self.set_by else ""

    def check_size(self, source: Source) -> None:
        """Raise ``AudioError`` if the file is missing, empty or too large."""
        try:
            size = len(source) if isinstance(source, bytes) else Path(source).stat().st_size
        except OSError as error:
            raise AudioError(AudioFault.UNREADABLE, f"{error.strerror or error}") from None
        if size == 0:
            raise AudioError(AudioFault.EMPTY, "the file has no bytes")
        if size > self.max_bytes:
            raise AudioError(
                AudioFault.TOO_LARGE,
                f"{size / 1e6:.1f} MB, at most {self.max_bytes / 1e6:g} MB are taken{self._source('max_bytes')}",
            )

    def check_layout(self, rate_hz: int, channels: int) -> None:
        """Raise ``AudioError`` for a sample rate or number of channels that is not taken."""
        if not MIN_RATE_HZ <= rate_hz <= self.max_rate_hz:
            raise AudioError(
                AudioFault.UNREADABLE,
                f"sample rate {rate_hz} Hz lies outside {MIN_RATE_HZ} to {self.max_rate_hz} Hz"
                f"{self._source('max_rate_hz')}",
            )
        if not channels:
            raise AudioError(AudioFault.UNREADABLE, "the header states 0 channels")
        if channels > self.max_channels:
            raise AudioError(
                AudioFault.UNREADABLE,
                f"{channels} channels, at most {self.max_channels} are taken{self._source('max_channels')}",
            )

    def within(self, read: Iterable[tuple[int, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
        """Pass on blocks ``[samples, channels]`` with their rates; raises ``AudioError`` once they are too long."""
        duration_s, samples = 0.0, 0
        for rate_hz, block in read:
            duration_s += len(block) / rate_hz
            samples += block.size
            if duration_s > self.max_s + 1e-6:
                raise AudioError(AudioFault.TOO_LONG, f"over {self.max_s:g} s{self._source('max_s')}")
            if samples > self.max_samples:
                raise AudioError(
                    AudioFault.TOO_LONG,
                    f"over {self.max_samples:g} samples in its {block.shape[1]} channels{self._source('max_samples')}",
                )
            yield rate_hz, block


DEFAULT_LIMITS = Limits()
