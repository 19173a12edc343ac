"""Deepfake-Eval-2024: recordings that circulated on social media in 2024, labelled by hand.

``audio-metadata-publish.csv`` names each file of ``audio-data/`` with ``Ground Truth`` (real or fake; others are left
out) and ``Finetuning Set`` (train or test). Speakers and systems are unknown, recordings are long. See Chandra et al.
2025; layout as read by ``protocols/DeepfakeEval2024_preprocess.py`` of github.com/nii-yamagishilab/AntiDeepfake.
"""

import csv
from collections import Counter
from pathlib import Path

from pipeline.common.tables import LABEL_WORDS, SPLIT_WORDS
from pipeline.corpora import listing
from pipeline.corpora.listing import Reading
from pipeline.errors import CorpusError
from pipeline.store.manifest import Rejected

LIST, FOLDER = "audio-metadata-publish.csv", "audio-data"
FILE, LABEL, PART = "Filename", "Ground Truth", "Finetuning Set"


def read(data_dir: Path, parts: tuple[str, ...]) -> Reading:
    """Rows of the parts; rejected are files without a clear label, listed files without audio, and unlisted audio.

    Raises ``CorpusError`` for a missing list or folder, a list without these columns, and a damaged line.
    """
    table = listing.outermost(data_dir, LIST, "file", "name the folder that the audio was downloaded to")
    folder = listing.outermost(data_dir, FOLDER, "folder")
    with table.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.DictReader(file)
        if missing := {FILE, LABEL, PART} - set(lines.fieldnames or ()):
            raise CorpusError(f"{table}: columns {', '.join(sorted(missing))} are missing")
        found = [_entry(line, f"{table}, line {lines.line_num}") for line in lines]
    if repeated := [name for name, count in Counter(entry["file"] for entry in found).items() if count > 1]:
        raise CorpusError(f"{table}: {repeated[0]} is listed twice")
    rows, rejected = listing.matched(table, found, [folder], _row)
    unclear = [Rejected(row["path"], f"neither real nor fake in {LIST}") for row in rows if not row["label"]]
    return [row for row in rows if row["label"] and row["split"] in parts], rejected + unclear


def _entry(line: dict[str, str | None], place: str) -> dict[str, str]:
    cells = {name: line[name] for name in (FILE, LABEL, PART)}
    if None in cells.values():
        raise CorpusError(f"{place}: fewer columns than the first line has")
    split = SPLIT_WORDS.get(cells[PART].strip().lower())
    if split is None:
        raise CorpusError(f"{place}: {PART} {cells[PART]!r} is neither train nor test")
    label = LABEL_WORDS.get(cells[LABEL].strip().lower(), "")
    return {"file": cells[FILE].strip(), "label": label, "split": split, "speaker": "-"}


def _row(entry: dict[str, str], path: Path) -> dict[str, str]:
    return listing.row(entry, path, split=entry["split"]) | {"attack": ""}
