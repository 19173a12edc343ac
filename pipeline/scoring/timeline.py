"""The score of a recording over time, block by block: memory stays bounded for any length.

Used by ``analyse`` and the page. One ``Scorer`` takes one channel: a window every ``hop_s``, the probability of
speech in every chunk, and the outline of the waveform.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.audio import speech
from pipeline.config import SAMPLE_RATE_HZ
from pipeline.scoring import spoofed_segments
from pipeline.scoring.detector import BATCH_WINDOWS, MIN_SPEECH_S, Detector, ScoredWindows
from pipeline.scoring.model_folders import ModelFolder
from pipeline.scoring.spoofed_segments import SpoofedSegment

OUTLINE_SAMPLES = 800
"""Samples per point of the outline: 50 ms."""


@dataclass(frozen=True)
class ScoreTimeline:
    """Scores and speech of one channel.

    ``times_s``, ``scores`` and ``speech_s`` are ``[windows]``: middle, calibrated score and seconds of speech of each.
    ``chunks`` are probabilities of speech (see ``audio.speech``), ``outline`` ``[points, 2]`` the lowest and highest
    sample of every 50 ms.
    """

    duration_s: float
    window_s: float
    times_s: np.ndarray
    scores: np.ndarray
    speech_s: np.ndarray
    chunks: np.ndarray
    outline: np.ndarray

    @classmethod
    def of(cls, scored: ScoredWindows, model: ModelFolder, *, outline: np.ndarray) -> "ScoreTimeline":
        """The timeline of windows that are already scored."""
        order = np.argsort(scored.starts)
        starts = np.array(scored.starts)[order]
        ends = np.minimum(starts + model.clip_samples, scored.samples)
        return cls(
            duration_s=scored.samples / SAMPLE_RATE_HZ,
            window_s=model.clip_samples / SAMPLE_RATE_HZ,
            times_s=(starts + ends) / 2 / SAMPLE_RATE_HZ,
            scores=model.calibration.apply(scored.logits[order]),
            speech_s=np.array([speech.seconds(scored.speech, *pair) for pair in zip(starts, ends, strict=True)]),
            chunks=scored.speech,
            outline=outline,
        )

    @property
    def spoken(self) -> np.ndarray:
        """Whether each window holds enough speech to be judged, ``[windows]``."""
        return self.speech_s >= MIN_SPEECH_S

    def spoofed_segments(
        self, *, threshold: float, switch_cost: float = spoofed_segments.SWITCH_COST
    ) -> list[SpoofedSegment]:
        """The segments of the channel that sound spoofed, see ``spoofed_segments.find``."""
        return spoofed_segments.find(
            self.times_s,
            self.scores,
            self.spoken,
            duration_s=self.duration_s,
            window_s=self.window_s,
            threshold=threshold,
            switch_cost=switch_cost,
        )


class Scorer:
    """Scores one channel.

    Parameters
    ----------
    detector : the model.
    hop_s : seconds between the beginnings of two windows.
    """

    def __init__(self, detector: Detector, *, hop_s: float):
        self._detector = detector
        self._size = detector.model.clip_samples
        self._hop = max(1, round(hop_s * SAMPLE_RATE_HZ))
        self._speech = speech.SpeechDetector()
        self._held = np.zeros(0, np.float32)
        self._held_from = self._speech_to = self._outline_to = 0
        self._starts: list[int] = []
        self._logits: list[np.ndarray] = []
        self._chunks: list[np.ndarray] = []
        self._outline: list[np.ndarray] = []

    def add(self, block: np.ndarray) -> None:
        """Add the next samples ``[samples]``, float32 in −1…1 at 16 kHz."""
        self._held = np.concatenate([self._held, block])
        self._add_speech()
        self._draw_outline()
        first, end = self._next_start(), self._held_from + len(self._held)
        while first + (BATCH_WINDOWS - 1) * self._hop + self._size <= end:
            self._score([first + i * self._hop for i in range(BATCH_WINDOWS)])
            first = self._next_start()
        # The last window of the recording may begin before the next regular window.
        keep = min(first, end - self._size, self._speech_to, self._outline_to)
        if keep > self._held_from:
            self._held = self._held[keep - self._held_from :]
            self._held_from = keep

    def finish(self) -> ScoreTimeline:
        """The timeline, after all samples were added."""
        samples = self._held_from + len(self._held)
        self._finish_rest()
        last = max(0, samples - self._size)
        rest = list(range(self._next_start(), last + 1, self._hop))
        if (self._starts + rest)[-1:] != [last]:
            rest.append(last)
        self._score(rest)
        logits, chunks = np.concatenate(self._logits), np.concatenate(self._chunks)
        scored = ScoredWindows(samples, self._starts, logits, len(logits), chunks)
        return ScoreTimeline.of(scored, self._detector.model, outline=np.concatenate(self._outline))

    def _next_start(self) -> int:
        return len(self._starts) * self._hop

    def _score(self, starts: list[int]) -> None:
        for first in range(0, len(starts), BATCH_WINDOWS):
            part = starts[first : first + BATCH_WINDOWS]
            cut = self._detector.cut(self._held, [start - self._held_from for start in part])
            self._logits.append(self._detector.window_logits(cut))
        self._starts += starts

    def _add_speech(self) -> None:
        waiting = self._held[self._speech_to - self._held_from :]
        whole = len(waiting) - len(waiting) % speech.CHUNK_SAMPLES
        self._chunks.append(self._speech.probabilities(waiting[:whole]))
        self._speech_to += whole

    def _draw_outline(self) -> None:
        waiting = self._held[self._outline_to - self._held_from :]
        whole = len(waiting) - len(waiting) % OUTLINE_SAMPLES
        points = waiting[:whole].reshape(-1, OUTLINE_SAMPLES)  # (points, 800)
        self._outline.append(np.stack([points.min(axis=1), points.max(axis=1)], axis=1))
        self._outline_to += whole

    def _finish_rest(self) -> None:
        waiting = self._held[self._speech_to - self._held_from :]
        if len(waiting):
            self._chunks.append(self._speech.probabilities(np.pad(waiting, (0, speech.CHUNK_SAMPLES - len(waiting)))))
        waiting = self._held[self._outline_to - self._held_from :]
        if len(waiting):
            self._outline.append(np.array([[waiting.min(), waiting.max()]], np.float32))
