"""Front ends: Keras layers from waveform to normalised spectrogram, the first part of every model.

They sit inside the network, so that training, export and serving hear the same thing. All of them compute in float32
whatever the precision of the network behind: a float16 power spectrum overflows. librosa supplies the mel filters and
is the oracle of the tests (``center=True, pad_mode="constant"``).
"""

import keras
import numpy as np
from keras import ops

from pipeline.config import SAMPLE_RATE_HZ, FrontEndConfig

POWER_FLOOR = 1e-10
"""Least power taken for the logarithm, librosa's ``amin``."""
PEAK_RANGE_DB = 80.0
"""Dynamic range below the maximum that normalisation ``peak`` keeps, librosa's ``top_db``."""
VARIANCE_FLOOR = 1e-3
"""In dB², added to the variance of a band so that a constant band becomes zeros."""


@keras.saving.register_keras_serializable(package="spoof")
class PowerSpectrogram(keras.Layer):
    """Power of the short-time Fourier transform, Hann window, frames centred with zero padding.

    Input shape ``[batch, samples]``; output shape ``[batch, 1 + samples // hop_samples, 1 + n_fft // 2]``.

    Parameters
    ----------
    n_fft : samples of the window and of the transform.
    hop_samples : samples between the centres of two frames.

    Example
    -------
    >>> PowerSpectrogram(n_fft=512, hop_samples=160)(np.zeros((1, 16000), "float32")).shape
    TensorShape([1, 101, 257])
    """

    def __init__(self, *, n_fft: int, hop_samples: int, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32", "trainable": False})
        self.n_fft = n_fft
        self.hop_samples = hop_samples

    def call(self, waveform):
        window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.n_fft) / self.n_fft)).astype("float32")
        half = self.n_fft // 2
        padded = ops.pad(waveform, [[0, 0], [half, half]])  # (batch, samples + n_fft)
        frames = ops.extract_sequences(padded, self.n_fft, self.hop_samples)  # (batch, frames, n_fft)
        real, imaginary = ops.rfft(frames * window)  # (batch, frames, bins) each
        return ops.square(real) + ops.square(imaginary)

    def compute_output_shape(self, input_shape):
        batch, samples = input_shape
        return (batch, 1 + samples // self.hop_samples, 1 + self.n_fft // 2)

    def get_config(self):
        return {**super().get_config(), "n_fft": self.n_fft, "hop_samples": self.hop_samples}


@keras.saving.register_keras_serializable(package="spoof")
class MelBands(keras.Layer):
    """Sums of power in mel bands (Slaney's scale and area normalisation, as librosa's default).

    Input shape ``[batch, frames, bins]``; output shape ``[batch, frames, n_mels]``.

    Parameters
    ----------
    n_mels : bands.
    fmin_hz, fmax_hz : lowest and highest frequency.
    """

    def __init__(self, *, n_mels: int, fmin_hz: float, fmax_hz: float, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32", "trainable": False})
        self.n_mels = n_mels
        self.fmin_hz = fmin_hz
        self.fmax_hz = fmax_hz

    def build(self, input_shape):
        import librosa

        filters = librosa.filters.mel(
            sr=SAMPLE_RATE_HZ,
            n_fft=2 * (input_shape[-1] - 1),
            n_mels=self.n_mels,
            fmin=self.fmin_hz,
            fmax=self.fmax_hz,
        )
        self.filters = np.ascontiguousarray(filters.T)  # (bins, n_mels)

    def call(self, power):
        return ops.matmul(power, self.filters)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.n_mels)

    def get_config(self):
        own = {"n_mels": self.n_mels, "fmin_hz": self.fmin_hz, "fmax_hz": self.fmax_hz}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="spoof")
class Decibel(keras.Layer):
    """10 · log10 of power, floored at ``POWER_FLOOR`` (−100 dB). Shapes are kept."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32", "trainable": False})

    def call(self, power):
        return ops.log(ops.maximum(power, POWER_FLOOR)) * (10.0 / np.log(10.0))

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="spoof")
class Normalise(keras.Layer):
    """Normalisation of one window's spectrogram in dB. Shape ``[batch, frames, bands]`` is kept.

    Parameters
    ----------
    mode : ``peak``: dB relative to the window's maximum, floored 80 dB below it. ``cmvn``: each band to zero mean and
        unit variance over time. ``none``: unchanged.
    """

    def __init__(self, *, mode: str, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32", "trainable": False})
        self.mode = mode

    def call(self, spectrogram_db):
        if self.mode == "peak":
            peak = ops.max(spectrogram_db, axis=(1, 2), keepdims=True)
            return ops.maximum(spectrogram_db - peak, -PEAK_RANGE_DB)
        if self.mode == "cmvn":
            centred = spectrogram_db - ops.mean(spectrogram_db, axis=1, keepdims=True)
            variance = ops.mean(ops.square(centred), axis=1, keepdims=True)
            return centred * ops.rsqrt(variance + VARIANCE_FLOOR)
        return spectrogram_db

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "mode": self.mode}


def spectrogram(waveform: keras.KerasTensor, config: FrontEndConfig) -> keras.KerasTensor:
    """Waveform ``[batch, samples]`` in −1…1 to normalised log-mel ``[batch, frames, n_mels]``."""
    power = PowerSpectrogram(n_fft=config.n_fft, hop_samples=config.hop_samples, name="power_spectrogram")(waveform)
    mel = MelBands(n_mels=config.n_mels, fmin_hz=config.fmin_hz, fmax_hz=config.fmax_hz, name="mel_bands")(power)
    return Normalise(mode=config.normalisation, name="normalise")(Decibel(name="decibel")(mel))
