"""Evaluation of a model folder on the subsets of a Store: metrics, figures, tables, a report and a model card.

Nothing is chosen here. Threshold and calibration come with the model, from dev; every trial is scored by the same
``Detector`` that scores files. An evaluation on the Store of the training is logged to the training's run, any other to
a new run.
"""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import cli, preprocess, tracking
from pipeline.common import files
from pipeline.config import MODEL_HELP, Config, artifacts_dir, option
from pipeline.errors import ConfigError
from pipeline.evaluation import clips, figures, robustness, tables
from pipeline.evaluation.outcome import Outcome, summarise, training_run
from pipeline.evaluation.subsets import compare, evaluate, of_training
from pipeline.reporting import plain_text, report
from pipeline.reporting.evaluation_summary import EvaluationSummary
from pipeline.scoring import model_folders
from pipeline.scoring.model_folders import ModelFolder
from pipeline.store import manifest, shortcuts
from pipeline.store.store import Store

SUBSETS = ("dev", "eval")


@dataclass(frozen=True)
class EvaluateOptions:
    """Model, Store and subsets to evaluate."""

    model: str = option("", MODEL_HELP)
    against: str = option("", "rival: another model, named like --model, to compare with on the same trials")
    store: str = option(
        "", "folder of a Store; empty: the Store of the corpus named here, else of the model's own corpus"
    )
    subset: str = option(",".join(SUBSETS), "subsets to score, comma separated (train, dev, eval)")
    robustness: bool = option(
        False,
        "also measure the EER under noise, codecs, shortness, gain and silence (up to 2,000 trials, 24 times each)",
    )
    saliency: bool = option(True, "draw the saliency of single clips (loads TensorFlow)")
    output: str = option("", "folder for report, figures and scores; empty: artifacts/evaluations/MODEL")


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
    """Evaluate a model folder on a Store, log it, and return the folder of report, tables and figures.

    ``against`` is the folder of the rival; ``robust`` and ``saliency`` are the options of those names.
    """
    model, store = ModelFolder.load(model_folder), Store.open(store_folder)
    if not any(len(store.subset(name)) for name in subsets):
        raise ConfigError(f"--subset {','.join(subsets)}: {store.folder} has no clips there; choose another subset")
    rival = ModelFolder.load(against) if against else None
    own = of_training(model, store) and tracking.exists(model.run_id)
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
            rival=compare(model, evaluations, rival, store) if rival else None,
            robustness=robustness.sweep(model, store, main.subset) if robust and complete else None,
            clips=clips.draw(model, store, main, saliency=saliency),
        )
        with tempfile.TemporaryDirectory() as work:
            write(Path(work), outcome)
            log(Path(work), outcome, step=outcome.training.epochs if own else 0)
            if output is None:
                # Written whole or not at all: `ensure` takes a folder here for a finished evaluation.
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
    """Folder of a model's evaluation on a Store; ``run`` makes it if it is missing."""
    version = ModelFolder.load(model_folder).model_version
    folder = output or artifacts_dir() / "evaluations" / version
    try:
        known = EvaluationSummary.read(folder)
    except (OSError, ValueError):  # missing, or left half-written by a kill
        known = None
    wanted = (version, store_folder.name, list(subsets))
    if known and (known.model.version, known.store.folder, list(known.results)) == wanted:
        return folder
    return run(model_folder, store_folder, subsets, output, saliency=saliency)


def write(folder: Path, outcome: Outcome) -> None:
    """Write scores, tables, figures, report and model card."""
    drawn = figures.draw(outcome)
    figures.write(folder, drawn)
    tables.write(folder, outcome.evaluations, outcome.rival and outcome.rival.differences)
    outcome.shortcuts.to_csv(folder / shortcuts.FILENAME, index=False)
    if outcome.robustness is not None:
        outcome.robustness.to_csv(folder / "robustness.csv", index=False)
    summary = summarise(outcome)
    summary.write(folder)
    media = [(clip.picture, clip.sound) for clip in outcome.clips]
    (folder / "report.html").write_text(report.html(summary, drawn, media), encoding="utf-8")
    (folder / "model_card.md").write_text(report.markdown(summary), encoding="utf-8")


def log(folder: Path, outcome: Outcome, *, step: int) -> None:
    """Log metrics and files to the active run.

    ``step`` is one past the last epoch, so that these are the run's latest values, not those of the last epoch.
    """
    import mlflow

    found = shortcuts.mlflow_metrics(outcome.shortcuts)
    for evaluation in outcome.evaluations:
        found |= evaluation.mlflow_metrics()
    if outcome.robustness is not None:
        found |= robustness.mlflow_metrics(outcome.robustness, outcome.main)
    if outcome.rival:
        mlflow.set_tag("against", outcome.rival.version)
        for subset, groups in outcome.rival.differences.items():
            found |= groups["all attacks"].mlflow_metrics(f"{subset}/against")
    tables.log(folder, found, step=step)


def table_text(folder: Path) -> str:
    """Tables of an evaluation folder as text."""
    return plain_text.text(EvaluationSummary.read(folder))


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
