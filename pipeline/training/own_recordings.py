"""Folder of own recordings to augment with: noises or impulse responses, in any tree of audio files.

Files are decoded when they are first drawn. One that cannot be used is reported once and left out: the next file in
the order of names takes its place, so what a draw gives depends on nothing but the files.
"""

import os
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from pipeline import audio
from pipeline.audio import Span
from pipeline.common import walk
from pipeline.config import SAMPLE_RATE_HZ, fingerprint
from pipeline.errors import AudioError, AudioFault, ConfigError

MOST_S = 60.0
"""Beginning of a recording that is used, in s: a whole one of an hour would take seconds to decode."""
KEPT = 64
"""Decoded recordings that are kept in memory, of 4 MB at most."""
BEFORE_S, TAIL_S, LEAST_ENERGY = 0.5, 1.0, 0.8
"""Seconds before and after the peak of an impulse response that are used, with the least share of its energy."""


def listing(folder: str, option: str) -> list[tuple[str, int]]:
    """Paths below a folder, and sizes in bytes, of all its audio files; raises ``ConfigError`` if there is none."""
    if not Path(folder).is_dir():
        raise ConfigError(f"--{option} {folder!r}: no such folder")
    paths = [path for path in walk.files(folder, []) if os.path.splitext(path)[1].lower() in audio.SUFFIXES]
    if not paths:
        raise ConfigError(f"--{option} {folder!r}: it holds no audio files; unpack them there, or drop the option")
    return sorted((os.path.relpath(path, folder), os.stat(path).st_size) for path in paths)


def digest(folder: str, option: str) -> str:
    """Fingerprint of the names and sizes of a folder's audio files; "" without a folder."""
    return fingerprint(listing(folder, option)) if folder else ""


class OwnRecordings:
    """Audio files of a folder, decoded to float32 ``[samples]`` at 16 kHz; may be used by several threads.

    Parameters
    ----------
    folder, option : folder, and the option that names it in messages.
    check : ``noise`` or ``response``: the part of a recording that is used; raises ``AudioError`` if it is of no use.

    Raises ``ConfigError`` if no file can be used.
    """

    def __init__(self, folder: str, option: str, check: Callable[[np.ndarray], np.ndarray]):
        self._folder, self._option, self._check = Path(folder), option, check
        self._names: Sequence[str] = [name for name, _ in listing(folder, option)]
        self._bad: dict[int, str] = {}
        self._lock = threading.Lock()
        self._decoded = lru_cache(KEPT)(self._decode)
        self.draw(np.random.default_rng(0))

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """A recording drawn at random."""
        first = int(rng.integers(len(self._names)))
        for offset in range(len(self._names)):
            samples = self._usable((first + offset) % len(self._names))
            if samples is not None:
                return samples
        raise ConfigError(
            f"--{self._option} {str(self._folder)!r}: none of its {len(self._names)} audio files can be used "
            f"({self._bad[first]})"
        )

    def _usable(self, index: int) -> np.ndarray | None:
        if index in self._bad:
            return None
        try:
            return self._decoded(index)
        except AudioError as error:
            with self._lock:
                if index not in self._bad:
                    self._bad[index] = str(error)
                    print(f"--{self._option}: {self._folder / self._names[index]} is left out: {error}", flush=True)
            return None

    def _decode(self, index: int) -> np.ndarray:
        beginning = audio.blocks(self._folder / self._names[index], mix=False, span=Span(end_s=MOST_S))
        # Channels of a response are places in the room: their mean is in none of them.
        return self._check(np.concatenate([block[:, 0] for block in beginning]))


def noise(samples: np.ndarray) -> np.ndarray:
    """Samples of a noise as they are; raises ``AudioError`` if they are silent."""
    if not samples.any():
        raise AudioError(AudioFault.SILENT, "it is silent")
    return samples


def response(samples: np.ndarray) -> np.ndarray:
    """Impulse response around its peak; raises ``AudioError`` for recordings with much energy elsewhere."""
    energy = np.square(noise(samples), dtype=np.float64)
    peak = int(np.argmax(energy))
    used = slice(max(peak - round(BEFORE_S * SAMPLE_RATE_HZ), 0), peak + round(TAIL_S * SAMPLE_RATE_HZ))
    if energy[used].sum() < LEAST_ENERGY * energy.sum():
        raise AudioError(AudioFault.UNREADABLE, f"it is no impulse response: it does not decay within {TAIL_S:g} s")
    return samples[used]
