"""Encoder of a model folder in place of its publisher's."""

import keras
import numpy as np
import pytest

from pipeline.config import EncoderConfig, preset
from pipeline.errors import ConfigError
from pipeline.metrics.calibration import Calibration, OperatingPoint
from pipeline.network import networks
from pipeline.network.encoders import load
from pipeline.network.encoders.whisper import WhisperEncoder
from pipeline.scoring import model_writer
from tests.support.encoders import REFERENCES, reference


@pytest.fixture
def folder(tmp_path):
    """Model folder of a tiny Whisper whose encoder was trained: its weights are not the published ones."""
    config = preset("smoke").replace(backbone="whisper", encoder=str(REFERENCES / "whisper"), encoder_layers=2)
    model = networks.build(config)
    encoder = model.get_layer("encoder")
    encoder.set_weights([1.1 * weight for weight in encoder.get_weights()])
    model.save(tmp_path / "whole.keras")
    (tmp_path / "any.tflite").write_bytes(b"none")
    return model_writer.write(
        tmp_path / "model", litert=tmp_path / "any.tflite", keras=tmp_path / "whole.keras", config=config,
        calibration=Calibration(1.0, 0.0), operating_points={"eer": OperatingPoint(0.0, 0.5, 0.1, 0.1)},
        operating_point="eer", model_version="trained-1", run_id="", fingerprint="f", versions={}, dev_trials="d",
        dev_eer=0.1,
    ).folder  # fmt: skip


def states(folder, **options) -> np.ndarray:
    config = EncoderConfig(encoder=str(folder), **options)
    waveform, _ = reference("whisper")
    given = keras.Input((waveform.shape[1],))
    return keras.Model(given, load.states(given, config, family="whisper", kind=WhisperEncoder)).predict(
        waveform, verbose=0
    )


def test_the_trained_weights_and_the_first_layers_are_taken(folder):
    whole, first = states(folder), states(folder, encoder_layers=1)
    assert whole.shape[1:] == (3, *first.shape[2:])
    np.testing.assert_allclose(whole[:, :2], first, atol=1e-5)
    assert np.abs(whole - states(REFERENCES / "whisper", encoder_layers=2)).max() > 0.1
    with pytest.raises(ConfigError, match=r"--encoder_layers 3: the encoder of .* has 2"):
        states(folder, encoder_layers=3)
    digests = {load.source(EncoderConfig(encoder=str(path))).digest for path in (folder, REFERENCES / "whisper")}
    assert len(digests) == 2
