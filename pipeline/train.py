"""Training, from a Store to a model folder, in one MLflow run.

Every epoch ends with its state and metrics on disk, and then in the run: a run that was killed goes on from its last
epoch, in the same MLflow run, with the same result, and what a tracking server has missed is sent when it is back. The
state is kept under the fingerprint of the configuration and the Store. Dev alone chooses: the epoch that is kept, the
calibration, the thresholds.
"""

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import cli, metrics, preprocess, tracking
from pipeline.config import SECTIONS, Config, artifacts_dir, fingerprint, option
from pipeline.errors import ProjectError
from pipeline.metrics import calibration
from pipeline.scoring import model_folders
from pipeline.store.store import Store
from pipeline.training import batches, checkpoint
from pipeline.training.checkpoint import Progress
from pipeline.training.data import Data

STAGE_VERSION = 4
"""Raised when a change of this stage changes what the same configuration learns."""
SCORED_TOGETHER_S = 64.0
"""Seconds of audio that go through the network at once at least when it scores: small batches learn, and are slow."""


@dataclass(frozen=True)
class TrainOptions:
    """What to train on."""

    store: str = option("", "folder of a Store; empty: preprocess the corpus first")


def train(config: Config, store_folder: Path) -> Path:
    """The model folder of a configuration on a Store, trained if it is not there yet."""
    calibration.check_name(config.decision.operating_point)
    store = Store.open(store_folder)
    key = fingerprint(
        STAGE_VERSION,
        store.fingerprint,
        config.front_end,
        config.augment,
        config.model,
        config.window,
        config.train,
    )
    version = f"{config.preset}-{key}"
    folder = artifacts_dir() / "models" / version
    state_file = artifacts_dir() / "training" / key / "state.npz"
    if folder.exists() and _logged(trained := model_folders.ModelFolder.load(folder)):
        with tracking.run(version, stage="train", run_id=trained.run_id):
            print(f"already trained: {folder} (another --seed trains another model)")
            if trained.operating_point != config.decision.operating_point:
                _choose(trained, config.decision.operating_point)
        return folder

    from pipeline.training import devices

    device = devices.prepare(config)
    data = Data.of(store, config)
    saved = checkpoint.load(state_file)
    known_run = saved[0].run_id if saved and tracking.exists(saved[0].run_id) else None
    with tracking.run(version, stage="train", run_id=known_run, tags=tracking.tags(config, store)) as run:
        if known_run is None:
            _log_start(config, data, device, key)
        progress, best = fit(config, data, device, state_file, saved, run.info.run_id)
        finish(config, data, progress, best, folder, version, key)
    return folder


def fit(
    config: Config,
    data: Data,
    device: "devices.Device",  # noqa: F821
    state_file: Path | None,
    saved: tuple[Progress, list[np.ndarray], list[np.ndarray]] | None,
    run_id: str,
    after_epoch: Callable[[Progress], None] = lambda progress: None,
) -> tuple[Progress, list[np.ndarray]]:
    """Train until the last epoch or until patience ends; returns the progress and the weights that are kept.

    Without ``state_file`` nothing is left on disk. ``after_epoch`` hears how far training is and may end it by an
    exception.
    """
    from pipeline.training import expectation_maximisation, gradient_descent

    settings, method = config.train, expectation_maximisation if config.model.backbone == "gmm" else gradient_descent
    steps = data.steps(device.count)
    with device.scope():
        model = method.build(config, steps)
    state = method.state(model)
    if saved:
        progress, values, best = saved
        progress.run_id = run_id
        for variable, value in zip(state, values, strict=True):
            variable.assign(value)
        print(f"going on after epoch {progress.epoch} of {settings.epochs}")
    else:
        progress, best = Progress(run_id), []
        if state_file:
            checkpoint.save(state_file, progress, [v.numpy() for v in state], best)
    print(
        f"train {len(data.train)} clips, dev {len(data.dev)} clips, {steps} steps an epoch on {device.name}, "
        f"{device.precision}; the first step compiles the network",
        flush=True,
    )
    learn = method.learner(model, data, config, device.count)
    try:
        while progress.epoch < settings.epochs and not _out_of_patience(progress, settings.patience):
            row = _epoch(model, learn, data, config, progress.epoch)
            score = [row["dev/eer"], row["dev/loss"]]
            better = progress.best_epoch < 0 or score < progress.best_score
            if better:
                progress.best_epoch, progress.best_score = progress.epoch, score
            if better or settings.keep == "last":
                best = [v.numpy() for v in model.weights]
            print(_line(progress.epoch, settings.epochs, row, better), flush=True)
            progress.history.append(row)
            progress.epoch += 1
            if state_file:
                checkpoint.save(state_file, progress, [v.numpy() for v in state], best)
            tracking.log_epochs(progress.run_id, progress.history, patient=False)
            after_epoch(progress)
    finally:
        if not state_file:  # what is not on disk cannot be sent later
            tracking.log_epochs(progress.run_id, progress.history, patient=True)
    return progress, best


