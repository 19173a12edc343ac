"""Inputs of ``score``: files, folders, patterns, and tables that list files."""

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
NO_RECORDING = "no suffix of a recording"
NAMED = 10
"""Inputs left out for one reason that are listed by name; more are only counted."""
Left = list[tuple[str, str]]
"""Path of each input that is left out, and the reason."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A file to score, with the label, speaker and attack of its table row; unknown is ""."""

    path: str
    label: str = ""
    speaker: str = ""
    attack: str = ""


def find(inputs: Sequence[str], label_one: str = "none") -> list[Recording]:
    """Recordings that the inputs name, in order, each once.

    A folder stands for all files in it with an audio suffix. A pattern (``calls/*.wav``, with ``**`` for any depth)
    stands for the files and folders that match it. A table stands for its column ``path``, relative to the table's
    folder; ``label_one`` is the class of its label 1. Other files of a folder are counted and named on standard error.
    Raises ``ConfigError`` for an input that names nothing.
    """
    if not inputs:
        raise ConfigError("--input: name audio files, folders, patterns or tables of them")
    found: dict[str, Recording] = {}
    left: Left = []
    for given in inputs:
        named = list(_named(given, label_one, left))
        if not named:
            _report(left)
            raise ConfigError(f"nothing to score in {given}: name audio files, folders, patterns or tables of them")
        for recording in named:
            known = found.setdefault(recording.path, recording)
            if known is recording:
                continue
            contradicts = known.label and recording.label not in ("", known.label)
            left.append((recording.path, "given before" + ", with another label" * bool(contradicts)))
            if not known.label:
                found[recording.path] = recording
    _report([(path, reason) for path, reason in left if reason != NO_RECORDING or path not in found])
    return list(found.values())


def _named(given: str, label_one: str, left: Left) -> Iterator[Recording]:
    place = Path(os.path.expanduser(given))
    if os.path.isdir(place):
        for path in sorted(Path(path) for path in walk.files(place, left)):
            if path.suffix.lower() in SUFFIXES:
                yield Recording(str(path))
            else:
                left.append((str(path), NO_RECORDING))
    elif place.suffix.lower() in TABLES:
        yield from _listed(place, label_one)
    elif glob.has_magic(given) and not os.path.exists(place):
        matches = sorted(glob.glob(str(place), recursive=True))
        read: dict[str, str] = {}
        for folder in sorted({os.path.dirname(path) for path in matches}, key=lambda name: (len(name), name)):
            known = read.setdefault(os.path.realpath(folder), folder)
            if known != folder:  # by a link, which "**" follows even in a circle
                left.append((folder, f"leads to {known}, which is read once"))
        for path in (path for path in matches if os.path.dirname(path) in read.values()):
            if os.path.isfile(path):
                yield Recording(path)
            elif "**" not in given:
                yield from _named(path, label_one, left)
    else:
        yield Recording(str(place))


def _report(left: Left) -> None:
    for reason in dict.fromkeys(reason for _, reason in left):
        paths = [path for path, other in left if other == reason]
        more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
        print(f"left out {len(paths)}, {reason}: {', '.join(paths[:NAMED])}{more}", file=sys.stderr)


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
