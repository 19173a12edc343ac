"""Encoder of a model folder, as a source of weights like the folder of a publisher."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pipeline.errors import ConfigError
from pipeline.network.encoders.speech_encoder import SpeechEncoder
from pipeline.scoring import model_folders
from pipeline.scoring.model_folders import ModelFolder


@dataclass(frozen=True)
class TrainedEncoder:
    """Encoder in the network of a model folder."""

    model: ModelFolder

    @classmethod
    def read(cls, path: Path) -> "TrainedEncoder":
        """Read a model folder; raises ``ConfigError`` if its network has no encoder, or none that can be read."""
        model = ModelFolder.load(path)
        if not model.config.has_encoder or model_folders.KERAS not in model.sha256:
            raise ConfigError(
                f"--encoder {path}: this model folder has no encoder to start from (its backbone is "
                f"{model.config.model.backbone}); give the folder of an encoder, or another model folder"
            )
        return cls(model)

    @property
    def path(self) -> Path:
        """The model folder."""
        return self.model.folder

    @property
    def family(self) -> str:
        """Backbone that the encoder is."""
        return self.model.config.model.backbone

    @property
    def settings(self) -> dict[str, object]:
        """Settings of the encoder's layer."""
        return self._layer.get_config()["settings"]

    @property
    def kept(self) -> int:
        """Blocks that the model kept, the first ones."""
        return self._layer.kept

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits of the model's weights."""
        return self.model.sha256[model_folders.KERAS][:12]

    def tensors(self) -> "Tensors":
        """Tensors of the encoder by their published names."""
        return Tensors(self._layer)

    @cached_property
    def _layer(self) -> SpeechEncoder:
        from pipeline.network import networks

        return networks.load(self.model.keras).get_layer(networks.ENCODER)


class Tensors(Mapping[str, np.ndarray]):
    """Weights of an encoder's layer by their published names and in their published layouts, float32."""

    def __init__(self, layer: SpeechEncoder):
        self._weights = {f"{layer.PREFIXES[0]}{name}": weight for name, weight in layer.named_weights().items()}

    def __getitem__(self, name: str) -> np.ndarray:
        return self._weights[name].published()

    def __iter__(self) -> Iterator[str]:
        return iter(self._weights)

    def __len__(self) -> int:
        return len(self._weights)
