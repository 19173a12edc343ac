"""Networks: a registry of backbones by name, and the model every backbone becomes.

A model takes waveforms ``[batch, samples]`` in −1…1 and returns one logit a window ``[batch, 1]``, higher = bonafide.
Front end, backbone and head are layers of it; a backbone is a module with ``features(spectrogram, config)``.
"""

from importlib import import_module

import keras

from pipeline import frontend
from pipeline.config import SAMPLE_RATE_HZ, Config

BACKBONES = {"efficientnetb0": "pipeline.models.efficientnetb0"}


def clip_samples(config: Config) -> int:
    """Samples of the window that the model hears."""
    return round(config.train.clip_s * SAMPLE_RATE_HZ)


def build(config: Config) -> keras.Model:
    """The uncompiled model of a configuration, with fresh weights drawn from Keras' global seed.

    The output layer computes in float32 under any precision policy.
    """
    waveform = keras.Input((clip_samples(config),), dtype="float32", name="waveform")
    spectrogram = frontend.spectrogram(waveform, config.front_end)  # (batch, frames, bands)
    backbone = import_module(BACKBONES[config.model.backbone])
    features = backbone.features(spectrogram, config.model)  # (batch, rows, columns, channels)
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(features)  # (batch, channels)
    hidden = keras.layers.Dense(config.model.dense_units, activation="relu", name="dense")(pooled)
    dropped = keras.layers.Dropout(config.model.dropout, name="dropout")(hidden)
    logit = keras.layers.Dense(1, dtype="float32", name="logit")(dropped)  # (batch, 1)
    return keras.Model(waveform, logit, name=config.model.backbone)
