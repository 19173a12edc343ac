"""``cold_start``: one file from the start of the process to its score, against the notebook.

Ours is ``python -m pipeline.score FILE``, from a model folder and through the registry of a temporary tracking store.
The notebook's is a fresh process that imports TensorFlow and librosa, reads the network's file and predicts. A process
that only imports the parts of MLflow that read the registry shows what looking it up without MLflow saves.
"""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks import compared, notebook
from benchmarks.compared import Figure, Line
from pipeline import cli, corpora
from pipeline.common import parallel
from pipeline.config import PROJECT_ROOT, REGISTERED_MODEL, Config, artifacts_dir, option
from pipeline.scoring import model_folders

SECTIONS = ("corpus",)


@dataclass(frozen=True)
class Options(compared.Options):
    """Model to score with."""

    model: str = option("", "model folder; empty: the champion that register left")


QUICK: dict[str, object] = {}
IMPORTS = "import mlflow.artifacts, mlflow.store.tracking.sqlalchemy_store"


def registered(model: Path, place: Path) -> dict[str, str]:
    """Make a model folder the champion of a tracking store in ``place``; returns its environment variables."""
    own = {"SPOOF_ARTIFACTS": str(place), "MLFLOW_TRACKING_URI": f"sqlite:///{place}/mlflow.db"}
    command = [sys.executable, "-m", "pipeline.register", "--model", str(model)]
    # MLflow keeps artifacts in the working directory.
    elsewhere = os.environ | own | {"PYTHONPATH": str(PROJECT_ROOT)}
    subprocess.run(command, cwd=place, env=elsewhere, check=True, stdout=sys.stderr)
    return own


def measure(config: Config, options: Options) -> Line:
    """Time all four."""
    model = model_folders.find(options.model).resolve()
    path = corpora.read(config.corpus)[0]["path"].iat[0]
    network = notebook.save(artifacts_dir() / "benchmarks" / "notebook.keras")
    score = [sys.executable, "-m", "pipeline.score", path, "--model"]
    folder, registry, plain = "from a model folder", "through the registry", "the notebook's way"
    imports = "MLflow's imports alone"
    with tempfile.TemporaryDirectory() as place:
        environment = registered(model, Path(place))
        champion = f"models:/{REGISTERED_MODEL}@champion"
        contenders = {
            folder: lambda: _run([*score, str(model)], environment),
            registry: lambda: _run([*score, champion], environment),
            plain: lambda: _run([sys.executable, "-m", "benchmarks.notebook", str(network), path], environment),
            imports: lambda: _run([sys.executable, "-c", IMPORTS], environment),
        }
        for work in contenders.values():
            work()  # warms the disk cache for all alike
        taken = compared.alternate(contenders, repetitions=options.repetitions)
    figures = [
        Figure("× as fast as the notebook's way", compared.ratios(taken[plain], taken[folder]), 6),
        Figure("s from a model folder", taken[folder], 1.0, at_most=True),
        Figure("s through the registry", taken[registry], 1.5, True, taken[folder], folder),
        Figure("s of MLflow's imports alone", taken[imports]),
    ]
    note = f"{model_folders.ModelFolder.load(model).model_version}, disk warm, {parallel.cores()} cores"
    return Line(
        "cold_start",
        "one file, process start to score",
        "the notebook's way from process start",
        figures,
        taken,
        note=note,
    )


def _run(command: list[str], environment: dict[str, str]) -> None:
    subprocess.run(command, cwd=PROJECT_ROOT, env=os.environ | environment, check=True, capture_output=True)


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark and print its line."""
    config, options = compared.parse(__doc__, Options, quick=QUICK, sections=SECTIONS, argv=argv)
    return compared.finish([measure(config, options)], options)


if __name__ == "__main__":
    cli.run(main)
