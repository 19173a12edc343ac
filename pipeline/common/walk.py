"""Walk of a folder at any depth: links to folders are followed, each real folder is read once."""

import os
from collections.abc import Iterator

from pipeline.errors import CorpusError


def walk(top: str | os.PathLike, left: list[tuple[str, str]]) -> Iterator[tuple[str, list[str], list[str]]]:
    """Each folder with the sorted names of its folders and files, level by level, links last.

    A folder removed from the list of folders is not entered. Links in a circle, links to nothing, and whatever is
    neither file nor folder are added to ``left`` with the reason. Raises ``CorpusError`` for an unreadable folder.
    """
    seen = {
        _identity(above): above for place in (os.path.realpath(top), os.path.abspath(top)) for above in _above(place)
    }
    level = [os.fspath(top)]
    while level:
        below = []
        for place in level:
            known = seen.setdefault(_identity(place), place)
            if known != place:
                left.append((place, f"leads to {known}, which is read once"))
                continue
            folders, links, files = [], [], []
            for entry in _entries(place):
                kind = _kind(entry)
                if kind == "folder":
                    (links if entry.is_symlink() else folders).append(entry.name)
                elif kind == "file":
                    files.append(entry.name)
                else:
                    left.append((entry.path, "a link to nothing" if entry.is_symlink() else "no regular file"))
            folders += links
            yield place, folders, files
            below += [os.path.join(place, name) for name in folders]
        level = below


def files(top: str | os.PathLike, left: list[tuple[str, str]]) -> Iterator[str]:
    """Paths of all files in a folder, as ``walk`` finds them."""
    for place, _, names in walk(top, left):
        yield from (os.path.join(place, name) for name in names)


def _above(place: str) -> Iterator[str]:
    """Folders that hold the folder: a link to one of them is a circle."""
    while (place := os.path.dirname(place)) != os.path.dirname(place):
        yield place
    yield place


def _identity(place: str) -> tuple[int, int]:
    try:
        status = os.stat(place)
    except OSError as error:
        raise unreadable(place, error) from None
    return status.st_dev, status.st_ino


def _entries(place: str) -> list[os.DirEntry]:
    try:
        with os.scandir(place) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise unreadable(place, error) from None


def unreadable(place: str, error: OSError) -> CorpusError:
    """Error for a folder that the system does not let this process read."""
    return CorpusError(f"{place}: the folder cannot be read ({error.strerror}); allow it, or move the folder elsewhere")


def _kind(entry: os.DirEntry) -> str:
    try:
        return "folder" if entry.is_dir() else "file" if entry.is_file() else ""
    except OSError:  # a link that leads to itself
        return ""
