"""A tracking server for a team: a real ``mlflow server`` with passwords, on a real PostgreSQL."""

import base64
import dataclasses
import importlib.util
import io
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pytest
import soundfile
from mlflow.server import get_app_client

from benchmarks.server import free_port, running, serving
from pipeline import register, train
from pipeline.config import SAMPLE_RATE_HZ
from pipeline.errors import TrackingError
from pipeline.scoring import fetched_models, model_folders
from pipeline.scoring.model_folders import ModelFolder
from tests.support import postgres

ADMIN, ADMIN_PASSWORD = "admin", "a long admin password"
MEMBER, MEMBER_PASSWORD = "ann", "a long password of ann"
AUTH = """
[mlflow]
default_permission = EDIT
database_uri = {database}
admin_username = admin
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 60
"""


@contextmanager
def team_server(folder: Path, database: str) -> Iterator[str]:
    """The URL of the server as the README starts it, on one port of this machine."""
    port = free_port()
    (folder / "auth.ini").write_text(AUTH.format(database=database))
    secrets = {"MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN_PASSWORD, "MLFLOW_FLASK_SERVER_SECRET_KEY": "a key"}
    quick = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # jobs of language models, whose processes are slow to end
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth"]
    command += ["--backend-store-uri", database, "--artifacts-destination", str(folder / "artifacts")]
    command += ["--host", "127.0.0.1", "--port", str(port), "--allowed-hosts", f"127.0.0.1:{port}", "--workers", "1"]
    url = f"http://127.0.0.1:{port}"
    environment = {**secrets, **quick, "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini")}
    with running(command, url, "health", log=folder / "server.log", environment=environment):
        yield url


def driven(database: str) -> str:
    """The URL of a database with the driver that the project locks; SQLAlchemy would look for another."""
    return database.replace("postgresql://", "postgresql+psycopg2://")


def status(url: str, **headers: str) -> int:
    """Status of an answer; 0: there is none."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("team")


@pytest.fixture(scope="module")
def address(place):
    if importlib.util.find_spec("flask_wtf") is None:
        pytest.skip("Flask-WTF is not installed, which MLflow's basic-auth app needs")
    if (programs := postgres.programs()) is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with postgres.server(programs) as database, team_server(place, driven(database)) as url:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLFLOW_TRACKING_USERNAME", ADMIN)
            patch.setenv("MLFLOW_TRACKING_PASSWORD", ADMIN_PASSWORD)
            get_app_client("basic-auth", tracking_uri=url).create_user(MEMBER, MEMBER_PASSWORD)
        yield url


@pytest.fixture
def tracked(address, monkeypatch) -> str:
    """The server is where runs go, by the name and password of one of the team."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", MEMBER)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", MEMBER_PASSWORD)
    return address


@pytest.fixture
def strangers(tracked, monkeypatch) -> str:
    """The same server, without a password."""
    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")
    return tracked


def test_a_smoke_run_is_trained_registered_and_served(tracked, place, smoke, synthetic_store, voice, tmp_path):
    config = smoke.replace(backbone="gmm", epochs=1)
    made = ModelFolder.load(train.train(config, synthetic_store.folder))
    run = mlflow.get_run(made.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.artifact_uri.startswith("mlflow-artifacts:/"), "artifacts do not go through the server"
    assert 0 <= run.data.metrics["dev/eer"] <= 1
    assert register.register(made.folder).promoted
    kept = [path.relative_to(place / "artifacts") for path in (place / "artifacts").rglob("model.tflite")]
    assert len(kept) == 2, "one in the run, one in the registered model"
    assert not (tmp_path / "mlruns").exists()
    downloaded = model_folders.find(register.CHAMPION_URI)
    assert downloaded.parent == tmp_path / "artifacts" / "downloaded"
    assert ModelFolder.load(downloaded) == dataclasses.replace(made, folder=downloaded)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetched_models, "_download", None)
        assert model_folders.find(register.CHAMPION_URI) == downloaded
    recording = io.BytesIO()
    soundfile.write(recording, voice, SAMPLE_RATE_HZ, format="WAV")
    text = base64.b64encode(recording.getvalue()).decode()
    with serving(log=tmp_path / "serve.log") as server:
        (row,) = server.score(dataframe_records=[{"audio": text}])
    assert row["model_version"] == made.model_version
    assert row["error"] == ""


def test_without_a_password_all_is_refused(strangers, smoke, synthetic_store):
    assert status(f"{strangers}/") == 401
    assert status(f"{strangers}/api/2.0/mlflow/experiments/search?max_results=1") == 401
    assert status(f"{strangers}/api/2.0/mlflow-artifacts/artifacts") == 401
    with pytest.raises(TrackingError, match=f"{strangers} needs a name and a password"):
        train.train(smoke, synthetic_store.folder)
    with pytest.raises(TrackingError, match="needs a name and a password"):
        model_folders.find("models:/spoof-detector@champion")


def test_a_wrong_password_is_refused(strangers, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", MEMBER)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", ADMIN_PASSWORD)
    with pytest.raises(TrackingError, match="needs another name or password"):
        model_folders.find("models:/spoof-detector@champion")


def test_other_names_of_the_server_are_refused(tracked):
    assert status(f"{tracked}/") == 401
    assert status(f"{tracked}/", Host="evil.example") == 403
