"""Folders of one's own recordings."""

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


def test_what_is_no_audio_is_listed(tmp_path):
    _, rejected = read(touch(tmp_path / "d", "bonafide/a.wav", "spoof/b.wav", "spoof/notes.txt"))
    assert [(Path(r.path).name, r.reason) for r in rejected] == [("notes.txt", "suffix '.txt' is not that of audio")]


def test_a_name_that_is_no_text_is_listed(tmp_path):
    root = touch(tmp_path / "d", "bonafide/a.wav", "spoof/b.wav")
    (root / "spoof" / os.fsdecode(b"\xff.wav")).touch()
    table, rejected = read(root)
    assert len(table) == 2
    assert rejected[0].reason == "its name is not UTF-8 text; rename it"
    rejected[0].path.encode("utf-8")


def test_a_missing_class_is_named(tmp_path):
    with pytest.raises(CorpusError, match=r"no recordings of class spoof; expected folders"):
        read(touch(tmp_path / "d", "bonafide/a.wav"))
