"""Networks: the backbones by name, and the model built around each.

A model takes waveforms ``[batch, samples]`` in −1…1 and returns one logit per window ``[batch, 1]``, higher = bonafide.
Augmentation, front end, backbone and head are layers of it. A backbone is a module with ``INPUT`` (``spectrogram`` or
``waveform``) and one of three functions: ``features(x, config)``; ``logit(x, config)`` if it needs no head; or, for a
pretrained encoder, ``states(x, config)``, whose head is a model in the model, so that it can be trained by itself.
If a backbone halves a spectrogram, ``SMALLEST_SIDE`` is the fewest frames and bands that it takes.
"""

from functools import partial
from pathlib import Path

import keras
import numpy as np

import pipeline.network.fusion  # noqa: F401  (registers its layers, which files of fusions hold)
from pipeline.config import Config, ModelConfig
from pipeline.errors import ConfigError, ModelFolderError
from pipeline.network import front_end
from pipeline.network.augmentation import chain
from pipeline.network.backbones import efficientnetb0, gmm, lcnn, rawnet2, resnet18, vgg, wav2vec2, whisper
from pipeline.network.encoders import pooling
from pipeline.scoring.runtimes import EMBEDDING, LOGIT

BACKBONES = {
    "efficientnetb0": efficientnetb0,
    "gmm": gmm,
    "lcnn": lcnn,
    "rawnet2": rawnet2,
    "resnet18": resnet18,
    "vgg": vgg,
    "wav2vec2": wav2vec2,
    "whisper": whisper,
}
HEAD = ("dense", "logit", "attacks")
"""Layers with weights that ``head`` adds behind a backbone."""
ENCODER, ENCODER_HEAD = "encoder", "head"
"""Names of a pretrained encoder's layer, and of the model that is the head behind it."""


def takes_waveform(config: Config) -> bool:
    """Whether the configured backbone takes the waveform, so that the model has no front end."""
    return BACKBONES[config.model.backbone].INPUT == "waveform"


def build(config: Config, attacks: int = 0) -> keras.Model:
    """Build the uncompiled model of a configuration, with fresh weights drawn from Keras' global seed.

    The output layer computes in float32 under any precision policy. With ``attacks`` the logits of so many attacks
    follow that of bonafide, ``[batch, 1 + attacks]``.
    """
    waveform = keras.Input((config.window.clip_samples,), dtype="float32", name="waveform")
    x = chain.waveform(waveform, config.augment)
    if not takes_waveform(config):
        octave = config.front_end.bins_per_octave if config.front_end.front_end == "cqt" else 0
        on_power = partial(chain.power, config=config.augment, bins_per_octave=octave)
        x = front_end.spectrogram(x, config.front_end, on_power=on_power)
        x = chain.spectrogram(x, config.augment)  # (batch, frames, bands)
    check(config.model.backbone, x.shape[1:], config.model)
    backbone = BACKBONES[config.model.backbone]
    if config.has_encoder:
        summary = pooling.summarise(backbone.states(x, config.encoder), config.encoder)
        logit = encoder_head(summary.shape[1:], config, attacks)(summary)
    elif hasattr(backbone, "logit"):
        logit = backbone.logit(x, config.model)
    else:
        logit = head(backbone.features(x, config.model), config.model, attacks)
    return keras.Model(waveform, logit, name=config.model.backbone)


def check(name: str, shape: tuple[int, ...], config: ModelConfig) -> None:
    """Raise ``ConfigError`` for weights if the backbone has none, and for a spectrogram that is too small for it."""
    if config.weights != "none" and name != "efficientnetb0":
        raise ConfigError(f"--weights {config.weights!r}: {name} has no published weights; give none")
    smallest = getattr(BACKBONES[name], "SMALLEST_SIDE", 1)
    if min(shape) < smallest:
        raise ConfigError(
            f"{name} needs {smallest} frames and {smallest} bands at least, and these options give "
            f"{' and '.join(map(str, shape))}: raise --clip_s or the number of bands, or lower --hop_samples"
        )


def load(path: Path) -> keras.Model:
    """Load the uncompiled model of a Keras file; raises ``ModelFolderError`` if it is damaged or could run code.

    In safe mode Keras loads no code from a file, and only its own classes and the registered layers of this package.
    """
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, KeyError, OSError, ImportError, AttributeError) as error:
        raise ModelFolderError(f"{path}: Keras does not load it: {str(error).splitlines()[0][:200]}") from None


