"""The model that comes with the project: it scores its three clips as it did when it was packed."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline import audio
from pipeline.audio import speech
from pipeline.scoring import model_folders
from pipeline.scoring.detector import Detector
from pipeline.scoring.model_folders import ModelFolder

CLIPS = Path(__file__).parent.parent / "data" / "pretrained"


@pytest.fixture(scope="module")
def model() -> ModelFolder:
    return ModelFolder.load(model_folders.PRETRAINED / "whisper")


def test_its_scores_are_those_of_its_packing(model):
    expected = json.loads((CLIPS / "scores.json").read_text(encoding="utf-8"))
    assert len(expected) == 3
    rows = [Detector(model).row(str(CLIPS / name)) for name in expected]
    np.testing.assert_allclose([row.score for row in rows], list(expected.values()), atol=1e-4)