def finish(
    config: Config,
    data: Data,
    progress: Progress,
    best: list[np.ndarray],
    folder: Path,
    version: str,
    key: str,
) -> None:
    """Calibrate on dev, export, and write and log the model folder."""
    import keras
    import mlflow

    from pipeline.network import formats, networks, summary

    keras.config.set_dtype_policy("float32")
    model = networks.build(config)
    model.set_weights(best)
    logits = utterance_logits(model, data.store, data.dev, config)
    labels = data.bonafide[data.dev]
    fitted = calibration.fit(logits, labels)
    scores = fitted.apply(logits)
    work = folder.with_name(folder.name + ".work")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    formats.litert(model, work / "model.tflite")
    model.save(work / "model.keras")
    dev = data.store.manifest.iloc[data.dev][["utterance_id", "label", "speaker"]].assign(score=scores)
    written = model_folders.write(
        folder,
        litert=work / "model.tflite",
        keras=work / "model.keras",
        config=config,
        calibration=fitted,
        dev_scores=dev,
        operating_points=calibration.operating_points(
            scores, labels, (*calibration.NAMED, config.decision.operating_point)
        ),
        operating_point=config.decision.operating_point,
        model_version=version,
        run_id=progress.run_id,
        fingerprint=key,
        versions=tracking.versions(),
        dev_trials=data.store.trials("dev"),
        dev_eer=metrics.eer(scores, labels),
    )
    shutil.rmtree(work)
    tracking.log_epochs(progress.run_id, progress.history, patient=True)
    mlflow.log_metric("best_epoch", progress.best_epoch if config.train.keep == "best" else progress.epoch - 1)
    mlflow.log_text(summary.text(model), "architecture/model.txt")
    mlflow.log_figure(summary.picture(model), "architecture/model.png")
    # The index is the last, so that a run that holds it holds the whole folder.
    for path in sorted(written.folder.iterdir(), key=lambda path: path.name == model_folders.INDEX):
        mlflow.log_artifact(str(path), "bundle")


def _logged(trained: model_folders.ModelFolder) -> bool:
    """Whether the run of a model folder holds all of it."""
    return tracking.exists(trained.run_id) and tracking.has_file(trained.run_id, f"bundle/{model_folders.INDEX}")


def _choose(trained: model_folders.ModelFolder, operating_point: str) -> None:
    """Change the default operating point of a trained model, on disk and in its run."""
    import mlflow

    model_folders.choose(trained, operating_point)
    mlflow.log_artifact(str(trained.folder / model_folders.INDEX), "bundle")
    print(f"its default operating point is {operating_point}, where it was {trained.operating_point}")


