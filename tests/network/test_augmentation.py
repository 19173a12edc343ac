"""Augmentation: identity at strength 0 and at inference, the effect of each part, and librosa as an oracle."""

import keras
import librosa
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from pipeline.config import SAMPLE_RATE_HZ, AugmentConfig, FrontEndConfig
from pipeline.errors import ConfigError
from pipeline.network import formats, front_end, spectra
from pipeline.network.augmentation import band_pass, chain, spectrogram, waveform

PARTS = chain.WAVEFORM | chain.POWER | chain.SPECTROGRAM
every_part = pytest.mark.parametrize("part", PARTS)
FULL = AugmentConfig(augment_strength=1.0, augment_reverb=1.0)


@pytest.fixture
def clips(voice) -> np.ndarray:
    """Eight times the same second, ``[8, 16000]``."""
    return np.repeat(voice[None, :16000], 8, axis=0)


def given(part: str, clips: np.ndarray) -> np.ndarray:
    """Input of a part: waveforms, power spectra, or bands in dB."""
    if part in chain.WAVEFORM:
        return 0.1 * clips
    power = np.array(spectra.PowerSpectrogram(n_fft=512, hop_samples=160)(clips))
    return power if part in chain.POWER else 10 * np.log10(power + 1e-9)


def snr_db(clean: np.ndarray, noisy: np.ndarray) -> np.ndarray:
    return 10 * np.log10((clean**2).mean(axis=1) / ((noisy - clean) ** 2).mean(axis=1))


@every_part
def test_strength_0_and_inference_are_the_identity(part, clips):
    x = given(part, clips)
    np.testing.assert_array_equal(PARTS[part](strength=0.0)(x, training=True), x)
    np.testing.assert_array_equal(PARTS[part](strength=1.0)(x, training=False), x)
    np.testing.assert_array_equal(PARTS[part](strength=1.0)(x), x)


@every_part
def test_each_clip_of_each_batch_is_changed_in_its_own_way(part, clips):
    x = given(part, clips)
    layer = PARTS[part](strength=1.0)
    step = tf.function(lambda x: layer(x, training=True))
    first, second = (np.array(step(x)) for _ in range(2))
    assert first.shape == x.shape
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert not np.array_equal(first, second)
    changed = [clip for clip in first if not np.array_equal(clip, x[0])]
    assert len({clip.tobytes() for clip in changed}) > 1


@every_part
def test_silence_stays_finite(part):
    x = given(part, np.zeros((4, 8000), np.float32))
    assert np.isfinite(PARTS[part](strength=1.0)(x, training=True)).all()


@pytest.mark.parametrize(("strength", "share"), [(0.25, 0.25), (1.0, 1.0)])
def test_noise_is_added_to_a_share_of_the_clips_within_its_snr(strength, share, clips):
    noisy = np.concatenate([chain.Noise(strength=strength)(clips, training=True) for _ in range(16)])
    clean = np.tile(clips, (16, 1))
    changed = (noisy != clean).any(axis=1)
    assert changed.mean() == share
    measured = snr_db(clean[changed], noisy[changed])
    assert 4.9 < measured.min() < 15
    assert 30 < measured.max() < 40.1


def test_noise_has_the_given_slope():
    noise = np.array(chain.Noise(strength=1.0).coloured(np.zeros((1, 160000), np.float32), tf.constant([[2.0]])))[0]
    power = np.abs(np.fft.rfft(noise)) ** 2  # bins of 0.1 Hz
    octaves = [10 * np.log10(power[lo * 10 : 2 * lo * 10].mean()) for lo in (250, 500, 1000, 2000)]
    np.testing.assert_allclose(np.diff(octaves), -6, atol=0.6)


def test_level_moves_by_up_to_20_db_and_never_past_full_scale(clips):
    louder = np.array(chain.Level(strength=1.0)(np.tile(0.1 * clips, (16, 1)), training=True))
    gain_db = 20 * np.log10(np.abs(louder).max(axis=1) / np.abs(0.1 * clips[0]).max())
    assert -20 <= gain_db.min() < -14
    assert 14 < gain_db.max() <= 20
    assert np.abs(np.array(chain.Level(strength=1.0)(2 * clips, training=True))).max() <= 2 * np.abs(clips).max()


def test_equaliser_is_a_telephone_for_some_clips():
    impulses = np.zeros((64, 16000), np.float32)
    impulses[:, 0] = 1
    gain = np.abs(np.fft.rfft(np.array(chain.Equaliser(strength=1.0)(impulses, training=True))))  # bins of 1 Hz
    shut = (gain[:, 4500:].max(axis=1) < 0.05 * gain[:, 500:3000].max(axis=1)).mean()
    assert 0.04 < shut < 0.4
    middle_db = 20 * np.log10(gain[:, 600:2500])
    assert middle_db.min() > -13
    assert middle_db.max() <= 12.1


