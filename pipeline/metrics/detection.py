"""Figures of merit of a detector, as the field defines them: pure functions of scores and labels, in float64.

Scores are log-odds, higher = more bonafide; ``labels`` is true for bonafide. A miss is bonafide scored below the
threshold, a false alarm spoof scored at or above it. EER, minDCF, actDCF and Cllr follow the ASVspoof 5 evaluation
plan (Wang et al. 2024), Cllr after Brümmer & du Preez 2006; ``curve`` names the one difference, in tied scores.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import ProjectError

P_SPOOF = 0.05
COST_MISS, COST_FALSE_ALARM = 1.0, 10.0
BAYES_THRESHOLD = -float(np.log((1 - P_SPOOF) * COST_MISS / (P_SPOOF * COST_FALSE_ALARM)))
"""Threshold on a calibrated log-likelihood ratio that the detection cost asks for: −ln 1.9."""
RATE_TOLERANCE = 1e-9
"""Rounding error allowed when a share of trials is compared with its limit."""


class MetricError(ProjectError):
    """Scores or labels for which a figure is not defined."""


@dataclass(frozen=True)
class Curve:
    """Error rates at rising thresholds, each ``[trials + 1]``; the first point accepts everything."""

    thresholds: np.ndarray
    miss: np.ndarray
    false_alarm: np.ndarray


@dataclass(frozen=True)
class Confusion:
    """Counts at a threshold; bonafide is the positive class."""

    true_bonafide: int
    false_spoof: int
    false_bonafide: int
    true_spoof: int


def checked(scores: np.ndarray, labels: np.ndarray, *, both: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels as float64 and bool ``[trials]``.

    Raises ``MetricError`` if no figure is defined for them: no trials, unequal lengths, scores that are not finite, or
    (with ``both``) a missing class.
    """
    scores, labels = np.asarray(scores, np.float64).ravel(), np.asarray(labels, bool).ravel()
    if len(scores) != len(labels):
        raise MetricError(f"{len(scores)} scores for {len(labels)} labels; there must be one each")
    if len(scores) == 0:
        raise MetricError("there are no trials")
    wrong = ~np.isfinite(scores)
    if wrong.any():
        raise MetricError(f"{int(wrong.sum())} of {len(scores)} scores are not finite, the first is {scores[wrong][0]}")
    if both and not 0 < labels.sum() < len(labels):
        raise MetricError(
            f"both classes are needed, and there are {int(labels.sum())} bonafide and "
            f"{int((~labels).sum())} spoof trials"
        )
    return scores, labels


def curve(scores: np.ndarray, labels: np.ndarray) -> Curve:
    """Miss and false-alarm rate below and at every score.

    Trials of equal score move together: the curve crosses a tie on a straight line, in one step per trial. This is the
    average over all orders of the tied trials, as in the AUC. The ASVspoof challenge puts bonafide before spoof
    instead, so its EER of constant scores is 1, here 0.5. Scores without ties give the same curve.
    """
    scores, labels = checked(scores, labels)
    ordered = np.concatenate([scores[labels], scores[~labels]])
    order = np.argsort(ordered, kind="stable")
    ordered, passed = ordered[order], np.arange(len(order) + 1)
    ends = np.append(0, np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) + 1)
    missed = np.append(0, np.cumsum(order < labels.sum()))
    missed, rejected = (np.interp(passed, ends, counts[ends]) for counts in (missed, passed - missed))
    thresholds = np.concatenate([[ordered[0] - 0.001], ordered])
    return Curve(thresholds, missed / labels.sum(), 1 - rejected / (~labels).sum())


def eer(scores: np.ndarray, labels: np.ndarray) -> float:
    """Equal error rate: the mean of miss and false alarm where they are closest (first such point of ``curve``)."""
    points = curve(scores, labels)
    nearest = np.argmin(np.abs(points.miss - points.false_alarm))
    return float((points.miss[nearest] + points.false_alarm[nearest]) / 2)


def eer_threshold(scores: np.ndarray, labels: np.ndarray) -> float:
    """Threshold where miss and false alarm are closest, halfway between the two scores that it separates."""
    points = curve(scores, labels)
    gaps = np.where(whole_ties(points), np.abs(points.miss - points.false_alarm), np.inf)
    return _between(points, int(np.argmin(gaps)))


def min_dcf(scores: np.ndarray, labels: np.ndarray) -> float:
    """Least normalised detection cost over all thresholds (Pspoof 0.05, Cmiss 1, Cfa 10)."""
    return float(_dcf(curve(scores, labels)).min())


def min_dcf_threshold(scores: np.ndarray, labels: np.ndarray) -> float:
    """Threshold of the least detection cost, halfway between the two scores that it separates."""
    points = curve(scores, labels)
    return _between(points, int(np.argmin(np.where(whole_ties(points), _dcf(points), np.inf))))