def utterance_logits(model: "keras.Model", store: Store, rows: np.ndarray, config: Config) -> np.ndarray:  # noqa: F821
    """Mean logit over the windows of each row, ``[rows]`` float64."""
    chosen, owner = batches.all_windows(store, rows, config)
    together = max(config.train.batch_size, round(SCORED_TOGETHER_S / config.window.clip_s))
    unlabelled = np.zeros(len(store), dtype=bool)
    data = batches.dataset(store, chosen, unlabelled, config.replace(batch_size=together))
    logits = model.predict(data, verbose=0).astype(np.float64)[:, 0]  # (windows,)
    return np.bincount(owner, weights=logits) / np.bincount(owner)


def _epoch(
    model: "keras.Model",  # noqa: F821
    learn: Callable[[int], float],
    data: Data,
    config: Config,
    epoch: int,
) -> dict[str, float]:
    started = time.monotonic()
    row = {"train/batch_loss": learn(epoch)}
    trained_s = time.monotonic() - started
    if not math.isfinite(row["train/batch_loss"]):
        raise ProjectError(f"training diverged: the loss of epoch {epoch + 1} is not finite; lower --learning_rate")
    # The sample shows how training fits and chooses nothing. Windows of dev that overlap would take twice as long.
    windows_of_dev = "first" if config.window.windows == "first" else "consecutive"
    heard = {"train": (data.sample, "first"), "dev": (data.dev, windows_of_dev)}
    for name, (rows, mode) in heard.items():
        logits = utterance_logits(model, data.store, rows, config.replace(windows=mode))
        labels = data.bonafide[rows]
        row |= {
            f"{name}/loss": metrics.cross_entropy(logits, labels),
            f"{name}/accuracy": float(np.mean((logits >= 0) == labels)),
            f"{name}/auc": metrics.auc(logits, labels),
            f"{name}/eer": metrics.eer(logits, labels),
            f"{name}/min_dcf": metrics.min_dcf(logits, labels),
            f"{name}/cllr": metrics.cllr(calibration.fit(logits, labels).apply(logits), labels),
        }
    return row | {
        "speed/clips_per_s": len(data.train) / trained_s,
        "speed/epoch_s": time.monotonic() - started,
    }


def _out_of_patience(progress: Progress, patience: int) -> bool:
    return patience > 0 and progress.epoch - 1 - progress.best_epoch >= patience


def _line(epoch: int, epochs: int, row: dict[str, float], better: bool) -> str:
    parts = [f"epoch {epoch + 1:>{len(str(epochs))}}/{epochs}"]
    for name in ("train", "dev"):
        parts.append(
            f"{name}: loss {row[f'{name}/loss']:.3f} acc {row[f'{name}/accuracy']:.3f} "
            f"AUC {row[f'{name}/auc']:.3f} EER {100 * row[f'{name}/eer']:5.2f} %"
        )
    parts.append(f"{row['speed/clips_per_s']:.0f} clips/s {row['speed/epoch_s']:.0f} s")
    return " | ".join(parts) + (" | best" if better else "")


def _log_start(config: Config, data: Data, device: "devices.Device", key: str) -> None:  # noqa: F821
    import mlflow

    tracking.log_config(config)
    facts = {
        "fingerprint": key,
        "store_folder": data.store.folder.name,
        "device": device.name,
        "precision": device.precision,
    }
    mlflow.log_params(facts | {f"version/{name}": value for name, value in tracking.versions().items()})
    mlflow.set_tag("command", tracking.command())
    tracking.log_inputs(data.store, ("train", "dev", "eval"))


@cli.command(sections=tuple(SECTIONS), options=TrainOptions)
def main(config: Config, options: TrainOptions) -> int:
    """Entry point ``train``; the evaluation on dev and eval ends it, in the same run."""
    from pipeline import evaluate

    store_folder = Path(options.store) if options.store else preprocess.ensure(config)
    folder = train(config, store_folder)
    report = evaluate.run(folder, store_folder)
    print(evaluate.table_text(report))
    print(f"model folder: {folder}\nreport: {report / 'report.html'}")
    return 0


if __name__ == "__main__":
    cli.run(main)
