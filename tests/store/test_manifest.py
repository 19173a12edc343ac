"""The Manifest's checks."""

import pandas as pd
import pytest

from pipeline.errors import CorpusError
from pipeline.store import manifest
from tests.support.made_manifest import table


def test_missing_columns_are_empty_and_bonafide_has_no_attack():
    made = manifest.make([{"path": "a", "label": "bonafide"}, {"path": "b", "label": "spoof"}], corpus="made")
    assert list(made.columns) == list(manifest.COLUMNS)
    assert list(made["attack"]) == ["-", ""]
    assert list(made["utterance_id"]) == ["a", "b"]


def test_columns_of_preprocessing_are_left_out_with_a_warning(capsys):
    row = {"path": "a", "label": "spoof", "duration_s": 1.0, "file_format": "wav"}
    assert list(manifest.make([row], corpus="made").columns) == list(manifest.COLUMNS)
    assert "made: preprocessing fills duration_s, file_format itself" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"path": "a", "label": "genuine"}, "label 'genuine' is none of"),
        ({"path": "a", "label": "spoof", "split": "test"}, "split 'test' is none of"),
    ],
)
def test_values_that_are_not_allowed_are_named(row, message):
    with pytest.raises(CorpusError, match=message):
        manifest.make([row], corpus="made")


def test_doubled_identifier_is_named():
    rows = [{"path": p, "label": "spoof", "utterance_id": "x"} for p in "ab"]
    with pytest.raises(CorpusError, match="'x' occurs more than once"):
        manifest.make(rows, corpus="made")


def test_empty_corpus_and_missing_column():
    with pytest.raises(CorpusError, match="no utterances"):
        manifest.make([], corpus="made")
    with pytest.raises(CorpusError, match="'label' is missing"):
        manifest.make([{"path": "a"}], corpus="made")


def test_conditions_are_the_columns_that_vary_and_make_groups():
    made = table().assign(
        codec="none",
        environment=lambda t: t["speaker"],
        transcript=lambda t: "says " + t["utterance_id"],
        file_format=lambda t: t["speaker"],
    )
    assert manifest.conditions(made) == ["environment"]


def test_patterns_name_attacks():
    attacks = pd.Series(["-", "E00-P01-R00", "E00-P05-R00", "E01-P11-R01"])
    assert manifest.matching(attacks, "E00-P0[1-4]-*, E01-*").tolist() == [False, True, False, True]
    assert manifest.matching(attacks, "*0-P0[1-4]-*, *1-P1?-*").tolist() == [False, True, False, True]
    assert manifest.matching(attacks, "E00").tolist() == [False] * 4
    assert manifest.matching(attacks, "").tolist() == [False] * 4
    assert manifest.matching(pd.Series(["", "E01-P11-R01"]), ", E01-*").tolist() == [False, True]
