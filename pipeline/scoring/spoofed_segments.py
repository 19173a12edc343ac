"""Spoofed segments from scores over time: where each begins and ends, and with what confidence.

Used by ``analyse`` and the page. Single windows overlap and err, so the two-state sequence (bonafide 0, spoof 1) that
best fits all scores is decoded, with a penalty per switch:

    maximise over s   Σ_k w · (t − x_k) · s_k  −  c · #{k : s_k ≠ s_(k−1)}

with the calibrated score x_k of window k, clipped to ± MAX_SCORE, the threshold t and the cost c per switch. Windows
share audio, so evidence is weighted by w, hop over window length. Windows without speech carry no evidence.
Viterbi's algorithm finds the exact maximum.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SWITCH_COST = 4.0
"""Cost of a switch, in nats; ``benchmarks.conversations`` chooses it on dev calls."""
MAX_SCORE = 6.0
"""Largest evidence of a window: odds of 400 to 1."""


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
    edges_s = np.concatenate([[start_s], (times_s[1:] + times_s[:-1]) / 2, [end_s]])
    hop_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else window_s
    gains = min(hop_s / window_s, 1.0) * (threshold - np.clip(scores, -MAX_SCORE, MAX_SCORE)) * spoken
    states = viterbi(gains, switch_cost)
    found = []
    for first, last in runs(states):
        inside = slice(first, last + 1)
        if not spoken[inside].any():
            continue
        score = float(scores[inside][spoken[inside]].mean())
        confidence = 1 / (1 + math.exp(np.clip(score - threshold, -700, 700)))
        found.append(SpoofedSegment(float(edges_s[first]), float(edges_s[last + 1]), score, confidence))
    return found


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
