"""EfficientNetB0 (Tan & Le 2019, arXiv:1905.11946) on a spectrogram taken as a picture; 4.0 M parameters.

Keras' EfficientNetB0 begins with a division by 255 made for pictures, which no argument turns off; ``picture`` is the
one place that decides what it gets.
"""

from pathlib import Path

import keras

from pipeline.config import ModelConfig
from pipeline.errors import ConfigError

INPUT = "spectrogram"
SMALLEST_SIDE = 32
"""Frames and bands that the five halvings need at least."""
PICTURE_MAXIMUM = 255.0
IMAGENET_MEAN, IMAGENET_DEVIATION = 0.449, 0.226
"""Mean over the colour channels of the statistics that ImageNet weights were trained with."""


def features(spectrogram: keras.KerasTensor, config: ModelConfig) -> keras.KerasTensor:
    """Spectrogram ``[batch, frames, bands]`` to feature maps ``[batch, frames / 32, bands / 32, 1280]``.

    Raises ``ConfigError`` for a spectrogram under 32 × 32 and for weights that cannot be had.
    """
    frames, bands = spectrogram.shape[1:]
    if min(frames, bands) < SMALLEST_SIDE:
        raise ConfigError(
            f"efficientnetb0 needs {SMALLEST_SIDE} frames and {SMALLEST_SIDE} bands at least, and these options give "
            f"{frames} and {bands}: raise --clip_s or --n_mels, or lower --hop_samples"
        )
    pictures = picture(spectrogram, config)
    backbone = _load(pictures.shape[1:], config.weights)
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = config.batch_norm_momentum
    return backbone(pictures)


def picture(spectrogram: keras.KerasTensor, config: ModelConfig) -> keras.KerasTensor:
    """What the backbone's division by 255 gets, ``[batch, frames, bands, channels]``.

    With ``rescale_input`` the spectrogram as it is, so that the network sees it divided by 255, as the original
    notebook's did. Without, 255 times the spectrogram, so that the network sees its values. Weights that were trained
    on pictures want three channels of mean 0.449 and deviation 0.226.
    """
    image = keras.layers.Reshape((*spectrogram.shape[1:], 1), name="picture")(spectrogram)
    pretrained = config.weights != "none"
    if not config.rescale_input:
        scale, offset = (IMAGENET_DEVIATION, IMAGENET_MEAN) if pretrained else (1.0, 0.0)
        scaling = keras.layers.Rescaling(scale * PICTURE_MAXIMUM, offset * PICTURE_MAXIMUM, name="undo_division_by_255")
        image = scaling(image)
    return keras.layers.Concatenate(name="three_channels")([image] * 3) if pretrained else image


def _load(shape: tuple[int, ...], weights: str) -> keras.Model:
    source = None if weights == "none" else weights
    if source not in (None, "imagenet") and not Path(source).is_file():
        raise ConfigError(f"--weights {weights!r}: no such file; give none, imagenet or a file of Keras weights")
    try:
        return keras.applications.EfficientNetB0(include_top=False, weights=source, input_shape=shape)
    except Exception as error:
        if source is None:
            raise
        remedy = (
            "they could not be fetched; download efficientnetb0_notop.h5 elsewhere and give its path as --weights"
            if source == "imagenet"
            else "the file must hold the weights of Keras' EfficientNetB0 without top, for three channels"
        )
        raise ConfigError(f"--weights {weights}: {remedy} ({error})") from error
