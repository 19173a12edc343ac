"""ASVspoof 5: crowdsourced speech, synthesis, conversion and adversarial attacks, through codecs in its eval part.

The lists are separated by spaces for all that they are called ``.tsv``; ten columns, SPEAKER FILE GENDER CODEC
CODEC_QUALITY CODEC_SEED ATTACK_TAG ATTACK KEY and one that is reserved. See Wang et al. 2024 and the corpus' README.
The folders also hold recordings for enrolling speakers, which the lists of track 1 leave out. Its attack names have
nothing to do with those of ASVspoof 2019.
"""

from functools import partial
from pathlib import Path

import pandas as pd

from pipeline.corpora import listing
from pipeline.store import manifest
from pipeline.store.manifest import Rejected

COLUMNS = (
    *("speaker", "file", "gender", "codec", "codec_quality", "codec_seed", "attack_tag", "attack", "key", "reserved"),
)
CONDITIONS = ("gender", "codec", "codec_quality", "attack_tag")
PARTS = {
    "train": ("ASVspoof5.train.tsv", "flac_T"),
    "dev": ("ASVspoof5.dev.track_1.tsv", "flac_D"),
    "eval": ("ASVspoof5.eval.track_1.tsv", "flac_E_eval"),
}
"""List and folder of each part."""


def read(data_dir: Path, parts: tuple[str, ...]) -> tuple[pd.DataFrame, list[Rejected]]:
    """The Manifest of the parts, the listed files without audio, and audio that is not listed.

    Raises ``CorpusError`` for a missing part or list, and for a damaged line.
    """
    rows: list[dict] = []
    rejected: list[Rejected] = []
    for part in parts:
        list_name, folder_name = PARTS[part]
        folders = listing.every(data_dir, folder_name) or [listing.outermost(data_dir, folder_name, "folder")]
        listed = listing.outermost(data_dir, list_name, "file")
        row = partial(listing.row, split=part, conditions=CONDITIONS)
        found, left = listing.matched(listed, listing.entries(listed, COLUMNS), folders, row)
        rows += found
        rejected += left
    return manifest.make(rows, corpus="asvspoof5", rejected=rejected), rejected
