"""What all tests share: artifacts and tracking in a folder of their own, and small real data made once a session."""

import gc
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import SAMPLE_RATE_HZ, Config, preset
from pipeline.store.build import build
from pipeline.store.store import Store

gc.set_threshold(20_000)  # as commands do
# What trains in a process that has TensorFlow already learns what commands learn.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
EXPERIMENT_ID = "MLFLOW_EXPERIMENT_ID"
os.environ.pop(EXPERIMENT_ID, None)


LONGEST = (
    "test_entry_points.py",
    "test_train.py",
    "test_search.py",
    "test_fuse.py",
    "test_shared_study.py",
    "test_killed.py",
    "test_tracking_server.py",
    "test_devices.py",
    "test_frozen_encoder.py",
    "test_export.py",
    "test_demo_corpus.py",
    "test_demo_unchanged.py",
    "test_spark.py",
    "test_team_server.py",
    "test_full_disk.py",
    "test_cross.py",
)
"""Files that take longest. They come first, so that processes that share the tests end at about the same time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Artifacts under ``tmp_path``; no tracking server and no run of an outer MLflow leaks in.

    MLflow leaves the experiment that it last logged to in the environment, where what is made for a later test of the
    module would find it.
    """
    os.environ.pop(EXPERIMENT_ID, None)
    monkeypatch.setenv("SPOOF_ARTIFACTS", str(tmp_path / "artifacts"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    # MLflow puts the code of each model that it loads in front of the path, where processes started later find it.
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    os.environ.pop(EXPERIMENT_ID, None)


@pytest.fixture(scope="session")
def empty_tracking_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File ``mlflow.db`` with the tables of a tracking store, to copy: MLflow takes seconds to make them."""
    import mlflow

    path = tmp_path_factory.mktemp("tracking") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def tracking_store(own_places: None, empty_tracking_store: Path, tmp_path: Path) -> None:
    """Tables in the tracking store of ``own_places``."""
    shutil.copy(empty_tracking_store, tmp_path)


@pytest.fixture(scope="session")
def smoke() -> Config:
    return preset("smoke")


@pytest.fixture(scope="session")
def synthetic_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic corpus, in the layout of ASVspoof 2017 version 2."""
    from pipeline.corpora import synthetic

    folder = tmp_path_factory.mktemp("corpus") / "synthetic"
    synthetic.build(folder)
    return folder


@pytest.fixture(scope="session")
def synthetic_store(synthetic_corpus: Path, smoke: Config, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A Store of the synthetic corpus."""
    from pipeline import corpora

    config = smoke.replace(data_dir=str(synthetic_corpus))
    table, rejected = corpora.read(config.corpus)
    folder = tmp_path_factory.mktemp("data") / "synthetic-0"
    build(table, rejected, config, folder, name="synthetic", split_by="official", key="0")
    return Store.open(folder)


@pytest.fixture
def voice() -> np.ndarray:
    """Two seconds of a harmonic glide with noise, ``[32000]`` float32, peak 0.5."""
    rng = np.random.default_rng(3)
    t = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    phase = 2 * np.pi * np.cumsum(110 + 40 * np.sin(3 * t)) / SAMPLE_RATE_HZ
    wave = sum(np.sin(k * phase) / k for k in range(1, 20)) + 0.02 * rng.standard_normal(len(t))
    return (0.5 * wave / np.abs(wave).max()).astype(np.float32)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> tuple["keras.Model", Path, Path]:  # noqa: F821
    """A small network of the smoke preset's window, and its LiteRT and Keras files."""
    import keras

    from pipeline.network import formats, front_end

    config = preset("smoke")
    keras.utils.set_random_seed(5)
    waveform = keras.Input((config.window.clip_samples,), name="waveform")
    bands = front_end.spectrogram(waveform, config.front_end)
    logit = keras.layers.Dense(1)(keras.layers.GlobalMaxPooling1D()(keras.layers.Conv1D(8, 5)(bands)))
    model = keras.Model(waveform, logit)
    folder = tmp_path_factory.mktemp("tiny")
    formats.litert(model, folder / "model.tflite")
    model.save(folder / "model.keras")
    return model, folder / "model.tflite", folder / "model.keras"


@pytest.fixture(scope="session")
def write_model_folder(tiny_model):
    """Writes a model folder of the tiny network to a place, under a version's name."""
    from pipeline.metrics.calibration import Calibration, OperatingPoint
    from pipeline.scoring import dev_table, model_folders, model_writer

    def write(
        folder: Path,
        version: str = "tiny-1",
        *,
        dev_eer: float = 0.2,
        dev_trials: str = "d",
        dev: "pd.DataFrame | None" = None,  # noqa: F821
        run_id: str = "",
    ) -> model_folders.ModelFolder:
        return model_writer.write(
            folder,
            litert=tiny_model[1],
            keras=tiny_model[2],
            dev=None if dev is None else dev.reindex(columns=list(dev_table.COLUMNS)),
            config=preset("smoke"),
            calibration=Calibration(2.0, -0.5),
            operating_points={
                "eer": OperatingPoint(0.25, 0.5, 0.1, 0.1),
                "min_dcf": OperatingPoint(1.5, 0.05, 0.3, 0.02),
            },
            operating_point="eer",
            model_version=version,
            run_id=run_id,
            fingerprint="f",
            versions={"keras": "3"},
            dev_trials=dev_trials,
            dev_eer=dev_eer,
        )

    return write


@pytest.fixture
def make_model_folder(write_model_folder, tmp_path: Path):
    """Writes a model folder of the tiny network under a version's name."""

    def make(version: str = "tiny-1", **values):
        return write_model_folder(tmp_path / "models" / version, version, **values)

    return make
