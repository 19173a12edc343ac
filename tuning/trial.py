"""One trial in its own process: drawn from the study, trained on the shared Store, its values stored in the study.

TensorFlow keeps memory for every network that it has built (about 150 MB per EfficientNetB0, whatever is cleared), and
the system kills a process that runs out of memory; in a process per trial neither reaches the search. Each trial has
an MLflow run, nested in the search's, and leaves no weights: the best configuration is trained again with several
seeds.
"""

import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import optuna
import yaml

from pipeline import tracking
from pipeline.common import parallel
from pipeline.config import Config
from pipeline.store.store import Store
from pipeline.training.checkpoint import Progress
from tuning import abandoned, objective, space, study
from tuning.study import Settings

ERROR, DEV, EPOCHS = "error", "dev", "epochs"
"""Attributes of a trial besides its parameters: its error, the metrics on dev that it kept, the epochs it ran."""
RUN_STATUS = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAILED": "FAILED"}
"""Status of the MLflow run by state of the trial; MLflow has none for pruned trials."""


@dataclass(frozen=True)
class Task:
    """Study to draw a trial from and Store to train on; ``label`` puts the trial's number before each printed line."""

    storage: str
    study: str
    heartbeat_s: int
    seed: int
    store: Path
    require_gpu: bool = False
    label: bool = False


def process(task: Task, drawn: Connection) -> None:
    """Body of the process: run the next trial of the study, and send its number through ``drawn`` once it is known."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the search gets it too, and ends its processes
    # The trials of a killed search end with it; the same command resumes them.
    parallel.end_with_parent()
    study.quietly()
    own = study.load(study.storage(task.storage, task.heartbeat_s), task.study)
    study.equip(own, task.seed)

    def run(trial: optuna.Trial) -> list[float]:
        trial.set_user_attr(abandoned.WORKER, abandoned.this_worker())
        drawn.send(trial.number)
        if task.label:
            sys.stdout = _Labelled(f"trial {trial.number}: ")
        try:
            return run_trial(trial, own, task)
        except Exception as failure:
            if not isinstance(failure, optuna.TrialPruned):
                trial.set_user_attr(ERROR, _line(failure))
            raise

    own.optimize(run, n_trials=1, catch=(Exception,))


def run_trial(trial: optuna.Trial, own: optuna.Study, task: Task) -> list[float]:
    """Train a trial inside its MLflow run and return its values; raises ``TrialPruned``, or the error of a failure."""
    settings = study.settings_of(own)
    params = space.draw(trial, settings.space)
    config = settings.config.replace(**params, require_gpu=task.require_gpu)
    tags = {"trial": str(trial.number), "study": own.study_name}
    if source := trial.user_attrs.get(study.SOURCE):
        tags["source"] = source
    name = f"trial {trial.number}"
    with tracking.run(name, stage="trial", tags=tags, parent_run_id=own.user_attrs[study.RUN_ID]) as run:
        import mlflow

        trial.set_user_attr(abandoned.RUN, run.info.run_id)
        mlflow.log_params(params)
        mlflow.log_text(yaml.safe_dump(config.flat(), sort_keys=False), "config.yaml")
        state, error = "COMPLETE", None
        try:
            values = _train(trial, config, settings, task.store, run.info.run_id)
        except optuna.TrialPruned as pruned:
            state, error = "PRUNED", pruned
        except Exception as failure:
            state, error = "FAILED", failure
            mlflow.set_tag("error", _line(failure))
            mlflow.log_text(traceback.format_exc(), "error.txt")
        mlflow.set_tag("state", state)
        mlflow.end_run(RUN_STATUS[state])
    if error:
        raise error
    return values


def _train(trial: optuna.Trial, config: Config, settings: Settings, store: Path, run_id: str) -> list[float]:
    import mlflow

    from pipeline.training import devices
    from pipeline.training.data import Data

    data = Data.of(Store.open(store), config)
    device = devices.prepare(config)  # before TensorFlow is imported
    from pipeline.training import loop

    try:
        progress, _ = loop.fit(config, data, device, run_id, after_epoch=epoch_callback(trial, config, settings))
        metrics = dict(objective.kept(progress, config.train.keep))
        if "latency" in settings.objectives:
            metrics[objective.LATENCY] = objective.latency_ms(config)
            trial.set_user_attr(DEV, metrics)
    finally:
        if metrics := trial.user_attrs.get(DEV):
            # One step past the last epoch, so that the run's latest values are those of the kept epoch.
            mlflow.log_metrics(metrics, step=trial.user_attrs[EPOCHS])
    return objective.values(settings.objectives, metrics)


def epoch_callback(trial: optuna.Trial, config: Config, settings: Settings) -> Callable[[Progress], None]:
    """Return the callback for the end of an epoch: report the trial's value so far, and end it if the pruner asks."""
    may_be_pruned = trial.user_attrs.get(study.SOURCE) != study.DEFAULT

    def after_epoch(progress: Progress) -> None:
        metrics = objective.kept(progress, config.train.keep)
        trial.set_user_attr(EPOCHS, progress.epoch)
        trial.set_user_attr(DEV, metrics)
        if len(settings.objectives) > 1:
            return  # Optuna takes reports for a single objective only
        trial.report(objective.values(settings.objectives, metrics)[0], step=progress.epoch)
        if may_be_pruned and progress.epoch < config.train.epochs and trial.should_prune():
            raise optuna.TrialPruned(f"after {progress.epoch} epochs")

    return after_epoch


def _line(error: Exception) -> str:
    """Format an error as one line, short enough for a tag."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:400]


class _Labelled:
    """Standard output with a label before each line."""

    def __init__(self, label: str):
        self._label, self._out, self._fresh = label, sys.stdout, True

    def write(self, text: str) -> int:
        for line in text.splitlines(keepends=True):
            self._out.write((self._label if self._fresh else "") + line)
            self._fresh = line.endswith("\n")
        return len(text)

    def flush(self) -> None:
        self._out.flush()
