"""Every backbone as a model: shapes, precision, what its first layer gets, and weights given as a file."""

import math

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format

from pipeline.config import Config, preset
from pipeline.errors import ConfigError
from pipeline.network import networks
from pipeline.network.backbones.normalisation import BatchNormalization


@pytest.fixture
def config() -> Config:
    return preset("smoke")


def waves(config: Config, clips: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, (clips, config.window.clip_samples)).astype(np.float32)


def test_waveform_in_logit_out(config):
    model = networks.build(config)
    assert model.input_shape == (None, 8000)
    assert model.predict(waves(config, 3), verbose=0).shape == (3, 1)


def test_logit_is_float32_under_mixed_precision(config):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        logits = networks.build(config).predict(waves(config), verbose=0)
    finally:
        keras.config.set_dtype_policy("float32")
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()


def test_backbone_has_the_published_size():
    model = networks.build(preset("default"))
    backbone = model.get_layer("efficientnetb0")
    head = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    assert [layer.kernel.shape for layer in head] == [(1280, 256), (256, 1)]
    # 4,049,571 for three input channels (Keras' documentation); one channel saves 2 * 32 * 9 kernel values and the
    # mean and variance of two channels, 4 values.
    assert backbone.count_params() == 4_049_571 - 2 * 32 * 9 - 4


@pytest.mark.parametrize("stages", range(1, 8))
def test_stages_are_kept_from_the_first(stages):
    shape = networks.build(preset("default").replace(stages=stages)).get_layer("efficientnetb0").output_shape
    channels = (16, 24, 40, 80, 112, 192, 1280)  # table 1 of the paper, and the convolution behind stage seven
    halvings = (1, 2, 3, 4, 4, 5, 5)
    assert (shape[1], shape[3]) == (math.ceil(401 / 2 ** halvings[stages - 1]), channels[stages - 1])


def test_an_eighth_stage_is_refused(config):
    with pytest.raises(ConfigError, match="--stages 8: efficientnetb0 has 1 to 7"):
        networks.build(config.replace(stages=8))


@pytest.mark.parametrize(("rescale", "factor"), [(True, 1 / 255), (False, 1.0)])
def test_what_the_network_sees_behind_its_own_division(config, rescale, factor):
    config = config.replace(rescale_input=rescale, normalisation="none")
    model = networks.build(config)
    backbone = model.get_layer("efficientnetb0")
    first = next(layer for layer in backbone.layers if isinstance(layer, keras.layers.Rescaling))
    given = keras.Model(model.input, model.get_layer("decibel").output).predict(waves(config), verbose=0)
    outer = [layer for layer in model.layers if isinstance(layer, keras.layers.Rescaling)]
    seen = given[..., None]
    for layer in (*outer, first):
        seen = np.asarray(layer(seen))
    np.testing.assert_allclose(seen, given[..., None] * factor, rtol=1e-5)


def test_batch_norm_momentum_reaches_every_layer(config):
    model = networks.build(config.replace(batch_norm_momentum=0.75, stages=7))
    layers = [x for x in model.get_layer("efficientnetb0").layers if isinstance(x, keras.layers.BatchNormalization)]
    assert len(layers) > 40
    assert {(type(layer), layer.momentum) for layer in layers} == {(BatchNormalization, 0.75)}


def donor() -> keras.Model:
    """EfficientNetB0 for colour, normalised by statistics of its own, as ImageNet's weights hold them."""
    model = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(34, 32, 3))
    layer = next(layer for layer in model.layers if isinstance(layer, keras.layers.Normalization))
    layer.set_weights([np.array(value) for value in ([0.5, 0.4, 0.3], [0.05, 0.04, 0.03], 0)])  # mean, variance, count
    layer.finalize_state()
    return model


def test_weights_from_a_file(config, tmp_path):
    whole = donor()
    whole.save_weights(tmp_path / "notop.weights.h5")
    backbone = networks.build(config.replace(weights=str(tmp_path / "notop.weights.h5"))).get_layer("efficientnetb0")
    backbone.save(tmp_path / "backbone.keras")
    saved = keras.saving.load_model(tmp_path / "backbone.keras", compile=False)
    pictures = np.random.default_rng(0).uniform(0, 255, (2, 34, 32, 3)).astype(np.float32)
    expected = keras.Model(whole.input, whole.get_layer(backbone.layers[-1].name).output).predict(pictures, verbose=0)
    assert expected.std() > 0
    for same in (backbone, saved):
        np.testing.assert_allclose(same.predict(pictures, verbose=0), expected, rtol=1e-4, atol=1e-5 * expected.std())


def test_weights_in_the_older_format_of_imagenets_file(config, tmp_path):
    whole = donor()
    with h5py.File(tmp_path / "notop.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, whole)
    backbone = networks.build(config.replace(weights=str(tmp_path / "notop.h5"), stages=7)).get_layer("efficientnetb0")
    for own, given in zip(backbone.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(own, given)


def test_with_weights_of_pictures_the_first_convolution_sees_the_spectrogram(config, tmp_path):
    donor().save_weights(tmp_path / "notop.weights.h5")
    model = networks.build(config.replace(weights=str(tmp_path / "notop.weights.h5"), stages=1))
    given = keras.Model(model.input, model.get_layer("normalise").output).predict(waves(config), verbose=0)
    pictures = keras.Model(model.input, model.get_layer("undo_division_by_255").output).predict(
        waves(config), verbose=0
    )
    backbone = model.get_layer("efficientnetb0")
    normalised = next(layer for layer in backbone.layers if isinstance(layer, keras.layers.Normalization))
    seen = keras.Model(backbone.input, normalised.output).predict(pictures, verbose=0)
    np.testing.assert_allclose(seen, np.stack([given] * 3, axis=-1), atol=1e-4)


def test_missing_weights_file_is_named(config):
    with pytest.raises(ConfigError, match=r"nowhere\.h5.*imagenet"):
        networks.build(config.replace(weights="nowhere.h5"))


def test_unusable_weights_file_is_named(config, tmp_path):
    (tmp_path / "bad.weights.h5").write_bytes(b"not weights")
    with pytest.raises(ConfigError, match=r"bad\.weights\.h5.*three channels"):
        networks.build(config.replace(weights=str(tmp_path / "bad.weights.h5")))


def test_saved_model_gives_the_same_logits(config, tmp_path):
    model = networks.build(config)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    x = waves(config)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_same_seed_same_weights(config):
    def first_weights(seed: int) -> np.ndarray:
        keras.utils.set_random_seed(seed)
        return networks.build(config).get_layer("dense").get_weights()[0]

    assert np.array_equal(first_weights(1), first_weights(1))
    assert not np.array_equal(first_weights(1), first_weights(2))


def test_too_small_a_spectrogram_says_what_to_change(config):
    with pytest.raises(ConfigError, match=r"needs 32 frames.*17 and 32.*--clip_s"):
        networks.build(config.replace(hop_samples=480, stages=7))
    with pytest.raises(ConfigError, match=r"needs 16 frames.*9 and 32.*--stages"):
        networks.build(config.replace(hop_samples=960))
