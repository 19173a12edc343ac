"""Smooth band-pass as a gain over frequency, for the recorders and lines of augmentation and replays."""

import tensorflow as tf

from pipeline.config import SAMPLE_RATE_HZ


def frequencies(samples: tf.Tensor) -> tf.Tensor:
    """Frequency in Hz of each bin of the real transform of ``samples``, ``[1, bins]``."""
    return tf.linspace(0.0, SAMPLE_RATE_HZ / 2, samples // 2 + 1)[None]


def gain(
    samples: tf.Tensor, low_hz: tf.Tensor, high_hz: tf.Tensor, orders: tuple[float | tf.Tensor, float | tf.Tensor]
) -> tf.Tensor:
    """Gain ``[clips, bins]`` that falls by 6 dB at both edges, ``[clips, 1]`` each, and by 6 dB per octave and order.

    ``orders``: of the lower and the upper edge, numbers or ``[clips, 1]``.
    """
    logarithm = tf.math.log(tf.maximum(frequencies(samples), 1.0))
    # 1 / (1 + (low / frequency) ** order), without computing a power for every bin.
    above = tf.sigmoid(orders[0] * (logarithm - tf.math.log(low_hz)))
    return above * tf.sigmoid(orders[1] * (tf.math.log(high_hz) - logarithm))
