"""Steady label from flickering scores: a running mean, and hysteresis.

Used by ``stream``. Both use only past scores, so they add no delay.
"""

import math

from pipeline.config import BONAFIDE, SPOOF


class RunningMean:
    """Exponentially weighted mean of scores at irregular times; a score of ``memory_s`` ago weighs 1/e.

    Parameters
    ----------
    memory_s : time constant, in s; 0: no smoothing.
    """

    def __init__(self, memory_s: float):
        self._memory_s = memory_s
        self._value: float | None = None
        self._time_s = 0.0

    @property
    def value(self) -> float | None:
        """The mean; ``None`` before the first score."""
        return self._value

    def add(self, score: float, time_s: float) -> float:
        """Add the score of a later time, and return the mean."""
        if self._value is None or self._memory_s <= 0:
            self._value = score
        else:
            self._value += (1 - math.exp((self._time_s - time_s) / self._memory_s)) * (score - self._value)
        self._time_s = time_s
        return self._value


def reachable_margin(margin: float, threshold: float, lower: float, upper: float) -> float:
    """Margin at which scores between ``lower`` and ``upper`` can still change the label both ways.

    Half the distance from the threshold to the nearer bound if ``margin`` reaches that far, else ``margin``. A
    threshold outside the bounds allows one label only, whatever the margin.
    """
    distance = min(threshold - lower, upper - threshold)
    return distance / 2 if 0 < distance <= margin else margin


class Hysteresis:
    """Label that changes only when a score crosses the threshold by a margin.

    Parameters
    ----------
    threshold : score from which the first label is bonafide.
    margin : distance from the threshold at which a score changes the label.
    """

    def __init__(self, threshold: float, margin: float):
        self._threshold, self._margin = threshold, margin
        self._label = ""

    def label(self, score: float) -> str:
        """The label after this score."""
        margin = self._margin if self._label else 0.0
        if score >= self._threshold + (margin if self._label != BONAFIDE else -margin):
            self._label = BONAFIDE
        else:
            self._label = SPOOF
        return self._label
