"""Part of an encoder that is trained, a step of training on the CPU, and float16 compute."""

import keras
import numpy as np
import pytest

from pipeline.errors import ConfigError
from tests.support.encoders import FAMILIES, reference, states_model


@pytest.mark.parametrize(("what", "blocks"), [("none", []), ("top:1", [2]), ("top:2", [1, 2])])
def test_only_the_named_blocks_are_trained(what, blocks):
    model = states_model("wavlm", encoder_trainable=what)
    trained = {weight.path for weight in model.trainable_weights}
    assert trained == {w.path for w in model.weights if any(f"block_{number}/" in w.path for number in blocks)}


def test_all_but_whispers_positions_are_trained():
    model = states_model("whisper", encoder_trainable="all")
    assert [weight.name for weight in model.non_trainable_weights] == ["positions"]


@pytest.mark.parametrize("what", ["top:4", "top:0", "top", "some"])
def test_other_parts_are_refused(what):
    with pytest.raises(ConfigError, match="top:N with N from 1 to 3"):
        states_model("whisper", encoder_trainable=what)


@pytest.mark.parametrize(("name", "what"), [("whisper", "top:1"), ("wavlm", "all")])
def test_step_changes_the_trained_weights_only(name, what):
    encoder = states_model(name, encoder_trainable=what)
    logit = keras.layers.Dense(1)(keras.layers.Flatten()(encoder.output))
    model = keras.Model(encoder.input, logit)
    model.compile(keras.optimizers.SGD(1.0), "mse", run_eagerly=True)
    before = {weight.path: np.array(weight) for weight in model.weights}
    model.train_on_batch(reference(name)[0], np.ones((2, 1)))
    changed = {weight.path for weight in model.weights if not np.array_equal(weight, before[weight.path])}
    # A key's bias moves all scores of a frame alike, so its gradient is 0 but for rounding.
    unsure = {path for path in before if path.endswith("key/bias")}
    assert changed | unsure == {weight.path for weight in model.trainable_weights} | unsure


@pytest.mark.parametrize("name", FAMILIES)
def test_float16_compute_stays_close(name):
    waveform, expected = reference(name)
    policy = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        states = np.array(states_model(name)(waveform))
    finally:
        keras.mixed_precision.set_dtype_policy(policy)
    assert states.dtype == "float32"
    np.testing.assert_allclose(states, expected, atol=0.05)
