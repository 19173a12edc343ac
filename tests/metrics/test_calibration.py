"""Calibration against known log-likelihood ratios and scikit-learn, its bounds, and the thresholds chosen on dev."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from pipeline import metrics
from pipeline.errors import ConfigError
from pipeline.metrics import MetricError, calibration
from pipeline.metrics.calibration import Calibration


def normal(bonafide: int, spoof: int, mean: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles of unit normals at ±mean: the log-likelihood ratio of x is 2 · mean · x."""
    parts = [sign * mean + norm.ppf((np.arange(n) + 0.5) / n) for sign, n in ((1, bonafide), (-1, spoof))]
    return np.concatenate(parts), np.arange(bonafide + spoof) < bonafide


def test_it_finds_the_log_likelihood_ratio_whatever_the_share_of_spoof():
    for bonafide, spoof in ((3000, 3000), (1000, 9000), (9000, 1000)):
        found = calibration.fit(*normal(bonafide, spoof))
        assert found.slope == pytest.approx(2, rel=0.01)
        assert found.intercept == pytest.approx(0, abs=0.01)


def test_it_undoes_an_affine_map():
    logits, labels = normal(500, 2000)
    found, moved = calibration.fit(logits, labels), calibration.fit(7 * logits - 30, labels)
    assert moved.apply(7 * logits - 30) == pytest.approx(found.apply(logits), abs=1e-6)


def test_it_equals_scikit_learn():
    rng = np.random.default_rng(1)
    labels = rng.random(800) < 0.15
    logits = 2 * rng.normal(size=800) + 1.5 * labels - 3
    oracle = LogisticRegression(C=1e6, class_weight="balanced", tol=1e-9).fit(logits[:, None], labels)
    found = calibration.fit(logits, labels)
    assert (found.slope, found.intercept) == pytest.approx((oracle.coef_[0, 0], oracle.intercept_[0]), rel=5e-3)


def test_it_lowers_cllr_and_act_dcf_and_leaves_the_order_alone():
    logits, labels = normal(1298, 12008)
    logits = 0.3 * logits + 2
    scores = calibration.fit(logits, labels).apply(logits)
    assert metrics.cllr(scores, labels) < 0.52 < metrics.cllr(logits, labels)
    assert metrics.act_dcf(scores, labels) < 0.43 < metrics.act_dcf(logits, labels)
    assert metrics.eer(scores, labels) == metrics.eer(logits, labels)


def test_separable_trials_get_finite_scores_on_the_right_side():
    logits, labels = np.array([3.0, 4, 5, -1, -2, -3]), np.arange(6) < 3
    found = calibration.fit(logits, labels)
    scores = found.apply(logits)
    assert 0 < found.slope < 100
    assert ((scores > 0) == labels).all()
    assert 1 < np.abs(scores).max() < np.log(5)


def test_logits_that_fall_with_bonafide_speech_are_calibrated_to_almost_zero():
    logits, labels = normal(100, 900)
    found = calibration.fit(-logits, labels)
    assert found.slope > 0
    assert np.abs(found.apply(-logits)).max() < 0.01
    assert metrics.cllr(found.apply(-logits), labels) == pytest.approx(1, abs=0.01)


def test_equal_logits_are_calibrated_to_zero():
    found = calibration.fit(np.full(10, 3.0), np.arange(10) < 4)
    assert found.slope > 0
    assert found.apply(np.array([3.0])) == pytest.approx([0], abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=20),
    st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=20),
)
def test_slope_and_intercept_are_always_usable(bonafide, spoof):
    logits = np.concatenate([bonafide, spoof])
    found = calibration.fit(logits, np.arange(len(logits)) < len(bonafide))
    assert found.slope > 0
    assert np.isfinite(found.apply(logits)).all()


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        ([1.0, 2.0], [True, True], "2 bonafide and 0 spoof"),
        ([1.0, np.nan], [True, False], "not finite"),
        ([], [], "no trials"),
    ],
)
def test_logits_that_cannot_be_calibrated_are_refused(logits, labels, message):
    with pytest.raises(MetricError, match=message):
        calibration.fit(np.array(logits), np.array(labels, bool))


def test_without_bounds_the_map_is_affine_and_keeps_the_shape():
    assert Calibration(2.0, -1.0).apply(np.array([[0.0, 1.0]], np.float32)).tolist() == [[-1, 1]]
    assert Calibration(2.0, -1.0).apply(1e6) == 2e6 - 1


def test_the_bounds_are_those_of_the_rule_of_succession():
    found = calibration.fit(*normal(80, 96))
    assert (found.lower, found.upper) == pytest.approx((-np.log(82), np.log(98)))
    assert Calibration(**dataclasses.asdict(found)) == found


def test_scores_are_kept_up_to_a_nat_short_of_the_bounds_and_approach_them_beyond():
    bounded = Calibration(1.0, 0.0, -4.0, 5.0)
    assert bounded.apply([-3.0, -1.5, 0, 4.0]).tolist() == [-3, -1.5, 0, 4]
    assert bounded.apply([5.0, 7.0, -4.0, -12.0]) == pytest.approx([4.5, 4.75, -3.5, -3.9])


