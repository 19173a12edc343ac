"""Evaluation: a model folder scores the subsets of a Store, and figures of merit, figures and a report come out.

Nothing is chosen here. Threshold and calibration come with the model, which has them from dev; every trial is scored
by the same ``Detector`` that scores files. The evaluation of a training run on its own Store lands in that run; any
other is a run of its own.
"""

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import audio, bundle, cli, corpus_figures, figures, manifest, metrics, preprocess, report, tracking
from pipeline.assessment import Evaluation, Group, assess
from pipeline.bundle import Bundle
from pipeline.config import BONAFIDE, Config, artifacts_dir, option
from pipeline.detector import Detector
from pipeline.errors import ConfigError
from pipeline.progress import track
from pipeline.store import Store

SECTIONS = ("corpus", "audio")
SUBSETS = ("dev", "eval")
INDEX = "evaluation.json"


@dataclass(frozen=True)
class EvaluateOptions:
    """What to evaluate, on what."""

    model: str = option("", "model folder, runs:/ID or models:/NAME@ALIAS; empty: the champion")
    store: str = option(
        "", "folder of a Store; empty: that of the corpus named here, or else of the model's own corpus"
    )
    subset: str = option(",".join(SUBSETS), "subsets to score, comma separated (train, dev, eval)")
    output: str = option("", "folder for report, figures and scores; empty: artifacts/evaluations/MODEL")


OPTIONS = EvaluateOptions


def evaluate(model: Bundle, store: Store, subset: str) -> Evaluation:
    """Score every utterance of a subset and measure the scores."""
    rows = store.subset(subset)
    waves = (store.waveform(row) / np.float32(audio.FULL_SCALE) for row in rows)
    logits = track(Detector(model).utterance_logits(waves), total=len(rows), what=f"score {subset}")
    logits = np.fromiter(logits, np.float64, len(rows))
    trials = store.manifest.iloc[rows][["utterance_id", "label", "attack", "speaker"]].reset_index(drop=True)
    trials = trials.assign(logit=logits, score=model.calibration.apply(logits))
    heard = set(store.manifest["attack"].iloc[store.subset("train")]) if of_training(model, store) else None
    return assess(trials, subset=subset, threshold=model.point().threshold, heard=heard)


def of_training(model: Bundle, store: Store) -> bool:
    """Whether the Store is the one that the model was trained on, told by its dev trials."""
    return model.dev_trials == store.trials("dev")


def run(model_folder: Path, store_folder: Path, subsets: Sequence[str] = SUBSETS, output: Path | None = None) -> Path:
    """Evaluate a model folder on a Store, log it, and return the folder that holds the report and all files."""
    model, store = Bundle.load(model_folder), Store.open(store_folder)
    if not any(len(store.subset(name)) for name in subsets):
        raise ConfigError(f"--subset {','.join(subsets)}: {store.folder} has no clips there; choose another subset")
    own = of_training(model, store) and bool(model.run_id) and tracking.exists(model.run_id)
    folder = output or artifacts_dir() / "evaluations" / model.model_version
    tags = {} if own else {"model_version": model.model_version, "corpus": store.name, "split": store.split_by}
    with tracking.run(
        f"evaluate {model.model_version}", stage="evaluate", tags=tags, run_id=model.run_id if own else None
    ):
        evaluations = [evaluate(model, store, subset) for subset in subsets]
        with tempfile.TemporaryDirectory() as work:
            training = _training_run(model)
            write(Path(work), model, store, evaluations, training)
            log(Path(work), evaluations, step=training.epochs if own else 0)
            if output is None:
                shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(work, folder, dirs_exist_ok=True)
    return folder


@dataclass(frozen=True)
class TrainingRun:
    """What MLflow knows of the training: metrics by epoch, the epoch kept, the device, the command."""

    history: dict[str, list[tuple[int, float]]] = dataclasses.field(default_factory=dict)
    epochs: int = 0
    kept_epoch: int | None = None
    facts: dict[str, str] = dataclasses.field(default_factory=dict)
    command: str = ""


def _training_run(model: Bundle) -> TrainingRun:
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


def write(folder: Path, model: Bundle, store: Store, evaluations: Sequence[Evaluation], training: TrainingRun) -> None:
    """Write scores, tables, figures, report and model card."""
    drawn = draw(model, store, evaluations, training)
    for name, picture in drawn.items():
        path = folder / "figures" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture)
    scores = pd.concat([e.trials.assign(subset=e.subset) for e in evaluations])
    columns = ["subset", "utterance_id", "label", "attack", "speaker", "logit", "score"]
    scores[columns].to_csv(folder / "scores.csv", index=False)
    attacks = [
        {"subset": e.subset, **dataclasses.asdict(g)} for e in evaluations for g in e.groups if g.kind == "attack"
    ]
    names = ["subset", *(f.name for f in dataclasses.fields(Group))]
    pd.DataFrame(attacks, columns=names).drop(columns="kind").to_csv(folder / "attacks.csv", index=False)
    summary = summarise(model, store, evaluations, training)
    (folder / INDEX).write_text(json.dumps(summary, indent=1), encoding="utf-8")
    (folder / "report.html").write_text(report.html(summary, drawn), encoding="utf-8")
    (folder / "model_card.md").write_text(report.model_card(summary), encoding="utf-8")


def log(folder: Path, evaluations: Sequence[Evaluation], *, step: int) -> None:
    """Log metrics and files to the active run.

    ``step`` is one past the last epoch, so that these and not the last epoch's are the run's latest values.
    """
    import mlflow

    for evaluation in evaluations:
        mlflow.log_metrics(evaluation.named(), step=step)
    mlflow.log_artifacts(str(folder))


