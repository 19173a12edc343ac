"""Tables of recordings: quoting, names of columns, labels and subsets by other tools, missing values."""

from pathlib import Path

import pandas as pd
import pytest

from pipeline.common import tables
from pipeline.errors import CorpusError


def written(folder: Path, text: str, suffix: str = ".csv") -> Path:
    path = folder / f"list{suffix}"
    path.write_text(text, encoding="utf-8")
    return path


def test_quotes_in_tsv_are_characters(tmp_path):
    path = written(tmp_path, 'path\tlabel\tsays\na.wav\tspoof\t"no\nb.wav\tbonafide\t5" disc\n', ".tsv")
    table = tables.load(path)
    assert table["label"].tolist() == ["spoof", "bonafide"]
    assert table["says"].tolist() == ['"no', '5" disc']


@pytest.mark.parametrize(
    ("text", "suffix", "message"),
    [
        ('path,label\n"a\nb.wav",spoof\n', ".csv", "line 2: a cell holds a line break"),
        ('path,label\na.wav,"spoof\nb.wav,bonafide\n', ".csv", "unexpected end of data"),
        ("path\tlabel\na\nb.wav\tspoof\n", ".tsv", r"line 2: 1 cells instead of 2"),
        ("path,label\na.wav,spoof,x\n", ".csv", "line 2: 3 cells instead of 2"),
        ("", ".csv", "it is empty"),
        ("path,label,label\na.wav,spoof,spoof\n", ".csv", "two columns are called 'label'"),
        ("file,target,class\na.wav,spoof,A1\n", ".csv", "columns 'target' and 'class' could each be the label"),
        (
            "path,label\na.wav,1\nb.wav,0\n",
            ".csv",
            "label '1' of a.wav is no class; name that of 1 by --label_one bonafide or",
        ),
        ("path,label\na.wav,2\nb.wav,0\n", ".csv", "label '2' of a.wav is none of bonafide, genuine"),
        ("path,split\na.wav,held\n", ".csv", "split 'held' of a.wav is none of train, training"),
    ],
)
def test_what_cannot_be_understood_is_named(tmp_path, text, suffix, message):
    with pytest.raises(CorpusError, match=message):
        tables.load(written(tmp_path, text, suffix))


@pytest.mark.parametrize("name", ["file_name", "file", "filename", " Path ", "utterance", "ID"])
@pytest.mark.parametrize("label", ["Label", " target", "class"])
def test_other_names_of_columns(tmp_path, capsys, name, label):
    table = tables.load(written(tmp_path, f"{name},{label},Speaker\na.wav,REAL,x\nb.wav,Fake,y\n"))
    assert table[["path", "label", "speaker"]].to_numpy().tolist() == [
        ["a.wav", "bonafide", "x"],
        ["b.wav", "spoof", "y"],
    ]
    printed = capsys.readouterr().err
    assert f"2 rows; path from column {name.strip()!r}, label from column {label.strip()!r}" in printed
    assert "(REAL: bonafide, Fake: spoof)" in printed


@pytest.mark.parametrize(
    "words", [("bona-fide", "spoofed"), ("Genuine", "SPOOF"), ("real ", "fake"), ("Bona Fide", "spoof")]
)
def test_other_words_for_the_classes(tmp_path, words):
    table = tables.load(written(tmp_path, f"path,label\na.wav,{words[0]}\nb.wav,{words[1]}\n"))
    assert table["label"].tolist() == ["bonafide", "spoof"]


@pytest.mark.parametrize(("one", "labels"), [("bonafide", ["bonafide", "spoof"]), ("spoof", ["spoof", "bonafide"])])
@pytest.mark.parametrize("values", [("1", "0"), ("1.0", "0.0"), ("True", "False")])
def test_one_and_zero_mean_what_label_one_names(tmp_path, one, labels, values):
    path = written(tmp_path, f"path,label\na.wav,{values[0]}\nb.wav,{values[1]}\n")
    assert tables.load(path, one)["label"].tolist() == labels


def test_subsets_by_other_names(tmp_path):
    words = ["training", "val", "Valid", "validation", "test", "testing", "evaluation", ""]
    rows = "".join(f"{number}.wav,{word}\n" for number, word in enumerate(words))
    expected = ["train", "dev", "dev", "dev", "eval", "eval", "eval", ""]
    assert tables.load(written(tmp_path, "path,Subset\n" + rows))["split"].tolist() == expected
    table = tables.load(written(tmp_path, "path,class,subset\na.wav,tenor,progress\nb.wav,real,eval\n"))
    assert table["class"].tolist() == ["tenor", "real"]
    assert table["subset"].tolist() == ["progress", "eval"]
    assert not {"label", "split"} & set(table)


def test_missing_values_in_columns_of_parquet(tmp_path):
    table = pd.DataFrame({"path": ["a.wav", "b.wav"], "label": pd.array([True, False], "boolean")})
    table["codec"] = pd.Categorical([None, "mp3"])
    table["phone"] = pd.array([None, 3], "Int64")
    table["clean"] = pd.array([None, True], "boolean")
    table.to_parquet(tmp_path / "list.parquet")
    read = tables.load(tmp_path / "list.parquet", "spoof")
    assert read.to_numpy().tolist() == [["a.wav", "spoof", "", "", ""], ["b.wav", "bonafide", "mp3", "3", "True"]]
