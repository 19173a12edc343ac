"""Evaluation: a model folder scores the subsets of a Store, and figures of merit, figures and a report come out.

Nothing is chosen here. Threshold and calibration come with the model, which has them from dev; every trial is scored
by the same ``Detector`` that scores files. The evaluation of a training run on its own Store lands in that run; any
other is a run of its own.
"""

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import cli, preprocess, tracking
from pipeline.common import files
from pipeline.common.progress import track
from pipeline.config import Config, artifacts_dir, option
from pipeline.errors import ConfigError
from pipeline.evaluation import clips, figures, robustness
from pipeline.evaluation.summary import Outcome, Rival, of_training, summarise, training_run
from pipeline.metrics import paired_test
from pipeline.metrics.assessment import Evaluation, Group, assess
from pipeline.reporting import model_card, plain_text, report
from pipeline.scoring import model_folders
from pipeline.scoring.detector import Detector
from pipeline.scoring.model_folders import ModelFolder
from pipeline.store import manifest, shortcuts
from pipeline.store.store import Store
from pipeline.training.data import left_out

SUBSETS = ("dev", "eval")
INDEX = "evaluation.json"
METRICS_A_CALL = 500
"""Metrics that are logged in one call; MLflow takes 1,000."""


@dataclass(frozen=True)
class EvaluateOptions:
    """What to evaluate, on what."""

    model: str = option("", "model folder, runs:/ID or models:/NAME@ALIAS; empty: the champion")
    against: str = option("", "another model, named as model is, that it is compared with on the same trials")
    store: str = option(
        "", "folder of a Store; empty: that of the corpus named here, or else of the model's own corpus"
    )
    subset: str = option(",".join(SUBSETS), "subsets to score, comma separated (train, dev, eval)")
    robustness: bool = option(
        False, "measure the EER under noise, codecs, shortness and gain too (up to 2,000 trials, each scored 22 times)"
    )
    saliency: bool = option(True, "draw what the model looks at in single clips (loads TensorFlow)")
    output: str = option("", "folder for report, figures and scores; empty: artifacts/evaluations/MODEL")


def evaluate(model: ModelFolder, store: Store, subset: str) -> Evaluation:
    """Score every utterance of a subset and measure the scores."""
    rows = store.subset(subset)
    waves = (store.waveform(row) for row in rows)
    logits = track(Detector(model).utterance_logits(waves), total=len(rows), what=f"score {subset}")
    logits = np.fromiter(logits, np.float64, len(rows))
    conditions = manifest.conditions(store.manifest)
    columns = ["utterance_id", "label", "attack", "speaker", *conditions]
    trials = store.manifest.iloc[rows][columns].reset_index(drop=True)
    trials = trials.assign(logit=logits, score=model.calibration.apply(logits))
    heard = None
    if of_training(model, store):
        trained = store.subset("train")
        heard = set(store.manifest["attack"].iloc[trained[~left_out(store, model.config)[trained]]])
    return assess(trials, subset=subset, threshold=model.point().threshold, heard=heard, conditions=conditions)


def run(
    model_folder: Path,
    store_folder: Path,
    subsets: Sequence[str] = SUBSETS,
    output: Path | None = None,
    *,
    against: Path | None = None,
    robust: bool = False,
    saliency: bool = True,
) -> Path:
    """Evaluate a model folder on a Store, log it, and return the folder that holds the report and all files.

    ``against``, ``robust`` and ``saliency`` are the options of those names.
    """
    model, store = ModelFolder.load(model_folder), Store.open(store_folder)
    if not any(len(store.subset(name)) for name in subsets):
        raise ConfigError(f"--subset {','.join(subsets)}: {store.folder} has no clips there; choose another subset")
    other = ModelFolder.load(against) if against else None
    own = of_training(model, store) and bool(model.run_id) and tracking.exists(model.run_id)
    folder = output or artifacts_dir() / "evaluations" / model.model_version
    tags = {} if own else {"model_version": model.model_version, **tracking.tags(model.config, store)}
    with tracking.run(
        f"evaluate {tracking.model_name(model.config, store.name)}",
        stage="evaluate",
        tags=tags,
        run_id=model.run_id if own else None,
    ):
        if not own:
            tracking.log_inputs(store, subsets)
        evaluations = [evaluate(model, store, subset) for subset in subsets]
        complete = [e for e in evaluations if not e.note]
        main = next((e for e in complete if e.subset == "eval"), complete[-1] if complete else evaluations[-1])
        outcome = Outcome(
            model,
            store,
            evaluations,
            training_run(model),
            shortcuts.of(store),
            main.subset,
            rival=compare(other, store, evaluations, model) if other else None,
            robustness=robustness.sweep(model, store, main.subset) if robust and complete else None,
            clips=clips.inspect(model, store, main, look=saliency),
        )
        with tempfile.TemporaryDirectory() as work:
            write(Path(work), outcome)
            log(Path(work), outcome, step=outcome.training.epochs if own else 0)
            if output is None:
                # Whole or not at all, as a comparison takes what lies here for evaluated.
                with files.whole_folder(folder) as unfinished:
                    shutil.copytree(work, unfinished, dirs_exist_ok=True)
            else:
                shutil.copytree(work, folder, dirs_exist_ok=True)
    return folder


