"""Refit of calibration and threshold: enough clips, folds of whole speakers, held-out scores, intervals of rates."""

import re

import numpy as np
import pytest

from pipeline import metrics
from pipeline.errors import ConfigError
from pipeline.metrics import bootstrap, calibration, recalibration
from pipeline.metrics.calibration import Calibration


@pytest.mark.parametrize(
    ("name", "bonafide", "spoof", "message"),
    [
        ("eer", 19, 40, "19 bonafide clips are too few to calibrate on: 20 of each class"),
        ("eer", 0, 0, "0 bonafide clips are too few"),
        ("fpr=0.01", 500, 299, r"needs 300 spoof clips \(3 / RATE.*are 299; add some, or give fpr=0\.011, the least"),
        ("fnr=0.03", 60, 60, r"needs 100 bonafide clips.*fnr=0\.05, the least"),
        ("fnr=0", 5000, 20, "needs infinitely many bonafide clips"),
        ("eer", 20, 0, r"eer: all recordings are bonafide, which sets fnr=RATE only; .*add spoof"),
        ("fnr=0.15", 0, 20, r"all recordings are spoof, which sets fpr=RATE only; .*add bonafide"),
    ],
)  # fmt: skip
def test_too_few_clips_are_refused_with_the_numbers(name, bonafide, spoof, message):
    assert re.search(message, calibration.shortage(name, bonafide, spoof))


@pytest.mark.parametrize(
    ("name", "bonafide", "spoof"),
    [("eer", 20, 20), ("fpr=0.01", 20, 300), ("fnr=0.05", 60, 0), ("fpr=0.15", 0, 20), ("fnr=0.03", 100, 20)],
)
def test_enough_clips_pass(name, bonafide, spoof):
    assert calibration.shortage(name, bonafide, spoof) == ""


def test_one_class_sets_its_own_rate_only():
    scores = np.array([3.0, 1.0, 1.0, 2.0, 5.0, 4.0, 6.0, 7.0, 8.0, 9.0])
    assert calibration.one_class_point("fnr=0.2", scores, bonafide=True) == calibration.OperatingPoint(2.0, 0.5, 0.2)
    assert calibration.one_class_point("fnr=0.19", scores, bonafide=True).miss == 0.0, "a tie is missed whole or not"
    spoof = calibration.one_class_point("fpr=0.2", scores, bonafide=False)
    assert (spoof.threshold, spoof.miss, spoof.false_alarm) == (np.nextafter(7.0, 8.0), None, 0.2)


def test_folds_hold_whole_speakers_and_both_classes():
    rng = np.random.default_rng(1)
    units = np.repeat([f"s{i}" for i in range(13)], rng.integers(2, 9, 13))
    number = np.array([int(unit[1:]) for unit in units])
    labels = (number < 6) | ((number < 9) & (rng.random(len(units)) < 0.5))  # some of bonafide alone, both, spoof alone
    fold = recalibration.folds(labels, units)
    assert all(len(set(fold[units == unit])) == 1 for unit in set(units))
    assert all(set(labels[fold == one]) == {True, False} for one in range(5))
    assert set(fold) == set(range(5))
    three = np.where(labels, np.minimum(number, 2), number)
    assert set(recalibration.folds(labels, three.astype(str))) == {0, 1, 2}
    with pytest.raises(ConfigError, match="two speakers of each class, and there are 1 with bonafide and 12"):
        recalibration.folds(number == 0, units)


def test_held_out_trials_are_scored_by_the_fit_on_the_others():
    rng = np.random.default_rng(2)
    labels = np.arange(120) % 2 == 0
    logits, units = rng.normal(np.where(labels, 3.0, 1.0), 1.0), np.array([f"s{i % 12}" for i in range(120)])
    fold = recalibration.folds(labels, units)
    known = Calibration(1.0, 0.0)
    scores, thresholds = recalibration.held_out(logits, labels, fold, "eer", known)
    others = fold != 0
    fitted = calibration.fit(logits[others], labels[others])
    np.testing.assert_array_equal(scores[~others], fitted.apply(logits[~others]))
    point = calibration.operating_point("eer", fitted.apply(logits[others]), labels[others])
    assert set(thresholds[~others]) == {point.threshold}
    before = recalibration.figures(known.apply(logits), labels, 0.0, units)
    after = recalibration.figures(scores, labels, thresholds, units)
    assert after["cllr"].value < before["cllr"].value, "raw logits of 1 and 3 are no log-likelihood ratios"
    assert after["cllr"].low < after["cllr"].value < after["cllr"].high
    assert before["eer"].value == metrics.eer(logits, labels)
    assert before["miss"].value == np.mean(logits[labels] < 0)


def test_one_class_keeps_the_calibration_and_has_its_rate_only():
    logits, labels = np.linspace(-1, 1, 100), np.ones(100, bool)
    known = Calibration(2.0, 0.5)
    fitted, point = recalibration.refit(logits, labels, "fnr=0.1", known)
    assert fitted is known
    assert point.miss == 0.1
    units = np.arange(100).astype(str)
    scores, thresholds = recalibration.held_out(logits, labels, recalibration.folds(labels, units), "fnr=0.1", known)
    np.testing.assert_array_equal(scores, known.apply(logits))
    assert set(recalibration.figures(scores, labels, thresholds, units)) == {"miss"}


def test_the_interval_of_a_rate_is_exact_without_errors_and_wide_if_speakers_differ():
    low, high = bootstrap.rate_interval(np.zeros(60, bool))
    assert (low, high) == (0.0, pytest.approx(1 - 0.025 ** (1 / 60)))
    wrong = np.repeat([True, False], 50)
    by_clip = bootstrap.rate_interval(wrong)
    by_speaker = bootstrap.rate_interval(wrong, np.repeat(np.arange(4), 25))
    assert by_speaker == (0.0, 1.0)
    assert by_clip == pytest.approx((0.398, 0.602), abs=0.005)
