"""Hand-made trees of ASVspoof 2017: versions 1 and 2, nested and flat, and each kind of damage."""

import dataclasses
from pathlib import Path

import pytest

from pipeline import corpora
from pipeline.config import CorpusConfig
from pipeline.errors import CorpusError
from tests.support.asvspoof_tree import LINES, tree


def read(root: Path, parts: str = ""):
    return corpora.read(CorpusConfig(corpus="asvspoof2017", data_dir=str(root), parts=parts))


@pytest.mark.parametrize("version", ["V1", "V2"])
@pytest.mark.parametrize("nested", [False, True])
def test_labels_and_conditions_of_named_utterances(tmp_path, version, nested):
    table, rejected = read(tree(tmp_path / "data", version=version, nested=nested))
    rows = table.set_index("utterance_id")
    assert rejected == []
    assert len(rows) == 7
    genuine = rows.loc["T_1000001"]
    assert (genuine.label, genuine.attack, genuine.speaker, genuine.phrase) == ("bonafide", "-", "M0002", "S05")
    assert (genuine.environment, genuine.playback, genuine.recorder) == ("", "", "")
    spoof = rows.loc["E_1000002"]
    assert (spoof.label, spoof.attack, spoof.split) == ("spoof", "E18-P15-R19", "eval")
    assert (spoof.environment, spoof.playback, spoof.recorder) == ("E18", "P15", "R19")
    assert rows.loc["D_1000761"].split == "dev"
    assert Path(spoof.path).name == "E_1000002.wav"
    assert Path(spoof.path).is_file()


def test_parts_choose_what_is_read(tmp_path, capsys):
    table, _ = read(tree(tmp_path / "data"), parts="train,dev")
    assert set(table["split"]) == {"train", "dev"}
    assert "warning" not in capsys.readouterr().err


def test_only_eval_is_read_without_a_warning_unless_it_is_split(tmp_path, capsys):
    config = CorpusConfig(corpus="asvspoof2017", data_dir=str(tree(tmp_path / "data")), parts="eval")
    assert set(corpora.read(config)[0]["split"]) == {"eval"}
    assert "warning" not in capsys.readouterr().err
    corpora.read(dataclasses.replace(config, split_by="speaker"))
    assert "compares with no published result" in capsys.readouterr().err


def test_missing_and_unlisted_audio_are_listed(tmp_path):
    root = tree(tmp_path / "data")
    (root / "ASVspoof2017_V2_train" / "T_1001510.wav").unlink()
    (root / "ASVspoof2017_V2_dev" / "D_9999999.wav").touch()
    table, rejected = read(root)
    assert len(table) == 6
    reasons = {Path(r.path).name: r.reason for r in rejected}
    assert reasons["T_1001510.wav"] == "listed in ASVspoof2017_V2_train.trn.txt, but not there"
    assert reasons["D_9999999.wav"].startswith("not listed in ASVspoof2017_V2_dev.trl.txt")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "T_1000009.wav bonafide M0002 S05 - - -",
            r"train\.trn\.txt, line 4: key 'bonafide' is neither genuine nor spoof",
        ),
        ("T_1000009.wav genuine M0002 S05 - -", r"train\.trn\.txt, line 4: 6 columns instead of 7"),
        ("T_1000001.wav spoof M0002 S05 E1 P1 R1", r"line 4: T_1000001\.wav is listed twice"),
    ],
)
def test_damaged_lines_are_named(tmp_path, line, message):
    with pytest.raises(CorpusError, match=message):
        read(tree(tmp_path / "data", lines=LINES | {"train": [*LINES["train"], line]}))


def test_unlabelled_eval_of_version_1(tmp_path):
    root = tree(tmp_path / "data", version="V1", lines=LINES | {"eval": ["E_1000001.wav S03"]})
    with pytest.raises(CorpusError, match=r"no labels.*use version 2, or --parts train,dev"):
        read(root)
    assert len(read(root, parts="train,dev")[0]) == 5


def test_versions_are_never_mixed(tmp_path):
    tree(tmp_path / "data" / "new")
    tree(tmp_path / "data" / "old", version="V1")
    with pytest.raises(CorpusError, match="versions 1 and 2"):
        read(tmp_path / "data")


def test_errors_for_a_missing_part_and_a_wrong_folder_give_the_expected(tmp_path):
    root = tree(tmp_path / "data", lines={"train": LINES["train"], "dev": LINES["dev"]})
    with pytest.raises(CorpusError, match="folder ASVspoof2017_V2_eval is missing"):
        read(root)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match="no ASVspoof 2017 here"):
        read(tmp_path / "empty")
    with pytest.raises(CorpusError, match="no such file or folder"):
        read(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match="'test' is none of train, dev, eval"):
        read(root, parts="test")
