"""Walks of folders: links followed once, circles named, unreadable folders refused."""

import os
from pathlib import Path

import pytest

from pipeline.common import walk
from pipeline.corpora import listing
from pipeline.errors import CorpusError
from pipeline.scoring import inputs


@pytest.fixture
def linked(tmp_path) -> Path:
    """``top`` with a.wav, a linked folder with b.wav, and links that lead back or nowhere."""
    for name in ("top/inside/a.wav", "elsewhere/b.wav"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    top = tmp_path / "top"
    for name, target in (("away", "elsewhere"), ("again", "elsewhere"), ("up", ""), ("inside/self", "top/inside")):
        (top / name).symlink_to(tmp_path / target)
    (top / "circle.wav").symlink_to("circle.wav")
    (top / "dead.wav").symlink_to("gone.wav")
    return top


def test_links_are_followed_once_and_the_rest_is_named(linked):
    left: list[tuple[str, str]] = []
    found = {os.path.relpath(path, linked) for path in walk.files(linked, left)}
    assert found == {"inside/a.wav", "again/b.wav"}
    reasons = {os.path.relpath(path, linked): reason for path, reason in left}
    assert reasons.pop("circle.wav") == reasons.pop("dead.wav") == "a link to nothing"
    assert reasons == {
        "away": f"leads to {linked / 'again'}, which is read once",
        "up": f"leads to {linked.parent}, which is read once",
        "inside/self": f"leads to {linked / 'inside'}, which is read once",
    }


def test_a_folder_to_score_and_the_lists_of_corpora_use_it(linked, capsys):
    assert [Path(found.path).name for found in inputs.find([str(linked)])] == ["b.wav", "a.wav"]
    assert f"leads to {linked.parent}, which is read once: {linked / 'up'}" in capsys.readouterr().err
    audio, rejected = listing.audio_in([linked])
    assert set(audio) == {"a", "b"}
    assert len(rejected) == 5
    assert listing.every(linked.parent, "inside") == [linked / "inside"]


def test_a_pattern_of_any_depth_reads_each_folder_once(linked, capsys):
    found = inputs.find([f"{linked}/**/*.wav"])
    assert sorted(os.path.relpath(recording.path, linked) for recording in found) == ["away/b.wav", "inside/a.wav"]
    assert f"leads to {linked}/inside, which is read once: {linked}/inside/self" in capsys.readouterr().err


def test_an_unreadable_folder_is_an_error(linked, monkeypatch):
    def refuse(place):
        raise PermissionError(13, "Permission denied", place)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(CorpusError, match=r"top: the folder cannot be read \(Permission denied\); allow it"):
        inputs.find([str(linked)])
