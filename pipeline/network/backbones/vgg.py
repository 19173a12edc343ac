"""A small VGG (Simonyan & Zisserman 2015, arXiv:1409.1556) with batch normalisation; 1.2 M parameters.

Two 3 × 3 convolutions per block as in the paper's thirteen-layer network, half its widths, and four blocks for its
five; the averaging of the head replaces its last pooling and its fully connected layers. 1,174,560 parameters, of which
1,172,640 are trained.
"""

import keras
from keras import layers

from pipeline.config import ModelConfig
from pipeline.network.backbones.normalisation import BatchNormalization

INPUT = "spectrogram"
SMALLEST_SIDE = 8
"""Least frames and bands for the three halvings."""
WIDTHS = (32, 64, 128, 256)
CONVOLUTIONS = 2
"""Convolutions of each width."""


def features(x: keras.KerasTensor, config: ModelConfig) -> keras.KerasTensor:
    """Spectrogram ``[batch, frames, bands]`` to feature maps ``[batch, frames / 8, bands / 8, 256]``, rounded down."""
    frames, bands = x.shape[1:]
    x = layers.Reshape((frames, bands, 1))(x)  # (batch, frames, bands, 1)
    for block, channels in enumerate(WIDTHS):
        if block:
            x = layers.MaxPooling2D()(x)  # (batch, frames / 2^block, bands / 2^block, channels / 2)
        for _ in range(CONVOLUTIONS):
            x = layers.Conv2D(channels, 3, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
            x = BatchNormalization(momentum=config.batch_norm_momentum)(x)
            x = layers.ReLU()(x)
    return x
