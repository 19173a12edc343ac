"""Scoring of a Store's subsets: by the model, and by its rival on the same trials."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.common.progress import track
from pipeline.config import SAMPLE_RATE_HZ
from pipeline.evaluation import localisation
from pipeline.metrics import attribution, paired_test
from pipeline.metrics.assessment import Evaluation, assess
from pipeline.metrics.paired_test import Difference
from pipeline.scoring.detector import Detector
from pipeline.scoring.model_folders import ModelFolder
from pipeline.scoring.source_tracing import UNKNOWN
from pipeline.store import manifest
from pipeline.store.store import Store
from pipeline.training.data import left_out


@dataclass(frozen=True)
class Rival:
    """Model compared against: its evaluations, and the differences by subset and group."""

    version: str
    operating_point: str
    evaluations: tuple[Evaluation, ...]
    differences: dict[str, dict[str, Difference]]


def of_training(model: ModelFolder, store: Store) -> bool:
    """Whether the model was trained on this Store: both have the same dev trials."""
    return model.trained_on == store.trials("dev")


def calibrated_on(model: ModelFolder, store: Store, subset: str) -> int:
    """Trials of a subset among those that chose the model's calibration and thresholds."""
    if model.dev is None:
        return 0
    rows = store.subset(subset)
    table = store.manifest.iloc[rows].assign(duration_s=store.lengths()[rows] / SAMPLE_RATE_HZ)
    return len(table.merge(model.dev, on=["utterance_id", "label", "corpus", "duration_s"]))


def evaluate(model: ModelFolder, store: Store, subset: str) -> Evaluation:
    """Score every utterance of a subset and measure the scores, and how well spoofed segments are located if known."""
    rows = store.subset(subset)
    waves = (store.waveform(row) for row in rows)
    outputs = Detector(model).utterance_outputs(waves, map(store.speech, rows))
    logits, attributed = np.empty(len(rows)), []
    for place, (logit, embedding) in enumerate(track(outputs, total=len(rows), what=f"score {subset}")):
        logits[place] = logit
        attributed.append(model.attacks.trace(embedding)[0] if model.attacks else "")
    conditions = manifest.conditions(store.manifest)
    columns = ["utterance_id", "label", "attack", "attack_name", "speaker", *conditions]
    trials = store.manifest.iloc[rows].reindex(columns=columns, fill_value="").reset_index(drop=True)
    trials = trials.assign(logit=logits, score=model.calibration.apply(logits))
    figures = localisation.measure(model, store, subset)
    if model.attacks:
        made_by = manifest.generators(trials).where(lambda names: names.isin(("", *model.attacks.names)), UNKNOWN)
        trials = trials.assign(made_by=made_by, attributed=attributed)
        spoofs = trials[made_by != ""]
        figures |= {"attack_f1": attribution.macro_f1(spoofs["made_by"], spoofs["attributed"])} if len(spoofs) else {}
    trained_attacks = None
    if of_training(model, store):
        trained = store.subset("train")
        trained_attacks = set(store.manifest["attack"].iloc[trained[~left_out(store, model.config)[trained]]])
    found = assess(
        trials,
        subset=subset,
        threshold=model.point().threshold,
        trained_attacks=trained_attacks,
        conditions=conditions,
    )
    return dataclasses.replace(found, metrics=found.metrics | figures)


def compare(model: ModelFolder, evaluations: Sequence[Evaluation], rival: ModelFolder, store: Store) -> Rival:
    """Compare evaluations with a rival on the same trials: all, seen attacks, unseen attacks."""
    rival_evaluations, differences = [], {}
    seen = {g.name: g.seen for e in evaluations for g in e.groups if g.kind == "attack"}
    for own in evaluations:
        other = evaluate(rival, store, own.subset)
        rival_evaluations.append(other)
        if own.note:
            continue
        is_seen = own.trials["attack"].map(seen)
        groups = {
            "all attacks": np.full(len(own.trials), True),
            "seen attacks": is_seen.eq(True).to_numpy(),
            "unseen attacks": is_seen.eq(False).to_numpy(),
        }
        differences[own.subset] = {
            name: paired_test.compare(
                own.trials[chosen | own.labels],
                other.scores[chosen | own.labels],
                threshold=model.point().threshold,
                rival_threshold=rival.point().threshold,
            )
            for name, chosen in groups.items()
            if (chosen & ~own.labels).any()
        }
    return Rival(rival.model_version, rival.operating_point, tuple(rival_evaluations), differences)
