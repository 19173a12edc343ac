"""End of a training or a fusion: calibrate on dev, export, and write and log the model folder."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import keras
import mlflow
import numpy as np

from pipeline import metrics, tracking
from pipeline.common import provenance
from pipeline.config import Config
from pipeline.metrics import calibration
from pipeline.metrics.fusion import Fusion
from pipeline.network import formats, networks, summary
from pipeline.scoring import dev_table, familiarity, model_writer, source_tracing
from pipeline.scoring.familiarity import Usual
from pipeline.scoring.model_folders import ModelFolder
from pipeline.scoring.source_tracing import KnownAttacks
from pipeline.training import bundle, guard, parent
from pipeline.training.checkpoint import Progress
from pipeline.training.data import Data
from pipeline.training.logits import utterance_outputs


def finish(
    config: Config, data: Data, progress: Progress, weights: list[np.ndarray], folder: Path, version: str, key: str
) -> None:
    """Write the model folder of the kept weights and log it to the active run."""
    keras.config.set_dtype_policy("float32")
    model = parent.build(config, len(data.attacks), quietly=True)
    networks.trained_part(model, config).set_weights(weights)
    attacks = None
    if data.attacks:
        model, softmax = networks.detector(model)
        attacks = known_attacks(model, softmax, config, data)
    written = write(model, config, data, folder, version=version, key=key, run_id=progress.run_id, attacks=attacks)
    tracking.log_epochs(progress.run_id, progress.history, patient=True)
    epoch = progress.best_epoch if config.train.keep == "best" else progress.epoch - 1
    mlflow.log_metric("best_epoch", epoch)
    kept = progress.history[epoch]
    if guard.AFTER in kept:
        print(
            f"dev of {written.parent}: EER {100 * kept[guard.BEFORE]:.2f} % before and {100 * kept[guard.AFTER]:.2f} % "
            "after",
            flush=True,
        )
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
    attacks: KnownAttacks | None = None,
) -> ModelFolder:
    """Calibrate a network on dev and write its model folder.

    Parameters
    ----------
    version, key, run_id : name of the model, fingerprint of all that it depends on, and the MLflow run of its making.
    fusion : how it was made of other models.
    attacks : attacks that it tells apart.
    """
    start = None if fusion else parent.find(config)
    logits, usual = measured(model, config, data)
    labels = data.bonafide[data.dev]
    fitted = calibration.fit(logits, labels)
    scores = fitted.apply(logits)
    work = folder.with_name(folder.name + ".work")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    formats.litert(model, work / "model.tflite")
    model.save(work / "model.keras")
    written = model_writer.write(
        folder,
        litert=work / "model.tflite",
        keras=work / "model.keras",
        config=config,
        calibration=fitted,
        dev=dev_table.of(data.store, data.dev, logits, scores),
        usual=usual,
        attacks=attacks,
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
        parent=start.model_version if start else "",
    )
    if guard.keep(model, data, config, work / guard.FILE):
        written = model_writer.derive(written, folder, {guard.FILE: work / guard.FILE})
    shutil.rmtree(work)
    return written


def measured(model: keras.Model, config: Config, data: Data) -> tuple[np.ndarray, Usual | None]:
    """Logits of dev ``[trials]``, and what is usual for the model; ``None`` for one without embeddings."""
    both = networks.with_embedding(model)
    logits, dev = utterance_outputs(both, data.store, data.dev, config)
    if dev is None:
        return logits, None
    drawn = np.random.default_rng(config.train.seed).permutation(data.train)[: familiarity.DRAWN]
    _, train = utterance_outputs(both, data.store, np.sort(drawn), config)
    return logits, familiarity.fit(train, dev)


def known_attacks(model: keras.Model, softmax: Sequence[np.ndarray], config: Config, data: Data) -> KnownAttacks:
    """Attacks that a network tells apart, from the kernel and bias of their softmax on its embedding."""
    both, rng = networks.with_embedding(model), np.random.default_rng(config.train.seed)
    most = max(1, familiarity.DRAWN // len(data.attacks))

    def embeddings(rows: np.ndarray) -> np.ndarray:
        return utterance_outputs(both, data.store, rows, config)[1]

    train = [data.train[data.targets[data.train] == -number] for number in range(1, len(data.attacks) + 1)]
    train = [embeddings(np.sort(rng.permutation(rows)[:most])) for rows in train]
    dev = embeddings(data.dev[data.targets[data.dev] < 0])
    return source_tracing.fit(data.attacks, *softmax, train, dev)


def log(model: keras.Model, written: ModelFolder) -> None:
    """Log a network's architecture and its model folder to the active run."""
    mlflow.log_text(summary.text(model), "architecture/model.txt")
    mlflow.log_figure(summary.picture(model), "architecture/model.png")
    bundle.log(written)
