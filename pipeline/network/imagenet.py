"""ImageNet weights of EfficientNetB0, from Keras' cache or fetched into it, and what ``--weights auto`` takes.

``train`` and ``tune`` settle ``auto`` before anything else, so configuration, fingerprint and run name the weights that
were taken. Imports no TensorFlow.
"""

import hashlib
import http.client
import os
import queue
import threading
from pathlib import Path

from pipeline.common import files
from pipeline.common.progress import track
from pipeline.config import Config
from pipeline.downloads import transfer
from pipeline.errors import DownloadError

NAME = "efficientnetb0_notop.h5"
URL = f"https://storage.googleapis.com/keras-applications/{NAME}"
MD5 = "50bc09e76180e00e4465e1a485ddc09d"
"""As keras.applications.efficientnet states it."""
TIMEOUT_S = 5.0
"""Longest silence of the server."""
CHUNK_BYTES = 1 << 20
BACKBONE = "efficientnetb0"


def settle(config: Config) -> Config:
    """Replace ``--weights auto`` by ``imagenet`` or ``none``, with a printed line; other weights stay."""
    if config.model.weights != "auto":
        return config
    taken, why = "imagenet", ""
    if config.model.backbone != BACKBONE:
        taken, why = "none", f": {config.model.backbone} has no ImageNet weights"
    else:
        try:
            why = f": {path()}"
        except DownloadError as error:
            taken, why = "none", f": {error}"
    print(f"--weights auto takes {taken}{why}", flush=True)
    return config.replace(weights=taken)


def path() -> Path:
    """File of the weights, fetched if Keras' cache lacks it; raises ``DownloadError`` after seconds of silence."""
    cached = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models" / NAME
    if not (cached.is_file() and _is_published(cached)):
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            with files.whole_file(cached, shared=True) as unfinished:
                _fetch(unfinished)
        except (OSError, http.client.HTTPException) as error:
            raise DownloadError(f"{URL} cannot be fetched to {cached.parent}: {transfer.reason(error)}") from None
    return cached


def _is_published(file: Path) -> bool:
    with file.open("rb") as source:
        return hashlib.file_digest(source, "md5").hexdigest() == MD5


def _fetch(target: Path) -> None:
    try:
        with _answer() as response, target.open("wb") as sink:
            total = -(-int(response.headers.get("Content-Length") or 0) // CHUNK_BYTES)
            chunks = iter(lambda: response.read(CHUNK_BYTES), b"")
            for chunk in track(chunks, total=total, what=NAME, unit="MiB"):
                sink.write(chunk)
        if not _is_published(target):
            raise DownloadError(f"{URL}: another file than Keras publishes; download it by hand")
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _answer() -> http.client.HTTPResponse:
    """Answer of the server; the look-up of its name knows no time limit, so it runs in a thread that is given up."""
    answers: queue.SimpleQueue = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(transfer.opened(URL, timeout_s=TIMEOUT_S))
        except (OSError, http.client.HTTPException) as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=2 * TIMEOUT_S)
    except queue.Empty:
        raise TimeoutError("no answer in time") from None
    if isinstance(answer, Exception):
        raise answer
    return answer
