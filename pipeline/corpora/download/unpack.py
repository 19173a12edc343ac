"""Unpacking an archive from a stranger: nothing lands outside the folder, and nothing grows without bound.

Links, devices, absolute and rising names and oversized contents end it, before or while it is unpacked, and leave
nothing behind: everything goes to a folder aside first, and from there into place.
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
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from pipeline.errors import DownloadError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2")
CHUNK_BYTES = 1 << 20
DAMAGE = (None, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG)
"""What is wrong where the archive is: decompression says None, the others are names that exclude one another."""
LARGEST_READ_BYTES = 64 << 20
"""Most that is read at once: an archive may claim that the name of a file is gigabytes long."""


@dataclass(frozen=True)
class Limits:
    """How much an archive may hold: ``ratio`` times its own size, ``floor_bytes`` at least, and so many files."""

    ratio: float = 50.0
    floor_bytes: int = 64 << 20
    members: int = 5_000_000

    def bytes_of(self, archive: Path) -> int:
        """Most that the archive may unpack to."""
        return max(int(self.ratio * archive.stat().st_size), self.floor_bytes)


def is_archive(path: Path) -> bool:
    """Whether the name is one that can be unpacked."""
    return path.name.lower().endswith(SUFFIXES)


def unpack(archive: Path, folder: Path, limits: Limits = Limits()) -> int:
    """Unpack into ``folder``, all or nothing; returns the number of files. Raises ``DownloadError`` otherwise."""
    aside = folder / f".{archive.name}.unpacking"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    members = _zip_members if archive.name.lower().endswith(".zip") else _tar_members
    try:
        count = _write(archive, members(archive, limits), aside, limits)
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


Member = tuple[str, int, BinaryIO]
"""Name, stated size and contents of a file in an archive."""


def _write(archive: Path, members: Iterator[Member], aside: Path, limits: Limits) -> int:
    left, most = limits.bytes_of(archive), limits.bytes_of(archive)
    written: set[Path] = set()
    for name, size, source in members:
        target = aside / _safe(archive, name)
        if len(written) == limits.members:
            raise DownloadError(f"{archive}: holds more than {limits.members:,} files")
        if size > left:
            raise DownloadError(f"{archive}: unpacks to more than {most:,} bytes, far more than its own size")
        if size > shutil.disk_usage(aside).free:
            raise DownloadError(f"{aside.parent}: the disk is too full for {name} of {archive.name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as sink:
            got = 0
            while chunk := source.read(min(CHUNK_BYTES, size + 1 - got)):
                got += len(chunk)
                if got > size:
                    raise DownloadError(f"{archive}: {name} is longer than the {size:,} bytes that it claims")
                sink.write(chunk)
        if got < size:
            raise DownloadError(f"{archive}: damaged ({name} ends early); delete it and download it again")
        left -= size
        written.add(target)
    return len(written)


def _safe(archive: Path, name: str) -> PurePosixPath:
    """The name as a path inside a folder."""
    path = PurePosixPath(name)
    odd = "\\" in name or "\0" in name or not name.isprintable() or (path.parts and path.parts[0].endswith(":"))
    if path.is_absolute() or ".." in path.parts or not path.parts or odd:
        raise DownloadError(f"{archive}: a file is called {name!r}, which leads out of the folder; not unpacked")
    return path


def _zip_members(archive: Path, limits: Limits) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as opened:
        infos = [info for info in opened.infolist() if not info.is_dir()]
        for info in infos:
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG):
                raise DownloadError(f"{archive}: {info.filename!r} is a link or device, not a file; not unpacked")
            if info.flag_bits & 1:
                raise DownloadError(f"{archive}: {info.filename!r} is encrypted; not unpacked")
        if sum(info.file_size for info in infos) > limits.bytes_of(archive):
            most = limits.bytes_of(archive)
            raise DownloadError(f"{archive}: unpacks to more than {most:,} bytes, far more than its own size")
        for info in infos:
            with opened.open(info) as source:
                yield info.filename, info.file_size, source


def _tar_members(archive: Path, limits: Limits) -> Iterator[Member]:
    # Headers and padding count too: an archive of nothing but headers is a bomb as well.
    most = limits.bytes_of(archive) + 2048 * min(limits.members, archive.stat().st_size)
    with _decompressed(archive) as raw:
        bounded = _Bounded(raw, archive, most)
        yield from _files(archive, bounded)
        while bounded.read(CHUNK_BYTES):
            pass  # the checksum of what was compressed stands at its end


def _files(archive: Path, bounded: "_Bounded") -> Iterator[Member]:
    with tarfile.open(fileobj=bounded, mode="r:") as opened:
        for member in opened:
            if member.isdir():
                continue
            if not member.isreg() or member.issparse():
                raise DownloadError(f"{archive}: {member.name!r} is a link or device, not a file; not unpacked")
            with opened.extractfile(member) as source:
                yield member.name, member.size, source
            opened.members.clear()  # a million headers need not be remembered


def _decompressed(archive: Path) -> BinaryIO:
    name = archive.name.lower()
    opener = gzip.open if name.endswith((".gz", ".tgz")) else bz2.open if name.endswith(".bz2") else open
    return opener(archive, "rb")


class _Bounded:
    """A file that ends in an error after so many bytes, and refuses to read very much at once."""

    def __init__(self, file: BinaryIO, archive: Path, limit: int) -> None:
        self._file, self._archive, self._limit = file, archive, limit

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= LARGEST_READ_BYTES:
            raise DownloadError(f"{self._archive}: holds a header of {size:,} bytes; not unpacked")
        data = self._file.read(size)
        self._check(self._file.tell())
        return data

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET:
            self._check(position)
        return self._file.seek(position, whence)

    def tell(self) -> int:
        return self._file.tell()

    def _check(self, position: int) -> None:
        if position > self._limit:
            raise DownloadError(
                f"{self._archive}: unpacks to more than {self._limit:,} bytes, far more than its own size"
            )


def _move(aside: Path, folder: Path) -> None:
    """Move a tree into place, over what is there; raises where a link in ``folder`` would lead it out."""
    root = folder.resolve()
    for top, _, names in os.walk(aside):
        target = folder / Path(top).relative_to(aside)
        if not target.resolve().is_relative_to(root):
            raise DownloadError(f"{target}: a link leads out of {folder}; unpack into another folder")
        target.mkdir(parents=True, exist_ok=True)
        for name in names:
            os.replace(Path(top, name), target / name)
