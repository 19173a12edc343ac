"""Guard of a training that starts from another model: the EER on that model's own dev, after every epoch.

Fine-tuning on a new corpus can lose what the parent knew. A model folder therefore keeps, of a sample of its dev, what
the head takes of the first window of each clip (``guard.npz``): a new head on the same backbone is measured without
audio. If the backbone is trained too, the Store of the parent is needed (``--guard_store``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from pipeline import metrics
from pipeline.config import BONAFIDE, Config
from pipeline.errors import ConfigError, ProjectError
from pipeline.network import networks
from pipeline.scoring.model_folders import ModelFolder
from pipeline.store.store import Store
from pipeline.training import batches, logits, parent
from pipeline.training.data import Data, left_out

FILE = "guard.npz"
MOST_BYTES, LEAST_TRIALS = 3_000_000, 100
"""Size of a kept sample of dev before compression, and the fewest trials worth keeping."""
LEVELS = 255
"""Steps between the least and the largest value of each input of the head."""
BATCH = 32
BEFORE, AFTER = "guard/eer_before", "guard/eer"
"""Metrics of an epoch: EER on the parent's dev by the parent, and by the weights of the epoch."""


@dataclass(frozen=True)
class Guard:
    """EER of the parent on its dev, and the function that measures it for the weights in training; ``trials`` names it.

    ``margin`` is in EER (0.02: two points); ``None`` only reports.
    """

    before: float
    measure: Callable[[], float]
    trials: str
    margin: float | None

    def measured(self) -> dict[str, float]:
        """Metrics of an epoch."""
        return {BEFORE: self.before, AFTER: self.measure()}

    def allows(self, found: dict[str, float]) -> bool:
        """Whether an epoch with these metrics may be kept."""
        return self.margin is None or found[AFTER] <= self.before + self.margin

    def require(self, history: list[dict[str, float]], best_epoch: int) -> None:
        """Raise ``ProjectError`` if no epoch could be kept."""
        if best_epoch < 0:
            best = min(found[AFTER] for found in history)
            raise ProjectError(
                f"--guard {100 * self.margin:g}: on {self.trials} the parent has an EER of {100 * self.before:.2f} % "
                f"and the best of {len(history)} epochs {100 * best:.2f} %, so no epoch is kept and the parent stays; "
                "raise --guard, lower --learning_rate, or train on recordings of its corpus too (--corpus A,B)"
            )


def keep(model: keras.Model, data: Data, config: Config, path: Path) -> bool:
    """Write the sample of dev for trainings that start from this model; false if its head cannot be told apart."""
    parts = networks.split(model, config)
    if parts is None:
        return False
    before, head = parts
    most = MOST_BYTES // int(np.prod(head.input_shape[1:]))
    if most < min(LEAST_TRIALS, len(data.dev)):
        return False
    rows = np.sort(np.random.default_rng(0).permutation(data.dev)[:most])
    chosen, _ = batches.all_windows(data.store, rows, config.replace(windows="first"))
    waves = (batches.load(data.store, part, config) for part in chosen.batches(BATCH))
    inputs = np.concatenate([np.asarray(before(wave, training=False)) for wave in waves])
    if not np.isfinite(inputs).all():
        return False
    low = inputs.min(axis=0)
    step = np.maximum((inputs.max(axis=0) - low) / LEVELS, np.finfo(np.float32).tiny)
    kept = {"levels": np.rint((inputs - low) / step).astype(np.uint8), "low": low, "step": step}
    scores = np.asarray(head(_inputs(kept), training=False))[:, 0]
    np.savez_compressed(path, **kept, logits=scores, bonafide=data.bonafide[rows])
    return True


def _inputs(kept: Mapping[str, np.ndarray]) -> np.ndarray:
    """What the head takes, ``[trials, …]`` float32, from the file: a byte a value."""
    return kept["low"] + kept["step"] * kept["levels"].astype(np.float32)


def of(model: keras.Model, config: Config) -> Guard | None:
    """Guard of a training of ``model``; ``None`` without a parent or if nothing can be measured and no margin is given.

    Raises ``ConfigError`` if a margin is given and cannot be measured.
    """
    settings, start = config.guard, parent.find(config)
    margin = None if settings.guard is None else settings.guard / 100
    if margin is not None and start is None:
        raise ConfigError(f"--guard {settings.guard:g}: it guards the dev of the model that --init names; give --init")
    if margin is not None and config.train.keep == "last":
        raise ConfigError("--guard chooses among epochs, so it needs --keep best")
    if start is None:
        return None
    if settings.guard_store:
        return _of_store(model, config, start, margin)
    lack = _lack(model, config, start)
    if not lack:
        return _of_folder(model, config, start, margin)
    if margin is not None:
        raise ConfigError(
            f"--guard {settings.guard:g}: {lack}; give the Store that {start.model_version} was trained on "
            "(--guard_store artifacts/data/NAME)"
        )
    return None


def _lack(model: keras.Model, config: Config, start: ModelFolder) -> str:
    """Why the parent's folder does not suffice to measure its dev by the weights in training; "" if it does."""
    frozen = config.train.freeze == "backbone" and not 0 < config.train.freeze_epochs < config.train.epochs
    if not (frozen or (config.has_encoder and config.encoder.frozen)):
        return "the backbone is trained too (no --freeze backbone), so the model folder does not hold what is needed"
    if FILE not in start.sha256:
        return f"{start.folder} has no {FILE}"
    if config.window.clip_s != start.config.window.clip_s:
        return f"--clip_s is {config.window.clip_s:g} here and {start.config.window.clip_s:g} there"
    with np.load(start.folder / FILE, allow_pickle=False) as kept:
        theirs = kept["levels"].shape[1:]
    own = networks.split(model, config)[1].input_shape[1:]
    return "" if own == theirs else f"the head takes {own} here and {theirs} there"


def _of_folder(model: keras.Model, config: Config, start: ModelFolder, margin: float | None) -> Guard:
    with np.load(start.folder / FILE, allow_pickle=False) as kept:
        inputs, known, bonafide = _inputs(kept), kept["logits"], kept["bonafide"]
    head = networks.split(model, config)[1]

    def measure() -> float:
        return metrics.eer(np.asarray(head(inputs, training=False))[:, 0], bonafide)

    trials = f"{len(bonafide)} clips of the dev of {start.model_version} (the first window of each)"
    return Guard(metrics.eer(known, bonafide), measure, trials, margin)


def _of_store(model: keras.Model, config: Config, start: ModelFolder, margin: float | None) -> Guard:
    store = Store.open(Path(config.guard.guard_store))
    if store.trials("dev") != start.trained_on:
        raise ConfigError(
            f"--guard_store {store.folder}: its dev trials are not those of {start.model_version}; give the Store that "
            "this model was trained on"
        )
    rows = store.subset("dev")
    rows = rows[~left_out(store, start.config)[rows]]
    bonafide = (store.manifest["label"].iloc[rows] == BONAFIDE).to_numpy()
    own = config.replace(windows=start.config.window.windows)

    def measure() -> float:
        return metrics.eer(logits.utterance_logits(model, store, rows, own), bonafide)

    before = start.dev_eer
    if start.trained_on != start.dev_trials:  # calibrated on other trials, whose EER that is
        before = metrics.eer(logits.utterance_logits(networks.load(start.keras), store, rows, own), bonafide)
    return Guard(before, measure, f"the {len(rows)} clips of the dev of {start.model_version}", margin)
