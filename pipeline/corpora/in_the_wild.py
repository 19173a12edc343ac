"""In-the-Wild: public figures and deepfakes of them, collected from the web; it has no official splits.

``meta.csv`` has the columns ``file,speaker,label`` and lies beside the recordings. How the spoofs were made is not
known. See Müller et al. 2022.
"""

import csv
from pathlib import Path

import pandas as pd

from pipeline.config import BONAFIDE, SPOOF
from pipeline.corpora import listing
from pipeline.errors import CorpusError
from pipeline.store import manifest
from pipeline.store.manifest import Rejected

COLUMNS = ["file", "speaker", "label"]
LABELS = {"bona-fide": BONAFIDE, "spoof": SPOOF}


def read(data_dir: Path, parts: tuple[str, ...]) -> tuple[pd.DataFrame, list[Rejected]]:
    """The Manifest of the corpus, the listed files without audio, and audio that is not listed.

    Raises ``CorpusError`` for a missing or damaged ``meta.csv``.
    """
    table = listing.outermost(data_dir, "meta.csv", "file", "unpack release_in_the_wild.zip there")
    rows, rejected = listing.matched(table, _entries(table), [table.parent], _row)
    return manifest.make(rows, corpus="in_the_wild", rejected=rejected), rejected


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


def _row(entry: dict[str, str], path: Path) -> dict[str, str]:
    return {
        "utterance_id": path.stem,
        "path": str(path),
        "label": LABELS[entry["key"]],
        "speaker": entry["speaker"],
    }
