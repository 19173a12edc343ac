"""Broken recordings of every format: no crash, no hang, no flood of memory, and a score or an error for each."""

import json
import math
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipeline.config import PROJECT_ROOT
from tests.support.audio_mutants import mutants, seeds

SEED = 20170
SLOWEST_S, MEMORY_BYTES = 20.0, 1_500_000_000
"""Limits on the time of one recording and on the memory of the process."""
SCORE = """
import json, sys
from pipeline.scoring.model_folders import ModelFolder
from pipeline.scoring.detector import Detector
detector = Detector(ModelFolder.load(sys.argv[1]), threads=1)
for line in sys.stdin:
    path = line.rstrip("\\n")
    print(path, flush=True)
    print(json.dumps(vars(detector.row(path, path))), flush=True)
"""


def scored(paths: list[Path], model: Path) -> dict[Path, dict | str]:
    """Row of each recording, or the end of the process that scored it; another process then takes the next."""
    found: dict[Path, dict | str] = {}
    log = model.parent / "log.txt"
    while left := [path for path in paths if path not in found]:
        with log.open("w") as errors:
            child = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", "-c", SCORE, str(model)], cwd=PROJECT_ROOT, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, preexec_fn=_limited,
            )  # fmt: skip
        for path in left:
            child.stdin.write(f"{path}\n")
            child.stdin.flush()
            late = threading.Timer(SLOWEST_S, child.kill)
            late.start()
            begun, row = child.stdout.readline(), child.stdout.readline()
            late.cancel()
            if not row:
                assert begun == f"{path}\n", log.read_text()[-3000:]
                child.kill()
                found[path] = f"status {child.wait()}: {log.read_text()[-1500:]}"
                break
            found[path] = json.loads(row)
        child.stdin.close()
        child.wait()
    return found


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))


def check(folder: Path, model: Path, count: int) -> None:
    paths = mutants(folder, count, SEED)
    found = scored(paths, model)
    died = {path.name: row for path, row in found.items() if isinstance(row, str)}
    assert died == {}, f"{len(died)} of {count}"
    rows = list(found.values())
    assert len(rows) == count
    assert all(bool(row["error"]) != (row["score"] is not None) for row in rows)
    assert all(math.isfinite(row["score"]) for row in rows if row["score"] is not None)
    assert all(row["error"].isprintable() for row in rows)
    by_format = {path.suffix: [] for path in paths}
    for path, row in found.items():
        by_format[path.suffix].append(bool(row["error"]))
    refused = sum(bool(row["error"]) for row in rows)
    print(f"{count} recordings in {len(by_format)} formats: {count - refused} scored, {refused} refused")
    assert 0.1 * count < refused < 0.95 * count, "mutants are neither harmless nor hopeless"


def test_every_format_is_read_before_it_is_broken(tmp_path, make_model_folder):
    paths = []
    for name, data in seeds().items():
        paths.append(tmp_path / f"sound.{name}")
        paths[-1].write_bytes(data)
    found = scored(paths, make_model_folder().folder)
    assert {path.suffix: row["error"] for path, row in found.items()} == {path.suffix: "" for path in paths}


def test_broken_recordings_have_a_score_or_an_error(tmp_path, make_model_folder):
    check(tmp_path, make_model_folder().folder, 230)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_two_thousand_broken_recordings_have_a_score_or_an_error(tmp_path, make_model_folder):
    check(tmp_path, make_model_folder().folder, 2000)
