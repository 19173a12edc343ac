"""Benchmark of conversations: calls of eval speakers only, and counts on calls made by hand."""

import numpy as np
import pytest

from benchmarks import conversations
from pipeline.evaluation import calls, segment_threshold
from pipeline.evaluation.segment_threshold import Point
from pipeline.metrics.localisation import Located
from tests.support.made_windows import scored_windows


def test_calls_hold_one_speaker_and_one_attack_of_the_subset(synthetic_store):
    settings = {"calls": 8, "call_s": 20.0, "spoof_s": 4.0, "seed": 3}
    made = list(calls.splice(synthetic_store, synthetic_store.subset("eval"), **settings))
    table = synthetic_store.manifest.iloc[synthetic_store.subset("eval")]
    waves = {row: synthetic_store.samples(row) for row in table.index}
    assert [call.spoof_s is None for call in made] == [False, False, False, True] * 2
    for call in made:
        assert len(call.wave) == 320000
        labels = table[(table["speaker"] == call.speaker) & (table["label"] == "bonafide")]
        assert len(labels)
        # The call opens with a clip of its speaker.
        opening = (call.wave[:2000] * 32768).astype(np.int16)
        assert any(np.array_equal(opening, waves[row][:2000]) for row in labels.index)
        if call.spoof_s is None:
            continue
        start_s, end_s = call.spoof_s
        assert end_s - start_s == pytest.approx(4.0)
        assert 5.0 <= start_s <= 11.0
        inserted = (call.wave[round(start_s * 16000) :][:2000] * 32768).astype(np.int16)
        of_attack = table[table["attack"] == call.attack]
        assert any(np.array_equal(inserted, waves[row][:2000]) for row in of_attack.index)
    again = list(calls.splice(synthetic_store, synthetic_store.subset("eval"), **settings))
    assert all(np.array_equal(a.wave, b.wave) for a, b in zip(made, again, strict=True))


def timeline(scores):
    return scored_windows(scores, window_s=1.0, hop_s=1.0)


def test_plain_thresholds_take_each_window_by_itself():
    assert conversations.plain(timeline([2, -1, 2, -1, -1, 2]), 0.0) == [(1.0, 2.0), (3.0, 5.0)]


def test_segments_in_calls_without_spoof_are_false():
    found = segment_threshold.measure([(timeline([1.0] * 10), None)], lambda *_: [(0.0, 5.0), (6.0, 7.0)], 0.0).located
    assert (found.right, found.found, found.true, found.false_per_hour) == (0, 2, 0, 720.0)
    assert (found.precision, found.recall) == (0.0, 0.0)


def test_the_area_takes_the_best_precision_at_each_recall_or_more():
    points = [Point(0, Located(4, 2, 1, 0.1)), Point(1, Located(4, 2, 2, 0.1)), Point(2, Located(4, 6, 3, 0.1))]
    # Recall 1/4 and 2/4 at precision 1, 3/4 at 1/2.
    assert conversations.average_precision(points) == pytest.approx(0.5 * 1.0 + 0.25 * 0.5)
    # False segments per hour: 10, 0, 30.
    assert segment_threshold.at_false_per_hour(points, 29) == points[1]
    assert segment_threshold.at_false_per_hour(points, 30) == points[2]
    assert segment_threshold.at_false_per_hour(points[::2], 5) == points[0]


def test_the_path_beats_plain_thresholds_where_windows_err():
    rng = np.random.default_rng(0)
    scored = []
    for _ in range(6):
        scores = rng.normal(1.5, 1.5, 60)
        scores[20:30] = rng.normal(-1.5, 1.5, 10)
        scored.append((timeline(scores), (20.0, 30.0)))
    thresholds = np.linspace(-3, 3, 25)
    plain = conversations.average_precision(segment_threshold.curve(scored, conversations.plain, thresholds))
    path = conversations.average_precision(segment_threshold.curve(scored, segment_threshold.smoothed(2.0), thresholds))
    assert path > plain + 0.3
