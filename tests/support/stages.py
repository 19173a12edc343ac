"""Stages of the pipeline that kill themselves: run as a program by ``test_killed``.

``python stages.py STAGE FOLDER ARGUMENT SEED COUNT`` runs a stage whole once and counts its effects: each file that is
opened to be written, renamed or removed, each commit to a data base. Then, in fresh places, it is killed at effects
drawn by the seed and run again. Every attempt is a fork of this process, which has imported everything and begun
nothing.
"""

import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np

WRITING = os.O_WRONLY | os.O_RDWR
CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.copyfile", "shutil.copytree", "shutil.rmtree")


def evaluate(place: Path, model: str) -> None:
    from pipeline import evaluate

    evaluate.run(Path(model), place.parent / "store", ["dev"], saliency=False)


def register(place: Path, model: str) -> None:
    from pipeline import register

    register.register(Path(model))


def score(place: Path, model: str) -> None:
    from pipeline import score

    recordings = str(place.parent / "recordings")
    score.main([recordings, "--model", model, "--output", str(place / "rows.csv"), "--processes", "1"])


STAGES = {"evaluate": evaluate, "register": register, "score": score}


def attempt(stage: Callable[[Path, str], None], place: Path, argument: str, kill_at: int = 0) -> tuple[int, int]:
    """Run a stage in a fork; returns the signal that ended it, or 0, and how many effects there were."""
    counted = place / "effects"
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.environ["SPOOF_ARTIFACTS"] = str(place / "artifacts")
            os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{place / 'mlflow.db'}"
            os.chdir(place)
            effects = _watch(kill_at)
            stage(place, argument)
            counted.write_text(str(effects()))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, f"{stage.__name__} failed in {place}"
    return (os.WTERMSIG(status), 0) if os.WIFSIGNALED(status) else (0, int(counted.read_text()))


def _watch(kill_at: int) -> Callable[[], int]:
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    effects = 0

    def happens() -> None:
        nonlocal effects
        effects += 1
        if effects == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def heard(name: str, arguments: tuple) -> None:
        if name in CHANGES or (name == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING):
            happens()

    sys.addaudithook(heard)
    event.listen(Engine, "commit", lambda connection: happens())
    return lambda: effects


def main(name: str, folder: Path, argument: str, seed: int, count: int) -> None:
    import mlflow  # noqa: F401

    from pipeline import evaluate, register, score  # noqa: F401

    stage = STAGES[name]

    def fresh(called: str) -> Path:
        place = folder / called
        place.mkdir()
        if (folder / "mlflow.db").is_file():
            shutil.copy(folder / "mlflow.db", place / "mlflow.db")
        return place

    _, effects = attempt(stage, fresh("whole"), argument)
    points = sorted(int(k) for k in np.random.default_rng(seed).choice(effects, min(count, effects), replace=False) + 1)
    for point in points:
        place = fresh(f"killed-{point}")
        ended_by, _ = attempt(stage, place, argument, point)
        assert ended_by == signal.SIGKILL, f"{name} was not killed at effect {point} of {effects}"
        attempt(stage, place, argument)
    print(json.dumps({"effects": effects, "points": points}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
