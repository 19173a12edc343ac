"""Official lists of corpora: finding them in nested folders, splitting their lines, matching them with the audio."""

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType

from pipeline.audio import SUFFIXES
from pipeline.common.walk import files, walk
from pipeline.config import BONAFIDE, SPOOF
from pipeline.errors import CorpusError
from pipeline.store.manifest import Rejected

LABELS = {"bonafide": BONAFIDE, "spoof": SPOOF}
Reading = tuple[list[dict[str, str]], list[Rejected]]
"""Rows of the Manifest, and the recordings that are left out."""
NOTHING = ("-", "bonafide")
"""Values of the attack column for bonafide."""


def outermost(data_dir: Path, name: str, kind: str, remedy: str = "") -> Path:
    """The outermost file or folder of that name, which may hold folders (``CM/trial_metadata.txt``)."""
    found = next(_found(data_dir, name, kind), None)
    if found is None:
        remedy = remedy or "unpack it there or leave its part out of --parts"
        raise CorpusError(f"{data_dir}: {kind} {name} is missing; {remedy}")
    return found


def every(data_dir: Path, name: str, kind: str = "folder") -> list[Path]:
    """Every file or folder of that name; archives of one corpus may have been unpacked into several places."""
    return list(_found(data_dir, name, kind))


def beneath(data_dir: Path, wanted: Callable[[str], bool]) -> list[Path]:
    """Folders whose name is wanted, level by level; none inside another of them."""
    found = []
    for place, folders, _ in walk(data_dir, []):
        found += [Path(place, name) for name in folders if wanted(name)]
        folders[:] = [name for name in folders if not wanted(name)]
    return found


def _found(data_dir: Path, name: str, kind: str) -> Iterator[Path]:
    """Files or folders of that name, level by level; none inside another of them."""
    for place, folders, _ in walk(data_dir, []):
        path = Path(place, name)
        if path.is_dir() if kind == "folder" else path.is_file():
            yield path
            folders[:] = [inside for inside in folders if inside != name]


def lines(listing: Path) -> Iterator[tuple[str, str]]:
    """Each line with text, and its place for an error message."""
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
    cells: Callable[[str], list[str]] = str.split,
    header: tuple[str, ...] = (),
) -> list[dict[str, str]]:
    """Lines of a list by column, with their ``label``.

    Raises ``CorpusError`` for a wrong number of columns, an unknown key, a file listed twice, and an attack that
    contradicts the key.

    Parameters
    ----------
    columns : names of the columns, ``file`` and ``key`` among them.
    labels : label of each key.
    other_columns : error for a line with this other number of columns.
    cells : splits a line.
    header : cells of the first line, if it is no entry.
    """
    found: dict[str, dict[str, str]] = {}
    for number, (line, place) in enumerate(lines(listing)):
        values = cells(line)
        if header and number == 0:
            if tuple(values) != header:
                raise CorpusError(f"{place}: columns {','.join(values)} instead of {','.join(header)}")
            continue
        if len(values) != len(columns):
            wrong = f"{len(values)} columns instead of {len(columns)} ({' '.join(columns)}): {line!r}"
            raise CorpusError(f"{place}: {other_columns.get(len(values), wrong)}")
        entry = dict(zip(columns, values, strict=True)) | {"place": place}
        file, key, attack = entry["file"], entry["key"], entry.get("attack")
        if key not in labels:
            raise CorpusError(f"{place}: key {key!r} is neither {' nor '.join(labels)}")
        if file in found:
            raise CorpusError(f"{place}: {file} is listed twice")
        bonafide = labels[key] == BONAFIDE
        if attack is not None and (attack not in NOTHING if bonafide else attack == "bonafide"):
            raise CorpusError(f"{place}: the key is {key!r}, but the attack is {attack!r}")
        found[file] = entry | {"label": labels[key]}
    return list(found.values())


def csv_cells(line: str) -> list[str]:
    """Cells of a line of CSV."""
    return [cell.strip() for cell in next(csv.reader([line]))]


