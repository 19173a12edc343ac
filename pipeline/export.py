"""A trained Keras model as a LiteRT file: waveform in, logit out, any batch size, no TensorFlow needed to run it."""

import contextlib
import io
import logging
from pathlib import Path

import keras


def litert(model: keras.Model, path: Path) -> None:
    """Write the model's LiteRT form to ``path``; its window length is fixed, its batch size is not."""
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):
        model.export(str(path), format="litert", verbose=False)
