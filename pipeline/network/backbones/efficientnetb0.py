"""EfficientNetB0 (Tan & Le 2019, arXiv:1905.11946) on a spectrogram taken as a picture; 4.0 M parameters.

The later stages, made for the thousand classes of ImageNet, hold nine tenths of the parameters and learn slowly from
hundreds of clips. ``stages`` sets how many of the seven are kept: four have 0.3 M parameters.

Keras' EfficientNetB0 begins with a division by 255 made for pictures, which no argument turns off; only ``picture``
decides on the input of that division. Weights of a file or of ImageNet are loaded into all seven stages, then those
behind the last one kept are cut off.
"""

from functools import partial
from pathlib import Path

import keras
import numpy as np

from pipeline.config import ModelConfig
from pipeline.errors import ConfigError, DownloadError
from pipeline.network import imagenet
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
    whole = _load((frames, bands, 1 if config.weights == "none" else 3), config.weights)
    kept = keras.Model(whole.input, whole.get_layer(LAST_LAYERS[config.stages - 1]).output, name="efficientnetb0")
    backbone = keras.models.clone_model(kept, clone_function=partial(_own, momentum=config.batch_norm_momentum))
    backbone.set_weights(kept.get_weights())
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # recompute the constants it derives from its weights
    return backbone(picture(spectrogram, config, _statistics(whole)))


def _own(layer: keras.layers.Layer, *, momentum: float) -> keras.layers.Layer:
    """Copy a layer; batch normalisation becomes ours, with ``momentum``."""
    if isinstance(layer, keras.layers.BatchNormalization):
        return BatchNormalization.from_config(layer.get_config() | {"momentum": momentum})
    return layer.__class__.from_config(layer.get_config())


def picture(
    spectrogram: keras.KerasTensor, config: ModelConfig, statistics: tuple[np.ndarray, np.ndarray]
) -> keras.KerasTensor:
    """Input of the backbone's division by 255, ``[batch, frames, bands, channels]``.

    With ``rescale_input`` the spectrogram as it is, so that the network sees it divided by 255, as the original
    notebook's did. Without, its first convolution sees the spectrogram itself: the division and the normalisation by
    the ``statistics`` of the weights, mean and deviation per channel, are undone. Keras' file of ImageNet weights holds
    deviations in place of variances, which this evens out.
    """
    image = keras.layers.Reshape((*spectrogram.shape[1:], 1), name="picture")(spectrogram)
    mean, deviation = statistics
    if len(mean) > 1:
        image = keras.layers.Concatenate(name="three_channels")([image] * len(mean))
    if config.rescale_input:
        return image
    scale, offset = (PICTURE_MAXIMUM * deviation).tolist(), (PICTURE_MAXIMUM * mean).tolist()
    if len(mean) == 1:
        (scale,), (offset,) = scale, offset
    return keras.layers.Rescaling(scale, offset, name="undo_division_by_255")(image)


def _statistics(whole: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation that the network normalises its input by, ``[channels]`` each."""
    (layer,) = (layer for layer in whole.layers if isinstance(layer, keras.layers.Normalization))
    mean, variance, _ = layer.get_weights()
    return mean, np.sqrt(variance)


def _load(shape: tuple[int, ...], weights: str) -> keras.Model:
    """The whole network for inputs of ``[frames, bands, channels]``, with these weights."""
    whole = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=shape)
    if weights == "none":
        return whole
    try:
        file = imagenet.path() if weights == "imagenet" else Path(weights)
    except DownloadError as error:
        remedy = f"download {imagenet.NAME} elsewhere and give its path as --weights"
        raise ConfigError(f"--weights imagenet: {error}; {remedy}") from None
    if not file.is_file():
        raise ConfigError(f"--weights {weights!r}: no such file; give none, imagenet, auto or a file of Keras weights")
    try:
        whole.load_weights(file)
    except Exception as error:
        remedy = "the file must hold the weights of Keras' whole EfficientNetB0 without top, for three channels"
        raise ConfigError(f"--weights {weights}: {remedy} ({error})") from error
    return whole
