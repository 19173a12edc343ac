"""ODSS: two TTS systems on sentences of English, German and Spanish speakers, beside the recordings themselves.

``{natural,fastpitch-hifigan,vits}/SOURCE/SPEAKER/NAME.wav``; there are no official splits. See Yaroshchuk et al. 2023.
The layout is that which readers of others state; it was not read at its publisher's.
"""

from pathlib import Path

from pipeline.config import BONAFIDE, SPOOF
from pipeline.corpora import listing
from pipeline.corpora.listing import Reading

NATURAL = "natural"
SYSTEMS = ("fastpitch-hifigan", "vits")
LANGUAGES = {"hifi-tts": "en", "hui-acg": "de", "openslr-es": "es", "vctk": "en"}
"""Language of each corpus that sentences and speakers are from."""


def read(data_dir: Path, parts: tuple[str, ...]) -> Reading:
    """Rows of the recordings and of both systems; raises ``CorpusError`` if there is no folder ``natural``."""
    top = listing.outermost(data_dir, NATURAL, "folder", "unpack the archive of ODSS there").parent
    return listing.by_folder(top, _told)


def _told(parts: tuple[str, ...]) -> dict[str, str] | None:
    if len(parts) != 4 or parts[0] not in (NATURAL, *SYSTEMS):
        return None
    system, source, speaker, _ = parts
    told = {"speaker": f"{source}-{speaker}", "language": LANGUAGES.get(source, "")}
    return told | ({"label": BONAFIDE} if system == NATURAL else {"label": SPOOF, "attack": system})
