"""Measure a trained model on its dev again: dev trials, what is usual, the guard's sample; with other windows if asked.

    python -m tools.measure_dev artifacts/models/NAME artifacts/data/STORE FOLDER --windows spread

Nothing is trained. The Store must be the one that the model was trained on. FOLDER is a new model folder: of the same
version with what an older one lacks, or with other windows of a version NAME-WINDOWS, with its own calibration and
operating points and no threshold for spoofed segments, which ``tools.add_segments`` chooses.
"""

import argparse
import dataclasses
import tempfile
from pathlib import Path

import numpy as np

from pipeline import metrics
from pipeline.config import HostAugmentConfig, WindowConfig, fingerprint
from pipeline.errors import ConfigError, ModelFolderError
from pipeline.metrics import calibration
from pipeline.network import formats, networks
from pipeline.scoring import dev_table, familiarity, model_folders, model_writer
from pipeline.scoring.model_folders import ModelFolder
from pipeline.store.store import Store
from pipeline.training import finish, guard
from pipeline.training.data import Data

MODES = next(field.metadata["choices"] for field in dataclasses.fields(WindowConfig) if field.name == "windows")


def measure(model: ModelFolder, store: Store, folder: Path, windows: str = "") -> ModelFolder:
    """Write ``folder`` from a trained model and its Store; without ``windows`` its scores stay as they are."""
    if store.trials("dev") != model.dev_trials:
        raise ConfigError(f"{store.folder}: its dev trials are not those of {model.model_version}; name its own Store")
    if windows == model.config.window.windows:
        raise ConfigError(f"{model.model_version} scores {windows} windows already")
    if windows and model.attacks is not None:
        raise ConfigError(
            f"{model.model_version} tells attacks apart by its own windows; train it with --windows {windows}"
        )
    if model.keras is None:
        raise ModelFolderError(f"{model.folder}: no {model_folders.KERAS}, which gives the embeddings; train again")
    network = networks.load(model.keras)
    config = model.config.replace(windows=windows) if windows else model.config
    # Nothing is augmented, so the folders of own noises and rooms may have gone.
    data = Data.of(store, dataclasses.replace(config, host=HostAugmentConfig()))
    logits, usual = finish.measured(network, config, data)
    labels = data.bonafide[data.dev]
    changed = _calibrated(model, logits, labels, windows) if windows else {}
    scores = changed.get("calibration", model.calibration).apply(logits)
    with tempfile.TemporaryDirectory() as work:
        added = {dev_table.FILE: Path(work) / dev_table.FILE}
        dev_table.write(added[dev_table.FILE], dev_table.of(store, data.dev, logits, scores))
        if usual is not None:
            added[familiarity.FILE] = Path(work) / familiarity.FILE
            usual.save(added[familiarity.FILE])
        if guard.keep(network, data, config, Path(work) / guard.FILE):
            added[guard.FILE] = Path(work) / guard.FILE
        if model.litert.is_file():
            added[model_folders.LITERT] = Path(work) / model_folders.LITERT
            formats.litert(network, added[model_folders.LITERT])
        without = [dev_table.FORMER_FILE, *([model_folders.CARD] if windows else [])]
        return model_writer.derive(model, folder, added, without=without, config=config, **changed)


def _calibrated(model: ModelFolder, logits: np.ndarray, labels: np.ndarray, windows: str) -> dict[str, object]:
    """Fields of a model folder that differ with other windows."""
    fitted = calibration.fit(logits, labels)
    scores = fitted.apply(logits)
    return {
        "model_version": f"{model.model_version}-{windows}",
        "fingerprint": fingerprint(model.fingerprint, windows),
        "parent": model.model_version,
        "run_id": "",
        "calibration": fitted,
        "operating_points": calibration.operating_points(scores, labels, tuple(model.operating_points)),
        "dev_eer": metrics.eer(scores, labels),
        "segments": None,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="model folder that training wrote")
    parser.add_argument("store", type=Path, help="folder of the Store that it was trained on")
    parser.add_argument("folder", type=Path, help="model folder to write")
    parser.add_argument("--windows", choices=MODES, default="", help="windows to score; default: the model's own")
    given = parser.parse_args()
    print(measure(ModelFolder.load(given.model), Store.open(given.store), given.folder, given.windows).folder)
