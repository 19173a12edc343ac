"""Rows that a server keeps for ``pipeline.drift``."""

import json

import mlflow
import pandas as pd
import pytest

from benchmarks.server import MODEL
from pipeline.errors import ConfigError
from pipeline.scoring.row import Row
from pipeline.serving.row_log import COLUMNS, RowLog
from tests.support.served import wav

ROW = Row("calls/secret name.wav", 0.0, 2.0, 2.0, 1.5, 0.7, 0.3, "bonafide", "m-1", 12.0)


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_scored_rows_are_kept_without_their_names(tmp_path):
    path = tmp_path / "rows.jsonl"
    log = RowLog(path, 1e6)
    log.add([ROW, Row("b", model_version="m-1", latency_ms=1.0, error="silent: x")])
    log.add([ROW])
    first, second = lines(path)
    assert list(first) == ["time", *COLUMNS]
    assert (first["score"], first["label"], first["duration_s"]) == (0.7, "bonafide", 2.0)
    assert "secret" not in path.read_text()
    assert first["time"].endswith("+00:00")
    assert first["time"] <= second["time"]


def test_the_file_is_bounded_and_a_place_that_cannot_be_written_is_named(tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    log = RowLog(path, 1000)
    for _ in range(20):
        log.add([ROW])
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 2000
    with pytest.raises(ConfigError, match=r"SPOOF_SERVE_ROWS=.*none/rows.jsonl: No such file.*; name a file"):
        RowLog(tmp_path / "none" / "rows.jsonl", 1000)
    path.unlink()
    path.mkdir()
    log.add([ROW])
    assert "1 rows are missing in SPOOF_SERVE_ROWS" in capsys.readouterr().err


def test_the_registered_model_keeps_whole_rows(speech_like, registered, tracked, tmp_path, monkeypatch):
    monkeypatch.setenv("SPOOF_SERVE_ROWS", str(tmp_path / "rows.jsonl"))
    model = mlflow.pyfunc.load_model(MODEL)
    given = pd.DataFrame({"audio": [wav(speech_like), b"", wav(speech_like)]})
    answer = model.predict(given)
    model.predict(given, params={"windows": True})
    kept = lines(tmp_path / "rows.jsonl")
    assert [row["score"] for row in kept] == answer["score"].dropna().tolist()
    assert {row["model_version"] for row in kept} == {registered.model_version}
