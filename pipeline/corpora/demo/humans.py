"""Human recordings of the demo corpus: the voice and the language of each file."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import audio
from pipeline.config import SAMPLE_RATE_HZ, AudioConfig
from pipeline.corpora.demo import channel
from pipeline.errors import AudioError, AudioFault

SUFFIXES = (".ogg", ".wav", ".opus", ".g722")
ASTERISK_VOICES = {
    "en_US_f_Allison": ("en", "allison"),
    "es_MX_f_Allison": ("es", "allison"),
    "fr_CA_f_June": ("fr", "june"),
    "it_IT_m_Carlo": ("it", "carlo"),
    "ru_RU_f_IvrvoiceRU": ("ru", "ivrvoice"),
}
NOT_SPEECH = ("tone", "beep", "silence", "ascending", "conf-lock", "dial", "screaming", "monkeys", "weasels")
SHORTEST_S, LONGEST_S = 0.15, 4.5
MOST_FILES = 150
"""Limit on the recordings read per voice; 25 clips need fewer."""
SILENCE = 1e-3
"""Peak of a recording without speech."""


@dataclass(frozen=True)
class Voice:
    """One volunteer in one package and language; ``tag`` is the speaker's name in the corpus."""

    package: str
    language: str
    name: str

    @property
    def tag(self) -> str:
        return f"{self.package}_{self.language}_{self.name}"


@dataclass(frozen=True)
class Recording:
    """A trimmed recording of a voice: samples ``[samples]`` float32, and whether it has a telephone band."""

    voice: Voice
    source: str
    wave: np.ndarray
    narrow: bool


def files(tree: Path) -> dict[Voice, list[Path]]:
    """Sorted recordings of each voice in the unpacked packages."""
    share = tree / "usr" / "share"
    found: dict[Voice, list[Path]] = {}
    for package, folders in (("klettres", share / "klettres"), ("ktuberling", share / "ktuberling" / "sounds")):
        for folder in sorted(folders.iterdir()):
            _add(found, Voice(package, folder.name.replace("_", "-"), "0"), folder.rglob("*"))
    for folder, (language, name) in ASTERISK_VOICES.items():
        spoken = [
            path
            for path in (share / "asterisk" / "sounds" / folder).glob("*")
            if not any(word in path.stem for word in NOT_SPEECH)
        ]
        _add(found, Voice("asterisk", language, name), spoken)
    return found


def load(voice: Voice, paths: list[Path], seed: int, most: int = MOST_FILES) -> list[Recording]:
    """Decoded and trimmed recordings of a voice, at most ``most`` drawn by the seed.

    Unreadable ones and those without speech are left out.
    """
    rng = np.random.default_rng([seed, *voice.tag.encode()])
    chosen = [paths[i] for i in sorted(rng.permutation(len(paths))[:most])]
    recordings = []
    for path in chosen:
        try:
            wave = _decode(path)
        except AudioError:
            continue
        if np.abs(wave).max(initial=0) < SILENCE:
            continue
        wave = channel.trim(wave)
        if SHORTEST_S <= len(wave) / SAMPLE_RATE_HZ <= LONGEST_S:
            recordings.append(Recording(voice, path.name, wave, channel.is_narrow(wave)))
    return recordings


def _decode(path: Path) -> np.ndarray:
    """Samples at 16 kHz, ``[samples]`` float32; of a chained Ogg the first part, with any overshoot clipped.

    ``audio.decode`` reads such files whole or refuses them, and would change the corpus.
    """
    import soundfile

    if path.suffix == ".g722":
        return audio.decode(path, config=AudioConfig(min_s=0.1, max_s=60.0))
    try:
        wave, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioError(AudioFault.UNREADABLE, str(error)) from None
    mono = wave.mean(axis=1, dtype=np.float32, keepdims=True) if wave.shape[1] > 1 else wave
    return np.concatenate(list(audio.resampled([mono], rate_hz)))[:, 0]


def without_copies(recordings: Iterable[Recording]) -> list[Recording]:
    """The recordings without repeats of the same samples, in any voice's folder."""
    seen: set[str] = set()
    unique = []
    for recording in recordings:
        digest = hashlib.sha256(recording.wave.tobytes()).hexdigest()
        if digest not in seen:
            seen.add(digest)
            unique.append(recording)
    return unique


def _add(found: dict[Voice, list[Path]], voice: Voice, paths: Iterable[Path]) -> None:
    spoken = sorted(path for path in paths if path.suffix in SUFFIXES)
    if spoken:
        found[voice] = spoken
