"""Logistic fusion: what the weights follow, and what keeps them sane on few trials."""

import numpy as np
import pytest

from pipeline.metrics import fusion


def trials(count: int, *distances: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores ``[trials, models]`` that are log-likelihood ratios of unit normals so far apart, and labels."""
    labels = np.arange(count) % 2 == 0
    noise = np.random.default_rng(seed).normal(size=(count, len(distances)))
    apart = np.array(distances)
    return apart * (noise + np.where(labels, 0.5, -0.5)[:, None] * apart), labels


def test_independent_likelihood_ratios_add_up():
    scores, labels = trials(40_000, 2.0, 1.0)
    weights, bias = fusion.fit(scores, labels)
    assert weights == pytest.approx([1, 1], abs=0.05)
    assert bias == pytest.approx(0, abs=0.05)


def test_the_share_of_a_class_changes_nothing():
    scores, labels = trials(4000, 2.0, 1.0)
    rare = np.concatenate([np.arange(4000), *[np.flatnonzero(labels)] * 3])
    weights, bias = fusion.fit(scores, labels)
    repeated, moved = fusion.fit(scores[rare], labels[rare])
    assert repeated == pytest.approx(weights, abs=0.03)
    assert moved == pytest.approx(bias, abs=0.03)


def test_no_weight_is_negative():
    scores, labels = trials(4000, 2.0)
    # The second model repeats the first one's errors without its evidence: subtracting it would help on these trials.
    error = scores[:, 0] - np.where(labels, 2.0, -2.0)
    weights, _ = fusion.fit(np.stack([scores[:, 0], error], axis=1), labels)
    assert weights[1] == 0
    assert weights[0] > 0.5


@pytest.mark.parametrize("models", [2, 3])
def test_few_trials_leave_the_weights_near_equal(models):
    scores, labels = trials(8, *[2.0, 0.1, 0.1][:models])
    weights, _ = fusion.fit(scores, labels)
    assert weights == pytest.approx(np.full(models, 1 / models), abs=0.25)


def test_swapped_models_swap_their_weights():
    scores, labels = trials(300, 2.0, 1.0)
    weights, _ = fusion.fit(scores, labels)
    assert fusion.fit(scores[:, ::-1], labels)[0] == pytest.approx(weights[::-1], abs=1e-4)
