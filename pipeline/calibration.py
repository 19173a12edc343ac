"""From logits to calibrated log-likelihood ratios, and the thresholds that decisions use; both fitted on dev alone.

Training fits them and stores them in the model folder; everything that scores applies them. Scores that were once
calibrated can be combined with any prior by Bayes' rule, which raw logits cannot.
"""

from dataclasses import dataclass

import numpy as np

from pipeline import metrics

REGULARISATION = 1e-4
"""Weight of the squared slope of the standardised logit, which keeps the slope finite where dev separates perfectly."""
MIN_SLOPE = 1e-3
"""Least slope of the standardised logit: scores then say next to nothing, and keep their order."""
ITERATIONS = 100


@dataclass(frozen=True)
class Calibration:
    """Affine map from logit to log-likelihood ratio; the slope is positive, so it never changes the order."""

    slope: float
    intercept: float

    def apply(self, logits: np.ndarray) -> np.ndarray:
        """Log-likelihood ratios of logits, same shape, natural logarithm."""
        return self.slope * np.asarray(logits, np.float64) + self.intercept


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold on the calibrated score, the prior of spoof it is for, and its error rates on dev."""

    threshold: float
    prior_spoof: float
    miss: float
    false_alarm: float


def fit(logits: np.ndarray, labels: np.ndarray) -> Calibration:
    """Prior-weighted logistic regression (Brümmer & du Preez 2006) of labels on logits.

    Each class weighs one half, so the fitted log-odds are a log-likelihood ratio whatever the share of spoof on dev.
    Logits that do not rise with bonafide speech get the least slope allowed, and log-likelihood ratios close to 0:
    they are not turned round, as a detector that is wrong on dev is a mistake to find, not to invert. Raises
    ``MetricError`` for logits that are not finite or lack a class.
    """
    logits, labels = metrics.checked(logits, labels)
    centre, spread = logits.mean(), logits.std() or 1.0
    x = np.stack([(logits - centre) / spread, np.ones(len(logits))], axis=1)  # (trials, 2)
    weight = np.where(labels, 0.5 / labels.sum(), 0.5 / (~labels).sum())
    penalty = np.diag([REGULARISATION, 1e-9])
    beta = np.zeros(2)

    def cost(b: np.ndarray) -> float:
        odds = x @ b
        return float(weight @ np.logaddexp(0, np.where(labels, -odds, odds)) + 0.5 * b @ penalty @ b)

    for _ in range(ITERATIONS):
        p = 1 / (1 + np.exp(-(x @ beta)))
        gradient = x.T @ (weight * (p - labels)) + penalty @ beta
        hessian = (x * (weight * p * (1 - p))[:, None]).T @ x + penalty
        step = np.linalg.solve(hessian, gradient)
        scale = 1.0
        while cost(beta - scale * step) > cost(beta) and scale > 1e-8:
            scale /= 2
        beta = beta - scale * step
        if np.abs(scale * step).max() < 1e-12:
            break
    slope, offset = beta
    if slope < MIN_SLOPE:
        slope, offset = MIN_SLOPE, -MIN_SLOPE * (x[labels, 0].mean() + x[~labels, 0].mean()) / 2
    return Calibration(float(slope / spread), float(offset - slope * centre / spread))


def operating_points(scores: np.ndarray, labels: np.ndarray) -> dict[str, OperatingPoint]:
    """Named thresholds on calibrated scores: ``eer`` at even odds, ``min_dcf`` at the challenge's prior and costs."""
    chosen = {
        "eer": (metrics.eer_threshold(scores, labels), 0.5),
        "min_dcf": (metrics.min_dcf_threshold(scores, labels), metrics.P_SPOOF),
    }
    return {
        name: OperatingPoint(threshold, prior, *metrics.error_rates(scores, labels, threshold))
        for name, (threshold, prior) in chosen.items()
    }
