"""The registered model without a server: MLflow's command line, Python callers, and what it carries and imports."""

import json
import subprocess
import sys

import mlflow
import pandas as pd

from benchmarks.server import MODEL, mlflow_command
from pipeline.scoring.detector import Detector
from tests.support.served import same, text, wav


def test_predict_on_a_csv_gives_the_same_row(registered, speech_like, tmp_path, tracked):
    pd.DataFrame({"audio": [text(wav(speech_like))]}).to_csv(tmp_path / "in.csv", index=False)
    command = mlflow_command("predict", "-m", MODEL, "-i", "in.csv", "-t", "csv", "-o", "out.json")
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    (answer,) = json.loads((tmp_path / "out.json").read_text())["predictions"]
    assert same(answer, Detector(registered).row("row 0", wav(speech_like)))


def test_python_callers_may_send_bytes_and_no_server_means_no_files(registered, speech_like, tracked):
    model = mlflow.pyfunc.load_model(MODEL)
    table = model.predict(pd.DataFrame({"audio": [wav(speech_like), b""]}))
    assert same(table.iloc[0].to_dict(), Detector(registered).row("row 0", wav(speech_like)))
    assert table["error"].tolist() == ["", "empty: the file has no bytes"]
    refused = model.predict(pd.DataFrame({"path": ["/etc/passwd"]}))
    assert refused["error"].tolist() == [
        "refused: this server reads no files (SPOOF_SERVE_ROOT); send the recording itself in the column audio"
    ]


def test_the_model_carries_all_that_it_imports_and_no_tensorflow(registered, tmp_path, tracked):
    local = mlflow.artifacts.download_artifacts(MODEL)
    script = (
        f"import mlflow, sys; mlflow.pyfunc.load_model({str(local)!r}); from pipeline.scoring import detector;"
        f"print(detector.__file__.startswith({str(local)!r}),"
        "[m for m in ('tensorflow', 'keras', 'librosa', 'sklearn', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True []"
