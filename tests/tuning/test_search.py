"""A whole search: killed, resumed, and concluded through ``mlflow run``; and how a search fails."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from optuna.trial import TrialState

from pipeline import cli, tracking
from pipeline.config import PROJECT_ROOT, preset
from pipeline.errors import ConfigError, ProjectError
from pipeline.scoring.model_folders import ModelFolder
from tests.support.made_study import settings
from tests.support.search_process import Search, finished, kill, running
from tuning import search, study, workers
from tuning.trial import Task

TRIALS = 2
EPOCHS = 9
"""Enough for a trial to run for seconds after it was seen, so that the kill meets it."""


@pytest.fixture(scope="module")
def killed(synthetic_store, empty_tracking_store, tmp_path_factory) -> tuple[Search, list, str]:
    """A search that was killed while its second trial trained, then resumed; its trials and its run when it died."""
    folder = tmp_path_factory.mktemp("search")
    shutil.copy(empty_tracking_store, folder)
    place = Search(folder, synthetic_store, trials=TRIALS, final_seeds="none", no_pruning="true", epochs=EPOCHS)
    first = place.start()
    before = place.wait(first, lambda trials: finished(trials) and running(trials))
    kill(first)
    (parent,) = place.runs("tune")
    place.finish(place.start())
    return place, before, parent.info.run_id


def test_no_finished_trial_is_lost_or_run_twice(killed):
    place, before, _ = killed
    after = place.trials()
    assert len(finished(after)) == TRIALS
    for one in finished(before):
        same = after[one.number]
        assert (same.state, same.values, same.datetime_complete) == (one.state, one.values, one.datetime_complete)
    runs = [run.data.tags["trial"] for run in place.runs("trial")]
    assert sorted(runs) == sorted(set(runs))
    assert after[0].user_attrs["source"] == "default parameters"
    assert after[0].params == {"dropout": 0.3, "learning_rate": 1e-3}


def test_the_killed_trial_is_retried_once_with_its_parameters(killed):
    place, before, _ = killed
    (interrupted,) = running(before)
    after = place.trials()
    assert after[interrupted.number].state == TrialState.FAIL
    (again,) = [one for one in after if one.system_attrs.get("failed_trial") == interrupted.number]
    assert again.params == interrupted.params
    assert again.state in (TrialState.COMPLETE, TrialState.PRUNED)


def test_the_parent_run_is_the_same_one_and_ends(killed):
    place, _, run_id = killed
    (parent,) = place.runs("tune")
    assert (parent.info.run_id, parent.info.status) == (run_id, "FINISHED")
    assert parent.data.params.items() >= {"config/backbone": "lcnn", "varied": "dropout,learning_rate"}.items()
    assert {i.dataset.name for i in parent.inputs.dataset_inputs} == {"synthetic-train", "synthetic-dev"}
    ended = [one.state for one in place.trials()]
    counts = {"complete": ended.count(TrialState.COMPLETE), "failed": 1}
    assert parent.data.metrics.items() >= {f"trials/{name}": count for name, count in counts.items()}.items()
    best = study.ranked(study.load(study.storage(place.url, 60), "one"))[0]
    assert parent.data.metrics["dev/eer"] == best.user_attrs["dev"]["dev/eer"]
    files = {item.path for item in place.client.list_artifacts(run_id)}
    assert {"best_params.yaml", "trials.csv", "study.html", "figures"} <= files


def test_every_trial_is_a_nested_run_with_its_state(killed):
    place, _, run_id = killed
    trials = place.trials()
    status = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAILED": "FAILED"}
    for run in place.runs("trial"):
        one = trials[int(run.data.tags["trial"])]
        assert run.data.tags["mlflow.parentRunId"] == run_id
        assert run.data.tags["state"] == {"FAIL": "FAILED"}.get(one.state.name, one.state.name)
        assert run.info.status == status[run.data.tags["state"]]
        if one.state != TrialState.FAIL:
            assert {name: float(value) for name, value in run.data.params.items()} == one.params
            points = place.client.get_metric_history(run.info.run_id, "dev/eer")
            points.sort(key=lambda point: point.step)
            epochs = one.user_attrs["epochs"]
            assert [point.step for point in points] == [*range(epochs), epochs]
            assert points[-1].value == min(point.value for point in points) == one.user_attrs["dev"]["dev/eer"]
    assert not (place.folder / "artifacts" / "models").exists(), "a trial leaves no model"
    assert not (place.folder / "artifacts" / "training").exists(), "and no state"


def test_the_search_is_concluded_by_mlflow_run(killed, tmp_path):
    """The study is complete, so only the last stage is left: trainings, evaluation, registration, the table."""
    place, _, run_id = killed
    options = {**place.options, "final_seeds": 0, "final_epochs": 1}
    words = [word for name, value in options.items() if value != "" for word in ("-P", f"{name}={value}")]
    command = [Path(sys.executable).with_name("mlflow"), "run", PROJECT_ROOT, "-e", "tune", "--env-manager", "local"]
    done = subprocess.run(
        [*map(str, command), *words], cwd=tmp_path, env=place.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(place.trials()) == TRIALS + 1, "no trial was added"
    (parent,) = place.runs("tune")
    assert parent.info.run_id == run_id
    model = ModelFolder.load(place.folder / "artifacts" / "models" / parent.data.tags["chosen_model"])
    best = study.ranked(study.load(study.storage(place.url, 60), "one"))[0]
    assert (model.config.model.dropout, model.config.train.epochs) == (best.params["dropout"], 1)
    champion = place.client.get_model_version_by_alias("spoof-detector", "champion")
    assert champion.tags["model_version"] == model.model_version
    folder = place.folder / "artifacts" / "tuning" / "one"
    table = (folder / "tuned.md").read_text()
    assert len(re.findall(r"^\| (default parameters|tuned) \|", table, flags=re.MULTILINE)) == 2
    assert f"Registered: {model.model_version}, seed 0" in table
    runs = pd.read_csv(folder / "final" / "runs.csv")
    assert list(runs["config"]) == ["default parameters", "tuned"]
    values = yaml.safe_load((folder / "best_params.yaml").read_text())
    again, _, _ = cli.parse("", sections=("train",), argv=["--config", str(folder / "best_params.yaml")])
    assert again == model.config
    assert values["epochs"] == 1


@pytest.mark.usefixtures("tracking_store")
def test_five_failures_in_a_row_stop_the_search_with_the_reason(place, tmp_path):
    own = study.create(place, "one", settings(params=("dropout",), config=preset("smoke").replace(epochs=2)))
    with tracking.run("tune", stage="tune") as run:
        own.set_user_attr(study.RUN_ID, run.info.run_id)
        task = Task(f"sqlite:///{tmp_path / 'studies.db'}", "one", 60, 0, tmp_path / "no store")
        with pytest.raises(ProjectError, match=r"the last 5 trials failed.* Trial [45]: StoreError.*no complete Store"):
            workers.run(own, task, trials=9, timeout_s=0, workers=2)
    trials = own.get_trials()
    assert [one.state for one in trials[:5]] == [TrialState.FAIL] * 5
    import mlflow

    failed = mlflow.get_run(trials[0].user_attrs["run_id"])
    assert (failed.info.status, failed.data.tags["state"]) == ("FAILED", "FAILED")
    assert failed.data.tags["error"].startswith("StoreError: ")


def test_no_trial_starts_after_the_time_is_over(place, tmp_path):
    own = study.create(place, "one", settings())
    task = Task(f"sqlite:///{tmp_path / 'studies.db'}", "one", 60, 0, tmp_path)
    workers.run(own, task, trials=9, timeout_s=1e-9, workers=1)
    assert own.get_trials() == []


def test_trials_that_learn_attacks_take_no_pseudo_spoofs(monkeypatch, tmp_path):
    led = []
    monkeypatch.setattr(search, "lead", lambda config, *_: led.append(config.train))
    search.main(["--preset", "demo", "--weights", "none", "--target", "attack", "--store", str(tmp_path)])
    assert [(train.target, train.pseudo_spoofs) for train in led] == [("attack", 0)]


def test_epochs_of_a_trial_are_not_those_of_a_training(tmp_path):
    (tmp_path / "mine.yaml").write_text("preset: smoke\nepochs: 40\n")
    assert search.epochs_of_a_training({"preset": "smoke", "epochs": "9"}) == preset("smoke").train.epochs
    assert search.epochs_of_a_training({"config": str(tmp_path / "mine.yaml"), "epochs": "9"}) == 40
    assert search.epochs_of_a_training({}) == preset("demo").train.epochs


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["--join"], "--join: name the study with --study and the storage"),
        (["--objective", "latency"], "--objective latency: give a figure of merit beside it"),
        (["--final_seeds", "a"], "--final_seeds 'a': expected whole numbers, comma separated, or none"),
        (["--from", "elsewhere"], "no study 'elsewhere' in this storage; there is none"),
    ],
)
def test_an_impossible_search_is_refused_before_it_starts(synthetic_store, argv, reason):
    with pytest.raises(ConfigError) as caught:
        search.main(["--preset", "smoke", "--store", str(synthetic_store.folder), *argv])
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize(("name", "value"), [("params", "dropout,batch_size"), ("objective", "eval")])
def test_unknown_names_are_refused_with_the_known_ones(capsys, name, value):
    with pytest.raises(SystemExit):
        search.main([f"--{name}", value])
    assert f"--{name} {value!r}: choose one of " in capsys.readouterr().err
