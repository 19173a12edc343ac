"""Scaling of the loss in float16 training, which keeps small gradients above zero, for one device or several."""

import keras
import tensorflow as tf


class LossScale(keras.optimizers.LossScaleOptimizer):
    """Leaves out a step and halves the scale if the gradients of any device overflow.

    Keras checks the first device only, before gradients are summed: an overflow on another would make all weights NaN.
    """

    def check_finite(self, grads: list[tf.Tensor | None]) -> tf.Tensor:
        """Whether all gradients of all devices are finite; the same on each. Call it in a replica context."""
        overflows = tf.cast(tf.logical_not(super().check_finite(grads)), tf.float32)
        return tf.equal(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, overflows), 0.0)
