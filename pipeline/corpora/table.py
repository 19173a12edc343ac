"""A table of recordings: CSV, TSV or Parquet with ``path`` and ``label``, and any other column of the Manifest."""

import os
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pandas as pd

from pipeline.audio import SUFFIXES
from pipeline.common import tables
from pipeline.common.walk import unreadable
from pipeline.errors import CorpusError
from pipeline.store.manifest import Rejected


def read(data_dir: Path, parts: tuple[str, ...], label_one: str) -> tuple[pd.DataFrame, list[Rejected]]:
    """Rows of the table at ``data_dir``; rejected are those without a file or with contradicting labels.

    Paths are relative to the table's folder; a name without suffix stands for the one recording of that name. In a
    table of the page's answers the last one to a recording counts, and those without a label are left out. Raises
    ``CorpusError`` for a row without a label, a table none of whose paths is a file, and what ``tables.load`` refuses.
    """
    table = tables.load(data_dir, label_one)
    if "label" not in table:
        raise CorpusError(f"{data_dir}: column 'label' is missing; found {', '.join(table.columns)}")
    if "answer" in table:
        table = _answered(table, data_dir.name)
    unlabelled = table[table["label"] == ""]
    if len(unlabelled):
        first = unlabelled.iloc[0]["path"]
        raise CorpusError(
            f"{data_dir}: {len(unlabelled)} of {len(table)} rows have no label, the first {first}; label or remove them"
        )
    if "utterance_id" not in table:
        table["utterance_id"] = table["path"]
    if "split" in table:
        table = table[table["split"].isin((*parts, ""))]
    if table.empty:
        raise CorpusError(f"{data_dir}: no rows of {', '.join(parts)}")
    given = table["path"].to_numpy().tolist()
    absolute = _absolute(data_dir.parent, given)
    files = _files(absolute)
    if not any(files):
        raise CorpusError(
            f"{data_dir}: none of its {len(files)} paths is a file; the first, {given[0]!r}, was looked for at "
            f"{absolute[0]}: {_reason(given[0], data_dir.parent)}"
        )
    rejected = [
        Rejected(path, f"named in {data_dir.name}, but not there")
        for path, file in zip(absolute, files, strict=True)
        if not file
    ]
    table = table.assign(path=files)[[bool(file) for file in files]]
    contradicted = tables.two_labels(table)
    rejected += [Rejected(path, f"listed under two labels in {data_dir.name}") for path in table["path"][contradicted]]
    table = table[~contradicted]
    again = table.duplicated(["path", "utterance_id"])
    rejected += [Rejected(path, f"listed twice in {data_dir.name}, and read once") for path in table["path"][again]]
    return table[~again], rejected


def _answered(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Last answer to each recording that gives a label, see ``tables.ANSWERS``; prints what is left out."""
    last = table[~table["path"].duplicated(keep="last")]
    without = (last["label"] == "") & last["answer"].isin(tables.ANSWERS)
    counts = Counter(last["answer"][without])
    left_out = {"changed later": len(table) - len(last), **{answer: counts[answer] for answer in sorted(counts)}}
    if any(left_out.values()):
        shown = ", ".join(f"{count} {answer}" for answer, count in left_out.items() if count)
        print(f"{name}: {len(table) - len(last) + without.sum()} answers give no label: {shown}", file=sys.stderr)
    return last[~without]


def _absolute(folder: Path, names: list[str]) -> list[str]:
    """Absolute paths of names relative to a folder, links to folders followed."""
    # Files are many and folders few: each folder is resolved once.
    real = cache(lambda above: os.path.join(os.path.realpath(os.path.join(folder, above)), ""))
    ends = [name.rfind("/") + 1 for name in names]
    return [real(name[:end]) + name[end:] for name, end in zip(names, ends, strict=True)]


def _files(paths: list[str]) -> list[str]:
    """File that each path stands for; "" if there is none."""
    # Reading a folder costs less than a query per file.
    names = cache(_names)
    found = []
    for path in paths:
        end = path.rfind("/") + 1
        name = names(path[:end]).get(path[end:])
        found.append(path[:end] + name if name else "")
    return found


def _names(folder: str) -> dict[str, str]:
    """Files of a folder by name, and recordings by their name without suffix if only one has it."""
    try:
        with os.scandir(folder) as entries:
            # ``is_file`` of an entry raises for a link that leads in a circle.
            files = [e.name for e in entries if (os.path.isfile(e.path) if e.is_symlink() else e.is_file())]
    except PermissionError as error:
        raise unreadable(folder, error) from None
    except OSError:
        return {}
    stems = {name: stem for name in files for stem, suffix in [os.path.splitext(name)] if suffix.lower() in SUFFIXES}
    count = Counter(stems.values())
    return {stem: name for name, stem in stems.items() if count[stem] == 1} | {name: name for name in files}


def _reason(given: str, folder: Path) -> str:
    """Why a path of a table is likely not there, and the remedy."""
    if "://" in given:
        return "it is an address; download the recordings, and name them by path"
    if "\\" in given:
        return "its folders are separated by backslashes, as on Windows; write / instead"
    if given.startswith("~"):
        return "~ means nothing in a table; write the folder out"
    if given[:1] in "\"'":
        return "its quotation marks count as part of it; remove them"
    for base in (Path.cwd(), *folder.parents):
        if (base / given).is_file():
            return f"it is under {base}; paths are relative to the table's folder, so move the table there"
    tails = [Path(*Path(given).parts[first:]) for first in range(1, len(Path(given).parts))]
    for tail in tails:
        if (folder / tail).is_file():
            return f"{folder / tail} is there; paths are relative to the table's folder, so write {tail}"
    if given.startswith("/"):
        return "no such file on this machine; write the path that it has here"
    return "paths are relative to the table's folder; move the table to the folder that they start from"
