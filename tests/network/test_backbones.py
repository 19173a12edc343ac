"""LCNN, ResNet-18, VGG and RawNet2 by themselves: sizes, training, precision, files, filters and refusals."""

from types import ModuleType

import keras
import librosa
import numpy as np
import pytest

from pipeline.config import SAMPLE_RATE_HZ, ModelConfig
from pipeline.errors import ConfigError
from pipeline.network import formats, networks
from pipeline.network.backbones import lcnn, rawnet2, resnet18, vgg
from pipeline.scoring.runtimes import LiteRt

BACKBONES = [lcnn, resnet18, vgg, rawnet2]
SMALL = {lcnn: (32, 32), resnet18: (32, 32), vgg: (16, 16), rawnet2: (8000,)}
"""Shapes that train in seconds: patches of a spectrogram, and half a second."""
FULL = {lcnn: (201, 80), resnet18: (201, 80), vgg: (201, 80), rawnet2: (64000,)}


def short_name(value: object) -> str | None:
    return value.__name__.rpartition(".")[2] if isinstance(value, ModuleType) else None


every_backbone = pytest.mark.parametrize("backbone", BACKBONES, ids=short_name)


def features(backbone: ModuleType, shape: tuple[int, ...], **options) -> keras.Model:
    x, config = keras.Input(shape), ModelConfig(**options)
    networks.check(short_name(backbone), shape, config)
    return keras.Model(x, backbone.features(x, config))


def with_logit(body: keras.Model) -> keras.Model:
    pooled = keras.layers.GlobalAveragePooling2D()(body.output) if body.output.ndim == 4 else body.output
    hidden = keras.layers.Dense(16, activation="relu", name="dense")(pooled)  # named as in the models' head
    return keras.Model(body.input, keras.layers.Dense(1, dtype="float32", name="logit")(hidden))


def inputs(backbone: ModuleType, clips: int) -> np.ndarray:
    """Noise of the level that the backbone gets: normalised bands, or a waveform."""
    level = 1.0 if backbone.INPUT == "spectrogram" else 0.1
    return np.random.default_rng(clips).normal(0, level, (clips, *SMALL[backbone])).astype(np.float32)


@pytest.fixture(scope="module", params=BACKBONES, ids=short_name)
def fitted(request) -> tuple[ModuleType, keras.Model, list[float]]:
    """A backbone fitted to eight random labels, and the loss at each step."""
    backbone = request.param
    keras.utils.set_random_seed(1)
    model = with_logit(features(backbone, SMALL[backbone]))
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, jit_compile=False)
    labels = np.array([[0], [1], [1], [0], [1], [0], [0], [1]], np.float32)
    clips = inputs(backbone, 8)
    losses = [float(model.train_on_batch(clips, labels, return_dict=True)["loss"]) for _ in range(40)]
    return backbone, model, losses


def test_random_labels_are_learnt(fitted):
    _, _, losses = fitted
    assert losses[0] > 0.3
    assert losses[-1] < 0.1


def test_saved_model_gives_the_same_logits(fitted, tmp_path):
    backbone, model, _ = fitted
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    x = inputs(backbone, 3)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_litert_gives_the_same_logits_at_any_batch_size(fitted, tmp_path):
    backbone, model, _ = fitted
    formats.litert(model, tmp_path / "model.tflite")
    network = LiteRt(tmp_path / "model.tflite", threads=1)
    for clips in (1, 3):
        x = inputs(backbone, clips)
        expected = model.predict(x, verbose=0)
        assert np.abs(expected).max() > 0.1
        np.testing.assert_allclose(network(x), expected[:, 0], atol=1e-3)


@pytest.mark.parametrize(
    ("backbone", "shape", "expected"),
    [
        (lcnn, (201, 80), (160,)),
        (lcnn, (401, 100), (192,)),
        (lcnn, (16, 16), (32,)),
        (resnet18, (201, 80), (13, 5, 512)),
        (resnet18, (401, 100), (26, 7, 512)),
        (resnet18, (16, 16), (1, 1, 512)),
        (vgg, (201, 80), (25, 10, 256)),
        (vgg, (401, 100), (50, 12, 256)),
        (vgg, (8, 8), (1, 1, 256)),
        (rawnet2, (64000,), (1024,)),
        (rawnet2, (8000,), (1024,)),
        (rawnet2, (3211,), (1024,)),
    ],
    ids=short_name,
)
def test_output_shape(backbone, shape, expected):
    assert features(backbone, shape).output_shape == (None, *expected)


