"""Augmentation of spectrograms: tempo and pitch on power, masks on the normalised spectrogram."""

import keras
import tensorflow as tf

from pipeline.network.augmentation.layer import Augmentation

STRETCH, SEMITONES = 0.2, 3.0
MASKS, MASKED_SHARE = 2, 0.2


@keras.saving.register_keras_serializable(package="spoof")
class TimeStretch(Augmentation):
    """Speech up to 20 % faster or slower, on the power spectrogram ``[batch, frames, bins]``.

    A faster clip is filled up with its beginning, as all short clips are repeated.
    """

    def change(self, x):
        return stretch(x, 1.0 + self.uniform(x, -STRETCH * self.strength, STRETCH * self.strength))


@keras.saving.register_keras_serializable(package="spoof")
class PitchShift(Augmentation):
    """Speech up to 3 semitones higher or lower, on the power spectrogram ``[batch, frames, bins]``.

    Parameters
    ----------
    bins_per_octave : bins per octave of a constant-Q spectrogram; 0: bins of a Fourier transform.
    """

    def __init__(self, *, bins_per_octave: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.bins_per_octave = bins_per_octave

    def change(self, x):
        semitones = self.uniform(x, -SEMITONES * self.strength, SEMITONES * self.strength)
        return transpose(x, semitones * self.bins_per_octave / 12) if self.bins_per_octave else shift(x, semitones)

    def get_config(self):
        return {**super().get_config(), "bins_per_octave": self.bins_per_octave}


@keras.saving.register_keras_serializable(package="spoof")
class Masks(Augmentation):
    """Replace two stripes of bands and two of frames by the clip's mean (SpecAugment, Park et al. 2019).

    Stripes are up to 20 % of the spectrogram ``[batch, frames, bands]`` wide.
    """

    def change(self, x):
        mean = tf.reduce_mean(x, axis=(1, 2), keepdims=True)
        hidden = tf.zeros_like(x, tf.bool)
        for axis in (1, 2) * MASKS:
            size = tf.cast(tf.shape(x)[axis], tf.float32)
            width = self.uniform(x, 0.0, MASKED_SHARE * self.strength, (1, 1)) * size
            first = self.uniform(x, shape=(1, 1)) * (size - width)
            place = tf.reshape(tf.range(size), (1, -1, 1) if axis == 1 else (1, 1, -1))
            hidden |= (place >= first) & (place < first + width)
        return tf.where(hidden, mean, x)


def stretch(power, rate):
    """Play a power spectrogram ``[batch, frames, bins]`` ``rate`` ``[batch, 1]`` times as fast.

    Interpolates magnitudes between two frames, like a phase vocoder (librosa.effects.time_stretch).
    """
    frames = tf.shape(power)[1]
    place = tf.cast(tf.range(frames), tf.float32)[None] * rate  # (batch, frames)
    before = tf.cast(place, tf.int32)
    share = (place - tf.cast(before, tf.float32))[..., None]
    magnitude = tf.sqrt(power)
    first, second = (tf.gather(magnitude, (before + i) % frames, batch_dims=1) for i in (0, 1))
    return tf.square(first * (1.0 - share) + second * share)


def shift(power, semitones):
    """Move all frequencies of a power spectrogram ``[batch, frames, bins]`` by ``semitones`` ``[batch, 1]``.

    The power of a bin spreads over ``ratio`` times as many bins, so it is divided by the ratio. Bins that would come
    from above half the sample rate are silent (librosa.effects.pitch_shift).
    """
    bins = power.shape[-1]
    ratio = 2.0 ** (semitones / 12.0)  # (batch, 1)
    place = tf.range(bins, dtype=tf.float32)[None] / ratio  # (batch, bins)
    before = tf.minimum(tf.cast(place, tf.int32), bins - 2)
    share = tf.clip_by_value(place - tf.cast(before, tf.float32), 0.0, 1.0)
    rows = tf.range(bins)[None, :, None]
    take = tf.where(rows == before[:, None], 1.0 - share[:, None], 0.0)
    take += tf.where(rows == before[:, None] + 1, share[:, None], 0.0)  # (batch, bins, bins)
    take *= tf.cast(place <= bins - 1, tf.float32)[:, None]
    return tf.square(tf.matmul(tf.sqrt(power), take)) / ratio[..., None]


def transpose(power, bands):
    """Move a constant-Q power spectrogram ``[batch, frames, bands]`` up by ``bands`` ``[batch, 1]``.

    Interpolates magnitudes between two bands; bands that would come from beyond the edges are silent.
    """
    count = power.shape[-1]
    place = tf.range(count, dtype=tf.float32)[None] - bands  # (batch, bands)
    near = tf.nn.relu(1.0 - tf.abs(place[:, None] - tf.range(count, dtype=tf.float32)[None, :, None]))
    return tf.square(tf.matmul(tf.sqrt(power), near))  # near: (batch, bands, bands)
