"""Layers of an encoder weighted and pooled over time."""

import keras
import numpy as np
import pytest
from keras import ops

from pipeline.config import EncoderConfig
from pipeline.network.encoders import pooling

LAYERS, FRAMES, CHANNELS = 3, 7, 5


@pytest.fixture
def states() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, LAYERS, FRAMES, CHANNELS)).astype(np.float32)


def test_mixed_statistics_are_those_of_the_weighted_sum_of_the_layers(states):
    layer = pooling.MixStatistics(states=LAYERS)
    layer.build((2, LAYERS + 6, CHANNELS))
    layer.scores.assign([0.3, -1.0, 0.8])
    weights = np.exp([0.3, -1.0, 0.8]) / np.exp([0.3, -1.0, 0.8]).sum()
    mixed = np.einsum("l,bltc->btc", weights, states)
    expected = np.concatenate([mixed.mean(1), np.sqrt(mixed.var(1) + pooling.EPSILON)], axis=-1)
    found = layer(pooling.LayerStatistics()(states))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_no_layer_counts_more_for_being_larger(states):
    normalise = pooling.NormaliseFrames()
    np.testing.assert_allclose(normalise(states), normalise(100 * states + 3), atol=0.01)


def test_equal_attention_is_the_mean_and_deviation(states):
    layer = pooling.AttentiveStatistics()
    frames = states[:, 0]
    layer.build(frames.shape)
    layer.score.kernel.assign(ops.zeros_like(layer.score.kernel))
    expected = np.concatenate([frames.mean(1), np.sqrt(frames.var(1) + pooling.EPSILON)], axis=-1)
    np.testing.assert_allclose(layer(frames), expected, atol=1e-5)
    layer.score.kernel.assign(ops.ones_like(layer.score.kernel))
    assert np.abs(np.array(layer(frames)) - expected).max() > 1e-3


@pytest.mark.parametrize("kind", ["statistics", "attentive"])
def test_summary_and_pool_make_one_vector_a_clip(kind, states):
    config = EncoderConfig(pooling=kind)
    given = keras.Input(states.shape[1:])
    pooled = pooling.pool(pooling.summarise(given, config), config)
    assert keras.Model(given, pooled).predict(states, verbose=0).shape == (2, 2 * CHANNELS)


def test_noise_multiplies_the_features_in_training_only(states):
    given = keras.Input(states.shape[1:])
    quiet, noisy = EncoderConfig(), EncoderConfig(feature_noise=0.5)
    summary = pooling.summarise(given, quiet)
    model = keras.Model(given, pooling.pool(summary, noisy))
    plain = keras.Model(given, pooling.pool(summary, quiet))
    np.testing.assert_allclose(model(states), plain(states), atol=1e-6)
    noise = model.get_layer("feature_noise")(np.ones((200, 100), np.float32), training=True)
    assert np.mean(noise) == pytest.approx(1, abs=0.02)
    assert np.std(noise) == pytest.approx(0.5, abs=0.02)
