"""Figures of merit against the ASVspoof 5 table, scikit-learn and brute force, and what holds for any data."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import log_loss, precision_recall_fscore_support, roc_auc_score

from pipeline import metrics
from pipeline.metrics import MetricError


def quantiles(count: int, mean: float) -> np.ndarray:
    """``count`` evenly spaced quantiles of a unit normal around ``mean``."""
    return mean + norm.ppf((np.arange(count) + 0.5) / count)


def trials(bonafide, spoof) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels of two lists of scores."""
    return np.concatenate([bonafide, spoof]), np.arange(len(bonafide) + len(spoof)) < len(bonafide)


REFERENCE = {
    "five": ([2, 1, 0.5, -0.2], [-1, -0.5, 0.1, 0.8, -2], 0.225, 0.4, 0.6, 0.717058525),
    "normal": (quantiles(1000, 1), quantiles(9000, -1), 0.158888889, 0.424788889, 0.455111111, 0.586904492),
    "asvspoof2017": (quantiles(1298, 1), quantiles(12008, -1), 0.158716608, 0.424988631, 0.455239650, 0.586920101),
    "doubled": (2 * quantiles(1298, 1), 2 * quantiles(12008, -1), 0.158716608, 0.424988631, 0.425702921, 0.513950261),
    "ties": ([1, 1, 1, 0, 0], [0, 0, 0, 0, 1, -1, -1, -1], 0.3875, 0.625, 0.625, 0.788736036),
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
    if name != "ties":
        miss, false_alarm = metrics.error_rates(*data, metrics.eer_threshold(*data))
        assert (miss + false_alarm) / 2 == pytest.approx(metrics.eer(*data), abs=1e-12)


def test_a_threshold_between_neighbouring_floats_still_separates_them():
    low = 1.0
    high = np.nextafter(low, 2)
    assert metrics.eer_threshold(*trials([high], [low])) == high


def test_the_curve_counts_below_and_at_or_above_each_score():
    points = metrics.curve(*trials([3.0, 1.0], [2.0, 0.0]))
    assert points.thresholds[1:].tolist() == [0, 1, 2, 3]
    assert points.miss.tolist() == [0, 0, 0.5, 0.5, 1]
    assert points.false_alarm.tolist() == [1, 0.5, 0.5, 0, 0]


SCORES = st.lists(st.integers(-50, 50).map(lambda k: k / 8), min_size=1, max_size=40)


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


def test_equal_scores_say_nothing():
    data = trials([0.0] * 3, [0.0] * 5)
    assert metrics.auc(*data) == 0.5
    assert metrics.cllr(*data) == 1.0


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
    metrics.eer_interval,
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
def test_what_no_figure_is_defined_of_is_refused(figure, scores, labels, message):
    with pytest.raises(MetricError, match=message):
        figure(np.array(scores), np.array(labels, bool))


def test_the_loss_alone_is_defined_for_one_class():
    assert metrics.cross_entropy(np.zeros(3), np.ones(3, bool)) == pytest.approx(np.log(2))


def resampled_eers(scores, labels, groups, rng, count) -> list[float]:
    """EER of resamples made by copying trials group by group."""
    names = np.unique(groups)
    found = []
    while len(found) < count:
        rows = np.concatenate([np.flatnonzero(groups == g) for g in rng.choice(names, len(names))])
        if 0 < labels[rows].sum() < len(rows):
            found.append(metrics.eer(scores[rows], labels[rows]))
    return found


def eer_in_whole_numbers(bonafide: np.ndarray) -> float:
    """EER of sorted trials, found without rounding."""
    missed, rejected = np.cumsum(np.r_[0, bonafide]), np.cumsum(np.r_[0, ~bonafide])
    accepted = rejected[-1] - rejected
    nearest = np.argmin(np.abs(missed * rejected[-1] - accepted * missed[-1]))
    return (missed[nearest] / missed[-1] + accepted[nearest] / rejected[-1]) / 2


def test_a_weight_is_a_number_of_copies(rng):
    labels = rng.random(60) < 0.4
    weights = rng.integers(0, 4, (200, 60))
    expected = [eer_in_whole_numbers(np.repeat(labels, w)) for w in weights]
    assert metrics._weighted_eer(weights, labels) == pytest.approx(expected, abs=1e-12)
    lacking = np.array([[1, 1, 0, 0], [1, 0, 1, 1]])
    assert metrics._weighted_eer(lacking, np.array([True, True, False, False])).tolist() == [1]


def test_the_interval_is_that_of_copied_speakers(rng):
    groups = np.repeat(np.arange(12), 25)
    labels = rng.random(300) < 0.4
    scores = rng.normal(size=300) + labels + rng.normal(size=12)[groups]
    expected = np.quantile(resampled_eers(scores, labels, groups, rng, 1500), (0.025, 0.975))
    low, high = metrics.eer_interval(scores, labels, groups.astype(str), resamples=3000)
    assert (low, high) == pytest.approx(expected, abs=0.012)
    assert low < metrics.eer(scores, labels) < high


def test_speakers_vary_more_than_their_clips(rng):
    groups = np.repeat(np.arange(20), 50)
    labels = rng.random(1000) < 0.5
    scores = rng.normal(size=1000) + 2 * labels + 2 * rng.normal(size=20)[groups]
    by_speaker, by_clip = metrics.eer_interval(scores, labels, groups), metrics.eer_interval(scores, labels)
    assert np.ptp(by_speaker) > 1.5 * np.ptp(by_clip)


def test_the_interval_of_clips_is_as_wide_as_theory_says():
    data = trials(quantiles(1000, 1), quantiles(1000, -1))
    low, high = metrics.eer_interval(*data)
    # Miss and false alarm each vary like a share of 1,000; the EER is their mean.
    half = 1.96 * np.sqrt(0.1587 * 0.8413 / 1000 / 2)
    assert (low, high) == pytest.approx((0.1587 - half, 0.1587 + half), abs=0.003)


def test_the_interval_is_the_same_for_the_same_seed(rng):
    labels = rng.random(200) < 0.5
    scores = rng.normal(size=200) + labels
    assert metrics.eer_interval(scores, labels, seed=3) == metrics.eer_interval(scores, labels, seed=3)
    assert metrics.eer_interval(scores, labels, seed=3) != metrics.eer_interval(scores, labels, seed=4)


def test_separated_classes_have_an_interval_of_zero():
    assert metrics.eer_interval(*trials([1, 2, 3], [-1, -2])) == (0, 0)


def test_one_clip_a_class_has_an_interval():
    assert metrics.eer_interval(*trials([1.0], [-1.0])) == (0, 0)


def test_a_single_speaker_has_no_interval():
    with pytest.raises(MetricError, match="at least two groups"):
        metrics.eer_interval(*trials([1, 2], [-1, -2]), np.array(["a"] * 4))


@settings(max_examples=25, deadline=None)
@given(SCORES, SCORES)
def test_intervals_stay_in_range(bonafide, spoof):
    low, high = metrics.eer_interval(*trials(bonafide, spoof), resamples=20)
    assert 0 <= low <= high <= 1


def test_a_million_clips_take_less_than_five_seconds(rng):
    labels = rng.random(1_000_000) < 0.1
    scores = rng.normal(size=1_000_000) + 2 * labels
    started = time.perf_counter()
    metrics.summary(scores, labels, threshold=0.0, logits=scores)
    assert time.perf_counter() - started < 5


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_a_system_does_not_differ_from_itself():
    scores, labels = trials(*np.random.default_rng(0).normal([[1], [-1]], 1, (2, 60)))
    assert metrics.eer_difference(scores, scores, labels) == (0, 0, 0)


def test_the_paired_interval_is_that_of_a_plain_loop():
    rng = np.random.default_rng(5)
    labels = rng.random(240) < 0.5
    first, second = (rng.normal(labels * distance, 1) for distance in (0.8, 1.6))
    groups = rng.integers(12, size=240)
    difference, low, high = metrics.eer_difference(first, second, labels, groups, resamples=2000)
    assert difference == pytest.approx(metrics.eer(first, labels) - metrics.eer(second, labels))
    drawn = []
    for _ in range(2000):
        rows = np.concatenate([np.flatnonzero(groups == g) for g in rng.integers(12, size=12)])
        drawn.append(metrics.eer(first[rows], labels[rows]) - metrics.eer(second[rows], labels[rows]))
    assert (low, high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.012)
    assert low < difference < high


def test_pairing_narrows_the_interval_of_systems_that_agree():
    rng = np.random.default_rng(6)
    labels = rng.random(400) < 0.5
    first = rng.normal(labels * 1.0, 1)
    second = first + rng.normal(0, 0.05, 400)
    _, low, high = metrics.eer_difference(first, second, labels)
    alone = metrics.eer_interval(first, labels)
    assert high - low < (alone[1] - alone[0]) / 2


def test_several_trainings_are_compared_by_their_mean():
    rng = np.random.default_rng(7)
    labels = rng.random(200) < 0.5
    runs = rng.normal(labels * 1.0, 1, (3, 200))
    single = rng.normal(labels * 2.0, 1)
    difference, low, high = metrics.eer_difference(runs, single, labels)
    expected = np.mean([metrics.eer(scores, labels) for scores in runs]) - metrics.eer(single, labels)
    assert difference == pytest.approx(expected)
    assert low < difference < high
