"""Parties of a conversation: one per channel, with score over time, speech and spoofed segments.

Used by ``analyse``. Memory stays bounded: a recording is read and scored block by block.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from pipeline.metrics.calibration import OperatingPoint
from pipeline.scoring.detector import Detector
from pipeline.scoring.row import Row
from pipeline.scoring.scored_windows import ScoredWindows
from pipeline.scoring.spoofed_segments import SWITCH_COST, SpoofedSegment
from pipeline.scoring.timeline import Extent, SpeechFinder, WindowScorer

Taker = TypeVar("Taker", Extent, SpeechFinder, WindowScorer)
SCORES = ("score", "spoof_probability", "familiarity", "worst_score", "worst_start_s", "worst_end_s")
"""Numbers of a party's row that ``as_json`` shows."""


@dataclass(frozen=True)
class Party:
    """One channel of a recording, counted from 1; 0 is the average of all channels.

    ``start_s`` is the time of the recording at which the part begins that was scored. Row, spoofed segments, speech and
    ``times_s`` are in the recording's time, ``scored`` and ``outline`` in the part's.
    """

    channel: int
    row: Row
    scored: ScoredWindows
    spoofed_segments: list[SpoofedSegment]
    outline: np.ndarray
    """Lowest and highest sample of every 50 ms, ``[points, 2]``."""
    start_s: float = 0.0

    @property
    def numbers(self) -> dict[str, float | None]:
        """Numbers of the row that ``as_json`` shows."""
        return {name: getattr(self.row, name) for name in SCORES}

    @property
    def speech(self) -> list[tuple[float, float]]:
        """Start and end, in s, of each segment of speech."""
        return [(start + self.start_s, end + self.start_s) for start, end in self.scored.speech.segments()]

    @property
    def times_s(self) -> np.ndarray:
        """Middle of each window, ``[windows]``."""
        return self.scored.times_s + self.start_s


def find(
    read: Callable[[], Iterable[np.ndarray]],
    detector: Detector,
    *,
    mixed: bool,
    point: OperatingPoint,
    hop_s: float = 0.0,
    switch_cost: float = SWITCH_COST,
    start_s: float = 0.0,
) -> list[Party]:
    """Score every channel of a recording, or of a part of it, over time.

    Parameters
    ----------
    read : gives the recording, as blocks ``[samples, channels]`` from ``audio.blocks``; called three times.
    mixed : whether the channels are averaged in the blocks.
    point : operating point of labels and spoofed segments.
    hop_s : seconds between the beginnings of two windows; 0: the windows of the rows of files.
    switch_cost : see ``spoofed_segments.find``.
    start_s : time of the recording at which the part begins.
    """
    extents = _pass(read, lambda _: Extent())
    finders = _pass(read, lambda channel: SpeechFinder(extents[channel]))
    found = [finder.finish() for finder in finders]
    plans = [detector.plan(own, hop_s=hop_s) for own in found]
    scorers = _pass(read, lambda channel: WindowScorer(detector, found[channel], plans[channel]))
    parties = []
    for channel, scorer in enumerate(scorers):
        scored = detector.scored(extents[channel].samples, found[channel], plans[channel], *scorer.finish())
        segments = scored.spoofed_segments(threshold=point.segment_threshold, switch_cost=switch_cost)
        row = detector.whole_row("", scored, point, segments).later(start_s)
        segments = [segment.later(start_s) for segment in segments]
        name, outline = channel if mixed else channel + 1, extents[channel].outline
        parties.append(Party(name, row, scored, segments, outline, start_s))
    return parties


def _pass(read: Callable[[], Iterable[np.ndarray]], make: Callable[[int], Taker]) -> list[Taker]:
    """One object per channel, to which all samples of the channel were added."""
    takers: list[Taker] = []
    for block in read():
        takers = takers or [make(channel) for channel in range(block.shape[1])]
        for taker, samples in zip(takers, block.T, strict=True):
            taker.add(samples)
    return takers


def as_json(source: str, parties: Sequence[Party], **settings: object) -> dict:
    """Content of ``analysis.json``: all parties as plain values, times to the ms."""
    return {
        "source": source,
        "duration_s": round(parties[0].scored.duration_s, 3),
        **settings,
        "channels": [
            {
                "channel": party.channel,
                "label": party.row.label,
                **{name: None if value is None else round(value, 4) for name, value in party.numbers.items()},
                "speech_s": round(party.row.speech_s, 3),
                "speech": [[round(start, 3), round(end, 3)] for start, end in party.speech],
                "spoofed": [dataclasses.asdict(found) for found in party.spoofed_segments],
                "times_s": np.round(party.times_s, 3).tolist(),
                "scores": np.round(party.scored.scores, 4).tolist(),
                "windows_with_speech": party.scored.spoken.tolist(),
            }
            for party in parties
        ],
    }
