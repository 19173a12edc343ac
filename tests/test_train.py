"""Training on the synthetic Store: its run, repeatability, and resumption after kills."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import mlflow
import numpy as np
import pandas as pd
import pytest

from pipeline import evaluate, metrics, tracking, train
from pipeline.config import PROJECT_ROOT, Config, preset
from pipeline.errors import ConfigError
from pipeline.metrics import calibration
from pipeline.network import networks
from pipeline.scoring import model_writer
from pipeline.scoring.detector import Detector
from pipeline.scoring.model_folders import ModelFolder
from pipeline.store.store import Store
from pipeline.training import checkpoint, devices, gradient_descent, loop
from pipeline.training.data import Data
from pipeline.training.logits import scorer, utterance_logits
from tools import measure_dev

pytestmark = pytest.mark.usefixtures("tracking_store")
EPOCHS = 3
QUICK = {"epochs": EPOCHS, "batch_size": 40, "dense_units": 8, "backbone": "lcnn", "augment_strength": 0.1}
"""Small network with random state of every kind: order, crops, augmentation, dropout."""


@pytest.fixture(scope="module")
def config() -> Config:
    return preset("smoke").replace(**QUICK)


@pytest.fixture(scope="module")
def trained(synthetic_store: Store, config: Config, empty_tracking_store, tmp_path_factory: pytest.TempPathFactory):
    """Model folder, its run, files and history, and the folder that they were made in."""
    place = tmp_path_factory.mktemp("trained")
    shutil.copy(empty_tracking_store, place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPOOF_ARTIFACTS", str(place / "artifacts"))
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place / 'mlflow.db'}")
        patch.chdir(place)
        mlflow.set_tracking_uri(None)
        folder = train.train(config, synthetic_store.folder)
        run = mlflow.get_run(ModelFolder.load(folder).run_id)
        files = {item.path for item in mlflow.MlflowClient().list_artifacts(run.info.run_id)}
        history = {
            name: [m.value for m in mlflow.MlflowClient().get_metric_history(run.info.run_id, name)]
            for name in ("dev/eer", "dev/loss", "train/batch_loss")
        }
    return place, folder, run, files, history


def command(store: Store, config: Config) -> list[str]:
    options = [word for name, value in QUICK.items() for word in (f"--{name}", str(value))]
    return [sys.executable, "-m", "pipeline.train", "--preset", "smoke", "--store", str(store.folder), *options]


def environment(place: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(PROJECT_ROOT),
        "SPOOF_ARTIFACTS": str(place / "artifacts"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{place / 'mlflow.db'}",
    }


def test_the_run_holds_tags_parameters_data_and_files(trained, config):
    _, folder, run, files, history = trained
    assert run.info.status == "FINISHED"
    assert run.data.tags["model_version"] == folder.name
    assert run.data.params["config/epochs"] == str(EPOCHS)
    assert run.data.params["device"] == "CPU"
    assert run.data.params["version/keras"] == keras.__version__
    assert run.data.tags.items() >= {"stage": "train", "preset": "smoke", "backbone": "lcnn"}.items()
    assert {d.dataset.name for d in run.inputs.dataset_inputs} == {f"synthetic-{s}" for s in ("train", "dev", "eval")}
    assert {"architecture", "bundle"} <= files
    assert all(len(values) == EPOCHS for values in history.values())
    assert run.data.metrics["speed/clips_per_s"] > 0


def test_the_exported_model_scores_as_the_keras_model(trained, synthetic_store, config):
    _, folder, *_ = trained
    model = keras.saving.load_model(folder / "model.keras", compile=False)
    rows = synthetic_store.subset("eval")[:12]
    of_keras = utterance_logits(model, synthetic_store, rows, config)
    waves = (synthetic_store.waveform(row) for row in rows)
    np.testing.assert_allclose(list(Detector(ModelFolder.load(folder)).utterance_logits(waves)), of_keras, atol=1e-3)


def test_the_kept_epoch_is_the_best_on_dev(trained):
    _, _, run, _, history = trained
    scores = list(zip(history["dev/eer"], history["dev/loss"], strict=True))
    assert run.data.metrics["best_epoch"] == scores.index(min(scores))


def test_training_again_does_nothing(trained, synthetic_store, config, monkeypatch, capsys):
    place, folder, *_ = trained
    for name, value in environment(place).items():
        monkeypatch.setenv(name, value)
    mlflow.set_tracking_uri(None)
    before = (folder / "bundle.json").stat().st_mtime_ns
    assert train.train(config, synthetic_store.folder) == folder
    assert "already trained" in capsys.readouterr().out
    assert (folder / "bundle.json").stat().st_mtime_ns == before


def killed_after(epochs: int, store: Store, config: Config, place: Path) -> checkpoint.Progress:
    """Progress of a training that was killed once it had finished the epochs."""
    process = subprocess.Popen(
        command(store, config), env=environment(place), cwd=PROJECT_ROOT, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 300
    while True:
        saved = [checkpoint.load(path) for path in (place / "artifacts" / "training").glob("*/state.npz")]
        if saved and saved[0][0].epoch >= epochs:
            break
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return saved[0][0]


def test_killed_again_and_again_ends_as_if_never_stopped(trained, synthetic_store, config, tmp_path, monkeypatch):
    """Kills before the first epoch is complete, in the middle, and after the last; all resume in the first run."""
    _, folder, _, _, history = trained
    runs = {killed_after(epochs, synthetic_store, config, tmp_path).run_id for epochs in (0, 1, EPOCHS)}
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    mlflow.set_tracking_uri(None)
    again = ModelFolder.load(train.train(config, synthetic_store.folder))
    assert again.model_version == folder.name
    assert runs == {again.run_id}
    uninterrupted = ModelFolder.load(folder)
    assert again.dev_eer == pytest.approx(uninterrupted.dev_eer, abs=1e-6)
    assert again.calibration.slope == pytest.approx(uninterrupted.calibration.slope, abs=1e-6)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    for name, values in history.items():
        points = {m.step: m.value for m in client.get_metric_history(again.run_id, name)}
        assert [points[step] for step in range(EPOCHS)] == pytest.approx(values, abs=1e-6)


class EnoughError(Exception):
    """Ends a training."""


def test_a_callback_after_each_epoch_can_end_the_training(synthetic_store, smoke, tmp_path, monkeypatch):
    monkeypatch.setattr(gradient_descent, "epoch_runner", lambda *_: lambda number: 0.0)
    config = smoke.replace(backbone="lcnn", dense_units=8, epochs=9)
    seen = []

    def after_epoch(progress):
        seen.append((progress.epoch, progress.best_epoch, set(progress.history[-1])))
        if progress.epoch == 2:
            raise EnoughError

    data = Data.of(synthetic_store, config)
    with tracking.run("trial", stage="trial") as run, pytest.raises(EnoughError):
        loop.fit(config, data, devices.prepare(config), run.info.run_id, after_epoch=after_epoch)
    assert [epoch for epoch, *_ in seen] == [1, 2]
    assert all(0 <= best < epoch for epoch, best, _ in seen)
    assert {"dev/eer", "dev/auc", "dev/loss", "dev/min_dcf", "dev/cllr"} <= seen[0][2]
    assert not (tmp_path / "artifacts").exists(), "without a state file nothing is left on disk"


@pytest.mark.parametrize(("patience", "ends_after"), [(0, 9), (2, 4), (3, 9)])
def test_patience_counts_the_epochs_since_the_best(patience, ends_after, synthetic_store, smoke, monkeypatch):
    eers = [0.4, 0.3, 0.3, 0.35, 0.2, 0.2, 0.5, 0.1, 0.3]
    config = smoke.replace(backbone="lcnn", dense_units=8, epochs=len(eers), patience=patience)
    names = [f"{subset}/{name}" for subset in ("train", "dev") for name in ("loss", "accuracy", "auc", "eer")]
    others = dict.fromkeys([*names, "speed/clips_per_s", "speed/epoch_s"], 0.0)
    monkeypatch.setattr(loop, "_epoch", lambda *given: others | {"dev/eer": eers[given[-1]]})
    data = Data.of(synthetic_store, config)
    with tracking.run("trial", stage="trial") as run:
        progress, _ = loop.fit(config, data, devices.prepare(config), run.info.run_id)
    assert progress.epoch == ends_after


def test_dev_is_scored_without_overlap_while_training(synthetic_store, smoke):
    config = smoke.replace(backbone="lcnn", dense_units=8)
    data = Data.of(synthetic_store, config)
    model = gradient_descent.build(config, data.steps())

    def loss(mode: str) -> float:
        logits = utterance_logits(model, synthetic_store, data.dev, config.replace(windows=mode))
        return metrics.cross_entropy(logits, data.bonafide[data.dev])

    losses = {mode: loss(mode) for mode in ("overlapping", "consecutive", "first")}
    for own in ("overlapping", "spread", "consecutive", "first"):
        used = "first" if own == "first" else "consecutive"
        found = loop._epoch(scorer(model, data, config), lambda number: 0.0, data, config.replace(windows=own), 0)[
            "dev/loss"
        ]
        assert [mode for mode in losses if found == pytest.approx(losses[mode], rel=1e-5)] == [used], own


def test_weight_decay_shrinks_only_kernels(smoke):
    config = smoke.replace(backbone="lcnn", dense_units=8, weight_decay=0.1, schedule="constant", learning_rate=0.01)
    model = gradient_descent.build(config, 1)
    variables = model.trainable_variables
    before = [v.numpy() for v in variables]
    model.optimizer.apply_gradients([(keras.ops.zeros_like(v), v) for v in variables])
    shrunk = {v.path for v, old in zip(variables, before, strict=True) if not np.array_equal(v.numpy(), old)}
    assert shrunk == {v.path for v in variables if v.name == "kernel"}
    kernel, old = next((v.numpy(), old) for v, old in zip(variables, before, strict=True) if v.name == "kernel")
    np.testing.assert_allclose(kernel, old * (1 - 0.1 * 0.01), rtol=1e-5)


def test_a_missing_gpu_is_an_error():
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        assert devices.prepare(preset("smoke").replace(require_gpu=True)).name != "CPU"
    else:
        with pytest.raises(ConfigError, match="TensorFlow sees no GPU"):
            devices.prepare(preset("smoke").replace(require_gpu=True))


def test_a_missing_class_in_train_is_an_error(synthetic_store, config):
    table = synthetic_store.manifest
    import dataclasses

    only = table[(table["split"] != "train") | (table["label"] == "spoof")].reset_index(drop=True)
    with pytest.raises(ConfigError, match="train holds 0 bonafide and 90 spoof clips"):
        Data.of(dataclasses.replace(synthetic_store, manifest=only), preset("smoke"))


def test_the_evaluation_lands_in_the_training_run(trained, synthetic_store, monkeypatch):
    place, folder, run, *_ = trained
    for name, value in environment(place).items():
        monkeypatch.setenv(name, value)
    mlflow.set_tracking_uri(None)
    output = evaluate.run(folder, synthetic_store.folder, saliency=False)
    metrics = mlflow.get_run(run.info.run_id).data.metrics
    assert {"dev/cllr", "eval/eer", "eval/eer_low", "eval/eer_high", "eval/seen/eer"} <= set(metrics)
    assert metrics["dev/eer"] == pytest.approx(ModelFolder.load(folder).dev_eer, abs=1e-9)
    assert json.loads((output / "evaluation.json").read_text())


def test_the_model_folder_keeps_dev_trials_and_named_points(trained, synthetic_store):
    model = ModelFolder.load(trained[1])
    rows = synthetic_store.manifest.iloc[synthetic_store.subset("dev")]
    assert model.dev_scores["utterance_id"].tolist() == rows["utterance_id"].tolist()
    labels = (model.dev_scores["label"] == "bonafide").to_numpy()
    assert metrics.eer(model.dev_scores["score"].to_numpy(), labels) == model.dev_eer
    np.testing.assert_allclose(model.calibration.apply(model.dev["logit"].to_numpy()), model.dev["score"])
    assert model.dev[["attack", "corpus", "duration_s"]].equals(
        rows[["attack", "corpus", "duration_s"]].reset_index(drop=True)
    )
    assert model.dev["speech_s"].between(0, model.dev["duration_s"]).all()


def test_the_litert_file_gives_the_embeddings_that_familiarity_is_measured_by(trained, synthetic_store):
    model, row = ModelFolder.load(trained[1]), synthetic_store.subset("dev")[3]
    network, units = networks.with_embedding(networks.load(model.keras)), model.config.model.dense_units
    assert {name: output.shape[-1] for name, output in network.output.items()} == {"logit": 1, "embedding": units}
    scored = Detector(model).score_windows(synthetic_store.waveform(row))
    assert scored.embeddings.shape == (len(scored.logits), units)
    assert model.usual.distances(scored.embedding) == pytest.approx(model.usual.dev_distances[3], rel=1e-2)
    assert len(model.usual.dev_distances) == len(model.dev)


def test_what_is_usual_can_be_added_to_a_model_without(trained, synthetic_store, tmp_path):
    model, added = ModelFolder.load(trained[1]), ("dev.parquet", "familiarity.npz")
    old = model_writer.derive(model, tmp_path / "old", {}, without=added)
    assert old.usual is old.dev is None
    made = measure_dev.measure(old, synthetic_store, tmp_path / "new")
    pd.testing.assert_frame_equal(made.dev, model.dev)
    np.testing.assert_allclose(made.usual.dev_distances, model.usual.dev_distances, rtol=1e-3)
    assert set(made.sha256) == set(model.sha256)
    assert (model.operating_point, list(model.operating_points)) == ("eer", [*calibration.NAMED])


def test_a_model_gets_other_windows_without_training(trained, synthetic_store, tmp_path, monkeypatch):
    (tmp_path / "card.md").write_text("figures of the former windows")
    card = {"model_card.md": tmp_path / "card.md"}
    model = model_writer.derive(ModelFolder.load(trained[1]), tmp_path / "old", card)
    made = measure_dev.measure(model, synthetic_store, tmp_path / "spread", "spread")
    assert set(made.sha256) == set(model.sha256) - set(card)
    assert made.config == model.config.replace(windows="spread")
    assert (made.model_version, made.parent) == (f"{model.model_version}-spread", model.model_version)
    assert (made.run_id, made.segments) == ("", None), "another model than that of the run"
    with pytest.raises(ConfigError, match="scores spread windows already"):
        measure_dev.measure(made, synthetic_store, tmp_path / "again", "spread")
    assert made.sha256["model.keras"] == model.sha256["model.keras"]
    logits = made.dev["logit"].to_numpy()
    assert not np.allclose(logits, model.dev["logit"])
    np.testing.assert_allclose(made.calibration.apply(logits), made.dev["score"])
    waves = [synthetic_store.waveform(row) for row in synthetic_store.subset("dev")]
    np.testing.assert_allclose(list(Detector(made).utterance_logits(waves)), logits, atol=1e-2)
    labels = (made.dev_scores["label"] == "bonafide").to_numpy()
    assert made.dev_eer == metrics.eer(made.dev["score"].to_numpy(), labels)
    assert made.point() == calibration.operating_point("eer", made.dev["score"].to_numpy(), labels)
    monkeypatch.setattr(ModelFolder, "attacks", ("A01",))
    with pytest.raises(ConfigError, match="tells attacks apart by its own windows"):
        measure_dev.measure(ModelFolder.load(model.folder), synthetic_store, tmp_path / "again", "spread")


def test_another_operating_point_needs_no_other_training(trained, synthetic_store, config, monkeypatch):
    place, folder, run, *_ = trained
    for name, value in environment(place).items():
        monkeypatch.setenv(name, value)
    mlflow.set_tracking_uri(None)
    wanted = "prior=0.05,miss=1,false_alarm=10"
    assert train.train(config.replace(operating_point=wanted), synthetic_store.folder) == folder
    logged = mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/bundle/bundle.json")
    assert ModelFolder.load(folder).operating_point == logged["operating_point"] == wanted
    assert ModelFolder.load(folder).point().threshold == pytest.approx(metrics.BAYES_THRESHOLD)
    with pytest.raises(ConfigError, match="operating point 'far': expected one of eer, min_dcf"):
        train.train(config.replace(operating_point="far"), synthetic_store.folder)
    train.train(config, synthetic_store.folder)
    assert ModelFolder.load(folder).operating_point == "eer"


def test_a_parent_counts_by_its_weights_and_not_by_its_place(trained, synthetic_store, config, tmp_path, monkeypatch):
    _, folder, *_ = trained
    elsewhere = tmp_path / "copy"
    shutil.copytree(folder, elsewhere)
    given = []

    def stopped(config, *_, **__):
        given.append(config.train.init)
        raise EnoughError

    monkeypatch.setattr(loop, "fit", stopped)
    for init in (folder, elsewhere, ""):
        with pytest.raises(EnoughError):
            train.train(config.replace(init=str(init)), synthetic_store.folder)
    tags = [run.data.tags for run in mlflow.search_runs(search_all_experiments=True, output_format="list")]
    assert given == [str(folder), str(elsewhere), ""]
    fresh, moved, first = (run["model_version"] for run in tags)
    assert first == moved != fresh
    checksum = ModelFolder.load(folder).sha256["model.keras"]
    assert [(run.get("parent"), run.get("parent_sha256")) for run in tags] == [
        (None, None), *[(folder.name, checksum)] * 2
    ]  # fmt: skip
