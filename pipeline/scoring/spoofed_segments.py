"""Spoofed segments from scores over time: where each begins and ends, and with what confidence.

Used by ``analyse`` and the page. Single windows overlap and err, so the two-state sequence (bonafide 0, spoof 1) that
best fits all scores is decoded, with a penalty per switch:

    maximise over s   Σ_k w · (t − x_k) · s_k  −  c · #{k : s_k ≠ s_(k−1)}

with the calibrated score x_k of window k, clipped to ± MAX_SCORE, the threshold t and the cost c per switch. Windows
share audio, so evidence is weighted by w, hop over window length. Windows without speech carry no evidence.
Viterbi's algorithm finds the exact maximum. Some voices and channels score higher than others throughout, so each
recording has a threshold (``own_threshold``). Each edge is then moved to where a ramp over one window fits the scores
around it best: a window that is spoofed by half scores halfway between the levels of both sides. This needs windows
that overlap by half or more.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

SWITCH_COST = 4.0
"""Cost of a switch, in nats; ``benchmarks.conversations`` chooses it on dev calls."""
HOP_WINDOWS = 0.25
"""Distance between windows, in windows, that ``analyse`` takes by default."""
MAX_SCORE = 6.0
"""Largest evidence of a window: odds of 400 to 1."""
LEVEL_SHARE = 0.25
"""Share of the way from the model's threshold to a recording's median score at which that of the recording lies."""
REACH, LEVELS = 0.5, 1.5
"""Windows by which an edge is moved at most, and up to which from it scores give the levels of both sides."""
EDGE_STEP_S = 0.05


@dataclass(frozen=True)
class SpoofedSegment:
    """Part of a recording that sounds spoofed.

    ``score`` is the mean over its windows with speech; ``confidence`` is the probability of spoof that this score
    states, with even odds at the threshold.
    """

    start_s: float
    end_s: float
    score: float
    confidence: float

    def later(self, seconds: float) -> "SpoofedSegment":
        """The segment with its times counted from so many seconds before."""
        return replace(self, start_s=self.start_s + seconds, end_s=self.end_s + seconds)


def find(
    times_s: np.ndarray,
    scores: np.ndarray,
    spoken: np.ndarray,
    *,
    start_s: float,
    end_s: float,
    window_s: float,
    threshold: float,
    switch_cost: float = SWITCH_COST,
) -> list[SpoofedSegment]:
    """Spoofed segments of a recording, in order of time.

    Parameters
    ----------
    times_s : middle of each window ``[windows]``, rising. A window covers what lies nearest to its middle, the first
        and the last up to the ends.
    scores : calibrated score of each window ``[windows]``, higher = bonafide.
    spoken : whether each window holds enough speech ``[windows]``.
    start_s, end_s : ends of the part of the recording from which windows are cut.
    window_s : length of a window.
    threshold : score below which a window is evidence for spoof.
    """
    edges_s = edges(times_s, start_s, end_s)
    hop_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else window_s
    clipped = np.clip(scores, -MAX_SCORE, MAX_SCORE)
    gains = min(hop_s / window_s, 1.0) * (threshold - clipped) * spoken
    decoded = [(first, last + 1) for first, last in runs(viterbi(gains, switch_cost)) if spoken[first : last + 1].any()]
    rough = edges_s[np.array(decoded, int).ravel()]
    placed = rough.tolist()
    # Too few windows hold an edge otherwise.
    if hop_s <= window_s / 2 + EDGE_STEP_S / 2:
        placed = sharpened(rough, times_s[spoken], clipped[spoken], start_s=start_s, end_s=end_s, window_s=window_s)
    found = []
    for number, (first, behind) in enumerate(decoded):
        inside = slice(first, behind)
        score = float(scores[inside][spoken[inside]].mean())
        confidence = 1 / (1 + math.exp(np.clip(score - threshold, -700, 700)))
        found.append(SpoofedSegment(*placed[2 * number : 2 * number + 2], score, confidence))
    return found


def own_threshold(threshold: float, scores: np.ndarray) -> float:
    """Threshold of a recording whose windows with speech have these scores; ``threshold`` is that of the model."""
    return threshold + LEVEL_SHARE * (float(np.median(scores)) - threshold) if len(scores) else threshold


def edges(times_s: np.ndarray, start_s: float, end_s: float) -> np.ndarray:
    """Ends of what each window covers, ``[windows + 1]``: the places nearest to its middle."""
    return np.concatenate([[start_s], (times_s[1:] + times_s[:-1]) / 2, [end_s]])


def sharpened(
    rough: np.ndarray, times_s: np.ndarray, scores: np.ndarray, *, start_s: float, end_s: float, window_s: float
) -> list[float]:
    """Edges of segments ``[edges]``, rising, moved to where a ramp over one window fits the scores best.

    An edge moves by half a window at most, and by less than half the way to the next edge. Edges at the ends, and those
    without scores half a window or more away on both sides, stay.
    """
    bounds, placed = [start_s, *rough.tolist(), end_s], []
    for before, edge, behind in zip(bounds, bounds[1:], bounds[2:], strict=False):
        away = times_s - edge
        level = (np.abs(away) >= window_s / 2) & (np.abs(away) <= LEVELS * window_s)
        left, right = level & (away < 0) & (times_s > before), level & (away > 0) & (times_s < behind)
        if edge in (start_s, end_s) or not (left.any() and right.any()):
            placed.append(edge)
            continue
        reach = REACH * window_s
        moves = EDGE_STEP_S * np.arange(-round(reach / EDGE_STEP_S), round(reach / EDGE_STEP_S) + 1)
        moves = moves[(moves > (before - edge) / 2) & (moves < (behind - edge) / 2)]
        moves = moves[np.argsort(np.abs(moves), kind="stable")]
        near = np.abs(away) <= reach + window_s / 2
        share = np.clip((away[near] - moves[:, None]) / window_s + 0.5, 0, 1)  # (moves, windows), behind the edge
        ramps = scores[left].mean() + (scores[right].mean() - scores[left].mean()) * share
        errors = np.square(scores[near] - ramps).sum(axis=1)
        placed.append(edge + float(moves[np.argmin(errors)]))
    return placed


def viterbi(gains: np.ndarray, switch_cost: float) -> np.ndarray:
    """States ``[windows]`` (true = spoof) that maximise the sum of their ``gains`` minus the cost of switches."""
    bonafide = spoof = 0.0  # value of the best path that ends in each state
    came_from_other = []
    for gain in gains.tolist():
        came_from_other.append((spoof - switch_cost > bonafide, bonafide - switch_cost > spoof))
        bonafide, spoof = max(bonafide, spoof - switch_cost), max(spoof, bonafide - switch_cost) + gain
    states = np.zeros(len(gains), bool)
    # A tie is no evidence of spoof.
    state = spoof > bonafide
    for k in range(len(gains) - 1, -1, -1):
        states[k] = state
        state = state != came_from_other[k][state]
    return states


def runs(states: Sequence[bool]) -> list[tuple[int, int]]:
    """First and last index of each run of true."""
    padded = np.concatenate([[False], states, [False]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(padded))
    return [(int(first), int(end) - 1) for first, end in zip(edges[::2], edges[1::2], strict=True)]
