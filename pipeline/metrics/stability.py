"""Stability of a population: how far served recordings have moved from those that a model was developed on.

The population stability index says how much a column has changed, the Kolmogorov–Smirnov test whether chance explains
it. With thousands of rows the test finds every trifle, with few rows the index is large by chance: drift needs both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

BINS = 10
"""Bins of the index, each with a tenth of the reference."""
WATCH, DRIFT = 0.1, 0.25
"""Rule of thumb of credit scoring (N. Siddiqi, Credit Risk Scorecards, Wiley 2006): below 0.1 nothing has changed,
up to 0.25 a little, beyond it the population is another."""
SIGNIFICANCE = 0.01


@dataclass(frozen=True)
class Shift:
    """Change of a column: index, largest difference of the distribution functions, and its p-value."""

    psi: float
    ks: float
    p: float


def shift(reference: np.ndarray, weights: np.ndarray, served: np.ndarray) -> Shift:
    """Compare served values ``[rows]`` with reference values ``[trials]`` that have weights ``[trials]``."""
    ks, p = weighted_ks(reference, weights, served)
    return Shift(population_stability(reference, weights, served), ks, p)


def population_stability(reference: np.ndarray, weights: np.ndarray, served: np.ndarray) -> float:
    """Population stability index over bins with equal weight of the reference; 0: the same shares.

    Half a row is added to each bin, because the index of an empty bin is infinite.
    """
    order = np.argsort(reference)
    share = np.cumsum(weights[order]) / weights.sum()
    edges = np.unique(reference[order][np.searchsorted(share, np.arange(1, BINS) / BINS)])
    if len(edges) == 1:  # a constant; values below it need a bin too
        edges = np.array([np.nextafter(edges[0], -np.inf), edges[0]])
    effective = _effective(weights)
    expected = np.bincount(np.searchsorted(edges, reference), weights, len(edges) + 1) * effective / weights.sum()
    found = np.bincount(np.searchsorted(edges, served), minlength=len(edges) + 1)
    expected, found = ((counts + 0.5) / (counts + 0.5).sum() for counts in (expected, found))
    return float(np.sum((found - expected) * np.log(found / expected)))


def weighted_ks(reference: np.ndarray, weights: np.ndarray, served: np.ndarray) -> tuple[float, float]:
    """Kolmogorov–Smirnov statistic and asymptotic p-value of a weighted and a plain sample.

    With equal weights both are those of ``scipy.stats.ks_2samp(method="asymp")``; with others the reference counts as
    many trials as their effective number (L. Kish, Survey Sampling, 1965).
    """
    order, values = np.argsort(reference), np.concatenate([reference, served])
    cumulated = np.concatenate([[0.0], np.cumsum(weights[order])]) / weights.sum()
    expected = cumulated[np.searchsorted(reference[order], values, side="right")]
    found = np.searchsorted(np.sort(served), values, side="right") / len(served)
    statistic = float(np.max(np.abs(expected - found)))
    trials, rows = _effective(weights), len(served)
    return statistic, float(stats.kstwo.sf(statistic, max(1, round(trials * rows / (trials + rows)))))


def holm(p: Sequence[float]) -> np.ndarray:
    """p-values of several tests, corrected for their number (S. Holm, Scand. J. Statistics 6, 1979)."""
    p = np.asarray(p, float)
    order = np.argsort(p)
    corrected = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return np.minimum(corrected, 1.0)[np.argsort(order)]


def spoof_share(scores: np.ndarray, *, rounds: int = 200) -> float:
    """Share of spoofs among recordings with these log-likelihood ratios ``[rows]`` of bonafide to spoof.

    Maximum likelihood by expectation maximisation (M. Saerens, P. Latinne, C. Decaestecker, Neural Computation 14,
    2002). It is right as far as the scores are calibrated.
    """
    share = 0.5
    for _ in range(rounds):
        share = float(np.mean(share / (share + (1 - share) * np.exp(np.clip(scores, -50, 50)))))
    return share


def _effective(weights: np.ndarray) -> float:
    return float(weights.sum() ** 2 / np.sum(weights**2))