def test_a_band_pass_falls_by_its_orders():
    low_hz, high_hz, orders = np.float32([[100], [300]]), np.float32([[3400], [7000]]), (2.0, np.float32([[6], [12]]))
    made = band_pass.gain(tf.constant(16000), low_hz, high_hz, orders)
    f = np.maximum(np.arange(8001), 1)[None]  # bins of 1 Hz
    expected = 1 / (1 + (low_hz / f) ** 2) / (1 + (f / high_hz) ** orders[1])
    np.testing.assert_allclose(made, expected, atol=1e-5)


def test_reverb_keeps_the_direct_sound_and_decays():
    impulses = np.zeros((64, 16000), np.float32)
    impulses[:, 0] = 1
    made = np.array(chain.Reverb(strength=1.0)(impulses, training=True))
    np.testing.assert_allclose(made[:, 0], 1, atol=1e-4)
    wet = made[np.abs(made[:, 1:]).max(axis=1) > 1e-3]
    assert 16 < len(wet) < 48
    direct_db = -10 * np.log10((wet[:, 1:] ** 2).sum(axis=1))
    assert -0.1 < direct_db.min() < direct_db.max() < 20.1
    early, late = (np.sqrt((wet[:, a:b] ** 2).mean(axis=1)) for a, b in ((1, 800), (4000, 8000)))
    assert (late < early).all()


def test_companding_is_g711s():
    x = np.linspace(-1, 1, 2001, dtype=np.float32)[None]
    bits = tf.constant([[8.0]])
    steps = 127
    compressed = np.sign(x) * np.log(1 + 255 * np.abs(x)) / np.log(256)
    rounded = np.round(compressed * steps) / steps
    expected = np.sign(rounded) * (256 ** np.abs(rounded) - 1) / 255
    differs = np.abs(np.array(waveform._through_mu_law(x, bits)) - expected) > 1e-5
    assert differs.mean() < 0.01, "except for values halfway between two steps, to the last digit"
    assert np.abs(np.array(waveform._through_a_law(x, bits)) - x).max() < 0.025
    ends = np.array([[1.0, -1.0, 0.0]], np.float32)
    np.testing.assert_allclose(waveform._through_a_law(ends, bits), ends, atol=1e-6)


def test_rawboosts_parts_do_what_their_names_say(clips):
    layer = chain.RawBoost(strength=1.0)
    np.testing.assert_allclose(
        (np.array(layer.convolutive(clips)) ** 2).mean(axis=1), (clips**2).mean(axis=1), rtol=0.01
    )
    hit = np.array(layer.impulsive(clips)) != clips
    assert hit[:, np.abs(clips[0]) < 1e-7].sum() == 0
    assert 0 < hit.mean() < 0.1
    quiet = 0.2 * np.ones((64, 4000), np.float32)
    sizes = np.array(layer.impulsive(quiet)) / quiet - 1
    np.testing.assert_allclose(np.quantile(sizes[sizes != 0], [0, 0.25, 0.5, 0.75, 1]), [-2, -1, 0, 1, 2], atol=0.1)
    measured = snr_db(clips, np.array(layer.stationary(clips)))
    assert 9.9 < measured.min() < measured.max() < 40.1


def test_masks_are_stripes_of_the_mean(clips):
    x = given("masks", clips)
    masked = np.array(chain.Masks(strength=1.0)(x, training=True))
    for before, after in zip(x, masked, strict=True):
        hidden = after != before
        np.testing.assert_allclose(after[hidden], before.mean(), rtol=1e-4)
        rows, columns = hidden.all(axis=1), hidden.all(axis=0)
        np.testing.assert_array_equal(hidden, rows[:, None] | columns[None])
        assert rows.mean() <= 0.42
        assert columns.mean() <= 0.42


@pytest.fixture
def steady() -> np.ndarray:
    """Two seconds of a steady harmonic tone, on which librosa's vocoder keeps its partials together."""
    t = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    return (0.2 * sum(np.sin(2 * np.pi * 150 * k * t) / k for k in range(1, 20))).astype(np.float32)


def power_of(wave: np.ndarray) -> np.ndarray:
    return np.array(spectra.PowerSpectrogram(n_fft=512, hop_samples=160)(wave[None].astype(np.float32)))[0]


def log_mel(power: np.ndarray) -> np.ndarray:
    bands = spectra.MelBands(n_mels=80, fmin_hz=20.0, fmax_hz=8000.0)(power[None].astype(np.float32))
    return 10 * np.log10(np.maximum(np.array(bands)[0], 1e-10))


