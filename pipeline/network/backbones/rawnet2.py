"""RawNet2 for anti-spoofing (Tak et al. 2021, arXiv:2011.01108) on the raw waveform; 4.0 M parameters.

Fixed band-pass filters, six residual blocks that each pool time by 3 and rescale their channels, and a GRU over the
remaining 28 steps for 4 s. The paper has 128 filters of 129 samples and widths 128 and 512. This is the smaller network
that its authors made the baseline of ASVspoof 2021, with 20 filters of 1025 samples and widths 20 and 128, and with the
paper's one GRU layer in place of three. The head's dense layer replaces theirs. 3,976,808 parameters, of which
3,974,560 are trained.
"""

import math

import keras
import numpy as np
from keras import layers, ops

from pipeline.config import SAMPLE_RATE_HZ, ModelConfig
from pipeline.errors import ConfigError
from pipeline.network.fixed_layer import FixedLayer

INPUT = "waveform"
FILTERS = 20
FILTER_SAMPLES = 1025
WIDTHS = (20, 20, 128, 128, 128, 128)
"""Channels of the six residual blocks."""
POOL = 3
UNITS = 1024
SMALLEST_SAMPLES = FILTER_SAMPLES - 1 + POOL ** (1 + len(WIDTHS))
"""Fewest samples of a window: they leave the GRU one step."""


@keras.saving.register_keras_serializable(package="spoof")
class SincFilters(FixedLayer):
    """Fixed band-pass filters side by side on the mel scale (2595 · log10(1 + f / 700)) from 0 Hz to half the rate.

    Each is the Hamming-windowed difference of two low-pass filters: gain 1 inside its band, no phase shift, no weights.
    Computes in float32 under any precision policy, because bands of speech lie far below full scale.

    Input shape ``[batch, samples]``; output shape ``[batch, samples - filter_samples + 1, filters]``.

    Parameters
    ----------
    filters : number of bands.
    filter_samples : length of each filter; odd, so that it has a middle.

    Example
    -------
    >>> SincFilters(filters=20, filter_samples=1025)(np.zeros((1, 8000), "float32")).shape
    TensorShape([1, 6976, 20])
    """

    filters: int
    filter_samples: int

    def build(self, input_shape):
        if self.filter_samples % 2 == 0:
            raise ValueError(f"filter_samples must be odd, got {self.filter_samples}")
        top_mel = 2595 * np.log10(1 + SAMPLE_RATE_HZ / 2 / 700)
        edges_hz = 700 * (10 ** (np.linspace(0, top_mel, self.filters + 1) / 2595) - 1)
        cycles = 2 * edges_hz / SAMPLE_RATE_HZ  # (filters + 1,)
        middle = self.filter_samples // 2
        times = np.arange(-middle, middle + 1)[:, None]  # (filter_samples, 1)
        low_pass = cycles * np.sinc(cycles * times)  # (filter_samples, filters + 1)
        band_pass = np.diff(low_pass) * np.hamming(self.filter_samples)[:, None]  # (filter_samples, filters)
        self.kernel = band_pass[:, None, :].astype("float32")  # (filter_samples, 1, filters)

    def call(self, waveform):
        return ops.conv(waveform[..., None], self.kernel, padding="valid")  # (batch, samples - filter_samples + 1, …)

    def compute_output_shape(self, input_shape):
        batch, samples = input_shape
        return (batch, samples - self.filter_samples + 1, self.filters)


def features(x: keras.KerasTensor, config: ModelConfig) -> keras.KerasTensor:
    """Waveform ``[batch, samples]`` in −1…1 to ``[batch, 1024]``: the GRU's state after the last step.

    Raises ``ConfigError`` for a window under 3211 samples.
    """
    samples = x.shape[1]
    if samples < SMALLEST_SAMPLES:
        raise ConfigError(
            f"rawnet2 needs {SMALLEST_SAMPLES} samples at least, and these options give {samples}: raise --clip_s to "
            f"{math.ceil(100 * SMALLEST_SAMPLES / SAMPLE_RATE_HZ) / 100} or more"
        )

    def normalise(maps, **options):
        return layers.BatchNormalization(momentum=config.batch_norm_momentum, **options)(maps)

    def block(maps, channels: int, number: int):
        inner = layers.LeakyReLU(0.3)(normalise(maps)) if number else maps
        inner = layers.Conv1D(channels, 3, padding="same")(inner)
        inner = layers.Conv1D(channels, 3, padding="same")(layers.LeakyReLU(0.3)(normalise(inner)))
        shortcut = maps if maps.shape[-1] == channels else layers.Conv1D(channels, 1)(maps)
        pooled = layers.MaxPooling1D(POOL)(layers.Add()([inner, shortcut]))  # (batch, steps / 3, channels)
        scale = layers.GlobalAveragePooling1D(keepdims=True)(pooled)  # (batch, 1, channels)
        scale = layers.Dense(channels, activation="sigmoid", name=f"scale_{number}")(scale)
        return layers.Add()([layers.Multiply()([pooled, scale]), scale])

    x = SincFilters(filters=FILTERS, filter_samples=FILTER_SAMPLES, name="sinc")(x)  # (batch, samples - 1024, 20)
    x = layers.MaxPooling1D(POOL, dtype="float32")(ops.absolute(x))  # (batch, (samples - 1024) / 3, 20)
    # Keras' epsilon of 1e-3 would hide the upper bands of speech, whose variance lies between 1e-5 and 1e-3.
    x = layers.Activation("selu")(normalise(x, epsilon=1e-6, dtype="float32"))
    for number, channels in enumerate(WIDTHS):
        x = block(x, channels, number)  # (batch, (samples - 1024) / 3^(number + 2), channels)
    x = layers.Activation("selu")(normalise(x))
    # Unrolled, because LiteRT has no loop over steps when the batch size is open.
    return layers.GRU(UNITS, unroll=True, name="gru")(x)  # (batch, 1024)