def test_scores_rise_strictly_within_their_bounds():
    bounded = Calibration(1.0, 0.0, -4.4, 4.6)
    logits = np.concatenate([-np.logspace(6, -2, 500), [0], np.logspace(-2, 6, 500)])
    scores = bounded.apply(logits)
    assert (np.diff(scores) > 0).all()
    assert -4.4 < scores[0] < -4.39
    assert 4.59 < scores[-1] < 4.6


def overconfident(seed: int, unseen: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Logits and labels of dev, then of held-out trials: there a share of spoof comes from an attack unknown on dev."""
    rng = np.random.default_rng(seed)
    dev, held_out = np.arange(176) < 80, np.arange(3000) < 1500
    known = rng.random(3000) >= unseen
    logits = [4 * rng.normal(np.where(labels, 2.0, -2.0)) for labels in (dev, held_out)]
    logits[1] = np.where(held_out | known, logits[1], 4 * rng.normal(1.0, 1.0, 3000))
    return logits[0], dev, logits[1], held_out


def test_on_unseen_attacks_the_bounds_lower_cllr_and_leave_figures_of_rank_alone():
    for seed in range(5):
        logits, labels, unseen, unseen_labels = overconfident(seed, 0.1)
        spread = logits.std()
        weight = np.where(labels, 0.5 / labels.sum(), 0.5 / (~labels).sum())
        plain = LogisticRegression(C=1e4, tol=1e-9).fit(logits[:, None] / spread, labels, sample_weight=weight)
        unbounded = plain.decision_function(unseen[:, None] / spread)
        scores = calibration.fit(logits, labels).apply(unseen)
        assert metrics.cllr(scores, unseen_labels) < 0.95 * metrics.cllr(unbounded, unseen_labels)
        for figure in (metrics.eer, metrics.auc, metrics.min_dcf):
            assert figure(scores, unseen_labels) == figure(unbounded, unseen_labels)


def test_on_trials_like_those_of_dev_the_bounds_cost_little():
    logits, labels, same, same_labels = overconfident(0, 0.0)
    bounded = calibration.fit(logits, labels)
    affine = dataclasses.replace(bounded, lower=-np.inf, upper=np.inf)
    cost = metrics.cllr(bounded.apply(same), same_labels) - metrics.cllr(affine.apply(same), same_labels)
    assert cost < np.log2(1 + 1 / 81), "a right trial costs no more than its bound"


def test_thresholds_are_in_units_of_bounded_scores():
    logits, labels, *_ = overconfident(0, 0.1)
    found = calibration.fit(logits, labels)
    points = calibration.operating_points(found.apply(logits), labels)
    affine = dataclasses.replace(found, lower=-np.inf, upper=np.inf)
    for name, point in calibration.operating_points(affine.apply(logits), labels).items():
        assert found.lower < points[name].threshold < found.upper
        assert (points[name].miss, points[name].false_alarm) == (point.miss, point.false_alarm)


def test_operating_points_state_their_error_rates():
    scores, labels = normal(1298, 12008)
    points = calibration.operating_points(2 * scores, labels)
    assert list(points) == ["eer", "min_dcf", "fpr=0.01", "fnr=0.01"]
    assert (points["eer"].prior_spoof, points["min_dcf"].prior_spoof) == (0.5, 0.05)
    assert (points["eer"].miss + points["eer"].false_alarm) / 2 == pytest.approx(0.158716608, abs=1e-9)
    assert points["eer"].threshold == pytest.approx(0, abs=0.02)
    cost = (0.95 * points["min_dcf"].miss + 0.5 * points["min_dcf"].false_alarm) / 0.5
    assert cost == pytest.approx(0.424988631, abs=1e-9)
    assert points["min_dcf"].threshold == pytest.approx(metrics.BAYES_THRESHOLD, abs=0.15)
    assert 0.0099 < points["fpr=0.01"].false_alarm <= 0.01
    assert 0.009 < points["fnr=0.01"].miss <= 0.01
    assert points["fnr=0.01"].threshold < points["eer"].threshold < points["fpr=0.01"].threshold


def test_a_cost_point_is_bayes_threshold_whatever_the_trials():
    name = "prior=0.05,miss=1,false_alarm=10"
    found = calibration.operating_point(name, *normal(100, 900))
    assert found.threshold == pytest.approx(-0.641853886, abs=1e-9)
    assert (found.prior_spoof, found.miss) == (0.05, metrics.error_rates(*normal(100, 900), found.threshold)[0])
    bare = calibration.cost_point("false_alarm=10, prior=0.05, miss=1")
    assert (bare.threshold, bare.prior_spoof, bare.miss) == (found.threshold, 0.05, None)
    assert calibration.cost_point("prior=0.5,miss=1,false_alarm=1").threshold == 0
    assert calibration.cost_point("fpr=0.02") is None


@pytest.mark.parametrize(
    "name",
    ["", "far", "fpr", "fpr=", "fpr=1", "fpr=-0.1", "fnr=nan", "fpr=0.1,fnr=0.1", "prior=0.05", "eer=0.1"]
    + [f"prior={p},miss={m},false_alarm={f}" for p, m, f in ((0, 1, 1), (1, 1, 1), (0.5, 0, 1), (0.5, 1, "inf"))],
)
def test_other_names_of_operating_points_are_refused_with_the_forms(name):
    with pytest.raises(ConfigError, match="expected one of eer, min_dcf, fpr=RATE, fnr=RATE, prior=P,miss=COST"):
        calibration.check_name(name)
