"""Expectation-maximisation: fit the two mixtures of the ``gmm`` model, one iteration per epoch.

scikit-learn runs the iterations. Each starts from the weights of the model only, so a killed fit resumes after its
last epoch like any other training.
"""

import warnings
from collections.abc import Callable

import keras
import numpy as np

from pipeline.config import Config
from pipeline.errors import ConfigError
from pipeline.network import networks
from pipeline.network.backbones.gmm import LAYER, LikelihoodRatio
from pipeline.training.data import Data

FRAMES = 200_000
"""Most frames of each class to fit a mixture to, drawn evenly over all clips."""
VARIANCE_FLOOR = 1e-3


def build(config: Config, steps: int, attacks: int = 0) -> keras.Model:
    """Build the model before its first iteration."""
    if attacks:
        raise ConfigError("--target attack: gmm has no embedding to tell attacks apart by; choose another backbone")
    return networks.build(config)


def state(model: keras.Model) -> list[keras.Variable]:
    """Variables that the next epoch depends on."""
    return model.variables


def epoch_runner(model: keras.Model, data: Data, config: Config, devices: int = 1) -> Callable[[int], float]:
    """Return the function that fits one epoch: epoch number in, loss out.

    The loss is the mean negative log-likelihood of a frame under its own class's mixture, in nats.
    """
    seed = config.train.seed
    layer: LikelihoodRatio = model.get_layer(LAYER)
    front_end = keras.Model(model.inputs, layer.input)
    rng = np.random.default_rng(seed)
    frames: list[list[np.ndarray]] = [[], []]
    for waves, labels in data.windows().as_numpy_iterator():
        spectrograms = front_end.predict_on_batch(waves)  # (clips, frames, coefficients)
        for number in range(2):
            frames[number].extend(spectrograms[labels[:, 0] == number])
    samples = []
    for clips in frames:
        all_frames = np.concatenate(clips)
        kept = rng.permutation(len(all_frames))[:FRAMES]
        samples.append(all_frames[np.sort(kept)].astype(np.float64))

    def epoch(number: int) -> float:
        fitted = [_iteration(layer, which, samples[which], seed, first=number == 0) for which in range(2)]
        state = [np.stack([np.asarray(getattr(f, name)) for f in fitted]) for name in ("weights_", "means_")]
        layer.log_weights.assign(np.log(np.maximum(state[0], 1e-12)))
        layer.means.assign(state[1])
        layer.precisions.assign(np.stack([1 / f.covariances_ for f in fitted]))
        return -float(np.mean([f.lower_bound_ for f in fitted]))

    return epoch


def _iteration(layer: LikelihoodRatio, which: int, frames: np.ndarray, seed: int, *, first: bool):
    """Run one iteration from the state of the layer; the first starts from k-means."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    start = {}
    if not first:
        weights = np.exp(layer.log_weights.numpy()[which].astype(np.float64))
        start = {
            "weights_init": weights / weights.sum(),
            "means_init": layer.means.numpy()[which].astype(np.float64),
            "precisions_init": layer.precisions.numpy()[which].astype(np.float64),
        }
    mixture = GaussianMixture(
        layer.components, covariance_type="diag", reg_covar=VARIANCE_FLOOR, max_iter=1, random_state=seed, **start
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a single iteration never converges
        return mixture.fit(frames)
