"""Folders of the user's own recordings."""

import os
from pathlib import Path

import pytest

from pipeline import corpora
from pipeline.config import CorpusConfig
from pipeline.errors import CorpusError


def read(root: Path, parts: str = ""):
    return corpora.read(CorpusConfig(corpus="folder", data_dir=str(root), parts=parts))


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize(("good", "bad"), [("bonafide", "spoof"), ("genuine", "fake"), ("real", "spoof")])
def test_folder_names_give_labels_and_attacks(tmp_path, good, bad):
    table, rejected = read(touch(tmp_path / "d", f"{good}/x/a.wav", f"{bad}/tts/b.flac", f"{bad}/c.MP3"))
    rows = table.set_index(table["path"].map(lambda p: Path(p).name))
    assert rejected == []
    assert rows["label"].to_dict() == {"a.wav": "bonafide", "b.flac": "spoof", "c.MP3": "spoof"}
    assert rows["attack"].to_dict() == {"a.wav": "-", "b.flac": "tts", "c.MP3": "unknown"}
    assert set(table["split"]) == {""}


def test_splits_above_the_classes(tmp_path):
    names = [f"{s}/{c}/a.wav" for s in ("train", "dev", "eval") for c in ("bonafide", "spoof")]
    table, _ = read(touch(tmp_path / "d", *names))
    assert sorted(table["split"]) == ["dev", "dev", "eval", "eval", "train", "train"]
    assert set(read(tmp_path / "d", parts="dev")[0]["split"]) == {"dev"}


def test_other_words_for_classes_and_subsets(tmp_path):
    names = [f"{s}/{c}/a.wav" for s in ("Training", "valid", "testing") for c in ("Bona-fide", "SPOOFED")]
    table, _ = read(touch(tmp_path / "d", *names))
    assert sorted(table["split"]) == ["dev", "dev", "eval", "eval", "train", "train"]
    table, _ = read(touch(tmp_path / "e", "real/test/a.wav", "fake/test/tts/b.wav", "real/c.wav", "fake/tts/d.wav"))
    assert table["split"].tolist() == ["eval", "", "", "eval"]
    assert table["attack"].tolist() == ["tts", "tts", "-", "-"]


def test_folders_that_are_not_understood_are_named(tmp_path, capsys):
    names = ["train/bonafide/a.wav", "train/spoof/b.wav", "train/other/c.wav", "holdout/spoof/d.wav", "e.wav", "README"]
    table, rejected = read(touch(tmp_path / "d", *names))
    assert len(table) == 2
    assert {Path(r.path).name: r.reason for r in rejected} == {
        "other": "a folder that names neither a class nor a subset",
        "holdout": "a folder that names neither a class nor a subset",
        "e.wav": "in the folder of no class, so its label is unknown",
        "README": "suffix '' is not that of audio",
    }
    assert "warning: left out, as they name neither a class nor a subset: " in capsys.readouterr().err
    with pytest.raises(CorpusError, match=r"spoof; expected .*; 1 a folder that names neither .*: .*speech"):
        read(touch(tmp_path / "e", "bonafide/a.wav", "speech/b.wav"))


def test_linked_folders_are_read_and_circles_named(tmp_path):
    root = touch(tmp_path / "d", "bonafide/a.wav")
    touch(tmp_path / "elsewhere", "tts/b.wav")
    (root / "spoof").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "up").symlink_to(root)
    (root / "fake").symlink_to(root)
    table, rejected = read(root)
    assert table["attack"].tolist() == ["-", "tts"]
    assert {Path(r.path).name for r in rejected} == {"up", "fake"}


def test_other_files_are_listed(tmp_path):
    _, rejected = read(touch(tmp_path / "d", "bonafide/a.wav", "spoof/b.wav", "spoof/notes.txt"))
    assert [(Path(r.path).name, r.reason) for r in rejected] == [("notes.txt", "suffix '.txt' is not that of audio")]


def test_a_name_that_is_not_utf8_is_listed(tmp_path):
    root = touch(tmp_path / "d", "bonafide/a.wav", "spoof/b.wav")
    (root / "spoof" / os.fsdecode(b"\xff.wav")).touch()
    table, rejected = read(root)
    assert len(table) == 2
    assert rejected[0].reason == "its name is not UTF-8 text; rename it"
    rejected[0].path.encode("utf-8")


def test_one_class_is_read_with_a_warning_and_none_is_an_error(tmp_path, capsys):
    table, _ = read(touch(tmp_path / "d", "bonafide/a.wav"))
    assert table["label"].tolist() == ["bonafide"]
    assert "warning: folder holds only bonafide; join it" in capsys.readouterr().err
    with pytest.raises(CorpusError, match=r"no recordings of class bonafide, spoof; expected folders"):
        read(touch(tmp_path / "e", "voices/a.wav"))
