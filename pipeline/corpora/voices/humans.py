"""Human recordings of the voices corpus: speaker, language, storage and place of each, and their clips."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import audio
from pipeline.audio import speech
from pipeline.config import SAMPLE_RATE_HZ
from pipeline.corpora.demo import channel
from pipeline.corpora.demo import humans as demo_humans
from pipeline.corpora.demo import plan as demo_plan
from pipeline.corpora.demo.humans import Voice
from pipeline.corpora.voices import games
from pipeline.corpora.voices.fetch import Places
from pipeline.corpora.voices.games import Line
from pipeline.corpora.voices.storage import PLAIN, Storage
from pipeline.errors import AudioError, AudioFault

GAMES = Path("usr/share/scummvm")
SOUNDS = Path("usr/share/asterisk/sounds")
FESTVOX = Path("usr/share/festival/voices/russian/msu_ru_nsh_clunits")
STORAGES = {
    "queen": Storage(11025, "mp3"),
    "drascula": Storage(11025, "pcm8"),
    "festvox": PLAIN,
    "asterisk": Storage(16000, "g722"),
    "prompts": Storage(8000, "gsm"),
    "menardi": Storage(8000, "pcm16"),
    "klettres": Storage(16000, "vorbis"),
    "ktuberling": Storage(16000, "vorbis"),
}
"""Storage of the recordings of each package."""
WORDS = ("klettres", "ktuberling")
"""Packages of single words, which are joined to clips as in the demo corpus."""
PROMPTS = {"armelle": ("fr", Path("fr")), "es-co": ("es", Path("es"))}
SPEECH_S = demo_plan.SPEECH_S
SPOKEN_SHARE = 0.55
"""Share of a clip that must be speech, so that effects and music are left out."""
MOST_LINES = 3
"""Lines read per clip wanted; some hold no or too little speech."""


@dataclass(frozen=True)
class Spoken:
    """Clips of one voice: int16 waves, their target length in s, and whether each is joined and has a narrow band."""

    waves: list[np.ndarray]
    targets_s: list[float]
    joined: list[bool]
    narrow: list[bool]


def voices(places: Places) -> dict[Voice, list[Line]]:
    """Recordings of each voice in the sources that are there; of equal files only the first."""
    found = {voice: [Line(path) for path in paths] for voice, paths in demo_humans.files(places.demo.tree).items()}
    found |= queen_voices(places) | drascula_voices(places)
    if festvox := places.found.get("festvox-ru"):
        found[Voice("festvox", "ru", "nsh")] = _lines((festvox / FESTVOX / "wav").glob("*.wav"))
    if menardi := places.found.get("menardi"):
        found[Voice("menardi", "it", "menardi")] = _lines((menardi / SOUNDS / "it_IT_f_Menardi").rglob("*.wav"))
    for source, (language, folder) in PROMPTS.items():
        if tree := places.found.get(source):
            found[Voice("prompts", language, source)] = _lines((tree / SOUNDS / folder).rglob("*.gsm"))
    return _without_copies(found)


def queen_voices(places: Places) -> dict[Voice, list[Line]]:
    """Lines of the characters of Amazon Queen, if it is there."""
    if "queen" not in places.found:
        return {}
    lines = games.queen(places.found["queen"] / GAMES / "flight-of-the-amazon-queen" / "queen.1c")
    return {Voice("queen", "en", name): own for name, own in lines.items()}


def drascula_voices(places: Places) -> dict[Voice, list[Line]]:
    """Lines of the characters of Drascula in both languages, if it is there."""
    if "drascula" not in places.found:
        return {}
    return {
        Voice("drascula", language, name): own
        for language in ("en", "es")
        for name, own in games.drascula(places.found["drascula"] / GAMES / "drascula" / language).items()
    }


def load(voice: Voice, lines: list[Line], subset: str, most: int, rng: np.random.Generator) -> Spoken:
    """Clips of a voice, at most ``most``; recordings that cannot be read or hold no speech give none."""
    if voice.package in WORDS:
        seed = int(rng.integers(2**31))
        recordings = demo_humans.load(voice, [line.path for line in lines], seed, most=10**6)
        clips = demo_plan.human_clips(recordings, subset, rng, most)
        return Spoken(
            [audio.to_int16(clip.wave) for clip in clips], [clip.target_s for clip in clips],
            [clip.joined for clip in clips], [clip.narrow for clip in clips],
        )  # fmt: skip
    waves: list[np.ndarray] = []
    for number in rng.permutation(len(lines))[: MOST_LINES * most]:
        if len(waves) >= most:
            break
        try:
            waves += [channel.trim(part) for part in spoken_parts(_decoded(voice, lines[number]))]
        except AudioError:
            continue
    waves = [wave for wave in waves if SPEECH_S[0] <= len(wave) / SAMPLE_RATE_HZ <= SPEECH_S[1]][:most]
    return Spoken(
        [audio.to_int16(wave) for wave in waves], [len(wave) / SAMPLE_RATE_HZ for wave in waves],
        [False] * len(waves), [channel.is_narrow(wave) for wave in waves],
    )  # fmt: skip


def spoken_parts(wave: np.ndarray) -> list[np.ndarray]:
    """Parts ``[samples]`` of a recording within ``SPEECH_S`` that begin and end with speech and are mostly speech.

    Neighbouring segments of speech belong to one part as long as it fits; longer segments are left out.
    """
    found = speech.find(wave)
    parts: list[tuple[float, float]] = []
    for start, end in found.segments():
        if parts and end - parts[-1][0] <= SPEECH_S[1]:
            parts[-1] = (parts[-1][0], end)
        else:
            parts.append((start, end))
    kept = []
    for start, end in parts:
        first, last = round(start * SAMPLE_RATE_HZ), min(round(end * SAMPLE_RATE_HZ), len(wave))
        share = float(found.seconds(np.array(first), np.array(last))) / max(end - start, 1e-9)
        if SPEECH_S[0] <= end - start <= SPEECH_S[1] and share >= SPOKEN_SHARE:
            kept.append(wave[first:last])
    return kept


def _decoded(voice: Voice, line: Line) -> np.ndarray:
    if voice.package == "queen":
        return games.decode_mp3(line)
    if voice.package == "drascula":
        return games.decode_raw(line)
    return _decoded_gsm(line.path) if voice.package == "prompts" else audio.decode(line.path, config=games.LIMITS)


def _decoded_gsm(path: Path) -> np.ndarray:
    """Samples of a headerless GSM 06.10 file at 16 kHz, ``[samples]`` float32."""
    import soundfile

    rate_hz = STORAGES["prompts"].rate_hz
    try:
        wave, _ = soundfile.read(
            path, dtype="float32", always_2d=True, samplerate=rate_hz, channels=1, format="RAW", subtype="GSM610"
        )
    except soundfile.LibsndfileError as error:
        raise AudioError(AudioFault.UNREADABLE, f"{path}: {error}") from None
    return np.concatenate(list(audio.resampled([wave], rate_hz)))[:, 0]


def _lines(paths: Iterable[Path]) -> list[Line]:
    return [Line(path) for path in sorted(paths) if not any(word in path.stem for word in demo_humans.NOT_SPEECH)]


def _without_copies(found: dict[Voice, list[Line]]) -> dict[Voice, list[Line]]:
    """Recordings whose bytes no earlier one has."""
    seen: set[bytes] = set()
    unique: dict[Voice, list[Line]] = {}
    for voice, lines in found.items():
        for line in lines:
            digest = hashlib.sha256(line.data()).digest()
            if digest not in seen:
                seen.add(digest)
                unique.setdefault(voice, []).append(line)
    return unique
