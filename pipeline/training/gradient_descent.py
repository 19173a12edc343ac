"""Gradient descent: the compiled model of a configuration, and one epoch of it."""

from collections.abc import Callable

import keras

from pipeline.common.progress import track
from pipeline.config import Config
from pipeline.network import networks
from pipeline.training.data import Data


def build(config: Config, steps: int) -> keras.Model:
    """Build a model with fresh weights, compiled with optimiser and loss; ``steps`` per epoch.

    In the scope of several devices the model is copied to each (``training.devices``).
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
        from pipeline.training.pseudo_spoofs import PseudoSpoofing

        model = PseudoSpoofing(model, share=settings.pseudo_spoofs, seed=settings.seed)
    optimizer = keras.optimizers.Adam(rate, weight_decay=settings.weight_decay or None)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    # Keras would choose XLA on a GPU, which cannot compile shapes that depend on random draws.
    model.compile(optimizer, keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    return model


def state(model: keras.Model) -> list[keras.Variable]:
    """Variables that the next epoch depends on."""
    return [*model.variables, *model.optimizer.variables]


def epoch_runner(model: keras.Model, data: Data, config: Config, devices: int = 1) -> Callable[[int], float]:
    """Return the function that fits one epoch: epoch number in, mean loss in nats out."""

    def epoch(number: int) -> float:
        batches = data.epoch(number, devices)
        bar = StepProgress(int(batches.cardinality()), f"epoch {number + 1}/{config.train.epochs}")
        fitted = model.fit(batches, callbacks=[bar], verbose=0, shuffle=False)
        return float(fitted.history["loss"][0])

    return epoch


class StepProgress(keras.callbacks.Callback):
    """Show the finished steps of ``fit`` out of ``steps``, under the name ``what``."""

    def __init__(self, steps: int, what: str):
        super().__init__()
        self._steps = track(range(steps), total=steps, what=what, unit="step")

    def on_train_begin(self, logs=None):
        next(self._steps)

    def on_train_batch_end(self, batch, logs=None):
        next(self._steps, None)
