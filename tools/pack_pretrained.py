"""Write a model that comes with the project: a trained model folder with weights of float16, and its card.

    python tools/pack_pretrained.py artifacts/models/NAME whisper CARD.md

Both files of the network hold the same rounded weights: ``model.tflite`` as float16, ``model.keras`` as float32 with
zeros in the lower bits, which its compression takes out.
"""

import argparse
import dataclasses
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from pipeline.network import formats, networks
from pipeline.scoring import model_folders
from pipeline.scoring.model_folders import KERAS, LITERT, PRETRAINED, ModelFolder


def pack(source: ModelFolder, card: str, folder: Path) -> ModelFolder:
    """Write ``folder`` from a trained model; scores differ from its own by the rounding."""
    model = networks.load(source.keras)
    model.set_weights([rounded(weight) for weight in model.get_weights()])
    values = {field.name: getattr(source, field.name) for field in dataclasses.fields(source)}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        formats.litert_float16(model, work / LITERT)
        model.save(work / "plain.keras")
        compress(work / "plain.keras", work / KERAS)
        return model_folders.write(
            folder,
            litert=work / LITERT,
            keras=work / KERAS,
            card=card,
            dev_scores=source.dev_scores,
            **{key: value for key, value in values.items() if key not in ("folder", "sha256")}
            | {"config": source.config.replace(encoder="")},
        )


def rounded(weight: np.ndarray) -> np.ndarray:
    """A weight as float16 holds it, in its own type."""
    return weight.astype(np.float16).astype(weight.dtype) if weight.dtype == np.float32 else weight


def compress(source: Path, target: Path) -> None:
    """Copy a Keras file, compressed and with equal bytes from equal weights."""
    with zipfile.ZipFile(source) as read, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as write:
        for name in read.namelist():
            write.writestr(zipfile.ZipInfo(name), read.read(name), zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="model folder that training wrote")
    parser.add_argument("name", help="name of its folder under artifacts/pretrained")
    parser.add_argument("card", type=Path, help="its model card")
    given = parser.parse_args()
    packed = pack(ModelFolder.load(given.model), given.card.read_text(encoding="utf-8"), PRETRAINED / given.name)
    size = sum(path.stat().st_size for path in packed.folder.iterdir())
    print(f"{packed.folder}: {size / 1e6:.1f} MB")
