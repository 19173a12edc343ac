"""The front end against librosa, and its layers through saving and LiteRT-like float32 promises."""

import dataclasses

import keras
import librosa
import numpy as np
import pytest
import scipy.fft
from ai_edge_litert.interpreter import Interpreter

from pipeline.config import SAMPLE_RATE_HZ, FrontEndConfig
from pipeline.errors import ConfigError
from pipeline.network import formats, front_end, spectra

LOGMEL = FrontEndConfig(front_end="logmel", normalisation="none")
SETTINGS = [
    LOGMEL,
    dataclasses.replace(LOGMEL, n_fft=2048, hop_samples=512, n_mels=128, fmin_hz=0.0),
    dataclasses.replace(LOGMEL, n_fft=400, hop_samples=100, n_mels=40, fmin_hz=300.0, fmax_hz=3400.0),
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
    return keras.Model(waves, front_end.spectrogram(waves, config)).predict(waveform[None], verbose=0)[0]


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


LOGSPEC = FrontEndConfig(front_end="logspec", normalisation="none", n_bands=60, fmin_hz=100.0, fmax_hz=7000.0)
LFCC = dataclasses.replace(LOGSPEC, front_end="lfcc", n_coefficients=20)


def linear_bands_db(waveform: np.ndarray) -> np.ndarray:
    """``LOGSPEC`` by librosa's transform and triangles drawn by interpolation, ``[frames, 60]``."""
    power = np.abs(librosa.stft(waveform.astype(np.float64), n_fft=512, hop_length=160, pad_mode="constant")) ** 2
    edges_hz = np.linspace(100, 7000, 62)
    bins_hz = np.arange(257) * 16000 / 512
    triangles = [np.interp(bins_hz, edges_hz[i : i + 3], [0, 1, 0]) for i in range(60)]
    return 10 * np.log10(np.array([t / t.sum() @ power for t in triangles])).T


def test_logspec_is_means_over_equal_bands(waveform):
    np.testing.assert_allclose(run(LOGSPEC, waveform), linear_bands_db(waveform), atol=1e-3)


def test_logspec_without_bands_is_every_bin(waveform):
    power = np.abs(librosa.stft(waveform.astype(np.float64), n_fft=512, hop_length=160, pad_mode="constant")) ** 2
    config = FrontEndConfig(front_end="logspec", normalisation="none", n_bands=0, fmin_hz=0.0)
    np.testing.assert_allclose(run(config, waveform), 10 * np.log10(np.maximum(power.T, 1e-10)), atol=0.01)


def test_bands_narrower_than_a_bin_have_power(waveform):
    assert run(dataclasses.replace(LOGSPEC, n_bands=250), waveform).min() > -99


def test_lfcc_is_the_cosine_transform_with_librosas_deltas(waveform):
    cepstrum = scipy.fft.dct(linear_bands_db(waveform), type=2, norm="ortho", axis=1)[:, :20]
    deltas = [librosa.feature.delta(cepstrum, width=9, order=n, axis=0, mode="nearest") for n in (1, 2)]
    np.testing.assert_allclose(run(LFCC, waveform), np.concatenate([cepstrum, *deltas], axis=1), atol=5e-3)


CQT = FrontEndConfig(front_end="cqt", normalisation="none", fmin_hz=62.5, hop_samples=128)
"""A hop that librosa's octave-wise downsampling divides without a rest."""


def test_cqt_is_librosas(waveform):
    own = run(CQT, waveform)  # (frames, bands)
    of_librosa = librosa.cqt(
        waveform.astype(np.float64),
        sr=SAMPLE_RATE_HZ,
        hop_length=128,
        fmin=62.5,
        n_bins=own.shape[1],
        bins_per_octave=12,
        pad_mode="constant",
        res_type="soxr_vhq",
    )
    of_librosa = 20 * np.log10(np.abs(of_librosa).T + 1e-9)
    loud = of_librosa > of_librosa.max() - 40
    assert np.median(np.abs(own - of_librosa)[loud]) < 0.5


def test_cqt_has_the_level_of_librosas_wavelet_in_the_band_of_a_tone(waveform):
    tone = np.cos(2 * np.pi * 1000 * np.arange(16000) / 16000).astype("float32")
    bands = run(CQT, tone)[60]
    expected_bin = 12 * np.log2(1000 / 62.5)
    assert int(bands.argmax()) == round(expected_bin) == 48
    length = librosa.filters.wavelet_lengths(freqs=62.5 * 2 ** (np.arange(84) / 12), sr=SAMPLE_RATE_HZ)[0][48]
    np.testing.assert_allclose(bands[48], 20 * np.log10(np.sqrt(length) / 2), atol=0.05)


@pytest.mark.parametrize("config", [LOGSPEC, LFCC, CQT], ids=["logspec", "lfcc", "cqt"])
@pytest.mark.parametrize("mode", ["peak", "cmvn", "none"])
def test_front_ends_take_every_normalisation(config, mode, waveform):
    config = dataclasses.replace(config, normalisation=mode)
    bands = run(config, waveform)
    assert np.isfinite(bands).all()
    assert np.isfinite(run(config, np.zeros(8000, "float32"))).all()
    if mode == "cmvn":
        np.testing.assert_allclose(bands.mean(axis=0), 0, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fmin_hz": 4000.0, "fmax_hz": 3000.0}, "--fmin_hz 4000 --fmax_hz 3000"),
        ({"fmax_hz": 9000.0}, "--fmax_hz 9000"),
        ({"front_end": "cqt", "fmin_hz": 0.0}, "--fmin_hz 0: the lowest band of cqt"),
        ({"front_end": "lfcc", "n_coefficients": 200}, "--n_coefficients 200: expected 1 to the number of bands, 100"),
    ],
)
def test_settings_that_no_band_fits_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        front_end.spectrogram(keras.Input((8000,)), FrontEndConfig(**settings))


