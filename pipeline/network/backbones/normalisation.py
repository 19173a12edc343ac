"""Batch normalisation of feature maps by TensorFlow's fused operation, which Keras does not use."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="spoof")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' layer with the statistics of maps ``[batch, rows, columns, channels]`` computed in one pass in training.

    Keras needs a dozen passes over all maps, forward and backward. The moving variance is the sample variance (n - 1
    in place of n). Keras handles other shapes and options, masks, and statistics over several devices.
    """

    def call(self, inputs, training=None, mask=None):
        plain = len(inputs.shape) == 4 and self.axis in (-1, 3) and self.scale and self.center and not self.renorm
        if not (training and self.trainable and plain) or self.synchronized or mask is not None:
            return super().call(inputs, training=training, mask=mask)
        maps, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma, self.beta, epsilon=self.epsilon, is_training=True
        )
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + now * (1.0 - self.momentum))
        return maps
