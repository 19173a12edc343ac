"""What a result was made with: versions of packages, and the command line."""

import platform
import shlex
import sys
from importlib import metadata

from pipeline.tracking import without_password

PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "ai-edge-litert", "mlflow", "librosa", "numpy", "scikit-learn")
"""Distributions whose versions go into each run and model folder."""


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def command() -> str:
    """Command line of this process, ready to be pasted, without the passwords of URLs."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    program = ["-m", spec.name] if spec else [sys.argv[0]]
    return shlex.join(["python", *program, *map(without_password, sys.argv[1:])])
