"""Recordings to score from what the user names: files, folders, patterns, and tables that list files."""

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.audio import SUFFIXES
from pipeline.errors import ConfigError

TABLES = (".csv", ".tsv", ".parquet")


@dataclass(frozen=True, slots=True)
class Recording:
    """A file to score, with the label, speaker and attack of its table row; unknown is ""."""

    path: str
    label: str = ""
    speaker: str = ""
    attack: str = ""


def find(inputs: Sequence[str]) -> list[Recording]:
    """Recordings that the inputs name, in their order, each once.

    A folder stands for all files in it with an audio suffix, a pattern (``calls/*.wav``, with ``**`` for any depth)
    for the files that match it, and a table for its column ``path``, relative to the table's folder. Raises
    ``ConfigError`` for an input that names nothing.
    """
    found: dict[str, Recording] = {}
    for given in inputs:
        named = list(_named(given))
        if not named:
            raise ConfigError(f"nothing to score in {given}: name audio files, folders, patterns or tables of them")
        for recording in named:
            found.setdefault(recording.path, recording)
    if not found:
        raise ConfigError("nothing to score in no input: name audio files, folders, patterns or tables of them")
    return list(found.values())


def _named(given: str) -> Iterator[Recording]:
    place = Path(given).expanduser()
    if place.is_dir():
        found = sorted(path for path in place.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
        yield from (Recording(str(path)) for path in found)
    elif place.suffix.lower() in TABLES:
        yield from _listed(place)
    elif glob.has_magic(given) and not place.exists():
        matches = sorted(glob.glob(str(place), recursive=True))
        yield from (Recording(path) for path in matches if Path(path).is_file())
    else:
        yield Recording(str(place))


def _listed(table: Path) -> Iterator[Recording]:
    # pandas takes half a second to import; a single file does not need it.
    from pipeline.common import tables

    rows = tables.load(table)
    if "path" not in rows:
        raise ConfigError(f"{table}: column 'path' is missing; found {', '.join(map(str, rows.columns))}")
    columns = {name: rows[name] if name in rows else [""] * len(rows) for name in ("label", "speaker", "attack")}
    for path, label, speaker, attack in zip(rows["path"], *columns.values(), strict=True):
        if label and label not in tables.LABEL_WORDS:
            raise ConfigError(f"{table}: label {label!r} of {path} is none of {', '.join(tables.LABEL_WORDS)}")
        # Not resolved: following links would give the row another name.
        yield Recording(str(table.parent / path), tables.LABEL_WORDS.get(label, ""), speaker, attack)