def test_cmvn_gives_each_band_zero_mean_and_unit_variance(waveform):
    normalised = run(FrontEndConfig(normalisation="cmvn"), waveform)
    np.testing.assert_allclose(normalised.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(normalised.std(axis=0), 1, atol=1e-3)


def test_cmvn_of_a_constant_spectrogram_is_zero():
    assert np.array_equal(front_end.Normalise(mode="cmvn")(np.full((1, 9, 4), -100.0, "float32")), np.zeros((1, 9, 4)))


def test_silence_stays_finite_under_every_normalisation():
    for mode in ("peak", "cmvn", "none"):
        assert np.isfinite(run(FrontEndConfig(normalisation=mode), np.zeros(8000, "float32"))).all()


@pytest.mark.parametrize("config", [FrontEndConfig(), LOGSPEC, LFCC, CQT], ids=["logmel", "logspec", "lfcc", "cqt"])
def test_layers_survive_saving(tmp_path, config, waveform):
    waves = keras.Input((len(waveform),))
    model = keras.Model(waves, front_end.spectrogram(waves, config))
    model.save(tmp_path / "front_end.keras")
    loaded = keras.saving.load_model(tmp_path / "front_end.keras")
    assert np.array_equal(loaded.predict(waveform[None], verbose=0), model.predict(waveform[None], verbose=0))


def rounding_db(decibels: np.ndarray) -> np.ndarray:
    """One float32 rounding of the loudest bin of a clip, in dB of each of its bins, which are sums alike."""
    below = decibels.max(axis=(1, 2), keepdims=True) - decibels
    return 20 / np.log(10) * np.finfo(np.float32).eps * 10 ** (below / 20)


@pytest.mark.parametrize("config", [FrontEndConfig(), LOGSPEC, LFCC, CQT], ids=["logmel", "logspec", "lfcc", "cqt"])
def test_litert_computes_the_same(tmp_path, config, waveform):
    waves = keras.Input((len(waveform),))
    model = keras.Model(waves, front_end.spectrogram(waves, config))
    formats.litert(model, tmp_path / "model.tflite")
    interpreter = Interpreter(str(tmp_path / "model.tflite"))
    for clips in (waveform[None], np.stack([waveform, waveform[::-1], 0.1 * waveform])):
        interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], clips.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], clips)
        interpreter.invoke()
        found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        wanted = model.predict(clips, verbose=0)
        rounding = 0 if config is LFCC else rounding_db(wanted)
        assert np.abs(found - wanted).max() < 0.05
        assert (np.abs(found - wanted) <= 2e-3 + rounding).all()


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
    layer = spectra.PowerSpectrogram(n_fft=400, hop_samples=160)
    assert layer.compute_output_shape((1, len(waveform))) == tuple(layer(waveform[None]).shape)
    bands = spectra.MelBands(n_mels=20, fmin_hz=0.0, fmax_hz=8000.0)
    linear = [spectra.LinearBands(n_bands=n, fmin_hz=300.0, fmax_hz=8000.0) for n in (0, 30)]
    constant = spectra.ConstantQ(hop_samples=160, bins_per_octave=12, fmin_hz=62.5, fmax_hz=8000.0)
    assert constant.compute_output_shape((1, len(waveform))) == tuple(constant(waveform[None]).shape)
    for made in (bands, *linear, front_end.Cepstrum(n_coefficients=12)):
        assert made.compute_output_shape((1, 7, 201)) == tuple(made(np.ones((1, 7, 201), "float32")).shape)
