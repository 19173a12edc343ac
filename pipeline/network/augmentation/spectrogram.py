"""The parts of the augmentation that act on spectrograms: tempo and pitch on power, masks on what the network sees."""

import keras
import tensorflow as tf

from pipeline.network.augmentation.layer import Augmentation

STRETCH, SEMITONES = 0.2, 3.0
MASKS, MASKED_SHARE = 2, 0.2


@keras.saving.register_keras_serializable(package="spoof")
class TimeStretch(Augmentation):
    """Speech up to 20 % faster or slower, on the power spectrogram ``[batch, frames, bins]``.

    What is missing at the end of a faster clip is its beginning again, as short clips are repeated everywhere.
    """

    def change(self, x):
        return stretch(x, 1.0 + self.uniform(x, -STRETCH * self.strength, STRETCH * self.strength))


@keras.saving.register_keras_serializable(package="spoof")
class PitchShift(Augmentation):
    """Speech up to 3 semitones higher or lower, on the power spectrogram ``[batch, frames, bins]``.

    Parameters
    ----------
    bins_per_octave : of a constant-Q spectrogram; 0: the bins of a Fourier transform.
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
    """Two stripes of bands and two of frames replaced by the clip's mean (SpecAugment, Park et al. 2019).

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
    """A power spectrogram ``[batch, frames, bins]`` played ``rate`` ``[batch, 1]`` times as fast.

    Magnitudes between two frames are interpolated, as a phase vocoder does (librosa.effects.time_stretch).
    """
    frames = tf.shape(power)[1]
    place = tf.cast(tf.range(frames), tf.float32)[None] * rate  # (batch, frames)
    before = tf.cast(place, tf.int32)
    share = (place - tf.cast(before, tf.float32))[..., None]
    magnitude = tf.sqrt(power)
    first, second = (tf.gather(magnitude, (before + i) % frames, batch_dims=1) for i in (0, 1))
    return tf.square(first * (1.0 - share) + second * share)


def shift(power, semitones):
    """A power spectrogram ``[batch, frames, bins]`` with all frequencies moved by ``semitones`` ``[batch, 1]``.

    The power of a bin is spread over as many times more bins as the ratio says, so it is divided by it; what would
    come from above half the sample rate is silent (librosa.effects.pitch_shift).
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
    """A constant-Q power spectrogram ``[batch, frames, bands]`` moved up by so many ``bands`` ``[batch, 1]``.

    Magnitudes between two bands are interpolated; what would come from beyond the edges is silent.
    """
    count = power.shape[-1]
    place = tf.range(count, dtype=tf.float32)[None] - bands  # (batch, bands)
    near = tf.nn.relu(1.0 - tf.abs(place[:, None] - tf.range(count, dtype=tf.float32)[None, :, None]))
    return tf.square(tf.matmul(tf.sqrt(power), near))  # near: (batch, bands, bands)
