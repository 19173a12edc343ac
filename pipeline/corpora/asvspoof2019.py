"""ASVspoof 2019, tracks LA (synthesis and conversion) and PA (simulated replay), with their official parts.

Protocol lines hold five columns, SPEAKER FILE ENVIRONMENT ATTACK KEY. LA has no environments; PA's are three letters
(room size, reverberation, distance to the microphone), its attacks two (distance to the talker, replay device). See
Wang et al. 2020. The folders also hold recordings for enrolling speakers, which no protocol of countermeasures lists.
"""

from functools import partial
from pathlib import Path

import pandas as pd

from pipeline.corpora import listing
from pipeline.corpora.asvspoof2017 import LIST_SUFFIX
from pipeline.store import manifest
from pipeline.store.manifest import Rejected

COLUMNS = ("speaker", "file", "environment", "attack", "key")


def read(data_dir: Path, parts: tuple[str, ...], track: str) -> tuple[pd.DataFrame, list[Rejected]]:
    """The Manifest of the parts of a track (LA or PA), the listed files without audio, and audio that is not listed.

    Raises ``CorpusError`` for a missing part or list, and for a damaged line.
    """
    rows: list[dict] = []
    rejected: list[Rejected] = []
    for part in parts:
        folder = listing.outermost(data_dir, f"ASVspoof2019_{track}_{part}", "folder")
        listed = listing.outermost(data_dir, f"ASVspoof2019.{track}.cm.{part}.{LIST_SUFFIX[part]}.txt", "file")
        row = partial(listing.row, split=part, conditions=("environment",))
        found, left = listing.matched(listed, listing.entries(listed, COLUMNS), [folder], row)
        rows += found
        rejected += left
    return manifest.make(rows, corpus=f"asvspoof2019_{track.lower()}", rejected=rejected), rejected
