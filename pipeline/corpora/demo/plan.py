"""Contents of the demo corpus: voices and number of clips per subset, and the assembly of clips.

Languages never cross subsets, because one volunteer may have recorded for two packages. Every spoof follows a human
clip: a copy has its words, a synthetic voice its language (if an engine has it), length, band and joins.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.config import SAMPLE_RATE_HZ
from pipeline.corpora.demo import channel, engines, replay
from pipeline.corpora.demo.engines import Synthesiser
from pipeline.corpora.demo.humans import Recording

LANGUAGES = {
    "eval": ("en", "en-GB", "es", "de", "nds", "hu", "uk"),
    "dev": ("nl", "it", "cs", "ar", "gl"),
}
"""The rest is train. English and Spanish stay together: one woman recorded the telephone prompts of both."""
CLIPS_PER_VOICE = {"train": 13, "dev": 13, "eval": 12}
TARGET_S = (1.3, 4.2)
"""Range of the length that joined words reach; drawn per clip."""
SPEECH_S = (1.25, 4.8)
"""Shortest and longest speech of a clip; with the channel's pads clips last 1 to 6 s."""
GAP_S = (0.04, 0.22)

_ENGINE_NAMES = {
    **{"espeak": "espeak-ng", "festival-diphone": "Festival diphones", "festival-hts": "Festival HTS"},
    **{"flite": "Flite", "lpc": "LPC vocoder", "griffin-lim": "Griffin-Lim"},
}
CODES = {name: ("E00", f"P{number:02d}", "R00") for number, name in enumerate(_ENGINE_NAMES, start=1)}
"""Environment, playback and recorder code of each attack that is no replay; E00 and R00: none."""
ATTACK_NAMES = {"-".join(codes): _ENGINE_NAMES[name] for name, codes in CODES.items()} | {
    "-".join(codes): f"replay loudspeaker {int(codes[1][1:]) - 10} in room {int(codes[0][1:])}"
    for codes in replay.SEEN + replay.EVAL_ONLY
}
"""Readable name of each attack of the Manifest."""
SPOOFS = {
    "train": {"espeak": 82, "festival-diphone": 34, "festival-hts": 28, "lpc": 58, "replay": 104},
    "dev": {"espeak": 30, "festival-diphone": 16, "lpc": 18, "replay": 32},
    "eval": {
        **{"espeak": 36, "festival-diphone": 20, "festival-hts": 16, "flite": 26, "lpc": 20, "griffin-lim": 26},
        "replay": 60,
    },
}
"""Clips of each attack; those of ``replay`` are divided equally among its configurations."""


@dataclass(frozen=True)
class Clip:
    """Speech of a clip before the channel: ``[samples]`` float32, and what a spoof that follows it must match."""

    speaker: str
    language: str
    wave: np.ndarray
    target_s: float
    joined: bool
    narrow: bool


def subset_of(language: str) -> str:
    """Subset of a language of the human recordings."""
    return next((subset for subset, languages in LANGUAGES.items() if language in languages), "train")


def human_clips(
    recordings: list[Recording], subset: str, rng: np.random.Generator, most: int | None = None
) -> list[Clip]:
    """Clips of one voice: sentences as they are, or words joined to a length drawn per clip; no recording twice.

    At most ``most`` clips, otherwise as many as the demo corpus takes.
    """
    most = most or CLIPS_PER_VOICE[subset]
    sentences = [r for r in recordings if r.voice.package == "asterisk" and _joined_s([r.wave]) >= SPEECH_S[0]]
    words = [r for r in recordings if r not in sentences] if not sentences else []
    clips = []
    for recording in _shuffled(sentences, rng)[:most]:
        duration_s = len(recording.wave) / SAMPLE_RATE_HZ
        clips.append(_clip([recording], recording.wave, duration_s, joined=False))
    waiting = _shuffled(words, rng)
    while len(clips) < most:
        target_s = rng.uniform(*TARGET_S)
        parts: list[Recording] = []
        while waiting and _joined_s(p.wave for p in parts) < target_s:
            if _joined_s(p.wave for p in (*parts, waiting[-1])) > SPEECH_S[1]:
                break
            parts.append(waiting.pop())
        if _joined_s(p.wave for p in parts) < SPEECH_S[0]:
            break
        clips.append(_clip(parts, join([p.wave for p in parts], rng), target_s, joined=len(parts) > 1))
    return clips


