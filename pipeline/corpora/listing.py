"""What readers of official lists share: finding them in nested folders, splitting their lines, matching audio."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from pipeline.config import BONAFIDE, SPOOF
from pipeline.errors import CorpusError
from pipeline.store.manifest import Rejected

LABELS = {"bonafide": BONAFIDE, "spoof": SPOOF}
NOTHING = ("-", "bonafide")
"""What the attack column of bonafide holds."""
DEEPEST = 8
"""Folders inside one another that are searched, so that links in a circle end."""


def outermost(data_dir: Path, name: str, kind: str, remedy: str = "") -> Path:
    """The outermost file or folder of that name, which may hold folders (``CM/trial_metadata.txt``)."""
    found = next(_found(data_dir, name, kind), None)
    if found is None:
        remedy = remedy or "unpack it there or leave its part out of --parts"
        raise CorpusError(f"{data_dir}: {kind} {name} is missing; {remedy}")
    return found


def every(data_dir: Path, name: str) -> list[Path]:
    """Every folder of that name; a corpus that comes in several archives may have been unpacked into several places."""
    return list(_found(data_dir, name, "folder"))


def beneath(data_dir: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    """Folders that are wanted, level by level; what lies inside one of them is left alone."""
    found, level = [], [data_dir]
    for _ in range(DEEPEST):
        inside = [child for folder in level for child in _folders(folder)]
        found += [folder for folder in inside if wanted(folder)]
        level = [folder for folder in inside if not wanted(folder)]
    return found


def _found(data_dir: Path, name: str, kind: str) -> Iterator[Path]:
    """Files or folders of that name, level by level; what lies inside one of them is left alone."""
    level = [data_dir]
    for _ in range(DEEPEST):
        inside = []
        for folder in level:
            path = folder / name
            there = path.is_dir() if kind == "folder" else path.is_file()
            if there:
                yield path
            inside += [child for child in _folders(folder) if not (there and child == path)]
        level = inside


def _folders(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return sorted(folder / entry.name for entry in entries if entry.is_dir())


def lines(listing: Path) -> Iterator[tuple[str, str]]:
    """Each line that is not empty, and its place for an error message."""
    try:
        text = listing.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{listing}: not text in UTF-8 (byte {error.start}); unpack it again") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield line, f"{listing}, line {number}"


def entries(
    listing: Path,
    columns: tuple[str, ...],
    labels: Mapping[str, str] = MappingProxyType(LABELS),
    *,
    other_columns: Mapping[int, str] = MappingProxyType({}),
) -> list[dict[str, str]]:
    """The lines of a list, checked.

    Parameters
    ----------
    columns : names of the columns, ``file`` and ``key`` among them.
    labels : what each key means.
    other_columns : what a line with another number of columns means, in words.
    """
    found = []
    for line, place in lines(listing):
        values = line.split()
        if len(values) != len(columns):
            if len(values) in other_columns:
                raise CorpusError(f"{place}: {other_columns[len(values)]}")
            raise CorpusError(
                f"{place}: {len(values)} columns instead of {len(columns)} ({' '.join(columns)}): {line!r}"
            )
        found.append(dict(zip(columns, values, strict=True)) | {"place": place})
    return checked(found, labels)


def checked(found: list[dict[str, str]], labels: Mapping[str, str]) -> list[dict[str, str]]:
    """The entries; raises ``CorpusError`` for an unknown key, a file listed twice, an attack that contradicts it."""
    seen: set[str] = set()
    for entry in found:
        key, attack = entry["key"], entry.get("attack")
        if key not in labels:
            raise CorpusError(f"{entry['place']}: key {key!r} is neither {' nor '.join(labels)}")
        if entry["file"] in seen:
            raise CorpusError(f"{entry['place']}: {entry['file']} is listed twice")
        if attack is not None and (
            (labels[key] == BONAFIDE and attack not in NOTHING) or (labels[key] == SPOOF and attack == "bonafide")
        ):
            raise CorpusError(f"{entry['place']}: the key is {key!r}, but the attack is {attack!r}")
        seen.add(entry["file"])
    return found


def matched(
    listing: Path,
    found: list[dict[str, str]],
    folders: Iterable[Path],
    make_row: Callable[[dict[str, str], Path], dict[str, str]],
    *,
    suffix: str = ".flac",
) -> tuple[list[dict[str, str]], list[Rejected]]:
    """Rows of the entries whose audio is there, and those whose is not and the audio that the list does not name.

    Parameters
    ----------
    found : entries; ``file`` is the name of the audio, with or without its suffix.
    folders : where the audio lies, at any depth.
    make_row : makes the row of an entry and its path.
    """
    folders = list(folders)
    audio = audio_in(folders, suffix)
    names = {entry["file"].removesuffix(suffix) + suffix: entry for entry in found}
    rows = [make_row(entry, audio[name]) for name, entry in names.items() if name in audio]
    rejected = [
        Rejected(str(folders[0] / name), f"listed in {listing.name}, but not there")
        for name in names
        if name not in audio
    ]
    rejected += [
        Rejected(str(path), f"not listed in {listing.name}, so its label is unknown")
        for name, path in audio.items()
        if name not in names
    ]
    return rows, rejected


def row(entry: dict[str, str], path: Path, *, split: str, conditions: tuple[str, ...] = ()) -> dict[str, str]:
    """The Manifest's row of an entry whose columns are called as the Manifest's are."""
    return {
        "utterance_id": entry["file"],
        "path": str(path),
        "label": LABELS[entry["key"]],
        "split": split,
        "speaker": known(entry["speaker"]),
        "attack": known(entry.get("attack", "-")),
        **{name: known(entry[name]) for name in conditions},
    }


def audio_in(folders: Iterable[Path], suffix: str) -> dict[str, Path]:
    """Name to path of the files of that suffix, at any depth, in order."""
    found = {}
    for folder in folders:
        for top, _, names in os.walk(folder, followlinks=True):
            found |= {name: Path(top, name) for name in names if name.endswith(suffix)}
    return {name: path for name, path in sorted(found.items()) if path.is_file()}


def known(value: str) -> str:
    """A column's value; "" where the list says that there is none."""
    return "" if value == "-" else value