def ensure(
    model_folder: Path,
    store_folder: Path,
    subsets: Sequence[str] = SUBSETS,
    output: Path | None = None,
    *,
    saliency: bool = True,
) -> Path:
    """The folder of a model's evaluation on a Store, made by ``run`` if it is not there."""
    version = ModelFolder.load(model_folder).model_version
    folder = output or artifacts_dir() / "evaluations" / version
    index = folder / INDEX
    try:
        known = json.loads(index.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none, or one that a kill left half written
        known = None
    wanted = (version, store_folder.name, list(subsets))
    if known and (known["model"]["version"], known["store"]["folder"], list(known["results"])) == wanted:
        return folder
    return run(model_folder, store_folder, subsets, output, saliency=saliency)


def compare(other: ModelFolder, store: Store, evaluations: Sequence[Evaluation], model: ModelFolder) -> Rival:
    """Hold evaluations of a model against another model on the same trials: all, seen attacks, unseen attacks."""
    theirs, differences = [], {}
    seen = {g.name: g.seen for e in evaluations for g in e.groups if g.kind == "attack"}
    for own in evaluations:
        rival = evaluate(other, store, own.subset)
        theirs.append(rival)
        if own.note:
            continue
        heard = own.trials["attack"].map(seen)
        groups = {"all attacks": np.full(len(own.trials), True)}
        groups |= {
            f"{name} attacks": (heard == is_seen).to_numpy() for name, is_seen in (("seen", True), ("unseen", False))
        }
        differences[own.subset] = {
            name: paired_test.compare(
                own.trials[chosen | own.labels],
                rival.scores[chosen | own.labels],
                threshold=model.point().threshold,
                other_threshold=other.point().threshold,
            )
            for name, chosen in groups.items()
            if (chosen & ~own.labels).any()
        }
    return Rival(other.model_version, other.operating_point, tuple(theirs), differences)


def write(folder: Path, outcome: Outcome) -> None:
    """Write scores, tables, figures, report and model card."""
    drawn = figures.draw(outcome)
    for name, picture in drawn.items():
        path = folder / "figures" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture)
    scores = pd.concat([e.trials.assign(subset=e.subset) for e in outcome.evaluations])
    columns = ["subset", "utterance_id", "label", "attack", "speaker", "logit", "score"]
    scores[columns].to_csv(folder / "scores.csv", index=False)
    groups = [{"subset": e.subset, **dataclasses.asdict(g)} for e in outcome.evaluations for g in e.groups]
    table = pd.DataFrame(groups, columns=["subset", *(f.name for f in dataclasses.fields(Group))])
    attacks = table[table["kind"] == "attack"].drop(columns=["kind", "condition", "against"])
    attacks.to_csv(folder / "attacks.csv", index=False)
    table[table["kind"].isin(["condition", "speaker"])].drop(columns="seen").to_csv(folder / "groups.csv", index=False)
    outcome.audit.to_csv(folder / shortcuts.FILENAME, index=False)
    if outcome.robustness is not None:
        outcome.robustness.to_csv(folder / "robustness.csv", index=False)
    if outcome.rival:
        rows = [
            {"subset": subset, "group": name, **dataclasses.asdict(found)}
            for subset, own in outcome.rival.differences.items()
            for name, found in own.items()
        ]
        pd.DataFrame(rows).to_csv(folder / "against.csv", index=False)
    summary = summarise(outcome)
    (folder / INDEX).write_text(json.dumps(summary, indent=1), encoding="utf-8")
    sounds = [(clip.picture, clip.sound) for clip in outcome.clips]
    (folder / "report.html").write_text(report.html(summary, drawn, sounds), encoding="utf-8")
    (folder / "model_card.md").write_text(model_card.markdown(summary), encoding="utf-8")


def log(folder: Path, outcome: Outcome, *, step: int) -> None:
    """Log metrics and files to the active run.

    ``step`` is one past the last epoch, so that these and not the last epoch's are the run's latest values.
    """
    import mlflow

    found = shortcuts.mlflow_metrics(outcome.audit)
    for evaluation in outcome.evaluations:
        found |= evaluation.mlflow_metrics()
    if outcome.robustness is not None:
        found |= robustness.mlflow_metrics(outcome.robustness, outcome.main)
    if outcome.rival:
        mlflow.set_tag("against", outcome.rival.version)
        for subset, groups in outcome.rival.differences.items():
            found |= groups["all attacks"].mlflow_metrics(f"{subset}/against")
    names = list(found)
    for first in range(0, len(names), METRICS_A_CALL):
        mlflow.log_metrics({name: found[name] for name in names[first : first + METRICS_A_CALL]}, step=step)
    mlflow.log_artifacts(str(folder))


def table_text(folder: Path) -> str:
    """The tables of an evaluation folder as text."""
    return plain_text.text(json.loads((Path(folder) / INDEX).read_text(encoding="utf-8")))


@cli.command(sections=("corpus", "audio"), options=EvaluateOptions, with_given=True)
def main(config: Config, options: EvaluateOptions, given: dict) -> int:
    """Entry point ``evaluate``."""
    subsets = [name.strip() for name in options.subset.split(",")]
    for name in subsets:
        if name not in manifest.SUBSETS:
            raise ConfigError(f"--subset {name!r}: choose among {', '.join(manifest.SUBSETS)}, comma separated")
    model_folder = model_folders.find(options.model)
    if options.store:
        store_folder = Path(options.store)
    else:
        named = any(name in given for name in cli.option_names(("corpus", "audio"), None))
        store_folder = preprocess.ensure(config if named else ModelFolder.load(model_folder).config)
    folder = run(
        model_folder,
        store_folder,
        subsets,
        Path(options.output) if options.output else None,
        against=model_folders.find(options.against) if options.against else None,
        robust=options.robustness,
        saliency=options.saliency,
    )
    print(f"\n{table_text(folder)}\n")
    for what, name in (("report", "report.html"), ("figures", "figures"), ("scores", "scores.csv")):
        print(f"{what:<9}{folder / name}")
    return 0


if __name__ == "__main__":
    cli.run(main)
