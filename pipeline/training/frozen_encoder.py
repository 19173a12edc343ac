"""Training of the head of a frozen encoder on features that were computed once (``training.features``).

An epoch goes through the features of one of ``variants`` epochs of augmented windows, in an order of its own.
"""

from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from pipeline.config import Config
from pipeline.errors import ConfigError
from pipeline.network import networks
from pipeline.training import batches, gradient_descent, logits, parent
from pipeline.training.data import Data
from pipeline.training.features import Features, Part

SCORED = 256
"""Windows per batch when scoring."""


def build(config: Config, steps: int, attacks: int = 0) -> keras.Model:
    """Build the whole network and compile its head; ``steps`` per epoch."""
    if config.train.freeze != "none":
        raise ConfigError(f"--freeze {config.train.freeze}: --encoder_trainable says what of an encoder is trained")
    model = parent.build(config, attacks)
    gradient_descent.prepare(networks.trained_part(model, config), config, steps)
    return model


def state(model: keras.Model) -> list[keras.Variable]:
    """Variables that the next epoch depends on."""
    return gradient_descent.state(model.get_layer(networks.ENCODER_HEAD))


def epoch_runner(model: keras.Model, data: Data, config: Config, devices: int = 1) -> Callable[[int], float]:
    """Return the function that fits one epoch: epoch number in, mean loss in nats out."""
    head, features = model.get_layer(networks.ENCODER_HEAD), _features(model, data, config)
    dev, _ = batches.all_windows(data.store, data.dev, logits.dev_windows(config))
    features.reserve(config.encoder.variants * len(data.train) + len(dev.rows) + len(data.sample))
    variants: dict[int, Part] = {}

    def epoch(number: int) -> float:
        variant = number % config.encoder.variants
        if variant not in variants:
            variants[variant] = features.epoch(variant)
        chosen = _batches(variants[variant], config, number)
        return gradient_descent.fit(head, chosen, f"epoch {number + 1}/{config.train.epochs}")

    return epoch


def scorer(model: keras.Model, data: Data, config: Config) -> logits.Scorer:
    """Return the scorer by the head."""
    head, features = model.get_layer(networks.ENCODER_HEAD), _features(model, data, config)

    def score(rows: np.ndarray, own: Config) -> np.ndarray:
        chosen, owner = batches.all_windows(data.store, rows, own)
        part = features.windows(chosen)
        return logits.mean(head.predict(_dataset(part, np.arange(len(owner)), SCORED), verbose=0), owner)

    return score


def _features(model: keras.Model, data: Data, config: Config) -> Features:
    """Features of the training of ``model``, made once: they compile the encoder."""
    if not hasattr(model, "features"):
        model.features = Features(model, data, config)
    return model.features


def _batches(part: Part, config: Config, epoch: int) -> tf.data.Dataset:
    """Batches of an epoch in an order of its own, ``([batch, …], [batch, 1])``."""
    rng = np.random.default_rng([config.train.seed, epoch])
    order = batches.order(part.labels > 0.5, bool(config.train.balance), rng)
    return _dataset(part, order, config.train.batch_size)


def _dataset(part: Part, order: np.ndarray, size: int) -> tf.data.Dataset:
    """Batches of ``size`` windows in the given order, with their labels."""

    def generate() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for which in np.split(order, range(size, len(order), size)):
            yield part.take(which), part.labels[which, None]

    signature = (tf.TensorSpec((None, *part.shards[0].shape[1:]), tf.float32), tf.TensorSpec((None, 1), tf.float32))
    made = tf.data.Dataset.from_generator(generate, output_signature=signature)
    return made.apply(tf.data.experimental.assert_cardinality(-(-len(order) // size))).prefetch(4)
