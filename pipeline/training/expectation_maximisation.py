"""Fitting the two mixtures of the ``gmm`` model by expectation-maximisation, an iteration an epoch.

The iterations are scikit-learn's. What they start from is in the model's weights alone, so that a fit that was killed
goes on after its last epoch like any other training.
"""

import warnings
from collections.abc import Callable

import keras
import numpy as np

from pipeline.config import Config
from pipeline.network import networks
from pipeline.network.backbones.gmm import LAYER, LikelihoodRatio
from pipeline.training.data import Data

FRAMES = 200_000
"""Frames of each class that a mixture is fitted to at most, drawn evenly over all clips."""
VARIANCE_FLOOR = 1e-3


def build(config: Config, steps: int) -> keras.Model:
    """The model before its first iteration."""
    return networks.build(config)


def state(model: keras.Model) -> list[keras.Variable]:
    """Everything that the next epoch depends on."""
    return model.variables


def learner(model: keras.Model, data: Data, config: Config, devices: int = 1) -> Callable[[int], float]:
    """What does one epoch: a function of its number that changes the model and returns its loss.

    The loss is the mean negative log-likelihood of a frame under its own class's mixture, in nats.
    """
    seed = config.train.seed
    layer: LikelihoodRatio = model.get_layer(LAYER)
    front_end = keras.Model(model.inputs, layer.input)
    rng = np.random.default_rng(seed)
    frames: list[list[np.ndarray]] = [[], []]
    for waves, labels in data.windows().as_numpy_iterator():
        heard = front_end.predict_on_batch(waves)  # (clips, frames, coefficients)
        for number in range(2):
            frames[number].extend(heard[labels[:, 0] == number])
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
    """One iteration from the layer's state; the first starts from k-means."""
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
