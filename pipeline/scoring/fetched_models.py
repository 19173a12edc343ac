"""Model folders that are made or downloaded when they are first asked for."""

import gc
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.config import PROJECT_ROOT, artifacts_dir
from pipeline.errors import ModelFolderError


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
    """Model folder of a run or a registered model, downloaded; raises ``ModelFolderError`` if there is none."""
    from pipeline import tracking

    scheme, rest = uri.split(":/", 1)
    inner = "artifacts/bundle" if scheme == "models" else "bundle"
    run_id = rest.split("/")[0]
    source = f"{uri}/{inner}" if scheme == "models" else f"runs:/{run_id}/{inner}"
    with _uncollected():
        tracking.check()
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        try:
            return Path(download_artifacts(artifact_uri=source))
        except (MlflowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise ModelFolderError(f"--model {uri}: not found at {tracking.address()}: {reason}") from None


@contextmanager
def _uncollected() -> Iterator[None]:
    """Disable garbage collection, which takes a fifth of MLflow's import and finds nothing there."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
