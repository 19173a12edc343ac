"""Figures of merit against the ASVspoof 5 table, scikit-learn and brute force, and what holds for any data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import log_loss, precision_recall_fscore_support, roc_auc_score, roc_curve

from pipeline import metrics
from pipeline.metrics import MetricError


def quantiles(count: int, mean: float) -> np.ndarray:
    """``count`` evenly spaced quantiles of a unit normal around ``mean``."""
    return mean + norm.ppf((np.arange(count) + 0.5) / count)


def trials(bonafide, spoof) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels of two lists of scores."""
    return np.concatenate([bonafide, spoof]), np.arange(len(bonafide) + len(spoof)) < len(bonafide)


SCORES = st.lists(st.integers(-50, 50).map(lambda k: k / 8), min_size=1, max_size=40)
REFERENCE = {
    "five": ([2, 1, 0.5, -0.2], [-1, -0.5, 0.1, 0.8, -2], 0.225, 0.4, 0.6, 0.717058525),
    "normal": (quantiles(1000, 1), quantiles(9000, -1), 0.158888889, 0.424788889, 0.455111111, 0.586904492),
    "asvspoof2017": (quantiles(1298, 1), quantiles(12008, -1), 0.158716608, 0.424988631, 0.455239650, 0.586920101),
    "doubled": (2 * quantiles(1298, 1), 2 * quantiles(12008, -1), 0.158716608, 0.424988631, 0.425702921, 0.513950261),
    "ties": ([1, 1, 1, 0, 0], [0, 0, 0, 0, 1, -1, -1, -1], 0.279166667, 0.625, 0.625, 0.788736036),
    "separable": ([3, 4, 5], [-1, -2, -3, -4], 0, 0, 0, 0.109079253),
}


@pytest.mark.parametrize("name", REFERENCE)
def test_reference_table(name):
    bonafide, spoof, *expected = REFERENCE[name]
    data = trials(bonafide, spoof)
    found = [figure(*data) for figure in (metrics.eer, metrics.min_dcf, metrics.act_dcf, metrics.cllr)]
    assert found == pytest.approx(expected, abs=1e-9)


def test_bayes_threshold_of_the_challenge():
    assert pytest.approx(-0.641853886, abs=1e-9) == metrics.BAYES_THRESHOLD


