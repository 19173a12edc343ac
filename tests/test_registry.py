"""The registry's rule, on a real store: candidates, champions, and what their versions say."""

import mlflow
import pytest

from pipeline import bundle, registry, tracking
from pipeline.bundle import Bundle
from pipeline.config import REGISTERED_MODEL


@pytest.fixture
def client() -> mlflow.MlflowClient:
    return mlflow.MlflowClient()


def alias(client: mlflow.MlflowClient, name: str) -> str:
    version = client.get_model_version_by_alias(REGISTERED_MODEL, name)
    return version.tags["model_version"]


def test_the_first_the_better_and_the_worse(make_bundle, client):
    assert registry.register(make_bundle("first", dev_eer=0.2).folder).promoted
    assert alias(client, "champion") == alias(client, "candidate") == "first"

    assert not registry.register(make_bundle("worse", dev_eer=0.3).folder).promoted
    assert (alias(client, "champion"), alias(client, "candidate")) == ("first", "worse")

    decision = registry.register(make_bundle("better", dev_eer=0.1).folder)
    assert decision.reason == "dev EER 10.00 % against 20.00 % of first"
    assert alias(client, "champion") == "better"
    assert Bundle.load(bundle.find("")).model_version == "better"
    assert Bundle.load(bundle.find(f"models:/{REGISTERED_MODEL}@champion")).model_version == "better"

    tags = client.get_model_version_by_alias(REGISTERED_MODEL, "champion").tags
    assert tags.items() >= {"against": "first", "promoted": "true", "dev_eer": "0.100000"}.items()


def test_equal_is_not_better(make_bundle):
    registry.register(make_bundle("first", dev_eer=0.2).folder)
    assert not registry.register(make_bundle("second", dev_eer=0.2).folder).promoted


def test_other_dev_trials_do_not_compare(make_bundle, client):
    registry.register(make_bundle("first", dev_eer=0.2).folder)
    decision = registry.register(make_bundle("elsewhere", dev_eer=0.1, dev_trials="other").folder)
    assert not decision.promoted
    assert "dev trials are not those of the champion first" in decision.reason
    assert alias(client, "champion") == "first"


def test_registering_again_only_says_so(make_bundle, client, capsys):
    folder = make_bundle().folder
    registry.register(folder)
    assert registry.register(folder).promoted
    assert "already registered: spoof-detector version 1 is tiny-1" in capsys.readouterr().out
    assert len(client.search_model_versions(f"name = '{REGISTERED_MODEL}'")) == 1


def test_the_model_lands_in_the_run_that_trained_it(make_bundle, client):
    with tracking.run("run", stage="train") as run:
        pass
    registry.register(make_bundle(run_id=run.info.run_id).folder)
    assert client.get_model_version(REGISTERED_MODEL, "1").run_id == run.info.run_id


def test_the_environment_of_the_model_has_no_tensorflow_and_no_pickle(make_bundle):
    registry.register(make_bundle().folder)
    local = mlflow.artifacts.download_artifacts(f"models:/{REGISTERED_MODEL}@champion")
    from pathlib import Path

    files = [p for p in Path(local).rglob("*") if p.is_file()]
    assert not [p for p in files if p.suffix in (".pkl", ".pickle", ".joblib")]
    requirements = (Path(local) / "requirements.txt").read_text()
    assert "ai-edge-litert==" in requirements
    assert "tensorflow" not in requirements
    assert "keras" not in requirements


def test_nothing_to_register_says_so():
    with pytest.raises(bundle.BundleError, match="train a model first"):
        registry.main([])
