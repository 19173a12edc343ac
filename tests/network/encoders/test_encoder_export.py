"""LiteRT and ONNX of encoders give the outputs of Keras; a model holds several, as a conversion takes seconds."""

import keras
import numpy as np
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras import layers

from pipeline.network import formats
from pipeline.network.encoders.folder import EncoderFolder
from pipeline.network.encoders.wav2vec2 import Wav2Vec2Encoder
from pipeline.network.encoders.whisper import WhisperEncoder
from tests.support.encoders import REFERENCES, reference

OTHERS = ("wav2vec2", "xls-r", "hubert", "wavlm-stable")


@pytest.fixture(scope="module", params=[("whisper", "wavlm"), pytest.param(OTHERS, marks=pytest.mark.long)])
def joined(request) -> keras.Model:
    """Model from waveform to the states of several encoders side by side, ``[batch, …]``."""
    waveform = keras.Input((8000,))
    outputs = []
    for name in request.param:
        folder = EncoderFolder.read(REFERENCES / name)
        kind = {"whisper": WhisperEncoder, "wav2vec2": Wav2Vec2Encoder}[folder.family]
        layer = kind(settings=folder.settings, layers=1, name=name)
        outputs.append(layers.Flatten()(layer(waveform)))
        layer.load(folder.tensors())
    return keras.Model(waveform, layers.Concatenate()(outputs))


def test_litert_gives_the_states_of_keras(joined, tmp_path):
    formats.litert(joined, tmp_path / "model.tflite")
    waveform, _ = reference("whisper")
    interpreter = Interpreter(str(tmp_path / "model.tflite"))
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(taken["index"], waveform.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(taken["index"], waveform)
    interpreter.invoke()
    np.testing.assert_allclose(interpreter.get_tensor(given["index"]), np.array(joined(waveform)), atol=1e-3)


def test_onnx_gives_the_states_of_keras(joined, tmp_path):
    formats.onnx(joined, tmp_path / "model.onnx")
    waveform, _ = reference("whisper")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (states,) = session.run(None, {session.get_inputs()[0].name: waveform})
    np.testing.assert_allclose(states, np.array(joined(waveform)), atol=1e-3)
