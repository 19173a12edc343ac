"""Figures of merit of a detector, as the field defines them: pure functions of scores and labels, in float64.

Scores are log-odds, higher = more bonafide; ``labels`` is true for bonafide. A miss is bonafide scored below the
threshold, a false alarm spoof scored at or above it. Definitions of EER, minDCF, actDCF and Cllr are those of the
ASVspoof 5 evaluation plan (Wang et al. 2024); Cllr is Brümmer & du Preez 2006.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import ProjectError

P_SPOOF = 0.05
COST_MISS, COST_FALSE_ALARM = 1.0, 10.0
BAYES_THRESHOLD = -float(np.log((1 - P_SPOOF) * COST_MISS / (P_SPOOF * COST_FALSE_ALARM)))
"""Threshold on a calibrated log-likelihood ratio that the detection cost asks for: −ln 1.9."""
INTERVAL = (0.025, 0.975)


class MetricError(ProjectError):
    """Scores or labels of which the figure is not defined."""


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


def curve(scores: np.ndarray, labels: np.ndarray) -> Curve:
    """Miss and false-alarm rate below and at every score, tied scores one at a time, bonafide before spoof."""
    scores, labels = _checked(scores, labels)
    ordered = np.concatenate([scores[labels], scores[~labels]])
    order = np.argsort(ordered, kind="stable")
    bonafide = (order < labels.sum()).astype(np.float64)
    miss = np.concatenate([[0.0], np.cumsum(bonafide) / labels.sum()])
    false_alarm = np.concatenate([[1.0], 1 - np.cumsum(1 - bonafide) / (~labels).sum()])
    ordered = ordered[order]
    return Curve(np.concatenate([[ordered[0] - 0.001], ordered]), miss, false_alarm)


def eer(scores: np.ndarray, labels: np.ndarray) -> float:
    """Equal error rate: the mean of miss and false alarm where they are closest."""
    points = curve(scores, labels)
    nearest = np.argmin(np.abs(points.miss - points.false_alarm))
    return float((points.miss[nearest] + points.false_alarm[nearest]) / 2)


def eer_threshold(scores: np.ndarray, labels: np.ndarray) -> float:
    """Threshold at the equal error rate, halfway between the two scores that it separates."""
    points = curve(scores, labels)
    return _between(points, int(np.argmin(np.abs(points.miss - points.false_alarm))))


def min_dcf(scores: np.ndarray, labels: np.ndarray) -> float:
    """Least normalised detection cost over all thresholds (Pspoof 0.05, Cmiss 1, Cfa 10)."""
    return float(_dcf(curve(scores, labels)).min())


def min_dcf_threshold(scores: np.ndarray, labels: np.ndarray) -> float:
    """Threshold of the least detection cost, halfway between the two scores that it separates."""
    points = curve(scores, labels)
    return _between(points, int(np.argmin(_dcf(points))))


def act_dcf(scores: np.ndarray, labels: np.ndarray) -> float:
    """Normalised detection cost of calibrated scores at the Bayes threshold."""
    miss, false_alarm = error_rates(scores, labels, BAYES_THRESHOLD)
    return _normalised_cost(miss, false_alarm)


def error_rates(scores: np.ndarray, labels: np.ndarray, threshold: float) -> tuple[float, float]:
    """Miss and false-alarm rate at a threshold."""
    scores, labels = _checked(scores, labels)
    return float(np.mean(scores[labels] < threshold)), float(np.mean(scores[~labels] >= threshold))


def cllr(scores: np.ndarray, labels: np.ndarray) -> float:
    """Cost of log-likelihood ratios in bits: 0 is perfect, 1 says nothing."""
    scores, labels = _checked(scores, labels)
    bonafide = np.logaddexp(0, -scores[labels]).mean()
    spoof = np.logaddexp(0, scores[~labels]).mean()
    return float((bonafide + spoof) / (2 * np.log(2)))


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Area under the ROC: the probability that bonafide scores above spoof, ties counting half."""
    scores, labels = _checked(scores, labels)
    spoof = np.sort(scores[~labels])
    below = np.searchsorted(spoof, scores[labels], side="left")
    ties = np.searchsorted(spoof, scores[labels], side="right") - below
    return float((below + ties / 2).mean() / len(spoof))


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean binary cross-entropy of logits, in nats."""
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels, bool)
    return float(np.logaddexp(0, np.where(labels, -logits, logits)).mean())


def confusion(scores: np.ndarray, labels: np.ndarray, threshold: float) -> Confusion:
    """Counts of right and wrong decisions at a threshold."""
    accepted, labels = np.asarray(scores) >= threshold, np.asarray(labels, bool)
    return Confusion(
        int((accepted & labels).sum()),
        int((~accepted & labels).sum()),
        int((accepted & ~labels).sum()),
        int((~accepted & ~labels).sum()),
    )


def summary(scores: np.ndarray, labels: np.ndarray, *, threshold: float, logits: np.ndarray) -> dict[str, float]:
    """All figures of a subset: ``loss`` of the logits, the others of the calibrated scores.

    Precision is 0 where nothing is called bonafide.
    """
    counts = confusion(scores, labels, threshold)
    called = counts.true_bonafide + counts.false_bonafide
    precision = counts.true_bonafide / called if called else 0.0
    recall = counts.true_bonafide / (counts.true_bonafide + counts.false_spoof)
    return {
        "loss": cross_entropy(logits, labels),
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


def eer_interval(
    scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None, *, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile interval of the EER from a bootstrap over groups (speakers), or over trials without them.

    Each resample draws as many groups as there are, with replacement; one that lacks a class is drawn again. All
    resamples share one sort of the scores: a resample is a weight for each trial.
    """
    scores, labels = _checked(scores, labels)
    members = np.arange(len(scores)) if groups is None else np.unique(groups, return_inverse=True)[1]
    order = np.concatenate([np.flatnonzero(labels), np.flatnonzero(~labels)])
    order = order[np.argsort(scores[order], kind="stable")]
    member, bonafide = members[order], labels[order]
    rng = np.random.default_rng(seed)
    count = int(members.max()) + 1
    values: list[np.ndarray] = []
    found = 0
    for _ in range(100):
        drawn = rng.multinomial(
            count, np.full(count, 1 / count), size=min(64, resamples - found)
        )  # (resamples, groups)
        weights = drawn.astype(np.float32)[:, member]  # (resamples, trials)
        genuine = np.cumsum(weights[:, bonafide], axis=1)[:, np.maximum(np.cumsum(bonafide) - 1, 0)]
        genuine[:, np.cumsum(bonafide) == 0] = 0
        spoof = np.cumsum(weights, axis=1) - genuine
        both = (genuine[:, -1] > 0) & (spoof[:, -1] > 0)
        miss = genuine[both] / genuine[both, -1:]
        false_alarm = 1 - spoof[both] / spoof[both, -1:]
        nearest = np.argmin(np.abs(miss - false_alarm), axis=1)[:, None]
        rates = (np.take_along_axis(miss, nearest, 1) + np.take_along_axis(false_alarm, nearest, 1)) / 2
        values.append(rates[:, 0])
        found += len(rates)
        if found >= resamples:
            break
    if not found:
        raise MetricError("no resample of the groups holds both classes; the interval is not defined")
    low, high = np.quantile(np.concatenate(values), INTERVAL)
    return float(low), float(high)


