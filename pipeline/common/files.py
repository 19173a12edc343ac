"""Files that are there whole or not at all, checksums, JSON that holds its own checksum, and locks between processes.

A file or folder is written under the name ``<name>.part`` and renamed when it is complete, so a kill at any moment
leaves the old one or the new one. Only where two folders cannot change names at once (macOS, NFS) may a kill between
two renames leave the old folder as ``<name>.old``.
"""

import ctypes
import fcntl
import hashlib
import json
import math
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pipeline.errors import ProjectError

UNFINISHED = ".part"
AT_FDCWD, RENAME_EXCHANGE = -100, 2
"""Constants of Linux for ``renameat2``."""
SEAL = "checksum"
"""Key of a sealed file that holds the checksum of all the others."""


class BrokenSealError(ValueError):
    """A sealed file differs from what was written."""


@contextmanager
def whole_file(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Yield the name to write a file under; it takes the place of ``path`` when the block ends without an error.

    With ``shared`` each attempt gets a separate name, for a file that several processes may write at once.
    """
    unfinished = path.with_name(f"{path.name}.{uuid.uuid4().hex}{UNFINISHED}" if shared else f"{path.name}{UNFINISHED}")
    yield unfinished
    unfinished.replace(path)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; it takes the place of ``folder`` when the block ends without an error."""
    unfinished, old = (folder.with_name(f"{folder.name}{suffix}") for suffix in (UNFINISHED, ".old"))
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    yield unfinished
    if _exchange(unfinished, folder):
        shutil.rmtree(unfinished, ignore_errors=True)  # now the replaced folder
    else:
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
        unfinished.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange the names of two folders in one step (Linux, ``renameat2``); false if that cannot be done here."""
    try:
        rename = ctypes.CDLL(None).renameat2
    except AttributeError:
        return False
    return rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0


def append(path: Path, text: str, *, header: str = "", max_bytes: float = math.inf) -> None:
    """Append lines to a file that several processes may share; each call's lines stay whole and together.

    ``header`` opens a new file. A file that would grow beyond ``max_bytes`` is first renamed to ``<name>.1``, in place
    of an older one, so both together stay below twice that size.
    """
    while True:
        with path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Another process may have renamed the file while this one waited.
            if not path.exists() or not os.path.samestat(path.stat(), os.fstat(file.fileno())):
                continue
            size = os.fstat(file.fileno()).st_size
            if size and size + len(text.encode()) > max_bytes:
                path.replace(path.with_name(f"{path.name}.1"))
                continue
            file.write(((header if not size else "") + text).encode())
            return


def write_json(path: Path, values: object, *, shared: bool = False) -> None:
    """Write values as JSON, whole or not at all."""
    with whole_file(path, shared=shared) as unfinished:
        unfinished.write_text(json.dumps(values, indent=1), encoding="utf-8")


def sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_sealed(path: Path, values: dict[str, object]) -> None:
    """Write values as JSON with their checksum, which finds damage such as one flipped bit of a threshold.

    It does not find malice: anyone who can write the file can write its checksum too.
    """
    kept = {name: value for name, value in values.items() if name != SEAL}
    write_json(path, kept | {SEAL: _checksum(kept)})


def read_sealed(path: Path) -> dict[str, object]:
    """Values of a sealed file; raises ``BrokenSealError`` if they are not those that were written.

    Files without a checksum are accepted; callers that require one check ``SEAL``.
    """
    values = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise BrokenSealError(f"it holds {type(values).__name__} in place of names and values")
    if SEAL in values and values[SEAL] != _checksum({n: v for n, v in values.items() if n != SEAL}):
        raise BrokenSealError("its checksum is not that of its contents, so it is damaged or was changed")
    return values


def lock(file: IO, otherwise: ProjectError) -> None:
    """Lock an open file until it is closed; raises ``otherwise`` if another process holds the lock.

    The system releases the lock however its holder ends, so a kill leaves none behind.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise otherwise from None


@contextmanager
def locked(path: Path, otherwise: ProjectError) -> Iterator[None]:
    """Hold the lock of ``path``, an empty file that stays, inside the block; raises as ``lock`` does."""
    with path.open("w") as file:
        lock(file, otherwise)
        yield


def _checksum(values: dict[str, object]) -> str:
    """SHA-256 of the values, independent of their layout."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
