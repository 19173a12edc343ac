"""Transformer block that all encoders share, and its parts.

The sum that runs through the blocks stays float32 under any precision policy, as it grows beyond float16 in deep
encoders; attention and dense layers compute in the policy's precision.
"""

import math

import keras
from keras import layers, ops

from pipeline.network.encoders import weights
from pipeline.network.encoders.position_bias import PositionGate
from pipeline.network.encoders.weights import Weight


def gelu(x):
    """Exact GELU; in this form LiteRT has it as one operation, and ONNX knows its error function."""
    return 0.5 * x * (1.0 + ops.erf(x * math.sqrt(0.5)))


@keras.saving.register_keras_serializable(package="spoof")
class TransformerBlock(keras.Layer):
    """Self-attention and two dense layers, each added to its input.

    Input shape ``[batch, frames, channels]``, for a gated block also the position bias ``[1, heads, frames, frames]``;
    output shape ``[batch, frames, channels]``, float32.

    Parameters
    ----------
    heads : attention heads; they share the channels.
    hidden : units of the first dense layer.
    norm_first : normalise before attention and dense layers, else after the sums.
    key_bias : whether keys have a bias, as all but Whisper's do.
    epsilon : added to the variance by the normalisation.
    gated : whether the block takes a position bias and gates it, as WavLM's do.

    Example
    -------
    >>> block = TransformerBlock(heads=2, hidden=16, norm_first=True, key_bias=False, epsilon=1e-5)
    >>> block(np.zeros((1, 50, 8), "float32")).shape
    TensorShape([1, 50, 8])
    """

    def __init__(
        self,
        *,
        heads: int,
        hidden: int,
        norm_first: bool,
        key_bias: bool,
        epsilon: float,
        gated: bool = False,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.heads, self.hidden, self.norm_first, self.key_bias = heads, hidden, norm_first, key_bias
        self.epsilon, self.gated = epsilon, gated

    def build(self, input_shape, bias_shape=None):
        channels = input_shape[-1]

        def dense(name: str, units: int = channels, use_bias: bool = True) -> layers.Dense:
            return layers.Dense(units, use_bias=use_bias, name=name, dtype=self.dtype_policy)

        def norm(name: str) -> layers.LayerNormalization:
            return layers.LayerNormalization(epsilon=self.epsilon, name=name, dtype="float32")

        self.query, self.key, self.value = dense("query"), dense("key", use_bias=self.key_bias), dense("value")
        self.output_dense, self.widen, self.narrow = dense("output"), dense("widen", self.hidden), dense("narrow")
        self.attention_norm, self.dense_norm = norm("attention_norm"), norm("dense_norm")
        norms = (self.attention_norm, self.dense_norm)
        for layer in (self.query, self.key, self.value, self.output_dense, self.widen, *norms):
            layer.build((None, channels))
        self.narrow.build((None, self.hidden))
        if self.gated:
            self.gate = PositionGate(heads=self.heads, name="gate")
            self.gate.build((None, channels))

    def call(self, x, bias=None):
        _, frames, channels = x.shape
        # Frames in one row each: dense layers on three axes become a dozen operations in LiteRT, on two one.
        x = ops.reshape(x, (-1, channels))  # (batch · frames, channels)
        if self.norm_first:
            x = x + self._attention(self.attention_norm(x), frames, bias)
            x = x + self._dense(self.dense_norm(x))
        else:
            x = self.attention_norm(x + self._attention(x, frames, bias))
            x = self.dense_norm(x + self._dense(x))
        return ops.reshape(x, (-1, frames, channels))  # (batch, frames, channels)

    def _attention(self, x, frames, bias):
        channels = x.shape[-1]
        width = channels // self.heads

        def split(each):
            each = ops.reshape(each, (-1, frames, self.heads, width))  # (batch, frames, heads, width)
            return ops.transpose(each, (0, 2, 1, 3))  # (batch, heads, frames, width)

        queries, keys, values = (split(layer(x)) for layer in (self.query, self.key, self.value))
        scores = ops.matmul(queries * width**-0.5, ops.transpose(keys, (0, 1, 3, 2)))  # (batch, heads, frames, frames)
        scores = ops.cast(scores, "float32")
        if bias is not None:
            gate = ops.transpose(ops.reshape(self.gate(x), (-1, frames, self.heads, 1)), (0, 2, 1, 3))
            scores = scores + gate * bias
        attention = ops.cast(ops.softmax(scores, axis=-1), self.compute_dtype)
        mixed = ops.transpose(ops.matmul(attention, values), (0, 2, 1, 3))  # (batch, frames, heads, width)
        return ops.cast(self.output_dense(ops.reshape(mixed, (-1, channels))), "float32")  # (batch · frames, channels)

    def _dense(self, x):
        return ops.cast(self.narrow(gelu(self.widen(x))), "float32")  # (batch · frames, channels)

    def compute_output_shape(self, input_shape, bias_shape=None):
        return input_shape

    def named_weights(self, names: dict[str, str]) -> dict[str, Weight]:
        """Weights by their published names, made of those of the parts."""
        dense = {
            **{"query": self.query, "key": self.key, "value": self.value},
            **{"output": self.output_dense, "widen": self.widen, "narrow": self.narrow},
        }
        norms = {"attention_norm": self.attention_norm, "dense_norm": self.dense_norm}
        named = {}
        for part, layer in dense.items():
            named |= weights.dense(names[part], layer)
        for part, layer in norms.items():
            named |= weights.norm(names[part], layer)
        return named | (self.gate.named_weights(names["attention"]) if self.gated else {})

    def get_config(self):
        own = ("heads", "hidden", "norm_first", "key_bias", "epsilon", "gated")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