def test_auc_equals_scikit_learn(rng):
    scores, labels = rng.normal(size=3000).round(1), rng.random(3000) < 0.2
    assert metrics.auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_summary_equals_scikit_learn(rng):
    labels = rng.random(500) < 0.3
    logits = rng.normal(size=500) + 2.0 * labels
    scores, threshold = 1.5 * logits - 0.2, 0.4
    found = metrics.summary(scores, labels, threshold=threshold, logits=logits)
    precision, recall, f1, _ = precision_recall_fscore_support(labels, scores >= threshold, average="binary")
    expected = {
        "loss": log_loss(labels, 1 / (1 + np.exp(-logits))),
        "accuracy": np.mean((scores >= threshold) == labels),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "auc": roc_auc_score(labels, scores),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert list(found) == [*expected, "eer", "min_dcf", "act_dcf", "cllr"]


def test_precision_and_f1_are_zero_where_nothing_is_called_bonafide():
    found = metrics.summary(*trials([1.0], [0.0]), threshold=9.0, logits=np.zeros(2))
    assert (found["precision"], found["recall"], found["f1"]) == (0, 0, 0)


def test_confusion_counts_a_score_at_the_threshold_as_bonafide():
    scores, labels = trials([2, 1, -1], [1, 0, -1, -2])
    assert metrics.confusion(scores, labels, 1.0) == metrics.Confusion(2, 1, 1, 3)


def test_a_saturated_loss_stays_finite():
    assert metrics.cross_entropy(np.array([-1000.0, 1000.0]), np.array([True, True])) == 500.0


@pytest.mark.parametrize("name", REFERENCE)
def test_thresholds_give_the_error_rates_that_they_are_for(name):
    data = trials(*REFERENCE[name][:2])
    miss, false_alarm = metrics.error_rates(*data, metrics.min_dcf_threshold(*data))
    assert (0.95 * miss + 0.5 * false_alarm) / 0.5 == pytest.approx(metrics.min_dcf(*data), abs=1e-12)
    miss, false_alarm = metrics.error_rates(*data, metrics.eer_threshold(*data))
    expected = (0.4 + 0.125) / 2 if name == "ties" else metrics.eer(*data)
    assert (miss + false_alarm) / 2 == pytest.approx(expected, abs=1e-12)


RATES = [0.0, 0.01, 0.1, 0.25, 1 / 3, 0.5, 0.999]


@settings(deadline=None)
@given(st.data(), st.sampled_from(RATES))
def test_a_rate_is_kept_by_the_threshold_that_asks_least_of_the_other_class(data, rate):
    scores, labels = trials(data.draw(SCORES), data.draw(SCORES))
    cuts = [*np.unique(scores), np.inf]
    rates = [(np.mean(scores[labels] < c), np.mean(scores[~labels] >= c)) for c in cuts]
    miss, false_alarm = metrics.error_rates(scores, labels, metrics.false_alarm_threshold(scores, labels, rate))
    assert false_alarm <= rate + 1e-9
    assert miss == min(m for m, f in rates if f <= rate + 1e-9)
    miss, false_alarm = metrics.error_rates(scores, labels, metrics.miss_threshold(scores, labels, rate))
    assert miss <= rate + 1e-9
    assert false_alarm == min(f for m, f in rates if m <= rate + 1e-9)


def test_one_of_a_hundred_is_one_percent():
    scores, labels = trials(np.arange(100.0), np.arange(100) - 50.5)
    assert metrics.error_rates(scores, labels, metrics.false_alarm_threshold(scores, labels, 0.01))[1] == 0.01
    assert metrics.error_rates(scores, labels, metrics.miss_threshold(scores, labels, 0.01))[0] == 0.01


def test_a_threshold_between_neighbouring_floats_still_separates_them():
    low = 1.0
    high = np.nextafter(low, 2)
    assert metrics.eer_threshold(*trials([high], [low])) == high


def test_the_curve_counts_below_and_at_or_above_each_score():
    points = metrics.curve(*trials([3.0, 1.0], [2.0, 0.0]))
    assert points.thresholds[1:].tolist() == [0, 1, 2, 3]
    assert points.miss.tolist() == [0, 0, 0.5, 0.5, 1]
    assert points.false_alarm.tolist() == [1, 0.5, 0.5, 0, 0]


def figures_of_rank(scores, labels) -> list[float]:
    return [figure(scores, labels) for figure in (metrics.eer, metrics.min_dcf, metrics.auc)]


@settings(deadline=None)
@given(SCORES, SCORES)
def test_rising_maps_leave_figures_of_rank_alone(bonafide, spoof):
    scores, labels = trials(bonafide, spoof)
    expected = figures_of_rank(scores, labels)
    for rising in (lambda s: 3 * s - 7, np.exp, lambda s: s**3 + s, np.arctan):
        assert figures_of_rank(rising(scores), labels) == expected


@settings(deadline=None)
@given(SCORES, SCORES)
def test_swapping_classes_and_sign_mirrors(bonafide, spoof):
    scores, labels = trials(bonafide, spoof)
    assert metrics.auc(-scores, ~labels) == pytest.approx(metrics.auc(scores, labels), abs=1e-12)
    assert metrics.cllr(-scores, ~labels) == pytest.approx(metrics.cllr(scores, labels), abs=1e-12)
    points = metrics.curve(scores, labels)
    gaps = np.abs(points.miss - points.false_alarm)
    smallest = np.flatnonzero(gaps <= gaps.min() + 1e-12)
    rates = (points.miss + points.false_alarm)[smallest] / 2
    # Two points may be equally close to the diagonal; the challenge takes the first, which from the other side is
    # the last.
    for rate in (metrics.eer(scores, labels), metrics.eer(-scores, ~labels)):
        assert np.abs(rates - rate).min() < 1e-12
    if len(smallest) == 1:
        assert metrics.eer(-scores, ~labels) == pytest.approx(metrics.eer(scores, labels), abs=1e-12)


@settings(deadline=None)
@given(SCORES, SCORES)
def test_figures_stay_in_their_ranges(bonafide, spoof):
    data = trials(bonafide, spoof)
    assert 0 <= metrics.eer(*data) <= 1
    assert 0 <= metrics.auc(*data) <= 1
    assert 0 <= metrics.min_dcf(*data) <= min(1, metrics.act_dcf(*data)) + 1e-12
    assert metrics.cllr(*data) >= 0


@settings(deadline=None)
@given(SCORES, st.randoms(use_true_random=False))
def test_the_order_of_trials_does_not_matter(scores, random):
    scores, labels = trials(scores, [0.0, 1.0])
    order = np.array(random.sample(range(len(scores)), len(scores)))
    expected = [f(scores, labels) for f in (metrics.eer, metrics.min_dcf, metrics.auc, metrics.act_dcf)]
    found = [f(scores[order], labels[order]) for f in (metrics.eer, metrics.min_dcf, metrics.auc, metrics.act_dcf)]
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("bonafide", "spoof"), [(1, 1), (3, 5), (40, 2), (1298, 12008)])
def test_equal_scores_hold_no_information(bonafide, spoof):
    data = trials([0.0] * bonafide, [0.0] * spoof)
    assert metrics.auc(*data) == 0.5
    assert metrics.eer(*data) == pytest.approx(0.5, abs=1e-12)
    assert metrics.cllr(*data) == 1.0


