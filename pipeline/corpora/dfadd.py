"""DFADD: VCTK's voices by diffusion and flow-matching TTS, with official splits.

``DATASET_SYSTEM/{train,valid,test}/SPEAKER_….wav``; ``DATASET_VCTK_BONAFIDE`` is bonafide. See Du et al. 2024; layout
as read by ``protocols/DFADD.py`` of github.com/nii-yamagishilab/AntiDeepfake.
"""

from functools import partial
from pathlib import Path

from pipeline.common.tables import SPLIT_WORDS
from pipeline.config import BONAFIDE, SPOOF
from pipeline.corpora import listing
from pipeline.corpora.listing import Reading
from pipeline.errors import CorpusError
from pipeline.store.manifest import Rejected

BEGINNING = "DATASET_"


def read(data_dir: Path, parts: tuple[str, ...]) -> Reading:
    """Rows of the parts; raises ``CorpusError`` if there is no folder of a system."""
    systems = listing.beneath(data_dir, lambda name: name.startswith(BEGINNING))
    if not systems:
        raise CorpusError(f"{data_dir}: no folder {BEGINNING}SYSTEM; unpack the archives of DFADD there")
    rows: list[dict[str, str]] = []
    rejected: list[Rejected] = []
    for system in systems:
        name = system.name.removeprefix(BEGINNING)
        found, left = listing.by_folder(system, partial(_told, name), prefix=f"{name}/")
        rows += [row for row in found if row["split"] in parts]
        rejected += left
    return rows, rejected


def _told(system: str, parts: tuple[str, ...]) -> dict[str, str] | None:
    if parts[0] not in SPLIT_WORDS:
        return None
    told = {"split": SPLIT_WORDS[parts[0]], "speaker": parts[-1].split("_")[0]}
    return told | ({"label": BONAFIDE} if "BONAFIDE" in system else {"label": SPOOF, "attack": system})
