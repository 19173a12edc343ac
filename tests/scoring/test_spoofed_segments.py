"""Spoofed segmentes: the path is the best of all paths, silence says nothing, and edges lie between windows."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.scoring import spoofed_segments

GAINS = st.lists(st.integers(-40, 40).map(lambda n: n / 8), min_size=1, max_size=9)


def worth(states, gains, switch_cost):
    changes = sum(a != b for a, b in itertools.pairwise(states))
    return sum(g for g, s in zip(gains, states, strict=True) if s) - switch_cost * changes


@given(GAINS, st.integers(0, 24).map(lambda n: n / 8))
def test_the_path_is_the_best_of_all(gains, switch_cost):
    found = spoofed_segments.viterbi(np.array(gains), switch_cost)
    best = max(worth(states, gains, switch_cost) for states in itertools.product((False, True), repeat=len(gains)))
    assert worth(found, gains, switch_cost) == best


def find(scores, *, spoken=None, threshold=0.0, switch_cost=1.0, hop_s=0.5, window_s=2.0):
    times_s = window_s / 2 + hop_s * np.arange(len(scores))
    return spoofed_segments.find(
        times_s,
        np.array(scores, float),
        np.ones(len(scores), bool) if spoken is None else np.array(spoken, bool),
        start_s=0.0,
        end_s=times_s[-1] + window_s / 2,
        window_s=window_s,
        threshold=threshold,
        switch_cost=switch_cost,
    )


def test_a_segment_begins_and_ends_midway_between_windows():
    (found,) = find([3] * 6 + [-3] * 6 + [3] * 6)
    # Windows 6 to 11 have their middles at 4.0 to 6.5 s.
    assert (found.start_s, found.end_s, found.score) == (3.75, 6.75, -3.0)
    assert found.confidence == pytest.approx(1 / (1 + math.exp(-3)))


def test_a_segment_at_the_edge_reaches_it():
    assert [(s.start_s, s.end_s) for s in find([-3] * 4 + [3] * 8)] == [(0.0, 2.75)]
    assert [(s.start_s, s.end_s) for s in find([-3] * 4)] == [(0.0, 3.5)]
    assert [(s.start_s, s.end_s) for s in find([-3])] == [(0.0, 2.0)]


def test_single_windows_that_err_change_nothing():
    assert find([3, 3, 3, -3, 3, 3, 3]) == []
    (found,) = find([-3, -3, -3, 3, -3, -3, -3])
    assert found.end_s == 5.0


def test_evidence_counts_by_the_share_of_its_window_that_is_its_own():
    # Two changes of 1.5 cost as much as four windows of 3 nats count a quarter each: 3 nats.
    scores = [3] * 6 + [-3] * 4 + [3] * 6
    assert find(scores, switch_cost=1.49)
    assert not find(scores, switch_cost=1.51)


def test_windows_without_speech_are_no_evidence():
    assert find([-3] * 8, spoken=[False] * 8) == []
    (found,) = find([-3] * 4 + [-9] * 4, spoken=[True] * 4 + [False] * 4)
    assert found.score == -3.0


def test_no_score_is_worth_more_than_the_limit():
    many = [3] * 6 + [-500] + [3] * 6
    assert find(many, switch_cost=spoofed_segments.MAX_SCORE / 8 + 0.01) == []
    assert len(find(many, switch_cost=spoofed_segments.MAX_SCORE / 8 - 0.01)) == 1


def test_the_threshold_moves_what_counts_as_low():
    assert find([1.0] * 8) == []
    assert len(find([1.0] * 8, threshold=2.0)) == 1
    assert find([0.0] * 8) == []  # a tie is no evidence


def test_runs():
    assert spoofed_segments.runs([True, False, False, True, True]) == [(0, 0), (3, 4)]
    assert spoofed_segments.runs([False]) == []


@pytest.mark.parametrize("start_s", [4.1, 4.35, 4.9])
def test_edges_lie_where_windows_are_spoofed_by_half(start_s):
    end_s = start_s + 7
    middles = 1.0 + 0.5 * np.arange(30)
    share = np.clip(np.minimum(middles - start_s, end_s - middles) / 2 + 0.5, 0, 1)
    (found,) = find(5 - 7 * share)
    assert found.start_s == pytest.approx(start_s, abs=0.06)
    assert found.end_s == pytest.approx(end_s, abs=0.06)


def test_edges_of_windows_that_do_not_overlap_stay_between_them():
    (found,) = find([3, 3, 1, -3, -3, -3, 2, 3, 3], hop_s=2.0, threshold=0.5)
    assert (found.start_s, found.end_s) == (6.0, 12.0)


@given(st.lists(st.integers(-6, 6), min_size=1, max_size=40))
def test_edges_keep_their_order_within_the_recording(scores):
    found = find(scores, switch_cost=0.5)
    places = [place for segment in found for place in (segment.start_s, segment.end_s)]
    assert places == sorted(set(places))
    assert all(0 <= place <= (len(scores) - 1) * 0.5 + 2 for place in places)


def test_a_recording_has_a_threshold_between_the_operating_point_and_its_level():
    assert spoofed_segments.own_threshold(1.0, np.array([5.0, 5.0, -9.0])) == 2.0
    assert spoofed_segments.own_threshold(1.0, np.array([-3.0])) == 0.0
    assert spoofed_segments.own_threshold(1.0, np.array([])) == 1.0
