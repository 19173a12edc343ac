"""Preprocess a corpus into a Store, on all cores or a Spark cluster, in bounded memory.

A killed run resumes with the missing shards. A complete Store is reused if the files of the corpus are unchanged.
"""

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from pipeline import cli, corpora
from pipeline.common.spark import LOCAL, EngineOptions
from pipeline.config import Config, artifacts_dir, fingerprint
from pipeline.store import manifest, splits, store
from pipeline.store.build import build
from pipeline.store.manifest import Rejected

STAGE_VERSION = 4
"""Raised with each change of the code that changes the Store of the same corpus."""


def ensure(
    config: Config,
    *,
    aside: bool = True,
    otherwise: str = "speaker",
    engine: EngineOptions = LOCAL,
    corpus: tuple[pd.DataFrame, list[Rejected]] | None = None,
) -> Path:
    """Folder of the configured corpus' Store, built or completed if needed.

    Parameters
    ----------
    aside : log to a new MLflow run and leave the one opened by ``mlflow run`` to a later stage.
    otherwise : meaning of ``split_by=auto`` for a corpus without official splits.
    corpus : what ``corpora.read`` returned, if the caller has read the corpus already.

    Raises ``CorpusError`` for a corpus that cannot be read, and ``StoreError`` when another process is building the
    same Store or when no recording of the corpus is usable.
    """
    table, rejected = corpus or corpora.read(config.corpus)
    split_by = splits.resolve(table, config.corpus.split_by, otherwise=otherwise)
    kept = config.audio, split_by, config.corpus.split_seed, config.corpus.truncated
    key = fingerprint(STAGE_VERSION, *kept, _sources(table))
    folder = artifacts_dir() / "data" / f"{_name(config)}-{key}"
    logged = folder / "logged"
    if logged.is_file():
        print(f"Store is up to date: {folder}")
        return folder
    started = time.monotonic()
    clips = 0
    if not (folder / store.INDEX).is_file():
        clips = build(table, rejected, config, folder, name=_name(config), split_by=split_by, key=key, engine=engine)
    logged.write_text(_log(folder, config, clips / (time.monotonic() - started), aside), encoding="utf-8")
    return folder


def _name(config: Config) -> str:
    """Name of the Store: its corpus, or its corpora joined by +."""
    return "+".join(corpora.apart(config.corpus))


def _sources(table: pd.DataFrame) -> list:
    """Fingerprints of what the Store depends on: columns of the Manifest, and size and time of each file."""
    stamps = [_stamp(path) for path in table["path"].to_numpy()]
    return [*([name, fingerprint(table[name].to_numpy().tolist())] for name in table), fingerprint(stamps)]


def _stamp(path: str) -> tuple[int, int] | None:
    """Size and time of a file; ``None`` if it is gone, which decoding will report."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _log(folder: Path, config: Config, clips_per_s: float, aside: bool) -> str:
    """Log counts, durations, figures and rejections of a Store to an MLflow run; returns the run's id."""
    import mlflow

    from pipeline import tracking
    from pipeline.reporting import store_figures
    from pipeline.store import shortcuts

    opened = store.Store.open(folder)
    figures = folder / "figures"
    shutil.rmtree(figures, ignore_errors=True)
    with ThreadPoolExecutor(1) as beside:  # drawing takes one core, and the audit does not always use all others
        drawn = beside.submit(store_figures.write_all, opened, figures)
        audit = shortcuts.of(opened)
        drawn.result()
    table = opened.manifest
    tags = {"corpus": opened.name, "split": opened.split_by}
    with tracking.run(folder.name, stage="preprocess", tags=tags, aside=aside) as run:
        tracking.log_config(config)
        mlflow.log_params({"store_folder": folder.name, "fingerprint": opened.fingerprint})
        counts = {f"clips/{s}/{lab}": len(g) for (s, lab), g in table.groupby(["split", "label"])}
        totals = {
            "clips": len(table),
            "rejected": len(pd.read_csv(folder / store.REJECTED)),
            "noted": len(pd.read_csv(folder / store.NOTED)),
            "speakers": table["speaker"].nunique(),
            "attacks": table.loc[table["attack"] != "-", "attack"].nunique(),
            "hours": float(table["duration_s"].sum() / 3600),
            "speed/preprocess_clips_per_s": clips_per_s,
        }
        mlflow.log_metrics({k: float(v) for k, v in (counts | totals | shortcuts.mlflow_metrics(audit)).items()})
        columns = ["split", "label", "attack", "attack_name", "speaker"]
        groups = table.groupby(columns)["duration_s"].agg(["size", "sum"])
        groups = groups.rename(columns={"size": "clips", "sum": "seconds"}).reset_index()
        mlflow.log_text(groups.to_csv(index=False), "counts.csv")
        mlflow.log_artifact(str(folder / store.REJECTED))
        mlflow.log_artifact(str(folder / store.NOTED))
        mlflow.log_text(audit.to_csv(index=False), shortcuts.FILENAME)
        mlflow.log_artifacts(str(figures), "figures")
        return run.info.run_id


def summary(folder: Path) -> str:
    """Text of utterances by subset and class, rejections, notes, shortcut audit, and place of the Store."""
    from pipeline.store import shortcuts

    opened = store.Store.open(folder)
    table = pd.crosstab(opened.manifest["split"], opened.manifest["label"]).reindex(manifest.SUBSETS, fill_value=0)
    lines = [table.to_string(), f"split by {opened.split_by}"]
    for name in (store.REJECTED, store.NOTED):
        listed = pd.read_csv(folder / name, keep_default_na=False)
        did = name.removesuffix(".csv")
        lines += [f"{did} {count}: {kind}" for kind, count in listed["kind"].value_counts().items()]
        lines += [f"reason for each of them: {folder / name}"] if len(listed) else []
    lines.append(shortcuts.text(shortcuts.of(opened)))
    return "\n".join([*lines, f"Store: {folder}"])


@cli.command(sections=("corpus", "audio"), options=EngineOptions)
def main(config: Config, engine: EngineOptions) -> int:
    """Entry point ``preprocess``."""
    engine.check()
    print(summary(ensure(config, aside=False, engine=engine)))
    return 0


if __name__ == "__main__":
    cli.run(main)
