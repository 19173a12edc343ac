"""Augmentation of waveforms ``[batch, samples]``: source, room, recorder and line."""

import math

import keras
import numpy as np
import tensorflow as tf

from pipeline.config import SAMPLE_RATE_HZ
from pipeline.network.augmentation import band_pass
from pipeline.network.augmentation.layer import Augmentation

QUIETEST = 1e-9
SNR_DB = (5.0, 40.0)
EQUALISER_POINTS, EQUALISER_DB = 8, 12.0
BAND_ORDERS = (6.0, 12.0)
TELEPHONE_HZ = (300.0, 3400.0)
LEVEL_DB = 20.0
RT60_S = (0.1, 0.8)
RESPONSE_S = 0.5
"""Length of a synthetic room's response; the rest of a longer reverberation is inaudible here."""
DIRECT_DB = (0.0, 20.0)
BITS = (5, 8)
MU, A = 255.0, 87.6
"""Constants of the two laws of ITU-T G.711."""
NOTCHES, NOTCH_WIDTH_HZ, POWERS = 5, (100.0, 1000.0), 4
"""Filters of RawBoost (Tak et al. 2022, arXiv:2111.04433, section 3), which takes powers to the fifth."""


@keras.saving.register_keras_serializable(package="spoof")
class Noise(Augmentation):
    """Noise of a random slope, white to brown, at an SNR of 5 to 40 dB, in a share of the clips (all at strength 1)."""

    def change(self, x):
        return self.in_some(x, self.noisy, self.strength)

    def noisy(self, x):
        noise = self.coloured(x, self.uniform(x, 0.0, 2.0))
        snr_db = self.uniform(x, *SNR_DB)
        return x + noise * _rms(x) / _rms(noise) * _amplitude(-snr_db)

    def coloured(self, x, slope):
        """Draw noise in the shape of ``x`` with power proportional to frequency ** ``-slope``, ``[batch, 1]``."""
        logarithm = tf.math.log(tf.maximum(band_pass.frequencies(tf.shape(x)[1]), 20.0) / 1000.0)
        return self.noise(x, tf.exp(-slope / 2.0 * logarithm))


@keras.saving.register_keras_serializable(package="spoof")
class Equaliser(Augmentation):
    """Smooth random gain over frequency, up to ± 12 dB, in a share of the clips (all at strength 1).

    Half of these clips get a band-pass too, a third of those the telephone's.
    """

    def change(self, x):
        return self.in_some(x, self.equalised, self.strength)

    def equalised(self, x):
        samples = tf.shape(x)[1]
        points = self.uniform(x, -EQUALISER_DB, EQUALISER_DB, (EQUALISER_POINTS,))
        frequency = tf.clip_by_value(band_pass.frequencies(samples), 50.0, SAMPLE_RATE_HZ / 2)  # (1, bins)
        place = tf.math.log(frequency / 50.0)
        place *= (EQUALISER_POINTS - 1) / math.log(SAMPLE_RATE_HZ / 2 / 50.0)
        near = tf.nn.relu(1.0 - tf.abs(place - tf.range(EQUALISER_POINTS, dtype=tf.float32)[:, None]))  # (points, bins)
        gain = _amplitude(tf.matmul(points, near))  # (batch, bins)
        telephone = self.uniform(x) < 1 / 3
        low_hz = tf.where(telephone, TELEPHONE_HZ[0], tf.exp(self.uniform(x, math.log(40.0), math.log(400.0))))
        high_hz = tf.where(telephone, TELEPHONE_HZ[1], tf.exp(self.uniform(x, math.log(3000.0), math.log(7500.0))))
        band = band_pass.gain(samples, low_hz, high_hz, BAND_ORDERS)
        gain *= tf.where(self.uniform(x) < 0.5, band, 1.0)
        return tf.signal.irfft(tf.signal.rfft(x) * tf.complex(gain, 0.0), [samples])


@keras.saving.register_keras_serializable(package="spoof")
class Level(Augmentation):
    """Gain of up to ± 20 dB, less if the peak would exceed full scale."""

    def change(self, x):
        gain = _amplitude(self.uniform(x, -LEVEL_DB * self.strength, LEVEL_DB * self.strength))
        peak = tf.reduce_max(tf.abs(x), axis=1, keepdims=True)
        return x * tf.minimum(gain, tf.maximum(1.0, 1.0 / tf.maximum(peak, QUIETEST)))


