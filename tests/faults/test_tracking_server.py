"""A tracking server that stops: training continues, nothing is lost or doubled, and commands name the problem."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest

from pipeline import register, score, tracking
from pipeline.config import PROJECT_ROOT
from pipeline.errors import TrackingError
from pipeline.scoring import model_folders
from pipeline.scoring.model_folders import ModelFolder
from pipeline.training import checkpoint
from tests.support.mlflow_server import TrackingServer

EPOCHS = 8
TRAIN = f"""
import sys
from pathlib import Path
from pipeline import cli, train
from pipeline.config import preset
config = preset("smoke").replace(
    backbone="lcnn", dense_units=4, batch_size=45, epochs={EPOCHS}, hop_samples=400
)
cli.run(lambda: print(train.train(config, Path(sys.argv[1]))))
"""
DEADLINE_S = 500


class Training:
    """A real training in a separate process, logged to a server."""

    def __init__(self, folder: Path, url: str, store: Path):
        self.folder, self.log = folder, folder / "training.log"
        self._command = [sys.executable, "-c", TRAIN, str(store)]
        self._environment = {
            **os.environ,
            "SPOOF_ARTIFACTS": str(folder / "artifacts"),
            "MLFLOW_TRACKING_URI": url,
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        }

    def start(self) -> subprocess.Popen:
        with self.log.open("w") as log:
            return subprocess.Popen(self._command, cwd=PROJECT_ROOT, env=self._environment, stdout=log, stderr=log)

    def wait_for(self, process: subprocess.Popen, pattern: str, times: int = 1) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while len(re.findall(pattern, self.log.read_text())) < times:
            assert process.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < deadline, self.log.read_text()[-3000:]
            time.sleep(0.005)

    def history(self) -> tuple[str, list[dict[str, float]]]:
        """The run and the epochs that are on disk."""
        (state,) = (self.folder / "artifacts" / "training").glob("*/state.npz")
        progress = checkpoint.load(state)[0]
        return progress.run_id, progress.history


@pytest.fixture(scope="module")
def one_server(empty_tracking_store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(empty_tracking_store, folder / "server.db")
    made = TrackingServer(folder)
    yield made
    made.kill()


@pytest.fixture
def server(one_server):
    """The server of this module, started again if a test has killed it."""
    if not one_server.runs:
        one_server.start()
    return one_server


def logged(url: str, run_id: str) -> dict[str, list[tuple[int, float]]]:
    """Every point of every metric that the epochs have, as ``(step, value)``."""
    client = mlflow.MlflowClient(url)
    names = [name for name in client.get_run(run_id).data.metrics if name != "best_epoch"]
    return {name: sorted((m.step, m.value) for m in client.get_metric_history(run_id, name)) for name in names}


def test_training_outlives_its_server_and_loses_and_doubles_nothing(server, synthetic_store, tmp_path):
    """Killed in the middle of an epoch, brought back, killed again until the end, and brought back for good."""
    training = Training(tmp_path, server.url, synthetic_store.folder)
    process = training.start()
    training.wait_for(process, r"epoch 2/")
    server.kill()
    training.wait_for(process, r"kept and sent later")
    process.send_signal(signal.SIGSTOP)
    missed = len(training.history()[1])
    server.start()
    process.send_signal(signal.SIGCONT)
    training.wait_for(process, rf"epoch {missed + 2}/")
    server.kill()
    assert process.wait(DEADLINE_S) == 2
    printed = training.log.read_text()
    assert f"epoch {EPOCHS}/{EPOCHS}" in printed, "training continued to its end"
    assert re.search(rf"error: the tracking server {server.url} does not answer \(.*refused\); start it", printed)
    assert "Traceback" not in printed

    run_id, history = training.history()
    (folder,) = (
        path for path in (tmp_path / "artifacts" / "models").iterdir() if (path / model_folders.INDEX).is_file()
    )
    assert ModelFolder.load(folder).run_id == run_id, "the model is there before the server is"
    server.start()
    before = logged(server.url, run_id)
    assert missed <= len(before["dev/eer"]) < EPOCHS, "what was missed first was sent when the server was back"

    assert training.start().wait(DEADLINE_S) == 0, training.log.read_text()[-3000:]
    wanted = {name: [(epoch, row[name]) for epoch, row in enumerate(history)] for name in history[0]}
    assert logged(server.url, run_id) == wanted
    client = mlflow.MlflowClient(server.url)
    assert client.get_run(run_id).info.status == "FINISHED"
    assert {item.path for item in client.list_artifacts(run_id, "bundle")} == {
        f"bundle/{path.name}" for path in folder.iterdir()
    }
    experiment = client.get_experiment_by_name("spoof-detector").experiment_id
    assert len(client.search_runs([experiment])) == 1


@pytest.fixture
def nobody_there(tmp_path, monkeypatch) -> str:
    """The address of a server that is not running."""
    url = TrackingServer(tmp_path).url
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return url


def test_a_server_that_is_not_there_is_named_with_what_to_do(nobody_there, make_model_folder):
    silent = rf"the tracking server {nobody_there} does not answer \(Connection refused\); start it, or check MLFLOW"
    for model in ("models:/spoof-detector@champion", f"runs:/{'0' * 32}"):
        with pytest.raises(TrackingError, match=silent):
            score.main(["a.wav", "--model", model])
    with pytest.raises(TrackingError, match=silent):
        register.main(["--model", str(make_model_folder().folder)])
    with pytest.raises(TrackingError, match=silent), tracking.run("name", stage="train"):
        pass
    with pytest.raises(TrackingError, match=silent):
        tracking.exists("0" * 32)


def test_the_page_and_the_server_of_models_do_not_start_without_the_registry(nobody_there, tmp_path):
    model = "models:/spoof-detector@champion"
    page = [sys.executable, "-m", "pipeline.page", "--model", model, "--port", "0"]
    done = subprocess.run(page, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert re.fullmatch(r"error: the tracking server .* does not answer \(Connection refused\).*\n", done.stderr)
    serve = [str(Path(sys.executable).with_name("mlflow")), "models", "serve", "-m", model, "--env-manager", "local"]
    done = subprocess.run(serve, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert re.search(rf"API request to {nobody_there}.*Connection refused", done.stderr)


def test_a_silent_registry_is_not_taken_for_an_empty_one(server, make_model_folder, monkeypatch):
    """Were it, any candidate would become champion."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    client = mlflow.MlflowClient()
    assert register._champion(client) is None
    server.kill()
    with pytest.raises(mlflow.MlflowException, match=r"API request to .* failed"):
        register._champion(client)
