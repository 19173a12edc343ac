"""Whisper's input: log-mel spectrogram as its feature extractor computes it."""

import keras
import numpy as np
from keras import ops

from pipeline.audio import band_filters
from pipeline.config import SAMPLE_RATE_HZ
from pipeline.network.fixed_layer import FixedLayer

N_FFT = 400
HOP_SAMPLES = 160


@keras.saving.register_keras_serializable(package="spoof")
class WhisperLogMel(FixedLayer):
    """Mel bands of frames of 25 ms, decadic logarithm within 80 dB of the loudest, scaled to about −1…1; float32.

    The Fourier transform is a convolution with cosines and sines, as no runtime of exported models has one of 400
    points. Frames are centred with reflection; the last one is dropped.

    Input shape ``[batch, samples]``; output shape ``[batch, samples // 160, bands]``.

    Parameters
    ----------
    bands : number of mel bands, 80 or 128.

    Example
    -------
    >>> WhisperLogMel(bands=80)(np.zeros((1, 16000), "float32")).shape
    TensorShape([1, 100, 80])
    """

    bands: int

    def build(self, input_shape):
        sample, bins = np.arange(N_FFT), N_FFT // 2 + 1
        window = 0.5 - 0.5 * np.cos(2 * np.pi * sample / N_FFT)  # (n_fft,)
        angle = 2 * np.pi / N_FFT * (np.outer(sample, np.arange(bins)) % N_FFT)  # (n_fft, bins)
        bases = np.concatenate([np.cos(angle), np.sin(angle)], axis=1) * window[:, None]  # (n_fft, 2 bins)
        self.kernel = bases[:, None, :].astype("float32")  # (n_fft, 1, 2 bins)
        self.mel = band_filters.mel(bins, self.bands, 0.0, SAMPLE_RATE_HZ / 2)  # (bins, bands)

    def call(self, waveform):
        frames = waveform.shape[1] // HOP_SAMPLES
        padded = ops.pad(waveform, [[0, 0], [N_FFT // 2, N_FFT // 2]], mode="reflect")[..., None]
        parts = ops.conv(padded, self.kernel, strides=HOP_SAMPLES, padding="valid")[
            :, :frames
        ]  # (batch, frames, 2 bins)
        bins = parts.shape[-1] // 2
        power = ops.square(parts[..., :bins]) + ops.square(parts[..., bins:])  # (batch, frames, bins)
        log = ops.log(ops.maximum(ops.matmul(power, self.mel), 1e-10)) / np.log(10.0)  # (batch, frames, bands)
        loudest = ops.max(log, axis=(1, 2), keepdims=True)  # (batch, 1, 1)
        return (ops.maximum(log, loudest - 8.0) + 4.0) / 4.0

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[1] // HOP_SAMPLES, self.bands)
