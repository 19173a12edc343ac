"""A half-written file of rows resumes, in every format, and loses or doubles no row."""

import csv
import json
import os
from pathlib import Path

import pandas as pd
import pytest

from pipeline.errors import ConfigError
from pipeline.scoring import row_file
from pipeline.scoring.row import COLUMNS, Row
from pipeline.scoring.row_file import Done, RowFile

MADE_WITH = {"model": "m", "threshold": 0.5}
ROWS = [
    Row("a.wav", 0.0, 2.0, 2.0, 1.5, -1.25, 0.75, "spoof", "m", 3.5),
    Row('odd ", name\nof two lines.wav', 0.0, 1.0, 1.0, 0.0, 4.0, 0.125, "no_speech", "m", 1.0),
    Row("b.wav", model_version="m", latency_ms=0.5, error="unreadable: no, not\naudio"),
    Row("not \udcff unicode.wav", 0.0, 1.0, 1.0, 1.0, 2.0, 0.25, "bonafide", "m", 1.0),
]


def read(path: Path) -> list[dict]:
    if path.suffix == ".parquet":
        return pd.read_parquet(path).to_dict("records")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(params=[".csv", ".jsonl", ".parquet"])
def path(request, tmp_path) -> Path:
    return tmp_path / "out" / f"rows{request.param}"


def write(path: Path, rows: list[Row], *, finish: bool, made_with: dict = MADE_WITH) -> dict[str, Done]:
    with RowFile(path, made_with, [row.source for row in ROWS]) as file:
        found = dict(file.done)
        for row in rows:
            if row.source not in file:
                file.add(row)
        if finish:
            file.finish()
    return found


def test_the_file_holds_the_rows_added(path):
    write(path, ROWS, finish=True)
    assert os.listdir(path.parent) == [path.name]
    found = read(path)
    assert list(found[0]) == list(COLUMNS)
    assert [row["source"] for row in found][:3] == [row.source for row in ROWS][:3]
    assert "unicode.wav" in found[3]["source"]
    assert [float(row["score"]) for row in found if row["label"]] == [-1.25, 4.0, 2.0]
    assert found[2]["score"] in (None, "") or pd.isna(found[2]["score"])
    assert found[2]["error"] == "unreadable: no, not\naudio"


def test_a_kill_at_any_byte_loses_half_a_row_at_most(path):
    part = path.with_name(path.name + ".part")
    ends = []
    for count in range(len(ROWS) + 1):
        write(path, ROWS[:count], finish=False)
        ends.append(part.stat().st_size)
    whole = part.read_bytes()
    for cut in range(ends[0], len(whole) + 1):
        part.write_bytes(whole[:cut])
        found = write(path, [], finish=False)
        kept = sum(end <= cut for end in ends) - 1
        assert list(found.values()) == [Done(row.score, row.label) for row in ROWS[:kept]], cut
        assert part.stat().st_size == ends[kept]
    part.write_bytes(whole[: ends[2] + 5])
    write(path, ROWS, finish=True)
    assert [row["label"] for row in read(path)] == [row.label for row in ROWS]


def test_rows_made_with_something_else_are_thrown_away(path):
    write(path, ROWS[:2], finish=False)
    assert write(path, ROWS, finish=False, made_with={"model": "other"}) == {}
    assert len(write(path, [], finish=False, made_with={"model": "other"})) == 4


def test_rows_of_other_recordings_stay_out_of_the_file(path):
    write(path, ROWS[:3], finish=False)
    with RowFile(path, MADE_WITH, [ROWS[0].source, ROWS[3].source]) as file:
        assert list(file.done) == [ROWS[0].source]
        file.add(ROWS[3])
        file.finish()
    assert [float(row["score"]) for row in read(path)] == [-1.25, 2.0]
    assert os.listdir(path.parent) == [path.name]


def test_two_processes_cannot_write_one_file(path):
    with RowFile(path, MADE_WITH, []), pytest.raises(ConfigError, match="another process is writing this file"):
        write(path, ROWS, finish=True)


def test_parquet_is_written_in_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(row_file, "PARQUET_ROWS", 3)
    path = tmp_path / "rows.parquet"
    write(path, ROWS, finish=True)
    from pyarrow import parquet

    assert parquet.ParquetFile(path).num_row_groups == 2


def test_a_score_file_is_one_that_asvspoof_5_takes(tmp_path):
    write(tmp_path / "scores.tsv", ROWS, finish=True)
    lines = (tmp_path / "scores.tsv").read_text().splitlines()
    assert lines[:3] == ["filename\tcm-score", "a\t-1.25", 'odd ", name of two lines\t4.0']
    assert len(lines) == 4  # what could not be scored has none


def test_recordings_that_a_score_file_cannot_tell_apart_are_named_before_scoring(tmp_path):
    with pytest.raises(ConfigError, match=r"s.tsv: a/x.wav and b/x.flac have one name in a score file; \.csv"):
        RowFile(tmp_path / "s.tsv", MADE_WITH, ["a/x.wav", "b/x.flac", "c/y.wav"])
