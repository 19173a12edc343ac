"""Descriptions that publishers serve of their files: names, addresses, sizes and checksums, read at each download.

Corpora lie in records of Zenodo, speech encoders in repositories of the Hugging Face Hub.
"""

import http.client
import json
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from pipeline.downloads import transfer
from pipeline.downloads.publishers import File
from pipeline.errors import DownloadError

ZENODO, HUB = "https://zenodo.org", "https://huggingface.co"
MOST_BYTES = 8 << 20
"""Limit on the length of a description."""
CONFIG, PREPROCESSOR, WEIGHTS, INDEX = (
    *("config.json", "preprocessor_config.json"),
    *("model.safetensors", "model.safetensors.index.json"),
)
UNREAD = (".bin", ".pt", ".h5", ".msgpack", ".safetensors")
SHARD = re.compile(r"model-\d+-of-\d+\.safetensors")


def zenodo_files(record: str, *, server: str = ZENODO) -> list[File]:
    """Files of a Zenodo record with the sizes and checksums that it states."""
    address = f"{server}/api/records/{record}"
    stated = _description(address)
    try:
        files = [File(f["key"], f["links"]["self"], int(f["size"]), f["checksum"]) for f in stated["files"]]
    except (ValueError, KeyError, TypeError) as error:
        raise _not_understood(address, error) from None
    for file in files:
        if Path(file.name).name != file.name or file.name.startswith("."):
            raise DownloadError(f"{address}: a file is called {file.name!r}, which is no name for a file")
        if not file.url.startswith(("https:", server)):
            raise DownloadError(f"{address}: {file.name} is at {file.url}, which is not encrypted")
    return files


def hub_files(repository: str, revision: str = "main", *, server: str = HUB) -> list[File]:
    """Files of a speech encoder in a repository of the Hub: configuration and safetensors, nothing else.

    Addresses hold the commit of ``revision``, so the files belong together whatever is published meanwhile. Raises
    ``DownloadError`` for a repository without safetensors.
    """
    address = f"{server}/api/models/{repository}/revision/{quote(revision, safe='')}?blobs=true"
    stated = _description(address)
    try:
        published = {file["rfilename"]: file for file in stated["siblings"]}
        chosen = _encoder_files(published, f"{server}/{repository}", revision)
        return [_hub_file(published[name], f"{server}/{repository}/resolve/{stated['sha']}") for name in chosen]
    except (ValueError, KeyError, TypeError) as error:
        raise _not_understood(address, error) from None


def _hub_file(stated: Mapping, folder: str) -> File:
    """A file of a repository: large ones have a SHA-256, the others their name in Git."""
    name, size, large = stated["rfilename"], int(stated["size"]), stated.get("lfs")
    return File(name, f"{folder}/{name}", size, f"sha256:{large['sha256']}" if large else f"git:{stated['blobId']}")


def _encoder_files(published: Mapping[str, Mapping], page: str, revision: str) -> list[str]:
    """Names of the files that an encoder consists of, among those published."""
    if CONFIG not in published:
        raise DownloadError(f"{page}: no {CONFIG} at revision {revision!r}; check --revision")
    shards = sorted(filter(SHARD.fullmatch, published))
    if WEIGHTS in published:
        weights = [WEIGHTS]
    elif INDEX in published and shards:
        weights = [INDEX, *shards]
    else:
        found = ", ".join(name for name in sorted(published) if name.endswith(UNREAD)) or "no weights"
        raise DownloadError(
            f"{page}: no {WEIGHTS} at revision {revision!r}, only {found}, and no pickle is read. Look for a "
            f"conversion among {page}/discussions and give its revision (--revision refs/pr/NUMBER), or convert the "
            "weights as docs/encoders.md shows"
        )
    return [name for name in (CONFIG, PREPROCESSOR) if name in published] + weights


def _description(address: str) -> dict:
    try:
        with transfer.opened(address) as response:
            return json.loads(response.read(MOST_BYTES))
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"{address}: {transfer.reason(error)}; try again later") from None
    except ValueError as error:
        raise _not_understood(address, error) from None


def _not_understood(address: str, error: Exception) -> DownloadError:
    return DownloadError(f"{address}: not the description of a record ({error!r}); download by hand")