@pytest.mark.parametrize(
    ("backbone", "parameters", "trained"),
    [
        # Torchvision's ResNet-18 trains 11,689,512; its classifier is 512 * 1000 + 1000, its stem 7 * 7 * 3 * 64.
        (resnet18, 11_177_280, 11_689_512 - 513_000 - (7 * 7 * 3 - 3 * 3 * 1) * 64),
        (lcnn, 158_656, 158_080),
        (vgg, 1_174_560, 1_172_640),
        (rawnet2, 3_976_808, 3_974_560),
    ],
    ids=short_name,
)
def test_parameters_are_those_of_the_docstring(backbone, parameters, trained):
    model = features(backbone, FULL[backbone])
    assert model.count_params() == parameters
    assert sum(weight.value.shape.num_elements() for weight in model.trainable_weights) == trained
    documented = " ".join(backbone.__doc__.split())
    assert f"{parameters:,} parameters, of which {trained:,} are trained" in documented


@pytest.mark.parametrize(("backbone", "count"), [(lcnn, 7), (resnet18, 20), (vgg, 8), (rawnet2, 13)], ids=short_name)
def test_batch_norm_momentum_reaches_every_layer(backbone, count):
    model = features(backbone, SMALL[backbone], batch_norm_momentum=0.75)
    momenta = [x.momentum for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert momenta == [0.75] * count


@every_backbone
def test_float16_gives_finite_features(backbone):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = features(backbone, SMALL[backbone])
        result = model(inputs(backbone, 2), training=True)
    finally:
        keras.config.set_dtype_policy("float32")
    assert result.dtype == "float16"
    assert np.isfinite(result).all()


@pytest.mark.parametrize(
    ("backbone", "shape", "message"),
    [
        (lcnn, (201, 15), r"16 frames and 16 bands.*201 and 15.*--clip_s.*--hop_samples"),
        (resnet18, (15, 80), r"16 frames and 16 bands.*15 and 80.*--clip_s.*--hop_samples"),
        (vgg, (201, 7), r"8 frames and 8 bands.*201 and 7.*--clip_s.*--hop_samples"),
        (rawnet2, (3210,), r"3211 samples.*3210.*--clip_s to 0\.21 or more"),
    ],
    ids=short_name,
)
def test_a_too_small_input_is_an_error_with_its_remedy(backbone, shape, message):
    with pytest.raises(ConfigError, match=message):
        features(backbone, shape)


@every_backbone
def test_weights_are_refused(backbone):
    with pytest.raises(ConfigError, match=rf"--weights 'imagenet': {short_name(backbone)} has no published weights"):
        features(backbone, SMALL[backbone], weights="imagenet")


@pytest.fixture(scope="module")
def responses() -> np.ndarray:
    """Response of RawNet2's filters to a unit impulse, ``[1025, 20]``."""
    impulse = np.zeros((1, 2 * 1025 - 1), np.float32)
    impulse[0, 1024] = 1.0
    return np.asarray(rawnet2.SincFilters(filters=20, filter_samples=1025)(impulse))[0]


def test_sinc_filters_pass_only_their_mel_band(responses):
    gains = np.abs(np.fft.rfft(responses, 16000, axis=0))  # (frequencies, 20), one per hertz
    hertz = np.arange(len(gains))
    edges_hz = librosa.mel_frequencies(n_mels=21, fmin=0.0, fmax=SAMPLE_RATE_HZ / 2, htk=True)
    slope_hz = 1.5 * SAMPLE_RATE_HZ / 1025  # on either side of an edge, where a Hamming window leaves a slope
    for gain, low, high in zip(gains.T, edges_hz[:-1], edges_hz[1:], strict=True):
        inside = (hertz > low + slope_hz) & (hertz < high - slope_hz)
        outside = (hertz < low - slope_hz) | (hertz > high + slope_hz)
        assert inside.sum() > 30
        np.testing.assert_allclose(gain[inside], 1.0, atol=0.01)
        assert gain[outside].max() < 0.01
        for edge in {low, high} - {edges_hz[0], edges_hz[-1]}:
            assert gain[round(edge)] == pytest.approx(0.5, abs=0.03)


def test_sinc_filters_add_up_to_the_waveform(responses):
    impulse = np.zeros(1025)
    impulse[512] = 1.0
    np.testing.assert_allclose(responses.sum(axis=1), impulse, atol=1e-5)


def test_sinc_filters_are_fixed_and_stay_in_float32():
    layer = rawnet2.SincFilters(filters=20, filter_samples=1025, dtype="mixed_float16")
    assert layer(np.zeros((1, 2000), np.float16)).dtype == "float32"
    assert layer.weights == []
    assert keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer)).filter_samples == 1025


def test_sinc_filters_need_a_middle():
    with pytest.raises(ValueError, match="odd, got 1024"):
        rawnet2.SincFilters(filters=20, filter_samples=1024)(np.zeros((1, 2000), np.float32))