def summarise(model: Bundle, store: Store, evaluations: Sequence[Evaluation], training: TrainingRun) -> dict:
    """Everything that the report, the model card and the printed tables say, as JSON-able values."""
    point = model.point()
    data = []
    for subset in manifest.SUBSETS:
        table = store.manifest.iloc[store.subset(subset)]
        bonafide = table["label"] == BONAFIDE
        data.append(
            {
                "subset": subset,
                "bonafide": int(bonafide.sum()),
                "spoof": int((~bonafide).sum()),
                "speakers": int(table.loc[table["speaker"] != "", "speaker"].nunique()),
                "attacks": int(table.loc[~bonafide, "attack"].nunique()),
                "hours": float(table["duration_s"].sum() / 3600),
            }
        )
    return {
        "model": {
            "version": model.model_version,
            "run_id": model.run_id,
            "operating_point": model.operating_point,
            **dataclasses.asdict(point),
            "slope": model.calibration.slope,
            "intercept": model.calibration.intercept,
        },
        "store": {
            "name": store.name,
            "folder": store.folder.name,
            "split_by": store.split_by,
            "of_training": of_training(model, store),
        },
        "data": data,
        "results": {
            e.subset: {
                "metrics": e.metrics,
                "note": e.note,
                "groups": [dataclasses.asdict(group) for group in e.groups],
            }
            for e in evaluations
        },
        "settings": model.config.flat(),
        "environment": {**training.facts, **model.versions},
        "commands": {"train": training.command, "evaluate": tracking.command()},
    }


def draw(model: Bundle, store: Store, evaluations: Sequence[Evaluation], training: TrainingRun) -> dict[str, bytes]:
    """The figures as PNG by name (``training_curves``, ``eval/roc``, ``examples/spoof`` …), in the report's order."""
    drawn = {}
    if any(training.history.values()):
        drawn["training_curves"] = figures.training_curves(training.history, kept_epoch=training.kept_epoch)
    point = model.point()
    for e in evaluations:
        if e.trials.empty:
            continue
        both = not e.note
        pair = {e.subset: (e.scores, e.labels)}
        counts = metrics.confusion(e.scores, e.labels, point.threshold)
        drawn[f"{e.subset}/confusion"] = figures.confusion(
            counts, threshold=point.threshold, title=f"Confusion matrix, {e.subset}"
        )
        drawn[f"{e.subset}/scores"] = figures.score_histogram(
            e.scores,
            e.labels,
            threshold=point.threshold,
            threshold_name=model.operating_point,
            title=f"Scores, {e.subset}",
        )
        if both:
            drawn[f"{e.subset}/roc"] = figures.roc(pair, title=f"ROC, {e.subset}")
            drawn[f"{e.subset}/det"] = figures.det(pair, title=f"Detection error trade-off, {e.subset}")
            drawn[f"{e.subset}/reliability"] = figures.reliability(
                {"calibrated": e.scores, "before calibration": e.trials["logit"].to_numpy()},
                e.labels,
                title=f"Reliability, {e.subset}",
            )
            attacks = [g for g in e.groups if g.kind == "attack"]
            drawn[f"{e.subset}/attacks"] = figures.attack_eer(
                [g.name for g in attacks],
                [g.eer for g in attacks],
                [None if g.eer_low is None else (g.eer_low, g.eer_high) for g in attacks],
                seen=[g.seen for g in attacks],
                trials=[g.trials for g in attacks],
                overall=e.metrics["eer"],
                title=f"EER by attack, {e.subset}",
            )
    drawn |= _examples(model.config, store, evaluations)
    return {name: figures.png(figure) for name, figure in drawn.items()}


def _examples(config: Config, store: Store, evaluations: Sequence[Evaluation]) -> Mapping[str, "figures.Figure"]:
    """The log-mel spectrogram of one recording of each class, as far as the model hears at a time."""
    rows = np.concatenate([store.subset(e.subset) for e in evaluations])
    labels = store.manifest["label"].iloc[rows].to_numpy()
    return {
        f"examples/{label}": corpus_figures.example(
            store, int(rows[labels == label][0]), config.front_end, longest_s=config.train.clip_s
        )
        for label in manifest.LABELS
        if (labels == label).any()
    }


def table_text(folder: Path) -> str:
    """The tables of an evaluation folder as text."""
    return report.text(json.loads((Path(folder) / INDEX).read_text(encoding="utf-8")))


def main(argv: list[str] | None = None) -> int:
    """Entry point ``evaluate``."""
    about = __doc__.split("\n\n")[0]
    config, options = cli.parse(about, sections=SECTIONS, options=OPTIONS, argv=argv)
    subsets = [name.strip() for name in options.subset.split(",")]
    for name in subsets:
        if name not in manifest.SUBSETS:
            raise ConfigError(f"--subset {name!r}: choose among {', '.join(manifest.SUBSETS)}, comma separated")
    model_folder = bundle.find(options.model)
    if options.store:
        store_folder = Path(options.store)
    else:
        parser = cli.build_parser(about, sections=SECTIONS, options=OPTIONS, default_preset="default")
        typed = vars(parser.parse_args(argv))
        named = any(typed[name] for name in cli.option_names(SECTIONS, None))
        store_folder = preprocess.ensure(config if named else Bundle.load(model_folder).config)
    folder = run(model_folder, store_folder, subsets, Path(options.output) if options.output else None)
    print(f"\n{table_text(folder)}\n")
    for what, name in (("report", "report.html"), ("figures", "figures"), ("scores", "scores.csv")):
        print(f"{what:<9}{folder / name}")
    return 0


if __name__ == "__main__":
    cli.run(main)
