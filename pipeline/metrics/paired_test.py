"""Two systems on the same trials: whose EER is lower, how sure that is, and whether their decisions differ.

``evaluate --against`` shows it on every subset; the registry promotes by it on dev.
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
    """One system against another.

    ``difference`` is the EER of ``other`` minus that of ``own``, so positive where ``own`` is better, with the 95 %
    interval of a paired bootstrap over speakers (``None`` where it is not defined). ``own_right`` counts trials that
    ``own`` alone decides rightly at its operating point, ``other_right`` the other way round; ``p`` is McNemar's exact
    probability of so uneven a split, or a more uneven one, if both systems erred equally often.
    """

    trials: int
    own_eer: float
    other_eer: float
    difference: float
    low: float | None
    high: float | None
    own_right: int
    other_right: int
    p: float

    @property
    def better(self) -> bool:
        """Whether ``own`` is better beyond doubt: the whole interval is."""
        return self.low is not None and self.low > 0

    @property
    def worse(self) -> bool:
        """Whether ``own`` is worse beyond doubt."""
        return self.high is not None and self.high < 0

    def mlflow_metrics(self, stem: str) -> dict[str, float]:
        """The figures by their MLflow names: ``eval/against/eer_difference`` …"""
        values = {
            "eer": self.other_eer,
            "eer_difference": self.difference,
            "eer_difference_low": self.low,
            "eer_difference_high": self.high,
            "mcnemar_p": self.p,
        }
        return {f"{stem}/{name}": value for name, value in values.items() if value is not None}


def compare(trials: pd.DataFrame, other: np.ndarray, *, threshold: float, other_threshold: float) -> Difference:
    """Compare a system's scored trials (utterance_id, label, speaker, score) with another's scores of the same.

    Parameters
    ----------
    other : calibrated scores of the other system, ``[trials]``.
    threshold, other_threshold : operating points of both.

    Raises ``MetricError`` for trials of one class.
    """
    labels = (trials["label"] == BONAFIDE).to_numpy()
    own = trials["score"].to_numpy()
    own_eer, other_eer = metrics.eer(own, labels), metrics.eer(other, labels)
    try:
        _, low, high = bootstrap.eer_difference(other, own, labels, voices(trials))
    except MetricError:
        low, high = None, None
    right, other_right = (own >= threshold) == labels, (other >= other_threshold) == labels
    counts = int((right & ~other_right).sum()), int((other_right & ~right).sum())
    return Difference(len(labels), own_eer, other_eer, other_eer - own_eer, low, high, *counts, mcnemar(*counts))


def mcnemar(first: int, second: int) -> float:
    """Exact two-sided probability of McNemar's test, from the trials that one system alone decides rightly."""
    from scipy.stats import binomtest

    return float(binomtest(first, first + second, 0.5).pvalue) if first + second else 1.0
