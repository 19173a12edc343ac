"""Trials whose process died: find them, mark them as failed and queue them once more.

A trial names its process, so its own machine knows at once that the process is gone. Other machines know by the
heartbeat of running trials.
"""

import copy
import datetime
import socket

import optuna
import psutil
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState

from pipeline import tracking

WORKER, RUN = "worker", "run_id"
MAX_RETRIES = 1
DIED = "its process died"


def this_worker() -> str:
    """Host, process id and start time of this process, which together are unique."""
    process = psutil.Process()
    return f"{socket.gethostname()}:{process.pid}:{process.create_time():.2f}"


def reclaim(study: optuna.Study, grace_s: float) -> None:
    """Fail and requeue the running trials of dead processes of this machine, and of silent ones elsewhere."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if _is_gone(trial, grace_s):
            try:
                study.tell(trial.number, state=TrialState.FAIL)
            except ValueError:
                continue  # another process was faster
            retry(study, study.get_trials(deepcopy=False)[trial.number])
    optuna.storages.fail_stale_trials(study)


def retry(study: optuna.Study, trial: FrozenTrial) -> None:
    """Queue a failed trial again, unless it is a retry, and end its MLflow run."""
    run_id = trial.user_attrs.get(RUN)
    if run_id and tracking.exists(run_id):
        import mlflow

        client = mlflow.MlflowClient()
        client.set_tag(run_id, "state", "FAILED")
        client.set_tag(run_id, "error", DIED)
        client.set_terminated(run_id, "FAILED")
    again = copy.deepcopy(trial)
    # Not the process and run of the dead trial, nor its pruner's notes, which would pass the new one unjudged.
    again.user_attrs = {name: value for name, value in trial.user_attrs.items() if name not in (WORKER, RUN)}
    again.system_attrs = {n: value for n, value in trial.system_attrs.items() if not n.startswith("completed_rung")}
    RetryHeartbeatStaleTrialCallback(max_retry=MAX_RETRIES)(study, again)


def _is_gone(trial: FrozenTrial, grace_s: float) -> bool:
    worker = trial.user_attrs.get(WORKER)
    if worker is None:  # died before it named its process, and before its first heartbeat
        return (datetime.datetime.now() - trial.datetime_start).total_seconds() > grace_s
    host, pid, started = worker.rsplit(":", 2)
    if host != socket.gethostname():
        return False
    try:
        process = psutil.Process(int(pid))
        return f"{process.create_time():.2f}" != started or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
