"""Outcome of an evaluation: models, trials and tables in memory, from which figures and summary are made."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pipeline import metrics, tracking
from pipeline.common import provenance
from pipeline.config import BONAFIDE
from pipeline.evaluation.clips import DrawnClip
from pipeline.evaluation.subsets import Rival, calibrated_on, of_training
from pipeline.metrics.assessment import Evaluation
from pipeline.metrics.calibration import OperatingPoint
from pipeline.reporting.evaluation_summary import (
    EvaluationSummary,
    ModelFacts,
    PointRates,
    RivalSummary,
    RobustnessPoint,
    ShortcutFinding,
    StoreFacts,
    SubsetData,
    SubsetResult,
)
from pipeline.scoring.model_folders import ModelFolder
from pipeline.store import manifest, shortcuts
from pipeline.store.store import Store


@dataclass(frozen=True)
class TrainingRun:
    """MLflow's record of the training: metrics by epoch, the epoch kept, the device, the command."""

    history: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    epochs: int = 0
    kept_epoch: int | None = None
    facts: dict[str, str] = field(default_factory=dict)
    command: str = ""


@dataclass(frozen=True)
class Outcome:
    """Evaluation with everything that was asked for; ``main`` names the subset of the headline figures."""

    model: ModelFolder
    store: Store
    evaluations: Sequence[Evaluation]
    training: TrainingRun
    shortcuts: pd.DataFrame
    main: str
    rival: Rival | None = None
    robustness: pd.DataFrame | None = None
    clips: Sequence[DrawnClip] = ()


def training_run(model: ModelFolder) -> TrainingRun:
    """Training of a model as the tracking server has it; empty if the server does not know the run."""
    if not tracking.exists(model.run_id):
        return TrainingRun()
    import mlflow

    client = mlflow.MlflowClient()
    data = client.get_run(model.run_id).data
    # Evaluations are logged under the same names one step later; only training logs the time of an epoch.
    epochs = {m.step for m in client.get_metric_history(model.run_id, "speed/epoch_s")}
    names = [f"{subset}/{metric}" for subset in ("train", "dev") for metric in ("loss", "eer", "auc")]
    history = {
        name: [(m.step, m.value) for m in client.get_metric_history(model.run_id, name) if m.step in epochs]
        for name in names
    }
    facts = {name: data.params[name] for name in ("device", "precision") if name in data.params}
    if "guard/eer" in data.metrics and (kept := data.metrics.get("best_epoch")) is not None:
        after = {m.step: m.value for m in client.get_metric_history(model.run_id, "guard/eer")}
        before, found = data.metrics["guard/eer_before"], after.get(int(kept), math.nan)
        facts["EER on the parent's dev"] = f"{100 * before:.1f} % before, {100 * found:.1f} % after"
    if commit := data.tags.get("mlflow.source.git.commit"):
        facts["git commit"] = commit
    kept = data.metrics.get("best_epoch")
    return TrainingRun(history, len(epochs), None if kept is None else int(kept), facts, data.tags.get("command", ""))


def summarise(outcome: Outcome) -> EvaluationSummary:
    """Reduce an outcome to the values that are shown and written."""
    model, store, training = outcome.model, outcome.store, outcome.training
    rival = robustness = None
    if outcome.rival:
        results = {e.subset: result(e) for e in outcome.rival.evaluations}
        rival = RivalSummary(outcome.rival.version, outcome.rival.operating_point, results, outcome.rival.differences)
    if outcome.robustness is not None:
        table = outcome.robustness.astype(object)
        robustness = table.where(table.notna(), None).to_dict("records")
    return EvaluationSummary(
        model=ModelFacts(
            version=model.model_version,
            run_id=model.run_id,
            operating_point=model.operating_point,
            **_rates(model.point()),
            slope=model.calibration.slope,
            intercept=model.calibration.intercept,
            bounds=tuple(filter(math.isfinite, (model.calibration.lower, model.calibration.upper))),
            fusion=model.fusion,
        ),
        store=_store_facts(outcome),
        main=outcome.main,
        data=tuple(_data(store, subset) for subset in manifest.SUBSETS),
        results={e.subset: result(e) for e in outcome.evaluations},
        operating_points=_points(outcome),
        shortcuts=tuple(ShortcutFinding(**row) for row in outcome.shortcuts.to_dict("records")),
        shortcut_warnings=tuple(shortcuts.warnings(outcome.shortcuts)),
        clips=tuple(drawn.clip for drawn in outcome.clips),
        settings=model.config.shown(),
        environment={**training.facts, **model.versions},
        commands={"train": training.command, "evaluate": provenance.command()},
        rival=rival,
        robustness=tuple(RobustnessPoint(**row) for row in robustness or ()),
    )


def _store_facts(outcome: Outcome) -> StoreFacts:
    model, store = outcome.model, outcome.store
    own = of_training(model, store)
    subsets = [e.subset for e in outcome.evaluations if not (own and e.subset == "dev")]
    known = {subset: count for subset in subsets if (count := calibrated_on(model, store, subset))}
    return StoreFacts(store.name, store.folder.name, store.split_by, own, known)


def _data(store: Store, subset: str) -> SubsetData:
    table = store.manifest.iloc[store.subset(subset)]
    bonafide = table["label"] == BONAFIDE
    return SubsetData(
        subset,
        bonafide=int(bonafide.sum()),
        spoof=int((~bonafide).sum()),
        speakers=int(table.loc[table["speaker"] != "", "speaker"].nunique()),
        attacks=int(table.loc[~bonafide, "attack"].nunique()),
        hours=float(table["duration_s"].sum() / 3600),
    )


def result(evaluation: Evaluation) -> SubsetResult:
    """Values of an evaluation that are shown and written."""
    return SubsetResult(evaluation.metrics, evaluation.uncalibrated, evaluation.note, evaluation.groups)


def _rates(point: OperatingPoint) -> dict[str, float | None]:
    """Threshold and prior of an operating point, and its error rates on dev."""
    return {name: getattr(point, name) for name in ("threshold", "prior_spoof", "miss", "false_alarm")}


def _points(outcome: Outcome) -> tuple[PointRates, ...]:
    """Operating points of the model with their error rates on the evaluated subsets."""
    complete = [e for e in outcome.evaluations if not e.note and np.isfinite(e.scores).all()]
    return tuple(
        PointRates(
            name,
            **_rates(point),
            rates={e.subset: metrics.error_rates(e.scores, e.labels, point.threshold) for e in complete},
        )
        for name, point in outcome.model.operating_points.items()
    )
