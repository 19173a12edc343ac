"""Two Gaussian mixtures, one for each class: the classical baseline (Todisco et al. 2016, the ASVspoof challenges').

Each frame of the spectrogram (LFCC, in the field) is a vector; the logit of a window is the mean over its frames of
the log-likelihood ratio of the mixtures. They are fitted by expectation-maximisation
(``training.expectation_maximisation``), not by gradients, and kept as plain arrays. 2 · components ·
(2 · coefficients + 1) parameters: 15,488 for 64 components on 20 LFCC with deltas.
"""

import math

import keras
from keras import ops

from pipeline.config import ModelConfig
from pipeline.network.fixed_layer import FixedLayer

INPUT = "spectrogram"
LAYER = "mixtures"


@keras.saving.register_keras_serializable(package="spoof")
class LikelihoodRatio(FixedLayer):
    """Mean log-likelihood ratio of two mixtures of Gaussians with diagonal covariances, bonafide over spoof.

    Input shape ``[batch, frames, coefficients]``; output shape ``[batch, 1]``. The weights are, for spoof and then
    bonafide, ``log_weights [2, components]``, ``means`` and ``precisions`` (one over variance), both
    ``[2, components, coefficients]``. Computes in float32 under any precision policy.

    Parameters
    ----------
    components : Gaussians of each mixture.
    """

    components: int

    def build(self, input_shape):
        shape = (2, self.components, input_shape[-1])
        self.log_weights = self.add_weight(shape=shape[:2], initializer="zeros", name="log_weights")
        self.means = self.add_weight(shape=shape, initializer="zeros", name="means")
        self.precisions = self.add_weight(shape=shape, initializer="ones", name="precisions")

    def call(self, frames):
        likelihoods = []
        for number in range(2):
            precisions, means = self.precisions[number], self.means[number]  # (components, coefficients)
            constant = self.log_weights[number] + 0.5 * ops.sum(
                ops.log(precisions) - math.log(2 * math.pi) - precisions * ops.square(means), axis=-1
            )
            squares = ops.matmul(ops.square(frames), ops.transpose(-0.5 * precisions))  # (batch, frames, components)
            each = squares + ops.matmul(frames, ops.transpose(precisions * means)) + constant
            likelihoods.append(ops.logsumexp(each, axis=-1))  # (batch, frames)
        return ops.mean(likelihoods[1] - likelihoods[0], axis=1, keepdims=True)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1)


def logit(x: keras.KerasTensor, config: ModelConfig) -> keras.KerasTensor:
    """Spectrogram ``[batch, frames, bands]`` to the log-likelihood ratio ``[batch, 1]``."""
    return LikelihoodRatio(components=config.components, name=LAYER)(x)
