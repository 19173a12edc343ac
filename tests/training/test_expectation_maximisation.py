"""The mixture baseline against scikit-learn's own mixtures, and through training, files and resumption."""

import keras
import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from pipeline import train
from pipeline.config import preset
from pipeline.errors import ConfigError
from pipeline.network import networks
from pipeline.network.backbones.gmm import LAYER, LikelihoodRatio
from pipeline.scoring import detector
from pipeline.scoring.model_folders import ModelFolder
from pipeline.training import batches, expectation_maximisation
from pipeline.training.data import Data

CONFIG = preset("gmm").replace(
    corpus="synthetic", components=4, clip_s=0.5, epochs=3, n_bands=40, n_coefficients=8, hop_samples=240
)


@pytest.fixture(scope="module")
def data(synthetic_store) -> Data:
    return Data.of(synthetic_store, CONFIG)


def frames_of(model: keras.Model, data: Data) -> list[np.ndarray]:
    """Frames of each class, spoof first."""
    front_end = keras.Model(model.inputs, model.get_layer(LAYER).input)
    found = [[], []]
    for waves, labels in data.windows().as_numpy_iterator():
        for label in range(2):
            found[label] += list(front_end.predict_on_batch(waves)[labels[:, 0] == label])
    return [np.concatenate(clips) for clips in found]


def test_the_layer_is_the_difference_of_scikit_learns_log_likelihoods():
    rng = np.random.default_rng(0)
    fitted = [
        GaussianMixture(3, covariance_type="diag", random_state=0).fit(rng.normal(shift, 1 + shift, (300, 5)))
        for shift in (0.0, 0.7)
    ]
    layer = LikelihoodRatio(components=3)
    layer.build((None, 20, 5))
    layer.log_weights.assign(np.log([f.weights_ for f in fitted]))
    layer.means.assign([f.means_ for f in fitted])
    layer.precisions.assign([1 / f.covariances_ for f in fitted])
    frames = rng.normal(0.3, 1, (4, 20, 5)).astype("float32")
    expected = [np.mean(fitted[1].score_samples(x) - fitted[0].score_samples(x)) for x in frames]
    np.testing.assert_allclose(np.array(layer(frames))[:, 0], expected, rtol=1e-4, atol=1e-4)


def test_iterations_raise_the_likelihood_and_equal_an_unbroken_fit(data):
    model = networks.build(CONFIG)
    run_epoch = expectation_maximisation.epoch_runner(model, data, CONFIG)
    losses = [run_epoch(epoch) for epoch in range(4)]
    assert losses == sorted(losses, reverse=True)
    frames = frames_of(model, data)
    whole = GaussianMixture(
        4,
        covariance_type="diag",
        reg_covar=expectation_maximisation.VARIANCE_FLOOR,
        max_iter=4,
        tol=0.0,
        random_state=CONFIG.train.seed,
    ).fit(frames[1].astype(np.float64))
    np.testing.assert_allclose(model.get_layer(LAYER).means.numpy()[1], whole.means_, atol=1e-3)


@pytest.mark.usefixtures("tracking_store")
def test_a_trained_mixture_is_a_model_folder_like_any_other(synthetic_store):
    folder = train.train(CONFIG.replace(components=8), synthetic_store.folder)
    trained = ModelFolder.load(folder)
    wave = batches.load(synthetic_store, batches.Plan(np.array([0]), np.array([0])), CONFIG)
    model = keras.saving.load_model(folder / "model.keras", compile=False)
    expected = model.predict(wave, verbose=0)[0, 0]
    np.testing.assert_allclose(detector.Detector(trained).window_logits(wave)[0], expected, atol=1e-3)
    assert trained.dev_eer < 0.5


def test_attacks_that_are_left_out_neither_fit_nor_choose(synthetic_store):
    attacks = synthetic_store.manifest["attack"].to_numpy()
    gone = sorted(set(attacks) - {"-"})[0]
    kept = Data.of(synthetic_store, CONFIG.replace(leave_out=gone))
    assert gone in attacks[Data.of(synthetic_store, CONFIG).train]
    for rows in (kept.train, kept.sample, kept.dev):
        assert gone not in attacks[rows]
    with pytest.raises(ConfigError, match="--leave_out 'A99': no such attack"):
        Data.of(synthetic_store, CONFIG.replace(leave_out="A99"))
    with pytest.raises(ConfigError, match=r"0 spoof clips.*leave fewer attacks out"):
        Data.of(synthetic_store, CONFIG.replace(leave_out="*"))


def test_mixtures_take_no_weights():
    with pytest.raises(ConfigError, match="--weights 'imagenet': gmm has no published weights"):
        networks.build(CONFIG.replace(weights="imagenet"))
