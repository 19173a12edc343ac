"""Front ends: Keras layers from waveform to normalised spectrogram, the first part of every model.

They sit inside the network, so that training, export and serving hear the same thing. All of them compute in float32
whatever the precision of the network behind: a float16 power spectrum overflows. librosa supplies the mel filters and
is the oracle of the tests (``center=True, pad_mode="constant"``).
"""

import math
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from pipeline.audio import band_filters
from pipeline.config import SAMPLE_RATE_HZ, FrontEndConfig
from pipeline.errors import ConfigError

POWER_FLOOR = 1e-10
"""Least power taken for the logarithm, librosa's ``amin``."""
PEAK_RANGE_DB = 80.0
"""Dynamic range below the maximum that normalisation ``peak`` keeps, librosa's ``top_db``."""
DELTA_FRAMES = 9
"""Frames that a delta is taken over, librosa's ``width``."""
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
        self.filters = band_filters.mel(input_shape[-1], self.n_mels, self.fmin_hz, self.fmax_hz)  # (bins, n_mels)

    def call(self, power):
        return ops.matmul(power, self.filters)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.n_mels)

    def get_config(self):
        own = {"n_mels": self.n_mels, "fmin_hz": self.fmin_hz, "fmax_hz": self.fmax_hz}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="spoof")
class LinearBands(keras.Layer):
    """Means of power in triangular bands at equal distances in Hz, each half overlapping the next.

    Input shape ``[batch, frames, bins]``; output shape ``[batch, frames, n_bands]``, or every bin between the edges
    with ``n_bands=0``.

    Parameters
    ----------
    n_bands : bands.
    fmin_hz, fmax_hz : lowest and highest frequency.
    """

    def __init__(self, *, n_bands: int, fmin_hz: float, fmax_hz: float, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32", "trainable": False})
        self.n_bands = n_bands
        self.fmin_hz = fmin_hz
        self.fmax_hz = fmax_hz

    def build(self, input_shape):
        self.filters = self._filters(input_shape[-1])

    def _filters(self, bins: int) -> np.ndarray:
        return band_filters.linear(bins, self.n_bands, self.fmin_hz, self.fmax_hz)

    def call(self, power):
        return ops.matmul(power, self.filters)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self._filters(input_shape[-1]).shape[1])

    def get_config(self):
        own = {"n_bands": self.n_bands, "fmin_hz": self.fmin_hz, "fmax_hz": self.fmax_hz}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="spoof")
