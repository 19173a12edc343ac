"""Search as users start it, with its own folders, watched through its storage."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import mlflow
import optuna
from optuna.trial import FrozenTrial, TrialState

from pipeline.config import PROJECT_ROOT
from pipeline.store.store import Store
from tuning import study

TINY = {"preset": "smoke", "backbone": "lcnn", "dense_units": 4, "batch_size": 45, "epochs": 3, "hop_samples": 400}
"""A real training of about a second."""
DEADLINE_S = 500


class Search:
    """Commands with the same artifacts, tracking store and study."""

    def __init__(self, folder: Path, store: Store, url: str = "", **options: object):
        self.folder = folder
        self.url = url or f"sqlite:///{folder / 'artifacts' / 'tuning' / 'studies.db'}"
        self.tracking_uri = f"sqlite:///{folder / 'mlflow.db'}"
        self.client = mlflow.MlflowClient(self.tracking_uri, self.tracking_uri)
        given = {"storage": url, "study": "one", "store": store.folder, "params": "dropout,learning_rate"}
        self.options = TINY | given | options

    @cached_property
    def storage(self) -> optuna.storages.RDBStorage:
        """One storage for all reads: each opens connections, and a server has a hundred."""
        return study.storage(self.url, 60)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")},
            "SPOOF_ARTIFACTS": str(self.folder / "artifacts"),
            "MLFLOW_TRACKING_URI": self.tracking_uri,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }

    def start(self, program: tuple[str, ...] = (sys.executable, "tuning/search.py"), **more) -> subprocess.Popen:
        """Start the command in its own process group."""
        words = [word for name, value in (self.options | more).items() for word in (f"--{name}", str(value))]
        log = (self.folder / "log.txt").open("a")
        return subprocess.Popen(
            [*program, *words], cwd=PROJECT_ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
        )

    def finish(self, process: subprocess.Popen) -> None:
        """Wait for a command; it must have succeeded."""
        assert process.wait(DEADLINE_S) == 0, (self.folder / "log.txt").read_text()[-3000:]

    def wait(self, process: subprocess.Popen, until: Callable[[list[FrozenTrial]], bool]) -> list[FrozenTrial]:
        """Wait until the trials meet a condition, and return them."""
        deadline = time.monotonic() + DEADLINE_S
        while not until(trials := self.trials()):
            assert process.poll() is None, (self.folder / "log.txt").read_text()[-3000:]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        return trials

    def trials(self) -> list[FrozenTrial]:
        """Trials of the study; none before it exists."""
        try:
            return optuna.load_study(storage=self.storage, study_name="one").get_trials()
        except (KeyError, study.ConfigError):
            return []

    def runs(self, stage: str) -> list[mlflow.entities.Run]:
        """MLflow runs of a stage."""
        experiments = [one.experiment_id for one in self.client.search_experiments()]
        return self.client.search_runs(experiments, f"tags.stage = '{stage}'")


def kill(process: subprocess.Popen) -> None:
    """Send SIGKILL to a command and its children."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def finished(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Trials that count."""
    return [one for one in trials if one.state in (TrialState.COMPLETE, TrialState.PRUNED)]


def running(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Trials that a process works on, in an MLflow run."""
    return [one for one in trials if one.state == TrialState.RUNNING and "run_id" in one.user_attrs]
