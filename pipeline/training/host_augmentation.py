"""Augmentation of training clips on the host: own rooms and noises, then a real codec.

It does what layers on the device cannot: real encoders, real recordings. What a clip gets is a function of the seed,
the epoch and its place in the epoch alone, so a training resumed after a kill sees the batches it would have seen.
Only batches of an epoch pass through it: neither dev nor eval does.
"""

import dataclasses
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from pipeline.audio import codecs, mixing
from pipeline.audio.codecs import Codec
from pipeline.common import parallel
from pipeline.config import Config, HostAugmentConfig
from pipeline.errors import AudioError, ConfigError
from pipeline.training import own_recordings
from pipeline.training.batches import Change
from pipeline.training.own_recordings import OwnRecordings

SNR_DB = (0.0, 20.0)
CODECS: Mapping[str, tuple[Codec, ...]] = {
    # The fastest settings of the encoders. Without its bit reservoir every frame of MP3 decodes by itself.
    "MP3": tuple(
        Codec("libmp3lame", "mp3", 1000 * rate, options={"reservoir": "0", "compression_level": "9"})
        for rate in (16, 24, 32, 48, 64)
    ),
    "Opus": tuple(
        Codec("libopus", "ogg", 1000 * rate, options={"compression_level": "0"}) for rate in (8, 12, 16, 24, 32)
    ),
    "AMR": tuple(
        Codec("libopencore_amrnb", "amr", rate, 8000) for rate in (4750, 5900, 6700, 7400, 7950, 10200, 12200)
    ),
    "µ-law": (Codec("pcm_mulaw", "wav", rate_hz=8000),),
    "A-law": (Codec("pcm_alaw", "wav", rate_hz=8000),),
}
"""Codecs that are drawn evenly, and the bit rates of each. AMR is the narrow band of telephones, as is G.711."""


def content(settings: HostAugmentConfig) -> HostAugmentConfig:
    """Settings with the content of their folders, by names and sizes of the files, in place of their paths."""
    folders = {name: own_recordings.digest(getattr(settings, name), name) for name in ("noise_dir", "rir_dir")}
    return dataclasses.replace(settings, **folders)


class HostAugmentation:
    """Rooms, noises and codecs of a configuration; ``None`` in place of a folder that is not given."""

    def __init__(self, settings: HostAugmentConfig):
        for name in ("augment_codec", "noise_share", "rir_share"):
            if not 0 <= (share := getattr(settings, name)) <= 1:
                raise ConfigError(f"--{name} {share:g}: expected 0 to 1")
        self.settings = settings
        self._pool = ThreadPoolExecutor(parallel.cores())
        folders = {"noise_dir": own_recordings.noise, "rir_dir": own_recordings.response}
        self.noises, self.responses = (
            OwnRecordings(folder, option, check) if (folder := getattr(settings, option)) else None
            for option, check in folders.items()
        )

    @classmethod
    def of(cls, config: Config) -> "HostAugmentation | None":
        """Augmentation of a configuration, ``None`` if it has none; raises ``ConfigError`` for folders of no use."""
        made = cls(config.host)
        return made if made.noises or made.responses or config.host.augment_codec else None

    def of_epoch(self, seed: int, epoch: int, start: int = 0) -> Change:
        """Return the function that augments the batches of an epoch from its clip ``start`` on, on all cores."""

        def change(waves: np.ndarray, first: int) -> np.ndarray:
            rngs = [np.random.default_rng([seed, epoch, start + first + place]) for place in range(len(waves))]
            return np.stack(list(self._pool.map(self.clip, waves, rngs)))

        return change

    def clip(self, wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Augment one clip ``[samples]`` float32 in −1…1; the same generator gives the same clip."""
        if not wave.any():
            return wave
        settings = self.settings
        if self.responses and rng.random() < settings.rir_share:
            wave = mixing.in_room(wave, self.responses.draw(rng))
        if self.noises and rng.random() < settings.noise_share:
            noise = self.noises.draw(rng)
            noise = np.resize(noise[rng.integers(max(len(noise) - len(wave), 0) + 1) :], len(wave))
            wave = mixing.mixed(wave, noise, rng.uniform(*SNR_DB))
        if rng.random() < settings.augment_codec:
            name = list(CODECS)[rng.integers(len(CODECS))]
            wave = coded(wave, CODECS[name][rng.integers(len(CODECS[name]))])
        return wave


def coded(wave: np.ndarray, codec: Codec) -> np.ndarray:
    """Waveform after a codec, of the same length; as it is if the codec leaves nothing of it."""
    try:
        found = codecs.through(wave, codec)[: len(wave)]
    except AudioError:
        return wave
    return np.pad(found, (0, len(wave) - len(found)))
