"""Add what travels with a model to a folder that was written without it: dev trials, what is usual, the guard's sample.

    python tools/add_familiarity.py artifacts/models/NAME artifacts/data/STORE FOLDER

Nothing is trained. The Store must be the one that the model was trained on. FOLDER is a new model folder of the same
version.
"""

import argparse
import dataclasses
import tempfile
from pathlib import Path

from pipeline.config import HostAugmentConfig
from pipeline.errors import ConfigError, ModelFolderError
from pipeline.network import formats, networks
from pipeline.scoring import dev_table, familiarity, model_folders, model_writer
from pipeline.scoring.model_folders import ModelFolder
from pipeline.store.store import Store
from pipeline.training import finish, guard
from pipeline.training.data import Data


def add(model: ModelFolder, store: Store, folder: Path) -> ModelFolder:
    """Write ``folder`` from a trained model and its Store."""
    if store.trials("dev") != model.dev_trials:
        raise ConfigError(f"{store.folder}: its dev trials are not those of {model.model_version}; name its own Store")
    if model.keras is None:
        raise ModelFolderError(f"{model.folder}: no {model_folders.KERAS}, which gives the embeddings; train again")
    network = networks.load(model.keras)
    # Nothing is augmented, so the folders of own noises and rooms may have gone.
    data = Data.of(store, dataclasses.replace(model.config, host=HostAugmentConfig()))
    logits, usual = finish.measured(network, model.config, data)
    trials = dev_table.of(store, data.dev, logits, model.calibration.apply(logits))
    with tempfile.TemporaryDirectory() as work:
        added = {dev_table.FILE: Path(work) / dev_table.FILE}
        dev_table.write(added[dev_table.FILE], trials)
        if usual is not None:
            added[familiarity.FILE] = Path(work) / familiarity.FILE
            usual.save(added[familiarity.FILE])
        if guard.keep(network, data, model.config, Path(work) / guard.FILE):
            added[guard.FILE] = Path(work) / guard.FILE
        if model.litert.is_file():
            added[model_folders.LITERT] = Path(work) / model_folders.LITERT
            formats.litert(network, added[model_folders.LITERT])
        return model_writer.derive(model, folder, added, without=[dev_table.FORMER_FILE])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="model folder that training wrote")
    parser.add_argument("store", type=Path, help="folder of the Store that it was trained on")
    parser.add_argument("folder", type=Path, help="model folder to write")
    given = parser.parse_args()
    print(add(ModelFolder.load(given.model), Store.open(given.store), given.folder).folder)
