"""The rule of promotion on a real registry: candidates, champions, and the tags of their versions."""

import hashlib
import json
import os
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from pipeline import metrics, register, tracking
from pipeline.common import files
from pipeline.config import REGISTERED_MODEL
from pipeline.errors import ConfigError
from pipeline.scoring import model_folders
from pipeline.scoring.model_folders import ModelFolder

pytestmark = pytest.mark.usefixtures("tracking_store")


@pytest.fixture
def client() -> mlflow.MlflowClient:
    return mlflow.MlflowClient()


def alias(client: mlflow.MlflowClient, name: str) -> str:
    version = client.get_model_version_by_alias(REGISTERED_MODEL, name)
    return version.tags["model_version"]


@pytest.fixture
def trained(make_model_folder):
    """Writes a model folder whose dev scores separate the classes by ``distance``."""

    def make(version: str, distance: float = 1.0, *, litert_padding: int = 0, **values) -> ModelFolder:
        rng = np.random.default_rng(4)
        label = np.where(np.arange(300) % 2 == 0, "bonafide", "spoof")
        scores = rng.normal(size=300) + distance * (label == "bonafide") - distance / 2
        dev = pd.DataFrame(
            {
                "utterance_id": [f"D_{i}" for i in range(300)],
                "label": label,
                "speaker": [f"s{i % 15}" for i in range(300)],
                "score": scores,
            }
        )
        written = make_model_folder(version, dev=dev, dev_eer=metrics.eer(scores, label == "bonafide"), **values)
        if litert_padding:
            pad(written.folder, litert_padding)
        return ModelFolder.load(written.folder)

    return make


def pad(folder: Path, count: int) -> None:
    """Append bytes to the LiteRT file, which still loads."""
    model = folder / "model.tflite"
    model.write_bytes(model.read_bytes() + bytes(count))
    index = json.loads((folder / "bundle.json").read_text())
    index["sha256"]["model.tflite"] = hashlib.sha256(model.read_bytes()).hexdigest()
    files.write_sealed(folder / "bundle.json", index)


def test_the_first_the_worse_the_better_and_back(trained, client):
    assert register.register(trained("first", 1.0).folder).promoted
    assert alias(client, "champion") == alias(client, "candidate") == "first"

    worse = register.register(trained("worse", 0.2).folder)
    assert not worse.promoted
    assert worse.reason.startswith("worse: dev EER ")
    assert (alias(client, "champion"), alias(client, "candidate")) == ("first", "worse")

    better = trained("better", 3.0)
    decision = register.register(better.folder)
    assert decision.reason.startswith(f"better: dev EER {100 * better.dev_eer:.2f} % against ")
    assert alias(client, "champion") == "better"
    assert ModelFolder.load(model_folders.find("")).model_version == "better"
    assert ModelFolder.load(model_folders.find(f"models:/{REGISTERED_MODEL}@champion")).model_version == "better"

    tags = client.get_model_version_by_alias(REGISTERED_MODEL, "champion").tags
    assert tags.items() >= {"against": "first", "promoted": "true", "previous_champion": "1"}.items()
    assert 0 < float(tags["dev_eer_difference_low"]) < float(tags["dev_eer_difference"])
    assert float(tags["dev_eer"]) == pytest.approx(better.dev_eer, abs=1e-6)
    assert float(tags["dev_eer_champion"]) - float(tags["dev_eer"]) == pytest.approx(
        float(tags["dev_eer_difference"]), abs=2e-6
    )

    assert register.main(["--rollback", "true"]) == 0
    assert alias(client, "champion") == "first"
    assert ModelFolder.load(model_folders.find("")).model_version == "first"
    assert client.get_model_version(REGISTERED_MODEL, "3").tags["rolled_back"] == "true"
    with pytest.raises(ConfigError, match="version 1 is the first champion"):
        register.rollback()


def test_equal_is_not_better_but_equal_and_cheaper_is(trained, client):
    register.register(trained("first", litert_padding=2_000_000).folder)
    same = register.register(trained("same", litert_padding=1_999_000).folder)
    assert not same.promoted
    assert same.reason.startswith("not told apart, and not cheaper: ")
    small = register.register(trained("small").folder)
    assert small.promoted
    assert small.reason.startswith("not told apart, and cheaper: ")
    assert int(small.numbers["model_bytes"]) + 2_000_000 == int(small.numbers["model_bytes_champion"])
    assert alias(client, "champion") == "small"


