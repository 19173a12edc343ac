"""A folder of one's own recordings: folders of the two classes, with or without folders of the subsets above them.

``bonafide``, ``genuine`` and ``real`` hold bonafide, ``spoof``, ``spoofed`` and ``fake`` spoof; a folder inside the
latter names the attack. Subsets are ``train``, ``dev`` and ``eval`` by any word of ``SPLIT_WORDS``. Speakers are
unknown here: a table (``corpus=table``) can name them.
"""

import os
import sys
from pathlib import Path

from pipeline import audio
from pipeline.common.tables import LABEL_WORDS, SPLIT_WORDS, word
from pipeline.common.walk import files, walk
from pipeline.config import BONAFIDE, SPOOF
from pipeline.corpora.listing import Reading
from pipeline.errors import CorpusError
from pipeline.store import manifest
from pipeline.store.manifest import Rejected

UNKNOWN_FOLDER = "a folder that names neither a class nor a subset"


def read(data_dir: Path, parts: tuple[str, ...]) -> Reading:
    """Rows of the recordings in the folder; rejected are other files and folders.

    Raises ``CorpusError`` without any, and if a class is missing while a folder has a name that is not understood.
    """
    rows, rejected = labelled(data_dir, data_dir, split="")
    for folder in [one for one in rejected if one.reason == UNKNOWN_FOLDER]:
        split = SPLIT_WORDS.get(word(Path(folder.path).name))
        if split:
            rejected.remove(folder)
        if split in parts:
            found, left = labelled(Path(folder.path), data_dir, split=split)
            rows += found
            rejected += left
    rows = [row for row in rows if row["split"] in (*parts, "")]
    unknown = [one.path for one in rejected if one.reason == UNKNOWN_FOLDER]
    if unknown:
        print(f"warning: left out, as they name neither a class nor a subset: {', '.join(unknown)}", file=sys.stderr)
    layout = "{bonafide,genuine,real}/ and {spoof,spoofed,fake}/, with or without train/, dev/ and eval/ above them"
    if unknown or not rows:
        require_both_classes(rows, rejected, data_dir, layout)
    return rows, rejected


def labelled(top: Path, data_dir: Path, *, split: str) -> Reading:
    """Rows of the recordings in the class folders of ``top``, named from ``data_dir`` on; rejected is the rest.

    Without ``split`` a folder directly inside a class that names a subset is that subset.
    """
    rows: list[dict] = []
    left: list[tuple[str, str]] = []
    _, folders, outside = next(walk(top, left))
    rejected = [
        Rejected(*(_refused(path) or (path, "in the folder of no class, so its label is unknown")))
        for path in (os.path.join(top, name) for name in outside)
    ]
    for folder in folders:
        place = os.path.join(top, folder)
        label = LABEL_WORDS.get(word(folder))
        if not label:
            rejected.append(Rejected(place, UNKNOWN_FOLDER))
            continue
        for path in sorted(files(place, left), key=lambda found: found.split(os.sep)):
            refused = _refused(path)
            if refused:
                rejected.append(Rejected(*refused))
                continue
            inside = path[len(place) + 1 :].split(os.sep)[:-1]
            own = split or (SPLIT_WORDS.get(word(inside[0]), "") if inside else "")
            inside = inside[1:] if own != split else inside
            rows.append(
                {
                    "utterance_id": path[len(str(data_dir)) + 1 :],
                    "path": path,
                    "label": label,
                    "split": own,
                    "attack": inside[0] if inside else ("unknown" if label == SPOOF else "-"),
                }
            )
    return rows, rejected + [Rejected(*one) for one in left]


def _refused(path: str) -> tuple[str, str] | None:
    """Path and reason if a file is no recording by its name."""
    suffix = os.path.splitext(path)[1]
    if suffix.lower() not in audio.SUFFIXES:
        return path, f"suffix {suffix!r} is not that of audio"
    if path.encode(errors="replace").decode() != path:
        return ascii(path), "its name is not UTF-8 text; rename it"
    return None


def require_both_classes(rows: list[dict], rejected: list[Rejected], data_dir: Path, layout: str) -> None:
    """Raise ``CorpusError`` if a class has no recordings; ``layout`` is the one expected."""
    missing = ", ".join(sorted({BONAFIDE, SPOOF} - {row["label"] for row in rows}))
    if missing:
        reasons = manifest.reasons(rejected)
        raise CorpusError(f"{data_dir}: no recordings of class {missing}; expected folders {layout}{reasons}")
