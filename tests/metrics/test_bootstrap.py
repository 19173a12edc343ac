"""The bootstrap against plain loops that copy trials, and properties of any data."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from pipeline import metrics
from pipeline.metrics import MetricError, bootstrap

SCORES = st.lists(st.integers(-50, 50).map(lambda k: k / 8), min_size=1, max_size=40)
ADDED_OR_RANKED = ("auc", "min_dcf", "act_dcf", "cllr", "loss", "accuracy", "precision", "recall", "f1")


def quantiles(count: int, mean: float) -> np.ndarray:
    """``count`` evenly spaced quantiles of a unit normal around ``mean``."""
    return mean + norm.ppf((np.arange(count) + 0.5) / count)


def trials(bonafide, spoof) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels of two lists of scores."""
    return np.concatenate([bonafide, spoof]), np.arange(len(bonafide) + len(spoof)) < len(bonafide)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def resampled_eers(scores, labels, groups, rng, count) -> list[float]:
    """EER of resamples made by copying trials group by group."""
    names = np.unique(groups)
    found = []
    while len(found) < count:
        rows = np.concatenate([np.flatnonzero(groups == g) for g in rng.choice(names, len(names))])
        if 0 < labels[rows].sum() < len(rows):
            found.append(metrics.eer(scores[rows], labels[rows]))
    return found


def exact_eer(scores: np.ndarray, labels: np.ndarray) -> float:
    """EER in fractions: a tie is crossed on a straight line, in one step per trial."""
    miss, false_alarm = [Fraction(0)], [Fraction(1)]
    for score in np.unique(scores):
        here = labels[scores == score]
        rises, falls = Fraction(int(here.sum()), int(labels.sum())), Fraction(int((~here).sum()), int((~labels).sum()))
        for _ in here:
            miss.append(miss[-1] + rises / len(here))
            false_alarm.append(false_alarm[-1] - falls / len(here))
    nearest = min(range(len(miss)), key=lambda at: abs(miss[at] - false_alarm[at]))
    return float((miss[nearest] + false_alarm[nearest]) / 2)


@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_a_weight_is_a_number_of_copies_for_every_figure(rng, decimals):
    """Each figure of weighted trials is that of ``metrics`` on copied trials, with and without ties."""
    labels = rng.random(60) < 0.4
    scores = np.round(rng.normal(size=60) + labels, decimals)
    weights = rng.integers(0, 4, (100, 60))
    system = bootstrap._System.of(scores, labels, None, 0.3, 2 * scores)
    found = system.figures(weights.T.astype(float), ("eer", *ADDED_OR_RANKED))
    for index, copies in enumerate(weights):
        rows = np.repeat(np.arange(60), copies)
        own, truth = scores[rows], labels[rows]
        expected = metrics.summary(own, truth, threshold=0.3, logits=2 * own)
        for name in ADDED_OR_RANKED:
            assert found[name][index] == pytest.approx(expected[name], abs=1e-9), name
        assert found["eer"][index] == pytest.approx(exact_eer(own, truth), abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(SCORES, SCORES)
def test_with_weights_of_one_the_eer_is_that_of_metrics(bonafide, spoof):
    scores, labels = trials(bonafide, spoof)
    found = bootstrap._System.of(scores, labels, None).figures(np.ones((len(labels), 1)), ("eer",))["eer"][0]
    assert found == pytest.approx(exact_eer(scores, labels), abs=1e-12)
    points = metrics.curve(scores, labels)
    gaps = np.abs(points.miss - points.false_alarm)
    if (gaps <= gaps.min() + 1e-12).sum() == 1:
        assert found == pytest.approx(metrics.eer(scores, labels), abs=1e-12)


def test_constant_scores_have_an_interval_at_one_half():
    assert bootstrap.eer_interval(np.zeros(50), np.arange(50) < 15) == pytest.approx((0.5, 0.5))


def test_groups_weigh_all_their_trials(rng):
    labels, groups = rng.random(80) < 0.5, rng.integers(9, size=80)
    scores = rng.normal(size=80) + labels
    weights = rng.integers(0, 3, (9, 30)).astype(float)
    names = ("eer", "auc", "min_dcf", "act_dcf", "cllr")
    by_group = bootstrap._System.of(scores, labels, groups).figures(weights, names)
    by_trial = bootstrap._System.of(scores, labels, None).figures(weights[groups], names)
    for name in names:
        assert by_group[name] == pytest.approx(by_trial[name], abs=1e-12)


def test_intervals_hold_their_figures(rng):
    labels = rng.random(300) < 0.3
    scores = rng.normal(size=300) + 2 * labels
    names = ("eer", *ADDED_OR_RANKED)
    found = bootstrap.intervals(scores, labels, names=names, threshold=0.8, logits=scores)
    point = metrics.summary(scores, labels, threshold=0.8, logits=scores)
    assert set(found) == set(names)
    for name in names:
        low, high = found[name]
        assert low < point[name] < high or (name == "min_dcf" and low < high), name


def test_resamples_without_a_class_are_drawn_again():
    groups = np.array([0, 1, 2, 2])
    system = bootstrap._System.of(np.arange(4.0), groups == 0, groups)
    weights = np.concatenate(list(bootstrap._draws(system, 500, 0)), axis=1)
    assert weights.shape == (3, 500)
    assert (weights.sum(axis=0) == 3).all()
    assert (weights[0] > 0).all()
    assert (weights[1:].sum(axis=0) > 0).all()


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([], [], "there are no trials"),
        ([1.0], [True], "1 bonafide and 0 spoof"),
        ([1.0, np.nan], [True, False], "1 of 2 scores are not finite"),
    ],
)
def test_scores_without_a_figure_have_no_interval(scores, labels, message):
    with pytest.raises(MetricError, match=message):
        bootstrap.intervals(np.array(scores), np.array(labels, bool))


