"""Metrics of a detector (CM) in tandem with a speaker verifier (ASV): min t-DCF, t-EER and a-DCF.

Priors and costs are those of ASVspoof 2019, 2021 and 5: 5 % spoofs, 1 % of the other trials by nontarget speakers, and
a false acceptance costs ten misses. Equal scores move together, as in ``detection.curve``; without equal scores the
figures are those of the organisers' programs. Min t-DCF: Kinnunen et al. 2020 (form 2021) and the evaluation plan of
ASVspoof 2019; t-EER: Kinnunen et al. 2023; a-DCF: Shim et al. 2024.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.metrics.detection import P_SPOOF, MetricError, curve, error_rates

P_TARGET, P_NONTARGET = (1 - P_SPOOF) * 0.99, (1 - P_SPOOF) * 0.01
COST_MISS, COST_NONTARGET, COST_SPOOF = 1.0, 10.0, 10.0
FORMS = ("2019", "2021")
"""Forms of the t-DCF: that of 2019 counts only what the detector adds, that of 2021 the whole tandem."""


@dataclass(frozen=True)
class AsvScores:
    """Scores of a verifier on trials of target speakers, of other speakers and of spoofs, each ``[trials]``."""

    target: np.ndarray
    nontarget: np.ndarray
    spoof: np.ndarray

    def __post_init__(self) -> None:
        for name, scores in vars(self).items():
            if not len(scores) or not np.isfinite(scores).all():
                raise MetricError(
                    f"{len(scores)} {name} trials of the verifier; there must be some, with finite scores"
                )


def min_tdcf(scores: np.ndarray, labels: np.ndarray, asv: AsvScores, form: str = "2021") -> float:
    """Least normalised tandem cost over all thresholds of the detector, the verifier being at its EER.

    Parameters
    ----------
    scores, labels : of the detector, ``[trials]``; labels are true for bonafide.
    asv : scores of the verifier, of any trials.
    form : one of ``FORMS``.

    Raises ``MetricError`` if the detector lacks a class, and for a verifier so poor that the cost is not defined.
    """
    verifier, target = _two_classes(asv)
    points = curve(verifier, target)
    # The organisers accept scores from this one on, not from between it and the next.
    threshold = points.thresholds[np.argmin(np.abs(points.miss - points.false_alarm))]
    miss, nontarget = error_rates(verifier, target, threshold)
    always = P_TARGET * COST_MISS * miss + P_NONTARGET * COST_NONTARGET * nontarget
    of_miss = P_TARGET * COST_MISS - always
    of_spoof = P_SPOOF * COST_SPOOF * float(np.mean(asv.spoof >= threshold))
    if min(of_miss, of_spoof) <= 0:
        raise MetricError("the t-DCF is not defined: the verifier rejects every spoof, or errs more than a guess")
    offset = always if form == "2021" else 0.0
    points = curve(scores, labels)
    costs = offset + of_miss * points.miss + of_spoof * points.false_alarm
    return float(costs.min() / (offset + min(of_miss, of_spoof)))


def t_eer(scores: np.ndarray, labels: np.ndarray, asv: AsvScores) -> float:
    """Concurrent tandem EER: misses, accepted nontargets and accepted spoofs of the tandem are equally frequent.

    For each threshold of the verifier the detector's is the one where misses and false acceptances of the tandem are
    closest; of these pairs, the one counts at which nontargets and spoofs are accepted most equally.
    """
    found = curve(scores, labels)
    miss, nontarget, spoof = _rates(asv)  # (thresholds of the verifier)
    inside = (miss < (nontarget + spoof) / 2) & (spoof > 0)
    miss, nontarget, spoof = miss[inside], nontarget[inside], spoof[inside]

    def gap(at: np.ndarray) -> np.ndarray:
        accepted = (1 - found.miss[at]) * nontarget + found.false_alarm[at] * spoof
        return found.miss[at] + (1 - found.miss[at]) * miss - accepted / 2

    def first(level: np.ndarray) -> np.ndarray:
        low, high = np.zeros(len(miss), int), np.full(len(miss), len(found.miss) - 1)
        while (low < high).any():  # the gap rises with the detector's threshold
            middle = (low + high) // 2
            reached = gap(middle) >= level
            low, high = np.where(reached, low, middle + 1), np.where(reached, middle, high)
        return low

    above = first(np.zeros(len(miss)))
    below = first(gap(np.maximum(above - 1, 0)))
    at = np.where(np.abs(gap(below)) <= np.abs(gap(above)), below, above)
    with np.errstate(divide="ignore", invalid="ignore"):
        uneven = np.abs(nontarget / spoof - found.false_alarm[at] / (1 - found.miss[at]))
    best = int(np.nanargmin(uneven))
    return float(spoof[best] * found.false_alarm[at[best]])


def a_dcf(joint: AsvScores) -> float:
    """Least normalised cost of a system with one score for speaker and spoof, over all thresholds."""
    miss, nontarget, spoof = _rates(joint)
    of_miss, of_nontarget, of_spoof = P_TARGET * COST_MISS, P_NONTARGET * COST_NONTARGET, P_SPOOF * COST_SPOOF
    costs = of_miss * miss + of_nontarget * nontarget + of_spoof * spoof
    return float(costs.min() / min(of_miss, of_nontarget + of_spoof))


def _two_classes(asv: AsvScores) -> tuple[np.ndarray, np.ndarray]:
    """Scores of target and nontarget trials, and which are target, both ``[trials]``."""
    scores = np.concatenate([asv.target, asv.nontarget])
    return scores, np.arange(len(scores)) < len(asv.target)


def _rates(asv: AsvScores) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Missed targets, accepted nontargets and accepted spoofs below and above every score, ``[scores + 1]``."""
    classes = (np.sort(asv.target), np.sort(asv.nontarget), np.sort(asv.spoof))
    thresholds = np.unique(np.concatenate(classes))
    missed, *rejected = (np.append(0, np.searchsorted(own, thresholds, "right")) / len(own) for own in classes)
    return missed, 1 - rejected[0], 1 - rejected[1]
