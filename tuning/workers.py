"""Run the trials of a study on this machine: several processes at once, until the study has enough trials.

Other machines may work on the same study. All state is in the study, so this process can be killed at any moment.
"""

import multiprocessing
import time
from multiprocessing import connection
from multiprocessing.process import BaseProcess

import optuna
from optuna.trial import TrialState

from pipeline.errors import ProjectError
from tuning import abandoned, results, trial
from tuning.study import FINISHED
from tuning.trial import Task

POLL_S = 2.0
MAX_FAILURES = 5
"""Failed trials in a row that stop the search."""


def run(own: optuna.Study, task: Task, *, trials: int, timeout_s: float, workers: int) -> None:
    """Run trials until ``trials`` are finished, or after ``timeout_s`` until the running ones are.

    Raises ``ProjectError`` with the reason when five trials in a row fail.
    """
    started = time.monotonic()
    known = {one.number for one in own.get_trials(deepcopy=False) if one.state.is_finished()}
    running: dict[BaseProcess, int] = {}
    without_trial = 0
    try:
        while True:
            ended = [process for process in running if not process.is_alive()]
            abandoned.reclaim(own, 2 * task.heartbeat_s)
            for process in ended:
                print(results.line(own, own.get_trials(deepcopy=False)[running.pop(process)]), flush=True)
            _stop_after_failures(own, known)
            late = timeout_s > 0 and time.monotonic() - started > timeout_s
            finished = len(own.get_trials(deepcopy=False, states=FINISHED))
            if not running and (late or finished >= trials):
                return
            begun = finished + len(own.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))
            if len(running) == workers or begun >= trials or late:
                connection.wait([process.sentinel for process in running], timeout=POLL_S)
                continue
            process, number = _start(task)
            if number is not None:
                running[process], without_trial = number, 0
            elif (without_trial := without_trial + 1) == MAX_FAILURES:
                raise ProjectError(f"{MAX_FAILURES} processes ended before they drew a trial; see their errors above")
    finally:
        for process in running:
            process.kill()
            process.join()
        if running:
            abandoned.reclaim(own, 2 * task.heartbeat_s)


def _start(task: Task) -> tuple[BaseProcess, int | None]:
    """Start a process and wait until it has drawn its trial, so no two draw at once; no number if it died."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=trial.process, args=(task, there), daemon=True)
    process.start()
    there.close()
    try:
        return process, here.recv()
    except EOFError:
        process.join()
        return process, None
    finally:
        here.close()


def _stop_after_failures(own: optuna.Study, known: set[int]) -> None:
    ended = [one for one in own.get_trials(deepcopy=False) if one.state.is_finished() and one.number not in known]
    last = sorted(ended, key=lambda one: one.datetime_complete)[-MAX_FAILURES:]
    if len(last) == MAX_FAILURES and all(one.state == TrialState.FAIL for one in last):
        raise ProjectError(
            f"the last {MAX_FAILURES} trials failed, so the search stops. Trial {last[-1].number}: "
            f"{results.error(last[-1])} (traceback: error.txt of its MLflow run)"
        )
