"""Model folders: written whole, read with checks, and found by folder, run or registry."""

import json

import mlflow
import numpy as np
import pandas as pd
import pytest

from pipeline import tracking
from pipeline.common import files
from pipeline.errors import ConfigError, ModelFolderError
from pipeline.metrics import calibration
from pipeline.metrics.localisation import SegmentPoint
from pipeline.scoring import fetched_models, model_folders, model_writer
from pipeline.scoring.model_folders import ModelFolder


def test_round_trip(make_model_folder, smoke):
    written = make_model_folder()
    read = ModelFolder.load(written.folder)
    assert read == written
    assert read.config == smoke
    assert read.clip_samples == 8000
    assert read.point().threshold == 0.25
    assert read.point("min_dcf").prior_spoof == 0.05
    assert {p.name for p in read.folder.iterdir()} == {"bundle.json", "model.tflite", "model.keras"}


def test_the_threshold_for_segments_stays_beside_every_operating_point(make_model_folder, tmp_path):
    plain = make_model_folder()
    assert plain.point().segment_threshold == plain.point().threshold == 0.25
    model = model_writer.derive(plain, tmp_path / "segments", {}, segments=SegmentPoint(-0.5, 0.7, 8.0))
    assert model.segments == SegmentPoint(-0.5, 0.7, 8.0)
    assert model.model_version == plain.model_version
    for name, threshold in (("", 0.25), ("min_dcf", 1.5), ("prior=0.5,miss=1,false_alarm=1", 0.0)):
        assert (model.point(name).threshold, model.point(name).segment_threshold) == (threshold, -0.5)
    assert model.point(threshold=2.0).segment_threshold == 2.0
    chosen = model_writer.choose(model, "min_dcf")
    assert (chosen.point().segment_threshold, chosen.operating_points) == (-0.5, plain.operating_points)


def test_writing_again_replaces_the_folder(make_model_folder):
    make_model_folder(dev_eer=0.3)
    assert make_model_folder(dev_eer=0.1).dev_eer == 0.1


def test_unknown_operating_point_lists_those_there_are(make_model_folder):
    with pytest.raises(ConfigError, match="'fpr': this model has eer, min_dcf; prior=P,miss"):
        make_model_folder().point("fpr")


def test_a_prior_and_costs_need_no_stored_point(make_model_folder):
    point = make_model_folder().point("prior=0.5,miss=1,false_alarm=100")
    assert (point.threshold, point.prior_spoof) == (pytest.approx(np.log(100)), 0.5)


DEV = pd.DataFrame(
    {
        "utterance_id": ["007", "a,b", "NA", "d"],
        "label": ["bonafide", "spoof", "bonafide", "spoof"],
        "speaker": ["1", "", "nan", "2"],
        "attack": ["-", "A01", "-", "A02"],
        "corpus": "toy",
        "logit": [0.8, -0.75, 0.4, 0.375],
        "score": [1.1, -2.0, 0.1 + 0.2, 0.25],
        "duration_s": [1.0, 2.5, 3.0, 0.4],
        "speech_s": [0.9, 2.0, 2.5, 0.0],
    }
)


def test_dev_trials_come_back_as_they_were_and_give_further_points(make_model_folder):
    read = ModelFolder.load(make_model_folder(dev=DEV).folder)
    pd.testing.assert_frame_equal(read.dev, DEV)
    assert read.dev_scores is read.dev
    assert read.point("fpr=0.5") == calibration.OperatingPoint(pytest.approx(-0.875), 0.5, 0.0, 0.5)
    assert make_model_folder().dev is make_model_folder().dev_scores is None
    with pytest.raises(ConfigError, match=r"'fpr=0\.5': this model has eer, min_dcf"):
        make_model_folder().point("fpr=0.5")


def test_another_default_point_changes_the_index_alone(make_model_folder):
    written = make_model_folder(dev=DEV)
    chosen = model_writer.choose(written, "fpr=0.5")
    assert (chosen.operating_point, chosen.config.decision.operating_point) == ("fpr=0.5", "fpr=0.5")
    assert chosen.point() == written.point("fpr=0.5")
    assert set(chosen.operating_points) == {"eer", "min_dcf", "fpr=0.5"}
    assert (chosen.sha256, chosen.calibration) == (written.sha256, written.calibration)


def test_a_folder_derived_from_another_has_its_other_files(make_model_folder, tmp_path):
    source, card = make_model_folder(dev=DEV), tmp_path / "card.md"
    card.write_text("about it")
    made = model_writer.derive(source, tmp_path / "own", {"model_card.md": card}, without=["model.tflite"], run_id="r")
    assert {p.name for p in made.folder.iterdir()} == {"bundle.json", "dev.parquet", "model.keras", "model_card.md"}
    assert (made.run_id, made.model_version) == ("r", source.model_version)
    assert made.sha256["dev.parquet"] == source.sha256["dev.parquet"]


