"""States of an encoder's layers to one vector: learned weights over the layers, and statistics over time.

The early layers of an encoder tell speech from spoofs best, so the weights of the layers are learned (SUPERB, Yang et
al. 2021, arXiv:2105.01051). Each frame is normalised over its channels first: otherwise a layer of large values counts
more than its weight says.
"""

import itertools

import keras
import numpy as np
from keras import ops

from pipeline.config import EncoderConfig
from pipeline.network.fixed_layer import FixedLayer

EPSILON = 1e-5
ATTENTION_UNITS = 128
SUMMARY = "summary"
"""Name of the layer in front of the head."""


@keras.saving.register_keras_serializable(package="spoof")
class NormaliseFrames(FixedLayer):
    """Each frame of each layer to zero mean and unit variance over its channels.

    Shape ``[batch, layers, frames, channels]`` is kept.
    """

    def call(self, states):
        centred = states - ops.mean(states, axis=-1, keepdims=True)
        return centred * ops.rsqrt(ops.mean(ops.square(centred), axis=-1, keepdims=True) + EPSILON)


@keras.saving.register_keras_serializable(package="spoof")
class LayerStatistics(FixedLayer):
    """Mean over time of each layer, and covariance over time of each pair of layers, channel by channel.

    They are all that mean and deviation of any weighted sum of the layers depend on.

    Input shape ``[batch, layers, frames, channels]``; output shape ``[batch, layers + pairs, channels]``, with pairs
    (0, 0), (0, 1) … (1, 1) … of which there are layers · (layers + 1) / 2.
    """

    def call(self, states):
        means = ops.mean(states, axis=2)  # (batch, layers, channels)
        centred = states - means[:, :, None]
        covariances = [ops.mean(centred[:, i] * centred[:, j], axis=1) for i, j in pairs(states.shape[1])]
        return ops.concatenate([means, ops.stack(covariances, axis=1)], axis=1)

    def compute_output_shape(self, input_shape):
        batch, layers, _, channels = input_shape
        return (batch, layers + len(pairs(layers)), channels)


class _LayerWeights(keras.Layer):
    """Base of the layers that weight an encoder's layers: weights that sum to 1, equal at first.

    Computes in float32 under any precision policy.

    Parameters
    ----------
    states : number of layers to weight.
    """

    def __init__(self, *, states: int, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.states = states

    def build(self, input_shape):
        self.scores = self.add_weight(shape=(self.states,), initializer="zeros", name="scores")

    def get_config(self):
        return {**super().get_config(), "states": self.states}


@keras.saving.register_keras_serializable(package="spoof")
class MixStatistics(_LayerWeights):
    """Mean and deviation over time of the weighted sum of the layers, from ``LayerStatistics``.

    Input shape ``[batch, layers + pairs, channels]``; output shape ``[batch, 2 · channels]``.
    """

    def call(self, statistics):
        weights = ops.softmax(self.scores)
        first, second = np.array(pairs(self.states)).T
        # Each pair of two layers stands for both of its orders.
        shares = ops.take(weights, first) * ops.take(weights, second) * np.where(first == second, 1.0, 2.0)
        mean = ops.sum(weights[:, None] * statistics[:, : self.states], axis=1)  # (batch, channels)
        variance = ops.sum(ops.cast(shares, "float32")[:, None] * statistics[:, self.states :], axis=1)
        return ops.concatenate([mean, ops.sqrt(ops.maximum(variance, 0.0) + EPSILON)], axis=-1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 2 * input_shape[-1])


@keras.saving.register_keras_serializable(package="spoof")
class MixFrames(_LayerWeights):
    """Weighted sum of the layers, ``[batch, layers, frames, channels]`` to ``[batch, frames, channels]``."""

    def call(self, states):
        return ops.sum(ops.softmax(self.scores)[:, None, None] * states, axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *input_shape[2:])


@keras.saving.register_keras_serializable(package="spoof")
class AttentiveStatistics(keras.Layer):
    """Mean and deviation over time, each frame weighted by attention (Okabe et al. 2018, arXiv:1803.10963).

    Input shape ``[batch, frames, channels]``; output shape ``[batch, 2 · channels]``. Computes in float32 under any
    precision policy.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.hidden = keras.layers.Dense(ATTENTION_UNITS, activation="tanh", dtype="float32", name="hidden")
        self.score = keras.layers.Dense(1, use_bias=False, dtype="float32", name="score")

    def build(self, input_shape):
        self.hidden.build(input_shape)
        self.score.build((*input_shape[:-1], ATTENTION_UNITS))

    def call(self, frames):
        shares = ops.softmax(self.score(self.hidden(frames)), axis=1)  # (batch, frames, 1)
        mean = ops.sum(shares * frames, axis=1)  # (batch, channels)
        variance = ops.sum(shares * ops.square(frames - mean[:, None]), axis=1)
        return ops.concatenate([mean, ops.sqrt(variance + EPSILON)], axis=-1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 2 * input_shape[-1])


def pairs(layers: int) -> list[tuple[int, int]]:
    """Pairs of layers, each layer with itself and with those behind it."""
    return list(itertools.combinations_with_replacement(range(layers), 2))


def summarise(states: keras.KerasTensor, config: EncoderConfig) -> keras.KerasTensor:
    """States ``[batch, layers, frames, channels]`` to what the head takes of them; nothing in it is trained."""
    if config.pooling == "attentive":
        return NormaliseFrames(name=SUMMARY)(states)
    return LayerStatistics(name=SUMMARY)(NormaliseFrames(name="normalise_frames")(states))


def pool(summary: keras.KerasTensor, config: EncoderConfig) -> keras.KerasTensor:
    """What ``summarise`` returned to one vector a clip, ``[batch, 2 · channels]``, each channel on a scale of 1.

    In training ``feature_noise`` multiplies each feature by normal noise around 1 (Srivastava et al. 2014, section 10),
    so that the head relies on no single channel of the encoder.
    """
    if config.feature_noise:
        variance = config.feature_noise**2
        summary = keras.layers.GaussianDropout(variance / (1 + variance), name="feature_noise")(summary)
    if config.pooling == "statistics":
        states = next(n for n in itertools.count(1) if n + len(pairs(n)) == summary.shape[1])
        pooled = MixStatistics(states=states, name="mix_layers")(summary)
    else:
        frames = MixFrames(states=summary.shape[1], name="mix_layers")(summary)
        pooled = AttentiveStatistics(name="attention")(frames)
    return keras.layers.BatchNormalization(name="scale")(pooled)
