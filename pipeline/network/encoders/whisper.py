"""Encoder of Whisper (Radford et al. 2022, arXiv:2212.04356) as a Keras layer, tiny to large.

A window is not padded to Whisper's 30 s: the first positions are used, so the cost is that of the window.
"""

import keras
from keras import layers, ops

from pipeline.config import SAMPLE_RATE_HZ
from pipeline.errors import ConfigError
from pipeline.network.encoders import weights
from pipeline.network.encoders.log_mel import HOP_SAMPLES, N_FFT, WhisperLogMel
from pipeline.network.encoders.settings import WhisperSettings
from pipeline.network.encoders.speech_encoder import SpeechEncoder
from pipeline.network.encoders.transformer import TransformerBlock, gelu
from pipeline.network.encoders.weights import Weight

NAMES = {
    **{"query": "self_attn.q_proj", "key": "self_attn.k_proj", "value": "self_attn.v_proj"},
    **{"output": "self_attn.out_proj", "widen": "fc1", "narrow": "fc2"},
    **{"attention_norm": "self_attn_layer_norm", "dense_norm": "final_layer_norm"},
}
"""Part of a block to its published name."""


@keras.saving.register_keras_serializable(package="spoof")
class WhisperEncoder(SpeechEncoder):
    """Log-mel spectrogram, two convolutions, positions, and blocks; one frame per 20 ms.

    If all blocks are kept, the last state is normalised, as Whisper's decoder sees it.
    """

    SETTINGS = WhisperSettings
    PREFIXES = ("model.encoder.", "encoder.", "")
    OTHERS = ("model.decoder.", "decoder.", "proj_out.")
    BLOCKS, LAST_NORM, UNUSED = "layers.", "layer_norm.", ()

    def build(self, input_shape):
        wide, frames = self.settings, self.frames(input_shape[1])
        self.log_mel = WhisperLogMel(bands=wide.bands, name="log_mel")
        self.log_mel.build(input_shape)
        self.first = layers.Conv1D(wide.channels, 3, name="first", dtype=self.dtype_policy)
        self.second = layers.Conv1D(wide.channels, 3, strides=2, name="second", dtype=self.dtype_policy)
        self.first.build((None, None, wide.bands))
        self.second.build((None, None, wide.channels))
        self.positions = self.add_weight(
            shape=(wide.positions, wide.channels), name="positions", dtype="float32", trainable=False
        )
        self.blocks = [
            TransformerBlock(
                heads=wide.heads,
                hidden=wide.hidden,
                norm_first=True,
                key_bias=False,
                epsilon=1e-5,
                name=f"block_{number}",
                dtype=self.dtype_policy,
            )
            for number in range(self.kept)
        ]
        for block in self.blocks:
            block.build((None, frames, wide.channels))
        self.last_norm = None
        if self.is_whole:
            self.last_norm = layers.LayerNormalization(epsilon=1e-5, name="last_norm", dtype="float32")
            self.last_norm.build((None, frames, wide.channels))
        self.train_part(self.train)

    def frames(self, samples: int) -> int:
        frames = (samples // HOP_SAMPLES + 1) // 2
        if frames > self.settings.positions:
            longest = self.settings.positions * 2 * HOP_SAMPLES / SAMPLE_RATE_HZ
            raise ConfigError(
                f"this Whisper takes windows up to {longest:g} s, got {samples / SAMPLE_RATE_HZ:g} s: lower --clip_s"
            )
        if samples <= N_FFT // 2:
            raise ConfigError(f"whisper needs {N_FFT // 2 + 1} samples at least, got {samples}: raise --clip_s")
        return frames

    def states(self, waveform) -> list:
        x = self.log_mel(waveform)  # (batch, 2 frames, bands)
        for convolution in (self.first, self.second):
            # Padded on both sides: Keras' own padding of an even length with stride 2 is on the right only.
            x = gelu(convolution(ops.pad(x, [[0, 0], [1, 1], [0, 0]])))
        x = ops.cast(x, "float32")  # (batch, frames, channels)
        states = [x + self.positions[: x.shape[1]]]
        for block in self.blocks:
            states.append(block(states[-1]))
        if self.last_norm is not None:
            states[-1] = self.last_norm(states[-1])
        return states

    def named_weights(self) -> dict[str, Weight]:
        named = weights.convolution("conv1", self.first) | weights.convolution("conv2", self.second)
        named["embed_positions.weight"] = Weight(self.positions)
        for number, block in enumerate(self.blocks):
            named |= block.named_weights({part: f"layers.{number}.{name}" for part, name in NAMES.items()})
        return named | (weights.norm("layer_norm", self.last_norm) if self.last_norm is not None else {})
