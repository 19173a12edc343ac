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
    for split_by in ("auto", "speaker"):
        with pytest.raises(CorpusError, match=r"/0/3\.wav.*split_by=stratified"):
            splits.resolve(made, split_by)  # before anything is decoded
    assert splits.resolve(made, "auto", otherwise="none") == "none"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["train", "dev", "eval"], "official"),
        (["eval"], "official"),
        (["dev", "eval"], "official"),
        (["train", "eval"], "official+speaker"),
        (["train", "dev"], "official+speaker"),
        (["", "eval"], "official+speaker"),
        (["train", "dev", "eval", ""], "official+speaker"),
        (["train"], "speaker"),
        ([""], "speaker"),
    ],
)
def test_auto_keeps_what_is_held_out(given, expected):
    made = table()
    made["split"] = [given[i % len(given)] for i in range(len(made))]
    assert splits.resolve(made, "auto") == expected
    assert splits.resolve(made, "speaker") == "speaker"
    if expected != "speaker":
        assert splits.resolve(made, "official") == expected


@pytest.mark.parametrize(("train", "missing"), [("train", "dev"), ("", "dev"), ("train", "eval")])
def test_a_missing_subset_is_drawn_from_train_by_speaker(train, missing):
    made = table()
    held_out = {"dev": "eval", "eval": "dev"}[missing]
    made["split"] = np.where(np.arange(len(made)) % 3, train, held_out)
    split = splits.assign(made, splits.resolve(made, "auto"), seed=1)
    assert split.drop(columns="split").equals(made.drop(columns="split"))
    assert (split["split"] == held_out).equals(made["split"] == held_out)
    drawn = split[split["split"] != held_out]
    assert drawn.groupby("speaker")["split"].nunique().max() == 1
    assert drawn["split"].value_counts(normalize=True)[missing] == pytest.approx(0.2, abs=0.05)


def test_a_missing_subset_is_drawn_at_random_with_a_warning_if_speakers_are_unknown(capsys):
    made = table().assign(speaker="")
    made["split"] = np.where(np.arange(len(made)) % 3, "train", "eval")
    resolved = splits.resolve(made, "auto")
    assert resolved == "official+stratified"
    assert "dev is drawn from train at random, as speakers are unknown" in capsys.readouterr().err
    split = splits.assign(made, resolved, seed=1)
    assert (split["split"] == "eval").equals(made["split"] == "eval")
    assert set(split["split"]) == {"train", "dev", "eval"}


def test_few_speakers_still_give_a_dev():
    made = table()[lambda t: t["speaker"].isin(t["speaker"].unique()[:3])].assign(split="train")
    made.loc[made.index[:2], "split"] = "eval"
    assert "dev" in set(splits.assign(made, "official+speaker", seed=0)["split"])


def test_official_needs_dev_or_eval():
    made = table().assign(split="train")
    with pytest.raises(CorpusError, match=r"needs dev or eval; the utterances read have train.*split_by=speaker"):
        splits.resolve(made, "official")
