"""Build a Store from a Manifest, on all cores or a Spark cluster, in bounded memory.

A worker decodes one shard at a time (``shards``) and renames it into place when it is complete, with a note of its
contents. A killed run resumes with the missing shards.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from pipeline.audio import NoteKind
from pipeline.common import files, parallel, spark
from pipeline.common.progress import track
from pipeline.common.spark import LOCAL, EngineOptions
from pipeline.config import Config
from pipeline.errors import StoreError
from pipeline.store import manifest, segments, shards, splits, store
from pipeline.store.manifest import Rejected
from pipeline.store.shards import Task

TWO_LABELS = "the same audio under two labels"
LATE = "spoof_start_s lies behind its end"


def build(
    table: pd.DataFrame,
    rejected: list[Rejected],
    config: Config,
    folder: Path,
    *,
    name: str,
    split_by: str,
    key: str,
    shard_clips: int | None = None,
    engine: EngineOptions = LOCAL,
) -> int:
    """Build the Store of a Manifest in ``folder``; returns the number of recordings that this call decoded.

    ``shard_clips`` is the number of recordings per shard; by default a 64th of the corpus, between 32 and 1,024.
    """
    size = shard_clips or min(max(len(table) // 64, 32), 1024)
    folder.mkdir(parents=True, exist_ok=True)
    taken = StoreError(f"{folder}: another process is making this Store; wait for it, or stop it")
    with files.locked(folder / ".lock", taken):
        paths = table["path"].tolist()
        reject = () if config.corpus.truncated == "keep" else (NoteKind.TRUNCATED,)
        tasks = [
            Task(str(folder), number, tuple(paths[first : first + size]), config.audio, reject)
            for number, first in enumerate(range(0, len(paths), size))
        ]
        missing = [task for task in tasks if not task.note.is_file()]
        done = len(paths) - sum(len(task.paths) for task in missing)
        for _ in track(_decoded(missing, engine), total=len(paths), what="preprocess", done=done):
            pass
        notes = [json.loads(task.note.read_text(encoding="utf-8")) for task in tasks]
        results = [row for note in notes for row in note["rows"]]
        kept, rejected = _collect(table, results, rejected)
        if kept.empty:
            raise StoreError(f"no recording of the corpus is usable{manifest.reasons(rejected)}")
        noted = [(path, *note) for path, row in zip(paths, results, strict=True) for note in row.get("notes", ())]
        _list(folder / store.NOTED, noted)
        kept = splits.assign(kept, split_by, seed=config.corpus.split_seed)
        kept, rejected = _without_crossing_copies(kept, rejected)
        _finish(folder, kept, rejected, notes, name=name, key=key, split_by=split_by)
        for task in tasks:
            task.note.unlink()
        for unfinished in folder.glob(f"*{files.UNFINISHED}"):  # left by attempts that were killed
            unfinished.unlink()
    return len(paths) - done


def _decoded(tasks: list[Task], engine: EngineOptions) -> Iterator[None]:
    """One item per decoded recording, shard by shard."""
    if not tasks:
        return
    if engine.engine == "spark":
        with spark.session(engine.master, "preprocess") as session:
            for decoded in spark.each(session, shards.make, tasks):
                yield from [None] * decoded
        return
    size = min(parallel.cores(), len(tasks))
    try:
        for decoded in parallel.in_order(parallel.workers(size), shards.make, tasks, ahead=parallel.AHEAD * size):
            yield from [None] * decoded
    except parallel.WorkerDiedError as error:
        first = error.waiting[0].paths
        raise StoreError(
            f"a process died at a recording from {first[0]} to {first[-1]} or in a shard after it, perhaps for want of "
            "memory; complete shards are kept, and the same command resumes"
        ) from None


def _collect(table: pd.DataFrame, results: list[dict], rejected: list[Rejected]) -> tuple[pd.DataFrame, list[Rejected]]:
    """Manifest of the decoded recordings.

    Rejected are the others, those whose segments lie behind their end, and equal audio under both labels.
    """
    refused = [Rejected(p, r["reason"], r["kind"]) for p, r in zip(table["path"], results, strict=True) if "kind" in r]
    rejected = rejected + refused
    kept = table[["kind" not in row for row in results]].reset_index(drop=True)
    for column in manifest.DECODED_COLUMNS:
        kept[column] = [row[column] for row in results if column in row]
    late = segments.beyond_end(kept)
    rejected += [
        Rejected(row.path, f"{LATE}: {row.spoof_start_s} in {row.duration_s:g} s", LATE)
        for row in kept[late].itertuples()
    ]
    kept = kept[~late].reset_index(drop=True)
    labels = kept.groupby("sha256")["label"].transform("nunique") if len(kept) else pd.Series(dtype=int)
    for checksum, group in kept[labels > 1].groupby("sha256", sort=False):
        names = " and ".join(f"{row.path} ({row.label})" for row in group.itertuples())
        rejected += [Rejected(path, f"{TWO_LABELS}: {names}", TWO_LABELS) for path in group["path"]]
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
    _list(folder / store.REJECTED, [(one.path, one.kind or one.reason, one.reason) for one in rejected])
    table.to_parquet(folder / store.MANIFEST, index=False)
    index = {
        "name": name,
        "fingerprint": key,
        "split_by": split_by,
        "shards": [{"file": note["file"], "sha256": note["sha256"]} for note in notes],
        "manifest_sha256": files.sha256(folder / store.MANIFEST),
    }
    files.write_sealed(folder / store.INDEX, index)


def _list(path: Path, rows: list[tuple[str, str, str]]) -> None:
    pd.DataFrame(rows, columns=["path", "kind", "reason"]).to_csv(path, index=False, errors="replace")
