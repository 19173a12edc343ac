"""Parties of a conversation: one per channel, with score over time, speech and spoofed segments.

Used by ``analyse``. Memory stays bounded: a recording is scored block by block.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.audio import speech
from pipeline.scoring.detector import Detector
from pipeline.scoring.spoofed_segments import SpoofedSegment
from pipeline.scoring.timeline import Scorer, ScoreTimeline


@dataclass(frozen=True)
class Party:
    """One channel of a recording, counted from 1; 0 is the average of all channels."""

    channel: int
    timeline: ScoreTimeline
    spoofed_segments: list[SpoofedSegment]

    @property
    def speech(self) -> list[tuple[float, float]]:
        """Start and end, in s, of each segment of speech."""
        return speech.segments(self.timeline.chunks)

    @property
    def speech_s(self) -> float:
        """Seconds of speech."""
        return sum(end - start for start, end in self.speech)


def find(
    blocks: Iterable[np.ndarray],
    detector: Detector,
    *,
    mixed: bool,
    hop_s: float,
    threshold: float,
    switch_cost: float,
) -> list[Party]:
    """Score every channel of a recording over time.

    Parameters
    ----------
    blocks : the recording, as blocks ``[samples, channels]`` from ``audio.blocks``; ``mixed`` if averaged there.
    hop_s : seconds between the beginnings of two windows.
    threshold, switch_cost : see ``spoofed_segments.find``.
    """
    scorers: list[Scorer] = []
    for block in blocks:
        scorers = scorers or [Scorer(detector, hop_s=hop_s) for _ in range(block.shape[1])]
        for scorer, samples in zip(scorers, block.T, strict=True):
            scorer.add(samples)
    timelines = [scorer.finish() for scorer in scorers]
    return [
        Party(number, timeline, timeline.spoofed_segments(threshold=threshold, switch_cost=switch_cost))
        for number, timeline in enumerate(timelines, 0 if mixed else 1)
    ]


def as_json(source: str, parties: Sequence[Party], **settings: object) -> dict:
    """Content of ``analysis.json``: all parties as plain values, times to the ms."""
    return {
        "source": source,
        "duration_s": round(parties[0].timeline.duration_s, 3),
        **settings,
        "channels": [
            {
                "channel": party.channel,
                "speech_s": round(party.speech_s, 3),
                "speech": [[round(start, 3), round(end, 3)] for start, end in party.speech],
                "spoofed": [dataclasses.asdict(found) for found in party.spoofed_segments],
                "times_s": np.round(party.timeline.times_s, 3).tolist(),
                "scores": np.round(party.timeline.scores, 4).tolist(),
                "windows_with_speech": party.timeline.spoken.tolist(),
            }
            for party in parties
        ],
    }
