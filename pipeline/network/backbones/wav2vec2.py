"""wav2vec 2.0, XLS-R, HuBERT or WavLM on the raw waveform, from the folder of ``--encoder``."""

import keras

from pipeline.config import EncoderConfig
from pipeline.network.encoders import load
from pipeline.network.encoders.wav2vec2 import Wav2Vec2Encoder

INPUT = "waveform"


def states(x: keras.KerasTensor, config: EncoderConfig) -> keras.KerasTensor:
    """Waveform ``[batch, samples]`` in −1…1 to states ``[batch, layers + 1, frames, channels]``, 50 frames per second.

    Raises ``EncoderError`` for a folder that cannot be used, and ``ConfigError`` for options that do not fit it.
    """
    return load.states(x, config, family="wav2vec2", kind=Wav2Vec2Encoder)
