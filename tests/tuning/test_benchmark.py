"""Figures that the benchmark of searches takes from a study."""

import pytest

from benchmarks import tuning


def test_the_first_trials_alone_are_measured(searched):
    """The fifth trial failed, so the first ten that were run end with the eleventh; a later one is the best."""
    ran = [one for one in searched.get_trials()[:11] if one.number != 4]
    complete = [one.values[0] for one in ran if one.values]
    later = searched.get_trials()[0]
    later.values, later.user_attrs["dev"]["dev/eer"] = [0.01], 0.01
    searched.add_trial(later)
    rate, best, ended = tuning.measured(searched, trials=10, workers=2)
    epochs = sum(one.user_attrs["epochs"] for one in ran)  # of ten seconds each
    assert rate == pytest.approx(10 / (10 * epochs / 3600) * 2)
    assert best == min(complete)
    assert ended == f"{len(complete)} complete, {10 - len(complete)} pruned"
