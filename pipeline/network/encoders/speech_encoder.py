"""Base of the encoders' layers: settings, weights of a folder, and the part that is trained."""

from collections.abc import Mapping
from functools import partial

import keras
import numpy as np
from keras import ops

from pipeline.errors import ConfigError, EncoderError
from pipeline.network.encoders import weights
from pipeline.network.encoders.weights import Weight


class SpeechEncoder(keras.Layer):
    """Waveform ``[batch, samples]`` float32 in −1…1 to states ``[batch, layers + 1, frames, channels]`` float32.

    The states are the input of the first block and the output of each block kept, Hugging Face's ``hidden_states``.
    Blocks beyond ``layers`` are never built. A subclass names its class of settings and the published prefixes, makes
    the parts in ``build`` and computes in ``states``.

    Parameters
    ----------
    settings : values of the class of settings, by name.
    layers : blocks to keep, the first ones.
    train : part to train: ``none``, ``top:N`` (the last N blocks kept) or ``all``.
    """

    SETTINGS: type
    PREFIXES: tuple[str, ...]
    """Prefixes of the encoder's tensors, the first that is found holds; "" goes last."""
    OTHERS: tuple[str, ...]
    """Beginnings of the names of tensors that belong to no encoder: decoders, and heads of pretraining."""

    def __init__(self, *, settings: Mapping[str, object], layers: int, train: str = "none", **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.settings = self.SETTINGS(**settings)
        self.kept, self.train = layers, train
        if not 1 <= layers <= self.settings.blocks:
            raise ConfigError(f"--encoder_layers {layers}: this encoder has 1 to {self.settings.blocks}")
        trained_blocks(train, layers)
        self.blocks: list[keras.Layer] = []

    def call(self, waveform):
        return ops.stack(self.states(ops.cast(waveform, "float32")), axis=1)  # (batch, layers + 1, frames, channels)

    def states(self, waveform) -> list:
        """Input of the first block and output of each block kept, ``[batch, frames, channels]`` each."""
        raise NotImplementedError

    def frames(self, samples: int) -> int:
        """Frames of a waveform; raises ``ConfigError`` for a length that the encoder cannot take."""
        raise NotImplementedError

    def named_weights(self) -> dict[str, Weight]:
        """Weights by their published names without prefix."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.kept + 1, self.frames(input_shape[1]), self.settings.channels)

    @property
    def is_whole(self) -> bool:
        """Whether all blocks are kept."""
        return self.kept == self.settings.blocks

    def load(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Assign published tensors to the built layer; raises ``EncoderError`` for a missing, unknown or misshapen one.

        Tensors of decoders, of pretraining's heads and of blocks that are not kept are left alone.
        """
        prefix = next((p for p in self.PREFIXES if any(name.startswith(p) for name in tensors)), None)
        if prefix is None:
            raise EncoderError(f"no tensor begins with {' or '.join(self.PREFIXES)}: these are another model's weights")
        own = {name for name in tensors if name.startswith(prefix) and (prefix or not name.startswith(self.OTHERS))}
        readers = {name.removeprefix(prefix): partial(tensors.__getitem__, name) for name in own}
        readers = self.merged(readers)
        named = self.named_weights()
        foreign = {name for name in tensors if name not in own and not name.startswith(self.OTHERS)}
        extra = {name for name in readers.keys() - named.keys() if not self._is_left_out(name)}
        weights.assign(named, readers, foreign | extra)

    def merged(self, readers: dict) -> dict:
        """Readers of tensors by name, after those that belong to one variable are merged."""
        return readers

    def train_part(self, what: str) -> None:
        """Train ``none``, ``top:N`` (the last N blocks kept) or ``all``; raises ``ConfigError`` for anything else."""
        count = trained_blocks(what, self.kept)
        self.train = what
        self.trainable = what != "none"
        if count is not None:
            trained = {id(weight) for block in self.blocks[self.kept - count :] for weight in block.weights}
            for weight in self.trainable_weights:
                weight.trainable = id(weight) in trained

    def get_config(self):
        settings = {name: getattr(self.settings, name) for name in self.SETTINGS.__dataclass_fields__}
        return {**super().get_config(), "settings": settings, "layers": self.kept, "train": self.train}

    def _is_left_out(self, name: str) -> bool:
        """Whether a tensor without prefix belongs to the blocks that are not kept, or is of use in pretraining only."""
        dropped = [f"{self.BLOCKS}{number}." for number in range(self.kept, self.settings.blocks)]
        if not self.is_whole:
            dropped.append(self.LAST_NORM)
        return name.startswith((*dropped, *self.UNUSED))


def trained_blocks(what: str, layers: int) -> int | None:
    """Number N of ``top:N``, None for ``none`` and ``all``; raises ``ConfigError`` for anything else."""
    if what in ("none", "all"):
        return None
    kind, _, number = what.partition(":")
    if kind == "top" and number.isdecimal() and 1 <= int(number) <= layers:
        return int(number)
    raise ConfigError(
        f"--encoder_trainable {what!r}: give none, all, or top:N with N from 1 to {layers}, the layers kept"
    )
