"""Splits take their shares and keep speakers and equal audio in one subset."""

import numpy as np
import pytest

from pipeline.errors import CorpusError
from pipeline.store import splits
from tests.support.made_manifest import table


def test_speaker_split_is_disjoint_and_takes_its_shares():
    split = splits.assign(table(), "speaker", seed=1)
    assert split.groupby("speaker")["split"].nunique().max() == 1
    shares = split["split"].value_counts(normalize=True)
    assert shares["eval"] == pytest.approx(0.2, abs=0.05)
    assert shares["dev"] == pytest.approx(0.16, abs=0.05)
    assert (split.groupby("split")["label"].nunique() == 2).all()


def test_stratified_split_takes_exact_shares_of_each_label():
    split = splits.assign(table(), "stratified", seed=1)
    counts = split.groupby(["split", "label"]).size()
    assert counts["eval"].tolist() == [20, 20]
    assert counts["dev"].tolist() == [16, 16]
    assert split.groupby("speaker")["split"].nunique().max() > 1


def test_split_depends_only_on_the_seed():
    first, again, other = (splits.assign(table(), "speaker", seed=s)["split"] for s in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def test_equal_audio_is_never_in_two_subsets():
    made = table()
    made["sha256"] = np.arange(len(made)) // 4
    made["sha256"] = made["sha256"].astype(str)
    split = splits.assign(made, "stratified", seed=1)
    assert split.groupby("sha256")["split"].nunique().max() == 1


def test_split_none_makes_everything_eval():
    assert set(splits.assign(table(), "none", seed=0)["split"]) == {"eval"}


def test_unknown_speaker_cannot_be_split_by_speaker():
    made = table()
    made.loc[3, "speaker"] = ""
    with pytest.raises(CorpusError, match=r"/0/3\.wav.*split_by=stratified"):
        splits.assign(made, "speaker", seed=1)


@pytest.mark.parametrize(("given", "expected"), [(["train", "dev", "eval"], "official"), (["train", "dev"], "speaker")])
def test_auto_is_official_if_all_three_subsets_exist(given, expected):
    made = table()
    made["split"] = [given[i % len(given)] for i in range(len(made))]
    assert splits.resolve(made, "auto") == expected


def test_official_needs_all_three_subsets():
    made = table().assign(split="eval")
    with pytest.raises(CorpusError, match=r"utterances read have eval.*split_by=speaker"):
        splits.resolve(made, "official")
