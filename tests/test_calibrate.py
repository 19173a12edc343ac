"""Calibration of a finished model on further recordings: the new folder, its run, held-out figures, refusals."""

import dataclasses
import shutil

import mlflow
import numpy as np
import pandas as pd
import pytest

from pipeline import calibrate, evaluate, metrics, register
from pipeline.config import fingerprint
from pipeline.errors import ConfigError
from pipeline.evaluation import segment_threshold
from pipeline.evaluation.subsets import calibrated_on, of_training
from pipeline.metrics import recalibration
from pipeline.reporting import wording
from pipeline.reporting.evaluation_summary import EvaluationSummary
from pipeline.scoring.detector import Detector
from pipeline.scoring.model_folders import ModelFolder
from pipeline.store.manifest import SUBSETS
from pipeline.store.store import Store
from tests.support import toy
from tests.support.made_windows import scored_windows


@pytest.fixture(scope="module")
def place(tmp_path_factory, empty_tracking_store):
    folder = tmp_path_factory.mktemp("calibrate")
    shutil.copy(empty_tracking_store, folder)
    return folder


@pytest.fixture(scope="module")
def store(place) -> Store:
    """Recordings that the model never met; no speaker has both classes."""
    return toy.make_store(place / "store", seed=7, name="own")


@pytest.fixture(scope="module")
def model(place, store) -> ModelFolder:
    other = toy.make_store(place / "other", seed=1)
    written = toy.write_model_folder(place / "parent", toy.write_litert(place / "model.tflite"), other)
    (written.folder / "model_card.md").write_text("# parent")
    return written


