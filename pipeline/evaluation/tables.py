"""Tables of evaluations as files, and what an evaluation logs to the active run."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from pipeline.metrics.assessment import Evaluation, Group
from pipeline.metrics.paired_test import Difference

METRICS_PER_CALL = 500
"""Metrics logged in one call; MLflow takes 1,000."""


def write(
    folder: Path, evaluations: Sequence[Evaluation], differences: Mapping[str, Mapping[str, Difference]] | None = None
) -> None:
    """Write scores, attacks, groups, and the differences from a rival by subset and group.

    ``scores_SUBSET.tsv`` is the score file that ASVspoof 5 takes.
    """
    scores = pd.concat([e.trials.assign(subset=e.subset) for e in evaluations])
    columns = ["subset", "utterance_id", "label", "attack", "speaker", "logit", "score", "made_by", "attributed"]
    scores[[c for c in columns if c in scores]].to_csv(folder / "scores.csv", index=False)
    for e in evaluations:
        if not e.trials.empty:
            submitted = e.trials[["utterance_id", "score"]]
            header = ["filename", "cm-score"]
            submitted.to_csv(folder / f"scores_{e.subset}.tsv", sep="\t", header=header, index=False)
    groups = [{"subset": e.subset, **dataclasses.asdict(g)} for e in evaluations for g in e.groups]
    table = pd.DataFrame(groups, columns=["subset", *(f.name for f in dataclasses.fields(Group))])
    attacks = table[table["kind"] == "attack"].drop(columns=["kind", "condition", "against"])
    attacks.to_csv(folder / "attacks.csv", index=False)
    table[table["kind"].isin(["condition", "speaker"])].drop(columns="seen").to_csv(folder / "groups.csv", index=False)
    if differences is not None:
        rows = [
            {"subset": subset, "group": name, **dataclasses.asdict(found)}
            for subset, own in differences.items()
            for name, found in own.items()
        ]
        pd.DataFrame(rows).to_csv(folder / "against.csv", index=False)


def log(folder: Path, found: Mapping[str, float], *, step: int = 0) -> None:
    """Log metrics, and the files of a folder."""
    import mlflow

    names = list(found)
    for first in range(0, len(names), METRICS_PER_CALL):
        mlflow.log_metrics({name: found[name] for name in names[first : first + METRICS_PER_CALL]}, step=step)
    mlflow.log_artifacts(str(folder))
