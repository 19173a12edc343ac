"""Weights that pass from one model to another, layer by layer."""

import keras
import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.network.inheritance import inherit, named_layers


def network(*, channels=3, hidden=4, inner=5) -> keras.Model:
    """Unnamed layers, an inner model, and the head of the project's networks."""
    place = keras.Input((8, channels))
    maps = keras.layers.Conv1D(inner, 3)(place)
    maps = keras.layers.BatchNormalization()(keras.layers.Conv1D(inner, 3)(maps))
    x = keras.Input((8, channels))
    features = keras.layers.GlobalAveragePooling1D()(keras.Model(place, maps)(x))
    dense = keras.layers.Dense(hidden, name="dense")(features)
    return keras.Model(x, keras.layers.Dense(1, name="logit")(dense))


def drawn(model: keras.Model, seed: int) -> keras.Model:
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model


def test_equal_networks_give_all_weights_whatever_keras_calls_their_layers():
    parent, child = drawn(network(), 1), drawn(network(), 2)
    assert [layer.name for layer in parent.layers] != [layer.name for layer in child.layers]
    assert [n for n, _ in named_layers(parent)] == [n for n, _ in named_layers(child)]
    assert inherit(child, parent) == []
    for own, theirs in zip(child.get_weights(), parent.get_weights(), strict=True):
        np.testing.assert_array_equal(own, theirs)


def test_a_head_of_another_shape_keeps_its_own_weights():
    parent, child = drawn(network(hidden=4), 1), drawn(network(hidden=6), 2)
    before = child.get_layer("logit").get_weights()
    assert inherit(child, parent) == ["dense", "logit"]
    np.testing.assert_array_equal(child.get_layer("logit").get_weights()[0], before[0])
    np.testing.assert_array_equal(child.get_weights()[0], parent.get_weights()[0])


def test_another_backbone_is_an_error_that_names_its_first_other_layer():
    with pytest.raises(
        ConfigError, match=r"layer conv1d 1 with weights of shapes \[\(3, 3, 5\), \(5,\)\] has the shap"
    ):
        inherit(network(), network(inner=7))
    with pytest.raises(ConfigError, match=r"layer conv1d 1 .* does not exist there"):
        inherit(network(), keras.Sequential([keras.Input((8,)), keras.layers.Dense(1, name="logit")]))
