"""Lists of corpora that were cut, mixed up or written by a machine gone mad: a Manifest or a ``CorpusError``."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import corpora
from pipeline.config import CorpusConfig
from pipeline.errors import CorpusError, ProjectError
from pipeline.scoring import inputs
from pipeline.store import manifest

PROTOCOL = "".join(
    f"T_{number}.wav {'spoof' if number % 2 else 'genuine'} M{number % 3} S0{number % 5} "
    f"{'E01 P02 R03' if number % 2 else '- - -'}\n"
    for number in range(8)
).encode()
TABLE = "path,label,speaker,split\n" + "".join(
    f"T_{number}.wav,{'spoof' if number % 2 else 'bonafide'},s{number % 3},{manifest.SUBSETS[number % 3]}\n"
    for number in range(8)
)
ALLOWED = {"label": set(manifest.LABELS), "split": {*manifest.SUBSETS, ""}}


@st.composite
def broken(draw, sound: bytes) -> bytes:
    """A copy with one to four faults: bytes or lines changed, cut, doubled, swapped or made up."""
    text = sound
    for _ in range(draw(st.integers(1, 4))):
        lines = text.split(b"\n")
        at = draw(st.integers(0, max(len(text) - 1, 0)))
        line = draw(st.integers(0, len(lines) - 1))
        match draw(st.integers(0, 6)):
            case 0:
                text = text[:at] + draw(st.binary(min_size=1, max_size=6)) + text[at + 1 :]
            case 1:
                text = text[:at]
            case 2:
                text = b"\n".join([*lines[:line], lines[line], *lines[line:]])
            case 3:
                text = b"\n".join([*lines[:line], *lines[line + 1 :]])
            case 4:
                text = text[:at] + draw(st.text(max_size=8)).encode("utf-8", "surrogatepass") + text[at:]
            case 5:
                words = lines[line].split(b" ")
                lines[line] = b" ".join(draw(st.permutations(words)))
                text = b"\n".join(lines)
            case _:
                text = text.replace(b"\n", draw(st.sampled_from([b"\r\n", b"\r", b" ", b"\0", b"\x1e", b"\n\n"])))
    return text


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with what the sound lists name."""
    folder = tmp_path_factory.mktemp("fuzzed")
    (folder / "ASVspoof2017_V2_train").mkdir()
    for number in range(8):
        for place in (folder, folder / "ASVspoof2017_V2_train"):
            (place / f"T_{number}.wav").touch()
    return folder


def check(config: CorpusConfig) -> None:
    """The reader gives a Manifest that later stages can rely on, or names what is wrong."""
    try:
        table, rejected = corpora.read(config)
    except CorpusError:
        return
    manifest.check(table)
    for column, allowed in ALLOWED.items():
        assert set(table[column]) <= allowed
    assert table["path"].map(lambda path: Path(path).is_file()).all()
    assert all(one.path and one.reason for one in rejected)
    assert (table.loc[table["label"] == "bonafide", "attack"] == "-").all()


QUICK = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
LONG = settings(QUICK, max_examples=3000, derandomize=False)


@QUICK
@given(broken(PROTOCOL))
def test_protocols(place, text):
    (place / "ASVspoof2017_V2_train.trn.txt").write_bytes(text)
    check(CorpusConfig(corpus="asvspoof2017", data_dir=str(place), parts="train"))


@QUICK
@given(broken(TABLE.encode()), st.sampled_from([".csv", ".tsv"]))
def test_tables(place, text, suffix):
    path = place / f"list{suffix}"
    path.write_bytes(text)
    check(CorpusConfig(corpus="table", data_dir=str(path)))
    try:
        found = inputs.find([str(path)])
    except ProjectError:
        return
    assert found
    assert all(one.path and one.label in ("", *manifest.LABELS) for one in found)


@settings(QUICK, max_examples=30)
@given(st.data())
def test_parquet_tables(place, data):
    path = place / "list.parquet"
    pd.DataFrame({"path": [f"T_{n}.wav" for n in range(8)], "label": ["spoof", "bonafide"] * 4}).to_parquet(path)
    path.write_bytes(data.draw(broken(path.read_bytes())))
    check(CorpusConfig(corpus="table", data_dir=str(path)))


@pytest.mark.long
@pytest.mark.timeout(7200)
@LONG
@given(broken(PROTOCOL))
def test_many_protocols(place, text):
    (place / "ASVspoof2017_V2_train.trn.txt").write_bytes(text)
    check(CorpusConfig(corpus="asvspoof2017", data_dir=str(place), parts="train"))


@pytest.mark.long
@pytest.mark.timeout(7200)
@LONG
@given(broken(TABLE.encode()))
def test_many_tables(place, text):
    (place / "list.csv").write_bytes(text)
    check(CorpusConfig(corpus="table", data_dir=str(place / "list.csv")))
