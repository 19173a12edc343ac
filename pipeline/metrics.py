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
_BATCH_WEIGHTS = 1_000_000
"""Weights held at a time by the bootstrap, which bounds its memory."""
_ROUNDS = 10
"""Times that resamples without a class are drawn again before the interval rests on fewer."""


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


def checked(scores: np.ndarray, labels: np.ndarray, *, both: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels as float64 and bool ``[trials]``; raises ``MetricError`` for what no figure is defined of.

    ``both``: whether each class must occur.
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
    """Miss and false-alarm rate below and at every score, tied scores one at a time, bonafide before spoof."""
    scores, labels = checked(scores, labels)
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
    scores, labels = checked(scores, labels)
    return float(np.mean(scores[labels] < threshold)), float(np.mean(scores[~labels] >= threshold))


def cllr(scores: np.ndarray, labels: np.ndarray) -> float:
    """Cost of log-likelihood ratios in bits: 0 is perfect, 1 says nothing."""
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


def summary(scores: np.ndarray, labels: np.ndarray, *, threshold: float, logits: np.ndarray) -> dict[str, float]:
    """All figures of a subset: ``loss`` of the logits, the others of the calibrated scores.

    Precision is 0 where nothing is called bonafide.
    """
    scores, labels = checked(scores, labels)
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
    resamples share one sort of the scores, as a resample is nothing but a whole-number weight for each trial.

    Parameters
    ----------
    groups : name of each trial's group ``[trials]``, of any type that sorts.

    Raises ``MetricError`` where there is a single group, or where no resample holds both classes.
    """
    (values,) = _resampled_eers([scores], labels, groups, resamples, seed)
    low, high = np.quantile(values, INTERVAL)
    return float(low), float(high)


def eer_difference(
    first: np.ndarray,
    second: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """EER of one system minus that of another on the same trials, and its 95 % interval.

    A paired bootstrap: each resample (as in ``eer_interval``) measures both systems on the same draw, so what is hard
    for both cancels out.

    Parameters
    ----------
    first, second : scores ``[trials]`` of a system, or ``[runs, trials]`` of several trainings of it, whose mean EER
        is compared.

    Raises ``MetricError`` as ``eer_interval`` does.
    """
    runs = [np.atleast_2d(system) for system in (first, second)]
    values = _resampled_eers([*runs[0], *runs[1]], labels, groups, resamples, seed)
    means = [np.mean(part, axis=0) for part in (values[: len(runs[0])], values[len(runs[0]) :])]
    low, high = np.quantile(means[0] - means[1], INTERVAL)
    found = [np.mean([eer(scores, labels) for scores in system]) for system in runs]
    return float(found[0] - found[1]), float(low), float(high)


def _resampled_eers(
    systems: list[np.ndarray], labels: np.ndarray, groups: np.ndarray | None, resamples: int, seed: int
) -> list[np.ndarray]:
    """EERs ``[resamples]`` of each system, the same resamples for all."""
    names = None if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    count = len(labels) if names is None else int(names.max()) + 1
    ordered = []
    for scores in systems:
        scores, classes = checked(scores, labels)
        order = np.concatenate([np.flatnonzero(classes), np.flatnonzero(~classes)])
        order = order[np.argsort(scores[order], kind="stable")]
        # Without groups every trial is as likely as any other, so the weights of one system need no order of their own.
        member = None if names is None and len(systems) == 1 else order if names is None else names[order]
        ordered.append((classes[order], member))
    if count < 2:
        raise MetricError("an interval needs at least two groups, and all trials are of one")
    rng = np.random.default_rng(seed)
    batch = max(1, min(resamples, _BATCH_WEIGHTS // len(labels)))
    values: list[list[np.ndarray]] = [[] for _ in systems]
    found = 0
    for _ in range(_ROUNDS * -(-resamples // batch)):
        drawn = rng.integers(count, size=(batch, count)) + count * np.arange(batch)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=batch * count).reshape(batch, count)  # (resamples, groups)
        for own, (bonafide, member) in zip(values, ordered, strict=True):
            own.append(_weighted_eer(weights if member is None else weights[:, member], bonafide))
        found += len(values[0][-1])
        if found >= resamples:
            break
    if not found:
        raise MetricError("no resample of the groups holds both classes, so the interval is not defined")
    return [np.concatenate(own)[:resamples] for own in values]


def _weighted_eer(weights: np.ndarray, bonafide: np.ndarray) -> np.ndarray:
    """EER of each resample that holds both classes, from the weights ``[resamples, trials]`` of sorted trials."""
    totals = weights[:, bonafide].sum(axis=1), weights[:, ~bonafide].sum(axis=1)
    both = (totals[0] > 0) & (totals[1] > 0)
    weights, genuine, spoof = weights[both], totals[0][both][:, None], totals[1][both][:, None]  # (resamples, 1)
    # (miss − false alarm) · genuine · spoof, in whole numbers: it only rises, so it is smallest where the sign turns.
    gap = np.cumsum(weights * np.where(bonafide, spoof, genuine), axis=1) - genuine * spoof  # (resamples, trials)
    turn = np.sum(gap < 0, axis=1)[:, None]  # the trial whose copies turn it
    before = np.where(turn > 0, np.take_along_axis(gap, np.maximum(turn - 1, 0), 1), -genuine * spoof)
    copy = np.where(bonafide[turn], spoof, genuine)
    passed = (copy - 1 - 2 * before) // (2 * copy)  # copies under the nearest point, the first of two equally near
    nearest = before + passed * copy
    missed = np.sum(weights * (bonafide & (np.arange(len(bonafide)) < turn)), axis=1)[:, None]
    missed = missed + bonafide[turn] * passed
    # With miss m and gap d, the false alarm is m − d and the mean of both m − d / 2.
    return (missed / genuine - nearest / (genuine * spoof) / 2)[:, 0]


def _dcf(points: Curve) -> np.ndarray:
    return _normalised_cost(points.miss, points.false_alarm)


def _normalised_cost(miss, false_alarm):
    cost = (1 - P_SPOOF) * COST_MISS * miss + P_SPOOF * COST_FALSE_ALARM * false_alarm
    return cost / min((1 - P_SPOOF) * COST_MISS, P_SPOOF * COST_FALSE_ALARM)


def _between(points: Curve, index: int) -> float:
    """A threshold with the error rates of point ``index``: above its score, not above the next.

    Where both scores are equal no threshold lies between them, and the one that accepts both is returned.
    """
    if index + 1 == len(points.thresholds):
        return float(np.nextafter(points.thresholds[index], np.inf))
    low, high = points.thresholds[index], points.thresholds[index + 1]
    middle = low + (high - low) / 2
    return float(middle if low < middle else high)
