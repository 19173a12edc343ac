"""Source tracing: what the embedding says of the attack, that it travels with the model, and its fields of a row."""

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf
from sklearn.metrics import f1_score

from pipeline.metrics import attribution
from pipeline.scoring import model_writer, source_tracing
from pipeline.scoring.detector import Detector
from pipeline.scoring.source_tracing import UNKNOWN, KnownAttacks
from tests.support.made_windows import scored_windows

CENTRES = np.array([[4.0, 0.0], [0.0, 4.0]])


@pytest.fixture(scope="module")
def known() -> KnownAttacks:
    """Two attacks around ``CENTRES``, with the softmax of their difference."""
    rng = np.random.default_rng(0)
    train = [centre + rng.normal(size=(300, 2)) for centre in CENTRES]
    dev = np.repeat(CENTRES, 500, axis=0) + rng.normal(size=(1000, 2))
    return source_tracing.fit(("a", "b"), np.eye(2), np.zeros(2), train, dev)


def test_a_near_embedding_is_of_a_known_attack_and_a_far_one_of_none(known):
    assert known.trace(CENTRES[0]) == ("a", pytest.approx(1 / (1 + np.exp(-4))))
    assert known.trace(CENTRES[1])[0] == "b"
    assert known.trace(np.array([-6.0, -6.0])) == (UNKNOWN, None)
    assert known.trace(np.array([4000.0, 0.0])) == (UNKNOWN, None)


def test_five_percent_of_dev_lie_beyond_the_limit(known):
    drawn = np.repeat(CENTRES, 2000, axis=0) + np.random.default_rng(1).normal(size=(4000, 2))
    assert np.mean([known.trace(one)[0] == UNKNOWN for one in drawn]) == pytest.approx(0.05, abs=0.02)


def test_distances_are_those_of_scikit_learn_to_the_nearest_mean():
    rng = np.random.default_rng(3)
    train = [rng.normal(size=(90, 5)) @ np.diag([1, 2, 3, 4, 5]) + rng.normal(size=5) for _ in range(3)]
    points = rng.normal(scale=3, size=(20, 5))
    made = source_tracing.fit("abc", np.zeros((5, 3)), np.zeros(3), train, points)
    oracle = LedoitWolf(assume_centered=True).fit(np.concatenate([own - own.mean(axis=0) for own in train]))
    expected = np.sqrt(np.min([oracle.mahalanobis(points - own.mean(axis=0)) for own in train], axis=0))
    ratio = made.distances(points) / expected
    assert ratio == pytest.approx(ratio[0], rel=1e-4)


@pytest.fixture
def tracing(make_model_folder, tmp_path, known):
    known.save(tmp_path / source_tracing.FILE)
    added = {source_tracing.FILE: tmp_path / source_tracing.FILE}
    return model_writer.derive(make_model_folder(), tmp_path / "tracing", added)


def test_only_a_spoof_has_an_attack(tracing, make_model_folder, known):
    detector = Detector(tracing)
    assert tracing.attacks.trace(CENTRES[0]) == known.trace(CENTRES[0])

    def traced(logit: float, embedding: np.ndarray | None, **made) -> tuple[str, float | None]:
        embeddings = None if embedding is None else np.tile(embedding, (8, 1))
        scored = scored_windows([logit] * 8, window_s=0.5, hop_s=0.25, embeddings=embeddings, **made)
        row = detector.whole_row("x", scored, tracing.point())
        return row.attack, row.attack_probability

    assert traced(-3.0, CENTRES[0]) == ("a", pytest.approx(0.982, abs=1e-3))
    assert traced(-3.0, np.array([-6.0, -6.0])) == (UNKNOWN, None)
    assert traced(3.0, CENTRES[0]) == ("", None)
    assert traced(-3.0, CENTRES[0], speech=[0.0] * 80) == ("", None)
    assert traced(-3.0, None) == ("", None)
    detector.model = make_model_folder()
    assert traced(-3.0, CENTRES[0]) == ("", None)


def test_macro_f1_is_that_of_scikit_learn_over_the_classes_that_occur():
    rng = np.random.default_rng(2)
    truth, found = rng.choice(["a", "b", "c"], 200), rng.choice(["a", "b", "c", UNKNOWN], 200)
    expected = f1_score(truth, found, labels=["a", "b", "c"], average="macro")
    assert attribution.macro_f1(truth, found) == pytest.approx(expected)
    rows, columns, counts = attribution.confusion(["b", "a", "a"], ["a", UNKNOWN, "a"])
    assert (rows, columns, counts.tolist()) == (["a", "b"], ["a", "b", UNKNOWN], [[1, 0, 1], [1, 0, 0]])
    assert attribution.macro_f1(["a", "b"], ["a", "b"]) == 1.0
