"""Encoder of wav2vec 2.0, XLS-R, HuBERT and WavLM as a Keras layer; papers: ``Wav2Vec2Settings``."""

import keras
import numpy as np
from keras import layers, ops

from pipeline.errors import ConfigError
from pipeline.network.encoders import weights
from pipeline.network.encoders.grouped_convolution import GroupedConvolution
from pipeline.network.encoders.position_bias import RelativePositions
from pipeline.network.encoders.settings import Wav2Vec2Settings
from pipeline.network.encoders.speech_encoder import SpeechEncoder
from pipeline.network.encoders.transformer import TransformerBlock, gelu
from pipeline.network.encoders.weights import Weight

NAMES = {
    **{"query": "attention.q_proj", "key": "attention.k_proj", "value": "attention.v_proj"},
    **{"output": "attention.out_proj", "attention": "attention"},
    **{"widen": "feed_forward.intermediate_dense", "narrow": "feed_forward.output_dense"},
    **{"attention_norm": "layer_norm", "dense_norm": "final_layer_norm"},
}
"""Part of a block to its published name."""
POSITION = "encoder.pos_conv_embed.conv"
LENGTH_AND_DIRECTION = (
    ("weight_g", "weight_v"),
    ("parametrizations.weight.original0", "parametrizations.weight.original1"),
)
"""Names of the two tensors of the weight normalisation, in older and in newer PyTorch."""
POSITION_TABLE = "encoder.layers.0.attention.rel_attn_embed.weight"


