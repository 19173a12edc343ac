"""Power spectra: Keras layers from waveform to power in bins or bands.

librosa supplies the mel and constant-Q filters and is the oracle of the tests (``center=True, pad_mode="constant"``).
"""

import math

import keras
import numpy as np
from keras import ops

from pipeline.audio import band_filters
from pipeline.config import SAMPLE_RATE_HZ
from pipeline.network.fixed_layer import FixedLayer


@keras.saving.register_keras_serializable(package="spoof")
class PowerSpectrogram(FixedLayer):
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

    n_fft: int
    hop_samples: int

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


@keras.saving.register_keras_serializable(package="spoof")
class MelBands(FixedLayer):
    """Sums of power in mel bands (Slaney's scale and area normalisation, as librosa's default).

    Input shape ``[batch, frames, bins]``; output shape ``[batch, frames, n_mels]``.

    Parameters
    ----------
    n_mels : bands.
    fmin_hz, fmax_hz : lowest and highest frequency.
    """

    n_mels: int
    fmin_hz: float
    fmax_hz: float

    def build(self, input_shape):
        self.filters = band_filters.mel(input_shape[-1], self.n_mels, self.fmin_hz, self.fmax_hz)  # (bins, n_mels)

    def call(self, power):
        return ops.matmul(power, self.filters)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.n_mels)


@keras.saving.register_keras_serializable(package="spoof")
class LinearBands(FixedLayer):
    """Means of power in triangular bands at equal distances in Hz, each half overlapping the next.

    Input shape ``[batch, frames, bins]``; output shape ``[batch, frames, n_bands]``, or every bin between the edges
    with ``n_bands=0``.

    Parameters
    ----------
    n_bands : bands.
    fmin_hz, fmax_hz : lowest and highest frequency.
    """

    n_bands: int
    fmin_hz: float
    fmax_hz: float

    def build(self, input_shape):
        self.filters = self._filters(input_shape[-1])

    def _filters(self, bins: int) -> np.ndarray:
        return band_filters.linear(bins, self.n_bands, self.fmin_hz, self.fmax_hz)

    def call(self, power):
        return ops.matmul(power, self.filters)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self._filters(input_shape[-1]).shape[1])


@keras.saving.register_keras_serializable(package="spoof")
class ConstantQ(FixedLayer):
    """Power in bands as wide as their frequency is high (Brown 1991), scaled as librosa.cqt does.

    Each band is a Hann-windowed complex sinusoid, centred on each frame; all have the same number of periods. Bands of
    one octave are computed together, so high bands do not pay for the long windows of low ones.

    Input shape ``[batch, samples]``; output shape ``[batch, 1 + samples // hop_samples, bands]``.

    Parameters
    ----------
    hop_samples : samples between the centres of two frames.
    bins_per_octave : bands per octave.
    fmin_hz, fmax_hz : centre of the lowest band, and the frequency that the highest band stays under.

    Example
    -------
    >>> ConstantQ(hop_samples=160, bins_per_octave=12, fmin_hz=62.5, fmax_hz=8000.0)(np.zeros((1, 16000), "f4")).shape
    TensorShape([1, 101, 83])
    """

    hop_samples: int
    bins_per_octave: int
    fmin_hz: float
    fmax_hz: float

    @property
    def bands(self) -> int:
        """Bands whose whole width lies under ``fmax_hz``."""
        half_width = 2 ** (0.5 / self.bins_per_octave)
        return 1 + math.floor(self.bins_per_octave * math.log2(self.fmax_hz / half_width / self.fmin_hz))

    def build(self, input_shape):
        import librosa

        centres_hz = self.fmin_hz * 2 ** (np.arange(self.bands) / self.bins_per_octave)
        self.kernels = []
        for first in range(0, self.bands, self.bins_per_octave):
            octave_hz = centres_hz[first : first + self.bins_per_octave]
            # librosa measures the width of a single band by another rule; give every octave the same width.
            width = (2 ** (2 / self.bins_per_octave) - 1) / (2 ** (2 / self.bins_per_octave) + 1)
            waves, samples = librosa.filters.wavelet(
                freqs=octave_hz, sr=SAMPLE_RATE_HZ, pad_fft=False, alpha=np.full(len(octave_hz), width)
            )
            waves = waves * np.sqrt(samples)[:, None]
            kernel = np.concatenate([waves.real, -waves.imag]).T[:, None].astype("float32")  # (window, 1, 2 · bands)
            self.kernels.append(kernel)

    def call(self, waveform):
        frames, powers = 1 + waveform.shape[1] // self.hop_samples, []
        for kernel in self.kernels:
            window = len(kernel)
            padded = ops.pad(waveform, [[0, 0], [window // 2, window]])[..., None]
            parts = ops.conv(padded, kernel, strides=self.hop_samples, padding="valid")[:, :frames]
            real, imaginary = ops.split(parts, 2, axis=-1)  # (batch, frames, bands of the octave) each
            powers.append(ops.square(real) + ops.square(imaginary))
        return ops.concatenate(powers, axis=-1)

    def compute_output_shape(self, input_shape):
        batch, samples = input_shape
        return (batch, 1 + samples // self.hop_samples, self.bands)
