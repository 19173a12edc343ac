"""The model that comes with the project: it scores its three clips as it did when it was packed."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pipeline.scoring import model_folders
from pipeline.scoring.detector import Detector
from pipeline.scoring.model_folders import ModelFolder

CLIPS = Path(__file__).parent.parent / "data" / "pretrained"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> ModelFolder:
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("SPOOF_ARTIFACTS", str(tmp_path_factory.mktemp("artifacts")))
    folder = model_folders.find()
    monkeypatch.setattr(subprocess, "run", None)
    assert model_folders.find() == folder, "it is unpacked once"
    monkeypatch.undo()
    return ModelFolder.load(folder)


def test_its_scores_are_those_of_its_packing(model):
    expected = json.loads((CLIPS / "scores.json").read_text(encoding="utf-8"))
    assert len(expected) == 3
    rows = [Detector(model).row(name, CLIPS / name) for name in expected]
    np.testing.assert_allclose([row.score for row in rows], list(expected.values()), atol=1e-4)


def test_it_is_small_and_has_a_card():
    folder = model_folders.PRETRAINED / "whisper"
    assert sum(path.stat().st_size for path in model_folders.PRETRAINED.rglob("*") if path.is_file()) < 25e6
    card = (folder / model_folders.CARD).read_text(encoding="utf-8")
    assert ModelFolder.load(folder).model_version in card
