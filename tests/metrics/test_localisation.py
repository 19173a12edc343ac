"""Localisation: range EER, segment EER and located segments, each against values computed by hand."""

import numpy as np
import pytest

from pipeline import metrics
from pipeline.metrics import MetricError
from pipeline.metrics.localisation import Timeline, located, range_eer, segment_eer


def timeline(scores, spoofed, *, hop_s=1.0):
    return Timeline(hop_s * np.arange(len(scores) + 1), np.array(scores, float), spoofed)


def test_range_eer_is_of_time():
    # Bonafide: 2 s at 3, 0.5 s at -1, 0.5 s at 1. Spoofed: 0.5 s at -1, 0.5 s at 1.
    one = timeline([3, -1, 1, 3], [(1.5, 2.5)])
    # Calling all of -1 spoof misses 0.5/3 and accepts 0.5; of the time at 1, the share a with
    # (0.5 + 0.5 a) / 3 = 0.5 (1 - a) is called spoof too: a = 0.5.
    assert range_eer([one]) == pytest.approx(0.25)
    assert range_eer([timeline([3, -1, -1, 3], [(1, 3)])]) == 0.0
    assert range_eer([timeline([0, 0], [(0, 1)])]) == 0.5


def test_range_eer_weighs_recordings_by_their_time():
    # Spoofed 1 s at -1 and 3 s at 2, bonafide 4 s at 1 and 1 s at -2: accepting all above 1 accepts 3/4 and
    # misses all; at -1, 0.2 of bonafide is missed, 3/4 accepted. Between, all at 1: (1 + 4 a) / 5 = 0.75, a = 0.6875.
    long = Timeline(np.array([0.0, 3.0, 7.0]), np.array([2.0, 1.0]), [(0.0, 3.0)])
    short = timeline([-1, -2], [(0, 1)])
    assert range_eer([long, short]) == pytest.approx(0.75)


def test_range_eer_needs_both_kinds_of_time():
    with pytest.raises(MetricError, match=r"2 s bonafide, 0 spoofed"):
        range_eer([timeline([0, 0], [])])
    with pytest.raises(MetricError, match="0 s bonafide"):
        range_eer([])


def test_segments_are_trials_and_any_spoof_makes_one_spoofed():
    one = timeline([3, -1, 1, 2], [(1.5, 2.5)])
    # Halves of a second: spoofed are 1.5 to 2.0 (-1) and 2.0 to 2.5 (1); bonafide 3 3 -1 1 2 2.
    expected = metrics.eer([3, 3, -1, 1, 2, 2, -1, 1], np.array([1, 1, 1, 1, 1, 1, 0, 0], bool))
    assert segment_eer([one], 0.5) == expected
    # 0 to 1.5 (middle in the first window), 1.5 to 3 (in the third), and the rest.
    assert segment_eer([one], 1.5) == metrics.eer([3, 1, 2], np.array([1, 0, 1], bool))
    assert segment_eer([timeline([3, -3], [(1, 2)])], 0.1) == 0.0


def test_a_located_segment_begins_and_ends_within_the_tolerance():
    truth = [(2.0, 6.0)]
    for given, right in {(2.0, 6.0): 1, (3.0, 7.0): 1, (2.0, 7.1): 0, (0.9, 6.0): 0}.items():
        found = located([([given], truth, 10.0)])
        assert (found.true, found.found, found.right) == (1, 1, right)
        assert found.false_per_hour == pytest.approx((1 - right) * 360)


def test_a_found_segment_counts_once():
    found = located([([(1.0, 2.0)], [(0.5, 1.5), (1.5, 2.5)], 3600.0), ([(0.0, 1.0)], [], 3600.0)])
    assert (found.recall, found.precision, found.false_per_hour) == (0.5, 0.5, 0.5)
    assert found.f1 == 0.5
    nothing = located([([], [], 1.0)])
    assert (nothing.recall, nothing.precision) == (0.0, 1.0)
