"""Spoofed segments: cells of a table, their errors, and what a Store says of them."""

import numpy as np
import pandas as pd
import pytest

from pipeline import corpora
from pipeline.config import SAMPLE_RATE_HZ, CorpusConfig
from pipeline.errors import CorpusError
from pipeline.store import manifest, segments
from pipeline.store.build import build
from pipeline.store.store import Store
from tests.support.recordings import encoded


def test_cells_and_segments_are_inverse():
    found = segments.parse("0.5; 2", "1.25;3.5")
    assert found == ((0.5, 1.25), (2.0, 3.5))
    assert segments.cells(found) == {"spoof_start_s": "0.5;2", "spoof_end_s": "1.25;3.5"}
    assert segments.parse("", " ") == ()


@pytest.mark.parametrize(
    ("label", "start", "end", "message"),
    [
        ("spoof", "1;2", "1.5", "has 2 starts and 1 ends"),
        ("spoof", "1", "x", "is no number"),
        ("spoof", "2", "1", "has 2 to 1 s after 0 s"),
        ("spoof", "0;1", "2;3", "has 1 to 3 s after 2 s"),
        ("spoof", "-1", "1", "has -1 to 1 s"),
        ("spoof", "nan", "1", "has nan to 1 s"),
        ("spoof", "0", "inf", "has 0 to inf s"),
        ("bonafide", "0", "1", "in a recording labelled bonafide; label it spoof, or empty both"),
    ],
)
def test_impossible_segments_are_errors_that_show_the_cells(label, start, end, message):
    row = {"path": "a.wav", "label": label, "spoof_start_s": start, "spoof_end_s": end}
    with pytest.raises(CorpusError, match=r"^a.wav: spoof_start_s .* and spoof_end_s ") as raised:
        manifest.make([row], corpus="table")
    assert message in str(raised.value)


def test_one_column_needs_the_other():
    with pytest.raises(CorpusError, match="column 'spoof_end_s' is missing beside 'spoof_start_s'"):
        manifest.make([{"path": "a.wav", "label": "spoof", "spoof_start_s": "1"}], corpus="table")


def test_a_table_gives_its_segments_to_the_store(tmp_path, smoke):
    rows = [
        ("a", "bonafide", "", ""),
        ("b", "spoof", "0.5;1.5", "1;9"),
        ("c", "spoof", "", ""),
        ("d", "spoof", "5", "6"),
    ]
    for number, (name, *_) in enumerate(rows):
        wave = np.sin(np.arange(2 * SAMPLE_RATE_HZ) * (0.1 + 0.01 * number)) / 2
        (tmp_path / f"{name}.wav").write_bytes(encoded(wave))
    table = pd.DataFrame(rows, columns=["path", "label", "Spoof start s", "spoof_end_s"])
    table.assign(path=table["path"] + ".wav").to_csv(tmp_path / "t.csv", index=False)
    found, rejected = corpora.read(CorpusConfig(corpus="table", data_dir=str(tmp_path / "t.csv")))
    build(found, rejected, smoke, tmp_path / "store", name="table", split_by="none", key="")
    store = Store.open(tmp_path / "store")
    assert store.has_segments
    assert {row.utterance_id: store.segments(row.Index) for row in store.manifest.itertuples()} == {
        "a.wav": (),
        "b.wav": ((0.5, 1.0), (1.5, 2.0)),
        "c.wav": (),
    }
    assert "spoof_start_s lies behind its end: 5 in 2 s" in (store.folder / "rejected.csv").read_text()
    assert "spoof_start_s" not in manifest.conditions(store.manifest)


def test_stores_without_the_columns_list_none(synthetic_store):
    assert not synthetic_store.has_segments
    assert synthetic_store.segments(0) == ()


def test_joined_corpora_leave_the_cells_of_others_empty():
    listed = manifest.make(
        [{"path": "a", "label": "spoof", "spoof_start_s": "1", "spoof_end_s": "2"}], corpus="partialspoof"
    )
    other = manifest.make([{"path": "b", "label": "spoof"}], corpus="folder")
    joined = manifest.join({"x": listed, "y": other})
    assert list(joined["spoof_start_s"]) == ["1", ""]
