"""Choose a trained model's threshold for spoofed segments on calls of its dev, and add it to its folder in place.

    python -m tools.add_segments pretrained:/whisper artifacts/data/STORE

The model keeps its version, unlike one of ``pipeline.calibrate --segments``: for models that are not registered yet,
such as the one that comes with the project. The Store must be the one that it was trained on.
"""

import argparse
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.evaluation import segment_threshold
from pipeline.metrics.localisation import SegmentPoint
from pipeline.scoring import model_folders, model_writer
from pipeline.scoring.detector import Detector
from pipeline.scoring.model_folders import ModelFolder
from pipeline.store.store import Store


def add(name: str, store: Store, most: float) -> SegmentPoint:
    """Choose the threshold for at most ``most`` false segments per hour, and write it."""
    model = ModelFolder.load(model_folders.find(name))
    if store.trials("dev") != model.dev_trials:
        raise ConfigError(f"{store.folder}: its dev trials are not those of {model.model_version}; name its own Store")
    chosen = segment_threshold.choose(segment_threshold.score_calls(Detector(model), store, store.subset("dev")), most)
    own = ModelFolder.load(model_folders.find(name, scores=False))
    model_writer.derive(own, own.folder, {}, segments=chosen)
    return chosen


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="model folder, or pretrained:/NAME")
    parser.add_argument("store", type=Path, help="folder of the Store that it was trained on")
    parser.add_argument("--segments", type=float, default=10.0, help="false segments per hour (default: %(default)s)")
    given = parser.parse_args()
    print(add(given.model, Store.open(given.store), given.segments))
