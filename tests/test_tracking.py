"""Where runs go and how they nest, on a real SQLite tracking store, and what wrong addresses print."""

import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from pipeline import tracking
from pipeline.common import provenance
from pipeline.config import EXPERIMENT, preset
from pipeline.errors import TrackingError
from pipeline.store.store import Store

pytestmark = pytest.mark.usefixtures("tracking_store")


def test_a_stage_alone_is_a_run_of_the_project_experiment():
    with tracking.run("name", stage="train", tags={"preset": "smoke"}) as run:
        pass
    found = mlflow.get_run(run.info.run_id)
    assert found.info.run_name == "name"
    assert found.info.status == "FINISHED"
    assert found.data.tags.items() >= {"stage": "train", "preset": "smoke"}.items()
    assert mlflow.get_experiment(found.info.experiment_id).name == EXPERIMENT


@pytest.mark.parametrize("split_by", ["stratified", "official+stratified", "one=official,other=stratified"])
def test_a_split_by_clips_is_marked(split_by):
    store = Store(Path("made"), "made", "0", split_by, pd.DataFrame(), ())
    assert tracking.tags(preset("smoke"), store)["split"] == f"{split_by} (speakers leak)"


def test_a_stage_inside_another_is_its_child():
    with tracking.run("outer", stage="main") as outer, tracking.run("inner", stage="train") as inner:
        pass
    assert mlflow.get_run(inner.info.run_id).data.tags["mlflow.parentRunId"] == outer.info.run_id


def test_a_run_can_lie_in_the_run_of_another_process(monkeypatch):
    experiment = mlflow.create_experiment("elsewhere")
    parent = mlflow.MlflowClient().create_run(experiment).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", parent)
    with tracking.run("trial 1", stage="trial", parent_run_id=parent) as run:
        pass
    assert run.info.run_id != parent
    assert run.info.experiment_id == experiment
    assert mlflow.get_run(run.info.run_id).data.tags["mlflow.parentRunId"] == parent


def test_the_command_shows_no_password(monkeypatch):
    url, model = "postgresql://me:a s#e/c@ret@host/db", "models:/spoof-detector@champion"
    monkeypatch.setattr("sys.argv", ["search.py", "--storage", url, f"--other={url}", model])
    hidden = "postgresql://***@host/db"
    assert provenance.command().endswith(f" --storage '{hidden}' '--other={hidden}' {model}")


def test_the_experiment_can_be_chosen_and_a_missing_one_is_named(monkeypatch):
    number = mlflow.create_experiment("elsewhere")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", number)
    with tracking.run("name", stage="train") as run:
        assert run.info.experiment_id == number
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID")
    mlflow.delete_experiment(mlflow.create_experiment(EXPERIMENT))
    with (
        pytest.raises(TrackingError, match=rf"{EXPERIMENT} is deleted at sqlite.*`mlflow experiments restore`"),
        tracking.run("name", stage="train"),
    ):
        pass
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "77")
    with pytest.raises(TrackingError, match="experiment 77 does not exist"), tracking.run("name", stage="train"):
        pass


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("file:///tmp/store", r"=file:///tmp/store: expected http://HOST:PORT.*`mlflow migrate-filestore`"),
        ("mlruns", "=mlruns: expected"),
        ("htp://me:se@cret@host", r"=htp://\*\*\*@host: expected"),
        ("http:/me:secret@host", "=host: expected"),
        ("127.0.0.1:5000", "=127.0.0.1:5000: expected"),
        ("sqlite://tmp/x.db", "sqlite://tmp/x.db cannot be opened"),
        ("mysql://me:secret@host/db", r"mysql://\*\*\*@host/db cannot be opened \(No module named"),
        ("postgresql+psycopg2://me:s@/#?%ecret@127.0.0.1:1/db", r"cannot be opened \(connection to server at"),
    ],
)
def test_a_wrong_address_is_one_line_with_the_remedy_and_no_password(monkeypatch, address, shown):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(TrackingError, match=shown) as caught:
        tracking.check()
    assert "cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("password", ["secret", "s@cret", "s/cret", "s#cret", "s?cret", "s:cret", "s%cret", "s%40cret"])
def test_the_password_of_a_server_is_passed_on_and_not_shown(monkeypatch, password):
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:{password}@127.0.0.1:1/path")
    with pytest.raises(TrackingError, match=r"server http://127\.0\.0\.1:1/path does not answer \(Connection refused"):
        tracking.check()
    assert os.environ["MLFLOW_TRACKING_USERNAME"] == "me"
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == password.replace("%40", "@")


@pytest.mark.parametrize(("status", "shown"), [(404, "failed with error code 404"), (200, "not in a valid JSON")])
def test_a_server_that_is_not_mlflow_is_named(monkeypatch, status, shown):
    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"<html>another page</html>")

        do_POST = do_GET  # noqa: N815

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.server_port}/wrong")
        with pytest.raises(TrackingError, match=rf"/wrong does not answer as MLflow does \({shown}"):
            tracking.check()
        server.shutdown()


def test_the_run_that_mlflow_run_opened_is_used(monkeypatch):
    opened = mlflow.MlflowClient().create_run(mlflow.create_experiment("elsewhere")).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", opened)
    with tracking.run("name", stage="train") as run:
        assert run.info.run_id == opened
    assert mlflow.get_run(opened).info.run_name == "name"


def test_a_stage_aside_leaves_that_run_to_the_next(monkeypatch):
    experiment = mlflow.create_experiment("elsewhere")
    opened = mlflow.MlflowClient().create_run(experiment).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", opened)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", experiment)
    with tracking.run("data", stage="preprocess", aside=True) as first:
        assert first.info.run_id != opened
    with tracking.run("name", stage="train") as second:
        assert second.info.run_id == opened
    assert mlflow.get_run(opened).info.run_name == "name"


def test_going_on_closes_the_extra_run_and_points_from_it(monkeypatch):
    with tracking.run("first", stage="train") as first:
        pass
    extra = mlflow.MlflowClient().create_run(first.info.experiment_id).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", extra)
    with tracking.run("again", stage="train", run_id=first.info.run_id) as run:
        assert run.info.run_id == first.info.run_id
    closed = mlflow.get_run(extra)
    assert closed.data.tags["continued_in"] == first.info.run_id
    assert closed.info.status == "FINISHED"
    assert mlflow.get_run(first.info.run_id).info.run_name == "first"


def test_a_failing_stage_ends_failed():
    with pytest.raises(ZeroDivisionError), tracking.run("name", stage="train") as run:
        _ = 1 / 0
    assert mlflow.get_run(run.info.run_id).info.status == "FAILED"


def test_exists_tells_deleted_and_unknown_runs():
    with tracking.run("name", stage="train") as run:
        pass
    assert tracking.exists(run.info.run_id)
    mlflow.delete_run(run.info.run_id)
    assert not tracking.exists(run.info.run_id)
    assert not tracking.exists("0" * 32)
    assert not tracking.exists("")


def test_configuration_is_logged_under_its_own_prefix():
    with tracking.run("name", stage="train") as run:
        tracking.log_config(preset("smoke"))
    parameters = mlflow.get_run(run.info.run_id).data.params
    assert parameters["config/corpus"] == "synthetic"
    assert len(parameters) == len(preset("smoke").flat())
