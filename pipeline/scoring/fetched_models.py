"""Model folders that are made or downloaded when they are first asked for."""

import atexit
import hashlib
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from urllib.parse import quote

from pipeline.config import PROJECT_ROOT, artifacts_dir
from pipeline.errors import ModelFolderError
from pipeline.scoring import registry_lookup

INNER = "artifacts/bundle"
"""Where a registered model has its model folder."""


def unpacked(packed: Path, version: str) -> Path:
    """Folder of a packed model with its LiteRT file, made at the first call in another process: it takes TensorFlow."""
    folder = artifacts_dir() / "unpacked" / f"{packed.name}-{version}"
    if not folder.is_dir():
        print(f"unpacking {packed}, once", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "pipeline.unpack", str(packed), str(folder)]
        done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ModelFolderError(f"{packed}: cannot be unpacked: {reason}")
    return folder


def downloaded(uri: str) -> Path:
    """Model folder of a run or a registered model; raises ``ModelFolderError`` if there is none.

    The folder of a registered version is used where it is on this machine, or else downloaded once; that of a run is
    downloaded once per process and deleted at its end.
    """
    from pipeline import tracking

    scheme, rest = uri.split(":/", 1)
    store = tracking.store_uri()
    if scheme == "runs":
        return _of_run(rest.split("/")[0], store)
    if (version := registry_lookup.find(uri, store)) is None:
        return _download(f"{uri}/{INNER}", uri)
    if version.folder and (version.folder / INNER).is_dir():
        return version.folder / INNER
    # A server may have been set up anew, so a name and a number do not identify a version.
    identity = hashlib.sha256(f"{store} {version}".encode()).hexdigest()[:12]
    folder = artifacts_dir() / "downloaded" / f"{quote(version.name, safe='')}-{version.number}-{identity}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as place:
            found = _download(f"{version.uri}/{INNER}", uri, place)
            with suppress(OSError):  # another process has made the folder meanwhile
                found.rename(folder)
    return folder


@cache
def _of_run(run: str, store: str) -> Path:
    """Model folder of a run of this tracking store."""
    place = tempfile.TemporaryDirectory(prefix="spoof-detector-")
    atexit.register(place.cleanup)
    return _download(f"runs:/{run}/bundle", f"runs:/{run}", place.name)


def _download(source: str, uri: str, place: str | None = None) -> Path:
    """Download artifacts with MLflow, into ``place`` or a temporary folder; ``uri`` is the name in errors."""
    from pipeline import tracking

    tracking.check()
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    try:
        return Path(download_artifacts(artifact_uri=source, dst_path=place))
    except (MlflowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ModelFolderError(f"--model {uri}: not found at {tracking.address()}: {reason}") from None
