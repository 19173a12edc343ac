"""Download of one large file over HTTP, resumed after breaks and checked against the published size and checksum.

Bytes go to ``NAME.part``; only a file that passed every check gets its name. A broken connection and a stopped program
both resume from the end of that file.
"""

import hashlib
import http.client
import json
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from pipeline.common.progress import track
from pipeline.corpora.download.publishers import File
from pipeline.errors import DownloadError

ZENODO = "https://zenodo.org"
CHUNK_BYTES = 1 << 20
ATTEMPTS = 5
"""Connections without a byte, in a row, after which the download fails."""
TIMEOUT_S = 60.0
PAUSE_S = 2.0
RECORD_BYTES = 8 << 20
"""Limit on the length of a record's description."""


def record_files(record: str, *, zenodo: str = ZENODO) -> list[File]:
    """Files of a Zenodo record with the sizes and checksums that it states."""
    address = f"{zenodo}/api/records/{record}"
    try:
        with _open(address, {}) as response:
            found = json.loads(response.read(RECORD_BYTES))
        files = [File(f["key"], f["links"]["self"], int(f["size"]), f["checksum"]) for f in found["files"]]
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"{address}: {_reason(error)}; try again later") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DownloadError(f"{address}: not the description of a record ({error!r}); download by hand") from None
    for file in files:
        if Path(file.name).name != file.name or file.name.startswith("."):
            raise DownloadError(f"{address}: a file is called {file.name!r}, which is no name for a file")
        if not file.url.startswith(("https:", zenodo)):
            raise DownloadError(f"{address}: {file.name} is at {file.url}, which is not encrypted")
    return files


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
                raise DownloadError(f"{file.url}: {_reason(error)}; check whether its page has moved it") from None
            failures = 0 if _size(part) > before else failures + 1
            if failures == ATTEMPTS:
                raise DownloadError(
                    f"{file.url}: {_reason(error)}, {ATTEMPTS} times in a row after {_size(part):,} bytes; the same "
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
        response = _open(file.url, _remaining(part, have) if have else {})
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        if file.size_bytes is None and error.headers.get("Content-Range") == f"bytes */{have}":
            return
        part.unlink()
        raise ConnectionError("the server has fewer bytes than were fetched; begun again") from None
    with response:
        start, total = _extent(response, have)
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


def _extent(response: http.client.HTTPResponse, have: int) -> tuple[int, int]:
    """First byte of the answer and length of the whole file; a server that cannot resume sends the whole file."""
    ranged = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
    if response.status == 206 and ranged:
        return int(ranged[1]), int(ranged[2])
    length = response.headers.get("Content-Length", "")
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
    if method not in ("md5", "sha256"):
        raise DownloadError(f"{file.url}: checksum {file.checksum!r} is neither md5 nor sha256")
    with part.open("rb") as source:
        found = hashlib.file_digest(source, method).hexdigest()
    if found != published.lower():
        part.unlink()
        raise DownloadError(
            f"{file.url}: {method} {found} where {published} was published; the file was deleted, so the same command "
            "begins again"
        )


def _open(url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    request = urllib.request.Request(url, headers={"User-Agent": "spoof-detector", **headers})
    return urllib.request.urlopen(request, timeout=TIMEOUT_S)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answers {error.code} {error.reason}"
    return str(getattr(error, "reason", error) or type(error).__name__)
