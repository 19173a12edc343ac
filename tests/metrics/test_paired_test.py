"""Two systems on the same trials, against scipy's test, counting by hand and a champion that differs in nothing."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from pipeline import metrics
from pipeline.metrics import MetricError, paired_test


def table(scores, labels, speakers) -> pd.DataFrame:
    names = [f"E_{i}" for i in range(len(scores))]
    label = np.where(labels, "bonafide", "spoof")
    return pd.DataFrame({"utterance_id": names, "label": label, "speaker": speakers, "score": scores})


def systems(gain: float, count: int = 400) -> tuple[pd.DataFrame, np.ndarray]:
    """Trials of twenty speakers, and scores of another system that separates the classes less by ``gain``."""
    rng = np.random.default_rng(1)
    labels = np.arange(count) % 2 == 0
    noise = rng.normal(size=count)
    other = noise + 1.5 * labels
    return table(noise + (1.5 + gain) * labels, labels, [f"s{i % 20}" for i in range(count)]), other


def test_the_better_system_is_better_beyond_doubt_and_the_other_worse():
    trials, other = systems(2.0)
    found = paired_test.compare(trials, other, threshold=1.75, rival_threshold=0.75)
    labels = (trials["label"] == "bonafide").to_numpy()
    assert found.own_eer == metrics.eer(trials["score"].to_numpy(), labels)
    assert found.difference == pytest.approx(metrics.eer(other, labels) - found.own_eer)
    assert found.low < found.difference < found.high
    assert (found.better, found.worse) == (True, False)
    swapped = paired_test.compare(
        trials.assign(score=other), trials["score"].to_numpy(), threshold=0.75, rival_threshold=1.75
    )
    assert (swapped.better, swapped.worse) == (False, True)
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low))
    assert (swapped.own_right, swapped.rival_right, swapped.p) == (found.rival_right, found.own_right, found.p)


def test_a_system_is_not_told_apart_from_itself():
    trials, _ = systems(0.0)
    found = paired_test.compare(trials, trials["score"].to_numpy(), threshold=0.7, rival_threshold=0.7)
    assert (found.difference, found.low, found.high, found.own_right, found.rival_right, found.p) == (0, 0, 0, 0, 0, 1)
    assert not found.better
    assert not found.worse


def test_decisions_are_counted_at_the_threshold_of_each():
    labels = [True, True, True, False, False, False]
    trials = table([2.0, 2, 0, 0, 0, 2], labels, ["a", "b", "c", "a", "b", "c"])
    found = paired_test.compare(trials, np.array([9.0, 0, 0, 9, 0, 0]), threshold=1.0, rival_threshold=5.0)
    # own is right on 0, 1, 3, 4; the other on 0, 4, 5
    assert (found.own_right, found.rival_right) == (2, 1)


@pytest.mark.parametrize(("first", "second"), [(0, 6), (10, 2), (5, 5), (1, 0), (40, 61)])
def test_mcnemar_is_the_binomial_tail(first, second):
    least = min(first, second)
    expected = min(1.0, 2 * binom.cdf(least, first + second, 0.5))
    assert paired_test.mcnemar(first, second) == pytest.approx(expected)
    assert paired_test.mcnemar(0, 0) == 1.0


def test_one_speaker_gives_no_interval_and_neither_verdict():
    trials, other = systems(2.0)
    found = paired_test.compare(trials.assign(speaker="s"), other, threshold=1.0, rival_threshold=1.0)
    assert (found.low, found.high, found.better, found.worse) == (None, None, False, False)


def test_trials_of_one_class_do_not_compare():
    trials, other = systems(1.0)
    chosen = (trials["label"] == "spoof").to_numpy()
    with pytest.raises(MetricError, match="both classes are needed"):
        paired_test.compare(trials[chosen], other[chosen], threshold=0, rival_threshold=0)
