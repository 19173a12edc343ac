"""Familiarity: distances against an oracle, shares of dev, labels and words for what is strange."""

import dataclasses

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from pipeline.metrics.calibration import OperatingPoint
from pipeline.page.verdict import verdict
from pipeline.scoring import familiarity, model_writer
from pipeline.scoring.detector import Detector
from pipeline.scoring.familiarity import Usual
from pipeline.scoring.model_folders import ModelFolder
from pipeline.scoring.row import Row
from tests.support.made_windows import scored_windows


def drawn(trials: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(trials, 6)) @ np.diag([5, 2, 1, 0.5, 0.1, 0.0]) + 3


def test_distances_are_those_of_the_shrunk_gaussian():
    train, dev = drawn(60, 0), drawn(200, 1)
    usual, oracle = familiarity.fit(train, dev), LedoitWolf().fit(train)
    ratio = usual.distances(dev) ** 2 / oracle.mahalanobis(dev)
    np.testing.assert_allclose(ratio, np.trace(oracle.covariance_) / 6, rtol=0.01)
    np.testing.assert_allclose(usual.dev_distances, usual.distances(dev))


def test_familiarity_is_the_share_of_dev_that_lies_further_out():
    usual = Usual(np.zeros(2), np.eye(2), np.array([4.0, 1.0, 3.0, 2.0]))
    found = [usual.familiarity(np.array([0.0, x])) for x in (0.0, 1.5, 3.0, 9.0)]
    assert found == [1.0, 0.8, 0.4, 0.2]


@pytest.mark.parametrize(("trials", "resolved"), [(98, False), (99, False), (100, True)])
def test_a_hundred_dev_trials_resolve_one_per_cent(trials, resolved):
    usual = Usual(np.zeros(1), np.eye(1), np.linspace(0, 1, trials))
    assert (usual.familiarity(np.array([9.0])) < 0.01) == resolved


def test_new_recordings_are_as_familiar_as_dev():
    usual = familiarity.fit(drawn(500, 0), drawn(2000, 1))
    shares = np.array([usual.familiarity(one) for one in drawn(2000, 2)])
    assert [(shares < level).mean() for level in (0.01, 0.1, 0.5)] == pytest.approx([0.01, 0.1, 0.5], abs=0.03)
    assert usual.familiarity(np.full(6, 40.0)) == pytest.approx(1 / 2001)


def test_constant_embeddings_have_a_distance_too():
    usual = familiarity.fit(np.ones((10, 3)), np.ones((10, 3)))
    assert np.isfinite(usual.distances(np.ones(3)))


@pytest.fixture
def strange(make_model_folder, tmp_path) -> ModelFolder:
    """A model for which the embedding (0, 0) is usual and (9, 9) is not."""
    usual, path = Usual(np.zeros(2), np.eye(2), np.linspace(0, 3, 200)), tmp_path / familiarity.FILE
    usual.save(path)
    return model_writer.derive(make_model_folder(), tmp_path / "strange", {path.name: path})


def test_it_travels_with_the_model(strange, make_model_folder):
    assert strange.usual.dev_distances == pytest.approx(np.linspace(0, 3, 200))
    assert make_model_folder().usual is None


def test_strange_speech_is_unfamiliar_whatever_its_score(strange, make_model_folder):
    detector, point = Detector(strange), strange.point()
    far, near = np.full((8, 2), 9.0), np.zeros((8, 2))

    def row(embeddings: np.ndarray | None, point: OperatingPoint = point, logit: float = 3.0, speech=None) -> Row:
        made = {"window_s": 0.5, "hop_s": 0.25, "speech": speech}
        return detector.whole_row("x", scored_windows([logit] * 8, embeddings=embeddings, **made), point)

    assert (row(far).label, row(far).familiarity) == ("unfamiliar", pytest.approx(1 / 201))
    assert row(far, logit=-3.0).label == "unfamiliar"
    assert (row(near).label, row(near).familiarity) == ("bonafide", pytest.approx(200 / 201))
    assert row(far, strange.point(familiarity=0.0)).label == "bonafide"
    assert row(far, speech=[0.0] * 80).label == "no_speech"
    assert (row(None).label, row(None).familiarity) == ("bonafide", None)
    detector.model = make_model_folder()
    assert (row(far).label, row(far).familiarity) == ("bonafide", None)


def test_windows_are_judged_one_by_one(strange):
    embeddings = np.array([[0.0, 0.0], [9.0, 9.0], [0.0, 1.5]])
    scored = scored_windows([3.0] * 3, window_s=0.5, hop_s=0.5, embeddings=embeddings)
    rows = Detector(strange).window_rows("x", scored, strange.point())
    assert [row.label for row in rows] == ["bonafide", "unfamiliar", "bonafide"]
    assert rows[0].familiarity > rows[2].familiarity > rows[1].familiarity


def test_the_page_gives_no_verdict_on_what_is_strange():
    row = Row("x", speech_s=2.0, score=4.0, spoof_probability=0.02, label="unfamiliar", familiarity=0.005)
    found = verdict(row, OperatingPoint(0.0, 0.5))
    assert dataclasses.astuple(found) == (
        "unfamiliar",
        "Unlike anything this model learnt from",
        "It is stranger than 99.5 % of the recordings that the model was checked on, so its score below says little.",
    )