def median_difference_db(own: np.ndarray, of_librosa: np.ndarray) -> float:
    """Over bins within 40 dB of the peak, the edges left out."""
    frames = min(len(own), len(of_librosa)) - 3
    own, of_librosa = own[3:frames], of_librosa[3:frames]
    return float(np.median(np.abs(own - of_librosa)[of_librosa > of_librosa.max() - 40]))


@pytest.mark.parametrize("rate", [0.8, 0.93, 1.12, 1.2])
def test_stretch_is_librosas(steady, rate):
    power = power_of(steady)
    own = np.array(spectrogram.stretch(power[None], np.array([[rate]], "float32")))[0]
    of_librosa = librosa.effects.time_stretch(steady, rate=rate, n_fft=512, hop_length=160)
    kept = min(int(len(power) / rate), len(power))
    assert median_difference_db(log_mel(own[:kept]), log_mel(power_of(of_librosa))) <= 1.0


@pytest.mark.parametrize("rate", [0.8, 1.2])
def test_stretch_of_any_sound_is_librosas_vocoder_before_it_puts_phases_back(voice, rate):
    spectrum = librosa.stft(voice, n_fft=512, hop_length=160, pad_mode="constant")
    of_librosa = np.abs(librosa.phase_vocoder(spectrum, rate=rate, hop_length=160)).T ** 2
    own = np.array(spectrogram.stretch(power_of(voice)[None], np.array([[rate]], "float32")))[0]
    kept = min(int(len(own) / rate), len(own)) - 1
    np.testing.assert_allclose(log_mel(own[:kept]), log_mel(of_librosa[:kept]), atol=0.01)


@pytest.mark.parametrize("semitones", [-3.0, -1.0, 2.0, 3.0])
def test_shift_is_librosas(steady, semitones):
    own = np.array(spectrogram.shift(power_of(steady)[None], np.array([[semitones]], "float32")))[0]
    of_librosa = librosa.effects.pitch_shift(steady, sr=SAMPLE_RATE_HZ, n_steps=semitones, n_fft=512, hop_length=160)
    assert median_difference_db(log_mel(own), log_mel(power_of(of_librosa))) <= 1.0


def test_transposing_moves_a_constant_q_band_by_whole_and_half_bands():
    power = np.zeros((2, 1, 9), "float32")
    power[:, 0, 4] = 4.0
    moved = np.array(spectrogram.transpose(power, np.array([[2.0], [-0.5]], "float32")))[:, 0]
    np.testing.assert_allclose(moved[0], [0, 0, 0, 0, 0, 0, 4, 0, 0])
    np.testing.assert_allclose(moved[1], [0, 0, 0, 1, 1, 0, 0, 0, 0])


def test_no_stretch_and_no_shift_are_the_identity(voice):
    power = power_of(voice)[None]
    np.testing.assert_allclose(spectrogram.stretch(power, np.ones((1, 1), "float32")), power, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(spectrogram.shift(power, np.zeros((1, 1), "float32")), power, rtol=1e-4, atol=1e-6)


def network(config: AugmentConfig) -> keras.Model:
    waves = keras.Input((8000,))
    bands = front_end.spectrogram(
        chain.waveform(waves, config), FrontEndConfig(), on_power=lambda power: chain.power(power, config)
    )
    seen = keras.layers.GlobalAveragePooling1D()(chain.spectrogram(bands, config))
    return keras.Model(waves, keras.layers.Dense(1)(seen))


def test_parts_without_strength_are_not_in_the_graph():
    names = {layer.name for layer in network(AugmentConfig(augment_strength=0.0, augment_noise=0.5)).layers}
    assert {name for name in names if name.startswith("augment")} == {"augment_noise"}
    assert {f"augment_{part}" for part in PARTS} <= {layer.name for layer in network(FULL).layers}


@pytest.mark.parametrize("settings", [{"augment_noise": 1.5}, {"augment_strength": -1.0}, {"augment_masks": -0.5}])
def test_strengths_outside_0_to_1_are_refused(settings):
    (name,) = settings
    with pytest.raises(ConfigError, match=rf"--{name} .*expected"):
        network(AugmentConfig(**settings))


def test_files_hold_the_whole_chain_and_never_augment(tmp_path, voice):
    model = network(FULL)
    clips = np.stack([voice[:8000], voice[8000:16000], voice[16000:24000]])
    expected = model.predict(clips, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(clips, verbose=0), expected)
    assert not np.array_equal(loaded(clips, training=True), expected)
    formats.litert(model, tmp_path / "model.tflite")
    interpreter = Interpreter(str(tmp_path / "model.tflite"))
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], clips.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], clips)
    interpreter.invoke()
    scored = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(scored, expected, atol=1e-3)


def test_parts_are_float32_under_mixed_precision(clips):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        for name, part in PARTS.items():
            assert part(strength=1.0)(given(name, clips), training=True).dtype == tf.float32, name
    finally:
        keras.config.set_dtype_policy("float32")
