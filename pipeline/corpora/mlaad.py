"""MLAAD: speech in dozens of languages by more than a hundred TTS systems, and M-AILABS, which it reads out.

``fake/LANGUAGE/SYSTEM/NAME.wav`` is all spoof. Bonafide is M-AILABS beside it, if it was unpacked there:
``en_US/by_book/GENDER/SPEAKER/BOOK/wavs/NAME.wav``; ``mix`` in place of a gender names no speaker. There are no
official splits. See Müller et al. 2024; layout as read by ``protocols/MLAAD.py`` of
github.com/nii-yamagishilab/AntiDeepfake.
"""

from pathlib import Path

from pipeline.config import BONAFIDE, SPOOF
from pipeline.corpora import listing
from pipeline.corpora.listing import Reading


def read(data_dir: Path, parts: tuple[str, ...]) -> Reading:
    """Rows of all systems, and of the books of M-AILABS if they are there.

    Raises ``CorpusError`` if there is no folder ``fake``.
    """
    fake = listing.outermost(data_dir, "fake", "folder", "name the folder that MLAAD was downloaded to")
    rows, rejected = listing.by_folder(fake, _spoof, prefix="fake/")
    for books in listing.every(data_dir, "by_book"):
        found, left = listing.by_folder(books, _bonafide, prefix=f"{books.parent.name}/")
        rows += [row | {"language": books.parent.name[:2]} for row in found]
        rejected += left
    return rows, rejected


def _spoof(parts: tuple[str, ...]) -> dict[str, str] | None:
    return {"label": SPOOF, "language": parts[0], "attack": parts[1]} if len(parts) == 3 else None


def _bonafide(parts: tuple[str, ...]) -> dict[str, str]:
    return {"label": BONAFIDE, "speaker": "" if parts[0] == "mix" else parts[1]}
