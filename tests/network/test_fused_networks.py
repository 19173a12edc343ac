"""Networks of several models: their formula, also after saving and without a Fourier transform; the mean of weights."""

import keras
import numpy as np
import pytest
from matplotlib.text import Annotation

from pipeline.config import preset
from pipeline.errors import ConfigError
from pipeline.metrics.calibration import Calibration
from pipeline.network import formats, front_end, fusion, networks, summary
from pipeline.network.saliency import Explainer
from pipeline.network.spectra import PowerSpectrogram

LONG, SHORT = 4000, 1800
BOUNDED, UNBOUNDED = Calibration(3.0, 0.5, -1.5, 1.2), Calibration(-0.7, 0.1)
WEIGHTS, BIAS = np.array([0.8, 0.3]), -0.4


def tiny(samples: int, seed: int, units: int = 4) -> keras.Model:
    """A network with a spectrogram and batch normalisation, whose layers are named like those of every other one."""
    keras.utils.set_random_seed(seed)
    waveform = keras.Input((samples,), name="waveform")
    bands = front_end.spectrogram(waveform, preset("smoke").front_end)
    hidden = keras.layers.BatchNormalization(name="norm")(keras.layers.Conv1D(units, 3, name="conv")(bands))
    pooled = keras.layers.GlobalMaxPooling1D(name="pool")(hidden)
    return keras.Model(waveform, keras.layers.Dense(1, name="logit")(pooled), name="tiny")


def logits(model: keras.Model, waves: np.ndarray) -> np.ndarray:
    return model(waves, training=False).numpy()[:, 0].astype(float)


@pytest.fixture(scope="module")
def members() -> list[keras.Model]:
    return [tiny(LONG, 1), tiny(SHORT, 2)]


@pytest.fixture(scope="module")
def fused(members) -> keras.Model:
    calibrations = (BOUNDED, UNBOUNDED)
    own = [fusion.member(m, c, LONG, f"member_{k}") for k, (m, c) in enumerate(zip(members, calibrations, strict=True))]
    return fusion.weighted_sum(own, WEIGHTS, BIAS)


@pytest.fixture(scope="module")
def waves() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.3, (5, LONG)).astype(np.float32)


@pytest.fixture(scope="module")
def expected(members, waves) -> np.ndarray:
    """The formula: the second member scores three windows, the last of them moved back to the end."""
    first = logits(members[0], waves)
    parts = [waves[:, start : start + SHORT] for start in (0, SHORT, LONG - SHORT)]
    second = np.mean([logits(members[1], part) for part in parts], axis=0)
    assert BOUNDED.apply(first) != pytest.approx(3 * first + 0.5), "some score is compressed"
    return WEIGHTS[0] * BOUNDED.apply(first) + WEIGHTS[1] * UNBOUNDED.apply(second) + BIAS


def test_the_logit_is_the_weighted_sum_of_calibrated_scores(fused, waves, expected):
    assert fused.input_shape == (None, LONG)
    np.testing.assert_allclose(logits(fused, waves), expected, atol=1e-4)


def test_a_file_of_it_loads_in_safe_mode(fused, waves, expected, tmp_path):
    fused.save(tmp_path / "model.keras")
    loaded = networks.load(tmp_path / "model.keras")
    np.testing.assert_allclose(logits(loaded, waves), expected, atol=1e-4)
    again = fusion.weighted_sum([fusion.member(loaded, BOUNDED, LONG, "member_1")], np.ones(1), 0.0)
    np.testing.assert_allclose(logits(again, waves), BOUNDED.apply(expected), atol=1e-4)
    assert not Explainer(tmp_path / "model.keras", preset("smoke")).has_spectrogram


def test_its_copy_for_onnx_has_no_fourier_transform(fused, waves, expected):
    copy = formats.with_matrix_transform(fused)
    spectra = [layer for layer in copy._flatten_layers() if isinstance(layer, PowerSpectrogram)]
    assert {type(layer) for layer in spectra} == {formats.MatrixSpectrogram}
    assert len(spectra) == 2
    np.testing.assert_allclose(logits(copy, waves), expected, atol=1e-3)


def test_text_and_picture_show_its_members(fused):
    assert "member_0" in summary.text(fused)
    texts = summary.picture(fused).axes[0].texts
    assert {"member_0", "member_1", "logit"} <= {text.get_text() for text in texts}
    arrows = [text for text in texts if isinstance(text, Annotation)]
    assert len(arrows) == 3, "waveform to the first member, the second one to the sum, the sum to the logit"


def test_the_mean_of_weights_is_that_of_every_tensor():
    seeds = [tiny(LONG, seed) for seed in (1, 2, 3)]
    means = [np.mean(each, axis=0) for each in zip(*(own.get_weights() for own in seeds), strict=True)]
    found = fusion.mean_of_weights(seeds, ["a", "b", "c"])
    for own, mean in zip(found.get_weights(), means, strict=True):
        np.testing.assert_allclose(own, mean, rtol=1e-6)


def test_weights_of_other_shapes_have_no_mean():
    with pytest.raises(
        ConfigError, match=r"conv/kernel is \(3, 32, 4\) in a and \(3, 32, 5\) in b; only models of one"
    ):
        fusion.mean_of_weights([tiny(LONG, 1), tiny(LONG, 2, units=5)], ["a", "b"])