def parts(
    data_dir: Path,
    places: Mapping[str, tuple[str, str]],
    columns: tuple[str, ...],
    make_row: Callable[..., dict[str, str]],
    *,
    relative: bool = False,
    **options: Mapping,
) -> Reading:
    """Rows of the parts of a corpus, each with the names of its list and of its folder; see ``matched``.

    Parameters
    ----------
    make_row : makes the row of an entry, its path and its ``split``.
    relative : as in ``matched``.
    options : for ``entries``.
    """
    rows: list[dict[str, str]] = []
    rejected: list[Rejected] = []
    for part, (list_name, folder_name) in places.items():
        folders = every(data_dir, folder_name) or [outermost(data_dir, folder_name, "folder")]
        listed = outermost(data_dir, list_name, "file")
        found = entries(listed, columns, **options)
        found_rows, left = matched(listed, found, folders, partial(make_row, split=part), relative=relative)
        rows += found_rows
        rejected += left
    return rows, rejected


def matched(
    listing: Path,
    found: list[dict[str, str]],
    folders: Iterable[Path],
    make_row: Callable[[dict[str, str], Path], dict[str, str]],
    *,
    relative: bool = False,
) -> Reading:
    """Rows of the entries with audio; rejected are entries without, and audio that the list does not name.

    Parameters
    ----------
    found : entries; ``file`` is the name of the audio, with or without its suffix.
    folders : folders of the audio, at any depth.
    make_row : makes the row of an entry and its path.
    relative : entries name the audio by its path below a folder.
    """
    folders = list(folders)
    audio, rejected = audio_in(folders, relative=relative)
    names = {stem(entry["file"]): entry for entry in found}
    rows = [make_row(entry, audio[name]) for name, entry in names.items() if name in audio]
    rejected += [
        Rejected(str(folders[0] / entry["file"]), f"listed in {listing.name}, but not there")
        for name, entry in names.items()
        if name not in audio
    ]
    rejected += [
        Rejected(str(path), f"not listed in {listing.name}, so its label is unknown")
        for name, path in audio.items()
        if name not in names
    ]
    return rows, rejected


def row(
    entry: dict[str, str],
    path: Path,
    *,
    split: str,
    conditions: tuple[str, ...] = (),
    attack_names: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """Row of the Manifest of an entry whose columns have the Manifest's names."""
    return {
        "utterance_id": stem(entry["file"]),
        "path": str(path),
        "label": entry["label"],
        "split": split,
        "speaker": known(entry["speaker"]),
        "attack": known(entry.get("attack", "-")),
        "attack_name": attack_names.get(entry.get("attack", "-"), ""),
        **{name: known(entry[name]) for name in conditions},
    }


def by_folder(top: Path, describe: Callable[[tuple[str, ...]], dict[str, str] | None], *, prefix: str = "") -> Reading:
    """Rows of a corpus whose folders tell its labels; rejected is audio that ``describe`` returns ``None`` for.

    Parameters
    ----------
    top : folder of the recordings, at any depth.
    describe : label and all else that the parts of a path below ``top`` tell, without the suffix of the name.
    prefix : put before the path to make an identifier.
    """
    audio, rejected = audio_in([top], relative=True)
    rows = []
    for name, path in audio.items():
        told = describe(tuple(name.split(os.sep)))
        if told is None:
            rejected.append(Rejected(str(path), "in none of the folders that tell labels"))
        else:
            rows.append({"utterance_id": prefix + name, "path": str(path), **told})
    return rows, rejected


def audio_in(folders: Iterable[Path], *, relative: bool = False) -> tuple[dict[str, Path], list[Rejected]]:
    """Recordings in the folders at any depth by their name without suffix, in order; rejected is the second of a name.

    The suffix does not matter, as a corpus may have been converted from FLAC to WAV or back. With ``relative`` the
    name is the path below its folder.
    """
    left: list[tuple[str, str]] = []
    found: dict[str, Path] = {}
    named = [
        (os.path.relpath(path, folder) if relative else os.path.basename(path), path)
        for folder in folders
        for path in files(folder, left)
    ]
    for name, path in sorted(named, key=itemgetter(0)):
        if stem(name) == name:
            continue
        first = found.setdefault(stem(name), Path(path))
        if os.fspath(first) != path:
            left.append((path, f"called as {first}, which is read"))
    return found, [Rejected(*one) for one in left]


def stem(name: str) -> str:
    """The name of a file without its suffix if that is one of audio."""
    start, suffix = os.path.splitext(name)
    return start if suffix.lower() in SUFFIXES else name


def known(value: str) -> str:
    """Value of a column; "" for "-", which stands for none."""
    return "" if value == "-" else value