def eers_of_the_challenge(scores, labels) -> np.ndarray:
    """EER by the challenge's definition, bonafide before spoof in a tie; two values if two points are equally near."""
    order = np.lexsort((~labels, scores))
    false_alarm, detected, _ = roc_curve(labels[order], -np.arange(len(order)), drop_intermediate=False)
    # Ranks fall along the order, so scikit-learn detects what lies below: rates of the mirrored decision.
    miss, false_alarm = detected, 1 - false_alarm
    gaps = np.abs(miss - false_alarm)
    return (miss + false_alarm)[gaps <= gaps.min() + 1e-12] / 2


@settings(deadline=None)
@given(st.permutations(range(30)), st.integers(1, 29))
def test_without_ties_the_eer_is_that_of_the_challenge(scores, bonafide):
    data = np.array(scores, float), np.arange(30) < bonafide
    assert np.abs(eers_of_the_challenge(*data) - metrics.eer(*data)).min() < 1e-12


@settings(deadline=None)
@given(SCORES, SCORES)
def test_ties_within_a_class_leave_the_eer_alone(bonafide, spoof):
    data = trials(np.array(bonafide), np.array(spoof) + 1 / 16)
    assert np.abs(eers_of_the_challenge(*data) - metrics.eer(*data)).min() < 1e-12


@pytest.mark.parametrize("decimals", [0, 1, 2])
def test_rounding_moves_the_eer_no_further_than_the_scores(rng, decimals):
    labels = rng.random(4000) < 0.2
    scores = rng.normal(size=4000) + 1.5 * labels
    shift = np.where(labels, 0.5, -0.5) * 10.0**-decimals
    step = 1 / labels.sum()
    found = metrics.eer(scores.round(decimals), labels)
    assert metrics.eer(scores + shift, labels) - step <= found <= metrics.eer(scores - shift, labels) + step


def test_a_tie_is_crossed_in_equal_steps():
    points = metrics.curve(*trials([0.0, 0.0], [0.0, 0.0, -1.0, 1.0]))
    assert points.miss == pytest.approx([0, 0, 0.25, 0.5, 0.75, 1, 1], abs=1e-12)
    assert points.false_alarm == pytest.approx([1, 0.75, 0.625, 0.5, 0.375, 0.25, 0], abs=1e-12)


def test_one_clip_a_class_is_enough():
    found = metrics.summary(*trials([2.0], [-2.0]), threshold=0.0, logits=np.array([2.0, -2.0]))
    assert (found["eer"], found["auc"], found["accuracy"]) == (0, 1, 1)
    found = metrics.summary(*trials([-2.0], [2.0]), threshold=0.0, logits=np.array([-2.0, 2.0]))
    assert (found["eer"], found["auc"], found["accuracy"]) == (1, 0, 0)


FIGURES = (
    metrics.curve,
    metrics.eer,
    metrics.eer_threshold,
    metrics.min_dcf,
    metrics.min_dcf_threshold,
    metrics.act_dcf,
    metrics.cllr,
    metrics.auc,
    lambda scores, labels: metrics.summary(scores, labels, threshold=0.0, logits=scores),
)


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([], [], "there are no trials"),
        ([1.0], [True], "1 bonafide and 0 spoof"),
        ([1.0, 2.0, 3.0], [False] * 3, "0 bonafide and 3 spoof"),
        ([1.0, np.nan, 2.0, np.nan], [True, True, False, False], "2 of 4 scores are not finite, the first is nan"),
        ([1.0, -np.inf], [True, False], "the first is -inf"),
        ([1.0, 2.0, 3.0], [True, False], "3 scores for 2 labels"),
    ],
)
def test_scores_without_a_figure_are_refused(figure, scores, labels, message):
    with pytest.raises(MetricError, match=message):
        figure(np.array(scores), np.array(labels, bool))


def test_the_loss_alone_is_defined_for_one_class():
    assert metrics.cross_entropy(np.zeros(3), np.ones(3, bool)) == pytest.approx(np.log(2))


@pytest.fixture
def rng():
    return np.random.default_rng(0)
