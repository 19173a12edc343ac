"""Paired test of two systems on the same trials: difference of their EERs with its interval, and of their decisions.

``evaluate --against`` reports it on every subset; the registry promotes by it on dev.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline import metrics
from pipeline.config import BONAFIDE
from pipeline.metrics import MetricError, bootstrap
from pipeline.metrics.assessment import voices


@dataclass(frozen=True)
class Difference:
    """A system compared with its rival.

    ``difference`` is the EER of the rival minus that of the system, so it is positive if the system is better. ``low``
    and ``high`` are its 95 % interval by a paired bootstrap over speakers; ``None`` if that is not defined.
    ``own_right`` counts trials that only the system decides rightly at its operating point, ``rival_right`` those that
    only the rival does. ``p`` is McNemar's exact probability of a split at least as uneven if both erred equally often.
    """

    trials: int
    own_eer: float
    rival_eer: float
    difference: float
    low: float | None
    high: float | None
    own_right: int
    rival_right: int
    p: float

    @property
    def better(self) -> bool:
        """Whether the whole interval favours the system."""
        return self.low is not None and self.low > 0

    @property
    def worse(self) -> bool:
        """Whether the whole interval favours the rival."""
        return self.high is not None and self.high < 0

    def mlflow_metrics(self, stem: str) -> dict[str, float]:
        """The figures by their MLflow names: ``eval/against/eer_difference`` …"""
        values = {
            "eer": self.rival_eer,
            "eer_difference": self.difference,
            "eer_difference_low": self.low,
            "eer_difference_high": self.high,
            "mcnemar_p": self.p,
        }
        return {f"{stem}/{name}": value for name, value in values.items() if value is not None}


def compare(trials: pd.DataFrame, rival: np.ndarray, *, threshold: float, rival_threshold: float) -> Difference:
    """Compare a system's scored trials (utterance_id, label, speaker, score) with its rival's scores of the same.

    Parameters
    ----------
    rival : calibrated scores of the rival, ``[trials]``.
    threshold, rival_threshold : operating points of both.

    Raises ``MetricError`` for trials of one class.
    """
    labels = (trials["label"] == BONAFIDE).to_numpy()
    own = trials["score"].to_numpy()
    own_eer, rival_eer = metrics.eer(own, labels), metrics.eer(rival, labels)
    try:
        _, low, high = bootstrap.eer_difference(rival, own, labels, voices(trials))
    except MetricError:
        low, high = None, None
    right, rival_right = (own >= threshold) == labels, (rival >= rival_threshold) == labels
    counts = int((right & ~rival_right).sum()), int((rival_right & ~right).sum())
    return Difference(len(labels), own_eer, rival_eer, rival_eer - own_eer, low, high, *counts, mcnemar(*counts))


def mcnemar(first: int, second: int) -> float:
    """Exact two-sided probability of McNemar's test, from the trials that only one system decides rightly."""
    from scipy.stats import binomtest

    return float(binomtest(first, first + second, 0.5).pvalue) if first + second else 1.0
