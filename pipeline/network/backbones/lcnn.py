"""Light CNN with max-feature-map activations, of the family that won ASVspoof 2017 (Lavrentyeva et al. 2017).

The layers are those of the same group's LCNN of 2019 (arXiv:1904.05576) as far as its head. The first layers keep the
full resolution of the spectrogram, where the traces of a vocoder or a loudspeaker are. 158,656 parameters, of which
158,080 are trained.
"""

import keras
from keras import ops

from pipeline.config import ModelConfig
from pipeline.network.backbones.normalisation import BatchNormalization

INPUT = "spectrogram"
SMALLEST_SIDE = 16
"""Least frames and bands for the four halvings."""


@keras.saving.register_keras_serializable(package="spoof")
class MaxFeatureMap(keras.layers.Layer):
    """The larger of the two halves of the channels (Wu et al. 2018, arXiv:1511.02683).

    Input shape ``[batch, …, channels]``; output shape ``[batch, …, channels / 2]``.
    """

    def call(self, maps):
        first, second = ops.split(maps, 2, axis=-1)
        return ops.maximum(first, second)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] // 2)


def features(x: keras.KerasTensor, config: ModelConfig) -> keras.KerasTensor:
    """Spectrogram ``[batch, frames, bands]`` to ``[batch, bands // 16 · 32]``: maps averaged over time only."""
    frames, bands = x.shape[1:]

    def convolve(maps, channels: int, size: int, *, halve: bool = False):
        maps = keras.layers.Conv2D(2 * channels, size, padding="same")(maps)
        # Maxima commute; in this order the second has only a quarter to compare.
        return MaxFeatureMap()(keras.layers.MaxPooling2D()(maps) if halve else maps)

    def normalise(maps):
        return BatchNormalization(momentum=config.batch_norm_momentum)(maps)

    x = keras.layers.Reshape((frames, bands, 1))(x)
    x = convolve(x, 32, 5, halve=True)  # (batch, frames / 2, bands / 2, 32)
    x = normalise(convolve(x, 32, 1))
    x = normalise(convolve(x, 48, 3, halve=True))  # (batch, frames / 4, bands / 4, 48)
    x = normalise(convolve(x, 48, 1))
    x = convolve(x, 64, 3, halve=True)  # (batch, frames / 8, bands / 8, 64)
    x = normalise(convolve(x, 64, 1))
    x = normalise(convolve(x, 32, 3))
    x = normalise(convolve(x, 32, 1))
    x = normalise(convolve(x, 32, 3, halve=True))  # (batch, frames / 16, bands / 16, 32)
    _, _, rows, channels = x.shape
    x = keras.layers.Reshape((-1, rows * channels))(x)  # (batch, frames / 16, bands / 16 · 32)
    return keras.layers.GlobalAveragePooling1D(name="mean_over_time")(x)
