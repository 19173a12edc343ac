"""Download of one large file over HTTP, resumed after breaks and checked against the published size and checksum.

Bytes go to ``NAME.part``; only a file that passed every check gets its name. A broken connection and a stopped program
both resume from the end of that file.
"""

import hashlib
import http.client
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from pipeline.common.progress import track
from pipeline.downloads.publishers import File
from pipeline.errors import DownloadError

CHUNK_BYTES = 1 << 20
ATTEMPTS = 5
"""Connections without a byte, in a row, after which the download fails."""
TIMEOUT_S = 60.0
PAUSE_S = 2.0
CHECKSUMS = ("md5", "sha256", "git")


def fetch(file: File, folder: Path, *, pause_s: float = PAUSE_S) -> Path:
    """Fetch the file into ``folder`` or resume it; raises ``DownloadError`` if it is not the published one.

    ``pause_s`` is the wait after a connection without a byte; it doubles with each further one.
    """
    target, part = folder / file.name, folder / f"{file.name}.part"
    failures = 0
    while True:
        before = _size(part)
        try:
            _receive(file, part)
            break
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError) and error.code < 500 and error.code not in (408, 429):
                raise DownloadError(f"{file.url}: {reason(error)}; check whether its page has moved it") from None
            failures = 0 if _size(part) > before else failures + 1
            if failures == ATTEMPTS:
                raise DownloadError(
                    f"{file.url}: {reason(error)}, {ATTEMPTS} times in a row after {_size(part):,} bytes; the same "
                    "command resumes there"
                ) from None
            time.sleep(pause_s * 2**failures if failures else 0)
    _verify(file, part)
    part.replace(target)
    _version(part).unlink(missing_ok=True)
    return target


def _receive(file: File, part: Path) -> None:
    """Append the missing bytes of the file to ``part``; raises ``OSError`` if the connection ends early."""
    have = _size(part)
    if file.size_bytes is not None and have > file.size_bytes:
        part.unlink()
        have = 0
    if have and have == file.size_bytes:
        return
    try:
        response = opened(file.url, _remaining(part, have) if have else {})
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        if file.size_bytes is None and error.headers.get("Content-Range") == f"bytes */{have}":
            return
        part.unlink()
        raise ConnectionError("the server has fewer bytes than were fetched; begun again") from None
    with response:
        start, total = _extent(file, response)
        _check_response(file, response, total)
        if start not in (0, have):
            raise DownloadError(f"{file.url}: bytes from {have:,} on were asked for, those from {start:,} on came")
        needed, free = total - start, shutil.disk_usage(part.parent).free
        if needed > free:
            raise DownloadError(f"{part.parent}: {needed:,} bytes are needed, {free:,} free")
        chunks, done = -(-total // CHUNK_BYTES), start // CHUNK_BYTES
        if not start:
            _version(part).write_text(response.headers.get("ETag", ""), encoding="utf-8")
        with part.open("ab" if start else "wb") as sink:
            for chunk in track(_chunks(response, needed), total=chunks, what=file.name, unit="MiB", done=done):
                sink.write(chunk)
    if _size(part) < total:
        raise ConnectionError(f"the connection ended after {_size(part):,} of {total:,} bytes")


def _remaining(part: Path, have: int) -> dict[str, str]:
    """Headers that ask for the missing bytes, or for all bytes if the server has another version of the file."""
    tag = _version(part).read_text(encoding="utf-8") if _version(part).is_file() else ""
    same = {"If-Range": tag} if tag and not tag.startswith("W/") else {}
    return {"Range": f"bytes={have}-", **same}


def _version(part: Path) -> Path:
    """File with the server's tag for the version of a partial file."""
    return part.with_name(f"{part.name}.etag")


def _chunks(response: http.client.HTTPResponse, needed: int) -> Iterator[bytes]:
    while needed > 0 and (chunk := response.read(min(CHUNK_BYTES, needed))):
        needed -= len(chunk)
        yield chunk


def _extent(file: File, response: http.client.HTTPResponse) -> tuple[int, int]:
    """First byte of the answer and length of the whole file; a server that cannot resume sends the whole file."""
    ranged = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
    if response.status == 206 and ranged:
        return int(ranged[1]), int(ranged[2])
    length = response.headers.get("Content-Length") or str(file.size_bytes)
    if not length.isdecimal():
        raise DownloadError(f"{response.url}: the server does not state the length of the file; download it by hand")
    return 0, int(length)


def _check_response(file: File, response: http.client.HTTPResponse, total: int) -> None:
    if file.url.startswith("https:") and not response.url.startswith("https:"):
        raise DownloadError(f"{file.url}: leads to {response.url}, which is not encrypted")
    kind = response.headers.get_content_type()
    if kind == "text/html" and not file.name.endswith((".html", ".htm")):
        raise DownloadError(
            f"{file.url}: the server answers with a web page, not with {file.name}; download it by hand"
        )
    if file.size_bytes is not None and total != file.size_bytes:
        raise DownloadError(
            f"{file.url}: the server has {total:,} bytes where {file.size_bytes:,} were published: another file"
        )


def _verify(file: File, part: Path) -> None:
    if not file.checksum:
        return
    method, _, published = file.checksum.partition(":")
    if method not in CHECKSUMS:
        raise DownloadError(f"{file.url}: checksum {file.checksum!r} is none of {', '.join(CHECKSUMS)}")
    found = _digest(part, method)
    if found != published.lower():
        part.unlink()
        raise DownloadError(
            f"{file.url}: {method} {found} where {published} was published; the file was deleted, so the same command "
            "begins again"
        )


def _digest(path: Path, method: str) -> str:
    with path.open("rb") as source:
        if method == "git":  # a file's name in Git: SHA-1 of its kind, size and contents
            return hashlib.sha1(b"blob %d\0" % _size(path) + source.read()).hexdigest()
        return hashlib.file_digest(source, method).hexdigest()


def opened(
    url: str, headers: Mapping[str, str] = MappingProxyType({}), *, timeout_s: float = TIMEOUT_S
) -> http.client.HTTPResponse:
    """Answer of a server to a request with these headers; raises ``OSError`` if it refuses or is silent for long."""
    request = urllib.request.Request(url, headers={"User-Agent": "spoof-detector", **headers})
    return urllib.request.urlopen(request, timeout=timeout_s)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def reason(error: Exception) -> str:
    """Why a request failed, for messages."""
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answers {error.code} {error.reason}"
    return str(getattr(error, "reason", error) or type(error).__name__)
