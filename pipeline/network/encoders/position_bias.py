"""WavLM's gated relative position bias (Chen et al. 2021, arXiv:2110.13900, section 3.1)."""

import math

import keras
import numpy as np
from keras import layers, ops

from pipeline.network.encoders import weights
from pipeline.network.encoders.weights import Weight


@keras.saving.register_keras_serializable(package="spoof")
class RelativePositions(keras.Layer):
    """Bias of each head by the distance of two frames, in buckets that widen with the distance; all blocks share it.

    ``bias(frames)`` is ``[1, heads, frames, frames]``, float32.

    Parameters
    ----------
    heads : attention heads.
    buckets : number of buckets, half of them for frames that lie later.
    farthest : distance in frames from which all share the last bucket.
    """

    def __init__(self, *, heads: int, buckets: int, farthest: int, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.heads, self.buckets, self.farthest = heads, buckets, farthest

    def build(self, input_shape=None):
        self.table = self.add_weight(shape=(self.buckets, self.heads), initializer="zeros", name="table")

    def bias(self, frames: int):
        # By distance first: the window is a strip of 2 frames - 1 distances, of which each frame sees a part.
        bucket = bucket_of(np.arange(1 - frames, frames), self.buckets, self.farthest)  # (2 frames - 1,)
        strip = ops.transpose(ops.take(self.table, bucket, axis=0))  # (heads, 2 frames - 1)
        distance = np.arange(frames)[None, :] - np.arange(frames)[:, None] + frames - 1  # (frames, frames)
        return ops.take(strip, distance, axis=1)[None]  # (1, heads, frames, frames)

    def get_config(self):
        return {**super().get_config(), "heads": self.heads, "buckets": self.buckets, "farthest": self.farthest}


@keras.saving.register_keras_serializable(package="spoof")
class PositionGate(keras.Layer):
    """Gate of one block: how much of the position bias each frame and head takes, from the attention's input.

    Input shape ``[frames, channels]``; output shape ``[frames, heads, 1]``, float32.

    Parameters
    ----------
    heads : attention heads.
    """

    def __init__(self, *, heads: int, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.heads = heads

    def build(self, input_shape):
        self.dense = layers.Dense(8, name="dense", dtype="float32")
        self.dense.build((None, input_shape[-1] // self.heads))
        self.scale = self.add_weight(shape=(1, self.heads, 1, 1), initializer="ones", name="scale")

    def call(self, x):
        gates = self.dense(ops.reshape(x, (-1, x.shape[-1] // self.heads)))  # (frames · heads, 8)
        gates = ops.reshape(gates, (-1, self.heads, 2, 4))
        first, second = ops.split(ops.sigmoid(ops.sum(gates, axis=-1)), 2, axis=-1)  # (frames, heads, 1) each
        return first * (second * self.scale[0, :, 0] - 1.0) + 2.0

    def named_weights(self, name: str) -> dict[str, Weight]:
        """Weights by their published names under that of a block's attention."""
        gate = weights.dense(f"{name}.gru_rel_pos_linear", self.dense)
        return gate | {f"{name}.gru_rel_pos_const": Weight(self.scale)}

    def get_config(self):
        return {**super().get_config(), "heads": self.heads}


def bucket_of(distance: np.ndarray, buckets: int, farthest: int) -> np.ndarray:
    """Bucket of each distance in frames: exact up to a quarter of the buckets, then on a logarithmic scale."""
    half = buckets // 2
    exact = half // 2
    size = np.abs(distance)
    # float32 as the reference: at the edge of a bucket the rounding decides.
    scale = np.log(np.maximum(size, 1).astype("float32") / np.float32(exact)) / np.float32(math.log(farthest / exact))
    wide = np.minimum(exact + (scale * (half - exact)).astype(int), half - 1)
    return np.where(distance > 0, half, 0) + np.where(size < exact, size, wide)
