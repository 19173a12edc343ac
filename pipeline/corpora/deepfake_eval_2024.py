"""Deepfake-Eval-2024: recordings that circulated on social media in 2024, labelled by hand.

``audio-metadata-publish.csv`` names each file of ``audio-data/`` with ``Ground Truth`` (real or fake; others are left
out) and ``Finetuning Set`` (train or test). Speakers and systems are unknown, recordings are long. See Chandra et al.
2025; layout as read by ``protocols/DeepfakeEval2024_preprocess.py`` of github.com/nii-yamagishilab/AntiDeepfake.
"""

import csv
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

    Raises ``CorpusError`` for a missing list or folder, and for a list without these columns.
    """
    table = listing.outermost(data_dir, LIST, "file", "name the folder that the audio was downloaded to")
    folder = listing.outermost(data_dir, FOLDER, "folder")
    with table.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.DictReader(file)
        if missing := {FILE, LABEL, PART} - set(lines.fieldnames or ()):
            raise CorpusError(f"{table}: columns {', '.join(sorted(missing))} are missing")
        found = [
            {
                "file": line[FILE].strip(),
                "label": LABEL_WORDS.get(line[LABEL].strip().lower(), ""),
                "split": SPLIT_WORDS.get(line[PART].strip().lower(), ""),
                "speaker": "-",
            }
            for line in lines
        ]
    rows, rejected = listing.matched(table, found, [folder], _row)
    unclear = [Rejected(row["path"], f"neither real nor fake in {LIST}") for row in rows if not row["label"]]
    return [row for row in rows if row["label"] and row["split"] in (*parts, "")], rejected + unclear


def _row(entry: dict[str, str], path: Path) -> dict[str, str]:
    return listing.row(entry, path, split=entry["split"]) | {"attack": ""}
