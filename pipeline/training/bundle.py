"""The model folder in the MLflow run of its making, under ``bundle``."""

from pipeline import tracking
from pipeline.scoring import model_folders
from pipeline.scoring.model_folders import ModelFolder


def log(written: ModelFolder) -> None:
    """Log a model folder to the active run. The index goes last: a run that holds it holds the whole folder."""
    import mlflow

    for path in sorted(written.folder.iterdir(), key=lambda path: path.name == model_folders.INDEX):
        mlflow.log_artifact(str(path), "bundle")


def logged(written: ModelFolder) -> bool:
    """Whether the run of a model folder holds the whole folder."""
    import mlflow

    if not tracking.exists(written.run_id):
        return False
    found = mlflow.MlflowClient().list_artifacts(written.run_id, "bundle")
    return f"bundle/{model_folders.INDEX}" in {item.path for item in found}