def test_other_dev_trials_do_not_compare(trained, client):
    register.register(trained("first").folder)
    decision = register.register(trained("elsewhere", 3.0, dev_trials="other").folder)
    assert not decision.promoted
    assert "dev trials are not those of the champion first" in decision.reason
    assert alias(client, "champion") == "first"


def test_without_dev_scores_nothing_is_promoted(trained, make_model_folder, client):
    register.register(make_model_folder("old").folder)
    decision = register.register(trained("recent", 3.0).folder)
    assert not decision.promoted
    assert decision.reason.startswith("old has no dev scores, which promotion compares; train both on one Store")
    assert (alias(client, "champion"), alias(client, "candidate")) == ("old", "recent")


def test_a_rollback_needs_a_previous_champion(trained):
    with pytest.raises(ConfigError, match="no previous champion, there is no champion"):
        register.main(["--rollback", "true"])
    with pytest.raises(ConfigError, match="takes no --model"):
        register.main(["--rollback", "true", "--model", "x"])


def test_eval_and_the_model_card_are_beside_the_decision(trained, client):
    with tracking.run("run", stage="train") as run:
        mlflow.log_metric("eval/eer", 0.25)
        mlflow.log_text("# Card\n" + "a line of it\n" * 1000, "model_card.md")
    register.register(trained("first", run_id=run.info.run_id).folder)
    version = client.get_model_version(REGISTERED_MODEL, "1")
    assert version.tags["eval_eer"] == "0.250000"
    assert version.description.startswith("# Card\na line of it\n")
    assert version.description.endswith(f"The whole card: runs:/{run.info.run_id}/model_card.md\n")
    assert 4900 < len(version.description) <= 5000
    register.register(trained("second", 3.0).folder)
    assert client.get_model_version(REGISTERED_MODEL, "2").description.startswith("second was not evaluated")
    assert client.get_model_version(REGISTERED_MODEL, "2").tags["eval_eer_champion"] == "0.250000"


def test_a_registered_folder_is_only_reported(make_model_folder, client, capsys):
    folder = make_model_folder().folder
    register.register(folder)
    assert register.register(folder).promoted
    assert "already registered: spoof-detector version 1 is tiny-1" in capsys.readouterr().out
    assert len(client.search_model_versions(f"name = '{REGISTERED_MODEL}'")) == 1


def test_a_folder_with_other_files_is_another_version(make_model_folder, client):
    folder = make_model_folder().folder
    register.register(folder)
    pad(folder, 16)
    register.register(folder)
    assert len(client.search_model_versions(f"name = '{REGISTERED_MODEL}'")) == 2


def test_the_model_lands_in_the_run_that_trained_it(make_model_folder, client):
    with tracking.run("run", stage="train") as run:
        pass
    register.register(make_model_folder(run_id=run.info.run_id).folder)
    assert client.get_model_version(REGISTERED_MODEL, "1").run_id == run.info.run_id


def test_the_environment_of_the_model_has_no_tensorflow_and_no_pickle(make_model_folder):
    register.register(make_model_folder().folder)
    local = mlflow.artifacts.download_artifacts(f"models:/{REGISTERED_MODEL}@champion")
    files = [p for p in Path(local).rglob("*") if p.is_file()]
    assert not [p for p in files if p.suffix in (".pkl", ".pickle", ".joblib")]
    requirements = (Path(local) / "requirements.txt").read_text()
    assert "ai-edge-litert==" in requirements
    assert "tensorflow" not in requirements
    assert "keras" not in requirements


def test_without_a_model_folder_nothing_is_registered():
    with pytest.raises(model_folders.ModelFolderError, match="train a model first"):
        register.main([])


def test_the_newest_model_is_a_whole_one():
    models = model_folders.champion_dir().parent
    for age, name in enumerate(("demo-1.part", "champion", "champion.old", "demo-1", "demo-0")):
        (models / name).mkdir(parents=True)
        (models / name / "bundle.json").write_text("{}")
        os.utime(models / name / "bundle.json", (1000 - age, 1000 - age))
    assert register.newest() == models / "demo-1"