@keras.saving.register_keras_serializable(package="spoof")
class Wav2Vec2Encoder(SpeechEncoder):
    """Convolutions on the waveform, projection, convolutional positions, and blocks; one frame per 20 ms.

    If all blocks are kept and they normalise first, the last state is normalised too.
    """

    SETTINGS = Wav2Vec2Settings
    PREFIXES = ("wav2vec2.", "hubert.", "wavlm.", "")
    OTHERS = (
        *("quantizer.", "project_hid.", "project_q.", "lm_head.", "projector.", "classifier.", "layer_weights"),
        *("label_embeddings_concat", "final_proj.", "feature_extractor_head."),
    )
    BLOCKS, LAST_NORM, UNUSED = "encoder.layers.", "encoder.layer_norm.", ("masked_spec_embed", "adapter.")

    def build(self, input_shape):
        wide, frames = self.settings, self.frames(input_shape[1])

        def norm(name: str, channels: int, epsilon: float = wide.epsilon) -> layers.LayerNormalization:
            layer = layers.LayerNormalization(epsilon=epsilon, name=name, dtype="float32")
            layer.build((None, None, channels))
            return layer

        self.convolutions, self.convolution_norms = [], []
        inputs = 1
        for number, (channels, kernel, stride) in enumerate(wide.convolutions):
            convolution = layers.Conv1D(
                channels,
                kernel,
                strides=stride,
                use_bias=wide.convolution_bias,
                name=f"convolution_{number}",
                dtype=self.dtype_policy,
            )
            convolution.build((None, None, inputs))
            self.convolutions.append(convolution)
            if wide.every_norm:
                self.convolution_norms.append(norm(f"convolution_norm_{number}", channels, 1e-5))
            inputs = channels
        if not wide.every_norm:
            channels = wide.convolutions[0][0]
            # Each channel is a group: normalised over time.
            group = layers.GroupNormalization(groups=-1, epsilon=1e-5, name="convolution_norm_0", dtype="float32")
            group.build((None, None, channels))
            self.convolution_norms.append(group)
        self.projection_norm = norm("projection_norm", inputs) if wide.projection_norm else None
        self.projection = layers.Dense(wide.channels, name="projection", dtype=self.dtype_policy)
        self.projection.build((None, inputs))
        self.position = GroupedConvolution(
            kernel_size=wide.position_kernel, groups=wide.position_groups, name="position", dtype=self.dtype_policy
        )
        self.position.build((None, frames, wide.channels))
        self.positions = None
        if wide.buckets:
            self.positions = RelativePositions(
                heads=wide.heads, buckets=wide.buckets, farthest=wide.farthest, name="positions"
            )
            self.positions.build()
        self.blocks = [
            TransformerBlock(
                heads=wide.heads,
                hidden=wide.hidden,
                norm_first=wide.norm_first,
                key_bias=True,
                epsilon=wide.epsilon,
                gated=bool(wide.buckets),
                name=f"block_{number}",
                dtype=self.dtype_policy,
            )
            for number in range(self.kept)
        ]
        for block in self.blocks:
            block.build((None, frames, wide.channels))
        self.norm = norm("norm", wide.channels) if self._has_norm else None
        self.train_part(self.train)

    @property
    def _has_norm(self) -> bool:
        """Whether the encoder's own normalisation is used: before the blocks, or after the last of all."""
        return self.is_whole or not self.settings.norm_first

    def frames(self, samples: int) -> int:
        frames = samples
        for _, kernel, stride in self.settings.convolutions:
            frames = (frames - kernel) // stride + 1
        if frames < 1:
            raise ConfigError(f"--clip_s: {samples} samples are too few for a frame of this encoder: raise it")
        return frames

    def states(self, waveform) -> list:
        x = waveform
        if self.settings.normalised:
            mean, variance = ops.moments(x, axes=1, keepdims=True)  # (batch, 1) each
            x = (x - mean) / ops.sqrt(variance + 1e-7)
        x = x[..., None]  # (batch, samples, 1)
        for number, convolution in enumerate(self.convolutions):
            x = convolution(x)
            if number < len(self.convolution_norms):
                x = ops.cast(self.convolution_norms[number](x), self.compute_dtype)
            x = gelu(x)
        if self.projection_norm is not None:
            x = self.projection_norm(x)
        frames, inputs = x.shape[1:]
        x = self.projection(ops.reshape(x, (-1, inputs)))  # (batch · frames, channels), as in the blocks
        x = ops.reshape(x, (-1, frames, self.settings.channels))  # (batch, frames, channels)
        x = ops.cast(x, "float32") + ops.cast(gelu(self.position(x)), "float32")
        if not self.settings.norm_first:
            x = self.norm(x)
        bias = None if self.positions is None else self.positions.bias(x.shape[1])
        states = [x]
        for block in self.blocks:
            states.append(block(states[-1], bias))
        if self.settings.norm_first and self.norm is not None:
            states[-1] = self.norm(states[-1])
        return states

    def named_weights(self) -> dict[str, Weight]:
        named = {}
        for number, layer in enumerate(self.convolutions):
            named |= weights.convolution(f"feature_extractor.conv_layers.{number}.conv", layer)
        for number, layer in enumerate(self.convolution_norms):
            named |= weights.norm(f"feature_extractor.conv_layers.{number}.layer_norm", layer)
        if self.projection_norm is not None:
            named |= weights.norm("feature_projection.layer_norm", self.projection_norm)
        named |= weights.dense("feature_projection.projection", self.projection)
        named |= weights.convolution(POSITION, self.position)
        if self.positions is not None:
            named[POSITION_TABLE] = Weight(self.positions.table)
        for number, block in enumerate(self.blocks):
            named |= block.named_weights({part: f"encoder.layers.{number}.{name}" for part, name in NAMES.items()})
        return named | (weights.norm("encoder.layer_norm", self.norm) if self.norm is not None else {})

    def merged(self, readers: dict) -> dict:
        """Readers of tensors, length and direction of the positional filters (weight normalisation) merged."""
        readers = dict(readers)
        for length, direction in LENGTH_AND_DIRECTION:
            names = [f"{POSITION}.{length}", f"{POSITION}.{direction}"]
            if all(name in readers for name in names):
                g, v = (readers.pop(name) for name in names)
                readers[f"{POSITION}.weight"] = lambda g=g, v=v: _with_length(g(), v())
        return readers


def _with_length(length: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Filters ``[channels, channels / groups, frames]``, whose norm over all but the last axis is ``length``."""
    norm = np.sqrt(np.sum(np.square(direction), axis=(0, 1), keepdims=True, dtype="float64"))  # (1, 1, frames)
    return (direction * (length / norm)).astype("float32")
