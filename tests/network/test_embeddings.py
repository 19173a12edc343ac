"""Embeddings: the second output of networks and of their exported files."""

import keras
import numpy as np
import pytest

from pipeline.config import preset
from pipeline.network import formats, networks
from pipeline.network.encoders import pooling
from pipeline.scoring import runtimes

CONFIG = preset("smoke").model
WINDOWS = np.random.default_rng(0).normal(0, 0.1, (5, 800)).astype(np.float32)


def small(*, nested: bool) -> keras.Model:
    """A network whose head is a model of its own, as behind an encoder, or part of the network."""
    keras.utils.set_random_seed(3)
    waveform = keras.Input((800,), name="waveform")
    summary = keras.layers.Dense(6, name=pooling.SUMMARY)(waveform)
    if not nested:
        return keras.Model(waveform, networks.head(summary, CONFIG))
    own = keras.Input((6,), name="own")
    head = keras.Model(own, networks.head(own, CONFIG), name=networks.ENCODER_HEAD)
    return keras.Model(waveform, head(summary))


@pytest.mark.parametrize("nested", [False, True])
def test_the_embedding_is_what_the_last_layer_takes(nested):
    model = small(nested=nested)
    found = networks.with_embedding(model).predict(WINDOWS, verbose=0)
    np.testing.assert_allclose(found["logit"], model.predict(WINDOWS, verbose=0), atol=1e-6)
    inner = model.get_layer(networks.ENCODER_HEAD) if nested else model
    kernel, bias = inner.get_layer("logit").get_weights()
    assert found["embedding"].shape == (5, CONFIG.dense_units)
    np.testing.assert_allclose(found["embedding"] @ kernel + bias, found["logit"], atol=1e-5)


def test_other_networks_have_none():
    waveform = keras.Input((800,))
    model = keras.Model(waveform, keras.layers.Dense(1, name="logit")(waveform))
    assert networks.with_embedding(model) is model


@pytest.mark.parametrize(("suffix", "write"), [(".tflite", formats.litert), (".onnx", formats.onnx)])
def test_files_give_both(suffix, write, tmp_path):
    model, path = small(nested=True), tmp_path / f"model{suffix}"
    write(model, path)
    expected = networks.with_embedding(model).predict(WINDOWS, verbose=0)
    logits, embeddings = runtimes.of(path, 1).outputs(WINDOWS)
    np.testing.assert_allclose(logits, expected["logit"][:, 0], atol=1e-5)
    np.testing.assert_allclose(embeddings, expected["embedding"], atol=1e-5)
