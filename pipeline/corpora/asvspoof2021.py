"""ASVspoof 2021, tracks LA (telephony), DF (compression) and PA (real replay): evaluation data only.

Each trial belongs to a phase of the challenge, ``progress``, ``eval`` or ``hidden``. It is the condition ``phase``, so
every result has a group per phase; published figures are those of ``eval``. The data for training are those of
ASVspoof 2019. Labels come in a separate archive, ``keys/TRACK/CM/trial_metadata.txt``; its first release,
``keys/CM/trial_metadata.txt``, withholds all but label and phase. An attack of PA is the attacker's microphone, replay
device and distance to the talker; the place of the attacker is the condition ``attacker_room``. See Liu et al. 2023
and the README of the organisers' evaluation package.
"""

import re
from functools import partial
from pathlib import Path

from pipeline.corpora import listing
from pipeline.corpora.asvspoof2019 import LA_ATTACKS
from pipeline.corpora.listing import Reading
from pipeline.errors import CorpusError

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
FIRST_RELEASE = {
    "DF": ("speaker", "file", "-", "-", "-", "key", "-", "phase"),
    "PA": ("speaker", "file", "-", "-", "key", "-", "phase"),
}
"""Columns of the keys that were published first, if they differ; "-" is withheld, as are the values of the others."""
REPLAY = ("attacker_microphone", "replay_device", "attacker_distance")
KEYS = "CM/trial_metadata.txt"
PHASES = ("progress", "eval", "hidden")


def read(data_dir: Path, parts: tuple[str, ...], track: str) -> Reading:
    """Rows of a track (LA, DF or PA), all of them eval; rejected are listed files without audio, and unlisted audio.

    The archives may have been unpacked into one folder or into several. Raises ``CorpusError`` for missing keys or
    audio, a damaged line, and ``parts`` without eval.
    """
    if "eval" not in parts:
        raise CorpusError(f"ASVspoof 2021 {track} is evaluation data only: omit --parts, and train on asvspoof2019")
    keys = _keys(data_dir, track)
    folders = listing.every(data_dir, f"ASVspoof2021_{track}_eval")
    if not folders:
        raise CorpusError(
            f"{data_dir}: folder ASVspoof2021_{track}_eval is missing; unpack the audio of the track there"
        )
    return listing.matched(keys, entries(keys, track), folders, partial(row, track=track))


def entries(keys: Path, track: str) -> list[dict[str, str]]:
    """Lines of the keys by column; raises ``CorpusError`` for a damaged one."""
    first = FIRST_RELEASE.get(track, LA)
    found = listing.entries(keys, first if len(_first_line(keys)) == len(first) else COLUMNS[track])
    for entry in found:
        entry["phase"] = re.sub("_track(_[12])?$", "", entry["phase"])
        if entry["phase"] not in PHASES:
            raise CorpusError(f"{entry['place']}: subset {entry['phase']!r} is none of {', '.join(PHASES)}")
    return found


def row(entry: dict[str, str], path: Path, *, track: str) -> dict[str, str]:
    """Row of the Manifest of an entry."""
    entry = dict.fromkeys(COLUMNS[track], "-") | entry
    if track == "PA":
        replay = [entry[name] for name in REPLAY]
        entry["attack"] = "-" if set(replay) == {"-"} else "-".join(replay)
    made = listing.row(entry, path, split="eval", conditions=CONDITIONS[track], attack_names=LA_ATTACKS)
    if made.get("vocoder") in listing.NOTHING:
        made["vocoder"] = ""
    return made


def _keys(data_dir: Path, track: str) -> Path:
    """List of the track's labels; in the first release only its lines name the track."""
    found = listing.every(data_dir, f"{track}/{KEYS}", "file") or [
        path for path in listing.every(data_dir, KEYS, "file") if f" {track}_E_" in " ".join(_first_line(path))
    ]
    if not found:
        raise CorpusError(
            f"{data_dir}: file {track}/{KEYS} is missing; unpack {track}-keys-full.tar.gz there, which has the labels"
        )
    return found[0]


def _first_line(keys: Path) -> list[str]:
    return next((line.split() for line, _ in listing.lines(keys)), [])
