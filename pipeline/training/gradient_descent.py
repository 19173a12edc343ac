"""Gradient descent: the compiled model of a configuration, and one epoch of it."""

import itertools
from collections.abc import Callable

import keras

from pipeline.common.progress import track
from pipeline.config import Config
from pipeline.errors import ConfigError
from pipeline.network import inheritance, networks
from pipeline.network.encoders.speech_encoder import SpeechEncoder
from pipeline.training import averaging, devices, parent
from pipeline.training.data import Data
from pipeline.training.loss_scale import LossScale

STEPS_AT_ONCE = 8
"""Steps of a compiled training that TensorFlow takes before Python looks at the loss again."""
UNDECAYED = ["bias", "beta", "gamma"]
"""Names of variables that weight decay spares."""


def build(config: Config, steps: int, attacks: int = 0) -> keras.Model:
    """Build a model with fresh weights or its parent's, compiled with optimiser and loss; ``steps`` per epoch.

    ``attacks`` is the number of attacks that it learns to tell apart.

    In the scope of several devices the model is copied to each (``training.devices``).
    """
    model = parent.build(config, attacks)
    if config.device.sync_batch_norm and model.distribute_strategy.num_replicas_in_sync > 1:
        networks.synchronise_batch_norm(model)
    if config.train.pseudo_spoofs:
        from pipeline.training.pseudo_spoofs import PseudoSpoofing

        settings = config.train
        model = PseudoSpoofing(model, share=settings.pseudo_spoofs, seed=settings.seed, batch_size=settings.batch_size)
    prepare(model, config, steps)
    return model


def prepare(model: keras.Model, config: Config, steps: int) -> None:
    """Compile a model, whole or a head, with what freezes and averages its weights; ``steps`` per epoch."""
    settings = config.train
    if not 0 <= settings.ema < 1:
        raise ConfigError(f"--ema {settings.ema:g}: expected a decay of 0 to under 1, such as 0.999")
    model.average = averaging.WeightAverage(model, settings.ema) if settings.ema else None
    model.frozen_until, model.after_thaw = 0, None
    model.xla = devices.xla(config)
    if settings.freeze == "backbone":
        model.frozen_until = min(settings.freeze_epochs or settings.epochs, settings.epochs)
    if model.frozen_until < settings.epochs:
        _compile(model, _optimizer(config, (settings.epochs - model.frozen_until) * steps, steps))
    if model.frozen_until:
        # Adam corrects for the zeros its moments start from by the count of its steps, so what is trained later has an
        # optimiser that starts later.
        model.after_thaw = getattr(model, "optimizer", None)  # none if nothing is trained later
        for layer in inheritance.layers(model):
            layer.trainable = layer.name in networks.HEAD
        _compile(model, _optimizer(config, model.frozen_until * steps, steps))


def _optimizer(config: Config, total_steps: int, steps: int) -> keras.Optimizer:
    settings = config.train
    rate = settings.learning_rate
    if settings.schedule == "cosine":
        warmup = max(1, round(settings.warmup_epochs * steps))
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0,
            warmup_target=rate,
            warmup_steps=warmup,
            decay_steps=max(1, total_steps - warmup),
        )
    decay = settings.weight_decay or None
    if config.has_encoder and not config.encoder.frozen:
        return TwoRates(rate, config.encoder.encoder_learning_rate / settings.learning_rate, weight_decay=decay)
    optimizer = keras.optimizers.Adam(rate, weight_decay=decay)
    optimizer.exclude_from_weight_decay(var_names=UNDECAYED)
    return optimizer


