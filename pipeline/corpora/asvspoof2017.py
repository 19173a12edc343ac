"""ASVspoof 2017, versions 1 and 2: replayed speech, with its official training, development and evaluation parts.

Protocol lines hold seven columns, FILE KEY SPEAKER PHRASE ENVIRONMENT PLAYBACK RECORDER; an attack is the triple of
the last three. See Kinnunen et al. 2017 and Delgado et al. 2018 (version 2). The two versions may use the same device
codes for different devices, so one folder must hold one version.
"""

from functools import partial
from pathlib import Path

import pandas as pd

from pipeline.common.walk import walk
from pipeline.config import BONAFIDE, SPOOF
from pipeline.corpora import listing
from pipeline.errors import CorpusError
from pipeline.store import manifest
from pipeline.store.manifest import Rejected

COLUMNS = ("file", "key", "speaker", "phrase", "environment", "playback", "recorder")
LABELS = {"genuine": BONAFIDE, "spoof": SPOOF}
LIST_SUFFIX = {"train": "trn", "dev": "trl", "eval": "trl"}
UNLABELLED = {
    2: "version 1's evaluation list has no labels (two columns); use version 2, or --parts train,dev",
}
PREFIXES = {"V2": "ASVspoof2017_V2", "V1": "ASVspoof2017"}


def read(data_dir: Path, parts: tuple[str, ...]) -> tuple[pd.DataFrame, list[Rejected]]:
    """The Manifest of the parts, and the listed files without audio and the audio files that no list names.

    Folders may be flat or nested in one of the same name. Raises ``CorpusError`` for a missing part or list, mixed
    versions, a line without seven columns, a key that is neither genuine nor spoof, or version 1's unlabelled eval.
    """
    version = _version(data_dir)
    rows: list[dict] = []
    rejected: list[Rejected] = []
    for part in parts:
        folder = listing.outermost(data_dir, f"{PREFIXES[version]}_{part}", "folder")
        listed = listing.outermost(data_dir, f"{PREFIXES[version]}_{part}.{LIST_SUFFIX[part]}.txt", "file")
        entries = listing.entries(listed, COLUMNS, LABELS, other_columns=UNLABELLED if version == "V1" else {})
        found, left = listing.matched(listed, entries, [folder], partial(_row, part=part))
        rows += found
        rejected += left
    return manifest.make(rows, corpus="asvspoof2017", rejected=rejected), rejected


def _version(data_dir: Path) -> str:
    names = [
        name
        for _, folders, files in walk(data_dir, [])
        for name in (*folders, *(file for file in files if file.endswith(".txt")))
        if name.startswith("ASVspoof2017")
    ]
    found = {"V2" if name.startswith(PREFIXES["V2"]) else "V1" for name in names}
    if not found:
        raise CorpusError(
            f"{data_dir}: no ASVspoof 2017 here; expected ASVspoof2017_V2_train/ and protocol_V2/ (or, for version 1, "
            "ASVspoof2017_train/ and protocol/)"
        )
    if len(found) > 1:
        raise CorpusError(
            f"{data_dir}: versions 1 and 2 of ASVspoof 2017 lie in one folder; their labels and device codes differ, "
            "so give a folder with one of them"
        )
    return found.pop()


def _row(entry: dict[str, str], path: Path, *, part: str) -> dict[str, str]:
    known = {name: listing.known(entry[name]) for name in COLUMNS}
    return {
        "utterance_id": path.stem,
        "path": str(path),
        "label": LABELS[entry["key"]],
        "split": part,
        "speaker": known["speaker"],
        "attack": "-".join(entry[name] for name in ("environment", "playback", "recorder")),
        "phrase": known["phrase"],
        "environment": known["environment"],
        "playback": known["playback"],
        "recorder": known["recorder"],
    }
