"""Everything an evaluation found, and the JSON-able summary of it that report, model card and printed tables render."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pipeline import metrics, tracking
from pipeline.config import BONAFIDE
from pipeline.evaluation.clips import Inspected
from pipeline.metrics.assessment import MOST_VALUES, Evaluation
from pipeline.metrics.paired_test import Difference
from pipeline.scoring.model_folders import ModelFolder
from pipeline.store import manifest, shortcuts
from pipeline.store.store import Store


@dataclass(frozen=True)
class TrainingRun:
    """What MLflow knows of the training: metrics by epoch, the epoch kept, the device, the command."""

    history: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    epochs: int = 0
    kept_epoch: int | None = None
    facts: dict[str, str] = field(default_factory=dict)
    command: str = ""


@dataclass(frozen=True)
class Rival:
    """The system that the model is held against: its evaluations, and the differences by subset and group."""

    version: str
    operating_point: str
    evaluations: tuple[Evaluation, ...]
    differences: dict[str, dict[str, Difference]]


@dataclass(frozen=True)
class Outcome:
    """An evaluation with everything that was asked for; ``main`` names the subset that headlines are of."""

    model: ModelFolder
    store: Store
    evaluations: Sequence[Evaluation]
    training: TrainingRun
    audit: pd.DataFrame
    main: str
    rival: Rival | None = None
    robustness: pd.DataFrame | None = None
    clips: Sequence[Inspected] = ()


def training_run(model: ModelFolder) -> TrainingRun:
    """What the tracking server knows of a model's training; empty where it knows nothing."""
    if not (model.run_id and tracking.exists(model.run_id)):
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
    if commit := data.tags.get("mlflow.source.git.commit"):
        facts["git commit"] = commit
    kept = data.metrics.get("best_epoch")
    return TrainingRun(history, len(epochs), None if kept is None else int(kept), facts, data.tags.get("command", ""))


def of_training(model: ModelFolder, store: Store) -> bool:
    """Whether the Store is the one that the model was trained on, told by its dev trials."""
    return model.dev_trials == store.trials("dev")


def summarise(outcome: Outcome) -> dict:
    """Everything that the report, the model card and the printed tables say, as JSON-able values."""
    model, store, training = outcome.model, outcome.store, outcome.training
    summary = {
        "model": {
            "version": model.model_version,
            "run_id": model.run_id,
            "operating_point": model.operating_point,
            **dataclasses.asdict(model.point()),
            "slope": model.calibration.slope,
            "intercept": model.calibration.intercept,
        },
        "store": {
            "name": store.name,
            "folder": store.folder.name,
            "split_by": store.split_by,
            "of_training": of_training(model, store),
        },
        "main": outcome.main,
        "data": [_data(store, subset) for subset in manifest.SUBSETS],
        "results": {e.subset: _result(e) for e in outcome.evaluations},
        "operating_points": _points(outcome),
        "shortcuts": {
            "findings": outcome.audit.to_dict("records"),
            "warnings": shortcuts.warnings(outcome.audit),
        },
        "clips": [
            {f.name: getattr(clip, f.name) for f in dataclasses.fields(clip) if f.name not in ("picture", "sound")}
            for clip in outcome.clips
        ],
        "settings": model.config.flat(),
        "environment": {**training.facts, **model.versions},
        "commands": {"train": training.command, "evaluate": tracking.command()},
        "most_values": MOST_VALUES,
    }
    if outcome.rival:
        rival = outcome.rival
        summary["against"] = {
            "version": rival.version,
            "operating_point": rival.operating_point,
            "results": {e.subset: _result(e) for e in rival.evaluations},
            "differences": {
                subset: {name: dataclasses.asdict(found) for name, found in groups.items()}
                for subset, groups in rival.differences.items()
            },
        }
    if outcome.robustness is not None:
        table = outcome.robustness.astype(object)
        summary["robustness"] = table.where(table.notna(), None).to_dict("records")
    return summary


def _data(store: Store, subset: str) -> dict:
    table = store.manifest.iloc[store.subset(subset)]
    bonafide = table["label"] == BONAFIDE
    return {
        "subset": subset,
        "bonafide": int(bonafide.sum()),
        "spoof": int((~bonafide).sum()),
        "speakers": int(table.loc[table["speaker"] != "", "speaker"].nunique()),
        "attacks": int(table.loc[~bonafide, "attack"].nunique()),
        "hours": float(table["duration_s"].sum() / 3600),
    }


def _result(evaluation: Evaluation) -> dict:
    return {
        "metrics": evaluation.metrics,
        "uncalibrated": evaluation.uncalibrated,
        "note": evaluation.note,
        "groups": [dataclasses.asdict(group) for group in evaluation.groups],
    }


def _points(outcome: Outcome) -> list[dict]:
    """Each operating point with its error rates on dev, where it was found, and on the evaluated subsets."""
    found = []
    for name, point in outcome.model.operating_points.items():
        rates = {
            e.subset: metrics.error_rates(e.scores, e.labels, point.threshold)
            for e in outcome.evaluations
            if not e.note and np.isfinite(e.scores).all()
        }
        found.append({"name": name, **dataclasses.asdict(point), "rates": rates})
    return found