def test_without_pyarrow_dev_trials_are_named_with_the_remedy(make_model_folder, monkeypatch):
    model = make_model_folder(dev=DEV)
    monkeypatch.setattr(pd, "read_parquet", lambda path: (_ for _ in ()).throw(ImportError("pyarrow")))
    with pytest.raises(ConfigError, match=r"dev\.parquet: reading it needs pyarrow"):
        model.point("fpr=0.5")
    assert model.point("eer").threshold == 0.25


def test_dev_scores_in_csv_are_read(make_model_folder, tmp_path):
    csv = tmp_path / "dev_scores.csv"
    DEV[["utterance_id", "label", "speaker", "score"]].to_csv(csv, index=False)
    made = model_writer.derive(make_model_folder(), tmp_path / "own", {csv.name: csv})
    assert made.dev is None
    pd.testing.assert_frame_equal(made.dev_scores, DEV[list(made.dev_scores)], check_dtype=False)
    assert made.point("fpr=0.5").threshold == pytest.approx(-0.875)


def test_a_folder_of_format_1_is_read(make_model_folder):
    index = make_model_folder().folder / "bundle.json"
    values = json.loads(index.read_text()) | {"format": 1}
    del values["config"]["operating_point"], values[files.SEAL]
    del values["calibration"]["lower"], values["calibration"]["upper"]
    index.write_text(json.dumps(values))
    read = ModelFolder.load(index.parent)
    assert (read.dev_scores, read.point().threshold) == (None, 0.25)
    assert read.calibration.apply(1e3) == 2e3 - 0.5, "folders without bounds are unbounded"


def test_damage_is_found_and_named(make_model_folder):
    folder = make_model_folder().folder
    model = folder / "model.tflite"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)
    with pytest.raises(ModelFolderError, match=r"model\.tflite: its checksum"):
        ModelFolder.load(folder)
    model.unlink()
    with pytest.raises(ModelFolderError, match=r"model\.tflite: missing"):
        ModelFolder.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "format 99 is none of 1, 2, 3, 4"),
        ({"config": {"preset": "x", "warp": 9}}, "another version.*'warp'"),
    ],
)
def test_other_versions_are_refused(make_model_folder, change, message):
    index = make_model_folder().folder / "bundle.json"
    files.write_sealed(index, json.loads(index.read_text()) | change)
    with pytest.raises(ModelFolderError, match=message):
        ModelFolder.load(index.parent)


def test_missing_folder_and_missing_models_are_named_with_the_remedy(tmp_path, monkeypatch):
    with pytest.raises(ModelFolderError, match=r"bundle\.json is missing\); train one, or check --model"):
        ModelFolder.load(tmp_path)
    monkeypatch.setattr(model_folders, "PRETRAINED", tmp_path / "lost")
    with pytest.raises(ModelFolderError, match=r"no model: .*whisper comes with the project and is missing"):
        model_folders.find("")


def test_the_champion_goes_before_the_model_that_comes_with_the_project(monkeypatch):
    monkeypatch.setattr(fetched_models, "unpacked", lambda packed, version: packed)
    assert model_folders.find("") == model_folders.PRETRAINED / "whisper" == model_folders.find("pretrained:/whisper")
    model_folders.champion_dir().mkdir(parents=True)
    assert model_folders.find("") == model_folders.champion_dir()


@pytest.mark.usefixtures("tracking_store")
def test_a_run_is_found_by_its_id(make_model_folder):
    written = make_model_folder()
    with tracking.run("run", stage="train") as run:
        mlflow.log_artifacts(str(written.folder), "bundle")
    assert ModelFolder.load(model_folders.find(f"runs:/{run.info.run_id}")).model_version == "tiny-1"
    assert ModelFolder.load(model_folders.find(f"runs:/{run.info.run_id}/bundle")).model_version == "tiny-1"
    assert model_folders.find(f"runs:/{run.info.run_id}") == model_folders.find(f"runs:/{run.info.run_id}/bundle")


@pytest.mark.usefixtures("tracking_store")
def test_unknown_run_and_registered_model_are_named():
    with pytest.raises(ModelFolderError, match="--model models:/nothing@champion: not found at sqlite"):
        model_folders.find("models:/nothing@champion")
    with pytest.raises(ModelFolderError, match="not found at sqlite"):
        model_folders.find(f"runs:/{'0' * 32}")
