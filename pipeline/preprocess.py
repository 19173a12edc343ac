"""Preprocessing: from the Manifest of a corpus to a Store, on all cores or a Spark cluster, in bounded memory.

A worker decodes one shard at a time (``shards``) and renames it into place when it is complete, with a note of what it
held. A run that was killed goes on with the shards that are missing; a Store that is complete costs one look at the
corpus.
"""

import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from pathlib import Path

import pandas as pd

from pipeline import cli, corpora
from pipeline.common import files, parallel, spark
from pipeline.common.progress import track
from pipeline.common.spark import LOCAL, EngineOptions
from pipeline.config import Config, artifacts_dir, fingerprint
from pipeline.errors import StoreError
from pipeline.store import manifest, shards, store
from pipeline.store.manifest import Rejected
from pipeline.store.shards import Task

STAGE_VERSION = 2
"""Raised when a change of this stage changes what the same corpus becomes."""


def ensure(
    config: Config,
    *,
    aside: bool = True,
    otherwise: str = "speaker",
    engine: EngineOptions = LOCAL,
    corpus: tuple[pd.DataFrame, list[Rejected]] | None = None,
) -> Path:
    """Folder of the configured corpus' Store, made or completed if needed.

    Parameters
    ----------
    aside : log to a new MLflow run and leave the one opened by ``mlflow run`` to a later stage.
    otherwise : meaning of ``split_by=auto`` for a corpus without official splits.
    corpus : what ``corpora.read`` returned, if the caller has read the corpus already.

    Raises ``CorpusError`` for a corpus that cannot be read, ``StoreError`` when another process is making the same
    Store or when no recording of the corpus is usable.
    """
    table, rejected = corpus or corpora.read(config.corpus)
    split_by = manifest.resolve_split_by(table, config.corpus.split_by, otherwise=otherwise)
    key = fingerprint(STAGE_VERSION, config.audio, split_by, config.corpus.split_seed, _sources(table))
    folder = artifacts_dir() / "data" / f"{_name(config)}-{key}"
    logged = folder / "logged"
    if logged.is_file():
        print(f"Store is up to date: {folder}")
        return folder
    started = time.monotonic()
    clips = 0
    if not (folder / store.INDEX).is_file():
        clips = build(table, rejected, config, folder, split_by=split_by, key=key, engine=engine)
    logged.write_text(_log(folder, config, clips / (time.monotonic() - started), aside), encoding="utf-8")
    return folder


