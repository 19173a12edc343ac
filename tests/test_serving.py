"""The registered model behind MLflow's own server and command line, for real."""

import base64
import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pandas as pd
import pytest
import soundfile

from pipeline import audio, registry, rows
from pipeline.detector import Detector

START_S = 90
MODEL = "models:/spoof-detector@champion"


def mlflow_command(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("mlflow")), "models", *arguments, "--env-manager", "local"]


@pytest.fixture
def registered(make_bundle):
    made = make_bundle()
    registry.register(made.folder)
    return made


@pytest.fixture
def recording(voice) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, audio.to_int16(voice), 16000, format="WAV")
    return buffer.getvalue()


@pytest.fixture
def server(registered):
    """The URL of ``mlflow models serve`` on a free port of this machine; stopped after the test."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        mlflow_command("serve", "-m", MODEL, "-p", str(port), "-h", "127.0.0.1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + START_S
    while True:
        try:
            urllib.request.urlopen(f"{url}/ping", timeout=2).read()
            break
        except OSError:
            assert process.poll() is None, "the server stopped"
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.2)
    yield url
    os.killpg(process.pid, 15)
    process.wait(timeout=20)


def ask(url: str, body: dict) -> list[dict]:
    request = urllib.request.Request(
        f"{url}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())["predictions"]


def test_one_row_out_for_each_row_in(server, registered, recording):
    text = base64.b64encode(recording).decode()
    nonsense = base64.b64encode(b"nonsense").decode()
    answer = ask(server, {"dataframe_records": [{"audio": text}, {"audio": nonsense}, {"audio": "%%%"}]})
    assert [list(row) for row in answer] == [list(rows.COLUMNS)] * 3
    expected = Detector(registered).row("row 0", recording)
    assert answer[0]["score"] == pytest.approx(expected.score, abs=1e-5)
    assert (answer[0]["label"], answer[0]["error"]) == (expected.label, "")
    assert answer[1]["error"].startswith("unreadable")
    assert answer[1]["score"] is None
    assert "not base64" in answer[2]["error"]

    split = ask(server, {"dataframe_split": {"columns": ["audio"], "data": [[text]]}, "params": {"threshold": 1e9}})
    assert split[0]["score"] == pytest.approx(expected.score, abs=1e-5)
    assert split[0]["label"] in ("spoof", "no_speech")

    with pytest.raises(urllib.error.HTTPError, match="400"):
        ask(server, {"dataframe_records": [{"path": "/etc/passwd"}]})


def test_predict_on_a_csv_gives_the_same_row(registered, recording, tmp_path):
    pd.DataFrame({"audio": [base64.b64encode(recording).decode()]}).to_csv(tmp_path / "in.csv", index=False)
    subprocess.run(
        mlflow_command("predict", "-m", MODEL, "-i", "in.csv", "-t", "csv", "-o", "out.json"),
        check=True,
        capture_output=True,
        timeout=120,
    )
    answer = json.loads((tmp_path / "out.json").read_text())["predictions"]
    assert answer[0]["score"] == pytest.approx(Detector(registered).row("row 0", recording).score, abs=1e-5)
