"""Registered versions looked up without MLflow: the same that MLflow finds, at once after an alias moves."""

import os
import sys

import mlflow
import pytest

from pipeline.scoring import fetched_models, model_folders, registry_lookup

NAME = "a model's %name"
CHAMPION = f"models:/{NAME}@champion"


def find(uri: str) -> registry_lookup.Version | None:
    return registry_lookup.find(uri, os.environ["MLFLOW_TRACKING_URI"])


@pytest.fixture
def client(tracking_store) -> mlflow.MlflowClient:
    """Registry with three versions, the second of which is champion and the last deleted."""
    client = mlflow.MlflowClient()
    client.create_registered_model(NAME)
    for number in "123":
        client.create_model_version(NAME, source=f"/nowhere/{number}")
    client.set_registered_model_alias(NAME, "champion", "2")
    client.delete_model_version(NAME, "3")
    return client


def test_a_version_is_found_by_alias_and_number_at_each_call(client):
    found = find(CHAMPION)
    known = client.get_model_version_by_alias(NAME, "champion")
    assert (found.number, found.location, found.uri) == ("2", "/nowhere/2", f"models:/{NAME}/2")
    assert (found.created_ms, found.folder) == (known.creation_timestamp, None)
    assert find(f"models:/{NAME}/2") == found
    client.set_registered_model_alias(NAME, "champion", "1")
    assert find(CHAMPION).number == "1"


@pytest.mark.parametrize(
    "uri",
    [
        f"models:/{NAME}@nobody",
        "models:/nothing@champion",
        f"models:/{NAME}/3",  # deleted
        f"models:/{NAME}/9",
        f"models:/{NAME}/latest",
        "models:/m-0123456789abcdef",
        f"{CHAMPION}/artifacts",
    ],
)
def test_other_names_are_left_to_mlflow(client, uri):
    assert find(uri) is None


def test_other_stores_are_left_to_mlflow(client, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "databricks-uc")
    assert find(CHAMPION) is None
    monkeypatch.delenv("MLFLOW_REGISTRY_URI")
    for store in (f"sqlite:///{tmp_path / 'none.db'}", "postgresql://host/db", "http://127.0.0.1:1"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
        assert find(CHAMPION) is None
    assert not (tmp_path / "none.db").exists()


def test_a_folder_of_this_machine_is_used_where_it_is(client, tmp_path, monkeypatch):
    client.create_model_version(NAME, source=f"file://{tmp_path}/of%20a%20run")
    folder = tmp_path / "of a run" / fetched_models.INNER
    folder.mkdir(parents=True)
    for name in [name for name in sys.modules if name.partition(".")[0] == "mlflow"]:
        monkeypatch.setitem(sys.modules, name, None)  # whose import then fails
    assert model_folders.find(f"models:/{NAME}/4") == folder


def test_a_version_elsewhere_is_downloaded_once_and_again_if_it_was_made_anew(client, tmp_path, monkeypatch):
    asked = []

    def download(source, uri, place):
        asked.append((source, uri))
        (folder := tmp_path / place / "artifacts" / "bundle").mkdir(parents=True)
        (folder / "bundle.json").touch()
        return folder

    monkeypatch.setattr(fetched_models, "_download", download)
    first = model_folders.find(CHAMPION)
    assert (first / "bundle.json").is_file()
    assert [path.name for path in first.parent.iterdir()] == [first.name]
    assert model_folders.find(CHAMPION) == first
    assert asked == [(f"models:/{NAME}/2/artifacts/bundle", CHAMPION)]
    client.set_registered_model_alias(NAME, "champion", "1")
    assert model_folders.find(CHAMPION) != first, "the alias has moved"
    client.delete_registered_model(NAME)
    client.create_registered_model(NAME)
    for number in "12":
        client.create_model_version(NAME, source=f"/nowhere/{number}")
    assert model_folders.find(f"models:/{NAME}/2") != first, "another model has the name now"
