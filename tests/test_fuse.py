"""Fusions of small networks on a toy Store: the folder, its run, what scores and registers it, and what is refused."""

import dataclasses
import shutil
from pathlib import Path

import keras
import mlflow
import numpy as np
import pytest

from pipeline import evaluate, fuse, register
from pipeline.audio import windows
from pipeline.config import BONAFIDE
from pipeline.errors import ConfigError, ModelFolderError
from pipeline.metrics import fusion
from pipeline.metrics.calibration import Calibration
from pipeline.network import front_end, networks
from pipeline.reporting import wording
from pipeline.reporting.evaluation_summary import EvaluationSummary
from pipeline.scoring import model_folders, model_writer
from pipeline.scoring.detector import Detector
from pipeline.scoring.model_folders import ModelFolder
from pipeline.store.store import Store
from tests.support import toy

CALIBRATIONS = {"long": Calibration(2.0, 0.3, -1.0, 1.5), "short": Calibration(0.8, -0.2)}


def write_member(folder: Path, store: Store, *, seed: int, clip_s: float = 0.05, **changes) -> ModelFolder:
    """The folder of a network with random weights; its LiteRT file is not scored with."""
    config = toy.CONFIG.replace(clip_s=clip_s, n_fft=256, hop_samples=80, **changes)
    keras.utils.set_random_seed(seed)
    waveform = keras.Input((config.window.clip_samples,), name="waveform")
    bands = front_end.spectrogram(waveform, config.front_end)
    hidden = keras.layers.GlobalAveragePooling1D()(keras.layers.Conv1D(4, 3, name="conv", activation="relu")(bands))
    folder.parent.mkdir(parents=True, exist_ok=True)
    file = folder.with_suffix(".keras")
    keras.Model(waveform, keras.layers.Dense(1, name="logit")(hidden)).save(file)
    return model_writer.write(
        folder,
        litert=file,
        keras=file,
        config=config,
        calibration=CALIBRATIONS.get(folder.name, Calibration(1.0, 0.0)),
        operating_points={"eer": toy.POINT},
        operating_point="eer",
        model_version=folder.name,
        run_id="",
        fingerprint="f",
        versions={},
        dev_trials=store.trials("dev"),
        dev_eer=0.1,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory, empty_tracking_store) -> Path:
    folder = tmp_path_factory.mktemp("fuse")
    shutil.copy(empty_tracking_store, folder)
    return folder


@pytest.fixture(scope="module")
def store(place) -> Store:
    return toy.make_store(place / "store")


@pytest.fixture(scope="module")
def members(place, store) -> list[ModelFolder]:
    made = (("long", 1, 0.05), ("short", 2, 0.02))
    return [write_member(place / "members" / name, store, seed=seed, clip_s=s) for name, seed, s in made]


