"""Model folders: written whole, read with checks, and found by folder, run or registry."""

import json

import mlflow
import numpy as np
import pandas as pd
import pytest

from pipeline import tracking
from pipeline.common import sealed
from pipeline.errors import BundleError, ConfigError
from pipeline.metrics import calibration
from pipeline.scoring import model_folders
from pipeline.scoring.model_folders import Bundle


def test_round_trip(make_bundle, smoke):
    written = make_bundle()
    read = Bundle.load(written.folder)
    assert read == written
    assert read.config == smoke
    assert read.clip_samples == 8000
    assert read.point().threshold == 0.25
    assert read.point("min_dcf").prior_spoof == 0.05
    assert {p.name for p in read.folder.iterdir()} == {"bundle.json", "model.tflite", "model.keras"}


def test_writing_again_replaces_the_folder(make_bundle):
    make_bundle(dev_eer=0.3)
    assert make_bundle(dev_eer=0.1).dev_eer == 0.1


def test_unknown_operating_point_lists_those_there_are(make_bundle):
    with pytest.raises(ConfigError, match="'fpr': this model has eer, min_dcf; prior=P,miss"):
        make_bundle().point("fpr")


def test_a_prior_and_costs_need_no_stored_point(make_bundle):
    point = make_bundle().point("prior=0.5,miss=1,false_alarm=100")
    assert (point.threshold, point.prior_spoof) == (pytest.approx(np.log(100)), 0.5)


DEV = pd.DataFrame(
    {
        "utterance_id": ["007", "a,b", "NA", "d"],
        "label": ["bonafide", "spoof", "bonafide", "spoof"],
        "speaker": ["1", "", "nan", "2"],
        "score": [1.1, -2.0, 0.1 + 0.2, 0.25],
    }
)


def test_dev_scores_come_back_as_they_were_and_give_further_points(make_bundle):
    read = Bundle.load(make_bundle(dev_scores=DEV).folder)
    pd.testing.assert_frame_equal(read.dev_scores, DEV, check_dtype=False)
    assert read.point("fpr=0.5") == calibration.OperatingPoint(pytest.approx(-0.875), 0.5, 0.0, 0.5)
    assert make_bundle().dev_scores is None
    with pytest.raises(ConfigError, match=r"'fpr=0\.5': this model has eer, min_dcf"):
        make_bundle().point("fpr=0.5")


def test_another_default_point_changes_the_index_alone(make_bundle):
    written = make_bundle(dev_scores=DEV)
    chosen = model_folders.choose(written, "fpr=0.5")
    assert (chosen.operating_point, chosen.config.train.operating_point) == ("fpr=0.5", "fpr=0.5")
    assert chosen.point() == written.point("fpr=0.5")
    assert set(chosen.operating_points) == {"eer", "min_dcf", "fpr=0.5"}
    assert (chosen.sha256, chosen.calibration) == (written.sha256, written.calibration)


def test_a_folder_of_format_1_is_read(make_bundle):
    index = make_bundle().folder / "bundle.json"
    values = json.loads(index.read_text()) | {"format": 1}
    del values["config"]["operating_point"], values[sealed.SEAL]
    index.write_text(json.dumps(values))
    read = Bundle.load(index.parent)
    assert (read.dev_scores, read.point().threshold) == (None, 0.25)


def test_damage_is_found_and_named(make_bundle):
    folder = make_bundle().folder
    model = folder / "model.tflite"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)
    with pytest.raises(BundleError, match=r"model\.tflite: its checksum"):
        Bundle.load(folder)
    model.unlink()
    with pytest.raises(BundleError, match=r"model\.tflite: missing"):
        Bundle.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "format 99 is none of 1, 2, 3"),
        ({"config": {"preset": "x", "warp": 9}}, "another version.*'warp'"),
    ],
)
def test_other_versions_are_refused(make_bundle, change, message):
    index = make_bundle().folder / "bundle.json"
    sealed.write(index, json.loads(index.read_text()) | change)
    with pytest.raises(BundleError, match=message):
        Bundle.load(index.parent)


def test_missing_folder_and_missing_champion_say_what_to_do(tmp_path):
    with pytest.raises(BundleError, match=r"bundle\.json is missing\); train one, or check --model"):
        Bundle.load(tmp_path)
    with pytest.raises(BundleError, match="no model yet: `make demo`"):
        model_folders.find("")


def test_a_run_is_found_by_its_id(make_bundle):
    written = make_bundle()
    with tracking.run("run", stage="train") as run:
        mlflow.log_artifacts(str(written.folder), "bundle")
    assert Bundle.load(model_folders.find(f"runs:/{run.info.run_id}")).model_version == "tiny-1"
    assert Bundle.load(model_folders.find(f"runs:/{run.info.run_id}/bundle")).model_version == "tiny-1"


def test_unknown_run_and_registered_model_are_named():
    with pytest.raises(BundleError, match="--model models:/nothing@champion: not found at sqlite"):
        model_folders.find("models:/nothing@champion")
    with pytest.raises(BundleError, match="not found at sqlite"):
        model_folders.find(f"runs:/{'0' * 32}")
