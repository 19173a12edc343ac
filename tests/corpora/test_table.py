"""Tables of recordings: CSV, TSV and Parquet."""

from pathlib import Path

import pandas as pd
import pytest

from pipeline import corpora
from pipeline.config import CorpusConfig
from pipeline.errors import CorpusError


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
def test_columns_arrive_and_paths_are_relative_to_the_table(tmp_path, rows, suffix):
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


def test_links_count_as_what_they_lead_to(tmp_path, rows):
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


def test_damage_is_named(tmp_path, rows):
    rows.assign(label=["bonafide", "dunno"]).to_csv(tmp_path / "label.csv", index=False)
    with pytest.raises(CorpusError, match=r"label 'dunno' of b\.wav"):
        read(tmp_path / "label.csv")
    rows.drop(columns="label").to_csv(tmp_path / "column.csv", index=False)
    with pytest.raises(CorpusError, match="column 'label' is missing"):
        read(tmp_path / "column.csv")
    (tmp_path / "notes.txt").write_text("path,label\n")
    with pytest.raises(CorpusError, match=r"ends in \.csv, \.tsv or \.parquet"):
        read(tmp_path / "notes.txt")
