"""Trials of dead processes: real processes, killed with SIGKILL."""

import subprocess
import sys
import time

import mlflow
import optuna
import pytest
from optuna.trial import TrialState

from pipeline import tracking
from pipeline.config import PROJECT_ROOT
from tests.support.made_study import settings
from tuning import abandoned, study

HEARTBEAT_S = 1
WORKER = f"""
import sys, time
from tuning import abandoned, study
study.quietly()
own = study.load(study.storage(sys.argv[1], {HEARTBEAT_S}), "one")

def run(trial):
    trial.set_user_attr("run_id", sys.argv[3])
    trial.suggest_float("dropout", 0.0, 0.6)
    trial.storage.set_trial_system_attr(trial._trial_id, "completed_rung_0", 0.5)
    trial.set_user_attr("worker", sys.argv[2] or abandoned.this_worker())
    print("running", flush=True)
    time.sleep(600)

own.optimize(run, n_trials=1)
"""


@pytest.fixture
def own(tmp_path) -> optuna.Study:
    study.quietly()
    place = study.storage(f"sqlite:///{tmp_path / 'studies.db'}", HEARTBEAT_S)
    return study.create(place, "one", settings(params=("dropout",)))


@pytest.fixture
def start(tmp_path):
    """Start a process that draws a trial and works on it, as another machine's if a name is given."""
    started = []

    def begin(name: str = "", run_id: str = "") -> subprocess.Popen:
        command = [sys.executable, "-c", WORKER, f"sqlite:///{tmp_path / 'studies.db'}", name, run_id]
        process = subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "running\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def states(own: optuna.Study) -> list[str]:
    return [one.state.name for one in own.get_trials()]


@pytest.mark.usefixtures("tracking_store")
def test_a_killed_trial_of_this_machine_is_queued_at_once_and_retried_once(own, start):
    with tracking.run("trial 0", stage="trial") as run:
        pass
    mlflow.MlflowClient().update_run(run.info.run_id, status="RUNNING")
    process = start(run_id=run.info.run_id)
    abandoned.reclaim(own, 60)
    assert states(own) == ["RUNNING"], "a live process keeps its trial"
    process.kill()
    process.wait()
    abandoned.reclaim(own, 60)
    assert states(own) == ["FAIL", "WAITING"]
    dead, again = own.get_trials()
    assert again.params == dead.params
    assert again.user_attrs == {}
    assert not any(name.startswith("completed_rung") for name in again.system_attrs)
    ended = mlflow.get_run(run.info.run_id)
    assert (ended.info.status, ended.data.tags["error"]) == ("FAILED", "its process died")

    process = start()
    assert states(own) == ["FAIL", "RUNNING"]
    process.kill()
    process.wait()
    abandoned.reclaim(own, 60)
    assert states(own) == ["FAIL", "FAIL"], "a retry is not retried"


def test_a_silent_trial_of_another_machine_is_retried_after_its_heartbeat(own, start):
    process = start(name="another-machine:1:0.00")
    time.sleep(3 * HEARTBEAT_S)
    abandoned.reclaim(own, 60)
    assert states(own) == ["RUNNING"], "its heartbeat continues"
    process.kill()
    process.wait()
    abandoned.reclaim(own, 60)
    assert states(own) == ["RUNNING"], "it may be slow"
    deadline = time.monotonic() + 30
    while states(own) == ["RUNNING"]:
        assert time.monotonic() < deadline
        time.sleep(0.5)
        abandoned.reclaim(own, 60)
    assert states(own) == ["FAIL", "WAITING"]
    assert own.get_trials()[1].params == own.get_trials()[0].params


def test_a_trial_that_died_before_it_named_its_process_is_found_by_its_age(own):
    own.ask()
    abandoned.reclaim(own, 60)
    assert states(own) == ["RUNNING"]
    time.sleep(1.1)
    abandoned.reclaim(own, 1)
    assert own.get_trials()[0].state == TrialState.FAIL
