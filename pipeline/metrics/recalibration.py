"""Refit of calibration and threshold on further labelled trials, measured on held-out speakers by cross-validation.

Pure functions of logits and labels. ``calibrate`` scores the recordings and writes the model folder.
"""

from dataclasses import dataclass

import numpy as np

from pipeline import metrics
from pipeline.errors import ConfigError
from pipeline.metrics import bootstrap, calibration
from pipeline.metrics.calibration import Calibration, OperatingPoint

FOLDS = 5


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


def refit(logits: np.ndarray, labels: np.ndarray, name: str, known: Calibration) -> tuple[Calibration, OperatingPoint]:
    """Calibration fitted on trials, and the named operating point on them; one class keeps the ``known`` calibration.

    One class alone sets the rate of its own errors only (``calibration.shortage``).
    """
    if labels.any() and not labels.all():
        fitted = calibration.fit(logits, labels)
        return fitted, calibration.operating_point(name, fitted.apply(logits), labels)
    return known, calibration.one_class_point(name, known.apply(logits), bonafide=bool(labels[0]))


def folds(labels: np.ndarray, units: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Fold of each trial ``[trials]``: five folds of whole units (speakers), fewer if a class has fewer units.

    Units are dealt out in turn, those of bonafide speech alone first, those of spoof alone last, in random order within
    each kind. So the units of a class follow each other, and every fold has trials of each class. A class with a single
    unit raises ``ConfigError``.
    """
    names, member = np.unique(units, return_inverse=True)
    kinds = np.stack([np.bincount(member, part, len(names)) > 0 for part in (labels, ~labels)])  # (classes, units)
    counts = kinds.sum(axis=1)
    number = min(FOLDS, *counts[counts > 0].tolist())
    if number < 2:
        raise ConfigError(
            f"held-out figures need two speakers of each class, and there are {counts[0]} with bonafide and "
            f"{counts[1]} with spoof clips; add recordings of another speaker, or leave speakers unknown to fold over "
            "clips"
        )
    shuffled = np.random.default_rng(seed).permutation(len(names))
    kind = np.where(~kinds[1], 0, np.where(kinds[0], 1, 2))  # bonafide alone, both, spoof alone
    order = shuffled[np.argsort(kind[shuffled], kind="stable")]
    fold = np.empty(len(names), int)
    fold[order] = np.arange(len(names)) % number
    return fold[member]


def held_out(
    logits: np.ndarray, labels: np.ndarray, fold: np.ndarray, name: str, known: Calibration
) -> tuple[np.ndarray, np.ndarray]:
    """Scores and thresholds ``[trials]``: each trial's by what is refitted on the other folds."""
    scores, thresholds = np.empty(len(logits)), np.empty(len(logits))
    for number in np.unique(fold):
        here = fold == number
        fitted, point = refit(logits[~here], labels[~here], name, known)
        scores[here], thresholds[here] = fitted.apply(logits[here]), point.threshold
    return scores, thresholds


def figures(
    scores: np.ndarray, labels: np.ndarray, thresholds: np.ndarray | float, units: np.ndarray
) -> dict[str, Estimate]:
    """EER and Cllr if both classes are there, and the error rate of each class at the thresholds, all over units."""
    found, wrong = {}, (scores >= thresholds) != labels
    if labels.any() and not labels.all():
        ends = bootstrap.intervals(scores, labels, units, names=("eer", "cllr"))
        values = {"eer": metrics.eer(scores, labels), "cllr": metrics.cllr(scores, labels)}
        found = {figure: Estimate(value, *ends[figure]) for figure, value in values.items()}
    for figure, own in (("miss", labels), ("false_alarm", ~labels)):
        if own.any():
            found[figure] = Estimate(float(wrong[own].mean()), *bootstrap.rate_interval(wrong[own], units[own]))
    return found
