"""Training loop: fit one epoch, measure train and dev, keep the best weights, save the state.

State and metrics are on disk before they are logged, so a killed run resumes after its last epoch with the same
result. Only dev chooses the epoch that is kept.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np

from pipeline import metrics, tracking
from pipeline.config import Config
from pipeline.errors import ProjectError
from pipeline.metrics import calibration
from pipeline.network import networks
from pipeline.training import checkpoint, expectation_maximisation, frozen_encoder, gradient_descent, guard
from pipeline.training.checkpoint import Progress
from pipeline.training.data import Data
from pipeline.training.devices import Device
from pipeline.training.logits import Scorer, dev_windows, scorer


def fit(
    config: Config,
    data: Data,
    device: Device,
    run_id: str,
    *,
    state_file: Path | None = None,
    saved: tuple[Progress, list[np.ndarray], list[np.ndarray]] | None = None,
    after_epoch: Callable[[Progress], None] = lambda progress: None,
) -> tuple[Progress, list[np.ndarray]]:
    """Train until the last epoch or until patience ends; return the progress and the kept weights.

    Parameters
    ----------
    run_id : MLflow run that the epochs are logged to.
    state_file : file of the state; without one nothing is left on disk.
    saved : state to resume from, as ``checkpoint.load`` returns it.
    after_epoch : called with the progress after each epoch; may end the training with an exception.
    """
    settings = config.train
    method = _method(config)
    steps = data.steps(device.count)
    with device.scope():
        model = method.build(config, steps, len(data.attacks))
    state = method.state(model)
    if saved:
        progress, values, best = saved
        progress.run_id = run_id
        if len(values) != len(state):
            raise ProjectError(
                f"{state_file}: holds {len(values)} variables and this training has {len(state)}: it began in another "
                "precision. Give that one (--mixed_precision on or off), or delete the file to begin anew"
            )
        for variable, value in zip(state, values, strict=True):
            variable.assign(value)
        print(f"resuming after epoch {progress.epoch} of {settings.epochs}")
    else:
        progress, best = Progress(run_id), []
        if state_file:
            checkpoint.save(state_file, progress, [v.numpy() for v in state], best)
    print(
        f"train {len(data.train)} clips, dev {len(data.dev)} clips, {steps} steps per epoch on {device.name}, "
        f"{device.precision}; the first step compiles the network",
        flush=True,
    )
    run_epoch = method.epoch_runner(model, data, config, device.count)
    score_rows = getattr(method, "scorer", scorer)(model, data, config)
    guarded = guard.of(model, config)
    try:
        while progress.epoch < settings.epochs and not _out_of_patience(progress, settings.patience):
            measured = _epoch(score_rows, run_epoch, data, config, progress.epoch)
            measured |= guarded.measured() if guarded else {}
            score = [measured["dev/eer"], measured["dev/loss"]]
            better = progress.best_epoch < 0 or score < progress.best_score
            better &= guarded is None or guarded.allows(measured)
            if better:
                progress.best_epoch, progress.best_score = progress.epoch, score
            if better or settings.keep == "last":
                best = [v.numpy() for v in networks.trained_part(model, config).weights]
            print(_line(progress.epoch, settings.epochs, measured, better), flush=True)
            progress.history.append(measured)
            progress.epoch += 1
            if state_file:
                checkpoint.save(state_file, progress, [v.numpy() for v in state], best)
            tracking.log_epochs(progress.run_id, progress.history, patient=False)
            after_epoch(progress)
    finally:
        if not state_file:  # metrics that are not on disk cannot be sent later
            tracking.log_epochs(progress.run_id, progress.history, patient=True)
    if guarded:
        guarded.require(progress.history, progress.best_epoch)
    return progress, best


def _method(config: Config) -> ModuleType:
    """Module that builds the model of a configuration and fits it."""
    if config.has_encoder and config.encoder.frozen:
        return frozen_encoder
    return expectation_maximisation if config.model.backbone == "gmm" else gradient_descent


def _epoch(
    score_rows: Scorer,
    run_epoch: Callable[[int], float],
    data: Data,
    config: Config,
    epoch: int,
) -> dict[str, float]:
    """Fit one epoch and measure the train sample and dev."""
    started = time.monotonic()
    measured = {"train/batch_loss": run_epoch(epoch)}
    trained_s = time.monotonic() - started
    if not math.isfinite(measured["train/batch_loss"]):
        raise ProjectError(f"training diverged: the loss of epoch {epoch + 1} is not finite; lower --learning_rate")
    # The sample shows the fit and chooses nothing.
    subsets = (("train", data.sample, config.replace(windows="first")), ("dev", data.dev, dev_windows(config)))
    for name, rows, own in subsets:
        logits = score_rows(rows, own)
        labels = data.bonafide[rows]
        measured |= {
            f"{name}/loss": metrics.cross_entropy(logits, labels),
            f"{name}/accuracy": float(np.mean((logits >= 0) == labels)),
            f"{name}/auc": metrics.auc(logits, labels),
            f"{name}/eer": metrics.eer(logits, labels),
            f"{name}/min_dcf": metrics.min_dcf(logits, labels),
            f"{name}/cllr": metrics.cllr(calibration.fit(logits, labels).apply(logits), labels),
        }
    return measured | {
        "speed/clips_per_s": len(data.train) / trained_s,
        "speed/epoch_s": time.monotonic() - started,
    }


def _out_of_patience(progress: Progress, patience: int) -> bool:
    return patience > 0 and progress.epoch - 1 - progress.best_epoch >= patience


def _line(epoch: int, epochs: int, measured: dict[str, float], better: bool) -> str:
    parts = [f"epoch {epoch + 1:>{len(str(epochs))}}/{epochs}"]
    for name in ("train", "dev"):
        parts.append(
            f"{name}: loss {measured[f'{name}/loss']:.3f} acc {measured[f'{name}/accuracy']:.3f} "
            f"AUC {measured[f'{name}/auc']:.3f} EER {100 * measured[f'{name}/eer']:5.2f} %"
        )
    if guard.AFTER in measured:
        parts.append(f"parent's dev: EER {100 * measured[guard.AFTER]:5.2f} %")
    parts.append(f"{measured['speed/clips_per_s']:.0f} clips/s {measured['speed/epoch_s']:.0f} s")
    return " | ".join(parts) + (" | best" if better else "")
