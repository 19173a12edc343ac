"""Smoothing of a stream's scores: exponential memory in seconds, and a steady label."""

import math

import pytest

from pipeline.streaming.smoothing import Hysteresis, RunningMean, reachable_margin


def test_a_score_one_memory_ago_weighs_one_over_e():
    mean = RunningMean(2.0)
    assert mean.value is None
    assert mean.add(1.0, 5.0) == 1.0
    assert mean.add(0.0, 7.0) == pytest.approx(math.exp(-1))


def test_a_late_score_moves_the_mean_as_far_as_many_in_time():
    often, once = RunningMean(1.5), RunningMean(1.5)
    for mean in (often, once):
        mean.add(4.0, 0.0)
    for step in range(1, 9):
        often.add(-2.0, 0.25 * step)
    assert once.add(-2.0, 2.0) == pytest.approx(often.value)


def test_no_memory_is_no_smoothing():
    mean = RunningMean(0.0)
    assert [mean.add(score, time_s) for time_s, score in enumerate((3.0, -1.0))] == [3.0, -1.0]


def test_the_label_changes_only_beyond_the_margin():
    decision = Hysteresis(threshold=1.0, margin=0.5)
    scores = (1.0, 0.6, 0.49, 1.4, 1.5, 0.5, 0.4)
    labels = ["bonafide", "bonafide", "spoof", "spoof", "bonafide", "bonafide", "spoof"]
    assert [decision.label(score) for score in scores] == labels


def test_the_first_label_needs_no_margin():
    assert Hysteresis(threshold=1.0, margin=0.5).label(0.99) == "spoof"


@pytest.mark.parametrize(("lower", "upper"), [(-3.0, 2.0), (-1.0, 9.0), (-math.inf, 2.0)])
@pytest.mark.parametrize("wanted", [0.5, 1.0, 5.0])
def test_scores_within_their_bounds_can_always_change_the_label(lower, upper, wanted):
    margin = reachable_margin(wanted, 1.0, lower, upper)
    decision = Hysteresis(1.0, margin)
    assert [decision.label(score) for score in (max(lower, -9) + 0.01, upper - 0.01, max(lower, -9) + 0.01)] == [
        *("spoof", "bonafide", "spoof")
    ]
    assert margin == (wanted if wanted < min(1 - lower, upper - 1) else min(1 - lower, upper - 1) / 2)


def test_a_threshold_outside_the_bounds_keeps_its_margin():
    assert reachable_margin(0.5, 4.0, -3.0, 2.0) == 0.5
