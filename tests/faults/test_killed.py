"""SIGKILL at random effects of a stage, and the same command again: it ends as if it had never been stopped."""

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import psutil
import pytest
import soundfile

from pipeline import audio
from pipeline.common import files
from pipeline.config import PROJECT_ROOT, REGISTERED_MODEL
from pipeline.scoring import model_folders
from pipeline.scoring.model_folders import ModelFolder
from pipeline.store.store import Store

SEED = 4
LONG = (pytest.mark.long, pytest.mark.timeout(7200))


def killed(stage: str, folder: Path, argument: Path, count: int) -> list[Path]:
    """Places in which the stage was killed and run again; the uninterrupted one is first."""
    command = [sys.executable, str(PROJECT_ROOT / "tests/support/stages.py"), stage, str(folder), str(argument)]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    done = subprocess.run(
        [*command, str(SEED), str(count)], env=environment, capture_output=True, text=True, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    print(f"{stage}: killed at {result['points']} of {result['effects']} effects")
    return [folder / "whole", *(folder / f"killed-{point}" for point in result["points"])]


COUNTS = [pytest.param(2, id="quick"), pytest.param(25, id="long", marks=LONG)]


@pytest.mark.parametrize("count", COUNTS)
def test_registration(count, empty_tracking_store, make_model_folder, tmp_path):
    """One version, whole, with its aliases, and the champion's folder where scoring looks."""
    shutil.copy(empty_tracking_store, tmp_path)
    model = make_model_folder("first")
    whole, *places = killed("register", tmp_path, model.folder, count)
    wanted = None
    for place in (whole, *places):
        client = mlflow.MlflowClient(f"sqlite:///{place / 'mlflow.db'}")
        (version,) = client.search_model_versions(f"name = '{REGISTERED_MODEL}'")
        found = client.get_model_version(REGISTERED_MODEL, version.version)
        assert sorted(found.aliases) == ["candidate", "champion"], place
        wanted = wanted or (found.tags, found.description)
        assert (found.tags, found.description) == wanted, place
        assert found.tags["promoted"] == "true"
        assert "unfinished" not in found.tags
        champion = ModelFolder.load(place / "artifacts" / "models" / "champion")
        assert (champion.model_version, champion.sha256) == ("first", model.sha256)


@pytest.mark.parametrize("count", [pytest.param(1, id="quick"), *COUNTS[1:]])
def test_evaluation(count, empty_tracking_store, make_model_folder, synthetic_store, tmp_path):
    """The same scores and figures of merit, in the folder and in the last run, whole."""
    shutil.copy(empty_tracking_store, tmp_path)
    (tmp_path / "store").symlink_to(synthetic_store.folder)
    whole, *places = killed("evaluate", tmp_path, make_model_folder().folder, count)
    scores = (whole / "artifacts" / "evaluations" / "tiny-1" / "scores.csv").read_bytes()
    files = {path.name for path in (whole / "artifacts" / "evaluations" / "tiny-1").iterdir()}
    wanted = None
    for place in (whole, *places):
        folder = place / "artifacts" / "evaluations" / "tiny-1"
        assert {path.name for path in folder.iterdir()} == files, place
        assert (folder / "scores.csv").read_bytes() == scores
        client = mlflow.MlflowClient(f"sqlite:///{place / 'mlflow.db'}")
        experiment = client.get_experiment_by_name("spoof-detector").experiment_id
        run = client.search_runs([experiment], order_by=["attributes.start_time DESC"])[0]
        assert run.info.status == "FINISHED"
        wanted = wanted or run.data.metrics
        assert run.data.metrics == wanted
        assert {item.path for item in client.list_artifacts(run.info.run_id)} == files


@pytest.mark.parametrize("count", COUNTS)
def test_scoring(count, make_model_folder, voice, tmp_path):
    """A row for every recording, once, in order."""
    (tmp_path / "recordings").mkdir()
    for number in range(8):
        wave = np.roll(voice, 500 * number)[: 9000 + 1000 * number]
        soundfile.write(tmp_path / "recordings" / f"{number}.wav", audio.to_int16(wave), 16000)

    def rows(place: Path) -> list[dict[str, str]]:
        with (place / "rows.csv").open() as file:
            return [{name: v for name, v in row.items() if name != "latency_ms"} for row in csv.DictReader(file)]

    whole, *places = killed("score", tmp_path, make_model_folder().folder, count)
    wanted = rows(whole)
    assert [Path(row["source"]).name for row in wanted] == [f"{number}.wav" for number in range(8)]
    for place in places:
        assert rows(place) == wanted, place
        assert not list(place.glob("rows.csv.*")), "nothing else is left"


BUILD = """
import sys
from pathlib import Path
from pipeline import cli, corpora
from pipeline.config import preset
from pipeline.store.build import build
def main():
    config = preset("smoke").replace(data_dir=sys.argv[1])
    table, rejected = corpora.read(config.corpus)
    build(table, rejected, config, Path(sys.argv[2]), name="synthetic", split_by="official", key="k", shard_clips=4)
if __name__ == "__main__":
    cli.run(main)
"""


@pytest.fixture
def building(tmp_path, synthetic_corpus):
    """Starts the building of a Store, which takes a while; what is left of it is killed after the test."""
    (tmp_path / "build.py").write_text(BUILD)
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    command = [sys.executable, str(tmp_path / "build.py"), str(synthetic_corpus), str(tmp_path / "store")]
    started = []

    def start() -> psutil.Popen:
        started.append(psutil.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()


def notes(folder: Path) -> int:
    """Shards that are complete while a Store is built."""
    return len(list((folder / "store").glob("part-*.json")))


def wait_for_shards(folder: Path, process: psutil.Popen, count: int) -> None:
    deadline = time.monotonic() + 120
    while notes(folder) < count:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.parametrize("kills", [pytest.param(1, id="quick"), pytest.param(8, id="long", marks=LONG)])
def test_preprocessing_leaves_no_process_that_writes_on(kills, building, tmp_path, synthetic_store):
    """The command alone is killed, as the system does where memory ends, and its workers are left behind."""
    rng = np.random.default_rng(SEED)
    for _ in range(kills):
        process = building()
        wait_for_shards(tmp_path, process, notes(tmp_path) + int(rng.integers(1, 6)))
        workers = process.children(recursive=True)
        process.kill()
        process.wait()
        assert not psutil.wait_procs(workers, timeout=20)[1], "a worker outlived the command"
    last = building()
    assert last.wait(300) == 0, last.stderr.read()
    made = Store.open(tmp_path / "store")
    made.verify()
    columns = ["utterance_id", "sha256", "split", "label"]
    pd.testing.assert_frame_equal(made.manifest[columns], synthetic_store.manifest[columns])


def test_two_runs_on_one_store_do_not_meet(building, tmp_path):
    """The second says so and ends; the first goes on undisturbed."""
    first = building()
    wait_for_shards(tmp_path, first, 2)
    first.suspend()
    second = building()
    assert second.wait(120) == 2
    assert second.stderr.read() == (
        f"error: {tmp_path / 'store'}: another process is making this Store; wait for it, or stop it\n"
    )
    first.resume()
    assert first.wait(300) == 0
    Store.open(tmp_path / "store").verify()


@pytest.mark.usefixtures("tracking_store")
def test_an_unfinished_version_is_gone_on_with_and_not_doubled(make_model_folder, tmp_path):
    """A folder that was left half replaced, too: the champion's old one is away and its new one not yet there."""
    from pipeline import register

    register.register(make_model_folder("first").folder)
    champion = model_folders.champion_dir()
    champion.rename(champion.with_name("champion.old"))
    register.register(tmp_path / "models" / "first")
    assert files.read_sealed(champion / model_folders.INDEX)["model_version"] == "first"
    versions = mlflow.MlflowClient().search_model_versions(f"name = '{REGISTERED_MODEL}'")
    assert len(versions) == 1
