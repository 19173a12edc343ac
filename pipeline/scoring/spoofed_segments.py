"""From scores over time to the stretches that sound spoofed: where each begins and ends, and how sure that is.

Used by ``analyse`` and the page. A window's score says little: windows overlap, and single ones err. What is looked for
is the sequence of two states, bonafide (0) and spoof (1), that the scores as a whole speak for most while it changes
seldom:

    maximise over s   Σ_k w · (t − x_k) · s_k  −  c · #{k : s_k ≠ s_(k−1)}

with the calibrated score x_k of window k, held within ± MAX_SCORE, the threshold t and the cost c of a change. A window
shares its audio with others, so its evidence counts by w, the seconds between windows over the seconds of one. Windows
without speech have no evidence for either. The exact maximum is found by Viterbi's algorithm over the two states.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SWITCH_COST = 4.0
"""Cost of a change, in nats; ``benchmarks.conversations`` chooses it on dev calls."""
MAX_SCORE = 6.0
"""No window is taken to be worth more than odds of 400 to 1."""


@dataclass(frozen=True)
class SpoofedSegment:
    """A part of a recording that sounds spoofed.

    ``score`` is the mean over its windows that hold speech, as a recording's score is over its windows; ``confidence``
    is the probability of spoof that it states where the threshold means even odds.
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
    duration_s: float,
    window_s: float,
    threshold: float,
    switch_cost: float = SWITCH_COST,
) -> list[SpoofedSegment]:
    """The stretches of a recording that sound spoofed, in order of time.

    Parameters
    ----------
    times_s : middle of each window ``[windows]``, rising. A window speaks for what lies nearer to its middle than to
        any other's, the first and the last for all up to the ends.
    scores : calibrated score of each window ``[windows]``, higher = bonafide.
    spoken : whether each window holds enough speech ``[windows]``.
    duration_s : length of the recording.
    window_s : length of a window.
    threshold : score below which a window speaks for spoof.
    """
    edges_s = np.concatenate([[0.0], (times_s[1:] + times_s[:-1]) / 2, [duration_s]])
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
    """States ``[windows]`` (true = spoof) that maximise the sum of ``gains`` where true, less the cost of changes."""
    bonafide = spoof = 0.0  # worth of the best path that ends in each state
    came_from_other = []
    for gain in gains.tolist():
        came_from_other.append((spoof - switch_cost > bonafide, bonafide - switch_cost > spoof))
        bonafide, spoof = max(bonafide, spoof - switch_cost), max(spoof, bonafide - switch_cost) + gain
    states = np.zeros(len(gains), bool)
    # A tie is no evidence, and so no spoof.
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
