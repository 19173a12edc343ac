"""A folder of one's own recordings: ``bonafide/`` and ``spoof/``, with or without ``train|dev|eval`` above them.

``genuine`` and ``real`` mean bonafide, ``fake`` means spoof; a folder inside ``spoof`` names the attack. Speakers are
unknown here: name them in a table (``corpus=table``) where you know them.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from pipeline import audio
from pipeline.common.tables import LABEL_WORDS
from pipeline.config import BONAFIDE, SPOOF
from pipeline.errors import CorpusError
from pipeline.store import manifest
from pipeline.store.manifest import SUBSETS, Rejected


def read(data_dir: Path, parts: tuple[str, ...]) -> tuple[pd.DataFrame, list[Rejected]]:
    """The Manifest of the folder, and the files that are no audio by their suffix.

    Raises ``CorpusError`` where a class is missing.
    """
    split_folders = [data_dir / part for part in SUBSETS if (data_dir / part).is_dir()]
    rows: list[dict] = []
    rejected: list[Rejected] = []
    for top in split_folders or [data_dir]:
        split = top.name if split_folders else ""
        if split and split not in parts:
            continue
        found, left = labelled(top, data_dir, split=split)
        rows += found
        rejected += left
    layout = "{bonafide,genuine,real}/ and {spoof,fake}/, with or without train/, dev/ and eval/ above them"
    require_both_classes(rows, data_dir, layout)
    return manifest.make(rows, corpus="folder"), rejected


def labelled(top: Path, data_dir: Path, *, split: str) -> tuple[list[dict], list[Rejected]]:
    """Rows of the audio in the class folders of ``top``, named from ``data_dir`` on, and files that are no audio."""
    rows: list[dict] = []
    rejected: list[Rejected] = []
    for name, label in LABEL_WORDS.items():
        beneath = len(str(top / name)) + 1
        for path in sorted(_files(top / name), key=lambda found: found.split(os.sep)):
            suffix = os.path.splitext(path)[1]
            if suffix.lower() not in audio.SUFFIXES:
                rejected.append(Rejected(path, f"suffix {suffix!r} is not that of audio"))
                continue
            if path.encode(errors="replace").decode() != path:
                rejected.append(Rejected(ascii(path), "its name is not UTF-8 text; rename it"))
                continue
            inside = path[beneath:].split(os.sep)[:-1]
            rows.append(
                {
                    "utterance_id": path[len(str(data_dir)) + 1 :],
                    "path": path,
                    "label": label,
                    "split": split,
                    "attack": inside[0] if inside else ("unknown" if label == SPOOF else "-"),
                }
            )
    return rows, rejected


def _files(folder: str | os.PathLike) -> Iterator[str]:
    """The files in a folder at any depth; the entries of a folder know what they are without being asked one by one."""
    if not os.path.isdir(folder):
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path)
            elif entry.is_file():
                yield entry.path


def require_both_classes(rows: list[dict], data_dir: Path, layout: str) -> None:
    """Raise ``CorpusError`` where a class has no recordings; ``layout`` is what was expected."""
    missing = ", ".join(sorted({BONAFIDE, SPOOF} - {row["label"] for row in rows}))
    if missing:
        raise CorpusError(f"{data_dir}: no recordings of class {missing}; expected folders {layout}")
