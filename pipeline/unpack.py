"""Unpack a model that comes with the project: a model folder without a LiteRT file gets one, made from the Keras model.

``python -m pipeline.unpack PACKED FOLDER``; scoring calls it when it first needs such a model.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from pipeline import cli
from pipeline.common import files
from pipeline.config import Config, option
from pipeline.errors import ConfigError, ModelFolderError
from pipeline.scoring import model_folders, model_writer
from pipeline.scoring.model_folders import ModelFolder


@dataclass(frozen=True)
class UnpackOptions:
    """Packed model folder, and the folder to write."""

    what: tuple[str, ...] = option((), "packed model folder, and folder to write")


def unpack(packed: Path, folder: Path) -> ModelFolder:
    """Write ``folder`` unless another process has; raises ``ModelFolderError`` if another is at it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    taken = ModelFolderError(f"{folder}: another process unpacks it; run the command again in a minute")
    with files.locked(folder.with_name(f"{folder.name}.lock"), taken):
        if folder.is_dir():
            return ModelFolder.load(folder)
        from pipeline.network import formats, networks

        model = ModelFolder.load(packed)
        with tempfile.TemporaryDirectory() as work:
            litert = Path(work) / model_folders.LITERT
            formats.litert(networks.load(model.keras), litert)
            return model_writer.derive(model, folder, {model_folders.LITERT: litert})


@cli.command(options=UnpackOptions)
def main(_: Config, options: UnpackOptions) -> int:
    """Entry point of ``python -m pipeline.unpack``."""
    if len(options.what) != 2:
        raise ConfigError(f"{' '.join(options.what)!r}: expected a packed model folder and the folder to write")
    unpack(*map(Path, options.what))
    return 0


if __name__ == "__main__":
    cli.run(main)
