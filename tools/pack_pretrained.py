"""Pack a model that comes with the project: weights of float16 in the Keras model, its card, and no LiteRT file.

    python -m tools.pack_pretrained artifacts/models/NAME whisper CARD.md

``pipeline.unpack`` makes the LiteRT file. Keras reads the float16 arrays into float32 variables.
"""

import argparse
import io
import tempfile
import zipfile
from pathlib import Path

import h5py
import numpy as np

from pipeline.scoring import model_writer
from pipeline.scoring.model_folders import CARD, KERAS, LITERT, PRETRAINED, ModelFolder


def pack(source: ModelFolder, card: Path, folder: Path) -> ModelFolder:
    """Write ``folder`` from a trained model."""
    with tempfile.TemporaryDirectory() as work:
        halve(source.keras, Path(work) / KERAS)
        added = {KERAS: Path(work) / KERAS, CARD: card}
        return model_writer.derive(source, folder, added, without=[LITERT], config=source.config.replace(encoder=""))


def halve(source: Path, target: Path) -> None:
    """Copy a Keras file with its weights in compressed float16."""
    with zipfile.ZipFile(source) as read, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as write:
        for name in read.namelist():
            content = halved(read.read(name)) if name.endswith(".weights.h5") else read.read(name)
            write.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


def halved(weights: bytes) -> bytes:
    """An HDF5 file with its arrays of float32 in compressed float16."""
    copied = io.BytesIO()
    with h5py.File(io.BytesIO(weights), "r") as read, h5py.File(copied, "w") as write:

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Group):
                own = write.require_group(name)
            else:
                values = item[()].astype(np.float16) if item.dtype == np.float32 else item[()]
                packed = {"compression": "gzip", "shuffle": True} if values.ndim else {}
                own = write.create_dataset(name, data=values, **packed)
            own.attrs.update(item.attrs)

        write.attrs.update(read.attrs)
        read.visititems(copy)
    return copied.getvalue()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="model folder that training wrote")
    parser.add_argument("name", help="name of its folder under artifacts/pretrained")
    parser.add_argument("card", type=Path, help="its model card")
    given = parser.parse_args()
    packed = pack(ModelFolder.load(given.model), given.card, PRETRAINED / given.name)
    size = sum(path.stat().st_size for path in packed.folder.iterdir())
    print(f"{packed.folder}: {size / 1e6:.1f} MB")
