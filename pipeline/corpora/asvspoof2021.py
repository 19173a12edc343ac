"""ASVspoof 2021, tracks LA (telephony), DF (compression) and PA (real replay): evaluation data alone.

Each trial belongs to a phase of the challenge, ``progress``, ``eval`` or ``hidden``, which is the condition ``phase``
here, so that every result names it; published figures are of ``eval``. Training and development are those of ASVspoof
2019. Labels come in an archive of their own, ``keys/TRACK/CM/trial_metadata.txt``. See Liu et al. 2023 and the README
of the organisers' evaluation package. An attack of PA is the attacker's microphone, replay device and distance to the
talker; where the attacker was is the condition ``attacker_room``.
"""

from functools import partial
from pathlib import Path

import pandas as pd

from pipeline.corpora import listing
from pipeline.corpora.asvspoof2019 import LA_ATTACKS
from pipeline.errors import CorpusError
from pipeline.store import manifest
from pipeline.store.manifest import Rejected

LA = ("speaker", "file", "codec", "transmission", "attack", "key", "trim", "phase")
DF = (
    *("speaker", "file", "codec", "source", "attack", "key", "trim", "phase"),
    *("vocoder", "task", "team", "gender_pair", "language"),
)
PA = (
    *("speaker", "file", "room", "microphone", "distance"),
    *("attacker_room", "attacker_microphone", "replay_device", "attacker_distance", "key", "trim", "phase"),
)
COLUMNS = {"LA": LA, "DF": DF, "PA": PA}
CONDITIONS = {
    "LA": ("codec", "transmission", "trim", "phase"),
    "DF": ("codec", "source", "trim", "phase", "vocoder", "gender_pair", "language"),
    "PA": ("room", "microphone", "distance", "attacker_room", "trim", "phase"),
}
REPLAY = ("attacker_microphone", "replay_device", "attacker_distance")
PHASES = ("progress", "eval", "hidden")


def read(data_dir: Path, parts: tuple[str, ...], track: str) -> tuple[pd.DataFrame, list[Rejected]]:
    """The Manifest of a track (LA, DF or PA), all of it eval; listed files without audio, and audio not listed.

    The archives may have been unpacked into one folder or into a folder each. Raises ``CorpusError`` for missing keys
    or audio, a damaged line, and ``parts`` without eval.
    """
    corpus, folder = f"asvspoof2021_{track.lower()}", f"ASVspoof2021_{track}_eval"
    if "eval" not in parts:
        raise CorpusError(f"{corpus} is evaluation data alone: leave --parts out, and train on asvspoof2019")
    metadata = listing.outermost(
        data_dir,
        f"{track}/CM/trial_metadata.txt",
        "file",
        f"unpack {track}-keys-full.tar.gz there, which has the labels",
    )
    folders = listing.every(data_dir, folder)
    if not folders:
        raise CorpusError(f"{data_dir}: folder {folder} is missing; unpack the audio of the track there")
    entries = listing.entries(metadata, COLUMNS[track])
    for entry in entries:
        if entry["phase"] not in PHASES:
            raise CorpusError(f"{entry['place']}: subset {entry['phase']!r} is none of {', '.join(PHASES)}")
    rows, rejected = listing.matched(metadata, entries, folders, partial(_row, track=track))
    table = manifest.make(rows, corpus=corpus, rejected=rejected)
    names = {} if track == "PA" else LA_ATTACKS
    return table.assign(attack_name=table["attack"].map(names).fillna("")), rejected


def _row(entry: dict[str, str], path: Path, *, track: str) -> dict[str, str]:
    row = listing.row(entry, path, split="eval", conditions=CONDITIONS[track])
    if track == "PA":
        row["attack"] = "-".join(entry[name] for name in REPLAY)
    if row.get("vocoder") in listing.NOTHING:
        row["vocoder"] = ""
    return row
