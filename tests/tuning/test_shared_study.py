"""Two commands, as on two machines, with one study in a real PostgreSQL; one command is killed."""

import shutil

import pytest
from optuna.trial import TrialState

from tests.support import postgres
from tests.support.search_process import Search, finished, kill, running

TRIALS = 3
LONG = 12
"""Enough epochs for a trial to run for seconds after it was seen, so that the kill meets it."""


@pytest.fixture(scope="module")
def url():
    programs = postgres.programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with postgres.server(programs) as address:
        yield address


@pytest.fixture(scope="module")
def shared(url, synthetic_store, empty_tracking_store, tmp_path_factory) -> tuple[Search, int]:
    """A search that finished with the help of a second command until that was killed; the trial it left."""
    folder = tmp_path_factory.mktemp("shared")
    shutil.copy(empty_tracking_store, folder)
    place = Search(folder, synthetic_store, url, trials=TRIALS, final_seeds="none", no_pruning="true", epochs=LONG)
    leader = place.start()
    place.wait(leader, running)
    helper = place.start(join="true")

    def helped(trials):
        return [one for one in running(trials) if of(helper, one)]

    (left,) = helped(place.wait(helper, helped))
    kill(helper)
    place.finish(leader)
    return place, left.number


def of(command, one) -> bool:
    """Whether a process of the command runs the trial."""
    import psutil

    pid = int(one.user_attrs.get("worker", "host:0:0").split(":")[1])
    return pid in {child.pid for child in psutil.Process(command.pid).children(recursive=True)}


def test_the_study_is_complete_and_every_trial_ended_once(shared):
    place, _ = shared
    trials = place.trials()
    assert TRIALS <= len(finished(trials)) <= TRIALS + 1, "two machines may start the last trial at the same moment"
    assert all(one.state.is_finished() for one in trials)
    assert [one.number for one in trials] == list(range(len(trials)))
    runs = [run.data.tags["trial"] for run in place.runs("trial")]
    assert sorted(runs, key=int) == [str(one.number) for one in trials], "one run per trial"
    assert len({run.data.tags["mlflow.parentRunId"] for run in place.runs("trial")}) == len(place.runs("tune")) == 1


def test_a_killed_worker_loses_only_its_running_trial_which_is_retried(shared):
    place, left = shared
    trials = place.trials()
    assert [one.number for one in trials if one.state == TrialState.FAIL] == [left]
    (again,) = [one for one in trials if one.system_attrs.get("failed_trial") == left]
    assert again.params == trials[left].params
    assert again.state in (TrialState.COMPLETE, TrialState.PRUNED)
