"""Settings of an encoder that its layer needs, read from ``config.json`` as Hugging Face writes it.

Options of pretraining (dropout, LayerDrop, masks) are left out. A value that the layers do not compute is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.errors import EncoderError


@dataclass(frozen=True)
class WhisperSettings:
    """Encoder of a Whisper model (Radford et al. 2022, arXiv:2212.04356)."""

    channels: int
    heads: int
    hidden: int
    blocks: int
    bands: int
    positions: int

    @classmethod
    def read(cls, config: Mapping, preprocessor: Mapping) -> "WhisperSettings":
        """Settings of ``config.json``; raises ``EncoderError`` for a missing one and for what is not computed here."""
        _only(config, activation_function=("gelu",))
        return cls(
            channels=_number(config, "d_model"),
            heads=_number(config, "encoder_attention_heads"),
            hidden=_number(config, "encoder_ffn_dim"),
            blocks=_number(config, "encoder_layers"),
            bands=_number(config, "num_mel_bins", 80),
            positions=_number(config, "max_source_positions", 1500),
        )


@dataclass(frozen=True)
class Wav2Vec2Settings:
    """Encoder of wav2vec 2.0 (arXiv:2006.11477), XLS-R (2111.09296), HuBERT (2106.07447) or WavLM (2110.13900).

    ``normalised``: the waveform to zero mean and unit variance. ``convolutions``: channels, kernel and stride of each.
    ``every_norm``: layer normalisation after each convolution, else group normalisation after the first.
    ``norm_first``: normalisation before attention and dense layers (stable), else after them. ``buckets``: distances
    of WavLM's position bias, up to ``farthest`` frames; 0: no bias.
    """

    channels: int
    heads: int
    hidden: int
    blocks: int
    convolutions: tuple[tuple[int, int, int], ...]
    convolution_bias: bool
    every_norm: bool
    normalised: bool
    projection_norm: bool
    position_kernel: int
    position_groups: int
    norm_first: bool
    epsilon: float
    buckets: int
    farthest: int

    def __post_init__(self):
        # A configuration saved as JSON has lists.
        object.__setattr__(self, "convolutions", tuple(map(tuple, self.convolutions)))

    @classmethod
    def read(cls, config: Mapping, preprocessor: Mapping) -> "Wav2Vec2Settings":
        """Settings of ``config.json`` and ``preprocessor_config.json``; raises ``EncoderError`` as Whisper's do."""
        _only(
            config,
            hidden_act=("gelu",),
            feat_extract_activation=("gelu",),
            feat_extract_norm=("group", "layer"),
            conv_pos_batch_norm=(False,),
        )
        channels, kernels, strides = (
            _numbers(config, name, default)
            for name, default in (
                ("conv_dim", (512,) * 7),
                ("conv_kernel", (10, 3, 3, 3, 3, 2, 2)),
                ("conv_stride", (5, 2, 2, 2, 2, 2, 2)),
            )
        )
        if not len(channels) == len(kernels) == len(strides):
            raise EncoderError(
                f"conv_dim, conv_kernel and conv_stride have {len(channels)}, {len(kernels)} and {len(strides)} "
                "numbers: they must have one for each convolution"
            )
        every_norm = config.get("feat_extract_norm", "group") == "layer"
        wavlm = config["model_type"] == "wavlm"
        return cls(
            channels=_number(config, "hidden_size", 768),
            heads=_number(config, "num_attention_heads", 12),
            hidden=_number(config, "intermediate_size", 3072),
            blocks=_number(config, "num_hidden_layers", 12),
            convolutions=tuple(zip(channels, kernels, strides, strict=True)),
            convolution_bias=bool(config.get("conv_bias", False)),
            every_norm=every_norm,
            normalised=bool(preprocessor.get("do_normalize", every_norm)),
            projection_norm=bool(config.get("feat_proj_layer_norm", True)),
            position_kernel=_number(config, "num_conv_pos_embeddings", 128),
            position_groups=_number(config, "num_conv_pos_embedding_groups", 16),
            norm_first=bool(config.get("do_stable_layer_norm", False)),
            epsilon=_epsilon(config),
            buckets=_number(config, "num_buckets", 320) if wavlm else 0,
            farthest=_number(config, "max_bucket_distance", 800) if wavlm else 0,
        )


FAMILIES = {
    "whisper": ("whisper", WhisperSettings),
    "wav2vec2": ("wav2vec2", Wav2Vec2Settings),
    "hubert": ("wav2vec2", Wav2Vec2Settings),
    "wavlm": ("wav2vec2", Wav2Vec2Settings),
}
"""``model_type`` of config.json to the family, which is the name of the backbone, and its settings."""


def _number(config: Mapping, name: str, default: int | None = None) -> int:
    value = config.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise EncoderError(f"{name} is {value!r}: it must be a whole number, 1 or more")
    return value


def _numbers(config: Mapping, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    values = config.get(name, default)
    if not isinstance(values, list | tuple) or not all(isinstance(value, int) and value > 0 for value in values):
        raise EncoderError(f"{name} is {values!r}: it must be a list of whole numbers, 1 or more")
    return tuple(values)


def _epsilon(config: Mapping) -> float:
    value = config.get("layer_norm_eps", 1e-5)
    if not isinstance(value, float | int) or not value > 0:
        raise EncoderError(f"layer_norm_eps is {value!r}: it must be a number above 0")
    return float(value)


def _only(config: Mapping, **allowed: tuple) -> None:
    """Refuse values that the layers do not compute; the first allowed one stands for a missing one."""
    for name, values in allowed.items():
        if config.get(name, values[0]) not in values:
            known = " and ".join(repr(value) for value in values)
            raise EncoderError(f"{name} is {config[name]!r}: only {known} can be used")