@keras.saving.register_keras_serializable(package="spoof")
class Reverb(Augmentation):
    """Synthetic room in up to half of the clips: a decaying noise tail behind the direct sound."""

    def change(self, x):
        return self.in_some(x, self.in_room, self.strength / 2)

    def in_room(self, x):
        clips, samples = tf.shape(x)[0], tf.shape(x)[1]
        length = int(RESPONSE_S * SAMPLE_RATE_HZ)
        time_s = tf.range(1, length + 1, dtype=tf.float32)[None] / SAMPLE_RATE_HZ
        tail = self.normal((clips, length)) * tf.exp(-math.log(1000.0) * time_s / self.uniform(x, *RT60_S))
        direct_db = self.uniform(x, *DIRECT_DB)
        tail *= _amplitude(-direct_db) / tf.norm(tail, axis=1, keepdims=True)
        size = [samples + length]
        spectrum = tf.signal.rfft(x, size) * tf.signal.rfft(tf.pad(tail, [[0, 0], [1, 0]]), size)
        return x + tf.signal.irfft(spectrum, size)[:, :samples]


@keras.saving.register_keras_serializable(package="spoof")
class Companding(Augmentation):
    """µ-law or A-law (G.711) with 5 to 8 bits in up to half of the clips."""

    def change(self, x):
        return self.in_some(x, self.companded, self.strength / 2)

    def companded(self, x):
        bits = tf.floor(self.uniform(x, BITS[0], BITS[1] + 1))
        peak = tf.reduce_max(tf.abs(x), axis=1, keepdims=True)
        scaled = x / tf.maximum(peak, QUIETEST)
        coded = tf.where(self.uniform(x) < 0.5, _through_mu_law(scaled, bits), _through_a_law(scaled, bits))
        return coded * peak


@keras.saving.register_keras_serializable(package="spoof")
class RawBoost(Augmentation):
    """RawBoost (Tak et al. 2022): convolutive, impulsive and stationary noise, each in up to half of the clips.

    Convolutive: powers of the signal through separate notches, higher powers fainter. Impulsive: at up to 10 % of the
    samples, in proportion to them. Stationary: noise through a filter of notches, at an SNR of 10 to 40 dB.
    """

    def change(self, x):
        for part in (self.convolutive, self.impulsive, self.stationary):
            x = self.in_some(x, part, self.strength / 2)
        return x

    def convolutive(self, x):
        peak = tf.reduce_max(tf.abs(x), axis=1, keepdims=True)
        scaled = x / tf.maximum(peak, QUIETEST)
        total = tf.signal.rfft(scaled) * tf.complex(self.notches(x), 0.0)
        power = scaled
        for _ in range(2, POWERS + 1):
            power *= scaled
            gain = _amplitude(self.uniform(x, -30.0, -10.0))
            total += tf.signal.rfft(power) * tf.complex(gain * self.notches(x), 0.0)
        made = tf.signal.irfft(total, [tf.shape(x)[1]])
        return made * _rms(x) / _rms(made)

    def impulsive(self, x):
        share = self.uniform(x, 0.0, 0.1)
        drawn = keras.random.uniform(tf.shape(x), seed=self.seed_generator)
        # A drawn number under the share is uniform below it, so it gives the size too.
        hits = tf.where(drawn < share, 4.0 * drawn / share - 2.0, 0.0)
        return tf.clip_by_value(x + x * hits, -1.0, 1.0)

    def stationary(self, x):
        noise = self.noise(x, self.notches(x))
        return x + noise * _rms(x) / _rms(noise) * _amplitude(-self.uniform(x, 10.0, 40.0))

    def notches(self, x):
        """Draw the gain ``[batch, bins]`` of a few notches at random places, of random widths."""
        frequency = band_pass.frequencies(tf.shape(x)[1])[:, None]  # (1, 1, bins)
        centre = self.uniform(x, 20.0, SAMPLE_RATE_HZ / 2, (NOTCHES, 1))
        width = self.uniform(x, *NOTCH_WIDTH_HZ, (NOTCHES, 1))
        return tf.reduce_prod(1.0 - tf.exp(-tf.square(2.0 * (frequency - centre) / width)), axis=1)


def _through_mu_law(x, bits):
    compressed = tf.sign(x) * tf.math.log1p(MU * tf.abs(x)) / math.log1p(MU)
    rounded = _round(compressed, bits)
    return tf.sign(rounded) * tf.math.expm1(tf.abs(rounded) * math.log1p(MU)) / MU


def _through_a_law(x, bits):
    size, knee = tf.abs(x), 1.0 + math.log(A)
    compressed = tf.where(size < 1 / A, A * size, 1.0 + tf.math.log(tf.maximum(A * size, 1.0))) / knee
    rounded = _round(compressed, bits)
    expanded = tf.where(rounded * knee < 1.0, rounded * knee / A, tf.exp(rounded * knee - 1.0) / A)
    return tf.sign(x) * expanded


def _round(x, bits):
    steps = 2.0 ** (bits - 1.0) - 1.0
    return tf.round(x * steps) / steps


def _amplitude(db):
    return tf.exp(db * np.float32(math.log(10.0) / 20.0))


def _rms(x):
    return tf.sqrt(tf.reduce_mean(tf.square(x), axis=1, keepdims=True) + QUIETEST**2)
