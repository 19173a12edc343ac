"""Disks that are full or take nothing: one line that says so, what was there stays whole, and the command goes on."""

import csv
import errno
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import mlflow
import numpy as np
import pytest
import soundfile

from pipeline import audio, tracking
from pipeline.config import PROJECT_ROOT
from pipeline.errors import TrackingError
from pipeline.scoring import model_folders
from pipeline.store.store import Store
from pipeline.training import checkpoint
from pipeline.training.checkpoint import Progress
from tests.support.small_disk import mounted

FULL = "No space left on device; free some space; the same command then resumes\n"
NOBODY = 65534


@pytest.fixture
def disk(tmp_path):
    with mounted(tmp_path / "disk", "512k") as made:
        if made is None:
            pytest.skip("a file system can be mounted by root alone")
        yield made


def command(module: str, *arguments: object, **environment: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", f"pipeline.{module}", *map(str, arguments)], cwd=PROJECT_ROOT, text=True,
        env={**os.environ, **{name: str(value) for name, value in environment.items()}}, capture_output=True,
        check=False,
    )  # fmt: skip


@pytest.fixture
def recordings(tmp_path, voice) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    for number in range(6):
        soundfile.write(folder / f"{number}.wav", audio.to_int16(np.roll(voice, 99 * number)[:9000]), 16000)
    return folder


def test_preprocessing_on_a_full_disk_goes_on_when_there_is_room(disk, synthetic_corpus, synthetic_store):
    words = ("preprocess", "--preset", "smoke", "--data_dir", synthetic_corpus)
    refused = command(*words, SPOOF_ARTIFACTS=disk.folder)
    assert refused.returncode == 2
    assert refused.stderr.endswith(FULL)
    assert "Traceback" not in refused.stderr
    assert not list(disk.folder.rglob("store.json"))
    disk.remount("size=200m")
    done = command(*words, SPOOF_ARTIFACTS=disk.folder)
    assert done.returncode == 0, done.stderr
    (folder,) = (disk.folder / "data").iterdir()
    made = Store.open(folder)
    made.verify()
    assert made.manifest["sha256"].tolist() == synthetic_store.manifest["sha256"].tolist()


def test_scores_on_a_full_disk_are_kept_as_far_as_they_go(disk, recordings, make_model_folder):
    output = disk.folder / "rows.csv"
    words = ("score", recordings, "--model", make_model_folder().folder, "--output", output)
    filling = disk.fill()
    os.truncate(filling, filling.stat().st_size - 4096)  # room for the first page of the rows, and no more
    (disk.folder / "note").write_text("x")
    refused = command(*words)
    assert refused.returncode == 2
    assert refused.stderr.endswith(FULL)
    assert not output.exists()
    filling.unlink()
    done = command(*words)
    assert done.returncode == 0, done.stderr
    with output.open() as file:
        assert [Path(row["source"]).name for row in csv.DictReader(file)] == [f"{n}.wav" for n in range(6)]


def test_a_state_that_finds_no_room_leaves_the_one_before(disk):
    path = disk.folder / "state.npz"
    checkpoint.save(path, Progress("run", epoch=1), [np.zeros(100)], [])
    disk.fill()
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(path, Progress("run", epoch=2), [np.ones(100_000)], [])
    progress, (variable,), _ = checkpoint.load(path)
    assert (progress.epoch, variable.sum()) == (1, 0)


def test_a_model_folder_that_finds_no_room_leaves_the_one_before(disk, write_model_folder):
    disk.remount("size=8m")
    kept = write_model_folder(disk.folder / "model", "first")
    disk.fill()
    with pytest.raises(OSError, match="No space left") as caught:
        write_model_folder(disk.folder / "model", "second")
    assert caught.value.errno == errno.ENOSPC
    assert model_folders.ModelFolder.load(kept.folder) == kept


def test_a_tracking_store_on_a_full_disk_is_named(disk, empty_tracking_store, monkeypatch):
    disk.remount("size=64m")
    shutil.copy(empty_tracking_store, disk.folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{disk.folder / 'mlflow.db'}")
    with tracking.run("before", stage="train"):
        pass
    disk.fill()
    full = r"the tracking server sqlite:.*mlflow\.db cannot be written \(database or disk is full\); free space"
    with pytest.raises(TrackingError, match=full), tracking.run("after", stage="train"):
        tracking.log_epochs(mlflow.active_run().info.run_id, [{"dev/eer": 0.1}] * 20_000, patient=True)


def test_a_limit_on_the_size_of_files_is_a_full_disk(tmp_path, recordings, make_model_folder):
    """Any user can be given one."""
    limited = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))}
    words = ["score", recordings, "--model", make_model_folder().folder, "--output", tmp_path / "rows.jsonl"]
    refused = subprocess.run(
        [sys.executable, "-m", *map(str, [f"pipeline.{words[0]}", *words[1:]])], cwd=PROJECT_ROOT,
        capture_output=True, text=True, check=False, **limited,
    )  # fmt: skip
    assert refused.returncode == 2
    assert refused.stderr.endswith("File too large; free some space; the same command then resumes\n")
    assert command(*words).returncode == 0
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 6


@pytest.fixture
def read_only(tmp_path, write_model_folder):
    """Artifacts with a champion that nobody may write to, and how to start a process to which that applies."""
    with mounted(tmp_path / "artifacts", "8m") as disk:
        folder = disk.folder if disk else Path(tempfile.mkdtemp(prefix="artifacts-"))
        write_model_folder(folder / "models" / "champion")
        options = {}
        if disk:
            disk.remount("ro")
        else:
            for place in (folder, folder / "models", folder / "models" / "champion"):
                place.chmod(0o555)
            options = {"user": NOBODY, "group": NOBODY} if os.geteuid() == 0 else {}
        yield folder, options


def test_read_only_artifacts_serve_and_say_where_else_to_write(read_only, synthetic_corpus, recordings):
    folder, options = read_only
    environment = {**os.environ, "SPOOF_ARTIFACTS": str(folder)}
    started = {"cwd": PROJECT_ROOT, "env": environment, "capture_output": True, "text": True, "check": False, **options}
    scored = subprocess.run([sys.executable, "-m", "pipeline.score", str(recordings)], **started)
    assert scored.returncode == 0, scored.stderr
    words = [sys.executable, "-m", "pipeline.preprocess", "--preset", "smoke", "--data_dir", str(synthetic_corpus)]
    refused = subprocess.run(words, **started)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: {folder / 'data'}: ")
    assert "or name another place (SPOOF_ARTIFACTS" in refused.stderr
