"""What scored trials amount to: figures over all of them and by group, on tables small enough to count by hand."""

import numpy as np
import pandas as pd
import pytest

from pipeline import bootstrap, metrics
from pipeline.assessment import FEW_TRIALS, assess
from pipeline.metrics import MetricError


def table(rows) -> pd.DataFrame:
    """Trials from (attack, speaker, logit); calibrated scores are twice the logit."""
    frame = pd.DataFrame(rows, columns=["attack", "speaker", "logit"])
    frame["label"] = np.where(frame["attack"] == "-", "bonafide", "spoof")
    frame["utterance_id"] = [f"E_{i:07d}" for i in range(len(frame))]
    return frame.assign(score=2 * frame["logit"])


TRIALS = table(
    [("-", f"S{i % 4}", x) for i, x in enumerate([3.0, 2, 1.5, 1, 0.5, -0.5, 2.5, 4])]
    + [("A01", f"S{i % 2}", x) for i, x in enumerate([-3.0, -2, -1, -4])]
    + [("A07", "S9", x) for x in [1.2, -0.2, 0.7]]
    + [("", "", -1.0)]
)
LABELS = (TRIALS["label"] == "bonafide").to_numpy()


def groups(evaluation) -> dict:
    return {group.name: group for group in evaluation.groups}


def test_the_subset_is_measured_on_calibrated_scores_and_the_loss_on_logits():
    found = assess(TRIALS, subset="eval", threshold=0.8, heard={"A01", "-"}).metrics
    expected = metrics.summary(TRIALS["score"].to_numpy(), LABELS, threshold=0.8, logits=TRIALS["logit"].to_numpy())
    assert {name: found[name] for name in expected} == expected
    assert found["eer_low"] <= found["eer"] <= found["eer_high"]


def test_groups_are_spoof_of_one_kind_against_all_bonafide():
    found = groups(assess(TRIALS, subset="eval", threshold=0.0, heard={"A01", "-"}))
    assert list(found) == ["A01", "A07", "unknown", "seen", "unseen"]
    for name, attacks, seen, trials, speakers in (
        ("A01", ["A01"], True, 4, 2),
        ("A07", ["A07"], False, 3, 1),
        ("unknown", [""], None, 1, 0),
        ("seen", ["A01"], True, 4, 2),
        ("unseen", ["A07"], False, 3, 1),
    ):
        group = found[name]
        kept = TRIALS[LABELS | TRIALS["attack"].isin(attacks)]
        assert (group.seen, group.trials, group.speakers) == (seen, trials, speakers)
        assert group.eer == metrics.eer(kept["score"].to_numpy(), (kept["label"] == "bonafide").to_numpy())
        assert group.eer_low <= group.eer_high


def test_small_groups_are_marked():
    many = table([("-", "S1", 1.0), ("-", "S2", 1.0)] + [("A01", "S3", 0.0)] * FEW_TRIALS + [("A02", "S3", 0.0)])
    found = groups(assess(many, subset="eval", threshold=0.0, heard=set()))
    assert (found["A01"].note, found["A02"].note) == ("", "few trials")


def test_where_training_is_not_known_no_attack_is_seen_or_unseen():
    found = assess(TRIALS, subset="eval", threshold=0.0, heard=None).groups
    assert {(group.name, group.seen) for group in found} == {("A01", None), ("A07", None), ("unknown", None)}


def test_metric_names():
    found = assess(TRIALS, subset="eval", threshold=0.0, heard={"A01"}).named()
    whole = {"loss", "accuracy", "precision", "recall", "f1", "auc", "eer", "min_dcf", "act_dcf", "cllr"}
    rates = {"eer", "eer_low", "eer_high"}
    stems = {"", "attack/A01/", "attack/A07/", "attack/unknown/", "seen/", "unseen/"}
    assert set(found) == {f"eval/{m}" for m in whole} | {f"eval/{stem}{rate}" for stem in stems for rate in rates}


def test_attack_names_become_keys_that_mlflow_takes_and_stay_apart():
    rows = [("-", "S1", 1.0), ("-", "S2", 1.0)] + [(name, "S3", 0.0) for name in ("a/b", "a+b", "..", "ü 1", "A-1.x")]
    found = assess(table(rows), subset="eval", threshold=0.0, heard=None).named()
    keys = [key.split("/")[2] for key in found if key.startswith("eval/attack/") and key.endswith("/eer")]
    assert sorted(keys) == ["A-1.x", "_", "_ 1", "a_b", "a_b_"]


@pytest.mark.parametrize(("label", "right"), [("bonafide", 7 / 8), ("spoof", 6 / 8)])
def test_one_class_has_a_loss_an_accuracy_and_a_note(label, right):
    found = assess(TRIALS[TRIALS["label"] == label], subset="dev", threshold=0.0, heard=None)
    assert found.note == f"one class only: {label}"
    assert set(found.metrics) == {"loss", "accuracy"}
    assert found.metrics["accuracy"] == right
    assert found.groups == ()
    assert set(found.named()) == {"dev/loss", "dev/accuracy"}


def test_a_single_clip_is_no_crash():
    assert assess(TRIALS[:1], subset="dev", threshold=0.0, heard=None).note == "one class only: bonafide"


def test_no_clips_are_said_to_be_none():
    found = assess(TRIALS[:0], subset="dev", threshold=0.0, heard=None)
    assert (found.note, found.metrics, found.groups) == ("no clips", {}, ())


def test_scores_that_are_no_numbers_are_an_error():
    with pytest.raises(MetricError, match="not finite"):
        assess(TRIALS.assign(score=np.nan), subset="dev", threshold=0.0, heard=None)


def test_the_interval_is_over_speakers_and_a_clip_of_unknown_speaker_stands_for_itself():
    rng = np.random.default_rng(0)
    shift = 2 * rng.normal(size=10)
    rows = [("-" if i % 2 else "A01", f"S{i % 10}", rng.normal() + 2 * (i % 2) + shift[i % 10]) for i in range(400)]
    known = table(rows)
    unknown = known.assign(speaker="")
    by_speaker, by_clip = (assess(t, subset="eval", threshold=0.0, heard=None).metrics for t in (known, unknown))
    scores, labels = known["score"].to_numpy(), (known["label"] == "bonafide").to_numpy()
    expected = bootstrap.eer_interval(scores, labels, known["speaker"].to_numpy(str))
    assert (by_speaker["eer_low"], by_speaker["eer_high"]) == expected
    expected = bootstrap.eer_interval(scores, labels)
    assert (by_clip["eer_low"], by_clip["eer_high"]) == pytest.approx(expected, abs=0.01)


def test_one_speaker_has_no_interval():
    found = assess(TRIALS.assign(speaker="S1"), subset="eval", threshold=0.0, heard=None)
    assert "eer" in found.metrics
    assert "eer_low" not in found.metrics
    assert found.groups[0].eer_low is None
    assert "eval/attack/A01/eer_low" not in found.named()
