"""Batch scoring as its user runs it: files and folders in, table and file out, exit status, start-up."""

import csv
import json
import subprocess
import sys
import time

import pandas as pd
import pytest
import soundfile

from pipeline import audio, rows, score
from pipeline.config import PROJECT_ROOT
from pipeline.errors import BundleError, ConfigError


@pytest.fixture
def recordings(tmp_path, voice):
    folder = tmp_path / "recordings"
    (folder / "inner").mkdir(parents=True)
    soundfile.write(folder / "a.wav", audio.to_int16(voice), 16000)
    soundfile.write(folder / "inner" / "b.flac", audio.to_int16(voice[::-1].copy()), 16000)
    (folder / "notes.txt").write_text("not audio")
    return folder


def test_a_folder_is_searched_and_a_table_printed(recordings, make_bundle, capsys):
    assert score.main([str(recordings), "--model", str(make_bundle().folder)]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0].split() == ["file", "label", "score", "P(spoof)", "speech", "length"]
    assert len(lines) == 3
    assert "2.0 s" in lines[1]
    assert "model tiny-1, bonafide from a score of +0.25 on (eer)" in captured.err


def test_operating_point_and_threshold_are_shown(recordings, make_bundle, capsys):
    model = str(make_bundle().folder)
    score.main([str(recordings), "--model", model, "--operating_point", "min_dcf"])
    assert "+1.50 on (min_dcf)" in capsys.readouterr().err
    score.main([str(recordings), "--model", model, "--threshold", "-3"])
    assert "-3.00 on (given)" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="'high': expected a number"):
        score.main([str(recordings), "--model", model, "--threshold", "high"])


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_row_and_column_is_written(recordings, make_bundle, tmp_path, suffix):
    output = tmp_path / "out" / f"scores{suffix}"
    status = score.main(
        [str(recordings), str(tmp_path / "gone.wav"), "--model", str(make_bundle().folder), "--output", str(output)]
    )
    assert status == 1
    if suffix == ".parquet":
        table = pd.read_parquet(output).to_dict("records")
    elif suffix == ".jsonl":
        table = [json.loads(line) for line in output.read_text().splitlines()]
    else:
        table = list(csv.DictReader(output.open()))
    assert list(table[0]) == list(rows.COLUMNS)
    assert [row["source"].split("/")[-1] for row in table] == ["a.wav", "b.flac", "gone.wav"]
    assert table[2]["error"] == "unreadable: No such file or directory"
    assert table[2]["score"] in (None, "") or pd.isna(table[2]["score"])
    assert float(table[0]["duration_s"]) == 2.0


def test_nothing_to_score_and_no_model_say_so(tmp_path, recordings):
    with pytest.raises(ConfigError, match="nothing to score in no input"):
        score.main([])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"nothing to score in .*empty"):
        score.main([str(tmp_path / "empty")])
    with pytest.raises(BundleError, match="no model yet"):
        score.main([str(recordings)])
    with pytest.raises(ConfigError, match=r"ends in \.csv, \.jsonl, \.parquet"):
        score.main([str(recordings), "--output", "scores.txt"])


def test_a_cold_start_imports_neither_tensorflow_nor_pandas(recordings, make_bundle):
    code = (
        "import sys; from pipeline import score;"
        f"score.main([{str(recordings / 'a.wav')!r}, '--model', {str(make_bundle().folder)!r}]);"
        "print([m for m in ('tensorflow', 'keras', 'pandas', 'mlflow', 'librosa', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_is_quick():
    started = time.monotonic()
    command = [sys.executable, "-m", "pipeline.score", "--help"]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert time.monotonic() - started < 3
    assert "--operating_point" in done.stdout