def false_alarm_threshold(scores: np.ndarray, labels: np.ndarray, rate: float) -> float:
    """Lowest threshold that accepts at most this share of spoof."""
    points = curve(scores, labels)
    allowed = whole_ties(points) & (points.false_alarm <= rate + RATE_TOLERANCE)
    return _between(points, int(np.flatnonzero(allowed)[0]))


def miss_threshold(scores: np.ndarray, labels: np.ndarray, rate: float) -> float:
    """Highest threshold that misses at most this share of bonafide."""
    points = curve(scores, labels)
    allowed = whole_ties(points) & (points.miss <= rate + RATE_TOLERANCE)
    return _between(points, int(np.flatnonzero(allowed)[-1]))


def whole_ties(points: Curve) -> np.ndarray:
    """Points of a curve between two different scores, where a threshold can lie, ``[trials + 1]`` bool."""
    return np.append(points.thresholds[1:] != points.thresholds[:-1], True)


def act_dcf(scores: np.ndarray, labels: np.ndarray) -> float:
    """Normalised detection cost of calibrated scores at the Bayes threshold."""
    miss, false_alarm = error_rates(scores, labels, BAYES_THRESHOLD)
    return normalised_cost(miss, false_alarm)


def error_rates(scores: np.ndarray, labels: np.ndarray, threshold: float) -> tuple[float, float]:
    """Miss and false-alarm rate at a threshold."""
    scores, labels = checked(scores, labels)
    return float(np.mean(scores[labels] < threshold)), float(np.mean(scores[~labels] >= threshold))


def cllr(scores: np.ndarray, labels: np.ndarray) -> float:
    """Cost of log-likelihood ratios in bits: 0 is perfect, 1 is that of scores without information."""
    scores, labels = checked(scores, labels)
    bonafide = np.logaddexp(0, -scores[labels]).mean()
    spoof = np.logaddexp(0, scores[~labels]).mean()
    return float((bonafide + spoof) / (2 * np.log(2)))


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Area under the ROC: the probability that bonafide scores above spoof, ties counting half."""
    scores, labels = checked(scores, labels)
    spoof = np.sort(scores[~labels])
    below = np.searchsorted(spoof, scores[labels], side="left")
    ties = np.searchsorted(spoof, scores[labels], side="right") - below
    return float((below + ties / 2).mean() / len(spoof))


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean binary cross-entropy of logits, in nats."""
    logits, labels = checked(logits, labels, both=False)
    return float(np.logaddexp(0, np.where(labels, -logits, logits)).mean())


def confusion(scores: np.ndarray, labels: np.ndarray, threshold: float) -> Confusion:
    """Counts of right and wrong decisions at a threshold."""
    scores, labels = checked(scores, labels, both=False)
    accepted = scores >= threshold
    return Confusion(
        int((accepted & labels).sum()),
        int((~accepted & labels).sum()),
        int((accepted & ~labels).sum()),
        int((~accepted & ~labels).sum()),
    )


def summary(
    scores: np.ndarray, labels: np.ndarray, *, threshold: float, logits: np.ndarray | None = None
) -> dict[str, float]:
    """All figures of a subset: ``loss`` of the logits, if given, the others of the calibrated scores.

    Precision is 0 if no trial is called bonafide.
    """
    scores, labels = checked(scores, labels)
    counts = confusion(scores, labels, threshold)
    called = counts.true_bonafide + counts.false_bonafide
    precision = counts.true_bonafide / called if called else 0.0
    recall = counts.true_bonafide / (counts.true_bonafide + counts.false_spoof)
    loss = {} if logits is None else {"loss": cross_entropy(logits, labels)}
    return loss | {
        "accuracy": (counts.true_bonafide + counts.true_spoof) / len(labels),
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        "auc": auc(scores, labels),
        "eer": eer(scores, labels),
        "min_dcf": min_dcf(scores, labels),
        "act_dcf": act_dcf(scores, labels),
        "cllr": cllr(scores, labels),
    }


def _dcf(points: Curve) -> np.ndarray:
    return normalised_cost(points.miss, points.false_alarm)


def normalised_cost(miss: np.ndarray | float, false_alarm: np.ndarray | float) -> np.ndarray | float:
    """Detection cost of error rates, 1 for the better of accepting all and rejecting all."""
    cost = (1 - P_SPOOF) * COST_MISS * miss + P_SPOOF * COST_FALSE_ALARM * false_alarm
    return cost / min((1 - P_SPOOF) * COST_MISS, P_SPOOF * COST_FALSE_ALARM)


def _between(points: Curve, index: int) -> float:
    """A threshold with the error rates of point ``index`` of ``whole_ties``: above its score, not above the next."""
    if index + 1 == len(points.thresholds):
        return float(np.nextafter(points.thresholds[index], np.inf))
    low, high = points.thresholds[index], points.thresholds[index + 1]
    middle = low + (high - low) / 2
    return float(middle if low < middle else high)
