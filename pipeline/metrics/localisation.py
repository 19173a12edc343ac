"""Figures of merit of localisation: which times of a recording are spoofed, and where spoofed segments begin and end.

Range EER after Zhang et al., "Range-based equal error rate for spoof localization", Interspeech 2023: error rates are
shares of time, so no resolution has to be chosen. The segment EER cuts time into segments that are trials.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.metrics.detection import MetricError, eer

TOLERANCE_S = 1.0
"""A segment is located if it begins and ends within this of the truth."""
Segments = Sequence[tuple[float, float]]
"""Start and end in s of each segment, in order of time, none overlapping another."""


@dataclass(frozen=True)
class Timeline:
    """Scores of a recording over time, and its true spoofed segments.

    ``scores`` ``[windows]`` (higher = bonafide) hold between the ``edges_s`` ``[windows + 1]``, which rise.
    """

    edges_s: np.ndarray
    scores: np.ndarray
    spoofed: Segments

    def pieces(self, edges_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Score in the middle of each piece between these edges, and whether any of it is spoofed, ``[pieces]``."""
        middles = (edges_s[1:] + edges_s[:-1]) / 2
        place = np.searchsorted(self.edges_s, middles, side="right") - 1
        starts, ends = np.array(self.spoofed, float).reshape(-1, 2).T[:, :, None]
        spoofed = ((edges_s[1:] > starts) & (edges_s[:-1] < ends)).any(axis=0)
        return self.scores[np.clip(place, 0, len(self.scores) - 1)], spoofed


def range_eer(timelines: Iterable[Timeline]) -> float:
    """Rate at which the share of bonafide time called spoof equals the share of spoofed time called bonafide.

    Time of equal scores may be called either way in parts. Raises ``MetricError`` unless both kinds of time exist.
    """
    scores, spoofed, seconds = [], [], []
    for one in timelines:
        first, last = one.edges_s[[0, -1]]
        bounds = np.clip(np.array(one.spoofed, float).ravel(), first, last)
        edges_s = np.unique(np.concatenate([one.edges_s, bounds]))
        found = one.pieces(edges_s)
        scores.append(found[0])
        spoofed.append(found[1])
        seconds.append(np.diff(edges_s))
    spoofed, seconds = np.concatenate(spoofed or [[]]).astype(bool), np.concatenate(seconds or [[]])
    totals = [float(seconds[own].sum()) for own in (~spoofed, spoofed)]
    if min(totals) == 0:
        raise MetricError(
            f"both kinds of time are needed, and there are {totals[0]:g} s bonafide, {totals[1]:g} spoofed"
        )
    values, place = np.unique(np.concatenate(scores), return_inverse=True)
    lower = [
        np.bincount(place, seconds * own, len(values)) / total
        for own, total in zip((~spoofed, spoofed), totals, strict=True)
    ]
    miss, rejected = (np.concatenate([[0.0], np.cumsum(share)]) for share in lower)
    gap = 1 - rejected - miss  # falls from 1 to −1
    behind = int(np.argmax(gap <= 0))
    part = gap[behind - 1] / (gap[behind - 1] - gap[behind])
    return float(miss[behind - 1] + part * (miss[behind] - miss[behind - 1]))


def segment_eer(timelines: Iterable[Timeline], resolution_s: float) -> float:
    """EER of segments of ``resolution_s`` seconds, each spoofed if any of it is; a rest at the end counts as one."""
    scores, spoofed = [], []
    for one in timelines:
        first, last = one.edges_s[[0, -1]]
        # A rest below a millisecond is rounding.
        edges_s = np.append(np.arange(first, last - 1e-3, resolution_s), last)
        found = one.pieces(edges_s)
        scores.append(found[0])
        spoofed.append(found[1])
    return eer(np.concatenate(scores or [[]]), ~np.concatenate(spoofed or [[]]).astype(bool))


@dataclass(frozen=True)
class SegmentPoint:
    """Threshold on the calibrated score for spoofed segments, and what it found on the calls that chose it."""

    threshold: float
    recall: float
    false_per_hour: float


@dataclass(frozen=True)
class Located:
    """Counts over recordings: true segments, segments found, those of them that are right, and hours of audio."""

    true: int
    found: int
    right: int
    hours: float

    @property
    def recall(self) -> float:
        """Share of the true segments that were located."""
        return self.right / max(self.true, 1)

    @property
    def precision(self) -> float:
        """Share of the found segments that are right; 1 if none was found."""
        return self.right / self.found if self.found else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.right / max(self.found + self.true, 1)

    @property
    def false_per_hour(self) -> float:
        """Found segments that are not right, per hour of audio."""
        return (self.found - self.right) / self.hours


def located(recordings: Iterable[tuple[Segments, Segments, float]], *, tolerance_s: float = TOLERANCE_S) -> Located:
    """Count located segments; a recording is its found segments, its true ones, and its length in s.

    Each found segment counts for one true segment at most.
    """
    true = found = right = 0
    seconds = 0.0
    for given, truth, duration_s in recordings:
        left = list(given)
        for start, end in truth:
            close = (s for s in left if abs(s[0] - start) <= tolerance_s and abs(s[1] - end) <= tolerance_s)
            if (match := next(close, None)) is not None:
                left.remove(match)
        true, found, seconds = true + len(truth), found + len(given), seconds + duration_s
        right += len(given) - len(left)
    return Located(true, found, right, seconds / 3600)
