"""Tables of recordings: CSV, TSV and Parquet."""

import os
from pathlib import Path

import pandas as pd
import pytest

from pipeline import corpora
from pipeline.config import CorpusConfig
from pipeline.errors import CorpusError
from pipeline.scoring import inputs


@pytest.fixture
def rows(tmp_path) -> pd.DataFrame:
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).touch()
    return pd.DataFrame(
        {
            "path": ["a.wav", "b.wav"],
            "label": ["bonafide", "fake"],
            "speaker": ["x", "y"],
            "attack": ["", "tts"],
            "codec": ["none", "mp3"],
        }
    )


def read(path: Path):
    return corpora.read(CorpusConfig(corpus="table", data_dir=str(path)))


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_columns_are_kept_and_paths_are_relative_to_the_table(tmp_path, rows, suffix):
    path = tmp_path / f"table{suffix}"
    if suffix == ".parquet":
        rows.to_parquet(path)
    else:
        rows.to_csv(path, sep="\t" if suffix == ".tsv" else ",", index=False)
    table, rejected = read(path)
    assert rejected == []
    assert list(table["label"]) == ["bonafide", "spoof"]
    assert list(table["attack"]) == ["-", "tts"]
    assert list(table["codec"]) == ["none", "mp3"]
    assert table["path"][0] == str(tmp_path / "a.wav")


def test_rows_without_a_file_are_listed(tmp_path, rows):
    rows.loc[2] = ["gone.wav", "spoof", "z", "tts", "none"]
    rows.to_csv(tmp_path / "t.csv", index=False)
    table, rejected = read(tmp_path / "t.csv")
    assert len(table) == 2
    assert [(Path(r.path).name, r.reason) for r in rejected] == [("gone.wav", "named in t.csv, but not there")]


def test_links_count_as_their_target(tmp_path, rows):
    (tmp_path / "circle.wav").symlink_to("circle.wav")
    (tmp_path / "dead.wav").symlink_to("gone.wav")
    (tmp_path / "link.wav").symlink_to("a.wav")
    for number, name in enumerate(("circle.wav", "dead.wav", "link.wav"), 2):
        rows.loc[number] = [name, "spoof", "z", "tts", "none"]
    rows.to_csv(tmp_path / "t.csv", index=False)
    table, rejected = read(tmp_path / "t.csv")
    assert [Path(path).name for path in table["path"]][2:] == ["link.wav"]
    assert len(table) == 3
    assert [Path(r.path).name for r in rejected] == ["circle.wav", "dead.wav"]


def test_a_path_under_two_labels_is_rejected_and_a_doubled_row_read_once(tmp_path, rows):
    rows.loc[2] = ["./a.wav", "spoof", "z", "tts", "none"]
    rows.loc[3] = rows.loc[1]
    rows.to_csv(tmp_path / "t.csv", index=False)
    table, rejected = read(tmp_path / "t.csv")
    assert [Path(path).name for path in table["path"]] == ["b.wav"]
    assert [(Path(r.path).name, r.reason) for r in rejected] == [
        ("a.wav", "listed under two labels in t.csv"),
        ("a.wav", "listed under two labels in t.csv"),
        ("b.wav", "listed twice in t.csv, and read once"),
    ]
    first, second = inputs.find([str(tmp_path / "t.csv")])[:2]
    assert (first.label, second.label) == ("bonafide", "spoof")
    (tmp_path / "u.csv").write_text("path,label\na.wav,real\na.wav,fake\n")
    assert [recording.label for recording in inputs.find([str(tmp_path / "u.csv")])] == [""]


def test_names_without_suffix_stand_for_the_one_recording_of_that_name(tmp_path, rows):
    (tmp_path / "b.flac").touch()
    rows.assign(path=["a", "b"]).to_csv(tmp_path / "t.csv", index=False)
    table, rejected = read(tmp_path / "t.csv")
    assert [Path(path).name for path in table["path"]] == ["a.wav"]
    assert [r.path for r in rejected] == [str(tmp_path / "b")]
    assert [Path(found.path).name for found in inputs.find([str(tmp_path / "t.csv")])] == ["a.wav", "b"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("clips\\a.wav", "backslashes"),
        ("https://host/a.wav", "it is an address; download"),
        ("~/a.wav", "~ means nothing in a table"),
        ("other/a.wav", "a.wav is there; .* so write a.wav"),
        ("sub/a.wav", "it is under .*; paths are relative to the table's folder, so move the table there"),
        ("/data/gone/z.wav", "no such file on this machine"),
        ("gone/c.wav", "move the table to the folder that they start from"),
    ],
)
def test_a_table_without_any_file_gives_place_and_likely_reason(tmp_path, rows, path, reason):
    (tmp_path / "lists").mkdir()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.wav").touch()
    (tmp_path / "lists" / "a.wav").touch()
    table = tmp_path / "lists" / "t.csv"
    rows.assign(path=[path, "x.wav"]).to_csv(table, index=False)
    with pytest.raises(CorpusError, match=rf"t\.csv: none of its 2 paths is a file; the first, .*: .*{reason}"):
        read(table)


def test_an_unreadable_folder_is_an_error(tmp_path, rows, monkeypatch):
    def refuse(place):
        raise PermissionError(13, "Permission denied", place)

    rows.to_csv(tmp_path / "t.csv", index=False)
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(CorpusError, match=r"the folder cannot be read \(Permission denied\); allow it"):
        read(tmp_path / "t.csv")


def test_damage_is_named(tmp_path, rows):
    rows.assign(label=["bonafide", "dunno"]).to_csv(tmp_path / "label.csv", index=False)
    with pytest.raises(CorpusError, match=r"label 'dunno' of b\.wav"):
        read(tmp_path / "label.csv")
    rows.drop(columns="label").to_csv(tmp_path / "column.csv", index=False)
    with pytest.raises(CorpusError, match="column 'label' is missing"):
        read(tmp_path / "column.csv")
    rows.assign(label=["bonafide", ""]).to_csv(tmp_path / "label.csv", index=False)
    with pytest.raises(CorpusError, match=r"1 of 2 rows have no label, the first b\.wav"):
        read(tmp_path / "label.csv")
    rows.assign(split="train").to_csv(tmp_path / "part.csv", index=False)
    with pytest.raises(CorpusError, match=r"part\.csv: no rows of dev"):
        corpora.read(CorpusConfig(corpus="table", data_dir=str(tmp_path / "part.csv"), parts="dev"))
    (tmp_path / "notes.txt").write_text("path,label\n")
    with pytest.raises(CorpusError, match=r"ends in \.csv, \.tsv or \.parquet"):
        read(tmp_path / "notes.txt")
