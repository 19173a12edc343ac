"""The Manifest's checks and splits."""

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import CorpusError
from pipeline.store import manifest


def table(speakers: int = 20, clips: int = 10) -> pd.DataFrame:
    rows = [
        {"path": f"/{s}/{c}.wav", "label": "spoof" if c % 2 else "bonafide", "speaker": f"s{s}", "sha256": f"{s}-{c}"}
        for s in range(speakers)
        for c in range(clips)
    ]
    return manifest.make(rows, corpus="made")


def test_missing_columns_are_empty_and_bonafide_has_no_attack():
    made = manifest.make([{"path": "a", "label": "bonafide"}, {"path": "b", "label": "spoof"}], corpus="made")
    assert list(made.columns) == list(manifest.COLUMNS)
    assert list(made["attack"]) == ["-", ""]
    assert list(made["utterance_id"]) == ["a", "b"]


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


def test_speaker_split_is_disjoint_and_takes_its_shares():
    split = manifest.assign_splits(table(), "speaker", seed=1)
    assert split.groupby("speaker")["split"].nunique().max() == 1
    shares = split["split"].value_counts(normalize=True)
    assert shares["eval"] == pytest.approx(0.2, abs=0.05)
    assert shares["dev"] == pytest.approx(0.16, abs=0.05)
    assert (split.groupby("split")["label"].nunique() == 2).all()


def test_stratified_split_takes_exact_shares_of_each_label():
    split = manifest.assign_splits(table(), "stratified", seed=1)
    counts = split.groupby(["split", "label"]).size()
    assert counts["eval"].tolist() == [20, 20]
    assert counts["dev"].tolist() == [16, 16]
    assert split.groupby("speaker")["split"].nunique().max() > 1


def test_split_depends_on_the_seed_alone():
    first, again, other = (manifest.assign_splits(table(), "speaker", seed=s)["split"] for s in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def test_equal_audio_is_never_in_two_subsets():
    made = table()
    made["sha256"] = np.arange(len(made)) // 4
    made["sha256"] = made["sha256"].astype(str)
    split = manifest.assign_splits(made, "stratified", seed=1)
    assert split.groupby("sha256")["split"].nunique().max() == 1


def test_without_a_split_everything_is_eval():
    assert set(manifest.assign_splits(table(), "none", seed=0)["split"]) == {"eval"}


def test_unknown_speaker_cannot_be_split_by_speaker():
    made = table()
    made.loc[3, "speaker"] = ""
    with pytest.raises(CorpusError, match=r"/0/3\.wav.*split_by=stratified"):
        manifest.assign_splits(made, "speaker", seed=1)


@pytest.mark.parametrize(
    ("splits", "expected"), [(["train", "dev", "eval"], "official"), (["train", "dev"], "speaker")]
)
def test_auto_is_official_where_all_three_are_there(splits, expected):
    made = table()
    made["split"] = [splits[i % len(splits)] for i in range(len(made))]
    assert manifest.resolve_split_by(made, "auto") == expected


def test_official_needs_all_three():
    made = table().assign(split="eval")
    with pytest.raises(CorpusError, match=r"utterances read have eval.*split_by=speaker"):
        manifest.resolve_split_by(made, "official")


def test_conditions_are_the_columns_that_vary_and_make_groups():
    made = table().assign(
        codec="none", environment=lambda t: t["speaker"], transcript=lambda t: "says " + t["utterance_id"]
    )
    assert manifest.conditions(made) == ["environment"]


def test_patterns_name_attacks():
    attacks = pd.Series(["-", "E00-P01-R00", "E00-P05-R00", "E01-P11-R01"])
    assert manifest.matching(attacks, "E00-P0[1-4]-*, E01-*").tolist() == [False, True, False, True]
    assert manifest.matching(attacks, "E00").tolist() == [False] * 4
    assert manifest.matching(attacks, "").tolist() == [False] * 4