def _dcf(points: Curve) -> np.ndarray:
    return _normalised_cost(points.miss, points.false_alarm)


def _normalised_cost(miss, false_alarm):
    cost = (1 - P_SPOOF) * COST_MISS * miss + P_SPOOF * COST_FALSE_ALARM * false_alarm
    return cost / min((1 - P_SPOOF) * COST_MISS, P_SPOOF * COST_FALSE_ALARM)


def _between(points: Curve, index: int) -> float:
    """A threshold with the error rates of point ``index``: above its score, not above the next."""
    if index + 1 == len(points.thresholds):
        return float(np.nextafter(points.thresholds[index], np.inf))
    low, high = points.thresholds[index], points.thresholds[index + 1]
    return float(high if low == high else (low + high) / 2)


def _checked(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores, labels = np.asarray(scores, np.float64).ravel(), np.asarray(labels, bool).ravel()
    if len(scores) != len(labels):
        raise MetricError(f"{len(scores)} scores for {len(labels)} labels")
    if np.isnan(scores).any():
        raise MetricError(f"{int(np.isnan(scores).sum())} of {len(scores)} scores are NaN")
    if not 0 < labels.sum() < len(labels):
        raise MetricError(
            f"both classes are needed, and there are {int(labels.sum())} bonafide and {int((~labels).sum())} spoof trials"
        )
    return scores, labels
