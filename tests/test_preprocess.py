"""Preprocessing: rejections, copies, locks, and equal Stores after a kill at any point."""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import soundfile

from pipeline import audio, corpora, preprocess
from pipeline.common import parallel
from pipeline.config import PROJECT_ROOT, preset
from pipeline.errors import StoreError
from pipeline.store import shards
from pipeline.store.build import build
from pipeline.store.store import NOTED, REJECTED, Store

BUILD = """
import sys
from pathlib import Path
from pipeline import corpora
from pipeline.config import preset
from pipeline.store.build import build
if __name__ == "__main__":
    config = preset("smoke").replace(data_dir=sys.argv[1])
    table, rejected = corpora.read(config.corpus)
    build(table, rejected, config, Path(sys.argv[2]), name="synthetic", split_by="official", key="k", shard_clips=20)
"""


def contents(folder: Path) -> dict[str, str]:
    """Checksum of every file of a Store except its lock."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != ".lock")
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def built(corpus: Path, folder: Path, *, reader: str = "folder", split_by: str = "stratified", **options) -> Store:
    config = preset("smoke").replace(corpus=reader, data_dir=str(corpus), **options)
    table, rejected = corpora.read(config.corpus)
    build(table, rejected, config, folder, name=reader, split_by=split_by, key="k", shard_clips=3)
    return Store.open(folder)


@pytest.fixture(autouse=True)
def in_threads(monkeypatch) -> None:
    """Build in threads, which start sooner than processes; only the test with kills needs processes."""
    monkeypatch.setattr(parallel, "workers", ThreadPoolExecutor)


@pytest.fixture
def recordings(tmp_path) -> Path:
    """Twelve good recordings, six of each class."""
    rng = np.random.default_rng(0)
    for label in ("bonafide", "spoof"):
        (tmp_path / "corpus" / label).mkdir(parents=True)
        for i in range(6):
            soundfile.write(tmp_path / "corpus" / label / f"{i}.wav", 0.1 * rng.standard_normal(8000), 16000)
    return tmp_path / "corpus"


def rejected(store: Store) -> dict[str, str]:
    table = pd.read_csv(store.folder / REJECTED)
    return {Path(path).name: reason for path, reason in zip(table["path"], table["reason"], strict=True)}


def test_unusable_recordings_are_listed_by_kind_with_their_reason(recordings, tmp_path):
    spoof = recordings / "spoof"
    (spoof / "empty.wav").touch()
    (spoof / "text.wav").write_text("no audio")
    soundfile.write(spoof / "short.wav", np.full(100, 0.5), 16000)
    soundfile.write(spoof / "silent.wav", np.zeros(8000), 16000)
    soundfile.write(spoof / "soft.wav", 10 ** (-70 / 20) * np.sin(np.arange(8000)), 16000, subtype="FLOAT")
    soundfile.write(spoof / "nan.wav", np.full(8000, np.nan), 16000, subtype="FLOAT")
    soundfile.write(spoof / "long.wav", np.full(32000, 0.5), 16000)
    store = built(recordings, tmp_path / "store", max_s=1.0)
    assert len(store) == 13
    assert str(spoof / "soft.wav") in set(store.manifest["path"])
    table = pd.read_csv(store.folder / REJECTED)
    assert dict(zip(table["path"].map(lambda path: Path(path).name), table["kind"], strict=True)) == {
        "empty.wav": "empty",
        "text.wav": "unreadable",
        "short.wav": "too short",
        "silent.wav": "silent",
        "nan.wav": "not finite",
        "long.wav": "too long",
    }
    assert all(reason.startswith(f"{kind}: ") for kind, reason in zip(table["kind"], table["reason"], strict=True))
    assert "rejected 1: too short\n" in preprocess.summary(store.folder)


@pytest.mark.parametrize("truncated", ["reject", "keep"])
def test_truncated_recordings_are_rejected_or_kept_and_listed(recordings, tmp_path, truncated):
    cut = recordings / "spoof" / "0.wav"
    cut.write_bytes(cut.read_bytes()[: 44 + 8000])
    store = built(recordings, tmp_path / "store", truncated=truncated)
    kept = truncated == "keep"
    listed = {name: pd.read_csv(store.folder / name) for name in (REJECTED, NOTED)}
    assert {name: len(table) for name, table in listed.items()} == {REJECTED: not kept, NOTED: kept}
    row = listed[NOTED if kept else REJECTED].iloc[0]
    assert (row["path"], row["kind"]) == (str(cut), "truncated")
    assert row["reason"].startswith("truncated: the header promises 16000 bytes, the file holds 8000")
    assert f"{'noted' if kept else 'rejected'} 1: truncated\n" in preprocess.summary(store.folder)
    assert store.manifest.loc[store.manifest["path"] == str(cut), "duration_s"].tolist() == [0.25] * kept


def test_unexpected_error_rejects_only_its_recording(recordings, tmp_path, monkeypatch):
    read = audio.read

    def failing(path, **options):
        if Path(path).name == "1.wav":
            raise TypeError("broken: by a bug")
        return read(path, **options)

    monkeypatch.setattr(audio, "read", failing)
    paths = tuple(str(recordings / "spoof" / f"{i}.wav") for i in range(3))
    task = shards.Task(str(tmp_path), 0, paths, preset("smoke").audio)
    assert shards.make(task) == 3
    rows = json.loads(task.note.read_text())["rows"]
    assert rows[1] == {"kind": "unexpected error", "reason": "unexpected error: TypeError: broken: by a bug"}
    assert [row["position"] for row in (rows[0], rows[2])] == [0, 1]


def test_equal_audio_under_two_labels_is_rejected_with_both_names(recordings, tmp_path):
    wave, rate = soundfile.read(recordings / "bonafide" / "0.wav", dtype="int16")
    soundfile.write(recordings / "spoof" / "copy.flac", wave, rate)
    store = built(recordings, tmp_path / "store")
    reasons = rejected(store)
    assert set(reasons) == {"0.wav", "copy.flac"}
    for reason in reasons.values():
        assert "bonafide/0.wav (bonafide)" in reason
        assert "spoof/copy.flac (spoof)" in reason
    assert len(store) == 11
    assert "rejected 2: the same audio under two labels\n" in preprocess.summary(store.folder)


def test_copies_never_cross_official_subsets(synthetic_corpus, tmp_path):
    corpus = tmp_path / "corpus"
    shutil.copytree(synthetic_corpus, corpus)
    train = corpus / "ASVspoof2017_V2_train" / "T_0000002.wav"
    shutil.copy(train, corpus / "ASVspoof2017_V2_eval" / "E_0000182.wav")
    store = built(corpus, tmp_path / "store", reader="asvspoof2017", split_by="official")
    assert rejected(store) == {"E_0000182.wav": "the same audio as an utterance of train"}
    assert len(store) == 259


def test_corpus_without_usable_recordings_is_an_error(tmp_path):
    for label in ("bonafide", "spoof"):
        (tmp_path / "corpus" / label).mkdir(parents=True)
        (tmp_path / "corpus" / label / "a.wav").touch()
    with pytest.raises(
        StoreError,
        match=r"is usable; 2 empty: the file has no bytes: .*bonafide/a\.wav$",
    ):
        built(tmp_path / "corpus", tmp_path / "store")


def test_dead_process_is_an_error_that_names_the_shard(recordings, tmp_path, monkeypatch):
    def die(task):
        raise BrokenExecutor

    monkeypatch.setattr(shards, "make", die)
    with pytest.raises(
        StoreError, match=r"a process died at a recording from .*/bonafide/0\.wav to .*/bonafide/2\.wav"
    ):
        built(recordings, tmp_path / "store")


@pytest.mark.usefixtures("tracking_store")
def test_only_a_changed_corpus_is_read_again(recordings, capsys):
    config = preset("smoke").replace(corpus="folder", data_dir=str(recordings), split_by="stratified")
    first = preprocess.ensure(config)
    before = contents(first)
    assert preprocess.ensure(config) == first
    assert "up to date" in capsys.readouterr().out
    assert contents(first) == before
    soundfile.write(recordings / "spoof" / "5.wav", np.full(9000, 0.5), 16000)
    assert preprocess.ensure(config) != first


@pytest.mark.usefixtures("tracking_store")
def test_run_holds_counts_figures_and_rejections(recordings):
    config = preset("smoke").replace(corpus="folder", data_dir=str(recordings), split_by="stratified")
    for name in ("empty", "gone"):
        (recordings / "spoof" / f"{name}.wav").touch()
    corpus = corpora.read(config.corpus)
    (recordings / "spoof" / "gone.wav").unlink()
    folder = preprocess.ensure(config, corpus=corpus)
    assert dict(pd.read_csv(folder / REJECTED)["kind"].value_counts()) == {"empty": 1, "unreadable": 1}
    run = mlflow.search_runs(experiment_names=["spoof-detector"]).iloc[0]
    assert run["tags.stage"] == "preprocess"
    assert run["metrics.rejected"] == 2
    assert run["metrics.clips"] == 12
    assert run["metrics.clips/train/spoof"] == 4
    assert run["params.store_folder"] == folder.name
    client = mlflow.MlflowClient()
    files = {f.path for f in client.list_artifacts(run["run_id"])}
    assert {"counts.csv", "rejected.csv", "noted.csv", "figures"} <= files
    figures = {Path(f.path).suffix for f in client.list_artifacts(run["run_id"], "figures")}
    assert figures == {".png"}


def test_second_run_on_a_store_is_refused(recordings, tmp_path):
    (tmp_path / "store").mkdir()
    with (tmp_path / "store" / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="another process is making this Store"):
            built(recordings, tmp_path / "store")


@pytest.fixture(scope="module")
def build_in_processes(synthetic_corpus, tmp_path_factory):
    """Start a process that builds the synthetic corpus into a folder."""
    script = tmp_path_factory.mktemp("script") / "build.py"
    script.write_text(BUILD)

    def start(folder: Path) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, str(script), str(synthetic_corpus), str(folder)],
            env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    return start


@pytest.fixture(scope="module")
def whole(build_in_processes, tmp_path_factory) -> dict[str, str]:
    """Contents of the Store of an undisturbed build."""
    folder = tmp_path_factory.mktemp("whole") / "store"
    assert build_in_processes(folder).wait() == 0
    return contents(folder)


@pytest.mark.parametrize("moment", ["before the first shard", "in the middle", "after the last shard"])
def test_rerun_after_a_kill_gives_the_same_bytes(moment, build_in_processes, whole, tmp_path):
    """Kill the whole process group without warning, and run the same command again."""
    process = build_in_processes(tmp_path / "killed")
    enough = {"before the first shard": 0, "in the middle": 6, "after the last shard": 13}[moment]
    deadline = time.monotonic() + 60
    while len(list((tmp_path / "killed").glob("part-*.json"))) < enough or not (tmp_path / "killed" / ".lock").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None or enough == 13
        if process.poll() is not None:
            break
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
    process.wait()
    assert build_in_processes(tmp_path / "killed").wait() == 0
    assert contents(tmp_path / "killed") == whole
