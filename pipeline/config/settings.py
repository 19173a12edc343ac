"""The whole configuration, and the presets that fill it."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field

from pipeline.config.names import ENCODERS, FUSION
from pipeline.config.sections import (
    AudioConfig,
    AugmentConfig,
    CorpusConfig,
    DecisionConfig,
    DeviceConfig,
    EncoderConfig,
    FrontEndConfig,
    GuardConfig,
    HostAugmentConfig,
    ModelConfig,
    TrainConfig,
    WindowConfig,
)
from pipeline.errors import ConfigError

FORMER_WINDOWS = {"all": "overlapping", "apart": "consecutive"}
"""Former names of the values of ``windows``."""


@dataclass(frozen=True)
class Config:
    """All settings of a run; passed whole and logged whole."""

    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    audio: AudioConfig = field(default_factory=AudioConfig)
    front_end: FrontEndConfig = field(default_factory=FrontEndConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    host: HostAugmentConfig = field(default_factory=HostAugmentConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    window: WindowConfig = field(default_factory=WindowConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    guard: GuardConfig = field(default_factory=GuardConfig)
    device: DeviceConfig = field(default_factory=DeviceConfig)
    decision: DecisionConfig = field(default_factory=DecisionConfig)
    preset: str = "default"

    @property
    def has_encoder(self) -> bool:
        """Whether the backbone is a pretrained encoder."""
        return self.model.backbone in ENCODERS

    def flat(self) -> dict[str, object]:
        """Option name to value over all sections, and the name of the preset."""
        values: dict[str, object] = {"preset": self.preset}
        for section in SECTIONS:
            values |= dataclasses.asdict(getattr(self, section))
        return values

    def shown(self) -> dict[str, object]:
        """``flat`` without options that say nothing of the model: those of a weighted sum's members are their own."""
        if self.model.backbone != FUSION:
            return self.flat()
        sections = self.corpus, self.audio, self.window, self.decision
        common = {name: value for section in sections for name, value in dataclasses.asdict(section).items()}
        return {"preset": self.preset, "backbone": FUSION, **common}

    @classmethod
    def saved(cls, values: dict[str, object]) -> "Config":
        """Configuration that ``flat`` gave, perhaps in an earlier version; unknown names raise ``ConfigError``."""
        options = dict(values)
        if options.get("windows") in FORMER_WINDOWS:
            options["windows"] = FORMER_WINDOWS[options["windows"]]
        return cls(preset=options.pop("preset")).replace(**options)

    def replace(self, **values: object) -> "Config":
        """Copy with options changed by their flat names; unknown names raise ``ConfigError``."""
        owners = {f.name: name for name, cls in SECTIONS.items() for f in dataclasses.fields(cls)}
        changed: dict[str, dict] = {}
        for name, value in values.items():
            if name not in owners:
                raise ConfigError(f"unknown option {name!r}; known: {', '.join(sorted(owners))}")
            changed.setdefault(owners[name], {})[name] = value
        sections = {name: dataclasses.replace(getattr(self, name), **fields) for name, fields in changed.items()}
        return dataclasses.replace(self, **sections)


SECTIONS: dict[str, type] = {f.name: f.type for f in dataclasses.fields(Config) if f.name != "preset"}
"""Section name to its class."""

_UNCHANGED = {"augment_strength": 0.0, "pseudo_spoofs": 0.0}
_LOGSPEC = {"front_end": "logspec", "stages": 4}
_WHISPER = {"backbone": "whisper", "encoder_layers": 3, "clip_s": 2.0, "windows": "spread", "variants": 3}
_NOTEBOOK_INPUT = {"n_fft": 2048, "hop_samples": 512, "n_mels": 128, "fmin_hz": 0.0, "normalisation": "peak"}
_NOTEBOOK_WINDOW = {"clip_s": 1.0, "crop": "first", "pad": "zero", "windows": "first"}
_NOTEBOOK_NETWORK = {"batch_norm_momentum": 0.99, "rescale_input": True}
_NOTEBOOK_FIT = {"balance": False, "epochs": 10, "schedule": "constant", "keep": "last"}
_SMOKE_INPUT = {"corpus": "synthetic", "clip_s": 0.5, "n_mels": 32, "hop_samples": 240}

PRESETS: dict[str, dict[str, object]] = {
    "default": {},
    "logspec": _LOGSPEC,
    "demo": {**_LOGSPEC, "clip_s": 2.0, "batch_size": 8, "epochs": 6},
    "demo-lcnn": {**_LOGSPEC, "backbone": "lcnn", "clip_s": 1.0, "batch_size": 8, "epochs": 38},
    "smoke": {**_SMOKE_INPUT, **_UNCHANGED, "stages": 4, "dense_units": 16, "batch_size": 16, "epochs": 2},
    "gmm": {**_LOGSPEC, "backbone": "gmm", "front_end": "lfcc", **_UNCHANGED, "epochs": 10, "keep": "last"},
    "notebook": {**_NOTEBOOK_INPUT, **_NOTEBOOK_WINDOW, **_NOTEBOOK_NETWORK, **_NOTEBOOK_FIT, **_UNCHANGED},
    "demo-whisper": {**_WHISPER, "init": "pretrained:/whisper", "epochs": 30},
    "pretrained": {
        **_WHISPER,
        "corpus": "voices,demo",
        "balance": "corpus,label",
        "feature_noise": 0.3,
        "batch_size": 64,
        "epochs": 40,
    },
}
"""Options that differ from the field defaults, by preset.

``default`` is the published design: log-mel spectrogram and the whole of EfficientNetB0. The others deviate from it:
``logspec`` has linear bands and four stages, which learn more from hundreds of clips; ``demo`` and ``demo-lcnn`` learn
the demo corpus from random weights, ``demo-whisper`` from the model that comes with the project, whose own recipe is
``pretrained``, both in spread windows, which cost less; ``gmm`` is the classical baseline; ``smoke`` is for tests.
``notebook`` is the yardstick: network, features and training of the original notebook, on the same Store and subsets
as any other run.
"""


def preset(name: str) -> Config:
    """Configuration of a preset."""
    if name not in PRESETS:
        raise ConfigError(f"unknown preset {name!r}; choose one of {', '.join(PRESETS)}")
    return Config(preset=name).replace(**PRESETS[name])


def fingerprint(*values: object) -> str:
    """Twelve hexadecimal digits that change with any of the JSON-able values (or dataclasses)."""
    plain = [dataclasses.asdict(v) if dataclasses.is_dataclass(v) else v for v in values]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:12]
