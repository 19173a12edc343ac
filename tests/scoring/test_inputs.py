"""Inputs of ``score``: files, folders, patterns and tables, and what is left out."""

import os

import pytest

from pipeline.errors import ConfigError, CorpusError
from pipeline.scoring import inputs


@pytest.fixture
def many(tmp_path):
    """Twelve empty files named as recordings, and one that is none."""
    folder = tmp_path / "many"
    folder.mkdir()
    for name in [*(f"{number:02}.wav" for number in range(12)), "05b.wav"]:
        (folder / name).touch()
    return folder


def test_patterns_tables_and_doubles(many, tmp_path, capsys):
    (tmp_path / "list.tsv").write_text("path\tlabel\tattack\nmany/01.wav\tgenuine\t-\nmany/02.wav\tspoof\tA1\n")
    found = inputs.find([str(many / "0[12].wav"), str(tmp_path / "list.tsv"), str(many / "00.wav"), str(many)])
    assert [os.path.basename(recording.path) for recording in found][:4] == ["01.wav", "02.wav", "00.wav", "03.wav"]
    assert len(found) == 13
    assert [recording.label for recording in found][:3] == ["bonafide", "spoof", ""]
    assert "\nleft out 5, given before: " in capsys.readouterr().err
    (tmp_path / "other.csv").write_text("path,label\nmany/01.wav,spoof\n")
    found = inputs.find([str(tmp_path / "list.tsv"), str(tmp_path / "other.csv")])
    assert [recording.label for recording in found] == ["bonafide", "spoof"]
    assert "\nleft out 1, given before, with another label: " in capsys.readouterr().err
    (listed, attacked) = inputs.find([str(tmp_path / "list.tsv")])
    assert (listed.label, attacked.label, attacked.attack) == ("bonafide", "spoof", "A1")
    assert len(inputs.find([f"{tmp_path}/**/1*.wav"])) == 2
    with pytest.raises(ConfigError, match=r"nothing to score in .*nothing"):
        inputs.find([f"{tmp_path}/nothing*.wav"])
    (tmp_path / "bad.csv").write_text("path,label\na.wav,perhaps\n")
    with pytest.raises(CorpusError, match=r"label 'perhaps' of a\.wav is none of"):
        inputs.find([str(tmp_path / "bad.csv")])
    (tmp_path / "none.csv").write_text("speech\na.wav\n")
    with pytest.raises(CorpusError, match="column 'path' is missing; found speech"):
        inputs.find([str(tmp_path / "none.csv")])


def test_files_left_out_are_counted_and_named(many, capsys):
    for number in range(12):
        (many / f"n{number:02}.txt").touch()
    assert len(inputs.find([str(many)])) == 13
    printed = capsys.readouterr().err
    assert printed.startswith(f"left out 12, no suffix of a recording: {many}/n00.txt, ")
    assert printed.endswith("n09.txt and 2 more\n")
    assert len(inputs.find([str(many / "n00.txt"), str(many)])) == 14
    assert capsys.readouterr().err.startswith(f"left out 11, no suffix of a recording: {many}/n01.txt, ")


def test_a_pattern_stands_for_folders_too(many, capsys):
    inner = many / "inner"
    inner.mkdir()
    (inner / "a.flac").touch()
    assert [os.path.basename(recording.path) for recording in inputs.find([f"{many}/i*"])] == ["a.flac"]
    assert len(inputs.find([f"{many}/**"])) == 14
    assert capsys.readouterr().err == ""


def test_names_that_no_file_can_have_are_recordings_of_their_own():
    for name in ("n" * 5000, "~no one/a.wav", "a\0b.wav"):
        assert [recording.path for recording in inputs.find([name])] == [name]
    with pytest.raises(ConfigError, match="nothing to score in ~no one"):
        inputs.find(["~no one*/a.wav"])
