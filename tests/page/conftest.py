"""A real server of the page, for tests that ask it directly and for those through a browser."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import soundfile

from pipeline.config import PROJECT_ROOT

MAX_MB, JOB_MB = 0.5, 0.6


@pytest.fixture(scope="module")
def model(write_model_folder, tmp_path_factory):
    return write_model_folder(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> Path:
    """Table that the server appends answers to, beside the folder of recordings that it keeps."""
    return tmp_path_factory.mktemp("answers") / "answers.csv"


@pytest.fixture(scope="module")
def address(model, answers, tmp_path_factory):
    """Host and port of the page's server, which is stopped after the module."""
    arguments = ["--model", str(model.folder), "--port", "0", "--max_mb", str(MAX_MB), "--job_mb", str(JOB_MB)]
    arguments += ["--metrics", "--feedback", str(answers), "--keep", str(answers.parent / "kept"), "--keep_mb", "0.4"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.page", *arguments],
        cwd=PROJECT_ROOT,
        env=os.environ | {"SPOOF_ARTIFACTS": str(tmp_path_factory.mktemp("artifacts"))},
        stdout=subprocess.PIPE,
        text=True,
    )
    line = process.stdout.readline()
    assert line.startswith("model tiny-1: http://127.0.0.1:"), line
    yield urlsplit(line.split()[-1]).netloc
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 0


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    """Three recordings and a text file; the name of one would be markup, that of another a formula."""
    folder = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(1)
    for name, seconds in (("a <img src=x onerror=alert(1)>.wav", 2.0), ("=1+2.flac", 3.0), ("c.ogg", 1.0)):
        t = np.arange(int(16000 * seconds)) / 16000
        wave = 0.3 * np.sin(2 * np.pi * 150 * t * (1 + 0.1 * np.sin(3 * t))) + 0.02 * rng.standard_normal(len(t))
        soundfile.write(folder / name, wave, 16000)
    (folder / "notes.wav").write_text("not audio")
    return folder
