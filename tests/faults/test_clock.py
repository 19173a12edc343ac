"""Clocks that jump by years in the middle of a command: times that are measured and what is made stay right."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from pipeline import audio
from pipeline.config import PROJECT_ROOT

JUMPS = ("-30000d", "+9000d", "-1d", "+0")


@pytest.fixture
def clock(tmp_path):
    """The environment of a process whose wall clock shows what the file ``clock`` says, and that file."""
    if not (program := shutil.which("faketime")):
        pytest.skip("faketime is not installed (apt: faketime)")
    shown = subprocess.run([program, "-f", "+0", "env"], capture_output=True, text=True, check=True).stdout
    library = next(line.partition("=")[2] for line in shown.splitlines() if line.startswith("LD_PRELOAD="))
    offset = tmp_path / "clock"
    offset.write_text("+0")
    fake = {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    return {**os.environ, **fake}, offset


def test_durations_are_right_while_the_wall_clock_jumps(clock, make_model_folder, voice, tmp_path):
    environment, offset = clock
    said = subprocess.run(
        [sys.executable, "-c", "import time; print(time.time())"], env={**environment}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert abs(float(said.stdout) - time.time()) < 60
    (tmp_path / "recordings").mkdir()
    for number in range(40):
        wave = np.tile(voice, 4)[100 * number :]
        soundfile.write(tmp_path / "recordings" / f"{number:02}.wav", audio.to_int16(wave), 16000)
    output = tmp_path / "rows.csv"
    words = [tmp_path / "recordings", "--model", make_model_folder().folder, "--output", output, "--processes", 1]
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.score", *map(str, words)], cwd=PROJECT_ROOT, env=environment,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    part, jumps = Path(f"{output}.part"), 0
    while process.poll() is None:
        lines = part.read_bytes().count(b"\n") if part.exists() else 0
        if lines > 1 + 8 * jumps:
            offset.write_text(JUMPS[jumps % len(JUMPS)])
            jumps += 1
        time.sleep(0.005)
    spent_s = time.monotonic() - started
    assert process.returncode == 0, process.stderr.read()
    assert jumps >= 3, "the clock jumped while recordings were scored"
    table = pd.read_csv(output)
    assert len(table) == 40
    assert table["latency_ms"].between(0, 1000 * spent_s).all()
    assert table["latency_ms"].sum() < 1000 * spent_s


def test_the_clock_that_jumps_is_the_wall_clock(clock):
    environment, offset = clock
    offset.write_text("-30000d")
    code = "import time; print(time.time() < 0 or time.gmtime().tm_year < 1990, time.monotonic())"
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    old, monotonic = said.stdout.split()
    assert old == "True"
    assert float(monotonic) == pytest.approx(time.monotonic(), abs=60)