def drawn_alike(clips: Sequence[Clip], count: int, rng: np.random.Generator) -> list[Clip]:
    """``count`` of the clips, at even steps in the order of languages, so that every language has its share."""
    by_language = sorted(_shuffled(clips, rng), key=lambda clip: clip.language)
    places = (rng.random() + np.arange(count)) * len(clips) / count
    return [by_language[int(place)] for place in places]


def spoken_like(
    template: Clip, words: Sequence[np.ndarray], sentences: Sequence[np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Speech of a synthetic voice in the length and joins of a human clip, ``[samples]`` float32."""
    if not template.joined:
        lengths = np.array([len(s) for s in sentences]) / SAMPLE_RATE_HZ
        usable = np.flatnonzero((lengths >= SPEECH_S[0]) & (lengths <= SPEECH_S[1]))
        closest = usable[np.argsort(np.abs(lengths[usable] - template.target_s))[:3]]
        return sentences[int(rng.choice(closest))]
    parts: list[np.ndarray] = []
    while _joined_s(parts) < template.target_s:
        word = words[int(rng.integers(len(words)))]
        if _joined_s([*parts, word]) > SPEECH_S[1]:
            break
        parts.append(word)
    return join(parts, rng)


def join(parts: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Words in sequence with short gaps, each at the same level, ``[samples]`` float32."""
    pieces: list[np.ndarray] = []
    for part in parts:
        if pieces:
            pieces.append(np.zeros(int(rng.uniform(*GAP_S) * SAMPLE_RATE_HZ), np.float32))
        pieces.append(part * np.float32(0.1 / max(channel.active_rms(part), 1e-6)))
    return np.concatenate(pieces)


def synthesisers(attack: str, subset: str, languages: Sequence[str]) -> list[Synthesiser]:
    """Voices of an engine in a subset; espeak-ng takes the languages of the human clips in turn."""
    if attack == "espeak":
        spoken = [language for language in languages if language in engines.ESPEAK_LANGUAGES]
        variants = engines.ESPEAK_VARIANTS[subset]
        return [
            Synthesiser("espeak", f"{engines.ESPEAK_LANGUAGES[language]}+{variant}", language, pitch, speed)
            for number, language in enumerate(spoken)
            for variant, pitch, speed in [variants[number % len(variants)]]
        ]
    tables = {"festival-diphone": engines.FESTIVAL, "festival-hts": engines.FESTIVAL_HTS, "flite": engines.FLITE}
    return [Synthesiser(attack, voice, language) for voice, language in tables[attack][subset]]


def replay_configurations(subset: str) -> tuple[tuple[str, str, str], ...]:
    """Configurations of a subset; two are only in eval."""
    return replay.SEEN + replay.EVAL_ONLY if subset == "eval" else replay.SEEN


def _clip(parts: list[Recording], wave: np.ndarray, target_s: float, *, joined: bool) -> Clip:
    voice = parts[0].voice
    narrow = sum(part.narrow for part in parts) * 2 > len(parts)
    return Clip(voice.tag, voice.language, wave, target_s, joined, narrow)


def _joined_s(waves: Iterable[np.ndarray]) -> float:
    """Length of the joined waves, with gaps of medium length."""
    lengths = [len(wave) / SAMPLE_RATE_HZ for wave in waves]
    return sum(lengths) + sum(GAP_S) / 2 * max(len(lengths) - 1, 0)


def _shuffled(items: Sequence, rng: np.random.Generator) -> list:
    return [items[i] for i in rng.permutation(len(items))]