def build(
    table: pd.DataFrame,
    rejected: list[Rejected],
    config: Config,
    folder: Path,
    *,
    split_by: str,
    key: str,
    shard_clips: int | None = None,
    engine: EngineOptions = LOCAL,
) -> int:
    """Make the Store of a Manifest in ``folder``; returns how many recordings were decoded by this call.

    ``shard_clips`` is the number of recordings a shard; by default a 64th of the corpus, between 32 and 1,024.
    """
    size = shard_clips or min(max(len(table) // 64, 32), 1024)
    folder.mkdir(parents=True, exist_ok=True)
    taken = StoreError(f"{folder}: another process is making this Store; wait for it, or stop it")
    with files.locked(folder / ".lock", taken):
        paths = table["path"].tolist()
        tasks = [
            Task(str(folder), number, tuple(paths[first : first + size]), config.audio)
            for number, first in enumerate(range(0, len(paths), size))
        ]
        missing = [task for task in tasks if not task.note.is_file()]
        done = len(paths) - sum(len(task.paths) for task in missing)
        for _ in track(_decoded(missing, engine), total=len(paths), what="preprocess", done=done):
            pass
        notes = [json.loads(task.note.read_text(encoding="utf-8")) for task in tasks]
        kept, rejected = _collect(table, notes, rejected)
        if kept.empty:
            raise StoreError(f"no recording of the corpus is usable; the first of {len(rejected)}: {rejected[0]}")
        kept = manifest.assign_splits(kept, split_by, seed=config.corpus.split_seed)
        kept, rejected = _without_crossing_copies(kept, rejected)
        _finish(folder, kept, rejected, notes, name=_name(config), key=key, split_by=split_by)
        for task in tasks:
            task.note.unlink()
        for unfinished in folder.glob(f"*{store.UNFINISHED}"):  # by attempts that were killed
            unfinished.unlink()
    return len(paths) - done


def _decoded(tasks: list[Task], engine: EngineOptions) -> Iterator[None]:
    """One item a decoded recording, shard by shard as they are completed."""
    if not tasks:
        return
    if engine.engine == "spark":
        with spark.session(engine.master, "preprocess") as session:
            for decoded in spark.each(session, shards.make, tasks):
                yield from [None] * decoded
        return
    workers = min(parallel.cores(), len(tasks))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, parallel.end_with_parent) as pool:
        waiting = {pool.submit(shards.make, task) for task in tasks}
        for finished in as_completed(waiting):
            for _ in range(finished.result()):
                yield None


def _collect(table: pd.DataFrame, notes: list[dict], rejected: list[Rejected]) -> tuple[pd.DataFrame, list[Rejected]]:
    """The Manifest of what was decoded; what was not, and equal audio under both labels, is rejected."""
    results = [row for note in notes for row in note["rows"]]
    reasons = [row.get("reason", "") for row in results]
    rejected = rejected + [Rejected(p, r) for p, r in zip(table["path"], reasons, strict=True) if r]
    good = [not reason for reason in reasons]
    kept = table[good].reset_index(drop=True)
    for column in manifest.DECODED_COLUMNS:
        kept[column] = [row[column] for row in results if column in row]
    labels = kept.groupby("sha256")["label"].transform("nunique") if len(kept) else pd.Series(dtype=int)
    for checksum, group in kept[labels > 1].groupby("sha256", sort=False):
        names = " and ".join(f"{row.path} ({row.label})" for row in group.itertuples())
        rejected += [Rejected(path, f"the same audio under two labels: {names}") for path in group["path"]]
        kept = kept[kept["sha256"] != checksum]
    return kept.reset_index(drop=True), rejected


def _without_crossing_copies(table: pd.DataFrame, rejected: list[Rejected]) -> tuple[pd.DataFrame, list[Rejected]]:
    """Reject copies of audio that an earlier subset holds (train before dev before eval)."""
    rank = table["split"].map({name: i for i, name in enumerate(manifest.SUBSETS)})
    first = rank.groupby(table["sha256"]).transform("min")
    crossing = table[rank > first]
    reasons = [
        Rejected(row.path, f"the same audio as an utterance of {manifest.SUBSETS[first[row.Index]]}")
        for row in crossing.itertuples()
    ]
    return table.drop(crossing.index).reset_index(drop=True), rejected + reasons


def _finish(
    folder: Path,
    table: pd.DataFrame,
    rejected: list[Rejected],
    notes: list[dict],
    *,
    name: str,
    key: str,
    split_by: str,
) -> None:
    pd.DataFrame(rejected, columns=["path", "reason"]).to_csv(folder / store.REJECTED, index=False, errors="replace")
    table.to_parquet(folder / store.MANIFEST, index=False)
    shards = [{"file": note["file"], "sha256": note["sha256"]} for note in notes]
    index = {
        "name": name,
        "fingerprint": key,
        "split_by": split_by,
        "shards": shards,
        "manifest_sha256": files.sha256(folder / store.MANIFEST),
    }
    files.write_sealed(folder / store.INDEX, index)


def _name(config: Config) -> str:
    """What the Store is called: its corpus, or its corpora joined by +."""
    return "+".join(corpora.apart(config.corpus))


def _sources(table: pd.DataFrame) -> list:
    """What the Store depends on, summed up: each column of the Manifest, and size and time of each file."""
    stamps = [(status.st_size, status.st_mtime_ns) for status in map(os.stat, table["path"].to_numpy())]
    return [*([name, fingerprint(table[name].to_numpy().tolist())] for name in table), fingerprint(stamps)]


def _log(folder: Path, config: Config, clips_per_s: float, aside: bool) -> str:
    """The MLflow run of a Store: counts, durations, figures, what was rejected; returns its id."""
    import mlflow

    from pipeline import tracking
    from pipeline.reporting import store_figures
    from pipeline.store import shortcuts

    opened = store.Store.open(folder)
    figures = folder / "figures"
    shutil.rmtree(figures, ignore_errors=True)
    with ThreadPoolExecutor(1) as beside:  # drawing takes one core, and the audit does not always take the others
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
            "speakers": table["speaker"].nunique(),
            "attacks": table.loc[table["attack"] != "-", "attack"].nunique(),
            "hours": float(table["duration_s"].sum() / 3600),
            "speed/preprocess_clips_per_s": clips_per_s,
        }
        mlflow.log_metrics({k: float(v) for k, v in (counts | totals | shortcuts.mlflow_metrics(audit)).items()})
        groups = table.groupby(["split", "label", "attack", "speaker"])["duration_s"].agg(["size", "sum"])
        groups = groups.rename(columns={"size": "clips", "sum": "seconds"}).reset_index()
        mlflow.log_text(groups.to_csv(index=False), "counts.csv")
        mlflow.log_artifact(str(folder / store.REJECTED))
        mlflow.log_text(audit.to_csv(index=False), shortcuts.FILENAME)
        mlflow.log_artifacts(str(figures), "figures")
        return run.info.run_id


def summary(folder: Path) -> str:
    """Utterances by subset and class, what was rejected and why, the shortcut audit, and where the Store is."""
    from pipeline.store import shortcuts

    opened = store.Store.open(folder)
    table = pd.crosstab(opened.manifest["split"], opened.manifest["label"]).reindex(manifest.SUBSETS, fill_value=0)
    lines = [table.to_string(), f"split by {opened.split_by}"]
    rejected = pd.read_csv(folder / store.REJECTED, keep_default_na=False)
    kinds = rejected["reason"].str.split(":", n=1).str[0].value_counts()
    lines += [f"rejected {count}: {kind}" for kind, count in kinds.items()]
    if len(rejected):
        lines.append(f"each of them with its reason: {folder / store.REJECTED}")
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
