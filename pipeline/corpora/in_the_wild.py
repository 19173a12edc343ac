"""In-the-Wild: public figures and deepfakes of them, collected from the web; it has no official splits.

``meta.csv`` is beside the recordings, with the columns ``file,speaker,label``. The making of the spoofs is unknown.
See Müller et al. 2022.
"""

import csv
from functools import partial
from pathlib import Path

from pipeline.config import BONAFIDE, SPOOF
from pipeline.corpora import listing
from pipeline.corpora.listing import Reading
from pipeline.errors import CorpusError

COLUMNS = ["file", "speaker", "label"]
LABELS = {"bona-fide": BONAFIDE, "spoof": SPOOF}


def read(data_dir: Path, parts: tuple[str, ...]) -> Reading:
    """Rows of the corpus; rejected are listed files without audio, and audio that is not listed.

    Raises ``CorpusError`` for a missing or damaged ``meta.csv``.
    """
    table = listing.outermost(data_dir, "meta.csv", "file", "unpack release_in_the_wild.zip there")
    return listing.matched(table, _entries(table), [table.parent], partial(listing.row, split=""))


def _entries(table: Path) -> list[dict[str, str]]:
    found = []
    header: list[str] = []
    for line, place in listing.lines(table):
        values = [value.strip() for value in next(csv.reader([line]))]
        if not header:
            header = values
            if header != COLUMNS:
                raise CorpusError(f"{place}: columns {','.join(header)} instead of {','.join(COLUMNS)}")
            continue
        if len(values) != len(COLUMNS):
            raise CorpusError(f"{place}: {len(values)} columns instead of {len(COLUMNS)}: {line!r}")
        file, speaker, label = values
        found.append({"file": file, "speaker": speaker, "key": label, "place": place})
    return listing.checked(found, LABELS)
