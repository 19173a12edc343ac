"""Tables of recordings (CSV, TSV, Parquet): columns, labels and subsets by the names that other tools give them."""

import csv
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from pipeline.config import BONAFIDE, SPOOF
from pipeline.errors import CorpusError

SEPARATORS = {".csv": ",", ".tsv": "\t"}
LABEL_WORDS = {
    **dict.fromkeys(("bonafide", "genuine", "real"), BONAFIDE),
    **dict.fromkeys(("spoof", "spoofed", "fake"), SPOOF),
}
"""Words for a class, in tables and as names of folders (see ``word``)."""
SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("dev", "development", "val", "valid", "validation"), "dev"),
    **dict.fromkeys(("eval", "evaluation", "test", "testing"), "eval"),
}
"""Words for a subset, in tables and as names of folders (see ``word``)."""
ANSWERS = {"live": BONAFIDE, "fake": SPOOF, "partly": "", "unknown": ""}
"""Answers of the page's visitors, and the label of each; two of them are none."""
ONE, ZERO = ("1", "1.0", "true"), ("0", "0.0", "false")
"""Labels that mean a class only by ``label_one``."""
COLUMN_NAMES = {
    "path": ("path", "filepath", "audiopath", "file", "filename", "audio", "wav", "utterance", "id"),
    "label": ("label", "target", "class", "key", "cmlabel"),
    "split": ("split", "subset", "partition"),
    "speaker": ("speaker", "speakerid"),
    **{name: (name.replace("_", ""),) for name in ("utterance_id", "attack", "spoof_start_s", "spoof_end_s")},
}
"""Names (see ``word``) of each column; the first that a table has is taken."""


def load(path: Path, label_one: str = "none") -> pd.DataFrame:
    """Read a table as text, with missing values as "", and print how its columns and words were understood.

    Columns have the Manifest's names, ``path`` is there, labels are bonafide, spoof or "", splits train, dev, eval or
    "". ``label_one`` is the class of the label 1, if any. Raises ``CorpusError`` for a table that cannot be read, an
    ambiguous or missing column, and an unknown word.
    """
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            read = pd.read_parquet(path)
            header = [str(name) for name in read.columns]
            # As objects, because a column of categories, of Int64 or of booleans cannot hold "".
            columns = [read[name].astype(object).where(read[name].notna(), "").astype(str) for name in read.columns]
            table = pd.concat(columns, axis=1) if columns else read
        elif suffix in SEPARATORS:
            header, *rows = _rows(path, SEPARATORS[suffix])
            table = pd.DataFrame(rows, columns=header, dtype=str)
        else:
            raise CorpusError(f"{path}: a table ends in .csv, .tsv or .parquet")
    except (OSError, ValueError, csv.Error) as error:
        raise CorpusError(f"{path}: cannot be read as a table: {error}") from None
    table.columns = [name.strip() or f"column {number}" for number, name in enumerate(header, start=1)]
    names = _understood(path, list(table.columns))
    if "path" not in names and "utterance_id" in names:
        names["path"] = names.pop("utterance_id")
    if "path" not in names:
        raise CorpusError(f"{path}: column 'path' is missing; found {', '.join(table.columns)}")
    binary: dict[str, str] = {}
    if label_one != "none":
        other = {BONAFIDE: SPOOF, SPOOF: BONAFIDE}[label_one]
        binary = dict.fromkeys(ONE, label_one) | dict.fromkeys(ZERO, other)
    words = {}
    for name, known in (("label", LABEL_WORDS | binary), ("split", SPLIT_WORDS)):
        if name in names:
            words[name] = _meanings(path, table, names, name, known)
            if words[name] is None:
                del names[name]
    table = table.rename(columns={given: name for name, given in names.items()})
    understood = []
    for name, given in names.items():
        meanings = words.get(name, {})
        table[name] = table[name].map(meanings) if meanings else table[name]
        changed = [f"{value}: {meaning}" for value, meaning in meanings.items() if meaning not in ("", value)]
        origin = name if name == given else f"{name} from column {given!r}"
        understood.append(f"{origin} ({', '.join(changed)})" if changed else origin)
    print(f"{path.name}: {len(table)} rows; {', '.join(understood)}", file=sys.stderr)
    return table


def word(text: str) -> str:
    """A name or label without what tools write differently: capitals, blanks, hyphens, underscores."""
    return re.sub(r"[\s_-]", "", text).lower()


def two_labels(table: pd.DataFrame) -> pd.Series:
    """Which rows have a path that the table lists under both labels."""
    pairs = table.loc[table["label"] != "", ["path", "label"]].drop_duplicates()
    return table["path"].isin(pairs.loc[pairs["path"].duplicated(), "path"])


def _rows(path: Path, separator: str) -> Iterator[list[str]]:
    """Cells of each row, the header first. Only CSV has quotes; in TSV a quote is a character as any other."""
    quoting = {"quoting": csv.QUOTE_NONE} if separator == "\t" else {"skipinitialspace": True}
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=separator, strict=True, **quoting)
        before, columns = 0, 0
        for row in reader:
            if reader.line_num != before + 1:
                raise CorpusError(
                    f"{path}, line {before + 1}: a cell holds a line break; check its quotation marks, or remove it"
                )
            before = reader.line_num
            columns = columns or len(row)
            if row and len(row) != columns:
                raise CorpusError(f"{path}, line {before}: {len(row)} cells instead of {columns}: {row}")
            if row:
                yield row
        if not columns:
            raise ValueError("it is empty")


def _understood(path: Path, given: list[str]) -> dict[str, str]:
    """Name of each known column to the name that the table gives it."""
    found = {}
    doubled = sorted({column for column in given if given.count(column) > 1})
    if doubled:
        raise CorpusError(f"{path}: two columns are called {doubled[0]!r}; rename one")
    for name, accepted in COLUMN_NAMES.items():
        matches = sorted((accepted.index(word(column)), column) for column in given if word(column) in accepted)
        ranks = [rank for rank, _ in matches]
        if ranks.count(ranks[0] if ranks else 0) > 1 or (name == "label" and len(ranks) > 1 and ranks[0]):
            both = " and ".join(repr(column) for _, column in matches)
            raise CorpusError(f"{path}: columns {both} could each be the {name}; call only one of them {name}")
        if matches:
            found[name] = matches[0][1]
    return found


def _meanings(
    path: Path, table: pd.DataFrame, names: Mapping[str, str], name: str, words: Mapping[str, str]
) -> dict[str, str] | None:
    """Label or subset of each value of a column; None for a column of another name with other words.

    Raises ``CorpusError`` for other words in a column of this name, and for labels of 1 and 0 without ``label_one``.
    """
    given = table[names[name]]
    meaning = {value: words.get(word(value), "") for value in given.unique()}
    unknown = next((value for value, known in meaning.items() if not known and value.strip()), None)
    if unknown is None:
        return meaning
    wrong = f"{path}: {name} {unknown!r} of {table[given == unknown].iloc[0][names['path']]}"
    if name == "label" and word(unknown) in (*ONE, *ZERO):
        raise CorpusError(f"{wrong} is no class; name that of 1 by --label_one {BONAFIDE} or --label_one {SPOOF}")
    if word(names[name]) == name:
        raise CorpusError(f"{wrong} is none of {', '.join(words)}")
    return None
