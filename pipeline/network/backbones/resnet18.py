"""ResNet-18 (He et al. 2016, arXiv:1512.03385) on a spectrogram taken as a picture; 11.2 M parameters.

Blocks, widths and max-pooling are the published ones. The stem differs in two things: it has one input channel, and it
convolves 3 × 3 at full resolution in place of 7 × 7 with stride 2, as is common for spectrograms: a first stride would
lose their finest traces. 11,177,280 parameters, of which 11,167,680 are trained: the published 11,689,512 less the
classifier's 513,000 and the 8,832 that the stem saves.
"""

import keras
from keras import layers

from pipeline.config import ModelConfig
from pipeline.network.backbones.normalisation import BatchNormalization

INPUT = "spectrogram"
SMALLEST_SIDE = 16
"""Least frames and bands for the four halvings."""
WIDTHS = (64, 128, 256, 512)
BLOCKS = 2
"""Residual blocks of each width."""


def features(x: keras.KerasTensor, config: ModelConfig) -> keras.KerasTensor:
    """Spectrogram ``[batch, frames, bands]`` to feature maps ``[batch, frames / 16, bands / 16, 512]``, rounded up."""
    frames, bands = x.shape[1:]

    def convolve(maps, channels: int, size: int, stride: int = 1):
        convolution = layers.Conv2D(
            channels, size, stride, padding="same", use_bias=False, kernel_initializer="he_normal"
        )
        return BatchNormalization(momentum=config.batch_norm_momentum)(convolution(maps))

    def block(maps, channels: int, stride: int):
        same_shape = stride == 1 and maps.shape[-1] == channels
        shortcut = maps if same_shape else convolve(maps, channels, 1, stride)
        inner = layers.ReLU()(convolve(maps, channels, 3, stride))
        return layers.ReLU()(layers.Add()([convolve(inner, channels, 3), shortcut]))

    x = layers.Reshape((frames, bands, 1))(x)  # (batch, frames, bands, 1)
    x = layers.ReLU()(convolve(x, WIDTHS[0], 3))  # (batch, frames, bands, 64)
    x = layers.MaxPooling2D(3, 2, padding="same")(x)  # (batch, frames / 2, bands / 2, 64)
    for stage, channels in enumerate(WIDTHS):
        x = block(x, channels, 2 if stage else 1)  # (batch, frames / 2^(stage + 1), bands / 2^(stage + 1), channels)
        for _ in range(BLOCKS - 1):
            x = block(x, channels, 1)
    return x
