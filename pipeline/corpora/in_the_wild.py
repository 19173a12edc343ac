"""In-the-Wild: public figures and deepfakes of them, collected from the web; it has no official splits.

``meta.csv`` is beside the recordings, with the columns ``file,speaker,label``. The making of the spoofs is unknown.
See Müller et al. 2022.
"""

from functools import partial
from pathlib import Path

from pipeline.config import BONAFIDE, SPOOF
from pipeline.corpora import listing
from pipeline.corpora.listing import Reading

HEADER = ("file", "speaker", "label")
COLUMNS = ("file", "speaker", "key")
LABELS = {"bona-fide": BONAFIDE, "spoof": SPOOF}


def read(data_dir: Path, parts: tuple[str, ...]) -> Reading:
    """Rows of the corpus; rejected are listed files without audio, and audio that is not listed.

    Raises ``CorpusError`` for a missing or damaged ``meta.csv``.
    """
    table = listing.outermost(data_dir, "meta.csv", "file", "unpack release_in_the_wild.zip there")
    entries = listing.entries(table, COLUMNS, LABELS, cells=listing.csv_cells, header=HEADER)
    return listing.matched(table, entries, [table.parent], partial(listing.row, split=""))
