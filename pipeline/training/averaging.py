"""Exponential moving average of the weights over the steps of gradient descent.

The average is what dev measures and what a training keeps: it wanders less from epoch to epoch than the weights
themselves. Statistics of batch normalisation are averaged like weights, as EfficientNet's authors did (Tan & Le 2019):
those of the last steps belong to weights that the average does not have.
"""

import keras
import tensorflow as tf

from pipeline.network import inheritance


class WeightAverage(keras.callbacks.Callback):
    """Keeps the average of a model's weights while ``fit`` runs, and leaves it in the model afterwards.

    Between two runs of ``fit`` the model holds the average, and ``variables`` the weights that training continues from:
    both belong to the state of a training. At step t the decay is (1 + t) / (10 + t) if that is less than ``decay``, so
    that a short training forgets its first weights too. Layers that are frozen from the start have no average.
    """

    def __init__(self, model: keras.Model, decay: float):
        super().__init__()
        self.decay = decay
        changing = [w for layer in inheritance.layers(model) if layer.trainable for w in layer.weights]
        self._weights = [w for w in changing if keras.backend.is_float_dtype(w.dtype)]  # counts have no average
        self.variables = [keras.Variable(w.numpy(), trainable=False, dtype=w.dtype) for w in self._weights]

    def on_train_begin(self, logs=None):
        self._swap()

    def on_train_batch_end(self, batch, logs=None):
        self._update(tf.cast(self.model.optimizer.iterations, tf.float32))

    def on_train_end(self, logs=None):
        self._swap()

    def _swap(self) -> None:
        for weight, kept in zip(self._weights, self.variables, strict=True):
            here, there = weight.numpy(), kept.numpy()
            weight.assign(there)
            kept.assign(here)

    @tf.function(jit_compile=False)
    def _update(self, step: tf.Tensor) -> None:
        share = 1.0 - tf.minimum(self.decay, (1.0 + step) / (10.0 + step))
        for weight, average in zip(self._weights, self.variables, strict=True):
            average.assign(average + share * (weight - average))