def test_the_interval_is_that_of_copied_speakers(rng):
    groups = np.repeat(np.arange(12), 25)
    labels = rng.random(300) < 0.4
    scores = rng.normal(size=300) + labels + rng.normal(size=12)[groups]
    expected = np.quantile(resampled_eers(scores, labels, groups, rng, 1500), (0.025, 0.975))
    low, high = bootstrap.eer_interval(scores, labels, groups.astype(str), resamples=3000)
    assert (low, high) == pytest.approx(expected, abs=0.012)
    assert low < metrics.eer(scores, labels) < high


def test_speakers_vary_more_than_their_clips(rng):
    groups = np.repeat(np.arange(20), 50)
    labels = rng.random(1000) < 0.5
    scores = rng.normal(size=1000) + 2 * labels + 2 * rng.normal(size=20)[groups]
    by_speaker, by_clip = bootstrap.eer_interval(scores, labels, groups), bootstrap.eer_interval(scores, labels)
    assert np.ptp(by_speaker) > 1.5 * np.ptp(by_clip)


def test_the_interval_of_clips_is_as_wide_as_theory_says():
    data = trials(quantiles(1000, 1), quantiles(1000, -1))
    low, high = bootstrap.eer_interval(*data)
    # Miss and false alarm each vary like a share of 1,000; the EER is their mean.
    half = 1.96 * np.sqrt(0.1587 * 0.8413 / 1000 / 2)
    assert (low, high) == pytest.approx((0.1587 - half, 0.1587 + half), abs=0.003)


def test_the_interval_is_the_same_for_the_same_seed(rng):
    labels = rng.random(200) < 0.5
    scores = rng.normal(size=200) + labels
    assert bootstrap.eer_interval(scores, labels, seed=3) == bootstrap.eer_interval(scores, labels, seed=3)
    assert bootstrap.eer_interval(scores, labels, seed=3) != bootstrap.eer_interval(scores, labels, seed=4)


def test_separated_classes_have_an_interval_of_zero():
    assert bootstrap.eer_interval(*trials([1, 2, 3], [-1, -2])) == (0, 0)


def test_one_clip_a_class_has_an_interval():
    assert bootstrap.eer_interval(*trials([1.0], [-1.0])) == (0, 0)


def test_a_single_speaker_has_no_interval():
    with pytest.raises(MetricError, match="at least two groups"):
        bootstrap.eer_interval(*trials([1, 2], [-1, -2]), np.array(["a"] * 4))


@settings(max_examples=25, deadline=None)
@given(SCORES, SCORES)
def test_intervals_stay_in_range(bonafide, spoof):
    low, high = bootstrap.eer_interval(*trials(bonafide, spoof), resamples=20)
    assert 0 <= low <= high <= 1


def test_a_system_does_not_differ_from_itself():
    scores, labels = trials(*np.random.default_rng(0).normal([[1], [-1]], 1, (2, 60)))
    assert bootstrap.eer_difference(scores, scores, labels) == (0, 0, 0)


def test_the_paired_interval_is_that_of_a_plain_loop():
    rng = np.random.default_rng(5)
    labels = rng.random(240) < 0.5
    first, second = (rng.normal(labels * distance, 1) for distance in (0.8, 1.6))
    groups = rng.integers(12, size=240)
    difference, low, high = bootstrap.eer_difference(first, second, labels, groups, resamples=2000)
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
    _, low, high = bootstrap.eer_difference(first, second, labels)
    alone = bootstrap.eer_interval(first, labels)
    assert high - low < (alone[1] - alone[0]) / 2


def test_several_trainings_are_compared_by_their_mean():
    rng = np.random.default_rng(7)
    labels = rng.random(200) < 0.5
    runs = rng.normal(labels * 1.0, 1, (3, 200))
    single = rng.normal(labels * 2.0, 1)
    difference, low, high = bootstrap.eer_difference(runs, single, labels)
    expected = np.mean([metrics.eer(scores, labels) for scores in runs]) - metrics.eer(single, labels)
    assert difference == pytest.approx(expected)
    assert low < difference < high


def test_the_interval_of_several_trainings_is_of_their_mean():
    rng = np.random.default_rng(8)
    labels = rng.random(200) < 0.5
    runs = rng.normal(labels * 1.0, 1, (3, 200))
    low, high = bootstrap.eer_interval(runs, labels)
    assert low < np.mean([metrics.eer(scores, labels) for scores in runs]) < high
    alone = bootstrap.eer_interval(runs[0], labels)
    assert bootstrap.eer_interval(runs[[0, 0, 0]], labels) == pytest.approx(alone)
