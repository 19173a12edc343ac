"""Augmentation: Keras layers that change the clips of both classes in training and do nothing at inference.

They sit inside the model, before and after the front end, so they run on the device, draw anew for every clip of every
batch, and are serialised with the network. One strength in 0…1 controls all of them; 0 is the identity.
"""

import keras

from pipeline.config import AugmentConfig
from pipeline.errors import ConfigError
from pipeline.network.augmentation.layer import Augmentation
from pipeline.network.augmentation.spectrogram import Masks, PitchShift, TimeStretch
from pipeline.network.augmentation.waveform import Companding, Equaliser, Level, Noise, RawBoost, Reverb

WAVEFORM = {
    "rawboost": RawBoost,
    "reverb": Reverb,
    "equaliser": Equaliser,
    "noise": Noise,
    "companding": Companding,
    "level": Level,
}
"""Parts on waveforms in the order of their use: source and room, recorder, line."""
POWER = {"pitch": PitchShift, "stretch": TimeStretch}
SPECTROGRAM = {"masks": Masks}


def strength_of(config: AugmentConfig, part: str) -> float:
    """Strength of a part, -1 standing for ``augment_strength``; raises ``ConfigError`` outside 0…1."""
    own, common = getattr(config, f"augment_{part}"), config.augment_strength
    for name, value, least in ((f"augment_{part}", own, "-1, or 0"), ("augment_strength", common, "0")):
        if not (0 <= value <= 1 or (value == -1 and name != "augment_strength")):
            raise ConfigError(f"--{name} {value:g}: expected {least} to 1")
    return common if own == -1 else own


def waveform(x: keras.KerasTensor, config: AugmentConfig) -> keras.KerasTensor:
    """Apply the parts that act on waveforms ``[batch, samples]``."""
    return _chain(x, config, WAVEFORM)


def power(x: keras.KerasTensor, config: AugmentConfig, *, bins_per_octave: int = 0) -> keras.KerasTensor:
    """Apply the parts that act on power ``[batch, frames, bins]``; ``bins_per_octave``: see ``PitchShift``."""
    return _chain(x, config, POWER, pitch={"bins_per_octave": bins_per_octave})


def spectrogram(x: keras.KerasTensor, config: AugmentConfig) -> keras.KerasTensor:
    """Apply the parts that act on the normalised spectrogram, ``[batch, frames, bands]``."""
    return _chain(x, config, SPECTROGRAM)


def _chain(
    x: keras.KerasTensor, config: AugmentConfig, parts: dict[str, type[Augmentation]], **settings: dict
) -> keras.KerasTensor:
    for name, part in parts.items():
        if strength := strength_of(config, name):
            x = part(strength=strength, name=f"augment_{name}", **settings.get(name, {}))(x)
    return x
