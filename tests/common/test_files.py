"""JSON under its own checksum: what goes in comes out, and nothing else does. Folders that are replaced at once.

Files that processes append to.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline.common import files

VALUES = {"name": "a", "threshold": 0.1 + 0.2, "points": {"eer": [1, 2]}, "none": None}


def test_round_trip_and_another_layout_of_the_same_values(tmp_path):
    path = tmp_path / "index.json"
    files.write_sealed(path, VALUES)
    values = files.read_sealed(path)
    assert {**VALUES, files.SEAL: values[files.SEAL]} == values
    path.write_text(json.dumps(dict(reversed(values.items()))))
    assert files.read_sealed(path) == values
    files.write_sealed(path, values)
    assert files.read_sealed(path) == values
    assert [one.name for one in tmp_path.iterdir()] == ["index.json"]


@pytest.mark.parametrize("change", [{"threshold": 0.3}, {"more": 1}, {files.SEAL: "0"}])
def test_what_was_not_written_is_refused(tmp_path, change):
    path = tmp_path / "index.json"
    files.write_sealed(path, VALUES)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(files.BrokenSealError, match="damaged or was changed"):
        files.read_sealed(path)


def test_a_list_is_no_index_and_a_file_without_a_checksum_is_read(tmp_path):
    path = tmp_path / "index.json"
    path.write_text("[]")
    with pytest.raises(files.BrokenSealError, match="list in place of names and values"):
        files.read_sealed(path)
    path.write_text('{"a": 1}')
    assert files.read_sealed(path) == {"a": 1}


def _replace(folder: Path, text: str) -> None:
    with files.whole_folder(folder) as unfinished:
        (unfinished / "it").write_text(text)


def test_a_kill_after_any_rename_leaves_a_whole_folder_in_its_place(tmp_path, monkeypatch):
    folder, rename = tmp_path / "model", Path.rename

    def killed(path: Path, target: Path) -> None:
        rename(path, target)
        raise KeyboardInterrupt

    _replace(folder, "first")
    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(Path, "rename", killed)
        _replace(folder, "second")
    assert (folder / "it").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_is_replaced_where_names_cannot_be_exchanged(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    for text in ("first", "second"):
        _replace(tmp_path / "model", text)
        assert (tmp_path / "model" / "it").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def _append_many(path, name):
    for number in range(200):
        files.append(path, f"{name} {number}\n{name} {number}\n", header="head\n", max_bytes=2000)


def test_processes_share_an_appended_file_that_stays_small(tmp_path):
    path = tmp_path / "log"
    with ThreadPoolExecutor(4) as threads:  # a lock belongs to an opened file, so threads contend as processes do
        list(threads.map(_append_many, [path] * 4, "abcd"))
    for file in (path, tmp_path / "log.1"):
        head, *lines = file.read_text().splitlines()
        assert head == "head"
        assert lines[::2] == lines[1::2], "two lines of one call are apart"
        assert 0 < file.stat().st_size <= 2000
    assert len(list(tmp_path.iterdir())) == 2
    kept = tmp_path / "whole"
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: files.append(kept, f"{n}\n", header="h\n"), range(500)))
    assert sorted(map(int, kept.read_text().split()[1:])) == list(range(500))