class ConstantQ(keras.layers.Layer):
    """Power in bands whose widths are in proportion to their frequency (Brown 1991), as librosa.cqt scales them.

    Each band is a Hann-windowed complex sinusoid of as many periods as any other, centred on each frame. Bands of one
    octave are computed together, so that high bands do not pay for the long windows of low ones.

    Input shape ``[batch, samples]``; output shape ``[batch, 1 + samples // hop_samples, bands]``.

    Parameters
    ----------
    hop_samples : samples between the centres of two frames.
    bins_per_octave : bands an octave.
    fmin_hz, fmax_hz : centre of the lowest band, and the frequency that the highest band stays under.

    Example
    -------
    >>> ConstantQ(hop_samples=160, bins_per_octave=12, fmin_hz=62.5, fmax_hz=8000.0)(np.zeros((1, 16000), "f4")).shape
    TensorShape([1, 101, 83])
    """

    def __init__(self, *, hop_samples: int, bins_per_octave: int, fmin_hz: float, fmax_hz: float, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32", "trainable": False})
        self.hop_samples = hop_samples
        self.bins_per_octave = bins_per_octave
        self.fmin_hz = fmin_hz
        self.fmax_hz = fmax_hz

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
            # librosa measures the width of a single band by a rule of its own: every octave is given the same one.
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

    def get_config(self):
        own = {"hop_samples": self.hop_samples, "bins_per_octave": self.bins_per_octave}
        return {**super().get_config(), **own, "fmin_hz": self.fmin_hz, "fmax_hz": self.fmax_hz}


@keras.saving.register_keras_serializable(package="spoof")
class Cepstrum(keras.Layer):
    """Cepstral coefficients of bands in dB, with deltas and double deltas over time.

    The orthonormal DCT-II over the bands, and librosa.feature.delta's slopes (Savitzky-Golay over 9 frames).

    Input shape ``[batch, frames, bands]``; output shape ``[batch, frames, 3 · n_coefficients]``.

    Parameters
    ----------
    n_coefficients : coefficients kept, the lowest first.
    """

    def __init__(self, *, n_coefficients: int, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32", "trainable": False})
        self.n_coefficients = n_coefficients

    def build(self, input_shape):
        from scipy.fft import dct
        from scipy.signal import savgol_coeffs

        self.basis = dct(np.eye(input_shape[-1]), type=2, norm="ortho")[:, : self.n_coefficients].astype("float32")
        self.slopes = [savgol_coeffs(DELTA_FRAMES, order, deriv=order, use="dot").astype("float32") for order in (1, 2)]

    def call(self, bands_db):
        cepstrum = ops.matmul(bands_db, self.basis)  # (batch, frames, n_coefficients)
        frames, half = cepstrum.shape[1], DELTA_FRAMES // 2
        before, behind = ops.repeat(cepstrum[:, :1], half, axis=1), ops.repeat(cepstrum[:, -1:], half, axis=1)
        padded = ops.concatenate([before, cepstrum, behind], axis=1)
        deltas = [sum(w * padded[:, i : i + frames] for i, w in enumerate(slope)) for slope in self.slopes]
        return ops.concatenate([cepstrum, *deltas], axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 3 * self.n_coefficients)

    def get_config(self):
        return {**super().get_config(), "n_coefficients": self.n_coefficients}


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


LAYERS = (PowerSpectrogram, MelBands, LinearBands, ConstantQ, Cepstrum, Decibel, Normalise)
"""Layers of every front end."""


def spectrogram(
    waveform: keras.KerasTensor,
    config: FrontEndConfig,
    *,
    on_power: Callable[[keras.KerasTensor], keras.KerasTensor] | None = None,
) -> keras.KerasTensor:
    """Waveform ``[batch, samples]`` in −1…1 to a normalised spectrogram ``[batch, frames, bands]``.

    ``on_power`` is applied to the power spectrogram ``[batch, frames, bins]`` on its way to the bands; that of ``cqt``
    has its bands for bins. With ``lfcc`` the bands are normalised to their peak before the cepstrum, and to mean and
    variance behind it. Raises ``ConfigError`` for settings that no band fits.
    """
    _check(config)
    on_power = on_power or (lambda power: power)
    edges = {"fmin_hz": config.fmin_hz, "fmax_hz": config.fmax_hz}
    if config.front_end == "cqt":
        layer = ConstantQ(
            hop_samples=config.hop_samples, bins_per_octave=config.bins_per_octave, name="constant_q", **edges
        )
        bands = on_power(layer(waveform))
    else:
        power = PowerSpectrogram(n_fft=config.n_fft, hop_samples=config.hop_samples, name="power_spectrogram")(waveform)
        if config.front_end == "logmel":
            bands = MelBands(n_mels=config.n_mels, name="mel_bands", **edges)(on_power(power))
        else:
            bands = LinearBands(n_bands=config.n_bands, name="linear_bands", **edges)(on_power(power))
    level = Decibel(name="decibel")(bands)
    if config.front_end != "lfcc":
        return Normalise(mode=config.normalisation, name="normalise")(level)
    if config.normalisation == "peak":
        level = Normalise(mode="peak", name="normalise")(level)
    cepstrum = Cepstrum(n_coefficients=config.n_coefficients, name="cepstrum")(level)
    return Normalise(mode="cmvn", name="normalise")(cepstrum) if config.normalisation == "cmvn" else cepstrum


def _check(config: FrontEndConfig) -> None:
    if not 0 <= config.fmin_hz < config.fmax_hz <= SAMPLE_RATE_HZ / 2:
        raise ConfigError(
            f"--fmin_hz {config.fmin_hz:g} --fmax_hz {config.fmax_hz:g}: expected 0 ≤ fmin_hz < fmax_hz ≤ 8000"
        )
    if config.front_end == "cqt" and config.fmin_hz == 0:
        raise ConfigError("--fmin_hz 0: the lowest band of cqt lies there, and must be above 0 Hz; 20 is usual")
    if config.front_end == "lfcc" and not 1 <= config.n_coefficients <= config.n_bands:
        raise ConfigError(
            f"--n_coefficients {config.n_coefficients}: expected 1 to the number of bands, {config.n_bands}"
        )