class TwoRates(keras.optimizers.Adam):
    """Adam that trains a pretrained encoder with ``encoder`` times the learning rate, and without weight decay."""

    def __init__(self, learning_rate, encoder: float, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self._encoder = encoder

    def build(self, variables):
        own = [variable.path.startswith(f"{networks.ENCODER}/") for variable in variables]
        self._factors = [self._encoder if within else 1.0 for within in own]
        encoder = [variable for variable, within in zip(variables, own, strict=True) if within]
        self.exclude_from_weight_decay(var_list=encoder, var_names=UNDECAYED)
        super().build(variables)

    def update_step(self, gradient, variable, learning_rate):
        factor = self._factors[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * factor)


def _compile(model: keras.Model, optimizer: keras.Optimizer) -> None:
    if model.dtype_policy.name == "mixed_float16" and not isinstance(optimizer, LossScale):
        optimizer = LossScale(optimizer)
    model.compile(
        optimizer,
        loss if model.output_shape[1] > 1 else keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=model.xla,
        # The average of the weights wants to see every step.
        steps_per_execution=STEPS_AT_ONCE if model.xla and not model.average else 1,
    )
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def loss(targets: "tf.Tensor", outputs: "tf.Tensor") -> "tf.Tensor":  # noqa: F821
    """Cross-entropy of bonafide and spoof, plus that of the attacks over the spoofs that have one, in nats.

    Parameters
    ----------
    targets : ``[batch, 1]``, see ``Data.targets``.
    outputs : the logit, then that of each attack, ``[batch, 1 + attacks]``.
    """
    detection = keras.losses.binary_crossentropy(targets > 0.5, outputs[:, :1], from_logits=True)  # (batch,)
    of_attack = targets[:, 0] < -0.5
    attack = keras.ops.cast(keras.ops.where(of_attack, -targets[:, 0] - 1, 0), "int32")
    tracing = keras.losses.sparse_categorical_crossentropy(attack, outputs[:, 1:], from_logits=True)  # (batch,)
    return detection + keras.ops.where(of_attack, tracing, 0)


def _thaw(model: keras.Model) -> None:
    """Train all layers from here on, of a pretrained encoder the part that is to be trained."""
    for layer in inheritance.layers(model):
        if isinstance(layer, SpeechEncoder):
            layer.train_part(layer.train)
        else:
            layer.trainable = True
    with model.distribute_strategy.scope():
        _compile(model, model.after_thaw)
    model.after_thaw = None


def state(model: keras.Model) -> list[keras.Variable]:
    """Variables that the next epoch depends on."""
    others = [part.variables for part in (model.average, model.after_thaw) if part]
    return [*model.variables, *model.optimizer.variables, *itertools.chain(*others)]


def epoch_runner(model: keras.Model, data: Data, config: Config, devices: int = 1) -> Callable[[int], float]:
    """Return the function that fits one epoch: epoch number in, mean loss in nats out."""

    def epoch(number: int) -> float:
        if model.after_thaw and number >= model.frozen_until:
            _thaw(model)
        return fit(model, data.epoch(number, devices), f"epoch {number + 1}/{config.train.epochs}")

    return epoch


def fit(model: keras.Model, batches: "tf.data.Dataset", what: str) -> float:  # noqa: F821
    """Fit a prepared model on the batches of an epoch; returns the mean loss in nats."""
    bar = StepProgress(int(batches.cardinality()), what)
    callbacks = [bar, model.average] if model.average else [bar]
    fitted = model.fit(batches, callbacks=callbacks, verbose=0, shuffle=False)
    return float(fitted.history["loss"][0])


class StepProgress(keras.callbacks.Callback):
    """Show the begun steps of ``fit`` out of ``steps``, under the name ``what``.

    At the end of a step Keras would fetch the loss for it, and the device would wait.
    """

    def __init__(self, steps: int, what: str):
        super().__init__()
        self._begun = 0
        self._steps = track(range(steps), total=steps, what=what, unit="step")

    def on_train_begin(self, logs=None):
        next(self._steps)

    def on_train_batch_begin(self, batch, logs=None):
        for _ in range(self._begun, batch):  # several steps may have been taken at once
            next(self._steps, None)
        self._begun = batch

    def on_train_end(self, logs=None):
        for _ in self._steps:
            pass
