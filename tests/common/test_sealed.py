"""JSON under its own checksum: what goes in comes out, and nothing else does."""

import json

import pytest

from pipeline.common import sealed

VALUES = {"name": "a", "threshold": 0.1 + 0.2, "points": {"eer": [1, 2]}, "none": None}


def test_round_trip_and_another_layout_of_the_same_values(tmp_path):
    path = tmp_path / "index.json"
    sealed.write(path, VALUES)
    values = sealed.read(path)
    assert {**VALUES, sealed.SEAL: values[sealed.SEAL]} == values
    path.write_text(json.dumps(dict(reversed(values.items()))))
    assert sealed.read(path) == values
    sealed.write(path, values)
    assert sealed.read(path) == values
    assert [one.name for one in tmp_path.iterdir()] == ["index.json"]


@pytest.mark.parametrize("change", [{"threshold": 0.3}, {"more": 1}, {sealed.SEAL: "0"}])
def test_what_was_not_written_is_refused(tmp_path, change):
    path = tmp_path / "index.json"
    sealed.write(path, VALUES)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(sealed.BrokenSealError, match="damaged or was changed"):
        sealed.read(path)


def test_a_list_is_no_index_and_a_file_without_a_checksum_is_read(tmp_path):
    path = tmp_path / "index.json"
    path.write_text("[]")
    with pytest.raises(sealed.BrokenSealError, match="list in place of names and values"):
        sealed.read(path)
    path.write_text('{"a": 1}')
    assert sealed.read(path) == {"a": 1}