@pytest.fixture(autouse=True)
def places_of_the_module(own_places, place, monkeypatch) -> None:
    monkeypatch.setenv("SPOOF_ARTIFACTS", str(place / "artifacts"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place / 'mlflow.db'}")
    monkeypatch.chdir(place)
    mlflow.set_tracking_uri(None)


@pytest.fixture
def calibrated(places_of_the_module, model, store) -> ModelFolder:
    return ModelFolder.load(calibrate.calibrate(model, store, SUBSETS))


def of_class(store: Store, label: str) -> Store:
    table = store.manifest[store.manifest["label"] == label].reset_index(drop=True)
    return dataclasses.replace(store, manifest=table, fingerprint=label)


def test_the_new_folder_has_the_parents_network_and_a_calibration_of_these_recordings(calibrated, model, store):
    logits = np.concatenate([toy.expected_logits(store, subset) for subset in SUBSETS])
    rows = np.concatenate([store.subset(subset) for subset in SUBSETS])
    labels = (store.manifest["label"].iloc[rows] == "bonafide").to_numpy()
    fitted, point = recalibration.refit(logits, labels, "eer", model.calibration)
    assert calibrated.calibration.slope == pytest.approx(fitted.slope, rel=1e-3)
    assert calibrated.point().threshold == pytest.approx(point.threshold, abs=1e-3)
    assert calibrated.sha256["model.tflite"] == model.sha256["model.tflite"]
    assert (calibrated.parent, model.parent) == (model.model_version, "")
    assert set(calibrated.operating_points) == {"eer", "min_dcf"}, "48 clips of a class show no rate of 1 %"
    assert calibrated.dev["utterance_id"].tolist() == store.manifest["utterance_id"].iloc[rows].tolist()
    assert calibrated.dev_eer == metrics.eer(calibrated.dev["score"].to_numpy(), labels)
    wave = store.waveform(0)
    assert Detector(calibrated).utterance_logit(wave) == Detector(model).utterance_logit(wave)


def test_its_run_and_card_hold_figures_before_and_after(calibrated, model):
    run = mlflow.get_run(calibrated.run_id)
    assert run.data.tags.items() >= {"stage": "calibrate", "parent": model.model_version, "corpus": "own"}.items()
    found = run.data.metrics
    for figure in ("eer", "cllr", "miss", "false_alarm"):
        for when in ("before", "after"):
            low, value, high = (found[f"{when}/{figure}{end}"] for end in ("_low", "", "_high"))
            assert low <= value <= high
    assert found["after/cllr"] < found["before/cllr"]
    card = (calibrated.folder / "model_card.md").read_text()
    assert f"network is that of {model.model_version}" in card
    assert f"| Cllr (bits) | {found['before/cllr']:.2f} (" in card
    files = {item.path for item in mlflow.MlflowClient().list_artifacts(calibrated.run_id, "bundle")}
    assert "bundle/bundle.json" in files


def test_the_same_command_finds_the_folder_and_another_point_finds_the_scores(calibrated, model, store, monkeypatch):
    monkeypatch.setattr(calibrate, "Detector", lambda *_: pytest.fail("scored again"))
    assert calibrate.calibrate(model, store, SUBSETS) == calibrated.folder
    other = ModelFolder.load(calibrate.calibrate(model, store, SUBSETS, "min_dcf"))
    assert other.folder != calibrated.folder
    assert (other.operating_point, other.calibration) == ("min_dcf", calibrated.calibration)


def test_scoring_that_was_stopped_resumes(model, store, tmp_path, monkeypatch):
    rows, path = np.arange(12), tmp_path / "logits.parquet"

    class Dying(Detector):
        def utterance_logits(self, waves, speeches=None):
            for number, logit in enumerate(super().utterance_logits(waves, speeches)):
                if number == 5:
                    raise KeyboardInterrupt
                yield logit

    with monkeypatch.context() as patch:
        patch.setattr(calibrate, "Detector", Dying)
        with pytest.raises(KeyboardInterrupt):
            calibrate._logits(model, store, rows, path)
    scored = []
    waveform = Store.waveform
    monkeypatch.setattr(Store, "waveform", lambda self, row: scored.append(row) or waveform(self, row))
    found = calibrate._logits(model, store, rows, path)
    assert set(scored) == {*range(5, 12)}
    np.testing.assert_allclose(found, toy.expected_logits(store, "train")[:12], atol=1e-5)


def test_bonafide_alone_sets_the_threshold_and_nothing_else(model, store):
    bonafide = of_class(store, "bonafide")
    with pytest.raises(ConfigError, match="eer: all recordings are bonafide, which sets fnr=RATE only"):
        calibrate.calibrate(model, bonafide, SUBSETS)
    found = ModelFolder.load(calibrate.calibrate(model, bonafide, SUBSETS, "fnr=0.1"))
    point = found.point()
    assert (found.operating_point, point.miss, point.false_alarm) == ("fnr=0.1", pytest.approx(4 / 48), None)
    assert (found.calibration, found.dev_trials) == (model.calibration, model.dev_trials)
    assert found.point("eer") == model.point("eer")


def test_what_cannot_be_calibrated_on_is_refused_with_the_numbers(model, store, place):
    with pytest.raises(ConfigError, match=r"fpr=0\.01 needs 300 spoof clips .* there are 48"):
        calibrate.calibrate(model, store, SUBSETS, "fpr=0.01")
    with pytest.raises(ConfigError, match="16 bonafide clips are too few"):
        calibrate.calibrate(model, store, ["eval"])
    taught = dataclasses.replace(model, dev_trials=store.trials("dev"))
    with pytest.raises(ConfigError, match="parent was trained on its train subset"):
        calibrate.calibrate(taught, store, SUBSETS)
    again = dataclasses.replace(model, dev_trials="of another calibration", trained_trials=store.trials("dev"))
    with pytest.raises(ConfigError, match="parent was trained on its train subset"):
        calibrate.calibrate(again, store, SUBSETS)
    with pytest.raises(ConfigError, match="name the labelled recordings"):
        calibrate.main(["--model", str(model.folder)])


def test_calls_of_the_recordings_choose_the_threshold_for_segments(model, store, monkeypatch):
    with pytest.raises(ConfigError, match=r"from bonafide clips and .*there are 48 and 0: add"):
        calibrate.calibrate(model, of_class(store, "bonafide"), SUBSETS, "fnr=0.1", 10)
    logits = np.full(60, 2.0)
    logits[20:30] = -2.0

    def scored(detector, *_):
        return [(scored_windows(logits, window_s=1, hop_s=1, calibration=detector.model.calibration), (20.0, 30.0))]

    monkeypatch.setattr(segment_threshold, "score_calls", scored)
    found = ModelFolder.load(calibrate.calibrate(model, store, SUBSETS, segments=10))
    low, high = found.calibration.apply(np.array([-2.0, 2.0]))
    assert low <= found.segments.threshold <= high
    assert (found.segments.recall, found.segments.false_per_hour) == (1.0, 0.0)
    assert mlflow.get_run(found.run_id).data.metrics["segments/threshold"] == found.segments.threshold
    assert "recall is 1.00 and 0.0 are false per hour" in (found.folder / "model_card.md").read_text()
    # A calibration without the option keeps it.
    assert ModelFolder.load(calibrate.calibrate(found, store, SUBSETS, "min_dcf")).segments == found.segments


def test_it_is_registered_with_its_parent(calibrated, model, store, capsys):
    command = ["--model", str(model.folder), "--store", str(store.folder), "--register"]
    assert calibrate.main(command) == 0
    (version,) = mlflow.MlflowClient().search_model_versions("name = 'spoof-detector'")
    assert version.tags.items() >= {"parent": model.model_version, "model_version": calibrated.model_version}.items()
    assert register.CHAMPION in capsys.readouterr().out


def test_a_calibrated_model_knows_what_its_network_was_trained_on(calibrated, model, store, place):
    assert calibrated.dev_trials != model.dev_trials == calibrated.trained_on
    assert of_training(calibrated, Store.open(place / "other"))
    assert not of_training(calibrated, store)


def test_an_evaluation_tells_which_trials_the_calibration_is_of(calibrated, model, store, place):
    assert [calibrated_on(calibrated, store, subset) for subset in SUBSETS] == [len(store.subset(s)) for s in SUBSETS]
    assert calibrated_on(model, store, "eval") == 0
    summary = EvaluationSummary.read(
        evaluate.run(calibrated.folder, store.folder, ["eval"], place / "found", saliency=False)
    )
    assert "32 trials of eval chose the model's calibration" in "\n".join(wording.warnings(summary))


def test_logits_are_those_of_the_file_that_scores(calibrated, model, store, place):
    other = dataclasses.replace(model, sha256=model.sha256 | {"model.tflite": "of another precision"})
    before = len(list((place / "artifacts/calibrations").glob("*.parquet")))
    calibrate.calibrate(other, store, SUBSETS)
    assert len(list((place / "artifacts/calibrations").glob("*.parquet"))) == before + 1


def test_unknown_speakers_are_noted(model, store, capsys):
    table = store.manifest.assign(speaker="")
    nameless = dataclasses.replace(store, manifest=table, fingerprint=fingerprint("nameless"))
    calibrate.calibrate(model, nameless, SUBSETS)
    assert "note: some speakers are unknown" in capsys.readouterr().err
    assert pd.read_parquet(next(calibrate.artifacts_dir().glob("calibrations/*.parquet")))["source"].is_unique
