"""Base of all augmentation: a Keras layer with a strength that changes clips only in training."""

import keras
import tensorflow as tf


class Augmentation(keras.layers.Layer):
    """Augmentation layer: a strength, its own random numbers, float32; the identity at inference.

    Input and output shape are equal. A part defines ``change(x)``, its effect on a batch in training.

    Parameters
    ----------
    strength : 0 (the identity) to 1.
    """

    def __init__(self, *, strength: float, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.strength = strength
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, x, training=None):
        return self.change(x) if training and self.strength else x

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "strength": self.strength}

    def uniform(self, x, low: float = 0.0, high: float = 1.0, shape: tuple[int, ...] = (1,)):
        """Draw a number for each clip, ``[batch, *shape]``."""
        return keras.random.uniform((tf.shape(x)[0], *shape), low, high, seed=self.seed_generator)

    def normal(self, shape):
        """Draw standard normal numbers."""
        return keras.random.normal(shape, seed=self.seed_generator)

    def noise(self, x, gain):
        """Draw Gaussian noise in the shape of ``x`` with a gain over frequency ``[batch, bins]``."""
        real, imaginary = self.normal(tf.shape(gain)), self.normal(tf.shape(gain))
        return tf.signal.irfft(tf.complex(gain * real, gain * imaginary), [tf.shape(x)[1]])

    def in_some(self, x, change, share: float):
        """Apply ``change`` to a share of the clips, drawn for each batch, at least one; only these are computed."""
        clips = tf.shape(x)[0]
        count = tf.cast(tf.math.ceil(share * tf.cast(clips, tf.float32)), tf.int32)
        chosen = tf.argsort(self.uniform(x)[:, 0])[:count]
        return tf.tensor_scatter_nd_update(x, chosen[:, None], change(tf.gather(x, chosen)))
