"""Whisper's encoder (Radford et al. 2022, arXiv:2212.04356) on the raw waveform, from the folder of ``--encoder``."""

import keras

from pipeline.config import EncoderConfig
from pipeline.network.encoders import load
from pipeline.network.encoders.whisper import WhisperEncoder

INPUT = "waveform"


def states(x: keras.KerasTensor, config: EncoderConfig) -> keras.KerasTensor:
    """Waveform ``[batch, samples]`` in −1…1 to states ``[batch, layers + 1, frames, channels]``, 50 frames per second.

    Raises ``EncoderError`` for a folder that cannot be used, and ``ConfigError`` for options that do not fit it.
    """
    return load.states(x, config, family="whisper", kind=WhisperEncoder)
