"""Where runs go and how they nest, on a real SQLite tracking store."""

import mlflow
import pytest

from pipeline import tracking
from pipeline.config import EXPERIMENT, preset


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    """An empty tracking store, and no run that an outer ``mlflow run`` has opened."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(None)
    yield
    mlflow.set_tracking_uri(None)


def test_a_stage_alone_is_a_run_of_the_project_experiment():
    with tracking.run("name", stage="train", tags={"preset": "smoke"}) as run:
        pass
    found = mlflow.get_run(run.info.run_id)
    assert found.info.run_name == "name"
    assert found.info.status == "FINISHED"
    assert found.data.tags.items() >= {"stage": "train", "preset": "smoke"}.items()
    assert mlflow.get_experiment(found.info.experiment_id).name == EXPERIMENT


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
    monkeypatch.setattr("sys.argv", ["search.py", "--storage", "postgresql://me:secret@host/db", "--trials", "3"])
    assert "secret" not in tracking.command()
    assert tracking.command().endswith("--storage postgresql://me:***@host/db --trials 3")


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


def test_configuration_is_logged_under_its_own_prefix():
    with tracking.run("name", stage="train") as run:
        tracking.log_config(preset("smoke"))
    parameters = mlflow.get_run(run.info.run_id).data.params
    assert parameters["config/corpus"] == "synthetic"
    assert len(parameters) == len(preset("smoke").flat())