def synchronise_batch_norm(model: keras.Model) -> None:
    """Make all batch normalisation of a model take its statistics over the parts of all devices."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
        elif isinstance(layer, keras.Model):
            synchronise_batch_norm(layer)


def encoder_head(shape: tuple[int, ...], config: Config, attacks: int = 0) -> keras.Model:
    """Build the model from what ``pooling.summarise`` returns, ``[batch, *shape]``, to what ``head`` returns."""
    summary = keras.Input(shape, dtype="float32", name=pooling.SUMMARY)
    outputs = head(pooling.pool(summary, config.encoder), config.model, attacks)
    return keras.Model(summary, outputs, name=ENCODER_HEAD)


def trained_part(model: keras.Model, config: Config) -> keras.Model:
    """Part of a model that training changes: the head behind a frozen encoder, otherwise the whole model."""
    return model.get_layer(ENCODER_HEAD) if config.has_encoder and config.encoder.frozen else model


def split(model: keras.Model, config: Config) -> tuple[keras.Model, keras.Model] | None:
    """A model up to what its head takes, and the head; they share the layers of ``model``. ``None`` without a head."""
    if config.has_encoder:
        return before_head(model), model.get_layer(ENCODER_HEAD)
    if HEAD[0] not in {layer.name for layer in model.layers}:
        return None
    features = model.get_layer(HEAD[0]).input
    return keras.Model(model.inputs[0], features), keras.Model(features, model.outputs[0])


def before_head(model: keras.Model) -> keras.Model:
    """Model from the waveform to what the head behind an encoder takes; shares the layers of ``model``."""
    return keras.Model(model.inputs[0], model.get_layer(pooling.SUMMARY).output)


def with_embedding(model: keras.Model) -> keras.Model:
    """The model with two outputs: ``logit``, and what its last layer takes as ``embedding [batch, units]``.

    Shares the layers of ``model``. Models that ``head`` did not end (mixtures, weighted sums of others), or whose last
    layer takes one number, have no embedding and come back as they are.
    """
    names = {layer.name for layer in model.layers}
    if {"dense", "logit"} <= names and model.get_layer(HEAD[0]).units > 1:
        outputs = {LOGIT: model.output, EMBEDDING: model.get_layer(HEAD[0]).output}
        return keras.Model(model.input, outputs, name=model.name)
    if ENCODER_HEAD in names:
        both = with_embedding(model.get_layer(ENCODER_HEAD))
        return keras.Model(model.input, both(model.get_layer(pooling.SUMMARY).output), name=model.name)
    return model


def detector(model: keras.Model) -> tuple[keras.Model, list[np.ndarray]]:
    """The model without the logits of attacks, and the kernel and bias of those; shares the layers of ``model``."""
    if ENCODER_HEAD in {layer.name for layer in model.layers}:
        own, weights = detector(model.get_layer(ENCODER_HEAD))
        return keras.Model(model.input, own(model.get_layer(pooling.SUMMARY).output), name=model.name), weights
    own = keras.Model(model.input, model.get_layer("logit").output, name=model.name)
    return own, model.get_layer("attacks").get_weights()


def head(features: keras.KerasTensor, config: ModelConfig, attacks: int = 0) -> keras.KerasTensor:
    """Features ``[batch, channels]``, or feature maps, which are averaged, to the logit ``[batch, 1]``.

    With ``attacks`` the logits of so many attacks follow it, ``[batch, 1 + attacks]``.
    """
    if attacks and config.dense_units < 2:
        raise ConfigError(f"--dense_units {config.dense_units}: --target attack needs two or more")
    if len(features.shape) == 4:  # (batch, rows, columns, channels)
        features = keras.layers.GlobalAveragePooling2D(name="pool")(features)  # (batch, channels)
    hidden = keras.layers.Dense(config.dense_units, activation="relu", name="dense")(features)
    dropped = keras.layers.Dropout(config.dropout, name="dropout")(hidden)
    logit = keras.layers.Dense(1, dtype="float32", name="logit")(dropped)
    if not attacks:
        return logit
    of_attacks = keras.layers.Dense(attacks, dtype="float32", name="attacks")(dropped)
    return keras.layers.Concatenate(dtype="float32", name="logits")([logit, of_attacks])
