"""What scored trials amount to: figures over all of them and by group, on tables small enough to count by hand."""

import numpy as np
import pandas as pd
import pytest

from pipeline import metrics
from pipeline.metrics import MetricError, bootstrap
from pipeline.metrics.assessment import FEW_TRIALS, MOST_VALUES, assess


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
    return {group.name: group for group in evaluation.groups if group.kind in ("attack", "pool")}


def test_the_subset_is_measured_on_calibrated_scores_and_the_loss_on_logits():
    found = assess(TRIALS, subset="eval", threshold=0.8, trained_attacks={"A01", "-"}).metrics
    expected = metrics.summary(TRIALS["score"].to_numpy(), LABELS, threshold=0.8, logits=TRIALS["logit"].to_numpy())
    assert {name: found[name] for name in expected} == expected
    assert found["eer_low"] <= found["eer"] <= found["eer_high"]


def test_figures_of_raw_logits_need_logits():
    without, full = (
        assess(t, subset="eval", threshold=0.8, trained_attacks=None) for t in (TRIALS.drop(columns="logit"), TRIALS)
    )
    kept = {name: value for name, value in full.metrics.items() if not name.startswith("loss")}
    assert (without.metrics, without.uncalibrated) == (kept, {})


def test_groups_are_spoof_of_one_kind_against_all_bonafide():
    found = groups(assess(TRIALS, subset="eval", threshold=0.0, trained_attacks={"A01", "-"}))
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
    found = groups(assess(many, subset="eval", threshold=0.0, trained_attacks=set()))
    assert (found["A01"].note, found["A02"].note) == ("", "few trials")


def test_where_training_is_not_known_no_attack_is_seen_or_unseen():
    found = assess(TRIALS, subset="eval", threshold=0.0, trained_attacks=None).groups
    attacks = {(group.name, group.seen) for group in found if group.kind == "attack"}
    assert attacks == {("A01", None), ("A07", None), ("unknown", None)}
    assert not [group for group in found if group.kind == "pool"]


def test_metric_names():
    found = assess(TRIALS, subset="eval", threshold=0.0, trained_attacks={"A01"}).mlflow_metrics()
    whole = {"loss", "accuracy", "precision", "recall", "f1", "auc", "eer", "min_dcf", "act_dcf", "cllr"}
    rates = {"eer", "eer_low", "eer_high"}
    stems = {"attack/A01/", "attack/A07/", "attack/unknown/", "seen/", "unseen/"}
    stems |= {f"speaker/{name}/" for name in ("S0", "S1", "S2", "S3", "S9")}
    expected = {f"eval/{metric}{end}" for metric in whole for end in ("", "_low", "_high")}
    expected |= {f"eval/{stem}{rate}" for stem in stems for rate in rates}
    assert set(found) == expected | {"eval/uncalibrated/cllr", "eval/uncalibrated/act_dcf"}


def test_every_figure_lies_in_its_interval():
    found = assess(TRIALS, subset="eval", threshold=0.8, trained_attacks=None).metrics
    for name in ("loss", "accuracy", "precision", "recall", "f1", "auc", "eer", "act_dcf", "cllr"):
        assert found[f"{name}_low"] <= found[name] <= found[f"{name}_high"], name


CONDITIONS = TRIALS.assign(
    recorder=["-"] * 8 + ["R1", "R1", "R2", "R2", "R1", "R1", "R2", ""],
    phrase=["P1", "P1", "P1", "P2", "P2", "P2", "P3", "", "P1", "P1", "P2", "P2", "P1", "P2", "P2", "P1"],
    room="one",
)


def test_a_condition_is_measured_within_itself_where_both_classes_have_it_and_else_against_all_of_the_other():
    found = assess(
        CONDITIONS, subset="eval", threshold=0.0, trained_attacks=None, conditions=["recorder", "phrase", "room"]
    )
    by_value = {(g.condition, g.name): g for g in found.groups if g.kind == "condition"}
    assert list(by_value) == [
        ("recorder", "R1"),
        ("recorder", "R2"),
        ("phrase", "P1"),
        ("phrase", "P2"),
        ("phrase", "P3"),
    ]
    own = {name: (CONDITIONS[name[0]] == name[1]).to_numpy() for name in by_value}
    for name, against, chosen in (
        (("recorder", "R1"), "bonafide", own["recorder", "R1"] | LABELS),
        (("phrase", "P1"), "", own["phrase", "P1"]),
        (("phrase", "P3"), "spoof", own["phrase", "P3"] | ~LABELS),
    ):
        group, kept = by_value[name], CONDITIONS[chosen]
        kept_labels = LABELS[chosen]
        assert (group.against, group.trials, group.bonafide) == (against, (~kept_labels).sum(), kept_labels.sum())
        assert group.eer == metrics.eer(kept["score"].to_numpy(), kept_labels)
        assert group.note == "few trials"
    assert {"eval/recorder/R1/eer", "eval/phrase/P3/eer_low"} <= set(found.mlflow_metrics())


