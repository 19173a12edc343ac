"""LibriSeVoc: utterances of LibriTTS and their copies by six neural vocoders.

``gt/NAME.wav`` is bonafide, ``VOCODER/NAME_gen.wav`` spoof; a name begins with the number of its speaker. There are no
official lists of splits. See Sun et al. 2023 and github.com/csun22/Synthetic-Voice-Detection-Vocoder-Artifacts.
"""

from pathlib import Path

from pipeline.config import BONAFIDE, SPOOF
from pipeline.corpora import listing
from pipeline.corpora.listing import Reading

ORIGINALS = "gt"
VOCODERS = ("diffwave", "melgan", "parallel_wave_gan", "wavegrad", "wavenet", "wavernn")


def read(data_dir: Path, parts: tuple[str, ...]) -> Reading:
    """Rows of the recordings and of all vocoders; raises ``CorpusError`` if there is no folder ``gt``."""
    top = listing.outermost(data_dir, ORIGINALS, "folder", "unpack LibriSeVoc.zip there").parent
    return listing.by_folder(top, _told)


def _told(parts: tuple[str, ...]) -> dict[str, str] | None:
    if len(parts) != 2 or parts[0] not in (ORIGINALS, *VOCODERS):
        return None
    told = {"speaker": parts[1].split("_")[0]}
    return told | ({"label": BONAFIDE} if parts[0] == ORIGINALS else {"label": SPOOF, "attack": parts[0]})
