"""Settings of the project: one frozen dataclass per concern, and the presets that fill them.

Command-line flags, ``--help`` and the parameters logged to MLflow are generated from the fields below (see ``cli``), so
a setting is typed once. Later sources override earlier ones: field default, preset, ``--config`` file, command line.
"""

from pipeline.config.names import (
    BONAFIDE,
    CORPORA,
    EXPERIMENT,
    FUSION,
    MODEL_HELP,
    ON_WAVEFORMS,
    PROJECT_ROOT,
    REGISTERED_MODEL,
    SAMPLE_RATE_HZ,
    SPOOF,
    artifacts_dir,
)
from pipeline.config.sections import (
    AudioConfig,
    AugmentConfig,
    CorpusConfig,
    EncoderConfig,
    FrontEndConfig,
    HostAugmentConfig,
    ModelConfig,
    TrainConfig,
    WindowConfig,
    option,
)
from pipeline.config.settings import (
    PRESETS,
    SECTIONS,
    Config,
    fingerprint,
    preset,
)

__all__ = [
    "BONAFIDE",
    "CORPORA",
    "EXPERIMENT",
    "FUSION",
    "MODEL_HELP",
    "ON_WAVEFORMS",
    "PRESETS",
    "PROJECT_ROOT",
    "REGISTERED_MODEL",
    "SAMPLE_RATE_HZ",
    "SECTIONS",
    "SPOOF",
    "AudioConfig",
    "AugmentConfig",
    "Config",
    "CorpusConfig",
    "EncoderConfig",
    "FrontEndConfig",
    "HostAugmentConfig",
    "ModelConfig",
    "TrainConfig",
    "WindowConfig",
    "artifacts_dir",
    "fingerprint",
    "option",
    "preset",
]
