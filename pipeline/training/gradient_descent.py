"""Fitting a network by gradient descent: the compiled model of a configuration, and what an epoch does."""

from collections.abc import Callable

import keras

from pipeline.config import Config
from pipeline.network import networks
from pipeline.training.data import Data
from pipeline.training.step_progress import StepProgress


def build(config: Config, steps: int) -> keras.Model:
    """A model with fresh weights, compiled with its optimiser and loss; ``steps`` an epoch.

    In the scope of several devices the model is copied to each, see ``training.devices``.
    """
    settings = config.train
    rate = settings.learning_rate
    if settings.schedule == "cosine":
        warmup = max(1, round(settings.warmup_epochs * steps))
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0,
            warmup_target=rate,
            warmup_steps=warmup,
            decay_steps=max(1, settings.epochs * steps - warmup),
        )
    model = networks.build(config)
    if config.device.sync_batch_norm and model.distribute_strategy.num_replicas_in_sync > 1:
        networks.synchronise_batch_norm(model)
    if settings.pseudo_spoofs:
        from pipeline.training.blending import PseudoSpoofing

        model = PseudoSpoofing(model, share=settings.pseudo_spoofs, seed=settings.seed)
    optimizer = keras.optimizers.Adam(rate, weight_decay=settings.weight_decay or None)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    # XLA, which Keras would choose on a GPU, knows no shapes that depend on what was drawn.
    model.compile(optimizer, keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    return model


def state(model: keras.Model) -> list[keras.Variable]:
    """Everything that the next epoch depends on."""
    return [*model.variables, *model.optimizer.variables]


def learner(model: keras.Model, data: Data, config: Config, devices: int = 1) -> Callable[[int], float]:
    """What does one epoch: a function of its number that changes the model and returns its mean loss, in nats."""

    def epoch(number: int) -> float:
        batches = data.epoch(number, devices)
        bar = StepProgress(int(batches.cardinality()), f"epoch {number + 1}/{config.train.epochs}")
        fitted = model.fit(batches, callbacks=[bar], verbose=0, shuffle=False)
        return float(fitted.history["loss"][0])

    return epoch
