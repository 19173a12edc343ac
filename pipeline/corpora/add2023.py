"""ADD 2023, track 1.2: the test sets of a challenge on Mandarin speech.

``label.txt`` has lines ``FILE genuine`` or ``FILE fake``, the audio is in ``wav/`` beside it. Speakers and systems are
unknown; evaluation data only. See Yi et al. 2023; layout as read by ``protocols/ADD2023.py`` of
github.com/nii-yamagishilab/AntiDeepfake.
"""

from functools import partial
from pathlib import Path

from pipeline.config import BONAFIDE, SPOOF
from pipeline.corpora import listing
from pipeline.corpora.listing import Reading
from pipeline.errors import CorpusError
from pipeline.store.manifest import Rejected

LIST, COLUMNS = "label.txt", ("file", "key")
LABELS = {"genuine": BONAFIDE, "fake": SPOOF}


def read(data_dir: Path, parts: tuple[str, ...]) -> Reading:
    """Rows of every test set found, all of them eval; rejected are listed files without audio, and unlisted audio.

    Raises ``CorpusError`` for a missing list, a damaged line, and ``parts`` without eval.
    """
    if "eval" not in parts:
        raise CorpusError("ADD 2023 track 1.2 is evaluation data only: omit --parts")
    listing.outermost(data_dir, LIST, "file", "unpack the archive of the test set there")
    rows: list[dict[str, str]] = []
    rejected: list[Rejected] = []
    for labels in listing.every(data_dir, LIST, "file"):
        found = [entry | {"speaker": "-"} for entry in listing.entries(labels, COLUMNS, LABELS)]
        made, left = listing.matched(labels, found, [labels.parent], partial(listing.row, split="eval"))
        rows += made
        rejected += left
    return [row | {"attack": ""} for row in rows], rejected
