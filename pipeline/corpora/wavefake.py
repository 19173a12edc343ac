"""WaveFake: speech of two voices resynthesised by vocoders, beside the recordings it was made from.

Each folder is a generator (``ljspeech_melgan/LJ001-0001_gen.wav``), all of it spoof. Bonafide are LJ Speech
(``LJSpeech-1.1/wavs/``, English) and the resynthesised part of JSUT (``jsut_ver1.1/basic5000/wav/``, Japanese), which
its publishers do not pass on: unpack them beside it. There are no official splits, and only two speakers. See Frank &
Schönherr 2021.
"""

from pathlib import Path

from pipeline.config import BONAFIDE, SPOOF
from pipeline.corpora import listing
from pipeline.corpora.listing import Reading
from pipeline.errors import CorpusError
from pipeline.store.manifest import Rejected

VOICES = {"ljspeech": ("LJ", "en"), "jsut": ("JSUT", "ja")}
"""Speaker and language of each voice, by its name in that of a generator's folder."""
SOURCES = {"ljspeech": "LJSpeech-1.1/wavs", "jsut": "jsut_ver1.1/basic5000/wav"}
"""Folder of the recordings of each voice."""


def read(data_dir: Path, parts: tuple[str, ...]) -> Reading:
    """Rows of the generators and of the recordings found; rejected are second copies of generated files.

    Raises ``CorpusError`` if there is no generator.
    """
    rows: list[dict] = []
    rejected: list[Rejected] = []
    generators = listing.beneath(data_dir, _is_generator)
    if not generators:
        raise CorpusError(f"{data_dir}: no folder of a generator, such as ljspeech_melgan/; unpack generated_audio.zip")
    for generator in generators:
        audio, left = listing.audio_in([generator])
        voice = next(name for name in VOICES if name in generator.name.lower())
        attack = generator.name.removeprefix(f"{voice}_").removesuffix(f"_{voice}")
        rows += [_row(path, f"{generator.name}/{name}", voice, SPOOF, attack) for name, path in audio.items()]
        rejected += left
    for voice, place in SOURCES.items():
        audio, left = listing.audio_in(listing.every(data_dir, place))
        rows += [_row(path, f"{voice}/{name}", voice, BONAFIDE, "-") for name, path in audio.items()]
        rejected += left
    return rows, rejected


def _is_generator(name: str) -> bool:
    name = name.lower()
    return any(voice in name for voice in VOICES) and not name.startswith(("ljspeech-", "jsut_ver"))


def _row(path: Path, identifier: str, voice: str, label: str, attack: str) -> dict[str, str]:
    speaker, language = VOICES[voice]
    return {
        "utterance_id": identifier,
        "path": str(path),
        "label": label,
        "speaker": speaker,
        "attack": attack,
        "language": language,
    }
