"""Spoken lines of two adventure games in Debian main: Flight of the Amazon Queen and Drascula.

The formats follow ScummVM's description of both games. The name of a line tells who speaks it.

Amazon Queen keeps all in one archive (``queen.1c``): ``QTBL``, six bytes of version, two unused ones, the kind of
compression, and a table of names (12 bytes), volume (1), offset and size (4 each), all big-endian. A dialogue
(``BOB2.DOG``) has a number at byte 24; a line (``070008P1.SB``) has that number, a sentence, the speaker (J for the
hero Joe, P for the person of the dialogue) and a part. Drascula has one file per line (``VB12.ALS``): the letters name
the speaker, 8-bit samples at 11,025 Hz lie between 32 and 64 unused bytes.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import audio
from pipeline.config import AudioConfig
from pipeline.errors import AudioError, AudioFault, CorpusError

LINE_RATE_HZ = 11025
LIMITS = AudioConfig(min_s=0.1, max_s=60.0, silence_dbfs=-60.0)
QUEEN_HEADER = struct.Struct(">4s6s2xB")
QUEEN_ENTRY = struct.Struct(">12sBII")
DIALOGUE_NUMBER = 24
"""Byte of a dialogue that holds its number."""
MP3 = 1
DRASCULA_NAMES = {
    **{"": "john", "I": "igor", "T": "bartender", "BJ": "bj", "VB": "vonbraun", "B": "drunk", "P": "pianist"},
    **{"E": "undertaker", "L": "werewolf"},
}
"""Speaker by the letters of a line; S are effects. D is the count up to line 40 and the blind man from 58 to 81."""


@dataclass(frozen=True)
class Line:
    """Where a recording lies: a whole file, or ``size`` bytes of it from ``offset``."""

    path: Path
    offset: int = 0
    size: int = -1

    def data(self) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


def queen(archive: Path) -> dict[str, list[Line]]:
    """Spoken lines of each character of Amazon Queen; cut scenes, whose names tell no speaker, are left out.

    Raises ``CorpusError`` for a file that is no archive of the game with lines in MP3.
    """
    entries = {name: (offset, size) for name, offset, size in _queen_entries(archive)}
    people = {}
    with archive.open("rb") as file:
        for name, (offset, _) in entries.items():
            if name.endswith(".DOG"):
                file.seek(offset + DIALOGUE_NUMBER)
                (number,) = struct.unpack(">h", file.read(2).ljust(2, b"\0"))
                people[number] = re.sub(r"\d*\.DOG$", "", name).lower()
    lines: dict[str, list[Line]] = {}
    for name, place in sorted(entries.items()):
        spoken = re.fullmatch(r"(\d\d)[0-9A-FXS]{4}([JP])\w\.SB", name)
        if spoken and spoken[2] == "P":
            speaker = people.get(int(spoken[1]))
        else:
            speaker = "joe" if spoken or re.fullmatch(r"JOE\d{5}\.SB", name) else None
        if speaker:
            lines.setdefault(speaker, []).append(Line(archive, *place))
    return lines


def queen_sentences(archive: Path) -> list[str]:
    """Sentences that the dialogues show, for synthetic voices to read."""
    found = set()
    for name, offset, size in _queen_entries(archive):
        if name.endswith(".DOG"):
            for run in re.findall(rb"[A-Za-z][A-Za-z ',.!?]{20,90}[.!?]", Line(archive, offset, size).data()):
                found.add(" ".join(run.decode("ascii").split()))
    return sorted(found)


def drascula(folder: Path) -> dict[str, list[Line]]:
    """Spoken lines of each character of Drascula in the language of the folder."""
    lines: dict[str, list[Line]] = {}
    for path in sorted(folder.glob("*.ALS")):
        letters, number = re.fullmatch(r"([A-Z]*)(\d+)\.ALS", path.name).groups() if _is_line(path) else ("S", "0")
        if letters == "D":
            speaker = "dracula" if int(number) <= 40 else "blind" if 58 <= int(number) <= 81 else None
        else:
            speaker = DRASCULA_NAMES.get(letters)
        if speaker:
            lines.setdefault(speaker, []).append(Line(path))
    return lines


def decode_mp3(line: Line) -> np.ndarray:
    """Samples of a line of Amazon Queen at 16 kHz, ``[samples]`` float32; raises ``AudioError``."""
    return audio.decode(line.data(), config=LIMITS)


def decode_raw(line: Line) -> np.ndarray:
    """Samples of a line of Drascula at 16 kHz, ``[samples]`` float32; raises ``AudioError`` for one without samples."""
    data = np.frombuffer(line.data()[32:-64], np.uint8)
    if not data.size:
        raise AudioError(AudioFault.UNREADABLE, f"{line.path}: no samples")
    wave = (data.astype(np.float32)[:, None] - 128) / 128  # (samples, 1)
    return np.concatenate(list(audio.resampled([wave], LINE_RATE_HZ)))[:, 0]


def _is_line(path: Path) -> bool:
    return bool(re.fullmatch(r"[A-Z]*\d+\.ALS", path.name))


def _queen_entries(archive: Path) -> Iterator[tuple[str, int, int]]:
    """Name, offset and size of each resource."""
    with archive.open("rb") as file:
        head = file.read(QUEEN_HEADER.size)
        if len(head) < QUEEN_HEADER.size or head[:4] != b"QTBL":
            raise CorpusError(f"{archive}: begins with {head[:4]!r}, not QTBL; unpack the package again")
        _, _, compression = QUEEN_HEADER.unpack(head)
        if compression != MP3:
            raise CorpusError(f"{archive}: lines are stored in way {compression}, not as MP3 (1)")
        (count,) = struct.unpack(">H", file.read(2))
        table = file.read(count * QUEEN_ENTRY.size)
    if len(table) < count * QUEEN_ENTRY.size:
        raise CorpusError(f"{archive}: ends within its table of {count} resources; unpack the package again")
    for name, _, offset, size in QUEEN_ENTRY.iter_unpack(table):
        yield name.rstrip(b"\0").decode("latin-1"), offset, size
