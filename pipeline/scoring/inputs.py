"""Recordings to score from what the user names: files, folders, patterns, and tables that list files."""

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.audio import SUFFIXES
from pipeline.common import walk
from pipeline.errors import ConfigError

TABLES = (".csv", ".tsv", ".parquet")


@dataclass(frozen=True, slots=True)
class Recording:
    """A file to score, with the label, speaker and attack of its table row; unknown is ""."""

    path: str
    label: str = ""
    speaker: str = ""
    attack: str = ""


def find(inputs: Sequence[str], label_one: str = "none") -> list[Recording]:
    """Recordings that the inputs name, in their order, each once.

    A folder stands for all files in it with an audio suffix, a pattern (``calls/*.wav``, with ``**`` for any depth)
    for the files that match it, and a table for its column ``path``, relative to the table's folder; ``label_one`` is
    the class of its label 1. Raises ``ConfigError`` for an input that names nothing.
    """
    found: dict[str, Recording] = {}
    for given in inputs:
        named = list(_named(given, label_one))
        if not named:
            raise ConfigError(f"nothing to score in {given}: name audio files, folders, patterns or tables of them")
        for recording in named:
            found.setdefault(recording.path, recording)
    if not found:
        raise ConfigError("nothing to score in no input: name audio files, folders, patterns or tables of them")
    return list(found.values())


def _named(given: str, label_one: str) -> Iterator[Recording]:
    place = Path(given).expanduser()
    if place.is_dir():
        left: list[tuple[str, str]] = []
        found = sorted(Path(path) for path in walk.files(place, left))
        for path, reason in left:
            print(f"left out: {path}: {reason}", file=sys.stderr)
        yield from (Recording(str(path)) for path in found if path.suffix.lower() in SUFFIXES)
    elif place.suffix.lower() in TABLES:
        yield from _listed(place, label_one)
    elif glob.has_magic(given) and not place.exists():
        matches = sorted(glob.glob(str(place), recursive=True))
        yield from (Recording(path) for path in matches if Path(path).is_file())
    else:
        yield Recording(str(place))


def _listed(table: Path, label_one: str) -> Iterator[Recording]:
    # pandas takes half a second to import; a single file does not need it.
    from pipeline.common import tables

    rows = tables.load(table, label_one)
    columns = {name: rows[name] if name in rows else [""] * len(rows) for name in ("label", "speaker", "attack")}
    rows = rows.assign(**columns)
    contradicted = tables.two_labels(rows)
    if contradicted.any():
        print(
            f"{table}: without a label, as listed under two: {', '.join(set(rows['path'][contradicted]))}",
            file=sys.stderr,
        )
        rows.loc[contradicted, "label"] = ""
    for path, label, speaker, attack in zip(*(rows[name] for name in ("path", *columns)), strict=True):
        # Not resolved: following links would give the row another name.
        yield Recording(_suffixed(str(table.parent / path)), label, speaker, attack)


def _suffixed(path: str) -> str:
    """The path; for a name without suffix that of the one recording of this name."""
    if os.path.splitext(path)[1].lower() in SUFFIXES or os.path.exists(path):
        return path
    found = [path + suffix for suffix in SUFFIXES if os.path.isfile(path + suffix)]
    return found[0] if len(found) == 1 else path
