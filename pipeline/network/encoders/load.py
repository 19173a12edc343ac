"""Encoder of a folder as a layer of the network, with its published weights."""

import keras

from pipeline.config import EncoderConfig
from pipeline.errors import ConfigError, EncoderError
from pipeline.network.encoders.folder import EncoderFolder
from pipeline.network.encoders.speech_encoder import SpeechEncoder
from pipeline.network.encoders.trained import TrainedEncoder
from pipeline.scoring import model_folders


def states(
    waveform: keras.KerasTensor, config: EncoderConfig, *, family: str, kind: type[SpeechEncoder]
) -> keras.KerasTensor:
    """Waveform ``[batch, samples]`` to states ``[batch, layers + 1, frames, channels]`` of the layer ``encoder``.

    Raises ``EncoderError`` for a folder that cannot be used, and ``ConfigError`` for options that do not fit it.
    """
    given = source(config)
    if given.family != family:
        remedy = "" if config.encoder else "; name the folder of another encoder with --encoder"
        raise ConfigError(f"--backbone {family}: {given.path} holds an encoder for --backbone {given.family}{remedy}")
    kept = config.encoder_layers or given.kept
    if kept > given.kept:
        raise ConfigError(f"--encoder_layers {kept}: the encoder of {given.path} has {given.kept}")
    layer = kind(settings=given.settings, layers=kept, train=config.encoder_trainable, name="encoder")
    result = layer(waveform)
    try:
        layer.load(given.tensors())
    except EncoderError as error:
        raise EncoderError(f"{given.path}: {error}") from None
    return result


def source(config: EncoderConfig) -> EncoderFolder | TrainedEncoder:
    """Source of an encoder's weights: its publisher's folder, or a model folder, by default the project's own model."""
    path = model_folders.find(config.encoder or model_folders.SHIPPED, scores=False)
    return (TrainedEncoder if (path / model_folders.INDEX).is_file() else EncoderFolder).read(path)