@pytest.fixture(autouse=True)
def places_of_the_module(own_places, place, monkeypatch) -> None:
    monkeypatch.setenv("SPOOF_ARTIFACTS", str(place / "artifacts"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place / 'mlflow.db'}")
    monkeypatch.chdir(place)
    mlflow.set_tracking_uri(None)


@pytest.fixture
def fused(places_of_the_module, members, store) -> ModelFolder:
    """The fusion, made by the first test that asks for it."""
    return ModelFolder.load(fuse.fuse(members, store.folder))


def expected_scores(members: list[ModelFolder], store: Store) -> np.ndarray:
    """Calibrated scores of the members on dev, ``[trials, members]``: the formula, window by window."""
    cuts, owner = [], []
    for trial, row in enumerate(store.subset("dev")):
        wave, known = store.waveform(row), store.speech(row)
        own = [windows.cut(wave[: known.end], start, toy.CONFIG.window) for start in windows.counted(known, toy.CLIP)]
        cuts, owner = cuts + own, owner + [trial] * len(own)
    cuts, found = np.stack(cuts), []
    for member in members:
        size, network = member.clip_samples, networks.load(member.keras)
        parts = [cuts[:, start : start + size] for start in windows.starts(toy.CLIP, size, "consecutive")]
        logits = np.mean([network(part, training=False).numpy()[:, 0] for part in parts], axis=0)
        found.append(np.bincount(owner, member.calibration.apply(logits)) / np.bincount(owner))
    return np.stack(found, axis=1)


def test_it_scores_as_its_formula_says(fused, members, store):
    rows = store.subset("dev")
    labels = (store.manifest["label"].iloc[rows] == BONAFIDE).to_numpy()
    scores = expected_scores(members, store)
    weights, bias = fusion.fit(scores, labels)
    assert list(fused.fusion.members) == ["long", "short"]
    assert [*fused.fusion.members.values(), fused.fusion.bias] == pytest.approx([*weights, bias], abs=1e-4)
    logits = [*Detector(fused, threads=1).utterance_logits(map(store.waveform, rows), map(store.speech, rows))]
    np.testing.assert_allclose(logits, scores @ weights + bias, atol=1e-4)
    np.testing.assert_allclose(fused.dev_scores["score"], fused.calibration.apply(scores @ weights + bias), atol=1e-3)


def test_its_run_holds_members_weights_and_the_folder(fused, members):
    run = mlflow.get_run(fused.run_id)
    assert (
        run.data.tags.items() >= {"stage": "fuse", "backbone": "fusion", "model_version": fused.model_version}.items()
    )
    assert run.data.params.items() >= {"by": "logistic", "members": "long, short", "config/clip_s": "0.05"}.items()
    assert "config/front_end" not in run.data.params
    weights = {f"weight/{name}": weight for name, weight in fused.fusion.members.items()}
    assert run.data.metrics.items() >= weights.items()
    files = {item.path for item in mlflow.MlflowClient().list_artifacts(fused.run_id, "bundle")}
    assert f"bundle/{model_folders.INDEX}" in files


def test_a_second_fusion_of_the_same_models_is_the_first(fused, members, store, capsys):
    assert fuse.fuse(members, store.folder) == fused.folder
    assert "already fused" in capsys.readouterr().out


def test_it_is_evaluated_and_registered_like_any_other(fused, store):
    report = evaluate.run(fused.folder, store.folder, ["dev"], saliency=False)
    assert "dev/eer" in mlflow.get_run(fused.run_id).data.metrics
    summary = EvaluationSummary.read(report)
    assert summary.model.fusion == fused.fusion
    card = (report / "model_card.md").read_text()
    assert (
        f"Weighted sum of calibrated scores, weights fitted on dev: {fused.fusion.members['long']:.2f} · long, " in card
    )
    assert register.register(fused.folder).promoted


def test_the_mean_of_weights_keeps_the_architecture(members, store, place):
    seeds = [write_member(place / "seeds" / f"seed-{seed}", store, seed=seed) for seed in (1, 5, 6)]
    found = ModelFolder.load(fuse.fuse(seeds, store.folder, "weights"))
    kernels = [networks.load(one.keras).get_layer("conv").get_weights()[0] for one in (*seeds, found)]
    np.testing.assert_allclose(kernels[-1], np.mean(kernels[:-1], axis=0), rtol=1e-6)
    assert found.config.model == seeds[0].config.model
    assert found.fusion == fusion.Fusion("weights", {one.model_version: pytest.approx(1 / 3) for one in seeds})
    assert wording.fusion(found.fusion) == "Mean of the weights of seed-1, seed-5, seed-6"


@pytest.mark.parametrize(
    ("changes", "by", "message"),
    [
        ({"dev_trials": "other"}, "logistic", "^long and short have different dev trials, .*; train both on one Store"),
        ({"model_version": "long"}, "mean", "--models long, long: a fusion needs at least two models, each named once"),
        ({}, "weights", "--by weights: clip_s is 0.05 in long and 0.02 in short; .* fuse others --by logistic or mean"),
        ({"config": toy.CONFIG.replace(leave_out="A0*")}, "mean", r"--leave_out is '' in long and 'A0\*' in short"),
        ({"config": toy.CONFIG.replace(backbone="vgg")}, "weights", "--by weights: .* in long and .* in short"),
    ],
)
def test_models_that_do_not_fit_together_are_named(members, store, changes, by, message):
    with pytest.raises(ConfigError, match=message):
        fuse.check([members[0], dataclasses.replace(members[1], **changes)], store, by)


def test_another_store_and_a_folder_without_keras_are_named(members, store, tmp_path):
    with pytest.raises(ConfigError, match="its dev trials are not those of long; give the Store"):
        fuse.check(members, toy.make_store(tmp_path / "other", seed=1), "mean")
    bare = dataclasses.replace(members[1], folder=tmp_path)
    with pytest.raises(ModelFolderError, match=r"no model\.keras, which a fusion is made of"):
        fuse.check([members[0], bare], store, "mean")
    with pytest.raises(ConfigError, match="--models: name at least two models"):
        fuse.main([])
