"""Fake-or-Real (FoR): open speech corpora and text-to-speech of 2019; only folders tell labels and splits.

``{training,validation,testing}/{real,fake}/``, in any one of its versions (for-original, for-norm, for-2sec,
for-rerec). Speakers and engines are unknown. See Reimao & Tzerpos 2019.
"""

from pathlib import Path

from pipeline.corpora import folder, listing
from pipeline.corpora.listing import Reading
from pipeline.errors import CorpusError
from pipeline.store.manifest import Rejected

FOLDERS = {"train": "training", "dev": "validation", "eval": "testing"}


def read(data_dir: Path, parts: tuple[str, ...]) -> Reading:
    """Rows of the parts; rejected are files that are no audio by their suffix.

    Raises ``CorpusError`` for a missing part or class, and for several versions in one folder.
    """
    rows: list[dict] = []
    rejected: list[Rejected] = []
    versions = {top.parent for name in FOLDERS.values() for top in listing.every(data_dir, name)}
    if len(versions) > 1:
        names = " and ".join(sorted(str(version.relative_to(data_dir)) for version in versions))
        raise CorpusError(f"{data_dir}: holds several versions of Fake-or-Real ({names}); name one of them")
    for part in parts:
        top = listing.outermost(data_dir, FOLDERS[part], "folder")
        found, left = folder.labelled(top, top.parent, split=part)
        rows += found
        rejected += left
    folder.require_both_classes(
        rows, rejected, data_dir, "training/, validation/ and testing/ with real/ and fake/ inside"
    )
    return rows, rejected
