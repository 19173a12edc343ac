"""Encoders against outputs of the reference implementation (transformers), on tiny random networks of each family."""

import keras
import librosa
import numpy as np
import pytest

from pipeline.network.encoders.log_mel import WhisperLogMel
from tests.support.encoders import FAMILIES, reference, states_model


@pytest.mark.parametrize("name", FAMILIES)
def test_every_state_is_that_of_the_reference(name):
    waveform, expected = reference(name)
    states = np.array(states_model(name)(waveform))
    assert states.shape == expected.shape
    np.testing.assert_allclose(states, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["whisper", "xls-r"])
def test_first_layers_are_those_of_the_whole_and_the_rest_is_not_built(name):
    waveform, expected = reference(name)
    model = states_model(name, encoder_layers=2)
    np.testing.assert_allclose(np.array(model(waveform)), expected[:, :3], atol=1e-4, rtol=0)
    paths = [weight.path for weight in model.weights]
    assert any("block_1" in path for path in paths)
    assert not any("block_2" in path or path.endswith(("last_norm/gamma", "encoder/norm/gamma")) for path in paths)


@pytest.mark.parametrize("name", ["whisper", "wavlm-stable"])
def test_saved_model_needs_no_folder(name, tmp_path):
    waveform, expected = reference(name)
    states_model(name, encoder_layers=1, encoder_trainable="top:1").save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_allclose(np.array(loaded(waveform)), expected[:, :2], atol=1e-4, rtol=0)
    assert all("block_0" in weight.path for weight in loaded.trainable_weights)
    assert loaded.trainable_weights


def test_log_mel_is_whispers():
    rng = np.random.default_rng(0)
    waveform = (0.1 * rng.standard_normal(4000)).astype("float32")
    spectrum = librosa.stft(waveform, n_fft=400, hop_length=160, pad_mode="reflect")[:, :-1]
    mel = librosa.filters.mel(sr=16000, n_fft=400, n_mels=128) @ np.abs(spectrum) ** 2
    log = np.log10(np.maximum(mel, 1e-10)).T
    expected = (np.maximum(log, log.max() - 8) + 4) / 4
    np.testing.assert_allclose(np.array(WhisperLogMel(bands=128)(waveform[None]))[0], expected, atol=1e-4)
