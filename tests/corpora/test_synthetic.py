"""The synthetic corpus: quick, repeatable, and in the layout of ASVspoof 2017."""

import hashlib
from pathlib import Path

import pytest

from pipeline import corpora
from pipeline.config import CorpusConfig
from pipeline.corpora import synthetic
from pipeline.errors import CorpusError


def checksum(folder: Path) -> str:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return hashlib.sha256(b"".join(p.name.encode() + p.read_bytes() for p in files)).hexdigest()


def test_it_is_read_with_official_speaker_disjoint_splits(synthetic_corpus):
    table, rejected = corpora.read(CorpusConfig(corpus="synthetic", data_dir=str(synthetic_corpus)))
    assert rejected == []
    assert set(table["corpus"]) == {"synthetic"}
    assert table.groupby("speaker")["split"].nunique().max() == 1
    counts = table.groupby(["split", "label"]).size()
    assert counts["train"].to_dict() == {"bonafide": 30, "spoof": 90}
    assert table.loc[table["attack"] != "-", "attack"].nunique() == 3


def test_data_md_states_that_scores_mean_nothing(synthetic_corpus):
    assert "say nothing about real speech" in (synthetic_corpus / "DATA.md").read_text()


def test_two_builds_give_the_same_bytes(synthetic_corpus, tmp_path):
    synthetic.build(tmp_path / "again")
    assert checksum(tmp_path / "again") == checksum(synthetic_corpus)


def test_it_is_built_if_no_folder_is_given(tmp_path):
    table, _ = corpora.read(CorpusConfig(corpus="synthetic"))
    assert Path(table["path"][0]).is_relative_to(tmp_path / "artifacts" / "corpora")


def test_one_process_makes_it_and_another_is_told(monkeypatch):
    build = synthetic.build

    def meanwhile(folder: Path) -> None:
        with pytest.raises(CorpusError, match="synthetic-v1: another process is making it"):
            synthetic.ensure()
        build(folder)

    monkeypatch.setattr(synthetic, "build", meanwhile)
    folder = synthetic.ensure()
    assert synthetic.ensure() == folder
