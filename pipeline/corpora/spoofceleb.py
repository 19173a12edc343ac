"""SpoofCeleb: VoxCeleb's voices by 23 TTS systems that were trained on such speech from the wild, with official splits.

``metadata/PART.csv`` lists ``file,speaker,attack``, the file below ``flac/PART/``; attack ``a00`` is bonafide. See Jung
et al. 2025; layout as read by ``protocols/SpoofCeleb.py`` of github.com/nii-yamagishilab/AntiDeepfake.
"""

from pathlib import Path

from pipeline.config import BONAFIDE, SPOOF
from pipeline.corpora import listing
from pipeline.corpora.listing import Reading

HEADER = ("file", "speaker", "attack")
COLUMNS = ("file", "speaker", "key")
LABELS = {"a00": BONAFIDE} | {f"a{number:02}": SPOOF for number in range(1, 24)}
PARTS = {
    part: (f"metadata/{name}.csv", f"flac/{name}")
    for part, name in {"train": "train", "dev": "development", "eval": "evaluation"}.items()
}


def read(data_dir: Path, parts: tuple[str, ...]) -> Reading:
    """Rows of the parts; rejected are listed files without audio, and audio that is not listed.

    Raises ``CorpusError`` for a missing part or list, and for a damaged line.
    """
    places = {part: PARTS[part] for part in parts}
    return listing.parts(
        data_dir, places, COLUMNS, _row, relative=True, labels=LABELS, cells=listing.csv_cells, header=HEADER
    )


def _row(entry: dict[str, str], path: Path, *, split: str) -> dict[str, str]:
    return listing.row(entry, path, split=split) | {"attack": entry["key"]}
