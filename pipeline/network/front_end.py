"""Front ends: Keras layers from waveform to normalised spectrogram, the first part of every model.

They sit inside the network, so training, export and serving compute the same features. All of them compute in float32,
whatever the precision of the rest of the network: a float16 power spectrum overflows.
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from pipeline.config import SAMPLE_RATE_HZ, FrontEndConfig
from pipeline.errors import ConfigError
from pipeline.network.fixed_layer import FixedLayer
from pipeline.network.spectra import ConstantQ, LinearBands, MelBands, PowerSpectrogram

POWER_FLOOR = 1e-10
"""Floor of the power before the logarithm, librosa's ``amin``."""
PEAK_RANGE_DB = 80.0
"""Dynamic range below the maximum that normalisation ``peak`` keeps, librosa's ``top_db``."""
DELTA_FRAMES = 9
"""Frames per delta, librosa's ``width``."""
VARIANCE_FLOOR = 1e-3
"""Added to the variance of a band, in dB²: a constant band becomes zeros."""


@keras.saving.register_keras_serializable(package="spoof")
class Cepstrum(FixedLayer):
    """Cepstral coefficients of bands in dB, with deltas and double deltas over time.

    The orthonormal DCT-II over the bands, and librosa.feature.delta's slopes (Savitzky-Golay over 9 frames).

    Input shape ``[batch, frames, bands]``; output shape ``[batch, frames, 3 · n_coefficients]``.

    Parameters
    ----------
    n_coefficients : coefficients kept, the lowest first.
    """

    n_coefficients: int

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


@keras.saving.register_keras_serializable(package="spoof")
class Decibel(FixedLayer):
    """10 · log10 of power, floored at ``POWER_FLOOR`` (−100 dB). Shapes are kept."""

    def call(self, power):
        return ops.log(ops.maximum(power, POWER_FLOOR)) * (10.0 / np.log(10.0))


@keras.saving.register_keras_serializable(package="spoof")
class Normalise(FixedLayer):
    """Normalisation of one window's spectrogram in dB. Shape ``[batch, frames, bands]`` is kept.

    Parameters
    ----------
    mode : ``peak``: dB relative to the window's maximum, floored 80 dB below it. ``cmvn``: each band to zero mean and
        unit variance over time. ``none``: unchanged.
    """

    mode: str

    def call(self, spectrogram_db):
        if self.mode == "peak":
            peak = ops.max(spectrogram_db, axis=(1, 2), keepdims=True)
            return ops.maximum(spectrogram_db - peak, -PEAK_RANGE_DB)
        if self.mode == "cmvn":
            centred = spectrogram_db - ops.mean(spectrogram_db, axis=1, keepdims=True)
            variance = ops.mean(ops.square(centred), axis=1, keepdims=True)
            return centred * ops.rsqrt(variance + VARIANCE_FLOOR)
        return spectrogram_db


LAYERS = (PowerSpectrogram, MelBands, LinearBands, ConstantQ, Cepstrum, Decibel, Normalise)
"""Layers that front ends consist of."""


def spectrogram(
    waveform: keras.KerasTensor,
    config: FrontEndConfig,
    *,
    on_power: Callable[[keras.KerasTensor], keras.KerasTensor] | None = None,
) -> keras.KerasTensor:
    """Waveform ``[batch, samples]`` in −1…1 to a normalised spectrogram ``[batch, frames, bands]``.

    ``on_power`` changes the power spectrogram ``[batch, frames, bins]`` before its bins become bands; the bins of
    ``cqt`` are its bands. ``lfcc`` normalises to the peak before the cepstrum, or to mean and variance after it.
    Raises ``ConfigError`` for settings that no band fits.
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
