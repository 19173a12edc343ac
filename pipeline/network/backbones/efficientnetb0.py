"""EfficientNetB0 (Tan & Le 2019, arXiv:1905.11946) on a spectrogram taken as a picture; 4.0 M parameters.

The later stages, made for the thousand classes of ImageNet, hold nine tenths of the parameters and learn slowly from
hundreds of clips. ``stages`` sets how many of the seven are kept: four have 0.3 M parameters.

Keras' EfficientNetB0 begins with a division by 255 made for pictures, which no argument turns off; only ``picture``
decides on the input of that division.
"""

from functools import partial
from pathlib import Path

import keras

from pipeline.config import ModelConfig
from pipeline.errors import ConfigError
from pipeline.network.backbones.normalisation import BatchNormalization

INPUT = "spectrogram"
SMALLEST_SIDES = (2, 4, 8, 16, 16, 32, 32)
"""Fewest frames and bands for 1 to 7 stages: two to the power of the halvings."""
LAST_LAYERS = (
    *("block1a_project_bn", "block2b_add", "block3b_add", "block4c_add", "block5c_add", "block6d_add"),
    "top_activation",
)
"""Last layer of 1 to 7 stages; the seventh stage includes the convolution after it."""
PICTURE_MAXIMUM = 255.0
IMAGENET_MEAN, IMAGENET_DEVIATION = 0.449, 0.226
"""Mean over the colour channels of the statistics that ImageNet weights were trained with."""


def features(spectrogram: keras.KerasTensor, config: ModelConfig) -> keras.KerasTensor:
    """Spectrogram ``[batch, frames, bands]`` to feature maps ``[batch, frames / n, bands / n, channels]``.

    With all seven stages n is 32 and there are 1280 channels, with four 16 and 80. Raises ``ConfigError`` for a
    spectrogram under n × n, for another number of stages, and for weights that cannot be loaded.
    """
    if not 1 <= config.stages <= len(LAST_LAYERS):
        raise ConfigError(f"--stages {config.stages}: efficientnetb0 has 1 to {len(LAST_LAYERS)}")
    frames, bands = spectrogram.shape[1:]
    smallest = SMALLEST_SIDES[config.stages - 1]
    if min(frames, bands) < smallest:
        raise ConfigError(
            f"efficientnetb0 needs {smallest} frames and {smallest} bands at least, and these options give "
            f"{frames} and {bands}: raise --clip_s or --n_mels, or lower --hop_samples or --stages"
        )
    pictures = picture(spectrogram, config)
    whole = _load(pictures.shape[1:], config.weights)
    kept = keras.Model(whole.input, whole.get_layer(LAST_LAYERS[config.stages - 1]).output, name="efficientnetb0")
    backbone = keras.models.clone_model(kept, clone_function=partial(_own, momentum=config.batch_norm_momentum))
    backbone.set_weights(kept.get_weights())
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # recompute the constants it derives from its weights
    return backbone(pictures)


def _own(layer: keras.layers.Layer, *, momentum: float) -> keras.layers.Layer:
    """Copy a layer; batch normalisation becomes ours, with ``momentum``."""
    if isinstance(layer, keras.layers.BatchNormalization):
        return BatchNormalization.from_config(layer.get_config() | {"momentum": momentum})
    return layer.__class__.from_config(layer.get_config())


def picture(spectrogram: keras.KerasTensor, config: ModelConfig) -> keras.KerasTensor:
    """Input of the backbone's division by 255, ``[batch, frames, bands, channels]``.

    With ``rescale_input`` the spectrogram as it is, so that the network sees it divided by 255, as the original
    notebook's did. Without, 255 times the spectrogram, so that the network sees its values. Weights trained on pictures
    need three channels of mean 0.449 and deviation 0.226.
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
