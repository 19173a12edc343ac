"""A table of recordings: CSV, TSV or Parquet with ``path`` and ``label``, and any other column of the Manifest."""

import os
from functools import cache
from pathlib import Path

import pandas as pd

from pipeline.common import tables
from pipeline.common.tables import LABEL_WORDS
from pipeline.errors import CorpusError
from pipeline.store import manifest
from pipeline.store.manifest import Rejected


def read(data_dir: Path, parts: tuple[str, ...]) -> tuple[pd.DataFrame, list[Rejected]]:
    """The Manifest of the table at ``data_dir``, and the rows whose file is not there.

    Paths are relative to the table's folder. Labels may be written as the folders of ``corpus=folder`` are named.
    Raises ``CorpusError`` for another kind of file, a missing column, or a label that is neither class.
    """
    table = tables.load(data_dir)
    for column in ("path", "label"):
        if column not in table:
            raise CorpusError(f"{data_dir}: column {column!r} is missing; found {', '.join(map(str, table.columns))}")
    wrong = table[~table["label"].isin(LABEL_WORDS)]
    if len(wrong):
        row = wrong.iloc[0]
        raise CorpusError(f"{data_dir}: label {row['label']!r} of {row['path']} is none of {', '.join(LABEL_WORDS)}")
    if "utterance_id" not in table:
        table["utterance_id"] = table["path"]
    table["label"] = table["label"].map(LABEL_WORDS)
    table["path"] = _absolute(data_dir.parent, table["path"].to_numpy().tolist())
    if "split" in table:
        table = table[table["split"].isin((*parts, "")) | ~table["split"].isin(manifest.SUBSETS)]
    there = _there(table["path"].to_numpy().tolist())
    rejected = [
        Rejected(path, f"named in {data_dir.name}, but not there") for path in table["path"][[not t for t in there]]
    ]
    return manifest.make(table[there], corpus="table"), rejected


def _absolute(folder: Path, names: list[str]) -> list[str]:
    """Names relative to a folder as absolute paths, links to folders followed."""
    # Files are many and folders few: what the name of a folder stands for is asked once.
    real = cache(lambda above: os.path.join(os.path.realpath(os.path.join(folder, above)), ""))
    ends = [name.rfind("/") + 1 for name in names]
    return [real(name[:end]) + name[end:] for name, end in zip(names, ends, strict=True)]


def _there(paths: list[str]) -> list[bool]:
    """Which of the paths are files."""
    # Reading a folder costs less than asking for each of its files.
    files = cache(lambda folder: frozenset(_files(folder)))
    return [path[end:] in files(path[:end]) for path in paths for end in [path.rfind("/") + 1]]


def _files(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            # A link is asked about by path, as ``is_file`` raises for one that leads round in a circle.
            return [e.name for e in entries if (os.path.isfile(e.path) if e.is_symlink() else e.is_file())]
    except OSError:
        return []
