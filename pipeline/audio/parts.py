"""Parts of a file that was joined from several: chained Ogg, concatenated MP3 and WAV.

Decoders read only the first. Each part is a file by itself, perhaps with another sample rate and other channels.
"""

import itertools
import mmap
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.audio import mpeg
from pipeline.audio.limits import Source
from pipeline.audio.notes import Note, NoteKind
from pipeline.errors import AudioError, AudioFault

OGG, WAV = b"OggS", b"RIFF"
FIRST_PAGE = 2
"""Flag of the first page of an Ogg stream."""
MAX_PARTS = 256


def split(source: Source, notes: list[Note]) -> Iterator[Source]:
    """The parts of a file, or the file itself if it is not joined; ``notes`` receives what a part lacks."""
    if isinstance(source, bytes):
        yield from _split(source, source, notes)
        return
    with Path(source).open("rb") as file:
        if not _finder(file.read(4)):
            yield source
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield from _split(source, data, notes)


def ogg_starts(data: bytes | mmap.mmap, notes: list[Note]) -> Iterator[int]:
    """First byte of each chained Ogg stream; streams that begin together, as sound and picture, are one."""
    at, follows_first = 0, False
    while (at := data.find(OGG, at)) >= 0 and at + 27 <= len(data):
        is_first = bool(data[at + 5] & FIRST_PAGE)
        if is_first and not follows_first:
            yield at
        follows_first = is_first
        segments = data[at + 26]
        at += 27 + segments + sum(data[at + 27 : at + 27 + segments])
        if at > len(data):
            notes.append(Note(NoteKind.TRUNCATED, f"the last page lacks {at - len(data)} bytes"))


def wav_starts(data: bytes | mmap.mmap, _: list[Note]) -> Iterator[int]:
    """First byte of each WAV file; each begins at the end that the header before it states."""
    at = 0
    while data[at : at + 4] == WAV:
        yield at
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2


def _finder(head: bytes) -> Callable[[bytes | mmap.mmap, list[Note]], Iterator[int]] | None:
    """Function that finds the parts of a file with these first four bytes."""
    if head in (OGG, WAV):
        return ogg_starts if head == OGG else wav_starts
    return mpeg.starts if mpeg.begins(head) else None


def _split(source: Source, data: bytes | mmap.mmap, notes: list[Note]) -> Iterator[Source]:
    find = _finder(data[:4])
    starts = list(itertools.islice(find(data, notes), MAX_PARTS + 1)) if find else []
    if len(starts) < 2:
        yield source
        return
    if len(starts) > MAX_PARTS:
        raise AudioError(AudioFault.UNREADABLE, f"joined from more than {MAX_PARTS} parts")
    for start, end in zip([0, *starts[1:]], [*starts[1:], len(data)], strict=True):
        yield data[start:end]
