"""Batch normalisation in one operation: the same maps, gradients and moving statistics as Keras' own layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.network.backbones.normalisation import BatchNormalization

OPTIONS = {"momentum": 0.75, "epsilon": 1e-3}


@pytest.fixture
def pair() -> tuple[keras.layers.Layer, keras.layers.Layer]:
    """Ours and Keras', with the same weights that are not those of the start."""
    rng = np.random.default_rng(0)
    layers = BatchNormalization(**OPTIONS), keras.layers.BatchNormalization(**OPTIONS)
    weights = [rng.uniform(0.5, 2.0, 3).astype(np.float32) for _ in range(4)]
    for layer in layers:
        layer.build((None, 6, 5, 3))
        layer.set_weights(weights)
    return layers


def maps(clips: int = 4) -> tf.Tensor:
    return tf.constant(np.random.default_rng(1).normal(2.0, 3.0, (clips, 6, 5, 3)), tf.float32)


def kernels(layer: keras.layers.Layer, x: tf.Tensor, **call) -> set[str]:
    graph = tf.function(lambda x: layer(x, **call)).get_concrete_function(x).graph
    return {operation.type for operation in graph.get_operations()}


def test_training_gives_the_maps_and_gradients_of_keras(pair):
    x, found = maps(), []
    for layer in pair:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            total = tf.reduce_sum(y * tf.sin(x))
        found.append([y, *tape.gradient(total, [x, *layer.trainable_variables])])
    for own, of_keras in zip(*found, strict=True):
        np.testing.assert_allclose(own, of_keras, rtol=1e-4, atol=1e-4)


def test_moving_statistics_are_those_of_keras_with_the_variance_of_a_sample(pair):
    own, of_keras = pair
    before = of_keras.moving_variance.numpy()
    for layer in pair:
        layer(maps(), training=True)
    np.testing.assert_allclose(own.moving_mean, of_keras.moving_mean, rtol=1e-5)
    kept = 0.75 * before
    count = 4 * 6 * 5
    np.testing.assert_allclose(
        own.moving_variance - kept, (of_keras.moving_variance - kept) * count / (count - 1), rtol=1e-4
    )


def test_inference_is_that_of_keras(pair):
    own, of_keras = pair
    np.testing.assert_array_equal(own(maps(), training=False), of_keras(maps(), training=False))


def test_training_takes_one_operation(pair):
    own, of_keras = pair
    assert "FusedBatchNormV3" in kernels(own, maps(), training=True)
    assert "FusedBatchNormV3" not in kernels(of_keras, maps(), training=True)


def test_what_does_not_train_or_is_synchronised_is_left_to_keras(pair):
    own, _ = pair
    own.synchronized = True
    assert "FusedBatchNormV3" not in kernels(own, maps(), training=True)
    own.synchronized, own.trainable = False, False
    assert "FusedBatchNormV3" not in kernels(own, maps(), training=True)


def test_float16_maps_have_float32_statistics():
    layer = BatchNormalization(dtype="mixed_float16", **OPTIONS)
    y = layer(tf.cast(300.0 * maps(), tf.float16), training=True)
    assert y.dtype == tf.float16
    assert layer.moving_variance.dtype == "float32"
    assert np.isfinite(y).all()
    assert np.isfinite(layer.moving_variance).all()
