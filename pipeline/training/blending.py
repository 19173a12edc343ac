"""Training with pseudo-spoofs: a model whose training step replaces a share of the batch's spoofs."""

import keras
import tensorflow as tf

from pipeline.errors import ConfigError
from pipeline.training import pseudo_spoofs


class PseudoSpoofing(keras.Model):
    """A built model, trained on batches in which ``share`` of the spoofs are pseudo-spoofs.

    The draws follow the number of the step, so that a training that goes on after a kill sees the batches it would
    have seen. Weights and inference are those of the model given.
    """

    def __init__(self, model: keras.Model, *, share: float, seed: int):
        if not 0 < share <= 1:
            raise ConfigError(f"--pseudo_spoofs {share:g}: expected 0 to 1")
        super().__init__(inputs=model.inputs, outputs=model.outputs, name=model.name)
        self.share = share
        self.seed = seed

    def train_step(self, data):
        waves, labels = data
        step = tf.cast(self.optimizer.iterations, tf.int32)
        waves = pseudo_spoofs.replace(waves, labels, share=self.share, seed=tf.stack([self.seed, 1000 * step]))
        return super().train_step((waves, labels))
