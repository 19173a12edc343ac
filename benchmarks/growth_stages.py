"""Stages and corpora for ``benchmarks.growth``, which runs each stage in a separate process.

A stage prepares, is timed, and prints its number of clips and its seconds as JSON.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline.config import SAMPLE_RATE_HZ, Config
from pipeline.errors import ConfigError

TABLE = "table.csv"
STORE = "store"
SHIFT_SAMPLES = SAMPLE_RATE_HZ // 100
SCORED = 8
"""Scoring takes one recording in eight: it is the slowest stage, and its recordings are independent."""
Work = Callable[[], int]
"""The timed part of a stage; returns its number of clips."""


def write_corpus(config: Config, folder: Path, copies: int) -> None:
    """Write a corpus that repeats each recording of the configured one, each copy rotated by 10 ms more.

    It is a table with the conditions that evaluation groups by; an existing one is kept.
    """
    import pandas as pd
    import soundfile

    from pipeline import audio, corpora

    if (folder / TABLE).is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    table, _ = corpora.read(config.corpus)
    rows = []
    for recording in table.to_dict("records"):
        wave = audio.read(recording["path"]).samples
        for number in range(copies):
            name = f"{recording['utterance_id']}-{number}.wav"
            soundfile.write(folder / name, np.roll(wave, number * SHIFT_SAMPLES), SAMPLE_RATE_HZ, subtype="PCM_16")
            rows.append(recording | {"path": name, "utterance_id": Path(name).stem})
    unfinished = folder / "table.part"
    pd.DataFrame(rows).drop(columns="corpus").to_csv(unfinished, index=False)
    unfinished.replace(folder / TABLE)


def preprocess(folder: Path, config: Config, model: str, steps: int) -> Work:
    """The whole stage: a new Store, its figures, its shortcut audit and its run in MLflow."""
    import mlflow

    from pipeline import preprocess as stage
    from pipeline import tracking
    from pipeline.store.store import Store

    config = config.replace(corpus="table", data_dir=str(folder / TABLE), split_by="official")
    place = Path(tempfile.mkdtemp(dir=folder))
    os.environ["SPOOF_ARTIFACTS"] = str(place)
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{place / 'mlflow.db'}"
    tracking.check()
    mlflow.search_experiments()  # creates the database, which takes seconds at any size

    def work() -> int:
        made = stage.ensure(config)
        shutil.rmtree(folder / STORE, ignore_errors=True)
        made.rename(folder / STORE)
        shutil.rmtree(place)
        return len(Store.open(folder / STORE))

    return work


def training(folder: Path, config: Config, model: str, steps: int) -> Work:
    """Steps of the configured training, without the first, which compiles the network."""
    from pipeline.store.store import Store
    from pipeline.training import devices
    from pipeline.training.data import Data

    device = devices.prepare(config)
    from pipeline.training import gradient_descent

    data = Data.of(Store.open(folder / STORE), config)
    if steps > (whole := data.steps(device.count)):
        raise ConfigError(f"--steps {steps}: an epoch of {folder} has {whole}; take fewer")
    with device.scope():
        network = gradient_descent.build(config, steps)
    network.fit(data.epoch(0).take(1), verbose=0, shuffle=False)

    def work() -> int:
        network.fit(data.epoch(0).take(steps), verbose=0, shuffle=False)
        return steps * config.train.batch_size

    return work


def scoring(folder: Path, config: Config, model: str, steps: int) -> Work:
    """One recording in ``SCORED``, from its file to its row in a file, on all cores."""
    from pipeline.scoring import inputs, model_folders, workers
    from pipeline.scoring.model_folders import ModelFolder
    from pipeline.scoring.row_file import RowFile

    loaded = ModelFolder.load(model_folders.find(model))
    paths = [recording.path for recording in inputs.find([str(folder / TABLE)])][::SCORED]

    def work() -> int:
        with tempfile.TemporaryDirectory() as place, RowFile(Path(place) / "scores.csv", {}, paths) as file:
            for row in workers.rows(loaded, paths, loaded.point()):
                file.add(row)
            file.finish()
        return len(paths)

    return work


def evaluation(folder: Path, config: Config, model: str, steps: int) -> Work:
    """Metrics, groups and bootstrap intervals of trials: the Store's eval subset with random scores."""
    from pipeline.config import BONAFIDE
    from pipeline.metrics import assessment
    from pipeline.store import manifest
    from pipeline.store.store import Store

    trials = Store.open(folder / STORE).manifest.query("split == 'eval'").reset_index(drop=True)
    conditions = manifest.conditions(trials)
    bonafide = (trials["label"] == BONAFIDE).to_numpy()
    logits = np.random.default_rng(0).normal(np.where(bonafide, 1.0, -1.0))
    trials = trials.assign(logit=logits, score=logits)

    def work() -> int:
        assessment.assess(trials, subset="eval", threshold=0.0, trained_attacks=set(), conditions=conditions)
        return len(trials)

    return work


STAGES: dict[str, Callable[[Path, Config, str, int], Work]] = {
    "preprocess": preprocess,
    "training": training,
    "scoring": scoring,
    "evaluation": evaluation,
}
"""In the order of the pipeline: training and evaluation read the Store that preprocess leaves."""


def main() -> None:
    """Run the stage that the JSON on the command line requests."""
    request = json.loads(sys.argv[1])
    values = request["config"]
    config = Config(preset=values.pop("preset")).replace(**values)
    work = STAGES[request["stage"]](Path(request["folder"]), config, request["model"], request["steps"])
    started = time.perf_counter()
    clips = work()
    print(json.dumps({"clips": clips, "seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
