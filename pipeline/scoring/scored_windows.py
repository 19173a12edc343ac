"""Scores of the windows of one recording, and what follows from them: its score, its spoofed segments, its worst one.

Made by ``Detector`` for files and by ``timeline`` for recordings of any length; every row, picture and label of a
recording derives from it, so they agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.audio.speech import MIN_SPEECH_S, Speech
from pipeline.config import SAMPLE_RATE_HZ
from pipeline.scoring import spoofed_segments
from pipeline.scoring.spoofed_segments import SpoofedSegment


@dataclass(frozen=True)
class ScoredWindows:
    """Windows of a recording of ``samples`` samples, in order of time.

    ``starts`` ``[windows]`` are their first samples, ``logits`` and calibrated ``scores`` ``[windows]`` belong to them.
    ``counted`` ``[windows]`` marks those whose mean logit is the recording's, ``located`` those in which spoofed
    segments are sought; the others are drawn only. ``embeddings`` ``[windows, units]`` are the
    network's, if it has them.
    """

    samples: int
    clip_samples: int
    starts: np.ndarray
    logits: np.ndarray
    scores: np.ndarray
    counted: np.ndarray
    located: np.ndarray
    speech: Speech
    embeddings: np.ndarray | None = None

    @property
    def logit(self) -> float:
        """Mean logit of the windows that count."""
        return float(self.logits[self.counted].mean())

    @property
    def embedding(self) -> np.ndarray | None:
        """Mean embedding ``[units]`` of the windows that count."""
        return None if self.embeddings is None else self.embeddings[self.counted].mean(axis=0)

    @property
    def ends(self) -> np.ndarray:
        """Sample behind each window, ``[windows]``."""
        return np.minimum(self.starts + self.clip_samples, self.speech.end)

    @property
    def speech_s(self) -> np.ndarray:
        """Seconds of speech in each window, ``[windows]``."""
        return self.speech.seconds(self.starts, self.ends)

    @property
    def spoken(self) -> np.ndarray:
        """Whether each window holds enough speech to be judged, ``[windows]``."""
        return self.speech_s >= MIN_SPEECH_S

    @property
    def times_s(self) -> np.ndarray:
        """Middle of each window, ``[windows]``."""
        return (self.starts + self.ends) / 2 / SAMPLE_RATE_HZ

    @property
    def duration_s(self) -> float:
        """Length of the recording."""
        return self.samples / SAMPLE_RATE_HZ

    @property
    def window_s(self) -> float:
        """Length of a window."""
        return self.clip_samples / SAMPLE_RATE_HZ

    def spoofed_segments(
        self, *, threshold: float, switch_cost: float = spoofed_segments.SWITCH_COST
    ) -> list[SpoofedSegment]:
        """Segments that sound spoofed at this operating point, see ``spoofed_segments``."""
        scores, spoken = self.scores[self.located], self.spoken[self.located]
        return spoofed_segments.find(
            self.times_s[self.located],
            scores,
            spoken,
            start_s=self.speech.start / SAMPLE_RATE_HZ,
            end_s=self.speech.end / SAMPLE_RATE_HZ,
            window_s=self.window_s,
            threshold=spoofed_segments.own_threshold(threshold, scores[spoken]),
            switch_cost=switch_cost,
        )

    def worst(self, segments: Sequence[SpoofedSegment]) -> tuple[float, float, float]:
        """Score, start and end in s of the worst of the spoofed segments; without one, of the lowest window.

        Windows without enough speech are left out unless all are.
        """
        if segments:
            lowest = min(segments, key=lambda segment: segment.score)
            return lowest.score, lowest.start_s, lowest.end_s
        judged = self.located & self.spoken
        candidates = judged if judged.any() else self.located
        index = int(np.flatnonzero(candidates)[np.argmin(self.scores[candidates])])
        return float(self.scores[index]), self.starts[index] / SAMPLE_RATE_HZ, self.ends[index] / SAMPLE_RATE_HZ
