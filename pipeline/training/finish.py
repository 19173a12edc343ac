"""End of a training or a fusion: calibrate on dev, export, and write and log the model folder."""

import shutil
from pathlib import Path

import keras
import mlflow
import numpy as np
import pandas as pd

from pipeline import metrics, tracking
from pipeline.common import provenance
from pipeline.config import SAMPLE_RATE_HZ, Config
from pipeline.metrics import calibration
from pipeline.metrics.fusion import Fusion
from pipeline.network import formats, networks, summary
from pipeline.scoring import model_folders
from pipeline.scoring.model_folders import ModelFolder
from pipeline.store.store import Store
from pipeline.training import parent
from pipeline.training.checkpoint import Progress
from pipeline.training.data import Data
from pipeline.training.logits import utterance_logits


def finish(
    config: Config, data: Data, progress: Progress, weights: list[np.ndarray], folder: Path, version: str, key: str
) -> None:
    """Write the model folder of the kept weights and log it to the active run."""
    keras.config.set_dtype_policy("float32")
    model = parent.build(config, quietly=True)
    networks.trained_part(model, config).set_weights(weights)
    written = write(model, config, data, folder, version=version, key=key, run_id=progress.run_id)
    tracking.log_epochs(progress.run_id, progress.history, patient=True)
    mlflow.log_metric("best_epoch", progress.best_epoch if config.train.keep == "best" else progress.epoch - 1)
    log(model, written)


def write(
    model: keras.Model,
    config: Config,
    data: Data,
    folder: Path,
    *,
    version: str,
    key: str,
    run_id: str,
    fusion: Fusion | None = None,
) -> ModelFolder:
    """Calibrate a network on dev and write its model folder.

    Parameters
    ----------
    version, key, run_id : name of the model, fingerprint of all that it depends on, and the MLflow run of its making.
    fusion : how it was made of other models.
    """
    logits = utterance_logits(model, data.store, data.dev, config)
    labels = data.bonafide[data.dev]
    fitted = calibration.fit(logits, labels)
    scores = fitted.apply(logits)
    work = folder.with_name(folder.name + ".work")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    formats.litert(model, work / "model.tflite")
    model.save(work / "model.keras")
    written = model_folders.write(
        folder,
        litert=work / "model.tflite",
        keras=work / "model.keras",
        config=config,
        calibration=fitted,
        dev=dev_trials(data.store, data.dev, logits, scores),
        operating_points=calibration.operating_points(
            scores, labels, (*calibration.NAMED, config.decision.operating_point)
        ),
        operating_point=config.decision.operating_point,
        model_version=version,
        run_id=run_id,
        fingerprint=key,
        versions=provenance.versions(),
        dev_trials=data.store.trials("dev"),
        dev_eer=metrics.eer(scores, labels),
        fusion=fusion,
    )
    shutil.rmtree(work)
    return written


def dev_trials(store: Store, rows: np.ndarray, logits: np.ndarray, scores: np.ndarray) -> pd.DataFrame:
    """Store rows with their logits and calibrated scores, ``[rows]`` each; columns ``scoring.dev_table.COLUMNS``."""
    texts = ["utterance_id", "label", "speaker", "attack", "corpus"]
    lengths = store.lengths()[rows]
    spoken = [float(store.speech(row).seconds(0, length)) for row, length in zip(rows, lengths, strict=True)]
    found = store.manifest.iloc[rows][texts].reset_index(drop=True)
    return found.assign(logit=logits, score=scores, duration_s=lengths / SAMPLE_RATE_HZ, speech_s=spoken)


def log(model: keras.Model, written: ModelFolder) -> None:
    """Log a network's architecture and its model folder to the active run."""
    mlflow.log_text(summary.text(model), "architecture/model.txt")
    mlflow.log_figure(summary.picture(model), "architecture/model.png")
    # The index goes last: a run that holds it holds the whole folder.
    for path in sorted(written.folder.iterdir(), key=lambda path: path.name == model_folders.INDEX):
        mlflow.log_artifact(str(path), "bundle")
