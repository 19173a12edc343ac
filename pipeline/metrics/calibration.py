"""From logits to calibrated log-likelihood ratios, and the thresholds that decisions use; both fitted on dev alone.

Training fits them and stores them in the model folder; everything that scores applies them. Scores that were once
calibrated can be combined with any prior by Bayes' rule, which raw logits cannot.
"""

import math
from dataclasses import dataclass

import numpy as np

from pipeline import metrics
from pipeline.errors import ConfigError

REGULARISATION = 1e-4
"""Weight of the squared slope of the standardised logit, which keeps the slope finite where dev separates perfectly."""
MIN_SLOPE = 1e-3
"""Least slope of the standardised logit: scores then say next to nothing, and keep their order."""
ITERATIONS = 1000
NAMED = ("eer", "min_dcf", "fpr=0.01", "fnr=0.01")
"""Operating points that every model holds."""
COST_FORM = "prior=P,miss=COST,false_alarm=COST"
FORMS = f"eer, min_dcf, fpr=RATE, fnr=RATE, {COST_FORM}"
"""How an operating point can be named; P is the prior probability of spoof."""


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
    """A threshold on the calibrated score, the prior of spoof it is for, and its error rates on dev where measured."""

    threshold: float
    prior_spoof: float
    miss: float | None = None
    false_alarm: float | None = None


def fit(logits: np.ndarray, labels: np.ndarray) -> Calibration:
    """Prior-weighted logistic regression (Brümmer & du Preez 2006) of labels on logits.

    Each class weighs one half, so the fitted log-odds are a log-likelihood ratio whatever the share of spoof on dev.
    Logits that do not rise with bonafide speech get the least slope allowed, and log-likelihood ratios close to 0:
    they are not turned round, as a detector that is wrong on dev is a mistake to find, not to invert. Raises
    ``MetricError`` for logits that are not finite or lack a class.
    """
    from sklearn.linear_model import LogisticRegression

    logits, labels = metrics.checked(logits, labels)
    centre, spread = logits.mean(), logits.std() or 1.0
    x = (logits - centre) / spread
    # scikit-learn minimises C · Σ weight · loss + ½ slope²; the intercept is not penalised.
    weight = np.where(labels, 0.5 / labels.sum(), 0.5 / (~labels).sum())
    model = LogisticRegression(C=1 / REGULARISATION, tol=1e-10, max_iter=ITERATIONS)
    model.fit(x[:, None], labels, sample_weight=weight)
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    if slope < MIN_SLOPE:
        slope, offset = MIN_SLOPE, -MIN_SLOPE * (x[labels].mean() + x[~labels].mean()) / 2
    return Calibration(float(slope / spread), float(offset - slope * centre / spread))


def operating_points(
    scores: np.ndarray, labels: np.ndarray, names: tuple[str, ...] = NAMED
) -> dict[str, OperatingPoint]:
    """Named thresholds on calibrated scores, with their error rates on the same trials."""
    return {name: operating_point(name, scores, labels) for name in dict.fromkeys(names)}


def operating_point(name: str, scores: np.ndarray, labels: np.ndarray) -> OperatingPoint:
    """The threshold that a name asks for on calibrated scores, and its error rates there.

    ``eer``, ``fpr=RATE`` (at most that share of spoof accepted) and ``fnr=RATE`` (at most that share of bonafide
    missed) hold at even odds, ``min_dcf`` at the challenge's prior and costs, ``prior=P,miss=COST,false_alarm=COST``
    at its own. Other names raise ``ConfigError``.
    """
    form, values = _parsed(name)
    if form == "cost":
        threshold, prior = _bayes_threshold(*values), values[0]
    elif form == "min_dcf":
        threshold, prior = metrics.min_dcf_threshold(scores, labels), metrics.P_SPOOF
    elif form == "eer":
        threshold, prior = metrics.eer_threshold(scores, labels), 0.5
    else:
        chosen = metrics.false_alarm_threshold if form == "fpr" else metrics.miss_threshold
        threshold, prior = chosen(scores, labels, *values), 0.5
    return OperatingPoint(threshold, prior, *metrics.error_rates(scores, labels, threshold))


def cost_point(name: str) -> OperatingPoint | None:
    """The operating point of ``prior=P,miss=COST,false_alarm=COST``, for which no trials are needed.

    ``None`` for names of another form; ``ConfigError`` for those of none.
    """
    form, values = _parsed(name)
    return OperatingPoint(_bayes_threshold(*values), values[0]) if form == "cost" else None


def check_name(name: str) -> None:
    """Raise ``ConfigError`` for what names no operating point."""
    _parsed(name)


def _bayes_threshold(prior_spoof: float, miss_cost: float, false_alarm_cost: float) -> float:
    """Log-likelihood ratio from which calling a recording bonafide costs less than calling it spoof."""
    return math.log(prior_spoof * false_alarm_cost / ((1 - prior_spoof) * miss_cost))


def _parsed(name: str) -> tuple[str, tuple[float, ...]]:
    """Form of an operating point (eer, min_dcf, fpr, fnr, cost) and the numbers in its name."""
    if name in ("eer", "min_dcf"):
        return name, ()
    keys, _, texts = zip(*(part.strip().partition("=") for part in name.split(",")), strict=True)
    try:
        values = tuple(float(text) for text in texts)
    except ValueError:
        values = ()
    if values and keys in (("fpr",), ("fnr",)) and 0 <= values[0] < 1:
        return keys[0], values
    if values and sorted(keys) == ["false_alarm", "miss", "prior"]:
        given = dict(zip(keys, values, strict=True))
        prior, miss, false_alarm = given["prior"], given["miss"], given["false_alarm"]
        if 0 < prior < 1 and 0 < miss < math.inf and 0 < false_alarm < math.inf:
            return "cost", (prior, miss, false_alarm)
    raise ConfigError(
        f"operating point {name!r}: expected one of {FORMS}, where 0 ≤ RATE < 1, 0 < P < 1 and costs are positive"
    )
