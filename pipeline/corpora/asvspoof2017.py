"""ASVspoof 2017, versions 1 and 2: replayed speech, with its official training, development and evaluation parts.

Protocol lines hold seven columns, FILE KEY SPEAKER PHRASE ENVIRONMENT PLAYBACK RECORDER; an attack is the triple of
the last three. See Kinnunen et al. 2017 and Delgado et al. 2018 (version 2). The two versions may use the same device
codes for different devices, so one folder must hold one version.
"""

from pathlib import Path

from pipeline.common.walk import walk
from pipeline.config import BONAFIDE, SPOOF
from pipeline.corpora import listing
from pipeline.corpora.listing import Reading
from pipeline.errors import CorpusError

REPLAY = ("environment", "playback", "recorder")
COLUMNS = ("file", "key", "speaker", "phrase", *REPLAY)
LABELS = {"genuine": BONAFIDE, "spoof": SPOOF}
LIST_SUFFIX = {"train": "trn", "dev": "trl", "eval": "trl"}
UNLABELLED = {2: "the eval list of version 1 has no labels (two columns); use version 2, or --parts train,dev"}
PREFIXES = {"V2": "ASVspoof2017_V2", "V1": "ASVspoof2017"}


def read(data_dir: Path, parts: tuple[str, ...]) -> Reading:
    """Rows of the parts; rejected are listed files without audio, and audio files that no list names.

    Folders may be flat or nested in one of the same name. Raises ``CorpusError`` for a missing part or list, mixed
    versions, a line without seven columns, a key that is neither genuine nor spoof, and the unlabelled eval of
    version 1.
    """
    version = _version(data_dir)
    names = {part: f"{PREFIXES[version]}_{part}" for part in parts}
    places = {part: (f"{name}.{LIST_SUFFIX[part]}.txt", name) for part, name in names.items()}
    other_columns = UNLABELLED if version == "V1" else {}
    return listing.parts(data_dir, places, COLUMNS, _row, labels=LABELS, other_columns=other_columns)


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
            f"{data_dir}: holds versions 1 and 2 of ASVspoof 2017, whose labels and device codes differ; name a folder "
            "with one of them"
        )
    return found.pop()


def _row(entry: dict[str, str], path: Path, *, split: str) -> dict[str, str]:
    attack = "-".join(entry[name] for name in REPLAY)
    return listing.row(entry | {"attack": attack}, path, split=split, conditions=("phrase", *REPLAY))
