"""PartialSpoof: bonafide utterances in which segments were replaced by synthetic or converted speech.

See Zhang et al. 2023, IEEE/ACM TASLP 31. Folders ``train``, ``dev`` and ``eval`` hold ``con_wav/*.wav``; lists have
five columns, SPEAKER FILE - ATTACK KEY. ``<part>_seglab_<seconds>.npy`` is a pickled dictionary from utterance to one
"1" (bonafide) or "0" (spoof) for every so many seconds; the reader of it here knows arrays only.
"""

import itertools
import pickle
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.common.walk import files
from pipeline.config import SPOOF
from pipeline.corpora import listing
from pipeline.corpora.listing import Reading
from pipeline.errors import CorpusError
from pipeline.store import segments
from pipeline.store.manifest import Rejected
from pipeline.store.segments import Segments

COLUMNS = ("speaker", "file", "unused", "attack", "key")
ATTACK_NAMES = {"CON": "segments of other utterances"}
SPOOFED = "0"
ARRAYS = (
    *(("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct")),
    *(("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")),
)
"""All that a pickled dictionary of arrays names."""


def read(data_dir: Path, parts: tuple[str, ...]) -> Reading:
    """Rows of the parts; rejected are listed files without audio, unlisted audio, and spoofs without segments.

    Raises ``CorpusError`` for a missing part, list or file of segments, and for damaged ones.
    """
    places = {part: (f"PartialSpoof.LA.cm.{part}.trl.txt", part) for part in parts}
    row = partial(listing.row, attack_names=ATTACK_NAMES)
    rows, rejected = listing.parts(data_dir, places, COLUMNS, row)
    there = [Path(path) for path in files(data_dir, []) if path.endswith(".npy")]
    found: dict[str, Segments] = {}
    for part in parts:
        found |= _labelled(data_dir, there, part)
    kept = []
    for one in rows:
        own = found.get(one["utterance_id"], ())
        if one["label"] == SPOOF and not own:
            rejected.append(Rejected(one["path"], "a spoof without spoofed segments in the segment labels"))
        else:
            kept.append(one | segments.cells(own))
    return kept, rejected


def _labelled(data_dir: Path, there: Sequence[Path], part: str) -> dict[str, Segments]:
    """Spoofed segments of each utterance of a part, by the finest of its labels among the files that are there."""
    pattern = re.compile(rf"{part}_seglab_(\d+\.\d+)\.npy")
    own = sorted((float(match[1]), path) for path in there if (match := pattern.fullmatch(path.name)))
    if not own:
        raise CorpusError(
            f"{data_dir}: {part}_seglab_0.01.npy (or a coarser one) is missing; unpack "
            "database_segment_labels_v1.2.tar.gz there, or leave its part out of --parts"
        )
    step_s, path = own[0]
    try:
        return {name: spoofed(labels, step_s) for name, labels in dictionary(path).items()}
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError) as error:
        raise CorpusError(f"{path}: no segment labels of PartialSpoof: {error}; unpack them again") from None


def spoofed(labels: Sequence[str], step_s: float) -> Segments:
    """Segments in which the labels, one for every ``step_s`` seconds, say spoof."""
    found, place = [], 0
    for label, run in itertools.groupby(map(str, labels)):
        end = place + len(list(run))
        if label == SPOOFED:
            found.append((place * step_s, end * step_s))
        place = end
    return tuple(found)


def dictionary(path: Path) -> dict:
    """Dictionary in a file of ``np.save``, whose pickle may name nothing but arrays."""
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        header(file)
        found = _Reader(file).load()
    found = found.item() if isinstance(found, np.ndarray) and found.ndim == 0 else found
    if not isinstance(found, dict):
        raise ValueError(f"it holds {type(found).__name__} in place of a dictionary")
    return found


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in ARRAYS:
            raise pickle.UnpicklingError(f"its pickle names {module}.{name}")
        return super().find_class(module, name)
