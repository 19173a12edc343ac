"""Codecfake: English and Mandarin speech resynthesised by seven neural codecs, one of which is only in eval.

``label/NAME.txt`` has lines ``FILE real|fake CODEC``, the audio is in the folder ``NAME``: ``train``, ``dev``, and test
sets such as ``C7``. Codec 0 is bonafide. The recordings are from VCTK and AISHELL-3. See Xie et al. 2024; layout as
read by ``protocols/Codecfake.py`` of github.com/nii-yamagishilab/AntiDeepfake.
"""

from functools import partial
from pathlib import Path

from pipeline.config import BONAFIDE, SPOOF
from pipeline.corpora import listing
from pipeline.corpora.listing import Reading
from pipeline.errors import CorpusError
from pipeline.store.manifest import Rejected

COLUMNS = ("file", "key", "codec")
LABELS = {"real": BONAFIDE, "fake": SPOOF}
CODECS = ("", "SoundStream", "SpeechTokenizer", "FunCodec", "EnCodec", "AudioDec", "AcademiCodec", "DAC")
"""Names of the codecs by number; 0 is none."""
ATTACKS = {f"F{number:02}": name for number, name in enumerate(CODECS)}


def read(data_dir: Path, parts: tuple[str, ...]) -> Reading:
    """Rows of the parts; every list but ``train`` and ``dev`` whose folder is there is eval.

    Rejected are listed files without audio, and audio that is not listed. Raises ``CorpusError`` for missing lists or
    folders, and for a damaged line.
    """
    lists = sorted(listing.outermost(data_dir, "label", "folder", "unpack label.zip there").glob("*.txt"))
    rows: list[dict[str, str]] = []
    rejected: list[Rejected] = []
    for table in lists:
        part = table.stem if table.stem in ("train", "dev") else "eval"
        folders = listing.every(data_dir, table.stem) if part in parts else []
        if folders:
            found = [_checked(entry) | {"speaker": "-"} for entry in listing.entries(table, COLUMNS, LABELS)]
            made, left = listing.matched(table, found, folders, partial(_row, name=table.stem, split=part))
            rows += made
            rejected += left
    if not rows:
        raise CorpusError(f"{data_dir}: no folder of a list in label/, such as dev; unpack its archive there")
    return rows, rejected


def _checked(entry: dict[str, str]) -> dict[str, str]:
    codec = entry["codec"]
    known = codec.isdecimal() and int(codec) < len(CODECS)
    if not known or (int(codec) == 0) != (entry["label"] == BONAFIDE):
        raise CorpusError(f"{entry['place']}: the key is {entry['key']!r}, but the codec is {codec!r}")
    return entry


def _row(entry: dict[str, str], path: Path, *, name: str, split: str) -> dict[str, str]:
    entry = entry | {"attack": f"F{entry['codec']:0>2}"}
    made = listing.row(entry, path, split=split, attack_names=ATTACKS) | {"list": name}
    return made | {"utterance_id": f"{name}/{made['utterance_id']}"}
