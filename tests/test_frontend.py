"""The front end against librosa, and its layers through saving and LiteRT-like float32 promises."""

import dataclasses

import keras
import librosa
import numpy as np
import pytest

from pipeline import frontend
from pipeline.config import SAMPLE_RATE_HZ, FrontEndConfig

SETTINGS = [
    FrontEndConfig(normalisation="none"),
    FrontEndConfig(normalisation="none", n_fft=2048, hop_samples=512, n_mels=128, fmin_hz=0.0),
    FrontEndConfig(normalisation="none", n_fft=400, hop_samples=100, n_mels=40, fmin_hz=300.0, fmax_hz=3400.0),
]


@pytest.fixture(scope="module")
def waveform() -> np.ndarray:
    """One second of a harmonic glide over noise, ``[samples]`` float32."""
    rng = np.random.default_rng(7)
    t = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    phase = 2 * np.pi * np.cumsum(120 + 60 * t) / SAMPLE_RATE_HZ
    harmonics = sum(np.sin(k * phase) / k for k in range(1, 25))
    return (0.2 * harmonics + 0.003 * rng.standard_normal(len(t))).astype(np.float32)


def run(config: FrontEndConfig, waveform: np.ndarray) -> np.ndarray:
    waves = keras.Input((len(waveform),))
    return keras.Model(waves, frontend.spectrogram(waves, config)).predict(waveform[None], verbose=0)[0]


def librosa_db(config: FrontEndConfig, waveform: np.ndarray, **to_db) -> np.ndarray:
    power = librosa.feature.melspectrogram(
        y=waveform.astype(np.float64),
        sr=SAMPLE_RATE_HZ,
        n_fft=config.n_fft,
        hop_length=config.hop_samples,
        n_mels=config.n_mels,
        fmin=config.fmin_hz,
        fmax=config.fmax_hz,
        pad_mode="constant",
    )
    return librosa.power_to_db(power, **to_db).T  # (frames, mels)


@pytest.mark.parametrize("config", SETTINGS, ids=lambda c: f"{c.n_fft}-{c.hop_samples}-{c.n_mels}")
def test_log_mel_equals_librosa(config, waveform):
    expected = librosa_db(config, waveform, top_db=None)
    np.testing.assert_allclose(run(config, waveform), expected, atol=1e-3)


@pytest.mark.parametrize("config", SETTINGS, ids=lambda c: f"{c.n_fft}-{c.hop_samples}-{c.n_mels}")
def test_peak_normalisation_equals_power_to_db_relative_to_the_maximum(config, waveform):
    expected = librosa_db(config, waveform, ref=np.max, top_db=80.0)
    np.testing.assert_allclose(run(dataclasses.replace(config, normalisation="peak"), waveform), expected, atol=1e-3)


def test_cmvn_gives_each_band_zero_mean_and_unit_variance(waveform):
    normalised = run(FrontEndConfig(normalisation="cmvn"), waveform)
    np.testing.assert_allclose(normalised.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(normalised.std(axis=0), 1, atol=1e-3)


def test_cmvn_of_a_constant_spectrogram_is_zero():
    assert np.array_equal(frontend.Normalise(mode="cmvn")(np.full((1, 9, 4), -100.0, "float32")), np.zeros((1, 9, 4)))


def test_silence_stays_finite_under_every_normalisation():
    for mode in ("peak", "cmvn", "none"):
        assert np.isfinite(run(FrontEndConfig(normalisation=mode), np.zeros(8000, "float32"))).all()


def test_layers_survive_saving(tmp_path, waveform):
    waves = keras.Input((len(waveform),))
    model = keras.Model(waves, frontend.spectrogram(waves, FrontEndConfig()))
    model.save(tmp_path / "front_end.keras")
    loaded = keras.saving.load_model(tmp_path / "front_end.keras")
    assert np.array_equal(loaded.predict(waveform[None], verbose=0), model.predict(waveform[None], verbose=0))


def test_front_end_is_float32_under_mixed_precision(waveform):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        loud = np.full(len(waveform), 1.0, "float32")
        result = run(FrontEndConfig(normalisation="none"), loud)
    finally:
        keras.config.set_dtype_policy("float32")
    assert result.dtype == np.float32
    assert np.isfinite(result).all()


def test_declared_shapes_are_the_computed_ones(waveform):
    layer = frontend.PowerSpectrogram(n_fft=400, hop_samples=160)
    assert layer.compute_output_shape((1, len(waveform))) == tuple(layer(waveform[None]).shape)
    bands = frontend.MelBands(n_mels=20, fmin_hz=0.0, fmax_hz=8000.0)
    assert bands.compute_output_shape((1, 7, 201)) == tuple(bands(np.ones((1, 7, 201), "float32")).shape)
