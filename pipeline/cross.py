"""Cross-corpus evaluation of models trained on some corpora and tested on all of them: one matrix and one figure.

A model that does well on its own corpus has often learnt the corpus. A row is a model, a column a corpus, a cell the
EER on its eval subset with the 95 % interval over speakers; a corpus of ASVspoof 2021 has a column for each phase of
the challenge. The column ``pooled`` has one threshold for the trials of all corpora, as operators have: scores that
shift between corpora raise it. ``train`` and ``evaluate`` do the work and reuse what is finished, so a stopped matrix
resumes, and one more corpus costs only its own column.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline import cli, corpora, metrics, preprocess, tracking
from pipeline.config import BONAFIDE, SECTIONS, Config, CorpusConfig, artifacts_dir, option
from pipeline.errors import ConfigError
from pipeline.metrics import MetricError, bootstrap
from pipeline.metrics.assessment import metric_key, voices
from pipeline.reporting import cross_matrix
from pipeline.reporting.evaluation_summary import EvaluationSummary
from pipeline.scoring import model_folders
from pipeline.scoring.model_folders import ModelFolder

NONE, POOLED = "none", "pooled"
EERS = ("eer", "eer_low", "eer_high")


@dataclass(frozen=True)
class CrossOptions:
    """Corpora to train on; --corpus and --data_dir name those to test on."""

    train_on: str = option(
        "",
        "corpora of --corpus to train on, comma separated, A+B for one model of both; empty: the first; none: none",
    )
    model: str = option("", "trained models to test too, comma separated, named like the --model of evaluate")
    output: str = option("", "folder for table and figure; empty: artifacts/cross/CORPORA")


def trainings(given: str, tested: Mapping[str, CorpusConfig]) -> dict[str, list[str]]:
    """Row to the corpora that its model is trained on; raises ``ConfigError`` for one that is not tested."""
    rows = {}
    for row in (part.strip() for part in (given or next(iter(tested))).split(",")):
        if row == NONE:
            continue
        names = [name.strip() for name in row.split("+")]
        unknown = [name for name in names if name not in tested]
        if unknown:
            raise ConfigError(f"--train_on {row!r}: {unknown[0]!r} is none of {', '.join(tested)} of --corpus")
        rows["+".join(names)] = names
    return rows


def run(config: Config, rows: Mapping[str, list[str]], models: Mapping[str, Path], folder: Path) -> pd.DataFrame:
    """Train and evaluate what is missing; write and log tables and figure; returns a row per cell.

    Parameters
    ----------
    config : its corpora are the columns.
    rows : name of a row to the corpora that its model is trained on.
    models : name of a row to a model folder.
    folder : for tables and figure.
    """
    import mlflow

    from pipeline import evaluate, train

    tested = corpora.apart(config.corpus)
    learnt = {name for names in rows.values() for name in names}
    cells: list[dict] = []
    with tracking.run(f"cross {', '.join(tested)}", stage="cross"):
        mlflow.log_params({"tested_on": ", ".join(tested), "trained_on": ", ".join([*rows, *models])})
        stores = {
            # A corpus without official splits that nothing is trained on is tested whole.
            name: preprocess.ensure(_of(config, own), otherwise="speaker" if name in learnt else "none")
            for name, own in tested.items()
        }
        folders: dict[str, Path] = {}
        for row, names in rows.items():
            print(f"\n== train on {row} ==", flush=True)
            joined = _of(config, corpora.together({name: tested[name] for name in names}))
            store = stores[names[0]] if len(names) == 1 else preprocess.ensure(joined)
            folders[row] = train.train(joined, store)
        for row, model_folder in {**folders, **models}.items():
            version = ModelFolder.load(model_folder).model_version
            evaluated: dict[str, Path] = {}
            for name, store in stores.items():
                print(f"\n== {row} on {name} ==", flush=True)
                output = artifacts_dir() / "evaluations" / f"{version} on {store.name}"
                evaluated[name] = made = evaluate.ensure(model_folder, store, ("eval",), output, saliency=False)
                for cell in _cells(made):
                    cell["own"] |= name in rows.get(row, ())
                    cells.append({"trained_on": row, "corpus": name, **cell, "evaluation": made.name})
            if len(evaluated) > 1:
                cells.append({"trained_on": row, "corpus": POOLED, **_pooled(evaluated), "evaluation": ""})
        table = pd.DataFrame(cells)
        folder.mkdir(parents=True, exist_ok=True)
        table.to_csv(folder / "cells.csv", index=False)
        cross_matrix.wide(table).to_csv(folder / "matrix.csv")
        (folder / "matrix.md").write_text(cross_matrix.markdown(table), encoding="utf-8")
        (folder / "matrix.png").write_bytes(cross_matrix.picture(table))
        mlflow.log_artifacts(str(folder))
        mlflow.log_metrics(_mlflow_metrics(table))
    return table


def _of(config: Config, own: CorpusConfig) -> Config:
    return dataclasses.replace(config, corpus=own)


def _cells(evaluation: Path) -> Iterator[dict]:
    """EER, interval and counts of an evaluation, or of each phase of the challenge if the corpus has phases."""
    summary = EvaluationSummary.read(evaluation)
    result, own = summary.results["eval"], {"own": summary.store.of_training}
    phases = [group for group in summary.groups("condition", "eval") if group.condition == "phase"]
    for group in phases:
        counts = {"bonafide": group.bonafide, "spoof": group.trials}
        eers = {name: getattr(group, name) for name in EERS}
        yield {"phase": group.name, **counts, **eers, "note": group.note, **own}
    if not phases:
        (data,) = (d for d in summary.data if d.subset == "eval")
        counts = {"bonafide": data.bonafide, "spoof": data.spoof}
        eers = {name: result.metrics.get(name) for name in EERS}
        yield {"phase": "", **counts, **eers, "note": result.note, **own}


def _pooled(evaluated: Mapping[str, Path]) -> dict:
    """Cell of all trials of several corpora together, from their evaluations; speakers of two corpora are two."""
    kinds = {"utterance_id": str, "speaker": str, "label": str}
    tables = [
        pd.read_csv(folder / "scores.csv", dtype=kinds, keep_default_na=False).assign(corpus=name)
        for name, folder in evaluated.items()
    ]
    trials = pd.concat(tables, ignore_index=True)
    scores, labels = trials["score"].to_numpy(), (trials["label"] == BONAFIDE).to_numpy()
    cell = {"phase": "", "bonafide": int(labels.sum()), "spoof": int((~labels).sum()), "own": False}
    if labels.all() or not labels.any():
        return {**cell, "eer": None, "note": "one class only"}
    units = (trials["corpus"] + " " + voices(trials)).to_numpy(str)
    try:
        low, high = bootstrap.eer_interval(scores, labels, units)
    except MetricError:
        low = high = None
    return {**cell, "eer": metrics.eer(scores, labels), "eer_low": low, "eer_high": high, "note": ""}


def _mlflow_metrics(table: pd.DataFrame) -> dict[str, float]:
    """The EERs by their MLflow names: ``A/on/B/eer``, ``A/on/asvspoof2021_la/hidden/eer``."""
    return {
        "/".join([metric_key(row.trained_on), "on", *filter(None, (row.corpus, row.phase)), "eer"]): float(row.eer)
        for row in table[table["eer"].notna()].itertuples()
    }


@cli.command(sections=tuple(SECTIONS), options=CrossOptions)
def main(config: Config, options: CrossOptions) -> int:
    """Entry point ``cross``."""
    rows = trainings(options.train_on, corpora.apart(config.corpus))
    folders = [model_folders.find(name.strip()) for name in options.model.split(",") if name.strip()]
    models = {ModelFolder.load(folder).model_version: folder for folder in folders}
    if not rows and not models:
        raise ConfigError("--train_on none: then name the models to test, --model FOLDER")
    folder = (
        Path(options.output) if options.output else artifacts_dir() / "cross" / "+".join(corpora.apart(config.corpus))
    )
    run(config, rows, models, folder)
    print(f"\n{(folder / 'matrix.md').read_text(encoding='utf-8')}\ntables and figure: {folder}")
    return 0


if __name__ == "__main__":
    cli.run(main)