def test_speakers_are_measured_one_by_one_with_intervals_over_their_clips():
    found = {
        g.name: g
        for g in assess(TRIALS, subset="eval", threshold=0.0, trained_attacks=None).groups
        if g.kind == "speaker"
    }
    assert {name: (g.bonafide, g.trials, g.against) for name, g in found.items()} == {
        "S0": (2, 2, ""),
        "S1": (2, 2, ""),
        "S2": (2, 8, "spoof"),
        "S3": (2, 8, "spoof"),
        "S9": (8, 3, "bonafide"),
    }
    assert found["S0"].eer_low is not None


def test_of_a_condition_with_many_values_none_is_logged_and_all_are_groups():
    rows = [("-", f"S{i}", 1.0) for i in range(MOST_VALUES + 1)] + [("A01", "T", 0.0)] * 30
    many = table(rows)
    found = assess(
        many.assign(text=many["utterance_id"]), subset="eval", threshold=0, trained_attacks=None, conditions=["text"]
    )
    values = [g for g in found.groups if g.kind == "condition"]
    assert len(values) == len(many)
    assert {g.eer_low for g in values} == {None}
    assert not [name for name in found.mlflow_metrics() if name.startswith(("eval/text/", "eval/speaker/"))]


def test_attack_names_become_keys_that_mlflow_takes_and_stay_apart():
    rows = [("-", "S1", 1.0), ("-", "S2", 1.0)] + [(name, "S3", 0.0) for name in ("a/b", "a+b", "..", "ü 1", "A-1.x")]
    found = assess(table(rows), subset="eval", threshold=0.0, trained_attacks=None).mlflow_metrics()
    keys = [key.split("/")[2] for key in found if key.startswith("eval/attack/") and key.endswith("/eer")]
    assert sorted(keys) == ["A-1.x", "_", "_ 1", "a_b", "a_b_"]


@pytest.mark.parametrize(("label", "right"), [("bonafide", 7 / 8), ("spoof", 6 / 8)])
def test_one_class_has_a_loss_an_accuracy_and_a_note(label, right):
    found = assess(TRIALS[TRIALS["label"] == label], subset="dev", threshold=0.0, trained_attacks=None)
    assert found.note == f"one class only: {label}"
    assert set(found.metrics) == {"loss", "accuracy"}
    assert found.metrics["accuracy"] == right
    assert found.groups == ()
    assert set(found.mlflow_metrics()) == {"dev/loss", "dev/accuracy"}


def test_a_single_clip_is_no_crash():
    assert assess(TRIALS[:1], subset="dev", threshold=0.0, trained_attacks=None).note == "one class only: bonafide"


def test_no_clips_are_said_to_be_none():
    found = assess(TRIALS[:0], subset="dev", threshold=0.0, trained_attacks=None)
    assert (found.note, found.metrics, found.groups) == ("no clips", {}, ())


def test_scores_that_are_no_numbers_are_an_error():
    with pytest.raises(MetricError, match="not finite"):
        assess(TRIALS.assign(score=np.nan), subset="dev", threshold=0.0, trained_attacks=None)


def test_the_interval_is_over_speakers_and_a_clip_of_unknown_speaker_stands_for_itself():
    rng = np.random.default_rng(0)
    shift = 2 * rng.normal(size=10)
    rows = [("-" if i % 2 else "A01", f"S{i % 10}", rng.normal() + 2 * (i % 2) + shift[i % 10]) for i in range(400)]
    known = table(rows)
    unknown = known.assign(speaker="")
    by_speaker, by_clip = (
        assess(t, subset="eval", threshold=0.0, trained_attacks=None).metrics for t in (known, unknown)
    )
    scores, labels = known["score"].to_numpy(), (known["label"] == "bonafide").to_numpy()
    expected = bootstrap.eer_interval(scores, labels, known["speaker"].to_numpy(str))
    assert (by_speaker["eer_low"], by_speaker["eer_high"]) == expected
    expected = bootstrap.eer_interval(scores, labels)
    assert (by_clip["eer_low"], by_clip["eer_high"]) == pytest.approx(expected, abs=0.01)


def test_one_speaker_has_no_interval():
    found = assess(TRIALS.assign(speaker="S1"), subset="eval", threshold=0.0, trained_attacks=None)
    assert "eer" in found.metrics
    assert "eer_low" not in found.metrics
    assert found.groups[0].eer_low is None
    assert "eval/attack/A01/eer_low" not in found.mlflow_metrics()
