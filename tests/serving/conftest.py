"""A model that is the champion of a registry of these tests' own, and a recording."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline import audio, register


@pytest.fixture(scope="session")
def place(tmp_path_factory, empty_tracking_store) -> Path:
    """Folder with the tracking store of these tests."""
    place = tmp_path_factory.mktemp("serving")
    shutil.copy(empty_tracking_store, place)
    return place


@pytest.fixture(scope="session")
def registered(place, write_model_folder):
    """A model folder that is the champion of a registry of these tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPOOF_ARTIFACTS", str(place / "artifacts"))
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place / 'mlflow.db'}")
        patch.delenv("MLFLOW_EXPERIMENT_ID", raising=False)  # of another module on the same worker
        patch.chdir(place)
        made = write_model_folder(place / "model")
        register.register(made.folder)
    return made


@pytest.fixture(scope="session")
def speech_like() -> np.ndarray:
    """1.7 s in which the speech detector finds some speech."""
    t = np.arange(27200) / 16000
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(5 * t)) / 16000
    wave = sum(np.sin(k * phase) / k for k in range(1, 15)) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * t))
    return audio.to_int16(0.3 * wave / np.abs(wave).max())


@pytest.fixture
def tracked(place, monkeypatch):
    """MLflow has the registry of the champion."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place / 'mlflow.db'}")
