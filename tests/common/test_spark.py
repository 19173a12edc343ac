"""Preprocessing and scoring on a real Spark cluster, one of whose two workers is killed in the middle of each."""

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import register, score
from pipeline.common import spark
from pipeline.common.spark import EngineOptions
from pipeline.errors import ConfigError
from pipeline.scoring import spark_scoring
from pipeline.store import manifest
from pipeline.store.build import build
from tests.support import spark_cluster

SHARD_CLIPS, PARTITION_RECORDINGS = 4, 32
"""Few, so that there is a middle to kill a worker in."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    if reason := spark_cluster.missing():
        pytest.skip(reason)
    with spark_cluster.running(tmp_path_factory.mktemp("spark")) as found:
        yield found


@pytest.fixture
def master(cluster, monkeypatch) -> str:
    """Address of the cluster, with two workers."""
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    cluster.have_workers(2)
    return cluster.url


@pytest.fixture
def recordings(synthetic_corpus, tmp_path) -> list[Path]:
    """Recordings of the synthetic corpus, and two files that are none."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    for recording in synthetic_corpus.rglob("*.wav"):
        os.link(recording, folder / f"{recording.stem} ü.wav")
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("no sound")
    return sorted(folder.iterdir())


class KillInTheMiddle(threading.Thread):
    """Kills a worker as soon as work is under way; ``left`` is what was not done by then."""

    def __init__(self, cluster: spark_cluster.Cluster, left: Callable[[], int]):
        super().__init__(daemon=True)
        self._cluster, self._left, self.left = cluster, left, 0

    def run(self) -> None:
        while (left := self._left()) == 0:
            time.sleep(0.02)
        self._cluster.kill_a_worker()
        self.left = left


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_preprocessing_makes_the_same_bytes_though_a_worker_is_killed(cluster, master, recordings, smoke, tmp_path):
    rows = [{"path": str(path), "label": ("bonafide", "spoof")[i % 2]} for i, path in enumerate(recordings)]
    table = manifest.make(rows, corpus="folder")

    def store(folder: str, **options) -> Path:
        place = tmp_path / folder
        build(table, [], smoke, place, name="0", split_by="none", key="0", shard_clips=SHARD_CLIPS, **options)
        return place

    shards = -(-len(table) // SHARD_CLIPS)

    def left() -> int:
        made = len(list((tmp_path / "spark").glob("part-*.json")))
        return shards - made if made >= 2 else 0

    killer = KillInTheMiddle(cluster, left)
    killer.start()
    made = store("spark", engine=EngineOptions("spark", master))
    killer.join()
    assert killer.left > 2
    assert contents(made) == contents(store("local"))


@pytest.mark.usefixtures("tracking_store")
def test_scoring_gives_the_same_rows_though_a_worker_is_killed(
    cluster, master, recordings, make_model_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(spark, "PARTITION_RECORDINGS", PARTITION_RECORDINGS)
    register.register(make_model_folder().folder)
    arguments = ["--input", str(tmp_path / "recordings"), "--operating_point", "min_dcf"]

    def left() -> int:
        from pyspark import SparkContext

        context = SparkContext._active_spark_context
        if getattr(context, "_jsc", None) is None:  # while it starts it has none yet
            return 0
        tracker = context.statusTracker()
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
        return sum(stage.numTasks - stage.numCompletedTasks for stage in stages if stage and stage.numCompletedTasks)

    killer = KillInTheMiddle(cluster, left)
    killer.start()
    spark_rows = ["--output", str(tmp_path / "spark.jsonl"), "--engine", "spark", "--master", master]
    assert score.main([*arguments, *spark_rows]) == 1, "two recordings cannot be scored"
    killer.join()
    assert killer.left > 2
    assert score.main([*arguments, "--output", str(tmp_path / "local.jsonl")]) == 1
    found, expected = (
        [json.loads(line) for line in (tmp_path / f"{engine}.jsonl").read_text().splitlines()]
        for engine in ("spark", "local")
    )
    assert [row["source"] for row in found] == [str(path) for path in recordings]
    for row in [*found, *expected]:
        assert row.pop("latency_ms") > 0
    assert found == expected
    assert [row["source"] for row in found if row["error"]] == [str(recordings[-2]), str(recordings[-1])]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--engine", "spark"], "--engine spark: name the cluster, as --master spark://HOST:7077"),
        (["--master", "spark://host:7077"], "--master spark://host:7077 is for --engine spark"),
        (["--engine", "spark", "--master", "spark://host:7077", "--model", "folder"], "needs a registered model"),
    ],
)
def test_options_that_lack_another_say_so(options, message, recordings):
    with pytest.raises(ConfigError, match=message):
        score.main(["--input", str(recordings[0]), *options])


def test_names_that_spark_cannot_carry_are_refused():
    with pytest.raises(ConfigError, match=r"a\\udcff.wav: the name is not Unicode, which Spark cannot carry"):
        next(spark_scoring.rows(None, "models:/any/1", ["b.wav", "a\udcff.wav"]))
