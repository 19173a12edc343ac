"""Tiny encoders of each family, with the outputs of the reference implementation."""

from pathlib import Path

import keras
import numpy as np

from pipeline.config import EncoderConfig
from pipeline.network.backbones import wav2vec2, whisper
from pipeline.network.encoders.folder import EncoderFolder

REFERENCES = Path(__file__).resolve().parent.parent / "data" / "encoders"
FAMILIES = ("whisper", "wav2vec2", "xls-r", "hubert", "wavlm", "wavlm-stable")


def reference(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Waveform ``[2, samples]``, and states of the reference implementation ``[2, layers + 1, frames, channels]``."""
    with np.load(REFERENCES / name / "reference.npz") as arrays:
        return arrays["waveform"], arrays["states"]


def states_model(name: str, folder: Path | None = None, samples: int = 8000, **options: object) -> keras.Model:
    """Model from waveform to the states of the encoder in ``folder`` (default: the reference's)."""
    folder = folder or REFERENCES / name
    backbone = {"whisper": whisper, "wav2vec2": wav2vec2}[EncoderFolder.read(folder).family]
    waveform = keras.Input((samples,))
    return keras.Model(waveform, backbone.states(waveform, EncoderConfig(encoder=str(folder), **options)))
