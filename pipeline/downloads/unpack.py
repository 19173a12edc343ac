"""Unpacking of archives from elsewhere: nothing outside the folder, no links or devices, nothing far beyond their size.

Files go to a folder aside first and from there into place, so an archive that is refused or damaged leaves nothing.
"""

import bz2
import errno
import gzip
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from pipeline.errors import DownloadError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2")
CHUNK_BYTES = 1 << 20
RATIO, FLOOR_BYTES = 50, 64 << 20
"""An archive may unpack to this multiple of its size, and to this many bytes in any case."""
DAMAGE = (None, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG)
"""Errors that are the archive's: decompression sets none, the others are of names that exclude one another."""
Member = tuple[str, BinaryIO]
"""Name and contents of a file in an archive."""


def is_archive(path: Path) -> bool:
    """Whether ``unpack`` knows the kind of the file, by its name."""
    return path.name.lower().endswith(SUFFIXES)


def unpack(archive: Path, folder: Path) -> int:
    """Unpack into ``folder``, all or nothing; returns the number of files. Raises ``DownloadError`` otherwise."""
    aside = folder / f".{archive.name}.unpacking"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    members = _zip_members if archive.name.lower().endswith(".zip") else _tar_members
    count = 0
    try:
        for name, source in members(archive, max(RATIO * archive.stat().st_size, FLOOR_BYTES)):
            target = aside / _safe(archive, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as sink:
                shutil.copyfileobj(source, sink, CHUNK_BYTES)
            count += 1
        _move(aside, folder)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, ValueError, NotImplementedError) as error:
        raise DownloadError(f"{archive}: damaged ({error}); delete it and download it again") from None
    except OSError as error:
        if error.errno not in DAMAGE:
            raise
        raise DownloadError(f"{archive}: damaged ({error}); delete it and download it again") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return count


def _safe(archive: Path, name: str) -> PurePosixPath:
    """The name as a path inside a folder."""
    path = PurePosixPath(name)
    odd = "\\" in name or "\0" in name or not name.isprintable() or (path.parts and path.parts[0].endswith(":"))
    if path.is_absolute() or ".." in path.parts or not path.parts or odd:
        raise DownloadError(f"{archive}: a file is called {name!r}, which leads out of the folder; not unpacked")
    return path


def _zip_members(archive: Path, most_bytes: int) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as opened:
        infos = [info for info in opened.infolist() if not info.is_dir()]
        for info in infos:
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
                raise _linked(archive, info.filename)
            if info.flag_bits & 1:
                raise DownloadError(f"{archive}: {info.filename!r} is encrypted; not unpacked")
        if sum(info.file_size for info in infos) > most_bytes:
            raise _too_large(archive, most_bytes)
        for info in infos:
            with opened.open(info) as source:  # which reads no more than the size that was summed
                yield info.filename, source


def _tar_members(archive: Path, most_bytes: int) -> Iterator[Member]:
    name = archive.name.lower()
    opener = gzip.open if name.endswith((".gz", ".tgz")) else bz2.open if name.endswith(".bz2") else open
    with opener(archive, "rb") as raw:
        limited = _Limited(raw, archive, most_bytes)
        with tarfile.open(fileobj=limited, mode="r|") as opened:
            for member in opened:
                if member.isdir():
                    continue
                if not member.isreg() or member.issparse():
                    raise _linked(archive, member.name)
                with opened.extractfile(member) as source:
                    yield member.name, source
                opened.members.clear()  # the headers of a million files fill memory
        while limited.read(CHUNK_BYTES):
            pass  # the checksum of compressed data is at its end


class _Limited:
    """File that raises ``DownloadError`` after ``most_bytes``, headers of an archive included."""

    def __init__(self, file: BinaryIO, archive: Path, most_bytes: int) -> None:
        self._file, self._archive, self._most_bytes = file, archive, most_bytes

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        if self._file.tell() > self._most_bytes:
            raise _too_large(self._archive, self._most_bytes)
        return data


def _linked(archive: Path, name: str) -> DownloadError:
    return DownloadError(f"{archive}: {name!r} is a link or device, not a file; not unpacked")


def _too_large(archive: Path, most_bytes: int) -> DownloadError:
    return DownloadError(f"{archive}: unpacks to more than {most_bytes:,} bytes, far more than its own size")


def _move(aside: Path, folder: Path) -> None:
    """Move a tree into place, over existing files; raises if a link in ``folder`` leads out of it."""
    root = folder.resolve()
    for top, _, names in os.walk(aside):
        target = folder / Path(top).relative_to(aside)
        if not target.resolve().is_relative_to(root):
            raise DownloadError(f"{target}: a link leads out of {folder}; unpack into another folder")
        target.mkdir(parents=True, exist_ok=True)
        for name in names:
            os.replace(Path(top, name), target / name)
