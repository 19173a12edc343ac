"""Encoder of a folder as a layer of the network, with its published weights."""

import keras

from pipeline.config import EncoderConfig
from pipeline.errors import ConfigError, EncoderError
from pipeline.network.encoders.folder import EncoderFolder
from pipeline.network.encoders.speech_encoder import SpeechEncoder


def states(
    waveform: keras.KerasTensor, config: EncoderConfig, *, family: str, kind: type[SpeechEncoder]
) -> keras.KerasTensor:
    """Waveform ``[batch, samples]`` to states ``[batch, layers + 1, frames, channels]`` of the layer ``encoder``.

    Raises ``EncoderError`` for a folder that cannot be used, and ``ConfigError`` for options that do not fit it.
    """
    if not config.encoder:
        raise ConfigError(f"--encoder is empty: {family} needs the folder of a pretrained encoder")
    folder = EncoderFolder.read(config.encoder)
    if folder.family != family:
        raise ConfigError(f"--backbone {family}: {folder.path} holds an encoder for --backbone {folder.family}")
    kept = config.encoder_layers or folder.settings["blocks"]
    layer = kind(settings=folder.settings, layers=kept, train=config.encoder_trainable, name="encoder")
    result = layer(waveform)
    try:
        layer.load(folder.tensors())
    except EncoderError as error:
        raise EncoderError(f"{folder.path}: {error}") from None
    return result
